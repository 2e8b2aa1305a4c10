//! HTTP/2 (RFC 9113) in clear: the preface, and of each request what its header block and that of its answer say, and the
//! files that bodies carry.

use super::common::bytes::Bytes;
use super::common::fields::Fields;
use super::common::framed::{Cut, Framed, Messages};
use super::common::hpack::{Header, Hpack};
use super::common::http_head::host_of;
use super::common::http2_body::Bodies;
use super::{At, Ends, Out, Parser, Protocol, Side, Sniff};
use crate::model::field;
use crate::model::oddity::Oddity;
use crate::model::proto::TCP;
use crate::model::record::Kind;
use std::collections::BTreeMap;

/// The protocol.
pub static PROTOCOL: Http2 = Http2;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEAD: usize = 9;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PUSH_PROMISE: u8 = 5;
const CONTINUATION: u8 = 9;
/// Longest body of a frame unless an end has said otherwise (SETTINGS_MAX_FRAME_SIZE).
const USUAL_BODY: usize = 16 * 1024;
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
    /// It asks or answers. A promise of what the server sends unasked is read for what it does to the table, and so is an end without a beginning.
    asks: bool,
    /// Nothing of it was passed over so far; behind what was, the rest means nothing.
    whole: bool,
    /// Nothing follows on this side of the stream.
    ends: bool,
}

/// The part of a header block in a frame whose body has `length` bytes, as far as the body was kept: padding stands behind, its length and a
/// priority or the promised stream in front. `None`: these do not fit.
fn part(kind: u8, flags: u8, length: usize, kept: &[u8]) -> Option<&[u8]> {
    let mut b = Bytes::new(kept);
    let padding = if kind != CONTINUATION && flags & 8 != 0 { usize::from(b.u8()?) } else { 0 };
    b.take(match kind {
        HEADERS if flags & 0x20 != 0 => 5,
        PUSH_PROMISE => 4,
        _ => 0,
    })?;
    let length = length.checked_sub(b.at())?.checked_sub(padding)?;
    b.take(length.min(b.left()))
}

#[derive(Default)]
struct Conversation {
    begun: bool,
    tables: [Hpack; 2],
    open: [Option<Open>; 2],
    streams: BTreeMap<u32, (Fields, At)>,
    bodies: Bodies,
}

impl Conversation {
    fn request(&mut self, stream: u32, found: &[Header], first: At, ends: bool, out: &mut Out) {
        let get = |name: &str| found.iter().find(|h| &*h.0 == name).map(|h| &*h.1).unwrap_or_default();
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
        if !ends {
            self.bodies.begin((stream, Side::Out), found, (&fields, get(":path")), first, out);
        }
        if self.streams.len() >= MAX_STREAMS {
            out.partial = true;
            if let Some((_, (fields, at))) = self.streams.pop_first() {
                out.events.push(fields.event(Kind::Http, at, at));
            }
        }
        self.streams.entry(stream).or_insert((fields, first));
    }
    fn response(&mut self, stream: u32, found: Vec<Header>, last: At, ends: bool, out: &mut Out) {
        // An informational answer is not the last.
        if found.iter().any(|(name, value)| &**name == ":status" && value.starts_with('1')) {
            return;
        }
        let Some((mut fields, first)) = self.streams.remove(&stream) else {
            // Trailers.
            if ends {
                self.bodies.close(stream, Side::In, true, out);
            }
            return;
        };
        if !ends {
            let path = fields.get(field::HTTP_URI).map(ToString::to_string).unwrap_or_default();
            self.bodies.begin((stream, Side::In), &found, (&fields, &path), last, out);
        }
        for (name, value) in found {
            match &*name {
                ":status" => fields.maybe(field::HTTP_STATUS, value.parse::<u64>().ok()),
                "content-type" => fields.text(field::HTTP_TYPE, value.split(';').next().unwrap_or_default()),
                _ => {}
            }
        }
        out.events.push(fields.event(Kind::Http, first, last));
    }
    /// A header block is complete, or ends here for us: it is read as far as it goes, since every block changes the table of its direction, and
    /// of one that is not whole nobody knows how.
    fn block(&mut self, side: Side, open: &Open, last: At, out: &mut Out) {
        let Some(table) = self.tables.get_mut(usize::from(side == Side::In)) else { return };
        let found = table.block(&open.block);
        if !open.whole {
            table.forget();
            out.partial = true;
        }
        if !open.asks {
            return;
        }
        // DNS over HTTPS (RFC 8484) is said by its type on either side.
        if found.iter().any(|(name, value)| &**name == "content-type" && &**value == "application/dns-message") {
            out.also = Some("doh2");
        }
        match side {
            // Trailers name no method.
            Side::Out if open.ends && !found.iter().any(|h| &*h.0 == ":method") => {
                self.bodies.close(open.stream, Side::Out, true, out);
            }
            Side::Out => self.request(open.stream, &found, open.first, open.ends, out),
            Side::In => self.response(open.stream, found, last, open.ends, out),
        }
    }
}

