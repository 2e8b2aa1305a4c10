//! Interruptions, simulated: files cut at many places, damaged catalogs, imports that never end. Nothing acknowledged is lost and nothing is
//! invented, whatever is left on disk.

use super::copied::{copy_all as copy, files};
use super::tests::{flow, fresh, options, source};
use super::*;
use crate::model::packet::PacketRef;
use crate::model::{Filter, Record, field};
use std::fs;

/// What a case answers: every row, and the packets of a few.
fn answers(store: &Store) -> Vec<Record> {
    let mut out = Vec::new();
    store
        .snapshot()
        .select(&Ask::new(&Filter::All), &|| false, &mut |r| {
            out.push(r);
            true
        })
        .unwrap();
    out
}

fn fill(store: &Store, key: u64, n: u64) -> Vec<Record> {
    let mut import = fresh(store, key);
    source(&mut import, "a");
    let rows: Vec<Record> = (0..n).map(|n| flow(key, n)).collect();
    rows.iter().for_each(|r| import.push(r.clone()).unwrap());
    import.finish(Done::default()).unwrap();
    rows
}

/// A case with one import that was acknowledged and one whose frames are written but whose end is not.
fn interrupted(dir: &Path) -> Vec<Record> {
    let store = Store::open(dir, &options()).unwrap();
    let rows = fill(&store, 1, 300);
    let mut import = fresh(&store, 2);
    source(&mut import, "b");
    unended(&mut import, 2);
    rows
}

/// Rows of so many days that their blocks are written while they come, and committed in groups.
fn unended(import: &mut Import, key: u64) {
    (0..120).for_each(|n| import.push(flow(key, n * 2_400)).unwrap());
    import
        .packets(flow(key, 0).id, SourceId(1), &[PacketRef { offset: 1, number: 1, time: flow(key, 0).start, inbound: false }])
        .unwrap();
}

fn lengths(case: &Path) -> Vec<(PathBuf, u64)> {
    let list = files(&case.join("seg"));
    let len = |f: PathBuf| (f.strip_prefix(case).unwrap().to_owned(), fs::metadata(&f).unwrap().len());
    list.into_iter().map(len).filter(|(f, len)| *len > 0 && !f.starts_with("seg/case")).collect()
}

#[test]
fn groups_of_an_import_that_never_ended_are_dropped_from_catalog_and_segments() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &options()).unwrap();
    let rows = fill(&store, 1, 300);
    let before = lengths(dir.path());
    let mut import = fresh(&store, 2);
    source(&mut import, "b");
    unended(&mut import, 2);
    let id = import.id();
    let pointers = |store: &Store| {
        let mut n = 0;
        hold(&store.0.catalog)
            .scan(&mut |key, _| {
                let (about, import, _) = catalog::read_key(key)?;
                n += usize::from(!matches!(about, catalog::About::Watermark | catalog::About::Source) && import == id);
                Ok(())
            })
            .unwrap();
        n
    };
    assert!(pointers(&store) >= 64, "only {} frames were committed while it ran", pointers(&store));
    assert_eq!(answers(&store), rows);
    drop(import);
    drop(store);
    assert!(lengths(dir.path()).len() > before.len());
    let store = Store::open(dir.path(), &options()).unwrap();
    assert!(store.notices().iter().any(|n| n.contains("interrupted")), "{:?}", store.notices());
    assert_eq!((pointers(&store), lengths(dir.path())), (0, before));
    drop(store);
    // A number that was given is not given again, however often the case is opened.
    let store = Store::open(dir.path(), &options()).unwrap();
    assert!(store.notices().is_empty(), "{:?}", store.notices());
    assert!(fresh(&store, 2).id() > id);
    assert_eq!(answers(&store), rows);
}

