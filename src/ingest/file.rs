//! One file or stream: known? grown? new? Recognised by its head, read, finished as one transaction.

use super::report::{FileReport, Outcome};
use super::stem::stem;
use super::writer::Writer;
use super::{Progress, Request, Watch, capture, text, unknown};
use crate::error::{Error, ErrorKind, Result};
use crate::formats::{self, Context, Format, Zone};
use crate::model::source::{Basis, Counts};
use crate::model::{EvidenceKey, SourceId, Time};
use crate::sources::capture::CaptureKind;
use crate::sources::compression::Compression;
use crate::sources::input::{Input, Probe, hash_prefix};
use crate::sources::reread;
use crate::store::{Begin, Done, Grown, Import, NewEvidence, SourceRead, Store};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufReader, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What a file is.
#[derive(Clone, Copy)]
enum What {
    Capture(CaptureKind),
    Text(&'static dyn Format),
}

impl What {
    fn name(self) -> &'static str {
        match self {
            What::Capture(kind) => kind.name(),
            What::Text(format) => format.name(),
        }
    }
}

fn recognise(head: &[u8], request: &Request) -> Option<What> {
    if let Some(kind) = CaptureKind::of(head) {
        return Some(What::Capture(kind));
    }
    if request.format.is_none() && unknown::is_cr_alone(head) {
        return None;
    }
    request.format.or_else(|| formats::recognise(head)).map(What::Text)
}

/// Imports one file. Errors are those of the case; the file's own troubles are in the report.
pub fn ingest_file(
    store: &Store,
    path: &Path,
    request: &Request,
    watch: &Watch<'_>,
    progress: &mut Progress,
) -> Result<FileReport> {
    let shown = path.display().to_string();
    let failed = |e: Error| FileReport::new(shown.clone(), Outcome::Failed(e));
    let probe = match Probe::of(path) {
        Ok(probe) => probe,
        Err(e) => return Ok(failed(e)),
    };
    progress.size = probe.size;
    if probe.size == 0 {
        return Ok(FileReport::new(shown, Outcome::Skipped("empty".into())));
    }
    let mut input = match Input::open(path) {
        Ok(input) => input,
        Err(e) => return Ok(failed(e)),
    };
    let Some(what) = recognise(&input.head, request) else {
        let mut row = FileReport::new(shown, unknown::outcome(&input.head, &probe.tail));
        row.size = probe.size;
        return Ok(row);
    };
    let new = NewEvidence {
        key: probe.key,
        path: probe.path.display().to_string(),
        size: probe.size,
        modified: probe.modified,
        head_hash: probe.head_hash,
    };
    let mut import = match store.begin(&new)? {
        Begin::Fresh(import) => import,
        Begin::Known(known) => {
            let mut row = FileReport::new(shown, Outcome::Known);
            (row.format, row.span, row.size) = (known.format, known.span, probe.size);
            return Ok(row);
        }
    };
    // A file whose prefix is known evidence: a log goes on where it ended; a capture or document is read anew in place of the old rows.
    let mut from = 0;
    let mut grown = false;
    for old in store.grown_candidates(probe.head_hash, probe.size) {
        let known = &old.info;
        if known.format == what.name() && hash_prefix(path, known.size).is_ok_and(|hash| hash == known.sha256) {
            if matches!(what, What::Text(f) if matches!(f.framing(), formats::Framing::Lines { .. })) {
                // A line that was half written has a row of its own half: what was read then is read again.
                let unfinished = is_unfinished(path, &old);
                from = if unfinished { old.from } else { old.text_end };
                if unfinished {
                    import.replaces(known.key);
                }
                import.continues(known.key, from);
            } else {
                import.replaces(known.key);
            }
            grown = true;
            break;
        }
    }
    let job = Job { path: shown, what, key: probe.key, stem: stem(path), modified: probe.modified, from, grown, stream: false };
    job.run(import, &mut input, request, watch, progress)?.finish(input)
}

/// Whether the last line of what was read had no end yet, or nothing was read for damage.
fn is_unfinished(path: &Path, old: &Grown) -> bool {
    let compression = Compression::parse(&old.info.compression).unwrap_or(Compression::None);
    let last = || reread::bytes(path, compression, old.text_end.saturating_sub(1), 1);
    old.text_end <= old.from || last().map_or(true, |byte| byte != b"\n")
}

