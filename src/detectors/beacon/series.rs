//! What came at a beat on several days, and what is said of it.

use super::rita::{BEACON, Score, bucket};
use super::spectrum::Beat;
use super::{Beacons, Called, Fact, Judged, NAME, Sample, TICKS};
use crate::detectors::fold::{Fold, Proof, any_of, by_subject, date, days, few, lasting};
use crate::detectors::gather::service;
use crate::detectors::history::Crowd;
use crate::detectors::maths::sat;
use crate::detectors::rows::{Host, Net, Word};
use crate::model::finding::Finding;
use crate::model::time::{DAY, SECOND};
use crate::model::{Time, proto};
use crate::query::quote;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Addresses of a series that are kept.
const ADDRESSES: usize = 16;
/// Days from which on the absence of an address before means something, and days after which it is an old acquaintance.
const NEW_AFTER: i32 = 3;
const NEW_WITHIN: i32 = 7;
const OLD_AFTER: i32 = 30;
/// How much each thing that is known besides adds to the threat or takes from it.
const MODIFIER: f64 = 0.15;
const NAMELESS: f64 = 0.10;
/// Findings within the home networks that are told.
const INSIDE: usize = 20;

/// Whom a series goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Subject {
    /// An address.
    Host(Host),
    /// A name, at whatever address.
    Name(Word),
}

/// The days of a series.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Series {
    first_day: i32,
    last_day: i32,
    days: usize,
    /// Of its best day.
    best: Score,
    beat: Option<Beat>,
    strobe: bool,
    proof: Proof,
    bytes: u64,
    hosts: Vec<Host>,
    /// Port and protocol of most of it, as far as there is but one.
    service: Option<(u8, u16)>,
    services: usize,
}

impl Series {
    pub(super) fn add(&mut self, day: i32, judged: &Judged, samples: &[Sample]) {
        self.first_day = if self.days == 0 { day } else { self.first_day };
        self.last_day = day;
        self.days += 1;
        if judged.score.score > self.best.score || self.days == 1 {
            self.best = judged.score;
        }
        if let Some(beat) = judged.beat
            && self.beat.is_none_or(|known| (beat.chance, -beat.power) < (known.chance, -known.power))
        {
            self.beat = Some(beat);
        }
        self.strobe |= judged.strobe;
        let midnight = i64::from(day).saturating_mul(DAY);
        for sample in samples {
            let time = Time(midnight.saturating_add((f64::from(sample.tick) / TICKS * SECOND as f64) as i64));
            // A tick is cut off: the record itself lies in the next one.
            self.proof.take(time, time.plus((SECOND as f64 / TICKS) as i64), sample.id, sample.source);
            self.bytes = self.bytes.saturating_add(u64::from(sample.bytes));
            if self.hosts.len() < ADDRESSES && !self.hosts.contains(&sample.dst) {
                self.hosts.push(sample.dst);
            }
            let service = Some((sample.proto, sample.port));
            if self.service != service {
                self.services += 1;
                self.service = service;
            }
        }
    }
    fn service(&self) -> Option<(u8, u16)> {
        self.service.filter(|_| self.services == 1)
    }
}

/// What was found, in order of host and subject.
pub(super) fn findings(all: &Beacons, net: &Net) -> Vec<Finding> {
    let mut list: Vec<(&(Host, Subject), &Series)> = all.series.iter().collect();
    list.sort_unstable_by_key(|(key, _)| **key);
    // A name tells more than its address: what is the same series is told once.
    let mut by_name: BTreeMap<(Host, Host), u64> = BTreeMap::new();
    for ((src, subject), series) in &list {
        if let Subject::Name(_) = subject {
            series.hosts.iter().for_each(|h| *by_name.entry((*src, *h)).or_default() += series.proof.rows);
        }
    }
    let covered = |src: Host, dst: Host, rows: u64| by_name.get(&(src, dst)).is_some_and(|n| n.saturating_mul(10) >= rows * 9);
    let (mut outside, mut inside) = (Vec::new(), Vec::new());
    for ((src, subject), series) in list {
        if matches!(subject, Subject::Host(dst) if covered(*src, *dst, series.proof.rows)) {
            continue;
        }
        let home = series.hosts.first().is_some_and(|h| net.is_home(*h));
        let finding = finding(all, net, *src, *subject, series, home);
        if home { inside.push(finding) } else { outside.push(finding) }
    }
    let asks = |f: &Finding| match (&f.name, f.peer) {
        (Some(name), _) => format!("kind = flow and name = {}", quote(name)),
        (None, Some(peer)) => format!("kind = flow and dst.ip = {peer}"),
        _ => "kind = flow".into(),
    };
    let whom = |f: &Finding| f.name.clone().or_else(|| f.peer.map(|p| p.to_string())).unwrap_or_default();
    let mut out = by_subject(
        outside,
        &Fold {
            least: all.limits.shared,
            severity: 1,
            title: &|n, best| format!("{n} hosts call {} at a beat, as does {}: {}", whom(best), best.host, best.title),
            asks: &asks,
            benign: "a service that these hosts have in common: updates, time, mail, management",
        },
    );
    let mut inside = by_subject(
        inside,
        &Fold {
            least: 2,
            severity: 0,
            title: &|n, best| format!("{n} hosts call {} inside at a beat, as does {}: {}", whom(best), best.host, best.title),
            asks: &asks,
            benign: "a service of the site: directory, resolver, clock, files, monitoring",
        },
    );
    inside.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.key().cmp(&b.key())));
    inside.truncate(INSIDE);
    out.append(&mut inside);
    out
}

