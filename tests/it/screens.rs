//! The workbench as it is used: keys in, screen out.

use crate::support::{Memory, Notebook, story};
use backtrail::case::Keeper;
use backtrail::model::decision::What;
use backtrail::tui::event::InputEvent;
use backtrail::tui::key::Key;
use backtrail::tui::{App, Event, Options};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use std::sync::Arc;

/// A workbench without a terminal.
pub struct Bench {
    pub app: App,
    terminal: Terminal<TestBackend>,
    pub keeper: Arc<Notebook>,
}

impl Bench {
    fn on(memory: Memory, keeper: Arc<Notebook>, size: (u16, u16)) -> Bench {
        Bench::with(memory, keeper, size, Options::default())
    }
    pub fn with(memory: Memory, keeper: Arc<Notebook>, size: (u16, u16), options: Options) -> Bench {
        let mut app = App::new(Arc::new(memory), keeper.clone(), options).unwrap();
        assert!(app.settle());
        let terminal = Terminal::new(TestBackend::new(size.0, size.1)).unwrap();
        let mut bench = Bench { app, terminal, keeper };
        bench.draw();
        bench
    }
    pub fn home(size: (u16, u16)) -> Bench {
        Bench::on(story(), Arc::new(Notebook::default()), size)
    }
    /// A workbench that stands on the alerts of the whole case.
    fn new(size: (u16, u16)) -> Bench {
        let mut bench = Bench::home(size);
        bench.keys("1");
        bench
    }
    /// Keys: words apart by blanks; `<enter>` is a key by its name, anything else is typed.
    pub fn keys(&mut self, script: &str) -> String {
        for word in script.split_whitespace() {
            match word.strip_prefix('<').and_then(|w| w.strip_suffix('>')).filter(|w| !w.is_empty()) {
                Some(name) => self.key(Key::parse(name).unwrap_or_else(|| panic!("no key {name}"))),
                None => word.chars().for_each(|c| self.key(Key::char(c))),
            }
        }
        self.screen()
    }
    fn key(&mut self, key: Key) {
        self.app.handle(Event::Input(InputEvent::Key(key)));
        assert!(self.app.settle());
        self.draw();
    }
    fn draw(&mut self) {
        self.terminal.draw(|frame| self.app.draw(frame)).unwrap();
    }
    pub fn screen(&self) -> String {
        let out = crate::desk::shown(&self.terminal);
        // The time that a question took is another on every run, and so is the room that it leaves on its left.
        let took = regex::Regex::new(r"( *)([^ \n]+(?: of [^ \n]+)? rows?(?: [^\n·]*)?)· (<1ms|[0-9.]+m?s)").unwrap();
        let out = took.replace_all(&out, |c: &regex::Captures<'_>| {
            let longer = c[3].chars().count().saturating_sub("N ms".len());
            format!("{}{}{}· N ms", &c[1], " ".repeat(longer), &c[2])
        });
        let others = regex::Regex::new(r"· (<1ms|[0-9.]+m?s)").unwrap();
        others.replace_all(&out, "· N ms").into_owned()
    }
}

pub const SMALL: (u16, u16) = (80, 24);
pub const LARGE: (u16, u16) = (120, 40);

#[test]
fn a_case_opens_at_home_and_its_alerts_are_one_key_away() {
    insta::assert_snapshot!("home_80x24", Bench::home(SMALL).screen());
    insta::assert_snapshot!("home_120x40", Bench::home(LARGE).screen());
    insta::assert_snapshot!("start_80x24", Bench::new(SMALL).screen());
    insta::assert_snapshot!("start_120x40", Bench::new(LARGE).screen());
}

#[test]
fn enter_on_an_alert_goes_to_the_inside_host() {
    insta::assert_snapshot!("drill_80x24", Bench::new(SMALL).keys("<enter>"));
    insta::assert_snapshot!("drill_120x40", Bench::new(LARGE).keys("<enter>"));
}

