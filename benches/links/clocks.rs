//! Clocks: how far measured offsets are from true ones, how often chance passes for one, and how long a million rows beside a million take.
//! `cargo bench --bench links -- clocks [--seeds 60] [--trials 3000] [--rows 1000000]`.
use backtrail::links::clocks::estimate::estimate;
use backtrail::links::clocks::synthetic::{self, DAY, Log, Shared, truth};
use backtrail::model::clock::{ClockEstimate, ClockState, KeyKind, Meaning};
use backtrail::model::synthetic::Random;
use backtrail::model::time::SECOND;
use std::time::Instant;

const ZONES: [f64; 14] = [-14.0, -12.0, -9.5, -7.0, -3.5, -1.0, 0.0, 1.0, 2.0, 5.5, 5.75, 8.0, 10.5, 14.0];
const LOG: Log = Log { offset: 0.0, skew: 0.0, step: None, rows: 8_000, matched: 400, at_end: false, resolution: SECOND };

fn option(name: &str, default: usize) -> usize {
    let mut args = std::env::args().skip_while(|a| a != name);
    args.nth(1).map_or(default, |n| n.parse().expect("a number"))
}

fn error(found: &ClockEstimate, log: &Log) -> Option<f64> {
    let piece = found.pieces.first()?;
    Some(found.offset(piece) as f64 / SECOND as f64 - truth(log, piece.middle.0))
}

pub fn run() {
    let mut random = Random::new(42);
    let day = synthetic::day(&mut random, 200_000, 500, 5_000);
    let of = |shared: Shared| synthetic::reference(&day, shared);
    let (service, connection) = (of(Shared::Service), of(Shared::Connection));
    println!("200,000 flows of a day, 500 clients, 5,000 servers; times of the log are whole seconds");
    println!("{:<34}{:>10}{:>12}{:>12}{:>10}", "log", "found", "error s", "skew ppm", "ms");
    for (offset, skew) in [(-25_162.6, 30e-6), (19_787.75, 0.0), (7_200.0, -80e-6), (3.0, 0.0), (-268.0 * DAY, 0.0)] {
        for (name, shared, rows, matched) in [
            ("client and server, 5 %", Shared::Service, 20_000, 1_000),
            ("client and server, 5 %", Shared::Service, 2_000, 100),
            ("client and server, 2 %", Shared::Service, 20_000, 400),
            ("connection, 1 %", Shared::Connection, 2_000, 20),
        ] {
            let log = Log { offset, skew, rows, matched, ..LOG };
            let source = synthetic::log(&mut random, &day, &log, shared);
            let begun = Instant::now();
            let found = estimate(&source, if shared == Shared::Service { &service } else { &connection }, KeyKind::Service);
            let took = begun.elapsed().as_secs_f64() * 1e3;
            let skew = found.pieces.first().map_or(f64::NAN, |p| p.skew as f64 / 1e3 - skew * 1e6);
            let name = format!("{offset} s, {rows} rows, {name}");
            println!(
                "{name:<44}{:>10}{:>9.3}{skew:>9.1}{took:>8.0}",
                found.state.name(),
                error(&found, &log).unwrap_or(f64::NAN)
            );
        }
    }
    let (mut confident, mut worst, mut meant, mut skews) = (0, 0.0f64, 0, Vec::new());
    let seeds = option("--seeds", 60);
    for seed in 0..seeds {
        let mut random = Random::new(7_000 + seed as u64);
        let log = Log {
            offset: ZONES[random.below(14) as usize] * 3_600.0 + 240.0 * (random.unit() - 0.5),
            skew: 200e-6 * (random.unit() - 0.5),
            at_end: random.unit() < 0.5,
            ..LOG
        };
        let found = estimate(&synthetic::log(&mut random, &day, &log, Shared::Service), &service, KeyKind::Service);
        confident += usize::from(found.state == ClockState::Confident);
        worst = worst.max(error(&found, &log).map_or(f64::INFINITY, f64::abs));
        meant += usize::from(found.meaning == if log.at_end { Meaning::End } else { Meaning::Start });
        skews.extend(found.pieces.first().map(|p| (p.skew as f64 / 1e3 - log.skew * 1e6).abs()));
    }
    skews.sort_by(f64::total_cmp);
    println!(
        "\n{seeds} seeds, 5 % of 8,000 rows: {confident} confident, worst error {worst:.3} s, skew median {:.1} worst {:.1} ppm, {meant} mean what is said",
        skews[skews.len() / 2],
        skews[skews.len() - 1]
    );
    let trials = option("--trials", 3_000);
    let mut wrong = 0;
    for trial in 0..trials {
        let mut random = Random::new(90_000 + trial as u64);
        let log = Log { matched: 0, rows: [100, 500, 2_000, 8_000][trial % 4], ..LOG };
        let found = estimate(&synthetic::log(&mut random, &day, &log, Shared::Service), &service, KeyKind::Service);
        wrong += usize::from(found.state != ClockState::Unknown);
    }
    println!("{trials} logs that share nothing (100 to 8,000 rows): {wrong} for which a clock was claimed");
    for matched in [6, 9, 12, 16, 24] {
        let (mut found, mut wrong) = (0, 0);
        for seed in 0..20 {
            let mut random = Random::new(300 + seed);
            let log = Log { offset: -25_162.6, rows: 6_000, matched, ..LOG };
            let estimate = estimate(&synthetic::log(&mut random, &day, &log, Shared::Service), &service, KeyKind::Service);
            if let Some(error) = error(&estimate, &log) {
                if error.abs() < 1.0 { found += 1 } else { wrong += 1 }
            }
        }
        println!("{matched} of 6,000 rows shared: found in {found} of 20, wrong in {wrong}");
    }
    let rows = option("--rows", 1_000_000);
    let day = synthetic::day(&mut random, rows, 2_000, 20_000);
    let log = Log { offset: -25_162.6, skew: 30e-6, rows, matched: rows / 20, at_end: true, ..LOG };
    let source = synthetic::log(&mut random, &day, &log, Shared::Service);
    let reference = synthetic::reference(&day, Shared::Service);
    let begun = Instant::now();
    let found = estimate(&source, &reference, KeyKind::Service);
    let took = begun.elapsed().as_secs_f64();
    let peak = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = peak
        .lines()
        .find(|l| l.starts_with("VmHWM"))
        .unwrap_or("")
        .split_whitespace()
        .nth(1)
        .map_or(0, |n| n.parse::<u64>().unwrap_or(0));
    println!(
        "{rows} rows beside {rows} flows: {} off by {:.3} s in {took:.1} s, {} MB at most",
        found.state.name(),
        error(&found, &log).unwrap_or(f64::NAN),
        peak >> 10
    );
}
