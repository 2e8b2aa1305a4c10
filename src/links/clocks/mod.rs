//! Which clocks disagree, and by how much? Every source's clock against one reference, from what the records of both state alike.
//!
//! The reference is the source with the most flows whose times state their zone; one may be chosen by setting another's offset by hand. A
//! source that shares nothing with it is reached through one that does. Estimates are of stored times, which never change; they are kept
//! in the case and made anew for what grew.

pub mod estimate;
pub mod fit;
pub mod graph;
pub mod keys;
pub mod pairs;
pub mod peak;
pub mod rate;
pub mod synthetic;
pub mod together;

use crate::error::Result;
use crate::model::clock::{ClockEstimate, ClockState, KeyKind};
use crate::model::source::{Basis, SourceInfo, sighting_rank};
use crate::model::{Cancel, Kind, SourceId};
use crate::store::estimates::{Estimated, Estimates};
use crate::store::{Snapshot, Store};
use keys::Moments;
use std::collections::{BTreeMap, HashSet};

/// Moments held at a time, over all sources that are compared.
const HELD: usize = 4_000_000;
/// A source becomes the reference in place of another only if it has so many times its flows: else all clocks would move for nothing.
const OUTGROWN: u64 = 4;
/// What is not sure is tried again when the case has grown by this part: it takes reading the sources whole.
const GROWN: u64 = 8;
/// Most sources that a source is compared with besides the reference.
const OTHERS: usize = 8;
/// Fewest records that are worth a look.
const FEWEST: u64 = peak::FEWEST as u64;

/// Compares what came since the last time, keeps what it says in the case, and gives the sources of which more or something else is known.
pub fn renew(store: &Store, cancel: &Cancel) -> Result<Vec<SourceInfo>> {
    let snapshot = store.snapshot().committed();
    let before = store.estimates();
    let after = estimates(&snapshot, &before, cancel)?;
    if after == *before {
        return Ok(Vec::new());
    }
    store.keep_estimates(after)?;
    let changed = |s: &SourceInfo| {
        let old = before.of.get(&s.id.0).map(|e| &e.estimate);
        s.estimate.as_ref().is_some_and(|new| old.is_none_or(|old| is_news(old, new)))
    };
    Ok(store.sources().into_iter().filter(changed).collect())
}

/// Compares the clock of a source once more, or all of them, whatever was known of it; gives those sources as they are now.
pub fn measure(store: &Store, source: Option<SourceId>, cancel: &Cancel) -> Result<Vec<SourceInfo>> {
    let mut before = (*store.estimates()).clone();
    before.of.retain(|id, _| source.is_some_and(|source| source.0 != *id));
    let after = estimates(&store.snapshot().committed(), &before, cancel)?;
    store.keep_estimates(after)?;
    Ok(store.sources().into_iter().filter(|s| source.is_none_or(|source| source == s.id)).collect())
}

/// Whether a case has grown so much since its clocks were compared that it is worth comparing them again while a capture runs: that reads whole
/// sources.
pub fn has_grown(store: &Store) -> bool {
    let before = store.estimates().of.values().map(|e| e.of).max().unwrap_or(0);
    let sources = store.snapshot().committed().sources();
    let total: u64 = sources.iter().map(traffic).sum();
    sources.len() > 1 && total >= FEWEST && total > before + before / GROWN
}

/// Whether a person would want to know.
fn is_news(old: &ClockEstimate, new: &ClockEstimate) -> bool {
    let moved = |(a, b): (&crate::model::clock::ClockPiece, &crate::model::clock::ClockPiece)| {
        (a.offset - b.offset).abs() > old.uncertainty.max(new.uncertainty)
    };
    old.state != new.state || old.pieces.len() != new.pieces.len() || old.pieces.iter().zip(&new.pieces).any(moved)
}

/// The estimates of a view, given those of an earlier one.
pub fn estimates(snapshot: &Snapshot, before: &Estimates, cancel: &Cancel) -> Result<Estimates> {
    let sources = snapshot.sources();
    let mut after = Estimates::default();
    let Some(reference) = reference(&sources, before) else { return Ok(after) };
    let same = before.reference == Some(reference);
    after.reference = Some(reference);
    let rows: BTreeMap<u32, u64> = sources.iter().map(|s| (s.id.0, traffic(s))).collect();
    let total: u64 = rows.values().sum();
    let mut open: Vec<SourceId> = Vec::new();
    for source in &sources {
        if source.id == reference {
            after.of.insert(reference.0, Estimated { rows: rows[&reference.0], of: total, estimate: ClockEstimate::reference() });
            continue;
        }
        let rows = rows[&source.id.0];
        // What is sure stays until the source itself grows; the rest is tried again when the case does.
        let is_sure = |e: &Estimated| e.estimate.state == ClockState::Confident;
        let stays = |e: &&Estimated| same && e.rows == rows && (is_sure(e) || total <= e.of + e.of / GROWN);
        match before.of.get(&source.id.0).filter(stays) {
            Some(kept) => drop(after.of.insert(source.id.0, kept.clone())),
            None if rows < FEWEST => {
                after.of.insert(source.id.0, Estimated { rows, of: total, estimate: ClockEstimate::unknown() });
            }
            None => open.push(source.id),
        }
    }
    let mut measure = Measure { snapshot, reference, cancel, after: &mut after };
    while !open.is_empty() {
        let mut batch = Vec::new();
        let mut held = 0;
        while let Some(source) = open.pop() {
            let moments = keys::moments(snapshot, source, None, cancel)?;
            held += moments.keys().count();
            batch.push((source, moments));
            if held >= HELD {
                break;
            }
        }
        for (source, estimate) in measure.batch(&batch)? {
            let rows = rows[&source.0];
            measure.after.of.insert(source.0, Estimated { rows, of: total, estimate });
        }
    }
    Ok(after)
}

