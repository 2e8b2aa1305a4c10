//! Sets, verdicts with a scope, alerts by groups: on the story, by keys, and on forty thousand alerts.

use crate::story::{Case, story};
use backtrail::case::triage::{Groups, groups};
use backtrail::case::{Keeper, LocalKeeper};
use backtrail::context::sets;
use backtrail::model::decision::{About, Judgement, What, Who};
use backtrail::model::field as f;
use backtrail::model::source::SourceKey;
use backtrail::model::time::SECOND;
use backtrail::model::{EvidenceKey, Kind, Record, RecordId, Time, Value};
use backtrail::query::engine::{Cancel, Page};
use backtrail::query::{Engine, LocalEngine, Scope, compile};
use backtrail::store::{Begin, Done, NewEvidence, OpenOptions, Reserve, Store};
use backtrail::tui::event::InputEvent;
use backtrail::tui::key::Key;
use backtrail::tui::{App, Event, Options};
use proptest::prelude::*;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

/// A long time ago: no verdict of these tests has ended by then.
const NOW: Time = Time(1_800_000_000 * SECOND);

fn of(case: &Case) -> Groups {
    let decisions = case.engine.store().journal().decisions();
    groups(&case.engine, &decisions, NOW, None, &Cancel::default()).unwrap()
}

fn add(set: &str, entries: &[&str]) -> What {
    let entries = entries.iter().map(|e| (*e).to_owned()).collect();
    What::SetAdd { set: set.into(), entries, reason: "because".into(), expires: None }
}

fn judged(judgement: Judgement, query: &str) -> What {
    What::Verdict { about: About::Query(query.into()), judgement, reason: "r".into(), expires: None }
}

#[test]
fn the_storys_alerts_by_groups_are_those_of_its_truth_and_verdicts_take_them_off_the_list() {
    let case = Case::of(&["eve.json.gz"]);
    let truth: Json = serde_json::from_slice(&std::fs::read(story("truth.json")).unwrap()).unwrap();
    let mut by_signature: BTreeMap<String, u64> = BTreeMap::new();
    let all = of(&case);
    for g in &all.list {
        *by_signature.entry(g.signature.clone()).or_default() += g.count;
        assert_eq!(case.count(&g.query()), g.count, "{}", g.query());
    }
    let of_truth = |a: &Json| (a["signature"].as_str().unwrap().to_owned(), a["count"].as_u64().unwrap());
    assert_eq!(by_signature, truth["alerts"].as_array().unwrap().iter().map(of_truth).collect());
    assert_eq!((all.alerts, all.reviewed), (95, 0));

    // Noise of two signatures is put away with a scope: one everywhere, one at one target.
    case.decide(judged(Judgement::Benign, "kind in {alert, notice} and signature.id = 9000003"));
    let print = all.list.iter().find(|g| g.id == Some(9_000_001)).unwrap();
    case.decide(judged(Judgement::Benign, &print.query()));
    let left = of(&case);
    assert_eq!(left.reviewed, 15 + print.count);
    assert_eq!(case.count("kind = alert and not exists verdict"), left.left());
    assert_eq!(case.count("kind = alert and verdict != benign"), left.left());
    assert_eq!(case.count("verdict = benign"), left.reviewed);
    assert_eq!(case.table("kind = alert | count by verdict").len(), 2);
    // A wider `benign` does not put away what somebody called malicious, and taking it back shows it as it was.
    case.decide(judged(Judgement::Malicious, "signature.id = 9000003 and host = 10.8.21.5"));
    let bad = case.count("verdict = malicious");
    assert_eq!(case.count("verdict = benign"), left.reviewed - bad);
    let sequence = case.engine.store().journal().decisions().last().unwrap().sequence;
    case.decide(What::Remove { id: sequence });
    assert_eq!(case.count("verdict = benign"), left.reviewed);
}

#[test]
fn a_verdict_covers_what_is_imported_later_and_its_records_say_so_in_every_form() {
    let case = Case::new();
    case.decide(judged(Judgement::Suspicious, "kind in {alert, notice} and signature.id = 2028401"));
    case.ingest(&[story("eve.json.gz")]);
    let rows = case.rows("signature.id = 2028401");
    assert!(rows.len() == 10 && rows.iter().all(|r| r.text(f::VERDICT) == Some("suspicious")));
    let record = case.engine.record(rows[0].id).unwrap().unwrap();
    assert_eq!(record.text(f::VERDICT), Some("suspicious"));
    assert!(case.rows("signature.id = 9000003").iter().all(|r| r.get(f::VERDICT).is_none()));
    // One that has ended covers nothing.
    case.decide(What::Verdict {
        about: About::Query("signature.id = 9000003".into()),
        judgement: Judgement::Benign,
        reason: "r".into(),
        expires: Some(1),
    });
    assert_eq!(case.count("verdict = benign"), 0);
}

