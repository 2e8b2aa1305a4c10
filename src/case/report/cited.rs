//! What a report cites, as other programs want it: addresses, names and hashes that were judged or found, with their times and records.

use super::Report;
use crate::case::verdicts::Verdict;
use crate::model::decision::{About, Judgement};
use crate::model::filter::Test;
use crate::model::{Filter, Record, Value, field};
use crate::query::Engine;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// A thing that is cited.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Thing {
    /// An address.
    Address(IpAddr),
    /// A name.
    Name(String),
    /// SHA-256 of a file, hexadecimal.
    Sha256(String),
    /// A URL.
    Url(String),
}

impl Thing {
    /// As text.
    pub fn text(&self) -> String {
        match self {
            Thing::Address(ip) => ip.to_string(),
            Thing::Name(text) | Thing::Sha256(text) | Thing::Url(text) => text.clone(),
        }
    }
}

/// Every thing that the first rows of bookmarks and findings name and that is not one's own, with why; in order.
pub fn things(report: &Report) -> BTreeMap<Thing, String> {
    let own =
        |ip: &IpAddr| report.home.iter().any(|n| n.parse::<ipnet::IpNet>().is_ok_and(|n| n.contains(ip)) || n.parse() == Ok(*ip));
    let mut out = BTreeMap::new();
    for finding in &report.findings {
        let why = format!("{}: {}", finding.detector, finding.title);
        if let Some(peer) = finding.peer.filter(|p| !own(p)) {
            out.entry(Thing::Address(peer)).or_insert_with(|| why.clone());
        }
        if let Some(name) = &finding.name {
            out.entry(Thing::Name(name.clone())).or_insert_with(|| why.clone());
        }
    }
    for kept in &report.bookmarks {
        for record in &kept.rows {
            let why = || kept.bookmark.title.clone();
            for id in [field::SRC_IP, field::DST_IP] {
                if let Some(ip) = record.addr(id).map(|a| a.to_canonical()).filter(|a| !own(a)) {
                    out.entry(Thing::Address(ip)).or_insert_with(why);
                }
            }
            for (id, make) in [
                (field::SNI, Thing::Name as fn(String) -> Thing),
                (field::HTTP_HOST, Thing::Name),
                (field::SHA256, Thing::Sha256),
                (field::URL, Thing::Url),
            ] {
                let Some(text) = record.text(id).filter(|t| !t.is_empty()) else { continue };
                // A host may be an address, or have a port behind it.
                let host =
                    text.rsplit_once(':').filter(|(h, p)| !h.contains(':') && p.parse::<u16>().is_ok()).map_or(text, |(h, _)| h);
                let thing = match host.trim_matches(['[', ']']).parse::<IpAddr>() {
                    Ok(ip) if matches!(make(String::new()), Thing::Name(_)) => Thing::Address(ip.to_canonical()),
                    _ if matches!(make(String::new()), Thing::Name(_)) => Thing::Name(host.to_owned()),
                    _ => make(text.to_owned()),
                };
                if !matches!(&thing, Thing::Address(ip) if own(ip)) {
                    out.entry(thing).or_insert_with(why);
                }
            }
        }
    }
    out
}

/// Whether somebody judged a thing malicious by itself: as a value, or as what a query asks for. See [`Report::bad`].
pub fn is_bad(report: &Report, thing: &Thing) -> bool {
    report.bad.contains(&thing.text().to_lowercase())
}

/// What malicious verdicts of a case are on, in lower case: values, and those that every record of a judged query has. What a query only
/// excludes or offers as one of several is none.
pub fn bad(verdicts: &[Verdict], engine: &dyn Engine) -> BTreeSet<String> {
    fn asked(filter: &Filter, out: &mut BTreeSet<String>) {
        match filter {
            Filter::And(list) => list.iter().for_each(|f| asked(f, out)),
            Filter::Test(id, Test::Is(value)) if field::get(*id).is_some_and(|f| f.entity.is_some()) => {
                out.insert(value.to_string().to_lowercase());
            }
            _ => {}
        }
    }
    let mut out = BTreeSet::new();
    for verdict in verdicts.iter().filter(|v| v.judgement == Judgement::Malicious) {
        match &verdict.about {
            About::Value(_, value) => _ = out.insert(value.to_lowercase()),
            About::Query(query) => {
                if let Ok(question) = engine.compile(query) {
                    asked(&question.filter, &mut out);
                }
            }
            _ => {}
        }
    }
    out
}

/// What tells this case from others of its name: its first evidence.
pub fn case_id(report: &Report) -> String {
    let first = report.evidence.iter().min_by_key(|e| (e.imported, e.key));
    format!("{} {}", report.name, first.map(|e| e.sha256.as_str()).unwrap_or_default())
}

/// The records of bookmarks, each once, by time.
pub fn records(report: &Report) -> Vec<(&Record, &str)> {
    let mut out: Vec<(&Record, &str)> =
        report.bookmarks.iter().flat_map(|k| k.rows.iter().map(|r| (r, k.bookmark.title.as_str()))).collect();
    out.sort_by_key(|(r, _)| (r.time(), r.id));
    out.dedup_by_key(|(r, _)| r.id);
    out
}

/// A value of a record as text.
pub fn text_of(record: &Record, id: crate::model::FieldId) -> Option<String> {
    record.value(id).as_ref().map(Value::to_string).filter(|t| !t.is_empty())
}
