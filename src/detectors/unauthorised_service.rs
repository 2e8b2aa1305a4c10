//! A service that is used and that its host's inventory does not authorise; one that answers browsers is worse, and so is one that outside
//! addresses use.

use super::gather::service as shown;
use super::maths::sat;
use super::reconcile::{Site, answers_pages, connections, is_subject, mission, of_service, opens, peers, sources, weight};
use super::rows::Net;
use super::{Detector, Limits, Setting};
use crate::model::finding::{Finding, span};
use crate::model::proto;

/// The detector.
pub static DETECTOR: UnauthorisedService = UnauthorisedService;

/// See the module.
pub struct UnauthorisedService;

const NAME: &str = "unauthorised_service";
const SETTINGS: &[Setting] = &[
    Setting { name: "connections", default: 1.0, unit: "", doc: "Accepted connections from which on a service counts as used." },
    Setting {
        name: "high_connections",
        default: 3.0,
        unit: "",
        doc: "The same of ports from 32768 on, which programs take for one transfer.",
    },
];
/// First of the ports that programs take for themselves.
const HIGH: u16 = 32_768;
/// What hosts answer each other on a link without being servers: DHCP, NetBIOS names, SSDP, discovery, mDNS, LLMNR.
const LINK: [u16; 8] = [68, 137, 138, 546, 1900, 3702, 5353, 5355];

/// Whether a service is one that every host answers on its link.
pub fn is_of_link(number: u8, port: u16) -> bool {
    number == proto::UDP && LINK.contains(&port)
}

