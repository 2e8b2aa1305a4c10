//! Findings that wait for their definition: reports of Nexpose and Qualys name a check by its number at the host and say what it is at the end.
//!
//! Knows no scanner. What waits is bounded; what does not fit is given out at once with its number only.

use super::draft::{self, Draft};
use super::{Out, Status, finding};
use crate::model::field;
use crate::model::value::Value;
use std::collections::HashMap;

/// Most findings and bytes that wait.
const WAITING_MAX: usize = 200_000;
const BYTES_MAX: usize = 64 << 20;
/// Most definitions that are kept; their bytes are bounded as those of what waits are.
const DEFINITIONS_MAX: usize = 100_000;
/// About what a finding or a definition takes besides its texts.
const ONE: usize = 512;

/// What a check looks for.
#[derive(Debug, Default, Clone)]
pub(super) struct Definition {
    pub title: String,
    pub severity: Option<u64>,
    pub cvss: Option<f64>,
    pub cves: Vec<String>,
    pub category: String,
    pub solution: String,
    pub description: String,
    /// What else is said of it.
    pub more: Vec<(String, String)>,
}

impl Definition {
    fn texts(&mut self) -> impl Iterator<Item = &mut String> {
        let own = [&mut self.title, &mut self.category, &mut self.solution, &mut self.description];
        own.into_iter().chain(&mut self.cves).chain(self.more.iter_mut().map(|(_, value)| value))
    }
    fn fill(&self, d: &mut Draft) {
        if !d.has(field::SIGNATURE) {
            d.text(field::SIGNATURE, &self.title);
        }
        if let Some(severity) = self.severity {
            d.uint(field::SEVERITY, severity);
        }
        if let Some(cvss) = self.cvss {
            d.give(field::CVSS, Value::Float(cvss));
        }
        for cve in &self.cves {
            finding::cve(d, "cve", cve);
        }
        d.text(field::CATEGORY, &self.category);
        d.text(field::SOLUTION, draft::cut(&self.solution));
        match d.has(field::MESSAGE) {
            true => d.keep("description", &self.description),
            false => _ = d.text(field::MESSAGE, &self.description),
        }
        self.more.iter().for_each(|(key, value)| d.keep(key, value));
    }
}

/// Definitions, and the findings that wait for one.
#[derive(Default)]
pub(super) struct Glossary {
    definitions: HashMap<String, Definition>,
    waiting: Vec<(String, Draft, Out)>,
    /// Bytes of what waits, and of the definitions.
    bytes: usize,
    defined: usize,
    /// There was no room for some definition.
    left_out: bool,
}

impl Glossary {
    /// Adds a definition, its texts cut to what a record takes of them.
    pub fn define(&mut self, key: &str, mut definition: Definition) {
        if key.is_empty() || self.definitions.contains_key(key) {
            return;
        }
        let mut size = ONE + key.len();
        for text in definition.texts() {
            let length = draft::cut(text).len();
            if length < text.len() {
                text.truncate(length);
                text.shrink_to_fit();
            }
            size += length;
        }
        if self.definitions.len() >= DEFINITIONS_MAX || self.defined + size > BYTES_MAX {
            self.left_out = true;
            return;
        }
        self.defined += size;
        self.definitions.insert(key.to_owned(), definition);
    }
    /// A finding of a check, with what else is said of its unit. `false`: the import is cancelled.
    pub fn found(&mut self, key: &str, mut d: Draft, out: Out, each: &mut dyn FnMut(Status, Out) -> bool) -> bool {
        if let Some(definition) = self.definitions.get(key) {
            definition.fill(&mut d);
        } else {
            let size = ONE + key.len() + d.bytes();
            if self.waiting.len() < WAITING_MAX && self.bytes + size < BYTES_MAX {
                self.bytes += size;
                self.waiting.push((key.to_owned(), d, out));
                return true;
            }
        }
        give(key, d, out, each)
    }
    /// The document is over: what waits is given out.
    pub fn end(&mut self, each: &mut dyn FnMut(Status, Out) -> bool) -> bool {
        self.bytes = 0;
        for (key, mut d, out) in std::mem::take(&mut self.waiting) {
            if let Some(definition) = self.definitions.get(&key) {
                definition.fill(&mut d);
            } else {
                d.partial |= self.left_out;
            }
            if !give(&key, d, out, each) {
                return false;
            }
        }
        true
    }
}

fn give(key: &str, mut d: Draft, mut out: Out, each: &mut dyn FnMut(Status, Out) -> bool) -> bool {
    if !d.has(field::SIGNATURE) {
        d.text(field::SIGNATURE, key);
    }
    let status = d.finish(None, &mut out);
    each(status, out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::{Context, Dates, Unit, Zone};
    use crate::model::origin::EvidenceKey;
    use crate::model::record::Kind;
    use crate::model::time::Time;

    #[test]
    fn all_texts_of_what_waits_and_of_definitions_are_counted() {
        let context = Context {
            evidence: EvidenceKey(1),
            stem: "sample".into(),
            zone: Zone::Fixed(0),
            year: None,
            dates: Dates::default(),
            modified: Time(0),
        };
        let mut glossary = Glossary::default();
        let mut d = Draft::new(Kind::Vuln, &context, Unit { offset: 0, line: 0 }, 1, Time(0));
        d.keep("other", &"x".repeat(1000));
        d.text(field::SOLUTION, &"y".repeat(1000));
        assert!(glossary.found("1", d, Out::default(), &mut |_, _| panic!("it waits")));
        assert!(glossary.bytes > 2500, "{}", glossary.bytes);
        let long = || Definition { description: "z".repeat(draft::TEXT_MAX * 2), ..Definition::default() };
        glossary.define("2", long());
        assert_eq!(glossary.definitions["2"].description.len(), draft::TEXT_MAX);
        assert!(glossary.defined > draft::TEXT_MAX && !glossary.left_out);
        glossary.defined = BYTES_MAX - 1000;
        glossary.define("3", long());
        assert!(glossary.left_out && !glossary.definitions.contains_key("3"));
        // Its definition may be the one that was left out.
        let mut given = Vec::new();
        assert!(glossary.end(&mut |status, _| {
            given.push(status);
            true
        }));
        assert_eq!(given, [Status::Partial]);
    }
}
