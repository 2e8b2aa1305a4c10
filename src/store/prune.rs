//! Pruning: whole raw days go, all of them or what they have of one kind. What stays of a segment is written anew, then a statement says which
//! segments count no more ([`Statement`]), then the catalog changes in one batch; only then are the files removed. Interrupted before that
//! statement is acknowledged nothing has happened; after it the next open removes what is left.
//!
//! Views that were taken before see what they saw: the files that they read go when they are gone.

use super::block::Packer;
use super::catalog::{self, About, Change};
use super::commit::Pending;
use super::contents::{BlockInfo, ImportData};
use super::frame::{self, FrameKind, HEADER};
use super::journal::now;
use super::names::NamesInfo;
use super::packets::{self, Group, GroupInfo, Reach};
use super::postings::{ChunkInfo, Span};
use super::prune_fates::{Days, Fates, drops};
use super::prune_plan::{Plan, day_name, kept};
use super::pruned::{Kept, Lost, Statement};
use super::segment::{CASE, MEMORY, OTHER, OWN, Place};
use super::{Store, hold};
use crate::error::{Error, Result};
use crate::model::{EvidenceKey, RecordId, SourceId};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::{Arc, OnceLock, Weak};

/// Entries of the catalog that one batch removes, about.
const BATCH: usize = 10_000;

/// What was pruned.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Pruned {
    /// Days of which something was dropped.
    pub days: usize,
    /// Rows that are gone.
    pub rows: u64,
    /// Bytes that the segments took less afterwards.
    pub bytes: u64,
    /// Segments that a view still reads: they go when it is gone.
    pub waiting: usize,
    /// Days that stay, each with why.
    pub kept: Vec<(i32, String)>,
}

/// Segments that count no more.
#[derive(Debug)]
pub(super) struct Retired {
    files: Vec<(i32, u32)>,
    seen_by: Vec<Weak<ImportData>>,
}

impl Retired {
    /// Segments that no view reads.
    pub(super) fn unseen(files: Vec<(i32, u32)>) -> Retired {
        Retired { files, seen_by: Vec::new() }
    }
}

/// Imports wait while days are dropped.
pub(super) struct Turn<'a>(&'a Store);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        hold(&self.0.0.state).pruning = false;
        self.0.0.pruned.notify_all();
    }
}

