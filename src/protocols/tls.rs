//! TLS 1.0-1.3 and SSL 3.0 over a stream (RFC 8446, RFC 5246): records, handshake messages joined over records, one event per
//! handshake. Reads nothing that is encrypted: of TLS 1.3 there are the two hellos, up to TLS 1.2 also the server's certificate.

use super::common::buffer::Buffer;
use super::common::bytes::{Bytes, text};
use super::common::certificate;
use super::common::fields::Fields;
use super::common::fingerprint::{self, Carrier};
use super::common::hello::{ClientHello, ServerHello, cipher_name, version_name};
use super::{At, Ends, Out, Parser, Protocol, Side, Sniff};
use crate::model::field;
use crate::model::oddity::Oddity;
use crate::model::proto::TCP;
use crate::model::record::Kind;

/// The protocol.
pub static PROTOCOL: Tls = Tls;

/// Longest record: 2^14 bytes and what encryption may add (RFC 5246, 6.2.3), with its header.
const MAX_RECORD: usize = 5 + 16_384 + 2_048;
/// Unread bytes of one side.
const MAX_BUFFER: usize = 128 * 1024;
/// Longest handshake message.
const MAX_HANDSHAKE: usize = 64 * 1024;

const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION: u8 = 23;

/// See [`PROTOCOL`].
#[derive(Debug)]
pub struct Tls;

impl Protocol for Tls {
    fn name(&self) -> &'static str {
        "tls"
    }
    fn doc(&self) -> &'static str {
        "Transport Layer Security and SSL 3.0 (RFC 8446, RFC 5246, RFC 6101)."
    }
    fn over(&self) -> &'static [u8] {
        &[TCP]
    }
    fn probe(&self, side: Side, first: &[u8], _ends: &Ends) -> Sniff {
        let expected: [(u8, u8); 6] = match side {
            Side::Out => [(HANDSHAKE, 22), (3, 3), (0, 4), (0, 255), (0, 255), (1, 1)],
            Side::In => [(ALERT, HANDSHAKE), (3, 3), (0, 4), (0, 255), (0, 255), (1, 2)],
        };
        for ((low, high), byte) in expected.iter().zip(first) {
            if byte < low || byte > high {
                return Sniff::No;
            }
        }
        let mut b = Bytes::new(first);
        let (Some(kind), Some(_), Some(length)) = (b.u8(), b.u16(), b.u16()) else { return Sniff::More };
        let length = usize::from(length);
        if length == 0 || length > MAX_RECORD || (kind == ALERT && length != 2) {
            return Sniff::No;
        }
        if b.left() == 0 { Sniff::More } else { Sniff::Yes }
    }
    fn parser(&self, _ends: &Ends) -> Box<dyn Parser> {
        Box::<Conversation>::default()
    }
}

/// One side of the conversation.
#[derive(Default)]
struct Half {
    records: Buffer,
    /// The handshake message that is being joined.
    message: Vec<u8>,
    /// From here on the handshake is encrypted.
    sealed: bool,
    /// Something in clear was understood.
    seen: bool,
    applied: bool,
}

#[derive(Default)]
struct Conversation {
    out_half: Half,
    in_half: Half,
    client: Option<ClientHello>,
    server: Option<ServerHello>,
    certificate: Option<Fields>,
    alert: Option<&'static str>,
    first: Option<At>,
    last: Option<At>,
    over: bool,
}

/// Adds what a ClientHello says.
pub(super) fn client_fields(hello: &ClientHello, carrier: Carrier, fields: &mut Fields) {
    if let Some(name) = &hello.sni {
        fields.text(field::NAME, name);
        fields.text(field::SNI, name);
    }
    fields.text(field::JA3, &fingerprint::ja3(hello));
    fields.text(field::JA4, &fingerprint::ja4(hello, carrier));
}

/// The fields of the flow that follow from a ClientHello.
pub(super) fn flow_fields(hello: &ClientHello, carrier: Carrier, out: &mut Out) {
    let mut fields = Fields::default();
    client_fields(hello, carrier, &mut fields);
    out.flow.extend(fields.sorted().into_iter().filter(|(f, _)| *f != field::JA3));
}

