//! WebSocket frames (RFC 6455), to which an HTTP connection was upgraded: what they carry is looked at only as far as to name it (a tunnel of
//! SSH or TLS is one of an intruder's ways out). Content passes unread.

use super::common::bytes::Bytes;
use super::common::framed::{Cut, Framed, Messages};
use super::{ALL, At, Ends, Out, Parser, Protocol, Side, Sniff};
use crate::model::proto::TCP;

/// The protocol.
pub static PROTOCOL: WebSocket = WebSocket;

/// First bytes of a side's content that are looked at.
const MAX_LOOK: usize = 512;

/// See [`PROTOCOL`].
#[derive(Debug)]
pub struct WebSocket;

impl Protocol for WebSocket {
    fn name(&self) -> &'static str {
        "websocket"
    }
    fn doc(&self) -> &'static str {
        "WebSocket after an HTTP upgrade (RFC 6455), and the name of what it carries."
    }
    fn over(&self) -> &'static [u8] {
        &[TCP]
    }
    fn probe(&self, _side: Side, _first: &[u8], _ends: &Ends) -> Sniff {
        // Frames have no mark of their own: HTTP says that they follow.
        Sniff::No
    }
    fn parser(&self, ends: &Ends) -> Box<dyn Parser> {
        Box::new(Framed::new(Conversation { ends: *ends, content: Default::default(), looked: [false; 2] }))
    }
}

struct Conversation {
    ends: Ends,
    content: [Vec<u8>; 2],
    looked: [bool; 2],
}

/// Length of a frame's head, of its content, and its mask.
fn head(bytes: &[u8]) -> Option<(usize, u64, Option<[u8; 4]>)> {
    let mut b = Bytes::new(bytes);
    let (_, second) = (b.u8()?, b.u8()?);
    let length = match second & 0x7f {
        126 => u64::from(b.u16()?),
        127 => b.array().map(u64::from_be_bytes)?,
        n => u64::from(n),
    };
    let mask = if second & 0x80 != 0 { Some(b.array::<4>()?) } else { None };
    Some((b.at(), length, mask))
}

impl Messages for Conversation {
    fn cut(&self, _side: Side, unread: &[u8]) -> Cut {
        // Two reserved bits that no extension uses, and the opcodes that are defined.
        if unread.first().is_some_and(|b| b & 0x30 != 0 || !matches!(b & 15, 0..=2 | 8..=10)) {
            return Cut::Over;
        }
        match head(unread) {
            Some((skip, length, _)) => match usize::try_from(length) {
                Ok(length) => Cut::Frame(skip.saturating_add(length)),
                Err(_) => Cut::Over,
            },
            None => Cut::More,
        }
    }
    fn message(&mut self, side: Side, message: &[u8], _first: At, _last: At, out: &mut Out) -> bool {
        let index = usize::from(side == Side::In);
        let (Some((skip, _, mask)), Some(opcode)) = (head(message), message.first().map(|b| b & 15)) else { return false };
        if opcode == 8 {
            return false;
        }
        let (Some(content), Some(looked)) = (self.content.get_mut(index), self.looked.get_mut(index)) else { return false };
        if opcode > 2 || *looked {
            return true;
        }
        let mask = mask.unwrap_or_default();
        let room = MAX_LOOK.saturating_sub(content.len());
        content.extend(message.iter().skip(skip).zip(mask.iter().cycle()).take(room).map(|(b, m)| b ^ m));
        // The tunnel's originator is the WebSocket's.
        let mut more = false;
        for protocol in ALL.iter().filter(|p| p.over().contains(&TCP)) {
            match protocol.probe(side, content, &self.ends) {
                Sniff::Yes => {
                    out.also = Some(protocol.name());
                    *looked = true;
                    break;
                }
                Sniff::More => more = true,
                Sniff::No => {}
            }
        }
        *looked |= !more || content.len() >= MAX_LOOK;
        true
    }
}
