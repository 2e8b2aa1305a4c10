//! Frames: what segment files consist of. A header of 24 bytes (magic, kind, codec, flags, id, length, raw length, crc32c), then a payload
//! that begins with a small description of itself, enough to rebuild the catalog from.
//!
//! The header's crc covers its other fields and the payload. Knows nothing of what descriptions say.

use super::encode::{Take, damaged};
use crate::error::Result;

/// First bytes of a frame.
pub const MAGIC: u32 = 0x4652_5442;
/// Length of a header.
pub const HEADER: usize = 24;
/// Longest payload.
pub const MAX_PAYLOAD: usize = 1 << 30;

/// What a frame holds. Numbers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FrameKind {
    /// Rows in columns.
    Block = 1,
    /// Packet references of flows.
    Packets = 2,
    /// Which rows hold which values.
    Postings = 3,
    /// An evidence file was read to its end: its rows count from here on.
    Done = 4,
    /// A source: its number, identity and name.
    Source = 5,
    /// What the records of a day and source add up to, by hour and by host.
    Rollups = 6,
    /// What the DNS events of a day and source say of addresses and names.
    Names = 7,
    /// What was dropped on purpose.
    Pruned = 8,
}

impl FrameKind {
    /// The kind with a number.
    pub fn from_u8(n: u8) -> Option<FrameKind> {
        use FrameKind::{Block, Done, Names, Packets, Postings, Pruned, Rollups, Source};
        [Block, Packets, Postings, Done, Source, Rollups, Names, Pruned].into_iter().find(|k| *k as u8 == n)
    }
}

/// A header as read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// What it holds.
    pub kind: FrameKind,
    /// Import that wrote it (a source, what was pruned: its number).
    pub id: u32,
    /// Length of the payload.
    pub len: u32,
    /// Checksum.
    pub crc: u32,
}

/// Appends a frame: header, length of the description, description, body.
pub fn put(out: &mut Vec<u8>, kind: FrameKind, id: u32, meta: &[u8], body: &[u8]) {
    let len = (4 + meta.len() + body.len()) as u32;
    let start = out.len();
    out.extend_from_slice(&MAGIC.to_le_bytes());
    out.extend_from_slice(&[kind as u8, 0, 0, 0]);
    out.extend_from_slice(&id.to_le_bytes());
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&(meta.len() as u32).to_le_bytes());
    out.extend_from_slice(meta);
    out.extend_from_slice(body);
    let crc = checksum(&out[start..start + HEADER], &out[start + HEADER..]);
    out[start + 20..start + 24].copy_from_slice(&crc.to_le_bytes());
}

/// Reads a header; none where these bytes are none.
pub fn header(bytes: &[u8]) -> Option<Header> {
    let mut take = Take::new(bytes.get(..HEADER)?);
    if take.u32().ok()? != MAGIC {
        return None;
    }
    let kind = FrameKind::from_u8(take.u8().ok()?)?;
    take.bytes(3).ok()?;
    let id = take.u32().ok()?;
    let len = take.u32().ok()?;
    take.u32().ok()?;
    let crc = take.u32().ok()?;
    ((4..=MAX_PAYLOAD).contains(&(len as usize))).then_some(Header { kind, id, len, crc })
}

/// Whether header and payload are as they were written.
pub fn intact(header_bytes: &[u8], payload: &[u8], header: &Header) -> bool {
    header_bytes.len() >= HEADER && checksum(header_bytes, payload) == header.crc
}

fn checksum(header: &[u8], payload: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&header[..20]), payload)
}

/// Splits a payload into description and body.
pub fn split(payload: &[u8]) -> Result<(&[u8], &[u8])> {
    let mut take = Take::new(payload);
    let n = take.u32()? as usize;
    let meta = take.bytes(n).map_err(|_| damaged("frame"))?;
    Ok((meta, take.rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_flipped_bit_is_noticed() {
        let mut out = Vec::new();
        put(&mut out, FrameKind::Block, 9, b"meta", b"the body");
        let h = header(&out).unwrap();
        assert_eq!((h.id, h.len as usize), (9, out.len() - HEADER));
        assert!(intact(&out, &out[HEADER..], &h));
        assert_eq!(split(&out[HEADER..]).unwrap(), (&b"meta"[..], &b"the body"[..]));
        for i in 0..out.len() * 8 {
            let mut bad = out.clone();
            bad[i / 8] ^= 1 << (i % 8);
            let noticed = header(&bad).is_none_or(|h| bad.len() != HEADER + h.len as usize || !intact(&bad, &bad[HEADER..], &h));
            assert!(noticed, "bit {i}");
        }
    }
}
