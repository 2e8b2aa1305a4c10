//! Compaction: a live capture commits every few seconds, and each part is an import of its own. Parts that follow each other are written together,
//! generation by generation, so that days of capture are some hundred imports of full blocks and a row is written anew twice at most.
//!
//! Parts have files of their own ([`OWN`]). The import that has their rows names them in the frame that ends it: before that
//! frame they count, from then on it does, whatever is interrupted. Their files go when no view sees them any more, or at the next open.

use super::cache::Cache;
use super::catalog::{self, About, Change};
use super::contents::{DoneFrame, DoneSource, ImportData};
use super::frame::{self, HEADER};
use super::import::Import;
use super::packets;
use super::reader::Reader;
use super::segment::OWN;
use super::snapshot::BlockId;
use super::told::{Done, NewEvidence};
use super::{Store, hold};
use crate::error::{Error, Result};
use crate::model::decision::{Decision, What};
use crate::model::{EvidenceKey, RecordId, SourceId, Time};
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

/// Parts of one generation that are written as one of the next.
const FAN: usize = 16;
/// Rows from which a part stays as it is: sixteen blocks.
const FULL: u64 = 1 << 17;
/// Most rows that are written together: less than a second of work.
const MOST: u64 = 1 << 19;
/// Bytes of decoded columns: questions keep theirs.
const CACHE: usize = 16 << 20;

/// What was written together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compacted {
    /// Parts.
    pub parts: usize,
    /// Their rows.
    pub rows: u64,
    /// Bytes that were written.
    pub bytes: u64,
}

impl Store {
    /// Writes some parts of evidence together, if there are enough that belong together; none: there are not, or it was asked to `stop`. Answers are
    /// the same before and after, and views that were taken before see what they saw.
    ///
    /// `all`: nothing more comes of this evidence, so that few are enough as long as they are small.
    pub fn compact(&self, evidence: EvidenceKey, all: bool, stop: &dyn Fn() -> bool) -> Result<Option<Compacted>> {
        let _turn = hold(&self.0.compacting);
        self.remove_replaced();
        self.remove_retired();
        let mut parts: Vec<Arc<ImportData>> = {
            let state = hold(&self.0.state);
            let is_part = |i: &&Arc<ImportData>| i.done.key == evidence.0 && i.done.part.is_some();
            state.contents.imports.values().filter(is_part).cloned().collect()
        };
        parts.sort_by_key(|p| p.done.sequence);
        let decisions = self.journal().decisions();
        let Some(chosen) = choose(&parts, all, &|a, b| decisions.iter().any(|d| is_between(d, a, b))) else { return Ok(None) };
        let parts = &parts[chosen];
        match self.rewrite(parts, stop)? {
            Some(import) => {
                let done = self.replace(import, parts)?;
                self.trim_if_due()?;
                Ok(Some(done))
            }
            None => Ok(None),
        }
    }
    /// An import with the rows of parts, in their order; none: it was asked to stop. Dropped, nothing has happened.
    fn rewrite(&self, parts: &[Arc<ImportData>], stop: &dyn Fn() -> bool) -> Result<Option<Import>> {
        let Some(done) = parts.last().map(|p| &p.done) else { return Ok(None) };
        let key = EvidenceKey(done.key);
        let modified = Time(done.modified);
        let mut import =
            self.go_on(&NewEvidence { key, path: done.path.clone(), size: done.size, modified, head_hash: [0; 32] })?;
        import.of_sources(parts.iter().flat_map(|p| &p.done.sources).map(|s| SourceId(s.id)));
        let cache = Cache::new(CACHE);
        for part in parts {
            for info in &part.blocks {
                if stop() {
                    return Ok(None);
                }
                let id = BlockId { import: part.id, block: info.zone.index };
                let reader = Reader::open(self.segments(), &cache, info, id)?;
                let (heads, columns) = (reader.heads()?, reader.columns(None)?);
                for row in 0..reader.rows() {
                    import.push(heads.record(info, row, &columns))?;
                }
            }
            for group in &part.groups {
                let payload = self.segments().frame(&group.place)?;
                packets::pieces(frame::split(&payload)?.1, &mut |(offset, ordinal, source), refs| {
                    import.packets(RecordId { evidence: key, offset, ordinal }, source, &refs)
                })?;
            }
        }
        import.close_all()?;
        Ok(Some(import))
    }
    /// From here on the import counts and the parts do not.
    fn replace(&self, mut import: Import, parts: &[Arc<ImportData>]) -> Result<Compacted> {
        let rows = parts.iter().map(|p| rows(p)).sum();
        if import.records() != rows {
            return Err(Error::internal(format!("{} rows were written of {rows}", import.records())));
        }
        let mut catalog = hold(&self.0.catalog);
        self.segments().sync().map_err(|e| self.full(e))?;
        let next = hold(&self.0.state).contents.next_import;
        let done = joined(import.describe(Done::default(), 0, next), parts);
        let data = self.seal(catalog.as_mut(), &mut import, done, gone(parts))?;
        let bytes = data.places().map(|p| HEADER as u64 + u64::from(p.len)).sum();
        let mut state = hold(&self.0.state);
        for part in parts {
            state.contents.imports.remove(&part.id);
            state.contents.replaced = state.contents.replaced.max(part.done.sequence);
            state.replaced.push(Arc::clone(part));
        }
        state.contents.imports.insert(data.id, Arc::new(data));
        state.contents.ended += 1;
        state.snapshot = None;
        Ok(Compacted { parts: parts.len(), rows, bytes })
    }
    /// Removes the files of parts that no view sees any more.
    fn remove_replaced(&self) {
        let unseen: Vec<Arc<ImportData>> = {
            let mut state = hold(&self.0.state);
            let all = std::mem::take(&mut state.replaced);
            let (unseen, seen) = all.into_iter().partition(|p| Arc::strong_count(p) == 1);
            state.replaced = seen;
            unseen
        };
        for part in unseen {
            for (day, segment) in own_files(&part) {
                // What cannot be removed now is removed at the next open.
                let _ = self.segments().remove_own(day, segment);
            }
            self.0.cache.forget(part.id);
        }
    }
}

