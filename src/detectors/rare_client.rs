//! Programs that hardly anybody has: a fingerprint of TLS handshakes (JA4) that one home host in a hundred or less sends, since a few days, to an end that
//! hardly anybody calls.

use super::fold::{Proof, any_of, few};
use super::history::{Crowd, is_inner};
use super::maths::sat;
use super::rows::{Event, Host, Net, Piece, Word};
use super::{Detector, Limits, Setting, Watch};
use crate::model::finding::Finding;
use crate::model::time::DAY;
use crate::model::{Kind, Time};
use crate::query::quote;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

/// The detector.
pub static DETECTOR: RareClient = RareClient;

/// See the module.
pub struct RareClient;

const NAME: &str = "rare_client";
const SETTINGS: &[Setting] = &[
    Setting {
        name: "users",
        default: 0.01,
        unit: "",
        doc: "Greatest share of the home hosts that send the fingerprint; one host may in any case.",
    },
    Setting {
        name: "callers",
        default: 0.02,
        unit: "",
        doc: "Greatest share of the home hosts that call the other end; one host may in any case.",
    },
    Setting {
        name: "new",
        default: 7.0,
        unit: "d",
        doc: "The fingerprint was first seen within so many days before the records end.",
    },
    Setting { name: "hosts", default: 10.0, unit: "", doc: "Fewest home hosts with handshakes: of fewer everybody is rare." },
];
/// Combinations of fingerprint, host and other end that are kept.
const USES: usize = 200_000;
/// Hosts that are kept of a fingerprint or an end: more are common in any case, unless there are very many.
const FEW: usize = 128;

impl Detector for RareClient {
    fn name(&self) -> &'static str {
        NAME
    }
    fn doc(&self) -> &'static str {
        "A fingerprint of TLS clients (JA4) that at most one home host in a hundred sends, new within a week, to an end that at most two in a hundred call."
    }
    fn techniques(&self) -> &'static [&'static str] {
        &["T1071.001", "T1573"]
    }
    fn settings(&self) -> &'static [Setting] {
        SETTINGS
    }
    fn watch(&self, limits: &Limits) -> Box<dyn Watch> {
        let of = |name| limits.of(NAME, SETTINGS, name);
        Box::new(Clients {
            users: of("users"),
            callers: of("callers"),
            new: of("new").max(0.0),
            hosts: of("hosts").max(2.0) as usize,
            ..Clients::default()
        })
    }
}

#[derive(Default, Serialize, Deserialize)]
struct Clients {
    users: f64,
    callers: f64,
    new: f64,
    hosts: usize,
    agents: HashMap<Word, Agent, foldhash::fast::RandomState>,
    ends: HashMap<Host, Few, foldhash::fast::RandomState>,
    uses: HashMap<(Word, Host, Host), Use, foldhash::fast::RandomState>,
    /// Home hosts with handshakes.
    all: BTreeSet<Host>,
    /// First and last record of all, and first handshake.
    last: Time,
    first_handshake: Option<Time>,
    days: BTreeSet<i32>,
    lost: u64,
}

/// A fingerprint.
#[derive(Serialize, Deserialize)]
struct Agent {
    first: Time,
    users: Few,
}

/// Home hosts, as far as they are few.
#[derive(Default, Serialize, Deserialize)]
struct Few {
    list: Vec<Host>,
    /// There are more.
    more: bool,
}

/// A fingerprint of a host to an end.
#[derive(Default, Serialize, Deserialize)]
struct Use {
    names: Vec<Word>,
    port: u16,
    proof: Proof,
}

impl Few {
    fn add(&mut self, host: Host) {
        if self.list.contains(&host) {
            return;
        }
        if self.list.len() < FEW { self.list.push(host) } else { self.more = true }
    }
    /// How many hosts they are.
    fn count(&self, net: &Net) -> usize {
        let mut crowd = Crowd::default();
        self.list.iter().for_each(|h| crowd.add(net, *h));
        crowd.count() as usize
    }
}

