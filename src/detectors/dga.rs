//! Names made by a program: a client that in a short time asks for many domains that do not exist and that nobody would have chosen. Programs
//! that make names of words escape it.

mod model;
mod words;

use super::domains::Domains;
use super::held::Sweep;
use super::maths::sat;
use super::rows::{Host, Id, Net, Piece, Query, Word};
use super::shown::{counted, some};
use super::{Detector, Limits, Setting, Watch};
use crate::model::finding::{EVIDENCE, Finding, span};
use crate::model::time::SECOND;
use crate::model::{SourceId, Time};
use model::MODEL;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};

/// The detector.
pub static DETECTOR: Dga = Dga;

/// See the module.
pub struct Dga;

const NAME: &str = "dga";
const SETTINGS: &[Setting] = &[
    Setting { name: "domains", default: 20.0, unit: "", doc: "Different domains that do not exist, within the window." },
    Setting { name: "window", default: 600.0, unit: "s", doc: "Length of the window." },
    Setting {
        name: "share",
        default: 0.01,
        unit: "",
        doc: "The mean of their likeness is below that of this share of chosen names.",
    },
];
/// What is held: questions of a client's window, domains of a finding, clients.
const RECENT: usize = 4_096;
const OF_ONE: usize = 20_000;
const CLIENTS: usize = 200_000;
/// Names that are shown.
const SHOWN: usize = 4;

impl Detector for Dga {
    fn name(&self) -> &'static str {
        NAME
    }
    fn doc(&self) -> &'static str {
        "At least 20 different domains that do not exist, asked for by one client within ten minutes, whose pairs of letters are on the whole less likely than those of 99 % of names that people choose; with what was answered meanwhile."
    }
    fn techniques(&self) -> &'static [&'static str] {
        &["T1568.002"]
    }
    fn settings(&self) -> &'static [Setting] {
        SETTINGS
    }
    fn watch(&self, limits: &Limits) -> Box<dyn Watch> {
        let of = |name| limits.of(NAME, SETTINGS, name);
        Box::new(Bursts {
            least: of("domains").max(2.0) as usize,
            window: (of("window") * SECOND as f64) as i64,
            limit: MODEL.below(of("share")),
            domains: Likeness::default(),
            clients: HashMap::default(),
            sweep: Sweep::default(),
            done: Vec::new(),
            servers: HashSet::new(),
        })
    }
}

/// How much domains look like names that were chosen, by their number: nothing is said of those whose label is too short, or that are reverse names.
#[derive(Default, Serialize, Deserialize)]
struct Likeness {
    domains: Domains,
    means: Vec<Option<f64>>,
}

impl Likeness {
    /// The domain of a name, if something is said of it.
    fn of(&mut self, net: &Net, name: Word) -> Option<u32> {
        let number = self.domains.of(net, name)?;
        // Numbers are given one after the other.
        for next in self.means.len()..=number as usize {
            let domain = self.domains.text(next as u32);
            let label = domain.split_once('.').filter(|(_, rest)| !rest.is_empty() && *rest != "arpa").map(|(label, _)| label);
            self.means.push(label.and_then(|l| MODEL.mean(l)));
        }
        self.means.get(number as usize).copied().flatten().map(|_| number)
    }
    fn mean(&self, n: u32) -> f64 {
        self.means.get(n as usize).copied().flatten().unwrap_or(0.0)
    }
    fn text(&self, n: u32) -> &str {
        self.domains.text(n)
    }
}

#[derive(Default, Serialize, Deserialize)]
struct Client {
    recent: VecDeque<(Time, u32, Id, SourceId)>,
    /// Of the window: how often each domain was asked for, and the sum of the likeness of all of them.
    counts: HashMap<u32, u32>,
    sum: f64,
    burst: Option<Burst>,
}

