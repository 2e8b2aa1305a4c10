//! The store as a whole: what goes in comes out, in order; answers by index equal answers by scan; nothing acknowledged is lost.

use super::*;
use crate::model::field::{self, Place, Type};
use crate::model::filter::Test;
use crate::model::packet::PacketRef;
use crate::model::{FieldId, Filter, Kind, Record, RecordId, Time, Value, Window};
use proptest::prelude::*;
use std::cmp::Ordering;

pub(super) fn options() -> OpenOptions {
    OpenOptions { create: true, reserve: Reserve { percent: 0, bytes: 0 }, ballast: 0, ..OpenOptions::default() }
}

fn evidence(key: u64) -> NewEvidence {
    NewEvidence { key: EvidenceKey(key), path: format!("/e/{key}"), size: key, modified: Time(0), head_hash: [key as u8; 32] }
}

pub(super) fn fresh(store: &Store, key: u64) -> Import {
    match store.begin(&evidence(key)).unwrap() {
        Begin::Fresh(import) => *import,
        Begin::Known(info) => panic!("known: {info:?}"),
    }
}

pub(super) fn source(import: &mut Import, sensor: &str) -> SourceId {
    import.source(&SourceKey { format: "test".into(), sensor: sensor.into() }, None).unwrap()
}

fn all(snapshot: &Snapshot, ask: &Ask<'_>) -> Vec<Record> {
    let mut out = Vec::new();
    snapshot
        .select(ask, &|| false, &mut |r| {
            out.push(r);
            true
        })
        .unwrap();
    out
}

fn import(store: &Store, key: u64, records: &[Record]) {
    let mut import = fresh(store, key);
    source(&mut import, "a");
    source(&mut import, "b");
    records.iter().for_each(|r| import.push(r.clone()).unwrap());
    import.finish(Done::default()).unwrap();
}

fn sorted(mut records: Vec<Record>) -> Vec<Record> {
    records.sort_by_key(|r| (r.start, r.id));
    records
}

/// Values from a small world, so that filters hit.
fn value(ty: Type) -> BoxedStrategy<Value> {
    match ty {
        Type::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
        Type::Float => prop_oneof![Just(0.5), Just(9.8), any::<i16>().prop_map(f64::from)].prop_map(Value::Float).boxed(),
        Type::Time => any::<i64>().prop_map(|t| Value::Time(Time(t))).boxed(),
        Type::Addr => prop_oneof![
            (0u8..4, 0u8..4).prop_map(|(a, b)| Value::Addr([10, 0, a, b].into())),
            (0u16..3).prop_map(|a| Value::Addr([0xfd00, 0, 0, 0, 0, 0, 0, a].into())),
            (0u16..3).prop_map(|a| Value::Addr([0, 0, 0, 0, 0, 0xffff, 0x0a00, a].into())),
        ]
        .boxed(),
        Type::Text => prop_oneof![
            "[a-cA-C]{0,3}".prop_map(Value::from),
            "[a-c]{1,2}\\.example".prop_map(Value::from),
            Just(Value::from("É".repeat(60))),
            Just(Value::from("é".repeat(60))),
        ]
        .boxed(),
        _ => prop_oneof![0u64..5, Just(443), Just(65_535), Just(u64::MAX), 1u64 << 52..1 << 54].prop_map(Value::Uint).boxed(),
    }
}

fn stored_field() -> impl Strategy<Value = &'static field::Field> {
    let stored: Vec<&field::Field> = field::ALL.iter().filter(|f| matches!(f.place, Place::One | Place::Many)).collect();
    let common = [field::SRC_IP, field::DST_IP, field::DST_PORT, field::NAME, field::ANSWER_IP, field::BYTES_OUT, field::USER];
    prop_oneof![
        3 => proptest::sample::select(common.to_vec()).prop_map(|f| field::get(f).unwrap()),
        1 => proptest::sample::select(stored),
    ]
}

