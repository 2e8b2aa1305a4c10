//! Is there a difference for which far more keys vote than chance would have it? No prior on its size: a zone, a wrong date, a minute.
//!
//! Each key votes once in a window of differences; the number that chance gives is taken from the half hours before and after, so that what
//! recurs each day raises both. Significance is Poisson's, corrected for the number of windows.

use super::pairs::Pair;
use std::collections::VecDeque;

/// A difference that many keys vote for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Peak {
    /// Middle of its window, nanoseconds.
    pub ahead: i64,
    /// Width of the window.
    pub width: i64,
    /// Votes: distinct keys, or visits if those are fewer.
    pub votes: u32,
    /// Natural logarithm of the probability that chance alone does this anywhere.
    pub log_p: f64,
}

/// Widths that are tried, nanoseconds: a larger one bears more skew and coarser clocks.
const WIDTHS: [i64; 3] = [2_000_000_000, 16_000_000_000, 120_000_000_000];
/// How far around a window chance is measured, and what is left out of it around the middle.
const AROUND: i64 = 1_800_000_000_000;
const MIDDLE: i64 = 60_000_000_000;
/// Fewest votes that are looked at.
pub const FEWEST: u32 = 8;
/// Added to what chance gives: where nothing was seen around a window, little is to be expected, not nothing.
const FLOOR: f64 = 0.02;

/// The best peak of votes that are sorted by difference, leaving out those within `leave.1` of `leave.0`.
pub fn find(pairs: &[Pair], leave: Option<(i64, i64)>) -> Option<Peak> {
    let keys = pairs.iter().map(|p| p.key).max().map_or(0, |k| k as usize + 1);
    let visits = pairs.iter().map(|p| p.visit).max().map_or(0, |v| v as usize + 1);
    let outside = |p: &Pair| leave.is_none_or(|(middle, around)| p.ahead.abs_diff(middle) > around.unsigned_abs());
    let mut best: Option<Peak> = None;
    for width in WIDTHS {
        let mut window = Distinct::new(keys, visits);
        let mut held: VecDeque<&Pair> = VecDeque::new();
        // Pairs within the surroundings and the middle of the window that ends with a pair.
        let (mut far, mut near) = (Moving::default(), Moving::default());
        for pair in pairs.iter().filter(|p| outside(p)) {
            window.add(pair);
            held.push_back(pair);
            while let Some(first) = held.front().filter(|first| pair.ahead.saturating_sub(first.ahead) > width) {
                window.remove(first);
                held.pop_front();
            }
            let votes = window.votes();
            if votes < FEWEST || best.is_some_and(|b| votes < b.votes / 4) {
                continue;
            }
            let middle = pair.ahead - width / 2;
            let chance = far.within(pairs, middle, AROUND) - near.within(pairs, middle, MIDDLE.max(width / 2 + 1));
            let space = 2 * (AROUND - MIDDLE.max(width / 2 + 1));
            let expected = chance as f64 * width as f64 / space as f64 + FLOOR;
            let log_p = (pairs.len() as f64).ln() + log_tail(expected, votes);
            if best.is_none_or(|b| log_p < b.log_p) {
                let first = held.front().map_or(pair.ahead, |p| p.ahead);
                best = Some(Peak { ahead: first + (pair.ahead - first) / 2, width, votes, log_p });
            }
        }
    }
    best
}

/// How many pairs are within a span around a middle that only grows.
#[derive(Default)]
struct Moving {
    from: usize,
    to: usize,
}

impl Moving {
    fn within(&mut self, pairs: &[Pair], middle: i64, around: i64) -> usize {
        let (low, high) = (middle.saturating_sub(around), middle.saturating_add(around));
        while pairs.get(self.to).is_some_and(|p| p.ahead <= high) {
            self.to += 1;
        }
        while pairs.get(self.from).is_some_and(|p| p.ahead < low) {
            self.from += 1;
        }
        self.to.saturating_sub(self.from)
    }
}

/// Distinct keys and visits of a window.
struct Distinct {
    keys: Vec<u32>,
    visits: Vec<u32>,
    distinct: (u32, u32),
}

impl Distinct {
    fn new(keys: usize, visits: usize) -> Distinct {
        Distinct { keys: vec![0; keys], visits: vec![0; visits], distinct: (0, 0) }
    }
    fn add(&mut self, pair: &Pair) {
        let (key, visit) = (&mut self.keys[pair.key as usize], &mut self.visits[pair.visit as usize]);
        self.distinct.0 += u32::from(*key == 0);
        self.distinct.1 += u32::from(*visit == 0);
        *key += 1;
        *visit += 1;
    }
    fn remove(&mut self, pair: &Pair) {
        let (key, visit) = (&mut self.keys[pair.key as usize], &mut self.visits[pair.visit as usize]);
        *key -= 1;
        *visit -= 1;
        self.distinct.0 -= u32::from(*key == 0);
        self.distinct.1 -= u32::from(*visit == 0);
    }
    fn votes(&self) -> u32 {
        self.distinct.0.min(self.distinct.1)
    }
}

/// ln P(X >= k) of a Poisson variable with a mean.
pub fn log_tail(mean: f64, k: u32) -> f64 {
    let k = f64::from(k);
    if k <= mean {
        return 0.0;
    }
    let first = k * mean.ln() - mean - ln_factorial(k);
    // The terms that follow fall at least as fast as a geometric series.
    let (mut sum, mut term, mut n) = (1.0, 1.0, k);
    while term > 1e-12 * sum && n < k + 10_000.0 {
        n += 1.0;
        term *= mean / n;
        sum += term;
    }
    first + sum.ln()
}

/// ln n!, by Stirling's series; exact enough from 8 on.
fn ln_factorial(n: f64) -> f64 {
    let x = n + 1.0;
    (x - 0.5) * x.ln() - x + 0.5 * (2.0 * std::f64::consts::PI).ln() + 1.0 / (12.0 * x) - 1.0 / (360.0 * x * x * x)
}
