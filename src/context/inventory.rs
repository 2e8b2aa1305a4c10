//! What is said to be there: inventory rows, scanned ports, vulnerabilities of an address or a host name.
//!
//! Of several rows that say the same thing differently the newest counts.

use super::fact;
use crate::error::Result;
use crate::model::answer::Fact;
use crate::model::entity::EntityKind;
use crate::model::filter::{Test, canonical};
use crate::model::value::SEVERITIES;
use crate::model::{Cancel, Entity, FieldId, Filter, Kind, Record, RecordId, Value, field, proto};
use crate::store::{Ask, Snapshot};
use std::collections::BTreeMap;

/// Most rows that are read for one host.
const MAX_ROWS: usize = 10_000;
/// Ports and vulnerabilities that are shown.
const SHOWN: usize = 12;
const WORST: usize = 5;

/// What describes a host, in the order in which it is shown.
const ABOUT: [FieldId; 8] =
    [field::HOSTNAME, field::ROLE, field::OS, field::OWNER, field::CATEGORY, field::SITE, field::MISSION, field::CRITICALITY];

/// Host name, role, system, owner; open ports; the worst vulnerabilities.
pub fn facts(snapshot: &Snapshot, entity: &Entity, cancel: &Cancel) -> Result<Vec<Fact>> {
    let which = match (entity.kind, &entity.value) {
        (EntityKind::Address, Value::Addr(addr)) => Filter::Test(field::DST_IP, Test::Is(Value::Addr(canonical(*addr)))),
        (EntityKind::Name, value) => {
            let name = value.to_string().trim_end_matches('.').to_lowercase();
            Filter::Or(vec![Filter::is(field::HOSTNAME, name.clone()), Filter::is(field::NAME, name)])
        }
        (EntityKind::Mac, value) => Filter::is(field::DST_MAC, value.clone()),
        _ => return Ok(Vec::new()),
    };
    let kinds = Test::In(vec![Test::Is(Value::text(Kind::Inventory.name())), Test::Is(Value::text(Kind::Vuln.name()))]);
    let listed = Filter::Not(Box::new(Filter::Test(field::INDICATOR, Test::Exists)));
    let filter = Filter::And(vec![Filter::Test(field::KIND, kinds), which, listed]);
    let mut rows: Vec<Record> = Vec::new();
    let ask = Ask { ascending: false, limit: MAX_ROWS, ..Ask::new(&filter) };
    snapshot.select(&ask, &|| cancel.is_cancelled(), &mut |r| {
        rows.push(r);
        true
    })?;
    cancel.check()?;
    let mut out = Vec::new();
    about(&rows, &mut out);
    ports(&rows, &mut out);
    vulnerabilities(&rows, &mut out);
    Ok(out)
}

/// Rows are newest first: the first value of a field counts.
fn about(rows: &[Record], out: &mut Vec<Fact>) {
    let mut parts: Vec<String> = Vec::new();
    let mut evidence = None;
    for id in ABOUT {
        let of = |r: &&Record| {
            let whole = r.kind == Kind::Inventory && r.get(field::PORT_STATE).is_none();
            // A vulnerability's category is not the host's.
            r.text(id).is_some_and(|t| !t.is_empty()) && (whole || matches!(id, field::HOSTNAME | field::OS))
        };
        let Some(row) = rows.iter().find(of) else { continue };
        let text = row.text(id).unwrap_or_default();
        let named = matches!(id, field::OWNER | field::SITE | field::MISSION | field::CRITICALITY);
        parts.push(if named { format!("{} {text}", field::name(id)) } else { text.to_owned() });
        evidence = evidence.or(Some(row.id));
    }
    if !parts.is_empty() {
        out.push(Fact { evidence, ..fact("inventory", parts.join(", ")) });
    }
}

fn ports(rows: &[Record], out: &mut Vec<Fact>) {
    let mut open: BTreeMap<(u64, u64), (String, RecordId)> = BTreeMap::new();
    let mut seen: Vec<(u64, u64)> = Vec::new();
    for row in rows {
        let (Some(state), Some(port)) = (row.text(field::PORT_STATE), row.uint(field::DST_PORT)) else { continue };
        let key = (port, row.uint(field::PROTO).unwrap_or(u64::from(proto::TCP)));
        // An older scan does not count where a newer one saw the port.
        if seen.contains(&key) || seen.len() > MAX_ROWS {
            continue;
        }
        seen.push(key);
        if state.eq_ignore_ascii_case("open") {
            let what: Vec<&str> = [field::APP, field::PRODUCT, field::VERSION].iter().filter_map(|f| row.text(*f)).collect();
            let text = format!("{port}/{} {}", proto::show(key.1 as u8), what.join(" "));
            open.insert(key, (text.trim_end().to_owned(), row.id));
        }
    }
    if let Some((_, evidence)) = open.values().next() {
        let more = open.len().saturating_sub(SHOWN);
        let mut text = open.values().take(SHOWN).map(|(t, _)| t.as_str()).collect::<Vec<_>>().join(", ");
        if more > 0 {
            text.push_str(&format!(", {more} more"));
        }
        out.push(Fact { evidence: Some(*evidence), ..fact("scan open", text) });
    }
}

