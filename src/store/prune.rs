//! Pruning: whole raw days go, all of them or what they have of one kind. What stays of a segment is written anew, then a statement says which
//! segments count no more ([`Statement`]), then the catalog changes in one batch; only then are the files removed. Interrupted before that
//! statement is acknowledged nothing has happened; after it the next open removes what is left.
//!
//! Views that were taken before see what they saw: the files that they read go when they are gone.

use super::block::Packer;
use super::catalog::{self, About, Change};
use super::commit::Pending;
use super::contents::ImportData;
use super::frame::FrameKind;
use super::journal::now;
use super::mend::Mend;
use super::prune_fates::{Days, Fates, drops};
use super::prune_plan::{Plan, day_name};
use super::prune_step::Step;
use super::pruned::{Kept, Statement};
use super::segment::{CASE, MEMORY, OWN};
use super::{Store, hold};
use crate::error::{Error, Result};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::{Arc, Weak};

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
    /// Drops what a plan says, for good; `why` is kept with it. `enter` is called when nothing stands in its way, before anything goes.
    /// Asked to `stop` it ends after some days; what was dropped until then is.
    pub fn prune(&self, plan: &Plan, why: &str, enter: impl FnOnce() -> Result<()>, stop: &dyn Fn() -> bool) -> Result<Pruned> {
        let _turn = hold(&self.0.compacting);
        let _imports = self.alone()?;
        enter()?;
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
                    entries = self.entries_of(day.day);
                }
            }
        }
        steps.extend(some.iter().map(|d| Days::from([(d.day, d.drop)])));
        for step in steps {
            if stop() {
                break;
            }
            match self.drop_days((&step, &plan.all), &Mend::default(), why, &mut out) {
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
    /// Drops what is said of `days`; of packets in them those of `all` days that are to go. What is to be mended of them is.
    pub(super) fn drop_days(&self, (days, all): (&Days, &Days), mend: &Mend, why: &str, out: &mut Pruned) -> Result<()> {
        let (imports, number) = {
            let state = hold(&self.0.state);
            let is_short = |i: &Arc<ImportData>| mend.imports.contains(&i.id) && i.missing() > 0;
            let is_there = |i: &&Arc<ImportData>| is_short(i) || i.places().any(|p| days.contains_key(&p.day));
            (state.contents.imports.values().filter(is_there).cloned().collect::<Vec<_>>(), state.contents.next_pruned())
        };
        let list = self.segments().list()?;
        let mut files = self.touched(days, &imports, &list);
        files.extend(mend.files.iter().filter(|(day, _)| days.contains_key(day)));
        for data in imports.iter().filter(|d| mend.imports.contains(&d.id)) {
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
            mend,
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

/// Why a day stays, in words.
pub fn stays((day, why): &(i32, String)) -> String {
    format!("{} stays: {why}", day_name(*day))
}

#[cfg(test)]
mod tests;
