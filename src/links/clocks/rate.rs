//! Where two sources have nothing but their clients in common: is there one difference at which each client is active in both?
//!
//! The cross-correlation of when clients are seen, second by second, without what changes slowly (business hours make everybody alike). What it says is a
//! lead, never a correction: whoever acts on a timetable does so in every source.

use super::estimate::{self, Piece, SURE};
use super::pairs::{self, Edge, Moment, Pair};
use super::peak::{self, Peak};
use crate::model::clock::{ClockEstimate, ClockState, KeyKind, Meaning};
use crate::model::time::SECOND;
use std::collections::{BTreeMap, HashSet};

/// Greatest difference that is looked for, seconds: a zone, and the date line.
const FAR: i64 = 26 * 3_600;
/// Half of the span over which what changes slowly is averaged, seconds.
const SLOW: usize = 300;
/// Seconds that are counted on each side: those at the ends only for the averages.
const REACH: i64 = FAR + 2 * SLOW as i64;
/// Most pairs of moments that are looked at, clients with few of them first: one that many hide behind is seen all the time, and says nothing.
const MOST: usize = 60_000_000;
/// How many times as far from the median as most differences the best one has to be.
const DISTINCT: f64 = 12.0;
/// How many times the next one, further off than `NEXT` seconds.
const CLEARLY: f64 = 1.5;
const NEXT: usize = 5;
/// Fewest distinct visits of clients.
const ENOUGH: usize = 24;
/// How far from the best difference votes are gathered for the line, nanoseconds: as [`super::fit`] does around a peak of two seconds.
const AROUND: i64 = 8 * SECOND;
/// A visit, nanoseconds: what one client does meanwhile is one vote.
const VISIT: i64 = 5 * SECOND;

/// What is known of a client: its moments in either source.
type Clients = BTreeMap<u64, (Vec<(i64, u32, u32)>, Vec<i64>)>;

/// The clock of a source against a reference; `Unknown` if no difference stands out. Keys of moments are clients.
pub fn estimate(source: &[Moment], reference: &[Moment]) -> ClockEstimate {
    let lasts = reference.iter().any(|m| m.end != m.start);
    let edges: &[Edge] = if lasts { &[Edge::Start, Edge::End] } else { &[Edge::Start] };
    let found: Vec<(Edge, f64, Vec<Pair>, Peak)> = edges
        .iter()
        .filter_map(|edge| {
            let clients = clients(source, reference, *edge);
            let (ahead, height) = best(&clients)?;
            let (votes, peak) = votes(&clients, ahead)?;
            Some((*edge, height, votes, peak))
        })
        .collect();
    let Some((edge, height, votes, peak)) = found.iter().max_by(|a, b| a.1.total_cmp(&b.1)) else {
        return ClockEstimate::unknown();
    };
    let open = found.iter().any(|(other, next, ..)| other != edge && next * CLEARLY > *height);
    let meaning = match edge {
        _ if open => Meaning::Undetermined,
        Edge::Start => Meaning::Start,
        Edge::End => Meaning::End,
    };
    let Some(piece) = Piece::of(votes, peak) else { return ClockEstimate::unknown() };
    let mut found = estimate::finish(votes, piece, (KeyKind::Client, meaning), estimate::resolution(source));
    // Rhythms are no evidence of single events.
    found.state = found.state.min(ClockState::Tentative);
    found.remarks.push("nothing but clients is common: by when each was active".to_owned());
    found
}

/// The moments of clients that both sources have.
fn clients(source: &[Moment], reference: &[Moment], edge: Edge) -> Clients {
    let mut clients: Clients = BTreeMap::new();
    for (row, moment) in source.iter().enumerate() {
        clients.entry(moment.key).or_default().0.push((moment.start, moment.client, u32::try_from(row).unwrap_or(u32::MAX)));
    }
    for moment in reference {
        if let Some(client) = clients.get_mut(&moment.key) {
            client.1.push(if edge == Edge::Start { moment.start } else { moment.end });
        }
    }
    let pairs = |(mine, theirs): &(Vec<_>, Vec<_>)| mine.len().saturating_mul(theirs.len());
    let mut sizes: Vec<(usize, u64)> = clients.iter().map(|(key, of)| (pairs(of), *key)).collect();
    sizes.sort_unstable();
    let mut sum = 0usize;
    for (pairs, key) in sizes {
        sum = sum.saturating_add(pairs);
        if pairs == 0 || sum > MOST {
            clients.remove(&key);
        }
    }
    for (mine, theirs) in clients.values_mut() {
        mine.sort_unstable();
        theirs.sort_unstable();
    }
    clients
}

