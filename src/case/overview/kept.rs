//! What the overview needs of single records, gathered once and kept beside the case: failed flows and denies by hour; hosts of one's own, their
//! services and outside names with when each was first there and how often on each day. What of a window is not whole hours or whole days is read
//! from the records, so that the answer is that of the records.
//!
//! The file is derived: lost, it costs one reading of the case.

use super::{Asking, HOUR, Which};
use crate::case::findings::{rests_on_world, write};
use crate::detectors::contributions::FAILED;
use crate::detectors::curves::DENIES;
use crate::error::Result;
use crate::model::decision::Decision;
use crate::model::field;
use crate::model::site::Home;
use crate::model::time::DAY;
use crate::model::{Cancel, FieldId, Record, Time, Value, Window};
use crate::query::Engine;
use crate::query::engine::Timeline;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::path::Path;

/// Name of the file in the case.
pub const FILE: &str = "overview.bin";
/// Bytes from which on such a file is not ours.
const MOST: u64 = 256 << 20;
/// Version of what is kept.
const VERSION: u32 = 1;
/// Hosts, services or names beyond which there is no table of them: the records are asked instead.
const KEYS: usize = 500_000;
/// Days of all of them, likewise.
const DAYS: usize = 6_000_000;
/// Values of one record that count, as where they are grouped by a question.
const VALUES: usize = 64;

/// Flows that a service took.
pub(super) const ACCEPTED: &str = "kind = flow and state in {S1, SF, S2, S3, RSTO, RSTR}";
/// Where names are used.
pub(super) const USES: [(&str, &str, FieldId); 3] =
    [("dns", "name", field::NAME), ("tls", "sni", field::SNI), ("http", "http.host", field::HTTP_HOST)];

/// What can be new.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(super) enum Key {
    /// A host of one's own that begins flows.
    Host(IpAddr),
    /// A service of one's own that takes flows: host, protocol, port.
    Service(IpAddr, u64, u64),
    /// An outside name.
    Name(Box<str>),
}

/// What there is a table of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Table {
    Hosts,
    Services,
    Names,
}

impl Table {
    /// The questions whose records have its keys.
    fn questions(self) -> Vec<String> {
        match self {
            Table::Hosts => vec!["kind = flow".into()],
            Table::Services => vec![ACCEPTED.into()],
            Table::Names => USES.iter().map(|(kind, name, _)| format!("kind = {kind} and exists {name}")).collect(),
        }
    }
    fn fields(self) -> &'static [FieldId] {
        match self {
            Table::Hosts => &[field::SRC_IP],
            Table::Services => &[field::DST_IP, field::PROTO, field::DST_PORT],
            Table::Names => &[field::NAME, field::SNI, field::HTTP_HOST],
        }
    }
    /// The keys of a record of one of its questions, by the number of that.
    fn keys(self, question: usize, record: &Record, home: &Home, each: &mut dyn FnMut(Key)) {
        match self {
            Table::Hosts => record.addr(field::SRC_IP).filter(|a| home.has(*a)).map(Key::Host).into_iter().for_each(each),
            Table::Services => {
                if let (Some(addr), Some(proto), Some(port)) =
                    (record.addr(field::DST_IP), record.uint(field::PROTO), record.uint(field::DST_PORT))
                    && home.has(addr)
                {
                    each(Key::Service(addr, proto, port));
                }
            }
            Table::Names => {
                let Some((_, _, id)) = USES.get(question) else { return };
                let mut seen: Vec<&Value> = Vec::new();
                for value in record.all(*id).take(if *id == field::NAME { VALUES } else { 1 }) {
                    if !seen.contains(&value) {
                        seen.push(value);
                        super::outside(&value.to_string()).into_iter().for_each(|n| each(Key::Name(n.into())));
                    }
                }
            }
        }
    }
}

/// When something was there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Seen {
    /// Its first record.
    first: Time,
    /// Days since 1970 with how many records began on each, in order.
    days: Vec<(i32, u64)>,
}

/// By key; none: there are too many.
type Seens = Option<Vec<(Key, Seen)>>;

/// What is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    version: u32,
    /// Number of the newest import that is in it.
    sequence: u64,
    /// What it rests on besides records.
    rests: String,
    /// By number of the hour.
    failed: BTreeMap<i64, u64>,
    denies: BTreeMap<i64, u64>,
    hosts: Seens,
    services: Seens,
    names: Seens,
}

