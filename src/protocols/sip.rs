//! SIP (RFC 3261) over UDP and TCP: each request with its final answer. Media and bodies pass unread; keeps no password.

use super::common::bytes::text;
use super::common::fields::Fields;
use super::common::framed::{Cut, Framed, Messages};
use super::{At, Ends, Out, Parser, Protocol, Side, Sniff};
use crate::model::field;
use crate::model::proto::{TCP, UDP};
use crate::model::record::Kind;
use std::collections::VecDeque;

/// The protocol.
pub static PROTOCOL: Sip = Sip;

const METHODS: &[&str] = &[
    "INVITE",
    "ACK",
    "BYE",
    "CANCEL",
    "OPTIONS",
    "REGISTER",
    "PRACK",
    "SUBSCRIBE",
    "NOTIFY",
    "PUBLISH",
    "INFO",
    "REFER",
    "MESSAGE",
    "UPDATE",
];
/// Requests that wait for their answer.
const MAX_PENDING: usize = 256;

/// See [`PROTOCOL`].
#[derive(Debug)]
pub struct Sip;

impl Protocol for Sip {
    fn name(&self) -> &'static str {
        "sip"
    }
    fn doc(&self) -> &'static str {
        "Session Initiation Protocol (RFC 3261)."
    }
    fn over(&self) -> &'static [u8] {
        &[TCP, UDP]
    }
    fn probe(&self, _side: Side, first: &[u8], ends: &Ends) -> Sniff {
        let line = first.split(|b| *b == b'\n').next().unwrap_or_default();
        let ended = line.len() < first.len();
        let open = ends.proto == TCP && !ended && first.len() < 512;
        let line = text(line, 512);
        let line = line.trim_end_matches('\r');
        if line.starts_with("SIP/2.0 ") {
            return Sniff::Yes;
        }
        let known = METHODS.iter().any(|m| line.split(' ').next() == Some(m));
        if known && line.ends_with(" SIP/2.0") {
            Sniff::Yes
        } else if open && (known || "SIP/2.0 ".starts_with(line) || METHODS.iter().any(|m| m.starts_with(line))) {
            Sniff::More
        } else {
            Sniff::No
        }
    }
    fn parser(&self, ends: &Ends) -> Box<dyn Parser> {
        if ends.proto == TCP { Box::new(Framed::new(Conversation::default())) } else { Box::<Conversation>::default() }
    }
}

/// A request that waits.
struct Waiting {
    key: (String, String),
    fields: Fields,
    at: At,
}

#[derive(Default)]
struct Conversation {
    pending: VecDeque<Waiting>,
    seen: [bool; 2],
}

/// The value of a header, by its name or its compact form.
fn header<'a>(head: &'a str, name: &str, compact: &str) -> Option<&'a str> {
    head.lines().skip(1).take_while(|l| !l.is_empty()).find_map(|line| {
        let (found, value) = line.split_once(':')?;
        let found = found.trim();
        (found.eq_ignore_ascii_case(name) || (!compact.is_empty() && found.eq_ignore_ascii_case(compact))).then(|| value.trim())
    })
}

/// The address inside a From or To.
fn address(value: &str) -> &str {
    let inside = value.split('<').nth(1).and_then(|v| v.split('>').next()).unwrap_or(value);
    let inside = inside.split(';').next().unwrap_or_default().trim();
    inside.strip_prefix("sips:").or(inside.strip_prefix("sip:")).unwrap_or(inside)
}