impl Detector for UnauthorisedService {
    fn name(&self) -> &'static str {
        NAME
    }
    fn doc(&self) -> &'static str {
        "Compares the services that hosts were seen to offer with those that their inventory authorises (R1); web responders among them (R2)."
    }
    fn techniques(&self) -> &'static [&'static str] {
        &["T1133", "T1571"]
    }
    fn settings(&self) -> &'static [Setting] {
        SETTINGS
    }
    fn compares(&self) -> bool {
        true
    }
    fn compare(&self, site: &Site, net: &Net, limits: &Limits) -> Vec<Finding> {
        let (least, high) = (limits.of(NAME, SETTINGS, "connections"), limits.of(NAME, SETTINGS, "high_connections"));
        let mut out = Vec::new();
        for (addr, host, number, port, service) in site.services(net) {
            let enough = if port >= HIGH { high } else { least };
            if (service.flows as f64) < enough || is_of_link(number, port) || !is_subject(host, net, &site.known) {
                continue;
            }
            let Some(listed) = site.listed(addr, service.last) else { continue };
            if site.known.is_authorised(listed, number, port) != Some(false) {
                continue;
            }
            let pages = answers_pages(port, service, net);
            let outside = service.outside_flows > 0;
            let what = if pages { "answers browsers" } else { "offers a service" };
            let of = if outside {
                format!("{} and {}", peers(&service.outside.show(), "outside"), peers(&service.inside.show(), "inside"))
            } else {
                peers(&service.inside.show(), "inside")
            };
            let name = if listed.name.is_empty() { String::new() } else { format!(" ({})", listed.name) };
            let title = format!(
                "{addr}{name} {what} on {}, which its inventory does not authorise: {} of {of}",
                shown(port, number),
                connections(service.flows)
            );
            let mut f = Finding::new(NAME, addr, span(service.first, service.last), title);
            f.service = Some((number, port));
            let mut met = service.outside.iter().chain(service.inside.iter());
            f.peer = met.next().filter(|_| service.peers() == 1).map(|p| net.addr(p));
            f.severity = if pages || outside { 3 } else { 2 };
            let often = sat(service.flows as f64 / 50.0) * 0.3 + sat(service.peers() as f64 / 10.0) * 0.2;
            f.score = sat((0.3 + often + if outside { 0.2 } else { 0.0 }) * weight(Some(listed))) as f32;
            f.number("connections accepted", service.flows, format!(">= {enough}"));
            f.number("outside peers", service.outside.show(), if outside { "> 0: high" } else { "" });
            f.number("inside peers", service.inside.show(), "");
            f.number("authorised services", listed.services.as_deref().unwrap_or("none named"), "");
            let spoken: Vec<&str> = service.apps.list.iter().map(|a| net.text(a.0)).collect();
            if !spoken.is_empty() {
                f.number("spoken", spoken.join(" "), if pages { "http or tls: high" } else { "" });
            }
            mission(&mut f, Some(listed));
            service.evidence().take(4).for_each(|id| f.rests_on(net.record(id)));
            opens(&mut f, &of_service(addr, number, port), [(listed.id, listed.time)].into_iter());
            f.rows = service.flows;
            f.sources = sources(service.sources.iter().copied().chain([listed.source]));
            f.caveats = site.caveats();
            if listed.services.is_none() {
                f.caveats.push("its row names no services, while others of that inventory do".into());
            }
            if listed.time > service.last {
                f.caveats.push("the inventory is of a later time than the connections".into());
            }
            if !service.apps.heard().1 {
                f.caveats.push("what it speaks was not confirmed from both sides".into());
            }
            f.benign = vec![
                "a service that was approved and not entered in the inventory".into(),
                "administration, backup or software distribution that asks every host".into(),
            ];
            out.push(f);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detectors::reconcile::Listed;
    use crate::detectors::trial::{FRIDAY, Trial};
    use crate::model::{SourceId, Time};

    #[test]
    fn services_that_nobody_authorised_are_found_and_browsers_and_outsiders_make_them_worse() {
        let mut trial = Trial::new();
        let begin = FRIDAY as f64;
        let list = |addr: &str, services: Option<&str>, role: &str, source: u32| Listed {
            addr: Some(addr.parse().unwrap()),
            services: services.map(str::to_owned),
            role: role.into(),
            source: SourceId(source),
            time: Time(1),
            ..Listed::default()
        };
        for listed in [
            list("10.0.0.1", Some("22/tcp"), "", 9),
            list("10.0.0.2", None, "workstation", 9),
            list("10.0.0.3", Some("53/tcp"), "domain controller", 9),
            list("10.0.0.4", Some("any"), "", 9),
            // An inventory without services says nothing.
            list("10.0.0.5", None, "", 8),
        ] {
            trial.known.add_host(listed);
        }
        let http = trial.word("http");
        trial.flow(begin, "10.0.9.9", "10.0.0.1", 22);
        trial.flow(begin, "10.0.9.9", "10.0.0.1", 8080).app = http;
        trial.flow(begin, "192.0.2.1", "10.0.0.1", 2222);
        trial.flow(begin, "10.0.9.9", "10.0.0.2", 445);
        trial.flow(begin, "10.0.9.9", "10.0.0.2", 50_000);
        trial.unanswered(begin, "10.0.9.9", "10.0.0.2", 23);
        trial.flow(begin, "10.0.9.9", "10.0.0.3", 53).proto = proto::UDP;
        trial.flow(begin, "10.0.9.9", "10.0.0.3", 123).proto = proto::UDP;
        trial.flow(begin, "10.0.9.9", "10.0.0.4", 4444);
        trial.flow(begin, "10.0.9.9", "10.0.0.5", 4444);
        trial.flow(begin, "10.0.9.9", "10.0.0.6", 4444);
        let mut found = trial.found(&DETECTOR);
        found.sort_by_key(|f| (f.host, f.service));
        let brief: Vec<_> = found.iter().map(|f| (f.host.to_string(), f.service.unwrap().1, f.severity)).collect();
        let row = |a: &str, p: u16, s: u8| (a.to_owned(), p, s);
        assert_eq!(brief, [row("10.0.0.1", 2222, 3), row("10.0.0.1", 8080, 3), row("10.0.0.2", 445, 2)]);
        assert!(found[1].title.contains("answers browsers on 8080/tcp"), "{}", found[1].title);
        assert!(found[2].query.starts_with("dst.ip = 10.0.0.2 and (kind in {inventory, vuln} or kind = flow and proto = tcp and dst.port = 445) and between 1970-01-01"));
    }
}
