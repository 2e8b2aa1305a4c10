//! QUIC versions 1 and 2 (RFC 9000, RFC 9001, RFC 9369) over UDP: the client's Initial packets are opened with the keys that everyone can
//! derive, their CRYPTO frames joined over datagrams, and the ClientHello read as TLS. Nothing else of QUIC is in clear.

use super::common::bytes::{Bytes, text};
use super::common::fields::Fields;
use super::common::fingerprint::Carrier;
use super::common::hello::{ClientHello, version_name};
use super::tls::{client_fields, flow_fields};
use super::{At, Ends, Out, Parser, Protocol, Side, Sniff};
use crate::model::field;
use crate::model::oddity::Oddity;
use crate::model::proto::UDP;
use crate::model::record::Kind;
use std::collections::BTreeMap;

/// The protocol.
pub static PROTOCOL: Quic = Quic;

/// Bytes of CRYPTO frames kept while the ClientHello is joined.
const MAX_CRYPTO: usize = 64 * 1024;
/// Frames kept while the ClientHello is joined; browsers cut it into some twenty pieces.
const MAX_FRAMES: usize = 512;
/// Initial packets tried before the hello is given up.
const MAX_PACKETS: usize = 64;

/// See [`PROTOCOL`].
#[derive(Debug)]
pub struct Quic;

impl Protocol for Quic {
    fn name(&self) -> &'static str {
        "quic"
    }
    fn doc(&self) -> &'static str {
        "QUIC versions 1 and 2 (RFC 9000, RFC 9369): ClientHello of the Initial packets."
    }
    fn over(&self) -> &'static [u8] {
        &[UDP]
    }
    fn probe(&self, side: Side, first: &[u8], _ends: &Ends) -> Sniff {
        if google(first) {
            return Sniff::Yes;
        }
        let mut b = Bytes::new(first);
        let (Some(head), Some(version)) = (b.u8(), b.u32()) else { return Sniff::No };
        let ids = b.list8().is_some_and(|id| id.len() <= 20) && b.list8().is_some_and(|id| id.len() <= 20);
        let known = matches!(version, 1 | 0x6b33_43cf | 0xff00_0000..=0xff00_00ff);
        let negotiation = side == Side::In && version == 0 && b.left() >= 4 && b.left().is_multiple_of(4);
        let fixed = head & 0xc0 == 0xc0 || (negotiation && head & 0x80 != 0);
        // A client pads its first datagram to 1200 bytes; the prober may see only its beginning.
        if fixed && ids && (known && b.left() >= 20 || negotiation) { Sniff::Yes } else { Sniff::No }
    }
    fn parser(&self, _ends: &Ends) -> Box<dyn Parser> {
        Box::<Conversation>::default()
    }
}

/// Whether a datagram is of Google's own versions before the RFC (`Q0` and two digits), which are named and not read.
fn google(datagram: &[u8]) -> bool {
    let version = |at: usize| matches!(datagram.get(at..at.saturating_add(4)), Some([b'Q', b'0', b'0'..=b'9', b'0'..=b'9']));
    match datagram.first() {
        Some(head) if head & 0xc0 == 0xc0 => version(1),
        // A version and a connection id of eight bytes are there.
        Some(head) => head & 0xc9 == 0x09 && version(9),
        None => false,
    }
}

#[derive(Default)]
struct Conversation {
    /// The connection id that the keys follow from: the client's first choice, or what a Retry gave it.
    key_id: Option<Vec<u8>>,
    frames: BTreeMap<u64, Vec<u8>>,
    kept: usize,
    packets: usize,
    sealed: usize,
    first: Option<At>,
    last: Option<At>,
    over: bool,
    heard: bool,
}

