//! Three weeks of a case with hours that deviate.

use super::*;
use crate::model::decision::{What as Decided, Who};
use crate::model::source::SourceKey;
use crate::model::{EvidenceKey, Record, RecordId, Value};
use crate::query::local::{LocalEngine, Nothing};
use crate::store::{Begin, Done, NewEvidence, OpenOptions, Reserve, Store};
use std::path::Path;

/// 2026-11-02T00:00:00Z, a Monday.
const MONDAY: i64 = 1_793_577_600;

/// So many days of flows: 12 an hour by night, 60 in hours of work; on day 15 at 10 o'clock ten times as many of a host that is new, to a new service.
fn case(dir: &Path, days: i64) -> LocalEngine {
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
    let source = import.source(&SourceKey { format: "t".into(), sensor: "a".into() }, None).unwrap();
    let mut n = 0;
    let mut flow = |at: i64, src: &str, dst: &str, port: u64, kind: Kind| {
        n += 1;
        let id = RecordId { evidence: EvidenceKey(1), offset: n, ordinal: 0 };
        let mut r = Record::new(kind, id, source, Time(at * SECOND));
        r.end = r.start;
        r.set(field::SRC_IP, Value::Addr(src.parse().unwrap()));
        r.set(field::DST_IP, Value::Addr(dst.parse().unwrap()));
        r.set(field::DST_PORT, port);
        r.set(field::PROTO, 6u64);
        r.set(field::STATE, Value::text("SF"));
        r.set(field::BYTES_OUT, 100_000u64);
        if kind == Kind::Dns {
            r.set(field::NAME, Value::text(if at > MONDAY + 15 * 86_400 { "new.example" } else { "old.example" }));
        }
        import.push(r).unwrap();
    };
    for hour in 0..days * 24 {
        let (day, of_day) = (hour / 24, hour % 24);
        let each = if day % 7 < 5 && (8..18).contains(&of_day) { 60 } else { 12 };
        for k in 0..each + (hour * 7) % 3 {
            flow(MONDAY + hour * 3600 + k * 3600 / (each + 4), &format!("10.0.0.{}", 1 + k % 9), "198.51.100.7", 443, Kind::Flow);
        }
        flow(MONDAY + hour * 3600 + 5, "10.0.0.1", "10.0.0.2", 53, Kind::Dns);
        if day == 15 && of_day == 10 {
            for k in 0..600 {
                flow(MONDAY + hour * 3600 + k * 6, "10.0.0.77", "10.0.0.5", 8443, Kind::Flow);
            }
        }
    }
    import.finish(Done::default()).unwrap();
    let site = Decided::Site { name: "home".into(), networks: vec!["10.0.0.0/16".into()], zone: None };
    store.journal().append(site, Who::default()).unwrap();
    LocalEngine::new(store, Box::new(Nothing))
}

fn asking<'a>(engine: &'a LocalEngine, cancel: &'a Cancel, from: i64, until: i64) -> Asking<'a> {
    let window = Window::new(Time((MONDAY + from * 3600) * SECOND), Time((MONDAY + until * 3600) * SECOND));
    Asking { engine, window, scope: "", kept: None, cancel }
}

#[test]
fn a_deviation_stands_out_of_what_is_usual_and_the_sums_are_those_of_the_records() {
    let dir = tempfile::tempdir().unwrap();
    let engine = case(dir.path(), 21);
    let cancel = Cancel::default();
    let asking = asking(&engine, &cancel, 0, 21 * 24);
    let history = history(&asking).unwrap();
    assert_eq!((history.days(), history.zone.as_deref()), (21, None));
    let suggestion = history.suggestion().unwrap();
    assert!(suggestion.starts_with("suggested UTC+") && suggestion.contains("ramp seen 0"), "{suggestion}");
    let flows = curve(Which::Flows, &asking, &history, 800).unwrap();
    assert_eq!(flows.bin, HOUR);
    let odd = (15 * 24 + 10) as usize;
    assert_eq!(flows.deviations(), [(odd, odd, 1)]);
    let (usual, low, high) = flows.bins[odd].usual.unwrap();
    assert!((usual - 61.0).abs() < 2.0 && low < usual && high > usual && high < 200.0, "{usual} {low} {high}");
    let whole = engine.counts(&[engine.compile("kind = flow").unwrap()], u64::MAX, &cancel).unwrap();
    assert_eq!(flows.total(), whole[0].n as f64);
    let bytes = curve(Which::Bytes, &asking, &history, 800).unwrap();
    assert_eq!(bytes.total(), flows.total() * 100_000.0);
    assert!(flows.note.contains("21 whole days"), "{}", flows.note);
    // A question's own curve, and one that no source has.
    let one = Asking { scope: "host 10.0.0.77", ..asking };
    assert_eq!(curve(Which::Flows, &one, &history, 800).unwrap().total(), 600.0);
    assert_eq!(curve(Which::Denies, &one, &history, 800).unwrap().why, "no source here gives them");
    // Of a few hours bins are finer, and a part of what is usual for the hour is theirs.
    let hours = self::asking(&engine, &cancel, 15 * 24 + 9, 15 * 24 + 12);
    let fine = curve(Which::Flows, &hours, &history, 40).unwrap();
    assert_eq!(fine.bin, 300 * SECOND);
    assert!((fine.bins[2].usual.unwrap().0 - 61.0 / 12.0).abs() < 0.5 && fine.bins[14].deviates == 0, "{:?}", fine.bins[14]);
}

#[test]
fn what_is_new_is_listed_with_its_first_record() {
    let dir = tempfile::tempdir().unwrap();
    let engine = case(dir.path(), 16);
    let cancel = Cancel::default();
    let day = asking(&engine, &cancel, 15 * 24, 16 * 24);
    let first = |what: What| {
        let list = list(what, &day).unwrap();
        let words = |l: &crate::case::home::Line| l.cells.iter().map(|c| c.show(&Time::rfc3339)).collect::<Vec<_>>().join(" ");
        (list.total, list.lines.first().map(words).unwrap_or_default())
    };
    assert_eq!(first(What::Hosts), (1, "10.0.0.77 2026-11-17T10:00:00Z 600".into()));
    assert_eq!(first(What::Services), (1, "10.0.0.5 8443/tcp 2026-11-17T10:00:00Z 600".into()));
    assert_eq!(first(What::Names), (1, "new.example 2026-11-17T00:00:05Z 24".into()));
    assert!(first(What::Talkers).0 >= 10);
    // What talkers sent is the same by sums as by records, which conditions make it read.
    let by_records = Asking { scope: "kind = flow", ..asking(&engine, &cancel, 15 * 24, 16 * 24) };
    assert_eq!(list(What::Talkers, &day).unwrap().lines, list(What::Talkers, &by_records).unwrap().lines);
    // Of the whole case what is new in its last fifth is meant.
    let whole = asking(&engine, &cancel, 0, 16 * 24);
    assert_eq!(list(What::Hosts, &whole).unwrap().total, 1);
    assert!(list(What::Hosts, &whole).unwrap().note.starts_with("not there before 2026-11-14"));
}

#[test]
fn a_short_history_is_said_to_be_one() {
    let dir = tempfile::tempdir().unwrap();
    let engine = case(dir.path(), 1);
    let cancel = Cancel::default();
    let asking = asking(&engine, &cancel, 0, 24);
    let history = history(&asking).unwrap();
    let flows = curve(Which::Flows, &asking, &history, 100).unwrap();
    assert_eq!(flows.note, "insufficient history for a diurnal verdict (have 24 h)");
    assert!(flows.bins.iter().all(|b| b.usual.is_none()) && flows.usual().is_none());
}
