//! How far the records go back, and since when each host is known: what is new can only be said where there is an old.

use super::rows::{Flow, Host, Net};
use crate::model::time::{DAY, SECOND};
use crate::model::{SourceId, Time};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::net::IpAddr;

/// The past of the records.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct History {
    first: Option<Time>,
    last: Time,
    /// Days of UTC with flows, in order.
    days: Vec<i32>,
    /// Seconds since the first flow at which a home host first said something, by host; 0: never.
    said: Vec<u32>,
    /// Since when each source records.
    sources: HashMap<SourceId, Time, foldhash::fast::RandomState>,
}

/// Days before an instant that count as its past.
const RECENT: i32 = 30;

/// Sources that are told apart.
const SOURCES: usize = 4_096;

impl History {
    /// Takes a flow.
    pub fn flow(&mut self, net: &Net, flow: &Flow) {
        let first = *self.first.get_or_insert(flow.start);
        self.last = self.last.max(flow.start);
        if self.days.last().is_none_or(|today| flow.start.day() > *today) {
            self.days.push(flow.start.day());
        }
        if self.sources.len() < SOURCES {
            self.sources.entry(flow.source).or_insert(flow.start);
        }
        // Who is only asked and never answers need not be there.
        let answers = Some(flow.dst).filter(|_| flow.is_answered());
        for host in [Some(flow.src), answers].into_iter().flatten().filter(|h| net.is_home(*h) && net.is_unicast(*h)) {
            let place = host.0 as usize;
            if self.said.len() <= place {
                self.said.resize(place + 1, 0);
            }
            if let Some(said) = self.said.get_mut(place).filter(|s| **s == 0) {
                *said = u32::try_from(flow.start.since(first) / SECOND + 1).unwrap_or(u32::MAX);
            }
        }
    }
    /// The last flow of all.
    pub fn last(&self) -> Time {
        self.last
    }
    /// Days of UTC with flows so far.
    pub fn days(&self) -> i32 {
        i32::try_from(self.days.len()).unwrap_or(i32::MAX)
    }
    /// Nanoseconds of records before an instant: of the thirty days before it those that have flows. What was recorded years ago says nothing of what
    /// is new today.
    pub fn before(&self, time: Time) -> i64 {
        let today = time.day();
        let from = self.days.partition_point(|d| *d < today.saturating_sub(RECENT));
        let until = self.days.partition_point(|d| *d < today);
        let watched = i64::try_from(until.saturating_sub(from)).unwrap_or(i64::MAX).saturating_mul(DAY);
        self.first.map_or(0, |first| time.since(first).max(0)).min(watched)
    }
    /// When a home host first said something.
    pub fn since(&self, host: Host) -> Option<Time> {
        let said = self.said.get(host.0 as usize).copied().filter(|s| *s > 0)?;
        Some(self.first?.plus(i64::from(said - 1).saturating_mul(SECOND)))
    }
    /// Whether a home host was known so long before an instant.
    pub fn knew(&self, host: Host, time: Time, days: f64) -> bool {
        self.since(host).is_some_and(|since| time.since(since).min(self.before(time)) as f64 >= days * DAY as f64)
    }
    /// Whether sources began to record less than so many days before an instant: what they saw then may be old.
    pub fn are_young(&self, sources: &[SourceId], time: Time, days: f64) -> bool {
        let old = |s: &SourceId| self.sources.get(s).is_none_or(|began| time.since(*began) as f64 >= days * DAY as f64);
        !sources.iter().any(old)
    }
    /// Home hosts that have said something.
    pub fn hosts(&self) -> usize {
        self.said.iter().filter(|s| **s > 0).count()
    }
}

/// Home hosts that are counted once each. Where some have addresses that are translated on their way out, those with public ones are what these are
/// translated to, and repeat what they do.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Crowd {
    inner: u32,
    public: u32,
}

impl Crowd {
    /// Takes a host that was not taken before.
    pub fn add(&mut self, net: &Net, host: Host) {
        *(if is_inner(net.addr(host)) { &mut self.inner } else { &mut self.public }) += 1;
    }
    /// How many there are.
    pub fn count(&self) -> u32 {
        if self.inner > 0 { self.inner } else { self.public }
    }
}

/// Whether an address is one that is translated on its way out (RFC 1918, RFC 4193, RFC 6598).
pub fn is_inner(addr: IpAddr) -> bool {
    match addr {
        IpAddr::V4(a) => a.is_private() || u32::from(a) >> 22 == u32::from_be_bytes([100, 64, 0, 0]) >> 22,
        IpAddr::V6(a) => a.segments().first().is_some_and(|s| s & 0xfe00 == 0xfc00),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detectors::trial::{FRIDAY, Trial};

    #[test]
    fn hosts_are_known_since_they_speak_and_sources_since_they_record() {
        let mut trial = Trial::new();
        trial.flow(FRIDAY as f64, "10.0.0.1", "10.0.0.2", 80);
        trial.unanswered((FRIDAY + 60) as f64, "10.0.0.1", "10.0.0.3", 80);
        trial.flow((FRIDAY + 86_400) as f64, "10.0.0.3", "192.0.2.1", 80).source = SourceId(9);
        let mut history = History::default();
        trial.flows.iter().for_each(|f| history.flow(&trial.net, f));
        let at = |seconds: i64| Time((FRIDAY + seconds) * SECOND);
        let host = |addr: &str| trial.net.find(addr.parse().unwrap()).unwrap();
        assert_eq!((history.since(host("10.0.0.2")), history.since(host("10.0.0.3"))), (Some(at(0)), Some(at(86_400))));
        assert_eq!((history.since(host("192.0.2.1")), history.days(), history.hosts()), (None, 2, 3));
        assert!(history.knew(host("10.0.0.1"), at(2 * 86_400), 2.0) && !history.knew(host("10.0.0.3"), at(2 * 86_400), 2.0));
        assert!(history.are_young(&[SourceId(9)], at(2 * 86_400), 2.0));
        assert!(!history.are_young(&[SourceId(1), SourceId(9)], at(2 * 86_400), 2.0));
        // A year without records is no past.
        assert_eq!((history.before(at(2 * 86_400)), history.before(at(400 * 86_400))), (2 * DAY, 0));
    }

    #[test]
    fn translated_hosts_are_counted_once() {
        let mut trial = Trial::new();
        let mut crowd = Crowd::default();
        for (addr, count) in
            [("198.51.100.2", 1), ("198.51.100.3", 2), ("10.0.0.1", 1), ("100.127.0.1", 2), ("fd00::1", 3), ("2001:db8::1", 3)]
        {
            let host = trial.host(addr);
            crowd.add(&trial.net, host);
            assert_eq!(crowd.count(), count, "{addr}");
        }
    }
}
