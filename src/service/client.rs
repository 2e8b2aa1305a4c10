//! The other side of the socket: sends requests, hands what comes back to whoever asked, and joins again when the process that held the case has
//! ended. What had been asked is asked again: every request may be.

use super::ask::{Ask, Hello, State, Welcome};
use super::frame::{self, Reader, kind};
use super::news::News;
use super::reach::{Reached, Starter, join, reach};
use crate::case::{session, who};
use crate::error::{Error, Result};
use crate::model::Cancel;
use crate::store::verify::{Check, How};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::net::Shutdown;
use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

/// How long it is tried to join again.
const AGAIN: Duration = Duration::from_secs(10);
/// After that it is not tried for so long: who asks meanwhile need not wait.
const FAILED: Duration = Duration::from_secs(3);
/// How often a request that was lost is asked again.
const TRIES: usize = 5;
/// How often it is looked whether an answer is still wanted.
const LOOK: Duration = Duration::from_millis(10);
/// How long an answer from memory may take.
const QUICK: Duration = Duration::from_secs(3);
/// Bytes of an answer after whose use the other side is told.
const USED: usize = 256 << 10;
/// Records that come are told so often.
const RECORDS: Duration = Duration::from_millis(900);

fn hold<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Clients that this process made.
static CLIENTS: AtomicU64 = AtomicU64::new(0);

/// A client of whoever holds a case. Clones share the connection.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    dir: PathBuf,
    /// Name of the case.
    case: String,
    /// Process that held it last.
    pid: AtomicU32,
    hello: Hello,
    starter: Option<Starter>,
    slot: Mutex<Slot>,
    news: News,
    /// What marks of this client begin with, and how many it has given.
    mark: (String, AtomicU64),
}

struct Slot {
    link: Option<Arc<Link>>,
    failed: Option<(Instant, Error)>,
}

type Calls = Mutex<Option<HashMap<u64, Sender<Got>>>>;

/// One connection.
pub(super) struct Link {
    socket: UnixStream,
    writing: Mutex<()>,
    calls: Arc<Calls>,
    next: AtomicU64,
    welcome: Welcome,
}

/// Something that came for a request.
pub(super) enum Got {
    /// Records, one after another.
    Rows(Vec<u8>),
    /// Part of an answer.
    Piece(Vec<u8>),
    /// How far it is.
    Note(Vec<u8>),
    /// The last part.
    Done(Vec<u8>),
    /// Why it failed.
    Failed(Error),
}

/// Why there is no answer.
pub(super) enum Broke {
    /// The connection is lost: it may be asked again.
    Lost,
    /// Nothing came in time.
    Late,
    /// It failed.
    Failed(Error),
}

impl From<Error> for Broke {
    fn from(error: Error) -> Broke {
        Broke::Failed(error)
    }
}

