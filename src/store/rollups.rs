//! Rollups: what the records of one import, source and raw UTC day add up to, by kind and hour (totals) and by kind, host and hour. Collected
//! block by block when blocks close, written packed by 512 sorted hosts at the end of the import; readers add up the chunks of a group.
//!
//! A group says whether it is exact: where a record has more addresses than are counted, where a number is not one, or where an address is written
//! in two ways, questions are answered from the rows instead.

use super::block::{BlockBuilder, Packer};
use super::busiest;
use super::column::Variant;
use super::encode::{Take, damaged, decompress, put_varint};
use super::keys;
use super::numbers::{decode_uints, encode_uints};
use crate::error::Result;
use crate::model::field::{self, FieldId, Place};
use crate::model::time::{DAY, SECOND};
use crate::model::{Kind, SourceId};
use hashbrown::HashMap;
use smallvec::{SmallVec, smallvec};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An hour, nanoseconds.
pub const HOUR: i64 = 3600 * SECOND;
/// Flags of a body: it is compressed; its hosts have no seconds and one hour as a number, as from the third layout on.
const PACKED: u8 = 1;
const LATER: u8 = 2;
/// Instead of an hour: there are several.
const SEVERAL: u64 = 24;
/// Hosts of a chunk.
const CHUNK: usize = 512;
/// Addresses of one record that are counted.
const MOST: usize = 64;
/// Of a sum: fields in the order of [`Sums`] after the records.
const METRICS: [FieldId; 4] = [field::BYTES_OUT, field::BYTES_IN, field::PACKETS_OUT, field::PACKETS_IN];
/// Numbers of a host's hours that are kept: records, bytes out, bytes in.
const HOURLY: usize = 3;

/// The host is the originator of its records.
pub const SRC: u8 = 1;
/// The host is the responder.
pub const DST: u8 = 2;
/// The host is in another field: translated, answered.
pub const OTHER: u8 = 4;

/// What some records add up to: records, bytes out, bytes in, packets out, packets in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sums(pub [u64; 5]);

impl Sums {
    /// Records.
    pub fn records(&self) -> u64 {
        self.0[0]
    }
    /// The sum of a field (none: the records); none: it is not kept.
    pub fn of(&self, weight: Option<FieldId>) -> Option<u64> {
        let [records, out, inward, packets_out, packets_in] = self.0;
        Some(match weight {
            None => records,
            Some(field::BYTES) => out.saturating_add(inward),
            Some(field::BYTES_OUT) => out,
            Some(field::BYTES_IN) => inward,
            Some(field::PACKETS) => packets_out.saturating_add(packets_in),
            Some(field::PACKETS_OUT) => packets_out,
            Some(field::PACKETS_IN) => packets_in,
            _ => return None,
        })
    }
    /// Adds others; false where a number does not fit.
    pub fn add(&mut self, other: &Sums) -> bool {
        let mut fits = true;
        for (n, more) in self.0.iter_mut().zip(other.0) {
            // Half of the range, so that the sum of two directions fits as well.
            match n.checked_add(more).filter(|n| *n < 1 << 62) {
                Some(sum) => *n = sum,
                None => fits = false,
            }
        }
        fits
    }
}

/// What a host's records of one kind in one role add up to on one day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostSums {
    /// The host.
    pub host: IpAddr,
    /// Kind of the records.
    pub kind: Kind,
    /// Where the host stands in them: [`SRC`], [`DST`], [`OTHER`] or several.
    pub role: u8,
    /// Their sums.
    pub sums: Sums,
    /// Per hour of the day that has any: records, bytes out, bytes in.
    pub hours: SmallVec<[(u8, [u64; HOURLY]); 1]>,
}

/// What the records of one kind add up to on one day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KindSums {
    /// Kind.
    pub kind: Kind,
    /// By hour.
    pub hours: [Sums; 24],
    /// Of those without any address.
    pub homeless: Sums,
}

impl KindSums {
    fn new(kind: Kind) -> KindSums {
        KindSums { kind, hours: [Sums::default(); 24], homeless: Sums::default() }
    }
}

