//! Days that are dropped: what stays answers as before, through restarts, lost catalogs and interruptions at each step.

use super::super::copied::{copy_all as copy, files};
use super::super::tests::{flow, fresh, options, source};
use super::super::{Ask, Begin, Done, NewEvidence, Pin, Plan, Store, Wish};
use super::*;
use crate::model::packet::PacketRef;
use crate::model::time::{DAY, SECOND};
use crate::model::{Cancel, EvidenceKey, Filter, Kind, Record, RecordId, Time, Value, Window, field};
use std::fs;
use std::path::Path;

const FIRST: i32 = 20_000;

/// A record of a day: every fifth a DNS answer.
fn record(key: u64, day: i32, n: u64) -> Record {
    let mut r = flow(key, n);
    r.id.offset = (day - FIRST) as u64 * 1_000_000 + n;
    r.start = Time(i64::from(day) * DAY + n as i64 * 7 * SECOND);
    r.end = r.start.plus(SECOND);
    if n.is_multiple_of(5) {
        let mut dns = Record::new(Kind::Dns, r.id, r.source, r.start);
        dns.set(field::SRC_IP, Value::Addr([10, 0, 0, n as u8].into()));
        dns.set(field::NAME, Value::from(format!("n{n}.example").as_str()));
        dns.set(field::ANSWER_IP, Value::Addr([192, 0, 2, 9].into()));
        r = dns;
    }
    r
}

fn fill(store: &Store, key: u64, days: std::ops::Range<i32>, n: u64) -> Vec<Record> {
    let mut import = fresh(store, key);
    source(&mut import, "a");
    let rows: Vec<Record> = days.flat_map(|day| (0..n).map(move |n| record(key, day, n))).collect();
    push(&mut import, &rows);
    import.finish(Done::default()).unwrap();
    rows
}

fn push(import: &mut super::super::Import, rows: &[Record]) {
    for r in rows {
        import.push(r.clone()).unwrap();
        if r.kind == Kind::Flow {
            let packet =
                |n: u64| PacketRef { offset: r.id.offset * 10 + n, number: n, time: r.start.plus(n as i64), inbound: n == 1 };
            import.packets(r.id, r.source, &[packet(0), packet(1)]).unwrap();
        }
    }
}

fn answers(store: &Store) -> Vec<Record> {
    let mut out = Vec::new();
    let each = &mut |r| {
        out.push(r);
        true
    };
    store.snapshot().select(&Ask::new(&Filter::All), &|| false, each).unwrap();
    out.sort_by_key(|r| r.id);
    out
}

fn sorted(rows: impl IntoIterator<Item = Record>) -> Vec<Record> {
    let mut rows: Vec<Record> = rows.into_iter().collect();
    rows.sort_by_key(|r| r.id);
    rows
}

fn wish(day: i32) -> Wish {
    Wish { before: [Some(Time(i64::from(day) * DAY)); 4], ..Wish::default() }
}

fn prune(store: &Store, wish: &Wish) -> (Plan, Pruned) {
    let plan = store.plan_prune(wish).unwrap();
    let pruned = store.prune(&plan, "a test", || Ok(()), &|| false).unwrap();
    (plan, pruned)
}

fn by_hour(store: &Store) -> u64 {
    let mut sum = 0;
    store.snapshot().hour_sums(&Ask::new(&Filter::All), None, &|| false, &mut |_, n| sum += n).unwrap();
    sum
}

/// Opens as it is, then without its catalog.
fn reopened(dir: &Path, mut check: impl FnMut(&Store)) {
    for lost in [false, true] {
        if lost {
            fs::remove_dir_all(dir.join("catalog")).unwrap();
        }
        let store = Store::open(dir, &options()).unwrap();
        // What was written together elsewhere may end a segment.
        let said = store.notices().into_iter().filter(|n| !n.contains("never ended")).collect::<Vec<_>>();
        assert!(said.is_empty(), "{said:?}");
        check(&store);
        let found = store.verify().unwrap();
        assert!(found.damage.is_empty(), "{:?}", found.damage);
    }
}

