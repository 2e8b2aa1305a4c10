//! Findings of a case: found once and kept beside it until records, clocks, home networks or thresholds change; and what was judged of each.
//!
//! The file is derived: lost, it costs a run.

use super::gathered::Beside;
use crate::detectors::gather::{Asked, Past, Progress, parameters, run, service};
use crate::detectors::{ALL, Limits};
use crate::error::Result;
use crate::model::decision::{Decision, Judgement, What, standing};
use crate::model::finding::{Finding, Findings};
use crate::model::hex::hex;
use crate::model::{Cancel, Time, Window};
use crate::query::{Engine, Question};
use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Name of the file in the case.
pub const FILE: &str = "findings.json";
/// Bytes from which on such a file is not ours.
const MOST: u64 = 256 << 20;
/// Findings whose records are asked for verdicts, and how many of them are asked at once.
const JUDGED: usize = 5_000;
const AT_ONCE: usize = 64;

/// What a run would rest on now: thresholds and rules, clocks as applied, home networks, sites, sets, feeds, what was pruned. Not the records: their number is
/// [`Engine::sequence`].
pub fn rests_on(engine: &dyn Engine, decisions: &[Decision], limits: &Limits, cancel: &Cancel) -> Result<String> {
    Ok(format!("{}; {}", parameters(ALL, limits), rests_on_world(engine, decisions, cancel)?))
}

/// The same without thresholds and rules.
pub(in crate::case) fn rests_on_world(engine: &dyn Engine, decisions: &[Decision], cancel: &Cancel) -> Result<String> {
    let mut hash = Sha256::new();
    for source in engine.sources() {
        hash.update(format!("{} {:?}\n", source.name, source.clock));
    }
    hash.update(rests_on_besides(engine, decisions, cancel)?);
    let digest = hex(&hash.finalize());
    Ok(format!("clocks, home, sets, feeds {}", digest.get(..16).unwrap_or_default()))
}

/// The same without clocks.
pub fn rests_on_besides(engine: &dyn Engine, decisions: &[Decision], cancel: &Cancel) -> Result<String> {
    let mut hash = Sha256::new();
    let home = engine.home(cancel)?;
    let mut addrs: Vec<_> = home.members().addrs.iter().collect();
    addrs.sort();
    hash.update(format!("{:?} {addrs:?}", home.members().nets));
    for site in engine.sites(cancel)?.applied() {
        hash.update(format!("{} {:?} {:?}\n", site.name, site.networks, site.zone));
    }
    // Sets, feeds and what was pruned: what else ranks findings and is looked at by them.
    let matters = |d: &&Decision| {
        use What::{Feed, Inventory, Prune, Remove, SetAdd, SetRemove, Site, SourceSet};
        matches!(
            d.what,
            SetAdd { .. }
                | SetRemove { .. }
                | Feed { .. }
                | Inventory { .. }
                | Prune { .. }
                | Site { .. }
                | SourceSet { .. }
                | Remove { .. }
        )
    };
    hash.update(format!("{:?}", decisions.iter().filter(matters).map(|d| d.sequence).collect::<Vec<_>>()));
    Ok(hex(&hash.finalize()))
}

/// Every finding of the case: as kept if nothing has changed since, else found anew and kept.
pub fn all(
    engine: &dyn Engine,
    dir: &Path,
    decisions: &[Decision],
    limits: &Limits,
    cancel: &Cancel,
    tell: &mut dyn FnMut(Progress),
) -> Result<Findings> {
    let rests = rests_on(engine, decisions, limits, cancel)?;
    if let Some(kept) = current(engine, dir, &rests) {
        return Ok(kept);
    }
    // A source that is new changes nothing of what was gathered: those that there were are compared one by one.
    let world = rests_on_besides(engine, decisions, cancel)?;
    let past = Past { kept: &Beside::case(dir), rests: world, writes: engine.head_sequence() == 0 };
    let mut found = run(engine, &Asked { limits, only: None, window: Window::ALL, past: Some(past) }, cancel, tell)?;
    found.parameters = rests;
    // What a capture has not committed moves on; who may not write here finds it again next time.
    if engine.head_sequence() == 0 {
        let _ = keep(dir, &found);
    }
    Ok(found)
}

