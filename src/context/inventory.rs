//! What is said to be there: inventory rows, scanned ports, vulnerabilities and configuration checks of an address or a host name.
//!
//! Rows are those of the address; with them those that name no address and have its hardware address, else its name. Of several rows that say
//! the same thing differently the newest counts, at a time asked for the newest of each source that is not later, if it has one.
//! Vulnerabilities are in order of exposure: first those of ports that outside addresses met with an answer, then by severity and score.

use super::{Given, fact};
use crate::error::Result;
use crate::model::answer::Fact;
use crate::model::entity::EntityKind;
use crate::model::filter::{Test, canonical};
use crate::model::value::SEVERITIES;
use crate::model::{Cancel, Entity, FieldId, Filter, Kind, Record, RecordId, SourceId, Time, Value, field, proto};
use crate::store::{Ask, Snapshot};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;

/// Most rows that are read for one host.
const MAX_ROWS: usize = 10_000;
/// Ports and vulnerabilities that are shown.
const SHOWN: usize = 12;
const WORST: usize = 5;

/// What describes a host, in the order in which it is shown.
const ABOUT: [FieldId; 8] =
    [field::HOSTNAME, field::ROLE, field::OS, field::OWNER, field::CATEGORY, field::SITE, field::MISSION, field::CRITICALITY];

/// Most hardware addresses and names by which further rows are found.
const KEYS: usize = 16;
/// Most flows that are looked at for exposure, and peers that are counted.
const MAX_FLOWS: usize = 50_000;
const MAX_PEERS: usize = 1_000;

/// Host name, role, system, owner; open ports; the most exposed vulnerabilities; configuration checks.
pub fn facts(snapshot: &Snapshot, given: &Given<'_>, entity: &Entity, at: Option<Time>, cancel: &Cancel) -> Result<Vec<Fact>> {
    let which = match (entity.kind, &entity.value) {
        (EntityKind::Address, Value::Addr(addr)) => Filter::Test(field::DST_IP, Test::Is(Value::Addr(canonical(*addr)))),
        (EntityKind::Name, value) => {
            let name = value.to_string().trim_end_matches('.').to_lowercase();
            Filter::Or(vec![Filter::is(field::HOSTNAME, name.clone()), Filter::is(field::NAME, name)])
        }
        (EntityKind::Mac, value) => Filter::is(field::DST_MAC, value.clone()),
        _ => return Ok(Vec::new()),
    };
    let mut rows = said(snapshot, which, cancel)?;
    if entity.kind == EntityKind::Address {
        let keys = |fields: &[FieldId]| {
            let mut found: Vec<(FieldId, Value)> = Vec::new();
            let stated = rows.iter().filter(|r| r.kind == Kind::Inventory);
            for (id, value) in stated.flat_map(|r| &r.fields).filter(|(id, _)| fields.contains(id)) {
                if found.len() < KEYS && !found.iter().any(|(f, v)| f == id && v == value) {
                    found.push((*id, value.clone()));
                }
            }
            found
        };
        let (macs, names) = (keys(&[field::DST_MAC]), keys(&[field::HOSTNAME, field::NAME]));
        let unplaced = || Filter::Not(Box::new(Filter::Test(field::DST_IP, Test::Exists)));
        let mut by = |which: Vec<Filter>| -> Result<bool> {
            let more = if which.is_empty() { Vec::new() } else { said(snapshot, Filter::Or(which).and(unplaced()), cancel)? };
            let any = !more.is_empty();
            rows.extend(more);
            Ok(any)
        };
        let of_names = names.into_iter().flat_map(|(_, v)| [field::HOSTNAME, field::NAME].map(|f| Filter::is(f, v.clone())));
        if !by(macs.into_iter().map(|(f, v)| Filter::is(f, v)).collect())? {
            by(of_names.collect())?;
        }
    }
    if let Some(at) = at {
        as_of(&mut rows, at);
    }
    rows.sort_by(|a, b| b.time().cmp(&a.time()).then_with(|| a.id.cmp(&b.id)));
    let met = met(snapshot, given, entity, &rows, cancel)?;
    let mut out = Vec::new();
    about(&rows, &mut out);
    ports(&rows, &mut out);
    vulnerabilities(&rows, &met, &mut out);
    checks(&rows, &mut out);
    Ok(out)
}

/// The rows that a condition selects, but those of lists of indicators.
fn said(snapshot: &Snapshot, which: Filter, cancel: &Cancel) -> Result<Vec<Record>> {
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
    Ok(rows)
}