#[test]
fn the_pivot_menu_shows_counts_and_queries_and_enter_goes() {
    let mut bench = Bench::new(LARGE);
    insta::assert_snapshot!("pivot_menu", bench.keys("p"));
    insta::assert_snapshot!("pivot_went", bench.keys("<down> <down> <enter>"));
}

#[test]
fn back_and_forward_keep_the_state() {
    let mut bench = Bench::new(LARGE);
    bench.keys("2 <down> <down> <down> l l");
    let before = bench.screen();
    let there = bench.keys("<enter> 3");
    assert_ne!(before, there);
    assert_eq!(bench.keys("<backspace>"), before);
    assert_eq!(bench.keys("]"), there);
}

#[test]
fn filters_hide_rows_are_switched_off_and_say_when_they_hide_all() {
    let mut bench = Bench::new(SMALL);
    insta::assert_snapshot!("filtered", bench.keys("2 / dst.port <space> = <space> 445 <enter>"));
    insta::assert_snapshot!("filtered_all", bench.keys("1"));
    let off = bench.keys("2 \\");
    assert!(off.contains("2Flows 60"), "{off}");
}

#[test]
fn groups_of_alerts_are_filtered_and_marked_and_say_when_a_filter_leaves_none() {
    let mut bench = Bench::home(LARGE);
    let all = bench.keys("R");
    assert!(all.contains("groups") && !all.contains("no alert"), "{all}");
    let none = bench.keys("/ severity <space> = <space> info <enter>");
    assert!(none.contains("no alert here satisfies severity = info") && none.contains("alerts by groups: severity"), "{none}");
    let back = bench.keys("\\ *");
    assert!(!back.contains("no alert here") && back.contains(" marked"), "{back}");
    assert!(!bench.keys("*").contains(" marked"));
}

#[test]
fn a_query_that_is_wrong_stays_as_typed_with_what_is_wrong() {
    let mut bench = Bench::new(SMALL);
    let screen = bench.keys("/ dst.prt <space> = <space> 4 <enter>");
    assert!(screen.contains("dst.prt = 4") && screen.contains("dst.port"), "{screen}");
}

#[test]
fn only_and_without_take_the_value_under_the_cursor() {
    let mut bench = Bench::new(SMALL);
    let screen = bench.keys("2 l l l =");
    assert!(screen.contains("flt: dst.port = "), "{screen}");
    let screen = bench.keys("<esc> 2 l !");
    assert!(screen.contains("not "), "{screen}");
}

#[test]
fn the_window_is_zoomed_shifted_and_left() {
    let mut bench = Bench::new(LARGE);
    insta::assert_snapshot!("window", bench.keys("2 <down> + + +"));
    let whole = bench.keys("W");
    assert!(whole.contains("whole case"), "{whole}");
    let typed = bench.keys("w 08:10 <space> .. <space> 08:30 <enter>");
    assert!(typed.contains("20 Nov 08:10 → 08:30 (20m)"), "{typed}");
}

#[test]
fn an_empty_pane_says_why() {
    let mut bench = Bench::new(LARGE);
    insta::assert_snapshot!("empty_host", bench.keys("6"));
    let outside = bench.keys("w 14:00 <space> .. <space> 14:30 <enter> 1");
    assert!(outside.contains("no alerts in this window; 3 outside it"), "{outside}");
}

#[test]
fn help_lists_the_keys_that_work_here() {
    insta::assert_snapshot!("help", Bench::new(LARGE).keys("?"));
}

#[test]
fn the_finder_finds_a_value_by_a_few_letters() {
    let mut bench = Bench::new(LARGE);
    insta::assert_snapshot!("finder", bench.keys(", evil"));
    let screen = bench.keys("<enter>");
    assert!(screen.contains("evil.example"), "{screen}");
}

