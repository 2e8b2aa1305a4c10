//! A process that is killed while it imports, captures, writes parts together and prunes; then files of the case are cut and their bits flipped.
//! After each: nothing acknowledged is missing, nothing is there that was not written, damage stays where it is and is reported.
//!
//! Some rounds always; `BACKTRAIL_TORTURE_ROUNDS=200` (and `BACKTRAIL_TORTURE_SEED`) for more, with a disk that fills where tmpfs can be mounted.

use crate::copied::{copy_all as copy, files};
use backtrail::model::decision::{About, What, Who};
use backtrail::model::packet::PacketRef;
use backtrail::model::source::SourceKey;
use backtrail::model::synthetic::Random;
use backtrail::model::time::{DAY, SECOND};
use backtrail::model::{EvidenceKey, Filter, Kind, Record, RecordId, SourceId, Time, Value, field};
use backtrail::store::verify::How;
use backtrail::store::{Ask, Begin, Done, NewEvidence, OpenOptions, Reserve, Store, Wish};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

mod repair;

const CASE: &str = "BACKTRAIL_TEST_CRASH_CASE";
const SEED: &str = "BACKTRAIL_TEST_CRASH_SEED";
const FROM: &str = "BACKTRAIL_TEST_CRASH_FROM";
/// Set: the process repairs the case and does nothing else.
const REPAIR: &str = "BACKTRAIL_TEST_CRASH_REPAIR";
/// Day of the first record.
const FIRST: i32 = 20_000;
/// Evidence of the capture.
const LIVE: u64 = 1_000_000;

type Rows = BTreeMap<RecordId, Record>;

fn open(dir: &Path) -> Store {
    let options =
        OpenOptions { create: true, ballast: 0, reserve: Reserve { percent: 0, bytes: 0 }, cache: 0, ..OpenOptions::default() };
    Store::open(dir, &options).unwrap()
}

/// What is done next: the same of the same numbers.
enum Step {
    Import(Vec<Record>),
    Part(Vec<Record>),
    Note(String),
    /// Day and per kind whether it goes.
    Prune(i32, [bool; 4]),
    /// All parts of the capture that are small are written together, then what has no day is written anew.
    Trim,
}

fn day(n: u64) -> i32 {
    FIRST + (n / 6) as i32
}

fn rows(random: &mut Random, key: u64, first: u64, count: u64, days: u64, from: i32) -> Vec<Record> {
    let one = |n: u64| {
        let kind = if n % 4 == 3 { Kind::Dns } else { Kind::Flow };
        let at = Time(i64::from(from) * DAY + (n * days * 86_000 / count.max(1)) as i64 * SECOND);
        let mut r =
            Record::new(kind, RecordId { evidence: EvidenceKey(key), offset: (first + n) * 8, ordinal: 0 }, SourceId(0), at);
        r.end = at.plus(SECOND);
        r.set(field::SRC_IP, Value::Addr([10, 0, key as u8, (n % 40) as u8].into()));
        if kind == Kind::Dns {
            r.set(field::NAME, Value::from(format!("h{}.example", random.below(500)).as_str()));
            r.set(field::ANSWER_IP, Value::Addr([192, 0, 2, (n % 9) as u8].into()));
        } else {
            r.set(field::BYTES_OUT, random.below(1 << 20));
        }
        r
    };
    (0..count).map(one).collect()
}

fn step(seed: u64, n: u64) -> Step {
    let mut random = Random::new(seed ^ n.wrapping_mul(0x9e37_79b9));
    match random.below(11) {
        0..4 => {
            let (count, days) = (1 + random.below(1_500), 1 + random.below(3));
            Step::Import(rows(&mut random, n + 1, 0, count, days, day(n)))
        }
        4..7 => {
            let count = 1 + random.below(60);
            Step::Part(rows(&mut random, LIVE, n * 100, count, 1, day(n)))
        }
        7 => Step::Note(n.to_string()),
        8 => Step::Trim,
        _ => {
            let one = random.below(4) as usize;
            let kinds = if random.below(2) == 0 { [true; 4] } else { [0, 1, 2, 3].map(|k| k == one) };
            Step::Prune(day(n) - 2 - random.below(4) as i32, kinds)
        }
    }
}

