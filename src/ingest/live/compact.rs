//! Parts of a running capture are written together in a thread beside it (see [`Store::compact`]), so that the capture never waits for that.

use crate::error::{Error, Result};
use crate::model::EvidenceKey;
use crate::store::Store;
use crossbeam_channel::{Receiver, Sender, bounded};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// Writes parts together while a capture runs.
pub struct Compactor {
    wake: Option<Sender<()>>,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    failed: Mutex<Option<Error>>,
}

impl Compactor {
    /// Starts the thread for captures. What captures left before that were killed is written together first.
    pub fn start(store: Store, captures: Vec<EvidenceKey>) -> Result<Compactor> {
        let (wake, from) = bounded(1);
        let shared = Arc::<Shared>::default();
        let own = Arc::clone(&shared);
        let work = move || {
            if let Err(e) = compact(&store, &captures, &from, &|| own.stop.load(Ordering::Relaxed)) {
                *own.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(e);
            }
        };
        let thread = std::thread::Builder::new().name("live compaction".into()).spawn(work);
        let thread = thread.map_err(|e| Error::internal(format!("a thread cannot be started: {e}")))?;
        Ok(Compactor { wake: Some(wake), shared, thread: Some(thread) })
    }
    /// Parts may have come. Never waits.
    pub fn wake(&self) {
        // One sign that waits is enough.
        let _ = self.wake.as_ref().map(|wake| wake.try_send(()));
    }
    /// Why it gave up, told once; none: it goes on. The parts stay as they are then.
    pub fn failed(&self) -> Option<Error> {
        self.shared.failed.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
    /// Ends it; what it was about is given up.
    pub fn end(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.wake = None;
        let panicked = self.thread.take().is_some_and(|t| t.join().is_err());
        if panicked {
            let mut failed = self.shared.failed.lock().unwrap_or_else(PoisonError::into_inner);
            failed.get_or_insert_with(|| Error::internal("the thread panicked"));
        }
    }
}

fn compact(store: &Store, captures: &[EvidenceKey], from: &Receiver<()>, stop: &dyn Fn() -> bool) -> Result<()> {
    let left = store.evidence().into_iter().filter(|e| e.is_live() && !captures.contains(&e.key));
    for evidence in left {
        while store.compact(evidence.key, true, stop)?.is_some() {}
    }
    while from.recv().is_ok() {
        for key in captures {
            while !stop() && store.compact(*key, false, stop)?.is_some() {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::evidence::LIVE;
    use crate::model::source::SourceKey;
    use crate::model::{Kind, Record, RecordId, Time};
    use crate::store::{Done, NewEvidence, OpenOptions, Reserve};
    use std::time::{Duration, Instant};

    fn part(store: &Store, key: u64, n: u64) {
        let evidence =
            NewEvidence { key: EvidenceKey(key), path: format!("live:{key}"), size: n, modified: Time(0), head_hash: [0; 32] };
        let mut import = store.go_on(&evidence).unwrap();
        let source = import.source(&SourceKey { format: "pcap".into(), sensor: "eth0".into() }, None).unwrap();
        let id = RecordId { evidence: evidence.key, offset: n, ordinal: 0 };
        import.push(Record::new(Kind::Flow, id, source, Time(n as i64))).unwrap();
        import.finish(Done { format: LIVE.into(), ..Done::default() }).unwrap();
    }

    fn parts(store: &Store, key: u64) -> usize {
        store.snapshot().imports().iter().filter(|i| i.done.key == key).count()
    }

    #[test]
    fn what_was_left_is_one_and_what_comes_is_written_together_until_it_ends() {
        let dir = tempfile::tempdir().unwrap();
        let options =
            OpenOptions { create: true, reserve: Reserve { percent: 0, bytes: 0 }, ballast: 0, ..OpenOptions::default() };
        let store = Store::open(dir.path(), &options).unwrap();
        (0..5).for_each(|n| part(&store, 1, n));
        (0..40).for_each(|n| part(&store, 2, n));
        let until = |what: &dyn Fn() -> bool| {
            let begun = Instant::now();
            while !what() {
                assert!(begun.elapsed() < Duration::from_secs(20));
                std::thread::sleep(Duration::from_millis(5));
            }
        };
        let mut compactor = Compactor::start(store.clone(), vec![EvidenceKey(2)]).unwrap();
        until(&|| parts(&store, 1) == 1);
        assert_eq!(parts(&store, 2), 40);
        compactor.wake();
        until(&|| parts(&store, 2) == 2 + 8);
        assert!(compactor.failed().is_none());
        // Ended, it does nothing more.
        compactor.end();
        (40..60).for_each(|n| part(&store, 2, n));
        compactor.wake();
        assert_eq!((parts(&store, 2), compactor.failed().map(|e| e.what)), (10 + 20, None));
        assert_eq!(store.snapshot().evidence().len(), 2);
    }
}
