//! What belongs to no day is read whole whenever a case is opened; of a capture that ran for long most of it says how parts ended whose rows were
//! written together since. When most of it is such, the rest is written anew, and a statement at its end names the segments that count no more.

use super::catalog::{self, About, Change};
use super::contents::{Contents, DoneFrame, SourceFrame};
use super::frame::{self, FrameKind};
use super::journal::now;
use super::prune::Retired;
use super::pruned::Statement;
use super::recover::{CASE_CUT, CASE_LOSS, watermark};
use super::scan::scan;
use super::segment::{CASE, Place};
use super::{Store, hold};
use crate::error::Result;
use std::collections::{BTreeMap, HashSet};

/// Ends of parts that count no more, from which on it is worth it.
const MANY: usize = 4096;

impl Store {
    /// Writes what has no day anew if most of it counts no more, and that is `many` ends of imports or more; says whether it did. Captures do
    /// it by themselves when enough came together.
    pub fn trim(&self, many: usize) -> Result<bool> {
        let _turn = hold(&self.0.compacting);
        self.trim_alone(many)
    }
    /// As [`Store::trim`], of a caller that lets nothing be written together meanwhile.
    fn trim_alone(&self, many: usize) -> Result<bool> {
        let (live, dead) = self.ended_and_dead();
        if dead < many || dead < live { Ok(false) } else { self.write_case_anew(None) }
    }
    /// Writes what has no day anew, of what cannot be read what memory has of it. `orphans`: rows that nobody knows any more; `nameless`: sources
    /// whose description is lost, each with a format.
    pub(super) fn mend_case(&self, orphans: u64, nameless: &BTreeMap<u32, String>) -> Result<()> {
        self.write_case_anew(Some((orphans, nameless))).map(|_| ())
    }
    fn ended_and_dead(&self) -> (usize, usize) {
        let state = hold(&self.0.state);
        (state.contents.imports.len(), state.contents.ended.saturating_sub(state.contents.imports.len()))
    }
    fn write_case_anew(&self, mend: Option<(u64, &BTreeMap<u32, String>)>) -> Result<bool> {
        let _turn = hold(&self.0.publishing);
        let mut catalog = hold(&self.0.catalog);
        // No source is added meanwhile.
        let mut state = hold(&self.0.state);
        self.segments().sync()?;
        let old: Vec<(i32, u32, u64)> = self.segments().list()?.into_iter().filter(|(day, ..)| *day == CASE).collect();
        self.segments().turn(CASE)?;
        let mut changes: Vec<Change> = Vec::new();
        let mut places: Vec<Place> = Vec::new();
        let mut stated = Vec::new();
        let mut seen: HashSet<(FrameKind, u32)> = HashSet::new();
        for (day, segment, len) in &old {
            let found = scan(self.segments(), *day, *segment, *len, &mut |_, header, payload| {
                let (meta, body) = frame::split(payload)?;
                let about = match header.kind {
                    FrameKind::Done if state.contents.imports.contains_key(&DoneFrame::read(meta)?.import) => About::Done,
                    FrameKind::Done => {
                        changes.push((catalog::key(About::Done, header.id, 0), None));
                        return Ok(());
                    }
                    FrameKind::Pruned => About::Pruned,
                    FrameKind::Source => About::Source,
                    _ => return Ok(()),
                };
                let place = self.segments().append(CASE, header.kind, header.id, meta, body)?;
                seen.insert((header.kind, header.id));
                if about == About::Pruned {
                    stated.push((header.id, place));
                }
                // Sources have no entry of their own.
                if about != About::Source {
                    changes.push(catalog::entry(about, header.id, 0, &place, &[]));
                }
                places.push(place);
                Ok(())
            })?;
            if !found.damaged.is_empty() && mend.is_none() {
                // What is damaged stays where it can be looked at, and is not tried again until the case is opened.
                state.contents.ended = state.contents.imports.len();
                return Ok(false);
            }
        }
        let (orphans, nameless) = mend.map_or((0, None), |(orphans, nameless)| (orphans, Some(nameless)));
        for (id, format) in nameless.into_iter().flatten() {
            let name = format!("{format}:lost-{id}");
            let source = SourceFrame { id: *id, format: format.clone(), sensor: format!("lost-{id}"), name };
            state.contents.sources.entry(*id).or_insert(source);
        }
        if nameless.is_some() {
            for (kind, id, bytes) in unwritten(&state.contents, &seen)? {
                let place = self.segments().append(CASE, kind, id, &bytes, &[])?;
                match kind {
                    FrameKind::Done => changes.push(catalog::entry(About::Done, id, 0, &place, &[])),
                    FrameKind::Pruned => {
                        stated.push((id, place));
                        changes.push(catalog::entry(About::Pruned, id, 0, &place, &[]));
                    }
                    _ => {}
                }
                places.push(place);
            }
            changes.extend([CASE_LOSS, CASE_CUT].map(|of| (catalog::key(About::Missing, of, 0), None)));
            state.snapshot = None;
        }
        let statement = Statement {
            number: state.contents.next_pruned(),
            at: now().0,
            why: "written anew".to_owned(),
            files: old.iter().map(|(day, segment, _)| (*day, *segment)).collect(),
            sequence: state.contents.sequence(),
            next_import: state.contents.next_import,
            orphans,
            ..Statement::default()
        };
        // What stays is durable before it is said that the rest is gone.
        self.segments().sync().map_err(|e| self.full(e))?;
        let place = self.segments().append(CASE, FrameKind::Pruned, statement.number, &statement.bytes()?, &[]);
        let place = place.map_err(|e| self.full(e))?;
        self.segments().sync().map_err(|e| self.full(e))?;
        changes.push(catalog::entry(About::Pruned, statement.number, 0, &place, &[]));
        places.push(place);
        let mut written: Vec<u32> = places.iter().map(|p| p.segment).collect();
        written.dedup();
        changes.extend(old.iter().map(|(_, segment, _)| (catalog::key(About::Watermark, CASE as u32, *segment), None)));
        changes.extend(written.into_iter().filter_map(|n| self.segments().durable(CASE, n).map(|len| watermark(CASE, n, len))));
        catalog.commit(changes).map_err(|e| self.full(e))?;
        for (place, statement) in &mut state.contents.pruned {
            *place = stated.iter().find(|(n, _)| *n == statement.number).map_or(*place, |(_, place)| *place);
        }
        state.contents.ended = state.contents.imports.len();
        state.contents.pruned.push((place, statement.clone()));
        state.retired.push(Retired::unseen(statement.files));
        drop(state);
        drop(catalog);
        self.remove_retired();
        Ok(true)
    }
    /// As [`Store::trim`], where many parts count no more.
    pub(super) fn trim_if_due(&self) -> Result<()> {
        self.trim_alone(MANY).map(|_| ())
    }
}

