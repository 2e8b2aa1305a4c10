//! What one is really handed: texts of Windows, dates of either order, archives that were cut, sensors that missed things, files that cannot be
//! read, pieces of what is in already. Nothing of it is read wrongly in silence, and nothing is in twice.

use backtrail::case::home::{self, Asking, Which};
use backtrail::ingest::{self, FileReport, Outcome, Report, Request, Watch};
use backtrail::model::decision::What;
use backtrail::model::source::DateOrder;
use backtrail::model::time::Time;
use backtrail::model::{Cancel, Filter, Kind, Origin, Record, Window, field};
use backtrail::query::engine::Raw;
use backtrail::query::known::Known;
use backtrail::query::{Engine, LocalEngine};
use backtrail::store::{Ask, OpenOptions, Reserve, Store};
use std::fs;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
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
    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.dir.path().join("in").join(name);
        fs::write(&path, bytes).unwrap();
        path
    }
    fn run(&self, request: &Request) -> Report {
        let now = Time::parse("2026-11-20T12:00:00Z").unwrap();
        ingest::ingest(&self.store, request, &Watch { stop: Arc::new(|| false), progress: &|_| (), now }).unwrap()
    }
    fn ingest(&self, name: &str) -> Vec<FileReport> {
        let path = self.dir.path().join("in").join(name);
        self.run(&Request { paths: vec![path], ..Request::default() }).files
    }
    /// The rows of a file that is written now.
    fn take(&self, name: &str, bytes: &[u8]) -> FileReport {
        self.write(name, bytes);
        self.ingest(name).remove(0)
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
    /// Lines of what home says needs a decision.
    fn decide(&self) -> Vec<String> {
        let (engine, cancel) = (self.engine(), Cancel::default());
        let window = engine.span().unwrap_or(Window::ALL);
        let asking = Asking {
            engine: &engine,
            dir: std::path::Path::new("/nonexistent"),
            decisions: &[],
            window,
            scope: "",
            cancel: &cancel,
        };
        let section = home::section(Which::Decide, &asking).unwrap();
        section.lines.iter().map(|l| l.cells.iter().map(|c| c.show(&|t| t.rfc3339())).collect::<Vec<_>>().join(" | ")).collect()
    }
    fn raw(&self, record: &Record) -> Vec<u8> {
        let at = Origin { evidence: record.id.evidence, offset: record.id.offset, len: record.len };
        match self.engine().raw(at).unwrap() {
            Raw::Bytes(bytes) => bytes,
            other => panic!("{other:?}"),
        }
    }
}

fn sample(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("sample-data").join(name)).unwrap()
}

fn wide(text: &str, big: bool, mark: bool) -> Vec<u8> {
    let units = mark.then_some(0xfeff).into_iter().chain(text.encode_utf16());
    units.flat_map(|u| if big { u.to_be_bytes() } else { u.to_le_bytes() }).collect()
}

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

fn zip(members: &[(&str, &[u8])], options: SimpleFileOptions) -> Vec<u8> {
    let mut out = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in members {
        out.start_file(*name, options).unwrap();
        out.write_all(bytes).unwrap();
    }
    out.finish().unwrap().into_inner()
}

fn said(rows: &FileReport, what: &str) -> bool {
    rows.warnings.iter().any(|w| w.contains(what))
}

#[test]
fn text_in_utf_16_is_read_as_text_and_its_lines_are_found_again() {
    for name in [
        "auth-log.log",
        "syslog.log",
        "suricata-eve.json",
        "access-log.log",
        "csv-lines.csv",
        "zeek.log",
        "windows-event.json",
        "nmap-xml.xml",
    ] {
        let bytes = sample(&format!("formats/{name}"));
        let text = String::from_utf8(bytes).unwrap();
        let plain = Case::new();
        let want = plain.take(name, text.as_bytes());
        assert!(want.counts.records > 0);
        for (big, mark) in [(false, true), (true, true), (false, false), (true, false)] {
            for packed in [false, true] {
                let case = Case::new();
                let bytes = wide(&text, big, mark);
                let row = case.take(name, &if packed { gz(&bytes) } else { bytes });
                assert_eq!(
                    (row.format.as_str(), row.counts),
                    (want.format.as_str(), want.counts),
                    "{name} {big} {mark} {packed}"
                );
                assert!(said(&row, "UTF-16 text, read as UTF-8"), "{row:?}");
                let coding = case.store.evidence()[0].compression.clone();
                assert_eq!(coding, format!("{}utf-16{}", if packed { "gz " } else { "" }, if big { "be" } else { "le" }));
                let by_place = |case: &Case| {
                    let mut all = case.records();
                    all.sort_by_key(|r| r.id);
                    all
                };
                let (a, b) = (by_place(&plain), by_place(&case));
                for (a, b) in a.iter().zip(&b).filter(|(a, _)| a.len > 0) {
                    assert_eq!((a.id.offset, &a.fields), (b.id.offset, &b.fields), "{name}");
                }
                let record = b.iter().rev().find(|r| r.len > 0).unwrap();
                let at = record.id.offset as usize;
                assert_eq!(case.raw(record), &text.as_bytes()[at..at + record.len as usize], "{name}");
            }
        }
    }
}

