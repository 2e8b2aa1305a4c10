//! What a case holds, from the catalog if it can be trusted, else from the segments, which are the truth.
//!
//! Trust: every description of evidence in `seg/case` that is acknowledged has in the catalog just the parts that it names, no segment is
//! shorter than acknowledged, and no evidence ended beyond what is acknowledged. What lies beyond belongs to imports that never ended; so do
//! parts in the catalog whose import has no end: they are dropped from it, and what of them ends a segment is cut off. So go parts of live
//! captures that a later import has written together with others (`compact.rs`), with the files that they had for themselves.

use super::block::Zone;
use super::catalog::{self, About, Catalog, Change};
use super::contents::{BlockInfo, Contents, DoneFrame, ImportData, SourceFrame};
use super::encode::{Take, damaged};
use super::frame::{self, FrameKind, HEADER};
use super::names::{self, NamesInfo};
use super::packets::{GroupInfo, Reach};
use super::postings::{ChunkInfo, Span};
use super::pruned::Statement;
use super::scan::scan;
use super::segment::{self, CASE, MEMORY, OWN, Place, Segments};
use crate::error::{Error, Result};
use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, OnceLock};

/// Parts found, by import and number.
#[derive(Default)]
struct Parts {
    blocks: BTreeMap<(u32, u32), BlockInfo>,
    groups: BTreeMap<(u32, u32), GroupInfo>,
    chunks: BTreeMap<(About, u32, u32), ChunkInfo>,
    names: BTreeMap<(u32, u32), NamesInfo>,
    done: BTreeMap<u32, (Place, DoneFrame)>,
    sources: BTreeMap<u32, (Place, SourceFrame)>,
    pruned: BTreeMap<u32, (Place, Statement)>,
    next_import: u32,
}

impl Parts {
    fn add(&mut self, about: About, place: Place, meta: &[u8]) -> Result<()> {
        let mut take = Take::new(meta);
        match about {
            About::Block => {
                let zone = Zone::take(&mut take)?;
                let info = BlockInfo { place, meta: meta.len() as u32, directory: OnceLock::new(), zone };
                self.blocks.insert((info.zone.import, info.zone.index), info);
            }
            About::Packets => {
                let reach = Reach::take(&mut take)?;
                let at = (reach.import, reach.index);
                // What was taken out of a group before a pruning that never was is less than the group.
                if self.groups.get(&at).is_none_or(|have| have.place.len < place.len) {
                    self.groups.insert(at, GroupInfo { place, reach });
                }
            }
            About::Postings | About::Rollups => {
                let span = Span::take(&mut take)?;
                self.chunks.insert((about, span.import, span.index), ChunkInfo { place, span });
            }
            About::Names => {
                let span = names::Span::take(&mut take)?;
                let info = NamesInfo { place, meta: meta.len() as u32, directory: OnceLock::new(), span };
                self.names.insert((info.span.import, info.span.index), info);
            }
            About::Done => {
                let done = DoneFrame::read(meta)?;
                self.done.insert(done.import, (place, done));
            }
            About::Source => {
                let source: SourceFrame = serde_json::from_slice(meta).map_err(|_| damaged("description of a source"))?;
                self.sources.insert(source.id, (place, source));
            }
            About::Pruned => {
                let statement = Statement::read(meta)?;
                self.pruned.insert(statement.number, (place, statement));
            }
            About::Missing | About::Watermark => {}
        }
        Ok(())
    }
    /// Imports whose rows a later one has.
    fn replaced(&self) -> HashSet<u32> {
        self.done.values().flat_map(|(_, done)| done.replaces.iter().copied()).collect()
    }
    /// Segments that were pruned.
    fn retired(&self) -> HashSet<(i32, u32)> {
        self.pruned.values().flat_map(|(_, statement)| statement.files.iter().copied()).collect()
    }
    fn contents(self) -> Result<Contents> {
        let mut contents = Contents { next_import: self.next_import.max(1), ..Contents::default() };
        let mut imports: BTreeMap<u32, ImportData> = BTreeMap::new();
        let replaced = self.replaced();
        contents.ended = self.done.len();
        for statement in self.pruned.values().map(|(_, s)| s) {
            contents.replaced = contents.replaced.max(statement.sequence);
            contents.next_import = contents.next_import.max(statement.next_import);
        }
        for (id, (_, done)) in self.done {
            contents.next_import = contents.next_import.max(done.next_import).max(id.saturating_add(1));
            let next = done.sources.iter().map(|s| s.id.saturating_add(1)).max();
            contents.least_source = contents.least_source.max(next.unwrap_or(1));
            if replaced.contains(&id) {
                contents.replaced = contents.replaced.max(done.sequence);
            } else {
                imports.insert(id, ImportData::new(id, done));
            }
        }
        for ((id, _), part) in self.blocks {
            if let Some(import) = imports.get_mut(&id) {
                import.blocks.push(part);
            }
        }
        for ((id, _), part) in self.groups {
            if let Some(import) = imports.get_mut(&id) {
                import.groups.push(part);
            }
        }
        for ((about, id, _), part) in self.chunks {
            if let Some(import) = imports.get_mut(&id) {
                match about {
                    About::Rollups => import.rollups.push(part),
                    _ => import.chunks.push(part),
                }
            }
        }
        let mut names: BTreeMap<u32, Vec<NamesInfo>> = BTreeMap::new();
        self.names.into_iter().for_each(|((id, _), part)| names.entry(id).or_default().push(part));
        for (id, parts) in names {
            if let Some(import) = imports.get(&id) {
                import.set_names(parts);
            }
        }
        for (id, lost) in self.pruned.values().flat_map(|(_, statement)| &statement.lost) {
            if let Some(import) = imports.get_mut(id) {
                import.lose(lost)?;
            }
        }
        contents.pruned = self.pruned.into_values().collect();
        contents.imports = imports.into_iter().map(|(id, import)| (id, Arc::new(import))).collect();
        contents.sources = self.sources.into_iter().map(|(id, (_, source))| (id, source)).collect();
        Ok(contents)
    }
}

