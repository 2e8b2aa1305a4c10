//! A record while a format fills it: texts become values by the type of their field; what has no field goes to `extra`.
//!
//! Knows no format. Normalises what is joined on: names lower case without the final dot, hardware addresses with colons, hashes
//! and serial numbers as bare lower-case hexadecimals, CVE names upper case.

use super::{Context, Out, Read, Status, Unit, clock, json};
use crate::model::field::{self, FieldId, Place, Type};
use crate::model::oddity::Oddity;
use crate::model::origin::RecordId;
use crate::model::record::{Kind, Record};
use crate::model::source::SourceId;
use crate::model::time::Time;
use crate::model::value::Value;
use compact_str::CompactString;
use std::net::IpAddr;

/// Longest text kept in one field; the rest is in the evidence.
pub(super) const TEXT_MAX: usize = 16 * 1024;
/// Longest `extra`; what does not fit is left to the evidence and the record is partial.
const EXTRA_MAX: usize = 256 * 1024;

/// A record being read.
pub(super) struct Draft {
    pub record: Record,
    extra: String,
    /// Something was malformed.
    pub partial: bool,
    /// What the text tells is worth a guess: no format has understood it.
    pub lifts: bool,
}

impl Draft {
    /// A record of a unit.
    pub fn new(kind: Kind, context: &Context, unit: Unit, len: usize, start: Time) -> Draft {
        let id = RecordId { evidence: context.evidence, offset: unit.offset, ordinal: 0 };
        let mut record = Record::new(kind, id, SourceId(0), start);
        record.len = u32::try_from(len).unwrap_or(u32::MAX);
        record.fields.reserve(16);
        Draft { record, extra: String::new(), partial: false, lifts: true }
    }
    /// A record of a unit whose time may be missing: then it stands at the file's modification time, is partial, and an oddity says so.
    pub fn timed(kind: Kind, context: &Context, unit: Unit, len: usize, start: Option<Time>, out: &mut Out) -> Draft {
        let mut draft = Draft::new(kind, context, unit, len, start.unwrap_or(context.modified));
        if start.is_none() {
            draft.partial = true;
            out.oddities.push(Oddity::new("time_missing"));
        }
        draft
    }
    /// Bytes of its texts, those of `extra` too.
    pub fn bytes(&self) -> usize {
        let texts = self.record.fields.iter().filter_map(|(_, v)| v.as_text());
        self.extra.len() + texts.map(str::len).sum::<usize>()
    }
    /// Whether a field has a value.
    pub fn has(&self, id: FieldId) -> bool {
        self.record.get(id).is_some()
    }
    /// Gives a value. False: the field holds one already, and may hold only one.
    pub fn give(&mut self, id: FieldId, value: Value) -> bool {
        if self.has(id) && field::get(id).is_none_or(|f| f.place != Place::Many) {
            return false;
        }
        self.record.set(id, value);
        true
    }
    /// Gives a number.
    pub fn uint(&mut self, id: FieldId, n: u64) -> bool {
        self.give(id, Value::Uint(n))
    }
    /// Gives a text, unless it is empty.
    pub fn text(&mut self, id: FieldId, text: &str) -> bool {
        if text.is_empty() {
            return true;
        }
        let text = normal(id, text);
        // A line may say a name many times: it is one.
        let said = id == field::NAME && self.record.fields.iter().any(|(f, v)| *f == id && v.as_text() == Some(text.as_str()));
        said || self.give(id, Value::Text(text))
    }
    /// Gives an address if the text is one.
    pub fn addr(&mut self, id: FieldId, text: &str) -> bool {
        address(text).is_some_and(|a| self.give(id, Value::Addr(a)))
    }
    /// Gives what the text says in the type of the field. False: it is not of that type, or the field has a value.
    pub fn put(&mut self, id: FieldId, text: &str) -> bool {
        let Some(ty) = field::get(id).map(|f| f.ty) else { return false };
        match ty {
            Type::Text => self.text(id, text),
            Type::Addr => self.addr(id, text),
            Type::Uint | Type::Port | Type::Bytes => text.parse().is_ok_and(|n| self.uint(id, n)),
            Type::Proto => crate::model::proto::parse(text).is_some_and(|n| self.uint(id, u64::from(n))),
            Type::Time => false,
            Type::Span => seconds(text).is_some_and(|n| self.uint(id, n)),
            _ => Value::parse(text, ty).is_some_and(|v| self.give(id, v)),
        }
    }
    /// [`Draft::put`]; a text that is not of the field's type, or a second value, is kept in `extra` under `key`. Only the former
    /// makes the record partial.
    pub fn put_or_keep(&mut self, id: FieldId, key: &str, text: &str) {
        let said = self.record.get(id).is_some_and(|v| v.to_string() == text);
        if !text.is_empty() && !said && !self.put(id, text) {
            self.partial |= !self.has(id);
            self.keep(key, text);
        }
    }
    /// Gives a time read from text, or keeps the text in `extra`.
    pub fn instant(&mut self, id: FieldId, key: &str, text: &str, context: &Context, out: &mut Out) {
        match clock::any(text, context, out) {
            Some(t) => {
                self.give(id, Value::Time(t));
            }
            None => self.keep(key, text),
        }
    }
    /// Keeps a text in `extra`.
    pub fn keep(&mut self, key: &str, text: &str) {
        if !text.is_empty() && self.room(key.len() + text.len()) {
            self.open(key);
            json::quote(cut(text), &mut self.extra);
        }
    }
    /// Keeps a JSON value in `extra` as it stands.
    pub fn keep_json(&mut self, key: &str, raw: &str) {
        if matches!(raw, "null" | "\"\"" | "[]" | "{}") || !self.room(key.len() + raw.len()) {
            return;
        }
        self.open(key);
        if json::depth(raw) <= json::DEPTH_MAX {
            self.extra.push_str(raw);
        } else {
            self.partial = true;
            json::quote(cut(raw), &mut self.extra);
        }
    }
    fn room(&mut self, more: usize) -> bool {
        let room = self.extra.len() + more <= EXTRA_MAX;
        self.partial |= !room;
        room
    }
    fn open(&mut self, key: &str) {
        self.extra.push(if self.extra.is_empty() { '{' } else { ',' });
        json::quote(key, &mut self.extra);
        self.extra.push(':');
    }
    /// Sets the last instant `nanos` after the first.
    pub fn lasting(&mut self, nanos: u64) {
        self.record.end = self.record.start.plus(i64::try_from(nanos).unwrap_or(i64::MAX));
    }
    /// Swaps originator and responder.
    pub fn turn(&mut self) {
        const PAIRS: [(FieldId, FieldId); 3] =
            [(field::SRC_IP, field::DST_IP), (field::SRC_PORT, field::DST_PORT), (field::SRC_MAC, field::DST_MAC)];
        let mut turned = false;
        for (id, _) in &mut self.record.fields {
            for (a, b) in PAIRS {
                if *id == a {
                    (*id, turned) = (b, true);
                } else if *id == b {
                    (*id, turned) = (a, true);
                }
            }
        }
        if turned {
            self.record.fields.sort_by_key(|(id, _)| *id);
        }
    }
    /// For a record whose source gives packet direction: turns it round if only the sender's port is that of a service.
    pub fn orient(&mut self) {
        let port = |id| self.record.uint(id).unwrap_or(u64::MAX);
        let (src, dst) = (port(field::SRC_PORT), port(field::DST_PORT));
        let ported = matches!(self.record.uint(field::PROTO), Some(6 | 17 | 132));
        if ported && src < 1024 && (1024..=65_535).contains(&dst) {
            self.turn();
        }
    }
    /// Gives the ports that an ICMP type and code mean (Community ID's rule: type and counterpart type, else type and code).
    pub fn icmp(&mut self, kind: u64, code: u64) {
        let protocol = self.record.uint(field::PROTO).unwrap_or(0) as u8;
        let counterpart = u8::try_from(kind).ok().and_then(|k| crate::model::community_id::icmp_counterpart(protocol, k));
        self.uint(field::SRC_PORT, kind);
        self.uint(field::DST_PORT, counterpart.map_or(code, u64::from));
    }
    /// Gives the record out, as the next one of its unit.
    pub fn finish(mut self, sensor: Option<&str>, out: &mut Out) -> Status {
        if !self.extra.is_empty() {
            self.extra.push('}');
            self.record.set(field::EXTRA, Value::Text(self.extra.into()));
        }
        self.record.fields.shrink_to_fit();
        let before = out.records.last().map(|r| r.record.id).filter(|id| id.offset == self.record.id.offset);
        self.record.id.ordinal = before.map_or(0, |id| id.ordinal.saturating_add(1));
        let sensor = sensor.filter(|s| !s.is_empty()).map(str::to_owned);
        out.records.push(Read { record: self.record, sensor });
        if self.partial { Status::Partial } else { Status::Ok }
    }
}

