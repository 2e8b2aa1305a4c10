//! What exporters sent, met in packets: their records are of sources of their own, by exporter and observation domain.

use super::sanity_missed::Missed;
use crate::formats::exports::{Exports, Told};
use crate::formats::{Context, Dates, Status, Zone};
use crate::model::source::Counts;
use crate::model::{EvidenceKey, Oddity, Record, Time};
use crate::protocols::Carried;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// Exporters and observation domains of one capture that are sources of their own; what further ones send is of the last of them.
const MAX_SOURCES: usize = 4096;

/// Takes what is read.
pub trait Taker {
    /// A record of a source, by format and sensor.
    fn record(&mut self, format: &'static str, sensor: &str, record: Record);
    /// Something malformed, at a packet's time and offset.
    fn odd(&mut self, oddity: &Oddity, at: Time, offset: u64);
    /// What was counted of a source.
    fn count(&mut self, format: &'static str, sensor: &str, counts: Counts);
}

/// Reads what packets carry.
pub struct Carrier {
    exports: Exports,
    stem: String,
    sensors: BTreeSet<(&'static str, String)>,
    missed: Missed,
    assumed: BTreeSet<&'static str>,
    /// Time of the last datagram.
    last: Time,
}

impl Carrier {
    /// Of a capture: its evidence, and what its own source is called.
    pub fn new(evidence: EvidenceKey, stem: &str) -> Carrier {
        let context = Context {
            evidence,
            stem: stem.to_owned(),
            zone: Zone::Fixed(0),
            year: None,
            dates: Dates::default(),
            modified: Time(0),
        };
        let exports = Exports::new(&context);
        let (sensors, missed, assumed) = (BTreeSet::new(), Missed::default(), BTreeSet::new());
        Carrier { exports, stem: stem.to_owned(), sensors, missed, assumed, last: Time(0) }
    }
    /// Reads a datagram that came from an address.
    pub fn take(&mut self, carried: &Carried, from: IpAddr, to: &mut dyn Taker) {
        self.last = carried.at.time;
        let told = self.exports.datagram(carried.format, &carried.bytes, from, carried.at.time, carried.at.offset);
        self.give(told, to);
    }
    /// Nothing more comes.
    pub fn end(&mut self, to: &mut dyn Taker) {
        let told = self.exports.end();
        self.give(told, to);
    }
    /// What is to be said of it.
    pub fn warnings(&self) -> Vec<String> {
        let assumed = self.assumed.iter().map(|a| (*a).to_owned());
        self.missed.say().into_iter().chain(assumed).collect()
    }
    fn give(&mut self, told: Vec<Told>, to: &mut dyn Taker) {
        for Told { format, status, out } in told {
            out.losses.iter().for_each(|loss| self.missed.add(loss));
            self.assumed.extend(out.assumed.iter().copied());
            for oddity in &out.oddities {
                to.odd(oddity, self.last, out.unit.offset);
            }
            let mut first = None;
            for read in out.records {
                let sensor = read.sensor.unwrap_or_else(|| self.stem.clone());
                let key = (format, sensor);
                let sensor = if self.sensors.len() < MAX_SOURCES || self.sensors.contains(&key) {
                    self.sensors.insert(key.clone());
                    key.1
                } else {
                    self.sensors.last().map_or(key.1, |(_, last)| last.clone())
                };
                to.record(format, &sensor, read.record);
                first.get_or_insert(sensor);
            }
            let Some(sensor) = first else { continue };
            let mut counts = Counts::default();
            match status {
                Status::Ok => counts.ok = 1,
                Status::Partial => counts.partial = 1,
                Status::Skipped => counts.skipped = 1,
                Status::Failed => counts.failed = 1,
            }
            to.count(format, &sensor, counts);
        }
    }
}
