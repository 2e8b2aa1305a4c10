//! The program as people run it: its exit status, what it prints in each form, and what it leaves behind.

use crate::story::story;
use backtrail::store::{OpenOptions, Reserve, Store};
use serde_json::Value as Json;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_backtrail");

fn sample(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("sample-data").join(name).display().to_string()
}

/// The program in a home of its own; nothing of who runs the test reaches it.
pub fn program(home: &Path) -> Command {
    let mut command = Command::new(PROGRAM);
    for name in
        ["BACKTRAIL_CASE", "BACKTRAIL_WAIT", "COLUMNS", "SSH_CONNECTION", "SSH_CLIENT", "XDG_CONFIG_HOME", "XDG_DATA_HOME"]
    {
        command.env_remove(name);
    }
    command
        .env("HOME", home)
        .env("TMPDIR", home)
        .env("BACKTRAIL_USER", "ana")
        .env("BACKTRAIL_LINGER", "300ms")
        .env("TERM", "dumb")
        .current_dir(home);
    command.stdin(Stdio::null());
    command
}

/// A small case, made by the program; processes take turns in it.
struct Small {
    home: TempDir,
    first: Ran,
}

static SMALL: LazyLock<Small> = LazyLock::new(|| {
    let home = TempDir::with_prefix("backtrail-cli-").unwrap();
    let names =
        ["protocols/http.pcap", "protocols/dns.pcap", "formats/suricata-eve.json", "story/inventory.csv", "story/reputation"];
    let paths = names.map(sample);
    let mut command = program(home.path());
    command.args(["--case", "case", "ingest", "--from", "J. Smith", "--ticket", "4711", "-o", "jsonl"]).args(&paths);
    let first = Ran::of(command.output().unwrap());
    Small { home, first }
});

#[derive(Debug)]
pub struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Ran {
    pub fn of(output: Output) -> Ran {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
    pub fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.out
    }
    pub fn failed(self) -> String {
        assert_eq!(self.code, Some(1), "{self:?}");
        self.err
    }
    pub fn rows(self) -> Vec<Json> {
        self.ok().lines().map(|l| serde_json::from_str(l).unwrap_or_else(|e| panic!("{e}: {l}"))).collect()
    }
}

/// The program on the small case.
fn on_case(args: &[&str]) -> Ran {
    let mut command = program(SMALL.home.path());
    Ran::of(command.args(["--case", "case", "--wait", "60s"]).args(args).output().unwrap())
}

/// The program without a case, in an empty home that has to stay empty.
fn alone(args: &[&str]) -> Ran {
    let home = TempDir::with_prefix("backtrail-cli-").unwrap();
    let ran = Ran::of(program(home.path()).args(args).output().unwrap());
    let left: Vec<PathBuf> = std::fs::read_dir(home.path()).unwrap().map(|e| e.unwrap().path()).collect();
    assert_eq!(left, [] as [PathBuf; 0], "{args:?} left something behind");
    ran
}

fn schema(row: &Json) -> &str {
    row["schema"].as_str().unwrap_or_else(|| panic!("no schema: {row}"))
}

#[test]
fn an_import_says_what_became_of_every_file() {
    assert_eq!(SMALL.first.code, Some(0), "{:?}", SMALL.first);
    let rows: Vec<Json> = SMALL.first.out.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let files: Vec<&Json> = rows.iter().filter(|r| schema(r) == "backtrail.ingest/1").collect();
    assert_eq!(files.len(), 6);
    assert!(files.iter().all(|r| r["outcome"] == "read" && r["records"].as_u64() > Some(0)), "{files:?}");
    let again = on_case(&["ingest", &sample("protocols/dns.pcap"), "-o", "jsonl"]).rows();
    assert_eq!((&again[0]["outcome"], &again[0]["records"]), (&Json::from("known"), &Json::from(0)));
}

