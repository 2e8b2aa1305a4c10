//! A block: up to 8,192 rows of one evidence file, one source and one raw UTC day, in columns; each column is compressed by itself so
//! that a reader takes just those that it needs. Flows and events are in separate blocks, flows longer than an hour in blocks of their own.
//!
//! Payload: description ([`Zone`]), directory (one [`Entry`] per column), columns. Head columns have numbers above 0xff00.

use super::based;
use super::column::{self, Builder, Column, Variant};
use super::encode::{Take, damaged, decompress, unzigzag, zigzag};
use super::zone::{self, Most};
use crate::error::Result;
use crate::model::{EvidenceKey, Kind, Record, SourceId, Time, Value, field};
use hashbrown::HashMap;
use smallvec::SmallVec;
use std::net::IpAddr;
use std::sync::Arc;

pub use super::zone::Zone;

/// Most rows of a block.
pub const ROWS: usize = 8192;
/// Bytes of values after which a block closes early.
const FULL: usize = 8 << 20;
/// Addresses after which a block closes early.
const MANY_ADDRS: usize = 60_000;

/// Head column: offset of the record's first byte.
pub const OFFSET: u16 = 0xff00;
/// Head column: ordinal of the id.
pub const ORDINAL: u16 = 0xff01;
/// Head column: kind.
pub const KIND: u16 = 0xff02;
/// Head column: start.
pub const START: u16 = 0xff03;
/// Head column: end minus start, zigzag.
pub const SPAN: u16 = 0xff04;
/// Head column: length of the origin.
pub const LEN: u16 = 0xff05;
/// Not a column: the dictionary of addresses.
pub const ADDRS: u16 = 0xff06;

/// What kind of rows a block holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// Flows up to an hour.
    Flows = 0,
    /// Flows longer than an hour.
    LongFlows = 1,
    /// Everything else.
    Events = 2,
}

impl Class {
    /// The class of a record.
    pub fn of(record: &Record) -> Class {
        match record.kind {
            Kind::Flow if record.end.since(record.start) > 3600 * crate::model::time::SECOND => Class::LongFlows,
            Kind::Flow => Class::Flows,
            _ => Class::Events,
        }
    }
}

/// One column in the directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Number of the field, or of a head column.
    pub field: u16,
    /// Variant of its values.
    pub variant: Variant,
    packed: bool,
    /// Its values are differences to another column, see [`based`].
    pub based: bool,
    /// Where it begins, after the directory.
    pub offset: u32,
    /// Length as stored.
    pub stored: u32,
    /// Length before compression.
    pub raw: u32,
    crc: u32,
}

/// Length of a directory entry.
pub const ENTRY: usize = 16;

/// Reads a directory.
pub fn directory(bytes: &[u8]) -> Result<Vec<Entry>> {
    let mut take = Take::new(bytes);
    let mut out = Vec::with_capacity(bytes.len() / ENTRY);
    let mut offset = 0u32;
    while !take.rest.is_empty() {
        let field = take.u16()?;
        let variant = Variant::from_u8(take.u8()?).ok_or_else(|| damaged("block: unknown column"))?;
        let flags = take.u8()?;
        let (packed, based) = (flags & 1 != 0, flags & 2 != 0);
        let (stored, raw, crc) = (take.u32()?, take.u32()?, take.u32()?);
        out.push(Entry { field, variant, packed, based, offset, stored, raw, crc });
        offset = offset.checked_add(stored).ok_or_else(|| damaged("block"))?;
    }
    Ok(out)
}

/// The bytes of a column as they were before compression, checked.
pub fn unpack(entry: &Entry, stored: &[u8]) -> Result<Vec<u8>> {
    if crc32c::crc32c(stored) != entry.crc || entry.raw > 1 << 30 {
        return Err(damaged("column"));
    }
    if !entry.packed {
        return Ok(stored.to_vec());
    }
    decompress(stored, entry.raw as usize).ok_or_else(|| damaged("column"))
}

/// A decoded column of a block.
pub fn decode(entry: &Entry, stored: &[u8], rows: usize, addrs: &Arc<Vec<IpAddr>>) -> Result<Column> {
    column::decode(entry.variant, &unpack(entry, stored)?, rows, addrs)
}

/// Numbers of the span column as nanoseconds.
pub fn span(n: u64) -> i64 {
    unzigzag(n)
}

