//! One column of a block: values of one field and one variant, with the rows that they belong to; built value by value, encoded into
//! bytes, decoded from them. Knows nothing of compression or frames.
//!
//! Encodings: a constant; bytes; 16-bit; varints; zigzag deltas (times, offsets), the last two divided by the largest power of 1000 that
//! divides every value; texts as a dictionary in order of first use, each use as 0 (the next new text) or the distance back; addresses
//! as indexes into the block's sorted dictionary.

use super::encode::{Take, damaged, put_varint};
use super::numbers::{decode_deltas, decode_uints, encode_deltas, encode_uints, pick_deltas, pick_uints};
use crate::error::Result;
use crate::model::{Time, Value};
use compact_str::CompactString;
use hashbrown::HashTable;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::ops::Range;
use std::sync::Arc;

/// Most values that a column may hold; a block closes before.
pub const MAX_VALUES: usize = 1 << 24;

/// Which variant of [`Value`] a column holds. Numbers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Variant {
    /// Booleans.
    Bool = 0,
    /// Unsigned numbers.
    Uint = 1,
    /// Real numbers.
    Float = 2,
    /// Texts.
    Text = 3,
    /// Addresses.
    Addr = 4,
    /// Instants, and any signed number.
    Time = 5,
}

impl Variant {
    /// Every variant, by number.
    pub const ALL: [Variant; 6] = [Variant::Bool, Variant::Uint, Variant::Float, Variant::Text, Variant::Addr, Variant::Time];
    /// The variant of a value.
    pub fn of(value: &Value) -> Variant {
        match value {
            Value::Bool(_) => Variant::Bool,
            Value::Uint(_) => Variant::Uint,
            Value::Float(_) => Variant::Float,
            Value::Text(_) => Variant::Text,
            Value::Addr(_) => Variant::Addr,
            Value::Time(_) => Variant::Time,
        }
    }
    /// The variant with a number.
    pub fn from_u8(n: u8) -> Option<Variant> {
        Variant::ALL.get(n as usize).copied()
    }
}

/// Distinct texts in one string.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Texts {
    bytes: String,
    ends: Vec<u32>,
}

impl Texts {
    /// Number of texts.
    pub fn len(&self) -> usize {
        self.ends.len()
    }
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }
    /// The text with a number; an unknown number gives the empty text.
    pub fn at(&self, i: usize) -> &str {
        let start = if i == 0 { 0 } else { self.ends.get(i - 1).copied().unwrap_or(0) as usize };
        let end = self.ends.get(i).copied().unwrap_or(0) as usize;
        self.bytes.get(start..end).unwrap_or("")
    }
    fn push(&mut self, text: &str) {
        self.bytes.push_str(text);
        self.ends.push(self.bytes.len() as u32);
    }
}

/// Values of a column, decoded.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// Booleans.
    Bool(Vec<bool>),
    /// Unsigned numbers.
    Uint(Vec<u64>),
    /// Real numbers.
    Float(Vec<f64>),
    /// Instants or signed numbers.
    Time(Vec<i64>),
    /// Indexes into the block's addresses.
    Addr(Vec<u32>, Arc<Vec<IpAddr>>),
    /// Indexes into texts.
    Text(Vec<u32>, Texts),
}

/// A decoded column.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// Where each row's values begin (rows + 1 numbers); none: every row has one value.
    starts: Option<Vec<u32>>,
    /// The values.
    pub values: Values,
}

