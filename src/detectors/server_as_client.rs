//! Servers that call out: a host of one's own that others use, and that seldom calls anybody outside, reaches an address outside that it never did.

use super::fold::{Proof, any_of, days, few};
use super::history::History;
use super::maths::{poisson_at_least, sat};
use super::rows::{Flow, Host, Net, Piece, Word};
use super::{Day, Detector, Limits, Setting, Watch};
use crate::model::finding::Finding;
use crate::model::proto;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;

/// The detector.
pub static DETECTOR: ServerAsClient = ServerAsClient;

/// See the module.
pub struct ServerAsClient;

const NAME: &str = "server_as_client";
const SETTINGS: &[Setting] = &[
    Setting {
        name: "history",
        default: 7.0,
        unit: "d",
        doc: "Days of records of a server before an address that it calls is new.",
    },
    Setting { name: "clients", default: 5.0, unit: "", doc: "So many hosts that use it make a host a server." },
    Setting {
        name: "chance",
        default: 0.02,
        unit: "",
        doc: "Greatest probability of so many new addresses in a day, by the server's own past.",
    },
];
/// Addresses outside that are kept of a host; who calls more is no server that seldom does.
const CALLED: usize = 256;
/// Hosts that are followed.
const HOSTS: usize = 100_000;
/// Least rate of new addresses a day that a server is thought to have.
const RATE: f64 = 0.01;
/// Days in which a server is got to know: whom it calls then says nothing about its rate.
const ACQUAINTED: f64 = 2.0;
/// Ports from here on are given to clients.
const DYNAMIC: u16 = 32_768;

impl Detector for ServerAsClient {
    fn name(&self) -> &'static str {
        NAME
    }
    fn doc(&self) -> &'static str {
        "A home host with a server's role reaches an address outside that it never did, where its past makes that unlikely (Poisson)."
    }
    fn techniques(&self) -> &'static [&'static str] {
        &["T1105", "T1071"]
    }
    fn settings(&self) -> &'static [Setting] {
        SETTINGS
    }
    fn watch(&self, limits: &Limits) -> Box<dyn Watch> {
        let of = |name| limits.of(NAME, SETTINGS, name);
        Box::new(Servers {
            days: of("history").max(1.0),
            clients: of("clients").clamp(1.0, 64.0) as usize,
            chance: of("chance"),
            ..Servers::default()
        })
    }
}

#[derive(Default, Serialize, Deserialize)]
struct Servers {
    days: f64,
    clients: usize,
    chance: f64,
    history: History,
    hosts: HashMap<Host, Role, foldhash::fast::RandomState>,
    /// Hosts that called somebody new outside today.
    busy: BTreeSet<Host>,
    lost: u64,
}

/// What a home host does.
#[derive(Default, Serialize, Deserialize)]
struct Role {
    /// The first hosts that used it.
    clients: Vec<Host>,
    /// Connections that it accepted, and that it opened to the outside.
    accepted: u64,
    opened: u64,
    called: Vec<Host>,
    /// It calls too many to be followed.
    many: bool,
    /// Addresses that were new, on days that are over.
    new: u64,
    /// New ones of today, while there is history enough.
    today: Vec<New>,
    found: Option<Box<Found>>,
}

#[derive(Serialize, Deserialize)]
struct New {
    dst: Host,
    port: u16,
    name: Word,
    proof: Proof,
}

/// What was found of a server.
#[derive(Default, Serialize, Deserialize)]
struct Found {
    days: BTreeSet<i32>,
    new: Vec<New>,
    /// Of the least likely day: how many, at which rate, how likely.
    unlikely: (u64, f64, f64),
    outs: u64,
}