/// Compresses with zstd level 1 where that makes it smaller.
pub struct Packer {
    compressor: zstd::bulk::Compressor<'static>,
}

impl Packer {
    /// A compressor that can be used again and again.
    pub fn new() -> Result<Packer> {
        let compressor =
            zstd::bulk::Compressor::new(1).map_err(|e| crate::error::Error::internal(format!("cannot set up zstd: {e}")))?;
        Ok(Packer { compressor })
    }
    /// Appends packed or raw bytes; true if packed.
    pub fn pack(&mut self, raw: &[u8], out: &mut Vec<u8>) -> bool {
        if raw.len() >= 48
            && let Ok(packed) = self.compressor.compress(raw)
            && packed.len() + 16 < raw.len()
        {
            out.extend_from_slice(&packed);
            return true;
        }
        out.extend_from_slice(raw);
        false
    }
}

/// A block being filled.
pub struct BlockBuilder {
    /// Source of its rows.
    pub source: SourceId,
    rows: u32,
    bytes: usize,
    heads: [Builder; 6],
    zone_start: (Time, Time),
    zone_end: (Time, Time),
    zone_offsets: (u64, u64),
    kinds: [u32; Kind::ALL.len()],
    /// Column of (field, variant) for fields below 256; others are searched.
    slots: Vec<u16>,
    columns: Vec<(u16, Variant, Builder)>,
    addrs: HashMap<IpAddr, u32, foldhash::fast::FixedState>,
    list: Vec<IpAddr>,
}

const NO_SLOT: u16 = u16::MAX;
const VARIANTS: usize = 6;

