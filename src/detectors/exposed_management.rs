//! The page or console by which a printer, router, access point or other device is managed, answered to the outside, or to those inside who do not
//! manage it.

use super::gather::service as shown;
use super::maths::sat;
use super::profile::Family;
use super::reconcile::{
    Site, answers_pages, connections, is_subject, mission, of_service, opens, peers, sources, stated_role, weight,
};
use super::rows::{Host, Net};
use super::{Detector, Limits, Setting};
use crate::model::finding::{Finding, span};
use crate::model::proto;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The detector.
pub static DETECTOR: ExposedManagement = ExposedManagement;

/// See the module.
pub struct ExposedManagement;

const NAME: &str = "exposed_management";
const SETTINGS: &[Setting] = &[
    Setting {
        name: "probability",
        default: 0.7,
        unit: "",
        doc: "How probable it must be that a host is a device, where only its behaviour says so.",
    },
    Setting { name: "connections", default: 1.0, unit: "", doc: "Accepted connections from which on it counts." },
];
/// Ports of pages, printing, consoles and management.
const PORTS: [(u8, u16); 11] = [
    (proto::TCP, 80),
    (proto::TCP, 443),
    (proto::TCP, 8000),
    (proto::TCP, 8080),
    (proto::TCP, 8443),
    (proto::TCP, 9100),
    (proto::TCP, 631),
    (proto::UDP, 631),
    (proto::TCP, 23),
    (proto::TCP, 161),
    (proto::UDP, 161),
];
/// What users of a device may use of it.
const USE: [u16; 2] = [9100, 631];
/// Words of titles, banners and products of what manages.
const ADMIN: [&str; 18] = [
    "printer",
    "jetdirect",
    "laserjet",
    "router",
    "switch",
    "gateway login",
    "access point",
    "webcam",
    "ip camera",
    "idrac",
    "integrated lights-out",
    "ilo ",
    "ipmi",
    "routeros",
    "webadmin",
    "web management",
    "device manager",
    "admin console",
];

impl Detector for ExposedManagement {
    fn name(&self) -> &'static str {
        NAME
    }
    fn doc(&self) -> &'static str {
        "A device's page, printing or management port that outside addresses are answered on, or inside ones not in @network-personnel (R3)."
    }
    fn techniques(&self) -> &'static [&'static str] {
        &["T1190", "T1133"]
    }
    fn settings(&self) -> &'static [Setting] {
        SETTINGS
    }
    fn compares(&self) -> bool {
        true
    }
    fn compare(&self, site: &Site, net: &Net, limits: &Limits) -> Vec<Finding> {
        let sure = limits.of(NAME, SETTINGS, "probability");
        let least = limits.of(NAME, SETTINGS, "connections");
        let roles: BTreeMap<IpAddr, _> = site.roles(net).into_iter().collect();
        let mut out = Vec::new();
        for (addr, host, number, port, service) in site.services(net) {
            let managed = PORTS.contains(&(number, port)) || answers_pages(port, service, net);
            if !managed || (service.flows as f64) < least || !is_subject(host, net, &site.known) {
                continue;
            }
            let listed = site.listed(addr, service.last);
            let product = site.known.ports.get(&(addr, number, port)).map(|p| p.product.as_str()).unwrap_or_default();
            let os = site.known.scanned.get(&addr).map(|s| s.os.as_str()).unwrap_or_default();
            let stated = listed.and_then(stated_role).filter(|r| r.is_device());
            let seen =
                roles.get(&addr).and_then(|d| d.role.map(|r| (r, d))).filter(|(r, d)| r.is_device() && d.probability >= sure);
            let says = |text: &str| {
                let lower = text.to_ascii_lowercase();
                ADMIN.iter().any(|w| lower.contains(w))
            };
            let firmware =
                || listed.map(|l| l.os.as_str()).into_iter().chain([os]).any(|t| Family::of_stated(t) == Some(Family::Firmware));
            let why = match (stated, seen) {
                (Some(role), _) => format!("by its inventory a {}", role.name()),
                (_, Some((role, decided))) => {
                    format!(
                        "by what it does a {} ({:.0} %: {})",
                        role.name(),
                        decided.probability * 100.0,
                        decided.evidence.join(", ")
                    )
                }
                _ if says(product) => format!("a scan found {product} there"),
                _ if firmware() => "by its system a device".to_owned(),
                _ => continue,
            };
            let strangers: Vec<Host> = match &site.known.personnel {
                Some(allowed) if !USE.contains(&port) || answers_pages(port, service, net) => {
                    service.inside.iter().filter(|p| !allowed.has(net.addr(*p))).collect()
                }
                _ => Vec::new(),
            };
            let outside = service.outside_flows > 0;
            if !outside && strangers.is_empty() {
                continue;
            }
            let name = listed.map(|l| l.name.as_str()).filter(|n| !n.is_empty()).map_or_else(String::new, |n| format!(" ({n})"));
            let whom = if outside {
                format!("{} in {}", peers(&service.outside.show(), "outside"), connections(service.outside_flows))
            } else {
                format!("{} inside addresses that do not manage devices", strangers.len())
            };
            let title = format!("{addr}{name}, {why}, answers on {} to {whom}", shown(port, number));
            let mut f = Finding::new(NAME, addr, span(service.first, service.last), title);
            f.service = Some((number, port));
            let facing = listed.and_then(|l| l.internet_facing) == Some(true);
            f.severity = match (outside, facing) {
                (true, false) => 4,
                (true, true) => 3,
                _ => 2,
            };
            let mut met = service.outside.iter();
            f.peer = met.next().filter(|_| service.outside.len() == 1).map(|p| net.addr(p));
            f.score = sat((0.6 + sat(service.outside.len() as f64 / 10.0) * 0.4) * weight(listed)) as f32;
            f.number("outside peers", service.outside.show(), "> 0: critical");
            f.number("connections from outside", service.outside_flows, format!(">= {least}"));
            f.number("inside peers", service.inside.show(), "");
            if seen.is_some() && stated.is_none() {
                f.number("probability", roles.get(&addr).map_or(0.0, |d| d.probability), format!(">= {sure}"));
            }
            mission(&mut f, listed);
            service.evidence().take(4).for_each(|id| f.rests_on(net.record(id)));
            let port_row = site.known.ports.get(&(addr, number, port)).map(|p| (p.id, p.time));
            opens(&mut f, &of_service(addr, number, port), listed.map(|l| (l.id, l.time)).into_iter().chain(port_row));
            f.rows = service.flows;
            f.sources = sources(service.sources.iter().copied().chain(listed.map(|l| l.source)));
            f.caveats = site.caveats();
            if site.known.personnel.is_none() {
                f.caveats
                    .push("no set @network-personnel says who inside may manage devices: only the outside was judged".into());
            }
            if facing {
                f.caveats.push("the inventory says that the internet may reach it".into());
            }
            f.benign = vec![
                "the maker's or a provider's remote maintenance, if it was agreed".into(),
                "an outside address that is one's own and not told as home".into(),
            ];
            out.push(f);
        }
        out
    }
}
