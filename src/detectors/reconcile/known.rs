//! What is stated: inventoried hosts, scanned ports, vulnerabilities, leases, and the addresses that translations show to the outside.

use super::services::{Allowed, covers, implied, parse};
use crate::model::filter::Members;
use crate::model::{RecordId, SourceId, Time};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

/// A row of an inventory.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Listed {
    /// Its address; none: it is found by hardware address or name.
    pub addr: Option<IpAddr>,
    /// Hardware address, lower case.
    pub mac: String,
    /// Host name, lower case, as written.
    pub name: String,
    /// Role.
    pub role: String,
    /// Operating system.
    pub os: String,
    /// Owner.
    pub owner: String,
    /// Mission.
    pub mission: String,
    /// Criticality.
    pub criticality: String,
    /// Product or model.
    pub product: String,
    /// Authorised services, as they are written; none: the row names none.
    pub services: Option<String>,
    /// Whether the internet may reach it, if that is stated.
    pub internet_facing: Option<bool>,
    /// When it was stated.
    pub time: Time,
    /// The record.
    pub id: RecordId,
    /// Whose it is.
    pub source: SourceId,
}

/// State of a scanned port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PortState {
    /// Something answered.
    Open,
    /// Refused.
    Closed,
    /// No answer.
    Filtered,
}

impl PortState {
    /// Of a scanner's word. `open|filtered` says neither.
    pub fn parse(word: &str) -> Option<PortState> {
        match word.to_ascii_lowercase().as_str() {
            "open" => Some(PortState::Open),
            "closed" => Some(PortState::Closed),
            "filtered" => Some(PortState::Filtered),
            _ => None,
        }
    }
    /// Its word.
    pub fn name(self) -> &'static str {
        match self {
            PortState::Open => "open",
            PortState::Closed => "closed",
            PortState::Filtered => "filtered",
        }
    }
}

/// What the newest scan says of a port.
#[derive(Debug, Clone, PartialEq)]
pub struct Port {
    /// State.
    pub state: PortState,
    /// Product, version or banner.
    pub product: String,
    /// When it was scanned: begin of the host's scan.
    pub time: Time,
    /// The record.
    pub id: RecordId,
    /// Whose scan it is.
    pub source: SourceId,
}

/// What the newest scan says of a host.
#[derive(Debug, Clone, PartialEq)]
pub struct Scanned {
    /// Operating system, if it was told.
    pub os: String,
    /// When.
    pub time: Time,
    /// The record.
    pub id: RecordId,
    /// Whose scan it is.
    pub source: SourceId,
}

/// A vulnerability.
#[derive(Debug, Clone, PartialEq)]
pub struct Vulnerability {
    /// Where.
    pub addr: IpAddr,
    /// IANA number.
    pub proto: u8,
    /// Port; 0: of the host.
    pub port: u16,
    /// What the scanner calls it.
    pub title: String,
    /// CVE identifiers.
    pub cves: Vec<String>,
    /// Rank of severity.
    pub severity: u8,
    /// CVSS base score.
    pub cvss: Option<f64>,
    /// When it was found.
    pub time: Time,
    /// The record.
    pub id: RecordId,
    /// Whose scan it is.
    pub source: SourceId,
}

/// A lease: who had an address from when on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lease {
    /// From when on.
    pub time: Time,
    /// Hardware address, lower case.
    pub mac: String,
    /// Host name that the client gave, lower case.
    pub name: String,
}

/// Most leases of one address.
const LEASES: usize = 1_000;

/// Everything that is stated.
#[derive(Debug, Default)]
pub struct Known {
    /// Inventoried hosts, in order of time and record.
    pub hosts: Vec<Listed>,
    by_addr: HashMap<IpAddr, Vec<usize>>,
    by_mac: HashMap<String, Vec<usize>>,
    by_name: HashMap<String, Vec<usize>>,
    /// Ports by address, protocol, port.
    pub ports: BTreeMap<(IpAddr, u8, u16), Port>,
    /// Scanned hosts.
    pub scanned: BTreeMap<IpAddr, Scanned>,
    /// Ports that a scan found open on any host: it tried them on all.
    tried: HashSet<(SourceId, u8, u16)>,
    /// Vulnerabilities.
    pub vulnerabilities: Vec<Vulnerability>,
    /// Leases by address, in order of time.
    leases: HashMap<IpAddr, Vec<Lease>>,
    /// Addresses that translations show to the outside.
    pub translated: BTreeSet<IpAddr>,
    /// Addresses of those who may manage devices, if a set says so.
    pub personnel: Option<Arc<Members>>,
    /// Inventories that name services of any host: what they do not name they do not authorise.
    naming: HashSet<SourceId>,
    /// Statements beyond the bound.
    pub beyond: u64,
}

