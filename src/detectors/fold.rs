//! What many hosts do is one thing to look at, not a hundred: findings of hosts that share a subject become one. With it words for spans and beats.

use super::held::push;
use super::rows::{Host, Id, Net};
use crate::model::finding::{EVIDENCE, Finding, span};
use crate::model::time::SECOND;
use crate::model::{RecordId, SourceId, Time, Window};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Hosts that a query names one by one; more are left to its other conditions.
const NAMED: usize = 24;

/// How findings that share a subject become one.
pub struct Fold<'a> {
    /// From how many hosts on.
    pub least: usize,
    /// Greatest severity of what so many do.
    pub severity: u8,
    /// Its sentence: how many hosts, and the most telling of their findings.
    pub title: &'a dyn Fn(usize, &Finding) -> String,
    /// The conditions of its query without the hosts, of that finding.
    pub asks: &'a dyn Fn(&Finding) -> String,
    /// Why so many do the same, harmlessly.
    pub benign: &'a str,
}

/// Name, peer, and protocol and port of the service.
type Subject = (Option<String>, Option<IpAddr>, Option<(u8, u16)>);

/// Findings with the same peer, name and service become one where hosts enough have them.
pub fn by_subject(list: Vec<Finding>, fold: &Fold<'_>) -> Vec<Finding> {
    let mut groups: BTreeMap<Subject, Vec<Finding>> = BTreeMap::new();
    for finding in list {
        // Of a name only the name counts: it may move from address to address.
        let peer = if finding.name.is_some() { None } else { finding.peer };
        groups.entry((finding.name.clone(), peer, finding.service)).or_default().push(finding);
    }
    let mut out = Vec::new();
    for (subject, mut group) in groups {
        group.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| (a.host, a.window.start).cmp(&(b.host, b.window.start))));
        let mut hosts: Vec<IpAddr> = group.iter().map(|f| f.host).collect();
        hosts.sort_unstable();
        hosts.dedup();
        // What has no subject has none in common.
        if hosts.len() < fold.least.max(2) || subject == (None, None, None) {
            out.append(&mut group);
            continue;
        }
        out.extend(one(&group, &hosts, fold));
    }
    out
}

fn one(group: &[Finding], hosts: &[IpAddr], fold: &Fold<'_>) -> Option<Finding> {
    let best = group.first()?;
    let mut f = best.clone();
    f.title = (fold.title)(hosts.len(), best);
    f.severity = best.severity.min(fold.severity);
    merge(&mut f, group);
    f.number("hosts that do so", hosts.len(), fold.least);
    for other in group.iter().skip(1) {
        for caveat in &other.caveats {
            if !f.caveats.contains(caveat) && f.caveats.len() < 8 {
                f.caveats.push(caveat.clone());
            }
        }
    }
    f.benign.insert(0, fold.benign.to_owned());
    let rest = (fold.asks)(best);
    let whom = if hosts.len() <= NAMED { format!("src.ip in {{{}}} and {rest}", listed(hosts)) } else { rest };
    f.asks(&whom);
    Some(f)
}

/// Makes a finding one of several: their records, windows, sources, and of the evidence the first of each before the second of any.
pub fn merge(f: &mut Finding, group: &[Finding]) {
    let window = group.iter().map(|g| g.window).reduce(|a, b| Window::new(a.start.min(b.start), a.end.max(b.end)));
    f.window = window.unwrap_or(f.window);
    f.rows = group.iter().map(|g| g.rows).fold(0, u64::saturating_add);
    f.evidence.clear();
    let longest = group.iter().map(|g| g.evidence.len()).max().unwrap_or(0);
    for n in 0..longest.min(EVIDENCE) {
        group.iter().filter_map(|g| g.evidence.get(n)).for_each(|id| f.rests_on(*id));
    }
    f.sources = group.iter().flat_map(|g| g.sources.iter().copied()).collect::<BTreeSet<_>>().into_iter().collect();
}

/// Values with commas between them.
pub fn listed<T: ToString>(list: &[T]) -> String {
    list.iter().map(T::to_string).collect::<Vec<_>>().join(", ")
}

/// The first few values, and how many there are besides.
pub fn few<T: ToString>(list: &[T], most: usize) -> String {
    let shown = list.get(..most.min(list.len())).unwrap_or_default();
    let rest = list.len() - shown.len();
    if rest == 0 { listed(shown) } else { format!("{} and {rest} more", listed(shown)) }
}

/// A condition that selects addresses by a field: `dst.ip = 10.0.0.5`, `dst.ip in {10.0.0.5, 10.0.0.7}`; of too many none.
pub fn any_of(field: &str, list: &[IpAddr]) -> Option<String> {
    match list {
        [] => None,
        [one] => Some(format!("{field} = {one}")),
        list if list.len() <= NAMED => Some(format!("{field} in {{{}}}", listed(list))),
        _ => None,
    }
}

/// A span in words of one or two units: `4 d 2 h`, `35 min`, `12 s`, `0.25 s`.
pub fn lasting(nanos: i64) -> String {
    let seconds = nanos.max(0) as f64 / SECOND as f64;
    let whole = seconds.round() as i64;
    let two = |n: i64, unit: &str, rest: i64, small: &str| {
        if rest == 0 { format!("{n} {unit}") } else { format!("{n} {unit} {rest} {small}") }
    };
    match whole {
        0 if seconds == 0.0 => "0 s".into(),
        0..10 => format!("{} s", (seconds * 100.0).round() / 100.0),
        10..120 => format!("{whole} s"),
        120..7_200 => format!("{:.0} min", seconds / 60.0),
        7_200..172_800 => two(whole / 3_600, "h", whole % 3_600 / 60, "min"),
        _ => two(whole / 86_400, "d", whole % 86_400 / 3_600, "h"),
    }
}

