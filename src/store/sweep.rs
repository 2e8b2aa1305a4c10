//! Where many values stand at once: one walk over the postings says which blocks can hold any of them, then only those blocks are
//! opened and their dictionaries (not their rows) are compared. Blocks of events are opened in any case for the texts, which have no postings.

use super::bits::Bits;
use super::column::{Column, Values};
use super::eval;
use super::parallel;
use super::postings::{self, Wants};
use super::reader::{Columns, Heads};
use super::snapshot::Snapshot;
use super::sweep_wanted::{Wanted, Whom, is_text};
use crate::error::{Error, Result};
use crate::model::field::{self, FieldId};
use crate::model::indicator::{self, HOSTS, HOSTS_COUNTED, How, Over, Sighting, Sightings};
use crate::model::site::Home;
use crate::model::{Kind, SourceId, Time, community_id};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::IpAddr;

/// Blocks that are worked on before their finds are added up.
const AHEAD: usize = 16;

/// A row that has an indicator.
struct Find {
    indicator: u32,
    how: How,
    start: Time,
    end: Time,
    shown: bool,
    hosts: [Option<IpAddr>; 2],
}

/// What is known of an indicator so far.
#[derive(Default)]
struct Sum {
    records: u64,
    first: Option<Time>,
    last: Option<Time>,
    sources: BTreeMap<SourceId, u64>,
    hosts: BTreeSet<(bool, IpAddr)>,
}