/// What is kept beside a case, if nothing has changed since; `rests` is what it would rest on now ([`rests_on`]).
pub fn current(engine: &dyn Engine, dir: &Path, rests: &str) -> Option<Findings> {
    kept(dir).filter(|k| k.parameters == rests && k.sequence == engine.sequence())
}

/// What is kept beside a case, whatever has changed since.
pub fn kept(dir: &Path) -> Option<Findings> {
    let path = dir.join(FILE);
    let fits = path.metadata().is_ok_and(|m| m.len() <= MOST);
    serde_json::from_slice(&if fits { std::fs::read(path).ok()? } else { return None }).ok()
}

fn keep(dir: &Path, found: &Findings) -> std::io::Result<()> {
    write(dir, FILE, &serde_json::to_vec(found)?)
}

/// Writes a derived file beside a case.
pub(in crate::case) fn write(dir: &Path, name: &str, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = tempfile::NamedTempFile::new_in(dir)?;
    file.write_all(bytes)?;
    put(file, dir, name)
}

/// Gives what was written in the folder of a file its name: who reads meanwhile sees the one or the other.
pub(in crate::case) fn put(file: tempfile::NamedTempFile, dir: &Path, name: &str) -> std::io::Result<()> {
    // Of a case that a group shares they may all read it.
    let shared = std::fs::metadata(dir)?.permissions().mode() & 0o020 != 0;
    file.as_file().set_permissions(Permissions::from_mode(if shared { 0o660 } else { 0o600 }))?;
    file.persist(dir.join(name)).map(drop).map_err(|e| e.error)
}

/// Says of each finding what people judged its records to be, and puts those that are benign behind the others; how many are.
pub fn judge(found: &mut Findings, engine: &dyn Engine, decisions: &[Decision], cancel: &Cancel) -> Result<usize> {
    let judged: BTreeSet<Judgement> = standing(decisions)
        .filter_map(|d| if let What::Verdict { judgement, .. } = &d.what { Some(*judgement) } else { None })
        .collect();
    found.list.iter_mut().for_each(|f| f.verdict = None);
    if judged.is_empty() {
        return Ok(0);
    }
    let asked: Vec<usize> = (0..found.list.len().min(JUDGED)).filter(|n| !found.list[*n].query.is_empty()).collect();
    if found.list.len() > JUDGED {
        let text = format!("only the first {JUDGED} of {} findings are compared with what was judged", found.list.len());
        found.notices.push(text);
    }
    let any: Vec<String> = judged.iter().map(|j| format!("verdict = {}", j.name())).collect();
    let any = any.join(" or ");
    // Most findings have no record that was judged: one look at each, many at once, says which have.
    let mut met = Vec::new();
    for part in asked.chunks(AT_ONCE) {
        cancel.check()?;
        let one = |n: &usize| question(engine, &format!("({}) and ({any})", found.list[*n].query));
        let counts = engine.counts(&part.iter().map(one).collect::<Result<Vec<_>>>()?, 1, cancel)?;
        met.extend(part.iter().zip(counts).filter(|(_, c)| c.n > 0).map(|(n, _)| *n));
    }
    for n in met {
        cancel.check()?;
        found.list[n].verdict = verdict(&found.list[n], engine, &judged, cancel)?.map(|j| j.name().to_owned());
    }
    let benign = |f: &Finding| f.verdict.as_deref() == Some(Judgement::Benign.name());
    found.list.sort_by_key(benign);
    Ok(found.list.iter().filter(|f| benign(f)).count())
}

