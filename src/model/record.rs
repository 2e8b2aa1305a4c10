//! A record: a flow or an event, as stored and as answered.

use super::field::{self, FieldId, Place};
use super::origin::{Origin, RecordId};
use super::source::SourceId;
use super::time::Time;
use super::value::Value;
use super::{community_id, oddity::Oddity};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a record is. Closed: numbers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[repr(u8)]
pub enum Kind {
    /// One bidirectional conversation seen at one observation point.
    Flow = 0,
    /// An IDS rule that fired.
    Alert = 1,
    /// A DNS transaction.
    Dns = 2,
    /// An HTTP request with its response.
    Http = 3,
    /// A TLS or QUIC handshake.
    Tls = 4,
    /// A file carried or named.
    File = 5,
    /// A firewall record.
    Fw = 6,
    /// A proxy record.
    Proxy = 7,
    /// A login, logout or attempt.
    Auth = 8,
    /// A DHCP message or lease.
    Dhcp = 9,
    /// A scanner's finding about a host or port.
    Vuln = 10,
    /// What is said to be there: inventory row, scanned host or port, reputation list entry.
    Inventory = 11,
    /// Something a sensor wants noticed (Zeek notice, intel).
    Notice = 12,
    /// Any other event.
    Log = 13,
    /// Something malformed in the input.
    Oddity = 14,
}

impl Kind {
    /// Every kind, in order of number.
    pub const ALL: [Kind; 15] = [
        Kind::Flow,
        Kind::Alert,
        Kind::Dns,
        Kind::Http,
        Kind::Tls,
        Kind::File,
        Kind::Fw,
        Kind::Proxy,
        Kind::Auth,
        Kind::Dhcp,
        Kind::Vuln,
        Kind::Inventory,
        Kind::Notice,
        Kind::Log,
        Kind::Oddity,
    ];
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Flow => "flow",
            Kind::Alert => "alert",
            Kind::Dns => "dns",
            Kind::Http => "http",
            Kind::Tls => "tls",
            Kind::File => "file",
            Kind::Fw => "fw",
            Kind::Proxy => "proxy",
            Kind::Auth => "auth",
            Kind::Dhcp => "dhcp",
            Kind::Vuln => "vuln",
            Kind::Inventory => "inventory",
            Kind::Notice => "notice",
            Kind::Log => "log",
            Kind::Oddity => "oddity",
        }
    }
    /// The kind with a number.
    pub fn from_u8(n: u8) -> Option<Kind> {
        Kind::ALL.get(n as usize).copied()
    }
    /// The kind that a word means.
    pub fn parse(word: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|k| k.name().eq_ignore_ascii_case(word))
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A flow or an event. Times are raw (as the source wrote them); `shift` is the correction of its source's clock, filled when a
/// question is answered and 0 at import.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Identity; also says evidence and offset.
    pub id: RecordId,
    /// What it is.
    pub kind: Kind,
    /// Where it came from.
    pub source: SourceId,
    /// First instant, raw.
    pub start: Time,
    /// Last instant, raw; equals start where there is none.
    pub end: Time,
    /// Length in bytes of the origin; 0 for a flow.
    pub len: u32,
    /// Nanoseconds that the answer adds to start and end.
    pub shift: i64,
    /// Other sources that saw the same connection (flows), in order of preference; filled when a question is answered.
    pub seen_by: Vec<SourceId>,
    /// Values in order of field number; a field of place `Many` may stand several times.
    pub fields: Vec<(FieldId, Value)>,
}

