//! Every screen has a headless twin: the same names, the same numbers. The story, looked at in the workbench and asked on the command line.

use crate::copied::copy_all;
use crate::desk::Desk;
use crate::story;
use backtrail::query::Engine;
use backtrail::query::engine::{Cancel, Page};
use backtrail::tui::lenses;
use regex::Regex;
use serde_json::Value as Json;
use std::path::Path;
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// Panes that have no twin, and why they need none.
const ALONE: &[(&str, &str)] = &[
    ("timeline", "it has no numbers, only bars: `query '... | timeline'` counts them"),
    ("columns", "it asks nothing: it chooses what a table has; `fields` lists what there is"),
    ("stream", "it reads the packets of one flow: `packets ID -w FILE` hands them on, `extract` takes the files out"),
];

/// Panes that are compared below.
const COMPARED: &[&str] = &[
    "home",
    "rows",
    "detail",
    "card",
    "packets",
    "trail",
    "sources",
    "findings",
    "playbook",
    "situation",
    "profile",
    "sweep",
    "case",
    "overview",
    "groups",
    "sets",
    "grouped",
    "links",
];

#[test]
fn every_pane_is_compared_with_its_twin_or_says_why_it_has_none() {
    let list = include_str!("../../src/tui/panes/mod.rs");
    let panes: Vec<&str> = list.lines().filter_map(|l| l.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    assert!(panes.len() > 15, "{panes:?}");
    let known = |pane: &&&str| COMPARED.contains(pane) || ALONE.iter().any(|(alone, why)| alone == *pane && !why.is_empty());
    let without: Vec<&&str> = panes.iter().filter(|pane| !known(pane)).collect();
    assert!(without.is_empty(), "without a twin: {without:?}");
    let gone = |pane: &&&str| !panes.contains(*pane);
    assert_eq!(COMPARED.iter().chain(ALONE.iter().map(|(pane, _)| pane)).filter(gone).count(), 0);
}

/// The command line on a case.
struct Line<'a>(&'a Path);

impl Line<'_> {
    fn said(&self, args: &[&str]) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_backtrail"));
        command.arg("--case").arg(self.0).args(args).env("BACKTRAIL_USER", "ana").stdin(Stdio::null());
        let done = command.output().unwrap();
        assert!(done.status.success(), "{args:?}: {done:?}");
        String::from_utf8(done.stdout).unwrap()
    }
    fn rows(&self, args: &[&str]) -> Vec<Json> {
        self.said(args).lines().map(|l| serde_json::from_str(l).unwrap_or_else(|e| panic!("{args:?}: {e}: {l}"))).collect()
    }
}

/// What is not the same on both sides, all of it, so that one run tells.
#[derive(Default)]
struct Differences(Vec<String>);

impl Differences {
    /// A number of the screen, found by a pattern, against the one of the command line.
    fn number(&mut self, screen: &str, pattern: &str, said: u64) {
        let found = Regex::new(pattern).unwrap().captures(screen).map(|c| c[1].replace(',', ""));
        if found.as_deref() != Some(said.to_string().as_str()) {
            self.0.push(format!("{pattern}: {found:?} on the screen, {said} said; the screen:\n{screen}"));
        }
    }
    fn text(&mut self, screen: &str, text: &str) {
        if !screen.contains(text) {
            self.0.push(format!("{text:?} is not on the screen:\n{screen}"));
        }
    }
}

fn sum(rows: &[Json], name: &str) -> u64 {
    rows.iter().map(|r| r[name].as_u64().unwrap_or(0)).sum()
}

/// Headings with what there is of it: `TOP TALKERS 30`.
fn headings(said: &str) -> Vec<(String, u64)> {
    let heading = Regex::new(r"(?m)^([A-Z][A-Z ]+[A-Z]) (\d+)(?: \(.*)?$").unwrap();
    heading.captures_iter(said).map(|c| (c[1].to_lowercase(), c[2].parse().unwrap())).collect()
}

