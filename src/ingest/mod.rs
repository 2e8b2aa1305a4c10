//! Source -> protocols or formats -> flow -> store, with progress, counts, cancellation. One file after another; while one is read ahead,
//! hashed and decoded, what was understood before it is encoded and written on another thread. No record is lost without being counted.

pub mod capture;

pub mod file;

pub mod report;

pub mod sanity;

pub mod stem;

pub mod text;

pub mod unknown;

pub mod writer;

pub use report::{FileReport, Outcome, Report};

use crate::error::{Error, Result};
use crate::formats::{Format, Zone};
use crate::model::Time;
use crate::sources::input::Stop;
use crate::sources::walk::{Found, walk};
use crate::store::Store;
use std::path::{Path, PathBuf};

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
    /// Custody: from whom, how obtained, ticket.
    pub custody: [String; 3],
}

/// How far an import is.
#[derive(Debug, Clone, Default)]
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

/// A zone by what was typed.
pub fn zone_of(text: &str) -> Result<Zone> {
    Zone::parse(text).ok_or_else(|| {
        Error::user(format!("`{text}` is not a time zone")).hint("UTC, an offset like +02:00, or a name like Europe/Berlin")
    })
}

/// Imports every file below the requested paths. Only a refusal of the case itself is an error: what becomes of each file is in the report.
pub fn ingest(store: &Store, request: &Request, watch: &Watch<'_>) -> Result<Report> {
    let (streams, paths): (Vec<PathBuf>, Vec<PathBuf>) = request.paths.iter().cloned().partition(|p| p.as_os_str() == "-");
    let found = walk(&paths);
    let mut report = Report::default();
    let mut progress = Progress { files: found.len() + streams.len(), ..Progress::default() };
    for item in found {
        if (watch.stop)() {
            report.stopped = true;
            break;
        }
        progress.file += 1;
        let one = match item {
            Found::File(path) => {
                progress.path = path.display().to_string();
                file::ingest_file(store, &path, request, watch, &mut progress)?
            }
            Found::Stream(path) => {
                progress.path = path.display().to_string();
                let stream = Box::new(file::Late::new(path.clone()));
                file::ingest_stream(store, stream, &path, request, watch, &mut progress)?
            }
            Found::Skipped(path, why) => FileReport::new(path.display().to_string(), Outcome::Skipped(why)),
            Found::Failed(path, error) => FileReport::new(path.display().to_string(), Outcome::Failed(error)),
        };
        progress.records += one.counts.records;
        report.files.push(one);
    }
    // The stop may have come in the last file.
    report.stopped |= (watch.stop)();
    if !streams.is_empty() && !report.stopped {
        progress.file += 1;
        progress.path = "-".into();
        let stdin = Box::new(std::io::stdin());
        report.files.push(file::ingest_stream(store, stdin, Path::new("-"), request, watch, &mut progress)?);
        report.stopped |= (watch.stop)();
    }
    Ok(report)
}
