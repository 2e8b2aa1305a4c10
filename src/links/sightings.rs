//! One connection seen by several sources is one row: flows of different sources that agree in protocol and both ends, in either direction,
//! and overlap in corrected time.
//!
//! Shown is the flow of the source that is trusted most with counters ([`sighting_rank`], then the older source); the others are hidden and
//! named. Flows of one source are never merged. Memory is bounded by going over the flows several times, each time for a share of the ends.

use crate::error::Result;
use crate::model::source::sighting_rank;
use crate::model::time::SECOND;
use crate::model::{Cancel, EvidenceKey, RecordId, SourceId, Time};
use crate::store::{BlockId, FlowSight, Sightings, Snapshot};
use std::collections::{HashMap, HashSet};
use std::hash::BuildHasher;

/// Flows that are held in memory at a time (48 bytes each).
const SHARE: u64 = 2_000_000;
/// Flows of another source that one flow is compared with, the newest first: beyond it ends are used over and over, and order says little.
const MOST: usize = 4_096;
/// How far two sightings may be apart where both sources state parts of a second: rounding of nanoseconds to micro- or milliseconds.
const FINE: i64 = 1_000_000;

/// A flow in short.
struct Entry {
    ends: u64,
    start: i64,
    end: i64,
    offset: u64,
    block: u32,
    row: u32,
    ordinal: u16,
    source: u16,
}

/// What the flows of one block have in common.
struct Block {
    id: BlockId,
    rows: u32,
    evidence: EvidenceKey,
}

/// A source that gives flows.
struct Giver {
    id: SourceId,
    /// Some of its times have parts of a second.
    fine: bool,
}

/// Flows that are compared.
#[derive(Default)]
struct Gathered {
    entries: Vec<Entry>,
    blocks: Vec<Block>,
    numbers: HashMap<BlockId, u32>,
}

impl Gathered {
    fn add(&mut self, flow: &FlowSight, ends: u64, source: usize) {
        let block = *self.numbers.entry(flow.block).or_insert_with(|| {
            self.blocks.push(Block { id: flow.block, rows: flow.rows, evidence: flow.id.evidence });
            (self.blocks.len() - 1) as u32
        });
        self.entries.push(Entry {
            ends,
            start: flow.start.0,
            end: flow.end.0.max(flow.start.0),
            offset: flow.id.offset,
            block,
            row: flow.row,
            ordinal: flow.id.ordinal,
            source: source as u16,
        });
    }
    /// Finds which are sightings of one connection.
    fn merge(mut self, givers: &[Giver], cancel: &Cancel, found: &mut Sightings) -> Result<()> {
        // Trusted sources first, so that what is compared with is decided already.
        self.entries.sort_unstable_by_key(|e| (e.ends, e.source, e.start, e.offset, e.ordinal));
        for run in self.entries.chunk_by(|a, b| a.ends == b.ends) {
            merge(run, &self.blocks, givers, cancel, found)?;
        }
        Ok(())
    }
}

/// The sources that give flows, the most trusted first, and how many flows there are.
fn givers(snapshot: &Snapshot) -> (Vec<Giver>, u64) {
    let mut givers: Vec<(u8, Giver)> = Vec::new();
    let mut flows = 0u64;
    for source in snapshot.sources() {
        let n = source.kinds.iter().find(|(k, _)| *k == crate::model::Kind::Flow).map_or(0, |(_, n)| *n);
        if n > 0 {
            flows = flows.saturating_add(n);
            givers.push((sighting_rank(&source.key.format), Giver { id: source.id, fine: false }));
        }
    }
    givers.sort_by_key(|(rank, giver)| (*rank, giver.id));
    (givers.into_iter().map(|(_, giver)| giver).take(usize::from(u16::MAX)).collect(), flows)
}

fn compared(givers: &[Giver]) -> Vec<(SourceId, bool)> {
    givers.iter().map(|g| (g.id, g.fine)).collect()
}

fn is_fine(flow: &FlowSight) -> bool {
    flow.start.0.rem_euclid(SECOND) != 0
}

fn hash(flow: &FlowSight) -> u64 {
    foldhash::fast::FixedState::with_seed(7).hash_one(ends(flow))
}

/// Finds the sightings of every connection of a case. Cheap if at most one source gives flows.
pub fn find(snapshot: &Snapshot, cancel: &Cancel) -> Result<Sightings> {
    let mut found = Sightings::default();
    let (mut givers, flows) = givers(snapshot);
    if givers.len() < 2 {
        return Ok(found);
    }
    let shares = flows / SHARE + 1;
    for share in 0..shares {
        let mut gathered = Gathered::default();
        snapshot.flows(&|| cancel.is_cancelled(), &mut |flow| {
            let Some(source) = givers.iter().position(|g| g.id == flow.source) else { return true };
            givers[source].fine |= is_fine(&flow);
            let ends = hash(&flow);
            if ends % shares == share {
                gathered.add(&flow, ends, source);
            }
            true
        })?;
        cancel.check()?;
        gathered.merge(&givers, cancel, &mut found)?;
    }
    found.givers = compared(&givers);
    Ok(found)
}

