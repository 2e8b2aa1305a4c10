//! How long it takes to group 40,000 alerts of 60 signatures under 100 verdicts: what home and the groups ask at every step.
//! `cargo bench --bench triage`; the target is 100 ms.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use backtrail::case::triage::groups;
use backtrail::model::decision::{About, Judgement, What, Who};
use backtrail::model::field as f;
use backtrail::model::source::SourceKey;
use backtrail::model::time::SECOND;
use backtrail::model::{EvidenceKey, Kind, Record, RecordId, Time, Value};
use backtrail::query::engine::Cancel;
use backtrail::query::known::Known;
use backtrail::query::{Engine, LocalEngine};
use backtrail::store::{Begin, Done, NewEvidence, OpenOptions, Reserve, Store};
use std::time::{Duration, Instant};

const ALERTS: u64 = 40_000;
const SIGNATURES: u64 = 60;
const VERDICTS: u64 = 100;
const RUNS: usize = 21;

fn main() {
    let dir = tempfile::tempdir().unwrap();
    let options = OpenOptions { create: true, ballast: 0, reserve: Reserve { percent: 0, bytes: 0 }, ..OpenOptions::default() };
    let store = Store::open(&dir.path().join("case"), &options).unwrap();
    fill(&store, &dir.path().join("alerts"));
    for n in 0..VERDICTS {
        let scope = if n < 60 { format!("host = 192.0.2.{}", n % 40) } else { format!("host = 10.0.{}.{}", n % 7, n % 199) };
        let query = format!("kind in {{alert, notice}} and signature.id = {} and {scope}", 1_000 + n % SIGNATURES);
        let judgement = if n % 10 == 0 { Judgement::Suspicious } else { Judgement::Benign };
        let what = What::Verdict { about: About::Query(query), judgement, reason: "r".into(), expires: None };
        store.journal().append(what, Who::default()).unwrap();
    }
    let engine = LocalEngine::new(store, Box::new(Known::default()));
    let decisions = engine.store().journal().decisions();
    let cancel = Cancel::default();
    let group = || groups(&engine, &decisions, Time(1_800_000_000 * SECOND), None, &cancel).unwrap();
    let found = group();
    assert_eq!(found.alerts, ALERTS);
    println!(
        "{ALERTS} alerts, {SIGNATURES} signatures, {VERDICTS} verdicts: {} groups, {} reviewed",
        found.list.len(),
        found.reviewed
    );
    report("groups", || drop(group()));
    let left = engine.compile("kind in {alert, notice} and not exists verdict").unwrap();
    report("what is left, by a query", || {
        let counted = engine.counts(std::slice::from_ref(&left), u64::MAX, &cancel).unwrap();
        assert_eq!(counted[0].n, found.left());
    });
}

fn report(what: &str, mut run: impl FnMut()) {
    let mut took: Vec<Duration> = Vec::new();
    for _ in 0..RUNS {
        let begun = Instant::now();
        run();
        took.push(begun.elapsed());
    }
    took.sort_unstable();
    println!("{what}: median {:.1?}, least {:.1?}, most {:.1?}", took[RUNS / 2], took[0], took[RUNS - 1]);
}

fn fill(store: &Store, file: &std::path::Path) {
    std::fs::write(file, "x").unwrap();
    let key = EvidenceKey(7);
    let new = NewEvidence { key, path: file.display().to_string(), size: 1, modified: Time(0), head_hash: [0; 32] };
    let Begin::Fresh(mut import) = store.begin(&new).unwrap() else { panic!("known") };
    let source = import.source(&SourceKey { format: "suricata-eve".into(), sensor: "s".into() }, None).unwrap();
    for n in 0..ALERTS {
        let id = RecordId { evidence: key, offset: n, ordinal: 0 };
        let mut r = Record::new(Kind::Alert, id, source, Time(n as i64 * SECOND));
        r.set(f::SRC_IP, Value::Addr([10, 0, (n % 7) as u8, (n % 199) as u8].into()));
        r.set(f::DST_IP, Value::Addr([192, 0, 2, (n % 40) as u8].into()));
        r.set(f::SIGNATURE_ID, 1_000 + n % SIGNATURES);
        r.set(f::SIGNATURE, format!("rule {}", n % SIGNATURES).as_str());
        r.set(f::SEVERITY, n % 4);
        import.push(r).unwrap();
    }
    import.finish(Done::default()).unwrap();
}
