//! Data that leaves: a host that sends far more than it receives, where it did not before; or that sends much to somebody whom nobody called
//! before. By the producer/consumer ratio (Bullard and Gerth, FloCon 2014): from 1, only sends, over 0 to -1, only receives.

mod sum;

use self::sum::{Most, Sum, sums};
use super::gather::service;
use super::held::{SourceSet, Sources, Sweep, Table, push};
use super::maths::{median_of, sat};
use super::rows::{Flow, Host, Id, Net, Piece, Word};
use super::shown::{bytes, counted};
use super::{Day, Detector, Limits, Setting, Watch};
use crate::model::finding::{Finding, span};
use crate::model::time::{DAY, SECOND};
use crate::model::{Time, proto};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap, VecDeque};

/// The detector.
pub static DETECTOR: Exfiltration = Exfiltration;

/// See the module.
pub struct Exfiltration;

const NAME: &str = "exfiltration";
const SETTINGS: &[Setting] = &[
    Setting { name: "peer_bytes", default: 100e6, unit: "B", doc: "Bytes sent to one new peer." },
    Setting { name: "peer_ratio", default: 0.6, unit: "", doc: "Ratio with that peer." },
    Setting {
        name: "new",
        default: 7.0,
        unit: "d",
        doc: "How long a peer is new after somebody of one's own first spoke with it.",
    },
    Setting { name: "shift", default: 0.4, unit: "", doc: "Rise of a host's ratio of a day over its median." },
    Setting { name: "day_bytes", default: 50e6, unit: "B", doc: "Least bytes sent on such a day." },
    Setting { name: "times", default: 5.0, unit: "×", doc: "How many times the median of the bytes sent a day that is." },
    Setting { name: "history", default: 3.0, unit: "d", doc: "Least days before, of at most 14, for a median." },
    Setting { name: "dns_shift", default: 0.2, unit: "", doc: "Rise of the ratio of a host's DNS alone." },
    Setting { name: "dns_bytes", default: 1e6, unit: "B", doc: "Least bytes sent by DNS on such a day." },
    Setting {
        name: "public",
        default: 10.0,
        unit: "",
        doc: "Who serves so many outside is a public server: what is fetched from it is no finding.",
    },
];
/// Days that a median is of.
const DAYS: usize = 14;
/// What is held: pairs, peers, hosts.
const PAIRS: usize = 1_000_000;
const PEERS: usize = 2_000_000;
const HOSTS: usize = 200_000;
/// A pair that has sent less may be forgotten when there are too many.
const LITTLE: u64 = 1_000_000;
/// Flows of a pair are kept as evidence from so many bytes on, or an eighth of the thresholds if that is less.
const NOTHING: u64 = 64_000;

impl Detector for Exfiltration {
    fn name(&self) -> &'static str {
        NAME
    }
    fn doc(&self) -> &'static str {
        "100 MB or more to a peer that is new to everybody, with a producer/consumer ratio of 0.6 or more; or a host's ratio of a day 0.4 over its median of 14 days with 50 MB and five times the usual; or the ratio of its DNS 0.2 over the median with 1 MB."
    }
    fn techniques(&self) -> &'static [&'static str] {
        &["T1048", "T1041", "T1567"]
    }
    fn settings(&self) -> &'static [Setting] {
        SETTINGS
    }
    fn watch(&self, limits: &Limits) -> Box<dyn Watch> {
        let of = |name| limits.of(NAME, SETTINGS, name);
        let (peer_bytes, day_bytes) = (of("peer_bytes").max(1.0), of("day_bytes").max(1.0));
        Box::new(Traffic {
            rules: Rules {
                peer_bytes,
                peer_ratio: of("peer_ratio"),
                new: (of("new") * DAY as f64) as i64,
                shift: of("shift"),
                day_bytes,
                times: of("times"),
                history: of("history").max(1.0) as usize,
                dns_shift: of("dns_shift"),
                dns_bytes: of("dns_bytes").max(1.0),
                public: of("public").clamp(1.0, 10_000.0) as usize,
                evidence: NOTHING.min((peer_bytes.min(day_bytes) / 8.0) as u64),
            },
            begin: None,
            seen: HashMap::default(),
            named: HashMap::default(),
            pairs: Table::default(),
            sources: Sources::default(),
            sweep: Sweep::default(),
            hosts: HashMap::default(),
            shifts: Vec::new(),
            forgotten: false,
        })
    }
}

