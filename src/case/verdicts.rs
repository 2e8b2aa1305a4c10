//! Verdicts as they stand, and the scopes that one can be given: this signature, this pair, this host. A scope is a query, so that it covers
//! what is imported later as well.

use super::standing::Standing;
use crate::error::{Error, Result};
use crate::model::decision::{About, Decision, Judgement, What};
use crate::model::{Finding, Kind, Record, Time, Value, field};
use crate::query::{Engine, condition, mentions, quote, verdicts};
use std::net::IpAddr;

/// A verdict as it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// Its number.
    pub id: u64,
    /// What it is about.
    pub about: About,
    /// Judgement.
    pub judgement: Judgement,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Time,
    /// Who.
    pub who: String,
    /// When it ends by itself.
    pub expires: Option<Time>,
}

impl Verdict {
    /// Whether it has ended by itself.
    pub fn is_expired(&self, now: Time) -> bool {
        self.expires.is_some_and(|t| t <= now)
    }
}

/// Every verdict that stands, oldest first, with those that have expired; a later one about the same thing replaces an earlier.
pub fn verdicts(decisions: &[Decision]) -> Vec<Verdict> {
    let standing = Standing::of(decisions);
    let of = |d: &Decision| match &d.what {
        What::Verdict { about, judgement, reason, expires } => Some(Verdict {
            id: d.sequence,
            about: about.clone(),
            judgement: *judgement,
            reason: standing.text(d.sequence, reason),
            at: Time(d.at),
            who: d.who.name.clone(),
            expires: expires.map(Time),
        }),
        _ => None,
    };
    verdicts::applied(decisions, Time::MIN).into_iter().filter_map(of).collect()
}

/// Refuses a scope that no verdict can have: a question with stages, or one about verdicts themselves.
pub fn check(engine: &dyn Engine, text: &str) -> Result<()> {
    let question = engine.compile(text)?;
    if !question.stages.is_empty() {
        return Err(Error::user("a verdict is on records, not on a table").hint("leave out what stands behind |"));
    }
    if question.text.is_empty() {
        return Err(Error::user("a verdict on every record of the case is none").hint("say which: signature.id = 2027870"));
    }
    if mentions(text, field::VERDICT) {
        return Err(Error::user("a verdict cannot depend on verdicts").hint("say which records by their other fields"));
    }
    Ok(())
}

/// Most conditions that the scope of several rows is made of.
const MOST: usize = 200;

/// What a verdict is given on: a row, or a group of alerts.
#[derive(Debug, Clone, PartialEq)]
pub struct Subject {
    /// Condition on the kind.
    kind: String,
    /// Condition on the signature, and its name.
    signature: Option<(String, String)>,
    source: Option<IpAddr>,
    target: Option<IpAddr>,
    /// A finding: what it is called, the query of its records, and the same at any time.
    found: Option<(String, String, String)>,
}

/// The condition that alerts and notices satisfy.
pub const ALERTS: &str = "kind in {alert, notice}";

/// A scope that can be chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// Its word, as the command `verdict` takes it.
    pub word: &'static str,
    /// What it is, for people.
    pub label: String,
    /// The query that selects what it covers.
    pub query: String,
}

