//! Moving from host to host: connections to services of administration between hosts of one's own that had none before; more of them than a host's past
//! makes likely, many in ten minutes, or one after the other (A to B, then B to C).

use super::fold::{Proof, any_of, days, few, lasting};
use super::gather::service;
use super::history::History;
use super::maths::{poisson_at_least, sat};
use super::rows::{Flow, Host, Id, Net, Piece};
use super::{Day, Detector, Limits, Setting, Watch};
use crate::model::finding::Finding;
use crate::model::time::SECOND;
use crate::model::{SourceId, Time, proto};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::IpAddr;

/// The detector.
pub static DETECTOR: LateralMovement = LateralMovement;

/// See the module.
pub struct LateralMovement;

const NAME: &str = "lateral_movement";
const SETTINGS: &[Setting] = &[
    Setting { name: "history", default: 3.0, unit: "d", doc: "Days of records before a connection is taken for new." },
    Setting { name: "forget", default: 30.0, unit: "d", doc: "A connection that was not seen for so long is new again." },
    Setting {
        name: "chance",
        default: 1e-4,
        unit: "",
        doc: "Greatest probability of so many new connections in a day, by the host's own past.",
    },
    Setting {
        name: "fan_out",
        default: 5.0,
        unit: "",
        doc: "So many new hosts within ten minutes are told whatever the past is.",
    },
    Setting { name: "chain", default: 3_600.0, unit: "s", doc: "Who is reached and goes on within this time makes a chain." },
    Setting {
        name: "shared",
        default: 5.0,
        unit: "",
        doc: "A service that so many hosts use already is for all: who joins them is not counted.",
    },
];
/// Ports of administration: SSH, Telnet, RPC, NetBIOS, SMB, RDP, VNC, WinRM.
const PORTS: [u16; 10] = [22, 23, 135, 139, 445, 3389, 5900, 5985, 5986, 47001];
const FAN_OUT: i64 = 600 * SECOND;
/// Pairs that are known, and new connections of one host that are kept.
const EDGES: usize = 1_000_000;
const OF_HOST: usize = 512;
/// Least rate of new connections a day that a host is thought to have.
const RATE: f64 = 0.02;
/// Hosts that a chain may have come from.
const ARRIVALS: usize = 8;

impl Detector for LateralMovement {
    fn name(&self) -> &'static str {
        NAME
    }
    fn doc(&self) -> &'static str {
        "New connections between home hosts to services of administration: more than a Poisson distribution with the host's past rate allows, five hosts in \
         ten minutes, or a chain of two within an hour."
    }
    fn techniques(&self) -> &'static [&'static str] {
        &["T1021", "T1570"]
    }
    fn settings(&self) -> &'static [Setting] {
        SETTINGS
    }
    fn watch(&self, limits: &Limits) -> Box<dyn Watch> {
        let of = |name| limits.of(NAME, SETTINGS, name);
        Box::new(Moves {
            days: of("history").max(1.0) as i32,
            forget: of("forget").max(1.0) as i32,
            chance: of("chance"),
            fan_out: of("fan_out").max(2.0) as usize,
            chain: (of("chain").max(0.0) * SECOND as f64) as i64,
            shared: of("shared").max(1.0) as u32,
            ..Moves::default()
        })
    }
}

#[derive(Default, Serialize, Deserialize)]
struct Moves {
    days: i32,
    forget: i32,
    chance: f64,
    fan_out: usize,
    chain: i64,
    shared: u32,
    history: History,
    /// The day on which a connection was seen last.
    edges: HashMap<(Host, Host, u16), i32, foldhash::fast::RandomState>,
    /// Hosts that use a service.
    clients: HashMap<(Host, u16), u32, foldhash::fast::RandomState>,
    /// New connections of the day by host.
    today: HashMap<Host, Vec<Edge>, foldhash::fast::RandomState>,
    /// New connections of all days that are over, by host, and of all hosts.
    made: HashMap<Host, u64, foldhash::fast::RandomState>,
    all_made: u64,
    /// Days since there was history enough.
    warm: i32,
    arrivals: HashMap<Host, VecDeque<(Host, Edge)>, foldhash::fast::RandomState>,
    found: BTreeMap<Host, Found>,
    lost: u64,
}

/// A new connection.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Edge {
    time: Time,
    end: Time,
    dst: Host,
    port: u16,
    /// Of a service that is for all.
    shared: bool,
    id: Id,
    source: SourceId,
}

