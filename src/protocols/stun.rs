//! STUN (RFC 8489) over UDP and TCP: which address the outside sees of a host behind translation, once. Keeps no password.

use super::common::bytes::{Bytes, text};
use super::common::fields::Fields;
use super::common::framed::{Cut, Framed, Messages};
use super::{At, Ends, Out, Parser, Protocol, Side, Sniff};
use crate::model::field;
use crate::model::proto::{TCP, UDP};
use crate::model::record::Kind;
use std::net::IpAddr;

/// The protocol.
pub static PROTOCOL: Stun = Stun;

/// The cookie that every message carries.
const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];

/// See [`PROTOCOL`].
#[derive(Debug)]
pub struct Stun;

impl Protocol for Stun {
    fn name(&self) -> &'static str {
        "stun"
    }
    fn doc(&self) -> &'static str {
        "Session Traversal Utilities for NAT (RFC 8489)."
    }
    fn over(&self) -> &'static [u8] {
        &[TCP, UDP]
    }
    fn probe(&self, _side: Side, first: &[u8], ends: &Ends) -> Sniff {
        match first {
            [kind, _, _, low, a, b, c, d, ..] if kind & 0xc0 == 0 && low & 3 == 0 && [*a, *b, *c, *d] == COOKIE => Sniff::Yes,
            _ if ends.proto == TCP && first.len() < 8 && first.first().is_none_or(|b| *b <= 1) => Sniff::More,
            _ => Sniff::No,
        }
    }
    fn parser(&self, ends: &Ends) -> Box<dyn Parser> {
        if ends.proto == TCP { Box::new(Framed::new(Conversation::default())) } else { Box::<Conversation>::default() }
    }
}

#[derive(Default)]
struct Conversation {
    asked: Option<At>,
    given: bool,
}

/// An address attribute, covered by the cookie (and transaction) if `covered`.
fn address(value: &[u8], key: &[u8], covered: bool) -> Option<(IpAddr, u16)> {
    let mut b = Bytes::new(value);
    let (_, family, port) = (b.u8()?, b.u8()?, b.u16()?);
    let xor = |bytes: &[u8]| -> Vec<u8> { bytes.iter().zip(key).map(|(v, k)| if covered { v ^ k } else { *v }).collect() };
    let address = match family {
        1 => IpAddr::from(<[u8; 4]>::try_from(xor(b.take(4)?)).ok()?),
        2 => IpAddr::from(<[u8; 16]>::try_from(xor(b.take(16)?)).ok()?),
        _ => return None,
    };
    Some((address, if covered { port ^ 0x2112 } else { port }))
}

impl Conversation {
    fn read(&mut self, side: Side, message: &[u8], at: At, out: &mut Out) -> Option<()> {
        let mut b = Bytes::new(message);
        let (kind, length) = (b.u16()?, b.u16()?);
        let key = b.take(16)?;
        if kind & 0x110 == 0 && side == Side::Out {
            self.asked.get_or_insert(at);
        }
        let success = kind & 0x110 == 0x100;
        out.confirmed |= self.asked.is_some() && side == Side::In && success;
        if !success || side == Side::Out || self.given {
            return Some(());
        }
        let mut attributes = b.sub(usize::from(length))?;
        let (mut mapped, mut fields) = (None, Fields::default());
        while let (Some(name), Some(value)) = (attributes.u16(), attributes.list16()) {
            attributes.take(value.len().wrapping_neg() & 3);
            match name {
                0x0020 => mapped = address(value, key, true),
                0x0001 => mapped = mapped.or(address(value, key, false)),
                0x8022 => fields.text(field::PRODUCT, &text(value, 128)),
                _ => {}
            }
        }
        let (outside, port) = mapped?;
        self.given = true;
        fields.text(field::APP, "stun");
        fields.add(field::NAT_SRC_IP, outside);
        fields.add(field::NAT_SRC_PORT, u64::from(port));
        fields.text(field::MESSAGE, "address seen from outside");
        out.events.push(fields.event(Kind::Log, self.asked.unwrap_or(at), at));
        Some(())
    }
}

impl Messages for Conversation {
    fn cut(&self, _side: Side, unread: &[u8]) -> Cut {
        match unread {
            [kind, _, a, b, ..] if kind & 0xc0 == 0 => Cut::Frame(usize::from(u16::from_be_bytes([*a, *b])).saturating_add(20)),
            // Data of a TURN channel: number, length, padded to four bytes.
            [kind, _, a, b, ..] if kind & 0xc0 == 0x40 => {
                Cut::Frame((usize::from(u16::from_be_bytes([*a, *b])) + 4).next_multiple_of(4))
            }
            _ if unread.len() < 4 => Cut::More,
            _ => Cut::Over,
        }
    }
    fn message(&mut self, side: Side, message: &[u8], _first: At, last: At, out: &mut Out) -> bool {
        self.read(side, message, last, out);
        true
    }
}

impl Parser for Conversation {
    fn data(&mut self, side: Side, bytes: &[u8], at: At, out: &mut Out) {
        // Media share the ports: what is no message passes.
        if bytes.get(4..8) == Some(&COOKIE) {
            self.read(side, bytes, at, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Time;

    #[test]
    fn the_outside_address_is_told_once() {
        let at = At { time: Time(1), offset: 1 };
        let request = [&[0, 1, 0, 0][..], &COOKIE, &[7; 12]].concat();
        let answer =
            [&[1, 1, 0, 12][..], &COOKIE, &[7; 12], &[0, 0x20, 0, 8, 0, 1, 0x21, 0x13], &[0x21 ^ 192, 0x12, 0xa4 ^ 2, 0x42 ^ 9]]
                .concat();
        let (mut c, mut out) = (Conversation::default(), Out::default());
        for _ in 0..2 {
            Parser::data(&mut c, Side::Out, &request, at, &mut out);
            Parser::data(&mut c, Side::In, &answer, at, &mut out);
        }
        let shown: String = out.events[0].fields.iter().map(|(f, v)| format!("{}={v} ", field::name(*f))).collect();
        assert_eq!(shown, "app=stun nat.src.ip=192.0.2.9 nat.src.port=1 message=address seen from outside ");
        assert_eq!(out.events.len(), 1);
    }
}
