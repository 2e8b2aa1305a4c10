//! One opened file or stream: read ahead and hashed on a thread of its own, decompressed where it is read.

use super::capture::CaptureKind;
use super::compression::Compression;
use super::wide::{Narrow, Wide};
use crate::error::{Error, Result};
use crate::model::hex::hex;
use crate::model::{EvidenceKey, Time};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Bytes at the start and at the end of a file that its evidence key is made of.
pub const KEY_PART: u64 = 64 << 10;
/// Bytes read at once, and how many such pieces may wait.
const PIECE: usize = 1 << 20;
const AHEAD: usize = 4;
/// Bytes of a stream that are enough to recognise it, and how long it may be silent before fewer are.
const ENOUGH: usize = 4 << 10;
const SILENCE: Duration = Duration::from_millis(300);
/// How often a stream that is silent asks whether to stop, and how long it is listened to after that.
const GLANCE: Duration = Duration::from_millis(100);
const LAST_BYTES: Duration = Duration::from_millis(500);

/// Size and SHA-256 of what was read, as it lies in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Bytes.
    pub size: u64,
    /// SHA-256.
    pub sha256: [u8; 32],
}

/// What can be known of a file before it is read.
#[derive(Debug, Clone)]
pub struct Probe {
    /// Absolute path.
    pub path: PathBuf,
    /// Size in bytes.
    pub size: u64,
    /// Modification time.
    pub modified: Time,
    /// Evidence key.
    pub key: EvidenceKey,
    /// SHA-256 of the first 64 KiB.
    pub head_hash: [u8; 32],
    /// Its last bytes, up to 64 KiB.
    pub tail: Vec<u8>,
}

impl Probe {
    /// Looks at a file: its size, its first and last 64 KiB.
    pub fn of(path: &Path) -> Result<Probe> {
        let io = |e: io::Error| Error::io("cannot read", path, &e).hint(hint_for(&e));
        let mut file = File::open(path).map_err(io)?;
        let meta = file.metadata().map_err(io)?;
        let size = meta.len();
        let mut head = Vec::new();
        (&mut file).take(KEY_PART).read_to_end(&mut head).map_err(io)?;
        let mut tail = Vec::new();
        file.seek(SeekFrom::Start(size.saturating_sub(KEY_PART))).map_err(io)?;
        (&mut file).take(KEY_PART).read_to_end(&mut tail).map_err(io)?;
        let modified = meta
            .modified()
            .ok()
            .and_then(|t| t.duration_since(std::time::UNIX_EPOCH).ok())
            .map_or(Time(0), |d| Time::from_parts(d.as_secs() as i64, d.subsec_nanos()));
        Ok(Probe {
            path: std::fs::canonicalize(path).map_err(io)?,
            size,
            modified,
            key: key_from(size, &head, &tail),
            head_hash: Sha256::digest(&head).into(),
            tail,
        })
    }
}

fn key_from(size: u64, head: &[u8], tail: &[u8]) -> EvidenceKey {
    let mut hash = Sha256::new();
    hash.update(size.to_le_bytes());
    hash.update(head);
    hash.update(tail);
    let mut key = [0; 8];
    key.copy_from_slice(&hash.finalize()[..8]);
    EvidenceKey(u64::from_be_bytes(key))
}

/// The evidence key of bytes in memory.
pub fn key_of(data: &[u8]) -> EvidenceKey {
    let part = data.len().min(KEY_PART as usize);
    key_from(data.len() as u64, &data[..part], &data[data.len() - part..])
}

/// The evidence key of the first `size` bytes of a file: what it was when it had that size.
pub fn key_at(path: &Path, size: u64) -> io::Result<EvidenceKey> {
    let mut file = File::open(path)?;
    let part = size.min(KEY_PART);
    let (mut head, mut tail) = (Vec::new(), Vec::new());
    (&mut file).take(part).read_to_end(&mut head)?;
    file.seek(SeekFrom::Start(size - part))?;
    (&mut file).take(part).read_to_end(&mut tail)?;
    Ok(key_from(size, &head, &tail))
}

