//! Cases of older layouts, stored as they were written then (`layouts/*.tar.zst`, with what they answered): they open, answer the same, are of the
//! newest layout from then on, and go on.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn unpacked(name: &str, to: &Path) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/layouts").join(name);
    let bytes = zstd::decode_all(&fs::read(path).unwrap()[..]).unwrap();
    tar::Archive::new(&bytes[..]).unpack(to).unwrap();
    to.join("case")
}

fn run(case: &Path, args: &[&str]) -> (String, String) {
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_backtrail"));
    command.env("HOME", home.path()).env("BACKTRAIL_USER", "ana").env_remove("BACKTRAIL_CASE");
    let ran = command.arg("--case").arg(case).args(args).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    assert!(ran.status.success(), "{args:?}: {}", text(&ran.stderr));
    (text(&ran.stdout), text(&ran.stderr))
}

fn sorted(text: &str) -> Vec<serde_json::Value> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines.into_iter().map(|l| serde_json::from_str(l).unwrap()).collect()
}

#[test]
fn a_case_of_layout_4_opens_answers_as_it_did_and_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let case = unpacked("layout-4.tar.zst", dir.path());
    let stored = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
    assert!(fs::read_to_string(case.join("case.toml")).unwrap().contains("version = 4"));
    for lost in [false, true] {
        if lost {
            fs::remove_dir_all(case.join("catalog")).unwrap();
        }
        let (rows, said) = run(&case, &["query", "*", "-o", "jsonl"]);
        assert_eq!(said, "");
        assert_eq!(sorted(&rows), sorted(&stored("answers.jsonl")));
        assert_eq!(sorted(&run(&case, &["dns", "-o", "cof"]).0), sorted(&stored("cof.jsonl")));
        assert!(run(&case, &["verify", "--quick", "--full"]).0.contains("all checksums hold"));
        assert!(run(&case, &["note"]).0.contains("kept through layouts"));
        assert!(run(&case, &["bookmark", "list"]).0.contains("names"));
    }
    let version = fs::read_to_string(case.join("case.toml")).unwrap();
    assert!(!version.contains("version = 4\n") || backtrail::store::case_dir::VERSION == 4, "{version}");
    // Days of the old layout are dropped like others, and new ones come.
    let (listed, _) = run(&case, &["prune", "--older-than", "365d", "--dry-run"]);
    assert!(listed.contains("2013-05-21") && listed.contains("nothing was dropped"), "{listed}");
    let (pruned, _) = run(&case, &["prune", "--older-than", "365d"]);
    assert!(pruned.contains("dropped"), "{pruned}");
    let left = sorted(&run(&case, &["query", "*", "-o", "jsonl"]).0);
    assert!(!left.is_empty() && left.len() < sorted(&stored("answers.jsonl")).len());
    assert!(run(&case, &["sources"]).0.contains("pruned before 20"));
    assert!(run(&case, &["verify", "--quick", "--full"]).0.contains("all checksums hold"));
}
