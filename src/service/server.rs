//! The socket of a case, in the process that holds it: takes clients in, one thread each, and lets them go at the end.

use super::connection::{self, Conn};
use super::peer::Access;
use super::place;
use super::work::Captures;
use crate::error::{Error, Result};
use crate::ingest::Live;
use crate::query::LocalEngine;
use crate::store::now;
use rustix::event::{PollFd, PollFlags, poll};
use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::{PipeReader, PipeWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Most clients at once.
const CLIENTS: usize = 64;
/// How long the end waits for answers under way to be given up.
const ENDING: Duration = Duration::from_secs(5);
/// Bytes beyond which the log is begun anew.
const LOG: u64 = 1 << 20;
/// Name of the log in the case.
pub const LOG_NAME: &str = "service.log";

fn hold<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What all clients share.
pub(super) struct Shared {
    /// Answers.
    pub engine: Arc<LocalEngine>,
    /// For whom the case is.
    pub access: Access,
    /// What was repaired when the case was opened, until somebody is told.
    pub notices: Mutex<Vec<String>>,
    /// The captures that run in this process.
    pub captures: Captures,
    clients: Mutex<Clients>,
    numbers: AtomicU64,
    threads: AtomicUsize,
    over: AtomicBool,
    news: (Mutex<u64>, Condvar),
    log: Mutex<Option<std::fs::File>>,
}

struct Clients {
    all: HashMap<u64, Arc<Conn>>,
    /// Since when there are as many as there are.
    since: Instant,
}

impl Shared {
    /// Takes a client into the list; none: the service ends.
    pub fn join(&self, conn: &Arc<Conn>) -> Option<u64> {
        let mut clients = hold(&self.clients);
        if self.over.load(Ordering::SeqCst) {
            return None;
        }
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        clients.all.insert(number, Arc::clone(conn));
        clients.since = Instant::now();
        Some(number)
    }
    /// It has left.
    pub fn leave(&self, number: u64) {
        let mut clients = hold(&self.clients);
        clients.all.remove(&number);
        clients.since = Instant::now();
        drop(clients);
        self.news();
    }
    /// Something is new: whoever waits looks at once.
    pub fn news(&self) {
        *hold(&self.news.0) += 1;
        self.news.1.notify_all();
    }
    /// Waits until something is said to be new, at most so long.
    pub fn wait_for_news(&self, at_most: Duration) {
        let number = hold(&self.news.0);
        let before = *number;
        let _ = self.news.1.wait_timeout_while(number, at_most, |now| *now == before);
    }
    /// Writes a line into the log, if this process keeps one.
    pub fn log(&self, line: &str) {
        if let Some(file) = hold(&self.log).as_mut() {
            let _ = writeln!(file, "{} {}: {line}", now().rfc3339(), std::process::id());
        }
    }
}

/// A case that is served. It ends when this is dropped: its clients then find another process, or start one.
pub struct Serving {
    shared: Arc<Shared>,
    dir: PathBuf,
    wake: PipeWriter,
    thread: Option<JoinHandle<()>>,
}

impl Serving {
    /// Serves a case that this process holds. `log`: keep a log in the case.
    pub fn start(engine: Arc<LocalEngine>, log: bool) -> Result<Serving> {
        let dir = engine.store().dir();
        let access = Access::of(&dir)?;
        let log = if log { open_log(&dir.join(LOG_NAME)) } else { None };
        let listener = place::bind(&dir, access.socket_mode())?;
        listener.set_nonblocking(true).map_err(|e| Error::internal(format!("the socket of the case: {e}")))?;
        let mut notices = engine.store().notices();
        notices.extend(access.notice.clone());
        let clients = Clients { all: HashMap::new(), since: Instant::now() };
        let shared = Arc::new(Shared {
            engine,
            access,
            notices: Mutex::new(notices),
            captures: Captures::default(),
            clients: Mutex::new(clients),
            numbers: AtomicU64::new(1),
            threads: AtomicUsize::new(0),
            over: AtomicBool::new(false),
            news: Default::default(),
            log: Mutex::new(log),
        });
        let (woken, wake) = std::io::pipe().map_err(|e| Error::internal(format!("a pipe: {e}")))?;
        let with = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("service".into())
            .spawn(move || accept(&listener, &woken, &with))
            .map_err(|e| Error::internal(format!("the thread of the service cannot be started: {e}")))?;
        Ok(Serving { shared, dir, wake, thread: Some(thread) })
    }
    /// Number of clients.
    pub fn clients(&self) -> usize {
        hold(&self.shared.clients).all.len()
    }
    /// Since when nobody is there; none: somebody is, or a capture runs.
    pub fn idle(&self) -> Option<Duration> {
        let clients = hold(&self.shared.clients);
        (clients.all.is_empty() && self.shared.captures.status().is_none()).then(|| clients.since.elapsed())
    }
    /// A capture that runs in this process: its clients are told how it does.
    pub fn captures(&self, live: Live) {
        self.shared.captures.add(live);
    }
    /// What was repaired when the case was opened, and what is wrong with its mode: it is told once.
    pub fn notices(&self) -> Vec<String> {
        std::mem::take(&mut *hold(&self.shared.notices))
    }
    /// Writes a line into the log.
    pub fn log(&self, line: &str) {
        self.shared.log(line);
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // First nobody can join any more, then those who are there are let go.
        place::remove(&self.dir);
        self.shared.over.store(true, Ordering::SeqCst);
        let _ = self.wake.write_all(b"x");
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        let all: Vec<_> = hold(&self.shared.clients).all.values().cloned().collect();
        all.iter().for_each(|conn| conn.end());
        drop(all);
        self.shared.news();
        let begun = Instant::now();
        while self.shared.threads.load(Ordering::SeqCst) > 0 && begun.elapsed() < ENDING {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

fn open_log(path: &std::path::Path) -> Option<std::fs::File> {
    let long = std::fs::metadata(path).is_ok_and(|m| m.len() > LOG);
    let mut options = OpenOptions::new();
    options.create(true).mode(0o600);
    if long {
        options.write(true).truncate(true)
    } else {
        options.append(true)
    };
    options.open(path).ok()
}

fn accept(listener: &UnixListener, woken: &PipeReader, shared: &Arc<Shared>) {
    while !shared.over.load(Ordering::SeqCst) {
        let mut both = [PollFd::new(listener, PollFlags::IN), PollFd::new(woken, PollFlags::IN)];
        match poll(&mut both, None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => return,
        }
        let socket = match listener.accept() {
            Ok((socket, _)) => socket,
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => continue,
            Err(_) => {
                // Files may have run out: others come and go meanwhile.
                std::thread::sleep(Duration::from_millis(50));
                continue;
            }
        };
        if socket.set_nonblocking(false).is_err() {
            continue;
        }
        if shared.threads.load(Ordering::SeqCst) >= CLIENTS {
            let why = Error::store(format!("{CLIENTS} clients are there, more are not served"))
                .hint("leave one of them, then ask again");
            connection::refuse(&socket, shared, &why);
            continue;
        }
        shared.threads.fetch_add(1, Ordering::SeqCst);
        let with = Arc::clone(shared);
        let spawned = std::thread::Builder::new().name("client".into()).spawn(move || {
            // Counted to its end, whatever that is.
            let _counted = Counted(&with.threads);
            connection::serve(socket, &with);
        });
        if spawned.is_err() {
            shared.threads.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

struct Counted<'a>(&'a AtomicUsize);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
