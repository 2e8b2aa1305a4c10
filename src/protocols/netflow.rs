//! NetFlow v1, v5, v7, v9 and IPFIX in transit over UDP (Cisco, NetFlow Export Datagram Format; RFC 3954, RFC 7011): recognised here, and handed on. What
//! the records mean is read by whoever imports them.

use super::{At, Carried, Ends, Out, Parser, Protocol, Side, Sniff};
use crate::model::proto::UDP;

/// The protocol.
pub static PROTOCOL: Netflow = Netflow;

/// See [`PROTOCOL`].
#[derive(Debug)]
pub struct Netflow;

impl Protocol for Netflow {
    fn name(&self) -> &'static str {
        "netflow"
    }
    fn doc(&self) -> &'static str {
        "NetFlow v1 to v9 and IPFIX over UDP; their records are flows of the exporter (RFC 3954, RFC 7011)."
    }
    fn over(&self) -> &'static [u8] {
        &[UDP]
    }
    fn probe(&self, side: Side, first: &[u8], _: &Ends) -> Sniff {
        if side == Side::Out && is_packet(first) { Sniff::Yes } else { Sniff::No }
    }
    fn parser(&self, _: &Ends) -> Box<dyn Parser> {
        Box::new(Exports)
    }
}

/// 1990-01-01: before it nothing was exported.
const EARLIEST: u32 = 631_152_000;

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at.checked_add(2)?)?.try_into().ok().map(u16::from_be_bytes)
}

fn long(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at.checked_add(4)?)?.try_into().ok().map(u32::from_be_bytes)
}

/// Whether a datagram is one whole export packet.
fn is_packet(bytes: &[u8]) -> bool {
    let (Some(version), Some(second)) = (word(bytes, 0), word(bytes, 2)) else { return false };
    let late = |at| long(bytes, at).is_some_and(|s| s >= EARLIEST);
    let fixed = |header: usize, record: usize| {
        (1..=30).contains(&second) && late(8) && bytes.len() == header.saturating_add(usize::from(second).saturating_mul(record))
    };
    match version {
        1 => fixed(16, 52),
        5 => fixed(24, 48),
        7 => fixed(24, 52),
        9 => second > 0 && late(8) && sets(bytes, 20, [0, 1]),
        10 => usize::from(second) == bytes.len() && late(4) && sets(bytes, 16, [2, 3]),
        _ => false,
    }
}

/// Whether sets fill the rest of a packet; `own` are the numbers of those with templates.
fn sets(bytes: &[u8], mut at: usize, own: [u16; 2]) -> bool {
    let mut any = false;
    while at < bytes.len() {
        let (Some(id), Some(length)) = (word(bytes, at), word(bytes, at.saturating_add(2))) else { return false };
        if !(id >= 256 || own.contains(&id)) || length < 4 {
            return false;
        }
        at = at.saturating_add(usize::from(length));
        any = true;
    }
    any && at == bytes.len()
}

struct Exports;

impl Parser for Exports {
    fn data(&mut self, side: Side, bytes: &[u8], at: At, out: &mut Out) {
        if side == Side::Out {
            out.confirmed = true;
            out.carried.push(Carried { format: "netflow", side, at, bytes: bytes.to_vec() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_packets_are_recognised() {
        let head: Vec<u8> = [&[0, 10, 0, 24][..], &0x6b00_0000u32.to_be_bytes(), &[0; 8], &[1, 0, 0, 8, 1, 2, 3, 4]].concat();
        assert!(is_packet(&head));
        assert!(!is_packet(&head[..23]));
        let mut wrong = head.clone();
        wrong[17] = 0;
        wrong[16] = 0;
        assert!(!is_packet(&wrong), "a set of number 0");
        assert!(!is_packet(&[]));
        let five = [&[0, 5, 0, 1][..], &[0; 4], &0x6b00_0000u32.to_be_bytes(), &[0; 12 + 48]].concat();
        assert!(is_packet(&five) && !is_packet(&five[..71]));
    }
}
