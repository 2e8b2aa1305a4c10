//! What does a host serve and use? The services of its flows, most flows first.
//!
//! A service is served only where the host answered. At most [`MAX_FLOWS`] flows are looked at; beyond that the facts say so.

use super::fact;
use crate::error::Result;
use crate::model::answer::Fact;
use crate::model::entity::EntityKind;
use crate::model::filter::{Test, canonical};
use crate::model::{Cancel, Entity, FieldId, Filter, Kind, RecordId, Value, field, proto};
use crate::store::{Ask, Snapshot};
use std::collections::BTreeMap;

/// Most flows that are looked at.
pub const MAX_FLOWS: u64 = 200_000;
/// Services that are shown.
const SHOWN: usize = 8;

/// Number of flows of a service, and one of them.
type Services = BTreeMap<(u64, u64, String), (u64, RecordId)>;

/// What an address serves, and what it uses.
pub fn facts(snapshot: &Snapshot, entity: &Entity, cancel: &Cancel) -> Result<Vec<Fact>> {
    let (EntityKind::Address, Value::Addr(addr)) = (entity.kind, &entity.value) else { return Ok(Vec::new()) };
    let addr = canonical(*addr);
    let mut out = Vec::new();
    for (label, side) in [("serves", field::DST_IP), ("uses", field::SRC_IP)] {
        let (services, all) = services(snapshot, side, addr, cancel)?;
        if services.is_empty() {
            continue;
        }
        let mut ranked: Vec<_> = services.into_iter().collect();
        ranked.sort_by(|a, b| b.1.0.cmp(&a.1.0).then_with(|| a.0.cmp(&b.0)));
        let shown: Vec<String> = ranked.iter().take(SHOWN).map(|(service, _)| show(service)).collect();
        let mut text = shown.join(" ");
        if ranked.len() > SHOWN {
            text.push_str(&format!(" +{}", ranked.len() - SHOWN));
        }
        if !all {
            text.push_str(&format!(" (of {MAX_FLOWS} flows)"));
        }
        out.push(Fact { evidence: ranked.first().map(|(_, (_, id))| *id), ..fact(label, text) });
    }
    Ok(out)
}

fn show((port, protocol, app): &(u64, u64, String)) -> String {
    let transport = if *protocol == u64::from(proto::TCP) { String::new() } else { format!("/{}", proto::show(*protocol as u8)) };
    if app.is_empty() { format!("{port}{transport}") } else { format!("{port}{transport}/{app}") }
}

fn services(snapshot: &Snapshot, side: FieldId, addr: std::net::IpAddr, cancel: &Cancel) -> Result<(Services, bool)> {
    let mut all = vec![Filter::is(field::KIND, Kind::Flow.name()), Filter::Test(side, Test::Is(Value::Addr(addr)))];
    if side == field::DST_IP {
        let answered = Test::Compare { order: std::cmp::Ordering::Greater, or_equal: false, bound: Value::Uint(0) };
        all.push(Filter::Test(field::PACKETS_IN, answered));
    }
    let filter = Filter::And(all);
    let fields = [field::DST_PORT, field::PROTO, field::APP];
    let ask = Ask { fields: Some(&fields), ..Ask::new(&filter) };
    let (mut found, mut rows, mut whole) = (Services::new(), 0, true);
    snapshot.visit(&ask, &|| cancel.is_cancelled(), &mut |row| {
        rows += 1;
        if rows > MAX_FLOWS {
            whole = false;
            return false;
        }
        let protocol = row.uint(field::PROTO).unwrap_or(0);
        // Ports of ICMP are types and codes, not services.
        if [proto::TCP, proto::UDP, proto::SCTP].map(u64::from).contains(&protocol)
            && let Some(port) = row.uint(field::DST_PORT)
        {
            let app = row.values(field::APP).next().map_or(String::new(), |v| v.to_string());
            let entry = found.entry((port, protocol, app)).or_insert((0, row.id()));
            entry.0 += 1;
            entry.1 = entry.1.min(row.id());
        }
        true
    })?;
    cancel.check()?;
    Ok((found, whole))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::links::world::World;

    #[test]
    fn a_host_serves_what_it_answered_on() {
        let mut world = World::new();
        let pcap = world.source("pcap", "a");
        let mut flow = |src: &str, dst: &str, app: &str, answered: u64| {
            let mut fields = World::ends(src, dst);
            fields.push((field::PACKETS_IN, Value::Uint(answered)));
            fields.push((field::APP, Value::from(app)));
            world.record(pcap, Kind::Flow, 0, 0, &fields)
        };
        flow("10.0.0.9:1", "10.0.0.5:445", "smb", 3);
        flow("10.0.0.9:2", "10.0.0.5:22", "ssh", 0);
        let first = flow("10.0.0.5:3", "192.0.2.1:443", "tls", 5);
        flow("10.0.0.5:4", "192.0.2.2:443", "tls", 5);
        flow("10.0.0.5:5", "192.0.2.2:80", "http", 0);
        let entity = Entity::recognise("10.0.0.5").unwrap();
        let facts = facts(&world.snapshot(), &entity, &Cancel::default()).unwrap();
        let said: Vec<String> = facts.iter().map(|f| format!("{} {}", f.label, f.text)).collect();
        assert_eq!(said, ["serves 445/smb", "uses 443/tls 80/http"]);
        assert_eq!(facts[1].evidence, Some(first));
    }
}
