//! One client, seen from the process that holds the case: a thread reads what it asks, others answer. Whatever it does not read makes only the
//! threads that answer it wait: each stream has credit, the socket has a time-out, its questions have a bounded queue.

use super::answer::{self, Body};
use super::ask::{Ask, Hello, MAGIC, PROTOCOL, Welcome};
use super::frame::{self, Frame, Reader, kind};
use super::peer::Peer;
use super::server::Shared;
use super::work;
use crate::case::LocalKeeper;
use crate::error::{Error, Result};
use crate::model::Cancel;
use crate::model::decision::Who;
use crate::model::harmless::clean;
use crossbeam_channel::{Receiver, Sender, bounded};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::Serialize;
use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Bytes of an answer that may be on their way before the client says that it used some.
pub const WINDOW: i64 = 1 << 20;
/// Bytes of rows or of a piece in one frame.
pub(super) const PIECE: usize = 64 << 10;
/// How long a client may take to say who it is.
const HELLO: Duration = Duration::from_secs(5);
/// How long a client may read nothing while something is to be sent to it. It is let go then, and joins again when it goes on.
const STUCK: Duration = Duration::from_secs(60);
/// Threads that answer one client at once.
const THREADS: usize = 8;
/// Questions of one client that may wait.
const WAITING: usize = 256;
/// How long it is waited for answers that are given up.
const ENDING: Duration = Duration::from_secs(4);
/// Longest name that is taken from a client.
const NAME: usize = 100;

fn hold<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A client.
pub(super) struct Conn {
    socket: UnixStream,
    /// Held while a frame is written.
    writing: Mutex<()>,
    flows: Mutex<HashMap<u64, Arc<Flow>>>,
    /// Who it is.
    pub peer: Peer,
    /// Writes in its name.
    pub keeper: LocalKeeper,
    /// The case.
    pub shared: Arc<Shared>,
    gone: AtomicBool,
    /// Short requests that wait or are answered.
    busy: AtomicUsize,
    /// Long ones.
    long: AtomicUsize,
}

/// A request under way.
struct Flow {
    cancel: Cancel,
    credit: Mutex<i64>,
    more: Condvar,
    back: (Sender<Vec<u8>>, Receiver<Vec<u8>>),
}

/// Where an answer goes.
pub(super) struct Reply {
    /// The client.
    pub conn: Arc<Conn>,
    /// The request.
    pub id: u64,
    flow: Arc<Flow>,
}