impl Column {
    /// Which values a row has.
    #[inline]
    pub fn range(&self, row: usize) -> Range<usize> {
        match &self.starts {
            None => row..row + 1,
            Some(starts) => match (starts.get(row), starts.get(row + 1)) {
                (Some(a), Some(b)) => *a as usize..*b as usize,
                _ => 0..0,
            },
        }
    }
    /// The value at a place.
    pub fn value(&self, i: usize) -> Option<Value> {
        Some(match &self.values {
            Values::Bool(v) => Value::Bool(*v.get(i)?),
            Values::Uint(v) => Value::Uint(*v.get(i)?),
            Values::Float(v) => Value::Float(*v.get(i)?),
            Values::Time(v) => Value::Time(Time(*v.get(i)?)),
            Values::Addr(v, dict) => Value::Addr(*dict.get(*v.get(i)? as usize)?),
            Values::Text(v, texts) => Value::Text(CompactString::from(texts.at(*v.get(i)? as usize))),
        })
    }
    /// The first unsigned number of a row.
    #[inline]
    pub fn uint(&self, row: usize) -> Option<u64> {
        match &self.values {
            Values::Uint(v) => self.range(row).next().and_then(|i| v.get(i).copied()),
            _ => None,
        }
    }
    /// The first address of a row.
    #[inline]
    pub fn addr(&self, row: usize) -> Option<IpAddr> {
        match &self.values {
            Values::Addr(v, dict) => self.range(row).next().and_then(|i| dict.get(*v.get(i)? as usize).copied()),
            _ => None,
        }
    }
    /// The signed numbers of a head column.
    pub fn times(&self) -> &[i64] {
        if let Values::Time(v) = &self.values { v } else { &[] }
    }
    /// The unsigned numbers of a head column.
    pub fn uints(&self) -> &[u64] {
        if let Values::Uint(v) = &self.values { v } else { &[] }
    }
    /// The values of some rows, as a column of as many rows.
    pub fn pick(&self, rows: &[usize]) -> Column {
        let places: Vec<usize> = rows.iter().flat_map(|row| self.range(*row)).collect();
        fn of<T: Copy>(values: &[T], places: &[usize]) -> Vec<T> {
            places.iter().filter_map(|at| values.get(*at).copied()).collect()
        }
        let values = match &self.values {
            Values::Bool(v) => Values::Bool(of(v, &places)),
            Values::Uint(v) => Values::Uint(of(v, &places)),
            Values::Float(v) => Values::Float(of(v, &places)),
            Values::Time(v) => Values::Time(of(v, &places)),
            Values::Addr(v, dict) => Values::Addr(of(v, &places), Arc::clone(dict)),
            Values::Text(v, texts) => {
                let uses = of(v, &places);
                let mut some = Texts::default();
                uses.iter().for_each(|i| some.push(texts.at(*i as usize)));
                Values::Text((0..uses.len() as u32).collect(), some)
            }
        };
        Column { starts: self.starts.as_ref().map(|_| starts_of(rows.iter().map(|row| self.range(*row).len()))), values }
    }
    /// Bytes that it takes in memory, about.
    pub fn weight(&self) -> usize {
        let values = match &self.values {
            Values::Bool(v) => v.len(),
            Values::Uint(v) => v.len() * 8,
            Values::Float(v) => v.len() * 8,
            Values::Time(v) => v.len() * 8,
            Values::Addr(v, _) => v.len() * 4,
            Values::Text(v, t) => v.len() * 4 + t.bytes.len() + t.ends.len() * 4,
        };
        values + self.starts.as_ref().map_or(0, |s| s.len() * 4) + 96
    }
}

/// Values being collected.
#[derive(Debug)]
enum Pending {
    Bool(Vec<bool>),
    Uint(Vec<u64>),
    Float(Vec<f64>),
    Time(Vec<i64>),
    Addr(Vec<u32>),
    Text { uses: Vec<u32>, texts: Texts, table: HashTable<u32> },
}

/// A column being built.
#[derive(Debug)]
pub struct Builder {
    rows: Vec<u32>,
    pending: Pending,
    hasher: foldhash::fast::FixedState,
}