impl Subject {
    /// A row.
    pub fn of(record: &Record) -> Subject {
        let kind = match record.kind {
            Kind::Alert | Kind::Notice => ALERTS.to_owned(),
            other => format!("kind = {other}"),
        };
        Subject {
            kind,
            signature: signature(record),
            source: record.addr(field::SRC_IP),
            target: record.addr(field::DST_IP),
            found: None,
        }
    }
    /// Alerts of a signature (condition and name) at a target, from a source if all have the same.
    pub fn group(signature: (String, String), source: Option<IpAddr>, target: Option<IpAddr>) -> Subject {
        Subject { kind: ALERTS.to_owned(), signature: Some(signature), source, target, found: None }
    }
    /// A finding by its records: those of its time, or such records at any time, so that it is not found again.
    pub fn finding(finding: &Finding) -> Subject {
        let within = format!(" and between {} and ", finding.window.start.rfc3339());
        let ever = finding.query.split(&within).next().unwrap_or_default().to_owned();
        Subject {
            kind: String::new(),
            signature: None,
            source: None,
            target: None,
            found: Some((finding.detector.clone(), finding.query.clone(), ever)),
        }
    }
    fn scopes(&self) -> Vec<Scope> {
        let mut out = Vec::new();
        let mut add = |word, label: String, conditions: &[&str]| {
            let query = std::iter::once(self.kind.as_str()).chain(conditions.iter().copied()).collect::<Vec<_>>().join(" and ");
            out.push(Scope { word, label, query });
        };
        if let Some((detector, query, ever)) = &self.found {
            let scope = |word, label: String, query: &String| Scope { word, label, query: query.clone() };
            return vec![
                scope("finding", format!("the records of this {detector} finding"), query),
                scope("always", format!("such records at any time: {ever}"), ever),
            ];
        }
        let host = |addr: IpAddr| format!("host = {}", addr.to_canonical());
        let (source, target) = (self.source.map(host), self.target.map(host));
        if let Some((sig, name)) = &self.signature {
            if let (Some(target), Some(addr)) = (&target, self.target) {
                add("signature+target", format!("this signature at {addr}"), &[sig, target]);
            }
            if let (Some(source), Some(addr)) = (&source, self.source) {
                add("signature+source", format!("this signature at {addr}"), &[sig, source]);
            }
            add("signature", format!("this signature anywhere: {name}"), &[sig]);
        }
        if let (Some(source), Some(target), Some(a), Some(b)) = (&source, &target, self.source, self.target) {
            add("pair", format!("this pair: {a} and {b}"), &[source, target]);
        }
        for (word, side, addr) in [("target", &target, self.target), ("source", &source, self.source)] {
            if let (Some(side), Some(addr)) = (side, addr) {
                add(word, format!("this host: {addr}"), &[side]);
            }
        }
        out
    }
}

/// The signature of an alert or notice: the condition that selects it, and its name. Without a number or name its class or words stand for it.
pub fn signature(record: &Record) -> Option<(String, String)> {
    if !matches!(record.kind, Kind::Alert | Kind::Notice) {
        return None;
    }
    let words = [field::SIGNATURE, field::CATEGORY, field::MESSAGE].into_iter().find_map(|f| record.get(f).map(|v| (f, v)));
    let name = words.map_or_else(String::new, |(_, v)| v.to_string());
    let sid = record.get(field::SIGNATURE_ID);
    let gid = record.uint(field::SIGNATURE_GID).filter(|gid| *gid > 1);
    let text = match (sid, words) {
        (Some(sid), _) => {
            // The number alone is of the usual generator; others have numbers of their own.
            let gid = gid.map(|gid| format!(" and {}", condition(field::SIGNATURE_GID, &Value::Uint(gid)))).unwrap_or_default();
            format!("{}{gid}", condition(field::SIGNATURE_ID, sid))
        }
        (None, Some((f, v))) => format!("{} = {}", field::name(f), quote(&v.to_string())),
        (None, None) => return None,
    };
    let name = if name.is_empty() { format!("signature {}", sid.map(Value::to_string).unwrap_or_default()) } else { name };
    Some((text, name))
}