/// What the records of one import, source and day add up to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals {
    /// Whether answers from it are those of the rows.
    pub exact: bool,
    /// By kind, in order.
    pub kinds: Vec<KindSums>,
}

type HostKey = (IpAddr, u8, u8);

struct Acc {
    sums: Sums,
    hours: SmallVec<[(u8, [u64; HOURLY]); 1]>,
}

#[derive(Default)]
struct Group {
    inexact: bool,
    kinds: BTreeMap<u8, KindSums>,
    hosts: HashMap<HostKey, Acc, foldhash::fast::FixedState>,
}

/// Rollups of one import being collected.
#[derive(Default)]
pub struct Collector {
    groups: BTreeMap<(i32, SourceId), Group>,
    weight: usize,
}

/// The first value of each row of a number's column.
fn metric(block: &BlockBuilder, id: FieldId, exact: &mut bool) -> Option<Vec<u64>> {
    *exact &= Variant::ALL.iter().all(|v| *v == Variant::Uint || block.column(id.0, *v).is_none());
    let column = block.column(id.0, Variant::Uint)?;
    let mut out = vec![0; block.rows()];
    for (row, n) in column.rows().iter().zip(column.uints()).rev() {
        out[*row as usize] = *n;
    }
    Some(out)
}

/// Every use of an address as a host: row, number of the address, role; in order, each once.
fn uses(block: &BlockBuilder, exact: &mut bool) -> Vec<(u32, u32, u8)> {
    let mut out: Vec<(u32, u32, u8)> = Vec::new();
    let Some(Place::Any(parts)) = field::get(field::HOST).map(|f| f.place) else { return out };
    for part in parts {
        *exact &= Variant::ALL.iter().all(|v| *v == Variant::Addr || block.column(part.0, *v).is_none());
        let Some(column) = block.column(part.0, Variant::Addr) else { continue };
        let role = match *part {
            field::SRC_IP => SRC,
            field::DST_IP => DST,
            _ => OTHER,
        };
        let mut before = None;
        for (row, index) in column.rows().iter().zip(column.indexes()) {
            // Of an originator or responder only the first value is that field's.
            out.push((*row, *index, if before == Some(row) { OTHER } else { role }));
            before = Some(row);
        }
    }
    out.sort_unstable();
    out.dedup_by(|next, kept| {
        let same = (next.0, next.1) == (kept.0, kept.1);
        kept.2 |= if same { next.2 } else { 0 };
        same
    });
    out
}

