//! Findings on the whole story: what its truth says happened is found, ranks first, and is explained; on the screen and headless.

use crate::screens::{Bench, LARGE, SMALL};
use crate::story::CASE;
use backtrail::case::findings::{all, judge, rests_on};
use backtrail::detectors::gather::{Asked, run};
use backtrail::detectors::{ALL, Limits};
use backtrail::model::decision::{About, Decision, Judgement, What, Who};
use backtrail::model::finding::{Finding, Findings};
use backtrail::model::{Time, Window};
use backtrail::query::Engine;
use backtrail::query::engine::Cancel;
use std::sync::LazyLock;

static FOUND: LazyLock<Findings> = LazyLock::new(|| {
    let limits = Limits::new();
    let asked = Asked { limits: &limits, only: None, window: Window::ALL, past: None };
    run(&CASE.engine, &asked, &Cancel::default(), &mut |_| {}).unwrap()
});

fn found(detector: &str, host: &str, peer: Option<&str>) -> Option<(usize, &'static Finding)> {
    let fits = |f: &Finding| {
        f.detector == detector && f.host.to_string() == host && peer.is_none_or(|p| f.peer.is_some_and(|q| q.to_string() == p))
    };
    FOUND.list.iter().enumerate().find(|(_, f)| fits(f))
}

#[test]
fn what_happened_is_found_and_stands_among_the_first() {
    let told = || {
        FOUND
            .list
            .iter()
            .enumerate()
            .map(|(n, f)| format!("{n} {:.1} {} {}", f.rank, f.detector, f.title))
            .collect::<Vec<_>>()
            .join("\n")
    };
    for (detector, host, peer) in [
        ("beacon", "10.8.21.5", Some("203.0.113.9")),
        ("exfiltration", "10.8.21.5", Some("192.0.2.77")),
        ("scan", "10.8.21.5", None),
        ("brute_force", "10.8.21.5", Some("10.8.30.12")),
        ("lateral_movement", "10.8.21.5", None),
        ("spam", "10.8.21.23", None),
        ("outage", "10.8.40.20", None),
        ("exposed_management", "10.8.50.10", None),
    ] {
        let Some((rank, _)) = found(detector, host, peer) else { panic!("no {detector} of {host}:\n{}", told()) };
        assert!(rank < 15, "{detector} of {host} ranks {rank}:\n{}", told());
    }
    assert!(
        found("unknown_host", "10.8.21.77", None).is_some() && found("absent_host", "10.8.22.40", None).is_some(),
        "{}",
        told()
    );
    // What speaks for a finding is said by whom.
    let by = |f: &Finding| f.support.iter().map(|s| s.by.clone()).collect::<Vec<_>>();
    let (_, beacon) = found("beacon", "10.8.21.5", Some("203.0.113.9")).unwrap();
    assert!(by(beacon).iter().any(|b| b == "eve") && by(beacon).iter().any(|b| b == "reputation"), "{:?}", beacon.support);
    assert!(by(beacon).iter().any(|b| b == "exfiltration"), "{:?}", beacon.support);
    assert!(beacon.numbers.iter().any(|n| n.name == "criticality"), "{:?}", beacon.numbers);
    // The injection of the 19th says nothing of the spam an hour later on another host.
    let (_, spam) = found("spam", "10.8.21.23", None).unwrap();
    assert!(spam.support.iter().all(|s| !s.text.contains("SQL")), "{:?}", spam.support);
    let (_, outage) = found("outage", "10.8.40.20", None).unwrap();
    let says = format!("{} {:?} {:?}", outage.title, outage.numbers, outage.support);
    assert!(says.contains("DROP-EMERG-WEB-LOCK"), "{says}");
    // 90,000 connections: above one in a thousand it would be noise.
    assert!(FOUND.list.len() < 90, "{} findings:\n{}", FOUND.list.len(), told());
}

#[test]
fn every_finding_explains_itself_and_opens_its_records() {
    let cancel = Cancel::default();
    for f in &FOUND.list {
        let whole = !f.title.is_empty() && !f.benign.is_empty() && !f.techniques.is_empty() && f.severity <= 4;
        assert!(whole && (0.0..=1.0).contains(&f.score) && f.window.start < f.window.end, "{f:?}");
        assert!(f.numbers.iter().all(|n| !n.name.is_empty() && !n.value.is_empty()), "{f:?}");
        let question = CASE.engine.compile(&f.query).unwrap_or_else(|e| panic!("{}: {e}", f.query));
        let count = CASE.engine.counts(&[question], u64::MAX, &cancel).unwrap()[0].n;
        assert!(count > 0 || f.detector == "absent_host" || f.detector == "unused_service", "{} {}", f.detector, f.query);
        for id in &f.evidence {
            assert!(CASE.engine.record(*id).unwrap().is_some(), "{} names {id}", f.detector);
        }
    }
    let names: Vec<&str> = ALL.iter().map(|d| d.name()).collect();
    assert!(FOUND.list.iter().all(|f| names.contains(&f.detector.as_str())));
}

