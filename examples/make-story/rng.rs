//! A small deterministic generator of pseudo-random numbers (SplitMix64), so that the story is the same on every run.

/// One stream of numbers; `fork` starts an independent one.
#[derive(Clone)]
pub struct Rng(u64);

/// The SplitMix64 finaliser: spreads any number over 64 bits.
pub fn mix(x: u64) -> u64 {
    let z = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The exponential function from plain arithmetic alone: the same bits on every machine.
pub fn exp(x: f64) -> f64 {
    let halvings = 12;
    let x = x / f64::from(1 << halvings);
    let mut y = 1.0 + x * (1.0 + x / 2.0 * (1.0 + x / 3.0 * (1.0 + x / 4.0)));
    for _ in 0..halvings {
        y *= y;
    }
    y
}

/// The natural logarithm of a number of at least one, by the same means.
pub fn ln(x: f64) -> f64 {
    let (mut x, mut twos) = (x, 0.0);
    while x > 1.5 {
        x /= 2.0;
        twos += 1.0;
    }
    let z = (x - 1.0) / (x + 1.0);
    let (mut term, mut sum) = (z, 0.0);
    for k in 0..24 {
        sum += term / f64::from(2 * k + 1);
        term *= z * z;
    }
    twos * std::f64::consts::LN_2 + 2.0 * sum
}

impl Rng {
    /// A stream that depends on `seed` alone.
    pub fn new(seed: u64) -> Self {
        Rng(mix(seed))
    }

    /// A stream of its own for `tag`, which does not disturb this one.
    pub fn fork(&self, tag: u64) -> Self {
        Rng(mix(self.0 ^ mix(tag)))
    }

    /// The next 64 bits.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A whole number in `lo..=hi`.
    pub fn range(&mut self, lo: i64, hi: i64) -> i64 {
        let span = (hi - lo).unsigned_abs() + 1;
        lo + (self.next() % span) as i64
    }

    /// A number in `[0, 1)`.
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// True with probability `p`.
    pub fn chance(&mut self, p: f64) -> bool {
        self.unit() < p
    }

    /// One of `items` (the slice must not be empty).
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[(self.next() % items.len().max(1) as u64) as usize]
    }

    /// An index below `n`, small ones more often (a rough Zipf law).
    pub fn zipf(&mut self, n: usize) -> usize {
        let x = exp(self.unit() * ln(n as f64 + 1.0)) - 1.0;
        (x as usize).min(n.saturating_sub(1))
    }

    /// A Poisson count with the given mean (small means).
    pub fn poisson(&mut self, mean: f64) -> usize {
        let limit = exp(-mean);
        let (mut k, mut p) = (0, self.unit());
        while p > limit && k < 1000 {
            k += 1;
            p *= self.unit();
        }
        k
    }

    /// A log-normal size around `median`, cut to `[lo, hi]`.
    pub fn size(&mut self, median: f64, sigma: f64, lo: usize, hi: usize) -> usize {
        let gauss = (0..12).map(|_| self.unit()).sum::<f64>() - 6.0;
        ((median * exp(gauss * sigma)) as usize).clamp(lo, hi)
    }

    /// An ephemeral port.
    pub fn port(&mut self) -> u16 {
        self.range(49_152, 65_500) as u16
    }

    /// `n` opaque bytes.
    pub fn bytes(&mut self, n: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(n + 8);
        while out.len() < n {
            out.extend_from_slice(&self.next().to_le_bytes());
        }
        out.truncate(n);
        out
    }
}
