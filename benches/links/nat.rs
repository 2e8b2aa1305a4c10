//! Translations: 100,000 connections an hour of 1,000 hosts behind one address, seen inside and outside, 5 ms apart by jitter, with losses, wrong
//! counters and a quarter of periodic traffic of one size. Targets: precision 0.999 at recall 0.98, a million flows in 60 s, questions for a host that are
//! widened at most a fifth slower than without.

use backtrail::links::nat::read;
use backtrail::model::filter::Test;
use backtrail::model::source::SourceKey;
use backtrail::model::time::SECOND;
use backtrail::model::{EvidenceKey, Filter, Kind, Record, RecordId, SourceId, Time, Value, field as f};
use backtrail::query::engine::{Cancel, Page};
use backtrail::query::known::Known;
use backtrail::query::{Engine, LocalEngine, Question};
use backtrail::store::{Begin, Done, NewEvidence, OpenOptions, Reserve, Store};
use std::time::{Duration, Instant};

const HOUR: i64 = 3600 * SECOND;
const RUNS: usize = 9;

struct Draw(u64);

impl Draw {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) % n
    }
    /// Nearly normally distributed: twelve draws.
    fn normal(&mut self, sigma: f64) -> f64 {
        let sum: u64 = (0..12).map(|_| self.below(1_000_000)).sum();
        sigma * (sum as f64 / 1e6 - 6.0)
    }
}

fn record(n: u64, side: u64, source: SourceId, ends: ([u8; 4], u64, [u8; 4]), times: (i64, i64), sizes: [u64; 2]) -> Record {
    let id = RecordId { evidence: EvidenceKey(side + 1), offset: n * 10, ordinal: 0 };
    let mut r = Record::new(Kind::Flow, id, source, Time(1_790_000_000 * SECOND + times.0));
    r.end = Time(1_790_000_000 * SECOND + times.1.max(times.0));
    r.set(f::SRC_IP, Value::Addr(ends.0.into()));
    r.set(f::SRC_PORT, ends.1);
    r.set(f::DST_IP, Value::Addr(ends.2.into()));
    r.set(f::DST_PORT, 443u64);
    r.set(f::PROTO, 6u64);
    for (id, n) in [(f::PAYLOAD_OUT, sizes[0]), (f::PAYLOAD_IN, sizes[1])] {
        r.set(id, n);
    }
    for (id, n) in [(f::PACKETS_OUT, sizes[0] / 1400 + 3), (f::PACKETS_IN, sizes[1] / 1400 + 3)] {
        r.set(id, n);
    }
    r
}

