//! What an exporter's observation domain has said of itself: templates, sampling, names of interfaces and applications, numbering of events.
//!
//! Bounded: what a stranger sends may not take more memory than the numbers here.

use super::bytes::uint;
use super::forms;
use super::nat::Numbering;
use super::templates::{Spec, Template};
use super::times::millis;
use crate::formats::draft::Draft;
use crate::model::time::Time;
use hashbrown::HashMap;
use std::cell::Cell;

/// Templates of one observation domain.
const TEMPLATES: usize = 4_096;
/// Names of interfaces, and of applications, of one.
const NAMES: usize = 16_384;
/// Samplers of one.
const SAMPLERS: usize = 1_024;
/// Longest name, and what one takes with what is around it.
const LONGEST: usize = 256;
const NAME: usize = 384;

/// How packets were sampled.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(in crate::formats) struct Sampling {
    /// The sampler or selector that it is of.
    pub id: Option<u64>,
    /// One packet of so many.
    pub one_in: Option<f64>,
    /// Its algorithm, by number (`samplingAlgorithm`, `samplerMode`) or by that of PSAMP (`selectorAlgorithm`).
    algorithm: Option<(bool, u64)>,
    interval: Option<u64>,
    space: Option<u64>,
    size: Option<u64>,
    population: Option<u64>,
}

impl Sampling {
    /// Takes an element that is about sampling.
    pub(in crate::formats) fn take(&mut self, id: u16, n: u64) -> bool {
        match id {
            34 | 50 => self.one_in = Some(n as f64).filter(|_| n > 0).or(self.one_in),
            35 | 49 => self.algorithm = Some((false, n)).filter(|_| n > 0).or(self.algorithm),
            304 => self.algorithm = Some((true, n)),
            48 | 302 => self.id = Some(n),
            305 => self.interval = Some(n),
            306 => self.space = Some(n),
            309 => self.size = Some(n),
            310 => self.population = Some(n),
            _ => return false,
        }
        // RFC 5477, 8.2: so many packets are taken, so many are passed over; or so many of a population.
        if let (Some(interval), Some(space)) = (self.interval.filter(|i| *i > 0), self.space) {
            self.one_in = Some((interval as f64 + space as f64) / interval as f64);
        } else if let (Some(size), Some(population)) = (self.size.filter(|s| *s > 0), self.population) {
            self.one_in = Some(population as f64 / size as f64);
        }
        true
    }
    fn is_told(&self) -> bool {
        self.one_in.is_some()
    }
    /// Keeps it with a record. Whether there was any.
    pub fn keep(&self, d: &mut Draft) -> bool {
        if let Some(id) = self.id.filter(|id| *id > 0) {
            d.keep_json("sampling.id", &id.to_string());
        }
        let Some(one_in) = self.one_in.filter(|n| *n > 1.0) else { return false };
        d.keep_json("sampling.interval", &one_in.to_string());
        let word = match self.algorithm {
            Some((false, 1)) => "deterministic",
            Some((false, 2)) => "random",
            Some((true, 1)) => "systematic count-based",
            Some((true, 2)) => "systematic time-based",
            Some((true, 3)) => "random n-out-of-N",
            Some((true, 4)) => "uniform probabilistic",
            Some((_, n)) => {
                d.keep_json("sampling.algorithm", &n.to_string());
                ""
            }
            None => "",
        };
        d.keep("sampling.algorithm", word);
        true
    }
}

/// What is known of an observation domain.
#[derive(Default)]
pub(in crate::formats) struct State {
    templates: HashMap<u16, Template>,
    samplers: HashMap<u64, Sampling>,
    interfaces: HashMap<u64, String>,
    applications: HashMap<String, String>,
    /// When its exporter began.
    pub began: Option<Time>,
    /// How it numbers events of translation.
    pub numbering: Cell<Numbering>,
}

/// Bytes, about, that the states of all observation domains may still take.
pub(in crate::formats) struct Room(pub usize);

impl Room {
    fn take(&mut self, bytes: usize) -> bool {
        let left = self.0.checked_sub(bytes);
        self.0 = left.unwrap_or(self.0);
        left.is_some()
    }
}

