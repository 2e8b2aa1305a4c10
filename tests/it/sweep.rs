//! Sweeps: what a report says is looked for in the story, and what the answer says of what is not there.

use crate::story::Case;
use backtrail::formats::indicators::extract;
use backtrail::model::decision::What;
use backtrail::model::indicator::How;
use backtrail::model::{Time, Window};
use backtrail::query::engine::Cancel;
use backtrail::query::sweep::{Answer, Swept, sweep};
use backtrail::query::{Engine, watch};
use std::path::PathBuf;
use std::sync::LazyLock;

/// A report as such are written: of what is in the story, and of what is not.
const REPORT: &str = "Parcel lure campaign, version 1.2.3.4 of the kit\n\
    It serves hxxp://files.parcel-notice[.]example/dl/Invoice_7731.exe under parcel-notice[.]example, with the SHA-256\n\
    bae76f78e3b591b1123775dda65546ac9de953b0461eb948616a15a4b09fe790; control is evil[.]example at 203.0.113[.]9:443 with the\n\
    JA3 1a7c9191e9a1e7d39444f8a8484b0600 and JA4 t12d130700_695b9cdc3781_054019f90316, see https://blog.example.org/ for more of it.\n\
    Not here: nowhere[.]test, 192.0.2.251, 00112233445566778899aabbccddeeff, CVE-2026-99999 and one[at]nowhere[.]test in mails\n";

fn swept(case: &Case, text: &str) -> Answer {
    sweep(&case.engine, extract(text, false).indicators, Window::ALL, &Cancel::default()).unwrap()
}

fn row<'a>(answer: &'a Answer, text: &str) -> &'a Swept {
    answer.rows.iter().find(|r| r.indicator.text == text).unwrap_or_else(|| panic!("{text} was not taken"))
}

struct Story {
    case: Case,
    answer: Answer,
}

static STORY: LazyLock<Story> = LazyLock::new(|| {
    let case = Case::of(&["eve.json.gz", "inside.pcapng", "zeek", "scan.nessus", "reputation"]);
    let answer = swept(&case, REPORT);
    Story { case, answer }
});

#[test]
fn what_the_story_tells_is_found_with_first_last_and_hosts() {
    let answer = &STORY.answer;
    let seen = answer.rows.iter().filter(|r| r.is_seen()).count();
    assert_eq!((answer.rows.len(), seen), (12, 7));
    let hash = row(answer, "bae76f78e3b591b1123775dda65546ac9de953b0461eb948616a15a4b09fe790");
    let best = hash.best().unwrap();
    assert_eq!(best.hosts[0].to_string(), "10.8.21.5");
    assert!(best.first.rfc3339().starts_with("2026-11-17T08:03:41"));
    assert_eq!(hash.listed(), 1);
    // The truth counts 967 beacons; the last is of 16:39:56 on the 20th.
    let control = row(answer, "203.0.113.9");
    let beacons = STORY.case.count("kind = flow and src.ip = 10.8.21.5 and dst.ip = 203.0.113.9");
    assert_eq!(beacons, 967);
    assert!(control.hits() > beacons);
    assert!(control.best().unwrap().last.rfc3339().starts_with("2026-11-20T16:"));
    let url = row(answer, "http://files.parcel-notice.example/dl/Invoice_7731.exe");
    assert!(url.hits() > 0 && url.site() > 0);
    let lure = row(answer, "parcel-notice.example");
    assert_eq!(lure.hits(), 0);
    assert!(lure.below() > 0 && lure.is_seen());
}

#[test]
fn the_question_of_a_row_selects_what_the_row_counts() {
    for row in STORY.answer.rows.iter().filter(|r| r.best().is_some()) {
        for sighting in row.found.iter().filter(|s| matches!(s.how, How::Hit | How::Below)) {
            let text = backtrail::query::sweep::query(&row.indicator, sighting.how);
            let found = STORY.case.count(&text);
            if sighting.how == row.best().unwrap().how {
                assert_eq!(found, sighting.records + row.reached, "{text}");
            } else {
                // What is below a name takes the name itself along.
                assert!(found >= sighting.records, "{text}: {found}, {} counted", sighting.records);
            }
        }
    }
    // Flows that carry no name are reached by the name that their client was told the address for.
    assert!(row(&STORY.answer, "evil.example").reached > 900);
}

