//! Calls at a beat: how regular the connections of a host to an address, and to a name, are within a day of UTC, by the formulae of RITA v5; and whether
//! they have a beat that the formulae miss. What happens on several days is one finding, and so is what many hosts do.
//!
//! Connections that failed are left out (retries look like a beat), as is what comes from outside. Calls within the home networks, to clocks and to resolvers
//! are told, but as what they most likely are. With `exact` set nothing but the formulae decides.

mod rita;
mod series;
mod spectrum;

use super::held::Long;
use super::history::Crowd;
use super::rows::{Flow, Host, Id, Net, Piece, Word};
use super::{Day, Detector, Limits, Setting, Watch};
use crate::model::finding::Finding;
use crate::model::time::{DAY, SECOND};
use crate::model::{Kind, SourceId, Time, proto};
use rita::Score;
pub use rita::bucket;
use serde::{Deserialize, Serialize};
use series::{Series, Subject};
use std::collections::HashMap;

/// The detector.
pub static DETECTOR: Beacon = Beacon;

/// See the module.
pub struct Beacon;

const NAME: &str = "beacon";
const SETTINGS: &[Setting] = &[
    Setting { name: "score", default: 0.75, unit: "", doc: "Least score of a day by RITA's formulae." },
    Setting { name: "regular", default: 0.8, unit: "", doc: "Least score of the intervals alone." },
    Setting {
        name: "chance",
        default: 1e-6,
        unit: "",
        doc: "Greatest probability that a beat is there by chance, where the score is less.",
    },
    Setting { name: "rare", default: 0.02, unit: "", doc: "Share of the hosts up to which whom they call is rare." },
    Setting { name: "common", default: 0.5, unit: "", doc: "Share of the hosts from which on whom they call is common." },
    Setting {
        name: "shared",
        default: 4.0,
        unit: "",
        doc: "From so many hosts on that call the same at a beat it is one finding.",
    },
    Setting {
        name: "span",
        default: 120.0,
        unit: "s",
        doc: "What is over sooner is a burst, however even: logins of a script, questions of a page.",
    },
    Setting { name: "exact", default: 0.0, unit: "", doc: "1: only RITA's formulae, with failed connections and whole seconds." },
];
/// Connections of a day that are held.
const HELD: usize = 5_000_000;
/// Series that are kept of all days.
const SERIES: usize = 50_000;
/// Series of a day whose spectrum is looked at.
const SPECTRA: usize = 2_000;
/// Fewest connections of those, and seconds from the first to the last.
const SPECTRUM_LEAST: usize = 24;
const SPECTRUM_SPAN: f64 = 3_600.0;
/// Pairs of hosts, clients and addresses of which something is kept besides.
const KEPT: usize = 200_000;
/// Parts of a second that times within a day are kept in.
const TICKS: f64 = 20_000.0;
/// A beat quicker than this is measured in parts of a second.
const FINE: f64 = 10.0;

impl Detector for Beacon {
    fn name(&self) -> &'static str {
        NAME
    }
    fn doc(&self) -> &'static str {
        "Connections of a home host to an address or a name that come at a beat, by the formulae of RITA v5 (intervals, sizes, spread over the day, \
         duration), or by a periodogram where these miss it."
    }
    fn techniques(&self) -> &'static [&'static str] {
        &["T1071.001", "T1573"]
    }
    fn settings(&self) -> &'static [Setting] {
        SETTINGS
    }
    fn watch(&self, limits: &Limits) -> Box<dyn Watch> {
        let of = |name| limits.of(NAME, SETTINGS, name);
        Box::new(Beacons {
            limits: Thresholds {
                score: of("score"),
                regular: of("regular"),
                chance: of("chance"),
                rare: of("rare"),
                common: of("common"),
                shared: of("shared").max(2.0) as usize,
                span: of("span"),
                exact: of("exact") != 0.0,
            },
            ..Beacons::default()
        })
    }
}

/// The thresholds, as set.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Thresholds {
    score: f64,
    regular: f64,
    chance: f64,
    rare: f64,
    common: f64,
    shared: usize,
    span: f64,
    exact: bool,
}

/// A connection of the day.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Sample {
    src: Host,
    dst: Host,
    name: Word,
    /// When in the day, in parts of a second.
    tick: u32,
    bytes: u32,
    port: u16,
    proto: u8,
    source: SourceId,
    id: Id,
}

impl Sample {
    fn seconds(&self) -> f64 {
        f64::from(self.tick) / TICKS
    }
}

/// Who was called, over all days.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Called {
    /// The day on which it was called first, 0: never.
    first_day: i32,
    /// The last.
    last_day: i32,
    /// Most hosts that called it on one day.
    hosts: u32,
}

