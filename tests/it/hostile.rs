//! Hostile input and refusals: whatever a file holds and however it is cut, there is a clear error or a counted oddity, what is before the
//! damage is kept, counts reconcile, nothing panics, memory stays bounded.

use backtrail::error::{Error, ErrorKind};
use backtrail::flow::{Config, Meter, Sink};
use backtrail::ingest::{self, FileReport, Outcome, Report, Request, Watch};
use backtrail::model::flow::Flow;
use backtrail::model::packet::PacketRef;
use backtrail::model::source::Counts;
use backtrail::model::{EvidenceKey, Filter, Kind, Oddity, Record, RecordId, Time, field};
use backtrail::sources::capture::{self, CaptureKind, Item};
use backtrail::store::{Ask, OpenOptions, Reserve, Store};
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

fn options() -> OpenOptions {
    OpenOptions { create: true, ballast: 0, forget: true, reserve: Reserve { percent: 0, bytes: 0 }, ..OpenOptions::default() }
}

/// A case, and a folder for its evidence.
struct Case {
    store: Store,
    dir: TempDir,
}

impl Case {
    fn new() -> Case {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("in")).unwrap();
        Case { store: Store::open(&dir.path().join("case"), &options()).unwrap(), dir }
    }
    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("in").join(name)
    }
    fn ingest(&self, paths: Vec<PathBuf>) -> Report {
        let request = Request { paths, ..Request::default() };
        let report = ingest::ingest(&self.store, &request, &watch(Arc::new(|| false))).unwrap();
        report.files.iter().for_each(reconciles);
        report
    }
    /// What becomes of one file with these bytes.
    fn file(&self, name: &str, bytes: &[u8]) -> FileReport {
        fs::write(self.path(name), bytes).unwrap();
        let mut report = self.ingest(vec![self.path(name)]);
        assert_eq!(report.files.len(), 1);
        report.files.remove(0)
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
    fn oddities(&self) -> Vec<String> {
        let of = |r: Record| r.text(field::ODDITY).map(str::to_owned);
        self.records().into_iter().filter(|r| r.kind == Kind::Oddity).filter_map(of).collect()
    }
}

fn watch(stop: Arc<dyn Fn() -> bool + Send + Sync>) -> Watch<'static> {
    Watch { stop, progress: &|_| (), now: Time::parse("2026-11-20T12:00:00Z").unwrap() }
}

fn reconciles(file: &FileReport) {
    let Counts { ok, partial, skipped, failed, .. } = file.counts;
    assert_eq!(file.counts.units(), ok + partial + skipped + failed, "{}", file.path);
}

fn why(file: &FileReport) -> &str {
    match &file.outcome {
        Outcome::NotRecognised(why) | Outcome::Skipped(why) | Outcome::Damaged(why) => why,
        other => panic!("{}: {other:?}", file.path),
    }
}

fn sample(path: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

// ---- captures ----

fn frame(n: u32) -> Vec<u8> {
    let mut out = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0, 0, 32, 0, 1, 0, 0, 64, 17, 0, 0, 10, 0];
    out.extend(&n.to_be_bytes()[2..]);
    out.extend([192, 0, 2, 1, 0xc0, 0, 0, 9, 0, 12, 0, 0, 1, 2, 3, 4]);
    out
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|w| w.to_le_bytes()).collect()
}

fn pcap_head(snaplen: u32, link: u32) -> Vec<u8> {
    words(&[0xa1b2_c3d4, 0x0004_0002, 0, 0, snaplen, link])
}

fn pcap_record(seconds: u32, caplen: u32, wire: u32, data: &[u8]) -> Vec<u8> {
    [words(&[seconds, 0, caplen, wire]), data.to_vec()].concat()
}

fn pcap(records: &[Vec<u8>]) -> Vec<u8> {
    [pcap_head(65535, 1), records.concat()].concat()
}

fn block(kind: u32, body: &[u8]) -> Vec<u8> {
    let len = (12 + body.len().next_multiple_of(4)) as u32;
    let mut out = words(&[kind, len]);
    out.extend(body);
    out.resize(len as usize - 4, 0);
    out.extend(len.to_le_bytes());
    out
}

fn section(options: &[u8]) -> Vec<u8> {
    block(0x0a0d_0d0a, &[&words(&[0x1a2b_3c4d, 1, u32::MAX, u32::MAX])[..], options].concat())
}

fn option(code: u16, value: &[u8]) -> Vec<u8> {
    let mut out = [code.to_le_bytes(), (value.len() as u16).to_le_bytes()].concat();
    out.extend(value);
    out.resize(out.len().next_multiple_of(4), 0);
    out
}

fn interface(link: u16, snaplen: u32, name: &str) -> Vec<u8> {
    let options = [option(2, name.as_bytes()), option(0, b"")].concat();
    block(1, &[&link.to_le_bytes()[..], &[0, 0], &snaplen.to_le_bytes(), &options].concat())
}

