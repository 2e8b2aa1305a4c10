//! Carried files on their way to disk: each into a file of its own that only its owner can read, bounded in number and in bytes. What cannot
//! be written any more is counted, not an error of the packets.

use crate::error::{Error, Result};
use crate::protocols::common::keep::{Keep, Kept};
use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bytes of a file that are in memory: a file handle is held only while they are written, however many files pass at once.
const BUFFER: usize = 16 << 10;
/// Separate parts of one file; what comes in more is left out.
const MAX_RANGES: usize = 65_536;

/// How much is written at most.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Files.
    pub files: u64,
    /// Bytes of all files.
    pub bytes: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { files: 10_000, bytes: 8 << 30 }
    }
}

/// What is known of a file that was kept.
#[derive(Debug, Clone, Default)]
pub struct Spooled {
    /// Parts that were written, in order, none touching another: start, end.
    pub ranges: Vec<(u64, u64)>,
    /// Where the file ends as far as is known.
    pub length: u64,
    /// Nothing is missing.
    pub sound: bool,
    /// A bound was reached: what came after it is left out.
    pub bounded: bool,
    /// Its last byte has passed.
    pub ended: bool,
    /// There were too many files: nothing of this one was written.
    pub refused: bool,
}

impl Spooled {
    /// The parts that are missing: start, end.
    pub fn gaps(&self) -> Vec<(u64, u64)> {
        let mut at = 0;
        let mut gaps = Vec::new();
        for (start, end) in &self.ranges {
            if *start > at {
                gaps.push((at, *start));
            }
            at = *end;
        }
        if self.length > at {
            gaps.push((at, self.length));
        }
        gaps
    }
    /// Notes a part that was written; false: there are too many parts.
    fn add(&mut self, start: u64, end: u64) -> bool {
        match self.ranges.last_mut() {
            Some((first, last)) if *first <= start && start <= *last => *last = end.max(*last),
            _ => {
                let from = self.ranges.partition_point(|(_, e)| *e < start);
                let to = self.ranges.partition_point(|(s, _)| *s <= end);
                let touched = self.ranges.get(from..to).unwrap_or_default();
                let joined = touched.iter().fold((start, end), |(s, e), r| (s.min(r.0), e.max(r.1)));
                if touched.is_empty() && self.ranges.len() >= MAX_RANGES {
                    return false;
                }
                self.ranges.splice(from..to, [joined]);
            }
        }
        true
    }
}

#[derive(Default)]
struct State {
    files: HashMap<u64, Spooled>,
    begun: u64,
    kept: u64,
    bytes: u64,
    /// Files that were not written for the bound.
    refused: u64,
    failed: Option<io::Error>,
}

struct Shared {
    dir: PathBuf,
    limits: Limits,
    state: Mutex<State>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
    fn path(&self, number: u64) -> PathBuf {
        self.dir.join(format!("{number}.part"))
    }
}

/// See the module. Clones are one spool.
#[derive(Clone)]
pub struct Spool(Arc<Shared>);

impl Spool {
    /// In a folder that only its owner can enter.
    pub fn new(dir: &Path, limits: Limits) -> Spool {
        Spool(Arc::new(Shared { dir: dir.to_owned(), limits, state: Mutex::default() }))
    }
    /// What is known of a file, and where it lies; nothing of it may have been written.
    pub fn take(&self, number: u64) -> (Spooled, PathBuf) {
        (self.0.state().files.remove(&number).unwrap_or_default(), self.0.path(number))
    }
    /// A file is not wanted after all: it makes room for others.
    pub fn discard(&self, number: u64) {
        let mut state = self.0.state();
        if let Some(file) = state.files.remove(&number) {
            let size: u64 = file.ranges.iter().map(|(s, e)| e - s).sum();
            state.bytes = state.bytes.saturating_sub(size);
            state.kept = state.kept.saturating_sub(u64::from(!file.ranges.is_empty()));
            state.refused = state.refused.saturating_sub(u64::from(file.refused));
        }
        // It may never have been written.
        let _ = std::fs::remove_file(self.0.path(number));
    }
    /// Files that were left out because there were too many.
    pub fn refused(&self) -> u64 {
        self.0.state().refused
    }
    /// What went wrong while writing.
    pub fn check(&self) -> Result<()> {
        match &self.0.state().failed {
            Some(e) => Err(Error::io("cannot write", &self.0.dir, e).hint("-w a folder where there is space")),
            None => Ok(()),
        }
    }
}

