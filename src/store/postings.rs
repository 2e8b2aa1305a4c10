//! Postings: which rows hold which value of an indexed field, per import, day and source. Values found in up to 192 rows name them; of
//! others the blocks are named. Sorted by field and key and packed into chunks of 512 entries, one frame each.

use super::bits::Bits;
use super::block::Packer;
use super::encode::{Take, damaged, decompress, put_bytes, put_signed, put_varint};
use super::segment::Place;
use crate::error::Result;
use crate::model::SourceId;
use hashbrown::HashMap;
use smallvec::SmallVec;
use std::collections::BTreeMap;

/// Entries of a chunk.
const CHUNK: usize = 512;
/// Bytes after which a chunk ends before that.
const CHUNK_BYTES: usize = 256 << 10;
/// Rows that are named one by one.
const RARE: usize = 192;

type Key = SmallVec<[u8; 24]>;

#[derive(Debug)]
enum Post {
    Rows(SmallVec<[(u32, u16); 2]>),
    Blocks(Vec<(u32, u32)>),
}

/// Postings of one import being collected.
#[derive(Default)]
pub struct Collector {
    tables: BTreeMap<(i32, SourceId), HashMap<Key, Post, foldhash::fast::FixedState>>,
    weight: usize,
}

/// What is known of a chunk without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// Import that wrote it.
    pub import: u32,
    /// Number within the import.
    pub index: u32,
    /// Source of the rows.
    pub source: SourceId,
    /// First key: field number (big-endian), key.
    pub first: Box<[u8]>,
    /// Last key.
    pub last: Box<[u8]>,
}

/// A chunk and where it stands.
#[derive(Debug, Clone)]
pub struct ChunkInfo {
    /// Where.
    pub place: Place,
    /// What.
    pub span: Span,
}

impl Span {
    /// Appends it as bytes.
    pub fn put(&self, out: &mut Vec<u8>) {
        for n in [self.import, self.index, self.source.0] {
            put_varint(out, u64::from(n));
        }
        put_bytes(out, &self.first);
        put_bytes(out, &self.last);
    }
    /// Reads what [`Span::put`] wrote.
    pub fn take(take: &mut Take<'_>) -> Result<Span> {
        let mut n = [0u32; 3];
        for n in &mut n {
            *n = take.size(1 << 32)? as u32;
        }
        let [import, index, source] = n;
        Ok(Span { import, index, source: SourceId(source), first: take.sized()?.into(), last: take.sized()?.into() })
    }
}

impl Collector {
    /// Bytes in memory, about.
    pub fn weight(&self) -> usize {
        self.weight
    }
    /// The rows of a block that hold a value.
    pub fn add(&mut self, day: i32, source: SourceId, block: u32, field: u16, key: &[u8], rows: &[u32]) {
        let table =
            self.tables.entry((day, source)).or_insert_with(|| HashMap::with_hasher(foldhash::fast::FixedState::with_seed(5)));
        let mut full: Key = SmallVec::new();
        full.extend_from_slice(&field.to_be_bytes());
        full.extend_from_slice(key);
        let weight = &mut self.weight;
        let post = table.entry(full).or_insert_with(|| {
            *weight += 112 + if key.len() > 22 { key.len() } else { 0 };
            Post::Rows(SmallVec::new())
        });
        *weight += 8 * rows.len().min(RARE);
        match post {
            Post::Rows(have) if have.len() + rows.len() <= RARE => have.extend(rows.iter().map(|r| (block, *r as u16))),
            Post::Rows(have) => {
                let mut blocks: Vec<(u32, u32)> = Vec::new();
                for (b, _) in have.iter() {
                    match blocks.last_mut() {
                        Some((last, n)) if last == b => *n += 1,
                        _ => blocks.push((*b, 1)),
                    }
                }
                blocks.push((block, rows.len() as u32));
                *post = Post::Blocks(blocks);
            }
            Post::Blocks(blocks) => blocks.push((block, rows.len() as u32)),
        }
    }
    /// Gives every chunk (day, its span's source and keys, body) and is empty then.
    pub fn flush(
        &mut self,
        packer: &mut Packer,
        each: &mut dyn FnMut(i32, SourceId, &[u8], &[u8], Vec<u8>) -> Result<()>,
    ) -> Result<()> {
        self.weight = 0;
        for ((day, source), table) in std::mem::take(&mut self.tables) {
            let mut entries: Vec<(Key, Post)> = table.into_iter().collect();
            entries.sort_unstable_by(|a, b| a.0.cmp(&b.0));
            let mut rest = &entries[..];
            while let Some((first, _)) = rest.first() {
                let mut raw = Vec::new();
                let mut before: &[u8] = &[];
                let mut n = 0;
                while n < rest.len() && n < CHUNK && raw.len() < CHUNK_BYTES {
                    put_entry(&rest[n], before, &mut raw);
                    before = &rest[n].0;
                    n += 1;
                }
                let mut body = vec![0];
                put_varint(&mut body, raw.len() as u64);
                if packer.pack(&raw, &mut body) {
                    body[0] = 1;
                }
                each(day, source, first, before, body)?;
                rest = &rest[n..];
            }
        }
        Ok(())
    }
}

