//! How regular a series of connections is, by the formulae of RITA v5 (Active Countermeasures, `analysis/beacons.go`): of intervals, of sizes, of how
//! evenly a day is filled, and of how long it goes on; each from 0 to 1, and their mean.

use crate::detectors::maths::{mad, mean_and_deviation, median};
use serde::{Deserialize, Serialize};

/// Bins of the window.
pub const BINS: usize = 24;
/// Fewest different times that are scored.
const UNIQUE: usize = 4;
/// Fewest intervals that are scored.
const INTERVALS: usize = 3;
/// Quartiles that lie nearer than this have no skew.
const SPREAD: f64 = 10.0;
/// Fewest filled bins of which two modes, and a duration, are told.
const MODES: usize = 11;
const LASTING: usize = 6;
/// Filled bins in a row that are worth the full score.
const RUN: f64 = 12.0;
/// From so many connections in a day on it is no beat but one long conversation.
pub const STROBE: usize = 86_400;
/// The score of that.
const STROBE_SCORE: f64 = 0.8;
/// Scores, in percent, at which a threat grows.
pub const BEACON: [f64; 4] = [50.0, 75.0, 90.0, 100.0];

/// Scores of a series.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Of its intervals.
    pub ts: f64,
    /// Of its sizes.
    pub ds: f64,
    /// Of how evenly the bins are filled.
    pub hist: f64,
    /// Of how long it goes on.
    pub dur: f64,
    /// Of all.
    pub score: f64,
    /// Median interval, seconds.
    pub period: f64,
    /// Median absolute difference from it, seconds.
    pub jitter: f64,
    /// Median bytes.
    pub size: f64,
    /// Filled bins.
    pub filled: usize,
}

impl Score {
    /// Its threat, 0 to 0.8.
    pub fn threat(&self) -> f64 {
        bucket(100.0 * self.score, BEACON)
    }
}

fn round3(x: f64) -> f64 {
    (x * 1000.0).round() / 1000.0
}

fn ceil3(x: f64) -> f64 {
    // What is a thousandth but for the last bit of a division stays one.
    (x * 1000.0 - 1e-9).ceil() / 1000.0
}

/// 0 below the first limit, then from 0.2 to 0.4, 0.6 and 0.8 on straight lines between them.
pub fn bucket(value: f64, limits: [f64; 4]) -> f64 {
    let [low, medium, high, top] = limits;
    let between = |base: f64, from: f64, to: f64| base + 0.2 * (value - from) / (to - from).max(f64::MIN_POSITIVE);
    match value {
        v if v.is_nan() || v < low => 0.0,
        v if v < medium => between(0.2, low, medium),
        v if v < high => between(0.4, medium, high),
        v if v < top => between(0.6, high, top),
        _ => 0.8,
    }
}

/// First quartile, median and third quartile of sorted numbers: medians of the halves, without the middle one.
fn quartiles(sorted: &[f64]) -> Option<(f64, f64, f64)> {
    let half = sorted.len() / 2;
    let (low, high) = (sorted.get(..half)?, sorted.get(sorted.len() - half..)?);
    Some((median(low)?, median(sorted)?, median(high)?))
}

/// Mean of one less Bowley's skew and one less the relative spread, of sorted numbers; `small` is the latter where the median is below 1.
fn regular(sorted: &[f64], small: f64) -> Option<f64> {
    let (q1, q2, q3) = quartiles(sorted)?;
    let told = q3 - q1 >= SPREAD && q2 != q1 && q2 != q3;
    let skew = if told { (q1 + q3 - 2.0 * q2) / (q3 - q1) } else { 0.0 };
    let spread = mad(sorted, q2)?;
    let even = if q2 >= 1.0 { ((q2 - spread) / q2).max(0.0) } else { small };
    Some(round3((1.0 - skew.abs() + even) / 2.0))
}

/// How many of sorted times are in each bin of a window.
pub fn bins(times: &[f64], window: (f64, f64)) -> [u32; BINS] {
    let mut out = [0u32; BINS];
    let width = (window.1 - window.0) / BINS as f64;
    for time in times {
        let at = if width > 0.0 { ((time - window.0) / width).floor().max(0.0) as usize } else { 0 };
        if let Some(bin) = out.get_mut(at.min(BINS - 1)) {
            *bin = bin.saturating_add(1);
        }
    }
    out
}

fn even(bins: &[u32; BINS]) -> f64 {
    let counts = bins.map(f64::from);
    let Some((mean, deviation)) = mean_and_deviation(&counts).filter(|m| m.0 > 0.0) else { return 0.0 };
    let cv = deviation / mean;
    if cv > 1.0 { 0.0 } else { round3(1.0 - cv) }
}

/// How many bins the two commonest counts explain.
fn two_modes(bins: &[u32; BINS]) -> f64 {
    let filled = bins.iter().filter(|b| **b > 0).count();
    if filled < MODES {
        return 0.0;
    }
    let greatest = bins.iter().copied().max().unwrap_or(0);
    let step = ((0.05 * f64::from(greatest)).ceil() as u32).max(1);
    let mut counts: Vec<u32> = bins.iter().filter(|b| **b > 0).map(|b| b / step).collect();
    counts.sort_unstable();
    let mut sizes: Vec<usize> = counts.chunk_by(|a, b| a == b).map(<[u32]>::len).collect();
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    let two: usize = sizes.iter().take(2).sum();
    round3(two as f64 / (filled - 1).max(1) as f64).min(1.0)
}

