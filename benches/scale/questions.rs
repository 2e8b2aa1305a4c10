//! Questions over the case: each with many parameters, cold (no file in memory, the case opened for each) and warm.

use super::{fill, machine};
use backtrail::model::field as f;
use backtrail::model::synthetic::{self, Random};
use backtrail::model::time::SECOND;
use backtrail::model::{Entity, Time, Value};
use backtrail::pivots::{self, Selection};
use backtrail::query::engine::{Cancel, Page};
use backtrail::query::known::Known;
use backtrail::query::{Engine, LocalEngine};
use backtrail::store::Store;
use std::net::IpAddr;
use std::path::Path;
use std::time::Instant;

/// Rows that are wanted first.
const ROWS: usize = 200;

/// What is asked: a name, what it may take cold and warm (milliseconds), and the question with a parameter drawn anew each time.
type Question<'a> = (&'a str, f64, f64, Box<dyn Fn(&mut Random) -> Box<dyn Fn(&LocalEngine) -> u64> + 'a>);

fn open(dir: &Path) -> LocalEngine {
    LocalEngine::new(Store::open(dir, &fill::options()).unwrap(), Box::new(Known::default()))
}

fn first(text: String) -> Box<dyn Fn(&LocalEngine) -> u64> {
    Box::new(move |e| {
        let page = Page { ascending: true, limit: ROWS, after: None };
        e.select(&e.compile(&text).unwrap(), &page, &Cancel::default(), &mut |_| true).unwrap().rows
    })
}

fn table(text: &'static str) -> Box<dyn Fn(&LocalEngine) -> u64> {
    Box::new(move |e| e.table(&e.compile(text).unwrap(), &Cancel::default()).unwrap().rows.len() as u64)
}

fn count(text: String) -> Box<dyn Fn(&LocalEngine) -> u64> {
    Box::new(move |e| e.counts(&[e.compile(&text).unwrap()], u64::MAX, &Cancel::default()).unwrap()[0].n)
}

fn relations(host: IpAddr) -> Box<dyn Fn(&LocalEngine) -> u64> {
    Box::new(move |e| {
        let selection = Selection { entity: Entity::of(f::SRC_IP, &Value::Addr(host)), ..Selection::default() };
        let leads = pivots::ALL.iter().filter_map(|p| (p.run)(&selection));
        let questions: Vec<_> = leads.map(|lead| e.compile(&lead.query).unwrap()).collect();
        e.counts(&questions, 10_000, &Cancel::default()).unwrap().iter().map(|c| c.n).sum()
    })
}

fn timeline(host: IpAddr) -> Box<dyn Fn(&LocalEngine) -> u64> {
    Box::new(move |e| {
        let question = e.compile(&format!("host {host}")).unwrap();
        e.timeline(&question, 120, Some(f::BYTES), &Cancel::default()).unwrap().bins.len() as u64
    })
}

/// A host outside that about so many of the flows have.
fn about(flows: u64, wanted: u64, random: &mut Random) -> IpAddr {
    // Two thirds of the conversations go outside; the sum of 1 / r up to 300,000 is 13.2.
    let rank = (flows as f64 * 0.62 / 13.2 / wanted as f64).clamp(1.0, 299_000.0);
    synthetic::outside((rank * (0.9 + 0.2 * random.unit())) as usize)
}

