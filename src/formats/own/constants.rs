//! What a responder's own format says of every line, as values of their fields.

use super::Written;
use crate::error::{Error, Result};
use crate::formats::draft::Draft;
use crate::formats::{Context, Dates, Unit, Zone};
use crate::model::field::{self, FieldId, Type};
use crate::model::origin::EvidenceKey;
use crate::model::record::Kind;
use crate::model::time::Time;
use crate::model::value::Value;

/// The constants as values of their fields.
pub(super) fn constants(
    written: &Written,
    field_of: &dyn Fn(&str) -> Result<FieldId>,
    place: &str,
    line_of: &dyn Fn(&str) -> usize,
) -> Result<Vec<(FieldId, Value)>> {
    let mut constant = Vec::new();
    for (name, text) in &written.constant {
        let id = field_of(name)?;
        let value = constant_of(id, text).ok_or_else(|| {
            Error::config(format!("`{text}` is no value of {name}"))
                .at(format!("{place}:{}", line_of(name)))
                .hint("backtrail fields tells the type of each")
        })?;
        constant.push((id, value));
    }
    Ok(constant)
}

/// A text as a value of a field, read as that of a line would be.
fn constant_of(id: FieldId, text: &str) -> Option<Value> {
    match field::get(id)?.ty {
        Type::Time => Value::parse(text, Type::Time),
        Type::Port => Some(Value::Uint(u64::from(text.parse::<u16>().ok()?))),
        _ => {
            let mut d = Draft::new(Kind::Log, &standing(), Unit::default(), 0, Time(0));
            d.put(id, text).then(|| d.record.get(id).cloned()).flatten()
        }
    }
}

/// What samples and constants are read with.
pub(super) fn standing() -> Context {
    Context {
        evidence: EvidenceKey(0),
        stem: String::new(),
        zone: Zone::Fixed(0),
        year: None,
        dates: Dates::default(),
        // Times without a year need one; a sample can say which it expects.
        modified: Time::parse("2026-12-31T23:59:59Z").unwrap_or(Time(0)),
    }
}
