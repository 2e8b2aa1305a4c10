//! A host that behaves as something else than its inventory says: a printer that browses, a workstation that hosts a service or sends mail itself, a
//! server that works as a client.

use super::gather::service as shown;
use super::maths::sat;
use super::profile::ledger::Of;
use super::profile::roles::{Hints, decide};
use super::profile::{Decided, Role, Service};
use super::reconcile::{Listed, Site, is_subject, known, mission, opens, sources, stated_role, weight};
use super::rows::Net;
use super::unauthorised_service::is_of_link;
use super::{Detector, Limits, Setting};
use crate::model::finding::{Finding, span};
use crate::model::proto;

/// The detector.
pub static DETECTOR: RoleMismatch = RoleMismatch;

/// See the module.
pub struct RoleMismatch;

const NAME: &str = "role_mismatch";
const SETTINGS: &[Setting] = &[
    Setting { name: "probability", default: 0.9, unit: "", doc: "How probable the other role must be by what the host does." },
    Setting { name: "peers", default: 3.0, unit: "", doc: "Peers of a service from which on a workstation hosts it." },
    Setting {
        name: "mail_servers",
        default: 10.0,
        unit: "",
        doc: "Outside mail servers from which on a host sends mail itself.",
    },
    Setting { name: "web_peers", default: 10.0, unit: "", doc: "Outside web servers from which on a device browses." },
];
/// First of the ports that programs take for themselves.
const HIGH: u16 = 32_768;

impl Detector for RoleMismatch {
    fn name(&self) -> &'static str {
        NAME
    }
    fn doc(&self) -> &'static str {
        "A host whose role by behaviour is not that of its inventory; a workstation that hosts a service or sends mail itself, a device that browses (R11)."
    }
    fn techniques(&self) -> &'static [&'static str] {
        &["T1036", "T1090"]
    }
    fn settings(&self) -> &'static [Setting] {
        SETTINGS
    }
    fn compares(&self) -> bool {
        true
    }
    fn compare(&self, site: &Site, net: &Net, limits: &Limits) -> Vec<Finding> {
        let of = |name| limits.of(NAME, SETTINGS, name);
        let limits = Least {
            probability: of("probability"),
            peers: of("peers"),
            mail: of("mail_servers").max(1.0) as usize,
            web: of("web_peers").max(1.0) as usize,
        };
        let mut out = Vec::new();
        for of in site.ledger.by_host(net) {
            let addr = net.addr(of.host);
            let Some(listed) = site.listed(addr, of.seen.last) else { continue };
            let Some(stated) = stated_role(listed).filter(|_| is_subject(of.host, net, &site.known)) else { continue };
            let hints = Hints { random_mac: site.known.mac(addr).is_some_and(|m| known::is_random(&m)), translates: false };
            let decided = decide(&of, hints, net);
            let acts = acts(site, &of, listed, stated, &decided, &limits);
            if !acts.is_empty() {
                out.push(finding(site, &of, listed, stated, &decided, &acts, net, &limits));
            }
        }
        out
    }
}

struct Least {
    probability: f64,
    peers: f64,
    mail: usize,
    web: usize,
}

/// What a host does that its role does not.
struct Act<'a> {
    words: String,
    rows: Vec<(u8, u16, &'a Service, bool)>,
    peers: usize,
}

fn acts<'a>(site: &Site, of: &Of<'a>, listed: &Listed, stated: Role, decided: &Decided, least: &Least) -> Vec<Act<'a>> {
    let mut out = Vec::new();
    if let Some(role) = decided.role.filter(|r| decided.probability >= least.probability && !stated.fits(*r)) {
        let words =
            format!("behaves as a {} ({:.0} %: {})", role.name(), decided.probability * 100.0, decided.evidence.join(", "));
        out.push(Act { words, rows: Vec::new(), peers: 0 });
    }
    let personal = matches!(stated, Role::Workstation | Role::Mobile);
    if personal {
        for (number, port, service) in &of.services {
            let enough = service.peers() as f64 >= least.peers && *port < HIGH && !is_of_link(*number, *port);
            if enough && site.known.is_authorised(listed, *number, *port) != Some(true) {
                let words = format!("hosts {} for {} peers", shown(*port, *number), service.peers());
                out.push(Act { words, rows: vec![(*number, *port, *service, true)], peers: service.peers() });
            }
        }
    }
    if personal || stated.is_device() {
        for (number, port, used) in of.uses.iter().filter(|u| u.0 == proto::TCP && u.1 == 25 && u.2.outside.len() >= least.mail) {
            let words = format!("sends mail to {} outside servers itself", used.outside.show());
            out.push(Act { words, rows: vec![(*number, *port, *used, false)], peers: used.outside.len() });
        }
    }
    if stated.is_device() && stated != Role::Router {
        let pages: Vec<_> = of.uses.iter().filter(|u| u.0 == proto::TCP && matches!(u.1, 80 | 443)).collect();
        let peers = pages.iter().map(|u| u.2.outside.len()).sum::<usize>();
        if peers >= least.web {
            let rows = pages.iter().map(|u| (u.0, u.1, u.2, false)).collect();
            out.push(Act { words: format!("asks {peers} outside servers for pages"), rows, peers });
        }
    }
    out
}