impl Builder {
    /// An empty column.
    pub fn new(variant: Variant) -> Builder {
        let pending = match variant {
            Variant::Bool => Pending::Bool(Vec::new()),
            Variant::Uint => Pending::Uint(Vec::new()),
            Variant::Float => Pending::Float(Vec::new()),
            Variant::Time => Pending::Time(Vec::new()),
            Variant::Addr => Pending::Addr(Vec::new()),
            Variant::Text => Pending::Text { uses: Vec::new(), texts: Texts::default(), table: HashTable::new() },
        };
        Builder { rows: Vec::new(), pending, hasher: foldhash::fast::FixedState::with_seed(7) }
    }
    /// Number of values.
    pub fn values(&self) -> usize {
        self.rows.len()
    }
    /// Adds a text; gives back how many bytes the column grew by.
    pub fn push_text(&mut self, row: u32, text: &str) -> usize {
        let Pending::Text { uses, texts, table } = &mut self.pending else { return 0 };
        let hash = self.hasher.hash_one(text);
        self.rows.push(row);
        if let Some(i) = table.find(hash, |i| texts.at(*i as usize) == text) {
            uses.push(*i);
            return 8;
        }
        let i = texts.len() as u32;
        texts.push(text);
        uses.push(i);
        let hasher = &self.hasher;
        table.insert_unique(hash, i, |i| hasher.hash_one(texts.at(*i as usize)));
        text.len() + 16
    }
    /// Adds an unsigned number.
    pub fn push_uint(&mut self, row: u32, n: u64) {
        if let Pending::Uint(v) = &mut self.pending {
            v.push(n);
            self.rows.push(row);
        }
    }
    /// Adds an instant or signed number.
    pub fn push_time(&mut self, row: u32, n: i64) {
        if let Pending::Time(v) = &mut self.pending {
            v.push(n);
            self.rows.push(row);
        }
    }
    /// Adds a real number.
    pub fn push_float(&mut self, row: u32, x: f64) {
        if let Pending::Float(v) = &mut self.pending {
            v.push(x);
            self.rows.push(row);
        }
    }
    /// Adds a boolean.
    pub fn push_bool(&mut self, row: u32, b: bool) {
        if let Pending::Bool(v) = &mut self.pending {
            v.push(b);
            self.rows.push(row);
        }
    }
    /// Adds an address by its number in the block's dictionary as collected (not sorted yet).
    pub fn push_addr(&mut self, row: u32, index: u32) {
        if let Pending::Addr(v) = &mut self.pending {
            v.push(index);
            self.rows.push(row);
        }
    }
    /// Addresses get their numbers in the sorted dictionary.
    pub fn renumber(&mut self, sorted: &[u32]) {
        if let Pending::Addr(v) = &mut self.pending {
            v.iter_mut().for_each(|i| *i = sorted.get(*i as usize).copied().unwrap_or(0));
        }
    }
    /// The same rows with other unsigned numbers.
    pub fn with_uints(&self, values: Vec<u64>) -> Builder {
        Builder { rows: self.rows.clone(), pending: Pending::Uint(values), hasher: self.hasher.clone() }
    }
    /// The same rows with other signed numbers.
    pub fn with_times(&self, values: Vec<i64>) -> Builder {
        Builder { rows: self.rows.clone(), pending: Pending::Time(values), hasher: self.hasher.clone() }
    }
    /// Each use: number of the address or text (or the value itself of a number), and its row.
    pub fn uses(&self, each: &mut dyn FnMut(u64, u32)) {
        match &self.pending {
            Pending::Addr(v) | Pending::Text { uses: v, .. } => {
                v.iter().zip(&self.rows).for_each(|(i, row)| each(u64::from(*i), *row));
            }
            Pending::Uint(v) => v.iter().zip(&self.rows).for_each(|(n, row)| each(*n, *row)),
            Pending::Bool(_) | Pending::Float(_) | Pending::Time(_) => {}
        }
    }
    /// The row of each value.
    pub fn rows(&self) -> &[u32] {
        &self.rows
    }
    /// The values of a column of unsigned numbers.
    pub fn uints(&self) -> &[u64] {
        if let Pending::Uint(v) = &self.pending { v } else { &[] }
    }
    /// The values of a column of instants or signed numbers.
    pub fn times(&self) -> &[i64] {
        if let Pending::Time(v) = &self.pending { v } else { &[] }
    }
    /// The numbers of the addresses or texts of such a column.
    pub fn indexes(&self) -> &[u32] {
        match &self.pending {
            Pending::Addr(v) | Pending::Text { uses: v, .. } => v,
            _ => &[],
        }
    }
    /// The distinct texts of a text column.
    pub fn texts(&self) -> Option<&Texts> {
        if let Pending::Text { texts, .. } = &self.pending { Some(texts) } else { None }
    }
    /// Writes presence and values for a block of `rows` rows.
    pub fn encode(&self, rows: usize, out: &mut Vec<u8>) {
        self.encode_presence(rows, out);
        match &self.pending {
            Pending::Bool(v) => out.extend(v.iter().map(|b| u8::from(*b))),
            Pending::Uint(v) => encode_uints(v, out),
            Pending::Float(v) => v.iter().for_each(|x| out.extend_from_slice(&x.to_bits().to_le_bytes())),
            Pending::Time(v) => encode_deltas(v, out),
            Pending::Addr(v) => {
                let v: Vec<u64> = v.iter().map(|i| u64::from(*i)).collect();
                encode_uints(&v, out);
            }
            Pending::Text { uses, texts, .. } => {
                put_varint(out, texts.len() as u64);
                let mut start = 0;
                for end in &texts.ends {
                    put_varint(out, u64::from(end - start));
                    start = *end;
                }
                out.extend_from_slice(texts.bytes.as_bytes());
                let mut next = 0;
                for i in uses {
                    put_varint(out, u64::from(next - i));
                    next += u32::from(*i == next);
                }
            }
        }
    }
    fn encode_presence(&self, rows: usize, out: &mut Vec<u8>) {
        if self.rows.len() == rows && self.rows.iter().enumerate().all(|(i, r)| i == *r as usize) {
            out.push(0);
        } else if self.rows.windows(2).all(|w| w[0] < w[1]) {
            out.push(1);
            let mut bits = vec![0u8; rows.div_ceil(8)];
            for r in &self.rows {
                bits[*r as usize / 8] |= 1 << (r % 8);
            }
            out.extend_from_slice(&bits);
        } else {
            out.push(2);
            let mut counts = vec![0u32; rows];
            for r in &self.rows {
                counts[*r as usize] += 1;
            }
            counts.iter().for_each(|n| put_varint(out, u64::from(*n)));
        }
    }
}

