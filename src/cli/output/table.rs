//! Aligned columns. Widths follow the first rows; log text is made harmless for the terminal.

use super::{Rows, io, shown, value};
use crate::error::Result;
use crate::model::field::{self, FieldId, Type};
use crate::model::{Record, summary};
use crate::query::Engine;
use crate::query::engine::{Match, Table};
use std::fmt::Write as _;
use std::io::Write;
use unicode_width::UnicodeWidthStr;

/// Rows that widths are taken from.
const LOOK_AHEAD: usize = 500;
/// Widest column but the last.
const WIDEST: usize = 44;

/// Writes records.
pub struct TableRows<'w> {
    columns: Vec<FieldId>,
    grid: Grid<'w>,
}

impl<'w> TableRows<'w> {
    /// A writer of these columns; without any: time, kind, source and what happened in one line.
    pub fn new(columns: Vec<FieldId>, out: &'w mut dyn Write) -> TableRows<'w> {
        let columns = if columns.is_empty() { vec![field::START, field::KIND, field::SOURCE] } else { columns };
        let mut names: Vec<String> = columns.iter().map(|id| field::name(*id)).collect();
        let right = columns.iter().map(|id| field::get(*id).is_some_and(|f| is_number(f.ty))).collect();
        let mixed = columns == [field::START, field::KIND, field::SOURCE];
        if mixed {
            names.push("what".into());
        }
        TableRows { columns, grid: Grid::new(names, right, mixed, out) }
    }
}

pub(super) fn is_number(ty: Type) -> bool {
    matches!(ty, Type::Uint | Type::Bytes | Type::Port | Type::Float | Type::Span)
}

impl Rows for TableRows<'_> {
    fn record(&mut self, record: &Record, engine: &dyn Engine) -> Result<()> {
        let cell = |id: &FieldId| {
            let text = value(record, *id, engine).map(|v| shown(&v, Some(*id))).unwrap_or_default();
            if *id != field::START {
                return text;
            }
            // A corrected time says so, and so does a row that was found across a translation.
            let via = Match::via(record).map_or_else(String::new, |m| format!(" {m}"));
            if record.shift != 0 { format!("{text}~{via}") } else { text + &via }
        };
        let mut cells: Vec<String> = self.columns.iter().map(cell).collect();
        if self.grid.mixed {
            let seen = record.seen_by.len();
            let more = if seen > 0 { format!(" ×{} seen by", seen + 1) } else { String::new() };
            cells.push(format!("{}{more}", summary::line(record)));
        }
        self.grid.row(cells)
    }
    fn end(&mut self) -> Result<()> {
        self.grid.end()
    }
}

/// Writes a table.
pub fn write(table: &Table, out: &mut dyn Write) -> Result<()> {
    let right = table.fields.iter().map(|id| id.and_then(field::get).is_none_or(|f| is_number(f.ty))).collect();
    let mut grid = Grid::new(table.columns.clone(), right, false, out);
    for row in &table.rows {
        let cells = row.iter().zip(&table.fields).map(|(v, id)| v.as_ref().map(|v| shown(v, *id)).unwrap_or_default());
        grid.row(cells.collect())?;
    }
    grid.end()
}

/// Rows of text cells.
pub struct Grid<'w> {
    names: Vec<String>,
    right: Vec<bool>,
    mixed: bool,
    widths: Vec<usize>,
    held: Vec<Vec<String>>,
    begun: bool,
    out: &'w mut dyn Write,
}

impl<'w> Grid<'w> {
    /// A grid with a header; `right`: columns aligned to the right.
    pub fn new(names: Vec<String>, right: Vec<bool>, mixed: bool, out: &'w mut dyn Write) -> Grid<'w> {
        Grid { names, right, mixed, widths: Vec::new(), held: Vec::new(), begun: false, out }
    }
    /// Adds a row.
    pub fn row(&mut self, cells: Vec<String>) -> Result<()> {
        let cells: Vec<String> = cells.iter().map(|c| harmless(c)).collect();
        if self.begun {
            return self.print(&cells);
        }
        self.held.push(cells);
        if self.held.len() >= LOOK_AHEAD { self.begin() } else { Ok(()) }
    }
    fn begin(&mut self) -> Result<()> {
        self.begun = true;
        self.widths = self.names.iter().map(|n| n.width()).collect();
        for row in &self.held {
            for (width, cell) in self.widths.iter_mut().zip(row) {
                *width = (*width).max(cell.width().min(WIDEST));
            }
        }
        let header = self.names.clone();
        self.print(&header)?;
        for row in std::mem::take(&mut self.held) {
            self.print(&row)?;
        }
        Ok(())
    }
    fn print(&mut self, cells: &[String]) -> Result<()> {
        let mut line = String::new();
        for (i, cell) in cells.iter().enumerate() {
            let gap = self.widths.get(i).copied().unwrap_or(0).saturating_sub(cell.width());
            let right = self.right.get(i).copied().unwrap_or(false);
            let last = i + 1 == cells.len();
            let (before, after) = if right { (gap, 0) } else { (0, if last { 0 } else { gap }) };
            let _ = write!(line, "{}{cell}{}", " ".repeat(before), " ".repeat(after));
            if !last {
                line.push_str("  ");
            }
        }
        writeln!(self.out, "{}", line.trim_end()).map_err(io)
    }
    /// Prints what is held back.
    pub fn end(&mut self) -> Result<()> {
        if !self.begun {
            self.begin()?;
        }
        self.out.flush().map_err(io)
    }
}

/// Control characters, escape sequences and whatever else deceives a reader as visible text, so that log text cannot drive the terminal.
pub fn harmless(text: &str) -> String {
    crate::tui::text::clean(text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_drive_the_terminal() {
        assert_eq!(harmless("a\x1b[31mb\u{202e}c\n"), "a\\x1b[31mb<U+202E>c\\n");
    }

    #[test]
    fn columns_are_aligned() {
        let mut out = Vec::new();
        let mut grid = Grid::new(vec!["a".into(), "n".into()], vec![false, true], false, &mut out);
        grid.row(vec!["xx".into(), "5".into()]).unwrap();
        grid.row(vec!["y".into(), "12345".into()]).unwrap();
        grid.end().unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "a       n\nxx      5\ny   12345\n");
    }
}