/// Imports a stream. Its bytes are kept in the case, since they cannot be read again.
pub fn ingest_stream(
    store: &Store,
    stream: Box<dyn Read + Send>,
    name: &Path,
    request: &Request,
    watch: &Watch<'_>,
    progress: &mut Progress,
) -> Result<FileReport> {
    let shown = name.display().to_string();
    store.room()?;
    let (key, path, file) = spool(store, watch.now)?;
    // A copy that nothing refers to is of no use.
    let forget = |row: FileReport| {
        let _ = std::fs::remove_file(&path);
        row
    };
    let mut input = match Input::stream(stream, Some(Box::new(file)), Arc::clone(&watch.stop)) {
        Ok(input) => input,
        Err(e) => return Ok(forget(FileReport::new(shown, Outcome::Failed(e)))),
    };
    let Some(what) = recognise(&input.head, request) else {
        return Ok(forget(FileReport::new(shown, unknown::outcome(&input.head, &[]))));
    };
    let kept = path.display().to_string();
    let Begin::Fresh(import) = store.begin(&NewEvidence { key, path: kept, size: 0, modified: watch.now, head_hash: [0; 32] })?
    else {
        return Err(Error::internal("a random evidence key was there already"));
    };
    progress.size = 0;
    let stem = if shown == "-" { "stdin".into() } else { stem(name) };
    let job = Job { path: shown, what, key, stem, modified: watch.now, from: 0, grown: false, stream: true };
    job.run(import, &mut input, request, watch, progress).and_then(|body| body.finish(input)).inspect_err(|_| {
        let _ = std::fs::remove_file(&path);
    })
}

/// A pipe that is opened where it is read: opening waits for a writer.
pub struct Late {
    path: PathBuf,
    file: Option<File>,
}

impl Late {
    /// Of a path.
    pub fn new(path: PathBuf) -> Late {
        Late { path, file: None }
    }
}

impl Read for Late {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(File::open(&self.path)?),
        };
        file.read(buf)
    }
}

/// A file of the case for the bytes of a stream, and a key for them: by the time and the process, since the bytes are not there yet.
fn spool(store: &Store, now: Time) -> Result<(EvidenceKey, PathBuf, File)> {
    let dir = store.dir().join("evidence");
    let failed = |e: std::io::Error| Error::io("cannot keep the stream in the case", &dir, &e);
    std::fs::create_dir_all(&dir).map_err(failed)?;
    let mut hash = Sha256::new();
    hash.update(now.0.to_le_bytes());
    hash.update(std::process::id().to_le_bytes());
    let mut key = [0; 8];
    key.copy_from_slice(&hash.finalize()[..8]);
    let key = EvidenceKey(u64::from_be_bytes(key));
    let path = dir.join(format!("stream-{key}"));
    let file = File::options().write(true).create_new(true).mode(0o400).open(&path).map_err(failed)?;
    Ok((key, path, file))
}

/// What is to be read, and what is known of it.
struct Job {
    path: String,
    what: What,
    key: EvidenceKey,
    stem: String,
    modified: Time,
    from: u64,
    grown: bool,
    stream: bool,
}

/// What was read, before it is acknowledged.
struct Body {
    row: FileReport,
    import: Option<Import>,
    done: Done,
}

