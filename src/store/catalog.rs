//! The catalog: a small ordered map from keys to values that is durable when a batch returns. It holds pointers into segments with their
//! descriptions, and how far segments are acknowledged; every byte of it can be rebuilt from the segments.

use super::encode::{Take, damaged};
use super::segment::Place;
use crate::error::Result;

/// Longest value: larger ones would become files of their own in sled, which its flush does not make durable.
pub const MAX_VALUE: usize = 4096;

/// A change: key, and value or none to remove it.
pub type Change = (Vec<u8>, Option<Vec<u8>>);

/// What keeps the catalog.
pub trait Catalog: Send {
    /// Every key and value, in order of keys.
    fn scan(&self, each: &mut dyn FnMut(&[u8], &[u8]) -> Result<()>) -> Result<()>;
    /// Makes changes, all or none; durable when it returns.
    fn commit(&mut self, changes: Vec<Change>) -> Result<()>;
    /// Fails where a commit would for certain, since one failed before: then nothing may be written that counts without the catalog.
    fn check(&self) -> Result<()> {
        Ok(())
    }
}

/// Changes that are made at once.
const BATCH: usize = 10_000;

/// Makes any number of changes, batch by batch: what makes them count has to be the last.
pub fn commit_all(catalog: &mut dyn Catalog, mut changes: Vec<Change>) -> Result<()> {
    while changes.len() > BATCH {
        let rest = changes.split_off(BATCH);
        catalog.commit(std::mem::replace(&mut changes, rest))?;
    }
    catalog.commit(changes)
}

/// What a key is about. The letters are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum About {
    /// A block: import, number.
    Block = b'b' as isize,
    /// A group of packet references: import, number.
    Packets = b'p' as isize,
    /// A chunk of postings: import, number.
    Postings = b'x' as isize,
    /// A chunk of sums by hour and host: import, number.
    Rollups = b'r' as isize,
    /// Passive DNS: import, number.
    Names = b'n' as isize,
    /// Evidence done: import, 0.
    Done = b'd' as isize,
    /// A source: its number, 0.
    Source = b's' as isize,
    /// What was pruned: its number, 0.
    Pruned = b'q' as isize,
    /// How much is known to be lost: import, 0: parts of it; [`u32::MAX`], 0: bytes of what has no day that cannot be read.
    Missing = b'm' as isize,
    /// How far a segment is acknowledged: day, segment. Of segment 0 of what has no day: below which number no import may begin; without
    /// it the catalog is not complete.
    Watermark = b'w' as isize,
}

/// A key.
pub fn key(about: About, a: u32, b: u32) -> Vec<u8> {
    let mut out = vec![about as u8];
    out.extend_from_slice(&a.to_be_bytes());
    out.extend_from_slice(&b.to_be_bytes());
    out
}

/// What a key says.
pub fn read_key(key: &[u8]) -> Result<(About, u32, u32)> {
    let (Some(letter), Some(numbers)) = (key.first(), key.get(1..9).filter(|_| key.len() == 9)) else {
        return Err(damaged("catalog"));
    };
    use About::{Block, Done, Missing, Names, Packets, Postings, Pruned, Rollups, Source, Watermark};
    let about = [Block, Packets, Postings, Rollups, Names, Done, Source, Pruned, Missing, Watermark]
        .into_iter()
        .find(|a| *a as u8 == *letter)
        .ok_or_else(|| damaged("catalog"))?;
    let number = |at: usize| u32::from_be_bytes([numbers[at], numbers[at + 1], numbers[at + 2], numbers[at + 3]]);
    Ok((about, number(0), number(4)))
}

/// A value: where a frame stands, and its description; with a checksum over key and value.
pub fn value(key: &[u8], place: &Place, meta: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(24 + meta.len());
    out.extend_from_slice(&place.day.to_le_bytes());
    out.extend_from_slice(&place.segment.to_le_bytes());
    out.extend_from_slice(&place.offset.to_le_bytes());
    out.extend_from_slice(&place.len.to_le_bytes());
    out.extend_from_slice(meta);
    let crc = crc32c::crc32c_append(crc32c::crc32c(key), &out);
    out.extend_from_slice(&crc.to_le_bytes());
    out
}

/// What a value says.
pub fn read_value<'a>(key: &[u8], value: &'a [u8]) -> Result<(Place, &'a [u8])> {
    let split = value.len().checked_sub(4).ok_or_else(|| damaged("catalog"))?;
    let (body, crc) = value.split_at(split);
    if crc32c::crc32c_append(crc32c::crc32c(key), body).to_le_bytes() != crc {
        return Err(damaged("catalog"));
    }
    let mut take = Take::new(body);
    let place = Place { day: take.u32()? as i32, segment: take.u32()?, offset: take.u64()?, len: take.u32()? };
    Ok((place, take.rest))
}

/// An entry that says where a frame stands.
pub fn entry(about: About, a: u32, b: u32, place: &Place, meta: &[u8]) -> Change {
    let key = key(about, a, b);
    let value = value(&key, place, meta);
    debug_assert!(value.len() <= MAX_VALUE);
    (key, Some(value))
}