#[test]
fn sets_hold_for_addresses_networks_names_below_urls_hashes_users_services_and_signatures() {
    let case = Case::of(&["eve.json.gz"]);
    case.decide(add("mine", &["203.0.113.9:443"]));
    assert_eq!(case.count("any in @mine"), case.count("dst.ip = 203.0.113.9 and dst.port = 443"));
    assert_eq!(
        case.count("dst.ip in @mine and kind = flow"),
        case.count("kind = flow and dst.ip = 203.0.113.9 and dst.port = 443")
    );
    for (entry, same) in [
        ("203.0.113.0/24", "host = 203.0.113.0/24"),
        ("evil.example", "kind = tls and sni = evil.example"),
        ("*.evil.example", "kind = tls and sni = *.evil.example"),
        (
            "bae76f78e3b591b1123775dda65546ac9de953b0461eb948616a15a4b09fe790",
            "sha256 = bae76f78e3b591b1123775dda65546ac9de953b0461eb948616a15a4b09fe790",
        ),
        ("2028401", "signature.id = 2028401"),
        ("LOCAL INFO Team chat in TLS SNI", "signature = \"LOCAL INFO Team chat in TLS SNI\""),
    ] {
        case.decide(What::SetRemove { set: "mine".into(), entries: Vec::new() });
        case.decide(add("mine", &[entry]));
        assert!(case.count(same) > 0, "{same}");
        assert_eq!(case.count(&format!("({same}) and not any in @mine")), 0, "{entry}");
        let beyond = case.count(&format!("any in @mine and not ({same})"));
        assert!(entry.contains("example") || beyond == 0, "{entry}: {beyond} more");
    }
    // A named set wins over a file of that name; without either the nearest name is offered.
    let error = case.engine.compile("host in @mime").unwrap_err();
    assert!(error.hint.contains("mine"), "{error}");
    assert_eq!(case.count("any in @allow"), 0, "a purpose is always there");
}

#[test]
fn forty_thousand_alerts_of_sixty_signatures_with_a_hundred_verdicts_are_grouped_at_once() {
    let case = Case::new();
    let file = case.path("alerts");
    std::fs::write(&file, "x").unwrap();
    let new =
        NewEvidence { key: EvidenceKey(7), path: file.display().to_string(), size: 1, modified: Time(0), head_hash: [0; 32] };
    let Begin::Fresh(mut import) = case.engine.store().begin(&new).unwrap() else { panic!("known") };
    let source = import.source(&SourceKey { format: "suricata-eve".into(), sensor: "s".into() }, None).unwrap();
    for n in 0..40_000u64 {
        let id = RecordId { evidence: EvidenceKey(7), offset: n, ordinal: 0 };
        let mut r = Record::new(Kind::Alert, id, source, Time(n as i64 * SECOND));
        r.set(f::SRC_IP, Value::Addr([10, 0, (n % 7) as u8, (n % 199) as u8].into()));
        r.set(f::DST_IP, Value::Addr([192, 0, 2, (n % 40) as u8].into()));
        r.set(f::SIGNATURE_ID, 1_000 + n % 60);
        r.set(f::SIGNATURE, format!("rule {}", n % 60).as_str());
        r.set(f::SEVERITY, n % 4);
        import.push(r).unwrap();
    }
    import.finish(Done::default()).unwrap();
    // Sixty of signature and target, forty of signature and source: none of them alike.
    for n in 0..100u64 {
        let scope = if n < 60 { format!("host = 192.0.2.{}", n % 40) } else { format!("host = 10.0.{}.{}", n % 7, n % 199) };
        let judgement = [Judgement::Benign, Judgement::Suspicious][usize::from(n % 10 == 0)];
        case.decide(judged(judgement, &format!("kind in {{alert, notice}} and signature.id = {} and {scope}", 1_000 + n % 60)));
    }
    of(&case);
    let begun = Instant::now();
    let found = of(&case);
    let took = begun.elapsed();
    let begun = Instant::now();
    let unreviewed = case.count("kind in {alert, notice} and not exists verdict");
    println!("groups: {took:?}; counted by a query: {:?}", begun.elapsed());
    assert_eq!((found.alerts, found.list.len()), (40_000, 120));
    assert!(found.reviewed > 10_000, "{}", found.reviewed);
    assert_eq!(unreviewed, found.left());
    // Without optimisation, on a busy machine.
    assert!(took.as_secs() < 10, "{took:?}");
}

