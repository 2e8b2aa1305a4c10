//! What is to be pruned: whole raw days, per kind, oldest first, without those that somebody pinned. Changes nothing.

use super::ask::bounds;
use super::clocks::Shift;
use super::contents::ImportData;
use super::frame::HEADER;
use super::pruned::Kept;
use super::segment::{CASE, OTHER, Place};
use super::{Store, hold};
use crate::error::Result;
use crate::model::evidence::EvidenceInfo;
use crate::model::time::DAY;
use crate::model::{Kind, Time, Window};
use std::collections::{BTreeMap, HashMap};
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

/// A window whose days are kept, and what for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    /// Corrected times.
    pub window: Window,
    /// Why, in words.
    pub why: String,
}

/// What is to go.
#[derive(Debug, Clone, Default)]
pub struct Wish {
    /// Per kind ([`Kept::ALL`]) the instant before whose day rows are dropped; none: they are kept.
    pub before: [Option<Time>; 4],
    /// Bytes that the case is to take at most: the oldest days go until it does.
    pub most: Option<u64>,
    /// What is kept all the same.
    pub pins: Vec<Pin>,
}

/// A raw day of which something is dropped.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Day {
    /// Days since 1970-01-01; [`OTHER`]: those of imports with very many days.
    pub day: i32,
    /// Per kind whether it is dropped.
    pub drop: [bool; 4],
    /// Rows that go.
    pub rows: u64,
    /// Bytes that go, about.
    pub bytes: u64,
}

impl Day {
    /// Its name: 2026-11-20.
    pub fn name(&self) -> String {
        day_name(self.day)
    }
    /// What is dropped of it, in words; empty: all.
    pub fn kinds(&self) -> String {
        if self.drop == [true; 4] {
            return String::new();
        }
        let names = Kept::ALL.iter().zip(self.drop).filter(|(_, drop)| *drop).map(|(kept, _)| kept.name());
        names.collect::<Vec<_>>().join(", ")
    }
}

/// Name of a raw day.
pub fn day_name(day: i32) -> String {
    if day == OTHER { "days of their own".to_owned() } else { midnight(day).utc().format("%Y-%m-%d").to_string() }
}

/// What would be pruned.
#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize)]
pub struct Plan {
    /// Days, oldest first.
    pub days: Vec<Day>,
    /// Per day and kind what is dropped, of days that have nothing of it as well: packets of one day may stand with those of another.
    pub all: BTreeMap<i32, [bool; 4]>,
    /// Days that would go and are pinned, with why.
    pub pinned: Vec<(i32, String)>,
    /// Files of packets that captures kept, and copies of evidence: each with its bytes.
    pub files: Vec<(PathBuf, u64)>,
    /// Bytes of the case now.
    pub size: u64,
    /// Bytes beyond what it is to take at most that are left: of the newest day and of what is pinned.
    pub over: u64,
}

impl Plan {
    /// Whether nothing is to go.
    pub fn is_empty(&self) -> bool {
        self.days.is_empty() && self.files.is_empty()
    }
    /// Bytes that go, about.
    pub fn bytes(&self) -> u64 {
        self.days.iter().map(|d| d.bytes).sum::<u64>() + self.files.iter().map(|(_, n)| n).sum::<u64>()
    }
}

/// What a day has.
#[derive(Debug, Default)]
struct Facts {
    /// Bytes and rows per kind.
    kinds: [(u64, u64); 4],
    /// Bytes of postings and passive DNS.
    index: u64,
    /// Corrected start of the newest row.
    newest: [Option<Time>; 4],
    pin: Option<String>,
}

pub(super) fn midnight(day: i32) -> Time {
    Time(i64::from(day).saturating_mul(DAY))
}

/// The kind of a block's rows.
pub(super) fn kept(kinds: &[(Kind, u32)]) -> Kept {
    if kinds.iter().all(|(kind, _)| *kind == Kind::Flow) { Kept::Flows } else { Kept::Events }
}

fn len(place: &Place) -> u64 {
    HEADER as u64 + u64::from(place.len)
}

