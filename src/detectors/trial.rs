//! Detectors in tests: rows made by hand, given as a case would give them.

use super::curves::Gather;
use super::reconcile::Known;
use super::rows::{Event, Flow, Host, Net, Piece, Query, State, Word};
use super::{Day, Detector, Limits, Site};
use crate::model::finding::Finding;
use crate::model::time::DAY;
use crate::model::{EvidenceKey, Kind, RecordId, SourceId, Time, proto};
use std::net::IpAddr;

/// 2026-11-20T08:00:00Z, a Friday.
pub const FRIDAY: i64 = 1_795_161_600;

/// Rows, and what their numbers stand for. Addresses of 10.0.0.0/8 are home.
#[derive(Default)]
pub struct Trial {
    /// What the numbers stand for.
    pub net: Net,
    /// Flows.
    pub flows: Vec<Flow>,
    /// Events.
    pub events: Vec<Event>,
    /// Questions of DNS.
    pub queries: Vec<Query>,
    /// What is stated, for detectors that compare.
    pub known: Known,
    next: u64,
}

impl Trial {
    /// Nothing yet.
    pub fn new() -> Trial {
        Trial::default()
    }
    /// A host by its address.
    pub fn host(&mut self, addr: &str) -> Host {
        let home = |a: IpAddr| matches!(a, IpAddr::V4(a) if a.octets()[0] == 10);
        self.net.host(addr.parse().unwrap(), &home).unwrap()
    }
    fn id(&mut self) -> super::rows::Id {
        self.next += 1;
        self.net.id(RecordId { evidence: EvidenceKey(1), offset: self.next, ordinal: 0 })
    }
    /// A TCP connection that was set up and ended, as far as nothing else is set: seconds since 1970, originator, responder and port.
    pub fn flow(&mut self, at: f64, src: &str, dst: &str, port: u16) -> &mut Flow {
        let (src, dst, id) = (self.host(src), self.host(dst), self.id());
        let start = Time((at * 1e9) as i64);
        self.flows.push(Flow {
            start,
            end: start.plus(1_000_000_000),
            src,
            dst,
            src_port: 40_000 + (self.next % 20_000) as u16,
            dst_port: port,
            proto: proto::TCP,
            state: State::SF,
            bytes_out: 600,
            bytes_in: 1_200,
            payload_out: 400,
            payload_in: 1_000,
            packets_out: 5,
            packets_in: 5,
            source: SourceId(1),
            id,
            ..Flow::default()
        });
        self.flows.last_mut().unwrap()
    }
    /// One that was asked for and never answered.
    pub fn unanswered(&mut self, at: f64, src: &str, dst: &str, port: u16) -> &mut Flow {
        let flow = self.flow(at, src, dst, port);
        *flow = Flow {
            state: State::S0,
            end: flow.start,
            bytes_out: 60,
            packets_out: 1,
            bytes_in: 0,
            packets_in: 0,
            payload_out: 0,
            payload_in: 0,
            ..*flow
        };
        flow
    }
    /// A text.
    pub fn word(&mut self, text: &str) -> Word {
        self.net.word(text)
    }
    /// An event without anything but its ends.
    pub fn event(&mut self, kind: Kind, at: f64, src: &str, dst: &str, port: u16) -> &mut Event {
        let (src, dst, id) = (self.host(src), self.host(dst), self.id());
        let time = Time((at * 1e9) as i64);
        self.events.push(Event {
            kind,
            time,
            end: time,
            src: Some(src),
            dst: Some(dst),
            nat_dst: None,
            src_port: 0,
            dst_port: port,
            proto: proto::TCP,
            severity: None,
            action: Word::NONE,
            rule: Word::NONE,
            name: Word::NONE,
            agent: Word::NONE,
            reply: Word::NONE,
            source: SourceId(2),
            id,
        });
        self.events.last_mut().unwrap()
    }
    /// A question with its answer: name, type, reply code, addresses.
    pub fn query(&mut self, at: f64, client: &str, name: &str, kind: &str, reply: &str, answers: &[&str]) {
        let (client, id) = (self.host(client), self.id());
        let answers = answers.iter().map(|a| self.host(a)).collect();
        let (name, kind, reply) = (self.word(name), self.word(kind), self.word(reply));
        let time = Time((at * 1e9) as i64);
        self.queries.push(Query { time, client, server: None, name, kind, reply, answers, source: SourceId(3), id });
    }
    /// What is stated, which is taken, and what was seen.
    pub fn site(&mut self) -> Site {
        let mut known = std::mem::take(&mut self.known);
        known.close();
        let mut site = Site::new(known);
        site.piece(&Piece { net: &self.net, flows: &self.flows, events: &self.events, queries: &self.queries });
        site
    }
    /// What a detector finds in the rows with its defaults, in order of time and host.
    pub fn found(&mut self, detector: &dyn Detector) -> Vec<Finding> {
        self.found_by(detector, &Limits::new())
    }
    /// The same with thresholds.
    pub fn found_by(&mut self, detector: &dyn Detector, limits: &Limits) -> Vec<Finding> {
        self.flows.sort_by_key(|f| f.start);
        self.events.sort_by_key(|e| e.time);
        self.queries.sort_by_key(|q| q.time);
        let times = || {
            self.flows
                .iter()
                .map(|f| f.start)
                .chain(self.events.iter().map(|e| e.time))
                .chain(self.queries.iter().map(|q| q.time))
        };
        let mut watch = detector.watch(limits);
        let mut curves = detector.reads_curves().then(Gather::default);
        if let (Some(first), Some(last)) = (times().min(), times().max()) {
            for day in first.day()..=last.day() {
                let (from, until) = (Time(i64::from(day) * DAY), Time((i64::from(day) + 1) * DAY));
                fn part<T>(list: &[T], time: impl Fn(&T) -> Time, from: Time, until: Time) -> &[T] {
                    &list[list.partition_point(|x| time(x) < from)..list.partition_point(|x| time(x) < until)]
                }
                let piece = Piece {
                    net: &self.net,
                    flows: part(&self.flows, |f| f.start, from, until),
                    events: part(&self.events, |e| e.time, from, until),
                    queries: part(&self.queries, |q| q.time, from, until),
                };
                watch.piece(&piece);
                if let Some(curves) = &mut curves {
                    curves.piece(&piece);
                }
                watch.day(&Day { net: &self.net, day });
            }
        }
        self.net.curves = curves.map(|c| c.finish(&self.net));
        let mut found = watch.end(&self.net);
        if detector.compares() {
            found.extend(detector.compare(&self.site(), &self.net, limits));
        }
        found.sort_by_key(|f| (f.window.start, f.host));
        found
    }
}

