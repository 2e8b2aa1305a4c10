//! One opened file or stream: read ahead and hashed on a thread of its own, decompressed where it is read.

use super::compression::Compression;
use crate::error::{Error, Result};
use crate::model::hex::hex;
use crate::model::{EvidenceKey, Time};
use crossbeam_channel::{Receiver, bounded};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

/// Bytes at the start and at the end of a file that its evidence key is made of.
const KEY_PART: u64 = 64 << 10;
/// Bytes read at once, and how many such pieces may wait.
const PIECE: usize = 1 << 20;
const AHEAD: usize = 4;

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
        let mut hash = Sha256::new();
        hash.update(size.to_le_bytes());
        hash.update(&head);
        hash.update(&tail);
        let digest: [u8; 32] = hash.finalize().into();
        let mut key = [0; 8];
        key.copy_from_slice(&digest[..8]);
        let modified = meta
            .modified()
            .ok()
            .and_then(|t| t.duration_since(std::time::UNIX_EPOCH).ok())
            .map_or(Time(0), |d| Time::from_parts(d.as_secs() as i64, d.subsec_nanos()));
        Ok(Probe {
            path: std::fs::canonicalize(path).map_err(io)?,
            size,
            modified,
            key: EvidenceKey(u64::from_be_bytes(key)),
            head_hash: Sha256::digest(&head).into(),
        })
    }
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
}

/// Reads pieces that the read-ahead thread sends.
struct Pieces {
    from: Receiver<io::Result<Vec<u8>>>,
    piece: Vec<u8>,
    at: usize,
}

impl Read for Pieces {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.at == self.piece.len() {
            match self.from.recv() {
                Ok(piece) => {
                    self.piece = piece?;
                    self.at = 0;
                }
                Err(_) => return Ok(0),
            }
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

    /// Opens a stream, which is copied into `spool` as it is read, so that its bytes can be shown later.
    pub fn stream(stream: Box<dyn Read + Send>, spool: Option<Box<dyn Write + Send>>) -> Result<Input> {
        Input::start(stream, spool).map_err(|e| Error::input(format!("cannot read the stream: {e}")))
    }

    fn start(mut from: Box<dyn Read + Send>, mut spool: Option<Box<dyn Write + Send>>) -> io::Result<Input> {
        let (pieces_in, pieces) = bounded(AHEAD);
        let (done_in, done) = bounded(1);
        let consumed = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&consumed);
        let thread = std::thread::Builder::new().name("read-ahead".into()).spawn(move || {
            let mut hash = Sha256::new();
            let mut size = 0;
            let end = loop {
                // A pipe gives what it has: a growing stream is passed on as it comes.
                let mut piece = vec![0; PIECE];
                match from.read(&mut piece) {
                    Ok(0) => break Ok(()),
                    Ok(n) => {
                        piece.truncate(n);
                        hash.update(&piece);
                        size += n as u64;
                        counter.store(size, Ordering::Relaxed);
                        if let Some(spool) = &mut spool
                            && let Err(e) = spool.write_all(&piece)
                        {
                            break Err(e);
                        }
                        if pieces_in.send(Ok(piece)).is_err() {
                            break Ok(());
                        }
                    }
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                    Err(e) => break Err(e),
                }
            };
            let summary = match (end, spool.as_mut().map(|s| s.flush()).transpose()) {
                (Ok(()), Ok(_)) => Ok(Summary { size, sha256: hash.finalize().into() }),
                (Err(e), _) | (_, Err(e)) => {
                    let _ = pieces_in.send(Err(io::Error::new(e.kind(), e.to_string())));
                    Err(e)
                }
            };
            let _ = done_in.send(summary);
        })?;
        let mut raw = Pieces { from: pieces.clone(), piece: Vec::new(), at: 0 };
        let mut magic = Vec::new();
        (&mut raw).take(16).read_to_end(&mut magic)?;
        let compression = Compression::of(&magic);
        let mut body = compression.reader(io::Cursor::new(magic).chain(raw))?;
        let mut head = Vec::new();
        // Damage inside the head is met again where the body is read: here only what is before it counts.
        let mut short = body.as_mut().take(KEY_PART);
        let result = short.read_to_end(&mut head);
        let rest: Box<dyn Read + Send> = match result {
            Ok(_) => Box::new(io::Cursor::new(head.clone()).chain(body)),
            Err(e) => Box::new(io::Cursor::new(head.clone()).chain(Failing(Some(e)))),
        };
        let ahead = Ahead { done, drain: pieces, thread: Some(thread) };
        Ok(Input { head, compression, consumed, body: Some(rest), ahead })
    }

    /// The uncompressed data from its first byte on; once.
    pub fn read(&mut self) -> Box<dyn Read + Send> {
        self.body.take().unwrap_or_else(|| Box::new(io::empty()))
    }

    /// Reads on to the end of the file, whatever was not read, so that its hash is of all of it.
    pub fn finish(mut self) -> io::Result<Summary> {
        self.body = None;
        while self.ahead.drain.recv().is_ok() {}
        let summary = self.ahead.done.recv().unwrap_or_else(|_| Err(io::Error::other("the reader stopped")));
        if let Some(thread) = self.ahead.thread.take() {
            let _ = thread.join();
        }
        summary
    }
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
