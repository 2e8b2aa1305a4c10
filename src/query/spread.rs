//! How numbers are spread: the value below which a part of them lies. Exact while there are few; of many only how many lie in bins that are
//! 1/128 of their value wide is kept, so that memory does not grow with them.

use super::question::Measure;
use crate::model::Value;
use crate::model::field::Type;
use std::collections::BTreeMap;

/// Most values that are kept one by one, over all groups of a question: 8 MiB.
pub const MAX_EXACT: usize = 1 << 20;
/// Bits of a number that its bin keeps: the value in the middle of a bin is at most 1/256 away from any in it.
const BITS: u32 = 8;
/// Bytes that a bin takes, about.
const BIN: usize = 16;

/// Numbers of one group.
#[derive(Debug)]
pub enum Spread {
    /// Every value, as a key that sorts as the values do.
    Exact(Vec<u64>),
    /// How many lie in each bin.
    Binned(BTreeMap<u32, u64>),
}

impl Default for Spread {
    fn default() -> Spread {
        Spread::Exact(Vec::new())
    }
}

/// A number as a key that sorts as numbers do.
fn key(value: &Value) -> Option<u64> {
    match value {
        Value::Uint(n) => Some(*n),
        Value::Float(x) if x.is_finite() => {
            let bits = x.to_bits();
            Some(if bits >> 63 == 0 { bits | 1 << 63 } else { !bits })
        }
        _ => None,
    }
}

fn real(key: u64) -> f64 {
    f64::from_bits(if key >> 63 == 1 { key & !(1 << 63) } else { !key })
}

/// The bin of a key: its leading digits, and how many follow. Bins sort as keys do.
fn bin(key: u64) -> u32 {
    let shift = (64 - BITS).saturating_sub(key.leading_zeros());
    shift << BITS | (key >> shift) as u32 & ((1 << BITS) - 1)
}

/// The key in the middle of a bin.
fn middle(bin: u32) -> u64 {
    let (shift, digits) = (bin >> BITS, u64::from(bin & ((1 << BITS) - 1)));
    (digits << shift).saturating_add((1 << shift) / 2)
}

/// The bin of a real number: sign, exponent and the first digits of its key.
fn real_bin(key: u64) -> u32 {
    (key >> (64 - 12 - BITS)) as u32
}

fn real_middle(bin: u32) -> u64 {
    u64::from(bin) << (64 - 12 - BITS) | 1 << (64 - 13 - BITS)
}

impl Spread {
    /// Takes a value; gives the bytes that it takes more room for. What is no number is left out.
    pub fn add(&mut self, value: &Value) -> usize {
        let Some(key) = key(value) else { return 0 };
        match self {
            Spread::Exact(all) => {
                all.push(key);
                size_of::<u64>()
            }
            Spread::Binned(bins) => {
                let at = if matches!(value, Value::Float(_)) { real_bin(key) } else { bin(key) };
                let before = bins.len();
                *bins.entry(at).or_default() += 1;
                (bins.len() - before) * BIN
            }
        }
    }
    /// Keeps bins only from now on; gives the bytes that they take. `floats`: the values are real numbers.
    pub fn coarsen(&mut self, floats: bool) -> usize {
        if let Spread::Exact(all) = self {
            let mut bins = BTreeMap::new();
            for key in std::mem::take(all) {
                *bins.entry(if floats { real_bin(key) } else { bin(key) }).or_default() += 1;
            }
            *self = Spread::Binned(bins);
        }
        if let Spread::Binned(bins) = self { bins.len() * BIN } else { 0 }
    }
    /// The smallest value that is not below so many thousandths of them (nearest rank); none: there are no values.
    pub fn at(self, thousandths: u16, floats: bool) -> Option<Value> {
        let rank = |n: u64| n.saturating_mul(u64::from(thousandths.min(1000))).div_ceil(1000).max(1) - 1;
        let found = match self {
            Spread::Exact(mut all) => {
                let rank = rank(all.len() as u64) as usize;
                if rank >= all.len() {
                    return None;
                }
                *all.select_nth_unstable(rank).1
            }
            Spread::Binned(bins) => {
                let mut left = rank(bins.values().sum());
                let at = bins.iter().find(|(_, n)| {
                    let inside = left < **n;
                    left = left.saturating_sub(**n);
                    inside
                });
                let bin = *at?.0;
                if floats { real_middle(bin) } else { middle(bin) }
            }
        };
        Some(if floats { Value::Float(real(found)) } else { Value::Uint(found) })
    }
}

