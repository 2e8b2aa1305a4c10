//! Connections that last: the longest one between two hosts, and how long all of a day are together, by RITA's limits. What had not ended when the
//! records end is told as such: a tunnel or a remote shell may still be open.

use super::fold::{Fold, Proof, by_subject, lasting};
use super::gather::service;
use super::held::{Sweep, Table};
use super::maths::sat;
use super::rows::{Flow, Host, Id, Net, Piece, Word};
use super::{Day, Detector, Limits, Setting, Watch};
use crate::model::Time;
use crate::model::finding::Finding;
use crate::model::time::SECOND;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// The detector.
pub static DETECTOR: LongConnection = LongConnection;

/// See the module.
pub struct LongConnection;

const NAME: &str = "long_connection";
const SETTINGS: &[Setting] = &[
    Setting { name: "single", default: 3_600.0, unit: "s", doc: "One connection that lasts so long is told." },
    Setting {
        name: "summed",
        default: 28_800.0,
        unit: "s",
        doc: "All connections of a day between two hosts that last so long together are told.",
    },
    Setting { name: "inside", default: 43_200.0, unit: "s", doc: "The least of one connection between two home hosts." },
    Setting {
        name: "shared",
        default: 4.0,
        unit: "",
        doc: "From so many hosts on with long connections to the same end it is one finding.",
    },
];
/// Summed seconds of a day at which a threat grows (RITA v5).
const LONG: [f64; 4] = [3_600.0, 14_400.0, 28_800.0, 43_200.0];
/// Shorter connections are not added up.
const SHORT: i64 = SECOND;
/// Pairs that are followed on one day, and that are kept of all days.
const PAIRS: usize = 400_000;
const KEPT: usize = 50_000;
/// What was heard of so shortly before the records end was open then.
const AT_END: i64 = 120 * SECOND;
/// Findings within the home networks that are told.
const INSIDE: usize = 20;

impl Detector for LongConnection {
    fn name(&self) -> &'static str {
        NAME
    }
    fn doc(&self) -> &'static str {
        "Connections that last for hours, or many that do so together within a day, by the limits of RITA v5 (1, 4, 8, 12 h); with those that were still open."
    }
    fn techniques(&self) -> &'static [&'static str] {
        &["T1571", "T1572"]
    }
    fn settings(&self) -> &'static [Setting] {
        SETTINGS
    }
    fn watch(&self, limits: &Limits) -> Box<dyn Watch> {
        let of = |name| limits.of(NAME, SETTINGS, name);
        Box::new(Lasting {
            single: (of("single").max(1.0) * SECOND as f64) as i64,
            summed: (of("summed").max(1.0) * SECOND as f64) as i64,
            inside: (of("inside").max(1.0) * SECOND as f64) as i64,
            shared: of("shared").max(2.0) as usize,
            ..Lasting::default()
        })
    }
}

/// Originator, responder, port and protocol of the responder.
type Key = (Host, Host, u16, u8);

#[derive(Default, Serialize, Deserialize)]
struct Lasting {
    single: i64,
    summed: i64,
    inside: i64,
    shared: usize,
    day: Table<Key, OfDay>,
    sweep: Sweep,
    kept: HashMap<Key, Kept, foldhash::fast::RandomState>,
    /// The end of the records.
    last: Time,
    lost: u64,
}

/// What two hosts had on a day.
#[derive(Default, Serialize, Deserialize)]
struct OfDay {
    sum: i64,
    bytes: u64,
    proof: Proof,
    longest: Longest,
}

/// The longest connection of several.
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
struct Longest {
    duration: i64,
    name: Word,
    app: Word,
    /// None: there was no connection.
    id: Option<Id>,
    open: bool,
}

impl Longest {
    fn of(flow: &Flow) -> Longest {
        Longest { duration: flow.duration(), name: flow.name, app: flow.app, id: Some(flow.id), open: flow.open }
    }
    /// Takes another, which counts if it is longer.
    fn take(&mut self, other: Longest) {
        if self.id.is_none() || other.duration > self.duration {
            *self = other;
        }
    }
}

/// What two hosts had on the days that were told.
#[derive(Default, Serialize, Deserialize)]
struct Kept {
    sum: i64,
    longest: Longest,
    days: usize,
    bytes: u64,
    proof: Proof,
    open: bool,
}

