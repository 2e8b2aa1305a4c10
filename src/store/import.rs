//! Writing: one import reads one evidence file. Its rows count from the moment [`Import::finish`] writes what ends it; dropped before,
//! nothing of it is ever seen.

use super::Store;
use super::block::{BlockBuilder, Class, Packer};
use super::catalog::{About, Change};
use super::commit::Pending;
use super::contents::{self, DoneFrame, DoneSource, ImportData, SourceFrame};
use super::encoder::{Encoder, Encoding};
use super::frame::FrameKind;
use super::journal::now;
use super::names::{self, NamesInfo};
use super::packets::{Group, GroupInfo, Reach};
use super::rollups;
use super::segment::{CASE, MEMORY, OTHER, Place};
use super::told::{Done, NewEvidence};
use crate::error::{Error, Result};
use crate::model::evidence::EvidenceInfo;
use crate::model::hex::hex;
use crate::model::packet::PacketRef;
use crate::model::source::{Basis, Counts, SourceKey};
use crate::model::{EvidenceKey, Record, RecordId, SourceId, Time};
use std::collections::{BTreeMap, BTreeSet};

/// Days of one import that have folders of their own; a hostile file may name every day there is.
const DAYS: usize = 1024;
/// Blocks of one import that are filled at a time.
const OPEN_BLOCKS: usize = 24;

/// Bytes of sums in memory after which they are written.
const SUMS: usize = 32 << 20;

/// How an import begins.
pub enum Begin {
    /// This evidence is in the case.
    Known(Box<EvidenceInfo>),
    /// It is new.
    Fresh(Box<Import>),
}

/// An import under way.
pub struct Import {
    store: Store,
    id: u32,
    evidence: NewEvidence,
    builders: BTreeMap<(SourceId, i32, Class), BlockBuilder>,
    days: BTreeSet<i32>,
    encoding: Encoding,
    /// Collected where blocks are filled, which takes less of a processor than the rest of encoding.
    sums: rollups::Collector,
    packer: Packer,
    names: names::Collector,
    group: Group,
    sources: BTreeSet<SourceId>,
    groups: Vec<GroupInfo>,
    derived: Vec<NamesInfo>,
    pending: Pending,
    records: u64,
    hides: Vec<u32>,
    /// Imports that could not read this file.
    unread: Vec<u32>,
    continues: Option<(u64, u64)>,
    /// It is a part of evidence that is read as it comes into being.
    pub(super) part: bool,
    exported: bool,
}

