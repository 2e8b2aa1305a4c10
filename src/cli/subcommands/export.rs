//! `export`: records for other programs: Parquet without loss, IPFIX, `rwcut` text.

use crate::cli::ask::within;
use crate::cli::opened::Opened;
use crate::cli::output::{self, ipfix::Ipfix, rwcut::Rwcut};
use crate::cli::{Cx, Done, Subcommand};
use crate::error::{Error, Result};
use crate::model::decision::What;
use crate::model::source::{Basis, SourceInfo};
use crate::model::{EvidenceKey, Filter, Kind, Record, RecordId, SourceId, Value, field};
use crate::query::engine::{Cancel, EvidenceInfo, Page};
use crate::query::{Engine, Question};
use crate::sources::input::hash_prefix;
use crate::sources::records::write::Beside;
use crate::sources::records::{Of, PARTS, SCHEMA, Survey, Told, ToldEvidence, ToldSource, ToldUnread, UNREAD, Writer};
use crate::store::now;
use clap::{ArgGroup, ArgMatches, Args, FromArgMatches};
use crossbeam_channel::{Receiver, bounded};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// Rows that may wait to be compared.
const WAITING: usize = 4096;

/// `backtrail export`.
pub struct Export;

#[derive(clap::Args)]
struct ExportArgs {
    /// Question; without one everything
    #[arg(value_name = "TEXT")]
    text: Vec<String>,
    /// Folder for flows.parquet and events.parquet: every record and sighting, to be read by other programs and by `import`
    #[arg(long, value_name = "DIR")]
    parquet: Option<PathBuf>,
    /// File for flows as IPFIX messages, bidirectional (RFC 5103); `-` for standard output
    #[arg(long, value_name = "FILE")]
    ipfix: Option<PathBuf>,
    /// File for flows as the text of SiLK's rwcut, a row per direction; `-` for standard output
    #[arg(long, value_name = "FILE")]
    rwcut: Option<PathBuf>,
    /// IPFIX: a record per direction, for collectors that do not read reverse elements
    #[arg(long, requires = "ipfix")]
    uniflow: bool,
    /// Only since then: `2h` (before the newest record), a date or an instant
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,
    /// Only until then
    #[arg(long, value_name = "WHEN")]
    until: Option<String>,
    /// IPFIX, rwcut: every sighting as a flow of its own, not one per connection
    #[arg(long)]
    every_sighting: bool,
}

impl Subcommand for Export {
    fn command(&self) -> clap::Command {
        ExportArgs::augment_args(clap::Command::new("export"))
            .about("Records for other programs: Parquet without loss, IPFIX, rwcut text")
            .group(ArgGroup::new("form").args(["parquet", "ipfix", "rwcut"]).required(true))
    }
    fn run(&self, matches: &ArgMatches, cx: &Cx) -> Result<Done> {
        let args = ExportArgs::from_arg_matches(matches).map_err(|e| Error::user(e.to_string()))?;
        let opened = Opened::existing(cx)?;
        let text = args.text.join(" ");
        let question = within(&*opened.engine, &text, args.since.as_deref(), args.until.as_deref())?;
        if !question.stages.is_empty() {
            return Err(Error::user("an export has no stages").hint("leave out what stands behind |"));
        }
        let told = told_question(&args, &text);
        if let Some(dir) = &args.parquet {
            return parquet(&opened, &question, &told, dir);
        }
        let mut question = question.and(flows());
        question.every_sighting |= args.every_sighting;
        let (path, form) = match (&args.ipfix, &args.rwcut) {
            (Some(path), _) => (path, Form::Ipfix(args.uniflow)),
            (_, Some(path)) => (path, Form::Rwcut),
            _ => return Err(Error::user("nothing says what to write").hint("--parquet DIR, --ipfix FILE, --rwcut FILE")),
        };
        if path.as_os_str() == "-" {
            // IPFIX is bytes: they go as they are.
            let mut out: Box<dyn Write> = match form {
                Form::Ipfix(_) => Box::new(BufWriter::new(std::io::stdout().lock())),
                Form::Rwcut => output::standard(),
            };
            let (_, left_out) = write(&*opened.engine, &question, form, &mut *out)?;
            say_left_out(left_out);
            say_unread(&opened.engine.evidence(), "`backtrail sources` lists them");
            return Ok(Done::All);
        }
        let (part, file) = part_of(path)?;
        let mut out = BufWriter::new(file);
        let written = write(&*opened.engine, &question, form, &mut out)
            .and_then(|n| out.into_inner().map_err(|e| Error::io("cannot write", path, e.error())).map(|file| (n, file)));
        let (rows, left_out) = keep(path, &part, written)?;
        say(&opened, &told, &format!("{rows} {}", form.rows()), path)?;
        say_left_out(left_out);
        say_unread(&opened.engine.evidence(), "`backtrail sources` lists them");
        Ok(Done::All)
    }
}

