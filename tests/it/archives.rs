//! Archives: every member is evidence of its own, the same bare or archived, however deep; it can be read back; what is hostile is refused in
//! words; content that is known under another name or compression adds nothing.

use backtrail::ingest::{self, FileReport, Outcome, Report, Request, Watch};
use backtrail::model::packet::PacketRef;
use backtrail::model::{Filter, Kind, Record, Time};
use backtrail::query::engine::{Cancel, Raw};
use backtrail::query::known::Known;
use backtrail::query::{Engine, LocalEngine};
use backtrail::store::{Ask, OpenOptions, Reserve, Store};
use std::fs;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tempfile::TempDir;
use zip::unstable::write::FileOptionsExt;
use zip::write::SimpleFileOptions;
use zip::{AesMode, CompressionMethod, ZipWriter};

struct Case {
    store: Store,
    dir: TempDir,
}

impl Case {
    fn new() -> Case {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("in")).unwrap();
        let reserve = Reserve { percent: 0, bytes: 0 };
        let options = OpenOptions { create: true, ballast: 0, forget: true, reserve, ..OpenOptions::default() };
        Case { store: Store::open(&dir.path().join("case"), &options).unwrap(), dir }
    }
    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("in").join(name)
    }
    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        fs::write(self.path(name), bytes).unwrap();
        self.path(name)
    }
    fn run(&self, request: &Request) -> Report {
        let now = Time::parse("2026-11-20T12:00:00Z").unwrap();
        ingest::ingest(&self.store, request, &Watch { stop: Arc::new(|| false), progress: &|_| (), now }).unwrap()
    }
    fn ingest(&self, name: &str) -> Vec<FileReport> {
        self.run(&Request { paths: vec![self.path(name)], ..Request::default() }).files
    }
    fn with(&self, name: &str, passwords: &[&str]) -> Vec<FileReport> {
        let passwords = passwords.iter().map(|p| (*p).to_owned()).collect();
        self.run(&Request { paths: vec![self.path(name)], passwords, ..Request::default() }).files
    }
    fn records(&self) -> Vec<Record> {
        let mut all = Vec::new();
        let mut add = |r: Record| {
            all.push(r);
            true
        };
        self.store.snapshot().select(&Ask::new(&Filter::All), &|| false, &mut add).unwrap();
        all
    }
    fn engine(&self) -> LocalEngine {
        LocalEngine::new(self.store.clone(), Box::new(Known::default()))
    }
    /// What is left of members in the case's folder.
    fn kept(&self) -> Vec<String> {
        let entries = fs::read_dir(self.dir.path().join("case/evidence")).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries.map(|e| e.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

fn sample(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("sample-data").join(name)).unwrap()
}

fn zip_with(members: &[(&str, &[u8])], options: SimpleFileOptions) -> Vec<u8> {
    let mut out = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in members {
        out.start_file(*name, options).unwrap();
        out.write_all(bytes).unwrap();
    }
    out.finish().unwrap().into_inner()
}

fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    zip_with(members, SimpleFileOptions::default().compression_method(CompressionMethod::Deflated))
}

/// Names are written as they are: `tar` itself refuses the ones that lead out of the folder.
fn tar(members: &[(&str, &[u8], tar::EntryType)]) -> Vec<u8> {
    let mut out = tar::Builder::new(Vec::new());
    for (name, bytes, kind) in members {
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_size(bytes.len() as u64);
        header.set_entry_type(*kind);
        header.set_mtime(1_795_000_000);
        header.set_cksum();
        out.append(&header, *bytes).unwrap();
    }
    out.into_inner().unwrap()
}

fn files(members: &[(&str, &[u8])]) -> Vec<u8> {
    let members: Vec<_> = members.iter().map(|(name, bytes)| (*name, *bytes, tar::EntryType::Regular)).collect();
    tar(&members)
}

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut out = liblzma::write::XzEncoder::new(Vec::new(), 1);
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

fn words(rows: &[FileReport]) -> Vec<&str> {
    rows.iter().map(FileReport::word).collect()
}

