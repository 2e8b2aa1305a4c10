//! Leads: entered here and through the socket, in the report in every form, on the screen, from the command line; and the trail asked again.

use crate::screens::{Bench, LARGE, SMALL};
use crate::story::{Case, story};
use backtrail::case::leads::{self, told};
use backtrail::case::replay::{Difference, Now, difference, in_words, replay};
use backtrail::case::report::{gather, html, json, markdown};
use backtrail::case::trail::tree;
use backtrail::case::{Keeper, LocalKeeper};
use backtrail::model::decision::{Ground, LeadChange, LeadState, What};
use backtrail::model::{Cancel, Time};
use backtrail::query::Engine;
use backtrail::service::RemoteKeeper;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const ALERTS: &str = "kind = alert";

fn open(text: &str, supports: Vec<Ground>) -> What {
    What::Lead(LeadChange { text: Some(text.into()), supports, ..LeadChange::default() })
}

#[test]
fn a_lead_entered_through_the_socket_is_known_here_and_what_bears_on_it_is_counted() {
    let case = Case::of(&["eve.json.gz"]);
    let here = LocalKeeper::new(case.engine.store().clone());
    let there = RemoteKeeper::new(case.engine.client.clone());
    let id = there.append(open("<i>who else?</i>", vec![Ground::Query(ALERTS.into())])).unwrap().sequence;
    here.append(What::Lead(LeadChange { of: Some(id), contradicts: vec![Ground::Bookmark(9)], ..LeadChange::default() }))
        .unwrap();
    there.append(leads::end(id, LeadState::Answered, "nobody").unwrap()).unwrap();
    assert_eq!(here.decisions(), there.decisions());
    let decisions = here.decisions();
    // Both engines are asked, and answer the same.
    let all = told(&decisions, &case.engine, &Cancel::default()).unwrap();
    assert_eq!((all.len(), all[0].lead.state, all[0].lead.reason.as_str()), (1, LeadState::Answered, "nobody"));
    assert_eq!(all[0].supports[0].rows, Some(case.count(ALERTS)));
    assert_eq!((all[0].contradicts[0].words.as_str(), all[0].contradicts[0].rows), ("bookmark 9, which was taken back", None));
    let report = gather("c", &decisions, &case.engine, &Cancel::default()).unwrap();
    let text = markdown::write(&report, &case.engine);
    let counted = format!("supported by `{ALERTS}` ({} rows now)", case.count(ALERTS));
    assert!(text.contains("## Leads") && text.contains("\\<i\\>who else?") && text.contains(&counted), "{text}");
    let page = html::write(&report, &case.engine);
    assert!(page.contains("&lt;i&gt;who else?") && !page.contains("<i>who"), "{page}");
    let object = json::write(&report, &case.engine);
    assert_eq!((&object["leads"][0]["state"], &object["leads"][0]["reason"]), (&"answered".into(), &"nobody".into()));
    // Taken back, its end is none.
    let end = decisions.last().unwrap().sequence;
    there.append(What::Remove { id: end }).unwrap();
    assert!(leads::leads(&here.decisions())[0].is_open());
}

#[test]
fn the_trail_asked_again_after_another_import_says_what_came_step_by_step() {
    let case = Case::of(&["eve.json.gz"]);
    let step = |parent, label: &str, query: &str, lens: &str, rows| What::Trail {
        parent,
        label: label.into(),
        query: query.into(),
        lens: lens.into(),
        focus: String::new(),
        window: String::new(),
        rows,
        seen: Some(case.engine.sequence()),
    };
    let alerts = case.count(ALERTS);
    let requests = "kind = http and source != \"eve\"";
    case.decide(step(None, "case", "", "home", 0));
    case.decide(step(Some(1), "alerts", ALERTS, "alerts", alerts));
    case.decide(step(Some(1), "requests", requests, "logs", case.count(requests)));
    case.decide(step(Some(3), "gone", "nosuchfield = 1", "all", 3));
    case.decide(step(Some(3), "one more than there was", ALERTS, "alerts", alerts + 1));
    let again = |case: &Case| {
        let nodes = tree(&case.engine.store().journal().decisions());
        let mut out = Vec::new();
        let tally = replay(&nodes, &case.engine, &Cancel::default(), &mut |at, now| {
            let node = &nodes[at];
            out.push((node.label.clone(), in_words(node, now, &|_| "then".into()), difference(node, now), now.clone()));
            true
        })
        .unwrap();
        (out, tally.in_words())
    };
    let (before, said) = again(&case);
    assert_eq!(said, "4 steps asked again: 1 changed, 2 as they were, 1 could not be asked");
    assert_eq!((before[0].1.as_str(), before[0].2), ("", Difference::None));
    assert!(before[3].1.starts_with("could not be asked: "), "{:?}", before[3]);
    assert_eq!(before[4].1, "-1 row since then");
    case.ingest(&[story("www-access.log")]);
    let (after, said) = again(&case);
    assert_eq!(said, "4 steps asked again: 2 changed, 1 as they were, 1 could not be asked");
    let came = case.count(requests);
    assert!(came > 100);
    assert_eq!(after[2].1, format!("+{came} rows since then"));
    assert_eq!(after[2].3, Now::Rows { n: came, at_least: false, new: Some(came) });
    assert_eq!((after[1].1.as_str(), after[1].2), ("as it was", Difference::Same));
    // Whoever gives it up gets what there was till then.
    let nodes = tree(&case.engine.store().journal().decisions());
    let cancel = Cancel::default();
    let mut seen = 0;
    let ended = replay(&nodes, &case.engine, &cancel, &mut |_, _| {
        seen += 1;
        cancel.cancel();
        true
    });
    assert!(seen == 1 && ended.is_err_and(|e| e.kind == backtrail::error::ErrorKind::Cancelled));
}