impl Watch for Clients {
    super::resume::kept!();
    fn piece(&mut self, piece: &Piece<'_>) {
        for event in piece.events.iter().filter(|e| e.kind == Kind::Tls && e.agent.is_some()) {
            self.handshake(piece.net, event);
        }
        for flow in piece.flows {
            self.last = self.last.max(flow.start);
            // Who calls an end without a handshake that was seen counts too.
            if piece.net.is_home(flow.src)
                && flow.is_answered()
                && let Some(end) = self.ends.get_mut(&flow.dst)
            {
                end.add(flow.src);
            }
        }
    }
    fn end(self: Box<Self>, net: &Net) -> Vec<Finding> {
        let mut crowd = Crowd::default();
        self.all.iter().for_each(|h| crowd.add(net, *h));
        let all = crowd.count() as usize;
        if all < self.hosts {
            return Vec::new();
        }
        let most = |share: f64| ((share * all as f64).floor() as usize).max(1);
        let since = self.last.plus(-((self.new * DAY as f64) as i64));
        let mut found: BTreeMap<(Word, Host), Vec<(Host, &Use)>> = BTreeMap::new();
        for ((agent, src, dst), one) in &self.uses {
            let Some(of) = self.agents.get(agent).filter(|a| !a.users.more && a.first >= since) else { continue };
            let Some(end) = self.ends.get(dst).filter(|e| !e.more) else { continue };
            let repeats = !is_inner(net.addr(*src)) && of.users.list.iter().any(|h| is_inner(net.addr(*h)));
            if !repeats && of.users.count(net) <= most(self.users) && end.count(net) <= most(self.callers) {
                found.entry((*agent, *src)).or_default().push((*dst, one));
            }
        }
        let mut out = Vec::new();
        for ((agent, src), mut ends) in found {
            ends.sort_unstable_by_key(|(dst, one)| (one.proof.first, net.addr(*dst)));
            out.extend(self.finding(net, agent, src, &ends, all));
        }
        out
    }
}