fn rows(part: &ImportData) -> u64 {
    part.blocks.iter().map(|b| u64::from(b.zone.rows)).sum()
}

/// Which parts are written together: the oldest that follow each other, are of one generation and enough.
fn choose(parts: &[Arc<ImportData>], all: bool, is_apart: &dyn Fn(&DoneFrame, &DoneFrame) -> bool) -> Option<Range<usize>> {
    let (enough, most) = if all { (usize::MAX, FULL) } else { (FAN, MOST) };
    let (mut first, mut sum) = (0, 0);
    for (n, part) in parts.iter().enumerate() {
        let more = rows(part);
        let before = n.checked_sub(1).filter(|before| *before >= first).map(|before| &parts[before].done);
        let ends = before.is_some_and(|b| is_apart(b, &part.done) || (!all && b.part != part.done.part));
        let is_full = more >= FULL || part.is_damaged() || !part.summed_only.is_empty();
        let is_over = if ends || is_full { all } else { sum + more > most };
        if n - first >= 2 && is_over {
            return Some(first..n);
        }
        if ends || is_full || sum + more > most {
            (first, sum) = (if is_full { n + 1 } else { n }, 0);
        }
        sum += if is_full { 0 } else { more };
        if n + 1 - first >= enough {
            return Some(first..n + 1);
        }
    }
    (all && parts.len() >= first + 2).then_some(first..parts.len())
}

/// Whether a question that is kept tells one part from a later one: a bookmark remembers which import was the newest, a set when its entries came.
fn is_between(decision: &Decision, before: &DoneFrame, after: &DoneFrame) -> bool {
    match &decision.what {
        What::Bookmark { seen, .. } => (before.sequence..after.sequence).contains(seen),
        What::SetAdd { .. } => (before.imported..after.imported).contains(&decision.at),
        _ => false,
    }
}

/// What is said of parts as one: what the newest says of all, and the sums. Its place among imports is that of the oldest.
fn joined(new: DoneFrame, parts: &[Arc<ImportData>]) -> DoneFrame {
    let mut counts = [0; 6];
    let mut sources: Vec<DoneSource> = Vec::new();
    // The newest first: what it says holds.
    for done in parts.iter().rev().map(|p| &p.done) {
        add(&mut counts, &done.counts);
        for source in &done.sources {
            match sources.iter_mut().find(|s| s.id == source.id) {
                Some(have) => add(&mut have.counts, &source.counts),
                None => sources.push(source.clone()),
            }
        }
    }
    sources.sort_by_key(|s| s.id);
    let generation = parts.iter().filter_map(|p| p.done.part).max().unwrap_or(0);
    let replaces = parts.iter().map(|p| p.id).collect();
    let (Some(oldest), Some(newest)) = (parts.first().map(|p| &p.done), parts.last().map(|p| &p.done)) else { return new };
    DoneFrame {
        import: new.import,
        sequence: oldest.sequence,
        next_import: new.next_import,
        imported: oldest.imported,
        counts,
        sources,
        part: Some(generation.saturating_add(1)),
        replaces,
        blocks: new.blocks,
        groups: new.groups,
        chunks: new.chunks,
        rollups: new.rollups,
        summed: new.summed,
        ..newest.clone()
    }
}

fn add(to: &mut [u64; 6], more: &[u64; 6]) {
    to.iter_mut().zip(more).for_each(|(n, more)| *n = n.saturating_add(*more));
}

/// Files that an import had for itself.
fn own_files(part: &ImportData) -> BTreeSet<(i32, u32)> {
    part.places().filter(|p| p.segment == OWN | part.id).map(|p| (p.day, p.segment)).collect()
}

/// What the catalog says of parts goes; that they ended stays, as the frames that say it do.
fn gone(parts: &[Arc<ImportData>]) -> Vec<Change> {
    let mut keys = Vec::new();
    for part in parts {
        keys.extend(part.blocks.iter().map(|b| catalog::key(About::Block, part.id, b.zone.index)));
        keys.extend(part.groups.iter().map(|g| catalog::key(About::Packets, part.id, g.reach.index)));
        keys.extend(part.chunks.iter().map(|c| catalog::key(About::Postings, part.id, c.span.index)));
        keys.extend(part.rollups.iter().map(|c| catalog::key(About::Rollups, part.id, c.span.index)));
        keys.extend(part.names().iter().map(|n| catalog::key(About::Names, part.id, n.span.index)));
        keys.extend(own_files(part).into_iter().map(|(day, segment)| catalog::key(About::Watermark, day as u32, segment)));
    }
    keys.into_iter().map(|key| (key, None)).collect()
}

#[cfg(test)]
mod tests;
