//! The report as a STIX 2.1 bundle (OASIS, STIX Version 2.1, 10 June 2021): who reports, what was observed (addresses, names, files, connections), which
//! techniques it may be, notes, and a report object that refers to all of them.
//!
//! Ids are the same for the same case: of observables by their properties in the standard's own name space (2.9), of the others by what they say.

use super::cited::{self, Thing};
use super::{Report, uuid};
use crate::model::{Record, Time, field, proto};
use serde_json::{Value as Json, json};
use std::net::IpAddr;

/// Name space of ids of observables (STIX 2.1, 2.9).
const OBSERVABLES: [u8; 16] = [0x00, 0xab, 0xed, 0xb4, 0xaa, 0x42, 0x46, 0x6c, 0x9c, 0x01, 0xfe, 0xd2, 0x33, 0x15, 0xa9, 0xb7];
/// Our own, for the others.
const OWN: [u8; 16] = [0x6b, 0x61, 0x63, 0x6b, 0x74, 0x72, 0x41, 0x69, 0x8c, 0x72, 0x65, 0x70, 0x6f, 0x72, 0x74, 0x31];

/// An observable with its id by the properties that make it.
fn observable(kind: &str, properties: &Json) -> Json {
    // Keys in order and no blanks: as the canonical form (RFC 8785) of such simple values is.
    // Of a connection counts are no part of what it is (2.9, 6.12).
    let counts = ["src_byte_count", "dst_byte_count", "src_packets", "dst_packets"];
    let makes = |(key, _): &(&String, &Json)| !counts.contains(&key.as_str());
    let sorted: std::collections::BTreeMap<&String, &Json> = properties.as_object().into_iter().flatten().filter(makes).collect();
    let name = serde_json::to_string(&sorted).unwrap_or_default();
    let mut out =
        json!({"type": kind, "spec_version": "2.1", "id": format!("{kind}--{}", uuid::show(&uuid::v5(&OBSERVABLES, &name)))});
    if let (Some(out), Some(properties)) = (out.as_object_mut(), properties.as_object()) {
        properties.iter().for_each(|(k, v)| drop(out.insert(k.clone(), v.clone())));
    }
    out
}

fn address(ip: IpAddr) -> Json {
    let kind = if ip.is_ipv4() { "ipv4-addr" } else { "ipv6-addr" };
    observable(kind, &json!({"value": ip.to_string()}))
}