/// Names of rows after the case's folder.
fn names(case: &Case, rows: &[FileReport]) -> Vec<String> {
    let folder = format!("{}/", case.dir.path().join("in").display());
    rows.iter().map(|r| r.path.replace(&folder, "")).collect()
}

#[test]
fn a_member_is_evidence_of_its_own_and_the_same_bare() {
    let (log, dns) = (sample("story/auth.log"), sample("protocols/dns.pcap"));
    let bare = Case::new();
    bare.write("auth.log", &log);
    bare.write("dns.pcap", &dns);
    let want: Vec<u64> = ["auth.log", "dns.pcap"].map(|name| bare.ingest(name)[0].counts.records).to_vec();

    let case = Case::new();
    case.write("a.zip", &zip(&[("logs/auth.log", &log), ("dns.pcap", &dns), ("readme", b"hello")]));
    let rows = case.ingest("a.zip");
    assert_eq!(names(&case, &rows), ["a.zip", "a.zip!logs/auth.log", "a.zip!dns.pcap", "a.zip!readme"]);
    assert_eq!(words(&rows), ["opened", "read", "read", "not recognised"]);
    assert_eq!(rows[0].note(), "3 members: 2 read, 1 not recognised");
    assert_eq!([rows[1].counts.records, rows[2].counts.records], want[..]);
    let records = case.records();
    assert_eq!(records.len() as u64, want.iter().sum::<u64>());
    // The same ids: the key is of the member's own bytes.
    let ids = |case: &Case| case.records().iter().map(|r| r.id).collect::<Vec<_>>();
    assert_eq!(ids(&case).len(), ids(&bare).len());
    assert!(ids(&case).iter().all(|id| ids(&bare).contains(id)));

    case.write("auth.log", &log);
    assert_eq!(words(&case.ingest("auth.log")), ["known"]);
    let again = case.ingest("a.zip");
    assert_eq!((again.len(), words(&again)[0]), (1, "known"));
    assert!(again[0].warnings[0].contains("1 not recognised"), "{again:?}");
    assert_eq!(ids(&case).len(), records.len());
    let archive = case.store.evidence().into_iter().find(|e| e.format == "zip").unwrap();
    assert_eq!(archive.sha256.len(), 64);
    assert!(case.kept().is_empty(), "{:?}", case.kept());
}

#[test]
fn lines_and_packets_are_read_back_from_an_archive_in_an_archive_in_an_archive() {
    let (log, dns) = (sample("story/auth.log"), sample("protocols/dns.pcap"));
    // Twice the same name, and a name with the mark in it.
    let inner = gz(&files(&[("x!y/auth.log", b"other\n"), ("x!y/auth.log", &log), ("dns.pcap", &dns)]));
    let case = Case::new();
    case.write("odd!name.tar.xz", &xz(&files(&[("mid.zip", &zip(&[("inner.tgz", &inner), ("plain.txt", b"...")]))])));
    let rows = case.ingest("odd!name.tar.xz");
    assert_eq!(names(&case, &rows).last().unwrap(), "odd!name.tar.xz!mid.zip!plain.txt");
    assert!(names(&case, &rows).contains(&"odd!name.tar.xz!mid.zip!inner.tgz!dns.pcap".to_owned()), "{:?}", names(&case, &rows));

    let bare = Case::new();
    bare.write("auth.log", &log);
    bare.write("dns.pcap", &dns);
    bare.ingest("auth.log");
    bare.ingest("dns.pcap");
    let (inside, outside) = (case.engine(), bare.engine());
    let mut seen = (0, 0);
    for record in bare.records() {
        if record.len > 0 && record.kind == Kind::Auth {
            let Raw::Bytes(got) = inside.raw(record.origin()).unwrap() else { panic!("gone") };
            let at = record.id.offset as usize;
            assert_eq!(got, log[at..at + record.len as usize]);
            seen.0 += 1;
        }
        let refs: Vec<PacketRef> = inside.packets(record.id).unwrap();
        if record.kind == Kind::Flow {
            let get = |e: &LocalEngine| e.packet_bytes(record.id.evidence, &refs, &Cancel::default()).unwrap();
            let (got, want) = (get(&inside), get(&outside));
            assert!(!want.is_empty());
            let data = |p: Vec<backtrail::query::engine::PacketBytes>| p.into_iter().map(|p| p.data).collect::<Vec<_>>();
            assert_eq!(data(got), data(want));
            seen.1 += 1;
        }
    }
    assert!(seen.0 > 0 && seen.1 > 0, "{seen:?}");
    // The archive gone, it says so.
    let record = case.records().into_iter().find(|r| r.kind == Kind::Auth).unwrap();
    fs::remove_file(case.path("odd!name.tar.xz")).unwrap();
    let Ok(Raw::Gone(why)) = inside.raw(record.origin()) else { panic!("still there") };
    assert!(why.contains("put it back"), "{why}");
}