/// The import that a segment belongs to, if that is one alone.
fn owner(segment: u32) -> Option<u32> {
    (OWN..MEMORY).contains(&segment).then(|| segment - OWN)
}

fn about(kind: FrameKind) -> About {
    match kind {
        FrameKind::Block => About::Block,
        FrameKind::Packets => About::Packets,
        FrameKind::Postings => About::Postings,
        FrameKind::Rollups => About::Rollups,
        FrameKind::Names => About::Names,
        FrameKind::Done => About::Done,
        FrameKind::Source => About::Source,
        FrameKind::Pruned => About::Pruned,
    }
}

/// The watermark entry of a segment.
pub fn watermark(day: i32, segment: u32, len: u64) -> Change {
    catalog::entry(About::Watermark, day as u32, segment, &Place { day, segment, offset: len, len: 0 }, &[])
}

/// The entry that says how many parts of an import are lost; of [`CASE_LOSS`], how many bytes of what has no day cannot be read.
fn missing(of: u32, n: u64) -> Change {
    catalog::entry(About::Missing, of, 0, &Place { day: CASE, segment: 0, offset: n, len: 0 }, &[])
}

/// Stands for what has no day where an import's number would be.
pub(super) const CASE_LOSS: u32 = u32::MAX;

/// Stands for the same where its end is lost: imports whose end is not there may have ended, so their files stay.
pub(super) const CASE_CUT: u32 = u32::MAX - 1;

/// What is said of an import of which parts are lost.
fn lost_of(import: &ImportData) -> String {
    format!(
        "{} parts of {} are lost: `verify` says what that costs, `verify --repair` goes on without them",
        import.missing(),
        import.done.path
    )
}

/// The entry that says that a catalog is complete, and below which number no import may begin.
fn complete(next_import: u32) -> Change {
    watermark(CASE, 0, u64::from(next_import))
}

/// Where the last part of an import that ended ends, per segment: what comes after is of imports that never ended.
fn live_ends(contents: &Contents) -> BTreeMap<(i32, u32), u64> {
    let mut out = BTreeMap::new();
    for place in contents.imports.values().flat_map(|i| i.places()) {
        let end: &mut u64 = out.entry((place.day, place.segment)).or_default();
        *end = (*end).max(place.offset + HEADER as u64 + u64::from(place.len));
    }
    out
}

