//! Damage to each kind of file of a case: what it cost is said, and is what it has to be; after a repair every answer that does not need what is
//! lost is that of the undamaged case, however the case is opened from then on.

use super::copied::{copy_all, files};
use super::tests::{fresh, options, source};
use super::*;
use crate::model::filter::Test;
use crate::model::packet::PacketRef;
use crate::model::source::Counts;
use crate::model::time::{DAY, SECOND};
use crate::model::{Cancel, Filter, Kind, Record, RecordId, Time, Value, field};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::Range;

/// Evidence of a capture.
const LIVE: u64 = 9;
/// Day of the first record that stays.
const FIRST: i64 = 20_000;

fn record(key: u64, n: u64, source: SourceId, every: i64) -> Record {
    let kind = if n % 4 == 3 { Kind::Dns } else { Kind::Flow };
    let id = RecordId { evidence: EvidenceKey(key), offset: n * 10, ordinal: 0 };
    let mut r = Record::new(kind, id, source, Time(FIRST * DAY + n as i64 * every * SECOND));
    r.end = r.start.plus(SECOND);
    r.set(field::SRC_IP, Value::Addr([10, 0, key as u8, (n % 40) as u8].into()));
    if kind == Kind::Dns {
        r.set(field::NAME, Value::from(format!("h{}.example", n % 60).as_str()));
        r.set(field::ANSWER_IP, Value::Addr([192, 0, 2, (n % 9) as u8].into()));
    } else {
        r.set(field::DST_IP, Value::Addr([192, 0, 2, (n % 5) as u8].into()));
        r.set(field::BYTES_OUT, n * 1000);
    }
    r
}

fn push(mut import: Import, key: u64, range: Range<u64>, every: i64) {
    let sources = ["a", "b"].map(|sensor| source(&mut import, sensor));
    let records = range.end - range.start;
    for n in range {
        let r = record(key, n, sources[(n / 2 % 2) as usize], every);
        if r.kind == Kind::Flow {
            import.packets(r.id, r.source, &[PacketRef { offset: n, number: n, time: r.start, inbound: false }]).unwrap();
        }
        import.push(r).unwrap();
    }
    let counts = Counts { ok: records, records, ..Counts::default() };
    import.finish(Done { format: "test".into(), counts, ..Done::default() }).unwrap();
}

fn live() -> NewEvidence {
    NewEvidence { key: EvidenceKey(LIVE), path: "live:eth0".into(), size: 0, modified: Time(0), head_hash: [0; 32] }
}

/// Two files over three days, one of them small, two parts of a capture, and a day that was pruned.
fn filled(dir: &Path) -> Store {
    let store = Store::open(dir, &options()).unwrap();
    // What is of the first of these days goes.
    push(fresh(&store, 1), 1, 0..300, 900);
    push(fresh(&store, 2), 2, 96..99, 900);
    push(store.go_on(&live()).unwrap(), LIVE, 96..120, 900);
    push(store.go_on(&live()).unwrap(), LIVE, 120..150, 900);
    let at = Time((FIRST + 1) * DAY);
    let plan = store.plan_prune(&Wish { before: [Some(at); 4], ..Wish::default() }).unwrap();
    assert_eq!(store.prune(&plan, "test", || Ok(()), &|| false).unwrap().rows, 96);
    store
}

/// Questions whose answers come of indexes.
fn filters() -> Vec<Filter> {
    let addr = |n: [u8; 4]| Filter::is(field::HOST, Value::Addr(n.into()));
    vec![
        addr([10, 0, 1, 7]),
        addr([10, 0, 2, 16]),
        addr([192, 0, 2, 3]),
        Filter::Test(field::NAME, Test::Is(Value::from("h39.example"))),
        Filter::is(field::KIND, Kind::Dns.name()),
    ]
}

type Packets = BTreeMap<RecordId, Vec<PacketRef>>;

/// Everything that is asked of a case.
#[derive(Debug, PartialEq)]
struct Answers {
    rows: BTreeMap<RecordId, Record>,
    by_index: Vec<BTreeSet<RecordId>>,
    counted: Vec<u64>,
    packets: Packets,
    names: BTreeSet<String>,
}