fn packet(interface: u32, stamp: u64, data: &[u8], options: &[u8]) -> Vec<u8> {
    let len = data.len() as u32;
    let mut body = words(&[interface, (stamp >> 32) as u32, stamp as u32, len, len]);
    body.extend(data);
    body.resize(body.len().next_multiple_of(4), 0);
    body.extend(options);
    block(6, &body)
}

/// Counts what a meter gives.
#[derive(Default)]
struct Counter {
    flows: u64,
    oddities: u64,
}

impl Sink for Counter {
    fn flow(&mut self, _: Flow, _: &[PacketRef], _: u32) {
        self.flows += 1;
    }
    fn packets(&mut self, _: RecordId, _: &[PacketRef], _: u32) {}
    fn event(&mut self, _: Record, _: u32) {}
    fn oddity(&mut self, _: Oddity, _: Time, _: u64, _: u32) {
        self.oddities += 1;
    }
}

/// Packets of a capture that were given, and whether damage was said.
fn metered(bytes: &[u8]) -> (u64, bool) {
    let Some(kind) = CaptureKind::of(bytes) else { return (0, false) };
    let mut meter = Meter::new(Config::default(), EvidenceKey(1));
    let mut sink = Counter::default();
    let end = capture::read(kind, &mut &bytes[..], &mut |item| {
        if let Item::Packet(packet) = item {
            meter.packet(&packet, &mut sink);
        }
        true
    });
    meter.finish(&mut sink);
    assert_eq!(meter.stats().packets, end.packets);
    (end.packets, end.damage.is_some())
}

#[test]
fn a_capture_cut_at_every_byte_gives_every_packet_before_the_cut() {
    let mut records = Vec::new();
    let mut ends = vec![24];
    for n in 0..40 {
        let data = frame(n % 7);
        records.push(pcap_record(n, data.len() as u32, data.len() as u32, &data));
        ends.push(ends[n as usize] + 16 + data.len());
    }
    let whole = pcap(&records);
    for cut in 4..=whole.len().min(2000) {
        let (packets, damaged) = metered(&whole[..cut]);
        assert_eq!(packets, ends.iter().filter(|e| **e <= cut).count().saturating_sub(1) as u64, "{cut}");
        assert_eq!(damaged, !ends.contains(&cut), "{cut}");
    }
    let comment = [option(1, b"hello"), option(0, b"")].concat();
    let mut blocks = vec![section(&comment), interface(1, 0, "eth0"), interface(1, 0, "eth1")];
    blocks.extend((0..30).map(|n| packet(n % 2, u64::from(n), &frame(n), if n % 3 == 0 { &comment } else { &[] })));
    let mut ends = vec![0];
    blocks.iter().for_each(|b| ends.push(ends[ends.len() - 1] + b.len()));
    let whole = blocks.concat();
    for cut in 4..=whole.len().min(2000) {
        let (packets, damaged) = metered(&whole[..cut]);
        assert_eq!(packets, ends.iter().filter(|e| **e <= cut).count().saturating_sub(4) as u64, "{cut}");
        assert_eq!(damaged, !ends.contains(&cut), "{cut}");
    }
}

#[test]
fn a_real_capture_cut_anywhere_or_with_any_byte_changed_is_read_without_a_panic() {
    let whole = pcap(&(0..20).map(|n| pcap_record(n, 46, 46, &frame(n))).collect::<Vec<_>>());
    for at in 0..whole.len().min(1200) {
        for flip in [0xff, 0x01, 0x80] {
            let mut bad = whole.clone();
            bad[at] ^= flip;
            metered(&bad);
        }
    }
    let ng = [
        section(&option(1, b"x")),
        interface(1, 0, "e"),
        packet(0, 1, &frame(1), &option(1, b"why")),
        packet(0, 2, &frame(2), &[]),
    ];
    let ng = ng.concat();
    for at in 0..ng.len() {
        for flip in [0xff, 0x01, 0x80, 0x10] {
            let mut bad = ng.clone();
            bad[at] ^= flip;
            metered(&bad);
        }
    }
}

#[test]
fn a_cut_capture_is_kept_up_to_the_cut_and_said_where() {
    let case = Case::new();
    let whole = pcap(&(0..10).map(|n| pcap_record(n, 46, 46, &frame(n))).collect::<Vec<_>>());
    let file = case.file("cut.pcap", &whole[..24 + 3 * 62 + 20]);
    assert_eq!((file.counts.ok, file.counts.oddities), (3, 1));
    assert!(why(&file).contains("offset 210") && why(&file).contains("3 packets"), "{:?}", file.outcome);
    assert!(case.oddities().contains(&"capture_damaged".into()));
    assert_eq!(case.records().iter().filter(|r| r.kind == Kind::Flow).count(), 3);
}

