//! Searches: who tries many addresses or many ports and finds little, by the two models of `scan/model.rs`, within a burst (attempts without a pause of
//! five minutes) or spread over a day; what shape the search has, and what answered. Beside it answers to connections that nobody opened, and floods.

mod burst;
mod model;
mod told;

use super::held::Long;
use super::rows::{Event, Flow, Host, Id, Net, Piece, State};
use super::{Day, Detector, Limits, Setting, Watch};
use crate::model::finding::Finding;
use crate::model::time::{DAY, SECOND};
use crate::model::{Kind, SourceId, Time, proto};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The detector.
pub static DETECTOR: Scan = Scan;

/// See the module.
pub struct Scan;

const NAME: &str = "scan";
const SETTINGS: &[Setting] = &[
    Setting { name: "pause", default: 300.0, unit: "s", doc: "A pause so long ends a burst." },
    Setting { name: "hosts", default: 25.0, unit: "", doc: "Addresses tried at one port from which on a search is horizontal." },
    Setting { name: "ports", default: 15.0, unit: "", doc: "Ports tried of one address from which on a search is vertical." },
    Setting { name: "few", default: 10.0, unit: "", doc: "Addresses tried at one port from which on a search is told at all." },
    Setting { name: "missed", default: 0.5, unit: "", doc: "Least share of what was tried at a port that did not answer." },
    Setting {
        name: "probability",
        default: 0.5,
        unit: "",
        doc: "Probability from which on the regression says that it is a search.",
    },
    Setting {
        name: "flood",
        default: 500.0,
        unit: "",
        doc: "Attempts at one address in a burst, nearly all failed, from which on it is a flood.",
    },
];
/// Attempts of a day that are held.
const HELD: usize = 4_000_000;
/// Attempts of a burst that goes on at midnight that are carried into the next day.
const CARRIED: usize = 500_000;
/// Searches that are kept.
const KEPT: usize = 20_000;

impl Detector for Scan {
    fn name(&self) -> &'static str {
        NAME
    }
    fn doc(&self) -> &'static str {
        "Hosts that try many addresses or ports and mostly fail, by threshold random walk (Jung and others, 2004) and logistic regression (Gates and \
         others, 2006) with the constants of SiLK's rwscan."
    }
    fn techniques(&self) -> &'static [&'static str] {
        &["T1046", "T1595"]
    }
    fn settings(&self) -> &'static [Setting] {
        SETTINGS
    }
    fn watch(&self, limits: &Limits) -> Box<dyn Watch> {
        let of = |name| limits.of(NAME, SETTINGS, name);
        Box::new(Searches {
            limits: Thresholds {
                pause: (of("pause").max(1.0) * SECOND as f64) as i64,
                hosts: of("hosts").max(2.0) as usize,
                ports: of("ports").max(2.0) as usize,
                few: of("few").max(4.0) as usize,
                missed: of("missed"),
                probability: of("probability"),
                flood: of("flood").max(11.0) as usize,
            },
            ..Searches::default()
        })
    }
}

/// The thresholds, as set.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Thresholds {
    pause: i64,
    hosts: usize,
    ports: usize,
    few: usize,
    missed: f64,
    probability: f64,
    flood: usize,
}

/// What came of an attempt, the least telling first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Outcome {
    /// A firewall says that it let nothing through.
    Denied,
    /// Nothing.
    Silent,
    /// A refusal.
    Refused,
    /// Not known.
    Unknown,
    /// An answer to what nobody asked.
    Backscatter,
    /// An answer.
    Answered,
}

impl Outcome {
    fn is_miss(self) -> bool {
        self <= Outcome::Refused
    }
}

/// An attempt.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Sample {
    time: Time,
    src: Host,
    dst: Host,
    src_port: u16,
    dst_port: u16,
    proto: u8,
    outcome: Outcome,
    no_ack: bool,
    small: bool,
    payload: bool,
    source: SourceId,
    id: Id,
}

impl Sample {
    fn of_flow(flow: &Flow) -> Sample {
        let tcp = flow.proto == proto::TCP;
        let outcome = match flow.state {
            State::Shr | State::Rstrh if flow.packets_out == 0 && tcp => Outcome::Backscatter,
            State::Rej => Outcome::Refused,
            _ if flow.is_failed() => Outcome::Silent,
            _ if !tcp && flow.is_answered() || flow.is_accepted() => Outcome::Answered,
            _ => Outcome::Unknown,
        };
        // Of an answer to nothing the responder is who sent first.
        let turned = outcome == Outcome::Backscatter;
        let (src, dst) = if turned { (flow.dst, flow.src) } else { (flow.src, flow.dst) };
        let icmp = matches!(flow.proto, proto::ICMP | proto::ICMP6);
        Sample {
            time: flow.start,
            src,
            dst,
            src_port: flow.src_port,
            dst_port: if turned && !icmp { flow.src_port } else { flow.dst_port },
            proto: flow.proto,
            outcome,
            no_ack: outcome.is_miss(),
            small: flow.packets_out < 3,
            payload: flow.packets_out > 0 && flow.bytes_out / u64::from(flow.packets_out) > 60,
            source: flow.source,
            id: flow.id,
        }
    }
    fn of_denial(event: &Event, src: Host, dst: Host) -> Sample {
        Sample {
            time: event.time,
            src,
            dst,
            src_port: event.src_port,
            dst_port: event.dst_port,
            proto: event.proto,
            outcome: Outcome::Denied,
            no_ack: true,
            small: true,
            payload: false,
            source: event.source,
            id: event.id,
        }
    }
}

