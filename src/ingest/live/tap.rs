//! One interface that is captured: its packets through a meter of its own, its rows to its writing thread.

use super::keep::{Keep, Part};
use super::publish::Change;
use crate::error::Error;
use crate::flow::{Meter, Sink};
use crate::ingest::capture::{FIRST_ORDINAL, warnings};
use crate::ingest::exports::{Carrier, Taker};
use crate::ingest::sanity;
use crate::model::flow::Flow;
use crate::model::live::{Drops, LiveSource, NONE_DROPPED, Traffic};
use crate::model::packet::{Packet, PacketRef};
use crate::model::source::{Counts, SourceKey};
use crate::model::time::SECOND;
use crate::model::{Kind, Oddity, Record, RecordId, SourceId, Time, Window};
use crate::protocols::Carried;
use crate::sources::missed::Missed;
use crate::store::{NewEvidence, Store, now};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Open flows that are shown anew a second, of one capture: what making so many costs is a tenth of a second.
const OPEN: usize = 50_000;
/// Rows that fill a block well enough to be committed early.
const ROWS: u64 = 4096;
/// Longest time that a row waits to be committed: small parts make questions slow.
const LONGEST: Duration = Duration::from_secs(60);
/// How far behind the time of a statistic packets may still come: the kernel hands over blocks a tenth of a second late at most.
const LATE: i64 = SECOND;

/// A capture of one interface.
pub struct Tap {
    /// Its evidence.
    pub evidence: NewEvidence,
    /// How it does.
    pub status: LiveSource,
    /// Packets and oddities of it go on.
    pub running: bool,
    /// What ended it, where nobody asked it to.
    pub error: Option<Error>,
    /// What its capture program said.
    pub notes: Vec<String>,
    meter: Meter,
    rows: Rows,
    /// What passed: packets, bytes on the wire.
    total: Traffic,
    received: u64,
    /// End of the stream as far as it was read.
    bytes: u64,
    began: Instant,
    /// When the first row that is not committed came.
    waiting: Option<Instant>,
}

