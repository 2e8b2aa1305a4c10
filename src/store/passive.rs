//! Answers from passive DNS instead of DNS events: who got an address for which name, what was answered for a name, how many events ask or
//! answer. Of a group (import, source, raw day) nothing is known where its correction changes within it; then the caller reads its rows.
//!
//! Also derives anew what is missing. Clocks set by hand and evidence that was replaced cannot leave anything stale: frames hold times as they
//! are stored, and only those of imports that are seen are read.

use super::Store;
use super::ask::{Ask, bounds, is_inside};
use super::block::Packer;
use super::cache::Kept;
use super::catalog::About;
use super::commit::Pending;
use super::encode::damaged;
use super::eval::{self, Setting, Verdict};
use super::names::{self, Answer, By, ChunkEntry, Collector, Frames, NamesInfo, Seen, Use, addr_key, name_key};
use super::names_chunk::{Addresses, NameEntry, Names};
use super::snapshot::{BlockId, Snapshot};
use super::summed::{Summed, takes};
use crate::error::{Error, Result};
use crate::model::filter::Test;
use crate::model::{EvidenceKey, Filter, Kind, Record, RecordId, SourceId, Value, field};
use serde::{Deserialize, Serialize};
use smallvec::smallvec;
use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

/// DNS events of one import, source and raw day.
#[derive(Debug, Clone)]
pub struct NamesGroup {
    import: usize,
    blocks: Vec<usize>,
    /// Places among the import's frames of passive DNS; empty: its rows have to be read.
    frames: Vec<usize>,
    shift: i64,
}

impl NamesGroup {
    /// Whether it is answered without its rows.
    pub fn is_derived(&self) -> bool {
        !self.frames.is_empty()
    }
}

/// What was answered for a name, in corrected time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PassiveEntry {
    /// The name: small letters, no dot at the end.
    pub name: String,
    /// Type of the answer: A, AAAA, CNAME, ...
    pub kind: String,
    /// The answer.
    pub answer: Answer,
    /// How often, first, last.
    pub seen: Seen,
}

/// What a condition asks of passive DNS.
enum Wanted<'a> {
    /// Events that answer an address.
    Address(IpAddr),
    /// Events that ask a name (or below it), only those that answer an address.
    Name(&'a str, bool, bool),
}

fn has_dns(kinds: &[(Kind, u32)]) -> bool {
    kinds.iter().any(|(kind, _)| *kind == Kind::Dns)
}

