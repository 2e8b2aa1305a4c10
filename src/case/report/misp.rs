//! The report as a MISP event (MISP core format, draft-dulaunoy-misp-core-format): attributes for what is cited, a network-connection object for each
//! record of a bookmark, techniques as tags of our own (galaxy tags need MISP's names of them). Nothing is marked for detection but what somebody judged malicious.

use super::cited::{self, Thing};
use super::{Report, uuid};
use crate::model::{field, proto};
use serde_json::{Value as Json, json};
use std::collections::BTreeSet;

/// Our own name space.
const OWN: [u8; 16] = [0x6b, 0x61, 0x63, 0x6b, 0x74, 0x72, 0x41, 0x69, 0x8c, 0x72, 0x65, 0x70, 0x6f, 0x72, 0x74, 0x32];

/// The whole report.
pub fn write(report: &Report) -> Json {
    // Ids of this case: the same case gives the same event, two cases share none.
    let space = uuid::v5(&OWN, &cited::case_id(report));
    let uuid = |name: &str| uuid::show(&uuid::v5(&space, name));
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
    let tags: Vec<Json> = techniques.into_iter().map(|t| json!({"name": format!("backtrail:attack=\"{t}\"")})).collect();
    json!({"Event": {
        "uuid": uuid("event"), "info": format!("Case {}", report.name), "date": date,
        "threat_level_id": "4", "analysis": "1", "distribution": "0", "published": false,
        "Attribute": attributes, "Object": objects, "Tag": tags,
    }})
}
