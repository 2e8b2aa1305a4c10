//! What exporters send: received over loopback, met in a capture; and what this program exports as IPFIX or text, read again.

use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::fs;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_backtrail");

fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("sample-data").join(name)
}

struct Home(TempDir);

impl Home {
    fn new() -> Home {
        Home(TempDir::with_prefix("backtrail-listen-").unwrap())
    }
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        for name in ["BACKTRAIL_CASE", "BACKTRAIL_WAIT", "XDG_CONFIG_HOME", "XDG_DATA_HOME"] {
            command.env_remove(name);
        }
        let home = self.0.path();
        command.env("HOME", home).env("TMPDIR", home).current_dir(home).stdin(Stdio::null()).args(args);
        command
    }
    fn run(&self, args: &[&str]) -> (i32, String) {
        let out = self.command(args).output().unwrap();
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        (out.status.code().unwrap(), String::from_utf8(out.stdout).unwrap() + &said)
    }
    fn ok(&self, args: &[&str]) -> String {
        let (code, said) = self.run(args);
        assert_eq!(code, 0, "{args:?}: {said}");
        said
    }
    fn records(&self, case: &str, query: &str) -> Vec<Json> {
        let lines = self.ok(&["--case", case, "query", query, "-o", "jsonl", "--every-sighting"]);
        lines.lines().filter(|l| l.starts_with('{')).map(|l| serde_json::from_str(l).unwrap()).collect()
    }
}

/// Payloads of the datagrams of a capture of raw IPv4 packets.
fn payloads(name: &str) -> Vec<Vec<u8>> {
    let bytes = fs::read(sample(name)).unwrap();
    let (mut at, mut out) = (24, Vec::new());
    while at < bytes.len() {
        let length = u32::from_le_bytes(bytes[at + 8..at + 12].try_into().unwrap()) as usize;
        out.push(bytes[at + 16 + 28..at + 16 + length].to_vec());
        at += 16 + length;
    }
    out
}