impl Watch for Servers {
    super::resume::kept!();
    fn piece(&mut self, piece: &Piece<'_>) {
        let net = piece.net;
        for flow in piece.flows {
            self.history.flow(net, flow);
            if !flow.is_accepted() || flow.src == flow.dst {
                continue;
            }
            if net.is_home(flow.dst) && flow.dst_port < DYNAMIC && flow.dst_port > 0 {
                let least = self.clients;
                if let Some(role) = self.role(flow.dst) {
                    role.accepted += 1;
                    if role.clients.len() < least && !role.clients.contains(&flow.src) {
                        role.clients.push(flow.src);
                    }
                }
            }
            // Clocks and resolvers are in pools.
            let pooled = matches!((flow.proto, flow.dst_port), (proto::UDP, 123) | (_, 53 | 853));
            if net.is_home(flow.src) && !net.is_home(flow.dst) && net.is_unicast(flow.dst) && !pooled {
                self.out(flow);
            }
        }
    }
    fn day(&mut self, day: &Day<'_>) {
        let past = (f64::from(self.history.days()) - ACQUAINTED).max(1.0);
        for host in std::mem::take(&mut self.busy) {
            let Some(role) = self.hosts.get_mut(&host) else { continue };
            let today = std::mem::take(&mut role.today);
            let count = today.len() as u64;
            let rate = (role.new as f64 / past).max(RATE);
            role.new += count;
            let probability = poisson_at_least(count, rate);
            let serves = role.clients.len() >= self.clients && role.accepted > role.opened;
            if count == 0 || role.many || !serves || probability > self.chance {
                continue;
            }
            let found = role.found.get_or_insert_with(Box::default);
            if found.days.is_empty() || probability < found.unlikely.2 {
                found.unlikely = (count, rate, probability);
            }
            found.days.insert(day.day);
            found.outs = role.opened;
            let room = 64usize.saturating_sub(found.new.len());
            found.new.extend(today.into_iter().take(room));
        }
    }
    fn end(self: Box<Self>, net: &Net) -> Vec<Finding> {
        let mut list: Vec<(&Host, &Role)> = self.hosts.iter().filter(|(_, role)| role.found.is_some()).collect();
        list.sort_unstable_by_key(|(host, _)| **host);
        list.into_iter().filter_map(|(host, role)| Some(self.finding(net, *host, role, role.found.as_ref()?))).collect()
    }
}

