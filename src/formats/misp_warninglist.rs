//! MISP warning lists as JSON (MISP/misp-warninglists: `name`, `type`, `list`): what is known to be harmless or explains itself.
//!
//! Each entry is an inventory record, action `listed`, of confidence 0: that it stands here is no ground against it. As a feed of the kind `allow` the list keeps
//! scores low. Entries of lists of regular expressions and of substrings name no value and are skipped. A list has no times: records stand at the
//! file's modification time.

use super::draft::Draft;
use super::objects::{Found, Objects};
use super::{Context, Format, Framing, Out, Reader, Sniff, Status, Unit, indicator, json, objects};
use crate::model::field;
use crate::model::oddity::Oddity;
use crate::model::record::Kind;
use crate::model::value::Value;
use std::io::BufRead;

/// The format.
pub static FORMAT: MispWarninglist = MispWarninglist;

/// MISP warning lists.
pub struct MispWarninglist;

impl Format for MispWarninglist {
    fn name(&self) -> &'static str {
        "misp-warninglist"
    }
    fn doc(&self) -> &'static str {
        "MISP warning list as JSON: addresses, networks and names that are known to be harmless (MISP/misp-warninglists)."
    }
    fn framing(&self) -> Framing {
        Framing::Document
    }
    fn sniff(&self, head: &[u8]) -> Sniff {
        let kinds = ["cidr", "hostname", "string", "substring", "regex"];
        let kind = kinds.iter().any(|k| memchr::memmem::find(head, format!("\"{k}\"").as_bytes()).is_some());
        let tail = json::has_keys(head, &["matching_attributes"]) || json::has_keys(head, &["name", "type"]);
        if json::has_keys(head, &["list"]) && tail && kind { Sniff::Yes } else { Sniff::No }
    }
    fn reader(&self, context: &Context) -> Box<dyn Reader> {
        Box::new(List { context: context.clone() })
    }
}

struct List {
    context: Context,
}

impl Reader for List {
    fn line(&mut self, _: &[u8], _: Unit, _: &mut Out) -> Status {
        Status::Skipped
    }
    fn document(&mut self, input: &mut dyn BufRead, each: &mut dyn FnMut(Status, Out) -> bool) {
        let mut objects = Objects::new(input, &[]);
        loop {
            let goes_on = match objects.next() {
                Found::Object(text, offset) => self.list(&text, offset, each),
                Found::Bad(what, offset) => {
                    let oddities = vec![Oddity::at(what, format!("byte {offset}"))];
                    each(Status::Failed, Out { oddities, unit: Unit { offset, line: 0 }, ..Out::default() })
                }
                Found::Over => return,
            };
            if !goes_on {
                return;
            }
        }
    }
}

impl List {
    /// Gives each entry out by itself: a list may have a great many. `false`: the import is cancelled.
    fn list(&self, text: &str, offset: u64, each: &mut dyn FnMut(Status, Out) -> bool) -> bool {
        let whole = Unit { offset, line: 0 };
        let mut out = Out { unit: whole, ..Out::default() };
        let Some(members) = json::object(text) else {
            let status = objects::malformed(whole, &mut out);
            return each(status, out);
        };
        let of = |key: &str| json::text_at(&members, &[key]);
        let exact = !matches!(of("type").as_str(), "regex" | "substring");
        let name = of("name");
        let entries = json::member(&members, "list").map(json::elements).unwrap_or_default();
        if entries.is_empty() {
            return each(Status::Skipped, out);
        }
        for raw in entries {
            let inside = (raw.get().as_ptr() as usize).saturating_sub(text.as_ptr() as usize);
            let unit = Unit { offset: offset + inside.min(text.len()) as u64, line: 0 };
            let mut out = Out { unit, ..Out::default() };
            let entry = json::scalar(raw);
            let status = if !exact {
                Status::Skipped
            } else if indicator::recognise(&entry).is_none() {
                Status::Partial
            } else {
                let mut d = Draft::new(Kind::Inventory, &self.context, unit, raw.get().len(), self.context.modified);
                indicator::fill(&mut d, &entry, &name);
                d.give(field::CONFIDENCE, Value::Float(0.0));
                d.text(field::CATEGORY, "warning list");
                d.finish(None, &mut out)
            };
            if !each(status, out) {
                return false;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::read_all;

    #[test]
    fn entries_are_listed_without_weight() {
        let text = r#"{"description":"d","list":["192.0.2.0/24","198.51.100.1","?"],"matching_attributes":["ip-src"],"name":"Public resolvers","type":"cidr","version":1}"#;
        assert_eq!(FORMAT.sniff(text.as_bytes()), Sniff::Yes);
        let read = read_all(&FORMAT, text);
        assert_eq!(read.counts, [2, 1, 0, 0]);
        // Each has the place of its own entry, so that no two records are one.
        let places = read.records.iter().map(|r| r.record.id.offset as usize).collect::<Vec<_>>();
        assert_eq!(places, ["\"192", "\"198"].map(|t| text.find(t).unwrap()));
        assert_eq!(
            read.shown(),
            "inventory 2026-11-20T12:00:00Z category=warning list action=listed indicator=192.0.2.0/24 feed=Public resolvers confidence=0\n\
             inventory 2026-11-20T12:00:00Z dst.ip=198.51.100.1 category=warning list action=listed indicator=198.51.100.1 feed=Public resolvers confidence=0\n"
        );
    }
}
