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
/// Most definitions that are kept.
const DEFINITIONS_MAX: usize = 100_000;

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
    bytes: usize,
}

impl Glossary {
    /// Adds a definition.
    pub fn define(&mut self, key: &str, definition: Definition) {
        if !key.is_empty() && self.definitions.len() < DEFINITIONS_MAX {
            self.definitions.entry(key.to_owned()).or_insert(definition);
        }
    }
    /// A finding of a check, with what else is said of its unit. `false`: the import is cancelled.
    pub fn found(&mut self, key: &str, mut d: Draft, out: Out, each: &mut dyn FnMut(Status, Out) -> bool) -> bool {
        if let Some(definition) = self.definitions.get(key) {
            definition.fill(&mut d);
        } else {
            let size = 512 + d.record.text(field::MESSAGE).map_or(0, str::len);
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