fn put_entry((key, post): &(Key, Post), before: &[u8], out: &mut Vec<u8>) {
    let shared = key.iter().zip(before).take_while(|(a, b)| a == b).count();
    put_varint(out, shared as u64);
    put_bytes(out, &key[shared..]);
    let mut last = 0u32;
    match post {
        Post::Rows(rows) => {
            put_varint(out, (rows.len() as u64) << 1);
            for (block, row) in rows {
                // Blocks come in the order in which they closed.
                put_signed(out, i64::from(*block) - i64::from(last));
                put_varint(out, u64::from(*row));
                last = *block;
            }
        }
        Post::Blocks(blocks) => {
            put_varint(out, (blocks.len() as u64) << 1 | 1);
            for (block, n) in blocks {
                put_signed(out, i64::from(*block) - i64::from(last));
                put_varint(out, u64::from(*n));
                last = *block;
            }
        }
    }
}

/// Which rows of one import hold what was looked for: per block its rows, or all of them may.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found(pub BTreeMap<u32, Rows>);

/// Rows of a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rows {
    /// Exactly these, ascending.
    These(Vec<u16>),
    /// None but these, ascending; they may not be.
    Among(Vec<u16>),
    /// Any.
    Some,
}

impl Found {
    fn row(&mut self, block: u32, row: u16) {
        if let Rows::These(rows) = self.0.entry(block).or_insert_with(|| Rows::These(Vec::new())) {
            rows.push(row);
        }
    }
    /// Rows in order, each once.
    pub fn settle(&mut self) {
        for rows in self.0.values_mut() {
            if let Rows::These(rows) | Rows::Among(rows) = rows {
                rows.sort_unstable();
                rows.dedup();
            }
        }
    }
    /// Takes in rows of a block that are known exactly.
    pub fn take(&mut self, block: u32, rows: impl IntoIterator<Item = usize>) {
        rows.into_iter().for_each(|row| self.row(block, row as u16));
    }
    /// The rows of a block that may be in, as bits; none: it has none.
    pub fn bits(&self, block: u32, rows: usize) -> Option<Bits> {
        match self.0.get(&block)? {
            Rows::Some => Some(Bits::all(rows)),
            Rows::These(these) | Rows::Among(these) => {
                let mut bits = Bits::none(rows);
                these.iter().for_each(|row| bits.set(usize::from(*row)));
                Some(bits)
            }
        }
    }
    /// Rows that are in both.
    pub fn and(self, other: &Found) -> Found {
        let both = self.0.into_iter().filter_map(|(block, rows)| {
            let both = |a: Vec<u16>, b: &[u16]| -> Vec<u16> { a.into_iter().filter(|r| b.binary_search(r).is_ok()).collect() };
            let rows = match (rows, other.0.get(&block)?) {
                (Rows::These(a), Rows::These(b)) => Rows::These(both(a, b)),
                (Rows::These(a) | Rows::Among(a), Rows::These(b) | Rows::Among(b)) => Rows::Among(both(a, b)),
                (Rows::These(a) | Rows::Among(a), Rows::Some) => Rows::Among(a),
                (Rows::Some, Rows::These(b) | Rows::Among(b)) => Rows::Among(b.clone()),
                (Rows::Some, Rows::Some) => Rows::Some,
            };
            if matches!(&rows, Rows::These(rows) | Rows::Among(rows) if rows.is_empty()) {
                return None;
            }
            Some((block, rows))
        });
        Found(both.collect())
    }
}

/// A range of keys of one field, both ends included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    /// First: field number and key.
    pub low: Vec<u8>,
    /// Last.
    pub high: Vec<u8>,
}

impl Range {
    /// Whether a chunk may hold keys of it.
    pub fn touches(&self, span: &Span) -> bool {
        *span.first <= *self.high && *span.last >= *self.low
    }
}

/// The entries of a chunk, of its body.
pub fn unpack(body: &[u8]) -> Result<Vec<u8>> {
    let mut take = Take::new(body);
    let packed = take.u8()? != 0;
    let len = take.size(1 << 30)?;
    if !packed {
        return Ok(take.rest.to_vec());
    }
    decompress(take.rest, len).ok_or_else(|| damaged("postings"))
}

