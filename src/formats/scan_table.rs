//! Tables that scanners export: a header, then a row for each finding, whose quoted cells may hold many lines. What `openvas-csv`, `nessus-csv`,
//! `qualys-csv` and `testssl` share; each says what its columns are.
//!
//! A row is one vulnerability record, action `found`. Columns that have no field are kept in `extra` under the column's name. A row whose
//! times are not in it stands at the file's modification time.

use super::draft::{self, Draft};
use super::{Context, Out, Reader, Sniff, Status, Unit, finding, head, table};
use crate::model::field::{self, FieldId};
use crate::model::oddity::Oddity;
use crate::model::record::Kind;
use crate::model::time::Time;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    /// Addresses of the host.
    Address,
    /// Whatever names the host: address, name, URL, `name/address`.
    Host,
    /// Port; 0 is the host.
    Port,
    /// Transport protocol, or the application.
    Proto,
    /// A word for the severity.
    Severity,
    /// A number for the severity, of which so many less is the rank.
    Level(u64),
    /// A CVSS score: the first column of the row that has one, by this order.
    Cvss(u8),
    /// CVE names in a text.
    Cve,
    /// Number of the check.
    Plugin,
    /// When it was found first.
    First,
    /// When it was found last.
    Last,
    /// A text field; the second column of one field is kept.
    Text(FieldId),
    /// Put aside for [`Shape::finish`].
    Aside,
}

/// A table's make.
pub(super) struct Shape {
    /// Columns by their comparable names (see [`table::plain_name`]).
    pub columns: &'static [(&'static str, Column)],
    /// The columns without which it is another table; each entry may name several of which one is enough, with `|`.
    pub needed: &'static [&'static str],
    /// What to do with a record when all cells are in it, and with those that were put aside: name and text.
    pub finish: fn(&mut Draft, &[(&str, &str)]),
}

/// Lines that may stand above the header.
const ABOVE: usize = 12;
/// Longest row over several lines, in bytes.
const ROW_MAX: usize = 1 << 20;

impl Shape {
    /// Whether one of the first lines is the header.
    pub fn sniff(&self, head: &[u8]) -> Sniff {
        let found = head::lines(head).iter().take(ABOVE).any(|l| self.header(&String::from_utf8_lossy(l)).is_some());
        if found { Sniff::Yes } else { Sniff::No }
    }
    fn header(&self, line: &str) -> Option<Header> {
        let separator = table::separator(line)?;
        let names: Vec<String> = table::cells(line, separator)?.iter().map(|c| table::plain_name(c)).collect();
        let has = |one: &str| names.iter().any(|n| n == one);
        if !self.needed.iter().all(|n| n.split('|').any(has)) {
            return None;
        }
        let column = |name: &str| self.columns.iter().find(|(n, _)| *n == name).map(|(_, c)| *c);
        Some(Header { separator, columns: names.into_iter().map(|n| (column(&n), n)).collect() })
    }
    /// A reader of such a table.
    pub fn reader(&'static self, context: &Context) -> Box<dyn Reader> {
        any(std::slice::from_ref(self), context)
    }
}

/// A reader of a table of any of several makes.
pub(super) fn any(shapes: &'static [Shape], context: &Context) -> Box<dyn Reader> {
    Box::new(Rows { shapes, context: context.clone(), header: None, lines: 0, open: None })
}

struct Header {
    separator: u8,
    columns: Vec<(Option<Column>, String)>,
}

/// A row whose quotes are open.
struct Row {
    unit: Unit,
    text: String,
    quotes: Quotes,
}

