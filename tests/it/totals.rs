//! Several sources that saw the same connections: one row each, one sighting counted, and the totals of the capture alone.

use crate::story::{Case, story};
use backtrail::model::field as f;
use backtrail::model::{Kind, Time};
use backtrail::query::engine::Cancel;
use backtrail::query::{Engine, Question};
use std::collections::BTreeSet;
use std::io::{Read, Write};

/// The rows of the story's conn.log that begin in the windows of the capture: its exact conn.log.
fn conn_of_the_capture(out: &mut dyn Write) -> u64 {
    let windows = [
        ("2026-11-17T07:59:00Z", "2026-11-17T08:12:00Z"),
        ("2026-11-19T08:56:00Z", "2026-11-19T09:24:00Z"),
        ("2026-11-19T09:41:00Z", "2026-11-19T09:55:00Z"),
    ]
    .map(|(from, to)| [from, to].map(|t| Time::parse(t).unwrap()));
    let mut rows = 0;
    let mut begun: Vec<(Time, Vec<String>)> = Vec::new();
    for (day, header) in [("17", true), ("19", false)] {
        let file = std::fs::File::open(story(&format!("zeek/conn.2026-11-{day}.log.gz"))).unwrap();
        let mut text = String::new();
        flate2::read::MultiGzDecoder::new(file).read_to_string(&mut text).unwrap();
        for line in text.lines() {
            if line.starts_with('#') {
                if header && !line.starts_with("#close") {
                    writeln!(out, "{line}").unwrap();
                }
                continue;
            }
            let at = Time::parse(line.split('\t').next().unwrap()).unwrap();
            // The second half of an attempt that was split belongs to the capture even where it begins after the window.
            let ends: Vec<String> = line.split('\t').skip(2).take(4).map(str::to_owned).collect();
            let inside = windows.iter().any(|[from, to]| at >= *from && at < *to);
            let again = |(last, of): &(Time, Vec<String>)| *of == ends && at.since(*last) < 20_000_000_000;
            if inside || line.contains("\tS0\t") && begun.iter().any(again) {
                begun.push((at, ends));
                writeln!(out, "{line}").unwrap();
                rows += 1;
            }
        }
    }
    rows
}

const BY: [&str; 5] = [
    "kind = flow | sum bytes.out by proto, dst.ip, dst.port",
    "kind = flow | sum bytes.in by proto, dst.ip, dst.port",
    "kind = flow | sum packets by src.ip",
    "kind = flow | sum payload by app",
    "kind = flow | count by state",
];

#[test]
fn a_capture_with_its_own_conn_log_and_eve_has_the_totals_of_the_capture_alone() {
    let alone = Case::of(&["inside.pcapng"]);
    let all = Case::new();
    let mut conn = std::fs::File::create(all.path("conn.log")).unwrap();
    let rows = conn_of_the_capture(&mut conn);
    drop(conn);
    all.ingest(&[story("inside.pcapng"), all.path("conn.log"), story("eve.json.gz")]);
    let flows = alone.count("kind = flow");
    assert_eq!(rows, flows, "the log is the capture's");
    assert_eq!(all.count("kind = flow"), flows);
    for question in BY {
        assert_eq!(all.table(question), alone.table(question), "{question}");
    }

    // The totals name whose counters they took; a capture is trusted before a log.
    let cancel = Cancel::default();
    let name = |id: &backtrail::model::SourceId| all.engine.source_name(*id);
    let table = all.engine.table(&all.engine.compile(BY[0]).unwrap(), &cancel).unwrap();
    let counted: BTreeSet<String> = table.counted.iter().map(name).collect();
    assert_eq!(counted, ["pcap:inside/eth1", "pcap:inside/eth2"].map(str::to_owned).into());
    let table = alone.engine.table(&alone.engine.compile(BY[0]).unwrap(), &cancel).unwrap();
    assert_eq!(table.counted, []);

    // Each row names its other witnesses.
    let mut seen_by_all = 0;
    for flow in all.rows("kind = flow and state = SF") {
        let others: BTreeSet<String> = flow.seen_by.iter().map(name).collect();
        assert!(all.source(&flow).starts_with("pcap:inside/"), "{flow:?}");
        assert_eq!(others, ["conn", "eve"].map(str::to_owned).into(), "{flow:?}");
        seen_by_all += 1;
    }
    assert!(seen_by_all > 800);

    // And each sighting can be shown.
    let mut question = all.engine.compile("kind = flow").unwrap();
    question.every_sighting = true;
    let counts = all.engine.counts(&[question.clone()], u64::MAX, &cancel).unwrap();
    assert_eq!(counts[0].n, flows + rows + 1034);
    let one = "src.ip = 10.8.21.5 and src.port = 65452 and kind = flow";
    let every = Question { every_sighting: true, ..all.engine.compile(one).unwrap() };
    let mut bytes = Vec::new();
    let each = &mut |r: backtrail::model::Record| {
        assert_eq!(r.kind, Kind::Flow);
        bytes.push((all.source(&r), r.uint(f::BYTES_IN)));
        true
    };
    all.engine.select(&every, &Default::default(), &cancel, each).unwrap();
    bytes.sort();
    // EVE counts link-layer bytes: those are other fields.
    let wanted = [("conn", Some(42_726)), ("eve", None), ("pcap:inside/eth1", Some(42_726))];
    assert_eq!(bytes, wanted.map(|(name, n)| (name.to_owned(), n)));
    assert_eq!(all.rows(one).len(), 1);
}

#[test]
fn the_order_of_import_does_not_change_what_is_counted() {
    let one = Case::new();
    let mut conn = std::fs::File::create(one.path("conn.log")).unwrap();
    conn_of_the_capture(&mut conn);
    drop(conn);
    one.ingest(&[story("eve.json.gz")]);
    one.ingest(&[one.path("conn.log")]);
    // Without the capture the log is counted, and what the detector alone ended otherwise is still one row.
    let by_log = one.table(BY[0]);
    one.ingest(&[story("inside.pcapng")]);
    assert_eq!(one.table(BY[0]), by_log);
    assert!(one.rows("kind = flow and state = SF").iter().all(|r| one.source(r).starts_with("pcap:inside/")));
}