#[test]
fn the_exit_status_is_0_when_done_1_when_failed_and_2_when_partly_read() {
    assert_eq!(alone(&["--version"]).code, Some(0));
    assert_eq!(alone(&["--help"]).code, Some(0));
    for wrong in [&["nosuch"][..], &["flows", "--nosuch"], &["--case", "/nonexistent/case", "flows"], &["completions", "dos"]] {
        let err = alone(wrong).failed();
        assert!(err.starts_with("error: "), "{err}");
    }
    let home = TempDir::new().unwrap();
    let pcap = std::fs::read(sample("protocols/http.pcap")).unwrap();
    std::fs::write(home.path().join("cut.pcap"), &pcap[..pcap.len() - 100]).unwrap();
    let cut = home.path().join("cut.pcap").display().to_string();
    let ran = alone(&["flows", "-r", &cut, "-o", "jsonl"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.err.contains("cut.pcap") && ran.err.contains("damaged"), "{}", ran.err);
    assert!(ran.out.contains("backtrail.flow/1"), "what stood before the damage is there");
    assert_eq!(alone(&["flows", "-r", "/nonexistent"]).code, Some(2));
    let ran =
        Ran::of(program(home.path()).args(["--case", "c", "ingest", &cut, &sample("protocols/dns.pcap")]).output().unwrap());
    assert_eq!(ran.code, Some(2), "{ran:?}");
}

#[test]
fn json_lines_are_flat_and_name_their_schema() {
    for (args, name) in [
        (&["flows"][..], "backtrail.flow/1"),
        (&["events"], "backtrail.event/1"),
        (&["alerts"], "backtrail.event/1"),
        (&["dns"], "backtrail.event/1"),
        (&["query", "kind = dns"], "backtrail.event/1"),
        (&["query", "* | count by kind"], "backtrail.group/1"),
        (&["query", "* | timeline 1d"], "backtrail.timeline/1"),
    ] {
        let rows = on_case(&[args, &["-o", "jsonl"]].concat()).rows();
        assert!(!rows.is_empty(), "{args:?}");
        for row in rows {
            assert_eq!(schema(&row), name, "{args:?}");
            for (key, value) in row.as_object().unwrap() {
                assert!(!value.is_object() || key == "extra", "{key}: {value}");
                let known = backtrail::model::field::find(key).is_some_and(|f| f.name == key);
                assert!(known || ["schema", "count", "sum", "clock.shift"].contains(&key.as_str()), "{key} is no field");
            }
        }
    }
}

#[test]
fn csv_has_a_header_of_field_names_and_a_cell_for_each() {
    let out = on_case(&["flows", "-o", "csv", "--columns", "start,src.ip,dst.port,bytes", "-n", "3"]).ok();
    let mut csv = csv::Reader::from_reader(out.as_bytes());
    assert_eq!(csv.headers().unwrap(), ["start", "src.ip", "dst.port", "bytes"].as_slice());
    assert_eq!(csv.records().map(|r| r.unwrap().len()).collect::<Vec<_>>(), [4, 4, 4]);
    let out = on_case(&["query", "kind = flow | count by app", "-o", "csv"]).ok();
    assert_eq!(out.lines().next(), Some("app,count"));
    let err = on_case(&["flows", "--columns", "src.ipp"]).failed();
    assert!(err.contains("did you mean"), "{err}");
}

fn sums(file: &str, by: &str) -> String {
    let out = ["bytes.out", "bytes.in", "packets.out", "packets.in"]
        .map(|field| alone(&["flows", "-r", file, "-o", "csv", &format!("* | sum {field} by {by}")]).ok());
    out.join("\n")
}

#[test]
fn conn_log_that_was_written_reads_back_with_the_same_totals() {
    let outside = story("outside.pcap").display().to_string();
    let home = TempDir::new().unwrap();
    let log = home.path().join("conn.log");
    std::fs::write(&log, alone(&["flows", "-r", &outside, "-o", "zeek"]).ok()).unwrap();
    for by in ["proto, dst.port", "state", "src.ip"] {
        assert_eq!(sums(&log.display().to_string(), by), sums(&outside, by), "{by}");
    }
    assert!(alone(&["events", "-r", &outside, "-o", "zeek"]).failed().contains("flows"));
}

#[test]
fn packets_that_were_cut_out_read_back_as_the_same_flows() {
    let home = TempDir::new().unwrap();
    let cut = home.path().join("cut.pcapng").display().to_string();
    let outside = story("outside.pcap").display().to_string();
    let said = alone(&["packets", "-r", &outside, "-w", &cut, "dst.port = 25 and state = SF"]).ok();
    assert!(said.contains(" packets of ") && said.contains(" from 1 capture ->"), "{said}");
    let rows = |file: &str, question: &str| -> Vec<String> {
        let out = alone(&[
            "flows",
            "-r",
            file,
            question,
            "-o",
            "csv",
            "--columns",
            "start,end,src.ip,src.port,state,history,bytes.out,bytes.in,sni",
        ])
        .ok();
        out.lines().map(str::to_owned).collect()
    };
    let (ours, theirs) = (rows(&cut, ""), rows(&outside, "dst.port = 25 and state = SF"));
    assert!(ours.len() > 50);
    assert_eq!(ours, theirs);
    let err = alone(&["packets", "-r", &outside, "-w", &cut, "dst.port = 1"]).failed();
    assert!(err.contains("nothing to write"), "{err}");
    // From a case it is journalled.
    let cut = home.path().join("case.pcapng").display().to_string();
    on_case(&["packets", "-w", &cut, "app = http"]).ok();
    assert!(on_case(&["report", "-o", "json"]).ok().contains("\"schema\": \"backtrail.report/1\""));
}

#[test]
fn packets_that_cannot_be_read_leave_what_was_there() {
    let home = TempDir::new().unwrap();
    let run = |args: &[&str]| Ran::of(program(home.path()).args(["--case", "case"]).args(args).output().unwrap());
    let capture = home.path().join("http.pcap");
    std::fs::copy(sample("protocols/http.pcap"), &capture).unwrap();
    run(&["ingest", "http.pcap"]).ok();
    run(&["packets", "-w", "cut.pcapng", "kind = flow"]).ok();
    let cut = std::fs::read(home.path().join("cut.pcapng")).unwrap();
    assert!(cut.len() > 1000);
    std::fs::rename(&capture, home.path().join("elsewhere")).unwrap();
    let err = run(&["packets", "-w", "cut.pcapng", "kind = flow"]).failed();
    assert!(err.contains("put it back"), "{err}");
    assert_eq!(std::fs::read(home.path().join("cut.pcapng")).unwrap(), cut);
    assert!(!home.path().join("cut.pcapng.part").exists());
}

#[test]
fn passive_dns_is_printed_in_its_common_format() {
    let all = on_case(&["dns", "-o", "cof"]).ok();
    assert!(!all.is_empty());
    for line in all.lines() {
        let row: Json = serde_json::from_str(line).unwrap();
        assert!(row["rrname"].as_str().unwrap().ends_with('.'), "{line}");
        assert!(["rrtype", "rdata"].iter().all(|f| row[*f].as_str().is_some_and(|t| !t.is_empty())), "{line}");
        assert!(row["time_first"].as_i64().unwrap() <= row["time_last"].as_i64().unwrap() && row["count"].as_u64() > Some(0));
    }
    // What is derived says what the events say.
    assert_eq!(on_case(&["dns", "dst.port != 1", "-o", "cof"]).ok(), all);
    assert!(on_case(&["flows", "-o", "cof"]).failed().contains("passive DNS"));
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let home = TempDir::new().unwrap();
    let mut child = program(home.path())
        .args(["query", "-r", &story("auth.log").display().to_string(), "-o", "jsonl"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert!(first.contains("backtrail.event/1"));
    let ran = Ran::of(child.wait_with_output().unwrap());
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
}

#[test]
fn errors_of_a_question_point_at_the_place_and_name_the_nearest() {
    let err = on_case(&["flows", "src.ip = 10.0.0.1 and dst.prot = 80"]).failed();
    let lines: Vec<&str> = err.lines().collect();
    let at = lines.iter().position(|l| l.contains("dst.prot = 80")).unwrap();
    assert_eq!(lines[at].find("dst.prot"), lines[at + 1].find('^'), "{err}");
    assert_eq!(lines[at + 1].matches('^').count(), "dst.prot".len(), "{err}");
    assert!(err.contains("did you mean dst.port?"), "{err}");
    assert!(on_case(&["flows", "bytes >"]).failed().contains('^'));
}

#[test]
fn bookmarks_notes_and_tags_are_kept_and_told_in_the_report() {
    let home = TempDir::new().unwrap();
    let case = |args: &[&str]| Ran::of(program(home.path()).args(["--case", "c"]).args(args).output().unwrap());
    case(&["ingest", &sample("protocols/dns.pcap"), "--from", "J. Smith", "--how", "disk image", "--ticket", "4711"]).ok();
    let said = case(&["bookmark", "add", "kind = dns", "--title", "questions"]).ok();
    assert!(said.starts_with("bookmark ") && said.ends_with(" kept\n"), "{said}");
    case(&["note", "the first *note*"]).ok();
    case(&["note", "about a host", "--about", "10.0.0.1"]).ok();
    case(&["tag", "odd", "10.0.0.1"]).ok();
    let kept = case(&["bookmark", "list", "--json"]).rows();
    assert_eq!((schema(&kept[0]), &kept[0]["title"], &kept[0]["new"]), ("backtrail.bookmark/1", &"questions".into(), &0.into()));
    assert_eq!(kept[0]["who"], "ana");
    let rows = kept[0]["rows"].as_u64().unwrap();
    assert!(rows > 0);
    let notes = case(&["note", "--json"]).rows();
    assert_eq!(notes.iter().map(|n| n["text"].as_str().unwrap()).collect::<Vec<_>>(), ["the first *note*", "about a host"]);
    assert!(case(&["tag"]).ok().contains("odd"));

    // More evidence: the bookmark says so.
    case(&["ingest", &sample("protocols/mdns.pcap")]).ok();
    let kept = case(&["bookmark", "list", "--json"]).rows();
    let new = kept[0]["new"].as_u64().unwrap();
    assert!(new > 0);
    assert!(case(&["bookmark", "list"]).ok().contains(&format!("+{new}")));
    let md = case(&["report", "-o", "md"]).ok();
    for part in ["# Case c", "questions", "about a host", "J. Smith", "4711", "disk image", "dns.pcap", "odd"] {
        assert!(md.contains(part), "{part}\n{md}");
    }
    let json: Json = serde_json::from_str(&case(&["report", "-o", "json"]).ok()).unwrap();
    assert_eq!((schema(&json), &json["bookmarks"][0]["rows.now"]), ("backtrail.report/1", &Json::from(rows + new)));
    let file = home.path().join("r.md");
    case(&["report", "-w", &file.display().to_string()]).ok();
    assert!(std::fs::read_to_string(&file).unwrap().contains("questions"));
    assert_eq!(case(&["trail"]).code, Some(0));
    case(&["bookmark", "remove", &kept[0]["id"].to_string()]).ok();
    assert_eq!(case(&["bookmark", "list", "--json"]).ok(), "");
    assert!(case(&["bookmark", "remove", "999"]).failed().contains("no bookmark 999"));
}

#[test]
fn a_case_is_verified_and_a_changed_file_is_said_to_be_changed() {
    let home = TempDir::new().unwrap();
    let case = |args: &[&str]| Ran::of(program(home.path()).args(["--case", "c"]).args(args).output().unwrap());
    std::fs::copy(sample("protocols/dns.pcap"), home.path().join("a.pcap")).unwrap();
    case(&["ingest", "a.pcap"]).ok();
    let said = case(&["verify"]).ok();
    assert!(said.contains("all checksums hold") && said.contains("as imported"), "{said}");
    std::fs::write(home.path().join("a.pcap"), b"something else").unwrap();
    let ran = case(&["verify"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.out.contains("CHANGED"), "{}", ran.out);
    assert_eq!(case(&["verify", "--quick"]).code, Some(0));
    std::fs::remove_file(home.path().join("a.pcap")).unwrap();
    assert!(case(&["verify"]).out.contains("GONE"));
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(home.path().join("c")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    assert!(case(&["doctor"]).ok().contains("1 evidence files, "));
}

#[test]
fn a_clock_set_by_hand_moves_the_times_and_not_what_is_stored() {
    let home = TempDir::new().unwrap();
    let case = |args: &[&str]| Ran::of(program(home.path()).args(["--case", "c"]).args(args).output().unwrap());
    case(&["ingest", &story("auth.log").display().to_string()]).ok();
    let first = || case(&["query", "kind = auth", "-n", "1", "-o", "jsonl"]).rows().remove(0);
    assert_eq!(first()["start"], "2026-11-09T01:17:00Z");
    let said = case(&["sources", "set", "build1", "--tz", "Europe/Berlin"]).ok();
    assert!(said.contains("Europe/Berlin by hand"), "{said}");
    assert_eq!((&first()["start"], &first()["start.raw"]), (&"2026-11-09T00:17:00Z".into(), &"2026-11-09T01:17:00Z".into()));
    case(&["sources", "set", "build1", "--offset", "-30s", "--site", "Hamburg"]).ok();
    assert_eq!(first()["start"], "2026-11-09T00:16:30Z");
    let rows = case(&["sources", "-o", "jsonl"]).rows();
    let schemas: Vec<&str> = rows.iter().map(schema).collect();
    assert_eq!(schemas, ["backtrail.source/1", "backtrail.evidence/1"]);
    assert_eq!((&rows[0]["site"], &rows[0]["start"]), (&"Hamburg".into(), &"2026-11-09T00:16:30Z".into()));
    assert!(case(&["sources", "set", "bild1", "--year", "2025"]).failed().contains("did you mean `build1`?"));
    assert!(case(&["sources", "set", "build1", "--tz", "Mars/Olympus"]).failed().contains("not a time zone"));
    assert!(case(&["sources", "set", "build1"]).failed().contains("nothing to set"));
}

#[test]
fn a_capture_is_read_with_the_timeouts_and_the_checksum_rule_that_were_asked_for() {
    let read = |option: &str, value: &str, capture: &str| {
        let home = TempDir::with_prefix("backtrail-options-").unwrap();
        let case = |args: &[&str]| Ran::of(program(home.path()).args(["--case", "c"]).args(args).output().unwrap());
        let done = case(&["ingest", option, value, &sample(capture)]);
        if done.code == Some(0) { case(&["flows", "-o", "jsonl"]).rows() } else { Vec::new() }
    };
    // Its datagrams pause for more than one minute and for less than five.
    let rows = |profile: &str| read("--timeouts", profile, "protocols/sip.pcap").len();
    let counts = ["zeek", "suricata", "silk", "argus"].map(rows);
    assert!(counts[0] > counts[2] && counts[2] > 0 && counts[3] == 0, "{counts:?}");
    assert!((counts[2]..=counts[0]).contains(&counts[1]), "{counts:?}");
    // One of its hosts leaves checksums to its card.
    let packets = |how: &str| -> u64 {
        read("--checksums", how, "protocols/ntp.pcap")
            .iter()
            .map(|r| ["packets.out", "packets.in"].map(|p| r[p].as_u64().unwrap_or(0)).iter().sum::<u64>())
            .sum()
    };
    let (auto, check, ignore) = (packets("auto"), packets("check"), packets("ignore"));
    assert!(auto == ignore && check > 0 && check < auto, "{auto} {check} {ignore}");
}

#[test]
fn a_second_process_is_told_who_holds_the_case_and_since_when() {
    let home = TempDir::new().unwrap();
    let dir = home.path().join("c");
    let options = OpenOptions { create: true, ballast: 0, reserve: Reserve { percent: 0, bytes: 0 }, ..OpenOptions::default() };
    let held = Store::open(&dir, &options).unwrap();
    let case = |args: &[&str]| Ran::of(program(home.path()).args(["--case", "c"]).args(args).output().unwrap());
    let err = case(&["flows"]).failed();
    assert!(err.contains(&format!("held by process {}", std::process::id())), "{err}");
    assert!(err.contains(" since 20") && err.contains("--wait"), "{err}");
    // One that waits gets it.
    let waiting = program(home.path()).args(["--case", "c", "--wait", "60", "sources"]).stdout(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(200));
    drop(held);
    assert!(waiting.wait_with_output().unwrap().status.success());
    assert!(case(&["flows", "--wait", "soon"]).failed().contains("not a span"));
}

#[test]
fn pivots_are_counted_and_printed() {
    let host =
        on_case(&["flows", "app = http", "-n", "1", "-o", "jsonl"]).rows().remove(0)["src.ip"].as_str().unwrap().to_owned();
    let said = on_case(&["pivot", &host]).ok();
    assert!(said.lines().any(|l| l.starts_with("host-flows ")) && said.contains(&format!("flows of {host}")), "{said}");
    let rows = on_case(&["pivot", &host, "--to", "host-flows", "-o", "jsonl"]).rows();
    assert!(rows.iter().all(|r| r["kind"] == "flow") && !rows.is_empty());
    assert!(on_case(&["pivot", &host, "--to", "host-flowz"]).failed().contains("host-flows"));
    let listed = on_case(&["pivot", "203.0.113.44", "--to", "reputation", "-o", "jsonl"]).rows();
    assert_eq!(listed.len(), 2);
}

#[test]
fn the_reference_commands_print_their_tables() {
    for (args, parts) in [
        (&["formats"][..], &["pcapng", "suricata-eve", "zeek", "dns"][..]),
        (&["fields"], &["src.ip", "community_id", "id.orig_h"]),
        (&["keys"], &["global", "pivot"]),
        (&["keys", "vim"], &["global"]),
        (&["themes"], &["mono"]),
        (&["completions", "bash"], &["_backtrail()", "ingest"]),
        (&["completions", "zsh"], &["#compdef backtrail"]),
        (&["man"], &[".TH backtrail 1", "ingest"]),
        (&["doctor"], &["terminal", "network"]),
    ] {
        let out = alone(args).ok();
        for part in parts {
            assert!(out.contains(part), "{args:?}: no {part}");
        }
    }
    assert!(alone(&["keys", "nosuch"]).failed().contains("nosuch"));
}

#[test]
fn help_of_the_program_and_of_every_command() {
    let mut text = alone(&["--help"]).ok();
    for command in backtrail::cli::command().get_subcommands().filter(|c| !c.is_hide_set()) {
        let name = command.get_name();
        let help = alone(&[name, "--help"]).ok();
        assert!(help.starts_with(&command.get_about().unwrap().to_string()[..20]), "{name}: {help}");
        text.push_str(&format!("\n==== {name}\n{help}"));
    }
    insta::assert_snapshot!("help", text);
}

#[test]
fn the_profile_is_printed_step_by_step_and_says_what_there_is() {
    let home = TempDir::new().unwrap();
    let case = |args: &[&str]| Ran::of(program(home.path()).args(["--case", "c"]).args(args).output().unwrap());
    case(&["ingest", &story("inside.pcapng").display().to_string(), &story("inventory.csv").display().to_string()]).ok();
    let rows = case(&["profile", "--step", "5", "-o", "jsonl"]).rows();
    let of = |table: &str| rows.iter().filter(|r| r["table"] == table).collect::<Vec<_>>();
    assert!(rows.iter().all(|r| schema(r) == "backtrail.profile/1" && r["step"] == 5));
    let printer = of("web_responders").into_iter().find(|r| r["host"] == "10.8.50.10").expect("the printer's page");
    assert_eq!((&printer["outside"], &printer["authorised"]), (&Json::from("1"), &Json::from("yes")));
    assert!(printer["go"].as_str().unwrap().starts_with("query 'kind = flow and dst.ip = 10.8.50.10"));
    assert_eq!(of("telnet_server")[0]["none"], "nobody here");
    let text = case(&["profile", "talkers", "-n", "1"]).ok();
    assert!(text.contains("4 ACTIVE ADDRESS SPACE") && text.contains("more: profile talkers -n N"), "{text}");
    assert!(case(&["profile", "--step", "9"]).failed().contains("no step 9"));
    assert!(case(&["profile", "nosuch"]).failed().contains("no table `nosuch`"));
}
