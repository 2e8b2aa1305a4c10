//! The first hour on the story, by keys: what a responder does with forty files and no alert to start from. Bytes go through the decoder and
//! the keymap as from a terminal; keys are counted; what the screen says is compared with the story's truth and with questions asked apart.

use crate::story::story;
use backtrail::case::{Keeper, LocalKeeper};
use backtrail::ingest::{Request, Watch, ingest};
use backtrail::model::decision::{What, Who};
use backtrail::model::time::SECOND;
use backtrail::model::{Record, Time};
use backtrail::query::engine::{Cancel, Page};
use backtrail::query::known::Known;
use backtrail::query::{Engine, LocalEngine};
use backtrail::store::{OpenOptions, Reserve, Store};
use backtrail::tui::decode::{Decoder, InputEvent};
use backtrail::tui::{App, Event, Options};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use serde_json::Value as Json;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};
use tempfile::TempDir;

static TRUTH: LazyLock<Json> = LazyLock::new(|| serde_json::from_slice(&std::fs::read(story("truth.json")).unwrap()).unwrap());

fn text(pointer: &str) -> &'static str {
    TRUTH.pointer(pointer).and_then(Json::as_str).unwrap_or_else(|| panic!("truth.json has no text {pointer}"))
}

fn number(pointer: &str) -> i64 {
    TRUTH.pointer(pointer).and_then(Json::as_i64).unwrap_or_else(|| panic!("truth.json has no number {pointer}"))
}

/// Alerts of a signature.
fn alerts(signature: u64) -> u64 {
    let all = TRUTH["alerts"].as_array().unwrap();
    all.iter().find(|a| a["signature_id"] == signature).unwrap()["count"].as_u64().unwrap()
}

fn options() -> OpenOptions {
    OpenOptions { create: true, ballast: 0, reserve: Reserve { percent: 0, bytes: 0 }, ..OpenOptions::default() }
}

/// The story, imported once; each test works on a copy.
static IMPORTED: LazyLock<TempDir> = LazyLock::new(|| {
    let dir = TempDir::with_prefix("backtrail-hour-").unwrap();
    let store = Store::open(&dir.path().join("case"), &options()).unwrap();
    let request = Request { paths: vec![story(".")], ..Request::default() };
    let now = Time::parse("2026-11-21T00:00:00Z").unwrap();
    ingest(&store, &request, &Watch { stop: Arc::new(|| false), progress: &|_| (), now }).unwrap();
    dir
});

fn copied(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copied(&path, &target);
        } else if entry.file_name() != "LOCK" {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}

/// A responder at a terminal.
struct Desk {
    app: App,
    engine: Arc<LocalEngine>,
    keeper: Arc<LocalKeeper>,
    terminal: Terminal<TestBackend>,
    decoder: Decoder,
    /// Keys pressed since the last task; a paste is one.
    keys: usize,
    dir: TempDir,
}

