//! MISP events as JSON (MISP core format, RFC draft-16; an export, a feed's event file, an answer of the API with `response`).
//!
//! Each attribute that is meant for detection (`to_ids`), also in objects, is an inventory record, action `listed`, from its first to its last sighting, else at
//! its timestamp. Attributes of two values (`domain|ip`, `filename|md5`) give one record each. The event's threat level is the severity; of a deleted
//! attribute and of one that is not for detection nothing is listed: they are skipped and counted. An event of more than 8 MiB is refused.

use super::draft::{self, Draft};
use super::objects::{Found, Objects};
use super::{Context, Format, Framing, Out, Reader, Sniff, Status, Unit, clock, indicator, json};
use crate::model::field;
use crate::model::oddity::Oddity;
use crate::model::record::Kind;
use std::io::BufRead;

/// The format.
pub static FORMAT: Misp = Misp;

/// MISP events.
pub struct Misp;

/// Most attributes of one event.
const ATTRIBUTES_MAX: usize = 200_000;

impl Format for Misp {
    fn name(&self) -> &'static str {
        "misp"
    }
    fn doc(&self) -> &'static str {
        "MISP event as JSON, of an export, a feed or the API: attributes that are meant for detection (MISP core format)."
    }
    fn framing(&self) -> Framing {
        Framing::Document
    }
    fn sniff(&self, head: &[u8]) -> Sniff {
        let parts = ["Attribute", "Object", "threat_level_id"].iter().any(|k| json::has_keys(head, &[k]));
        if parts && json::has_keys(head, &["Event", "info"]) { Sniff::Yes } else { Sniff::No }
    }
    fn reader(&self, context: &Context) -> Box<dyn Reader> {
        Box::new(Events { context: context.clone() })
    }
}

struct Events {
    context: Context,
}

impl Reader for Events {
    fn line(&mut self, _: &[u8], _: Unit, _: &mut Out) -> Status {
        Status::Skipped
    }
    fn document(&mut self, input: &mut dyn BufRead, each: &mut dyn FnMut(Status, Out) -> bool) {
        let mut objects = Objects::new(input, &["response"]);
        loop {
            let goes_on = match objects.next() {
                Found::Object(text, offset) => self.event(&text, offset, each),
                Found::Bad(what, offset) => {
                    each(Status::Failed, Out { oddities: vec![Oddity::at(what, format!("byte {offset}"))], ..Out::default() })
                }
                Found::Over => return,
            };
            if !goes_on {
                return;
            }
        }
    }
}

/// What the records of an event share.
struct Event {
    info: String,
    severity: Option<u64>,
    org: String,
    date: String,
}

impl Events {
    fn event(&self, text: &str, offset: u64, each: &mut dyn FnMut(Status, Out) -> bool) -> bool {
        let event = json::object(text).and_then(|o| json::object(json::member(&o, "Event")?.get()));
        let Some(event) = event else {
            let mut out = Out::default();
            let status = super::objects::malformed(Unit { offset, line: 0 }, &mut out);
            return each(status, out);
        };
        let of = |path: &[&str]| json::text_at(&event, path);
        let about = Event {
            info: of(&["info"]),
            severity: match of(&["threat_level_id"]).as_str() {
                "1" => Some(3),
                "2" => Some(2),
                "3" => Some(1),
                _ => None,
            },
            org: of(&["Orgc", "name"]),
            date: of(&["date"]),
        };
        let mut attributes: Vec<&serde_json::value::RawValue> = Vec::new();
        attributes.extend(json::member(&event, "Attribute").into_iter().flat_map(json::elements));
        for object in json::member(&event, "Object").into_iter().flat_map(json::elements) {
            let Some(object) = json::object(object.get()) else { continue };
            attributes.extend(json::member(&object, "Attribute").into_iter().flat_map(json::elements));
        }
        let start = text.as_ptr() as usize;
        for attribute in attributes.into_iter().take(ATTRIBUTES_MAX) {
            let inside = (attribute.get().as_ptr() as usize).saturating_sub(start) as u64;
            let unit = Unit { offset: offset + inside.min(text.len() as u64), line: 0 };
            let mut out = Out { unit, ..Out::default() };
            let status = self.attribute(attribute.get(), &about, unit, &mut out);
            if !each(status, out) {
                return false;
            }
        }
        true
    }