impl Collector {
    /// Bytes in memory, about.
    pub fn weight(&self) -> usize {
        self.weight
    }
    /// Takes in the rows of a block that is about to be closed.
    pub fn add(&mut self, day: i32, source: SourceId, block: &BlockBuilder) {
        let group = self.groups.entry((day, source)).or_default();
        let mut exact = true;
        let metrics = METRICS.map(|f| metric(block, f, &mut exact));
        let sums_of = |row: usize| {
            let mut sums = Sums([1, 0, 0, 0, 0]);
            for (n, metric) in sums.0[1..].iter_mut().zip(&metrics) {
                *n = metric.as_ref().map_or(0, |m| m[row]);
            }
            sums
        };
        exact &= !block.addrs().iter().any(|a| matches!(a, IpAddr::V6(a) if a.to_ipv4_mapped().is_some()));
        let uses = uses(block, &mut exact);
        let (kinds, starts) = (block.kinds(), block.starts());
        let mut hosts: HashMap<(u32, u8, u8), Acc, foldhash::fast::FixedState> =
            HashMap::with_hasher(foldhash::fast::FixedState::with_seed(9));
        let mut at = 0;
        let before = group.kinds.len();
        for row in 0..block.rows() {
            let kind = kinds[row] as u8;
            let sums = sums_of(row);
            let second = (starts[row].rem_euclid(DAY) / SECOND) as u32;
            let hour = (second / 3600) as u8;
            let total = group.kinds.entry(kind).or_insert_with(|| KindSums::new(Kind::from_u8(kind).unwrap_or(Kind::Log)));
            exact &= total.hours[usize::from(hour)].add(&sums);
            let first = at;
            while uses.get(at).is_some_and(|u| u.0 as usize == row) {
                at += 1;
            }
            if first == at {
                exact &= total.homeless.add(&sums);
            }
            exact &= at - first <= MOST;
            for (_, index, role) in &uses[first..at] {
                let one = Acc { sums, hours: smallvec![(hour, hourly(&sums))] };
                match hosts.get_mut(&(*index, kind, *role)) {
                    Some(acc) => exact &= acc.add(&one),
                    None => drop(hosts.insert((*index, kind, *role), one)),
                }
            }
        }
        self.weight += (group.kinds.len() - before) * size_of::<KindSums>();
        let addrs = block.addrs();
        for ((index, kind, role), acc) in hosts {
            let Some(host) = addrs.get(index as usize) else { continue };
            match group.hosts.get_mut(&(*host, kind, role)) {
                Some(have) => {
                    let hours = have.hours.len();
                    exact &= have.add(&acc);
                    self.weight += (have.hours.len() - hours) * 32;
                }
                None => {
                    self.weight += 160 + acc.hours.len() * 32;
                    group.hosts.insert((*host, kind, role), acc);
                }
            }
        }
        group.inexact |= !exact;
    }
    /// Gives every chunk (day, source, first and last key, body) and is empty then. The totals of a group have empty keys.
    pub fn flush(
        &mut self,
        packer: &mut Packer,
        each: &mut dyn FnMut(i32, SourceId, &[u8], &[u8], Vec<u8>) -> Result<()>,
    ) -> Result<()> {
        self.weight = 0;
        for ((day, source), group) in std::mem::take(&mut self.groups) {
            each(day, source, &[], &[], packed(&totals(&group), packer))?;
            let entries: Vec<busiest::Entry> = group.hosts.iter().filter_map(entry).collect();
            if let Some(busiest) = busiest::choose(&entries) {
                each(day, source, &busiest::KEY, &busiest::KEY, busiest.body(packer))?;
            }
            let mut hosts: Vec<(HostKey, Acc)> = group.hosts.into_iter().collect();
            hosts.sort_unstable_by_key(|(key, _)| *key);
            let key = |host: &(HostKey, Acc)| {
                let mut key = Vec::with_capacity(17);
                keys::put_addr(&mut key, host.0.0);
                key
            };
            for chunk in hosts.chunks(CHUNK) {
                if let (Some(first), Some(last)) = (chunk.first(), chunk.last()) {
                    each(day, source, &key(first), &key(last), packed(&hosts_out(chunk), packer))?;
                }
            }
        }
        Ok(())
    }
}

fn entry(((host, kind, role), acc): (&HostKey, &Acc)) -> Option<busiest::Entry> {
    Some((*host, Kind::from_u8(*kind)?, *role, acc.sums))
}

fn hourly(sums: &Sums) -> [u64; HOURLY] {
    [sums.0[0], sums.0[1], sums.0[2]]
}

impl Acc {
    fn add(&mut self, other: &Acc) -> bool {
        for (hour, more) in &other.hours {
            match self.hours.binary_search_by_key(hour, |(h, _)| *h) {
                // Bounded by the sums of the day, which are checked.
                Ok(at) => self.hours[at].1.iter_mut().zip(more).for_each(|(n, more)| *n = n.saturating_add(*more)),
                Err(at) => self.hours.insert(at, (*hour, *more)),
            }
        }
        self.sums.add(&other.sums)
    }
}

/// Packed or not, length, bytes.
pub(super) fn packed(raw: &[u8], packer: &mut Packer) -> Vec<u8> {
    let mut body = vec![LATER];
    put_varint(&mut body, raw.len() as u64);
    if packer.pack(raw, &mut body) {
        body[0] |= PACKED;
    }
    body
}

