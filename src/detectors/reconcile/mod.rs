//! What is stated compared with what is seen: inventories and scans on one side, flows and logs on the other.
//!
//! A [`Site`] is gathered once for all detectors that compare: what is stated of the whole case (`Known`, read before the records), and the
//! ledger of behaviour in the window looked at. Statements are joined to addresses by address, else by hardware address, else by host name, as of
//! the time that is asked for: the newest that is not later, else the earliest.

pub mod known;
pub mod read;
pub mod services;
#[cfg(test)]
mod tests;

pub use known::{Known, Listed, Port, PortState, Scanned, Vulnerability};
pub use read::read;
pub use services::Allowed;

use super::profile::ledger::is_ours;
use super::profile::roles::{Decided, Hints, decide};
use super::profile::{Ledger, Role, Service};
use super::rows::{Host, Net, Piece};
use crate::model::finding::Finding;
use crate::model::time::DAY;
use crate::model::{RecordId, SourceId, Time, Window};
use std::net::IpAddr;

/// What is stated, and what was seen.
#[derive(Default)]
pub struct Site {
    /// What inventories, scans and leases say.
    pub known: Known,
    /// What hosts did.
    pub ledger: Ledger,
}

impl Site {
    /// Of what is stated; nothing seen yet.
    pub fn new(known: Known) -> Site {
        Site { known, ledger: Ledger::default() }
    }
    /// Takes the records of a piece.
    pub fn piece(&mut self, piece: &Piece<'_>) {
        self.ledger.piece(piece);
    }
    /// The inventoried host that has an address at a time.
    pub fn listed(&self, addr: IpAddr, at: Time) -> Option<&Listed> {
        self.known.listed(addr, at)
    }
    /// Services that were used, in order of address, protocol, port.
    pub fn services<'a>(&'a self, net: &Net) -> Vec<(IpAddr, Host, u8, u16, &'a Service)> {
        let mut list: Vec<_> = self.ledger.services.iter().map(|((h, n, p), s)| (net.addr(*h), *h, *n, *p, s)).collect();
        list.sort_unstable_by_key(|s| (s.0, s.2, s.3));
        list
    }
    /// The service at an address.
    pub fn service(&self, addr: IpAddr, number: u8, port: u16, net: &Net) -> Option<&Service> {
        net.find(addr).and_then(|h| self.ledger.services.get(&(h, number, port)))
    }
    /// What every host is taken for, in order of address.
    pub fn roles(&self, net: &Net) -> Vec<(IpAddr, Decided)> {
        let hints = |addr: IpAddr| Hints {
            random_mac: self.known.mac(addr).is_some_and(|m| known::is_random(&m)),
            translates: self.known.translated.contains(&addr),
        };
        self.ledger.by_host(net).iter().map(|of| (net.addr(of.host), decide(of, hints(net.addr(of.host)), net))).collect()
    }
    /// Days from the first flow to the last.
    pub fn days(&self) -> f64 {
        self.ledger.length() as f64 / DAY as f64
    }
    /// The window of everything that was seen.
    pub fn window(&self) -> Window {
        self.ledger.span.map_or(Window::new(Time(0), Time(0)), |(a, b)| crate::model::finding::span(a, b))
    }
    /// Whether a host did anything, or was looked for in vain only.
    pub fn is_seen(&self, addr: IpAddr, net: &Net) -> bool {
        net.find(addr).is_some_and(|h| self.ledger.hosts.contains_key(&h))
    }
    /// What makes every comparison less sure.
    pub fn caveats(&self) -> Vec<String> {
        let mut out = Vec::new();
        if self.known.beyond > 0 {
            out.push(format!("{} statements beyond the bound were not looked at", self.known.beyond));
        }
        if self.ledger.beyond > 0 {
            out.push(format!("{} hosts or services beyond the bound were not looked at", self.ledger.beyond));
        }
        out
    }
}

/// Whether a service speaks HTTP, or TLS where pages are expected: what answers a browser.
pub fn answers_pages(port: u16, service: &Service, net: &Net) -> bool {
    const OTHERS: [u16; 15] = [25, 110, 143, 465, 587, 636, 853, 989, 990, 993, 995, 3269, 5061, 5671, 8883];
    let web = service.apps.any(net, &["http", "http2", "quic"]);
    web || service.apps.any(net, &["tls", "ssl", "dtls"]) && !OTHERS.contains(&port)
}

/// A number of connections in words.
pub fn connections(n: u64) -> String {
    format!("{n} connection{}", if n == 1 { "" } else { "s" })
}

/// A number of others in words, e.g. `1 inside peer`.
pub fn peers(n: &str, which: &str) -> String {
    format!("{n} {which} {}", if n == "1" { "peer" } else { "peers" })
}

/// Days between two times, in words.
pub fn days_between(a: Time, b: Time) -> String {
    format!("{:.1}", a.since(b).abs() as f64 / DAY as f64)
}

/// Gives a finding its query, over the flows of its window and the statements that it rests on.
pub fn opens(finding: &mut Finding, conditions: &str, stated: impl Iterator<Item = (RecordId, Time)>) {
    let (mut start, mut end) = (finding.window.start, finding.window.end);
    for (id, time) in stated {
        finding.rests_on(id);
        start = start.min(time);
        end = end.max(time.plus(1));
    }
    finding.query = format!("{conditions} and between {} and {}", start.rfc3339(), end.rfc3339());
}

/// The condition that selects a service's flows with what inventory and scans say of the host.
pub fn of_service(addr: IpAddr, number: u8, port: u16) -> String {
    let name = crate::model::proto::show(number);
    format!("dst.ip = {addr} and (kind in {{inventory, vuln}} or kind = flow and proto = {name} and dst.port = {port})")
}

/// Sources in order, each once.
pub fn sources(list: impl IntoIterator<Item = SourceId>) -> Vec<SourceId> {
    let mut out: Vec<SourceId> = list.into_iter().collect();
    out.sort_unstable();
    out.dedup();
    out
}

/// How much it matters what a host is for: 1.3 for what is critical, 0.8 for what is of little matter.
pub fn weight(listed: Option<&Listed>) -> f64 {
    let word = listed.map(|l| l.criticality.to_ascii_lowercase()).unwrap_or_default();
    match word.as_str() {
        "critical" | "very high" | "high" | "1" | "tier 0" | "tier 1" => 1.3,
        "low" | "minor" | "4" | "5" => 0.8,
        _ => 1.0,
    }
}

/// Says of a finding which mission it touches.
pub fn mission(finding: &mut Finding, listed: Option<&Listed>) {
    let Some(listed) = listed else { return };
    for (name, value) in [("mission", &listed.mission), ("criticality", &listed.criticality), ("owner", &listed.owner)] {
        if !value.is_empty() {
            finding.number(name, value, "");
        }
    }
}

/// Whether a host is one of one's own that a comparison is about.
pub fn is_subject(host: Host, net: &Net, known: &Known) -> bool {
    is_ours(host, net) && !known.translated.contains(&net.addr(host))
}

/// The role that an inventory states.
pub fn stated_role(listed: &Listed) -> Option<Role> {
    Role::of_stated(&listed.role).or_else(|| Role::of_stated(&listed.product))
}