impl Snapshot {
    /// Every group of DNS events.
    pub fn names_groups(&self) -> Vec<NamesGroup> {
        let mut out = Vec::new();
        for (import, data) in self.imports().iter().enumerate() {
            let mut groups: BTreeMap<(i32, SourceId), (NamesGroup, bool)> = BTreeMap::new();
            for (at, info) in data.blocks.iter().enumerate().filter(|(_, b)| has_dns(&b.zone.kinds)) {
                let (low, high) = self.setting(import, info.zone.source).shift.bounds(info.zone.start.0, info.zone.start.1);
                let group = NamesGroup { import, blocks: Vec::new(), frames: Vec::new(), shift: low };
                let (group, steady) = groups.entry((info.place.day, info.zone.source)).or_insert((group, true));
                *steady &= (low, high) == (group.shift, group.shift);
                group.blocks.push(at);
            }
            for (at, info) in data.names().iter().enumerate().filter(|(_, n)| n.span.of == 0) {
                if let Some((group, true)) = groups.get_mut(&(info.place.day, info.span.source)) {
                    group.frames.push(at);
                }
            }
            out.extend(groups.into_values().map(|(group, _)| group));
        }
        out
    }
    /// Evidence of a group.
    pub fn names_evidence(&self, group: &NamesGroup) -> EvidenceKey {
        EvidenceKey(self.imports()[group.import].done.key)
    }
    /// The DNS events of a group, with what passive DNS is made of.
    pub fn names_rows(&self, group: &NamesGroup, each: &mut dyn FnMut(Record) -> bool) -> Result<()> {
        for block in &group.blocks {
            if !self.dns_rows(group.import, *block, each)? {
                break;
            }
        }
        Ok(())
    }
    fn dns_rows(&self, import: usize, block: usize, each: &mut dyn FnMut(Record) -> bool) -> Result<bool> {
        let reader = self.reader(import, block)?;
        let (heads, columns) = (reader.heads()?, reader.columns(Some(&names::FIELDS))?);
        let dns = Kind::Dns as u64;
        for row in (0..reader.rows()).filter(|row| heads.kind.uints()[*row] == dns) {
            let mut record = heads.record(reader.info(), row, &columns);
            self.complete(&mut record, import);
            if !each(record) {
                return Ok(false);
            }
        }
        Ok(true)
    }
    /// The uses of an address in a group that is derived, each with its name and its event; times are corrected.
    pub fn names_uses(&self, group: &NamesGroup, server: IpAddr, each: &mut dyn FnMut(&str, Use, RecordId)) -> Result<()> {
        let (key, evidence) = (addr_key(server), self.names_evidence(group));
        self.names_chunks(group, By::Address, &|c| *c.first <= *key && *key <= *c.last, &mut |chunk| {
            let Kept::Addresses(chunk) = chunk else { return Ok(()) };
            chunk.uses(server, &mut |name, mut one| {
                one.end = one.end.plus(group.shift);
                each(name, one, RecordId { evidence, offset: one.offset, ordinal: one.ordinal });
            })
        })
    }
    /// What a group that is derived knows of a name, and of all names below it if `below` (of an empty name: of every name).
    pub fn names_under(&self, group: &NamesGroup, name: &str, below: bool, each: &mut dyn FnMut(PassiveEntry)) -> Result<()> {
        self.name_entries(group, name, below, &mut |entry| {
            let name = entry.name()?;
            for (kind, answer, seen) in entry.answers() {
                let seen = Seen { first: seen.first.plus(group.shift), last: seen.last.plus(group.shift), ..*seen };
                each(PassiveEntry { name: name.clone(), kind: kind.to_owned(), answer: answer.clone(), seen });
            }
            Ok(())
        })
    }
    fn name_entries(
        &self,
        group: &NamesGroup,
        name: &str,
        below: bool,
        each: &mut dyn FnMut(NameEntry<'_>) -> Result<()>,
    ) -> Result<()> {
        let key = name_key(&names::plain(name));
        let may = |c: &ChunkEntry| *c.last >= *key && (*c.first <= *key || below && c.first.starts_with(&key));
        self.names_chunks(group, By::Name, &may, &mut |chunk| match chunk {
            Kept::Names(chunk) => chunk.under(&key, below, each),
            _ => Ok(()),
        })
    }
    fn names_chunks(
        &self,
        group: &NamesGroup,
        by: By,
        wanted: &dyn Fn(&ChunkEntry) -> bool,
        each: &mut dyn FnMut(Kept) -> Result<()>,
    ) -> Result<()> {
        let all = self.imports()[group.import].names();
        for frame in group.frames.iter().filter_map(|at| all.get(*at)) {
            let directory = self.names_directory(frame)?;
            for (n, entry) in directory.iter().enumerate().filter(|(_, c)| c.by == by && wanted(c)) {
                each(self.names_chunk(frame, n, entry)?)?;
            }
        }
        Ok(())
    }
    fn names_directory(&self, frame: &NamesInfo) -> Result<Arc<Vec<ChunkEntry>>> {
        if let Some(directory) = frame.directory.get() {
            return Ok(Arc::clone(directory));
        }
        let bytes = self.segments().read(&frame.place, 4 + u64::from(frame.meta), frame.span.directory.0 as usize)?;
        let directory = Arc::new(names::directory(&frame.span, &bytes)?);
        Ok(Arc::clone(frame.directory.get_or_init(|| directory)))
    }
    fn names_chunk(&self, frame: &NamesInfo, n: usize, entry: &ChunkEntry) -> Result<Kept> {
        let id = BlockId { import: frame.span.import, block: frame.span.index | 1 << 31 };
        if let Some(kept) = self.cache().find(id, n as u32) {
            return Ok(kept);
        }
        let from = 4 + u64::from(frame.meta) + u64::from(frame.span.directory.0) + entry.offset;
        if from + u64::from(entry.stored) > u64::from(frame.place.len) {
            return Err(damaged("passive DNS"));
        }
        let raw = entry.unpack(&self.segments().read(&frame.place, from, entry.stored as usize)?)?;
        let kept = match entry.by {
            By::Address => Kept::Addresses(Arc::new(Addresses::decode(&raw)?)),
            By::Name => Kept::Names(Arc::new(Names::decode(&raw)?)),
        };
        self.cache().keep(id, n as u32, kept.clone());
        Ok(kept)
    }
    /// What was answered, of every group that a question takes as a whole; the blocks that it then has no need of.
    pub fn passive(
        &self,
        ask: &Ask<'_>,
        stop: &dyn Fn() -> bool,
        each: &mut dyn FnMut(PassiveEntry),
    ) -> Result<HashSet<BlockId>> {
        let mut out = HashSet::new();
        for group in self.names_groups().into_iter().filter(|g| g.is_derived() && self.covers(g, ask, ask.filter)) {
            if stop() {
                return Err(Error::cancelled());
            }
            let mut found = Vec::new();
            // What cannot be read is in the rows; `verify` derives it anew.
            if self.names_under(&group, "", true, &mut |entry| found.push(entry)).is_ok() {
                found.into_iter().for_each(&mut *each);
                out.extend(self.block_ids(&group));
            }
        }
        Ok(out)
    }
    fn block_ids(&self, group: &NamesGroup) -> impl Iterator<Item = BlockId> {
        let data = &self.imports()[group.import];
        group.blocks.iter().map(|b| BlockId { import: data.id, block: data.blocks[*b].zone.index })
    }
    /// Whether a question takes every DNS event of a group and nothing else of its blocks.
    fn covers(&self, group: &NamesGroup, ask: &Ask<'_>, filter: &Filter) -> bool {
        let data = &self.imports()[group.import];
        let mut zones = group.blocks.iter().map(|b| &data.blocks[*b].zone);
        data.done.sequence > ask.newer_than
            && data.missing() == 0
            && zones.all(|zone| {
                let setting = self.setting(group.import, zone.source);
                let (start, end) = bounds(zone, setting.shift);
                is_inside(&ask.window, start, end)
                    && ask.sources.is_none_or(|s| s.contains(&zone.source))
                    && zone.kinds.iter().all(|(kind, _)| takes(filter, *kind, zone, &setting) == Some(*kind == Kind::Dns))
            })
    }
    /// How many rows satisfy a question about a name or an address answered, as far as passive DNS knows.
    pub(super) fn names_counts(&self, ask: &Ask<'_>) -> Summed {
        let mut out = Summed::default();
        if !mentions_dns(ask.filter) {
            return out;
        }
        for group in self.names_groups().into_iter().filter(NamesGroup::is_derived) {
            let data = &self.imports()[group.import];
            let all = data.names();
            let exact = group.frames.iter().all(|at| all.get(*at).is_some_and(|f| f.span.exact));
            let Some(first) = group.blocks.first().map(|b| &data.blocks[*b].zone).filter(|_| exact) else { continue };
            let setting = self.setting(group.import, first.source);
            // Of the whole group, whose other blocks stand elsewhere.
            let dns = super::block::Zone { kinds: smallvec![(Kind::Dns, 1)], offsets: (0, u64::MAX), ..first.of_any_rows() };
            let Some((wanted, rest)) = wanted(ask.filter, &dns, &setting) else { continue };
            // What cannot be read is counted in the rows; `verify` derives it anew.
            let counted = if self.covers(&group, ask, &rest) { self.count_events(&group, &wanted).ok() } else { None };
            let Some(n) = counted else { continue };
            out.records += n;
            out.blocks.extend(self.block_ids(&group));
        }
        out
    }
    fn count_events(&self, group: &NamesGroup, wanted: &Wanted<'_>) -> Result<u64> {
        let mut n = 0;
        match wanted {
            Wanted::Address(addr) => {
                let key = addr_key(*addr);
                self.names_chunks(group, By::Address, &|c| *c.first <= *key && *key <= *c.last, &mut |chunk| {
                    n += if let Kept::Addresses(chunk) = chunk { chunk.events(addr.to_canonical()) } else { 0 };
                    Ok(())
                })?;
            }
            Wanted::Name(name, below, answered) => self.name_entries(group, name, *below, &mut |entry| {
                n += if *answered { entry.answered } else { entry.events };
                Ok(())
            })?,
        }
        Ok(n)
    }
}

fn mentions_dns(filter: &Filter) -> bool {
    match filter {
        Filter::And(list) | Filter::Or(list) => list.iter().any(mentions_dns),
        Filter::Test(field::NAME, Test::Is(_) | Test::Under(_)) | Filter::Test(field::ANSWER_IP, Test::Is(_)) => true,
        _ => false,
    }
}

/// The conditions of a filter on DNS events that all have to hold: alternatives that no DNS event can satisfy are left out.
fn conditions<'a>(filter: &'a Filter, dns: &super::block::Zone, setting: &Setting<'_>, out: &mut Vec<&'a Filter>) {
    match filter {
        Filter::And(list) => list.iter().for_each(|f| conditions(f, dns, setting, out)),
        Filter::Or(list) => {
            let mut possible = list.iter().filter(|f| eval::judge(f, dns, setting) != Verdict::No);
            match (possible.next(), possible.next()) {
                (Some(only), None) => conditions(only, dns, setting, out),
                _ => out.push(filter),
            }
        }
        other => out.push(other),
    }
}

