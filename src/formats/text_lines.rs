//! Any text whose lines begin with a time: what nobody more special understood.
//!
//! A line that begins with a time (ISO, syslog's, Apache's in brackets, C's, a bare epoch; after white space, a bracket, colours of a terminal)
//! is a log record with the line as message. Where no line before it began with a time, the first time inside of it counts (`t=...`, `worker |
//! ...`). A line without one continues the record before it and is part of its message (a stack trace, the further lines of a packet that is
//! described); what is longer than a message may be goes on as a further record at that time, which is partial. Lines that begin with `#` are
//! comments. Lines before the first time are records at that, and partial, if it is in the first 64 KiB; else they fail.

use super::draft::{Draft, TEXT_MAX};
use super::{Context, Format, Framing, Out, Reader, Sniff, Status, Unit, clock, head, key_value, lift};
use crate::model::field;
use crate::model::oddity::Oddity;
use crate::model::record::Kind;
use crate::model::time::Time;
use std::borrow::Cow;

/// The format.
pub static FORMAT: TextLines = TextLines;

/// Text with times.
pub struct TextLines;

impl Format for TextLines {
    fn name(&self) -> &'static str {
        "text-lines"
    }
    fn doc(&self) -> &'static str {
        "Any text with a time at the start of its lines; lines without one belong to the line before."
    }
    fn framing(&self) -> Framing {
        Framing::Lines { max: 256 << 10 }
    }
    fn sniff(&self, head: &[u8]) -> Sniff {
        super::choose::unclaimed(self, Sniff::Maybe, head)
    }
    fn looks(&self, head: &[u8]) -> Sniff {
        let binary = head.iter().take(4096).any(|b| *b == 0);
        let (mut starting, mut inside) = (false, false);
        head::most(head, 0, |l| {
            let found = stamp(l);
            starting |= matches!(found, Some((_, true)));
            inside |= found.is_some();
            true
        });
        // What is in tags and braces, or has the headings of a Markdown document, may hold times and is no log for it. Of other text one time is
        // enough.
        let plain = head::plain(head).trim_ascii_start();
        let headed = plain.starts_with(b"# ") && memchr::memmem::find(plain, b"\n## ").is_some();
        let marked =
            headed || plain.starts_with(b"<") || plain.starts_with(b"{") || super::json_document::first_object(head).is_some();
        let timed = !binary && (starting || inside && !marked);
        if timed { Sniff::Maybe } else { Sniff::No }
    }
    fn reader(&self, context: &Context) -> Box<dyn Reader> {
        Box::new(Lines { context: context.clone(), last: None, first: None, starts: false, held: None })
    }
}

pub(super) enum Start {
    Stamp(clock::Stamp),
    Epoch(Time),
}

/// The phrases for lines without a time: those before the first one, and those after one.
const FIRST_ASSUMED: &str = "first time assumed";
const CONTINUED: &str = "time of the line before assumed";

/// Lines that one record takes.
const MOST_LINES: u32 = 256;

/// How far into a line a time is looked for.
const INSIDE: usize = 160;

/// The first time in a line, and whether the line begins with it.
pub(super) fn stamp(line: &str) -> Option<(Start, bool)> {
    let plain = uncoloured(line);
    let bytes = plain.as_bytes();
    let before = bytes.iter().take_while(|b| b.is_ascii_whitespace()).count();
    let begin = before + usize::from(matches!(bytes.get(before), Some(b'[' | b'"' | b'(')));
    if let Some(start) = stamp_at(&bytes[begin..]) {
        return Some((start, true));
    }
    if let Some(start) = numbered(&bytes[begin..]).and_then(|n| stamp_at(&bytes[begin + n..])) {
        return Some((start, true));
    }
    let separated = |at: &usize| !bytes[at - 1].is_ascii_alphanumeric() && !matches!(bytes[at - 1], b'.' | b'-');
    (begin + 1..bytes.len().min(INSIDE)).filter(separated).find_map(|at| date_at(&bytes[at..])).map(|s| (Start::Stamp(s), false))
}

/// A line without the colours of a terminal.
pub(super) fn uncoloured(line: &str) -> Cow<'_, str> {
    if !line.contains('\x1b') {
        return Cow::Borrowed(line);
    }
    let mut parts = line.split('\x1b');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| c.is_ascii_alphabetic()).map_or(0, |n| n + 1);
        plain.push_str(part.get(end..).unwrap_or_default());
    }
    Cow::Owned(plain)
}

fn date_at(bytes: &[u8]) -> Option<clock::Stamp> {
    [clock::iso, clock::bsd, clock::asctime, clock::apache, clock::other].iter().find_map(|form| form(bytes))
}