impl Keep for Spool {
    fn begin(&self) -> Option<Box<dyn Kept>> {
        let mut state = self.0.state();
        let number = state.begun;
        state.begun += 1;
        state.files.insert(number, Spooled::default());
        Some(Box::new(Writing { spool: self.clone(), number, start: 0, buffer: Vec::new() }))
    }
}

struct Writing {
    spool: Spool,
    number: u64,
    start: u64,
    buffer: Vec<u8>,
}

impl Writing {
    fn flush(&mut self) {
        if self.buffer.is_empty() {
            return;
        }
        let bytes = std::mem::take(&mut self.buffer);
        let (start, shared) = (self.start, &self.spool.0);
        let end = start.saturating_add(bytes.len() as u64);
        let mut state = shared.state();
        // Offsets are the sender's word: a file is not made longer than all files may be.
        let room = shared.limits.bytes.saturating_sub(state.bytes);
        let fits = bytes.len() as u64 <= room && end <= shared.limits.bytes;
        if state.failed.is_some() {
            return;
        }
        let full = state.kept >= shared.limits.files;
        let Some(file) = state.files.get_mut(&self.number).filter(|f| !f.refused) else { return };
        let first = file.ranges.is_empty();
        if first && full {
            file.refused = true;
            state.refused = state.refused.saturating_add(1);
            return;
        }
        if file.bounded || !fits || !file.add(start, end) {
            file.bounded = true;
            return;
        }
        state.kept = state.kept.saturating_add(u64::from(first));
        let written = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(shared.path(self.number))
            .and_then(|mut f| f.seek(SeekFrom::Start(start)).and_then(|_| f.write_all(&bytes)));
        match written {
            Ok(()) => state.bytes = state.bytes.saturating_add(bytes.len() as u64),
            Err(e) => state.failed = Some(e),
        }
    }
}

impl Kept for Writing {
    fn number(&self) -> u64 {
        self.number
    }
    fn put(&mut self, offset: u64, bytes: &[u8]) {
        if offset != self.start.saturating_add(self.buffer.len() as u64) || self.buffer.len() >= BUFFER {
            self.flush();
        }
        if self.buffer.is_empty() {
            self.start = offset;
        }
        self.buffer.extend_from_slice(bytes);
    }
    fn end(&mut self, length: u64, sound: bool) {
        self.flush();
        if let Some(file) = self.spool.0.state().files.get_mut(&self.number) {
            (file.length, file.sound, file.ended) = (length, sound && !file.bounded, true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(kept: &mut dyn Kept, parts: &[(u64, &str)]) {
        parts.iter().for_each(|(at, text)| kept.put(*at, text.as_bytes()));
    }

    #[test]
    fn parts_in_any_order_make_a_file_and_what_is_missing_is_known() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::new(dir.path(), Limits::default());
        let mut kept = spool.begin().unwrap();
        put(&mut *kept, &[(8, "ij"), (0, "ab"), (2, "cX"), (3, "d")]);
        kept.end(12, false);
        let (file, path) = spool.take(kept.number());
        assert_eq!((file.ranges.clone(), file.gaps()), (vec![(0, 4), (8, 10)], vec![(4, 8), (10, 12)]));
        assert_eq!(std::fs::read(path).unwrap(), b"abcd\0\0\0\0ij");
    }

    #[test]
    fn number_and_bytes_are_bounded_and_what_is_discarded_makes_room() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::new(dir.path(), Limits { files: 2, bytes: 4 });
        let new = |parts: &[(u64, &str)]| {
            let mut kept = spool.begin().unwrap();
            put(&mut *kept, parts);
            kept.end(parts.iter().map(|(at, text)| at + text.len() as u64).max().unwrap_or(0), true);
            kept.number()
        };
        // One without a byte is none.
        new(&[]);
        let a = new(&[(0, "abc")]);
        let b = new(&[(0, "xy")]);
        let (file, path) = spool.take(b);
        assert!(file.bounded && !file.sound && !path.exists());
        let c = new(&[(0, "x")]);
        let d = new(&[(0, "y")]);
        assert!(spool.refused() == 1 && spool.take(d).0.refused);
        spool.discard(a);
        spool.discard(c);
        let e = new(&[(0, "abcd"), (1 << 60, "z")]);
        let (file, _) = spool.take(e);
        assert!(file.bounded && file.ranges == [(0, 4)]);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn parts_are_joined_whatever_their_order() {
        let mut file = Spooled::default();
        for (s, e) in [(10, 12), (0, 2), (4, 6), (2, 4), (6, 11), (20, 21)] {
            assert!(file.add(s, e));
        }
        assert_eq!(file.ranges, [(0, 12), (20, 21)]);
    }
}