#[test]
fn lengths_that_lie_are_oddities_or_damage() {
    let case = Case::new();
    let longer = case.file("longer.pcap", &pcap(&[pcap_record(1, 46, 20, &frame(1)), pcap_record(2, 46, 46, &frame(2))]));
    assert_eq!((longer.outcome.clone(), longer.counts.ok), (Outcome::Read, 2));
    assert!(case.oddities().contains(&"packet_longer_than_wire".into()), "{:?}", case.oddities());
    let huge = case.file("huge.pcap", &pcap(&[pcap_record(1, 46, 46, &frame(1)), pcap_record(2, u32::MAX, 46, &frame(2))]));
    assert!(why(&huge).contains("4294967295") && huge.counts.ok == 1, "{:?}", huge.outcome);
    // Claims 60 MB that are not there: nothing of that size is allocated, the packet is not given.
    let claimed = case.file("claimed.pcap", &pcap(&[pcap_record(1, 60 << 20, 46, &frame(1))]));
    assert!(why(&claimed).contains("cut short"), "{:?}", claimed.outcome);
    let snaplen = case.file("snaplen.pcap", &[pcap_head(0, 1), pcap_record(1, 46, 46, &frame(3))].concat());
    assert_eq!((snaplen.outcome.clone(), snaplen.counts.ok), (Outcome::Read, 1));
}

#[test]
fn times_of_2038_and_later_are_kept() {
    let case = Case::new();
    case.file("late.pcap", &pcap(&[pcap_record(u32::MAX, 46, 46, &frame(1)), pcap_record(1 << 31, 46, 46, &frame(2))]));
    let starts: Vec<String> = case.records().iter().filter(|r| r.kind == Kind::Flow).map(|r| r.start.rfc3339()).collect();
    assert_eq!(starts, ["2038-01-19T03:14:08Z", "2106-02-07T06:28:15Z"]);
}

#[test]
fn link_types_that_are_not_decoded_are_named_and_counted() {
    let case = Case::new();
    let bytes = [pcap_head(0, 195), pcap_record(1, 46, 46, &frame(1)), pcap_record(2, 46, 46, &frame(2))].concat();
    let file = case.file("zigbee.pcap", &bytes);
    assert_eq!(file.counts.ok, 2);
    assert_eq!(file.warnings, ["2 of 2 packets have link type 195 (IEEE802_15_4_WITHFCS), which is not decoded"]);
}

#[test]
fn seventy_thousand_interfaces_are_bounded_and_said() {
    let case = Case::new();
    let mut bytes = section(&[]);
    for n in 0..70_000 {
        bytes.extend(interface(1, 0, &format!("i{n}")));
    }
    for n in (0..70_000u32).step_by(100) {
        bytes.extend(packet(n, u64::from(n), &frame(n), &[]));
    }
    let begun = Instant::now();
    let file = case.file("many.pcapng", &bytes);
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    assert_eq!(file.outcome, Outcome::Read);
    assert_eq!(file.counts.ok, (0..65_536).step_by(100).count() as u64);
    assert!(case.oddities().contains(&"pcapng_too_many_interfaces".into()));
    assert!(case.oddities().contains(&"pcapng_interface_unknown".into()));
    assert!(file.warnings.iter().any(|w| w.contains("more than 256 interfaces")), "{:?}", file.warnings);
    assert!(file.warnings.iter().any(|w| w.contains("times pcapng_too_many_interfaces")), "{:?}", file.warnings);
    assert!(case.store.sources().len() <= 257);
}

#[test]
fn options_that_overrun_their_block_are_oddities_and_the_packet_is_kept() {
    let case = Case::new();
    let mut overrun = option(1, b"hello");
    overrun[2] = 0xff;
    overrun[3] = 0xff;
    let bytes = [section(&[]), interface(1, 0, "eth0"), packet(0, 1, &frame(1), &overrun), packet(0, 2, &frame(2), &[])].concat();
    let file = case.file("overrun.pcapng", &bytes);
    assert_eq!((file.outcome.clone(), file.counts.ok), (Outcome::Read, 2));
    assert_eq!(case.oddities(), ["pcapng_option_overruns"]);
}

#[test]
fn a_comment_before_the_first_packet_makes_no_source_of_its_own() {
    let case = Case::new();
    let comment = [option(1, b"taken at the tap"), option(0, b"")].concat();
    let bytes = [
        section(&comment),
        interface(1, 0, "eth0"),
        interface(1, 0, "eth1"),
        packet(1, 1, &frame(1), &comment),
        packet(1, 2, &frame(2), &[]),
    ];
    let file = case.file("inside.pcapng", &bytes.concat());
    assert_eq!(file.outcome, Outcome::Read);
    let names: Vec<String> = case.store.sources().into_iter().map(|s| s.name).collect();
    assert_eq!(names, ["pcap:inside/eth1"]);
    assert_eq!(case.records().iter().filter(|r| r.text(field::ACTION) == Some("comment")).count(), 2);
}

