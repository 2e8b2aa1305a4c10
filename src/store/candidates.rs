//! Which blocks may hold rows that are asked for: by what is known of each, then by postings.

use super::ask::{Ask, bounds, is_inside};
use super::bits::Bits;
use super::block::Zone;
use super::cache::Kept;
use super::eval::{self, Setting, Verdict};
use super::frame;
use super::parallel;
use super::plan::{self, Far};
use super::postings::{self, ChunkInfo, Found, Range, Rows};
use super::snapshot::{BlockId, Snapshot};
use crate::error::{Error, Result};
use crate::model::{Filter, SourceId, Time};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A block that may hold rows.
pub(super) struct Candidate<'a> {
    pub(super) import: usize,
    pub(super) block: usize,
    pub(super) setting: Setting<'a>,
    /// Bounds of the corrected starts.
    pub(super) start: (Time, Time),
    /// Every row is inside the window.
    pub(super) inside: bool,
    pub(super) rows: Option<Vec<u16>>,
    /// These rows satisfy every condition that postings answer exactly.
    pub(super) named: bool,
}

impl Candidate<'_> {
    /// The conditions that are to be looked at row by row: neither postings nor what is known of its block decide them.
    pub(super) fn open<'f>(&self, filter: &'f Filter, zone: &Zone) -> impl Iterator<Item = &'f Filter> {
        let all = match filter {
            Filter::And(all) => all.as_slice(),
            one => std::slice::from_ref(one),
        };
        let decided = |f: &Filter| self.named && plan::is_exact(f) || eval::judge(f, zone, &self.setting) == Verdict::Yes;
        all.iter().filter(move |f| !decided(f))
    }
    /// Greater where its rows may come sooner.
    pub(super) fn soonest(&self, ascending: bool) -> i64 {
        soonness(if ascending { self.start.0 } else { self.start.1 }, ascending)
    }
}

/// Greater for times that come sooner, in an order.
pub(super) fn soonness(time: Time, ascending: bool) -> i64 {
    if ascending { !time.0 } else { time.0 }
}

