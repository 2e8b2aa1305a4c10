//! What detectors of behaviour find in the sample incident is what happened in it, and little besides.

use crate::story::{truth, whole};
use backtrail::detectors::gather::Asked;
use backtrail::detectors::{Detector, Limits, find, run};
use backtrail::model::finding::Finding;
use backtrail::model::{Cancel, Value, Window};
use backtrail::query::Engine;
use std::sync::LazyLock;

const NAMES: [&str; 9] = [
    "beacon",
    "direct_to_ip",
    "lateral_movement",
    "long_connection",
    "new_host",
    "new_service",
    "rare_client",
    "scan",
    "server_as_client",
];

static FOUND: LazyLock<Vec<Finding>> = LazyLock::new(|| {
    let detectors: Vec<&dyn Detector> = NAMES.iter().map(|n| find(n).unwrap()).collect();
    let asked = Asked { limits: &Limits::new(), only: Some(&detectors), window: Window::ALL, past: None };
    run(&whole().engine, &asked, &Cancel::default(), &mut |_| {}).unwrap().list
});

fn of(detector: &str, host: &str) -> &'static Finding {
    let named: Vec<&Finding> = FOUND.iter().filter(|f| f.detector == detector).collect();
    let titles = || named.iter().map(|f| f.title.as_str()).collect::<Vec<_>>();
    named.iter().find(|f| f.host.to_string() == host).unwrap_or_else(|| panic!("{detector} {host}: {:?}", titles()))
}

fn rows(query: &str) -> u64 {
    let engine = &whole().engine;
    let table = engine.table(&engine.compile(&format!("{query} | count")).unwrap(), &Cancel::default()).unwrap();
    table.rows.iter().flatten().flatten().find_map(|v| if let Value::Uint(n) = v { Some(*n) } else { None }).unwrap_or(0)
}

#[test]
fn the_beacon_is_among_the_first_and_whole() {
    let beacon = of("beacon", truth("/beacon/src").as_str().unwrap());
    let place = FOUND.iter().position(|f| f.key() == beacon.key()).unwrap();
    assert!(place < 3, "{:?}", FOUND.iter().map(|f| &f.title).collect::<Vec<_>>());
    assert_eq!(
        (beacon.severity, Some(beacon.rows), beacon.name.as_deref()),
        (3, truth("/beacon/count").as_u64(), Some("evil.example"))
    );
    assert!(beacon.title.contains("every 5 min (300 s ± 7 s)") && beacon.title.contains("on 4 days"), "{}", beacon.title);
}

#[test]
fn the_search_and_the_moves_are_told_with_their_hosts() {
    let scan = of("scan", "10.8.21.5");
    assert!(scan.title.starts_with("10.8.21.5 searches 40 hosts for 445/tcp"), "{}", scan.title);
    assert_eq!(scan.window.start.rfc3339(), "2026-11-19T08:58:12Z");
    for open in ["10.8.30.2", "10.8.30.3", "10.8.30.10"] {
        assert!(scan.title.contains(open), "{}", scan.title);
    }
    let moves = of("lateral_movement", "10.8.21.5");
    assert!(moves.severity >= 3 && moves.query.contains("10.8.21.23") && moves.query.contains("10.8.21.31"), "{}", moves.query);
    let client = of("rare_client", "10.8.21.5");
    assert_eq!(client.name.as_deref(), Some("evil.example"));
    assert!(client.query.contains(truth("/beacon/ja4").as_str().unwrap()));
}

#[test]
fn there_is_little_besides_and_every_query_selects_its_records() {
    let grave: Vec<&str> = FOUND.iter().filter(|f| f.severity >= 2).map(|f| f.title.as_str()).collect();
    assert!(grave.len() <= 6 && grave.iter().all(|t| t.contains("10.8.21.5")), "{grave:#?}");
    assert!(FOUND.len() <= 20, "{:#?}", FOUND.iter().map(|f| &f.title).collect::<Vec<_>>());
    for finding in FOUND.iter() {
        let selected = rows(&finding.query);
        assert!(
            selected >= finding.rows && selected > 0,
            "{} of {}: {} {}",
            selected,
            finding.rows,
            finding.title,
            finding.query
        );
        assert!(!finding.evidence.is_empty() && !finding.numbers.is_empty() && !finding.benign.is_empty(), "{}", finding.title);
        assert!((0.0..=1.0).contains(&finding.score) && !finding.sources.is_empty(), "{}", finding.title);
    }
}
