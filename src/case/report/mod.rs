//! The report: what is in the case, where it came from, what was asked, kept and judged. Gathered once, written in several forms.
//! No time of writing stands in it: the same case gives the same report.

pub mod away;

pub mod cited;

pub mod form;

pub mod html;

pub mod json;

pub mod markdown;

pub mod misp;

pub mod redact;

pub mod stix;

pub mod timesketch;

pub mod uuid;

use super::bookmarks::{self, Bookmark};
use super::findings;
use super::home::first_window;
use super::leads::{self, Told};
use super::notes::{self, Note, Tag};
use super::situation::{self, Scene};
use super::trail::{self, Node};
use super::verdicts::{self, Verdict};
use crate::context::sets::{self, Set};
use crate::detectors::settings;
use crate::error::Result;
use crate::model::answer::{Cancel, Coverage};
use crate::model::decision::Decision;
use crate::model::finding::Findings;
use crate::model::site::{Home, Sites};
use crate::model::source::SourceInfo;
use crate::model::{EvidenceKey, Finding, Record, Window};
use crate::query::Engine;
use crate::query::engine::{EvidenceInfo, Page};
use std::collections::BTreeSet;
use std::path::Path;

/// Rows of a bookmark that a report shows.
pub const ROWS_SHOWN: usize = 20;
/// Findings that a report shows.
pub const FINDINGS_SHOWN: usize = 25;

/// Everything a report says.
pub struct Report {
    /// Name of the case.
    pub name: String,
    /// Span of all records, corrected.
    pub span: Option<Window>,
    /// Evidence.
    pub evidence: Vec<EvidenceInfo>,
    /// Sources with their clocks.
    pub sources: Vec<SourceInfo>,
    /// Which sources cover the span.
    pub coverage: Vec<Coverage>,
    /// Bookmarks with their first rows, the number there are now and how many are new.
    pub bookmarks: Vec<Kept>,
    /// Leads, open ones first.
    pub leads: Vec<Told>,
    /// Notes.
    pub notes: Vec<Note>,
    /// Tags.
    pub tags: Vec<Tag>,
    /// Verdicts.
    pub verdicts: Vec<Verdict>,
    /// How much was judged, and is allowed.
    pub judged: away::Judged,
    /// Sites of one's own: by them the report says what went in and out.
    pub sites: Sites,
    /// The addresses that count as home.
    pub home: Vec<String>,
    /// Nobody has said what is home, neither by a site nor by the set `home`.
    pub home_guessed: bool,
    /// Sets, with expired entries.
    pub sets: Vec<Set>,
    /// The trail.
    pub trail: Vec<Node>,
    /// What the detectors found and nobody judged benign, what ranks first on top.
    pub findings: Vec<Finding>,
    /// Findings beyond those.
    pub more_findings: usize,
    /// What malicious verdicts are on, see [`cited::bad`].
    pub bad: BTreeSet<String>,
    /// The situation of the whole; none: nobody asked for it.
    pub scene: Option<Scene>,
}

impl Report {
    /// What an evidence file is called here.
    pub fn evidence_path(&self, key: EvidenceKey) -> String {
        self.evidence.iter().find(|e| e.key == key).map_or_else(|| key.to_string(), |e| e.path.clone())
    }
    /// Calls files by their names, for those who have the files elsewhere.
    pub fn without_folders(&mut self, folders: &Folders) {
        for evidence in &mut self.evidence {
            evidence.path = evidence.bare();
            evidence.warnings.iter_mut().for_each(|w| *w = folders.off(w));
        }
        self.sources.iter_mut().flat_map(|s| &mut s.warnings).for_each(|w| *w = folders.off(w));
    }
}

/// The folders of this machine in which a case and its evidence lie: what is handed to others does not name them.
pub struct Folders(Vec<(String, String)>);

impl Folders {
    /// Of a case.
    pub fn of(dir: &Path, evidence: &[EvidenceInfo]) -> Folders {
        let own = (dir.display().to_string(), "CASE".to_owned());
        let mut all: Vec<(String, String)> = evidence.iter().map(|e| (e.path.clone(), e.bare())).chain([own]).collect();
        all.retain(|(path, name)| path != name && path.len() > 1 && path.starts_with('/'));
        // The longest first: one may stand within another.
        all.sort_by_key(|(path, _)| std::cmp::Reverse(path.len()));
        Folders(all)
    }
    /// A text in which files are called by their names.
    pub fn off(&self, text: &str) -> String {
        self.0
            .iter()
            .fold(text.to_owned(), |text, (path, name)| if text.contains(path) { text.replace(path, name) } else { text })
    }
}