#[test]
fn per_source_counts_are_those_of_the_source() {
    let best = row(&STORY.answer, "1a7c9191e9a1e7d39444f8a8484b0600").best().unwrap();
    for (source, n) in &best.sources {
        let name = STORY.case.engine.source_name(*source);
        let query = format!("ja3 = 1a7c9191e9a1e7d39444f8a8484b0600 and source = \"{name}\"");
        assert_eq!(STORY.case.count(&query), *n, "{name}");
    }
    assert!(best.sources.len() > 1);
}

#[test]
fn what_is_not_there_says_who_could_have_seen_it() {
    let answer = &STORY.answer;
    for (text, sources) in [("nowhere.test", true), ("192.0.2.251", true), ("CVE-2026-99999", true), ("one@nowhere.test", true)] {
        let row = row(answer, text);
        let cover = &answer.covers[&row.indicator.kind];
        assert!(row.found.is_empty());
        assert_eq!(!cover.sources.is_empty(), sources, "{text}: {cover:?}");
        assert!(cover.says(row.indicator.kind).starts_with("none, and"), "{text}");
    }
    let cve = &answer.covers[&row(answer, "CVE-2026-99999").indicator.kind];
    assert!(!cve.sources.iter().any(|s| s.starts_with("pcap")), "packets know no CVE: {:?}", cve.sources);
}

#[test]
fn where_no_source_can_see_a_kind_that_is_said() {
    let case = Case::of(&["conntrack.log.gz", "inventory.csv"]);
    let answer = swept(&case, REPORT);
    let says = |text: &str| {
        let kind = row(&answer, text).indicator.kind;
        answer.covers[&kind].says(kind)
    };
    assert!(says("nowhere.test").starts_with("no source covers it: it would take DNS"), "{}", says("nowhere.test"));
    assert!(says("00112233445566778899aabbccddeeff").starts_with("no source covers it"));
    assert!(says("192.0.2.251").starts_with("none, and this source could have seen it"), "{}", says("192.0.2.251"));
    assert!(row(&answer, "203.0.113.9").hits() > 0);
}

#[test]
fn a_window_bounds_what_is_seen_and_what_could_have_been() {
    let before = Window::new(Time::parse("2026-11-10T00:00:00Z").unwrap(), Time::parse("2026-11-11T00:00:00Z").unwrap());
    let answer = sweep(&STORY.case.engine, extract(REPORT, false).indicators, before, &Cancel::default()).unwrap();
    assert!(!row(&answer, "203.0.113.9").is_seen());
    let hash = row(&answer, "00112233445566778899aabbccddeeff").indicator.kind;
    assert!(answer.covers[&hash].says(hash).starts_with("no source covers it"), "{:?}", answer.covers[&hash]);
}

#[test]
fn the_hosts_of_a_sighting_are_those_that_are_home_whatever_their_addresses() {
    let case = Case::of(&["inside.pcapng"]);
    let hosts =
        |text: &str| row(&swept(&case, text), text).best().unwrap().hosts.iter().map(|h| h.to_string()).collect::<Vec<_>>();
    let of_name = || hosts("evil.example");
    assert_eq!(of_name()[..2], ["10.8.21.5", "10.8.30.2"], "the private ranges, while nobody has said otherwise");
    // Home is a public network here: its hosts come first, and a private address is somebody else's.
    case.decide(What::Site { name: "ours".into(), networks: vec!["203.0.113.0/24".into()], zone: None });
    assert_eq!(of_name()[0], "203.0.113.9");
    assert_eq!(hosts("10.8.21.5").first().map(|h| h.starts_with("203.0.113.")), Some(true), "{:?}", hosts("10.8.21.5"));
}

