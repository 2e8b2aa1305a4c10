//! The engine on the client's side of the socket. Rows that were given are not given again when the process that answered ended in the middle: the
//! next is asked for those after the last.

use super::ask::{Ask, State};
use super::client::{Broke, Client, Got};
use super::question::{Carried, Set};
use crate::context::by_hand::Sayings;
use crate::error::{Error, Result};
use crate::model::answer::{Cancel, Coverage, Fact, Linked, NameUsed, Why};
use crate::model::evidence::EvidenceInfo;
use crate::model::indicator::{Indicator, Over, Sightings};
use crate::model::packet::PacketRef;
use crate::model::site::{Home, Sites};
use crate::model::source::SourceInfo;
use crate::model::{Entity, EvidenceKey, FieldId, Origin, Record, RecordId, SourceId, Time, Value, Window};
use crate::query::engine::{Answered, AskedEnd, Bound, Count, Cursor, Engine, PacketBytes, Page, Passive, Raw, Table, Timeline};
use crate::query::sets;
use crate::query::{Order, Question, Sorted};
use ipnet::IpNet;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long the path of evidence is known for: a file that could not be read may have been read since, elsewhere.
const KNOWN: Duration = Duration::from_secs(2);

/// An engine that asks whoever holds the case.
pub struct RemoteEngine {
    client: Client,
    names: Mutex<HashMap<SourceId, String>>,
    paths: Mutex<HashMap<EvidenceKey, (Instant, String)>>,
}

impl RemoteEngine {
    /// Over a client.
    pub fn new(client: Client) -> RemoteEngine {
        RemoteEngine { client, names: Mutex::default(), paths: Mutex::default() }
    }
    fn carried(questions: &[Question]) -> Vec<Carried> {
        questions.iter().map(Carried::new).collect()
    }
    fn state(&self) -> State {
        self.client.quick(&Ask::State).unwrap_or_default()
    }
    /// Asks for rows until they have ended; `ask` is made anew with the last row that was given, if the connection was lost.
    fn rows(
        &self,
        cancel: &Cancel,
        ask: &mut dyn FnMut(Option<&Cursor>, usize) -> Option<Ask>,
        each: &mut dyn FnMut(Record) -> bool,
    ) -> Result<Answered> {
        let (mut last, mut given) = (None, 0usize);
        let begun = Instant::now();
        self.client.again(|link| {
            let Some(ask) = ask(last.as_ref(), given) else {
                let lost = Error::store("the process that holds the case ended while it answered");
                return Err(Broke::Failed(lost.hint("ask again")));
            };
            let mut call = link.begin(&ask, None)?;
            loop {
                match call.next(Some(cancel), None)? {
                    Got::Rows(bytes) => {
                        let mut rest = bytes.as_slice();
                        while !rest.is_empty() {
                            let (record, more): (Record, &[u8]) = postcard::take_from_bytes(rest)
                                .map_err(|e| Error::internal(format!("a row cannot be understood: {e}")))?;
                            rest = more;
                            last = Some(Cursor { time: record.time(), id: record.id });
                            given += 1;
                            if !each(record) {
                                return Ok(Answered { rows: given as u64, more: false, elapsed: nanos(begun) });
                            }
                        }
                    }
                    Got::Done(bytes) if matches!(ask, Ask::Visit(..)) => {
                        super::frame::take::<()>(&bytes)?;
                        return Ok(Answered { rows: given as u64, more: false, elapsed: nanos(begun) });
                    }
                    Got::Done(bytes) => {
                        let answered: Answered = super::frame::take(&bytes)?;
                        return Ok(Answered { rows: given as u64, ..answered });
                    }
                    Got::Failed(error) => return Err(error.into()),
                    Got::Piece(_) | Got::Note(_) => {}
                }
            }
        })
    }
}