impl BlockBuilder {
    /// An empty block.
    pub fn new(source: SourceId) -> BlockBuilder {
        let head = |variant| Builder::new(variant);
        BlockBuilder {
            source,
            rows: 0,
            bytes: 0,
            heads: [
                head(Variant::Time),
                head(Variant::Uint),
                head(Variant::Uint),
                head(Variant::Time),
                head(Variant::Uint),
                head(Variant::Uint),
            ],
            zone_start: (Time::MAX, Time::MIN),
            zone_end: (Time::MAX, Time::MIN),
            zone_offsets: (u64::MAX, 0),
            kinds: [0; Kind::ALL.len()],
            slots: vec![NO_SLOT; 256 * VARIANTS],
            columns: Vec::new(),
            addrs: HashMap::with_hasher(foldhash::fast::FixedState::with_seed(3)),
            list: Vec::new(),
        }
    }
    /// Rows so far.
    pub fn rows(&self) -> usize {
        self.rows as usize
    }
    /// Whether it is to be closed now.
    pub fn is_full(&self) -> bool {
        self.rows as usize >= ROWS || self.bytes >= FULL || self.list.len() >= MANY_ADDRS
    }
    /// The column of a field and variant, if any row has such values. Addresses are numbers in [`BlockBuilder::addrs`].
    pub fn column(&self, field: u16, variant: Variant) -> Option<&Builder> {
        self.columns.iter().find(|(f, v, _)| *f == field && *v == variant).map(|(_, _, b)| b)
    }
    /// Its addresses, in order of first use.
    pub fn addrs(&self) -> &[IpAddr] {
        &self.list
    }
    /// Kind of each row.
    pub fn kinds(&self) -> &[u64] {
        self.heads[2].uints()
    }
    /// Start of each row.
    pub fn starts(&self) -> &[i64] {
        self.heads[3].times()
    }
    /// Adds a row.
    pub fn push(&mut self, record: Record) {
        let row = self.rows;
        let [offset, ordinal, kind, start, span, len] = &mut self.heads;
        offset.push_time(row, record.id.offset as i64);
        ordinal.push_uint(row, u64::from(record.id.ordinal));
        kind.push_uint(row, record.kind as u64);
        start.push_time(row, record.start.0);
        span.push_uint(row, zigzag(record.end.0.wrapping_sub(record.start.0)));
        len.push_uint(row, u64::from(record.len));
        self.zone_start = (self.zone_start.0.min(record.start), self.zone_start.1.max(record.start));
        self.zone_end = (self.zone_end.0.min(record.end), self.zone_end.1.max(record.end));
        self.zone_offsets = (self.zone_offsets.0.min(record.id.offset), self.zone_offsets.1.max(record.id.offset));
        self.kinds[record.kind as usize] += 1;
        for (id, value) in record.fields {
            self.push_value(row, id.0, &value);
        }
        self.rows += 1;
    }
    fn push_value(&mut self, row: u32, field: u16, value: &Value) {
        let variant = Variant::of(value);
        let slot = self.slot(field, variant);
        let column = &mut self.columns[slot].2;
        if column.values() >= column::MAX_VALUES {
            return;
        }
        match value {
            Value::Bool(b) => column.push_bool(row, *b),
            Value::Uint(n) => column.push_uint(row, *n),
            Value::Float(x) => column.push_float(row, *x),
            Value::Time(t) => column.push_time(row, t.0),
            Value::Text(t) => self.bytes += column.push_text(row, t),
            Value::Addr(a) => {
                let next = self.list.len() as u32;
                let index = *self.addrs.entry(*a).or_insert(next);
                if index == next {
                    self.list.push(*a);
                }
                column.push_addr(row, index);
            }
        }
        self.bytes += 8;
    }
    fn slot(&mut self, field: u16, variant: Variant) -> usize {
        let direct = field as usize * VARIANTS + variant as usize;
        match self.slots.get(direct) {
            Some(&slot) if slot != NO_SLOT => return slot as usize,
            Some(_) => {}
            None => {
                if let Some(at) = self.columns.iter().position(|(f, v, _)| *f == field && *v == variant) {
                    return at;
                }
            }
        }
        let at = self.columns.len();
        self.columns.push((field, variant, Builder::new(variant)));
        if let Some(slot) = self.slots.get_mut(direct) {
            *slot = at as u16;
        }
        at
    }
    /// Closes it: description and body of the frame. `index` is told, for each indexed field, each distinct value's key and its rows.
    pub fn close(
        mut self,
        import: u32,
        number: u32,
        evidence: EvidenceKey,
        packer: &mut Packer,
        index: &mut dyn FnMut(u16, &[u8], &[u32]),
    ) -> (Zone, Vec<u8>) {
        let addrs = self.sort_addrs();
        self.columns.sort_by_key(|(field, variant, _)| (*field, *variant));
        for (id, _, builder) in &self.columns {
            if super::keys::is_indexed(crate::model::FieldId(*id)) {
                index_column(*id, builder, &addrs, index);
            }
        }
        let rows = self.rows as usize;
        let mut entries = Vec::new();
        let mut body = Vec::new();
        let mut raw = Vec::new();
        super::numbers::encode_addrs(&addrs, &mut raw);
        let heads = [OFFSET, ORDINAL, KIND, START, SPAN, LEN].into_iter().zip(&self.heads);
        let heads = heads.map(|(id, b)| (id, if matches!(id, OFFSET | START) { Variant::Time } else { Variant::Uint }, b));
        put_column(ADDRS, Variant::Addr, &raw, None, packer, &mut entries, &mut body);
        let mut other = Vec::new();
        for (id, variant, builder) in heads.chain(self.columns.iter().map(|(f, v, b)| (*f, *v, b))) {
            raw.clear();
            builder.encode(rows, &mut raw);
            let based = self.differences(id, variant, builder).map(|b| {
                other.clear();
                b.encode(rows, &mut other);
                &other[..]
            });
            put_column(id, variant, &raw, based, packer, &mut entries, &mut body);
        }
        let kinds = Kind::ALL.iter().map(|k| (*k, self.kinds[*k as usize])).filter(|(_, n)| *n > 0).collect();
        let zone = Zone {
            import,
            index: number,
            evidence,
            source: self.source,
            rows: self.rows,
            columns: (entries.len() / ENTRY) as u32,
            start: self.zone_start,
            end: self.zone_end,
            offsets: self.zone_offsets,
            kinds,
            most: self.most(),
            fields: Some(self.fields()),
            directory: Some(crc32c::crc32c(&entries)),
        };
        entries.extend_from_slice(&body);
        (zone, entries)
    }
    fn fields(&self) -> SmallVec<[u16; 20]> {
        let mut fields: SmallVec<[u16; 20]> = self.columns.iter().map(|(field, ..)| *field).collect();
        fields.dedup();
        fields
    }
    /// The greatest number of each field that has bounds; none: a value of one is not a number.
    fn most(&self) -> Option<Most> {
        let is_number = |(field, variant, _): &(u16, Variant, Builder)| !zone::has_bound(*field) || *variant == Variant::Uint;
        let of = |(field, _, builder): &(u16, Variant, Builder)| Some((*field, builder.uints().iter().copied().max()?));
        let bounded = self.columns.iter().filter(|(field, ..)| zone::has_bound(*field));
        self.columns.iter().all(is_number).then(|| bounded.filter_map(of).collect())
    }
    /// A column as differences to the one that foretells it.
    fn differences(&self, id: u16, variant: Variant, builder: &Builder) -> Option<Builder> {
        let [offsets, _, _, _, spans, _] = &self.heads;
        match id {
            START => Some(builder.with_times(based::ends(builder.times(), spans.uints()))),
            LEN => Some(based::differences(builder, &based::distances(offsets.times()))),
            _ if variant == Variant::Uint => {
                let base = self.column(based::base_of(id)?, Variant::Uint)?;
                Some(based::differences(builder, &based::by_row(base, self.rows())))
            }
            _ => None,
        }
    }
    fn sort_addrs(&mut self) -> Vec<IpAddr> {
        let mut order: Vec<u32> = (0..self.list.len() as u32).collect();
        order.sort_unstable_by_key(|i| self.list[*i as usize]);
        let mut sorted = vec![0; order.len()];
        for (new, old) in order.iter().enumerate() {
            sorted[*old as usize] = new as u32;
        }
        self.columns.iter_mut().for_each(|(_, _, b)| b.renumber(&sorted));
        order.iter().map(|i| self.list[*i as usize]).collect()
    }
}

