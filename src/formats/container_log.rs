//! Container logs whose lines name their container or stream before the message: Kubernetes' CRI format (Kubernetes documentation, "Logging
//! architecture"; `time stream tag message`) and `docker compose logs` (`name  | message`).
//!
//! What the message says is read by its own format, as in every wrapper: see `unwrap`. Partial lines of CRI (`P`) are joined up to the full one
//! (`F`). A compose line without a time of its own stands at the time of the line before and is partial. Docker's `json-file` is `json-lines`.
//!
//! `unwrap`: super::unwrap

use super::text_lines::{Start, stamp, uncoloured};
use super::{Context, Format, Framing, Out, Reader, Sniff, Status, Unit, clock, head, json, json_lines, unwrap};
use crate::model::field;
use crate::model::oddity::Oddity;
use crate::model::time::Time;

/// The format.
pub static FORMAT: ContainerLog = ContainerLog;

/// Container logs.
pub struct ContainerLog;

/// Longest message that is put together.
const MESSAGE_MAX: usize = 256 << 10;

impl Format for ContainerLog {
    fn name(&self) -> &'static str {
        "container-log"
    }
    fn doc(&self) -> &'static str {
        "Container logs: Kubernetes CRI lines and docker compose logs, messages by their own format (Kubernetes, Logging Architecture)."
    }
    fn framing(&self) -> Framing {
        Framing::Lines { max: 1 << 20 }
    }
    fn sniff(&self, head: &[u8]) -> Sniff {
        if head::most(head, 60, |l| cri(l).is_some()) {
            return Sniff::Yes;
        }
        // Without any time there is nothing to go by.
        let mut timed = false;
        let named = head::most(head, 60, |l| {
            let plain = uncoloured(l);
            let found = compose(&plain);
            timed |= found.is_some_and(|(_, message)| own_time(message));
            found.is_some()
        });
        if named && timed { Sniff::Yes } else { Sniff::No }
    }
    fn reader(&self, context: &Context) -> Box<dyn Reader> {
        Box::new(Lines { context: context.clone(), last: None, parts: [None, None] })
    }
}

/// Stamp, stream, whether it is the end of a line, and the message.
fn cri(line: &str) -> Option<(clock::Stamp, &str, bool, &str)> {
    let stamp = clock::iso(line.as_bytes()).filter(|s| s.east.is_some())?;
    let rest = line.get(stamp.len..)?.strip_prefix(' ')?;
    let (stream, rest) = rest.split_once(' ')?;
    let (tag, message) = rest.split_once(' ').unwrap_or((rest, ""));
    let whole = match tag.split(':').next()? {
        "F" => true,
        "P" => false,
        _ => return None,
    };
    matches!(stream, "stdout" | "stderr").then_some((stamp, stream, whole, message))
}

/// Name and message of a line of compose.
fn compose(line: &str) -> Option<(&str, &str)> {
    let (name, message) = line.split_once(" | ").or_else(|| line.strip_suffix(" |").map(|name| (name, "")))?;
    let name = name.trim();
    let plain = !name.is_empty()
        && name.len() <= 128
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'/'));
    // Tables hold bars too.
    (plain && name.bytes().any(|b| b.is_ascii_alphabetic())).then_some((name, message))
}

/// Whether a message begins with a time or is an object that states one.
fn own_time(message: &str) -> bool {
    match message.trim_start().starts_with('{') {
        true => json::object(message.trim()).is_some_and(|o| json_lines::is_timed(&o)),
        false => stamp(message).is_some(),
    }
}

struct Lines {
    context: Context,
    /// Time of the last line that had one.
    last: Option<Time>,
    /// What of a line is there so far, of each stream: a runtime writes them as they come.
    parts: [Option<Part>; 2],
}

/// A line that is not over.
struct Part {
    text: String,
    start: Unit,
    /// More came than is kept.
    cut: bool,
}

