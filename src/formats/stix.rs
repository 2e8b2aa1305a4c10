//! STIX 2.0 and 2.1 bundles (OASIS, STIX Version 2.1): the indicators in them, by their patterns.
//!
//! Each value that a pattern compares with `=`, `IN` or `ISSUBSET` is an inventory record, action `listed`, from `valid_from` to `valid_until` (without one to
//! `modified`). Confidence 0 to 100 is 0 to 1; where a pattern wants several values at once (`AND`, `FOLLOWEDBY`) each alone counts half. Revoked indicators and
//! other objects are skipped and counted; a pattern with `LIKE`, `MATCHES`, `NOT` or in another language is read in part.

use super::draft::{self, Draft};
use super::objects::{Found, Objects};
use super::{Context, Format, Framing, Out, Reader, Sniff, Status, Unit, clock, indicator, json, objects};
use crate::model::field;
use crate::model::oddity::Oddity;
use crate::model::record::Kind;
use crate::model::value::Value;
use std::io::BufRead;

/// The format.
pub static FORMAT: Stix = Stix;

/// STIX bundles.
pub struct Stix;

/// Most values of one pattern.
const VALUES_MAX: usize = 10_000;

impl Format for Stix {
    fn name(&self) -> &'static str {
        "stix"
    }
    fn doc(&self) -> &'static str {
        "STIX 2 bundle: indicators with their patterns, validity and confidence (OASIS, STIX 2.1)."
    }
    fn framing(&self) -> Framing {
        Framing::Document
    }
    fn sniff(&self, head: &[u8]) -> Sniff {
        let bundle = memchr::memmem::find(head, b"\"bundle\"").is_some() && json::has_keys(head, &["objects"]);
        let bare = json::has_keys(head, &["pattern", "valid_from"]) && memchr::memmem::find(head, b"\"indicator--").is_some();
        if bundle && json::has_keys(head, &["type", "id"]) || bare { Sniff::Yes } else { Sniff::No }
    }
    fn reader(&self, context: &Context) -> Box<dyn Reader> {
        Box::new(Bundle { context: context.clone() })
    }
}

struct Bundle {
    context: Context,
}