#[test]
fn whole_days_go_at_once_and_what_is_left_stays_through_everything() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &options()).unwrap();
    let mut rows = fill(&store, 1, FIRST..FIRST + 6, 400);
    rows.extend(fill(&store, 2, FIRST + 2..FIRST + 4, 300));
    let segments = |dir: &Path| files(&dir.join("seg")).iter().map(|f| fs::metadata(f).unwrap().len()).sum::<u64>();
    let before = segments(dir.path());
    let (plan, pruned) = prune(&store, &wish(FIRST + 3));
    assert_eq!((plan.days.len(), pruned.days, pruned.waiting), (3, 3, 0), "{plan:?}");
    let left = sorted(rows.iter().filter(|r| r.start.day() >= FIRST + 3).cloned());
    assert_eq!(pruned.rows as usize, rows.len() - left.len());
    assert_eq!(answers(&store), left);
    assert!(segments(dir.path()) < before * 3 / 4, "{} of {before}", segments(dir.path()));
    assert!(!files(&dir.path().join("seg")).iter().any(|f| f.display().to_string().contains("seg/20241004")));
    // Said where one looks; known all the same.
    assert_eq!(store.sources()[0].warnings, ["pruned before 2024-10-07"]);
    let evidence = store.evidence();
    assert!(evidence[0].warnings[0].contains("1200 of its"), "{:?}", evidence[0].warnings);
    let known = NewEvidence { key: EvidenceKey(1), path: "/e/1".into(), size: 1, modified: Time(0), head_hash: [1; 32] };
    assert!(matches!(store.begin(&known).unwrap(), Begin::Known(_)));
    // Numbers of segments are not given twice.
    rows = fill(&store, 3, FIRST..FIRST + 1, 50);
    let left = sorted(left.into_iter().chain(rows));
    assert_eq!(answers(&store), left);
    drop(store);
    reopened(dir.path(), |store| {
        assert_eq!(answers(store), left);
        assert!(store.plan_prune(&wish(FIRST)).unwrap().is_empty());
        let flows = left.iter().filter(|r| r.kind == Kind::Flow).map(|r| r.id).collect::<Vec<_>>();
        let packets = store.snapshot().packets_of(&flows, &Cancel::default()).unwrap();
        assert!(packets.iter().zip(&flows).all(|(p, f)| p.len() == 2 && f.evidence.0 > 0), "packets of flows that stay");
    });
}

#[test]
fn each_kind_has_its_own_age_and_sums_outlive_rows() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &options()).unwrap();
    let rows = fill(&store, 1, FIRST..FIRST + 4, 500);
    assert_eq!(by_hour(&store), 2_000);
    let at = |day: i32| Some(Time(i64::from(day) * DAY));
    // Packets of three days, flows of two, events of one.
    let ages = Wish { before: [at(FIRST + 2), at(FIRST + 1), at(FIRST + 3), None], ..Wish::default() };
    let (plan, pruned) = prune(&store, &ages);
    // The packets of the third day stand with those of the first.
    assert_eq!((plan.days.len(), plan.all.len()), (2, 3));
    assert_eq!(plan.days[1].kinds(), "flows, packets");
    let gone = |r: &Record| r.start.day() < FIRST + if r.kind == Kind::Flow { 2 } else { 1 };
    let left = sorted(rows.iter().filter(|r| !gone(r)).cloned());
    assert_eq!(pruned.rows as usize, 2_000 - left.len());
    drop(store);
    let old = rows.iter().filter(|r| r.kind == Kind::Flow && r.start.day() == FIRST + 2).map(|r| r.id).collect::<Vec<_>>();
    let new = rows.iter().filter(|r| r.kind == Kind::Flow && r.start.day() == FIRST + 3).map(|r| r.id).collect::<Vec<_>>();
    reopened(dir.path(), |store| {
        assert_eq!(answers(store), left);
        // What the sums say of days whose rows are gone is what the rows said.
        assert_eq!(by_hour(store), 2_000);
        let packets =
            |of: &[RecordId]| store.snapshot().packets_of(of, &Cancel::default()).unwrap().iter().map(Vec::len).sum::<usize>();
        assert_eq!((packets(&old), packets(&new)), (0, new.len() * 2));
        let said = store.sources()[0].warnings[0].clone();
        assert_eq!(said, "packets pruned before 2024-10-07; flows pruned before 2024-10-06; events pruned before 2024-10-05");
        let host = Filter::is(field::HOST, Value::Addr([10, 0, 0, 7].into()));
        let want = left.iter().filter(|r| r.all(field::SRC_IP).any(|a| *a == Value::Addr([10, 0, 0, 7].into()))).count() as u64;
        assert_eq!(store.snapshot().count(&Ask::new(&host), u64::MAX, &|| false).unwrap().0, want);
    });
    // In the end the sums go as well.
    let store = Store::open(dir.path(), &options()).unwrap();
    prune(&store, &wish(FIRST + 3));
    assert_eq!(by_hour(&store), 500);
    assert_eq!(answers(&store), sorted(rows.into_iter().filter(|r| r.start.day() >= FIRST + 3)));
}

