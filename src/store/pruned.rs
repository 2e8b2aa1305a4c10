//! What was pruned, as it is written (JSON, a frame of its own in `seg/case`): which segment files are there no more, what of each import was in
//! them, and from when on each source has its rows. From this frame on those files count for nothing, whatever of them is still on the disk; so a
//! catalog that is rebuilt misses nothing that was dropped on purpose.

use super::block::Zone;
use super::contents::{BlockInfo, ImportData};
use super::encode::{Take, damaged, put_bytes};
use super::segment::Place;
use crate::error::{Error, Result};
use crate::model::source::Counts;
use crate::model::{SourceId, Time};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet};
use std::sync::OnceLock;

/// Kinds of what is stored that are kept for a time of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kept {
    /// Rows that are flows.
    Flows,
    /// Rows of every other kind, with the passive DNS made of them.
    Events,
    /// Where the packets of flows stand, packets that captures kept, copies of evidence in the case.
    Packets,
    /// Sums by hour and by host.
    Rollups,
}

impl Kept {
    /// All of them.
    pub const ALL: [Kept; 4] = [Kept::Flows, Kept::Events, Kept::Packets, Kept::Rollups];
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Kept::Flows => "flows",
            Kept::Events => "events",
            Kept::Packets => "packets",
            Kept::Rollups => "rollups",
        }
    }
}

/// What one import lost.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lost {
    /// Frames: blocks, groups of packet references, chunks of postings, chunks of rollups. Indexes that were written anew may be more than there
    /// were: below zero.
    pub frames: [i64; 4],
    /// Rows that were dropped on purpose.
    pub rows: u64,
    /// What damage took, as far as it is known: rows, blocks of rows, groups of packet references.
    #[serde(default, skip_serializing_if = "is_none")]
    pub damaged: [u64; 3],
    /// Descriptions of blocks whose rows are gone and whose sums are kept: each in base64.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub zones: Vec<String>,
}

/// One pruning, or several written together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// Its number: grows.
    pub number: u32,
    /// When, nanoseconds UTC.
    pub at: i64,
    /// Why, in words.
    pub why: String,
    /// Folder and number of each segment that is gone.
    pub files: Vec<(i32, u32)>,
    /// Per import what it lost.
    pub lost: BTreeMap<u32, Lost>,
    /// Of what was written anew: the greatest place in the order of imports, and the number of the next, at that time.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub sequence: u64,
    /// See there.
    #[serde(default)]
    pub next_import: u32,
    /// Rows of evidence of which damage took that it is there at all.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub orphans: u64,
    /// Per source and kind the raw day before which nothing is there that was not kept on purpose.
    pub before: Vec<(u32, Kept, i32)>,
}

fn is_none(n: &[u64; 3]) -> bool {
    *n == [0; 3]
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

impl Statement {
    /// As bytes.
    pub fn bytes(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self).map_err(|e| Error::internal(format!("what was pruned cannot be described: {e}")))
    }
    /// From bytes.
    pub fn read(bytes: &[u8]) -> Result<Statement> {
        serde_json::from_slice(bytes).map_err(|e| damaged(&format!("description of what was pruned: {e}")))
    }
}

impl Lost {
    /// A block of which only the sums are kept.
    pub fn keep_zone(&mut self, zone: &Zone) {
        let mut bytes = Vec::new();
        zone.put(&mut bytes);
        let mut sized = Vec::new();
        put_bytes(&mut sized, &bytes);
        self.zones.push(STANDARD.encode(sized));
    }
    fn blocks(&self) -> Result<Vec<BlockInfo>> {
        let read = |text: &String| {
            let sized = STANDARD.decode(text).map_err(|_| damaged("description of what was pruned"))?;
            let zone = Zone::take(&mut Take::new(Take::new(&sized).sized()?))?;
            // Nothing is read of it any more but its day.
            let place = Place { day: zone.start.0.day(), segment: 0, offset: 0, len: 0 };
            Ok(BlockInfo { place, zone, meta: 0, directory: OnceLock::new() })
        };
        self.zones.iter().map(read).collect()
    }
}

