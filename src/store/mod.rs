//! What is kept, and how is it found again? Case directory, segments, indexes, journal, recovery.
//!
//! Segment files and the journal are the truth; the catalog (sled) holds pointers into them and can be rebuilt at any time. Blocks of rows in
//! columns are appended to segments; an import of one evidence file is a transaction that its `done` frame ends.
//! Knows nothing of the text of queries, of links, or of screens.

#![allow(clippy::type_complexity, reason = "callbacks read best where they are taken")]

pub mod ask;
pub mod based;
pub mod bits;
pub mod block;
pub mod busiest;
pub mod cache;
pub mod candidates;
pub mod case_dir;
pub mod catalog;
pub mod check;
pub mod clocks;
pub mod column;
pub mod commit;
pub mod compact;
pub mod contents;
pub mod encode;
pub mod encoder;
pub mod estimates;
pub mod eval;
pub mod frame;
pub mod head;
pub mod import;
pub mod journal;
pub mod keys;
pub mod lock;
pub mod memory_catalog;
pub mod mend;
pub mod names;
pub mod names_chunk;
pub mod numbers;
pub mod opening;
pub mod packets;
pub mod parallel;
pub mod parts;
pub mod passive;
pub mod plan;
pub mod postings;
pub mod prune;
pub mod prune_fates;
pub mod prune_plan;
pub mod prune_step;
pub mod pruned;
pub mod reader;
pub mod recover;
pub mod rollups;
pub mod scan;
pub mod segment;
pub mod select;
pub mod sightings;
pub mod sizes;
pub mod sled_catalog;
pub mod snapshot;
pub mod summed;
pub mod sweep;
pub mod sweep_wanted;
pub mod told;
pub mod top_hosts;
pub mod trim;
pub mod values;
pub mod verify;
pub mod zone;

pub use ask::{Ask, Selected};
pub use case_dir::Reserve;
pub use compact::Compacted;
pub use head::Published;
pub use import::{Begin, Import};
pub use journal::{Journal, now};
pub use passive::{NamesGroup, PassiveEntry};
pub use prune::Pruned;
pub use prune_plan::{Pin, Plan, Wish};
pub use pruned::Kept;
pub use select::Row;
pub use sightings::{FlowSight, Sightings};
pub use snapshot::{BlockId, Snapshot};
pub use summed::Summed;
pub use sweep_wanted::Wanted;
pub use told::{Content, Done, NewEvidence, SourceRead, starts};

use crate::error::{Error, Result};
use crate::model::evidence::EvidenceInfo;
use crate::model::evidence::UNREAD;
use crate::model::hex::hex;
use crate::model::source::{SourceInfo, SourceKey};
use crate::model::{EvidenceKey, SourceId};
use case_dir::CaseDir;
use catalog::Catalog;
use contents::{Contents, ImportData};
use frame::FrameKind;
use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How a case is opened.
#[derive(Debug, Clone)]
pub struct OpenOptions {
    /// Make it if it is not there.
    pub create: bool,
    /// How long to wait for another process that holds it.
    pub wait: Duration,
    /// Name of a new case; none: of its directory.
    pub name: Option<String>,
    /// How much of the disk stays free.
    pub reserve: Reserve,
    /// Space set aside to be given up when the disk is full all the same; 0: none.
    pub ballast: u64,
    /// Keep the catalog in memory: for a case that is forgotten at the end. Opened again, it is rebuilt.
    pub forget: bool,
    /// Length after which a new segment begins.
    pub segment: u64,
    /// Bytes of decoded columns that are kept in memory.
    pub cache: usize,
}

impl Default for OpenOptions {
    fn default() -> OpenOptions {
        OpenOptions {
            create: false,
            wait: Duration::ZERO,
            name: None,
            reserve: Reserve::default(),
            ballast: 64 << 20,
            forget: false,
            segment: 1 << 30,
            cache: 48 << 20,
        }
    }
}

/// Evidence that a longer file may continue: the first `size` bytes of that file have to have its SHA-256.
#[derive(Debug, Clone)]
pub struct Grown {
    /// The evidence.
    pub info: EvidenceInfo,
    /// Bytes of its uncompressed data.
    pub size: u64,
    /// SHA-256 of them, hexadecimal.
    pub sha256: String,
    /// Uncompressed length that was read of it.
    pub text_end: u64,
    /// Where in the uncompressed data reading it began: what is before belongs to evidence that it continued itself.
    pub from: u64,
}

