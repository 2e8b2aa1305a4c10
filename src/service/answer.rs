//! A request -> its answer, as the engine and the journal of the process that holds the case give it.

use super::ask::{Ask, State};
use super::connection::{PIECE, Reply};
use super::frame::{self, kind};
use super::question::Carried;
use crate::case::Keeper;
use crate::error::{Error, Result};
use crate::model::indicator::Over;
use crate::model::record::Record;
use crate::query::engine::Engine;
use crate::query::{LocalEngine, Question};
use serde::Serialize;
use std::collections::HashMap;
use std::sync::Arc;

/// The frame that ends an answer, with its head.
pub(super) type Body = Vec<u8>;

/// Rows in one frame, at most. It begins with one and doubles: of rows that are found slowly at least half are on their way.
const ROWS: usize = 4096;

/// The frame with an answer.
pub(super) fn body<T: Serialize + ?Sized>(reply: &Reply, value: &T) -> Result<Body> {
    let mut out = frame::begin(kind::DONE, reply.id);
    frame::put(value, &mut out)?;
    Ok(out)
}

/// Gathers rows and sends them.
struct Rows<'a> {
    reply: &'a Reply,
    frame: Vec<u8>,
    rows: usize,
    most: usize,
    failed: Option<Error>,
}

impl<'a> Rows<'a> {
    fn new(reply: &'a Reply) -> Rows<'a> {
        Rows { reply, frame: frame::begin(kind::ROWS, reply.id), rows: 0, most: 1, failed: None }
    }
    fn add(&mut self, record: &Record) -> bool {
        let whole = self.frame.len();
        if let Err(error) = frame::put(record, &mut self.frame) {
            self.frame.truncate(whole);
            self.failed = Some(error);
            return false;
        }
        self.rows += 1;
        if self.rows < self.most && self.frame.len() < PIECE {
            return !self.reply.cancel().is_cancelled();
        }
        self.most = (self.most * 2).min(ROWS);
        self.flush()
    }
    fn flush(&mut self) -> bool {
        if self.rows == 0 {
            return true;
        }
        self.rows = 0;
        self.reply.part(std::mem::replace(&mut self.frame, frame::begin(kind::ROWS, self.reply.id)))
    }
    /// Sends what is left; an error if a row could not be sent or nobody wants them.
    fn end(mut self) -> Result<()> {
        self.flush();
        self.failed.map_or_else(|| self.reply.cancel().check(), Err)
    }
}

fn questions(all: Vec<Carried>) -> Result<Vec<Question>> {
    all.into_iter().map(Carried::question).collect()
}

fn size(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

/// What may have changed.
pub(super) fn state(engine: &LocalEngine) -> State {
    State {
        sequence: engine.sequence(),
        head: engine.head_sequence(),
        decisions: engine.store().journal().decisions().len() as u64,
        capture: None,
    }
}

/// Answers a request that is not long.
pub(super) fn answer(ask: Ask, reply: &Reply) -> Result<Body> {
    let engine: &LocalEngine = &reply.conn.shared.engine;
    let keeper = &reply.conn.keeper;
    let cancel = reply.cancel();
    match ask {
        Ask::Compile(text, files) => {
            let files: HashMap<String, _> = files.into_iter().map(|(name, set)| (name, Arc::new(set.members()))).collect();
            body(reply, &Carried::new(&engine.compile_with(&text, &|name| files.get(name).cloned())?))
        }
        Ask::Select(question, page) => {
            let mut rows = Rows::new(reply);
            let answered = engine.select(&question.question()?, &page, cancel, &mut |record| rows.add(&record))?;
            rows.end()?;
            body(reply, &answered)
        }
        Ask::Visit(question, fields) => {
            let mut rows = Rows::new(reply);
            engine.visit(&question.question()?, &fields, cancel, &mut |record| rows.add(&record))?;
            rows.end()?;
            body(reply, &())
        }
        Ask::Counts(all, limit) => body(reply, &engine.counts(&questions(all)?, limit, cancel)?),
        Ask::Table(question) => body(reply, &engine.table(&question.question()?, cancel)?),
        Ask::Sorted(question, order, limit) => body(reply, &engine.sorted(&question.question()?, &order, size(limit), cancel)?),
        Ask::Timeline(question, bins, weight) => {
            body(reply, &engine.timeline(&question.question()?, size(bins), weight, cancel)?)
        }
        Ask::Values(field, prefix, limit) => body(reply, &engine.values(field, &prefix, size(limit), cancel)?),
        Ask::Passive(question) => body(reply, &engine.passive(&question.question()?, cancel)?),
        Ask::Record(id) => body(reply, &engine.record(id)?),
        Ask::PacketsOf(flows) => body(reply, &engine.packets_of(&flows, cancel)?),
        Ask::PacketBytes(evidence, refs) => body(reply, &engine.packet_bytes(evidence, &refs, cancel)?),
        Ask::Raw(origin) => body(reply, &engine.raw(origin)?),
        Ask::Sources => body(reply, &engine.sources()),
        Ask::MeasureClocks(source) => body(reply, &engine.measure_clocks(source, cancel)?),
        Ask::Evidence => body(reply, &engine.evidence()),
        Ask::SourceName(id) => body(reply, &engine.source_name(id)),
        Ask::EvidencePath(key) => body(reply, &engine.evidence_path(key)),
        Ask::Span => body(reply, &engine.span()),
        Ask::Coverage(window) => body(reply, &engine.coverage(&window)),
        Ask::Bindings(wanted) => body(reply, &engine.bindings(&wanted, cancel)?),
        Ask::Links(record) => body(reply, &engine.linked(&record, cancel)?),
        Ask::Why(record, other) => body(reply, &engine.why(&record, other, cancel)?),
        Ask::NameUsed(flow) => body(reply, &engine.name_used(&flow)?),
        Ask::Listed(entity, at) => body(reply, &engine.listed(&entity, at, cancel)?),
        Ask::Facts(entity, at) => body(reply, &engine.facts(&entity, at, cancel)?),
        Ask::Sweep(indicators, window, newer_than, imported_after) => {
            let over = Over { window, newer_than, imported_after: &imported_after };
            body(reply, &engine.sweep(&indicators, &over, cancel)?)
        }
        Ask::Sites => body(reply, &engine.sites(cancel)?),
        Ask::Home => {
            let home = engine.home(cancel)?;
            let nets: Vec<_> = home.members().nets.iter().map(|net| (net.addr(), net.prefix_len())).collect();
            body(reply, &(nets, home.guessed))
        }
        Ask::Sayings => body(reply, &engine.by_hand(cancel)?),
        Ask::ChangesSince(question, sequence) => body(reply, &engine.changes_since(&question.question()?, sequence, cancel)?),
        Ask::State => body(reply, &state(engine)),
        Ask::Append(mark, what) => {
            let what = serde_json::from_str(&what).map_err(|e| Error::input(format!("a decision cannot be understood: {e}")))?;
            let decision = keeper.append_once(what, &mark)?;
            reply.conn.shared.news();
            body(reply, &json(&decision)?)
        }
        Ask::Decisions(after) => {
            let all = keeper.decisions();
            // Who knows of more than there are knows of another journal: it gets all of this one.
            let after = if after > all.len() as u64 { 0 } else { size(after) };
            body(reply, &(after as u64, json(&all[after..])?))
        }
        Ask::SavePlace(place) => body(reply, &keeper.save_place(&place)?),
        Ask::KeepText(text) => body(reply, &keeper.keep_text(&text)?),
        Ask::KeptText(name) => body(reply, &keeper.kept_text(&name)),
        Ask::Place => body(reply, &keeper.place()),
        Ask::Sizes => body(reply, &engine.store().sizes()?),
        Ask::Import(_) | Ask::Capture(..) | Ask::Watch | Ask::Verify(_) | Ask::Prune(..) | Ask::ImportExport(_) => {
            Err(Error::internal("a long request came to the short ones"))
        }
    }
}

fn json<T: Serialize + ?Sized>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|e| Error::internal(format!("a decision cannot be sent: {e}")))
}