impl Known {
    /// Adds an inventoried host.
    pub fn add_host(&mut self, listed: Listed) {
        if listed.services.as_deref().and_then(parse).is_some() {
            self.naming.insert(listed.source);
        }
        self.hosts.push(listed);
    }
    /// Adds a scanned port; of several the newest counts, of those of one time the open one.
    pub fn add_port(&mut self, addr: IpAddr, number: u8, port: u16, said: Port) {
        if said.state == PortState::Open {
            self.tried.insert((said.source, number, port));
        }
        let newer = |old: &Port| (said.time, std::cmp::Reverse(said.state)) > (old.time, std::cmp::Reverse(old.state));
        match self.ports.get_mut(&(addr, number, port)) {
            Some(old) if newer(old) => *old = said,
            Some(old) => {
                if old.product.is_empty() {
                    old.product = said.product;
                }
            }
            None => _ = self.ports.insert((addr, number, port), said),
        }
    }
    /// Adds a scanned host; the newest counts.
    pub fn add_scanned(&mut self, addr: IpAddr, said: Scanned) {
        match self.scanned.get_mut(&addr) {
            Some(old) if (said.time, said.id) > (old.time, old.id) => {
                let os = if said.os.is_empty() { std::mem::take(&mut old.os) } else { said.os.clone() };
                *old = Scanned { os, ..said };
            }
            Some(old) => {
                if old.os.is_empty() {
                    old.os = said.os;
                }
            }
            None => _ = self.scanned.insert(addr, said),
        }
    }
    /// Adds a lease.
    pub fn add_lease(&mut self, addr: IpAddr, lease: Lease) {
        let of = self.leases.entry(addr).or_default();
        if of.last().is_some_and(|l| l.mac == lease.mac && (lease.name.is_empty() || l.name == lease.name)) {
            return;
        }
        if of.len() < LEASES {
            of.push(lease);
        } else {
            self.beyond += 1;
        }
    }
    /// Everything was added: what finds hosts is made.
    pub fn close(&mut self) {
        [&mut self.by_mac, &mut self.by_name].into_iter().for_each(HashMap::clear);
        self.by_addr.clear();
        self.hosts.sort_by_key(|a| (a.time, a.id));
        // Names stand with and without their domain.
        let key = |name: &str| name.split('.').next().unwrap_or(name).to_owned();
        for (n, host) in self.hosts.iter().enumerate() {
            if let Some(addr) = host.addr {
                self.by_addr.entry(addr).or_default().push(n);
            }
            if !host.mac.is_empty() {
                self.by_mac.entry(host.mac.clone()).or_default().push(n);
            }
            if !host.name.is_empty() {
                self.by_name.entry(key(&host.name)).or_default().push(n);
            }
        }
        self.leases.values_mut().for_each(|l| l.sort());
        let order = |v: &Vulnerability| (v.addr, v.proto, v.port, v.id);
        self.vulnerabilities.sort_by_key(order);
    }
    /// Whether anything is inventoried.
    pub fn has_inventory(&self) -> bool {
        !self.hosts.is_empty()
    }
    /// Whether anything is stated at all.
    pub fn is_empty(&self) -> bool {
        self.hosts.is_empty() && self.ports.is_empty() && self.vulnerabilities.is_empty() && self.scanned.is_empty()
    }
    /// The lease of an address at a time.
    pub fn lease(&self, addr: IpAddr, at: Time) -> Option<&Lease> {
        let of = self.leases.get(&addr)?;
        of.iter().rev().find(|l| l.time <= at).or_else(|| of.first())
    }
    /// The hardware address of an address, by its newest lease or row.
    pub fn mac(&self, addr: IpAddr) -> Option<String> {
        let leased = self.lease(addr, Time::MAX).map(|l| l.mac.clone()).filter(|m| !m.is_empty());
        leased.or_else(|| self.listed(addr, Time::MAX).map(|l| l.mac.clone()).filter(|m| !m.is_empty()))
    }
    fn as_of(&self, list: Option<&Vec<usize>>, at: Time) -> Option<&Listed> {
        let rows = || list.into_iter().flatten().filter_map(|n| self.hosts.get(*n));
        rows().rev().find(|h| h.time <= at).or_else(|| rows().next())
    }
    /// The inventoried host that has an address at a time: by the address, else the hardware address, else the name that it had then.
    pub fn listed(&self, addr: IpAddr, at: Time) -> Option<&Listed> {
        if let Some(found) = self.as_of(self.by_addr.get(&addr), at) {
            return Some(found);
        }
        let lease = self.lease(addr, at)?;
        let by_mac = self.by_mac.get(&lease.mac).filter(|_| !lease.mac.is_empty());
        let name = lease.name.split('.').next().unwrap_or_default();
        let by_name = || self.by_name.get(name).filter(|_| !name.is_empty());
        // A row with another address is of another host of that name, or of the host elsewhere.
        self.as_of(by_mac, at).or_else(|| self.as_of(by_name(), at))
    }
    /// Of each inventoried host its newest row, in order of time and record.
    pub fn current(&self) -> Vec<&Listed> {
        let newest = |n: usize, h: &Listed| {
            let last = |list: Option<&Vec<usize>>| list.and_then(|l| l.last()).is_some_and(|l| *l == n);
            match h.addr {
                Some(addr) => last(self.by_addr.get(&addr)),
                None if !h.mac.is_empty() => last(self.by_mac.get(&h.mac)),
                None => last(self.by_name.get(h.name.split('.').next().unwrap_or_default())),
            }
        };
        self.hosts.iter().enumerate().filter(|(n, h)| newest(*n, h)).map(|(_, h)| h).collect()
    }
    /// The addresses that an inventoried host has or had: its own, else those leased to its hardware address or name.
    pub fn addresses(&self, listed: &Listed) -> Vec<IpAddr> {
        let mut out: Vec<IpAddr> = listed.addr.into_iter().collect();
        if out.is_empty() {
            let name = |n: &str| n.split('.').next().unwrap_or_default().to_owned();
            let of =
                |l: &Lease| !l.mac.is_empty() && l.mac == listed.mac || !l.name.is_empty() && name(&l.name) == name(&listed.name);
            out.extend(self.leases.iter().filter(|(_, list)| list.iter().any(of)).map(|(a, _)| *a));
            out.sort_unstable();
        }
        out
    }
    /// What a host may offer; none: its inventory says nothing of services.
    pub fn authorised(&self, listed: &Listed) -> Option<Vec<Allowed>> {
        let said = listed.services.as_deref().and_then(parse);
        said.or_else(|| (listed.services.is_none() && self.naming.contains(&listed.source)).then(Vec::new))
    }
    /// Whether a host may offer a service; none: nobody says.
    pub fn is_authorised(&self, listed: &Listed, number: u8, port: u16) -> Option<bool> {
        let list = self.authorised(listed)?;
        Some(covers(&list, number, port) || implied(&listed.role, port))
    }
    /// What the newest scan says of a port: its own row, else that the scan which found it open elsewhere did not find it here.
    pub fn port(&self, addr: IpAddr, number: u8, port: u16) -> Option<(PortState, Time, RecordId, SourceId, bool)> {
        if let Some(said) = self.ports.get(&(addr, number, port)) {
            return Some((said.state, said.time, said.id, said.source, true));
        }
        // A scan that names no port of a host may not have looked at its ports.
        let own = self.ports.range((addr, number, 0)..=(addr, number, u16::MAX)).map(|(_, p)| p);
        let tried = own.filter(|p| self.tried.contains(&(p.source, number, port))).max_by_key(|p| (p.time, p.id))?;
        Some((PortState::Closed, tried.time, tried.id, tried.source, false))
    }
    /// Whether any inventoried host has an address in a network.
    pub fn covers_network(&self, net: &ipnet::IpNet) -> bool {
        self.hosts.iter().any(|h| h.addr.is_some_and(|a| net.contains(&a)))
    }
}

/// Whether a hardware address is one that a device made up: locally administered, of one host.
pub fn is_random(mac: &str) -> bool {
    let first = mac.get(..2).and_then(|b| u8::from_str_radix(b, 16).ok());
    first.is_some_and(|b| b & 0x03 == 0x02)
}