impl Clients {
    fn handshake(&mut self, net: &Net, event: &Event) {
        let (Some(src), Some(dst)) = (event.src, event.dst) else { return };
        self.last = self.last.max(event.time);
        if !net.is_home(src) || net.is_home(dst) || !net.is_unicast(dst) {
            return;
        }
        self.first_handshake.get_or_insert(event.time);
        self.days.insert(event.time.day());
        self.all.insert(src);
        let known = self.agents.contains_key(&event.agent) && self.ends.contains_key(&dst);
        if !known && (self.agents.len() >= USES || self.ends.len() >= USES) {
            self.lost += 1;
            return;
        }
        let agent = self.agents.entry(event.agent).or_insert_with(|| Agent { first: event.time, users: Few::default() });
        agent.users.add(src);
        let end = self.ends.entry(dst).or_default();
        end.add(src);
        let key = (event.agent, src, dst);
        // What is common by now is so for good.
        if agent.users.more || end.more {
            self.uses.remove(&key);
            return;
        }
        if self.uses.len() >= USES && !self.uses.contains_key(&key) {
            self.lost += 1;
            return;
        }
        let one = self.uses.entry(key).or_default();
        one.port = event.dst_port;
        if event.name.is_some() && one.names.len() < 4 && !one.names.contains(&event.name) {
            one.names.push(event.name);
        }
        one.proof.take(event.time, event.end, event.id, event.source);
    }
    fn finding(&self, net: &Net, agent: Word, src: Host, ends: &[(Host, &Use)], all: usize) -> Option<Finding> {
        let of = self.agents.get(&agent)?;
        let (host, print) = (net.addr(src), net.text(agent));
        let peers: Vec<IpAddr> = ends.iter().map(|(dst, _)| net.addr(*dst)).collect();
        let names: BTreeSet<&str> = ends.iter().flat_map(|(_, u)| u.names.iter().map(|n| net.text(*n))).collect();
        let names: Vec<&str> = names.into_iter().collect();
        let mut proof = Proof::default();
        ends.iter().for_each(|(_, one)| proof.join(&one.proof));
        let named = if names.is_empty() { String::new() } else { format!(" ({})", few(&names, 2)) };
        let users = of.users.count(net);
        let callers = ends.iter().filter_map(|(dst, _)| self.ends.get(dst)).map(|e| e.count(net)).max().unwrap_or(0);
        let title = format!(
            "{host} calls {}{named} with a program that {users} of {all} hosts use (JA4 {print}), {} records of handshakes",
            few(&peers, 3),
            proof.rows
        );
        let mut f = proof.finding(NAME, net, src, title);
        f.peer = peers.first().copied().filter(|_| peers.len() == 1);
        f.name = names.first().filter(|_| names.len() == 1).map(|n| (*n).to_owned());
        let nameless = names.is_empty();
        f.severity = 2;
        f.score = sat(0.5 + 0.2 * f64::from(u8::from(users == 1)) + 0.2 * f64::from(u8::from(nameless))) as f32;
        let share = |n: usize| format!("{n} ({:.1} %)", 100.0 * n as f64 / all.max(1) as f64);
        f.number("hosts with this fingerprint", share(users), format!("1 or {} %", 100.0 * self.users));
        f.number("hosts that call the other end", share(callers), format!("1 or {} %", 100.0 * self.callers));
        f.number("home hosts with handshakes", all, self.hosts);
        f.number("fingerprint first seen", of.first, format!("within {} d", self.new));
        f.number("records of handshakes", proof.rows, "");
        let whom = any_of("dst.ip", &peers).map(|w| format!(" and {w}")).unwrap_or_default();
        f.asks(&format!("kind = tls and src.ip = {host} and ja4 = {}{whom}", quote(print)));
        if self.first_handshake.is_some_and(|first| self.last.since(first) as f64 <= self.new * DAY as f64) {
            f.caveats.push(format!("handshakes go back {} days only: everything is new in them", self.days.len()));
        } else if self.days.len() < 7 {
            f.caveats.push(format!("handshakes of {} days only", self.days.len()));
        }
        if all < 50 {
            f.caveats.push(format!("of {all} hosts one is more than a hundredth"));
        }
        if self.lost > 0 {
            f.caveats.push(format!("{} handshakes found no room and were not looked at", self.lost));
        }
        f.benign = vec![
            "a program that only one person needs, or a new version of one that others will follow".into(),
            "a device with a program of its own: printer, camera, phone system".into(),
        ];
        Some(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detectors::trial::{FRIDAY, Trial};

    fn site(trial: &mut Trial) {
        let (browser, mail) = (trial.word("t13d1516h2_browser"), trial.word("t13d1010h1_mail"));
        for day in 0..12 {
            for host in 1..=30 {
                let at = (FRIDAY + day * 86_400 + host) as f64;
                trial.event(Kind::Tls, at, &format!("10.0.0.{host}"), &format!("192.0.2.{}", 1 + host % 5), 443).agent = browser;
                trial.event(Kind::Tls, at, &format!("10.0.0.{host}"), "192.0.2.50", 993).agent = mail;
                trial.flow(at, &format!("10.0.0.{host}"), "192.0.2.50", 993);
                // An old oddity.
                let old = trial.word("t12d0101_old");
                trial.event(Kind::Tls, at, "10.0.0.9", "192.0.2.77", 443).agent = old;
            }
        }
    }

    #[test]
    fn a_new_program_of_one_host_to_an_end_of_its_own_is_told() {
        let mut trial = Trial::new();
        site(&mut trial);
        let (odd, name) = (trial.word("t12d130700_odd"), trial.word("evil.example"));
        let late = (FRIDAY + 9 * 86_400) as f64;
        for n in 0..3 {
            let event = trial.event(Kind::Tls, late + f64::from(n), "10.0.0.5", "203.0.113.9", 443);
            (event.agent, event.name) = (odd, name);
            // To an end that all call: nothing.
            trial.event(Kind::Tls, late, "10.0.0.6", "192.0.2.50", 443).agent = odd;
        }
        // The other host with it makes it common among thirty.
        assert!(trial.found(&DETECTOR).is_empty());
        trial.events.retain(|e| e.agent != odd || e.name.is_some());
        let found = trial.found(&DETECTOR);
        assert_eq!(found.len(), 1);
        let f = &found[0];
        assert_eq!((f.host.to_string(), f.rows, f.name.as_deref()), ("10.0.0.5".into(), 3, Some("evil.example")));
        assert!(
            f.title.contains("203.0.113.9 (evil.example) with a program that 1 of 30 hosts use (JA4 t12d130700_odd)"),
            "{}",
            f.title
        );
        assert!(
            f.query.starts_with("kind = tls and src.ip = 10.0.0.5 and ja4 = t12d130700_odd and dst.ip = 203.0.113.9"),
            "{}",
            f.query
        );
        assert!(trial.found_by(&DETECTOR, &Limits::new().with(NAME, "hosts", 40.0)).is_empty());
    }

    #[test]
    fn what_a_translation_repeats_is_no_second_host() {
        let mut few = Few::default();
        let mut trial = Trial::new();
        for addr in ["10.0.0.5", "198.51.100.2"] {
            few.add(trial.host(addr));
        }
        assert_eq!(few.count(&trial.net), 1);
        let mut public = Few::default();
        public.add(trial.host("198.51.100.2"));
        public.add(trial.host("198.51.100.3"));
        assert_eq!(public.count(&trial.net), 2);
    }
}
