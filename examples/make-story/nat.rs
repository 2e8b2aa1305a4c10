//! The gateway's translation: which outside port stands for which connection, and the log of the connection tracker.

use crate::clock::{self, MIN, SEC, nov};
use crate::rng::mix;
use crate::talk::Conn;
use crate::world::OUTSIDE;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

/// The endpoints of a connection as the outside sees them.
#[derive(Clone, Copy)]
pub struct Outside {
    /// Who opened it.
    pub src: (Ipv4Addr, u16),
    /// To whom.
    pub dst: (Ipv4Addr, u16),
}

/// The days for which the connection tracker's events were kept.
pub const TRACKED: [(i64, i64); 2] = [(nov(17, 7, 55, 0), nov(17, 8, 25, 0)), (nov(19, 0, 0, 0), nov(20, 0, 0, 0))];

/// The outside endpoints of every connection, `None` for those that stay inside.
pub fn bindings(conns: &[Conn]) -> Vec<Option<Outside>> {
    let mut busy: BTreeMap<(u8, u16), i64> = BTreeMap::new();
    conns
        .iter()
        .map(|c| {
            if !c.translated() {
                return None;
            }
            if let Some(port) = c.dnat {
                return Some(Outside { src: (c.src, c.sport), dst: (OUTSIDE, port) });
            }
            let mut seed = mix(c.start() as u64 ^ u64::from(c.sport) << 32 ^ u64::from(u32::from(c.src)));
            loop {
                let port = 1024 + (seed % 64_000) as u16;
                let free = busy.get(&(c.proto, port)).is_none_or(|&until| until < c.start());
                if free {
                    busy.insert((c.proto, port), c.end() + 3 * MIN);
                    return Some(Outside { src: (OUTSIDE, port), dst: (c.dst, c.dport) });
                }
                seed = mix(seed);
            }
        })
        .collect()
}

/// The events of the connection tracker, as `conntrack -E --any-nat -e NEW,DESTROY -o timestamp,extended,id` prints them.
pub fn conntrack(conns: &[Conn], outside: &[Option<Outside>]) -> (String, usize) {
    let mut lines: Vec<(i64, String)> = Vec::new();
    let mut count = 0;
    for (c, o) in conns.iter().zip(outside) {
        let (Some(o), Some(row)) = (o, c.rows.first()) else {
            continue;
        };
        if !TRACKED.iter().any(|&(a, b)| c.start() >= a && c.start() < b) {
            continue;
        }
        count += 1;
        let (name, number, first, linger) = match (c.proto, row.state) {
            (6, "RSTO" | "RSTR" | "REJ") => ("tcp", 6, "120 SYN_SENT", 10 * SEC),
            (6, _) => ("tcp", 6, "120 SYN_SENT", 120 * SEC),
            (17, _) => ("udp", 17, "30", 30 * SEC),
            _ => ("icmp", 1, "30", 30 * SEC),
        };
        let id = mix(c.start() as u64 ^ u64::from(c.sport)) as u32;
        // In: the tuple as first seen by the gateway; reply: what it expects back, after translation.
        let (src, dst) = if c.dnat.is_some() { (o.src, o.dst) } else { ((c.src, c.sport), (c.dst, c.dport)) };
        let (from, to) = if c.dnat.is_some() { ((c.dst, c.dport), (c.src, c.sport)) } else { (o.dst, o.src) };
        let go = format!("src={} dst={} sport={} dport={}", src.0, dst.0, src.1, dst.1);
        let back = format!("src={} dst={} sport={} dport={}", from.0, to.0, from.1, to.1);
        let seen = c.start() + 90;
        lines.push((
            seen,
            format!("[{}]\t    [NEW] ipv4     2 {name:<8} {number} {first} {go} [UNREPLIED] {back} id={id}", clock::epoch(seen)),
        ));
        let sum = |side: usize| {
            let (p, b) = c.rows.iter().fold((0, 0), |(p, b), r| (p + r.pkts[side], b + r.ip_bytes[side]));
            format!("packets={p} bytes={b}")
        };
        let answered = if row.pkts[1] > 0 { " [ASSURED]" } else { " [UNREPLIED]" };
        let gone = c.end() + linger + 400_000;
        lines.push((
            gone,
            format!(
                "[{}]\t[DESTROY] ipv4     2 {name:<8} {number} {go} {} {back} {}{answered} id={id}",
                clock::epoch(gone),
                sum(0),
                sum(1)
            ),
        ));
    }
    lines.sort();
    let text: String = lines.into_iter().map(|(_, l)| l + "\n").collect();
    (text, count)
}