/// What a host did.
#[derive(Default, Serialize, Deserialize)]
struct Found {
    proof: Proof,
    days: BTreeSet<i32>,
    hosts: BTreeSet<Host>,
    ports: BTreeSet<u16>,
    /// Of the least likely day: how many, at which rate, how likely.
    unlikely: Option<(u64, f64, f64)>,
    /// Most new hosts within ten minutes.
    fan_out: usize,
    /// By whom to whom, and how long after.
    chains: Vec<(Host, Host, i64)>,
}

impl Watch for Moves {
    super::resume::kept!();
    fn piece(&mut self, piece: &Piece<'_>) {
        for flow in piece.flows {
            self.history.flow(piece.net, flow);
            let inside = piece.net.is_home(flow.src) && piece.net.is_home(flow.dst) && flow.src != flow.dst;
            if inside && flow.proto == proto::TCP && PORTS.contains(&flow.dst_port) && flow.is_accepted() {
                self.flow(flow);
            }
        }
    }
    fn day(&mut self, day: &Day<'_>) {
        let mut today: Vec<(Host, Vec<Edge>)> = self.today.drain().collect();
        today.sort_unstable_by_key(|(host, _)| *host);
        let hosts = self.history.hosts().max(1) as f64;
        // As if each host had one more day of what all have.
        let usual = self.all_made as f64 / (hosts * f64::from(self.warm.max(1)));
        for (src, edges) in &today {
            let own: Vec<&Edge> = edges.iter().filter(|e| !e.shared).collect();
            let made = self.made.get(src).copied().unwrap_or(0) as f64;
            let rate = ((made + usual) / (f64::from(self.warm) + 1.0)).max(RATE);
            let count = own.len() as u64;
            let probability = poisson_at_least(count, rate);
            let fan_out = busiest(&own);
            if probability < self.chance || fan_out >= self.fan_out {
                let found = self.found.entry(*src).or_default();
                found.take(day.day, own.iter().copied());
                found.fan_out = found.fan_out.max(fan_out);
                if probability < self.chance && found.unlikely.is_none_or(|u| probability < u.2) {
                    found.unlikely = Some((count, rate, probability));
                }
            }
        }
        for (src, edges) in today {
            let own = edges.iter().filter(|e| !e.shared).count() as u64;
            *self.made.entry(src).or_default() += own;
            self.all_made += own;
        }
        if self.history.days() >= self.days {
            self.warm += 1;
        }
        // Who arrived long ago starts no chain.
        let last = self.history.last();
        let chain = self.chain;
        self.arrivals.retain(|_, list| list.back().is_some_and(|(_, e)| last.since(e.time) <= chain));
    }
    fn end(self: Box<Self>, net: &Net) -> Vec<Finding> {
        self.found.iter().map(|(src, found)| self.finding(net, *src, found)).collect()
    }
}

/// Most hosts that are new within ten minutes, of edges in order of time.
fn busiest(edges: &[&Edge]) -> usize {
    let mut within: VecDeque<&Edge> = VecDeque::new();
    let mut most = 0;
    for edge in edges {
        within.push_back(edge);
        while within.front().is_some_and(|f| edge.time.since(f.time) > FAN_OUT) {
            within.pop_front();
        }
        most = most.max(within.iter().map(|e| e.dst).collect::<BTreeSet<_>>().len());
    }
    most
}

impl Found {
    fn take<'a>(&mut self, day: i32, edges: impl Iterator<Item = &'a Edge>) {
        self.days.insert(day);
        for edge in edges {
            self.proof.take(edge.time, edge.end, edge.id, edge.source);
            if self.hosts.len() < OF_HOST {
                self.hosts.insert(edge.dst);
            }
            self.ports.insert(edge.port);
        }
    }
}

