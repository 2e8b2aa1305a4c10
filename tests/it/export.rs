//! A case leaves this machine and comes back: exports in Parquet, IPFIX and rwcut text, imports, copies of the directory.

use crate::copied::copy_all;
use backtrail::model::{Origin, RecordId};
use backtrail::query::engine::Raw;
use backtrail::query::known::Known;
use backtrail::query::{Engine, LocalEngine};
use backtrail::sources::records::{Given, Reader};
use backtrail::store::{OpenOptions, Reserve, Store};
use parquet::data_type::Int64Type;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use serde_json::Value as Json;
use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_backtrail");

fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("sample-data").join(name)
}

/// A directory in which the program runs.
struct Home(TempDir);

impl Home {
    fn new() -> Home {
        Home(TempDir::with_prefix("backtrail-export-").unwrap())
    }
    /// With files of the sample data copied into `evidence/` and imported into `case`.
    fn of(names: &[&str]) -> Home {
        let home = Home::new();
        fs::create_dir(home.path("evidence")).unwrap();
        for name in names {
            fs::copy(sample(name), home.path("evidence").join(Path::new(name).file_name().unwrap())).unwrap();
        }
        home.ok(&["--case", "case", "ingest", "evidence"]);
        home
    }
    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
    /// Status, standard output, standard error.
    fn run(&self, args: &[&str]) -> (i32, Vec<u8>, String) {
        let mut command = Command::new(PROGRAM);
        for name in ["BACKTRAIL_CASE", "BACKTRAIL_WAIT", "XDG_CONFIG_HOME", "XDG_DATA_HOME"] {
            command.env_remove(name);
        }
        let home = self.0.path();
        command.env("HOME", home).env("TMPDIR", home).env("BACKTRAIL_USER", "ana").current_dir(home).stdin(Stdio::null());
        let out = command.args(args).output().unwrap();
        (out.status.code().unwrap(), out.stdout, String::from_utf8(out.stderr).unwrap())
    }
    fn ok(&self, args: &[&str]) -> String {
        let (code, out, err) = self.run(args);
        assert_eq!(code, 0, "{args:?}: {err}");
        String::from_utf8(out).unwrap()
    }
    fn failed(&self, args: &[&str]) -> String {
        let (code, _, err) = self.run(args);
        assert_eq!(code, 1, "{args:?}: {err}");
        err
    }
    /// Every record of a case as JSON Lines: once a row per connection, once a row per sighting.
    fn records(&self, case: &str) -> [Vec<String>; 2] {
        let ask = |more: &[&str]| {
            let args = [&["--case", case, "query", "", "-o", "jsonl"][..], more].concat();
            self.ok(&args).lines().map(str::to_owned).collect()
        };
        [ask(&[]), ask(&["--every-sighting"])]
    }
    fn flows(&self, case: &str) -> Vec<Json> {
        let lines = self.ok(&["--case", case, "flows", "-o", "jsonl"]);
        lines.lines().map(|l| serde_json::from_str(l).unwrap()).collect()
    }
    fn open(&self, case: &str) -> LocalEngine {
        let options = OpenOptions { ballast: 0, reserve: Reserve { percent: 0, bytes: 0 }, ..OpenOptions::default() };
        LocalEngine::new(Store::open(&self.path(case), &options).unwrap(), Box::new(Known::default()))
    }
}

fn same(a: &[String], b: &[String]) {
    if let Some((a, b)) = a.iter().zip(b).find(|(a, b)| a != b) {
        panic!("{a}\n{b}");
    }
    assert_eq!(a.len(), b.len());
}

#[test]
fn the_story_comes_back_record_for_record_and_importing_it_again_changes_nothing() {
    let home = Home::new();
    let story = sample("story").display().to_string();
    // Its README is no log: 2.
    assert_eq!(home.run(&["--case", "case", "ingest", &story]).0, 2);
    let before = home.records("case");
    assert!(before[1].len() > before[0].len() && before[0].len() > 10_000, "{} {}", before[0].len(), before[1].len());
    home.ok(&["--case", "case", "export", "--parquet", "out"]);
    home.ok(&["--case", "back", "import", "out"]);
    let after = home.records("back");
    same(&before[0], &after[0]);
    same(&before[1], &after[1]);

    let sequence = home.open("back").sequence();
    let again = home.ok(&["--case", "back", "import", "out", "-o", "jsonl"]);
    assert!(again.lines().all(|l| l.contains("\"known\"")), "{again}");
    assert_eq!(home.open("back").sequence(), sequence);
    same(&after[1], &home.records("back")[1]);

    // An export that is there is not written over.
    assert!(home.failed(&["--case", "case", "export", "--parquet", "out"]).contains("already"));
}