impl Snapshot {
    /// The blocks that may hold rows asked for.
    pub(super) fn candidates<'a>(&'a self, ask: &Ask<'_>, stop: &(dyn Fn() -> bool + Sync)) -> Result<Vec<Candidate<'a>>> {
        let possible = self.possible(ask, stop)?;
        self.all_looked_up(possible, &plan::conditions(ask.filter), stop)
    }
    /// What [`Snapshot::looked_up`] says of some imports.
    pub(super) fn all_looked_up<'a>(
        &'a self,
        possible: Vec<(usize, Vec<Candidate<'a>>)>,
        conditions: &[plan::Condition<'_>],
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<Vec<Candidate<'a>>> {
        let of_imports = parallel::each(possible, &|(import, possible)| {
            if stop() {
                return Err(Error::cancelled());
            }
            self.looked_up(import, conditions, possible, stop)
        });
        Ok(of_imports.into_iter().collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
    }
    /// The blocks that may hold rows asked for as far as it is known without reading anything, by import.
    pub(super) fn possible<'a>(&'a self, ask: &Ask<'_>, stop: &dyn Fn() -> bool) -> Result<Vec<(usize, Vec<Candidate<'a>>)>> {
        let mut out = Vec::new();
        for (import, data) in self.imports().iter().enumerate().filter(|(_, d)| d.done.sequence > ask.newer_than) {
            if stop() {
                return Err(Error::cancelled());
            }
            let possible: Vec<_> = (0..data.blocks.len()).filter_map(|block| self.candidate(import, block, ask)).collect();
            if !possible.is_empty() {
                out.push((import, possible));
            }
        }
        Ok(out)
    }
    /// Those of an import's blocks that postings leave, with the rows that they name.
    fn looked_up<'a>(
        &'a self,
        import: usize,
        conditions: &[plan::Condition<'_>],
        possible: Vec<Candidate<'a>>,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<Vec<Candidate<'a>>> {
        let found = if conditions.is_empty() { None } else { self.look_up(import, conditions, &possible, stop)? };
        let Some(mut found) = found else { return Ok(possible) };
        let blocks = &self.imports()[import].blocks;
        let left = possible.into_iter().filter_map(|mut candidate| {
            let zone = &blocks[candidate.block].zone;
            match found.0.remove(&zone.index)? {
                Rows::These(rows) => {
                    candidate.named = true;
                    candidate.rows = Some(rows);
                }
                Rows::Among(rows) => candidate.rows = Some(rows),
                Rows::Some => {}
            }
            Some(candidate)
        });
        Ok(left.collect())
    }
    fn candidate<'a>(&'a self, import: usize, block: usize, ask: &Ask<'_>) -> Option<Candidate<'a>> {
        let info = &self.imports()[import].blocks[block];
        let zone = &info.zone;
        if ask.sources.is_some_and(|s| !s.contains(&zone.source)) {
            return None;
        }
        if ask.without.is_some_and(|w| w.contains(&BlockId { import: zone.import, block: zone.index })) {
            return None;
        }
        let setting = self.setting(import, zone.source);
        let (start, end) = bounds(zone, setting.shift);
        if !ask.window.overlaps(start.0, end.1) {
            return None;
        }
        if let Some((time, _)) = ask.after
            && if ask.ascending { start.1 < time } else { start.0 > time }
        {
            return None;
        }
        if eval::judge(ask.filter, zone, &setting) == Verdict::No {
            return None;
        }
        let inside = is_inside(&ask.window, start, end);
        Some(Candidate { import, block, setting, start, inside, rows: None, named: false })
    }
    /// What postings say for all conditions about the days and sources of some blocks; none: not worth asking.
    fn look_up(
        &self,
        import: usize,
        conditions: &[plan::Condition<'_>],
        possible: &[Candidate<'_>],
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<Option<Found>> {
        let data = &self.imports()[import];
        // Postings are written per import: reading them for a few blocks is not worth it.
        if data.blocks.len() < 2 {
            return Ok(None);
        }
        // Some were lost: what they do not name may be there all the same.
        if data.chunks.len() < data.done.chunks as usize {
            return Ok(None);
        }
        let mut all: Option<Found> = None;
        for condition in conditions {
            let Some(mut found) = self.named(import, &condition.ranges, possible) else { return Ok(None) };
            for far in &condition.ends {
                let there = match &far.ranges {
                    Some(ranges) => match self.named(import, ranges, possible) {
                        Some(there) => Some(there),
                        None => return Ok(None),
                    },
                    None => None,
                };
                self.far(far, there.as_ref(), all.as_ref(), possible, &mut found, stop)?;
            }
            found.settle();
            all = Some(match all {
                Some(before) => before.and(&found),
                None => found,
            });
            if all.as_ref().is_some_and(|f| f.0.is_empty()) {
                break;
            }
        }
        Ok(all)
    }
    /// What postings name for ranges, in the days and sources of some blocks; none: they cannot be read. That is answered from the rows then, and
    /// `verify` names what is broken.
    fn named(&self, import: usize, ranges: &[Range], possible: &[Candidate<'_>]) -> Option<Found> {
        let data = &self.imports()[import];
        let blocks = possible.iter().map(|c| &data.blocks[c.block]);
        let tables: BTreeSet<(i32, SourceId)> = blocks.map(|b| (b.place.day, b.zone.source)).collect();
        let mut found = Found::default();
        for chunk in data.chunks.iter().filter(|c| tables.contains(&(c.place.day, c.span.source))) {
            let mut touched = ranges.iter().filter(|r| r.touches(&chunk.span)).peekable();
            if touched.peek().is_some() {
                postings::search(&self.postings(chunk).ok()?, touched, &mut found).ok()?;
            }
        }
        found.settle();
        Some(found)
    }
    /// Adds the rows that have an end that a host had elsewhere: of those that are `there` and that earlier conditions left.
    fn far(
        &self,
        far: &Far<'_>,
        there: Option<&Found>,
        left: Option<&Found>,
        possible: &[Candidate<'_>],
        found: &mut Found,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<()> {
        let mut waiting: Vec<(u32, &Candidate<'_>, Bits)> = Vec::new();
        for candidate in possible {
            let zone = &self.imports()[candidate.import].blocks[candidate.block].zone;
            if found.0.get(&zone.index) == Some(&Rows::Some) || !eval::may_be_elsewhere(far.ends, zone, &candidate.setting) {
                continue;
            }
            let all = || Bits::all(zone.rows as usize);
            let (Some(there), Some(left)) = (
                there.map_or_else(|| Some(all()), |found| found.bits(zone.index, zone.rows as usize)),
                left.map_or_else(|| Some(all()), |found| found.bits(zone.index, zone.rows as usize)),
            ) else {
                continue;
            };
            waiting.push((zone.index, candidate, there.and(&left)));
        }
        let rows = parallel::each(waiting, &|(index, candidate, within)| {
            if stop() {
                return Err(Error::cancelled());
            }
            let reader = self.reader(candidate.import, candidate.block)?;
            Ok((index, eval::elsewhere(far.ends, far.which, &reader, &candidate.setting, &within)?))
        });
        for rows in rows {
            let (index, rows) = rows?;
            found.take(index, rows.iter());
        }
        Ok(())
    }
    /// The entries of a chunk of postings, kept for the next question.
    fn postings(&self, chunk: &ChunkInfo) -> Result<Arc<Vec<u8>>> {
        let id = BlockId { import: chunk.span.import, block: chunk.span.index | 1 << 30 };
        if let Some(Kept::Postings(entries)) = self.cache().find(id, 0) {
            return Ok(entries);
        }
        let entries = Arc::new(self.read_postings(chunk)?);
        self.cache().keep(id, 0, Kept::Postings(Arc::clone(&entries)));
        Ok(entries)
    }
    /// The entries of a chunk of postings.
    pub(super) fn read_postings(&self, chunk: &ChunkInfo) -> Result<Vec<u8>> {
        postings::unpack(frame::split(&self.segments().frame(&chunk.place)?)?.1)
    }
}