fn answers(store: &Store) -> Result<Answers> {
    let snapshot = store.snapshot();
    let rows = |filter: &Filter| -> Result<Vec<Record>> {
        let mut out = Vec::new();
        snapshot.select(&Ask::new(filter), &|| false, &mut |r| {
            out.push(r);
            true
        })?;
        Ok(out)
    };
    let all = rows(&Filter::All)?;
    let total = all.len();
    let flows: Vec<RecordId> = all.iter().filter(|r| r.kind == Kind::Flow).map(|r| r.id).collect();
    let packets = snapshot.packets_of(&flows, &Cancel::default())?;
    let by_index = filters().iter().map(|f| Ok(rows(f)?.into_iter().map(|r| r.id).collect())).collect::<Result<_>>()?;
    let count = |f: &Filter| Ok(snapshot.count(&Ask::new(f), u64::MAX, &|| false)?.0);
    let dns = Filter::is(field::KIND, Kind::Dns.name());
    let mut names = BTreeSet::new();
    snapshot.passive(&Ask::new(&dns), &|| false, &mut |e| {
        names.insert(format!("{e:?}"));
    })?;
    let rows: BTreeMap<RecordId, Record> = all.into_iter().map(|r| (r.id, r)).collect();
    assert_eq!(rows.len(), total, "a row is there twice");
    let packets = flows.into_iter().zip(packets).filter(|(_, p)| !p.is_empty()).collect();
    Ok(Answers { rows, by_index, counted: filters().iter().map(count).collect::<Result<_>>()?, packets, names })
}

/// A frame of the undamaged case, with what is lost with it.
struct Frame {
    file: PathBuf,
    range: Range<u64>,
    /// Where what it describes begins: of a block the catalog and checksums of their own say all that is before.
    body: u64,
    kind: frame::FrameKind,
    rows: BTreeSet<RecordId>,
    packets: BTreeSet<RecordId>,
}

fn ids_of(store: &Store, data: &ImportData, info: &contents::BlockInfo) -> BTreeSet<RecordId> {
    let (cache, id) = (cache::Cache::new(0), BlockId { import: data.id, block: info.zone.index });
    let reader = reader::Reader::open(store.segments(), &cache, info, id).unwrap();
    let (heads, columns) = (reader.heads().unwrap(), reader.columns(None).unwrap());
    (0..reader.rows()).map(|row| heads.record(info, row, &columns).id).collect()
}

fn frames(store: &Store, answers: &Answers) -> Vec<Frame> {
    let mut out = Vec::new();
    let imports = hold(&store.0.state).contents.imports.clone();
    for (day, segment, len) in store.segments().list().unwrap() {
        let file = store.segments().path(day, segment).strip_prefix(store.dir()).unwrap().to_owned();
        let mut each = |place: segment::Place, header: frame::Header, payload: &[u8]| {
            let mut found = Frame {
                file: file.clone(),
                range: place.offset..place.offset + (frame::HEADER as u64) + u64::from(place.len),
                body: place.offset + (frame::HEADER as u64) + 4 + frame::split(payload)?.0.len() as u64,
                kind: header.kind,
                rows: BTreeSet::new(),
                packets: BTreeSet::new(),
            };
            let Some(data) = imports.get(&header.id) else {
                out.push(found);
                return Ok(());
            };
            match header.kind {
                frame::FrameKind::Block => {
                    let info = data.blocks.iter().find(|b| b.place == place).unwrap();
                    found.rows = ids_of(store, data, info);
                }
                frame::FrameKind::Packets => {
                    packets::pieces(frame::split(payload)?.1, &mut |(offset, ordinal, _), _| {
                        found.packets.insert(RecordId { evidence: EvidenceKey(data.done.key), offset, ordinal });
                        Ok(())
                    })?;
                }
                frame::FrameKind::Done => {
                    // Nothing else says that these rows were ever acknowledged.
                    found.rows = data.blocks.iter().flat_map(|b| ids_of(store, data, b)).collect();
                }
                _ => {}
            }
            out.push(found);
            Ok(())
        };
        let found = scan::scan(store.segments(), day, segment, len, &mut each).unwrap();
        assert!(found.damaged.is_empty() && found.torn.is_none());
    }
    let rows: BTreeSet<RecordId> =
        out.iter().filter(|f| f.kind == frame::FrameKind::Block).flat_map(|f| f.rows.clone()).collect();
    assert_eq!(rows, answers.rows.keys().copied().collect());
    out
}