impl State {
    /// A template.
    pub fn template(&self, id: u16) -> Option<&Template> {
        self.templates.get(&id)
    }
    /// Takes a template. False: there is no room.
    pub fn learn(&mut self, id: u16, template: Template, room: &mut Room) -> bool {
        self.forget(id, room);
        let fits = self.templates.len() < TEMPLATES && room.take(size(&template));
        if fits {
            self.templates.insert(id, template);
        }
        fits
    }
    /// Forgets a template.
    pub fn forget(&mut self, id: u16, room: &mut Room) {
        room.0 += self.templates.remove(&id).map_or(0, |old| size(&old));
    }
    /// Forgets all of data, or all of options.
    pub fn forget_all(&mut self, options: bool, room: &mut Room) {
        self.templates.retain(|_, t| {
            let kept = (t.scope > 0) != options;
            room.0 += if kept { 0 } else { size(t) };
            kept
        });
    }
    /// The name of an interface.
    pub fn interface(&self, number: u64) -> Option<&str> {
        self.interfaces.get(&number).map(String::as_str)
    }
    /// The name of an application.
    pub fn application(&self, number: &str) -> Option<&str> {
        if number.is_empty() { None } else { self.applications.get(number).map(String::as_str) }
    }
    /// How a record was sampled: as it says itself, as its sampler is described, or as the whole domain is.
    pub fn sampling(&self, own: &Sampling) -> Sampling {
        if own.is_told() {
            return *own;
        }
        match own.id {
            Some(0) => *own,
            Some(id) => self.samplers.get(&id).copied().unwrap_or(*own),
            // A sampler that is the only one is that of records which name none.
            None => {
                let only = || self.samplers.values().next().filter(|_| self.samplers.len() == 1);
                self.samplers.get(&0).or_else(only).copied().unwrap_or(*own)
            }
        }
    }
    /// Learns from a record of options.
    pub fn options(&mut self, values: &[(Spec, &[u8])], room: &mut Room) {
        let (mut sampling, mut interface, mut name, mut app, mut app_name) = (Sampling::default(), None, None, None, None);
        for (spec, bytes) in values {
            let word = || {
                let text = String::from_utf8_lossy(bytes);
                let text = text.trim_end_matches('\0').trim();
                Some(text[..text.floor_char_boundary(LONGEST)].to_owned()).filter(|t| !t.is_empty())
            };
            let number = uint(bytes);
            match (spec.is_scope9, spec.enterprise, spec.id) {
                (true, _, 2) | (false, 0, 10 | 14 | 252 | 253) => interface = interface.or(number),
                (true, ..) => {}
                (false, 0, 82) => name = word(),
                (false, 0, 83) => name = name.or_else(word),
                (false, 0, 95) => app = forms::application(bytes),
                (false, 0, 96) => app_name = word(),
                (false, 0, 160) => self.began = number.map(millis),
                (false, 0, id) => _ = number.is_some_and(|n| sampling.take(id, n)),
                _ => {}
            }
        }
        if let (Some(number), Some(name)) = (interface, name)
            && (self.interfaces.contains_key(&number) || self.interfaces.len() < NAMES && room.take(NAME))
        {
            self.interfaces.insert(number, name);
        }
        if let (Some(app), Some(name)) = (app, app_name)
            && (self.applications.contains_key(&app) || self.applications.len() < NAMES && room.take(NAME))
        {
            self.applications.insert(app, name.to_lowercase());
        }
        let id = sampling.id.unwrap_or(0);
        if sampling.is_told() && (self.samplers.contains_key(&id) || self.samplers.len() < SAMPLERS && room.take(NAME)) {
            self.samplers.insert(id, sampling);
        }
    }
}

fn size(template: &Template) -> usize {
    64 + std::mem::size_of_val(template.fields.as_slice())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sampling_is_said_in_several_ways() {
        let said = |all: &[(u16, u64)]| {
            let mut s = Sampling::default();
            assert!(all.iter().all(|(id, n)| s.take(*id, *n)));
            s.one_in
        };
        assert_eq!(said(&[(34, 1000), (35, 2)]), Some(1000.0));
        assert_eq!(said(&[(48, 3), (49, 2), (50, 64)]), Some(64.0));
        assert_eq!(said(&[(304, 1), (305, 1), (306, 999)]), Some(1000.0));
        assert_eq!(said(&[(304, 3), (309, 2), (310, 5)]), Some(2.5));
        assert_eq!(said(&[(34, 0)]), None);
    }

    #[test]
    fn options_name_interfaces_applications_and_samplers() {
        let spec = |id, is_scope9| Spec { id, enterprise: 0, length: 4, is_scope9 };
        let (mut state, mut room) = (State::default(), Room(10_000));
        state
            .options(&[(spec(2, true), &[0, 0, 0, 7]), (spec(82, false), b"Gi0/7\0\0"), (spec(83, false), b"uplink")], &mut room);
        assert_eq!(state.interface(7), Some("Gi0/7"));
        state.options(&[(spec(95, false), &[3, 0, 0, 80]), (spec(96, false), b"HTTP")], &mut room);
        assert_eq!(state.application("3:80"), Some("http"));
        state.options(&[(spec(48, false), &[2]), (spec(50, false), &[0, 100])], &mut room);
        assert_eq!(state.sampling(&Sampling { id: Some(2), ..Sampling::default() }).one_in, Some(100.0));
        assert_eq!(state.sampling(&Sampling::default()).one_in, Some(100.0));
        // What it says later counts for those that name none as well.
        state.options(&[(spec(48, false), &[2]), (spec(50, false), &[0, 200])], &mut room);
        assert_eq!(state.sampling(&Sampling::default()).one_in, Some(200.0));
        // A record that says that no sampler was at work.
        assert_eq!(state.sampling(&Sampling { id: Some(0), ..Sampling::default() }).one_in, None);
    }
}
