//! Data carried in names: a client that asks for many different, long, random names below one domain, with types that carry much.

use super::domains::Domains;
use super::maths::{entropy, sat};
use super::rows::{Flow, Host, Id, Net, Piece, Query, Word};
use super::shown::{below, bytes, counted, percent};
use super::{Day, Detector, Limits, Setting, Watch};
use crate::model::finding::{EVIDENCE, Finding, span};
use crate::model::time::{DAY, SECOND};
use crate::model::{SourceId, Time};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// The detector.
pub static DETECTOR: DnsTunnel = DnsTunnel;

/// See the module.
pub struct DnsTunnel;

const NAME: &str = "dns_tunnel";
const SETTINGS: &[Setting] = &[
    Setting { name: "score", default: 0.60, unit: "", doc: "Score of an hour from which on it is a finding." },
    Setting { name: "alert", default: 0.75, unit: "", doc: "Score from which on it is severe." },
    Setting {
        name: "names",
        default: 25.0,
        unit: "",
        doc: "Least different names below a domain in an hour: a few long names carry nothing.",
    },
    Setting {
        name: "allowed",
        default: 0.30,
        unit: "",
        doc: "What is taken off the score of domains known to be asked like this.",
    },
    Setting { name: "together", default: 3.0, unit: "", doc: "More clients of one domain than this are one finding." },
];
const HOUR: i64 = 3600 * SECOND;
/// Types of questions whose answers or names carry much.
const RARE: [&str; 6] = ["TXT", "NULL", "CNAME", "MX", "SRV", "HTTPS"];
/// Zones whose names carry data by design: reverse zones, block lists, checks of antivirus programs, content networks and clouds.
const ALLOWED: [&str; 44] = [
    "in-addr.arpa",
    "ip6.arpa",
    "home.arpa",
    "spamhaus.org",
    "spamhaus.net",
    "spamcop.net",
    "barracudacentral.org",
    "sorbs.net",
    "surbl.org",
    "uribl.com",
    "dnswl.org",
    "mailspike.net",
    "senderscore.com",
    "abuseat.org",
    "nixspam.org",
    "rspamd.com",
    "cymru.com",
    "sophosxl.net",
    "mcafee.com",
    "trellix.com",
    "trendmicro.com",
    "e5.sk",
    "eset.com",
    "kaspersky.com",
    "kaspersky-labs.com",
    "bitdefender.net",
    "fortinet.net",
    "webcfs03.com",
    "akamai.net",
    "akamaiedge.net",
    "akadns.net",
    "edgekey.net",
    "edgesuite.net",
    "cloudfront.net",
    "amazonaws.com",
    "azureedge.net",
    "trafficmanager.net",
    "windows.net",
    "fastly.net",
    "cloudflare.net",
    "googlevideo.com",
    "googleusercontent.com",
    "gvt1.com",
    "apple-dns.net",
];
/// What is held: names of an hour, names of a day for the bucket, hours that score.
const HOUR_NAMES: usize = 2_000_000;
const DAY_NAMES: usize = 1_000_000;
const OF_DOMAIN: usize = 5_000;
const HOURS: usize = 50_000;

impl Detector for DnsTunnel {
    fn name(&self) -> &'static str {
        NAME
    }
    fn doc(&self) -> &'static str {
        "Scores what a client asks below one domain in an hour by number, length, entropy and type of the names, bytes sent, and whether it ever connects there; beside it the bucket of RITA for the domain's names of the day."
    }
    fn techniques(&self) -> &'static [&'static str] {
        &["T1071.004", "T1572"]
    }
    fn settings(&self) -> &'static [Setting] {
        SETTINGS
    }
    fn watch(&self, limits: &Limits) -> Box<dyn Watch> {
        let of = |name| limits.of(NAME, SETTINGS, name);
        Box::new(Tunnels {
            notice: of("score"),
            alert: of("alert"),
            least: of("names").max(1.0) as usize,
            lowered: of("allowed"),
            together: of("together").max(1.0) as usize,
            domains: Domains::default(),
            day_names: HashMap::default(),
            day_total: 0,
            hours: Vec::new(),
            beyond: false,
        })
    }
}

/// What the score is made of.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Parts {
    unique: usize,
    length: f64,
    entropy: f64,
    rare: f64,
    up: u64,
    direct: bool,
    allowed: bool,
}

