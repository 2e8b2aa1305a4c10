//! CSV (RFC 4180) with a header. A value that a spreadsheet would run as a formula is quoted with an apostrophe.

use super::{Rows, io, shown, value};
use crate::error::{Error, Result};
use crate::model::Record;
use crate::model::field::{self, FieldId};
use crate::query::Engine;
use crate::query::engine::Table;
use std::io::Write;

/// Writes records.
pub struct CsvRows<'w> {
    columns: Vec<FieldId>,
    writer: csv::Writer<&'w mut dyn Write>,
    begun: bool,
}

impl<'w> CsvRows<'w> {
    /// A writer of these columns.
    pub fn new(columns: Vec<FieldId>, out: &'w mut dyn Write) -> CsvRows<'w> {
        CsvRows { columns, writer: csv::Writer::from_writer(out), begun: false }
    }
    fn header(&mut self) -> Result<()> {
        if !std::mem::replace(&mut self.begun, true) {
            self.writer.write_record(self.columns.iter().map(|id| field::name(*id))).map_err(failed)?;
        }
        Ok(())
    }
}

pub(super) fn failed(e: csv::Error) -> Error {
    match e.into_kind() {
        csv::ErrorKind::Io(e) => io(e),
        other => Error::internal(format!("cannot write CSV: {other:?}")),
    }
}

pub(super) fn harmless(text: String) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) && text.parse::<f64>().is_err() { format!("'{text}") } else { text }
}

impl Rows for CsvRows<'_> {
    fn record(&mut self, record: &Record, engine: &dyn Engine) -> Result<()> {
        self.header()?;
        let cells =
            self.columns.iter().map(|id| harmless(value(record, *id, engine).map(|v| shown(&v, Some(*id))).unwrap_or_default()));
        self.writer.write_record(cells).map_err(failed)
    }
    fn end(&mut self) -> Result<()> {
        self.header()?;
        self.writer.flush().map_err(io)
    }
}

/// Writes a table.
pub fn write(table: &Table, out: &mut dyn Write) -> Result<()> {
    let mut writer = csv::Writer::from_writer(out);
    writer.write_record(&table.columns).map_err(failed)?;
    for row in &table.rows {
        let cells = row.iter().zip(&table.fields);
        let cells = cells.map(|(v, id)| harmless(v.as_ref().map(|v| shown(v, *id)).unwrap_or_default()));
        writer.write_record(cells).map_err(failed)?;
    }
    writer.flush().map_err(io)
}
