//! A host that is inventoried and neither seen nor scanned: gone, renamed, switched off, or out of sight.

use super::maths::sat;
use super::profile::Role;
use super::reconcile::{Listed, Site, days_between, mission, opens, stated_role, weight};
use super::rows::{Net, network};
use super::{Detector, Limits, Setting};
use crate::model::finding::Finding;
use crate::model::time::DAY;
use crate::model::{RecordId, Time};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The detector.
pub static DETECTOR: AbsentHost = AbsentHost;

/// See the module.
pub struct AbsentHost;

const NAME: &str = "absent_host";
const SETTINGS: &[Setting] = &[
    Setting {
        name: "days",
        default: 30.0,
        unit: "d",
        doc: "Days of silence up to the end of what was seen, of a shorter case all of it.",
    },
    Setting { name: "least_days", default: 1.0, unit: "d", doc: "Days that a case must span before silence means anything." },
];

impl Detector for AbsentHost {
    fn name(&self) -> &'static str {
        NAME
    }
    fn doc(&self) -> &'static str {
        "An inventoried host that said nothing for thirty days, or all of a shorter case, and that no scan of that time met (R4)."
    }
    fn techniques(&self) -> &'static [&'static str] {
        &["T1529"]
    }
    fn settings(&self) -> &'static [Setting] {
        SETTINGS
    }
    fn compares(&self) -> bool {
        true
    }
    fn compare(&self, site: &Site, net: &Net, limits: &Limits) -> Vec<Finding> {
        let (days, least) = (limits.of(NAME, SETTINGS, "days"), limits.of(NAME, SETTINGS, "least_days"));
        if site.days() < least || !site.known.has_inventory() {
            return Vec::new();
        }
        let window = site.window();
        let since = window.end.plus(-((days * DAY as f64) as i64));
        let heard = |addr: &IpAddr| net.find(*addr).and_then(|h| site.ledger.hosts.get(&h)).map(|s| s.last);
        let mut seen_networks: BTreeMap<ipnet::IpNet, ()> = BTreeMap::new();
        for host in site.ledger.hosts.keys() {
            seen_networks.insert(network(net.addr(*host)), ());
        }
        let mut unseen: BTreeMap<ipnet::IpNet, Vec<(IpAddr, &Listed)>> = BTreeMap::new();
        let mut out = Vec::new();
        for listed in site.known.current() {
            // What passes packets on seldom sends any of its own.
            if stated_role(listed) == Some(Role::Router) || listed.time > window.end && listed.addr.is_none() {
                continue;
            }
            let addresses = site.known.addresses(listed);
            let Some(addr) = addresses.first().copied() else { continue };
            let last = addresses.iter().filter_map(heard).max();
            let scanned = addresses.iter().any(|a| site.known.scanned.get(a).is_some_and(|s| s.time >= since));
            if last.is_some_and(|t| t >= since) || scanned {
                continue;
            }
            let network = network(addr);
            if !seen_networks.contains_key(&network) && last.is_none() {
                unseen.entry(network).or_default().push((addr, listed));
                continue;
            }
            out.push(one(site, addr, listed, last, (days, window.start)));
        }
        out.extend(unseen.into_iter().map(|(network, hosts)| all_of(site, network, &hosts, days)));
        out
    }
}

fn finish(f: &mut Finding, site: &Site, conditions: &str, stated: impl Iterator<Item = (RecordId, Time)>, days: f64) {
    opens(f, conditions, stated);
    f.number("days looked at", format!("{:.1}", site.days()), format!("{days}"));
    f.caveats = site.caveats();
    if site.days() < days {
        f.caveats.push(format!("the case spans {:.1} days only, fewer than {days}", site.days()));
    }
    f.benign = vec![
        "switched off, on holiday, in store, or not yet in use".into(),
        "it has another address now, which nothing here joins to it".into(),
        "no sensor sees where it is".into(),
    ];
}

fn one(site: &Site, addr: IpAddr, listed: &Listed, last: Option<Time>, (days, begin): (f64, Time)) -> Finding {
    let window = site.window();
    let name = if listed.name.is_empty() { String::new() } else { format!(" ({})", listed.name) };
    let how = match last {
        Some(at) => format!("was last heard {} days before the end", days_between(window.end, at)),
        None => "said nothing".to_owned(),
    };
    let from = last.map_or(begin, |t| t.plus(1));
    let title = format!("{addr}{name} is in the inventory and {how}; no scan met it");
    let mut f = Finding::new(NAME, addr, crate::model::Window::new(from, window.end), title);
    f.severity = if weight(Some(listed)) > 1.0 { 1 } else { 0 };
    f.score = sat(site.days() / days * 0.5 * weight(Some(listed))) as f32;
    f.number("records of it", 0, "0");
    mission(&mut f, Some(listed));
    f.rows = 1;
    f.sources = vec![listed.source];
    finish(&mut f, site, &format!("host = {addr}"), [(listed.id, listed.time)].into_iter(), days);
    f
}

fn all_of(site: &Site, network: ipnet::IpNet, hosts: &[(IpAddr, &Listed)], days: f64) -> Finding {
    let first = hosts.first().map_or(network.addr(), |h| h.0);
    let title = format!(
        "{} inventoried hosts of {network} say nothing, and nobody of that network does: no sensor may see it",
        hosts.len()
    );
    let mut f = Finding::new(NAME, first, site.window(), title);
    f.severity = 0;
    f.score = 0.1;
    f.number("inventoried hosts", hosts.len(), "");
    f.number("hosts of the network that were seen", 0, "> 0: each is a finding");
    f.rows = hosts.len() as u64;
    f.sources = super::reconcile::sources(hosts.iter().map(|h| h.1.source));
    finish(&mut f, site, &format!("host = {network}"), hosts.iter().take(8).map(|h| (h.1.id, h.1.time)), days);
    f
}
