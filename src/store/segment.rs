//! Segment files: append-only, at most 1 GiB, one folder per raw UTC day (`seg/YYYYMMDD/N.seg`); what belongs to no day (sources, evidence
//! that is done) is in `seg/case`. Written frame by frame, read by `pread`. Knows frames, not what is in them.
//!
//! Segments with numbers from [`MEMORY`] on are in memory, one per import of the same number (see `head.rs`), whatever their day: they are read
//! like the others, never written to disk, and gone when nobody holds them any more.
//!
//! Segments with numbers from [`OWN`] on are files that one import has for itself, one per day (`part-N.seg`): what a live capture writes every
//! few seconds is written together later (see `compact.rs`), and then these files are removed.

use super::frame::{self, FrameKind, HEADER};
use crate::error::{Error, Result};
use crate::model::Time;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};

/// The folder of what belongs to no day.
pub const CASE: i32 = i32::MIN;
/// The folder of days beyond the first thousand or so of one import: a hostile file may name every day there is.
pub const OTHER: i32 = i32::MIN + 1;
/// Segments with numbers from here on are of one import alone: that of the number that is left.
pub const OWN: u32 = 1 << 30;
/// Imports and segments with numbers from here on are in memory.
pub const MEMORY: u32 = 1 << 31;
/// Most segments open for writing.
const OPEN: usize = 16;
/// Most segments open for reading.
const READING: usize = 128;

/// Where a frame stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Folder: days since 1970-01-01, or [`CASE`], [`OTHER`].
    pub day: i32,
    /// Number of the segment within it, from 1.
    pub segment: u32,
    /// Offset of the frame's header.
    pub offset: u64,
    /// Length of its payload.
    pub len: u32,
}

/// Name of a day's folder.
pub fn folder(day: i32) -> String {
    match day {
        CASE => "case".to_owned(),
        OTHER => "other".to_owned(),
        day => Time(i64::from(day).saturating_mul(crate::model::time::DAY)).utc().format("%Y%m%d").to_string(),
    }
}

/// The day of a folder's name.
pub fn day_of(folder: &str) -> Option<i32> {
    match folder {
        "case" => Some(CASE),
        "other" => Some(OTHER),
        text => Some(chrono::NaiveDate::parse_from_str(text, "%Y%m%d").ok()?.to_epoch_days()),
    }
}

/// Name of a segment's file: its number, of one that an import has for itself the import's.
fn file_name(segment: u32) -> String {
    if segment < OWN { format!("{segment}.seg") } else { format!("part-{}.seg", segment - OWN) }
}

/// The inverse of [`file_name`].
fn number_of(name: &str) -> Option<u32> {
    let name = name.strip_suffix(".seg")?;
    match name.strip_prefix("part-") {
        Some(import) => import.parse().ok().filter(|n| *n < OWN).map(|n: u32| OWN | n),
        None => name.parse().ok().filter(|n| *n < OWN),
    }
}

/// The segment files of a case.
#[derive(Debug)]
pub struct Segments {
    dir: PathBuf,
    limit: u64,
    writing: Mutex<Writing>,
    reading: Mutex<HashMap<(i32, u32), (Arc<File>, u64)>>,
    memory: RwLock<HashMap<u32, Weak<InMemory>>>,
}

/// A segment in memory: as long as it is held, its frames can be read.
#[derive(Debug, Default)]
pub struct InMemory(RwLock<Vec<u8>>);

#[derive(Debug, Default)]
struct Writing {
    /// By day and owner: 0, or the number of the segment that one import has for itself.
    open: HashMap<(i32, u32), Open>,
    /// Length of the newest segment of each day and owner (0: none yet), as known from open and later writes.
    ends: BTreeMap<(i32, u32), (u32, u64)>,
    /// Imports with files of their own.
    own: HashSet<u32>,
    /// Lengths up to which segments written to are durable.
    durable: BTreeMap<(i32, u32), u64>,
    uses: u64,
    scratch: Vec<u8>,
}

