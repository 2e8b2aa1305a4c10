//! Mail in bulk: an own host that is no mail server and calls many of them within five minutes; and, for the time of a spam message that was
//! reported, which hosts outside it most likely came from.
//!
//! A mail server of one's own that is abused sends as it always does: this does not see it.

pub mod suspects;

use super::held::Sweep;
use super::maths::sat;
use super::rows::{Flow, Host, Id, Net, Piece};
use super::shown::{counted, one_of, percent, some};
use super::{Detector, Limits, Setting, Watch};
use crate::model::finding::{EVIDENCE, Finding, span};
use crate::model::time::SECOND;
use crate::model::{SourceId, Time, proto};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::net::IpAddr;

/// The detector.
pub static DETECTOR: Spam = Spam;

/// See the module.
pub struct Spam;

const NAME: &str = "spam";
const SETTINGS: &[Setting] = &[
    Setting { name: "connections", default: 20.0, unit: "", doc: "Connections to ports 25, 465 and 587 within the window." },
    Setting { name: "servers", default: 10.0, unit: "", doc: "Different mail servers within the window." },
    Setting { name: "failed", default: 0.5, unit: "", doc: "Share of connections that failed, of at least 10." },
    Setting { name: "window", default: 300.0, unit: "s", doc: "Length of the window." },
    Setting { name: "step", default: 30.0, unit: "s", doc: "How far the window slides at once." },
    Setting {
        name: "relayed",
        default: 100.0,
        unit: "",
        doc: "Connections within the window to mail servers of one's own alone.",
    },
    Setting { name: "learned", default: 3.0, unit: "", doc: "A host that accepts mail from so many others is a mail server." },
];
/// Ports of mail.
pub const PORTS: [u16; 3] = [25, 465, 587];
/// Connections that a share of failed ones is of.
const OF: usize = 10;
/// What is held: hosts, connections of a window, servers of a finding, connections by which two findings are known to be one.
const HOSTS: usize = 200_000;
const RECENT: usize = 20_000;
const SERVERS: usize = 10_000;
const MARKS: usize = 2_000;

impl Detector for Spam {
    fn name(&self) -> &'static str {
        NAME
    }
    fn doc(&self) -> &'static str {
        "An own host that is no mail server and within five minutes makes 20 connections to mail ports, or calls 10 mail servers, or fails with half of at least 10 connections. Who accepts mail from several others is a mail server."
    }
    fn techniques(&self) -> &'static [&'static str] {
        &["T1071.003", "T1566"]
    }
    fn settings(&self) -> &'static [Setting] {
        SETTINGS
    }
    fn watch(&self, limits: &Limits) -> Box<dyn Watch> {
        let of = |name| limits.of(NAME, SETTINGS, name);
        Box::new(Senders {
            rules: Rules {
                connections: of("connections").max(1.0) as usize,
                servers: of("servers").max(1.0) as usize,
                failed: of("failed"),
                window: (of("window").max(1.0) * SECOND as f64) as i64,
                step: (of("step").max(1.0) * SECOND as f64) as i64,
                relayed: of("relayed").max(1.0) as usize,
                learned: of("learned").max(1.0) as usize,
            },
            senders: HashMap::default(),
            sweep: Sweep::default(),
            acceptors: HashMap::default(),
        })
    }
}

