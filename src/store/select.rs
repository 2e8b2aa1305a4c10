//! Rows in the order of their corrected start, then id: blocks are opened in the order of their bounds and merged, so that the first rows
//! are there before the last block is read. Also rows in no order, and counts. Blocks are decoded by several threads, a few ahead.

use super::ask::{Ask, Selected};
use super::bits::Bits;
use super::candidates::{Candidate, soonness};
use super::eval;
use super::parallel;
use super::plan;
use super::reader::{Columns, FEW, Heads, Reader};
use super::snapshot::{BlockId, Snapshot};
use super::summed::{self, Summed};
use crate::error::{Error, Result};
use crate::model::filter::Test;
use crate::model::{FieldId, Filter, Kind, Record, RecordId, SourceId, Time, Value, field};
use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering as Atomic};

/// Blocks whose columns are kept decoded while their rows are given.
const WARM: usize = 32;
/// Most blocks that are opened at once, ahead of what is asked of them; the first ones one by one.
const AHEAD: usize = 8;

/// A row as it is visited: values on demand.
pub struct Row<'a> {
    snapshot: &'a Snapshot,
    import: usize,
    reader: &'a Reader<'a>,
    heads: &'a Heads,
    columns: &'a Columns,
    row: usize,
    shift: i64,
}

impl Row<'_> {
    /// Corrected start.
    pub fn time(&self) -> Time {
        self.heads.times(self.row).0.plus(self.shift)
    }
    /// Corrected end.
    pub fn until(&self) -> Time {
        self.heads.times(self.row).1.plus(self.shift)
    }
    /// Start and end as stored, before any correction.
    pub fn stored(&self) -> (Time, Time) {
        self.heads.times(self.row)
    }
    /// What it is.
    pub fn kind(&self) -> Kind {
        Kind::from_u8(self.heads.kind.uints()[self.row] as u8).unwrap_or(Kind::Log)
    }
    /// Its source.
    pub fn source(&self) -> SourceId {
        self.reader.info().zone.source
    }
    /// Its id.
    pub fn id(&self) -> RecordId {
        self.heads.id(self.reader.info().zone.evidence, self.row)
    }
    /// The block that it is in.
    pub fn block(&self) -> BlockId {
        self.reader.id()
    }
    /// The first number of a stored field that was asked for; of a sum field the sum.
    pub fn uint(&self, id: FieldId) -> Option<u64> {
        if let Some(field::Place::Sum(parts)) = field::get(id).map(|f| f.place) {
            let parts = parts.iter().filter_map(|p| self.uint(*p));
            return parts.fold(None, |sum: Option<u64>, n| Some(sum.unwrap_or(0).saturating_add(n)));
        }
        self.columns.iter().filter(|(f, _)| *f == id).find_map(|(_, c)| c.uint(self.row))
    }
    /// The values of a stored field that was asked for.
    pub fn values(&self, id: FieldId) -> impl Iterator<Item = Value> + '_ {
        let columns = self.columns.iter().filter(move |(f, _)| *f == id);
        columns.flat_map(|(_, c)| c.range(self.row).filter_map(|i| c.value(i)))
    }
    /// The whole row, with the fields that were asked for.
    pub fn record(&self) -> Record {
        let mut record = self.heads.record(self.reader.info(), self.row, self.columns);
        self.snapshot.complete(&mut record, self.import);
        record
    }
}