/// What the case has to have.
#[derive(Clone, Default)]
struct Model {
    rows: Rows,
    notes: BTreeSet<String>,
}

impl Model {
    fn apply(&mut self, step: Step) {
        match step {
            Step::Import(rows) | Step::Part(rows) => self.rows.extend(rows.into_iter().map(|r| (r.id, r))),
            Step::Note(text) => drop(self.notes.insert(text)),
            Step::Trim => {}
            Step::Prune(day, kinds) => self.rows.retain(|_, r| r.start.day() >= day || !kinds[usize::from(r.kind != Kind::Flow)]),
        }
    }
}

fn evidence(key: u64) -> NewEvidence {
    NewEvidence { key: EvidenceKey(key), path: format!("/e/{key}"), size: key, modified: Time(0), head_hash: [0; 32] }
}

/// Does a step; what was done of it before is not done twice.
fn act(store: &Store, step: Step) -> backtrail::error::Result<()> {
    match step {
        Step::Import(rows) => {
            let Begin::Fresh(import) = store.begin(&evidence(rows[0].id.evidence.0))? else { return Ok(()) };
            push(*import, rows)
        }
        Step::Part(rows) => {
            if store.snapshot().record(rows[0].id)?.is_some() {
                return Ok(());
            }
            push(store.go_on(&evidence(LIVE))?, rows)?;
            store.compact(EvidenceKey(LIVE), false, &|| false).map(|_| ())
        }
        Step::Note(text) => {
            if notes(store).0.contains(&text) {
                return Ok(());
            }
            store.journal().append(What::Note { about: About::Case, text }, Who::default()).map(|_| ())
        }
        Step::Trim => {
            while store.compact(EvidenceKey(LIVE), true, &|| false)?.is_some() {}
            store.trim(2).map(|_| ())
        }
        Step::Prune(day, kinds) => {
            let at = Time(i64::from(day) * DAY);
            let wish = Wish { before: kinds.map(|goes| goes.then_some(at)), ..Wish::default() };
            store.prune(&store.plan_prune(&wish)?, "torture", || Ok(()), &|| false).map(|_| ())
        }
    }
}

fn push(mut import: backtrail::store::Import, rows: Vec<Record>) -> backtrail::error::Result<()> {
    let sensor = format!("s{}", rows[0].id.evidence.0 % 3);
    let source = import.source(&SourceKey { format: "test".into(), sensor }, None)?;
    for mut r in rows {
        r.source = source;
        if r.kind == Kind::Flow {
            let packet = PacketRef { offset: r.id.offset, number: r.id.offset, time: r.start, inbound: false };
            import.packets(r.id, source, &[packet])?;
        }
        import.push(r)?;
    }
    import.finish(Done { format: "test".into(), ..Done::default() }).map(|_| ())
}

/// Run by the tests below as a process of its own; alone it does nothing.
#[test]
fn child_that_works_until_it_is_killed() {
    let Some(dir) = std::env::var_os(CASE) else { return };
    let number = |name: &str| std::env::var(name).unwrap().parse::<u64>().unwrap();
    let store = open(Path::new(&dir));
    println!("\nopened");
    if std::env::var_os(REPAIR).is_some() {
        store.verify_how(How { full: false, repair: true }).unwrap();
        println!("repaired");
        return;
    }
    for n in number(FROM).. {
        match act(&store, step(number(SEED), n)) {
            Ok(()) => println!("done {n}"),
            Err(e) => {
                println!("failed {e}");
                // Not closed: a catalog on a full disk does not come back.
                std::process::exit(0);
            }
        }
    }
}

fn child(dir: &Path, seed: u64, from: u64) -> (Child, impl Iterator<Item = String>) {
    child_that(dir, seed, from, false)
}

fn child_that(dir: &Path, seed: u64, from: u64, repairs: bool) -> (Child, impl Iterator<Item = String>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["crash::child_that_works_until_it_is_killed", "--exact", "--nocapture"])
        .envs(repairs.then_some((REPAIR, "1")))
        .env(CASE, dir)
        .env(SEED, seed.to_string())
        .env(FROM, from.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|l| l == "opened"));
    (child, lines)
}