#[derive(Serialize, Deserialize)]
struct Rules {
    connections: usize,
    servers: usize,
    failed: f64,
    window: i64,
    step: i64,
    relayed: usize,
    learned: usize,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
struct Call {
    time: Time,
    server: Host,
    port: u16,
    failed: bool,
    /// The server is one's own.
    own: bool,
    id: Id,
    source: SourceId,
}

/// What is in a window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
struct Counts {
    connections: usize,
    servers: usize,
    failed: usize,
    own: usize,
}

impl Counts {
    fn of(calls: &VecDeque<Call>) -> Counts {
        let servers: HashSet<Host> = calls.iter().filter(|c| !c.own).map(|c| c.server).collect();
        let failed = calls.iter().filter(|c| c.failed && !c.own).count();
        let own = calls.iter().filter(|c| c.own).count();
        Counts { connections: calls.len() - own, servers: servers.len(), failed, own }
    }
    fn is_bulk(&self, rules: &Rules) -> bool {
        self.connections >= rules.connections
            || self.servers >= rules.servers
            || self.connections >= OF && self.failed as f64 >= rules.failed * self.connections as f64
            || self.own >= rules.relayed
    }
}

#[derive(Default, Serialize, Deserialize)]
struct Sender {
    recent: VecDeque<Call>,
    burst: Option<Burst>,
    done: Vec<Burst>,
}

#[derive(Serialize, Deserialize)]
struct Burst {
    first: Time,
    last: Time,
    /// When the window was first full enough, as the window slides.
    known: Time,
    peak: Counts,
    all: Counts,
    servers: BTreeSet<Host>,
    ports: BTreeSet<u16>,
    /// Server and time of connections: what the other side of a translation shows too.
    marks: Vec<(Host, Time)>,
    ids: Vec<Id>,
    sources: BTreeSet<SourceId>,
}

#[derive(Serialize, Deserialize)]
struct Senders {
    rules: Rules,
    senders: HashMap<Host, Sender, foldhash::fast::RandomState>,
    sweep: Sweep,
    /// From whom hosts accept mail, as far as that is needed.
    acceptors: HashMap<Host, Vec<Host>, foldhash::fast::RandomState>,
}

impl Watch for Senders {
    super::resume::kept!();
    fn piece(&mut self, piece: &Piece<'_>) {
        for flow in piece.flows.iter().filter(|f| f.proto == proto::TCP && PORTS.contains(&f.dst_port)) {
            if flow.is_accepted() && (self.acceptors.len() < HOSTS || self.acceptors.contains_key(&flow.dst)) {
                let peers = self.acceptors.entry(flow.dst).or_default();
                if peers.len() < self.rules.learned && !peers.contains(&flow.src) {
                    peers.push(flow.src);
                }
            }
            if piece.net.is_home(flow.src) {
                self.call(piece.net, flow);
            }
        }
    }
    fn end(mut self: Box<Self>, net: &Net) -> Vec<Finding> {
        let mut found: Vec<(Host, Burst)> = Vec::new();
        for (host, mut sender) in std::mem::take(&mut self.senders) {
            sender.done.extend(sender.burst.take());
            if self.acceptors.get(&host).is_some_and(|peers| peers.len() >= self.rules.learned) {
                continue;
            }
            found.extend(sender.done.into_iter().map(|b| (host, b)));
        }
        // Addresses that never leave a site come first: of two sides of a translation the inner one is the sender.
        found.sort_by_key(|(host, b)| (!is_inner(net.addr(*host)), *host, b.first));
        let mut kept: Vec<(Host, Burst, Vec<IpAddr>)> = Vec::new();
        let mut marks = Marks::default();
        for (host, burst) in found {
            let same = marks.most_like(&burst, &|n| kept.get(n).is_some_and(|k| k.0 != host));
            match same.and_then(|n| kept.get_mut(n)) {
                Some(same) => same.2.push(net.addr(host)),
                None => {
                    marks.add(kept.len(), &burst);
                    kept.push((host, burst, Vec::new()));
                }
            }
        }
        kept.sort_by_key(|k| (k.0, k.1.first));
        kept.chunk_by(|a, b| (a.0, a.1.first.day()) == (b.0, b.1.first.day())).filter_map(|day| self.finding(day, net)).collect()
    }
}

impl Senders {
    fn call(&mut self, net: &Net, flow: &Flow) {
        if self.senders.len() >= HOSTS && !self.senders.contains_key(&flow.src) {
            let window = self.rules.window;
            if self.sweep.is_due(HOSTS) {
                self.senders.retain(|_, s| {
                    s.burst.is_some() || !s.done.is_empty() || s.recent.back().is_some_and(|c| flow.start.since(c.time) <= window)
                });
            }
            if self.senders.len() >= HOSTS {
                return;
            }
        }
        let rules = &self.rules;
        let sender = self.senders.entry(flow.src).or_default();
        // The window ends with the step that the call is in.
        let end = Time(flow.start.0.div_euclid(rules.step).saturating_add(1).saturating_mul(rules.step));
        let own = net.is_home(flow.dst);
        let call = Call {
            time: flow.start,
            server: flow.dst,
            port: flow.dst_port,
            failed: flow.is_failed(),
            own,
            id: flow.id,
            source: flow.source,
        };
        sender.recent.push_back(call);
        while sender.recent.len() > RECENT || sender.recent.front().is_some_and(|c| end.since(c.time) > rules.window) {
            sender.recent.pop_front();
        }
        if let Some(over) = sender.burst.take_if(|b| flow.start.since(b.last) > rules.window) {
            sender.done.push(over);
        }
        match &mut sender.burst {
            Some(burst) => {
                burst.take(&call);
                // Counting a full window anew for each of many calls would take long: the peak is looked at as the burst grows.
                let grown = burst.all.connections + burst.all.own;
                if grown < 2_000 || grown.is_multiple_of(100) {
                    let counts = Counts::of(&sender.recent);
                    if counts.connections + counts.own > burst.peak.connections + burst.peak.own {
                        burst.peak = counts;
                    }
                }
            }
            None => {
                let counts = Counts::of(&sender.recent);
                if counts.is_bulk(rules) {
                    let mut burst = Burst::new(&sender.recent, end, counts);
                    sender.recent.iter().for_each(|c| burst.take(c));
                    sender.burst = Some(burst);
                }
            }
        }
    }
    fn finding(&self, bursts: &[(Host, Burst, Vec<IpAddr>)], net: &Net) -> Option<Finding> {
        let rules = &self.rules;
        let (host, best, _) = bursts.iter().max_by_key(|b| (b.1.peak.connections, std::cmp::Reverse(b.1.first)))?;
        let (first, last) = (bursts.iter().map(|b| b.1.first).min()?, bursts.iter().map(|b| b.1.last).max()?);
        let servers: BTreeSet<Host> = bursts.iter().flat_map(|b| b.1.servers.iter().copied()).collect();
        let all = bursts.iter().fold(Counts::default(), |sum, b| Counts {
            connections: sum.connections + b.1.all.connections,
            servers: servers.len(),
            failed: sum.failed + b.1.all.failed,
            own: sum.own + b.1.all.own,
        });
        let addr = net.addr(*host);
        let minutes = (last.since(first) as f64 / 60e9).ceil().max(1.0);
        let relayed = all.connections == 0;
        let title = if relayed {
            format!(
                "{addr} sends mail in bulk through one's own mail server: {} in {minutes:.0} min",
                counted(all.own, "connection")
            )
        } else {
            let (a, b) = (counted(all.connections, "connection"), counted(servers.len(), "mail server"));
            format!("{addr} is no mail server and sends mail in bulk: {a} to {b} in {minutes:.0} min, {} failed", all.failed)
        };
        let mut f = Finding::new(NAME, addr, span(first, last), title);
        if let [only] = servers.iter().copied().collect::<Vec<_>>().as_slice() {
            f.peer = Some(net.addr(*only));
        }
        let ports: BTreeSet<u16> = bursts.iter().flat_map(|b| b.1.ports.iter().copied()).collect();
        if let [port] = ports.iter().copied().collect::<Vec<_>>().as_slice() {
            f.service = Some((proto::TCP, *port));
        }
        f.severity = match (relayed, best.peak.servers >= rules.servers) {
            (true, _) => 1,
            (false, true) => 3,
            (false, false) => 2,
        };
        let (by_calls, by_servers) =
            (best.peak.connections as f64 / rules.connections as f64, best.peak.servers as f64 / rules.servers as f64);
        f.score = if relayed { 0.2 } else { (0.5 * sat(by_calls / 4.0) + 0.5 * sat(by_servers / 2.0)) as f32 };
        let window = rules.window / SECOND;
        f.number(&format!("connections in {window} s"), best.peak.connections, rules.connections);
        f.number(&format!("mail servers in {window} s"), best.peak.servers, rules.servers);
        let share = best.peak.failed as f64 / best.peak.connections.max(1) as f64;
        f.number("failed", percent(share), format!("{} of at least {OF}", percent(rules.failed)));
        if best.peak.own > 0 {
            f.number("connections to one's own mail servers", best.peak.own, rules.relayed);
        }
        f.number("known after", format!("{} s", best.known.since(best.first) / SECOND), format!("{window} s"));
        let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
        f.asks(&format!("kind = flow and src.ip = {addr} and {}", one_of("dst.port", &ports)));
        f.rows = (all.connections + all.own) as u64;
        best.ids.iter().for_each(|id| f.rests_on(net.record(*id)));
        f.sources = bursts.iter().flat_map(|b| b.1.sources.iter().copied()).collect::<BTreeSet<_>>().into_iter().collect();
        let others: BTreeSet<IpAddr> = bursts.iter().flat_map(|b| b.2.iter().copied()).collect();
        if !others.is_empty() {
            let others: Vec<String> = others.iter().map(IpAddr::to_string).collect();
            f.caveats.push(format!("the same connections are seen from {}: the other side of a translation", some(&others, 4)));
        } else if !is_inner(addr) {
            f.caveats.push("the address is not of a private range: it may stand for hosts behind a translation".into());
        }
        f.caveats.push("flows do not say whether a server took a message or refused it".into());
        f.benign = vec![
            "a new or moved mail server that has not yet accepted mail from several hosts".into(),
            "a newsletter, ticket or monitoring system that delivers by itself".into(),
            "a mail program that works off what was queued".into(),
        ];
        Some(f)
    }
}

impl Burst {
    fn new(calls: &VecDeque<Call>, known: Time, peak: Counts) -> Burst {
        let first = calls.front().map_or(known, |c| c.time);
        Burst {
            first,
            last: first,
            known,
            peak,
            all: Counts::default(),
            servers: BTreeSet::new(),
            ports: BTreeSet::new(),
            marks: Vec::new(),
            ids: Vec::new(),
            sources: BTreeSet::new(),
        }
    }
    fn take(&mut self, call: &Call) {
        self.last = self.last.max(call.time);
        *(if call.own { &mut self.all.own } else { &mut self.all.connections }) += 1;
        self.all.failed += usize::from(call.failed && !call.own);
        if !call.own && self.servers.len() < SERVERS {
            self.servers.insert(call.server);
        }
        self.ports.insert(call.port);
        if self.marks.len() < MARKS {
            self.marks.push((call.server, call.time));
        }
        if self.ids.len() < EVIDENCE {
            self.ids.push(call.id);
        }
        self.sources.insert(call.source);
    }
}

/// How far from each other the two sides of a translation show the same connection.
const APART: i64 = SECOND / 2;

/// Where connections of bursts went and when, by server and half second: which bursts show the same ones.
#[derive(Default)]
struct Marks(HashMap<(Host, i64), Vec<(Time, usize)>, foldhash::fast::RandomState>);

impl Marks {
    /// Adds those of a burst, by its number.
    fn add(&mut self, number: usize, burst: &Burst) {
        for (server, time) in &burst.marks {
            self.0.entry((*server, time.0.div_euclid(APART))).or_default().push((*time, number));
        }
    }
    /// The first burst in which four fifths of the connections of another one are too: to the same server within half a second.
    fn most_like(&self, burst: &Burst, fits: &dyn Fn(usize) -> bool) -> Option<usize> {
        let mut both: BTreeMap<usize, usize> = BTreeMap::new();
        for (server, time) in &burst.marks {
            let half = time.0.div_euclid(APART);
            let mut of: Vec<usize> = (half - 1..=half + 1)
                .filter_map(|h| self.0.get(&(*server, h)))
                .flatten()
                .filter(|(t, _)| t.since(*time).abs() <= APART)
                .map(|(_, n)| *n)
                .collect();
            of.sort_unstable();
            of.dedup();
            of.into_iter().for_each(|n| *both.entry(n).or_default() += 1);
        }
        both.into_iter().find(|(n, count)| count * 5 >= burst.marks.len() * 4 && fits(*n)).map(|(n, _)| n)
    }
}

/// Whether an address is of a range that is not routed on the internet.
fn is_inner(addr: IpAddr) -> bool {
    match addr {
        IpAddr::V4(a) => a.is_private() || a.is_link_local() || a.octets()[0] == 100 && a.octets()[1] & 0xc0 == 64,
        IpAddr::V6(a) => a.segments()[0] & 0xfe00 == 0xfc00,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detectors::rows::State;
    use crate::detectors::trial::{FRIDAY, Trial};

    #[test]
    fn bulk_is_known_within_five_minutes_and_mail_servers_are_learned() {
        let mut trial = Trial::new();
        let begin = FRIDAY as f64 + 2.0;
        for n in 0..82 {
            let at = begin + f64::from(n) * 3.5;
            trial.flow(at, "10.0.0.23", &format!("192.0.2.{}", 100 + n % 20), 25);
            // The mail server does the same, and took mail from others before.
            trial.flow(at, "10.0.0.15", &format!("192.0.2.{}", 100 + n % 20), 25);
            trial.flow(at - 5000.0, &format!("198.51.100.{}", n % 4), "10.0.0.15", 25);
            // A program that hands its mail to it.
            trial.flow(at, "10.0.0.30", "10.0.0.15", 587);
        }
        let found = trial.found(&DETECTOR);
        assert_eq!(found.len(), 1, "{found:#?}");
        let f = &found[0];
        assert_eq!((f.host.to_string().as_str(), f.severity, f.rows, f.service), ("10.0.0.23", 3, 82, Some((6, 25))));
        assert!(f.title.contains("82 connections to 20 mail servers in 5 min"), "{}", f.title);
        let known = f.numbers.iter().find(|n| n.name == "known after").unwrap();
        assert_eq!((known.value.as_str(), known.limit.as_str()), ("58 s", "300 s"));
    }

    #[test]
    fn slow_mail_is_none_and_failures_are_enough() {
        let mut trial = Trial::new();
        let begin = FRIDAY as f64;
        for n in 0..60 {
            // One every 32 s: at most 10 in a window, to two servers.
            trial.flow(begin + f64::from(n) * 32.0, "10.0.0.5", &format!("192.0.2.{}", n % 2), 25);
        }
        for n in 0..12 {
            let flow = trial.unanswered(begin + f64::from(n) * 9.0, "10.0.0.6", "192.0.2.9", 25);
            flow.state = if n % 2 == 0 { State::Rej } else { State::SF };
        }
        let found = trial.found(&DETECTOR);
        assert_eq!(found.iter().map(|f| f.host.to_string()).collect::<Vec<_>>(), ["10.0.0.6"]);
        assert_eq!((found[0].severity, found[0].peer), (2, Some("192.0.2.9".parse().unwrap())));
    }

    #[test]
    fn both_sides_of_a_translation_are_one_sender() {
        let mut trial = Trial::new();
        let outer = "203.0.113.1".parse::<IpAddr>().unwrap();
        trial.net.host(outer, &|_| true).unwrap();
        for n in 0..30 {
            let (at, server) = (FRIDAY as f64 + f64::from(n) * 3.0, format!("192.0.2.{}", n % 12));
            trial.flow(at, "10.0.0.23", &server, 25);
            trial.flow(at + 0.01, "203.0.113.1", &server, 25);
        }
        let found = trial.found(&DETECTOR);
        assert_eq!(found.len(), 1);
        assert!(found[0].caveats[0].contains("203.0.113.1"), "{:?}", found[0].caveats);
    }
}
