//! An engine that asks twice, a store here and the same store through the socket, and fails where the answers differ: whatever test asks it tests
//! both.

use backtrail::context::by_hand::Sayings;
use backtrail::error::Result;
use backtrail::model::indicator::{Indicator, Over, Sightings};
use backtrail::model::packet::PacketRef;
use backtrail::model::site::{Home, Sites};
use backtrail::model::source::SourceInfo;
use backtrail::model::{Entity, EvidenceKey, FieldId, Origin, Record, RecordId, SourceId, Time, Value, Window};
use backtrail::query::engine::*;
use backtrail::query::known::Known;
use backtrail::query::{Engine, LocalEngine, Order, Question, Sorted};
use backtrail::service::question::Carried;
use backtrail::service::{Client, RemoteEngine, Serving};
use backtrail::store::{Snapshot, Store};
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

/// Both engines over one store.
pub struct Both {
    pub local: Arc<LocalEngine>,
    pub remote: RemoteEngine,
    pub client: Client,
    _serving: Serving,
}

fn same<T: Debug>(local: T, remote: T) -> T {
    assert_eq!(format!("{local:?}"), format!("{remote:?}"), "here and through the socket");
    local
}

impl Both {
    pub fn new(store: Store) -> Both {
        let local = Arc::new(LocalEngine::new(store.clone(), Box::new(Known::default())));
        let serving = Serving::start(Arc::clone(&local), false).unwrap();
        let client = Client::reach(&store.dir(), None, Duration::from_secs(10)).unwrap();
        Both { local, remote: RemoteEngine::new(client.clone()), client, _serving: serving }
    }
    pub fn store(&self) -> &Store {
        self.local.store()
    }
    pub fn view(&self, cancel: &Cancel) -> Result<Arc<Snapshot>> {
        self.local.view(cancel)
    }
}

