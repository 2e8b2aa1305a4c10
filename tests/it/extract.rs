//! Files rebuilt from packets: what is written is what its record says, and what is missing is said.

use crate::story::{Case, story};
use backtrail::case::LocalKeeper;
use backtrail::case::extract::Extraction;
use backtrail::case::extract::pack::{LIST, PASSWORD, Request, SUMS, extract_to};
use backtrail::case::extract::spool::Limits;
use backtrail::error::Result;
use backtrail::flow::Checksums;
use backtrail::ingest;
use backtrail::model::decision::What;
use backtrail::model::field;
use backtrail::query::Engine;
use backtrail::query::engine::Cancel;
use serde_json::Value as Json;
use sha2::{Digest, Sha256};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

const HELPER: &str = "5a69e0160206a54a25e6991915219661b707fff56bb329b05762157fecf7f569";
const DOWNLOAD: &str = "bae76f78e3b591b1123775dda65546ac9de953b0461eb948616a15a4b09fe790";

fn run(case: &Case, text: &str, to: &Path, limits: Limits) -> Result<Extraction> {
    let keeper = LocalKeeper::new(case.engine.store().clone());
    let request = Request { text, to, password: PASSWORD, limits };
    extract_to(&case.engine, &keeper, &request, &Cancel::default())
}

fn sum(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o7777
}

/// What `sha256sum -c` does, and what the list says.
fn manifest(dir: &Path) -> Vec<Json> {
    let sums = std::fs::read_to_string(dir.join(SUMS)).unwrap();
    let list = std::fs::read_to_string(dir.join(LIST)).unwrap();
    let list: Vec<Json> = list.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(sums.lines().count(), list.len());
    for (line, object) in sums.lines().zip(&list) {
        let (hash, name) = line.split_once("  ").unwrap();
        assert_eq!((sum(&std::fs::read(dir.join(name)).unwrap()), mode(&dir.join(name))), (hash.to_owned(), 0o400));
        assert_eq!((object["file"].as_str(), object["sha256"].as_str()), (Some(name), Some(hash)));
        assert!(name.ends_with(&format!("-{}.bin", &hash[..8])), "{name}");
    }
    list
}

#[test]
fn files_of_the_story_are_those_that_its_records_tell_of() {
    let case = Case::of(&["inside.pcapng"]);
    // Written over SMB to two hosts, and known by its hash though nobody extracted it.
    let written = case.rows(&format!("kind = file and action = written and sha256 = {HELPER}"));
    assert_eq!(written.len(), 2);
    assert!(
        written.iter().all(|r| r.text(field::FILE_NAME) == Some("Temp\\svchelper.exe") && r.uint(field::FILE_SIZE) == Some(9728))
    );
    let to = case.path("out");
    let found = run(&case, "kind = flow", &to, Limits::default()).unwrap();
    assert_eq!(mode(&to), 0o700);
    let list = manifest(&to);
    assert_eq!(list.len(), found.files.len());
    for hash in [HELPER, DOWNLOAD] {
        assert!(list.iter().any(|f| f["sha256"] == hash && f["sound"] == true), "{hash}");
    }
    // Every file with a hash was rebuilt with it; nothing was rebuilt that has no record.
    let known = case.rows("kind = file and sha256 ~ /./");
    assert!(known.len() > 3);
    for record in &known {
        let (id, hash) = (record.id.to_string(), record.text(field::SHA256));
        assert!(list.iter().any(|f| f["id"] == id.as_str() && f["sha256"].as_str() == hash), "{record:?}");
    }
    assert!(list.iter().filter(|f| f["sound"] == true).count() == known.len());
    // Original names stand in the manifest only.
    assert!(std::fs::read_dir(&to).unwrap().all(|e| !e.unwrap().file_name().to_string_lossy().contains("svchelper")));
    assert!(list.iter().any(|f| f["file.name"] == "Temp\\svchelper.exe" && f["app"] == "smb"));
    // The journal names each with its hash.
    let decisions = case.engine.store().journal().decisions();
    let named: Vec<_> = decisions
        .iter()
        .filter_map(|d| if let What::Extract { files, .. } = &d.what { Some(files) } else { None })
        .flatten()
        .collect();
    assert_eq!(named.len(), list.len());
    assert!(named.iter().any(|f| f.sha256 == HELPER && f.sound && f.name == "Temp\\svchelper.exe"));
    // What is there is not written over.
    assert!(run(&case, "kind = flow", &to, Limits::default()).unwrap_err().what.contains("not empty"));
}