#[test]
fn the_place_is_restored_exactly_after_a_kill() {
    let keeper = Arc::new(Notebook::default());
    let mut bench = Bench::on(story(), keeper.clone(), LARGE);
    let left = bench.keys("1 <enter> 2 <down> <down> <down> <down> l l / app <space> = <space> tls <enter> Z <tab>");
    // No close: the process is gone. What was saved at the last step is all there is.
    let mut again = Bench::on(story(), keeper, LARGE);
    again.app.handle(Event::Input(InputEvent::Resize(120, 40)));
    again.draw();
    // How long an answer took is of another width each time.
    let line = |l: &str| if l.ends_with(" ms") { l.split_whitespace().collect::<Vec<_>>().join(" ") } else { l.to_owned() };
    let strip = |screen: &str| screen.lines().filter(|l| !l.contains("times:")).map(line).collect::<Vec<_>>();
    assert_eq!(strip(&again.screen()), strip(&left));
}

#[test]
fn bookmarks_notes_and_verdicts_reach_the_journal_and_the_gutter() {
    let mut bench = Bench::new(LARGE);
    bench.keys("; looks <space> bad <enter> <space> v <down> <down> <enter> <enter> <esc> b <enter>");
    let kept = bench.keeper.decisions();
    let has = |wanted: fn(&What) -> bool| kept.iter().any(|d| wanted(&d.what));
    assert!(has(|w| matches!(w, What::Note { text, .. } if text == "looks bad")));
    assert!(has(|w| matches!(w, What::Verdict { .. })));
    assert!(has(|w| matches!(w, What::Bookmark { rows: 3, .. })));
    assert!(has(|w| matches!(w, What::Trail { .. })));
}

#[test]
fn filters_are_edited_switched_and_removed_one_by_one() {
    let mut bench = Bench::new(SMALL);
    bench.keys("2 / dst.port <space> = <space> 445 <enter> / app <space> = <space> tls <enter>");
    assert!(bench.screen().contains("2Flows 0"), "{}", bench.screen());
    let menu = bench.keys("C");
    assert!(menu.contains("1 edit") && menu.contains("2 remove"), "{menu}");
    let off = bench.keys("<down> <enter>");
    assert!(off.contains("(dst.port = 445 off)") && !off.contains("2Flows 0"), "{off}");
    let on = bench.keys("C <down> <enter> C <down> <down> <down> <down> <down> <enter>");
    assert!(on.contains("flt: dst.port = 445") && !on.contains("app = tls"), "{on}");
    let edited = bench.keys("C <enter> <backspace> <backspace> <backspace> 443 <enter>");
    assert!(edited.contains("flt: dst.port = 443"), "{edited}");
}

#[test]
fn marked_rows_are_looked_at_together() {
    let mut bench = Bench::new(LARGE);
    let both = bench.keys("2 g <space> <space> <enter>");
    assert!(both.contains("these 2 hosts") && both.contains("2 Flows 60"), "{both}");
    assert!(both.contains("10.8.21.5") && both.contains("workstation"), "the card tells of each\n{both}");
    let menu = bench.keys("<tab> <tab> <up> p");
    assert!(menu.contains("pivot on"), "{menu}");
    let mut bench = Bench::new(LARGE);
    let menu = bench.keys("2 g <space> <space> p");
    assert!(menu.contains("pivot on these 2 hosts") && menu.contains("alerts of these 2"), "{menu}");
    let mut bench = Bench::new(LARGE);
    bench.keys("2 <space> <space> <space> b <enter>");
    let kept = bench.keeper.decisions();
    let of_rows = |w: &What| matches!(w, What::Bookmark { rows: 3, query, .. } if query.starts_with("id in {"));
    assert!(kept.iter().any(|d| of_rows(&d.what)), "{kept:?}");
}

#[test]
fn how_rows_are_joined_stands_in_every_lens_and_names_from_dns_are_marked() {
    for lens in ["1", "a"] {
        let mut bench = Bench::new(LARGE);
        let screen = bench.keys(lens);
        assert!(screen.lines().any(|l| l.trim_end_matches(['│', ' ']).ends_with(" =")), "{screen}");
    }
    let mut memory = story();
    memory.records.iter_mut().for_each(|r| r.fields.retain(|(id, _)| *id != backtrail::model::field::SNI));
    let screen = Bench::on(memory, Arc::new(Notebook::default()), (200, 50)).keys("1 2");
    assert!(screen.contains("evil.example (dns)"), "{screen}");
    assert!(screen.contains("joined") && screen.contains("exactly with 3 records"), "{screen}");
}