impl Engine for Both {
    fn compile(&self, text: &str) -> Result<Question> {
        let (local, remote) = (self.local.compile(text), self.remote.compile(text));
        same(local.as_ref().map(Carried::new), remote.as_ref().map(Carried::new)).ok();
        local
    }
    fn select(
        &self,
        question: &Question,
        page: &Page,
        cancel: &Cancel,
        each: &mut dyn FnMut(Record) -> bool,
    ) -> Result<Answered> {
        let mut given = Vec::new();
        let local = self.local.select(question, page, cancel, &mut |record| {
            given.push(record.clone());
            each(record)
        });
        let mut here = given.iter();
        let (mut more, most) = (0, given.len());
        let remote = self.remote.select(question, page, cancel, &mut |record| {
            more += 1;
            assert_eq!(Some(&record), here.next(), "here and through the socket: {}", question.text);
            more < most
        });
        assert_eq!(more, most, "here and through the socket: {}", question.text);
        let without_time = |a: &Answered| (a.rows, a.more);
        // Who stops at the last row that it wants does not know whether there are more.
        match (&local, &remote) {
            (Ok(local), Ok(remote)) => assert_eq!(local.rows, remote.rows),
            _ => drop(same(local.as_ref().map(without_time), remote.as_ref().map(without_time))),
        }
        local
    }
    fn visit(
        &self,
        question: &Question,
        fields: &[FieldId],
        cancel: &Cancel,
        each: &mut dyn FnMut(Record) -> bool,
    ) -> Result<()> {
        let (mut a, mut b) = (Vec::new(), Vec::new());
        let local = self.local.visit(question, fields, cancel, &mut |record| {
            a.push(format!("{record:?}"));
            each(record)
        });
        let whole = local.is_ok();
        self.remote.visit(question, fields, cancel, &mut |record| {
            b.push(format!("{record:?}"));
            true
        })?;
        if whole && a.len() == b.len() {
            a.sort_unstable();
            b.sort_unstable();
            assert_eq!(a, b);
        } else {
            assert!(a.len() <= b.len());
        }
        local
    }
    fn counts(&self, questions: &[Question], limit: u64, cancel: &Cancel) -> Result<Vec<Count>> {
        same(self.local.counts(questions, limit, cancel), self.remote.counts(questions, limit, cancel))
    }
    fn table(&self, question: &Question, cancel: &Cancel) -> Result<Table> {
        same(self.local.table(question, cancel), self.remote.table(question, cancel))
    }
    fn sorted(&self, question: &Question, order: &Order, limit: usize, cancel: &Cancel) -> Result<Sorted> {
        same(self.local.sorted(question, order, limit, cancel), self.remote.sorted(question, order, limit, cancel))
    }
    fn timeline(&self, question: &Question, bins: usize, weight: Option<FieldId>, cancel: &Cancel) -> Result<Timeline> {
        same(self.local.timeline(question, bins, weight, cancel), self.remote.timeline(question, bins, weight, cancel))
    }
    fn values(&self, field: FieldId, prefix: &str, limit: usize, cancel: &Cancel) -> Result<Vec<(Value, u64)>> {
        same(self.local.values(field, prefix, limit, cancel), self.remote.values(field, prefix, limit, cancel))
    }
    fn passive(&self, question: &Question, cancel: &Cancel) -> Result<Passive> {
        same(self.local.passive(question, cancel), self.remote.passive(question, cancel))
    }
    fn record(&self, id: RecordId) -> Result<Option<Record>> {
        same(self.local.record(id), self.remote.record(id))
    }
    fn packets_of(&self, flows: &[RecordId], cancel: &Cancel) -> Result<Vec<Vec<PacketRef>>> {
        same(self.local.packets_of(flows, cancel), self.remote.packets_of(flows, cancel))
    }
    fn packet_bytes(&self, evidence: EvidenceKey, refs: &[PacketRef], cancel: &Cancel) -> Result<Vec<PacketBytes>> {
        same(self.local.packet_bytes(evidence, refs, cancel), self.remote.packet_bytes(evidence, refs, cancel))
    }
    fn raw(&self, origin: Origin) -> Result<Raw> {
        same(self.local.raw(origin), self.remote.raw(origin))
    }
    fn sources(&self) -> Vec<SourceInfo> {
        same(self.local.sources(), self.remote.sources())
    }
    fn measure_clocks(&self, source: Option<SourceId>, cancel: &Cancel) -> Result<Vec<SourceInfo>> {
        same(self.local.measure_clocks(source, cancel), self.remote.measure_clocks(source, cancel))
    }
    fn evidence(&self) -> Vec<EvidenceInfo> {
        same(self.local.evidence(), self.remote.evidence())
    }
    fn source_name(&self, id: SourceId) -> String {
        same(self.local.source_name(id), self.remote.source_name(id))
    }
    fn evidence_path(&self, key: EvidenceKey) -> String {
        same(self.local.evidence_path(key), self.remote.evidence_path(key))
    }
    fn span(&self) -> Option<Window> {
        same(self.local.span(), self.remote.span())
    }
    fn coverage(&self, window: &Window) -> Vec<Coverage> {
        same(self.local.coverage(window), self.remote.coverage(window))
    }
    fn bindings(&self, wanted: &AskedEnd, cancel: &Cancel) -> Result<Bound> {
        same(self.local.bindings(wanted, cancel), self.remote.bindings(wanted, cancel))
    }
    fn linked(&self, record: &Record, cancel: &Cancel) -> Result<Linked> {
        same(self.local.linked(record, cancel), self.remote.linked(record, cancel))
    }
    fn why(&self, record: &Record, other: RecordId, cancel: &Cancel) -> Result<Option<Why>> {
        same(self.local.why(record, other, cancel), self.remote.why(record, other, cancel))
    }
    fn name_used(&self, flow: &Record) -> Result<Option<NameUsed>> {
        same(self.local.name_used(flow), self.remote.name_used(flow))
    }
    fn facts(&self, entity: &Entity, at: Option<Time>, cancel: &Cancel) -> Result<Vec<Fact>> {
        same(self.local.facts(entity, at, cancel), self.remote.facts(entity, at, cancel))
    }
    fn sweep(&self, indicators: &[Indicator], over: &Over<'_>, cancel: &Cancel) -> Result<Sightings> {
        same(self.local.sweep(indicators, over, cancel), self.remote.sweep(indicators, over, cancel))
    }
    fn sites(&self, cancel: &Cancel) -> Result<Sites> {
        same(self.local.sites(cancel), self.remote.sites(cancel))
    }
    fn by_hand(&self, cancel: &Cancel) -> Result<Sayings> {
        same(self.local.by_hand(cancel), self.remote.by_hand(cancel))
    }
    fn home(&self, cancel: &Cancel) -> Result<Home> {
        let (local, remote) = (self.local.home(cancel), self.remote.home(cancel));
        let shown = |home: &Home| (home.members().nets.clone(), home.guessed);
        same(local.as_ref().map(shown), remote.as_ref().map(shown)).ok();
        local
    }
    fn sequence(&self) -> u64 {
        same(self.local.sequence(), self.remote.sequence())
    }
    fn head_sequence(&self) -> u64 {
        same(self.local.head_sequence(), self.remote.head_sequence())
    }
    fn changes_since(&self, question: &Question, sequence: u64, cancel: &Cancel) -> Result<u64> {
        same(self.local.changes_since(question, sequence, cancel), self.remote.changes_since(question, sequence, cancel))
    }
}
