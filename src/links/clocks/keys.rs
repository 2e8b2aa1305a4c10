//! What of a record another source would state as well, as keys, and the moments of a source that have such.

use super::pairs::Moment;
use crate::error::Result;
use crate::model::clock::KeyKind;
use crate::model::{Cancel, FieldId, Filter, Kind, SourceId, Value, field, proto};
use crate::store::{Ask, Row, Snapshot};
use std::collections::HashSet;
use std::hash::{BuildHasher, Hash};
use std::net::IpAddr;

/// Most moments of one source and kind of key that are kept: beyond it a share of the keys stands for all.
const MOST: usize = 1_000_000;
/// Times that are compared, nanoseconds since 1970.
const TIMES: std::ops::RangeInclusive<i64> = 0..=1 << 62;
/// Flows from which on a source is compared by them.
const ENOUGH: u64 = 24;
/// Smallest size that tells clients' transfers apart.
const RARE_SIZE: u64 = 1_500;
/// Kinds of record whose time is not that of traffic.
const TIMELESS: [Kind; 3] = [Kind::Inventory, Kind::Vuln, Kind::Oddity];

/// Fields that keys are made of.
const FIELDS: [FieldId; 15] = [
    field::PROTO,
    field::SRC_IP,
    field::SRC_PORT,
    field::DST_IP,
    field::DST_PORT,
    field::NAT_SRC_IP,
    field::NAT_SRC_PORT,
    field::NAT_DST_IP,
    field::NAT_DST_PORT,
    field::NAME,
    field::SNI,
    field::HTTP_HOST,
    field::PAYLOAD_IN,
    field::BYTES_IN,
    field::HTTP_RESPONSE_BYTES,
];

/// The moments of one source, by kind of key.
#[derive(Debug, Clone, Default)]
pub struct Moments {
    by_kind: [Vec<Moment>; KeyKind::ALL.len()],
    /// Of each kind, of how many keys one is kept, as a power of two.
    shares: [u32; KeyKind::ALL.len()],
    /// Rows that were looked at.
    pub rows: u64,
}

impl Moments {
    /// Those of one kind.
    pub fn of(&self, kind: KeyKind) -> &[Moment] {
        &self.by_kind[kind as usize]
    }
    /// Of one kind, for tests.
    #[cfg(test)]
    pub fn made(kind: KeyKind, list: Vec<Moment>) -> Moments {
        let mut out = Moments { rows: list.len() as u64, ..Moments::default() };
        out.by_kind[kind as usize] = list;
        out
    }
    /// All keys.
    pub fn keys(&self) -> impl Iterator<Item = u64> + '_ {
        self.by_kind.iter().flatten().map(|m| m.key)
    }
    fn add(&mut self, kind: KeyKind, moment: Moment) {
        let (list, share) = (&mut self.by_kind[kind as usize], &mut self.shares[kind as usize]);
        if moment.key.trailing_zeros() < *share {
            return;
        }
        list.push(moment);
        if list.len() > MOST {
            *share += 1;
            let share = *share;
            list.retain(|m| m.key.trailing_zeros() >= share);
        }
    }
}

/// The moments of a source; `only`: those with one of these keys.
pub fn moments(snapshot: &Snapshot, source: SourceId, only: Option<&HashSet<u64>>, cancel: &Cancel) -> Result<Moments> {
    let mut out = Moments::default();
    let timeless = TIMELESS.map(|kind| Filter::is(field::KIND, kind.name())).to_vec();
    let filter = Filter::Not(Box::new(Filter::Or(timeless)));
    let sources = [source];
    let ask = Ask { sources: Some(&sources), every_sighting: true, fields: Some(&FIELDS), ..Ask::new(&filter) };
    // Requests and alerts come some time into their connection: where there are flows these say when it was, and the others only names.
    let is_flow = Filter::is(field::KIND, Kind::Flow.name());
    let (flows, _) = snapshot.count(&Ask { filter: &is_flow, ..ask }, ENOUGH, &|| cancel.is_cancelled())?;
    snapshot.visit(&ask, &|| cancel.is_cancelled(), &mut |row| {
        out.rows += 1;
        let (start, end) = row.stored();
        // A clock is not compared by times before 1970 or after 2116: differences of all others fit their type.
        if !TIMES.contains(&start.0) || !TIMES.contains(&end.0) {
            return true;
        }
        let by_name = flows >= ENOUGH && row.kind() != Kind::Flow;
        let mut each = |kind: KeyKind, key: u64, client: u32| {
            if (!by_name || kind == KeyKind::Name) && only.is_none_or(|keys| keys.contains(&key)) {
                out.add(kind, Moment { key, client, start: start.0, end: end.0.max(start.0) });
            }
        };
        keys(row, &mut each);
        true
    })?;
    cancel.check()?;
    Ok(out)
}

