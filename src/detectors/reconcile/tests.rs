//! A site of 200 hosts with five seeded cases of each rule R1 to R8, and everything else as it should be: how many are found, how many are not there.

use super::known::{Listed, Port, PortState, Scanned};
use super::*;
use crate::detectors::trial::{FRIDAY, Trial};
use crate::detectors::{Limits, find};
use crate::model::{Kind, proto};
use std::collections::BTreeSet;

/// A small generator of numbers; the same seed gives the same site.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n.max(1)
    }
    fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.roll(list.len() as u64) as usize]
    }
}

const BEGIN: f64 = (FRIDAY - 40 * 86_400) as f64;
const DAYS: u64 = 40;

/// What was seeded and what was found: rule, host.
type Cases = BTreeSet<(&'static str, String)>;

struct Made {
    trial: Trial,
    truth: Cases,
}

#[derive(Clone)]
struct Plan {
    addr: String,
    role: &'static str,
    services: Vec<u16>,
}

fn plans() -> Vec<Plan> {
    let mut out = Vec::new();
    let mut add = |count: u32, third: u8, role: &'static str, services: &[u16]| {
        for n in 0..count {
            out.push(Plan { addr: format!("10.0.{third}.{}", n + 10), role, services: services.to_vec() });
        }
    };
    add(100, 1, "workstation", &[]);
    add(40, 2, "laboratory workstation", &[]);
    add(2, 3, "domain controller", &[53, 88, 389, 445]);
    add(18, 4, "web server", &[22, 443]);
    add(10, 5, "file server", &[22, 445]);
    add(10, 6, "database server", &[22, 5432]);
    add(20, 7, "printer", &[80, 9100]);
    out
}

fn listed(plan: &Plan, n: u64) -> Listed {
    let words: Vec<String> = plan.services.iter().map(|p| format!("{p}/tcp")).collect();
    Listed {
        addr: Some(plan.addr.parse().unwrap()),
        name: format!("host-{n}"),
        role: plan.role.into(),
        services: (!words.is_empty()).then(|| words.join(" ")),
        time: Time((BEGIN * 1e9) as i64 - 1),
        id: RecordId { offset: 1_000_000 + n, ..RecordId::default() },
        source: SourceId(9),
        ..Listed::default()
    }
}

fn scan(trial: &mut Trial, addr: &str, port: u16, state: PortState) {
    let time = Time(((BEGIN + 86_400.0) * 1e9) as i64);
    let said = Port {
        state,
        product: String::new(),
        time,
        id: RecordId { offset: u64::from(port), ..RecordId::default() },
        source: SourceId(8),
    };
    trial.known.add_port(addr.parse().unwrap(), proto::TCP, port, said);
}

/// A day's work of a host that is as it should be.
fn work(trial: &mut Trial, dice: &mut Dice, plan: &Plan, skipped: &BTreeSet<(String, u16)>) {
    let day = |dice: &mut Dice| BEGIN + dice.roll(DAYS * 86_400) as f64;
    if plan.role.ends_with("workstation") {
        for _ in 0..10 {
            let at = day(dice);
            trial.flow(at, &plan.addr, &format!("192.0.2.{}", 1 + dice.roll(200)), 443);
            trial.flow(at, &plan.addr, "10.0.3.10", 53).proto = proto::UDP;
        }
        // What tries and fails, and noise that leads nowhere.
        trial.unanswered(day(dice), &plan.addr, &format!("10.0.1.{}", dice.roll(250)), 445);
        trial.flow(day(dice), &plan.addr, &format!("10.0.1.{}", 10 + dice.roll(100)), 5353).proto = proto::UDP;
    }
    for port in &plan.services {
        if skipped.contains(&(plan.addr.clone(), *port)) {
            continue;
        }
        for _ in 0..4 {
            let client = format!("10.0.1.{}", 10 + dice.roll(100));
            trial.flow(day(dice), &client, &plan.addr, *port);
        }
        if plan.role == "web server" && *port == 443 {
            trial.flow(day(dice), &format!("203.0.113.{}", 1 + dice.roll(200)), &plan.addr, 443);
        }
    }
    if !plan.role.ends_with("workstation") {
        trial.flow(day(dice), &plan.addr, "10.0.3.10", 53).proto = proto::UDP;
    }
}

