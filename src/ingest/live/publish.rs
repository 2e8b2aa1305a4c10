//! What questions are shown of a running capture before it is committed: flows that have not ended, and what has ended or happened since. Gathered in a
//! thread of its own, so that showing much never makes the capture wait.

use crate::error::{Error, Result};
use crate::ingest::background::Feeder;
use crate::model::{EvidenceKey, Record, RecordId};
use crate::store::{NewEvidence, Store};
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use std::collections::{HashMap, HashSet};
use std::thread::JoinHandle;

/// Changes that may wait; a publication that takes longer gets them together.
const WAITING: usize = 4;
/// Open flows of a capture that are shown: those that changed last.
const SHOWN: usize = 200_000;

/// Who shows rows that are not committed.
pub trait Publish: Send {
    /// Shows these rows of evidence in place of those shown of it before: of flows that have not ended the field `open` is set.
    fn publish(&mut self, evidence: &NewEvidence, rows: Vec<Record>) -> Result<()>;
    /// Shows none of its rows any more: all of them are committed.
    fn withdraw(&mut self, evidence: EvidenceKey);
}

/// Shows rows in the live head of a case, and wakes whoever looks at it.
pub struct InHead {
    /// The case.
    pub store: Store,
    /// Who is woken.
    pub feeder: Feeder,
}

impl Publish for InHead {
    fn publish(&mut self, evidence: &NewEvidence, rows: Vec<Record>) -> Result<()> {
        self.store.publish(evidence, rows)?;
        self.feeder.wake();
        Ok(())
    }
    fn withdraw(&mut self, evidence: EvidenceKey) {
        self.store.withdraw(evidence);
        self.feeder.wake();
    }
}

/// What changed of a capture since the last time.
#[derive(Debug, Default)]
pub struct Change {
    /// Which capture.
    pub capture: usize,
    /// Flows that have not ended and of which a packet came, as they are now.
    pub open: Vec<Record>,
    /// What ended or happened, each with the number of the part that it is committed with.
    pub closed: Vec<(u64, Record)>,
    /// Number of the newest part that is committed.
    pub committed: u64,
}

/// Gives changes to the thread.
pub struct Publisher {
    to: Option<Sender<Vec<Change>>>,
    /// What could not be given yet.
    waiting: Vec<Change>,
    thread: Option<JoinHandle<Option<Error>>>,
}

impl Publisher {
    /// Starts the thread for these captures.
    pub fn start(evidence: Vec<NewEvidence>, to: Box<dyn Publish>) -> Result<Publisher> {
        let (sender, from) = bounded(WAITING);
        let work = move || show(&evidence, &from, to);
        let thread = std::thread::Builder::new().name("live head".into()).spawn(work);
        let thread = thread.map_err(|e| Error::internal(format!("a thread cannot be started: {e}")))?;
        Ok(Publisher { to: Some(sender), waiting: Vec::new(), thread: Some(thread) })
    }
    /// Gives changes; never waits.
    pub fn give(&mut self, changes: Vec<Change>) {
        self.waiting.extend(changes);
        if let Some(to) = &self.to
            && let Err(TrySendError::Full(back)) = to.try_send(std::mem::take(&mut self.waiting))
        {
            self.waiting = back;
        }
    }
    /// Ends it; gives the last thing that went wrong.
    pub fn end(mut self) -> Option<Error> {
        self.to = None;
        self.thread.take().and_then(|t| t.join().unwrap_or_else(|_| Some(Error::internal("the publishing thread panicked"))))
    }
}

/// What is shown of one capture.
#[derive(Default)]
struct Shown {
    open: HashMap<RecordId, Record>,
    closed: Vec<(u64, Record)>,
    changed: bool,
}