/// Both sides, as imported; how many connections are on both.
fn made(store: &Store, connections: u64) -> u64 {
    let mut draw = Draw(42);
    let mut sides: [Vec<Record>; 2] = Default::default();
    let mut both = 0;
    let long = (connections as i64).saturating_mul(HOUR) / 100_000;
    for n in 0..connections {
        let host = draw.below(1000);
        let inside = [10, 0, (host / 250) as u8, (host % 250) as u8];
        let peer = [192, 0, 2, draw.below(100) as u8];
        let ports = [1024 + draw.below(60_000), 1024 + draw.below(60_000)];
        let start = draw.below(long as u64) as i64;
        let beacon = draw.below(4) == 0;
        let size = |draw: &mut Draw, most: u64| draw.below(1000) * draw.below(most) / 100 + 40;
        let sizes = if beacon { [256, 512] } else { [size(&mut draw, 200), size(&mut draw, 2_000)] };
        let lasts = if beacon { 12_000_000_000 } else { draw.below(20_000_000_000) as i64 };
        let mut seen = 0;
        for side in 0..2u64 {
            if draw.below(20) == 0 {
                continue;
            }
            seen += 1;
            let wrong = draw.below(100) < 3;
            let sizes = if wrong { [sizes[0] + 40, sizes[1]] } else { sizes };
            let mut off = || (draw.normal(5e6)) as i64;
            let times = (start + off(), start + lasts + off());
            let own = if side == 0 { inside } else { [198, 51, 100, 2] };
            sides[side as usize].push(record(n, side, SourceId(0), (own, ports[side as usize], peer), times, sizes));
        }
        both += u64::from(seen == 2);
    }
    for (side, mut records) in sides.into_iter().enumerate() {
        records.sort_by_key(|r| (r.start, r.id));
        let key = EvidenceKey(side as u64 + 1);
        let path = ["inside", "outside"][side];
        let new = NewEvidence { key, path: path.into(), size: 1, modified: Time(0), head_hash: [side as u8 + 1; 32] };
        let Begin::Fresh(mut import) = store.begin(&new).unwrap() else { panic!("known") };
        let source = import.source(&SourceKey { format: "pcap".into(), sensor: path.into() }, None).unwrap();
        for mut record in records {
            record.source = source;
            import.push(record).unwrap();
        }
        import.finish(Done::default()).unwrap();
    }
    both
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

pub fn run(flows: u64) {
    let dir = tempfile::tempdir().unwrap();
    let reserve = Reserve { percent: 0, bytes: 0 };
    let options = OpenOptions { create: true, reserve, ballast: 0, forget: true, ..OpenOptions::default() };
    let store = Store::open(&dir.path().join("case"), &options).unwrap();
    let both = made(&store, flows / 2);
    let engine = LocalEngine::new(store, Box::new(Known::default()));
    let cancel = Cancel::default();
    let begun = Instant::now();
    let view = engine.view(&cancel).unwrap();
    println!("{flows} flows: sightings in {:?}", begun.elapsed());
    let begun = Instant::now();
    let nat = read::find(&view, &cancel).unwrap();
    let took = begun.elapsed();
    let all = nat.bindings.iter().map(|b| b.evidence[0].offset == b.evidence[1].offset);
    let (right, wrong) = all.fold((0u64, 0u64), |(r, w), ok| if ok { (r + 1, w) } else { (r, w + 1) });
    let precision = right as f64 / (right + wrong).max(1) as f64;
    let recall = right as f64 / both.max(1) as f64;
    println!("nat: {} bindings in {took:?}, precision {precision:.5}, recall {recall:.5}; {:?}", right + wrong, nat.notices);
    assert!(precision >= 0.999 && recall >= 0.98);
    let host = "10.0.1.17";
    let text = format!("kind = flow and host = {host}");
    let _ = engine.compile(&text).unwrap();
    let plain = Question {
        filter: Filter::is(f::KIND, Kind::Flow.name()).and(Filter::Test(f::HOST, Test::Is(Value::Addr(host.parse().unwrap())))),
        ..Question::all(backtrail::model::Window::ALL)
    };
    let mut counts = [0, 0];
    let mut rows = |which: usize, question: &Question| {
        let mut n = 0;
        let page = Page { limit: 500, ..Page::default() };
        engine
            .select(question, &page, &cancel, &mut |_| {
                n += 1;
                true
            })
            .unwrap();
        counts[which] = n;
    };
    let own = median(|| rows(0, &plain));
    let compiled = median(|| drop(engine.compile(&text).unwrap()));
    let wide = engine.compile(&text).unwrap();
    let both_sides = median(|| rows(1, &wide));
    println!("first 500 rows of a host: {own:?}, widened {both_sides:?}, text understood in {compiled:?}; rows {counts:?}");
    let count = |q: &Question| engine.counts(std::slice::from_ref(q), u64::MAX, &cancel).unwrap()[0].n;
    let own = median(|| _ = count(&plain));
    let both_sides = median(|| _ = count(&wide));
    println!("count of a host: {own:?} ({}), widened {both_sides:?} ({})", count(&plain), count(&wide));
    let mut first = Vec::new();
    engine
        .select(&plain, &Page { limit: 50, ..Page::default() }, &cancel, &mut |r| {
            first.push(r);
            true
        })
        .unwrap();
    let judged = backtrail::links::by_hand::Judged::default();
    let exact =
        median(|| first.iter().for_each(|r| _ = backtrail::links::exact::links(&view, r, &judged, &cancel).unwrap())) / 50;
    let all = median(|| first.iter().for_each(|r| _ = engine.links(r, &cancel).unwrap())) / 50;
    println!("links of a flow: {exact:?} exact, {all:?} with the other side");
}
