//! A person's word on a link, and why two records are linked: here and through the socket, in questions and in the program.

use crate::story::{Case, story};
use backtrail::links::by_hand;
use backtrail::model::Kind;
use backtrail::model::decision::What;
use backtrail::query::Engine;
use backtrail::query::engine::{Cancel, Match};
use serde_json::Value as Json;
use std::path::Path;

#[test]
fn what_is_accepted_or_rejected_holds_for_every_question_until_it_is_taken_back() {
    let case = Case::of(&["eve.json.gz", "inside.pcapng"]);
    let cancel = Cancel::default();
    let alert = case.rows("kind = alert and signature.id = 2028401").remove(0);
    let before = case.engine.linked(&alert, &cancel).unwrap();
    let exact = |l: &&backtrail::query::engine::Link| l.record.kind == Kind::Flow && l.quality == Match::Exact;
    let flow = before.links.iter().filter(exact).find(|l| l.method == "community_id").unwrap();
    let (flow, method) = (flow.record.clone(), flow.method.clone());

    let why = case.engine.why(&alert, flow.id, &cancel).unwrap().unwrap();
    assert!(why.reasons.iter().any(|r| r.contains("Community ID 1:")), "{:?}", why.reasons);
    assert_eq!((why.apart, why.clocks.len()), (0, 2));
    assert!(!why.runner_words.is_empty());

    case.decide(by_hand::judged(alert.id, flow.id, false, "another session of the same port"));
    let after = case.engine.linked(&alert, &cancel).unwrap();
    assert!(after.links.iter().all(|l| l.record.id != flow.id));
    let [gone] = &after.rejected[..] else { panic!("{:?}", after.rejected) };
    assert_eq!((gone.record.id, &*gone.method), (flow.id, "rejected"));
    let word = gone.hand.clone().unwrap();
    assert_eq!((word.accepted, word.who.as_str(), word.reason.as_str()), (false, "ana", "another session of the same port"));
    assert!(case.engine.links(&flow, &cancel).unwrap().iter().all(|l| l.record.id != alert.id), "from the other side too");
    let why = case.engine.why(&alert, flow.id, &cancel).unwrap().unwrap();
    assert!(why.reasons[0].contains("not one thing"), "{:?}", why.reasons);

    case.decide(What::Remove { id: word.decision });
    assert_eq!(case.engine.linked(&alert, &cancel).unwrap(), before);

    // What nothing joins: two flows that have no end in common.
    let host = flow.addr(backtrail::model::field::DST_IP).unwrap();
    let far = case.rows(&format!("kind = flow and not host = {host}")).remove(0);
    assert_eq!(case.engine.why(&alert, far.id, &cancel).unwrap(), None);
    case.decide(by_hand::judged(far.id, alert.id, true, "the ticket says so"));
    let pinned = case.engine.linked(&alert, &cancel).unwrap();
    let link = pinned.links.iter().find(|l| l.record.id == far.id).unwrap();
    assert_eq!((&*link.method, link.quality), ("pinned", Match::ByHand));
    // What was found anyway keeps its method, and says who vouches for it.
    case.decide(by_hand::judged(alert.id, flow.id, true, "checked in the packets"));
    let linked = case.engine.linked(&alert, &cancel).unwrap();
    let link = linked.links.iter().find(|l| l.record.id == flow.id).unwrap();
    assert_eq!((&link.method, link.quality), (&method, Match::ByHand));
}

/// `backtrail ARGS` on a case: status, standard output and error.
fn program(home: &Path, args: &[&str]) -> (bool, String, String) {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_backtrail"));
    command.env_clear().env("HOME", home).env("TMPDIR", home).env("BACKTRAIL_USER", "ana").current_dir(home);
    let ran = command.args(["--case", "case"]).args(args).output().unwrap();
    let text = |b: Vec<u8>| String::from_utf8(b).unwrap();
    (ran.status.success(), text(ran.stdout), text(ran.stderr))
}

