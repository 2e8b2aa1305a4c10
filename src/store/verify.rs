//! Reads every frame and every journal entry again and says what does not hold, where, and what it costs. Changes nothing but what is derived,
//! unless it is to repair: see `mend.rs`.

use super::contents::{BlockInfo, ImportData};
use super::encode::Take;
use super::frame::{self, FrameKind};
use super::prune_plan::day_name;
use super::pruned::said_of_damage;
use super::scan::{Scan, scan};
use super::segment::{CASE, OWN, Place};
use super::zone::Zone;
use super::{Store, contents, hold, recover};
use crate::error::Result;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// What a check found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// Segments read.
    pub segments: usize,
    /// Frames whose checksum holds.
    pub frames: usize,
    /// Entries of the journal.
    pub decisions: usize,
    /// Evidence of which passive DNS was damaged or missing, and was derived anew.
    pub derived: Vec<String>,
    /// What was damaged and is not any more: indexes made anew of the rows, files written anew without what cannot be read.
    pub repaired: Vec<String>,
    /// What a repair, now or before, went on without.
    pub lost: Vec<String>,
    /// What does not hold, in words with its place.
    pub damage: Vec<String>,
}

/// How thoroughly a case is checked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct How {
    /// Indexes are compared with all rows, not with some.
    pub full: bool,
    /// What is derived of rows and does not fit them, or cannot be read, is written anew; rows that cannot be read are given up.
    pub repair: bool,
}

/// What a look at everything found: in words, and as a repair needs it.
#[derive(Default)]
pub(super) struct Look {
    pub(super) check: Check,
    /// Segments with bytes that cannot be read.
    pub(super) bad: HashSet<(i32, u32)>,
    /// Frames that count and cannot be read.
    pub(super) unreadable: HashSet<Place>,
    /// Imports with parts that are missing, or whose indexes do not fit: all their days are in doubt.
    pub(super) doubtful: BTreeSet<u32>,
    /// Imports of which a frame cannot be read.
    pub(super) touched: BTreeSet<u32>,
    /// Rows of imports that nothing says have ended, where what would say so is damaged.
    pub(super) orphans: u64,
    /// Sources that imports name and nothing describes, each with a format.
    pub(super) nameless: BTreeMap<u32, String>,
}

/// A frame that counts.
struct Part<'a> {
    import: &'a ImportData,
    place: Place,
    kind: FrameKind,
    zone: Option<&'a Zone>,
    is_salvaged: bool,
}

/// Where a frame begins.
type At = (i32, u32, u64);

/// What of an import cannot be read.
#[derive(Default)]
struct Cost {
    rows: u64,
    blocks: u64,
    /// Blocks that can be read all the same.
    whole: u64,
    groups: u64,
    indexes: u64,
    names: u64,
}

impl Cost {
    fn add(&mut self, part: &Part<'_>) {
        match part.kind {
            FrameKind::Block if part.is_salvaged => self.whole += 1,
            FrameKind::Block => {
                self.blocks += 1;
                self.rows += part.zone.map_or(0, |z| u64::from(z.rows));
            }
            FrameKind::Packets => self.groups += 1,
            FrameKind::Names => self.names += 1,
            _ => self.indexes += 1,
        }
    }
    fn said(&self) -> String {
        let rows = if self.rows > 0 { format!(" with {} records", self.rows) } else { String::new() };
        let each = [
            (self.blocks, format!("{} blocks{rows}", self.blocks)),
            (self.whole, format!("{} blocks, of which everything can be read all the same", self.whole)),
            (self.groups, format!("{} groups of packet references", self.groups)),
            (self.indexes, format!("{} parts of indexes, which can be made anew", self.indexes)),
            (self.names, format!("{} parts of passive DNS, which is derived anew", self.names)),
        ];
        each.into_iter().filter(|(n, _)| *n > 0).map(|(_, said)| said).collect::<Vec<_>>().join(", ")
    }
}

fn parts(import: &ImportData) -> impl Iterator<Item = Part<'_>> {
    let part = move |place: Place, kind, zone| Part { import, place, kind, zone, is_salvaged: false };
    let blocks = import.blocks.iter().map(move |b| part(b.place, FrameKind::Block, Some(&b.zone)));
    let groups = import.groups.iter().map(move |g| part(g.place, FrameKind::Packets, None));
    let chunks = import.chunks.iter().map(move |c| part(c.place, FrameKind::Postings, None));
    let rollups = import.rollups.iter().map(move |c| part(c.place, FrameKind::Rollups, None));
    let names: Vec<Place> = import.names().iter().map(|n| n.place).collect();
    blocks.chain(groups).chain(chunks).chain(rollups).chain(names.into_iter().map(move |p| part(p, FrameKind::Names, None)))
}

