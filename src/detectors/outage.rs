//! A service that stops answering: most attempts fail where they used to succeed; and which rule of a firewall explains it.
//!
//! Each missing flow, one that was tried and failed, is looked for among what firewalls denied at the time: the same client, service and, unless
//! an address is translated in between, the same server. The rule that matches most of them is the likely cause.

mod cause;

use super::fold::merge;
use super::gather::service;
use super::held::Sweep;
use super::maths::sat;
use super::rows::{Flow, Host, Id, Net, Piece};
use super::shown::{counted, percent};
use super::{Detector, Limits, Setting, Watch};
use crate::model::finding::{EVIDENCE, Finding, span};
use crate::model::time::SECOND;
use crate::model::{SourceId, Time};
use cause::{Causes, Denies};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The detector.
pub static DETECTOR: Outage = Outage;

/// See the module.
pub struct Outage;

const NAME: &str = "outage";
const SETTINGS: &[Setting] = &[
    Setting { name: "failed", default: 0.5, unit: "", doc: "Share of attempts that fail within a bin." },
    Setting { name: "attempts", default: 10.0, unit: "", doc: "Least attempts of a bin." },
    Setting { name: "before", default: 0.1, unit: "", doc: "Most of the service's other attempts that fail." },
    Setting { name: "bin", default: 300.0, unit: "s", doc: "Length of a bin." },
    Setting { name: "slack", default: 3.0, unit: "s", doc: "How far a denial may be from the attempt that it explains." },
    Setting {
        name: "explained",
        default: 0.5,
        unit: "",
        doc: "Share of missing flows that a rule has to match to be named as the cause.",
    },
];
/// Attempts below which a bin between two others says nothing either way.
const FEW: u64 = 3;
/// What is held: services, bins of one, clients of one.
const SERVICES: usize = 300_000;
const BINS: usize = 2_000;
const CLIENTS: usize = 10_000;
/// Bins after which services are looked through again for those that may go.
const SWEPT: usize = 12;

impl Detector for Outage {
    fn name(&self) -> &'static str {
        NAME
    }
    fn doc(&self) -> &'static str {
        "At least half of 10 or more attempts of a service fail (unanswered, refused) within five minutes, where at most a tenth do otherwise; with the rule of a firewall whose denials match the missing flows."
    }
    fn techniques(&self) -> &'static [&'static str] {
        &["T1498", "T1499"]
    }
    fn settings(&self) -> &'static [Setting] {
        SETTINGS
    }
    fn watch(&self, limits: &Limits) -> Box<dyn Watch> {
        let of = |name| limits.of(NAME, SETTINGS, name);
        // Bins divide the hour, since a piece has whole hours.
        let bin = 3600 / (3600 / of("bin").clamp(1.0, 3600.0) as i64) * SECOND;
        Box::new(Services {
            rules: Rules {
                failed: of("failed"),
                attempts: of("attempts").max(1.0) as u64,
                before: of("before"),
                bin,
                slack: (of("slack").clamp(0.0, 600.0) * SECOND as f64) as i64,
                explained: of("explained"),
            },
            services: HashMap::default(),
            sweep: Sweep::default(),
            denied: false,
            beyond: false,
        })
    }
}

#[derive(Serialize, Deserialize)]
struct Rules {
    failed: f64,
    attempts: u64,
    before: f64,
    bin: i64,
    slack: i64,
    explained: f64,
}

type Key = (Host, u8, u16);

/// What is known of a service.
#[derive(Default, Serialize, Deserialize)]
struct Service {
    attempts: u64,
    failed: u64,
    accepted: u64,
    /// Who was ever answered, and whether that were several.
    client: Option<Host>,
    several: bool,
    /// Bins in which attempts fail.
    bins: Vec<Bin>,
}

/// A bin in which at least the share of attempts failed.
#[derive(Default, Serialize, Deserialize)]
struct Bin {
    at: i64,
    attempts: u64,
    failed: u64,
    refused: u64,
    first: Time,
    last: Time,
    clients: BTreeSet<Host>,
    causes: Causes,
    ids: Vec<Id>,
    sources: BTreeSet<SourceId>,
}

impl Bin {
    fn join(&mut self, other: Bin) {
        self.attempts += other.attempts;
        self.failed += other.failed;
        self.refused += other.refused;
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        self.clients.extend(other.clients.into_iter().take(CLIENTS.saturating_sub(self.clients.len())));
        self.causes.join(&other.causes);
        self.ids.extend(other.ids.into_iter().take(4usize.saturating_sub(self.ids.len())));
        self.sources.extend(other.sources);
    }
}

