//! The handover: what `sha256sum -c` would check, citations that are the bytes of the evidence, what is left out and said, and the same bundle of the
//! same case.

use crate::story::{Case, story};
use backtrail::case::LocalKeeper;
use backtrail::case::handover::{Handed, Limits, MANIFEST, Request, hand_over};
use backtrail::case::report::redact::Redactor;
use backtrail::error::Result;
use backtrail::model::decision::{About, Ground, Judgement, LeadChange, LeadState, What};
use backtrail::query::Engine;
use backtrail::query::engine::Cancel;
use serde_json::Value as Json;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const FILES: [&str; 4] = ["eve.json.gz", "inside.pcapng", "inventory.csv", "www-access.log"];
const BEACON: &str = "kind = alert and signature.id = 2028401";

/// A part of the story in which something was kept, judged and asked.
fn made() -> Case {
    let case = Case::of(&FILES);
    let bookmark = |title: &str, query: &str, rows| What::Bookmark {
        title: title.into(),
        query: query.into(),
        lens: "alerts".into(),
        focus: String::new(),
        rows,
        seen: case.engine.sequence(),
        node: None,
    };
    case.decide(bookmark("<b>beacon</b>", BEACON, 10));
    case.decide(bookmark("web requests of the attacker", "kind = http and src.ip = 10.8.21.5", 3));
    case.decide(bookmark("what no one understands", "no.such.field = 1", 3));
    let verdict = |about, judgement| What::Verdict { about, judgement, reason: "calls home".into(), expires: None };
    case.decide(verdict(About::Value("host".into(), "203.0.113.9".into()), Judgement::Malicious));
    let line = case.rows("kind = http and source = \"www-access\"").remove(0);
    case.decide(verdict(About::records([line.id]), Judgement::Suspicious));
    let paths = vec![story("eve.json.gz").display().to_string()];
    case.decide(What::Import { paths, from: "J. Smith".into(), how: "mirror port".into(), ticket: String::new() });
    case.decide(What::Note { about: About::Case, text: "ask the *night* shift".into() });
    let open = |text: &str, grounds| {
        What::Lead(LeadChange { text: Some(text.into()), supports: grounds, next: Some("look".into()), ..LeadChange::default() })
    };
    case.decide(open("who else called 203.0.113.9?", vec![Ground::Bookmark(1)]));
    case.decide(open("the printer did it", Vec::new()));
    let end = backtrail::case::leads::end(9, LeadState::Answered, "it was switched off").unwrap();
    case.decide(end);
    case.decide(What::Trail {
        parent: None,
        label: "beacon".into(),
        query: BEACON.into(),
        lens: "alerts".into(),
        focus: String::new(),
        window: String::new(),
        rows: 4,
        seen: Some(0),
    });
    case
}

fn run(case: &Case, to: &Path, limits: Limits, redactor: Option<Redactor>) -> Result<Handed> {
    let keeper = LocalKeeper::new(case.engine.store().clone());
    hand_over(&case.engine, &keeper, Request { to, limits, redactor }, &Cancel::default())
}

fn sum(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

/// Every file below a folder, by its name from there.
fn below(dir: &Path) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(at) = dirs.pop() {
        for entry in std::fs::read_dir(at).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
            } else {
                out.insert(path.strip_prefix(dir).unwrap().display().to_string());
            }
        }
    }
    out
}

/// What `sha256sum -c MANIFEST.sha256` does: every file is there as it was, and no other.
fn checked(dir: &Path) -> BTreeSet<String> {
    let mut named = BTreeSet::new();
    for line in std::fs::read_to_string(dir.join(MANIFEST)).unwrap().lines() {
        let (hash, name) = line.split_once("  ").unwrap();
        assert!(hash.len() == 64 && !name.starts_with('/') && !name.contains(['\\', '\n']), "{line}");
        assert_eq!(sum(&std::fs::read(dir.join(name)).unwrap()), hash, "{name}");
        assert_eq!(dir.join(name).metadata().unwrap().permissions().mode() & 0o7777, 0o400, "{name}");
        named.insert(name.to_owned());
    }
    let mut there = below(dir);
    assert!(there.remove(MANIFEST));
    assert_eq!(there, named);
    named
}

fn text(dir: &Path, name: &str) -> String {
    std::fs::read_to_string(dir.join(name)).unwrap()
}

fn citations(dir: &Path) -> Vec<Json> {
    text(dir, "lines.jsonl").lines().map(|l| serde_json::from_str(l).unwrap()).collect()
}

/// A file of the story as it is, and its bytes uncompressed.
fn original(name: &str) -> (Vec<u8>, Vec<u8>) {
    let bytes = std::fs::read(story(name)).unwrap();
    let mut plain = Vec::new();
    if name.ends_with(".gz") {
        flate2::read::MultiGzDecoder::new(&bytes[..]).read_to_end(&mut plain).unwrap();
    } else {
        plain.clone_from(&bytes);
    }
    (bytes, plain)
}