impl Store {
    /// As [`Store::verify_how`], and changes nothing but passive DNS.
    pub fn verify(&self) -> Result<Check> {
        self.verify_how(How::default())
    }
    /// Checks segments against their checksums, imports against their frames, blocks against what is said of them, indexes against blocks, the
    /// journal against its chain. After a repair it says what is found then.
    pub fn verify_how(&self, how: How) -> Result<Check> {
        // No file goes while they are read.
        let _turn = hold(&self.0.compacting);
        let _imports = how.repair.then(|| self.alone()).transpose()?;
        let mut found = self.look(how.full)?;
        if how.repair && found.is_to_mend() {
            let kept = self.mend(&found)?;
            let before = std::mem::take(&mut found.check.damage);
            found = self.look(how.full)?;
            let still: HashSet<&String> = found.check.damage.iter().collect();
            found.check.repaired = before.into_iter().filter(|line| !still.contains(line)).collect();
            found.check.damage.extend(kept);
        }
        if how.repair {
            let mut catalog = hold(&self.0.catalog);
            recover::settle(self.segments(), &hold(&self.0.state).contents, catalog.as_mut())?;
        }
        let mut out = found.check;
        out.derived = self.check_names(&mut out.damage);
        let (decisions, damaged) = self.journal().check()?;
        out.decisions = decisions;
        out.damage.extend(damaged.iter().map(|n| format!("journal.log line {n}: damaged, or not what was written")));
        Ok(out)
    }
    /// Reads everything.
    fn look(&self, full: bool) -> Result<Look> {
        let mut out = Look::default();
        let (imports, retired, sources) = {
            let state = hold(&self.0.state);
            let retired: HashSet<(i32, u32)> = state.contents.pruned.iter().flat_map(|(_, s)| s.files.iter().copied()).collect();
            let imports: BTreeMap<u32, Arc<ImportData>> = state.contents.imports.clone();
            (imports, retired, state.contents.sources.keys().copied().collect::<HashSet<u32>>())
        };
        let mut waiting: HashMap<At, Part<'_>> = HashMap::new();
        for part in imports.values().flat_map(|i| parts(i)) {
            waiting.insert((part.place.day, part.place.segment, part.place.offset), part);
        }
        let (mut ranges, mut orphans) = (Vec::new(), 0);
        for (day, segment, len) in self.segments().list()? {
            // What a capture is writing has no end yet; what was written anew elsewhere counts no more.
            let is_open = segment >= OWN && !imports.contains_key(&(segment - OWN));
            if is_open || retired.contains(&(day, segment)) {
                continue;
            }
            out.check.segments += 1;
            let (found, frames, rows) = self.read_again(&imports, &mut waiting, (day, segment, len))?;
            out.check.frames += frames;
            orphans += rows;
            ranges.extend(found.damaged.iter().map(|(at, n)| (day, segment, *at, *n, true)));
            ranges.extend(found.torn.map(|at| (day, segment, at, len.saturating_sub(at), false)));
        }
        // What is left was not found where it should be.
        let mut costs: BTreeMap<u32, Cost> = BTreeMap::new();
        for part in waiting.values_mut() {
            let of = |i: &&BlockInfo| part.kind == FrameKind::Block && i.place == part.place;
            part.is_salvaged = part.import.blocks.iter().find(of).is_some_and(|b| self.salvaged(part.import, b).is_some());
            out.unreadable.insert(part.place);
            out.touched.insert(part.import.id);
            costs.entry(part.import.id).or_default().add(part);
        }
        for (day, segment, at, n, is_whole) in ranges {
            out.bad.insert((day, segment));
            let mut cost = Cost::default();
            let is_in =
                |p: &&Part<'_>| (p.place.day, p.place.segment) == (day, segment) && (at..at + n).contains(&p.place.offset);
            waiting.values().filter(is_in).for_each(|part| cost.add(part));
            let what = if is_whole { "cannot be read" } else { "are a frame without its end" };
            let cost = match cost.said() {
                _ if day == CASE => "of evidence, sources or prunings, which nothing else describes".to_owned(),
                said if said.is_empty() => "nothing that counts".to_owned(),
                said => said,
            };
            let path = self.segments().path(day, segment);
            out.check.damage.push(format!("{} at {at}: {n} bytes {what}: {cost}", path.display()));
        }
        if out.bad.iter().any(|(day, _)| *day == CASE) && orphans > 0 {
            out.orphans = orphans;
            out.check.damage.push(format!(
                "{orphans} records are of evidence that nothing says was imported to its end: ingest again what `sources` does not list"
            ));
        }
        for data in imports.values() {
            out.judge(data, costs.remove(&data.id).unwrap_or_default());
            for source in data.done.sources.iter().filter(|s| !sources.contains(&s.id)) {
                out.nameless.insert(source.id, data.done.format.clone());
            }
        }
        out.check.damage.extend(out.nameless.keys().map(|id| format!("source {id} has lost its name and format")));
        for (import, why) in self.check_indexes(full, &mut out.check.damage) {
            if !out.touched.contains(&import) && out.doubtful.insert(import) {
                out.check.damage.push(format!("{why}{MADE_ANEW}"));
            }
        }
        out.check.lost = self.lost();
        Ok(out)
    }
    /// Reads a segment and takes off the list what it has of it; rows of imports that are not known.
    fn read_again(
        &self,
        imports: &BTreeMap<u32, Arc<ImportData>>,
        waiting: &mut HashMap<At, Part<'_>>,
        (day, segment, len): (i32, u32, u64),
    ) -> Result<(Scan, usize, u64)> {
        let (mut frames, mut orphans) = (0, 0);
        let mut each = |place: Place, header: frame::Header, payload: &[u8]| {
            frames += 1;
            let (meta, _) = frame::split(payload)?;
            let at = (place.day, place.segment, place.offset);
            let zone = (header.kind == FrameKind::Block).then(|| Zone::take(&mut Take::new(meta))).transpose()?;
            if let Some(zone) = zone.as_ref().filter(|_| !imports.contains_key(&header.id)) {
                orphans += u64::from(zone.rows);
            }
            let is_it = |p: &Part<'_>| {
                (p.kind, p.import.id, p.place.len) == (header.kind, header.id, header.len) && p.zone == zone.as_ref()
            };
            if waiting.get(&at).is_some_and(is_it) {
                waiting.remove(&at);
            }
            Ok(())
        };
        let found = scan(self.segments(), day, segment, len, &mut each)?;
        Ok((found, frames, orphans))
    }
    /// What is gone for good, in words.
    fn lost(&self) -> Vec<String> {
        let said = |i: &Arc<ImportData>| {
            let said = said_of_damage(i.damaged, &contents::counts_in(&i.done.counts))?;
            Some(format!("{}: {said}", i.done.path))
        };
        let mut out: Vec<String> = self.snapshot().imports().iter().filter_map(said).collect();
        let state = hold(&self.0.state);
        for (_, statement) in state.contents.pruned.iter().filter(|(_, s)| s.orphans > 0) {
            let day = day_name(crate::model::Time(statement.at).day());
            out.push(format!("{} records of evidence that damage made unknown, on {day}", statement.orphans));
        }
        out
    }
}

