//! Packet references: where the packets of a flow stand in its capture, delta-coded, in groups of pieces; read only on a pivot to packets.
//!
//! A group's body: its layout, then five parts, each compressed by itself: the list of pieces (flow, how many packets, whether times are whole
//! microseconds); directions as bits; differences of offsets, of numbers, of times. Like stands with like, which compresses better than piece by piece.

use super::block::Packer;
use super::encode::{Take, damaged, decompress, put_signed, put_varint};
use super::segment::Place;
use crate::error::Result;
use crate::model::packet::PacketRef;
use crate::model::{RecordId, SourceId, Time};
use std::collections::BTreeMap;

/// Packets after which a group is written: 2 MiB in memory, about 128 KiB on disk.
pub const GROUP: usize = 64 << 10;

/// What is known of a group without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    /// Import that wrote it.
    pub import: u32,
    /// Number within the import.
    pub index: u32,
    /// Least and greatest offset of the flows' ids.
    pub offsets: (u64, u64),
}

/// A group and where it stands.
#[derive(Debug, Clone)]
pub struct GroupInfo {
    /// Where.
    pub place: Place,
    /// What.
    pub reach: Reach,
}

impl Reach {
    /// Appends it as bytes.
    pub fn put(&self, out: &mut Vec<u8>) {
        for n in [u64::from(self.import), u64::from(self.index), self.offsets.0, self.offsets.1] {
            put_varint(out, n);
        }
    }
    /// Reads what [`Reach::put`] wrote.
    pub fn take(take: &mut Take<'_>) -> Result<Reach> {
        let (import, index) = (take.size(1 << 32)? as u32, take.size(1 << 32)? as u32);
        Ok(Reach { import, index, offsets: (take.varint()?, take.varint()?) })
    }
}

/// Layout of a group's body. Those of the first layout begin with 0 or 1.
const LAYOUT: u8 = 2;

/// Packets of one flow in a group.
#[derive(Debug)]
struct Piece {
    offset: u64,
    ordinal: u16,
    source: SourceId,
    refs: Vec<PacketRef>,
}

/// Pieces being collected.
#[derive(Debug, Default)]
pub struct Group {
    pieces: Vec<Piece>,
    packets: usize,
    /// Day of the first packet.
    pub day: i32,
}

impl Group {
    /// Whether it is to be written now.
    pub fn is_full(&self) -> bool {
        self.packets >= GROUP
    }
    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }
    /// Adds packets of a flow, after those that it already has.
    pub fn add(&mut self, flow: RecordId, source: SourceId, refs: &[PacketRef]) {
        let Some(first) = refs.first() else { return };
        if self.pieces.is_empty() {
            self.day = first.time.day();
        }
        self.packets += refs.len();
        self.pieces.push(Piece { offset: flow.offset, ordinal: flow.ordinal, source, refs: refs.to_vec() });
    }
    /// Least and greatest offset of a flow in it, and the body; it is empty then.
    pub fn take(&mut self, packer: &mut Packer) -> ((u64, u64), Vec<u8>) {
        let mut pieces = std::mem::take(&mut self.pieces);
        self.packets = 0;
        // Stable: pieces of one flow stay in the order in which they came.
        pieces.sort_by_key(|p| (p.offset, p.ordinal, p.source));
        let reach = (pieces.first().map_or(0, |p| p.offset), pieces.last().map_or(0, |p| p.offset));
        let [mut list, mut bits, mut offsets, mut numbers, mut times] = [const { Vec::new() }; 5];
        put_varint(&mut list, pieces.len() as u64);
        let mut before = Before::default();
        for p in &pieces {
            let micros = p.refs.iter().all(|r| r.time.0 % 1000 == 0);
            put_varint(&mut list, p.offset - before.flow);
            put_varint(&mut list, u64::from(p.ordinal));
            put_varint(&mut list, u64::from(p.source.0));
            put_varint(&mut list, (p.refs.len() as u64) << 1 | u64::from(micros));
            before.begin(p.offset, if micros { 1000 } else { 1 });
            let bit = bits.len();
            bits.resize(bit + p.refs.len().div_ceil(8), 0u8);
            for (i, r) in p.refs.iter().enumerate() {
                bits[bit + i / 8] |= u8::from(r.inbound) << (i % 8);
                let time = r.time.0 / before.unit;
                put_signed(&mut offsets, r.offset.wrapping_sub(before.offset) as i64);
                put_signed(&mut numbers, r.number.wrapping_sub(before.number) as i64);
                put_signed(&mut times, time.wrapping_sub(before.time));
                (before.offset, before.number, before.time) = (r.offset, r.number, time);
            }
        }
        let mut body = vec![LAYOUT];
        for part in [&list, &bits, &offsets, &numbers, &times] {
            let mut packed = Vec::new();
            let is_packed = packer.pack(part, &mut packed);
            body.push(u8::from(is_packed));
            put_varint(&mut body, part.len() as u64);
            put_varint(&mut body, packed.len() as u64);
            body.extend_from_slice(&packed);
        }
        (reach, body)
    }
}