impl Desk {
    fn new() -> Desk {
        let dir = TempDir::with_prefix("backtrail-hour-").unwrap();
        copied(&IMPORTED.path().join("case"), &dir.path().join("case"));
        Desk::at(dir)
    }
    fn at(dir: TempDir) -> Desk {
        let open = || Store::open(&dir.path().join("case"), &options());
        // The threads of the workbench before let go of the case in their own time.
        let limit = Instant::now() + Duration::from_secs(20);
        let mut store = open();
        while store.is_err() && Instant::now() < limit {
            std::thread::sleep(Duration::from_millis(10));
            store = open();
        }
        let store = store.unwrap();
        let engine = Arc::new(LocalEngine::new(store.clone(), Box::new(Known::default())));
        let who = Who { name: "ana".into(), ..Who::default() };
        let keeper = Arc::new(LocalKeeper::of(store, who, "desk".into()));
        let options = Options { export: Some(backtrail::cli::output::file::export), ..Options::default() };
        let app = App::new(engine.clone(), keeper.clone(), options).unwrap();
        let terminal = Terminal::new(TestBackend::new(120, 40)).unwrap();
        let mut desk = Desk { app, engine, keeper, terminal, decoder: Decoder::new(30), keys: 0, dir };
        desk.send(b"");
        desk
    }
    /// The terminal is gone without a word, and the program is started again.
    fn restarted(self) -> Desk {
        let Desk { app, engine, keeper, dir, .. } = self;
        drop((app, engine, keeper));
        Desk::at(dir)
    }
    /// Bytes as a terminal sends them.
    fn send(&mut self, bytes: &[u8]) {
        let mut events = Vec::new();
        self.decoder.feed(bytes, &mut events);
        while self.decoder.wait().is_some() {
            self.decoder.timeout(&mut events);
        }
        for event in events {
            self.keys += usize::from(matches!(event, InputEvent::Key(_) | InputEvent::Paste(_)));
            self.app.handle(Event::Input(event));
        }
        assert!(self.app.settle());
        self.terminal.draw(|frame| self.app.draw(frame)).unwrap();
    }
    /// Words apart by blanks: `<enter>` is a key by its name, anything else is typed. Gives the screen.
    fn press(&mut self, script: &str) -> String {
        for word in script.split_whitespace() {
            match word.strip_prefix('<').and_then(|w| w.strip_suffix('>')) {
                Some(name) => self.send(sent(name)),
                None => word.chars().for_each(|c| self.send(c.encode_utf8(&mut [0; 4]).as_bytes())),
            }
        }
        self.screen()
    }
    fn paste(&mut self, text: &str) -> String {
        self.send(format!("\x1b[200~{text}\x1b[201~").as_bytes());
        self.screen()
    }
    fn screen(&self) -> String {
        let buffer = self.terminal.backend().buffer();
        let line = |y| (0..buffer.area.width).map(|x| buffer[(x, y)].symbol()).collect::<String>().trim_end().to_owned();
        (0..buffer.area.height).map(line).collect::<Vec<_>>().join("\n")
    }
    /// The lines of the table in sight that show a record of the day, without what stands beside the table.
    fn rows(&self) -> Vec<String> {
        let screen = self.screen();
        let table = screen.lines().filter_map(|l| l.split_once("││")).map(|(_, row)| row.trim_end_matches(['│', ' ']).to_owned());
        table.filter(|row| row.contains(" Nov ")).collect()
    }
    fn count(&self, query: &str) -> u64 {
        let question = self.engine.compile(query).unwrap_or_else(|e| panic!("{query}: {e}"));
        self.engine.counts(&[question], u64::MAX, &Cancel::default()).unwrap()[0].n
    }
    /// Every record of a question, of a connection that several sources saw the record of each.
    fn records(&self, query: &str) -> Vec<Record> {
        let mut question = self.engine.compile(query).unwrap_or_else(|e| panic!("{query}: {e}"));
        question.every_sighting = true;
        let mut out = Vec::new();
        let each = &mut |r| {
            out.push(r);
            true
        };
        self.engine.select(&question, &Page::default(), &Cancel::default(), each).unwrap();
        out
    }
    /// Says how many keys a task took, holds it to a bound, and begins to count anew.
    fn took(&mut self, task: &str, most: usize) {
        println!("{task}: {} keys", self.keys);
        assert!(self.keys <= most, "{task} took {} keys, more than {most}", self.keys);
        self.keys = 0;
    }
}

/// What a terminal sends for a key.
fn sent(name: &str) -> &'static [u8] {
    match name {
        "enter" => b"\r",
        "esc" => b"\x1b",
        "tab" => b"\t",
        "space" => b" ",
        "backspace" => b"\x7f",
        "up" => b"\x1b[A",
        "down" => b"\x1b[B",
        "right" => b"\x1b[C",
        "pgup" => b"\x1b[5~",
        "ctrl-f" => b"\x06",
        "ctrl-u" => b"\x15",
        other => panic!("what does a terminal send for {other}?"),
    }
}

