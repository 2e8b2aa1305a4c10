//! The live head: what a running capture has not committed is answered as if it were, by every question; and the workbench grows with it.

use crate::story::Case;
use backtrail::ingest::replay::Tape;
use backtrail::ingest::{Feeder, Live};
use backtrail::model::field as f;
use backtrail::model::source::SourceKey;
use backtrail::model::{Entity, Filter, Kind, Record, SourceId, Value};
use backtrail::query::Engine;
use backtrail::query::engine::Cancel;
use backtrail::store::{Ask, Done, NewEvidence, Store};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

const QUESTIONS: [&str; 14] = [
    "kind = flow",
    "any contains parcel",
    "host 10.8.21.5",
    "host 10.8.21.5 and port 443",
    "src.ip = 10.8.21.5 and not dst.ip = 10.0.0.0/8",
    "name contains parcel-notice.example",
    "kind = dns and dns.answer.ip exists",
    "bytes > 100kB",
    "state = SF and app = tls",
    "direction = out and kind = flow",
    "source = \"pcap:inside/eth1\" or source = pcap:outside",
    "since 2h ago",
    "open = true",
    "dst.port = 53",
];

const TABLES: [&str; 9] = [
    "kind = flow | count by dst.ip, dst.port",
    "host 10.8.21.5 | count by kind",
    "kind = flow | sum bytes by src.ip | sort -sum | head 20",
    "kind = flow | top 10 host by bytes",
    "kind = flow | timeline 1d bytes by app",
    "kind != flow | count by name | sort -count | head 30",
    "| count by source",
    "host 10.8.21.5 | timeline 1h",
    "| count",
];

/// The captures of the story: records by evidence, and their sources.
type Captured = (Vec<(NewEvidence, Vec<Record>)>, BTreeMap<SourceId, SourceKey>);

fn captured(case: &Case) -> Captured {
    let snapshot = case.engine.store().snapshot();
    let sources = snapshot.sources().into_iter().map(|s| (s.id, s.key)).collect();
    let of = |e: &backtrail::model::evidence::EvidenceInfo| NewEvidence {
        key: e.key,
        path: e.path.clone(),
        size: e.size,
        modified: e.imported,
        head_hash: [0; 32],
    };
    let mut out: Vec<(NewEvidence, Vec<Record>)> = snapshot.evidence().iter().map(|e| (of(e), Vec::new())).collect();
    snapshot
        .select(&Ask { every_sighting: true, ..Ask::new(&Filter::All) }, &|| false, &mut |mut r| {
            r.seen_by.clear();
            out.iter_mut().find(|(e, _)| e.key == r.id.evidence).unwrap().1.push(r);
            true
        })
        .unwrap();
    (out, sources)
}

/// A case with logs, and of captures the records for which `is_live` says so published, the others committed.
fn with(captures: &Case, is_live: &dyn Fn(usize) -> bool) -> Case {
    let case = Case::of(&["eve.json.gz", "zeek", "reputation", "inventory.csv"]);
    let store = case.engine.store();
    let (captured, sources) = captured(captures);
    for (evidence, records) in &captured {
        let begin = || {
            let mut import = store.go_on(evidence).unwrap();
            let numbers: BTreeMap<SourceId, SourceId> =
                sources.iter().map(|(id, key)| (*id, import.source(key, None).unwrap())).collect();
            (import, numbers)
        };
        let (mut import, numbers) = begin();
        let here = |r: &Record| Record { source: numbers[&r.source], ..r.clone() };
        let (live, committed): (Vec<_>, Vec<_>) = records.iter().enumerate().partition(|(n, _)| is_live(*n));
        // Published first, so that the commit finds rows of its own there.
        store.publish(evidence, records.iter().map(here).collect()).unwrap();
        committed.into_iter().for_each(|(_, r)| import.push(here(r)).unwrap());
        import.finish(Done { format: "pcapng".into(), ..Done::default() }).unwrap();
        assert_eq!(store.snapshot().has_head(), !live.is_empty());
    }
    case
}

