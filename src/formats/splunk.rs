//! Splunk exports as JSON: `{"preview":...,"result":{"_raw":...,"_time":...}}` a line (REST export), or `{"results":[...]}` (Splunk REST API,
//! "search/jobs/export"). The line in `_raw` is read by its own format: see `super::unwrap`. Exports as CSV are read as `super::csv_lines`.
//!
//! `csv_lines`: super::csv_lines

use super::json::{self, Members};
use super::json_document::{self, Document};
use super::{Context, Format, Framing, Reader, Sniff, head};

/// The format.
pub static FORMAT: Splunk = Splunk;

/// Splunk JSON exports.
pub struct Splunk;

impl Format for Splunk {
    fn name(&self) -> &'static str {
        "splunk"
    }
    fn doc(&self) -> &'static str {
        "Splunk search results as JSON; the line in _raw is read by its own format (Splunk REST API, search/jobs/export)."
    }
    fn framing(&self) -> Framing {
        Framing::Document
    }
    fn sniff(&self, head: &[u8]) -> Sniff {
        let wanted = |o: &Members<'_>| {
            let result = json::member(o, "result").and_then(|r| json::object(r.get()));
            is_result(result.as_ref().unwrap_or(o))
        };
        let wrapper = |text: &str| text.contains("\"results\":") && text.contains("\"_raw\":");
        let text = String::from_utf8_lossy(head::plain(head));
        match json_document::first_object(head).is_some_and(|t| json::object(&t).is_some_and(|o| wanted(&o)))
            || text.starts_with('{') && wrapper(&text)
        {
            true => Sniff::Yes,
            false => Sniff::No,
        }
    }
    fn reader(&self, context: &Context) -> Box<dyn Reader> {
        Box::new(Document { context: context.clone(), holders: &["results"] })
    }
}

/// Whether an object is a row of a result.
fn is_result(object: &Members<'_>) -> bool {
    let has = |key| json::member(object, key).is_some();
    has("_raw") && ["_time", "sourcetype", "source", "index", "host"].iter().any(|k| has(k))
}
