//! What is kept answers as the records do.

use super::super::{Curve, List, What, curve, history, list};
use super::*;
use crate::model::decision::{What as Decided, Who};
use crate::model::source::SourceKey;
use crate::model::synthetic::Random;
use crate::model::time::SECOND;
use crate::model::{EvidenceKey, Kind, RecordId};
use crate::query::local::{LocalEngine, Nothing};
use crate::store::{Begin, Done, NewEvidence, OpenOptions, Reserve, Store};

/// 2026-11-02T00:00:00Z, a Monday.
const MONDAY: i64 = 1_793_577_600;
/// Days of records.
const LONG: u64 = 9;

fn store(dir: &Path) -> Store {
    let options = OpenOptions {
        create: true,
        forget: true,
        ballast: 0,
        reserve: Reserve { percent: 0, bytes: 0 },
        ..OpenOptions::default()
    };
    Store::open(&dir.join("case"), &options).unwrap()
}

/// A record of any kind that the overview looks at: of late more hosts, ports and names than before; some last for hours.
fn record(n: u64, random: &mut Random, source: crate::model::SourceId) -> Record {
    let kind =
        [Kind::Flow, Kind::Flow, Kind::Flow, Kind::Dns, Kind::Tls, Kind::Http, Kind::Fw, Kind::Alert][random.below(8) as usize];
    let at = random.below(LONG * 86_400);
    let late = 1 + at / 86_400;
    let start = Time((MONDAY + at as i64) * SECOND + random.below(SECOND as u64) as i64);
    let id = RecordId { evidence: EvidenceKey(1), offset: n, ordinal: 0 };
    let mut r = Record::new(kind, id, source, start);
    r.end = if random.below(5) == 0 { start.plus(random.below(4 * 3600) as i64 * SECOND) } else { start };
    let ends = [format!("10.0.0.{}", random.below(4 * late)), format!("198.51.100.{}", random.below(200))];
    let turned = random.below(3) == 0;
    r.set(field::SRC_IP, Value::Addr(ends[usize::from(turned)].parse().unwrap()));
    r.set(field::DST_IP, Value::Addr(ends[usize::from(!turned)].parse().unwrap()));
    r.set(field::DST_PORT, 440 + random.below(3 * late));
    r.set(field::PROTO, if random.below(4) == 0 { 17u64 } else { 6 });
    let name = |random: &mut Random| {
        let n = random.below(9 * late);
        Value::text([format!("N{n}.example"), format!("n{n}.example"), format!("n{n}.lan")][random.below(3) as usize].clone())
    };
    match kind {
        Kind::Flow => r.set(field::STATE, Value::text(["SF", "S0", "REJ", "RSTR", "OTH", "SH"][random.below(6) as usize])),
        Kind::Fw => r.set(field::ACTION, Value::text(["allow", "deny", "drop"][random.below(3) as usize])),
        Kind::Dns => (0..1 + random.below(2)).for_each(|_| r.set(field::NAME, name(random))),
        Kind::Tls => r.set(field::SNI, name(random)),
        Kind::Http => r.set(field::HTTP_HOST, name(random)),
        _ => {}
    }
    r
}

fn import(store: &Store, key: u64, records: u64) {
    let path = format!("/e{key}");
    let new = NewEvidence { key: EvidenceKey(key), path, size: key, modified: Time(0), head_hash: [key as u8; 32] };
    let Begin::Fresh(mut import) = store.begin(&new).unwrap() else { panic!("known") };
    let source = import.source(&SourceKey { format: "t".into(), sensor: "a".into() }, None).unwrap();
    let mut random = Random::new(key);
    for n in 0..records {
        let mut r = record(n, &mut random, source);
        r.id.evidence = EvidenceKey(key);
        import.push(r).unwrap();
    }
    import.finish(Done::default()).unwrap();
}

fn case(dir: &Path) -> LocalEngine {
    let store = store(dir);
    import(&store, 1, 6_000);
    let site = Decided::Site { name: "home".into(), networks: vec!["10.0.0.0/16".into()], zone: None };
    store.journal().append(site, Who::default()).unwrap();
    LocalEngine::new(store, Box::new(Nothing))
}

fn decisions(engine: &LocalEngine) -> Vec<Decision> {
    engine.store().journal().decisions().to_vec()
}

#[test]
fn curves_and_lists_are_those_of_the_records_in_any_window() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, cancel) = (case(dir.path()), Cancel::default());
    let kept = kept(&engine, dir.path(), &decisions(&engine), &cancel).unwrap().unwrap();
    let window = |from: i64, until: i64| Window::new(Time((MONDAY + from) * SECOND), Time((MONDAY + until) * SECOND));
    let windows = [
        Window::ALL,
        window(0, 7 * 86_400),
        window(2 * 86_400, 9 * 86_400),
        window(3 * 86_400 + 1_234, 8 * 86_400 + 40_007),
        window(5 * 86_400 + 3_600, 8 * 86_400),
        window(7 * 86_400, 8 * 86_400 + 7_200),
        window(6 * 86_400 + 5, 6 * 86_400 + 700),
    ];
    let mut listed = 0;
    for window in windows {
        let of = |kept| Asking { engine: &engine, window, scope: "", kept, cancel: &cancel };
        let (rows, sums) = (of(None), of(Some(&kept)));
        let history = history(&rows).unwrap();
        for which in Which::ALL {
            for most in [800, 40, 3] {
                let made = |asking: &Asking<'_>| -> Curve { curve(which, asking, &history, most).unwrap() };
                assert_eq!(made(&sums), made(&rows), "{which:?} {window:?} {most}");
            }
        }
        for what in What::ALL {
            let made = |asking: &Asking<'_>| -> List { list(what, asking).unwrap() };
            assert_eq!(made(&sums), made(&rows), "{what:?} {window:?}");
            listed += made(&sums).total;
        }
        // Conditions are asked of the records.
        let scope = "host 10.0.0.3";
        let some = |kept| curve(Which::Failed, &Asking { scope, ..of(kept) }, &history, 90).unwrap();
        assert_eq!(some(Some(&kept)), some(None));
    }
    assert!(listed > 300 && kept.failed.len() > 100 && !kept.denies.is_empty(), "{listed}");
}

#[test]
fn it_is_kept_until_something_changes_and_what_is_damaged_is_gathered_anew() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, cancel) = (case(dir.path()), Cancel::default());
    let ask = || kept(&engine, dir.path(), &decisions(&engine), &cancel).unwrap().unwrap();
    let first = ask();
    let file = dir.path().join(FILE);
    let bytes = std::fs::read(&file).unwrap();
    assert_eq!((read(dir.path()).as_ref(), ask() == first), (Some(&first), true));
    // One bit less, or a part: it is not read, and made again.
    for damaged in [[&bytes[..40], &[bytes[40] ^ 1], &bytes[41..]].concat(), bytes[..100].to_vec(), Vec::new()] {
        std::fs::write(&file, damaged).unwrap();
        assert_eq!(read(dir.path()), None);
        assert_eq!((ask() == first, std::fs::read(&file).unwrap() == bytes), (true, true));
    }
    import(engine.store(), 2, 500);
    let second = ask();
    assert!(second.sequence > first.sequence && second.failed != first.failed);
    let site = Decided::Site { name: "other".into(), networks: vec!["198.51.100.0/24".into()], zone: None };
    engine.store().journal().append(site, Who::default()).unwrap();
    let third = ask();
    assert!(third.hosts.as_ref().map(Vec::len) > second.hosts.as_ref().map(Vec::len));
}
