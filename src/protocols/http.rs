//! HTTP/1.0 and 1.1 (RFC 9112): one event per request with its response, one per file that a body carries. Pipelining, chunks, bodies
//! until close, CONNECT and upgrades. Keeps no body; hashes what passes.

use super::common::buffer::Buffer;
use super::common::file::Passing;
use super::common::http_body::{Body, Framing};
use super::common::http_exchange::{self, Carried, Exchange};
use super::common::http_head::{self, Head, Start, is_method};
use super::{At, Ends, Out, Parser, Protocol, Side, Sniff};
use crate::model::field;
use crate::model::oddity::Oddity;
use crate::model::proto::TCP;
use std::collections::VecDeque;

/// The protocol.
pub static PROTOCOL: Http = Http;

/// Longest head of a message.
const MAX_HEAD: usize = 64 * 1024;
/// Requests that wait for their response.
const MAX_PENDING: usize = 256;

/// See [`PROTOCOL`].
#[derive(Debug)]
pub struct Http;

impl Protocol for Http {
    fn name(&self) -> &'static str {
        "http"
    }
    fn doc(&self) -> &'static str {
        "Hypertext Transfer Protocol 1.0 and 1.1 (RFC 9112)."
    }
    fn over(&self) -> &'static [u8] {
        &[TCP]
    }
    fn probe(&self, _side: Side, first: &[u8], _ends: &Ends) -> Sniff {
        let line = first.split(|b| *b == b'\n').next().unwrap_or_default();
        let ended = line.len() < first.len();
        if line.starts_with(b"HTTP/1.") || b"HTTP/1.".starts_with(line) {
            return if line.len() >= 12 {
                let status = line.get(9..12).is_some_and(|s| s.iter().all(u8::is_ascii_digit));
                if status { Sniff::Yes } else { Sniff::No }
            } else if ended {
                Sniff::No
            } else {
                Sniff::More
            };
        }
        let method = line.split(|b| *b == b' ').next().unwrap_or_default();
        if !is_method(method) {
            return Sniff::No;
        }
        if memchr::memmem::find(line, b" HTTP/1.").is_some() {
            return Sniff::Yes;
        }
        if ended && http_head::is_simple(line) {
            return Sniff::Yes;
        }
        if ended { Sniff::No } else { self.unfinished(line, method) }
    }
    fn parser(&self, ends: &Ends) -> Box<dyn Parser> {
        Box::new(Conversation {
            ends: *ends,
            halves: Default::default(),
            exchanges: VecDeque::new(),
            next: 0,
            seen: [false; 2],
            over: false,
        })
    }
}

impl Http {
    /// A request line that goes on beyond what is seen.
    fn unfinished(&self, line: &[u8], method: &[u8]) -> Sniff {
        let target = line.get(method.len().saturating_add(1)..).and_then(<[u8]>::first);
        let known: [&[u8]; 9] = [b"GET", b"POST", b"HEAD", b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"CONNECT", b"PROPFIND"];
        match target {
            Some(b'/' | b'h' | b'*') if known.contains(&method) && line.len() >= 512 => Sniff::Yes,
            _ if line.len() >= 512 => Sniff::No,
            _ => Sniff::More,
        }
    }
}

#[derive(Default)]
enum Stage {
    #[default]
    Head,
    Body(Box<Carried>),
    /// Nothing is known of where one stands: wait for a segment that begins like a message.
    Lost,
}

#[derive(Default)]
struct Half {
    head: Buffer,
    stage: Stage,
}

struct Conversation {
    ends: Ends,
    halves: [Half; 2],
    exchanges: VecDeque<Exchange>,
    next: u64,
    /// A request, a response was understood.
    seen: [bool; 2],
    over: bool,
}

fn odd(out: &mut Out, what: &'static str, at: At) {
    out.oddities.push((Oddity::new(what), at.time, at.offset));
}

