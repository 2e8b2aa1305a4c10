//! What README.md says of the program is so. Its reference tables are made from the program's own:
//! `BACKTRAIL_BLESS=1 cargo test --test it docs::` writes them anew.

use backtrail::tui::commands;
use backtrail::tui::keymap::Keymap;
use backtrail::{cli, detectors, formats, pivots, protocols, sources};
use std::fs;
use std::path::{Path, PathBuf};

const REWRITE: &str = "BACKTRAIL_BLESS=1 cargo test --test it docs::";

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap()
}

/// The first sentence, without what stands in parentheses, fit for a cell.
fn first_sentence(doc: &str) -> String {
    let mut out = String::new();
    let mut depth = 0;
    for c in doc.chars() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            c if depth == 0 => out.push(c),
            _ => {}
        }
    }
    let out = out.split(". ").next().unwrap_or_default().trim().trim_end_matches('.');
    let words: Vec<&str> = out.split_whitespace().collect();
    words.join(" ").replace(" ,", ",").replace(" :", ":").replace(" ;", ";").replace('|', "\\|")
}

fn rows(rows: impl Iterator<Item = (String, String)>, heads: [&str; 2]) -> String {
    let head = format!("| {} | {} |\n|---|---|\n", heads[0], heads[1]);
    rows.fold(head, |text, (name, doc)| text + &format!("| {name} | {} |\n", first_sentence(&doc)))
}

fn code(name: &str) -> String {
    format!("`{name}`")
}

fn command_table() -> String {
    let command = cli::command();
    let of = |c: &clap::Command| (code(c.get_name()), c.get_about().map(ToString::to_string).unwrap_or_default());
    rows(command.get_subcommands().filter(|c| !c.is_hide_set()).map(of), ["command", "what it does"])
}

fn format_table() -> String {
    let captures = sources::FORMATS.iter().map(|(name, _, doc)| (code(name), (*doc).to_owned()));
    rows(captures.chain(formats::ALL.iter().map(|f| (code(f.name()), f.doc().to_owned()))), ["format", "what it is"])
}

fn protocol_table() -> String {
    rows(protocols::ALL.iter().map(|p| (code(p.name()), p.doc().to_owned())), ["protocol", "what is read of it"])
}

fn pivot_table() -> String {
    rows(pivots::ALL.iter().map(|p| (code(p.name), p.doc.to_owned())), ["pivot", "what it answers"])
}

fn detector_table() -> String {
    rows(detectors::ALL.iter().map(|d| (code(d.name()), d.doc().to_owned())), ["detector", "what it finds"])
}

/// One row per command and keys, with the places where they do it.
fn key_table() -> String {
    let keymap = Keymap::load("default", None).unwrap();
    let mut all: Vec<(String, String, Vec<String>)> = Vec::new();
    let scopes: Vec<String> =
        std::iter::once("global".to_owned()).chain(keymap.scopes().filter(|s| *s != "global").map(str::to_owned)).collect();
    for scope in &scopes {
        let mut here: Vec<(String, Vec<String>)> = Vec::new();
        for (keys, command) in keymap.bindings(scope) {
            let keys = format!("`{}`", keys.replace('|', "\\|"));
            match here.iter_mut().find(|(c, _)| *c == command) {
                Some((_, all)) => all.push(keys),
                None => here.push((command, vec![keys])),
            }
        }
        for (command, keys) in here {
            let keys = keys.join(" ");
            match all.iter_mut().find(|(c, k, _)| (c, k) == (&command, &keys)) {
                // What holds everywhere needs no list of places.
                Some((_, _, places)) if places[0] == "global" => {}
                Some((_, _, places)) => places.push(scope.clone()),
                None => all.push((command, keys, vec![scope.clone()])),
            }
        }
    }
    let mut text = "| where | keys | what they do |\n|---|---|---|\n".to_owned();
    for (command, keys, places) in all {
        let doc = commands::find(&command).map_or_else(|| code(&command), |c| c.doc.to_owned());
        text.push_str(&format!("| {} | {keys} | {} |\n", places.join(", "), first_sentence(&doc)));
    }
    text
}