impl Reply {
    /// Whether it is no longer wanted.
    pub fn cancel(&self) -> &Cancel {
        &self.flow.cancel
    }
    /// Sends part of an answer once the client has room for it; false: it is no longer wanted.
    pub fn part(&self, mut part: Vec<u8>) -> bool {
        frame::seal(&mut part);
        let len = i64::try_from(part.len()).unwrap_or(i64::MAX);
        let mut credit = hold(&self.flow.credit);
        while *credit <= 0 && !self.flow.cancel.is_cancelled() {
            credit = self.flow.more.wait(credit).unwrap_or_else(PoisonError::into_inner);
        }
        *credit = credit.saturating_sub(len);
        drop(credit);
        !self.flow.cancel.is_cancelled() && self.conn.send(&part)
    }
    /// Says something that may be left out: nobody waits for a client that does not read. Whether it was said.
    pub fn note<T: Serialize>(&self, note: &T) -> bool {
        frame::frame(kind::NOTE, self.id, note).is_ok_and(|frame| self.conn.send_if_free(&frame))
    }
    /// Asks something back and waits for the answer.
    pub fn ask_back<T: Serialize>(&self, question: &T) -> Option<Vec<u8>> {
        if !frame::frame(kind::NOTE, self.id, question).is_ok_and(|frame| self.conn.send(&frame)) {
            return None;
        }
        while !self.flow.cancel.is_cancelled() {
            if let Ok(said) = self.flow.back.1.recv_timeout(Duration::from_millis(100)) {
                return Some(said);
            }
        }
        None
    }
    /// The end of the answer. `waits`: what is long goes as the client says that it has used what came. Whoever reads what it says cannot wait for that.
    fn end(&self, answer: Result<Body>, mut waits: bool) {
        let frame = match answer {
            Ok(mut body) => {
                let mut at = frame::HEAD;
                // No frame is longer than a client takes.
                while body.len() - at > 4 * PIECE {
                    let piece = |body: &[u8]| {
                        let mut piece = frame::begin(kind::PIECE, self.id);
                        piece.extend_from_slice(&body[at..at + PIECE]);
                        piece
                    };
                    // Of what is no longer wanted the rest goes at once: what was done is told to its end.
                    waits = waits && self.part(piece(&body));
                    if !waits {
                        let mut piece = piece(&body);
                        frame::seal(&mut piece);
                        if !self.conn.send(&piece) {
                            break;
                        }
                    }
                    at += PIECE;
                }
                if at > frame::HEAD {
                    let mut last = frame::begin(kind::DONE, self.id);
                    last.extend_from_slice(&body[at..]);
                    body = last;
                }
                frame::seal(&mut body);
                Ok(body)
            }
            Err(error) => frame::frame(kind::FAILED, self.id, &error),
        };
        hold(&self.conn.flows).remove(&self.id);
        if let Ok(frame) = frame {
            self.conn.send(&frame);
        }
    }
}

/// Serves a client that has just connected, until it leaves.
pub(super) fn serve(socket: UnixStream, shared: &Arc<Shared>) {
    if let Err(error) = welcome(&socket, shared) {
        refuse(&socket, shared, &error);
    }
    let _ = socket.shutdown(std::net::Shutdown::Both);
}

/// Tells a client why it is not served.
pub(super) fn refuse(socket: &UnixStream, shared: &Shared, why: &Error) {
    shared.log(&format!("a client was refused: {}", why.what));
    if let Ok(frame) = frame::frame(kind::REFUSED, 0, why) {
        let _ = socket.set_write_timeout(Some(HELLO));
        let _ = frame::write(socket, &frame);
    }
}