impl Conversation {
    /// Opens the Initial packets that a datagram begins with.
    fn datagram(&mut self, mut bytes: &[u8], at: At, out: &mut Out) {
        while let Ok(header) = quic_parser::parse_initial(bytes) {
            let length = header.header_bytes.len().saturating_add(header.payload.len());
            if length == 0 || self.packets >= MAX_PACKETS {
                break;
            }
            self.packets = self.packets.saturating_add(1);
            self.first.get_or_insert(at);
            self.last = Some(at);
            let mut opened = None;
            if let Some(id) = &self.key_id {
                let mut known = header.clone();
                known.dcid = id;
                opened = quic_parser::decrypt_initial(&known).ok();
            }
            if opened.is_none() && self.key_id.as_deref() != Some(header.dcid) {
                opened = quic_parser::decrypt_initial(&header).ok();
                if opened.is_some() {
                    self.key_id = Some(header.dcid.to_vec());
                    self.frames.clear();
                    self.kept = 0;
                }
            }
            match opened {
                Some(clear) => {
                    if self.crypto(&clear).is_none() {
                        out.oddities.push((Oddity::new("quic_frame_malformed"), at.time, at.offset));
                    }
                }
                None => self.sealed = self.sealed.saturating_add(1),
            }
            bytes = bytes.get(length..).unwrap_or_default();
        }
        if self.kept > MAX_CRYPTO || self.frames.len() > MAX_FRAMES {
            out.oddities.push((Oddity::new("quic_crypto_too_long"), at.time, at.offset));
            self.give(out);
        } else if let Some(stream) = self.joined() {
            self.hello(&stream, out);
        }
    }

    /// Keeps the CRYPTO frames of an opened packet. `None`: it ended early, or a frame does not belong into an Initial packet.
    fn crypto(&mut self, clear: &[u8]) -> Option<()> {
        let mut b = Bytes::new(clear);
        while b.left() > 0 {
            match number(&mut b)? {
                0 | 1 => {}
                kind @ (2 | 3) => {
                    let (_, _, ranges, _) = (number(&mut b)?, number(&mut b)?, number(&mut b)?, number(&mut b)?);
                    let more = if kind == 3 { 3 } else { 0 };
                    for _ in 0..ranges.checked_mul(2)?.checked_add(more)? {
                        number(&mut b)?;
                    }
                }
                6 => {
                    let (offset, length) = (number(&mut b)?, number(&mut b)?);
                    let data = b.take(usize::try_from(length).ok()?)?;
                    if !data.is_empty() && self.kept <= MAX_CRYPTO && self.frames.len() <= MAX_FRAMES {
                        let slot = self.frames.entry(offset).or_default();
                        if slot.len() < data.len() {
                            self.kept = self.kept.saturating_add(data.len()).saturating_sub(slot.len());
                            *slot = data.to_vec();
                        }
                    }
                }
                // CONNECTION_CLOSE: code, frame type, reason.
                0x1c => {
                    number(&mut b)?;
                    number(&mut b)?;
                    let length = number(&mut b)?;
                    b.take(usize::try_from(length).ok()?)?;
                }
                _ => return None,
            }
        }
        Some(())
    }

    /// The bytes from the start of the stream to its first hole. `None`: the first message is not whole.
    fn joined(&self) -> Option<Vec<u8>> {
        let stream = self.prefix();
        let mut b = Bytes::new(&stream);
        let length = (b.u8()?, b.u24()?).1;
        (b.left() >= length as usize).then_some(stream)
    }
    fn prefix(&self) -> Vec<u8> {
        let mut stream: Vec<u8> = Vec::with_capacity(self.kept);
        for (offset, data) in &self.frames {
            let Some(known) = (stream.len() as u64).checked_sub(*offset) else { break };
            let new = usize::try_from(known).ok().and_then(|k| data.get(k..)).unwrap_or_default();
            stream.extend_from_slice(new);
        }
        stream
    }