impl Conversation {
    fn odd(out: &mut Out, oddity: Oddity, at: At) {
        out.oddities.push((oddity, at.time, at.offset));
    }

    /// Cuts records off a side's buffer.
    fn records(&mut self, side: Side, half: &mut Half, at: At, out: &mut Out) {
        loop {
            let mut b = Bytes::new(half.records.unread());
            let (Some(kind), Some(version), Some(length)) = (b.u8(), b.u16(), b.u16()) else { return };
            let length = usize::from(length);
            if !(CHANGE_CIPHER_SPEC..=24).contains(&kind) || version >> 8 != 3 || length.saturating_add(5) > MAX_RECORD {
                Self::odd(
                    out,
                    Oddity::at("tls_record_malformed", format!("type {kind} version 0x{version:04x} length {length}")),
                    at,
                );
                out.violated |= !half.seen;
                return self.close(out);
            }
            let Some(body) = b.take(length) else {
                // Application data is not waited for: its header says enough.
                if kind == APPLICATION {
                    half.applied = true;
                    self.progress(side, out);
                }
                return;
            };
            let first = half.records.first(at);
            self.first.get_or_insert(first);
            self.last = Some(at);
            half.seen = true;
            match kind {
                HANDSHAKE if !half.sealed => {
                    let body = body.to_vec();
                    self.handshake(side, half, &body, first, out);
                }
                CHANGE_CIPHER_SPEC => half.sealed = true,
                ALERT if !half.sealed => self.alert = body.get(1).map(|code| alert_name(*code)).filter(|_| length == 2),
                APPLICATION => half.applied = true,
                _ => {}
            }
            half.records.skip(length.saturating_add(5));
            if half.applied {
                self.progress(side, out);
            }
            if self.over {
                return;
            }
        }
    }

    fn handshake(&mut self, side: Side, half: &mut Half, body: &[u8], at: At, out: &mut Out) {
        half.message.extend_from_slice(body);
        loop {
            let mut b = Bytes::new(&half.message);
            let (Some(kind), Some(length)) = (b.u8(), b.u24()) else { return };
            let length = length as usize;
            if length > MAX_HANDSHAKE {
                Self::odd(out, Oddity::at("tls_handshake_too_long", length.to_string()), at);
                half.message.clear();
                half.sealed = true;
                return;
            }
            let Some(message) = b.take(length) else { return };
            self.message(side, kind, message, at, out);
            half.message.drain(..length.saturating_add(4).min(half.message.len()));
        }
    }

    fn message(&mut self, side: Side, kind: u8, body: &[u8], at: At, out: &mut Out) {
        match kind {
            1 => match ClientHello::parse(body) {
                Some(hello) => {
                    if hello.broken {
                        Self::odd(out, Oddity::new("tls_client_hello_malformed"), at);
                    }
                    if self.client.is_none() {
                        flow_fields(&hello, Carrier::Tcp, out);
                        self.client = Some(hello);
                    }
                }
                None => Self::odd(out, Oddity::new("tls_client_hello_malformed"), at),
            },
            2 => match ServerHello::parse(body) {
                Some(hello) => {
                    if hello.broken {
                        Self::odd(out, Oddity::new("tls_server_hello_malformed"), at);
                    }
                    if !hello.retry {
                        self.server.get_or_insert(hello);
                    }
                    out.confirmed |= self.client.is_some();
                }
                None => Self::odd(out, Oddity::new("tls_server_hello_malformed"), at),
            },
            11 if side == Side::In && self.certificate.is_none() => {
                let mut b = Bytes::new(body);
                let list = b.u24().and_then(|n| b.sub(n as usize));
                let leaf = list.and_then(|mut l| l.u24().and_then(|n| l.take(n as usize)));
                match leaf {
                    Some(der) => {
                        let mut fields = Fields::default();
                        if !certificate::describe(der, &mut fields) {
                            Self::odd(out, Oddity::new("x509_malformed"), at);
                        }
                        self.certificate = Some(fields);
                    }
                    None => Self::odd(out, Oddity::at("tls_handshake_malformed", "certificate"), at),
                }
            }
            _ => {}
        }
    }