proptest! {
    #[test]
    fn a_query_with_a_set_prints_and_reads_back(name in "[a-z][a-z0-9_-]{0,12}", field in prop::sample::select(vec!["any", "host", "src.ip", "user", "sni", "signature"]), not in any::<bool>()) {
        let decisions = [backtrail::model::decision::Decision { sequence: 1, at: 0, who: Who::default(), what: add(&name, &["10.0.0.5", "*.a.example", "10.0.0.9:53/udp"]) }];
        let all = sets::sets(&decisions);
        let lookup = |name: &str| sets::members(&all, name, NOW).map(Arc::new);
        let scope = Scope { sets: &lookup, ..Scope::empty() };
        let text = format!("{}{field} in @{name} and kind = flow", if not { "not " } else { "" });
        let once = compile(&text, &scope).unwrap();
        prop_assert_eq!(&once.text, &text);
        prop_assert_eq!(compile(&once.text, &scope).unwrap().text, once.text);
    }
}

/// The workbench on a real case.
struct Bench {
    app: App,
    terminal: Terminal<TestBackend>,
    keeper: Arc<LocalKeeper>,
    _dir: tempfile::TempDir,
}

impl Bench {
    fn new(size: (u16, u16)) -> Bench {
        let dir = tempfile::tempdir().unwrap();
        let reserve = Reserve { percent: 0, bytes: 0 };
        let options = OpenOptions { create: true, ballast: 0, reserve, ..OpenOptions::default() };
        let store = Store::open(&dir.path().join("case"), &options).unwrap();
        let request = backtrail::ingest::Request { paths: vec![story("eve.json.gz")], ..Default::default() };
        let watch = backtrail::ingest::Watch { stop: Arc::new(|| false), progress: &|_| (), now: NOW };
        backtrail::ingest::ingest(&store, &request, &watch).unwrap();
        let engine = Arc::new(LocalEngine::new(store.clone(), Box::new(backtrail::query::known::Known::default())));
        let keeper = Arc::new(LocalKeeper::of(store, Who { name: "ann".into(), ..Who::default() }, "test".into()));
        let mut app = App::new(engine, keeper.clone(), Options::default()).unwrap();
        assert!(app.settle());
        let mut bench = Bench { app, terminal: Terminal::new(TestBackend::new(size.0, size.1)).unwrap(), keeper, _dir: dir };
        bench.draw();
        // A case opens at home; these tests begin on the alerts.
        bench.keys("1");
        bench
    }
    fn draw(&mut self) {
        self.terminal.draw(|frame| self.app.draw(frame)).unwrap();
    }
    /// Words apart by blanks; `<enter>` is a key by its name, anything else is typed.
    fn keys(&mut self, script: &str) -> String {
        for word in script.split_whitespace() {
            let named = word.strip_prefix('<').and_then(|w| w.strip_suffix('>')).filter(|w| !w.is_empty());
            let keys: Vec<Key> = match named {
                Some(name) => vec![Key::parse(name).unwrap()],
                None => word.chars().map(Key::char).collect(),
            };
            for key in keys {
                self.app.handle(Event::Input(InputEvent::Key(key)));
                assert!(self.app.settle());
                self.draw();
            }
        }
        let buffer = self.terminal.backend().buffer();
        let line = |y| (0..buffer.area.width).map(|x| buffer[(x, y)].symbol()).collect::<String>().trim_end().to_owned();
        (0..buffer.area.height).map(line).collect::<Vec<_>>().join("\n")
    }
}