#[test]
fn a_manifest_checks_the_bundle_and_every_citation_is_the_bytes_of_its_evidence() {
    let case = made();
    let to = case.path("bundle");
    let handed = run(&case, &to, Limits::default(), None).unwrap();
    let named = checked(&to);
    assert_eq!(to.metadata().unwrap().permissions().mode() & 0o7777, 0o700);
    assert_eq!(handed.files.iter().map(|f| f.name.clone()).collect::<BTreeSet<_>>().len(), named.len() + 1);
    for name in ["handover.md", "report.md", "report.json", "lines.txt", "lines.jsonl", "journal.log"] {
        assert!(named.contains(name), "{name} of {named:?}");
    }
    let all = citations(&to);
    assert_eq!(all.len(), handed.cited);
    let mut lines = 0;
    for (n, c) in all.iter().enumerate() {
        assert_eq!(c["citation"], n + 1);
        let (bytes, plain) = original(c["evidence"].as_str().unwrap());
        assert_eq!(c["evidence.sha256"], sum(&bytes));
        let Some(file) = c["file"].as_str() else { continue };
        let number = |key: &str| usize::try_from(c[key].as_u64().unwrap()).unwrap();
        let (offset, len, at) = (number("offset"), number("length"), number("at"));
        assert_eq!(&plain[offset..offset + len], &std::fs::read(to.join(file)).unwrap()[at..at + len], "{c}");
        lines += 1;
    }
    assert!(lines >= 11, "ten alerts and a request: {lines}");
    assert!(all.iter().all(|c| c["without"].is_null() && !c["cited_by"].as_array().unwrap().is_empty()));
    // An alert of a log brings along the packets of the flow that it is linked with.
    let alert = all.iter().find(|c| c["kind"] == "alert").unwrap();
    assert!(alert["flow"].is_string() && alert["source"] == "eve", "{alert}");
    let packets: Vec<PathBuf> = named.iter().filter(|n| n.starts_with("packets/")).map(|n| to.join(n)).collect();
    assert_eq!(packets.len(), 1);
    let again = Case::new();
    again.ingest(&packets);
    let flows = again.rows("kind = flow");
    assert!(flows.len() >= 10 && handed.packets > 100, "{} flows, {} packets", flows.len(), handed.packets);
    let flow = case.one(&format!("id = \"{}\"", alert["flow"].as_str().unwrap()));
    let ends = |r: &backtrail::model::Record| backtrail::model::summary::ends(r);
    assert!(flows.iter().any(|f| ends(f) == ends(&flow) && f.start == flow.start));
    // It is in the journal, by the hash of the manifest.
    let journal = case.engine.store().journal().decisions();
    let What::Export { what, sha256, .. } = &journal.last().unwrap().what else { panic!() };
    assert_eq!((what.as_str(), sha256), ("handover", &sum(text(&to, MANIFEST).as_bytes())));
}

#[test]
fn the_text_says_what_was_asked_proven_not_covered_and_open_and_names_no_folder() {
    let case = made();
    let to = case.path("bundle");
    run(&case, &to, Limits::default(), None).unwrap();
    let said = text(&to, "handover.md");
    let part =
        |from: &str, to: &str| said.split(from).nth(1).and_then(|rest| rest.split(to).next()).unwrap_or_else(|| panic!("{said}"));
    let asked = part("## What was asked", "## What is proven");
    assert!(asked.contains(BEACON) && asked.contains("\\<b\\>beacon\\</b\\>"), "{asked}");
    assert!(asked.contains("4 rows; asked again: +6 rows since"), "{asked}");
    assert!(asked.contains("cannot be asked: "), "{asked}");
    let proven = part("## What is proven", "## What was not covered");
    assert!(proven.contains("### verdict 4: malicious: host = 203.0.113.9"), "{proven}");
    assert!(proven.contains("Because: calls home") && proven.contains("### bookmark 1: "), "{proven}");
    assert!(proven.contains("the printer did it") && proven.contains("it was switched off"), "{proven}");
    let hash = sum(&original("eve.json.gz").0);
    assert!(proven.contains(&hash[..16]) && said.contains(&hash), "{proven}");
    let uncovered = part("## What was not covered", "## What is open");
    for gap in
        ["firewall records: no source has any; ", "flows: no source covers 2026-11-19T09:54:58", "| www-access | access-log |"]
    {
        assert!(uncovered.contains(gap), "{gap}: {uncovered}");
    }
    assert!(!uncovered.contains("inventory: "), "an inventory is of no time: {uncovered}");
    let open = part("## What is open", "## Evidence");
    assert!(open.contains("who else called 203.0.113.9?") && !open.contains("the printer did it"), "{open}");
    assert!(open.contains("supported by `bookmark 1: <b>beacon</b>` (10 rows now)") && open.contains("next: look"), "{open}");
    assert!(open.contains("ask the *night* shift") && open.contains("alerts were not judged"), "{open}");
    assert!(part("## What was done", "## Evidence").contains("ana: imported "), "{said}");
    // The journal is as it is; nothing else says where on this machine anything lies.
    let here = [env!("CARGO_MANIFEST_DIR").to_owned(), case.engine.store().dir().parent().unwrap().display().to_string()];
    for name in checked(&to).iter().filter(|n| n.as_str() != "journal.log") {
        let bytes = std::fs::read(to.join(name)).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        for folder in &here {
            assert!(!text.contains(folder.as_str()), "{folder} in {name}");
        }
    }
    // Escape sequences and bidi marks of log lines are in the raw lines only.
    assert!(!text(&to, "lines.txt").contains('\u{1b}'));
}

