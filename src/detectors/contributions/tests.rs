//! Days of traffic in a case of their own, an hour of which a rule of a firewall stops.

use super::*;
use crate::model::decision::{What, Who};
use crate::model::source::SourceKey;
use crate::model::synthetic::Random;
use crate::model::time::SECOND;
use crate::model::{EvidenceKey, Kind, Record, RecordId, Time};
use crate::query::local::{LocalEngine, Nothing};
use crate::store::{Begin, Done, NewEvidence, OpenOptions, Reserve, Store};
use std::path::Path;

/// 2026-11-16T00:00:00Z, a Monday.
const MONDAY: i64 = 1_794_787_200;

/// Five workdays of traffic to six servers; on Friday from 10 to 11 a rule stops what goes to one of them, while others deny what they always deny.
fn case(dir: &Path, seed: u64, culprit: usize) -> LocalEngine {
    let options = OpenOptions {
        create: true,
        forget: true,
        ballast: 0,
        reserve: Reserve { percent: 0, bytes: 0 },
        ..OpenOptions::default()
    };
    let store = Store::open(&dir.join("case"), &options).unwrap();
    let new = NewEvidence { key: EvidenceKey(1), path: "/e".into(), size: 1, modified: Time(0), head_hash: [1; 32] };
    let Begin::Fresh(mut import) = store.begin(&new).unwrap() else { panic!("known") };
    let mut source = |name: &str| import.source(&SourceKey { format: "t".into(), sensor: name.into() }, None).unwrap();
    let (flows, firewall) = (source("flows"), source("firewall"));
    let mut random = Random::new(seed);
    let mut rows: Vec<Record> = Vec::new();
    let mut record = |kind, at: i64, source, src: String, dst: String, port: u64| {
        let id = RecordId { evidence: EvidenceKey(1), offset: rows.len() as u64, ordinal: 0 };
        let mut r = Record::new(kind, id, source, Time(at * SECOND));
        r.end = Time((at + 1) * SECOND);
        r.set(field::SRC_IP, Value::Addr(src.parse().unwrap()));
        r.set(field::DST_IP, Value::Addr(dst.parse().unwrap()));
        r.set(field::DST_PORT, port);
        r.set(field::PROTO, 6u64);
        rows.push(r);
        rows.len() - 1
    };
    let mut set: Vec<(usize, FieldId, Value)> = Vec::new();
    for day in 0..5i64 {
        for second in (9 * 3600..12 * 3600).step_by(20) {
            let at = MONDAY + day * 86_400 + second as i64 + random.below(20) as i64;
            let server = random.below(6) as usize;
            let client = format!("10.0.0.{}", 10 + random.below(30));
            let port = [443, 445, 1433, 25, 8080, 22][server];
            let (dst, stopped) = (format!("10.0.1.{}", server + 1), day == 4 && second / 3600 == 10 && server == culprit);
            let n = record(Kind::Flow, at, flows, client.clone(), dst.clone(), port);
            set.push((n, field::STATE, Value::text(if stopped { "S0" } else { "SF" })));
            set.push((n, field::BYTES_OUT, Value::Uint(if stopped { 60 } else { 900 })));
            if stopped {
                for again in 0..1 + random.below(3) as i64 {
                    let n = record(Kind::Fw, at + again, firewall, client.clone(), dst.clone(), port);
                    set.push((n, field::ACTION, Value::text("deny")));
                    set.push((n, field::RULE, Value::text("new-rule-7")));
                }
            }
            // Noise that is denied every day, more of it in that hour.
            let noise = if day == 4 && second / 3600 == 10 { 2 } else { 1 };
            for _ in 0..noise {
                let n = record(
                    Kind::Fw,
                    at,
                    firewall,
                    format!("203.0.113.{}", random.below(250)),
                    "10.0.1.9".into(),
                    23 + random.below(3),
                );
                set.push((n, field::ACTION, Value::text("deny")));
                set.push((n, field::RULE, Value::text("default-deny")));
            }
        }
    }
    // A service that nobody had before.
    let n = record(Kind::Flow, MONDAY + 4 * 86_400 + 10 * 3600 + 60, flows, "10.0.0.11".into(), "10.0.0.12".into(), 4444);
    set.push((n, field::STATE, Value::text("SF")));
    let n = record(Kind::Alert, MONDAY + 4 * 86_400 + 10 * 3600 + 61, flows, "10.0.0.11".into(), "10.0.0.12".into(), 4444);
    set.push((n, field::SIGNATURE, Value::text("ODD SHELL")));
    for (n, id, value) in set {
        rows[n].set(id, value);
    }
    rows.sort_by_key(|r| r.start);
    for row in rows {
        import.push(row).unwrap();
    }
    import.finish(Done::default()).unwrap();
    let site = What::Site { name: "home".into(), networks: vec!["10.0.0.0/16".into()], zone: None };
    store.journal().append(site, Who::default()).unwrap();
    LocalEngine::new(store, Box::new(Nothing))
}