fn record(key: u64, n: u64) -> impl Strategy<Value = Record> {
    let pair = stored_field().prop_flat_map(|f| value(f.ty).prop_map(move |v| (f, v)));
    let times = prop_oneof![
        (0i64..5_000, 0i64..50).prop_map(|(s, d)| (s * 1_000_000_000, d * 1_000_000_000)),
        (0i64..10, 0i64..20_000).prop_map(|(s, d)| (s * 40_000_000_000_000, d * 1_000_000_000)),
        (any::<i64>(), any::<i64>()),
    ];
    (0..Kind::ALL.len(), 1u32..3, times, any::<u32>(), 0u16..3, proptest::collection::vec(pair, 0..6)).prop_map(
        move |(kind, source, (start, span), len, ordinal, fields)| {
            let id = RecordId { evidence: EvidenceKey(key), offset: n * 7, ordinal };
            let mut r = Record::new(Kind::ALL[kind], id, SourceId(source), Time(start));
            r.end = Time(start.wrapping_add(span));
            r.len = len;
            for (f, v) in fields {
                if matches!(f.place, Place::Many) || r.get(f.id).is_none() {
                    r.set(f.id, v);
                }
            }
            r
        },
    )
}

fn records(key: u64, most: usize) -> impl Strategy<Value = Vec<Record>> {
    (0..most).prop_flat_map(move |n| (0..n as u64).map(|i| record(key, i).boxed()).collect::<Vec<_>>())
}

fn any_test(ty: Type) -> BoxedStrategy<Test> {
    let leaf = prop_oneof![
        3 => value(ty).prop_map(Test::Is),
        1 => Just(Test::Exists),
        1 => (value(ty), any::<bool>(), any::<bool>()).prop_map(|(bound, less, or_equal)| Test::Compare {
            order: if less { Ordering::Less } else { Ordering::Greater }, or_equal, bound }),
        1 => Just(Test::Range(2, 443)),
        1 => proptest::sample::select(vec!["10.0.1.0/24", "10.0.0.0/8", "fd00::/64", "::/0", "0.0.0.0/0", "10.0.1.2/32"])
            .prop_map(|n| Test::Net(n.parse().unwrap())),
        1 => Just(Test::Contains("a".into())),
        1 => Just(Test::Under("example".into())),
    ]
    .boxed();
    prop_oneof![4 => leaf.clone(), 1 => proptest::collection::vec(leaf, 0..4).prop_map(Test::In)].boxed()
}

fn filter() -> impl Strategy<Value = Filter> {
    let heads = [field::HOST, field::PORT, field::BYTES, field::KIND, field::SOURCE, field::START, field::DURATION, field::TEXT]
        .map(|f| field::get(f).unwrap());
    let leaf = prop_oneof![3 => stored_field(), 1 => proptest::sample::select(heads.to_vec())].prop_flat_map(|f| {
        let test = any_test(f.ty);
        let test = if f.id == field::KIND {
            prop_oneof![Just(Test::Is("flow".into())), Just(Test::Is("dns".into()))].boxed()
        } else {
            test
        };
        test.prop_map(move |t| Filter::Test(f.id, t))
    });
    let leaf = prop_oneof![8 => leaf, 1 => Just(Filter::All)];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Filter::And),
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Filter::Or),
            inner.prop_map(|f| Filter::Not(Box::new(f))),
        ]
    })
}

/// Questions asked of a view are answered as by a scan of everything.
fn as_by_scan(
    store: &Store,
    everything: &[Record],
    filters: &[Filter],
    (window, ascending, limit): (Window, bool, usize),
) -> std::result::Result<(), TestCaseError> {
    let snapshot = store.snapshot();
    prop_assert_eq!(all(&snapshot, &Ask::new(&Filter::All)).len(), everything.iter().filter(|r| r.start < Time::MAX).count());
    for filter in filters {
        let head = |r: &Record, f: FieldId| match f {
            field::SOURCE => Some(Value::text(snapshot.source_name(r.source).unwrap_or(""))),
            field::EVIDENCE => Some(Value::from(format!("/e/{}", r.id.evidence.0))),
            _ => None,
        };
        let fits = |r: &&Record| window.overlaps(r.start, r.end) && filter.matches(r, &|f| head(r, f));
        let mut want: Vec<Record> = everything.iter().filter(fits).cloned().collect();
        if !ascending {
            want.reverse();
        }
        let ask = Ask { window, ascending, ..Ask::new(filter) };
        prop_assert_eq!(&all(&snapshot, &ask), &want, "{:?}", filter);
        prop_assert_eq!(snapshot.count(&ask, u64::MAX, &|| false).unwrap(), (want.len() as u64, false));
        let mut visited: Vec<RecordId> = Vec::new();
        snapshot
            .visit(&ask, &|| false, &mut |row| {
                visited.push(row.id());
                true
            })
            .unwrap();
        prop_assert_eq!(visited.len(), want.len());
        // Page by page the same.
        let mut paged = Vec::new();
        let mut after = None;
        loop {
            let page = all(&snapshot, &Ask { limit, after, ..ask });
            let Some(last) = page.last() else { break };
            after = Some((last.time(), last.id));
            paged.extend(page);
        }
        prop_assert_eq!(&paged, &want);
    }
    for r in everything.iter().take(5) {
        prop_assert_eq!(snapshot.record(r.id).unwrap().map(|r| r.id), Some(r.id));
    }
    Ok(())
}

