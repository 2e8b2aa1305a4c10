//! Translations of addresses in the sample incident: what the firewall's connection table states and what the two captures show is what
//! `sample-data/story/truth.json` says, and nothing else.

use crate::story::{Case, story};
use backtrail::model::{Kind, Record, RecordId, Time, Value, Window, field as f};
use backtrail::query::Engine;
use backtrail::query::engine::{AskedEnd, Binding, Bound, Cancel, End, Match};
use serde_json::Value as Json;
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::LazyLock;

static TRUTH: LazyLock<Vec<Json>> = LazyLock::new(|| {
    let text = std::fs::read_to_string(story("truth.json")).unwrap();
    let all: Json = serde_json::from_str(&text).unwrap();
    all["nat"].as_array().unwrap().clone()
});

/// Both captures, and nothing that states a translation.
static CAPTURES: LazyLock<Case> = LazyLock::new(|| Case::of(&["inside.pcapng", "outside.pcap"]));
/// The connection table alone.
static TABLE: LazyLock<Case> = LazyLock::new(|| Case::of(&["conntrack.log.gz"]));
/// All of it, with the detector outside of the gateway.
static ALL: LazyLock<Case> = LazyLock::new(|| Case::of(&["inside.pcapng", "outside.pcap", "conntrack.log.gz", "eve.json.gz"]));

fn end(text: &str) -> End {
    let end: SocketAddr = text.parse().unwrap();
    End::new(end.ip(), end.port())
}

fn asked(end: End, peer: Option<End>, window: Window) -> AskedEnd {
    AskedEnd { end, proto: Some(6), peer, window }
}

fn bound(case: &Case, asked: AskedEnd) -> Bound {
    case.engine.bindings(&asked, &Cancel::default()).unwrap()
}

fn window(truth: &Json) -> Window {
    let time = |key: &str| Time::parse(truth[key].as_str().unwrap()).unwrap();
    Window::new(time("start"), time("end").plus(1))
}

type Ends = (String, String, String);

fn ends(b: &Binding) -> Ends {
    (b.inside.to_string(), b.outside.to_string(), b.peer.map_or_else(String::new, |p| p.to_string()))
}

/// The bindings of a translation of the truth in a case.
fn of_truth(case: &Case, truth: &Json) -> Vec<Binding> {
    let text = |key: &str| truth[key].as_str().unwrap();
    bound(case, asked(end(text("outside")), Some(end(text("peer"))), window(truth))).outside
}

#[test]
fn every_translation_of_the_story_is_in_the_connection_table() {
    for truth in TRUTH.iter() {
        let got = of_truth(&TABLE, truth);
        assert_eq!(got.len(), 1, "{truth}");
        assert_eq!(got[0].inside.to_string(), truth["inside"].as_str().unwrap(), "{truth}");
        assert!(
            got[0].method.name() == "log" && got[0].confidence >= 0.95 && !got[0].conflict && got[0].evidence.len() == 2,
            "{:?}",
            got[0]
        );
    }
}

/// What the table states, by reading its lines.
fn stated() -> BTreeSet<Ends> {
    let mut out = BTreeSet::new();
    for row in TABLE.rows("kind = fw and action = new") {
        let of = |ip, port| {
            let ip = row.addr(ip)?;
            Some(End::new(ip, row.uint(port).and_then(|p| u16::try_from(p).ok())).to_string())
        };
        let (src, dst) = (of(f::SRC_IP, f::SRC_PORT).unwrap(), of(f::DST_IP, f::DST_PORT).unwrap());
        if let Some(nat) = of(f::NAT_SRC_IP, f::NAT_SRC_PORT) {
            out.insert((src.clone(), nat, dst.clone()));
        }
        if let Some(nat) = of(f::NAT_DST_IP, f::NAT_DST_PORT) {
            out.insert((nat, dst, src));
        }
    }
    out
}