/// What the case has to answer without some rows, and where packets of some flows are not known.
fn without(all: &Answers, rows: &BTreeSet<RecordId>, packets: &BTreeSet<RecordId>) -> Answers {
    let less = |ids: &BTreeSet<RecordId>| ids.difference(rows).copied().collect::<BTreeSet<RecordId>>();
    let by_index: Vec<BTreeSet<RecordId>> = all.by_index.iter().map(less).collect();
    Answers {
        rows: all.rows.iter().filter(|(id, _)| !rows.contains(id)).map(|(id, r)| (*id, r.clone())).collect(),
        counted: by_index.iter().map(|ids| ids.len() as u64).collect(),
        by_index,
        packets: all
            .packets
            .iter()
            .filter(|(id, _)| !rows.contains(id) && !packets.contains(id))
            .map(|(id, p)| (*id, p.clone()))
            .collect(),
        names: BTreeSet::new(),
    }
}

/// Passive DNS of a case that has only these rows.
fn names_of(all: &Answers, lost: &BTreeSet<RecordId>) -> BTreeSet<String> {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &options()).unwrap();
    for key in [1, 2, LIVE] {
        let mut import = fresh(&store, key);
        for sensor in ["a", "b"] {
            source(&mut import, sensor);
        }
        let stays = |r: &&Record| r.id.evidence.0 == key && !lost.contains(&r.id);
        all.rows.values().filter(stays).for_each(|r| import.push(r.clone()).unwrap());
        import.finish(Done::default()).unwrap();
    }
    answers(&store).unwrap().names
}

/// What is done to a file.
#[derive(Debug, Clone, Copy)]
enum Harm {
    Flip(u64),
    Cut(u64),
    Gone,
}

impl Harm {
    fn apply(self, file: &Path) {
        let mut bytes = fs::read(file).unwrap();
        match self {
            Harm::Flip(at) => bytes[at as usize] ^= 0x41,
            Harm::Cut(at) => bytes.truncate(at as usize),
            Harm::Gone => return fs::remove_file(file).unwrap(),
        }
        fs::write(file, bytes).unwrap();
    }
    fn takes(self, range: &Range<u64>) -> bool {
        match self {
            Harm::Flip(at) => range.contains(&at),
            Harm::Cut(at) => range.end > at,
            Harm::Gone => true,
        }
    }
}

/// An undamaged case, and what it answers.
struct Undamaged {
    dir: tempfile::TempDir,
    answers: Answers,
    frames: Vec<Frame>,
}

fn undamaged() -> Undamaged {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(&dir.path().join("case"));
    let answers = answers(&store).unwrap();
    let frames = frames(&store, &answers);
    let all = [frame::FrameKind::Block, frame::FrameKind::Packets, frame::FrameKind::Postings, frame::FrameKind::Rollups];
    for kind in all.into_iter().chain([
        frame::FrameKind::Names,
        frame::FrameKind::Done,
        frame::FrameKind::Source,
        frame::FrameKind::Pruned,
    ]) {
        assert!(frames.iter().any(|f| f.kind == kind), "no {kind:?}");
    }
    assert!(answers.counted.iter().all(|n| *n > 0) && !answers.names.is_empty() && !answers.packets.is_empty());
    assert!(store.verify_how(verify::How { full: true, repair: false }).unwrap().damage.is_empty());
    Undamaged { dir, answers, frames }
}

/// How many records are said to be lost: of blocks whose description is there.
fn said(lost: &[String]) -> u64 {
    let words = |line: &String| line.split(": ").last().unwrap().split(" of its ").next().unwrap().parse::<u64>().unwrap_or(0);
    lost.iter().map(words).sum()
}