#[path = "ends_tests.rs"]
mod ends;

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn answers_are_those_of_a_scan_before_and_after_reopening(
        first in records(1, 60), second in records(2, 30), filters in proptest::collection::vec(filter(), 12),
        window in prop_oneof![Just(Window::ALL), (0i64..4_000, 0i64..2_000).prop_map(|(s, l)| {
            Window::new(Time(s * 1_000_000_000), Time((s + l) * 1_000_000_000)) })],
        ascending: bool, limit in 1usize..40,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let options = OpenOptions { forget: true, ..options() };
        let mut store = Store::open(dir.path(), &options).unwrap();
        import(&store, 1, &first);
        import(&store, 2, &second);
        let everything = sorted(first.iter().chain(&second).cloned().collect());
        for reopened in [false, true] {
            if reopened {
                drop(store);
                store = Store::open(dir.path(), &options).unwrap();
                prop_assert!(store.notices().is_empty(), "{:?}", store.notices());
            }
            as_by_scan(&store, &everything, &filters, (window, ascending, limit))?;
        }
    }

    #[test]
    fn the_live_head_is_answered_as_if_it_were_committed(
        first in records(1, 40), second in records(2, 60), filters in proptest::collection::vec(filter(), 12), parts: u64,
        window in prop_oneof![Just(Window::ALL), (0i64..4_000, 0i64..2_000).prop_map(|(s, l)| {
            Window::new(Time(s * 1_000_000_000), Time((s + l) * 1_000_000_000)) })],
        ascending: bool, limit in 1usize..40,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), &OpenOptions { forget: true, ..options() }).unwrap();
        import(&store, 1, &first);
        // Of the second some are committed, some were published before that, some are published.
        let kept = |n: usize| parts >> (n % 64) & 1 == 1;
        let (committed, live): (Vec<_>, Vec<_>) = second.iter().cloned().enumerate().partition(|(n, _)| kept(*n));
        store.publish(&evidence(2), second.iter().step_by(2).cloned().collect()).unwrap();
        let mut import = store.go_on(&evidence(2)).unwrap();
        committed.into_iter().for_each(|(_, r)| import.push(r).unwrap());
        let live: Vec<Record> = live.into_iter().map(|(_, r)| r).collect();
        if parts % 3 == 0 {
            import.finish_publishing(Done::default(), live).unwrap();
        } else {
            import.finish(Done::default()).unwrap();
            // Made ready before the commit.
            store.publish(&evidence(2), if parts % 3 == 1 { live } else { second.clone() }).unwrap();
        }
        let everything = sorted(first.iter().chain(&second).cloned().collect());
        as_by_scan(&store, &everything, &filters, (window, ascending, limit))?;
    }
}

pub(super) fn flow(key: u64, n: u64) -> Record {
    let id = RecordId { evidence: EvidenceKey(key), offset: n * 100, ordinal: 0 };
    let mut r = Record::new(Kind::Flow, id, SourceId(1), Time(1_700_000_000_000_000_000 + n as i64 * 37_000_000_000));
    r.end = r.start.plus(1_000_000);
    r.set(field::SRC_IP, Value::Addr([10, 0, (n >> 6) as u8, n as u8].into()));
    r.set(field::DST_IP, Value::Addr([192, 0, 2, (n % 5) as u8].into()));
    r.set(field::DST_PORT, 443 + n % 3);
    r.set(field::BYTES_OUT, n * 1000);
    r
}

