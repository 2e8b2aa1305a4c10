//! What to do with wrong checksums: some captures see packets before the network card filled them in, or were anonymised without
//! correcting them; then wrong checksums say nothing. Judged per sender: a wrong checksum is believed to be damage (and the packet left
//! out of its flow) only where that host's checksums are otherwise right.
//!
//! Of VXLAN and Geneve the outer checksum may be 0, but if not it must be right, and a datagram that fails is dropped where the tunnel ends
//! (RFC 7348 section 4.1, RFC 8926 section 3.3). There the card is the explanation only once many failed.

use super::key::{Octets, address, octets};
use crate::protocols::layers::{Checksum, Conversation};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use std::net::IpAddr;

/// Hosts whose checksums are counted; of others wrong checksums are accepted.
const MAX_HOSTS: usize = 65_536;

/// Datagrams of such tunnels of a sender that must be wrong before that is put down to its network card.
const PLAIN: u32 = 10;

/// How checksums are treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Checksums {
    /// Wrong ones count unless more than a fifth of the sender's are wrong, or they are what offload leaves.
    #[default]
    Auto,
    /// Wrong ones count.
    Check,
    /// Not looked at.
    Ignore,
}

impl Checksums {
    /// Every way by its name.
    pub const ALL: [(&str, Checksums); 3] =
        [("auto", Checksums::Auto), ("check", Checksums::Check), ("ignore", Checksums::Ignore)];

    /// The one with a name; of another the default.
    pub fn named(name: &str) -> Checksums {
        Checksums::ALL.iter().find(|c| c.0 == name).map_or_else(Checksums::default, |c| c.1)
    }
    /// Its name.
    pub fn name(self) -> &'static str {
        Checksums::ALL.iter().find(|c| c.1 == self).map_or("", |c| c.0)
    }
}

/// Counts of one sender.
#[derive(Debug, Clone, Copy, Default)]
struct Count {
    good: u32,
    bad: u32,
    /// Left as a network card finds them.
    offloaded: u32,
    /// Of the wrong ones, datagrams of a tunnel with a rule of its own.
    carrying: u32,
}

/// Senders and their checksums.
#[derive(Debug, Default)]
pub struct Senders {
    counts: HashMap<(Octets, bool), Count, FixedState>,
}

/// The verdict on a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It belongs to its flow.
    Take,
    /// It belongs to its flow, though its checksum is wrong.
    TakeWrong,
    /// It is damaged: noted in the history, otherwise left out.
    Leave,
}

/// More than a fifth are wrong.
fn too_many(bad: u32, good: u32) -> bool {
    bad.saturating_mul(4) > good
}

impl Senders {
    /// Every sender with a wrong checksum: its address, how many were wrong, how many were looked at.
    pub fn wrong(&self) -> Vec<(IpAddr, u64, u64)> {
        let wrong = self.counts.iter().filter(|(_, count)| count.bad > 0 || count.offloaded > 0);
        let mut all: Vec<_> = wrong
            .map(|((octets, four), c)| {
                let bad = u64::from(c.bad) + u64::from(c.offloaded);
                (address(octets, *four), bad, bad + u64::from(c.good))
            })
            .collect();
        all.sort();
        all
    }

    /// Judges a packet.
    pub fn judge(&mut self, c: &Conversation<'_>, how: Checksums) -> Verdict {
        if how == Checksums::Ignore {
            return Verdict::Take;
        }
        let sum = c.checksum();
        match (how, sum) {
            (_, Checksum::Unknown) => return Verdict::Take,
            (Checksums::Check, Checksum::Good) => return Verdict::Take,
            (Checksums::Check, _) => return Verdict::Leave,
            _ => {}
        }
        let key = (octets(c.src), c.src.is_ipv4());
        if self.counts.len() >= MAX_HOSTS && !self.counts.contains_key(&key) {
            return if sum == Checksum::Good { Verdict::Take } else { Verdict::TakeWrong };
        }
        let count = self.counts.entry(key).or_default();
        if sum == Checksum::Good {
            count.good = count.good.saturating_add(1);
            return Verdict::Take;
        }
        if matches!(c.carries, Some("vxlan" | "geneve")) {
            count.carrying = count.carrying.saturating_add(1);
            count.bad = count.bad.saturating_add(1);
            let offload = count.carrying > PLAIN && too_many(count.carrying, count.good);
            return if offload { Verdict::TakeWrong } else { Verdict::Leave };
        }
        if sum == Checksum::Offloaded {
            count.offloaded = count.offloaded.saturating_add(1);
            return Verdict::TakeWrong;
        }
        count.bad = count.bad.saturating_add(1);
        if too_many(count.bad - count.carrying, count.good) { Verdict::TakeWrong } else { Verdict::Leave }
    }
}