impl Store {
    /// What a wish would drop.
    pub fn plan_prune(&self, wish: &Wish) -> Result<Plan> {
        let snapshot = self.snapshot();
        let seen: HashMap<u32, usize> = snapshot.imports().iter().enumerate().map(|(n, i)| (i.id, n)).collect();
        let imports: Vec<Arc<ImportData>> = hold(&self.0.state).contents.imports.values().cloned().collect();
        let mut days: BTreeMap<i32, Facts> = BTreeMap::new();
        let none = Shift::default();
        for data in &imports {
            for info in &data.blocks {
                let zone = &info.zone;
                let setting = seen.get(&data.id).map(|n| snapshot.setting(*n, zone.source));
                let (start, end) = bounds(zone, setting.as_ref().map_or(&none, |s| s.shift));
                let facts = days.entry(info.place.day).or_default();
                let kind = kept(&zone.kinds) as usize;
                facts.kinds[kind].0 += len(&info.place);
                facts.kinds[kind].1 += u64::from(zone.rows);
                facts.newest[kind] = facts.newest[kind].max(Some(start.1));
                if facts.pin.is_none() {
                    let touched = |pin: &&Pin| pin.window.overlaps(start.0, end.1.max(start.1));
                    facts.pin = wish.pins.iter().find(touched).map(|pin| pin.why.clone());
                }
            }
            let mut add = |place: &Place, kept: Kept| days.entry(place.day).or_default().kinds[kept as usize].0 += len(place);
            data.groups.iter().for_each(|g| add(&g.place, Kept::Packets));
            data.rollups.iter().for_each(|c| add(&c.place, Kept::Rollups));
            let names = data.names();
            let index = data.chunks.iter().map(|c| &c.place).chain(names.iter().map(|n| &n.place));
            index.for_each(|place| days.entry(place.day).or_default().index += len(place));
        }
        days.remove(&CASE);
        let mut plan = Plan { size: size_of(&self.dir()), ..Plan::default() };
        let mut wanted: BTreeMap<i32, [bool; 4]> = BTreeMap::new();
        for (day, facts) in &days {
            let mut drop =
                Kept::ALL.map(|kept| wish.before[kept as usize].is_some_and(|before| facts.is_before(*day, before, kept)));
            // Places of packets are of no use without their flows.
            drop[Kept::Packets as usize] |= drop[Kept::Flows as usize];
            if drop.contains(&true) {
                wanted.insert(*day, drop);
            }
        }
        plan.files = self.old_files(wish, &snapshot.evidence(), wish.before[Kept::Packets as usize]);
        // Oldest first by their rows: days that have no place of their own may be the newest. What came last stays.
        let mut order: Vec<(Time, i32)> = days.iter().map(|(day, facts)| (facts.last(*day), *day)).collect();
        order.sort_unstable();
        let newest = order.last().map(|(last, _)| last.day());
        let mut left = plan.size - plan.files.iter().map(|(_, n)| n).sum::<u64>().min(plan.size);
        for (day, drop) in &wanted {
            left -= days[day].goes(drop).map_or(0, |d| if days[day].pin.is_none() { d.1 } else { 0 }).min(left);
        }
        if let Some(most) = wish.most {
            for day in order.iter().filter(|(last, _)| Some(last.day()) != newest).map(|(_, day)| day) {
                if left <= most {
                    break;
                }
                let facts = &days[day];
                let before = wanted.get(day).and_then(|drop| facts.goes(drop)).map_or(0, |(_, bytes)| bytes);
                wanted.insert(*day, [true; 4]);
                if facts.pin.is_none() {
                    left -= facts.goes(&[true; 4]).map_or(0, |(_, bytes)| bytes - before).min(left);
                }
            }
            plan.over = left.saturating_sub(most);
        }
        for (day, drop) in wanted {
            let facts = &days[&day];
            if facts.pin.is_none() {
                plan.all.insert(day, drop);
            }
            match (&facts.pin, facts.goes(&drop)) {
                (Some(why), Some(_)) => plan.pinned.push((day, why.clone())),
                (None, Some((rows, bytes))) => plan.days.push(Day { day, drop, rows, bytes }),
                (_, None) => {}
            }
        }
        Ok(plan)
    }
    /// Files of the case beside the segments that are old enough: packets of captures, copies of evidence.
    fn old_files(&self, wish: &Wish, evidence: &[EvidenceInfo], before: Option<Time>) -> Vec<(PathBuf, u64)> {
        let Some(before) = before.map(|b| midnight(b.day())) else { return Vec::new() };
        let pinned = |start: Time, end: Time| wish.pins.iter().any(|p| p.window.overlaps(start, end));
        let mut out = Vec::new();
        for (path, meta) in entries(&self.dir().join("evidence")) {
            // stream-KEY, member-KEY, member-KEY.zst.
            let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
            let key = name.split('.').next().and_then(|n| n.rsplit('-').next()).unwrap_or_default();
            let Some(info) = evidence.iter().find(|e| e.key.to_string() == key) else { continue };
            let old = info.span.is_some_and(|s| s.end <= before && !pinned(s.start, s.last()));
            if old && meta.is_file() {
                out.push((path, meta.len()));
            }
        }
        for (folder, _) in entries(&self.dir().join("capture")).into_iter().filter(|(_, m)| m.is_dir()) {
            let mut files: Vec<(Time, PathBuf, u64)> = entries(&folder)
                .into_iter()
                .filter(|(path, _)| path.extension().is_some_and(|e| e == "pcapng"))
                .map(|(path, meta)| (changed(&meta), path, meta.len()))
                .collect();
            files.sort();
            // A file begins where the one before ends, at most a day earlier.
            let mut from = None;
            for (last, path, len) in files {
                let start: Time = from.unwrap_or(last.plus(-DAY));
                if last < before && !pinned(start, last) && !is_written(&path) {
                    out.push((path, len));
                }
                from = Some(last);
            }
        }
        out
    }
}

