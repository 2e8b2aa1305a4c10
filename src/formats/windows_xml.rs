//! Windows events as XML: Event Viewer's and wevtutil's exports (one document `<Events>`, often one line), evtx_dump's, collectors that write an
//! `<Event>` a line (Microsoft, Windows Event schema, "Event" element).
//!
//! Each event is cut out and parsed by itself, so a malformed one is counted and the others are read. It becomes the object that an EVTX file
//! gives for it, and `windows_event` reads that: the same fields whatever the rendering. Offsets are those of the `<Event` that a record was.

use super::xml::{Node, Xml};
use super::{Context, Format, Framing, Out, Reader, Sniff, Status, Unit, head, json, windows_event};
use crate::model::guard;
use crate::model::oddity::Oddity;
use std::io::BufRead;

/// The format.
pub static FORMAT: WindowsXml = WindowsXml;

/// Windows events as XML.
pub struct WindowsXml;

/// Longest event; a script block or a command line of Windows is shorter by far.
const EVENT_MAX: usize = 4 << 20;
/// Longest text outside of events that is looked at in one piece.
const PIECE_MAX: usize = 64 << 10;
const OPENS: &[u8] = b"<Event";
const CLOSES: &[u8] = b"</Event>";

impl Format for WindowsXml {
    fn name(&self) -> &'static str {
        "windows-xml"
    }
    fn doc(&self) -> &'static str {
        "Windows events as XML: Event Viewer, wevtutil, evtx_dump; the same fields as windows-event (Microsoft, Windows Event schema)."
    }
    fn framing(&self) -> Framing {
        Framing::Document
    }
    fn sniff(&self, head: &[u8]) -> Sniff {
        if is(&String::from_utf8_lossy(head::plain(head))) { Sniff::Yes } else { Sniff::No }
    }
    fn reader(&self, context: &Context) -> Box<dyn Reader> {
        Box::new(Events { context: context.clone() })
    }
}

/// Whether a text begins with an event, or with what stands around one.
pub(super) fn is(text: &str) -> bool {
    let Some(at) = text.match_indices("<Event").map(|(at, _)| at).find(|at| is_opening(&text.as_bytes()[*at..])) else {
        return false;
    };
    let system = text[at..].find("<System>").is_some_and(|system| system < 400);
    system && !is_stray(&text.as_bytes()[..at])
}

/// Whether a tag is the one that opens an event.
fn is_opening(tag: &[u8]) -> bool {
    tag.starts_with(OPENS) && tag.get(OPENS.len()).is_some_and(|b| b.is_ascii_whitespace() || *b == b'>')
}

/// Whether text outside of events is more than what renderings put around them.
fn is_stray(text: &[u8]) -> bool {
    let text = String::from_utf8_lossy(text);
    let mut rest = text.trim_start_matches('\u{feff}').trim();
    while !rest.is_empty() {
        let tag = ["<?xml", "<Events", "</Events", "<!--"].iter().any(|t| rest.starts_with(t));
        let number = rest.strip_prefix("Record ").map(|r| r.trim_start_matches(|c: char| c.is_ascii_digit()));
        rest = match (tag, number) {
            (true, _) => rest.find('>').map_or("", |end| &rest[end + 1..]),
            (_, Some(after)) => after,
            _ => return true,
        }
        .trim();
    }
    false
}

struct Events {
    context: Context,
}

impl Reader for Events {
    fn line(&mut self, _: &[u8], _: Unit, _: &mut Out) -> Status {
        Status::Skipped
    }
    fn document(&mut self, input: &mut dyn BufRead, each: &mut dyn FnMut(Status, Out) -> bool) {
        let mut cut = Cut { input, at: 0, piece: Vec::new() };
        let mut event: Option<Event> = None;
        let mut stray: Option<u64> = None;
        loop {
            let at = cut.at;
            let more = cut.next();
            let piece = &cut.piece;
            let tag = memchr::memrchr(b'<', piece).filter(|tag| is_opening(&piece[*tag..]));
            if let Some(tag) = tag {
                let outside = &piece[..tag];
                let failed = match event.take() {
                    Some(open) => Some(("xml_truncated", open.start)),
                    None if stray.is_some() || is_stray(outside) => Some(("xml_outside_events", stray.unwrap_or(at))),
                    None => None,
                };
                stray = None;
                if failed.is_some_and(|(what, at)| !each(Status::Failed, bad(what, at))) {
                    return;
                }
                event = Some(Event { start: at + tag as u64, text: Vec::new(), long: false });
            }
            match &mut event {
                Some(open) => open.add(&piece[tag.unwrap_or(0)..]),
                None if is_stray(piece) => _ = stray.get_or_insert(at),
                None => {}
            }
            if piece.ends_with(CLOSES)
                && let Some(whole) = event.take()
            {
                let (status, out) = whole.read(&self.context, cut.at);
                if !each(status, out) {
                    return;
                }
            }
            match more {
                Ok(true) => {}
                Ok(false) => break,
                Err(e) => {
                    let mut out = bad("file_unreadable", cut.at);
                    out.oddities[0].place = format!("byte {}: {e}", cut.at).into();
                    each(Status::Failed, out);
                    return;
                }
            }
        }
        let left = event.map(|open| ("xml_truncated", open.start)).or(stray.map(|at| ("xml_outside_events", at)));
        if let Some((what, at)) = left {
            each(Status::Failed, bad(what, at));
        }
    }
}

