//! What is said of hosts by hand, and of sources: when they have records, what was not understood; devices of several kinds in one syslog.

use crate::cli::{Ran, program};
use tempfile::TempDir;

/// Answers of the program over a case of some files.
fn case(files: &[(&str, &str)]) -> (TempDir, impl Fn(&[&str]) -> Ran + use<>) {
    let home = TempDir::new().unwrap();
    let at = home.path().to_owned();
    let run = move |args: &[&str]| Ran::of(program(&at).args(["--case", "c"]).args(args).output().unwrap());
    for (name, text) in files {
        std::fs::write(home.path().join(name), text).unwrap();
        run(&["ingest", name]);
    }
    (home, run)
}

const LINES: &str = "<134>1 2026-11-20T08:12:01Z gw kernel - - - DROP IN=eth0 OUT=eth1 SRC=203.0.113.84 DST=192.0.2.95 LEN=60 PROTO=UDP SPT=53 DPT=33000 LEN=40\n\
<190>1 2026-11-20T08:12:02Z web1 nginx - - - 192.0.2.10 - alice [20/Nov/2026:08:12:02 +0000] \"GET /login.php?id=1 HTTP/1.1\" 200 512 \"-\" \"curl/8.0\"\n\
<134>1 2026-11-20T08:12:03Z ns1 named 5 - - 20-Nov-2026 08:12:03.100 client 192.0.2.96#40000: UDP: query: bad.example.com IN A response: NOERROR A bad.example.com. 60 IN A 203.0.113.85;\n\
<134>1 2026-11-20T12:12:03Z ns1 su - - - nothing special\n";

#[test]
fn what_is_said_of_a_host_by_hand_is_a_field_of_its_records_and_a_column_until_it_is_taken_back() {
    let (_home, case) = case(&[("a.log", LINES)]);
    let critical = || case(&["query", "criticality = critical", "-o", "jsonl"]).rows();
    assert!(critical().is_empty());
    case(&["inventory", "set", "192.0.2.95", "criticality", "critical"]).ok();
    case(&["inventory", "set", "192.0.2.95", "mission", "the", "shop"]).ok();
    let rows = critical();
    assert_eq!(rows.len(), 1);
    assert_eq!((&rows[0]["criticality"], &rows[0]["mission"]), (&"critical".into(), &"the shop".into()));
    let counted = case(&["query", "| count by criticality", "-o", "jsonl"]).ok();
    assert!(counted.contains("critical"), "{counted}");
    assert!(case(&["inventory", "set", "192.0.2.95", "owner", "x"]).failed().contains("cannot be set by hand"));
    let said = case(&["inventory", "-o", "jsonl"]).rows();
    assert_eq!(said.len(), 2);
    assert_eq!((&said[1]["host"], &said[1]["value"]), (&"192.0.2.95".into(), &"critical".into()));
    case(&["inventory", "remove", "192.0.2.95", "criticality"]).ok();
    assert!(critical().is_empty());
    assert!(case(&["inventory", "remove", "192.0.2.95", "criticality"]).failed().contains("nothing was said"));
}

#[test]
fn sources_say_when_they_have_records_and_what_was_not_understood_with_its_first_lines() {
    let broken = "{\"time\":\"2026-11-20T08:00:00Z\",\"msg\":\"one\"}\n{\"time\":\"2026-11-20T08:00:01Z\",\"msg\":\"two\"}\n{\"time\":\"2026-11-20T08:00:02Z\", broken\n{\"time\":\"2026-11-20T20:00:00Z\",\"msg\":\"three\"}\n";
    let (_home, case) = case(&[("app.json", broken)]);
    let row = case(&["sources", "-o", "jsonl"]).rows().into_iter().find(|r| r["failed"] == 1).expect("a source that failed once");
    let bins = row["coverage"]["records"].as_array().expect("a strip");
    assert!(bins.first().unwrap().as_u64() > Some(0) && bins.last().unwrap().as_u64() > Some(0), "{row}");
    assert!(bins.iter().filter(|n| **n == 0).count() > bins.len() / 2, "{row}");
    assert_eq!(row["why"][0]["count"], 1, "{row}");
    assert!(row["why"][0]["first"][0]["text"].as_str().unwrap().contains("broken"), "{row}");
    let table = case(&["sources"]).ok();
    assert!(
        table.contains("coverage") && table.contains("....") && table.contains("such as") && table.contains("broken"),
        "{table}"
    );
}

#[test]
fn web_servers_and_name_servers_that_write_into_one_syslog_are_read_as_what_they_are() {
    let (_home, case) = case(&[("a.log", LINES)]);
    let web = case(&["query", "kind = http", "-o", "jsonl"]).rows();
    assert_eq!(
        (&web[0]["src.ip"], &web[0]["http.uri"], &web[0]["user"]),
        (&"192.0.2.10".into(), &"/login.php?id=1".into(), &"alice".into())
    );
    let dns = case(&["dns", "-o", "jsonl"]).rows();
    assert_eq!(
        (&dns[0]["action"], &dns[0]["dns.rcode"], &dns[0]["proto"]),
        (&"answered".into(), &"NOERROR".into(), &"udp".into())
    );
    assert!(dns[0].to_string().contains("203.0.113.85"), "{}", dns[0]);
}