/// What the next packet is the difference to. Number and time go on from the piece before, which began nearby; the offset of a flow's first packet
/// is the one that its id has.
#[derive(Debug, Default)]
struct Before {
    flow: u64,
    offset: u64,
    number: u64,
    time: i64,
    unit: i64,
}

impl Before {
    fn begin(&mut self, flow: u64, unit: i64) {
        if self.unit != unit {
            let nanos = self.time.wrapping_mul(self.unit);
            self.time = nanos / unit;
        }
        (self.flow, self.offset, self.unit) = (flow, flow, unit);
    }
}

fn part(take: &mut Take<'_>) -> Result<Vec<u8>> {
    let packed = take.u8()? != 0;
    let raw = take.size(1 << 30)?;
    let bytes = take.sized()?;
    if packed { decompress(bytes, raw).ok_or_else(|| damaged("packet references")) } else { Ok(bytes.to_vec()) }
}

/// Flows of one evidence that are looked for, by offset and ordinal of their ids: each with its number in the list that is filled.
pub type Wanted = BTreeMap<(u64, u16), usize>;

/// Adds to `out` the packets that a group's body has of flows, of each to the list of its number.
pub fn search(body: &[u8], flows: &Wanted, out: &mut [Vec<PacketRef>]) -> Result<()> {
    let mut take = Take::new(body);
    match body.first() {
        Some(&LAYOUT) => take.u8()?,
        _ => {
            for ((offset, ordinal), number) in flows {
                let Some(out) = out.get_mut(*number) else { continue };
                search_first(body, RecordId { offset: *offset, ordinal: *ordinal, ..RecordId::default() }, out)?;
            }
            return Ok(());
        }
    };
    let list = part(&mut take)?;
    let Some(last) = last_of(&list, flows)? else { return Ok(()) };
    // Packets of a flow follow each other: it is looked up once.
    let mut now: Option<((u64, u16), Option<usize>)> = None;
    walk(&list, &mut take, last, &mut |(offset, ordinal, _), packet| {
        let flow = (offset, ordinal);
        let number = match now {
            Some((of, number)) if of == flow => number,
            _ => flows.get(&flow).copied(),
        };
        now = Some((flow, number));
        if let Some(out) = number.and_then(|n| out.get_mut(n)) {
            out.push(packet);
        }
        Ok(())
    })
}

/// Gives the pieces of a group's body, in order: offset, ordinal and source of the flow, and its packets. Of the newest layout only, which is the
/// one that live captures write.
pub fn pieces(body: &[u8], each: &mut dyn FnMut(Owner, Vec<PacketRef>) -> Result<()>) -> Result<()> {
    let mut take = Take::new(body);
    if take.u8()? != LAYOUT {
        return Err(damaged("packet references"));
    }
    let list = part(&mut take)?;
    let mut now: Option<(Owner, Vec<PacketRef>)> = None;
    walk(&list, &mut take, u64::MAX, &mut |owner, packet| {
        match &mut now {
            Some((of, refs)) if *of == owner => refs.push(packet),
            _ => {
                if let Some((of, refs)) = now.replace((owner, vec![packet])) {
                    each(of, refs)?;
                }
            }
        }
        Ok(())
    })?;
    now.map_or(Ok(()), |(of, refs)| each(of, refs))
}