#[test]
fn what_was_imported_from_an_export_says_where_its_bytes_are_and_gives_way_to_them() {
    let home = Home::of(&["protocols/http.pcap", "formats/suricata-eve.json"]);
    let before = home.records("case");
    home.ok(&["--case", "case", "export", "--parquet", "out"]);
    fs::rename(home.path("evidence"), home.path("elsewhere")).unwrap();
    home.ok(&["--case", "back", "import", "out"]);
    same(&before[1], &home.records("back")[1]);
    {
        let engine = home.open("back");
        let said: Vec<String> = engine.evidence().into_iter().flat_map(|e| e.warnings).collect();
        assert_eq!(said.iter().filter(|w| w.contains("imported from an export of the case case")).count(), 2, "{said:?}");
        let line: Json = serde_json::from_str(before[1].iter().find(|l| l.contains("\"alert\"")).unwrap()).unwrap();
        let id: RecordId = line["id"].as_str().unwrap().parse().unwrap();
        let record = engine.record(id).unwrap().unwrap();
        let Raw::Gone(why) = engine.raw(Origin { ..record.origin() }).unwrap() else { panic!("its file is away") };
        assert!(why.contains("suricata-eve.json"), "{why}");
    }
    assert!(home.failed(&["--case", "back", "packets", "", "-w", "x.pcapng"]).contains("nothing to write"));
    // The files themselves take the place of what was exported of them.
    home.ok(&["--case", "back", "ingest", "elsewhere"]);
    let moved = |lines: &[String]| -> Vec<String> { lines.iter().map(|l| l.replace("/elsewhere/", "/evidence/")).collect() };
    same(&before[1], &moved(&home.records("back")[1]));
    home.ok(&["--case", "back", "packets", "", "-w", "x.pcapng"]);
    assert!(home.path("x.pcapng").metadata().unwrap().len() > 1000);
}

#[test]
fn corrected_clocks_are_told_and_raw_times_come_back() {
    let home = Home::of(&["formats/suricata-eve.json"]);
    let name = home.open("case").sources()[0].name.clone();
    home.ok(&["--case", "case", "sources", "set", &name, "--offset", "+90s"]);
    home.ok(&["--case", "case", "export", "--parquet", "out"]);
    home.ok(&["--case", "back", "import", "out"]);
    let (there, here) = (home.records("case"), home.records("back"));
    let get = |line: &String, key: &str| serde_json::from_str::<Json>(line).unwrap()[key].clone();
    assert_eq!(get(&there[1][0], "start.raw"), get(&here[1][0], "start"));
    home.ok(&["--case", "back", "sources", "set", &name, "--offset", "+90s"]);
    same(&there[1], &home.records("back")[1]);
}

#[test]
fn part_of_an_export_says_what_is_missing() {
    let home = Home::of(&["protocols/http.pcap"]);
    home.ok(&["--case", "case", "export", "--parquet", "out", "port 80"]);
    let (code, out, _) = home.run(&["--case", "back", "import", "out/flows.parquet"]);
    let out = String::from_utf8(out).unwrap();
    assert_eq!(code, 2, "{out}");
    assert!(out.contains("events.parquet") && out.contains("were not imported"), "{out}");
    let engine = home.open("back");
    assert!(engine.evidence()[0].warnings[0].contains("of `port 80`"), "{:?}", engine.evidence()[0].warnings);
}

#[test]
fn exports_of_one_evidence_come_together_and_what_could_not_be_read_is_told() {
    let home = Home::of(&["protocols/http.pcap", "formats/suricata-eve.json"]);
    fs::write(home.path("evidence/what.bin"), [7; 4096]).unwrap();
    assert_eq!(home.run(&["--case", "case", "ingest", "evidence/what.bin"]).0, 2);
    let before = home.records("case");
    // Some are in both.
    for (to, question) in [("one", "kind in {alert, flow}"), ("two", "not kind = alert")] {
        let (code, _, said) = home.run(&["--case", "case", "export", question, "--parquet", to]);
        assert!(code == 0 && said.contains("1 evidence file was not read"), "{said}");
    }
    home.ok(&["--case", "back", "import", "one"]);
    assert!(home.records("back")[1].len() < before[1].len());
    home.ok(&["--case", "back", "import", "two"]);
    same(&before[1], &home.records("back")[1]);
    let sequence = home.open("back").sequence();
    home.ok(&["--case", "back", "import", "one"]);
    assert_eq!(home.open("back").sequence(), sequence);
    let unread = home.open("back").evidence().into_iter().filter(|e| e.is_unread()).map(|e| e.path);
    assert!(unread.map(|p| p.ends_with("what.bin")).eq([true]));
}