impl Called {
    fn on(&mut self, day: i32, hosts: u32) {
        self.first_day = if self.first_day == 0 { day } else { self.first_day };
        self.last_day = day;
        self.hosts = self.hosts.max(hosts);
    }
}

/// What else is known of two hosts.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Fact {
    /// Fingerprint of the client.
    agent: Word,
    /// It sent HTTP without saying to whom.
    nameless: bool,
}

/// Grows a table so that a place is in it.
fn at<T: Clone + Default>(table: &mut Vec<T>, place: u32) -> Option<&mut T> {
    let place = place as usize;
    if table.len() <= place {
        table.resize(place + 1, T::default());
    }
    table.get_mut(place)
}

#[derive(Default, Serialize, Deserialize)]
struct Beacons {
    limits: Thresholds,
    samples: Long<Sample>,
    /// First and last start of any flow of the day.
    within: Option<(Time, Time)>,
    /// The same of the case.
    span: Option<(Time, Time)>,
    /// By host and by name.
    called: Vec<Called>,
    called_names: Vec<Called>,
    /// Whether a home host has opened a connection, by host.
    talks: Vec<bool>,
    talking: Crowd,
    series: HashMap<(Host, Subject), Series, foldhash::fast::RandomState>,
    facts: HashMap<(Host, Host), Fact, foldhash::fast::RandomState>,
    /// The first hosts that use a fingerprint.
    agents: HashMap<Word, Vec<Host>, foldhash::fast::RandomState>,
    /// What name an address was the answer for, last.
    names: HashMap<Host, Word, foldhash::fast::RandomState>,
    /// The day has more connections than can be held.
    full: bool,
    /// Connections and series that there was no room for.
    lost: u64,
}

impl Watch for Beacons {
    super::resume::kept!();
    fn piece(&mut self, piece: &Piece<'_>) {
        let net = piece.net;
        for flow in piece.flows {
            let (first, last) = self.within.unwrap_or((flow.start, flow.start));
            self.within = Some((first.min(flow.start), last.max(flow.start)));
            if !net.is_home(flow.src) || !net.is_unicast(flow.src) || !net.is_unicast(flow.dst) {
                continue;
            }
            if let Some(talks) = at(&mut self.talks, flow.src.0).filter(|t| !**t) {
                *talks = true;
                self.talking.add(net, flow.src);
            }
            let icmp = matches!(flow.proto, proto::ICMP | proto::ICMP6);
            if flow.src != flow.dst && !icmp && (self.limits.exact || !flow.is_failed()) {
                self.hold(flow);
            }
        }
        for event in piece.events {
            let (Some(src), Some(dst)) = (event.src, event.dst) else { continue };
            let tls = event.kind == Kind::Tls && event.agent.is_some();
            let nameless = event.kind == Kind::Http && !event.name.is_some();
            let room = self.facts.len() < KEPT || self.facts.contains_key(&(src, dst));
            if !(tls || nameless) || !net.is_home(src) || net.is_home(dst) || !room {
                continue;
            }
            let fact = self.facts.entry((src, dst)).or_default();
            fact.nameless |= nameless;
            if tls {
                fact.agent = event.agent;
                if self.agents.len() < KEPT || self.agents.contains_key(&event.agent) {
                    let users = self.agents.entry(event.agent).or_default();
                    if users.len() < 8 && !users.contains(&src) {
                        users.push(src);
                    }
                }
            }
        }
        for query in piece.queries.iter().filter(|q| q.name.is_some()) {
            for answer in &query.answers {
                if self.names.len() < KEPT || self.names.contains_key(answer) {
                    self.names.insert(*answer, query.name);
                }
            }
        }
    }
    fn day(&mut self, day: &Day<'_>) {
        self.full = false;
        let Some((first, last)) = self.within.take() else { return };
        let (begin, end) = self.span.unwrap_or((first, last));
        self.span = Some((begin.min(first), end.max(last)));
        let midnight = i64::from(day.day).saturating_mul(DAY);
        let since = |t: Time| t.0.saturating_sub(midnight) as f64 / SECOND as f64;
        let window = if self.limits.exact { (since(first).floor(), since(last).floor()) } else { (since(first), since(last)) };
        let mut samples = self.samples.take();
        let mut spectra = SPECTRA;
        samples.sort_unstable_by_key(|s| (s.dst, s.src, s.tick));
        for of_dst in samples.chunk_by(|a, b| a.dst == b.dst) {
            let mut hosts = Crowd::default();
            for pair in of_dst.chunk_by(|a, b| a.src == b.src) {
                if let Some(one) = pair.first() {
                    hosts.add(day.net, one.src);
                    self.judge((one.src, Subject::Host(one.dst)), pair, day, window, &mut spectra);
                }
            }
            if let Some(called) = of_dst.first().and_then(|s| at(&mut self.called, s.dst.0)) {
                called.on(day.day, hosts.count());
            }
        }
        samples.retain(|s| s.name.is_some());
        samples.sort_unstable_by_key(|s| (s.name, s.src, s.tick));
        for of_name in samples.chunk_by(|a, b| a.name == b.name) {
            let mut hosts = Crowd::default();
            for pair in of_name.chunk_by(|a, b| a.src == b.src) {
                if let Some(one) = pair.first() {
                    hosts.add(day.net, one.src);
                    self.judge((one.src, Subject::Name(one.name)), pair, day, window, &mut spectra);
                }
            }
            if let Some(called) = of_name.first().and_then(|s| at(&mut self.called_names, s.name.0)) {
                called.on(day.day, hosts.count());
            }
        }
    }
    fn end(self: Box<Self>, net: &Net) -> Vec<Finding> {
        series::findings(&self, net)
    }
}