#[test]
fn a_text_in_utf_16_that_grew_adds_what_is_new() {
    let text = String::from_utf8(sample("formats/auth-log.log")).unwrap();
    let half = text[..text.len() / 2].rfind('\n').unwrap() + 1;
    let case = Case::new();
    let first = case.take("a.log", &wide(&text[..half], false, true));
    let second = case.take("a.log", &wide(&text, false, true));
    assert_eq!(second.outcome, Outcome::Grown);
    let whole = Case::new().take("a.log", &wide(&text, false, true));
    assert_eq!(first.counts.records + second.counts.records, whole.counts.records);
}

#[test]
fn dates_of_either_order_are_settled_by_the_file_or_stand_as_a_guess_that_can_be_set() {
    let line = |d: &str, n: u32| format!("{d} 08:00:{:02} app started job {n} for 10.0.0.5\n", n % 60);
    let open: String = (0..20).map(|n| line("03/04/2026", n)).collect();
    // One date decides for all, also where it stands behind the head of the file.
    let long: String = (0..4000).map(|n| line("03/04/2026", n)).collect();
    for (last, want) in [("13/04/2026", "2026-04-03"), ("04/13/2026", "2026-03-04")] {
        let case = Case::new();
        let row = case.take("app.log", format!("{long}{}", line(last, 1)).as_bytes());
        assert!(!said(&row, "dates like"), "{row:?}");
        assert!(case.records()[0].start.to_string().starts_with(want), "{last}");
    }
    let case = Case::new();
    let row = case.take("app.log", open.as_bytes());
    assert!(said(&row, "dates like 03/04/2026 are read month first, which is a guess"), "{row:?}");
    assert!(case.records()[0].start.to_string().starts_with("2026-03-04T08:00:00"));
    assert!(case.decide().iter().any(|l| l.starts_with("order of dates of app | no number says; 03/04 is read as 4 March")));
    let set = |dates: &str| What::SourceSet {
        source: "app".into(),
        offset: None,
        zone: None,
        year: None,
        dates: Some(dates.into()),
        site: None,
    };
    case.store.journal().append(set("day-first"), backtrail::model::decision::Who::default()).unwrap();
    let corrected = case.records()[0].time().to_string();
    assert!(corrected.starts_with("2026-04-03T08:00:00"), "{corrected}");
    let engine = case.engine();
    let april = engine.compile("since 2026-04-03T00:00Z").unwrap();
    let counted = engine.counts(&[april], 1000, &Cancel::default()).unwrap()[0];
    assert_eq!(counted.n, 20, "the window is of corrected times");
    assert!(!case.decide().iter().any(|l| l.contains("order of dates")));
    case.store.journal().append(set("month-first"), backtrail::model::decision::Who::default()).unwrap();
    assert!(case.records()[0].time().to_string().starts_with("2026-03-04T08:00:00"));
    // Told at the import.
    let case = Case::new();
    let path = case.write("app.log", open.as_bytes());
    let rows = case.run(&Request { paths: vec![path], dates: Some(DateOrder::DayFirst), ..Request::default() }).files;
    assert!(!said(&rows[0], "dates like"));
    assert!(case.records()[0].start.to_string().starts_with("2026-04-03T08:00:00"));
}

#[test]
fn lines_before_the_first_time_stand_at_it_and_it_is_said() {
    let case = Case::new();
    let row = case.take(
        "tool.log",
        b"tool 1.2 on host\nreading config\n2026-11-20 08:00:00 start 10.0.0.5\n  detail\n2026-11-20 08:00:09 end\n",
    );
    assert_eq!((row.counts.records, row.counts.failed), (4, 0));
    let starts: Vec<String> = case.records().iter().map(|r| r.start.to_string()).collect();
    assert_eq!(starts.iter().filter(|s| *s == "2026-11-20T08:00:00Z").count(), 3, "{starts:?}");
    assert!(said(&row, "lines before the first time stand at that"), "{row:?}");
}