#[test]
fn parquet_of_another_program_is_refused_with_what_would_be_needed() {
    let home = Home::new();
    let schema = Arc::new(parse_message_type("message other { required int64 x; }").unwrap());
    let file = fs::File::create(home.path("other.parquet")).unwrap();
    let mut writer = SerializedFileWriter::new(file, schema, Arc::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<Int64Type>().write_batch(&[1, 2], None, None).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
    let said = home.failed(&["--case", "case", "import", "other.parquet"]);
    assert!(said.contains("not exported by backtrail") && said.contains("ids, sources and evidence"), "{said}");
    assert!(!home.path("case").exists(), "what is refused makes no case");
    fs::write(home.path("no.parquet"), b"a,b\n1,2\n").unwrap();
    assert!(home.failed(&["--case", "case", "import", "no.parquet"]).contains("not a Parquet file"));
    assert!(home.failed(&["--case", "case", "import", "nowhere"]).contains("no such file"));
}

/// What became of reading a file: records, or the error.
fn read(path: &Path) -> Result<u64, String> {
    let reader = Reader::open(path).map_err(|e| e.what)?;
    let mut records = 0;
    let given = &mut |given: Given| {
        records += u64::from(matches!(given, Given::Record(..)));
        Ok(())
    };
    reader.each(&|_| true, &|| false, given).map_err(|e| e.what)?;
    Ok(records)
}

#[test]
fn damaged_and_hostile_files_are_errors_within_bounds_and_never_a_panic() {
    let home = Home::of(&["protocols/http.pcap", "protocols/dns.pcap", "formats/suricata-eve.json"]);
    home.ok(&["--case", "case", "export", "--parquet", "out"]);
    let whole = fs::read(home.path("out/events.parquet")).unwrap();
    let path = home.path("bad.parquet");
    fs::write(&path, &whole).unwrap();
    let records = read(&path).unwrap();
    assert!(records > 10);
    for n in (0..whole.len()).step_by(1 + whole.len() / 60) {
        fs::write(&path, &whole[..n]).unwrap();
        assert!(read(&path).is_err(), "cut at {n}");
    }
    // Every value of a byte is tried somewhere; the same on every run.
    let (mut errors, mut state) = (0, 7u64);
    for _ in 0..1_500 {
        let mut bytes = whole.clone();
        for _ in 0..=state % 3 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let at = (state >> 33) as usize % bytes.len();
            bytes[at] = (state >> 16) as u8;
        }
        fs::write(&path, &bytes).unwrap();
        match read(&path) {
            Ok(read) => assert!(read <= records),
            Err(_) => errors += 1,
        }
    }
    assert!(errors > 100, "{errors}");
    // A case takes what is whole of it, or says what is wrong; it opens afterwards.
    let mut bytes = whole.clone();
    bytes[whole.len() / 3..whole.len() / 3 + 64].fill(0xff);
    fs::write(&path, &bytes).unwrap();
    let (code, ..) = home.run(&["--case", "back", "import", "bad.parquet"]);
    assert!(code == 1 || code == 2, "{code}");
    home.ok(&["--case", "back", "query", ""]);
}

/// A data record as its template describes it: values by element and enterprise number.
type Decoded = HashMap<(u16, u32), Vec<u8>>;

