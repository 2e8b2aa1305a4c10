//! Home, sites and the direction of records: on the screen by keys, and over the story against what it says happened.

use crate::screens::Bench;
use crate::screens::{LARGE, SMALL};
use crate::story::Case;
use backtrail::case::Keeper;
use backtrail::case::home::{Asking, Section, Which, first_window, section};
use backtrail::model::decision::What;
use backtrail::model::{Record, field as f};
use backtrail::query::Engine;
use backtrail::query::engine::Cancel;

#[test]
fn every_line_of_home_can_be_entered_and_backspace_finds_it_as_it_was() {
    for size in [SMALL, LARGE] {
        let mut bench = Bench::home(size);
        let mut led = 0;
        for script in ["", "<down>", "<tab> <down>", "<tab>", "<tab> <down>", "<tab> <tab>", "<down>"] {
            let here = bench.keys(script);
            let there = bench.keys("<enter>");
            assert_ne!(here, there, "{script}");
            // A prompt or a pane over it is closed, a node is left.
            let is_node = there.contains("Flows");
            led += usize::from(is_node);
            assert_eq!(bench.keys(if is_node { "<backspace>" } else { "<esc>" }), here, "{script}");
        }
        assert!(led >= 4, "{led} lines led to records");
    }
}

#[test]
fn zero_goes_home_from_everywhere_and_backspace_returns() {
    let mut bench = Bench::home(LARGE);
    let home = bench.keys("<tab> <tab>");
    assert_eq!(bench.keys("2 0"), home, "the beginning of the trail is home itself");
    let host = bench.keys("2 <enter>");
    let again = bench.keys("0");
    assert!(again.contains("needs a decision"), "{again}");
    assert_eq!(bench.keys("<backspace>"), host);
    assert!(bench.keys("s 0").contains("needs a decision"));
}

#[test]
fn a_value_of_home_can_be_pivoted_on_and_a_section_shown_alone() {
    let mut bench = Bench::home(LARGE);
    let menu = bench.keys("l p");
    assert!(menu.contains("203.0.113.9"), "{menu}");
    let alone = bench.keys("<esc> z");
    assert!(alone.contains("signature") && !alone.contains("top talkers"), "{alone}");
    assert!(bench.keys("<esc>").contains("top talkers"));
}

#[test]
fn home_networks_are_confirmed_by_enter_and_changed_by_typing() {
    let mut bench = Bench::home(LARGE);
    let asked = bench.keys("<tab> <enter>");
    assert!(asked.contains("home 10.8.20.0/23 198.51.100.2/32"), "{asked}");
    bench.keys("<space> zone=+01:00 <enter>");
    let kept = bench.keeper.decisions();
    let site = kept.iter().find_map(|d| match &d.what {
        What::Site { name, networks, zone } => Some((name.clone(), networks.len(), zone.clone())),
        _ => None,
    });
    assert_eq!(site, Some(("home".into(), 2, Some("+01:00".into()))));
    let wrong = bench.keys(": site <space> home <space> 10.8.0.0/99 <enter>");
    assert!(wrong.contains("no network"), "{wrong}");
    let typed = Bench::home(LARGE).keys(": site <space> lab <space> 10.9.0.0/16 <enter>");
    assert!(typed.contains("site lab: 1 network"), "{typed}");
}

fn made(case: &Case, which: Which) -> Section {
    let (decisions, cancel) = (case.engine.store().journal().decisions(), Cancel::default());
    let window = first_window(&case.engine).or_else(|| case.engine.span()).unwrap();
    section(
        which,
        &Asking {
            engine: &case.engine,
            dir: std::path::Path::new("/nonexistent"),
            decisions: &decisions,
            window,
            scope: "",
            cancel: &cancel,
        },
    )
    .unwrap()
}