/// The notes, and how many decisions there are.
fn notes(store: &Store) -> (BTreeSet<String>, usize) {
    let decisions = store.journal().decisions();
    let text = |what: &What| if let What::Note { text, .. } = what { Some(text.clone()) } else { None };
    (decisions.iter().filter_map(|d| text(&d.what)).collect(), decisions.len())
}

fn found(store: &Store) -> backtrail::error::Result<Rows> {
    let mut out = Rows::new();
    let mut twice = None;
    let each = &mut |mut r: Record| {
        r.source = SourceId(0);
        if out.contains_key(&r.id) {
            twice = Some(r.id);
        }
        out.insert(r.id, r);
        true
    };
    store.snapshot().select(&Ask::new(&Filter::All), &|| false, each)?;
    assert_eq!(twice, None, "a row is there twice");
    Ok(out)
}

/// Whether `some` are all among `all`, as they were written.
fn are_among(some: &Rows, all: &Rows) -> bool {
    some.iter().all(|(id, r)| all.get(id) == Some(r))
}

/// Checks a case against what was acknowledged and what may have been under way; gives its rows.
fn check(store: &Store, before: &Model, under_way: Step, at: &str) -> Rows {
    let rows = found(store).unwrap_or_else(|e| panic!("{at}: {e}; {:?}", store.notices()));
    let prunes = matches!(under_way, Step::Prune(..));
    let mut after = before.clone();
    after.apply(under_way);
    let whole = rows == before.rows || rows == after.rows;
    let between = prunes && are_among(&rows, &before.rows) && are_among(&after.rows, &rows);
    let (have, want) = (rows.len(), (before.rows.len(), after.rows.len()));
    assert!(whole || between, "{at}: {have} rows of {want:?}; {:?}", store.notices());
    let (notes, decisions) = notes(store);
    assert!(notes == before.notes || notes == after.notes, "{at}: {notes:?}");
    assert_eq!(notes.len(), decisions, "{at}");
    let check = store.verify().unwrap();
    assert!(check.damage.is_empty(), "{at}: {:?}", check.damage);
    // By index as by scan.
    if let Some(r) = rows.values().nth(rows.len() / 2) {
        let value = r.get(field::SRC_IP).unwrap().clone();
        let want = rows.values().filter(|r| r.get(field::SRC_IP) == Some(&value)).count() as u64;
        let filter = Filter::is(field::SRC_IP, value);
        assert_eq!(store.snapshot().count(&Ask::new(&filter), u64::MAX, &|| false).unwrap().0, want, "{at}");
    }
    rows
}

/// What was done to the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Harm {
    SegmentFlipped,
    SegmentCut,
    CatalogFlipped,
    CatalogCut,
    CatalogGone,
    JournalFlipped,
    JournalCut,
}

fn harm(case: &Path, random: &mut Random) -> Option<(Harm, PathBuf, u64)> {
    use Harm::{CatalogCut, CatalogFlipped, CatalogGone, JournalCut, JournalFlipped, SegmentCut, SegmentFlipped};
    let harm = match random.below(12) {
        0..5 => SegmentFlipped,
        5..7 => SegmentCut,
        7 => CatalogFlipped,
        8 => CatalogCut,
        9 => CatalogGone,
        10 => JournalFlipped,
        _ => JournalCut,
    };
    let mut list = match harm {
        SegmentFlipped | SegmentCut => files(&case.join("seg")),
        CatalogFlipped | CatalogCut => vec![case.join("catalog/db")],
        CatalogGone => {
            fs::remove_dir_all(case.join("catalog")).unwrap();
            return Some((harm, case.join("catalog"), 0));
        }
        JournalFlipped | JournalCut => vec![case.join("journal.log")],
    };
    list.retain(|f| fs::metadata(f).is_ok_and(|m| m.len() > 0));
    let file = list.get(random.below(list.len().max(1) as u64) as usize)?.clone();
    let mut bytes = fs::read(&file).unwrap();
    // What sled has not written is zero.
    let used = bytes.iter().rposition(|b| *b != 0)? + 1;
    let at = random.below(used as u64) as usize;
    match harm {
        SegmentCut | CatalogCut | JournalCut => bytes.truncate(at),
        _ => {
            let n = 1 + random.below(3) as usize;
            bytes[at..(at + n).min(used)].iter_mut().for_each(|b| *b ^= 1 << random.below(8));
        }
    }
    fs::write(&file, bytes).unwrap();
    Some((harm, file, at as u64))
}