/// The difference that stands out, in nanoseconds, and how far.
fn best(clients: &Clients) -> Option<(i64, f64)> {
    let seconds = |times: &mut dyn Iterator<Item = i64>| {
        let mut out: Vec<i64> = times.map(|t| t.div_euclid(SECOND)).collect();
        out.dedup();
        out
    };
    let mut counted = vec![0f64; 2 * REACH as usize + 1];
    for (mine, theirs) in clients.values() {
        let (mine, theirs) = (seconds(&mut mine.iter().map(|m| m.0)), seconds(&mut theirs.iter().copied()));
        // Who is seen all the time says no more than who is seen rarely.
        let weight = 1.0 / ((mine.len() * theirs.len()) as f64).sqrt();
        let mut from = 0;
        for second in &mine {
            while theirs.get(from).is_some_and(|t| *t < second - REACH) {
                from += 1;
            }
            for other in theirs[from..].iter().take_while(|t| **t <= second + REACH) {
                counted[(second - other + REACH) as usize] += weight;
            }
        }
    }
    // Both series without their moving averages: in their correlation that is averaging it twice.
    let sharp = without_slow(&without_slow(&counted));
    // A difference lies between two seconds.
    let two: Vec<f64> = sharp.windows(2).map(|w| w[0] + w[1]).collect();
    let (at, height) = two.iter().copied().enumerate().max_by(|a, b| a.1.total_cmp(&b.1))?;
    let middle = super::fit::median(two.clone());
    let spread = 1.4826 * super::fit::median(two.iter().map(|v| (v - middle).abs()).collect());
    let next = two.iter().enumerate().filter(|(n, _)| n.abs_diff(at) > NEXT).map(|(_, v)| *v).fold(0.0, f64::max);
    let score = (height - middle) / spread;
    let stands_out = spread > 0.0 && score >= DISTINCT && height >= CLEARLY * next;
    let lag = at as i64 + 2 * SLOW as i64 - REACH;
    stands_out.then(|| (lag * SECOND + SECOND / 2, score))
}

/// A series minus its moving average; shorter by the span of that at both ends.
fn without_slow(series: &[f64]) -> Vec<f64> {
    let span = 2 * SLOW + 1;
    let mut sum: f64 = series.iter().take(span).sum();
    let mut out = Vec::with_capacity(series.len().saturating_sub(span) + 1);
    for at in SLOW..series.len().saturating_sub(SLOW) {
        out.push(series[at] - sum / span as f64);
        sum += series.get(at + SLOW + 1).unwrap_or(&0.0) - series[at - SLOW];
    }
    out
}