#[test]
fn interrupted_at_any_step_it_has_happened_or_it_has_not() {
    let dir = tempfile::tempdir().unwrap();
    let (old, new) = (dir.path().join("old"), dir.path().join("new"));
    let store = Store::open(&old, &options()).unwrap();
    let rows = sorted(fill(&store, 1, FIRST..FIRST + 4, 300));
    drop(store);
    copy(&old, &new);
    let store = Store::open(&new, &options()).unwrap();
    let ages = Wish { before: [Some(Time(i64::from(FIRST + 2) * DAY)), None, None, None], ..Wish::default() };
    prune(&store, &ages);
    let left = answers(&store);
    assert!(left.len() < rows.len());
    drop(store);
    let seg = |from: &Path, to: &Path, wanted: &dyn Fn(&str) -> bool| {
        for file in files(&from.join("seg")) {
            let name = file.strip_prefix(from).unwrap().to_owned();
            if wanted(&name.display().to_string()) {
                fs::create_dir_all(to.join(&name).parent().unwrap()).unwrap();
                fs::copy(&file, to.join(&name)).unwrap();
            }
        }
    };
    let case = dir.path().join("case");
    // What was written anew; the statement as well; the catalog as well, without its files being removed; and each without a catalog.
    for step in 0..6 {
        copy(&old, &case);
        seg(&new, &case, &|name| !name.starts_with("seg/case"));
        if step > 0 {
            seg(&new, &case, &|name| name.starts_with("seg/case"));
        }
        let catalog = if step == 2 { &new } else { &old };
        fs::remove_dir_all(case.join("catalog")).unwrap();
        if step < 3 {
            copy(&catalog.join("catalog"), &case.join("catalog"));
        }
        if step == 5 {
            // A part of the statement.
            let path = case.join("seg/case/1.seg");
            let whole = fs::metadata(old.join("seg/case/1.seg")).unwrap().len();
            fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(whole + 40).unwrap();
        }
        let happened = step == 2 || step == 3 || step == 4;
        for again in 0..2 {
            let store = Store::open(&case, &options()).unwrap();
            assert_eq!(
                answers(&store),
                if happened { left.clone() } else { rows.clone() },
                "step {step}, {again}: {:?}",
                store.notices()
            );
            assert!(again == 0 || store.notices().is_empty(), "{:?}", store.notices());
            let found = store.verify().unwrap();
            assert!(found.damage.is_empty(), "step {step}: {:?}", found.damage);
        }
        if happened {
            let names = |dir: &Path| {
                files(&dir.join("seg")).into_iter().map(|f| f.strip_prefix(dir).unwrap().to_owned()).collect::<Vec<_>>()
            };
            assert_eq!(names(&case), names(&new), "step {step}");
        }
        fs::remove_dir_all(&case).unwrap();
    }
}

#[test]
fn a_view_sees_what_it_saw_and_its_files_go_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &options()).unwrap();
    let rows = fill(&store, 1, FIRST..FIRST + 3, 100);
    let view = store.snapshot();
    let (_, pruned) = prune(&store, &wish(FIRST + 2));
    assert_eq!(pruned.waiting, 2);
    let mut seen = 0;
    let each = &mut |_| {
        seen += 1;
        true
    };
    view.select(&Ask::new(&Filter::All), &|| false, each).unwrap();
    assert_eq!((seen, answers(&store).len()), (rows.len(), 100));
    let there = || files(&dir.path().join("seg")).len();
    let before = there();
    drop(view);
    store.remove_retired();
    assert_eq!(there(), before - 2);
}