impl Job {
    fn run(
        self,
        import: Import,
        input: &mut Input,
        request: &Request,
        watch: &Watch<'_>,
        progress: &mut Progress,
    ) -> Result<Body> {
        let consumed = std::sync::Arc::clone(&input.consumed);
        let body = input.read();
        let mut stopped = false;
        let mut last = 0;
        let before = progress.records;
        let mut stop = |records: u64| {
            let bytes = consumed.load(Ordering::Relaxed);
            if bytes >= last + (1 << 20) {
                last = bytes;
                (progress.bytes, progress.records) = (bytes, before + records);
                (watch.progress)(progress);
            }
            // A stream ends by itself when it is told to stop: what was taken of it is read to its last unit.
            stopped = !self.stream && (watch.stop)();
            stopped
        };
        let (ended, counts, span, written) = std::thread::scope(|scope| -> Result<_> {
            let (mut writer, handle) = Writer::start(scope, import, request.source.clone());
            let ended = match self.what {
                What::Capture(kind) => {
                    let about = capture::About { evidence: self.key, stem: self.stem.clone(), modified: self.modified };
                    let mut reader = body;
                    let e = capture::read(kind, &mut reader, &about, &mut writer, &mut stop);
                    text::Ended { damage: e.damage, bytes: e.bytes, warnings: e.warnings, assumed: BTreeSet::new() }
                }
                What::Text(format) => {
                    let context = Context {
                        evidence: self.key,
                        stem: self.stem.clone(),
                        zone: request.zone.unwrap_or(Zone::Fixed(0)),
                        year: request.year,
                        modified: self.modified,
                    };
                    let mut reader = BufReader::with_capacity(1 << 18, body);
                    let log = text::Log { format, context: &context, from: self.from, head: &input.head };
                    text::read(&log, &mut reader, &mut writer, &mut stop)
                }
            };
            let (counts, span) = writer.end();
            let written = handle.join().map_err(|_| Error::internal("the writing thread panicked"))??;
            Ok((ended, counts, span, written))
        })?;
        if stopped {
            let why = "stopped while it was read: nothing of it was kept; ingest it again";
            let mut row = FileReport::new(self.path, Outcome::Skipped(why.into()));
            row.format = self.what.name().into();
            return Ok(Body { row, import: None, done: Done::default() });
        }
        let mut sum = Counts::default();
        counts.iter().for_each(|c| sum.add(c));
        let cut = input.was_stopped();
        let outcome = match (&ended.damage, self.grown) {
            (Some(_), _) if cut => Outcome::Read,
            (Some(what), _) => Outcome::Damaged(what.clone()),
            (None, true) => Outcome::Grown,
            (None, false) => Outcome::Read,
        };
        let zone_assumed = ended.assumed.contains("zone assumed");
        let zone = request.zone.or(zone_assumed.then_some(Zone::Fixed(0))).map(|z| z.to_string());
        let basis = match (request.zone.is_some(), zone_assumed || ended.assumed.contains("year assumed")) {
            (true, _) => Basis::Manual,
            (false, true) => Basis::Assumed,
            (false, false) => Basis::Stated,
        };
        let mut warnings: Vec<String> = ended.assumed.iter().map(|a| assumed(a, request)).collect();
        warnings.extend(ended.warnings);
        warnings.extend(written.copied.clone());
        if cut {
            warnings.push("it was stopped before its end: what had come until then was read and is kept".into());
        }
        let clock = |(source, counts): (&SourceId, &Counts)| SourceRead {
            source: *source,
            zone: zone.clone(),
            basis,
            year: request.year,
            counts: *counts,
            warnings: warnings.clone(),
        };
        let done = Done {
            sha256: [0; 32],
            format: self.what.name().into(),
            compression: input.compression.name().into(),
            counts: sum,
            warnings: warnings.iter().cloned().chain(ended.damage).collect(),
            custody: request.custody.clone(),
            text_end: ended.bytes,
            clocks: written.sources.iter().zip(&counts).map(clock).collect(),
        };
        let mut row = FileReport::new(self.path, outcome);
        (row.format, row.counts, row.span, row.warnings) = (self.what.name().into(), sum, span, warnings);
        Ok(Body { row, import: Some(written.import), done })
    }
}

/// An assumption of a reader in words.
fn assumed(what: &str, request: &Request) -> String {
    match what {
        "zone assumed" if request.zone.is_some() => "times without a zone are read as told".into(),
        "zone assumed" => "times without a zone are taken as UTC (--tz, or `sources set NAME --tz`)".into(),
        "year assumed" => "times without a year are put before the file's date (--year, or `sources set NAME --year`)".into(),
        "time assumed" => "lines without a time stand at the time of the line before, or the file's date".into(),
        other => other.to_owned(),
    }
}

impl Body {
    /// Reads on to the end of the file for its hash, and acknowledges the import.
    fn finish(mut self, input: Input) -> Result<FileReport> {
        let Some(import) = self.import else { return Ok(self.row) };
        match input.finish() {
            Ok(summary) => {
                self.row.size = summary.size;
                self.done.sha256 = summary.sha256;
            }
            Err(e) => {
                self.row.outcome = Outcome::Damaged(format!("cannot be read to its end: {e}"));
                self.done.warnings.push(self.row.note());
            }
        }
        match import.finish(self.done) {
            Ok(_) => Ok(self.row),
            Err(e) if e.kind == ErrorKind::Store => Err(e),
            Err(e) => Ok(FileReport { outcome: Outcome::Failed(e), ..self.row }),
        }
    }
}