fn hint_for(e: &io::Error) -> &'static str {
    match e.kind() {
        io::ErrorKind::NotFound => "check the path",
        io::ErrorKind::PermissionDenied => "ask for read permission, or copy the file to where you may read it",
        _ => "",
    }
}

/// SHA-256 (hexadecimal) of the first `len` bytes of a file: whether a file that grew begins with known evidence.
pub fn hash_prefix(path: &Path, len: u64) -> Result<String> {
    let io = |e: io::Error| Error::io("cannot read", path, &e);
    let mut input = File::open(path).map_err(io)?.take(len);
    let mut hash = Sha256::new();
    let mut piece = vec![0; PIECE];
    loop {
        match input.read(&mut piece).map_err(io)? {
            0 => return Ok(hex(&hash.finalize())),
            n => hash.update(&piece[..n]),
        }
    }
}

/// An opened input: `head` is the beginning of the uncompressed data, `read` gives all of it from the start.
pub struct Input {
    /// First bytes of the uncompressed data (up to 64 KiB).
    pub head: Vec<u8>,
    /// Compression of the outermost layer.
    pub compression: Compression,
    /// Bytes read from the file so far (compressed), for progress.
    pub consumed: Arc<AtomicU64>,
    body: Option<Box<dyn Read + Send>>,
    ahead: Ahead,
}

struct Ahead {
    done: Receiver<io::Result<Summary>>,
    drain: Receiver<io::Result<Vec<u8>>>,
    thread: Option<JoinHandle<()>>,
    /// Of a stream: what was taken of it. A file is hashed where it is read ahead.
    taken: Option<Arc<Mutex<Taken>>>,
}

/// Whether to stop reading.
pub type Stop = Arc<dyn Fn() -> bool + Send + Sync>;

/// A stream as far as it was taken: hashed and copied just so far, so that it can be ended anywhere.
struct Taken {
    hash: Sha256,
    size: u64,
    spool: Option<Box<dyn Write + Send>>,
    stop: Stop,
    /// When it is ended for good after it was asked to stop.
    ends: Option<Instant>,
    stopped: bool,
}

impl Taken {
    fn piece(&mut self, piece: &[u8]) -> io::Result<()> {
        self.hash.update(piece);
        self.size += piece.len() as u64;
        self.spool.as_mut().map_or(Ok(()), |spool| spool.write_all(piece))
    }
    /// How long to wait for more; `None`: no longer. A writer that is told to stop at the same time gets a moment for its last bytes.
    fn patience(&mut self) -> Option<Duration> {
        if self.ends.is_none() && (self.stop)() {
            self.ends = Some(Instant::now() + LAST_BYTES);
        }
        match self.ends.map(|end| end.saturating_duration_since(Instant::now())) {
            Some(Duration::ZERO) => {
                self.stopped = true;
                None
            }
            Some(left) => Some(left),
            None => Some(GLANCE),
        }
    }
}

/// Reads pieces that the read-ahead thread sends.
struct Pieces {
    from: Receiver<io::Result<Vec<u8>>>,
    piece: Vec<u8>,
    at: usize,
    taken: Option<Arc<Mutex<Taken>>>,
}

impl Pieces {
    /// Waits for the next piece; false: it is over, or (of a stream) nothing came in time.
    fn next(&mut self, within: Option<Duration>) -> io::Result<bool> {
        let begun = Instant::now();
        let received = match &self.taken {
            None => self.from.recv().ok(),
            Some(taken) => loop {
                let Some(patience) = hold(taken).patience() else { break None };
                let patience = within.map_or(patience, |w| patience.min(w.saturating_sub(begun.elapsed())));
                match self.from.recv_timeout(patience) {
                    Ok(piece) => break Some(piece),
                    Err(RecvTimeoutError::Timeout) if within.is_none_or(|w| begun.elapsed() < w) => {}
                    Err(_) => break None,
                }
            },
        };
        let Some(piece) = received.transpose()? else { return Ok(false) };
        if let Some(taken) = &self.taken {
            hold(taken).piece(&piece)?;
        }
        (self.piece, self.at) = (piece, 0);
        Ok(true)
    }
    /// The beginning of a stream: what its first reads give, at least 16 bytes, without waiting long for more than there is.
    fn beginning(&mut self) -> io::Result<Vec<u8>> {
        let mut head = Vec::new();
        while head.len() < ENOUGH {
            let within = (head.len() >= 16).then_some(SILENCE);
            if !self.next(within)? {
                break;
            }
            head.append(&mut self.piece);
        }
        Ok(head)
    }
}