/// Damages a segment, repairs it, and checks both against what is lost with the frames that are hit.
fn check(case: &Undamaged, file: &Path, harm: Harm, without_catalog: bool) {
    let at = format!("{harm:?} of {}{}", file.display(), if without_catalog { ", catalog lost" } else { "" });
    let dir = tempfile::tempdir().unwrap();
    let copy = dir.path().join("case");
    copy_all(&case.dir.path().join("case"), &copy);
    harm.apply(&copy.join(file));
    if without_catalog {
        fs::remove_dir_all(copy.join("catalog")).unwrap();
    }
    let hit: Vec<&Frame> = case.frames.iter().filter(|f| f.file == file && harm.takes(&f.range)).collect();
    let is_spared = |f: &Frame| {
        let before = matches!(harm, Harm::Flip(at) if at < f.body);
        f.kind == frame::FrameKind::Block && before && !without_catalog
    };
    let rows: BTreeSet<RecordId> = hit.iter().filter(|f| !is_spared(f)).flat_map(|f| f.rows.iter().copied()).collect();
    let packets: BTreeSet<RecordId> = hit.iter().flat_map(|f| f.packets.iter().copied()).collect();
    let of_case = hit.iter().any(|f| matches!(f.kind, frame::FrameKind::Done | frame::FrameKind::Pruned));
    let mut want = without(&case.answers, &rows, &packets);
    want.names = names_of(&case.answers, &rows);

    let store = Store::open(&copy, &options()).unwrap();
    let told = store.notices();
    let how = |repair| verify::How { full: true, repair };
    let check = store.verify_how(how(false)).unwrap();
    let names_file = |line: &String| line.contains(&file.display().to_string());
    // A file that is cut between frames is missed by those whose frames it had.
    let is_named = check.damage.iter().chain(&told).any(names_file) || !check.damage.is_empty() || !told.is_empty();
    assert!(hit.is_empty() || is_named, "{at}: nothing says so");
    let of_rows = rows.len() as u64;
    if !of_case && of_rows > 0 {
        let cost = check.damage.iter().filter(|l| l.contains("parts are lost")).map(|l| {
            // Indexes and packet references that are lost cost no rows.
            let Some((_, rows)) = l.split_once(" with ") else { return 0 };
            rows.split(' ').next().and_then(|n| n.parse::<u64>().ok()).unwrap_or_else(|| panic!("{at}: {l}"))
        });
        assert_eq!(cost.sum::<u64>(), of_rows, "{at}: {:?}", check.damage);
    }
    let done = store.verify_how(how(true)).unwrap();
    assert!(done.damage.is_empty(), "{at}: {:?} after {:?}, told {told:?}", done.damage, check.damage);
    if !of_case {
        assert_eq!(said(&done.lost), of_rows, "{at}: {:?}", done.lost);
    }
    let have = answers(&store).unwrap_or_else(|e| panic!("{at}: {e}"));
    same(&have, &want, &at);
    drop(store);
    for lost in [false, true] {
        if lost {
            fs::remove_dir_all(copy.join("catalog")).unwrap();
        }
        let store = Store::open(&copy, &options()).unwrap();
        assert!(lost && of_case || store.notices().is_empty(), "{at}: {:?}", store.notices());
        let again = store.verify_how(how(false)).unwrap();
        assert!(again.damage.is_empty(), "{at}: {:?}", again.damage);
        assert_eq!(again.lost, done.lost, "{at}");
        same(&answers(&store).unwrap(), &want, &at);
    }
}

fn same(have: &Answers, want: &Answers, at: &str) {
    let ids = |a: &Answers| a.rows.keys().copied().collect::<BTreeSet<RecordId>>();
    let (h, w) = (ids(have), ids(want));
    let (more, less): (Vec<_>, Vec<_>) = (h.difference(&w).take(3).collect(), w.difference(&h).take(3).collect());
    assert!(h == w, "{at}: {} rows of {}; not expected {more:?}, missing {less:?}", h.len(), w.len());
    assert!(have.rows == want.rows, "{at}: a row is not what was written");
    assert_eq!(have.by_index, want.by_index, "{at}");
    assert_eq!(have.counted, want.counted, "{at}");
    assert!(have.packets == want.packets, "{at}: packets of {} flows, not of {}", have.packets.len(), want.packets.len());
    assert_eq!(have.names, want.names, "{at}");
}