#[test]
fn a_group_is_judged_put_away_shown_again_and_the_verdict_undone_by_one_key_each() {
    for size in [(120, 40), (80, 24)] {
        let mut bench = Bench::new(size);
        let screen = bench.keys("R");
        assert!(screen.contains("95 of 95 alerts left"), "{screen}");
        // Enter goes to the alerts of the group that stands first, and back.
        let there = bench.keys("<enter>");
        assert!(!there.contains("alerts left") && there.contains("1Alerts") || there.contains("1 Alerts"), "{there}");
        // To the group of the sqlmap scan.
        bench.keys("<backspace> R");
        let mut screen = String::new();
        for _ in 0..40 {
            screen = bench.keys("");
            let group = screen.lines().find(|l| l.starts_with('▸')).unwrap_or_default();
            if group.contains("Sqlmap") {
                break;
            }
            bench.keys("<down>");
        }
        let group = screen.lines().find(|l| l.starts_with('▸')).unwrap_or_default();
        assert!(group.trim_end().ends_with("ET SCAN Sqlmap SQL Injection Scan"), "{size:?}\n{screen}");
        let foot = screen.lines().rev().nth(1).unwrap_or_default();
        assert!(foot.contains("19 Nov 09:14 → 19 Nov 09:15") && foot.contains("203.0.113.66"), "{size:?}\n{screen}");
        let menu = bench.keys("v <enter>");
        assert!(
            menu.contains("this signature at") && menu.contains("this signature anywhere") && menu.contains("26"),
            "{screen}\n{menu}"
        );
        let asks = bench.keys("<enter>");
        assert!(asks.contains("benign"), "{asks}");
        let screen = bench.keys("a <space> test <space> for <space> 7d <enter>");
        assert!(screen.contains("takes it back"), "{screen}");
        let decisions = bench.keeper.decisions();
        let last = decisions.iter().rev().find_map(|d| match &d.what {
            What::Verdict { about, reason, expires, .. } => Some((about.clone(), reason.clone(), expires.is_some())),
            _ => None,
        });
        let (about, reason, expires) = last.unwrap();
        assert!(matches!(&about, About::Query(q) if q.contains("signature.id = 2008538")), "{about:?}");
        assert_eq!((reason.as_str(), expires), ("a test", true));
        let screen = bench.keys("g");
        assert!(screen.contains("69 of 95 alerts left"), "{screen}");
        // Put away: the number hidden is on the screen, also over the rows.
        let screen = bench.keys("H g");
        assert!(screen.contains("-26 benign") && screen.contains("69 of 69"), "{screen}");
        let rows = bench.keys("R");
        assert!(rows.contains("-26 benign") && rows.contains("Alerts 69"), "{rows}");
        let shown = bench.keys("H g");
        assert!(!shown.contains("-26 benign") && shown.contains("Alerts 95"), "{shown}");
        bench.keys("u");
        assert!(matches!(
            bench.keeper.decisions().iter().rev().find(|d| !matches!(d.what, What::Trail { .. })).unwrap().what,
            What::Remove { .. }
        ));
        let screen = bench.keys("R");
        assert!(screen.contains("95 of 95 alerts left"), "{screen}");
    }
}

#[test]
fn the_value_under_the_cursor_or_those_of_marked_rows_go_into_a_set_which_is_listed_and_put_away() {
    let mut bench = Bench::new((120, 40));
    // The two newest alerts; the source of each.
    bench.keys("<end> <right> <right> <up> <space> <space>");
    let menu = bench.keys("@");
    assert!(menu.contains("@allow") && menu.contains("what may be left out of sight"), "{menu}");
    let asks = bench.keys("<enter>");
    assert!(asks.contains("why in @allow") && asks.contains("seen in"), "{asks}");
    bench.keys("<enter>");
    let set = sets::sets(&bench.keeper.decisions());
    assert_eq!((set.len(), set[0].name.as_str()), (1, "allow"));
    assert!(!set[0].entries.is_empty() && set[0].entries.iter().all(|e| e.who == "ann" && e.reason.starts_with("seen in")));
    let screen = bench.keys("H g");
    assert!(screen.contains(" allowed"), "{screen}");
    let screen = bench.keys(": open_sets <enter>");
    assert!(screen.contains("@allow") && screen.contains("seen in") && screen.contains("ann"), "{screen}");
    bench.keys("D");
    let after = sets::sets(&bench.keeper.decisions()).iter().map(|s| s.entries.len()).sum::<usize>();
    assert_eq!(after, set[0].entries.len() - 1);
    bench.keys("u");
    assert_eq!(sets::sets(&bench.keeper.decisions())[0].entries.len(), set[0].entries.len());
    // The name of a set of one's own is completed and asked for a reason.
    let screen = bench.keys("q W @ another <enter>");
    assert!(screen.contains("into which set"), "{screen}");
    bench.keys("printers <enter> <enter>");
    assert!(sets::sets(&bench.keeper.decisions()).iter().any(|s| s.name == "printers"));
}