#[derive(Serialize, Deserialize)]
struct Rules {
    peer_bytes: f64,
    peer_ratio: f64,
    new: i64,
    shift: f64,
    day_bytes: f64,
    times: f64,
    history: usize,
    dns_shift: f64,
    dns_bytes: f64,
    public: usize,
    /// Bytes from which on flows of a pair are kept as evidence.
    evidence: u64,
}

/// A host of one's own and somebody outside.
#[derive(Serialize, Deserialize)]
struct Pair {
    first: Time,
    last: Time,
    /// While the peer was new.
    fresh: Sum,
    /// Bytes sent on a day.
    today: u64,
    day: i32,
    days: u32,
    flows: u32,
    name: Word,
    service: Option<(u8, u16)>,
    called: bool,
    sources: SourceSet,
    /// The flows that sent most, most first; few pairs have any.
    ids: Option<Box<Most>>,
}

impl Pair {
    fn most(&self) -> impl Iterator<Item = Id> + '_ {
        self.ids.iter().flat_map(|most| most.ids())
    }
}

#[derive(Default, Serialize, Deserialize)]
struct Of {
    /// Of the day, with the number of flows.
    today: Sum,
    flows: u64,
    dns: Sum,
    dns_flows: u64,
    dns_id: Option<Id>,
    /// Ratio and bytes sent of the days before: of all, of DNS.
    before: VecDeque<(f64, f64)>,
    dns_before: VecDeque<f64>,
    /// Peers outside that it has served, as many as matter.
    served: Vec<Host>,
}

/// A day on which a host sent more than it used to.
#[derive(Serialize, Deserialize)]
struct Shift {
    host: Host,
    day: i32,
    dns: bool,
    sum: Sum,
    median: f64,
    usual: f64,
    history: usize,
    /// To whom most went, and how much.
    peer: Option<(Host, u64)>,
    flows: u64,
    ids: Vec<Id>,
}

#[derive(Serialize, Deserialize)]
struct Traffic {
    rules: Rules,
    begin: Option<Time>,
    seen: HashMap<Host, Time, foldhash::fast::RandomState>,
    /// The name that an address was last given for.
    named: HashMap<Host, Word, foldhash::fast::RandomState>,
    pairs: Table<(Host, Host), Pair>,
    sources: Sources,
    sweep: Sweep,
    hosts: HashMap<Host, Of, foldhash::fast::RandomState>,
    shifts: Vec<Shift>,
    forgotten: bool,
}