#[test]
fn an_alert_about_content_without_packets_or_log_says_what_to_obtain() {
    use backtrail::model::Kind;
    assert!(!Bench::new(LARGE).screen().contains("cannot confirm"));
    let mut memory = story();
    memory.records.retain(|r| !matches!(r.kind, Kind::Flow | Kind::Http));
    for size in [SMALL, LARGE] {
        let mut alone = story();
        alone.records = memory.records.clone();
        let screen = Bench::on(alone, Arc::new(Notebook::default()), size).keys("1");
        assert!(screen.contains("a flow cannot confirm this alert"), "{screen}");
    }
}

#[test]
fn lines_are_found_in_panes_and_n_goes_on() {
    let mut bench = Bench::new(LARGE);
    bench.keys("<tab>");
    bench.key(Key::parse("ctrl-f").unwrap());
    let screen = bench.keys("dst.port <enter>");
    assert!(!screen.contains("no line with"), "{screen}");
    assert!(bench.keys("n").contains("detail"), "n finds the same line again");
    bench.keys("s");
    bench.key(Key::parse("ctrl-f").unwrap());
    bench.key(Key::parse("ctrl-u").unwrap());
    let none = bench.keys("no-such-thing <enter>");
    assert!(none.contains("no line with no-such-thing"), "{none}");
}

#[test]
fn marks_by_letter_are_jumped_to_and_survive_a_restart() {
    let keeper = Arc::new(Notebook::default());
    let mut bench = Bench::on(story(), keeper.clone(), LARGE);
    let here = bench.keys("2 <down> <down> m x");
    bench.keys("<enter> 3");
    let strip = |s: &str| s.lines().take(25).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(strip(&bench.keys("' x")), strip(&here));
    let mut again = Bench::on(story(), keeper, LARGE);
    again.keys("<enter>");
    assert_eq!(strip(&again.keys("' x")), strip(&here));
}

#[test]
fn what_is_set_is_kept_for_the_next_session() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { config: Some(dir.path().to_owned()), ..Options::default() };
    let app = App::new(Arc::new(story()), Arc::new(Notebook::default()), options).unwrap();
    let terminal = Terminal::new(TestBackend::new(120, 40)).unwrap();
    let mut bench = Bench { app, terminal, keeper: Arc::new(Notebook::default()) };
    let said = bench.keys(": set <space> theme <space> paper <enter>");
    assert!(said.contains("kept for the next sessions"), "{said}");
    let kept = backtrail::tui::settings::Settings::load(Some(dir.path())).unwrap();
    assert_eq!(kept.theme.as_deref(), Some("paper"));
}

#[test]
fn where_one_is_now_is_never_cut_for_the_way_there() {
    // So that the beginning of the path is cut at every column.
    for width in 100..=112 {
        let mut bench = Bench::new((width, 30));
        for address in (10..24).map(|n| format!("10.9.0.{n}")) {
            let screen = bench.keys(&format!(": focus <space> {address} <enter>"));
            let first = screen.lines().next().unwrap_or_default();
            assert!(first.contains(&address), "{width}: {address}: {first}");
        }
    }
}

#[test]
fn hostile_text_never_reaches_the_terminal() {
    let screen = Bench::new(LARGE).keys("<down> <down>");
    assert!(!screen.contains('\u{1b}') && !screen.contains('\u{202e}'), "{screen}");
}

#[test]
fn any_key_anywhere_breaks_nothing_and_eighty_columns_have_fourteen_rows() {
    for size in [SMALL, LARGE, (250, 70), (60, 12), (20, 5)] {
        let mut bench = Bench::new(size);
        for key in "2jjlp<enter>?"
            .split_inclusive(|_: char| true)
            .chain(["a", "A", "L", "[", "z", "z", "i", "Z", "t", "q", "c", "q", "s", "q", "3", "5", "G", "g", ","])
        {
            match key {
                "<" | ">" => {}
                one => bench.key(Key::char(one.chars().next().unwrap())),
            }
        }
        bench.key(Key::parse("esc").unwrap());
    }
    let rows =
        Bench::new(SMALL).keys("2").lines().filter(|l| l.contains("443") || l.contains(" 53 ") || l.contains("445")).count();
    assert!(rows >= 14, "{rows}");
}

