//! Collects the fields of one event: empty values are left out, the rest stands in order of field number.

use crate::model::field::FieldId;
use crate::model::record::Kind;
use crate::model::value::Value;
use crate::protocols::{At, Understood};

/// Longest text that a field keeps, in bytes; what is longer is cut at a character.
const MAX_TEXT: usize = 4096;

/// Fields in the making.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Fields(Vec<(FieldId, Value)>, Option<u64>);

impl Fields {
    /// Adds a value.
    pub fn add(&mut self, field: FieldId, value: impl Into<Value>) {
        self.0.push((field, value.into()));
    }
    /// Adds a value if there is one.
    pub fn maybe(&mut self, field: FieldId, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.add(field, value);
        }
    }
    /// Adds a text unless it is empty.
    pub fn text(&mut self, field: FieldId, text: &str) {
        let mut end = text.len().min(MAX_TEXT);
        while !text.is_char_boundary(end) {
            end = end.saturating_sub(1);
        }
        if end > 0 {
            self.0.push((field, Value::text(text.get(..end).unwrap_or_default())));
        }
    }
    /// The file that they tell of is kept under a number ([`super::keep`]).
    pub fn keep(&mut self, number: u64) {
        self.1 = Some(number);
    }
    /// Adds what others hold.
    pub fn join(&mut self, other: Fields) {
        self.0.extend(other.0);
        self.1 = self.1.or(other.1);
    }
    /// The first value of a field.
    pub fn get(&self, field: FieldId) -> Option<&Value> {
        self.0.iter().find(|(f, _)| *f == field).map(|(_, v)| v)
    }
    /// Whether a field was added.
    pub fn has(&self, field: FieldId) -> bool {
        self.0.iter().any(|(f, _)| *f == field)
    }
    /// Whether nothing was added.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
    /// The fields, in order of number; values of one field stay in their own order.
    pub fn sorted(mut self) -> Vec<(FieldId, Value)> {
        self.0.sort_by_key(|(field, _)| *field);
        self.0
    }
    /// An event with these fields, from the packet of its first byte to the packet of its last.
    pub fn event(self, kind: Kind, first: At, last: At) -> Understood {
        let kept = self.1;
        Understood { kind, start: first.time, end: last.time.max(first.time), offset: first.offset, fields: self.sorted(), kept }
    }
}
