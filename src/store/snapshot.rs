//! An immutable view of a case: every import that has ended, with clocks as set by hand until then. What can be known without reading
//! blocks is answered here; rows are selected in `select.rs`.

use super::block::Zone;
use super::cache::Cache;
use super::clocks::{self, Shift};
use super::contents::{Contents, ImportData, SourceFrame, counts_in};
use super::estimates::Estimates;
use super::eval::Setting;
use super::frame;
use super::packets;
use super::parts;
use super::pruned;
use super::reader::Reader;
use super::segment::Segments;
use super::sightings::Sightings;
use crate::error::Result;
use crate::model::evidence::EvidenceInfo;
use crate::model::packet::PacketRef;
use crate::model::source::{Clock, Counts, SourceInfo};
use crate::model::{Cancel, EvidenceKey, Kind, Record, RecordId, SourceId, Window};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Weak};

/// A block of a case: number of its import, number within it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlockId {
    /// Import.
    pub import: u32,
    /// Block.
    pub block: u32,
}

/// An immutable view of a case. Cheap to clone.
#[derive(Clone)]
pub struct Snapshot {
    segments: Arc<Segments>,
    cache: Arc<Cache>,
    imports: Arc<Vec<Arc<ImportData>>>,
    sources: Arc<BTreeMap<SourceId, SourceRow>>,
    shifts: Arc<HashMap<(u32, SourceId), Shift>>,
    estimates: Arc<Estimates>,
    sightings: Arc<Sightings>,
    /// Evidence of which flows are hidden or shown for others too.
    merged: Arc<HashSet<EvidenceKey>>,
    pruned: Arc<pruned::Before>,
    sequence: u64,
    published: u64,
}

/// Which view a view is, without holding what it holds.
#[derive(Debug, Clone, Default)]
pub struct Identity {
    imports: Weak<Vec<Arc<ImportData>>>,
    shifts: Weak<HashMap<(u32, SourceId), Shift>>,
}

/// A source with what is known of it.
#[derive(Debug, Clone)]
struct SourceRow {
    frame: SourceFrame,
    clock: Clock,
    site: Option<String>,
}