#[test]
fn many_blocks_over_days_answer_by_index_as_by_scan() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &options()).unwrap();
    let flows: Vec<Record> = (0..30_000).map(|n| flow(1, n)).collect();
    import(&store, 1, &flows);
    let snapshot = store.snapshot();
    assert!(snapshot.imports()[0].blocks.len() > 10);
    for (filter, want) in [
        (Filter::is(field::HOST, Value::Addr([10, 0, 3, 200].into())), flows.iter().filter(|r| r.addr(field::SRC_IP) == Some([10, 0, 3, 200].into())).count()),
        (Filter::is(field::DST_PORT, 444u64), 10_000),
        (Filter::Test(field::SRC_IP, Test::Net("10.0.3.192/27".parse().unwrap())), flows.iter().filter(|r| matches!(r.addr(field::SRC_IP), Some(std::net::IpAddr::V4(a)) if a.octets()[2] == 3 && (192..224).contains(&a.octets()[3]))).count()),
    ] {
        assert!(want > 0);
        assert_eq!(all(&snapshot, &Ask::new(&filter)).len(), want, "{filter:?}");
        assert_eq!(snapshot.count(&Ask::new(&filter), u64::MAX, &|| false).unwrap().0, want as u64);
    }
    let page = all(&snapshot, &Ask { limit: 3, ascending: false, ..Ask::new(&Filter::All) });
    assert_eq!(page, flows.iter().rev().take(3).cloned().collect::<Vec<_>>());
}

#[test]
fn the_same_file_again_is_known_and_a_dropped_import_was_never_there() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &options()).unwrap();
    import(&store, 1, &[flow(1, 1)]);
    assert!(matches!(store.begin(&evidence(1)).unwrap(), Begin::Known(_)));
    let mut dropped = fresh(&store, 2);
    source(&mut dropped, "c");
    (0..9000).for_each(|n| dropped.push(flow(2, n)).unwrap());
    assert!(store.begin(&evidence(2)).is_err(), "it is under way");
    drop(dropped);
    let count = |store: &Store| store.snapshot().count(&Ask::new(&Filter::All), u64::MAX, &|| false).unwrap().0;
    assert_eq!(count(&store), 1);
    drop(store);
    let store = Store::open(dir.path(), &options()).unwrap();
    assert_eq!(count(&store), 1);
    assert_eq!(store.sources().len(), 2, "without the one of the dropped import");
    import(&store, 2, &[flow(2, 1), flow(2, 2)]);
    assert_eq!(count(&store), 3);
    assert_eq!(store.evidence().len(), 2);
}

#[test]
fn evidence_that_grew_is_offered_and_replaced_rows_are_hidden_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &options()).unwrap();
    let mut old = fresh(&store, 100);
    source(&mut old, "a");
    old.push(flow(100, 1)).unwrap();
    old.finish(Done { text_end: 77, ..Done::default() }).unwrap();
    let grown = store.grown_candidates([9; 32], 101);
    assert_eq!((grown.len(), grown[0].text_end), (1, 77));
    assert!(store.grown_candidates([9; 32], 99).is_empty());
    let mut new = fresh(&store, 101);
    source(&mut new, "a");
    new.push(flow(101, 2)).unwrap();
    new.replaces(EvidenceKey(100));
    let before = store.snapshot();
    new.finish(Done::default()).unwrap();
    for store in [store.clone(), store] {
        let rows = all(&store.snapshot(), &Ask::new(&Filter::All));
        assert_eq!(rows.iter().map(|r| r.id.evidence.0).collect::<Vec<_>>(), [101]);
    }
    assert_eq!(all(&before, &Ask::new(&Filter::All)).len(), 1, "a view does not change");
}

#[test]
fn packets_of_a_flow_come_back_over_groups_and_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &options()).unwrap();
    let mut import = fresh(&store, 1);
    let id = source(&mut import, "a");
    let packet =
        |n: u64| PacketRef { offset: n * 1000, number: n + 1, time: Time(n as i64 * 1_000_003), inbound: n.is_multiple_of(2) };
    let refs: Vec<PacketRef> = (0..400).map(packet).collect();
    for part in refs.chunks(100) {
        for n in 0..2000 {
            import.packets(flow(1, n).id, id, &part[..40]).unwrap();
        }
    }
    (0..2000).for_each(|n| import.push(flow(1, n)).unwrap());
    import.finish(Done::default()).unwrap();
    let want: Vec<PacketRef> = refs.chunks(100).flat_map(|p| p[..40].to_vec()).collect();
    assert!(store.snapshot().imports()[0].groups.len() > 1);
    assert_eq!(store.snapshot().packets(flow(1, 1234).id).unwrap(), want);
    drop(store);
    let store = Store::open(dir.path(), &options()).unwrap();
    assert_eq!(store.snapshot().packets(flow(1, 7).id).unwrap(), want);
    assert!(store.snapshot().packets(flow(1, 70_000).id).unwrap().is_empty());
}