#[derive(Serialize, Deserialize)]
struct Services {
    rules: Rules,
    services: HashMap<Key, Service, foldhash::fast::RandomState>,
    sweep: Sweep,
    /// Whether any firewall said that it denies anything.
    denied: bool,
    beyond: bool,
}

impl Watch for Services {
    super::resume::kept!();
    fn piece(&mut self, piece: &Piece<'_>) {
        let bin = self.rules.bin;
        let of = |t: Time| t.0.div_euclid(bin);
        for flows in piece.flows.chunk_by(|a, b| of(a.start) == of(b.start)) {
            if let Some(first) = flows.first() {
                self.bin(of(first.start), flows, piece);
            }
        }
        self.denied = self.denied || piece.events.iter().any(|e| e.is_denial(piece.net));
    }
    fn end(mut self: Box<Self>, net: &Net) -> Vec<Finding> {
        let services = std::mem::take(&mut self.services);
        let mut keys: Vec<Key> = services.keys().copied().collect();
        keys.sort_unstable();
        let mut out = Vec::new();
        for key in keys {
            let Some(service) = services.get(&key) else { continue };
            for day in self.outages(service).chunk_by(|a, b| day_of(a) == day_of(b)) {
                out.extend(self.finding(key, service, day, net));
            }
        }
        fold_hosts(out)
    }
}

fn day_of(bins: &[&Bin]) -> Option<i32> {
    bins.first().map(|b| b.first.day())
}

