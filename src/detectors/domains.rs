//! Registrable domains of names, by number: each name is looked at once.

use super::rows::{Net, Word};
use crate::links::names::registrable;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// Most domains that are told apart, and names whose domain is remembered.
const MOST: usize = 1_000_000;

type Fast = foldhash::fast::RandomState;

/// Domains by number.
#[derive(Default, Serialize, Deserialize)]
pub struct Domains {
    texts: Vec<Box<str>>,
    by_text: HashMap<Box<str>, u32, Fast>,
    by_name: HashMap<Word, Option<u32>, Fast>,
}

impl Domains {
    /// The domain of a name; none: the name has no dot, or there are too many domains.
    pub fn of(&mut self, net: &Net, name: Word) -> Option<u32> {
        if let Some(known) = self.by_name.get(&name) {
            return *known;
        }
        if self.by_name.len() >= MOST {
            self.by_name.clear();
        }
        let found = self.number(registrable(net.text(name)));
        self.by_name.insert(name, found);
        found
    }
    fn number(&mut self, domain: &str) -> Option<u32> {
        if !domain.contains('.') {
            return None;
        }
        if let Some(known) = self.by_text.get(domain) {
            return Some(*known);
        }
        if self.texts.len() >= MOST {
            return None;
        }
        let number = self.texts.len() as u32;
        self.texts.push(domain.into());
        self.by_text.insert(domain.into(), number);
        Some(number)
    }
    /// A domain.
    pub fn text(&self, number: u32) -> &str {
        self.texts.get(number as usize).map_or("", |t| t)
    }
    /// Forgets which name has which domain; the numbers stay.
    pub fn forget_names(&mut self) {
        self.by_name.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_a_domain_have_its_number() {
        let mut net = Net::default();
        let words = ["a.evil.example", "b.evil.example", "evil.example", "host", "good.test"].map(|n| net.word(n));
        let mut domains = Domains::default();
        for _ in 0..2 {
            assert_eq!(words.map(|w| domains.of(&net, w)), [Some(0), Some(0), Some(0), None, Some(1)]);
            domains.forget_names();
        }
        assert_eq!((domains.text(0), domains.text(1), domains.text(2)), ("evil.example", "good.test", ""));
    }
}
