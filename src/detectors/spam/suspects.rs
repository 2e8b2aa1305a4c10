//! For the time of a spam message that was reported: which hosts outside it most likely came from. Whoever called a mail server of one's own in
//! the five minutes before is ranked by how often, whether new, how short, and what is said of the address.

use super::PORTS;
use crate::detectors::maths::sat;
use crate::model::time::{DAY, SECOND};
use crate::model::{RecordId, Time, Window};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// How long before the report calls count.
const BEFORE: i64 = 300 * SECOND;
/// Bytes of an originator below which nothing but a short message or a refusal was exchanged.
const SHORT: u64 = 2_000;
/// Callers that are held.
const CALLERS: usize = 500_000;
/// Records that are named of one.
const EVIDENCE: usize = 4;

/// A call of a mail server of one's own, as a flow or a log says it.
#[derive(Debug, Clone, Copy)]
pub struct Call {
    /// Who called, from outside.
    pub from: IpAddr,
    /// Its port, 0: not told. Two calls from the same one are the same call, seen on both sides of a translation.
    pub from_port: u16,
    /// The port called.
    pub port: u16,
    /// When.
    pub time: Time,
    /// Application bytes of the caller.
    pub sent: u64,
    /// Refused or broken off.
    pub refused: bool,
    /// The record.
    pub id: RecordId,
}

/// What is known of an address besides its calls.
#[derive(Debug, Clone, Copy, Default)]
pub struct Known {
    /// What reputation says, 0 nothing to 1.
    pub reputation: f64,
    /// Whether its reverse name leads back to it; none: nobody asked, which counts for nothing.
    pub confirmed: Option<bool>,
}

/// A host that the message may have come from.
#[derive(Debug, Clone, PartialEq)]
pub struct Suspect {
    /// The host.
    pub addr: IpAddr,
    /// 0 to 1.
    pub score: f64,
    /// Calls in the window.
    pub calls: u64,
    /// Not seen in the day before its first call in the window, nor earlier.
    pub is_new: bool,
    /// Share of calls that were short or refused.
    pub short: f64,
    /// What speaks for it, in words.
    pub why: Vec<String>,
    /// Some of its calls.
    pub evidence: Vec<RecordId>,
}

#[derive(Default)]
struct Caller {
    first: Option<Time>,
    calls: u64,
    short: u64,
    ports: BTreeSet<u16>,
    evidence: Vec<RecordId>,
}

/// Takes calls in any order and ranks who made them.
pub struct Suspects {
    window: Window,
    callers: BTreeMap<IpAddr, Caller>,
    /// Callers beyond the bound.
    pub beyond: u64,
}