#[test]
fn the_program_explains_judges_and_forgets() {
    let home = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| program(home.path(), args);
    let ingested = run(&["ingest", &story("eve.json.gz").display().to_string(), &story("inside.pcapng").display().to_string()]);
    assert!(ingested.0, "{}", ingested.2);
    let (_, out, _) = run(&["alerts", "signature.id = 2028401", "-n", "1", "-o", "jsonl"]);
    let row: Json = serde_json::from_str(out.lines().next().unwrap()).unwrap();
    let alert = row["id"].as_str().unwrap().to_owned();
    let rows = |args: &[&str]| -> Vec<Json> {
        let (ok, out, err) = run(args);
        assert!(ok, "{err}");
        out.lines().map(|l| serde_json::from_str(l).unwrap()).collect()
    };
    let links = rows(&["links", &alert, "-o", "jsonl"]);
    let joined = |l: &&Json| l["kind"] == "flow" && l["method"] == "community_id";
    let flow = links.iter().find(joined).unwrap()["id"].as_str().unwrap().to_owned();

    let why = &rows(&["links", &alert, "--why", &flow, "-o", "jsonl"])[0];
    assert_eq!((why["what"].as_str(), why["schema"].as_str()), (Some("why"), Some("backtrail.link/1")));
    assert!(why["reasons"].as_array().unwrap().len() >= 2, "{why}");
    let (_, out, _) = run(&["links", &alert, "--why", &flow]);
    assert!(out.contains("why        both state tcp") && out.contains("runner-up") && out.contains("clock "), "{out}");

    let (ok, _, err) = run(&["links", &alert, "--reject", &flow]);
    assert!(!ok && err.contains("--because"), "{err}");
    let (ok, _, err) = run(&["links", &alert, "--reject", &flow, "--because", " "]);
    assert!(!ok && err.contains("why?"), "{err}");
    let (ok, _, err) = run(&["links", &alert, "--accept", &alert, "--because", "x"]);
    assert!(!ok && err.contains("itself"), "{err}");
    let (ok, _, err) = run(&["links", &alert, "--forget", &flow]);
    assert!(!ok && err.contains("nobody said"), "{err}");
    let (ok, out, err) = run(&["links", &alert, "--reject", &flow, "--because", "wrong port"]);
    assert!(ok && !out.contains(&flow) && err.contains("1 left out: rejected by hand"), "{out}{err}");
    let now = rows(&["links", &alert, "-o", "jsonl"]);
    let gone = now.iter().find(|l| l["id"] == flow.as_str()).unwrap();
    assert_eq!((gone["method"].as_str(), gone["by_hand"]["because"].as_str()), (Some("rejected"), Some("wrong port")));
    assert_eq!((gone["by_hand"]["accepted"].as_bool(), gone["by_hand"]["who"].as_str()), (Some(false), Some("ana")));
    assert!(run(&["links", &alert, "--forget", &flow]).0);
    assert_eq!(rows(&["links", &alert, "-o", "jsonl"]), links);
    let (ok, out, _) = run(&["links", &alert, "--accept", &flow, "--because", "checked"]);
    assert!(ok && out.contains("by hand") && out.contains("ana: checked"), "{out}");
}

#[test]
fn clocks_are_compared_when_asked_and_a_wrong_name_is_said() {
    let home = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| program(home.path(), args);
    let files = [story("squid-access.log"), story("inside.pcapng")].map(|p| p.display().to_string());
    assert!(run(&["ingest", &files[0], &files[1]]).0);
    let (ok, out, err) = run(&["sources", "measure", "squid-access"]);
    assert!(ok && out.starts_with("squid-access: -7h37s (a zone of -7h and -37s), corrected,"), "{out}{err}");
    let (ok, out, _) = run(&["sources", "measure", "-o", "jsonl"]);
    let rows: Vec<Json> = out.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert!(ok && rows.len() >= 2 && rows.iter().all(|r| r["schema"] == "backtrail.source/1"), "{out}");
    let squid = rows.iter().find(|r| r["source"] == "squid-access").unwrap();
    assert!((squid["clock.shift"].as_f64().unwrap() - 25_237.0).abs() < 1.0, "{squid}");
    let (ok, _, err) = run(&["sources", "measure", "squid-acces"]);
    assert!(!ok && err.contains("did you mean `squid-access`?"), "{err}");
}

