//! From a peak to a clock: offset and skew that most of the votes around it agree with.
//!
//! A search over slopes (Hough) comes first, since Theil and Sen's median of slopes breaks down where more than 29 % of the votes are by
//! chance; it then gives the skew of the votes that fit, and medians the offset.

use super::pairs::Pair;

/// A line through votes: `ahead = offset + skew · (at − middle)`.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// The source's instant at which `offset` holds, nanoseconds.
    pub middle: i64,
    /// Source minus reference there.
    pub offset: f64,
    /// Nanoseconds that it gains in each: 1e-6 is one part per million.
    pub skew: f64,
    /// Votes that fit, by number.
    pub fitting: Vec<usize>,
    /// 1.4826 times the median of their absolute residuals, nanoseconds.
    pub spread: f64,
}

impl Line {
    /// What a vote is off the line, nanoseconds.
    pub fn off(&self, pair: &Pair) -> f64 {
        pair.ahead as f64 - self.offset - self.skew * (pair.at - self.middle) as f64
    }
}

const SECOND: f64 = 1e9;
/// Greatest skew that is looked for: 500 parts per million.
const STEEPEST: f64 = 500e-6;
/// How far a vote may be off, step by step.
const NARROWING: [f64; 3] = [3.0 * SECOND, 1.5 * SECOND, 1.2 * SECOND];
/// Most votes that the search over slopes looks at.
const SEARCHED: usize = 30_000;
/// Blocks of time whose medians give the skew.
const BLOCKS: usize = 40;
/// Below so long a span a skew means nothing.
const SHORTEST: f64 = 6.0 * 3600.0 * SECOND;

/// Fits a line to the votes around a difference.
pub fn fit(pairs: &[Pair], ahead: i64, width: i64) -> Option<Line> {
    let around = (4 * width).max(8_000_000_000);
    let near: Vec<usize> = range(pairs, ahead.saturating_sub(around), ahead.saturating_add(around)).collect();
    let first = near.iter().map(|i| pairs[*i].at).min()?;
    let last = near.iter().map(|i| pairs[*i].at).max()?;
    let (middle, span) = (first + (last - first) / 2, (last - first) as f64);
    let (offset, skew) = search(pairs, &near, (ahead, around), middle, span);
    let mut line = Line { middle, offset, skew, fitting: near, spread: 0.0 };
    for bound in NARROWING {
        let fitting: Vec<usize> = line.fitting.iter().copied().filter(|i| line.off(&pairs[*i]).abs() <= bound).collect();
        if fitting.is_empty() {
            return None;
        }
        line.fitting = fitting;
        refine(pairs, &mut line);
    }
    // What fits well tells what does not belong, where clocks are finer than a second.
    for _ in 0..2 {
        let bound = (5.0 * line.spread).max(2e6);
        if bound < NARROWING[2] {
            let fitting: Vec<usize> = line.fitting.iter().copied().filter(|i| line.off(&pairs[*i]).abs() <= bound).collect();
            // Whatever the spread, most of what fitted must remain.
            if fitting.len() * 2 < line.fitting.len() {
                break;
            }
            line.fitting = fitting;
            refine(pairs, &mut line);
        }
    }
    Some(line)
}

/// The numbers of the votes from one difference to another.
pub fn range(pairs: &[Pair], low: i64, high: i64) -> std::ops::Range<usize> {
    pairs.partition_point(|p| p.ahead < low)..pairs.partition_point(|p| p.ahead <= high)
}

/// The slope, and the offset in the middle, with most votes in two neighbouring bins of a second.
fn search(pairs: &[Pair], near: &[usize], (ahead, around): (i64, i64), middle: i64, span: f64) -> (f64, f64) {
    let step = near.len() / SEARCHED + 1;
    let sample: Vec<(f64, f64)> = near
        .iter()
        .step_by(step)
        .map(|i| (((pairs[*i].ahead - ahead) as f64) / SECOND, (pairs[*i].at - middle) as f64 / SECOND))
        .collect();
    let (span, around) = (span / SECOND, around as f64 / SECOND);
    let steepest = if span > 1.0 { STEEPEST.min(2.0 * around / span) } else { 0.0 };
    let slopes = (steepest * span).ceil() as i64;
    // A steep line may leave the surroundings at both ends.
    let reach = around + steepest * span / 2.0 + 1.0;
    let mut bins = vec![0u32; (2.0 * reach) as usize + 2];
    let mut best = (0, 0.0, 0.0);
    // The flat ones first: of equals the flatter is taken.
    for n in (0..=slopes).flat_map(|n| [n, -n]).skip(1) {
        let slope = if slopes == 0 { 0.0 } else { steepest * n as f64 / slopes as f64 };
        bins.fill(0);
        for (d, t) in &sample {
            let bin = (d - slope * t + reach) as usize;
            if let Some(bin) = bins.get_mut(bin) {
                *bin += 1;
            }
        }
        for (at, two) in bins.windows(2).enumerate() {
            let votes = two[0] + two[1];
            if votes > best.0 {
                best = (votes, at as f64 + 1.0 - reach, slope);
            }
        }
    }
    (ahead as f64 + best.1 * SECOND, best.2)
}

/// Offset and skew by medians of the votes that fit.
fn refine(pairs: &[Pair], line: &mut Line) {
    let mut by_time = line.fitting.clone();
    by_time.sort_unstable_by_key(|i| (pairs[*i].at, *i));
    let span = match (by_time.first(), by_time.last()) {
        (Some(first), Some(last)) => (pairs[*last].at - pairs[*first].at) as f64,
        _ => return,
    };
    let size = by_time.len().div_ceil(BLOCKS).max(3);
    let mut blocks: Vec<(f64, f64)> = Vec::new();
    for block in by_time.chunks(size).filter(|b| b.len() >= 3) {
        let time = median(block.iter().map(|i| (pairs[*i].at - line.middle) as f64).collect());
        let rest = median(block.iter().map(|i| pairs[*i].ahead as f64 - line.offset).collect());
        blocks.push((time, rest));
    }
    line.skew = 0.0;
    if span >= SHORTEST && blocks.len() >= 5 {
        let mut slopes = Vec::new();
        for (n, a) in blocks.iter().enumerate() {
            slopes.extend(blocks[n + 1..].iter().filter(|b| b.0 > a.0).map(|b| (b.1 - a.1) / (b.0 - a.0)));
        }
        if !slopes.is_empty() {
            line.skew = median(slopes).clamp(-STEEPEST, STEEPEST);
        }
    }
    let rest = |line: &Line| line.fitting.iter().map(|i| line.off(&pairs[*i])).collect::<Vec<f64>>();
    line.offset += median(rest(line));
    line.spread = 1.4826 * median(rest(line).into_iter().map(f64::abs).collect());
}

/// The median; of nothing 0.
pub fn median(mut values: Vec<f64>) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    let middle = values.len() / 2;
    let (below, at, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
    let at = *at;
    match below.iter().copied().max_by(f64::total_cmp).filter(|_| values.len().is_multiple_of(2)) {
        Some(other) => (at + other) / 2.0,
        None => at,
    }
}