fn nanos(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// The sets of a text that are files here: relative to this process's directory, read with its rights.
pub fn files(text: &str) -> Vec<(String, Set)> {
    let read = |name: String| sets::file(&name).map(|members| (name, Set::new(&members)));
    sets::named(text).into_iter().filter_map(read).collect()
}

impl Engine for RemoteEngine {
    fn compile(&self, text: &str) -> Result<Question> {
        self.client.call::<Carried>(&Ask::Compile(text.to_owned(), files(text)), None)?.question()
    }
    fn select(
        &self,
        question: &Question,
        page: &Page,
        cancel: &Cancel,
        each: &mut dyn FnMut(Record) -> bool,
    ) -> Result<Answered> {
        cancel.check()?;
        let carried = Carried::new(question);
        let mut ask = |last: Option<&Cursor>, given: usize| {
            let after = last.copied().or(page.after);
            let limit = if page.limit == usize::MAX { page.limit } else { page.limit.saturating_sub(given) };
            Some(Ask::Select(carried.clone(), Page { ascending: page.ascending, limit, after }))
        };
        self.rows(cancel, &mut ask, each)
    }
    fn visit(
        &self,
        question: &Question,
        fields: &[FieldId],
        cancel: &Cancel,
        each: &mut dyn FnMut(Record) -> bool,
    ) -> Result<()> {
        cancel.check()?;
        let carried = Carried::new(question);
        // Rows in no order cannot be gone on with.
        let mut ask = |_: Option<&Cursor>, given: usize| (given == 0).then(|| Ask::Visit(carried.clone(), fields.to_vec()));
        self.rows(cancel, &mut ask, each).map(|_| ())
    }
    fn counts(&self, questions: &[Question], limit: u64, cancel: &Cancel) -> Result<Vec<Count>> {
        self.client.call(&Ask::Counts(RemoteEngine::carried(questions), limit), Some(cancel))
    }
    fn table(&self, question: &Question, cancel: &Cancel) -> Result<Table> {
        self.client.call(&Ask::Table(Carried::new(question)), Some(cancel))
    }
    fn sorted(&self, question: &Question, order: &Order, limit: usize, cancel: &Cancel) -> Result<Sorted> {
        self.client.call(&Ask::Sorted(Carried::new(question), order.clone(), limit as u64), Some(cancel))
    }
    fn timeline(&self, question: &Question, bins: usize, weight: Option<FieldId>, cancel: &Cancel) -> Result<Timeline> {
        self.client.call(&Ask::Timeline(Carried::new(question), bins as u64, weight), Some(cancel))
    }
    fn values(&self, field: FieldId, prefix: &str, limit: usize, cancel: &Cancel) -> Result<Vec<(Value, u64)>> {
        self.client.call(&Ask::Values(field, prefix.to_owned(), limit as u64), Some(cancel))
    }
    fn passive(&self, question: &Question, cancel: &Cancel) -> Result<Passive> {
        self.client.call(&Ask::Passive(Carried::new(question)), Some(cancel))
    }
    fn record(&self, id: RecordId) -> Result<Option<Record>> {
        self.client.call(&Ask::Record(id), None)
    }
    fn packets_of(&self, flows: &[RecordId], cancel: &Cancel) -> Result<Vec<Vec<PacketRef>>> {
        self.client.call(&Ask::PacketsOf(flows.to_vec()), Some(cancel))
    }
    fn packet_bytes(&self, evidence: EvidenceKey, refs: &[PacketRef], cancel: &Cancel) -> Result<Vec<PacketBytes>> {
        self.client.call(&Ask::PacketBytes(evidence, refs.to_vec()), Some(cancel))
    }
    fn raw(&self, origin: Origin) -> Result<Raw> {
        self.client.call(&Ask::Raw(origin), None)
    }
    fn sources(&self) -> Vec<SourceInfo> {
        self.client.call(&Ask::Sources, None).unwrap_or_default()
    }
    fn measure_clocks(&self, source: Option<SourceId>, cancel: &Cancel) -> Result<Vec<SourceInfo>> {
        self.client.call(&Ask::MeasureClocks(source), Some(cancel))
    }
    fn evidence(&self) -> Vec<EvidenceInfo> {
        self.client.call(&Ask::Evidence, None).unwrap_or_default()
    }
    fn source_name(&self, id: SourceId) -> String {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(name) = names.get(&id) {
            return name.clone();
        }
        match self.client.quick::<String>(&Ask::SourceName(id)) {
            Ok(name) => {
                // What has no name yet may get one.
                if name != format!("source {}", id.0) {
                    names.insert(id, name.clone());
                }
                name
            }
            Err(_) => format!("source {}", id.0),
        }
    }
    fn evidence_path(&self, key: EvidenceKey) -> String {
        let mut paths = self.paths.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, path)) = paths.get(&key).filter(|(at, _)| at.elapsed() < KNOWN) {
            return path.clone();
        }
        let path = self.client.quick::<String>(&Ask::EvidencePath(key)).unwrap_or_else(|_| key.to_string());
        if path != key.to_string() {
            paths.insert(key, (Instant::now(), path.clone()));
        }
        path
    }
    fn span(&self) -> Option<Window> {
        self.client.quick(&Ask::Span).unwrap_or_default()
    }
    fn coverage(&self, window: &Window) -> Vec<Coverage> {
        self.client.call(&Ask::Coverage(*window), None).unwrap_or_default()
    }
    fn bindings(&self, wanted: &AskedEnd, cancel: &Cancel) -> Result<Bound> {
        self.client.call(&Ask::Bindings(*wanted), Some(cancel))
    }
    fn linked(&self, record: &Record, cancel: &Cancel) -> Result<Linked> {
        self.client.call(&Ask::Links(record.clone()), Some(cancel))
    }
    fn why(&self, record: &Record, other: RecordId, cancel: &Cancel) -> Result<Option<Why>> {
        self.client.call(&Ask::Why(record.clone(), other), Some(cancel))
    }
    fn name_used(&self, flow: &Record) -> Result<Option<NameUsed>> {
        self.client.call(&Ask::NameUsed(flow.clone()), None)
    }
    fn facts(&self, entity: &Entity, at: Option<Time>, cancel: &Cancel) -> Result<Vec<Fact>> {
        self.client.call(&Ask::Facts(entity.clone(), at), Some(cancel))
    }
    fn listed(&self, entity: &Entity, at: Option<Time>, cancel: &Cancel) -> Result<Vec<Fact>> {
        self.client.call(&Ask::Listed(entity.clone(), at), Some(cancel))
    }
    fn sweep(&self, indicators: &[Indicator], over: &Over<'_>, cancel: &Cancel) -> Result<Sightings> {
        let ask = Ask::Sweep(indicators.to_vec(), over.window, over.newer_than, over.imported_after.to_vec());
        self.client.call(&ask, Some(cancel))
    }
    fn sites(&self, cancel: &Cancel) -> Result<Sites> {
        self.client.call(&Ask::Sites, Some(cancel))
    }
    fn home(&self, cancel: &Cancel) -> Result<Home> {
        let (nets, guessed): (Vec<(IpAddr, u8)>, bool) = self.client.call(&Ask::Home, Some(cancel))?;
        Ok(Home::new(nets.into_iter().filter_map(|(addr, len)| IpNet::new(addr, len).ok()), guessed))
    }
    fn by_hand(&self, cancel: &Cancel) -> Result<Sayings> {
        self.client.call(&Ask::Sayings, Some(cancel))
    }
    fn sequence(&self) -> u64 {
        self.state().sequence
    }
    fn head_sequence(&self) -> u64 {
        self.state().head
    }
    fn changes_since(&self, question: &Question, sequence: u64, cancel: &Cancel) -> Result<u64> {
        self.client.call(&Ask::ChangesSince(Carried::new(question), sequence), Some(cancel))
    }
}
