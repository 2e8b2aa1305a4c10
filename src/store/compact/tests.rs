//! Parts written together answer as they did apart; interrupted anywhere, the parts or the whole count, never both and never none.

use super::super::copied::copy_all as copy;
use super::super::tests::{flow, options, source};
use super::super::*;
use super::*;
use crate::model::decision::Who;
use crate::model::filter::Test;
use crate::model::packet::PacketRef;
use crate::model::{Filter, Kind, Record, Value, field};
use std::fs;

const KEY: EvidenceKey = EvidenceKey(1);

fn evidence(size: u64) -> NewEvidence {
    NewEvidence { key: KEY, path: "live:eth0@then".into(), size, modified: Time(5), head_hash: [0; 32] }
}

fn open(dir: &Path) -> Store {
    Store::open(dir, &options()).unwrap()
}

fn dns(n: u64) -> Record {
    let like = flow(1, n);
    let mut r = Record::new(Kind::Dns, RecordId { ordinal: 8, ..like.id }, SourceId(1), like.start);
    r.set(field::SRC_IP, Value::Addr([10, 0, 0, n as u8].into()));
    r.set(field::NAME, Value::from(format!("host{}.example", n % 30)));
    r.set(field::ANSWER_IP, Value::Addr([192, 0, 2, (n % 9) as u8].into()));
    r
}

/// Commits a part with `rows` flows from number `from` on, a DNS event for every third, and a packet or two of every fifth.
fn part(store: &Store, from: u64, rows: u64) {
    let mut import = store.go_on(&evidence(from + rows)).unwrap();
    let id = source(&mut import, "eth0");
    for n in from..from + rows {
        import.push(flow(1, n)).unwrap();
        if n.is_multiple_of(3) {
            import.push(dns(n)).unwrap();
        }
        if n.is_multiple_of(5) {
            let packet = |k: u64| PacketRef { offset: n * 100 + k, number: n + k, time: flow(1, n).start, inbound: k == 1 };
            import.packets(flow(1, n).id, id, &[packet(0)]).unwrap();
            // Of the flow before more packets come later: in this part or in the one before.
            if n >= 5 {
                import.packets(flow(1, n - 5).id, id, &[packet(1)]).unwrap();
            }
        }
    }
    let counts = crate::model::source::Counts { ok: rows, records: import.records(), ..Default::default() };
    let done = Done { format: "live".into(), counts, warnings: vec![format!("{from} came")], text_end: from, ..Done::default() };
    import.finish(done).unwrap();
}

/// Everything that a case answers, without what may differ: which import has a row.
fn answers(store: &Store) -> Vec<String> {
    let snapshot = store.snapshot();
    let mut out = Vec::new();
    let filters = [
        Filter::All,
        Filter::is(field::HOST, Value::Addr([10, 0, 3, 200].into())),
        Filter::is(field::DST_PORT, 444u64),
        Filter::is(field::NAME, "host7.example"),
        Filter::Test(field::SRC_IP, Test::Net("10.0.1.0/26".parse().unwrap())),
    ];
    for filter in &filters {
        let ask = Ask::new(filter);
        snapshot
            .select(&ask, &|| false, &mut |r| {
                out.push(format!("{r:?}"));
                true
            })
            .unwrap();
        out.push(format!("{}", snapshot.count(&ask, u64::MAX, &|| false).unwrap().0));
        let mut hosts: BTreeMap<Option<std::net::IpAddr>, [u64; 2]> = BTreeMap::new();
        let summed = snapshot.host_sums(&ask, field::SRC_IP, None, &|| false, &mut |host, sums| {
            let have = hosts.entry(host).or_default();
            (have[0], have[1]) = (have[0] + sums.0[0], have[1] + sums.0[1]);
        });
        let rest = snapshot.count(&Ask { without: Some(&summed.unwrap().blocks), ..ask }, u64::MAX, &|| false).unwrap();
        out.push(format!("{hosts:?}, {rest:?} not summed"));
    }
    for n in (0..400).step_by(5) {
        out.push(format!("{:?}", snapshot.packets(flow(1, n).id).unwrap()));
    }
    out.push(format!("{:?}", store.evidence().iter().map(OfEvidence::of).collect::<Vec<_>>()));
    out.push(format!("{:?}", store.sources()));
    out
}

