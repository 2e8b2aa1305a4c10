//! The writing half of a live capture: a thread a capture that encodes rows and commits them in parts.

use crate::error::{Error, Result};
use crate::ingest::batch::Batch;
use crate::model::evidence::LIVE;
use crate::model::packet::PacketRef;
use crate::model::source::{Basis, Counts, SourceKey};
use crate::model::{Record, RecordId, SourceId};
use crate::store::{Done, Import, NewEvidence, SourceRead, Store};
use crossbeam_channel::{Receiver, Sender, bounded};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// Batches that may wait: bounds memory. Who waits for room makes the kernel's buffer fill, and what that drops is counted.
const WAITING: usize = 16;

/// One thing to write.
enum Item {
    /// A record; of the capture's own source, or of another one.
    Record(Record, Option<Arc<SourceKey>>),
    Packets(RecordId, Vec<PacketRef>),
}

enum Work {
    Items(Vec<Item>),
    Commit(Box<Part>),
}

/// What is said of a part when it is committed.
#[derive(Debug, Clone, Default)]
pub struct Part {
    /// Number of it, from 1.
    pub number: u64,
    /// What was read for it.
    pub counts: Counts,
    /// Bytes of the stream until its end.
    pub bytes: u64,
    /// What is to be said of the capture until its end.
    pub warnings: Vec<String>,
    /// It is committed even without rows: for what it says.
    pub last: bool,
    /// What was read of sources besides its own: of exporters whose datagrams it saw.
    pub others: Vec<(Arc<SourceKey>, Counts)>,
}

/// What the thread works for.
pub struct About {
    /// The case.
    pub store: Store,
    /// The capture's evidence; its size grows.
    pub evidence: NewEvidence,
    /// The source of all of its records.
    pub source: SourceKey,
    /// Its name, where the user gave one.
    pub rename: Option<String>,
    /// Custody: from whom, how, ticket.
    pub custody: [String; 3],
    /// How flows are made, as in [`Done::metered`].
    pub metered: [String; 2],
}

/// Gives rows to the thread.
pub struct Keep {
    to: Option<Sender<Work>>,
    batch: Batch<Item>,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    /// Number of the newest part that is committed.
    committed: AtomicU64,
    failed: Mutex<Option<Error>>,
}

impl Keep {
    /// Starts the thread.
    pub fn start(about: About) -> Result<Keep> {
        let (to, from) = bounded(WAITING);
        let shared = Arc::<Shared>::default();
        let own = Arc::clone(&shared);
        let work = move || {
            if let Err(e) = write(about, &from, &own.committed) {
                own.failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(e);
            }
        };
        let thread = std::thread::Builder::new().name("live writer".into()).spawn(work);
        let thread = thread.map_err(|e| Error::internal(format!("a thread cannot be started: {e}")))?;
        Ok(Keep { to: Some(to), batch: Batch::default(), shared, thread: Some(thread) })
    }
    /// Writes a record.
    pub fn record(&mut self, record: Record) {
        self.add(Item::Record(record, None), 0);
    }
    /// Writes a record of another source.
    pub fn record_of(&mut self, source: &Arc<SourceKey>, record: Record) {
        self.add(Item::Record(record, Some(Arc::clone(source))), 0);
    }
    /// Writes packet references of a flow.
    pub fn packets(&mut self, flow: RecordId, refs: &[PacketRef]) {
        if !refs.is_empty() {
            self.add(Item::Packets(flow, refs.to_vec()), refs.len());
        }
    }
    fn add(&mut self, item: Item, refs: usize) {
        if let Some(batch) = self.batch.add(item, refs) {
            self.give(Work::Items(batch));
        }
    }
    fn send(&mut self) {
        let batch = self.batch.take();
        if !batch.is_empty() {
            self.give(Work::Items(batch));
        }
    }
    fn give(&self, work: Work) {
        // A thread that gave up has said why.
        let _ = self.to.as_ref().map(|to| to.send(work));
    }
    /// Commits what was written until now.
    pub fn commit(&mut self, part: Part) {
        self.send();
        self.give(Work::Commit(Box::new(part)));
    }
    /// Number of the newest part that is committed.
    pub fn committed(&self) -> u64 {
        self.shared.committed.load(Ordering::Acquire)
    }
    /// Why the thread gave up; none: it goes on.
    pub fn failed(&self) -> Option<Error> {
        let thread = self.thread.as_ref().is_some_and(JoinHandle::is_finished);
        let said = self.shared.failed.lock().unwrap_or_else(PoisonError::into_inner).clone();
        said.or_else(|| thread.then(|| Error::internal("the writing thread panicked")))
    }
    /// Waits until all is written.
    pub fn end(mut self) -> Result<()> {
        self.send();
        self.to = None;
        if self.thread.take().is_some_and(|t| t.join().is_err()) {
            return Err(Error::internal("the writing thread panicked"));
        }
        self.shared.failed.lock().unwrap_or_else(PoisonError::into_inner).take().map_or(Ok(()), Err)
    }
}