impl Facts {
    /// Whether all that a day has of a kind is of days before that of an instant.
    fn is_before(&self, day: i32, before: Time, kept: Kept) -> bool {
        let before = midnight(before.day());
        let rows = |kept: Kept| self.newest[kept as usize].is_none_or(|newest| newest < before);
        match kept {
            Kept::Flows | Kept::Events if day == OTHER => rows(kept),
            Kept::Flows | Kept::Events => midnight(day) < before && rows(kept),
            // What belongs to rows: a corrected clock may carry those into a later day.
            _ => (day == OTHER || midnight(day) < before) && rows(Kept::Flows) && rows(Kept::Events),
        }
    }
    /// Start of its newest row; of a day without rows the day itself.
    fn last(&self, day: i32) -> Time {
        self.newest.into_iter().flatten().max().unwrap_or_else(|| midnight(day))
    }
    /// Rows and bytes that go; none: there is nothing of that.
    fn goes(&self, drop: &[bool; 4]) -> Option<(u64, u64)> {
        let (mut rows, mut bytes) = (0, 0);
        for ((more, less), _) in self.kinds.iter().zip(drop).filter(|(_, drop)| **drop).map(|(k, d)| ((k.1, k.0), d)) {
            (rows, bytes) = (rows + more, bytes + less);
        }
        let no_rows = Kept::ALL[..2].iter().all(|k| drop[*k as usize] || self.kinds[*k as usize].1 == 0);
        bytes += if no_rows { self.index } else { 0 };
        (bytes > 0).then_some((rows, bytes))
    }
}

fn entries(dir: &Path) -> Vec<(PathBuf, std::fs::Metadata)> {
    let all = std::fs::read_dir(dir).into_iter().flatten().flatten();
    all.filter_map(|e| Some((e.path(), e.metadata().ok()?))).collect()
}

/// Whether a capture writes this file now: it holds a lock on it for as long.
fn is_written(path: &Path) -> bool {
    File::open(path).is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

fn changed(meta: &std::fs::Metadata) -> Time {
    let since = meta.modified().ok().and_then(|t| t.duration_since(SystemTime::UNIX_EPOCH).ok()).unwrap_or_default();
    Time::from_parts(since.as_secs() as i64, since.subsec_nanos())
}

/// Bytes of all files below a directory, without the space set aside.
pub fn size_of(dir: &Path) -> u64 {
    let of = |(path, meta): (PathBuf, std::fs::Metadata)| match meta.is_dir() {
        true => size_of(&path),
        false if path.file_name().is_some_and(|n| n == "ballast") => 0,
        false => meta.len(),
    };
    entries(dir).into_iter().map(of).sum()
}
