//! Reads what is stated from a case: the rows of inventories, scans and leases of all times, since a snapshot counts until the next one.

use super::known::{Known, Lease, Listed, Port, PortState, Scanned, Vulnerability};
use crate::error::Result;
use crate::model::filter::{Filter, Test, canonical};
use crate::model::value::Value;
use crate::model::{Cancel, FieldId, Kind, Record, field, proto};
use crate::query::Engine;

/// What is read.
const ROWS: &str = "kind in {inventory, vuln} or kind = dhcp and action = lease";
/// Most rows that are taken.
const MOST: u64 = 1_000_000;
/// The named set of those who may manage devices.
const PERSONNEL: &str = "src.ip in @network-personnel";
/// Most addresses of translations.
const TRANSLATED: usize = 10_000;

/// Fields that are read.
const FIELDS: [FieldId; 26] = [
    field::ACTION,
    field::APP,
    field::BANNER,
    field::CRITICALITY,
    field::CVE,
    field::CVSS,
    field::DST_IP,
    field::DST_MAC,
    field::DST_PORT,
    field::EXTRA,
    field::HOSTNAME,
    field::INDICATOR,
    field::LEASE,
    field::MESSAGE,
    field::MISSION,
    field::NAME,
    field::OS,
    field::OWNER,
    field::PORT_STATE,
    field::PRODUCT,
    field::PROTO,
    field::ROLE,
    field::SEVERITY,
    field::SIGNATURE,
    field::SRC_MAC,
    field::VERSION,
];

/// Columns in which inventories name services, by their plain names.
const SERVICES: [&str; 9] = [
    "services",
    "authorised_services",
    "authorized_services",
    "allowed_services",
    "approved_services",
    "ports",
    "allowed_ports",
    "authorised_ports",
    "authorized_ports",
];
/// And whether the internet may reach the host.
const FACING: [&str; 5] = ["internet_facing", "internet", "public", "exposed", "external"];

/// What is stated in a case.
pub fn read(engine: &dyn Engine, cancel: &Cancel) -> Result<Known> {
    let mut known = Known::default();
    let question = engine.compile(ROWS)?;
    let mut rows = 0u64;
    engine.visit(&question, &FIELDS, cancel, &mut |record| {
        rows += 1;
        if rows > MOST {
            known.beyond += 1;
        } else {
            take(&record, &mut known);
        }
        true
    })?;
    let translated = engine.compile("nat.src.ip exists | count by nat.src.ip")?;
    for row in engine.table(&translated, cancel)?.rows.into_iter().take(TRANSLATED) {
        known.translated.extend(row.iter().flatten().find_map(Value::as_addr).map(canonical));
    }
    known.personnel = engine.compile(PERSONNEL).ok().and_then(|q| members(&q.filter));
    known.close();
    Ok(known)
}

/// The set that a filter tests.
fn members(filter: &Filter) -> Option<std::sync::Arc<crate::model::filter::Members>> {
    match filter {
        Filter::Test(_, Test::Set(members)) => Some(std::sync::Arc::clone(members)),
        Filter::Test(_, Test::In(list)) => list.iter().find_map(|t| match t {
            Test::Set(members) => Some(std::sync::Arc::clone(members)),
            _ => None,
        }),
        Filter::And(list) | Filter::Or(list) => list.iter().find_map(members),
        _ => None,
    }
}

