//! What both sides of a flow said, put in order from its packets: for reading, not for measuring (the meter does that). The first copy
//! of a byte counts; a byte that the other side acknowledged and that never came is a gap.

use crate::model::{Record, Time, field};
use crate::protocols::layers::{self, Conversation as Layered, Transport, flags};
use crate::query::engine::PacketBytes;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Bytes of both sides that are kept.
const MAX_BYTES: usize = 8 << 20;
/// Bytes of one turn; a longer one is continued by the next.
const MAX_TURN: usize = 64 << 10;
/// Segments of one side that wait for an earlier one; with more, the earlier one is held for lost.
const MAX_WAITING: usize = 256;
/// A sequence number that is further away than this belongs to no byte of this stream.
const MAX_JUMP: i64 = 1 << 30;

/// What one side said until the other spoke, or a gap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// Said by the responder.
    pub inbound: bool,
    /// When its first byte was captured.
    pub time: Time,
    /// Number in the capture of the packet with its first byte.
    pub packet: u64,
    /// The bytes; none in a gap.
    pub bytes: Vec<u8>,
    /// So many bytes are missing.
    pub gap: u64,
    /// So many bytes were sent again; they are not repeated here.
    pub again: u64,
}

#[derive(Debug, Clone, Copy)]
struct From {
    time: Time,
    packet: u64,
}

#[derive(Default)]
struct Half {
    /// Sequence number of the first byte.
    base: Option<u32>,
    /// Offset of the next byte that is wanted.
    next: i64,
    /// The other side has acknowledged up to this offset.
    acked: i64,
    waiting: BTreeMap<i64, (Vec<u8>, i64, From)>,
}

/// Puts the packets of one flow in order.
pub struct Conversation {
    originator: Option<(IpAddr, u16)>,
    responder: Option<(IpAddr, u16)>,
    halves: [Half; 2],
    turns: Vec<Turn>,
    kept: usize,
    closed: bool,
}

