//! The handover: a bundle for the next shift or for court. What was asked, what is proven, what was not covered, what is open, each statement with
//! the evidence it rests on; the cited lines and packets themselves; the journal; and a manifest that `sha256sum -c` checks with nothing else
//! installed. No time of writing stands in it: the same case gives the same bundle.

mod cited;
mod covered;
mod pack;
mod packets;
mod text;

pub use pack::{Form, MANIFEST};

use super::Keeper;
use super::findings;
use super::replay::{Now, replay};
use super::report::redact::Redactor;
use super::report::{self, Folders, Report, json, markdown};
use super::trail::Node;
use crate::detectors::settings;
use crate::error::{Error, Result};
use crate::model::answer::Cancel;
use crate::model::decision::{Decision, What};
use crate::model::{Finding, hex::hex};
use crate::query::Engine;
use cited::{Cites, Statement};
use pack::Files;
use sha2::{Digest, Sha256};
use std::io::Read;
use std::path::Path;

/// Every cited record, for people.
const LINES: &str = "lines.txt";
/// The journal of the case, as it is there and in the bundle.
const JOURNAL: &str = "journal.log";
/// Longest journal that goes along.
const JOURNAL_MOST: u64 = 512 << 20;
/// Steps of the trail that are asked again and shown, the newest; the report has all of them as they were.
const STEPS: usize = 300;

/// How much goes along; what is beyond is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Rows that are cited for one statement.
    pub rows: usize,
    /// Bytes of one line.
    pub line: u64,
    /// Bytes of all lines.
    pub lines: u64,
    /// Packets of all cited flows.
    pub packets: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { rows: 100, line: 1 << 20, lines: 256 << 20, packets: 200_000 }
    }
}

/// What is asked for.
pub struct Request<'a> {
    /// Folder to make, or a file that ends in `.zip` or `.tar`.
    pub to: &'a Path,
    /// Bounds.
    pub limits: Limits,
    /// Replaces addresses and users; then neither raw lines, packets nor the journal go along.
    pub redactor: Option<Redactor>,
}

/// A file of the bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Name within the bundle.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// SHA-256, hexadecimal.
    pub sha256: String,
}

/// What a bundle is made of.
#[derive(Debug, Default)]
pub struct Handed {
    /// Its files, by name; the manifest is the last.
    pub files: Vec<Written>,
    /// Statements that are said to be proven.
    pub statements: usize,
    /// Records that are cited.
    pub cited: usize,
    /// Packets that go along.
    pub packets: usize,
    /// What was left out, in words.
    pub notes: Vec<String>,
}

/// What the text is written from.
struct Handover<'a> {
    report: &'a Report,
    decisions: &'a [Decision],
    engine: &'a dyn Engine,
    limits: Limits,
    statements: Vec<Statement>,
    cites: Cites,
    /// The newest steps of the trail, with what there is now.
    steps: Vec<(Node, Now)>,
    steps_in_all: usize,
    /// Findings that nobody judged, and how many there are beyond those.
    unjudged: Vec<Finding>,
    unjudged_more: usize,
    /// What somebody has to decide, as home says: what, because of what.
    undecided: Vec<(String, String)>,
    covered: covered::Covered,
    packets: packets::Taken,
    journal: Journal,
    redacted: bool,
    notes: Vec<String>,
}

/// The journal as it goes along.
#[derive(Default)]
struct Journal {
    bytes: Vec<u8>,
    /// Decisions, and the hash of the last one.
    lines: usize,
    last: String,
    /// Why it does not go along.
    without: Option<String>,
}

/// Findings that nobody judged which are listed.
const UNJUDGED: usize = 25;