impl Record {
    /// An empty record.
    pub fn new(kind: Kind, id: RecordId, source: SourceId, start: Time) -> Record {
        Record { id, kind, source, start, end: start, len: 0, shift: 0, seen_by: Vec::new(), fields: Vec::new() }
    }
    /// An oddity as a record.
    pub fn oddity(oddity: &Oddity, id: RecordId, source: SourceId, at: Time) -> Record {
        let mut record = Record::new(Kind::Oddity, id, source, at);
        record.set(field::ODDITY, Value::text(oddity.what));
        if !oddity.place.is_empty() {
            record.set(field::PLACE, Value::Text(oddity.place.clone()));
        }
        record
    }
    /// Where its bytes are.
    pub fn origin(&self) -> Origin {
        Origin { evidence: self.id.evidence, offset: self.id.offset, len: self.len }
    }
    /// First instant, corrected.
    pub fn time(&self) -> Time {
        self.start.plus(self.shift)
    }
    /// Last instant, corrected.
    pub fn until(&self) -> Time {
        self.end.plus(self.shift)
    }
    /// Adds a value; keeps field order.
    pub fn set(&mut self, field: FieldId, value: impl Into<Value>) {
        let at = self.fields.partition_point(|(f, _)| *f <= field);
        self.fields.insert(at, (field, value.into()));
    }
    /// Adds a text unless it is empty.
    pub fn set_text(&mut self, field: FieldId, text: &str) {
        if !text.is_empty() {
            self.set(field, Value::text(text));
        }
    }
    /// The first stored value of a field.
    pub fn get(&self, field: FieldId) -> Option<&Value> {
        let at = self.fields.partition_point(|(f, _)| *f < field);
        self.fields.get(at).filter(|(f, _)| *f == field).map(|(_, v)| v)
    }
    /// Whether it is of a flow that had not ended when it was last seen.
    pub fn is_open(&self) -> bool {
        matches!(self.get(field::OPEN), Some(Value::Bool(true)))
    }
    /// All stored values of a field.
    pub fn all(&self, field: FieldId) -> impl Iterator<Item = &Value> {
        let at = self.fields.partition_point(|(f, _)| *f < field);
        self.fields[at..].iter().take_while(move |(f, _)| *f == field).map(|(_, v)| v)
    }
    /// The value of any field, also of those that are computed; of `Any` fields the first that is there. Head fields that need
    /// names of the case (`source`, `evidence`) are not known here and give `None`.
    pub fn value(&self, id: FieldId) -> Option<Value> {
        match id {
            field::KIND => return Some(Value::text(self.kind.name())),
            field::ID => return Some(Value::from(self.id.to_string())),
            field::START => return Some(Value::Time(self.time())),
            field::END => return Some(Value::Time(self.until())),
            field::RAW_START => return Some(Value::Time(self.start)),
            field::DURATION => return Some(Value::Uint(self.end.since(self.start).max(0) as u64)),
            field::COMMUNITY_ID => return community_id::of_record(self).map(Value::from),
            // Put there by whoever answers: it needs the home networks, the feeds.
            field::DIRECTION
            | field::COUNTRY
            | field::SRC_COUNTRY
            | field::DST_COUNTRY
            | field::AS
            | field::SRC_AS
            | field::DST_AS => return self.get(id).cloned(),
            _ => {}
        }
        match field::get(id)?.place {
            Place::One | Place::Many => self.get(id).cloned(),
            Place::Any(parts) => parts.iter().find_map(|p| self.get(*p)).cloned(),
            Place::Sum(parts) => {
                let mut sum = None;
                for part in parts {
                    if let Some(Value::Uint(n)) = self.get(*part) {
                        sum = Some(sum.unwrap_or(0u64).saturating_add(*n));
                    }
                }
                sum.map(Value::Uint)
            }
            // What an answer filled in.
            Place::Derived => self.get(id).cloned(),
            Place::Head => None,
        }
    }
    /// The number of an integer field.
    pub fn uint(&self, field: FieldId) -> Option<u64> {
        self.get(field).and_then(Value::as_uint)
    }
    /// The text of a text field.
    pub fn text(&self, field: FieldId) -> Option<&str> {
        self.get(field).and_then(Value::as_text)
    }
    /// The address of an address field.
    pub fn addr(&self, field: FieldId) -> Option<std::net::IpAddr> {
        self.get(field).and_then(Value::as_addr)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stay_in_field_order_and_many_values_stay_in_their_own() {
        let mut r = Record::new(Kind::Dns, RecordId::default(), SourceId(1), Time(0));
        r.set(field::ANSWER_NAME, "b.example");
        r.set(field::NAME, "q.example");
        r.set(field::ANSWER_NAME, "a.example");
        assert!(r.fields.windows(2).all(|w| w[0].0 <= w[1].0));
        let names: Vec<_> = r.all(field::ANSWER_NAME).filter_map(Value::as_text).collect();
        assert_eq!(names, ["b.example", "a.example"]);
        assert_eq!(r.text(field::NAME), Some("q.example"));
        assert_eq!(r.get(field::SNI), None);
    }

    #[test]
    fn sums_are_of_what_is_there() {
        let mut r = Record::new(Kind::Flow, RecordId::default(), SourceId(1), Time(0));
        assert_eq!(r.value(field::BYTES), None);
        r.set(field::BYTES_OUT, 40u64);
        assert_eq!(r.value(field::BYTES), Some(Value::Uint(40)));
        r.set(field::BYTES_IN, 2u64);
        assert_eq!(r.value(field::BYTES), Some(Value::Uint(42)));
    }
}