/// Opens a case that was harmed: what it says is true, what is lost is near the harm, and is told.
fn check_harm(case: &Path, rows: &Rows, notes_before: &BTreeSet<String>, (harm, file, at): &(Harm, PathBuf, u64), round: u64) {
    let what = format!("round {round}: {harm:?} {} at {at}", file.display());
    let mut store = open(case);
    let mut told = store.notices();
    let have = match found(&store) {
        Ok(have) => have,
        Err(e) => {
            // Whoever asks is told where; `verify` finds it; without the catalog the rest is there.
            assert!(e.place.contains(".seg") || e.what.contains("damaged"), "{what}: {e}");
            let damage = store.verify().unwrap().damage;
            assert!(damage.iter().any(|d| d.contains(".seg")), "{what}: {e}, and verify finds {damage:?}");
            drop(store);
            fs::remove_dir_all(case.join("catalog")).unwrap();
            store = open(case);
            told.extend(store.notices());
            found(&store).unwrap_or_else(|e| panic!("{what}: {e}"))
        }
    };
    let invented: Vec<_> = have.iter().filter(|(id, r)| rows.get(id) != Some(r)).take(3).collect();
    let check = store.verify().unwrap();
    told.extend(check.damage.iter().cloned());
    assert!(invented.is_empty(), "{what}: {} rows are not what was written, {invented:?}; told: {told:?}", invented.len());
    let lost: Vec<&Record> = rows.iter().filter(|(id, _)| !have.contains_key(id)).map(|(_, r)| r).collect();
    told.extend(store.evidence().iter().flat_map(|e| e.warnings.clone()).filter(|w| w.contains("damaged")));
    assert!(lost.is_empty() || !told.is_empty(), "{what}: {} rows are lost and nothing says so", lost.len());
    let of: BTreeSet<(u64, i32)> = lost.iter().map(|r| (r.id.evidence.0, r.start.day())).collect();
    let evidence: BTreeSet<u64> = of.iter().map(|(key, _)| *key).collect();
    let days: BTreeSet<i32> = of.iter().map(|(_, day)| *day).collect();
    match harm {
        Harm::SegmentFlipped => {
            // A frame, or the two that the bytes are of; in what has no day all of evidence.
            let in_case = file.display().to_string().contains("seg/case");
            assert!(in_case && evidence.len() <= 32 || of.len() <= 2, "{what}: {of:?} is lost; {told:?}");
        }
        Harm::SegmentCut => {
            let in_case = file.display().to_string().contains("seg/case");
            assert!(in_case || days.len() <= 1, "{what}: {of:?} is lost; {told:?}");
        }
        _ => assert!(lost.is_empty(), "{what}: {} rows are lost; {told:?}", lost.len()),
    }
    let (kept, _) = notes(&store);
    assert!(kept.is_subset(notes_before), "{what}");
    match harm {
        Harm::JournalFlipped => assert!(kept.len() + 2 >= notes_before.len() && !told.is_empty(), "{what}: {told:?}"),
        Harm::JournalCut => {}
        _ => assert_eq!(&kept, notes_before, "{what}"),
    }
    // It goes on.
    act(&store, Step::Note("after".into())).unwrap();
    act(&store, Step::Import(self::rows(&mut Random::new(round), 77_777, 0, 40, 1, FIRST + 50_000))).unwrap();
    let more = found(&store).unwrap();
    assert_eq!(more.len(), have.len() + 40, "{what}");
    drop(store);
    let store = open(case);
    assert_eq!(found(&store).unwrap(), more, "{what}: {:?}", store.notices());
}

