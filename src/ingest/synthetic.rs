//! Fills a case with flows that nobody sent ([`crate::model::synthetic`]): one import per day of them, as from a meter that was never read from a file.

use crate::error::{Error, Result};
use crate::model::source::{Counts, SourceKey};
use crate::model::synthetic::{Flows, Shape};
use crate::model::{EvidenceKey, Record, SourceId, Time};
use crate::store::{Begin, Done, Import, NewEvidence, Store};

/// Flows that are ready at a time.
pub const READY: usize = 64_000;

fn key() -> SourceKey {
    SourceKey { format: "pcap".into(), sensor: "synthetic".into() }
}

/// Gives batches of at most [`READY`] flows, each with the day (since 1970) on which its flows end.
pub fn batches(shape: Shape, source: SourceId, each: &mut dyn FnMut(i32, Vec<Record>) -> Result<()>) -> Result<()> {
    let mut batch = Vec::with_capacity(READY);
    let mut of = i32::MIN;
    for flow in Flows::new(shape) {
        let day = flow.end().day();
        if (day != of || batch.len() == READY) && !batch.is_empty() {
            each(of, std::mem::replace(&mut batch, Vec::with_capacity(READY)))?;
        }
        of = day;
        batch.push(flow.record(EvidenceKey(day as u64), source));
    }
    if batch.is_empty() { Ok(()) } else { each(of, batch) }
}

/// Days that are being written into a case, one after the other.
pub struct Filler<'a> {
    store: &'a Store,
    import: Option<Day>,
}

/// The day that is being written.
struct Day {
    day: i32,
    import: Import,
    source: SourceId,
    records: u64,
}

impl<'a> Filler<'a> {
    /// Into a case that has no such days yet.
    pub fn new(store: &'a Store) -> Filler<'a> {
        Filler { store, import: None }
    }
    /// The source that all flows have.
    ///
    /// # Errors
    /// As [`Store::begin`]; a day that is in the case already.
    pub fn source(&mut self, day: i32) -> Result<SourceId> {
        match &self.import {
            Some(open) if open.day == day => Ok(open.source),
            _ => self.begin(day),
        }
    }
    fn begin(&mut self, day: i32) -> Result<SourceId> {
        self.end()?;
        let path = format!("/synthetic/{day}");
        let new = NewEvidence { key: EvidenceKey(day as u64), path, size: 0, modified: Time(0), head_hash: [day as u8; 32] };
        let Begin::Fresh(mut import) = self.store.begin(&new)? else {
            return Err(Error::user("the case has these days already")
                .at_path(&self.store.dir())
                .hint("--case DIR of a new one"));
        };
        let source = import.source(&key(), None)?;
        self.import = Some(Day { day, import: *import, source, records: 0 });
        Ok(source)
    }
    /// Takes flows that end on a day; days come in order.
    ///
    /// # Errors
    /// As [`Import::push`].
    pub fn push(&mut self, day: i32, batch: Vec<Record>) -> Result<()> {
        self.source(day)?;
        if let Some(open) = &mut self.import {
            open.records += batch.len() as u64;
            for record in batch {
                open.import.push(record)?;
            }
        }
        Ok(())
    }
    /// Ends the day that is open.
    ///
    /// # Errors
    /// As [`Import::finish`].
    pub fn end(&mut self) -> Result<()> {
        let Some(open) = self.import.take() else { return Ok(()) };
        let counts = Counts { ok: open.records, records: open.records, ..Counts::default() };
        open.import.finish(Done { format: key().format, counts, ..Done::default() })?;
        Ok(())
    }
}

/// Fills a case; `said` is told the flows that were taken so far.
///
/// # Errors
/// As [`Filler::push`] and [`Filler::end`].
pub fn fill(store: &Store, shape: Shape, said: &mut dyn FnMut(u64)) -> Result<u64> {
    let mut filler = Filler::new(store);
    let first = shape.from.day();
    let source = filler.source(first)?;
    let mut flows = 0;
    batches(shape, source, &mut |day, batch| {
        flows += batch.len() as u64;
        filler.push(day, batch)?;
        said(flows);
        Ok(())
    })?;
    filler.end()?;
    Ok(flows)
}
