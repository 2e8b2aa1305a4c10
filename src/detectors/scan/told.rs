//! Searches as findings: those of a host that are alike are one, and of those from outside that found nothing only the greatest are told one by one.

use super::{NAME, Thresholds};
use crate::detectors::fold::{Proof, any_of, few, lasting};
use crate::detectors::gather::service;
use crate::detectors::maths::sat;
use crate::detectors::rows::{Host, Net};
use crate::model::finding::Finding;
use crate::model::proto;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Open services that are kept and named.
const OPEN: usize = 64;
/// Searches from outside that found nothing, and answers to nothing, that are told one by one.
const OUTSIDE: usize = 20;
/// Net misses at which the walk says that it is a search.
const WALK: &str = "4";

/// What a search looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub(super) enum Shape {
    /// One to three ports of many hosts.
    Horizontal,
    /// Many ports of one to three hosts.
    Vertical,
    /// Many of both.
    Block,
    /// One to three ports of some hosts.
    #[default]
    Few,
    /// Answers to nothing.
    Backscatter,
    /// One host, again and again.
    Flood,
}

impl Shape {
    fn name(self) -> &'static str {
        match self {
            Shape::Horizontal => "horizontal",
            Shape::Vertical => "vertical",
            Shape::Block => "block",
            Shape::Few => "horizontal, of few",
            Shape::Backscatter => "backscatter",
            Shape::Flood => "flood",
        }
    }
}

/// Searches with the same key are one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Key {
    pub(super) src: Host,
    pub(super) proto: u8,
    pub(super) shape: Shape,
    /// Up to three ports that were looked for.
    pub(super) ports: Vec<u16>,
    /// The host, if there is but one.
    pub(super) host: Option<Host>,
}

/// What was found; of several bursts the numbers of the greatest.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Found {
    pub(super) bursts: u64,
    pub(super) slow: bool,
    pub(super) by: Cow<'static, str>,
    pub(super) net_misses: u64,
    pub(super) probability: Option<f64>,
    /// What was tried: hosts with ports.
    pub(super) targets: usize,
    pub(super) hosts: usize,
    pub(super) ports: usize,
    /// What answered.
    pub(super) open: Vec<(Host, u16)>,
    pub(super) refused: usize,
    pub(super) silent: usize,
    pub(super) denied: usize,
    pub(super) proof: Proof,
    /// How long the greatest burst took.
    pub(super) took: i64,
}

impl Found {
    pub(super) fn join(&mut self, mut other: Found) {
        other.took = other.proof.last.since(other.proof.first).max(0);
        if other.targets > self.targets {
            (self.targets, self.hosts, self.ports, self.took) = (other.targets, other.hosts, other.ports, other.took);
            (self.refused, self.silent, self.denied) = (other.refused, other.silent, other.denied);
            (self.by, self.net_misses, self.probability) = (other.by, other.net_misses, other.probability);
        }
        self.slow = other.slow && (self.slow || self.bursts == 0);
        self.bursts += other.bursts;
        self.open.append(&mut other.open);
        self.open.sort_unstable();
        self.open.dedup();
        self.open.truncate(OPEN);
        self.proof.join(&other.proof);
    }
    fn missed(&self) -> usize {
        self.refused + self.silent + self.denied
    }
}

pub(super) fn findings(all: &BTreeMap<Key, Found>, net: &Net, limits: &Thresholds, lost: u64) -> Vec<Finding> {
    let (mut told, mut noise) = (Vec::new(), Vec::new());
    for (key, found) in all {
        let idle = !net.is_home(key.src) && found.open.is_empty() || key.shape == Shape::Backscatter;
        if idle { noise.push((key, found)) } else { told.push((key, found)) }
    }
    noise.sort_by_key(|(key, found)| (Reverse(found.targets), *key));
    let rest = noise.split_off(OUTSIDE.min(noise.len()));
    let mut out: Vec<Finding> =
        told.into_iter().chain(noise).map(|(key, found)| finding(key, found, net, limits, lost)).collect();
    if let Some((key, found)) = rest.first() {
        let mut sources: Vec<Host> = rest.iter().map(|(key, _)| key.src).collect();
        sources.sort_unstable();
        sources.dedup();
        let mut f = finding(key, found, net, limits, lost);
        f.title = format!("{} more hosts outside search and find nothing, as {}", sources.len(), f.title);
        (f.severity, f.peer) = (0, None);
        f.window.start = rest.iter().map(|(_, r)| r.proof.first).min().unwrap_or(f.window.start);
        f.window.end = rest.iter().map(|(_, r)| r.proof.last.plus(1)).max().unwrap_or(f.window.end);
        f.rows = rest.iter().map(|(_, r)| r.proof.rows).sum();
        f.number("hosts outside", sources.len(), "");
        f.asks("kind = flow and direction = in and state in {S0, REJ, RSTOS0, SH}");
        out.push(f);
    }
    out
}

