//! Searches of every shape are found with what answered; work, outages and what is far apart are none.

use super::*;
use crate::detectors::trial::{FRIDAY, Trial};

const BEGIN: f64 = FRIDAY as f64;

fn titles(found: &[Finding]) -> Vec<&str> {
    found.iter().map(|f| f.title.as_str()).collect()
}

/// Forty addresses at one port: three are open, six refuse.
fn sweep(trial: &mut Trial, at: f64, apart: f64) {
    for n in 1..=40 {
        let dst = format!("10.0.30.{n}");
        let at = at + f64::from(n) * apart;
        match n {
            2 | 3 | 10 => trial.flow(at, "10.0.21.5", &dst, 445).state = State::Rsto,
            8 | 12 | 13 | 15 | 20 | 25 => trial.unanswered(at, "10.0.21.5", &dst, 445).state = State::Rej,
            _ => {
                trial.unanswered(at, "10.0.21.5", &dst, 445);
            }
        }
    }
}

#[test]
fn a_sweep_amid_work_is_told_with_what_answered() {
    let mut trial = Trial::new();
    // Other work of the same host, before, between and after; the file server among it.
    for n in 0..200 {
        trial.flow(BEGIN - 1_000.0 + f64::from(n) * 10.0, "10.0.21.5", &format!("192.0.2.{}", n % 50), 443);
        trial.flow(BEGIN - 1_000.0 + f64::from(n) * 10.0, "10.0.21.5", "10.0.30.200", 445);
    }
    sweep(&mut trial, BEGIN, 0.5);
    let found = trial.found(&DETECTOR);
    assert_eq!(found.len(), 1, "{:?}", titles(&found));
    let f = &found[0];
    assert_eq!((f.host.to_string(), f.severity, f.service), ("10.0.21.5".into(), 3, Some((6, 445))));
    assert!(f.title.starts_with("10.0.21.5 searches 41 hosts for 445/tcp in"), "{}", f.title);
    assert!(f.title.ends_with("4 answered: 10.0.30.200, 10.0.30.2, 10.0.30.3, 10.0.30.10"), "{}", f.title);
    let number = |name: &str| f.numbers.iter().find(|n| n.name == name).map(|n| n.value.clone()).unwrap_or_default();
    assert_eq!(
        (number("refused"), number("silent"), number("judged by")),
        ("6".into(), "31".into(), "threshold random walk".into())
    );
    assert!(
        f.query
            .starts_with("kind in {flow, fw} and src.ip = 10.0.21.5 and proto = tcp and dst.port = 445 and between 2026-11-20T"),
        "{}",
        f.query
    );
    assert_eq!(f.techniques, ["T1046"]);
}

#[test]
fn shapes() {
    let mut trial = Trial::new();
    for port in 1..=200 {
        trial.unanswered(BEGIN + f64::from(port) * 0.01, "192.0.2.9", "10.0.0.1", port).state = State::Rej;
    }
    trial.flow(BEGIN, "192.0.2.9", "10.0.0.1", 443);
    for host in 1..=30 {
        for port in [21, 22, 23, 80, 443, 8080] {
            trial.unanswered(BEGIN + f64::from(host), "192.0.2.10", &format!("10.0.0.{host}"), port);
        }
        let udp = trial.unanswered(BEGIN + f64::from(host), "10.0.0.8", &format!("10.0.1.{host}"), 161);
        udp.proto = proto::UDP;
    }
    for host in 1..=40 {
        let ping = trial.flow(BEGIN + f64::from(host), "10.0.0.7", &format!("10.0.1.{host}"), 0);
        (ping.proto, ping.src_port, ping.packets_out) = (proto::ICMP, 8, 1);
    }
    for host in 1..=12 {
        trial.unanswered(BEGIN + f64::from(host), "10.0.0.9", &format!("10.0.1.{host}"), 3389);
        trial.unanswered(BEGIN + f64::from(host), "10.0.0.10", &format!("10.0.1.{}", host % 8), 3389);
    }
    let mut found = trial.found(&DETECTOR);
    found.sort_by_key(|f| f.host);
    let told: Vec<(String, &str, u8)> =
        found.iter().map(|f| (f.host.to_string(), f.numbers[0].value.as_str(), f.severity)).collect();
    assert_eq!(
        told,
        [
            ("10.0.0.7".into(), "horizontal", 1),
            ("10.0.0.8".into(), "horizontal", 2),
            ("10.0.0.9".into(), "horizontal, of few", 2),
            ("192.0.2.9".into(), "vertical", 2),
            ("192.0.2.10".into(), "block", 1),
        ]
    );
    assert!(
        found[3].title.contains("searches 10.0.0.1 for 201 ports (tcp)") && found[3].title.ends_with("1 answered: 443/tcp"),
        "{}",
        found[3].title
    );
    assert_eq!(found[3].techniques, ["T1595"]);
    assert!(found[1].caveats.iter().any(|c| c.starts_with("without a handshake")), "{:?}", found[1].caveats);
}