/// What is known besides, each with what it adds.
struct Known {
    modifiers: Vec<(String, f64)>,
    hosts: u32,
    share: f64,
}

fn known(all: &Beacons, net: &Net, series: &Series, src: Host, subject: Subject) -> Known {
    let of = |table: &Vec<Called>, place: u32| table.get(place as usize).copied().unwrap_or_default();
    let talking = all.talking.count();
    let called = match subject {
        Subject::Host(dst) => of(&all.called, dst.0),
        Subject::Name(name) => of(&all.called_names, name.0),
    };
    let share = f64::from(called.hosts) / f64::from(talking.max(1));
    let mut modifiers = Vec::new();
    // Of a handful of hosts each is a large share.
    let rare = share <= all.limits.rare || called.hosts <= 1 && talking >= 10;
    if rare {
        modifiers.push((format!("rare: {} of {talking} hosts", called.hosts), MODIFIER));
    } else if share >= all.limits.common && talking >= 4 {
        modifiers.push((format!("common: {} of {talking} hosts", called.hosts), -MODIFIER));
    }
    if let Some((begin, _)) = all.span {
        let before = called.first_day.saturating_sub(begin.day());
        let lasts = called.last_day.saturating_sub(called.first_day);
        if before >= NEW_AFTER && lasts <= NEW_WITHIN {
            modifiers.push((format!("first called on {}, after {before} days without", date(called.first_day)), MODIFIER));
        } else if lasts >= OLD_AFTER {
            modifiers.push((format!("called since {}", date(called.first_day)), -MODIFIER));
        }
    }
    let facts: Vec<&Fact> = series.hosts.iter().filter_map(|dst| all.facts.get(&(src, *dst))).collect();
    if facts.iter().any(|f| f.nameless) {
        modifiers.push(("HTTP without the name of a host".into(), NAMELESS));
    }
    let one = |users: &Vec<Host>| {
        let mut crowd = Crowd::default();
        users.iter().for_each(|host| crowd.add(net, *host));
        crowd.count() == 1
    };
    let alone = |f: &&&Fact| f.agent.is_some() && all.agents.len() > 1 && all.agents.get(&f.agent).is_some_and(one);
    if facts.iter().any(|f| alone(&f)) {
        modifiers.push(("no other host has this client's JA4".into(), MODIFIER));
    }
    Known { modifiers, hosts: called.hosts, share }
}

fn finding(all: &Beacons, net: &Net, src: Host, subject: Subject, series: &Series, home: bool) -> Finding {
    let (limits, best, known) = (&all.limits, &series.best, known(all, net, series, src, subject));
    let mut addresses: Vec<IpAddr> = series.hosts.iter().map(|h| net.addr(*h)).collect();
    addresses.sort_unstable();
    let asked = |dst: &Host| all.names.get(dst).map(|n| net.text(*n)).filter(|n| !n.is_empty());
    let (name, from_dns) = match subject {
        Subject::Name(name) => (Some(net.text(name)), false),
        Subject::Host(dst) => (asked(&dst), true),
    };
    let port = series.service().map(|(p, port)| service(port, p));
    let whom = match (subject, name) {
        (Subject::Name(_), Some(name)) => format!("{name} ({})", few(&addresses, 2)),
        (_, Some(name)) => format!("{} ({name})", few(&addresses, 2)),
        (_, None) => few(&addresses, 2),
    };
    let host = net.addr(src);
    let service = port.map(|p| format!(" {p}")).unwrap_or_default();
    let when = days(series.first_day, series.last_day, series.days);
    let title = if series.strobe {
        format!("{host} calls {whom}{service} without a pause: {} connections {when}", series.proof.rows)
    } else {
        format!("{host} calls {whom}{service} {}: {} connections {when}", rhythm(best, series.beat), series.proof.rows)
    };
    let mut f = series.proof.finding(NAME, net, src, title);
    f.peer = addresses.first().copied().filter(|_| addresses.len() == 1);
    f.service = series.service();
    f.name = name.filter(|_| !home).map(str::to_owned);
    let added: f64 = known.modifiers.iter().map(|m| m.1).sum();
    let base = best.threat().max(if series.beat.is_some() { 0.4 } else { 0.0 });
    let threat = sat(base + if limits.exact { 0.0 } else { added });
    let usual = usual(series.service());
    f.severity = match threat {
        _ if home => 0,
        _ if usual.is_some() => 1,
        t if t >= 0.75 => 3,
        t if t >= 0.4 => 2,
        _ => 1,
    };
    f.score = threat as f32;
    numbers(&mut f, limits, series, &known, threat);
    let whom = match (subject, name) {
        (Subject::Name(_), Some(name)) => format!("name = {}", quote(name)),
        _ => any_of("dst.ip", &addresses).unwrap_or_else(|| "exists dst.ip".into()),
    };
    f.asks(&format!("kind = flow and src.ip = {host} and {whom}"));
    caveats(&mut f, all, series, from_dns && name.is_some());
    f.benign = match usual {
        Some(why) => vec![why.into()],
        None if home => {
            vec!["a program that keeps a connection to a server of the site: directory, files, mail, monitoring".into()]
        }
        None => vec![
            "an installed program that looks for updates or reports what it does".into(),
            "a chat, mail or monitoring client that polls its server, or a page left open that reloads itself".into(),
        ],
    };
    f
}