/// Adds members (`"a":1,"b":2`) to a record's extra ones.
pub(super) fn add_extra(record: &mut Record, more: &str) {
    if more.is_empty() {
        return;
    }
    let at = record.fields.iter().position(|(id, _)| *id == field::EXTRA);
    let extra = match at.map(|at| record.fields.remove(at).1) {
        Some(Value::Text(text)) if text.ends_with('}') && text.len() > 2 => format!("{},{more}}}", &text[..text.len() - 1]),
        _ => format!("{{{more}}}"),
    };
    record.set(field::EXTRA, Value::Text(extra.into()));
}

/// An address, also in brackets or with an interface (`fe80::1%eth0`).
pub(super) fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let text = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text);
    text.split('%').next()?.parse().ok()
}

/// Decimal seconds as nanoseconds; also in the form `1e-05`.
pub(super) fn seconds(text: &str) -> Option<u64> {
    match Time::parse_epoch(text) {
        Some(t) => u64::try_from(t.0).ok(),
        None => text.parse::<f64>().ok().filter(|s| (0.0..1e10).contains(s)).map(|s| (s * 1e9) as u64),
    }
}

/// The first bytes of a text that a field keeps, whole characters.
pub(super) fn cut(text: &str) -> &str {
    match text.len() <= TEXT_MAX {
        true => text,
        false => &text[..text.floor_char_boundary(TEXT_MAX)],
    }
}