#[test]
fn the_same_case_gives_the_same_findings_and_they_are_kept() {
    let limits = Limits::new();
    let dir = tempfile::tempdir().unwrap();
    let cancel = Cancel::default();
    let mut runs = 0;
    let mut first = all(&CASE.engine, dir.path(), &[], &limits, &cancel, &mut |_| runs += 1).unwrap();
    assert!(runs > 0);
    assert_eq!(first.list, FOUND.list);
    let again = all(&CASE.engine, dir.path(), &[], &limits, &cancel, &mut |_| panic!("it was kept")).unwrap();
    assert_eq!(first, again);
    let set = Limits::new().with("brute_force", "connections", 500.0);
    assert_ne!(rests_on(&CASE.engine, &[], &limits, &cancel).unwrap(), rests_on(&CASE.engine, &[], &set, &cancel).unwrap());
    // A set, a feed, what was pruned: any of them may change what is found or how it ranks.
    let set = What::SetAdd { set: "keysites".into(), entries: vec!["192.0.2.1".into()], reason: String::new(), expires: None };
    let decided = [Decision { sequence: 1, at: 0, who: Who::default(), what: set }];
    assert_ne!(
        rests_on(&CASE.engine, &[], &limits, &cancel).unwrap(),
        rests_on(&CASE.engine, &decided, &limits, &cancel).unwrap()
    );
    // Nobody has judged anything.
    assert_eq!(judge(&mut first, &CASE.engine, &[], &cancel).unwrap(), 0);
    assert!(first.list[0].window.start > Time(0));
}

#[test]
fn on_the_screen_findings_say_why_and_enter_goes_to_their_records() {
    for size in [SMALL, LARGE] {
        let mut bench = Bench::home(size);
        let list = bench.keys("f");
        assert!(list.contains("10.8.21.5 calls evil.example") && list.contains("threshold"), "{list}");
        let rows = bench.keys("<enter>");
        assert!(rows.contains("Flows") && rows.contains("10.8.21.5"), "{rows}");
        assert_eq!(bench.keys("<backspace>"), list, "back where it was");
    }
}

#[test]
fn what_was_judged_is_said_of_every_finding_whose_records_it_is_of() {
    let case = crate::story::Case::of(&["inside.pcapng"]);
    let (limits, cancel) = (Limits::new(), Cancel::default());
    let asked = Asked { limits: &limits, only: None, window: Window::ALL, past: None };
    let mut found = run(&case.engine, &asked, &cancel, &mut |_| {}).unwrap();
    let benign = found.list.iter().find(|f| !f.query.is_empty()).unwrap().clone();
    let decide = |text: &str, judgement| {
        let about = About::Query(text.to_owned());
        case.decide(What::Verdict { about, judgement, reason: String::new(), expires: None });
    };
    decide(&benign.query, Judgement::Benign);
    decide("host 10.8.21.23", Judgement::Malicious);
    let count = judge(&mut found, &case.engine, &case.engine.store().journal().decisions(), &cancel).unwrap();
    assert_eq!(found.list.iter().filter(|f| f.verdict.as_deref() == Some("benign")).count(), count);
    assert!(count > 0 && found.list.last().is_some_and(|f| f.verdict.as_deref() == Some("benign")));
    // One by one, as each is asked about alone.
    let n = |text: &str| case.engine.counts(&[case.engine.compile(text).unwrap()], u64::MAX, &cancel).unwrap()[0].n;
    for f in found.list.iter().filter(|f| !f.query.is_empty()) {
        let (all, good) = (n(&f.query), n(&format!("({}) and verdict = benign", f.query)));
        let bad = n(&format!("({}) and verdict = malicious", f.query));
        let want = if bad > 0 {
            Some("malicious")
        } else if good > 0 && good >= all {
            Some("benign")
        } else {
            None
        };
        assert_eq!(f.verdict.as_deref(), want, "{}", f.title);
    }
    assert!(found.list.iter().any(|f| f.verdict.as_deref() == Some("malicious")));
}
