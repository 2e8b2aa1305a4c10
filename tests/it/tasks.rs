//! What a responder is asked to do, in at most fifteen keys each (what is typed as text not counted), on the sample incident. The answers are
//! those of `truth.json`.

use crate::desk::{Desk, put};
use crate::story::TRUTH;
use backtrail::query::Engine;
use backtrail::query::engine::Cancel;
use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// Most keys of a task.
const KEYS: usize = 15;

/// A task: what is wanted, and the keys that bring it, in parts. A text in `«»` is typed; words in capitals in it stand for what differs.
pub struct Task {
    pub wanted: &'static str,
    pub keys: &'static [&'static str],
}

/// The tasks, in the order of the tests; README.md shows them.
pub const TASKS: &[Task] = &[
    Task {
        wanted: "take in a mixed bag, and set one wrong zone right",
        keys: &[": «ingest FOLDER» <enter>", "s e z <ctrl-u> «Europe/Berlin» <enter>"],
    },
    Task {
        wanted: "review 5,000 alerts to those that matter",
        keys: &["R / «severity in {low, medium}» <enter>", "* v <enter> <enter> «seen every day» <enter> \\"],
    },
    Task { wanted: "find patient zero", keys: &["j <enter> <enter> 1"] },
    Task { wanted: "look for the indicators of a report, and who could have seen them", keys: &["I «FILE» <enter>"] },
    Task {
        wanted: "who else behaves so, and how common is that here",
        keys: &["f j", "<ctrl-f> «rare_client» <enter>", ": «query ja4 = JA4 and name = NAME | count by src.ip» <enter>"],
    },
    Task {
        wanted: "a host ten minutes either side, over all sources",
        keys: &[": «focus HOST» <enter> a w «around TIME 10m» <enter>"],
    },
    Task { wanted: "from an outside address and port to what is known inside", keys: &[": «focus ADDRESS:PORT» <enter> L"] },
    Task {
        wanted: "what left, to whom, when, counted once",
        keys: &[
            "f <ctrl-f> «exfiltration» <enter>",
            ": «query kind = flow and src.ip = HOST and dst.ip = PEER | sum bytes.out» <enter>",
        ],
    },
    Task {
        wanted: "carve and hash the file",
        keys: &[": «query kind = file and file.name contains Invoice_7731» <enter> : «extract FOLDER» <enter>"],
    },
    Task { wanted: "why was the web server down", keys: &["f <ctrl-f> «outage» <enter> P <enter>"] },
    Task {
        wanted: "is this service authorised",
        keys: &["f <ctrl-f> «10.8.50.10» <enter>", "<ctrl-f> «unauthorised_service» <enter>"],
    },
    Task {
        wanted: "nobody else called it, and who could have seen that; then report and hand over",
        keys: &[
            ": «query kind = flow and host = PEER and not host = HOST and not host = GATEWAY» <enter>",
            "b <enter> : «report FILE» <enter>",
            ": «handover FOLDER» <enter>",
        ],
    },
];

/// The tasks as README.md shows them.
pub fn table() -> String {
    let mut out = String::from("| wanted | keys |\n|---|---|\n");
    for task in TASKS {
        let mut shown = Vec::new();
        let mut rest = task.keys.join(" ");
        while let Some(at) = rest.find('«') {
            shown.extend(rest[..at].split_whitespace().map(|k| format!("`{}`", k.trim_matches(['<', '>']))));
            let end = rest.find('»').unwrap();
            shown.push(format!("*{}*", rest[at + '«'.len_utf8()..end].replace('|', "\\|")));
            rest = rest[end + '»'.len_utf8()..].to_owned();
        }
        shown.extend(rest.split_whitespace().map(|k| format!("`{}`", k.trim_matches(['<', '>']))));
        writeln!(out, "| {} | {} |", task.wanted, shown.join(" ")).unwrap();
    }
    out
}

/// Keys of a task, a part of them, with what the words in capitals stand for.
fn part(task: usize, part: usize, words: &[(&str, &str)]) -> String {
    words.iter().fold(TASKS[task].keys[part].to_owned(), |text, (word, is)| {
        assert!(text.contains(word), "{text} has no {word}");
        text.replace(word, is)
    })
}

fn truth(pointer: &str) -> &'static Json {
    TRUTH.pointer(pointer).unwrap_or_else(|| panic!("no {pointer} in truth.json"))
}

fn word(pointer: &str) -> &'static str {
    truth(pointer).as_str().unwrap_or_else(|| panic!("{pointer} is no text"))
}

fn count(desk: &Desk, text: &str) -> u64 {
    let question = desk.engine.compile(text).unwrap_or_else(|e| panic!("{text}: {e}"));
    desk.engine.counts(&[question], u64::MAX, &Cancel::default()).unwrap()[0].n
}