/// What is said of indexes.
const MADE_ANEW: &str = "; `verify --repair` makes them anew of the rows";

impl Look {
    /// Whether a repair has anything to do.
    fn is_to_mend(&self) -> bool {
        !(self.bad.is_empty() && self.unreadable.is_empty() && self.doubtful.is_empty() && self.nameless.is_empty())
    }
    /// What is said of an import of which some frames cannot be read, or are not there.
    fn judge(&mut self, data: &ImportData, mut cost: Cost) {
        let short = |stated: u32, have: usize| u64::from(stated).saturating_sub(have as u64);
        let missing = [short(data.done.blocks, data.blocks.len()), short(data.done.groups, data.groups.len())];
        cost.blocks += missing[0];
        cost.groups += missing[1];
        cost.rows += if missing[0] > 0 { data.unaccounted() } else { 0 };
        cost.indexes += short(data.done.chunks, data.chunks.len()) + short(data.done.rollups, data.rollups.len());
        if data.missing() > 0 {
            self.doubtful.insert(data.id);
        }
        let path = &data.done.path;
        if cost.indexes > 0 {
            self.check.damage.push(format!("{path}: {} parts of its indexes cannot be read{MADE_ANEW}", cost.indexes));
        }
        let (gone, of) = (cost.blocks + cost.groups, data.done.parts());
        if gone > 0 {
            let said = Cost { indexes: 0, names: 0, whole: 0, ..cost }.said();
            self.check
                .damage
                .push(format!("{path}: {gone} of its {of} parts are lost: {said}; `verify --repair` goes on without them"));
        }
    }
}
