//! The busiest hosts of a group of sums, a second time and by themselves: with the most that any other host of the group has they answer `top`
//! without reading every host of every day. A group of few hosts has none: it is read whole.
//!
//! A host that is not named in a group has at most that group's bound; so the sum of all bounds is more than any host has that is nowhere
//! named (the threshold algorithm of Fagin, Lotem and Naor, Optimal Aggregation Algorithms for Middleware, 2003).

use super::block::Packer;
use super::encode::{Take, damaged, put_varint};
use super::numbers::{decode_uints, encode_uints};
use super::rollups::{self, Sums};
use crate::error::Result;
use crate::model::{FieldId, Kind, field};
use hashbrown::{HashMap, HashSet};
use std::net::IpAddr;

/// Key of a chunk of the busiest: no host has it, and it is before all of them.
pub const KEY: [u8; 1] = [1];
/// Hosts of a group from which on it is worth it.
const WORTH: usize = 2048;
/// Hosts that are named for each measure and kind.
const MOST: usize = 256;
/// Entries of a chunk, at most.
const ENTRIES: usize = 1 << 17;
/// What hosts are compared by; the first is the number of records.
pub const MEASURES: [Option<FieldId>; 7] = [
    None,
    Some(field::BYTES),
    Some(field::BYTES_OUT),
    Some(field::BYTES_IN),
    Some(field::PACKETS),
    Some(field::PACKETS_OUT),
    Some(field::PACKETS_IN),
];

/// Sums of a host by kind and role.
pub type Entry = (IpAddr, Kind, u8, Sums);

/// The busiest hosts of a group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Busiest {
    /// By kind: the most that a host has of each measure that is not named here.
    pub bounds: Vec<(Kind, [u64; MEASURES.len()])>,
    /// Every entry of the hosts that are named.
    pub entries: Vec<Entry>,
}

fn measured(sums: &Sums) -> [u64; MEASURES.len()] {
    MEASURES.map(|m| sums.of(m).unwrap_or(0))
}

/// Chooses them among all entries of a group; none: it is not worth it.
pub fn choose(all: &[Entry]) -> Option<Busiest> {
    let mut totals: HashMap<(Kind, IpAddr), Sums, foldhash::fast::FixedState> =
        HashMap::with_capacity_and_hasher(all.len(), foldhash::fast::FixedState::with_seed(7));
    for (host, kind, _, sums) in all {
        if !totals.entry((*kind, *host)).or_default().add(sums) {
            return None;
        }
    }
    if totals.len() < WORTH {
        return None;
    }
    let mut kinds: Vec<Kind> = totals.keys().map(|(kind, _)| *kind).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let mut named: HashSet<IpAddr, foldhash::fast::FixedState> = HashSet::with_hasher(foldhash::fast::FixedState::with_seed(7));
    for kind in &kinds {
        let of: Vec<(IpAddr, [u64; MEASURES.len()])> =
            totals.iter().filter(|((k, _), _)| k == kind).map(|((_, host), sums)| (*host, measured(sums))).collect();
        for n in 0..MEASURES.len() {
            let mut by: Vec<(u64, IpAddr)> = of.iter().map(|(host, m)| (m[n], *host)).filter(|(m, _)| *m > 0).collect();
            if by.len() > MOST {
                by.select_nth_unstable_by(MOST, |a, b| b.cmp(a));
                by.truncate(MOST);
            }
            named.extend(by.into_iter().map(|(_, host)| host));
        }
    }
    let mut bounds: Vec<(Kind, [u64; MEASURES.len()])> = kinds.into_iter().map(|kind| (kind, [0; MEASURES.len()])).collect();
    for ((kind, _), sums) in totals.iter().filter(|((_, host), _)| !named.contains(host)) {
        if let Ok(at) = bounds.binary_search_by_key(kind, |(k, _)| *k) {
            bounds[at].1.iter_mut().zip(measured(sums)).for_each(|(most, n)| *most = (*most).max(n));
        }
    }
    let mut entries: Vec<Entry> = all.iter().filter(|(host, ..)| named.contains(host)).copied().collect();
    entries.sort_unstable_by_key(|(host, kind, role, _)| (*host, *kind as u8, *role));
    (entries.len() < ENTRIES).then_some(Busiest { bounds, entries })
}

