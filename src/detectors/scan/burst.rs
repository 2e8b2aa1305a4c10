//! What one burst of attempts of a host is.

use super::model::{Attempt, LEAST, Verdict, Walk, regression};
use super::told::{Found, Key, Shape};
use super::{Outcome, Sample, Thresholds};
use crate::detectors::rows::{Host, Net};
use crate::model::proto;
use crate::model::time::SECOND;
use std::collections::{BTreeMap, BTreeSet};

/// Answers to nothing: more destinations and more flows than these.
const BACK_HOSTS: usize = 3;
const BACK_FLOWS: usize = 100;
/// A flood has more flows than this, whatever is set.
const FLOOD: usize = 10;
/// Share of what was tried that did not answer from which on a shape alone is a search, of protocols without a handshake.
const BY_SHAPE: f64 = 0.8;
/// Answers so long before the first miss or after the last belong to the search.
const AROUND: i64 = 60 * SECOND;
/// Attempts that the regression is given.
const REGRESSED: usize = 200_000;

/// What was tried, with the best that came of it.
type Targets = BTreeMap<(Host, u16), Outcome>;

/// Judges attempts of one host with one protocol in order of time. `None`: nothing to tell.
pub(super) fn judge(net: &Net, burst: &[Sample], slow: bool, limits: &Thresholds) -> Option<(Key, Found)> {
    let first = burst.first()?;
    let misses = burst.iter().filter(|s| s.outcome.is_miss()).count();
    let back = burst.iter().filter(|s| s.outcome == Outcome::Backscatter).count();
    if back > BACK_FLOWS && back == burst.len() && !slow {
        return backscatter(burst);
    }
    // Neighbours that are there answer a ping: a sweep need not miss.
    let icmp = matches!(first.proto, proto::ICMP | proto::ICMP6);
    if misses < limits.few.min(limits.ports) && !(icmp && burst.len() >= limits.hosts) {
        return None;
    }
    if !slow
        && burst.len() > FLOOD
        && burst.iter().all(|s| s.dst == first.dst)
        && misses >= limits.flood
        && misses * 10 >= burst.len() * 9
    {
        let ports: BTreeSet<u16> = burst.iter().map(|s| s.dst_port).collect();
        if ports.len() < limits.ports {
            return Some(flood(burst, ports));
        }
    }
    let targets = targets(burst);
    let (shape, ports, hosts) = shape(first.proto, &targets, limits)?;
    let is_of = |s: &&Sample| match shape {
        Shape::Vertical => hosts.contains(&s.dst),
        _ => ports.contains(&port(s)),
    };
    let of: Vec<Sample> = trimmed(burst.iter().filter(is_of).copied().collect());
    let (walk, verdict) = walk(burst);
    let probability = probability(net, burst, first.proto);
    let tried = self::targets(&of);
    let missed = tried.values().filter(|o| o.is_miss()).count() as f64 / tried.len().max(1) as f64;
    let by = match (verdict, probability) {
        (Verdict::Search, _) if first.proto == proto::TCP => "threshold random walk",
        (_, Some(p)) if p > limits.probability => "logistic regression",
        _ if shape != Shape::Few && missed >= BY_SHAPE => "shape",
        _ => return None,
    };
    // What a few addresses lack is no proof without the walk.
    if shape == Shape::Few && by != "threshold random walk" {
        return None;
    }
    let mut found = Found { bursts: 1, slow, by: by.into(), net_misses: walk.greatest, probability, ..Found::default() };
    fill(&mut found, &of, &tried);
    let key = Key {
        src: first.src,
        proto: first.proto,
        shape,
        ports: if shape == Shape::Vertical { Vec::new() } else { ports.iter().take(3).copied().collect() },
        host: hosts.first().copied().filter(|_| shape == Shape::Vertical && hosts.len() == 1),
    };
    Some((key, found))
}

/// The port that counts: ICMP has none.
fn port(sample: &Sample) -> u16 {
    if matches!(sample.proto, proto::ICMP | proto::ICMP6) { 0 } else { sample.dst_port }
}

fn targets(burst: &[Sample]) -> Targets {
    let mut out = Targets::new();
    for sample in burst.iter().filter(|s| s.outcome != Outcome::Backscatter) {
        let best = out.entry((sample.dst, port(sample))).or_insert(sample.outcome);
        *best = (*best).max(sample.outcome);
    }
    out
}