#[test]
fn an_import_cut_at_any_place_is_gone_and_what_was_acknowledged_stays() {
    let dir = tempfile::tempdir().unwrap();
    let case = dir.path().join("case");
    let rows = interrupted(&case);
    let before = {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), &options()).unwrap();
        fill(&store, 1, 300);
        drop(store);
        let list = files(&dir.path().join("seg"));
        list.into_iter()
            .map(|f| (f.strip_prefix(dir.path()).unwrap().to_owned(), fs::metadata(&f).unwrap().len()))
            .collect::<Vec<_>>()
    };
    let list = files(&case.join("seg"));
    for (n, file) in list.iter().enumerate() {
        let name = file.strip_prefix(&case).unwrap();
        let acknowledged = before.iter().find(|(f, _)| f == name).map_or(0, |(_, len)| *len);
        // Of the many segments that only the interrupted import wrote, some.
        if acknowledged == 0 && n % 48 > 0 {
            continue;
        }
        let len = fs::metadata(file).unwrap().len();
        for cut in [acknowledged, acknowledged + 1, acknowledged + 25, (acknowledged + len) / 2, len.saturating_sub(1)] {
            let cut = cut.clamp(acknowledged, len);
            for without_catalog in [false, true] {
                if without_catalog && n % 3 > 0 {
                    continue;
                }
                let copied = dir.path().join("copy");
                copy(&case, &copied);
                fs::OpenOptions::new().write(true).open(copied.join(name)).unwrap().set_len(cut).unwrap();
                if without_catalog {
                    fs::remove_dir_all(copied.join("catalog")).unwrap();
                }
                let store = Store::open(&copied, &options()).unwrap();
                assert_eq!(answers(&store), rows, "{} cut at {cut}: {:?}", name.display(), store.notices());
                assert_eq!(store.sources().len(), 1);
                let more = fill(&store, 2, 10);
                drop(store);
                let store = Store::open(&copied, &options()).unwrap();
                assert_eq!(answers(&store).len(), rows.len() + more.len(), "{:?}", store.notices());
                drop(store);
                fs::remove_dir_all(&copied).unwrap();
            }
        }
    }
}

#[test]
fn a_catalog_that_is_damaged_anywhere_is_rebuilt_and_it_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let case = dir.path().join("case");
    let store = Store::open(&case, &options()).unwrap();
    let mut rows = fill(&store, 1, 400);
    rows.extend(fill(&store, 2, 300));
    rows.sort_by_key(|r| (r.start, r.id));
    drop(store);
    let db = fs::read(case.join("catalog/db")).unwrap();
    let used = db.iter().rposition(|b| *b != 0).unwrap() + 1;
    let mut rebuilt = 0;
    let damage = |bytes: &mut Vec<u8>, n: usize| match n {
        0 => bytes.truncate(used / 2),
        1 => bytes.clear(),
        2 => bytes.truncate(used.saturating_sub(100)),
        n => {
            let at = used * (n - 3) / 12;
            bytes[at..(at + 4).min(used)].iter_mut().for_each(|b| *b ^= 0x5a);
        }
    };
    for n in 0..15 {
        let copied = dir.path().join("copy");
        copy(&case, &copied);
        let mut bytes = db.clone();
        damage(&mut bytes, n);
        fs::write(copied.join("catalog/db"), bytes).unwrap();
        let store = Store::open(&copied, &options()).unwrap();
        assert_eq!(answers(&store), rows, "damage {n}: {:?}", store.notices());
        rebuilt += usize::from(store.notices().iter().any(|n| n.contains("rebuilt")));
        drop(store);
        let store = Store::open(&copied, &options()).unwrap();
        assert_eq!(answers(&store), rows);
        assert!(store.notices().is_empty(), "{:?}", store.notices());
        drop(store);
        fs::remove_dir_all(&copied).unwrap();
    }
    assert!(rebuilt >= 4, "only {rebuilt} damages were noticed");
}

#[test]
fn a_commit_that_the_catalog_never_got_is_found_in_the_segments() {
    let dir = tempfile::tempdir().unwrap();
    let case = dir.path().join("case");
    let store = Store::open(&case, &options()).unwrap();
    fill(&store, 1, 50);
    drop(store);
    let old = dir.path().join("old");
    copy(&case.join("catalog"), &old);
    let store = Store::open(&case, &options()).unwrap();
    fill(&store, 2, 60);
    drop(store);
    fs::remove_dir_all(case.join("catalog")).unwrap();
    copy(&old, &case.join("catalog"));
    let store = Store::open(&case, &options()).unwrap();
    assert_eq!(answers(&store).len(), 110, "{:?}", store.notices());
    assert!(store.notices().iter().any(|n| n.contains("rebuilt")));
    fill(&store, 3, 5);
    assert_eq!(answers(&store).len(), 115);
}

#[test]
fn two_imports_at_once_do_not_harm_each_other_when_one_is_cut() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &options()).unwrap();
    let mut a = fresh(&store, 1);
    let mut b = fresh(&store, 2);
    source(&mut a, "a");
    source(&mut b, "a");
    for n in 0..10_000 {
        a.push(flow(1, n)).unwrap();
        b.push(flow(2, n)).unwrap();
    }
    b.finish(Done::default()).unwrap();
    drop(a);
    let want = answers(&store);
    assert_eq!(want.len(), 10_000);
    fill(&store, 3, 10);
    drop(store);
    for (key, have) in [(4, 10_010), (5, 10_020)] {
        if key == 5 {
            fs::remove_dir_all(dir.path().join("catalog")).unwrap();
        }
        let store = Store::open(dir.path(), &options()).unwrap();
        assert_eq!(answers(&store).len(), have, "{:?}", store.notices());
        fill(&store, key, 10);
        drop(store);
        let store = Store::open(dir.path(), &options()).unwrap();
        assert_eq!(answers(&store).len(), have + 10);
    }
}