impl Snapshot {
    pub(super) fn new(
        segments: Arc<Segments>,
        cache: Arc<Cache>,
        contents: &Contents,
        (published, heads): (u64, Vec<Arc<ImportData>>),
        settings: &HashMap<String, clocks::Setting>,
        estimates: &Arc<Estimates>,
    ) -> Snapshot {
        let mut imports = contents.visible();
        imports.extend(heads);
        let mut shifts = HashMap::new();
        let mut sources = BTreeMap::new();
        // Where the reference is set by hand, what was measured against it follows.
        let reference = estimates.reference.and_then(|id| contents.sources.get(&id.0)).and_then(|s| settings.get(&s.name));
        let anchor = reference.and_then(|set| set.offset).unwrap_or(0);
        for data in &imports {
            for read in &data.done.sources {
                let id = SourceId(read.id);
                let Some(frame) = contents.sources.get(&read.id) else { continue };
                let set = settings.get(&frame.name);
                let span = data.span(Some(id)).unwrap_or(Window::new(crate::model::Time(0), crate::model::Time(1)));
                let estimate = estimates.of.get(&read.id).map(|e| &e.estimate);
                let (clock, shift) = clocks::apply(&read.clock(), clocks::Known { set, estimate, anchor }, span);
                if shift != Shift::default() {
                    shifts.insert((data.id, id), shift);
                }
                // Of several imports the newest says how the clock stands.
                sources.insert(id, SourceRow { frame: frame.clone(), clock, site: set.and_then(|s| s.site.clone()) });
            }
        }
        Snapshot {
            segments,
            cache,
            imports: Arc::new(imports),
            sources: Arc::new(sources),
            shifts: Arc::new(shifts),
            estimates: Arc::clone(estimates),
            sightings: Arc::default(),
            merged: Arc::default(),
            pruned: Arc::new(pruned::before(contents.pruned.iter().map(|(_, s)| s))),
            sequence: contents.sequence(),
            published,
        }
    }
    /// The same view with sightings: one row per connection.
    pub fn with_sightings(&self, sightings: Arc<Sightings>) -> Snapshot {
        let hidden: HashSet<u32> = sightings.masked.keys().map(|b| b.import).collect();
        let mut merged: HashSet<EvidenceKey> = sightings.seen_by.keys().map(|id| id.evidence).collect();
        merged.extend(self.imports.iter().filter(|i| hidden.contains(&i.id)).map(|i| EvidenceKey(i.done.key)));
        Snapshot { sightings, merged: Arc::new(merged), ..self.clone() }
    }
    /// Whether flows of an evidence file are sightings of connections that others saw too.
    pub(super) fn is_merged(&self, evidence: EvidenceKey) -> bool {
        self.merged.contains(&evidence)
    }
    /// The sightings that are applied.
    pub fn sightings(&self) -> &Arc<Sightings> {
        &self.sightings
    }
    /// What an answer about records of one kind depends on: the imports that have such, and how their clocks are corrected. Two views
    /// that agree in it have the same records of that kind.
    pub fn state_of(&self, kind: Kind) -> Vec<(u32, SourceId, Shift)> {
        let mut out = BTreeMap::new();
        for (import, data) in self.imports.iter().enumerate() {
            let has = |zone: &&Zone| zone.kinds.iter().any(|(k, _)| *k == kind);
            for source in data.blocks.iter().map(|b| &b.zone).filter(has).map(|zone| zone.source) {
                out.entry((data.id, source)).or_insert_with(|| self.setting(import, source).shift.clone());
            }
        }
        out.into_iter().map(|((import, source), shift)| (import, source, shift)).collect()
    }
    /// Which view it is.
    pub fn identity(&self) -> Identity {
        Identity { imports: Arc::downgrade(&self.imports), shifts: Arc::downgrade(&self.shifts) }
    }
    /// Whether it has the same records at the same times as the view of an identity, known without looking at any.
    pub fn is(&self, identity: &Identity) -> bool {
        let imports = std::ptr::eq(Arc::as_ptr(&self.imports), identity.imports.as_ptr());
        imports && std::ptr::eq(Arc::as_ptr(&self.shifts), identity.shifts.as_ptr())
    }
    /// Number of the newest import: grows with each.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }
    /// How often the live head was changed, since the case was opened: grows with each.
    pub fn published(&self) -> u64 {
        self.published
    }
    /// Imports whose rows were written together with others', each with the import that has them now, as far as that is seen.
    pub fn replaced(&self) -> HashMap<u32, u32> {
        self.imports.iter().flat_map(|i| i.done.replaces.iter().map(|old| (*old, i.id))).collect()
    }
    /// The same view without the live head: what is committed.
    pub fn committed(&self) -> Snapshot {
        let imports: Vec<_> = self.imports.iter().filter(|i| !i.is_head()).cloned().collect();
        Snapshot { imports: Arc::new(imports), ..self.clone() }
    }
    /// Whether rows are seen that are not committed.
    pub fn has_head(&self) -> bool {
        self.imports.last().is_some_and(|i| i.is_head())
    }
    /// The imports that are seen, oldest first, then the live head.
    pub(crate) fn imports(&self) -> &[Arc<ImportData>] {
        &self.imports
    }
    pub(crate) fn segments(&self) -> &Segments {
        &self.segments
    }
    pub(super) fn cache(&self) -> &Cache {
        &self.cache
    }
    pub(crate) fn reader(&self, import: usize, block: usize) -> Result<Reader<'_>> {
        let data = &self.imports[import];
        let info = &data.blocks[block];
        Reader::open(&self.segments, &self.cache, info, BlockId { import: data.id, block: info.zone.index })
    }
    pub(crate) fn setting(&self, import: usize, source: SourceId) -> Setting<'_> {
        static NONE: std::sync::LazyLock<Shift> = std::sync::LazyLock::new(Shift::default);
        let data = &self.imports[import];
        Setting {
            source: self.sources.get(&source).map_or("", |s| s.frame.name.as_str()),
            evidence: &data.done.path,
            shift: self.shifts.get(&(data.id, source)).unwrap_or(&NONE),
        }
    }
    /// Every evidence file whose rows are seen, oldest import first.
    pub fn evidence(&self) -> Vec<EvidenceInfo> {
        self.evidence_among(&|_| true)
    }
    fn evidence_among(&self, wanted: &dyn Fn(&ImportData) -> bool) -> Vec<EvidenceInfo> {
        let (heads, kept): (Vec<_>, Vec<_>) = self.imports.iter().filter(|i| wanted(i)).partition(|i| i.is_head());
        let mut out = parts::joined(kept.into_iter().map(|i| i.done.info(i)));
        heads.into_iter().for_each(|head| parts::add_head(&mut out, head.done.info(head)));
        out
    }
    /// Path of an evidence file.
    pub fn evidence_path(&self, key: EvidenceKey) -> Option<String> {
        self.imports.iter().find(|i| i.done.key == key.0).map(|i| i.done.path.clone())
    }
    /// An evidence file.
    pub fn evidence_of(&self, key: EvidenceKey) -> Option<EvidenceInfo> {
        self.evidence_among(&|i| i.done.key == key.0).pop()
    }
    /// Where sections and interfaces of a capture begin, if that is known.
    pub fn capture_heads(&self, key: EvidenceKey) -> Option<Vec<u64>> {
        self.imports.iter().find(|i| i.done.key == key.0).and_then(|i| i.done.heads.clone())
    }
    /// Name of a source.
    pub fn source_name(&self, id: SourceId) -> Option<&str> {
        self.sources.get(&id).map(|s| s.frame.name.as_str())
    }
    /// What was pruned of a source, in words; none: nothing.
    pub fn pruned(&self, source: SourceId) -> Option<String> {
        pruned::said(&self.pruned, source)
    }
    /// Every source, with its clock as applied, in order of number.
    pub fn sources(&self) -> Vec<SourceInfo> {
        let mut out: BTreeMap<SourceId, SourceInfo> = BTreeMap::new();
        for (id, row) in self.sources.iter() {
            let info = SourceInfo {
                id: *id,
                key: row.frame.key(),
                name: row.frame.name.clone(),
                span: None,
                counts: Counts::default(),
                kinds: Vec::new(),
                clock: row.clock.clone(),
                estimate: self.estimates.of.get(&id.0).map(|e| e.estimate.clone()),
                site: row.site.clone(),
                warnings: self.pruned(*id).into_iter().collect(),
            };
            out.insert(*id, info);
        }
        let mut kinds: BTreeMap<(SourceId, Kind), u64> = BTreeMap::new();
        // Of evidence in parts the newest says what is to be said of all.
        let kept = self.imports.iter().filter(|i| !i.is_head());
        let newest: HashMap<u64, u32> = kept.map(|i| (i.done.key, i.id)).collect();
        for data in self.imports.iter() {
            for read in &data.done.sources {
                let Some(info) = out.get_mut(&SourceId(read.id)) else { continue };
                info.counts.add(&counts_in(&read.counts));
                for warning in read.warnings.iter().filter(|_| data.is_head() || newest.get(&data.done.key) == Some(&data.id)) {
                    if !info.warnings.contains(warning) {
                        info.warnings.push(warning.clone());
                    }
                }
                if let Some(span) = data.span(Some(info.id)) {
                    info.span = Some(info.span.map_or(span, |s| union(s, span)));
                }
            }
            for block in &data.blocks {
                for (kind, n) in &block.zone.kinds {
                    *kinds.entry((block.zone.source, *kind)).or_default() += u64::from(*n);
                }
            }
        }
        for ((id, kind), n) in kinds {
            if let Some(info) = out.get_mut(&id) {
                info.kinds.push((kind, n));
            }
        }
        out.into_values().collect()
    }
    /// Span of what happened, in corrected time: of all records but those that state how something is (inventory, scans, reputation lists),
    /// whose times are often those of their files. Of a case that has nothing else, of those.
    pub fn span(&self) -> Option<Window> {
        self.union_of(&|z| happened(z)).or_else(|| self.union_of(&|_| true))
    }
    /// Span of the records of one source (none: as [`Snapshot::span`]) in corrected time.
    pub fn span_of(&self, source: Option<SourceId>) -> Option<Window> {
        source.map_or_else(|| self.span(), |id| self.union_of(&|z| z.source == id))
    }
    /// Span of the records of some imports, by their number, in corrected time.
    pub fn span_of_imports(&self, wanted: &dyn Fn(u32) -> bool) -> Option<Window> {
        self.union_of(&|z| wanted(z.import))
    }
    fn union_of(&self, wanted: &dyn Fn(&Zone) -> bool) -> Option<Window> {
        let mut out: Option<Window> = None;
        for (import, data) in self.imports.iter().enumerate() {
            for zone in data.blocks.iter().map(|b| &b.zone).filter(|z| wanted(z)) {
                let (low, high) = self.setting(import, zone.source).shift.bounds(zone.start.0, zone.start.1);
                let span = Window::new(zone.start.0.plus(low), zone.end.1.max(zone.start.1).plus(high).plus(1));
                out = Some(out.map_or(span, |o| union(o, span)));
            }
        }
        out
    }
    /// Corrected start of the newest record of what happened: what `2h ago` counts back from.
    pub fn newest(&self) -> Option<crate::model::Time> {
        let newest = |wanted: &dyn Fn(&Zone) -> bool| {
            let imports = self.imports.iter().enumerate();
            let starts = imports.flat_map(|(import, data)| {
                data.blocks.iter().map(|b| &b.zone).filter(|z| wanted(z)).map(move |zone| {
                    zone.start.1.plus(self.setting(import, zone.source).shift.bounds(zone.start.0, zone.start.1).1)
                })
            });
            starts.max()
        };
        newest(&|z| happened(z)).or_else(|| newest(&|_| true))
    }
    /// One record, with its correction and sightings.
    pub fn record(&self, id: RecordId) -> Result<Option<Record>> {
        for (import, data) in self.imports.iter().enumerate().filter(|(_, d)| d.done.key == id.evidence.0) {
            for (block, info) in data.blocks.iter().enumerate() {
                if id.offset < info.zone.offsets.0 || id.offset > info.zone.offsets.1 {
                    continue;
                }
                let reader = self.reader(import, block)?;
                let (offset, ordinal) = reader.ids()?;
                let same = |row: &usize| ordinal.uints()[*row] == u64::from(id.ordinal);
                let at =
                    offset.times().iter().enumerate().filter(|(_, o)| **o as u64 == id.offset).map(|(row, _)| row).find(same);
                if let Some(row) = at {
                    let mut record = reader.heads()?.record(info, row, &reader.columns(None)?);
                    self.complete(&mut record, import);
                    return Ok(Some(record));
                }
            }
        }
        Ok(None)
    }
    /// Fills what is not stored with the row.
    pub(crate) fn complete(&self, record: &mut Record, import: usize) {
        record.shift = self.setting(import, record.source).shift.at(record.start);
        if record.kind == Kind::Flow
            && let Some(seen_by) = self.sightings.seen_by.get(&record.id)
        {
            record.seen_by.clone_from(seen_by);
        }
    }
    /// The packets of a flow, in the order in which they were given.
    #[cfg(test)]
    pub fn packets(&self, flow: RecordId) -> Result<Vec<PacketRef>> {
        Ok(self.packets_of(&[flow], &Cancel::default())?.pop().unwrap_or_default())
    }
    /// The packets of flows, each named once, of each in the order in which they were given. What holds them is read once, however many flows there are.
    pub fn packets_of(&self, flows: &[RecordId], cancel: &Cancel) -> Result<Vec<Vec<PacketRef>>> {
        let mut out = vec![Vec::new(); flows.len()];
        let mut wanted: BTreeMap<u64, packets::Wanted> = BTreeMap::new();
        for (number, flow) in flows.iter().enumerate() {
            wanted.entry(flow.evidence.0).or_default().insert((flow.offset, flow.ordinal), number);
        }
        for data in self.imports.iter() {
            let Some(wanted) = wanted.get(&data.done.key) else { continue };
            for group in &data.groups {
                let (first, last) = group.reach.offsets;
                if wanted.range((first, 0)..=(last, u16::MAX)).next().is_some() {
                    cancel.check()?;
                    let payload = self.segments.frame(&group.place)?;
                    packets::search(frame::split(&payload)?.1, wanted, &mut out)?;
                }
            }
        }
        Ok(out)
    }
}

/// Whether a block holds records of what happened, not only of how things are.
fn happened(zone: &Zone) -> bool {
    zone.kinds.iter().any(|(kind, _)| !matches!(kind, Kind::Inventory | Kind::Vuln))
}

fn union(a: Window, b: Window) -> Window {
    Window::new(a.start.min(b.start), a.end.max(b.end))
}