impl Beacons {
    fn hold(&mut self, flow: &Flow) {
        if self.full || self.samples.len() >= HELD {
            if !self.full {
                self.thin();
            }
            // Where little went it is not tried again that day.
            self.full = self.samples.len() > HELD / 4 * 3;
            if self.full {
                self.lost += 1;
                return;
            }
        }
        let into_day = flow.start.0.rem_euclid(DAY) as f64 / SECOND as f64;
        self.samples.push(Sample {
            src: flow.src,
            dst: flow.dst,
            name: flow.name,
            tick: (into_day * TICKS) as u32,
            bytes: u32::try_from(flow.bytes_out).unwrap_or(u32::MAX),
            port: flow.dst_port,
            proto: flow.proto,
            source: flow.source,
            id: flow.id,
        });
    }
    /// Makes room: pairs with the fewest connections go first, as no beat of a full day has so few.
    fn thin(&mut self) {
        let mut samples = self.samples.take();
        let before = samples.len();
        samples.sort_unstable_by_key(|s| (s.dst, s.src, s.tick));
        for least in [3, 6, 12] {
            let stays = samples.chunk_by(|a, b| (a.dst, a.src) == (b.dst, b.src)).filter(|c| c.len() > least);
            self.samples = stays.flatten().copied().collect();
            if self.samples.len() < HELD / 4 * 3 {
                break;
            }
        }
        self.lost = self.lost.saturating_add((before - self.samples.len()) as u64);
    }
    /// Scores what a host did with a subject on a day, in order of time, and keeps it if it passes.
    fn judge(&mut self, key: (Host, Subject), pair: &[Sample], day: &Day<'_>, window: (f64, f64), spectra: &mut usize) {
        if pair.len() < 4 {
            return;
        }
        let limits = self.limits;
        let times: Vec<f64> = pair.iter().map(Sample::seconds).collect();
        let span = times.last().zip(times.first()).map_or(0.0, |(last, first)| last - first);
        let known = self.series.contains_key(&key);
        // The rest of a series after midnight may be short.
        if !limits.exact && !known && span < limits.span {
            return;
        }
        let sizes: Vec<f64> = pair.iter().map(|s| f64::from(s.bytes)).collect();
        let mut scored = rita::score(&times, &sizes, window, false);
        if !limits.exact && pair.len() < rita::STROBE && scored.is_none_or(|s| s.period < FINE) {
            scored = rita::score(&times, &sizes, window, true);
        }
        let Some(score) = scored else { return };
        let strobe = pair.len() >= rita::STROBE;
        // A day that is a little less regular belongs to a series that is there already.
        let least = if known && !limits.exact { limits.score - 0.15 } else { limits.score };
        let passes = score.score >= least && (limits.exact || strobe || score.ts >= limits.regular);
        let mut beat = None;
        let long = pair.len() >= SPECTRUM_LEAST && span >= SPECTRUM_SPAN;
        if !limits.exact && !strobe && score.ts >= 0.5 && long && (passes || *spectra > 0) {
            *spectra = spectra.saturating_sub(1);
            beat = spectrum::beat(&times, score.period).filter(|b| b.chance < limits.chance);
        }
        if !passes && beat.is_none() {
            return;
        }
        if !known && self.series.len() >= SERIES {
            self.lost += 1;
            return;
        }
        let series = self.series.entry(key).or_default();
        series.add(day.day, &Judged { score, beat, strobe }, pair);
    }
}

/// A day of a series.
struct Judged {
    score: Score,
    beat: Option<spectrum::Beat>,
    strobe: bool,
}

#[cfg(test)]
mod tests;