/// A day of UTC as a date.
pub fn date(day: i32) -> String {
    Time::from_parts(i64::from(day) * 86_400, 0).utc().format("%Y-%m-%d").to_string()
}

/// Days in words: `on 2026-11-17`, `on 4 days from 2026-11-17 to 2026-11-20`.
pub fn days(first: i32, last: i32, count: usize) -> String {
    match count {
        0 | 1 => format!("on {}", date(first)),
        n => format!("on {n} days from {} to {}", date(first), date(last)),
    }
}

/// Records that something rests on: the first few of them, how many there are, from when to when, of which sources.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Proof {
    /// How many.
    pub rows: u64,
    /// The earliest.
    pub first: Time,
    /// The latest.
    pub last: Time,
    /// The first few.
    ids: Vec<Id>,
    /// Where they came from.
    sources: Vec<SourceId>,
}

impl Proof {
    /// Most records that are kept of one subject.
    const KEPT: usize = EVIDENCE;

    /// Takes a record.
    pub fn take(&mut self, from: Time, until: Time, id: Id, source: SourceId) {
        self.first = if self.rows == 0 { from } else { self.first.min(from) };
        self.last = if self.rows == 0 { until } else { self.last.max(until) };
        self.rows = self.rows.saturating_add(1);
        if self.ids.len() < Self::KEPT {
            push(&mut self.ids, id);
        }
        if !self.sources.contains(&source) && self.sources.len() < 16 {
            push(&mut self.sources, source);
        }
    }
    /// Shows a record, which was taken, before the others.
    pub fn lead(&mut self, id: Id) {
        self.ids.retain(|known| *known != id);
        self.ids.insert(0, id);
        self.ids.truncate(Self::KEPT);
    }
    /// Takes what another has, which comes later.
    pub fn join(&mut self, other: &Proof) {
        if other.rows == 0 {
            return;
        }
        self.first = if self.rows == 0 { other.first } else { self.first.min(other.first) };
        self.last = if self.rows == 0 { other.last } else { self.last.max(other.last) };
        self.rows = self.rows.saturating_add(other.rows);
        let room = Self::KEPT.saturating_sub(self.ids.len());
        self.ids.extend(other.ids.iter().take(room));
        for source in &other.sources {
            if !self.sources.contains(source) && self.sources.len() < 16 {
                self.sources.push(*source);
            }
        }
    }
    /// The sources that they are of.
    pub fn sources(&self) -> &[SourceId] {
        &self.sources
    }
    /// A finding of a detector that rests on them.
    pub fn finding(&self, detector: &str, net: &Net, host: Host, title: impl Into<String>) -> Finding {
        let mut f = Finding::new(detector, net.addr(host), span(self.first, self.last.max(self.first)), title);
        self.show(net, &mut f);
        f
    }
    /// Adds them to a finding.
    pub fn show(&self, net: &Net, f: &mut Finding) {
        let ids: Vec<RecordId> = self.ids.iter().map(|id| net.record(*id)).collect();
        ids.into_iter().for_each(|id| f.rests_on(id));
        f.sources.extend(self.sources.iter().copied());
        f.sources.sort_unstable();
        f.sources.dedup();
        f.rows = f.rows.saturating_add(self.rows);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_many_do_is_one_finding_and_what_few_do_is_not() {
        let of = |host: u8, peer: &str, score: f32| {
            let mut f = Finding::new("x", IpAddr::from([10, 0, 0, host]), span(Time(0), Time(i64::from(host) * SECOND)), "t");
            f.peer = peer.parse().ok();
            (f.severity, f.score, f.rows) = (3, score, 2);
            f.rests_on(RecordId { offset: u64::from(host), ..RecordId::default() });
            f
        };
        let mut list: Vec<Finding> = (1..=30).map(|n| of(n, "192.0.2.1", f32::from(n) / 100.0)).collect();
        list.push(of(9, "192.0.2.9", 0.5));
        let fold = Fold {
            least: 5,
            severity: 1,
            title: &|n, best| format!("{n} hosts like {}", best.host),
            asks: &|f| format!("dst.ip = {}", f.peer.unwrap()),
            benign: "all do",
        };
        let out = by_subject(list, &fold);
        assert_eq!(out.len(), 2);
        assert_eq!((out[0].title.as_str(), out[0].severity, out[0].rows), ("30 hosts like 10.0.0.30", 1, 60));
        assert_eq!((out[0].evidence.len(), out[0].window.length()), (EVIDENCE, 30 * SECOND + 1));
        assert!(out[0].query.starts_with("dst.ip = 192.0.2.1 and between"), "{}", out[0].query);
        assert_eq!((out[1].severity, out[1].title.as_str()), (3, "t"));
    }

    #[test]
    fn spans_and_days_in_words() {
        let said: Vec<String> =
            [0.0, 0.25, 12.0, 300.0, 5_400.0, 12_600.0, 356_400.0].iter().map(|s| lasting((s * 1e9) as i64)).collect();
        assert_eq!(said, ["0 s", "0.25 s", "12 s", "5 min", "90 min", "3 h 30 min", "4 d 3 h"]);
        assert_eq!(
            (days(20_777, 20_777, 1), days(20_774, 20_777, 4)),
            ("on 2026-11-20".into(), "on 4 days from 2026-11-17 to 2026-11-20".into())
        );
        assert_eq!((few(&[1, 2, 3], 5), few(&[1, 2, 3], 2)), ("1, 2, 3".into(), "1, 2 and 1 more".into()));
    }
}
