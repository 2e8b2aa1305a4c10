//! Source -> protocols or formats -> flow -> store, with progress, counts, cancellation. One file after another, each
//! on up to four threads: it is read and hashed, unpacked and framed (captures), understood, encoded and written. No record is lost without being
//! counted.

pub mod archive;

pub mod background;

pub mod batch;

pub mod capture;

pub mod exported;
pub mod exports;

pub mod file;

pub mod known;

pub mod live;

pub mod refused;

pub mod replay;

pub mod report;

pub mod rotation;

pub mod sanity;

pub mod sanity_missed;

pub mod sanity_overlap;

pub mod spool;

pub mod stem;

pub mod stream;

pub mod synthetic;

pub mod text;

pub mod unknown;

pub mod unpacked;

pub mod writer;

pub use background::{Feeder, Live};
pub use report::{FileReport, Outcome, Report};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::flow::{Checksums, Profile};
use crate::formats::{Format, Zone};
use crate::links::clocks;
use crate::model::clock::ClockState;
use crate::model::source::{DateOrder, SourceInfo};
use crate::model::{Cancel, Time};
use crate::sources::archive::Keys;
use crate::sources::archive::keys::Ask;
use crate::sources::input::Stop;
use crate::sources::walk::{Found, walk};
use crate::store::{Done, NewEvidence, Store};
use file::{Subject, kept};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use stream::Late;

/// What is read instead of this process's standard input, once.
pub type Input = Arc<Mutex<Option<Box<dyn Read + Send>>>>;

/// What an import is to do.
#[derive(Clone, Default)]
pub struct Request {
    /// Files, folders, or `-` for standard input.
    pub paths: Vec<PathBuf>,
    /// Format instead of the one recognised.
    pub format: Option<&'static dyn Format>,
    /// Source name instead of the one that the content gives.
    pub source: Option<String>,
    /// Zone for times without one.
    pub zone: Option<Zone>,
    /// Year for times without one.
    pub year: Option<i32>,
    /// Order of dates like 03/04/2026, instead of the one that each file gives.
    pub dates: Option<DateOrder>,
    /// Custody: from whom, how obtained, ticket.
    pub custody: [String; 3],
    /// When flows of captures end without a packet that says so.
    pub timeouts: Profile,
    /// What packets of captures with a wrong checksum are.
    pub checksums: Checksums,
    /// Passwords of archives, tried in this order.
    pub passwords: Vec<String>,
    /// Keep no copy of compressed captures from which packets can be read again without unpacking all.
    pub no_spool: bool,
    /// Asks a person for the password of an archive that none of these opens.
    pub ask: Option<Ask>,
    /// What `-` stands for; none: standard input.
    pub input: Option<Input>,
}

/// How far an import is.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Progress {
    /// Which file of how many, from 1.
    pub file: usize,
    /// Number of files.
    pub files: usize,
    /// Path of the file being read.
    pub path: String,
    /// Bytes of it read.
    pub bytes: u64,
    /// Its size; 0 for a stream.
    pub size: u64,
    /// Records stored so far, of all files.
    pub records: u64,
    /// Members of archives met so far.
    pub members: u64,
}

/// What an import needs from whoever started it.
pub struct Watch<'a> {
    /// Asked between units of work whether to go on; `true`: stop. Of the file being read nothing is kept, it can be read again; of a
    /// stream what was taken is kept.
    pub stop: Stop,
    /// Told how far it is, some times a second.
    pub progress: &'a (dyn Fn(&Progress) + Sync),
    /// The time now: of streams, and of files without a modification time.
    pub now: Time,
}

impl Request {
    /// Format and zone by what was typed.
    pub fn with_options(mut self, format: Option<&str>, zone: Option<&str>) -> Result<Request> {
        if let Some(name) = format {
            let format = crate::formats::find(name).ok_or_else(|| {
                let near = crate::error::nearest(name, crate::formats::ALL.iter().map(|f| f.name()));
                Error::user(format!("no format is called `{name}`"))
                    .hint(near.map_or("backtrail formats lists them".into(), |n| format!("did you mean `{n}`?")))
            })?;
            self.format = Some(format);
        }
        if let Some(text) = zone {
            self.zone = Some(zone_of(text)?);
        }
        Ok(self)
    }
}

/// An order of dates by what was typed.
pub fn dates_of(text: &str) -> Result<DateOrder> {
    DateOrder::parse(text).ok_or_else(|| {
        Error::user(format!("`{text}` is not an order of dates")).hint("month-first (03/04 is 4 March) or day-first (3 April)")
    })
}

/// A zone by what was typed.
pub fn zone_of(text: &str) -> Result<Zone> {
    Zone::parse(text).ok_or_else(|| {
        Error::user(format!("`{text}` is not a time zone")).hint("UTC, an offset like +02:00, or a name like Europe/Berlin")
    })
}

/// An import under way: what it is to do, and what became of it so far.
pub struct Run<'a> {
    store: &'a Store,
    request: &'a Request,
    watch: &'a Watch<'a>,
    progress: Progress,
    rows: Vec<FileReport>,
    /// What was not read, to be kept.
    refused: Vec<(NewEvidence, Done)>,
}

