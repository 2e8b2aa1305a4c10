//! What is proven, and the records that prove it: each is cited once by a number, with its evidence file, offset and bytes.

use super::pack::Files;
use super::{Folders, Limits, Report};
use crate::case::notes;
use crate::error::{ErrorKind, Result};
use crate::model::answer::Cancel;
use crate::model::decision::About;
use crate::model::evidence::{EvidenceInfo, LIVE};
use crate::model::{EvidenceKey, Finding, Kind, Origin, Record, RecordId, field, summary};
use crate::query::engine::{Page, Raw};
use crate::query::{Engine, quote};
use crate::sources;
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, HashMap};

/// Records whose flow is looked for among what they are linked with.
const LINKED: usize = 300;

/// Something that is said to be so, and what it rests on.
pub(super) struct Statement {
    /// `verdict 3`, `bookmark 7`, `finding 1`.
    pub label: String,
    /// What is said.
    pub head: String,
    /// By whom, why, since when: plain text, in sentences.
    pub said: Vec<String>,
    /// The question behind it, if there is one.
    pub query: Option<String>,
    /// Records that it rests on now, if they can be counted.
    pub rows: Option<u64>,
    /// Numbers of those that are cited.
    pub cited: Vec<usize>,
    /// Why it can no longer be asked.
    pub failed: Option<String>,
}

/// Where the bytes of a cited record are.
pub(super) enum Place {
    /// They were not looked for yet.
    Open,
    /// A line: its bytes, and where they stand in the bundle.
    Line(Vec<u8>, Option<(String, u64)>),
    /// It was read from packets: those of its flow.
    Packets,
    /// They cannot be had, or are left out: why.
    Without(String),
}

/// A record that is cited.
pub(super) struct Citation {
    /// The record.
    pub record: Record,
    /// What it is cited by.
    pub by: Vec<String>,
    /// Where its bytes are.
    pub place: Place,
    /// Its flow, if a capture has one.
    pub flow: Option<RecordId>,
}

/// Every record that is cited, by its number from 1.
pub(super) struct Cites {
    list: Vec<Citation>,
    by_id: HashMap<RecordId, usize>,
    pub evidence: BTreeMap<EvidenceKey, EvidenceInfo>,
    limits: Limits,
    folders: Folders,
    /// Records that were named and are no longer in the case.
    missing: usize,
    unlinked: usize,
}