fn by_source(records: &[Json]) -> BTreeMap<String, usize> {
    let mut all = BTreeMap::new();
    for record in records {
        *all.entry(record["source"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    all
}

/// The program while it listens at a port.
struct Listening(Child);

impl Listening {
    fn start(home: &Home, case: &str, port: u16) -> Listening {
        let at = format!("127.0.0.1:{port}");
        let child = home.command(&["--case", case, "listen", "netflow", "--at", &at, "--commit", "100ms", "-o", "jsonl"]);
        let child = { child }.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let listening = Listening(child);
        let until = Instant::now() + Duration::from_secs(30);
        // As soon as nobody else can have the port.
        while UdpSocket::bind(&at).is_ok() {
            assert!(Instant::now() < until, "it does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        listening
    }
    fn signal(&self, name: &str) {
        assert!(Command::new("kill").arg(name).arg(self.0.id().to_string()).status().unwrap().success());
    }
    fn ended(self) -> (Option<i32>, String) {
        let out = self.0.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
        (out.status.code(), said)
    }
}

/// A port that was free a moment ago.
fn port() -> u16 {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn send(to: u16, datagrams: &[Vec<u8>]) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    for datagram in datagrams {
        socket.send_to(datagram, ("127.0.0.1", to)).unwrap();
    }
}

/// Waits until a question has so many answers.
fn wait_for(home: &Home, case: &str, query: &str, records: usize) -> Vec<Json> {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        let found = home.records(case, query);
        if found.len() >= records {
            return found;
        }
        assert!(Instant::now() < until, "{} of {records} for `{query}`", found.len());
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Flows, firewall records and descriptions that the datagrams of the sample hold, by domain.
const NETFLOW: [(&str, usize); 4] = [("", 6), ("/42", 2), ("/7", 3), ("/9", 4)];

#[test]
fn datagrams_in_a_capture_are_records_of_their_exporter() {
    let home = Home::new();
    let (netflow, sflow) = (sample("protocols/netflow.pcap"), sample("protocols/sflow.pcap"));
    home.ok(&["--case", "case", "ingest", netflow.to_str().unwrap(), sflow.to_str().unwrap()]);
    let all = home.records("case", "kind != oddity");
    let counts = by_source(&all);
    for (domain, records) in NETFLOW {
        assert_eq!(counts.get(&format!("203.0.113.1{domain}")), Some(&records), "{counts:?}");
    }
    assert_eq!(counts.get("192.0.2.250"), Some(&5), "{counts:?}");
    // The exporter's own conversations are flows too.
    assert_eq!(home.records("case", "app = netflow").len(), 1);
    assert_eq!(home.records("case", "app = sflow and dst.port = 6343").len(), 1);
    // A sample has the time of its packet.
    let sampled = home.records("case", "src.ip = 192.0.2.20 and dst.ip = 192.0.2.53");
    assert_eq!(sampled[0]["start"], "2026-11-20T08:00:01.250Z");
    let missing = home.records("case", "oddity = template_missing");
    assert_eq!(missing.len(), 1);
    // What the sequence says that is missing is said.
    let sources = home.ok(&["--case", "case", "sources", "-o", "jsonl"]);
    assert!(sources.contains("missed 3 of 6 flows that the exporter sent"), "{sources}");
    assert!(sources.contains("missed 2 of 4 sFlow datagrams"), "{sources}");
    // Imported again, nothing changes.
    home.ok(&["--case", "case", "ingest", netflow.to_str().unwrap()]);
    assert_eq!(home.records("case", "kind != oddity").len(), all.len());
}

#[test]
fn what_is_received_is_in_the_case_whatever_ends_it() {
    let home = Home::new();
    let at = port();
    let listening = Listening::start(&home, "case", at);
    send(at, &payloads("protocols/netflow.pcap"));
    send(at, &payloads("protocols/sflow.pcap"));
    let flows = "kind = flow and app != netflow and app != sflow";
    let seen = wait_for(&home, "case", flows, 11);
    listening.signal("-INT");
    let (code, said) = listening.ended();
    assert_eq!(code, Some(0), "{said}");
    let summary: Json = serde_json::from_str(said.lines().find(|l| l.starts_with('{')).unwrap()).unwrap();
    assert_eq!((&summary["packets"], &summary["drops.kernel"]), (&Json::from(12), &Json::from(0)), "{said}");
    let counts = by_source(&home.records("case", "kind != oddity"));
    for (domain, records) in NETFLOW {
        assert_eq!(counts.get(&format!("127.0.0.1{domain}")), Some(&records), "{counts:?}");
    }
    assert_eq!(counts.get("192.0.2.250"), Some(&5), "{counts:?}");
    assert_eq!(home.records("case", flows).len(), seen.len());
    assert!(said.contains("flows that the exporter sent"), "{said}");

    // Killed, it loses nothing that was committed.
    let listening = Listening::start(&home, "killed", at);
    send(at, &payloads("protocols/netflow.pcap"));
    wait_for(&home, "killed", "kind = fw", 6);
    std::thread::sleep(Duration::from_secs(3));
    listening.signal("-KILL");
    listening.ended();
    assert_eq!(home.records("killed", "kind = fw").len(), 6);
    assert_eq!(home.records("killed", "src.ip = 2001:db8::10").len(), 1);
}

#[test]
fn a_port_that_is_taken_and_an_address_that_is_none_are_said() {
    let home = Home::new();
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let at = taken.local_addr().unwrap().to_string();
    let (code, said) = home.run(&["--case", "case", "listen", "netflow", "--at", &at]);
    assert!(code == 1 && said.contains("cannot listen at"), "{said}");
    let (code, said) = home.run(&["--case", "case", "listen", "netflow", "--at", "nowhere"]);
    assert!(code == 1 && said.contains("is not an address with a port"), "{said}");
}

/// What IPFIX carries of a flow, as a line.
fn carried(flow: &Json) -> String {
    let came = ["bytes.in", "packets.in"].iter().any(|k| flow[*k].as_u64().unwrap_or(0) > 0);
    let keys =
        ["start", "end", "src.ip", "src.port", "dst.ip", "dst.port", "proto", "vlan", "bytes.out", "packets.out"].into_iter();
    let back = ["bytes.in", "packets.in"].into_iter().filter(|_| came);
    keys.chain(back).map(|k| format!("{k}={} ", flow[k])).collect()
}

#[test]
fn an_export_as_ipfix_comes_back_with_all_that_it_carries() {
    let home = Home::new();
    let files = ["protocols/http.pcap", "protocols/dns.pcap", "protocols/mdns.pcap", "story/inside.pcapng"];
    let paths: Vec<String> = files.iter().map(|f| sample(f).display().to_string()).collect();
    let ingest = [&["--case", "case", "ingest"][..], &paths.iter().map(String::as_str).collect::<Vec<_>>()].concat();
    home.ok(&ingest);
    home.ok(&["--case", "case", "export", "--ipfix", "flows.ipfix"]);
    home.ok(&["--case", "back", "ingest", "flows.ipfix"]);
    let lines = |case: &str| {
        let mut all: Vec<String> = home.records(case, "kind = flow").iter().map(carried).collect();
        all.sort();
        all
    };
    let (before, after) = (lines("case"), lines("back"));
    assert!(before.len() > 1000, "{}", before.len());
    assert_eq!(before.len(), after.len());
    let other = before.iter().zip(&after).find(|(a, b)| a != b);
    assert_eq!(other, None);

    home.ok(&["--case", "case", "export", "--rwcut", "flows.rwcut"]);
    home.ok(&["--case", "text", "ingest", "flows.rwcut"]);
    let total = |case: &str, keys: &[&str]| {
        home.records(case, "kind = flow").iter().flat_map(|r| keys.iter().filter_map(|k| r[*k].as_u64())).sum::<u64>()
    };
    assert_eq!(total("case", &["bytes.out", "bytes.in"]), total("text", &["bytes.out"]));
    assert_eq!(total("case", &["packets.out", "packets.in"]), total("text", &["packets.out"]));
}
