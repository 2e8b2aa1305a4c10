//! Packets that were taken out of a reader's buffer: their bytes one behind the other, to be handed from one thread to another.

use crate::model::packet::{LinkType, Packet};
use crate::model::time::Time;

/// Packets in order.
#[derive(Debug, Default)]
pub struct Packets {
    bytes: Vec<u8>,
    heads: Vec<Head>,
}

/// A packet without its bytes, of which there are `len`.
#[derive(Debug)]
struct Head {
    time: Time,
    link: LinkType,
    wire_len: u32,
    offset: u64,
    number: u64,
    interface: u32,
    len: usize,
}

impl Packets {
    /// Adds a packet.
    pub fn push(&mut self, packet: &Packet<'_>) {
        let Packet { time, link, data, wire_len, offset, number, interface } = *packet;
        self.bytes.extend_from_slice(data);
        self.heads.push(Head { time, link, wire_len, offset, number, interface, len: data.len() });
    }
    /// The packets.
    pub fn iter(&self) -> impl Iterator<Item = Packet<'_>> {
        let mut rest = self.bytes.as_slice();
        self.heads.iter().map_while(move |h| {
            let (data, after) = rest.split_at_checked(h.len)?;
            rest = after;
            let Head { time, link, wire_len, offset, number, interface, .. } = *h;
            Some(Packet { time, link, data, wire_len, offset, number, interface })
        })
    }
    /// Number of packets.
    pub fn len(&self) -> usize {
        self.heads.len()
    }
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.heads.is_empty()
    }
    /// Bytes of them all.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }
    /// Forgets them; their memory is used again.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.heads.clear();
    }
}