#[test]
fn texts_and_community_ids_are_found_too() {
    let case = Case::of(&["inside.pcapng"]);
    let flow = case.rows("kind = flow and dst.ip = 203.0.113.9").remove(0);
    let id = backtrail::model::community_id::of_record(&flow).unwrap();
    let answer = swept(&case, &format!("{id}\n203.0.113.9\n"));
    assert_eq!(row(&answer, &id).hits(), case.count(&format!("community_id = \"{id}\"")));
    assert!(row(&answer, &id).hits() > 0);
    let case = Case::of(&["auth.log"]);
    let answer = swept(&case, "10.8.21.5\n");
    let host = row(&answer, "10.8.21.5");
    assert!(host.hits() > 0);
}

#[test]
fn a_later_import_is_checked_against_the_watch_sets() {
    let case = Case::of(&["conntrack.log.gz"]);
    let text = |t: &str| t.to_owned();
    let add = |set: &str, entries: &[&str]| What::SetAdd {
        set: set.into(),
        entries: entries.iter().map(|e| text(e)).collect(),
        reason: text("report.txt"),
        expires: None,
    };
    case.decide(add("watch-ti", &["evil.example", "nowhere.test", "203.0.113.9"]));
    case.decide(add("allow", &["10.8.21.5"]));
    let hits = |newer_than: u64| {
        let decisions = case.engine.store().journal().decisions();
        // The story is imported on the 21st by its own clock; the entry was made by that of this machine.
        let decisions: Vec<_> = decisions
            .iter()
            .cloned()
            .map(|mut d| {
                d.at = Time::parse("2026-11-20T23:59:59Z").unwrap().0;
                d
            })
            .collect();
        watch::hits(&case.engine, &decisions, newer_than, Time::parse("2026-11-22T00:00:00Z").unwrap(), &Cancel::default())
            .unwrap()
    };
    let before = case.engine.sequence();
    case.ingest(&[crate::story::story("eve.json.gz")]);
    let found = hits(before);
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].set.as_str(), found[0].seen.len(), &found[0].sources), ("watch-ti", 2, &vec![text("eve")]));
    assert!(found[0].line().starts_with("2 indicators of watch-ti seen "), "{}", found[0].line());
    assert!(hits(case.engine.sequence()).is_empty(), "nothing came in since");
}

#[test]
fn the_command_prints_rows_keeps_watches_and_says_what_is_empty() {
    let dir = tempfile::tempdir().unwrap();
    let report: PathBuf = dir.path().join("report.txt");
    std::fs::write(&report, REPORT).unwrap();
    let at = dir.path().join("case");
    let run = |args: &[&str]| {
        let out = std::process::Command::new(env!("CARGO_BIN_EXE_backtrail")).arg("--case").arg(&at).args(args).output().unwrap();
        let text = |b: &[u8]| String::from_utf8(b.to_vec()).unwrap();
        (out.status.code().unwrap(), text(&out.stdout), text(&out.stderr))
    };
    let path = report.to_str().unwrap();
    assert_eq!(run(&["ingest", crate::story::story("conntrack.log.gz").to_str().unwrap()]).0, 0);
    let (code, out, err) = run(&["sweep", path, "-o", "jsonl", "--watch=ti"]);
    assert_eq!(code, 0);
    let rows: Vec<serde_json::Value> = out.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert!(rows.iter().all(|r| r["schema"] == "backtrail.sweep/1"));
    assert_eq!((rows.len(), rows[0]["indicator"].as_str()), (12, Some("203.0.113.9")));
    assert!(err.contains("12 indicators are watched as watch-ti"), "{err}");
    let (code, _, err) = run(&["ingest", crate::story::story("eve.json.gz").to_str().unwrap()]);
    assert_eq!(code, 0);
    assert!(err.contains("watch: ") && err.contains(" of watch-ti seen "), "{err}");
    assert!(run(&["sweep"]).1.contains("of watch-ti seen"));
    std::fs::write(&report, "nothing in here but words\n").unwrap();
    let (code, _, err) = run(&["sweep", path]);
    assert_eq!(code, 0);
    assert!(err.contains("no indicator was found"), "{err}");
}