/// Gives every key of a row, with its client.
fn keys(row: &Row<'_>, each: &mut dyn FnMut(KeyKind, u64, u32)) {
    let addr = |id: FieldId| row.values(id).find_map(|v| if let Value::Addr(a) = v { Some(a) } else { None });
    let (src, dst) = (addr(field::SRC_IP), addr(field::DST_IP));
    let (sport, dport) = (row.uint(field::SRC_PORT), row.uint(field::DST_PORT));
    let protocol = row.uint(field::PROTO);
    let client = src.or(dst).map_or(0, |a| hash(0, &a) as u32);
    let ports = protocol.is_none_or(|p| [proto::TCP, proto::UDP, proto::SCTP].map(u64::from).contains(&p));
    if let (Some(src), Some(dst), Some(sport), Some(dport), Some(protocol), true) = (src, dst, sport, dport, protocol, ports) {
        each(KeyKind::Connection, connection(protocol, (src, sport), (dst, dport)), client);
        let (nat_src, nat_dst) = (addr(field::NAT_SRC_IP), addr(field::NAT_DST_IP));
        if nat_src.is_some() || nat_dst.is_some() {
            let from = (nat_src.unwrap_or(src), row.uint(field::NAT_SRC_PORT).unwrap_or(sport));
            let to = (nat_dst.unwrap_or(dst), row.uint(field::NAT_DST_PORT).unwrap_or(dport));
            each(KeyKind::Connection, connection(protocol, from, to), client);
        }
    }
    let Some(src) = src else { return };
    each(KeyKind::Client, hash(KeyKind::Client as u64, &src), client);
    if let Some(sport) = sport.filter(|p| *p > 0 && ports) {
        each(KeyKind::ClientPort, hash(KeyKind::ClientPort as u64, &(src, sport)), client);
    }
    if let (Some(dst), Some(dport), true) = (dst, dport, ports) {
        each(KeyKind::Service, hash(KeyKind::Service as u64, &(src, dst, dport)), client);
        each(KeyKind::Server, hash(KeyKind::Server as u64, &(dst, dport)), client);
    }
    let mut named: Option<Value> = None;
    for id in [field::NAME, field::SNI, field::HTTP_HOST] {
        for name in row.values(id).filter(|name| named.as_ref() != Some(name)).take(2).collect::<Vec<_>>() {
            if let Value::Text(text) = &name {
                let text = text.trim_end_matches('.').to_ascii_lowercase();
                each(KeyKind::Name, hash(KeyKind::Name as u64, &(src, text.split(':').next().unwrap_or(""))), client);
            }
            named = Some(name);
        }
    }
    let size = [field::PAYLOAD_IN, field::BYTES_IN, field::HTTP_RESPONSE_BYTES].into_iter().find_map(|id| row.uint(id));
    if let Some(size) = size.filter(|n| *n >= RARE_SIZE) {
        each(KeyKind::Size, hash(KeyKind::Size as u64, &(src, size)), client);
    }
}

/// Protocol and both ends, whichever is first.
fn connection(protocol: u64, a: (IpAddr, u64), b: (IpAddr, u64)) -> u64 {
    let (low, high) = if a <= b { (a, b) } else { (b, a) };
    hash(KeyKind::Connection as u64, &(protocol, low, high))
}

/// The same on every machine: which keys stand for all must not change.
fn hash(seed: u64, of: &impl Hash) -> u64 {
    foldhash::quality::FixedState::with_seed(seed).hash_one(of)
}
