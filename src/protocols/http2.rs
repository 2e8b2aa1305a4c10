//! HTTP/2 (RFC 9113) in clear: the preface, and of each request what its header block and that of its answer say. Bodies pass unread.

use super::common::bytes::Bytes;
use super::common::fields::Fields;
use super::common::framed::{Cut, Framed, Messages};
use super::common::hpack::Hpack;
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
const CONTINUATION: u8 = 9;
/// Bytes of a header block that comes in several frames.
const MAX_BLOCK: usize = 64 * 1024;
/// Streams that wait for their answer.
const MAX_STREAMS: usize = 256;

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

/// A header block that goes on in the next frame.
struct Open {
    stream: u32,
    block: Vec<u8>,
    first: At,
}

#[derive(Default)]
struct Conversation {
    begun: bool,
    tables: [Hpack; 2],
    open: [Option<Open>; 2],
    streams: BTreeMap<u32, (Fields, At)>,
}

impl Conversation {
    fn request(&mut self, stream: u32, found: &[(String, String)], first: At, out: &mut Out) {
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
    fn response(&mut self, stream: u32, found: Vec<(String, String)>, last: At, out: &mut Out) {
        // An informational answer is not the last.
        if found.iter().any(|(name, value)| name == ":status" && value.starts_with('1')) {
            return;
        }
        let Some((mut fields, first)) = self.streams.remove(&stream) else { return };
        for (name, value) in found {
            match name.as_str() {
                ":status" => fields.maybe(field::HTTP_STATUS, value.parse::<u64>().ok()),
                "content-type" => fields.text(field::HTTP_TYPE, value.split(';').next().unwrap_or_default()),
                _ => {}
            }
        }
        out.events.push(fields.event(Kind::Http, first, last));
    }
    /// A header block is complete.
    fn block(&mut self, side: Side, open: &Open, last: At, out: &mut Out) {
        let Some(table) = self.tables.get_mut(usize::from(side == Side::In)) else { return };
        let found = table.block(&open.block);
        // DNS over HTTPS (RFC 8484) is said by its type on either side.
        if found.iter().any(|(name, value)| name == "content-type" && value == "application/dns-message") {
            out.also = Some("doh2");
        }
        match side {
            Side::Out => self.request(open.stream, &found, open.first, out),
            Side::In => self.response(open.stream, found, last, out),
        }
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
        let [h0, h1, h2, kind @ (HEADERS | CONTINUATION), flags, a, b, c, d, rest @ ..] = message else { return true };
        let index = usize::from(side == Side::In);
        let stream = u32::from_be_bytes([a & 0x7f, *b, *c, *d]);
        let whole = rest.len() == u32::from_be_bytes([0, *h0, *h1, *h2]) as usize;
        let before = self.open.get_mut(index).and_then(Option::take);
        let mut open = match (*kind, before) {
            (CONTINUATION, Some(open)) if open.stream == stream => open,
            (CONTINUATION, _) => return true,
            _ => Open { stream, block: Vec::new(), first },
        };
        // Padding stands behind, its length and a priority in front.
        let (mut block, mut padding) = (Bytes::new(rest), 0);
        if *kind == HEADERS && flags & 8 != 0 {
            padding = usize::from(block.u8().unwrap_or(0));
        }
        if *kind == HEADERS && flags & 0x20 != 0 {
            let _ = block.take(5);
        }
        let length = block.left().saturating_sub(padding);
        open.block.extend_from_slice(block.take(length).unwrap_or_default());
        if flags & 4 == 0 && open.block.len() <= MAX_BLOCK {
            if let Some(slot) = self.open.get_mut(index) {
                *slot = Some(open);
            }
            return true;
        }
        self.block(side, &open, last, out);
        if (!whole || open.block.len() > MAX_BLOCK)
            && let Some(table) = self.tables.get_mut(index)
        {
            table.forget();
            out.partial = true;
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
    use crate::model::time::Time;

    fn frame(kind: u8, flags: u8, body: &[u8]) -> Vec<u8> {
        [&[0, 0, body.len() as u8, kind, flags, 0, 0, 0, 1], body].concat()
    }

    #[test]
    fn a_request_is_told_with_its_answer_though_its_headers_come_in_two_frames() {
        // The first examples of RFC 7541 C.4 and C.6, Huffman-coded.
        let request = b"\x82\x86\x84\x41\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff";
        let client = [PREFACE, &frame(HEADERS, 1, &request[..7]), &frame(CONTINUATION, 4, &request[7..])].concat();
        let server = [frame(SETTINGS, 0, b""), frame(HEADERS, 5, b"\x48\x82\x64\x02")].concat();
        let at = At { time: Time(1), offset: 1 };
        let (mut c, mut out) = (Framed::new(Conversation::default()), Out::default());
        client.iter().for_each(|b| c.data(Side::Out, &[*b], at, &mut out));
        server.iter().for_each(|b| c.data(Side::In, &[*b], at, &mut out));
        let said: Vec<String> = out.events[0].fields.iter().map(|(f, v)| format!("{}={v}", field::name(*f))).collect();
        let expected =
            ["app=http2", "name=www.example.com", "url=http://www.example.com/", "http.method=GET", "http.host=www.example.com"];
        assert!(expected.iter().all(|e| said.iter().any(|s| s == e)), "{said:?}");
        assert!(said.contains(&"http.status=302".to_owned()));
    }
}
