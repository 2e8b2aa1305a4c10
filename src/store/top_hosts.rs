//! The hosts that have most, of every group together, from the busiest of each group: exactly those that the sums of all hosts would give.

use super::ask::Ask;
use super::busiest::{self, Busiest};
use super::postings::ChunkInfo;
use super::rollups::Sums;
use super::snapshot::Snapshot;
use super::summed::{Group, Summed, plays, takes};
use crate::error::{Error, Result};
use crate::model::{FieldId, Kind};
use hashbrown::HashMap;
use std::net::IpAddr;

/// Hosts whose sums are looked up exactly; more are not worth it.
const LOOKED_UP: usize = 500;

/// What is known of a host so far.
#[derive(Default)]
struct Found {
    sums: Sums,
    /// The last part that named it.
    last: Option<u32>,
    /// Bounds of those that did.
    bounds: u64,
}

/// What was written of a group at one time: its busiest hosts, and the most that any other has. Of few hosts all, and nobody has more than nothing.
struct Part {
    bound: u64,
    entries: Vec<busiest::Entry>,
}

impl Part {
    /// What it says of a host: none, if it does not name it and others may have something.
    fn of(&self, host: IpAddr) -> Option<&[busiest::Entry]> {
        let from = self.entries.partition_point(|e| e.0 < host);
        let until = from + self.entries[from..].partition_point(|e| e.0 == host);
        (from < until || self.bound == 0).then(|| &self.entries[from..until])
    }
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
        stop: &(dyn Fn() -> bool + Sync),
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
        let mut parts: Vec<Vec<Part>> = Vec::with_capacity(groups.len());
        let (mut number, mut bound) = (0u32, 0u64);
        for group in &groups {
            if stop() {
                return Err(Error::cancelled());
            }
            let taken = |kind: Kind| takes(ask.filter, kind, &group.zone, &group.setting) == Some(true);
            let Some(totals) = self.totals(group) else { return Ok(None) };
            let records = totals.kinds.iter().filter(|k| taken(k.kind)).flat_map(|k| &k.hours).map(Sums::records);
            summed.records += records.sum::<u64>();
            let Some(mut of) = self.parts_of(group, measure, &taken) else { return Ok(None) };
            for part in &mut of {
                number += 1;
                bound = bound.saturating_add(part.bound);
                part.entries.retain(|e| taken(e.1) && plays(e.2, by));
                for (host, _, _, sums) in &part.entries {
                    let found = hosts.entry(*host).or_default();
                    if !found.sums.add(sums) {
                        return Ok(None);
                    }
                    if found.last.replace(number) != Some(number) {
                        found.bounds = found.bounds.saturating_add(part.bound);
                    }
                }
            }
            parts.push(of);
        }
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
        let contenders: Vec<IpAddr> = hosts.iter().filter(|(_, found)| may(found)).map(|(host, _)| *host).collect();
        if contenders.len() > LOOKED_UP.max(most * 4) {
            return Ok(None);
        }
        let mut out = Vec::with_capacity(contenders.len());
        for host in contenders {
            if stop() {
                return Err(Error::cancelled());
            }
            let (mut sums, mut fits) = (Sums::default(), true);
            for (group, of) in groups.iter().zip(&parts) {
                let named: Option<Vec<&[busiest::Entry]>> = of.iter().map(|part| part.of(host)).collect();
                if let Some(named) = named {
                    named.into_iter().flatten().for_each(|e| fits &= sums.add(&e.3));
                    continue;
                }
                let taken = |kind: Kind| takes(ask.filter, kind, &group.zone, &group.setting) == Some(true);
                let Some(all) = self.hosts(group, Some(host)) else { return Ok(None) };
                let all = all.iter().filter(|h| taken(h.kind) && plays(h.role, by));
                all.for_each(|h| fits &= sums.add(&h.sums));
            }
            if !fits {
                return Ok(None);
            }
            out.push((host, sums));
        }
        Ok(Some((out, summed)))
    }
    /// The parts of a group. What was written without the busiest, of few hosts, is read whole.
    fn parts_of(&self, group: &Group<'_>, measure: usize, taken: &dyn Fn(Kind) -> bool) -> Option<Vec<Part>> {
        let of = |key: &[u8]| group.chunks.iter().filter(|c| *c.span.first == *key).count();
        if of(&busiest::KEY) != of(&[]) {
            let hosts = self.hosts(group, None)?;
            let mut entries: Vec<busiest::Entry> = hosts.into_iter().map(|h| (h.host, h.kind, h.role, h.sums)).collect();
            entries.sort_unstable_by_key(|e| e.0);
            return Some(vec![Part { bound: 0, entries }]);
        }
        let chunks = group.chunks.iter().filter(|c| *c.span.first == busiest::KEY);
        let part = |chunk: &&ChunkInfo| {
            let busiest = self.body(chunk, Busiest::read)?;
            Some(Part { bound: busiest.bound(measure, taken), entries: busiest.entries })
        };
        chunks.map(part).collect()
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
