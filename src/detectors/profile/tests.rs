//! Steps over a small network of which everything is known.

use super::roles::{Hints, decide};
use super::*;
use crate::detectors::rows::{Piece, State};
use crate::detectors::trial::{FRIDAY, Trial};
use crate::model::{Kind, proto};

const BEGIN: f64 = FRIDAY as f64;

fn watched(trial: &mut Trial) -> Watcher {
    let mut watcher = Watcher::default();
    watcher.piece(&Piece { net: &trial.net, flows: &trial.flows, events: &trial.events, queries: &trial.queries });
    watcher
}

fn class(name: &str) -> usize {
    CLASSES.iter().position(|c| c.name == name).unwrap()
}

fn shown(assets: &[Asset], trial: &Trial) -> Vec<(String, bool, bool)> {
    assets.iter().map(|a| (trial.net.addr(a.host).to_string(), a.rule.is_some_and(|r| r.kept), a.ours)).collect()
}

#[test]
fn classes_are_those_of_the_report_with_its_cut_and_ours_beside_it() {
    let mut trial = Trial::new();
    for n in 0..40u32 {
        let peer = format!("192.0.2.{}", n % 40 + 1);
        trial.flow(BEGIN + f64::from(n), &peer, "10.0.0.20", 443).bytes_in = 100_000;
    }
    // 10.0.0.21 has less than one percent of the bytes; 10.0.0.22 answers with too few packets for the rule.
    trial.flow(BEGIN + 50.0, "192.0.2.1", "10.0.0.21", 80).bytes_in = 1_000;
    let few = trial.flow(BEGIN + 51.0, "192.0.2.2", "10.0.0.22", 80);
    (few.packets_in, few.bytes_in) = (3, 400);
    // A refusal is an acknowledgement too: the rule takes it, ours does not.
    let refused = trial.flow(BEGIN + 52.0, "192.0.2.3", "10.0.0.23", 8080);
    (refused.state, refused.packets_in, refused.packets_out, refused.bytes_in) = (State::Rej, 6, 6, 240_000);
    // Inside only: the report's sensor does not see it; ours does.
    trial.flow(BEGIN + 53.0, "10.0.0.5", "10.0.0.24", 80);
    // Pages on another port, confirmed.
    let http = trial.word("http");
    let odd = trial.flow(BEGIN + 54.0, "192.0.2.4", "10.0.0.25", 8631);
    (odd.app, odd.app_parsed) = (http, true);
    let watcher = watched(&mut trial);
    let profile = watcher.profile(&trial.net);
    let web = &profile.assets[class("web_server")];
    let mut rows = shown(web, &trial);
    rows.sort();
    let row = |a: &str, kept, ours| (a.to_owned(), kept, ours);
    assert_eq!(
        rows,
        [
            row("10.0.0.20", true, true),
            row("10.0.0.21", false, true),
            row("10.0.0.22", false, true),
            row("10.0.0.23", true, false),
            row("10.0.0.24", false, true),
            row("10.0.0.25", false, true)
        ]
    );
    let below = web.iter().find(|a| trial.net.addr(a.host).to_string() == "10.0.0.21").unwrap();
    assert!(below.rule.is_some_and(|r| !r.kept && r.amount == 1_000 && r.share < 0.01));
    let odd = web.iter().find(|a| trial.net.addr(a.host).to_string() == "10.0.0.25").unwrap();
    assert_eq!((odd.show_ports().as_str(), odd.confidence), ("8631/tcp", Confidence::Parsed));
    assert_eq!(
        odd.query(&CLASSES[class("web_server")], &trial.net),
        "kind = flow and dst.ip = 10.0.0.25 and proto = tcp and dst.port in {8631}"
    );
}

