//! What one's own hosts do: which services they accept, from whom, what they ask others for, and what says which system they run.
//!
//! Only what was accepted or answered makes an entry, so that scans leave none. Everything is bounded; what did not fit is counted.

use super::systems::{Family, Systems};
use crate::detectors::held::{Table, push};
use crate::detectors::rows::{Event, Flow, Host, Id, Net, Piece, Word};
use crate::model::{Kind, SourceId, Time, proto};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::net::IpAddr;

/// A map with a fast hash. Its order never reaches a result.
pub type Map<K, V> = HashMap<K, V, foldhash::fast::RandomState>;

/// Most services, uses and hosts that are kept apart.
const MOST: usize = 400_000;
/// Peers of one service that are told apart.
const PEERS: usize = 64;
/// Records of one service that are kept as evidence.
const IDS: usize = 4;
/// Names and applications of one service.
const WORDS: usize = 4;

/// Hosts that were met, the first so many of them.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Peers {
    list: Vec<Host>,
    /// There were more than are listed.
    pub more: bool,
}

impl Peers {
    /// Adds a host.
    pub fn add(&mut self, host: Host) {
        if let Err(at) = self.list.binary_search(&host) {
            if self.list.len() < PEERS {
                push(&mut self.list, host);
                self.list[at..].rotate_right(1);
            } else {
                self.more = true;
            }
        }
    }
    /// How many are known: at least so many.
    pub fn len(&self) -> usize {
        self.list.len()
    }
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
    /// Those that are known, in order of number.
    pub fn iter(&self) -> impl Iterator<Item = Host> + '_ {
        self.list.iter().copied()
    }
    /// The number in words: `3`, `64+`.
    pub fn show(&self) -> String {
        format!("{}{}", self.list.len(), if self.more { "+" } else { "" })
    }
}

/// What a service was heard to speak.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Apps {
    /// Application, and whether both sides of a connection said so.
    pub list: Vec<(Word, bool)>,
}

impl Apps {
    fn add(&mut self, app: Word, parsed: bool) {
        if !app.is_some() {
            return;
        }
        if let Some(known) = self.list.iter_mut().find(|a| a.0 == app) {
            known.1 |= parsed;
        } else if self.list.len() < WORDS {
            push(&mut self.list, (app, parsed));
        }
    }
    /// Whether it speaks any of these (`http,tls` speaks both).
    pub fn any(&self, net: &Net, names: &[&str]) -> bool {
        self.list.iter().any(|(w, _)| net.text(*w).split(',').any(|a| names.contains(&a)))
    }
    /// Whether anything was heard, and whether both sides said so.
    pub fn heard(&self) -> (bool, bool) {
        (!self.list.is_empty(), self.list.iter().any(|a| a.1))
    }
}

/// What was seen of a service of one's own, or of what a host asks others for: accepted connections.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Service {
    /// First and last of them.
    pub first: Time,
    /// The start of the last.
    pub last: Time,
    /// How many.
    pub flows: u64,
    /// How many of them with an outside address.
    pub outside_flows: u64,
    /// Other ends that are one's own.
    pub inside: Peers,
    /// Other ends that are not.
    pub outside: Peers,
    /// IP bytes that the host received.
    pub bytes_in: u64,
    /// IP bytes that the host sent.
    pub bytes_out: u64,
    /// What was spoken.
    pub apps: Apps,
    /// Names that clients used.
    pub names: Vec<Word>,
    /// The first records.
    pub ids: Vec<Id>,
    /// The first records with an outside address.
    pub outside_ids: Vec<Id>,
    /// Who saw it.
    pub sources: Vec<SourceId>,
}

/// What a host asks others for, by protocol and port.
pub type Use = Service;

impl Service {
    fn new(at: Time) -> Service {
        Service {
            first: at,
            last: at,
            flows: 0,
            outside_flows: 0,
            inside: Peers::default(),
            outside: Peers::default(),
            bytes_in: 0,
            bytes_out: 0,
            apps: Apps::default(),
            names: Vec::new(),
            ids: Vec::new(),
            outside_ids: Vec::new(),
            sources: Vec::new(),
        }
    }
    fn add(&mut self, flow: &Flow, peer: Host, received: u64, sent: u64, net: &Net) {
        self.first = self.first.min(flow.start);
        self.last = self.last.max(flow.start);
        self.flows += 1;
        self.bytes_in = self.bytes_in.saturating_add(received);
        self.bytes_out = self.bytes_out.saturating_add(sent);
        self.apps.add(flow.app, flow.app_parsed);
        if flow.name.is_some() && self.names.len() < WORDS && !self.names.contains(&flow.name) {
            push(&mut self.names, flow.name);
        }
        let outside = !net.is_home(peer);
        if outside {
            self.outside_flows += 1;
            self.outside.add(peer);
        } else {
            self.inside.add(peer);
        }
        let ids = if outside { &mut self.outside_ids } else { &mut self.ids };
        if ids.len() < IDS {
            push(ids, flow.id);
        }
        if self.sources.len() < 8 && !self.sources.contains(&flow.source) {
            push(&mut self.sources, flow.source);
        }
    }
    /// How many different peers: at least so many.
    pub fn peers(&self) -> usize {
        self.inside.len() + self.outside.len()
    }
    /// Some of its records, those with outside addresses first.
    pub fn evidence(&self) -> impl Iterator<Item = Id> + '_ {
        self.outside_ids.iter().chain(&self.ids).copied()
    }
}