fn vulnerabilities(rows: &[Record], out: &mut Vec<Fact>) {
    let mut found: Vec<(u64, f64, String, RecordId)> = Vec::new();
    for row in rows.iter().filter(|r| r.kind == Kind::Vuln) {
        let severity = row.uint(field::SEVERITY).unwrap_or(0).min(4);
        let score = row.get(field::CVSS).and_then(Value::as_number).filter(|s| s.is_finite()).unwrap_or(0.0);
        if severity == 0 && row.get(field::CVE).is_none() {
            continue;
        }
        let cves: Vec<&str> = row.all(field::CVE).filter_map(Value::as_text).take(3).collect();
        let mut text = SEVERITIES.get(severity as usize).map_or(String::new(), |s| (*s).to_owned());
        if score > 0.0 {
            text.push_str(&format!(" {score:.1}"));
        }
        if let Some(name) = row.text(field::SIGNATURE) {
            text.push_str(&format!(" {name}"));
        }
        if !cves.is_empty() {
            text.push_str(&format!(" ({})", cves.join(", ")));
        }
        if let Some(port) = row.uint(field::DST_PORT).filter(|p| *p > 0) {
            text.push_str(&format!(" on {port}"));
        }
        if !found.iter().any(|f| f.2 == text) {
            found.push((severity, score, text, row.id));
        }
    }
    found.sort_by(|a, b| (b.0.cmp(&a.0)).then(b.1.total_cmp(&a.1)).then_with(|| a.2.cmp(&b.2)));
    let number = found.len();
    for (severity, _, text, evidence) in found.into_iter().take(WORST) {
        out.push(Fact { label: "vuln".into(), text, severity: Some(severity as u8), evidence: Some(evidence) });
    }
    if number > WORST {
        out.push(fact("vuln", format!("{} more", number - WORST)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::links::world::World;

    #[test]
    fn a_host_is_described_by_its_newest_rows() {
        let mut world = World::new();
        let source = world.source("inventory-csv", "a");
        let ip = (field::DST_IP, Value::Addr([10, 8, 21, 5].into()));
        let t = |f: FieldId, text: &str| (f, Value::from(text));
        let row = |more: &[(FieldId, Value)]| [std::slice::from_ref(&ip), more].concat();
        world.record(source, Kind::Inventory, 0, 0, &row(&[t(field::HOSTNAME, "old"), t(field::OWNER, "jdoe")]));
        world.record(source, Kind::Inventory, 9, 9, &row(&[t(field::HOSTNAME, "jdoe-pc"), t(field::ROLE, "workstation")]));
        let port =
            |n: u64, state: &str| row(&[(field::DST_PORT, Value::Uint(n)), t(field::PORT_STATE, state), t(field::APP, "ssh")]);
        world.record(source, Kind::Inventory, 5, 5, &port(22, "open"));
        world.record(source, Kind::Inventory, 5, 5, &port(23, "open"));
        world.record(source, Kind::Inventory, 6, 6, &port(23, "closed"));
        let vuln = row(&[
            (field::SEVERITY, Value::Uint(4)),
            (field::CVSS, Value::Float(9.8)),
            t(field::CVE, "CVE-2021-44228"),
            t(field::SIGNATURE, "Log4Shell"),
            (field::DST_PORT, Value::Uint(8080)),
        ]);
        world.record(source, Kind::Vuln, 5, 5, &vuln);
        let listed = row(&[t(field::INDICATOR, "10.8.21.5"), t(field::HOSTNAME, "listed")]);
        world.record(source, Kind::Inventory, 99, 99, &listed);
        let entity = Entity::recognise("10.8.21.5").unwrap();
        let facts = facts(&world.snapshot(), &entity, &Cancel::default()).unwrap();
        let said: Vec<String> = facts.iter().map(|f| format!("{}: {}", f.label, f.text)).collect();
        assert_eq!(
            said,
            [
                "inventory: jdoe-pc, workstation, owner jdoe",
                "scan open: 22/tcp ssh",
                "vuln: critical 9.8 Log4Shell (CVE-2021-44228) on 8080",
            ]
        );
        assert_eq!(facts[2].severity, Some(4));
    }
}