impl Conversation {
    /// For the packets of a flow.
    pub fn of(flow: &Record) -> Conversation {
        let side = |ip, port| flow.addr(ip).map(|a| (a, flow.uint(port).unwrap_or(0) as u16));
        Conversation {
            originator: side(field::SRC_IP, field::SRC_PORT),
            responder: side(field::DST_IP, field::DST_PORT),
            halves: [Half::default(), Half::default()],
            turns: Vec::new(),
            kept: 0,
            closed: false,
        }
    }
    /// Whether as much is kept as is kept at most.
    pub fn full(&self) -> bool {
        self.kept >= MAX_BYTES
    }
    /// What was said since the last call.
    pub fn take(&mut self) -> Vec<Turn> {
        std::mem::take(&mut self.turns)
    }
    /// Adds a packet, in capture order.
    pub fn add(&mut self, packet: &PacketBytes) {
        let walk = layers::decode(packet.link, &packet.data);
        // Of several conversations (tunnels) the one that this flow is.
        let ours = |c: &&Layered<'_>| {
            let (from, to) = (Some((c.src, ports(c).0)), Some((c.dst, ports(c).1)));
            (from, to) == (self.originator, self.responder) || (to, from) == (self.originator, self.responder)
        };
        let Some(found) = walk.found.iter().find(ours).or(walk.found.last()) else { return };
        let inbound = packet.at.inbound;
        let from = From { time: packet.at.time, packet: packet.at.number };
        let cut = u64::from(found.payload_len).saturating_sub(found.payload.len() as u64);
        match found.transport {
            Transport::Tcp(header) => {
                let syn = header.flags & flags::SYN != 0;
                let first = header.seq.wrapping_add(u32::from(syn));
                if header.flags & flags::ACK != 0 {
                    self.acknowledge(!inbound, header.ack);
                }
                self.segment(inbound, first, syn, found.payload, found.payload_len, from);
            }
            _ => {
                self.close();
                self.say(inbound, found.payload, from);
                self.gap(inbound, cut, from);
            }
        }
    }
    /// There are no more packets: what still waits is given with the gaps before it.
    pub fn finish(&mut self) {
        for inbound in [false, true] {
            while self.release(inbound) {}
        }
    }

    fn segment(&mut self, inbound: bool, seq: u32, syn: bool, payload: &[u8], len: u32, from: From) {
        let half = &mut self.halves[usize::from(inbound)];
        let base = *half.base.get_or_insert(seq);
        // A new connection on the same ports begins anew.
        if syn && base != seq && half.next > 0 && len == 0 {
            *half = Half { base: Some(seq), ..Half::default() };
            return;
        }
        let start = offset(base, half.next, seq);
        if len == 0 || (start - half.next).abs() > MAX_JUMP {
            return;
        }
        let end = start + i64::from(len);
        let (next, next_end) = (half.next, end.min(half.next));
        // One byte before the next is how a silent connection is kept alive.
        if start < next && !(len == 1 && end == next) {
            self.again(inbound, (next_end - start) as u64, from);
        }
        let half = &mut self.halves[usize::from(inbound)];
        if end <= half.next {
            return;
        }
        let better = half.waiting.get(&start).is_none_or(|(known, ..)| known.len() < payload.len());
        if better {
            half.waiting.insert(start, (payload.to_vec(), end, from));
        }
        self.drain(inbound);
        if self.halves[usize::from(inbound)].waiting.len() > MAX_WAITING {
            self.release(inbound);
        }
    }
    fn acknowledge(&mut self, inbound: bool, ack: u32) {
        let half = &mut self.halves[usize::from(inbound)];
        let Some(base) = half.base else { return };
        let acked = offset(base, half.next, ack);
        if (acked - half.next).abs() <= MAX_JUMP {
            half.acked = half.acked.max(acked);
        }
        // What was acknowledged did arrive: if it has not been captured by now it never will be.
        while self.halves[usize::from(inbound)].waiting.first_key_value().is_some_and(|(start, _)| {
            let half = &self.halves[usize::from(inbound)];
            *start > half.next && *start <= half.acked
        }) {
            self.release(inbound);
        }
    }
    /// Gives what waits first, with the gap before it. False: nothing waits.
    fn release(&mut self, inbound: bool) -> bool {
        let half = &mut self.halves[usize::from(inbound)];
        let Some((start, (.., from))) = half.waiting.first_key_value().map(|(s, w)| (*s, w.clone())) else { return false };
        let missing = start - half.next;
        if missing > 0 {
            half.next = start;
            self.gap(inbound, missing as u64, from);
        }
        self.drain(inbound);
        true
    }
    fn drain(&mut self, inbound: bool) {
        loop {
            let half = &mut self.halves[usize::from(inbound)];
            let Some(entry) = half.waiting.first_entry().filter(|e| *e.key() <= half.next) else { return };
            let (start, (bytes, end, from)) = entry.remove_entry();
            let skip = usize::try_from(half.next - start).unwrap_or(usize::MAX);
            if end <= half.next {
                continue;
            }
            let said = bytes.get(skip..).unwrap_or_default();
            let missing = (end - half.next) as u64 - said.len() as u64;
            half.next = end;
            self.say(inbound, said, from);
            // The snaplen cut the segment.
            self.gap(inbound, missing, from);
        }
    }
    fn say(&mut self, inbound: bool, bytes: &[u8], from: From) {
        let bytes = &bytes[..bytes.len().min(MAX_BYTES.saturating_sub(self.kept))];
        if bytes.is_empty() {
            return;
        }
        self.kept += bytes.len();
        let closed = std::mem::take(&mut self.closed);
        match self.turns.last_mut() {
            Some(turn)
                if !closed && turn.inbound == inbound && turn.gap == 0 && turn.again == 0 && turn.bytes.len() < MAX_TURN =>
            {
                turn.bytes.extend_from_slice(bytes)
            }
            _ => self.turns.push(Turn { inbound, time: from.time, packet: from.packet, bytes: bytes.to_vec(), gap: 0, again: 0 }),
        }
    }
    /// What comes next is a turn of its own: a datagram is not the rest of the one before.
    fn close(&mut self) {
        self.closed = true;
    }
    fn gap(&mut self, inbound: bool, missing: u64, from: From) {
        if missing > 0 {
            self.turns.push(Turn { inbound, time: from.time, packet: from.packet, bytes: Vec::new(), gap: missing, again: 0 });
        }
    }
    fn again(&mut self, inbound: bool, bytes: u64, from: From) {
        match self.turns.last_mut() {
            Some(turn) if turn.inbound == inbound && turn.again > 0 => turn.again = turn.again.saturating_add(bytes),
            _ => {
                let turn = Turn { inbound, time: from.time, packet: from.packet, bytes: Vec::new(), gap: 0, again: bytes };
                self.turns.push(turn);
            }
        }
    }
}

fn ports(c: &Layered<'_>) -> (u16, u16) {
    match c.transport {
        Transport::Tcp(header) => (header.src_port, header.dst_port),
        Transport::Ports(src, dst) => (src, dst),
        Transport::Icmp(..) | Transport::None => (0, 0),
    }
}

