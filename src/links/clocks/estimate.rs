//! What two lists of moments say about the clock of one against the other's: which edges are compared, pieces between steps, rivals.

use super::fit::{self, Line};
use super::pairs::{self, Edge, Keyed, Moment, Pair};
use super::peak::{self, Peak};
use crate::model::clock::{ClockEstimate, ClockPiece, ClockState, KeyKind, Meaning};
use crate::model::time::{SECOND, Time};
use std::collections::HashSet;

/// Below this logarithm of the probability that chance does it a peak is accepted.
pub const SURE: f64 = -14.0;
/// Distinct keys from which on a clock is sure.
const ENOUGH: u32 = 24;
/// A line explains what is not further from it.
const EXPLAINED: f64 = 2.5 * SECOND as f64;
/// Most pieces.
const PIECES: usize = 6;
/// How much more the chosen edges, or the chosen offset, must explain than the next.
const CLEARLY: f64 = 1.3;
/// A piece that overlaps the first and explains a smaller share of what that does is chance or somebody else.
const SLIGHT: f64 = 0.2;
/// Share of a piece's votes that may be on the other side of a step, by chance.
const CHANCE: f64 = 0.1;
/// Points of a picture.
const POINTS: usize = 400;

/// A line with what it rests on.
pub(super) struct Piece {
    line: Line,
    keys: u32,
    rows: HashSet<u32>,
    log_p: f64,
    /// When its votes are, by the reference, in order: by a clock that was set back those of two pieces would overlap.
    times: Vec<i64>,
}

impl Piece {
    pub(super) fn of(pairs: &[Pair], peak: &Peak) -> Option<Piece> {
        let line = fit::fit(pairs, peak.ahead, peak.width)?;
        let keys: HashSet<u32> = line.fitting.iter().map(|i| pairs[*i].key).collect();
        let visits: HashSet<u32> = line.fitting.iter().map(|i| pairs[*i].visit).collect();
        let keys = keys.len().min(visits.len()) as u32;
        let rows = line.fitting.iter().map(|i| pairs[*i].row).collect();
        let mut times: Vec<i64> = line.fitting.iter().map(|i| pairs[*i].at.saturating_sub(pairs[*i].ahead)).collect();
        times.sort_unstable();
        (keys >= peak::FEWEST).then_some(Piece { line, keys, rows, log_p: peak.log_p, times })
    }
    fn find(pairs: &[Pair], leave: Option<(i64, i64)>) -> Option<Piece> {
        let peak = peak::find(pairs, leave).filter(|p| p.log_p < SURE)?;
        Piece::of(pairs, &peak)
    }
    fn median(&self) -> i64 {
        self.times[self.times.len() / 2]
    }
    /// The instant (by the reference) that parts this piece from a later one, if nine tenths of the votes of each are on its own side: the
    /// others may be chance.
    fn parted(&self, later: &Piece) -> Option<i64> {
        let wrong = |cut: i64| {
            let after = self.times.len() - self.times.partition_point(|t| *t <= cut);
            let before = later.times.partition_point(|t| *t <= cut);
            (after as f64 / self.times.len() as f64, before as f64 / later.times.len() as f64)
        };
        let cuts = self.times.iter().chain(later.times.first().map(|_| &later.times[0])).copied();
        let best = cuts.map(|cut| (wrong(cut), cut)).min_by(|(a, _), (b, _)| (a.0 + a.1).total_cmp(&(b.0 + b.1)));
        // Between the last before it and the first after it.
        best.filter(|((a, b), _)| *a <= CHANCE && *b <= CHANCE).map(|(_, cut)| {
            let next = later.times[later.times.partition_point(|t| *t <= cut).min(later.times.len() - 1)];
            cut + (next - cut).max(0) / 2
        })
    }
    /// Whether most of its keys (of votes `own`) fit the other piece (of votes `all`) too.
    fn shares(&self, other: &Piece, all: &[Pair], own: &[Pair]) -> bool {
        let theirs: HashSet<u32> = other.line.fitting.iter().map(|i| all[*i].key).collect();
        let mine: HashSet<u32> = self.line.fitting.iter().map(|i| own[*i].key).collect();
        mine.intersection(&theirs).count() * 2 > mine.len()
    }
    fn is_apart(&self, other: &Piece) -> bool {
        let (first, later) = if self.median() <= other.median() { (self, other) } else { (other, self) };
        first.parted(later).is_some()
    }
}