/// The worst that any of its records was judged; benign only if all of them were.
fn verdict(finding: &Finding, engine: &dyn Engine, judged: &BTreeSet<Judgement>, cancel: &Cancel) -> Result<Option<Judgement>> {
    let mut texts = vec![finding.query.clone()];
    texts.extend(judged.iter().map(|j| format!("({}) and verdict = {}", finding.query, j.name())));
    let questions = texts.iter().map(|text| question(engine, text)).collect::<Result<Vec<_>>>()?;
    let counts = engine.counts(&questions, u64::MAX, cancel)?;
    let Some((all, parts)) = counts.split_first() else { return Ok(None) };
    let holds = |(j, n): &(&Judgement, &crate::query::engine::Count)| n.n > 0 && (**j != Judgement::Benign || n.n >= all.n);
    Ok(judged.iter().zip(parts).filter(holds).map(|(j, _)| *j).max())
}

fn question(engine: &dyn Engine, text: &str) -> Result<Question> {
    let mut question = engine.compile(text)?;
    // Of what its hosts were elsewhere nothing was judged here.
    question.elsewhere = false;
    Ok(question)
}

/// A finding as JSON, `backtrail.finding/1`.
pub fn object(f: &Finding, engine: &dyn Engine) -> Json {
    let numbers: Vec<Json> = f.numbers.iter().map(|n| json!({"name": n.name, "value": n.value, "threshold": n.limit})).collect();
    let support: Vec<Json> =
        f.support.iter().map(|s| json!({"by": s.by, "text": s.text, "evidence": s.evidence.map(|e| e.to_string())})).collect();
    json!({
        "schema": "backtrail.finding/1", "key": f.key(), "detector": f.detector, "title": f.title, "host": f.host.to_string(),
        "peer": f.peer.map(|p| p.to_string()), "service": f.service.map(|(proto, port)| service(port, proto)), "name": f.name,
        "start": f.window.start.rfc3339(), "end": f.window.last().rfc3339(), "severity": f.severity_name(),
        "score": two(f.score), "rank": two(f.rank), "numbers": numbers, "query": f.query, "rows": f.rows,
        "evidence": f.evidence.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "sources": f.sources.iter().map(|s| engine.source_name(*s)).collect::<Vec<_>>(),
        "caveats": f.caveats, "benign": f.benign, "techniques": f.techniques, "support": support, "verdict": f.verdict,
    })
}

/// Two decimals: what is behind them is no more than the model.
fn two(number: f32) -> f64 {
    (f64::from(number) * 100.0).round() / 100.0
}

/// How findings are sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// What ranks first.
    #[default]
    Rank,
    /// By host, of each what ranks first.
    Host,
    /// By technique.
    Technique,
    /// By detector.
    Detector,
    /// The newest first.
    Time,
}

impl Order {
    /// Every order.
    pub const ALL: [Order; 5] = [Order::Rank, Order::Host, Order::Technique, Order::Detector, Order::Time];
    /// Its word.
    pub fn name(self) -> &'static str {
        match self {
            Order::Rank => "rank",
            Order::Host => "host",
            Order::Technique => "technique",
            Order::Detector => "detector",
            Order::Time => "time",
        }
    }
    /// The order that a word means.
    pub fn parse(word: &str) -> Option<Order> {
        Order::ALL.into_iter().find(|o| o.name() == word)
    }
    /// The next one.
    pub fn next(self) -> Order {
        let at = Order::ALL.iter().position(|o| *o == self).unwrap_or(0);
        Order::ALL[(at + 1) % Order::ALL.len()]
    }
    /// Sorts findings that are in order of rank.
    pub fn sort(self, list: &mut [Finding]) {
        match self {
            Order::Rank => {}
            Order::Host => list.sort_by_key(|f| f.host),
            Order::Technique => list.sort_by(|a, b| a.techniques.first().cmp(&b.techniques.first())),
            Order::Detector => list.sort_by(|a, b| a.detector.cmp(&b.detector)),
            Order::Time => list.sort_by_key(|f| std::cmp::Reverse(f.window.start)),
        }
    }
}