#[derive(Default, Serialize, Deserialize)]
struct Searches {
    limits: Thresholds,
    samples: Long<Sample>,
    found: BTreeMap<told::Key, told::Found>,
    /// The day has more attempts than can be held.
    full: bool,
    lost: u64,
}

impl Watch for Searches {
    super::resume::kept!();
    fn piece(&mut self, piece: &Piece<'_>) {
        let net = piece.net;
        // Somebody's own address at one end, and one host at either.
        let fits = |src: Host, dst: Host| {
            src != dst && (net.is_home(src) || net.is_home(dst)) && net.is_unicast(src) && net.is_unicast(dst)
        };
        for flow in piece.flows.iter().filter(|f| fits(f.src, f.dst)) {
            self.hold(Sample::of_flow(flow));
        }
        for event in piece.events.iter().filter(|e| e.kind == Kind::Fw && e.proto != 0) {
            if let (Some(src), Some(dst), true) = (event.src, event.dst, event.is_denial(net))
                && fits(src, dst)
            {
                self.hold(Sample::of_denial(event, src, dst));
            }
        }
    }
    fn day(&mut self, day: &Day<'_>) {
        let midnight = Time(i64::from(day.day).saturating_add(1).saturating_mul(DAY));
        self.close(day.net, Some(midnight));
    }
    fn end(mut self: Box<Self>, net: &Net) -> Vec<Finding> {
        self.close(net, None);
        told::findings(&self.found, net, &self.limits, self.lost)
    }
}

impl Searches {
    fn hold(&mut self, sample: Sample) {
        if self.full || self.samples.len() >= HELD {
            if !self.full {
                self.thin();
            }
            // Where little went it is not tried again that day.
            self.full = self.samples.len() > HELD / 4 * 3;
            if self.full {
                self.lost = self.lost.saturating_add(1);
                return;
            }
        }
        self.samples.push(sample);
    }
    /// Makes room: what was tried again with the same end says nothing new.
    fn thin(&mut self) {
        let mut samples = self.samples.take();
        let before = samples.len();
        samples.sort_unstable_by_key(|s| (s.src, s.proto, s.dst, s.dst_port, s.outcome, s.time));
        samples.dedup_by_key(|s| (s.src, s.proto, s.dst, s.dst_port, s.outcome));
        self.lost = self.lost.saturating_add((before - samples.len()) as u64);
        self.samples.extend(samples);
    }
    /// Judges everything that is held. A burst that may go on after midnight waits for the next day.
    fn close(&mut self, net: &Net, midnight: Option<Time>) {
        self.full = false;
        let mut samples = self.samples.take();
        samples.sort_unstable_by_key(|s| (s.src, s.proto, s.time, s.dst, s.dst_port));
        let pause = self.limits.pause;
        for of_source in samples.chunk_by(|a, b| (a.src, a.proto) == (b.src, b.proto)) {
            let mut found = false;
            let mut waiting = 0;
            for burst in of_source.chunk_by(|a, b| b.time.since(a.time) <= pause) {
                let (first, last) = (burst.first().map_or(Time::MIN, |s| s.time), burst.last().map_or(Time::MIN, |s| s.time));
                let waits = midnight.is_some_and(|m| m.since(last) <= pause && m.since(first) < DAY)
                    && self.samples.len().saturating_add(burst.len()) <= CARRIED;
                if waits {
                    waiting = burst.len();
                    self.samples.extend(burst.iter().copied());
                } else {
                    found |= self.judge(net, burst, false);
                }
            }
            let (judged, _) = of_source.split_at(of_source.len().saturating_sub(waiting));
            if !found && !judged.is_empty() {
                self.judge(net, judged, true);
            }
        }
    }
    fn judge(&mut self, net: &Net, burst: &[Sample], slow: bool) -> bool {
        let Some((key, found)) = burst::judge(net, burst, slow, &self.limits) else { return false };
        if self.found.len() >= KEPT && !self.found.contains_key(&key) {
            self.lost = self.lost.saturating_add(found.proof.rows);
            return true;
        }
        self.found.entry(key).or_default().join(found);
        true
    }
}

#[cfg(test)]
mod tests;