/// The clock of a source against a reference; `Unknown` if they share too little.
pub fn estimate(source: &[Moment], reference: &[Moment], key: KeyKind) -> ClockEstimate {
    let (by_source, by_reference) = (Keyed::new(source), Keyed::new(reference));
    let lasts = |moments: &[Moment]| moments.iter().any(|m| m.end != m.start);
    let (source_lasts, reference_lasts) = (lasts(source), lasts(reference));
    let mut all = vec![(Edge::Start, Edge::Start)];
    if source_lasts && reference_lasts {
        all.push((Edge::End, Edge::End));
    }
    if reference_lasts {
        all.push((Edge::Start, Edge::End));
    }
    if source_lasts {
        all.push((Edge::End, Edge::Start));
    }
    // The best of every choice of edges; their votes are made anew where they are needed again: memory counts.
    let mut tried: Vec<((Edge, Edge), Piece)> = Vec::new();
    for edges in all {
        let pairs = pairs::pairs(&by_source, &by_reference, edges, pairs::visit_of(key), pairs::MOST);
        tried.extend(Piece::find(&pairs, None).map(|piece| (edges, piece)));
    }
    let score = |(_, piece): &((Edge, Edge), Piece)| (piece.rows.len(), std::cmp::Reverse(piece.line.spread as i64));
    tried.sort_by_key(|t| std::cmp::Reverse(score(t)));
    // Of those that explain nearly as much the one that scatters least.
    let most = tried.first().map_or(0, |(_, p)| p.rows.len()) as f64;
    tried.retain(|(_, p)| p.rows.len() as f64 * CLEARLY >= most);
    let least = tried.iter().enumerate().min_by(|a, b| a.1.1.line.spread.total_cmp(&b.1.1.line.spread)).map(|(n, _)| n);
    if let Some(least) = least
        && tried[least].1.line.spread * 2.0 < tried[0].1.line.spread
    {
        tried.swap(0, least);
    }
    let mut tried = tried.into_iter();
    let Some((edges, first)) = tried.next() else { return ClockEstimate::unknown() };
    // (start, start) and (end, end) mean the same: both of the source's instants are what they are called.
    let alike = |a: (Edge, Edge), b: (Edge, Edge)| (a.0 == a.1) == (b.0 == b.1);
    let open = tried.any(|(other, p)| !alike(edges, other) && p.line.spread < 2.0 * first.line.spread.max(1e6));
    let meaning = match (open, edges.1) {
        (true, _) => Meaning::Undetermined,
        (false, Edge::Start) => Meaning::Start,
        (false, Edge::End) => Meaning::End,
    };
    let votes = pairs::pairs(&by_source, &by_reference, edges, pairs::visit_of(key), pairs::MOST);
    finish(&votes, first, (key, meaning), resolution(source))
}

