//! Indexes against the rows that they are of: postings and rollups are made once more of decoded blocks and compared; where they do not fit,
//! or cannot be read, they can be written anew.

use super::block::{BlockBuilder, Packer};
use super::busiest;
use super::cache::Cache;
use super::contents::{BlockInfo, ImportData};
use super::frame;
use super::postings::{self, ChunkInfo, Wants};
use super::prune_plan::day_name;
use super::reader::Reader;
use super::rollups::{self, HostSums, Totals};
use super::segment::Place;
use super::snapshot::BlockId;
use super::{Store, hold};
use crate::error::Result;
use crate::model::{EvidenceKey, SourceId};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// Groups of one import that are looked into, unless all are.
const SAMPLE: usize = 4;

/// Blocks of one import, of a source and raw day.
pub(super) type Groups<'a> = BTreeMap<(i32, SourceId), Vec<&'a BlockInfo>>;

/// The groups of an import.
pub(super) fn groups(data: &ImportData) -> Groups<'_> {
    let mut out = Groups::new();
    for info in &data.blocks {
        out.entry((info.place.day, info.zone.source)).or_default().push(info);
    }
    out
}

/// Keys with the blocks and rows that have them.
type Keys = HashMap<Vec<u8>, HashSet<(u32, Option<u16>)>>;

/// What indexes say of a group, or should.
#[derive(Default)]
struct Index {
    keys: Keys,
    totals: Totals,
    hosts: Vec<HostSums>,
}

impl Store {
    /// Compares indexes with rows: of some groups of each import, or of all. Imports whose indexes do not fit, each with why.
    pub(super) fn check_indexes(&self, full: bool, damage: &mut Vec<String>) -> Vec<(u32, String)> {
        let imports: Vec<Arc<ImportData>> = hold(&self.0.state).contents.imports.values().cloned().collect();
        let mut out = Vec::new();
        for data in imports {
            let groups = groups(&data);
            let every = if full { 1 } else { groups.len().div_ceil(SAMPLE).max(1) };
            for ((day, source), blocks) in groups.into_iter().step_by(every) {
                let place = || format!("{}, {}", data.done.path, day_name(day));
                let should = match self.collect(&data, &blocks) {
                    Ok((should, None)) => should,
                    Ok((_, Some(wrong))) => {
                        damage.push(format!("{}: {wrong}", place()));
                        continue;
                    }
                    // Its frame is reported as damaged.
                    Err(_) => continue,
                };
                let whole = data.summed_only.iter().all(|b| (b.place.day, b.zone.source) != (day, source));
                let fits = self.stored(&data, day, source, &blocks).is_ok_and(|stored| fits(&should, &stored, &data, whole));
                if !fits {
                    out.push((data.id, format!("{}: the indexes do not fit the rows", place())));
                    break;
                }
            }
        }
        out
    }
    /// What the indexes of a group should say, and what of its blocks is not as they are described.
    fn collect(&self, data: &ImportData, blocks: &[&BlockInfo]) -> Result<(Index, Option<String>)> {
        let mut index = Index { totals: Totals { exact: true, kinds: Vec::new() }, ..Index::default() };
        let (mut sums, mut packer) = (rollups::Collector::default(), Packer::new()?);
        let mut wrong = None;
        for info in blocks {
            let builder = self.decoded(data, info)?;
            sums.add(info.place.day, info.zone.source, &builder);
            let keys = &mut index.keys;
            let mut add = |field: u16, key: &[u8], rows: &[u32]| {
                let full = [&field.to_be_bytes()[..], key].concat();
                keys.entry(full).or_default().extend(rows.iter().map(|r| (info.zone.index, Some(*r as u16))));
            };
            let (zone, _) = builder.close(data.id, info.zone.index, EvidenceKey(data.done.key), &mut packer, &mut add);
            let same = (zone.rows, zone.start, zone.end, zone.offsets)
                == (info.zone.rows, info.zone.start, info.zone.end, info.zone.offsets);
            if !same || zone.kinds != info.zone.kinds {
                wrong = Some(format!("block {} is not what its description says", info.zone.index));
            }
        }
        sums.flush(&mut packer, &mut |_, _, first, _, body| index.sums(first, &body))?;
        Ok((index, wrong))
    }
    pub(super) fn decoded(&self, data: &ImportData, info: &BlockInfo) -> Result<BlockBuilder> {
        let cache = Cache::new(0);
        let reader = Reader::open(self.segments(), &cache, info, BlockId { import: data.id, block: info.zone.index })?;
        let (heads, columns) = (reader.heads()?, reader.columns(None)?);
        let mut builder = BlockBuilder::new(info.zone.source);
        (0..reader.rows()).for_each(|row| builder.push(heads.record(info, row, &columns)));
        Ok(builder)
    }
    fn stored(&self, data: &ImportData, day: i32, source: SourceId, blocks: &[&BlockInfo]) -> Result<Index> {
        let mut index = Index { totals: Totals { exact: true, kinds: Vec::new() }, ..Index::default() };
        let there: HashSet<u32> = blocks.iter().map(|b| b.zone.index).collect();
        let of = |chunk: &&ChunkInfo| (chunk.place.day, chunk.span.source) == (day, source);
        let body = |place: &Place| -> Result<Vec<u8>> {
            let payload = self.segments().frame(place)?;
            Ok(frame::split(&payload)?.1.to_vec())
        };
        for chunk in data.chunks.iter().filter(of) {
            let entries = postings::unpack(&body(&chunk.place)?)?;
            let now = std::cell::RefCell::new(Vec::new());
            let keys = &mut index.keys;
            let wants = |key: &[u8]| {
                now.replace(key.to_vec());
                Wants::Yes
            };
            // Of blocks that were pruned nothing is asked.
            postings::walk(&entries, wants, |block, row| {
                if there.contains(&block) {
                    keys.entry(now.borrow().clone()).or_default().insert((block, row));
                }
            })?;
        }
        for chunk in data.rollups.iter().filter(of) {
            index.sums(&chunk.span.first, &body(&chunk.place)?)?;
        }
        Ok(index)
    }
    /// New chunks of postings and of sums of a group: each with whether it is of postings, its first and last key, and its body.
    pub(super) fn reindexed(
        &self,
        data: &ImportData,
        blocks: &[&BlockInfo],
        each: &mut dyn FnMut(bool, &[u8], &[u8], Vec<u8>) -> Result<()>,
    ) -> Result<()> {
        let (mut sums, mut entries, mut packer) = (rollups::Collector::default(), postings::Collector::default(), Packer::new()?);
        for info in blocks {
            let builder = self.decoded(data, info)?;
            let (day, source, number) = (info.place.day, info.zone.source, info.zone.index);
            sums.add(day, source, &builder);
            let mut add = |field: u16, key: &[u8], rows: &[u32]| entries.add(day, source, number, field, key, rows);
            builder.close(data.id, number, EvidenceKey(data.done.key), &mut packer, &mut add);
        }
        entries.flush(&mut packer, &mut |_, _, first, last, body| each(true, first, last, body))?;
        sums.flush(&mut packer, &mut |_, _, first, last, body| each(false, first, last, body))
    }
}