/// An open case. Clones share it; it is closed with the last.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    case: CaseDir,
    segments: Arc<segment::Segments>,
    catalog: Mutex<Box<dyn Catalog>>,
    journal: Journal,
    state: Mutex<State>,
    /// Held while a live head is made and swapped in.
    publishing: Mutex<()>,
    /// Held while parts are written together, days are dropped, or files are checked.
    compacting: Mutex<()>,
    /// Told when days were dropped.
    pruned: Condvar,
    cache: Arc<cache::Cache>,
    notices: Mutex<Vec<String>>,
    /// Last: released after everything else is closed.
    _lock: lock::CaseLock,
}

struct State {
    contents: Contents,
    active: HashSet<EvidenceKey>,
    heads: BTreeMap<EvidenceKey, head::Head>,
    committed: BTreeMap<EvidenceKey, head::Committed>,
    /// How often the live head was changed.
    published: u64,
    /// Parts that stand elsewhere now: their files are there as long as a view sees them.
    replaced: Vec<Arc<ImportData>>,
    /// Segments that were pruned, and what sees them.
    retired: Vec<prune::Retired>,
    /// What was not is not begun while days are dropped.
    pruning: bool,
    /// The clocks as measured.
    estimates: Arc<estimates::Estimates>,
    snapshot: Option<(u64, Arc<Snapshot>)>,
}