impl Reader for Bundle {
    fn line(&mut self, _: &[u8], _: Unit, _: &mut Out) -> Status {
        Status::Skipped
    }
    fn document(&mut self, input: &mut dyn BufRead, each: &mut dyn FnMut(Status, Out) -> bool) {
        let mut objects = Objects::new(input, &["objects"]);
        loop {
            let goes_on = match objects.next() {
                Found::Object(text, offset) => self.object(&text, Unit { offset, line: 0 }, each),
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

impl Bundle {
    /// Gives each value of an indicator out by itself: its pattern is kept with every one. `false`: the import is cancelled.
    fn object(&self, text: &str, unit: Unit, each: &mut dyn FnMut(Status, Out) -> bool) -> bool {
        let mut out = Out { unit, ..Out::default() };
        let Some(members) = json::object(text) else {
            let status = objects::malformed(unit, &mut out);
            return each(status, out);
        };
        let of = |key: &str| json::text_at(&members, &[key]);
        if of("type") != "indicator" || of("revoked") == "true" {
            return each(Status::Skipped, out);
        }
        let language = of("pattern_type");
        let pattern = of("pattern");
        let read = if matches!(language.as_str(), "" | "stix") { values(&pattern) } else { Pattern::default() };
        let mut time = |key: &str| clock::any(&of(key), &self.context, &mut out);
        let (from, until, modified) = (time("valid_from"), time("valid_until"), time("modified"));
        let from = from.or_else(|| time("created"));
        let stated = of("confidence").parse::<f64>().ok().filter(|c| (0.0..=100.0).contains(c)).map(|c| c / 100.0);
        // What belongs together says less by itself.
        let confidence = if read.joined { Some(stated.unwrap_or(0.75) / 2.0) } else { stated };
        let class = [of("indicator_types"), of("labels")].into_iter().find(|t| !t.is_empty()).unwrap_or_default();
        let (reason, id) = ([of("name"), of("description")].join(" "), of("id"));
        let mut listed = 0u16;
        for (path, value) in &read.values {
            let known = [
                "ipv4-addr:",
                "ipv6-addr:",
                "domain-name:",
                "url:",
                "file:hashes",
                "x509-certificate:hashes",
                "network-traffic:",
            ];
            if !known.iter().any(|k| path.starts_with(k)) || indicator::recognise(value).is_none() {
                continue;
            }
            // What is said of the times goes with the first value.
            let mut out = std::mem::replace(&mut out, Out { unit, ..Out::default() });
            let mut d = Draft::timed(Kind::Inventory, &self.context, unit, text.len(), from, &mut out);
            d.record.end = until.or(modified).unwrap_or(d.record.start).max(d.record.start);
            indicator::fill(&mut d, value, &self.context.stem);
            if let Some(confidence) = confidence {
                d.give(field::CONFIDENCE, Value::Float(confidence));
            }
            d.text(field::CATEGORY, &class);
            d.text(field::REASON, draft::cut(reason.trim()));
            d.keep("pattern", &pattern);
            d.keep("id", &id);
            d.finish(None, &mut out);
            // All have the place of the indicator, and are numbered through; there are at most `VALUES_MAX`.
            out.records.iter_mut().for_each(|r| r.record.id.ordinal = listed);
            listed = listed.saturating_add(1);
            if !each(if read.other { Status::Partial } else { Status::Ok }, out) {
                return false;
            }
        }
        if listed > 0 {
            return true;
        }
        out.oddities.push(Oddity::at("stix_pattern_unsupported", format!("byte {}", unit.offset)));
        each(Status::Partial, out)
    }
}

/// What is plain in a pattern.
#[derive(Default)]
struct Pattern {
    /// Object path and value.
    values: Vec<(String, String)>,
    /// Several values are wanted at once.
    joined: bool,
    /// Something in it is not plain.
    other: bool,
}

/// The values that a pattern compares for equality.
fn values(pattern: &str) -> Pattern {
    let mut out = Pattern::default();
    let (mut path, mut equal, mut negated) = (String::new(), false, false);
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\'' => {
                let mut text = String::new();
                while let Some(c) = chars.next() {
                    match c {
                        '\\' => text.extend(chars.next()),
                        '\'' => break,
                        c => text.push(c),
                    }
                }
                if path.ends_with('.') && !equal {
                    path.push_str(&text);
                } else if equal && !negated && out.values.len() < VALUES_MAX {
                    out.values.push((path.clone(), text));
                } else if equal {
                    out.other = true;
                }
            }
            '=' => equal = true,
            '!' => {
                negated = true;
                out.other = true;
            }
            '<' | '>' => out.other = true,
            c if c.is_alphanumeric() || matches!(c, '_' | '-') => {
                let mut word = String::from(c);
                while let Some(c) = chars.next_if(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | ':' | '.')) {
                    word.push(c);
                }
                match word.to_ascii_uppercase().as_str() {
                    "AND" | "FOLLOWEDBY" => (out.joined, equal, negated) = (true, false, false),
                    "OR" => (equal, negated) = (false, false),
                    "IN" | "ISSUBSET" => equal = true,
                    "NOT" => (negated, out.other) = (true, true),
                    "LIKE" | "MATCHES" | "ISSUPERSET" => (equal, out.other) = (false, true),
                    "START" | "STOP" | "WITHIN" | "REPEATS" => (equal, path) = (false, String::new()),
                    _ if word.contains(':') => (path, equal, negated) = (word, false, false),
                    _ => {}
                }
            }
            _ => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::read_all;

    #[test]
    fn patterns_give_their_plain_values() {
        let of = |p: &str| {
            let read = values(p);
            let all: Vec<String> = read.values.iter().map(|(path, v)| format!("{path} {v}")).collect();
            (all.join("; "), read.joined, read.other)
        };
        assert_eq!(of("[ipv4-addr:value = '203.0.113.9']"), ("ipv4-addr:value 203.0.113.9".into(), false, false));
        assert_eq!(
            of(
                "[file:hashes.'SHA-256' = 'ab' OR file:hashes.MD5 = 'cd'] START t'2025-01-01T00:00:00Z' STOP t'2025-02-01T00:00:00Z'"
            ),
            ("file:hashes.SHA-256 ab; file:hashes.MD5 cd".into(), false, false)
        );
        assert_eq!(
            of("[domain-name:value IN ('a.example', 'b.example') AND url:value != 'http://x/' AND url:value LIKE 'y%']"),
            ("domain-name:value a.example; domain-name:value b.example".into(), true, true)
        );
        assert_eq!(of("[ipv4-addr:value NOT = '1.1.1.1' AND a:b[*].c = 'it\\'s']").0, "a:b it's");
    }

    #[test]
    fn indicators_of_a_bundle_are_listed_with_their_validity() {
        let text = r#"{"type":"bundle","id":"bundle--1","objects":[{"type":"identity","id":"identity--1","name":"x"},
{"type":"indicator","spec_version":"2.1","id":"indicator--1","created":"2025-11-01T00:00:00Z","modified":"2025-11-02T00:00:00Z","name":"C2","indicator_types":["malicious-activity"],"pattern":"[ipv4-addr:value = '203.0.113.9' OR ipv4-addr:value ISSUBSET '198.51.100.0/24']","pattern_type":"stix","valid_from":"2025-11-03T00:00:00Z","valid_until":"2025-12-03T00:00:00Z","confidence":80},
{"type":"indicator","id":"indicator--2","revoked":true,"pattern":"[domain-name:value = 'a.example']","pattern_type":"stix","valid_from":"2025-11-03T00:00:00Z"},
{"type":"indicator","id":"indicator--3","pattern":"[domain-name:value = 'evil.example' AND process:name = 'x']","pattern_type":"stix","valid_from":"2025-11-03T00:00:00Z"}]}"#;
        assert_eq!(FORMAT.sniff(text.as_bytes()), Sniff::Yes);
        let read = read_all(&FORMAT, text);
        assert_eq!(read.counts, [3, 0, 2, 0]);
        assert_eq!(read.records.iter().map(|r| r.record.id.ordinal).collect::<Vec<_>>(), [0, 1, 0]);
        assert_eq!(
            read.shown(),
            "inventory 2025-11-03T00:00:00Z..2025-12-03T00:00:00Z dst.ip=203.0.113.9 category=malicious-activity action=listed reason=C2 indicator=203.0.113.9 feed=sample confidence=0.8 extra={\"pattern\":\"[ipv4-addr:value = '203.0.113.9' OR ipv4-addr:value ISSUBSET '198.51.100.0/24']\",\"id\":\"indicator--1\"}\n\
             inventory 2025-11-03T00:00:00Z..2025-12-03T00:00:00Z category=malicious-activity action=listed reason=C2 indicator=198.51.100.0/24 feed=sample confidence=0.8 extra={\"pattern\":\"[ipv4-addr:value = '203.0.113.9' OR ipv4-addr:value ISSUBSET '198.51.100.0/24']\",\"id\":\"indicator--1\"}\n\
             inventory 2025-11-03T00:00:00Z name=evil.example action=listed indicator=evil.example feed=sample confidence=0.375 extra={\"pattern\":\"[domain-name:value = 'evil.example' AND process:name = 'x']\",\"id\":\"indicator--3\"}\n"
        );
    }
}