#[test]
fn two_captures_alone_show_every_translation_in_them_and_none_besides() {
    let all = bound(&CAPTURES, AskedEnd { proto: None, ..asked(End::new([198, 51, 100, 2].into(), None), None, Window::ALL) });
    assert!(!all.more && all.notices.is_empty(), "{:?}", all.notices);
    let got: BTreeSet<Ends> = all.outside.iter().map(ends).collect();
    let stated = stated();
    // ICMP has no ports that tell its bindings apart, and is left out of the comparison.
    let invented: Vec<&Ends> = all
        .outside
        .iter()
        .filter(|b| b.proto != Some(1))
        .map(ends)
        .filter(|e| !stated.contains(e))
        .map(|e| got.get(&e).unwrap())
        .collect();
    assert!(invented.is_empty(), "{} invented: {:?}", invented.len(), &invented[..invented.len().min(5)]);
    let mut missing = 0;
    for truth in TRUTH.iter().filter(|t| t["in_captures"] == true) {
        let found = of_truth(&CAPTURES, truth);
        let right = found.iter().any(|b| b.inside.to_string() == truth["inside"].as_str().unwrap() && b.confidence >= 0.9);
        missing += usize::from(!right);
    }
    assert_eq!(missing, 0);
    // Of the 447 connections that both captures have.
    assert!(all.outside.len() >= 438, "{} of 447", all.outside.len());
}

#[test]
fn a_question_for_patient_zero_finds_its_beacons_outside_and_says_how() {
    let rows = ALL.rows("kind = flow and host = 10.8.21.5 and dst.ip = 203.0.113.9");
    let (via, own): (Vec<&Record>, Vec<&Record>) = rows.iter().partition(|r| r.get(f::VIA).is_some());
    let beacons = TRUTH.iter().filter(|t| t["tag"] == "beacon" && t["in_captures"] == true).count();
    assert_eq!((own.len(), via.len()), (beacons, beacons));
    for row in &via {
        assert_eq!(row.addr(f::SRC_IP), Some([198, 51, 100, 2].into()));
        assert_eq!((row.addr(f::VIA_HOST), row.text(f::VIA_METHOD)), (Some([10, 8, 21, 5].into()), Some("log")));
        assert_eq!(Match::via(row), Some(Match::Translated));
        let proof: RecordId = row.text(f::VIA_EVIDENCE).unwrap().parse().unwrap();
        let proof = ALL.engine.record(proof).unwrap().unwrap();
        assert!(proof.kind == Kind::Fw && proof.get(f::NAT_SRC_PORT) == row.get(f::SRC_PORT), "{proof:?}");
    }
    assert_eq!(ALL.count("kind = flow and host = 10.8.21.5 and dst.ip = 203.0.113.9"), 2 * beacons as u64);
    let beacon = "kind = flow and host = 10.8.21.5 and dst.ip = 203.0.113.9";
    let counts = ["not exists via", "exists via", "via = nat"].map(|side| ALL.count(&format!("{beacon} and {side}")) as usize);
    assert_eq!(counts, [beacons; 3]);
    // Sums are of what names the host: both sides of one connection would count twice.
    let sum = |text: &str| ALL.sum(text, "bytes");
    assert_eq!(
        sum("kind = flow and host = 10.8.21.5 and dst.ip = 203.0.113.9"),
        own.iter().map(|r| r.value(f::BYTES).and_then(|v| v.as_uint()).unwrap()).sum::<u64>()
    );
    // Without any log the captures alone say so, and that it was inferred.
    let inferred = CAPTURES.rows("kind = flow and host = 10.8.21.5 and dst.ip = 203.0.113.9");
    let via: Vec<&Record> = inferred.iter().filter(|r| r.text(f::VIA_METHOD) == Some("infer")).collect();
    assert_eq!(via.len(), beacons);
    assert!(via.iter().all(|r| matches!(Match::via(r), Some(Match::Inferred(sure)) if sure >= 0.9)));
}