/// A mean as a value of a field's type: bytes and spans whole, counts and real numbers to a thousandth.
pub fn mean(sum: f64, n: u64, ty: Type) -> Option<Value> {
    let mean = if n == 0 { return None } else { sum / n as f64 };
    Some(match ty {
        Type::Bytes | Type::Span => Value::Uint(mean.round() as u64),
        _ => Value::Float((mean * 1000.0).round() / 1000.0),
    })
}

impl Measure {
    /// The column that it makes: `mean`, `p95`, `p99.9`.
    pub fn column(self) -> String {
        match self {
            Measure::Mean => "mean".to_owned(),
            Measure::Percentile(n) => format!("p{}", per_cent(n)),
        }
    }
}

/// Thousandths as per cent: `95`, `99.9`.
pub fn per_cent(thousandths: u16) -> String {
    if thousandths.is_multiple_of(10) {
        (thousandths / 10).to_string()
    } else {
        format!("{}.{}", thousandths / 10, thousandths % 10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread(values: impl Iterator<Item = Value>, coarse: bool) -> Spread {
        let mut out = Spread::default();
        for (n, value) in values.enumerate() {
            out.add(&value);
            if coarse && n == 3 {
                out.coarsen(matches!(value, Value::Float(_)));
            }
        }
        out
    }

    #[test]
    fn of_few_values_it_is_one_of_them_by_nearest_rank() {
        let of = |thousandths| spread([15u64, 20, 35, 40, 50].map(Value::Uint).into_iter(), false).at(thousandths, false);
        let known = [(50, 15), (300, 20), (400, 20), (500, 35), (1000, 50), (0, 15)];
        known.iter().for_each(|(p, want)| assert_eq!(of(*p), Some(Value::Uint(*want)), "{p}"));
        assert_eq!(Spread::default().at(500, false), None);
        assert_eq!(spread([-1.5, 0.0, 2.5].map(Value::Float).into_iter(), false).at(1, true), Some(Value::Float(-1.5)));
        assert_eq!(spread([Value::text("x"), Value::Float(f64::NAN)].into_iter(), false).at(500, false), None);
    }

    #[test]
    fn of_many_it_is_within_a_256th_at_any_size() {
        for scale in [1u64, 37, 1_000_003, u64::MAX / 3_000] {
            let values = || (1..=2_000u64).map(|n| n * scale);
            for p in [1u16, 10, 250, 500, 950, 999, 1000] {
                let exact = spread(values().map(Value::Uint), false).at(p, false).and_then(|v| v.as_number()).unwrap();
                let coarse = spread(values().map(Value::Uint), true).at(p, false).and_then(|v| v.as_number()).unwrap();
                assert!((coarse - exact).abs() <= exact / 256.0, "{scale} {p}: {coarse} {exact}");
                let floats = |coarse| spread(values().map(|n| Value::Float(n as f64 / 7.0)), coarse).at(p, true);
                let (a, b) = (floats(false).and_then(|v| v.as_number()), floats(true).and_then(|v| v.as_number()));
                assert!((a.unwrap() - b.unwrap()).abs() <= a.unwrap().abs() / 256.0, "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn means_are_rounded_by_type() {
        assert_eq!(mean(7.0, 3, Type::Bytes), Some(Value::Uint(2)));
        assert_eq!(mean(7.0, 3, Type::Uint), Some(Value::Float(2.333)));
        assert_eq!(mean(0.0, 0, Type::Uint), None);
        assert_eq!((per_cent(950), per_cent(999), Measure::Percentile(500).column()), ("95".into(), "99.9".into(), "p50".into()));
    }
}