/// Reads what the catalog says. An error is doubt; `fewer` is set where the segments have less than it knows of.
pub fn load(segments: &Segments, catalog: &mut dyn Catalog, fewer: &mut bool, notices: &mut Vec<String>) -> Result<Contents> {
    let mut parts = Parts::default();
    let mut marks: BTreeMap<(i32, u32), u64> = BTreeMap::new();
    let (mut described, mut stated) = (0usize, 0usize);
    let mut keys: Vec<(u32, Vec<u8>)> = Vec::new();
    // What was lost before is no doubt again.
    let mut lost_before: BTreeMap<u32, u64> = BTreeMap::new();
    catalog.scan(&mut |key, value| {
        let (kind, a, b) = catalog::read_key(key)?;
        let (place, meta) = catalog::read_value(key, value)?;
        match kind {
            About::Watermark => {
                marks.insert((a as i32, b), place.offset);
            }
            About::Missing => drop(lost_before.insert(a, place.offset)),
            About::Done => described += 1,
            About::Pruned => stated += 1,
            About::Source => {}
            kind => {
                parts.next_import = parts.next_import.max(a.saturating_add(1));
                keys.push((a, key.to_vec()));
                parts.add(kind, place, meta)?;
            }
        }
        Ok(())
    })?;
    let doubt = |why: &str| Error::store(format!("the catalog does not fit the segments: {why}"));
    let Some(floor) = marks.remove(&(CASE, 0)) else { return Err(doubt("it is not complete")) };
    parts.next_import = parts.next_import.max(u32::try_from(floor).unwrap_or(0));
    let list = segments.list()?;
    let lens: BTreeMap<(i32, u32), u64> = list.iter().map(|(d, s, len)| ((*d, *s), *len)).collect();
    if marks.iter().any(|(at, mark)| *mark > 0 && lens.get(at).is_none_or(|len| len < mark)) {
        // One that is gone may have been written anew.
        *fewer = marks.iter().any(|(at, mark)| at.0 == CASE && lens.get(at).is_some_and(|len| len < mark));
        return Err(doubt("a segment is shorter than it was"));
    }
    let mut unreadable = 0;
    // The newest first: it may say that the others count no more.
    for (day, segment, len) in list.iter().rev().filter(|(day, _, _)| *day == CASE) {
        if parts.retired().contains(&(*day, *segment)) {
            continue;
        }
        let mark = marks.get(&(*day, *segment)).copied().unwrap_or(0);
        let scan = scan(segments, *day, *segment, *len, &mut |place, header, payload| {
            let (meta, _) = frame::split(payload)?;
            if place.offset < mark {
                parts.add(about(header.kind), place, meta)
            } else if header.kind == FrameKind::Done {
                Err(doubt("evidence ended that it does not know"))
            } else {
                Ok(())
            }
        })?;
        unreadable += scan.damaged.iter().filter(|(at, _)| *at < mark).map(|(_, n)| n).sum::<u64>();
    }
    let is_cut = lost_before.remove(&CASE_CUT).is_some();
    let stays = is_cut || unreadable > 0;
    match lost_before.remove(&CASE_LOSS).unwrap_or(0) {
        known if known != unreadable => return Err(doubt("seg/case is damaged")),
        0 => {}
        n => notices.push(format!("{n} bytes of seg/case are damaged: `verify --repair` goes on without them")),
    }
    *fewer = described > parts.done.len() || stated > parts.pruned.len();
    if described != parts.done.len() {
        return Err(doubt("evidence is missing"));
    }
    if stated != parts.pruned.len() {
        return Err(doubt("what was pruned is missing"));
    }
    let (replaced, retired) = (parts.replaced(), parts.retired());
    let contents = parts.contents()?;
    segments.never_again(&retired);
    let is_gone = |segment: u32| owner(segment).is_some_and(|import| !contents.imports.contains_key(&import));
    let beyond = |p: Place| marks.get(&(p.day, p.segment)).is_none_or(|mark| p.offset + HEADER as u64 + u64::from(p.len) > *mark);
    let is_more = |i: &ImportData| i.missing() as u64 > lost_before.get(&i.id).copied().unwrap_or(0);
    if let Some(import) = contents.imports.values().find(|i| is_more(i) || i.places().any(beyond)) {
        return Err(doubt(&format!("parts of {} are missing", import.done.path)));
    }
    // First out of the catalog, then off the segments: interrupted in between, the next open finds more than is acknowledged and cuts it.
    // So goes what was derived by others, or not to the end.
    keys.retain(|(import, key)| match contents.imports.get(import) {
        Some(data) => catalog::read_key(key)
            .is_ok_and(|(kind, _, index)| kind == About::Names && !data.names().iter().any(|n| n.span.index == index)),
        None => true,
    });
    let gone: Vec<(i32, u32)> = marks.keys().filter(|(_, segment)| is_gone(*segment) && !stays).copied().collect();
    if !keys.is_empty() || !gone.is_empty() {
        let unended = !stays && keys.iter().any(|(import, _)| !contents.imports.contains_key(import));
        let ends = live_ends(&contents);
        let mut changes: Vec<Change> = keys.into_iter().map(|(_, key)| (key, None)).collect();
        for (day, segment) in gone {
            marks.remove(&(day, segment));
            changes.push((catalog::key(About::Watermark, day as u32, segment), None));
        }
        for ((day, segment), mark) in marks.iter_mut().filter(|((day, _), _)| *day != CASE && unended) {
            let end = ends.get(&(*day, *segment)).copied().unwrap_or(0);
            if end < *mark {
                *mark = end;
                changes.push(watermark(*day, *segment, end));
            }
        }
        changes.push(complete(contents.next_import));
        catalog::commit_all(catalog, changes)?;
    }
    let (mut cut, mut lost) = (0, 0);
    for (day, segment, len) in list {
        if retired.contains(&(day, segment)) {
            segments.remove(day, segment)?;
            continue;
        }
        if is_gone(segment) && !stays {
            segments.remove_own(day, segment)?;
            lost += if owner(segment).is_some_and(|import| replaced.contains(&import)) { 0 } else { len };
            continue;
        }
        let mark = marks.get(&(day, segment)).copied().unwrap_or(0);
        if len > mark {
            segments.truncate(day, segment, mark)?;
            cut += len - mark;
        }
    }
    notices.extend(contents.imports.values().filter(|i| i.missing() > 0).map(|i| lost_of(i)));
    if cut > 0 {
        notices.push(format!("an import was interrupted: {cut} bytes that it had written were removed; import its files again"));
    }
    if lost > 0 {
        notices.push(interrupted(lost));
    }
    Ok(contents)
}