impl Watch for Lasting {
    super::resume::kept!();
    fn piece(&mut self, piece: &Piece<'_>) {
        for flow in piece.flows {
            self.last = self.last.max(flow.end);
            let known = piece.net.is_unicast(flow.dst) && piece.net.is_unicast(flow.src);
            if flow.duration() < SHORT || !known || flow.is_failed() || !flow.is_answered() {
                continue;
            }
            let key = (flow.src, flow.dst, flow.dst_port, flow.proto);
            if self.day.len() >= PAIRS && !self.day.contains_key(&key) {
                // Whoever has the least so far goes: the limits are far above.
                if self.sweep.is_due(PAIRS) {
                    self.day.retain(|_, d| d.sum >= 60 * SECOND);
                }
                if self.day.len() >= PAIRS {
                    self.lost += 1;
                    continue;
                }
            }
            let day = self.day.entry(key, OfDay::default);
            day.sum = day.sum.saturating_add(flow.duration());
            day.bytes = day.bytes.saturating_add(flow.bytes());
            day.proof.take(flow.start, flow.end, flow.id, flow.source);
            day.longest.take(Longest::of(flow));
        }
    }
    fn day(&mut self, day: &Day<'_>) {
        let mut list: Vec<(Key, OfDay)> = self.day.drain();
        list.sort_unstable_by_key(|(key, _)| *key);
        for (key, of_day) in list {
            let inside = day.net.is_home(key.0) && day.net.is_home(key.1);
            let (single, summed) = if inside { (self.inside, i64::MAX) } else { (self.single, self.summed) };
            let tells = of_day.longest.duration >= single || of_day.sum >= summed;
            if !tells || self.kept.len() >= KEPT && !self.kept.contains_key(&key) {
                continue;
            }
            let kept = self.kept.entry(key).or_default();
            kept.days += 1;
            kept.sum = kept.sum.max(of_day.sum);
            kept.bytes = kept.bytes.saturating_add(of_day.bytes);
            kept.proof.join(&of_day.proof);
            kept.open |= of_day.longest.open;
            kept.longest.take(of_day.longest);
        }
    }
    fn end(self: Box<Self>, net: &Net) -> Vec<Finding> {
        let mut list: Vec<(&Key, &Kept)> = self.kept.iter().collect();
        list.sort_unstable_by_key(|(key, _)| **key);
        let (mut outside, mut inside) = (Vec::new(), Vec::new());
        for (key, kept) in list {
            let home = net.is_home(key.0) && net.is_home(key.1);
            let finding = self.finding(key, kept, net, home);
            if home { inside.push(finding) } else { outside.push(finding) }
        }
        let fold = Fold {
            least: self.shared,
            severity: 1,
            title: &|n, best| format!("{n} hosts have long connections to the same end, as {}", best.title),
            asks: &|f| match (&f.name, f.peer) {
                (Some(name), _) => format!("kind = flow and name = {}", crate::query::quote(name)),
                (None, Some(peer)) => format!("kind = flow and dst.ip = {peer}"),
                _ => "kind = flow".into(),
            },
            benign: "a service that these hosts have in common: mail, chat, push messages, remote management",
        };
        let mut out = by_subject(outside, &fold);
        let mut inside = by_subject(inside, &Fold { least: 2, severity: 0, ..fold });
        inside.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.key().cmp(&b.key())));
        inside.truncate(INSIDE);
        out.append(&mut inside);
        out
    }
}