impl Parts {
    fn score(&self, lowered: f64) -> f64 {
        let of_names = 0.30 * sat((self.unique as f64 - 50.0) / 450.0)
            + 0.20 * sat((self.length - 25.0) / 30.0)
            + 0.15 * sat(self.entropy - 3.2)
            + 0.15 * sat(self.rare);
        let up = 0.10 * sat(self.up as f64 / 100_000.0);
        sat(of_names + up + if self.direct { 0.0 } else { 0.10 } - if self.allowed { lowered } else { 0.0 })
    }
}

/// RITA's bucket of unique names below a domain in a day: 0 below 100, then 0.2 to 0.8 by the steps 100, 500, 800, 1000.
fn bucket(unique: f64) -> f64 {
    let steps = [(100.0, 0.2), (500.0, 0.4), (800.0, 0.6), (1000.0, 0.8)];
    if unique < 100.0 {
        return 0.0;
    }
    for pair in steps.windows(2) {
        if let [(from, low), (to, high)] = pair
            && unique < *to
        {
            return low + (unique - from) / (to - from) * (high - low);
        }
    }
    0.8
}

/// What a client asks below a domain in an hour.
#[derive(Default)]
struct Group {
    names: HashSet<Word, foldhash::fast::RandomState>,
    /// By source, so that what several sources saw counts once: questions, those of rare types, bytes of names.
    sources: BTreeMap<SourceId, (u64, u64, u64)>,
    first: Time,
    last: Time,
    ids: Vec<Id>,
    answers: Vec<Host>,
    servers: Vec<Host>,
}

/// An hour that scores.
#[derive(Serialize, Deserialize)]
struct Hour {
    client: Host,
    domain: u32,
    first: Time,
    last: Time,
    parts: Parts,
    score: f64,
    queries: u64,
    /// Names below the domain in the day, whoever asked.
    day_names: usize,
    ids: Vec<Id>,
    sources: Vec<SourceId>,
    servers: Vec<Host>,
}

#[derive(Serialize, Deserialize)]
struct Tunnels {
    notice: f64,
    alert: f64,
    least: usize,
    lowered: f64,
    together: usize,
    domains: Domains,
    day_names: HashMap<u32, HashSet<Word>>,
    day_total: usize,
    hours: Vec<Hour>,
    beyond: bool,
}

impl Watch for Tunnels {
    super::resume::kept!();
    fn piece(&mut self, piece: &Piece<'_>) {
        // A piece has whole hours.
        let hour = |t: Time| t.0.div_euclid(HOUR);
        for queries in piece.queries.chunk_by(|a, b| hour(a.time) == hour(b.time)) {
            let Some(first) = queries.first() else { continue };
            let from = Time(hour(first.time).saturating_mul(HOUR));
            // Who asks at the end of the hour connects a little later.
            let until = from.plus(HOUR + 60 * SECOND);
            let begin = piece.flows.partition_point(|f| f.start < from);
            let end = piece.flows.partition_point(|f| f.start < until);
            self.hour(piece.net, queries, piece.flows.get(begin..end).unwrap_or_default());
        }
    }
    fn day(&mut self, day: &Day<'_>) {
        let start = i64::from(day.day).saturating_mul(DAY);
        for hour in self.hours.iter_mut().rev().take_while(|h| h.first.0 >= start) {
            hour.day_names = self.day_names.get(&hour.domain).map_or(0, HashSet::len);
        }
        self.day_names.clear();
        self.day_total = 0;
        self.domains.forget_names();
    }
    fn end(self: Box<Self>, net: &Net) -> Vec<Finding> {
        // A resolver asks on behalf of its clients: where a client of its is found it is not the one.
        let relays: HashSet<(Host, u32)> = self.hours.iter().flat_map(|h| h.servers.iter().map(|s| (*s, h.domain))).collect();
        let mut by_domain: BTreeMap<u32, BTreeMap<Host, Vec<&Hour>>> = BTreeMap::new();
        for hour in self.hours.iter().filter(|h| !relays.contains(&(h.client, h.domain))) {
            by_domain.entry(hour.domain).or_default().entry(hour.client).or_default().push(hour);
        }
        let mut out = Vec::new();
        for (domain, clients) in by_domain {
            let domain = self.domains.text(domain);
            if clients.len() > self.together {
                let all: Vec<&Hour> = clients.values().flatten().copied().collect();
                out.extend(self.finding(domain, &all, clients.len(), net));
            } else {
                out.extend(clients.values().filter_map(|hours| self.finding(domain, hours, 1, net)));
            }
        }
        out
    }
}