/// A bookmark asked again.
pub struct Kept {
    /// The bookmark.
    pub bookmark: Bookmark,
    /// Its first rows.
    pub rows: Vec<Record>,
    /// Rows there are now.
    pub count: u64,
    /// Rows that came since it was kept.
    pub new: u64,
    /// Rows that it leaves out by sets and verdicts: what is left out is called, and how many.
    pub left_out: Vec<(String, u64)>,
    /// The question can no longer be asked: why.
    pub failed: Option<String>,
}

/// Gathers a report.
pub fn gather(name: &str, decisions: &[Decision], engine: &dyn Engine, cancel: &Cancel) -> Result<Report> {
    let span = engine.span();
    let judged = verdicts::verdicts(decisions);
    let at_home = engine.home(cancel)?;
    let mut kept = Vec::new();
    for bookmark in bookmarks::list(decisions) {
        kept.push(ask(bookmark, engine, cancel)?);
    }
    Ok(Report {
        name: name.to_owned(),
        span,
        evidence: engine.evidence(),
        sources: engine.sources(),
        coverage: span.map(|w| engine.coverage(&w)).unwrap_or_default(),
        bookmarks: kept,
        leads: leads::told(decisions, engine, cancel)?,
        notes: notes::notes(decisions),
        tags: notes::tags(decisions),
        bad: cited::bad(&judged, engine),
        verdicts: judged,
        judged: away::judged(engine, cancel)?,
        sites: engine.sites(cancel)?,
        home: home(&at_home),
        home_guessed: at_home.guessed,
        sets: sets::sets(decisions),
        trail: trail::tree(decisions),
        findings: Vec::new(),
        more_findings: 0,
        scene: None,
    })
}

/// Adds what the detectors found, and the situation, which need the directory of the case.
pub fn with_findings(
    report: &mut Report,
    dir: &Path,
    decisions: &[Decision],
    engine: &dyn Engine,
    cancel: &Cancel,
) -> Result<()> {
    let mut found = findings::all(engine, dir, decisions, settings::installed(), cancel, &mut |_| {})?;
    let benign = findings::judge(&mut found, engine, decisions, cancel)?;
    with_judged(report, found, benign, decisions, engine, cancel)
}

/// Adds what the detectors found and somebody judged: the last `benign` of it are left out.
pub fn with_judged(
    report: &mut Report,
    mut found: Findings,
    benign: usize,
    decisions: &[Decision],
    engine: &dyn Engine,
    cancel: &Cancel,
) -> Result<()> {
    found.list.truncate(found.list.len().saturating_sub(benign));
    let window = first_window(engine).or(report.span);
    if let Some(window) = window {
        let name = report.name.clone();
        report.scene =
            Some(situation::scene(&situation::Asking { engine, found: &found.list, name, decisions, window, cancel })?);
    }
    report.more_findings = found.list.len().saturating_sub(FINDINGS_SHOWN);
    found.list.truncate(FINDINGS_SHOWN);
    report.findings = found.list;
    Ok(())
}

/// The networks and addresses of home as text.
fn home(home: &Home) -> Vec<String> {
    let members = home.members();
    let nets = members.nets.iter().map(ToString::to_string);
    nets.chain(members.addrs.iter().map(ToString::to_string)).collect()
}

fn ask(bookmark: Bookmark, engine: &dyn Engine, cancel: &Cancel) -> Result<Kept> {
    let mut kept = Kept { bookmark, rows: Vec::new(), count: 0, new: 0, left_out: Vec::new(), failed: None };
    let question = match engine.compile(&kept.bookmark.query) {
        Ok(question) => question,
        Err(e) => {
            kept.failed = Some(e.what);
            return Ok(kept);
        }
    };
    kept.new = bookmarks::changes(&kept.bookmark, engine, cancel)?;
    kept.count = engine.counts(std::slice::from_ref(&question), u64::MAX, cancel)?.first().map_or(0, |c| c.n);
    kept.left_out = away::left_out(engine, &kept.bookmark.query, cancel)?;
    if question.stages.is_empty() {
        let page = Page { limit: ROWS_SHOWN, ..Page::default() };
        engine.select(&question, &page, cancel, &mut |record| {
            kept.rows.push(record);
            true
        })?;
    }
    Ok(kept)
}