/// A flow: offset and ordinal of its id, and its source.
pub type Owner = (u64, u16, SourceId);

/// Every packet of the pieces of a list, up to flows of an offset.
fn walk(list: &[u8], take: &mut Take<'_>, until: u64, each: &mut impl FnMut(Owner, PacketRef) -> Result<()>) -> Result<()> {
    let parts = [part(take)?, part(take)?, part(take)?, part(take)?];
    let [mut bits, mut offsets, mut numbers, mut times] = parts.each_ref().map(|p| Take::new(p));
    let mut list = Take::new(list);
    let mut before = Before::default();
    for _ in 0..list.varint()? {
        let start = before.flow.wrapping_add(list.varint()?);
        let (ordinal, source) = (list.varint()?, list.varint()?);
        let head = list.size(1 << 30)?;
        if start > until {
            break;
        }
        let owner = (start, ordinal as u16, SourceId(source as u32));
        before.begin(start, if head & 1 == 1 { 1000 } else { 1 });
        let n = head >> 1;
        let bits = bits.bytes(n.div_ceil(8))?;
        for i in 0..n {
            before.offset = before.offset.wrapping_add(offsets.signed()? as u64);
            before.number = before.number.wrapping_add(numbers.signed()? as u64);
            before.time = before.time.wrapping_add(times.signed()?);
            let inbound = bits[i / 8] >> (i % 8) & 1 == 1;
            let time = Time(before.time.wrapping_mul(before.unit));
            each(owner, PacketRef { offset: before.offset, number: before.number, time, inbound })?;
        }
    }
    Ok(())
}

/// The offset of the last of these flows that a list names; none: it names none of them.
fn last_of(list: &[u8], flows: &Wanted) -> Result<Option<u64>> {
    let Some(((most, _), _)) = flows.last_key_value() else { return Ok(None) };
    let mut list = Take::new(list);
    let (mut offset, mut last) = (0u64, None);
    for _ in 0..list.varint()? {
        offset = offset.wrapping_add(list.varint()?);
        let ordinal = list.varint()?;
        list.varint()?;
        list.varint()?;
        if offset > *most {
            break;
        }
        if flows.contains_key(&(offset, ordinal as u16)) {
            last = Some(offset);
        }
    }
    Ok(last)
}

/// The same for a body of the first layout: a list of pieces with their lengths, then the pieces one after the other.
fn search_first(body: &[u8], flow: RecordId, out: &mut Vec<PacketRef>) -> Result<()> {
    let mut take = Take::new(body);
    let list = part(&mut take)?;
    let mut data = None;
    let mut list = Take::new(&list);
    let (mut offset, mut at) = (0u64, 0usize);
    for _ in 0..list.varint()? {
        offset = offset.wrapping_add(list.varint()?);
        let ordinal = list.varint()?;
        list.varint()?;
        let len = list.size(1 << 30)?;
        if offset == flow.offset && ordinal == u64::from(flow.ordinal) {
            let data: &Vec<u8> = match &mut data {
                Some(data) => data,
                none => none.insert(part(&mut take)?),
            };
            piece(data.get(at..at + len).ok_or_else(|| damaged("packet references"))?, flow, out)?;
        }
        if offset > flow.offset {
            break;
        }
        at += len;
    }
    Ok(())
}