/// The longest run of filled bins, where the last is followed by the first.
fn longest_run(bins: &[u32; BINS]) -> usize {
    let (mut longest, mut run) = (0, 0);
    for bin in bins.iter().chain(bins) {
        run = if *bin > 0 { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    longest.min(BINS)
}

fn lasting(bins: &[u32; BINS], first: f64, last: f64, window: (f64, f64)) -> f64 {
    if bins.iter().filter(|b| **b > 0).count() < LASTING || window.1 <= window.0 {
        return 0.0;
    }
    let coverage = ceil3((last - first) / (window.1 - window.0)).min(1.0);
    let consistency = ceil3(longest_run(bins) as f64 / RUN).min(1.0);
    coverage.max(consistency)
}

/// Scores sorted times (seconds) and the bytes sent with each, within the window of all records. Times are cut to whole seconds unless `fine` is set,
/// which a beat of a few seconds needs. `None`: too few.
pub fn score(times: &[f64], sizes: &[f64], window: (f64, f64), fine: bool) -> Option<Score> {
    let cut = |t: &f64| if fine { *t } else { t.floor() };
    let times: Vec<f64> = times.iter().map(cut).collect();
    let (first, last) = (times.first().copied()?, times.last().copied()?);
    let unique = 1 + times.windows(2).filter(|w| w[0] != w[1]).count();
    if unique < UNIQUE {
        return None;
    }
    if times.len() >= STROBE {
        return Some(Score { score: STROBE_SCORE, filled: BINS, ..Score::default() });
    }
    // Connections opened side by side are one beat.
    let least = if fine { 0.05 } else { 0.0 };
    let mut gaps: Vec<f64> = times.windows(2).map(|w| w[1] - w[0]).filter(|gap| *gap > least).collect();
    if gaps.len() < INTERVALS {
        return None;
    }
    gaps.sort_by(f64::total_cmp);
    let mut sizes = sizes.to_vec();
    sizes.sort_by(f64::total_cmp);
    let filled = bins(&times, window);
    let (ts, ds) = (regular(&gaps, 1.0)?, regular(&sizes, 0.0)?);
    let hist = even(&filled).max(two_modes(&filled));
    let dur = lasting(&filled, first, last, window);
    let period = median(&gaps)?;
    Some(Score {
        ts,
        ds,
        hist,
        dur,
        score: round3(0.25 * (ts + ds + dur + hist)),
        period,
        jitter: mad(&gaps, period)?,
        size: median(&sizes)?,
        filled: filled.iter().filter(|b| **b > 0).count(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: (f64, f64) = (0.0, 86_400.0);

    fn told(times: &[f64], sizes: &[f64]) -> (f64, f64, f64, f64, f64) {
        let s = score(times, sizes, DAY, false).unwrap();
        (s.ts, s.ds, s.hist, s.dur, s.score)
    }

    #[test]
    fn a_clock_is_perfect() {
        let times: Vec<f64> = (0..288).map(|n| f64::from(n) * 300.0).collect();
        let s = score(&times, &[500.0; 288], DAY, false).unwrap();
        assert_eq!((s.ts, s.ds, s.hist, s.dur, s.score), (1.0, 1.0, 1.0, 1.0, 1.0));
        assert_eq!((s.threat(), s.period, s.jitter), (0.8, 300.0, 0.0));
    }

    #[test]
    fn jitter_and_two_sizes_cost_little() {
        let steps = [54.0, 66.0, 60.0, 57.0, 63.0, 72.0, 48.0, 60.0];
        let (mut at, mut times) = (0.0, Vec::new());
        for n in 0..1_440 {
            times.push(at);
            at += steps[n % steps.len()];
        }
        let sizes: Vec<f64> = (0..1_440).map(|n| if n % 2 == 0 { 420.0 } else { 400.0 }).collect();
        assert_eq!(told(&times, &sizes), (0.950, 0.988, 1.0, 1.0, 0.984));
        assert!((bucket(98.4, BEACON) - 0.768).abs() < 1e-9);
    }

    #[test]
    fn a_working_day_fills_a_third() {
        let times: Vec<f64> = (0..240).map(|n| 32_400.0 + f64::from(n) * 120.0).collect();
        assert_eq!(told(&times, &[512.0; 240]), (1.0, 1.0, 0.0, 0.667, 0.667));
        assert!((bucket(66.7, BEACON) - 0.3336).abs() < 1e-9);
    }

    #[test]
    fn people_are_irregular() {
        let times = [10.0, 400.0, 9_000.0, 9_010.0, 9_020.0, 30_000.0, 30_500.0, 61_000.0, 61_030.0, 80_000.0];
        let sizes = [100.0, 5_000.0, 90.0, 80_000.0, 1_500.0, 600.0, 120.0, 4_000.0, 70.0, 900.0];
        assert_eq!(told(&times, &sizes), (0.034, 0.22, 0.0, 0.0, 0.064));
    }

    #[test]
    fn too_little_is_not_scored_and_too_much_is_no_beat() {
        assert_eq!(score(&[1.0, 1.2, 2.0, 3.0], &[1.0; 4], DAY, false), None);
        assert_eq!(score(&[], &[], DAY, false), None);
        // Within one second there is no beat by whole seconds; by the clock there is.
        let quick: Vec<f64> = (0..40).map(|n| f64::from(n) * 0.5).collect();
        assert_eq!(score(&quick, &[9.0; 40], DAY, true).unwrap().period, 0.5);
        let strobe: Vec<f64> = (0..STROBE).map(|n| n as f64 * 0.99).collect();
        assert_eq!(score(&strobe, &[1.0], DAY, false).unwrap().score, 0.8);
        assert_eq!(
            [0.0, 50.0, 75.0, 90.0, 100.0, 400.0, f64::NAN].map(|v| bucket(v, BEACON)),
            [0.0, 0.2, 0.4, 0.6, 0.8, 0.8, 0.0]
        );
    }
}
