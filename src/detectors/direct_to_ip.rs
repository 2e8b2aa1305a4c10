//! Connections to an address that nobody asked a name for: neither carries the connection a name, nor did its client, which asks for names otherwise, nor
//! anybody else get the address as an answer.

use super::fold::{Fold, Proof, any_of, by_subject, few, lasting};
use super::gather::service;
use super::maths::sat;
use super::rows::{Flow, Host, Net, Piece};
use super::{Detector, Limits, Setting, Watch};
use crate::model::finding::Finding;
use crate::model::time::{DAY, SECOND};
use crate::model::{Kind, Time, proto};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;

/// The detector.
pub static DETECTOR: DirectToIp = DirectToIp;

/// See the module.
pub struct DirectToIp;

const NAME: &str = "direct_to_ip";
const SETTINGS: &[Setting] = &[
    Setting {
        name: "asks",
        default: 5.0,
        unit: "",
        doc: "Fewest questions that a client asked: who asks none has its names elsewhere.",
    },
    Setting {
        name: "warm",
        default: 14_400.0,
        unit: "s",
        doc: "So long questions must have been recorded before: answers are remembered.",
    },
    Setting {
        name: "peers",
        default: 30.0,
        unit: "",
        doc: "A client with more such ends is a scanner or shares files with peers: not told.",
    },
    Setting {
        name: "shared",
        default: 4.0,
        unit: "",
        doc: "From so many hosts on that call the same address it is one finding.",
    },
];
/// Pairs that are kept, and answers by client.
const PAIRS: usize = 200_000;
const ANSWERS: usize = 2_000_000;
/// A pause so long in all questions ends what was recorded of them.
const GAP: i64 = 6 * 3_600 * SECOND;
/// An answer to somebody else counts for so long.
const OTHERS: i64 = DAY;
/// Ends of one client that are told one by one.
const ONE_BY_ONE: usize = 3;

impl Detector for DirectToIp {
    fn name(&self) -> &'static str {
        NAME
    }
    fn doc(&self) -> &'static str {
        "Connections of a client that asks for names to an address outside that was never the answer, and without a name of their own."
    }
    fn techniques(&self) -> &'static [&'static str] {
        &["T1071", "T1095"]
    }
    fn settings(&self) -> &'static [Setting] {
        SETTINGS
    }
    fn watch(&self, limits: &Limits) -> Box<dyn Watch> {
        let of = |name| limits.of(NAME, SETTINGS, name);
        Box::new(Direct {
            asks: of("asks").max(1.0) as u32,
            warm: (of("warm").max(0.0) * SECOND as f64) as i64,
            peers: of("peers").max(1.0) as usize,
            shared: of("shared").max(2.0) as usize,
            ..Direct::default()
        })
    }
}

#[derive(Default, Serialize, Deserialize)]
struct Direct {
    asks: u32,
    warm: i64,
    peers: usize,
    shared: usize,
    /// Questions by client.
    asked: HashMap<Host, u32, foldhash::fast::RandomState>,
    /// Addresses that a client got as an answer, or called by a name.
    own: HashSet<(Host, Host), foldhash::fast::RandomState>,
    /// When an address was last anybody's answer.
    anybody: HashMap<Host, Time, foldhash::fast::RandomState>,
    /// Since when questions are recorded without a long pause, and the last.
    since: Option<(Time, Time)>,
    pairs: HashMap<(Host, Host), Pair, foldhash::fast::RandomState>,
    lost: u64,
}

/// Connections of a client to an address.
#[derive(Default, Serialize, Deserialize)]
struct Pair {
    services: Vec<(u8, u16)>,
    bytes: u64,
    /// Somebody else had got the address, long before.
    others: bool,
    proof: Proof,
}

impl Watch for Direct {
    super::resume::kept!();
    fn piece(&mut self, piece: &Piece<'_>) {
        let net = piece.net;
        for event in piece.events {
            // A handshake, a request or a proxy names what the flow itself does not.
            let names = matches!(event.kind, Kind::Tls | Kind::Http | Kind::Proxy) && event.name.is_some();
            if let (true, Some(src), Some(dst)) = (names, event.src, event.dst)
                && net.is_home(src)
                && net.text(event.name).parse::<IpAddr>().is_err()
            {
                self.knows(src, dst);
            }
        }
        // What was asked first comes first.
        let mut queries = piece.queries.iter().peekable();
        for flow in piece.flows {
            // The clocks of two sources may be off by a little.
            while let Some(query) = queries.next_if(|q| q.time <= flow.start.plus(SECOND)) {
                self.query(query);
            }
            self.flow(net, flow);
        }
        queries.for_each(|query| self.query(query));
    }
    fn end(self: Box<Self>, net: &Net) -> Vec<Finding> {
        let mut by_client: BTreeMap<Host, Vec<(Host, &Pair)>> = BTreeMap::new();
        for ((src, dst), pair) in &self.pairs {
            let asks = self.asked.get(src).is_some_and(|n| *n >= self.asks);
            let later = self.own.contains(&(*src, *dst)) || self.anybody.contains_key(dst) && !pair.others;
            if asks && !later {
                by_client.entry(*src).or_default().push((*dst, pair));
            }
        }
        let mut single = Vec::new();
        let mut out = Vec::new();
        for (src, mut pairs) in by_client {
            if pairs.len() > self.peers {
                continue;
            }
            pairs.sort_unstable_by_key(|(dst, pair)| (pair.proof.first, net.addr(*dst)));
            let findings: Vec<Finding> = pairs.iter().map(|p| self.finding(net, src, std::slice::from_ref(p))).collect();
            if pairs.len() <= ONE_BY_ONE { single.extend(findings) } else { out.push(self.finding(net, src, &pairs)) }
        }
        out.extend(by_subject(
            single,
            &Fold {
                least: self.shared,
                severity: 1,
                title: &|n, best| format!("{n} hosts call an address without a name, as {}", best.title),
                asks: &|f| f.peer.map_or_else(|| "kind = flow".into(), |p| format!("kind = flow and dst.ip = {p}")),
                benign: "a program that these hosts have in common, with an address in its settings",
            },
        ));
        out
    }
}