/// Something that was not there before.
pub(super) struct Fresh {
    pub(super) key: Key,
    pub(super) first: Time,
    /// Records in the window.
    pub(super) count: u64,
}

/// As kept if nothing has changed since, else gathered and kept. None: a capture runs, whose newest records would not be in it.
pub fn kept(engine: &dyn Engine, dir: &Path, decisions: &[Decision], cancel: &Cancel) -> Result<Option<Kept>> {
    if engine.head_sequence() > 0 {
        return Ok(None);
    }
    let rests = rests_on_world(engine, decisions, cancel)?;
    let sequence = engine.sequence();
    let fits = |k: &Kept| k.version == VERSION && k.sequence == sequence && k.rests == rests;
    if let Some(kept) = read(dir).filter(fits) {
        return Ok(Some(kept));
    }
    let kept = Kept { version: VERSION, sequence, rests, ..gather(engine, cancel)? };
    // What came meanwhile may be in it or not.
    if engine.sequence() != sequence || engine.head_sequence() > 0 {
        return Ok(None);
    }
    // Who may not write here gathers it again next time.
    if let Ok(body) = postcard::to_stdvec(&kept) {
        let mut bytes = crc32c::crc32c(&body).to_le_bytes().to_vec();
        bytes.extend(body);
        let _ = write(dir, FILE, &bytes);
    }
    Ok(Some(kept))
}

fn read(dir: &Path) -> Option<Kept> {
    let path = dir.join(FILE);
    if path.metadata().ok()?.len() > MOST {
        return None;
    }
    let bytes = std::fs::read(path).ok()?;
    let (sum, body) = bytes.split_first_chunk::<4>()?;
    if crc32c::crc32c(body) == u32::from_le_bytes(*sum) { postcard::from_bytes(body).ok() } else { None }
}

/// A table that is being gathered.
struct Gather {
    seen: HashMap<Key, Seen, foldhash::fast::RandomState>,
    days: usize,
    full: bool,
}

impl Gather {
    fn new() -> Gather {
        Gather { seen: HashMap::default(), days: 0, full: false }
    }
    fn take(&mut self, key: Key, at: Time) {
        if self.full {
            return;
        }
        let day = at.day();
        let seen = self.seen.entry(key).or_insert_with(|| Seen { first: at, days: Vec::new() });
        seen.first = seen.first.min(at);
        match seen.days.binary_search_by_key(&day, |d| d.0) {
            Ok(n) => seen.days[n].1 += 1,
            Err(n) => {
                seen.days.insert(n, (day, 1));
                self.days += 1;
            }
        }
        if self.seen.len() > KEYS || self.days > DAYS {
            *self = Gather { full: true, ..Gather::new() };
        }
    }
    fn finish(self) -> Seens {
        let mut out: Vec<(Key, Seen)> = self.seen.into_iter().collect();
        out.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        (!self.full).then_some(out)
    }
}

/// Reads the records: flows once, what firewalls denied, what names names.
fn gather(engine: &dyn Engine, cancel: &Cancel) -> Result<Kept> {
    let home = engine.home(cancel)?;
    let (mut out, mut hosts, mut services) = (Kept::default(), Gather::new(), Gather::new());
    let (failed, accepted) = (engine.compile(FAILED)?.filter, engine.compile(ACCEPTED)?.filter);
    let mut fields = Table::Hosts.fields().to_vec();
    fields.extend(Table::Services.fields());
    fields.push(field::STATE);
    engine.visit(&engine.compile("kind = flow")?, &fields, cancel, &mut |record| {
        let at = record.time();
        Table::Hosts.keys(0, &record, &home, &mut |key| hosts.take(key, at));
        if failed.matches(&record, &|_| None) {
            *out.failed.entry(at.0.div_euclid(HOUR)).or_default() += 1;
        }
        if accepted.matches(&record, &|_| None) {
            Table::Services.keys(0, &record, &home, &mut |key| services.take(key, at));
        }
        true
    })?;
    (out.hosts, out.services) = (hosts.finish(), services.finish());
    engine.visit(&engine.compile(DENIES)?, &[], cancel, &mut |record| {
        *out.denies.entry(record.time().0.div_euclid(HOUR)).or_default() += 1;
        true
    })?;
    let mut names = Gather::new();
    for (n, question) in Table::Names.questions().iter().enumerate() {
        engine.visit(&engine.compile(question)?, Table::Names.fields(), cancel, &mut |record| {
            let at = record.time();
            Table::Names.keys(n, &record, &home, &mut |key| names.take(key, at));
            true
        })?;
    }
    out.names = names.finish();
    cancel.check()?;
    Ok(out)
}