impl Cites {
    /// None yet.
    pub(super) fn new(report: &Report, limits: Limits, folders: Folders) -> Cites {
        let evidence = report.evidence.iter().map(|e| (e.key, e.clone())).collect();
        Cites { list: Vec::new(), by_id: HashMap::new(), evidence, limits, folders, missing: 0, unlinked: 0 }
    }
    pub(super) fn len(&self) -> usize {
        self.list.len()
    }
    pub(super) fn limits(&self) -> Limits {
        self.limits
    }
    pub(super) fn list(&self) -> &[Citation] {
        &self.list
    }
    pub(super) fn get(&self, number: usize) -> Option<&Citation> {
        self.list.get(number.checked_sub(1)?)
    }
    fn cite(&mut self, record: Record, by: &str) -> usize {
        let number = *self.by_id.entry(record.id).or_insert_with(|| {
            self.list.push(Citation { record, by: Vec::new(), place: Place::Open, flow: None });
            self.list.len()
        });
        if let Some(citation) = self.list.get_mut(number - 1)
            && citation.by.last().is_none_or(|last| last != by)
        {
            citation.by.push(by.to_owned());
        }
        number
    }
    fn cite_ids<'a>(&mut self, ids: impl Iterator<Item = &'a RecordId>, by: &str, engine: &dyn Engine) -> Result<Vec<usize>> {
        let mut out = Vec::new();
        for id in ids.take(self.limits.rows) {
            match engine.record(*id)? {
                Some(record) => out.push(self.cite(record, by)),
                None => self.missing += 1,
            }
        }
        Ok(out)
    }
    /// Cites the first records of a question, and counts them.
    fn ask(&mut self, statement: &mut Statement, text: &str, engine: &dyn Engine, cancel: &Cancel) -> Result<()> {
        let mut question = match engine.compile(text) {
            Ok(question) => question,
            Err(e) => {
                statement.failed = Some(e.what);
                return Ok(());
            }
        };
        // Of a table the records that it is made of are cited.
        question.stages.clear();
        statement.rows = engine.counts(std::slice::from_ref(&question), u64::MAX, cancel)?.first().map(|c| c.n);
        let page = Page { limit: self.limits.rows, ..Page::default() };
        engine.select(&question, &page, cancel, &mut |record| {
            statement.cited.push(self.cite(record, &statement.label));
            true
        })?;
        Ok(())
    }
    fn is_capture(&self, key: EvidenceKey) -> bool {
        let of = |format: &str| sources::FORMATS.iter().any(|(name, what, _)| *name == format && *what == "capture");
        self.evidence.get(&key).is_some_and(|e| e.format == LIVE || of(&e.format))
    }
    /// Looks for the flow of each record: its own, that which it was read from, else the best that it is linked with.
    pub(super) fn find(&mut self, engine: &dyn Engine, cancel: &Cancel) -> Result<()> {
        let mut looked = 0;
        for at in 0..self.list.len() {
            cancel.check()?;
            let record = &self.list[at].record;
            let captured = self.is_capture(record.id.evidence);
            let own =
                if record.kind == Kind::Flow { Some(record.id) } else { record.text(field::FLOW).and_then(|id| id.parse().ok()) };
            let flow = match own.filter(|_| captured) {
                Some(own) => Some(own),
                None if record.addr(field::SRC_IP).is_none() || record.addr(field::DST_IP).is_none() => None,
                None if looked >= LINKED => {
                    self.unlinked += 1;
                    None
                }
                None => {
                    looked += 1;
                    self.linked(engine.links(record, cancel)?)
                }
            };
            self.list[at].flow = flow;
            if captured && own.is_some() {
                self.list[at].place = Place::Packets;
            }
        }
        Ok(())
    }
    /// The best flow of a capture among links.
    fn linked(&self, links: Vec<crate::query::engine::Link>) -> Option<RecordId> {
        let flows = links.into_iter().filter(|l| l.record.kind == Kind::Flow && self.is_capture(l.record.id.evidence));
        flows.min_by_key(|l| (l.quality.rank(), l.record.id)).map(|l| l.record.id)
    }
    /// Reads the lines. Those of one evidence file go into one file of the bundle, by offset, each ended by a line feed as it stood or added.
    pub(super) fn read(&mut self, engine: &dyn Engine, mut files: Option<&mut Files>, cancel: &Cancel) -> Result<()> {
        let mut order: BTreeMap<(EvidenceKey, u64, u32), Vec<usize>> = BTreeMap::new();
        for (at, citation) in self.list.iter().enumerate().filter(|(_, c)| matches!(c.place, Place::Open)) {
            let record = &citation.record;
            order.entry((record.id.evidence, record.id.offset, record.len)).or_default().push(at);
        }
        let mut total = 0u64;
        let mut parts: BTreeMap<EvidenceKey, Vec<u8>> = BTreeMap::new();
        let mut keys: Vec<EvidenceKey> = order.keys().map(|k| k.0).collect();
        keys.dedup();
        let name = |key: EvidenceKey| {
            let number = keys.iter().position(|k| *k == key).unwrap_or(0) + 1;
            format!("lines/{number:04}-{key}.raw")
        };
        for ((evidence, offset, len), cited) in &order {
            cancel.check()?;
            let bytes = match self.bytes(engine, Origin { evidence: *evidence, offset: *offset, len: *len }, total)? {
                Ok(bytes) => bytes,
                Err(why) => {
                    cited.iter().for_each(|at| self.list[*at].place = Place::Without(why.clone()));
                    continue;
                }
            };
            total += bytes.len() as u64;
            let part = parts.entry(*evidence).or_default();
            let at = part.len() as u64;
            part.extend_from_slice(&bytes);
            if !bytes.ends_with(b"\n") {
                part.push(b'\n');
            }
            let place = files.is_some().then(|| (name(*evidence), at));
            cited.iter().for_each(|at| self.list[*at].place = Place::Line(bytes.clone(), place.clone()));
        }
        if let Some(files) = &mut files {
            parts.iter().try_for_each(|(key, part)| files.add(&name(*key), part))?;
        }
        Ok(())
    }
    /// The bytes of a line, or why they are left out.
    fn bytes(&self, engine: &dyn Engine, origin: Origin, total: u64) -> Result<std::result::Result<Vec<u8>, String>> {
        let len = u64::from(origin.len);
        if len > self.limits.line {
            return Ok(Err(format!("left out: {len} bytes, more than {} of one line", self.limits.line)));
        }
        if total.saturating_add(len) > self.limits.lines {
            return Ok(Err(format!("left out: all lines together have at most {} bytes", self.limits.lines)));
        }
        match engine.raw(origin) {
            Ok(Raw::Bytes(bytes)) => Ok(Ok(bytes)),
            Ok(Raw::Gone(why)) => Ok(Err(self.off(&why))),
            Err(e) if e.kind == ErrorKind::Cancelled => Err(e),
            // A file that cannot be read any more keeps none of the others from it.
            Err(e) => Ok(Err(self.off(&e.what))),
        }
    }
    /// A text without folders of this machine.
    pub(super) fn off(&self, text: &str) -> String {
        self.folders.off(text)
    }
    /// What is not there, in words.
    pub(super) fn notes(&self) -> Vec<String> {
        let mut out = Vec::new();
        let without = self.list.iter().filter(|c| matches!(c.place, Place::Without(_))).count();
        if without > 0 {
            out.push(format!("the bytes of {without} cited records are not here: lines.txt says why of each"));
        }
        if self.missing > 0 {
            out.push(format!("{} records that are named are no longer in the case", self.missing));
        }
        if self.unlinked > 0 {
            out.push(format!("the flow of {} cited records was not looked for: it is of the first {LINKED}", self.unlinked));
        }
        out
    }
    /// Name of the evidence file of a record and its SHA-256, which may be empty.
    pub(super) fn file(&self, key: EvidenceKey) -> (String, String) {
        self.evidence.get(&key).map_or_else(|| (key.to_string(), String::new()), |e| (e.path.clone(), e.sha256.clone()))
    }
    /// Each as JSON, `backtrail.citation/1`.
    pub(super) fn objects(&self, engine: &dyn Engine) -> Vec<Json> {
        let object = |(at, c): (usize, &Citation)| {
            let (name, sha256) = self.file(c.record.id.evidence);
            let mut row = json!({
                "schema": "backtrail.citation/1", "citation": at + 1, "id": c.record.id.to_string(), "kind": c.record.kind.name(),
                "source": engine.source_name(c.record.source), "start": c.record.time().rfc3339(), "start.raw": c.record.start.rfc3339(),
                "what": summary::line(&c.record), "evidence": name, "evidence.key": c.record.id.evidence.to_string(),
                "evidence.sha256": sha256, "offset": c.record.id.offset, "length": c.record.len, "cited_by": c.by,
                "flow": c.flow.map(|id| id.to_string()),
            });
            match &c.place {
                Place::Line(_, Some((file, at))) => (row["file"], row["at"]) = (json!(file), json!(at)),
                Place::Without(why) => row["without"] = json!(why),
                Place::Line(_, None) | Place::Packets | Place::Open => {}
            }
            row
        };
        self.list.iter().enumerate().map(object).collect()
    }
}

