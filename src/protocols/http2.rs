//! HTTP/2 (RFC 9113) in clear: the preface, and of each request what its header block says without a memory of earlier ones (RFC 7541: indexed
//! in the static table, or literal and not Huffman-coded). Bodies pass unread.

use super::common::bytes::{Bytes, text};
use super::common::fields::Fields;
use super::common::framed::{Cut, Framed, Messages};
use super::common::http_head::host_of;
use super::{At, Ends, Out, Parser, Protocol, Side, Sniff};
use crate::model::field;
use crate::model::proto::TCP;
use crate::model::record::Kind;
use std::collections::BTreeMap;

/// The protocol.
pub static PROTOCOL: Http2 = Http2;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEAD: usize = 9;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
/// Streams that wait for their answer.
const MAX_STREAMS: usize = 256;

/// Names of the static table that matter here, by index; pairs with a value have it.
const STATIC: &[(u8, &str, &str)] = &[
    (1, ":authority", ""),
    (2, ":method", "GET"),
    (3, ":method", "POST"),
    (4, ":path", "/"),
    (5, ":path", "/index.html"),
    (8, ":status", "200"),
    (9, ":status", "204"),
    (10, ":status", "206"),
    (11, ":status", "304"),
    (12, ":status", "400"),
    (13, ":status", "404"),
    (14, ":status", "500"),
    (31, "content-type", ""),
    (58, "user-agent", ""),
];

/// See [`PROTOCOL`].
#[derive(Debug)]
pub struct Http2;

impl Protocol for Http2 {
    fn name(&self) -> &'static str {
        "http2"
    }
    fn doc(&self) -> &'static str {
        "Hypertext Transfer Protocol 2 in clear (RFC 9113)."
    }
    fn over(&self) -> &'static [u8] {
        &[TCP]
    }
    fn probe(&self, side: Side, first: &[u8], _ends: &Ends) -> Sniff {
        if side == Side::Out {
            return match (first.starts_with(PREFACE), PREFACE.starts_with(first)) {
                (true, _) => Sniff::Yes,
                (_, true) => Sniff::More,
                _ => Sniff::No,
            };
        }
        // The server begins with its settings: pairs of six bytes, on stream 0.
        match first {
            [0, 0, n, SETTINGS, 0, 0, 0, 0, 0, ..] if n % 6 == 0 && *n <= 60 => Sniff::Yes,
            _ if first.len() < HEAD && first.iter().zip([0, 0]).all(|(a, b)| *a == b) => Sniff::More,
            _ => Sniff::No,
        }
    }
    fn parser(&self, _ends: &Ends) -> Box<dyn Parser> {
        Box::new(Framed::new(Conversation::default()))
    }
}