/// Whether a name in a question is compared with names of events as their keys are.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && !name.ends_with('.') && name.is_ascii()
}

/// What passive DNS is asked, and the rest of the filter; none: something else is asked.
fn wanted<'a>(filter: &'a Filter, dns: &super::block::Zone, setting: &Setting<'_>) -> Option<(Wanted<'a>, Filter)> {
    let mut all = Vec::new();
    conditions(filter, dns, setting, &mut all);
    let (mut name, mut addr, mut answered, mut rest) = (None, None, false, Vec::new());
    for condition in all {
        match condition {
            Filter::Test(field::NAME, Test::Is(Value::Text(text))) if name.is_none() && is_plain(text) => {
                name = Some((text.as_str(), false));
            }
            Filter::Test(field::NAME, Test::Under(text)) if name.is_none() && is_plain(text) => name = Some((text, true)),
            Filter::Test(field::ANSWER_IP, Test::Is(Value::Addr(a))) if addr.is_none() => addr = Some(*a),
            Filter::Test(field::ANSWER_IP, Test::Exists) => answered = true,
            other => rest.push(other.clone()),
        }
    }
    let wanted = match (name, addr) {
        (Some((name, below)), None) => Wanted::Name(name, below, answered),
        (None, Some(addr)) => Wanted::Address(addr),
        _ => return None,
    };
    Some((wanted, Filter::And(rest)))
}

