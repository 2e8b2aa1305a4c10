//! What a report cites, as other programs want it: addresses, names and hashes that were judged or found, with their times and records.

use super::Report;
use crate::model::decision::Judgement;
use crate::model::{Finding, Record, Value, field};
use std::collections::BTreeMap;
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
                if let Some(text) = record.text(id).filter(|t| !t.is_empty()) {
                    out.entry(make(text.to_owned())).or_insert_with(why);
                }
            }
        }
    }
    out
}

/// Whether a verdict of the report says that something is malicious.
pub fn is_bad(report: &Report, thing: &Thing) -> bool {
    use crate::model::decision::About;
    report.verdicts.iter().filter(|v| v.judgement == Judgement::Malicious).any(|v| match &v.about {
        About::Value(_, value) => *value == thing.text(),
        About::Query(query) => query.split(|c: char| !c.is_ascii_alphanumeric() && !".:-".contains(c)).any(|w| w == thing.text()),
        _ => false,
    })
}

/// The records of bookmarks, each once, by time.
pub fn records(report: &Report) -> Vec<(&Record, &str)> {
    let mut out: Vec<(&Record, &str)> =
        report.bookmarks.iter().flat_map(|k| k.rows.iter().map(|r| (r, k.bookmark.title.as_str()))).collect();
    out.sort_by_key(|(r, _)| (r.time(), r.id));
    out.dedup_by_key(|(r, _)| r.id);
    out
}

/// The ends and the service of a finding in words.
pub fn ends(finding: &Finding) -> String {
    let peer = finding.peer.map(|p| format!(" and {p}")).unwrap_or_default();
    format!("{}{peer}", finding.host)
}

/// A value of a record as text.
pub fn text_of(record: &Record, id: crate::model::FieldId) -> Option<String> {
    record.value(id).as_ref().map(Value::to_string).filter(|t| !t.is_empty())
}