fn bad(what: &'static str, at: u64) -> Out {
    Out { oddities: vec![Oddity::at(what, format!("byte {at}"))], unit: Unit { offset: at, line: 0 }, ..Out::default() }
}

/// The input in pieces that end with `>`.
struct Cut<'a> {
    input: &'a mut dyn BufRead,
    /// Bytes given so far.
    at: u64,
    piece: Vec<u8>,
}

impl Cut<'_> {
    /// Makes the next piece; false: it is the last.
    fn next(&mut self) -> std::io::Result<bool> {
        self.piece.clear();
        while self.piece.len() < PIECE_MAX {
            let chunk = match self.input.fill_buf() {
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
                other => other?,
            };
            if chunk.is_empty() {
                return Ok(false);
            }
            let end = memchr::memchr(b'>', chunk).map(|at| at + 1);
            let taken = end.unwrap_or(chunk.len()).min(PIECE_MAX);
            self.piece.extend_from_slice(&chunk[..taken]);
            self.input.consume(taken);
            self.at += taken as u64;
            if end == Some(taken) {
                break;
            }
        }
        Ok(true)
    }
}

/// An event that is being put together.
struct Event {
    start: u64,
    text: Vec<u8>,
    long: bool,
}

impl Event {
    fn add(&mut self, piece: &[u8]) {
        if self.text.len() + piece.len() > EVENT_MAX {
            (self.long, self.text) = (true, Vec::new());
        } else if !self.long {
            self.text.extend_from_slice(piece);
        }
    }
    fn read(self, context: &Context, end: u64) -> (Status, Out) {
        if self.long {
            return (Status::Failed, bad("event_too_long", self.start));
        }
        let unit = Unit { offset: self.start, line: 0 };
        let mut out = Out { unit, ..Out::default() };
        let len = usize::try_from(end.saturating_sub(self.start)).unwrap_or(usize::MAX);
        match guard::quietly(|| read(&self.text, context, unit, len, &mut out)) {
            Some(status) => (status, out),
            None => (Status::Failed, bad(guard::PANICKED, self.start)),
        }
    }
}

/// Reads one event.
pub(super) fn read(text: &[u8], context: &Context, unit: Unit, len: usize, out: &mut Out) -> Status {
    let failed = |what: &'static str, out: &mut Out| {
        out.oddities.push(Oddity::at(what, format!("byte {}", unit.offset)));
        Status::Failed
    };
    let object = match object(text) {
        Ok(object) => object,
        Err(what) => return failed(what, out),
    };
    match json::object(&object) {
        Some(members) => windows_event::read(&members, context, unit, len, None, out),
        None => failed("xml_malformed", out),
    }
}

/// An element while it is read.
#[derive(Default)]
struct Element {
    name: String,
    /// The name that its text goes by: that of a datum.
    key: String,
    attributes: String,
    inside: String,
    text: String,
}

/// The event as the object that an EVTX file gives for it.
fn object(mut text: &[u8]) -> Result<String, &'static str> {
    let mut xml = Xml::new(&mut text);
    let mut open = vec![Element::default()];
    loop {
        let node = xml.next();
        match node {
            Node::Open { ref name, ref attributes, .. } => {
                let datum = node.attribute("Name");
                let is_datum = name == "Data" && !datum.is_empty();
                let mut element =
                    Element { name: name.clone(), key: if is_datum { datum } else { name }.to_owned(), ..Element::default() };
                for (key, value) in attributes.iter().filter(|(k, _)| !(k.starts_with("xmlns") || is_datum && k == "Name")) {
                    member(key, &quoted(value), &mut element.attributes);
                }
                open.push(element);
            }
            Node::Text(part) => open.last_mut().into_iter().for_each(|e| e.text.push_str(&part)),
            Node::Close { .. } => {
                let (Some(element), Some(around)) = (open.pop(), open.last_mut()) else { return Err("xml_malformed") };
                close(element, around);
            }
            Node::Over(Some(what)) => return Err(what),
            Node::Over(None) => break,
        }
    }
    match open.pop() {
        Some(root) if open.is_empty() && !root.inside.is_empty() => Ok(format!("{{{}}}", root.inside)),
        _ => Err("xml_malformed"),
    }
}