impl Conversation {
    fn read(&mut self, side: Side, message: &[u8], first: At, last: At, out: &mut Out) {
        let head = text(message, 8192);
        let Some(start) = head.lines().next() else { return };
        let key = (
            header(&head, "call-id", "i").unwrap_or_default().to_owned(),
            header(&head, "cseq", "").unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" "),
        );
        if let Some(status) = start.strip_prefix("SIP/2.0 ") {
            let code = status.split(' ').next().and_then(|c| c.parse::<u16>().ok()).unwrap_or(0);
            let Some(at) = self.pending.iter().position(|p| p.key == key).filter(|_| code >= 200) else { return };
            let Some(mut asked) = self.pending.remove(at) else { return };
            asked.fields.text(field::REASON, status);
            asked.fields.text(field::PRODUCT, header(&head, "server", "").unwrap_or_default());
            out.events.push(asked.fields.event(Kind::Log, asked.at, last));
            return;
        }
        let mut words = start.split(' ');
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        if self.pending.iter().any(|p| p.key == key) || method == "ACK" {
            return;
        }
        let mut fields = Fields::default();
        fields.text(field::APP, "sip");
        fields.text(field::URL, target);
        let from = address(header(&head, "from", "f").unwrap_or_default());
        let to = address(header(&head, "to", "t").unwrap_or_default());
        fields.text(field::USER, from);
        fields.text(field::HTTP_AGENT, header(&head, "user-agent", "").unwrap_or_default());
        fields.text(field::MESSAGE, format!("{method} {to}").trim());
        if side == Side::Out && !from.is_empty() {
            out.flow.push((field::USER, from.into()));
        }
        if self.pending.len() >= MAX_PENDING {
            out.partial = true;
            self.give(out);
        }
        self.pending.push_back(Waiting { key, fields, at: first });
    }
    /// Gives back the oldest request without an answer.
    fn give(&mut self, out: &mut Out) {
        if let Some(asked) = self.pending.pop_front() {
            out.events.push(asked.fields.event(Kind::Log, asked.at, asked.at));
        }
    }
    fn see(&mut self, side: Side, out: &mut Out) {
        if let Some(seen) = self.seen.get_mut(usize::from(side == Side::In)) {
            *seen = true;
        }
        out.confirmed |= self.seen == [true, true];
    }
}

impl Messages for Conversation {
    fn cut(&self, _side: Side, unread: &[u8]) -> Cut {
        // Empty lines keep a connection alive.
        let blank = unread.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
        if blank > 0 {
            return Cut::Frame(blank);
        }
        let Some(end) = memchr::memmem::find(unread, b"\r\n\r\n").map(|n| n.saturating_add(4)) else { return Cut::More };
        let head = text(unread.get(..end).unwrap_or_default(), 16 * 1024);
        let body = header(&head, "content-length", "l").and_then(|n| n.parse::<usize>().ok()).unwrap_or(0);
        Cut::Frame(end.saturating_add(body))
    }
    fn message(&mut self, side: Side, message: &[u8], first: At, last: At, out: &mut Out) -> bool {
        if message.len() > 8 {
            self.read(side, message, first, last, out);
        }
        true
    }
    fn end(&mut self, out: &mut Out) {
        while !self.pending.is_empty() {
            self.give(out);
        }
    }
}

impl Parser for Conversation {
    fn data(&mut self, side: Side, bytes: &[u8], at: At, out: &mut Out) {
        if bytes.len() > 8 {
            self.see(side, out);
            self.read(side, bytes, at, at, out);
        }
    }
    fn end(&mut self, out: &mut Out) {
        Messages::end(self, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Time;

    #[test]
    fn a_request_and_its_final_answer_are_one_event() {
        let at = At { time: Time(1), offset: 1 };
        let (mut c, mut out) = (Framed::new(Conversation::default()), Out::default());
        let rest = "From: \"Bob\" <sip:bob@a>;tag=1\r\nTo: <sip:eve@b>\r\nCall-ID: 7\r\nCSeq: 1 INVITE\r\nl: 2\r\n\r\nxy";
        Parser::data(&mut c, Side::Out, format!("INVITE sip:eve@b SIP/2.0\r\n{rest}").as_bytes(), at, &mut out);
        for status in ["100 Trying", "486 Busy"] {
            Parser::data(&mut c, Side::In, format!("SIP/2.0 {status}\r\n{rest}").as_bytes(), at, &mut out);
        }
        let shown: String = out.events[0].fields.iter().map(|(f, v)| format!("{}={v} ", field::name(*f))).collect();
        assert_eq!(shown, "app=sip url=sip:eve@b reason=486 Busy user=bob@a message=INVITE eve@b ");
        assert_eq!(out.events.len(), 1);
    }
}