#[test]
fn a_report_lists_sets_and_verdicts_and_says_what_a_bookmark_leaves_out() {
    let case = Case::of(&["eve.json.gz"]);
    case.decide(judged(Judgement::Benign, "signature.id = 9000003"));
    case.decide(add("allow", &["*.test"]));
    case.decide(What::Bookmark {
        title: "what is left".into(),
        query: "kind = alert and verdict != benign".into(),
        lens: "alerts".into(),
        focus: String::new(),
        rows: 80,
        seen: 0,
        node: None,
    });
    let decisions = case.engine.store().journal().decisions();
    let report = backtrail::case::report::gather("c", &decisions, &case.engine, &Cancel::default()).unwrap();
    let text = backtrail::case::report::markdown::write(&report, &case.engine);
    assert!(text.contains("Left out by this question: 15 benign."), "{text}");
    assert!(text.contains("## Sets") && text.contains("`*.test`"), "{text}");
    let json = backtrail::case::report::json::write(&report, &case.engine);
    assert_eq!(json["bookmarks"][0]["left_out"]["benign"], 15);
    assert_eq!(json["sets"][0]["entries"][0]["entry"], "*.test");
    assert!(text.contains("Of 95 alerts 15 are judged benign, 0 suspicious, 0 malicious; 80 are left."), "{text}");
    let allowed = case.count("any in @allow");
    assert!(allowed > 0 && text.contains(&format!("{allowed} records of any kind are allowed")), "{text}");
    assert_eq!((json["alerts"]["left"].as_u64(), json["allowed"].as_u64()), (Some(80), Some(allowed)));
    // The home networks: a guess, with what it rests on, until somebody has said what they are.
    assert!(text.contains("Nobody has confirmed them") && text.contains("hosts seen"), "{text}");
    assert_eq!(json["home"]["confirmed"], false);
    case.decide(add("home", &["10.8.0.0/16"]));
    let decisions = case.engine.store().journal().decisions();
    let by_set = backtrail::case::report::gather("c", &decisions, &case.engine, &Cancel::default()).unwrap();
    let by_set = backtrail::case::report::markdown::write(&by_set, &case.engine);
    assert!(by_set.contains("by these: `10.8.0.0/16`.") && by_set.contains("members of the set `@home`"), "{by_set}");
    case.decide(What::SetRemove { set: "home".into(), entries: Vec::new() });
    case.decide(What::Site { name: "berlin".into(), networks: vec!["10.8.0.0/16".into()], zone: Some("Europe/Berlin".into()) });
    // A question leaves out what a set of one's own holds: said with the condition.
    case.decide(add("printers", &["10.8.50.10", "10.8.50.11"]));
    let kept = |title: &str, query: &str| What::Bookmark {
        title: title.into(),
        query: query.into(),
        lens: "alerts".into(),
        focus: String::new(),
        rows: 0,
        seen: 0,
        node: None,
    };
    case.decide(kept("without printers", "kind = alert and not host in @printers and verdict != benign"));
    case.decide(kept("malicious", "verdict = malicious"));
    let decisions = case.engine.store().journal().decisions();
    let report = backtrail::case::report::gather("c", &decisions, &case.engine, &Cancel::default()).unwrap();
    let text = backtrail::case::report::markdown::write(&report, &case.engine);
    assert!(
        text.contains("| berlin | `10.8.0.0/16` | Europe/Berlin | ana |") && !text.contains("Nobody has confirmed"),
        "{text}"
    );
    assert!(text.contains("Left out by this question: 5 by `not host in @printers`, 15 benign."), "{text}");
    let json = backtrail::case::report::json::write(&report, &case.engine);
    assert_eq!(json["sites"][0]["networks"][0], "10.8.0.0/16");
    assert_eq!(json["bookmarks"][1]["left_out"]["not host in @printers"], 5);
    assert!(json["bookmarks"][2]["left_out"].as_object().unwrap().values().all(|n| n == 0));
    let page = Page { limit: 1, ..Page::default() };
    let question = case.engine.compile("verdict = benign").unwrap();
    assert!(case.engine.select(&question, &page, &Cancel::default(), &mut |_| true).unwrap().more);
}
