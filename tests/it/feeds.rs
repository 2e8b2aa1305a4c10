//! Feeds: compiled into the case, asked at query time by event time, gone when removed, there in a copy of the case.

use backtrail::context::feeds;
use backtrail::context::tables;
use backtrail::ingest::{self, Request, Watch};
use backtrail::model::decision::{FeedKind, FeedSettings, What, Who};
use backtrail::model::time::DAY;
use backtrail::model::{Entity, Time, field};
use backtrail::query::engine::{Cancel, Page};
use backtrail::query::known::Known;
use backtrail::query::{Engine, LocalEngine};
use backtrail::store::{OpenOptions, Reserve, Store};
use std::path::{Path, PathBuf};
use std::sync::Arc;

struct Case {
    dir: tempfile::TempDir,
    engine: LocalEngine,
}

fn open(path: &Path) -> LocalEngine {
    let options = OpenOptions { create: true, ballast: 0, reserve: Reserve { percent: 0, bytes: 0 }, ..OpenOptions::default() };
    LocalEngine::new(Store::open(path, &options).unwrap(), Box::new(Known::default()))
}

impl Case {
    fn new() -> Case {
        let dir = tempfile::tempdir().unwrap();
        let engine = open(&dir.path().join("case"));
        let line = |s: &str, d: &str| {
            format!(
                "Nov 20 08:00:00 gw kernel: DENY IN=e0 OUT=e1 SRC={s} DST={d} LEN=60 TOS=0x00 PREC=0x00 TTL=63 ID=1 DF PROTO=TCP SPT=4000 DPT=443 WINDOW=1 RES=0x00 SYN URGP=0\n"
            )
        };
        let log = [("10.0.0.5", "192.0.2.9"), ("10.0.0.5", "198.51.100.7"), ("192.0.2.200", "10.0.0.6")].map(|(s, d)| line(s, d));
        let case = Case { dir, engine };
        let path = case.write("fw.log", &log.concat());
        let request = Request { paths: vec![path], year: Some(2026), ..Request::default() };
        let watch = Watch { stop: Arc::new(|| false), progress: &|_| (), now: Time::parse("2026-11-20T12:00:00Z").unwrap() };
        ingest::ingest(case.engine.store(), &request, &watch).unwrap();
        case
    }
    fn path(&self) -> PathBuf {
        self.dir.path().join("case")
    }
    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
    fn add(&self, name: &str, text: &str, kind: FeedKind, half_life: Option<i64>) {
        let path = self.write(name, text);
        let compiled = feeds::compile(&self.path(), &path, None).unwrap();
        let settings = FeedSettings { kind, half_life, confidence: Some(80), ..FeedSettings::default() };
        let what = What::Feed {
            name: name.into(),
            sha256: compiled.about.sha256.clone(),
            path: path.display().to_string(),
            settings,
            format: compiled.about.format.clone(),
            entries: compiled.about.entries,
        };
        self.engine.store().journal().append(what, Who::default()).unwrap();
    }
    fn count(&self, query: &str) -> u64 {
        let question = self.engine.compile(query).unwrap();
        self.engine.counts(&[question], u64::MAX, &Cancel::default()).unwrap()[0].n
    }
    fn said(&self, entity: &str, at: Option<Time>) -> Vec<String> {
        let entity = Entity::recognise(entity).unwrap();
        let facts = self.engine.facts(&entity, at, &Cancel::default()).unwrap();
        facts.iter().map(|f| format!("{}: {}", f.label, f.text)).collect()
    }
}

#[test]
fn countries_and_systems_are_conditions_columns_and_groups() {
    let case = Case::new();
    assert!(case.engine.compile("dst.country = DE").unwrap_err().to_string().contains("registration feed"));
    let rir = "2|ripencc|1763596799|2|19830705|20251119|+0100\nripencc|DE|ipv4|192.0.2.0|128|20110203|allocated|x\nripencc|NL|ipv4|192.0.2.128|128|20110204|allocated|y\nripencc|FR|ipv4|198.51.100.0|256|20110204|allocated|z\nripencc||ipv4|203.0.113.0|128||available|\n";
    case.add("rir", rir, FeedKind::Registration, None);
    case.add("pfx", "192.0.2.0\t24\t64500\n198.51.100.0\t24\t64501\n", FeedKind::Registration, None);
    assert_eq!(case.count("dst.country = de"), 1);
    assert_eq!((case.count("country = NL"), case.count("src.country = NL"), case.count("dst.country = NL")), (1, 1, 0));
    assert_eq!((case.count("as = 64500"), case.count("dst.as in {64500, 64501}")), (2, 2));
    assert_eq!((case.count("not country = DE"), case.count("exists dst.country"), case.count("dst.as > 64500")), (2, 2, 1));
    let table = case.engine.table(&case.engine.compile("kind = fw | count by country, as").unwrap(), &Cancel::default());
    let rows: Vec<String> = table
        .unwrap()
        .rows
        .iter()
        .map(|r| r.iter().map(|v| v.as_ref().map_or("-".into(), ToString::to_string)).collect::<Vec<_>>().join(" "))
        .collect();
    let mut sorted = rows.clone();
    sorted.sort();
    assert_eq!(sorted, ["DE 64500 1", "FR 64501 1", "NL 64500 1"]);
    let mut shown = Vec::new();
    let page = Page { limit: 10, ascending: true, after: None };
    case.engine
        .select(&case.engine.compile("dst.ip = 192.0.2.9").unwrap(), &page, &Cancel::default(), &mut |r| {
            shown.push((r.value(field::DST_COUNTRY).map(|v| v.to_string()), r.value(field::SRC_COUNTRY)));
            true
        })
        .unwrap();
    assert_eq!(shown, [(Some("DE".to_owned()), None)]);
    assert!(case.said("192.0.2.9", None).contains(&"registered: DE, AS64500, ripencc since 2011-02-03".to_owned()));
    // Given to nobody, as the registry states; what no line is about may be another registry's.
    let nobodys = |addr: &str| case.said(addr, None).iter().any(|f| f.starts_with("registered: to nobody"));
    assert_eq!(case.said("203.0.113.1", None)[0], "reputation: 20 of 100, on no list");
    assert_eq!((nobodys("203.0.113.1"), nobodys("203.0.113.200"), nobodys("192.0.2.9")), (true, false, false));
}