/// Segments of the undamaged case, each with the frames in it.
fn by_file(case: &Undamaged) -> BTreeMap<PathBuf, Vec<&Frame>> {
    let mut out: BTreeMap<PathBuf, Vec<&Frame>> = BTreeMap::new();
    case.frames.iter().for_each(|f| out.entry(f.file.clone()).or_default().push(f));
    out
}

#[test]
fn a_flip_anywhere_in_a_frame_of_each_kind_costs_that_frame_and_nothing_else() {
    let case = undamaged();
    let mut seen: BTreeMap<(bool, String), u32> = BTreeMap::new();
    for (file, frames) in by_file(&case) {
        for f in frames {
            // Of each kind the first ones, of the capture's own files too.
            let n = seen.entry((file.display().to_string().contains("seg/case"), format!("{:?}", f.kind))).or_default();
            *n += 1;
            let len = f.range.end - f.range.start;
            let places: &[u64] = match *n {
                1 => &[0, 4, frame::HEADER as u64, len / 2, len - 1],
                2 | 5 => &[len / 3],
                _ => &[],
            };
            places.iter().for_each(|at| check(&case, &file, Harm::Flip(f.range.start + at), at % 2 == 1));
        }
    }
    assert!(seen.len() >= 8, "{seen:?}");
}

#[test]
fn a_segment_that_was_cut_or_is_gone_costs_what_it_had_from_there_on() {
    let case = undamaged();
    for (file, frames) in by_file(&case) {
        let middle = &frames[frames.len() / 2].range;
        let last = &frames[frames.len() - 1].range;
        for at in [0, middle.start, (middle.start + middle.end) / 2, last.end - 1] {
            check(&case, &file, Harm::Cut(at), false);
        }
        check(&case, &file, Harm::Cut(middle.start + 3), true);
        if !file.display().to_string().contains("seg/case") {
            check(&case, &file, Harm::Gone, false);
        }
    }
}

#[test]
fn damage_to_the_catalog_costs_nothing() {
    let case = undamaged();
    let original = case.dir.path().join("case");
    let mut kinds = BTreeSet::new();
    for file in files(&original.join("catalog")) {
        let name = file.strip_prefix(&original).unwrap().to_owned();
        let bytes = fs::read(&file).unwrap();
        let used = bytes.iter().rposition(|b| *b != 0).map_or(0, |n| n as u64 + 1);
        let mut harms = vec![Harm::Gone];
        if used > 0 {
            harms.extend([0, 1, used / 4, used / 2, used * 3 / 4, used - 1].map(Harm::Flip));
            harms.extend([0, used / 2, used - 1].map(Harm::Cut));
        }
        kinds.insert(name.file_name().unwrap().to_string_lossy().split('.').next().unwrap().to_owned());
        for harm in harms {
            check(&case, &name, harm, false);
        }
    }
    assert!(kinds.contains("db") && kinds.contains("conf"), "{kinds:?}");
}

#[test]
fn what_damage_took_is_read_again() {
    let case = undamaged();
    let store = Store::open(&case.dir.path().join("case"), &options()).unwrap();
    let lost =
        case.frames.iter().find(|f| f.kind == frame::FrameKind::Block && f.rows.iter().all(|id| id.evidence.0 == 1)).unwrap();
    let file = case.dir.path().join("case").join(&lost.file);
    drop(store);
    Harm::Flip(lost.range.end - 1).apply(&file);
    let store = Store::open(&case.dir.path().join("case"), &options()).unwrap();
    assert!(!store.verify_how(verify::How { full: true, repair: true }).unwrap().lost.is_empty());
    let warned = |store: &Store| store.evidence().iter().any(|e| e.warnings.iter().any(|w| w.contains("lost by damage")));
    assert!(warned(&store));
    push(fresh(&store, 1), 1, 96..300, 900);
    same(&answers(&store).unwrap(), &case.answers, "read again");
    drop(store);
    let store = Store::open(&case.dir.path().join("case"), &options()).unwrap();
    same(&answers(&store).unwrap(), &case.answers, "read again, reopened");
    assert!(!warned(&store));
    assert!(matches!(store.begin(&NewEvidence { key: EvidenceKey(1), ..live() }).unwrap(), Begin::Known(_)));
}