/// What was entered last, walking aside.
fn last(bench: &Bench) -> What {
    let all = bench.keeper.decisions();
    all.iter().rev().find(|d| !matches!(d.what, What::Trail { .. })).unwrap().what.clone()
}

#[test]
fn leads_are_opened_anywhere_changed_on_the_case_screen_and_taken_back() {
    let mut bench = Bench::home(LARGE);
    let said = bench.keys("1 Q who <space> else <space> called? <enter>");
    assert!(said.contains("lead opened: who else called?"), "{said}");
    let id = bench.keeper.decisions().last().unwrap().sequence;
    // What one looks at supports it: the question is offered.
    let offered = bench.keys(&format!(": lead_for <space> {id} <enter>"));
    assert!(offered.contains("what supports it") && offered.contains("kind in {alert, notice}"), "{offered}");
    bench.keys("<enter>");
    let What::Lead(LeadChange { of: Some(of), supports, .. }) = last(&bench) else { panic!("{:?}", last(&bench)) };
    assert_eq!((of, supports), (id, vec![Ground::Query("kind in {alert, notice}".into())]));
    let screen = bench.keys("c");
    assert!(screen.contains("leads 1") && screen.contains("who else called?"), "{screen}");
    assert!(screen.contains("+ kind in {alert, notice}") && screen.contains("open question"), "{screen}");
    insta::assert_snapshot!("leads_120x40", bench.keys("e n ask <space> bo <enter> e o bo <enter>"));
    assert!(bench.keys("e s <enter>").contains("for a reason"), "nobody ends a lead without saying why");
    // What was typed stays.
    let ended = bench.keys("it <space> was <space> nobody <enter>");
    assert!(ended.contains("answered question: it was nobody"), "{ended}");
    let back = bench.keys("u");
    assert!(back.contains("taken back: that lead") && back.contains("open question"), "{back}");
    // Enter goes to what bears on it; home says that it is open.
    let there = bench.keys("<enter>");
    assert!(there.contains("1 Alerts 3"), "{there}");
    assert!(bench.keys("0").contains(&format!("lead {id}: who else called?")));
    // Without a number a command lists the leads.
    let menu = bench.keys("1 : lead_against <enter>");
    assert!(menu.contains("which lead") && menu.contains("who else called?"), "{menu}");
    let wrong = bench.keys("<enter> <ctrl-u> bookmark <space> 99 <enter>");
    assert!(wrong.contains("there is no bookmark 99"), "{wrong}");
    let mut small = Bench::home(SMALL);
    small.keys("Q it <space> was <space> the <space> printer <enter>");
    insta::assert_snapshot!("leads_80x24", small.keys("c"));
    assert!(small.keys("e f").contains("what supports it"));
}

#[test]
fn the_trail_is_asked_again_on_its_screen_and_a_branch_is_taken_off() {
    let mut bench = Bench::home(LARGE);
    bench.keys("2 <enter> <backspace> 1 <enter>");
    let screen = bench.keys("t E");
    assert!(screen.contains("as it was") && screen.contains("as they were"), "{screen}");
    let steps = |bench: &Bench| tree(&bench.keeper.decisions()).len();
    let before = steps(&bench);
    let held = bench.keys("D y <enter>");
    assert!(held.contains("this is where you stand") && steps(&bench) == before, "{held}");
    // The branch that was left: its first step is above.
    let asked = bench.keys("<home> <down> D");
    assert!(asked.contains("off the trail?"), "{asked}");
    let off = bench.keys("y <enter>");
    assert!(off.contains("off the trail; the journal keeps it"), "{off}");
    assert!(steps(&bench) < before);
}

const PROGRAM: &str = env!("CARGO_BIN_EXE_backtrail");