/// Adds a column; `other`: the same as differences, which is taken where it is shorter.
fn put_column(
    id: u16,
    variant: Variant,
    raw: &[u8],
    other: Option<&[u8]>,
    packer: &mut Packer,
    entries: &mut Vec<u8>,
    body: &mut Vec<u8>,
) {
    let start = body.len();
    let mut flags = u8::from(packer.pack(raw, body));
    let mut len = raw.len();
    if let Some(other) = other {
        let middle = body.len();
        let packed = packer.pack(other, body);
        if body.len() - middle < middle - start {
            body.drain(start..middle);
            (flags, len) = (u8::from(packed) | 2, other.len());
        } else {
            body.truncate(middle);
        }
    }
    let stored = &body[start..];
    entries.extend_from_slice(&id.to_le_bytes());
    entries.extend_from_slice(&[variant as u8, flags]);
    for n in [stored.len() as u32, len as u32, crc32c::crc32c(stored)] {
        entries.extend_from_slice(&n.to_le_bytes());
    }
}

fn index_column(id: u16, builder: &Builder, addrs: &[IpAddr], index: &mut dyn FnMut(u16, &[u8], &[u32])) {
    let uses = grouped(builder, addrs.len());
    let mut rows = Vec::new();
    let mut key = Vec::new();
    let is_addr = field::get(crate::model::FieldId(id)).is_some_and(|f| f.ty == field::Type::Addr);
    let mut at = 0;
    while at < uses.len() {
        let value = uses[at].0;
        rows.clear();
        while at < uses.len() && uses[at].0 == value {
            rows.push(uses[at].1);
            at += 1;
        }
        rows.dedup();
        key.clear();
        match builder.texts() {
            Some(texts) => super::keys::put_text(&mut key, texts.at(value as usize)),
            None if is_addr => match addrs.get(value as usize) {
                Some(addr) => super::keys::put_addr(&mut key, *addr),
                None => continue,
            },
            None => super::keys::put_uint(&mut key, value),
        }
        index(id, &key, &rows);
    }
}

/// Every use of a value with its row, equal values together and their rows in order.
fn grouped(builder: &Builder, addrs: usize) -> Vec<(u64, u32)> {
    let distinct = match builder.texts() {
        Some(texts) => texts.len(),
        None if builder.indexes().is_empty() => 0,
        None => addrs,
    };
    let mut uses = Vec::with_capacity(builder.values());
    if distinct == 0 {
        builder.uses(&mut |value, row| uses.push((value, row)));
        uses.sort_unstable();
        return uses;
    }
    // Numbers of a dictionary: each has its place, so that nothing is compared.
    let mut next = vec![0u32; distinct + 1];
    builder.uses(&mut |value, _| next[value as usize + 1] += 1);
    (1..next.len()).for_each(|i| next[i] += next[i - 1]);
    uses.resize(builder.values(), (0, 0));
    builder.uses(&mut |value, row| {
        let place = &mut next[value as usize];
        uses[*place as usize] = (value, row);
        *place += 1;
    });
    uses
}