impl Moves {
    fn flow(&mut self, flow: &Flow) {
        let day = flow.start.day();
        let key = (flow.src, flow.dst, flow.dst_port);
        if let Some(last) = self.edges.get_mut(&key) {
            let known = day.saturating_sub(*last) <= self.forget;
            *last = day;
            if known {
                return;
            }
        } else if self.edges.len() >= EDGES {
            self.lost += 1;
            return;
        } else {
            self.edges.insert(key, day);
        }
        let clients = self.clients.entry((flow.dst, flow.dst_port)).or_default();
        let shared = *clients >= self.shared;
        *clients = clients.saturating_add(1);
        // The day that is running does not count.
        if self.history.days() <= self.days {
            return;
        }
        let (port, id, source) = (flow.dst_port, flow.id, flow.source);
        let edge = Edge { time: flow.start, end: flow.end, dst: flow.dst, port, shared, id, source };
        self.chained(flow.src, edge);
        let arrivals = self.arrivals.entry(flow.dst).or_default();
        arrivals.push_back((flow.src, edge));
        if arrivals.len() > ARRIVALS {
            arrivals.pop_front();
        }
        let today = self.today.entry(flow.src).or_default();
        if today.len() < OF_HOST {
            today.push(edge);
        }
    }
    /// Whether who goes on was reached shortly before.
    fn chained(&mut self, via: Host, onward: Edge) {
        let Some(arrivals) = self.arrivals.get(&via) else { return };
        let within = |e: &Edge| (0..=self.chain).contains(&onward.time.since(e.time));
        // Both ends for all: that is how everybody works.
        let from =
            arrivals.iter().rev().find(|(src, e)| *src != onward.dst && within(e) && !(e.shared && onward.shared)).copied();
        let Some((src, first)) = from else { return };
        let found = self.found.entry(src).or_default();
        if found.chains.len() < 16 {
            found.chains.push((via, onward.dst, onward.time.since(first.time)));
            found.take(first.time.day(), [first, onward].iter());
            found.hosts.remove(&src);
        }
    }
    fn finding(&self, net: &Net, src: Host, found: &Found) -> Finding {
        let host = net.addr(src);
        let mut hosts: Vec<IpAddr> = found.hosts.iter().map(|h| net.addr(*h)).collect();
        hosts.sort_unstable();
        let ports: Vec<String> = found.ports.iter().map(|p| service(*p, proto::TCP)).collect();
        let (first, last) = (found.days.first().copied().unwrap_or(0), found.days.last().copied().unwrap_or(0));
        let mut why = Vec::new();
        if let Some((count, _, probability)) = found.unlikely {
            why.push(format!("{count} in a day, by chance {probability:.0e}"));
        }
        if found.fan_out >= self.fan_out {
            why.push(format!("{} hosts in ten minutes", found.fan_out));
        }
        for (via, to, after) in found.chains.iter().take(3) {
            why.push(format!("over {} on to {} after {}", net.addr(*via), net.addr(*to), lasting(*after)));
        }
        let title = format!(
            "{host} opens connections that it never had to {} ({}) {}: {}",
            few(&hosts, 4),
            few(&ports, 4),
            days(first, last, found.days.len()),
            why.join("; ")
        );
        let mut f = found.proof.finding(NAME, net, src, title);
        f.peer = hosts.first().copied().filter(|_| hosts.len() == 1);
        f.service = found.ports.first().filter(|_| found.ports.len() == 1).map(|p| (proto::TCP, *p));
        let many = found.unlikely.is_some() || found.fan_out >= self.fan_out;
        f.severity = match (found.chains.is_empty(), many) {
            (false, true) => 4,
            (false, false) => 3,
            (true, _) if found.fan_out >= self.fan_out || found.unlikely.is_some_and(|u| u.2 < self.chance / 100.0) => 3,
            _ => 2,
        };
        let improbable = found.unlikely.map_or(0.0, |u| -u.2.max(1e-20).log10() / 20.0);
        f.score = sat(0.4 + improbable + 0.2 * found.chains.len() as f64) as f32;
        if let Some((count, rate, probability)) = found.unlikely {
            f.number("new connections in a day", count, "");
            f.number("of its past, a day", format!("{rate:.3}"), "");
            f.number("probability of so many", format!("{probability:.1e}"), format!("< {:e}", self.chance));
        }
        f.number("new hosts in ten minutes", found.fan_out, self.fan_out);
        f.number("chains", found.chains.len(), format!("within {}", lasting(self.chain)));
        f.number("days of records", self.history.days(), self.days);
        let mut from = vec![host];
        from.extend(found.chains.iter().map(|c| net.addr(c.0)));
        from.sort_unstable();
        from.dedup();
        let ends = [any_of("src.ip", &from), any_of("dst.ip", &hosts)].into_iter().flatten().collect::<Vec<_>>().join(" and ");
        let list: Vec<u16> = found.ports.iter().copied().collect();
        f.asks(&format!("kind = flow and {ends} and dst.port in {{{}}}", few(&list, list.len())));
        if self.history.days() < 30 {
            f.caveats.push(format!("{} days of records: a connection that is rare may look new", self.history.days()));
        }
        if self.lost > 0 {
            f.caveats.push(format!("{} connections found no room and were not looked at", self.lost));
        }
        f.benign = vec![
            "an administrator at work, or a host that was given another purpose".into(),
            "management of hosts, backup, or a scanner of the site that logs in".into(),
        ];
        f
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detectors::trial::{FRIDAY, Trial};

    /// A site in which everybody uses the file server and an administrator visits a new host now and then.
    fn site(trial: &mut Trial, days: i64) {
        for day in 0..days {
            let at = (FRIDAY + day * 86_400) as f64;
            for host in 10..40 {
                trial.flow(at + f64::from(host), &format!("10.0.0.{host}"), "10.0.0.1", 445);
            }
            for host in 0..=day {
                trial.flow(at + 900.0, "10.0.0.9", &format!("10.0.0.{}", 10 + host), 22);
                trial.flow(at + 990.0, "10.0.0.9", &format!("10.0.0.{}", 30 + host), 22);
            }
        }
    }

    #[test]
    fn more_than_the_past_allows_is_told_and_an_administrator_is_not() {
        let mut trial = Trial::new();
        site(&mut trial, 8);
        let late = (FRIDAY + 7 * 86_400 + 4_000) as f64;
        for n in 0..4 {
            trial.flow(late + f64::from(n) * 900.0, "10.0.0.12", &format!("10.0.0.{}", 20 + n), 445);
            trial.unanswered(late + 1.0, "10.0.0.13", &format!("10.0.0.{}", 20 + n), 445);
        }
        // Joins the others at the file server: nothing new.
        trial.flow(late, "10.0.0.41", "10.0.0.1", 445);
        let found = trial.found(&DETECTOR);
        assert_eq!(found.len(), 1, "{:?}", found.iter().map(|f| &f.title).collect::<Vec<_>>());
        let f = &found[0];
        assert_eq!((f.host.to_string(), f.rows, f.severity), ("10.0.0.12".into(), 4, 3));
        assert!(
            f.title.contains("10.0.0.20, 10.0.0.21, 10.0.0.22, 10.0.0.23 (445/tcp) on 2026-11-27: 4 in a day"),
            "{}",
            f.title
        );
        assert!(f.query.contains("src.ip = 10.0.0.12 and dst.ip in {10.0.0.20,"), "{}", f.query);
    }

    #[test]
    fn five_in_ten_minutes_and_chains_are_told_whatever_the_past_is() {
        let mut trial = Trial::new();
        site(&mut trial, 8);
        let late = (FRIDAY + 7 * 86_400 + 9_000) as f64;
        trial.flow(late, "10.0.0.12", "10.0.0.25", 3_389);
        trial.flow(late + 1_200.0, "10.0.0.25", "10.0.0.26", 5_985);
        // Too late to be one.
        trial.flow(late, "10.0.0.14", "10.0.0.27", 3_389);
        trial.flow(late + 4_000.0, "10.0.0.27", "10.0.0.28", 3_389);
        for n in 0..6 {
            trial.flow(late + f64::from(n) * 60.0, "10.0.0.9", &format!("10.0.0.{}", 34 + n), 3_389);
        }
        let found = trial.found(&DETECTOR);
        let told: Vec<_> = found.iter().map(|f| (f.host.to_string(), f.severity)).collect();
        assert!(told.contains(&("10.0.0.12".into(), 3)) && told.iter().any(|t| t.0 == "10.0.0.9"), "{told:?}");
        assert!(!told.iter().any(|t| t.0 == "10.0.0.14"), "{told:?}");
        let chain = found.iter().find(|f| f.host.to_string() == "10.0.0.12").unwrap();
        assert!(chain.title.contains("over 10.0.0.25 on to 10.0.0.26 after 20 min"), "{}", chain.title);
        assert!(chain.query.contains("src.ip in {10.0.0.12, 10.0.0.25}"), "{}", chain.query);
    }

    #[test]
    fn without_a_past_nothing_is_new() {
        let mut trial = Trial::new();
        site(&mut trial, 3);
        for n in 0..9 {
            trial.flow((FRIDAY + 2 * 86_400 + 5_000 + n) as f64, "10.0.0.12", &format!("10.0.0.{}", 20 + n), 445);
        }
        assert!(trial.found(&DETECTOR).is_empty());
    }
}
