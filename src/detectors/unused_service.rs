//! Services that nobody was seen to use: authorised ones that may be taken off the list, and open ones that only add to what can be attacked.

use super::gather::service as shown;
use super::maths::sat;
use super::profile::Service;
use super::reconcile::{Allowed, Listed, PortState, Site, mission, opens, sources, weight};
use super::rows::Net;
use super::{Detector, Limits, Setting};
use crate::model::finding::Finding;
use crate::model::time::DAY;
use crate::model::{RecordId, SourceId, Time, proto};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The detector.
pub static DETECTOR: UnusedService = UnusedService;

/// See the module.
pub struct UnusedService;

const NAME: &str = "unused_service";
const SETTINGS: &[Setting] = &[
    Setting {
        name: "days",
        default: 30.0,
        unit: "d",
        doc: "Days without a connection up to the end of what was seen, of a shorter case all of it.",
    },
    Setting { name: "least_days", default: 1.0, unit: "d", doc: "Days that a case must span before nothing means anything." },
];
/// Services that never answer: whether they are used is not to be told by answers.
const SILENT: [u16; 8] = [67, 69, 162, 514, 2055, 4739, 6343, 9995];
/// Ports of an authorised range up to which each counts for itself.
const RANGE: u16 = 16;

impl Detector for UnusedService {
    fn name(&self) -> &'static str {
        NAME
    }
    fn doc(&self) -> &'static str {
        "Services of hosts that are seen which no connection used for thirty days: authorised ones (R6), and ones that a scan found open (R7)."
    }
    fn techniques(&self) -> &'static [&'static str] {
        &["T1210"]
    }
    fn settings(&self) -> &'static [Setting] {
        SETTINGS
    }
    fn compares(&self) -> bool {
        true
    }
    fn compare(&self, site: &Site, net: &Net, limits: &Limits) -> Vec<Finding> {
        let (days, least) = (limits.of(NAME, SETTINGS, "days"), limits.of(NAME, SETTINGS, "least_days"));
        if site.days() < least {
            return Vec::new();
        }
        let since = site.window().end.plus(-((days * DAY as f64) as i64));
        let mut used: BTreeMap<IpAddr, Vec<(u8, u16, &Service)>> = BTreeMap::new();
        for (addr, _, number, port, service) in site.services(net) {
            if service.last >= since {
                used.entry(addr).or_default().push((number, port, service));
            }
        }
        let mut out = Vec::new();
        let mut open: BTreeMap<IpAddr, Vec<Open>> = BTreeMap::new();
        for ((addr, number, port), said) in &site.known.ports {
            let of = used.get(addr).map(Vec::as_slice).unwrap_or_default();
            if said.state == PortState::Open
                && site.is_seen(*addr, net)
                && !is_used(of, *number, *port, *port)
                && !is_silent(*number, *port)
            {
                open.entry(*addr).or_default().push((*number, *port, said.id, said.time, said.source));
            }
        }
        for (addr, ports) in &open {
            out.push(never_used(site, *addr, ports, days));
        }
        for listed in site.known.current() {
            for addr in site.known.addresses(listed) {
                if !site.is_seen(addr, net) || site.listed(addr, Time::MAX).is_none_or(|l| l.id != listed.id) {
                    continue;
                }
                let of = used.get(&addr).map(Vec::as_slice).unwrap_or_default();
                let is_open = |a: &Allowed| {
                    let list = open.get(&addr).map(Vec::as_slice).unwrap_or_default();
                    list.iter().any(|o| (a.from..=a.to).contains(&o.1) && a.proto.is_none_or(|p| p == o.0))
                };
                let unused = site.known.authorised(listed).unwrap_or_default().into_iter().flat_map(each).filter(|a| {
                    let number = a.proto.unwrap_or(proto::TCP);
                    let any = is_used(of, number, a.from, a.to) || a.proto.is_none() && is_used(of, proto::UDP, a.from, a.to);
                    let silent = a.from == a.to && is_silent(number, a.from);
                    // Up to the last port: anything is allowed, which says nothing of what is needed.
                    !(any || silent || is_open(a) || a.to == u16::MAX)
                });
                let unused: Vec<Allowed> = unused.collect();
                if !unused.is_empty() {
                    out.push(not_needed(site, addr, listed, &unused, days));
                }
            }
        }
        out
    }
}

type Open = (u8, u16, RecordId, Time, SourceId);

