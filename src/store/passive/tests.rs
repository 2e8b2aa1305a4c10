//! Passive DNS counts as the rows do, is derived anew when it is missing or damaged, and is never answered from when it is not whole.

use super::*;
use crate::model::Time;
use crate::store::tests::{fresh, options, source};
use crate::store::{Done, Store};
use proptest::prelude::*;

const NAMES: [&str; 5] = ["one.example", "WWW.one.Example", "example", "two.test", "a.two.test"];

fn event(source: SourceId, key: u64, n: u64, name: &str, addrs: &[u8], day: i64) -> Record {
    let id = RecordId { evidence: EvidenceKey(key), offset: n * 9, ordinal: 0 };
    let mut r = Record::new(Kind::Dns, id, source, Time(day * crate::model::time::DAY + n as i64 * 1_000_000_000));
    r.set(field::SRC_IP, Value::Addr([10, 0, 0, (n % 5) as u8].into()));
    r.set(field::NAME, name);
    r.set(field::DNS_TYPE, "A");
    addrs.iter().for_each(|a| r.set(field::ANSWER_IP, Value::Addr([192, 0, 2, *a].into())));
    r
}

/// A case of so many events, over some days.
fn filled(dir: &std::path::Path, events: &[(usize, Vec<u8>)]) -> Store {
    let store = Store::open(dir, &options()).unwrap();
    for key in 1..3 {
        let mut import = fresh(&store, key);
        let source = source(&mut import, "a");
        for (n, (name, addrs)) in events.iter().enumerate() {
            import.push(event(source, key, n as u64, NAMES[*name], addrs, n as i64 % 3)).unwrap();
        }
        import.finish(Done::default()).unwrap();
    }
    store
}

fn questions() -> Vec<Filter> {
    let dns = || Filter::is(field::KIND, Kind::Dns.name());
    let addr = |n: u8| Filter::Test(field::ANSWER_IP, Test::Is(Value::Addr([192, 0, 2, n].into())));
    let mut out: Vec<Filter> = (0..4).map(|n| dns().and(addr(n))).collect();
    for name in NAMES {
        let tests = [Test::Is(Value::from(name)), Test::Under(name.into())];
        for own in tests.map(|t| Filter::Test(field::NAME, t)) {
            // As `name = X` is widened to flows of its clients.
            let flows = Filter::is(field::KIND, Kind::Flow.name()).and(Filter::Test(field::SRC_PORT, Test::Exists));
            out.push(dns().and(own.clone()));
            out.push(dns().and(Filter::Or(vec![own, flows])).and(Filter::Test(field::ANSWER_IP, Test::Exists)));
        }
    }
    out
}

/// Everything that passive DNS says.
fn all(snapshot: &Snapshot) -> Vec<PassiveEntry> {
    let filter = Filter::is(field::KIND, Kind::Dns.name());
    let mut out = Vec::new();
    snapshot.passive(&Ask::new(&filter), &|| false, &mut |entry| out.push(entry)).unwrap();
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn counts_are_those_of_the_rows(
        events in proptest::collection::vec((0..NAMES.len(), proptest::collection::vec(0u8..4, 0..3)), 1..80),
        cut in proptest::option::of(0i64..3),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let snapshot = filled(dir.path(), &events).snapshot();
        for filter in questions() {
            let mut ask = Ask::new(&filter);
            ask.window.start = cut.map_or(Time::MIN, |day| Time(day * crate::model::time::DAY + 5_000_000_000));
            let mut rows = 0;
            snapshot.visit(&ask, &|| false, &mut |_| { rows += 1; true }).unwrap();
            prop_assert_eq!(snapshot.count(&ask, u64::MAX, &|| false).unwrap(), (rows, false));
            if cut.is_none() {
                prop_assert_eq!(snapshot.names_counts(&ask).records, rows, "not from passive DNS: {:?}", filter);
            }
        }
    }
}

fn some() -> Vec<(usize, Vec<u8>)> {
    (0..200usize).map(|n| (n % NAMES.len(), vec![(n % 4) as u8, (n % 3) as u8])).collect()
}

#[test]
fn what_is_missing_is_derived_when_the_case_is_opened() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path(), &some());
    let want = all(&store.snapshot());
    assert!(!want.is_empty());
    // As in a case of an older layout: nothing is there.
    for data in store.snapshot().imports() {
        data.set_names(Vec::new());
        assert!(data.lacks_names());
    }
    assert_eq!(all(&store.snapshot()), []);
    store.derive_missing();
    assert!(store.notices().iter().any(|n| n.contains("2 evidence files")), "{:?}", store.notices());
    assert_eq!(all(&store.snapshot()), want);
    drop(store);
    // The catalog knows it, and so does one that is rebuilt.
    let store = Store::open(dir.path(), &options()).unwrap();
    assert_eq!((all(&store.snapshot()), store.notices()), (want.clone(), Vec::new()));
    drop(store);
    std::fs::remove_dir_all(dir.path().join("catalog")).unwrap();
    let store = Store::open(dir.path(), &options()).unwrap();
    assert_eq!(all(&store.snapshot()), want);
    assert!(store.verify().unwrap().derived.is_empty());
}

#[test]
fn a_derivation_that_is_older_or_not_whole_does_not_count() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path(), &some());
    let snapshot = store.snapshot();
    let data = &snapshot.imports()[0];
    let frames = |version: u32, skip: usize| -> Vec<NamesInfo> {
        let of = |n: &NamesInfo| NamesInfo {
            place: n.place,
            span: names::Span { version, ..n.span.clone() },
            meta: n.meta,
            directory: std::sync::OnceLock::new(),
        };
        data.names().iter().skip(skip).map(of).collect()
    };
    let [whole, older, cut] = [frames(names::VERSION, 0), frames(names::VERSION - 1, 0), frames(names::VERSION, 1)];
    for (frames, counts) in [(older, false), (cut, false), (whole, true)] {
        data.set_names(frames);
        assert_eq!(data.lacks_names(), !counts);
    }
}

#[test]
fn what_is_damaged_is_answered_from_the_rows_and_verify_derives_it_anew() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path(), &some());
    let filter = &questions()[1];
    let before = store.snapshot().count(&Ask::new(filter), u64::MAX, &|| false).unwrap();
    let (want, place) = (all(&store.snapshot()), store.snapshot().imports()[0].names()[0].place);
    drop(store);
    let path = dir.path().join("seg").join(crate::store::segment::folder(place.day)).join(format!("{}.seg", place.segment));
    let mut bytes = std::fs::read(&path).unwrap();
    let frame = &mut bytes[place.offset as usize + 64..][..place.len as usize - 64];
    frame.iter_mut().for_each(|b| *b ^= 0x55);
    std::fs::write(&path, bytes).unwrap();
    let store = Store::open(dir.path(), &options()).unwrap();
    assert!(all(&store.snapshot()).len() < want.len());
    assert_eq!(store.snapshot().count(&Ask::new(filter), u64::MAX, &|| false).unwrap(), before);
    let check = store.verify().unwrap();
    assert_eq!(check.derived, ["/e/1"]);
    // The rows are whole: only the damaged bytes are said to be.
    assert!(check.damage.iter().all(|d| d.contains("cannot be read")), "{:?}", check.damage);
    assert_eq!(all(&store.snapshot()), want);
    assert!(store.verify().unwrap().derived.is_empty());
}
