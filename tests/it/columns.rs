//! Columns, the order of rows, groups, footers, layouts: keys in, screen out.

use crate::screens::{Bench, LARGE, SMALL};
use crate::support::{Memory, Notebook, story};
use backtrail::model::{Record, Value, field as f};
use backtrail::query::engine::Cancel;
use backtrail::query::sorted::total;
use backtrail::query::{Engine, Order};
use backtrail::tui::Options;
use backtrail::tui::looks;
use std::sync::Arc;

/// Wide enough for every column of flows.
const WIDE: (u16, u16) = (160, 40);

fn flows(size: (u16, u16)) -> Bench {
    let mut bench = Bench::home(size);
    bench.keys("2");
    bench
}

/// Types a command line.
fn line(bench: &mut Bench, text: &str) -> String {
    let typed = text.replace(' ', " <space> ");
    bench.keys(&format!(": {typed} <enter>"))
}

/// The heading of the table, and the rows below it.
fn table(screen: &str) -> (String, Vec<String>) {
    let lines: Vec<&str> = screen.lines().collect();
    let at = lines.iter().position(|l| l.contains("start") || l.contains("bytes")).unwrap_or(0);
    let rows =
        lines[at + 1..].iter().take_while(|l| !l.contains("────")).filter(|l| l.contains("10.8.") || l.contains("203.0.113."));
    (lines[at].to_owned(), rows.map(|l| (*l).to_owned()).collect())
}

fn bench(memory: Memory, config: Option<&std::path::Path>, keeper: &Arc<Notebook>) -> Bench {
    let options = Options { config: config.map(std::path::Path::to_owned), ..Options::default() };
    let mut bench = Bench::with(memory, keeper.clone(), LARGE, options);
    bench.keys("2");
    bench
}

#[test]
fn columns_are_typed_resized_and_reset() {
    let mut bench = flows(LARGE);
    let before = table(&bench.screen()).0;
    let (head, rows) = table(&line(&mut bench, "columns start, dst.ip, bytes, src.port:9"));
    let at: Vec<usize> =
        ["start", "dst.ip", "bytes", "src.port"].iter().map(|c| head.find(c).unwrap_or_else(|| panic!("{head}"))).collect();
    assert!(at.is_sorted() && !head.contains("state"), "{head}");
    assert!(rows.iter().any(|r| r.contains("92k") && r.contains("49000")), "{rows:?}");
    line(&mut bench, "columns dst.ip, bytes");
    let wide = table(&line(&mut bench, "width 30")).0;
    // Thirty of the first, a blank, and the heading of ten columns stands at their right.
    assert_eq!(wide.find("bytes").unwrap() - wide.find("dst.ip").unwrap(), 30 + 1 + 5, "{wide}");
    assert_eq!(table(&line(&mut bench, "columns default")).0, before);
    let wrong = line(&mut bench, "columns start, byts");
    assert!(wrong.contains("there is no column byts") && wrong.contains("bytes"), "{wrong}");
}

#[test]
fn columns_are_chosen_ordered_and_resized_in_a_list() {
    let mut bench = flows(LARGE);
    let list = bench.keys("E");
    assert!(list.contains("columns of Flows") && list.contains("10 of 1"), "{list}");
    // The third goes, the last that is shown comes first but one.
    let taken = bench.keys("<down> <down> <space> <end> <space>");
    assert!(taken.contains("not taken yet"), "{taken}");
    let (head, _) = table(&bench.keys("<home> > <enter>"));
    assert!(head.find("source").unwrap() < head.find("start").unwrap() && !head.contains(" port"), "{head}");
    let kept = table(&bench.keys("E <space> <esc>")).0;
    assert_eq!(kept, head, "Esc leaves all as it was");
    insta::assert_snapshot!("columns_list_80x24", flows(SMALL).keys("E <down> <space> + +"));
}

#[test]
fn chosen_columns_that_have_no_room_are_counted_and_time_peer_and_name_stay() {
    let mut bench = flows(SMALL);
    let (head, _) = table(&line(&mut bench, "columns start, peer, state, app, bytes, packets, vlan, uid, community_id, name"));
    assert!(head.contains("start") && head.contains("source") && head.contains("destination") && head.contains("name"), "{head}");
    assert!(!head.contains("state") && head.trim_end().ends_with(|c: char| c.is_ascii_digit()) && head.contains('+'), "{head}");
}

