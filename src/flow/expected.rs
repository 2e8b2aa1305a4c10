//! Connections that another one announced, as FTP announces those that carry its files: known by the end that will be called. Bounded in
//! number and in time; of announcements of one end the newest counts.

use crate::model::proto;
use crate::model::time::{SECOND, Time};
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

/// Announcements that wait.
const MAX_WAITING: usize = 4096;
/// How long after its announcement a connection is still the one.
const PATIENCE: i64 = 300 * SECOND;

type End = (IpAddr, u16);

/// Announcements that wait for their connection.
#[derive(Debug, Default)]
pub struct Expected {
    waiting: HashMap<End, (&'static str, Time)>,
    order: VecDeque<(End, Time)>,
}

impl Expected {
    /// Takes announcements.
    pub fn note(&mut self, announced: &mut Vec<(IpAddr, u16, &'static str)>, now: Time) {
        for (address, port, name) in announced.drain(..) {
            let end = (address, port);
            self.waiting.insert(end, (name, now));
            self.order.push_back((end, now));
            while self.order.len() > MAX_WAITING {
                let Some((oldest, since)) = self.order.pop_front() else { break };
                if self.waiting.get(&oldest).is_some_and(|w| w.1 == since) {
                    self.waiting.remove(&oldest);
                }
            }
        }
    }

    /// What a new TCP connection to an end was announced to carry.
    pub fn take(&mut self, end: End, protocol: u8, now: Time) -> Option<&'static str> {
        if protocol != proto::TCP || self.waiting.is_empty() {
            return None;
        }
        let (name, since) = self.waiting.remove(&end)?;
        (now.since(since) <= PATIENCE).then_some(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_announcement_is_taken_once_in_time_and_their_number_is_bounded() {
        let ip = IpAddr::from([10, 0, 0, 1]);
        let mut expected = Expected::default();
        for port in 0..=MAX_WAITING as u16 {
            expected.note(&mut vec![(ip, port, "ftp-data")], Time(0));
        }
        assert_eq!((expected.waiting.len(), expected.order.len()), (MAX_WAITING, MAX_WAITING));
        assert_eq!(expected.take((ip, 0), proto::TCP, Time(1)), None);
        assert_eq!(expected.take((ip, 7), proto::UDP, Time(1)), None);
        assert_eq!(expected.take((ip, 7), proto::TCP, Time(1)), Some("ftp-data"));
        assert_eq!(expected.take((ip, 7), proto::TCP, Time(1)), None);
        assert_eq!(expected.take((ip, 8), proto::TCP, Time(PATIENCE + 1)), None);
    }
}
