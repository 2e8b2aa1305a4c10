//! Differences between two clocks, as far as keys that both sources have say: every pair of moments with one key is a vote for the offset that
//! their difference is. Keys with few pairs come first, since they say most; a bound keeps time and memory in check.

use crate::model::clock::KeyKind;
use std::ops::Range;

/// A moment of a record that another source may have as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Hash of what both sources would state: ends, names, sizes.
    pub key: u64,
    /// Hash of whose moment it is: votes of one client at one time are one, since what one visit causes comes together.
    pub client: u32,
    /// First instant, nanoseconds of the source's own clock.
    pub start: i64,
    /// Last instant.
    pub end: i64,
}

/// Which instant of a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Edge {
    /// The first.
    Start,
    /// The last.
    End,
}

impl Edge {
    fn of(self, moment: &Moment) -> i64 {
        if self == Edge::Start { moment.start } else { moment.end }
    }
}

/// A vote: the source's clock is ahead of the reference by `ahead` at `at`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair {
    /// Source minus reference, nanoseconds.
    pub ahead: i64,
    /// The source's instant.
    pub at: i64,
    /// Number of its key among those that vote.
    pub key: u32,
    /// Number of the client's moment among those that vote.
    pub visit: u32,
    /// Number of the source's record.
    pub row: u32,
}

/// Most pairs that are looked at.
pub const MOST: usize = 6_000_000;
/// Most pairs of one key: beyond it is traffic so common that it says nothing.
const MOST_OF_KEY: usize = 2_500;
/// What one client does within so many nanoseconds is one visit.
const VISIT: i64 = 5_000_000_000;
/// The same of whole connections: no other has both ends and ports, so those that one action opens one after another each say something.
const CONNECTION: i64 = 100_000_000;

/// How long a visit is of which the keys are of a kind.
pub fn visit_of(kind: KeyKind) -> i64 {
    if kind == KeyKind::Connection { CONNECTION } else { VISIT }
}

/// Every moment's number, by key.
pub struct Keyed<'a> {
    moments: &'a [Moment],
    by_key: Vec<u32>,
}

impl<'a> Keyed<'a> {
    /// Of at most `u32::MAX` moments.
    pub fn new(moments: &'a [Moment]) -> Keyed<'a> {
        let mut by_key: Vec<u32> = (0..u32::try_from(moments.len()).unwrap_or(u32::MAX)).collect();
        by_key.sort_unstable_by_key(|i| (moments[*i as usize].key, *i));
        Keyed { moments, by_key }
    }
    fn key(&self, at: usize) -> u64 {
        self.moments[self.by_key[at] as usize].key
    }
    fn end_of(&self, at: usize) -> usize {
        let key = self.key(at);
        let mut end = at + 1;
        while end < self.by_key.len() && self.key(end) == key {
            end += 1;
        }
        end
    }
}

/// Keys that both sides have, those with the fewest pairs first, as far as the bounds allow: ranges in the order of both.
fn shared(source: &Keyed<'_>, reference: &Keyed<'_>, most: usize) -> Vec<(Range<usize>, Range<usize>)> {
    let (mut s, mut r) = (0, 0);
    let mut out = Vec::new();
    while s < source.by_key.len() && r < reference.by_key.len() {
        match source.key(s).cmp(&reference.key(r)) {
            std::cmp::Ordering::Less => s = source.end_of(s),
            std::cmp::Ordering::Greater => r = reference.end_of(r),
            std::cmp::Ordering::Equal => {
                let (s_end, r_end) = (source.end_of(s), reference.end_of(r));
                if (s_end - s).saturating_mul(r_end - r) <= MOST_OF_KEY {
                    out.push((s..s_end, r..r_end));
                }
                (s, r) = (s_end, r_end);
            }
        }
    }
    let count = |(s, r): &(Range<usize>, Range<usize>)| s.len() * r.len();
    out.sort_by_key(count);
    let mut sum = 0;
    let fits = out.iter().take_while(|ranges| {
        sum += count(ranges);
        sum <= most
    });
    let fits = fits.count();
    out.truncate(fits);
    out
}

/// The votes of two sources, sorted by difference. `edges`: which instant of the source is compared with which of the reference; `visit`: see
/// [`visit_of`].
pub fn pairs(source: &Keyed<'_>, reference: &Keyed<'_>, edges: (Edge, Edge), visit: i64, most: usize) -> Vec<Pair> {
    let shared = shared(source, reference, most);
    let mut out = Vec::with_capacity(shared.iter().map(|(s, r)| s.len() * r.len()).sum());
    // Visits are numbered by client and time: first as they come, then by rank.
    let mut visits: Vec<(u32, i64)> = Vec::new();
    for (key, (s, r)) in shared.into_iter().enumerate() {
        for row in &source.by_key[s] {
            let moment = &source.moments[*row as usize];
            let at = edges.0.of(moment);
            visits.push((moment.client, at.div_euclid(visit.max(1))));
            let number = (visits.len() - 1) as u32;
            for other in &reference.by_key[r.clone()] {
                let ahead = at.saturating_sub(edges.1.of(&reference.moments[*other as usize]));
                out.push(Pair { ahead, at, key: key as u32, visit: number, row: *row });
            }
        }
    }
    let mut ranked = visits.clone();
    ranked.sort_unstable();
    ranked.dedup();
    let rank: Vec<u32> = visits.iter().map(|v| ranked.binary_search(v).unwrap_or(0) as u32).collect();
    out.iter_mut().for_each(|p| p.visit = rank[p.visit as usize]);
    out.sort_unstable_by_key(|p| (p.ahead, p.at, p.row));
    out
}