fn program(home: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(PROGRAM);
    for name in ["BACKTRAIL_CASE", "BACKTRAIL_WAIT", "SSH_CONNECTION", "SSH_CLIENT", "XDG_CONFIG_HOME", "XDG_DATA_HOME"] {
        command.env_remove(name);
    }
    command.env("HOME", home).env("TMPDIR", home).env("BACKTRAIL_USER", "ana").env("TERM", "dumb").current_dir(home);
    command.args(["--case", "case"]).args(args).stdin(Stdio::null()).output().unwrap()
}

#[test]
fn leads_and_the_trail_from_the_command_line() {
    let home = tempfile::tempdir().unwrap();
    let ok = |args: &[&str]| {
        let output = program(home.path(), args);
        assert!(output.status.success(), "{args:?} {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    ok(&["ingest", &story("www-access.log").display().to_string()]);
    assert_eq!(ok(&["lead", "add", "the printer did it", "--for", "kind = http", "--next", "ask"]), "lead 2 opened\n");
    ok(&["lead", "set", "2", "--owner", "bo", "--against", "kind = http"]);
    let listed = ok(&["lead", "list", "--json"]);
    let lead: serde_json::Value = serde_json::from_str(listed.trim()).unwrap();
    assert_eq!((&lead["kind"], &lead["owner"], &lead["next"]), (&"hypothesis".into(), &"bo".into(), &"ask".into()));
    assert_eq!((lead["supports"].as_array().unwrap().len(), &lead["contradicts"][0]["ground"]), (0, &"kind = http".into()));
    assert!(lead["contradicts"][0]["rows.now"].as_u64().unwrap() > 100);
    ok(&["lead", "set", "2", "--withdraw", "kind = http"]);
    for (args, why) in [
        (&["lead", "close", "2", "won", "--reason", "x"][..], "no lead ends won"),
        (&["lead", "close", "9", "dropped", "--reason", "x"], "there is no lead 9"),
        (&["lead", "close", "2", "dropped", "--reason", " "], "for a reason"),
        (&["lead", "set", "2", "--for", "verdict 7"], "there is no verdict 7"),
        (&["lead", "set", "2", "--for", "no.such = 7"], "no.such"),
        (&["lead", "set", "2"], "nothing says what is to change"),
        (&["trail", "--prune", "7"], "no step 7"),
    ] {
        let refused = program(home.path(), args);
        assert!(!refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains(why), "{args:?} {refused:?}");
    }
    ok(&["lead", "close", "2", "dropped", "--reason", "it was off"]);
    assert!(!ok(&["lead", "list"]).contains("printer"));
    assert!(ok(&["lead", "list", "--all"]).contains("dropped: it was off"));
    ok(&["lead", "set", "2", "--open"]);
    assert!(ok(&["lead", "list"]).contains("printer"));
    ok(&["lead", "remove", "2"]);
    assert!(!ok(&["lead", "list", "--all"]).contains("printer"));
    // A trail that an older program walked: what had been imported then is not known.
    let store = backtrail::store::Store::open(&home.path().join("case"), &backtrail::store::OpenOptions::default()).unwrap();
    let step = |parent| What::Trail {
        parent,
        label: "requests".into(),
        query: "kind = http".into(),
        lens: "logs".into(),
        focus: String::new(),
        window: String::new(),
        rows: 3,
        seen: None,
    };
    let first = store.journal().append_at(step(None), Default::default(), Time(0)).unwrap().sequence;
    store.journal().append_at(step(Some(first)), Default::default(), Time(0)).unwrap();
    drop(store);
    let replayed = ok(&["trail", "--replay", "--json"]);
    let row: serde_json::Value = serde_json::from_str(replayed.lines().next().unwrap()).unwrap();
    assert_eq!((&row["changed"], &row["rows"], &row["new"]), (&true.into(), &3.into(), &serde_json::Value::Null));
    assert!(row["change"].as_str().unwrap().ends_with("rows now, 3 when it was walked"), "{row}");
    assert!(ok(&["trail", "--replay"]).contains("3 when it was walked"));
    ok(&["trail", "--rename", &first.to_string(), "--label", "what was asked of it"]);
    assert!(ok(&["trail"]).contains("what was asked of it") && ok(&["trail", "--json"]).contains("what was asked of it"));
    for (args, why) in [
        (&["trail", "--rename", "99", "--label", "x"][..], "no step 99"),
        (&["trail", "--rename", &first.to_string(), "--label", " "], "called something"),
    ] {
        let refused = program(home.path(), args);
        assert!(!refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains(why), "{args:?} {refused:?}");
    }
    ok(&["trail", "--prune", &first.to_string()]);
    assert_eq!(ok(&["trail", "--json"]), "");
}