fn hour() -> Window {
    let start = Time((MONDAY + 4 * 86_400 + 10 * 3600) * SECOND);
    Window::new(start, start.plus(3600 * SECOND))
}

fn explained(engine: &LocalEngine, weight: Weight) -> Explained {
    let asking = Asking { engine, window: hour(), scope: "", weight, flows: FLOWS, ahead: 0, cancel: &Cancel::default() };
    explain(&asking).unwrap()
}

#[test]
fn an_outage_is_attributed_to_the_rule_that_caused_it() {
    let mut right = 0;
    const SEEDS: u64 = 20;
    for seed in 0..SEEDS {
        let dir = tempfile::tempdir().unwrap();
        let engine = case(dir.path(), seed, seed as usize % 6);
        let found = explained(&engine, Weight::Bytes);
        right += u64::from(found.denied.first().is_some_and(|d| d.rule.as_deref() == Some("new-rule-7") && d.matched > 1.0));
    }
    assert!(right * 100 >= SEEDS * 95, "{right} of {SEEDS}");
}

#[test]
fn a_window_is_taken_apart_with_queries_that_open_every_line() {
    let dir = tempfile::tempdir().unwrap();
    let engine = case(dir.path(), 7, 1);
    let found = explained(&engine, Weight::Bytes);
    assert_eq!(found.compared.len(), 4);
    assert!(found.actual < found.usual, "{} {}", found.actual, found.usual);
    let first = |d: Dimension| found.parts.iter().find(|p| p.dimension == d).unwrap();
    assert_eq!((first(Dimension::Host).value.as_str(), first(Dimension::Port).value.as_str()), ("10.0.1.2", "445/tcp"));
    assert_eq!(first(Dimension::Service).value, "10.0.1.2 445/tcp");
    assert!(first(Dimension::Service).part > 0.5);
    let denied = &found.denied[0];
    assert!(denied.text.contains("missing flows match") && denied.text.ends_with("denies by rule new-rule-7"), "{}", denied.text);
    assert_eq!(
        found.alerts.iter().map(|a| (a.signature.as_str(), a.actual, a.usual)).collect::<Vec<_>>(),
        [("ODD SHELL", 1.0, 0.0)]
    );
    assert!(found.new.iter().any(|n| n.value == "10.0.0.12 4444/tcp"), "{:?}", found.new);
    let never = found.rates.iter().find(|r| r.what == "never answered").unwrap();
    assert!(never.actual > 10.0 && never.usual == 0.0);
    let queries = found
        .parts
        .iter()
        .map(|p| &p.query)
        .chain(found.denied.iter().map(|d| &d.query))
        .chain(found.alerts.iter().map(|a| &a.query));
    for query in queries.chain(found.new.iter().map(|n| &n.query)) {
        let question = engine.compile(query).unwrap();
        assert_eq!(question.window, hour(), "{query}");
        engine.counts(&[question], 10, &Cancel::default()).unwrap();
    }
    // The stopped flows are there all the same: their number is usual, so nothing is made of it.
    let counted = explained(&engine, Weight::Flows);
    assert!((counted.actual - counted.usual).abs() < 60.0);
}

#[test]
fn hours_are_compared_with_days_of_their_kind() {
    let span = Window::new(Time((MONDAY - 14 * 86_400) * SECOND), Time((MONDAY + 7 * 86_400) * SECOND));
    let at =
        |day: i64| Window::new(Time((MONDAY + day * 86_400 + 36_000) * SECOND), Time((MONDAY + day * 86_400 + 39_600) * SECOND));
    let days =
        |w: &Window| compared(w, &span, 0).iter().map(|c| (c.start.0 / SECOND - MONDAY).div_euclid(86_400)).collect::<Vec<_>>();
    assert_eq!(days(&at(1)), [0, -3, -4, -5, -6, -7, -10]);
    assert_eq!(days(&at(5)), [-1, -2, -8, -9]);
    // Nothing before: what comes after; of two days whole weeks.
    assert_eq!(days(&at(-14)), [-13, -12, -11, -10, -7, -6, -5]);
    let long = Window::new(at(1).start, at(3).start);
    assert_eq!(days(&long), [-6, -13]);
    assert_eq!(days(&at(-13)), [-14, -12, -11, -10, -7, -6, -5], "one before, then those after");
    assert!(compared(&span, &span, 0).is_empty());
}