impl ImportData {
    /// What was pruned of it, or given up as damaged, is not missing.
    pub(super) fn lose(&mut self, lost: &Lost) -> Result<()> {
        self.done.lose(lost.frames);
        self.pruned = self.pruned.saturating_add(lost.rows);
        self.damaged.iter_mut().zip(lost.damaged).for_each(|(n, more)| *n = n.saturating_add(more));
        self.summed_only.extend(lost.blocks()?);
        let have: HashSet<(i32, SourceId)> = self.rollups.iter().map(|c| (c.place.day, c.span.source)).collect();
        self.summed_only.retain(|b| have.contains(&(b.place.day, b.zone.source)));
        Ok(())
    }
}

/// Per source and kind the end of the newest raw day that was pruned.
pub type Before = BTreeMap<(SourceId, Kept), Time>;

/// What statements say of sources.
pub fn before<'a>(statements: impl Iterator<Item = &'a Statement>) -> Before {
    let mut out = Before::new();
    for (source, kept, day) in statements.flat_map(|s| &s.before) {
        let end = Time(i64::from(*day).saturating_mul(crate::model::time::DAY));
        let have = out.entry((SourceId(*source), *kept)).or_insert(end);
        *have = end.max(*have);
    }
    out
}

/// What is said of a source of which something was pruned; none: nothing was.
pub fn said(before: &Before, source: SourceId) -> Option<String> {
    let mut days: BTreeMap<Time, Vec<&str>> = BTreeMap::new();
    for ((_, kept), end) in before.range((source, Kept::Flows)..=(source, Kept::Rollups)) {
        days.entry(*end).or_default().push(kept.name());
    }
    let one = |(end, kinds): (Time, Vec<&str>)| {
        let kinds = if kinds.len() == Kept::ALL.len() { String::new() } else { format!("{} ", kinds.join(", ")) };
        format!("{kinds}pruned before {}", end.utc().format("%Y-%m-%d"))
    };
    let all: Vec<String> = days.into_iter().rev().map(one).collect();
    (!all.is_empty()).then(|| all.join("; "))
}

/// What is said of evidence of which damage took something: rows, blocks, groups of packet references; none: nothing.
pub fn said_of_damage([rows, blocks, groups]: [u64; 3], counts: &Counts) -> Option<String> {
    let rows = match (blocks, rows) {
        (0, _) => None,
        // Of a block that is gone with its description nobody knows how many it had.
        (_, 0) => Some(format!("{blocks} blocks of its records")),
        _ => Some(format!("{rows} of its {} records", counts.records)),
    };
    let packets = (groups > 0).then(|| format!("where packets of its flows stand ({groups} groups)"));
    let what: Vec<String> = rows.into_iter().chain(packets).collect();
    let again = "ingest it again, or where it has grown since into a new case";
    (!what.is_empty()).then(|| format!("{} lost by damage to the case; {again}", what.join(" and ")))
}

/// What is said of evidence of which rows were pruned.
pub fn said_of(rows: u64, counts: &Counts) -> String {
    format!("{rows} of its {} records were pruned", counts.records)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_day_of_each_kind_is_said_once() {
        let of = |kept, day| Statement { before: vec![(1, kept, day)], ..Statement::default() };
        let all = [of(Kept::Flows, 20_000), of(Kept::Flows, 20_010), of(Kept::Packets, 20_010), of(Kept::Events, 19_000)];
        let before = before(all.iter());
        let text = said(&before, SourceId(1)).unwrap();
        assert_eq!(text, "flows, packets pruned before 2024-10-14; events pruned before 2022-01-08");
        assert_eq!(said(&before, SourceId(2)), None);
        let every: Vec<Statement> = Kept::ALL.into_iter().map(|k| of(k, 20_000)).collect();
        assert_eq!(said(&super::before(every.iter()), SourceId(1)).unwrap(), "pruned before 2024-10-04");
        let bytes = all[0].bytes().unwrap();
        assert_eq!(Statement::read(&bytes).unwrap(), all[0]);
        assert!(Statement::read(&bytes[..9]).is_err());
    }
}