/// Decodes IPFIX messages (RFC 7011, 3) by the templates in them.
fn decode(bytes: &[u8]) -> Vec<Decoded> {
    let u16_at = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    let u32_at = |at: usize| u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    type Elements = Vec<(u16, u32, usize)>;
    let mut templates: HashMap<(u32, u16), Elements> = HashMap::new();
    let mut sequence: HashMap<u32, u32> = HashMap::new();
    let (mut out, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        assert_eq!(u16_at(at), 10, "version");
        let end = at + usize::from(u16_at(at + 2));
        let domain = u32_at(at + 12);
        assert!(end - at <= 1_500, "a message fits a frame");
        assert_eq!(u32_at(at + 8), *sequence.entry(domain).or_default(), "sequence");
        let mut set = at + 16;
        while set < end {
            let (id, set_end) = (u16_at(set), set + usize::from(u16_at(set + 2)));
            let mut p = set + 4;
            while p < set_end {
                if id != 2 {
                    let mut record = Decoded::new();
                    for (element, enterprise, length) in &templates[&(domain, id)] {
                        record.insert((*element, *enterprise), bytes[p..p + length].to_vec());
                        p += length;
                    }
                    out.push(record);
                    *sequence.get_mut(&domain).unwrap() += 1;
                    continue;
                }
                let (template, count) = (u16_at(p), u16_at(p + 2));
                p += 4;
                let mut fields = Vec::new();
                for _ in 0..count {
                    let (element, length) = (u16_at(p), usize::from(u16_at(p + 2)));
                    p += 4;
                    let enterprise = if element & 0x8000 != 0 { u32_at(p) } else { 0 };
                    p += if element & 0x8000 != 0 { 4 } else { 0 };
                    fields.push((element & 0x7fff, enterprise, length));
                }
                assert!(templates.insert((domain, template), fields).is_none(), "a template stands once");
            }
            assert_eq!(p, set_end, "a set is whole");
            set = set_end;
        }
        assert_eq!(set, end, "a message is whole");
        at = end;
    }
    out
}

fn number(record: &Decoded, element: u16, enterprise: u32) -> u64 {
    record.get(&(element, enterprise)).map_or(0, |b| b.iter().fold(0, |n, b| n << 8 | u64::from(*b)))
}

fn sum(flows: &[Json], key: &str) -> u64 {
    flows.iter().filter_map(|f| f[key].as_u64()).sum()
}

#[test]
fn ipfix_holds_every_flow_with_both_directions() {
    let home = Home::of(&["protocols/http.pcap", "protocols/dns.pcap", "protocols/mdns.pcap", "story/inside.pcapng"]);
    home.ok(&["--case", "case", "export", "--ipfix", "flows.ipfix"]);
    let records = decode(&fs::read(home.path("flows.ipfix")).unwrap());
    let flows = home.flows("case");
    assert_eq!(records.len(), flows.len());
    let total = |element, enterprise| records.iter().map(|r| number(r, element, enterprise)).sum::<u64>();
    for (element, out, back) in [(1, "bytes.out", "bytes.in"), (2, "packets.out", "packets.in")] {
        assert_eq!(total(element, 0), sum(&flows, out));
        assert_eq!(total(element, 29305), sum(&flows, back));
    }
    let one = records.iter().find(|r| number(r, 11, 0) == 80 && number(r, 2, 29305) > 0).unwrap();
    let flow = flows.iter().find(|f| f["dst.port"] == 80 && f["bytes.in"] == number(one, 1, 29305)).unwrap();
    assert_eq!(number(one, 7, 0), flow["src.port"].as_u64().unwrap());
    assert_eq!((number(one, 4, 0), number(one, 239, 0)), (6, 1));
    assert_eq!(number(one, 6, 0) & 2, 2, "SYN: {flow}");
    // NTP's seconds and the milliseconds say the same.
    assert_eq!(number(one, 156, 0) >> 32, number(one, 152, 0) / 1000 + 2_208_988_800);
    for record in &records {
        let v4 = record.contains_key(&(8, 0)) && record.contains_key(&(12, 0));
        let v6 = record.contains_key(&(27, 0)) && record.contains_key(&(28, 0));
        assert!(v4 != v6);
        assert_eq!(record.keys().any(|(_, e)| *e == 29305), number(record, 239, 0) == 1);
        assert!(number(record, 4, 0) == 6 || !record.contains_key(&(6, 0)), "flags are TCP's");
    }
    assert!(records.iter().any(|r| r.contains_key(&(27, 0))), "IPv6 is among them");

    home.ok(&["--case", "case", "export", "--ipfix", "one-way.ipfix", "--uniflow"]);
    let apart = decode(&fs::read(home.path("one-way.ipfix")).unwrap());
    let total = |element| apart.iter().map(|r| number(r, element, 0)).sum::<u64>();
    assert!(apart.iter().all(|r| r.keys().all(|(_, e)| *e == 0)));
    assert_eq!(total(1), sum(&flows, "bytes.out") + sum(&flows, "bytes.in"));
    assert_eq!(total(2), sum(&flows, "packets.out") + sum(&flows, "packets.in"));
    assert!(home.failed(&["--case", "case", "export", "--ipfix", "x", "| count"]).contains("no stages"));
}

