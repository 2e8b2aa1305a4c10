//! One step of a pruning or of a repair: what each import has without what goes, with what stays of segments that go written anew.

use super::Store;
use super::block::Packer;
use super::catalog::{self, About};
use super::commit::Pending;
use super::contents::{BlockInfo, ImportData};
use super::frame::{self, FrameKind, HEADER};
use super::mend::Mend;
use super::names::NamesInfo;
use super::packets::{self, Group, GroupInfo, Reach};
use super::postings::{ChunkInfo, Span};
use super::prune_fates::{Days, Fates, drops};
use super::prune_plan::kept;
use super::pruned::{Kept, Lost, Statement};
use super::segment::{OTHER, Place};
use crate::error::Result;
use crate::model::{EvidenceKey, RecordId, SourceId};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::OnceLock;

/// Some days being dropped.
pub(super) struct Step<'a> {
    pub(super) store: &'a Store,
    pub(super) days: &'a Days,
    /// All that is dropped, in these and other days.
    pub(super) all: &'a Days,
    /// What is mended.
    pub(super) mend: &'a Mend,
    /// Segments that go.
    pub(super) files: &'a HashSet<(i32, u32)>,
    pub(super) packer: Packer,
    pub(super) statement: Statement,
    pub(super) pending: Pending,
    /// Keys of the catalog that go.
    pub(super) removed: Vec<Vec<u8>>,
    /// Per source and kind the day before which nothing is left.
    pub(super) before: BTreeMap<(u32, Kept), i32>,
    /// Bytes that were written.
    pub(super) written: u64,
}

impl Step<'_> {
    /// An import without what is dropped of it.
    pub(super) fn without(&mut self, data: &ImportData) -> Result<ImportData> {
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
            if self.mend.unreadable.contains(&info.place) {
                if let Some(body) = self.store.salvaged(data, info) {
                    let mut meta = Vec::new();
                    zone.put(&mut meta);
                    let at = (info.place.day, &meta[..], &body[..]);
                    let place = self.write(About::Block, FrameKind::Block, data.id, zone.index, at)?;
                    out.blocks.push(BlockInfo { place, zone, meta: meta.len() as u32, directory: OnceLock::new() });
                    continue;
                }
                lost.frames[0] += 1;
                lost.damaged[0] = lost.damaged[0].saturating_add(u64::from(zone.rows));
                lost.damaged[1] += 1;
                self.gone(About::Block, data.id, zone.index);
                continue;
            }
            let place = self.moved(About::Block, FrameKind::Block, data.id, zone.index, &info.place)?;
            out.blocks.push(BlockInfo { place, zone, meta: info.meta, directory: OnceLock::new() });
        }
        for info in &data.groups {
            if self.mend.unreadable.contains(&info.place) {
                lost.frames[1] += 1;
                lost.damaged[2] += 1;
                self.gone(About::Packets, data.id, info.reach.index);
                continue;
            }
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
        let anew = self.mend.imports.contains(&data.id);
        if anew && self.mend.is_last {
            self.give_up(data, &mut lost);
        }
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
        let stays = |c: &&ChunkInfo| !(anew && of_these(&c.place)) || kept_sums(c) && !self.mend.unreadable.contains(&c.place);
        let sums: Vec<&ChunkInfo> = data.rollups.iter().filter(stays).collect();
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
        out.damaged = data.damaged;
        out.summed_only = data.summed_only.iter().map(copy_of).collect();
        out.lose(&lost)?;
        if lost != Lost::default() {
            self.statement.lost.insert(data.id, lost);
        }
        Ok(out)
    }
    /// Blocks and groups that are named nowhere but in how many there were.
    fn give_up(&mut self, data: &ImportData, lost: &mut Lost) {
        let short = |stated: u32, have: usize| i64::from(stated).saturating_sub(have as i64).max(0);
        let (blocks, groups) = (short(data.done.blocks, data.blocks.len()), short(data.done.groups, data.groups.len()));
        lost.frames[0] += blocks;
        lost.frames[1] += groups;
        let rows = if blocks > 0 { data.unaccounted() } else { 0 };
        let more = [rows, blocks.unsigned_abs(), groups.unsigned_abs()];
        lost.damaged.iter_mut().zip(more).for_each(|(n, more)| *n = n.saturating_add(more));
        if data.missing() > 0 {
            self.gone(About::Missing, data.id, 0);
        }
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
        // Those that are missing are made as well, of the last day at the latest.
        let is_last = self.mend.is_last;
        let missing = |stated: u32, there: usize| if is_last { i64::from(stated) - there as i64 } else { 0 };
        lost.frames[2] += chunks.len() as i64 + missing(data.done.chunks, data.chunks.len());
        lost.frames[3] += rollups.len() as i64 + missing(data.done.rollups, data.rollups.len());
        chunks.into_iter().for_each(|n| self.gone(About::Postings, data.id, n));
        rollups.into_iter().for_each(|n| self.gone(About::Rollups, data.id, n));
        let store = self.store;
        for ((day, source), mut blocks) in super::check::groups(data) {
            let left = |b: &BlockInfo| !self.mend.unreadable.contains(&b.place) || store.salvaged(data, b).is_some();
            blocks.retain(|b| left(b));
            if blocks.is_empty() || !self.days.contains_key(&day) {
                continue;
            }
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
        if all.iter().any(|n| fates.names(n) || self.mend.unreadable.contains(&n.place)) {
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
