//! JSON Lines: flat keys, the fields' canonical names; RFC 3339 times with Z; spans in seconds; fields of many values are arrays.

use super::{Rows, io};
use crate::error::Result;
use crate::model::field::{self, FieldId, Place, Type};
use crate::model::record::Kind;
use crate::model::{Record, Value};
use crate::query::Engine;
use crate::query::engine::Table;
use serde_json::{Map, Value as Json, json};
use std::io::Write;

/// Writes records.
pub struct JsonlRows<'w> {
    out: &'w mut dyn Write,
}

impl<'w> JsonlRows<'w> {
    /// A writer.
    pub fn new(out: &'w mut dyn Write) -> JsonlRows<'w> {
        JsonlRows { out }
    }
}

impl Rows for JsonlRows<'_> {
    fn record(&mut self, record: &Record, engine: &dyn Engine) -> Result<()> {
        writeln!(self.out, "{}", Json::Object(object(record, engine))).map_err(io)
    }
    fn end(&mut self) -> Result<()> {
        self.out.flush().map_err(io)
    }
}

/// A value in JSON: numbers as numbers, spans as seconds, all else as its text.
pub fn value(value: &Value, ty: Type) -> Json {
    match (value, ty) {
        (Value::Bool(b), _) => json!(b),
        (Value::Uint(n), Type::Span) => json!(*n as f64 / 1e9),
        (Value::Uint(n), Type::Uint | Type::Bytes | Type::Port) => json!(n),
        (Value::Float(x), _) => json!(x),
        _ => Json::String(value.show(ty)),
    }
}

/// A record as one flat object.
pub fn object(record: &Record, engine: &dyn Engine) -> Map<String, Json> {
    let mut out = Map::new();
    let schema = if record.kind == Kind::Flow { "backtrail.flow/1" } else { "backtrail.event/1" };
    out.insert("schema".into(), json!(schema));
    let head = [field::KIND, field::ID, field::SOURCE, field::EVIDENCE, field::START, field::END];
    let raw = (record.shift != 0).then_some(field::RAW_START);
    let derived = [field::DURATION, field::COMMUNITY_ID];
    for id in head.into_iter().chain(raw).chain(derived) {
        insert(&mut out, id, super::value(record, id, engine));
    }
    if record.shift != 0 {
        out.insert("clock.shift".into(), json!(record.shift as f64 / 1e9));
    }
    let mut at = 0;
    while let Some((id, first)) = record.fields.get(at) {
        let same = record.fields[at..].iter().take_while(|(f, _)| f == id).count();
        if field::get(*id).is_some_and(|f| f.place == Place::Many) {
            let ty = field::get(*id).map_or(Type::Text, |f| f.ty);
            let all = record.fields[at..at + same].iter().map(|(_, v)| value(v, ty)).collect();
            out.insert(field::name(*id), Json::Array(all));
        } else {
            insert(&mut out, *id, Some(first.clone()));
        }
        at += same;
    }
    if !record.seen_by.is_empty() {
        let names = record.seen_by.iter().map(|s| json!(engine.source_name(*s))).collect();
        out.insert("seen_by".into(), Json::Array(names));
    }
    out
}

fn insert(out: &mut Map<String, Json>, id: FieldId, v: Option<Value>) {
    let Some(v) = v else { return };
    let ty = field::get(id).map_or(Type::Text, |f| f.ty);
    // `extra` is JSON already.
    let json = match (&v, id) {
        (Value::Text(t), field::EXTRA) => serde_json::from_str(t).unwrap_or_else(|_| value(&v, ty)),
        _ => value(&v, ty),
    };
    out.insert(field::name(id), json);
}

/// Writes a table, one object a row.
pub fn write(table: &Table, schema: &str, out: &mut dyn Write) -> Result<()> {
    for row in &table.rows {
        let mut object = Map::new();
        object.insert("schema".into(), json!(schema));
        for ((name, id), v) in table.columns.iter().zip(&table.fields).zip(row) {
            if let Some(v) = v {
                let ty = id.and_then(field::get).map_or(Type::Uint, |f| f.ty);
                object.insert(name.clone(), value(v, ty));
            }
        }
        writeln!(out, "{}", Json::Object(object)).map_err(io)?;
    }
    out.flush().map_err(io)
}
