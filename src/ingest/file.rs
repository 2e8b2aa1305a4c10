//! One file or stream: known? grown? new? Recognised by its head, read, finished as one transaction.

use super::archive::{Inside, ingest_archive};
use super::known::{self, Hashed};
use super::report::{FileReport, Outcome};
use super::spool::{Spool, Through};
use super::stem::stem;
use super::writer::Writer;
use super::{Request, Run, capture, text, unknown};
use crate::error::{Error, ErrorKind, Result};
use crate::formats::dates::Tally;
use crate::formats::{self, Context, Dates, Format, Zone};
use crate::model::source::{Basis, Counts, DateOrder};
use crate::model::{EvidenceKey, SourceId, Time};
use crate::sources::archive::{ArchiveKind, Keys};
use crate::sources::capture::CaptureKind;
use crate::sources::compression::Compression;
use crate::sources::input::{Input, KEY_PART, Probe};
use crate::store::{Begin, Content, Done, Import, NewEvidence, SourceRead, starts};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

/// Bytes that may have to be unpacked to see a packet, or a line, of a member again; what costs more is kept in the case when it is imported.
/// A packet is asked for with a hundred others while someone waits, a line alone.
pub(super) const CAPTURE_COST: u64 = 4 << 20;
const TEXT_COST: u64 = 32 << 20;
/// What is said of a compressed capture of which no copy is wanted.
const NO_SPOOL: &str = "its packets are read again from its start: no copy was wanted (--no-spool)";

/// What is said of text that was not UTF-8.
pub const WIDE: &str = "UTF-16 text, read as UTF-8: offsets of its records count the bytes of that";

