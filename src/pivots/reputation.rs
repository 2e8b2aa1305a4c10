//! Address, network, name, URL or hash -> the lists that it is on. A listed network is text, so the networks around an address are asked for by name; so are the domains above a name.

use super::{Lead, Pivot, Selection, entity, lead};
use crate::model::Value;
use crate::model::entity::EntityKind;
use crate::model::filter::canonical;
use crate::query::quote;
use ipnet::IpNet;
use std::net::IpAddr;

/// Reputation lists that hold the value, its networks or the domains above it
///
/// Example: `2001:db8::9` -> `kind = inventory and (indicator = 2001:db8::9 or indicator in {2001:db8::/64, 2001:db8::/56, 2001:db8::/48, 2001:db8::/40, 2001:db8::/32})`
/// Example: `a.evil.example` -> `kind = inventory and indicator in {a.evil.example, evil.example}`
/// Example: `sha256=e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855` -> `kind = inventory and indicator = e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855`
pub const PIVOT: Pivot = Pivot {
    name: "reputation",
    doc: "Reputation lists that hold the value, its networks or the domains above it",
    lens: "reputation",
    run,
};

fn run(selection: &Selection) -> Option<Lead> {
    let entity =
        entity(selection, &[EntityKind::Address, EntityKind::Name, EntityKind::Url, EntityKind::Hash, EntityKind::Fingerprint])?;
    let text = entity.value.to_string().to_lowercase();
    let condition = match (&entity.value, entity.kind) {
        (Value::Addr(addr), _) => {
            let nets: Vec<String> = networks(canonical(*addr)).iter().map(ToString::to_string).collect();
            let text = canonical(*addr).to_string();
            return lead(
                format!("reputation of {text}"),
                format!("kind = inventory and (indicator = {text} or indicator in {{{}}})", nets.join(", ")),
            );
        }
        (_, EntityKind::Name) => {
            let labels: Vec<&str> = text.trim_end_matches('.').split('.').collect();
            let names: Vec<String> = (0..labels.len().saturating_sub(1).max(1)).map(|n| quote(&labels[n..].join("."))).collect();
            if names.len() == 1 { format!("= {}", names[0]) } else { format!("in {{{}}}", names.join(", ")) }
        }
        _ => format!("= {}", quote(&entity.value.to_string())),
    };
    lead(format!("reputation of {text}"), format!("kind = inventory and indicator {condition}"))
}

/// The networks around an address in the lengths that lists use.
fn networks(addr: IpAddr) -> Vec<IpNet> {
    let lengths: Vec<u8> = if addr.is_ipv4() { (8..=31).rev().collect() } else { (32..=64).rev().step_by(8).collect() };
    lengths.into_iter().filter_map(|n| IpNet::new(addr, n).ok()).map(|n| n.trunc()).collect()
}