fn stamp_at(bytes: &[u8]) -> Option<Start> {
    if let Some(stamp) = date_at(bytes) {
        return Some(Start::Stamp(stamp));
    }
    if let Some(time) = tai64n(bytes) {
        return Some(Start::Epoch(time));
    }
    let end = bytes.iter().position(|b| !b.is_ascii_digit() && *b != b'.').unwrap_or(bytes.len());
    let separated = matches!(bytes.get(end), None | Some(b' ' | b'\t' | b',' | b';' | b'|' | b']'));
    let digits = bytes[..end].iter().take_while(|b| b.is_ascii_digit()).count();
    if !separated || !matches!(digits, 10 | 13 | 16 | 19) {
        return None;
    }
    std::str::from_utf8(&bytes[..end]).ok().and_then(clock::epoch).map(Start::Epoch)
}

/// `@40000000433225833b6e1a8c`: seconds and nanoseconds of daemontools and s6, whose seconds begin ten before 1970 and count no leap seconds.
fn tai64n(bytes: &[u8]) -> Option<Time> {
    let label = bytes.strip_prefix(b"@")?;
    let hex = |from: usize, to: usize| {
        let digits = std::str::from_utf8(label.get(from..to)?).ok().filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()))?;
        u64::from_str_radix(digits, 16).ok()
    };
    let seconds = i64::try_from(hex(0, 16)?.checked_sub((1 << 62) + 10)?).ok().filter(|s| (0..4_102_444_800).contains(s))?;
    let ended = |at: usize| label.get(at).is_none_or(|b| !b.is_ascii_alphanumeric());
    let nanos = if ended(16) { 0 } else { hex(16, 24).filter(|n| *n < 1_000_000_000 && ended(24))? };
    Some(Time::from_parts(seconds, u32::try_from(nanos).ok()?))
}

/// A number that stands before the time, of a process or a line: its length with the spaces after it.
fn numbered(bytes: &[u8]) -> Option<usize> {
    let digits = bytes.iter().take(8).take_while(|b| b.is_ascii_digit()).count();
    let spaces = bytes.iter().skip(digits).take_while(|b| **b == b' ').count();
    ((1..=7).contains(&digits) && spaces > 0).then_some(digits + spaces)
}

struct Lines {
    context: Context,
    last: Option<Time>,
    /// The first time of the file.
    first: Option<Time>,
    /// A line began with a time: then times inside of lines are part of what they say.
    starts: bool,
    /// The record that further lines may continue.
    held: Option<Held>,
}

/// A record with its message so far.
struct Held {
    draft: Draft,
    message: String,
    lines: u32,
}

impl Held {
    fn has_room(&self, line: &str) -> bool {
        self.lines < MOST_LINES && self.message.len() + line.len() < TEXT_MAX
    }
    fn take(&mut self, line: &str) {
        if self.lines > 0 {
            self.message.push('\n');
        }
        self.message.push_str(line);
        self.lines += 1;
        if self.lines == 1 {
            key_value::pairs_of(line, &mut self.draft);
        }
        lift::lift(line, &mut self.draft);
    }
    fn give(mut self, out: &mut Out) -> Status {
        self.draft.text(field::MESSAGE, &self.message);
        self.draft.finish(None, out)
    }
}