#[test]
fn rwcut_text_has_silks_columns_and_a_row_per_direction() {
    let home = Home::of(&["protocols/http.pcap", "protocols/dns.pcap"]);
    let text = home.ok(&["--case", "case", "export", "--rwcut", "-"]);
    let lines: Vec<&str> = text.lines().collect();
    let cells = |line: &str| line.split('|').map(str::to_owned).collect::<Vec<String>>();
    let head: Vec<String> = cells(lines[0]).iter().map(|c| c.trim().to_owned()).collect();
    assert_eq!(
        head,
        ["sIP", "dIP", "sPort", "dPort", "pro", "packets", "bytes", "flags", "sTime", "duration", "eTime", "sensor", ""]
    );
    let widths = |line: &str| cells(line).iter().map(|c| c.chars().count()).collect::<Vec<_>>();
    assert!(lines.iter().all(|l| widths(l) == widths(lines[0])));
    assert_eq!(widths(lines[0])[..11], [39, 39, 5, 5, 3, 10, 10, 8, 23, 9, 23]);
    let flows = home.flows("case");
    let ways = flows.iter().map(|f| ["packets.out", "packets.in"].iter().filter(|k| f[**k].as_u64().unwrap_or(0) > 0).count());
    assert_eq!(lines.len() - 1, ways.sum::<usize>());
    let rows: Vec<Vec<String>> = lines[1..].iter().map(|l| cells(l)).collect();
    let total = |n: usize| rows.iter().map(|r| r[n].trim().parse::<u64>().unwrap()).sum::<u64>();
    assert_eq!(total(5), sum(&flows, "packets.out") + sum(&flows, "packets.in"));
    assert_eq!(total(6), sum(&flows, "bytes.out") + sum(&flows, "bytes.in"));
    assert!(rows.iter().any(|r| r[4].trim() == "6" && r[7].starts_with(' ') || r[7].starts_with('F')), "{text}");
}

#[test]
fn a_copied_case_opens_there_and_says_what_is_gone() {
    let home = Home::of(&["protocols/http.pcap", "formats/suricata-eve.json"]);
    let before = home.records("case");
    fs::create_dir(home.path("there")).unwrap();
    copy_all(&home.path("case"), &home.path("there/copy"));
    // Loosened on the way.
    fs::set_permissions(home.path("there/copy"), fs::Permissions::from_mode(0o755)).unwrap();
    let tarred = home.path("case.tar");
    let mut tar = tar::Builder::new(fs::File::create(&tarred).unwrap());
    tar.append_dir_all("unpacked", home.path("case")).unwrap();
    tar.finish().unwrap();
    tar::Archive::new(fs::File::open(&tarred).unwrap()).unpack(home.path("there")).unwrap();
    fs::remove_dir_all(home.path("case")).unwrap();
    fs::rename(home.path("evidence"), home.path("moved")).unwrap();
    for case in ["there/copy", "there/unpacked"] {
        same(&before[0], &home.records(case)[0]);
        same(&before[1], &home.records(case)[1]);
        let engine = home.open(case);
        let alert = before[1].iter().find(|l| l.contains("\"alert\"")).unwrap();
        let id: RecordId = serde_json::from_str::<Json>(alert).unwrap()["id"].as_str().unwrap().parse().unwrap();
        let Raw::Gone(why) = engine.raw(engine.record(id).unwrap().unwrap().origin()).unwrap() else { panic!("moved") };
        assert!(why.contains("put it back there"), "{why}");
        drop(engine);
        let (code, _, said) = home.run(&["--case", case, "packets", "", "-w", "x.pcapng"]);
        assert!(code == 1 && said.contains("http.pcap"), "{said}");
    }
    let said = |case: &str| home.run(&["--case", case, "query", "", "-n", "1"]).2;
    assert!(said("there/copy").contains("everybody on this machine can look into the case (mode 755)"), "{}", said("there/copy"));
    assert_eq!(said("there/unpacked"), "");
    // Put back, its bytes are there again.
    fs::rename(home.path("moved"), home.path("evidence")).unwrap();
    home.ok(&["--case", "there/copy", "packets", "", "-w", "x.pcapng"]);
}