/// What was seen of a host of one's own.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Seen {
    /// First and last that it said anything.
    pub first: Time,
    /// The last of it.
    pub last: Time,
    /// Connections that it began and that were answered.
    pub asked: u64,
    /// Connections that it began and that came to nothing.
    pub failed: u64,
    /// With whom they came to nothing.
    pub failed_peers: Peers,
    /// Connections that it accepted.
    pub accepted: u64,
    /// IP bytes that it sent and received.
    pub bytes: u64,
    /// Other ends that are not one's own, of what was answered.
    pub outside: Peers,
    /// What says which system it runs.
    pub systems: Systems,
    /// Protocols of routers that it speaks (OSPF, EIGRP, VRRP, PIM, HSRP).
    pub routing: bool,
    /// The first records of it.
    pub ids: Vec<Id>,
    /// Who saw it.
    pub sources: Vec<SourceId>,
}

impl Seen {
    fn new(at: Time) -> Seen {
        Seen {
            first: at,
            last: at,
            asked: 0,
            failed: 0,
            failed_peers: Peers::default(),
            accepted: 0,
            bytes: 0,
            outside: Peers::default(),
            systems: Systems::default(),
            routing: false,
            ids: Vec::new(),
            sources: Vec::new(),
        }
    }
    fn at(&mut self, time: Time, id: Id, source: SourceId) {
        self.first = self.first.min(time);
        self.last = self.last.max(time);
        if self.ids.len() < IDS {
            self.ids.push(id);
        }
        if self.sources.len() < 8 && !self.sources.contains(&source) {
            push(&mut self.sources, source);
        }
    }
    /// Whether anybody answered it or was answered by it.
    pub fn talks(&self) -> bool {
        self.asked > 0 || self.accepted > 0
    }
}

/// Services, uses and hosts of one's own.
#[derive(Default, Serialize, Deserialize)]
pub struct Ledger {
    /// By host, protocol and port: what it accepted.
    pub services: Table<(Host, u8, u16), Service>,
    /// By host, protocol and port of the other end: what it asked for and got.
    pub uses: Table<(Host, u8, u16), Use>,
    /// By host.
    pub hosts: Map<Host, Seen>,
    /// What agents and names say, by text.
    says: Map<(Word, bool), Option<Family>>,
    /// First and last flow.
    pub span: Option<(Time, Time)>,
    /// Flows that were looked at.
    pub flows: u64,
    /// Entries beyond the bound.
    pub beyond: u64,
}