#[test]
fn the_proxys_clock_stands_right_and_what_is_set_by_hand_goes_before_what_was_measured() {
    let mut desk = Desk::new();
    // The colleague's click: the proxy wrote it seven hours early; corrected, its connection to the proxy is beside it.
    let click = format!(", {} <enter> 4 / action=deny <enter> A", text("/colleague/client"));
    desk.press(&click);
    let beside = |desk: &Desk| {
        let rows = desk.rows();
        let at = rows.iter().position(|r| r.starts_with('▸')).unwrap_or_else(|| panic!("{}", desk.screen()));
        let near = &rows[at.saturating_sub(1)..(at + 2).min(rows.len())];
        (rows[at].clone(), near.iter().any(|r| r.contains(" flow ") && r.contains("10.8.30.8")))
    };
    let (row, found) = beside(&desk);
    assert!(row.contains("17 Nov 08:09:26") && row.contains("deny") && found, "{}", desk.screen());
    desk.keys = 0;

    let choices = desk.press("s <ctrl-f> squid <enter> e");
    assert!(choices.contains("o its offset"), "what may follow is said\n{choices}");
    let asked = desk.press("o");
    assert!(asked.contains("add to times of squid-access"), "{asked}");
    // Somebody thinks that it is a zone: what is set by hand goes before what was measured, until it is taken back.
    let set = desk.press("<ctrl-u> 7h <enter>");
    let line = set.lines().find(|l| l.contains("squid-access") && l.contains("4,410")).unwrap();
    assert!(line.contains("+7h") && !line.contains("measured") && line.contains("2026-11-09 02:"), "{set}");
    desk.press("<esc>");
    desk.took("the proxy's clock set by hand", 20);
    let offset = 7 * 3600 * SECOND;
    let kept = desk.keeper.decisions();
    assert!(
        kept.iter().any(
            |d| matches!(&d.what, What::SourceSet { source, offset: Some(n), .. } if source == "squid-access" && *n == offset)
        )
    );

    let screen = desk.press(&click);
    let (row, _) = beside(&desk);
    assert!(row.contains("17 Nov 08:08:49") && row.contains("deny") && !screen.contains("08:09:26.639 proxy"), "{screen}");
    desk.took("the click found, with what stands beside it", 30);
    // One key takes it back, and the line is where the measured clock puts it.
    desk.press("u");
    let right = desk.count("kind = proxy and action = deny and around 2026-11-17T08:09:26Z 2s");
    assert_eq!(right, 1);
}

#[test]
fn noise_of_two_signatures_is_put_away_with_a_scope_and_home_counts_what_is_left() {
    let mut desk = Desk::new();
    let all: u64 = TRUTH["alerts"].as_array().unwrap().iter().map(|a| a["count"].as_u64().unwrap()).sum();
    assert!(desk.screen().contains(&format!("{all} of {all} not reviewed")), "{}", desk.screen());
    // The proxy's: at its one target, for a month.
    let scopes = desk.press("R <ctrl-f> CONNECT <enter> v <enter>");
    assert!(scopes.contains("this signature at 10.8.30.8") && scopes.contains(&alerts(9_000_003).to_string()), "{scopes}");
    let said = desk.press("<enter> our <space> proxy <space> for <space> 30d <enter>");
    assert!(said.contains("this signature at 10.8.30.8: benign until"), "{said}");
    desk.took("the noise of one signature put away", 35);
    // The printers': both groups marked, anywhere.
    let scopes = desk.press("<ctrl-f> <ctrl-u> Print <enter> <space> <space> v <enter>");
    assert!(scopes.contains("anywhere"), "{scopes}");
    let said = desk.press("<down> <enter> office <space> printers <enter>");
    assert!(said.contains("benign"), "{said}");
    desk.took("the noise of another, of two groups at once", 35);

    let left = all - alerts(9_000_003) - alerts(9_000_001);
    let home = desk.press("<esc> 0");
    assert!(home.contains(&format!("{left} of {all} not reviewed")), "{home}");
    assert_eq!(desk.count("kind = alert and not exists verdict"), left);
    let rows = desk.press("1 H");
    assert!(rows.contains(&format!("Alerts {left}")) && rows.contains(&format!("-{} benign", all - left)), "{rows}");
    // Each verdict names its signature; neither covers anything else.
    assert_eq!(desk.count("verdict = benign"), all - left);
    assert_eq!(desk.count("verdict = benign and not signature.id in {9000001, 9000003}"), 0);
    let queries: Vec<String> = desk
        .keeper
        .decisions()
        .iter()
        .filter_map(|d| match &d.what {
            What::Verdict { about: backtrail::model::decision::About::Query(q), .. } => Some(q.clone()),
            _ => None,
        })
        .collect();
    assert!(queries.len() == 2 && queries[0].contains("10.8.30.8") && !queries[1].contains("10.8.50"), "{queries:?}");
}

