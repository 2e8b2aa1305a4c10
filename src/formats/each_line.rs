//! A format whose lines need nothing of each other: recognised line by line, read line by line.
//!
//! Knows no format. A line that is none of the format is an oddity, counted as failed.

use super::draft::Draft;
use super::{Context, Format, Framing, Out, Reader, Sniff, Status, Unit, head};
use crate::model::oddity::Oddity;
use crate::model::record::Kind;
use crate::model::time::Time;

/// A format of lines.
pub struct EachLine {
    pub(super) name: &'static str,
    pub(super) doc: &'static str,
    /// How many of a hundred lines of a head have to be records.
    pub(super) percent: usize,
    /// Whether a line is a record, or shows otherwise that the file is of this format.
    pub(super) is: fn(&str) -> bool,
    /// Reads a line. `None`: it is none of the format.
    pub(super) read: fn(&str, &mut Line<'_>) -> Option<Status>,
}

/// A line that is read.
pub(super) struct Line<'a> {
    pub context: &'a Context,
    pub unit: Unit,
    /// Length in bytes.
    pub len: usize,
    pub out: &'a mut Out,
}

impl Line<'_> {
    /// A record of the line.
    pub fn draft(&mut self, kind: Kind, start: Option<Time>) -> Draft {
        Draft::timed(kind, self.context, self.unit, self.len, start, self.out)
    }
    /// A record of a line that by design has no time: it stands at the file's modification time.
    pub fn timeless(&self, kind: Kind) -> Draft {
        Draft::new(kind, self.context, self.unit, self.len, self.context.modified)
    }
    /// Gives a record out.
    pub fn finish(&mut self, draft: Draft, sensor: &str) -> Option<Status> {
        Some(draft.finish(Some(sensor), self.out))
    }
}

impl Format for EachLine {
    fn name(&self) -> &'static str {
        self.name
    }
    fn doc(&self) -> &'static str {
        self.doc
    }
    fn framing(&self) -> Framing {
        Framing::Lines { max: 1 << 20 }
    }
    fn sniff(&self, head: &[u8]) -> Sniff {
        // Comments alone are of any format.
        let says = |l: &&[u8]| !l.trim_ascii_start().starts_with(b"#") && (self.is)(&String::from_utf8_lossy(l));
        let any = head::lines(head).iter().any(says);
        if any && head::most(head, self.percent, self.is) { Sniff::Yes } else { Sniff::No }
    }
    fn reader(&self, context: &Context) -> Box<dyn Reader> {
        Box::new(Lines { context: context.clone(), read: self.read })
    }
}

struct Lines {
    context: Context,
    read: fn(&str, &mut Line<'_>) -> Option<Status>,
}

impl Reader for Lines {
    fn line(&mut self, line: &[u8], unit: Unit, out: &mut Out) -> Status {
        let text = String::from_utf8_lossy(line);
        let text = text.trim_end();
        if text.trim_start().is_empty() {
            return Status::Skipped;
        }
        let status = (self.read)(text, &mut Line { context: &self.context, unit, len: line.len(), out });
        status.unwrap_or_else(|| {
            out.oddities.push(Oddity::at("line_malformed", format!("line {}", unit.line)));
            Status::Failed
        })
    }
}