#[test]
fn one_file_by_its_record_into_an_archive_with_a_password() {
    let case = Case::of(&["inside.pcapng"]);
    let to = case.path("one.zip");
    let found =
        run(&case, &format!("kind = file and sha256 = {HELPER} and dst.ip = 10.8.21.23"), &to, Limits::default()).unwrap();
    assert_eq!((found.files.len(), mode(&to)), (1, 0o400));
    let mut archive = zip::ZipArchive::new(std::fs::File::open(&to).unwrap()).unwrap();
    let names: Vec<String> = archive.file_names().map(|n| n.unwrap().into_owned()).collect();
    assert_eq!(names.len(), 3);
    let name = &found.files[0].written;
    assert!(archive.by_name(name).is_err());
    let mut bytes = Vec::new();
    archive.by_name_decrypt(name, PASSWORD.as_bytes()).unwrap().read_to_end(&mut bytes).unwrap();
    assert_eq!(sum(&bytes), HELPER);
    let mut list = String::new();
    archive.by_name_decrypt(LIST, PASSWORD.as_bytes()).unwrap().read_to_string(&mut list).unwrap();
    assert!(list.contains("svchelper.exe") && list.contains(HELPER));
    // Nothing is left beside it.
    let left: Vec<_> = std::fs::read_dir(case.path("")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(!left.iter().any(|n| n.to_string_lossy().contains("extract")), "{left:?}");
}

/// A capture of the story without some packets of its records' places.
fn without(case: &Case, drop: &[usize]) -> PathBuf {
    let bytes = std::fs::read(story("outside.pcap")).unwrap();
    let mut out = bytes[..24].to_vec();
    let (mut at, mut n) = (24, 0);
    while let Some(head) = bytes.get(at..at + 16) {
        let length = 16 + u32::from_le_bytes(head[8..12].try_into().unwrap()) as usize;
        if !drop.contains(&n) {
            out.extend_from_slice(&bytes[at..at + length]);
        }
        (at, n) = (at + length, n + 1);
    }
    let path = case.path("holes.pcap");
    std::fs::write(&path, out).unwrap();
    path
}

#[test]
fn a_gap_is_said_and_its_place_is_kept() {
    let whole = Case::of(&["outside.pcap"]);
    let record = whole.rows("kind = file and app = http and file.size > 10000").remove(0);
    let flow = whole.one(&format!("id = \"{}\"", record.text(field::FLOW).unwrap()));
    let long: Vec<_> = whole.packets(&flow).into_iter().filter(|p| p.data.len() > 1000 && p.at.inbound).collect();
    let lost = &long[long.len() / 2];
    let case = Case::new();
    let path = without(&case, &[lost.at.number as usize - 1]);
    case.ingest(&[path]);
    let to = case.path("out");
    let found = run(&case, "app = http", &to, Limits::default()).unwrap();
    let file = found.files.iter().find(|f| !f.gaps.is_empty()).unwrap();
    assert!(!file.sound && file.note.starts_with("1 gap, "), "{}", file.note);
    let intact = whole.path("intact");
    let before = run(&whole, &format!("id = \"{}\"", record.id), &intact, Limits::default()).unwrap();
    let (holed, intact) =
        (std::fs::read(to.join(&file.written)).unwrap(), std::fs::read(intact.join(&before.files[0].written)).unwrap());
    let (from, until) = (file.gaps[0].0 as usize, file.gaps[0].1 as usize);
    assert_eq!(holed.len(), intact.len());
    assert!(until > from && holed[..from] == intact[..from] && holed[until..] == intact[until..]);
    assert!(holed[from..until].iter().all(|b| *b == 0));
    let object = manifest(&to).into_iter().find(|f| f["file"] == file.written.as_str()).unwrap();
    assert_eq!(object["gaps"], serde_json::json!([[from, until]]));
}

#[test]
fn bounds_are_kept_and_said() {
    let case = Case::of(&["inside.pcapng"]);
    let found = run(&case, "app = http", &case.path("few"), Limits { files: 1, ..Limits::default() }).unwrap();
    assert!(found.files.len() <= 1 && found.notes[0].contains("more files"), "{:?}", found.notes);
    let found = run(&case, "app = http", &case.path("short"), Limits { bytes: 100, ..Limits::default() }).unwrap();
    assert!(found.files.iter().all(|f| f.size <= 100) && found.files.iter().any(|f| f.note.starts_with("cut")));
    let written: u64 = found.files.iter().map(|f| f.size).sum();
    assert!(written <= 100);
    // Of a selection without files nothing is left behind.
    let none = run(&case, "app = dns", &case.path("none"), Limits::default()).unwrap_err();
    assert!(none.what.contains("no flow selected carries files"), "{none}");
    assert!(!case.path("none").exists());
}

#[test]
fn every_protocol_that_carries_files_gives_them() {
    let sample = |name: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("sample-data/protocols").join(name);
    let case = Case::new();
    case.ingest(&["http.pcap", "smtp.pcap", "smb.pcap", "tftp.pcap", "ftp.pcap", "http2.pcap"].map(sample));
    let to = case.path("out");
    let found = run(&case, "kind = flow", &to, Limits::default()).unwrap();
    manifest(&to);
    for file in &found.files {
        let stated = file.record.text(field::SHA256);
        assert_eq!(file.sound, stated == Some(file.sha256.as_str()), "{file:?}");
        assert!(file.sound || !file.note.is_empty());
    }
    assert_eq!(found.files.iter().filter(|f| f.sound).count() as u64, case.count("kind = file and sha256 ~ /./"));
}

#[test]
fn packets_are_read_as_they_were_imported() {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("sample-data/protocols/http.pcap");
    let mut bytes = std::fs::read(sample).unwrap();
    // The checksum of the sixth packet, a response, is made wrong: a default import believes it, as one of three.
    let mut at = 24;
    for _ in 0..5 {
        at += 16 + u32::from_le_bytes(bytes[at + 8..at + 12].try_into().unwrap()) as usize;
    }
    bytes[at + 16 + 14 + 20 + 16] ^= 0x55;
    let mut sound = Vec::new();
    for checksums in [Checksums::Ignore, Checksums::Check] {
        let case = Case::new();
        let path = case.path("damaged.pcap");
        std::fs::write(&path, &bytes).unwrap();
        case.ingest_as(&ingest::Request { paths: vec![path], checksums, ..ingest::Request::default() });
        assert_eq!(case.engine.evidence()[0].metered, ["zeek", checksums.name()]);
        let found = run(&case, "kind = flow", &case.path("out"), Limits::default()).unwrap();
        sound.push(found.files.iter().filter(|f| f.sound).count() as u64);
        assert_eq!(sound.last(), Some(&case.count("kind = file and sha256 ~ /./")));
    }
    assert_eq!(sound[1] + 1, sound[0]);
}
