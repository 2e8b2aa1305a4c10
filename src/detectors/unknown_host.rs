//! A host of one's own that talks and is in no inventory.

use super::maths::sat;
use super::profile::Family;
use super::profile::ledger::Of;
use super::profile::roles::{Hints, decide};
use super::reconcile::{Site, is_subject, opens, sources};
use super::rows::{Net, network};
use super::{Detector, Limits, Setting};
use crate::model::finding::{Finding, span};
use std::collections::BTreeMap;

/// The detector.
pub static DETECTOR: UnknownHost = UnknownHost;

/// See the module.
pub struct UnknownHost;

const NAME: &str = "unknown_host";
const SETTINGS: &[Setting] = &[Setting {
    name: "connections",
    default: 1.0,
    unit: "",
    doc: "Connections that were answered from which on a host counts as there.",
}];

impl Detector for UnknownHost {
    fn name(&self) -> &'static str {
        NAME
    }
    fn doc(&self) -> &'static str {
        "A home host that talks and is in no inventory by address, hardware address or name (R5); of networks without any listed host one finding each."
    }
    fn techniques(&self) -> &'static [&'static str] {
        &["T1200"]
    }
    fn settings(&self) -> &'static [Setting] {
        SETTINGS
    }
    fn compares(&self) -> bool {
        true
    }
    fn compare(&self, site: &Site, net: &Net, limits: &Limits) -> Vec<Finding> {
        if !site.known.has_inventory() {
            return Vec::new();
        }
        let least = limits.of(NAME, SETTINGS, "connections");
        let hosts = site.ledger.by_host(net);
        let mut elsewhere: BTreeMap<ipnet::IpNet, Vec<&Of<'_>>> = BTreeMap::new();
        let mut covered: BTreeMap<ipnet::IpNet, bool> = BTreeMap::new();
        let mut out = Vec::new();
        for of in &hosts {
            let addr = net.addr(of.host);
            let talks = of.seen.asked.saturating_add(of.seen.accepted) as f64 >= least.max(1.0);
            if !talks || !is_subject(of.host, net, &site.known) || site.listed(addr, of.seen.last).is_some() {
                continue;
            }
            let network = network(addr);
            if *covered.entry(network).or_insert_with(|| site.known.covers_network(&network)) {
                out.push(one(site, of, net, least));
            } else {
                elsewhere.entry(network).or_default().push(of);
            }
        }
        out.extend(elsewhere.into_iter().map(|(network, list)| all_of(site, network, &list, net, least)));
        out
    }
}

fn one(site: &Site, of: &Of<'_>, net: &Net, least: f64) -> Finding {
    let addr = net.addr(of.host);
    let seen = of.seen;
    let lease = site.known.lease(addr, seen.last);
    let decided = decide(of, Hints::default(), net);
    let mut is: Vec<String> = Vec::new();
    is.extend(decided.role.map(|r| format!("behaves like a {} ({:.0} %)", r.name(), decided.probability * 100.0)));
    is.extend(seen.systems.families().first().map(|f: &(Family, f64)| format!("says {}", f.0.name())));
    is.extend(lease.map(|l| format!("leased to {} {}", l.mac, l.name).trim_end().to_owned()));
    let is = if is.is_empty() { String::new() } else { format!("; it {}", is.join(", ")) };
    let total = seen.asked.saturating_add(seen.accepted);
    let title = format!("{addr} talks and is in no inventory: {total} connections{is}");
    let mut f = Finding::new(NAME, addr, span(seen.first, seen.last), title);
    f.severity = 2;
    f.score = sat(0.3 + sat(total as f64 / 500.0) * 0.3 + sat(seen.outside.len() as f64 / 20.0) * 0.4) as f32;
    f.number("connections that it began", seen.asked, format!(">= {least}, either"));
    f.number("connections that it accepted", seen.accepted, "");
    f.number("outside peers", seen.outside.show(), "");
    f.number("IP bytes", seen.bytes, "");
    seen.ids.iter().for_each(|id| f.rests_on(net.record(*id)));
    opens(&mut f, &format!("host = {addr}"), std::iter::empty());
    f.rows = total;
    f.sources = sources(seen.sources.iter().copied());
    f.caveats = site.caveats();
    if lease.is_none() {
        f.caveats
            .push("no lease says which hardware address or name it has: a listed host may be here under another address".into());
    }
    f.benign = vec![
        "a guest, or a device of somebody who works here".into(),
        "a new device that is not entered yet".into(),
        "a listed host with another address, or one of its virtual machines".into(),
    ];
    f
}

fn all_of(site: &Site, network: ipnet::IpNet, list: &[&Of<'_>], net: &Net, least: f64) -> Finding {
    let busiest = list.iter().max_by_key(|o| (o.seen.asked + o.seen.accepted, std::cmp::Reverse(net.addr(o.host))));
    let addr = busiest.map_or(network.addr(), |o| net.addr(o.host));
    let first = list.iter().map(|o| o.seen.first).min().unwrap_or_default();
    let last = list.iter().map(|o| o.seen.last).max().unwrap_or_default();
    let total: u64 = list.iter().map(|o| o.seen.asked.saturating_add(o.seen.accepted)).sum();
    let title = format!(
        "{} hosts of {network} talk, and the inventory has nobody there: {total} connections, most of {addr}",
        list.len()
    );
    let mut f = Finding::new(NAME, addr, span(first, last), title);
    f.severity = 1;
    f.score = sat(0.2 + list.len() as f64 / 100.0) as f32;
    f.number("hosts", list.len(), "");
    f.number("connections", total, format!(">= {least} each"));
    list.iter().take(4).flat_map(|o| o.seen.ids.first()).for_each(|id| f.rests_on(net.record(*id)));
    opens(&mut f, &format!("host = {network}"), std::iter::empty());
    f.rows = total;
    f.sources = sources(list.iter().flat_map(|o| o.seen.sources.iter().copied()));
    f.caveats = site.caveats();
    f.benign = vec!["a network that the inventory leaves out on purpose: guests, telephones, a laboratory".into()];
    f
}
