//! The captures of a finished case once more, as if they were seen now: what they gave is published while it is under way and committed from
//! time to time, as a running capture does it. For showing and testing what a running capture looks like, with no network and no rights.

use super::background::Feeder;
use crate::error::Result;
use crate::model::live::{LiveSource, Traffic};
use crate::model::source::SourceKey;
use crate::model::time::SECOND;
use crate::model::{FieldId, Filter, Kind, LiveStatus, Record, SourceId, Time, Value, field};
use crate::store::{Ask, Done, NewEvidence, SourceRead, Store};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How often what has changed is published.
const PUBLISH: Duration = Duration::from_millis(500);
/// How often what has ended is committed.
const COMMIT: Duration = Duration::from_secs(5);
/// How often it is looked whether to stop.
const LOOK: Duration = Duration::from_millis(20);
/// Counters that grow while a flow goes on.
const GROWING: [FieldId; 6] =
    [field::PACKETS_OUT, field::PACKETS_IN, field::BYTES_OUT, field::BYTES_IN, field::PAYLOAD_OUT, field::PAYLOAD_IN];

/// What was seen by the captures of a case, in order of time.
pub struct Tape {
    captures: Vec<Captured>,
    /// Of every record, in order: hours in which nothing happens are passed over.
    starts: Vec<Time>,
    last: Time,
}

/// What one capture saw.
struct Captured {
    evidence: NewEvidence,
    format: String,
    sources: BTreeMap<SourceId, SourceKey>,
    /// By start.
    records: Vec<Record>,
}

impl Tape {
    /// Of every capture of a case.
    pub fn of(store: &Store) -> Result<Tape> {
        let snapshot = store.snapshot();
        let named: BTreeMap<SourceId, SourceKey> = snapshot.sources().into_iter().map(|s| (s.id, s.key)).collect();
        let is_capture = |id: &SourceId| named.get(id).is_some_and(|key| key.format == "pcap");
        let mut captures: Vec<Captured> = Vec::new();
        for info in snapshot.evidence().into_iter().filter(|e| e.sources.iter().any(is_capture)) {
            let head_hash = [0; 32];
            captures.push(Captured {
                evidence: NewEvidence { key: info.key, path: info.path, size: info.size, modified: info.imported, head_hash },
                format: info.format,
                sources: info.sources.iter().filter_map(|id| Some((*id, named.get(id)?.clone()))).collect(),
                records: Vec::new(),
            });
        }
        snapshot.select(&Ask { every_sighting: true, ..Ask::new(&Filter::All) }, &|| false, &mut |mut record| {
            (record.shift, record.seen_by) = (0, Vec::new());
            if let Some(capture) = captures.iter_mut().find(|c| c.evidence.key == record.id.evidence) {
                capture.records.push(record);
            }
            true
        })?;
        captures.iter_mut().for_each(|c| c.records.sort_by_key(|r| (r.start, r.id)));
        let all = || captures.iter().flat_map(|c| &c.records);
        let mut starts: Vec<Time> = all().map(|r| r.start).collect();
        starts.sort_unstable();
        let last = all().map(|r| r.end).max().unwrap_or(Time(0));
        Ok(Tape { captures, starts, last })
    }
    /// Plays it into a case within `takes`, or until it is asked to stop: then what is under way ends as it is.
    pub fn play(self, store: &Store, feeder: &Feeder, takes: Duration) -> Result<String> {
        let (begun, stop) = (Instant::now(), feeder.stop());
        let mut heads = Vec::new();
        for capture in self.captures {
            heads.push(Head::begin(store, capture)?);
        }
        let mut status =
            LiveStatus { sources: heads.iter().map(|h| LiveSource::new(h.name.clone())).collect(), ..LiveStatus::default() };
        let mut committed = Instant::now();
        loop {
            let passed = begun.elapsed().as_secs_f64() / takes.as_secs_f64().max(0.001);
            let over = passed >= 1.0 || stop();
            let now = self.starts.get((self.starts.len() as f64 * passed) as usize).copied().unwrap_or(self.last);
            let due = over || committed.elapsed() >= COMMIT;
            for (head, shown) in heads.iter_mut().zip(&mut status.sources) {
                head.go_on(now);
                if due {
                    head.commit(store, over)?;
                } else {
                    store.publish(&head.of.evidence, head.shown())?;
                }
                head.tell(shown, Time(i64::try_from(begun.elapsed().as_nanos()).unwrap_or(i64::MAX)));
            }
            feeder.tell(status.clone());
            if over {
                break;
            }
            if due {
                committed = Instant::now();
            }
            let until = Instant::now() + PUBLISH;
            while Instant::now() < until && !stop() {
                std::thread::sleep(LOOK);
            }
        }
        let total = status.total();
        Ok(format!("{} packets, {} flows", total.packets, total.flows))
    }
}

