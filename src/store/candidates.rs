//! Which blocks may hold rows that are asked for: by what is known of each, then by postings.

use super::ask::{Ask, bounds, is_inside};
use super::block::Zone;
use super::cache::Kept;
use super::eval::{self, Setting, Verdict};
use super::frame;
use super::parallel;
use super::plan;
use super::postings::{self, ChunkInfo, Found, Rows};
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
        conditions: &[plan::Condition],
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<Vec<Candidate<'a>>> {
        let of_imports = parallel::each(possible, &|(import, possible)| {
            if stop() {
                return Err(Error::cancelled());
            }
            self.looked_up(import, conditions, possible)
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
        conditions: &[plan::Condition],
        possible: Vec<Candidate<'a>>,
    ) -> Result<Vec<Candidate<'a>>> {
        let found = if conditions.is_empty() { None } else { self.look_up(import, conditions, &possible)? };
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
    fn look_up(&self, import: usize, conditions: &[plan::Condition], possible: &[Candidate<'_>]) -> Result<Option<Found>> {
        let data = &self.imports()[import];
        // Postings are written per import: reading them for a few blocks is not worth it.
        if data.blocks.len() < 2 {
            return Ok(None);
        }
        // Some were lost: what they do not name may be there all the same.
        if data.chunks.len() < data.done.chunks as usize {
            return Ok(None);
        }
        let blocks = possible.iter().map(|c| &data.blocks[c.block]);
        let tables: BTreeSet<(i32, SourceId)> = blocks.map(|b| (b.place.day, b.zone.source)).collect();
        let mut all: Option<Found> = None;
        for condition in conditions {
            let mut found = Found::default();
            for chunk in data.chunks.iter().filter(|c| tables.contains(&(c.place.day, c.span.source))) {
                let ranges: Vec<_> = condition.iter().filter(|r| r.touches(&chunk.span)).collect();
                if ranges.is_empty() {
                    continue;
                }
                // What cannot be read is answered from the rows; `verify` names it.
                let Ok(entries) = self.postings(chunk) else { return Ok(None) };
                if ranges.into_iter().any(|range| postings::search(&entries, range, &mut found).is_err()) {
                    return Ok(None);
                }
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