fn tables() -> [(&'static str, String); 7] {
    [
        ("tasks", crate::tasks::table()),
        ("detectors", detector_table()),
        ("commands", command_table()),
        ("formats", format_table()),
        ("protocols", protocol_table()),
        ("pivots", pivot_table()),
        ("keys", key_table()),
    ]
}

/// A text with the part between two markers replaced.
fn with_table(text: &str, name: &str, table: &str) -> String {
    let (begin, end) = (format!("<!-- begin: {name} -->\n"), format!("<!-- end: {name} -->"));
    let from = text.find(&begin).unwrap_or_else(|| panic!("README.md has no `{}`", begin.trim())) + begin.len();
    let to = from + text[from..].find(&end).unwrap_or_else(|| panic!("README.md has no `{end}`"));
    format!("{}{table}{}", &text[..from], &text[to..])
}

#[test]
fn the_reference_of_the_readme_is_the_programs_own() {
    let written = read("README.md");
    let made = tables().iter().fold(written.clone(), |text, (name, table)| with_table(&text, name, table));
    if std::env::var_os("BACKTRAIL_BLESS").is_some() {
        fs::write(root().join("README.md"), &made).unwrap();
        return;
    }
    let differing = written.lines().zip(made.lines()).find(|(a, b)| a != b);
    assert!(written == made, "a table of README.md is out of date at {differing:?}; write it anew: {REWRITE}");
}

#[test]
fn every_command_line_in_the_readme_is_one() {
    let text = read("README.md");
    let mut checked = 0;
    for line in text.lines().filter_map(|l| l.trim_start().strip_prefix("backtrail ")) {
        let line = line.split(" # ").next().unwrap();
        let words = shell_words(line);
        let args = std::iter::once("backtrail".to_owned()).chain(words.iter().cloned());
        if let Err(e) = cli::command().try_get_matches_from(args) {
            panic!("README.md: backtrail {line}\n{e}");
        }
        checked += 1;
    }
    assert!(checked >= 5, "{checked}");
}

/// Words as a shell splits them, with quotes of both kinds.
fn shell_words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in line.chars() {
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

#[test]
fn every_query_in_the_readme_is_one() {
    let text = read("README.md");
    let section = text.split("## The query language").nth(1).unwrap();
    let block = section.split("```").nth(1).unwrap();
    let mut checked = 0;
    for line in block.lines().filter(|l| !l.trim().is_empty()) {
        for part in line.split("   ").map(str::trim).filter(|p| !p.is_empty()) {
            // A line of stages shows one after another.
            let queries: Vec<String> = match part.strip_prefix("... |") {
                Some(rest) => vec![format!("* |{rest}")],
                None if part.starts_with('|') => vec![format!("* {part}")],
                None => vec![part.to_owned()],
            };
            for query in queries {
                if let Err(e) = backtrail::query::compile(
                    &query,
                    &backtrail::query::Scope {
                        newest: backtrail::model::Time::parse("2026-11-20"),
                        sets: &|_| Some(std::sync::Arc::default()),
                        ..backtrail::query::Scope::empty()
                    },
                ) {
                    panic!("README.md: {query}\n{e}");
                }
                checked += 1;
            }
        }
    }
    assert!(checked >= 10, "{checked}");
}

#[test]
fn every_file_that_the_documents_name_is_there() {
    for document in ["README.md", "ARCHITECTURE.md", "sample-data/story/README.md"] {
        let text = read(document);
        let base = Path::new(document).parent().unwrap();
        for name in text.split('`').skip(1).step_by(2) {
            let is_path =
                name.contains('/') && !name.contains([' ', '<', '$', '~', '*', '{', ':']) && !name.starts_with(['/', '-']);
            let below = ["src/", "tests/", "sample-data/", "themes/", "keymaps/", "examples/", ".ci/"];
            if is_path && below.iter().any(|b| name.starts_with(b)) {
                let there = root().join(name).exists() || root().join(base).join(name).exists();
                assert!(there, "{document} names {name}");
            }
        }
    }
    for name in ["LICENSE-MIT", "LICENSE-APACHE", "CHANGELOG.md", "rustfmt.toml"] {
        assert!(root().join(name).exists(), "{name}");
    }
}

#[test]
fn the_architecture_names_every_layer_in_order_and_keeps_to_its_length() {
    let text = read("ARCHITECTURE.md");
    assert!(text.lines().count() <= 150);
    let lib = read("src/lib.rs");
    let layers: Vec<&str> = lib.lines().filter_map(|l| l.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    let rows: Vec<&str> = text
        .lines()
        .skip_while(|l| !l.starts_with("| module |"))
        .skip(2)
        .take_while(|l| l.starts_with('|'))
        .filter_map(|l| l.split('`').nth(1))
        .map(|name| name.trim_end_matches('/'))
        .collect();
    assert_eq!(rows, layers);
}

#[test]
fn the_architecture_gives_a_reason_for_every_dependency() {
    let manifest = read("Cargo.toml");
    let section = manifest.split("[dependencies]").nth(1).unwrap().split("\n[").next().unwrap();
    let text = read("ARCHITECTURE.md");
    let reasons = text.split("## Dependencies").nth(1).expect("no section Dependencies");
    for name in section.lines().filter_map(|l| l.split_once(" = ")).map(|(name, _)| name.trim()) {
        assert!(reasons.contains(name), "ARCHITECTURE.md gives no reason for {name}");
    }
}

#[test]
fn the_tour_of_the_readme_asks_for_keys_that_there_are() {
    let text = read("README.md");
    let tour = text.split("## Five minutes").nth(1).unwrap().split("\n## ").next().unwrap();
    let keymap = Keymap::load("default", None).unwrap();
    let bound: Vec<String> = keymap.scopes().flat_map(|s| keymap.bindings(s)).map(|(keys, _)| keys).collect();
    for key in tour.split('`').skip(1).step_by(2).filter(|k| k.chars().count() == 1) {
        assert!(bound.iter().any(|b| b == key), "`{key}` is no key of the default keymap");
    }
}