/// Traffic of an office that ends on Friday, 2026-11-20, at 24:00 UTC, so many days long: 24 hosts that work from 8 to 18 on workdays, a server that
/// works always. A little noise, always the same.
pub fn weeks(days: i64) -> Trial {
    let mut trial = Trial::new();
    let mut random = crate::model::synthetic::Random::new(20_261_120);
    let end = FRIDAY + 16 * 3600;
    for bin in (end - days * 86_400) / 300..end / 300 {
        let (day, hour) = ((bin / 288 + 3) % 7, bin % 288 / 12);
        let office = day < 5 && (8..18).contains(&hour);
        for n in 0..12u64 {
            let at = (bin * 300) as f64 + n as f64 * 25.0 + random.unit() * 20.0;
            trial.flow(at, "10.0.0.2", &format!("198.51.100.{}", 1 + random.below(6)), 443).bytes_out = 3_000 + random.below(800);
        }
        if office {
            for n in 0..24u64 * 2 {
                let at = (bin * 300) as f64 + n as f64 * 6.0 + random.unit() * 5.0;
                let port = [443, 443, 443, 80, 53, 993][random.below(6) as usize];
                let to = format!("198.51.100.{}", 1 + random.below(40));
                trial.flow(at, &format!("10.0.0.{}", 3 + n % 24), &to, port).bytes_out = 1_000 + random.below(4_000);
            }
        }
    }
    trial
}