// ---- files that are nothing ----

#[test]
fn files_that_are_nothing_known_are_said_to_be_what_they_are() {
    let case = Case::new();
    assert_eq!(case.file("empty", b"").outcome, Outcome::Skipped("empty".into()));
    let mut state = 0x1234_5678_9abc_def1u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    })
    .take(300_000)
    .collect();
    assert_eq!(why(&case.file("noise", &noise)), "binary of no known format");
    let utf32: Vec<u8> = "\u{feff}2026-11-20T08:00:00Z hello\r\n".chars().flat_map(|c| u32::from(c).to_le_bytes()).collect();
    assert!(why(&case.file("utf32.log", &utf32)).starts_with("UTF-32 text: iconv"));
    assert!(why(&case.file("cr.log", b"Nov 20 08:00:00 h a: b\rNov 20 08:00:01 h a: c\r")).contains("CR alone"));
    assert!(case.file("x.zip", b"PK\x03\x04....").note().contains("was cut short"));
    let one_line = [&b"{\"a\":\""[..], &vec![b'x'; 50 << 20], b"\"}\n"].concat();
    assert!(why(&case.file("big.json", &one_line)).contains("JSON"));
    assert!(case.records().is_empty());
}

#[test]
fn random_bytes_behind_every_beginning_do_no_harm() {
    let case = Case::new();
    let mut state = 7u64;
    let mut noise = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u8
    };
    let heads: [&[u8]; 14] = [
        &pcap_head(65535, 1),
        &section(&[]),
        b"\x1f\x8b\x08\0\0\0\0\0\0\x03",
        b"\x28\xb5\x2f\xfd",
        b"\xfd7zXZ\0",
        b"BZh91AY&SY",
        b"\x04\x22\x4d\x18",
        b"{\"timestamp\":\"2026-11-20T08:00:00Z\",\"event_type\":\"alert\"}\n",
        b"#separator \\x09\n#path\tconn\n#fields\tts\tuid\n#types\ttime\tstring\n",
        b"<?xml version=\"1.0\"?><nmaprun start=\"1\"><host>",
        b"<NessusClientData_v2><Report name=\"x\"><ReportHost name=\"h\">",
        b"Nov 20 08:00:00 h sshd[1]: Failed password for x from 192.0.2.1 port 1 ssh2\n",
        b"192.0.2.1\n192.0.2.2\n",
        b"ip,hostname,owner\n10.0.0.1,a,b\n",
    ];
    for (n, head) in heads.iter().enumerate() {
        let mut bytes = head.to_vec();
        bytes.extend(std::iter::repeat_with(&mut noise).take(20_000));
        case.file(&format!("f{n}"), &bytes);
    }
}

// ---- logs ----

#[test]
fn a_line_of_fifty_megabytes_is_a_counted_failure_between_good_ones() {
    let case = Case::new();
    let event = |n: usize| {
        format!(
            "{{\"timestamp\":\"2026-11-20T08:00:0{n}.000000+0000\",\"event_type\":\"alert\",\"src_ip\":\"192.0.2.1\",\"alert\":{{\"signature\":\"x\",\"signature_id\":1,\"severity\":1}}}}\n"
        )
    };
    let mut text = event(1).into_bytes();
    text.extend(b"{\"timestamp\":\"2026-11-20T08:00:02Z\",\"event_type\":\"alert\",\"payload\":\"");
    text.resize(text.len() + (50 << 20), b'A');
    text.extend(b"\"}\n");
    text.extend(event(3).as_bytes());
    let file = case.file("eve.json", &text);
    let c = file.counts;
    assert_eq!((file.format.as_str(), c.ok, c.partial, c.skipped, c.failed), ("suricata-eve", 2, 0, 0, 1));
    assert_eq!(case.oddities(), ["line_too_long"]);
    let odd = case.records().into_iter().find(|r| r.kind == Kind::Oddity).unwrap();
    assert_eq!(odd.id.offset, event(1).len() as u64, "an oddity stands where its line begins");
}

#[test]
fn deep_json_is_a_record_or_a_failure() {
    let case = Case::new();
    let good = "{\"time\":\"2026-11-20T08:00:00Z\",\"msg\":\"a\"}\n";
    let deep = |open: &str, close: &str, n: usize| {
        format!("{{\"time\":\"2026-11-20T08:00:01Z\",\"x\":{}1{}}}\n", open.repeat(n), close.repeat(n))
    };
    let text = [good, &deep("[", "]", 200_000), &deep("{\"a\":", "}", 200_000), &"[".repeat(500_000), "\n", good].concat();
    let file = case.file("deep.json", text.as_bytes());
    assert_eq!(file.format, "json-lines");
    assert_eq!(file.counts.units(), 5);
    assert!(file.counts.ok >= 2 && file.counts.failed >= 1, "{:?}", file.counts);
}

