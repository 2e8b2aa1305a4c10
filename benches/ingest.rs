//! Where the time of a capture goes: reading it, decoding packets, checksums, flows, protocols, the whole import; each stage with those before it.
//!
//! `cargo bench --bench ingest -- CAPTURE` (`cargo run --release --example make-capture -- CAPTURE 512` makes one); without one it reads the
//! captures of `sample-data/story` again and again. Prints seconds (the least of the rounds), packets and bytes a second, and the share that
//! each stage adds. `benches/peers.sh` is the same beside other programs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use backtrail::flow::{Checksums, Config, Meter, Sink};
use backtrail::ingest::{Request, Watch, ingest};
use backtrail::model::flow::Flow;
use backtrail::model::packet::{Packet, PacketRef};
use backtrail::model::record::Record;
use backtrail::model::{EvidenceKey, Oddity, RecordId, Time};
use backtrail::protocols::layers;
use backtrail::sources::capture::{self, CaptureKind, Item};
use backtrail::store::{OpenOptions, Store};
use std::fs::File;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

const ROUNDS: usize = 3;
/// The story's captures are small: they are read so often.
const OFTEN: usize = 20;

/// Counts what it is given.
#[derive(Default)]
struct Counting {
    flows: u64,
    events: u64,
}

impl Sink for Counting {
    fn flow(&mut self, flow: Flow, packets: &[PacketRef], _: u32) {
        self.flows += 1;
        black_box((flow, packets.len()));
    }
    fn packets(&mut self, _: RecordId, packets: &[PacketRef], _: u32) {
        black_box(packets.len());
    }
    fn event(&mut self, record: Record, _: u32) {
        self.events += 1;
        black_box(record);
    }
    fn oddity(&mut self, oddity: Oddity, _: Time, _: u64, _: u32) {
        black_box(oddity);
    }
}

/// What one stage came to.
struct Stage {
    name: &'static str,
    took: Duration,
}

fn main() {
    let given: Vec<PathBuf> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).map(PathBuf::from).collect();
    let story = Path::new(env!("CARGO_MANIFEST_DIR")).join("sample-data/story");
    let (files, often) = match given.is_empty() {
        true => (vec![story.join("inside.pcapng"), story.join("outside.pcap")], OFTEN),
        false => (given, 1),
    };
    let (mut packets, mut bytes) = (0u64, 0u64);
    each(&files, &mut |p| {
        packets += 1;
        bytes += p.data.len() as u64;
    });
    println!("{packets} packets, {bytes} bytes in {} files, read {often} times", files.len());
    let mut counted = Counting::default();
    let mut metered = |config: &Config| {
        for file in &files {
            let mut meter = Meter::new(config.clone(), EvidenceKey(1));
            let mut sink = Counting::default();
            each(std::slice::from_ref(file), &mut |p| meter.packet(p, &mut sink));
            meter.finish(&mut sink);
            counted = sink;
        }
    };
    let no_protocols = Config { protocols: &[], ..Config::default() };
    let no_checksums = Config { checksums: Checksums::Ignore, ..no_protocols.clone() };
    let mut sum = 0u64;
    let stages = [
        stage("read", often, &mut || each(&files, &mut |p| sum = sum.wrapping_add(p.data.len() as u64))),
        stage("decode", often, &mut || each(&files, &mut |p| drop(black_box(layers::decode(p.link, p.data))))),
        stage("flows", often, &mut || metered(&no_checksums)),
        stage("checksums", often, &mut || metered(&no_protocols)),
        stage("protocols", often, &mut || metered(&Config::default())),
        stage("import", often, &mut || import(&files)),
    ];
    black_box(sum);
    let rate = |n: u64, took: Duration| n as f64 * often as f64 / took.as_secs_f64() / 1e6;
    println!("{:<11} {:>9} {:>10} {:>8} {:>10}", "up to", "s", "M packets/s", "MB/s", "adds s");
    let mut before = Duration::ZERO;
    for Stage { name, took } in stages {
        println!(
            "{name:<11} {:>9.3} {:>10.2} {:>8.0} {:>10.3}",
            took.as_secs_f64(),
            rate(packets, took),
            rate(bytes, took),
            took.as_secs_f64() - before.as_secs_f64()
        );
        before = took;
    }
    println!("the last capture: {} flows, {} events", counted.flows, counted.events);
}

/// The least time of a few rounds.
fn stage(name: &'static str, often: usize, run: &mut dyn FnMut()) -> Stage {
    let round = |_| {
        let begun = Instant::now();
        (0..often).for_each(|_| run());
        begun.elapsed()
    };
    Stage { name, took: (0..ROUNDS).map(round).min().unwrap() }
}

fn each(files: &[PathBuf], take: &mut dyn FnMut(&Packet<'_>)) {
    for path in files {
        let mut file = File::open(path).unwrap();
        let mut head = [0; 64];
        std::os::unix::fs::FileExt::read_at(&file, &mut head, 0).unwrap();
        let kind = CaptureKind::of(&head).unwrap();
        capture::read(kind, &mut file, &mut |item| {
            if let Item::Packet(packet) = item {
                take(&packet);
            }
            true
        });
    }
}

/// The whole import into a new case: two threads more, hashes of the file, the store.
fn import(files: &[PathBuf]) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("case"), &OpenOptions { create: true, ..OpenOptions::default() }).unwrap();
    let request = Request { paths: files.to_vec(), ..Request::default() };
    let watch = Watch { stop: Arc::new(|| false), progress: &|_| (), now: Time(0) };
    let report = ingest(&store, &request, &watch).unwrap();
    assert_eq!(report.files.len(), files.len());
}