/// The shape of what was tried, with the ports and the hosts that make it.
fn shape(protocol: u8, targets: &Targets, limits: &Thresholds) -> Option<(Shape, BTreeSet<u16>, Vec<Host>)> {
    // Hosts tried and missed by port, ports by host.
    let mut by_port: BTreeMap<u16, (usize, usize)> = BTreeMap::new();
    let mut by_host: BTreeMap<Host, (usize, usize)> = BTreeMap::new();
    for ((host, port), outcome) in targets {
        let miss = usize::from(outcome.is_miss());
        let of_port = by_port.entry(*port).or_default();
        *of_port = (of_port.0 + 1, of_port.1 + miss);
        let of_host = by_host.entry(*host).or_default();
        *of_host = (of_host.0 + 1, of_host.1 + miss);
    }
    let mostly = |(tried, missed): &(usize, usize)| *missed as f64 >= limits.missed * *tried as f64;
    let wide = |least: usize| -> BTreeSet<u16> {
        by_port.iter().filter(|(_, n)| n.0 >= least && mostly(n)).map(|(port, _)| *port).collect()
    };
    let deep: Vec<Host> = by_host.iter().filter(|(_, n)| n.0 >= limits.ports && mostly(n)).map(|(host, _)| *host).collect();
    let many = wide(limits.hosts);
    if protocol == proto::ICMP || protocol == proto::ICMP6 {
        let hosts = by_port.values().map(|n| n.0).max().unwrap_or(0);
        return (hosts >= limits.hosts).then(|| (Shape::Horizontal, BTreeSet::from([0]), Vec::new()));
    }
    match (many.len(), deep.len()) {
        (1..=3, _) if deep.len() < 4 => Some((Shape::Horizontal, many, Vec::new())),
        (0, 1..=3) => Some((Shape::Vertical, BTreeSet::new(), deep)),
        (0, 0) => {
            let some = wide(limits.few);
            (1..=3).contains(&some.len()).then_some((Shape::Few, some, Vec::new()))
        }
        (0, _) => {
            let ports = by_port.iter().filter(|(_, n)| mostly(n)).map(|(port, _)| *port).collect();
            Some((Shape::Block, ports, Vec::new()))
        }
        _ => Some((Shape::Block, many, Vec::new())),
    }
}

/// Without the answers that came long before or after all misses: other work at the same port.
fn trimmed(mut of: Vec<Sample>) -> Vec<Sample> {
    let missed = || of.iter().filter(|s| s.outcome.is_miss()).map(|s| s.time);
    if let (Some(from), Some(until)) = (missed().min(), missed().max()) {
        of.retain(|s| s.time >= from.plus(-AROUND) && s.time <= until.plus(AROUND));
    }
    of
}

fn walk(burst: &[Sample]) -> (Walk, Verdict) {
    let mut walk = Walk::default();
    let mut verdict = Verdict::Open;
    let mut met: BTreeSet<Host> = BTreeSet::new();
    for sample in burst {
        let told = sample.outcome.is_miss() || sample.outcome == Outcome::Answered;
        if told && met.insert(sample.dst) {
            match walk.step(!sample.outcome.is_miss()) {
                Verdict::Search => verdict = Verdict::Search,
                Verdict::Benign if verdict == Verdict::Open => verdict = Verdict::Benign,
                _ => {}
            }
        }
    }
    (walk, verdict)
}

fn probability(net: &Net, burst: &[Sample], protocol: u8) -> Option<f64> {
    let flows = burst.iter().filter(|s| s.outcome != Outcome::Denied).count() as u64;
    // What a firewall says of a flow is not a second one.
    let counts = |s: &&Sample| flows < LEAST || s.outcome != Outcome::Denied;
    let attempts: Vec<Attempt> = burst
        .iter()
        .filter(counts)
        .take(REGRESSED)
        .map(|s| Attempt {
            dst: net.addr(s.dst),
            src_port: s.src_port,
            dst_port: s.dst_port,
            no_ack: s.no_ack,
            small: s.small,
            payload: s.payload,
            backscatter: s.outcome == Outcome::Backscatter,
        })
        .collect();
    regression(protocol, &attempts)
}

fn fill(found: &mut Found, of: &[Sample], tried: &Targets) {
    found.targets = tried.len();
    found.hosts = tried.keys().map(|k| k.0).collect::<BTreeSet<_>>().len();
    found.ports = tried.keys().map(|k| k.1).collect::<BTreeSet<_>>().len();
    for (target, outcome) in tried {
        match outcome {
            Outcome::Answered => found.open.push(*target),
            Outcome::Refused => found.refused += 1,
            Outcome::Denied => found.denied += 1,
            Outcome::Silent => found.silent += 1,
            Outcome::Unknown | Outcome::Backscatter => {}
        }
    }
    of.iter().for_each(|s| found.proof.take(s.time, s.time, s.id, s.source));
    // What answered comes first among what is shown.
    let answered: Vec<_> = of.iter().filter(|s| s.outcome == Outcome::Answered).take(4).collect();
    answered.into_iter().rev().for_each(|s| found.proof.lead(s.id));
}

fn backscatter(burst: &[Sample]) -> Option<(Key, Found)> {
    let first = burst.first()?;
    let hosts: BTreeSet<Host> = burst.iter().map(|s| s.dst).collect();
    if hosts.len() <= BACK_HOSTS {
        return None;
    }
    let mut found =
        Found { bursts: 1, by: "answers to nothing".into(), hosts: hosts.len(), targets: burst.len(), ..Found::default() };
    burst.iter().for_each(|s| found.proof.take(s.time, s.time, s.id, s.source));
    Some((Key { src: first.src, proto: first.proto, shape: Shape::Backscatter, ports: Vec::new(), host: None }, found))
}

fn flood(burst: &[Sample], ports: BTreeSet<u16>) -> (Key, Found) {
    let dst = burst.first().map(|s| s.dst);
    let mut found =
        Found { bursts: 1, by: "flood".into(), hosts: 1, ports: ports.len(), targets: burst.len(), ..Found::default() };
    for sample in burst {
        found.proof.take(sample.time, sample.time, sample.id, sample.source);
        match sample.outcome {
            Outcome::Refused => found.refused += 1,
            Outcome::Denied => found.denied += 1,
            Outcome::Silent => found.silent += 1,
            _ => {}
        }
    }
    let (src, proto) = burst.first().map_or((Host::default(), 0), |s| (s.src, s.proto));
    (Key { src, proto, shape: Shape::Flood, ports: ports.into_iter().take(3).collect(), host: dst }, found)
}