/// Leaves of each source what it said up to a time, if it said anything before it.
fn as_of(rows: &mut Vec<Record>, at: Time) {
    let early: HashSet<SourceId> = rows.iter().filter(|r| r.time() <= at).map(|r| r.source).collect();
    rows.retain(|r| r.time() <= at || !early.contains(&r.source));
}

/// How many outside addresses met each vulnerable port with an answer.
fn met(
    snapshot: &Snapshot,
    given: &Given<'_>,
    entity: &Entity,
    rows: &[Record],
    cancel: &Cancel,
) -> Result<HashMap<u64, HashSet<IpAddr>>> {
    let mut met: HashMap<u64, HashSet<IpAddr>> = HashMap::new();
    let ports: HashSet<u64> = rows.iter().filter(|r| r.kind == Kind::Vuln).filter_map(|r| r.uint(field::DST_PORT)).collect();
    let (EntityKind::Address, Value::Addr(addr)) = (entity.kind, &entity.value) else { return Ok(met) };
    if ports.is_empty() {
        return Ok(met);
    }
    let filter = Filter::is(field::KIND, Kind::Flow.name()).and(Filter::is(field::DST_IP, Value::Addr(canonical(*addr))));
    let fields = [field::SRC_IP, field::DST_PORT, field::PACKETS_IN];
    let mut left = MAX_FLOWS;
    snapshot.visit(&Ask { fields: Some(&fields), ..Ask::new(&filter) }, &|| cancel.is_cancelled(), &mut |row| {
        let peer = row.values(field::SRC_IP).find_map(|v| v.as_addr()).map(canonical);
        let port = row.uint(field::DST_PORT).filter(|p| ports.contains(p));
        if let (Some(port), Some(peer)) = (port, peer.filter(|p| !given.home.is_near(*p)))
            && row.uint(field::PACKETS_IN).is_none_or(|n| n > 0)
        {
            let peers = met.entry(port).or_default();
            if peers.len() < MAX_PEERS {
                peers.insert(peer);
            }
        }
        left -= 1;
        left > 0
    })?;
    cancel.check()?;
    Ok(met)
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

/// A vulnerability as it is ordered and shown.
struct Found {
    outside: usize,
    severity: u64,
    score: f64,
    text: String,
    evidence: RecordId,
}

fn vulnerabilities(rows: &[Record], met: &HashMap<u64, HashSet<IpAddr>>, out: &mut Vec<Fact>) {
    let mut found: Vec<Found> = Vec::new();
    let mut known: HashSet<String> = HashSet::new();
    for row in rows.iter().filter(|r| r.kind == Kind::Vuln && r.get(field::CHECK_RESULT).is_none()) {
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
        let mut outside = 0;
        if let Some(port) = row.uint(field::DST_PORT).filter(|p| *p > 0) {
            text.push_str(&format!(" on {port}"));
            outside = met.get(&port).map_or(0, HashSet::len);
            if outside > 0 {
                text.push_str(&format!(", met from outside by {outside}"));
            }
        }
        if !known.contains(&text) {
            known.insert(text.clone());
            found.push(Found { outside, severity, score, text, evidence: row.id });
        }
    }
    found.sort_by(|a, b| {
        let exposed = |f: &Found| f.outside > 0;
        (exposed(b).cmp(&exposed(a)))
            .then(b.severity.cmp(&a.severity))
            .then(b.score.total_cmp(&a.score))
            .then_with(|| a.text.cmp(&b.text))
    });
    let number = found.len();
    for Found { severity, text, evidence, .. } in found.into_iter().take(WORST) {
        out.push(Fact { label: "vuln".into(), text, severity: Some(severity as u8), evidence: Some(evidence) });
    }
    if number > WORST {
        out.push(fact("vuln", format!("{} more", number - WORST)));
    }
}

/// Configuration checks: how many were passed and failed, by the newest result of each, and the gravest that failed.
fn checks(rows: &[Record], out: &mut Vec<Fact>) {
    let mut newest: HashMap<(String, u64), &Record> = HashMap::new();
    for row in rows.iter().filter(|r| r.get(field::CHECK_RESULT).is_some()) {
        let key = (row.text(field::SIGNATURE).unwrap_or("").to_owned(), row.uint(field::DST_PORT).unwrap_or(0));
        newest.entry(key).or_insert(row);
    }
    let (mut passed, mut other) = (0, 0);
    let mut failed: Vec<&Record> = Vec::new();
    for row in newest.into_values() {
        match row.text(field::CHECK_RESULT).unwrap_or("") {
            "pass" | "fixed" => passed += 1,
            "fail" => failed.push(row),
            _ => other += 1,
        }
    }
    if passed + other + failed.len() == 0 {
        return;
    }
    let severity = |r: &Record| r.uint(field::SEVERITY).unwrap_or(0).min(4);
    failed.sort_by(|a, b| severity(b).cmp(&severity(a)).then_with(|| a.text(field::SIGNATURE).cmp(&b.text(field::SIGNATURE))));
    let mut text = format!("{passed} passed, {} failed", failed.len());
    if other > 0 {
        text.push_str(&format!(", {other} without result"));
    }
    out.push(Fact { evidence: failed.first().map(|r| r.id), ..fact("checks", text) });
    for row in failed.iter().take(WORST) {
        let text = row.text(field::SIGNATURE).unwrap_or("").to_owned();
        out.push(Fact { label: "failed".into(), text, severity: Some(severity(row) as u8), evidence: Some(row.id) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::feeds::Feeds;
    use crate::context::sites::unasked;
    use crate::links::world::World;

    fn ask(world: &mut World, entity: &Entity, at: Option<i64>) -> Vec<Fact> {
        let (feeds, home) = (Feeds::default(), unasked());
        let given = Given { feeds: &feeds, decisions: &[], sets: &[], home: &home, now: Time(0) };
        let at = at.map(|ms| Time(ms * 1_000_000));
        facts(&world.snapshot(), &given, entity, at, &Cancel::default()).unwrap()
    }
    fn said(world: &mut World, at: Option<i64>) -> Vec<String> {
        let entity = Entity::recognise("10.8.21.5").unwrap();
        ask(world, &entity, at).iter().map(|f| format!("{}: {}", f.label, f.text)).collect()
    }

    #[test]
    fn rows_without_an_address_are_joined_by_hardware_address_else_by_name() {
        let mut world = World::new();
        let source = world.source("defender", "a");
        let t = |f: FieldId, text: &str| (f, Value::from(text));
        let ip = (field::DST_IP, Value::Addr([10, 8, 21, 5].into()));
        world.record(source, Kind::Inventory, 0, 0, &[ip, t(field::HOSTNAME, "pc1"), t(field::NAME, "id-7")]);
        let vuln = |name: &str| [t(field::HOSTNAME, name), (field::SEVERITY, Value::Uint(3)), t(field::SIGNATURE, name)];
        world.record(source, Kind::Vuln, 0, 0, &vuln("id-7"));
        world.record(source, Kind::Vuln, 0, 0, &vuln("id-8"));
        assert_eq!(said(&mut world, None), ["inventory: pc1", "vuln: high id-7"]);
    }

    #[test]
    fn what_outside_addresses_met_comes_first_and_checks_are_as_of_the_time() {
        let mut world = World::new();
        let source = world.source("nessus", "a");
        let t = |f: FieldId, text: &str| (f, Value::from(text));
        let ip = || (field::DST_IP, Value::Addr([10, 8, 21, 5].into()));
        let vuln = |port: u64, severity: u64, name: &str| {
            [ip(), (field::DST_PORT, Value::Uint(port)), (field::SEVERITY, Value::Uint(severity)), t(field::SIGNATURE, name)]
        };
        world.record(source, Kind::Vuln, 0, 0, &vuln(22, 4, "worse"));
        world.record(source, Kind::Vuln, 0, 0, &vuln(443, 2, "exposed"));
        let pcap = world.source("pcap", "b");
        world.flow(pcap, 0, 1, "203.0.113.9:5000", "10.8.21.5:443");
        world.flow(pcap, 0, 1, "10.8.21.9:5000", "10.8.21.5:22");
        let oval = world.source("xccdf", "c");
        let check = |name: &str, result: &str| {
            [ip(), t(field::SIGNATURE, name), t(field::CHECK_RESULT, result), (field::SEVERITY, Value::Uint(3))]
        };
        for (at, name, result) in [(10, "root login", "fail"), (10, "firewall", "pass"), (20, "root login", "pass")] {
            world.record(oval, Kind::Vuln, at, at, &check(name, result));
        }
        let now = said(&mut world, None);
        assert_eq!(
            now[..3],
            ["vuln: medium exposed on 443, met from outside by 1", "vuln: critical worse on 22", "checks: 2 passed, 0 failed"]
        );
        assert_eq!(said(&mut world, Some(15))[2..], ["checks: 1 passed, 1 failed", "failed: root login"]);
    }

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
        let facts = ask(&mut world, &entity, None);
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