/// Cuts off what belongs to no import that ended, which was kept while the ends might only have been lost; nothing may be written meanwhile.
pub(super) fn settle(segments: &Segments, contents: &Contents, catalog: &mut dyn Catalog) -> Result<()> {
    let ends = live_ends(contents);
    let mut changes = vec![(catalog::key(About::Missing, CASE_CUT, 0), None)];
    let mut cut = Vec::new();
    for (day, segment, len) in segments.list()?.into_iter().filter(|(day, ..)| *day != CASE) {
        let end = ends.get(&(day, segment)).copied().unwrap_or(0);
        if end == len {
            continue;
        }
        cut.push((day, segment, end));
        changes.push(match end {
            0 if owner(segment).is_some() => (catalog::key(About::Watermark, day as u32, segment), None),
            _ => watermark(day, segment, end),
        });
    }
    catalog::commit_all(catalog, changes)?;
    cut.into_iter().try_for_each(|(day, segment, end)| match end {
        0 if owner(segment).is_some() => segments.remove_own(day, segment),
        _ => segments.truncate(day, segment, end),
    })
}

/// What is said of files that no import owns.
fn interrupted(bytes: u64) -> String {
    format!("a capture was interrupted: {bytes} bytes that it had not committed were removed")
}

/// Reads every segment; gives the contents and the entries of a new catalog. Torn ends are cut off. So are parts of imports that have no
/// end, unless the end may be what is lost: the catalog knew of more than is there (`fewer`), or what has no day is torn, empty, damaged.
pub fn rebuild(segments: &Segments, fewer: bool, notices: &mut Vec<String>) -> Result<(Contents, Vec<Change>)> {
    let mut parts = Parts::default();
    let mut changes = Vec::new();
    let mut marks: BTreeMap<(i32, u32), u64> = BTreeMap::new();
    let (mut damaged, mut unreadable, mut replaced, mut retired) = (false, 0, None, None);
    let mut is_cut = fewer;
    let list = segments.list()?;
    // What has no day is first, the newest of it before the others: it may say that they count no more.
    let of_days = list.partition_point(|(day, ..)| *day == CASE);
    for (day, segment, len) in list[..of_days].iter().rev().chain(&list[of_days..]).copied() {
        // What belongs to no day was read first: which imports there are is known.
        if let Some(import) = owner(segment)
            && replaced.get_or_insert_with(|| parts.replaced()).contains(&import)
        {
            continue;
        }
        let is_retired = match day {
            CASE => parts.retired().contains(&(day, segment)),
            _ => retired.get_or_insert_with(|| parts.retired()).contains(&(day, segment)),
        };
        if is_retired {
            continue;
        }
        let scan = scan(segments, day, segment, len, &mut |place, header, payload| {
            let (meta, _) = frame::split(payload)?;
            if !matches!(header.kind, FrameKind::Source | FrameKind::Pruned) {
                parts.next_import = parts.next_import.max(header.id.saturating_add(1));
            }
            parts.add(about(header.kind), place, meta)
        })?;
        let path = segments.path(day, segment);
        for (at, length) in &scan.damaged {
            notices.push(format!("{length} bytes of {} at {at} are damaged", path.display()));
        }
        let mut end = len;
        if let Some(torn) = scan.torn {
            notices.push(format!("{} ended in a torn frame of {} bytes, which was cut off", path.display(), len - torn));
            segments.truncate(day, segment, torn)?;
            end = torn;
        }
        damaged |= !scan.damaged.is_empty() || (day == CASE && end < len);
        unreadable += scan.damaged.iter().filter(|_| day == CASE).map(|(_, n)| n).sum::<u64>();
        marks.insert((day, segment), end);
    }
    is_cut |= of_days < list.len() && marks.range(..(CASE + 1, 0)).all(|(_, end)| *end == 0);
    let (replaced, retired) = (parts.replaced(), parts.retired());
    let counts = |import: u32| parts.done.contains_key(&import) && !replaced.contains(&import);
    for info in parts.blocks.values().filter(|b| counts(b.zone.import)) {
        let mut meta = Vec::new();
        info.zone.put(&mut meta);
        changes.push(catalog::entry(About::Block, info.zone.import, info.zone.index, &info.place, &meta));
    }
    for info in parts.groups.values().filter(|g| counts(g.reach.import)) {
        let mut meta = Vec::new();
        info.reach.put(&mut meta);
        changes.push(catalog::entry(About::Packets, info.reach.import, info.reach.index, &info.place, &meta));
    }
    for ((about, _, _), info) in parts.chunks.iter().filter(|(_, c)| counts(c.span.import)) {
        let mut meta = Vec::new();
        info.span.put(&mut meta);
        changes.push(catalog::entry(*about, info.span.import, info.span.index, &info.place, &meta));
    }
    changes.extend(parts.done.iter().map(|(id, (place, _))| catalog::entry(About::Done, *id, 0, place, &[])));
    changes.extend(parts.pruned.iter().map(|(n, (place, _))| catalog::entry(About::Pruned, *n, 0, place, &[])));
    changes.extend(parts.sources.iter().map(|(id, (place, _))| catalog::entry(About::Source, *id, 0, place, &[])));
    let contents = parts.contents()?;
    segments.never_again(&retired);
    for info in contents.imports.values().flat_map(|i| i.names().iter().map(|n| (n.span.clone(), n.place)).collect::<Vec<_>>()) {
        let mut meta = Vec::new();
        info.0.put(&mut meta);
        changes.push(catalog::entry(About::Names, info.0.import, info.0.index, &info.1, &meta));
    }
    // Files whose rows stand elsewhere go once that is on the disk: of what is read here that is not known.
    let elsewhere = |day: i32, segment: u32| {
        retired.contains(&(day, segment)) || owner(segment).is_some_and(|import| replaced.contains(&import))
    };
    if list.iter().any(|(day, segment, _)| elsewhere(*day, *segment)) {
        for (day, segment) in marks.keys() {
            let path = segments.path(*day, *segment);
            segments.file(*day, *segment)?.sync_data().map_err(|e| segment::write_error(&e, &path))?;
        }
        for (day, segment, _) in list.iter().filter(|(day, segment, _)| elsewhere(*day, *segment)) {
            segments.remove(*day, *segment)?;
        }
    }
    // Where something is damaged or lost, what has no end may have had one: it stays.
    if !damaged && !is_cut && marks.keys().any(|(day, _)| *day == CASE) {
        let ends = live_ends(&contents);
        for ((day, segment), mark) in marks.iter_mut().filter(|((day, _), _)| *day != CASE) {
            let end = ends.get(&(*day, *segment)).copied().unwrap_or(0);
            if end == 0 && owner(*segment).is_some() {
                notices.push(interrupted(*mark));
                segments.remove_own(*day, *segment)?;
                *mark = 0;
            } else if end < *mark {
                notices.push(format!("{} bytes of an import that never ended were removed; import its files again", *mark - end));
                segments.truncate(*day, *segment, end)?;
                *mark = end;
            }
        }
    }
    marks.retain(|(_, segment), mark| *mark > 0 || owner(*segment).is_none());
    changes.extend(marks.into_iter().map(|((day, segment), mark)| watermark(day, segment, mark)));
    for import in contents.imports.values().filter(|i| i.missing() > 0) {
        notices.push(lost_of(import));
        changes.push(missing(import.id, import.missing() as u64));
    }
    if unreadable > 0 {
        changes.push(missing(CASE_LOSS, unreadable));
    }
    if is_cut {
        // Said once; what it keeps is kept until what has no day is written anew.
        notices.push("seg/case was cut short: imports may be missing, what they wrote stays until `verify --repair`".to_owned());
        changes.push(missing(CASE_CUT, 1));
    }
    changes.push(complete(contents.next_import));
    Ok((contents, changes))
}