#[test]
fn bad_bytes_line_ends_and_marks_do_not_stop_a_log() {
    let line = |n: u8| [&b"Nov 20 08:00:0"[..], &[b'0' + n], b" fw kernel: hello "].concat();
    let case = Case::new();
    let nul =
        [line(1), b"\0\0\0\n".to_vec(), line(2), b"\xff\xfe\xc0\n".to_vec(), vec![0; 5000], b"\n".to_vec(), line(3)].concat();
    let file = case.file("nul.log", &nul);
    assert_eq!((file.format.as_str(), file.counts.units()), ("syslog", 4), "{file:?}");
    assert_eq!(file.counts.records - file.counts.oddities, 3 + file.counts.partial);
    let crlf = [line(4), b"\r\n".to_vec(), line(5), b"\r\n".to_vec()].concat();
    let file = case.file("crlf.log", &crlf);
    assert_eq!((file.counts.ok, file.counts.units()), (2, 2));
    let mark = [b"\xef\xbb\xbf".to_vec(), line(6), b"\n".to_vec()].concat();
    let file = case.file("mark.log", &mark);
    assert_eq!((file.counts.ok, file.counts.units()), (1, 1));
    assert!(case.records().iter().filter_map(|r| r.text(field::MESSAGE)).all(|m| !m.ends_with('\r')));
}

#[test]
fn a_syslog_line_of_ten_megabytes_is_one_failure() {
    let case = Case::new();
    let mut text = b"Nov 20 08:00:00 fw kernel: a\nNov 20 08:00:01 fw kernel: ".to_vec();
    text.resize(text.len() + (10 << 20), b'x');
    text.extend(b"\nNov 20 08:00:02 fw kernel: b\n");
    let file = case.file("long.log", &text);
    assert_eq!((file.counts.ok, file.counts.failed, file.counts.oddities), (2, 1, 1));
}

#[test]
fn times_at_the_ends_of_the_calendar_are_records_or_counted() {
    let case = Case::new();
    let times = [
        "\"0000-01-01T00:00:00Z\"",
        "\"0001-01-01T00:00:00Z\"",
        "\"1600-02-29T00:00:00Z\"",
        "\"9999-12-31T23:59:59.999999999Z\"",
        "\"2026-11-20T08:00:60Z\"",
        "-1",
        "-62135596800",
        "0",
        "99999999999999999999999",
        "1e300",
        "1763625600.5",
        "9223372036854775807",
        "\"2026-02-30T00:00:00Z\"",
    ];
    let text: String = times.iter().map(|t| format!("{{\"time\":{t},\"msg\":\"x\"}}\n")).collect();
    let file = case.file("times.json", text.as_bytes());
    let c = file.counts;
    assert_eq!((file.format.as_str(), c.units()), ("json-lines", times.len() as u64));
    assert_eq!(c.records - c.oddities, c.ok + c.partial);
    assert_eq!(case.records().len() as u64, c.records, "every record is found again");
    let zeek = "#separator \\x09\n#path\tconn\n#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tduration\n\
                #types\ttime\tstring\taddr\tport\taddr\tport\tenum\tinterval\n\
                -99999999999.0\tC1\t10.0.0.1\t1\t10.0.0.2\t2\ttcp\t99999999999999.0\n\
                253402300800.0\tC2\t10.0.0.1\t1\t10.0.0.2\t2\ttcp\t-5.0\n";
    let file = case.file("conn.log", zeek.as_bytes());
    assert_eq!(file.counts.units(), 6);
    assert!(case.records().iter().all(|r| r.start <= r.end));
}

#[test]
fn a_log_that_names_a_host_a_line_makes_a_bounded_number_of_sources() {
    let case = Case::new();
    let text: String = (0..10_000).map(|n| format!("Nov 20 08:00:00 host{n} kernel: x\n")).collect();
    let file = case.file("hosts.log", text.as_bytes());
    assert_eq!(file.counts.ok, 10_000);
    assert!(case.store.sources().len() <= 4097);
}

// ---- compression ----

fn gz(write: impl FnOnce(&mut dyn Write)) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    write(&mut out);
    out.finish().unwrap()
}