fn write(mut about: About, from: &Receiver<Work>, committed: &AtomicU64) -> Result<()> {
    let mut open: Option<(Import, SourceId)> = None;
    // Numbers of other sources, as far as the open part knows them.
    let mut others: HashMap<Arc<SourceKey>, SourceId> = HashMap::new();
    let begin = |about: &About| -> Result<(Import, SourceId)> {
        let mut import = about.store.go_on(&about.evidence)?;
        let source = import.source(&about.source, about.rename.as_deref())?;
        Ok((import, source))
    };
    while let Ok(work) = from.recv() {
        match work {
            Work::Items(items) => {
                let (import, source) = match &mut open {
                    Some(open) => open,
                    none => none.insert(begin(&about)?),
                };
                for item in items {
                    match item {
                        Item::Record(mut record, of) => {
                            record.source = match of {
                                None => *source,
                                Some(key) => match others.get(&key) {
                                    Some(id) => *id,
                                    None => {
                                        let id = import.source(&key, None)?;
                                        others.insert(key, id);
                                        id
                                    }
                                },
                            };
                            import.push(record)?;
                        }
                        Item::Packets(flow, refs) => import.packets(flow, *source, &refs)?,
                    }
                }
            }
            Work::Commit(part) => {
                about.evidence.size = part.bytes;
                let (import, source) = match open.take() {
                    Some(open) => open,
                    None if part.last => begin(&about)?,
                    None => continue,
                };
                let mut done = done(&about, source, &part);
                for (key, counts) in &part.others {
                    let Some(source) = others.get(key) else { continue };
                    done.clocks.push(read(*source, *counts, Vec::new()));
                }
                others.clear();
                match part.last {
                    // From the same moment on nothing is shown that is not committed.
                    true => import.finish_publishing(done, Vec::new())?,
                    false => import.finish(done)?,
                };
                committed.store(part.number, Ordering::Release);
            }
        }
    }
    Ok(())
}

fn read(source: SourceId, counts: Counts, warnings: Vec<String>) -> SourceRead {
    SourceRead { source, zone: None, basis: Basis::Stated, year: None, dates: None, counts, warnings }
}

fn done(about: &About, source: SourceId, part: &Part) -> Done {
    let of_others: u64 = part.others.iter().map(|(_, counts)| counts.records).sum();
    let own = Counts { records: part.counts.records.saturating_sub(of_others), ..part.counts };
    let read = read(source, own, part.warnings.clone());
    Done {
        format: LIVE.to_owned(),
        counts: part.counts,
        warnings: part.warnings.clone(),
        custody: about.custody.clone(),
        text_end: part.bytes,
        clocks: vec![read],
        metered: about.metered.clone(),
        ..Done::default()
    }
}
