//! Reads blocks: the directory once, then just the columns that are asked for, neighbours in one `pread`, decoded ones from the cache.

use super::based;
use super::block::{self, ADDRS, ENTRY, Entry, KIND, LEN, OFFSET, ORDINAL, SPAN, START};
use super::cache::{Cache, Kept};
use super::clocks::Shift;
use super::column::{self, Column, Variant};
use super::contents::BlockInfo;
use super::encode::damaged;
use super::segment::Segments;
use super::snapshot::BlockId;
use crate::error::{Error, Result};
use crate::model::ends::{Ends, Which};
use crate::model::{FieldId, Kind, Record, RecordId, SourceId, Time};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

/// So few rows of a block are decoded without the others.
pub const FEW: usize = 64;

/// A block open for reading.
pub struct Reader<'a> {
    segments: &'a Segments,
    cache: &'a Cache,
    info: &'a BlockInfo,
    id: BlockId,
    directory: Arc<Vec<Entry>>,
}

/// Head columns of a block, or of some of its rows.
#[derive(Clone)]
pub struct Heads {
    /// Offsets of the ids.
    pub offset: Arc<Column>,
    /// Ordinals of the ids.
    pub ordinal: Arc<Column>,
    /// Kinds.
    pub kind: Arc<Column>,
    /// Starts.
    pub start: Arc<Column>,
    /// Spans, zigzag.
    pub span: Arc<Column>,
    /// Lengths of origins.
    pub len: Arc<Column>,
}

/// Columns of fields, in order of field.
pub type Columns = Vec<(FieldId, Arc<Column>)>;

