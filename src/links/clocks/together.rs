//! Sources that were measured at once are compared with each other as well, and all of it is solved together ([`graph::solve`]).
//!
//! Each has its offset from one comparison until then. Where others agree it becomes surer; where at least two say otherwise and none agrees, it
//! is not applied, and that is said.

use super::graph::{self, Leg};
use super::keys::Moments;
use crate::error::Result;
use crate::model::clock::{ClockEstimate, ClockState, KeyKind, Meaning, offset_in_words};
use crate::model::{Cancel, SourceId, Time};
use std::collections::BTreeMap;

/// Sources that are solved together, those of most records: their equations take the cube of it.
const SOURCES: usize = 64;
/// Other sources that one is compared with, those of most keys.
const PARTNERS: usize = 4;
/// Moments that are compared in all: reading them took as long.
const COMPARED: usize = 4_000_000;
/// Half of a 95 % interval in standard errors.
const HALF: f64 = 1.96;
/// Times are not surer than this part of what a single event may be off: what the way of packets and the writing of logs adds is not chance.
const SYSTEMATIC: f64 = 0.02;

/// Settles what was found of some sources; `compare` compares two of them.
pub fn settle(
    batch: &[(SourceId, Moments)],
    found: &mut BTreeMap<SourceId, ClockEstimate>,
    name: &dyn Fn(SourceId) -> String,
    compare: &dyn Fn(&Moments, &Moments) -> ClockEstimate,
    cancel: &Cancel,
) -> Result<()> {
    let even = |e: &ClockEstimate| e.state == ClockState::Confident && e.pieces.len() == 1 && e.key != KeyKind::Client;
    let mut nodes: Vec<&(SourceId, Moments)> = batch.iter().filter(|(id, _)| found.get(id).is_some_and(even)).collect();
    nodes.sort_by_key(|(id, moments)| (std::cmp::Reverse(moments.rows), *id));
    nodes.truncate(SOURCES);
    let sizes: Vec<usize> = nodes.iter().map(|n| n.1.keys().count()).collect();
    let number = |id: SourceId| nodes.iter().position(|n| n.0 == id);
    let mut legs: Vec<Leg> = Vec::new();
    for (n, (id, _)) in nodes.iter().enumerate() {
        let own = &found[id];
        let other = own.through.first().and_then(|via| number(*via));
        legs.push(Leg { one: n, other, off: 0.0, error: error(own), bound: f64::INFINITY, own: true });
    }
    let (mut compared, mut partners) = (0, vec![0; nodes.len()]);
    for a in 0..nodes.len() {
        for b in a + 1..nodes.len() {
            cancel.check()?;
            let ((one, mine), (other, theirs)) = (nodes[a], nodes[b]);
            let (first, second) = (&found[one], &found[other]);
            // One that tells of the end of what the other tells the beginning of is off by how long that takes.
            let alike = first.meaning == second.meaning && first.meaning != Meaning::Undetermined;
            let known = first.through.contains(other) || second.through.contains(one);
            let size = sizes[a] + sizes[b];
            if !alike || known || partners[a] >= PARTNERS || partners[b] >= PARTNERS || compared + size > COMPARED {
                continue;
            }
            compared += size;
            let leg = compare(mine, theirs);
            if !even(&leg) {
                continue;
            }
            partners[a] += 1;
            partners[b] += 1;
            let off = leg.pieces[0].offset.saturating_sub(believed(first, second, leg.pieces[0].middle)) as f64;
            // The differences of two that are cut off alike are multiples of that, and so is their median.
            let grain = first.resolution.min(second.resolution) as f64 / 12f64.sqrt();
            let error = error(&leg).hypot(grain);
            let bound = (leg.uncertainty.max(first.uncertainty).max(second.uncertainty)) as f64 + 4.0 * error;
            legs.push(Leg { one: a, other: Some(b), off, error, bound, own: false });
        }
    }
    if legs.len() == nodes.len() {
        return Ok(());
    }
    let Some(solved) = graph::solve(nodes.len(), &legs) else { return Ok(()) };
    let ids: Vec<SourceId> = nodes.iter().map(|n| n.0).collect();
    for (n, together) in solved.into_iter().enumerate() {
        let Some(estimate) = found.get_mut(&ids[n]) else { continue };
        let (agree, against) = (together.agree, &together.contradict);
        if agree > 0 {
            if let Some(piece) = estimate.pieces.first_mut() {
                piece.offset = piece.offset.saturating_add(together.more as i64);
            }
            estimate.interval = estimate.interval.min((HALF * together.error) as i64).max(1);
            estimate.remarks.push(format!("{agree} other clock{} with it", if agree == 1 { " agrees" } else { "s agree" }));
        }
        if !against.is_empty() {
            let others: Vec<String> = against.iter().map(|n| name(ids[*n])).collect();
            let here = offset_in_words(estimate.pieces[0].offset);
            estimate.remarks.push(format!("compared with {} it is not {here}", others.join(", ")));
            if against.len() > 1 && agree == 0 {
                estimate.state = ClockState::Ambiguous;
            }
        }
    }
    Ok(())
}

/// Standard error of an offset, nanoseconds.
fn error(of: &ClockEstimate) -> f64 {
    (of.interval as f64 / HALF).hypot(of.uncertainty as f64 * SYSTEMATIC).max(1.0)
}

/// How much one source is ahead of another, by what is believed of both, when its clock shows `raw`.
fn believed(one: &ClockEstimate, other: &ClockEstimate, raw: Time) -> i64 {
    let ahead = one.ahead(raw);
    let true_time = raw.plus(ahead.saturating_neg());
    let shown = true_time.plus(other.ahead(true_time));
    ahead.saturating_sub(other.ahead(shown))
}