/// Offset of a sequence number from the base, nearest to an offset that is known (numbers wrap every 4 GiB).
fn offset(base: u32, near: i64, seq: u32) -> i64 {
    let near_seq = base.wrapping_add(near as u32);
    near + i64::from(seq.wrapping_sub(near_seq) as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conversation() -> Conversation {
        Conversation { originator: None, responder: None, halves: Default::default(), turns: Vec::new(), kept: 0, closed: false }
    }

    const AT: From = From { time: Time(0), packet: 1 };

    fn said(c: &mut Conversation) -> Vec<(bool, String, u64)> {
        c.take()
            .into_iter()
            .filter(|t| t.again == 0)
            .map(|t| (t.inbound, String::from_utf8_lossy(&t.bytes).into_owned(), t.gap))
            .collect()
    }

    fn send(c: &mut Conversation, inbound: bool, seq: u32, text: &str) {
        c.segment(inbound, seq, false, text.as_bytes(), text.len() as u32, AT);
    }

    #[test]
    fn what_is_sent_again_is_marked_and_a_keepalive_is_not() {
        let mut c = conversation();
        send(&mut c, false, 0, "abcd");
        send(&mut c, false, 3, "d");
        send(&mut c, false, 0, "abcd");
        send(&mut c, false, 2, "cdef");
        let turns = c.take();
        let shown: Vec<_> = turns.iter().map(|t| (String::from_utf8_lossy(&t.bytes).into_owned(), t.again)).collect();
        assert_eq!(shown, [("abcd".into(), 0), (String::new(), 6), ("ef".into(), 0)]);
    }

    #[test]
    fn segments_out_of_order_and_sent_again_are_put_in_order() {
        let mut c = conversation();
        c.segment(false, 1000, true, b"", 0, AT);
        send(&mut c, false, 1004, "efgh");
        send(&mut c, false, 1000, "abcd");
        send(&mut c, false, 1002, "XXXXij");
        send(&mut c, false, 1000, "abcd");
        assert_eq!(said(&mut c), [(false, "abcdefgh".into(), 0)]);
        send(&mut c, false, 1008, "ij");
        send(&mut c, true, 5, "ok");
        assert_eq!(said(&mut c), [(false, "ij".into(), 0), (true, "ok".into(), 0)]);
    }

    #[test]
    fn bytes_that_were_acknowledged_but_never_seen_are_a_gap_in_their_place() {
        let mut c = conversation();
        send(&mut c, false, 0, "ab");
        send(&mut c, false, 12, "mn");
        assert_eq!(said(&mut c), [(false, "ab".into(), 0)]);
        c.acknowledge(false, 14);
        send(&mut c, true, 0, "ok");
        assert_eq!(said(&mut c), [(false, String::new(), 10), (false, "mn".into(), 0), (true, "ok".into(), 0)]);
    }

    #[test]
    fn what_still_waits_at_the_end_and_what_the_snaplen_cut_are_gaps() {
        let mut c = conversation();
        c.segment(false, 0, false, b"ab", 10, AT);
        send(&mut c, false, 20, "z");
        c.finish();
        assert_eq!(
            said(&mut c),
            [(false, "ab".into(), 0), (false, String::new(), 8), (false, String::new(), 10), (false, "z".into(), 0)]
        );
    }

    #[test]
    fn sequence_numbers_wrap() {
        let mut c = conversation();
        send(&mut c, false, u32::MAX - 1, "ab");
        send(&mut c, false, 0, "cd");
        assert_eq!(said(&mut c), [(false, "abcd".into(), 0)]);
        assert_eq!(offset(u32::MAX, 0, 1), 2);
        assert_eq!(offset(10, 0, 5), -5);
    }

    #[test]
    fn no_numbers_whatever_break_it_and_it_is_bounded() {
        let mut c = conversation();
        let mut seed = 1u32;
        for _ in 0..50_000 {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let inbound = seed & 1 == 1;
            match seed % 5 {
                0 => c.acknowledge(inbound, seed),
                1 => c.segment(inbound, seed, true, b"", 0, AT),
                _ => c.segment(inbound, seed.rotate_left(7), false, b"abcdefgh", seed >> 16 & 0xffff, AT),
            }
        }
        c.finish();
        assert!(c.halves.iter().all(|h| h.waiting.is_empty()));
        assert!(c.turns.iter().map(|t| t.bytes.len()).sum::<usize>() <= MAX_BYTES);
    }
}