/// The scopes that several rows or groups can be judged in: those that all of them have, each of the distinct conditions of all.
pub fn scopes(subjects: &[Subject]) -> Vec<Scope> {
    let Some((first, rest)) = subjects.split_first() else { return Vec::new() };
    let others: Vec<Vec<Scope>> = rest.iter().map(Subject::scopes).collect();
    let mut out: Vec<Scope> = Vec::new();
    for scope in first.scopes() {
        let same: Vec<&Scope> = others.iter().filter_map(|all| all.iter().find(|s| s.word == scope.word)).collect();
        let mut queries = vec![scope.query.clone()];
        for other in &same {
            if !queries.contains(&other.query) {
                queries.push(other.query.clone());
            }
        }
        if same.len() < rest.len() || queries.len() > MOST {
            continue;
        }
        let (label, query) = match queries.len() {
            1 => (scope.label, scope.query),
            n => (plural(scope.word, n), queries.iter().map(|q| format!("({q})")).collect::<Vec<_>>().join(" or ")),
        };
        if !out.iter().any(|s| s.query == query) {
            out.push(Scope { word: scope.word, label, query });
        }
    }
    out
}

fn plural(word: &str, n: usize) -> String {
    match word {
        "signature" => format!("their {n} signatures, anywhere"),
        "pair" => format!("their {n} pairs"),
        "target" => format!("their {n} targets"),
        "source" => format!("their {n} sources"),
        "signature+source" => format!("their signatures at their sources ({n})"),
        _ => format!("their signatures at their targets ({n})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::bookmarks::tests::decided;
    use crate::model::{RecordId, SourceId};

    fn alert(sid: u64, src: u8, dst: u8) -> Record {
        let mut r = Record::new(Kind::Alert, RecordId::default(), SourceId(1), Time(0));
        r.set(field::SIGNATURE_ID, sid);
        r.set(field::SIGNATURE, "LOCAL \"quoted\" rule");
        r.set(field::SRC_IP, Value::Addr([10, 0, 0, src].into()));
        r.set(field::DST_IP, Value::Addr([10, 0, 0, dst].into()));
        r
    }

    #[test]
    fn a_later_verdict_replaces_an_earlier_one_about_the_same_thing() {
        let host = About::Value("host".into(), "10.0.0.5".into());
        let verdict =
            |judgement, reason: &str| What::Verdict { about: host.clone(), judgement, reason: reason.into(), expires: None };
        let all = decided(vec![
            verdict(Judgement::Suspicious, "odd"),
            What::Note { about: About::Case, text: "n".into() },
            verdict(Judgement::Benign, "backup server"),
        ]);
        let got = verdicts(&all);
        assert_eq!(got.len(), 1);
        assert_eq!((got[0].judgement, got[0].reason.as_str()), (Judgement::Benign, "backup server"));
    }

    #[test]
    fn every_scope_covers_the_row_that_it_was_made_of_and_prints_as_it_is_written() {
        let mut bare = alert(7, 1, 2);
        bare.fields.retain(|(f, _)| *f != field::SIGNATURE_ID);
        let mut flow = alert(7, 1, 2);
        flow.kind = Kind::Flow;
        for row in [alert(7, 1, 2), bare, flow] {
            for scope in scopes(&[Subject::of(&row)]) {
                let question = crate::query::compile(&scope.query, &crate::query::Scope::empty()).unwrap();
                assert!(question.filter.matches(&row, &|_| None), "{}", scope.query);
                assert_eq!(question.text, scope.query);
            }
        }
    }

    #[test]
    fn several_rows_are_judged_together_in_the_scopes_that_all_have() {
        let rows = [Subject::of(&alert(7, 1, 2)), Subject::of(&alert(7, 1, 3)), Subject::of(&alert(7, 1, 3))];
        let all = scopes(&rows);
        let of = |word: &str| all.iter().find(|s| s.word == word).map(|s| s.query.as_str());
        assert_eq!(of("signature"), Some("kind in {alert, notice} and signature.id = 7"));
        assert_eq!(
            of("target"),
            Some("(kind in {alert, notice} and host = 10.0.0.2) or (kind in {alert, notice} and host = 10.0.0.3)")
        );
        assert_eq!(of("source"), Some("kind in {alert, notice} and host = 10.0.0.1"));
    }
}