#[test]
fn completion_offers_columns_for_the_word_that_is_typed() {
    let mut bench = flows(LARGE);
    let offered = bench.keys(": columns <space> start,ja");
    assert!(offered.contains("ja3") && offered.contains("ja4"), "{offered}");
    let taken = bench.keys("<tab>");
    assert!(taken.contains("columns start,ja"), "{taken}");
    bench.keys("<esc>");
    let offered = bench.keys(": sort <space> -byt");
    assert!(offered.contains("bytes.out"), "{offered}");
}

#[test]
fn rows_are_sorted_by_any_field_through_the_whole_answer_and_survive_going_back() {
    let mut bench = flows(WIDE);
    let sorted = line(&mut bench, "sort -duration");
    let (head, rows) = table(&sorted);
    assert!(head.contains("dur↓"), "{head}");
    assert!(rows[0].contains("12.1s") && rows.len() > 5, "{rows:?}");
    let (head, rows) = table(&line(&mut bench, "sort bytes.in"));
    assert!(head.contains("in↑") && rows[0].contains("160") && !rows[0].contains("88k"), "{head} {rows:?}");
    // It is of this place: elsewhere rows are in the order of time, and back again it is as it was.
    let here = bench.screen();
    let there = bench.keys("<enter>");
    assert!(!there.contains('↑'), "{there}");
    let back = bench.keys("<backspace>");
    assert_eq!(table(&back), table(&here));
    let off = line(&mut bench, "sort off");
    assert!(table(&off).0.contains("start") && !off.contains("in↑"), "{off}");
    let wrong = line(&mut bench, "sort what");
    assert!(wrong.contains("made of several fields"), "{wrong}");
}

#[test]
fn the_key_sorts_by_the_column_under_the_cursor_then_the_other_way_then_not() {
    let mut bench = flows(LARGE);
    bench.keys("l l l");
    for sign in ["↓", "↑"] {
        let head = table(&bench.keys("O")).0;
        assert!(head.contains(&format!("port{sign}")), "{head}");
    }
    assert!(!table(&bench.keys("O")).0.contains(['↑', '↓']));
}

#[test]
fn only_the_first_of_many_are_loaded_and_that_is_said_and_more_come_with_the_cursor() {
    let mut many = story();
    let flow = many.records.iter().find(|r| r.kind == backtrail::model::Kind::Flow).unwrap().clone();
    for n in 0..3_000u64 {
        let mut one = flow.clone();
        one.id.offset = 1_000_000 + n;
        one.fields.retain(|(id, _)| *id != f::BYTES_OUT);
        one.set(f::BYTES_OUT, 1_000_000 + n * 7_919 % 3_000);
        many.records.push(one);
    }
    many.records.sort_by_key(|r| (r.time(), r.id));
    let mut bench = bench(many, None, &Arc::new(Notebook::default()));
    line(&mut bench, "sort -bytes.out");
    let sorted = bench.keys("<down> <up>");
    assert!(sorted.contains("1 of 3,060 rows · first 400 by bytes.out"), "{sorted}");
    let end = bench.keys("G");
    assert!(end.contains("400 of 3,060 rows · first 2,000"), "{end}");
    bench.keys("G");
    let end = bench.keys("G");
    assert!(end.contains("3,060 of 3,060 rows ·") && !end.contains("first 2,000"), "{end}");
    // What is looked for is found in the order in which the rows stand.
    let found = bench.keys("g <ctrl-f> dst.port <space> = <space> 445 <enter>");
    assert!(found.contains("445") && found.contains("10.8.21.7"), "{found}");
}

#[test]
fn rows_are_grouped_by_a_column_and_enter_opens_a_group() {
    let mut bench = flows(LARGE);
    let groups = line(&mut bench, "group dst.port");
    insta::assert_snapshot!("grouped_120x40", groups);
    let rows = bench.keys("<down> <enter>");
    assert!(rows.contains("dst.port = ") && rows.contains("10 rows"), "{rows}");
    let back = bench.keys("<backspace>");
    assert!(back.contains("3 groups of 60 rows"), "{back}");
    let two = line(&mut bench, "group app, dst.ip");
    assert!(two.contains("Flows by app, dst.ip") && two.contains("3 groups"), "{two}");
    let wrong = line(&mut bench, "group nothing");
    assert!(wrong.contains("there is no column nothing"), "{wrong}");
}