/// Takes what the meter gives.
struct Rows {
    keep: Keep,
    source: SourceId,
    evidence: crate::model::EvidenceKey,
    /// Of the part that is being filled, and of all.
    part: Counts,
    all: Counts,
    number: u64,
    span: Option<Window>,
    /// Rows that were not published, each with its part; none: nobody wants them.
    fresh: Option<Vec<(u64, Record)>>,
    last_offset: u64,
    ordinal: u16,
    store: Store,
    /// What exporters sent, once there is any; their sources, with what was counted of each for the part.
    carrier: Option<Carrier>,
    exporters: HashMap<(&'static str, String), Exporter>,
    name: String,
}

/// An exporter's source.
struct Exporter {
    id: SourceId,
    key: Arc<SourceKey>,
    part: Counts,
}

impl Rows {
    /// The source of an exporter. `None`: the case cannot take it; its rows are of the capture's own.
    fn exporter(&mut self, format: &'static str, sensor: &str) -> Option<&mut Exporter> {
        let of = (format, sensor.to_owned());
        if !self.exporters.contains_key(&of) {
            let key = SourceKey { format: format.to_owned(), sensor: sensor.to_owned() };
            let id = self.store.source_for(&key, None).ok()?;
            self.exporters.insert(of.clone(), Exporter { id, key: Arc::new(key), part: Counts::default() });
        }
        self.exporters.get_mut(&of)
    }
    fn push(&mut self, mut record: Record) {
        record.source = self.source;
        self.note(&record);
        self.keep.record(record);
    }
    /// Counts a record, and has it shown.
    fn note(&mut self, record: &Record) {
        self.part.records += 1;
        self.part.oddities += u64::from(record.kind == Kind::Oddity);
        let end = record.end.plus(1);
        let span = self.span.get_or_insert(Window::new(record.start, end));
        *span = Window::new(span.start.min(record.start), span.end.max(end));
        if let Some(fresh) = &mut self.fresh {
            fresh.push((self.number, record.clone()));
        }
    }
    fn odd(&mut self, oddity: &Oddity, at: Time, offset: u64) {
        self.ordinal = if offset == self.last_offset { self.ordinal.saturating_add(1) } else { FIRST_ORDINAL };
        self.last_offset = offset;
        let id = RecordId { evidence: self.evidence, offset, ordinal: self.ordinal };
        self.push(Record::oddity(oddity, id, self.source, at));
    }
}

impl Taker for Rows {
    fn record(&mut self, format: &'static str, sensor: &str, mut record: Record) {
        let Some(exporter) = self.exporter(format, sensor) else { return self.push(record) };
        exporter.part.records += 1;
        let key = Arc::clone(&exporter.key);
        record.source = exporter.id;
        self.note(&record);
        self.keep.record_of(&key, record);
    }
    fn odd(&mut self, oddity: &Oddity, at: Time, offset: u64) {
        Rows::odd(self, oddity, at, offset);
    }
    fn count(&mut self, format: &'static str, sensor: &str, counts: Counts) {
        if let Some(exporter) = self.exporter(format, sensor) {
            exporter.part.add(&counts);
        }
    }
}

impl Sink for Rows {
    fn carried(&mut self, carried: &Carried, from: IpAddr, _: u32) {
        let mut carrier = self.carrier.take().unwrap_or_else(|| Carrier::new(self.evidence, &self.name));
        carrier.take(carried, from, self);
        self.carrier = Some(carrier);
    }
    fn flow(&mut self, flow: Flow, packets: &[PacketRef], _: u32) {
        self.keep.packets(flow.id, packets);
        self.push(flow.into_record(self.source));
    }
    fn packets(&mut self, flow: RecordId, packets: &[PacketRef], _: u32) {
        self.keep.packets(flow, packets);
    }
    fn event(&mut self, record: Record, _: u32) {
        self.push(record);
    }
    fn oddity(&mut self, oddity: Oddity, at: Time, offset: u64, _: u32) {
        self.odd(&oddity, at, offset);
    }
}

impl Tap {
    /// Of an interface that is open.
    pub fn new(
        name: &str,
        store: &Store,
        evidence: NewEvidence,
        source: SourceId,
        meter: Meter,
        keep: Keep,
        publishes: bool,
    ) -> Tap {
        let rows = Rows {
            keep,
            source,
            evidence: evidence.key,
            part: Counts::default(),
            all: Counts::default(),
            number: 1,
            span: None,
            fresh: publishes.then(Vec::new),
            last_offset: u64::MAX,
            ordinal: 0,
            store: store.clone(),
            carrier: None,
            exporters: HashMap::new(),
            name: name.to_owned(),
        };
        let mut status = LiveSource::new(name);
        status.source = Some(source);
        Tap {
            evidence,
            status,
            running: true,
            error: None,
            notes: Vec::new(),
            meter,
            rows,
            total: Traffic::default(),
            received: 0,
            bytes: 0,
            began: Instant::now(),
            waiting: None,
        }
    }
    /// Takes a packet; `kept`: it is in the ring.
    pub fn packet(&mut self, packet: &Packet<'_>, kept: bool) {
        self.total.packets += 1;
        self.total.bytes = self.total.bytes.saturating_add(u64::from(packet.wire_len));
        self.bytes = packet.offset.saturating_add(packet.data.len() as u64 + 32);
        self.rows.part.ok += 1;
        self.meter.keep_refs(kept);
        self.meter.packet(packet, &mut self.rows);
    }
    /// Takes what was counted, and with it how far time went on.
    pub fn counted(&mut self, said: &Missed) {
        self.received = said.received.unwrap_or(self.received).max(self.received);
        let late = said.late.min(said.dropped);
        self.status.drops = Drops {
            kernel: said.dropped.saturating_sub(said.by_interface).saturating_sub(late),
            interface: said.by_interface,
            pipeline: late,
        };
        if let Some(at) = said.at {
            self.meter.advance(at.plus(-LATE), &mut self.rows);
        }
    }
    /// Takes something malformed of the stream.
    pub fn odd(&mut self, oddity: &Oddity, offset: u64) {
        self.rows.odd(oddity, now(), offset);
    }
    /// Measures how it does.
    pub fn measure(&mut self, at: Time) {
        self.total.flows = self.meter.stats().flows;
        self.status.open = self.meter.live() as u64;
        self.status.measure(self.total, at);
    }
    /// Ends every flow that is open.
    pub fn finish(&mut self) {
        self.meter.finish(&mut self.rows);
        if let Some(mut carrier) = self.rows.carrier.take() {
            carrier.end(&mut self.rows);
            self.rows.carrier = Some(carrier);
        }
    }
    /// What changed since the last call, to be shown.
    pub fn change(&mut self, capture: usize) -> Change {
        let source = self.rows.source;
        let closed = self.rows.fresh.as_mut().map(std::mem::take).unwrap_or_default();
        let mut open = Vec::new();
        if self.rows.fresh.is_some() {
            self.meter.open_flows(OPEN, &mut |flow, _| open.push(flow.into_record(source)));
        }
        Change { capture, open, closed, committed: self.rows.keep.committed() }
    }
    /// Commits the rows if they have waited long enough. `soon`: the time after which they have, while a capture is young or they are many.
    pub fn commit_if_due(&mut self, soon: Duration) {
        if self.rows.part.records == 0 {
            return;
        }
        let waited = self.waiting.get_or_insert_with(Instant::now).elapsed();
        let early = self.began.elapsed() < LONGEST || self.rows.part.records >= ROWS;
        if waited >= LONGEST.max(soon) || (early && waited >= soon) {
            self.commit(false);
        }
    }
    /// Commits what is there. `last`: nothing comes after.
    pub fn commit(&mut self, last: bool) {
        let warnings = self.warnings();
        let rows = &mut self.rows;
        let counts = std::mem::take(&mut rows.part);
        rows.all.add(&counts);
        let others = rows.exporters.values_mut().filter(|e| e.part != Counts::default());
        let others = others.map(|e| (Arc::clone(&e.key), std::mem::take(&mut e.part))).collect();
        rows.keep.commit(Part { number: rows.number, counts, bytes: self.bytes, warnings, last, others });
        rows.number += 1;
        self.waiting = None;
    }
    /// Why rows cannot be written any more.
    pub fn failed(&self) -> Option<Error> {
        self.rows.keep.failed()
    }
    /// What is to be said of it until now; what was counted first.
    pub fn warnings(&self) -> Vec<String> {
        let drops = self.status.drops;
        let (name, received) = (&self.status.name, self.received.max(self.total.packets));
        let dropped = match drops == Drops::default() {
            true => NONE_DROPPED.to_owned(),
            false => format!(
                "dropped: {} by the interface, {} by the kernel, {} because the case was behind",
                drops.interface, drops.kernel, drops.pipeline
            ),
        };
        let mut out = vec![format!("live on {name}: {received} packets came; {dropped}")];
        let stats = self.meter.stats();
        out.extend(warnings(stats));
        out.extend(sanity::cut(stats.cut, stats.packets, 0));
        out.extend(sanity::offload(&self.meter.senders()));
        out.extend(self.rows.carrier.iter().flat_map(Carrier::warnings));
        out
    }
    /// Counts of all that was read, and the span of the records.
    pub fn counts(&self) -> (Counts, Option<Window>) {
        let mut all = self.rows.all;
        all.add(&self.rows.part);
        (all, self.rows.span)
    }
    /// Waits until all is written.
    pub fn end(self) -> crate::error::Result<()> {
        self.rows.keep.end()
    }
}