impl Servers {
    fn role(&mut self, host: Host) -> Option<&mut Role> {
        if self.hosts.len() >= HOSTS && !self.hosts.contains_key(&host) {
            self.lost += 1;
            return None;
        }
        Some(self.hosts.entry(host).or_default())
    }
    fn out(&mut self, flow: &Flow) {
        let late = self.history.knew(flow.src, flow.start, self.days);
        let known = self.history.knew(flow.src, flow.start, ACQUAINTED.min(self.days));
        let Some(role) = self.role(flow.src) else { return };
        role.opened += 1;
        if let Some(new) = role.today.iter_mut().find(|n| n.dst == flow.dst) {
            new.proof.take(flow.start, flow.end, flow.id, flow.source);
            return;
        }
        let Err(place) = role.called.binary_search(&flow.dst) else { return };
        if role.many || role.called.len() >= CALLED {
            role.many = true;
            role.called = Vec::new();
            role.today = Vec::new();
            return;
        }
        role.called.insert(place, flow.dst);
        if late {
            let mut new = New { dst: flow.dst, port: flow.dst_port, name: flow.name, proof: Proof::default() };
            new.proof.take(flow.start, flow.end, flow.id, flow.source);
            role.today.push(new);
            self.busy.insert(flow.src);
        } else {
            role.new += u64::from(known);
        }
    }
    fn finding(&self, net: &Net, host: Host, role: &Role, found: &Found) -> Finding {
        let addr = net.addr(host);
        let mut proof = Proof::default();
        found.new.iter().for_each(|n| proof.join(&n.proof));
        let mut peers: Vec<IpAddr> = found.new.iter().map(|n| net.addr(n.dst)).collect();
        peers.sort_unstable();
        let ports: BTreeSet<u16> = found.new.iter().map(|n| n.port).collect();
        let ports: Vec<u16> = ports.into_iter().collect();
        let names: BTreeSet<&str> = found.new.iter().map(|n| net.text(n.name)).filter(|n| !n.is_empty()).collect();
        let names: Vec<&str> = names.into_iter().collect();
        let named = if names.is_empty() { String::new() } else { format!(" ({})", few(&names, 2)) };
        let (first, last) = (found.days.first().copied().unwrap_or(0), found.days.last().copied().unwrap_or(0));
        let title = format!(
            "{addr}, a server, calls {}{named} outside at port {}, which it never did, {}",
            few(&peers, 3),
            few(&ports, 3),
            days(first, last, found.days.len())
        );
        let mut f = proof.finding(NAME, net, host, title);
        f.peer = peers.first().copied().filter(|_| peers.len() == 1);
        f.name = names.first().filter(|_| names.len() == 1).map(|n| (*n).to_owned());
        let (count, rate, probability) = found.unlikely;
        f.severity = if role.new <= 3 { 3 } else { 2 };
        f.score = sat(0.5 + 0.5 * (self.chance - probability) / self.chance.max(f64::MIN_POSITIVE)) as f32;
        f.number("new addresses in a day", count, "");
        f.number("of its past, a day", format!("{rate:.3}"), "");
        f.number("probability of so many", format!("{probability:.1e}"), format!("< {}", self.chance));
        f.number("hosts that use it", format!("{} or more", role.clients.len()), self.clients);
        f.number("connections accepted", role.accepted, "more than it opens");
        f.number("connections opened to the outside", found.outs, "");
        f.number("days of records", self.history.days(), self.days);
        let whom = any_of("dst.ip", &peers).unwrap_or_else(|| "direction = out".into());
        f.asks(&format!("kind = flow and src.ip = {addr} and {whom}"));
        if self.history.days() < 30 {
            f.caveats.push(format!("{} days of records: what happens once a month may look new", self.history.days()));
        }
        if self.lost > 0 {
            f.caveats.push(format!("{} connections found no room and were not looked at", self.lost));
        }
        f.benign = vec![
            "an update of the server, or a service outside that moved to another address".into(),
            "somebody who works on the server, or a connection that it was set up to make".into(),
        ];
        f
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detectors::trial::{FRIDAY, Trial};

    fn site(trial: &mut Trial, days: i64) {
        for day in 0..days {
            let at = (FRIDAY + day * 86_400) as f64;
            for host in 10..20 {
                trial.flow(at + host as f64, &format!("10.0.0.{host}"), "10.0.0.1", 443);
                trial.flow(at + host as f64, &format!("10.0.0.{host}"), "10.0.0.2", 3_128);
                // A proxy calls whoever is asked for.
                trial.flow(at + host as f64, "10.0.0.2", &format!("192.0.2.{}", host + day * 11), 443);
            }
            trial.flow(at + 60.0, "10.0.0.1", "192.0.2.250", 443);
        }
    }

    #[test]
    fn a_server_that_calls_somebody_new_is_told_and_a_proxy_is_not() {
        let mut trial = Trial::new();
        site(&mut trial, 9);
        let late = (FRIDAY + 8 * 86_400 + 1_000) as f64;
        trial.flow(late, "10.0.0.1", "203.0.113.9", 8_443);
        trial.flow(late + 9.0, "10.0.0.1", "203.0.113.9", 8_443);
        trial.flow(late, "10.0.0.12", "203.0.113.9", 443);
        trial.unanswered(late, "10.0.0.1", "203.0.113.10", 443);
        let found = trial.found(&DETECTOR);
        assert_eq!(found.len(), 1, "{:?}", found.iter().map(|f| &f.title).collect::<Vec<_>>());
        let f = &found[0];
        assert_eq!(
            (f.host.to_string(), f.peer.unwrap().to_string(), f.rows, f.severity),
            ("10.0.0.1".into(), "203.0.113.9".into(), 2, 3)
        );
        assert!(f.title.ends_with("calls 203.0.113.9 outside at port 8443, which it never did, on 2026-11-28"), "{}", f.title);
    }

    #[test]
    fn without_a_week_nothing_is_new() {
        let mut trial = Trial::new();
        site(&mut trial, 6);
        trial.flow((FRIDAY + 5 * 86_400 + 1_000) as f64, "10.0.0.1", "203.0.113.9", 8_443);
        assert!(trial.found(&DETECTOR).is_empty());
    }
}