#[test]
fn every_screen_says_what_its_twin_says() {
    let dir = TempDir::with_prefix("backtrail-it-").unwrap();
    let case = dir.path().join("case");
    copy_all(&story::CASE.engine.store().dir(), &case);
    let line = Line(&case);
    line.said(&["set", "add", "watch", "203.0.113.44", "--reason", "the lure"]);
    line.said(&["bookmark", "add", "port 25", "--title", "mail"]);
    line.said(&["lead", "add", "who else?"]);
    line.said(&["note", "a note"]);
    line.said(&["tag", "seen"]);
    let mut out = Differences::default();
    let mut desk = Desk::copy_of(&case);

    let home = desk.screen();
    let said = headings(&line.said(&["home"]));
    assert_eq!(said.len(), 7, "{said:?}");
    for (name, n) in said {
        out.number(&home, &format!(r"(?i){name} (\d+)"), n);
    }

    let screen = desk.keys(": «open_sources» <enter>");
    let mut sources = line.rows(&["sources", "-o", "jsonl"]);
    sources.retain(|r| r["schema"] == "backtrail.source/1");
    out.number(&screen, r"sources (\d+)", sources.len() as u64);
    out.number(&screen, r"([\d,]+) records of", sum(&sources, "records"));

    let screen = desk.keys("q : «open_findings» <enter>");
    let findings = line.rows(&["findings", "-o", "jsonl", "-n", "100000"]);
    out.number(&screen, r"findings (\d+)", findings.len() as u64);

    let screen = desk.keys("q : «open_situation» <enter>");
    let scene = line.rows(&["situation", "-o", "jsonl"]);
    out.number(&screen, r"(\d+) hosts, ", scene.iter().filter(|r| r["what"] == "host").count() as u64);

    let screen = desk.keys("q : «open_overview» <enter>");
    let said = line.said(&["overview"]);
    let lists: Vec<_> = headings(&said).into_iter().filter(|(name, _)| name != "deviations").collect();
    assert_eq!(lists.len(), 4, "{lists:?}");
    for (name, n) in lists {
        out.number(&screen, &format!(r"{name} (\d+)"), n);
    }
    for curve in ["flows", "failed flows", "dns", "alerts", "denies"] {
        let total = Regex::new(&format!(r"(?m)^{curve} +([\d,]+) ")).unwrap().captures(&said).unwrap()[1].replace(',', "");
        out.number(&screen, &format!(r"(?m)^[ ▸]{curve} .*? ([\d,]+) +/ "), total.parse().unwrap());
    }

    let screen = desk.keys("q : «groups» <enter>");
    let groups = line.rows(&["alerts", "--groups", "-o", "jsonl"]);
    out.number(&screen, r"alerts left.* ([\d,]+) groups", groups.len() as u64);
    out.number(&screen, r"of ([\d,]+) alerts left", sum(&groups, "count"));

    let screen = desk.keys("q : «open_sets» <enter>");
    out.number(&screen, r"(\d+) entry in 1 set", line.rows(&["set", "list", "-o", "jsonl"]).len() as u64);

    let screen = desk.keys("q : «open_case» <enter>");
    for (tab, args) in [
        ("leads", &["lead", "list", "--json"][..]),
        ("bookmarks", &["bookmark", "list", "--json"]),
        ("notes", &["note", "--json"]),
    ] {
        let n = line.rows(args).len() as u64;
        assert_eq!(n, 1, "{tab}");
        out.number(&screen, &format!(r"{tab} (\d+)"), n);
    }

    let screen = desk.keys("q : «profile» <enter>");
    let tables = headings(&line.said(&["profile", "-n", "1"]));
    let there: Vec<_> = tables.iter().filter(|(name, _)| screen.contains(&format!(" {name} "))).collect();
    assert!(there.len() >= 8, "{there:?} of {tables:?}\n{screen}");
    for (name, n) in there {
        out.number(&screen, &format!(r" {name} +([\d,]+)\b"), *n);
    }

    let screen = desk.keys("q : «playbook» <enter>");
    out.number(&screen, r"(\d+) playbooks", line.rows(&["playbook", "-o", "jsonl"]).len() as u64);
    let screen = desk.keys("q : «playbook outage 10.8.40.20:80» <enter>");
    let answer = &line.rows(&["playbook", "outage", "10.8.40.20:80", "-o", "jsonl"])[0];
    out.number(&screen, r"(\d+) steps", answer["steps"].as_array().unwrap().len() as u64);

    let file = dir.path().join("report.txt");
    std::fs::write(&file, "203[.]0.113.44\nnowhere[.]test\nevil[.]example\n").unwrap();
    let screen = desk.keys(&format!("q : «sweep {}» <enter>", file.display()));
    let swept = line.rows(&["sweep", &file.display().to_string(), "-o", "jsonl"]);
    let indicators = swept.iter().filter(|r| r.get("indicator").is_some()).count() as u64;
    out.number(&screen, r"(\d+) indicators", indicators);

    // Lenses over the whole case, as the command line asks by itself.
    let screen = desk.keys("q W 2");
    let mut compared = 0;
    for lens in lenses::ALL.iter().filter(|l| !matches!(l.name, "packets" | "reputation" | "home")) {
        let count = &line.rows(&["query", &format!("{} | count", lens.query), "-o", "jsonl"])[0];
        let n = count["count"].as_u64().unwrap();
        out.number(&screen, &format!(r"{} ([\d,]+)", lens.title), n);
        compared += 1;
    }
    assert!(compared >= 5);

    let question = desk.engine.compile("kind = flow").unwrap();
    let mut first = None;
    let each = &mut |r| {
        first = Some(r);
        false
    };
    desk.engine.select(&question, &Page::default(), &Cancel::default(), each).unwrap();
    let id = first.unwrap().id.to_string();
    let links = line.rows(&["links", &id, "-o", "jsonl"]);
    let screen = desk.keys("L");
    out.number(&screen, r"(\d+) links?\b", links.len() as u64);
    let detail = desk.keys("q <tab> z");
    let record = line.rows(&["query", &format!("id = \"{id}\""), "-o", "jsonl"]).remove(0);
    for name in ["src.ip", "src.port", "dst.ip", "dst.port", "proto", "app", "community_id", "source"] {
        let value = record[name].as_str().map_or_else(|| record[name].to_string(), str::to_owned);
        out.text(&detail, name);
        out.text(&detail, &value);
    }

    let screen = desk.keys("z <shift-tab> : «group dst.port» <enter>");
    let grouped = line.rows(&["flows", "| count by dst.port", "-o", "jsonl"]);
    out.number(&screen, r"of ([\d,]+) groups", grouped.len() as u64);
    out.number(&screen, r"groups of ([\d,]+) rows", sum(&grouped, "count"));

    let screen = desk.keys("q : «focus 10.8.21.5» <enter>");
    let facts = line.rows(&["pivot", "10.8.21.5", "--facts", "-o", "jsonl"]);
    assert!(!facts.is_empty());
    let card: String = screen.lines().map(|l| l.chars().take(26).collect::<String>() + "\n").collect();
    for fact in facts.iter().take(3) {
        let word = fact["text"].as_str().unwrap().split([' ', ',', '(']).next().unwrap();
        out.text(&card, &word.chars().take(16).collect::<String>());
    }

    let screen = desk.keys(": «query kind = flow and source = \"pcap:inside/eth1\" and dst.ip = 203.0.113.44» <enter> 7");
    let flow = desk.engine.compile("kind = flow and source = \"pcap:inside/eth1\" and dst.ip = 203.0.113.44").unwrap();
    let mut first = None;
    let each = &mut |r: backtrail::model::Record| {
        first = Some(r.id.to_string());
        false
    };
    desk.engine.select(&flow, &Page::default(), &Cancel::default(), each).unwrap();
    let cut = dir.path().join("cut.pcapng").display().to_string();
    let said = line.said(&["packets", &format!("id = \"{}\"", first.unwrap()), "-w", &cut]);
    let packets = said.split(' ').next().unwrap().parse().unwrap();
    out.number(&screen, r"\d+/([\d,]+)", packets);

    // What was walked here is printed there.
    let screen = desk.keys(": «open_trail» <enter>");
    let walked = dir.path().join("walked");
    copy_all(&desk.path("case"), &walked);
    for step in Line(&walked).rows(&["trail", "--json"]) {
        let label: String = step["label"].as_str().unwrap().chars().take(20).collect();
        out.text(&screen, &label);
    }
    assert!(out.0.is_empty(), "{} differences:\n{}", out.0.len(), out.0.join("\n\n"));
}