/// What a report says of the story, and as much again that is not in it; fifty indicators.
fn prose() -> (String, Vec<String>) {
    let defang = |text: &str| text.replace('.', "[.]").replace("http", "hxxp");
    let mut here: Vec<String> = [
        "/beacon/dst",
        "/beacon/sni",
        "/beacon/ja3",
        "/beacon/ja4",
        "/download/address",
        "/download/asked_name",
        "/download/cname",
        "/download/url",
        "/download/sha256",
        "/download/md5",
        "/download/sha1",
        "/download/phishing_mail/src",
        "/exfiltration/dst",
        "/exfiltration/sni",
        "/sql_injection/src",
        "/colleague/url",
    ]
    .map(|pointer| text(pointer).to_owned())
    .into();
    here.extend(["198.51.100.201".into(), "192.0.2.200".into()]);
    let mut gone: Vec<String> = (0..10).map(|n| format!("c2-{n}.never-seen.test")).collect();
    gone.extend((0..8).map(|n| format!("192.0.2.{}", 240 + n)));
    gone.extend((0..6).map(|n| format!("{n}{}", "4c0ffee".repeat(9))));
    gone.extend((0..4).map(|n| format!("CVE-2031-1000{n}")));
    gone.extend((0..4).map(|n| format!("http://never-seen.test/{n}.bin")));
    let mut out = String::from("Incident summary.\n\n");
    let all: Vec<String> = here.iter().chain(&gone).cloned().collect();
    for (n, indicator) in all.iter().enumerate() {
        let word = ["We saw", "It also used", "Block", "Hosts that asked for", "The sample is"][n % 5];
        out.push_str(&format!("{word} {} ({}).{}", defang(indicator), n + 1, if n % 3 == 2 { "\n" } else { " " }));
    }
    (out, here)
}

/// The records of an indicator, by a question written here and not by the sweep.
fn question(kind: &str, text: &str) -> String {
    let what = match kind {
        "address" => format!("(host = {text} or dhcp.address = {text})"),
        "name" => {
            ["name", "sni", "http.host", "dns.answer.name", "cert.san", "hostname"].map(|f| format!("{f} = {text}")).join(" or ")
        }
        "url" => format!("url = \"{text}\" or http.referer = \"{text}\""),
        _ => ["md5", "sha1", "sha256", "cert.sha1", "cert.sha256", "ja3", "ja3s", "ja4"]
            .map(|f| format!("{f} = {text}"))
            .join(" or "),
    };
    format!("({what}) and kind != inventory")
}