/// A pcapng of one interface with packets of a TCP conversation a second apart, and statistics at its end.
fn pcapng(hosts: [[u8; 4]; 2], port: u16, start: u64, packets: u32, dropped: Option<(u64, u64)>) -> Vec<u8> {
    let block = |kind: u32, body: &[u8]| {
        let len = (12 + body.len().next_multiple_of(4)) as u32;
        let mut out = [kind.to_le_bytes(), len.to_le_bytes()].concat();
        out.extend(body);
        out.resize(len as usize - 4, 0);
        out.extend(len.to_le_bytes());
        out
    };
    let mut out = block(0x0a0d_0d0a, &[&0x1a2b_3c4du32.to_le_bytes()[..], &[1, 0, 0, 0], &[0xff; 8]].concat());
    out.extend(block(1, &[&1u16.to_le_bytes()[..], &[0; 6]].concat()));
    for n in 0..packets {
        let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
        let payload = format!("{n:04}");
        frame.extend([0x45, 0, 0, 32, 0, n as u8, 0x40, 0, 64, 17, 0, 0]);
        frame.extend(hosts[0]);
        frame.extend(hosts[1]);
        frame.extend([port.to_be_bytes(), 5000u16.to_be_bytes(), 12u16.to_be_bytes(), [0, 0]].concat());
        frame.extend(payload.as_bytes());
        let stamp = (start + u64::from(n)) * 1_000_000;
        let words = [0, (stamp >> 32) as u32, stamp as u32, frame.len() as u32, frame.len() as u32];
        let head: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
        out.extend(block(6, &[head, frame].concat()));
    }
    if let Some((received, dropped)) = dropped {
        let option = |code: u16, n: u64| [&code.to_le_bytes()[..], &8u16.to_le_bytes(), &n.to_le_bytes()].concat();
        out.extend(block(5, &[&[0; 12][..], &option(4, received), &option(5, dropped), &[0; 4]].concat()));
    }
    out
}

#[test]
fn what_a_sensor_says_that_it_missed_is_said_of_its_file_and_at_home() {
    let case = Case::new();
    let row = case.take("a.pcapng", &pcapng([[10, 0, 0, 1], [10, 0, 0, 2]], 4000, 1_763_625_600, 5, Some((1000, 70))));
    assert!(said(&row, "the capturing host says that it dropped 70 packets of 1000 that came"), "{row:?}");
    assert!(!said(
        &case.take("b.pcapng", &pcapng([[10, 0, 0, 1], [10, 0, 0, 2]], 4001, 1_763_725_600, 5, Some((1000, 0)))),
        "dropped"
    ));
    let eve = "{\"timestamp\":\"2026-11-20T08:00:00.000000+0000\",\"event_type\":\"stats\",\"stats\":{\"capture\":{\"kernel_packets\":2000,\"kernel_drops\":500}}}\n\
               {\"timestamp\":\"2026-11-20T08:00:01.000000+0000\",\"event_type\":\"dns\",\"src_ip\":\"10.0.0.5\",\"dest_ip\":\"10.0.0.1\",\"proto\":\"UDP\",\"dns\":{\"type\":\"query\",\"rrname\":\"a.example\"}}\n";
    let row = case.take("eve.json", eve.as_bytes());
    assert!(said(&row, "the sensor says that it missed 500 of 2000 packets (25 %)"), "{row:?}");
    let zeek = "#separator \\x09\n#path\tcapture_loss\n#fields\tts\tts_delta\tpeer\tgaps\tacks\tpercent_lost\n#types\ttime\tinterval\tstring\tcount\tcount\tdouble\n\
                1763625600.0\t900.0\tzeek\t10\t1000\t1.0\n1763626500.0\t900.0\tzeek\t290\t1000\t29.0\n";
    let row = case.take("capture_loss.log", zeek.as_bytes());
    assert!(said(&row, "missed 300 of 2000 acknowledged segments (15 %, at worst 29 % at 2025-11-20T08:15:00Z)"), "{row:?}");
    let home = case.decide();
    for file in ["a.pcapng", "eve.json", "capture_loss.log"] {
        assert!(home.iter().any(|l| l.contains(file) && (l.contains("missed") || l.contains("dropped"))), "{file}: {home:?}");
    }
    assert!(case.store.sources().iter().any(|s| s.warnings.iter().any(|w| w.contains("missed 500"))));
}