impl Services {
    fn bin(&mut self, at: i64, flows: &[Flow], piece: &Piece<'_>) {
        #[derive(Default)]
        struct Of {
            attempts: u64,
            failed: u64,
            accepted: u64,
        }
        let net = piece.net;
        let mut counts: HashMap<Key, Of, foldhash::fast::RandomState> = HashMap::default();
        // An ICMP message has no service; one to many has no single host that answers.
        let is_attempt = |f: &&Flow| f.dst_port > 0 && matches!(f.proto, 6 | 17 | 132) && net.is_unicast(f.dst);
        for flow in flows.iter().filter(is_attempt) {
            let of = counts.entry((flow.dst, flow.proto, flow.dst_port)).or_default();
            of.attempts += 1;
            of.failed += u64::from(flow.is_failed());
            of.accepted += u64::from(flow.is_accepted());
        }
        if self.services.len().saturating_add(counts.len()) > SERVICES {
            // A port that never answered is no service: scans leave many of them. Not at every bin: it takes a while.
            if self.sweep.is_due(8 * SWEPT) {
                self.services.retain(|_, s| s.accepted > 0);
            }
            self.beyond = true;
        }
        let mut failing: HashMap<Key, Bin> = HashMap::new();
        // In order: which services have room must not depend on how they are hashed.
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort_unstable_by_key(|(key, _)| *key);
        for (key, of) in &counts {
            if self.services.len() >= SERVICES && !self.services.contains_key(key) {
                continue;
            }
            let service = self.services.entry(*key).or_default();
            service.attempts += of.attempts;
            service.failed += of.failed;
            service.accepted += of.accepted;
            if of.attempts >= FEW && of.failed as f64 >= self.rules.failed * of.attempts as f64 && service.bins.len() < BINS {
                failing.insert(*key, Bin { at, attempts: of.attempts, failed: of.failed, ..Bin::default() });
            }
        }
        for flow in flows.iter().filter(is_attempt).filter(|f| !f.is_failed()) {
            if let Some(service) = self.services.get_mut(&(flow.dst, flow.proto, flow.dst_port)) {
                service.several |= *service.client.get_or_insert(flow.src) != flow.src;
            }
        }
        if failing.is_empty() {
            return;
        }
        let missing: Vec<&Flow> =
            flows.iter().filter(|f| f.is_failed() && failing.contains_key(&(f.dst, f.proto, f.dst_port))).collect();
        let mut denies = Denies::around(&missing, piece, self.rules.slack);
        for flow in missing {
            let Some(bin) = failing.get_mut(&(flow.dst, flow.proto, flow.dst_port)) else { continue };
            if bin.ids.is_empty() {
                bin.first = flow.start;
            }
            bin.last = bin.last.max(flow.end).max(flow.start);
            bin.refused += u64::from(flow.is_answered());
            if bin.clients.len() < CLIENTS {
                bin.clients.insert(flow.src);
            }
            if bin.ids.len() < 4 {
                bin.ids.push(flow.id);
            }
            bin.sources.insert(flow.source);
            denies.explain(flow, piece, &mut bin.causes);
        }
        for (key, bin) in failing {
            if let Some(service) = self.services.get_mut(&key) {
                // Of a flood a bin may come in several pieces.
                match service.bins.last_mut().filter(|last| last.at == bin.at) {
                    Some(last) => last.join(bin),
                    None => service.bins.push(bin),
                }
            }
        }
    }
    /// The outages of a service: bins that follow each other, one of which is enough; none if it fails at other times too.
    fn outages<'a>(&self, service: &'a Service) -> Vec<Vec<&'a Bin>> {
        let mut out: Vec<Vec<&Bin>> = Vec::new();
        for bin in &service.bins {
            match out.last_mut() {
                // A bin between that nobody tried in, or that had too few attempts to tell, does not end an outage.
                Some(open) if open.last().is_some_and(|last| bin.at - last.at <= 2) => open.push(bin),
                _ => out.push(vec![bin]),
            }
        }
        out.retain(|bins| {
            let enough = |b: &&Bin| b.attempts >= self.rules.attempts && b.failed as f64 >= self.rules.failed * b.attempts as f64;
            bins.iter().copied().any(|b| enough(&b))
        });
        let inside = |count: fn(&Bin) -> u64| out.iter().flatten().map(|b| count(b)).sum::<u64>();
        let attempts = service.attempts.saturating_sub(inside(|b| b.attempts));
        let failed = service.failed.saturating_sub(inside(|b| b.failed));
        let answered = attempts - failed.min(attempts);
        if answered == 0 || failed as f64 > self.rules.before * attempts as f64 {
            return Vec::new();
        }
        out.retain(|bins| {
            let clients: BTreeSet<Host> = bins.iter().flat_map(|b| b.clients.iter().copied()).collect();
            // One client that fails where others do not has a trouble of its own, or floods.
            clients.len() > 1 || !service.several
        });
        out
    }
    fn finding(&self, (dst, transport, port): Key, known: &Service, outages: &[Vec<&Bin>], net: &Net) -> Option<Finding> {
        let rules = &self.rules;
        let bins: Vec<&Bin> = outages.iter().flatten().copied().collect();
        let worst = outages.iter().max_by_key(|o| o.iter().map(|b| b.failed).sum::<u64>())?;
        let sum = |count: fn(&Bin) -> u64| bins.iter().map(|b| count(b)).sum::<u64>();
        let (attempts, failed, refused) = (sum(|b| b.attempts), sum(|b| b.failed), sum(|b| b.refused));
        let (first, last) = (bins.iter().map(|b| b.first).min()?, bins.iter().map(|b| b.last).max()?);
        let clients: BTreeSet<Host> = bins.iter().flat_map(|b| b.clients.iter().copied()).collect();
        let addr = net.addr(dst);
        let own = net.is_home(dst);
        if !own && clients.len() < 5 {
            // Sites elsewhere come and go.
            return None;
        }
        let clock = |t: Time| t.utc().format("%H:%M:%SZ").to_string();
        let (from, until) = (worst.first()?.first, worst.iter().map(|b| b.last).max()?);
        let more = if outages.len() > 1 { format!(", {} in all", counted(outages.len(), "outage")) } else { String::new() };
        let mut causes = Causes::default();
        bins.iter().for_each(|b| causes.join(&b.causes));
        let best = causes.best();
        let explained = best.filter(|c| c.1.flows as f64 >= rules.explained * failed as f64);
        let why = match explained {
            Some((rule, c)) => {
                let share = percent(c.flows as f64 / failed.max(1) as f64);
                format!(
                    "; {share} of missing flows match {} by rule {}",
                    counted(c.denies as usize, "denial"),
                    cause::name(net, rule)
                )
            }
            None if refused * 2 > failed => "; the host refuses: it is up, the service is not".into(),
            None => String::new(),
        };
        let title = format!(
            "{} of {addr} does not answer, {} to {}{more}: {failed} of {attempts} attempts of {} fail{why}",
            service(port, transport),
            clock(from),
            clock(until),
            counted(clients.len(), "client"),
        );
        let mut f = Finding::new(NAME, addr, span(first, last), title);
        f.service = Some((transport, port));
        f.severity = match clients.len() {
            0..=1 => 1,
            2..=4 => 2,
            5..=49 => 3,
            _ => 4,
        };
        if !own {
            f.severity = f.severity.min(2);
        }
        let ratio = failed as f64 / attempts.max(1) as f64;
        f.score = (0.5 * ratio
            + 0.25 * sat(clients.len() as f64 / 20.0)
            + 0.25 * sat(failed as f64 / (10.0 * rules.attempts as f64))) as f32;
        f.number("share of attempts that fail", percent(ratio), percent(rules.failed));
        let peak = bins.iter().map(|b| b.attempts).max().unwrap_or(0);
        f.number(&format!("most attempts in {} s", rules.bin / SECOND), peak, rules.attempts);
        let outside = (known.attempts.saturating_sub(attempts), known.failed.saturating_sub(failed));
        f.number("share that fails at other times", percent(outside.1 as f64 / outside.0.max(1) as f64), percent(rules.before));
        f.number("clients", clients.len(), "");
        f.number("missing flows", failed, "");
        f.number("of them refused by an answer", refused, "");
        for (rule, c) in causes.ranked().into_iter().take(3) {
            let share = c.flows as f64 / failed.max(1) as f64;
            let value = format!("{} of {failed} ({}), {}", c.flows, percent(share), counted(c.denies as usize, "denial"));
            f.number(&format!("missing flows that rule {} matches", cause::name(net, rule)), value, percent(rules.explained));
        }
        f.asks(&format!("dst.ip = {addr} and dst.port = {port} and kind in {{flow, fw}}"));
        f.rows = attempts;
        if let Some((_, c)) = explained {
            c.ids.iter().take(EVIDENCE / 2).for_each(|id| f.rests_on(net.record(*id)));
            if c.elsewhere * 2 > c.flows {
                f.caveats.push(
                    "the firewall names another address of the server: denials are matched by client, port and time".into(),
                );
            }
        }
        bins.iter().flat_map(|b| b.ids.iter()).for_each(|id| f.rests_on(net.record(*id)));
        let mut sources: BTreeSet<SourceId> = bins.iter().flat_map(|b| b.sources.iter().copied()).collect();
        sources.extend(explained.map(|e| e.1.source));
        f.sources = sources.into_iter().collect();
        if explained.is_none() {
            let why = if self.denied {
                "no rule of a firewall matches most of the missing flows"
            } else {
                "no firewall says what it denied"
            };
            f.caveats.push(why.into());
        }
        if outside.0 < 10 * rules.attempts {
            f.caveats.push(format!("only {} attempts at other times to compare with", outside.0));
        }
        if self.beyond || known.bins.len() >= BINS {
            f.caveats.push("there were more services or bins than are held".into());
        }
        f.benign = vec![
            "maintenance, a restart or a change of addresses that was announced".into(),
            "a rule that was set on purpose while an attack went on".into(),
            "the capture lost the answers: one-way traffic".into(),
        ];
        Some(f)
    }
}