fn hold(taken: &Mutex<Taken>) -> MutexGuard<'_, Taken> {
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Read for Pieces {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.at >= self.piece.len() && !self.next(None)? {
            return Ok(0);
        }
        let n = buf.len().min(self.piece.len() - self.at);
        buf[..n].copy_from_slice(&self.piece[self.at..self.at + n]);
        self.at += n;
        Ok(n)
    }
}

impl Input {
    /// Opens a file. A file that cannot be decompressed from its first byte on is opened as it is.
    pub fn open(path: &Path) -> Result<Input> {
        let file = File::open(path).map_err(|e| Error::io("cannot read", path, &e).hint(hint_for(&e)))?;
        let _ = rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::Sequential);
        Input::start(Box::new(file), None).map_err(|e| Error::io("cannot read", path, &e))
    }

    /// Opens a stream, which is copied into `spool` as it is taken, so that its bytes can be shown later. It begins with what is there, and
    /// ends soon after `stop` says so.
    pub fn stream(stream: Box<dyn Read + Send>, spool: Option<Box<dyn Write + Send>>, stop: Stop) -> Result<Input> {
        let taken = Taken { hash: Sha256::new(), size: 0, spool, stop, ends: None, stopped: false };
        Input::start(stream, Some(Arc::new(Mutex::new(taken)))).map_err(|e| Error::input(format!("cannot read the stream: {e}")))
    }

    fn start(from: Box<dyn Read + Send>, taken: Option<Arc<Mutex<Taken>>>) -> io::Result<Input> {
        let (pieces_in, pieces) = bounded(AHEAD);
        let (done_in, done) = bounded(1);
        let consumed = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&consumed);
        let hashed = taken.is_none();
        let thread = std::thread::Builder::new()
            .name("read-ahead".into())
            .spawn(move || drop(done_in.send(read_ahead(from, &pieces_in, &counter, hashed))))?;
        let mut raw = Pieces { from: pieces.clone(), piece: Vec::new(), at: 0, taken: taken.clone() };
        let mut magic = Vec::new();
        if taken.is_some() {
            magic = raw.beginning()?;
        } else {
            (&mut raw).take(16).read_to_end(&mut magic)?;
        }
        let compression = Compression::of(&magic);
        let ahead = Ahead { done, drain: pieces, thread: Some(thread), taken };
        if compression == Compression::None && ahead.taken.is_some() {
            let body = Box::new(io::Cursor::new(magic.clone()).chain(raw));
            return Ok(Input { head: magic, compression, consumed, body: Some(body), ahead }.narrowed(None));
        }
        let mut body = compression.reader(io::Cursor::new(magic).chain(raw))?;
        let mut head = Vec::new();
        // Damage inside the head is met again where the body is read: here only what is before it counts.
        let enough = if ahead.taken.is_some() { ENOUGH as u64 } else { KEY_PART };
        let result = body.as_mut().take(enough).read_to_end(&mut head);
        let rest: Box<dyn Read + Send> = match result {
            Ok(_) => Box::new(io::Cursor::new(head.clone()).chain(body)),
            Err(e) => Box::new(io::Cursor::new(head.clone()).chain(Failing(Some(e)))),
        };
        let most = ahead.taken.is_none().then_some(KEY_PART);
        Ok(Input { head, compression, consumed, body: Some(rest), ahead }.narrowed(most))
    }

    /// UTF-16 text as UTF-8. `most`: bytes of it that the head may have; none: no more than is there already.
    fn narrowed(mut self, most: Option<u64>) -> Input {
        let Some(wide) = Wide::of(&self.head).filter(|_| CaptureKind::of(&self.head).is_none()) else { return self };
        let Some(body) = self.body.take() else { return self };
        let mut body = Narrow::new(body, wide);
        let Some(most) = most else {
            self.head = wide.text(&self.head).into_bytes();
            self.body = Some(Box::new(body));
            self.compression = self.compression.of_text(wide);
            return self;
        };
        let mut head = Vec::new();
        let failed = body.by_ref().take(most).read_to_end(&mut head).err();
        let start = io::Cursor::new(head.clone());
        self.body = Some(match failed {
            None => Box::new(start.chain(body)),
            Some(e) => Box::new(start.chain(Failing(Some(e)))),
        });
        (self.head, self.compression) = (head, self.compression.of_text(wide));
        self
    }

    /// The uncompressed data from its first byte on; once.
    pub fn read(&mut self) -> Box<dyn Read + Send> {
        self.body.take().unwrap_or_else(|| Box::new(io::empty()))
    }

    /// Whether a stream was ended because it was asked to stop.
    pub fn was_stopped(&self) -> bool {
        self.ahead.taken.as_ref().is_some_and(|taken| hold(taken).stopped)
    }

    /// Reads on to the end of the file, whatever was not read, so that its hash is of all of it; of a stream that was stopped the hash is of
    /// what was taken.
    pub fn finish(mut self) -> io::Result<Summary> {
        self.body = None;
        let Some(taken) = self.ahead.taken.take() else {
            while self.ahead.drain.recv().is_ok() {}
            let summary = self.ahead.done.recv().unwrap_or_else(|_| Err(io::Error::other("the reader stopped")));
            if let Some(thread) = self.ahead.thread.take() {
                let _ = thread.join();
            }
            return summary;
        };
        let mut rest = Pieces { from: self.ahead.drain.clone(), piece: Vec::new(), at: 0, taken: Some(Arc::clone(&taken)) };
        while rest.next(None)? {}
        let mut taken = hold(&taken);
        if let Some(spool) = &mut taken.spool {
            spool.flush()?;
        }
        Ok(Summary { size: taken.size, sha256: taken.hash.clone().finalize().into() })
    }
}