impl Conversation {
    fn feed(&mut self, half: &mut Half, mut bytes: &[u8], at: At, out: &mut Out) {
        while !bytes.is_empty() && !self.over {
            match &mut half.stage {
                Stage::Lost => {
                    if PROTOCOL.probe(Side::Out, bytes, &self.ends) != Sniff::Yes {
                        return;
                    }
                    // Of the requests that wait, only the newest is sure to be the one that is answered now.
                    if bytes.starts_with(b"HTTP/") {
                        let waiting = self.exchanges.len().saturating_sub(1);
                        for exchange in self.exchanges.iter_mut().take(waiting) {
                            (exchange.requested, exchange.answered) = (true, true);
                        }
                        self.emit(out);
                    }
                    half.stage = Stage::Head;
                }
                Stage::Body(carried) => {
                    let used = carried.body.push(bytes);
                    bytes = bytes.get(used..).unwrap_or_default();
                    let (number, over, broken) = (carried.number, carried.body.over, carried.body.broken);
                    if let Some(e) = self.exchanges.iter_mut().find(|e| e.number == number) {
                        e.last = at;
                    }
                    if over || broken {
                        if broken || carried.body.odd {
                            odd(out, "http_chunk_malformed", at);
                        }
                        let next = if broken { Stage::Lost } else { Stage::Head };
                        if let Stage::Body(carried) = std::mem::replace(&mut half.stage, next) {
                            self.carried(*carried, over, at, out);
                        }
                    }
                }
                Stage::Head => {
                    if half.head.is_empty() {
                        let blank = bytes.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
                        bytes = bytes.get(blank..).unwrap_or_default();
                    }
                    let end = http_head::end_after(half.head.unread(), bytes);
                    let (now, rest) = bytes.split_at(end.unwrap_or(bytes.len()).min(bytes.len()));
                    bytes = rest;
                    if !half.head.push(now, at, MAX_HEAD) {
                        odd(out, "http_header_too_long", at);
                        half.head.clear();
                        half.stage = Stage::Lost;
                        return;
                    }
                    if end.is_none() {
                        return;
                    }
                    let first = half.head.first(at);
                    let head = Head::parse(half.head.unread());
                    half.head.clear();
                    half.stage = match head {
                        Some(head) => self.head(&head, first, at, out),
                        None => {
                            odd(out, "http_start_line_malformed", first);
                            out.violated |= self.seen == [false, false];
                            Stage::Lost
                        }
                    };
                    self.emit(out);
                }
            }
        }
    }

    fn head(&mut self, head: &Head, first: At, last: At, out: &mut Out) -> Stage {
        if let Some(what) = head.odd {
            odd(out, what, first);
        }
        let (number, framing) = match &head.start {
            Start::Request(method, target) => {
                self.seen[0] = true;
                (self.request(method, target, head, first, last, out), framing(head, true, first, out))
            }
            Start::Response(status) => {
                self.seen[1] = true;
                match self.response(*status, head, first, last, out) {
                    Some((number, true)) => (number, framing(head, false, first, out)),
                    Some((number, false)) => (number, None),
                    None => return Stage::Head,
                }
            }
        };
        out.confirmed |= self.seen == [true, true];
        let request = matches!(head.start, Start::Request(..));
        match framing {
            Some(framing) => {
                let coded = Passing::coded(&out.keeping, &head.list("content-encoding"));
                let mut note = Vec::new();
                if coded.is_none() {
                    note.extend(head.get("content-encoding").map(|e| ("encoding", e.to_owned())));
                }
                note.extend(head.get("content-range").map(|r| ("range", r.to_owned())));
                let carried = Carried {
                    number,
                    request,
                    body: framed(framing, coded.unwrap_or_else(|| Passing::plain(&out.keeping))),
                    first,
                    kind: head.get("content-type").unwrap_or_default().to_owned(),
                    disposition: head.get("content-disposition").unwrap_or_default().to_owned(),
                    note,
                };
                if carried.body.over {
                    self.carried(carried, true, last, out);
                    return Stage::Head;
                }
                Stage::Body(Box::new(carried))
            }
            None => {
                self.finished(number, request, None);
                Stage::Head
            }
        }
    }

