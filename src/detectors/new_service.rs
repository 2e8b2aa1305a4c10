//! Services that a host of one's own did not have: a port that accepts connections after a week in which it accepted none.

use super::fold::{Fold, Proof, by_subject, few, lasting};
use super::gather::service;
use super::history::History;
use super::maths::sat;
use super::rows::{Flow, Host, Net, Piece};
use super::{Detector, Limits, Setting, Watch};
use crate::model::finding::Finding;
use crate::model::time::DAY;
use crate::model::{Kind, Time, proto};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};

/// The detector.
pub static DETECTOR: NewService = NewService;

/// See the module.
pub struct NewService;

const NAME: &str = "new_service";
const SETTINGS: &[Setting] = &[
    Setting {
        name: "history",
        default: 7.0,
        unit: "d",
        doc: "Days of records without the service, and with the host, before it is new.",
    },
    Setting { name: "peers", default: 2.0, unit: "", doc: "So many hosts that use it make it a service." },
    Setting {
        name: "connections",
        default: 3.0,
        unit: "",
        doc: "So many connections in which it sent something make it one too.",
    },
    Setting { name: "shared", default: 4.0, unit: "", doc: "From so many hosts on that serve the same anew it is one finding." },
];
/// Services that are followed.
const SERVICES: usize = 1_000_000;
/// Services of one host that are named.
const NAMED: usize = 8;
/// Ports from here on are given to clients, and to services that tell theirs elsewhere (RPC).
const DYNAMIC: u16 = 32_768;

impl Detector for NewService {
    fn name(&self) -> &'static str {
        NAME
    }
    fn doc(&self) -> &'static str {
        "A home host that was there for a week accepts connections at a port that accepted none before."
    }
    fn techniques(&self) -> &'static [&'static str] {
        &["T1571", "T1543"]
    }
    fn settings(&self) -> &'static [Setting] {
        SETTINGS
    }
    fn watch(&self, limits: &Limits) -> Box<dyn Watch> {
        let of = |name| limits.of(NAME, SETTINGS, name);
        Box::new(Services {
            days: of("history").max(1.0),
            peers: of("peers").max(1.0) as u32,
            connections: of("connections").max(1.0) as u32,
            shared: of("shared").max(2.0) as usize,
            ..Services::default()
        })
    }
}

#[derive(Default, Serialize, Deserialize)]
struct Services {
    days: f64,
    peers: u32,
    connections: u32,
    shared: usize,
    history: History,
    services: HashMap<(Host, u16, u8), Service, foldhash::fast::RandomState>,
    /// What a scan or an inventory says is open.
    listed: HashMap<(Host, u16), Time, foldhash::fast::RandomState>,
    lost: u64,
}

/// A service; what is there from the beginning is only known to be.
#[derive(Serialize, Deserialize)]
struct Service {
    first: Time,
    new: Option<Box<New>>,
}

/// What is known of one that may be new.
#[derive(Default, Serialize, Deserialize)]
struct New {
    peers: Vec<Host>,
    outside: bool,
    spoke: u32,
    app: super::rows::Word,
    proof: Proof,
}

impl Watch for Services {
    super::resume::kept!();
    fn piece(&mut self, piece: &Piece<'_>) {
        for event in piece.events.iter().filter(|e| matches!(e.kind, Kind::Inventory | Kind::Vuln) && e.dst_port > 0) {
            let closed = matches!(piece.net.text(event.reply), "closed" | "filtered");
            if let (Some(host), false) = (event.dst, closed)
                && self.listed.len() < SERVICES
            {
                self.listed.entry((host, event.dst_port)).or_insert(event.time);
            }
        }
        for flow in piece.flows {
            self.history.flow(piece.net, flow);
            if piece.net.is_home(flow.dst) && piece.net.is_unicast(flow.dst) && counts(flow) {
                self.flow(piece.net, flow);
            }
        }
    }
    fn end(self: Box<Self>, net: &Net) -> Vec<Finding> {
        let mut by_host: BTreeMap<Host, Vec<(u16, u8, &Service, &New)>> = BTreeMap::new();
        for ((host, port, protocol), service) in &self.services {
            if let Some(new) = &service.new
                && (new.peers.len() as u32 >= self.peers || new.spoke >= self.connections)
                && self.history.knew(*host, service.first, self.days)
                && (*port < DYNAMIC || new.peers.len() as u32 >= self.peers)
            {
                by_host.entry(*host).or_default().push((*port, *protocol, service, new));
            }
        }
        let mut list = Vec::new();
        for (host, mut services) in by_host {
            services.sort_unstable_by_key(|s| (s.2.first, s.0, s.1));
            list.extend(self.finding(net, host, &services));
        }
        by_subject(
            list,
            &Fold {
                least: self.shared,
                severity: 2,
                title: &|n, best| format!("{n} hosts serve what they did not before, as {}", best.title),
                asks: &|f| match f.service {
                    Some((protocol, port)) => format!("kind = flow and dst.port = {port} and proto = {}", proto::show(protocol)),
                    None => "kind = flow".into(),
                },
                benign: "a program that was installed on many hosts at once",
            },
        )
    }
}

