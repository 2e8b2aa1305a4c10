//! A process that is killed while it imports: what it had acknowledged is there at the next open, whole, and nothing else is.

use backtrail::model::decision::{About, What, Who};
use backtrail::model::source::SourceKey;
use backtrail::model::{EvidenceKey, Filter, Kind, Record, RecordId, Time, Value, field};
use backtrail::store::{Ask, Begin, Done, NewEvidence, OpenOptions, Reserve, Store};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

const CASE: &str = "BACKTRAIL_TEST_CRASH_CASE";

fn open(dir: &Path) -> Store {
    let options = OpenOptions { create: true, ballast: 0, reserve: Reserve { percent: 0, bytes: 0 }, ..OpenOptions::default() };
    Store::open(dir, &options).unwrap()
}

fn rows(key: u64) -> u64 {
    1 + key * 977 % 12_000
}

fn import(store: &Store, key: u64) {
    let new = NewEvidence { key: EvidenceKey(key), path: format!("/e/{key}"), size: key, modified: Time(0), head_hash: [0; 32] };
    let Begin::Fresh(mut import) = store.begin(&new).unwrap() else { return };
    let source = import.source(&SourceKey { format: "test".into(), sensor: format!("s{}", key % 3) }, None).unwrap();
    // Some are spread over so many days that their blocks are committed in groups while they run.
    let step = if key % 7 == 6 { 3_000 } else { 1 };
    for n in 0..rows(key) {
        let id = RecordId { evidence: EvidenceKey(key), offset: n, ordinal: 0 };
        let mut r = Record::new(Kind::Flow, id, source, Time((key * 40_000 + n * step) as i64 * 1_000_000_000));
        r.set(field::SRC_IP, Value::Addr([10, key as u8, (n >> 8) as u8, n as u8].into()));
        r.set(field::BYTES_OUT, n);
        import.push(r).unwrap();
    }
    import.finish(Done::default()).unwrap();
}

/// Run by the test below as a process of its own; alone it does nothing.
#[test]
fn child_that_imports_until_it_is_killed() {
    let Some(dir) = std::env::var_os(CASE) else { return };
    let store = open(Path::new(&dir));
    let first = store.evidence().iter().map(|e| e.key.0 + 1).max().unwrap_or(1);
    println!("\nopened");
    for key in first.. {
        import(&store, key);
        println!("imported {key}");
        store.journal().append(What::Note { about: About::Case, text: key.to_string() }, Who::default()).unwrap();
        println!("noted {key}");
    }
}

#[test]
fn a_process_killed_at_any_moment_loses_nothing_that_it_had_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let mut imported = 0u64;
    let mut noted = BTreeSet::new();
    for round in 0..8u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["crash::child_that_imports_until_it_is_killed", "--exact", "--nocapture"])
            .env(CASE, dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        assert!(lines.any(|l| l == "opened"), "round {round}");
        std::thread::sleep(Duration::from_millis(3 + round * 37 % 90));
        child.kill().unwrap();
        child.wait().unwrap();
        for line in lines {
            if let Some(key) = line.strip_prefix("imported ").and_then(|k| k.parse().ok()) {
                imported = key;
            }
            noted.extend(line.strip_prefix("noted ").map(str::to_owned));
        }
        let store = open(dir.path());
        let mut found: BTreeMap<u64, u64> = BTreeMap::new();
        let add = &mut |r: Record| {
            *found.entry(r.id.evidence.0).or_default() += 1;
            true
        };
        store.snapshot().select(&Ask::new(&Filter::All), &|| false, add).unwrap();
        let newest = found.keys().next_back().copied().unwrap_or(0);
        assert!(newest == imported || newest == imported + 1, "round {round}: {newest} of {imported}");
        assert_eq!(found, (1..=newest).map(|key| (key, rows(key))).collect(), "round {round}");
        // A note has no number of its own: a process killed between an import and its note never writes that one.
        let decisions = store.journal().decisions();
        let kept: BTreeSet<String> = decisions
            .iter()
            .filter_map(|d| if let What::Note { text, .. } = &d.what { Some(text.clone()) } else { None })
            .collect();
        assert_eq!(kept.len(), decisions.len(), "round {round}");
        assert!(kept.is_superset(&noted) && kept.len() <= noted.len() + 1, "round {round}: {kept:?} of {noted:?}");
        (imported, noted) = (newest, kept);
    }
    assert!(imported > 3, "the child was too slow to test anything: {imported}");
}
