//! Made-up hosts behind an address, whose stacks count as stacks do: the bound is never above their number.

use super::*;
use crate::model::time::SECOND;
use std::collections::HashMap;
use std::net::Ipv4Addr;

/// xorshift64*: the same on every machine.
struct Chance(u64);

impl Chance {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % n
    }
}

/// What a host's stack counts by.
#[derive(Clone, Copy, PartialEq)]
enum Stack {
    /// One counter and one clock for all that it sends.
    Global,
    /// A counter by connection and a clock by peer, each from anywhere: Linux.
    Apart,
    /// Identifications by chance, no timestamps.
    Chance,
}

/// Half an hour of hosts behind an address.
fn behind(stacks: &[Stack], seed: u64) -> Vec<Sent> {
    let mut chance = Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut out = Vec::new();
    for (host, stack) in stacks.iter().enumerate() {
        let mut id = chance.below(65_536) as u16;
        let clock = chance.below(1 << 32);
        let rate = [1_000, 100, 250][host % 3];
        let skew = 1.0 + (chance.below(100) as f64 - 50.0) * 1e-6;
        let mut peers: HashMap<u64, u64> = HashMap::new();
        let mut open: Vec<(u64, u16, u16)> = Vec::new();
        let mut at = chance.below(2_000) as i64;
        while at < 1_800_000 {
            if open.len() < 4 || chance.below(12) == 0 {
                open.insert(0, (chance.below(40), chance.below(60_000) as u16, chance.below(65_536) as u16));
                open.truncate(6);
            }
            let one = chance.below(open.len() as u64) as usize;
            let (peer, port, own) = &mut open[one];
            for _ in 0..=chance.below(6) {
                id = id.wrapping_add(1 + u16::from(chance.below(9) == 0));
                *own = own.wrapping_add(1);
                let ticks = (at as f64 * skew * rate as f64 / 1_000.0) as u64;
                let offset = *peers.entry(*peer).or_insert_with(|| chance.below(1 << 32));
                let (ip_id, tsval) = match stack {
                    Stack::Global => (id, Some(clock.wrapping_add(ticks) as u32)),
                    Stack::Apart => (*own, Some(offset.wrapping_add(ticks) as u32)),
                    Stack::Chance => (chance.below(65_536) as u16, None),
                };
                let peer = Ipv4Addr::from(0xc633_6400 + *peer as u32).into();
                out.push(Sent { time: Time(at * (SECOND / 1_000)), peer, ports: (*port, 443), ip_id, tsval });
                at += 1 + chance.below(9) as i64;
            }
            at += chance.below(1_500) as i64;
        }
    }
    out.sort_by_key(|p| p.time);
    out
}

#[test]
fn the_bound_is_never_above_the_truth_and_counters_are_all_found() {
    for seed in 0..3 {
        for hosts in 1..=10usize {
            // Half of them count for all that they send.
            let of = |n: usize| if n.is_multiple_of(2) { Stack::Global } else { Stack::Apart };
            let stacks: Vec<Stack> = (0..hosts).map(of).collect();
            let packets = behind(&stacks, seed * 16 + hosts as u64);
            let (ids, stamps) = (identifications::hosts(&packets), timestamps::hosts(&packets));
            assert!(ids <= hosts && stamps <= hosts, "{ids} and {stamps} of {hosts}, seed {seed}");
            assert!(ids.max(stamps) >= hosts.div_ceil(2), "{ids} and {stamps} of {hosts}, seed {seed}");
        }
    }
}

#[test]
fn stacks_that_begin_anew_for_each_peer_or_by_chance_say_nothing() {
    for seed in 0..6 {
        for stack in [Stack::Apart, Stack::Chance] {
            for hosts in [1, 4, 9] {
                let packets = behind(&vec![stack; hosts], 1_000 + seed);
                assert_eq!((identifications::hosts(&packets), timestamps::hosts(&packets)), (0, 0), "{hosts}, seed {seed}");
            }
        }
    }
}

#[test]
fn a_counter_in_the_other_order_and_packets_seen_twice_are_one_host() {
    let mut packets = behind(&[Stack::Global], 7);
    packets.iter_mut().for_each(|p| p.ip_id = p.ip_id.swap_bytes());
    assert_eq!(identifications::hosts(&packets), 1);
    let twice: Vec<Sent> = behind(&[Stack::Global, Stack::Global], 8).into_iter().flat_map(|p| [p, p]).collect();
    assert_eq!((identifications::hosts(&twice), timestamps::hosts(&twice)), (2, 2));
}

#[test]
fn a_host_that_starts_anew_is_one_and_nothing_is_no_panic() {
    let mut packets = behind(&[Stack::Global], 3);
    let mut later = behind(&[Stack::Global], 4);
    later.iter_mut().for_each(|p| p.time = p.time.plus(1_900 * SECOND));
    packets.append(&mut later);
    assert_eq!((identifications::hosts(&packets), timestamps::hosts(&packets)), (1, 1));
    assert_eq!((identifications::hosts(&[]), timestamps::hosts(&[])), (0, 0));
    let edge = |time| Sent { time, peer: Ipv4Addr::LOCALHOST.into(), ports: (0, 0), ip_id: 9, tsval: Some(u32::MAX) };
    let edges = [edge(Time(i64::MIN)), edge(Time(0)), edge(Time(i64::MAX))];
    assert_eq!((identifications::hosts(&edges), timestamps::hosts(&edges)), (0, 0));
}