impl Import {
    pub(super) fn new(store: Store, id: u32, evidence: NewEvidence, unread: Vec<u32>) -> Result<Import> {
        let encoder = Encoder::new(store.clone(), id, evidence.key)?;
        Ok(Import {
            store,
            id,
            evidence,
            builders: BTreeMap::new(),
            days: BTreeSet::new(),
            encoding: Encoding::Here(Box::new(encoder)),
            sums: rollups::Collector::default(),
            packer: Packer::new()?,
            names: names::Collector::default(),
            group: Group::default(),
            sources: BTreeSet::new(),
            groups: Vec::new(),
            derived: Vec::new(),
            pending: Pending::default(),
            records: 0,
            hides: Vec::new(),
            unread,
            continues: None,
            part: false,
            exported: false,
        })
    }
    /// Whether it is of the live head: made in memory, known to nobody until it is swapped in.
    fn is_head(&self) -> bool {
        self.id >= MEMORY
    }
    fn room(&self) -> Result<()> {
        if self.is_head() { Ok(()) } else { self.store.room() }
    }
    /// Sources whose records are pushed.
    pub(super) fn of_sources(&mut self, sources: impl IntoIterator<Item = SourceId>) {
        self.sources.extend(sources);
    }
    /// Key of the evidence: what ids of its records begin with.
    pub fn key(&self) -> EvidenceKey {
        self.evidence.key
    }
    /// Records so far.
    pub fn records(&self) -> u64 {
        self.records
    }
    /// The store that it goes into.
    pub fn store(&self) -> &Store {
        &self.store
    }
    /// Whether it takes the place of older rows.
    pub fn is_replacing(&self) -> bool {
        !self.hides.is_empty()
    }
    /// This file continues evidence that is known: only what comes from an offset (uncompressed) on is pushed.
    pub fn continues(&mut self, old: EvidenceKey, from: u64) {
        self.continues = Some((old.0, from));
    }
    /// Its rows come from an export of another case: an import that reads the file itself takes their place.
    pub fn is_of_export(&mut self) {
        self.exported = true;
    }
    /// This file replaces evidence that is known: the old rows are hidden from the end of this import on.
    pub fn replaces(&mut self, old: EvidenceKey) {
        self.hides.extend(self.store.imports_of(old));
    }
    /// The number of a source; a new one gets a name that is unique in the case. `rename`: what the user calls it; then all files of a
    /// format under that name are one source.
    pub fn source(&mut self, key: &SourceKey, rename: Option<&str>) -> Result<SourceId> {
        let key = match rename {
            Some(name) => SourceKey { format: key.format.clone(), sensor: name.to_owned() },
            None => key.clone(),
        };
        let id = self.store.source_for(&key, rename)?;
        self.sources.insert(id);
        Ok(id)
    }
    /// Adds a record.
    pub fn push(&mut self, record: Record) -> Result<()> {
        if record.id.evidence != self.evidence.key {
            return Err(Error::internal("a record of another file was pushed into an import"));
        }
        let key = (record.source, self.day(record.start), Class::of(&record));
        self.records += 1;
        if !self.builders.contains_key(&key) && self.builders.len() >= OPEN_BLOCKS {
            let fullest = self.builders.iter().max_by_key(|(_, b)| b.rows()).map(|(k, _)| *k);
            if let Some(fullest) = fullest {
                self.close(fullest)?;
            }
        }
        self.names.add(key.1, &record);
        let builder = self.builders.entry(key).or_insert_with(|| BlockBuilder::new(key.0));
        builder.push(record);
        if builder.is_full() {
            self.close(key)?;
        }
        if self.names.weight() > names::MEMORY { self.write_names(false) } else { Ok(()) }
    }
    /// Adds packets of a flow, in capture order, after those given before.
    pub fn packets(&mut self, flow: RecordId, source: SourceId, refs: &[PacketRef]) -> Result<()> {
        self.group.add(flow, source, refs);
        if self.group.is_full() { self.write_group() } else { Ok(()) }
    }
    fn day(&mut self, start: Time) -> i32 {
        let day = start.day();
        if self.days.contains(&day) {
            return day;
        }
        if self.days.len() >= DAYS {
            return OTHER;
        }
        self.days.insert(day);
        day
    }
    fn close(&mut self, key: (SourceId, i32, Class)) -> Result<()> {
        let Some(builder) = self.builders.remove(&key) else { return Ok(()) };
        let is_full = builder.is_full();
        self.sums.add(key.1, key.0, &builder);
        self.encoding.close(key.1, builder, is_full)?;
        if self.sums.weight() > SUMS { self.encoding.sums(std::mem::take(&mut self.sums)) } else { Ok(()) }
    }
    fn commit_if_due(&mut self) -> Result<()> {
        if self.pending.is_due() && !self.is_head() { self.store.commit_group(&mut self.pending) } else { Ok(()) }
    }
    fn write_group(&mut self) -> Result<()> {
        if self.group.is_empty() {
            return Ok(());
        }
        self.room()?;
        let day = self.day(Time(i64::from(self.group.day).saturating_mul(crate::model::time::DAY)));
        let (offsets, body) = self.group.take(&mut self.packer);
        let reach = Reach { import: self.id, index: self.groups.len() as u32, offsets };
        let mut meta = Vec::new();
        reach.put(&mut meta);
        let place =
            self.store.segments().append(day, FrameKind::Packets, self.id, &meta, &body).map_err(|e| self.store.full(e))?;
        self.pending.add(About::Packets, self.id, reach.index, &place, &meta);
        self.groups.push(GroupInfo { place, reach });
        self.commit_if_due()
    }
    fn write_names(&mut self, last: bool) -> Result<()> {
        self.room()?;
        let mut to = names::Frames {
            store: &self.store,
            import: self.id,
            base: 0,
            written: &mut self.derived,
            pending: &mut self.pending,
        };
        to.write(&mut self.names, &mut self.packer, last)?;
        self.commit_if_due()
    }
    /// Ends the import: when it returns, all of it is on disk and seen by every question asked from now on.
    pub fn finish(mut self, done: Done) -> Result<EvidenceInfo> {
        self.close_all()?;
        let store = self.store.clone();
        store.commit(self, done, None)
    }
    /// As [`Import::finish`], and the evidence's live head is from the same moment on these rows, see [`Store::publish`].
    pub fn finish_publishing(mut self, done: Done, head: Vec<Record>) -> Result<EvidenceInfo> {
        self.close_all()?;
        let store = self.store.clone();
        store.commit(self, done, Some(head))
    }
    /// Ends an import in memory.
    pub(super) fn finish_in_memory(mut self, sequence: u64) -> Result<ImportData> {
        self.close_all()?;
        let done = self.describe(Done::default(), sequence, 0);
        Ok(self.take_data(done))
    }
    pub(super) fn close_all(&mut self) -> Result<()> {
        while let Some(key) = self.builders.keys().next().copied() {
            self.close(key)?;
        }
        self.encoding.sums(std::mem::take(&mut self.sums))?;
        self.encoding.end()?;
        self.write_group()?;
        self.write_names(true)
    }
    pub(super) fn describe(&self, done: Done, sequence: u64, next_import: u32) -> DoneFrame {
        let only = self.sources.len() == 1;
        let sources = self.sources.iter().map(|id| {
            let read = done.clocks.iter().find(|c| c.source == *id);
            let mut counts = read.map_or_else(Counts::default, |r| r.counts);
            if counts == Counts::default() && only {
                counts = done.counts;
            }
            DoneSource {
                id: id.0,
                counts: contents::counts_out(&counts),
                zone: read.and_then(|r| r.zone.clone()),
                basis: contents::basis_out(read.map_or(Basis::Stated, |r| r.basis)).to_owned(),
                year: read.and_then(|r| r.year),
                dates: read.and_then(|r| r.dates).map(|(o, b)| (o.name().to_owned(), contents::basis_out(b).to_owned())),
                warnings: read.map_or_else(Vec::new, |r| r.warnings.clone()),
            }
        });
        let sources = sources.collect();
        let [blocks, chunks, rollups] = self.encoding.written();
        DoneFrame {
            import: self.id,
            sequence,
            next_import,
            key: self.evidence.key.0,
            path: self.evidence.path.clone(),
            size: self.evidence.size,
            modified: self.evidence.modified.0,
            head_hash: hex(&self.evidence.head_hash),
            sha256: if done.sha256 == [0; 32] { String::new() } else { hex(&done.sha256) },
            format: done.format,
            compression: done.compression,
            imported: now().0,
            counts: contents::counts_out(&done.counts),
            warnings: done.warnings,
            custody: done.custody,
            text_end: done.text_end,
            sources,
            content: done.content.map(|c| (c.size, hex(&c.head_hash), hex(&c.sha256))),
            starts: done.starts,
            hides: [&self.hides[..], &self.unread].concat(),
            part: self.part.then_some(0),
            replaces: Vec::new(),
            continues: self.continues,
            heads: done.heads,
            metered: done.metered,
            exported: self.exported,
            blocks,
            groups: self.groups.len() as u32,
            chunks,
            rollups,
            summed: true,
        }
    }
    /// The last entries of the catalog, once the frame that ends the import is durable.
    pub(super) fn last_batch(&mut self, done: &Place) -> Vec<Change> {
        if let Some(encoder) = self.encoding.here() {
            self.pending.join(&mut encoder.pending);
        }
        self.pending.add(About::Done, self.id, 0, done, &[]);
        self.pending.take(self.store.segments())
    }
    pub(super) fn evidence(&self) -> &NewEvidence {
        &self.evidence
    }
    pub(super) fn id(&self) -> u32 {
        self.id
    }
    pub(super) fn take_data(&mut self, done: DoneFrame) -> ImportData {
        let mut data = ImportData::new(self.id, done);
        if let Some(encoder) = self.encoding.here() {
            data.blocks = std::mem::take(&mut encoder.blocks);
            data.chunks = std::mem::take(&mut encoder.chunks);
            data.rollups = std::mem::take(&mut encoder.rollups);
        }
        data.groups = std::mem::take(&mut self.groups);
        data.set_names(std::mem::take(&mut self.derived));
        data
    }
}