/// A host with its services and uses, each in order of protocol and port.
pub struct Of<'a> {
    /// The host.
    pub host: Host,
    /// What was seen of it.
    pub seen: &'a Seen,
    /// What it accepts.
    pub services: Vec<(u8, u16, &'a Service)>,
    /// What it asks for.
    pub uses: Vec<(u8, u16, &'a Use)>,
}

impl Ledger {
    /// Takes the records of a piece.
    pub fn piece(&mut self, piece: &Piece<'_>) {
        for flow in piece.flows {
            self.flow(flow, piece.net);
        }
        for event in piece.events {
            self.event(event, piece.net);
        }
        for query in piece.queries {
            if is_ours(query.client, piece.net) {
                let says = self.says(query.name, false, piece.net);
                if let Some(seen) = self.seen(query.client, query.time) {
                    seen.at(query.time, query.id, query.source);
                    seen.systems.name(says);
                }
            }
        }
    }
    fn flow(&mut self, flow: &Flow, net: &Net) {
        self.flows += 1;
        self.span = Some(self.span.map_or((flow.start, flow.start), |(a, b)| (a.min(flow.start), b.max(flow.start))));
        let accepted = flow.is_accepted() && net.is_unicast(flow.dst);
        let key = (flow.proto, flow.dst_port);
        if is_ours(flow.src, net) {
            let failed = flow.is_failed();
            let outside = accepted && !net.is_home(flow.dst);
            if let Some(seen) = self.seen(flow.src, flow.start) {
                seen.at(flow.start, flow.id, flow.source);
                seen.systems.stack(flow.stacks[0], false, flow.id);
                seen.bytes = seen.bytes.saturating_add(flow.bytes());
                seen.routing |= matches!(flow.proto, 88 | 89 | 103 | 112) || flow.proto == proto::UDP && flow.dst_port == 1985;
                if accepted || flow.is_answered() && !failed {
                    seen.asked += 1;
                } else if failed && net.is_unicast(flow.dst) {
                    seen.failed += 1;
                    seen.failed_peers.add(flow.dst);
                }
                if outside {
                    seen.outside.add(flow.dst);
                }
            }
            if accepted && has_ports(flow.proto) {
                let entry = room(&mut self.uses, (flow.src, key.0, key.1), &mut self.beyond, flow.start);
                entry.into_iter().for_each(|u| u.add(flow, flow.dst, flow.bytes_in, flow.bytes_out, net));
            }
        }
        if accepted && is_ours(flow.dst, net) {
            let outside = !net.is_home(flow.src);
            if let Some(seen) = self.seen(flow.dst, flow.start) {
                seen.at(flow.start, flow.id, flow.source);
                seen.systems.stack(flow.stacks[1], true, flow.id);
                seen.accepted += 1;
                seen.bytes = seen.bytes.saturating_add(flow.bytes());
                if outside {
                    seen.outside.add(flow.src);
                }
            }
            if has_ports(flow.proto) {
                let entry = room(&mut self.services, (flow.dst, key.0, key.1), &mut self.beyond, flow.start);
                entry.into_iter().for_each(|s| s.add(flow, flow.src, flow.bytes_out, flow.bytes_in, net));
            }
        }
    }
    fn event(&mut self, event: &Event, net: &Net) {
        // What an alert or a firewall says of an address may be said of a forged one; scans and inventories are no behaviour.
        if !matches!(event.kind, Kind::Http | Kind::Tls | Kind::Proxy | Kind::Auth) {
            return;
        }
        let Some(host) = event.src.filter(|h| is_ours(*h, net)) else { return };
        let says = match event.kind {
            Kind::Http | Kind::Proxy => self.says(event.agent, true, net),
            _ => None,
        };
        if let Some(seen) = self.seen(host, event.time) {
            seen.at(event.time, event.id, event.source);
            seen.systems.agent(says, event.id);
        }
    }
    fn says(&mut self, word: Word, agent: bool, net: &Net) -> Option<Family> {
        if !word.is_some() {
            return None;
        }
        if self.says.len() >= MOST {
            self.says.clear();
        }
        *self.says.entry((word, agent)).or_insert_with(|| {
            let text = net.text(word);
            if agent { Family::of_agent(text) } else { Family::of_name(text) }
        })
    }
    fn seen(&mut self, host: Host, at: Time) -> Option<&mut Seen> {
        if self.hosts.len() >= MOST && !self.hosts.contains_key(&host) {
            self.beyond += 1;
            return None;
        }
        Some(self.hosts.entry(host).or_insert_with(|| Seen::new(at)))
    }
    /// Every host with what it offers and asks for, in order of address.
    pub fn by_host(&self, net: &Net) -> Vec<Of<'_>> {
        let mut places: Map<Host, usize> = Map::default();
        let mut out: Vec<Of<'_>> =
            self.hosts.iter().map(|(h, seen)| Of { host: *h, seen, services: Vec::new(), uses: Vec::new() }).collect();
        out.sort_unstable_by_key(|o| net.addr(o.host));
        for (n, of) in out.iter().enumerate() {
            places.insert(of.host, n);
        }
        for ((host, proto, port), service) in self.services.iter() {
            if let Some(of) = places.get(host).and_then(|n| out.get_mut(*n)) {
                of.services.push((*proto, *port, service));
            }
        }
        for ((host, proto, port), used) in self.uses.iter() {
            if let Some(of) = places.get(host).and_then(|n| out.get_mut(*n)) {
                of.uses.push((*proto, *port, used));
            }
        }
        for of in &mut out {
            of.services.sort_unstable_by_key(|s| (s.0, s.1));
            of.uses.sort_unstable_by_key(|s| (s.0, s.1));
        }
        out
    }
    /// Nanoseconds from the first flow to the last.
    pub fn length(&self) -> i64 {
        self.span.map_or(0, |(a, b)| b.since(a))
    }
}

fn room<'a>(
    map: &'a mut Table<(Host, u8, u16), Service>,
    key: (Host, u8, u16),
    beyond: &mut u64,
    at: Time,
) -> Option<&'a mut Service> {
    if map.len() >= MOST && !map.contains_key(&key) {
        *beyond += 1;
        return None;
    }
    Some(map.entry(key, || Service::new(at)))
}

fn has_ports(number: u8) -> bool {
    matches!(number, proto::TCP | proto::UDP | proto::SCTP)
}

/// Whether a host is one of one's own that has the address for itself: no group, no address of a link.
pub fn is_ours(host: Host, net: &Net) -> bool {
    net.is_home(host)
        && net.is_unicast(host)
        && match net.addr(host) {
            IpAddr::V4(a) => !a.is_link_local(),
            IpAddr::V6(a) => !a.is_unicast_link_local(),
        }
}