#[test]
fn fifty_indicators_out_of_prose_are_swept_with_coverage_exported_and_there_after_a_restart() {
    let mut desk = Desk::new();
    let (report, here) = prose();
    desk.press("I");
    let screen = desk.paste(&report);
    assert!(screen.contains(&format!("50 indicators, {} seen", here.len())), "{screen}");
    desk.took("fifty indicators swept", 2);

    // What stands on the screen is what is written, row by row.
    let path: PathBuf = desk.dir.path().join("sweep.jsonl");
    let said = desk.press(&format!("x <ctrl-u> {} <enter>", path.display()));
    assert!(said.contains("50 rows written"), "{said}");
    let written = std::fs::read_to_string(&path).unwrap();
    let rows: Vec<Json> = written.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(rows.len(), 50);
    let exported =
        |w: &What| matches!(w, What::Export { what, sha256, .. } if what.contains("50 rows of: the sweep") && sha256.len() == 64);
    assert!(desk.keeper.decisions().iter().any(|d| exported(&d.what)));
    let seen: BTreeSet<&str> = rows.iter().filter(|r| r["seen"] == true).map(|r| r["indicator"].as_str().unwrap()).collect();
    assert_eq!(seen, here.iter().map(String::as_str).collect());

    for row in &rows {
        let (kind, indicator) = (row["kind"].as_str().unwrap(), row["indicator"].as_str().unwrap());
        let query = question(kind, indicator);
        let hits = row["hits"].as_u64().unwrap();
        if !here.iter().any(|h| h == indicator) {
            assert_eq!((hits, desk.count(&query)), (0, 0), "{indicator}");
            let note = row["note"].as_str().unwrap();
            let could = row["could_have_seen"].as_array().unwrap();
            assert!(!could.is_empty() && note.starts_with("none, and ") && note.contains("could have seen it"), "{row}");
            continue;
        }
        assert_eq!(desk.count(&query), hits + row["reached_by_dns"].as_u64().unwrap(), "{query}");
        if kind == "name" {
            continue;
        }
        let records = desk.records(&query);
        let mut sources = serde_json::Map::new();
        for record in &records {
            let n = sources.entry(desk.engine.source_name(record.source)).or_insert_with(|| 0.into());
            *n = (n.as_u64().unwrap() + 1).into();
        }
        assert_eq!(row["sources"], Json::Object(sources), "{indicator}");
        let first = records.iter().map(Record::time).min().unwrap();
        let last = records.iter().map(Record::until).max().unwrap();
        assert_eq!(
            (row["start"].as_str(), row["end"].as_str()),
            (Some(&*first.rfc3339()), Some(&*last.rfc3339())),
            "{indicator}"
        );
    }
    // The hosts that had to do with command and control: patient zero, who told it the address, and what the gateway makes of it.
    let control = rows.iter().find(|r| r["indicator"] == text("/beacon/dst")).unwrap();
    assert_eq!(control["hosts"], serde_json::json!(["10.8.21.5", "10.8.30.2", "198.51.100.2"]), "{control}");
    let beacons =
        format!("kind = flow and src.ip = {} and dst.ip = {} and not exists via", text("/beacon/src"), text("/beacon/dst"));
    assert_eq!(desk.count(&beacons) as i64, number("/beacon/count"));

    // Coverage in the list itself: an indicator that is not there says who could have seen it.
    let absent = desk.press("/ CVE-2031 <enter>");
    let line = absent.lines().find(|l| l.contains("CVE-2031-10000")).unwrap();
    assert!(line.contains("could have seen it"), "{absent}");
    desk.press("\\ / never-seen <enter> <down>");
    let before = desk.screen();
    assert!(before.contains("14 with \"never-seen\" of 50 indicators"), "{before}");
    desk.keys = 0;

    // The line drops: the list is there again with its filter and cursor; also where one had gone on from it.
    let mut desk = desk.restarted();
    assert_eq!(desk.screen(), before);
    let there = desk.press("\\ <enter>");
    assert!(!there.contains("indicators"), "{there}");
    let mut desk = desk.restarted();
    assert_eq!(desk.rows(), rows_of(&there), "{}", desk.screen());
    let back = desk.press("<backspace>");
    assert!(back.contains(&format!("50 indicators, {} seen", here.len())), "{back}");
    // Of a file the file is read again; closed, it does not come back.
    let file = desk.dir.path().join("report.txt");
    std::fs::write(&file, &report).unwrap();
    let screen = desk.press(&format!("<esc> : sweep <space> {} <enter> <down> <down>", file.display()));
    assert!(screen.contains("sweep report.txt") && screen.contains("50 indicators"), "{screen}");
    let mut desk = desk.restarted();
    assert_eq!(desk.screen(), screen);
    desk.press("<esc>");
    let desk = desk.restarted();
    assert!(!desk.screen().contains("indicators"), "{}", desk.screen());
}

/// The rows of a table on a screen.
fn rows_of(screen: &str) -> Vec<String> {
    let table = screen.lines().filter_map(|l| l.split_once("││")).map(|(_, row)| row.trim_end_matches(['│', ' ']).to_owned());
    table.filter(|row| row.contains(" Nov ")).collect()
}