/// What people said is so: verdicts, bookmarks, findings that somebody judged.
pub(super) fn statements(
    report: &Report,
    judged: &[Finding],
    cites: &mut Cites,
    engine: &dyn Engine,
    cancel: &Cancel,
) -> Result<Vec<Statement>> {
    let new = |label: String, head: String, said: Vec<String>| Statement {
        label,
        head,
        said,
        query: None,
        rows: None,
        cited: Vec::new(),
        failed: None,
    };
    let mut out = Vec::new();
    for v in &report.verdicts {
        cancel.check()?;
        let mut said = vec![format!("Judged {} by {} at {}.", v.judgement.name(), v.who, v.at)];
        if !v.reason.is_empty() {
            said.push(format!("Because: {}", v.reason));
        }
        said.extend(v.expires.map(|until| format!("It holds until {until}.")));
        let mut s = new(format!("verdict {}", v.id), format!("{}: {}", v.judgement.name(), notes::subject(&v.about)), said);
        match &v.about {
            About::Records(ids) => {
                s.rows = Some(ids.len() as u64);
                let ids: Vec<RecordId> = ids.iter().filter_map(|id| id.parse().ok()).collect();
                s.cited = cites.cite_ids(ids.iter(), &s.label, engine)?;
            }
            About::Query(text) => s.query = Some(text.clone()),
            About::Value(name, value) => s.query = Some(format!("{name} = {}", quote(value))),
            About::Bookmark(id) => {
                s.query = report.bookmarks.iter().find(|k| k.bookmark.id == *id).map(|k| k.bookmark.query.clone())
            }
            About::Case => {}
        }
        if let Some(text) = s.query.clone() {
            cites.ask(&mut s, &text, engine, cancel)?;
        }
        out.push(s);
    }
    for kept in &report.bookmarks {
        cancel.check()?;
        let b = &kept.bookmark;
        let mut said = vec![format!("Kept by {} at {} with {} rows; {} came since.", b.who, b.at, b.rows, kept.new)];
        let away: Vec<String> = kept.left_out.iter().map(|(what, n)| format!("{n} ({what})")).collect();
        if !away.is_empty() {
            said.push(format!("Left out by its question: {}.", away.join(", ")));
        }
        let mut s = new(format!("bookmark {}", b.id), b.title.clone(), said);
        s.query = Some(b.query.clone());
        cites.ask(&mut s, &b.query, engine, cancel)?;
        out.push(s);
    }
    for (n, f) in judged.iter().enumerate() {
        let mut said = vec![format!("Found by {}, judged {}.", f.detector, f.verdict.as_deref().unwrap_or_default())];
        let numbers = f.numbers.iter().map(|n| {
            let limit = if n.limit.is_empty() { String::new() } else { format!(" (threshold {})", n.limit) };
            format!("{}: {}{limit}.", n.name, n.value)
        });
        said.extend(numbers);
        let mut s = new(format!("finding {}", n + 1), f.title.clone(), said);
        (s.query, s.rows) = (Some(f.query.clone()).filter(|q| !q.is_empty()), Some(f.rows));
        s.cited = cites.cite_ids(f.evidence.iter(), &s.label, engine)?;
        out.push(s);
    }
    Ok(out)
}
