//! Any table with a header and a column of times: search results of Splunk (`_time`, `_raw`) and Kibana (`@timestamp`, `_source.x`), event
//! lists of Windows, tables of unknown make.
//!
//! A row is read as the object that its header makes of it: names and aliases of fields become those, a line of a log in a cell is read by its
//! own format: see `unwrap`. A row whose quotes stay open is joined with the lines after it.
//!
//! `unwrap`: super::unwrap

use super::{Context, Format, Framing, Out, Reader, Sniff, Status, Unit, Zone, clock, head, json, json_lines, table, unwrap};
use crate::model::oddity::Oddity;
use crate::model::origin::EvidenceKey;
use crate::model::time::Time;

/// The format.
pub static FORMAT: CsvLines = CsvLines;

/// Tables with times.
pub struct CsvLines;

impl Format for CsvLines {
    fn name(&self) -> &'static str {
        "csv-lines"
    }
    fn doc(&self) -> &'static str {
        "Any table with a header and a column of times, also Splunk and Kibana exports as CSV; inner lines by their own format."
    }
    fn framing(&self) -> Framing {
        Framing::Lines { max: 1 << 20 }
    }
    fn sniff(&self, head: &[u8]) -> Sniff {
        super::choose::unclaimed(self, Sniff::Maybe, head)
    }
    fn looks(&self, head: &[u8]) -> Sniff {
        if is_timed(head) { Sniff::Maybe } else { Sniff::No }
    }
    fn reader(&self, context: &Context) -> Box<dyn Reader> {
        Box::new(Rows { context: context.clone(), header: None, open: None })
    }
}

/// Longest row over several lines, in bytes.
const ROW_MAX: usize = 1 << 20;

/// Whether the first row names a column whose next cells are times.
fn is_timed(head: &[u8]) -> bool {
    let lines = head::lines(head);
    let Some(header) = lines.first().and_then(|l| Header::parse(&String::from_utf8_lossy(l))) else { return false };
    let context = Context {
        evidence: EvidenceKey(0),
        stem: String::new(),
        zone: Zone::Fixed(0),
        year: None,
        dates: crate::formats::Dates::default(),
        modified: Time(i64::MAX / 2),
    };
    let Some(time) = header.time else { return false };
    lines.iter().skip(1).take(5).any(|line| {
        let line = String::from_utf8_lossy(line);
        // A row that goes on in the next line may be cut in the middle of a later cell.
        let closed = format!("{line}\"");
        let cells = table::cells(&line, header.separator).or_else(|| table::cells(&closed, header.separator));
        let cell = cells.as_ref().and_then(|c| c.get(time));
        cell.is_some_and(|c| clock::any(c, &context, &mut Out::default()).is_some())
    })
}

struct Header {
    separator: u8,
    names: Vec<String>,
    /// Which column states the time.
    time: Option<usize>,
}

impl Header {
    fn parse(line: &str) -> Option<Header> {
        let separator = table::separator(line)?;
        let names: Vec<String> = table::cells(line, separator)?
            .iter()
            .map(|c| c.strip_prefix("_source.").unwrap_or(c).trim_start_matches('#').to_owned())
            .collect();
        let words = |n: &String| n.len() <= 80 && n.bytes().any(|b| b.is_ascii_alphabetic());
        if names.len() < 2 || names.iter().filter(|n| words(n)).count() * 2 < names.len() {
            return None;
        }
        let known = || json_lines::TIMES.iter().find_map(|t| names.iter().position(|n| n == t));
        let spoken = |n: &String| {
            let plain = table::plain_name(n);
            let mut parts = plain.split('_');
            parts.any(|p| matches!(p, "time" | "timestamp" | "date" | "datetime" | "timegenerated" | "timecreated" | "eventtime"))
                || plain.ends_with("time")
        };
        let time = known().or_else(|| names.iter().position(spoken));
        Some(Header { separator, names, time })
    }
    /// The object that a row is; empty cells are left out.
    fn object(&self, cells: &[impl AsRef<str>]) -> String {
        let mut text = String::from("{");
        for (n, cell) in cells.iter().enumerate().filter(|(_, c)| !matches!(c.as_ref(), "" | "-")) {
            let spare = format!("column {}", n + 1);
            let name = match (self.time == Some(n), self.names.get(n).filter(|n| !n.is_empty())) {
                (true, Some(name)) if json_lines::TIMES.contains(&name.as_str()) => name,
                (true, _) => "timestamp",
                (false, name) => name.unwrap_or(&spare),
            };
            if text.len() > 1 {
                text.push(',');
            }
            json::quote(name, &mut text);
            text.push(':');
            json::quote(cell.as_ref(), &mut text);
        }
        text.push('}');
        text
    }
}

struct Rows {
    context: Context,
    header: Option<Header>,
    /// A row whose quotes are open, and where it began.
    open: Option<(String, Unit)>,
}

impl Reader for Rows {
    fn line(&mut self, line: &[u8], unit: Unit, out: &mut Out) -> Status {
        let line = String::from_utf8_lossy(line);
        let (text, start) = match self.open.take() {
            Some((before, start)) => (before + "\n" + &line, start),
            None if line.trim().is_empty() => return Status::Skipped,
            None => (line.into_owned(), unit),
        };
        let Some(header) = &self.header else {
            self.header = Header::parse(&text);
            if self.header.is_none() {
                out.oddities.push(Oddity::at("header_missing", format!("line {}", unit.line)));
                return Status::Failed;
            }
            return Status::Skipped;
        };
        match table::cells(&text, header.separator) {
            Some(cells) => unwrap::read(&header.object(&cells), &self.context, start, text.len(), out),
            None if text.len() < ROW_MAX => {
                self.open = Some((text, start));
                Status::Skipped
            }
            None => quote_open(start, out),
        }
    }
    fn end(&mut self, out: &mut Out) {
        if let Some((_, start)) = self.open.take() {
            quote_open(start, out);
        }
    }
}

fn quote_open(start: Unit, out: &mut Out) -> Status {
    out.oddities.push(Oddity::at("quote_open", format!("line {}", start.line)));
    Status::Failed
}