fn welcome(socket: &UnixStream, shared: &Arc<Shared>) -> Result<()> {
    let failed = |e: std::io::Error| Error::input(format!("the socket: {e}"));
    let peer = Peer::of(socket)?;
    peer.may(&shared.access)?;
    socket.set_read_timeout(Some(HELLO)).map_err(failed)?;
    socket.set_write_timeout(Some(STUCK)).map_err(failed)?;
    let mut reader = Reader::new(socket.try_clone().map_err(failed)?, frame::MAX_ASK);
    let Some(first) = reader.read()? else { return Ok(()) };
    let hello = hello(&first)?;
    socket.set_read_timeout(None).map_err(failed)?;
    let shown = clean(&hello.name).trim().chars().take(NAME).collect::<String>();
    let short = |text: String| clean(&text).chars().take(NAME).collect::<String>();
    let who = Who {
        name: if shown.is_empty() { peer.unix.clone() } else { shown },
        unix: peer.unix.clone(),
        ssh: hello.ssh.map(short),
    };
    let store = shared.engine.store();
    let conn = Arc::new(Conn {
        socket: socket.try_clone().map_err(failed)?,
        writing: Mutex::default(),
        flows: Mutex::default(),
        keeper: LocalKeeper::of(store.clone(), who, hello.session),
        peer,
        shared: Arc::clone(shared),
        gone: AtomicBool::new(false),
        busy: AtomicUsize::new(0),
        long: AtomicUsize::new(0),
    });
    // In the list first: what ends the service ends it too.
    let Some(number) = shared.join(&conn) else { return Err(Error::store("the case is being closed").hint("ask again")) };
    let welcome = Welcome {
        pid: std::process::id(),
        case: store.name(),
        unix: conn.peer.unix.clone(),
        notices: std::mem::take(&mut *hold(&shared.notices)),
    };
    let sent = frame::frame(kind::WELCOME, 0, &welcome).map(|frame| conn.send(&frame));
    if sent? && let Err(error) = conn.read(&mut reader) {
        shared.log(&format!("{} was let go: {}", conn.peer.unix, error.what));
        if let Ok(frame) = frame::frame(kind::REFUSED, 0, &error) {
            conn.send(&frame);
        }
    }
    conn.end();
    shared.leave(number);
    // Answers under way are given up; the case is not closed under them.
    let begun = Instant::now();
    while conn.busy.load(Ordering::Relaxed) + conn.long.load(Ordering::Relaxed) > 0 && begun.elapsed() < ENDING {
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

fn hello(frame: &Frame) -> Result<Hello> {
    let rest = frame.body.strip_prefix(&MAGIC).and_then(<[u8]>::split_first_chunk::<4>);
    let Some((version, rest)) = rest.filter(|_| frame.kind == kind::HELLO) else {
        return Err(Error::input("this is no client of backtrail"));
    };
    let version = u32::from_le_bytes(*version);
    let own = env!("CARGO_PKG_VERSION");
    let other = |theirs: &str| {
        Error::store(format!("the case is held by another version of backtrail: {own}, this is {theirs}"))
            .hint("leave every workbench on the case, so that the next that opens it holds it; or use the same version")
    };
    if version != PROTOCOL {
        return Err(other(&format!("of protocol {version}")));
    }
    let hello: Hello = frame::take(rest)?;
    if hello.program == own { Ok(hello) } else { Err(other(&clean(&hello.program))) }
}

/// The first frame of a connection.
pub(super) fn first(hello: &Hello) -> Result<Vec<u8>> {
    let mut out = frame::begin(kind::HELLO, 0);
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&PROTOCOL.to_le_bytes());
    frame::put(hello, &mut out)?;
    frame::seal(&mut out);
    Ok(out)
}

type Job = (Ask, Reply);

impl Conn {
    /// Reads what the client asks until it leaves.
    fn read(self: &Arc<Conn>, reader: &mut Reader) -> Result<()> {
        let (jobs, todo) = bounded::<Job>(WAITING);
        let mut threads = 0;
        while let Some(frame) = reader.read()? {
            let file = reader.file();
            let flow = hold(&self.flows).get(&frame.id).cloned();
            match (frame.kind, flow) {
                (kind::ASK, None) => self.take(&frame, file, &jobs, &todo, &mut threads),
                (kind::ASK, Some(_)) => return Err(Error::input("two requests have one number")),
                (kind::CREDIT, Some(flow)) => {
                    let more = frame.body.first_chunk::<4>().map_or(0, |n| i64::from(u32::from_le_bytes(*n)));
                    let mut credit = hold(&flow.credit);
                    *credit = credit.saturating_add(more).min(WINDOW);
                    flow.more.notify_all();
                }
                (kind::CANCEL, Some(flow)) => flow.end(),
                (kind::BACK, Some(flow)) => drop(flow.back.0.try_send(frame.body)),
                // Of an answer that has just ended.
                (kind::CREDIT | kind::CANCEL | kind::BACK, None) => {}
                (other, _) => return Err(Error::input(format!("a frame of kind {other}, which no client sends"))),
            }
        }
        Ok(())
    }
    fn take(
        self: &Arc<Conn>,
        frame: &Frame,
        file: Option<OwnedFd>,
        jobs: &Sender<Job>,
        todo: &Receiver<Job>,
        threads: &mut usize,
    ) {
        let flow =
            Arc::new(Flow { cancel: Cancel::default(), credit: Mutex::new(WINDOW), more: Condvar::new(), back: bounded(1) });
        hold(&self.flows).insert(frame.id, Arc::clone(&flow));
        let reply = Reply { conn: Arc::clone(self), id: frame.id, flow };
        let ask = match frame::take::<Ask>(&frame.body).and_then(|ask| ask.check().map(|()| ask)) {
            Ok(ask) => ask,
            Err(error) => return reply.end(Err(error), false),
        };
        if ask.is_quick() {
            return run(ask, &reply, false);
        }
        if ask.is_long() {
            let many = hold(&self.flows).len() > WAITING;
            let spawned = std::thread::Builder::new().name("work".into());
            let conn = Arc::clone(self);
            let work = move || {
                let ended = catch_unwind(AssertUnwindSafe(|| work::work(ask, file, &reply)));
                reply.end(ended.unwrap_or_else(|_| Err(broke())), true);
                conn.long.fetch_sub(1, Ordering::Relaxed);
            };
            self.long.fetch_add(1, Ordering::Relaxed);
            if many || spawned.spawn(work).is_err() {
                self.long.fetch_sub(1, Ordering::Relaxed);
                self.shutdown();
            }
            return;
        }
        if *threads < THREADS && self.busy.load(Ordering::Relaxed) >= *threads {
            let (todo, conn) = (todo.clone(), Arc::clone(self));
            let work = move || {
                while let Ok((ask, reply)) = todo.recv() {
                    run(ask, &reply, true);
                    conn.busy.fetch_sub(1, Ordering::Relaxed);
                }
            };
            *threads += usize::from(std::thread::Builder::new().name("answer".into()).spawn(work).is_ok());
        }
        self.busy.fetch_add(1, Ordering::Relaxed);
        if let Err(full) = jobs.try_send((ask, reply)) {
            self.busy.fetch_sub(1, Ordering::Relaxed);
            let (_, reply) = full.into_inner();
            reply.end(Err(Error::user("too many questions at once").hint("wait for some of the answers")), false);
        }
    }
    /// Sends a frame; false: the client is gone.
    pub fn send(&self, frame: &[u8]) -> bool {
        let _turn = hold(&self.writing);
        !self.gone.load(Ordering::Relaxed) && self.put(frame)
    }
    /// Sends a short frame if that needs no wait.
    fn send_if_free(&self, frame: &[u8]) -> bool {
        let Ok(_turn) = self.writing.try_lock() else { return false };
        let mut free = [PollFd::new(&self.socket, PollFlags::OUT)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        let free = poll(&mut free, Some(&now)).is_ok() && free[0].revents() == PollFlags::OUT;
        free && !self.gone.load(Ordering::Relaxed) && self.put(frame)
    }
    fn put(&self, frame: &[u8]) -> bool {
        let sent = frame::write(&self.socket, frame).is_ok();
        if !sent {
            // Half a frame may be on its way: nothing can follow it.
            self.shutdown();
        }
        sent
    }
    /// Ends the connection.
    pub fn shutdown(&self) {
        self.gone.store(true, Ordering::Relaxed);
        let _ = self.socket.shutdown(std::net::Shutdown::Both);
    }
    /// Gives up everything that is under way.
    pub fn end(&self) {
        self.shutdown();
        let flows: Vec<_> = hold(&self.flows).values().cloned().collect();
        flows.iter().for_each(|flow| flow.end());
    }
}

impl Flow {
    fn end(&self) {
        self.cancel.cancel();
        // Who waits looks at the flag with the credit in hand.
        drop(hold(&self.credit));
        self.more.notify_all();
    }
}

fn broke() -> Error {
    Error::internal("the question broke off by a fault of the program")
}

fn run(ask: Ask, reply: &Reply, waits: bool) {
    let ended = match reply.cancel().check() {
        Ok(()) => catch_unwind(AssertUnwindSafe(|| answer::answer(ask, reply))).unwrap_or_else(|_| Err(broke())),
        Err(cancelled) => Err(cancelled),
    };
    reply.end(ended, waits);
}