#[test]
fn encrypted_members_are_read_with_a_password_and_kept_to_be_read_again() {
    let dns = sample("protocols/dns.pcap");
    let log = sample("story/auth.log");
    let members: [(&str, &[u8]); 2] = [("dns.pcap", &dns), ("auth.log", &log)];
    let plain = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    let weak = |key: &'static [u8]| zip_with(&members, plain.with_deprecated_encryption(key).unwrap());
    let strong = |key: &'static str| zip_with(&members, plain.with_aes_encryption(AesMode::Aes256, key));
    for (bytes, given) in
        [(weak(b"infected"), ""), (strong("infected"), ""), (weak(b"other"), "other"), (strong("other"), "other")]
    {
        let case = Case::new();
        case.write("e.zip", &bytes);
        if !given.is_empty() {
            let locked = case.with("e.zip", &["wrong"]);
            assert_eq!(words(&locked), ["opened", "locked", "locked"]);
            assert!(locked[1].note().contains("--password") && locked[1].is_incomplete());
            assert_eq!(locked[0].note(), "2 members: 2 need a password");
            assert!(case.records().is_empty() && case.kept().is_empty());
        }
        let rows = case.with("e.zip", &["wrong", given]);
        assert_eq!(words(&rows), ["opened", "read", "read"], "{rows:?}");
        assert_eq!(words(&case.with("e.zip", &[])), ["known"]);
        // Read back without the archive and without the password.
        fs::remove_file(case.path("e.zip")).unwrap();
        let engine = case.engine();
        let line = case.records().into_iter().find(|r| r.kind == Kind::Auth).unwrap();
        let at = line.id.offset as usize;
        let Raw::Bytes(got) = engine.raw(line.origin()).unwrap() else { panic!("gone") };
        assert_eq!(got, log[at..at + line.len as usize]);
        let flow = case.records().into_iter().find(|r| r.kind == Kind::Flow).unwrap();
        let refs = engine.packets(flow.id).unwrap();
        assert!(!engine.packet_bytes(flow.id.evidence, &refs, &Cancel::default()).unwrap().is_empty());
        assert_eq!(case.kept().len(), 2, "{:?}", case.kept());
    }
}

#[test]
fn a_person_is_asked_once_for_each_archive() {
    let plain = SimpleFileOptions::default();
    let log = sample("story/auth.log");
    let locked = zip_with(&[("auth.log", &log), ("b", b"bbb"), ("c", b"ccc")], plain.with_aes_encryption(AesMode::Aes128, "one"));
    let other = zip_with(&[("d", b"ddd"), ("e", b"eee")], plain.with_aes_encryption(AesMode::Aes128, "two"));
    let case = Case::new();
    case.write("1.zip", &locked);
    case.write("2.zip", &other);
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let answer = move |archive: &str| {
        counter.fetch_add(1, Ordering::Relaxed);
        archive.ends_with("1.zip").then(|| "one".to_owned())
    };
    let paths = vec![case.path("1.zip"), case.path("2.zip")];
    let report = case.run(&Request { paths, ask: Some(Arc::new(answer)), ..Request::default() });
    assert_eq!(words(&report.files), ["opened", "read", "not recognised", "not recognised", "opened", "locked", "locked"]);
    assert_eq!(asked.load(Ordering::Relaxed), 2);
}

