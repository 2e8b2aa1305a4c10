//! Records in Parquet files, for DuckDB, pandas, ClickHouse, and to be read back without loss: what a file says of itself, its columns,
//! writing, reading. Does not know the store.
//!
//! A column is a field that occurs, under its name; what is in the head of every record has columns too. Times are corrected, with the raw ones
//! beside them where a clock was corrected. Fields with any number of values are lists. Numbers have 64 bits, spans are nanoseconds.

pub mod pages;

pub mod read;

pub mod write;

pub use read::{Given, Reader};
pub use write::Writer;

use crate::model::field::{self, FieldId, Place, Type};
use crate::model::{EvidenceKey, Kind, Record, Value};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Name and version of the layout.
pub const SCHEMA: &str = "backtrail.parquet/1";

/// Key of the file's key-values that holds [`Told`] as JSON.
pub const KEY: &str = "backtrail";

/// The two files of an export, by what they hold.
pub const PARTS: [&str; 2] = ["flows", "events"];

/// Which of [`PARTS`] a record is in.
pub fn part_of(kind: Kind) -> usize {
    usize::from(kind != Kind::Flow)
}

/// What a file says of itself: enough to read it back without the case that it came from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Told {
    /// [`SCHEMA`].
    pub schema: String,
    /// Program and version that wrote it.
    pub program: String,
    /// The same in both files of an export, different between exports.
    pub export: String,
    /// Which of [`PARTS`].
    pub part: String,
    /// Name of the case.
    pub case: String,
    /// When, RFC 3339.
    pub exported: String,
    /// Query text; empty: everything.
    pub question: String,
    /// Columns in order.
    pub columns: Vec<ToldColumn>,
    /// Sources, in the order of the case.
    pub sources: Vec<ToldSource>,
    /// Evidence that records in this export came from.
    pub evidence: Vec<ToldEvidence>,
    /// Evidence that was handed over and could not be read, so that no record of it is anywhere: at most [`UNREAD`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<ToldUnread>,
    /// How many more there are.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unread_more: u64,
}

/// Most files in [`Told::unread`].
pub const UNREAD: usize = 10_000;

fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// An evidence file that was not read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToldUnread {
    /// Its key.
    pub key: String,
    /// Path at its import.
    pub path: String,
    /// Size in bytes.
    pub size: u64,
    /// Why it was not read first, then what else was said.
    pub why: Vec<String>,
    /// Custody: from whom, how, ticket.
    pub custody: [String; 3],
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToldColumn {
    /// Name.
    pub name: String,
    /// Number of its field; none: of the head.
    pub field: Option<u16>,
    /// Name of what it holds, see [`Holds`].
    pub holds: String,
    /// Any number of values per record.
    pub list: bool,
    /// What it is.
    pub doc: String,
}

/// A source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToldSource {
    /// Name in the case: what the column `source` holds.
    pub name: String,
    /// Format.
    pub format: String,
    /// Sensor.
    pub sensor: String,
    /// Zone that times without one were read in at import.
    pub zone: Option<String>,
    /// Whether zone or year were assumed.
    pub assumed: bool,
    /// Year of times without one.
    pub year: Option<i32>,
    /// Order of dates that may be read either way.
    pub dates: Option<String>,
    /// What was set by hand, in words; it is not applied to raw times.
    pub by_hand: Option<String>,
}

/// An evidence file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToldEvidence {
    /// Its key: what ids begin with.
    pub key: String,
    /// Path at its import.
    pub path: String,
    /// Size in bytes.
    pub size: u64,
    /// SHA-256, hexadecimal; empty: not known.
    pub sha256: String,
    /// Format.
    pub format: String,
    /// Compression.
    pub compression: String,
    /// When it was imported, RFC 3339.
    pub imported: String,
    /// ok, partial, skipped, failed, records, oddities.
    pub counts: [u64; 6],
    /// What was said of it at its import.
    pub warnings: Vec<String>,
    /// Custody: from whom, how, ticket.
    pub custody: [String; 3],
    /// Of a capture: timeouts, checksums.
    pub metered: [String; 2],
    /// Its sources, by their place in [`Told::sources`].
    pub sources: Vec<u32>,
    /// Records in each of [`PARTS`].
    pub rows: [u64; 2],
}

/// What a column holds: the type of its field, unless a value is of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Holds {
    /// Yes or no.
    Bool,
    /// A number.
    Uint,
    /// A real number.
    Float,
    /// An address as text.
    Addr,
    /// Nanoseconds UTC.
    Time,
    /// Text.
    Text,
    /// A protocol by name, else number.
    Proto,
    /// A severity by name, else rank.
    Severity,
}

