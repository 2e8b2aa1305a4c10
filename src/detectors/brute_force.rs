//! Guessing of passwords: many connections of about the same size between two hosts to a service that asks for one, or many logins that failed;
//! and whether one of them succeeded.

use super::gather::service;
use super::held::Sweep;
use super::maths::{mad, median_of, sat};
use super::rows::{Flow, Host, Id, Net, Piece};
use super::shown::counted;
use super::{Detector, Limits, Setting, Watch};
use crate::model::finding::{Finding, span};
use crate::model::time::SECOND;
use crate::model::{Kind, SourceId, Time};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, VecDeque};

/// The detector.
pub static DETECTOR: BruteForce = BruteForce;

/// See the module.
pub struct BruteForce;

const NAME: &str = "brute_force";
const SETTINGS: &[Setting] = &[
    Setting {
        name: "connections",
        default: 30.0,
        unit: "",
        doc: "Connections, or logins that failed, within the window from which on it is guessing.",
    },
    Setting { name: "window", default: 600.0, unit: "s", doc: "Length of the window." },
    Setting { name: "spread", default: 0.1, unit: "", doc: "Greatest MAD / median of the bytes received: guesses are alike." },
    Setting { name: "success", default: 5.0, unit: "×", doc: "A connection with so many times the median bytes was let in." },
];
/// Services that ask for a password at the start of a connection.
const PORTS: [u16; 9] = [21, 22, 23, 139, 445, 3306, 3389, 5432, 5900];
/// How far a service's own log may be off the connections that it is about.
const NEAR: i64 = 60 * SECOND;
/// Pairs that are followed at once, and attempts of one.
const PAIRS: usize = 200_000;
const ATTEMPTS: usize = 4_096;

impl Detector for BruteForce {
    fn name(&self) -> &'static str {
        NAME
    }
    fn doc(&self) -> &'static str {
        "Many connections of like size to a service that asks for a password, or many logins that failed, within ten minutes; with the login that followed."
    }
    fn techniques(&self) -> &'static [&'static str] {
        &["T1110"]
    }
    fn settings(&self) -> &'static [Setting] {
        SETTINGS
    }
    fn watch(&self, limits: &Limits) -> Box<dyn Watch> {
        let of = |name| limits.of(NAME, SETTINGS, name);
        Box::new(Guesses {
            least: of("connections").max(2.0) as usize,
            window: (of("window") * SECOND as f64) as i64,
            spread: of("spread"),
            success: of("success"),
            pairs: HashMap::default(),
            sweep: Sweep::default(),
        })
    }
}

/// Originator, responder if it is told, port.
type Key = (Host, Option<Host>, u16);

#[derive(Serialize, Deserialize)]
struct Guesses {
    least: usize,
    window: i64,
    spread: f64,
    success: f64,
    pairs: HashMap<Key, Pair, foldhash::fast::RandomState>,
    sweep: Sweep,
}