impl Watch for Traffic {
    super::resume::kept!();
    fn piece(&mut self, piece: &Piece<'_>) {
        for query in piece.queries {
            for answer in query.answers.iter().filter(|a| !piece.net.is_home(**a)) {
                if self.named.len() < PEERS || self.named.contains_key(answer) {
                    self.named.insert(*answer, query.name);
                }
            }
        }
        for flow in piece.flows {
            self.begin.get_or_insert(flow.start);
            let (src, dst) = (piece.net.is_home(flow.src), piece.net.is_home(flow.dst));
            let sum = sums(flow);
            if src && flow.dst_port == 53 && matches!(flow.proto, proto::UDP | proto::TCP) && self.has_room(flow.src) {
                let of = self.hosts.entry(flow.src).or_default();
                of.dns.add(sum);
                of.dns_flows += 1;
                of.dns_id.get_or_insert(flow.id);
            }
            match (src, dst) {
                (true, false) if piece.net.is_unicast(flow.dst) => self.outside(flow.src, flow.dst, sum, flow, true),
                (false, true) if piece.net.is_unicast(flow.src) && flow.is_answered() => {
                    let wire = flow.bytes_in.max(flow.payload_in);
                    self.outside(flow.dst, flow.src, sum.turned(wire), flow, false);
                }
                _ => {}
            }
        }
    }
    fn day(&mut self, day: &Day<'_>) {
        let mut found = Vec::new();
        for (host, of) in &mut self.hosts {
            let (sum, dns) = (std::mem::take(&mut of.today), std::mem::take(&mut of.dns));
            let rules = &self.rules;
            let (flows, dns_flows) = (std::mem::take(&mut of.flows), std::mem::take(&mut of.dns_flows));
            let dns_id = of.dns_id.take();
            if sum.out > 0 || sum.back > 0 {
                let (median, usual) = medians(&of.before);
                let least = rules.day_bytes.max(rules.times * usual);
                if of.before.len() >= rules.history && sum.ratio() - median >= rules.shift && sum.wire as f64 >= least {
                    let (host, day, history) = (*host, day.day, of.before.len());
                    found.push(Shift { host, day, dns: false, sum, median, usual, history, peer: None, flows, ids: Vec::new() });
                }
                of.before.push_back((sum.ratio(), sum.wire as f64));
                of.before.drain(..of.before.len().saturating_sub(DAYS));
            }
            if dns.out > 0 || dns.back > 0 {
                let median = median_of(&mut of.dns_before.iter().copied().collect::<Vec<_>>()).unwrap_or(0.0);
                let enough = of.dns_before.len() >= rules.history && dns.wire as f64 >= rules.dns_bytes;
                if enough && dns.ratio() - median >= rules.dns_shift {
                    let (host, day, history) = (*host, day.day, of.dns_before.len());
                    let ids = dns_id.into_iter().collect();
                    found.push(Shift {
                        host,
                        day,
                        dns: true,
                        sum: dns,
                        median,
                        usual: 0.0,
                        history,
                        peer: None,
                        flows: dns_flows,
                        ids,
                    });
                }
                of.dns_before.push_back(dns.ratio());
                of.dns_before.drain(..of.dns_before.len().saturating_sub(DAYS));
            }
        }
        found.sort_by_key(|s| (s.host, s.dns));
        // With whom: one pass for all of them.
        let mut most: HashMap<Host, (u64, Host)> =
            found.iter().filter(|s| !s.dns).map(|s| (s.host, Default::default())).collect();
        for ((host, peer), pair) in self.pairs.iter() {
            if let Some(best) = most.get_mut(host)
                && pair.day == day.day
                && (pair.today, std::cmp::Reverse(*peer)) > (best.0, std::cmp::Reverse(best.1))
            {
                *best = (pair.today, *peer);
            }
        }
        for shift in found.iter_mut().filter(|s| !s.dns) {
            shift.peer = most.get(&shift.host).filter(|m| m.0 >= shift.sum.wire.div_ceil(2)).map(|m| (m.1, m.0));
            if let Some(pair) = shift.peer.and_then(|(peer, _)| self.pairs.get(&(shift.host, peer))) {
                shift.ids = pair.most().collect();
            }
        }
        self.shifts.append(&mut found);
    }
    fn end(self: Box<Self>, net: &Net) -> Vec<Finding> {
        let is_public = |host: &Host| self.hosts.get(host).is_some_and(|h| h.served.len() >= self.rules.public);
        let mut pairs: Vec<(&(Host, Host), &Pair)> =
            self.pairs.iter().filter(|(key, p)| self.is_much(p) && (p.called || !is_public(&key.0))).collect();
        pairs.sort_by_key(|p| *p.0);
        let mut out: Vec<Finding> = pairs.iter().map(|(key, pair)| self.to_peer(**key, pair, net)).collect();
        let known: HashMap<(Host, Host), usize> = pairs.iter().enumerate().map(|(n, (key, _))| (**key, n)).collect();
        let mut rest: BTreeMap<(Host, bool), Vec<&Shift>> = BTreeMap::new();
        for shift in &self.shifts {
            // What went to a peer that is a finding already belongs to that.
            match shift.peer.and_then(|(peer, _)| known.get(&(shift.host, peer))).and_then(|n| out.get_mut(*n)) {
                Some(f) => {
                    let name = format!("ratio of {}, over the median of {} days", date(shift.day), shift.history);
                    f.number(&name, format!("{:+.2}", shift.sum.ratio() - shift.median), self.rules.shift);
                }
                None => rest.entry((shift.host, shift.dns)).or_default().push(shift),
            }
        }
        out.extend(rest.values().filter_map(|shifts| self.of_day(shifts, net)));
        out
    }
}