/// A time in which a client asks like this.
#[derive(Serialize, Deserialize)]
struct Burst {
    first: Time,
    last: Time,
    /// The window with the most domains: how many, and their mean.
    peak: (usize, f64),
    domains: BTreeSet<u32>,
    /// Domains that look like the others and were answered: when, and by which record.
    answered: BTreeMap<u32, (Time, Id)>,
    questions: u64,
    ids: Vec<Id>,
    sources: BTreeSet<SourceId>,
}

#[derive(Serialize, Deserialize)]
struct Bursts {
    least: usize,
    window: i64,
    limit: f64,
    domains: Likeness,
    clients: HashMap<Host, Client, foldhash::fast::RandomState>,
    sweep: Sweep,
    done: Vec<(Host, Burst)>,
    servers: HashSet<Host>,
}

impl Watch for Bursts {
    super::resume::kept!();
    fn piece(&mut self, piece: &Piece<'_>) {
        for query in piece.queries {
            if let Some(server) = query.server {
                self.servers.insert(server);
            }
            if piece.net.is_home(query.client) {
                match piece.net.text(query.reply) {
                    "NXDOMAIN" => self.missing(piece.net, query),
                    "NOERROR" if !query.answers.is_empty() => self.answered(piece.net, query),
                    _ => {}
                }
            }
        }
    }
    fn end(mut self: Box<Self>, net: &Net) -> Vec<Finding> {
        let mut all = std::mem::take(&mut self.done);
        all.extend(self.clients.drain().filter_map(|(host, client)| client.burst.map(|b| (host, b))));
        all.sort_by_key(|(host, b)| (*host, b.first));
        // Who asks for others shows what they do: where one of them is found at the time it is not the one.
        let others: Vec<(Time, Time)> =
            all.iter().filter(|(h, _)| !self.servers.contains(h)).map(|(_, b)| (b.first, b.last)).collect();
        let window = self.window;
        all.retain(|(host, b)| {
            !self.servers.contains(host) || !others.iter().any(|o| o.0 <= b.last.plus(window) && o.1 >= b.first.plus(-window))
        });
        let mut out = Vec::new();
        for day in all.chunk_by(|a, b| (a.0, a.1.first.day()) == (b.0, b.1.first.day())) {
            let bursts: Vec<&Burst> = day.iter().map(|d| &d.1).collect();
            out.extend(day.first().and_then(|(host, _)| self.finding(*host, &bursts, net)));
        }
        out
    }
}

