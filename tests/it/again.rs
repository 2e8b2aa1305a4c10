//! Importing again: nothing twice, what grew is taken up where it ended, and bookmarks say what is new.

use crate::story::{Case, story};
use backtrail::case::bookmarks;
use backtrail::ingest::{FileReport, Outcome};
use backtrail::model::decision::What;
use backtrail::query::Engine;
use backtrail::query::engine::Cancel;
use std::path::PathBuf;

fn read(case: &Case, path: &PathBuf) -> FileReport {
    let mut report = case.ingest(std::slice::from_ref(path));
    assert_eq!(report.files.len(), 1);
    report.files.remove(0)
}

fn bookmark(case: &Case, query: &str) {
    case.decide(What::Bookmark {
        title: query.into(),
        query: query.into(),
        lens: String::new(),
        focus: String::new(),
        rows: case.count(query),
        seen: case.engine.sequence(),
        node: None,
    });
}

/// `+n` of every bookmark.
fn news(case: &Case) -> Vec<u64> {
    let kept = bookmarks::list(&case.engine.store().journal().decisions());
    kept.iter().map(|b| bookmarks::changes(b, &case.engine, &Cancel::default()).unwrap()).collect()
}

#[test]
fn a_log_that_grew_adds_what_is_new_and_nothing_else() {
    let text = std::fs::read_to_string(story("gateway-kern.log")).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let case = Case::new();
    let path = case.path("gateway-kern.log");
    let upto = |n: usize| lines[..n].iter().map(|l| format!("{l}\n")).collect::<String>();
    std::fs::write(&path, upto(700)).unwrap();
    let first = read(&case, &path);
    assert_eq!((first.outcome, first.counts.records), (Outcome::Read, 700));
    bookmark(&case, "kind = fw");
    bookmark(&case, "rule = DROP-EMERG-WEB-LOCK");
    assert_eq!(news(&case), [0, 0]);

    let sequence = case.engine.sequence();
    let again = read(&case, &path);
    assert_eq!((again.outcome, again.counts.records), (Outcome::Known, 0));
    assert_eq!((case.count("kind = fw"), case.engine.sequence()), (700, sequence));

    std::fs::write(&path, upto(1_000)).unwrap();
    let grown = read(&case, &path);
    assert_eq!((grown.outcome, grown.counts.records), (Outcome::Grown, 300));
    assert_eq!(case.count("kind = fw"), 1_000);
    let dropped = lines[700..1_000].iter().filter(|l| l.contains("DROP-EMERG-WEB-LOCK")).count() as u64;
    assert_eq!(news(&case), [300, dropped]);

    std::fs::write(&path, &text).unwrap();
    assert_eq!(read(&case, &path).outcome, Outcome::Grown);
    assert_eq!(read(&case, &path).outcome, Outcome::Known);
    assert_eq!(case.count("kind = fw"), lines.len() as u64);
    // The same rows as if it had been read once, each with the bytes of its own line.
    let once = Case::of(&["gateway-kern.log"]);
    let (ours, theirs) = (case.rows("kind = fw"), once.rows("kind = fw"));
    let told = |r: &backtrail::model::Record| (r.start, r.fields.clone());
    assert_eq!(ours.iter().map(told).collect::<Vec<_>>(), theirs.iter().map(told).collect::<Vec<_>>());
    for (record, line) in ours.iter().zip(&lines).step_by(97) {
        assert_eq!(case.engine.raw(record.origin()).unwrap(), backtrail::query::engine::Raw::Bytes(line.as_bytes().to_vec()));
    }
    // Rotated away and read under another name it is still the same evidence.
    let moved = case.path("gateway-kern.log.1");
    std::fs::rename(&path, &moved).unwrap();
    assert_eq!(read(&case, &moved).outcome, Outcome::Known);
}

#[test]
fn a_line_that_was_half_written_is_read_whole_when_it_is_there() {
    let text = std::fs::read(story("gateway-kern.log")).unwrap();
    let case = Case::new();
    let path = case.path("kern.log");
    let half = text.len() / 2;
    assert_ne!(text[half - 1], b'\n');
    std::fs::write(&path, &text[..half]).unwrap();
    read(&case, &path);
    std::fs::write(&path, &text).unwrap();
    read(&case, &path);
    let lines = text.iter().filter(|b| **b == b'\n').count() as u64;
    assert_eq!(case.count("kind = fw"), lines);
    assert_eq!((case.count("kind = log"), case.count("kind = oddity")), (0, 0));
}

/// Where the packets of a pcap begin, and its end.
fn packets(pcap: &[u8]) -> Vec<usize> {
    let mut at = vec![24];
    while let Some(head) = pcap.get(at[at.len() - 1]..).and_then(|rest| rest.get(..16)) {
        let len = u32::from_le_bytes(head[8..12].try_into().unwrap()) as usize;
        at.push(at[at.len() - 1] + 16 + len);
    }
    at
}

#[test]
fn a_capture_that_grew_replaces_its_rows() {
    let whole = std::fs::read(story("outside.pcap")).unwrap();
    let at = packets(&whole);
    let case = Case::new();
    let path = case.path("outside.pcap");
    // Cut in the midst of a packet: a capture that is being written.
    std::fs::write(&path, &whole[..at[at.len() / 2] + 7]).unwrap();
    let first = read(&case, &path);
    assert!(matches!(first.outcome, Outcome::Damaged(_)), "{:?}", first.outcome);
    let flows = case.count("kind = flow");
    bookmark(&case, "kind = flow and dst.port = 25");
    std::fs::write(&path, &whole).unwrap();
    assert_eq!(read(&case, &path).outcome, Outcome::Grown);
    assert_eq!(read(&case, &path).outcome, Outcome::Known);
    let once = Case::of(&["outside.pcap"]);
    assert!(flows < once.count("kind = flow"));
    let told =
        |c: &Case| -> Vec<_> { c.rows("").into_iter().map(|r| (r.kind, r.start, r.end, r.id.offset, r.id.ordinal)).collect() };
    assert_eq!(told(&case), told(&once));
    assert!(news(&case)[0] > 0);
    // Its packets are found where they are now.
    let flow = case.one("kind = flow and dst.ip = 203.0.113.44");
    assert_eq!(
        case.packets(&flow).len() as u64,
        flow.uint(backtrail::model::field::PACKETS_OUT).unwrap() + flow.uint(backtrail::model::field::PACKETS_IN).unwrap()
    );
}
