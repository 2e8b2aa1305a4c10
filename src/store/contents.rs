//! What a case holds, in memory: imports with their blocks, groups and chunks; sources; and the descriptors that are written of them.

use super::block::{Entry, Zone};
use super::names::{self, NamesInfo};
use super::packets::GroupInfo;
use super::postings::ChunkInfo;
use super::pruned::{self, Statement};
use super::segment::{InMemory, MEMORY, Place};
use crate::error::{Error, Result};
use crate::model::evidence::{EvidenceInfo, UNREAD};
use crate::model::source::{Basis, Clock, Counts, DateOrder, SourceKey};
use crate::model::{EvidenceKey, Kind, SourceId, Time, Window};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

/// A block and where it stands.
#[derive(Debug)]
pub struct BlockInfo {
    /// Where.
    pub place: Place,
    /// What.
    pub zone: Zone,
    /// Length of the description before the directory.
    pub meta: u32,
    /// Its directory, once read.
    pub directory: OnceLock<Arc<Vec<Entry>>>,
}

/// One import that was ended.
#[derive(Debug)]
pub struct ImportData {
    /// Its number.
    pub id: u32,
    /// What was said at its end.
    pub done: DoneFrame,
    /// Blocks, by number.
    pub blocks: Vec<BlockInfo>,
    /// Groups of packet references.
    pub groups: Vec<GroupInfo>,
    /// Chunks of postings.
    pub chunks: Vec<ChunkInfo>,
    /// Chunks of sums by hour and host.
    pub rollups: Vec<ChunkInfo>,
    /// Rows that were pruned.
    pub pruned: u64,
    /// What was given up as damaged: rows as far as known, blocks, groups of packet references.
    pub damaged: [u64; 3],
    /// Blocks that were pruned and whose sums are kept.
    pub summed_only: Vec<BlockInfo>,
    /// Of the live head: what its parts stand in.
    pub memory: Option<Arc<InMemory>>,
    names: RwLock<Derived>,
}

/// What was derived of an import; it may be derived anew while the case is open.
#[derive(Debug, Default)]
struct Derived {
    frames: Arc<Vec<NamesInfo>>,
    /// Number of the next frame: numbers are never used again.
    next: u32,
}