#[test]
fn slow_searches_are_found_by_the_day_and_midnight_splits_none() {
    let mut trial = Trial::new();
    sweep(&mut trial, BEGIN, 900.0);
    let found = trial.found(&DETECTOR);
    assert_eq!(found.len(), 1);
    assert!(found[0].title.contains("searches 40 hosts for 445/tcp, slowly in 9 h"), "{}", found[0].title);
    // 2026-11-21T00:00:00Z is in its middle.
    let mut trial = Trial::new();
    sweep(&mut trial, BEGIN + 57_600.0 - 10.0, 0.5);
    let found = trial.found(&DETECTOR);
    assert_eq!(found.len(), 1);
    assert!(found[0].title.contains("searches 40 hosts for 445/tcp in 20 s"), "{}", found[0].title);
}

#[test]
fn work_and_outages_are_no_search() {
    let mut trial = Trial::new();
    for n in 0..400u32 {
        // Browsing, with a host here and there that does not answer.
        let at = BEGIN + f64::from(n) * 3.0;
        let dst = format!("192.0.2.{}", n % 120);
        if n % 15 == 0 {
            trial.unanswered(at, "10.0.0.5", &dst, 443)
        } else {
            trial.flow(at, "10.0.0.5", &dst, 443)
        };
        // A server that is down, tried by many.
        trial.unanswered(at, &format!("10.0.0.{}", 10 + n % 40), "10.0.40.20", 80);
        // A resolver that asks the world.
        let dns = trial.flow(at, "10.0.0.2", &format!("198.51.{}.{}", n / 200, n % 200), 53);
        (dns.proto, dns.packets_out, dns.bytes_out) = (proto::UDP, 1, 70);
        // Peers that share files: each its own port.
        let port = 20_000 + n as u16;
        let peer = format!("203.0.{}.{}", n / 200, n % 200);
        if n % 2 == 0 {
            trial.unanswered(at, "10.0.0.6", &peer, port)
        } else {
            trial.flow(at, "10.0.0.6", &peer, port)
        };
    }
    let found = trial.found(&DETECTOR);
    assert!(found.is_empty(), "{:?}", titles(&found));
}

#[test]
fn floods_answers_to_nothing_and_denials() {
    let mut trial = Trial::new();
    let deny = trial.word("deny");
    for n in 0..600u32 {
        trial.unanswered(BEGIN + f64::from(n) * 0.01, "192.0.2.66", "10.0.40.20", 80);
        if n < 150 {
            let back = trial.flow(BEGIN + f64::from(n), &format!("10.0.5.{n}"), "203.0.113.80", 40_000 + n as u16);
            (back.state, back.packets_out, back.bytes_out) = (State::Shr, 0, 0);
        }
        if n < 40 {
            trial.event(Kind::Fw, BEGIN + f64::from(n), "198.51.100.9", &format!("10.0.6.{n}"), 23).action = deny;
        }
    }
    let mut found = trial.found(&DETECTOR);
    found.sort_by_key(|f| f.host);
    assert_eq!(
        titles(&found),
        [
            "192.0.2.66 floods 10.0.40.20 80/tcp with 600 attempts in 5.99 s",
            "198.51.100.9 searches 40 hosts for 23/tcp in 39 s; nothing answered",
            "203.0.113.80 answers 150 hosts that did not ask, 150 times in 2 min",
        ]
    );
    assert!(
        found[2].query.starts_with("kind = flow and dst.ip = 203.0.113.80 and proto = tcp and state in {SHR, RSTRH}"),
        "{}",
        found[2].query
    );
}

#[test]
fn of_the_noise_of_the_internet_only_the_greatest_are_told_one_by_one() {
    let mut trial = Trial::new();
    for source in 0..60 {
        for host in 0..(26 + source) {
            trial.unanswered(BEGIN + f64::from(host), &format!("192.0.2.{source}"), &format!("10.0.0.{host}"), 23);
        }
    }
    let found = trial.found(&DETECTOR);
    assert_eq!(found.len(), 21);
    let rest = found.iter().find(|f| f.severity == 0).unwrap();
    assert!(
        rest.title.starts_with("40 more hosts outside search and find nothing, as 192.0.2.39 searches 65 hosts"),
        "{}",
        rest.title
    );
}

#[test]
fn what_is_held_is_bounded() {
    let mut searches = Searches::default();
    let flow = Flow { src: Host(1), dst: Host(2), proto: proto::TCP, dst_port: 80, state: State::SF, ..Flow::default() };
    searches.samples = std::iter::repeat_n(Sample::of_flow(&flow), 1_000).collect();
    searches.samples.push(Sample::of_flow(&Flow { dst: Host(3), ..flow }));
    searches.thin();
    assert_eq!((searches.samples.len(), searches.lost), (2, 999));
}