struct Rows {
    shapes: &'static [Shape],
    context: Context,
    header: Option<(Header, &'static Shape)>,
    lines: usize,
    open: Option<Row>,
}

/// Whether a quoted cell is open, as [`table::cells`] sees it.
#[derive(Default, Clone, Copy)]
struct Quotes {
    open: bool,
    /// Something of the cell has been read.
    inside: bool,
}

impl Quotes {
    /// Reads on: a line, or the end of one between two.
    fn read(&mut self, text: &[u8], separator: u8) {
        let mut at = 0;
        while at < text.len() {
            let b = text[at];
            at += 1;
            match b {
                b'"' if self.open && text.get(at) == Some(&b'"') => at += 1,
                b'"' if self.open => self.open = false,
                _ if self.open => {}
                b'"' if !self.inside => (self.open, self.inside) = (true, true),
                b if b == separator => self.inside = false,
                b' ' => {}
                _ => self.inside = true,
            }
        }
    }
}

impl Reader for Rows {
    fn line(&mut self, line: &[u8], unit: Unit, out: &mut Out) -> Status {
        let text = String::from_utf8_lossy(line);
        let Some((header, _)) = &self.header else {
            self.lines += 1;
            self.header = self.shapes.iter().find_map(|s| Some((s.header(&text)?, s)));
            return match self.header.is_some() || text.trim().is_empty() || self.lines <= ABOVE {
                true => Status::Skipped,
                false => failed(unit, out),
            };
        };
        let mut row = match self.open.take() {
            Some(mut row) => {
                row.text.push('\n');
                row
            }
            None if text.trim().is_empty() => return Status::Skipped,
            None => Row { unit, text: String::new(), quotes: Quotes::default() },
        };
        row.quotes.read(text.as_bytes(), header.separator);
        row.text.push_str(&text);
        if !row.quotes.open {
            return self.row(&row.text, row.unit, out);
        }
        if row.text.len() < ROW_MAX {
            self.open = Some(row);
            return Status::Skipped;
        }
        failed(row.unit, out)
    }
    fn end(&mut self, out: &mut Out) {
        if let Some(row) = self.open.take() {
            failed(row.unit, out);
        }
    }
}

fn failed(unit: Unit, out: &mut Out) -> Status {
    out.oddities.push(Oddity::at("csv_row_malformed", format!("line {}", unit.line)));
    Status::Failed
}

impl Rows {
    fn row(&self, text: &str, unit: Unit, out: &mut Out) -> Status {
        let cells = self.header.as_ref().and_then(|(h, s)| Some((h, s, table::cells(text, h.separator)?)));
        let Some((header, shape, cells)) = cells else { return failed(unit, out) };
        if cells.iter().all(|c| c.is_empty()) {
            return Status::Skipped;
        }
        let mut d = Draft::new(Kind::Vuln, &self.context, unit, text.len(), self.context.modified);
        d.partial = cells.len() != header.columns.len();
        d.text(field::ACTION, "found");
        let (mut first, mut last): (Option<Time>, Option<Time>) = (None, None);
        let mut scores: Vec<(u8, &str, &str)> = Vec::new();
        let mut aside: Vec<(&str, &str)> = Vec::new();
        for ((column, name), cell) in header.columns.iter().zip(&cells) {
            let cell = cell.as_ref();
            if cell.is_empty() {
                continue;
            }
            match column {
                Some(Column::Address) => {
                    for part in cell.split([',', ' ', ';']).filter(|p| !p.is_empty()).take(64) {
                        if !d.addr(field::DST_IP, part) {
                            d.partial |= draft::address(part).is_none();
                            d.keep(name, part);
                        }
                    }
                }
                // testssl writes `name/address`.
                Some(Column::Host) => match cell.rsplit_once('/').filter(|_| !cell.contains("://")) {
                    Some((host, address)) => [address, host].iter().for_each(|part| finding::host(&mut d, part)),
                    None => finding::host(&mut d, cell),
                },
                Some(Column::Port) => finding::port(&mut d, name, cell),
                Some(Column::Proto) => finding::proto(&mut d, name, cell),
                Some(Column::Severity) => match finding::severity(cell) {
                    Some(rank) if d.uint(field::SEVERITY, rank) => {}
                    _ => d.keep(name, cell),
                },
                Some(Column::Level(less)) => {
                    match cell.parse::<u64>().ok().and_then(|n| n.checked_sub(*less)).filter(|n| *n <= 4) {
                        Some(rank) if d.uint(field::SEVERITY, rank) => {}
                        _ => d.keep(name, cell),
                    }
                }
                Some(Column::Cvss(order)) => scores.push((*order, name, cell)),
                Some(Column::Aside) => aside.push((name, cell)),
                Some(Column::Cve) => finding::cve(&mut d, name, cell),
                Some(Column::Plugin) => finding::plugin(&mut d, name, cell),
                Some(Column::First) if first.is_none() => first = self.time(name, cell, &mut d, out),
                Some(Column::Last) if last.is_none() => last = self.time(name, cell, &mut d, out),
                Some(Column::Text(id)) if !d.has(*id) || *id == field::CPE => d.put_or_keep(*id, name, cell),
                _ => d.keep(name, draft::cut(cell)),
            }
        }
        scores.sort_by_key(|(order, ..)| *order);
        scores.iter().for_each(|(_, name, cell)| finding::cvss(&mut d, name, cell));
        if let Some(start) = first.or(last) {
            d.record.start = start;
            d.record.end = last.unwrap_or(start).max(start);
        }
        (shape.finish)(&mut d, &aside);
        d.partial |= !d.has(field::DST_IP) && !d.has(field::HOSTNAME);
        d.finish(None, out)
    }
    fn time(&self, name: &str, cell: &str, d: &mut Draft, out: &mut Out) -> Option<Time> {
        let time = finding::time(cell, &self.context, out);
        if time.is_none() {
            d.partial = true;
            d.keep(name, draft::cut(cell));
        }
        time
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_seen_as_the_cells_are_cut() {
        for text in ["a,\"b\nc\",d", "a,b\"c,d", "\"a\"\"b\",c", "\"\"\"\n", "a, \"b", "\"a\"x,\"b", "a\",\"b", ",,\""] {
            let mut quotes = Quotes::default();
            quotes.read(text.as_bytes(), b',');
            assert_eq!(quotes.open, table::cells(text, b',').is_none(), "{text:?}");
        }
    }
}