impl<'a> Reader<'a> {
    /// Opens a block.
    pub fn open(segments: &'a Segments, cache: &'a Cache, info: &'a BlockInfo, id: BlockId) -> Result<Reader<'a>> {
        let directory = match info.directory.get() {
            Some(directory) => Arc::clone(directory),
            None => {
                let bytes = segments.read(&info.place, 4 + u64::from(info.meta), info.zone.columns as usize * ENTRY)?;
                if info.zone.directory.is_some_and(|crc| crc != crc32c::crc32c(&bytes)) {
                    return Err(at(damaged("block"), segments, info));
                }
                let directory = Arc::new(block::directory(&bytes).map_err(|e| at(e, segments, info))?);
                Arc::clone(info.directory.get_or_init(|| directory))
            }
        };
        Ok(Reader { segments, cache, info, id, directory })
    }
    /// Rows.
    pub fn rows(&self) -> usize {
        self.info.zone.rows as usize
    }
    /// What is known without reading.
    pub fn info(&self) -> &'a BlockInfo {
        self.info
    }
    /// Its columns as the directory lists them.
    pub fn entries(&self) -> &[Entry] {
        &self.directory
    }
    /// Which block.
    pub fn id(&self) -> BlockId {
        self.id
    }
    fn numbers(&self, field: u16) -> impl Iterator<Item = usize> + '_ {
        self.directory.iter().enumerate().filter(move |(_, e)| e.field == field).map(|(i, _)| i)
    }
    /// The columns of a field: none, or one per variant of its values.
    pub fn field(&self, field: FieldId) -> Result<Vec<Arc<Column>>> {
        let numbers: Vec<usize> = self.numbers(field.0).collect();
        numbers.into_iter().map(|n| self.column(n)).collect()
    }
    /// The same of some rows (in order): their first row is 0.
    pub fn field_of(&self, field: FieldId, rows: &[usize]) -> Result<Vec<Arc<Column>>> {
        let numbers: Vec<usize> = self.numbers(field.0).collect();
        numbers.into_iter().map(|n| self.some(n, None, rows)).collect()
    }
    fn head(&self, field: u16) -> Result<Arc<Column>> {
        let number = self.numbers(field).next().ok_or_else(|| at(damaged("block"), self.segments, self.info))?;
        let column = self.column(number)?;
        // The directory has no checksum of its own: a damaged variant must not pass for the column that callers index.
        let values = if matches!(field, OFFSET | START) { column.times().len() } else { column.uints().len() };
        if values == self.rows() { Ok(column) } else { Err(at(damaged("block"), self.segments, self.info)) }
    }
    /// Starts.
    pub fn start(&self) -> Result<Arc<Column>> {
        self.head(START)
    }
    /// Spans.
    pub fn span(&self) -> Result<Arc<Column>> {
        self.head(SPAN)
    }
    /// Kinds.
    pub fn kind(&self) -> Result<Arc<Column>> {
        self.head(KIND)
    }
    /// Offsets and ordinals of the ids.
    pub fn ids(&self) -> Result<(Arc<Column>, Arc<Column>)> {
        Ok((self.head(OFFSET)?, self.head(ORDINAL)?))
    }
    /// Every head column.
    pub fn heads(&self) -> Result<Heads> {
        let (offset, ordinal) = self.ids()?;
        Ok(Heads { offset, ordinal, kind: self.kind()?, start: self.start()?, span: self.span()?, len: self.head(LEN)? })
    }
    fn column(&self, number: usize) -> Result<Arc<Column>> {
        if let Some(Kept::Column(column)) = self.cache.find(self.id, number as u32) {
            return Ok(column);
        }
        let entry = &self.directory[number];
        let stored = self.read(entry.offset, entry.stored)?;
        self.decode(number, &stored)
    }
    fn decode(&self, number: usize, stored: &[u8]) -> Result<Arc<Column>> {
        let entry = &self.directory[number];
        let addrs = if entry.variant == column::Variant::Addr { self.addrs()? } else { Arc::default() };
        let broken = |e| at(e, self.segments, self.info);
        let mut column = block::decode(entry, stored, self.rows(), &addrs).map_err(broken)?;
        if entry.based {
            let base = self.column(self.base(entry)?)?;
            based::restore(entry.field, &mut column, &base, self.rows());
        }
        let column = Arc::new(column);
        self.cache.keep(self.id, number as u32, Kept::Column(Arc::clone(&column)));
        Ok(column)
    }
    /// The column that foretells one; it stands by itself.
    fn base(&self, entry: &Entry) -> Result<usize> {
        let stands =
            |base: u16| self.directory.iter().position(|e| e.field == base && e.variant == base_variant(base) && !e.based);
        based::base_of(entry.field).and_then(stands).ok_or_else(|| at(damaged("block"), self.segments, self.info))
    }
    /// The values of some rows of a column, as a column of as many rows. What is decoded whole already is picked from.
    fn some(&self, number: usize, stored: Option<&[u8]>, rows: &[usize]) -> Result<Arc<Column>> {
        let entry = &self.directory[number];
        // The distance to the next record is not among the rows.
        if entry.based && entry.field == LEN {
            return Ok(Arc::new(self.column(number)?.pick(rows)));
        }
        if let Some(Kept::Column(column)) = self.cache.find(self.id, number as u32) {
            return Ok(Arc::new(column.pick(rows)));
        }
        let read;
        let stored = match stored {
            Some(stored) => stored,
            None => {
                read = self.read(entry.offset, entry.stored)?;
                &read
            }
        };
        let addrs = if entry.variant == column::Variant::Addr { self.addrs()? } else { Arc::default() };
        let raw = block::unpack(entry, stored);
        let some = raw.and_then(|raw| column::decode_some(entry.variant, &raw, self.rows(), &addrs, rows));
        let mut some = some.map_err(|e| at(e, self.segments, self.info))?;
        if entry.based {
            let base = self.some(self.base(entry)?, None, rows)?;
            based::restore(entry.field, &mut some, &base, rows.len());
        }
        Ok(Arc::new(some))
    }
    fn head_of(&self, field: u16, rows: &[usize]) -> Result<Arc<Column>> {
        let number = self.numbers(field).next().ok_or_else(|| at(damaged("block"), self.segments, self.info))?;
        let column = self.some(number, None, rows)?;
        let values = if matches!(field, OFFSET | START) { column.times().len() } else { column.uints().len() };
        if values == rows.len() { Ok(column) } else { Err(at(damaged("block"), self.segments, self.info)) }
    }
    /// Every head column, of some rows (in order): their first row is 0.
    pub fn heads_of(&self, rows: &[usize]) -> Result<Heads> {
        let of = |field| self.head_of(field, rows);
        Ok(Heads {
            offset: of(OFFSET)?,
            ordinal: of(ORDINAL)?,
            kind: of(KIND)?,
            start: of(START)?,
            span: of(SPAN)?,
            len: of(LEN)?,
        })
    }
    /// Rows that have one of some ends, if they were found before by the same clock.
    pub fn rows_of(&self, ends: &Ends, which: Which, shift: &Shift) -> Option<Arc<Vec<u16>>> {
        match self.cache.find(self.id, ends_number(ends, which)) {
            Some(Kept::Ends(by, rows)) if by == *shift => Some(rows),
            _ => None,
        }
    }
    /// Keeps them.
    pub fn keep_rows_of(&self, ends: &Ends, which: Which, shift: &Shift, rows: Vec<u16>) {
        self.cache.keep(self.id, ends_number(ends, which), Kept::Ends(shift.clone(), Arc::new(rows)));
    }
    fn read(&self, offset: u32, len: u32) -> Result<Vec<u8>> {
        let before = 4 + u64::from(self.info.meta) + (self.directory.len() * ENTRY) as u64;
        if before + u64::from(offset) + u64::from(len) > u64::from(self.info.place.len) {
            return Err(at(damaged("block"), self.segments, self.info));
        }
        self.segments.read(&self.info.place, before + u64::from(offset), len as usize)
    }
    /// The block's addresses, sorted.
    pub fn addrs(&self) -> Result<Arc<Vec<IpAddr>>> {
        if let Some(Kept::Addrs(addrs)) = self.cache.find(self.id, u32::MAX) {
            return Ok(addrs);
        }
        let Some(entry) = self.directory.iter().find(|e| e.field == ADDRS) else { return Ok(Arc::default()) };
        let stored = self.read(entry.offset, entry.stored)?;
        let raw = block::unpack(entry, &stored).and_then(|raw| super::numbers::decode_addrs(&raw));
        let addrs = Arc::new(raw.map_err(|e| at(e, self.segments, self.info))?);
        self.cache.keep(self.id, u32::MAX, Kept::Addrs(Arc::clone(&addrs)));
        Ok(addrs)
    }
    /// The columns of some fields, or of all.
    pub fn columns(&self, fields: Option<&[FieldId]>) -> Result<Columns> {
        self.columns_with(fields, &|number, stored| match stored {
            Some(stored) => self.decode(number, stored),
            None => self.column(number),
        })
    }
    /// The columns of some fields, or of all, of some rows (in order): their first row is 0.
    pub fn columns_of(&self, fields: Option<&[FieldId]>, rows: &[usize]) -> Result<Columns> {
        self.columns_with(fields, &|number, stored| self.some(number, stored, rows))
    }
    /// Reads what is not in memory, neighbours together, and gives each column to `decode`, with its bytes if they were read.
    fn columns_with(
        &self,
        fields: Option<&[FieldId]>,
        decode: &dyn Fn(usize, Option<&[u8]>) -> Result<Arc<Column>>,
    ) -> Result<Columns> {
        let wanted = |e: &Entry| e.field < OFFSET && fields.is_none_or(|f| f.contains(&FieldId(e.field)));
        let numbers: Vec<usize> = self.directory.iter().enumerate().filter(|(_, e)| wanted(e)).map(|(i, _)| i).collect();
        let mut found: BTreeMap<usize, Arc<Column>> = BTreeMap::new();
        let mut missing = Vec::new();
        for n in &numbers {
            match self.cache.find(self.id, *n as u32) {
                Some(Kept::Column(_)) => drop(found.insert(*n, decode(*n, None)?)),
                _ => missing.push(*n),
            }
        }
        // Neighbours with at most 16 KiB between them are read together.
        while let Some(first) = missing.first().copied() {
            let start = self.directory[first].offset;
            let mut end = start;
            let mut n = 0;
            for number in &missing {
                let entry = &self.directory[*number];
                if entry.offset > end.saturating_add(16 << 10) {
                    break;
                }
                end = entry.offset.saturating_add(entry.stored);
                n += 1;
            }
            let bytes = self.read(start, end - start)?;
            for number in missing.drain(..n) {
                let entry = &self.directory[number];
                let from = (entry.offset - start) as usize;
                found.insert(number, decode(number, Some(&bytes[from..from + entry.stored as usize]))?);
            }
        }
        Ok(found.into_iter().map(|(n, column)| (FieldId(self.directory[n].field), column)).collect())
    }
}