/// Whether a flow shows a service: accepted, and not the answer of a client whose request was not seen.
fn counts(flow: &Flow) -> bool {
    let turned = flow.src_port < 1_024 && flow.dst_port >= DYNAMIC || flow.dst_port == 0;
    let told = flow.proto == proto::TCP || flow.proto == proto::UDP && (flow.dst_port < DYNAMIC || flow.app_parsed);
    told && !turned && flow.is_accepted()
}

impl Services {
    fn flow(&mut self, net: &Net, flow: &Flow) {
        let key = (flow.dst, flow.dst_port, flow.proto);
        if self.services.len() >= SERVICES && !self.services.contains_key(&key) {
            self.lost += 1;
            return;
        }
        let late = self.history.before(flow.start) as f64 >= self.days * DAY as f64;
        let service =
            self.services.entry(key).or_insert_with(|| Service { first: flow.start, new: late.then(Box::<New>::default) });
        let Some(new) = &mut service.new else { return };
        if new.peers.len() < 64 && !new.peers.contains(&flow.src) {
            new.peers.push(flow.src);
        }
        new.outside |= !net.is_home(flow.src);
        new.spoke = new.spoke.saturating_add(u32::from(flow.payload_in > 0));
        new.app = if new.app.is_some() { new.app } else { flow.app };
        new.proof.take(flow.start, flow.end, flow.id, flow.source);
    }
    fn finding(&self, net: &Net, host: Host, services: &[(u16, u8, &Service, &New)]) -> Option<Finding> {
        let (port, protocol, first, new) = *services.first()?;
        let addr = net.addr(host);
        let since = |t: Time| t.utc().format("%Y-%m-%d %H:%MZ").to_string();
        let days = self.history.before(first.first) / DAY;
        let mut proof = Proof::default();
        services.iter().for_each(|s| proof.join(&s.3.proof));
        let peers: std::collections::BTreeSet<Host> = services.iter().flat_map(|s| s.3.peers.iter().copied()).collect();
        let outside = services.iter().any(|s| s.3.outside);
        let app = match net.text(new.app) {
            "" => String::new(),
            app => format!(" ({app})"),
        };
        let what = if services.len() == 1 {
            format!("{}{app}", service(port, protocol))
        } else {
            let names: Vec<String> = services.iter().map(|s| service(s.0, s.1)).collect();
            format!("{} ports: {}", services.len(), few(&names, NAMED))
        };
        let from = if outside { ", also from outside" } else { "" };
        let users = if peers.len() == 1 { "host uses it" } else { "hosts use it" };
        let title =
            format!("{addr} serves {what} since {}, after {days} d without: {} {users}{from}", since(first.first), peers.len());
        let mut f = proof.finding(NAME, net, host, title);
        f.service = Some((protocol, port)).filter(|_| services.len() == 1);
        let listed = services.iter().filter(|s| self.listed.get(&(host, s.0)).is_some_and(|t| *t <= s.2.first)).count();
        let dynamic = services.iter().all(|s| s.0 >= DYNAMIC);
        f.severity = match () {
            () if listed == services.len() || dynamic && !outside => 1,
            () if outside => 3,
            () => 2,
        };
        if self.history.are_young(proof.sources(), first.first, self.days) {
            f.severity = 1;
            f.caveats.push("the source that saw it had not recorded for long: it may have been there before".into());
        }
        f.score = sat(0.5 + f64::from(proof.rows.min(50) as u32) / 100.0) as f32;
        f.number("days of records without it", days, self.days);
        f.number("host known before it for", lasting(first.first.since(self.history.since(host)?)), format!("{} d", self.days));
        f.number("hosts that use it", peers.len(), self.peers);
        f.number(
            "connections in which it sent something",
            services.iter().map(|s| u64::from(s.3.spoke)).sum::<u64>(),
            self.connections,
        );
        let ports: Vec<u16> = services.iter().map(|s| s.0).collect();
        let at = match ports.as_slice() {
            [one] => format!("dst.port = {one}"),
            many => format!("dst.port in {{{}}}", few(many.get(..many.len().min(50)).unwrap_or(many), 50)),
        };
        f.asks(&format!("kind = flow and dst.ip = {addr} and {at}"));
        if listed > 0 {
            f.number("listed as open before by a scan or inventory", listed, "");
        }
        if self.history.days() < 30 {
            f.caveats.push(format!("{} days of records: what happens once a month may look new", self.history.days()));
        }
        if self.lost > 0 {
            f.caveats.push(format!("{} connections found no room and were not looked at", self.lost));
        }
        f.benign = vec![
            "a program that was installed, updated or switched on by whoever runs the host".into(),
            "a service that is used so rarely that nobody did before".into(),
        ];
        Some(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detectors::trial::{FRIDAY, Trial};

    fn week(trial: &mut Trial, days: i64) {
        for day in 0..days {
            let at = (FRIDAY + day * 86_400) as f64;
            for host in 1..=9 {
                trial.flow(at, &format!("10.0.0.{host}"), "10.0.0.1", 445);
            }
            trial.flow(at, "10.0.0.1", "10.0.0.9", 22);
        }
    }

    #[test]
    fn a_port_that_opens_after_a_week_is_told_with_who_uses_it() {
        let mut trial = Trial::new();
        week(&mut trial, 9);
        let late = (FRIDAY + 8 * 86_400 + 3_600) as f64;
        for n in 0..4 {
            trial.flow(late + f64::from(n), "10.0.0.3", "10.0.0.5", 4_444);
            // Refused, once only, and a client's port: no services.
            trial.unanswered(late, "10.0.0.3", "10.0.0.6", 4_444);
            trial.flow(late, "10.0.0.3", "10.0.0.7", 50_000).src_port = 443;
        }
        trial.flow(late, "10.0.0.4", "10.0.0.8", 4_444);
        trial.flow(late, "192.0.2.1", "10.0.0.9", 8_080);
        trial.flow(late, "192.0.2.2", "10.0.0.9", 8_080);
        // A host that is new itself has no services that are.
        for n in 0..4 {
            trial.flow(late + f64::from(n), "10.0.0.3", "10.0.0.77", 80);
        }
        let found = trial.found(&DETECTOR);
        let told: Vec<_> = found.iter().map(|f| (f.host.to_string(), f.service.unwrap().1, f.severity, f.rows)).collect();
        assert_eq!(told, [("10.0.0.5".into(), 4_444, 2, 4), ("10.0.0.9".into(), 8_080, 3, 2)]);
        assert!(
            found[0].title.starts_with("10.0.0.5 serves 4444/tcp since 2026-11-28 09:00Z, after 8 d without: 1 host"),
            "{}",
            found[0].title
        );
    }

    #[test]
    fn without_a_week_nothing_is_new_and_a_rollout_is_one_finding() {
        let mut trial = Trial::new();
        week(&mut trial, 6);
        for n in 0..9 {
            trial.flow((FRIDAY + 5 * 86_400 + 100 + n) as f64, "10.0.0.3", "10.0.0.5", 4_444);
        }
        assert!(trial.found(&DETECTOR).is_empty());
        let mut trial = Trial::new();
        week(&mut trial, 9);
        for host in 2..=8 {
            for n in 0..3 {
                trial.flow((FRIDAY + 8 * 86_400 + 100 + n) as f64, "10.0.0.1", &format!("10.0.0.{host}"), 8_443);
            }
        }
        let found = trial.found(&DETECTOR);
        assert_eq!((found.len(), found[0].rows), (1, 21));
        assert!(found[0].title.starts_with("7 hosts serve"), "{}", found[0].title);
    }
}
