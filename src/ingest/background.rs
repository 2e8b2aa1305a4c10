//! A capture, or any import that goes on and on, in a thread of its own beside the workbench: how it does, when there is something new, how
//! it is stopped and what it said at its end. Knows nothing of how packets are had.

use crate::error::{Error, Result};
use crate::model::LiveStatus;
use crate::sources::input::Stop;
use crossbeam_channel::{Receiver, Sender, bounded};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Work under way in another thread. Clones are of the same work; it goes on when they are dropped.
#[derive(Clone)]
pub struct Live {
    shared: Arc<Shared>,
    changes: Receiver<()>,
}

struct Shared {
    asked: AtomicBool,
    state: Mutex<State>,
    over: Condvar,
    wake: Sender<()>,
}

#[derive(Default)]
struct State {
    status: LiveStatus,
    ended: Option<Result<String>>,
}

impl Shared {
    fn hold(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
    fn wake(&self) {
        // One sign that waits is enough.
        let _ = self.wake.try_send(());
    }
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live").field("running", &self.is_running()).finish_non_exhaustive()
    }
}

impl Live {
    /// Starts the work in a thread with this name. It has to look at [`Feeder::stop`] often (at least some times a second), and gives what is to
    /// be said at its end; a panic of it is an error of the work, not of the program.
    pub fn start(name: &str, work: impl FnOnce(&Feeder) -> Result<String> + Send + 'static) -> Result<Live> {
        let (wake, changes) = bounded(1);
        let shared = Arc::new(Shared { asked: AtomicBool::new(false), state: Mutex::default(), over: Condvar::new(), wake });
        let feeder = Feeder { shared: Arc::clone(&shared) };
        std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                let ended = catch_unwind(AssertUnwindSafe(|| work(&feeder)));
                let ended = ended.unwrap_or_else(|_| Err(Error::internal("the capture ended by a fault of the program")));
                feeder.shared.hold().ended = Some(ended);
                feeder.shared.over.notify_all();
                feeder.shared.wake();
            })
            .map_err(|e| Error::internal(format!("the thread of a capture cannot be started: {e}")))?;
        Ok(Live { shared, changes })
    }
    /// How it does: as last told.
    pub fn status(&self) -> LiveStatus {
        self.shared.hold().status.clone()
    }
    /// Something to take from here means that there is something new: a status, records that questions see now, the end. Signs that were not
    /// taken yet are one; of several receivers one gets it.
    pub fn changes(&self) -> &Receiver<()> {
        &self.changes
    }
    /// Whether it goes on.
    pub fn is_running(&self) -> bool {
        self.shared.hold().ended.is_none()
    }
    /// Whether it was asked to stop.
    pub fn is_stopping(&self) -> bool {
        self.shared.asked.load(Ordering::Relaxed)
    }
    /// How it ended: what it said, or what failed; none: it goes on.
    pub fn ended(&self) -> Option<Result<String>> {
        self.shared.hold().ended.clone()
    }
    /// Asks it to stop, and returns at once.
    pub fn stop(&self) {
        self.shared.asked.store(true, Ordering::Relaxed);
    }
    /// Waits until it has ended, at most so long; then as [`Live::ended`].
    pub fn wait(&self, at_most: Duration) -> Option<Result<String>> {
        let until = Instant::now() + at_most;
        let mut state = self.shared.hold();
        while state.ended.is_none() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state = self.shared.over.wait_timeout(state, left).map_or_else(|e| e.into_inner().0, |(state, _)| state);
        }
        state.ended.clone()
    }
}

/// What the thread that does the work has of it.
#[derive(Clone)]
pub struct Feeder {
    shared: Arc<Shared>,
}

impl Feeder {
    /// Asked often: whether to stop.
    pub fn stop(&self) -> Stop {
        let shared = Arc::clone(&self.shared);
        Arc::new(move || shared.asked.load(Ordering::Relaxed))
    }
    /// Tells how it does, and that there is something new: after records were published or committed, once or twice a second.
    pub fn tell(&self, status: LiveStatus) {
        self.shared.hold().status = status;
        self.shared.wake();
    }
    /// Tells that there is something new: records were published.
    pub fn wake(&self) {
        self.shared.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::live::LiveSource;

    #[test]
    fn work_tells_how_it_does_until_it_is_stopped() {
        let live = Live::start("test", |feeder| {
            let stop = feeder.stop();
            let mut n = 0;
            while !stop() {
                n += 1;
                feeder.tell(LiveStatus { sources: vec![LiveSource::new(format!("eth{n}"))], ..LiveStatus::default() });
                std::thread::sleep(Duration::from_millis(1));
            }
            Ok(format!("told {n} times"))
        })
        .unwrap();
        assert!(live.changes().recv_timeout(Duration::from_secs(10)).is_ok());
        assert_eq!(live.status().sources.len(), 1);
        assert!(live.is_running() && live.wait(Duration::from_millis(5)).is_none());
        live.stop();
        let said = live.wait(Duration::from_secs(10)).unwrap().unwrap();
        assert!(said.starts_with("told ") && !live.is_running(), "{said}");
    }

    #[test]
    fn what_fails_or_panics_is_said_at_its_end() {
        let failed = Live::start("test", |_| Err(Error::user("no such interface"))).unwrap();
        assert_eq!(failed.wait(Duration::from_secs(10)).unwrap().unwrap_err().what, "no such interface");
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(|_| ()));
        let broken = Live::start("test", |_| panic!("of a test")).unwrap();
        let ended = broken.wait(Duration::from_secs(10)).unwrap();
        std::panic::set_hook(hook);
        assert!(ended.unwrap_err().what.contains("fault"));
    }
}
