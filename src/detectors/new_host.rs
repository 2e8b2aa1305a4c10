//! Hosts of one's own that nobody knew: an address of the home networks that speaks for the first time after a week of records. Where addresses are lent
//! (many new ones of a network on one day) they are one finding.

use super::fold::{Proof, any_of, date, few};
use super::history::History;
use super::maths::sat;
use super::rows::{Flow, Host, Net, Piece, Word, network};
use super::{Detector, Limits, Setting, Watch};
use crate::model::finding::Finding;
use crate::model::time::DAY;
use crate::model::{Kind, Time};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::IpAddr;

/// The detector.
pub static DETECTOR: NewHost = NewHost;

/// See the module.
pub struct NewHost;

const NAME: &str = "new_host";
const SETTINGS: &[Setting] = &[
    Setting { name: "history", default: 7.0, unit: "d", doc: "Days of records in which a host said nothing before it is new." },
    Setting {
        name: "pool",
        default: 3.0,
        unit: "",
        doc: "More new hosts of a network on one day are one finding: addresses are lent there.",
    },
];
/// Hosts that may be new.
const HOSTS: usize = 100_000;

impl Detector for NewHost {
    fn name(&self) -> &'static str {
        NAME
    }
    fn doc(&self) -> &'static str {
        "An address of the home networks that speaks for the first time after a week of records."
    }
    fn techniques(&self) -> &'static [&'static str] {
        &["T1200"]
    }
    fn settings(&self) -> &'static [Setting] {
        SETTINGS
    }
    fn watch(&self, limits: &Limits) -> Box<dyn Watch> {
        let of = |name| limits.of(NAME, SETTINGS, name);
        Box::new(Hosts { days: of("history").max(1.0), pool: of("pool").max(1.0) as usize, ..Hosts::default() })
    }
}

#[derive(Default, Serialize, Deserialize)]
struct Hosts {
    days: f64,
    pool: usize,
    history: History,
    new: HashMap<Host, New, foldhash::fast::RandomState>,
    /// Hosts that an inventory lists, and since when.
    listed: HashMap<Host, Time, foldhash::fast::RandomState>,
    inventory: bool,
}

/// What a new host did.
#[derive(Default, Serialize, Deserialize)]
struct New {
    proof: Proof,
    peers: HashSet<Host, foldhash::fast::RandomState>,
    outside: HashSet<Host, foldhash::fast::RandomState>,
    apps: BTreeSet<Word>,
}

impl Watch for Hosts {
    super::resume::kept!();
    fn piece(&mut self, piece: &Piece<'_>) {
        for event in piece.events.iter().filter(|e| e.kind == Kind::Inventory) {
            if let Some(host) = event.dst.filter(|h| piece.net.is_home(*h)) {
                self.inventory = true;
                if self.listed.len() < HOSTS {
                    self.listed.entry(host).or_insert(event.time);
                }
            }
        }
        for flow in piece.flows {
            let late = self.history.before(flow.start) as f64 >= self.days * DAY as f64;
            if late {
                for (host, peer) in [(flow.src, flow.dst), (flow.dst, flow.src)] {
                    self.meet(piece.net, flow, host, peer);
                }
            }
            self.history.flow(piece.net, flow);
        }
    }
    fn end(self: Box<Self>, net: &Net) -> Vec<Finding> {
        let mut pools: BTreeMap<(i32, IpNet), Vec<(Host, &New)>> = BTreeMap::new();
        for (host, new) in &self.new {
            pools.entry((new.proof.first.day(), network(net.addr(*host)))).or_default().push((*host, new));
        }
        let mut out = Vec::new();
        for ((day, network), mut hosts) in pools {
            hosts.sort_unstable_by_key(|(host, new)| (new.proof.first, net.addr(*host)));
            if hosts.len() > self.pool {
                out.extend(self.pooled(net, day, network, &hosts));
            } else {
                out.extend(hosts.iter().map(|(host, new)| self.finding(net, *host, new)));
            }
        }
        out
    }
}

fn is_link_local(addr: IpAddr) -> bool {
    match addr {
        IpAddr::V4(a) => a.is_link_local(),
        IpAddr::V6(a) => a.segments().first().is_some_and(|s| s & 0xffc0 == 0xfe80),
    }
}