impl Store {
    /// Derives what is not there, or was derived in another way; where that fails rows are read instead, which a notice says.
    pub(super) fn derive_missing(&self) {
        let snapshot = self.snapshot();
        let mut made = 0;
        for (import, data) in snapshot.imports().iter().enumerate().filter(|(_, d)| d.lacks_names()) {
            match self.derive(&snapshot, import) {
                Ok(()) => made += 1,
                Err(e) => self.notice(format!("passive DNS of {} could not be derived: {}", data.done.path, e.what)),
            }
        }
        if made > 0 {
            self.notice(format!("passive DNS of {made} evidence files was derived anew"));
        }
    }
    /// Derives passive DNS of one import from its blocks; what there was before goes.
    pub(super) fn derive(&self, snapshot: &Snapshot, import: usize) -> Result<()> {
        let data = &snapshot.imports()[import];
        let (mut collector, mut packer, mut pending, mut written) =
            (Collector::default(), Packer::new()?, Pending::default(), Vec::new());
        let mut to =
            Frames { store: self, import: data.id, base: data.next_names(), written: &mut written, pending: &mut pending };
        for (block, info) in data.blocks.iter().enumerate().filter(|(_, b)| has_dns(&b.zone.kinds)) {
            self.room()?;
            snapshot.dns_rows(import, block, &mut |event| {
                collector.add(info.place.day, &event);
                true
            })?;
            if collector.weight() > names::MEMORY {
                to.write(&mut collector, &mut packer, false)?;
            }
        }
        to.write(&mut collector, &mut packer, true)?;
        data.names().iter().for_each(|old| pending.remove(About::Names, data.id, old.span.index));
        self.commit_group(&mut pending)?;
        data.set_names(written);
        Ok(())
    }
    /// Reads every frame of passive DNS; derives anew where one is damaged or missing. Paths of the evidence of which that was done; where it
    /// could not be is added to the damage.
    pub(super) fn check_names(&self, damage: &mut Vec<String>) -> Vec<String> {
        let snapshot = self.snapshot();
        let mut out = Vec::new();
        for (import, data) in snapshot.imports().iter().enumerate().filter(|(_, d)| !d.is_head()) {
            let damaged = data.names().iter().any(|n| self.segments().frame(&n.place).is_err());
            if damaged || data.lacks_names() {
                match self.derive(&snapshot, import) {
                    Ok(()) => out.push(data.done.path.clone()),
                    Err(e) => damage.push(format!("passive DNS of {} cannot be derived: {}", data.done.path, e.what)),
                }
            }
        }
        out
    }
}

#[cfg(test)]
mod tests;
