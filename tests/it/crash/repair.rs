//! Repairs of a harmed case that are killed themselves.

use super::*;

/// Kills repairs of a case that was harmed until one comes to its end: what could be read before can be read after each, and in the end nothing
/// is damaged any more but the journal. How many were killed.
pub(super) fn check(case: &Path, rows: &Rows, random: &mut Random, what: &str) -> u32 {
    let mut readable: Option<Rows> = None;
    let mut told_ever = Vec::new();
    for kills in 0u32.. {
        let store = open(case);
        let told = store.notices();
        told_ever.extend(told.iter().cloned());
        let (have, is_whole) = match found(&store) {
            Ok(have) => (have, true),
            Err(e) => {
                assert!(e.place.contains(".seg") || e.what.contains("damaged"), "{what}: {e}");
                (Rows::new(), false)
            }
        };
        assert!(are_among(&have, rows), "{what}, {kills} repairs killed: rows are not what was written; {told:?}");
        if is_whole {
            let before = readable.get_or_insert_with(|| have.clone());
            assert!(*before == have, "{what}, {kills} repairs killed: {} rows, {} before; {told:?}", have.len(), before.len());
        }
        drop(store);
        let (mut child, mut lines) = child_that(case, 0, 0, true);
        // Later and later, so that one ends.
        std::thread::sleep(Duration::from_micros(random.below(20_000 << kills.min(9))));
        child.kill().unwrap();
        child.wait().unwrap();
        if !lines.any(|l| l == "repaired") {
            continue;
        }
        let store = open(case);
        let check = store.verify_how(How { full: true, repair: false }).unwrap();
        let damage: Vec<&String> = check.damage.iter().filter(|d| !d.contains("journal.log")).collect();
        assert!(damage.is_empty(), "{what}, {kills} repairs killed: {damage:?}");
        let after = found(&store).unwrap_or_else(|e| panic!("{what}: {e}"));
        assert!(are_among(&after, rows), "{what}: rows are not what was written");
        let lost = rows.len() - after.len();
        assert!(lost == 0 || !check.lost.is_empty() || !told_ever.is_empty(), "{what}: {lost} rows are lost and nothing says so");
        if let Some(before) = readable {
            assert!(before == after, "{what}: {} rows, {} before it was repaired", after.len(), before.len());
        }
        return kills;
    }
    0
}
