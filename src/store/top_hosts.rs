//! The hosts that have most, of every group together, from the busiest of each group: exactly those that the sums of all hosts would give.

use super::ask::Ask;
use super::busiest::{self, Busiest};
use super::rollups::Sums;
use super::snapshot::Snapshot;
use super::summed::{Group, Summed, plays, takes};
use crate::error::{Error, Result};
use crate::model::{FieldId, Kind};
use hashbrown::HashMap;
use smallvec::SmallVec;
use std::net::IpAddr;

/// Hosts whose sums are looked up exactly; more are not worth it.
const LOOKED_UP: usize = 500;

/// What is known of a host so far.
#[derive(Default)]
struct Found {
    sums: Sums,
    /// Groups that name it, in order.
    groups: SmallVec<[u32; 4]>,
    /// Bounds of those.
    bounds: u64,
}

impl Snapshot {
    /// Hosts with their sums, the `most` that have most among them, and some more; none: it cannot be told without the sums of all hosts, or
    /// without rows.
    pub(super) fn top_hosts(
        &self,
        ask: &Ask<'_>,
        by: FieldId,
        weight: Option<FieldId>,
        most: usize,
        stop: &dyn Fn() -> bool,
    ) -> Result<Option<(Vec<(IpAddr, Sums)>, Summed)>> {
        let Some(measure) = busiest::MEASURES.iter().position(|m| *m == weight) else { return Ok(None) };
        let groups = self.groups(ask, ask.filter);
        if !groups.iter().any(|g| g.chunks.iter().any(|c| *c.span.first == busiest::KEY)) {
            return Ok(None);
        }
        let mut summed = Summed::default();
        summed.blocks.extend(groups.iter().flat_map(|g| g.blocks.iter().copied()));
        if !self.candidates(&Ask { without: Some(&summed.blocks), ..*ask }, stop)?.is_empty() {
            return Ok(None);
        }
        let mut hosts: HashMap<IpAddr, Found, foldhash::fast::FixedState> =
            HashMap::with_hasher(foldhash::fast::FixedState::with_seed(11));
        let mut bounds = Vec::with_capacity(groups.len());
        for (number, group) in groups.iter().enumerate() {
            if stop() {
                return Err(Error::cancelled());
            }
            let taken = |kind: Kind| takes(ask.filter, kind, &group.zone, &group.setting) == Some(true);
            let Some(totals) = self.totals(group) else { return Ok(None) };
            let records = totals.kinds.iter().filter(|k| taken(k.kind)).flat_map(|k| &k.hours).map(Sums::records);
            summed.records += records.sum::<u64>();
            let Some((bound, named)) = self.busiest_of(group, measure, &taken) else { return Ok(None) };
            bounds.push(bound);
            for (host, _, _, sums) in named.iter().filter(|e| taken(e.1) && plays(e.2, by)) {
                let found = hosts.entry(*host).or_default();
                if !found.sums.add(sums) {
                    return Ok(None);
                }
                if found.groups.last() != Some(&(number as u32)) {
                    found.groups.push(number as u32);
                    found.bounds = found.bounds.saturating_add(bound);
                }
            }
        }
        let bound = bounds.iter().fold(0u64, |sum, b| sum.saturating_add(*b));
        let value = |sums: &Sums| sums.of(weight).unwrap_or(0);
        let mut values: Vec<u64> = hosts.values().map(|f| value(&f.sums)).collect();
        if values.len() < most || most == 0 {
            return Ok(None);
        }
        let (_, least, _) = values.select_nth_unstable_by(most - 1, |a, b| b.cmp(a));
        let least = *least;
        if bound >= least {
            return Ok(None);
        }
        let may = |found: &Found| value(&found.sums).saturating_add(bound - found.bounds.min(bound)) >= least;
        let mut contenders: Vec<(IpAddr, Found)> = hosts.into_iter().filter(|(_, found)| may(found)).collect();
        if contenders.len() > LOOKED_UP.max(most * 4) {
            return Ok(None);
        }
        for (host, found) in &mut contenders {
            for (number, group) in groups.iter().enumerate() {
                if bounds[number] == 0 || found.groups.contains(&(number as u32)) {
                    continue;
                }
                if stop() {
                    return Err(Error::cancelled());
                }
                let taken = |kind: Kind| takes(ask.filter, kind, &group.zone, &group.setting) == Some(true);
                let Some(all) = self.hosts(group, Some(*host)) else { return Ok(None) };
                for more in all.iter().filter(|h| taken(h.kind) && plays(h.role, by)) {
                    if !found.sums.add(&more.sums) {
                        return Ok(None);
                    }
                }
            }
        }
        Ok(Some((contenders.into_iter().map(|(host, found)| (host, found.sums)).collect(), summed)))
    }
    /// The busiest hosts of a group with the most that any other has, of a measure; of a group that has no such chunks all of its hosts.
    fn busiest_of(&self, group: &Group<'_>, measure: usize, taken: &dyn Fn(Kind) -> bool) -> Option<(u64, Vec<busiest::Entry>)> {
        let all = || {
            let hosts = self.hosts(group, None)?;
            Some((0, hosts.into_iter().map(|h| (h.host, h.kind, h.role, h.sums)).collect()))
        };
        let of = |key: &[u8]| group.chunks.iter().filter(|c| *c.span.first == *key).count();
        // Each time sums are written they have totals: those of few hosts have nothing but all of these.
        if of(&busiest::KEY) != of(&[]) || of(&[]) != 1 {
            return all();
        }
        let chunk = group.chunks.iter().find(|c| *c.span.first == busiest::KEY)?;
        let Busiest { bounds, entries } = self.body(chunk, Busiest::read)?;
        let busiest = Busiest { bounds, entries: Vec::new() };
        Some((busiest.bound(measure, taken), entries))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{fresh, options, source};
    use super::*;
    use crate::model::synthetic::{Flows, Shape};
    use crate::model::{EvidenceKey, Filter, field};
    use crate::store::{Done, Store};

    #[test]
    fn the_top_is_that_of_the_sums_of_all_hosts() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), &options()).unwrap();
        for key in [1, 2] {
            let mut import = fresh(&store, key);
            let source = source(&mut import, "a");
            let shape = Shape { seed: key, ..Shape::new(60_000, 3) };
            Flows::new(shape).for_each(|f| import.push(f.record(EvidenceKey(key), source)).unwrap());
            import.finish(Done::default()).unwrap();
        }
        let view = store.snapshot();
        let ask = Ask::new(&Filter::All);
        let mut told = 0;
        for by in [field::HOST, field::SRC_IP, field::DST_IP] {
            for weight in busiest::MEASURES {
                let mut all: HashMap<IpAddr, Sums> = HashMap::new();
                let summed = view
                    .host_sums(&ask, by, None, &|| false, &mut |host, sums| {
                        host.iter().for_each(|host| assert!(all.entry(*host).or_default().add(sums)));
                    })
                    .unwrap();
                let mut all: Vec<(u64, IpAddr)> = all.iter().map(|(h, s)| (s.of(weight).unwrap(), *h)).collect();
                all.sort_unstable_by(|a, b| b.cmp(a));
                let Some((top, same)) = view.top_hosts(&ask, by, weight, 10, &|| false).unwrap() else { continue };
                told += 1;
                assert_eq!((same.records, &same.blocks), (summed.records, &summed.blocks));
                let mut top: Vec<(u64, IpAddr)> = top.iter().map(|(h, s)| (s.of(weight).unwrap(), *h)).collect();
                top.sort_unstable_by(|a, b| b.cmp(a));
                assert_eq!(top[..10], all[..10], "{by:?} {weight:?}");
            }
        }
        assert!(told >= 15, "{told} of 21 could be told from the busiest");
    }
}
