//! How a running capture does: what it has seen, how fast, and what was lost before it could be seen.

use super::source::SourceId;
use super::time::{SECOND, Time};
use serde::{Deserialize, Serialize};

/// Counters of a capture. As totals since it began, or per second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// Packets.
    pub packets: u64,
    /// Bytes on the wire.
    pub bytes: u64,
    /// Flows that began.
    pub flows: u64,
}

impl Traffic {
    /// Adds other counters to these.
    pub fn add(&mut self, other: &Traffic) {
        self.packets = self.packets.saturating_add(other.packets);
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.flows = self.flows.saturating_add(other.flows);
    }
    /// What came since `before` within so many nanoseconds, per second.
    fn per_second(&self, before: &Traffic, nanoseconds: i64) -> Traffic {
        let rate = |now: u64, then: u64| {
            let more = u128::from(now.saturating_sub(then)).saturating_mul(SECOND.unsigned_abs().into());
            u64::try_from(more / u128::from(nanoseconds.max(1).unsigned_abs())).unwrap_or(u64::MAX)
        };
        Traffic {
            packets: rate(self.packets, before.packets),
            bytes: rate(self.bytes, before.bytes),
            flows: rate(self.flows, before.flows),
        }
    }
}

/// How a line ends that says what became of the packets of a capture, where none was dropped: then it is no warning.
pub const NONE_DROPPED: &str = "none was dropped";

/// Packets that were lost, since the capture began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drops {
    /// By the kernel: its buffer was full (libpcap `ps_drop`, pcapng `isb_osdrop`).
    pub kernel: u64,
    /// By the interface or its driver (libpcap `ps_ifdrop`, pcapng `isb_ifdrop`).
    pub interface: u64,
    /// By the program: between the capture and the case.
    pub pipeline: u64,
}

impl Drops {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.kernel.saturating_add(self.interface).saturating_add(self.pipeline)
    }
    /// Adds other counters to these.
    pub fn add(&mut self, other: &Drops) {
        self.kernel = self.kernel.saturating_add(other.kernel);
        self.interface = self.interface.saturating_add(other.interface);
        self.pipeline = self.pipeline.saturating_add(other.pipeline);
    }
}

/// One interface, or one stream, that is being captured.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveSource {
    /// The source of its records; none: nothing was seen yet.
    pub source: Option<SourceId>,
    /// What is read: the interface's name, or `-`.
    pub name: String,
    /// Since it began.
    pub total: Traffic,
    /// Over the last interval that was measured, per second.
    pub rate: Traffic,
    /// What was lost.
    pub drops: Drops,
    /// Flows that have not ended.
    pub open: u64,
    at: Option<Time>,
}

impl LiveSource {
    /// Of an interface.
    pub fn new(name: impl Into<String>) -> LiveSource {
        LiveSource { name: name.into(), ..LiveSource::default() }
    }
    /// Takes totals as they are at a time (of any clock that goes on evenly), and makes the rate of what came since the last call. What
    /// is told within a tenth of a second of that is left out: so short a time says little of a rate.
    pub fn measure(&mut self, total: Traffic, at: Time) {
        match self.at {
            Some(before) if at.since(before) < SECOND / 10 => return,
            Some(before) => self.rate = total.per_second(&self.total, at.since(before)),
            None => {}
        }
        self.at = Some(at);
        self.total = total;
    }
}

/// A running capture.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveStatus {
    /// Its interfaces.
    pub sources: Vec<LiveSource>,
    /// What is to be known about it besides (the disk is nearly full, packets are not kept), in words; the newest last.
    pub notices: Vec<String>,
}

impl LiveStatus {
    /// Rate of all its interfaces, per second.
    pub fn rate(&self) -> Traffic {
        let mut all = Traffic::default();
        self.sources.iter().for_each(|s| all.add(&s.rate));
        all
    }
    /// Totals of all its interfaces.
    pub fn total(&self) -> Traffic {
        let mut all = Traffic::default();
        self.sources.iter().for_each(|s| all.add(&s.total));
        all
    }
    /// What all its interfaces lost.
    pub fn drops(&self) -> Drops {
        let mut all = Drops::default();
        self.sources.iter().for_each(|s| all.add(&s.drops));
        all
    }
    /// The part of it that gives a source's records.
    pub fn of(&self, source: SourceId) -> Option<&LiveSource> {
        self.sources.iter().find(|s| s.source == Some(source))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_of_what_came_since_the_last_measure() {
        let mut eth = LiveSource::new("eth0");
        let total = |n: u64| Traffic { packets: n, bytes: n * 100, flows: n / 10 };
        eth.measure(total(50), Time(SECOND));
        assert_eq!(eth.rate, Traffic::default());
        eth.measure(total(60), Time(SECOND + SECOND / 20));
        assert_eq!(eth.total, total(50));
        eth.measure(total(250), Time(3 * SECOND));
        assert_eq!((eth.rate, eth.total), (Traffic { packets: 100, bytes: 10_000, flows: 10 }, total(250)));
        let mut status = LiveStatus { sources: vec![eth.clone(), eth], ..LiveStatus::default() };
        status.sources[1].drops = Drops { kernel: 1, interface: 2, pipeline: u64::MAX };
        assert_eq!((status.rate().packets, status.total().flows, status.drops().total()), (200, 50, u64::MAX));
    }
}