#[test]
fn a_compressed_log_cut_in_the_middle_gives_what_is_before() {
    let case = Case::new();
    let whole = gz(|w| {
        for n in 0..50_000u32 {
            writeln!(w, "Nov 20 08:00:00 fw kernel: line {}", n.wrapping_mul(2_654_435_761)).unwrap();
        }
    });
    let file = case.file("cut.log.gz", &whole[..whole.len() / 2]);
    assert!(file.counts.ok > 10_000 && file.counts.ok < 40_000, "{:?}", file.counts);
    assert!(why(&file).contains("units before it were read"), "{:?}", file.outcome);
    assert_eq!(case.records().len() as u64, file.counts.records);
    // Cut inside the head, even inside the header, is no panic either.
    for cut in [1, 5, 11, 40, 400] {
        case.file(&format!("cut{cut}.gz"), &whole[..cut]);
    }
}

#[test]
fn a_bomb_of_zeros_is_known_by_its_beginning() {
    let case = Case::new();
    let zeros = vec![0u8; 1 << 20];
    let bomb = gz(|w| (0..1024).for_each(|_| w.write_all(&zeros).unwrap()));
    let begun = Instant::now();
    let file = case.file("bomb.gz", &bomb);
    assert!(why(&file).starts_with("nothing but zeros"), "{:?}", file.outcome);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    // One line that never ends is not kept in memory.
    let long = vec![b'x'; 1 << 20];
    let bomb = gz(|w| {
        w.write_all(b"Nov 20 08:00:00 fw kernel: a\nNov 20 08:00:00 fw kernel: ").unwrap();
        (0..200).for_each(|_| w.write_all(&long).unwrap());
    });
    let file = case.file("line.gz", &bomb);
    assert_eq!((file.counts.ok, file.counts.failed), (1, 1));
}

// ---- folders and files that refuse ----

#[test]
fn a_capture_that_a_longer_one_replaced_is_known_ever_after() {
    let case = Case::new();
    let whole = pcap(&(0..10).map(|n| pcap_record(n, 46, 46, &frame(n))).collect::<Vec<_>>());
    fs::write(case.path("a.pcap"), &whole[..24 + 5 * 62]).unwrap();
    fs::write(case.path("b.pcap"), &whole).unwrap();
    let words = |report: &Report| report.files.iter().map(|f| f.word()).collect::<Vec<_>>();
    let both = || case.ingest(vec![case.path("a.pcap"), case.path("b.pcap")]);
    assert_eq!(words(&both()), ["read", "grown"]);
    assert_eq!(words(&both()), ["known", "known"]);
    assert_eq!(case.records().len(), 10);
}

#[test]
fn loops_pipes_and_what_vanished_are_said_and_do_not_hang() {
    let case = Case::new();
    fs::create_dir_all(case.path("a/b")).unwrap();
    fs::write(case.path("a/b/x.log"), "Nov 20 08:00:00 fw kernel: a\n").unwrap();
    std::os::unix::fs::symlink(case.path("a"), case.path("a/b/loop")).unwrap();
    std::os::unix::fs::symlink("nowhere", case.path("a/dangling")).unwrap();
    std::os::unix::fs::symlink("self", case.path("a/self")).unwrap();
    let made = std::process::Command::new("mkfifo").arg(case.path("a/pipe")).status().unwrap();
    assert!(made.success());
    let report = case.ingest(vec![case.path("a"), case.path("gone.log"), case.path("a/b/x.log/below")]);
    let words: Vec<(String, &str)> =
        report.files.iter().map(|f| (Path::new(&f.path).file_name().unwrap().to_string_lossy().into_owned(), f.word())).collect();
    let want = [
        ("loop", "skipped"),
        ("x.log", "read"),
        ("dangling", "failed"),
        ("pipe", "skipped"),
        ("self", "failed"),
        ("gone.log", "failed"),
        ("below", "failed"),
    ];
    assert_eq!(words, want.map(|(name, word)| (name.to_owned(), word)));
    assert!(report.is_incomplete());
    let gone = report.files.iter().find(|f| f.path.ends_with("gone.log")).unwrap();
    assert!(gone.note().contains("check the path"), "{}", gone.note());
}

#[test]
fn a_file_that_may_not_be_read_is_a_row_of_its_own() {
    use std::os::unix::fs::PermissionsExt;
    let case = Case::new();
    fs::write(case.path("secret.log"), "Nov 20 08:00:00 fw kernel: a\n").unwrap();
    fs::set_permissions(case.path("secret.log"), fs::Permissions::from_mode(0o000)).unwrap();
    if fs::File::open(case.path("secret.log")).is_ok() {
        // The superuser may read everything.
        return;
    }
    let report = case.ingest(vec![case.path("secret.log")]);
    assert!(report.files[0].note().contains("read permission"), "{}", report.files[0].note());
}

fn refusal(dir: &Path, options: &OpenOptions) -> Error {
    match Store::open(dir, options) {
        Ok(_) => panic!("{} was opened", dir.display()),
        Err(e) => e,
    }
}

