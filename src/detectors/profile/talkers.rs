//! Steps 2, 3, 4 and 6: what the sample is like, who talks, and which talkers no service explains.

use super::assets::Asset;
use super::classes::halves;
use super::ledger::Map;
use crate::detectors::rows::{Flow, Host, Net};
use crate::model::time::SECOND;
use crate::model::{SourceId, Time, proto};
use ipnet::IpNet;
use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;

/// Length of the networks that talkers are grouped by.
const NET4: u8 = 27;
/// Of IPv6, where an interface has so many bits.
const NET6: u8 = 64;
/// Talkers that are counted.
const TALKERS: usize = 200_000;
/// Port pairs of one talker that are told apart.
const PAIRS: usize = 48;
/// Services that are told apart in the sample.
const SERVICES: usize = 4_096;
/// Share of a host's bytes from which on a service of a leftover is listed, and most of them.
const SHARE: f64 = 0.10;
const TOP: usize = 5;

/// What goes over one protocol or port.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sum {
    /// Flows.
    pub flows: u64,
    /// IP bytes, both ways.
    pub bytes: u64,
}

impl Sum {
    fn add(&mut self, flow: &Flow) {
        self.flows += 1;
        self.bytes = self.bytes.saturating_add(flow.bytes());
    }
}

/// Protocol, port of the host (0: any high one), port of the other end (0: any high one).
type Pair = (u8, u16, u16);

#[derive(Default)]
struct Talker {
    /// It sent legitimate TCP, or another protocol.
    tcp: bool,
    other: bool,
    bytes: u64,
    pairs: Vec<(Pair, u64)>,
}

/// What the sample is like.
#[derive(Default)]
pub struct Sample {
    /// By hour since 1970, UTC.
    pub hours: BTreeMap<i64, Sum>,
    /// By protocol.
    pub protocols: BTreeMap<u8, Sum>,
    services: Map<(u8, u16), Sum>,
    /// By source.
    pub sources: BTreeMap<SourceId, Sum>,
    /// All.
    pub all: Sum,
    /// That left the monitored space.
    pub outgoing: Sum,
    /// That were seen one way only.
    pub one_way: u64,
    /// Between outside addresses: transit, or home is not told right.
    pub transit: Sum,
    talkers: Map<Host, Talker>,
    /// Records that left, by whether their sender is among the talkers is known at the end.
    senders: Map<Host, u64>,
}

/// Who talks.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Space {
    /// Networks with their talkers, in order.
    pub networks: Vec<(IpNet, Vec<Host>)>,
    /// Talkers of TCP, of other protocols, all.
    pub counts: (usize, usize, usize),
    /// Transit check: records that left and are not of talkers. (What comes in from talkers or leaves to them is none, since talkers are home.)
    pub not_of_talkers: u64,
    /// Records between outside addresses.
    pub transit: u64,
}

/// A talker that no service explains.
#[derive(Debug, Clone, PartialEq)]
pub struct Leftover {
    /// The host.
    pub host: Host,
    /// IP bytes.
    pub bytes: u64,
    /// Its pairs of ports by bytes: protocol, own port, other end's port (0: high ones), bytes; those with at least 10 %.
    pub pairs: Vec<(u8, u16, u16, u64)>,
}

