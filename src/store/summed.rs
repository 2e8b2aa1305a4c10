//! Answers from rollups instead of rows: sums by host, and sums by hour. Of every group (import, source, raw day) that a question covers wholly
//! and that its conditions do not look into, the sums are given and its blocks named, so that the caller asks for the rows of the others.
//!
//! A group is left to its rows where flows of its evidence are sightings of connections that others saw too (each is counted once), where it
//! reaches over the edge of the window, where conditions test more than kind, source, evidence and one host, and where sums are not exact.

use super::ask::{Ask, bounds, is_inside};
use super::block::Zone;
use super::busiest;
use super::eval::{self, Setting, Verdict};
use super::frame;
use super::keys;
use super::parallel;
use super::postings::ChunkInfo;
use super::rollups::{self, DST, HOUR, HostSums, SRC, Sums, Totals};
use super::segment::OTHER;
use super::snapshot::{BlockId, Snapshot};
use crate::error::{Error, Result};
use crate::model::filter::{Test, canonical};
use crate::model::{FieldId, Filter, Kind, SourceId, Time, Value, field};
use smallvec::smallvec;
use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;

/// What was answered from sums.
#[derive(Debug, Default)]
pub struct Summed {
    /// Blocks whose rows are in the sums: [`Ask::without`] them the rest is asked for.
    pub blocks: HashSet<BlockId>,
    /// Records in the sums.
    pub records: u64,
}

/// A group that can be answered from its sums.
pub(super) struct Group<'a> {
    day: i32,
    /// Correction of all its rows; none: it changes within.
    shift: Option<i64>,
    pub(super) setting: Setting<'a>,
    pub(super) zone: Zone,
    pub(super) blocks: Vec<BlockId>,
    pub(super) chunks: Vec<&'a ChunkInfo>,
    /// Some of its rows were pruned: sums answer for them, a count of rows does not.
    pruned: bool,
}

/// How many rows of a block satisfy a filter that looks at nothing but what is known of the block; none: it looks further.
pub(super) fn of_kinds(filter: &Filter, zone: &Zone, setting: &Setting<'_>) -> Option<u64> {
    let mut rows = 0;
    for (kind, n) in &zone.kinds {
        rows += if takes(filter, *kind, zone, setting)? { u64::from(*n) } else { 0 };
    }
    Some(rows)
}

/// Whether a filter takes every record of a kind, or none (false); none: it looks further.
pub(super) fn takes(filter: &Filter, kind: Kind, zone: &Zone, setting: &Setting<'_>) -> Option<bool> {
    // One zone stands for all of a group: what is known of its own rows alone does not count.
    let only = Zone { kinds: smallvec![(kind, 1)], ..zone.of_any_rows() };
    match eval::judge(filter, &only, setting) {
        Verdict::Yes => Some(true),
        Verdict::No => Some(false),
        Verdict::Maybe => None,
    }
}

/// A condition on one host that every record has to satisfy, and the rest of a filter.
fn split(filter: &Filter) -> (Option<(FieldId, IpAddr)>, Filter) {
    let host = |f: &Filter| match f {
        Filter::Test(id @ (field::HOST | field::SRC_IP | field::DST_IP), Test::Is(Value::Addr(a))) => Some((*id, canonical(*a))),
        _ => None,
    };
    match filter {
        Filter::And(all) => match all.iter().position(|f| host(f).is_some()) {
            Some(at) => {
                let rest = all.iter().enumerate().filter(|(i, _)| *i != at).map(|(_, f)| f.clone()).collect();
                (host(&all[at]), Filter::And(rest))
            }
            None => (None, filter.clone()),
        },
        one => host(one).map_or_else(|| (None, filter.clone()), |found| (Some(found), Filter::All)),
    }
}

/// Whether a host in a role is in a field.
pub(super) fn plays(role: u8, id: FieldId) -> bool {
    match id {
        field::SRC_IP => role & SRC > 0,
        field::DST_IP => role & DST > 0,
        _ => true,
    }
}

