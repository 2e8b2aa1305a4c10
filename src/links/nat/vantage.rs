//! Do two vantage points see the same connections, one before translation and one after? By the differences of start times of connections with
//! the same peer and the same sizes: where they do, these differences pile up in a narrow peak; where they do not, they are spread evenly.

use std::collections::HashSet;

/// Differences that are kept of a pair of vantage points.
const KEPT: usize = 400_000;
/// Local addresses that are counted of a side.
const ADDRS: usize = 4_096;
/// Widths of the peak that are tried, nanoseconds.
const WIDTHS: [i64; 4] = [2_000_000, 10_000_000, 40_000_000, 120_000_000];
/// A peak as high as this by chance is that unlikely (natural logarithm, after the number of places where one could be).
const UNLIKELY: f64 = -14.0;
/// Least spread of start times between two vantage points.
pub const LEAST_SPREAD: f64 = 2e6;

/// What is known of a pair of vantage points: connections of equal sizes and peer, of which one could be the other.
#[derive(Debug, Default)]
pub struct Votes {
    /// Start at the second less start at the first, nanoseconds.
    differences: Vec<i64>,
    /// Differences beyond the bound.
    beyond: u64,
    addrs: [HashSet<u32>; 2],
    private: [u64; 2],
    all: u64,
}

/// How two vantage points relate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Relation {
    /// Median difference of starts (second less first), nanoseconds.
    pub offset: i64,
    /// Their spread: 1.4826 times the median of absolute deviations, at least [`LEAST_SPREAD`].
    pub spread: f64,
    /// Connections in the peak.
    pub agreeing: u64,
    /// The second is outside, else the first.
    pub second_is_outside: bool,
    /// Natural logarithm of the probability of such a peak by chance.
    pub chance: f64,
}

impl Votes {
    /// A pair of connections; `private` and `addrs` of the local ends.
    pub fn add(&mut self, difference: i64, addrs: [u32; 2], private: [bool; 2]) {
        self.all += 1;
        for side in 0..2 {
            self.private[side] += u64::from(private[side]);
            if self.addrs[side].len() < ADDRS {
                self.addrs[side].insert(addrs[side]);
            }
        }
        if self.differences.len() < KEPT {
            self.differences.push(difference);
        } else {
            self.beyond += 1;
        }
    }
    /// Whether the two see the same connections within `window` either way, and how.
    pub fn relation(&mut self, window: i64) -> Option<Relation> {
        self.differences.sort_unstable();
        let all = &self.differences;
        let mut best: Option<(f64, usize, usize)> = None;
        for width in WIDTHS.into_iter().filter(|w| *w < window) {
            let (mut first, mut most) = (0, (0, 0));
            for last in 0..all.len() {
                while all[last].saturating_sub(all[first]) > width {
                    first += 1;
                }
                if last + 1 - first > most.1 - most.0 {
                    most = (first, last + 1);
                }
            }
            let n = most.1 - most.0;
            let places = 2.0 * window as f64 / width as f64;
            // Elsewhere they are spread evenly; that there is none elsewhere says little where there are few.
            let expected = (all.len() - n + 1) as f64 / (places - 1.0).max(1.0);
            let chance = places.ln() + tail(n as f64, expected);
            if best.is_none_or(|b| chance < b.0) {
                best = Some((chance, most.0, most.1));
            }
        }
        let (chance, first, last) = best.filter(|b| b.0 < UNLIKELY)?;
        let peak = &all[first..last];
        let offset = peak[peak.len() / 2];
        // Around the peak, so that its edges do not make the spread look small.
        let near = 2 * (peak[peak.len() - 1] - peak[0]).max(LEAST_SPREAD as i64);
        let mut off: Vec<i64> = all.iter().map(|d| (d - offset).abs()).filter(|d| *d <= near).collect();
        off.sort_unstable();
        let spread = (1.4826 * off[off.len() / 2] as f64).max(LEAST_SPREAD);
        Some(Relation {
            offset,
            spread,
            agreeing: (last - first) as u64,
            second_is_outside: self.second_is_outside(offset),
            chance,
        })
    }
    fn second_is_outside(&self, offset: i64) -> bool {
        let part = |side: usize| self.private[side] as f64 / self.all.max(1) as f64;
        if (part(0) - part(1)).abs() > 0.5 {
            return part(0) > part(1);
        }
        // Many are translated to few.
        let (a, b) = (self.addrs[0].len(), self.addrs[1].len());
        if a != b { a > b } else { offset >= 0 }
    }
}

/// Natural logarithm of the probability of at least `k` where `expected` are expected (Poisson; bound of Chernoff, which is never too small).
fn tail(k: f64, expected: f64) -> f64 {
    if k <= expected { 0.0 } else { k - expected - k * (k / expected).ln() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: i64 = 250_000_000;

    fn votes(list: impl IntoIterator<Item = i64>) -> Votes {
        let mut out = Votes::default();
        list.into_iter().enumerate().for_each(|(n, d)| out.add(d, [n as u32, 0], [true, false]));
        out
    }
    fn spread_evenly(n: i64) -> impl Iterator<Item = i64> {
        (0..n).map(move |i| (i * 7_919) % n * (2 * WINDOW) / n - WINDOW)
    }

    #[test]
    fn a_peak_is_a_relation_and_what_is_spread_evenly_is_none() {
        assert_eq!(votes(spread_evenly(500)).relation(WINDOW), None);
        assert_eq!(votes([]).relation(WINDOW), None);
        assert_eq!(votes([1_000_000]).relation(WINDOW), None, "one connection proves nothing");
        let peak = (0..40).map(|n| 3_000_000 + n * 10_000);
        let got = votes(spread_evenly(500).chain(peak)).relation(WINDOW).unwrap();
        assert!((got.offset - 3_200_000).abs() < 1_000_000, "{got:?}");
        assert!(got.second_is_outside && got.spread >= LEAST_SPREAD);
    }

    #[test]
    fn the_outside_is_where_few_addresses_are() {
        let mut votes = Votes::default();
        (0..50).for_each(|n| votes.add(-100_000, [9, n], [true, true]));
        assert!(!votes.relation(WINDOW).unwrap().second_is_outside);
    }
}
