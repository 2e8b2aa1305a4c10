//! Outliers of a whole series, looked at afterwards: the generalised extreme studentised deviate test (Rosner 1983) with median and MAD in place of
//! mean and deviation (Hochenbaum et al., arXiv:1704.07706).

/// The places of outliers among residuals, those that are farthest off first; NaN are left out. At most the greater of ten and 2 % are looked for,
/// at a level of significance (0.01).
pub fn outliers(residuals: &[f32], alpha: f64) -> Vec<usize> {
    let mut list: Vec<(f64, usize)> =
        residuals.iter().enumerate().filter(|(_, r)| !r.is_nan()).map(|(n, r)| (f64::from(*r), n)).collect();
    list.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let n = list.len();
    let most = (n / 50).max(10).min(n / 2);
    let (mut low, mut high) = (0, n);
    let mut taken = Vec::new();
    let mut found = 0;
    for i in 1..=most {
        let Some(left) = list.get(low..high).filter(|l| l.len() > 4) else { break };
        let middle = (left[(left.len() - 1) / 2].0 + left[left.len() / 2].0) / 2.0;
        let mut away: Vec<f64> = left.iter().map(|v| (v.0 - middle).abs()).collect();
        let at = away.len() / 2;
        let mad = 1.4826 * *away.select_nth_unstable_by(at, f64::total_cmp).1;
        if mad <= 0.0 {
            break;
        }
        let (down, up) = (middle - left[0].0, left[left.len() - 1].0 - middle);
        let far = down.max(up);
        let place = if up >= down { high - 1 } else { low };
        taken.push(list[place].1);
        if up >= down {
            high -= 1
        } else {
            low += 1
        }
        if far / mad > critical(n, i, alpha) {
            found = i;
        }
    }
    taken.truncate(found);
    taken
}

/// The critical value of the i-th of n.
fn critical(n: usize, i: usize, alpha: f64) -> f64 {
    let (n, i) = (n as f64, i as f64);
    let left = n - i + 1.0;
    let t = t_quantile(1.0 - alpha / (2.0 * left), n - i - 1.0);
    (n - i) * t / ((n - i - 1.0 + t * t) * left).sqrt()
}

/// The quantile of Student's t distribution, by halving.
fn t_quantile(p: f64, freedom: f64) -> f64 {
    let freedom = freedom.max(1.0);
    let (mut low, mut high) = (0.0f64, 1e6f64);
    for _ in 0..80 {
        let middle = if high > 64.0 { (low.max(0.5) * high).sqrt() } else { (low + high) / 2.0 };
        if t_below(middle, freedom) < p {
            low = middle;
        } else {
            high = middle;
        }
    }
    (low + high) / 2.0
}

/// The probability that Student's t is below a number that is not negative.
fn t_below(t: f64, freedom: f64) -> f64 {
    1.0 - 0.5 * beta_part(freedom / (freedom + t * t), freedom / 2.0, 0.5)
}

/// The regularised incomplete beta function, by its continued fraction (Lentz).
fn beta_part(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    let front = (a * x.ln() + b * (1.0 - x).ln() + ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b)).exp();
    if x < (a + 1.0) / (a + b + 2.0) { front * fraction(x, a, b) / a } else { 1.0 - front * fraction(1.0 - x, b, a) / b }
}

fn fraction(x: f64, a: f64, b: f64) -> f64 {
    let tiny = 1e-300;
    let sound = |v: f64| if v.abs() < tiny { tiny } else { v };
    let mut c = 1.0;
    let mut d = 1.0 / sound(1.0 - (a + b) * x / (a + 1.0));
    let mut h = d;
    for m in 1..500 {
        let m = f64::from(m);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        for term in [even, odd] {
            d = 1.0 / sound(1.0 + term * d);
            c = sound(1.0 + term / c);
            h *= d * c;
        }
        if (d * c - 1.0).abs() < 1e-14 {
            break;
        }
    }
    h
}

/// The logarithm of the gamma function (Stirling's series after raising the argument).
fn ln_gamma(x: f64) -> f64 {
    let (mut x, mut product) = (x, 1.0);
    while x < 12.0 {
        product *= x;
        x += 1.0;
    }
    let r = 1.0 / (x * x);
    let series = (1.0 / 12.0 - r * (1.0 / 360.0 - r * (1.0 / 1260.0 - r / 1680.0))) / x;
    (x - 0.5) * x.ln() - x + 0.5 * (2.0 * std::f64::consts::PI).ln() + series - product.ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn critical_values_are_those_of_the_handbook() {
        // NIST/SEMATECH e-Handbook 1.3.5.17.3, Rosner's example: n = 54, alpha 0.05.
        for (i, wanted) in [(1, 3.158_794), (2, 3.151_430), (3, 3.143_890), (10, 3.085_425)] {
            let got = critical(54, i, 0.05);
            assert!((got - wanted).abs() < 2e-4, "{i}: {got} {wanted}");
        }
        assert!((t_quantile(0.975, 10.0) - 2.228_139).abs() < 1e-5 && (t_quantile(0.95, 1.0) - 6.313_752).abs() < 1e-4);
        assert!((ln_gamma(0.5) - std::f64::consts::PI.sqrt().ln()).abs() < 1e-10);
    }

    #[test]
    fn outliers_are_found_though_they_hide_each_other_and_none_where_there_is_none() {
        let even = |n: usize| (0..n).map(|k| ((k * 7_919) % 101) as f32 / 50.0 - 1.0).collect::<Vec<f32>>();
        assert!(outliers(&even(500), 0.01).is_empty());
        let mut some = even(500);
        for (place, value) in [(17, 9.0), (18, 9.5), (300, -8.0)] {
            some[place] = value;
        }
        some[40] = f32::NAN;
        assert_eq!(outliers(&some, 0.01), [18, 17, 300]);
        assert!(
            outliers(&[], 0.01).is_empty() && outliers(&[1.0; 50], 0.01).is_empty() && outliers(&[f32::NAN; 9], 0.01).is_empty()
        );
    }
}