    /// Application data of a side: with that of the other the handshake is over.
    fn progress(&mut self, side: Side, out: &mut Out) {
        let other = if side == Side::Out { &self.in_half } else { &self.out_half };
        if other.applied || (other.sealed && self.server.is_some()) {
            self.close(out);
        }
    }

    /// Gives back the event.
    fn close(&mut self, out: &mut Out) {
        out.done = true;
        if std::mem::replace(&mut self.over, true) || (self.client.is_none() && self.server.is_none()) {
            return;
        }
        let mut fields = self.certificate.take().unwrap_or_default();
        if let Some(hello) = &self.client {
            client_fields(hello, Carrier::Tcp, &mut fields);
        }
        let version = self.server.as_ref().map(ServerHello::negotiated).or(self.client.as_ref().map(ClientHello::highest));
        fields.maybe(field::TLS_VERSION, version.map(version_name));
        if let Some(hello) = &self.server {
            fields.text(field::TLS_CIPHER, &cipher_name(hello.cipher));
            fields.text(field::JA3S, &fingerprint::ja3s(hello));
        }
        let offered = self.client.as_ref().and_then(|c| c.alpn.first());
        let chosen = self.server.as_ref().and_then(|s| s.alpn.as_ref());
        let answered = self.server.is_some();
        if let Some(alpn) = chosen.or(offered.filter(|_| !answered || self.server.as_ref().is_some_and(|s| s.selected.is_some())))
        {
            fields.text(field::ALPN, &text(alpn, 255));
        }
        fields.text(field::REASON, self.alert.unwrap_or_default());
        if let (Some(first), Some(last)) = (self.first, self.last) {
            out.events.push(fields.event(Kind::Tls, first, last));
        }
    }
}

impl Parser for Conversation {
    fn data(&mut self, side: Side, bytes: &[u8], at: At, out: &mut Out) {
        if self.over {
            out.done = true;
            return;
        }
        let mut half = std::mem::take(if side == Side::Out { &mut self.out_half } else { &mut self.in_half });
        // A chunk may be longer than the buffer: records are cut off piece by piece.
        for piece in bytes.chunks(MAX_RECORD) {
            if half.records.push(piece, at, MAX_BUFFER) {
                self.records(side, &mut half, at, out);
            } else {
                Self::odd(out, Oddity::new("tls_record_too_long"), at);
                self.close(out);
            }
            if self.over {
                break;
            }
        }
        *(if side == Side::Out { &mut self.out_half } else { &mut self.in_half }) = half;
    }
    fn gap(&mut self, _side: Side, _missing: u64, at: At, out: &mut Out) {
        if !self.over && (self.client.is_some() || self.server.is_some()) && !(self.out_half.sealed && self.in_half.sealed) {
            Self::odd(out, Oddity::new("tls_handshake_gap"), at);
        }
        self.close(out);
    }
    fn end(&mut self, out: &mut Out) {
        self.close(out);
    }
}

/// The name of an alert (RFC 8446, 6.2).
fn alert_name(code: u8) -> &'static str {
    match code {
        0 => "close_notify",
        10 => "unexpected_message",
        20 => "bad_record_mac",
        22 => "record_overflow",
        40 => "handshake_failure",
        42 => "bad_certificate",
        43 => "unsupported_certificate",
        44 => "certificate_revoked",
        45 => "certificate_expired",
        46 => "certificate_unknown",
        47 => "illegal_parameter",
        48 => "unknown_ca",
        49 => "access_denied",
        50 => "decode_error",
        51 => "decrypt_error",
        70 => "protocol_version",
        71 => "insufficient_security",
        80 => "internal_error",
        86 => "inappropriate_fallback",
        90 => "user_canceled",
        109 => "missing_extension",
        110 => "unsupported_extension",
        112 => "unrecognized_name",
        116 => "certificate_required",
        120 => "no_application_protocol",
        _ => "alert",
    }
}

