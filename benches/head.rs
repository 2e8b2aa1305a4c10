//! What the live head costs: publishing 100,000 open flows (the target is 300 ms), and questions over them beside the same rows committed (twice
//! the time at most); and what an hour of parts costs that are written together. `cargo bench --bench head`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use backtrail::model::field as f;
use backtrail::model::source::SourceKey;
use backtrail::model::time::SECOND;
use backtrail::model::{EvidenceKey, Kind, Record, RecordId, Time, Value};
use backtrail::query::engine::{Cancel, Page};
use backtrail::query::known::Known;
use backtrail::query::{Engine, LocalEngine};
use backtrail::store::{Done, NewEvidence, OpenOptions, Reserve, Store};
use std::path::Path;
use std::time::{Duration, Instant};

const ROWS: u64 = 100_000;
const RUNS: usize = 11;

fn evidence() -> NewEvidence {
    NewEvidence { key: EvidenceKey(7), path: "eth0".into(), size: 0, modified: Time(0), head_hash: [0; 32] }
}

fn flow(n: u64, source: backtrail::model::SourceId) -> Record {
    let id = RecordId { evidence: EvidenceKey(7), offset: n * 700, ordinal: 0 };
    let mut r = Record::new(Kind::Flow, id, source, Time(1_790_000_000 * SECOND + n as i64 * 3_000_000));
    r.end = r.start.plus((n % 900) as i64 * 50_000_000);
    r.set(f::SRC_IP, Value::Addr([10, (n % 7) as u8, (n / 7 % 40) as u8, (n % 199) as u8].into()));
    r.set(f::DST_IP, Value::Addr([203, 0, (n % 13 * 17) as u8, (n % 251) as u8].into()));
    r.set(f::SRC_PORT, 1024 + n % 60_000);
    r.set(f::DST_PORT, [443u64, 53, 80, 22, 445][(n % 5) as usize]);
    r.set(f::PROTO, 6u64);
    r.set_text(f::APP, ["tls", "dns", "http", "ssh", "smb"][(n % 5) as usize]);
    r.set_text(f::STATE, "S1");
    r.set_text(f::HISTORY, "ShADad");
    for (id, n) in [
        (f::PACKETS_OUT, n % 40),
        (f::PACKETS_IN, n % 57),
        (f::BYTES_OUT, n * 31 % 90_000),
        (f::BYTES_IN, n * 17 % 900_000),
        (f::PAYLOAD_OUT, n * 29 % 80_000),
        (f::PAYLOAD_IN, n * 13 % 880_000),
    ] {
        r.set(id, n);
    }
    if n.is_multiple_of(3) {
        r.set_text(f::SNI, &format!("host{}.example", n % 4_000));
    }
    r.set(f::OPEN, Value::Bool(true));
    r
}

fn median(mut run: impl FnMut()) -> Duration {
    let mut took: Vec<Duration> = (0..RUNS)
        .map(|_| {
            let begun = Instant::now();
            run();
            begun.elapsed()
        })
        .collect();
    took.sort_unstable();
    took[RUNS / 2]
}

fn engine(dir: &Path) -> (LocalEngine, Vec<Record>) {
    let options = OpenOptions { create: true, ballast: 0, reserve: Reserve { percent: 0, bytes: 0 }, ..OpenOptions::default() };
    let store = Store::open(dir, &options).unwrap();
    let key = SourceKey { format: "pcap".into(), sensor: "eth0".into() };
    let source = store.go_on(&evidence()).unwrap().source(&key, None).unwrap();
    let rows = (0..ROWS).map(|n| flow(n, source)).collect();
    (LocalEngine::new(store, Box::new(Known::default())), rows)
}