#[test]
fn metrics_sides_and_remarks_are_by_class() {
    let mut trial = Trial::new();
    let udp = |trial: &mut Trial, at: f64, src: &str, dst: &str, port: u16, packets: u32| {
        let flow = trial.flow(BEGIN + at, src, dst, port);
        (flow.proto, flow.packets_out, flow.packets_in) = (proto::UDP, packets, packets);
    };
    // A recursive resolver; a host that asks the outside itself with half a percent of the packets.
    udp(&mut trial, 0.0, "10.0.0.2", "192.0.2.53", 53, 995);
    udp(&mut trial, 1.0, "192.0.2.9", "10.0.0.2", 53, 10);
    udp(&mut trial, 2.0, "10.0.0.7", "192.0.2.53", 53, 5);
    trial.flow(BEGIN + 3.0, "192.0.2.25", "10.0.0.15", 25);
    trial.flow(BEGIN + 4.0, "10.0.0.15", "192.0.2.25", 25);
    trial.flow(BEGIN + 5.0, "10.0.0.8", "192.0.2.26", 993);
    // 587 is no server's port in the report.
    trial.flow(BEGIN + 6.0, "192.0.2.27", "10.0.0.16", 587);
    let gre = trial.flow(BEGIN + 7.0, "10.0.0.1", "192.0.2.77", 0);
    (gre.proto, gre.src_port, gre.state) = (47, 0, State::Oth);
    udp(&mut trial, 8.0, "10.0.0.1", "192.0.2.123", 123, 1);
    trial.flow(BEGIN + 9.0, "10.0.0.9", "192.0.2.80", 80);
    let watcher = watched(&mut trial);
    let profile = watcher.profile(&trial.net);
    let of = |name: &str| shown(&profile.assets[class(name)], &trial);
    let row = |a: &str, kept, ours| (a.to_owned(), kept, ours);
    assert_eq!(of("dns_client"), [row("10.0.0.2", true, true), row("10.0.0.7", false, true)]);
    assert_eq!(of("dns_server"), [row("10.0.0.2", true, true)]);
    assert!(profile.assets[class("dns_server")][0].validated.contains(&"server and client: recursive".to_owned()));
    assert_eq!(of("mail_server"), [row("10.0.0.15", true, true)]);
    assert!(profile.assets[class("mail_server")][0].validated[0].contains("almost certainly"));
    assert_eq!(of("mail_client"), [row("10.0.0.8", true, true)]);
    assert_eq!(of("vpn"), [row("10.0.0.1", true, false)]);
    // The report's range of others has port 993 too; ours gives it to mail. Pages are not among others.
    assert_eq!(of("other_client"), [row("10.0.0.1", true, true), row("10.0.0.8", true, false)]);
    assert!(of("other_protocol").is_empty());
}

#[test]
fn talkers_are_grouped_and_those_that_nothing_explains_are_left_over() {
    let mut trial = Trial::new();
    trial.flow(BEGIN, "10.0.0.5", "192.0.2.1", 443);
    trial.flow(BEGIN + 1.0, "10.0.0.33", "192.0.2.1", 443);
    for (port, bytes) in [(6881, 80_000), (40_001, 15_000), (40_002, 1_000)] {
        let flow = trial.flow(BEGIN + 2.0, "10.0.0.40", "192.0.2.8", port);
        (flow.src_port, flow.bytes_out, flow.bytes_in) = (51_000, bytes, 100);
    }
    // A sender of SYNs is no talker; what others send each other is transit.
    trial.unanswered(BEGIN + 3.0, "10.0.0.66", "192.0.2.8", 445);
    trial.flow(BEGIN + 4.0, "203.0.113.1", "192.0.2.8", 80);
    let watcher = watched(&mut trial);
    let profile = watcher.profile(&trial.net);
    let networks: Vec<(String, usize)> = profile.space.networks.iter().map(|(n, h)| (n.to_string(), h.len())).collect();
    assert_eq!(networks, [("10.0.0.0/27".to_owned(), 1), ("10.0.0.32/27".to_owned(), 2)]);
    assert_eq!((profile.space.counts, profile.space.not_of_talkers, profile.space.transit), ((3, 0, 3), 1, 1));
    let left = &profile.leftovers;
    assert_eq!(left.iter().map(|l| trial.net.addr(l.host).to_string()).collect::<Vec<_>>(), ["10.0.0.40"]);
    // The port of the host is high and higher: any. What is under ten percent is not listed.
    assert_eq!(left[0].pairs.iter().map(|p| (p.0, p.1, p.2)).collect::<Vec<_>>(), [(6, 0, 6881), (6, 0, 40_001)]);
    assert_eq!(watcher.sample.all.flows, 7);
    assert_eq!(watcher.sample.services()[0].0, (6, 6881));
}