/// A finding explained: a heading, then lines, each with what is to be done with it.
pub fn explained(
    finding: &Finding,
    source: &dyn Fn(crate::model::SourceId) -> String,
    time: &dyn Fn(Time) -> String,
) -> Vec<(String, Part)> {
    let mut out = vec![(finding.title.clone(), Part::Title)];
    out.push((
        format!(
            "{} to {} · {} · {}",
            time(finding.window.start),
            time(finding.window.last()),
            finding.detector,
            finding.severity_name()
        ),
        Part::Plain,
    ));
    for n in &finding.numbers {
        let limit = if n.limit.is_empty() { String::new() } else { format!("  (threshold {})", n.limit) };
        out.push((format!("{}: {}{limit}", n.name, n.value), Part::Number));
    }
    for s in &finding.support {
        out.push((format!("{}: {}", s.by, s.text), Part::Support));
    }
    if !finding.caveats.is_empty() {
        out.push((format!("less sure: {}", finding.caveats.join("; ")), Part::Caveat));
    }
    if !finding.benign.is_empty() {
        out.push((format!("look at first, it may be harmless: {}", finding.benign.join("; ")), Part::Caveat));
    }
    if !finding.techniques.is_empty() {
        out.push((format!("may be ATT&CK {}", finding.techniques.join(", ")), Part::Plain));
    }
    let names: Vec<String> = finding.sources.iter().map(|s| source(*s)).collect();
    let from = if names.is_empty() { String::new() } else { format!(" of {}", names.join(", ")) };
    out.push((format!("{} records{from}: {}", finding.rows, finding.query), Part::Plain));
    out
}

/// What a line of an explanation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// What was found.
    Title,
    /// A measured number.
    Number,
    /// What else speaks for it.
    Support,
    /// What speaks against it.
    Caveat,
    /// Anything else.
    Plain,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::finding::span;

    #[test]
    fn findings_are_sorted_as_asked_and_explain_themselves() {
        let one = |host: &str, detector: &str, at: i64| {
            let mut f =
                Finding::new(detector, host.parse().unwrap(), span(Time(at), Time(at + 1)), format!("{host} does {detector}"));
            f.techniques = vec![if detector == "scan" { "T1046" } else { "T1071" }.into()];
            f.number("targets", 40, 25);
            f.caveats.push("sampled".into());
            f
        };
        let list = [one("10.0.0.9", "beacon", 5), one("10.0.0.1", "scan", 7), one("10.0.0.5", "beacon", 6)];
        let sorted = |order: Order| {
            let mut list = list.to_vec();
            order.sort(&mut list);
            list.iter().map(|f| f.window.start.0).collect::<Vec<_>>()
        };
        assert_eq!(Order::ALL.map(sorted), [vec![5, 7, 6], vec![7, 6, 5], vec![7, 5, 6], vec![5, 6, 7], vec![7, 6, 5]]);
        assert_eq!((Order::Rank.next(), Order::Time.next(), Order::parse("host")), (Order::Host, Order::Rank, Some(Order::Host)));
        let text: Vec<String> = explained(&list[1], &|_| "zeek".into(), &Time::rfc3339).into_iter().map(|l| l.0).collect();
        assert!(
            text.iter().any(|l| l == "targets: 40  (threshold 25)") && text.iter().any(|l| l.contains("sampled")),
            "{text:?}"
        );
    }

    #[test]
    fn what_is_kept_is_read_again_and_what_is_damaged_is_none() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(kept(dir.path()), None);
        let found = Findings { sequence: 7, parameters: "x".into(), ..Findings::default() };
        keep(dir.path(), &found).unwrap();
        assert_eq!(kept(dir.path()), Some(found));
        std::fs::write(dir.path().join(FILE), b"{").unwrap();
        assert_eq!(kept(dir.path()), None);
    }
}