/// What one file of flows is written as.
#[derive(Debug, Clone, Copy)]
enum Form {
    /// The directions apart, or together.
    Ipfix(bool),
    Rwcut,
}

impl Form {
    fn rows(self) -> &'static str {
        match self {
            Form::Ipfix(_) => "IPFIX records",
            Form::Rwcut => "rwcut rows",
        }
    }
}

/// What was asked for, as it is told in the export and the journal.
fn told_question(args: &ExportArgs, text: &str) -> String {
    let mut out = text.trim().to_owned();
    for (option, value) in [("--since", &args.since), ("--until", &args.until)] {
        if let Some(value) = value {
            out = format!("{out} {option} {value}").trim().to_owned();
        }
    }
    out
}

fn flows() -> Filter {
    Filter::is(field::KIND, Kind::Flow.name())
}

/// Rows written, flows left out.
fn write(engine: &dyn Engine, question: &Question, form: Form, out: &mut dyn Write) -> Result<(u64, u64)> {
    match form {
        Form::Ipfix(apart) => {
            let mut to = Ipfix::new(out, apart);
            each(engine, question, &mut |record| to.record(&record))?;
            to.end()?;
            Ok((to.written, to.left_out))
        }
        Form::Rwcut => {
            let mut to = Rwcut::new(out, engine);
            each(engine, question, &mut |record| to.record(&record, engine))?;
            to.end()?;
            Ok((to.written, to.left_out))
        }
    }
}

fn say_left_out(n: u64) {
    if n > 0 {
        let said =
            format!("note: {n} flows lack what this form needs (addresses of one family, protocol, counts) and were left out");
        let _ = writeln!(std::io::stderr(), "{said}");
    }
}

/// Says of how many evidence files nothing can be in an export, and `where_named`.
fn say_unread(evidence: &[EvidenceInfo], where_named: &str) {
    let n = evidence.iter().filter(|e| e.is_unread()).count();
    if n > 0 {
        let files = if n == 1 { "1 evidence file was".to_owned() } else { format!("{n} evidence files were") };
        let _ = writeln!(std::io::stderr(), "note: {files} not read, so nothing of it is in the export; {where_named}");
    }
}

/// Every record of a question, oldest first.
fn each(engine: &dyn Engine, question: &Question, each: &mut dyn FnMut(Record) -> Result<()>) -> Result<()> {
    let mut failed = None;
    engine.select(question, &Page::default(), &Cancel::default(), &mut |record| {
        failed = each(record).err();
        failed.is_none()
    })?;
    failed.map_or(Ok(()), Err)
}

/// A file beside the one that is to be written: what was there before stays until the new one is whole.
fn part_of(path: &Path) -> Result<(PathBuf, File)> {
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    let file = File::create(&part).map_err(|e| Error::io("cannot write", &part, &e))?;
    Ok((part, file))
}

/// Gives what was written its name, or removes it.
fn keep<T>(path: &Path, part: &Path, written: Result<(T, File)>) -> Result<T> {
    let kept = written.and_then(|(told, file)| {
        let named = file.sync_all().and_then(|()| std::fs::rename(part, path));
        named.map(|()| told).map_err(|e| Error::io("cannot write", path, &e))
    });
    if kept.is_err() {
        // It is of no use; what cannot be removed is still named `.part`.
        let _ = std::fs::remove_file(part);
    }
    kept
}

/// Says what was written, and keeps it in the journal with its hash.
fn say(opened: &Opened, question: &str, what: &str, path: &Path) -> Result<()> {
    let sha256 = hash_prefix(path, u64::MAX)?;
    let shown = path.display().to_string();
    let of = if question.is_empty() { String::new() } else { format!(" of: {question}") };
    opened.keeper.append(What::Export { what: format!("{what}{of}"), path: shown.clone(), sha256 })?;
    writeln!(std::io::stdout(), "{what} -> {shown}").map_err(output::io)
}

