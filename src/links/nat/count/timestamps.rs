//! By TCP timestamps (RFC 7323): stacks with one clock for all connections, whose values lie on a line (Kohno et al., "Remote Physical Device
//! Fingerprinting", 2005; Bursztein, "Time has something to tell us about network address translation", 2007). Linux since 4.10 begins elsewhere for
//! each peer, and Windows mostly sends none: they say nothing here.

use super::{PEERS, Sent};
use crate::model::time::SECOND;
use std::collections::HashSet;
use std::net::IpAddr;

/// Ticks in a second that stacks have.
const RATES: [f64; 4] = [1_000.0, 250.0, 100.0, 10.0];
/// How far a value may be off its line: a tick, and so long on the way, seconds.
const LATE: f64 = 0.05;
/// How much faster or slower than its rate a clock may run.
const SKEW: f64 = 200e-6;
/// Connections from which on a line counts.
const LEAST: usize = 3;
/// Below so long a time every rate fits, seconds.
const SHORTEST: f64 = 2.0;
/// Connections that are looked at.
const MOST: usize = 8_192;
/// Lines whose clock is not seen for so long are over.
const PATIENCE: i64 = 3_600 * SECOND;

/// What seems to be one host: from when to when, and whom it reached.
#[derive(Debug)]
struct Track {
    first: i64,
    last: i64,
    peers: HashSet<IpAddr>,
}

impl Track {
    fn new(at: i64, peer: IpAddr) -> Track {
        Track { first: at, last: at, peers: HashSet::from([peer]) }
    }
    fn add(&mut self, at: i64, peer: IpAddr) {
        self.last = self.last.max(at);
        // Enough are enough.
        if self.peers.len() < 64 {
            self.peers.insert(peer);
        }
    }
}

/// The most tracks that go on at one time: what follows another may be the same host, started anew or lost sight of.
fn at_once(tracks: &[Track]) -> usize {
    let mut edges: Vec<(i64, bool)> = tracks.iter().flat_map(|t| [(t.first, true), (t.last, false)]).collect();
    // What ends when another begins is not there beside it.
    edges.sort_unstable();
    let (mut now, mut most) = (0usize, 0usize);
    for (_, begins) in edges {
        now = if begins { now + 1 } else { now.saturating_sub(1) };
        most = most.max(now);
    }
    most
}

/// A line of one rate.
struct Line {
    /// Value that is no ticks after its time, modulo 2^32, by its newest connection; and when that was.
    intercept: f64,
    seen: i64,
    track: Track,
    connections: Vec<usize>,
}

const TURN: f64 = 4_294_967_296.0;

/// Hosts that were at least there at once; packets in order of time.
pub fn hosts(packets: &[Sent]) -> usize {
    // The first value of each connection.
    let mut first: Vec<&Sent> = Vec::new();
    let mut known = HashSet::new();
    for packet in packets.iter().filter(|p| p.tsval.is_some_and(|v| v != 0)) {
        if first.len() < MOST && known.insert((packet.peer, packet.ports)) {
            first.push(packet);
        }
    }
    let mut lines: Vec<Line> = RATES.iter().flat_map(|rate| of(&first, *rate)).collect();
    // Each connection is of the line that has most.
    lines.sort_by_key(|l| std::cmp::Reverse(l.connections.len()));
    let mut taken = vec![false; first.len()];
    let mut tracks = Vec::new();
    for line in lines {
        let own = line.connections.iter().filter(|n| !taken[**n]).count();
        if own * 2 > line.connections.len() {
            line.connections.iter().for_each(|n| taken[*n] = true);
            tracks.push(line.track);
        }
    }
    at_once(&tracks)
}

/// The lines of connections by one rate.
fn of(first: &[&Sent], rate: f64) -> Vec<Line> {
    let Some(begin) = first.first().map(|p| p.time.0) else { return Vec::new() };
    let (mut live, mut over): (Vec<Line>, Vec<Line>) = (Vec::new(), Vec::new());
    for (n, packet) in first.iter().enumerate() {
        let now = packet.time.0;
        let seconds = now.saturating_sub(begin) as f64 / SECOND as f64;
        let intercept = (f64::from(packet.tsval.unwrap_or(0)) - seconds * rate).rem_euclid(TURN);
        let mut kept = Vec::with_capacity(live.len());
        for line in live.drain(..) {
            if now.saturating_sub(line.seen) > PATIENCE { over.push(line) } else { kept.push(line) }
        }
        live = kept;
        let off = |line: &Line| {
            let apart = (intercept - line.intercept).rem_euclid(TURN);
            apart.min(TURN - apart)
        };
        let reach = |line: &Line| {
            let since = now.saturating_sub(line.seen) as f64 / SECOND as f64;
            1.0 + (LATE + SKEW * since) * rate
        };
        match live.iter_mut().filter(|l| off(l) <= reach(l)).min_by(|a, b| off(a).total_cmp(&off(b))) {
            Some(line) => {
                (line.intercept, line.seen) = (intercept, now);
                line.track.add(now, packet.peer);
                line.connections.push(n);
            }
            None => live.push(Line { intercept, seen: now, track: Track::new(now, packet.peer), connections: vec![n] }),
        }
    }
    over.extend(live);
    over.retain(|l| {
        let span = l.track.last.saturating_sub(l.track.first) as f64 / SECOND as f64;
        l.connections.len() >= LEAST && l.track.peers.len() >= PEERS && span >= SHORTEST
    });
    over
}
