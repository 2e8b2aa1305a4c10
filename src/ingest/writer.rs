//! The second half of the pipeline: batches of records go to a thread that encodes and writes them.

use super::batch::Batch;
use super::sanity::{self, Sample};
use super::sanity_overlap::{self, Reach};
use crate::error::{Error, Result};
use crate::model::flow::Flow;
use crate::model::packet::PacketRef;
use crate::model::record::Record;
use crate::model::source::{Counts, SourceId, SourceKey};
use crate::model::{RecordId, Time, Window};
use crate::store::Import;
use crossbeam_channel::{Receiver, Sender, bounded};
use std::collections::HashMap;
use std::thread::{Scope, ScopedJoinHandle};

/// Batches that may wait: bounds memory.
const WAITING: usize = 8;

/// One thing to write. Sources are named by a number of this import, which the writer turns into the case's.
enum Item {
    Source(SourceKey),
    Record(Record),
    Flow(Box<Flow>, SourceId),
    Packets(RecordId, SourceId, Vec<PacketRef>),
}

/// Takes records on the decoding thread. `SourceId`s given out here are local to the import until the writer maps them.
pub struct Writer {
    to: Sender<Vec<Item>>,
    batch: Batch<Item>,
    sources: HashMap<SourceKey, SourceId>,
    rename: Option<String>,
    /// Units and records, per local source.
    pub counts: Vec<Counts>,
    /// Span of the records (raw times).
    pub span: Option<Window>,
    failed: bool,
}

/// What the writing thread gives back.
pub struct Written {
    /// The import, to be finished.
    pub import: Import,
    /// The case's number of each local source.
    pub sources: Vec<SourceId>,
    /// Which records the case has already, or has recorded from elsewhere, in words.
    pub copied: Option<String>,
}

impl Writer {
    /// Starts the writing thread.
    pub fn start<'scope>(
        scope: &'scope Scope<'scope, '_>,
        import: Import,
        rename: Option<String>,
    ) -> (Writer, ScopedJoinHandle<'scope, Result<Written>>) {
        let (to, from) = bounded(WAITING);
        let name = rename.clone();
        let handle = scope.spawn(move || write(import, &from, name.as_deref()));
        let writer = Writer {
            to,
            batch: Batch::default(),
            sources: HashMap::new(),
            rename,
            counts: Vec::new(),
            span: None,
            failed: false,
        };
        (writer, handle)
    }

    /// The local number of a source.
    pub fn source(&mut self, format: &str, sensor: &str) -> SourceId {
        let sensor = self.rename.as_deref().unwrap_or(sensor);
        let key = SourceKey { format: format.to_owned(), sensor: sensor.to_owned() };
        if let Some(id) = self.sources.get(&key) {
            return *id;
        }
        let id = SourceId(self.counts.len() as u32);
        self.counts.push(Counts::default());
        self.sources.insert(key.clone(), id);
        self.add(Item::Source(key), 0);
        id
    }

    /// Counters of a local source.
    pub fn count(&mut self, source: SourceId) -> &mut Counts {
        let at = (source.0 as usize).min(self.counts.len().saturating_sub(1));
        if self.counts.is_empty() {
            self.counts.push(Counts::default());
        }
        &mut self.counts[at]
    }

    /// Writes a record whose source is a local number.
    pub fn push(&mut self, mut record: Record) {
        self.note_times(&mut record.start, &mut record.end);
        let counts = self.count(record.source);
        if record.kind == crate::model::Kind::Oddity {
            counts.oddities += 1;
        }
        counts.records += 1;
        self.add(Item::Record(record), 0);
    }

    /// Writes a flow, of a source by its local number; it becomes a record on the writing thread.
    pub fn flow(&mut self, mut flow: Flow, source: SourceId) {
        self.note_times(&mut flow.start, &mut flow.end);
        self.count(source).records += 1;
        self.add(Item::Flow(Box::new(flow), source), 0);
    }

    fn note_times(&mut self, start: &mut Time, end: &mut Time) {
        // Beyond the calendar times saturate; the very end is outside of every window, so a record stands just before it.
        let last = Time(i64::MAX - 1);
        (*start, *end) = ((*start).min(last), (*end).min(last));
        // A window ends behind its last instant.
        let behind = end.plus(1);
        let span = self.span.get_or_insert(Window::new(*start, behind));
        span.start = span.start.min(*start);
        span.end = span.end.max(behind);
    }

    /// Writes a flow's packet references.
    pub fn packets(&mut self, flow: RecordId, source: SourceId, refs: &[PacketRef]) {
        self.add(Item::Packets(flow, source, refs.to_vec()), refs.len());
    }

    fn add(&mut self, item: Item, refs: usize) {
        if let Some(batch) = self.batch.add(item, refs) {
            self.failed |= self.to.send(batch).is_err();
        }
    }

    /// Whether the writing thread gave up: then there is no use in reading on.
    pub fn has_failed(&self) -> bool {
        self.failed
    }

    /// Sends what is left, and gives the counts and the span.
    pub fn end(mut self) -> (Vec<Counts>, Option<Window>) {
        self.failed |= self.to.send(self.batch.take()).is_err();
        (self.counts, self.span)
    }
}

fn write(mut import: Import, from: &Receiver<Vec<Item>>, rename: Option<&str>) -> Result<Written> {
    let mut sources: Vec<SourceId> = Vec::new();
    let mut format = String::new();
    let mut sample = Sample::default();
    let mut reach = Reach::default();
    let of = |sources: &[SourceId], local: SourceId| {
        sources.get(local.0 as usize).copied().ok_or_else(|| Error::internal("a record of a source that was not named"))
    };
    while let Ok(batch) = from.recv() {
        for item in batch {
            let mut record = match item {
                Item::Source(key) => {
                    sources.push(import.source(&key, rename)?);
                    format = key.format;
                    continue;
                }
                Item::Packets(flow, source, refs) => {
                    import.packets(flow, of(&sources, source)?, &refs)?;
                    continue;
                }
                Item::Flow(flow, source) => flow.into_record(source),
                Item::Record(record) => record,
            };
            record.source = of(&sources, record.source)?;
            sample.add(&record);
            reach.add(&record);
            import.push(record)?;
        }
    }
    // What takes the place of older rows is the same as those.
    let copied = match import.is_replacing() {
        true => None,
        false => sanity::copies(import.store(), &format, &sample)
            .or_else(|| sanity_overlap::overlap(import.store(), &format, import.key(), &reach)),
    };
    Ok(Written { import, sources, copied })
}