impl Store {
    /// Drops what a plan says, for good; `why` is kept with it. Asked to `stop` it ends after some days; what was dropped until then is.
    pub fn prune(&self, plan: &Plan, why: &str, stop: &dyn Fn() -> bool) -> Result<Pruned> {
        let _turn = hold(&self.0.compacting);
        let _imports = self.alone()?;
        let mut out = Pruned::default();
        let (whole, some): (Vec<_>, Vec<_>) = plan.days.iter().partition(|d| d.drop == [true; 4]);
        let mut steps: Vec<Days> = Vec::new();
        // Days that only go are dropped together; where something is written anew one at a time: that takes space first.
        let mut entries = 0;
        for day in whole {
            entries += self.entries_of(day.day);
            match steps.last_mut().filter(|_| entries <= BATCH) {
                Some(last) => drop(last.insert(day.day, day.drop)),
                None => {
                    steps.push(Days::from([(day.day, day.drop)]));
                    entries = 0;
                }
            }
        }
        steps.extend(some.iter().map(|d| Days::from([(d.day, d.drop)])));
        for step in steps {
            if stop() {
                break;
            }
            match self.drop_days((&step, &plan.all), None, why, &mut out) {
                Ok(()) => {}
                // What cannot be read cannot be written anew.
                Err(e) if super::encode::is_damage(&e) => out.kept.extend(step.keys().map(|day| (*day, e.to_string()))),
                Err(e) => return Err(e),
            }
            self.remove_retired();
        }
        for (path, bytes) in plan.files.iter().filter(|_| !stop()) {
            match std::fs::remove_file(path) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    return Err(super::segment::write_error(&e, path));
                }
                _ => out.bytes += bytes,
            }
            let _ = std::fs::remove_file(path.with_extension("idx"));
            let _ = path.parent().map(std::fs::remove_dir);
        }
        self.remove_retired();
        out.waiting = hold(&self.0.state).retired.iter().map(|r| r.files.len()).sum();
        self.derive_missing();
        Ok(out)
    }
    /// No import begins as long as this is held.
    pub(super) fn alone(&self) -> Result<Turn<'_>> {
        let mut state = hold(&self.0.state);
        if !state.active.is_empty() {
            return Err(Error::user("an import is running").hint("try again when it has ended"));
        }
        state.pruning = true;
        drop(state);
        Ok(Turn(self))
    }
    fn entries_of(&self, day: i32) -> usize {
        let state = hold(&self.0.state);
        state.contents.imports.values().flat_map(|i| i.places()).filter(|p| p.day == day).count()
    }
    /// Removes segments that no view sees any more.
    pub(super) fn remove_retired(&self) {
        let gone: Vec<Retired> = {
            let mut state = hold(&self.0.state);
            let all = std::mem::take(&mut state.retired);
            let (seen, gone) = all.into_iter().partition(|r| r.seen_by.iter().any(|data| data.strong_count() > 0));
            state.retired = seen;
            gone
        };
        for (day, segment) in gone.into_iter().flat_map(|r| r.files) {
            // What cannot be removed now is removed at the next open.
            let _ = self.segments().remove(day, segment);
        }
    }
    /// Writes the postings and sums of an import anew from its rows, day by day; the old ones go. Days of which a row cannot be read stay.
    pub(super) fn reindex(&self, import: u32, out: &mut Pruned) -> Result<()> {
        let data = hold(&self.0.state).contents.imports.get(&import).cloned();
        let days: BTreeSet<i32> = data.iter().flat_map(|d| d.places()).map(|p| p.day).collect();
        drop(data);
        for day in days {
            let step = Days::from([(day, [false; 4])]);
            match self.drop_days((&step, &step), Some(import), "indexes were written anew", out) {
                Err(e) if super::encode::is_damage(&e) => out.kept.push((day, e.to_string())),
                done => done?,
            }
            self.remove_retired();
        }
        Ok(())
    }
    /// Drops what is said of `days`; of packets in them those of `all` days that are to go.
    fn drop_days(&self, (days, all): (&Days, &Days), reindex: Option<u32>, why: &str, out: &mut Pruned) -> Result<()> {
        let (imports, number) = {
            let state = hold(&self.0.state);
            let is_there = |i: &&Arc<ImportData>| i.places().any(|p| days.contains_key(&p.day));
            (state.contents.imports.values().filter(is_there).cloned().collect::<Vec<_>>(), state.contents.next_pruned())
        };
        let list = self.segments().list()?;
        let mut files = self.touched(days, &imports, &list);
        for data in imports.iter().filter(|d| Some(d.id) == reindex) {
            let indexes = data.chunks.iter().chain(&data.rollups).map(|c| c.place).filter(|p| days.contains_key(&p.day));
            files.extend(indexes.map(|p| (p.day, p.segment)));
        }
        for day in days.keys() {
            self.segments().turn(*day)?;
        }
        let mut step = Step {
            store: self,
            days,
            all,
            reindex,
            files: &files,
            packer: Packer::new()?,
            statement: Statement {
                number,
                at: now().0,
                why: why.to_owned(),
                files: files.iter().copied().collect(),
                ..Statement::default()
            },
            pending: Pending::default(),
            removed: Vec::new(),
            before: BTreeMap::new(),
            written: 0,
        };
        let made = imports.iter().map(|data| step.without(data)).collect::<Result<Vec<ImportData>>>()?;
        let Step { mut statement, mut pending, mut removed, before, written, .. } = step;
        statement.before = before.into_iter().map(|((source, kept), day)| (source, kept, day)).collect();
        let watermark = |(day, segment): &(i32, u32)| catalog::key(About::Watermark, *day as u32, *segment);
        removed.extend(files.iter().map(watermark));
        let rows: u64 = statement.lost.values().map(|l| l.rows).sum();
        // What stays is durable before it is said that the rest is gone.
        self.segments().sync().map_err(|e| self.full(e))?;
        {
            let mut catalog = hold(&self.0.catalog);
            let place = self.segments().append(CASE, FrameKind::Pruned, number, &statement.bytes()?, &[]);
            let place = place.map_err(|e| self.full(e))?;
            self.segments().sync().map_err(|e| self.full(e))?;
            pending.add(About::Pruned, number, 0, &place, &[]);
            let mut changes: Vec<Change> = removed.into_iter().map(|key| (key, None)).collect();
            changes.extend(pending.take(self.segments()));
            catalog.commit(changes).map_err(|e| self.full(e))?;
            let mut state = hold(&self.0.state);
            let seen_by = imports.iter().map(Arc::downgrade).collect();
            for data in made {
                state.contents.imports.insert(data.id, Arc::new(data));
            }
            state.contents.pruned.push((place, statement));
            state.retired.push(Retired { files: files.iter().copied().collect(), seen_by });
            state.snapshot = None;
        }
        let gone: u64 = list.iter().filter(|(day, segment, _)| files.contains(&(*day, *segment))).map(|(_, _, len)| len).sum();
        out.days += days.len();
        out.rows += rows;
        out.bytes += gone.saturating_sub(written);
        Ok(())
    }
    /// The segments of which something goes, and those of these days that hold nothing that counts.
    fn touched(&self, days: &Days, imports: &[Arc<ImportData>], list: &[(i32, u32, u64)]) -> HashSet<(i32, u32)> {
        let mut files = HashSet::new();
        let mut live: BTreeSet<(i32, u32)> = BTreeSet::new();
        for data in imports {
            live.extend(data.places().filter(|p| days.contains_key(&p.day)).map(|p| (p.day, p.segment)));
            let fates = Fates::of(data, days);
            files.extend(data.blocks.iter().filter(|b| fates.block(b)).map(|b| (b.place.day, b.place.segment)));
            files.extend(
                data.groups.iter().filter(|g| drops(days, g.place.day, Kept::Packets)).map(|g| (g.place.day, g.place.segment)),
            );
            files.extend(data.chunks.iter().filter(|c| fates.chunk(c)).map(|c| (c.place.day, c.place.segment)));
            files.extend(
                data.rollups.iter().filter(|c| drops(days, c.place.day, Kept::Rollups)).map(|c| (c.place.day, c.place.segment)),
            );
            files.extend(data.names().iter().filter(|n| fates.names(n)).map(|n| (n.place.day, n.place.segment)));
        }
        // No import writes to segments that several share meanwhile.
        let dead = list.iter().map(|(day, segment, _)| (*day, *segment));
        files.extend(dead.filter(|at| days.contains_key(&at.0) && at.1 < OWN && !live.contains(at)));
        files.retain(|(_, segment)| *segment < MEMORY);
        files
    }
}

