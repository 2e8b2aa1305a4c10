//! When does a flow end without a packet that says so? Timeouts by profile, and a queue of deadlines on packet time.

use crate::model::proto;
use crate::model::time::{SECOND, Time};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A table of timeouts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Profile {
    /// Zeek's: one row per connection.
    #[default]
    Zeek,
    /// Suricata's defaults.
    Suricata,
    /// SiLK's (YAF): long flows are cut after 30 minutes.
    Silk,
}

/// Timeouts in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// TCP before the handshake is complete.
    pub tcp_new: i64,
    /// TCP after it.
    pub tcp_established: i64,
    /// TCP towards a service that is often idle (21, 22, 23, 513), or recognised as ssh or ftp.
    pub tcp_patient: i64,
    /// After both sides closed.
    pub tcp_close: i64,
    /// Idle with one side closed and the other silent.
    pub tcp_linger: i64,
    /// A SYN that nobody answers; 0 for none.
    pub tcp_attempt: i64,
    /// UDP seen from one side.
    pub udp_new: i64,
    /// UDP seen from both.
    pub udp_established: i64,
    /// ICMP seen from one side.
    pub icmp_new: i64,
    /// ICMP seen from both.
    pub icmp_established: i64,
    /// Any other protocol.
    pub other: i64,
    /// A flow longer than this is cut; 0 for none.
    pub active: i64,
    /// IP fragments that wait for the rest.
    pub fragments: i64,
}

impl Profile {
    /// Every profile by its name.
    pub const ALL: [(&str, Profile); 3] = [("zeek", Profile::Zeek), ("suricata", Profile::Suricata), ("silk", Profile::Silk)];

    /// The one with a name; of another the default.
    pub fn named(name: &str) -> Profile {
        Profile::ALL.iter().find(|p| p.0 == name).map_or_else(Profile::default, |p| p.1)
    }
    /// Its name.
    pub fn name(self) -> &'static str {
        Profile::ALL.iter().find(|p| p.1 == self).map_or("", |p| p.0)
    }

    /// The table.
    pub fn timeouts(self) -> Timeouts {
        let s = |n: i64| n * SECOND;
        match self {
            Profile::Zeek => Timeouts {
                tcp_new: s(60),
                tcp_established: s(300),
                tcp_patient: s(3600),
                tcp_close: s(5),
                tcp_linger: s(5),
                tcp_attempt: s(5),
                udp_new: s(60),
                udp_established: s(60),
                icmp_new: s(60),
                icmp_established: s(60),
                other: s(60),
                active: 0,
                fragments: s(30),
            },
            Profile::Suricata => Timeouts {
                tcp_new: s(60),
                tcp_established: s(600),
                tcp_patient: s(600),
                tcp_close: s(60),
                tcp_linger: s(60),
                tcp_attempt: 0,
                udp_new: s(30),
                udp_established: s(300),
                icmp_new: s(30),
                icmp_established: s(300),
                other: s(30),
                active: 0,
                fragments: s(30),
            },
            Profile::Silk => Timeouts {
                tcp_new: s(300),
                tcp_established: s(300),
                tcp_patient: s(300),
                tcp_close: 0,
                tcp_linger: s(300),
                tcp_attempt: 0,
                udp_new: s(300),
                udp_established: s(300),
                icmp_new: s(300),
                icmp_established: s(300),
                other: s(300),
                active: s(1800),
                fragments: s(30),
            },
        }
    }
}

impl Timeouts {
    /// Idle time after which a flow without TCP state ends.
    pub fn idle(&self, protocol: u8, both_sides: bool) -> i64 {
        match (protocol, both_sides) {
            (proto::UDP, false) => self.udp_new,
            (proto::UDP, true) => self.udp_established,
            (proto::ICMP | proto::ICMP6, false) => self.icmp_new,
            (proto::ICMP | proto::ICMP6, true) => self.icmp_established,
            _ => self.other,
        }
    }
}

/// Deadlines, earliest first; of equal ones the first set. An entry whose generation is not its flow's any more is void.
#[derive(Debug, Default)]
pub struct Deadlines {
    heap: BinaryHeap<Reverse<(Time, u64, u32, u32)>>,
    serial: u64,
}

impl Deadlines {
    /// Sets a deadline of a flow.
    pub fn set(&mut self, at: Time, slot: u32, generation: u32) {
        self.serial += 1;
        self.heap.push(Reverse((at, self.serial, slot, generation)));
    }
    /// Takes the earliest deadline that is not after `now`.
    pub fn pop(&mut self, now: Time) -> Option<(Time, u32, u32)> {
        let Reverse((at, _, slot, generation)) = *self.heap.peek()?;
        if at > now {
            return None;
        }
        self.heap.pop();
        Some((at, slot, generation))
    }
}
