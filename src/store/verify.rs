//! Reads every frame and every journal entry again and says what does not hold. Changes nothing but what is derived.

use super::prune::{Pruned, stays};
use super::recover::scan;
use super::{Store, hold};
use crate::error::Result;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

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
    /// Evidence whose indexes were written anew.
    pub repaired: Vec<String>,
    /// What does not hold, in words with its place.
    pub damage: Vec<String>,
}

/// How thoroughly a case is checked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct How {
    /// Indexes are compared with all rows, not with some.
    pub full: bool,
    /// What is derived of rows and does not fit them, or cannot be read, is written anew.
    pub repair: bool,
}

impl Store {
    /// As [`Store::verify_how`], and changes nothing but passive DNS.
    pub fn verify(&self) -> Result<Check> {
        self.verify_how(How::default())
    }
    /// Checks segments against their checksums, imports against their frames, blocks against what is said of them, indexes against blocks, the
    /// journal against its chain.
    pub fn verify_how(&self, how: How) -> Result<Check> {
        // No file goes while they are read.
        let _turn = hold(&self.0.compacting);
        let mut out = Check::default();
        let mut good: HashSet<(i32, u32, u64)> = HashSet::new();
        for (day, segment, len) in self.segments().list()? {
            out.segments += 1;
            let frames = &mut out.frames;
            let found = scan(self.segments(), day, segment, len, &mut |place, _, _| {
                *frames += 1;
                good.insert((place.day, place.segment, place.offset));
                Ok(())
            })?;
            let path = self.segments().path(day, segment);
            let place = |at: u64| format!("{} at {at}", path.display());
            out.damage.extend(found.damaged.iter().map(|(at, n)| format!("{}: {n} bytes cannot be read", place(*at))));
            out.damage.extend(found.torn.map(|at| format!("{}: a frame without its end", place(at))));
        }
        let mut doubtful: Vec<(u32, String)> = Vec::new();
        for data in self.imports() {
            let there = |p: &super::segment::Place| good.contains(&(p.day, p.segment, p.offset));
            // Passive DNS is derived anew below.
            let names = data.names().iter().filter(|n| !there(&n.place)).count();
            let lost = data.missing() + data.places().filter(|p| !there(p)).count() - names;
            let rows = data.blocks.iter().filter(|b| !there(&b.place)).count();
            let indexes = data.chunks.iter().chain(&data.rollups).filter(|c| !there(&c.place)).count();
            let stated = (data.done.chunks + data.done.rollups) as usize;
            let missing = stated.saturating_sub(data.chunks.len() + data.rollups.len());
            if indexes + missing > 0 {
                doubtful
                    .push((data.id, format!("{}: {} parts of its indexes cannot be read", data.done.path, indexes + missing)));
            }
            if lost > indexes + missing {
                let path = &data.done.path;
                let of = data.done.parts();
                out.damage.push(format!(
                    "{path}: {} of its {of} parts are lost, {rows} blocks of rows among them; ingest it into a new case",
                    lost - indexes - missing
                ));
            }
        }
        for (import, why) in self.check_indexes(how.full, &mut out.damage) {
            if !doubtful.iter().any(|(have, _)| *have == import) {
                doubtful.push((import, why));
            }
        }
        let _imports = how.repair.then(|| self.alone()).transpose()?;
        for (import, why) in doubtful {
            if !how.repair {
                out.damage.push(format!("{why}; `verify --repair` makes them anew of the rows"));
                continue;
            }
            let mut done = Pruned::default();
            self.reindex(import, &mut done)?;
            out.damage.extend(done.kept.iter().map(stays));
            if done.kept.is_empty() {
                out.repaired.push(why);
            }
        }
        out.derived = self.check_names(&mut out.damage);
        let (decisions, damaged) = self.journal().check()?;
        out.decisions = decisions;
        out.damage.extend(damaged.iter().map(|n| format!("journal.log line {n}: damaged, or not what was written")));
        Ok(out)
    }
}
