//! How answers are printed. One file, one form (`ipfix` and `rwcut` for `export`); all write rows as they come and never hold them all (the table holds a screenful to find
//! its widths).

pub mod cof;

pub mod csv;

pub mod file;

pub mod ipfix;

pub mod jsonl;

pub mod report;

pub mod rwcut;

pub mod sweep;

pub mod table;

pub mod zeek;

use crate::error::{Error, Result};
use crate::model::field::{self, FieldId, Place};
use crate::model::{Record, Value};
use crate::query::Engine;
use crate::query::engine::Table;
use std::io::Write;

/// A form of output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    /// Aligned columns for people.
    Table,
    /// JSON Lines, one object a row, with its schema.
    Jsonl,
    /// RFC 4180 with a header.
    Csv,
    /// Zeek's conn.log (flows only).
    Zeek,
    /// Passive DNS in the Common Output Format (DNS only).
    Cof,
}

/// Writes one row after another.
pub trait Rows {
    /// Writes a record.
    fn record(&mut self, record: &Record, engine: &dyn Engine) -> Result<()>;
    /// Writes what is held back.
    fn end(&mut self) -> Result<()>;
}

/// A writer of records in a form; `columns` apply to table and CSV.
pub fn rows<'w>(form: Form, columns: Vec<FieldId>, out: &'w mut dyn Write) -> Box<dyn Rows + 'w> {
    match form {
        Form::Table => Box::new(table::TableRows::new(columns, out)),
        Form::Jsonl => Box::new(jsonl::JsonlRows::new(out)),
        Form::Csv => Box::new(csv::CsvRows::new(columns, out)),
        Form::Zeek => Box::new(zeek::ZeekRows::new(out)),
        Form::Cof => Box::new(cof::CofRows::new(out)),
    }
}

/// Writes the table of a question with stages.
pub fn table(form: Form, table: &Table, schema: &str, out: &mut dyn Write) -> Result<()> {
    match form {
        Form::Table => table::write(table, out),
        Form::Jsonl => jsonl::write(table, schema, out),
        Form::Csv => csv::write(table, out),
        Form::Zeek => Err(Error::user("`-o zeek` writes flows, not tables").hint("-o table, jsonl or csv")),
        Form::Cof => Err(Error::user("`-o cof` writes passive DNS, not tables").hint("-o table, jsonl or csv")),
    }
}

/// The value of a field of a record, also of `source` and `evidence`, whose names the engine knows. Several values are joined by a comma.
pub fn value(record: &Record, id: FieldId, engine: &dyn Engine) -> Option<Value> {
    match id {
        field::SOURCE => Some(Value::from(engine.source_name(record.source))),
        field::EVIDENCE => Some(Value::from(engine.evidence_path(record.id.evidence))),
        _ if field::get(id).is_some_and(|f| f.place == Place::Many) => {
            let all: Vec<String> = record.all(id).map(Value::to_string).collect();
            (!all.is_empty()).then(|| Value::from(all.join(",")))
        }
        _ => record.value(id),
    }
}

/// A value as text of its field's type.
pub fn shown(value: &Value, id: Option<FieldId>) -> String {
    match id.and_then(field::get) {
        Some(f) => value.show(f.ty),
        None => value.to_string(),
    }
}

/// The standard output for answers: where it is a terminal, what evidence holds cannot drive it, whatever the form; into a file or a pipe
/// every byte goes as it is.
pub fn standard() -> Box<dyn Write> {
    use std::io::IsTerminal;
    let out = std::io::stdout();
    if out.is_terminal() { Box::new(Tame { out, line: Vec::new() }) } else { Box::new(std::io::BufWriter::new(out.lock())) }
}

/// Longest line that is held back to be looked at whole.
const LINE_MAX: usize = 1 << 16;

/// Makes what passes through it harmless to a terminal, line by line.
struct Tame<W: Write> {
    out: W,
    line: Vec<u8>,
}

impl<W: Write> Tame<W> {
    fn pass(&mut self) -> std::io::Result<()> {
        let line = std::mem::take(&mut self.line);
        let text = String::from_utf8_lossy(&line);
        self.out.write_all(crate::tui::text::clean_lines(&text).as_bytes())
    }
}

impl<W: Write> Write for Tame<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let end = memchr::memchr(b'\n', bytes).map_or(bytes.len(), |n| n + 1).min(LINE_MAX);
        self.line.extend_from_slice(&bytes[..end]);
        if self.line.ends_with(b"\n") || self.line.len() >= LINE_MAX {
            self.pass()?;
        }
        Ok(end)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        self.pass()?;
        self.out.flush()
    }
}

impl<W: Write> Drop for Tame<W> {
    fn drop(&mut self) {
        // Who wants to know of errors flushes.
        let _ = self.flush();
    }
}

/// Turns an I/O error of standard output into ours. A broken pipe is success, which [`crate::cli::main`] decides.
pub fn io(e: std::io::Error) -> Error {
    if e.kind() == std::io::ErrorKind::BrokenPipe {
        return Error::cancelled();
    }
    Error::input(format!("cannot write the output: {e}"))
}

/// Columns by their names.
pub fn columns(names: &[String]) -> Result<Vec<FieldId>> {
    names
        .iter()
        .map(|name| {
            field::find(name).map(|f| f.id).ok_or_else(|| {
                let near = crate::error::nearest(name, field::ALL.iter().map(|f| f.name));
                Error::user(format!("no field is called `{name}`"))
                    .hint(near.map_or("backtrail fields lists them".into(), |n| format!("did you mean `{n}`?")))
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_drives_a_terminal_passes() {
        let mut tame = Tame { out: Vec::new(), line: Vec::new() };
        tame.write_all("a,\x1b]0;x\x07,\u{202e}b\n日本\tc".as_bytes()).unwrap();
        tame.flush().unwrap();
        assert_eq!(String::from_utf8_lossy(&tame.out), "a,\\x1b]0;x\\x07,<U+202E>b\n日本\tc");
    }
}