/// The sightings of a case to which imports came (`is_new`, by their number), given those of the others: the same as [`find`] gives. Looks at the
/// flows that are new, and of the others at those of the same ends that they meet in time, that these meet, and so on. None: as they were.
pub fn more(snapshot: &Snapshot, base: &Sightings, is_new: &dyn Fn(u32) -> bool, cancel: &Cancel) -> Result<Option<Sightings>> {
    let (mut givers, _) = givers(snapshot);
    if givers.len() < 2 {
        return Ok(None);
    }
    if base.givers.len() < 2 {
        return find(snapshot, cancel).map(Some);
    }
    let known = |id: SourceId| base.givers.iter().find(|(known, _)| *known == id).map(|(_, fine)| *fine);
    givers.iter_mut().for_each(|g| g.fine = known(g.id).unwrap_or(false));
    let stop = || cancel.is_cancelled();
    let mut gathered = Gathered::default();
    // Of each pair of ends the time that flows of interest take.
    let mut spans: HashMap<u64, (i64, i64)> = HashMap::new();
    let mut anew = false;
    snapshot.flows_of(&|import, _| is_new(import), &stop, &mut |flow| {
        let Some(source) = givers.iter().position(|g| g.id == flow.source) else { return true };
        if is_fine(&flow) && !givers[source].fine {
            // How far flows of this source may be from others' is another matter now, of old ones too.
            anew |= known(flow.source).is_some();
            givers[source].fine = true;
        }
        let ends = hash(&flow);
        gathered.add(&flow, ends, source);
        let span = spans.entry(ends).or_insert((flow.start.0, flow.end.0));
        *span = (span.0.min(flow.start.0), span.1.max(flow.end.0).max(flow.start.0));
        anew |= gathered.entries.len() as u64 > SHARE;
        !anew
    })?;
    if anew {
        return find(snapshot, cancel).map(Some);
    }
    let new = gathered.entries.len();
    let mut have: HashSet<(BlockId, u32)> = HashSet::new();
    let mut out = base.clone();
    // Rows that were written anew with others are new here: what was known of them is found again.
    for flow in &gathered.entries {
        let evidence = gathered.blocks[flow.block as usize].evidence;
        out.seen_by.remove(&RecordId { evidence, offset: flow.offset, ordinal: flow.ordinal });
    }
    loop {
        let (first, last) = spans.values().fold((i64::MAX, i64::MIN), |all, s| (all.0.min(s.0), all.1.max(s.1)));
        let (first, last) = (Time(first.saturating_sub(SECOND)), Time(last.saturating_add(SECOND)));
        let mut grown = false;
        snapshot.flows_of(&|import, window| !is_new(import) && window.overlaps(first, last), &stop, &mut |flow| {
            let ends = hash(&flow);
            let Some(span) = spans.get_mut(&ends) else { return true };
            let end = flow.end.0.max(flow.start.0);
            let meets = flow.start.0 <= span.1.saturating_add(SECOND) && end >= span.0.saturating_sub(SECOND);
            let source = givers.iter().position(|g| g.id == flow.source);
            let Some(source) = source.filter(|_| meets && have.insert((flow.block, flow.row))) else { return true };
            grown |= flow.start.0 < span.0 || end > span.1;
            *span = (span.0.min(flow.start.0), span.1.max(end));
            gathered.add(&flow, ends, source);
            out.unmask(flow.block, flow.row);
            out.seen_by.remove(&flow.id);
            true
        })?;
        cancel.check()?;
        if !grown {
            break;
        }
    }
    let met = gathered.entries.len() > new;
    gathered.merge(&givers, cancel, &mut out)?;
    let same = !met && out.masked.len() == base.masked.len() && out.givers.len() == givers.len();
    out.givers = compared(&givers);
    Ok((!same).then_some(out))
}

/// Protocol and both ends in an order that does not depend on the direction.
fn ends(flow: &FlowSight) -> (u8, (std::net::IpAddr, u16), (std::net::IpAddr, u16)) {
    let end = |(addr, port): (std::net::IpAddr, u16)| (addr.to_canonical(), port);
    let (a, b) = (end(flow.src), end(flow.dst));
    if a <= b { (flow.proto, a, b) } else { (flow.proto, b, a) }
}