fn numbers(f: &mut Finding, limits: &super::Thresholds, series: &Series, known: &Known, threat: f64) {
    let best = &series.best;
    f.number("score of the best day", format!("{:.3}", best.score), limits.score);
    f.number(
        "score of intervals",
        format!("{:.3}", best.ts),
        if limits.exact { String::new() } else { limits.regular.to_string() },
    );
    f.number("score of sizes", format!("{:.3}", best.ds), "");
    f.number("score of the spread over the day", format!("{:.3}", best.hist), "");
    f.number("score of duration", format!("{:.3}", best.dur), "");
    f.number("median interval", format!("{} s", trimmed(best.period)), "");
    f.number("median deviation from it", format!("{} s", trimmed(best.jitter)), "");
    f.number("median bytes sent", format!("{:.0}", best.size), "");
    f.number("bytes sent", series.bytes, "");
    if let Some(beat) = series.beat {
        f.number("beat of the periodogram", format!("{} s", trimmed(beat.period)), "");
        f.number("power of the beat", format!("{:.1}", beat.power), "3");
        f.number("probability by chance", format!("{:.1e}", beat.chance), format!("< {:e}", limits.chance));
    }
    f.number("threat by the score", format!("{:.3}", best.threat()), format!("{:.3}", bucket(100.0 * limits.score, BEACON)));
    for (why, added) in known.modifiers.iter().filter(|_| !limits.exact) {
        f.number(why, format!("{added:+.2}"), "");
    }
    f.number("threat", format!("{threat:.2}"), "");
    f.number(
        "hosts that call it",
        format!("{} ({:.1} %)", known.hosts, 100.0 * known.share),
        format!("rare: {} %", 100.0 * limits.rare),
    );
}

fn caveats(f: &mut Finding, all: &Beacons, series: &Series, name_of_dns: bool) {
    if let Some((begin, end)) = all.span {
        let seen = end.since(begin);
        if seen < DAY / 2 {
            f.caveats.push(format!("only {} of traffic were seen", lasting(seen)));
            f.severity = f.severity.min(2);
        }
        if end.day().saturating_sub(begin.day()) < NEW_AFTER {
            f.caveats.push("the records do not go back far enough to say whether the other end is new".into());
        }
    }
    if series.best.score < all.limits.score {
        f.caveats.push("the score is below its threshold: only the periodogram speaks for it".into());
    }
    if name_of_dns {
        f.caveats.push("the name is one that the address was an answer for; the connections do not carry it".into());
    }
    if series.hosts.len() >= ADDRESSES {
        f.caveats.push(format!("more than {ADDRESSES} addresses"));
    }
    if all.lost > 0 {
        f.caveats.push(format!("{} connections of all hosts found no room and were not looked at", all.lost));
    }
}

/// What is periodic by its nature.
fn usual(service: Option<(u8, u16)>) -> Option<&'static str> {
    let (protocol, port) = service.unwrap_or_default();
    match (protocol, port) {
        (proto::UDP, 123) => return Some("a clock that is set (NTP)"),
        (_, 53 | 853) => return Some("questions to a resolver"),
        (proto::UDP, 67 | 68 | 546 | 547) => return Some("the lease of an address (DHCP)"),
        (_, 25 | 110 | 143 | 465 | 587 | 993 | 995) => {
            return Some("a mail client that polls its mailbox, or a mail server that delivers");
        }
        (_, 161 | 162 | 514 | 10_050 | 10_051) => return Some("monitoring or logging of the site"),
        _ => {}
    }
    None
}

/// The beat in words.
fn rhythm(best: &Score, beat: Option<Beat>) -> String {
    // Where intervals are left out or added the median is no period.
    let period = beat.filter(|b| (b.period / best.period - 1.0).abs() > 0.1).map_or(best.period, |b| b.period);
    let off = trimmed(best.jitter);
    if period >= 120.0 {
        format!("every {} ({} s ± {off} s)", lasting((period * SECOND as f64) as i64), trimmed(period))
    } else {
        format!("every {} s (± {off} s)", trimmed(period))
    }
}

/// Seconds with as many digits as say something.
fn trimmed(seconds: f64) -> String {
    let digits = if seconds >= 100.0 { 10.0 } else { 100.0 };
    ((seconds * digits).round() / digits).to_string()
}
