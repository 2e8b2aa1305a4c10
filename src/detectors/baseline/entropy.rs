//! How spread the ends, ports and sizes of a bin's flows are, and what it means when that changes (Lakhina, Crovella, Diot: Mining anomalies using
//! traffic feature distributions, SIGCOMM 2005).

/// What is counted: sources, destinations, destination ports, classes of bytes.
pub const FEATURES: [&str; 4] = ["sources", "destinations", "destination ports", "sizes"];

/// Normalised entropy of counts: Shannon's with the correction of Miller and Madow, over that of an even spread. `most`: how many values there can be.
/// Order of counts does not matter. None: there is nothing to spread.
pub fn normalised(counts: impl Iterator<Item = u64> + Clone, most: u64) -> Option<f64> {
    let (n, m) = counts.clone().filter(|c| *c > 0).fold((0u64, 0u64), |(n, m), c| (n.saturating_add(c), m + 1));
    let even = (n.min(most) as f64).log2();
    if n < 2 || even <= 0.0 {
        return None;
    }
    let h = crate::detectors::maths::entropy(counts) + (m.saturating_sub(1)) as f64 / (2.0 * n as f64 * std::f64::consts::LN_2);
    Some((h / even).clamp(0.0, 1.0))
}

/// What the signs of changed spreads mean, in order of [`FEATURES`]; `z`: how far each is off, `least`: from where on that counts.
pub fn meaning(z: [f32; 4], least: f32) -> Option<&'static str> {
    let up = |n: usize| z[n] >= least;
    let down = |n: usize| z[n] <= -least;
    match () {
        () if up(0) && down(1) => Some("many sources, one destination: a distributed flood"),
        () if up(2) && down(1) => Some("many ports of one destination: a port scan"),
        () if up(1) && down(2) => Some("many destinations, one port: a network scan or a worm"),
        () if down(0) && down(1) && up(3) => Some("one source, one destination, other sizes: a large transfer"),
        () => None,
    }
}

/// The class of an amount: its power of two.
pub fn class(bytes: u64) -> u8 {
    (u64::BITS - bytes.leading_zeros()) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spreads_are_corrected_and_their_signs_read() {
        // Even over four of at most four: log2 4 + 3 / (2 * 400 ln 2), cut at 1.
        assert_eq!(normalised([100, 100, 100, 100].into_iter(), 4), Some(1.0));
        // 3/4, 1/4: 0.811278 + 1 / (8 ln 2) = 0.991616 of log2 4 = 2.
        let h = normalised([3, 1, 0].into_iter(), 1024).unwrap();
        assert!((h - 0.495_808).abs() < 1e-5, "{h}");
        assert_eq!((normalised([1].into_iter(), 9), normalised([].into_iter(), 9)), (None, None));
        assert_eq!((class(0), class(1), class(1500), class(u64::MAX)), (0, 1, 11, 64));
        assert!(meaning([6.0, -6.0, 0.0, 0.0], 4.5).unwrap().contains("flood"));
        assert!(meaning([0.0, 6.0, -6.0, 0.0], 4.5).unwrap().contains("worm"));
        assert!(meaning([0.0, -6.0, 6.0, 0.0], 4.5).unwrap().contains("port scan"));
        assert!(meaning([-6.0, -6.0, 0.0, 6.0], 4.5).unwrap().contains("transfer"));
        assert_eq!(meaning([6.0, 6.0, 6.0, 6.0], 4.5), None);
    }
}