#[test]
fn every_command_that_a_keymap_names_exists() {
    use backtrail::tui::commands;
    use backtrail::tui::keymap::Keymap;
    for name in Keymap::available(None).iter().filter(|n| *n != "reserved") {
        let map = Keymap::load(name, None).unwrap();
        for scope in ["global", "rows", "detail", "card"] {
            for (keys, line) in map.bindings(scope) {
                let command = line.trim_start_matches(':').split_whitespace().next().unwrap();
                assert!(commands::find(command).is_some(), "{name}: {keys} = {line}");
            }
        }
    }
}

#[test]
fn a_sweep_lists_what_was_seen_goes_to_it_and_comes_back_to_the_same_place() {
    let mut bench = Bench::new((120, 40));
    bench.keys("I");
    let paste = "nowhere[.]test\n203[.]0.113.9\nq\n:quit\n192.0.2.99\n";
    bench.app.handle(Event::Input(InputEvent::Paste(paste.into())));
    assert!(bench.app.settle());
    bench.draw();
    let screen = bench.screen();
    assert!(screen.contains("3 indicators, 1 seen"), "{screen}");
    let line = |screen: &str, what: &str| screen.lines().position(|l| l.contains(what)).unwrap();
    assert!(line(&screen, "203.0.113.9") < line(&screen, "nowhere.test"), "what was seen comes first:\n{screen}");
    assert!(screen.contains("none; 2 sources could have seen it"), "{screen}");
    bench.keys("/ nowhere <enter>");
    assert!(bench.screen().contains("1 with \"nowhere\" of 3"), "{}", bench.screen());
    bench.keys("\\");
    let there = bench.keys("<enter>");
    assert!(!there.contains("3 indicators") && there.contains("rows"), "{there}");
    let back = bench.keys("<backspace>");
    assert!(back.contains("3 indicators, 1 seen"), "{back}");
    bench.keys("K <enter>");
    let kept = bench.keeper.decisions();
    let What::SetAdd { set, entries, .. } = &kept.last().unwrap().what else { panic!("no set was kept") };
    assert_eq!((set.as_str(), entries.len()), ("watch", 3));
    let closed = bench.keys("<esc>");
    assert!(!closed.contains("3 indicators"), "{closed}");
}

#[test]
fn the_overview_shows_curves_is_taken_apart_and_narrows_the_window_by_a_brush() {
    insta::assert_snapshot!("overview_80x24", Bench::new(SMALL).keys("o"));
    insta::assert_snapshot!("overview_120x40", Bench::new(LARGE).keys("o"));
    let mut bench = Bench::new(LARGE);
    let whole = bench.keys("o");
    assert!(whole.contains("insufficient history for a diurnal verdict (have "), "{whole}");
    for heading in ["top talkers", "new hosts", "new services", "new names"] {
        assert!(whole.contains(heading), "{heading}\n{whole}");
    }
    // A line of a list leads on, and one comes back to where one was.
    let list = bench.keys("<tab> <down>");
    let there = bench.keys("<enter>");
    assert!(there.contains("2 Flows") && !there.contains("new services"), "{there}");
    assert_eq!(bench.keys("<backspace>"), list);
    // What is under the cursor is taken apart; Esc shows the lists again.
    let made = bench.keys("<shift-tab> <enter>");
    assert!(made.contains("made of:") && made.contains("no other day of this kind"), "{made}");
    assert!(bench.keys("<esc>").contains("top talkers"));
    // A span becomes the window, here and in the workbench.
    let brush = bench.keys("<home> V <right> <right> <right>");
    assert!(brush.contains("brush"), "{brush}");
    let narrow = bench.keys("<enter>");
    assert!(narrow.contains("top talkers") && narrow != whole, "{narrow}");
    assert!(bench.keys("<esc>") != Bench::new(LARGE).screen(), "the workbench has the window too");
    assert!(bench.keys("o W").contains("top talkers"));
    assert!(!bench.keys("<esc>").contains("top talkers"));
}