impl Snapshot {
    /// The rows asked for, in order; `each` returns false to stop. `stop` is asked between blocks.
    pub fn select(
        &self,
        ask: &Ask<'_>,
        stop: &(dyn Fn() -> bool + Sync),
        each: &mut dyn FnMut(Record) -> bool,
    ) -> Result<Selected> {
        let fields = expand(ask.fields);
        // Postings of an import are read when its time has come: the first rows do not wait for those of all.
        let conditions = plan::conditions(ask.filter);
        let mut unread = self.possible(ask, stop)?;
        let first = |of: &[Candidate<'_>]| of.iter().map(|c| c.soonest(ask.ascending)).max();
        unread.sort_by_cached_key(|(import, of)| (first(of), std::cmp::Reverse(*import)));
        let mut waiting: Vec<Candidate<'_>> = Vec::new();
        let mut open: Vec<Option<Cursor<'_>>> = Vec::new();
        let mut heap: BinaryHeap<Next> = BinaryHeap::new();
        let mut warm: VecDeque<usize> = VecDeque::new();
        let mut selected = Selected::default();
        // Blocks opened at once, imports whose postings are read at once: more each time, where rows are rare.
        let (mut batch, mut imports) = (1, 1);
        loop {
            loop {
                while let Some((_, of)) = unread.last()
                    && waiting.last().is_none_or(|next| first(of) >= Some(next.soonest(ask.ascending)))
                    && heap.peek().is_none_or(|next| first(of) >= Some(next.soonest()))
                {
                    let next = unread.split_off(unread.len().saturating_sub(imports));
                    imports = (imports * 2).min(AHEAD);
                    waiting.extend(self.all_looked_up(next, &conditions, stop)?);
                    // The next to open is the last.
                    waiting.sort_by_key(|c| (c.soonest(ask.ascending), std::cmp::Reverse((c.import, c.block))));
                }
                let Some(candidate) = waiting.last() else { break };
                let before = heap.peek().is_none_or(|next| {
                    if ask.ascending { candidate.start.0 <= next.time } else { candidate.start.1 >= next.time }
                });
                if !before {
                    break;
                }
                // None that comes after an import whose postings are not read.
                let until = unread.last().and_then(|(_, of)| first(of));
                let ready = waiting.iter().rev().take(batch).take_while(|c| Some(c.soonest(ask.ascending)) > until).count();
                let next = waiting.split_off(waiting.len() - ready.max(1));
                batch = (batch * 2).min(AHEAD);
                let room = warm.len() + AHEAD <= WARM;
                let opened = parallel::each(next, &|candidate| {
                    if stop() {
                        return Err(Error::cancelled());
                    }
                    let mut cursor = self.open_cursor(candidate, ask, selected.rows)?;
                    // One of many: its columns are decoded now, beside those of others.
                    if let Some(sparse) = cursor.as_mut().filter(|c| room && c.rows.len() <= FEW) {
                        sparse.load(fields.as_deref())?;
                    }
                    Ok(cursor)
                });
                for cursor in opened.into_iter().rev() {
                    let Some(cursor) = cursor? else { continue };
                    if cursor.loaded.is_some() {
                        warm.push_back(open.len());
                    }
                    heap.push(cursor.next(open.len(), ask.ascending));
                    open.push(Some(cursor));
                }
            }
            let Some(next) = heap.pop() else { break };
            if selected.rows >= ask.limit as u64 {
                selected.more = true;
                break;
            }
            let Some(cursor) = &mut open[next.cursor] else { continue };
            if cursor.loaded.is_none() {
                warm.push_back(next.cursor);
            }
            let info = cursor.reader.info();
            let (heads, columns) = cursor.load(fields.as_deref())?;
            let mut record = heads.record(info, next.row as usize, columns);
            self.complete(&mut record, cursor.import);
            cursor.at += 1;
            if cursor.at < cursor.rows.len() {
                heap.push(cursor.next(next.cursor, ask.ascending));
            } else {
                open[next.cursor] = None;
                warm.retain(|c| *c != next.cursor);
            }
            if warm.len() > WARM
                && let Some(cold) = warm.pop_front()
                && let Some(cursor) = &mut open[cold]
            {
                cursor.loaded = None;
            }
            selected.rows += 1;
            if !each(record) {
                selected.more = !heap.is_empty() || !waiting.is_empty() || !unread.is_empty();
                break;
            }
            if selected.rows.is_multiple_of(1024) && stop() {
                return Err(Error::cancelled());
            }
        }
        Ok(selected)
    }
    /// The rows asked for, block by block, in no order; limit and place are ignored. `each` returns false to stop.
    pub fn visit(&self, ask: &Ask<'_>, stop: &(dyn Fn() -> bool + Sync), each: &mut dyn FnMut(&Row<'_>) -> bool) -> Result<()> {
        let fields = expand(ask.fields);
        let open = |candidate: &Candidate<'_>| {
            if stop() {
                return Err(Error::cancelled());
            }
            let reader = self.reader(candidate.import, candidate.block)?;
            let found = self.matching(candidate, &reader, ask)?;
            if found.is_empty() {
                return Ok(None);
            }
            let (heads, columns) = (reader.heads()?, reader.columns(fields.as_deref())?);
            Ok(Some((reader, found, heads, columns)))
        };
        for candidates in self.candidates(ask, stop)?.chunks(AHEAD) {
            let opened = parallel::each(candidates.iter().collect(), &open);
            for (candidate, opened) in candidates.iter().zip(opened) {
                let Some((reader, found, heads, columns)) = opened? else { continue };
                for row in found.iter() {
                    let shift = candidate.setting.shift.at(heads.times(row).0);
                    let (import, reader, heads, columns) = (candidate.import, &reader, &heads, &columns);
                    if !each(&Row { snapshot: self, import, reader, heads, columns, row, shift }) {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }
    /// How many rows are asked for (limit and place of `ask` are ignored); counting may stop at `limit`, then the number is a lower bound.
    pub fn count(&self, ask: &Ask<'_>, limit: u64, stop: &(dyn Fn() -> bool + Sync)) -> Result<(u64, bool)> {
        let names = self.names_counts(ask);
        let known: HashSet<BlockId> = names.blocks.into_iter().chain(ask.without.into_iter().flatten().copied()).collect();
        let ask = &Ask { without: Some(&known), ..*ask };
        let host = if known.is_empty() { self.host_count(ask, stop)? } else { Summed::default() };
        let known = host.blocks.into_iter().chain(known.iter().copied()).collect();
        let ask = &Ask { without: Some(&known), ..*ask };
        let candidates = self.candidates(ask, stop)?;
        let total = AtomicU64::new(names.records + host.records);
        let mut costly = Vec::new();
        for candidate in candidates {
            let zone = &self.imports()[candidate.import].blocks[candidate.block].zone;
            match summed::of_kinds(ask.filter, zone, &candidate.setting).filter(|_| candidate.inside) {
                Some(rows) => {
                    // Only flows are hidden, and they are in blocks of their own.
                    let masked = self.mask(zone.import, zone.index, ask).map_or(0, Bits::count);
                    total.fetch_add(rows.saturating_sub(masked as u64), Atomic::Relaxed);
                }
                None => costly.push(candidate),
            }
        }
        let enough = AtomicBool::new(false);
        let counted = parallel::each(costly, &|candidate: Candidate<'_>| {
            if total.load(Atomic::Relaxed) >= limit {
                enough.store(true, Atomic::Relaxed);
                return Ok(());
            }
            if stop() {
                return Err(Error::cancelled());
            }
            let reader = self.reader(candidate.import, candidate.block)?;
            let found = self.matching(&candidate, &reader, ask)?;
            total.fetch_add(found.count() as u64, Atomic::Relaxed);
            Ok(())
        });
        counted.into_iter().collect::<Result<()>>()?;
        Ok((total.into_inner(), enough.into_inner()))
    }
    fn mask(&self, import: u32, block: u32, ask: &Ask<'_>) -> Option<&Bits> {
        if ask.every_sighting { None } else { self.sightings().masked.get(&BlockId { import, block }) }
    }
    /// The rows of a block that are asked for.
    fn matching(&self, candidate: &Candidate<'_>, reader: &Reader<'_>, ask: &Ask<'_>) -> Result<Bits> {
        let rows = reader.rows();
        let mut bits = match &candidate.rows {
            Some(these) => {
                let mut bits = Bits::none(rows);
                these.iter().for_each(|r| bits.set(usize::from(*r)));
                bits
            }
            None => Bits::all(rows),
        };
        let zone = &reader.info().zone;
        if let Some(mask) = self.mask(zone.import, zone.index, ask) {
            bits = bits.without(mask);
        }
        if !candidate.inside {
            bits = eval::in_window(reader, candidate.setting.shift, &ask.window, bits)?;
        }
        for condition in candidate.open(ask.filter, zone) {
            if bits.is_empty() {
                break;
            }
            bits = eval::eval(condition, reader, &candidate.setting, &bits)?;
        }
        Ok(bits)
    }
    fn open_cursor<'a>(&'a self, candidate: Candidate<'a>, ask: &Ask<'_>, given: u64) -> Result<Option<Cursor<'a>>> {
        let reader = self.reader(candidate.import, candidate.block)?;
        let found = self.matching(&candidate, &reader, ask)?;
        if found.is_empty() {
            return Ok(None);
        }
        // Of a few rows nothing else is decoded: then a place is one among those rows.
        let few: Option<Vec<usize>> = (found.count() <= FEW).then(|| found.iter().collect());
        let heads = match &few {
            Some(few) => reader.heads_of(few)?,
            None => reader.heads()?,
        };
        let evidence = reader.info().zone.evidence;
        let mut rows = Vec::with_capacity(found.count());
        let all = found.iter().enumerate().map(|(n, row)| if few.is_some() { n } else { row });
        for row in all {
            let raw = heads.times(row).0;
            let time = raw.plus(candidate.setting.shift.at(raw));
            let id = heads.id(evidence, row);
            let after = ask.after.is_none_or(|after| if ask.ascending { (time, id) > after } else { (time, id) < after });
            if after {
                rows.push(Place { time, id, row: row as u32 });
            }
        }
        // One more than can be given says whether there are more.
        let most = ask.limit.saturating_sub(given as usize).saturating_add(1);
        let order = |a: &Place, b: &Place| {
            let order = (a.time, a.id).cmp(&(b.time, b.id));
            if ask.ascending { order } else { order.reverse() }
        };
        if rows.len() > most {
            rows.select_nth_unstable_by(most - 1, order);
            rows.truncate(most);
        }
        rows.sort_unstable_by(order);
        let few = few.map(|few| (few, heads));
        Ok((!rows.is_empty()).then_some(Cursor { import: candidate.import, reader, few, loaded: None, rows, at: 0 }))
    }
}