#[test]
fn bombs_are_refused_in_words_and_leave_nothing_behind() {
    let case = Case::new();
    let zeros = vec![0u8; 8 << 20];
    let mut out = ZipWriter::new(Cursor::new(Vec::new()));
    out.start_file("zeros", SimpleFileOptions::default().compression_method(CompressionMethod::Deflated)).unwrap();
    for _ in 0..50 {
        out.write_all(&zeros).unwrap();
    }
    let mut bomb = out.finish().unwrap().into_inner();
    case.write("bomb.zip", &bomb);
    let rows = case.ingest("bomb.zip");
    assert!(rows[1].is_incomplete() && rows[1].note().contains("says that it unpacks to more than 250 times"), "{rows:?}");
    // The list says one byte: what comes out counts.
    let central = bomb.windows(4).rposition(|w| w == b"PK\x01\x02").unwrap();
    bomb[central + 24..central + 28].copy_from_slice(&1u32.to_le_bytes());
    case.write("liar.zip", &bomb);
    let rows = case.ingest("liar.zip");
    assert!(rows.iter().any(|r| r.is_incomplete()), "{rows:?}");
    // A list that names the same bytes twice.
    let one = zip(&[("a.log", b"Nov 20 08:00:01 host sshd[1]: hello\n")]);
    let central = one.windows(4).rposition(|w| w == b"PK\x01\x02").unwrap();
    let end = one.windows(4).rposition(|w| w == b"PK\x05\x06").unwrap();
    let mut twice = [&one[..end], &one[central..end], &one[end..]].concat();
    let at = twice.len() - 22;
    let size = 2 * (end - central) as u32;
    twice[at + 8..at + 12].copy_from_slice(&[2, 0, 2, 0]);
    twice[at + 12..at + 16].copy_from_slice(&size.to_le_bytes());
    case.write("twice.zip", &twice);
    let rows = case.ingest("twice.zip");
    assert_eq!(words(&rows), ["failed"]);
    assert!(rows[0].note().contains("overlap"), "{rows:?}");
    // A tar that unpacks to much of nothing, between its members and in a name.
    let mut header = tar(&[("././@LongLink", b"", tar::EntryType::GNULongName)])[..512].to_vec();
    header[124..136].copy_from_slice(b"77777777777\0");
    let sum: u32 = header.iter().enumerate().map(|(at, b)| if (148..156).contains(&at) { 32 } else { u32::from(*b) }).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut packed = zstd::Encoder::new(Vec::new(), 1).unwrap();
    packed.write_all(&header).unwrap();
    for _ in 0..50 {
        packed.write_all(&zeros).unwrap();
    }
    case.write("long.tgz", &packed.finish().unwrap());
    let rows = case.ingest("long.tgz");
    assert!(rows[0].note().contains("250 times"), "{rows:?}");
    assert!(case.records().is_empty() && case.kept().is_empty(), "{:?}", case.kept());
}

#[test]
fn an_archive_cut_anywhere_gives_rows_and_never_a_panic() {
    let (log, dns) = (sample("story/auth.log"), sample("protocols/dns.pcap"));
    let members: [(&str, &[u8]); 3] = [("dns.pcap", &dns), ("auth.log", &log), ("last", b"x")];
    for (name, whole) in [("z.zip", zip(&members)), ("t.tar", files(&members)), ("g.tgz", gz(&files(&members)))] {
        let case = Case::new();
        for part in 1..64 {
            let cut = &whole[..whole.len() * part / 64];
            let cut_name = format!("{part}-{name}");
            case.write(&cut_name, cut);
            let rows = case.ingest(&cut_name);
            assert!(rows.iter().any(FileReport::is_incomplete), "{cut_name}: {rows:?}");
        }
        case.write(name, &whole);
        let rows = case.ingest(name);
        assert_eq!(words(&rows)[0], "opened", "{rows:?}");
    }
}

#[test]
fn bytes_changed_anywhere_in_an_archive_never_panic() {
    let case = Case::new();
    let log = &sample("story/auth.log")[..2000];
    let locked = SimpleFileOptions::default().with_aes_encryption(AesMode::Aes256, "infected");
    for whole in [zip(&[("auth.log", log)]), files(&[("auth.log", log)]), zip_with(&[("auth.log", log)], locked)] {
        for at in (0..whole.len()).step_by(37).chain(whole.len() - 120..whole.len()) {
            let mut bad = whole.clone();
            bad[at] ^= 0x55;
            case.write("bad", &bad);
            assert!(!case.ingest("bad").is_empty());
        }
    }
}