impl Holds {
    const ALL: [(Holds, &'static str); 8] = [
        (Holds::Bool, "bool"),
        (Holds::Uint, "uint"),
        (Holds::Float, "float"),
        (Holds::Addr, "addr"),
        (Holds::Time, "time"),
        (Holds::Text, "text"),
        (Holds::Proto, "proto"),
        (Holds::Severity, "severity"),
    ];
    /// The word for it.
    pub fn name(self) -> &'static str {
        Holds::ALL.iter().find(|h| h.0 == self).map_or("text", |h| h.1)
    }
    /// The inverse of [`Holds::name`].
    pub fn parse(name: &str) -> Option<Holds> {
        Holds::ALL.iter().find(|h| h.1 == name).map(|h| h.0)
    }
    /// What a column of this type holds.
    pub fn of_type(ty: Type) -> Holds {
        match ty {
            Type::Bool => Holds::Bool,
            Type::Uint | Type::Bytes | Type::Port | Type::Span => Holds::Uint,
            Type::Proto => Holds::Proto,
            Type::Severity => Holds::Severity,
            Type::Float => Holds::Float,
            Type::Addr => Holds::Addr,
            Type::Time => Holds::Time,
            Type::Text => Holds::Text,
        }
    }
    /// The column that a value of a field goes to: of the field's type, else, so that nothing is lost, of the value's own.
    pub fn of(id: FieldId, value: &Value) -> Holds {
        let own = match value {
            Value::Bool(_) => Holds::Bool,
            Value::Uint(_) => Holds::Uint,
            Value::Float(_) => Holds::Float,
            Value::Text(_) => Holds::Text,
            Value::Addr(_) => Holds::Addr,
            Value::Time(_) => Holds::Time,
        };
        match field::get(id).map(|f| Holds::of_type(f.ty)) {
            Some(usual @ (Holds::Proto | Holds::Severity)) if own == Holds::Uint => usual,
            _ => own,
        }
    }
}

/// What a column is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Of {
    /// A column of the head, by its place in [`HEAD`].
    Head(usize),
    /// A field.
    Field(FieldId, Holds),
}

/// Columns of the head: name, what it holds, whether every record has it, what it is.
pub const HEAD: [(&str, Holds, bool, &str); 13] = [
    ("id", Holds::Text, true, "The record's id: evidence key, offset, ordinal."),
    ("kind", Holds::Text, true, "What the record is."),
    ("source", Holds::Text, true, "The stream that it came from."),
    ("evidence", Holds::Text, true, "Path of the evidence file at its import."),
    ("start", Holds::Time, true, "First instant, corrected by its source's clock."),
    ("end", Holds::Time, true, "Last instant, corrected."),
    ("start.raw", Holds::Time, false, "First instant as the source wrote it, where its clock was corrected."),
    ("end.raw", Holds::Time, false, "Last instant as the source wrote it, where its clock was corrected."),
    ("duration", Holds::Uint, true, "End minus start, nanoseconds."),
    ("origin.length", Holds::Uint, true, "Bytes of the evidence that it was read from; 0 of a flow."),
    ("community_id", Holds::Text, false, "Community ID v1 of its addresses and ports."),
    ("seen_by", Holds::Text, false, "Other sources that saw the same connection."),
    (
        "counted",
        Holds::Bool,
        false,
        "Of a flow: false where another source's row stands for the same connection; sums go over the rows where it is true.",
    ),
];

/// Places in [`HEAD`].
pub mod head {
    /// `id`.
    pub const ID: usize = 0;
    /// `kind`.
    pub const KIND: usize = 1;
    /// `source`.
    pub const SOURCE: usize = 2;
    /// `evidence`.
    pub const EVIDENCE: usize = 3;
    /// `start`.
    pub const START: usize = 4;
    /// `end`.
    pub const END: usize = 5;
    /// `start.raw`.
    pub const RAW_START: usize = 6;
    /// `end.raw`.
    pub const RAW_END: usize = 7;
    /// `duration`.
    pub const DURATION: usize = 8;
    /// `origin.length`.
    pub const LENGTH: usize = 9;
    /// `community_id`.
    pub const COMMUNITY_ID: usize = 10;
    /// `seen_by`.
    pub const SEEN_BY: usize = 11;
    /// `counted`.
    pub const COUNTED: usize = 12;
}

/// What records of one file have, found before it is written: a file's columns are known before its first row.
#[derive(Debug, Clone, Default)]
pub struct Survey {
    fields: BTreeMap<(FieldId, Holds), bool>,
    /// Records per evidence file.
    pub rows: BTreeMap<EvidenceKey, u64>,
}

impl Survey {
    /// Looks at a record.
    pub fn add(&mut self, record: &Record) {
        let mut before = None;
        for (id, value) in &record.fields {
            let many = before == Some(*id);
            *self.fields.entry((*id, Holds::of(*id, value))).or_default() |= many;
            before = Some(*id);
        }
        *self.rows.entry(record.id.evidence).or_default() += 1;
    }
    /// The columns: of the head those that this part has, then the fields that occur.
    pub fn columns(&self, part: usize) -> Vec<(Of, ToldColumn)> {
        let of_part = |n: &usize| part == 0 || !matches!(*n, head::SEEN_BY | head::COUNTED);
        let head = (0..HEAD.len()).filter(of_part).map(|n| {
            let (name, holds, _, doc) = HEAD[n];
            let (holds, list) = (holds.name().to_owned(), n == head::SEEN_BY);
            (Of::Head(n), ToldColumn { name: name.to_owned(), field: None, holds, list, doc: doc.to_owned() })
        });
        let fields = self.fields.iter().map(|((id, holds), many)| {
            let known = field::get(*id);
            let usual = known.is_none_or(|f| Holds::of_type(f.ty) == *holds);
            let name = field::name(*id);
            let told = ToldColumn {
                name: if usual { name } else { format!("{name}:{}", holds.name()) },
                field: Some(id.0),
                holds: holds.name().to_owned(),
                list: *many || known.is_some_and(|f| f.place == Place::Many),
                doc: known.map_or_else(String::new, |f| f.doc.to_owned()),
            };
            (Of::Field(*id, *holds), told)
        });
        head.chain(fields).collect()
    }
}
