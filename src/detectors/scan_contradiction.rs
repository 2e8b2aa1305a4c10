//! A service that connections were accepted on while the scan says that its port is closed or filtered: open to some, at some times, after a knock,
//! or something that hides.

use super::gather::service as shown;
use super::maths::sat;
use super::reconcile::{Site, connections, days_between, is_subject, mission, of_service, opens, peers, sources, weight};
use super::rows::Net;
use super::{Detector, Limits, Setting};
use crate::model::finding::{Finding, span};
use crate::model::proto;

/// The detector.
pub static DETECTOR: ScanContradiction = ScanContradiction;

/// See the module.
pub struct ScanContradiction;

const NAME: &str = "scan_contradiction";
const SETTINGS: &[Setting] = &[
    Setting { name: "connections", default: 1.0, unit: "", doc: "Accepted connections from which on a service counts as used." },
    Setting {
        name: "tried",
        default: 1.0,
        unit: "",
        doc: "1: a port that the scan found open on another host counts as tried on this one; 0: only its own row.",
    },
];

impl Detector for ScanContradiction {
    fn name(&self) -> &'static str {
        NAME
    }
    fn doc(&self) -> &'static str {
        "Connections accepted on a port that the newest scan before their end found closed or filtered (R8)."
    }
    fn techniques(&self) -> &'static [&'static str] {
        &["T1205", "T1571"]
    }
    fn settings(&self) -> &'static [Setting] {
        SETTINGS
    }
    fn compares(&self) -> bool {
        true
    }
    fn compare(&self, site: &Site, net: &Net, limits: &Limits) -> Vec<Finding> {
        let (least, guess) = (limits.of(NAME, SETTINGS, "connections"), limits.of(NAME, SETTINGS, "tried") >= 1.0);
        let mut out = Vec::new();
        for (addr, host, number, port, service) in site.services(net) {
            if (service.flows as f64) < least || !is_subject(host, net, &site.known) {
                continue;
            }
            let Some((state, time, id, source, own)) = site.known.port(addr, number, port) else { continue };
            // Closed since the last connection: no contradiction. What was not tried on UDP is told from nothing.
            let is_open = state == super::reconcile::PortState::Open;
            if is_open || service.last < time || !own && (!guess || number != proto::TCP) {
                continue;
            }
            let listed = site.listed(addr, service.last);
            let name = listed.map(|l| l.name.as_str()).filter(|n| !n.is_empty()).map_or_else(String::new, |n| format!(" ({n})"));
            let said = if own { state.name().to_owned() } else { "not open, while it found that port open elsewhere".to_owned() };
            let title = format!(
                "{addr}{name} accepts {} that the scan says is {said}: {} of {}",
                shown(port, number),
                connections(service.flows),
                peers(&service.peers().to_string(), "different")
            );
            let mut f = Finding::new(NAME, addr, span(service.first, service.last), title);
            f.service = Some((number, port));
            f.severity = if own { 3 } else { 2 };
            let few = if service.peers() <= 2 { 0.2 } else { 0.0 };
            let outside = if service.outside_flows > 0 { 0.2 } else { 0.0 };
            f.score = sat((0.4 + few + outside) * weight(listed)) as f32;
            f.number("connections accepted", service.flows, format!(">= {least}"));
            f.number("state by the scan", state.name(), "not open");
            f.number("days from the scan to the last connection", days_between(service.last, time), "");
            f.number("inside peers", service.inside.show(), "");
            f.number("outside peers", service.outside.show(), "");
            mission(&mut f, listed);
            service.evidence().take(4).for_each(|id| f.rests_on(net.record(id)));
            opens(&mut f, &of_service(addr, number, port), [(id, time)].into_iter());
            f.rows = service.flows;
            f.sources = sources(service.sources.iter().copied().chain([source]));
            f.caveats = site.caveats();
            if !own {
                f.caveats.push("the scan has no row for this port; that it was tried follows from other hosts".into());
            }
            if service.first > time {
                f.caveats.push("all connections are later than the scan".into());
            }
            f.benign = vec![
                "a service that was started after the scan".into(),
                "a firewall lets some addresses in and the scanner not".into(),
                "a service that runs at certain hours".into(),
            ];
            out.push(f);
        }
        out
    }
}