/// Writes both files of an export.
fn parquet(opened: &Opened, question: &Question, text: &str, dir: &Path) -> Result<Done> {
    let engine = &*opened.engine;
    std::fs::create_dir_all(dir).map_err(|e| Error::io("cannot make the folder", dir, &e))?;
    let paths = PARTS.map(|part| dir.join(format!("{part}.parquet")));
    if let Some(there) = paths.iter().find(|p| p.exists()) {
        return Err(Error::user("there is an export already").at_path(there).hint("name another folder, or remove it"));
    }
    let mut all = question.clone();
    all.every_sighting = true;
    let questions = [all.clone().and(flows()), all.and(Filter::Not(Box::new(flows())))];
    let mut surveys = [Survey::default(), Survey::default()];
    for (survey, question) in surveys.iter_mut().zip(&questions) {
        each(engine, question, &mut |record| {
            survey.add(&record);
            Ok(())
        })?;
    }
    let merged = question.clone().and(flows());
    let names = Names::new(engine);
    let mut told = names.told(&opened.keeper.name(), text, &surveys);
    for (part, path) in paths.iter().enumerate() {
        let columns = surveys[part].columns(part);
        PARTS[part].clone_into(&mut told.part);
        told.columns = columns.iter().map(|(_, told)| told.clone()).collect();
        let columns: Vec<Of> = columns.into_iter().map(|(of, _)| of).collect();
        let (beside, file) = part_of(path)?;
        let written = Writer::begin(BufWriter::new(file), path, &columns, &told).and_then(|mut to| {
            let mut rows = 0u64;
            let mut push = |record: &Record, beside: Beside| {
                rows += 1;
                to.push(record, &beside)
            };
            match part {
                0 => sightings(engine, &questions[0], &merged, &names, &mut push)?,
                _ => each(engine, &questions[part], &mut |record| push(&record, names.beside(&record)))?,
            }
            if rows != surveys[part].rows.values().sum::<u64>() {
                return Err(Error::input("the case changed while it was exported").hint("export it again"));
            }
            let file = to.finish()?.into_inner().map_err(|e| Error::io("cannot write", path, e.error()))?;
            Ok((rows, file))
        });
        let rows = keep(path, &beside, written)?;
        say(opened, text, &format!("{rows} {}", PARTS[part]), path)?;
    }
    say_unread(&names.evidence, "its files name them, `import` tells them to the other case");
    Ok(Done::All)
}

/// Gives every sighting of every flow, with whether it is the one that stands for its connection. `merged` asks for those alone: both answers
/// have the same order, so they are walked side by side.
fn sightings(
    engine: &dyn Engine,
    all: &Question,
    merged: &Question,
    names: &Names,
    push: &mut dyn FnMut(&Record, Beside) -> Result<()>,
) -> Result<()> {
    std::thread::scope(|scope| {
        let (to, from) = bounded(WAITING);
        let counted = scope.spawn(move || {
            engine.select(merged, &Page::default(), &Cancel::default(), &mut |r| to.send((r.id, r.seen_by)).is_ok()).map(|_| ())
        });
        let walked = walk(engine, all, names, &from, push);
        // Whoever still sends ends here.
        drop(from);
        let counted = counted.join().unwrap_or_else(|_| Err(Error::internal("the sightings of flows could not be told apart")));
        walked.and(counted)
    })
}

fn walk(
    engine: &dyn Engine,
    all: &Question,
    names: &Names,
    from: &Receiver<(RecordId, Vec<SourceId>)>,
    push: &mut dyn FnMut(&Record, Beside) -> Result<()>,
) -> Result<()> {
    let mut next = from.recv().ok();
    each(engine, all, &mut |record| {
        let mut beside = names.beside(&record);
        beside.counted = Some(false);
        if let Some((_, seen_by)) = next.take_if(|(id, _)| *id == record.id) {
            beside.counted = Some(true);
            beside.seen_by = seen_by.iter().map(|s| names.source(*s)).collect();
            next = from.recv().ok();
        }
        push(&record, beside)
    })?;
    if next.is_some() {
        return Err(Error::input("the case changed while it was exported").hint("export it again"));
    }
    Ok(())
}

