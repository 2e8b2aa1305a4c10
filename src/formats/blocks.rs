//! A format whose records take one line or several: a line that begins a record ends the one before, all others continue it.
//!
//! Knows no format. The lines of a record are read as one text when it is over. A record that would take too much goes on as lines of their own,
//! which are counted as failed.

use super::draft::TEXT_MAX;
use super::each_line::Line;
use super::{Context, Format, Framing, Out, Reader, Sniff, Status, Unit, head};
use crate::model::oddity::Oddity;

/// A format of blocks of lines.
pub struct Blocks {
    pub(super) name: &'static str,
    pub(super) doc: &'static str,
    /// Whether a line begins a record.
    pub(super) begins: fn(&str) -> bool,
    /// Whether a line outside of records belongs to the file's header.
    pub(super) skips: fn(&str) -> bool,
    /// Reads a record with its lines. `None`: it is none of the format.
    pub(super) read: fn(&str, &mut Line<'_>) -> Option<Status>,
}

/// Most lines of a record.
const LINES_MAX: u32 = 1024;
/// Most bytes of a record.
const BYTES_MAX: usize = 4 * TEXT_MAX;

impl Format for Blocks {
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
        let lines = head::lines(head);
        let first = lines.iter().map(|l| String::from_utf8_lossy(l)).find(|l| !(self.skips)(l));
        if first.is_some_and(|l| (self.begins)(&l)) { Sniff::Yes } else { Sniff::No }
    }
    fn reader(&self, context: &Context) -> Box<dyn Reader> {
        Box::new(Records { context: context.clone(), begins: self.begins, skips: self.skips, read: self.read, held: None })
    }
}

struct Records {
    context: Context,
    begins: fn(&str) -> bool,
    skips: fn(&str) -> bool,
    read: fn(&str, &mut Line<'_>) -> Option<Status>,
    held: Option<Held>,
}

/// The record that further lines may continue.
struct Held {
    text: String,
    unit: Unit,
    /// Bytes up to the end of its last line.
    len: usize,
    lines: u32,
}

impl Reader for Records {
    fn line(&mut self, line: &[u8], unit: Unit, out: &mut Out) -> Status {
        let text = String::from_utf8_lossy(line);
        let text = text.trim_end();
        if (self.begins)(text) {
            self.end(out);
            self.held = Some(Held { text: text.to_owned(), unit, len: line.len(), lines: 1 });
            return Status::Ok;
        }
        if text.is_empty() || self.held.is_none() && (self.skips)(text) {
            return Status::Skipped;
        }
        if let Some(held) = self.held.as_mut().filter(|h| h.lines < LINES_MAX && h.text.len() + text.len() < BYTES_MAX) {
            held.text.push('\n');
            held.text.push_str(text);
            held.lines += 1;
            let end = unit.offset.saturating_add(line.len() as u64);
            held.len = usize::try_from(end.saturating_sub(held.unit.offset)).unwrap_or(usize::MAX);
            return Status::Ok;
        }
        out.oddities.push(Oddity::at("line_malformed", format!("line {}", unit.line)));
        Status::Failed
    }
    fn go_on(&mut self) {
        self.held = None;
    }
    fn end(&mut self, out: &mut Out) {
        let Some(held) = self.held.take() else { return };
        let mut line = Line { context: &self.context, unit: held.unit, len: held.len, out };
        if (self.read)(&held.text, &mut line).is_none() {
            out.oddities.push(Oddity::at("line_malformed", format!("line {}", held.unit.line)));
        }
    }
}