#[test]
fn two_hosts_are_marked_and_looked_at_together() {
    let mut desk = Desk::new();
    let shares = desk.press("1 / ADMIN <enter>");
    assert_eq!(desk.rows().len() as u64, alerts(2_102_474), "{shares}");
    let both = desk.press("<right> <right> <right> <space> <space> <enter>");
    desk.took("two hosts marked and looked at together", 14);
    let (a, b) = ("10.8.21.23", "10.8.21.31");
    assert!(both.contains("these 2 hosts") && both.contains(a) && both.contains(b), "{both}");
    let of = |what: &str| desk.count(&format!("kind = flow and {what}"));
    let union = of(&format!("host in {{{a}, {b}}}"));
    let (of_a, of_b, of_both) =
        (of(&format!("host = {a}")), of(&format!("host = {b}")), of(&format!("host = {a} and host = {b}")));
    assert!(of_a > 0 && of_b > 0);
    assert_eq!(union, of_a + of_b - of_both);
    assert!(both.contains(&format!("2Flows {union}")) || both.contains(&format!("2 Flows {union}")), "{union}: {both}");
    // Both sessions by which the program came, on one screen.
    let sessions: Vec<&Json> = TRUTH["lateral"]["shares"]["sessions"].as_array().unwrap().iter().collect();
    for session in sessions.iter().filter(|s| s["share"].as_str().unwrap().contains("ADMIN$")) {
        let at = session["start"].as_str().unwrap()[11..19].to_owned();
        let dst = session["dst"].as_str().unwrap();
        assert!(desk.rows().iter().any(|r| r.contains(&at) && r.contains(dst) && r.contains("445")), "{at} {dst}: {both}");
    }
}

#[test]
fn enter_on_an_alert_goes_to_the_end_that_is_home_by_what_people_said() {
    for (site, end) in [("", text("/beacon/src")), (": site <space> ours <space> 203.0.113.0/24 <enter>", text("/beacon/dst"))] {
        let mut desk = Desk::new();
        desk.press(site);
        let there = desk.press("1 / signature.id=2028401 <enter> <enter>");
        assert!(there.contains(&format!("▸ {end}")), "{end}\n{there}");
    }
}

#[test]
fn all_around_one_alert_shows_what_happened_in_every_source() {
    let mut desk = Desk::new();
    desk.press("R <ctrl-f> PE <space> EXE <enter> <enter>");
    assert_eq!(desk.rows().len() as u64, alerts(2_018_959), "{}", desk.screen());
    let screen = desk.press("A");
    desk.took("all around the alert of the download", 14);
    assert!(screen.contains(text("/download/patient_zero")), "{screen}");
    let after = desk.rows();
    let cursor = after.iter().find(|r| r.starts_with('▸')).unwrap();
    assert!(cursor.contains("alert") && cursor.contains("PE EXE"), "{screen}");
    // One page back is what came before it.
    desk.press("<pgup>");
    let begun = |row: &String| row.trim_start_matches(['▸', ' ']).to_owned();
    let mut rows: Vec<String> = desk.rows().iter().map(begun).collect();
    let known = rows.clone();
    rows.extend(after.iter().map(begun).filter(|row| !known.contains(row)));
    let has = |all: &[&str]| rows.iter().any(|r| all.iter().all(|what| r.contains(what)));
    for what in [
        // It asked for the name, fetched the program, and the address is the one that the gateway translated.
        &["08:03:41.197", "dns ", "A files.parcel-notice"][..],
        &["08:03:41.218", "flow ", text("/download/address"), ":80"],
        &["08:03:41.313", "http ", text("/download/address"), "GET http://files.parcel-notic"],
        &["file ", text("/download/file")],
        &["08:03:41.2", "fw ", text("/download/address"), "NAT 198.51.100.2"],
    ] {
        assert!(has(what), "{what:?}\n{screen}");
    }
    // In order of time, all of the same minute or two.
    let times: Vec<&str> = rows.iter().filter_map(|r| r.split(" Nov ").nth(1)?.get(..12)).collect();
    assert!(times.len() >= 14 && times.is_sorted(), "{times:?}");
}