/// Names of sources and evidence.
struct Names {
    sources: Vec<SourceInfo>,
    evidence: Vec<EvidenceInfo>,
    by_source: BTreeMap<SourceId, String>,
    by_key: BTreeMap<EvidenceKey, String>,
}

impl Names {
    fn new(engine: &dyn Engine) -> Names {
        let (mut sources, evidence) = (engine.sources(), engine.evidence());
        sources.sort_by_key(|s| s.id);
        let by_source = sources.iter().map(|s| (s.id, s.name.clone())).collect();
        let by_key = evidence.iter().map(|e| (e.key, e.path.clone())).collect();
        Names { sources, evidence, by_source, by_key }
    }
    fn source(&self, id: SourceId) -> String {
        self.by_source.get(&id).cloned().unwrap_or_default()
    }
    fn beside(&self, record: &Record) -> Beside {
        Beside {
            source: self.source(record.source),
            evidence: self.by_key.get(&record.id.evidence).cloned().unwrap_or_default(),
            community_id: record.value(field::COMMUNITY_ID).as_ref().and_then(Value::as_text).map(str::to_owned),
            ..Beside::default()
        }
    }
    /// What both files say.
    fn told(&self, case: &str, question: &str, surveys: &[Survey; 2]) -> Told {
        let exported = now();
        let rows = |key: EvidenceKey| [0, 1].map(|part: usize| surveys[part].rows.get(&key).copied().unwrap_or(0));
        let place = |id: &SourceId| self.sources.iter().position(|s| s.id == *id).and_then(|n| u32::try_from(n).ok());
        let evidence = self.evidence.iter().filter(|e| rows(e.key) != [0, 0]).map(|e| {
            let c = &e.counts;
            ToldEvidence {
                key: e.key.to_string(),
                path: e.path.clone(),
                size: e.size,
                sha256: e.sha256.clone(),
                format: e.format.clone(),
                compression: e.compression.clone(),
                imported: e.imported.rfc3339(),
                counts: [c.ok, c.partial, c.skipped, c.failed, c.records, c.oddities],
                warnings: e.warnings.clone(),
                custody: e.custody.clone(),
                metered: e.metered.clone(),
                sources: e.sources.iter().filter_map(place).collect(),
                rows: rows(e.key),
            }
        });
        let evidence: Vec<ToldEvidence> = evidence.collect();
        let unread = self.evidence.iter().filter(|e| e.is_unread());
        let unread_more = unread.clone().count().saturating_sub(UNREAD) as u64;
        let unread = unread.take(UNREAD).map(|e| ToldUnread {
            key: e.key.to_string(),
            path: e.path.clone(),
            size: e.size,
            why: e.warnings.clone(),
            custody: e.custody.clone(),
        });
        let mut hash = Sha256::new();
        hash.update(exported.0.to_le_bytes());
        hash.update(std::process::id().to_le_bytes());
        evidence.iter().for_each(|e| hash.update(&e.key));
        Told {
            schema: SCHEMA.to_owned(),
            program: format!("backtrail {}", env!("CARGO_PKG_VERSION")),
            export: crate::model::hex::hex(&hash.finalize()[..8]),
            part: String::new(),
            case: case.to_owned(),
            exported: exported.rfc3339(),
            question: question.to_owned(),
            columns: Vec::new(),
            sources: self.sources.iter().map(told_source).collect(),
            evidence,
            unread: unread.collect(),
            unread_more,
        }
    }
}

fn told_source(s: &SourceInfo) -> ToldSource {
    let clock = &s.clock;
    let by_hand = clock.manual.then(|| {
        let zone = clock.zone.as_ref().filter(|_| clock.zone_basis == Basis::Manual);
        let zone = zone.map_or_else(String::new, |zone| format!(", zone {zone}"));
        format!(
            "in the case that was exported its clock was set by hand (corrected by {} s{zone}); here its times are as it wrote them until \
             `backtrail sources set {}` says the same",
            clock.shift as f64 / 1e9,
            s.name
        )
    });
    ToldSource {
        name: s.name.clone(),
        format: s.key.format.clone(),
        sensor: s.key.sensor.clone(),
        zone: clock.zone.clone().filter(|_| clock.zone_basis != Basis::Manual),
        assumed: clock.zone_basis == Basis::Assumed,
        year: clock.year,
        dates: clock.dates.map(|(order, _)| order.name().to_owned()),
        by_hand,
    }
}
