//! How much a name looks like one that somebody chose: the mean log-probability of its pairs of letters, learned from words.

use super::words::WORDS;
use crate::detectors::maths::percentile;
use std::sync::LazyLock;

/// Letters, one class for digits, one for hyphens, one for the ends of a name.
const CLASSES: usize = 29;
const EDGE: usize = 28;
/// Counted for every pair that is in no word.
const SMOOTHING: f64 = 0.5;

/// The model.
pub struct Model {
    /// log2 of the probability of the second class after the first.
    pairs: Vec<f64>,
    /// Means of the words it was learned from, alone and in pairs, in order.
    words: Vec<f64>,
}

/// The model of all names.
pub static MODEL: LazyLock<Model> = LazyLock::new(Model::learn);

fn class(b: u8) -> Option<usize> {
    match b {
        b'a'..=b'z' => Some(usize::from(b - b'a')),
        b'A'..=b'Z' => Some(usize::from(b - b'A')),
        b'0'..=b'9' => Some(26),
        b'-' | b'_' => Some(27),
        _ => None,
    }
}

/// The classes of a text between its ends, pair by pair.
fn pairs(text: &str) -> impl Iterator<Item = (usize, usize)> {
    let classes = || text.bytes().filter_map(class);
    std::iter::once(EDGE).chain(classes()).zip(classes().chain(std::iter::once(EDGE)))
}

impl Model {
    fn learn() -> Model {
        let words: Vec<&str> = WORDS.split_whitespace().collect();
        // Names are words, and often two of them; which two does not matter as long as it is always the same two.
        let double = |(n, word): (usize, &&str)| {
            let other = words.get((n * 37 + 11) % words.len().max(1)).copied().unwrap_or_default();
            format!("{word}{}{other}", if n % 8 == 0 { "-" } else { "" })
        };
        let doubles: Vec<String> = words.iter().enumerate().map(double).collect();
        let mut counts = vec![SMOOTHING; CLASSES * CLASSES];
        for text in words.iter().copied().chain(doubles.iter().map(String::as_str)) {
            for (a, b) in pairs(text) {
                if let Some(n) = counts.get_mut(a * CLASSES + b) {
                    *n += 1.0;
                }
            }
        }
        let log = counts
            .chunks(CLASSES)
            .flat_map(|row| {
                let all: f64 = row.iter().sum();
                row.iter().map(move |n| (n / all).log2())
            })
            .collect();
        let mut model = Model { pairs: log, words: Vec::new() };
        let mut means: Vec<f64> =
            words.iter().copied().chain(doubles.iter().map(String::as_str)).filter_map(|w| model.mean(w)).collect();
        means.sort_by(f64::total_cmp);
        model.words = means;
        model
    }
    /// Mean log2-probability of the pairs of a name; none: it is too short to tell, or not of letters.
    pub fn mean(&self, name: &str) -> Option<f64> {
        if name.len() < 5 || name.starts_with("xn--") || !name.is_ascii() {
            return None;
        }
        let (mut sum, mut n) = (0.0, 0usize);
        for (a, b) in pairs(name) {
            sum += self.pairs.get(a * CLASSES + b)?;
            n += 1;
        }
        Some(sum / n.max(1) as f64)
    }
    /// The mean below which a share of the words lies.
    pub fn below(&self, share: f64) -> f64 {
        percentile(&self.words, share).unwrap_or(f64::MIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names that somebody chose, none of which is a word of the list.
    pub const CHOSEN: [&str; 24] = [
        "wikipedia",
        "linkedin",
        "mozilla",
        "microsoft",
        "bloomberg",
        "vodafone",
        "lufthansa",
        "spiegel",
        "telegraph",
        "guardian",
        "netflix",
        "dropbox",
        "atlassian",
        "salesforce",
        "zalando",
        "nintendo",
        "instagram",
        "pinterest",
        "booking",
        "accuweather",
        "stackoverflow",
        "kubernetes",
        "debian",
        "carrefour",
    ];

    #[test]
    fn chosen_names_are_above_and_random_ones_below() {
        let limit = MODEL.below(0.01);
        let mean = |list: &[String]| list.iter().filter_map(|n| MODEL.mean(n)).sum::<f64>() / list.len() as f64;
        let chosen = mean(&CHOSEN.map(String::from));
        let mut seed = 99u64;
        let mut letter = |most: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) % most
        };
        // Of letters alone; of letters and digits; of hexadecimal digits.
        let mut random = |alphabet: &[u8]| -> Vec<String> {
            (0..200)
                .map(|_| (0..8 + letter(12)).map(|_| char::from(alphabet[letter(alphabet.len() as u64) as usize])).collect())
                .collect()
        };
        for alphabet in [&b"abcdefghijklmnopqrstuvwxyz"[..], b"abcdefghijklmnopqrstuvwxyz0123456789", b"0123456789abcdef"] {
            let found = mean(&random(alphabet));
            assert!(found < limit - 0.3, "{} {found:.2} {limit:.2}", String::from_utf8_lossy(alphabet));
        }
        assert!(chosen > limit + 0.5, "{chosen:.2} {limit:.2}");
        let single: Vec<String> = CHOSEN.iter().filter(|n| MODEL.mean(n).unwrap() < limit).map(|n| (*n).to_owned()).collect();
        assert!(single.len() <= 2, "{single:?}");
        assert_eq!((MODEL.mean("abc"), MODEL.mean("xn--bcher-kva"), MODEL.mean("bücher")), (None, None, None));
    }
}