/// Does a task, and looks for what its answer must show.
fn done(desk: &mut Desk, script: &str, shown: &[&str]) -> String {
    let screen = desk.keys(script);
    println!("{script}\n{screen}");
    for text in shown {
        assert!(screen.contains(text), "{script}: no `{text}` in\n{screen}");
    }
    assert!(desk.pressed <= KEYS, "{script}: {} keys", desk.pressed);
    screen
}

#[test]
fn a_mixed_bag_is_taken_in_and_its_wrong_zone_is_set_right() {
    let mut desk = Desk::empty();
    let bag = desk.path("bag");
    ["gateway-kern.log", "www-access.log", "inventory.csv", "README.md", "nmap.xml"].iter().for_each(|n| put(n, &bag));
    let drops = "kind = fw and rule = DROP-EMERG-WEB-LOCK and between 2026-11-19T09:20Z and 2026-11-19T10:10Z";
    let bag = bag.display().to_string();
    let said = done(&mut desk, &part(0, 0, &[("FOLDER", &bag)]), &["5 files", "not or partly read: ", "README.md"]);
    assert!(said.contains("new records"), "{said}");
    assert_eq!(count(&desk, drops), 0, "read as UTC they are an hour late");
    done(&mut desk, &part(0, 1, &[]), &["gw1", "Europe/Berlin"]);
    assert_eq!(count(&desk, drops), truth("/outage/drop_lines").as_u64().unwrap());
}

#[test]
fn five_thousand_alerts_are_reviewed_to_those_that_matter() {
    let mut desk = Desk::story();
    let noise = desk.path("noise.json");
    let mut lines = String::new();
    for n in 0..4_905u64 {
        let alert = json!({"signature": format!("ET INFO Noise of kind {}", n % 23), "signature_id": 2_900_000 + n % 23, "severity": 3,
            "gid": 1, "rev": 1, "category": "Misc activity", "action": "allowed"});
        let event = json!({"timestamp": format!("2026-11-1{}T{:02}:{:02}:00.{n:06}+0000", n % 9, n % 24, n % 60), "event_type": "alert",
            "src_ip": format!("10.8.2{}.{}", n % 3, n % 40 + 1), "src_port": 40_000 + n % 9_000, "dest_ip": format!("192.0.2.{}", n % 5 + 1),
            "dest_port": 443, "proto": "TCP", "flow_id": n + 1, "alert": alert});
        writeln!(lines, "{event}").unwrap();
    }
    std::fs::write(&noise, lines).unwrap();
    desk.keys(&format!(": «ingest {}» <enter>", noise.display()));
    desk.pressed = 0;
    assert_eq!(count(&desk, "kind = alert"), 5_000);
    done(&mut desk, &part(1, 0, &[]), &["alerts by groups: severity in"]);
    let left = done(&mut desk, &part(1, 1, &[]), &["alerts by groups"]);
    let open = "kind = alert and not exists verdict";
    assert_eq!(count(&desk, open), count(&desk, "kind = alert and severity in {high, critical}"), "{left}");
    // What is left stands on top.
    let top: Vec<&str> = left.lines().skip(2).take(4).collect();
    assert!(top.iter().any(|l| l.contains("SQL Inj")) && top.iter().any(|l| l.contains("Beacon")), "{left}");
    assert!(top.iter().any(|l| l.contains("PE EXE")), "{left}");
}

#[test]
fn patient_zero_is_found_from_the_first_alert() {
    let mut desk = Desk::story();
    let when = &word("/download/download/start")[11..19];
    done(&mut desk, &part(2, 0, &[]), &[word("/beacon/src"), "jdoe", when, "ET PHISHING DNS", "ET POLICY PE EXE"]);
}

#[test]
fn fifty_indicators_are_looked_for_with_who_could_have_seen_them() {
    let mut desk = Desk::story();
    let mut list = String::new();
    for n in 0..47 {
        writeln!(list, "198.18.7.{n}").unwrap();
    }
    let (address, name) = (word("/beacon/dst"), word("/beacon/sni"));
    writeln!(list, "{address}\n{}\n{}", name.replace('.', "[.]"), word("/download/sha256")).unwrap();
    let file = desk.path("report.txt");
    std::fs::write(&file, list).unwrap();
    let screen =
        done(&mut desk, &part(3, 0, &[("FILE", &file.display().to_string())]), &["none; ", "sources could have seen it", name]);
    let first = screen.lines().find(|l| l.contains(&format!(" {address} "))).unwrap();
    let hits: u64 = first.split_whitespace().find_map(|w| w.trim_start_matches('▸').replace(',', "").parse().ok()).unwrap();
    let records = format!("host = {address} and kind != inventory");
    assert!(hits > 967 && hits <= count(&desk, &records) + 10, "{hits}: {first}");
}