impl Part {
    /// Adds what came, up to the longest message; the first time that it does not fit is told.
    fn add(&mut self, more: &str, out: &mut Out) {
        let room = MESSAGE_MAX.saturating_sub(self.text.len());
        let fits = more.get(..more.floor_char_boundary(room)).unwrap_or("");
        // After a gap nothing may follow.
        if !self.cut {
            self.text.push_str(fits);
        }
        if fits.len() < more.len() && !self.cut {
            self.cut = true;
            out.oddities.push(cut(self.start));
        }
    }
}

fn cut(start: Unit) -> Oddity {
    Oddity::at("line_cut", format!("line {}", start.line))
}

impl Reader for Lines {
    fn line(&mut self, line: &[u8], unit: Unit, out: &mut Out) -> Status {
        let text = String::from_utf8_lossy(line);
        let text = text.trim_end_matches('\r');
        if text.trim().is_empty() {
            return Status::Skipped;
        }
        if let Some((stamp, stream, whole, message)) = cri(text) {
            let [of_out, of_err] = &mut self.parts;
            let slot = if stream == "stdout" { of_out } else { of_err };
            let mut part = slot.take().unwrap_or(Part { text: String::new(), start: unit, cut: false });
            part.add(message, out);
            let time = stamp.time(&self.context, out);
            self.last = time.or(self.last);
            if !whole {
                *slot = Some(part);
                return Status::Skipped;
            }
            let end = unit.offset.saturating_add(line.len() as u64);
            let len = usize::try_from(end.saturating_sub(part.start.offset)).unwrap_or(usize::MAX);
            let status = self.wrapped(&part.text, time, &[("stream", stream)], part.start, len, out);
            return if part.cut && status == Status::Ok { Status::Partial } else { status };
        }
        let plain = uncoloured(text);
        let Some((name, message)) = compose(&plain) else {
            // `docker compose` says what it does in lines of its own.
            out.oddities.push(Oddity::at("line_malformed", format!("line {}", unit.line)));
            return Status::Failed;
        };
        if message.trim().is_empty() {
            return Status::Skipped;
        }
        let before = out.records.len();
        // `-t` writes a time before the message.
        let own = match stamp(message) {
            Some((Start::Stamp(stamp), true)) => stamp.time(&self.context, out),
            Some((Start::Stamp(stamp), false)) if !message.trim_start().starts_with('{') => stamp.time(&self.context, out),
            _ => None,
        };
        let mut status = match message.trim_start().starts_with('{') && json::object(message.trim()).is_some() {
            true => unwrap::read(message.trim(), &self.context, unit, line.len(), out),
            false => self.wrapped(message, own.or(self.last), &[], unit, line.len(), out),
        };
        if own.is_none() && !message.trim_start().starts_with('{') && self.last.is_some() {
            clock::assume(out, super::syslog::TIME_ASSUMED);
            status = if status == Status::Ok { Status::Partial } else { status };
        }
        for read in out.records.iter_mut().skip(before) {
            self.last = Some(read.record.start);
            if read.record.get(field::HOSTNAME).is_none() {
                read.record.set_text(field::HOSTNAME, name);
            }
            read.sensor.get_or_insert_with(|| name.to_owned());
        }
        status
    }
    fn go_on(&mut self) {
        self.parts = [None, None];
    }
    fn end(&mut self, out: &mut Out) {
        // The rest of the last lines never came.
        let mut open: Vec<Part> = self.parts.iter_mut().filter_map(Option::take).collect();
        open.sort_by_key(|part| part.start.offset);
        for part in open {
            if !part.cut {
                out.oddities.push(cut(part.start));
            }
            self.wrapped(&part.text, self.last, &[], part.start, part.text.len(), out);
        }
    }
}