impl Sample {
    /// Takes a flow.
    pub fn flow(&mut self, flow: &Flow, net: &Net) {
        self.all.add(flow);
        self.protocols.entry(flow.proto).or_default().add(flow);
        self.sources.entry(flow.source).or_default().add(flow);
        let hour = flow.start.0.div_euclid(3_600 * SECOND);
        if self.hours.len() < 100_000 || self.hours.contains_key(&hour) {
            self.hours.entry(hour).or_default().add(flow);
        }
        self.one_way += u64::from(!flow.is_answered());
        if flow.is_accepted() && matches!(flow.proto, proto::TCP | proto::UDP | proto::SCTP) {
            let key = (flow.proto, flow.dst_port);
            if self.services.len() < SERVICES || self.services.contains_key(&key) {
                self.services.entry(key).or_default().add(flow);
            }
        }
        if !net.is_home(flow.src) && !net.is_home(flow.dst) {
            self.transit.add(flow);
        }
        let mut left = false;
        for half in halves(flow, net) {
            left = true;
            if self.senders.len() < TALKERS || self.senders.contains_key(&half.from) {
                *self.senders.entry(half.from).or_default() += 1;
            }
            let legitimate = half.is_legitimate();
            if !legitimate && half.proto == proto::TCP {
                continue;
            }
            if self.talkers.len() >= TALKERS && !self.talkers.contains_key(&half.from) {
                continue;
            }
            let talker = self.talkers.entry(half.from).or_default();
            talker.tcp |= legitimate;
            talker.other |= half.proto != proto::TCP;
            let bytes = half.bytes.saturating_add(half.back);
            talker.bytes = talker.bytes.saturating_add(bytes);
            let high = |port: u16, other: u16| if port >= 1024 && port > other && other != 0 { 0 } else { port };
            let pair = (half.proto, high(half.sport, half.dport), high(half.dport, half.sport));
            if let Some(known) = talker.pairs.iter_mut().find(|p| p.0 == pair) {
                known.1 = known.1.saturating_add(bytes);
            } else if talker.pairs.len() < PAIRS {
                talker.pairs.push((pair, bytes));
            }
        }
        if left {
            self.outgoing.add(flow);
        }
    }
    /// Services by bytes, most first.
    pub fn services(&self) -> Vec<((u8, u16), Sum)> {
        let mut list: Vec<_> = self.services.iter().map(|(k, s)| (*k, *s)).collect();
        list.sort_unstable_by(|a, b| b.1.bytes.cmp(&a.1.bytes).then(a.0.cmp(&b.0)));
        list
    }
    /// The busiest hour: its start and what it has.
    pub fn busiest(&self) -> Option<(Time, Sum)> {
        let (hour, sum) = self.hours.iter().max_by_key(|(hour, s)| (s.bytes, std::cmp::Reverse(**hour)))?;
        Some((Time(hour.saturating_mul(3_600 * SECOND)), *sum))
    }
    /// Step 4.
    pub fn space(&self, net: &Net) -> Space {
        let mut networks: BTreeMap<IpNet, Vec<Host>> = BTreeMap::new();
        for host in self.talkers.keys() {
            let addr = net.addr(*host);
            let length = if addr.is_ipv4() { NET4 } else { NET6 };
            let Ok(network) = IpNet::new(addr, length) else { continue };
            networks.entry(network.trunc()).or_default().push(*host);
        }
        for hosts in networks.values_mut() {
            hosts.sort_unstable_by_key(|h| net.addr(*h));
        }
        let count = |which: fn(&Talker) -> bool| self.talkers.values().filter(|t| which(t)).count();
        let talkers: HashSet<IpAddr> = self.talkers.keys().map(|h| net.addr(*h)).collect();
        Space {
            networks: networks.into_iter().collect(),
            counts: (count(|t| t.tcp), count(|t| t.other), self.talkers.len()),
            not_of_talkers: self.senders.iter().filter(|(h, _)| !talkers.contains(&net.addr(**h))).map(|(_, n)| n).sum(),
            transit: self.transit.flows,
        }
    }
    /// Step 6.
    pub fn leftovers(&self, space: &Space, assets: &[Vec<Asset>], net: &Net) -> Vec<Leftover> {
        let profiled: HashSet<Host> =
            assets.iter().flatten().filter(|a| a.rule.is_some_and(|r| r.kept)).map(|a| a.host).collect();
        let mut out: Vec<Leftover> = space
            .networks
            .iter()
            .flat_map(|(_, hosts)| hosts)
            .filter(|h| !profiled.contains(h))
            .filter_map(|host| {
                let talker = self.talkers.get(host)?;
                let mut pairs: Vec<_> = talker.pairs.iter().map(|((p, s, d), b)| (*p, *s, *d, *b)).collect();
                pairs.sort_unstable_by(|a, b| b.3.cmp(&a.3).then((a.0, a.1, a.2).cmp(&(b.0, b.1, b.2))));
                pairs.retain(|p| p.3 as f64 >= SHARE * talker.bytes as f64);
                pairs.truncate(TOP);
                Some(Leftover { host: *host, bytes: talker.bytes, pairs })
            })
            .collect();
        out.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| net.addr(a.host).cmp(&net.addr(b.host))));
        out
    }
}