/// What memory has of what has no day and no file says any more.
fn unwritten(contents: &Contents, seen: &HashSet<(FrameKind, u32)>) -> Result<Vec<(FrameKind, u32, Vec<u8>)>> {
    let mut out = Vec::new();
    for source in contents.sources.values().filter(|s| !seen.contains(&(FrameKind::Source, s.id))) {
        out.push((FrameKind::Source, source.id, source.bytes()?));
    }
    for data in contents.imports.values().filter(|i| !seen.contains(&(FrameKind::Done, i.id))) {
        // As it was before something was taken off it: statements say that again.
        let mut done = data.done.clone();
        for lost in contents.pruned.iter().filter_map(|(_, s)| s.lost.get(&data.id)) {
            done.regain(lost.frames);
        }
        out.push((FrameKind::Done, data.id, done.bytes()?));
    }
    for (_, statement) in contents.pruned.iter().filter(|(_, s)| !seen.contains(&(FrameKind::Pruned, s.number))) {
        out.push((FrameKind::Pruned, statement.number, statement.bytes()?));
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{flow, options, source};
    use super::super::{Ask, Done, NewEvidence};
    use super::*;
    use crate::model::{EvidenceKey, Filter, Time};
    use std::fs;
    use std::path::Path;

    fn rows(store: &Store) -> u64 {
        store.snapshot().count(&Ask::new(&Filter::All), u64::MAX, &|| false).unwrap().0
    }

    fn part(store: &Store, n: u64) {
        let evidence =
            NewEvidence { key: EvidenceKey(1), path: "live:eth0".into(), size: 0, modified: Time(0), head_hash: [0; 32] };
        let mut import = store.go_on(&evidence).unwrap();
        source(&mut import, "eth0");
        import.push(flow(1, n)).unwrap();
        import.finish(Done::default()).unwrap();
    }

    fn segments(dir: &Path) -> usize {
        fs::read_dir(dir.join("seg/case")).unwrap().count()
    }

    #[test]
    fn parts_that_count_no_more_are_forgotten_and_numbers_and_order_go_on() {
        let dir = tempfile::tempdir().unwrap();
        let case = dir.path().join("case");
        let store = Store::open(&case, &options()).unwrap();
        (0..64).for_each(|n| part(&store, n));
        while store.compact(EvidenceKey(1), false, &|| false).unwrap().is_some() {}
        let (sequence, next) = (store.snapshot().sequence(), hold(&store.0.state).contents.next_import);
        let before = fs::metadata(case.join("seg/case/1.seg")).unwrap().len();
        // Most of it is written together again.
        assert!(!store.trim(1_000).unwrap());
        assert!(store.trim(10).unwrap() && !store.trim(10).unwrap());
        assert_eq!((rows(&store), segments(&case)), (64, 1));
        assert!(fs::metadata(case.join("seg/case/2.seg")).unwrap().len() < before / 4);
        part(&store, 64);
        drop(store);
        for lost in [false, false, true] {
            if lost {
                fs::remove_dir_all(case.join("catalog")).unwrap();
            }
            let store = Store::open(&case, &options()).unwrap();
            assert!(store.notices().is_empty(), "{:?}", store.notices());
            assert_eq!(rows(&store), 65);
            assert!(store.verify().unwrap().damage.is_empty());
            let state = hold(&store.0.state);
            assert!(state.contents.sequence() > sequence && state.contents.next_import > next);
        }
    }

    #[test]
    fn interrupted_before_the_old_file_goes_nothing_is_there_twice() {
        let dir = tempfile::tempdir().unwrap();
        let case = dir.path().join("case");
        let store = Store::open(&case, &options()).unwrap();
        (0..64).for_each(|n| part(&store, n));
        while store.compact(EvidenceKey(1), false, &|| false).unwrap().is_some() {}
        let old = fs::read(case.join("seg/case/1.seg")).unwrap();
        assert!(store.trim(10).unwrap());
        drop(store);
        let whole = fs::read(case.join("seg/case/2.seg")).unwrap();
        for (keep, catalog) in [(whole.len(), true), (whole.len(), false), (whole.len() / 2, false), (0, false)] {
            fs::write(case.join("seg/case/1.seg"), &old).unwrap();
            fs::write(case.join("seg/case/2.seg"), &whole[..keep]).unwrap();
            if !catalog {
                fs::remove_dir_all(case.join("catalog")).unwrap();
            }
            let store = Store::open(&case, &options()).unwrap();
            assert_eq!(rows(&store), 64, "{:?}", store.notices());
            drop(store);
            let store = Store::open(&case, &options()).unwrap();
            assert!(store.notices().is_empty(), "{:?}", store.notices());
            assert_eq!((rows(&store), segments(&case)), (64, if keep == whole.len() { 1 } else { 2 }));
        }
    }
}