/// An hour of parts of five seconds each: what is written of them, and what stays.
fn compaction(dir: &Path) {
    const PARTS: u64 = 720;
    const EACH: u64 = 1_000;
    let (live, rows) = engine(dir);
    let store = live.store();
    let disk = |day: bool| -> u64 {
        let folders = std::fs::read_dir(dir.join("seg")).unwrap().flatten().filter(|d| (d.file_name() != "case") == day);
        let files = folders.flat_map(|d| std::fs::read_dir(d.path()).unwrap().flatten());
        files.map(|f| f.metadata().unwrap().len()).sum()
    };
    let (mut first, mut anew, mut took, mut longest) = (0u64, 0u64, Duration::ZERO, Duration::ZERO);
    for n in 0..PARTS {
        let before = disk(true);
        let mut import = store.go_on(&evidence()).unwrap();
        import.source(&SourceKey { format: "pcap".into(), sensor: "eth0".into() }, None).unwrap();
        for k in 0..EACH {
            let row = &rows[((n * EACH + k) % ROWS) as usize];
            let id = RecordId { offset: (n * EACH + k) * 700, ..row.id };
            let start = row.start.plus(n as i64 * 5 * SECOND);
            import.push(Record { id, start, end: start.plus(SECOND), ..row.clone() }).unwrap();
        }
        import.finish(Done::default()).unwrap();
        first += disk(true) - before;
        let begun = Instant::now();
        while let Some(some) = store.compact(EvidenceKey(7), false, &|| false).unwrap() {
            anew += some.bytes;
            longest = longest.max(begun.elapsed());
        }
        took += begun.elapsed();
    }
    // Files that nobody sees any more go with the next look.
    let _ = store.compact(EvidenceKey(7), false, &|| false).unwrap();
    let (stored, ends) = (disk(true), disk(false));
    println!(
        "{PARTS} parts of {EACH} rows: {first} bytes first, {anew} anew, {stored} stored ({:.2} written for one stored), {ends} of what ended; \
         compaction took {took:?}, {longest:?} at most",
        (first + anew) as f64 / stored as f64
    );
    let asked = median(|| drop(live.counts(&[live.compile("host 10.3.5.26").unwrap()], u64::MAX, &Cancel::default()).unwrap()));
    println!("count of a host in them: {asked:?}");
}

fn main() {
    let dir = tempfile::tempdir().unwrap();
    let (live, rows) = engine(&dir.path().join("live"));
    let mut copies: Vec<Vec<Record>> = (0..RUNS).map(|_| rows.clone()).collect();
    let published = median(|| assert_eq!(live.store().publish(&evidence(), copies.pop().unwrap()).unwrap().rows, ROWS));
    println!("publish {ROWS} open rows: {published:?} (target 300 ms)");

    let (committed, rows) = engine(&dir.path().join("committed"));
    let mut import = committed.store().go_on(&evidence()).unwrap();
    import.source(&SourceKey { format: "pcap".into(), sensor: "eth0".into() }, None).unwrap();
    rows.iter().for_each(|r| import.push(r.clone()).unwrap());
    import.finish(Done::default()).unwrap();

    let cancel = Cancel::default();
    let select = |e: &LocalEngine, text: &str| {
        let question = e.compile(text).unwrap();
        e.select(&question, &Page { ascending: false, limit: 400, after: None }, &cancel, &mut |_| true).unwrap();
    };
    let table = |e: &LocalEngine, text: &str| drop(e.table(&e.compile(text).unwrap(), &cancel).unwrap());
    let count = |e: &LocalEngine, text: &str| drop(e.counts(&[e.compile(text).unwrap()], u64::MAX, &cancel).unwrap());
    type Asked<'a> = Box<dyn Fn(&LocalEngine) + 'a>;
    let asks: [(&str, Asked<'_>); 7] = [
        ("newest 400", Box::new(|e| select(e, "kind = flow"))),
        ("one host, newest 400", Box::new(|e| select(e, "host 10.3.5.26"))),
        ("count of a port", Box::new(|e| count(e, "dst.port = 443"))),
        ("count of a host", Box::new(|e| count(e, "host 10.3.5.26"))),
        ("top hosts by bytes", Box::new(|e| table(e, "| top 10 host by bytes"))),
        ("count by app", Box::new(|e| table(e, "| count by app"))),
        ("sum by port", Box::new(|e| table(e, "dst.ip = 203.0.0.0/16 | sum bytes by dst.port"))),
    ];
    for (what, ask) in &asks {
        let (a, b) = (median(|| ask(&live)), median(|| ask(&committed)));
        // What is asked first after a publication reads everything anew.
        live.store().publish(&evidence(), rows.clone()).unwrap();
        let begun = Instant::now();
        ask(&live);
        let cold = begun.elapsed();
        println!(
            "{what}: head {a:?}, committed {b:?}: {:.2} times; first after a publication {cold:?}",
            a.as_secs_f64() / b.as_secs_f64()
        );
    }
    compaction(&dir.path().join("parts"));
}