impl Bursts {
    fn missing(&mut self, net: &Net, query: &Query) {
        let Some(domain) = self.domains.of(net, query.name) else { return };
        let (now, window) = (query.time, self.window);
        if self.clients.len() >= CLIENTS && !self.clients.contains_key(&query.client) {
            if self.sweep.is_due(CLIENTS) {
                self.clients.retain(|_, c| c.burst.is_some() || c.recent.back().is_some_and(|r| now.since(r.0) <= window));
            }
            // All of them are at it: the newest has to wait.
            if self.clients.len() >= CLIENTS {
                return;
            }
        }
        let client = self.clients.entry(query.client).or_default();
        client.recent.push_back((now, domain, query.id, query.source));
        let count = client.counts.entry(domain).or_insert(0);
        *count += 1;
        if *count == 1 {
            client.sum += self.domains.mean(domain);
        }
        while client.recent.len() > RECENT || client.recent.front().is_some_and(|r| now.since(r.0) > window) {
            let Some((_, old, ..)) = client.recent.pop_front() else { break };
            if let Some(count) = client.counts.get_mut(&old) {
                *count -= 1;
                if *count == 0 {
                    client.counts.remove(&old);
                    client.sum -= self.domains.mean(old);
                }
            }
        }
        if let Some(over) = client.burst.take_if(|b| now.since(b.last) > window) {
            self.done.push((query.client, over));
        }
        let different = client.counts.len();
        let mean = client.sum / different.max(1) as f64;
        let is_burst = different >= self.least && mean < self.limit;
        match &mut client.burst {
            Some(burst) => {
                if is_burst {
                    burst.last = now;
                    burst.peak = if different > burst.peak.0 { (different, mean) } else { burst.peak };
                }
                if burst.domains.len() < OF_ONE {
                    burst.domains.insert(domain);
                }
                burst.questions += 1;
                burst.sources.insert(query.source);
            }
            None if is_burst => {
                client.burst = Some(Burst {
                    first: client.recent.front().map_or(now, |r| r.0),
                    last: now,
                    peak: (different, mean),
                    domains: client.recent.iter().map(|r| r.1).collect(),
                    answered: BTreeMap::new(),
                    questions: client.recent.len() as u64,
                    ids: client.recent.iter().take(EVIDENCE - 2).map(|r| r.2).collect(),
                    sources: client.recent.iter().map(|r| r.3).collect(),
                });
            }
            None => {}
        }
    }
    fn answered(&mut self, net: &Net, query: &Query) {
        let Some(burst) = self.clients.get_mut(&query.client).and_then(|c| c.burst.as_mut()) else { return };
        if query.time.since(burst.last) > self.window || burst.answered.len() >= 64 {
            return;
        }
        if let Some(domain) = self.domains.of(net, query.name).filter(|d| self.domains.mean(*d) < self.limit) {
            burst.answered.entry(domain).or_insert((query.time, query.id));
        }
    }
    fn finding(&self, host: Host, bursts: &[&Burst], net: &Net) -> Option<Finding> {
        let best = bursts.iter().max_by_key(|b| (b.peak.0, std::cmp::Reverse(b.first)))?;
        let (first, last) = (bursts.iter().map(|b| b.first).min()?, bursts.iter().map(|b| b.last).max()?);
        let domains: BTreeSet<u32> = bursts.iter().flat_map(|b| b.domains.iter().copied()).collect();
        let answered: BTreeMap<u32, (Time, Id)> = bursts.iter().flat_map(|b| b.answered.iter().map(|(d, a)| (*d, *a))).collect();
        let last = answered.values().map(|a| a.0).max().map_or(last, |t| t.max(last));
        let addr = net.addr(host);
        let name = |n: &u32| self.domains.text(*n).to_owned();
        let mut odd: Vec<u32> = best.domains.iter().copied().collect();
        odd.sort_by(|a, b| self.domains.mean(*a).total_cmp(&self.domains.mean(*b)).then(a.cmp(b)));
        let odd: Vec<String> = odd.iter().take(SHOWN).map(name).collect();
        let reached: Vec<String> = answered.keys().map(name).collect();
        let end = if reached.is_empty() { String::new() } else { format!("; answered: {}", some(&reached, SHOWN)) };
        let title = format!(
            "{addr} asks for {} that do not exist and that a program made ({}){end}",
            counted(domains.len(), "domain"),
            some(&odd, SHOWN)
        );
        let mut f = Finding::new(NAME, addr, span(first, last), title);
        f.severity = if reached.is_empty() { 3 } else { 4 };
        f.score = sat(0.5 * best.peak.0 as f64 / (4.0 * self.least as f64) + 0.5 * sat((self.limit - best.peak.1) / 1.5)) as f32;
        let minutes = self.window / (60 * SECOND);
        f.number(&format!("domains that do not exist, in {minutes} min"), best.peak.0, self.least);
        f.number("mean log2-probability of a pair of letters", format!("{:.2}", best.peak.1), format!("< {:.2}", self.limit));
        f.number("bursts of the day", bursts.len(), "");
        f.number("such domains that were answered", reached.len(), "");
        let code = if reached.is_empty() { " and dns.rcode = NXDOMAIN" } else { "" };
        f.asks(&format!("kind = dns and src.ip = {addr}{code}"));
        f.rows = bursts.iter().map(|b| b.questions).sum();
        answered.values().take(2).for_each(|a| f.rests_on(net.record(a.1)));
        best.ids.iter().for_each(|id| f.rests_on(net.record(*id)));
        f.sources = bursts.iter().flat_map(|b| b.sources.iter().copied()).collect::<BTreeSet<_>>().into_iter().collect();
        if self.servers.contains(&host) {
            f.caveats.push("it answers questions itself: it may ask for clients that no source sees".into());
        }
        f.caveats.push("names made of words are not seen; registrable domains are by a short rule".into());
        f.benign = vec![
            "a browser that probes whether the network lies about names".into(),
            "a security product or researcher that tests names of malware".into(),
            "a list of names that is checked: mail filters, broken software with a search suffix".into(),
        ];
        Some(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detectors::trial::{FRIDAY, Trial};

    fn made(seed: &mut u64) -> String {
        let mut step = |most: u64| {
            *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (*seed >> 33) % most
        };
        let length = 9 + step(8);
        let label: String = (0..length).map(|_| char::from(b'a' + step(26) as u8)).collect();
        format!("{label}.example")
    }

    #[test]
    fn a_burst_is_found_with_the_name_that_answered() {
        let mut trial = Trial::new();
        let (begin, mut seed) = (FRIDAY as f64, 5);
        for n in 0..60 {
            trial.query(begin + f64::from(n) * 5.0, "10.0.0.5", &made(&mut seed), "A", "NXDOMAIN", &[]);
        }
        trial.query(begin + 301.0, "10.0.0.5", "qzkxvwpjhgb.example", "A", "NOERROR", &["192.0.2.66"]);
        trial.query(begin + 302.0, "10.0.0.5", "www.weather-station.example", "A", "NOERROR", &["192.0.2.67"]);
        let found = trial.found(&DETECTOR);
        assert_eq!(found.len(), 1);
        let f = &found[0];
        assert_eq!((f.host.to_string().as_str(), f.severity, f.rows), ("10.0.0.5", 4, 60));
        assert!(f.title.contains("60 domains") && f.title.ends_with("answered: qzkxvwpjhgb.example"), "{}", f.title);
        assert!(f.window.end > Time(FRIDAY * SECOND + 300 * SECOND) && f.evidence.len() > 6);
    }

    #[test]
    fn chosen_names_slow_ones_and_the_resolver_are_none() {
        let mut trial = Trial::new();
        let (begin, mut seed) = (FRIDAY as f64, 8);
        let sites = ["wikipedia", "bloomberg", "telegraph", "lufthansa", "stackoverflow", "guardian", "accuweather"];
        for n in 0..60u32 {
            let at = begin + f64::from(n) * 5.0;
            // A list of sites that went away, with the suffix that software adds.
            let (a, b) = (sites[n as usize % 7], sites[(n as usize / 7 + 3) % 7]);
            trial.query(at, "10.0.0.6", &format!("{a}{b}.example"), "A", "NXDOMAIN", &[]);
            // One domain, whatever is below it; names without a dot; reverse names.
            let random = made(&mut seed);
            let label = random.trim_end_matches(".example");
            trial.query(at, "10.0.0.7", &format!("{label}.office.example"), "A", "NXDOMAIN", &[]);
            trial.query(at, "10.0.0.8", label, "A", "NXDOMAIN", &[]);
            trial.query(at, "10.0.0.9", &format!("{n}.2.0.192.in-addr.arpa"), "PTR", "NXDOMAIN", &[]);
            // Over hours.
            trial.query(begin + f64::from(n) * 120.0, "10.0.0.10", &random, "A", "NXDOMAIN", &[]);
        }
        assert!(trial.found(&DETECTOR).is_empty(), "{:#?}", trial.found(&DETECTOR));
        for n in 0..40 {
            let (at, name) = (begin + f64::from(n) * 2.0, made(&mut seed));
            trial.query(at, "10.0.0.5", &name, "A", "NXDOMAIN", &[]);
            trial.query(at + 0.1, "10.0.0.53", &name, "A", "NXDOMAIN", &[]);
        }
        let resolver = trial.host("10.0.0.53");
        let client = trial.host("10.0.0.5");
        trial.queries.iter_mut().filter(|q| q.client == client).for_each(|q| q.server = Some(resolver));
        let found = trial.found(&DETECTOR);
        assert_eq!(found.iter().map(|f| f.host.to_string()).collect::<Vec<_>>(), ["10.0.0.5"]);
    }
}