fn hold<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Store {
    /// Opens a case, or makes it if the options say so; repairs by itself what an interruption left, see [`Store::notices`].
    pub fn open(dir: &Path, options: &OpenOptions) -> Result<Store> {
        let now = journal::now();
        // A bare name has no parent directory to make or to sync.
        let dir = &std::path::absolute(dir).map_err(|e| Error::store(format!("not a directory: {e}")).at_path(dir))?;
        let mut case = CaseDir::open(dir, options.create, options.name.as_deref(), options.reserve, now)?;
        let lock = lock::CaseLock::take(dir, options.wait, now)?;
        case.upgrade()?;
        let mut notices: Vec<String> = case.exposed().into_iter().collect();
        let journal = Journal::open(dir, &mut notices)?;
        let segments = Arc::new(segment::Segments::open(dir, options.segment)?);
        let (catalog, contents) = opening::open_catalog(dir, options, &segments, &mut notices)?;
        case.keep_ballast(options.ballast);
        let state = State {
            contents,
            active: HashSet::new(),
            heads: BTreeMap::new(),
            committed: BTreeMap::new(),
            published: 0,
            replaced: Vec::new(),
            retired: Vec::new(),
            pruning: false,
            estimates: Arc::new(estimates::load(dir)),
            snapshot: None,
        };
        let inner = Inner {
            case,
            segments,
            catalog: Mutex::new(catalog),
            journal,
            state: Mutex::new(state),
            publishing: Mutex::default(),
            compacting: Mutex::default(),
            pruned: Condvar::new(),
            cache: Arc::new(cache::Cache::new(options.cache)),
            notices: Mutex::new(notices),
            _lock: lock,
        };
        let store = Store(Arc::new(inner));
        store.derive_missing();
        Ok(store)
    }
    /// What was repaired when it was opened, in words.
    pub fn notices(&self) -> Vec<String> {
        hold(&self.0.notices).clone()
    }
    pub(crate) fn notice(&self, text: String) {
        hold(&self.0.notices).push(text);
    }
    /// Directory of the case.
    pub fn dir(&self) -> PathBuf {
        self.0.case.path.clone()
    }
    /// Name of the case.
    pub fn name(&self) -> String {
        self.0.case.case.name.clone()
    }
    /// Saves where a session stands.
    pub fn save_place(&self, user: &str, session: &str, place: &str) -> Result<()> {
        self.0.case.save_place(user, session, place)
    }
    /// Keeps a text that a place refers to; gives the name under which it can be read again.
    pub fn keep_text(&self, text: &str) -> Result<String> {
        self.0.case.keep_text(text)
    }
    /// A text that was kept; none: it is gone.
    pub fn kept_text(&self, name: &str) -> Option<String> {
        self.0.case.kept_text(name)
    }
    /// Where a user stood last.
    pub fn place(&self, user: &str) -> Option<String> {
        self.0.case.place(user)
    }
    /// The journal of what people entered.
    pub fn journal(&self) -> &Journal {
        &self.0.journal
    }
    /// Begins to import a file; known evidence is given back instead.
    pub fn begin(&self, new: &NewEvidence) -> Result<Begin> {
        self.room()?;
        let (id, unread) = {
            let mut state = self.wait_for_pruning();
            // Evidence that a longer file replaced is known too: all of it is in that file. What damage took is read again.
            let read = |i: &&Arc<ImportData>| i.done.key == new.key.0 && i.is_whole();
            if let Some(data) = state.contents.imports.values().find(read) {
                return Ok(Begin::Known(Box::new(data.done.info(data))));
            }
            if !state.active.insert(new.key) {
                return Err(Error::user("this file is being imported already").at(new.path.clone()));
            }
            let id = state.contents.next_import;
            state.contents.next_import += 1;
            let is_less = |i: &ImportData| (i.done.exported || i.is_damaged()) && i.done.key == new.key.0;
            let replaced = |i: &&Arc<ImportData>| is_unread(i, new) || is_less(i);
            let unread = state.contents.imports.values().filter(replaced).map(|i| i.id).collect();
            (id, unread)
        };
        Import::new(self.clone(), id, new.clone(), unread).map(|import| Begin::Fresh(Box::new(import)))
    }
    /// What the case has, once no days are being dropped.
    fn wait_for_pruning(&self) -> MutexGuard<'_, State> {
        let mut state = hold(&self.0.state);
        while state.pruning {
            state = self.0.pruned.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state
    }
    /// Whether a file is known as not read: the same content elsewhere, or this very file for the same reason.
    pub fn has_refused(&self, new: &NewEvidence, why: &[String]) -> bool {
        let same = |i: &ImportData| is_unread(i, new) && (i.done.path != new.path || i.done.warnings == why);
        self.snapshot().imports().iter().any(|i| same(i))
    }
    /// Keeps that files were handed over and not read, each with why as its first warning. What is known, or was refused for the same reason,
    /// stays as it is; a later import of the file takes its place.
    pub fn refuse(&self, files: Vec<(NewEvidence, Done)>) -> Result<()> {
        let mut refused = Vec::new();
        let mut keys = HashSet::new();
        for (new, done) in files {
            if self.has_refused(&new, &done.warnings) || !keys.insert(new.key) {
                continue;
            }
            if let Begin::Fresh(import) = self.begin(&new)? {
                refused.push((import, done));
            }
        }
        if refused.is_empty() {
            return Ok(());
        }
        let mut catalog = hold(&self.0.catalog);
        catalog.check()?;
        let (sequence, next) = {
            let state = hold(&self.0.state);
            (state.contents.sequence() + 1, state.contents.next_import)
        };
        let (mut changes, mut all) = (Vec::new(), Vec::new());
        for (n, (import, done)) in refused.into_iter().enumerate() {
            let done = import.describe(Done { format: UNREAD.to_owned(), ..done }, sequence + n as u64, next);
            let bytes = done.bytes()?;
            let place = self.0.segments.append(import::NO_DAY, FrameKind::Done, import.id(), &bytes, &[]);
            all.push((import, done, place.map_err(|e| self.full(e))?));
        }
        self.0.segments.sync()?;
        // How far the segments are durable is known from here on.
        for (import, _, place) in &mut all {
            changes.extend(import.last_batch(place));
        }
        catalog.commit(changes).map_err(|e| self.full(e))?;
        let mut state = hold(&self.0.state);
        let mut ended = Vec::new();
        for (mut import, done, _) in all {
            let data = import.take_data(done);
            state.contents.imports.insert(data.id, Arc::new(data));
            ended.push(import);
        }
        state.snapshot = None;
        drop(state);
        drop(ended);
        Ok(())
    }
    /// Evidence that is longer than a file with these first bytes (see [`told::starts`]) and begins with them: it may hold all of
    /// the file. `size`: bytes of the file's uncompressed data, if known.
    pub fn longer(&self, starts: &[String], size: Option<u64>) -> Vec<EvidenceInfo> {
        let Some((last, at)) = starts.last().zip(starts.len().checked_sub(1)) else { return Vec::new() };
        let state = hold(&self.0.state);
        let longer = |i: &&Arc<ImportData>| {
            i.done.starts.get(at) == Some(last) && i.done.content().is_some_and(|(len, ..)| size.is_none_or(|size| len > size))
        };
        state.contents.visible().iter().filter(longer).map(|i| i.done.info(i)).collect()
    }
    /// Evidence that uncompressed data of this size and beginning may hold or continue, the longest first. Of evidence shorter than 64 KiB the
    /// beginning says nothing. The caller compares the SHA-256 of the first `size` bytes.
    pub fn grown_candidates(&self, head_hash: [u8; 32], size: u64) -> Vec<Grown> {
        let head = hex(&head_hash);
        let state = hold(&self.0.state);
        let grown = |i: &ImportData| {
            let (known, start, sha256) = i.done.content()?;
            let fits = known > 0 && known <= size && (known < 64 << 10 || start == head);
            fits.then(|| Grown {
                info: i.done.info(i),
                size: known,
                sha256: sha256.to_owned(),
                text_end: i.done.text_end,
                from: i.done.continues.map_or(0, |(_, from)| from),
            })
        };
        let mut out: Vec<Grown> = state.contents.visible().iter().filter_map(|i| grown(i)).collect();
        out.sort_by_key(|g| std::cmp::Reverse(g.size));
        out
    }
    /// An immutable view of every import that has ended and of the live head, with clocks as set by hand until now.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        let mut state = hold(&self.0.state);
        let version = self.0.journal.clock_version();
        if let Some((at, snapshot)) = &state.snapshot
            && *at == version
        {
            return Arc::clone(snapshot);
        }
        let settings = clocks::settings(&self.0.journal.decisions());
        let live = (state.published, head::live(&state.heads, &state.contents));
        let snapshot = Snapshot::new(
            Arc::clone(&self.0.segments),
            Arc::clone(&self.0.cache),
            &state.contents,
            live,
            &settings,
            &state.estimates,
        );
        let snapshot = Arc::new(snapshot);
        state.snapshot = Some((version, Arc::clone(&snapshot)));
        snapshot
    }
    /// Every evidence file whose rows are seen.
    pub fn evidence(&self) -> Vec<EvidenceInfo> {
        self.snapshot().evidence()
    }
    /// Every source.
    pub fn sources(&self) -> Vec<SourceInfo> {
        self.snapshot().sources()
    }
    pub(crate) fn segments(&self) -> &segment::Segments {
        &self.0.segments
    }
    /// Whether the disk has room beyond what stays free.
    pub fn room(&self) -> Result<()> {
        self.0.case.room()
    }
    /// After a write that failed: gives up the ballast if the disk is full.
    pub(crate) fn full(&self, error: Error) -> Error {
        if self.room().is_err() {
            self.0.case.drop_ballast();
        }
        error
    }
    pub(crate) fn ended(&self, key: EvidenceKey) {
        hold(&self.0.state).active.remove(&key);
    }
    pub(crate) fn imports_of(&self, key: EvidenceKey) -> Vec<u32> {
        hold(&self.0.state).contents.imports.values().filter(|i| i.done.key == key.0).map(|i| i.id).collect()
    }
    pub(crate) fn source_for(&self, key: &SourceKey, rename: Option<&str>) -> Result<SourceId> {
        let mut state = hold(&self.0.state);
        if let Some(known) = state.contents.sources.values().find(|s| s.key() == *key) {
            return Ok(SourceId(known.id));
        }
        let id = state.contents.sources.keys().next_back().map_or(1, |id| id + 1).max(state.contents.least_source);
        let name =
            import::name_for(key, rename, &|name| state.contents.sources.values().any(|s| s.name.eq_ignore_ascii_case(name)));
        let (frame, bytes) = import::source_frame(id, key, name)?;
        self.0.segments.append(import::NO_DAY, FrameKind::Source, id, &bytes, &[])?;
        state.contents.sources.insert(id, frame);
        Ok(SourceId(id))
    }
}

/// Whether an import is of this file and could not read it.
fn is_unread(import: &ImportData, new: &NewEvidence) -> bool {
    import.done.format == UNREAD && (import.done.key == new.key.0 || import.done.path == new.path)
}

#[cfg(test)]
mod copied;

#[cfg(test)]
mod damage_tests;

#[cfg(test)]
mod tests;

#[cfg(test)]
mod crash_tests;