impl Busiest {
    /// As the body of a frame.
    pub fn body(&self, packer: &mut Packer) -> Vec<u8> {
        let mut out = Vec::new();
        put_varint(&mut out, self.bounds.len() as u64);
        for (kind, bounds) in &self.bounds {
            out.push(*kind as u8);
            bounds.iter().for_each(|n| put_varint(&mut out, *n));
        }
        put_varint(&mut out, self.entries.len() as u64);
        rollups::put_hosts(self.entries.iter().map(|e| e.0), &mut out);
        encode_uints(&self.entries.iter().map(|e| rollups::tag(e.1 as u8, e.2)).collect::<Vec<_>>(), &mut out);
        for n in 0..5 {
            encode_uints(&self.entries.iter().map(|e| e.3.0[n]).collect::<Vec<_>>(), &mut out);
        }
        rollups::packed(&out, packer)
    }
    /// Reads what [`Busiest::body`] wrote.
    pub fn read(body: &[u8]) -> Result<Busiest> {
        let raw = rollups::unpacked(body)?;
        let mut take = Take::new(&raw);
        let kind = |n: u8| Kind::from_u8(n).ok_or_else(|| damaged("rollup"));
        let mut bounds = Vec::new();
        for _ in 0..take.size(Kind::ALL.len() + 1)? {
            let of = kind(take.u8()?)?;
            let mut most = [0; MEASURES.len()];
            for n in &mut most {
                *n = take.varint()?;
            }
            bounds.push((of, most));
        }
        let count = take.size(ENTRIES)?;
        let hosts = rollups::take_hosts(&mut take, count)?;
        let tags = decode_uints(&mut take, count)?;
        let mut sums = vec![Sums::default(); count];
        for n in 0..5 {
            decode_uints(&mut take, count)?.into_iter().zip(&mut sums).for_each(|(value, sums)| sums.0[n] = value);
        }
        let entries = hosts.into_iter().zip(tags).zip(sums);
        let entries = entries.map(|((host, tag), sums)| Ok((host, kind((tag >> 3) as u8)?, tag as u8 & 7, sums)));
        Ok(Busiest { bounds, entries: entries.collect::<Result<_>>()? })
    }
    /// The most of a measure that a host has that is not named, of the kinds that are taken together.
    pub fn bound(&self, measure: usize, taken: &dyn Fn(Kind) -> bool) -> u64 {
        let bounds = self.bounds.iter().filter(|(kind, _)| taken(*kind)).map(|(_, bounds)| bounds[measure]);
        bounds.fold(0, u64::saturating_add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::rollups::{DST, SRC};

    #[test]
    fn they_come_back_and_nobody_else_has_more_than_the_bound() {
        let entry = |n: u32| {
            let host: IpAddr = if n.is_multiple_of(9) {
                std::net::Ipv6Addr::from_bits(u128::from(n) << 80).into()
            } else {
                std::net::Ipv4Addr::from_bits(n.wrapping_mul(2_654_435_761)).into()
            };
            let kind = if n.is_multiple_of(5) { Kind::Dns } else { Kind::Flow };
            let x = u64::from(n.wrapping_mul(40_503) % 65_521);
            (host, kind, if n.is_multiple_of(2) { SRC } else { DST }, Sums([1 + n as u64 % 7, x, x * x, n as u64, 3]))
        };
        let all: Vec<Entry> = (1..6000).map(entry).collect();
        let busiest = choose(&all).unwrap();
        let body = busiest.body(&mut Packer::new().unwrap());
        assert_eq!(Busiest::read(&body).unwrap(), busiest);
        assert!(busiest.entries.len() < 3_500, "{}", busiest.entries.len());
        for (host, kind, _, sums) in all.iter().filter(|e| !busiest.entries.contains(e)) {
            for (n, measure) in MEASURES.into_iter().enumerate() {
                let bound = busiest.bound(n, &|k| k == *kind);
                assert!(sums.of(measure).unwrap() <= bound, "{host} {measure:?}");
            }
        }
        assert_eq!(choose(&all[..1000]), None);
        for cut in 0..body.len() {
            let _ = Busiest::read(&body[..cut]);
        }
    }
}