impl Shown {
    fn take(&mut self, change: Change) {
        let before = self.closed.len();
        self.closed.retain(|(part, _)| *part > change.committed);
        self.changed |= before != self.closed.len() || !change.open.is_empty() || !change.closed.is_empty();
        for record in change.open {
            self.open.insert(record.id, record);
        }
        for (part, record) in change.closed {
            self.open.remove(&record.id);
            if part > change.committed {
                self.closed.push((part, record));
            }
        }
        if self.open.len() > SHOWN {
            // Down to half, so that it is not done every time.
            let mut ends: Vec<_> = self.open.values().map(|r| r.end).collect();
            let middle = ends.len() - SHOWN / 2;
            let (_, oldest, _) = ends.select_nth_unstable(middle);
            let oldest = *oldest;
            self.open.retain(|_, r| r.end >= oldest);
        }
    }
    fn rows(&self) -> Vec<Record> {
        let closed: HashSet<RecordId> = self.closed.iter().map(|(_, r)| r.id).collect();
        let open = self.open.values().filter(|r| !closed.contains(&r.id));
        self.closed.iter().map(|(_, r)| r).chain(open).cloned().collect()
    }
}

fn show(evidence: &[NewEvidence], from: &Receiver<Vec<Change>>, mut to: Box<dyn Publish>) -> Option<Error> {
    let mut shown: Vec<Shown> = evidence.iter().map(|_| Shown::default()).collect();
    let mut failed = None;
    while let Ok(changes) = from.recv() {
        // What came while the last publication was made is shown with this one.
        for change in changes.into_iter().chain(from.try_iter().flatten()) {
            if let Some(shown) = shown.get_mut(change.capture) {
                shown.take(change);
            }
        }
        for (shown, evidence) in shown.iter_mut().zip(evidence) {
            if std::mem::take(&mut shown.changed)
                && let Err(e) = to.publish(evidence, shown.rows())
            {
                failed = Some(e);
            }
        }
    }
    evidence.iter().for_each(|e| to.withdraw(e.key));
    failed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Kind, SourceId, Time, Value, field};
    use std::sync::{Arc, Mutex};

    type Seen = Arc<Mutex<Vec<Vec<(u64, bool)>>>>;

    struct Told(Seen);

    impl Publish for Told {
        fn publish(&mut self, _: &NewEvidence, rows: Vec<Record>) -> Result<()> {
            let mut rows: Vec<_> = rows.iter().map(|r| (r.id.offset, r.get(field::OPEN).is_some())).collect();
            rows.sort_unstable();
            self.0.lock().unwrap().push(rows);
            Ok(())
        }
        fn withdraw(&mut self, _: EvidenceKey) {
            self.0.lock().unwrap().push(Vec::new());
        }
    }

    fn row(n: u64, open: bool) -> Record {
        let id = RecordId { offset: n, ..RecordId::default() };
        let mut record = Record::new(Kind::Flow, id, SourceId(1), Time(0));
        if open {
            record.set(field::OPEN, Value::Bool(true));
        }
        record
    }

    #[test]
    fn a_flow_is_open_then_closed_then_committed_and_never_twice() {
        let seen = Seen::default();
        let evidence = NewEvidence { key: EvidenceKey(1), path: String::new(), size: 0, modified: Time(0), head_hash: [0; 32] };
        let mut publisher = Publisher::start(vec![evidence], Box::new(Told(Arc::clone(&seen)))).unwrap();
        let mut step = |change: Change, want: &[(u64, bool)]| {
            let before = seen.lock().unwrap().len();
            publisher.give(vec![change]);
            for _ in 0..500 {
                if seen.lock().unwrap().len() > before {
                    break;
                }
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
            assert_eq!(seen.lock().unwrap().last().unwrap(), want);
        };
        step(Change { open: vec![row(1, true), row(2, true)], ..Change::default() }, &[(1, true), (2, true)]);
        step(
            Change { closed: vec![(1, row(1, false)), (1, row(3, false))], ..Change::default() },
            &[(1, false), (2, true), (3, false)],
        );
        step(Change { closed: vec![(2, row(2, false))], committed: 1, ..Change::default() }, &[(2, false)]);
        step(Change { committed: 2, ..Change::default() }, &[]);
        assert_eq!(publisher.end(), None);
    }
}