fn piece(bytes: &[u8], flow: RecordId, out: &mut Vec<PacketRef>) -> Result<()> {
    let mut take = Take::new(bytes);
    let n = take.size(1 << 30)?;
    let bits = take.bytes(n.div_ceil(8))?;
    let unit = if take.u8()? != 0 { 1000 } else { 1 };
    let (mut offset, mut number, mut time) = (flow.offset, 0u64, 0i64);
    for i in 0..n {
        offset = offset.wrapping_add(take.signed()? as u64);
        number = number.wrapping_add(take.signed()? as u64);
        time = time.wrapping_add(take.signed()?);
        let inbound = bits[i / 8] >> (i % 8) & 1 == 1;
        out.push(PacketRef { offset, number, time: Time(time.wrapping_mul(unit)), inbound });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_of_a_flow_come_back_in_the_order_of_their_pieces() {
        let flow = |offset| RecordId { offset, ..RecordId::default() };
        let packet = |n: u64, time| PacketRef { offset: n * 100, number: n, time: Time(time), inbound: n.is_multiple_of(3) };
        let mut group = Group::default();
        let a: Vec<_> = (1..40).map(|n| packet(n, n as i64 * 1_000_000)).collect();
        let b: Vec<_> = (40..45).map(|n| packet(n, i64::MAX - n as i64)).collect();
        group.add(flow(700), SourceId(1), &b[..2]);
        group.add(flow(100), SourceId(1), &a[..20]);
        group.add(flow(100), SourceId(1), &a[20..]);
        let (reach, body) = group.take(&mut Packer::new().unwrap());
        assert_eq!(reach, (100, 700));
        let look = |offset| {
            let mut out = [Vec::new()];
            search(&body, &Wanted::from([((offset, 0), 0)]), &mut out).unwrap();
            let [out] = out;
            out
        };
        assert_eq!(look(100), a);
        assert_eq!(look(700), b[..2]);
        assert!(look(300).is_empty());
        // Several at once, one of them not there.
        let mut out = vec![Vec::new(); 3];
        search(&body, &Wanted::from([((700, 0), 0), ((300, 0), 1), ((100, 0), 2)]), &mut out).unwrap();
        assert_eq!(out, [b[..2].to_vec(), Vec::new(), a]);
    }

    #[test]
    fn groups_of_the_first_layout_are_still_read() {
        // One flow at 100 with two packets, as the first layout wrote it: list, then one piece, neither compressed.
        let list = [1, 100, 0, 1, 9];
        let piece = [2, 0b10, 1, 0, 2, 20, 120, 2, 14];
        let mut body = Vec::new();
        for part in [&list[..], &piece[..]] {
            body.extend_from_slice(&[0, part.len() as u8, part.len() as u8]);
            body.extend_from_slice(part);
        }
        let mut out = [Vec::new()];
        search(&body, &Wanted::from([((100, 0), 0)]), &mut out).unwrap();
        let packet = |offset, number, micros: i64, inbound| PacketRef { offset, number, time: Time(micros * 1000), inbound };
        assert_eq!(out, [[packet(100, 1, 10, false), packet(160, 2, 17, true)]]);
    }

    #[test]
    fn references_take_at_most_a_hundredth_of_the_capture_and_four_bytes_a_packet() {
        // Five conversations at a time, microseconds, acknowledgements between full segments.
        let (mut group, mut at, mut time) = (Group::default(), 24u64, 1_700_000_000_000_000i64);
        let mut flows: Vec<(u64, Vec<PacketRef>)> = Vec::new();
        let mut x = 7u64;
        for n in 0..60_000u64 {
            x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let which = (n / 200 * 5 + (x >> 40) % 5) as usize;
            flows.resize_with(flows.len().max(which + 1), || (at, Vec::new()));
            let inbound = x >> 50 & 1 == 1;
            flows[which].1.push(PacketRef { offset: at, number: n + 1, time: Time(time * 1000), inbound });
            at += if inbound { 16 + 1514 } else { 16 + 66 };
            time += 20 + (x >> 33) as i64 % 200;
        }
        for (_, refs) in flows.iter().filter(|(_, r)| !r.is_empty()) {
            group.add(RecordId { offset: refs[0].offset, ..RecordId::default() }, SourceId(1), refs);
        }
        let (_, body) = group.take(&mut Packer::new().unwrap());
        // Sides and sizes by chance, five conversations interleaved by chance: worse than what is captured.
        assert!(body.len() <= 4 * 60_000 && body.len() as u64 <= at / 100, "{:.2} bytes a packet", body.len() as f64 / 60_000.0);
    }
}