struct Measure<'a> {
    snapshot: &'a Snapshot,
    reference: SourceId,
    cancel: &'a Cancel,
    after: &'a mut Estimates,
}

impl Measure<'_> {
    /// The estimates of some sources: against the reference first, then against what is known by then.
    fn batch(&mut self, batch: &[(SourceId, Moments)]) -> Result<Vec<(SourceId, ClockEstimate)>> {
        let mut found: BTreeMap<SourceId, ClockEstimate> = BTreeMap::new();
        let reference = self.counterpart(self.reference, batch.iter().map(|(_, m)| m))?;
        for (source, moments) in batch {
            self.cancel.check()?;
            let estimate = compare(moments, &reference);
            let against = (estimate.state != ClockState::Unknown).then_some(self.reference);
            found.insert(*source, ClockEstimate { against, ..estimate });
        }
        drop(reference);
        // As long as somebody becomes known, others may through them.
        let mut tried: HashSet<(SourceId, SourceId)> = HashSet::new();
        loop {
            let unsure: Vec<&(SourceId, Moments)> =
                batch.iter().filter(|(s, _)| found.get(s).is_some_and(|e| e.state < ClockState::Confident)).collect();
            let mut known: Vec<(SourceId, u64)> = self
                .after
                .of
                .iter()
                .map(|(id, e)| (SourceId(*id), e))
                .filter(|(_, e)| e.estimate.state == ClockState::Confident)
                .map(|(id, e)| (id, e.rows))
                .collect();
            known.extend(found.iter().filter(|(_, e)| e.state == ClockState::Confident).map(|(id, e)| (*id, u64::from(e.keys))));
            known.sort_by_key(|(_, rows)| std::cmp::Reverse(*rows));
            let mut news = false;
            for (via, _) in known.into_iter().take(OTHERS) {
                let todo: Vec<_> = unsure.iter().filter(|(s, _)| tried.insert((*s, via))).collect();
                if todo.is_empty() {
                    continue;
                }
                let other = self.counterpart(via, todo.iter().map(|(_, m)| m))?;
                for (source, moments) in todo {
                    self.cancel.check()?;
                    let leg = compare(moments, &other);
                    let Some(rest) = found.get(&via).or_else(|| self.after.of.get(&via.0).map(|e| &e.estimate)) else { continue };
                    let whole = graph::join(&leg, via, rest);
                    let have = found.get(source).map_or(ClockState::Unknown, |e| e.state);
                    // A third clock does not settle what the reference itself leaves open in two ways.
                    if whole.state > have && (have == ClockState::Unknown || whole.state == ClockState::Confident) {
                        news |= whole.state == ClockState::Confident;
                        found.insert(*source, whole);
                    }
                }
            }
            if !news {
                break;
            }
        }
        let names: BTreeMap<SourceId, String> = self.snapshot.sources().into_iter().map(|s| (s.id, s.name)).collect();
        let name = |id: SourceId| names.get(&id).cloned().unwrap_or_else(|| id.0.to_string());
        together::settle(batch, &mut found, &name, &compare, self.cancel)?;
        Ok(found.into_iter().collect())
    }
    /// The moments of a source that have a key of others.
    fn counterpart<'m>(&self, source: SourceId, of: impl Iterator<Item = &'m Moments>) -> Result<Moments> {
        let wanted: HashSet<u64> = of.flat_map(Moments::keys).collect();
        keys::moments(self.snapshot, source, Some(&wanted), self.cancel)
    }
}

/// The clock of one source against another's: by the strongest kind of key that says something.
fn compare(source: &Moments, other: &Moments) -> ClockEstimate {
    let mut best = ClockEstimate::unknown();
    for kind in KeyKind::ALL {
        let (mine, theirs) = (source.of(kind), other.of(kind));
        if mine.len() < peak::FEWEST as usize || theirs.len() < peak::FEWEST as usize {
            continue;
        }
        let estimate = match kind {
            // It settles nothing that stronger keys left open.
            KeyKind::Client if best.state != ClockState::Unknown => continue,
            KeyKind::Client => rate::estimate(mine, theirs),
            _ => estimate::estimate(mine, theirs, kind),
        };
        // Two answers of stronger keys are not settled by weaker ones.
        if best.state == ClockState::Unknown || (best.state == ClockState::Tentative && estimate.state == ClockState::Confident) {
            best = estimate;
        }
        if matches!(best.state, ClockState::Confident | ClockState::Ambiguous) {
            break;
        }
    }
    best
}

/// Records of traffic.
fn traffic(source: &SourceInfo) -> u64 {
    source.kinds.iter().map(|(_, n)| n).sum()
}

/// The source that the others are compared with.
fn reference(sources: &[SourceInfo], before: &Estimates) -> Option<SourceId> {
    let flows = |s: &SourceInfo| s.kinds.iter().find(|(kind, _)| *kind == Kind::Flow).map_or(0, |(_, n)| *n);
    let stated = |s: &&SourceInfo| s.clock.zone_basis == Basis::Stated;
    let rank = |s: &SourceInfo| (flows(s), traffic(s), std::cmp::Reverse((sighting_rank(&s.key.format), s.id)));
    let best = sources.iter().filter(stated).max_by_key(|s| rank(s))?;
    let kept = before.reference.and_then(|id| sources.iter().find(|s| s.id == id));
    Some(kept.filter(|k| flows(k).max(1).saturating_mul(OUTGROWN) > flows(best)).unwrap_or(best).id)
}

#[cfg(test)]
mod tests;