impl Suspects {
    /// For a message reported at a time that is known to within an uncertainty, in nanoseconds.
    pub fn of(reported: Time, uncertainty: i64) -> Suspects {
        let uncertainty = uncertainty.max(0);
        let window = Window::new(reported.plus(-BEFORE), reported.plus(uncertainty.saturating_add(1)));
        Suspects { window, callers: BTreeMap::new(), beyond: 0 }
    }
    /// The time in which calls count; what came before tells whether a caller is new.
    pub fn window(&self) -> Window {
        self.window
    }
    /// Takes a call.
    pub fn take(&mut self, call: &Call) {
        if !PORTS.contains(&call.port) || call.time >= self.window.end {
            return;
        }
        if self.callers.len() >= CALLERS && !self.callers.contains_key(&call.from) {
            self.beyond += 1;
            return;
        }
        let caller = self.callers.entry(call.from).or_default();
        caller.first = Some(caller.first.map_or(call.time, |f| f.min(call.time)));
        let again = call.from_port != 0 && caller.ports.contains(&call.from_port);
        if call.time >= self.window.start && !again {
            caller.ports.insert(call.from_port);
            caller.calls += 1;
            caller.short += u64::from(call.sent < SHORT || call.refused);
            if caller.evidence.len() < EVIDENCE {
                caller.evidence.push(call.id);
            }
        }
    }
    /// The likeliest, those first; `known` says what else is known of an address.
    pub fn rank(&self, most: usize, known: &mut dyn FnMut(IpAddr) -> Known) -> Vec<Suspect> {
        let mut out: Vec<Suspect> = self
            .callers
            .iter()
            .filter(|(_, c)| c.calls > 0)
            .map(|(addr, c)| {
                let is_new = c.first.is_some_and(|f| f >= self.window.end.plus(-DAY));
                let short = c.short as f64 / c.calls as f64;
                let score = 0.35 * sat(c.calls as f64 / 20.0) + if is_new { 0.20 } else { 0.0 } + 0.15 * short;
                Suspect { addr: *addr, score, calls: c.calls, is_new, short, why: Vec::new(), evidence: c.evidence.clone() }
            })
            .collect();
        let sort = |list: &mut Vec<Suspect>| list.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.addr.cmp(&b.addr)));
        sort(&mut out);
        // What is still open adds at most 0.30: who is further behind cannot come to the front.
        let last = most.checked_sub(1).and_then(|n| out.get(n)).map_or(0.0, |s| s.score);
        out.retain(|s| s.score + 0.30 >= last);
        out.truncate(most.saturating_mul(20).max(most));
        for suspect in &mut out {
            let known = known(suspect.addr);
            let unconfirmed = known.confirmed == Some(false);
            suspect.score += 0.15 * sat(known.reputation) + if unconfirmed { 0.15 } else { 0.0 };
            suspect.why.push(format!("{} calls in {} s", suspect.calls, self.window.length() / SECOND));
            if suspect.is_new {
                suspect.why.push("first seen within a day".into());
            }
            if suspect.short > 0.0 {
                suspect.why.push(format!("{:.0} % short or refused", suspect.short * 100.0));
            }
            if known.reputation > 0.0 {
                suspect.why.push(format!("reputation {:.0}", known.reputation * 100.0));
            }
            if unconfirmed {
                suspect.why.push("its reverse name does not lead back to it".into());
            }
        }
        sort(&mut out);
        out.truncate(most);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calls(to: &mut Suspects, from: &str, times: &[i64], sent: u64) {
        for t in times {
            let from = from.parse().unwrap();
            let from_port = 1_000 + (t % 50_000) as u16;
            to.take(&Call { from, from_port, port: 25, time: Time(t * SECOND), sent, refused: false, id: RecordId::default() });
        }
    }

    #[test]
    fn the_ranking_is_by_calls_newness_shortness_reputation_and_name() {
        let at = 10 * 86_400;
        let mut suspects = Suspects::of(Time(at * SECOND), 20 * SECOND);
        // An old partner with as many calls, a newcomer, one that called too early, one after it, one that is listed.
        let often: Vec<i64> = (0..20).map(|n| at - 290 + n * 10).collect();
        calls(&mut suspects, "192.0.2.1", &often, 50_000);
        calls(&mut suspects, "192.0.2.1", &[at - 3 * 86_400], 50_000);
        calls(&mut suspects, "192.0.2.2", &often, 900);
        calls(&mut suspects, "192.0.2.3", &[at - 301], 900);
        calls(&mut suspects, "192.0.2.4", &[at + 21], 900);
        calls(&mut suspects, "192.0.2.5", &[at + 20], 50_000);
        let mut known = |addr: IpAddr| match addr.to_string().as_str() {
            "192.0.2.5" => Known { reputation: 1.0, confirmed: Some(false) },
            _ => Known { reputation: 0.0, confirmed: Some(true) },
        };
        let ranked = suspects.rank(5, &mut known);
        let got: Vec<(String, f64)> = ranked.iter().map(|s| (s.addr.to_string(), (s.score * 1e4).round() / 1e4)).collect();
        let want = [("192.0.2.2", 0.7), ("192.0.2.5", 0.5175), ("192.0.2.1", 0.35)];
        assert_eq!(got, want.map(|(a, s)| (a.to_owned(), s)));
        assert_eq!((ranked[0].evidence.len(), ranked[1].why.len()), (4, 4));
        // Who has the best chance is among the first even where only one is asked for.
        assert_eq!(suspects.rank(1, &mut known)[0].addr.to_string(), "192.0.2.2");
        assert!(suspects.rank(0, &mut known).is_empty());
    }
}