fn normal(id: FieldId, text: &str) -> CompactString {
    let text = cut(text);
    let lower = |t: &str| match t.bytes().any(|b| b.is_ascii_uppercase()) || !t.is_ascii() {
        true => CompactString::from(t.to_lowercase()),
        false => CompactString::from(t),
    };
    match id {
        field::NAME | field::SNI | field::HTTP_HOST | field::ANSWER_NAME | field::CERT_SAN | field::HOSTNAME => {
            lower(text.strip_suffix('.').filter(|t| !t.is_empty()).unwrap_or(text))
        }
        field::SRC_MAC | field::DST_MAC => lower(text).replace('-', ":").into(),
        field::CERT_SERIAL | field::CERT_SHA1 | field::CERT_SHA256 => {
            text.chars().filter(|c| *c != ':').map(|c| c.to_ascii_lowercase()).collect()
        }
        field::MD5 | field::SHA1 | field::SHA256 => lower(text),
        field::CVE => CompactString::from(text.to_ascii_uppercase()),
        _ => CompactString::from(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::Zone;
    use crate::model::origin::EvidenceKey;

    fn draft() -> Draft {
        let context = Context {
            evidence: EvidenceKey(1),
            stem: "x".into(),
            zone: Zone::Fixed(0),
            year: None,
            dates: crate::formats::Dates::default(),
            modified: Time(0),
        };
        Draft::new(Kind::Log, &context, Unit { offset: 0, line: 1 }, 3, Time(0))
    }

    #[test]
    fn what_is_not_of_the_type_is_kept_and_the_record_is_partial() {
        let mut d = draft();
        d.put_or_keep(field::SRC_IP, "src", "not an address");
        d.put_or_keep(field::NAME, "q", "WWW.Example.COM.");
        assert!(d.partial);
        let mut out = Out::default();
        assert_eq!(d.finish(None, &mut out), Status::Partial);
        assert_eq!(out.records[0].record.text(field::EXTRA), Some(r#"{"src":"not an address"}"#));
        assert_eq!(out.records[0].record.text(field::NAME), Some("www.example.com"));
    }

    #[test]
    fn a_second_value_of_a_single_field_is_kept_and_nothing_is_partial() {
        let mut d = draft();
        d.put_or_keep(field::USER, "user", "a");
        d.put_or_keep(field::USER, "login", "b");
        assert!(!d.partial);
        assert_eq!(d.record.text(field::USER), Some("a"));
        assert_eq!(d.extra, r#"{"login":"b""#);
    }

    #[test]
    fn turning_round_keeps_field_order() {
        let mut d = draft();
        d.put(field::PROTO, "udp");
        d.addr(field::SRC_IP, "192.0.2.1");
        d.addr(field::DST_IP, "192.0.2.2");
        d.uint(field::SRC_PORT, 53);
        d.uint(field::DST_PORT, 40_000);
        d.orient();
        assert_eq!(d.record.uint(field::DST_PORT), Some(53));
        assert_eq!(d.record.addr(field::SRC_IP), address("192.0.2.2"));
        assert!(d.record.fields.windows(2).all(|w| w[0].0 <= w[1].0));
    }
}