impl Traffic {
    fn has_room(&self, host: Host) -> bool {
        self.hosts.len() < HOSTS || self.hosts.contains_key(&host)
    }
    fn outside(&mut self, host: Host, peer: Host, sum: Sum, flow: &Flow, called: bool) {
        if self.has_room(host) {
            let of = self.hosts.entry(host).or_default();
            of.today.add(sum);
            of.flows += 1;
        }
        if self.seen.len() >= PEERS && !self.seen.contains_key(&peer) {
            self.forgotten = true;
            return;
        }
        let since = *self.seen.entry(peer).or_insert(flow.start);
        if self.pairs.len() >= PAIRS && !self.pairs.contains_key(&(host, peer)) {
            self.forgotten = true;
            if !self.sweep.is_due(PAIRS) {
                return;
            }
            self.pairs.retain(|_, p| p.fresh.wire >= LITTLE || flow.start.since(p.last) <= DAY / 24);
            if self.pairs.len() >= PAIRS {
                return;
            }
        }
        let pair = self.pairs.entry((host, peer), || Pair {
            first: flow.start,
            last: flow.start,
            fresh: Sum::default(),
            today: 0,
            day: i32::MIN,
            days: 0,
            flows: 0,
            name: Word::NONE,
            service: Some((flow.proto, flow.dst_port)),
            called: false,
            sources: SourceSet::default(),
            ids: None,
        });
        if pair.flows == 0
            && !called
            && let Some(of) = self.hosts.get_mut(&host)
        {
            // By name: a pair that was forgotten and comes again is no other peer.
            if of.served.len() < self.rules.public && !of.served.contains(&peer) {
                push(&mut of.served, peer);
            }
        }
        pair.flows = pair.flows.saturating_add(1);
        pair.called |= called;
        pair.last = pair.last.max(flow.end);
        if pair.day != flow.start.day() {
            pair.day = flow.start.day();
            pair.today = 0;
            pair.days += u32::from(sum.out > 0);
        }
        pair.today = pair.today.saturating_add(sum.wire);
        pair.sources = self.sources.with(pair.sources, flow.source);
        if pair.service != Some((flow.proto, flow.dst_port)) {
            pair.service = None;
        }
        if !pair.name.is_some() {
            pair.name = flow.name;
        }
        if flow.start.since(since) <= self.rules.new {
            pair.fresh.add(sum);
        }
        if pair.fresh.wire < self.rules.evidence && pair.today < self.rules.evidence {
            return;
        }
        pair.ids.get_or_insert_default().add(sum.wire, flow.id);
    }
    fn is_much(&self, pair: &Pair) -> bool {
        pair.fresh.wire as f64 >= self.rules.peer_bytes && pair.fresh.ratio() >= self.rules.peer_ratio
    }
    fn to_peer(&self, (host, peer): (Host, Host), pair: &Pair, net: &Net) -> Finding {
        let rules = &self.rules;
        let (addr, to) = (net.addr(host), net.addr(peer));
        let since = self.seen.get(&peer).copied().unwrap_or(pair.first);
        // A flow without a name of its own: what its address was given for, by DNS.
        let by_dns = self.named.get(&peer).copied().unwrap_or_default();
        let name = net.text(if pair.name.is_some() { pair.name } else { by_dns });
        let called = if name.is_empty() { String::new() } else { format!(" ({name})") };
        let at = pair.service.map(|(p, port)| format!(" {}", service(port, p))).unwrap_or_default();
        let title = format!(
            "{addr} sent {} to {to}{called}{at} on {} and received {}; nobody had spoken with it before {}",
            bytes(pair.fresh.wire),
            counted(pair.days as usize, "day"),
            bytes(pair.fresh.back),
            since.utc().format("%Y-%m-%d %H:%MZ"),
        );
        let mut f = Finding::new(NAME, addr, span(pair.first, pair.last), title);
        f.peer = Some(to);
        f.service = pair.service;
        f.name = (!name.is_empty()).then(|| name.to_owned());
        let over = pair.fresh.wire as f64 / rules.peer_bytes;
        let known = self.begin.map_or(0, |b| since.since(b));
        f.severity = match known < DAY {
            true => 2,
            false if over >= 10.0 => 4,
            false => 3,
        };
        f.score = (0.5 * sat(0.4 + over.log10())
            + 0.5 * sat((pair.fresh.ratio() - rules.peer_ratio) / (1.0 - rules.peer_ratio).max(0.01))) as f32;
        f.number("bytes sent while the peer was new", bytes(pair.fresh.wire), bytes(rules.peer_bytes as u64));
        f.number("producer/consumer ratio", format!("{:.2}", pair.fresh.ratio()), rules.peer_ratio);
        f.number("peer first seen", since.rfc3339(), format!("{} d", rules.new / DAY));
        f.number("connections", pair.flows, "");
        f.asks(&format!("kind = flow and host = {addr} and host = {to}"));
        f.rows = u64::from(pair.flows);
        pair.most().for_each(|id| f.rests_on(net.record(id)));
        f.sources = self.sources.list(pair.sources).to_vec();
        if known < rules.new {
            let hours = known / (3600 * SECOND);
            f.caveats.push(format!("records begin only {hours} h before the peer is first seen: it may not be new"));
        }
        if !pair.called {
            f.caveats.push("the peer called: it fetched the data".into());
        }
        if self.forgotten {
            f.caveats.push("there were more peers than are held: small ones were forgotten".into());
        }
        f.benign = benign();
        f
    }
    fn of_day(&self, shifts: &[&Shift], net: &Net) -> Option<Finding> {
        let rules = &self.rules;
        let best = shifts.iter().copied().max_by_key(|s| (s.sum.wire, std::cmp::Reverse(s.day)))?;
        let (first, last) = (shifts.iter().map(|s| s.day).min()?, shifts.iter().map(|s| s.day).max()?);
        let addr = net.addr(best.host);
        let start = |day: i32| Time(i64::from(day).saturating_mul(DAY));
        let more = if shifts.len() > 1 { format!(" ({} like this)", counted(shifts.len(), "day")) } else { String::new() };
        let what = if best.dns { " by DNS" } else { "" };
        let title = format!(
            "{addr} sent {}{what} on {}{more}: ratio {:+.2}, where its median of {} is {:+.2}",
            bytes(best.sum.wire),
            date(best.day),
            best.sum.ratio(),
            counted(best.history, "day"),
            best.median
        );
        let mut f = Finding::new(NAME, addr, span(start(first), start(last).plus(DAY - 1)), title);
        f.peer = best.peer.map(|p| net.addr(p.0));
        f.severity = if best.dns { 2 } else { 3 };
        let (shift, least) = if best.dns {
            (rules.dns_shift, rules.dns_bytes)
        } else {
            (rules.shift, rules.day_bytes.max(rules.times * best.usual))
        };
        let rise = best.sum.ratio() - best.median;
        f.score = (0.5 * sat(rise / (2.0 - shift).max(0.1)) + 0.5 * sat(0.4 + (best.sum.wire as f64 / least).log10())) as f32;
        f.number("rise of the producer/consumer ratio", format!("{rise:+.2}"), shift);
        f.number("bytes sent that day", bytes(best.sum.wire), bytes(least as u64));
        f.number("median bytes sent a day", bytes(best.usual as u64), "");
        f.number("days before", best.history, rules.history);
        if let Some((peer, sent)) = best.peer {
            f.number("most of it to", format!("{} ({})", net.addr(peer), bytes(sent)), "");
        }
        let which = if best.dns { " and dst.port = 53" } else { " and direction in {in, out}" };
        f.asks(&format!("kind = flow and host = {addr}{which}"));
        f.rows = shifts.iter().map(|s| s.flows).sum();
        best.ids.iter().for_each(|id| f.rests_on(net.record(*id)));
        if best.history < DAYS {
            f.caveats.push(format!("the median is of {}, not of 14", counted(best.history, "day")));
        }
        f.benign = benign();
        Some(f)
    }
}

