//! Outages made by hand and by a generator: which are found, and which rule each is put down to.

use super::*;
use crate::detectors::rows::State;
use crate::detectors::trial::{FRIDAY, Trial};
use crate::model::Kind;

const RULE: &str = "LOCK-WEB";

/// Numbers that look random and are the same for the same seed.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }
    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
    fn chance(&mut self, p: f64) -> bool {
        (self.next() % 1_000_000) as f64 <= p * 1e6
    }
    fn between(&mut self, a: f64, b: f64) -> f64 {
        a + (b - a) * (self.next() % 1_000_000) as f64 / 1e6
    }
}

fn deny(trial: &mut Trial, at: f64, src: &str, dst: &str, port: u16, rule: &str, src_port: u16) {
    let (action, rule) = (trial.word("deny"), trial.word(rule));
    let event = trial.event(Kind::Fw, at, src, dst, port);
    (event.action, event.rule, event.src_port) = (action, rule, src_port);
}

/// How the firewall of a world names the server.
#[derive(Clone, Copy, PartialEq)]
enum Names {
    Server,
    /// By its address outside, with the inner one as translated.
    Both,
    /// By its address outside alone.
    Outside,
}

/// Six hours of a site whose web server fails for a while: by a rule, or by itself. With rules that deny other things, also to the same clients, the
/// same service, and now and then the same clients at the same service.
fn world(seed: u64, names: Names, by_rule: bool) -> Trial {
    let mut trial = Trial::new();
    let mut dice = Dice(seed.wrapping_mul(7_919).wrapping_add(13));
    let begin = FRIDAY as f64;
    let from = begin + dice.between(3_600.0, 3.0 * 3_600.0);
    let until = from + dice.between(600.0, 3_600.0);
    let (clients, usual) = (8 + dice.below(40), dice.between(0.0, 0.06));
    let gap = dice.between(4.0, 20.0);
    let logged = dice.between(0.75, 1.0);
    let skew = dice.between(-1.0, 1.0);
    let mut at = begin;
    while at < begin + 6.0 * 3_600.0 {
        at += dice.between(0.2, 2.0) * gap;
        let client = format!("10.0.1.{}", 1 + dice.below(clients));
        let out = (from..until).contains(&at);
        let fails = out && dice.chance(0.97) || dice.chance(usual);
        if !fails {
            trial.flow(at, &client, "10.0.40.20", 80);
            continue;
        }
        let tries = 1 + dice.below(4) as i64;
        let flow = trial.unanswered(at, &client, "10.0.40.20", 80);
        flow.end = flow.start.plus((tries - 1) * 2 * SECOND);
        let port = flow.src_port;
        if !out {
            continue;
        }
        for n in 0..tries {
            let when = at + skew + n as f64 * 2.0 + dice.between(-0.2, 0.2);
            if by_rule && dice.chance(logged) {
                let server = if names == Names::Server { "10.0.40.20" } else { "198.51.100.2" };
                deny(&mut trial, when, &client, server, 80, RULE, port);
                if names == Names::Both {
                    let inner = trial.host("10.0.40.20");
                    trial.events.last_mut().unwrap().nat_dst = Some(inner);
                }
            }
        }
        if dice.chance(0.05) {
            deny(&mut trial, at, &client, "10.0.40.20", 80, "GEO-BLOCK", port);
        }
    }
    for _ in 0..4_000 {
        let at = begin + dice.between(0.0, 6.0 * 3_600.0);
        let (outside, client) = (format!("203.0.113.{}", dice.below(250)), format!("10.0.1.{}", 1 + dice.below(clients)));
        let port = 20_000 + dice.below(40_000) as u16;
        match dice.below(4) {
            0 => deny(&mut trial, at, &outside, "10.0.40.20", 80, "WAN-DROP", port),
            1 => deny(&mut trial, at, &outside, "198.51.100.2", 80, "WAN-DROP", port),
            2 => deny(&mut trial, at, &client, "192.0.2.9", 80, "NO-PLAIN-WEB", port),
            _ => deny(&mut trial, at, &client, "10.0.40.20", 22, "NO-SSH", port),
        }
    }
    // Another service of the host, which works.
    for n in 0..200 {
        trial.flow(begin + f64::from(n) * 100.0, "10.0.1.1", "10.0.40.20", 443);
    }
    trial
}