/// What is known of two hosts and a service.
#[derive(Default, Serialize, Deserialize)]
struct Pair {
    recent: VecDeque<(Time, Attempt)>,
    episode: Option<Episode>,
    done: Vec<Episode>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
struct Attempt {
    bytes: f64,
    /// A log says that it failed.
    logged: bool,
    id: Id,
    source: SourceId,
}

#[derive(Serialize, Deserialize)]
struct Episode {
    first: Time,
    last: Time,
    connections: usize,
    logged: usize,
    median: f64,
    spread: f64,
    proto: u8,
    ids: Vec<Id>,
    sources: BTreeSet<SourceId>,
    /// When one was let in, and how that is known.
    success: Option<(Time, Cow<'static, str>, Id)>,
    /// Other episodes at the same time that the logs counted here may be of.
    unsure: usize,
}

impl Watch for Guesses {
    super::resume::kept!();
    fn piece(&mut self, piece: &Piece<'_>) {
        // Both lists are in order of time: what comes first is taken first.
        let mut flows = piece.flows.iter().filter(|f| PORTS.contains(&f.dst_port) && f.is_answered()).peekable();
        let mut logins = piece.events.iter().filter(|e| e.kind == Kind::Auth).peekable();
        loop {
            match (flows.peek(), logins.peek()) {
                (Some(flow), login) if login.is_none_or(|l| flow.start <= l.time) => {
                    self.flow(flow);
                    flows.next();
                }
                (_, Some(login)) => {
                    if let Some(src) = login.src {
                        // A log of the service itself does not name its host's address.
                        let (dst, port) = (login.dst, login.dst_port);
                        match piece.net.text(login.action) {
                            "login_fail" => {
                                let one = Attempt { bytes: 0.0, logged: true, id: login.id, source: login.source };
                                self.attempt((src, dst, port), login.time, one, login.proto);
                            }
                            "login_ok" => self.let_in((src, dst, port), login.time, "a log says so", login.id),
                            _ => {}
                        }
                    }
                    logins.next();
                }
                _ => break,
            }
        }
    }
    fn end(mut self: Box<Self>, net: &Net) -> Vec<Finding> {
        let mut all: Vec<(Key, Episode)> = Vec::new();
        for (key, mut pair) in self.pairs.drain() {
            pair.done.extend(pair.episode.take());
            all.extend(pair.done.into_iter().map(|e| (key, e)));
        }
        all.sort_by_key(|((src, dst, port), e)| (e.first, *src, *dst, *port));
        // What a service's own log says belongs to the connections of the same time: of several to those nearest, and then most of the same time.
        let (mut placed, unplaced): (Vec<_>, Vec<_>) = all.into_iter().partition(|((_, dst, _), _)| dst.is_some());
        let mut alone = Vec::new();
        for (key, log) in unplaced {
            let near = |(n, (other, e)): (usize, &(Key, Episode))| {
                let apart = e.first.since(log.last).max(log.first.since(e.last)).max(0);
                let both = e.last.min(log.last).since(e.first.max(log.first));
                (other.0 == key.0 && apart <= NEAR).then_some((apart, std::cmp::Reverse(both), n))
            };
            let mut near: Vec<_> = placed.iter().enumerate().filter_map(near).collect();
            near.sort_unstable();
            let Some((apart, _, n)) = near.first().copied() else {
                alone.push((key, log));
                continue;
            };
            let others = near.iter().filter(|o| o.0 == apart).count() - 1;
            if let Some((_, episode)) = placed.get_mut(n) {
                episode.logged += log.logged;
                episode.sources.extend(log.sources);
                episode.ids.extend(log.ids.into_iter().take(2));
                episode.success = episode.success.take().or(log.success);
                episode.unsure = episode.unsure.max(others);
            }
        }
        let mut out: Vec<Finding> = placed.into_iter().map(|(key, e)| finding(key, &e, net, self.least, self.spread)).collect();
        out.extend(alone.into_iter().map(|(key, e)| finding(key, &e, net, self.least, self.spread)));
        out
    }
}

impl Guesses {
    fn flow(&mut self, flow: &Flow) {
        let key = (flow.src, Some(flow.dst), flow.dst_port);
        if let Some(episode) = self.pairs.get_mut(&key).and_then(|p| p.episode.as_mut())
            && episode.median > 0.0
            && flow.bytes_in as f64 >= episode.median * self.success
            && flow.start.since(episode.last) <= self.window
        {
            episode.success.get_or_insert((flow.start, "a connection that carried more".into(), flow.id));
            return;
        }
        let one = Attempt { bytes: flow.bytes_in as f64, logged: false, id: flow.id, source: flow.source };
        self.attempt(key, flow.start, one, flow.proto);
    }
    fn attempt(&mut self, key: Key, time: Time, one: Attempt, proto: u8) {
        if self.pairs.len() >= PAIRS && !self.pairs.contains_key(&key) {
            // Whoever has been quiet for long is forgotten first; who has an episode stays.
            if self.sweep.is_due(PAIRS) {
                self.pairs.retain(|_, p| {
                    p.episode.is_some() || !p.done.is_empty() || p.recent.back().is_some_and(|r| time.since(r.0) <= self.window)
                });
            }
            // All of them are at it: the newest has to wait.
            if self.pairs.len() >= PAIRS {
                return;
            }
        }
        let pair = self.pairs.entry(key).or_default();
        pair.recent.push_back((time, one));
        while pair.recent.front().is_some_and(|r| time.since(r.0) > self.window) || pair.recent.len() > ATTEMPTS {
            pair.recent.pop_front();
        }
        if let Some(episode) = &mut pair.episode {
            if time.since(episode.last) <= self.window {
                episode.last = time;
                *(if one.logged { &mut episode.logged } else { &mut episode.connections }) += 1;
                episode.sources.insert(one.source);
                return;
            }
            pair.done.extend(pair.episode.take());
        }
        let logged = pair.recent.iter().filter(|r| r.1.logged).count();
        let connections = pair.recent.len() - logged;
        if logged.max(connections) < self.least {
            return;
        }
        let mut bytes: Vec<f64> = pair.recent.iter().filter(|r| !r.1.logged).map(|r| r.1.bytes).collect();
        let median = median_of(&mut bytes).unwrap_or(0.0);
        let spread = if median > 0.0 { mad(&bytes, median).unwrap_or(0.0) / median } else { 0.0 };
        if logged < self.least && spread >= self.spread {
            return;
        }
        pair.episode = Some(Episode {
            first: pair.recent.front().map_or(time, |r| r.0),
            last: time,
            connections,
            logged,
            median,
            spread,
            proto,
            ids: pair.recent.iter().take(crate::model::finding::EVIDENCE - 1).map(|r| r.1.id).collect(),
            sources: pair.recent.iter().map(|r| r.1.source).collect(),
            success: None,
            unsure: 0,
        });
    }
    fn let_in(&mut self, key: Key, time: Time, how: &'static str, id: Id) {
        let window = self.window;
        if let Some(episode) = self.pairs.get_mut(&key).and_then(|p| p.episode.as_mut())
            && time.since(episode.last) <= window
        {
            episode.success.get_or_insert((time, how.into(), id));
        }
    }
}

fn finding((src, dst, port): Key, e: &Episode, net: &Net, least: usize, spread: f64) -> Finding {
    let (host, peer) = (net.addr(src), dst.map(|d| net.addr(d)));
    let tries = e.connections.max(e.logged);
    let what = if e.logged > e.connections { "logins that failed" } else { "connections of like size" };
    let until = e.success.as_ref().map_or(e.last, |s| s.0.max(e.last));
    let minutes = (until.since(e.first) as f64 / 60e9).ceil().max(1.0);
    let end = match &e.success {
        Some((at, how, _)) => format!("; one was let in at {} ({how})", at.utc().format("%H:%M:%SZ")),
        None => String::new(),
    };
    let whom = match peer {
        Some(peer) if port > 0 => format!("{peer} {}", service(port, e.proto)),
        Some(peer) => peer.to_string(),
        None => "a host whose log names no address".into(),
    };
    let title = format!("{host} guesses passwords of {whom}: {tries} {what} in {minutes:.0} min{end}");
    let mut f = Finding::new(NAME, host, span(e.first, until), title);
    f.peer = peer;
    f.service = peer.filter(|_| port > 0).map(|_| (e.proto, port));
    f.severity = if e.success.is_some() { 4 } else { 3 };
    f.score = sat(tries as f64 / (4.0 * least as f64)) as f32;
    f.number("connections", e.connections, least);
    f.number("logins that failed", e.logged, least);
    f.number("median bytes received", format!("{:.0}", e.median), "");
    f.number("MAD / median", format!("{:.3}", e.spread), format!("< {spread}"));
    let to = peer.map_or_else(|| "kind = auth".to_owned(), |p| format!("(dst.ip = {p} and dst.port = {port} or kind = auth)"));
    f.asks(&format!("src.ip = {host} and {to}"));
    f.rows = (e.connections + e.logged) as u64;
    e.success.iter().for_each(|s| f.rests_on(net.record(s.2)));
    e.ids.iter().for_each(|id| f.rests_on(net.record(*id)));
    f.sources = e.sources.iter().copied().collect();
    f.benign = vec![
        "a program with an old password that tries again and again".into(),
        "monitoring, backups or configuration management that log in for every step".into(),
    ];
    if e.unsure > 0 {
        f.caveats.push(format!(
            "a log that names no host is counted here: it may be of {} tried meanwhile",
            counted(e.unsure, "other host")
        ));
    }
    if e.logged == 0 {
        f.caveats.push("no log of the service says whether logins failed".into());
    }
    f
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detectors::trial::{FRIDAY, Trial};

    #[test]
    fn guesses_are_found_with_the_one_that_succeeded() {
        let mut trial = Trial::new();
        let begin = FRIDAY as f64;
        for n in 0..38 {
            trial.flow(begin + f64::from(n) * 4.5, "10.0.0.5", "10.0.0.12", 22).bytes_in = 2_400 + u64::from(n as u32 % 7);
        }
        trial.flow(begin + 173.0, "10.0.0.5", "10.0.0.12", 22).bytes_in = 90_000;
        let found = trial.found(&DETECTOR);
        assert_eq!(found.len(), 1);
        let f = &found[0];
        assert_eq!((f.severity, f.service, f.rows), (4, Some((6, 22)), 38));
        assert!(f.title.contains("38 connections of like size") && f.title.contains("let in at 08:02:53Z"), "{}", f.title);
    }

    #[test]
    fn logins_that_failed_are_enough_and_work_is_not_guessing() {
        let mut trial = Trial::new();
        let begin = FRIDAY as f64;
        let fail = trial.word("login_fail");
        for n in 0..31 {
            trial.event(Kind::Auth, begin + f64::from(n), "192.0.2.9", "10.0.0.12", 22).action = fail;
            // Sessions of all sizes, and a service that asks for no password.
            trial.flow(begin + f64::from(n), "10.0.0.7", "10.0.0.12", 22).bytes_in = 1_000 << (n % 9);
            trial.flow(begin + f64::from(n), "10.0.0.8", "10.0.0.12", 443);
        }
        // Spread over hours: not guessing.
        for n in 0..60 {
            trial.flow(begin + f64::from(n) * 120.0, "10.0.0.9", "10.0.0.12", 22);
        }
        // A service's own log does not name its address.
        for n in 0..30 {
            let login = trial.event(Kind::Auth, begin + 40_000.0 + f64::from(n), "192.0.2.7", "10.0.0.12", 0);
            (login.dst, login.action) = (None, fail);
            let login = trial.event(Kind::Auth, begin + 50_000.0 + f64::from(n), "192.0.2.8", "10.0.0.12", 0);
            (login.dst, login.action) = (None, fail);
            trial.flow(begin + 50_000.0 + f64::from(n), "192.0.2.8", "10.0.0.12", 22);
        }
        let found = trial.found(&DETECTOR);
        let shown = |n: usize| (found[n].host.to_string(), found[n].peer.is_some(), found[n].rows);
        assert_eq!((found.len(), shown(1), shown(2)), (3, ("192.0.2.7".into(), false, 30), ("192.0.2.8".into(), true, 60)));
        let found = &found[..1];
        assert_eq!(found.iter().map(|f| f.host.to_string()).collect::<Vec<_>>(), ["192.0.2.9"]);
        assert_eq!((found[0].severity, found[0].title.contains("31 logins that failed")), (3, true));
        assert!(trial.found_by(&DETECTOR, &Limits::new().with(NAME, "connections", 40.0)).is_empty());
    }

    #[test]
    fn a_log_that_names_no_host_goes_to_the_connections_nearest_in_time() {
        let mut trial = Trial::new();
        let begin = FRIDAY as f64;
        let fail = trial.word("login_fail");
        for n in 0..40 {
            // One server after the other; the log is of the time of the second.
            trial.flow(begin + f64::from(n), "192.0.2.7", "10.0.0.12", 22);
            trial.flow(begin + 60.0 + f64::from(n), "192.0.2.7", "10.0.0.13", 22);
            let login = trial.event(Kind::Auth, begin + 61.0 + f64::from(n), "192.0.2.7", "10.0.0.13", 0);
            (login.dst, login.action) = (None, fail);
        }
        trial.flows.sort_by_key(|f| f.start);
        let found = trial.found(&DETECTOR);
        let told = |n: usize| (found[n].peer.map(|p| p.to_string()).unwrap_or_default(), found[n].rows);
        assert_eq!((found.len(), told(0), told(1)), (2, ("10.0.0.12".into(), 40), ("10.0.0.13".into(), 80)));
        assert!(found.iter().all(|f| !f.caveats.iter().any(|c| c.contains("may be of"))), "{found:#?}");
        // Of two at the same time nobody knows.
        for n in 0..40 {
            trial.flow(begin + 60.5 + f64::from(n), "192.0.2.7", "10.0.0.14", 22);
        }
        trial.flows.sort_by_key(|f| f.start);
        let found = trial.found(&DETECTOR);
        assert_eq!(found.iter().filter(|f| f.caveats.iter().any(|c| c.contains("1 other host"))).count(), 1, "{found:#?}");
    }
}