#[test]
fn days_that_somebody_pinned_stay_and_the_oldest_go_until_the_case_fits() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &options()).unwrap();
    fill(&store, 1, FIRST..FIRST + 5, 3_000);
    let at = |day: i32| Time(i64::from(day) * DAY);
    let pin =
        Pin { window: Window::new(at(FIRST + 1).plus(60 * SECOND), at(FIRST + 1).plus(90 * SECOND)), why: "bookmark 4".into() };
    let plan = store.plan_prune(&Wish { pins: vec![pin.clone()], ..wish(FIRST + 3) }).unwrap();
    assert_eq!(plan.pinned, [(FIRST + 1, "bookmark 4".to_owned())]);
    assert_eq!(plan.days.iter().map(|d| d.day).collect::<Vec<_>>(), [FIRST, FIRST + 2]);
    let day = plan.days[0].bytes;
    let most = Wish { most: Some(plan.size - day - 1), pins: vec![pin], ..Wish::default() };
    let plan = store.plan_prune(&most).unwrap();
    assert_eq!(plan.days.iter().map(|d| d.day).collect::<Vec<_>>(), [FIRST, FIRST + 2], "{plan:?}");
    assert_eq!((plan.pinned.len(), plan.over), (1, 0));
    // The newest day stays.
    let plan = store.plan_prune(&Wish { most: Some(1), ..Wish::default() }).unwrap();
    assert!(plan.days.len() == 4 && plan.over > 0);
    store.prune(&plan, "a test", || Ok(()), &|| false).unwrap();
    assert!(answers(&store).iter().all(|r| r.start.day() == FIRST + 4));
}

#[test]
fn parts_of_a_capture_are_dropped_and_written_together_as_ever() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &options()).unwrap();
    let evidence = NewEvidence { key: EvidenceKey(9), path: "live:eth0".into(), size: 0, modified: Time(0), head_hash: [0; 32] };
    let mut rows = Vec::new();
    for n in 0..40 {
        let mut import = store.go_on(&evidence).unwrap();
        source(&mut import, "eth0");
        let some: Vec<Record> = (0..20).map(|m| record(9, FIRST + n / 10, n as u64 % 10 * 20 + m)).collect();
        push(&mut import, &some);
        rows.extend(some);
        import.finish(Done::default()).unwrap();
    }
    while store.compact(evidence.key, false, &|| false).unwrap().is_some() {}
    let packets = Wish { before: [None, None, Some(Time(i64::from(FIRST + 3) * DAY)), None], ..Wish::default() };
    prune(&store, &packets);
    assert_eq!(answers(&store), sorted(rows.clone()));
    while store.compact(evidence.key, true, &|| false).unwrap().is_some() {}
    assert_eq!(answers(&store), sorted(rows.clone()));
    prune(&store, &wish(FIRST + 2));
    while store.compact(evidence.key, true, &|| false).unwrap().is_some() {}
    let left = sorted(rows.into_iter().filter(|r| r.start.day() >= FIRST + 2));
    drop(store);
    reopened(dir.path(), |store| assert_eq!(answers(store), left));
}

#[test]
fn what_is_in_no_day_of_its_own_goes_by_its_age_and_the_newest_of_it_stays() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &options()).unwrap();
    // More days than an import has places for: the newest come last and have none.
    let rows = fill(&store, 1, FIRST..FIRST + 1_030, 1);
    assert!(store.imports().iter().flat_map(|i| i.places()).any(|p| p.day == super::super::segment::OTHER));
    let plan = store.plan_prune(&Wish { most: Some(1), ..Wish::default() }).unwrap();
    assert!(plan.over > 0);
    store.prune(&plan, "a test", || Ok(()), &|| false).unwrap();
    let left = answers(&store);
    assert!(left.contains(rows.last().unwrap()) && left.len() < 10, "{} left", left.len());
}

#[test]
fn a_file_of_packets_that_a_capture_writes_stays_however_old_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &options()).unwrap();
    fill(&store, 1, FIRST..FIRST + 2, 1);
    let path = dir.path().join("capture/1/0.pcapng");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let file = fs::File::create(&path).unwrap();
    file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    file.try_lock().unwrap();
    let files = || store.plan_prune(&wish(FIRST + 1)).unwrap().files;
    assert!(files().is_empty());
    drop(file);
    assert_eq!(files(), [(path, 0)]);
}

#[test]
fn what_stands_in_the_way_of_a_prune_is_said_before_it_is_entered() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &options()).unwrap();
    let rows = fill(&store, 1, FIRST..FIRST + 2, 1);
    let plan = store.plan_prune(&wish(FIRST + 1)).unwrap();
    let import = fresh(&store, 2);
    let mut entered = false;
    let enter = || {
        entered = true;
        Ok(())
    };
    let refused = store.prune(&plan, "a test", enter, &|| false).unwrap_err();
    assert!(refused.what.contains("an import is running") && !entered, "{refused}");
    drop(import);
    assert_eq!(answers(&store), rows);
}