impl Reader for Lines {
    fn begin(&mut self, head: &[u8]) {
        let time = |line: &[u8]| match stamp(&String::from_utf8_lossy(line))?.0 {
            Start::Stamp(stamp) => stamp.time(&self.context, &mut Out::default()),
            Start::Epoch(time) => Some(time),
        };
        self.first = head.split(|b| *b == b'\n').find_map(time);
    }
    fn line(&mut self, line: &[u8], unit: Unit, out: &mut Out) -> Status {
        let text = String::from_utf8_lossy(line);
        let message = text.trim_end();
        if message.is_empty() {
            return Status::Skipped;
        }
        let found = stamp(message).filter(|(_, first)| *first || !self.starts);
        let starts = matches!(found, Some((_, true)));
        let own = match found {
            Some((Start::Stamp(stamp), _)) => stamp.time(&self.context, out),
            Some((Start::Epoch(time), _)) => Some(time),
            None => None,
        };
        self.starts |= starts && own.is_some();
        if own.is_none() && message.starts_with('#') {
            return Status::Skipped;
        }
        if own.is_none()
            && self.last.is_some()
            && let Some(held) = self.held.as_mut().filter(|h| h.has_room(message))
        {
            held.take(message);
            let end = unit.offset.saturating_add(line.len() as u64);
            held.draft.record.len = u32::try_from(end.saturating_sub(held.draft.record.id.offset)).unwrap_or(u32::MAX);
            return Status::Ok;
        }
        self.end(out);
        let Some(time) = own.or(self.last).or(self.first) else {
            out.oddities.push(Oddity::at("time_missing", format!("line {}", unit.line)));
            return Status::Failed;
        };
        let mut draft = Draft::new(Kind::Log, &self.context, unit, line.len(), time);
        if own.is_none() {
            draft.partial = true;
            clock::assume(out, if self.last.is_some() { CONTINUED } else { FIRST_ASSUMED });
        }
        self.last = own.or(self.last);
        let mut held = Held { draft, message: String::new(), lines: 0 };
        held.take(message);
        let status = if held.draft.partial { Status::Partial } else { Status::Ok };
        self.held = Some(held);
        status
    }
    fn go_on(&mut self) {
        self.held = None;
    }
    fn end(&mut self, out: &mut Out) {
        if let Some(held) = self.held.take() {
            held.give(out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::read_all;

    #[test]
    fn text_with_one_time_in_it_is_read_and_a_document_is_not() {
        let filler = "    something further\n".repeat(40);
        let sniffed = |text: String| FORMAT.sniff(text.as_bytes());
        assert_eq!(sniffed(format!("    1  2004-04-26 14:20:20.060006 IP (tos 0x0)\n{filler}")), Sniff::Maybe);
        assert_eq!(sniffed(format!("{{\n \"a\": \"x\",\n \"b\": \"2004-04-26 14:20:20\",\n{filler}}}\n")), Sniff::No);
        assert_eq!(sniffed(format!("<a>\n at 2004-04-26 14:20:20\n{filler}</a>\n")), Sniff::No);
        assert_eq!(sniffed(filler), Sniff::No);
    }

    #[test]
    fn times_after_prefixes_and_colours_are_found_and_those_inside_of_timed_lines_are_not_taken() {
        for text in [
            "logger=a t=2026-11-20T08:00:00Z level=info",
            "Main::ERROR::2026-11-20 08:00:00,000::x",
            "\x1b[0m\x1b[32m2026-11-20\x1b[0m 08:00:00 x",
            "[pid: 7] 127.0.0.1 () [Fri Nov 20 08:00:00 2026] GET /",
            "   Nov 20 08:00:00 gw thing",
            "10000 1795161600.000 execve(\"./x\")",
            "@400000006afffe0a00000000 x: y",
            "nov. 20 08:00:00 gw thing",
            "2026-324T08:00:00,000:DEBUG:x",
        ] {
            assert_eq!(FORMAT.sniff(text.as_bytes()), Sniff::Maybe, "{text}");
            assert_eq!(read_all(&FORMAT, text).records[0].record.start.to_string(), "2026-11-20T08:00:00Z", "{text}");
        }
        let read = read_all(&FORMAT, "# made by x\n2026-11-20 08:00:00 one\n  since 2001-01-01 00:00:00 it runs\n");
        assert_eq!(read.counts, [2, 0, 1, 0]);
        assert_eq!(read.records[0].record.text(field::MESSAGE).unwrap().lines().count(), 2);
    }

    #[test]
    fn lines_without_a_time_belong_to_the_line_before() {
        let read = read_all(
            &FORMAT,
            "header\n2026-11-20 08:00:00,123 ERROR x\n  at y\n\n1763625600 z\n[20/Nov/2026:08:00:00 +0100] w\n",
        );
        assert_eq!(read.counts, [4, 1, 1, 0]);
        assert_eq!(
            read.shown(),
            "log 2026-11-20T08:00:00.123Z message=header\n\
             log 2026-11-20T08:00:00.123Z message=2026-11-20 08:00:00,123 ERROR x\n  at y\n\
             log 2025-11-20T08:00:00Z message=1763625600 z\n\
             log 2026-11-20T07:00:00Z message=[20/Nov/2026:08:00:00 +0100] w\n"
        );
    }

    #[test]
    fn a_record_takes_no_more_lines_than_it_may_and_its_bytes_are_those_of_all_its_lines() {
        let trace = "  at x\n".repeat(300);
        let text = format!("2026-11-20 08:00:00 ERROR y\n{trace}2026-11-20 08:00:01 z\n");
        let read = read_all(&FORMAT, &text);
        assert_eq!((read.records.len(), read.counts), (3, [301, 1, 0, 0]));
        let of = |n: usize| &read.records[n].record;
        assert_eq!(of(0).text(field::MESSAGE).unwrap().lines().count(), 256);
        let bytes = |n: usize| &text[of(n).id.offset as usize..][..of(n).len as usize];
        assert!(bytes(0).starts_with("2026") && bytes(0).ends_with("at x") && bytes(0).lines().count() == 256);
        assert_eq!((bytes(1).lines().count(), bytes(2)), (45, "2026-11-20 08:00:01 z"));
        assert_eq!(of(1).start, of(0).start);
    }
}