#[test]
fn ten_thousand_members_and_ten_archives_around_one() {
    let case = Case::new();
    let names: Vec<String> = (0..10_000).map(|n| format!("d/{n}")).collect();
    let members: Vec<(&str, &[u8])> = names.iter().map(|n| (n.as_str(), &b"\x01\x02\x03"[..])).collect();
    case.write("many.tgz", &gz(&files(&members)));
    let rows = case.ingest("many.tgz");
    assert_eq!(rows.len(), 10_001);
    assert_eq!(rows[0].note(), "10000 members: 10000 not recognised");

    let mut deep = sample("story/auth.log");
    for n in 0..10 {
        deep = if n % 2 == 0 { zip(&[("inner", &deep)]) } else { files(&[("inner", &deep)]) };
    }
    case.write("deep", &deep);
    let rows = case.ingest("deep");
    assert_eq!(words(&rows), ["opened", "opened", "opened", "opened", "not recognised"]);
    assert!(rows[4].note().contains("nested more than 4 deep"), "{rows:?}");
}

#[test]
fn names_are_text_and_what_is_no_file_is_named_and_skipped() {
    let case = Case::new();
    let log = sample("story/auth.log");
    let kinds = [
        ("../../escape.log", &log[..], tar::EntryType::Regular),
        ("/etc/absolute\x1b[2J", b"x", tar::EntryType::Regular),
        ("link", b"", tar::EntryType::Symlink),
        ("device", b"", tar::EntryType::Char),
        ("folder/", b"", tar::EntryType::Directory),
    ];
    case.write("n.tar", &tar(&kinds));
    let rows = case.ingest("n.tar");
    let want = ["n.tar", "n.tar!../../escape.log", "n.tar!/etc/absolute\\u{1b}[2J", "n.tar!link", "n.tar!device"];
    assert_eq!(names(&case, &rows), want);
    assert_eq!(words(&rows), ["opened", "read", "not recognised", "skipped", "skipped"]);
    assert!(rows[3].note().contains("symbolic link"));
    let there = fs::read_dir(case.dir.path()).unwrap().flatten().count();
    assert_eq!(there, 2, "something was written beside the case");
    assert!(!case.dir.path().parent().unwrap().join("escape.log").exists());
}

#[test]
fn a_document_that_is_a_zip_is_no_archive_and_an_empty_one_says_so() {
    let case = Case::new();
    case.write("report.docx", &zip(&[("[Content_Types].xml", b"<x/>"), ("word/document.xml", b"<x/>")]));
    let rows = case.ingest("report.docx");
    assert_eq!(words(&rows), ["skipped"]);
    assert!(rows[0].note().contains("Office document") && rows[0].note().contains("unpack it"), "{rows:?}");
    case.write("empty.zip", &zip(&[]));
    let rows = case.ingest("empty.zip");
    assert_eq!((words(&rows), rows[0].note()), (vec!["opened"], "zip archive without members".to_owned()));
}

#[test]
fn a_log_that_was_rotated_and_compressed_adds_nothing() {
    let log = sample("story/www-access.log");
    let lines: Vec<usize> = memchr::memchr_iter(b'\n', &log).map(|at| at + 1).collect();
    let (early, late) = (&log[..lines[lines.len() / 2]], &log[..]);
    let case = Case::new();
    case.write("x.log", early);
    assert_eq!(words(&case.ingest("x.log")), ["read"]);
    // Written on, rotated and compressed before it was seen again: only what is new comes in.
    case.write("x.log.1.gz", &gz(late));
    assert_eq!(words(&case.ingest("x.log.1.gz")), ["grown"]);
    let all = case.records().len();
    let whole = Case::new();
    whole.write("x.log", late);
    whole.ingest("x.log");
    assert_eq!(all, whole.records().len());
    for (name, bytes) in [("x.log.1", late.to_vec()), ("x.log.2.xz", xz(late)), ("x.log.3.gz", gz(early))] {
        case.write(name, &bytes);
        let rows = case.ingest(name);
        assert_eq!(words(&rows), ["known"], "{name}");
        assert!(rows[0].warnings[0].contains("its content was imported as"), "{rows:?}");
    }
    case.write("x.zip", &zip(&[("x.log.4.gz", &gz(late))]));
    assert_eq!(words(&case.ingest("x.zip"))[1], "known");
    assert_eq!(case.records().len(), all);
    assert_eq!(case.store.sources().len(), 1);
}

