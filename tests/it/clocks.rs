//! The clocks of the sample incident, measured: what its truth says each is off is found, and none is made up.

use crate::story::Case;
use backtrail::model::clock::{ClockEstimate, ClockState, Meaning};
use backtrail::model::decision::What;
use backtrail::model::source::SourceInfo;
use backtrail::model::time::SECOND;
use backtrail::query::Engine;

fn source(case: &Case, name: &str) -> SourceInfo {
    case.engine.sources().into_iter().find(|s| s.name == name).unwrap_or_else(|| panic!("no source {name}"))
}

fn estimate(case: &Case, name: &str) -> ClockEstimate {
    source(case, name).estimate.unwrap_or_else(|| panic!("{name} was not measured"))
}

/// Seconds that the clock of a source is ahead, if it is sure and even.
fn ahead(case: &Case, name: &str) -> f64 {
    let e = estimate(case, name);
    assert_eq!((e.state, e.pieces.len()), (ClockState::Confident, 1), "{name}: {e:?}");
    assert!(e.pieces[0].skew.abs() < 1_000, "{name}: no part per million: {e:?}");
    e.offset(&e.pieces[0]) as f64 / SECOND as f64
}

#[test]
fn every_clock_of_the_story_is_found_and_corrected_and_none_is_made_up() {
    let case = Case::of(&["."]);
    // Lines of the gateway and of build1 state no zone and were read as UTC, an hour ahead of what Berlin's winter is.
    for (name, off, by) in [("squid-access", -25_237.0, 0.01), ("gw1", 3_600.0, 0.2), ("build1", 3_600.0, 0.3)] {
        assert!((ahead(&case, name) - off).abs() < by, "{name}: {}", ahead(&case, name));
        let source = source(&case, name);
        assert!(source.is_measured() && source.is_checked(), "{source:?}");
        assert!((source.clock.shift as f64 / SECOND as f64 + off).abs() < 1.0, "{name}: {}", source.clock.shift);
    }
    assert_eq!(estimate(&case, "squid-access").meaning, Meaning::End);
    for name in ["dns", "eve", "pcap:inside/eth1", "pcap:inside/eth2", "pcap:outside", "conntrack"] {
        assert!(ahead(&case, name).abs() < 0.2, "{name}: {}", ahead(&case, name));
        assert_eq!(source(&case, name).clock.shift, 0, "{name}: {:?}", estimate(&case, name));
    }
    // What the web server shares with others is little: it is known rightly or not at all.
    let web = estimate(&case, "www-access");
    assert!(web.pieces.iter().all(|p| web.offset(p).abs() < SECOND / 5), "{web:?}");
    assert_eq!(source(&case, "www-access").clock.shift, 0);
    assert_eq!(estimate(&case, "conn").state, ClockState::Reference);
    for name in ["nmap", "scan", "inventory", "feed"] {
        assert_eq!(estimate(&case, name).state, ClockState::Unknown, "{name}");
    }
    // What was asked through the proxy stands where it happened: the click that was denied.
    let denied = case.rows("kind = proxy and action = deny");
    assert_eq!(denied.len(), 1);
    let at = denied[0].time().rfc3339();
    assert!(at.starts_with("2026-11-17T08:09:2"), "{at}");
    assert!(denied[0].start.rfc3339().starts_with("2026-11-17T01:0"), "{}", denied[0].start.rfc3339());
    // What people set goes before what was measured, until they take it back.
    case.decide(What::SourceSet {
        source: "squid-access".into(),
        offset: Some(60 * SECOND),
        zone: None,
        year: None,
        dates: None,
        site: None,
    });
    assert_eq!(source(&case, "squid-access").clock.shift, 60 * SECOND);
    assert!(!source(&case, "squid-access").is_measured());
}