#[test]
fn a_process_killed_at_any_moment_loses_nothing_that_it_had_acknowledged() {
    let set = |name: &str| std::env::var(name).ok().and_then(|v| v.parse::<u64>().ok());
    let rounds = set("BACKTRAIL_TORTURE_ROUNDS").unwrap_or(8);
    let seed = set("BACKTRAIL_TORTURE_SEED").unwrap_or(20_261_129);
    let dir = tempfile::tempdir().unwrap();
    let mut random = Random::new(seed);
    let (mut model, mut next) = (Model::default(), 0u64);
    let mut case = dir.path().join("case-0");
    let mut harms: BTreeMap<Harm, u32> = BTreeMap::new();
    let mut under_way: BTreeMap<&str, u32> = BTreeMap::new();
    let mut repairs = 0;
    for round in 0..rounds {
        // A new case now and then, so that beginnings are killed too.
        if round % 50 == 49 {
            (model, next, case) = (Model::default(), 0, dir.path().join(format!("case-{round}")));
        }
        let (mut child, lines) = child(&case, seed, next);
        std::thread::sleep(Duration::from_micros(random.below(250_000)));
        child.kill().unwrap();
        child.wait().unwrap();
        for line in lines {
            assert!(!line.starts_with("failed"), "round {round}: {line}");
            if let Some(n) = line.strip_prefix("done ").and_then(|n| n.parse::<u64>().ok()) {
                assert_eq!(n, next, "round {round}");
                model.apply(step(seed, n));
                next += 1;
            }
        }
        let at = format!("seed {seed} round {round} step {next}");
        let store = open(&case);
        let now = step(seed, next);
        let name = match &now {
            Step::Import(_) => "import",
            Step::Part(_) => "part",
            Step::Note(_) => "note",
            Step::Prune(..) => "prune",
            Step::Trim => "trim",
        };
        *under_way.entry(name).or_default() += 1;
        let rows = check(&store, &model, now, &at);
        let (kept, _) = notes(&store);
        drop(store);
        let copied = dir.path().join("harmed");
        copy(&case, &copied);
        if let Some(done) = harm(&copied, &mut random) {
            *harms.entry(done.0).or_default() += 1;
            let repaired = dir.path().join("repaired");
            copy(&copied, &repaired);
            let what = format!("seed {seed} round {round}: {:?} {} at {}", done.0, done.1.display(), done.2);
            repairs += repair::check(&repaired, &rows, &mut random, &what);
            fs::remove_dir_all(&repaired).unwrap();
            check_harm(&copied, &rows, &kept, &done, round);
        }
        fs::remove_dir_all(&copied).unwrap();
    }
    println!(
        "seed {seed}: {rounds} kills, under way {under_way:?}; harms {harms:?}, {repairs} repairs killed; {next} steps of the last case, {} rows",
        model.rows.len()
    );
    assert!(next > 3 || rounds % 50 < 8, "the child was too slow to test anything: {next}");
}

/// Long form only, and only where a small file system can be mounted.
#[test]
fn a_disk_that_fills_costs_nothing_that_was_acknowledged() {
    if std::env::var_os("BACKTRAIL_TORTURE_ROUNDS").is_none() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let disk = dir.path().join("disk");
    fs::create_dir(&disk).unwrap();
    for round in 0..10u64 {
        let size = format!("size={}k", 3_000 + round * 700);
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "none"]).arg(&disk).status();
        if !mounted.is_ok_and(|s| s.success()) {
            println!("no tmpfs can be mounted: the full disk was not tried");
            return;
        }
        let case = disk.join("case");
        let (mut child, lines) = child(&case, 1_000 + round, 0);
        let (mut model, mut next, mut failed) = (Model::default(), 0, String::new());
        for line in lines {
            if let Some(n) = line.strip_prefix("done ").and_then(|n| n.parse::<u64>().ok()) {
                model.apply(step(1_000 + round, n));
                next = n + 1;
            } else if line.starts_with("failed") {
                failed = line;
            }
        }
        child.wait().unwrap();
        let moved = dir.path().join(format!("moved-{round}"));
        copy(&case, &moved);
        assert!(Command::new("umount").arg(&disk).status().unwrap().success());
        assert!(failed.contains("space") || failed.contains("full"), "round {round}, step {next}: {failed}");
        let store = open(&moved);
        check(&store, &model, step(1_000 + round, next), &format!("full disk {round}, step {next}"));
        println!("full after {next} steps, {} rows: {failed}", model.rows.len());
    }
}