fn at(error: Error, segments: &Segments, info: &BlockInfo) -> Error {
    let path = segments.path(info.place.day, info.place.segment);
    error.at(format!("{} at {}", path.display(), info.place.offset))
}

impl Heads {
    /// Id of a row.
    pub fn id(&self, evidence: crate::model::EvidenceKey, row: usize) -> RecordId {
        RecordId { evidence, offset: self.offset.times()[row] as u64, ordinal: self.ordinal.uints()[row] as u16 }
    }
    /// Raw start and end of a row.
    pub fn times(&self, row: usize) -> (Time, Time) {
        let start = self.start.times()[row];
        (Time(start), Time(start.wrapping_add(block::span(self.span.uints()[row]))))
    }
    /// A row as a record, with the values of these columns.
    pub fn record(&self, info: &BlockInfo, row: usize, columns: &Columns) -> Record {
        let kind = Kind::from_u8(self.kind.uints()[row] as u8).unwrap_or(Kind::Log);
        let (start, end) = self.times(row);
        let mut record = Record::new(kind, self.id(info.zone.evidence, row), SourceId(info.zone.source.0), start);
        record.end = end;
        record.len = self.len.uints()[row] as u32;
        for (field, column) in columns {
            record.fields.extend(column.range(row).filter_map(|i| column.value(i)).map(|v| (*field, v)));
        }
        record
    }
}

/// Under which number the rows are kept that have some ends: beyond those of columns, and never that of addresses.
fn ends_number(ends: &Ends, which: Which) -> u32 {
    let which = match which {
        Which::Either => 0,
        Which::Src => 1,
        Which::Dst => 2,
    };
    1 << 31 | (ends.serial() << 2 & (u32::MAX >> 1)) | which
}

/// Variant of a column that foretells another one.
fn base_variant(base: u16) -> Variant {
    if base == OFFSET { Variant::Time } else { Variant::Uint }
}