fn finding(key: &Key, found: &Found, net: &Net, limits: &Thresholds, lost: u64) -> Finding {
    let host = net.addr(key.src);
    let icmp = matches!(key.proto, proto::ICMP | proto::ICMP6);
    let ports = key.ports.iter().map(|p| service(*p, key.proto)).collect::<Vec<_>>().join(", ");
    let peer = key.host.map(|h| net.addr(h));
    let whom = peer.map_or_else(|| format!("{} hosts", found.hosts), |p| p.to_string());
    let what = match key.shape {
        Shape::Horizontal | Shape::Few if icmp => format!("pings {} hosts", found.hosts),
        Shape::Horizontal | Shape::Few => format!("searches {} hosts for {ports}", found.hosts),
        Shape::Vertical => format!("searches {whom} for {} ports ({})", found.ports, proto::show(key.proto)),
        Shape::Block => format!("searches {} hosts for {} ports ({})", found.hosts, found.ports, proto::show(key.proto)),
        Shape::Backscatter => format!("answers {} hosts that did not ask, {} times", found.hosts, found.proof.rows),
        Shape::Flood => format!("floods {whom} {ports} with {} attempts", found.targets),
    };
    let open: Vec<String> = found
        .open
        .iter()
        .map(|(h, port)| match key.shape {
            _ if icmp => net.addr(*h).to_string(),
            Shape::Vertical if peer.is_some() => service(*port, key.proto),
            Shape::Horizontal | Shape::Few if key.ports.len() == 1 => net.addr(*h).to_string(),
            _ => format!("{}:{port}", net.addr(*h)),
        })
        .collect();
    let answered = match open.len() {
        _ if matches!(key.shape, Shape::Backscatter | Shape::Flood) => String::new(),
        0 => "; nothing answered".into(),
        n => format!("; {n} answered: {}", few(&open, 6)),
    };
    let bursts = match found.bursts {
        0 | 1 => format!(" in {}", lasting(found.took)),
        n => format!(" in {}, {n} times", lasting(found.took)),
    };
    let slow = if found.slow { ", slowly" } else { "" };
    let mut f = found.proof.finding(NAME, net, key.src, format!("{host} {what}{slow}{bursts}{answered}"));
    f.peer = peer;
    f.service = key.ports.first().filter(|_| key.ports.len() == 1 && !icmp).map(|p| (key.proto, *p));
    let home = net.is_home(key.src);
    f.severity = match key.shape {
        Shape::Backscatter => 0,
        Shape::Flood => 2,
        _ if icmp => 1,
        _ if !home => 1 + u8::from(!found.open.is_empty()),
        Shape::Few => 2,
        _ => 2 + u8::from(!found.open.is_empty() || found.targets >= 4 * limits.hosts),
    };
    f.score = sat(0.4 + 0.6 * found.missed() as f64 / 100.0) as f32;
    f.techniques = vec![if home { "T1046" } else { "T1595" }.to_owned()];
    f.number("shape", key.shape.name(), "");
    f.number("hosts", found.hosts, if key.shape == Shape::Few { limits.few } else { limits.hosts });
    f.number(
        "ports",
        found.ports.max(usize::from(!icmp)),
        if key.shape == Shape::Vertical { limits.ports.to_string() } else { String::new() },
    );
    f.number("answered", found.open.len(), "");
    f.number("refused", found.refused, "");
    f.number("silent", found.silent, "");
    if found.denied > 0 {
        f.number("denied by a firewall", found.denied, "");
    }
    f.number("judged by", &found.by, "");
    if key.proto == proto::TCP {
        f.number("misses more than hits", found.net_misses, WALK);
    }
    if let Some(p) = found.probability {
        f.number("probability", format!("{p:.3}"), limits.probability);
    }
    f.asks(&asks(key, host, peer, icmp));
    caveats(&mut f, key, found, lost);
    f
}

fn asks(key: &Key, host: std::net::IpAddr, peer: Option<std::net::IpAddr>, icmp: bool) -> String {
    let protocol = proto::show(key.proto);
    if key.shape == Shape::Backscatter {
        return format!("kind = flow and dst.ip = {host} and proto = {protocol} and state in {{SHR, RSTRH}}");
    }
    let mut text = format!("kind in {{flow, fw}} and src.ip = {host} and proto = {protocol}");
    if let Some(to) = peer.and_then(|p| any_of("dst.ip", &[p])) {
        text.push_str(&format!(" and {to}"));
    }
    match (key.shape, key.ports.as_slice()) {
        (Shape::Block | Shape::Vertical, _) | (_, []) => {}
        _ if icmp => {}
        (_, [one]) => text.push_str(&format!(" and dst.port = {one}")),
        (_, more) => text.push_str(&format!(" and dst.port in {{{}}}", few(more, more.len()))),
    }
    text
}

fn caveats(f: &mut Finding, key: &Key, found: &Found, lost: u64) {
    if found.by == "shape" {
        f.caveats.push("neither model says so: only that so much was tried and so little answered".into());
    }
    if key.proto != proto::TCP && key.shape != Shape::Backscatter {
        f.caveats.push("without a handshake nobody knows whether silence means that nothing was there".into());
    }
    if lost > 0 {
        f.caveats.push(format!("{lost} attempts of all hosts were not kept"));
    }
    f.benign = match key.shape {
        Shape::Backscatter => vec![
            "a victim of a flood from forged addresses answers them".into(),
            "only one direction of the traffic was captured".into(),
        ],
        Shape::Flood => vec!["a program that tries again and again to reach a service that is down".into()],
        _ => vec![
            "a vulnerability scanner, an inventory or monitoring of the site".into(),
            "a program that looks for printers, shares or peers; a server that lost its peers".into(),
        ],
    };
}