/// Of evidence what it says.
#[derive(Debug)]
#[allow(dead_code, reason = "it is printed")]
struct OfEvidence(EvidenceKey, u64, String, crate::model::source::Counts, Option<crate::model::Window>, Vec<String>, Time);

impl OfEvidence {
    fn of(e: &EvidenceInfo) -> OfEvidence {
        OfEvidence(e.key, e.size, e.path.clone(), e.counts, e.span, e.warnings.clone(), e.imported)
    }
}

fn parts(store: &Store) -> usize {
    store.snapshot().imports().iter().filter(|i| i.done.key == KEY.0).count()
}

fn own_files(dir: &Path) -> usize {
    store_files(dir).filter(|name| name.starts_with("part-")).count()
}

fn store_files(dir: &Path) -> impl Iterator<Item = String> {
    let days = fs::read_dir(dir.join("seg")).unwrap().flatten();
    days.flat_map(|d| fs::read_dir(d.path()).unwrap().flatten()).map(|f| f.file_name().to_string_lossy().into_owned())
}

fn never() -> bool {
    false
}

#[test]
fn parts_written_together_answer_as_they_did_apart() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    // 300 parts of a few rows; another file comes in between.
    for n in 0..300 {
        part(&store, n * 7, 7);
        if n == 100 {
            let mut import = super::super::tests::fresh(&store, 2);
            source(&mut import, "log");
            (0..50).for_each(|n| import.push(Record { source: SourceId(2), ..flow(2, n) }).unwrap());
            import.finish(Done::default()).unwrap();
        }
    }
    let want = answers(&store);
    assert_eq!(parts(&store), 300);
    let before = store.snapshot();
    let mut written = 0;
    while let Some(compacted) = store.compact(KEY, false, &never).unwrap() {
        assert_eq!(compacted.parts, FAN);
        written += 1;
        let now = answers(&store);
        assert!(now == want, "{:?}", now.iter().zip(&want).find(|(a, b)| a != b));
    }
    // 256 of 300 in one of the second generation, 32 in two of the first, the rest as they came.
    assert_eq!((written, parts(&store)), (16 + 1 + 2, 1 + 2 + 12));
    let sequence = store.snapshot().sequence();
    assert!(store.verify().unwrap().damage.is_empty());
    // Who looked before sees what was there; then its files go.
    let rows = |s: &Snapshot| s.select(&Ask::new(&Filter::All), &never, &mut |_| true).unwrap().rows;
    assert_eq!(rows(&before), rows(&store.snapshot()));
    let files = own_files(dir.path());
    assert!(files > 300, "{files}");
    drop(before);
    assert_eq!(store.compact(KEY, false, &never).unwrap(), None);
    assert!(own_files(dir.path()) < 60, "{}", own_files(dir.path()));
    assert_eq!(answers(&store), want);
    // What is over becomes one.
    store.compact(KEY, true, &never).unwrap().unwrap();
    assert_eq!((store.compact(KEY, true, &never).unwrap(), parts(&store)), (None, 1));
    assert_eq!((answers(&store) == want, store.snapshot().sequence()), (true, sequence));
    drop(store);
    for catalog in [true, false] {
        if !catalog {
            fs::remove_dir_all(dir.path().join("catalog")).unwrap();
        }
        let store = open(dir.path());
        assert!(store.notices().is_empty(), "{:?}", store.notices());
        assert_eq!((answers(&store) == want, parts(&store), store.snapshot().sequence()), (true, 1, sequence));
        assert!(store.verify().unwrap().damage.is_empty());
    }
    // It goes on.
    let store = open(dir.path());
    part(&store, 5_000, 1);
    store.compact(KEY, true, &never).unwrap().unwrap();
    drop(store);
    let store = open(dir.path());
    assert!(store.snapshot().record(flow(1, 5_000).id).unwrap().is_some() && store.notices().is_empty());
    assert_eq!(parts(&store), 1);
}