#[derive(Debug)]
struct Open {
    file: File,
    segment: u32,
    len: u64,
    dirty: bool,
    used: u64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Segments {
    /// The segments below `CASE/seg`; `limit` is the length after which a new one begins.
    pub fn open(case: &Path, limit: u64) -> Result<Segments> {
        let dir = case.join("seg");
        make_dir(&dir)?;
        let segments = Segments { dir, limit, writing: Mutex::default(), reading: Mutex::default(), memory: RwLock::default() };
        let mut ends = BTreeMap::new();
        for (day, segment, len) in segments.list()?.into_iter().filter(|(_, segment, _)| *segment < OWN) {
            ends.insert((day, 0), (segment, len));
        }
        lock(&segments.writing).ends = ends;
        Ok(segments)
    }
    /// Every segment with its length, in order.
    pub fn list(&self) -> Result<Vec<(i32, u32, u64)>> {
        let fail = |e: std::io::Error| Error::store(format!("cannot list segments: {e}")).at_path(&self.dir);
        let mut out = Vec::new();
        for entry in std::fs::read_dir(&self.dir).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            let Some(day) = entry.file_name().to_str().and_then(day_of) else { continue };
            for file in std::fs::read_dir(entry.path()).map_err(fail)? {
                let file = file.map_err(fail)?;
                let name = file.file_name();
                let Some(number) = name.to_str().and_then(number_of) else { continue };
                out.push((day, number, file.metadata().map_err(fail)?.len()));
            }
        }
        out.sort_unstable();
        Ok(out)
    }
    /// Path of a segment.
    pub fn path(&self, day: i32, segment: u32) -> PathBuf {
        self.dir.join(folder(day)).join(file_name(segment))
    }
    /// A new segment in memory, to which frames of the import with this number are appended.
    pub fn in_memory(&self, number: u32) -> Arc<InMemory> {
        let segment = Arc::new(InMemory::default());
        let mut memory = self.memory.write().unwrap_or_else(PoisonError::into_inner);
        memory.retain(|_, segment| segment.strong_count() > 0);
        memory.insert(number, Arc::downgrade(&segment));
        segment
    }
    /// What an import appends from now on goes to files of its own, until [`Segments::close_own`].
    pub fn begin_own(&self, import: u32) {
        if import < OWN {
            lock(&self.writing).own.insert(import);
        }
    }
    /// Nothing more comes of an import that has files of its own.
    pub fn close_own(&self, import: u32) {
        let mut writing = lock(&self.writing);
        if writing.own.remove(&import) {
            let of = |owner: u32| owner == OWN | import;
            writing.open.retain(|(_, owner), _| !of(*owner));
            writing.ends.retain(|(_, owner), _| !of(*owner));
            writing.durable.retain(|(_, segment), _| !of(*segment));
        }
    }
    /// What is appended to a day from now on goes to a new segment.
    pub fn turn(&self, day: i32) -> Result<()> {
        let mut writing = lock(&self.writing);
        if let Some(open) = writing.open.remove(&(day, 0)) {
            sync_file(&open, &self.path(day, open.segment))?;
            writing.durable.insert((day, open.segment), open.len);
        }
        if let Some(end) = writing.ends.get_mut(&(day, 0)) {
            *end = (end.0.saturating_add(1), 0);
        }
        Ok(())
    }
    /// Numbers of segments that were pruned are not given again.
    pub fn never_again(&self, retired: &HashSet<(i32, u32)>) {
        let mut writing = lock(&self.writing);
        for (day, segment) in retired.iter().filter(|(_, segment)| *segment < OWN) {
            let end = writing.ends.entry((*day, 0)).or_default();
            if end.0 <= *segment {
                *end = (segment.saturating_add(1), 0);
            }
        }
    }
    /// Removes a segment that counts for nothing any more and that nobody reads, and its folder with the last one. That it is gone need not be
    /// durable: what is left is removed again at the next open.
    pub fn remove(&self, day: i32, segment: u32) -> Result<()> {
        let path = self.path(day, segment);
        lock(&self.reading).remove(&(day, segment));
        match std::fs::remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(write_error(&e, &path)),
            _ => {}
        }
        // Only an empty folder goes.
        let _ = path.parent().map(std::fs::remove_dir);
        Ok(())
    }
    /// Removes a file that one import had for itself: nobody reads it any more. That it is gone need not be durable: what is left is removed again.
    pub fn remove_own(&self, day: i32, segment: u32) -> Result<()> {
        let path = self.path(day, segment);
        if segment < OWN {
            return Err(Error::internal("a segment of several imports was to be removed").at_path(&path));
        }
        lock(&self.reading).remove(&(day, segment));
        match std::fs::remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(write_error(&e, &path)),
            _ => Ok(()),
        }
    }
    fn of_memory(&self, number: u32) -> Result<Arc<InMemory>> {
        let memory = self.memory.read().unwrap_or_else(PoisonError::into_inner);
        memory.get(&number).and_then(Weak::upgrade).ok_or_else(|| Error::internal("a segment in memory is gone"))
    }
    /// Appends a frame. It is durable after [`Segments::sync`].
    pub fn append(&self, day: i32, kind: FrameKind, id: u32, meta: &[u8], body: &[u8]) -> Result<Place> {
        if id >= MEMORY {
            let segment = self.of_memory(id)?;
            let mut bytes = segment.0.write().unwrap_or_else(PoisonError::into_inner);
            let offset = bytes.len();
            frame::put(&mut bytes, kind, id, meta, body);
            return Ok(Place { day, segment: id, offset: offset as u64, len: (bytes.len() - offset - HEADER) as u32 });
        }
        let mut writing = lock(&self.writing);
        let writing = &mut *writing;
        let mut scratch = std::mem::take(&mut writing.scratch);
        scratch.clear();
        frame::put(&mut scratch, kind, id, meta, body);
        writing.uses += 1;
        let uses = writing.uses;
        let owner = if day != CASE && writing.own.contains(&id) { OWN | id } else { 0 };
        let open = self.for_writing(writing, (day, owner), scratch.len() as u64)?;
        open.used = uses;
        open.dirty = true;
        let place = Place { day, segment: open.segment, offset: open.len, len: (scratch.len() - HEADER) as u32 };
        if let Err(e) = open.file.write_all_at(&scratch, open.len) {
            let _ = open.file.set_len(open.len);
            return Err(write_error(&e, &self.path(day, open.segment)));
        }
        open.len += scratch.len() as u64;
        let (segment, len) = (open.segment, open.len);
        writing.ends.insert((day, owner), (segment, len));
        if scratch.capacity() <= 4 << 20 {
            writing.scratch = scratch;
        }
        Ok(place)
    }
    fn for_writing<'a>(&self, writing: &'a mut Writing, at: (i32, u32), more: u64) -> Result<&'a mut Open> {
        let (day, owner) = at;
        let full = writing.open.get(&at).is_some_and(|o| o.len + more > self.limit && o.len > 0 && owner == 0);
        if full && let Some(open) = writing.open.remove(&at) {
            sync_file(&open, &self.path(day, open.segment))?;
            writing.durable.insert((day, open.segment), open.len);
        }
        if !writing.open.contains_key(&at) {
            if writing.open.len() >= OPEN
                && let Some(oldest) = writing.open.iter().min_by_key(|(_, o)| o.used).map(|(at, _)| *at)
                && let Some(open) = writing.open.remove(&oldest)
            {
                sync_file(&open, &self.path(oldest.0, open.segment))?;
                writing.durable.insert((oldest.0, open.segment), open.len);
            }
            let (segment, len) = match writing.ends.get(&at) {
                Some((segment, len)) if len + more > self.limit && *len > 0 && owner == 0 => (segment + 1, 0),
                Some((segment, len)) => (*segment, *len),
                None => (owner.max(1), 0),
            };
            let path = self.path(day, segment);
            let new = !path.exists();
            if let Some(parent) = path.parent()
                && new
            {
                make_dir(parent)?;
            }
            let file = OpenOptions::new()
                .create(true)
                .truncate(false)
                .write(true)
                .mode(0o600)
                .open(&path)
                .map_err(|e| write_error(&e, &path))?;
            if new && let Some(parent) = path.parent() {
                sync_dir(parent)?;
            }
            writing.open.insert(at, Open { file, segment, len, dirty: false, used: 0 });
        }
        writing.open.get_mut(&at).ok_or_else(|| Error::internal("segment not open"))
    }
    /// Makes every appended frame durable.
    pub fn sync(&self) -> Result<()> {
        let mut writing = lock(&self.writing);
        let writing = &mut *writing;
        for ((day, _), open) in &mut writing.open {
            sync_file(open, &self.path(*day, open.segment))?;
            open.dirty = false;
            writing.durable.insert((*day, open.segment), open.len);
        }
        Ok(())
    }
    /// Length up to which a segment is durable, if it was written to since the case was opened.
    pub fn durable(&self, day: i32, segment: u32) -> Option<u64> {
        lock(&self.writing).durable.get(&(day, segment)).copied()
    }
    /// Shortens a segment: what comes after was never acknowledged.
    pub fn truncate(&self, day: i32, segment: u32, len: u64) -> Result<()> {
        let path = self.path(day, segment);
        let file = OpenOptions::new().write(true).open(&path).map_err(|e| write_error(&e, &path))?;
        file.set_len(len).and_then(|()| file.sync_data()).map_err(|e| write_error(&e, &path))?;
        let mut writing = lock(&self.writing);
        let at = (day, if segment < OWN { 0 } else { segment });
        writing.open.remove(&at);
        if let Some(end) = writing.ends.get_mut(&at).filter(|end| end.0 == segment) {
            end.1 = len;
        }
        Ok(())
    }
    /// A segment opened for reading.
    pub fn file(&self, day: i32, segment: u32) -> Result<Arc<File>> {
        let mut reading = lock(&self.reading);
        let clock = reading.values().map(|(_, used)| *used).max().unwrap_or(0) + 1;
        if let Some((file, used)) = reading.get_mut(&(day, segment)) {
            *used = clock;
            return Ok(Arc::clone(file));
        }
        if reading.len() >= READING
            && let Some(oldest) = reading.iter().min_by_key(|(_, (_, used))| *used).map(|(k, _)| *k)
        {
            reading.remove(&oldest);
        }
        let path = self.path(day, segment);
        let file = File::open(&path).map_err(|e| {
            Error::store(format!("cannot open a segment of the case: {e}"))
                .at_path(&path)
                .hint("restore the file from a copy of the case")
        })?;
        let file = Arc::new(file);
        reading.insert((day, segment), (Arc::clone(&file), clock));
        Ok(file)
    }
    /// Reads `len` bytes that begin `from` bytes into a frame's payload.
    pub fn read(&self, place: &Place, from: u64, len: usize) -> Result<Vec<u8>> {
        let at = place.offset.saturating_add(HEADER as u64).saturating_add(from);
        if place.segment >= MEMORY {
            let segment = self.of_memory(place.segment)?;
            let bytes = segment.0.read().unwrap_or_else(PoisonError::into_inner);
            let some = usize::try_from(at).ok().and_then(|at| bytes.get(at..at.checked_add(len)?));
            return some.map(<[u8]>::to_vec).ok_or_else(|| super::encode::damaged("segment in memory"));
        }
        let mut out = vec![0; len];
        self.file(place.day, place.segment)?.read_exact_at(&mut out, at).map_err(|e| {
            Error::store(format!("cannot read a segment of the case: {e}")).at_path(&self.path(place.day, place.segment))
        })?;
        Ok(out)
    }
    /// Reads a whole frame, checked: its payload.
    pub fn frame(&self, place: &Place) -> Result<Vec<u8>> {
        if place.segment >= MEMORY {
            return self.read(place, 0, place.len as usize);
        }
        let path = || format!("{} at {}", self.path(place.day, place.segment).display(), place.offset);
        let mut head = [0; HEADER];
        let file = self.file(place.day, place.segment)?;
        let fail = |e: std::io::Error| Error::store(format!("cannot read a segment of the case: {e}")).at(path());
        file.read_exact_at(&mut head, place.offset).map_err(fail)?;
        let payload = self.read(place, 0, place.len as usize)?;
        match frame::header(&head) {
            Some(h) if h.len == place.len && frame::intact(&head, &payload, &h) => Ok(payload),
            _ => Err(super::encode::damaged("frame").at(path())),
        }
    }
}