#[test]
fn a_line_is_read_back_after_its_log_was_rotated_and_never_from_another_file() {
    let log = sample("story/auth.log");
    let case = Case::new();
    case.write("auth.log", &log);
    case.ingest("auth.log");
    let line = case.records().into_iter().find(|r| r.kind == Kind::Auth).unwrap();
    let want = &log[line.id.offset as usize..][..line.len as usize];
    fs::rename(case.path("auth.log"), case.path("auth.log.1")).unwrap();
    case.write("auth.log", &vec![b'#'; log.len()]);
    let Raw::Bytes(got) = case.engine().raw(line.origin()).unwrap() else { panic!("gone") };
    assert_eq!(got, want);
    fs::remove_file(case.path("auth.log.1")).unwrap();
    let Raw::Gone(why) = case.engine().raw(line.origin()).unwrap() else { panic!("read from another file") };
    assert!(why.contains("holds something else now"), "{why}");
}

#[test]
fn a_piece_that_is_missing_of_a_rotation_is_a_warning_of_its_source() {
    let log = sample("story/www-access.log");
    let third = log.len() / 3;
    let cut = |from: usize| &log[memchr::memchr(b'\n', &log[from..]).unwrap() + from + 1..];
    let case = Case::new();
    case.write("x.log", &log);
    case.write("x.log.1", cut(third));
    case.write("x.log.3.gz", &gz(cut(2 * third)));
    let rows = case.run(&Request { paths: vec![case.dir.path().join("in")], ..Request::default() }).files;
    assert!(rows[2].warnings.iter().any(|w| w.contains("number 2 is missing")), "{rows:?}");
    let source = case.store.sources().remove(0);
    assert!(source.warnings.iter().any(|w| w.contains("number 2 is missing")), "{:?}", source.warnings);
}

#[test]
fn a_snoop_capture_gives_what_the_same_packets_give_as_pcap() {
    let pcap = sample("protocols/dns.pcap");
    let mut snoop = b"snoop\0\0\0\0\0\0\x02\0\0\0\x04".to_vec();
    let mut packets = 0;
    backtrail::sources::capture::read(backtrail::sources::CaptureKind::of(&pcap).unwrap(), &mut &pcap[..], &mut |item| {
        if let backtrail::sources::Item::Packet(p) = item {
            let padded = p.data.len().next_multiple_of(4);
            let (seconds, micros) = (p.time.0 / 1_000_000_000, p.time.0 % 1_000_000_000 / 1000);
            for n in [p.wire_len, p.data.len() as u32, (24 + padded) as u32, 0, seconds as u32, micros as u32] {
                snoop.extend(n.to_be_bytes());
            }
            snoop.extend(p.data);
            snoop.resize(snoop.len() + padded - p.data.len(), 0);
            packets += 1;
        }
        true
    });
    let (one, other) = (Case::new(), Case::new());
    one.write("a", &pcap);
    other.write("a", &snoop);
    let (want, got) = (one.ingest("a").remove(0), other.ingest("a").remove(0));
    assert_eq!((got.format.as_str(), got.counts.ok), ("snoop", packets));
    assert_eq!((got.counts, got.span), (want.counts, want.span));
    let flow = other.records().into_iter().find(|r| r.kind == Kind::Flow).unwrap();
    let engine = other.engine();
    let refs = engine.packets(flow.id).unwrap();
    let found = engine.packet_bytes(flow.id.evidence, &refs, &Cancel::default()).unwrap();
    assert_eq!(found.len(), refs.len());
    assert!(matches!(found[0].data.get(12..14), Some([8, 0])));
    assert!(matches!(other.ingest("a")[0].outcome, Outcome::Known));
}