#[test]
fn the_profile_is_walked_step_by_step_and_enter_opens_its_records() {
    let mut bench = Bench::new((120, 40));
    let screen = bench.keys(": profile <enter>");
    for step in ["1 what is known", "4 active address space", "5 services", "7 keeping it up to date"] {
        assert!(screen.contains(step), "{screen}");
    }
    let services = bench.keys("q : profile <space> 5 <enter>");
    assert!(services.contains("5 web servers: rule: TCP from port 80, 443, 8080"), "{services}");
    // Down to a class that has lines, into it, to the records of its first line, and back to the same place.
    let clients = bench.keys("j");
    assert!(clients.contains("5 web clients, proxies, NAT gateways: rule:"), "{clients}");
    let line = bench.keys("<enter>");
    assert!(line.contains("rule") && line.contains("10.8.21.5"), "{line}");
    let records = bench.keys("<enter>");
    assert!(records.contains("10.8.21.5 web clients") && records.contains("rows"), "{records}");
    let back = bench.keys("<backspace>");
    assert!(back.contains("5 web clients, proxies, NAT gateways: rule:"), "{back}");
    assert!(bench.keys("q : profile <space> 9 <enter>").contains("no step 9"));
    let mut small = Bench::new(SMALL);
    let screen = small.keys(": profile <space> 4 <enter>");
    assert!(screen.contains("talkers by network") && screen.contains("legitimate TCP"), "{screen}");
}

#[test]
fn the_link_inspector_says_why_and_takes_a_verdict_with_its_reason() {
    let mut bench = Bench::new(LARGE);
    let screen = bench.keys("L");
    assert!(screen.contains("why these two") && screen.contains("both state the same ends"), "{screen}");
    assert!(screen.contains("community_id") && screen.contains("runner-up"), "{screen}");
    insta::assert_snapshot!("links_120x40", screen);
    // Without a reason nothing is said.
    bench.keys("e r <esc>");
    assert!(bench.keeper.decisions().iter().all(|d| !matches!(d.what, What::LinkJudged { .. })));
    bench.keys("e r wrong <space> port <enter>");
    let last = |bench: &Bench| {
        let all = bench.keeper.decisions();
        all.iter().rev().find(|d| !matches!(d.what, What::Trail { .. })).unwrap().what.clone()
    };
    let What::LinkJudged { accepted: false, reason, records: (a, b) } = last(&bench) else { panic!("{:?}", last(&bench)) };
    assert_eq!(reason, "wrong port");
    let id = |text: &str| text.parse::<backtrail::model::RecordId>().unwrap();
    assert!(id(&a) < id(&b), "{a} {b}");
    // Undone like everything that is entered.
    bench.keys("u");
    assert!(matches!(last(&bench), What::Remove { .. }));
    // The other record, and back to where the reasons stand; all of them as rows.
    let there = bench.keys("<enter>");
    assert!(!there.contains("why these two") && there.contains("linked"), "{there}");
    assert!(bench.keys("<backspace>").contains("why these two"));
    let rows = bench.keys("L");
    assert!(!rows.contains("why these two") && rows.contains("linked with"), "{rows}");
    // A marked row is pinned to the record whose links are open.
    let mut bench = Bench::new(LARGE);
    let pinned = bench.keys("e");
    assert!(pinned.contains("does nothing here"), "{pinned}");
    bench.keys("2 <space> <down> <down> L e p by <space> the <space> ticket <enter>");
    let What::LinkJudged { accepted: true, reason, .. } = last(&bench) else { panic!("{:?}", last(&bench)) };
    assert_eq!(reason, "by the ticket");
    insta::assert_snapshot!("links_80x24", Bench::new(SMALL).keys("L"));
}
