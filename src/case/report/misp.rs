//! The report as a MISP event (MISP core format, draft-dulaunoy-misp-core-format): attributes for what is cited, a network-connection object for each
//! record of a bookmark, techniques as tags. Nothing is marked for detection but what somebody judged malicious.

use super::Report;
use super::cited::{self, Thing};
use crate::model::{field, proto};
use serde_json::{Value as Json, json};
use sha1::{Digest, Sha1};
use std::collections::BTreeSet;

/// An id by what it is of: the same case gives the same event.
fn uuid(name: &str) -> String {
    let digest = Sha1::digest(format!("backtrail misp {name}").as_bytes());
    let mut b = [0u8; 16];
    b.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
    b[6] = b[6] & 0x0f | 0x50;
    b[8] = b[8] & 0x3f | 0x80;
    let hex = crate::model::hex::hex(&b);
    let part = |r: std::ops::Range<usize>| hex.get(r).unwrap_or_default().to_owned();
    [part(0..8), part(8..12), part(12..16), part(16..20), part(20..32)].join("-")
}

/// The whole report.
pub fn write(report: &Report) -> Json {
    let date = report.span.map_or_else(|| "1970-01-01".to_owned(), |s| s.last().utc().format("%Y-%m-%d").to_string());
    let attribute = |thing: &Thing, why: &str| {
        let (kind, category) = match thing {
            Thing::Address(_) => ("ip-dst", "Network activity"),
            Thing::Name(_) => ("domain", "Network activity"),
            Thing::Url(_) => ("url", "Network activity"),
            Thing::Sha256(_) => ("sha256", "Payload delivery"),
        };
        json!({
            "uuid": uuid(&format!("attribute {}", thing.text())), "type": kind, "category": category, "value": thing.text(),
            "comment": why, "to_ids": cited::is_bad(report, thing), "distribution": "0",
        })
    };
    let attributes: Vec<Json> = cited::things(report).iter().map(|(t, why)| attribute(t, why)).collect();
    let objects: Vec<Json> = cited::records(report)
        .into_iter()
        .filter(|(r, _)| r.addr(field::SRC_IP).is_some() && r.addr(field::DST_IP).is_some())
        .map(|(r, title)| {
            let mut all = Vec::new();
            let mut put = |relation: &str, kind: &str, value: Option<String>| {
                if let Some(value) = value {
                    let id = uuid(&format!("{} {relation}", r.id));
                    all.push(json!({"uuid": id, "object_relation": relation, "type": kind, "value": value, "to_ids": false}));
                }
            };
            put("ip-src", "ip-src", cited::text_of(r, field::SRC_IP));
            put("ip-dst", "ip-dst", cited::text_of(r, field::DST_IP));
            put("src-port", "port", cited::text_of(r, field::SRC_PORT));
            put("dst-port", "port", cited::text_of(r, field::DST_PORT));
            put(
                "layer4-protocol",
                "text",
                r.uint(field::PROTO).and_then(|p| u8::try_from(p).ok()).map(|p| proto::show(p).to_uppercase()),
            );
            put("layer7-protocol", "text", cited::text_of(r, field::APP));
            put("first-packet-seen", "datetime", Some(r.time().rfc3339()));
            json!({
                "uuid": uuid(&format!("object {}", r.id)), "name": "network-connection", "meta-category": "network",
                "comment": title, "first_seen": r.time().rfc3339(), "last_seen": r.until().rfc3339(), "Attribute": all,
            })
        })
        .collect();
    let techniques: BTreeSet<&String> = report.findings.iter().flat_map(|f| &f.techniques).collect();
    let tags: Vec<Json> =
        techniques.into_iter().map(|t| json!({"name": format!("misp-galaxy:mitre-attack-pattern=\"{t}\"")})).collect();
    json!({"Event": {
        "uuid": uuid(&format!("event {}", report.name)), "info": format!("Case {}", report.name), "date": date,
        "threat_level_id": "4", "analysis": "1", "distribution": "0", "published": false,
        "Attribute": attributes, "Object": objects, "Tag": tags,
    }})
}