fn shown(section: &Section) -> Vec<String> {
    section.lines.iter().map(|l| l.cells.iter().map(|c| c.show(&|t| t.rfc3339())).collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn home_of_the_story_says_what_is_there_what_is_odd_and_where_to_begin() {
    let case = Case::of(&["eve.json.gz", "inside.pcapng", "gateway-kern.log", "reputation"]);
    let alerts = made(&case, Which::Alerts);
    let lines = shown(&alerts);
    assert!(lines[0].starts_with("high ET WEB_SERVER Possible SQL Injection"), "{lines:?}");
    assert!(lines.iter().any(|l| l.contains("ET MALWARE Beacon") && l.contains("203.0.113.9 10.8.21.5 0/10")), "{lines:?}");
    assert!(alerts.note.contains("95 of 95 not reviewed"), "{}", alerts.note);
    let names = shown(&made(&case, Which::Names));
    assert!(names.iter().take(2).any(|l| l.starts_with("files.parcel-notice.example listed")), "{names:?}");
    let decide = shown(&made(&case, Which::Decide)).join("\n");
    assert!(decide.contains("home networks are a guess 10.8.") && decide.contains("zone of gw1 UTC assumed"), "{decide}");
    assert!(!decide.contains("no alerts"), "{decide}");
    let talkers = shown(&made(&case, Which::Talkers));
    assert!(talkers[0].starts_with("10.8.") && talkers[0].contains("home"), "{talkers:?}");
    assert_eq!(made(&case, Which::Sources).total, case.engine.sources().len());
    // A verdict on a signature is counted from the next question on.
    let about = backtrail::model::decision::About::Query("signature = \"ET SCAN Sqlmap SQL Injection Scan\"".into());
    let judgement = backtrail::model::decision::Judgement::Malicious;
    case.decide(What::Verdict { about, judgement, reason: String::new(), expires: None });
    assert!(made(&case, Which::Alerts).note.contains("69 of 95 not reviewed"));
}

#[test]
fn the_direction_is_asked_counted_and_shown_by_the_home_networks_of_the_moment() {
    let case = Case::of(&["inside.pcapng"]);
    let count = |text: &str| {
        let question = case.engine.compile(text).unwrap();
        case.engine.counts(&[question], u64::MAX, &Cancel::default()).unwrap()[0].n
    };
    let all = count("kind = flow");
    let by = |word: &str| count(&format!("kind = flow and direction = {word}"));
    let before: Vec<u64> = ["in", "out", "internal", "external"].into_iter().map(by).collect();
    assert_eq!(before.iter().sum::<u64>(), all);
    assert!(before[1] > 0 && before[2] > 0 && before[3] == 0, "{before:?}");
    assert_eq!(count("kind = flow and direction != out"), all - before[1]);
    assert_eq!(count("kind = flow and direction in {in, out}"), before[0] + before[1]);
    let table = case.engine.table(&case.engine.compile("kind = flow | count by direction").unwrap(), &Cancel::default()).unwrap();
    let told =
        |word: &str| table.rows.iter().find(|r| r[0].as_ref().is_some_and(|v| v.to_string() == word)).map(|r| r[1].clone());
    assert_eq!(told("out"), Some(Some(before[1].into())));
    let word = |r: &Record| r.value(f::DIRECTION).map(|v| v.to_string());
    assert!(case.rows("kind = flow and direction = out").iter().all(|r| word(r).as_deref() == Some("out")));
    // Home is only what was confirmed: the rest of the inside is foreign now, and `@home` says the same.
    case.decide(What::Site { name: "clients".into(), networks: vec!["10.8.21.0/24".into()], zone: None });
    assert!(by("internal") < before[2] && by("external") > 0);
    assert_eq!(
        by("out"),
        count("kind = flow and src.ip in @home and exists dst.ip and not dst.ip in {10.8.21.0/24, 224.0.0.0/4, 255.255.255.255}")
    );
    case.decide(What::Site { name: "clients".into(), networks: Vec::new(), zone: None });
    assert_eq!(by("internal"), before[2]);
    let question = case.engine.compile("not direction = out | count by direction").unwrap();
    assert_eq!(case.engine.compile(&question.text).unwrap().text, question.text);
}

#[test]
fn what_a_source_states_of_the_direction_never_takes_the_place_of_the_computed_one() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![root.join("formats"), root.join("protocols")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()) {
            if entry.is_dir() {
                folders.push(entry);
                continue;
            }
            let text = std::fs::read_to_string(&entry).unwrap().replace("DIRECTION_STATED", "");
            assert!(!text.contains("field::DIRECTION"), "{}: direction.stated is what a source says", entry.display());
        }
    }
}