#[test]
fn what_is_seen_outside_opens_the_host_inside_and_back() {
    let cancel = Cancel::default();
    for truth in TRUTH.iter().filter(|t| t["in_captures"] == true).step_by(7) {
        let text = |key: &str| truth[key].as_str().unwrap();
        let (outside, peer, inside) = (end(text("outside")), end(text("peer")), end(text("inside")));
        let of = |record: &Record, end: &End| {
            let port = |f| record.uint(f).and_then(|p| u16::try_from(p).ok());
            [(f::SRC_IP, f::SRC_PORT), (f::DST_IP, f::DST_PORT)]
                .iter()
                .any(|(ip, p)| record.addr(*ip).is_some_and(|ip| End::new(ip, port(*p)) == *end))
        };
        let rows = ALL.rows(&format!(
            "kind = flow and host = {} and port = {} and host = {}",
            outside.ip,
            outside.port.unwrap(),
            peer.ip
        ));
        let seen = rows.iter().find(|r| of(r, &outside) && of(r, &peer)).unwrap_or_else(|| panic!("{truth}"));
        let links = ALL.engine.links(seen, &cancel).unwrap();
        let here =
            links.iter().find(|l| l.record.kind == Kind::Flow && of(&l.record, &inside)).unwrap_or_else(|| panic!("{truth}"));
        assert_eq!((here.method.as_ref(), here.quality), ("nat", Match::Translated), "{truth}");
        assert!(here.via.as_ref().is_some_and(|v| v.method == "log" && !v.evidence.is_empty()));
        let back = ALL.engine.links(&here.record, &cancel).unwrap();
        assert!(back.iter().any(|l| l.record.id == seen.id && l.method == "nat"), "{truth}");
        let wrong = links.iter().filter(|l| l.record.kind == Kind::Flow && l.method == "nat" && !of(&l.record, &inside)).count();
        assert_eq!(wrong, 0, "{truth}");
    }
}

#[test]
fn without_a_port_one_of_many_hosts_is_behind_the_gateway() {
    let gateway: IpAddr = [198, 51, 100, 2].into();
    let time = Time::parse("2026-11-19T09:45:00Z").unwrap();
    let all = bound(&ALL, asked(End::new(gateway, None), None, Window::around(time, 60_000_000_000)));
    assert!(all.behind.len() > 1 && all.behind.iter().all(|b| b.confidence < 0.9), "{:?}", all.behind);
    let truth = TRUTH.iter().find(|t| t["tag"] == "printer-exposed" && t["in_captures"] == true).unwrap();
    let one = bound(&ALL, asked(end(truth["outside"].as_str().unwrap()), None, window(truth)));
    assert_eq!(one.behind.iter().map(|b| Value::Addr(b.host).to_string()).collect::<Vec<_>>(), ["10.8.50.10"]);
}

/// `backtrail links ...` over files of the story: standard output and error.
fn program(args: &[&str]) -> (String, String) {
    let home = tempfile::tempdir().unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_backtrail"));
    command.env_clear().env("HOME", home.path()).env("TMPDIR", home.path()).current_dir(home.path()).args(args);
    let ran = command.output().unwrap();
    assert!(ran.status.success(), "{args:?}: {}", String::from_utf8_lossy(&ran.stderr));
    (String::from_utf8(ran.stdout).unwrap(), String::from_utf8(ran.stderr).unwrap())
}

#[test]
fn the_program_prints_who_an_outside_end_was_and_what_proves_it() {
    let table = story("conntrack.log.gz").display().to_string();
    let truth = TRUTH.iter().find(|t| t["tag"] == "download").unwrap();
    let (outside, inside) = (truth["outside"].as_str().unwrap(), truth["inside"].as_str().unwrap());
    let (out, _) = program(&["links", outside, "--window", "around 2026-11-17T08:03:42Z 2s", "-o", "jsonl", "-r", &table]);
    let rows: Vec<Json> = out.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let binding = &rows[0];
    assert_eq!((rows.len(), &binding["schema"]), (2, &Json::from("backtrail.link/1")), "{out}");
    assert_eq!((binding["inside"].as_str(), binding["method"].as_str()), (Some(inside), Some("log")));
    assert!(binding["confidence"].as_f64().unwrap() >= 0.95 && binding["evidence"].as_array().unwrap().len() == 2);
    assert_eq!(
        (&rows[1]["decided"], &rows[1]["hosts"][0]["host"]),
        (&Json::from(true), &Json::from(&inside[..inside.find(':').unwrap()]))
    );
    let (out, err) = program(&["links", "198.51.100.2", "-n", "3", "-r", &table]);
    assert!(out.lines().count() == 4 && out.contains("inside") && out.contains("napt"), "{out}");
    assert!(err.contains("hosts, port needed to decide") && err.contains("more translations than the 3 shown"), "{err}");
    let (out, err) = program(&["links", "10.99.99.99", "-r", &table]);
    assert!(out.lines().count() <= 1 && err.contains("no translation of this end is known"), "{out}{err}");
}