/// The stored fields behind fields.
fn expand(fields: Option<&[FieldId]>) -> Option<Vec<FieldId>> {
    let mut out = Vec::new();
    fields?.iter().for_each(|f| Filter::Test(*f, Test::Exists).fields(&mut out));
    Some(out)
}

/// A block whose rows are being given.
struct Cursor<'a> {
    import: usize,
    reader: Reader<'a>,
    /// Of few rows: which they are, and what every record has of them.
    few: Option<(Vec<usize>, Heads)>,
    /// Its columns, while its rows are being given.
    loaded: Option<(Heads, Columns)>,
    rows: Vec<Place>,
    at: usize,
}

#[derive(Clone, Copy)]
struct Place {
    time: Time,
    id: RecordId,
    row: u32,
}

impl Cursor<'_> {
    /// Its columns, decoded now if they are not.
    fn load(&mut self, fields: Option<&[FieldId]>) -> Result<&(Heads, Columns)> {
        match &mut self.loaded {
            Some(loaded) => Ok(loaded),
            cold => Ok(cold.insert(match &self.few {
                Some((few, heads)) => (heads.clone(), self.reader.columns_of(fields, few)?),
                None => (self.reader.heads()?, self.reader.columns(fields)?),
            })),
        }
    }
    fn next(&self, cursor: usize, ascending: bool) -> Next {
        let Place { time, id, row } = self.rows[self.at];
        Next { time, id, row, cursor, ascending }
    }
}

/// The next row of a cursor; the greatest is given first.
#[derive(PartialEq, Eq)]
struct Next {
    time: Time,
    id: RecordId,
    row: u32,
    cursor: usize,
    ascending: bool,
}

impl Next {
    /// Greater where it comes sooner.
    fn soonest(&self) -> i64 {
        soonness(self.time, self.ascending)
    }
}

impl Ord for Next {
    fn cmp(&self, other: &Next) -> Ordering {
        let order = (self.time, self.id, self.cursor).cmp(&(other.time, other.id, other.cursor));
        if self.ascending { order.reverse() } else { order }
    }
}

impl PartialOrd for Next {
    fn partial_cmp(&self, other: &Next) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