/// Some days being dropped.
struct Step<'a> {
    store: &'a Store,
    days: &'a Days,
    /// All that is dropped, in these and other days.
    all: &'a Days,
    /// The import whose postings and sums are written anew.
    reindex: Option<u32>,
    files: &'a HashSet<(i32, u32)>,
    packer: Packer,
    statement: Statement,
    pending: Pending,
    /// Keys of the catalog that go.
    removed: Vec<Vec<u8>>,
    /// Per source and kind the day before which nothing is left.
    before: BTreeMap<(u32, Kept), i32>,
    written: u64,
}

impl Step<'_> {
    /// An import without what is dropped of it.
    fn without(&mut self, data: &ImportData) -> Result<ImportData> {
        let mut out = ImportData::new(data.id, data.done.clone());
        let fates = Fates::of(data, self.days);
        let mut lost = Lost::default();
        let summed: HashSet<(i32, SourceId)> = data
            .rollups
            .iter()
            .filter(|c| !drops(self.days, c.place.day, Kept::Rollups))
            .map(|c| (c.place.day, c.span.source))
            .collect();
        for info in &data.blocks {
            let zone = info.zone.clone();
            if fates.block(info) {
                lost.frames[0] += 1;
                lost.rows += u64::from(zone.rows);
                if summed.contains(&(info.place.day, zone.source)) && info.place.day != OTHER {
                    lost.keep_zone(&zone);
                }
                self.gone(About::Block, data.id, zone.index);
                self.until(zone.source, kept(&zone.kinds), info.place.day);
                continue;
            }
            let place = self.moved(About::Block, FrameKind::Block, data.id, zone.index, &info.place)?;
            out.blocks.push(BlockInfo { place, zone, meta: info.meta, directory: OnceLock::new() });
        }
        for info in &data.groups {
            if !drops(self.days, info.place.day, Kept::Packets) {
                let place = self.moved(About::Packets, FrameKind::Packets, data.id, info.reach.index, &info.place)?;
                out.groups.push(GroupInfo { place, reach: info.reach.clone() });
                continue;
            }
            match self.rest(data, info, &out.blocks)? {
                Some(info) => out.groups.push(info),
                None => {
                    lost.frames[1] += 1;
                    self.gone(About::Packets, data.id, info.reach.index);
                }
            }
            let sources: Vec<u32> = data.done.sources.iter().map(|s| s.id).collect();
            let last = self
                .all
                .iter()
                .filter(|(day, drop)| **day != OTHER && drop[Kept::Packets as usize])
                .map(|(day, _)| *day)
                .next_back();
            let last = last.unwrap_or(info.place.day);
            sources.into_iter().for_each(|source| self.until(SourceId(source), Kept::Packets, last));
        }
        let anew = self.reindex == Some(data.id);
        let of_these = |place: &Place| self.days.contains_key(&place.day);
        let chunks = data.chunks.iter().filter(|c| !(anew && of_these(&c.place)));
        let chunks: Vec<&ChunkInfo> = chunks.collect();
        for info in chunks {
            if fates.chunk(info) {
                lost.frames[2] += 1;
                self.gone(About::Postings, data.id, info.span.index);
                continue;
            }
            let place = self.moved(About::Postings, FrameKind::Postings, data.id, info.span.index, &info.place)?;
            out.chunks.push(ChunkInfo { place, span: info.span.clone() });
        }
        let kept_sums = |info: &ChunkInfo| {
            let of = (info.place.day, info.span.source);
            data.summed_only.iter().any(|b| (b.place.day, b.zone.source) == of)
        };
        let sums: Vec<&ChunkInfo> = data.rollups.iter().filter(|c| !(anew && of_these(&c.place)) || kept_sums(c)).collect();
        for info in sums {
            if drops(self.days, info.place.day, Kept::Rollups) {
                lost.frames[3] += 1;
                self.gone(About::Rollups, data.id, info.span.index);
                self.until(info.span.source, Kept::Rollups, info.place.day);
                continue;
            }
            let place = self.moved(About::Rollups, FrameKind::Rollups, data.id, info.span.index, &info.place)?;
            out.rollups.push(ChunkInfo { place, span: info.span.clone() });
        }
        if anew {
            self.index(data, &mut out, &mut lost)?;
        }
        self.names(data, &fates, &mut out)?;
        out.pruned = data.pruned;
        out.summed_only = data.summed_only.iter().map(copy_of).collect();
        out.lose(&lost)?;
        if lost != Lost::default() {
            self.statement.lost.insert(data.id, lost);
        }
        Ok(out)
    }
    /// Postings and sums of these days, made of the rows.
    fn index(&mut self, data: &ImportData, out: &mut ImportData, lost: &mut Lost) -> Result<()> {
        let of_these = |c: &&ChunkInfo| self.days.contains_key(&c.place.day);
        let next = |chunks: &[ChunkInfo]| chunks.iter().map(|c| c.span.index.saturating_add(1)).max().unwrap_or(0);
        // Numbers are not given twice, nor those of what is lost.
        let mut numbers = [next(&data.chunks).max(data.done.chunks), next(&data.rollups).max(data.done.rollups)];
        let gone = |all: &[ChunkInfo], left: &[ChunkInfo]| -> Vec<u32> {
            let there: HashSet<u32> = left.iter().map(|c| c.span.index).collect();
            all.iter().filter(of_these).map(|c| c.span.index).filter(|n| !there.contains(n)).collect()
        };
        let (chunks, rollups) = (gone(&data.chunks, &out.chunks), gone(&data.rollups, &out.rollups));
        // Those that are missing are made as well.
        let missing = |stated: u32, there: usize| i64::from(stated) - there as i64;
        lost.frames[2] += chunks.len() as i64 + missing(data.done.chunks, data.chunks.len());
        lost.frames[3] += rollups.len() as i64 + missing(data.done.rollups, data.rollups.len());
        chunks.into_iter().for_each(|n| self.gone(About::Postings, data.id, n));
        rollups.into_iter().for_each(|n| self.gone(About::Rollups, data.id, n));
        let store = self.store;
        for ((day, source), blocks) in super::check::groups(data).into_iter().filter(|((day, _), _)| self.days.contains_key(day))
        {
            let summed = data.done.summed && !data.summed_only.iter().any(|b| (b.place.day, b.zone.source) == (day, source));
            store.reindexed(data, &blocks, &mut |postings, first, last, body| {
                if !postings && !summed {
                    return Ok(());
                }
                let (about, kind, to, slot) = match postings {
                    true => (About::Postings, FrameKind::Postings, &mut out.chunks, 0),
                    false => (About::Rollups, FrameKind::Rollups, &mut out.rollups, 1),
                };
                let span = Span { import: data.id, index: numbers[slot], source, first: first.into(), last: last.into() };
                numbers[slot] = numbers[slot].saturating_add(1);
                lost.frames[slot + 2] -= 1;
                let mut meta = Vec::new();
                span.put(&mut meta);
                let place = self.write(about, kind, data.id, span.index, (day, &meta, &body))?;
                to.push(ChunkInfo { place, span });
                Ok(())
            })?;
        }
        Ok(())
    }
    /// Passive DNS: without some of its frames a derivation is not whole, and is made anew of the events that are left.
    fn names(&mut self, data: &ImportData, fates: &Fates<'_>, out: &mut ImportData) -> Result<()> {
        let all = data.names();
        let mut frames = Vec::new();
        if all.iter().any(|n| fates.names(n)) {
            all.iter().for_each(|n| self.gone(About::Names, data.id, n.span.index));
        } else {
            for info in all.iter() {
                let place = self.moved(About::Names, FrameKind::Names, data.id, info.span.index, &info.place)?;
                frames.push(NamesInfo { place, meta: info.meta, directory: OnceLock::new(), span: info.span.clone() });
            }
        }
        out.set_names(frames);
        out.no_names_below(data.next_names());
        Ok(())
    }
    fn gone(&mut self, about: About, import: u32, index: u32) {
        self.removed.push(catalog::key(about, import, index));
    }
    fn until(&mut self, source: SourceId, kept: Kept, day: i32) {
        if day != OTHER {
            let end = self.before.entry((source.0, kept)).or_insert(i32::MIN);
            *end = (*end).max(day.saturating_add(1));
        }
    }
    /// Where a frame stands that stays: written anew if its segment goes.
    fn moved(&mut self, about: About, kind: FrameKind, import: u32, index: u32, place: &Place) -> Result<Place> {
        if !self.files.contains(&(place.day, place.segment)) {
            return Ok(*place);
        }
        let payload = self.store.segments().frame(place)?;
        let (meta, body) = frame::split(&payload)?;
        self.write(about, kind, import, index, (place.day, meta, body))
    }
    fn write(
        &mut self,
        about: About,
        kind: FrameKind,
        import: u32,
        index: u32,
        (day, meta, body): (i32, &[u8], &[u8]),
    ) -> Result<Place> {
        self.store.room()?;
        let place = self.store.segments().append(day, kind, import, meta, body).map_err(|e| self.store.full(e))?;
        self.pending.add(about, import, index, &place, meta);
        self.written += HEADER as u64 + u64::from(place.len);
        Ok(place)
    }
    /// What a group of packet references has of flows whose packets stay; none: nothing.
    fn rest(&mut self, data: &ImportData, info: &GroupInfo, blocks: &[BlockInfo]) -> Result<Option<GroupInfo>> {
        let all = self.all;
        let stay = |b: &&BlockInfo| may_hold(b, info.reach.offsets) && !drops(all, b.place.day, Kept::Packets);
        let days: BTreeSet<i32> = blocks.iter().filter(stay).map(|b| b.place.day).collect();
        if days.is_empty() {
            return Ok(None);
        }
        let payload = self.store.segments().frame(&info.place)?;
        let mut group = Group::default();
        let evidence = EvidenceKey(data.done.key);
        let read = packets::pieces(frame::split(&payload)?.1, &mut |(offset, ordinal, source), refs| {
            if refs.iter().any(|r| days.contains(&r.time.day())) || days.contains(&OTHER) {
                group.add(RecordId { evidence, offset, ordinal }, source, &refs);
            }
            Ok(())
        });
        if read.is_err() {
            // Of an older layout, which is not taken apart: it stays as it is.
            let place = self.moved(About::Packets, FrameKind::Packets, data.id, info.reach.index, &info.place)?;
            return Ok(Some(GroupInfo { place, reach: info.reach.clone() }));
        }
        if group.is_empty() {
            return Ok(None);
        }
        let (offsets, body) = group.take(&mut self.packer);
        let reach = Reach { import: data.id, index: info.reach.index, offsets };
        let mut meta = Vec::new();
        reach.put(&mut meta);
        // It goes with the first of its days.
        let day = days.first().copied().unwrap_or(info.place.day);
        let place = self.write(About::Packets, FrameKind::Packets, data.id, reach.index, (day, &meta, &body))?;
        Ok(Some(GroupInfo { place, reach }))
    }
}

fn may_hold(block: &BlockInfo, (first, last): (u64, u64)) -> bool {
    block.zone.offsets.0 <= last && block.zone.offsets.1 >= first
}

fn copy_of(info: &BlockInfo) -> BlockInfo {
    BlockInfo { place: info.place, zone: info.zone.clone(), meta: info.meta, directory: OnceLock::new() }
}

/// Why a day stays, in words.
pub fn stays((day, why): &(i32, String)) -> String {
    format!("{} stays: {why}", day_name(*day))
}

#[cfg(test)]
mod tests;