/// Takes a row.
pub fn take(record: &Record, known: &mut Known) {
    if record.get(field::INDICATOR).is_some() {
        return;
    }
    let text = |f| record.text(f).unwrap_or("").to_owned();
    let lower = |f| record.text(f).unwrap_or("").trim_end_matches('.').to_lowercase();
    let addr = record.addr(field::DST_IP).map(canonical);
    let number = record.uint(field::PROTO).and_then(|p| u8::try_from(p).ok()).unwrap_or(proto::TCP);
    let port = record.uint(field::DST_PORT).and_then(|p| u16::try_from(p).ok()).unwrap_or(0);
    let (time, id, source) = (record.time(), record.id, record.source);
    let product = || {
        let parts = [field::PRODUCT, field::VERSION, field::BANNER].map(|f| record.text(f).unwrap_or(""));
        parts.into_iter().filter(|p| !p.is_empty()).collect::<Vec<_>>().join(" ")
    };
    match record.kind {
        Kind::Dhcp => {
            if let Some(addr) = record.addr(field::LEASE).map(canonical) {
                known.add_lease(addr, Lease { time, mac: lower(field::SRC_MAC), name: lower(field::HOSTNAME) });
            }
        }
        Kind::Vuln => {
            let Some(addr) = addr else { return };
            if port != 0 {
                known.add_port(addr, number, port, Port { state: PortState::Open, product: product(), time, id, source });
            }
            known.vulnerabilities.push(Vulnerability {
                addr,
                proto: number,
                port,
                title: [field::SIGNATURE, field::MESSAGE].map(text).into_iter().find(|t| !t.is_empty()).unwrap_or_default(),
                cves: record.all(field::CVE).filter_map(|v| v.as_text().map(str::to_owned)).take(32).collect(),
                severity: record.uint(field::SEVERITY).and_then(|s| u8::try_from(s).ok()).unwrap_or(0),
                cvss: record.get(field::CVSS).and_then(Value::as_number),
                time,
                id,
                source,
            });
        }
        Kind::Inventory => {
            if let Some(state) = record.text(field::PORT_STATE) {
                if let (Some(addr), Some(state)) = (addr, PortState::parse(state)) {
                    known.add_port(addr, number, port, Port { state, product: product(), time, id, source });
                }
            } else if record.text(field::ACTION) == Some("found") {
                if let Some(addr) = addr {
                    known.add_scanned(addr, Scanned { os: text(field::OS), time, id, source });
                }
            } else {
                let (services, internet_facing) = extra(record.text(field::EXTRA).unwrap_or(""));
                known.add_host(Listed {
                    addr,
                    mac: lower(field::DST_MAC),
                    name: [field::HOSTNAME, field::NAME].map(lower).into_iter().find(|t| !t.is_empty()).unwrap_or_default(),
                    role: text(field::ROLE),
                    os: text(field::OS),
                    owner: text(field::OWNER),
                    mission: text(field::MISSION),
                    criticality: text(field::CRITICALITY),
                    product: text(field::PRODUCT),
                    services,
                    internet_facing,
                    time,
                    id,
                    source,
                });
            }
        }
        _ => {}
    }
}