/// Asks everything.
pub fn ask(dir: &Path, runs: usize, seed: u64, only: Option<&str>) {
    let mut engine = open(dir);
    let span = engine.span().unwrap();
    let flows = engine.counts(&[engine.compile("kind = flow").unwrap()], u64::MAX, &Cancel::default()).unwrap()[0].n;
    let inside = |random: &mut Random| synthetic::inside(random.below(2_000) as usize);
    let questions: Vec<Question<'_>> = vec![
        ("rare host (50 flows)", 150.0, 15.0, Box::new(|r| first(format!("host {}", about(flows, 50, r))))),
        ("medium host (5,000)", 150.0, 20.0, Box::new(|r| first(format!("host {}", about(flows, 5_000, r))))),
        ("heavy host (1/20 of all)", 50.0, 5.0, Box::new(|r| first(format!("host {}", about(flows, flows / 20, r))))),
        ("relations of a host", 80.0, 10.0, Box::new(|r| relations(about(flows, 5_000, r)))),
        ("pair of hosts", 200.0, 30.0, Box::new(|r| first(format!("host {} and host {}", about(flows, 5_000, r), inside(r))))),
        (
            "five minutes",
            30.0,
            3.0,
            Box::new(|r| {
                let at = Time(span.start.0 + r.below((span.end.0 - span.start.0) as u64) as i64);
                first(format!("between {at} and {}", at.plus(300 * SECOND)))
            }),
        ),
        ("top 20 hosts, all days", 300.0, 100.0, Box::new(|_| table("| top 20 host by bytes"))),
        ("timeline of a host", 80.0, 15.0, Box::new(|r| timeline(about(flows, 5_000, r)))),
        ("a name", 150.0, 15.0, Box::new(|r| first(format!("sni = {}", synthetic::name(r.below(20_000) as usize))))),
        (
            "a /16",
            300.0,
            50.0,
            Box::new(|r| {
                let IpAddr::V4(a) = synthetic::outside(r.below(20_000) as usize / 12 * 12) else { unreachable!() };
                first(format!("net {}.{}.0.0/16", a.octets()[0], a.octets()[1]))
            }),
        ),
    ];
    println!(
        "{:26} {:>9} {:>9} {:>9} {:>9}   (asked: cold, warm; ms)",
        "question", "cold p50", "cold p99", "warm p50", "warm p99"
    );
    for (n, (what, cold_most, warm_most, draw)) in
        questions.iter().enumerate().filter(|(_, q)| only.is_none_or(|o| q.0.contains(o)))
    {
        let mut random = Random::new(seed ^ (n as u64) << 32);
        let draws: Vec<_> = (0..runs).map(|_| draw(&mut random)).collect();
        let mut rows = 0;
        let mut cold = Vec::new();
        for question in draws.iter().take(runs.div_ceil(4)) {
            drop(engine);
            engine = open(dir);
            machine::forget(&dir.join("seg"));
            let begun = Instant::now();
            question(&engine);
            cold.push(begun.elapsed().as_secs_f64() * 1e3);
        }
        let mut warm = Vec::new();
        draws.iter().for_each(|question| rows += question(&engine));
        for question in &draws {
            let begun = Instant::now();
            question(&engine);
            warm.push(begun.elapsed().as_secs_f64() * 1e3);
        }
        let p = |times: &mut Vec<f64>, part: f64| {
            times.sort_by(f64::total_cmp);
            times[((times.len() - 1) as f64 * part).round() as usize]
        };
        println!(
            "{what:26} {:9.1} {:9.1} {:9.1} {:9.1}   ({cold_most}, {warm_most}; {} rows each)",
            p(&mut cold, 0.5),
            p(&mut cold, 0.99),
            p(&mut warm, 0.5),
            p(&mut warm, 0.99),
            rows / runs as u64,
        );
    }
    for (what, text) in [
        ("full scan", "dst.port = 445 and bytes > 1MB"),
        ("scan that bounds prune", "dst.port = 161 and bytes > 100MB"),
        ("scan of bytes alone", "bytes > 500MB"),
    ]
    .into_iter()
    .filter(|(what, _)| only.is_none_or(|o| what.contains(o)))
    {
        let question = count(text.to_owned());
        let found = question(&engine);
        let begun = Instant::now();
        question(&engine);
        let took = begun.elapsed().as_secs_f64();
        println!("{what}: {text}: {found} found, {:.0} ms, {:.1} million flows/s", took * 1e3, flows as f64 / took / 1e6);
    }
    println!("memory at the end: {} MB of its own, {} MB at most", machine::now(), machine::peak());
}