/// What a file is.
#[derive(Clone, Copy)]
pub(super) enum What {
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

pub(super) fn recognise(head: &[u8], request: &Request) -> Option<What> {
    if let Some(kind) = CaptureKind::of(head) {
        return Some(What::Capture(kind));
    }
    if request.format.is_none() && unknown::is_cr_alone(head) {
        return None;
    }
    request.format.or_else(|| formats::recognise(head)).map(What::Text)
}

/// What the case calls a file: its absolute path.
pub(super) fn kept(path: &Path) -> String {
    let absolute = std::fs::canonicalize(path).or_else(|_| std::path::absolute(path));
    absolute.map_or_else(|_| path.display().to_string(), |path| path.display().to_string())
}

/// A file to be imported, and what it is called.
pub struct Subject {
    /// Where its bytes are now.
    pub path: PathBuf,
    /// What it is called on screen.
    pub shown: String,
    /// What the case calls it: an absolute path, a member after its archive.
    pub kept: String,
    /// Its name without folders.
    pub name: String,
    /// What is missing of the rotation before it, in words.
    pub gap: Option<String>,
    /// For a member of an archive.
    pub inside: Option<Inside>,
}

impl Subject {
    /// A file that lies where it was found.
    pub fn file(path: &Path, gap: Option<String>) -> Subject {
        let shown = path.display().to_string();
        let kept = kept(path);
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        Subject { path: path.to_owned(), shown, kept, name, gap, inside: None }
    }
    /// When it was changed.
    pub fn modified(&self, probe: &Probe) -> Time {
        self.inside.as_ref().map_or(probe.modified, |i| i.modified)
    }
}

/// Imports one file, or every member of an archive. Errors are those of the case; the file's own troubles are in its row.
pub fn ingest_file(run: &mut Run<'_>, keys: &Keys<'_>, subject: Subject) -> Result<()> {
    let row = |outcome| FileReport::new(subject.shown.clone(), outcome);
    let opened = Probe::of(&subject.path).and_then(|probe| match probe.size {
        0 => Ok((probe, None)),
        _ => Input::open(&subject.path).map(|input| (probe, Some(input))),
    });
    let (probe, input) = match opened {
        Ok((probe, Some(input))) => (probe, input),
        Ok((_, None)) => {
            run.rows.push(row(Outcome::Skipped("empty".into())));
            return Ok(());
        }
        Err(e) => {
            let row = row(Outcome::Failed(e));
            if subject.path.exists() {
                run.refuse(&row, &subject.kept, None)?;
            }
            run.rows.push(row);
            return Ok(());
        }
    };
    (run.progress.size, run.progress.bytes, run.progress.path) = (probe.size, 0, subject.shown.clone());
    if run.request.format.is_none()
        && let Some(kind) = ArchiveKind::of(&input.head)
    {
        let compression = input.compression;
        drop(input);
        return ingest_archive(run, keys, &subject, &probe, kind, compression);
    }
    let Some(what) = recognise(&input.head, run.request) else {
        let row = FileReport { size: probe.size, ..row(unknown::outcome(&input.head, &probe.tail)) };
        drop(input);
        run.refuse(&row, &subject.kept, Some((&subject.path, &probe)))?;
        run.rows.push(row);
        return Ok(());
    };
    let row = read(run, &subject, &probe, input, what)?;
    run.progress.records += row.counts.records;
    run.rows.push(row);
    Ok(())
}

/// Reads what was recognised, if it is not known.
fn read(run: &mut Run<'_>, subject: &Subject, probe: &Probe, mut input: Input, what: What) -> Result<FileReport> {
    let row = |outcome| FileReport { size: probe.size, ..FileReport::new(subject.shown.clone(), outcome) };
    let new = NewEvidence {
        key: probe.key,
        path: subject.kept.clone(),
        size: probe.size,
        modified: subject.modified(probe),
        head_hash: probe.head_hash,
    };
    let mut import = match run.store.begin(&new)? {
        Begin::Fresh(import) => import,
        Begin::Known(known) => {
            return Ok(FileReport { format: known.format, span: known.span, ..row(Outcome::Known) });
        }
    };
    // A file whose prefix is known evidence: a log goes on where it ended; a capture or document is read anew in place of the old rows.
    let (size, head_hash) = match input.compression {
        Compression::None => (probe.size, probe.head_hash),
        _ => (u64::MAX, Sha256::digest(&input.head).into()),
    };
    let mut candidates = run.store.grown_candidates(head_hash, size);
    candidates.retain(|old| old.info.format == what.name());
    let mut from = 0;
    let (mut grown, mut replaced) = (false, None);
    if let Some(prefix) = known::prefix(&subject.path, input.compression, &input.head, KEY_PART as usize, candidates) {
        let old = prefix.known;
        if prefix.is_all {
            let warnings = vec![format!("its content was imported as {}", old.info.path)];
            return Ok(FileReport { format: old.info.format, span: old.info.span, warnings, ..row(Outcome::Known) });
        }
        if matches!(what, What::Text(f) if matches!(f.framing(), formats::Framing::Lines { .. })) {
            // A line that was half written has a row of its own half: what was read then is read again.
            let unfinished = old.text_end <= old.from || prefix.last != Some(b'\n');
            from = if unfinished { old.from } else { old.text_end };
            if unfinished {
                import.replaces(old.info.key);
            }
            import.continues(old.info.key, from);
        } else {
            import.replaces(old.info.key);
            replaced = Some(old.info.key);
        }
        grown = true;
    }
    // A shorter piece of what is in already, met after it.
    if !grown {
        let whole = (input.head.len() < KEY_PART as usize).then_some(input.head.len() as u64);
        let size = whole.or((input.compression == Compression::None).then_some(probe.size));
        let mut longer = run.store.longer(&starts(&input.head), size);
        longer.retain(|l| l.format == what.name());
        let folder = run.store.dir().join("evidence");
        if let Some(all) = known::beginning(&subject.path, input.compression, &folder, longer) {
            let warnings = vec![format!("its content is the beginning of {}, which is in the case", all.path)];
            return Ok(FileReport { format: all.format, span: all.span, warnings, ..row(Outcome::Known) });
        }
    }
    let job = Job {
        path: subject.shown.clone(),
        file: Some(subject.path.clone()),
        what,
        key: probe.key,
        stem: stem(Path::new(&subject.name)),
        modified: subject.modified(probe),
        from,
        grown,
        stream: false,
        gap: subject.gap.clone(),
    };
    let compressed = input.compression != Compression::None;
    let row = job.run(*import, &mut input, run)?.finish(input, &|key| keep(subject, what, compressed, key))?;
    // What this import read of the shorter piece counts no more.
    if let Some(old) = run.rows.iter_mut().find(|r| r.key.is_some() && r.key == replaced && row.outcome == Outcome::Grown) {
        old.warnings.push(format!("its content is the beginning of {}, which took the place of its records", row.path));
        (old.counts.records, old.counts.oddities) = (0, 0);
    }
    Ok(row)
}

/// Keeps a member in the case if it could not well be read again from its archive.
fn keep(subject: &Subject, what: What, compressed: bool, key: EvidenceKey) -> Result<()> {
    let Some(inside) = &subject.inside else { return Ok(()) };
    let (most, pack) = match what {
        What::Capture(_) => (CAPTURE_COST, false),
        What::Text(_) => (TEXT_COST, !compressed),
    };
    if inside.encrypted || inside.cost > most { inside.file.keep(key, pack) } else { Ok(()) }
}

/// What is to be read, and what is known of it.
pub(super) struct Job {
    pub path: String,
    /// Where its bytes can be read once more.
    pub file: Option<PathBuf>,
    pub what: What,
    pub key: EvidenceKey,
    pub stem: String,
    pub modified: Time,
    pub from: u64,
    pub grown: bool,
    pub stream: bool,
    pub gap: Option<String>,
}

/// What was read, before it is acknowledged.
pub(super) struct Body {
    row: FileReport,
    import: Option<Import>,
    done: Done,
    spool: Spool,
}

impl Job {
    pub fn run(self, import: Import, input: &mut Input, run: &mut Run<'_>) -> Result<Body> {
        let Run { request, watch, progress, .. } = run;
        let consumed = std::sync::Arc::clone(&input.consumed);
        let mut body = Hashed::new(input.read());
        let compressed = input.compression != Compression::None;
        let mut spool = match self.what {
            What::Capture(_) if compressed && request.no_spool => Spool::none(Some(NO_SPOOL.to_owned())),
            What::Capture(_) if compressed => Spool::new(import.store()),
            _ => Spool::none(None),
        };
        let mut heads = None;
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
        let dates = match (request.dates, self.what) {
            (Some(order), _) => Dates { order, sure: true },
            (None, What::Text(_)) => dates_of(self.file.as_deref(), input, self.modified, &*watch.stop),
            _ => Dates::default(),
        };
        let (ended, counts, span, written) = std::thread::scope(|scope| -> Result<_> {
            let (mut writer, handle) = Writer::start(scope, import, request.source.clone());
            let ended = match self.what {
                What::Capture(kind) => {
                    let about = capture::About {
                        evidence: self.key,
                        stem: self.stem.clone(),
                        modified: self.modified,
                        timeouts: request.timeouts,
                        checksums: request.checksums,
                        stream: self.stream,
                    };
                    let mut through = Through { from: &mut body, spool: &mut spool };
                    let e = capture::read(kind, &mut through, &about, &mut writer, &mut stop);
                    heads = e.heads;
                    text::Ended { damage: e.damage, bytes: e.bytes, warnings: e.warnings, assumed: BTreeSet::new() }
                }
                What::Text(format) => {
                    let context = Context {
                        evidence: self.key,
                        stem: self.stem.clone(),
                        zone: request.zone.unwrap_or(Zone::Fixed(0)),
                        year: request.year,
                        dates,
                        modified: self.modified,
                    };
                    let mut reader = BufReader::with_capacity(1 << 18, &mut body);
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
            return Ok(Body { row, import: None, done: Done::default(), spool: Spool::none(None) });
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
        let mut warnings: Vec<String> = ended.assumed.iter().map(|a| assumed(a, request, dates)).collect();
        warnings.extend(ended.warnings);
        warnings.extend(written.copied.clone());
        warnings.extend(self.gap);
        warnings.extend(spool.warning.clone());
        if input.compression.wide().is_some() {
            warnings.push(WIDE.into());
        }
        if cut {
            warnings.push("it was stopped before its end: what had come until then was read and is kept".into());
        }
        let clock = |(source, counts): (&SourceId, &Counts)| SourceRead {
            source: *source,
            zone: zone.clone(),
            basis,
            year: request.year,
            dates: match request.dates {
                Some(order) => Some((order, Basis::Manual)),
                None => ended.assumed.contains("order of dates assumed").then_some((dates.order, Basis::Assumed)),
            },
            counts: *counts,
            warnings: warnings.clone(),
        };
        let content = body.done().filter(|_| compressed).map(|(size, sha256)| Content {
            size,
            head_hash: Sha256::digest(&input.head).into(),
            sha256,
        });
        let done = Done {
            sha256: [0; 32],
            format: self.what.name().into(),
            compression: input.compression.name().into(),
            counts: sum,
            warnings: warnings.iter().cloned().chain(ended.damage).collect(),
            custody: request.custody.clone(),
            text_end: ended.bytes,
            content,
            heads,
            metered: match self.what {
                What::Capture(_) => capture::metered(request.timeouts, request.checksums),
                What::Text(_) => Default::default(),
            },
            starts: starts(&input.head),
            clocks: written.sources.iter().zip(&counts).map(clock).collect(),
        };
        let mut row = FileReport::new(self.path, outcome);
        (row.format, row.counts, row.span, row.warnings) = (self.what.name().into(), sum, span, warnings);
        row.key = Some(self.key);
        Ok(Body { row, import: Some(written.import), done, spool })
    }
}

/// What order the dates of a whole file are in; of a stream that of its beginning. A file is read for it only where its beginning has such
/// dates and leaves their order open.
fn dates_of(file: Option<&Path>, input: &Input, modified: Time, stop: &dyn Fn() -> bool) -> Dates {
    let mut seen = Tally::default();
    seen.read(&mut &input.head[..], &|| false);
    if seen.is_open()
        && let Some(path) = file
        && let Ok(mut all) = File::open(path).and_then(|f| input.compression.reader(f))
    {
        let mut whole = Tally::default();
        whole.read(&mut all, stop);
        return whole.decide(modified);
    }
    seen.decide(modified)
}

/// An assumption of a reader in words.
fn assumed(what: &str, request: &Request, dates: Dates) -> String {
    match what {
        "zone assumed" if request.zone.is_some() => "times without a zone are read as told".into(),
        "zone assumed" => "times without a zone are taken as UTC (--tz, or `sources set NAME --tz`)".into(),
        "year assumed" => "times without a year are put before the file's date (--year, or `sources set NAME --year`)".into(),
        "time assumed" => "lines without a time stand at the time of the line before, or the file's date".into(),
        "time of the line before assumed" => "lines without a time stand at the time of the line before".into(),
        "first time assumed" => "lines before the first time stand at that: they state none".into(),
        "order of dates assumed" => {
            let (read, other) = match dates.order {
                DateOrder::MonthFirst => ("month first", "day-first"),
                DateOrder::DayFirst => ("day first", "month-first"),
            };
            format!("dates like 03/04/2026 are read {read}, which is a guess (--dates, or `sources set NAME --dates {other}`)")
        }
        other => other.to_owned(),
    }
}

impl Body {
    /// Reads on to the end of the file for its hash, has a copy kept if there is to be one, and acknowledges the import.
    pub fn finish(mut self, input: Input, keep: &dyn Fn(EvidenceKey) -> Result<()>) -> Result<FileReport> {
        let Some(import) = self.import else { return Ok(self.row) };
        keep(import.key())?;
        self.row.warnings.extend(self.spool.keep(import.store(), import.key()));
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