fn is_silent(number: u8, port: u16) -> bool {
    number == proto::UDP && SILENT.contains(&port)
}

/// A short range as its ports.
fn each(a: Allowed) -> Vec<Allowed> {
    if a.to.saturating_sub(a.from) >= RANGE {
        return vec![a];
    }
    (a.from..=a.to).map(|port| Allowed { from: port, to: port, ..a }).collect()
}

/// Whether a service was used; over either transport where one name has both.
fn is_used(list: &[(u8, u16, &Service)], number: u8, from: u16, to: u16) -> bool {
    const BOTH: [u16; 6] = [53, 88, 389, 443, 464, 5060];
    list.iter().any(|(n, p, _)| (from..=to).contains(p) && (*n == number || BOTH.contains(p)))
}

fn finish(f: &mut Finding, site: &Site, addr: IpAddr, stated: impl Iterator<Item = (RecordId, Time)>, days: f64) {
    opens(f, &format!("dst.ip = {addr} and kind in {{flow, inventory, vuln}}"), stated);
    f.number("days looked at", format!("{:.1}", site.days()), format!("{days}"));
    f.number("connections", 0, "0");
    mission(f, site.listed(addr, Time::MAX));
    f.caveats = site.caveats();
    if site.days() < days {
        f.caveats.push(format!("the case spans {:.1} days only, fewer than {days}", site.days()));
    }
    f.caveats.push("use that no sensor sees, as within one network, is not counted".into());
}

fn never_used(site: &Site, addr: IpAddr, ports: &[Open], days: f64) -> Finding {
    let listed = site.listed(addr, Time::MAX);
    let words: Vec<String> = ports
        .iter()
        .take(12)
        .map(|(n, p, ..)| {
            let allowed = listed.and_then(|l| site.known.is_authorised(l, *n, *p));
            let word = match allowed {
                Some(true) => " (authorised)",
                Some(false) => " (not authorised)",
                None => "",
            };
            format!("{}{word}", shown(*p, *n))
        })
        .collect();
    let more = if ports.len() > words.len() { format!(" and {} more", ports.len() - words.len()) } else { String::new() };
    let name = listed.map(|l| l.name.as_str()).filter(|n| !n.is_empty()).map_or_else(String::new, |n| format!(" ({n})"));
    let title = format!("{addr}{name}: open by the scan, never used: {}{more}", words.join(", "));
    let mut f = Finding::new(NAME, addr, site.window(), title);
    f.service = ports.first().map(|p| (p.0, p.1));
    f.severity = 1;
    f.score = sat((0.2 + ports.len() as f64 / 20.0) * weight(listed)) as f32;
    f.number("open ports without use", ports.len(), "> 0");
    f.rows = ports.len() as u64;
    f.sources = sources(ports.iter().map(|p| p.4));
    finish(&mut f, site, addr, ports.iter().map(|p| (p.2, p.3)), days);
    f.benign = vec![
        "a service for emergencies, or for a yearly task".into(),
        "services that every system of its kind has open, which a firewall guards".into(),
    ];
    f
}

fn not_needed(site: &Site, addr: IpAddr, listed: &Listed, unused: &[Allowed], days: f64) -> Finding {
    let show = |a: &Allowed| {
        let ports = if a.from == a.to { a.from.to_string() } else { format!("{}-{}", a.from, a.to) };
        a.proto.map_or_else(|| ports.clone(), |p| format!("{ports}/{}", proto::show(p)))
    };
    let words: Vec<String> = unused.iter().take(12).map(show).collect();
    let more = if unused.len() > words.len() { format!(" and {} more", unused.len() - words.len()) } else { String::new() };
    let name = if listed.name.is_empty() { String::new() } else { format!(" ({})", listed.name) };
    let title = format!("{addr}{name}: authorised, never used: {}{more}", words.join(", "));
    let mut f = Finding::new(NAME, addr, site.window(), title);
    f.service = unused.first().map(|a| (a.proto.unwrap_or(proto::TCP), a.from));
    f.severity = 0;
    f.score = sat(0.1 + unused.len() as f64 / 40.0) as f32;
    f.number("authorised services without use", unused.len(), "> 0");
    f.rows = 1;
    f.sources = vec![listed.source];
    finish(&mut f, site, addr, [(listed.id, listed.time)].into_iter(), days);
    f.benign = vec!["a service that is needed seldom, or only where no sensor sees it".into()];
    f
}