impl Client {
    /// Joins whoever serves the case; none: nobody does. `starter`: how the case is served again if that process ends.
    pub fn join(dir: &Path, starter: Option<Starter>) -> Result<Option<Client>> {
        let (dir, hello) = (whole(dir)?, hello());
        let Some(reached) = join(&dir, &hello)? else { return Ok(None) };
        Client::over(dir, hello, starter, reached).map(Some)
    }
    /// Joins whoever serves the case, or starts it; see [`Starter`]. `patience`: how long a process may hold the case without serving it.
    pub fn reach(dir: &Path, starter: Option<Starter>, patience: Duration) -> Result<Client> {
        Client::reach_as(dir, hello(), starter, patience)
    }
    /// As [`Client::reach`], as somebody else than who runs this process says to be. What the kernel says of it stays.
    pub fn reach_as(dir: &Path, hello: Hello, starter: Option<Starter>, patience: Duration) -> Result<Client> {
        let dir = whole(dir)?;
        let reached = reach(&dir, &hello, starter.as_ref(), patience)?;
        Client::over(dir, hello, starter, reached)
    }
    fn over(dir: PathBuf, hello: Hello, mut starter: Option<Starter>, reached: Reached) -> Result<Client> {
        // What is there now is not made a second time, wherever it went.
        if let Some(starter) = &mut starter {
            starter.create = false;
        }
        let mut hash = Sha256::new();
        hash.update(crate::store::now().0.to_le_bytes());
        hash.update(std::process::id().to_le_bytes());
        hash.update(CLIENTS.fetch_add(1, Ordering::Relaxed).to_le_bytes());
        let mark: String = hash.finalize().iter().take(8).map(|b| format!("{b:02x}")).collect();
        let (pid, case) = (reached.welcome.pid, reached.welcome.case.clone());
        let link = Link::over(reached)?;
        Ok(Client(Arc::new(Inner {
            dir,
            case,
            pid: AtomicU32::new(pid),
            hello,
            starter,
            slot: Mutex::new(Slot { link: Some(link), failed: None }),
            news: News::default(),
            mark: (mark, AtomicU64::new(0)),
        })))
    }
    /// What it was told when it joined.
    pub fn welcome(&self) -> Welcome {
        hold(&self.0.slot).link.as_ref().map(|link| link.welcome.clone()).unwrap_or_default()
    }
    /// Directory of the case.
    pub fn dir(&self) -> &Path {
        &self.0.dir
    }
    /// Process that holds the case, as far as is known.
    pub fn holder(&self) -> u32 {
        self.0.pid.load(Ordering::Relaxed)
    }
    /// Name of the case.
    pub fn case(&self) -> &str {
        &self.0.case
    }
    /// What it is told without asking; see [`Client::follow`].
    pub fn news(&self) -> News {
        self.0.news.clone()
    }
    /// A mark for something that is to be written once, however often it is asked for.
    pub(super) fn mark(&self) -> String {
        format!("{}-{}", self.0.mark.0, self.0.mark.1.fetch_add(1, Ordering::Relaxed))
    }
    /// The connection; made again if it is lost.
    pub(super) fn link(&self) -> Result<Arc<Link>> {
        let mut slot = hold(&self.0.slot);
        if let Some(link) = slot.link.as_ref().filter(|link| link.is_up()) {
            return Ok(Arc::clone(link));
        }
        if let Some((_, error)) = slot.failed.as_ref().filter(|(at, _)| at.elapsed() < FAILED) {
            return Err(error.clone());
        }
        slot.link = None;
        let inner = &self.0;
        let link = reach(&inner.dir, &inner.hello, inner.starter.as_ref(), AGAIN).and_then(Link::over);
        match link {
            Ok(link) => {
                let now = link.welcome.pid;
                let before = inner.pid.swap(now, Ordering::Relaxed);
                (slot.link, slot.failed) = (Some(Arc::clone(&link)), None);
                drop(slot);
                let said = match before == now {
                    true => format!("process {now}, which holds the case, was joined again"),
                    false => format!("process {before}, which held the case, ended; process {now} holds it now, nothing is lost"),
                };
                inner.news.tell(|told| {
                    told.said.push(said);
                    told.said.extend(link.welcome.notices.iter().cloned());
                });
                Ok(link)
            }
            Err(error) => {
                slot.failed = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }
    /// Does something over the connection; done again if that is lost.
    pub(super) fn again<T>(&self, mut once: impl FnMut(&Arc<Link>) -> std::result::Result<T, Broke>) -> Result<T> {
        for _ in 0..TRIES {
            match once(&self.link()?) {
                Ok(value) => return Ok(value),
                Err(Broke::Failed(error)) => return Err(error),
                Err(Broke::Late) => {
                    return Err(Error::store(format!("process {}, which holds the case, does not answer", self.holder()))
                        .at_path(&self.0.dir)
                        .hint("look at that process; ended, it is replaced by another"));
                }
                Err(Broke::Lost) => {}
            }
        }
        Err(Error::store("the process that holds the case ends again and again")
            .at_path(&self.0.dir)
            .hint(format!("{} in the case may say why; backtrail serve --foreground shows it", super::server::LOG_NAME)))
    }
    /// Asks and waits for the answer.
    pub(super) fn call<T: DeserializeOwned>(&self, ask: &Ask, cancel: Option<&Cancel>) -> Result<T> {
        self.again(|link| link.begin(ask, None)?.whole(cancel, None))
    }
    /// As [`Client::call`], of what is answered from memory: whoever asks cannot wait for a process that hangs.
    pub(super) fn quick<T: DeserializeOwned>(&self, ask: &Ask) -> Result<T> {
        self.again(|link| link.begin(ask, None)?.whole(None, Some(Instant::now() + QUICK)))
    }
    /// Checks the case, where it is held.
    pub fn verify(&self, how: How) -> Result<Check> {
        self.call(&Ask::Verify(how), None)
    }
    /// What each part of the case takes, and records.
    pub fn sizes(&self) -> Result<(Vec<crate::store::sizes::Size>, u64)> {
        self.call(&Ask::Sizes, None)
    }
    /// From now on what is new is told, see [`Client::news`], and the connection is made again as soon as it is lost.
    pub fn follow(&self) {
        let weak = Arc::downgrade(&self.0);
        let _ = std::thread::Builder::new().name("news".into()).spawn(move || follow(&weak));
    }
}

/// The path by which every process finds the case.
fn whole(dir: &Path) -> Result<PathBuf> {
    std::path::absolute(dir).map_err(|e| Error::store(format!("not a directory: {e}")).at_path(dir))
}

/// Who runs this process.
pub(super) fn hello() -> Hello {
    let who = who();
    Hello { name: who.name, ssh: who.ssh, session: session(), program: env!("CARGO_PKG_VERSION").to_owned() }
}

fn follow(weak: &Weak<Inner>) {
    let mut before: Option<State> = None;
    let mut told_at: Option<Instant> = None;
    let mut pending = false;
    while let Some(client) = weak.upgrade().map(Client) {
        let news = client.news();
        let call = client.link().map(|link| link.begin(&Ask::Watch, None));
        drop(client);
        let Ok(Ok(mut call)) = call else {
            std::thread::sleep(Duration::from_millis(500));
            continue;
        };
        while weak.strong_count() > 0 {
            if pending && told_at.is_none_or(|at| at.elapsed() >= RECORDS) {
                (pending, told_at) = (false, Some(Instant::now()));
                news.tell(|told| told.records = true);
            }
            match call.next(None, Some(Instant::now() + Duration::from_millis(300))) {
                Ok(Got::Note(note)) => {
                    let Ok(now) = frame::take::<State>(&note) else { continue };
                    if let Some(before) = &before {
                        pending |= (before.sequence, before.head) != (now.sequence, now.head);
                        let decisions = before.decisions != now.decisions;
                        if decisions || before.capture != now.capture {
                            news.tell(|told| {
                                told.decisions |= decisions;
                                told.capture.clone_from(&now.capture);
                            });
                        }
                    } else if now.capture.is_some() {
                        news.tell(|told| told.capture.clone_from(&now.capture));
                    }
                    before = Some(now);
                }
                Ok(_) | Err(Broke::Late) => {}
                Err(Broke::Lost) => break,
                Err(Broke::Failed(_)) => {
                    std::thread::sleep(Duration::from_millis(500));
                    break;
                }
            }
        }
    }
}

impl Link {
    fn over(reached: Reached) -> Result<Arc<Link>> {
        let calls: Arc<Calls> = Arc::new(Mutex::new(Some(HashMap::new())));
        let (mut reader, to) = (reached.reader, Arc::clone(&calls));
        std::thread::Builder::new()
            .name("answers".into())
            .spawn(move || {
                read(&mut reader, &to);
                // Whoever waits sees that nothing comes any more.
                *hold(&to) = None;
            })
            .map_err(|e| Error::internal(format!("a thread cannot be started: {e}")))?;
        Ok(Arc::new(Link {
            socket: reached.socket,
            writing: Mutex::default(),
            calls,
            next: AtomicU64::new(1),
            welcome: reached.welcome,
        }))
    }
    fn is_up(&self) -> bool {
        hold(&self.calls).is_some()
    }
    fn write(&self, frame: &[u8], file: Option<BorrowedFd<'_>>) -> std::result::Result<(), Broke> {
        let _turn = hold(&self.writing);
        let sent = match file {
            Some(file) => frame::write_with(&self.socket, frame, file),
            None => frame::write(&self.socket, frame),
        };
        sent.map_err(|_| {
            // Half a frame may be on its way.
            let _ = self.socket.shutdown(Shutdown::Both);
            *hold(&self.calls) = None;
            Broke::Lost
        })
    }
    /// Sends a request, and a file with it.
    pub fn begin(self: &Arc<Link>, ask: &Ask, file: Option<BorrowedFd<'_>>) -> std::result::Result<Call, Broke> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let frame = frame::frame(kind::ASK, id, ask)?;
        if frame.len() > frame::MAX_ASK {
            return Err(Error::user("the question is too long to be sent").hint("split the list").into());
        }
        let (sender, got) = unbounded();
        match hold(&self.calls).as_mut() {
            Some(calls) => calls.insert(id, sender),
            None => return Err(Broke::Lost),
        };
        let call = Call { link: Arc::clone(self), id, got, used: 0, over: false };
        self.write(&frame, file)?;
        Ok(call)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        let _ = self.socket.shutdown(Shutdown::Both);
    }
}

fn read(reader: &mut Reader, calls: &Calls) {
    while let Ok(Some(frame)) = reader.read() {
        let (got, last) = match frame.kind {
            kind::ROWS => (Got::Rows(frame.body), false),
            kind::PIECE => (Got::Piece(frame.body), false),
            kind::NOTE => (Got::Note(frame.body), false),
            kind::DONE => (Got::Done(frame.body), true),
            kind::FAILED => (Got::Failed(frame::take(&frame.body).unwrap_or_else(|e| e)), true),
            // Nothing that is understood follows.
            _ => return,
        };
        let mut calls = hold(calls);
        let Some(calls) = calls.as_mut() else { return };
        // Of what nobody wants any more the rest is dropped.
        match calls.get(&frame.id) {
            Some(sender) => drop(sender.send(got)),
            None => continue,
        }
        if last {
            calls.remove(&frame.id);
        }
    }
}

/// A request under way. Dropped before its end, it is given up.
pub(super) struct Call {
    link: Arc<Link>,
    id: u64,
    got: Receiver<Got>,
    used: usize,
    over: bool,
}

impl Call {
    /// What comes next. `cancel`: it may be no longer wanted; `until`: not to be waited for any longer.
    pub fn next(&mut self, cancel: Option<&Cancel>, until: Option<Instant>) -> std::result::Result<Got, Broke> {
        let got = loop {
            let wait = match (until, cancel) {
                (Some(until), _) => until.saturating_duration_since(Instant::now()).min(LOOK.max(Duration::from_millis(50))),
                (None, Some(_)) => LOOK,
                (None, None) => Duration::from_secs(3600),
            };
            match self.got.recv_timeout(wait) {
                Ok(got) => break got,
                Err(RecvTimeoutError::Disconnected) => return Err(Broke::Lost),
                Err(RecvTimeoutError::Timeout) => {}
            }
            if cancel.is_some_and(Cancel::is_cancelled) {
                return Err(Broke::Failed(Error::cancelled()));
            }
            if until.is_some_and(|until| Instant::now() >= until) {
                return Err(Broke::Late);
            }
        };
        match &got {
            Got::Rows(bytes) | Got::Piece(bytes) => {
                self.used += bytes.len() + frame::HEAD;
                if self.used >= USED {
                    let used = u32::try_from(std::mem::take(&mut self.used)).unwrap_or(u32::MAX);
                    self.say(kind::CREDIT, &used.to_le_bytes())?;
                }
            }
            Got::Done(_) | Got::Failed(_) => self.over = true,
            Got::Note(_) => {}
        }
        Ok(got)
    }
    /// Waits for the end; what it is made of.
    pub fn whole<T: DeserializeOwned>(
        &mut self,
        cancel: Option<&Cancel>,
        until: Option<Instant>,
    ) -> std::result::Result<T, Broke> {
        let mut whole = Vec::new();
        loop {
            match self.next(cancel, until)? {
                Got::Piece(piece) => whole.extend(piece),
                Got::Done(last) if whole.is_empty() => return Ok(frame::take(&last)?),
                Got::Done(last) => {
                    whole.extend(last);
                    return Ok(frame::take(&whole)?);
                }
                Got::Failed(error) => return Err(error.into()),
                Got::Rows(_) | Got::Note(_) => {}
            }
        }
    }
    /// Answers what was asked back.
    pub fn back<T: Serialize>(&self, answer: &T) -> std::result::Result<(), Broke> {
        let mut body = Vec::new();
        frame::put(answer, &mut body)?;
        self.say(kind::BACK, &body)
    }
    /// Says that it is not to go on; it then comes to an end of its own.
    pub fn stop(&self) -> std::result::Result<(), Broke> {
        self.say(kind::CANCEL, &[])
    }
    fn say(&self, kind: u8, body: &[u8]) -> std::result::Result<(), Broke> {
        let mut out = frame::begin(kind, self.id);
        out.extend_from_slice(body);
        frame::seal(&mut out);
        self.link.write(&out, None)
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        let known = hold(&self.link.calls).as_mut().is_some_and(|calls| calls.remove(&self.id).is_some());
        if known {
            let _ = self.stop();
        }
    }
}
