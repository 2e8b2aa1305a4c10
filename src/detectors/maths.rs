//! Statistics that detectors share. Inputs may be empty: then there is no answer.

/// `x` within 0 to 1.
pub fn sat(x: f64) -> f64 {
    if x.is_nan() { 0.0 } else { x.clamp(0.0, 1.0) }
}

/// The middle of sorted numbers, of an even number the mean of both.
pub fn median(sorted: &[f64]) -> Option<f64> {
    let n = sorted.len();
    match n {
        0 => None,
        n if n % 2 == 1 => sorted.get(n / 2).copied(),
        n => Some((sorted.get(n / 2 - 1)? + sorted.get(n / 2)?) / 2.0),
    }
}

/// The same of numbers in any order, which are sorted by it.
pub fn median_of(numbers: &mut [f64]) -> Option<f64> {
    numbers.sort_by(f64::total_cmp);
    median(numbers)
}

/// Median of the absolute differences from a middle.
pub fn mad(numbers: &[f64], middle: f64) -> Option<f64> {
    let mut away: Vec<f64> = numbers.iter().map(|x| (x - middle).abs()).collect();
    median_of(&mut away)
}

/// The number below which a share of sorted numbers lies (nearest rank).
pub fn percentile(sorted: &[f64], share: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let at = (sat(share) * sorted.len() as f64).ceil() as usize;
    sorted.get(at.saturating_sub(1).min(last)).copied()
}

/// Mean and population standard deviation.
pub fn mean_and_deviation(numbers: &[f64]) -> Option<(f64, f64)> {
    if numbers.is_empty() {
        return None;
    }
    let n = numbers.len() as f64;
    let mean = numbers.iter().sum::<f64>() / n;
    let variance = numbers.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n;
    Some((mean, variance.sqrt()))
}

/// Shannon entropy of counts, bits.
pub fn entropy(counts: impl Iterator<Item = u64> + Clone) -> f64 {
    let all: u64 = counts.clone().sum();
    if all == 0 {
        return 0.0;
    }
    let share = |n: u64| n as f64 / all as f64;
    -counts.filter(|n| *n > 0).map(|n| share(n) * share(n).log2()).sum::<f64>()
}

/// The probability of `k` or more events of a Poisson distribution with a mean.
pub fn poisson_at_least(k: u64, mean: f64) -> f64 {
    if k == 0 {
        return 1.0;
    }
    let mean = mean.max(1e-9);
    let log_term = |n: u64| n as f64 * mean.ln() - mean - (1..=n).map(|n| (n as f64).ln()).sum::<f64>();
    let mut sum = 0.0;
    // The shorter tail is summed, each term from the one before; they fall fast.
    if (k as f64) <= mean {
        let (mut n, mut term) = (k - 1, log_term(k - 1).exp());
        loop {
            sum += term;
            if n == 0 || term < sum * 1e-12 {
                return sat(1.0 - sum);
            }
            term *= n as f64 / mean;
            n -= 1;
        }
    }
    let (mut n, mut term) = (k, log_term(k).exp());
    while term > sum * 1e-12 {
        sum += term;
        n += 1;
        term *= mean / n as f64;
    }
    sat(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn middles_shares_and_tails() {
        assert_eq!((median(&[]), median(&[3.0]), median(&[1.0, 2.0, 4.0, 9.0])), (None, Some(3.0), Some(3.0)));
        assert_eq!(mad(&[1.0, 2.0, 4.0], 2.0), Some(1.0));
        let hundred: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(
            (percentile(&hundred, 0.01), percentile(&hundred, 0.99), percentile(&hundred, 1.0)),
            (Some(1.0), Some(99.0), Some(100.0))
        );
        assert_eq!(mean_and_deviation(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]), Some((5.0, 2.0)));
        assert_eq!((entropy([4, 4].into_iter()), entropy([8, 0].into_iter())), (1.0, 0.0));
        // 1 - e^-2 (1 + 2 + 2)
        assert!((poisson_at_least(3, 2.0) - 0.323_323_58).abs() < 1e-6);
        assert!(poisson_at_least(20, 0.5) < 1e-20 && poisson_at_least(0, 3.0) == 1.0);
        assert!((poisson_at_least(50, 1000.0) - 1.0).abs() < 1e-9);
        assert_eq!((sat(f64::NAN), sat(7.0), sat(-1.0)), (0.0, 1.0, 0.0));
    }
}