impl ImportData {
    /// An import without its parts.
    pub fn new(id: u32, done: DoneFrame) -> ImportData {
        let (blocks, groups, chunks) = (Vec::new(), Vec::new(), Vec::new());
        let (rollups, summed_only) = (Vec::new(), Vec::new());
        let (pruned, damaged, memory, names) = (0, [0; 3], None, RwLock::default());
        ImportData { id, done, blocks, groups, chunks, rollups, pruned, damaged, summed_only, memory, names }
    }
    /// Whether it is part of the live head: in memory only.
    pub fn is_head(&self) -> bool {
        self.id >= MEMORY
    }
    /// Frames of passive DNS: all of the newest derivation, or none.
    pub fn names(&self) -> Arc<Vec<NamesInfo>> {
        Arc::clone(&self.names.read().unwrap_or_else(PoisonError::into_inner).frames)
    }
    /// Number that the next frame of passive DNS gets.
    pub fn next_names(&self) -> u32 {
        self.names.read().unwrap_or_else(PoisonError::into_inner).next
    }
    /// Numbers of frames of passive DNS below this one were given already.
    pub fn no_names_below(&self, next: u32) {
        let mut derived = self.names.write().unwrap_or_else(PoisonError::into_inner);
        derived.next = derived.next.max(next);
    }
    /// Takes every frame of passive DNS that there is, or was made now; those of a derivation that is whole and of this version count.
    pub fn set_names(&self, mut frames: Vec<NamesInfo>) {
        let mut derived = self.names.write().unwrap_or_else(PoisonError::into_inner);
        derived.next = frames.iter().map(|f| f.span.index.saturating_add(1)).max().unwrap_or(0).max(derived.next);
        frames.retain(|f| f.span.version == names::VERSION);
        frames.sort_by_key(|f| f.span.index);
        let whole = frames.iter().rposition(|f| f.span.of > 0).and_then(|last| {
            let first = (last + 1).checked_sub(frames[last].span.of as usize)?;
            (frames[last].span.index - frames[first].span.index == (last - first) as u32).then_some(first..last + 1)
        });
        derived.frames = Arc::new(whole.map_or_else(Vec::new, |range| frames.drain(range).collect()));
    }
    /// Whether it has DNS events of which nothing is derived.
    pub fn lacks_names(&self) -> bool {
        self.names().is_empty() && self.blocks.iter().any(|b| b.zone.kinds.iter().any(|(kind, _)| *kind == Kind::Dns))
    }
    /// Parts that should be there and are not.
    pub fn missing(&self) -> usize {
        let have = self.blocks.len() + self.groups.len() + self.chunks.len() + self.rollups.len();
        (self.done.parts() as usize).saturating_sub(have)
    }
    /// Whether damage took something of it: the file itself may be read again in its place.
    pub fn is_damaged(&self) -> bool {
        self.missing() > 0 || self.damaged != [0; 3]
    }
    /// Whether its file was read itself, and nothing of it is damaged.
    pub fn is_whole(&self) -> bool {
        self.done.format != UNREAD && !self.done.exported && !self.is_damaged()
    }
    /// Records that it had and that are neither here nor known to be gone, if it said how many it had.
    pub fn unaccounted(&self) -> u64 {
        let rows: u64 = self.blocks.iter().map(|b| u64::from(b.zone.rows)).sum();
        self.done.counts[4].saturating_sub(rows).saturating_sub(self.pruned).saturating_sub(self.damaged[0])
    }
    /// Where every part stands.
    pub fn places(&self) -> impl Iterator<Item = Place> {
        let chunks = [&self.chunks, &self.rollups].into_iter().flatten().map(|c| c.place);
        let names: Vec<Place> = self.names().iter().map(|n| n.place).collect();
        self.blocks.iter().map(|b| b.place).chain(self.groups.iter().map(|g| g.place)).chain(chunks).chain(names)
    }
    /// Span of the raw times of all rows, or of one source.
    pub fn span(&self, source: Option<SourceId>) -> Option<Window> {
        let zones = self.blocks.iter().map(|b| &b.zone).filter(|z| source.is_none_or(|s| z.source == s));
        zones
            .map(|z| Window::new(z.start.0, z.end.1.max(z.start.1).plus(1)))
            .reduce(|a, b| Window::new(a.start.min(b.start), a.end.max(b.end)))
    }
}

/// All of a case.
#[derive(Debug, Default)]
pub struct Contents {
    /// Imports by number.
    pub imports: BTreeMap<u32, Arc<ImportData>>,
    /// Sources by number.
    pub sources: BTreeMap<u32, SourceFrame>,
    /// Number of the next import.
    pub next_import: u32,
    /// Number below which no source may be given: of some only their records may be left.
    pub least_source: u32,
    /// What was pruned, oldest first, with where that is said.
    pub pruned: Vec<(Place, Statement)>,
    /// Ends of imports in what has no day, of those as well that count no more.
    pub ended: usize,
    /// Of imports whose rows were written together with others' the greatest place in the order: none is given twice.
    pub replaced: u64,
}

impl Contents {
    /// Place of the newest import in the order in which they ended.
    pub fn sequence(&self) -> u64 {
        self.imports.values().map(|i| i.done.sequence).max().unwrap_or(0).max(self.replaced)
    }
    /// Number of the next statement of what was pruned.
    pub fn next_pruned(&self) -> u32 {
        self.pruned.iter().map(|(_, s)| s.number).max().unwrap_or(0).saturating_add(1)
    }
    /// Imports that were not replaced by a later one, oldest first.
    pub fn visible(&self) -> Vec<Arc<ImportData>> {
        let hidden: std::collections::HashSet<u32> = self.imports.values().flat_map(|i| i.done.hides.iter().copied()).collect();
        let mut out: Vec<_> = self.imports.values().filter(|i| !hidden.contains(&i.id)).cloned().collect();
        out.sort_by_key(|i| i.done.sequence);
        out
    }
}