impl Index {
    /// Takes in a chunk of rollups with this first key.
    fn sums(&mut self, first: &[u8], body: &[u8]) -> Result<()> {
        if first.is_empty() {
            return rollups::read_totals(body, &mut self.totals);
        }
        // Those with most are among all.
        if *first != busiest::KEY {
            self.hosts.extend(rollups::read_hosts(body)?);
        }
        Ok(())
    }
    /// Per host, kind and role: records and bytes.
    fn by_host(&self) -> BTreeMap<(std::net::IpAddr, u8, u8), [u64; 5]> {
        let mut out: BTreeMap<_, [u64; 5]> = BTreeMap::new();
        for h in &self.hosts {
            let sums = out.entry((h.host, h.kind as u8, h.role)).or_default();
            sums.iter_mut().zip(h.sums.0).for_each(|(n, more)| *n = n.saturating_add(more));
        }
        out
    }
}

/// Whether stored indexes say what they should: every key with its rows and none besides, and the same sums. `whole`: the sums are those of the
/// rows that are there.
fn fits(should: &Index, stored: &Index, data: &ImportData, whole: bool) -> bool {
    let same_rows = |rows: &HashSet<(u32, Option<u16>)>, have: &HashSet<(u32, Option<u16>)>| {
        rows.iter().all(|(block, row)| have.contains(&(*block, *row)) || have.contains(&(*block, None)))
            && have.iter().all(
                |(block, row)| if row.is_some() { rows.contains(&(*block, *row)) } else { rows.iter().any(|r| r.0 == *block) },
            )
    };
    let keys = should.keys.len() == stored.keys.len()
        && should.keys.iter().all(|(key, rows)| stored.keys.get(key).is_some_and(|have| same_rows(rows, have)));
    let no_sums = stored.totals.kinds.is_empty() && stored.hosts.is_empty();
    let sums = !whole
        || !data.done.summed
        || no_sums
        || (should.totals.kinds == stored.totals.kinds && should.by_host() == stored.by_host());
    keys && sums
}
