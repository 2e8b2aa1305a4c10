//! By IPv4 identifications: stacks with one counter for all that they send (Bellovin, "A Technique for Counting NATted Hosts", IMW 2002). Old Windows,
//! printers and embedded systems have it; Linux and today's Windows count by connection or peer, and say nothing here.

use super::{PEERS, Sent};
use crate::model::time::SECOND;
use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;

/// How far a counter goes on between two of its packets that are seen.
const STEP: u16 = 64;
/// A counter that is not seen for so long is another one.
const PATIENCE: i64 = 300 * SECOND;
/// What few packets followed is chance, and is over so soon.
const FEW: u32 = 8;
/// See there.
const SOON: i64 = 10 * SECOND;
/// Packets from which on a sequence counts.
const LEAST: u32 = 50;
/// Connections that it must have: those of stacks that count by connection come near each other by chance, a few of them.
const CONNECTIONS: usize = 8;
/// Share of its packets that must be of another connection than the one before.
const TURNS: f64 = 0.2;
/// Share of all packets that must fit a sequence, above what would by chance.
const FITTING: f64 = 0.5;
/// Two sequences may be one whose packets came to follow the other: only what changes connections for three such times on end is there, and so many
/// of them at once count as are in at least so many such times.
const SLOT: i64 = 120 * SECOND;
/// Changes within one.
const BUSY: u32 = 5;
/// See there.
const SLOTS: usize = 2;
/// A peer, with the ports.
type Connection = (IpAddr, (u16, u16));

/// A sequence of identifications.
struct Sequence {
    packets: u32,
    turns: u32,
    seen: i64,
    before: Connection,
    connections: HashSet<Connection>,
    peers: HashSet<IpAddr>,
    /// Changes of connection, by time.
    slots: Vec<(i64, u32)>,
    /// It is no connection's own.
    is_one: bool,
}

impl Sequence {
    fn new(now: i64, connection: Connection) -> Sequence {
        Sequence {
            packets: 1,
            turns: 0,
            seen: now,
            before: connection,
            connections: HashSet::from([connection]),
            peers: HashSet::from([connection.0]),
            slots: Vec::new(),
            is_one: false,
        }
    }
    fn add(&mut self, now: i64, connection: Connection) {
        self.packets = self.packets.saturating_add(1);
        self.seen = now;
        // What goes on with one connection alone may have become that one's.
        if self.before == connection {
            return;
        }
        self.turns = self.turns.saturating_add(1);
        self.before = connection;
        if self.connections.len() < CONNECTIONS {
            self.connections.insert(connection);
        }
        if self.peers.len() < PEERS {
            self.peers.insert(connection.0);
        }
        let slot = now.div_euclid(SLOT);
        match self.slots.last_mut().filter(|last| last.0 == slot) {
            Some(last) => last.1 = last.1.saturating_add(1),
            None => self.slots.push((slot, 1)),
        }
        self.is_one = self.packets >= LEAST
            && self.peers.len() >= PEERS
            && self.connections.len() >= CONNECTIONS
            && f64::from(self.turns) >= TURNS * f64::from(self.packets);
    }
    fn is_over(&self, now: i64) -> bool {
        now.saturating_sub(self.seen) > if self.packets < FEW { SOON } else { PATIENCE }
    }
}

/// Hosts that were at least there at once; packets in order of time. 0: most identifications follow no counter.
pub fn hosts(packets: &[Sent]) -> usize {
    // Some write the counter in the order of bytes of their processor.
    [false, true].map(|swapped| of(packets, swapped)).into_iter().max().unwrap_or(0)
}

fn of(packets: &[Sent], swapped: bool) -> usize {
    // By the last identification of each.
    let mut live: Vec<Option<Box<Sequence>>> = (0..=u16::MAX).map(|_| None).collect();
    let mut over: Vec<Vec<(i64, u32)>> = Vec::new();
    let (mut all, mut fitting, mut chance) = (0u64, 0u64, 0.0);
    let (mut count, mut swept) = (0usize, i64::MIN);
    for packet in packets.iter().filter(|p| p.ip_id != 0) {
        let id = if swapped { packet.ip_id.swap_bytes() } else { packet.ip_id };
        let now = packet.time.0;
        if now.saturating_sub(swept) >= SOON {
            (swept, count) = (now, 0);
            for place in &mut live {
                if let Some(gone) = place.take_if(|s| s.is_over(now)) {
                    over.extend(Some(gone.slots).filter(|_| gone.is_one));
                }
                count += usize::from(place.is_some());
            }
        }
        let connection = (packet.peer, packet.ports);
        all += 1;
        chance += (count as f64 * f64::from(STEP) / 65_536.0).min(1.0);
        let nearest = (0..=STEP).map(|gap| id.wrapping_sub(gap)).find(|last| live[usize::from(*last)].is_some());
        match nearest.and_then(|last| Some((last, live[usize::from(last)].take()?))) {
            Some((last, mut sequence)) => {
                // The same packet may be captured before and after a router.
                if last == id {
                    all -= 1;
                } else {
                    fitting += 1;
                    sequence.add(now, connection);
                }
                live[usize::from(id)] = Some(sequence);
            }
            None => {
                count += 1;
                live[usize::from(id)] = Some(Box::new(Sequence::new(now, connection)));
            }
        }
    }
    if all == 0 || (fitting as f64 - chance) < FITTING * all as f64 {
        return 0;
    }
    over.extend(live.into_iter().flatten().filter(|s| s.is_one).map(|s| s.slots));
    let mut there: BTreeMap<i64, usize> = BTreeMap::new();
    for slots in over {
        let busy: Vec<i64> = slots.into_iter().filter(|s| s.1 >= BUSY).map(|s| s.0).collect();
        for three in busy.windows(3).filter(|w| w[2] - w[0] == 2) {
            *there.entry(three[1]).or_default() += 1;
        }
    }
    let mut counts: Vec<usize> = there.into_values().collect();
    counts.sort_unstable_by_key(|n| std::cmp::Reverse(*n));
    counts.get(SLOTS - 1).copied().unwrap_or(0)
}