impl Tunnels {
    fn hour(&mut self, net: &Net, queries: &[Query], flows: &[Flow]) {
        let mut groups: HashMap<(Host, u32), Group, foldhash::fast::RandomState> = HashMap::default();
        let mut held = 0;
        for query in queries.iter().filter(|q| net.is_home(q.client)) {
            let Some(domain) = self.domains.of(net, query.name) else { continue };
            let left = net.text(query.name).len().saturating_sub(self.domains.text(domain).len());
            if left == 0 {
                continue;
            }
            if self.day_total < DAY_NAMES {
                let of_day = self.day_names.entry(domain).or_default();
                if of_day.len() < OF_DOMAIN && of_day.insert(query.name) {
                    self.day_total += 1;
                }
            }
            let group = groups.entry((query.client, domain)).or_default();
            if group.sources.is_empty() {
                group.first = query.time;
            }
            group.last = query.time;
            let counts = group.sources.entry(query.source).or_default();
            counts.0 += 1;
            counts.1 += u64::from(RARE.contains(&net.text(query.kind)));
            counts.2 = counts.2.saturating_add(net.text(query.name).len() as u64);
            if held < HOUR_NAMES && group.names.len() < OF_DOMAIN {
                if group.names.insert(query.name) {
                    held += 1;
                    if group.ids.len() < EVIDENCE {
                        group.ids.push(query.id);
                    }
                }
            } else {
                self.beyond |= held >= HOUR_NAMES;
            }
            for (list, host) in query.answers.iter().map(|a| (0, *a)).chain(query.server.iter().map(|s| (1, *s))) {
                let list = if list == 0 { &mut group.answers } else { &mut group.servers };
                if list.len() < 64 && !list.contains(&host) {
                    list.push(host);
                }
            }
        }
        // Whoever cannot reach the score even without a connection is not looked at further.
        let mut found: Vec<(Host, u32, Group, Parts)> = Vec::new();
        for ((client, domain), group) in groups {
            if group.names.len() < self.least {
                continue;
            }
            let parts = self.parts(net, domain, &group);
            if parts.score(self.lowered) >= self.notice {
                found.push((client, domain, group, parts));
            }
        }
        if found.is_empty() {
            return;
        }
        found.sort_by_key(|f| (f.0, f.1));
        let reached = self.reached(net, &found, flows);
        for (client, domain, group, mut parts) in found {
            parts.direct = reached.contains(&(client, domain));
            let score = parts.score(self.lowered);
            if score < self.notice || self.hours.len() >= HOURS {
                self.beyond |= score >= self.notice;
                continue;
            }
            self.hours.push(Hour {
                client,
                domain,
                first: group.first,
                last: group.last,
                parts,
                score,
                queries: group.sources.values().map(|s| s.0).max().unwrap_or(0),
                day_names: 0,
                ids: group.ids,
                sources: group.sources.keys().copied().collect(),
                servers: group.servers,
            });
        }
    }
    fn parts(&self, net: &Net, domain: u32, group: &Group) -> Parts {
        let mut counts = [0u64; 256];
        let (mut length, mut allowed) = (0usize, 0usize);
        for name in &group.names {
            let text = net.text(*name);
            let left = text.len().saturating_sub(self.domains.text(domain).len() + 1);
            length += left;
            allowed += usize::from(is_allowed(text));
            for b in text.bytes().take(left).filter(|b| *b != b'.') {
                if let Some(n) = counts.get_mut(usize::from(b)) {
                    *n += 1;
                }
            }
        }
        let unique = group.names.len();
        let most = group.sources.values().max().copied().unwrap_or_default();
        Parts {
            unique,
            length: length as f64 / unique.max(1) as f64,
            entropy: entropy(counts.iter().copied()),
            rare: most.1 as f64 / most.0.max(1) as f64,
            up: most.2,
            direct: false,
            allowed: allowed * 10 >= unique * 9,
        }
    }
    /// Which clients connected to an address that they were given for a name of the domain, or with a name below it.
    fn reached(&mut self, net: &Net, found: &[(Host, u32, Group, Parts)], flows: &[Flow]) -> HashSet<(Host, u32)> {
        let mut by_client: HashMap<Host, Vec<usize>> = HashMap::new();
        for (n, one) in found.iter().enumerate() {
            by_client.entry(one.0).or_default().push(n);
        }
        let mut out = HashSet::new();
        for flow in flows.iter().filter(|f| f.is_answered()) {
            let Some(of_client) = by_client.get(&flow.src) else { continue };
            let named = if flow.name.is_some() { self.domains.of(net, flow.name) } else { None };
            for (client, domain, group, _) in of_client.iter().filter_map(|n| found.get(*n)) {
                if named == Some(*domain) || group.answers.contains(&flow.dst) {
                    out.insert((*client, *domain));
                }
            }
        }
        out
    }
    fn finding(&self, domain: &str, hours: &[&Hour], clients: usize, net: &Net) -> Option<Finding> {
        let best = hours
            .iter()
            .copied()
            .max_by(|a, b| (a.score, b.first).partial_cmp(&(b.score, a.first)).unwrap_or(std::cmp::Ordering::Equal))?;
        let first = hours.iter().map(|h| h.first).min()?;
        let last = hours.iter().map(|h| h.last).max()?;
        let host = net.addr(best.client);
        let p = &best.parts;
        let others = if clients > 1 { format!(" (and {} do)", counted(clients - 1, "other client")) } else { String::new() };
        let long = hours.iter().map(|h| h.first.0.div_euclid(HOUR)).collect::<BTreeSet<_>>().len();
        let title = format!(
            "{host}{others} asks for {} below {domain} in an hour, {:.0} characters each, {:.1} bits a character, {} of rare types; {}",
            counted(p.unique, "name"),
            p.length,
            p.entropy,
            percent(p.rare),
            counted(long, "such hour"),
        );
        let mut f = Finding::new(NAME, host, span(first, last), title);
        f.name = Some(domain.to_owned());
        f.severity = if best.score >= self.alert { 3 } else { 2 };
        f.score = best.score as f32;
        f.number("score", format!("{:.2}", best.score), self.notice);
        f.number("different names", p.unique, self.least);
        f.number("mean length left of the domain", format!("{:.1}", p.length), "25 to 55");
        f.number("entropy, bits a character", format!("{:.2}", p.entropy), "3.2 to 4.2");
        f.number("share of TXT NULL CNAME MX SRV HTTPS", percent(p.rare), "");
        f.number("bytes of names", bytes(p.up), bytes(100_000));
        f.number("connected to the domain", if p.direct { "yes" } else { "no" }, "");
        let names = hours.iter().map(|h| h.day_names).max().unwrap_or(0);
        f.number("names below the domain in a day (RITA's bucket)", format!("{names} ({:.2})", bucket(names as f64)), "100");
        let who = if clients > 1 { String::new() } else { format!("src.ip = {host} and ") };
        f.asks(&format!("kind = dns and {who}{}", below(domain)));
        f.rows = hours.iter().map(|h| h.queries).sum();
        best.ids.iter().for_each(|id| f.rests_on(net.record(*id)));
        f.sources = hours.iter().flat_map(|h| h.sources.iter().copied()).collect::<BTreeSet<_>>().into_iter().collect();
        if p.allowed {
            f.caveats
                .push(format!("names below {domain} are known to be asked like this: {} is taken off the score", self.lowered));
        }
        if names >= OF_DOMAIN || self.beyond {
            f.caveats.push("there were more names than are held: numbers are lower bounds".into());
        }
        f.caveats.push("registrable domains are by a short rule, without the Public Suffix List".into());
        f.benign = vec![
            "antivirus, mail filters and block lists that ask for hashes or addresses as names".into(),
            "content networks, telemetry and load balancers with a name for every session".into(),
            "a scanner or monitoring that resolves a list of names".into(),
        ];
        Some(f)
    }
}