impl Kept {
    /// The sums by number of the hour of a curve whose sums the store does not keep.
    pub(super) fn hours(&self, which: Which) -> Option<&BTreeMap<i64, u64>> {
        match which {
            Which::Failed => Some(&self.failed),
            Which::Denies => Some(&self.denies),
            _ => None,
        }
    }
    /// A curve over a window that is within the case, if its bins are whole hours: the hours inside from what is kept, what sticks out from the records.
    pub(super) fn timeline(&self, which: Which, asking: &Asking<'_>, window: &Window, most: usize) -> Result<Option<Timeline>> {
        let (Some(hours), Some(span)) = (self.hours(which), asking.engine.span()) else { return Ok(None) };
        let mut line = Timeline::over(window, most);
        // What began before the window counts with its first bin: that hour is read. Before the case begins there is nothing.
        let from = window.start.0.div_euclid(HOUR) + i64::from(window.start > span.start);
        let until = window.end.0.div_euclid(HOUR) + i64::from(window.end >= span.end);
        if line.bin <= 0 || line.bin % HOUR != 0 || from >= until {
            return Ok(None);
        }
        let at = |hour: i64| Time(hour.saturating_mul(HOUR));
        for (hour, n) in hours.range(from..until) {
            line.add(at(*hour), *n as f64);
        }
        let mut edge = |part: Window, least: Time| -> Result<()> {
            if part.start >= part.end {
                return Ok(());
            }
            let question = asking.question(which.conditions(), "", &part)?;
            asking.engine.visit(&question, &[], asking.cancel, &mut |record| {
                if record.time() >= least {
                    line.add(record.time(), 1.0);
                }
                true
            })
        };
        if window.start > span.start {
            edge(Window::new(window.start, at(from)), Time::MIN)?;
        }
        if window.end < span.end {
            edge(Window::new(at(until), window.end), at(until))?;
        }
        Ok(Some(line))
    }
    /// What is in a window and was not there before it, those with most records first. None: there is no such table.
    pub(super) fn fresh(&self, table: Table, asking: &Asking<'_>, after: &Window) -> Result<Option<Vec<Fresh>>> {
        let seens = match table {
            Table::Hosts => &self.hosts,
            Table::Services => &self.services,
            Table::Names => &self.names,
        };
        let (Some(seens), Some(span)) = (seens, asking.engine.span()) else { return Ok(None) };
        // Of the day in which the window ends only what began before its end counts.
        let midnight = Time(i64::from(after.end.day()).saturating_mul(DAY));
        let cut = after.end < span.end && midnight < after.end;
        let until = if after.end >= span.end { i32::MAX } else { after.end.day() };
        let mut out = Vec::new();
        for (key, seen) in seens.iter().filter(|(_, s)| s.first >= after.start && s.first < after.end) {
            let count = seen.days.iter().filter(|d| d.0 < until).map(|d| d.1).sum();
            out.push(Fresh { key: key.clone(), first: seen.first, count });
        }
        if cut && !out.is_empty() {
            let counts = self.between(table, asking, &Window::new(midnight, after.end))?;
            out.iter_mut().for_each(|f| f.count += counts.get(&f.key).copied().unwrap_or(0));
        }
        out.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.key.cmp(&b.key)));
        Ok(Some(out))
    }
    /// How many records that begin in a window have each key.
    fn between(&self, table: Table, asking: &Asking<'_>, window: &Window) -> Result<HashMap<Key, u64>> {
        let home = asking.engine.home(asking.cancel)?;
        let mut out: HashMap<Key, u64> = HashMap::new();
        for (n, text) in table.questions().iter().enumerate() {
            let question = asking.question(text, "", window)?;
            asking.engine.visit(&question, table.fields(), asking.cancel, &mut |record| {
                if record.time() >= window.start {
                    table.keys(n, &record, &home, &mut |key| *out.entry(key).or_default() += 1);
                }
                true
            })?;
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests;