/// Adds to `found` what the entries of a chunk have for ranges, which are sorted by where they begin.
pub fn search<'r>(entries: &[u8], ranges: impl IntoIterator<Item = &'r Range>, found: &mut Found) -> Result<()> {
    let mut ranges = ranges.into_iter().peekable();
    let wants = |key: &[u8]| {
        // Keys ascend: a range that ends before this one has no more of them.
        while ranges.next_if(|range| key > &range.high[..]).is_some() {}
        match ranges.peek() {
            None => Wants::End,
            Some(range) if key >= &range.low[..] => Wants::Yes,
            Some(_) => Wants::No,
        }
    };
    walk(entries, wants, |block, row| match row {
        Some(row) => found.row(block, row),
        None => drop(found.0.insert(block, Rows::Some)),
    })
}

/// What is wanted of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wants {
    /// Its rows or blocks.
    Yes,
    /// Nothing.
    No,
    /// Nothing, and nothing after it.
    End,
}

/// Goes through the entries of a chunk in order of key (field number, then key): `wants` is asked of each, `found` is given the blocks
/// of those that are wanted, with the row where rows are named.
pub fn walk(entries: &[u8], mut wants: impl FnMut(&[u8]) -> Wants, mut found: impl FnMut(u32, Option<u16>)) -> Result<()> {
    let mut take = Take::new(entries);
    let mut key: Vec<u8> = Vec::new();
    while !take.rest.is_empty() {
        let shared = take.size(key.len() + 1)?;
        key.truncate(shared);
        key.extend_from_slice(take.sized()?);
        let wanted = wants(&key);
        if wanted == Wants::End {
            return Ok(());
        }
        let head = take.varint()?;
        let mut block = 0i64;
        for _ in 0..head >> 1 {
            block = block.wrapping_add(take.signed()?);
            let n = take.varint()?;
            if wanted == Wants::Yes {
                let block = u32::try_from(block).map_err(|_| damaged("postings"))?;
                found(block, (head & 1 == 0).then_some(n as u16));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rare_values_name_rows_heavy_ones_blocks_and_ranges_unite() {
        let mut c = Collector::default();
        for block in 0..3 {
            c.add(1, SourceId(1), block, 11, b"rare", &[block * 2]);
            c.add(1, SourceId(1), block, 11, b"rarf", &[9]);
            c.add(1, SourceId(1), block, 11, b"heavy", &(0..80).collect::<Vec<_>>());
            c.add(1, SourceId(1), block, 12, b"rare", &[1]);
        }
        let mut chunks = Vec::new();
        let mut packer = Packer::new().unwrap();
        c.flush(&mut packer, &mut |_, _, first, last, body| {
            chunks.push((first.to_vec(), last.to_vec(), body));
            Ok(())
        })
        .unwrap();
        assert_eq!(chunks.len(), 1);
        let look = |low: &[u8], high: &[u8]| {
            let key = |k: &[u8]| [&[0, 11], k].concat();
            let mut found = Found::default();
            let range = Range { low: key(low), high: key(high) };
            search(&unpack(&chunks[0].2).unwrap(), [&range], &mut found).unwrap();
            found.settle();
            found.0.into_iter().collect::<Vec<_>>()
        };
        assert_eq!(look(b"rare", b"rare"), (0..3).map(|b| (b, Rows::These(vec![b as u16 * 2]))).collect::<Vec<_>>());
        assert_eq!(look(b"rare", b"rarf")[1], (1, Rows::These(vec![2, 9])));
        assert_eq!(look(b"heavy", b"heavy"), (0..3).map(|b| (b, Rows::Some)).collect::<Vec<_>>());
        assert!(look(b"x", b"z").is_empty());
        // Of ranges within ranges and beside each other each key is found once.
        let key = |k: &[u8]| [&[0, 11], k].concat();
        let range = |low: &[u8], high: &[u8]| Range { low: key(low), high: key(high) };
        let ranges =
            [range(b"a", b"b"), range(b"h", b"rare"), range(b"heavy", b"heavy"), range(b"q", b"q"), range(b"rarf", b"z")];
        let mut found = Found::default();
        search(&unpack(&chunks[0].2).unwrap(), &ranges, &mut found).unwrap();
        assert!(found.0.values().all(|rows| *rows == Rows::Some) && found.0.len() == 3);
        let mut found = Found::default();
        search(&unpack(&chunks[0].2).unwrap(), &ranges[3..], &mut found).unwrap();
        assert_eq!(found.0.into_values().collect::<Vec<_>>(), vec![Rows::These(vec![9]); 3]);
    }
}