/// Steps, rivals and the state.
pub(super) fn finish(pairs: &[Pair], first: Piece, (key, meaning): (KeyKind, Meaning), resolution: i64) -> ClockEstimate {
    let around = (4.0 * first.line.spread).max(8.0 * SECOND as f64) as i64;
    let rival = {
        let same: Vec<Pair> = pairs.iter().filter(|p| first.rows.contains(&p.row)).copied().collect();
        Piece::find(&same, Some((first.line.offset as i64, around)))
    };
    let rival = rival.map(|r| (r.line.offset as i64, r.keys, r.rows.len() as f64 * CLEARLY >= first.rows.len() as f64));
    let mut ambiguous = rival.is_some_and(|(.., close)| close);
    let mut rest: Vec<Pair> = pairs.to_vec();
    let mut pieces = vec![first];
    let mut remarks = Vec::new();
    while pieces.len() < PIECES && !ambiguous {
        let last = &pieces[pieces.len() - 1];
        let explained: HashSet<u32> = rest.iter().filter(|p| last.line.off(p).abs() <= EXPLAINED).map(|p| p.row).collect();
        rest.retain(|p| !explained.contains(&p.row));
        let Some(next) = Piece::find(&rest, None) else { break };
        if pieces.iter().all(|p| p.is_apart(&next)) {
            pieces.push(next);
        } else if matches!(key, KeyKind::Connection | KeyKind::ClientPort) && next.shares(&pieces[0], pairs, &rest) {
            // Another event of the same connections, always so long after: a firewall that tells when it forgets them.
            break;
        } else if next.rows.len() as f64 > SLIGHT * pieces[0].rows.len() as f64 {
            ambiguous = true;
            remarks.push(format!(
                "{} records fit {} as well at the same time: two clocks in one file?",
                next.rows.len(),
                crate::model::clock::offset_in_words(next.line.offset as i64)
            ));
        } else {
            break;
        }
    }
    pieces.sort_by_key(Piece::median);
    if pieces.len() > 1 {
        remarks.push(format!(
            "its clock was set {} times: a change of summer time, a restart, or by hand (T1070.006)",
            pieces.len() - 1
        ));
    }
    let keys: u32 = pieces.iter().map(|p| p.keys).sum();
    let fitting: usize = pieces.iter().map(|p| p.line.fitting.len()).sum();
    let spread = pieces.iter().map(|p| p.line.spread).fold(0.0, f64::max);
    let log_p = pieces.iter().map(|p| p.log_p).fold(0.0, f64::min);
    let state = match () {
        () if ambiguous => ClockState::Ambiguous,
        () if keys >= ENOUGH && spread <= SECOND as f64 => ClockState::Confident,
        () => ClockState::Tentative,
    };
    let interval =
        (1.96 * 1.2533 * spread / (fitting.max(1) as f64).sqrt()).max(resolution as f64 / (12.0 * fitting.max(1) as f64).sqrt());
    let mut residuals: Vec<(Time, i64)> = Vec::new();
    for piece in &pieces {
        let step = fitting / POINTS + 1;
        residuals
            .extend(piece.line.fitting.iter().step_by(step).map(|i| (Time(pairs[*i].at), piece.line.off(&pairs[*i]) as i64)));
    }
    residuals.sort_unstable();
    residuals.truncate(POINTS);
    // A step is where the reference says; by the source's clock halfway between what both pieces make of that.
    let step = |at: usize| {
        let (before, after) = (pieces.get(at.checked_sub(1)?)?, &pieces[at]);
        let cut = before.parted(after)?;
        Some(Time(cut.saturating_add(((before.line.offset + after.line.offset) / 2.0) as i64)))
    };
    let pieces = pieces.iter().enumerate().map(|(at, p)| ClockPiece {
        from: step(at).unwrap_or(Time::MIN),
        middle: Time(p.line.middle),
        offset: p.line.offset.round() as i64,
        skew: (p.line.skew * SECOND as f64).round() as i64,
        keys: p.keys,
    });
    ClockEstimate {
        state,
        pieces: pieces.collect(),
        key,
        meaning,
        resolution,
        uncertainty: (2.0 * spread).max(resolution as f64) as i64,
        interval: interval as i64,
        keys,
        // As it is kept in text: what is read back is what was written.
        log_p: (log_p * 1e3).round() / 1e3,
        rival: rival.map(|(ahead, keys, _)| (ahead, keys)),
        residuals,
        remarks,
        ..ClockEstimate::unknown()
    }
}

/// What the times of a source are multiples of: a second, a millisecond, a microsecond, else a nanosecond.
pub fn resolution(moments: &[Moment]) -> i64 {
    let all = |step: i64| moments.iter().all(|m| m.start % step == 0);
    [SECOND, SECOND / 1_000, SECOND / 1_000_000].into_iter().find(|step| all(*step)).unwrap_or(1)
}