#[test]
fn what_does_not_fit_is_left_out_and_said_and_a_name_that_is_taken_is_refused() {
    let case = made();
    let to = case.path("bundle.tar");
    let limits = Limits { rows: 2, line: 20, packets: 1, ..Limits::default() };
    let handed = run(&case, &to, limits, None).unwrap();
    assert!(
        handed.notes.iter().any(|n| n.contains("packets of flows beyond 1 packets in all are left out")),
        "{:?}",
        handed.notes
    );
    assert!(handed.notes.iter().any(|n| n.contains("lines.txt says why")), "{:?}", handed.notes);
    assert_eq!(handed.packets, 0);
    let mut archive = tar::Archive::new(std::fs::File::open(&to).unwrap());
    archive.unpack(case.path("out")).unwrap();
    let dir = case.path("out").join("handover");
    checked(&dir);
    assert!(text(&dir, "handover.md").contains("2 of 10 records are cited."), "{}", text(&dir, "handover.md"));
    assert!(text(&dir, "lines.txt").contains("more than 20 of one line"));
    let before = std::fs::read(&to).unwrap();
    let refused = run(&case, &to, limits, None).unwrap_err();
    assert!(refused.to_string().contains("is there already"), "{refused}");
    assert_eq!(std::fs::read(&to).unwrap(), before);
    // Nothing of what was begun is left beside it.
    let parts = std::fs::read_dir(to.parent().unwrap()).unwrap().map(|e| e.unwrap().file_name().to_string_lossy().into_owned());
    assert!(parts.into_iter().all(|name| !name.starts_with(".backtrail-")));
}

#[test]
fn a_redacted_bundle_is_text_without_addresses_lines_packets_or_journal() {
    let case = made();
    let to = case.path("bundle");
    let handed = run(&case, &to, Limits::default(), Some(Redactor::new(b"a key of sixteen", ["jdoe".to_owned()]))).unwrap();
    let named = checked(&to);
    let want = ["handover.md", "lines.jsonl", "lines.txt", "report.json", "report.md"];
    assert_eq!(named.iter().map(String::as_str).collect::<Vec<_>>(), want);
    assert!(handed.notes.iter().any(|n| n.contains("stay with the case")));
    for name in &named {
        for own in ["10.8.21.5", "203.0.113.9", "10.8.30.12", "jdoe"] {
            assert!(!text(&to, name).contains(own), "{own} in {name}");
        }
    }
    assert!(text(&to, "lines.txt").contains("\"signature_id\":2028401"), "the words of the lines stay");
}

const PROGRAM: &str = env!("CARGO_BIN_EXE_backtrail");

fn program(home: &Path, args: &[&str]) -> String {
    let mut command = Command::new(PROGRAM);
    for name in ["BACKTRAIL_CASE", "BACKTRAIL_WAIT", "SSH_CONNECTION", "SSH_CLIENT", "XDG_CONFIG_HOME", "XDG_DATA_HOME"] {
        command.env_remove(name);
    }
    command.env("HOME", home).env("TMPDIR", home).env("BACKTRAIL_USER", "ana").env("TERM", "dumb").current_dir(home);
    let output = command.args(args).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{args:?} {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_same_case_gives_the_same_bundle_byte_for_byte() {
    let home = tempfile::tempdir().unwrap();
    let files: Vec<String> = FILES.iter().map(|f| story(f).display().to_string()).collect();
    let one = |args: &[&str]| program(home.path(), &[&["--case", "one"][..], args].concat());
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    one(&[&["ingest"][..], &files].concat());
    one(&["bookmark", "add", BEACON, "--title", "beacon"]);
    one(&["verdict", "malicious", BEACON, "--reason", "calls home"]);
    one(&["lead", "add", "who else?", "--for", "bookmark 2", "--owner", "bo"]);
    // Each is handed over once: what was handed over stands in the journal, and makes it another case.
    for (form, first, second) in [("zip", "a", "b"), ("tar", "c", "d")] {
        let bundle = |case: &str| {
            let copied = Command::new("cp").args(["-a", "one", case]).current_dir(home.path()).status().unwrap();
            assert!(copied.success());
            let name = format!("{case}.{form}");
            let said = program(home.path(), &["--case", case, "handover", "-w", &name]);
            assert!(said.contains("handover.md") && said.contains(MANIFEST), "{said}");
            std::fs::read(home.path().join(name)).unwrap()
        };
        assert!(bundle(first) == bundle(second), "{form}");
    }
    let listed = program(home.path(), &["--case", "one", "lead", "list", "--json"]);
    let lead: Json = serde_json::from_str(listed.trim()).unwrap();
    assert_eq!((&lead["text"], &lead["state"], &lead["owner"]), (&"who else?".into(), &"open".into(), &"bo".into()));
    assert_eq!(lead["supports"][0]["rows.now"], 10);
}