/// Writes a bundle, and journals its hash.
pub fn hand_over(engine: &dyn Engine, keeper: &dyn Keeper, mut request: Request<'_>, cancel: &Cancel) -> Result<Handed> {
    let form = Form::of(request.to)?;
    let decisions = keeper.decisions();
    let journal = journal(&keeper.dir(), request.redactor.is_some());
    let mut files = Files::beside(request.to)?;
    let mut report = report::gather(&keeper.name(), &decisions, engine, cancel)?;
    let mut found = findings::all(engine, &keeper.dir(), &decisions, settings::installed(), cancel, &mut |_| {})?;
    let benign = findings::judge(&mut found, engine, &decisions, cancel)?;
    let (judged, mut unjudged): (Vec<Finding>, Vec<Finding>) = found.list.iter().cloned().partition(|f| f.verdict.is_some());
    report::with_judged(&mut report, found, benign, &decisions, engine, cancel)?;
    let folders = Folders::of(&keeper.dir(), &report.evidence);
    report.without_folders(&folders);

    let mut cites = Cites::new(&report, request.limits, folders);
    let statements = cited::statements(&report, &judged, &mut cites, engine, cancel)?;
    let redacted = request.redactor.is_some();
    cites.find(engine, cancel)?;
    cites.read(engine, if redacted { None } else { Some(&mut files) }, cancel)?;
    let packets = packets::take(&mut cites, engine, if redacted { None } else { Some(&mut files) }, cancel)?;

    let newest = newest(&report.trail);
    let mut steps = Vec::with_capacity(newest.len());
    replay(&newest, engine, cancel, &mut |at, now| {
        steps.extend(newest.get(at).map(|node| (node.clone(), now.clone())));
        true
    })?;
    let unjudged_more = unjudged.len().saturating_sub(UNJUDGED);
    unjudged.truncate(UNJUDGED);
    let mut handover = Handover {
        steps_in_all: report.trail.len(),
        covered: covered::covered(&report, engine)?,
        undecided: covered::undecided(&report, &keeper.dir(), &decisions, engine, cancel)?,
        report: &report,
        decisions: &decisions,
        engine,
        limits: request.limits,
        statements,
        steps,
        unjudged,
        unjudged_more,
        packets,
        journal,
        redacted,
        notes: cites.notes(),
        cites,
    };
    if redacted {
        handover.notes.push("addresses and users are replaced: raw lines, packets and the journal stay with the case".into());
    }
    handover.notes.extend(handover.journal.without.clone());
    handover.notes.extend(handover.packets.notes.clone());

    let mut plain = |text: String| request.redactor.as_mut().map_or_else(|| text.clone(), |r| r.text(&text));
    files.add("handover.md", plain(text::write(&handover)).as_bytes())?;
    files.add("report.md", plain(markdown::write(&report, engine)).as_bytes())?;
    files.add(LINES, plain(text::lines(&handover)).as_bytes())?;
    let mut object = |mut value: serde_json::Value| {
        request.redactor.iter_mut().for_each(|r| r.json(&mut value));
        value
    };
    files.add("report.json", format!("{:#}\n", object(json::write(&report, engine))).as_bytes())?;
    let cited: Vec<String> = handover.cites.objects(engine).into_iter().map(|row| format!("{}\n", object(row))).collect();
    files.add("lines.jsonl", cited.concat().as_bytes())?;
    if handover.journal.without.is_none() && !redacted {
        files.add(JOURNAL, &handover.journal.bytes)?;
    }
    let (written, sha256) = files.finish(request.to, form, cancel)?;
    keeper.append(What::Export { what: "handover".into(), path: request.to.display().to_string(), sha256 })?;
    Ok(Handed {
        files: written,
        statements: handover.statements.len(),
        cited: handover.cites.len(),
        packets: handover.packets.packets,
        notes: handover.notes,
    })
}

/// The newest steps, in the order of the tree.
fn newest(trail: &[Node]) -> Vec<Node> {
    let mut ids: Vec<u64> = trail.iter().map(|n| n.id).collect();
    ids.sort_unstable();
    let from = ids.len().checked_sub(STEPS).and_then(|at| ids.get(at)).copied().unwrap_or(0);
    trail.iter().filter(|n| n.id >= from).cloned().collect()
}

/// The whole lines of the journal: one that is being written is not there yet.
fn journal(dir: &Path, redacted: bool) -> Journal {
    if redacted {
        return Journal::default();
    }
    let path = dir.join(JOURNAL);
    let without = |why: String| Journal { without: Some(format!("the journal does not go along: {why}")), ..Journal::default() };
    let mut bytes = Vec::new();
    let read = std::fs::File::open(&path).and_then(|f| f.take(JOURNAL_MOST + 1).read_to_end(&mut bytes));
    match read {
        Err(e) => return without(format!("{}: {e}", JOURNAL)),
        Ok(_) if bytes.len() as u64 > JOURNAL_MOST => return without(format!("it has more than {} MiB", JOURNAL_MOST >> 20)),
        Ok(_) => {}
    }
    bytes.truncate(bytes.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1));
    let last = bytes.strip_suffix(b"\n").unwrap_or_default();
    let last = last.get(last.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1)..).unwrap_or_default();
    let last = String::from_utf8_lossy(last).split(' ').nth(1).unwrap_or_default().to_owned();
    Journal { lines: bytes.iter().filter(|b| **b == b'\n').count(), bytes, last, without: None }
}

fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// An error of writing.
fn refused(path: &Path) -> impl Fn(std::io::Error) -> Error + '_ {
    move |e| Error::io("cannot write", path, &e)
}