/// The votes around a difference, and how likely chance gives so many visits within a second of it.
fn votes(clients: &Clients, ahead: i64) -> Option<(Vec<Pair>, Peak)> {
    let (mut votes, mut around) = (Vec::new(), 0usize);
    let mut visits: HashSet<(u32, i64)> = HashSet::new();
    let mut numbers: BTreeMap<(u32, i64), u32> = BTreeMap::new();
    for (key, (mine, theirs)) in clients.values().enumerate() {
        for (at, client, row) in mine {
            let near = |by: i64| {
                let low = theirs.partition_point(|t| *t < at - ahead - by);
                low..low + theirs[low..].partition_point(|t| *t <= at - ahead + by)
            };
            around += near(1_800 * SECOND).len().saturating_sub(near(60 * SECOND).len());
            for other in &theirs[near(AROUND)] {
                let visit = (*client, at.div_euclid(VISIT));
                if (at - other - ahead).abs() <= SECOND {
                    visits.insert(visit);
                }
                if votes.len() >= pairs::MOST {
                    return None;
                }
                let next = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
                let visit = *numbers.entry(visit).or_insert(next);
                votes.push(Pair { ahead: at - other, at: *at, key: key as u32, visit, row: *row });
            }
        }
    }
    votes.sort_unstable_by_key(|p| (p.ahead, p.at, p.row));
    let expected = around as f64 * 2.0 / (2.0 * (1_800.0 - 60.0));
    let log_p = (2.0 * FAR as f64).ln() + peak::log_tail(expected.max(0.02), u32::try_from(visits.len()).unwrap_or(u32::MAX));
    let peak = Peak { ahead, width: 2 * SECOND, votes: visits.len() as u32, log_p };
    (visits.len() >= ENOUGH && log_p < SURE).then_some((votes, peak))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::synthetic::Random;

    /// A day of clients in a log and in flows: of its rows some are of flows.
    fn day(seed: u64, rows: usize, matched: usize, ahead: i64) -> (Vec<Moment>, Vec<Moment>) {
        let mut random = Random::new(seed);
        let start = |random: &mut Random| loop {
            let at = random.unit();
            // More by day than by night.
            if random.unit() < 0.6 + 0.4 * (at * std::f64::consts::TAU).sin() {
                break 1_763_600_000 * SECOND + (at * 86_400e9) as i64;
            }
        };
        let made = |random: &mut Random, at: i64| {
            let client = random.below(50);
            let end = at + (random.unit() * 20e9) as i64;
            Moment { key: client, client: client as u32, start: at, end }
        };
        let flows: Vec<Moment> = (0..8_000)
            .map(|_| {
                let at = start(&mut random);
                made(&mut random, at)
            })
            .collect();
        let log = (0..rows)
            .map(|n| {
                let at = start(&mut random);
                let moment = if n < matched { flows[n * flows.len() / matched] } else { made(&mut random, at) };
                let at = (moment.start + ahead).div_euclid(SECOND) * SECOND;
                Moment { start: at, end: at, ..moment }
            })
            .collect();
        (log, flows)
    }

    #[test]
    fn a_difference_at_which_clients_are_active_in_both_is_a_lead_and_no_more() {
        for (seed, ahead) in [-25_162_600_000_000, 19_787_750_000_000, 3_000_000_000, 0].into_iter().enumerate() {
            let (log, flows) = day(seed as u64, 2_000, 1_000, ahead);
            let found = estimate(&log, &flows);
            assert_eq!((found.state, found.key), (ClockState::Tentative, KeyKind::Client), "{ahead} {found:?}");
            // The log's times are whole seconds.
            assert!((found.pieces[0].offset - ahead + SECOND / 2).abs() < SECOND / 4, "{ahead} {:?}", found.pieces);
            assert!(found.meaning == Meaning::Start && !found.applies(), "{found:?}");
        }
    }

    #[test]
    fn business_hours_timetables_and_chance_are_no_clock() {
        for seed in 0..30 {
            let (log, flows) = day(100 + seed, [500, 2_000, 6_000][seed as usize % 3], 0, 0);
            assert_eq!(estimate(&log, &flows).state, ClockState::Unknown, "{seed}");
        }
        // Everybody every ten minutes, in both.
        let moment = |host: u64, at: i64| Moment { key: host, client: host as u32, start: at, end: at };
        let all = |ahead: i64| {
            let of = move |host: u64| (0..144).map(move |n| moment(host, (1_763_600_000 + n * 600) * SECOND + ahead));
            (0..50).flat_map(of).collect::<Vec<_>>()
        };
        assert_eq!(estimate(&all(7 * SECOND), &all(0)).state, ClockState::Unknown);
        assert_eq!(estimate(&[], &all(0)).state, ClockState::Unknown);
    }

    #[test]
    fn one_that_many_hide_behind_does_not_hide_the_others() {
        let (mut log, mut flows) = day(7, 2_000, 1_000, -25_162_600_000_000);
        let alone = estimate(&log, &flows);
        let moment = |n: i64| Moment { key: 99, client: 99, start: 1_763_600_000 * SECOND + n * 8_000_000, end: 0 };
        let gateway = (0..10_000).map(moment).map(|m| Moment { end: m.start, ..m });
        log.extend(gateway.clone());
        flows.extend(gateway);
        let found = estimate(&log, &flows);
        assert_eq!((found.state, &found.pieces[0].offset), (ClockState::Tentative, &alone.pieces[0].offset));
    }
}