#[test]
fn interrupted_anywhere_the_parts_count_or_the_whole() {
    let dir = tempfile::tempdir().unwrap();
    let case = dir.path().join("case");
    let store = open(&case);
    (0..FAN as u64).for_each(|n| part(&store, n * 9, 9));
    let want = answers(&store);
    // Dropped before it counts.
    let chosen: Vec<Arc<ImportData>> = store.snapshot().imports().to_vec();
    drop(store.rewrite(&chosen, &never).unwrap().unwrap());
    assert_eq!((answers(&store) == want, parts(&store)), (true, FAN));
    let written = dir.path().join("written");
    copy(&case, &written);
    let old_catalog = dir.path().join("catalog");
    copy(&case.join("catalog"), &old_catalog);
    let ends = fs::metadata(case.join("seg/case/1.seg")).unwrap().len();
    // A view holds the files of the parts, so that all of it is there as it was at the moment of the end.
    let view = store.snapshot();
    store.compact(KEY, false, &never).unwrap().unwrap();
    let (ended, unheard) = (dir.path().join("ended"), dir.path().join("unheard"));
    copy(&case, &ended);
    copy(&case, &unheard);
    fs::remove_dir_all(unheard.join("catalog")).unwrap();
    copy(&old_catalog, &unheard.join("catalog"));
    let len = fs::metadata(case.join("seg/case/1.seg")).unwrap().len();
    assert!(len > ends);
    drop((store, view, chosen));

    let check = |dir: &Path, parts_wanted: usize, said: &str| {
        for _ in 0..2 {
            let store = open(dir);
            let now = answers(&store);
            assert!(now == want, "{said}: {:?}", now.iter().zip(&want).find(|(a, b)| a != b));
            assert_eq!(parts(&store), parts_wanted, "{said}: {:?}", store.notices());
            assert!(store.verify().unwrap().damage.is_empty(), "{said}");
        }
        let store = open(dir);
        assert!(store.notices().is_empty(), "{said}: {:?}", store.notices());
        let owners: BTreeSet<u32> =
            store.segments().list().unwrap().iter().filter(|(_, s, _)| *s >= OWN).map(|f| f.1 - OWN).collect();
        let there: BTreeSet<u32> = store.snapshot().imports().iter().map(|i| i.id).collect();
        assert_eq!(owners, there, "{said}: what is left of others");
        drop(store);
    };
    check(&written, FAN, "before its end");
    check(&ended, 1, "after it");
    // Its end is in the segments, whole or in part, and the catalog never heard of it.
    for cut in [len, ends, ends + 10, (ends + len) / 2, len - 1] {
        let to = dir.path().join(format!("cut-{cut}"));
        copy(&unheard, &to);
        fs::OpenOptions::new().write(true).open(to.join("seg/case/1.seg")).unwrap().set_len(cut).unwrap();
        check(&to, if cut == len { 1 } else { FAN }, &format!("its end cut at {cut} of {len}"));
    }
}

#[test]
fn what_is_asked_to_stop_changes_nothing_and_what_people_kept_stays_exact() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    (0..10).for_each(|n| part(&store, n * 9, 9));
    let seen = store.snapshot().sequence();
    let bookmark = What::Bookmark {
        title: String::new(),
        query: String::new(),
        lens: String::new(),
        focus: String::new(),
        rows: 0,
        seen,
        node: None,
    };
    store.journal().append(bookmark, Who::default()).unwrap();
    (10..26).for_each(|n| part(&store, n * 9, 9));
    let newer = |store: &Store| {
        store
            .snapshot()
            .count(&Ask { newer_than: seen, ..Ask::new(&Filter::is(field::KIND, "flow")) }, u64::MAX, &never)
            .unwrap()
            .0
    };
    assert_eq!(newer(&store), 16 * 9);
    assert_eq!(store.compact(KEY, false, &|| true).unwrap(), None);
    assert_eq!(parts(&store), 26);
    assert_eq!(store.compact(KEY, false, &never).unwrap().unwrap().parts, 16);
    assert_eq!((parts(&store), newer(&store)), (11, 16 * 9));
    while store.compact(KEY, true, &never).unwrap().is_some() {}
    assert_eq!((parts(&store), newer(&store)), (2, 16 * 9));
}