/// A long text in short: the same of the same.
fn short(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// Everything that is asked, as text.
fn answers(case: &Case) -> Vec<String> {
    let (engine, cancel) = (&case.engine, Cancel::default());
    let mut out = Vec::new();
    for text in QUESTIONS {
        let rows = case.rows(text);
        assert_eq!(case.count(text), rows.len() as u64, "{text}");
        out.push(format!("{text}: {}", rows.len()));
        out.extend(rows.iter().map(|r| format!("{text}: {} {}", r.id, short(&format!("{r:?}")))));
        let mut question = engine.compile(text).unwrap();
        for every in [true, false] {
            question.every_sighting = every;
            out.push(format!(
                "{text}, every sighting {every}: {:?}",
                engine.counts(&[question.clone()], u64::MAX, &cancel).unwrap()
            ));
        }
        let mut visited = Vec::new();
        let each = &mut |r: Record| {
            visited.push((r.time(), r.id, r.uint(f::BYTES_OUT)));
            true
        };
        engine.visit(&question, &[f::BYTES_OUT], &cancel, each).unwrap();
        visited.sort();
        out.push(format!("{text} visited: {} {}", visited.len(), short(&format!("{visited:?}"))));
        for bins in [7, 400] {
            out.push(format!("{:?}", engine.timeline(&question, bins, None, &cancel).unwrap()));
            out.push(format!("{:?}", engine.timeline(&question, bins, Some(f::BYTES), &cancel).unwrap()));
        }
    }
    for text in TABLES {
        let table = engine.table(&engine.compile(text).unwrap(), &cancel).unwrap();
        let mut rows: Vec<String> = table.rows.iter().map(|r| format!("{r:?}")).collect();
        // Groups of one number stand in the order in which they were met.
        rows.sort();
        out.push(format!("{text}: {} {:?} {rows:#?}", table.records, table.columns));
    }
    for field in [f::KIND, f::SOURCE, f::APP, f::NAME, f::DST_PORT, f::DIRECTION, f::SRC_IP] {
        out.push(format!("{:?}", engine.values(field, "", 1_000_000, &cancel).unwrap()));
    }
    let passive = engine.passive(&engine.compile("kind = dns").unwrap(), &cancel).unwrap();
    out.push(format!("{passive:?}"));
    out.push(format!("{:?}", engine.span()));
    for source in engine.sources() {
        out.push(format!("{} {:?} {:?}", source.name, source.span, source.kinds));
    }
    for coverage in engine.coverage(&engine.span().unwrap()) {
        out.push(format!("{coverage:?}"));
    }
    for row in case.rows("host 10.8.21.5 and not exists via and (kind = flow or kind = alert)").iter().step_by(37) {
        assert_eq!(engine.record(row.id).unwrap().as_ref(), Some(row));
        out.push(format!("{:?}", engine.links(row, &cancel).unwrap()));
        out.push(format!("{:?}", engine.name_used(row).unwrap()));
    }
    let host = Entity::of(f::HOST, &Value::Addr([10, 8, 21, 5].into())).unwrap();
    out.push(format!("{:?}", engine.facts(&host, None, &cancel).unwrap()));
    out
}

#[test]
fn every_question_is_answered_as_if_what_is_live_were_committed() {
    let captures = Case::of(&["inside.pcapng", "outside.pcap"]);
    let committed = with(&captures, &|_| false);
    assert!(committed.rows("kind = flow").iter().any(|r| !r.seen_by.is_empty()), "connections that several saw are among them");
    let want = answers(&committed);
    let random = |n: usize| n.wrapping_mul(0x9e37_79b9) >> 7 & 1 == 1;
    let splits: [&dyn Fn(usize) -> bool; 3] = [&|_| true, &random, &|n| n % 50 == 7];
    for (n, is_live) in splits.into_iter().enumerate() {
        let got = answers(&with(&captures, is_live));
        assert_eq!(got.len(), want.len());
        for (got, want) in got.iter().zip(&want) {
            assert!(got == want, "split {n}:\n{got:.2000}\nnot\n{want:.2000}");
        }
    }
}

#[test]
fn sightings_found_as_imports_come_are_those_found_at_once() {
    let captures = Case::of(&["inside.pcapng", "outside.pcap"]);
    let case = with(&captures, &|n| n % 3 == 0);
    let store = case.engine.store();
    let cancel = Cancel::default();
    let flows = |case: &Case| case.rows("kind = flow").iter().map(|r| (r.id, r.seen_by.clone())).collect::<Vec<_>>();
    let mut compacted = 0;
    // The engine sees head and commits one after the other, a new one sees the end alone.
    for _ in 0..2 {
        case.engine.view(&cancel).unwrap();
        let (captured, sources) = captured(&captures);
        for (evidence, records) in &captured {
            let mut import = store.go_on(evidence).unwrap();
            let numbers: BTreeMap<SourceId, SourceId> =
                sources.iter().map(|(id, key)| (*id, import.source(key, None).unwrap())).collect();
            let live = records.iter().enumerate().filter(|(n, _)| n % 3 == 0).map(|(_, r)| r);
            let mut live: Vec<Record> = live.map(|r| Record { source: numbers[&r.source], ..r.clone() }).collect();
            live.retain(|r| store.snapshot().record(r.id).unwrap().is_some());
            let rest = live.split_off(live.len() / 2);
            let known = store.snapshot().committed();
            for record in live.into_iter().filter(|r| known.record(r.id).unwrap().is_none()) {
                import.push(record).unwrap();
            }
            import.finish_publishing(Done { format: "pcapng".into(), ..Done::default() }, rest).unwrap();
            let fresh = backtrail::query::LocalEngine::new(store.clone(), Box::new(backtrail::query::known::Known::default()));
            let (a, b) = (case.engine.view(&cancel).unwrap(), fresh.view(&cancel).unwrap());
            assert_eq!(a.sightings().seen_by, b.sightings().seen_by);
            assert_eq!(a.sightings().masked, b.sightings().masked);
            // Parts that are written together have the same rows under other numbers.
            let before = flows(&case);
            let known = a.sightings().seen_by.clone();
            if store.compact(evidence.key, true, &|| false).unwrap().is_some() {
                let fresh =
                    backtrail::query::LocalEngine::new(store.clone(), Box::new(backtrail::query::known::Known::default()));
                let (a, b) = (case.engine.view(&cancel).unwrap(), fresh.view(&cancel).unwrap());
                assert_eq!((a.sightings().seen_by == b.sightings().seen_by, &a.sightings().seen_by), (true, &known));
                assert_eq!(a.sightings().masked, b.sightings().masked);
                assert_eq!(flows(&case), before);
                compacted += 1;
            }
        }
    }
    assert!(flows(&case).iter().any(|(_, seen)| !seen.is_empty()) && compacted >= 2);
}

#[test]
fn a_replay_shows_every_record_once_while_it_runs_and_has_all_at_its_end() {
    let captures = Case::of(&["inside.pcapng"]);
    let all = captures.count("kind = flow");
    let tape = Tape::of(captures.engine.store()).unwrap();
    let case = Case::new();
    let store: Store = case.engine.store().clone();
    let work = move |feeder: &Feeder| tape.play(&store, feeder, Duration::from_secs(12));
    let live = Live::start("replay", work).unwrap();
    let (mut seen, mut open) = (0, 0);
    while live.is_running() {
        if live.changes().recv_timeout(Duration::from_millis(200)).is_err() {
            continue;
        }
        let rows = case.rows("kind = flow");
        let mut ids: Vec<_> = rows.iter().map(|r| r.id).collect();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), rows.len(), "none twice");
        assert!(rows.len() >= seen, "none is missing that was there: {} after {seen}", rows.len());
        seen = rows.len();
        open += case.count("open = true");
        assert!(rows.iter().all(|r| r.kind == Kind::Flow));
    }
    live.ended().unwrap().unwrap();
    assert!(open > 0, "open flows were among them");
    assert_eq!((case.count("kind = flow"), case.count("open = true")), (all, 0));
    let ids = |case: &Case| case.rows("kind = flow").iter().map(|r| (r.id, r.uint(f::BYTES_OUT))).collect::<Vec<_>>();
    assert_eq!(ids(&case), ids(&captures));
}
