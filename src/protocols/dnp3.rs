//! DNP3 (IEEE 1815) over TCP and UDP: which functions one station asks of another, each once. Values pass unread.

use super::common::bytes::Bytes;
use super::common::fields::Fields;
use super::common::framed::{Cut, Framed, Messages};
use super::common::told::Told;
use super::{At, Ends, Out, Parser, Protocol, Side, Sniff};
use crate::model::proto::{TCP, UDP};

/// The protocol.
pub static PROTOCOL: Dnp3 = Dnp3;

const FUNCTIONS: &[&str] = &[
    "confirm",
    "read",
    "write",
    "select",
    "operate",
    "direct operate",
    "direct operate without answer",
    "freeze",
    "freeze without answer",
    "freeze and clear",
    "freeze and clear without answer",
    "freeze at time",
    "freeze at time without answer",
    "cold restart",
    "warm restart",
    "initialise data",
    "initialise application",
    "start application",
    "stop application",
    "save configuration",
    "enable unsolicited",
    "disable unsolicited",
    "assign class",
    "measure delay",
    "record time",
    "open file",
    "close file",
    "delete file",
    "file information",
    "authenticate file",
    "abort file",
    "activate configuration",
    "authenticate",
    "authenticate without answer",
];

/// See [`PROTOCOL`].
#[derive(Debug)]
pub struct Dnp3;

/// The checksum of a block.
fn checksum(bytes: &[u8]) -> u16 {
    let crc = bytes.iter().fold(0u16, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte), |crc, _| if crc & 1 != 0 { crc >> 1 ^ 0xa6bc } else { crc >> 1 })
    });
    !crc
}

/// Length of a frame: its head says how many bytes, in blocks of 16 with a checksum each.
fn length(head: &[u8]) -> Option<usize> {
    match head {
        [5, 0x64, n @ 5..=255, ..] if head.len() >= 10 => {
            let stated = u16::from_le_bytes([*head.get(8)?, *head.get(9)?]);
            let user = usize::from(*n).saturating_sub(5);
            (stated == checksum(head.get(..8)?)).then(|| 10 + user + 2 * user.div_ceil(16))
        }
        _ => None,
    }
}

impl Protocol for Dnp3 {
    fn name(&self) -> &'static str {
        "dnp3"
    }
    fn doc(&self) -> &'static str {
        "Distributed Network Protocol 3 (IEEE 1815)."
    }
    fn over(&self) -> &'static [u8] {
        &[TCP, UDP]
    }
    fn probe(&self, _side: Side, first: &[u8], ends: &Ends) -> Sniff {
        if length(first).is_some() {
            Sniff::Yes
        } else if ends.proto == TCP && first.len() < 10 && (first.starts_with(&[5, 0x64]) || [5u8, 0x64].starts_with(first)) {
            Sniff::More
        } else {
            Sniff::No
        }
    }
    fn parser(&self, ends: &Ends) -> Box<dyn Parser> {
        if ends.proto == TCP { Box::new(Framed::new(Conversation::default())) } else { Box::<Conversation>::default() }
    }
}

#[derive(Default)]
struct Conversation {
    told: Told,
    seen: [bool; 2],
}

impl Conversation {
    fn frame(&mut self, frame: &[u8], first: At, last: At, out: &mut Out) -> Option<()> {
        let mut b = Bytes::new(frame);
        b.take(4)?;
        let (to, from) = (b.u16_le()?, b.u16_le()?);
        b.u16()?;
        let (transport, _control, function) = (b.u8()?, b.u8()?, b.u8()?);
        // Only the first piece of a message has the function.
        (transport & 0x40 != 0).then_some(())?;
        let name = match function {
            129 | 130 => return None,
            131 => "authenticate answer",
            n => FUNCTIONS.get(usize::from(n)).copied()?,
        };
        self.told.say("dnp3", &format!("{name}, {from} to {to}"), Fields::default(), first, last, out);
        Some(())
    }
}

impl Messages for Conversation {
    fn cut(&self, _side: Side, unread: &[u8]) -> Cut {
        match length(unread) {
            Some(n) => Cut::Frame(n),
            None if unread.len() < 10 => Cut::More,
            None => Cut::Over,
        }
    }
    fn message(&mut self, _side: Side, message: &[u8], first: At, last: At, out: &mut Out) -> bool {
        self.frame(message, first, last, out);
        true
    }
}

impl Parser for Conversation {
    fn data(&mut self, side: Side, mut bytes: &[u8], at: At, out: &mut Out) {
        while let Some(n) = length(bytes) {
            if let Some(seen) = self.seen.get_mut(usize::from(side == Side::In)) {
                *seen = true;
            }
            self.frame(bytes.get(..n.min(bytes.len())).unwrap_or_default(), at, at, out);
            bytes = bytes.get(n..).unwrap_or_default();
        }
        out.confirmed |= self.seen == [true, true];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_of_a_head_decides() {
        // A link status request, from the standard's examples of framing.
        let head = [5, 0x64, 5, 0xc9, 1, 0, 0, 4];
        let sum = checksum(&head).to_le_bytes();
        assert_eq!(length(&[&head[..], &sum].concat()), Some(10));
        assert_eq!(length(&[&head[..], &[sum[0] ^ 1, sum[1]]].concat()), None);
    }
}