/// A source as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceFrame {
    /// Its number.
    pub id: u32,
    /// Format.
    pub format: String,
    /// Sensor.
    pub sensor: String,
    /// Name on screen.
    pub name: String,
}

impl SourceFrame {
    /// Its identity.
    pub fn key(&self) -> SourceKey {
        SourceKey { format: self.format.clone(), sensor: self.sensor.clone() }
    }
    /// As bytes.
    pub fn bytes(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self).map_err(|e| Error::internal(format!("a source cannot be described: {e}")))
    }
}

/// What is said at the end of an import, as it is written (JSON).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DoneFrame {
    /// Number of the import.
    pub import: u32,
    /// Grows with each import that ended.
    pub sequence: u64,
    /// Greater than every import begun so far.
    pub next_import: u32,
    /// Evidence key.
    pub key: u64,
    /// Path.
    pub path: String,
    /// Size as it lies there.
    pub size: u64,
    /// Modification time.
    pub modified: i64,
    /// SHA-256 of the first 64 KiB.
    pub head_hash: String,
    /// SHA-256 of all.
    pub sha256: String,
    /// Format.
    pub format: String,
    /// Compression.
    pub compression: String,
    /// When it was imported.
    pub imported: i64,
    /// What was read: ok, partial, skipped, failed, records, oddities.
    pub counts: [u64; 6],
    /// What went wrong or was assumed.
    pub warnings: Vec<String>,
    /// Custody.
    pub custody: [String; 3],
    /// Uncompressed length that was read.
    pub text_end: u64,
    /// Per source how its times were read.
    pub sources: Vec<DoneSource>,
    /// Imports whose rows are hidden from here on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hides: Vec<u32>,
    /// It is a part of evidence that is read as it comes into being: how often its rows were written together with others'.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<u32>,
    /// Parts whose rows it has: they are there no more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replaces: Vec<u32>,
    /// The uncompressed data, where the file is compressed: size, SHA-256 of the first 64 KiB and of all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<(u64, String, String)>,
    /// The uncompressed data's first bytes: hashes of so many as [`starts`](super::told::starts) takes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub starts: Vec<String>,
    /// Evidence that this one continues, and from where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub continues: Option<(u64, u64)>,
    /// Of a capture: where its sections and interfaces begin; none: not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heads: Option<Vec<u64>>,
    /// Of a capture: names of timeouts and of the treatment of checksums; empty in older cases.
    #[serde(default, skip_serializing_if = "is_unnamed")]
    pub metered: [String; 2],
    /// Its rows came from an export of another case: the file itself was not read, and takes their place when it is.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub exported: bool,
    /// Blocks that were written.
    pub blocks: u32,
    /// Groups that were written.
    pub groups: u32,
    /// Chunks of postings that were written.
    pub chunks: u32,
    /// Chunks of sums that were written; none in cases of the first layout.
    #[serde(default)]
    pub rollups: u32,
    /// Sums were made.
    #[serde(default)]
    pub summed: bool,
}

fn is_unnamed(names: &[String; 2]) -> bool {
    names.iter().all(String::is_empty)
}

/// How the times of one source were read in one import.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DoneSource {
    /// Number of the source.
    pub id: u32,
    /// What was read of it.
    pub counts: [u64; 6],
    /// Zone of times without one.
    #[serde(default)]
    pub zone: Option<String>,
    /// How the zone came about: stated, assumed, manual.
    pub basis: String,
    /// Year of times without one.
    #[serde(default)]
    pub year: Option<i32>,
    /// Order of dates that may be read either way, and how it came about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dates: Option<(String, String)>,
    /// Warnings about it.
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// Counts as they are written.
pub fn counts_out(c: &Counts) -> [u64; 6] {
    [c.ok, c.partial, c.skipped, c.failed, c.records, c.oddities]
}