pub(super) fn unpacked(body: &[u8]) -> Result<Vec<u8>> {
    let mut take = Take::new(body);
    let is_packed = take.u8()? & PACKED != 0;
    let len = take.size(1 << 30)?;
    if is_packed { decompress(take.rest, len).ok_or_else(|| damaged("rollup")) } else { Ok(take.rest.to_vec()) }
}

fn totals(group: &Group) -> Vec<u8> {
    let mut out = vec![u8::from(!group.inexact), group.kinds.len() as u8];
    for (kind, sums) in &group.kinds {
        out.push(*kind);
        for sums in sums.hours.iter().chain([&sums.homeless]) {
            put_varint(&mut out, sums.0[0]);
            if sums.0[0] > 0 {
                sums.0[1..].iter().for_each(|n| put_varint(&mut out, *n));
            }
        }
    }
    out
}

/// Adds what the body of a group's totals says.
pub fn read_totals(body: &[u8], into: &mut Totals) -> Result<()> {
    let raw = unpacked(body)?;
    let mut take = Take::new(&raw);
    into.exact &= take.u8()? != 0;
    for _ in 0..take.u8()? {
        let kind = Kind::from_u8(take.u8()?).ok_or_else(|| damaged("rollup"))?;
        let at = match into.kinds.binary_search_by_key(&(kind as u8), |k| k.kind as u8) {
            Ok(at) => at,
            Err(at) => {
                into.kinds.insert(at, KindSums::new(kind));
                at
            }
        };
        let KindSums { hours, homeless, .. } = &mut into.kinds[at];
        for have in hours.iter_mut().chain([homeless]) {
            let mut sums = Sums::default();
            sums.0[0] = take.varint()?;
            if sums.0[0] > 0 {
                for n in &mut sums.0[1..] {
                    *n = take.varint()?;
                }
            }
            into.exact &= have.add(&sums);
        }
    }
    Ok(())
}

/// Kind and role in one number.
pub(super) fn tag(kind: u8, role: u8) -> u64 {
    u64::from(kind) << 3 | u64::from(role)
}

/// Writes addresses in order, those of version 4 as differences.
pub(super) fn put_hosts(hosts: impl Iterator<Item = IpAddr>, out: &mut Vec<u8>) {
    let mut before = 0u32;
    for host in hosts {
        match host {
            IpAddr::V4(a) => {
                out.push(4);
                put_varint(out, u64::from(a.to_bits().wrapping_sub(before)));
                before = a.to_bits();
            }
            IpAddr::V6(a) => {
                out.push(6);
                out.extend_from_slice(&a.octets());
            }
        }
    }
}

/// Reads what [`put_hosts`] wrote.
pub(super) fn take_hosts(take: &mut Take<'_>, count: usize) -> Result<Vec<IpAddr>> {
    let mut hosts = Vec::with_capacity(count);
    let mut before = 0u32;
    for _ in 0..count {
        hosts.push(match take.u8()? {
            4 => {
                before = before.wrapping_add(take.varint()? as u32);
                IpAddr::V4(Ipv4Addr::from_bits(before))
            }
            6 => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(take.bytes(16)?).map_err(|_| damaged("rollup"))?)),
            _ => return Err(damaged("rollup")),
        });
    }
    Ok(hosts)
}

/// Column by column: addresses, kinds, roles, sums, the hour or [`SEVERAL`]; then the hours of those that have several, and the numbers of all
/// but the last of these.
fn hosts_out(hosts: &[(HostKey, Acc)]) -> Vec<u8> {
    let mut out = Vec::new();
    put_varint(&mut out, hosts.len() as u64);
    put_hosts(hosts.iter().map(|h| h.0.0), &mut out);
    let mut column = |of: &dyn Fn(&(HostKey, Acc)) -> u64| encode_uints(&hosts.iter().map(of).collect::<Vec<_>>(), &mut out);
    column(&|h| tag(h.0.1, h.0.2));
    for n in 0..5 {
        column(&|h| h.1.sums.0[n]);
    }
    column(&|h| if h.1.hours.len() == 1 { u64::from(h.1.hours[0].0) } else { SEVERAL });
    for (_, acc) in hosts.iter().filter(|(_, acc)| acc.hours.len() != 1) {
        put_varint(&mut out, acc.hours.iter().fold(0, |mask, (hour, _)| mask | 1 << hour));
    }
    for n in 0..HOURLY {
        for (_, acc) in hosts {
            acc.hours[..acc.hours.len() - 1].iter().for_each(|(_, sums)| put_varint(&mut out, sums[n]));
        }
    }
    out
}

