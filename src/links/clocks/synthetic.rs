//! A made-up day of two clocks, of which everything is known: what measurements are judged by, in tests and benchmarks.

use super::pairs::Moment;
use crate::model::synthetic::Random;
use crate::model::time::SECOND;
use std::hash::BuildHasher;

/// A connection by the true clock: seconds since the day began.
#[derive(Debug, Clone, Copy)]
pub struct Made {
    client: u32,
    server: u32,
    port: u32,
    start: f64,
    lasts: f64,
}

/// What keys the two sides share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shared {
    /// Both ends with ports.
    Connection,
    /// Client and server.
    Service,
    /// The client.
    Client,
}

impl Shared {
    fn key(self, made: &Made) -> u64 {
        let of = match self {
            Shared::Connection => (made.client, made.server, made.port),
            Shared::Service => (made.client, made.server, 0),
            Shared::Client => (made.client, 0, 0),
        };
        foldhash::quality::FixedState::with_seed(1).hash_one(of)
    }
}

/// A log and its clock.
#[derive(Debug, Clone, Copy)]
pub struct Log {
    /// What its clock is ahead at the beginning of the day, seconds.
    pub offset: f64,
    /// Seconds that it gains in each.
    pub skew: f64,
    /// When it was set, and by how much, seconds.
    pub step: Option<(f64, f64)>,
    /// Rows.
    pub rows: usize,
    /// How many of them are of connections that the other side has.
    pub matched: usize,
    /// It tells of the end of a connection, not of its beginning.
    pub at_end: bool,
    /// What its times are multiples of, nanoseconds.
    pub resolution: i64,
}

/// When the day begins.
const DAWN: f64 = 1_763_600_000.0;
/// How long it is, seconds.
pub const DAY: f64 = 86_400.0;

fn instant(seconds: f64) -> i64 {
    ((DAWN + seconds) * SECOND as f64) as i64
}

/// Connections of a day: servers as Zipf has them, a fifth at regular intervals, the others more by day than by night.
pub fn day(random: &mut Random, n: usize, clients: u64, servers: usize) -> Vec<Made> {
    let mut sum = 0.0;
    let weights: Vec<f64> = (1..=servers)
        .map(|rank| {
            sum += 1.0 / rank as f64;
            sum
        })
        .collect();
    let mut out: Vec<Made> = Vec::with_capacity(n);
    let make = |random: &mut Random, start: f64| {
        let at = random.unit() * sum;
        let server = weights.partition_point(|w| *w < at) as u32;
        let (client, port) = (random.below(clients) as u32, 1_024 + random.below(60_000) as u32);
        Made { client, server, port, start, lasts: -3.0 * random.unit().max(1e-12).ln() }
    };
    while out.len() < n / 5 {
        let first = make(random, 0.0);
        let period = [60.0, 300.0, 600.0, 3_600.0][random.below(4) as usize];
        let mut at = random.unit() * period;
        while at < DAY && out.len() < n / 5 {
            let start = at + random.unit();
            out.push(Made { start, ..first });
            at += period;
        }
    }
    while out.len() < n {
        let at = random.unit() * DAY;
        if random.unit() < 0.6 + 0.4 * (at / DAY * std::f64::consts::TAU).sin() {
            out.push(make(random, at));
        }
    }
    out
}

/// The moments of connections by the true clock.
pub fn reference(of: &[Made], shared: Shared) -> Vec<Moment> {
    let moment =
        |m: &Made| Moment { key: shared.key(m), client: m.client, start: instant(m.start), end: instant(m.start + m.lasts) };
    of.iter().map(moment).collect()
}

/// The moments of a log: some of `of`, and others that the reference did not see.
pub fn log(random: &mut Random, of: &[Made], log: &Log, shared: Shared) -> Vec<Moment> {
    let mut made = day(random, log.rows - log.matched, 500, 5_000);
    made.extend((0..log.matched).map(|_| of[random.below(of.len() as u64) as usize]));
    let moment = |m: &Made| {
        let at = m.start + if log.at_end { m.lasts } else { 0.0 };
        let step = log.step.filter(|(when, _)| at > *when).map_or(0.0, |(_, by)| by);
        let raw = instant(at + log.offset + log.skew * at + step).div_euclid(log.resolution) * log.resolution;
        Moment { key: shared.key(m), client: m.client, start: raw, end: raw }
    };
    made.iter().map(moment).collect()
}

/// What the clock of a log really is ahead when it shows `raw` (nanoseconds), in seconds.
pub fn truth(log: &Log, raw: i64) -> f64 {
    let shown = raw as f64 / SECOND as f64 - DAWN;
    // By the true clock it is earlier by what the log is ahead.
    let at = (shown - log.offset) / (1.0 + log.skew);
    log.offset + log.skew * at
}