#[test]
fn a_footer_is_of_the_whole_answer_and_follows_the_filters() {
    let mut bench = flows(WIDE);
    let sum = line(&mut bench, "footer sum");
    let foot =
        |screen: &str| screen.lines().find(|l| l.contains("rows") && !l.contains("Enter")).map(str::to_owned).unwrap_or_default();
    // 40 flows of 4,112 and 20 of 80 bytes out; 88,200 and 160 in; 12.1 s and 340 ms each.
    assert!(foot(&sum).contains("sum of 60 rows") && foot(&sum).contains("166k") && foot(&sum).contains("3.5M"), "{sum}");
    assert!(foot(&sum).contains("8m10s"), "{sum}");
    let exact = bench.keys("l l l l l l");
    assert!(exact.contains("out 166,080"), "{exact}");
    let mean = line(&mut bench, "footer mean");
    assert!(foot(&mean).contains("2.8k") || mean.contains("out 2,768"), "{mean}");
    let median = line(&mut bench, "footer p50");
    assert!(median.contains("out 4,112"), "{median}");
    let filtered = bench.keys("/ dst.port <space> = <space> 445 <enter>");
    assert!(filtered.contains("out 80") && filtered.contains("10 rows"), "{filtered}");
    assert!(!line(&mut bench, "footer off").contains("p50"));
}

#[test]
fn a_cell_that_is_cut_stands_in_full_below_and_hostile_text_is_harmless() {
    let mut memory = story();
    let long = format!("{}日本\u{202e}\u{1b}[31m-end", "abcdefghij".repeat(11));
    for record in memory.records.iter_mut().filter(|r| r.kind == backtrail::model::Kind::Flow) {
        record.fields.retain(|(id, _)| *id != f::SNI);
        record.set(f::SNI, Value::text(&long));
    }
    for size in [SMALL, LARGE] {
        let mut bench = Bench::with(story_of(&memory), Arc::new(Notebook::default()), size, Options::default());
        bench.keys("2");
        let screen = bench.keys("l l l l l l l l l l l");
        let column = bench.keys("<left>");
        let shown = if screen.contains("-end") { screen } else { column };
        let joined: String = shown.lines().map(|l| l.replace(['│', ' '], "")).collect();
        assert!(joined.contains("-end") && joined.contains("abcdefghij"), "{size:?} {shown}");
        assert!(!shown.contains('\u{1b}') && !shown.contains('\u{202e}'), "{shown}");
    }
}

#[test]
fn the_first_in_an_order_are_those_of_all_rows_sorted_here_and_through_the_socket() {
    let case = crate::story::Case::of(&["inside.pcapng", "outside.pcap", "eve.json.gz"]);
    let cancel = Cancel::default();
    let question = case.engine.compile("kind in {flow, alert}").unwrap();
    let all = case.rows("kind in {flow, alert}");
    let orders: [&[f::FieldId]; 7] = [
        &[f::BYTES],
        &[f::DURATION],
        &[f::DST_IP],
        &[f::SNI, f::HTTP_HOST, f::NAME],
        &[f::SIGNATURE],
        &[f::SOURCE],
        &[f::DIRECTION],
    ];
    for (fields, descending) in orders.iter().flat_map(|o| [(o, false), (o, true)]) {
        let order = Order { fields: fields.to_vec(), descending };
        let value = |r: &Record| order.value(r, &|id| (id == f::SOURCE).then(|| Value::from(case.engine.source_name(r.source))));
        let mut want: Vec<&Record> = all.iter().collect();
        // Stable: equal ones stay in the order of time; what has no value comes last.
        want.sort_by(|a, b| match (value(a), value(b)) {
            (Some(a), Some(b)) if descending => total(&b, &a),
            (Some(a), Some(b)) => total(&a, &b),
            (a, b) => b.is_some().cmp(&a.is_some()),
        });
        for limit in [1, 50, all.len() * 2] {
            let found = case.engine.sorted(&question, &order, limit, &cancel).unwrap();
            let ids: Vec<_> = found.rows.iter().map(|r| r.id).collect();
            let wanted: Vec<_> = want.iter().take(limit).map(|r| r.id).collect();
            assert_eq!((ids, found.of), (wanted, all.len() as u64), "{fields:?} {descending} {limit}");
            assert!(found.rows.iter().all(|r| all.contains(r)), "whole records, as they are answered");
        }
    }
    cancel.cancel();
    let order = Order { fields: vec![f::BYTES], descending: true };
    assert!(case.engine.local.sorted(&question, &order, 5, &cancel).is_err(), "it can be given up");
}

