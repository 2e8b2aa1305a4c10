//! Elasticsearch and Kibana exports as JSON: one `{"_index":...,"_source":{...}}` a line (elasticdump, scroll), the answer to a search
//! (`{"hits":{"hits":[...]}}`), or bare documents of the Elastic Common Schema (Elastic, "ECS field reference").
//!
//! Windows events are read as such; a line in `event.original`, `log.original` or `message` is read by its own format: see `unwrap`. Else
//! the common schema's names give the fields. Exports as CSV are read as `csv_lines`.
//!
//! `unwrap`: super::unwrap
//! `csv_lines`: super::csv_lines

use super::json::{self, Members};
use super::json_document::{self, Document};
use super::{Context, Format, Framing, Reader, Sniff, head, windows_event};

/// The format.
pub static FORMAT: Elastic = Elastic;

/// Elastic exports.
pub struct Elastic;

impl Format for Elastic {
    fn name(&self) -> &'static str {
        "elastic"
    }
    fn doc(&self) -> &'static str {
        "Elasticsearch documents and search answers as JSON: ECS fields, Windows events, and inner lines by their own format."
    }
    fn framing(&self) -> Framing {
        Framing::Document
    }
    fn sniff(&self, head: &[u8]) -> Sniff {
        let wanted = |o: &Members<'_>| json::member(o, "_source").is_some_and(|r| r.get().starts_with('{')) || is_ecs(o);
        let text = String::from_utf8_lossy(head::plain(head));
        let answer = text.trim_start().starts_with('{') && text.contains("\"hits\"") && text.contains("\"_source\"");
        match answer || json_document::first_object(head).is_some_and(|t| json::object(&t).is_some_and(|o| wanted(&o))) {
            true => Sniff::Yes,
            false => Sniff::No,
        }
    }
    fn reader(&self, context: &Context) -> Box<dyn Reader> {
        Box::new(Document { context: context.clone(), holders: &["hits", "hits"] })
    }
}

/// Whether an object says that it is of the common schema.
fn is_ecs(object: &Members<'_>) -> bool {
    let has = |key| json::member(object, key).is_some();
    has("@timestamp") && (has("ecs") || has("ecs.version")) && !windows_event::is(object)
}
