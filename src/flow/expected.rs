//! Connections that another one announced, as FTP announces those that carry its files: known by the end that will be called. Bounded in
//! number and in time; of announcements of one end the newest counts.

use crate::model::time::{SECOND, Time};
use crate::protocols::{Expect, Parser};
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

/// Announcements that wait.
const MAX_WAITING: usize = 4096;
/// How long after its announcement a connection is still the one.
const PATIENCE: i64 = 300 * SECOND;

/// Address, port, IANA protocol number.
pub type End = (IpAddr, u16, u8);

/// What an announcement says: what the connection carries, and what reads it.
pub type Announced = (&'static str, Box<dyn Parser>);

/// Announcements that wait for their connection.
#[derive(Default)]
pub struct Expected {
    waiting: HashMap<End, (Announced, Time)>,
    order: VecDeque<(End, Time)>,
}

impl std::fmt::Debug for Expected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Expected").field("waiting", &self.waiting.len()).finish_non_exhaustive()
    }
}

impl Expected {
    /// Takes announcements.
    pub fn note(&mut self, announced: &mut Vec<Expect>, now: Time) {
        for Expect { address, port, proto, carries, parser } in announced.drain(..) {
            let end = (address, port, proto);
            self.waiting.insert(end, ((carries, parser), now));
            self.order.push_back((end, now));
            while self.order.len() > MAX_WAITING {
                let Some((oldest, since)) = self.order.pop_front() else { break };
                if self.waiting.get(&oldest).is_some_and(|w| w.1 == since) {
                    self.waiting.remove(&oldest);
                }
            }
        }
    }

    /// What a new connection to an end was announced to carry.
    pub fn take(&mut self, end: End, now: Time) -> Option<Announced> {
        if self.waiting.is_empty() {
            return None;
        }
        let (announced, since) = self.waiting.remove(&end)?;
        (now.since(since) <= PATIENCE).then_some(announced)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::proto::{TCP, UDP};
    use crate::protocols::{At, Out, Side};

    struct Deaf;
    impl Parser for Deaf {
        fn data(&mut self, _: Side, _: &[u8], _: At, _: &mut Out) {}
    }

    #[test]
    fn an_announcement_is_taken_once_in_time_and_their_number_is_bounded() {
        let ip = IpAddr::from([10, 0, 0, 1]);
        let mut expected = Expected::default();
        for port in 0..=MAX_WAITING as u16 {
            let expect = Expect { address: ip, port, proto: TCP, carries: "ftp-data", parser: Box::new(Deaf) };
            expected.note(&mut vec![expect], Time(0));
        }
        assert_eq!((expected.waiting.len(), expected.order.len()), (MAX_WAITING, MAX_WAITING));
        let mut take = |port, proto, now| expected.take((ip, port, proto), Time(now)).map(|(name, _)| name);
        assert_eq!(take(0, TCP, 1), None);
        assert_eq!(take(7, UDP, 1), None);
        assert_eq!(take(7, TCP, 1), Some("ftp-data"));
        assert_eq!(take(7, TCP, 1), None);
        assert_eq!(take(8, TCP, PATIENCE + 1), None);
    }
}