#[test]
fn means_and_percentiles_are_those_of_the_rows() {
    let case = crate::story::Case::of(&["inside.pcapng", "outside.pcap"]);
    let rows = case.rows("kind = flow");
    let mut bytes: Vec<u64> = rows.iter().filter_map(|r| r.value(f::BYTES)?.as_uint()).collect();
    bytes.sort_unstable();
    let number = |text: &str| {
        let table = case.engine.table(&case.engine.compile(text).unwrap(), &Cancel::default()).unwrap();
        (table.rows[0][0].as_ref().and_then(Value::as_uint).unwrap(), table.rows[0][1].as_ref().and_then(Value::as_uint).unwrap())
    };
    let n = bytes.len() as u64;
    assert!(n > 100, "{n}");
    let mean = (bytes.iter().sum::<u64>() as f64 / n as f64).round() as u64;
    assert_eq!(number("kind = flow | mean bytes"), (mean, n));
    for (part, thousandths) in [("50", 500u64), ("95", 950), ("99.9", 999)] {
        let rank = (n * thousandths).div_ceil(1000) as usize - 1;
        assert_eq!(number(&format!("kind = flow | percentile {part} bytes")), (bytes[rank], n), "{part}");
    }
}

fn story_of(memory: &Memory) -> Memory {
    Memory { records: memory.records.clone(), sources: memory.sources.clone() }
}

#[test]
fn columns_and_footer_are_kept_for_the_next_session_and_by_lens() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = bench(story(), Some(dir.path()), &Arc::new(Notebook::default()));
    line(&mut first, "columns start, dst.ip, bytes");
    line(&mut first, "footer p95");
    let kept = looks::load(Some(dir.path()), looks::LAST).unwrap().unwrap();
    assert_eq!(kept.lenses["flows"].columns, "start, dst.ip, bytes");
    let mut second = bench(story(), Some(dir.path()), &Arc::new(Notebook::default()));
    let screen = second.screen();
    assert!(table(&screen).0.contains("dst.ip") && screen.contains("p95 of 60 rows"), "{screen}");
    let dns = second.keys("3");
    assert!(!table(&dns).0.contains("dst.ip") && !dns.contains("p95"), "{dns}");
}

#[test]
fn the_place_keeps_columns_and_order_over_a_kill_without_a_folder() {
    let keeper = Arc::new(Notebook::default());
    let mut before = bench(story(), None, &keeper);
    line(&mut before, "columns start, dst.ip, bytes");
    line(&mut before, "sort -bytes");
    line(&mut before, "hide timeline");
    let screen = before.keys("<down> <down>");
    drop(before);
    let mut again = Bench::with(story(), keeper, LARGE, Options::default());
    assert_eq!(table(&again.screen()), table(&screen));
    assert!(again.keys("<up>").contains("bytes↓"));
}

#[test]
fn two_halves_show_two_windows_and_tab_goes_over_each_keeps_its_own() {
    let mut bench = flows((160, 40));
    line(&mut bench, "type_window 09:00 .. 10:00");
    let two = line(&mut bench, "split");
    assert!(two.contains("two halves: the same in the window before"), "{two}");
    insta::assert_snapshot!("split_160x40", two);
    let over = bench.keys("<tab>");
    assert!(over.contains("20 Nov 08:00 → 09:00 (1h)"), "{over}");
    bench.keys("<down> <down>");
    let filtered = bench.keys("/ dst.port <space> = <space> 443 <enter>");
    assert!(filtered.contains("11 Flows") || filtered.contains("10 Flows"), "{filtered}");
    // Detail, card, and the first half again: it has its own window and no filter.
    let first = bench.keys("<tab> <tab> <tab>");
    assert!(first.contains("20 Nov 09:00 → 10:00 (1h)") && !first.contains("· dst.port = 443"), "{first}");
    let second = bench.keys("<tab>");
    assert!(second.contains("dst.port = 443"), "{second}");
    let one = line(&mut bench, "split off");
    assert!(!one.contains("whole case · 20 Nov 09:00"), "{one}");
    assert!(line(&mut bench, "split x").contains("no place is marked x"));
}

#[test]
fn a_mark_stands_beside_this_place_at_eighty_columns_and_over_a_restart() {
    let keeper = Arc::new(Notebook::default());
    let mut bench = Bench::with(story(), keeper.clone(), SMALL, Options::default());
    bench.keys("2 m x");
    bench.keys("<enter>");
    let two = line(&mut bench, "split x");
    insta::assert_snapshot!("split_80x24", two);
    let over = bench.keys("<tab>");
    drop(bench);
    let mut again = Bench::with(story(), keeper, SMALL, Options::default());
    assert_eq!(again.keys("<down> <up>"), over);
}