#[test]
fn a_score_is_that_of_the_time_and_is_kept_low_by_an_allow_list() {
    let case = Case::new();
    case.add("bad.txt", "198.51.100.0/24\nevil.example\n# x\n", FeedKind::Indicators, Some(7 * DAY));
    let listed = std::fs::metadata(case.dir.path().join("bad.txt")).unwrap().modified().unwrap();
    let listed = Time(listed.duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as i64);
    let first = |at: i64| case.said("www.evil.example", Some(listed.plus(at)))[0].clone();
    // 0.8 · 0.7, and half of that a week later.
    assert_eq!(
        (first(0).as_str(), first(7 * DAY).as_str()),
        ("reputation: 56 of 100, on 1 list", "reputation: 28 of 100, on 1 list")
    );
    assert_eq!(first(7 * DAY), first(7 * DAY), "the same question has the same answer");
    let said = case.said("198.51.100.7", Some(listed));
    assert_eq!(said[0], "reputation: 64 of 100, on 1 list");
    assert_eq!(said[1], "listed: bad.txt: its network 198.51.100.0/24, counts 0.64");
    case.add("good.txt", "198.51.100.7\n198.51.100.8\n", FeedKind::Allow, None);
    let said = case.said("198.51.100.7", Some(listed));
    assert_eq!(said[0], "reputation: 30 of 100, on 1 list");
    assert!(said.contains(&"allowed: on good.txt: the address 198.51.100.7: the score is kept at 30".to_owned()), "{said:?}");
}

#[test]
fn a_copy_of_the_case_has_its_feeds_and_what_is_removed_is_gone() {
    let case = Case::new();
    case.add("bad.txt", "evil.example\nother.example\n", FeedKind::Indicators, Some(0));
    std::fs::remove_file(case.dir.path().join("bad.txt")).unwrap();
    let copy = case.dir.path().join("copy");
    let table = std::fs::read_dir(tables::folder(&case.path())).unwrap().next().unwrap().unwrap().path();
    std::fs::create_dir_all(copy.join("context")).unwrap();
    for name in ["case.toml", "journal.log"] {
        std::fs::copy(case.path().join(name), copy.join(name)).unwrap();
    }
    std::fs::copy(&table, copy.join("context").join(table.file_name().unwrap())).unwrap();
    let entity = Entity::recognise("evil.example").unwrap();
    let facts = open(&copy).facts(&entity, None, &Cancel::default()).unwrap();
    assert_eq!(facts[0].text, "80 of 100, on 1 list");
    let gone = What::Feed {
        name: "bad.txt".into(),
        sha256: String::new(),
        path: String::new(),
        settings: FeedSettings::default(),
        format: String::new(),
        entries: 0,
    };
    case.engine.store().journal().append(gone, Who::default()).unwrap();
    assert_eq!(feeds::tidy(&case.path(), &case.engine.store().journal().decisions()), 1);
    assert!(case.said("evil.example", None).is_empty() && !table.exists());
    // A table that is lost is said, not passed over.
    std::fs::remove_dir_all(copy.join("context")).unwrap();
    let facts = open(&copy).facts(&entity, None, &Cancel::default()).unwrap();
    assert!(facts[0].text.contains("bad.txt is not there"), "{facts:?}");
}

#[test]
fn what_is_no_list_is_refused() {
    let case = Case::new();
    for (name, text) in [
        ("letter", "Dear reader,\nthis is a letter.\n"),
        ("log", "Nov 20 08:00:00 h sshd[1]: Failed password for x from 192.0.2.1 port 1 ssh2\n"),
    ] {
        let path = case.write(name, text);
        assert!(feeds::compile(&case.path(), &path, None).is_err(), "{name}");
    }
    assert!(!tables::folder(&case.path()).exists() || std::fs::read_dir(tables::folder(&case.path())).unwrap().next().is_none());
}
