//! A small case for the tests of links and context: records by source, imported as one file each.

use crate::model::source::{Basis, SourceKey};
use crate::model::{EvidenceKey, FieldId, Kind, Record, RecordId, SourceId, Time, Value, field};
use crate::store::{Begin, Done, NewEvidence, OpenOptions, Reserve, Snapshot, SourceRead, Store};
use std::net::SocketAddr;
use std::sync::Arc;

/// Sources, and the records that they will have.
pub(crate) struct World {
    _dir: tempfile::TempDir,
    store: Store,
    keys: Vec<(SourceKey, Basis)>,
    records: Vec<Record>,
    imported: u64,
}

impl World {
    pub(crate) fn new() -> World {
        let dir = tempfile::tempdir().unwrap();
        let reserve = Reserve { percent: 0, bytes: 0 };
        let options = OpenOptions { create: true, reserve, ballast: 0, forget: true, ..OpenOptions::default() };
        let store = Store::open(&dir.path().join("case"), &options).unwrap();
        World { _dir: dir, store, keys: Vec::new(), records: Vec::new(), imported: 0 }
    }
    /// The store that they go into.
    pub(crate) fn store(&self) -> &Store {
        &self.store
    }
    /// A source; numbers are given in this order.
    pub(crate) fn source(&mut self, format: &str, sensor: &str) -> SourceId {
        self.source_with(format, sensor, Basis::Stated)
    }
    /// A source whose zone came about in a way.
    pub(crate) fn source_with(&mut self, format: &str, sensor: &str, basis: Basis) -> SourceId {
        self.keys.push((SourceKey { format: format.into(), sensor: sensor.into() }, basis));
        SourceId(self.keys.len() as u32)
    }
    /// A record at milliseconds, with fields.
    pub(crate) fn record(&mut self, source: SourceId, kind: Kind, start: i64, end: i64, fields: &[(FieldId, Value)]) -> RecordId {
        let id = RecordId { evidence: EvidenceKey(self.imported + 1), offset: self.records.len() as u64 * 10, ordinal: 0 };
        let mut record = Record::new(kind, id, source, Time(start * 1_000_000));
        record.end = Time(end * 1_000_000);
        for (f, v) in fields {
            record.set(*f, v.clone());
        }
        self.records.push(record);
        id
    }
    /// The fields of a TCP connection between two ends.
    pub(crate) fn ends(src: &str, dst: &str) -> Vec<(FieldId, Value)> {
        let (src, dst): (SocketAddr, SocketAddr) = (src.parse().unwrap(), dst.parse().unwrap());
        vec![
            (field::SRC_IP, Value::Addr(src.ip())),
            (field::SRC_PORT, Value::Uint(u64::from(src.port()))),
            (field::DST_IP, Value::Addr(dst.ip())),
            (field::DST_PORT, Value::Uint(u64::from(dst.port()))),
            (field::PROTO, Value::Uint(6)),
        ]
    }
    /// A flow at milliseconds.
    pub(crate) fn flow(&mut self, source: SourceId, start: i64, end: i64, src: &str, dst: &str) -> RecordId {
        self.record(source, Kind::Flow, start, end, &World::ends(src, dst))
    }
    /// A DNS answer at milliseconds.
    pub(crate) fn answer(&mut self, source: SourceId, at: i64, client: &str, name: &str, addr: &str, ttl: u64) -> RecordId {
        let fields = [
            (field::SRC_IP, Value::Addr(client.parse().unwrap())),
            (field::NAME, Value::from(name)),
            (field::ANSWER_IP, Value::Addr(addr.parse().unwrap())),
            (field::DNS_TTL, Value::Uint(ttl)),
        ];
        self.record(source, Kind::Dns, at, at, &fields)
    }
    /// Imports what was added since the last time, and gives the case as it is.
    pub(crate) fn snapshot(&mut self) -> Arc<Snapshot> {
        self.imported += 1;
        let key = EvidenceKey(self.imported);
        let new =
            NewEvidence { key, path: format!("/e/{}", key.0), size: 1, modified: Time(0), head_hash: [self.imported as u8; 32] };
        let Begin::Fresh(mut import) = self.store.begin(&new).unwrap() else { unreachable!() };
        let mut clocks = Vec::new();
        for (key, basis) in &self.keys {
            let source = import.source(key, None).unwrap();
            let read = SourceRead {
                source,
                zone: None,
                basis: *basis,
                year: None,
                dates: None,
                counts: crate::model::source::Counts::default(),
                warnings: Vec::new(),
            };
            clocks.push(read);
        }
        for record in self.records.drain(..) {
            import.push(record).unwrap();
        }
        import.finish(Done { clocks, ..Done::default() }).unwrap();
        self.store.snapshot()
    }
}