#[test]
fn two_recordings_of_the_same_hosts_at_the_same_time_are_said() {
    let hosts = [[10, 0, 0, 1], [10, 0, 0, 2]];
    let case = Case::new();
    case.take("tap1.pcapng", &pcapng(hosts, 4000, 1_763_625_600, 60, None));
    let row = case.take("tap2.pcapng", &pcapng(hosts, 4001, 1_763_625_630, 60, None));
    assert!(said(&row, "tap1.pcapng from 2025-11-20T08:00:30Z to 2025-11-20T08:00:59Z"), "{row:?}");
    assert!(said(&row, "has hosts in common with it (10.0.0.1, 10.0.0.2)"), "{row:?}");
    assert!(case.decide().iter().any(|l| l.contains("tap2.pcapng") && l.contains("overlaps with")), "{:?}", case.decide());
    // At another time, or of others, it is none; nor are the pieces of a ring.
    let later = case.take("tap3.pcapng", &pcapng(hosts, 4002, 1_763_629_200, 60, None));
    let others = case.take("tap4.pcapng", &pcapng([[10, 9, 0, 1], [10, 9, 0, 2]], 4003, 1_763_625_600, 60, None));
    let ring = case.take("tap5.pcapng", &pcapng(hosts, 4002, 1_763_629_259, 60, None));
    for row in [later, others, ring] {
        assert!(!said(&row, "overlaps with"), "{row:?}");
    }
}

#[test]
fn what_was_not_read_stays_as_evidence_until_it_is() {
    let case = Case::new();
    let log = sample("formats/auth-log.log");
    case.write("noise.bin", &[&[1, 2, 0, 3, 0xff][..]; 200].concat());
    case.write("cut.gz", &gz(&log)[..12]);
    case.write("good.log", &log);
    let locked = SimpleFileOptions::default().with_aes_encryption(AesMode::Aes256, "secret");
    case.write("locked.zip", &zip(&[("a.log", &log), ("b.log", b"x")], locked));
    let first = case.ingest("");
    assert!(first.iter().filter(|r| r.is_incomplete()).count() >= 4, "{first:?}");
    let unread = |case: &Case| {
        let mut all: Vec<(String, String)> = case
            .store
            .evidence()
            .iter()
            .filter(|e| e.is_unread())
            .map(|e| (e.name().to_owned(), e.warnings[0].clone()))
            .collect();
        all.sort();
        all
    };
    let names: Vec<String> = unread(&case).into_iter().map(|(n, _)| n).collect();
    assert_eq!(names, ["cut.gz", "locked.zip", "noise.bin"]);
    assert!(unread(&case)[1].1.contains("needs a password") && unread(&case)[2].1.contains("binary of no known format"));
    let home = case.decide();
    assert!(home.iter().any(|l| l.starts_with("noise.bin was not read | binary of no known format")), "{home:?}");
    assert!(home.iter().any(|l| l.starts_with("locked.zip was not read | needs a password")), "{home:?}");
    // Once more changes nothing.
    case.ingest("");
    assert_eq!(unread(&case).len(), 3);
    // With the password it is read, and no line says otherwise.
    let path = case.dir.path().join("in/locked.zip");
    let rows = case.run(&Request { paths: vec![path], passwords: vec!["secret".into()], ..Request::default() }).files;
    assert!(rows.iter().any(|r| r.outcome == Outcome::Known), "{rows:?}");
    let names: Vec<String> = unread(&case).into_iter().map(|(n, _)| n).collect();
    assert!(!names.contains(&"locked.zip".into()), "{names:?}");
    // A file that was mended takes the place of what could not be read of it.
    case.write("cut.gz", &gz(&sample("formats/squid.log")));
    case.ingest("cut.gz");
    assert!(!unread(&case).iter().any(|(n, _)| n == "cut.gz"), "{:?}", unread(&case));
}

#[test]
fn many_that_were_not_read_are_one_line_with_the_reasons() {
    let case = Case::new();
    (0..5).for_each(|n| _ = case.write(&format!("p{n}.pdf"), format!("%PDF-1.{n}").as_bytes()));
    (0..3).for_each(|n| _ = case.write(&format!("r{n}.rar"), format!("Rar!\x1a\x07{n}").as_bytes()));
    case.ingest("");
    let home = case.decide();
    assert!(home.iter().any(|l| l == "8 files not read | 5 a PDF document, which is not read · 3 a rar archive"), "{home:?}");
}