#[test]
fn a_case_that_cannot_be_there_is_refused_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "x").unwrap();
    for path in [file.clone(), file.join("case")] {
        let error = refusal(&path, &options());
        assert!(!error.hint.is_empty() && !error.place.is_empty(), "{error:?}");
        assert_eq!(fs::read(&file).unwrap(), b"x");
    }
    let newer = dir.path().join("newer");
    drop(Store::open(&newer, &options()).unwrap());
    let text = fs::read_to_string(newer.join("case.toml")).unwrap();
    let own = text.lines().find(|l| l.starts_with("version = ")).unwrap();
    fs::write(newer.join("case.toml"), text.replace(own, "version = 9")).unwrap();
    let error = refusal(&newer, &options());
    assert!(error.what.contains("newer") && error.what.contains('9') && !error.hint.is_empty(), "{error:?}");
    fs::write(newer.join("case.toml"), "\u{0}not toml [").unwrap();
    let error = refusal(&newer, &options());
    assert!(error.place.contains("case.toml"), "{error:?}");
}

#[test]
fn a_full_disk_stops_an_import_and_keeps_what_was_there() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("case");
    let log = dir.path().join("a.log");
    fs::write(&log, "Nov 20 08:00:00 fw kernel: a\n").unwrap();
    let request = Request { paths: vec![log.clone()], ..Request::default() };
    let keep = OpenOptions { forget: false, ..options() };
    let store = Store::open(&path, &keep).unwrap();
    assert_eq!(ingest::ingest(&store, &request, &watch(Arc::new(|| false))).unwrap().counts().ok, 1);
    drop(store);
    let full = OpenOptions { reserve: Reserve { percent: 0, bytes: u64::MAX }, ..keep.clone() };
    let store = Store::open(&path, &full).unwrap();
    fs::write(&log, "Nov 20 08:00:00 fw kernel: b\n").unwrap();
    let error = ingest::ingest(&store, &request, &watch(Arc::new(|| false))).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Store);
    assert!(error.what.contains("full") && error.hint.contains("free some space"), "{error:?}");
    assert_eq!(store.evidence().len(), 1, "what was there can be read");
    drop(store);
    assert_eq!(Store::open(&path, &keep).unwrap().evidence().len(), 1);
}

// ---- streams ----

/// Gives pieces with pauses between them, then nothing more, for ever.
struct Slow {
    pieces: Vec<Vec<u8>>,
    pause: Duration,
    told: Arc<AtomicBool>,
}

impl Read for Slow {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        if self.pieces.is_empty() {
            self.told.store(true, Ordering::Relaxed);
            std::thread::sleep(Duration::from_secs(60));
            return Ok(0);
        }
        std::thread::sleep(self.pause);
        let piece = self.pieces.remove(0);
        buf[..piece.len()].copy_from_slice(&piece);
        Ok(piece.len())
    }
}

fn stopped(case: &Case, pieces: Vec<Vec<u8>>) -> FileReport {
    let told = Arc::new(AtomicBool::new(false));
    let slow = Slow { pieces, pause: Duration::from_millis(20), told: Arc::clone(&told) };
    let watch = watch(Arc::new(move || told.load(Ordering::Relaxed)));
    let begun = Instant::now();
    let file = ingest::ingest_stream(&case.store, Box::new(slow), Path::new("-"), &Request::default(), &watch).unwrap();
    assert!(begun.elapsed() < Duration::from_secs(20), "it waits for the end of the stream");
    reconciles(&file);
    file
}

#[test]
fn a_stream_that_is_stopped_keeps_what_had_come() {
    let case = Case::new();
    let whole = pcap(&(0..10).map(|n| pcap_record(n, 46, 46, &frame(n))).collect::<Vec<_>>());
    let mut pieces = vec![whole[..24].to_vec()];
    pieces.extend(whole[24..].chunks(62).map(<[u8]>::to_vec));
    pieces.push(b"half of a record".to_vec()[..10].to_vec());
    let file = stopped(&case, pieces);
    assert_eq!((file.outcome.clone(), file.counts.ok), (Outcome::Read, 10));
    assert_eq!(file.size, whole.len() as u64 + 10);
    assert!(file.warnings.iter().any(|w| w.contains("stopped before its end")), "{:?}", file.warnings);
    assert_eq!(case.records().iter().filter(|r| r.kind == Kind::Flow).count(), 10);
    let evidence = case.store.evidence().remove(0);
    assert_eq!(fs::read(&evidence.path).unwrap().len() as u64, file.size, "its bytes are in the case");
}

#[test]
fn a_slow_log_is_recognised_by_its_first_lines() {
    let case = Case::new();
    let lines = (0..5).map(|n| format!("Nov 20 08:00:0{n} fw kernel: a\n").into_bytes()).collect();
    let file = stopped(&case, lines);
    assert_eq!((file.format.as_str(), file.counts.ok), ("syslog", 5));
}