impl Hosts {
    fn meet(&mut self, net: &Net, flow: &Flow, host: Host, peer: Host) {
        if !net.is_home(host) || !net.is_unicast(host) || is_link_local(net.addr(host)) {
            return;
        }
        let speaks = host == flow.src || flow.is_answered();
        if !self.new.contains_key(&host) && (!speaks || self.history.since(host).is_some() || self.new.len() >= HOSTS) {
            return;
        }
        let new = self.new.entry(host).or_default();
        new.proof.take(flow.start, flow.end, flow.id, flow.source);
        let peers = if net.is_home(peer) { &mut new.peers } else { &mut new.outside };
        if peers.len() < 256 {
            peers.insert(peer);
        }
        if flow.app.is_some() && new.apps.len() < 8 {
            new.apps.insert(flow.app);
        }
    }
    fn finding(&self, net: &Net, host: Host, new: &New) -> Finding {
        let addr = net.addr(host);
        let days = self.history.before(new.proof.first) / DAY;
        let listed = self.listed.get(&host).is_some_and(|t| *t <= new.proof.first);
        let inventory = match (self.inventory, listed) {
            (true, true) => "; an inventory lists it",
            (true, false) => "; no inventory lists it",
            _ => "",
        };
        let at = new.proof.first.utc().format("%Y-%m-%d %H:%M:%SZ");
        let mut f = new.proof.finding(
            NAME,
            net,
            host,
            format!("{addr} speaks for the first time at {at}, after {days} d of records{inventory}"),
        );
        f.severity = match (self.inventory, listed) {
            (_, true) => 0,
            (true, false) => 2,
            (false, false) => 1,
        };
        if self.history.are_young(new.proof.sources(), new.proof.first, self.days) {
            f.severity = 0;
            f.caveats.push("the source that saw it had not recorded for long: it may have been there before".into());
        }
        f.score =
            sat(0.3 + 0.3 * f64::from(u8::from(self.inventory && !listed)) + new.outside.len().min(40) as f64 / 100.0) as f32;
        f.number("days of records without it", days, self.days);
        f.number("home hosts it spoke with", new.peers.len(), "");
        f.number("outside hosts it spoke with", new.outside.len(), "");
        let apps: Vec<&str> = new.apps.iter().map(|a| net.text(*a)).collect();
        f.number("applications", if apps.is_empty() { "none recognised".into() } else { few(&apps, 8) }, "");
        f.asks(&format!("kind = flow and host = {addr}"));
        self.doubts(&mut f);
        f
    }
    fn pooled(&self, net: &Net, day: i32, network: IpNet, hosts: &[(Host, &New)]) -> Option<Finding> {
        let (first, _) = hosts.first()?;
        let mut proof = Proof::default();
        hosts.iter().for_each(|(_, new)| proof.join(&new.proof));
        let addrs: Vec<IpAddr> = hosts.iter().map(|(host, _)| net.addr(*host)).collect();
        let title = format!("{} hosts of {network} speak for the first time on {}: {}", hosts.len(), date(day), few(&addrs, 4));
        let mut f = proof.finding(NAME, net, *first, title);
        f.severity = 0;
        f.score = 0.2;
        f.number("new hosts of the network on that day", hosts.len(), format!("> {}: one finding", self.pool));
        f.number("days of records without them", self.history.before(proof.first) / DAY, self.days);
        f.asks(&match any_of("host", &addrs) {
            Some(any) => format!("kind = flow and {any}"),
            None => format!("kind = flow and net {network}"),
        });
        self.doubts(&mut f);
        f.benign.insert(0, "a network in which addresses are lent (DHCP, privacy addresses of IPv6)".into());
        Some(f)
    }
    fn doubts(&self, f: &mut Finding) {
        if !self.inventory {
            f.caveats.push("no inventory was read that could say whether it is known".into());
        }
        f.benign =
            vec!["a new device that somebody knows of, or one that was away".into(), "a known host with a new address".into()];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detectors::trial::{FRIDAY, Trial};

    fn past(trial: &mut Trial) {
        for day in 0..9 {
            trial.flow((FRIDAY + day * 86_400) as f64, "10.0.0.5", "10.0.0.1", 445);
            // Asked every day and silent: not known by that.
            trial.unanswered((FRIDAY + day * 86_400) as f64, "10.0.0.5", "10.0.0.66", 445);
        }
    }

    #[test]
    fn who_speaks_first_after_a_week_is_new() {
        let mut trial = Trial::new();
        past(&mut trial);
        let late = (FRIDAY + 8 * 86_400) as f64;
        trial.flow(late + 10.0, "10.0.0.66", "192.0.2.9", 443);
        trial.flow(late + 20.0, "10.0.0.66", "10.0.0.1", 445);
        trial.flow(late + 30.0, "10.0.0.5", "10.0.0.1", 445);
        trial.unanswered(late + 40.0, "10.0.0.5", "10.0.0.67", 445);
        let found = trial.found(&DETECTOR);
        assert_eq!((found.len(), found[0].rows, found[0].severity), (1, 2, 1));
        assert!(
            found[0].title.starts_with("10.0.0.66 speaks for the first time at 2026-11-28 08:00:10Z, after 8 d"),
            "{}",
            found[0].title
        );
        trial.event(Kind::Inventory, FRIDAY as f64, "10.0.0.1", "10.0.0.5", 0);
        let found = trial.found(&DETECTOR);
        assert_eq!((found[0].severity, found[0].title.ends_with("no inventory lists it")), (2, true));
        assert!(trial.found_by(&DETECTOR, &Limits::new().with(NAME, "history", 9.0)).is_empty());
    }

    #[test]
    fn lent_addresses_are_one_finding() {
        let mut trial = Trial::new();
        past(&mut trial);
        for host in 100..140 {
            trial.flow((FRIDAY + 8 * 86_400 + host) as f64, &format!("10.0.7.{host}"), "192.0.2.9", 443);
        }
        let found = trial.found(&DETECTOR);
        assert_eq!((found.len(), found[0].rows, found[0].severity), (1, 40, 0));
        assert!(
            found[0].title.starts_with("40 hosts of 10.0.7.0/24 speak for the first time on 2026-11-28"),
            "{}",
            found[0].title
        );
        assert!(found[0].query.contains("net 10.0.7.0/24"));
    }
}
