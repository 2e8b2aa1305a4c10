//! The rules of ARCHITECTURE.md as tests: layers, walls, registration, docs, file length.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Files that may be longer than 500 lines, because they are one table.
const TABLES: &[&str] = &["src/model/field.rs"];

/// Crate, and where alone it may be named.
const WALLS: &[(&str, &[&str])] = &[
    ("sled", &["src/store/"]),
    ("ratatui", &["src/tui/"]),
    ("crossterm", &["src/tui/"]),
    ("clap", &["src/cli/"]),
    ("clap_complete", &["src/cli/"]),
    ("clap_mangen", &["src/cli/"]),
    ("indicatif", &["src/cli/"]),
    ("pcap", &["src/bin/backtrail-capture/"]),
    ("etherparse", &["src/protocols/", "src/flow/"]),
    ("pcap_parser", &["src/sources/"]),
    ("parquet", &["src/sources/records/"]),
    ("::parquet", &["src/sources/records/"]),
    ("fuzzy_matcher", &["src/tui/"]),
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(dir: &str) -> Vec<(String, String)> {
    fn visit(dir: &Path, out: &mut Vec<PathBuf>) {
        let Ok(entries) = fs::read_dir(dir) else { return };
        for entry in entries.flatten() {
            let path = entry.path();
            if path.is_dir() {
                visit(&path, out);
            } else if path.extension().is_some_and(|e| e == "rs") {
                out.push(path);
            }
        }
    }
    let mut paths = Vec::new();
    visit(&root().join(dir), &mut paths);
    paths.sort();
    let name = |p: &PathBuf| p.strip_prefix(root()).unwrap().display().to_string();
    paths.iter().map(|p| (name(p), fs::read_to_string(p).unwrap())).collect()
}

/// The layers in the order of lib.rs.
fn layers() -> Vec<String> {
    let lib = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let line = |l: &str| l.strip_prefix("pub mod ")?.strip_suffix(';').map(str::to_owned);
    lib.lines().filter_map(line).collect()
}

/// Code without comments and without its tests, so that prose may name what code may not.
fn code(text: &str) -> String {
    let body = text.split("\n#[cfg(test)]").next().unwrap_or_default();
    body.lines().map(|l| l.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// Whether `word` stands in the text as a path's beginning: `word::`.
fn names(text: &str, word: &str) -> bool {
    let needle = format!("{word}::");
    text.match_indices(&needle).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        before.is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != ':')
    })
}

#[test]
fn a_layer_uses_only_the_layers_above_it() {
    let layers = layers();
    assert!(layers.len() > 10, "lib.rs declares its layers");
    let rank: HashMap<&str, usize> = layers.iter().enumerate().map(|(i, l)| (l.as_str(), i)).collect();
    for (file, text) in rust_files("src") {
        let Some(layer) = file.strip_prefix("src/").and_then(|f| f.split(['/', '.']).next()) else { continue };
        let Some(own) = rank.get(layer) else { continue };
        let code = code(&text);
        for (other, r) in &rank {
            let used = code.contains(&format!("crate::{other}::")) || code.contains(&format!("crate::{other};"));
            assert!(!used || r <= own, "{file}: `{layer}` may not use `{other}`, which is declared below it in src/lib.rs");
        }
        // `use crate::{a, b}` would hide a use from this test.
        assert!(!code.contains("use crate::{"), "{file}: write one `use crate::layer` a line");
    }
}

#[test]
fn vendor_crates_stay_within_their_walls() {
    for (file, text) in rust_files("src") {
        let code = code(&text);
        for (vendor, homes) in WALLS {
            let used = names(&code, vendor) || code.contains(&format!("use {vendor};"));
            assert!(!used || homes.iter().any(|h| file.starts_with(h)), "{file} may not name `{vendor}`; only {homes:?} may");
        }
        let keycode = code.contains("KeyCode");
        assert!(
            !keycode || ["src/tui/keymap.rs", "src/tui/event.rs", "src/tui/key.rs"].contains(&file.as_str()),
            "{file}: KeyCode"
        );
    }
}

#[test]
fn only_the_command_line_prints() {
    for (file, text) in rust_files("src") {
        let code = code(&text);
        let prints = ["println!", "eprintln!", "print!(", "eprint!(", "dbg!("].iter().any(|m| code.contains(m));
        assert!(!prints || file.starts_with("src/cli/"), "{file} prints");
    }
}

#[test]
fn every_file_opens_with_what_it_is() {
    for dir in ["src", "tests", "examples", "benches"] {
        for (file, text) in rust_files(dir) {
            let opens = text.starts_with("//!") || text.starts_with("#![doc");
            assert!(opens, "{file} does not open with `//!`");
        }
    }
}

#[test]
fn no_hand_written_file_is_longer_than_500_lines() {
    let tests = |file: &str| file.ends_with("/tests.rs") || file.ends_with("_tests.rs");
    for (file, text) in rust_files("src").into_iter().chain(rust_files("examples")) {
        if tests(&file) {
            continue;
        }
        let lines = text.split("\n#[cfg(test)]").next().unwrap_or_default().lines().count();
        assert!(lines <= 500 || TABLES.contains(&file.as_str()), "{file} has {lines} lines before its tests");
    }
}

/// Folders that are open sets: every file is a member, registered in `mod.rs` by a `pub mod` line and by its path in `ALL`.
const SETS: &[&str] =
    &["src/protocols", "src/formats", "src/detectors", "src/case/playbooks", "src/pivots", "src/cli/subcommands"];

#[test]
fn every_member_of_an_open_set_is_in_its_list() {
    for set in SETS {
        let list = fs::read_to_string(root().join(set).join("mod.rs")).unwrap();
        let all = list.split("pub const ALL").nth(1).unwrap_or_default();
        let all = all.split("];").next().unwrap_or_default();
        for entry in fs::read_dir(root().join(set)).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() || path.file_name().is_some_and(|n| n == "mod.rs") {
                continue;
            }
            let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
            assert!(list.contains(&format!("mod {stem};")), "{set}/{stem}.rs has no `mod` line in mod.rs");
            let listed = all.contains(&format!("{stem}::"));
            let shared = list.contains(&format!("/// Shared: not a member.\npub mod {stem};"));
            assert!(listed || shared, "{set}/{stem}.rs is not in `ALL` of mod.rs (or marked `/// Shared: not a member.`)");
        }
    }
}

#[test]
fn every_dependency_earns_its_place() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let manifest: toml::Table = manifest.parse().unwrap();
    let architecture = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    assert!(architecture.lines().count() <= 150, "ARCHITECTURE.md is longer than 150 lines");
    for table in ["dependencies", "dev-dependencies"] {
        for name in manifest[table].as_table().unwrap().keys() {
            assert!(architecture.contains(&format!("`{name}`")), "ARCHITECTURE.md has no reason for `{name}`");
        }
    }
}
