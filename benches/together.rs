//! What the socket costs: the questions of a drill-down into the sample incident, asked of a store here and of the same store through the socket.
//! `cargo bench --bench together`; the target is 1.20 of all questions together.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use backtrail::ingest::{Request, Watch, ingest};
use backtrail::model::time::SECOND;
use backtrail::model::{Entity, Time};
use backtrail::query::engine::{Cancel, Page};
use backtrail::query::known::Known;
use backtrail::query::{Engine, LocalEngine, Question};
use backtrail::service::{Client, RemoteEngine, Serving};
use backtrail::store::{OpenOptions, Reserve, Store};
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

const RUNS: usize = 41;

fn main() {
    let dir = tempfile::tempdir().unwrap();
    let options = OpenOptions { create: true, ballast: 0, reserve: Reserve { percent: 0, bytes: 0 }, ..OpenOptions::default() };
    let store = Store::open(&dir.path().join("case"), &options).unwrap();
    let paths = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("sample-data/story")];
    let watch = Watch { stop: Arc::new(|| false), progress: &|_| (), now: Time(1_795_000_000 * SECOND) };
    ingest(&store, &Request { paths, ..Request::default() }, &watch).unwrap();
    let local = Arc::new(LocalEngine::new(store.clone(), Box::new(Known::default())));
    let _serving = Serving::start(Arc::clone(&local), false).unwrap();
    let remote = RemoteEngine::new(Client::reach(&store.dir(), None, Duration::from_secs(10)).unwrap());
    let (mut here, mut there) = (Duration::ZERO, Duration::ZERO);
    println!("{:44} {:>10} {:>10} {:>6}", "question", "here us", "socket us", "ratio");
    for (name, ask) in QUESTIONS {
        let mut took = [Vec::new(), Vec::new()];
        // In turn, so that whatever else the machine does hits both.
        for _ in 0..RUNS {
            for (n, engine) in [&*local as &dyn Engine, &remote].into_iter().enumerate() {
                let begun = Instant::now();
                ask(engine);
                took[n].push(begun.elapsed());
            }
        }
        let [a, b] = took.map(|mut all| {
            all.sort_unstable();
            all[RUNS / 2]
        });
        (here, there) = (here + a, there + b);
        println!("{name:44} {:>10} {:>10} {:>6.2}", a.as_micros(), b.as_micros(), b.as_secs_f64() / a.as_secs_f64());
    }
    println!("{:44} {:>10} {:>10} {:>6.2}", "all", here.as_micros(), there.as_micros(), there.as_secs_f64() / here.as_secs_f64());
}

type Asked = (&'static str, fn(&dyn Engine));

const QUESTIONS: &[Asked] = &[
    ("pivot menu of 10.8.21.5: 12 counts", |engine| {
        let host = "host = 10.8.21.5";
        let kinds = ["flow", "alert", "dns", "http", "tls", "file", "fw", "proxy", "auth", "vuln", "inventory", "oddity"];
        let questions: Vec<Question> = kinds.iter().map(|k| engine.compile(&format!("kind = {k} and {host}")).unwrap()).collect();
        black_box(engine.counts(&questions, 100_000, &Cancel::default()).unwrap());
    }),
    ("its first 200 flows", |engine| rows(engine, "kind = flow and host = 10.8.21.5", 200)),
    ("all its records, 1000", |engine| rows(engine, "host = 10.8.21.5", 1000)),
    ("its peers by bytes", |engine| table(engine, "kind = flow and host = 10.8.21.5 | top 20 host by bytes")),
    ("alerts by signature and target", |engine| table(engine, "kind = alert | count by signature, dst.ip | sort -count")),
    ("a name under a domain", |engine| rows(engine, "kind = flow and name under parcel-notice.example", 200)),
    ("a text in anything", |engine| rows(engine, "parcel", 200)),
    ("timeline of the case, 120 bins", |engine| {
        let question = engine.compile("kind = flow").unwrap();
        black_box(engine.timeline(&question, 120, None, &Cancel::default()).unwrap());
    }),
    ("what is known of a host", |engine| {
        black_box(engine.facts(&Entity::recognise("10.8.21.5").unwrap(), None, &Cancel::default()).unwrap());
    }),
    ("links of an alert", |engine| {
        let mut first = None;
        let question = engine.compile("kind = alert and host = 10.8.21.5").unwrap();
        let page = Page { limit: 1, ..Page::default() };
        engine
            .select(&question, &page, &Cancel::default(), &mut |r| {
                first = Some(r);
                true
            })
            .unwrap();
        black_box(engine.links(&first.unwrap(), &Cancel::default()).unwrap());
    }),
    ("every flow of the case", |engine| rows(engine, "kind = flow", usize::MAX)),
];

fn rows(engine: &dyn Engine, text: &str, limit: usize) {
    let question = engine.compile(text).unwrap();
    let page = Page { limit, ..Page::default() };
    let mut n = 0;
    engine
        .select(&question, &page, &Cancel::default(), &mut |record| {
            black_box(&record);
            n += 1;
            true
        })
        .unwrap();
    assert!(n > 0 || text == "parcel", "{text}");
}

fn table(engine: &dyn Engine, text: &str) {
    let question = engine.compile(text).unwrap();
    assert!(!black_box(engine.table(&question, &Cancel::default()).unwrap()).rows.is_empty(), "{text}");
}
