//! Packet references: where the packets of a flow stand in its capture, delta-coded, in groups of pieces; read only on a pivot to packets.

use super::block::Packer;
use super::encode::{Take, damaged, put_signed, put_varint};
use super::segment::Place;
use crate::error::Result;
use crate::model::packet::PacketRef;
use crate::model::{RecordId, SourceId, Time};

/// Bytes after which a group is written.
pub const GROUP: usize = 256 << 10;

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

/// Pieces being collected.
#[derive(Debug, Default)]
pub struct Group {
    pieces: Vec<(u64, u16, SourceId, Vec<u8>)>,
    bytes: usize,
    /// Day of the first packet.
    pub day: i32,
}

impl Group {
    /// Whether it is to be written now.
    pub fn is_full(&self) -> bool {
        self.bytes >= GROUP
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
        let mut out = Vec::with_capacity(refs.len() * 6 + 8);
        put_varint(&mut out, refs.len() as u64);
        let mut bits = vec![0u8; refs.len().div_ceil(8)];
        for (i, r) in refs.iter().enumerate() {
            bits[i / 8] |= u8::from(r.inbound) << (i % 8);
        }
        out.extend_from_slice(&bits);
        let micros = refs.iter().all(|r| r.time.0 % 1000 == 0);
        out.push(u8::from(micros));
        let (mut offset, mut number, mut time) = (flow.offset, 0u64, 0i64);
        for r in refs {
            let t = if micros { r.time.0 / 1000 } else { r.time.0 };
            put_signed(&mut out, r.offset.wrapping_sub(offset) as i64);
            put_signed(&mut out, r.number.wrapping_sub(number) as i64);
            put_signed(&mut out, t.wrapping_sub(time));
            (offset, number, time) = (r.offset, r.number, t);
        }
        self.bytes += out.len() + 12;
        self.pieces.push((flow.offset, flow.ordinal, source, out));
    }
    /// Least and greatest offset of a flow in it, and the body; it is empty then.
    pub fn take(&mut self, packer: &mut Packer) -> ((u64, u64), Vec<u8>) {
        let mut pieces = std::mem::take(&mut self.pieces);
        self.bytes = 0;
        // Stable: pieces of one flow stay in the order in which they came.
        pieces.sort_by_key(|p| (p.0, p.1, p.2));
        let reach = (pieces.first().map_or(0, |p| p.0), pieces.last().map_or(0, |p| p.0));
        let (mut list, mut data) = (Vec::new(), Vec::new());
        put_varint(&mut list, pieces.len() as u64);
        let mut before = 0;
        for (offset, ordinal, source, bytes) in &pieces {
            put_varint(&mut list, offset - before);
            put_varint(&mut list, u64::from(*ordinal));
            put_varint(&mut list, u64::from(source.0));
            put_varint(&mut list, bytes.len() as u64);
            data.extend_from_slice(bytes);
            before = *offset;
        }
        let mut body = Vec::new();
        for part in [&list, &data] {
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

fn part(take: &mut Take<'_>) -> Result<Vec<u8>> {
    let packed = take.u8()? != 0;
    let raw = take.size(1 << 30)?;
    let bytes = take.sized()?;
    if packed { zstd::bulk::decompress(bytes, raw).map_err(|_| damaged("packet references")) } else { Ok(bytes.to_vec()) }
}

/// Adds to `out` the packets that a group's body has of a flow.
pub fn search(body: &[u8], flow: RecordId, out: &mut Vec<PacketRef>) -> Result<()> {
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
            let mut out = Vec::new();
            search(&body, flow(offset), &mut out).unwrap();
            out
        };
        assert_eq!(look(100), a);
        assert_eq!(look(700), b[..2]);
        assert!(look(300).is_empty());
    }
}