/// Flows of the same ends, trusted sources first, each source's in order of time.
fn merge(run: &[Entry], blocks: &[Block], givers: &[Giver], cancel: &Cancel, found: &mut Sightings) -> Result<()> {
    cancel.check()?;
    if run.first().map(|e| e.source) == run.last().map(|e| e.source) {
        return Ok(());
    }
    // Per source the shown flows so far, with the longest span: flows of one source and ends rarely overlap, so the search is short.
    let mut shown: Vec<(u16, i64, Vec<&Entry>)> = Vec::new();
    for (n, flow) in run.iter().enumerate() {
        if n % 1024 == 1023 {
            cancel.check()?;
        }
        let mut hidden = false;
        for (source, longest, others) in shown.iter().filter(|(source, ..)| *source != flow.source) {
            let slack = if givers[usize::from(*source)].fine && givers[usize::from(flow.source)].fine { FINE } else { SECOND };
            let last = others.partition_point(|o| o.start <= flow.end.saturating_add(slack));
            for other in others[..last].iter().rev().take(MOST) {
                if other.start.saturating_add(*longest) < flow.start.saturating_sub(slack) {
                    break;
                }
                if other.end.saturating_add(slack) < flow.start {
                    continue;
                }
                hidden = true;
                let block = &blocks[other.block as usize];
                let id = RecordId { evidence: block.evidence, offset: other.offset, ordinal: other.ordinal };
                let seen = found.seen_by.entry(id).or_default();
                let by = givers[usize::from(flow.source)].id;
                if !seen.contains(&by) {
                    seen.push(by);
                }
            }
        }
        if hidden {
            let block = &blocks[flow.block as usize];
            found.mask(block.id, block.rows, flow.row);
            continue;
        }
        let span = flow.end.saturating_sub(flow.start);
        match shown.iter_mut().find(|(source, ..)| *source == flow.source) {
            Some((_, longest, list)) => {
                *longest = (*longest).max(span);
                list.push(flow);
            }
            None => shown.push((flow.source, span, vec![flow])),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::links::world::World;
    use crate::model::{Filter, Kind, field};
    use crate::store::Ask;
    use std::sync::Arc;

    #[test]
    fn a_capture_with_its_own_logs_shows_every_connection_once() {
        let mut world = World::new();
        let pcap = world.source("pcap", "dmz");
        let zeek = world.source("zeek-conn", "dmz");
        let eve = world.source("suricata-eve", "dmz");
        // The connection, its reverse by one source, its two halves by another; and a later one over the same ports.
        let shown = world.flow(pcap, 1_000, 9_000, "10.0.0.5:4000", "192.0.2.1:443");
        world.flow(zeek, 1_000, 9_000, "192.0.2.1:443", "10.0.0.5:4000");
        world.flow(eve, 1_000, 3_000, "10.0.0.5:4000", "192.0.2.1:443");
        world.flow(eve, 4_000, 9_000, "10.0.0.5:4000", "192.0.2.1:443");
        let later = world.flow(eve, 60_500, 61_000, "10.0.0.5:4000", "192.0.2.1:443");
        world.flow(pcap, 60_000, 60_300, "10.0.0.6:4000", "192.0.2.1:443");
        let snapshot = world.snapshot();
        let sightings = find(&snapshot, &Cancel::default()).unwrap();
        assert_eq!(sightings.seen_by.get(&shown), Some(&vec![zeek, eve]));
        assert_eq!(sightings.seen_by.len(), 1);
        let merged = snapshot.with_sightings(Arc::new(sightings));
        let all = Filter::is(field::KIND, Kind::Flow.name());
        let mut rows = Vec::new();
        merged
            .select(&Ask::new(&all), &|| false, &mut |r| {
                rows.push(r);
                true
            })
            .unwrap();
        assert_eq!(rows.len(), 3);
        assert_eq!(rows[0].seen_by, [zeek, eve]);
        assert_eq!(rows[2].id, later);
    }

    #[test]
    fn sources_of_whole_seconds_may_be_a_second_off_and_others_not() {
        let mut world = World::new();
        let pcap = world.source("pcap", "a");
        let whole = world.source("conntrack", "a");
        let fine = world.source("suricata-eve", "a");
        let shown = world.flow(pcap, 1_700, 1_900, "10.0.0.5:4000", "192.0.2.1:53");
        world.flow(whole, 1_000, 1_000, "10.0.0.5:4000", "192.0.2.1:53");
        world.flow(fine, 2_500, 2_600, "10.0.0.5:4000", "192.0.2.1:53");
        let sightings = find(&world.snapshot(), &Cancel::default()).unwrap();
        assert_eq!(sightings.seen_by.get(&shown), Some(&vec![whole]));
    }
}