#[test]
fn a_piece_of_what_is_in_already_adds_nothing_whichever_comes_first() {
    let log = sample("formats/auth-log.log");
    let half = log[..log.len() / 2].iter().rposition(|b| *b == b'\n').unwrap() + 1;
    let whole = pcapng([[10, 0, 0, 1], [10, 0, 0, 2]], 4000, 1_763_625_600, 60, None);
    // The last packet's block is 32 bytes of frame around the header and its own length.
    let cut = whole.len() - 5 * ((whole.len() - 48) / 60);
    for (long, short, name) in [(&log[..], &log[..half], "x.log"), (&whole[..], &whole[..cut], "x.pcapng")] {
        let mut seen = Vec::new();
        for long_first in [true, false] {
            for packed in [false, true] {
                let case = Case::new();
                let first = if long_first { ("1", "2") } else { ("2", "1") };
                case.write(&format!("{}-{name}", first.0), long);
                case.write(&format!("{}-{name}", first.1), &if packed { gz(short) } else { short.to_vec() });
                let rows = case.ingest("");
                let sum: u64 = rows.iter().map(|r| r.counts.records).sum();
                let mut records: Vec<String> = case.records().iter().map(|r| format!("{} {:?}", r.start, r.fields)).collect();
                records.sort();
                assert_eq!(records.len() as u64, sum, "{rows:?}");
                if long_first {
                    assert_eq!(rows[1].outcome, Outcome::Known, "{rows:?}");
                    assert!(said(&rows[1], &format!("is the beginning of {}", case.dir.path().join("in").display())), "{rows:?}");
                }
                seen.push(records.len());
            }
        }
        seen.dedup();
        assert_eq!(seen.len(), 1, "{name}: {seen:?}");
    }
}

#[test]
fn a_zip_without_its_list_gives_the_members_that_are_whole() {
    let (log, dns, squid) = (sample("formats/auth-log.log"), sample("protocols/dns.pcap"), sample("formats/squid.log"));
    let members: [(&str, &[u8]); 3] = [("logs/auth.log", &log), ("dns.pcap", &dns), ("squid.log", &squid)];
    let plain = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    let locked = plain.with_aes_encryption(AesMode::Aes256, "infected");
    let weak = plain.with_deprecated_encryption(b"infected").unwrap();
    for (options, how) in [(plain, "plain"), (plain.large_file(true), "large"), (locked, "aes"), (weak, "zipcrypto")] {
        let whole = zip(&members, options);
        let list = memchr::memmem::rfind(&whole, b"PK\x05\x06").unwrap();
        let list = u32::from_le_bytes(whole[list + 16..list + 20].try_into().unwrap()) as usize;
        let want: Vec<u64> = {
            let case = Case::new();
            case.write("a.zip", &whole);
            case.ingest("a.zip").iter().skip(1).map(|r| r.counts.records).collect()
        };
        assert!(want.iter().all(|n| *n > 0));
        for (cut, found) in [(whole.len() - 30, 3), (list + 10, 3), (list, 3), (list - 10, 2)] {
            let case = Case::new();
            case.write("a.zip", &whole[..cut]);
            let rows = case.ingest("a.zip");
            assert_eq!(rows.len(), found + 1, "{how} {cut}: {rows:?}");
            assert_eq!(rows.iter().skip(1).map(|r| r.counts.records).collect::<Vec<_>>(), want[..found], "{how} {cut}");
            let note = rows[0].note();
            assert!(note.contains(&format!("{found} whole members were found by their own headers")), "{note}");
            assert_eq!(note.contains("squid.log is cut"), found == 2, "{note}");
            // They are found again as well.
            let record = case.records().into_iter().find(|r| r.kind == Kind::Auth).unwrap();
            let at = record.id.offset as usize;
            assert_eq!(case.raw(&record), &log[at..at + record.len as usize], "{how}");
            assert!(
                case.decide().iter().any(|l| l.starts_with("a.zip has a warning") && l.contains("was cut short")),
                "{:?}",
                case.decide()
            );
        }
    }
    let case = Case::new();
    case.write("a.zip", b"PK\x03\x04nothing that is whole");
    assert!(matches!(case.ingest("a.zip")[0].outcome, Outcome::Failed(_)));
}