impl<'a> Run<'a> {
    fn new(store: &'a Store, request: &'a Request, watch: &'a Watch<'a>) -> Run<'a> {
        Run { store, request, watch, progress: Progress::default(), rows: Vec::new(), refused: Vec::new() }
    }
}

impl Run<'_> {
    fn compared(&mut self) -> Vec<String> {
        self.progress.path = "comparing clocks".into();
        (self.watch.progress)(&self.progress);
        compared(self.store, &self.watch.stop)
    }
}

/// Imports one stream that is open already; the paths of the request are not looked at.
pub fn ingest_stream(
    store: &Store,
    stream: Box<dyn Read + Send>,
    name: &Path,
    request: &Request,
    watch: &Watch<'_>,
) -> Result<FileReport> {
    let mut run = Run::new(store, request, watch);
    stream::ingest_stream(&mut run, stream, name)?;
    run.rows.pop().ok_or_else(|| Error::internal("a stream has no row"))
}

/// Compares the clocks of what came with those of what was there; what is known anew of them, in words.
pub(crate) fn compared(store: &Store, stop: &Stop) -> Vec<String> {
    let cancel = Cancel::default();
    let done = AtomicBool::new(false);
    let changed = std::thread::scope(|scope| {
        // What is read of a large case takes seconds: a stop must reach it.
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) && !cancel.is_cancelled() {
                if stop() {
                    cancel.cancel();
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        let changed = clocks::renew(store, &cancel);
        done.store(true, Ordering::Relaxed);
        changed
    });
    let changed = match changed {
        Ok(changed) => changed,
        // What was imported is there all the same; the next import compares again.
        Err(e) => return vec![format!("clocks were not compared: {}", e.what)],
    };
    let sources = store.sources();
    let name = |id| sources.iter().find(|s| s.id == id).map_or_else(|| "?".to_owned(), |s| s.name.clone());
    // That nothing is known is said where the clock was only assumed; the reference is named by those that are compared with it.
    let said = |s: &&SourceInfo| {
        s.estimate.as_ref().is_some_and(|e| match e.state {
            ClockState::Reference => false,
            ClockState::Unknown => !s.is_checked(),
            _ => true,
        })
    };
    changed
        .iter()
        .filter(said)
        .filter_map(|s| Some(format!("clock of {}: {}", s.name, s.estimate.as_ref()?.in_words(&name))))
        .collect()
}

/// Imports every file below the requested paths. Only a refusal of the case itself is an error: what becomes of each file is in the report.
pub fn ingest(store: &Store, request: &Request, watch: &Watch<'_>) -> Result<Report> {
    let (streams, paths): (Vec<PathBuf>, Vec<PathBuf>) = request.paths.iter().cloned().partition(|p| p.as_os_str() == "-");
    unpacked::sweep(store);
    let found = walk(&paths);
    let files: Vec<&Path> =
        found.iter().filter_map(|f| if let Found::File(path) = f { Some(path.as_path()) } else { None }).collect();
    let mut gaps = rotation::gaps(&files);
    let keys = Keys::new(&request.passwords, request.ask.as_ref());
    let mut run = Run::new(store, request, watch);
    run.progress.files = found.len() + streams.len();
    let mut stopped = false;
    for item in found {
        if (watch.stop)() {
            stopped = true;
            break;
        }
        run.progress.file += 1;
        match item {
            Found::File(path) => {
                let gap = gaps.remove(&path);
                file::ingest_file(&mut run, &keys, Subject::file(&path, gap))?;
            }
            Found::Stream(path) => {
                run.progress.path = path.display().to_string();
                stream::ingest_stream(&mut run, Box::new(Late::new(path.clone())), &path)?;
            }
            Found::Skipped(path, why) => run.rows.push(FileReport::new(path.display().to_string(), Outcome::Skipped(why))),
            Found::Failed(path, error) => {
                let row = FileReport::new(path.display().to_string(), Outcome::Failed(error));
                if path.symlink_metadata().is_ok() {
                    run.refuse(&row, &kept(&path), None)?;
                }
                run.rows.push(row);
            }
        }
    }
    // The stop may have come in the last file.
    stopped |= (watch.stop)();
    if !streams.is_empty() && !stopped {
        run.progress.file += 1;
        run.progress.path = "-".into();
        let given = request.input.as_ref().map(|input| input.lock().unwrap_or_else(PoisonError::into_inner).take());
        let input = match given {
            // A second `-` of what was read already is as empty as standard input would be.
            Some(given) => given.unwrap_or_else(|| Box::new(std::io::empty())),
            None => Box::new(std::io::stdin()),
        };
        stream::ingest_stream(&mut run, input, Path::new("-"))?;
        stopped |= (watch.stop)();
    }
    run.keep_refused()?;
    let clocks = if stopped { Vec::new() } else { run.compared() };
    Ok(Report { files: run.rows, stopped, clocks })
}