    fn attribute(&self, text: &str, event: &Event, unit: Unit, out: &mut Out) -> Status {
        let Some(members) = json::object(text) else { return super::objects::malformed(unit, out) };
        let of = |key: &str| json::text_at(&members, &[key]);
        let is = |key: &str| matches!(of(key).as_str(), "true" | "1");
        if is("deleted") || !is("to_ids") {
            return Status::Skipped;
        }
        let (kind, value) = (of("type"), of("value"));
        let named = kind.starts_with("filename|");
        let ported = kind.ends_with("|port");
        // A `|` parts values only where the type says that there are two: it may stand in a URL.
        let parts: Vec<&str> = match kind.contains('|') {
            true => value.split('|').skip(usize::from(named)).take(if ported { 1 } else { 2 }).collect(),
            false => vec![value.as_str()],
        };
        let mut listed = 0;
        for part in parts {
            if indicator::recognise(part).is_none() {
                continue;
            }
            let mut time = |text: &str| clock::any(text, &self.context, &mut *out);
            let (first, last, stamp) = (time(&of("first_seen")), time(&of("last_seen")), time(&of("timestamp")));
            let stamp = stamp.or_else(|| time(&event.date));
            let start = first.or(stamp).or(last);
            let mut d = Draft::timed(Kind::Inventory, &self.context, unit, text.len(), start, out);
            d.record.end = last.or(stamp).unwrap_or(d.record.start).max(d.record.start);
            let print = kind.contains("ja3") && part.len() == 32;
            match print {
                true => {
                    d.text(field::INDICATOR, part);
                    d.text(field::FEED, &self.context.stem);
                    d.text(field::ACTION, "listed");
                    d.text(field::JA3, &part.to_lowercase());
                }
                false => indicator::fill(&mut d, part, &self.context.stem),
            }
            if ported {
                d.put_or_keep(field::DST_PORT, "port", value.rsplit('|').next().unwrap_or(""));
            }
            d.text(field::CATEGORY, &of("category"));
            if let Some(severity) = event.severity {
                d.uint(field::SEVERITY, severity);
            }
            d.text(field::REASON, draft::cut(&[event.info.as_str(), &of("comment")].join(" ")).trim());
            d.keep("type", &kind);
            d.keep("org", &event.org);
            if named {
                d.text(field::FILE_NAME, value.split('|').next().unwrap_or(""));
            }
            let tags = json::member(&members, "Tag").into_iter().flat_map(json::elements);
            let tags: Vec<String> =
                tags.filter_map(|t| Some(json::text_at(&json::object(t.get())?, &["name"]))).take(50).collect();
            d.keep("tags", &tags.join(", "));
            d.finish(None, out);
            listed += 1;
        }
        // Mutexes, registry keys, mail subjects: nothing that is looked up here.
        if listed == 0 { Status::Skipped } else { Status::Ok }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::read_all;

    #[test]
    fn attributes_for_detection_are_listed() {
        let text = r#"{"Event":{"info":"Odd campaign","date":"2025-11-18","threat_level_id":"1","Orgc":{"name":"ORG"},"Attribute":[
{"type":"ip-dst|port","category":"Network activity","value":"203.0.113.9|443","to_ids":true,"timestamp":"1763625600","comment":"c2","Tag":[{"name":"tlp:green"}]},
{"type":"text","value":"203.0.113.10","to_ids":false,"timestamp":"1763625600"},
{"type":"domain|ip","category":"Network activity","value":"evil.example|203.0.113.11","to_ids":true,"timestamp":"1763625600"}],
"Object":[{"name":"file","Attribute":[{"type":"filename|md5","category":"Payload delivery","value":"a.exe|d41d8cd98f00b204e9800998ecf8427e","to_ids":true,"first_seen":"2025-11-19T00:00:00Z","last_seen":"2025-11-20T00:00:00Z","timestamp":"1763625600"}]}]}}"#;
        assert_eq!(FORMAT.sniff(text.as_bytes()), Sniff::Yes);
        let read = read_all(&FORMAT, text);
        assert_eq!(read.counts, [3, 0, 1, 0]);
        let shown: Vec<String> = read.shown().lines().map(str::to_owned).collect();
        assert_eq!(shown.len(), 4);
        assert_eq!(
            shown[0],
            "inventory 2025-11-20T08:00:00Z dst.ip=203.0.113.9 dst.port=443 severity=high category=Network activity action=listed reason=Odd campaign c2 indicator=203.0.113.9 feed=sample extra={\"type\":\"ip-dst|port\",\"org\":\"ORG\",\"tags\":\"tlp:green\"}"
        );
        assert!(shown[3].starts_with("inventory 2025-11-19T00:00:00Z..2025-11-20T00:00:00Z"), "{}", shown[3]);
        let url = r#"{"Event":{"info":"i","Attribute":[{"type":"url","value":"http://evil.example/?a=1|203.0.113.12","to_ids":true,"timestamp":"1763625600"}]}}"#;
        let read = read_all(&FORMAT, url);
        assert_eq!(read.records.len(), 1);
        assert!(read.shown().contains("indicator=http://evil.example/?a=1|203.0.113.12"), "{}", read.shown());
        assert!(shown[3].contains("file.name=a.exe md5=d41d8cd98f00b204e9800998ecf8427e"), "{}", shown[3]);
    }
}