#[test]
fn clocks_set_by_hand_move_rows_at_once_and_windows_with_them() {
    use crate::model::decision::{What, Who};
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &options()).unwrap();
    import(&store, 1, &(0..100).map(|n| flow(1, n)).collect::<Vec<_>>());
    let first = flow(1, 0).start;
    let window = Window::new(first, first.plus(1_000_000_000));
    let count = |window| store.snapshot().count(&Ask { window, ..Ask::new(&Filter::All) }, u64::MAX, &|| false).unwrap().0;
    assert_eq!(count(window), 1);
    let hour = 3_600_000_000_000;
    let set = What::SourceSet { source: "a".into(), offset: Some(hour), zone: None, year: None, dates: None, site: None };
    let decision = store.journal().append(set, Who::default()).unwrap();
    assert_eq!((count(window), count(window.shifted(hour))), (0, 1));
    let rows = all(&store.snapshot(), &Ask::new(&Filter::All));
    assert_eq!((rows[0].start, rows[0].time()), (first, first.plus(hour)));
    assert!(store.sources()[0].clock.manual);
    store.journal().append(What::Remove { id: decision.sequence }, Who::default()).unwrap();
    assert_eq!(count(window), 1);
}

#[test]
fn hidden_sightings_are_left_out_and_the_shown_one_names_them() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &options()).unwrap();
    import(&store, 1, &[flow(1, 1), flow(1, 2)]);
    let snapshot = store.snapshot();
    let mut sightings = Sightings::default();
    let mut seen = Vec::new();
    snapshot
        .flows(&|| false, &mut |f| {
            seen.push(f);
            true
        })
        .unwrap();
    assert_eq!((seen.len(), seen[0].dst.1, seen[0].id), (2, 444, flow(1, 1).id));
    sightings.mask(seen[1].block, seen[1].rows, seen[1].row);
    sightings.seen_by.insert(seen[0].id, vec![SourceId(2)]);
    let snapshot = snapshot.with_sightings(Arc::new(sightings));
    let rows = all(&snapshot, &Ask::new(&Filter::All));
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].seen_by, [SourceId(2)]);
    assert_eq!(snapshot.count(&Ask::new(&Filter::All), u64::MAX, &|| false).unwrap().0, 1);
    assert_eq!(all(&snapshot, &Ask { every_sighting: true, ..Ask::new(&Filter::All) }).len(), 2);
}

#[test]
fn names_of_sources_are_unique_and_rotated_files_share_one() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &options()).unwrap();
    let mut import = fresh(&store, 1);
    let mut name = |format: &str, sensor: &str, rename: Option<&str>| {
        let id = import.source(&SourceKey { format: format.into(), sensor: sensor.into() }, rename).unwrap();
        import.push(Record { source: id, ..flow(1, u64::from(id.0)) }).unwrap();
        id
    };
    let ids = [
        name("suricata-eve", "eve", None),
        name("pcap", "dmz", None),
        name("zeek", "eve", None),
        name("suricata-eve", "eve", None),
        name("zeek", "conn", Some("core tap")),
        name("zeek", "conn.1", Some("core tap")),
    ];
    import.finish(Done::default()).unwrap();
    assert_eq!((ids[0], ids[4]), (ids[3], ids[5]));
    let names: Vec<String> = store.sources().into_iter().map(|s| s.name).collect();
    assert_eq!(names, ["eve", "pcap:dmz", "zeek:eve", "core-tap"]);
}

#[test]
fn a_full_disk_stops_an_import_with_advice_and_keeps_what_was_there() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &options()).unwrap();
    import(&store, 1, &[flow(1, 1)]);
    drop(store);
    let full = OpenOptions { reserve: Reserve { percent: 0, bytes: u64::MAX }, ..options() };
    let store = Store::open(dir.path(), &full).unwrap();
    let error = store.begin(&evidence(2)).err().unwrap();
    assert!(error.what.contains("almost full") && !error.hint.is_empty(), "{error}");
    assert_eq!(all(&store.snapshot(), &Ask::new(&Filter::All)).len(), 1);
}