#[test]
fn the_client_that_a_proxy_names_is_a_binding_of_one_s_own_proxy_and_a_claim_from_outside() {
    let case = Case::new();
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("sample-data/protocols/proxy_protocol.pcap");
    case.ingest(&[sample]);
    // The stream behind the header is read, in the same segment too.
    let urls = case.rows("kind = http and http.uri = \"/shop\"");
    assert_eq!(urls.len(), 3);
    assert_eq!(case.count("kind = flow and app ~ /http,proxy_protocol/"), 4);
    assert_eq!(case.count("forwarded.src.ip = 203.0.113.44 and name = shop.example"), 1);
    assert_eq!(case.count("oddity = proxy_protocol_malformed"), 1);
    // Asked for a client, the connections that the proxy opened for it are found; what anybody from outside claims is not.
    let flows = case.rows("kind = flow and host = 203.0.113.7");
    assert_eq!(flows.len(), 1, "{flows:?}");
    assert_eq!(flows[0].uint(backtrail::model::field::SRC_PORT), Some(41_001));
    assert_eq!(case.count("kind = flow and host = 10.8.21.5"), 0);
    let claimed = case.rows("kind = flow and src.ip = 192.0.2.66 and src.port = 40000").remove(0);
    let links = case.engine.links(&claimed, &Cancel::default()).unwrap();
    let vias: Vec<_> = links.iter().filter_map(|l| l.via.as_ref()).collect();
    assert!(vias.iter().all(|v| v.method == "claim" && v.confidence < 0.5), "{vias:?}");
}

/// A capture of an address that calls one peer after another, once a second for fifteen minutes: SYNs of that many hosts, each with its own counter and
/// clock for all that it sends.
fn masqueraded(hosts: u32) -> Vec<u8> {
    let mut out = Vec::new();
    for word in [0xa1b2_c3d4u32, 0x0004_0002, 0, 0, 65_535, 101] {
        out.extend(word.to_le_bytes());
    }
    for second in 0..900u32 {
        for host in 0..hosts {
            let id = (7_000 + 30_000 * host + second) as u16;
            let ticks = 900_000_000u32.wrapping_mul(host + 1).wrapping_add(second * 1_000);
            let mut packet = vec![0x45, 0, 0, 60];
            packet.extend(id.to_be_bytes());
            packet.extend([0x40, 0, 57, 6, 0, 0, 198, 51, 100, 9, 203, 0, 113, ((second + 5 * host) % 12) as u8 + 1]);
            packet.extend(((20_000 + second * hosts + host) as u16).to_be_bytes());
            packet.extend([1, 187]);
            packet.extend((second * 77 + host).to_be_bytes());
            packet.extend([0, 0, 0, 0, 0xa0, 2, 0xfa, 0xf0, 0, 0, 0, 0, 2, 4, 5, 0xb4, 4, 2, 8, 10]);
            packet.extend(ticks.to_be_bytes());
            packet.extend([0, 0, 0, 0, 1, 3, 3, 7]);
            for word in [1_763_600_000 + second, 1_000 * host, 60, 60] {
                out.extend(word.to_le_bytes());
            }
            out.extend(packet);
        }
    }
    out
}

#[test]
fn hosts_behind_an_address_are_counted_by_the_packets_that_it_sent() {
    let home = tempfile::tempdir().unwrap();
    for hosts in [1u32, 3] {
        let file = home.path().join(format!("{hosts}.pcap"));
        std::fs::write(&file, masqueraded(hosts)).unwrap();
        let (ok, out, err) = program(home.path(), &["links", "198.51.100.9", "-o", "jsonl", "-r", file.to_str().unwrap()]);
        assert!(ok, "{err}");
        let rows: Vec<Json> = out.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        if hosts == 1 {
            assert!(rows.is_empty() && !err.contains("at least"), "{out} {err}");
            continue;
        }
        let by = &rows[0]["at_least.by"];
        assert_eq!((&rows[0]["at_least"], &by["identifications"], &by["timestamps"]), (&3.into(), &3.into(), &3.into()), "{out}");
        assert_eq!(by["packets"], 2_700, "{out}");
        assert!(err.contains("at least 3 hosts at once by IP identifications of 2700 packets"), "{err}");
    }
    // One end of a connection is one host.
    let file = home.path().join("3.pcap");
    let (_, out, _) = program(home.path(), &["links", "198.51.100.9:20001", "-o", "jsonl", "-r", file.to_str().unwrap()]);
    assert!(out.is_empty(), "{out}");
}