impl Messages for Conversation {
    fn most(&self) -> usize {
        HEAD + USUAL_BODY
    }
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
        if let [h0, h1, h2, kind @ (DATA | RST_STREAM), flags, a, b, c, d, rest @ ..] = message {
            let stream = u32::from_be_bytes([a & 0x7f, *b, *c, *d]);
            let length = u32::from_be_bytes([0, *h0, *h1, *h2]) as usize;
            if *kind == RST_STREAM {
                self.bodies.close(stream, side, false, out);
            } else if let Some(part) = part(*kind, *flags, length, rest) {
                let missing = length.saturating_sub(rest.len()) as u64;
                self.bodies.data((stream, side), (part, missing), flags & 1 != 0, last, out);
            }
            return true;
        }
        let [h0, h1, h2, kind @ (HEADERS | PUSH_PROMISE | CONTINUATION), flags, a, b, c, d, rest @ ..] = message else {
            return true;
        };
        let index = usize::from(side == Side::In);
        let stream = u32::from_be_bytes([a & 0x7f, *b, *c, *d]);
        let length = u32::from_be_bytes([0, *h0, *h1, *h2]) as usize;
        let before = self.open.get_mut(index).and_then(Option::take);
        let mut open = match before {
            Some(open) if *kind == CONTINUATION && open.stream == stream => open,
            before => {
                // Nothing may come between the frames of a block, and none goes on that did not begin.
                if before.is_some() || *kind == CONTINUATION {
                    out.oddities.push((Oddity::new("http2_block_broken"), first.time, first.offset));
                }
                if let Some(open) = before {
                    self.block(side, &Open { whole: false, ..open }, last, out);
                }
                let ends = *kind == HEADERS && flags & 1 != 0;
                Open { stream, block: Vec::new(), first, asks: *kind == HEADERS, whole: *kind != CONTINUATION, ends }
            }
        };
        let Some(part) = part(*kind, *flags, length, rest) else {
            out.oddities.push((Oddity::new("http2_frame_malformed"), first.time, first.offset));
            self.block(side, &Open { whole: false, ..open }, last, out);
            return true;
        };
        if open.whole {
            let room = MAX_BLOCK.saturating_sub(open.block.len());
            open.whole = rest.len() == length && part.len() <= room;
            open.block.extend_from_slice(part.get(..room).unwrap_or(part));
        }
        if flags & 4 != 0 {
            self.block(side, &open, last, out);
        } else if let Some(slot) = self.open.get_mut(index) {
            *slot = Some(open);
        }
        true
    }
    fn end(&mut self, out: &mut Out) {
        for (side, open) in [Side::Out, Side::In].into_iter().zip(std::mem::take(&mut self.open)) {
            if let Some(open) = open {
                self.block(side, &Open { whole: false, ..open }, open.first, out);
            }
        }
        self.bodies.end(out);
        for (_, (fields, at)) in std::mem::take(&mut self.streams) {
            out.events.push(fields.event(Kind::Http, at, at));
        }
    }
    fn held(&self) -> usize {
        self.bodies.held()
    }
    fn relieve(&mut self) {
        self.bodies.relieve();
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

    #[test]
    fn a_body_is_a_file_whatever_its_frames() {
        let request = frame(HEADERS, 5, b"\x82\x86\x44\x06/a.bin");
        let at = At { time: Time(1), offset: 1 };
        for (frames, hashed) in [
            (vec![frame(DATA, 0, b"ab"), frame(DATA, 1, b"c")], true),
            (vec![frame(DATA, 9, b"\x02abc\0\0")], true),
            (vec![frame(DATA, 0, b"abc"), frame(HEADERS, 5, b"\0\x01x\x01y")], true),
            (vec![frame(DATA, 0, b"abc"), frame(RST_STREAM, 0, &[0; 4])], false),
            (vec![frame(DATA, 0, b"abc")], false),
        ] {
            let (mut c, mut out) = (Framed::new(Conversation::default()), Out::default());
            c.data(Side::Out, &[PREFACE, &request].concat(), at, &mut out);
            let server = [frame(SETTINGS, 0, b""), frame(HEADERS, 4, b"\x88"), frames.concat()].concat();
            server.iter().for_each(|b| c.data(Side::In, &[*b], at, &mut out));
            c.end(&mut out);
            let files: Vec<_> = out.events.iter().filter(|e| e.kind == Kind::File).collect();
            let shown: String = files[0].fields.iter().map(|(f, v)| format!("{}={v} ", field::name(*f))).collect();
            assert!(files.len() == 1 && shown.contains("file.name=a.bin file.size=3 "), "{shown}");
            assert_eq!(shown.contains("md5=900150983cd24fb0d6963f7d28e17f72"), hashed, "{shown}");
        }
    }

    fn at(n: i64) -> At {
        At { time: Time(n), offset: 1 }
    }

    fn on(stream: u8, kind: u8, flags: u8, body: &[u8]) -> Vec<u8> {
        let [_, a, b, c] = (body.len() as u32).to_be_bytes();
        [&[a, b, c, kind, flags, 0, 0, 0, stream], body].concat()
    }

    /// Status of each answer on the streams 1, 3, 5 ... of what a server sends, oddities, and whether something passed unread.
    fn answered(frames: &[Vec<u8>]) -> (Vec<String>, Vec<&'static str>, bool) {
        let asks: Vec<u8> = (0..4).flat_map(|i| on(1 + 2 * i, HEADERS, 5, b"\x82\x86\x84")).collect();
        let (mut c, mut out) = (Framed::new(Conversation::default()), Out::default());
        c.data(Side::Out, &[PREFACE, &asks].concat(), at(1), &mut out);
        c.data(Side::In, &[on(0, SETTINGS, 0, b""), frames.concat()].concat(), at(2), &mut out);
        c.end(&mut out);
        let get = |e: &super::super::Understood, f| e.fields.iter().find(|x| x.0 == f).map(|x| x.1.to_string());
        let said = |e: &_| {
            format!("{} {}", get(e, field::HTTP_STATUS).unwrap_or_default(), get(e, field::HTTP_TYPE).unwrap_or_default())
        };
        (out.events.iter().map(said).collect(), out.oddities.iter().map(|o| o.0.what).collect(), out.partial)
    }

    /// An answer whose type goes into the table, and one that refers to it by the newest number.
    const KEEPS: &[u8] = b"\x88\x5f\x01a";
    const REFERS: &[u8] = b"\x88\xbe";

    #[test]
    fn a_promise_changes_the_table_and_is_no_answer() {
        let promise = [b"\x02\0\0\0\x08".as_slice(), b"\x82\x5f\x01b", b"\0\0"].concat();
        let keeps = on(1, HEADERS, 4, KEEPS);
        let refers = on(3, HEADERS, 5, b"\x88\xbf");
        let newest = on(5, HEADERS, 5, REFERS);
        let all = [keeps.clone(), on(1, PUSH_PROMISE, 12, &promise), refers.clone(), newest.clone()];
        assert_eq!(answered(&all), (vec!["200 a".into(), "200 a".into(), "200 b".into(), " ".into()], vec![], false));
        // One whose padding does not fit has done to the table what nobody knows.
        let all = [keeps, on(1, PUSH_PROMISE, 12, b"\xff\0\0\0\x08"), refers, newest];
        let said = vec!["200 a".into(), "200 ".into(), "200 ".into(), " ".into()];
        assert_eq!(answered(&all), (said, vec!["http2_frame_malformed"], true));
    }

    #[test]
    fn a_frame_of_the_usual_most_is_read_whole_and_a_longer_one_ends_what_is_known() {
        // Texts that are not kept fill the frame, so that the type stands across the junction of two frames.
        let fill = |n: usize| [b"\x88".to_vec(), b"\0\x01x\x01y".repeat(n / 5), vec![0x88; n % 5]].concat();
        let full = [fill(USUAL_BODY - 3), vec![0x5f, 1]].concat();
        assert_eq!(full.len(), USUAL_BODY);
        let all = [on(1, HEADERS, 0, &full), on(1, CONTINUATION, 4, b"a"), on(3, HEADERS, 5, REFERS)];
        let said = |second: &str, third: &str| ["200 ", second, third, " "].map(str::to_owned).to_vec();
        assert_eq!(answered(&all), (said("200 a", " "), vec![], false));
        // Nobody knows what the three bytes did that were passed over.
        let long = [fill(USUAL_BODY), vec![0x88; 2]].concat();
        let all = [on(3, HEADERS, 0, &long), on(3, CONTINUATION, 4, b"\x88"), on(5, HEADERS, 5, REFERS)];
        let (mut got, odd, partial) = answered(&[&[on(1, HEADERS, 5, KEEPS)], &all[..]].concat());
        assert_eq!(got.remove(0), "200 a");
        assert_eq!((got, odd, partial), (vec!["200 ".into(), "200 ".into(), " ".into()], vec![], true));
    }

    #[test]
    fn a_block_that_is_broken_off_ends_what_is_known() {
        let keeps = on(1, HEADERS, 5, KEEPS);
        let refers = on(5, HEADERS, 5, REFERS);
        let broken =
            |frames: &[Vec<u8>]| answered(&[std::slice::from_ref(&keeps), frames, std::slice::from_ref(&refers)].concat());
        let said = |all: [&str; 4]| (all.map(str::to_owned).to_vec(), vec!["http2_block_broken"], true);
        // Another begins, another goes on, and one goes on that did not begin.
        let open = on(3, HEADERS, 1, b"\x89");
        assert_eq!(broken(&[open.clone(), on(7, HEADERS, 5, b"\x8d")]), said(["200 a", "204 ", "404 ", "200 "]));
        assert_eq!(broken(&[open, on(7, CONTINUATION, 4, b"\x8d")]), said(["200 a", "204 ", "200 ", " "]));
        assert_eq!(broken(&[on(3, CONTINUATION, 4, b"\x89")]), said(["200 a", "200 ", " ", " "]));
    }

    #[test]
    fn a_block_without_end_is_bounded_and_said_at_the_end() {
        let more: Vec<Vec<u8>> = (0..9).map(|_| on(1, CONTINUATION, 0, &[0x89; 9000])).collect();
        let (said, odd, partial) = answered(&[vec![on(1, HEADERS, 0, b"\x8d")], more].concat());
        assert_eq!((said, odd, partial), (vec!["404 ".into(), " ".into(), " ".into(), " ".into()], vec![], true));
    }
}