    fn request(&mut self, method: &str, target: &str, head: &Head, first: At, last: At, out: &mut Out) -> u64 {
        if self.exchanges.len() >= MAX_PENDING {
            odd(out, "http_many_outstanding", first);
            if let Some(oldest) = self.exchanges.front_mut() {
                (oldest.requested, oldest.answered) = (true, true);
            }
            self.emit(out);
        }
        let number = self.number();
        let exchange = Exchange::asked(number, (method, target), head, &self.ends, (first, last), out);
        self.exchanges.push_back(exchange);
        number
    }

    fn number(&mut self) -> u64 {
        self.next = self.next.saturating_add(1);
        self.next
    }

    /// Joins a response to the oldest request without one. Gives the exchange and whether there may be a body; `None` for one that only
    /// precedes the real response.
    fn response(&mut self, status: u16, head: &Head, first: At, last: At, out: &mut Out) -> Option<(u64, bool)> {
        if (100..200).contains(&status) && status != 101 {
            return None;
        }
        if !self.exchanges.iter().any(|e| !e.begun) {
            let mut exchange = Exchange::new(self.number(), first, last);
            exchange.requested = true;
            self.exchanges.push_back(exchange);
        }
        let exchange = self.exchanges.iter_mut().find(|e| !e.begun)?;
        exchange.begun = true;
        exchange.last = last;
        exchange.fields.add(field::HTTP_STATUS, u64::from(status));
        let kind = head.get("content-type").unwrap_or(&exchange.kind);
        exchange.fields.text(field::HTTP_TYPE, kind.split(';').next().unwrap_or_default().trim());
        let tunnel = status == 101 || (exchange.method == "CONNECT" && (200..300).contains(&status));
        if tunnel {
            exchange.requested = true;
            let to = head.get("upgrade").unwrap_or_default();
            out.follows = match (status, to.to_ascii_lowercase().as_str()) {
                (101, "websocket") => Some("websocket"),
                (101, "h2c") => Some("http2"),
                _ => None,
            };
            out.restart = true;
            out.done = true;
            self.over = true;
        }
        let bare = tunnel || exchange.method == "HEAD" || matches!(status, 204 | 304);
        Some((exchange.number, !bare))
    }

    /// A side of an exchange is over.
    fn finished(&mut self, number: u64, request: bool, length: Option<u64>) {
        if let Some(e) = self.exchanges.iter_mut().find(|e| e.number == number) {
            if request {
                (e.requested, e.request_length) = (true, length);
            } else {
                (e.answered, e.response_length) = (true, length);
            }
        }
    }

    /// A body is over: its file is given back. `whole`: its end was seen.
    fn carried(&mut self, carried: Carried, whole: bool, last: At, out: &mut Out) {
        let (length, number, request) = (carried.body.length, carried.number, carried.request);
        if let (true, Some(e)) = (length > 0, self.exchanges.iter().find(|e| e.number == carried.number)) {
            let event = http_exchange::file(e, carried, whole, last, out);
            out.events.push(event);
        }
        self.finished(number, request, Some(length));
        self.emit(out);
    }

    /// Gives back the exchanges at the front that are over.
    fn emit(&mut self, out: &mut Out) {
        while self.exchanges.front().is_some_and(|e| e.requested && e.answered) {
            let Some(e) = self.exchanges.pop_front() else { return };
            out.events.push(e.event());
        }
    }
}

/// How the body of a message ends, and whether it comes in chunks until then, if it does. `None`: it has none.
fn framing(head: &Head, request: bool, at: At, out: &mut Out) -> Option<(Framing, bool)> {
    let mut lengths = head.fields.iter().filter(|(n, _)| n == "content-length").map(|(_, v)| v.parse::<u64>().ok());
    let length = lengths.next();
    if lengths.any(|other| Some(other) != length) || length == Some(None) {
        odd(out, "http_length_malformed", at);
    }
    let chunked = head.has("transfer-encoding", "chunked");
    if chunked && length.is_some() {
        odd(out, "http_length_conflict", at);
    }
    match length.flatten() {
        Some(length) => Some((Framing::Length(length), chunked)),
        None if request && !chunked => None,
        None => Some((Framing::Close, chunked)),
    }
}