/// The hosts of a chunk.
pub fn read_hosts(body: &[u8]) -> Result<Vec<HostSums>> {
    let raw = unpacked(body)?;
    let first_layout = body.first().is_none_or(|flags| flags & LATER == 0);
    let mut take = Take::new(&raw);
    let count = take.size(CHUNK + 1)?;
    let hosts = take_hosts(&mut take, count)?;
    let mut columns = Vec::with_capacity(9);
    for _ in 0..if first_layout { 9 } else { 7 } {
        columns.push(decode_uints(&mut take, count)?);
    }
    let masks = if first_layout {
        columns[8].clone()
    } else {
        let mask = |hour: &u64| match *hour {
            SEVERAL => take.varint(),
            hour => Ok(1u64.checked_shl(hour as u32).unwrap_or(0)),
        };
        columns[6].iter().map(mask).collect::<Result<Vec<u64>>>()?
    };
    let mut out = Vec::with_capacity(count);
    for (i, host) in hosts.into_iter().enumerate() {
        let (tag, mask) = (columns[0][i], masks[i]);
        let kind = Kind::from_u8((tag >> 3) as u8).ok_or_else(|| damaged("rollup"))?;
        let mut sums = Sums::default();
        sums.0.iter_mut().zip(&columns[1..6]).for_each(|(n, column)| *n = column[i]);
        if mask == 0 || mask >> 24 != 0 {
            return Err(damaged("rollup"));
        }
        let hours = (0..24).filter(|h| mask >> h & 1 == 1).map(|h| (h, [0; HOURLY])).collect();
        out.push(HostSums { host, kind, role: tag as u8 & 7, sums, hours });
    }
    for n in 0..HOURLY {
        for host in &mut out {
            let mut rest = host.sums.0[n];
            let last = host.hours.len() - 1;
            for (_, sums) in &mut host.hours[..last] {
                sums[n] = take.varint()?;
                rest = rest.checked_sub(sums[n]).ok_or_else(|| damaged("rollup"))?;
            }
            host.hours[last].1[n] = rest;
        }
    }
    Ok(out)
}

/// Raw start of an hour of a day.
pub fn hour_start(day: i32, hour: usize) -> i64 {
    i64::from(day).saturating_mul(DAY).saturating_add(hour as i64 * HOUR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_the_second_layout_are_still_read() {
        // Two hosts, of which one has two hours: nine columns, among them seconds of first and last, and hours as masks.
        let mut raw = Vec::new();
        put_varint(&mut raw, 2);
        for delta in [0x0a00_0001u64, 4] {
            raw.push(4);
            put_varint(&mut raw, delta);
        }
        let tag = u64::from(Kind::Flow as u8) << 3 | u64::from(SRC);
        let columns = [[tag, tag], [1, 5], [10, 70], [0, 9], [1, 6], [0, 2], [7, 3600], [0, 9000], [1, 0b1010]];
        columns.iter().for_each(|c| encode_uints(c, &mut raw));
        [2u64, 30, 4].iter().for_each(|n| put_varint(&mut raw, *n));
        let mut body = vec![0];
        put_varint(&mut body, raw.len() as u64);
        body.extend(raw);
        let hosts = read_hosts(&body).unwrap();
        let hours: Vec<_> = hosts.iter().map(|h| h.hours.to_vec()).collect();
        assert_eq!(hours, [vec![(0, [1, 10, 0])], vec![(1, [2, 30, 4]), (3, [3, 40, 5])]]);
        assert_eq!((hosts[1].host.to_string(), hosts[1].sums), ("10.0.0.5".into(), Sums([5, 70, 9, 6, 2])));
    }
}