impl Direct {
    fn knows(&mut self, client: Host, dst: Host) {
        if self.own.len() < ANSWERS {
            self.own.insert((client, dst));
        }
    }
    fn query(&mut self, query: &super::rows::Query) {
        self.since = match self.since {
            Some((first, last)) if query.time.since(last) <= GAP => Some((first, query.time.max(last))),
            _ => Some((query.time, query.time)),
        };
        let asked = self.asked.entry(query.client).or_default();
        *asked = asked.saturating_add(1);
        for answer in &query.answers {
            self.knows(query.client, *answer);
            if self.anybody.len() < ANSWERS || self.anybody.contains_key(answer) {
                self.anybody.insert(*answer, query.time);
            }
        }
    }
    fn flow(&mut self, net: &Net, flow: &Flow) {
        let service = (flow.proto, flow.dst_port);
        // Resolvers and clocks are told to hosts by address.
        let given = matches!(service, (_, 53 | 853) | (proto::UDP, 67 | 123 | 547) | (proto::ICMP | proto::ICMP6, _));
        let outside = net.is_home(flow.src) && !net.is_home(flow.dst) && net.is_unicast(flow.dst);
        if !outside || given || !flow.is_accepted() {
            return;
        }
        let named = flow.name.is_some() && net.text(flow.name).parse::<IpAddr>().is_err();
        if named {
            self.knows(flow.src, flow.dst);
        }
        if named || self.own.contains(&(flow.src, flow.dst)) {
            return;
        }
        let recorded =
            self.since.is_some_and(|(first, last)| flow.start.since(first) >= self.warm && flow.start.since(last) <= GAP);
        let others = self.anybody.get(&flow.dst).map(|t| flow.start.since(*t));
        if !recorded || others.is_some_and(|ago| ago <= OTHERS) {
            return;
        }
        let key = (flow.src, flow.dst);
        if self.pairs.len() >= PAIRS && !self.pairs.contains_key(&key) {
            self.lost += 1;
            return;
        }
        let pair = self.pairs.entry(key).or_default();
        pair.others |= others.is_some();
        pair.bytes = pair.bytes.saturating_add(flow.bytes());
        if pair.services.len() < 8 && !pair.services.contains(&service) {
            pair.services.push(service);
        }
        pair.proof.take(flow.start, flow.end, flow.id, flow.source);
    }
    fn finding(&self, net: &Net, src: Host, pairs: &[(Host, &Pair)]) -> Finding {
        let host = net.addr(src);
        let peers: Vec<IpAddr> = pairs.iter().map(|(dst, _)| net.addr(*dst)).collect();
        let mut proof = Proof::default();
        let mut services: Vec<(u8, u16)> = Vec::new();
        for (_, pair) in pairs {
            proof.join(&pair.proof);
            services.extend(pair.services.iter().copied().filter(|s| !services.contains(s)).collect::<Vec<_>>());
        }
        services.sort_unstable();
        let shown: Vec<String> = services.iter().map(|(p, port)| service(*port, *p)).collect();
        let bytes: u64 = pairs.iter().map(|p| p.1.bytes).fold(0, u64::saturating_add);
        let others = pairs.iter().all(|p| p.1.others);
        let who = if others { "which only others asked a name for, long before" } else { "which nobody asked a name for" };
        let title = format!("{host} calls {} {}, {who}: {} connections", few(&peers, 3), few(&shown, 3), proof.rows);
        let mut f = proof.finding(NAME, net, src, title);
        f.peer = peers.first().copied().filter(|_| peers.len() == 1);
        f.service = services.first().copied().filter(|_| services.len() == 1);
        f.severity = if others || proof.rows < 3 && bytes < 100_000 { 1 } else { 2 };
        f.score = sat(0.4 + proof.rows.min(100) as f64 / 250.0 + 0.2 * f64::from(u8::from(!others))) as f32;
        f.number("connections", proof.rows, "");
        f.number("bytes", bytes, "");
        f.number("addresses", peers.len(), format!("at most {}", self.peers));
        f.number("questions that the client asked", self.asked.get(&src).copied().unwrap_or(0), self.asks);
        let before = self.since.map_or(0, |(first, _)| proof.first.since(first).max(0));
        f.number("questions recorded before", lasting(before), lasting(self.warm));
        let whom = any_of("dst.ip", &peers).unwrap_or_else(|| "direction = out".into());
        f.asks(&format!("kind = flow and src.ip = {host} and {whom}"));
        f.caveats.push("names asked over HTTPS or TLS, or from a file of hosts, are not seen".into());
        if self.own.len() >= ANSWERS || self.lost > 0 {
            f.caveats.push("there were too many answers or connections to keep all of them".into());
        }
        f.benign = vec![
            "a program with an address in its settings: remote support, telephony, a tunnel between sites".into(),
            "an address learned elsewhere: from a page, a peer or an earlier answer".into(),
        ];
        f
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detectors::trial::{FRIDAY, Trial};

    fn site(trial: &mut Trial) {
        for hour in 0..24 {
            for host in 1..=6 {
                let at = (FRIDAY + hour * 3_600 + host) as f64;
                trial.query(at, &format!("10.0.0.{host}"), "www.vendor.example", "A", "NOERROR", &["192.0.2.10"]);
                trial.flow(at + 0.1, &format!("10.0.0.{host}"), "192.0.2.10", 443);
            }
        }
    }

    #[test]
    fn an_address_that_nobody_asked_for_is_told() {
        let mut trial = Trial::new();
        site(&mut trial);
        let (late, early) = ((FRIDAY + 6 * 3_600) as f64, (FRIDAY + 60) as f64);
        let sni = trial.word("known.example");
        for n in 0..4 {
            trial.flow(late + f64::from(n), "10.0.0.5", "203.0.113.9", 4_443);
            // Has a name of its own; was asked for by a neighbour; asked for later; before questions were recorded for long; failed; a clock.
            trial.flow(late, "10.0.0.5", "203.0.113.10", 443).name = sni;
            trial.flow(late, "10.0.0.99", "192.0.2.10", 443);
            trial.flow(late, "10.0.0.5", "203.0.113.12", 443);
            trial.flow(early, "10.0.0.5", "203.0.113.13", 443);
            trial.unanswered(late, "10.0.0.5", "203.0.113.14", 443);
            trial.flow(late, "10.0.0.5", "203.0.113.15", 123).proto = proto::UDP;
            // Asks for no names at all.
            trial.flow(late, "10.0.0.77", "203.0.113.16", 443);
        }
        trial.query(late + 7_200.0, "10.0.0.4", "late.example", "A", "NOERROR", &["203.0.113.12"]);
        let found = trial.found(&DETECTOR);
        assert_eq!(found.len(), 1, "{:?}", found.iter().map(|f| &f.title).collect::<Vec<_>>());
        let f = &found[0];
        assert_eq!((f.severity, f.rows, f.service), (2, 4, Some((6, 4_443))));
        assert!(
            f.title.contains("10.0.0.5 calls 203.0.113.9 4443/tcp, which nobody asked a name for: 4 connections"),
            "{}",
            f.title
        );
    }

    #[test]
    fn peers_are_not_told_and_a_program_of_all_is_one_finding() {
        let mut trial = Trial::new();
        site(&mut trial);
        let late = (FRIDAY + 6 * 3_600) as f64;
        for n in 0..40 {
            trial.flow(late, "10.0.0.1", &format!("203.0.113.{}", 100 + n), 6_881);
        }
        for host in 2..=6 {
            trial.flow(late, &format!("10.0.0.{host}"), "203.0.113.50", 5_938);
        }
        for n in 0..9 {
            trial.flow(late, "10.0.0.6", &format!("203.0.113.{}", 10 + n), 8_080);
        }
        let found = trial.found(&DETECTOR);
        let mut told: Vec<_> = found.iter().map(|f| (f.title.clone(), f.severity)).collect();
        told.sort();
        assert_eq!(told.len(), 2, "{told:#?}");
        assert!(
            told[0].0.starts_with("10.0.0.6 calls 203.0.113.") && told[0].0.contains("and 7 more") && told[0].1 == 2,
            "{told:#?}"
        );
        assert!(told[1].0.starts_with("4 hosts call an address without a name") && told[1].1 == 1, "{told:#?}");
    }

    #[test]
    fn without_questions_nothing_is_told() {
        let mut trial = Trial::new();
        for n in 0..9 {
            trial.flow((FRIDAY + 6 * 3_600 + n) as f64, "10.0.0.5", "203.0.113.9", 4_443);
        }
        assert!(trial.found(&DETECTOR).is_empty());
    }
}