#[test]
fn an_injected_outage_is_attributed_to_its_rule() {
    let (mut found, mut right) = (0, 0);
    let seeds = 60;
    for seed in 0..seeds {
        let names = [Names::Server, Names::Both, Names::Outside][seed as usize % 3];
        let findings = world(seed, names, true).found(&DETECTOR);
        found += usize::from(findings.len() == 1 && findings[0].service == Some((6, 80)));
        right += usize::from(findings.iter().any(|f| f.title.contains(&format!("by rule {RULE}"))));
        if names == Names::Outside {
            assert!(findings.iter().all(|f| f.caveats.iter().any(|c| c.contains("another address"))), "{seed}");
        }
    }
    // 5.4: 95 % of the seeds.
    assert!(found * 100 >= 95 * seeds as usize && right * 100 >= 95 * seeds as usize, "{found} {right} of {seeds}");
}

#[test]
fn an_outage_without_a_rule_is_attributed_to_none() {
    for seed in 100..120 {
        let findings = world(seed, Names::Server, false).found(&DETECTOR);
        assert_eq!(findings.len(), 1, "{seed}");
        assert!(!findings[0].title.contains("by rule"), "{seed} {}", findings[0].title);
        assert!(findings[0].caveats.iter().any(|c| c.contains("no rule of a firewall")), "{:?}", findings[0].caveats);
    }
}

/// A service with this many successes before, and failures in five minutes after, of clients that take turns.
fn service_of(successes: u32, failures: u32, clients: u32) -> Trial {
    let mut trial = Trial::new();
    for n in 0..successes {
        trial.flow(FRIDAY as f64 + f64::from(n) * 20.0, &format!("10.0.1.{}", n % clients), "10.0.40.20", 80);
    }
    let from = FRIDAY as f64 + 6.0 * 3_600.0;
    for n in 0..failures {
        trial.unanswered(from + f64::from(n) * 290.0 / f64::from(failures), &format!("10.0.1.{}", n % clients), "10.0.40.20", 80);
    }
    trial
}

#[test]
fn the_thresholds_are_ten_attempts_half_of_them_and_a_tenth_before() {
    assert_eq!(service_of(500, 10, 7).found(&DETECTOR).len(), 1);
    assert_eq!(service_of(500, 9, 7).found(&DETECTOR).len(), 0);
    assert_eq!(service_of(0, 100, 7).found(&DETECTOR).len(), 0);
    // Half of them succeed; a little more than half.
    for (successes, want) in [(10, 1), (11, 0)] {
        let mut trial = service_of(500, 10, 7);
        for n in 0..successes {
            trial.flow(FRIDAY as f64 + 6.0 * 3_600.0 + f64::from(n), "10.0.1.9", "10.0.40.20", 80);
        }
        assert_eq!(trial.found(&DETECTOR).len(), want, "{successes}");
    }
    // A service of which a fifth always fails.
    let mut trial = service_of(500, 10, 7);
    for n in 0..130 {
        trial.unanswered(FRIDAY as f64 + f64::from(n) * 77.0, "10.0.1.3", "10.0.40.20", 80);
    }
    assert_eq!(trial.found(&DETECTOR).len(), 0);
}

#[test]
fn clients_decide_how_severe_it_is_and_one_that_fails_alone_is_none() {
    let severity = |clients| service_of(500, 120, clients).found(&DETECTOR).first().map(|f| f.severity);
    assert_eq!([1, 2, 7, 60].map(severity), [Some(1), Some(2), Some(3), Some(4)]);
    let mut trial = service_of(500, 0, 7);
    for n in 0..40 {
        trial.unanswered(FRIDAY as f64 + 6.0 * 3_600.0 + f64::from(n) * 2.0, "10.0.1.3", "10.0.40.20", 80);
    }
    assert_eq!(trial.found(&DETECTOR).len(), 0);
}

#[test]
fn a_host_that_is_gone_is_one_finding_and_refusals_are_said() {
    let mut trial = service_of(500, 30, 7);
    for flow in trial.flows.clone() {
        for port in [22, 443, 25] {
            trial.flows.push(Flow { dst_port: port, ..flow });
        }
    }
    let found = trial.found(&DETECTOR);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0].title.starts_with("4 services do not answer") && found[0].service.is_none(), "{}", found[0].title);
    let mut trial = service_of(500, 30, 7);
    for flow in trial.flows.iter_mut().filter(|f| f.state == State::S0) {
        (flow.state, flow.packets_in, flow.bytes_in) = (State::Rej, 1, 40);
    }
    assert!(trial.found(&DETECTOR)[0].title.contains("the host refuses"));
}