/// Milliseconds, as STIX's timestamps are usually written.
fn stamp(t: Time) -> String {
    t.utc().format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

fn id_of(object: &Json) -> Json {
    object.get("id").cloned().unwrap_or(Json::Null)
}

/// When what is the same in every case was created.
const EVER: &str = "2026-01-01T00:00:00.000Z";

struct Bundle {
    /// Name space of this case: two cases have ids of their own.
    space: [u8; 16],
    objects: Vec<Json>,
    seen: std::collections::BTreeSet<String>,
    created: String,
    modified: String,
    author: String,
}

impl Bundle {
    /// Adds an object once; gives its id.
    fn add(&mut self, object: Json) -> Json {
        let id = id_of(&object);
        if self.seen.insert(id.to_string()) {
            self.objects.push(object);
        }
        id
    }
    /// An object that is not an observable, by what it says.
    fn say(&mut self, kind: &str, name: &str, mut object: Json) -> Json {
        // Who reports, and techniques, are the same in every case.
        let common = matches!(kind, "identity" | "attack-pattern");
        let space = if common { OWN } else { self.space };
        let id = format!("{kind}--{}", uuid::show(&uuid::v5(&space, &format!("{kind} {name}"))));
        let (created, modified) =
            if common { (EVER.to_owned(), EVER.to_owned()) } else { (self.created.clone(), self.modified.clone()) };
        if let Some(o) = object.as_object_mut() {
            o.insert("type".into(), json!(kind));
            o.insert("spec_version".into(), json!("2.1"));
            o.insert("id".into(), json!(id));
            o.insert("created".into(), json!(created));
            o.insert("modified".into(), json!(modified));
            if kind != "identity" {
                o.insert("created_by_ref".into(), json!(self.author));
            }
        }
        self.add(object)
    }
    fn connection(&mut self, r: &Record) -> Option<Json> {
        let (src, dst) = (r.addr(field::SRC_IP)?.to_canonical(), r.addr(field::DST_IP)?.to_canonical());
        let family = if dst.is_ipv4() { "ipv4".to_owned() } else { "ipv6".to_owned() };
        let (src, dst) = (self.add(address(src)), self.add(address(dst)));
        let mut protocols = vec![family];
        protocols.extend(r.uint(field::PROTO).and_then(|p| u8::try_from(p).ok()).map(proto::show));
        protocols.extend(r.text(field::APP).filter(|a| !a.is_empty()).map(str::to_owned));
        let mut o =
            json!({"src_ref": src, "dst_ref": dst, "protocols": protocols, "start": stamp(r.time()), "end": stamp(r.until())});
        if let Some(o) = o.as_object_mut() {
            let mut put = |key: &str, id| {
                if let Some(n) = r.uint(id) {
                    o.insert(key.into(), json!(n));
                }
            };
            put("src_port", field::SRC_PORT);
            put("dst_port", field::DST_PORT);
            put("src_byte_count", field::BYTES_OUT);
            put("dst_byte_count", field::BYTES_IN);
            put("src_packets", field::PACKETS_OUT);
            put("dst_packets", field::PACKETS_IN);
        }
        Some(self.add(observable("network-traffic", &o)))
    }
}

/// The whole report.
pub fn write(report: &Report) -> Json {
    // The case's own instants: the same case gives the same bundle, and what was created stays so when more is entered.
    let last = report.verdicts.iter().map(|v| v.at).chain(report.notes.iter().map(|n| n.at)).max();
    let first = report.evidence.iter().map(|e| e.imported).min().unwrap_or(Time(0));
    let (created, modified) = (stamp(first), stamp(last.unwrap_or(first).max(first)));
    let author = format!("identity--{}", uuid::show(&uuid::v5(&OWN, "identity backtrail")));
    let space = uuid::v5(&OWN, &cited::case_id(report));
    let mut b = Bundle { space, objects: Vec::new(), seen: std::collections::BTreeSet::new(), created, modified, author };
    b.say("identity", "backtrail", json!({"name": "backtrail", "identity_class": "system"}));
    let mut refs = Vec::new();
    for (thing, why) in cited::things(report) {
        let (object, pattern) = match &thing {
            Thing::Address(ip) => {
                let kind = if ip.is_ipv4() { "ipv4-addr" } else { "ipv6-addr" };
                (address(*ip), format!("[{kind}:value = '{ip}']"))
            }
            Thing::Name(name) => {
                (observable("domain-name", &json!({"value": name})), format!("[domain-name:value = '{}']", quoted(name)))
            }
            Thing::Url(url) => (observable("url", &json!({"value": url})), format!("[url:value = '{}']", quoted(url))),
            Thing::Sha256(hash) => (
                observable("file", &json!({"hashes": {"SHA-256": hash}})),
                format!("[file:hashes.'SHA-256' = '{}']", quoted(hash)),
            ),
        };
        refs.push(b.add(object));
        // Only what somebody judged malicious is an indicator for others.
        if cited::is_bad(report, &thing) {
            let from = b.created.clone();
            refs.push(b.say("indicator", &pattern, json!({"name": thing.text(), "description": why, "pattern": pattern, "pattern_type": "stix", "valid_from": from, "indicator_types": ["malicious-activity"]})));
        }
    }
    for (record, title) in cited::records(report) {
        if let Some(connection) = b.connection(record) {
            let (first, last) = (stamp(record.time()), stamp(record.until()));
            refs.push(b.say("observed-data", &record.id.to_string(), json!({"first_observed": first, "last_observed": last, "number_observed": 1, "object_refs": [connection], "labels": [title]})));
        }
    }
    for finding in &report.findings {
        let mut about = vec![b.add(address(finding.host))];
        about.extend(finding.peer.map(|p| b.add(address(p))));
        let mut techniques = Vec::new();
        for technique in &finding.techniques {
            let url = format!("https://attack.mitre.org/techniques/{}", technique.replace('.', "/"));
            let reference = json!([{"source_name": "mitre-attack", "external_id": technique, "url": url}]);
            techniques.push(b.say("attack-pattern", technique, json!({"name": technique, "external_references": reference})));
        }
        refs.extend(techniques.iter().cloned());
        about.extend(techniques);
        let text = format!("{} ({}; {})", finding.title, finding.detector, finding.query);
        refs.push(b.say(
            "note",
            &finding.key(),
            json!({"abstract": finding.title, "content": text, "object_refs": about, "labels": [finding.severity_name()]}),
        ));
    }
    for note in &report.notes {
        let about = refs.first().cloned().map_or_else(|| vec![json!(b.author)], |r| vec![r]);
        refs.push(b.say(
            "note",
            &format!("note {}", note.id),
            json!({"content": note.text, "authors": [note.who], "object_refs": about}),
        ));
    }
    if refs.is_empty() {
        refs.push(json!(b.author));
    }
    let mut once = std::collections::BTreeSet::new();
    refs.retain(|r| once.insert(r.to_string()));
    let published = b.modified.clone();
    b.say("report", &report.name, json!({"name": format!("Case {}", report.name), "published": published, "report_types": ["threat-report"], "object_refs": refs}));
    let id = format!("bundle--{}", uuid::show(&uuid::v5(&b.space, "bundle")));
    json!({"type": "bundle", "id": id, "objects": b.objects})
}

/// Text within a pattern's quotes.
fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\'', "\\'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_those_of_the_standard() {
        let one = address("198.51.100.3".parse().unwrap());
        assert_eq!(one["id"], "ipv4-addr--28bb3599-77cd-5a82-a950-b5bc3caf07c4");
        assert_eq!(quoted("a'b\\c"), "a\\'b\\\\c");
    }
}
