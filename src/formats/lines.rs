//! The loop that cuts a stream into units and hands them to a format's reader: the same for every caller and every test.
//!
//! Opens nothing; a line is bounded by the format's framing, so memory is too.

use super::{Context, Format, Framing, Out, Reader, Status, Unit, head};
use crate::model::guard;
use crate::model::oddity::Oddity;
use std::io::{BufRead, ErrorKind, Result};

/// Reads a stream of a format from `start` (the beginning, or the end of what was read of a file before it grew), and calls `each` with
/// the status and the outcome of every unit; `false` stops. Gives where the next unit would begin. A stream that fails gives first what
/// came before the failure, then its error.
///
/// `head` is the beginning of the same file: the reader is shown it first; when `start` is not the beginning, its header lines prepare the
/// reader again. Documents
/// always start at the beginning. The outcome of a line is handed over when the next line is there or the stream has ended, because a
/// reader may add what was pending to the last one. The last line needs no line end.
pub fn read(
    input: &mut dyn BufRead,
    format: &dyn Format,
    context: &Context,
    start: Unit,
    head: &[u8],
    each: &mut dyn FnMut(Status, Out) -> bool,
) -> Result<Unit> {
    let mut reader = format.reader(context);
    let Framing::Lines { max } = format.framing() else {
        document(reader.as_mut(), input, each);
        return Ok(start);
    };
    let mut at = Unit { line: start.line.max(1), ..start };
    if at.offset > 0 {
        prepare(reader.as_mut(), head, at.offset);
        guard::quietly(|| reader.go_on());
    } else {
        guard::quietly(|| reader.begin(head::plain(head)));
    }
    let mut pending: Option<(Status, Out)> = None;
    let mut kept = Vec::new();
    loop {
        let (line, failure) = next_line(input, max, &mut kept, &mut |line| one(reader.as_mut(), line, at));
        if let Some((length, status, mut out)) = line {
            out.unit = at;
            at = Unit { offset: at.offset.saturating_add(length), line: at.line.saturating_add(1) };
            if let Some((status, out)) = pending.replace((status, out))
                && !each(status, out)
            {
                return Ok(at);
            }
            if failure.is_none() {
                continue;
            }
        }
        if let Some((status, mut out)) = pending {
            if guard::quietly(|| reader.end(&mut out)).is_none() {
                out.oddities.push(Oddity::at(guard::PANICKED, "end"));
            }
            each(status, out);
        }
        return failure.map_or(Ok(at), Err);
    }
}

fn one(reader: &mut dyn Reader, line: &[u8], at: Unit) -> (Status, Out) {
    let mut out = Out { unit: at, ..Out::default() };
    let line = if at.offset == 0 { head::plain(line) } else { line };
    match guard::quietly(|| reader.line(line.strip_suffix(b"\r").unwrap_or(line), at, &mut out)) {
        Some(status) => (status, out),
        None => (Status::Failed, panicked(at)),
    }
}

fn panicked(unit: Unit) -> Out {
    let place = if unit.line > 0 { format!("line {}", unit.line) } else { String::new() };
    Out { oddities: vec![Oddity::at(guard::PANICKED, place)], unit, ..Out::default() }
}

/// A document; a panic of its reader ends it as a failed unit.
fn document(reader: &mut dyn Reader, input: &mut dyn BufRead, each: &mut dyn FnMut(Status, Out) -> bool) {
    if guard::quietly(|| reader.document(input, each)).is_none() {
        each(Status::Failed, panicked(Unit::default()));
    }
}

/// Shows a reader what it has read of its file before: all of it if the head holds it, else the header lines up to the first record.
fn prepare(reader: &mut dyn Reader, head: &[u8], read: u64) {
    let whole = usize::try_from(read).ok().and_then(|end| head.get(..end));
    for (n, line) in whole.unwrap_or(head).split_inclusive(|b| *b == b'\n').enumerate() {
        let unit = Unit { offset: if n == 0 { 0 } else { 1 }, line: n as u64 + 1 };
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let (status, _) = one(reader, line, unit);
        if whole.is_none() && status != Status::Skipped {
            return;
        }
    }
}

type Line = Option<(u64, Status, Out)>;

