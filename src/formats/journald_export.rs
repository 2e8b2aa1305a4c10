//! systemd's journal in its export format (`journalctl -o export`, systemd-journal-remote; systemd, "Journal Export Formats"): fields a line,
//! those with line ends or other bytes with their length before them, entries between empty lines.
//!
//! An entry is read as the syslog line that it is. A field that is longer than a megabyte, or whose length is wrong, fails its entry.

use super::journal::{self, Field};
use super::{Context, Format, Framing, Out, Reader, Sniff, Status, Unit, head};
use crate::model::oddity::Oddity;
use std::io::{BufRead, Read as _};

/// The format.
pub static FORMAT: JournaldExport = JournaldExport;

/// The journal's export format.
pub struct JournaldExport;

/// Longest field, and most fields of an entry.
const FIELD_MAX: usize = 1 << 20;
const FIELDS_MAX: usize = 512;
/// Most bytes of the fields of an entry.
const ENTRY_MAX: usize = 4 << 20;

impl Format for JournaldExport {
    fn name(&self) -> &'static str {
        "journald-export"
    }
    fn doc(&self) -> &'static str {
        "systemd journal in its export format, each entry as syslog (systemd, Journal Export Formats)."
    }
    fn framing(&self) -> Framing {
        Framing::Document
    }
    fn sniff(&self, head: &[u8]) -> Sniff {
        let first = |prefix: &[u8]| head::lines(head).iter().take(40).any(|l| l.starts_with(prefix));
        let begins = head::plain(head).starts_with(b"__CURSOR=") || head::plain(head).starts_with(b"__REALTIME_TIMESTAMP=");
        if begins && first(b"__REALTIME_TIMESTAMP=") { Sniff::Yes } else { Sniff::No }
    }
    fn reader(&self, context: &Context) -> Box<dyn Reader> {
        Box::new(Entries { context: context.clone() })
    }
}

struct Entries {
    context: Context,
}

/// What stands next in an entry.
enum Next {
    Field(Field),
    /// An empty line.
    Blank,
    /// Something that is no field.
    Bad(&'static str),
    Over,
}

impl Reader for Entries {
    fn line(&mut self, _: &[u8], _: Unit, _: &mut Out) -> Status {
        Status::Skipped
    }
    fn document(&mut self, input: &mut dyn BufRead, each: &mut dyn FnMut(Status, Out) -> bool) {
        let mut at = 0u64;
        let mut start = 0u64;
        let mut fields: Vec<Field> = Vec::new();
        let mut size = 0usize;
        let mut bad: Option<&'static str> = None;
        loop {
            let before = at;
            match next(input, &mut at) {
                Next::Field(field) => {
                    if fields.is_empty() && bad.is_none() {
                        start = before;
                    }
                    size += field.value.len() + field.name.len();
                    if fields.len() >= FIELDS_MAX || size > ENTRY_MAX {
                        bad = Some("entry_too_long");
                    } else {
                        fields.push(field);
                    }
                }
                Next::Bad(what) => {
                    if fields.is_empty() && bad.is_none() {
                        start = before;
                    }
                    bad = bad.or(Some(what));
                }
                end @ (Next::Blank | Next::Over) => {
                    if (!fields.is_empty() || bad.is_some())
                        && !self.give(&std::mem::take(&mut fields), bad.take(), start, at, each)
                    {
                        return;
                    }
                    size = 0;
                    if matches!(end, Next::Over) {
                        return;
                    }
                }
            }
        }
    }
}

impl Entries {
    fn give(
        &self,
        fields: &[Field],
        bad: Option<&'static str>,
        start: u64,
        end: u64,
        each: &mut dyn FnMut(Status, Out) -> bool,
    ) -> bool {
        let unit = Unit { offset: start, line: 0 };
        let mut out = Out { unit, ..Out::default() };
        if let Some(what) = bad {
            out.oddities.push(Oddity::at(what, journal::place(unit)));
        }
        let len = usize::try_from(end.saturating_sub(start)).unwrap_or(usize::MAX);
        // What is readable of a damaged entry is read.
        let status = match fields.iter().any(|f| f.name == "MESSAGE") {
            true => journal::read(fields, &self.context, unit, len, &mut out),
            false if bad.is_some() => Status::Failed,
            false => journal::read(fields, &self.context, unit, len, &mut out),
        };
        let status = if bad.is_some() && status == Status::Ok { Status::Partial } else { status };
        each(status, out)
    }
}

/// Reads the next field.
fn next(input: &mut dyn BufRead, at: &mut u64) -> Next {
    let Some((line, whole)) = line(input, at) else { return Next::Over };
    if line.is_empty() {
        return Next::Blank;
    }
    if !whole {
        return Next::Bad("field_too_long");
    }
    let name_of = |name: &[u8]| {
        let plain = !name.is_empty()
            && name.len() <= 64
            && name.iter().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || *b == b'_');
        plain.then(|| String::from_utf8_lossy(name).into_owned())
    };
    if let Some(equals) = memchr::memchr(b'=', &line) {
        return match name_of(&line[..equals]) {
            Some(name) => {
                Next::Field(Field { name, value: String::from_utf8_lossy(&line[equals + 1..]).into_owned(), json: None })
            }
            None => Next::Bad("field_malformed"),
        };
    }
    let Some(name) = name_of(&line) else { return Next::Bad("field_malformed") };
    let mut length = [0u8; 8];
    if input.read_exact(&mut length).is_err() {
        return Next::Over;
    }
    *at += 8;
    let length = u64::from_le_bytes(length);
    // A length that is wrong would swallow what follows: then the next line is looked at anew.
    if length > FIELD_MAX as u64 {
        return Next::Bad("field_too_long");
    }
    let mut value = Vec::new();
    let read = input.take(length).read_to_end(&mut value).unwrap_or(0);
    *at += read as u64;
    if (read as u64) < length {
        return Next::Bad("field_cut");
    }
    let _ = self::line(input, at);
    Next::Field(Field { name, value: String::from_utf8_lossy(&value).into_owned(), json: None })
}