impl Snapshot {
    /// Which records have which of the values that are wanted.
    ///
    /// Of the two ends of a record the hosts named are those that are `home`.
    pub fn sweep(&self, wanted: &Wanted, over: &Over<'_>, home: &Home, stop: &(dyn Fn() -> bool + Sync)) -> Result<Sightings> {
        let mut sums: BTreeMap<(u32, How), Sum> = BTreeMap::new();
        let mut fields = wanted.fields();
        fields.extend([field::SRC_IP, field::DST_IP, field::SRC_PORT, field::DST_PORT, field::PROTO]);
        fields.extend(indicator::TEXTS);
        fields.sort_unstable();
        fields.dedup();
        for (import, data) in self.imports().iter().enumerate().filter(|(_, d)| d.done.sequence > over.newer_than) {
            let imported = Time(data.done.imported);
            if !over.imported_after.is_empty() && over.imported_after.iter().all(|after| imported <= *after) {
                continue;
            }
            let blocks = self.blocks_of(import, wanted, over, stop)?;
            let work = |block: usize| {
                if stop() {
                    return Err(Error::cancelled());
                }
                self.look(import, block, wanted, over, home, &fields)
            };
            for some in blocks.chunks(AHEAD) {
                for (block, finds) in some.iter().zip(parallel::each(some.to_vec(), &work)) {
                    let source = data.blocks[*block].zone.source;
                    for find in finds? {
                        if over.imported_after.get(find.indicator as usize).is_none_or(|after| imported > *after) {
                            sums.entry((find.indicator, find.how)).or_default().add(&find, source, home);
                        }
                    }
                }
            }
        }
        let found = sums.into_iter().map(|((indicator, how), sum)| sum.end(indicator, how)).collect();
        Ok(Sightings { found, fills: self.fills(stop)? })
    }
    /// The blocks that may hold anything that is wanted, in order.
    fn blocks_of(&self, import: usize, wanted: &Wanted, over: &Over<'_>, stop: &dyn Fn() -> bool) -> Result<Vec<usize>> {
        let data = &self.imports()[import];
        // Some postings were lost: what they do not name may be there all the same.
        let all = wanted.community_ids() || data.chunks.len() < data.done.chunks as usize;
        let mut named: HashSet<u32> = HashSet::new();
        if !all {
            for chunk in data.chunks.iter().filter(|c| wanted.may(&c.span)) {
                if stop() {
                    return Err(Error::cancelled());
                }
                let entries = self.read_postings(chunk)?;
                let wants = |key: &[u8]| if wanted.entry(key) { Wants::Yes } else { Wants::No };
                postings::walk(&entries, wants, |block, _| {
                    named.insert(block);
                })?;
            }
        }
        let fits = |(at, block): (usize, &super::contents::BlockInfo)| {
            let zone = &block.zone;
            let setting = self.setting(import, zone.source);
            let (low, high) = setting.shift.bounds(zone.start.0, zone.start.1);
            let inside = over.window.overlaps(zone.start.0.plus(low), zone.end.1.max(zone.start.1).plus(high));
            let texts = zone.kinds.iter().any(|(kind, _)| *kind != Kind::Flow);
            (inside && (all || texts || named.contains(&zone.index))).then_some(at)
        };
        Ok(data.blocks.iter().enumerate().filter_map(fits).collect())
    }
    /// The rows of a block that have anything that is wanted.
    fn look(
        &self,
        import: usize,
        block: usize,
        wanted: &Wanted,
        over: &Over<'_>,
        home: &Home,
        fields: &[FieldId],
    ) -> Result<Vec<Find>> {
        let reader = self.reader(import, block)?;
        let columns = reader.columns(Some(fields))?;
        let mut rows: HashMap<(u32, u32), How> = HashMap::new();
        let mut note = |row: usize, indicator: u32, how: How| {
            let best = rows.entry((row as u32, indicator)).or_insert(how);
            *best = how.min(*best);
        };
        for (id, column) in &columns {
            compare(*id, column, reader.rows(), wanted, &mut note);
        }
        if wanted.community_ids() {
            community_ids(&columns, reader.rows(), wanted, &mut note);
        }
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let setting = self.setting(import, reader.info().zone.source);
        let inside = eval::in_window(&reader, setting.shift, &over.window, Bits::all(reader.rows()))?;
        let masked = self.sightings().masked.get(&reader.id());
        let heads = reader.heads()?;
        let mut finds: Vec<((u32, u32), Find)> = Vec::with_capacity(rows.len());
        for ((row, indicator), how) in rows {
            let at = row as usize;
            if inside.has(at) {
                let shown = masked.is_none_or(|mask| !mask.has(at));
                let shift = setting.shift.at(heads.times(at).0);
                finds.push(((row, indicator), find(&heads, &columns, at, (indicator, how), (wanted, home), shown, shift)));
            }
        }
        finds.sort_unstable_by_key(|(place, _)| *place);
        Ok(finds.into_iter().map(|(_, find)| find).collect())
    }
    /// Per source the indexed fields that any of its records has, as far as postings name them.
    fn fills(&self, stop: &dyn Fn() -> bool) -> Result<Vec<(SourceId, Vec<FieldId>)>> {
        let mut out: BTreeMap<SourceId, BTreeSet<FieldId>> = BTreeMap::new();
        let of = |key: &[u8]| key.first_chunk::<2>().map(|id| FieldId(u16::from_be_bytes(*id)));
        for chunk in self.imports().iter().flat_map(|data| &data.chunks) {
            if stop() {
                return Err(Error::cancelled());
            }
            let fields = out.entry(chunk.span.source).or_default();
            let (first, last) = (of(&chunk.span.first), of(&chunk.span.last));
            fields.extend(first.into_iter().chain(last));
            if first != last {
                let wants = |key: &[u8]| {
                    fields.extend(of(key));
                    Wants::No
                };
                postings::walk(&self.read_postings(chunk)?, wants, |_, _| ())?;
            }
        }
        Ok(out.into_iter().map(|(source, fields)| (source, fields.into_iter().collect())).collect())
    }
}

impl Sum {
    fn add(&mut self, find: &Find, source: SourceId, home: &Home) {
        self.records += u64::from(find.shown);
        self.first = Some(self.first.map_or(find.start, |t| t.min(find.start)));
        self.last = Some(self.last.map_or(find.end, |t| t.max(find.end)));
        *self.sources.entry(source).or_default() += 1;
        for host in find.hosts.iter().flatten() {
            if self.hosts.len() < HOSTS_COUNTED {
                self.hosts.insert((!home.has(*host), *host));
            }
        }
    }
    fn end(self, indicator: u32, how: How) -> Sighting {
        Sighting {
            indicator,
            how,
            records: self.records,
            first: self.first.unwrap_or(Time(0)),
            last: self.last.unwrap_or(Time(0)),
            sources: self.sources.into_iter().collect(),
            host_count: self.hosts.len() as u32,
            hosts: self.hosts.into_iter().take(HOSTS).map(|(_, host)| host).collect(),
        }
    }
}