impl Lasting {
    fn finding(&self, (src, dst, port, proto): &Key, kept: &Kept, net: &Net, home: bool) -> Finding {
        let (host, peer) = (net.addr(*src), net.addr(*dst));
        let Longest { duration: longest, name, app, .. } = kept.longest;
        let open = kept.open || self.last.since(kept.proof.last) <= AT_END && longest >= self.single;
        let single = if home { self.inside } else { self.single };
        let named = match net.text(name) {
            "" => String::new(),
            text => format!(" ({text})"),
        };
        let service = service(*port, *proto);
        let what = if longest >= single {
            format!("a connection of {}", lasting(longest))
        } else {
            format!("connections of {} in one day", lasting(kept.sum))
        };
        let days = if kept.days > 1 { format!(", on {} days", kept.days) } else { String::new() };
        let still = if open { "; still open when the records end" } else { "" };
        let title = format!("{host} has {what} to {peer}{named} {service}{days}{still}");
        let mut proof = kept.proof.clone();
        kept.longest.id.into_iter().for_each(|id| proof.lead(id));
        let mut f = proof.finding(NAME, net, *src, title);
        f.peer = Some(peer);
        f.service = Some((*proto, *port));
        f.name = Some(net.text(name)).filter(|n| !n.is_empty()).map(str::to_owned);
        let threat = super::beacon::bucket(kept.sum.max(longest) as f64 / SECOND as f64, LONG);
        f.score = sat(threat) as f32;
        f.severity = match (home, threat) {
            (true, _) => u8::from(open),
            (false, t) if t >= 0.6 || open => 2,
            _ => 1,
        };
        f.number("longest connection", lasting(longest), lasting(single));
        f.number("all of one day", lasting(kept.sum), if home { String::new() } else { lasting(self.summed) });
        f.number("threat by duration", format!("{threat:.2}"), "");
        f.number("connections", kept.proof.rows, "");
        f.number("bytes", kept.bytes, "");
        f.asks(&format!("kind = flow and src.ip = {host} and dst.ip = {peer} and dst.port = {port} and duration >= 1s"));
        if open {
            f.caveats.push("it had not ended: how long it lasts in all is not known".into());
        }
        if kept.sum > 86_400 * SECOND {
            f.caveats.push("connections overlap: together they last longer than the day".into());
        }
        if self.lost > 0 {
            f.caveats.push(format!("{} connections of all hosts found no room and were not looked at", self.lost));
        }
        f.benign = vec![
            "a remote session, a tunnel between sites or a download that somebody knows of".into(),
            "push messages, chat, streaming, or a pool of connections that is kept".into(),
        ];
        if net.text(app).is_empty() {
            f.caveats.push("which application it is was not recognised".into());
        }
        f
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detectors::trial::{FRIDAY, Trial};

    const HOUR: i64 = 3_600 * SECOND;

    #[test]
    fn hours_are_told_by_limits_and_what_is_open_is_said() {
        let mut trial = Trial::new();
        let begin = FRIDAY as f64;
        let lasting = |trial: &mut Trial, at: f64, src: &str, dst: &str, hours: i64| {
            let flow = trial.flow(at, src, dst, 443);
            flow.end = flow.start.plus(hours * HOUR);
        };
        lasting(&mut trial, begin, "10.0.0.5", "192.0.2.9", 9);
        lasting(&mut trial, begin, "10.0.0.6", "192.0.2.10", 2);
        for n in 0..20 {
            let flow = trial.flow(begin + f64::from(n) * 1_500.0, "10.0.0.7", "192.0.2.11", 443);
            flow.end = flow.start.plus(HOUR / 2);
        }
        lasting(&mut trial, begin, "10.0.0.8", "10.0.0.1", 9);
        trial.flow(begin, "10.0.0.9", "192.0.2.12", 443);
        trial.flow(begin + 40_000.0, "10.0.0.9", "192.0.2.12", 443);
        let found = trial.found(&DETECTOR);
        let told: Vec<_> =
            found.iter().map(|f| (f.host.to_string(), f.severity, (f.score * 1000.0).round() / 1000.0, f.rows)).collect();
        assert_eq!(told, [("10.0.0.5".into(), 2, 0.65, 1), ("10.0.0.6".into(), 1, 0.267, 1), ("10.0.0.7".into(), 2, 0.7, 20)]);
        assert!(found[0].title.contains("a connection of 9 h to 192.0.2.9 443/tcp"), "{}", found[0].title);
        assert!(found[2].title.contains("connections of 10 h in one day"), "{}", found[2].title);

        lasting(&mut trial, begin + 37_000.0, "10.0.0.4", "192.0.2.13", 2);
        trial.flows.last_mut().unwrap().open = true;
        let found = trial.found(&DETECTOR);
        assert!(found.iter().any(|f| f.host.to_string() == "10.0.0.4" && f.title.ends_with("still open when the records end")));
    }

    #[test]
    fn what_all_have_is_one_finding_and_days_are_one() {
        let mut trial = Trial::new();
        for day in 0..3 {
            for host in 1..=9 {
                let flow = trial.flow((FRIDAY + day * 86_400) as f64, &format!("10.0.0.{host}"), "192.0.2.9", 5_222);
                flow.end = flow.start.plus(5 * HOUR);
            }
        }
        let found = trial.found(&DETECTOR);
        assert_eq!((found.len(), found[0].rows, found[0].severity), (1, 27, 1));
        assert!(found[0].title.starts_with("9 hosts") && found[0].query.contains("src.ip in {10.0.0.1,"), "{:?}", found[0]);
    }
}