/// The next line without its end, and whether it is whole: of a longer one the beginning.
fn line(input: &mut dyn BufRead, at: &mut u64) -> Option<(Vec<u8>, bool)> {
    let mut line = Vec::new();
    let read = input.take(FIELD_MAX as u64).read_until(b'\n', &mut line).unwrap_or(0);
    if read == 0 {
        return None;
    }
    *at += read as u64;
    let whole = line.last() == Some(&b'\n') || read < FIELD_MAX;
    if line.last() == Some(&b'\n') {
        line.pop();
    }
    Some((line, whole))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::{line as shown, read_all};
    use crate::model::field;

    #[test]
    fn entries_with_text_and_with_bytes() {
        let text = "__CURSOR=s=1\n__REALTIME_TIMESTAMP=1795161601250000\n_HOSTNAME=web\nPRIORITY=3\nSYSLOG_IDENTIFIER=app\n_PID=7\nMESSAGE\n\u{5}\0\0\0\0\0\0\0a\nb=c\nUNIT=x\n\n\
            __CURSOR=s=2\n__REALTIME_TIMESTAMP=1795161602000000\nMESSAGE=two\n";
        let read = read_all(&FORMAT, text);
        assert_eq!(read.counts, [2, 0, 0, 0]);
        assert_eq!(
            shown(&read.records[0]),
            "log 2026-11-20T08:00:01.250Z severity=high hostname=web process=app pid=7 message=a\nb=c \
             extra={\"syslog.facility\":1,\"__CURSOR\":\"s=1\",\"UNIT\":\"x\"} sensor=web"
        );
        assert_eq!(read.records[1].record.id.offset, text.find("__CURSOR=s=2").unwrap() as u64);
        assert_eq!(read.records[1].record.text(field::MESSAGE), Some("two"));
    }

    #[test]
    fn what_is_cut_or_no_field_is_said() {
        let read =
            read_all(&FORMAT, "__REALTIME_TIMESTAMP=1795161601250000\nno field\nMESSAGE=x\n\nMESSAGE\n\u{50}\0\0\0\0\0\0\0cut");
        assert_eq!(
            (read.counts, read.oddities.join(", ")),
            ([0, 1, 0, 1], "field_malformed byte 0, field_cut byte 58".to_owned())
        );
    }
}
