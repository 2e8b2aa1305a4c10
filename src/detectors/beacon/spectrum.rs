//! Whether a series of connections has a beat, though each of its intervals may be off, some are left out and others are added: a periodogram of the
//! instants (Rayleigh's, which is that of Lomb and Scargle for events without values), summed over stretches of a few beats, so that a beat whose phase
//! wanders is seen too.

use serde::{Deserialize, Serialize};
/// Events of a stretch.
const STRETCH: usize = 12;
/// Fewest stretches.
const STRETCHES: usize = 2;
/// Most events that are looked at.
const EVENTS: usize = 2_000;
/// Each period that is tried is so much longer than the one before.
const STEP: f64 = 1.01;
/// Periods that are tried lie so far below and above the median interval; half of it has all the power of the whole.
const BELOW: f64 = 0.6;
const ABOVE: f64 = 1.6;
/// Power per stretch that is an effect worth the name: instants at random have 1.
const POWER: f64 = 3.0;

/// The beat of a series.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Beat {
    /// Seconds.
    pub period: f64,
    /// Mean power of a stretch at it; of instants at random 1, of a clock the number of its events.
    pub power: f64,
    /// How likely the greatest power of all periods that were tried is by chance.
    pub chance: f64,
}

/// The strongest beat of sorted instants (seconds) of which the median interval is known. `None`: too few, or none worth the name.
pub fn beat(times: &[f64], interval: f64) -> Option<Beat> {
    if interval.is_nan() || interval <= 0.0 {
        return None;
    }
    // Connections opened side by side are one.
    let apart = (interval * 0.1).clamp(0.05, 10.0);
    let mut seen: Vec<f64> = Vec::with_capacity(times.len().min(EVENTS));
    for time in times {
        if seen.last().is_none_or(|last| time - last >= apart) && seen.len() < EVENTS {
            seen.push(*time);
        }
    }
    let stretches = seen.len() / STRETCH;
    if stretches < STRETCHES {
        return None;
    }
    let (mut best, mut tried, mut period) = ((0.0, 0.0), 0u32, interval * BELOW);
    while period <= interval * ABOVE {
        let turn = std::f64::consts::TAU / period;
        let mut sum = 0.0;
        for stretch in seen.chunks_exact(STRETCH) {
            let origin = stretch.first().copied().unwrap_or(0.0);
            let (mut x, mut y) = (0.0, 0.0);
            for time in stretch {
                let (sin, cos) = ((time - origin) * turn).sin_cos();
                (x, y) = (x + cos, y + sin);
            }
            sum += (x * x + y * y) / STRETCH as f64;
        }
        if sum > best.1 {
            best = (period, sum);
        }
        tried += 1;
        period *= STEP;
    }
    let power = best.1 / stretches as f64;
    let chance = (f64::from(tried) * beyond(best.1, stretches)).min(1.0);
    (power >= POWER).then_some(Beat { period: best.0, power, chance })
}

/// The probability that the sum of `n` powers of instants at random, each exponential with mean 1, is greater than `x`.
fn beyond(x: f64, n: usize) -> f64 {
    if x <= 0.0 {
        return 1.0;
    }
    // e^-x (1 + x + x²/2! + ...), by logarithms: the terms alone would overflow.
    let mut log = -x;
    let mut sum = log.exp();
    for k in 1..n {
        log += x.ln() - (k as f64).ln();
        sum += log.exp();
    }
    sum.min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers between 0 and 1 that look random.
    struct Dice(u64);
    impl Dice {
        fn roll(&mut self) -> f64 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 11) as f64 / (1u64 << 53) as f64
        }
    }

    fn series(count: usize, mut gap: impl FnMut(usize) -> f64) -> (Vec<f64>, f64) {
        let mut at = 0.0;
        let times: Vec<f64> = (0..count)
            .map(|n| {
                at += gap(n);
                at
            })
            .collect();
        let mut gaps: Vec<f64> = times.windows(2).map(|w| w[1] - w[0]).collect();
        let middle = crate::detectors::maths::median_of(&mut gaps).unwrap();
        (times, middle)
    }

    #[test]
    fn a_beat_is_found_through_jitter_and_gaps() {
        let mut dice = Dice(7);
        // A sleep of 60 s that is off by up to 20 %, each time anew; and a clock that leaves out every third beat.
        let (wandering, middle) = series(400, |_| 60.0 * (0.8 + 0.4 * dice.roll()));
        let found = beat(&wandering, middle).unwrap();
        assert!((found.period - 60.0).abs() < 3.0 && found.chance < 1e-6, "{found:?}");
        let (gappy, middle) = series(200, |n| if n % 3 == 0 { 120.0 } else { 60.0 });
        let found = beat(&gappy, middle).unwrap();
        assert!((found.period - 60.0).abs() < 1.0 && found.chance < 1e-30, "{found:?}");
    }

    #[test]
    fn chance_and_people_have_none() {
        for seed in 0..40 {
            let mut dice = Dice(seed);
            let (poisson, middle) = series(600, |_| -60.0 * (1.0 - dice.roll()).ln());
            assert!(beat(&poisson, middle).is_none_or(|b| b.chance > 1e-6), "{seed} {:?}", beat(&poisson, middle));
            // Long pauses between short bursts.
            let (bursts, middle) =
                series(600, |n| if n % 9 == 0 { 3_000.0 * dice.roll() } else { 15.0 * dice.roll().powi(2) + 0.1 });
            assert!(beat(&bursts, middle).is_none_or(|b| b.chance > 1e-6), "{seed} {:?}", beat(&bursts, middle));
        }
        assert_eq!((beat(&[1.0, 2.0], 1.0), beat(&[], 0.0), beat(&[0.0; 99], f64::NAN)), (None, None, None));
    }

    #[test]
    fn the_tail_of_a_sum() {
        assert!((beyond(2.0, 1) - (-2.0f64).exp()).abs() < 1e-12);
        assert!((beyond(2.0, 2) - 3.0 * (-2.0f64).exp()).abs() < 1e-12);
        assert!(beyond(2_000.0, 160) < 1e-100 && beyond(0.0, 5) == 1.0);
    }
}