/// Reads to the end, piece by piece; a pipe gives what it has, so a growing stream is passed on as it comes.
fn read_ahead(
    mut from: Box<dyn Read + Send>,
    to: &Sender<io::Result<Vec<u8>>>,
    counter: &AtomicU64,
    hashed: bool,
) -> io::Result<Summary> {
    let mut hash = Sha256::new();
    let mut size = 0;
    loop {
        let mut piece = vec![0; PIECE];
        match from.read(&mut piece) {
            Ok(0) => break,
            Ok(n) => {
                piece.truncate(n);
                if n < PIECE / 4 {
                    piece.shrink_to_fit();
                }
                if hashed {
                    hash.update(&piece);
                }
                size += n as u64;
                counter.store(size, Ordering::Relaxed);
                if to.send(Ok(piece)).is_err() {
                    break;
                }
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => {
                let _ = to.send(Err(io::Error::new(e.kind(), e.to_string())));
                return Err(e);
            }
        }
    }
    Ok(Summary { size, sha256: hash.finalize().into() })
}

/// A reader that gives one error, then the end.
struct Failing(Option<io::Error>);

impl Read for Failing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.0.take().map_or(Ok(0), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_hashed_whole_even_if_it_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        let data = vec![7u8; 3 * PIECE + 5];
        std::fs::write(&path, &data).unwrap();
        let input = Input::open(&path).unwrap();
        assert_eq!(input.head.len(), KEY_PART as usize);
        let summary = input.finish().unwrap();
        assert_eq!(summary.size, data.len() as u64);
        assert_eq!(summary.sha256, <[u8; 32]>::from(Sha256::digest(&data)));
        assert_eq!(hash_prefix(&path, u64::MAX).unwrap(), hex(&summary.sha256));
    }

    #[test]
    fn the_key_depends_on_size_head_and_tail() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        let mut keys = Vec::new();
        for data in [&b"a"[..], b"b", b"aa", b""] {
            std::fs::write(&path, data).unwrap();
            keys.push(Probe::of(&path).unwrap().key);
        }
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), 4);
    }
}