fn sync_file(open: &Open, path: &Path) -> Result<()> {
    if open.dirty { open.file.sync_data().map_err(|e| write_error(&e, path)) } else { Ok(()) }
}

/// Makes the entries of a directory durable. The parent of a bare name is the working directory.
pub fn sync_dir(dir: &Path) -> Result<()> {
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    File::open(dir).and_then(|f| f.sync_all()).map_err(|e| write_error(&e, dir))
}

/// Makes a directory for the owner alone, and its entry durable.
pub fn make_dir(dir: &Path) -> Result<()> {
    match std::fs::DirBuilder::new().mode(0o700).create(dir) {
        Ok(()) => dir.parent().map_or(Ok(()), sync_dir),
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists && dir.is_dir() => Ok(()),
        Err(e) => Err(write_error(&e, dir)),
    }
}

/// The error of a write that failed, with what to do.
pub fn write_error(e: &std::io::Error, path: &Path) -> Error {
    let hint = match e.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
            "free some space on this disk, or move the case to another one"
        }
        std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
            "use a case that you may write to: --case DIR or $BACKTRAIL_CASE"
        }
        _ => "check the disk",
    };
    Error::store(format!("cannot write to the case: {e}")).at_path(path).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_read_back_and_segments_roll_over() {
        let dir = tempfile::tempdir().unwrap();
        let segments = Segments::open(dir.path(), 100).unwrap();
        let places: Vec<_> = (0..5u8).map(|i| segments.append(20_000, FrameKind::Block, 1, b"m", &[i; 40]).unwrap()).collect();
        segments.sync().unwrap();
        assert_eq!(segments.durable(20_000, 5), Some(69));
        for (i, place) in places.iter().enumerate() {
            assert_eq!(segments.frame(place).unwrap()[5..], [i as u8; 40]);
        }
        let again = Segments::open(dir.path(), 1000).unwrap();
        let place = again.append(20_000, FrameKind::Block, 1, b"m", &[9; 40]).unwrap();
        assert_eq!((place.segment, place.offset), (5, 69));
        assert!(again.frame(&Place { len: 1, ..place }).is_err());
    }

    #[test]
    fn days_have_folders_that_read_back() {
        for day in [CASE, OTHER, 0, 20_000, -106_000, 106_000] {
            assert_eq!(day_of(&folder(day)), Some(day));
        }
    }
}