impl Drop for Import {
    fn drop(&mut self) {
        // Nothing is written of it any more once it is gone.
        let _ = self.encoding.come_back();
        self.store.segments().close_own(self.id);
        if !self.is_head() {
            self.store.ended(self.evidence.key);
        }
    }
}

/// A name for a new source: its sensor, of captures with `pcap:` before it; with its format, then a number, where that is taken.
pub fn name_for(key: &SourceKey, rename: Option<&str>, taken: &dyn Fn(&str) -> bool) -> String {
    let clean = |text: &str| -> String {
        let text = text.trim();
        text.chars()
            .map(|c| if c.is_whitespace() || c.is_control() || "\"'`,;|(){}".contains(c) { '-' } else { c })
            .take(120)
            .collect()
    };
    let sensor = clean(rename.unwrap_or(&key.sensor));
    let format = clean(&key.format);
    let sensor = if sensor.is_empty() { format.clone() } else { sensor };
    let plain =
        if rename.is_none() && key.format == "pcap" && sensor != format { format!("pcap:{sensor}") } else { sensor.clone() };
    let long = format!("{format}:{sensor}");
    if !taken(&plain) {
        return plain;
    }
    if !taken(&long) {
        return long;
    }
    (2..).map(|n| format!("{long}-{n}")).find(|name| !taken(name)).unwrap_or(long)
}

/// The frame of a source.
pub(super) fn source_frame(id: u32, key: &SourceKey, name: String) -> Result<(SourceFrame, Vec<u8>)> {
    let frame = SourceFrame { id, format: key.format.clone(), sensor: key.sensor.clone(), name };
    let bytes = frame.bytes()?;
    Ok((frame, bytes))
}

/// Folder of what belongs to no day.
pub(super) const NO_DAY: i32 = CASE;