#[test]
fn roles_follow_from_what_hosts_do() {
    let mut trial = Trial::new();
    let agent = trial.word("Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36");
    for n in 0..12u32 {
        let at = BEGIN + f64::from(n) * 60.0;
        let pc = format!("10.0.1.{}", n + 10);
        for peer in 1..8 {
            trial.flow(at, &pc, &format!("192.0.2.{peer}"), 443);
        }
        trial.flow(at + 1.0, &pc, "10.0.0.2", 53).proto = proto::UDP;
        trial.flow(at + 1.0, &pc, "10.0.0.2", 88);
        trial.flow(at + 2.0, &pc, "10.0.0.2", 389);
        trial.flow(at + 3.0, &pc, "10.0.0.30", 445);
        trial.flow(at + 4.0, &pc, "10.0.0.9", 9100);
        trial.flow(at + 5.0, &pc, "10.0.0.15", 993);
        trial.flow(at + 5.0, &format!("192.0.2.{}", n + 20), "10.0.0.15", 25);
        trial.flow(at + 6.0, &pc, "10.0.0.8", 3128);
        trial.flow(at + 6.1, "10.0.0.8", &format!("192.0.2.{}", n + 60), 443);
        trial.flow(at + 7.0, "10.0.0.99", "10.0.0.70", 502);
        trial.flow(at + 7.0, "10.0.0.98", "10.0.0.71", 554);
        trial.flow(at + 8.0, "10.0.2.5", &format!("192.0.2.{}", n + 90), 443);
        trial.event(Kind::Http, at + 8.0, "10.0.2.5", "192.0.2.1", 80).agent = agent;
        trial.flow(at + 9.0, "10.0.2.5", "192.0.2.200", 5228);
        for target in 0..4 {
            trial.unanswered(at + 10.0, "10.0.3.3", &format!("10.0.4.{}", n * 4 + target + 1), 445);
        }
    }
    let watcher = watched(&mut trial);
    let roles: Vec<(String, Option<Role>)> = watcher
        .ledger
        .by_host(&trial.net)
        .iter()
        .map(|of| (trial.net.addr(of.host).to_string(), decide(of, Hints::default(), &trial.net).role))
        .collect();
    let of = |addr: &str| roles.iter().find(|r| r.0 == addr).and_then(|r| r.1);
    for (addr, role) in [
        ("10.0.0.2", Role::Directory),
        ("10.0.0.30", Role::Server),
        ("10.0.0.9", Role::Printer),
        ("10.0.0.15", Role::Mail),
        ("10.0.0.8", Role::Gateway),
        ("10.0.0.70", Role::Ics),
        ("10.0.0.71", Role::Camera),
        ("10.0.1.10", Role::Workstation),
        ("10.0.2.5", Role::Mobile),
        ("10.0.3.3", Role::Scanner),
    ] {
        assert_eq!(of(addr), Some(role), "{addr}: {roles:?}");
    }
    // One that only asks a machine what it does may be anything.
    assert_eq!(of("10.0.0.99"), None);
}

#[test]
fn words_of_inventories_are_roles() {
    let role = Role::of_stated;
    assert_eq!(role("domain controller, DNS, DHCP"), Some(Role::Directory));
    assert_eq!(role("web proxy"), Some(Role::Gateway));
    assert_eq!(role("gateway, firewall, NAT"), Some(Role::Router));
    assert_eq!(role("build server"), Some(Role::Server));
    assert_eq!(role("print server"), Some(Role::Server));
    assert_eq!(role("Workstations"), Some(Role::Workstation));
    assert_eq!(role("pcap box"), None);
    assert!(Role::Server.fits(Role::Mail) && !Role::Workstation.fits(Role::Mail) && !Role::Printer.fits(Role::Workstation));
}