/// Medians of ratio and bytes sent.
fn medians(before: &VecDeque<(f64, f64)>) -> (f64, f64) {
    let mut ratios: Vec<f64> = before.iter().map(|b| b.0).collect();
    let mut sent: Vec<f64> = before.iter().map(|b| b.1).collect();
    (median_of(&mut ratios).unwrap_or(0.0), median_of(&mut sent).unwrap_or(0.0))
}

fn date(day: i32) -> String {
    Time(i64::from(day).saturating_mul(DAY)).utc().format("%Y-%m-%d").to_string()
}

fn benign() -> Vec<String> {
    vec![
        "a backup or synchronisation to a provider that was just introduced".into(),
        "an upload that was agreed on: video, print data, a release, a crash dump".into(),
        "a server that was put into service and is fetched from".into(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detectors::trial::{FRIDAY, Trial};

    fn send(trial: &mut Trial, at: f64, src: &str, dst: &str, out: u64, back: u64) {
        let flow = trial.flow(at, src, dst, 443);
        (flow.bytes_out, flow.payload_out) = (out + out / 30, out);
        (flow.bytes_in, flow.payload_in) = (back + back / 30, back);
    }

    /// A host that works for days: browsing.
    fn work(trial: &mut Trial, host: &str, days: i32) {
        for day in 0..days {
            let at = FRIDAY as f64 + f64::from(day) * 86_400.0;
            for n in 0..20 {
                send(trial, at + f64::from(n) * 600.0, host, "192.0.2.80", 40_000, 900_000);
            }
        }
    }

    #[test]
    fn much_to_a_new_peer_is_one_finding_with_the_days_of_it() {
        let mut trial = Trial::new();
        work(&mut trial, "10.0.0.5", 12);
        work(&mut trial, "10.0.0.6", 12);
        for night in 8..11 {
            for n in 0..15 {
                let at = FRIDAY as f64 + f64::from(night) * 86_400.0 - 7.0 * 3600.0 + f64::from(n) * 120.0;
                send(&mut trial, at, "10.0.0.5", "192.0.2.77", 3_400_000, 15_000);
            }
        }
        trial.query(FRIDAY as f64, "10.0.0.5", "store.example", "A", "NOERROR", &["192.0.2.77"]);
        let found = trial.found(&DETECTOR);
        assert_eq!(found.len(), 1, "{found:#?}");
        let f = &found[0];
        assert_eq!((f.severity, f.rows, f.service, f.peer), (3, 45, Some((6, 443)), Some("192.0.2.77".parse().unwrap())));
        assert!(f.title.contains("(store.example)") && f.name.as_deref() == Some("store.example"), "{}", f.title);
        assert!(f.title.contains("158 MB") && f.title.contains("on 3 days"), "{}", f.title);
        assert!(f.caveats.is_empty(), "{:?}", f.caveats);
        // Each of the nights is also above the host's median, and is said with it.
        assert_eq!(f.numbers.iter().filter(|n| n.name.starts_with("ratio of 2026-11-")).count(), 3, "{:?}", f.numbers);
        assert!(trial.found_by(&DETECTOR, &Limits::new().with(NAME, "peer_bytes", 2e8).with(NAME, "day_bytes", 2e8)).is_empty());
    }

    #[test]
    fn known_peers_servers_downloads_and_short_history_are_none() {
        let mut trial = Trial::new();
        for day in 0..12 {
            let at = FRIDAY as f64 + f64::from(day) * 86_400.0;
            // A backup every night.
            send(&mut trial, at, "10.0.0.5", "192.0.2.1", 10_000_000, 90_000);
            // A public server.
            for n in 0..12 {
                send(&mut trial, at, &format!("198.51.100.{n}"), "10.0.0.80", 9_000, 300_000_000);
            }
            send(&mut trial, at, "10.0.0.6", "192.0.2.2", 500_000, 400_000_000);
        }
        // As much as a new peer, on the day after the peer was met, in balance.
        send(&mut trial, FRIDAY as f64 + 11.0 * 86_400.0, "10.0.0.7", "192.0.2.3", 200_000_000, 190_000_000);
        assert!(trial.found(&DETECTOR).is_empty(), "{:#?}", trial.found(&DETECTOR));
        // Who is no public server and is fetched from is one, and it says so.
        send(&mut trial, FRIDAY as f64 + 10.0 * 86_400.0, "198.51.100.77", "10.0.0.90", 9_000, 300_000_000);
        let found = trial.found(&DETECTOR);
        assert_eq!((found.len(), found[0].host.to_string().as_str()), (1, "10.0.0.90"));
        assert!(found[0].caveats.iter().any(|c| c.contains("the peer called")));
    }

    #[test]
    fn a_day_unlike_the_others_and_dns_unlike_the_others() {
        let mut trial = Trial::new();
        work(&mut trial, "10.0.0.5", 6);
        for n in 0..9 {
            let at = FRIDAY as f64 + 5.0 * 86_400.0 + f64::from(n) * 60.0;
            send(&mut trial, at, "10.0.0.5", &format!("192.0.2.{}", 100 + n), 12_000_000, 100_000);
        }
        for day in 0..6 {
            let (out, back) = if day < 5 { (200_000, 300_000) } else { (2_000_000, 1_500_000) };
            send(&mut trial, FRIDAY as f64 + f64::from(day) * 86_400.0, "10.0.0.6", "10.0.0.53", out, back);
            trial.flows.last_mut().unwrap().dst_port = 53;
        }
        let found = trial.found(&DETECTOR);
        let hosts: Vec<String> = found.iter().map(|f| f.host.to_string()).collect();
        assert_eq!(hosts, ["10.0.0.5", "10.0.0.6"]);
        assert!(found[0].title.contains("2026-11-25") && found[0].peer.is_none(), "{}", found[0].title);
        assert!(found[0].caveats[0].contains("5 days, not of 14"), "{:?}", found[0].caveats);
        assert!(found[1].title.contains("by DNS") && found[1].query.contains("dst.port = 53"), "{}", found[1].title);
        // Without days before there is no median, and no verdict.
        assert!(trial.found_by(&DETECTOR, &Limits::new().with(NAME, "history", 6.0)).is_empty());
    }

    #[test]
    fn the_ratio_is_of_what_applications_say() {
        let flow =
            Flow { proto: proto::TCP, bytes_out: 4_000, packets_out: 100, bytes_in: 5_000, packets_in: 100, ..Flow::default() };
        let sum = sums(&flow);
        assert_eq!((sum.out, sum.back, sum.wire, sum.ratio()), (0, 1_000, 4_000, -1.0));
        let mail = Sum { out: 70, back: 30, wire: 0 };
        assert!((mail.ratio() - 0.4).abs() < 1e-12 && Sum::default().ratio() == 0.0);
        // A sequence number that jumps claims gigabytes.
        let wild = Flow { payload_out: 4_000_000_000, ..flow };
        assert_eq!(sums(&wild).out, 4_000);
    }
}