impl Snapshot {
    /// The groups that a question covers wholly and whose sums hold.
    pub(super) fn groups<'a>(&'a self, ask: &Ask<'_>, filter: &Filter) -> Vec<Group<'a>> {
        let mut out = Vec::new();
        for (import, data) in self.imports().iter().enumerate() {
            let lost = data.rollups.len() < data.done.rollups as usize || data.missing() > 0;
            let merged = !ask.every_sighting && self.is_merged(crate::model::EvidenceKey(data.done.key));
            if lost || merged || !data.done.summed || data.done.sequence <= ask.newer_than {
                continue;
            }
            let mut groups: BTreeMap<(i32, SourceId), Option<Group<'a>>> = BTreeMap::new();
            for info in data.blocks.iter().chain(&data.summed_only) {
                let zone = &info.zone;
                let setting = self.setting(import, zone.source);
                let (start, end) = bounds(zone, setting.shift);
                let (low, high) = setting.shift.bounds(zone.start.0, zone.start.1);
                let covered = is_inside(&ask.window, start, end)
                    && ask.sources.is_none_or(|s| s.contains(&zone.source))
                    && zone.kinds.iter().all(|(kind, _)| takes(filter, *kind, zone, &setting).is_some());
                let group = groups.entry((info.place.day, zone.source)).or_insert_with(|| {
                    let shift = (low == high).then_some(low);
                    let setting = self.setting(import, zone.source);
                    Some(Group {
                        day: info.place.day,
                        shift,
                        setting,
                        zone: zone.clone(),
                        blocks: Vec::new(),
                        chunks: Vec::new(),
                        pruned: false,
                    })
                });
                match group {
                    Some(group) if covered => {
                        group.shift = group.shift.filter(|s| (*s, *s) == (low, high));
                        group.blocks.push(BlockId { import: data.id, block: zone.index });
                    }
                    group => *group = None,
                }
            }
            for block in &data.summed_only {
                if let Some(Some(group)) = groups.get_mut(&(block.place.day, block.zone.source)) {
                    group.pruned = true;
                }
            }
            for chunk in &data.rollups {
                if let Some(Some(group)) = groups.get_mut(&(chunk.place.day, chunk.span.source)) {
                    group.chunks.push(chunk);
                }
            }
            out.extend(groups.into_values().flatten());
        }
        out
    }
    pub(super) fn body<T>(&self, chunk: &ChunkInfo, read: impl FnOnce(&[u8]) -> Result<T>) -> Option<T> {
        // What cannot be read is answered from the rows; `verify` names it.
        let payload = self.segments().frame(&chunk.place).ok()?;
        read(frame::split(&payload).ok()?.1).ok()
    }
    pub(super) fn totals(&self, group: &Group<'_>) -> Option<Totals> {
        let mut totals = Totals { exact: true, kinds: Vec::new() };
        let mut parts = group.chunks.iter().filter(|c| c.span.first.is_empty()).peekable();
        parts.peek()?;
        for part in parts {
            self.body(part, |body| rollups::read_totals(body, &mut totals))?;
        }
        totals.exact.then_some(totals)
    }
    pub(super) fn hosts(&self, group: &Group<'_>, only: Option<IpAddr>) -> Option<Vec<HostSums>> {
        let mut key = Vec::new();
        only.iter().for_each(|host| keys::put_addr(&mut key, *host));
        let of_hosts = |c: &ChunkInfo| !c.span.first.is_empty() && *c.span.first != busiest::KEY;
        let wanted = |c: &&&ChunkInfo| of_hosts(c) && (only.is_none() || (*c.span.first <= *key && *key <= *c.span.last));
        let mut out = Vec::new();
        for chunk in group.chunks.iter().filter(wanted) {
            let hosts = self.body(chunk, rollups::read_hosts)?;
            out.extend(hosts.into_iter().filter(|h| only.is_none_or(|host| h.host == host)));
        }
        Some(out)
    }
    /// Groups whose sums can be read, each with its totals and with what one host has (none: not asked for, or it cannot be read).
    fn read<'a>(
        &self,
        groups: Vec<Group<'a>>,
        host: Option<IpAddr>,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<Vec<(Group<'a>, Totals, Option<Vec<HostSums>>)>> {
        let read = parallel::each(groups, &|group| {
            if stop() {
                return Err(Error::cancelled());
            }
            let Some(totals) = self.totals(&group) else { return Ok(None) };
            let of_host = host.and_then(|host| self.hosts(&group, Some(host)));
            Ok(Some((group, totals, of_host)))
        });
        Ok(read.into_iter().collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
    }
    /// Sums of records by the values of `host`, `src.ip` or `dst.ip` (none: records without any), as far as they are known without rows. `top`: only so many
    /// are wanted that have most of a weight; others may be given as well, and records without any are not.
    pub fn host_sums(
        &self,
        ask: &Ask<'_>,
        by: FieldId,
        top: Option<(usize, Option<FieldId>)>,
        stop: &(dyn Fn() -> bool + Sync),
        each: &mut dyn FnMut(Option<IpAddr>, &Sums),
    ) -> Result<Summed> {
        if let Some((most, weight)) = top
            && let Some((hosts, summed)) = self.top_hosts(ask, by, weight, most, stop)?
        {
            hosts.iter().for_each(|(host, sums)| each(Some(*host), sums));
            return Ok(summed);
        }
        let mut out = Summed::default();
        for group in self.groups(ask, ask.filter) {
            if stop() {
                return Err(Error::cancelled());
            }
            let (Some(totals), Some(hosts)) = (self.totals(&group), self.hosts(&group, None)) else { continue };
            let taken = |kind: Kind| takes(ask.filter, kind, &group.zone, &group.setting) == Some(true);
            let mut fits = true;
            let (mut all, mut without, mut having) = (Sums::default(), Sums::default(), Sums::default());
            for kind in totals.kinds.iter().filter(|k| taken(k.kind)) {
                fits &= kind.hours.iter().fold(without.add(&kind.homeless), |fits, hour| all.add(hour) && fits);
            }
            if !fits {
                continue;
            }
            for host in hosts.iter().filter(|h| taken(h.kind) && plays(h.role, by)) {
                having.add(&host.sums);
                each(Some(host.host), &host.sums);
            }
            // A record has at most one originator; of all its hosts it has several.
            if by != field::HOST {
                without = all;
                without.0.iter_mut().zip(having.0).for_each(|(n, have)| *n = n.saturating_sub(have));
            }
            if without.records() > 0 {
                each(None, &without);
            }
            out.records += all.records();
            out.blocks.extend(group.blocks);
        }
        Ok(out)
    }
    /// How many records are asked for, where one host is asked for and else nothing but kinds, sources and evidence.
    pub(super) fn host_count(&self, ask: &Ask<'_>, stop: &(dyn Fn() -> bool + Sync)) -> Result<Summed> {
        let mut out = Summed::default();
        let (Some((id, host)), rest) = split(ask.filter) else { return Ok(out) };
        let groups: Vec<_> = self.groups(ask, &rest).into_iter().filter(|g| !g.pruned).collect();
        for (group, _, found) in self.read(groups, Some(host), stop)? {
            let Some(found) = found else { continue };
            let taken = |kind: Kind| takes(&rest, kind, &group.zone, &group.setting) == Some(true);
            let found = found.iter().filter(|h| taken(h.kind) && plays(h.role, id));
            out.records += found.map(|h| h.sums.records()).sum::<u64>();
            out.blocks.extend(group.blocks);
        }
        Ok(out)
    }
    /// Sums of records by hour of their corrected start, given with the beginning of the hour, as far as they are known without rows; of all
    /// records, or those of one host that the filter names. A weight that is not kept by hour gives nothing.
    pub fn hour_sums(
        &self,
        ask: &Ask<'_>,
        weight: Option<FieldId>,
        stop: &(dyn Fn() -> bool + Sync),
        each: &mut dyn FnMut(Time, u64),
    ) -> Result<Summed> {
        let (host, rest) = split(ask.filter);
        let by_host = matches!(weight, None | Some(field::BYTES | field::BYTES_OUT | field::BYTES_IN));
        let mut out = Summed::default();
        if Sums::default().of(weight).is_none() || host.is_some() && !by_host {
            return Ok(out);
        }
        let whole = |g: &Group<'_>| g.day != OTHER && g.shift.is_some_and(|s| s % HOUR == 0);
        let groups: Vec<_> = self.groups(ask, &rest).into_iter().filter(whole).collect();
        for (group, totals, found) in self.read(groups, host.map(|(_, host)| host), stop)? {
            let shift = group.shift.unwrap_or(0);
            let taken = |kind: Kind| takes(&rest, kind, &group.zone, &group.setting) == Some(true);
            let (mut hours, mut fits) = ([Sums::default(); 24], true);
            match host {
                None => {
                    for kind in totals.kinds.iter().filter(|k| taken(k.kind)) {
                        hours.iter_mut().zip(&kind.hours).for_each(|(sums, more)| fits &= sums.add(more));
                    }
                }
                Some((id, _)) => {
                    let Some(found) = found else { continue };
                    for sums in found.iter().filter(|h| taken(h.kind) && plays(h.role, id)) {
                        for (hour, [records, out, inward]) in &sums.hours {
                            fits &= hours[usize::from(*hour)].add(&Sums([*records, *out, *inward, 0, 0]));
                        }
                    }
                }
            }
            if !fits {
                continue;
            }
            for (hour, sums) in hours.iter().enumerate().filter(|(_, s)| s.records() > 0) {
                out.records += sums.records();
                each(Time(rollups::hour_start(group.day, hour)).plus(shift), sums.of(weight).unwrap_or(0));
            }
            out.blocks.extend(group.blocks);
        }
        Ok(out)
    }
}