    fn hello(&mut self, stream: &[u8], out: &mut Out) {
        let mut b = Bytes::new(stream);
        let kind = b.u8();
        let body = b.u24().map(|n| b.take(n as usize).unwrap_or(b.rest())).unwrap_or_default();
        self.over = true;
        let (Some(first), Some(last)) = (self.first, self.last) else { return };
        let mut fields = Fields::default();
        match ClientHello::parse(body).filter(|_| kind == Some(1)) {
            Some(hello) => {
                if hello.broken {
                    out.oddities.push((Oddity::new("tls_client_hello_malformed"), first.time, first.offset));
                    // Of half a hello the fingerprints would be another client's.
                    fields.text(field::NAME, hello.sni.as_deref().unwrap_or_default());
                    fields.text(field::SNI, hello.sni.as_deref().unwrap_or_default());
                    out.flow.extend(fields.clone().sorted());
                } else {
                    client_fields(&hello, Carrier::Quic, &mut fields);
                    flow_fields(&hello, Carrier::Quic, out);
                }
                fields.text(field::TLS_VERSION, &version_name(hello.highest()));
                if let Some(alpn) = hello.alpn.first() {
                    fields.text(field::ALPN, &text(alpn, 255));
                }
                fields.text(field::APP, "quic");
                out.events.push(fields.event(Kind::Tls, first, last));
            }
            None => out.oddities.push((Oddity::new("tls_client_hello_malformed"), first.time, first.offset)),
        }
    }

    /// No more is waited for: what there is of the hello is given back.
    fn give(&mut self, out: &mut Out) {
        if std::mem::replace(&mut self.over, true) {
            return;
        }
        let stream = self.prefix();
        if let Some(first) = self.first {
            let what = if stream.is_empty() { "quic_initial_unreadable" } else { "quic_hello_incomplete" };
            out.oddities.push((
                Oddity::at(what, format!("{} of {} packets opened", self.packets.saturating_sub(self.sealed), self.packets)),
                first.time,
                first.offset,
            ));
        }
        if stream.len() > 38 {
            self.hello(&stream, out);
        }
        self.frames.clear();
    }
}

/// A number of variable length (RFC 9000, 16).
fn number(b: &mut Bytes<'_>) -> Option<u64> {
    let first = b.u8()?;
    let mut n = u64::from(first & 0x3f);
    for _ in 1..1u8 << (first >> 6) {
        n = n << 8 | u64::from(b.u8()?);
    }
    Some(n)
}

impl Parser for Conversation {
    fn data(&mut self, side: Side, bytes: &[u8], at: At, out: &mut Out) {
        if side == Side::In {
            self.heard = true;
        } else if !self.over {
            self.datagram(bytes, at, out);
            if self.packets >= MAX_PACKETS {
                self.give(out);
            }
        }
        out.confirmed |= self.heard && self.first.is_some();
        out.done |= self.over && self.heard;
    }
    fn end(&mut self, out: &mut Out) {
        self.give(out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_joined_in_any_order_and_overlap() {
        let mut c = Conversation::default();
        assert_eq!(c.crypto(&[6, 2, 3, 3, 4, 5, 0, 0, 1]), Some(()));
        assert_eq!(c.prefix(), b"");
        assert_eq!(c.crypto(&[2, 1, 1, 1, 0, 0, 0, 6, 0, 3, 1, 2, 3]), Some(()));
        assert_eq!(c.prefix(), [1, 2, 3, 4, 5]);
        assert_eq!(c.crypto(&[6, 0, 9, 1]), None);
        assert_eq!(c.crypto(&[8]), None);
    }

    #[test]
    fn numbers_have_four_lengths() {
        for (bytes, expected) in [(&[37][..], 37), (&[0x7b, 0xbd], 15_293), (&[0x9d, 0x7f, 0x3e, 0x7d], 494_878_333)] {
            assert_eq!(number(&mut Bytes::new(bytes)), Some(expected));
        }
        assert_eq!(number(&mut Bytes::new(&[0xc0, 1])), None);
    }
}