#[expect(clippy::too_many_arguments, reason = "what a finding is made of")]
fn finding(
    site: &Site,
    of: &Of<'_>,
    listed: &Listed,
    stated: Role,
    decided: &Decided,
    acts: &[Act<'_>],
    net: &Net,
    least: &Least,
) -> Finding {
    let addr = net.addr(of.host);
    let name = if listed.name.is_empty() { String::new() } else { format!(" ({})", listed.name) };
    let words: Vec<&str> = acts.iter().map(|a| a.words.as_str()).collect();
    let title = format!("{addr}{name} is a {} by the inventory and {}", listed.role.to_lowercase(), words.join("; "));
    let mut f = Finding::new(NAME, addr, span(of.seen.first, of.seen.last), title);
    f.severity = 2;
    f.score = sat((0.3 + 0.15 * acts.len() as f64 + sat(acts.iter().map(|a| a.peers).max().unwrap_or(0) as f64 / 30.0) * 0.3)
        * weight(Some(listed))) as f32;
    f.number("role by the inventory", stated.name(), "");
    f.number("role by behaviour", decided.role.map_or("not clear", Role::name), "another one");
    f.number("probability", format!("{:.2}", decided.probability), format!(">= {}", least.probability));
    f.number(
        "peers of what it should not do",
        acts.iter().map(|a| a.peers).max().unwrap_or(0),
        format!(">= {} hosted, {} mail, {} web", least.peers, least.mail, least.web),
    );
    mission(&mut f, Some(listed));
    let rows: Vec<_> = acts.iter().flat_map(|a| &a.rows).collect();
    let parts: Vec<String> = rows
        .iter()
        .take(8)
        .map(|(n, p, _, serves)| {
            format!("{}.ip = {addr} and proto = {} and dst.port = {p}", if *serves { "dst" } else { "src" }, proto::show(*n))
        })
        .collect();
    rows.iter().flat_map(|r| r.2.evidence()).take(6).for_each(|id| f.rests_on(net.record(id)));
    let flows = if parts.is_empty() { format!("host = {addr}") } else { format!("({})", parts.join(" or ")) };
    let asks = format!("(kind = flow and {flows} or kind = inventory and dst.ip = {addr})");
    opens(&mut f, &asks, [(listed.id, listed.time)].into_iter());
    if f.evidence.len() < 2 {
        of.seen.ids.iter().for_each(|id| f.rests_on(net.record(*id)));
    }
    let counted: u64 = rows.iter().map(|r| r.2.flows).sum();
    f.rows = if counted == 0 { of.seen.asked.saturating_add(of.seen.accepted) } else { counted };
    f.sources = sources(of.seen.sources.iter().copied().chain([listed.source]));
    f.caveats = site.caveats();
    if site.days() < 1.0 {
        f.caveats.push("less than a day was looked at".into());
    }
    f.benign = vec![
        "the host was given another task and the inventory was not told".into(),
        "administration or software distribution that asks every host".into(),
        "updates and telemetry of a device".into(),
    ];
    f
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detectors::trial::{FRIDAY, Trial};
    use crate::model::SourceId;

    #[test]
    fn a_host_that_does_what_its_role_does_not_is_found() {
        let mut trial = Trial::new();
        let begin = FRIDAY as f64;
        for (n, role) in [
            (1, "workstation"),
            (2, "workstation"),
            (3, "printer"),
            (4, "web server"),
            (5, "workstation"),
            (6, "tablet"),
            (7, "printer"),
        ] {
            let addr = Some([10, 0, 0, n].into());
            trial.known.add_host(Listed { addr, role: role.into(), source: SourceId(9), ..Listed::default() });
        }
        for n in 0..12 {
            let at = begin + f64::from(n) * 300.0;
            let peer = format!("192.0.2.{}", n + 1);
            for host in [1, 2, 3, 5, 6] {
                trial.flow(at, &format!("10.0.0.{host}"), &peer, 443);
            }
            trial.flow(at, "10.0.0.1", &peer, 25);
            trial.flow(at, &format!("10.0.1.{}", n % 4), "10.0.0.2", 8000);
            trial.flow(at, "10.0.1.1", "10.0.0.5", 445);
            trial.flow(at, &format!("10.0.1.{n}"), "10.0.0.4", 443);
            trial.flow(at, &format!("10.0.1.{n}"), "10.0.0.7", 9100);
        }
        let found = trial.found(&DETECTOR);
        let of = |host: &str| found.iter().find(|f| f.host.to_string() == host).map_or("", |f| f.title.as_str());
        assert!(of("10.0.0.1").contains("sends mail to 12 outside servers itself"), "{}", of("10.0.0.1"));
        assert!(of("10.0.0.2").contains("hosts 8000/tcp for 4 peers"), "{}", of("10.0.0.2"));
        assert!(of("10.0.0.3").contains("asks 12 outside servers for pages"), "{}", of("10.0.0.3"));
        assert_eq!(found.len(), 3, "{:?}", found.iter().map(|f| &f.title).collect::<Vec<_>>());
    }
}