fn is_allowed(name: &str) -> bool {
    std::iter::successors(Some(name), |n| n.split_once('.').map(|(_, rest)| rest)).any(|n| ALLOWED.contains(&n))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detectors::trial::{FRIDAY, Trial};

    /// A name of random letters and digits as a tunnel makes them.
    fn random(seed: &mut u64, length: usize) -> String {
        let mut step = || {
            *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (*seed >> 33) as usize
        };
        (0..length).map(|_| char::from(b"abcdefghijklmnopqrstuvwxyz234567"[step() % 32])).collect()
    }

    fn tunnel(trial: &mut Trial, client: &str, domain: &str, names: usize, kind: &str) {
        let mut seed = 7;
        for n in 0..names {
            let name = format!("{}.{}.{domain}", random(&mut seed, 40), random(&mut seed, 12));
            trial.query(FRIDAY as f64 + n as f64 * 3600.0 / names as f64, client, &name, kind, "NOERROR", &[]);
        }
    }

    #[test]
    fn the_score_is_the_formula() {
        let all = Parts { unique: 500, length: 55.0, entropy: 4.2, rare: 1.0, up: 100_000, direct: false, allowed: false };
        assert!((all.score(0.3) - 1.0).abs() < 1e-9);
        assert!((Parts { allowed: true, ..all }.score(0.3) - 0.7).abs() < 1e-9);
        assert!((Parts { direct: true, ..all }.score(0.3) - 0.9).abs() < 1e-9);
        let half = Parts { unique: 275, length: 40.0, entropy: 3.7, rare: 0.5, up: 50_000, direct: true, allowed: false };
        assert!((half.score(0.3) - 0.45).abs() < 1e-9);
        assert!(Parts { unique: 50, length: 25.0, entropy: 3.2, direct: true, ..Parts::default() }.score(0.3).abs() < 1e-9);
        let buckets = [99.0, 100.0, 300.0, 500.0, 650.0, 900.0, 1000.0, 9e9].map(bucket);
        let want = [0.0, 0.2, 0.3, 0.4, 0.5, 0.7, 0.8, 0.8];
        assert!(buckets.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-9), "{buckets:?}");
    }

    #[test]
    fn a_tunnel_is_one_finding_and_its_resolver_is_none() {
        let mut trial = Trial::new();
        tunnel(&mut trial, "10.0.0.5", "tunnel.example", 900, "TXT");
        let resolver = trial.host("10.0.0.53");
        trial.queries.iter_mut().for_each(|q| q.server = Some(resolver));
        // What the resolver asks for it.
        tunnel(&mut trial, "10.0.0.53", "tunnel.example", 900, "TXT");
        let found = trial.found(&DETECTOR);
        assert_eq!(found.len(), 1);
        let f = &found[0];
        assert_eq!((f.host.to_string().as_str(), f.name.as_deref(), f.severity), ("10.0.0.5", Some("tunnel.example"), 3));
        assert!(f.score > 0.9 && f.query.contains("name = *.tunnel.example"), "{} {}", f.score, f.query);
        assert!(f.numbers.iter().any(|n| n.value == "900 (0.70)"), "{:?}", f.numbers);
        assert_eq!((f.rows, f.evidence.len()), (900, 8));
    }

    #[test]
    fn names_of_the_web_reverse_zones_and_a_visited_site_are_none() {
        let mut trial = Trial::new();
        let begin = FRIDAY as f64;
        let mut seed = 3;
        for n in 0..600 {
            let at = begin + f64::from(n) * 6.0;
            trial.query(at, "10.0.0.5", &format!("img{n}.shop.example"), "A", "NOERROR", &["192.0.2.8"]);
            trial.query(at, "10.0.0.6", &format!("{}.{}.0.10.in-addr.arpa", n % 250, n / 250), "PTR", "NXDOMAIN", &[]);
            // Hashes asked of a block list that is known.
            trial.query(at, "10.0.0.7", &format!("{}.zen.spamhaus.org", random(&mut seed, 32)), "A", "NXDOMAIN", &[]);
            // A service of sessions with names, to which the client connects.
            trial.query(at, "10.0.0.8", &format!("{}.cdn.example", random(&mut seed, 16)), "A", "NOERROR", &["192.0.2.9"]);
        }
        trial.flow(begin + 5.0, "10.0.0.8", "192.0.2.9", 443);
        // A client of somebody else that looks for names of ours.
        tunnel(&mut trial, "192.0.2.200", "our.example", 900, "TXT");
        assert!(trial.found(&DETECTOR).is_empty(), "{:#?}", trial.found(&DETECTOR));
    }

    #[test]
    fn a_connection_there_lowers_the_score_and_what_several_sources_saw_counts_once() {
        let mut trial = Trial::new();
        tunnel(&mut trial, "10.0.0.5", "tunnel.example", 300, "A");
        let alone = trial.found(&DETECTOR)[0].score;
        let again: Vec<_> = trial.queries.iter().map(|q| Query { source: SourceId(9), ..q.clone() }).collect();
        trial.queries.extend(again);
        let twice = trial.found(&DETECTOR);
        assert_eq!((twice[0].score, twice[0].rows, twice[0].sources.len()), (alone, 300, 2));
        let name = trial.word("x.tunnel.example");
        trial.flow(FRIDAY as f64 + 9.0, "10.0.0.5", "192.0.2.7", 443).name = name;
        let below = trial.found_by(&DETECTOR, &Limits::new().with(NAME, "score", 0.5));
        assert!((below[0].score - (alone - 0.1)).abs() < 1e-6, "{} {alone}", below[0].score);
    }

    #[test]
    fn many_clients_of_one_domain_are_one_finding() {
        let mut trial = Trial::new();
        for n in 1..=9 {
            tunnel(&mut trial, &format!("10.0.1.{n}"), "filter.example", 400, "TXT");
        }
        let found = trial.found(&DETECTOR);
        assert_eq!((found.len(), found[0].rows), (1, 3600));
        assert!(found[0].title.contains("8 other clients"), "{}", found[0].title);
    }
}