/// Counts as they are read.
pub fn counts_in(c: &[u64; 6]) -> Counts {
    let [ok, partial, skipped, failed, records, oddities] = *c;
    Counts { ok, partial, skipped, failed, records, oddities }
}

/// The word for a basis.
pub fn basis_out(basis: Basis) -> &'static str {
    match basis {
        Basis::Stated => "stated",
        Basis::Assumed => "assumed",
        Basis::Manual => "manual",
    }
}

/// The inverse of [`basis_out`].
fn basis_in(word: &str) -> Basis {
    match word {
        "assumed" => Basis::Assumed,
        "manual" => Basis::Manual,
        _ => Basis::Stated,
    }
}

impl DoneSource {
    /// The clock that its times were read with.
    pub fn clock(&self) -> Clock {
        let dates = self.dates.as_ref().and_then(|(order, basis)| Some((DateOrder::parse(order)?, basis_in(basis))));
        Clock { shift: 0, zone: self.zone.clone(), zone_basis: basis_in(&self.basis), year: self.year, dates, manual: false }
    }
}

impl DoneFrame {
    /// The uncompressed data: size, SHA-256 of the first 64 KiB and of all; none: it was not read to its end, or not at all.
    pub fn content(&self) -> Option<(u64, &str, &str)> {
        match &self.content {
            Some((size, head, sha256)) => Some((*size, head, sha256)),
            None if self.compression.is_empty() && !self.exported => Some((self.size, &self.head_hash, &self.sha256)),
            None => None,
        }
    }
    /// Frames that were written besides this one.
    pub fn parts(&self) -> u32 {
        self.blocks + self.groups + self.chunks + self.rollups
    }
    /// Takes off so many frames of each kind (blocks, groups, chunks of postings, chunks of sums), or puts them on again.
    pub(super) fn lose(&mut self, frames: [i64; 4]) {
        let counts = [&mut self.blocks, &mut self.groups, &mut self.chunks, &mut self.rollups];
        for (n, less) in counts.into_iter().zip(frames) {
            *n = u32::try_from(i64::from(*n).saturating_sub(less)).unwrap_or(0);
        }
    }
    /// The inverse of [`DoneFrame::lose`].
    pub(super) fn regain(&mut self, frames: [i64; 4]) {
        self.lose(frames.map(|n| n.saturating_neg()));
    }
    /// As bytes.
    pub fn bytes(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self).map_err(|e| Error::internal(format!("evidence cannot be described: {e}")))
    }
    /// From bytes.
    pub fn read(bytes: &[u8]) -> Result<DoneFrame> {
        serde_json::from_slice(bytes).map_err(|e| super::encode::damaged(&format!("description of evidence: {e}")))
    }
    /// As the layers above see it.
    pub fn info(&self, data: &ImportData) -> EvidenceInfo {
        let mut warnings = self.warnings.clone();
        if data.missing() > 0 {
            warnings.push(format!("{} parts of what was stored of it are damaged: `verify` says more", data.missing()));
        }
        warnings.extend(pruned::said_of_damage(data.damaged, &counts_in(&self.counts)));
        if data.pruned > 0 {
            warnings.push(pruned::said_of(data.pruned, &counts_in(&self.counts)));
        }
        EvidenceInfo {
            key: EvidenceKey(self.key),
            path: self.path.clone(),
            size: self.size,
            sha256: self.sha256.clone(),
            format: self.format.clone(),
            compression: self.compression.clone(),
            imported: Time(self.imported),
            sources: self.sources.iter().map(|s| SourceId(s.id)).collect(),
            counts: counts_in(&self.counts),
            span: data.span(None),
            warnings,
            custody: self.custody.clone(),
            metered: self.metered.clone(),
        }
    }
}