/// Compares the distinct values of a column, then names the rows that have those that are wanted.
fn compare(id: FieldId, column: &Column, rows: usize, wanted: &Wanted, note: &mut dyn FnMut(usize, u32, How)) {
    let class = wanted.class_of(id);
    let (uses, whom): (&[u32], Vec<Whom>) = match &column.values {
        Values::Addr(uses, dict) if class.is_some() => {
            // The dictionary is the block's: only what this column uses counts.
            let mut whom = vec![Whom::new(); dict.len()];
            let used: HashSet<u32> = uses.iter().copied().collect();
            for n in used {
                if let (Some(place), Some(addr)) = (whom.get_mut(n as usize), dict.get(n as usize)) {
                    *place = wanted.of_addr(*addr);
                }
            }
            (uses, whom)
        }
        Values::Text(uses, texts) if class.is_some() || is_text(id) => {
            let one = |n: usize| {
                let text = texts.at(n);
                let mut whom = class.map(|class| wanted.of_text(class, text)).unwrap_or_default();
                if is_text(id) {
                    wanted.in_text(text, &mut |n| whom.push((n, How::Text)));
                }
                whom
            };
            (uses, (0..texts.len()).map(one).collect())
        }
        _ => return,
    };
    if whom.iter().all(|w| w.is_empty()) {
        return;
    }
    for row in 0..rows {
        for number in column.range(row).filter_map(|i| uses.get(i)) {
            for (n, how) in whom.get(*number as usize).into_iter().flatten() {
                note(row, *n, *how);
            }
        }
    }
}

fn column(columns: &Columns, id: FieldId) -> Option<&Column> {
    columns.iter().find(|(f, _)| *f == id).map(|(_, c)| &**c)
}

fn community_ids(columns: &Columns, rows: usize, wanted: &Wanted, note: &mut dyn FnMut(usize, u32, How)) {
    let of = |id| column(columns, id);
    let (Some(src), Some(dst), Some(proto)) = (of(field::SRC_IP), of(field::DST_IP), of(field::PROTO)) else { return };
    let port = |id, row| of(id).and_then(|c| c.uint(row)).unwrap_or(0) as u16;
    for row in 0..rows {
        let (Some(src), Some(dst), Some(proto)) = (src.addr(row), dst.addr(row), proto.uint(row)) else { continue };
        let id = community_id::compute(proto as u8, src, port(field::SRC_PORT, row), dst, port(field::DST_PORT, row));
        for (n, how) in wanted.of_text(crate::model::entity::EntityKind::CommunityId, &id) {
            note(row, n, how);
        }
    }
}

/// A row that has an indicator, with the ends of it that are not the indicator: the own ones, else the originator.
fn find(
    heads: &Heads,
    columns: &Columns,
    row: usize,
    (indicator, how): (u32, How),
    (wanted, home): (&Wanted, &Home),
    shown: bool,
    shift: i64,
) -> Find {
    let (start, end) = heads.times(row);
    let kind = Kind::from_u8(heads.kind.uints()[row] as u8).unwrap_or(Kind::Log);
    let end_of = |id| column(columns, id).and_then(|c| c.addr(row));
    let other = |addr: &IpAddr| !wanted.of_addr(*addr).iter().any(|(n, _)| *n == indicator);
    let (src, dst) = (end_of(field::SRC_IP).filter(other), end_of(field::DST_IP).filter(other));
    let mut hosts = [src, dst].map(|addr| addr.filter(|a| home.has(*a)));
    if hosts == [None, None] {
        hosts[0] = src.or(dst);
    }
    let how = if kind == Kind::Inventory { How::Listed } else { how };
    Find { indicator, how, start: start.plus(shift), end: end.plus(shift), shown, hosts }
}