/// How far one capture has been played.
struct Head {
    of: Captured,
    name: String,
    source: Option<SourceId>,
    now: Time,
    /// Records that have begun.
    begun: usize,
    /// Of those, by number, the flows that have not ended.
    open: Vec<usize>,
    /// Of those the ones that have ended and are not committed.
    ended: Vec<usize>,
    total: Traffic,
}

impl Head {
    fn begin(store: &Store, mut of: Captured) -> Result<Head> {
        let mut import = store.go_on(&of.evidence)?;
        let mut numbers: BTreeMap<SourceId, SourceId> = BTreeMap::new();
        for (old, key) in &of.sources {
            numbers.insert(*old, import.source(key, None)?);
        }
        for record in &mut of.records {
            record.source = numbers.get(&record.source).copied().unwrap_or(record.source);
        }
        let name = std::path::Path::new(&of.evidence.path).file_name().map(|n| n.to_string_lossy().into_owned());
        let (name, source, now) = (name.unwrap_or_default(), numbers.values().next().copied(), Time::MIN);
        Ok(Head { of, name, source, now, begun: 0, open: Vec::new(), ended: Vec::new(), total: Traffic::default() })
    }
    /// Goes on to a time.
    fn go_on(&mut self, now: Time) {
        self.now = now;
        let records = &self.of.records;
        while let Some(record) = records.get(self.begun).filter(|r| r.start <= now) {
            self.total.flows += u64::from(record.kind == Kind::Flow);
            self.open.push(self.begun);
            self.begun += 1;
        }
        let (ended, open): (Vec<usize>, Vec<usize>) = self.open.iter().partition(|n| records[**n].end <= now);
        self.open = open;
        self.ended.extend(ended);
    }
    /// What is seen of it that is not committed.
    fn shown(&self) -> Vec<Record> {
        let open = self.open.iter().map(|n| so_far(&self.of.records[*n], self.now, true));
        open.chain(self.ended.iter().map(|n| self.of.records[*n].clone())).collect()
    }
    /// Commits what has ended; with `all`, what has not ends as it is.
    fn commit(&mut self, store: &Store, all: bool) -> Result<()> {
        if all {
            self.ended.append(&mut self.open);
        }
        if self.ended.is_empty() {
            store.publish(&self.of.evidence, self.shown())?;
            return Ok(());
        }
        let mut import = store.go_on(&self.of.evidence)?;
        for key in self.of.sources.values() {
            import.source(key, None)?;
        }
        for n in std::mem::take(&mut self.ended) {
            import.push(so_far(&self.of.records[n], self.now, false))?;
        }
        let clock = |source| SourceRead {
            source,
            zone: None,
            basis: crate::model::source::Basis::Stated,
            year: None,
            dates: None,
            counts: crate::model::source::Counts { records: import.records(), ..Default::default() },
            warnings: Vec::new(),
        };
        let done =
            Done { format: self.of.format.clone(), clocks: self.source.map(clock).into_iter().collect(), ..Done::default() };
        let head = self.shown();
        import.finish_publishing(done, head)?;
        Ok(())
    }
    fn tell(&mut self, shown: &mut LiveSource, at: Time) {
        let begun = self.of.records[..self.begun].iter().filter(|r| r.kind == Kind::Flow);
        let mut total = Traffic { flows: self.total.flows, ..Traffic::default() };
        for flow in begun {
            let part = |id: FieldId| flow.uint(id).map_or(0, |n| share(n, flow, self.now));
            total.packets += part(field::PACKETS_OUT) + part(field::PACKETS_IN);
            total.bytes += part(field::BYTES_OUT) + part(field::BYTES_IN);
        }
        (shown.source, shown.open) = (self.source, self.open.len() as u64);
        shown.measure(total, at);
    }
}

/// How much of a number had come by a time, if it came evenly.
fn share(n: u64, of: &Record, now: Time) -> u64 {
    let (length, passed) = (of.end.since(of.start), now.since(of.start));
    if passed >= length {
        return n;
    }
    let part = u128::from(n) * u128::from(passed.max(0).unsigned_abs()) / u128::from(length.max(1).unsigned_abs());
    u64::try_from(part).unwrap_or(u64::MAX).max(u64::from(n > 0))
}

/// A record as it was at a time.
fn so_far(record: &Record, now: Time, open: bool) -> Record {
    let mut out = record.clone();
    if record.end <= now || record.kind != Kind::Flow {
        return out;
    }
    for (id, value) in &mut out.fields {
        if let (true, Some(n)) = (GROWING.contains(id), value.as_uint()) {
            *value = Value::Uint(share(n, record, now));
        }
    }
    out.end = now;
    // What is said at the end of a flow only.
    out.fields.retain(|(id, _)| !matches!(*id, field::END_REASON | field::HISTORY | field::OPEN));
    if out.uint(field::PROTO) == Some(6) && now.since(out.start) > SECOND / 10 {
        out.fields.retain(|(id, _)| *id != field::STATE);
        out.set(field::STATE, "S1");
    }
    if open {
        out.set(field::OPEN, Value::Bool(true));
    }
    out
}