#[test]
fn a_flipped_byte_in_a_segment_is_an_error_that_names_the_place_or_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &options()).unwrap();
    let rows = fill(&store, 1, 200);
    drop(store);
    let list = files(&dir.path().join("seg"));
    let file = list.iter().find(|f| !f.starts_with(dir.path().join("seg/case"))).unwrap();
    let bytes = fs::read(file).unwrap();
    let mut broken = 0;
    for at in (0..bytes.len()).step_by(bytes.len() / 40) {
        let mut bad = bytes.clone();
        bad[at] ^= 0x10;
        fs::write(file, bad).unwrap();
        let store = Store::open(dir.path(), &OpenOptions { cache: 0, ..options() }).unwrap();
        let mut out = Vec::new();
        let result = store.snapshot().select(&Ask::new(&Filter::All), &|| false, &mut |r| {
            out.push(r);
            true
        });
        let is_named = |e: &Error| e.place.contains(".seg") || e.what.contains("damaged");
        match result {
            Ok(_) => assert_eq!(out, rows, "byte {at}"),
            Err(e) => assert!(is_named(&e), "{e}"),
        }
        // Sums that cannot be read are made of the rows.
        let snapshot = store.snapshot();
        let ask = Ask::new(&Filter::All);
        let summed = snapshot.host_sums(&ask, field::SRC_IP, None, &|| false, &mut |_, _| {}).unwrap();
        match snapshot.count(&Ask { without: Some(&summed.blocks), ..ask }, u64::MAX, &|| false) {
            Ok((n, _)) => assert_eq!(n + summed.records, 200, "byte {at}"),
            Err(e) => assert!(is_named(&e), "{e}"),
        }
        broken += usize::from(summed.records < 200);
    }
    assert!((1..40).contains(&broken), "{broken} times the sums were damaged");
}

/// A catalog whose disk is full.
struct Full(bool);

impl catalog::Catalog for Full {
    fn scan(&self, _: &mut dyn FnMut(&[u8], &[u8]) -> Result<()>) -> Result<()> {
        Ok(())
    }
    fn commit(&mut self, _: Vec<catalog::Change>) -> Result<()> {
        self.0 = true;
        Err(Error::store("the catalog cannot be written"))
    }
    fn check(&self) -> Result<()> {
        if self.0 { Err(Error::store("the catalog failed before")) } else { Ok(()) }
    }
}

#[test]
fn rows_whose_end_the_catalog_did_not_take_count_once_however_often_they_are_given() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &options()).unwrap();
    *hold(&store.0.catalog) = Box::new(Full(false));
    let rows: Vec<Record> = (0..300).map(|n| flow(1, n)).collect();
    for _ in 0..3 {
        let mut import = fresh(&store, 1);
        source(&mut import, "a");
        rows.iter().for_each(|r| import.push(r.clone()).unwrap());
        assert!(import.finish(Done::default()).is_err());
    }
    drop(store);
    let store = Store::open(dir.path(), &options()).unwrap();
    let found = answers(&store);
    assert!(found.is_empty() || found == rows, "{} rows of {}", found.len(), rows.len());
}

/// What says that an import ended may be lost while its rows stand: they are not cut off for it.
#[test]
fn rows_stay_where_what_has_no_day_is_cut_short() {
    let dir = tempfile::tempdir().unwrap();
    let case = dir.path().join("case");
    let rows = fill(&Store::open(&case, &options()).unwrap(), 1, 300);
    let day = lengths(&case);
    let end = files(&case.join("seg/case")).pop().unwrap();
    let whole = fs::read(&end).unwrap();
    for (n, len) in [0, 1, whole.len() / 2, whole.len() - 1].into_iter().enumerate() {
        let copied = dir.path().join(format!("cut-{n}"));
        copy(&case, &copied);
        let cut = copied.join(end.strip_prefix(&case).unwrap());
        fs::write(&cut, &whole[..len]).unwrap();
        drop(Store::open(&copied, &options()).unwrap());
        assert_eq!(lengths(&copied), day, "cut to {len} of {} bytes", whole.len());
        // With the lost bytes back, from a copy say, everything is there again.
        fs::write(&cut, &whole).unwrap();
        let store = Store::open(&copied, &OpenOptions { forget: true, ..options() }).unwrap();
        assert_eq!(answers(&store), rows);
    }
}