/// A host of which many services fail at once is one finding: the host is gone, not each of them.
fn fold_hosts(list: Vec<Finding>) -> Vec<Finding> {
    let mut by_host: BTreeMap<(std::net::IpAddr, i32), Vec<Finding>> = BTreeMap::new();
    for f in list {
        by_host.entry((f.host, f.window.start.day())).or_default().push(f);
    }
    let mut out = Vec::new();
    for ((host, _), mut list) in by_host {
        // All overlap each other if the last that begins does so before the first ends.
        let overlap = list.iter().map(|f| f.window.start).max() < list.iter().map(|f| f.window.end).min();
        if list.len() < 3 || !overlap {
            out.append(&mut list);
            continue;
        }
        list.sort_by_key(|f| std::cmp::Reverse((f.severity, f.rows)));
        let services: Vec<String> = list.iter().filter_map(|f| f.service).map(|(p, port)| service(port, p)).collect();
        let Some(mut whole) = list.first().cloned() else { continue };
        merge(&mut whole, &list);
        whole.title = format!(
            "{} do not answer ({}); {}",
            counted(services.len(), "service"),
            super::shown::some(&services, 6),
            whole.title
        );
        whole.service = None;
        whole.asks(&format!("dst.ip = {host} and kind in {{flow, fw}}"));
        out.push(whole);
    }
    out
}

#[cfg(test)]
mod tests;
