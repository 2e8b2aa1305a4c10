//! The live head: rows of a running capture that are not committed yet, flows that have not ended among them. Each publication encodes them as
//! an import in memory, with the blocks, postings, sums and passive DNS that any import has, and swaps it in at once: so every question sees
//! blocks and head alike, and none had to be taught to. Nothing of it is ever written to disk.
//!
//! A row is in the head or committed, never both: what an import commits leaves the head at the same moment.

use super::contents::{Contents, ImportData};
use super::import::Import;
use super::reader::Reader;
use super::segment::MEMORY;
use super::snapshot::BlockId;
use super::told::NewEvidence;
use super::{State, Store, hold};
use crate::error::Result;
use crate::model::{EvidenceKey, Kind, Record, RecordId, SourceId};
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Most rows of one evidence's head: those that changed last. About 40 bytes of memory each, and a microsecond or two a second.
pub const ROWS: usize = 200_000;

/// What was published.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Published {
    /// Rows that questions see now.
    pub rows: u64,
    /// Rows beyond the bound ([`ROWS`]): those that changed longest ago. They are seen when they are committed.
    pub left_out: u64,
}

/// The head of one evidence.
pub(super) type Head = Arc<ImportData>;

/// A publication may have been made ready before a commit, and come after it: for so long it is looked for what was committed.
const LATE: Duration = Duration::from_secs(10);

/// What was committed lately of evidence that is read as it comes into being, and when: until no publication has it any more.
#[derive(Debug, Default)]
pub(super) struct Committed(HashMap<RecordId, Instant>);

impl Committed {
    /// Drops what a publication is not to show.
    fn sift(&mut self, rows: &mut Vec<Record>) {
        let mut met = HashSet::new();
        rows.retain(|r| {
            let gone = self.0.contains_key(&r.id);
            if gone {
                met.insert(r.id);
            }
            !gone
        });
        // The clock is asked once: there are as many ids as rows were committed.
        let now = Instant::now();
        self.0.retain(|id, at| now.duration_since(*at) < LATE || met.contains(id));
    }
}

/// A head that is ready to be swapped in.
pub(super) struct Swap {
    key: EvidenceKey,
    /// None: it is empty.
    data: Option<ImportData>,
    /// What is committed with it.
    committed: HashSet<RecordId>,
}

/// What a view sees of heads whose evidence was not replaced.
pub(super) fn live(heads: &BTreeMap<EvidenceKey, Head>, contents: &Contents) -> Vec<Arc<ImportData>> {
    let named = |head: &&Head| head.done.sources.iter().all(|s| contents.sources.contains_key(&s.id));
    heads.values().filter(named).cloned().collect()
}

