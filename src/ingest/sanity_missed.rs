//! What a sensor or a capturing host says of itself that it missed: counted over a file, said in one sentence where it matters.

use crate::formats::Loss;
use crate::model::Time;
use crate::model::time::SECOND;
use crate::sources::missed;
use std::collections::BTreeMap;

/// Shares below this are what every sensor loses: one in a thousand.
const LEAST: u64 = 1000;
/// Interfaces and things counted that are kept apart.
const APART: usize = 256;

/// What was said so far.
#[derive(Debug, Default)]
pub struct Missed {
    /// By what is counted: missed and of how many, added up; the worst share with its time.
    logs: BTreeMap<&'static str, Tally>,
    /// By interface of a capture: dropped, received.
    interfaces: BTreeMap<u32, (u64, Option<u64>)>,
}

#[derive(Debug, Default)]
struct Tally {
    /// Since the sensor began: the most it said, and what it said before it began anew.
    total: (u64, u64),
    /// Of the times in between.
    sum: (u64, u64),
    worst: Option<(u64, u64, Option<Time>)>,
}

impl Missed {
    /// What a log says.
    pub fn add(&mut self, loss: &Loss) {
        let tally = self.logs.entry(loss.what).or_default();
        if loss.total {
            if loss.of < tally.total.1 {
                // The sensor was started again.
                let before = std::mem::take(&mut tally.total);
                tally.sum = (tally.sum.0.saturating_add(before.0), tally.sum.1.saturating_add(before.1));
            }
            tally.total = (loss.lost, loss.of);
            return;
        }
        tally.sum = (tally.sum.0.saturating_add(loss.lost), tally.sum.1.saturating_add(loss.of));
        let share = |lost: u64, of: u64| lost as f64 / of.max(1) as f64;
        if loss.lost > 0 && tally.worst.is_none_or(|(lost, of, _)| share(loss.lost, loss.of) > share(lost, of)) {
            tally.worst = Some((loss.lost, loss.of, loss.at));
        }
    }
    /// What a capture says.
    pub fn packets(&mut self, said: missed::Missed) {
        if self.interfaces.len() >= APART && !self.interfaces.contains_key(&said.interface) {
            return;
        }
        let seen = self.interfaces.entry(said.interface).or_default();
        *seen = match said.total {
            true => (said.dropped.max(seen.0), said.received.or(seen.1)),
            false => (seen.0.saturating_add(said.dropped), seen.1),
        };
    }
    /// In words.
    pub fn say(&self) -> Vec<String> {
        let mut out = Vec::new();
        let dropped = self.interfaces.values().fold(0u64, |sum, (n, _)| sum.saturating_add(*n));
        if dropped > 0 {
            let received: Option<u64> = self.interfaces.values().try_fold(0u64, |sum, (_, r)| Some(sum.saturating_add((*r)?)));
            let of = received.map_or(String::new(), |n| format!(" of {n} that came"));
            out.push(format!(
                "the capturing host says that it dropped {dropped} packets{of}: they are in no record, and counts of packets and bytes are too low"
            ));
        }
        for (what, tally) in &self.logs {
            let (lost, of) = (tally.sum.0.saturating_add(tally.total.0), tally.sum.1.saturating_add(tally.total.1));
            if lost == 0 || lost.saturating_mul(LEAST) < of {
                continue;
            }
            let worst = tally.worst.filter(|(l, ..)| *l < lost).map_or(String::new(), |(lost, of, at)| {
                let at = at.map_or(String::new(), |t| format!(" at {}", Time(t.0.div_euclid(SECOND).saturating_mul(SECOND))));
                format!(", at worst {}{at}", percent(lost, of))
            });
            out.push(format!(
                "the sensor says that it missed {lost} of {of} {what} ({}{worst}): what it did not see is in no record",
                percent(lost, of)
            ));
        }
        out
    }
}

fn percent(n: u64, of: u64) -> String {
    let share = n as f64 * 100.0 / of.max(1) as f64;
    if share < 10.0 { format!("{share:.1} %") } else { format!("{share:.0} %") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loss(lost: u64, of: u64, total: bool) -> Loss {
        Loss { what: "packets", lost, of, total, at: Some(Time(1_763_625_600 * SECOND + 5)) }
    }

    #[test]
    fn losses_are_added_up_and_counters_are_not() {
        let mut said = Missed::default();
        [loss(0, 1000, false), loss(30, 1000, false), loss(10, 2000, false)].iter().for_each(|l| said.add(l));
        assert_eq!(
            said.say(),
            [
                "the sensor says that it missed 40 of 4000 packets (1.0 %, at worst 3.0 % at 2025-11-20T08:00:00Z): what it did not see is in no record"
            ]
        );
        let mut said = Missed::default();
        [loss(5, 100, true), loss(50, 1000, true), loss(0, 10, true), loss(10, 200, true)].iter().for_each(|l| said.add(l));
        assert!(said.say()[0].contains("missed 60 of 1200 packets (5.0 %)"), "{:?}", said.say());
        let mut said = Missed::default();
        said.add(&loss(1, 5000, false));
        assert_eq!(said.say(), Vec::<String>::new());
    }

    #[test]
    fn drops_of_a_capture_are_those_of_its_interfaces() {
        let mut said = Missed::default();
        let at = |interface, received, dropped, total| missed::Missed {
            interface,
            received,
            dropped,
            by_interface: 0,
            late: 0,
            total,
            at: None,
        };
        [at(0, Some(900), 10, true), at(0, Some(1000), 20, true), at(1, Some(50), 0, true)]
            .into_iter()
            .for_each(|m| said.packets(m));
        assert!(said.say()[0].contains("dropped 20 packets of 1050 that came"), "{:?}", said.say());
        let mut said = Missed::default();
        [at(0, None, 3, false), at(0, None, 4, false)].into_iter().for_each(|m| said.packets(m));
        assert!(said.say()[0].contains("dropped 7 packets:"), "{:?}", said.say());
        let mut none = Missed::default();
        none.packets(at(0, Some(10), 0, true));
        assert!(none.say().is_empty());
    }

    #[test]
    fn counters_of_a_hostile_capture_do_not_overflow() {
        let mut said = Missed::default();
        let at = |interface, received, dropped| missed::Missed {
            interface,
            received,
            dropped,
            by_interface: 0,
            late: 0,
            total: true,
            at: None,
        };
        [at(0, Some(u64::MAX), 1), at(1, Some(1), u64::MAX)].into_iter().for_each(|m| said.packets(m));
        assert!(said.say()[0].contains(&format!("{} packets of {} that came", u64::MAX, u64::MAX)), "{:?}", said.say());
    }
}