fn make(seed: u64) -> Made {
    let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let mut trial = Trial::new();
    let mut plans = plans();
    let mut truth = Cases::new();
    let mut skipped: BTreeSet<(String, u16)> = BTreeSet::new();
    let mut taken: BTreeSet<String> = BTreeSet::new();
    let http = trial.word("http");
    // Every case on a host of its own.
    let choose = |dice: &mut Dice, taken: &mut BTreeSet<String>, plans: &[Plan], roles: &[&str]| loop {
        let plan = dice.pick(plans).clone();
        if roles.contains(&plan.role) && taken.insert(plan.addr.clone()) {
            return plan;
        }
    };
    let day = |dice: &mut Dice| BEGIN + 2.0 * 86_400.0 + dice.roll((DAYS - 2) * 86_400) as f64;
    let (mut absent, mut unlisted): (BTreeSet<String>, BTreeSet<String>) = Default::default();
    for _ in 0..5 {
        let mut seed = |rule: &'static str, roles: &[&str], dice: &mut Dice| {
            let plan = choose(dice, &mut taken, &plans, roles);
            truth.insert((rule, plan.addr.clone()));
            plan
        };
        let servers = ["web server", "file server", "database server"];
        let one = seed("R1", &["workstation", "file server", "database server"], &mut dice);
        for _ in 0..1 + dice.roll(6) {
            trial.flow(
                day(&mut dice),
                &format!("10.0.1.{}", 10 + dice.roll(100)),
                &one.addr,
                *dice.pick(&[21, 3389, 1433, 6667]),
            );
        }
        let two = seed("R2", &["workstation", "database server"], &mut dice);
        trial.flow(day(&mut dice), "10.0.1.10", &two.addr, *dice.pick(&[8080, 8000, 8888])).app = http;
        let three = seed("R3", &["printer"], &mut dice);
        trial.flow(day(&mut dice), &format!("203.0.113.{}", 1 + dice.roll(200)), &three.addr, *dice.pick(&[80, 9100]));
        absent.insert(seed("R4", &["laboratory workstation"], &mut dice).addr);
        unlisted.insert(seed("R5", &["laboratory workstation"], &mut dice).addr);
        let six = seed("R6", &["file server", "database server"], &mut dice);
        skipped.insert((six.addr, 22));
        let seven = seed("R7", &servers, &mut dice);
        scan(&mut trial, &seven.addr, *dice.pick(&[111, 2049, 8443]), PortState::Open);
        let eight = seed("R8", &servers, &mut dice);
        scan(&mut trial, &eight.addr, 22, *dice.pick(&[PortState::Closed, PortState::Filtered]));
    }
    plans.sort_by(|a, b| a.addr.cmp(&b.addr));
    let everybody = plans.clone();
    for (n, plan) in everybody.iter().enumerate() {
        if !unlisted.contains(&plan.addr) {
            trial.known.add_host(listed(plan, n as u64));
        }
        if !absent.contains(&plan.addr) {
            work(&mut trial, &mut dice, plan, &skipped);
        }
        if plan.services.is_empty() {
            continue;
        }
        let time = Time(((BEGIN + 86_400.0) * 1e9) as i64);
        let said = Scanned { os: String::new(), time, id: RecordId::default(), source: SourceId(8) };
        trial.known.add_scanned(plan.addr.parse().unwrap(), said);
        for port in &plan.services {
            let case = truth.contains(&("R8", plan.addr.clone())) && *port == 22;
            if !case && !skipped.contains(&(plan.addr.clone(), *port)) {
                scan(&mut trial, &plan.addr, *port, PortState::Open);
            }
        }
    }
    // The answers of what nobody offers are no services.
    trial.event(Kind::Alert, BEGIN + 100.0, "203.0.113.9", "10.0.1.10", 445);
    Made { trial, truth }
}

fn found(made: &mut Made) -> Cases {
    let site = made.trial.site();
    let mut out = Cases::new();
    for (name, rules) in [
        ("unauthorised_service", ["R1", "R2"]),
        ("exposed_management", ["R3", ""]),
        ("absent_host", ["R4", ""]),
        ("unknown_host", ["R5", ""]),
        ("unused_service", ["R6", "R7"]),
        ("scan_contradiction", ["R8", ""]),
    ] {
        for f in find(name).unwrap().compare(&site, &made.trial.net, &Limits::new()) {
            let second = f.title.contains("answers browsers") || f.title.contains("open by the scan");
            out.insert((rules[usize::from(second)], f.host.to_string()));
            assert!(
                !f.query.is_empty() && !f.benign.is_empty() && !f.numbers.is_empty() && f.window.start < f.window.end,
                "{f:?}"
            );
        }
    }
    out
}

#[test]
fn of_a_site_of_two_hundred_hosts_the_seeded_cases_are_found_and_no_others() {
    let (mut right, mut said, mut there) = (0usize, 0usize, 0usize);
    for seed in 1..=12 {
        let mut made = make(seed);
        assert_eq!(plans().len(), 200);
        let found = found(&mut made);
        let hits = found.intersection(&made.truth).count();
        let missed: Vec<_> = made.truth.difference(&found).collect();
        let wrong: Vec<_> = found.difference(&made.truth).collect();
        // Of each seed by itself, so that no seed hides behind the others.
        assert!(hits as f64 >= 0.95 * made.truth.len() as f64, "seed {seed}: missed {missed:?}");
        assert!(hits as f64 >= 0.95 * found.len() as f64, "seed {seed}: wrong {wrong:?}");
        (right, said, there) = (right + hits, said + found.len(), there + made.truth.len());
    }
    assert_eq!(there, 12 * 40);
    assert!(right as f64 >= 0.95 * said as f64 && right as f64 >= 0.95 * there as f64, "{right} of {said} said, {there} there");
}

#[test]
fn without_inventory_or_scan_only_behaviour_is_judged() {
    let mut made = make(3);
    made.trial.known = Known::default();
    // Printers are known by what they do.
    let exposed: Cases = made.truth.iter().filter(|c| c.0 == "R3").cloned().collect();
    assert_eq!(found(&mut made), exposed);
}

#[test]
fn devices_are_seen_by_personnel_only_and_the_rest_is_said() {
    let mut made = make(5);
    let members = crate::model::filter::Members { addrs: ["10.0.1.10".parse().unwrap()].into(), ..Default::default() };
    made.trial.known.personnel = Some(std::sync::Arc::new(members));
    let site = made.trial.site();
    let found = find("exposed_management").unwrap().compare(&site, &made.trial.net, &Limits::new());
    // Printing is for everybody, the page is not.
    let inside: Vec<_> = found.iter().filter(|f| f.severity == 2).collect();
    assert!(!inside.is_empty() && inside.iter().all(|f| f.service == Some((6, 80))), "{inside:?}");
}