#[test]
fn who_else_behaves_so_and_how_common_that_is() {
    let mut desk = Desk::story();
    let (ja4, sni, n) = (word("/beacon/ja4"), word("/beacon/sni"), truth("/beacon/count").to_string());
    done(&mut desk, &part(4, 0, &[]), &["every 5 min", sni, &format!("{n} connections")]);
    done(&mut desk, &part(4, 1, &[]), &["rare_client", ja4]);
    let screen = done(&mut desk, &part(4, 2, &[("JA4", ja4), ("NAME", sni)]), &[word("/beacon/src")]);
    assert!(screen.contains("groups"), "{screen}");
}

#[test]
fn a_host_is_seen_ten_minutes_either_side_over_all_sources() {
    let mut desk = Desk::story();
    let (host, time) = (word("/beacon/src"), word("/download/download/start"));
    let screen = done(&mut desk, &part(5, 0, &[("HOST", host), ("TIME", time)]), &[host, "Invoice_7731.exe"]);
    let rows = count(&desk, &format!("host = {host} and around {time} 10m"));
    let kinds = ["dns ", "flow ", "http ", "alert ", "fw "];
    assert!(kinds.iter().filter(|k| screen.contains(**k)).count() >= 4, "{screen}");
    assert!(screen.contains(&format!("of {rows} rows")) || screen.contains(&format!("{rows} rows")), "{rows}: {screen}");
}

#[test]
fn from_an_outside_address_and_port_to_what_is_known_inside() {
    let mut desk = Desk::story();
    let nat = truth("/nat").as_array().unwrap().iter().find(|n| n["tag"] == "download").expect("the download is translated");
    let (outside, inside) = (nat["outside"].as_str().unwrap(), nat["inside"].as_str().unwrap());
    done(&mut desk, &part(6, 0, &[("ADDRESS:PORT", outside)]), &[inside, "conntrack"]);
}

#[test]
fn bytes_that_left_to_whom_and_when_counted_once() {
    let mut desk = Desk::story();
    let (src, dst, sum) = (word("/exfiltration/src"), word("/exfiltration/dst"), truth("/exfiltration/bytes_out").to_string());
    done(&mut desk, &part(7, 0, &[]), &["sent 156 MB", dst, word("/exfiltration/sni"), "3 days"]);
    done(&mut desk, &part(7, 1, &[("HOST", src), ("PEER", dst)]), &[&sum]);
}

#[test]
fn the_file_is_carved_and_hashed() {
    let mut desk = Desk::story();
    let to = desk.path("files");
    let script = part(8, 0, &[("FOLDER", &to.display().to_string())]);
    done(&mut desk, &script, &["files, "]);
    let hashes: Vec<String> = std::fs::read_dir(&to)
        .unwrap()
        .map(|e| std::fs::read(e.unwrap().path()).unwrap())
        .map(|bytes| Sha256::digest(&bytes).iter().fold(String::new(), |s, b| s + &format!("{b:02x}")))
        .collect();
    assert!(hashes.iter().any(|h| h == word("/download/sha256")), "{hashes:?}");
}

#[test]
fn why_the_web_server_was_down() {
    let mut desk = Desk::story();
    let clients = truth("/outage/inside_clients");
    let shown = [word("/outage/rule"), &format!("{clients} of the {clients} clients"), "covered by"];
    done(&mut desk, &part(9, 0, &[]), &shown);
}

#[test]
fn whether_a_service_is_authorised() {
    let mut desk = Desk::story();
    done(&mut desk, &part(10, 0, &[]), &["by its inventory a printer", "answers on 80/tcp to 2 outside peers"]);
    done(&mut desk, &part(10, 1, &[]), &["offers a service on 445/tcp", "inventory"]);
}

#[test]
fn that_nobody_else_called_it_is_shown_with_who_could_have_seen_it_then_reported_and_handed_over() {
    let mut desk = Desk::story();
    let (dst, src) = (word("/beacon/dst"), word("/beacon/src"));
    let others = part(11, 0, &[("PEER", dst), ("HOST", src), ("GATEWAY", "198.51.100.2")]);
    done(&mut desk, &others, &["none: these sources cover the window", "conn covers 09 Nov"]);
    let report = desk.path("case.html");
    done(&mut desk, &part(11, 1, &[("FILE", &report.display().to_string())]), &["report written to"]);
    let page = std::fs::read_to_string(&report).unwrap();
    assert!(page.contains("<svg") && page.contains(&format!("host = {dst}")), "the bookmark stands in the report");
    let to = desk.path("handover");
    done(&mut desk, &part(11, 2, &[("FOLDER", &to.display().to_string())]), &["written to"]);
    assert!(to.join("MANIFEST.sha256").is_file() && to.join("handover.md").is_file());
}