#[test]
fn an_export_of_a_search_engine_in_one_line_is_opened_whatever_is_in_it() {
    let eve = sample("formats/suricata-eve.json");
    let hits = |records: &[&str]| {
        let hits: Vec<String> = records
            .iter()
            .enumerate()
            .map(|(n, r)| format!("{{\"_index\": \"i\", \"_id\": \"{n}\", \"_score\": null, \"_source\": {r}}}"))
            .collect();
        format!(
            "{{\"took\": 3, \"timed_out\": false, \"hits\": {{\"total\": {{\"value\": 9}}, \"hits\": [{}]}}}}",
            hits.join(", ")
        )
    };
    let text = String::from_utf8(eve).unwrap();
    let records: Vec<&str> = text.lines().filter(|l| l.contains("\"event_type\":\"alert\"")).collect();
    assert!(!records.is_empty());
    let many: Vec<&str> = records.iter().copied().cycle().take(200).collect();
    let case = Case::new();
    let row = case.take("kibana.json", hits(&many).as_bytes());
    assert_eq!((row.format.as_str(), row.counts.failed), ("elastic", 0));
    assert_eq!(case.records().iter().filter(|r| r.kind == Kind::Alert).count(), 200);
    let conn = r#"{"ts":1763625600.5,"uid":"C1","id.orig_h":"10.0.0.5","id.orig_p":4000,"id.resp_h":"10.0.0.9","id.resp_p":443,"proto":"tcp","duration":1.5,"orig_bytes":10,"resp_bytes":20,"conn_state":"SF","orig_pkts":3,"resp_pkts":4}"#;
    let case = Case::new();
    let row = case.take("kibana.json", hits(&[conn; 100]).as_bytes());
    assert_eq!((row.format.as_str(), row.counts.failed), ("elastic", 0));
    assert_eq!(case.records().iter().filter(|r| r.kind == Kind::Flow).count(), 100);
}

#[test]
fn a_case_with_files_that_were_not_read_opens_again_without_a_doubt() {
    let dir = tempfile::tempdir().unwrap();
    let input = dir.path().join("in");
    fs::create_dir(&input).unwrap();
    (0..3).for_each(|n| fs::write(input.join(format!("{n}.pdf")), format!("%PDF-1.{n}")).unwrap());
    fs::write(input.join("a.log"), sample("formats/auth-log.log")).unwrap();
    let reserve = Reserve { percent: 0, bytes: 0 };
    let options = OpenOptions { create: true, ballast: 0, reserve, ..OpenOptions::default() };
    for _ in 0..3 {
        let store = Store::open(&dir.path().join("case"), &options).unwrap();
        assert_eq!(store.notices(), Vec::<String>::new());
        let now = Time::parse("2026-11-20T12:00:00Z").unwrap();
        let watch = Watch { stop: Arc::new(|| false), progress: &|_| (), now };
        ingest::ingest(&store, &Request { paths: vec![input.clone()], ..Request::default() }, &watch).unwrap();
        assert_eq!(store.evidence().iter().filter(|e| e.is_unread()).count(), 3);
        assert!(store.verify().unwrap().damage.is_empty());
        fs::write(input.join("z.pdf"), "%PDF-1.0").unwrap();
    }
}

#[test]
fn fields_of_windows_xml_come_through_an_import_and_through_splunk() {
    let xml = String::from_utf8(sample("formats/windows-xml.xml")).unwrap();
    let case = Case::new();
    let row = case.take("Security.xml", &wide(&xml, false, true));
    assert_eq!(row.format, "windows-xml");
    assert_eq!((row.counts.ok, row.counts.failed), (row.counts.records, 0));
    let begin = xml.find("<Event ").unwrap();
    let event = &xml[begin..begin + xml[begin..].find("</Event>").unwrap() + 8];
    let line = serde_json::json!({"preview": false, "result": {"_raw": event, "_time": "2026-11-19T08:12:02Z", "host": "h", "sourcetype": "XmlWinEventLog"}});
    let inner = Case::new();
    let row = inner.take("splunk.json", format!("{line}\n").as_bytes());
    assert_eq!(row.format, "splunk");
    let b = &inner.records()[0];
    let all = case.records();
    let a = all.iter().find(|r| r.text(field::EVENT_CODE) == Some("4624")).unwrap();
    assert_eq!(
        (a.kind, a.start, a.text(field::EVENT_CODE), a.text(field::USER)),
        (b.kind, b.start, b.text(field::EVENT_CODE), b.text(field::USER))
    );
}
