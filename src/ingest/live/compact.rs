//! Parts of a running capture are written together in a thread beside it (see [`Store::compact`]), so that the capture never waits for that; so
//! is pruned there, and clocks are compared again as evidence comes.

use crate::error::{Error, Result};
use crate::ingest::compared;
use crate::links::clocks;
use crate::model::EvidenceKey;
use crate::sources::input::Stop;
use crate::store::Store;
use crossbeam_channel::{Receiver, Sender, bounded};
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Prunes the case, and says what it did if it did anything. Asked when a capture begins, then every hour.
pub type Prune = Arc<dyn Fn(&Store, &dyn Fn() -> bool) -> Result<Option<String>> + Send + Sync>;

/// How often it is looked for what is to be pruned.
const PRUNING: Duration = Duration::from_secs(3600);
/// How often it is looked whether the case has grown so much that clocks are compared again.
const MEASURING: Duration = Duration::from_secs(300);
/// Things said that wait to be read.
const SAID: usize = 100;

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
    told: Mutex<Vec<String>>,
}

impl Compactor {
    /// Starts the thread for captures. What captures left before that were killed is written together first.
    /// `prune`: what is dropped of the case meanwhile.
    pub fn start(store: Store, captures: Vec<EvidenceKey>, prune: Option<Prune>) -> Result<Compactor> {
        let (wake, from) = bounded(1);
        let shared = Arc::<Shared>::default();
        let own = Arc::clone(&shared);
        let work = move || compact(&store, &captures, &from, prune.as_ref(), MEASURING, &own);
        let thread = std::thread::Builder::new().name("live compaction".into()).spawn(work);
        let thread = thread.map_err(|e| Error::internal(format!("a thread cannot be started: {e}")))?;
        Ok(Compactor { wake: Some(wake), shared, thread: Some(thread) })
    }
    /// Parts may have come. Never waits.
    pub fn wake(&self) {
        // One sign that waits is enough.
        let _ = self.wake.as_ref().map(|wake| wake.try_send(()));
    }
    /// Why it gave up on a capture, told once; none: it did not. Its parts stay as they are then.
    pub fn failed(&self) -> Option<Error> {
        self.shared.failed.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
    /// What was said of pruning since it was asked last.
    pub fn told(&self) -> Vec<String> {
        std::mem::take(&mut self.shared.told.lock().unwrap_or_else(PoisonError::into_inner))
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

fn compact(
    store: &Store,
    captures: &[EvidenceKey],
    from: &Receiver<()>,
    prune: Option<&Prune>,
    measuring: Duration,
    shared: &Arc<Shared>,
) {
    let stop = &|| shared.stop.load(Ordering::Relaxed);
    // Evidence that cannot be compacted stays as it is, and the rest goes on: what is damaged does not end pruning.
    let mut given_up: HashSet<EvidenceKey> = HashSet::new();
    let mut compact = |key: EvidenceKey, all: bool| {
        while !stop() && !given_up.contains(&key) {
            match store.compact(key, all, stop) {
                Ok(Some(_)) => {}
                Ok(None) => return,
                Err(e) => {
                    given_up.insert(key);
                    let mut failed = shared.failed.lock().unwrap_or_else(PoisonError::into_inner);
                    failed.get_or_insert(e);
                }
            }
        }
    };
    let left = store.evidence().into_iter().filter(|e| e.is_live() && !captures.contains(&e.key));
    left.for_each(|evidence| compact(evidence.key, true));
    let tell = |said: Vec<String>| {
        let mut told = shared.told.lock().unwrap_or_else(PoisonError::into_inner);
        let room = SAID.saturating_sub(told.len());
        told.extend(said.into_iter().take(room));
    };
    let told_to_stop: Stop = {
        let shared = Arc::clone(shared);
        Arc::new(move || shared.stop.load(Ordering::Relaxed))
    };
    let mut pruned: Option<Instant> = None;
    let mut measured = Instant::now();
    while from.recv().is_ok() {
        captures.iter().for_each(|key| compact(*key, false));
        if let Some(prune) = prune.filter(|_| !stop() && pruned.is_none_or(|at| at.elapsed() >= PRUNING)) {
            pruned = Some(Instant::now());
            // A capture goes on when it cannot be pruned: it ends where the disk has no room.
            let said = prune(store, stop).unwrap_or_else(|e| Some(format!("nothing could be pruned: {e}")));
            tell(said.into_iter().collect());
        }
        if !stop() && measured.elapsed() >= measuring {
            if clocks::has_grown(store) {
                tell(compared(store, &told_to_stop));
            }
            // From its end on: where it takes long it is done the less often.
            measured = Instant::now();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::evidence::LIVE;
    use crate::model::source::SourceKey;
    use crate::model::{Kind, Record, RecordId, Time};
    use crate::store::{Done, NewEvidence, OpenOptions, Reserve};

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
        let asked = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let prune: Prune = Arc::new(move |_, _| {
            count.fetch_add(1, Ordering::Relaxed);
            Ok(Some("pruned".to_owned()))
        });
        let mut compactor = Compactor::start(store.clone(), vec![EvidenceKey(2)], Some(prune)).unwrap();
        until(&|| parts(&store, 1) == 1);
        assert_eq!(parts(&store, 2), 40);
        compactor.wake();
        until(&|| parts(&store, 2) == 2 + 8);
        assert!(compactor.failed().is_none());
        // Asked once an hour, and heard.
        until(&|| asked.load(Ordering::Relaxed) == 1);
        compactor.wake();
        // Ended, it does nothing more.
        compactor.end();
        assert_eq!((compactor.told(), asked.load(Ordering::Relaxed)), (vec!["pruned".to_owned()], 1));
        (40..60).for_each(|n| part(&store, 2, n));
        compactor.wake();
        assert_eq!((parts(&store, 2), compactor.failed().map(|e| e.what)), (10 + 20, None));
        assert_eq!(store.snapshot().evidence().len(), 2);
    }
}
