//! What else speaks for a finding, and in which order findings are looked at: what several independent sources say comes first (attackers hide in
//! any single source).

use super::rows::{Host, Id, Net, Piece, Word};
use crate::context::by_hand::Sayings;
use crate::error::Result;
use crate::model::finding::{Finding, Number, Support};
use crate::model::time::SECOND;
use crate::model::{Cancel, Entity, Kind, SourceId, Time, Value, field};
use crate::query::Engine;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap, HashSet};

/// Different alerts that are kept of a host.
const OF_HOST: usize = 256;
/// Most hosts of which alerts are kept.
const HOSTS: usize = 200_000;
/// How long before and after a finding alerts count for it.
const AROUND: i64 = 600 * SECOND;
/// Findings that are looked up in feeds.
const LOOKED_UP: usize = 500;
/// What each independent source adds to the rank.
const SOURCE: f32 = 0.4;
/// What it adds that a host matters to somebody.
const MATTERS: f32 = 0.3;
/// What facts of the inventory are called.
const MISSION: &str = "mission";
const CRITICALITY: &str = "criticality";

/// What the inventory says of a host.
type Stated = HashMap<std::net::IpAddr, Vec<(&'static str, String)>>;
/// What feeds say of a value.
type Listed = HashMap<String, Option<Support>>;

/// Alerts of one kind on a host.
#[derive(Serialize, Deserialize)]
struct Alerts {
    rule: Word,
    source: SourceId,
    peer: Option<Host>,
    first: Time,
    last: Time,
    count: u64,
    severity: u8,
    id: Id,
}

/// Gathers what speaks for findings.
#[derive(Default, Serialize, Deserialize)]
pub struct Ranking {
    alerts: HashMap<Host, Vec<Alerts>>,
}

impl Ranking {
    /// Takes the alerts of a piece.
    pub fn piece(&mut self, piece: &Piece<'_>) {
        for event in piece.events.iter().filter(|e| matches!(e.kind, Kind::Alert | Kind::Notice)) {
            for (host, peer) in [(event.src, event.dst), (event.dst, event.src)] {
                let Some(host) = host.filter(|h| self.alerts.len() < HOSTS || self.alerts.contains_key(h)) else { continue };
                let of_host = self.alerts.entry(host).or_default();
                // By day: what an alert says of a day it does not say of the weeks around it.
                let same = |a: &&mut Alerts| {
                    (a.rule, a.source, a.peer, a.first.day()) == (event.rule, event.source, peer, event.time.day())
                };
                if let Some(known) = of_host.iter_mut().find(same) {
                    known.last = known.last.max(event.time);
                    known.count += 1;
                } else if of_host.len() < OF_HOST {
                    of_host.push(Alerts {
                        rule: event.rule,
                        source: event.source,
                        peer,
                        first: event.time,
                        last: event.time,
                        count: 1,
                        severity: event.severity.unwrap_or(1),
                        id: event.id,
                    });
                }
            }
        }
    }
    /// Says of each finding what else speaks for it, and puts those that rank first before the others.
    pub fn rank(&self, list: &mut [Finding], engine: &dyn Engine, net: &Net, cancel: &Cancel) -> Result<()> {
        for finding in list.iter_mut() {
            self.alerted(finding, engine, net);
        }
        among_themselves(list);
        list.iter_mut().for_each(|f| score(f, net));
        sort(list);
        let (mut stated, mut seen) = (Stated::new(), Listed::new());
        let by_hand = engine.by_hand(cancel)?;
        for finding in list.iter_mut().take(LOOKED_UP) {
            cancel.check()?;
            listed(finding, engine, &mut seen, cancel)?;
            matters(finding, engine, &by_hand, &mut stated, cancel)?;
            score(finding, net);
        }
        sort(list);
        Ok(())
    }
    fn alerted(&self, finding: &mut Finding, engine: &dyn Engine, net: &Net) {
        let Some(host) = net.find(finding.host) else { return };
        let peer = finding.peer.map(|p| net.find(p));
        let (from, until) = (finding.window.start.plus(-AROUND), finding.window.end.plus(AROUND));
        let fits = |a: &&Alerts| {
            let whom = peer.is_none() || a.peer == peer.flatten();
            whom && a.first <= until && a.last >= from && a.severity >= 1
        };
        // The days of one signature are one support.
        let mut all: BTreeMap<(Word, SourceId), (u8, u64, Id)> = BTreeMap::new();
        for alert in self.alerts.get(&host).into_iter().flatten().filter(fits) {
            let of = all.entry((alert.rule, alert.source)).or_insert((alert.severity, 0, alert.id));
            *of = (of.0.max(alert.severity), of.1 + alert.count, of.2);
        }
        let mut all: Vec<_> = all.into_iter().collect();
        all.sort_by_key(|((rule, _), (severity, count, _))| (std::cmp::Reverse((*severity, *count)), *rule));
        for ((rule, source), (_, count, id)) in all.into_iter().take(4) {
            finding.support.push(Support {
                text: format!("{count} × {}", net.text(rule)),
                by: engine.source_name(source),
                evidence: Some(net.record(id)),
            });
        }
    }
}

/// What other detectors found of the same host at the same time.
fn among_themselves(list: &mut [Finding]) {
    let mut by_host: BTreeMap<std::net::IpAddr, Vec<usize>> = BTreeMap::new();
    for (n, finding) in list.iter().enumerate() {
        by_host.entry(finding.host).or_default().push(n);
    }
    let mut said: Vec<(usize, Support)> = Vec::new();
    for of_host in by_host.values() {
        for n in of_host.iter().copied() {
            let mut seen: HashSet<&str> = HashSet::from([list[n].detector.as_str()]);
            for other in of_host.iter().map(|o| &list[*o]) {
                let near = other.window.start <= list[n].window.end.plus(AROUND)
                    && other.window.end >= list[n].window.start.plus(-AROUND);
                if near && seen.len() <= 3 && seen.insert(&other.detector) {
                    said.push((
                        n,
                        Support {
                            text: other.title.clone(),
                            by: other.detector.clone(),
                            evidence: other.evidence.first().copied(),
                        },
                    ));
                }
            }
        }
    }
    for (n, support) in said {
        list[n].support.push(support);
    }
}

/// What feeds say of the other end and of the name.
fn listed(finding: &mut Finding, engine: &dyn Engine, known: &mut Listed, cancel: &Cancel) -> Result<()> {
    let peer = finding.peer.and_then(|p| Entity::of(field::DST_IP, &Value::Addr(p)));
    let name = finding.name.as_deref().and_then(|n| Entity::of(field::NAME, &Value::text(n)));
    for entity in peer.into_iter().chain(name) {
        let key = entity.value.to_string();
        if !known.contains_key(&key) {
            let facts = engine.listed(&entity, Some(finding.window.start), cancel)?;
            let bad = facts.into_iter().find(|f| f.severity.is_some_and(|s| s >= 2));
            let support = bad.map(|fact| Support {
                text: format!("{key} is listed: {}", fact.text),
                by: "reputation".into(),
                evidence: fact.evidence,
            });
            known.insert(key.clone(), support);
        }
        finding.support.extend(known.get(&key).cloned().flatten());
    }
    Ok(())
}

/// What people and the inventory say the hosts are for, and how much that matters; what was said by hand takes the place of what a list says.
fn matters(finding: &mut Finding, engine: &dyn Engine, by_hand: &Sayings, known: &mut Stated, cancel: &Cancel) -> Result<()> {
    for host in [Some(finding.host), finding.peer].into_iter().flatten() {
        if let std::collections::hash_map::Entry::Vacant(new) = known.entry(host) {
            let question = engine.compile(&format!(
                "kind = inventory and dst.ip = {host} and (exists mission or exists criticality) and not exists via"
            ))?;
            let mut said = Vec::new();
            engine.visit(&question, &[field::MISSION, field::CRITICALITY], cancel, &mut |r| {
                for (name, id) in [(MISSION, field::MISSION), (CRITICALITY, field::CRITICALITY)] {
                    said.extend(r.text(id).map(|text| (name, text.to_owned())));
                }
                said.len() < 16
            })?;
            said.sort();
            said.dedup();
            for (name, id) in [(MISSION, field::MISSION), (CRITICALITY, field::CRITICALITY)] {
                if let Some(hand) = by_hand.said(id, host, None) {
                    said.retain(|(n, _)| *n != name);
                    said.push((name, format!("{} by hand", hand.value)));
                }
            }
            new.insert(said);
        }
        // What a detector took of a list for the host itself does not stand beside what somebody said.
        for (name, id) in [(MISSION, field::MISSION), (CRITICALITY, field::CRITICALITY)] {
            if host == finding.host && by_hand.said(id, host, None).is_some() {
                finding.numbers.retain(|n| n.name != name);
            }
        }
        for (name, text) in known.get(&host).into_iter().flatten() {
            if !finding.numbers.iter().any(|n| n.name == *name && n.value.starts_with(text.as_str())) {
                finding.number(name, format!("{text} ({host})"), "");
            }
        }
    }
    Ok(())
}

fn score(finding: &mut Finding, net: &Net) {
    // What its own sources say besides is not independent of them.
    let own = |by: &str| net.sources.iter().any(|(id, name)| name == by && finding.sources.contains(id));
    // What other detectors say rests on the same flows: all of them together count as one more.
    let of_records: HashSet<&str> =
        finding.support.iter().map(|s| s.by.as_str()).filter(|by| super::find(by).is_none() && !own(by)).collect();
    let others = usize::from(finding.support.iter().any(|s| super::find(&s.by).is_some()));
    let independent = of_records.len() + others;
    let is_critical = |n: &Number| n.name == CRITICALITY && ["high", "critical"].iter().any(|w| n.value.starts_with(w));
    let weight = if finding.numbers.iter().any(is_critical) { MATTERS } else { 0.0 };
    finding.rank = f32::from(finding.severity) * 0.5 + finding.score + SOURCE * independent.min(4) as f32 + weight;
}

fn sort(list: &mut [Finding]) {
    list.sort_by(|a, b| b.rank.total_cmp(&a.rank).then_with(|| (a.window.start, a.key()).cmp(&(b.window.start, b.key()))));
}