fn framed((framing, chunked): (Framing, bool), file: Passing) -> Body {
    if chunked { Body::chunked(framing, file) } else { Body::new(framing, file) }
}

impl Parser for Conversation {
    fn data(&mut self, side: Side, bytes: &[u8], at: At, out: &mut Out) {
        let index = usize::from(side == Side::In);
        let Some(mut half) = self.halves.get_mut(index).map(std::mem::take) else { return };
        self.feed(&mut half, bytes, at, out);
        if let Some(slot) = self.halves.get_mut(index) {
            *slot = half;
        }
    }
    fn gap(&mut self, side: Side, missing: u64, at: At, out: &mut Out) {
        let Some(half) = self.halves.get_mut(usize::from(side == Side::In)) else { return };
        half.head.clear();
        match std::mem::replace(&mut half.stage, Stage::Lost) {
            Stage::Body(mut carried) => {
                let known = carried.body.miss(missing);
                if known && !carried.body.over {
                    half.stage = Stage::Body(carried);
                } else {
                    if known {
                        half.stage = Stage::Head;
                    }
                    self.carried(*carried, false, at, out);
                }
            }
            Stage::Head | Stage::Lost => {}
        }
    }
    fn end(&mut self, out: &mut Out) {
        for index in 0..2 {
            let Some(half) = self.halves.get_mut(index).map(std::mem::take) else { continue };
            let head = half.head.unread();
            let begun = At { time: crate::model::time::Time(0), offset: 0 };
            // A head without its blank line still says what was asked.
            if let (Stage::Head, Some(head)) = (&half.stage, Head::parse(head).filter(|_| !head.is_empty())) {
                let first = half.head.first(begun);
                odd(out, "http_header_cut", first);
                let head = Head { odd: None, ..head };
                let _ = self.head(&head, first, first, out);
            }
            let stage = Some(half.stage);
            if let Some(Stage::Body(mut carried)) = stage {
                let last = self.exchanges.iter().find(|e| e.number == carried.number).map_or(carried.first, |e| e.last);
                let whole = carried.body.close();
                if carried.body.odd {
                    odd(out, "http_chunk_malformed", last);
                }
                if !whole {
                    odd(out, "http_body_cut", last);
                }
                self.carried(*carried, whole, last, out);
            }
        }
        for e in &mut self.exchanges {
            (e.requested, e.answered) = (true, true);
        }
        self.emit(out);
    }
    fn held(&self) -> usize {
        let body = |h: &Half| if let Stage::Body(carried) = &h.stage { carried.body.file.held() } else { 0 };
        self.halves.iter().map(body).sum()
    }
    fn relieve(&mut self) {
        for half in &mut self.halves {
            if let Stage::Body(carried) = &mut half.stage {
                carried.body.file.relieve();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::record::Kind;
    use crate::model::time::Time;

    /// What is understood of parts sent one after the other, however they are cut.
    fn talk(parts: &[(Side, &[u8])], size: usize) -> (Vec<String>, Out) {
        let ip = std::net::IpAddr::from([10, 0, 0, 1]);
        let ends = Ends { src: ip, src_port: 1, dst: ip, dst_port: 80, proto: TCP };
        let (mut parser, mut out) = (PROTOCOL.parser(&ends), Out::default());
        for (side, bytes) in parts {
            bytes.chunks(size).for_each(|b| parser.data(*side, b, At { time: Time(1), offset: 1 }, &mut out));
        }
        parser.end(&mut out);
        let wanted = [
            field::HTTP_METHOD,
            field::URL,
            field::HTTP_STATUS,
            field::HTTP_RESPONSE_BYTES,
            field::USER,
            field::MD5,
            field::FILE_NAME,
        ];
        let show = |e: &super::super::Understood| {
            let fields = e.fields.iter().filter(|(f, _)| wanted.contains(f)).map(|(_, v)| format!(" {v}"));
            format!("{}{}", e.kind, fields.collect::<String>())
        };
        (out.events.iter().map(show).collect(), out)
    }
    use Side::{In, Out as Cl};

    #[test]
    fn pipelined_requests_meet_their_responses_whatever_the_segments() {
        let requests =
            b"GET /a HTTP/1.1\r\nHost: h\r\n\r\nHEAD /b HTTP/1.1\r\nHost: h:80\r\nAuthorization: Basic Ym9iOnB3\r\n\r\n";
        let responses: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\nHTTP/1.1 404 No\r\nContent-Length: 9\r\n\r\n";
        for size in 1..responses.len() {
            let (events, out) = talk(&[(Cl, requests), (In, responses)], size);
            assert_eq!(events.len(), 3, "{size}: {events:?}");
            assert!(events[0].starts_with("file http://h/a a 900150983cd24fb0d6963f7d28e17f72"), "{events:?}");
            assert_eq!(events[1..], ["http http://h/a GET 200 3", "http http://h/b HEAD 404 bob"], "{size}");
            assert!(out.oddities.is_empty() && out.confirmed);
        }
    }

    #[test]
    fn connect_hands_the_stream_over() {
        let (events, out) = talk(&[(Cl, b"CONNECT h:443 HTTP/1.1\r\n\r\n"), (In, b"HTTP/1.1 200 ok\r\n\r\n")], 999);
        assert!(out.restart && out.done);
        assert_eq!(events, ["http CONNECT 200"]);
    }

    #[test]
    fn a_body_until_close_is_whole_and_one_that_is_cut_has_no_hash() {
        let get: (Side, &[u8]) = (Cl, b"GET /x.exe HTTP/1.0\r\nHost: h\r\n\r\n");
        let (events, _) = talk(&[get, (In, b"HTTP/1.0 200 ok\r\n\r\nabc")], 7);
        assert!(events[0].contains("900150983cd24fb0d6963f7d28e17f72") && events[0].contains("x.exe"), "{events:?}");
        let (events, out) = talk(&[get, (In, b"HTTP/1.0 200 ok\r\nContent-Length: 4\r\n\r\nabc")], 7);
        assert!(!events[0].contains("900150983cd24fb0d6963f7d28e17f72"));
        assert_eq!(out.oddities[0].0.what, "http_body_cut");
    }

    #[test]
    fn a_hole_in_a_body_does_not_lose_the_next_message() {
        let ip = std::net::IpAddr::from([10, 0, 0, 1]);
        let ends = Ends { src: ip, src_port: 1, dst: ip, dst_port: 80, proto: TCP };
        let at = At { time: Time(1), offset: 1 };
        let (mut parser, mut out) = (PROTOCOL.parser(&ends), Out::default());
        parser.data(Cl, b"GET /a HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\n\r\n", at, &mut out);
        parser.data(In, b"HTTP/1.1 200 ok\r\nContent-Length: 9\r\n\r\nab", at, &mut out);
        parser.gap(In, 5, at, &mut out);
        parser.data(In, b"cdHTTP/1.1 204 ok\r\n\r\n", at, &mut out);
        parser.end(&mut out);
        let kinds: Vec<Kind> = out.events.iter().map(|e| e.kind).collect();
        assert_eq!(kinds, [Kind::File, Kind::Http, Kind::Http]);
    }

    #[test]
    fn a_head_beyond_the_bound_is_odd() {
        let long = vec![b'a'; MAX_HEAD + 10];
        let (_, out) = talk(&[(Cl, b"GET / HTTP/1.1\r\nX: "), (Cl, &long)], 1400);
        assert_eq!(out.oddities[0].0.what, "http_header_too_long");
    }
}