/// A number with a prefix of some bits.
fn integer(b: &mut Bytes<'_>, first: u8, bits: u32) -> Option<usize> {
    let most = (1usize << bits).saturating_sub(1);
    let mut value = usize::from(first) & most;
    if value < most {
        return Some(value);
    }
    for shift in [0, 7, 14, 21] {
        let byte = b.u8()?;
        value = value.checked_add(usize::from(byte & 0x7f) << shift)?;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// A literal: `None` in the second place where it is Huffman-coded.
fn literal(b: &mut Bytes<'_>) -> Option<Option<String>> {
    let first = b.u8()?;
    let length = integer(b, first, 7)?;
    let bytes = b.take(length)?;
    Some((first & 0x80 == 0).then(|| text(bytes, 2048)))
}

/// Names and values of a block, as far as they can be read.
fn headers(block: &[u8]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut b = Bytes::new(block);
    let row = |index: usize| STATIC.iter().find(|s| usize::from(s.0) == index);
    while let (Some(first), true) = (b.u8(), found.len() < 64) {
        let (bits, indexed) = match first {
            0x80.. => (7, true),
            0x40..=0x7f => (6, false),
            0x20..=0x3f => (5, true),
            _ => (4, false),
        };
        let Some(index) = integer(&mut b, first, bits) else { break };
        if indexed {
            // Below 0x40 it is a new size of the table, which is not kept.
            if let Some((_, name, value)) = row(index).filter(|_| first >= 0x80) {
                found.push(((*name).to_owned(), (*value).to_owned()));
            }
            continue;
        }
        let name = if index == 0 { literal(&mut b) } else { Some(row(index).map(|r| r.1.to_owned())) };
        let (Some(name), Some(value)) = (name, literal(&mut b)) else { break };
        if let (Some(name), Some(value)) = (name, value) {
            found.push((name, value));
        }
    }
    found
}

#[derive(Default)]
struct Conversation {
    begun: bool,
    streams: BTreeMap<u32, (Fields, At)>,
}

impl Conversation {
    fn request(&mut self, stream: u32, block: &[u8], first: At, out: &mut Out) {
        let found = headers(block);
        let get = |name: &str| found.iter().find(|h| h.0 == name).map(|h| h.1.as_str()).unwrap_or_default();
        let mut fields = Fields::default();
        fields.text(field::APP, "http2");
        let authority = get(":authority");
        let host = host_of(authority);
        fields.text(field::NAME, &host);
        fields.text(field::HTTP_HOST, &host);
        fields.text(field::HTTP_METHOD, get(":method"));
        fields.text(field::HTTP_URI, get(":path"));
        fields.text(field::HTTP_AGENT, get("user-agent"));
        if !host.is_empty() {
            out.flow.push((field::NAME, host.as_str().into()));
            out.flow.push((field::HTTP_HOST, host.as_str().into()));
            if get(":path").starts_with('/') {
                fields.text(field::URL, &format!("http://{authority}{}", get(":path")));
            }
        }
        if self.streams.len() >= MAX_STREAMS {
            out.partial = true;
            if let Some((_, (fields, at))) = self.streams.pop_first() {
                out.events.push(fields.event(Kind::Http, at, at));
            }
        }
        self.streams.entry(stream).or_insert((fields, first));
    }
    fn response(&mut self, stream: u32, block: &[u8], last: At, out: &mut Out) {
        let Some((mut fields, first)) = self.streams.remove(&stream) else { return };
        for (name, value) in headers(block) {
            match name.as_str() {
                ":status" => fields.maybe(field::HTTP_STATUS, value.parse::<u64>().ok()),
                "content-type" => fields.text(field::HTTP_TYPE, value.split(';').next().unwrap_or_default()),
                _ => {}
            }
        }
        out.events.push(fields.event(Kind::Http, first, last));
    }
}

impl Messages for Conversation {
    fn cut(&self, side: Side, unread: &[u8]) -> Cut {
        if side == Side::Out && !self.begun {
            return match (unread.starts_with(PREFACE), PREFACE.starts_with(unread)) {
                (true, _) => Cut::Frame(PREFACE.len()),
                (_, true) => Cut::More,
                _ => Cut::Over,
            };
        }
        match (Bytes::new(unread).u24(), unread.len() >= HEAD) {
            (Some(n), true) => Cut::Frame((n as usize).saturating_add(HEAD)),
            _ => Cut::More,
        }
    }
    fn message(&mut self, side: Side, message: &[u8], first: At, last: At, out: &mut Out) -> bool {
        if side == Side::Out && !std::mem::replace(&mut self.begun, true) {
            return true;
        }
        let [_, _, _, HEADERS, flags, a, b, c, d, rest @ ..] = message else { return true };
        let stream = u32::from_be_bytes([a & 0x7f, *b, *c, *d]);
        // Padding stands behind, its length and a priority in front.
        let (mut block, mut padding) = (Bytes::new(rest), 0);
        if flags & 8 != 0 {
            padding = usize::from(block.u8().unwrap_or(0));
        }
        if flags & 0x20 != 0 {
            let _ = block.take(5);
        }
        let length = block.left().saturating_sub(padding);
        let block = block.take(length).unwrap_or_default();
        match side {
            Side::Out => self.request(stream, block, first, out),
            Side::In => self.response(stream, block, last, out),
        }
        true
    }
    fn end(&mut self, out: &mut Out) {
        for (_, (fields, at)) in std::mem::take(&mut self.streams) {
            out.events.push(fields.event(Kind::Http, at, at));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn static_and_literal_headers_are_read_and_broken_blocks_end() {
        // The first example of RFC 7541 C.3.
        let block = b"\x82\x86\x84\x41\x0fwww.example.com";
        let found = headers(block);
        let expected = [(":method", "GET"), (":path", "/"), (":authority", "www.example.com")];
        assert_eq!(found, expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
        for cut in 0..block.len() {
            let _ = headers(&block[..cut]);
        }
        assert!(headers(&[0xff; 64]).is_empty());
    }
}
