//! Any text whose lines begin with a time: what nobody more special understood.
//!
//! A line that begins with a time (ISO, syslog's, Apache's in brackets, C's, a bare epoch) is a log record with the line as message. A line
//! without one continues the record before it: it is a record of its own at that time, and partial. Lines before the first time
//! fail.

use super::{Context, Format, Framing, Out, Reader, Sniff, Status, Unit, clock, draft::Draft, head, lift};
use crate::model::field;
use crate::model::oddity::Oddity;
use crate::model::record::Kind;
use crate::model::time::Time;

/// The format.
pub static FORMAT: TextLines = TextLines;

/// Text with times.
pub struct TextLines;

impl Format for TextLines {
    fn name(&self) -> &'static str {
        "text-lines"
    }
    fn doc(&self) -> &'static str {
        "Any text with a time at the start of its lines; lines without one continue the line before."
    }
    fn framing(&self) -> Framing {
        Framing::Lines { max: 256 << 10 }
    }
    fn sniff(&self, head: &[u8]) -> Sniff {
        let binary = head.iter().take(4096).any(|b| *b == 0);
        let special = super::ALL.iter().take_while(|f| f.name() != "text-lines");
        let timed = !binary && head::most(head, 20, |l| stamp(l).is_some());
        if timed && special.into_iter().all(|f| f.sniff(head) == Sniff::No) { Sniff::Maybe } else { Sniff::No }
    }
    fn reader(&self, context: &Context) -> Box<dyn Reader> {
        Box::new(Lines { context: context.clone(), last: None })
    }
}

enum Start {
    Stamp(clock::Stamp),
    Epoch(Time),
}

/// The time at the start of a line, after an opening bracket at most.
fn stamp(line: &str) -> Option<Start> {
    let bytes = line.as_bytes();
    let bytes = bytes.strip_prefix(b"[").unwrap_or(bytes);
    let forms = [clock::iso, clock::bsd, clock::asctime, clock::apache];
    if let Some(stamp) = forms.iter().find_map(|form| form(bytes)) {
        return Some(Start::Stamp(stamp));
    }
    let end = bytes.iter().position(|b| !b.is_ascii_digit() && *b != b'.').unwrap_or(bytes.len());
    let separated = matches!(bytes.get(end), None | Some(b' ' | b'\t' | b',' | b';' | b'|' | b']'));
    let digits = bytes[..end].iter().take_while(|b| b.is_ascii_digit()).count();
    if !separated || !matches!(digits, 10 | 13 | 16 | 19) {
        return None;
    }
    std::str::from_utf8(&bytes[..end]).ok().and_then(clock::epoch).map(Start::Epoch)
}

struct Lines {
    context: Context,
    last: Option<Time>,
}

impl Reader for Lines {
    fn line(&mut self, line: &[u8], unit: Unit, out: &mut Out) -> Status {
        let text = String::from_utf8_lossy(line);
        let message = text.trim_end();
        if message.is_empty() {
            return Status::Skipped;
        }
        let own = match stamp(message) {
            Some(Start::Stamp(stamp)) => stamp.time(&self.context, out),
            Some(Start::Epoch(time)) => Some(time),
            None => None,
        };
        let Some(time) = own.or(self.last) else {
            out.oddities.push(Oddity::at("time_missing", format!("line {}", unit.line)));
            return Status::Failed;
        };
        let mut d = Draft::new(Kind::Log, &self.context, unit, line.len(), time);
        if own.is_none() {
            d.partial = true;
            clock::assume(out, super::syslog::TIME_ASSUMED);
        }
        self.last = Some(time);
        d.text(field::MESSAGE, message);
        lift::lift(message, &mut d);
        d.finish(None, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::read_all;

    #[test]
    fn lines_without_a_time_continue_the_line_before() {
        let read = read_all(
            &FORMAT,
            "header\n2026-11-20 08:00:00,123 ERROR x\n  at y\n\n1763625600 z\n[20/Nov/2026:08:00:00 +0100] w\n",
        );
        assert_eq!(read.counts, [3, 1, 1, 1]);
        assert_eq!(
            read.shown(),
            "log 2026-11-20T08:00:00.123Z message=2026-11-20 08:00:00,123 ERROR x\n\
             log 2026-11-20T08:00:00.123Z message=  at y\n\
             log 2025-11-20T08:00:00Z message=1763625600 z\n\
             log 2026-11-20T07:00:00Z message=[20/Nov/2026:08:00:00 +0100] w\n"
        );
    }
}