#[cfg(test)]
mod tests {
    use super::super::common::hello::tests::{client_hello, sni};
    use super::*;
    use crate::model::time::Time;

    fn at(n: i64) -> At {
        At { time: Time(n), offset: n as u64 }
    }
    fn record(kind: u8, body: &[u8]) -> Vec<u8> {
        let mut out = vec![kind, 3, 1];
        out.extend((body.len() as u16).to_be_bytes());
        out.extend(body);
        out
    }
    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let mut out = vec![kind];
        out.extend(&(body.len() as u32).to_be_bytes()[1..]);
        out.extend(body);
        out
    }
    fn server_hello() -> Vec<u8> {
        let mut out = vec![3, 3];
        out.extend([1; 32]);
        out.extend([0, 0x13, 0x01, 0, 0, 6, 0, 43, 0, 2, 3, 4]);
        out
    }
    fn shown(out: &Out) -> String {
        out.events[0].fields.iter().map(|(f, v)| format!("{}={v} ", field::name(*f))).collect()
    }

    #[test]
    fn a_handshake_split_over_records_and_bytes_is_joined() {
        let hello = message(1, &client_hello(&[0x1301], &[(0, sni("a.example")), (43, vec![2, 3, 4])]));
        let (left, right) = hello.split_at(20);
        let mut stream = record(HANDSHAKE, left);
        stream.extend(record(HANDSHAKE, right));
        let mut c = Conversation::default();
        let mut out = Out::default();
        for (i, b) in stream.iter().enumerate() {
            c.data(Side::Out, &[*b], at(i as i64), &mut out);
        }
        assert_eq!(out.flow.iter().filter(|(f, _)| *f == field::SNI).count(), 1);
        c.data(Side::In, &record(HANDSHAKE, &message(2, &server_hello())), at(900), &mut out);
        assert!(out.confirmed && out.events.is_empty());
        c.data(Side::In, &record(APPLICATION, b"xx"), at(901), &mut out);
        c.data(Side::Out, &record(APPLICATION, b"yy"), at(902), &mut out);
        assert!(out.done);
        assert_eq!((out.events.len(), out.events[0].offset), (1, 0));
        let shown = shown(&out);
        assert!(shown.contains("sni=a.example tls.version=TLS 1.3 tls.cipher=TLS_AES_128_GCM_SHA256"), "{shown}");
    }

    #[test]
    fn a_client_without_an_answer_is_still_an_event() {
        let mut c = Conversation::default();
        let mut out = Out::default();
        c.data(Side::Out, &record(HANDSHAKE, &message(1, &client_hello(&[47], &[]))), at(1), &mut out);
        c.data(Side::In, &record(ALERT, &[2, 40]), at(2), &mut out);
        c.end(&mut out);
        assert!(shown(&out).contains("tls.version=TLS 1.2"));
        assert!(shown(&out).contains("reason=handshake_failure"));
        assert!(!out.confirmed);
    }

    #[test]
    fn a_handshake_message_beyond_the_bound_is_odd_and_skipped() {
        let mut c = Conversation::default();
        let mut out = Out::default();
        c.data(Side::Out, &record(HANDSHAKE, &[1, 255, 255, 255, 0]), at(1), &mut out);
        assert_eq!(out.oddities[0].0.what, "tls_handshake_too_long");
    }

    #[test]
    fn other_bytes_are_not_taken_for_tls() {
        let ip = std::net::IpAddr::from([10, 0, 0, 1]);
        let ends = Ends { src: ip, src_port: 1, dst: ip, dst_port: 443, proto: TCP };
        assert_eq!(PROTOCOL.probe(Side::Out, b"GET / HTTP/1.1", &ends), Sniff::No);
        assert_eq!(PROTOCOL.probe(Side::Out, &[22, 3], &ends), Sniff::More);
        assert_eq!(PROTOCOL.probe(Side::Out, &[22, 3, 1, 0, 50, 1, 0], &ends), Sniff::Yes);
        assert_eq!(PROTOCOL.probe(Side::In, &[21, 3, 1, 0, 2, 2, 40], &ends), Sniff::Yes);
    }
}