/// Services and whether the internet may reach the host, of the columns that have no field of their own.
fn extra(json: &str) -> (Option<String>, Option<bool>) {
    let Ok(serde_json::Value::Object(members)) = serde_json::from_str(json) else { return (None, None) };
    let plain = |v: &serde_json::Value| match v {
        serde_json::Value::String(s) => s.clone(),
        serde_json::Value::Array(list) => {
            let word = |v: &serde_json::Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
            list.iter().take(512).map(word).collect::<Vec<_>>().join(" ")
        }
        other => other.to_string(),
    };
    let find = |names: &[&str]| members.iter().find(|(k, _)| names.contains(&k.as_str())).map(|(_, v)| plain(v));
    let facing = find(&FACING).and_then(|v| match v.to_ascii_lowercase().as_str() {
        "y" | "yes" | "true" | "1" => Some(true),
        "n" | "no" | "false" | "0" => Some(false),
        _ => None,
    });
    (find(&SERVICES), facing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{RecordId, SourceId, Time};

    fn row(kind: Kind, at: i64, fields: &[(FieldId, Value)]) -> Record {
        let mut record = Record::new(kind, RecordId { offset: at as u64, ..RecordId::default() }, SourceId(1), Time(at));
        fields.iter().for_each(|(f, v)| record.set(*f, v.clone()));
        record
    }

    #[test]
    fn rows_are_joined_by_address_else_hardware_address_else_name_as_of_their_time() {
        let t = |f: FieldId, text: &str| (f, Value::text(text));
        let ip = |a: &str| (field::DST_IP, Value::Addr(a.parse().unwrap()));
        let lease = |a: &str| (field::LEASE, Value::Addr(a.parse().unwrap()));
        let mut known = Known::default();
        let stated = [
            row(Kind::Inventory, 5, &[ip("10.0.0.1"), t(field::HOSTNAME, "old"), t(field::EXTRA, r#"{"services":"22/tcp"}"#)]),
            row(Kind::Inventory, 50, &[ip("10.0.0.1"), t(field::HOSTNAME, "new")]),
            row(Kind::Inventory, 5, &[t(field::DST_MAC, "00:00:5e:00:53:01"), t(field::HOSTNAME, "by-mac")]),
            row(Kind::Inventory, 5, &[t(field::HOSTNAME, "by-name.corp.example"), t(field::EXTRA, r#"{"internet_facing":"y"}"#)]),
            row(Kind::Dhcp, 9, &[lease("10.0.0.8"), t(field::SRC_MAC, "00:00:5e:00:53:01")]),
            row(Kind::Dhcp, 9, &[lease("10.0.0.9"), t(field::SRC_MAC, "00:00:5e:00:53:09"), t(field::HOSTNAME, "by-name")]),
            row(Kind::Dhcp, 70, &[lease("10.0.0.9"), t(field::SRC_MAC, "00:00:5e:00:53:0a"), t(field::HOSTNAME, "other")]),
            row(Kind::Inventory, 5, &[t(field::INDICATOR, "10.0.0.99"), ip("10.0.0.99")]),
        ];
        stated.iter().for_each(|r| take(r, &mut known));
        known.close();
        let name = |a: &str, at: i64| known.listed(a.parse().unwrap(), Time(at)).map(|l| l.name.as_str());
        assert_eq!((name("10.0.0.1", 1), name("10.0.0.1", 49), name("10.0.0.1", 50)), (Some("old"), Some("old"), Some("new")));
        assert_eq!(
            (name("10.0.0.8", 9), name("10.0.0.9", 10), name("10.0.0.9", 80)),
            (Some("by-mac"), Some("by-name.corp.example"), None)
        );
        assert_eq!(name("10.0.0.99", 9), None);
        let old = known.listed("10.0.0.1".parse().unwrap(), Time(1)).unwrap();
        assert_eq!((known.is_authorised(old, 6, 22), known.is_authorised(old, 6, 23)), (Some(true), Some(false)));
        // The newer row names none, and its inventory names those of others: it authorises none.
        let new = known.listed("10.0.0.1".parse().unwrap(), Time(60)).unwrap();
        assert_eq!(known.is_authorised(new, 6, 22), Some(false));
        assert_eq!(known.hosts.iter().find(|h| h.name.starts_with("by-name")).and_then(|h| h.internet_facing), Some(true));
    }

    #[test]
    fn the_newest_scan_counts_and_what_it_found_elsewhere_it_tried_here() {
        let t = |f: FieldId, text: &str| (f, Value::text(text));
        let ip = |n: u8| (field::DST_IP, Value::Addr([10, 0, 0, n].into()));
        let port = |at: i64, n: u8, port: u64, state: &str| {
            row(
                Kind::Inventory,
                at,
                &[ip(n), (field::DST_PORT, Value::Uint(port)), t(field::PORT_STATE, state), t(field::ACTION, "found")],
            )
        };
        let host = |at: i64, n: u8| row(Kind::Inventory, at, &[ip(n), t(field::ACTION, "found")]);
        let mut known = Known::default();
        for r in [
            host(1, 1),
            port(1, 1, 22, "closed"),
            port(9, 1, 22, "open"),
            port(5, 1, 22, "filtered"),
            port(9, 1, 80, "open"),
            host(9, 2),
            port(9, 2, 443, "open"),
        ] {
            take(&r, &mut known);
        }
        known.close();
        let state = |n: u8, port: u16| known.port([10, 0, 0, n].into(), 6, port).map(|p| (p.0, p.4));
        assert_eq!(state(1, 22), Some((PortState::Open, true)));
        assert_eq!(state(2, 22), Some((PortState::Closed, false)));
        assert_eq!(state(2, 23), None);
        assert_eq!(state(3, 22), None);
    }
}