/// Gives an element to the one around it.
fn close(element: Element, around: &mut Element) {
    let Element { name, key, attributes, inside, text } = element;
    match (around.name.as_str(), name.as_str()) {
        // Of what the host made of the event only the words tell more than the event itself.
        ("RenderingInfo", "Message") => return member("Message", &quoted(&text), &mut around.inside),
        ("RenderingInfo", _) => return,
        (_, "RenderingInfo") => {
            if !inside.is_empty() {
                append(&inside, &mut around.inside);
            }
            return;
        }
        _ => {}
    }
    let text = if inside.is_empty() { text.as_str() } else { "" };
    if attributes.is_empty() && inside.is_empty() {
        return member(&key, &quoted(text), &mut around.inside);
    }
    let mut members = String::new();
    if !attributes.is_empty() {
        member("#attributes", &format!("{{{attributes}}}"), &mut members);
    }
    if !text.trim().is_empty() {
        member("#text", &quoted(text), &mut members);
    }
    if !inside.is_empty() {
        append(&inside, &mut members);
    }
    member(&key, &format!("{{{members}}}"), &mut around.inside);
}

fn quoted(text: &str) -> String {
    let mut out = String::new();
    json::quote(text, &mut out);
    out
}

fn member(key: &str, value: &str, to: &mut String) {
    append("", to);
    json::quote(key, to);
    to.push(':');
    to.push_str(value);
}

/// Adds members to those that are there.
fn append(members: &str, to: &mut String) {
    if !to.is_empty() {
        to.push(',');
    }
    to.push_str(members);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::read_all;

    fn event(code: u32, data: &str) -> String {
        format!(
            "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System><Provider Name='P' Guid='{{x}}'/>\
             <EventID Qualifiers='0'>{code}</EventID><Level>0</Level><Keywords>0x8010000000000000</Keywords>\
             <TimeCreated SystemTime='2026-11-19T08:12:01.500000000Z'/><Channel>Security</Channel><Computer>DC.local</Computer>\
             <Security/></System><EventData>{data}</EventData></Event>"
        )
    }

    #[test]
    fn events_in_any_wrapping_are_the_same_and_stand_where_they_begin() {
        let (a, b) = (
            event(
                4625,
                "<Data Name='TargetUserName'>j&amp;doe</Data><Data Name='IpAddress'>10.0.0.5</Data><Data Name='LogonType'>3</Data>",
            ),
            event(4688, "<Data Name='NewProcessName'>C:\\a.exe</Data><Data Name='CommandLine'>a &gt; b</Data>"),
        );
        let want = "auth 2026-11-19T08:12:01.500Z src.ip=10.0.0.5 severity=info action=login_fail user=j&doe hostname=dc.local \
                    auth.method=network event.code=4625";
        for (text, offsets) in [
            (format!("{a}\n{b}\n"), [0, a.len() + 1]),
            (format!("<?xml version=\"1.0\" encoding=\"utf-8\"?><Events>{a}{b}</Events>"), [46, 46 + a.len()]),
            (format!("\u{feff}<Events>\r\n{a}\r\n{b}\r\n</Events>"), [13, 15 + a.len()]),
            (format!("Record 1\n<?xml version=\"1.0\"?>\n{a}\n\nRecord 2\n{b}\n"), [31, 42 + a.len()]),
        ] {
            assert_eq!(FORMAT.sniff(text.as_bytes()), Sniff::Yes, "{text}");
            let read = read_all(&FORMAT, &text);
            assert_eq!((read.counts, read.oddities.as_slice()), ([2, 0, 0, 0], &[][..]), "{text}");
            assert!(read.shown().starts_with(want), "{}", read.shown());
            assert_eq!(read.records.iter().map(|r| r.record.id.offset as usize).collect::<Vec<_>>(), offsets, "{text}");
            assert_eq!(&text[offsets[1]..offsets[1] + 6], "<Event");
            assert_eq!(read.records[1].record.text(crate::model::field::MESSAGE), Some("a > b"));
        }
    }

    #[test]
    fn what_is_malformed_between_is_counted_and_the_rest_is_read() {
        let good = event(4624, "<Data>loose</Data>");
        let text = format!(
            "{good}garbage here\n{good}<Event xmlns='x'><System></Event><Event xmlns='x'><System>{good}<Event xmlns='x'><Sys"
        );
        let read = read_all(&FORMAT, &text);
        assert_eq!(read.records.iter().filter(|r| r.record.text(crate::model::field::EVENT_CODE) == Some("4624")).count(), 3);
        assert!(read.oddities.iter().any(|o| o.starts_with("xml_outside_events")), "{:?}", read.oddities);
        assert!(read.oddities.iter().filter(|o| o.starts_with("xml_truncated")).count() >= 2, "{:?}", read.oddities);
        assert!(read.shown().contains("loose"), "{}", read.shown());
        for other in ["<Events/>", "<Event>", "<nmaprun><Event a='1'>", "text <Event xmlns='x'><System>"] {
            assert_eq!(FORMAT.sniff(other.as_bytes()), Sniff::No, "{other}");
        }
    }

    #[test]
    fn the_words_that_the_host_rendered_are_the_message() {
        let text = event(999, "<Data Name='a'>1</Data>")
            .replace("</Event>", "<RenderingInfo Culture='en-US'><Message>It was 10.9.8.7.</Message><Level>Information</Level></RenderingInfo></Event>");
        let read = read_all(&FORMAT, &text);
        assert!(read.shown().contains("message=It was 10.9.8.7."), "{}", read.shown());
    }
}