#[test]
fn layouts_are_saved_used_and_reset_panes_hidden_and_resized() {
    let dir = tempfile::tempdir().unwrap();
    let mut bench = bench(story(), Some(dir.path()), &Arc::new(Notebook::default()));
    let by_itself = bench.screen();
    let card = |screen: &str| screen.contains("┌ whole case") || screen.contains("┌ story");
    assert!(!line(&mut bench, "hide timeline").contains("flows/"));
    let resized = line(&mut bench, "resize detail 4");
    assert!(resized.contains("detail: 4 lines"), "{resized}");
    line(&mut bench, "hide card");
    line(&mut bench, "columns start, dst.ip");
    let saved = line(&mut bench, "layout save narrow");
    assert!(saved.contains("layout narrow saved"), "{saved}");
    let mine = bench.keys("<down> <up>");
    let reset = line(&mut bench, "layout default");
    assert_eq!(card(&reset), card(&by_itself));
    assert_eq!(table(&reset).0, table(&by_itself).0);
    line(&mut bench, "layout narrow");
    assert_eq!(bench.keys("<down> <up>"), mine);
    let wrong = line(&mut bench, "layout narow");
    assert!(wrong.contains("no layout is called narow") && wrong.contains("narrow"), "{wrong}");
    bench.keys("<esc>");
    let offered = line(&mut bench, "layout remove");
    assert!(offered.contains("remove which layout") && offered.contains("narrow"), "{offered}");
    let before = bench.keys("<esc> <down> <up>");
    assert!(line(&mut bench, "layout remove narrow").contains("layout narrow removed"));
    assert_eq!(bench.keys("<down> <up>"), before, "what is shown stays");
    for (again, said) in [
        ("layout narrow", "no layout is called narrow"),
        ("layout remove narrow", "no layout is called narrow"),
        ("layout remove", "no layout is saved"),
    ] {
        let refused = line(&mut bench, again);
        assert!(refused.contains(said), "{again}: {refused}");
        bench.keys("<esc>");
    }
    assert!(line(&mut bench, "resize card 1000").contains("card: 100 columns"));
    assert!(line(&mut bench, "hide rows").contains("no pane is called rows"));
}

/// Rows that an export writes, split at commas; the heading first.
fn exported(bench: &mut Bench, path: &std::path::Path) -> Vec<Vec<String>> {
    let said = line(bench, &format!("export {}", path.display()));
    assert!(said.contains("rows written to"), "{said}");
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|l| l.split(',').map(str::to_owned).collect()).collect()
}

#[test]
fn what_is_written_to_a_file_has_the_columns_and_the_order_of_the_screen() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { export: Some(backtrail::cli::output::file::export), ..Options::default() };
    let mut bench = Bench::with(story(), Arc::new(Notebook::default()), LARGE, options);
    bench.keys("2");
    line(&mut bench, "columns bytes, peer, start, m, name");
    line(&mut bench, "sort -bytes");
    let rows = exported(&mut bench, &dir.path().join("a.csv"));
    assert_eq!(rows[0], ["bytes", "src.ip", "dst.ip", "start", "seen_by", "name"]);
    let bytes: Vec<u64> = rows[1..].iter().map(|r| r[0].parse().unwrap()).collect();
    assert_eq!(bytes.len(), 60);
    assert!(bytes[0] > bytes[59] && bytes.is_sorted_by(|a, b| a >= b), "{bytes:?}");
    // As JSON Lines the records are whole, in the same order.
    line(&mut bench, &format!("export {}", dir.path().join("a.jsonl").display()));
    let whole = std::fs::read_to_string(dir.path().join("a.jsonl")).unwrap();
    let whole: Vec<serde_json::Value> = whole.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert!(whole.len() == 60 && whole[0]["src.port"].is_u64(), "{:?}", whole[0]);
    for (row, record) in rows[1..].iter().zip(&whole) {
        assert_eq!((&row[1], &row[3]), (&record["src.ip"].as_str().unwrap().into(), &record["start"].as_str().unwrap().into()));
    }
    // As they are by themselves, in the order of time; a table has the same columns.
    line(&mut bench, "sort off");
    line(&mut bench, "columns default");
    let rows = exported(&mut bench, &dir.path().join("b.csv"));
    assert!(rows[1..].is_sorted_by(|a, b| a[0] <= b[0]) && rows[0][..3] == ["start", "src.ip", "dst.ip"], "{rows:?}");
    line(&mut bench, &format!("export {}", dir.path().join("b.txt").display()));
    let text = std::fs::read_to_string(dir.path().join("b.txt")).unwrap();
    let heading: Vec<&str> = text.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(heading, rows[0]);
    // Groups are written in their order too.
    line(&mut bench, "query kind = flow | count by dst.port");
    line(&mut bench, "sort dst.port");
    let up = exported(&mut bench, &dir.path().join("c.csv"));
    line(&mut bench, "sort -dst.port");
    let mut down = exported(&mut bench, &dir.path().join("d.csv"));
    down[1..].reverse();
    assert!(up.len() > 3 && up == down, "{up:?} {down:?}");
}
