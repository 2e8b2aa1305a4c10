//! Any JSON objects with a time that do not stand one a line: an array, objects over several lines. What `json_lines` is for lines.
//!
//! `json_lines`: super::json_lines

use super::objects::{Found, Objects};
use super::{Context, Format, Framing, Out, Reader, Sniff, Status, Unit, head, json, json_lines, unwrap};
use crate::model::oddity::Oddity;
use std::io::BufRead;

/// The format.
pub static FORMAT: JsonDocument = JsonDocument;

/// JSON documents.
pub struct JsonDocument;

impl Format for JsonDocument {
    fn name(&self) -> &'static str {
        "json-document"
    }
    fn doc(&self) -> &'static str {
        "Any JSON array of objects, or objects over several lines, with a time; keys that are names or aliases of fields become those."
    }
    fn framing(&self) -> Framing {
        Framing::Document
    }
    fn sniff(&self, head: &[u8]) -> Sniff {
        super::choose::unclaimed(self, Sniff::Maybe, head)
    }
    fn looks(&self, head: &[u8]) -> Sniff {
        let timed = first_object(head).is_some_and(|t| json::object(&t).is_some_and(|o| json_lines::is_timed(&o)));
        if timed { Sniff::Maybe } else { Sniff::No }
    }
    fn reader(&self, context: &Context) -> Box<dyn Reader> {
        Box::new(Document { context: context.clone(), holders: &[] })
    }
}

/// The first object of a head that begins as JSON does, if it is whole.
pub(super) fn first_object(head: &[u8]) -> Option<String> {
    first_held(head, &[])
}

/// The first object of the arrays with these keys, if it is whole.
pub(super) fn first_held(head: &[u8], holders: &'static [&'static str]) -> Option<String> {
    let mut text = head::plain(head).trim_ascii_start();
    if !text.starts_with(b"{") && !text.starts_with(b"[") {
        return None;
    }
    match Objects::new(&mut text, holders).next() {
        Found::Object(object, _) => Some(object),
        Found::Bad(..) | Found::Over => None,
    }
}

/// The reader of a document of objects; `holders` are the keys of the arrays that hold them.
pub(super) struct Document {
    pub context: Context,
    pub holders: &'static [&'static str],
}

impl Reader for Document {
    fn line(&mut self, _: &[u8], _: Unit, _: &mut Out) -> Status {
        Status::Skipped
    }
    fn document(&mut self, input: &mut dyn BufRead, each: &mut dyn FnMut(Status, Out) -> bool) {
        let mut objects = Objects::new(input, self.holders);
        loop {
            let (status, out) = match objects.next() {
                Found::Object(text, offset) => {
                    let unit = Unit { offset, line: 0 };
                    let mut out = Out { unit, ..Out::default() };
                    (unwrap::read(&text, &self.context, unit, text.len(), &mut out), out)
                }
                Found::Bad(what, offset) => {
                    let unit = Unit { offset, line: 0 };
                    let oddities = vec![Oddity::at(what, format!("byte {offset}"))];
                    (Status::Failed, Out { oddities, unit, ..Out::default() })
                }
                Found::Over => return,
            };
            if !each(status, out) {
                return;
            }
        }
    }
}