#[test]
fn a_stream_that_is_nothing_known_leaves_nothing_in_the_case() {
    let case = Case::new();
    let file = stopped(&case, vec![b"dear reader, this is prose\n".to_vec()]);
    assert!(why(&file).contains("text of no known form"));
    assert_eq!(fs::read_dir(case.store.dir().join("evidence")).unwrap().count(), 0);
    assert!(case.store.evidence().is_empty());
}

#[test]
fn a_file_that_is_stopped_leaves_nothing_and_is_read_again() {
    let case = Case::new();
    let text: String = (0..20_000).map(|n| format!("Nov 20 08:00:00 fw kernel: line {n}\n")).collect();
    fs::write(case.path("a.log"), text).unwrap();
    let asked = AtomicBool::new(false);
    let request = Request { paths: vec![case.path("a.log")], ..Request::default() };
    // The first question is asked before the file.
    let stop = Arc::new(move || asked.swap(true, Ordering::Relaxed));
    let report = ingest::ingest(&case.store, &request, &watch(stop)).unwrap();
    assert!(report.stopped && report.files[0].note().contains("nothing of it was kept"), "{report:?}");
    assert!(case.store.evidence().is_empty() && case.records().is_empty());
    assert_eq!(case.ingest(vec![case.path("a.log")]).counts().ok, 20_000);
}

fn program(folder: &Path, args: &[&str]) -> std::process::Command {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_backtrail"));
    command.current_dir(folder).args(args).env_remove("BACKTRAIL_CASE");
    command
}

#[test]
fn the_program_told_to_end_keeps_the_stream_so_far_and_says_partly() {
    use std::process::Stdio;
    let dir = tempfile::tempdir().unwrap();
    // A case named without a folder lies in the current one.
    let mut child = program(dir.path(), &["--case", "c", "ingest", "-", "-o", "jsonl"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&pcap(&[pcap_record(1, 46, 46, &frame(1)), pcap_record(2, 46, 46, &frame(2))])).unwrap();
    stdin.flush().unwrap();
    // It is ready when the stream's copy in the case has its first bytes.
    let begun = Instant::now();
    let copied = || {
        let entries = fs::read_dir(dir.path().join("c/evidence")).into_iter().flatten().flatten();
        entries.map(|e| e.metadata().map_or(0, |m| m.len())).sum::<u64>() > 0
    };
    while !copied() {
        assert!(begun.elapsed() < Duration::from_secs(60), "it waits for more than there is");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(std::process::Command::new("kill").arg("-TERM").arg(child.id().to_string()).status().unwrap().success());
    let out = child.wait_with_output().unwrap();
    drop(stdin);
    let (rows, said) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert_eq!(out.status.code(), Some(2), "{rows}{said}");
    assert!(
        rows.contains("\"ok\":2") && rows.contains("stopped before its end") && said.contains("note: stopped"),
        "{rows}{said}"
    );
    let flows = program(dir.path(), &["--case", "c", "flows", "-o", "jsonl"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&flows.stdout).lines().count(), 2);
}

#[test]
fn the_program_says_in_its_status_what_it_could_not_read() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("good.log"), "Nov 20 08:00:00 fw kernel: a\n").unwrap();
    fs::write(dir.path().join("prose.txt"), "dear reader\n").unwrap();
    fs::write(dir.path().join("empty"), "").unwrap();
    fs::write(dir.path().join("file"), "x").unwrap();
    for (args, status) in [
        (&["--case", "c", "ingest", "good.log", "empty"][..], 0),
        (&["--case", "c", "ingest", "good.log"], 0),
        (&["--case", "c", "ingest", "prose.txt"], 2),
        (&["--case", "c", "ingest", "gone.log"], 2),
        (&["--case", "none"], 1),
        (&["--case", "file", "ingest", "good.log"], 1),
        (&["--case", "file/c", "ingest", "good.log"], 1),
    ] {
        let out = program(dir.path(), args).output().unwrap();
        let said = String::from_utf8_lossy(&out.stderr);
        assert_eq!(out.status.code(), Some(status), "{args:?}: {said}");
        assert_eq!(said.contains("try: "), status == 1, "{args:?}: {said}");
        assert!(!said.contains("panicked"), "{said}");
    }
}

#[test]
fn what_is_in_the_samples_reads_the_same_when_each_is_cut_in_half() {
    let case = Case::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("sample-data/formats");
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_file() {
            let bytes = sample(&format!("sample-data/formats/{name}"));
            for part in [2, 3, 5] {
                let file = case.file(&format!("{part}-{name}"), &bytes[..bytes.len() * (part - 1) / part]);
                assert!(!matches!(file.outcome, Outcome::Failed(_)), "{name}: {:?}", file.outcome);
            }
        }
    }
}