impl Lines {
    /// A message with what stands before it, as the object of a wrapper that holds both.
    fn wrapped(&self, message: &str, time: Option<Time>, more: &[(&str, &str)], unit: Unit, len: usize, out: &mut Out) -> Status {
        let mut object = String::from("{\"log\":");
        json::quote(message, &mut object);
        let stamped = time.map(|t| t.to_string());
        for (key, value) in more.iter().copied().chain(stamped.iter().map(|t| ("time", t.as_str()))) {
            object.push_str(&format!(",\"{key}\":"));
            json::quote(value, &mut object);
        }
        object.push('}');
        unwrap::read(&object, &self.context, unit, len, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::{line, read_all};

    #[test]
    fn cri_lines_are_joined_and_read_by_their_own_format() {
        let text = "2026-11-20T08:00:01.123456789Z stdout F 192.0.2.5 - - [20/Nov/2026:08:00:01 +0000] \"GET / HTTP/1.1\" 200 5\n2026-11-20T08:00:02Z stderr P first \n2026-11-20T08:00:02Z stderr F and last\n2026-11-20T08:00:03Z stdout P open\n";
        let read = read_all(&FORMAT, text);
        assert_eq!((read.counts, read.records.len()), ([2, 0, 2, 0], 3));
        assert!(line(&read.records[0]).starts_with("http 2026-11-20T08:00:01Z src.ip=192.0.2.5 "), "{}", line(&read.records[0]));
        assert_eq!(line(&read.records[1]), "log 2026-11-20T08:00:02Z message=first and last extra={\"stream\":\"stderr\"}");
        assert_eq!(
            (read.records[1].record.id.offset as usize, read.oddities.len()),
            (text.find("2026-11-20T08:00:02Z").unwrap(), 1)
        );
    }

    #[test]
    fn streams_are_not_mixed_and_what_is_too_long_is_told() {
        let text = "2026-11-20T08:00:01Z stdout P a\n2026-11-20T08:00:01Z stderr F whole\n2026-11-20T08:00:01Z stdout F b\n";
        let read = read_all(&FORMAT, text);
        assert_eq!(read.records.iter().filter_map(|r| r.record.text(field::MESSAGE)).collect::<Vec<_>>(), ["whole", "ab"]);
        let long = "x".repeat(MESSAGE_MAX);
        let text =
            format!("2026-11-20T08:00:01Z stdout P {long}\n2026-11-20T08:00:01Z stdout P y\n2026-11-20T08:00:01Z stdout F z\n");
        let read = read_all(&FORMAT, &text);
        assert_eq!((read.counts, read.oddities), ([0, 1, 2, 0], vec!["line_cut line 1".to_owned()]));
    }

    #[test]
    fn an_open_line_is_not_given_twice() {
        let context = crate::formats::Context {
            evidence: crate::model::origin::EvidenceKey(1),
            stem: "x".into(),
            zone: crate::formats::Zone::Fixed(0),
            year: None,
            dates: crate::formats::Dates::default(),
            modified: Time(0),
        };
        let (mut reader, mut out) = (FORMAT.reader(&context), Out::default());
        reader.line(b"2026-11-20T08:00:01Z stdout P a", Unit::default(), &mut out);
        reader.go_on();
        reader.end(&mut out);
        assert!(out.records.is_empty());
    }

    #[test]
    fn compose_names_the_container() {
        let text = "\u{1b}[33mcaddy  |\u{1b}[0m {\"level\":\"info\",\"ts\":1795161601.25,\"msg\":\"x\"}\nweb-1  | 2026-11-20T08:00:02Z hello\nweb-1  |   at main\n";
        let read = read_all(&FORMAT, text);
        assert_eq!(FORMAT.sniff(text.as_bytes()), Sniff::Yes);
        assert_eq!(read.counts, [2, 1, 0, 0]);
        let names: Vec<_> = read.records.iter().map(|r| (r.sensor.as_deref(), r.record.start.to_string())).collect();
        assert_eq!(names[0], (Some("caddy"), "2026-11-20T08:00:01.250Z".to_owned()));
        assert_eq!(names[2], (Some("web-1"), "2026-11-20T08:00:02Z".to_owned()));
    }
}