/// Decodes a column of a block of `rows` rows. `addrs`: the block's dictionary.
pub fn decode(variant: Variant, bytes: &[u8], rows: usize, addrs: &Arc<Vec<IpAddr>>) -> Result<Column> {
    let mut take = Take::new(bytes);
    let (starts, n) = decode_presence(&mut take, rows)?;
    let values = match variant {
        Variant::Bool => Values::Bool(take.bytes(n)?.iter().map(|b| *b != 0).collect()),
        Variant::Uint => Values::Uint(decode_uints(&mut take, n)?),
        Variant::Time => Values::Time(decode_deltas(&mut take, n)?),
        Variant::Float => {
            let mut v = Vec::with_capacity(n);
            for _ in 0..n {
                v.push(f64::from_bits(take.u64()?));
            }
            Values::Float(v)
        }
        Variant::Addr => Values::Addr(decode_uints(&mut take, n)?.into_iter().map(|i| i as u32).collect(), Arc::clone(addrs)),
        Variant::Text => {
            let count = take.size(MAX_VALUES + 1)?;
            let mut ends = Vec::with_capacity(count);
            let mut end = 0u64;
            take.varints(count, &mut |len| {
                end = end.saturating_add(len);
                ends.push(end as u32);
            })?;
            let end = usize::try_from(end).map_err(|_| damaged("text column"))?;
            let bytes = std::str::from_utf8(take.bytes(end)?).map_err(|_| damaged("text column"))?.to_owned();
            let mut uses = Vec::with_capacity(n);
            let mut next = 0u32;
            let mut fits = true;
            take.varints(n, &mut |back| {
                fits &= back <= u64::from(next);
                uses.push(next.wrapping_sub(back as u32));
                next += u32::from(back == 0);
            })?;
            if !fits || next as usize > count {
                return Err(damaged("text column"));
            }
            Values::Text(uses, Texts { bytes, ends })
        }
    };
    Ok(Column { starts, values })
}

/// Where the values of each row begin.
fn starts_of(lens: impl Iterator<Item = usize>) -> Vec<u32> {
    let mut at = 0;
    let mut starts = vec![0];
    starts.extend(lens.map(|len| {
        at += len as u32;
        at
    }));
    starts
}

/// Decodes the values of some rows (in order), as a column of as many rows: the others are passed over.
pub fn decode_some(variant: Variant, bytes: &[u8], rows: usize, addrs: &Arc<Vec<IpAddr>>, some: &[usize]) -> Result<Column> {
    if !matches!(variant, Variant::Uint | Variant::Time | Variant::Addr) {
        return Ok(decode(variant, bytes, rows, addrs)?.pick(some));
    }
    let mut take = Take::new(bytes);
    let (starts, n) = decode_presence(&mut take, rows)?;
    let range = |row: usize| match &starts {
        None => row..row + 1,
        Some(starts) => starts.get(row).map_or(0..0, |a| *a as usize..starts.get(row + 1).map_or(*a, |b| *b) as usize),
    };
    let places: Vec<usize> = some.iter().flat_map(|row| range(*row)).collect();
    let values = match variant {
        Variant::Time => Values::Time(pick_deltas(&mut take, n, &places)?),
        Variant::Uint => Values::Uint(pick_uints(&mut take, n, &places)?),
        _ => Values::Addr(pick_uints(&mut take, n, &places)?.into_iter().map(|i| i as u32).collect(), Arc::clone(addrs)),
    };
    let starts = starts.as_ref().map(|_| starts_of(some.iter().map(|row| range(*row).len())));
    Ok(Column { starts, values })
}

fn decode_presence(take: &mut Take<'_>, rows: usize) -> Result<(Option<Vec<u32>>, usize)> {
    let mode = take.u8()?;
    if mode == 0 {
        return Ok((None, rows));
    }
    let mut starts = Vec::with_capacity(rows + 1);
    let mut at = 0u32;
    starts.push(0);
    match mode {
        1 => {
            let bits = take.bytes(rows.div_ceil(8))?;
            for row in 0..rows {
                at += u32::from(bits[row / 8] >> (row % 8) & 1);
                starts.push(at);
            }
        }
        2 => {
            for _ in 0..rows {
                at += take.size(MAX_VALUES)? as u32;
                if at as usize > MAX_VALUES {
                    return Err(damaged("column"));
                }
                starts.push(at);
            }
        }
        _ => return Err(damaged("column")),
    }
    Ok((Some(starts), at as usize))
}

#[cfg(test)]
mod tests;