impl Store {
    /// Shows rows of evidence that is being read, in place of those shown of it before: flows that have not ended (with the field `open`, the id
    /// that they will have and the counters so far) and what has ended or happened and is not committed. Of rows of one id the one that is
    /// not open is shown. Sources of the rows are numbers of the case ([`Import::source`]).
    ///
    /// What is committed leaves the head by itself ([`Import::finish`]); a publication may be a few seconds late, but none may overtake another.
    pub fn publish(&self, evidence: &NewEvidence, mut rows: Vec<Record>) -> Result<Published> {
        let _turn = hold(&self.0.publishing);
        if let Some(committed) = hold(&self.0.state).committed.get_mut(&evidence.key) {
            committed.sift(&mut rows);
        }
        let (swap, published) = self.ready(evidence, rows)?;
        let mut state = hold(&self.0.state);
        self.swap_in(&mut state, swap);
        Ok(published)
    }
    /// Nothing of this evidence is shown that is not committed: its capture has ended.
    pub fn withdraw(&self, evidence: EvidenceKey) {
        let _turn = hold(&self.0.publishing);
        let mut state = hold(&self.0.state);
        self.swap_in(&mut state, Swap { key: evidence, data: None, committed: HashSet::new() });
    }
    /// Encodes rows.
    fn ready(&self, evidence: &NewEvidence, mut rows: Vec<Record>) -> Result<(Swap, Published)> {
        rows.retain(|r| r.id.evidence == evidence.key);
        rows.sort_unstable_by_key(|r| (r.id, r.is_open(), Reverse(r.end)));
        rows.dedup_by_key(|r| r.id);
        let left_out = rows.len().saturating_sub(ROWS);
        if left_out > 0 {
            rows.select_nth_unstable_by_key(ROWS, |r| (Reverse(r.end), r.id));
            rows.truncate(ROWS);
            rows.sort_unstable_by_key(|r| r.id);
        }
        let published = Published { rows: rows.len() as u64, left_out: left_out as u64 };
        let empty = Swap { key: evidence.key, data: None, committed: HashSet::new() };
        if rows.is_empty() {
            return Ok((empty, published));
        }
        let (id, sequence) = {
            let mut state = hold(&self.0.state);
            state.published += 1;
            (MEMORY | (state.published as u32 & (MEMORY - 1)), state.contents.sequence() + 1)
        };
        let memory = self.segments().in_memory(id);
        let mut import = Import::new(self.clone(), id, evidence.clone(), Vec::new())?;
        let mut counts: BTreeMap<SourceId, [u64; 2]> = BTreeMap::new();
        for row in rows {
            let [records, oddities] = counts.entry(row.source).or_default();
            *records += 1;
            *oddities += u64::from(row.kind == Kind::Oddity);
            import.push(row)?;
        }
        import.of_sources(counts.keys().copied());
        let mut data = import.finish_in_memory(sequence)?;
        data.memory = Some(memory);
        let first = counts.keys().next().and_then(|s| hold(&self.0.state).contents.sources.get(&s.0).map(|s| s.format.clone()));
        data.done.format = first.unwrap_or_default();
        for source in &mut data.done.sources {
            let [records, oddities] = counts.get(&SourceId(source.id)).copied().unwrap_or_default();
            source.counts = [0, 0, 0, 0, records, oddities];
        }
        let [records, oddities] = counts.values().fold([0; 2], |sum, n| [sum[0] + n[0], sum[1] + n[1]]);
        data.done.counts = [0, 0, 0, 0, records, oddities];
        if left_out > 0 {
            let said =
                format!("{left_out} open flows that changed longest ago are not shown before they end: the bound is {ROWS}");
            data.done.sources.iter_mut().for_each(|s| s.warnings.push(said.clone()));
            data.done.warnings.push(said);
        }
        Ok((Swap { data: Some(data), ..empty }, published))
    }
    /// The head without what an import commits; none: it stays as it is. `rows`: what it is to be instead of what it was.
    pub(super) fn head_without(&self, data: &ImportData, import: &Import, rows: Option<Vec<Record>>) -> Option<Swap> {
        let evidence = import.evidence();
        let head = hold(&self.0.state).heads.get(&evidence.key).cloned();
        if head.is_none() && rows.is_none() && !import.part {
            return None;
        }
        // Once committed, an import counts: what cannot be read of it or of the head takes the head away, until it is published again.
        let committed = self.ids(data).unwrap_or_default();
        let rows = match (rows, head) {
            (Some(rows), _) => Ok(rows.into_iter().filter(|r| !committed.contains(&r.id)).collect()),
            (None, Some(head)) => self.rows_without(&head, &committed),
            (None, None) => Ok(Vec::new()),
        };
        let ready = rows.and_then(|rows| self.ready(evidence, rows));
        let empty = Swap { key: evidence.key, data: None, committed: HashSet::new() };
        Some(Swap { committed, ..ready.map_or(empty, |(swap, _)| swap) })
    }
    fn reader<'a>(&'a self, data: &'a ImportData, block: usize) -> Result<Reader<'a>> {
        let info = &data.blocks[block];
        Reader::open(self.segments(), &self.0.cache, info, BlockId { import: data.id, block: info.zone.index })
    }
    fn ids(&self, data: &ImportData) -> Result<HashSet<RecordId>> {
        let mut out = HashSet::new();
        for block in 0..data.blocks.len() {
            let (offset, ordinal) = self.reader(data, block)?.ids()?;
            let ids = offset.times().iter().zip(ordinal.uints());
            out.extend(ids.map(|(o, n)| RecordId {
                evidence: EvidenceKey(data.done.key),
                offset: *o as u64,
                ordinal: *n as u16,
            }));
        }
        Ok(out)
    }
    fn rows_without(&self, data: &ImportData, gone: &HashSet<RecordId>) -> Result<Vec<Record>> {
        let mut out = Vec::new();
        for block in 0..data.blocks.len() {
            let reader = self.reader(data, block)?;
            let (heads, columns) = (reader.heads()?, reader.columns(None)?);
            let key = EvidenceKey(data.done.key);
            let rows = (0..reader.rows()).filter(|row| !gone.contains(&heads.id(key, *row)));
            out.extend(rows.map(|row| heads.record(reader.info(), row, &columns)));
        }
        Ok(out)
    }
    pub(super) fn swap_in(&self, state: &mut State, swap: Swap) {
        let before = match swap.data {
            Some(data) => state.heads.insert(swap.key, Arc::new(data)),
            None => state.heads.remove(&swap.key),
        };
        if !swap.committed.is_empty() {
            let now = Instant::now();
            let Committed(ids) = state.committed.entry(swap.key).or_default();
            ids.retain(|_, at| now.duration_since(*at) < LATE);
            ids.extend(swap.committed.into_iter().map(|id| (id, now)));
        }
        state.published += 1;
        state.snapshot = None;
        if let Some(before) = before {
            self.0.cache.forget(before.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{flow, options, source};
    use super::super::{Ask, Done, Store};
    use super::*;
    use crate::model::filter::Test;
    use crate::model::{Filter, Time, Value, field};

    fn evidence() -> NewEvidence {
        NewEvidence { key: EvidenceKey(1), path: "/live/eth0".into(), size: 0, modified: Time(0), head_hash: [0; 32] }
    }

    fn open(n: u64, bytes: u64) -> Record {
        let mut r = flow(1, n);
        r.fields.retain(|(f, _)| *f != field::BYTES_OUT);
        r.set(field::BYTES_OUT, bytes);
        r.set(field::OPEN, Value::Bool(true));
        r
    }

    /// Offset, bytes and whether it is open, of every row.
    fn rows(store: &Store) -> Vec<(u64, u64, bool)> {
        let mut out = Vec::new();
        let snapshot = store.snapshot();
        snapshot
            .select(&Ask::new(&Filter::All), &|| false, &mut |r| {
                out.push((r.id.offset / 100, r.uint(field::BYTES_OUT).unwrap(), r.is_open()));
                true
            })
            .unwrap();
        let count = snapshot.count(&Ask::new(&Filter::All), u64::MAX, &|| false).unwrap();
        assert_eq!(count, (out.len() as u64, false));
        out
    }

    fn store(dir: &std::path::Path) -> Store {
        let store = Store::open(dir, &options()).unwrap();
        source(&mut store.go_on(&evidence()).unwrap(), "eth0");
        store
    }

    fn part(store: &Store, rows: &[Record]) -> Import {
        let mut import = store.go_on(&evidence()).unwrap();
        source(&mut import, "eth0");
        rows.iter().for_each(|r| import.push(r.clone()).unwrap());
        import
    }

    #[test]
    fn a_flow_is_open_then_ended_then_committed_and_seen_once_all_the_time() {
        let dir = tempfile::tempdir().unwrap();
        let live = store(dir.path());
        assert_eq!(live.publish(&evidence(), vec![open(1, 10), open(2, 20)]).unwrap(), Published { rows: 2, left_out: 0 });
        assert_eq!(rows(&live), [(1, 10, true), (2, 20, true)]);
        let is_open = Filter::Test(field::OPEN, Test::Is(Value::Bool(true)));
        assert_eq!(live.snapshot().count(&Ask::new(&is_open), u64::MAX, &|| false).unwrap().0, 2);
        let (evidence_seen, sources) = (live.evidence(), live.sources());
        assert_eq!((evidence_seen.len(), evidence_seen[0].format.as_str(), sources[0].counts.records), (1, "test", 2));

        // One has ended: of rows of one id that one is shown, in whichever order they come.
        let published = vec![flow(1, 1), open(1, 11), open(2, 25), open(3, 30)];
        live.publish(&evidence(), published).unwrap();
        assert_eq!(rows(&live), [(1, 1000, false), (2, 25, true), (3, 30, true)]);
        let before = live.snapshot();

        part(&live, &[flow(1, 1)]).finish(Done::default()).unwrap();
        assert_eq!(rows(&live), [(1, 1000, false), (2, 25, true), (3, 30, true)]);
        assert_eq!(live.snapshot().imports().len(), 2);
        assert_eq!(live.evidence().len(), 1);
        // What was gathered before the commit, and comes after it.
        live.publish(&evidence(), vec![flow(1, 1), open(2, 26)]).unwrap();
        assert_eq!(rows(&live), [(1, 1000, false), (2, 26, true)]);

        part(&live, &[flow(1, 2)]).finish_publishing(Done::default(), vec![open(4, 40), flow(1, 2)]).unwrap();
        assert_eq!(rows(&live), [(1, 1000, false), (2, 2000, false), (4, 40, true)]);
        assert_eq!(live.sources()[0].kinds, [(Kind::Flow, 3)]);

        // A view that was taken before sees what it saw.
        let mut old = 0;
        before
            .select(&Ask::new(&Filter::All), &|| false, &mut |_| {
                old += 1;
                true
            })
            .unwrap();
        assert_eq!(old, 3);
        let check = live.verify().unwrap();
        assert!(check.damage.is_empty() && live.sizes().unwrap().1 == 2, "{check:?}");
        let published = live.snapshot().published();
        live.withdraw(EvidenceKey(1));
        assert_eq!(rows(&live), [(1, 1000, false), (2, 2000, false)]);
        assert!(live.snapshot().published() > published);
        drop((live, before));
        let again = Store::open(dir.path(), &options()).unwrap();
        assert!(again.notices().is_empty(), "{:?}", again.notices());
        assert_eq!(rows(&again), [(1, 1000, false), (2, 2000, false)]);
    }

    #[test]
    fn of_too_many_rows_those_that_changed_last_are_shown_and_the_others_counted() {
        let dir = tempfile::tempdir().unwrap();
        let live = store(dir.path());
        let many: Vec<Record> = (0..ROWS as u64 + 5).map(|n| open(n, n)).collect();
        assert_eq!(live.publish(&evidence(), many).unwrap(), Published { rows: ROWS as u64, left_out: 5 });
        let snapshot = live.snapshot();
        assert_eq!(snapshot.record(flow(1, 4).id).unwrap(), None);
        assert!(snapshot.record(flow(1, 5).id).unwrap().is_some());
        assert!(live.sources()[0].warnings[0].starts_with("5 open flows"), "{:?}", live.sources()[0].warnings);
        assert_eq!(rows(&live).len(), ROWS);
        live.publish(&evidence(), Vec::new()).unwrap();
        assert!(rows(&live).is_empty() && !live.snapshot().has_head());
    }
}