/// The next line's length with its end, and what became of it; `None` at the end. Most lines lie whole in the stream's own buffer and
/// are read from there.
fn next_line(
    input: &mut dyn BufRead,
    max: usize,
    kept: &mut Vec<u8>,
    read: &mut dyn FnMut(&[u8]) -> (Status, Out),
) -> (Line, Option<std::io::Error>) {
    kept.clear();
    let mut length = 0u64;
    let mut long = false;
    let mut failure = None;
    loop {
        let chunk = match input.fill_buf() {
            Ok(chunk) => chunk,
            Err(e) if e.kind() == ErrorKind::Interrupted => continue,
            Err(e) => {
                failure = Some(e);
                &[]
            }
        };
        if chunk.is_empty() {
            break;
        }
        let end = memchr::memchr(b'\n', chunk);
        let taken = &chunk[..end.unwrap_or(chunk.len())];
        if end.is_some() && length == 0 && taken.len() <= max {
            let (status, out) = read(taken);
            let used = taken.len() + 1;
            input.consume(used);
            return (Some((used as u64, status, out)), None);
        }
        if kept.len() + taken.len() > max {
            long = true;
            kept.clear();
        } else if !long {
            kept.extend_from_slice(taken);
        }
        let used = taken.len() + usize::from(end.is_some());
        input.consume(used);
        length += used as u64;
        if end.is_some() {
            break;
        }
    }
    if length == 0 {
        return (None, failure);
    }
    let (status, out) = if long {
        let oddity = Oddity::at("line_too_long", format!("{length} bytes, more than {max}"));
        (Status::Failed, Out { oddities: vec![oddity], ..Out::default() })
    } else {
        read(kept)
    };
    (Some((length, status, out)), failure)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::{Sniff, Zone};
    use crate::model::origin::EvidenceKey;
    use crate::model::time::Time;

    struct Echo;
    impl Format for Echo {
        fn name(&self) -> &'static str {
            "echo"
        }
        fn doc(&self) -> &'static str {
            "Shows lines."
        }
        fn framing(&self) -> Framing {
            Framing::Lines { max: 10 }
        }
        fn sniff(&self, _: &[u8]) -> Sniff {
            Sniff::No
        }
        fn reader(&self, _: &Context) -> Box<dyn Reader> {
            Box::new(Echo)
        }
    }
    impl Reader for Echo {
        fn line(&mut self, line: &[u8], unit: Unit, out: &mut Out) -> Status {
            out.oddities.push(Oddity::at("line", format!("{}@{} {}", unit.line, unit.offset, String::from_utf8_lossy(line))));
            if line.starts_with(b"#") { Status::Skipped } else { Status::Ok }
        }
        fn end(&mut self, out: &mut Out) {
            out.oddities.push(Oddity::new("end"));
        }
    }

    fn shown(text: &[u8], buffer: usize) -> Vec<String> {
        let context = Context {
            evidence: EvidenceKey(1),
            stem: "x".into(),
            zone: Zone::Fixed(0),
            year: None,
            dates: crate::formats::Dates::default(),
            modified: Time(0),
        };
        let mut seen = Vec::new();
        let mut input = std::io::BufReader::with_capacity(buffer, text);
        let at = read(&mut input, &Echo, &context, Unit { offset: 0, line: 1 }, &[], &mut |_, out| {
            seen.extend(out.oddities.iter().map(|o| format!("{} {}", o.what, o.place)));
            true
        });
        assert_eq!(at.unwrap().offset, text.len() as u64);
        seen
    }

    #[test]
    fn lines_are_the_same_whatever_the_buffer_and_long_ones_are_oddities() {
        let text = b"\xef\xbb\xbfone\r\n\n#two\n0123456789\n01234567890\n0123456789012345678901234567890\nlast";
        let want = [
            "line 1@0 one",
            "line 2@8 ",
            "line 3@9 #two",
            "line 4@14 0123456789",
            "line_too_long 12 bytes, more than 10",
            "line_too_long 32 bytes, more than 10",
            "line 7@69 last",
            "end ",
        ];
        for buffer in [1, 2, 3, 7, 12, 64, 4096] {
            assert_eq!(shown(text, buffer), want, "buffer of {buffer}");
        }
        assert!(shown(b"", 8).is_empty());
    }
}
