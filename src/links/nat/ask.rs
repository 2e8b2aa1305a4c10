//! What is asked of bindings: the records of what a host was elsewhere, the other side of one record, who is behind an address.

use super::binding::{Binding, BindingKind, End};
use super::count::{AtLeast, Counter};
use super::index::{AskedEnd, Behind, Side};
use super::read::Nat;
use crate::error::Result;
use crate::model::answer::{Fact, Link, Match, Via};
use crate::model::ends::{Elsewhere, Ends, Method, Pair, Which};
use crate::model::filter::Test;
use crate::model::time::{DAY, SECOND};
use crate::model::{Cancel, FieldId, Filter, Record, RecordId, Time, Value, Window, field, proto};
use crate::store::{Ask, Snapshot};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

/// Most hosts of one condition whose other ends are asked for: a condition on a network is about addresses, not about hosts.
const HOSTS: usize = 64;
/// Most bindings of one host that are asked for, the newest ones.
const OF_HOST: usize = 20_000;
/// What is less sure is not asked for.
const LEAST: f32 = 0.2;
/// Most records that one record is linked to across translations.
const LINKS: usize = 200;
/// Most hosts among which one is not told apart, that are shown.
const AMONG: usize = 16;
/// How long before and after its window a question's translations are looked for, rounded to whole days: a connection that reaches into the window
/// may have been translated long before, and a window that moves a little asks for the same.
const ROUND: i64 = DAY;
/// Translations that are followed from a record.
const DEPTH: usize = 3;
/// Bindings that are given for one end.
const SHOWN: usize = 1_000;
/// User agents of an address that are looked at.
const AGENTS: usize = 200_000;

/// Whether a filter names hosts: then [`widen`] may have something to add.
pub fn asks_for_host(filter: &Filter) -> bool {
    match filter {
        Filter::And(list) | Filter::Or(list) => list.iter().any(asks_for_host),
        Filter::Not(inner) => asks_for_host(inner),
        Filter::Test(id, test) => which(*id).is_some() && names(test),
        Filter::All | Filter::Elsewhere(..) => false,
    }
}

fn which(id: FieldId) -> Option<Which> {
    match id {
        field::HOST => Some(Which::Either),
        field::SRC_IP => Some(Which::Src),
        field::DST_IP => Some(Which::Dst),
        _ => None,
    }
}

/// Whether a test names addresses one by one.
fn names(test: &Test) -> bool {
    match test {
        Test::Is(Value::Addr(_)) => true,
        Test::In(tests) => tests.len() <= HOSTS && tests.iter().any(names),
        Test::Set(set) => !set.addrs.is_empty() && set.addrs.len() <= HOSTS,
        _ => false,
    }
}

fn named(test: &Test, out: &mut BTreeSet<IpAddr>) {
    match test {
        Test::Is(Value::Addr(ip)) => _ = out.insert(ip.to_canonical()),
        Test::In(tests) => tests.iter().filter(|t| names(t)).for_each(|t| named(t, out)),
        Test::Set(set) if names(test) => out.extend(set.addrs.iter().map(|ip| ip.to_canonical())),
        _ => {}
    }
}

/// The same filter, in which `host = X` also holds for records of a window that are of what X was elsewhere at the time. What headers claim is
/// left out: whoever sends one would put rows of his own under a host of his choice (domain 4.4: claim, not evidence). It stays as a link.
pub fn widen(nat: &Nat, filter: Filter, window: &Window) -> Filter {
    match filter {
        Filter::And(list) => Filter::And(list.into_iter().map(|f| widen(nat, f, window)).collect()),
        Filter::Or(list) => Filter::Or(list.into_iter().map(|f| widen(nat, f, window)).collect()),
        Filter::Not(inner) => Filter::Not(Box::new(widen(nat, *inner, window))),
        Filter::Test(id, test) => {
            let Some(which) = which(id).filter(|_| names(&test)) else { return Filter::Test(id, test) };
            let mut hosts = BTreeSet::new();
            named(&test, &mut hosts);
            let ends = ends_of(nat, hosts, window);
            let own = Filter::Test(id, test);
            if ends.list().is_empty() { own } else { Filter::Or(vec![own, Filter::Elsewhere(ends, which)]) }
        }
        other => other,
    }
}

/// What hosts were elsewhere in a window, and some time around it.
fn ends_of(nat: &Nat, hosts: BTreeSet<IpAddr>, window: &Window) -> Arc<Ends> {
    let day = |t: Time| Time(t.0.div_euclid(DAY).saturating_mul(DAY));
    let window = Window::new(day(window.start.plus(-ROUND)), day(window.end.plus(ROUND)).plus(DAY));
    nat.ends((hosts.into_iter().collect(), window), |(hosts, window)| {
        let (mut list, mut beyond) = (Vec::new(), 0usize);
        hosts.iter().for_each(|host| beyond = beyond.saturating_add(elsewhere(nat, *host, *window, &mut list)));
        // What the condition finds by itself need not be found again.
        list.retain(|e| !hosts.contains(&e.ip));
        Ends::new(list).with_beyond(beyond)
    })
}

/// What a host was elsewhere in a window; how many older ones are left out.
fn elsewhere(nat: &Nat, host: IpAddr, window: Window, out: &mut Vec<Elsewhere>) -> usize {
    if !nat.bindings.has(host, Side::Inside) {
        return 0;
    }
    let wanted = AskedEnd { end: End::new(host, None), proto: None, peer: None, window };
    let (newest, beyond) = nat.bindings.newest(&wanted, Side::Inside, OF_HOST);
    // The last is taken first.
    let mut waiting: Vec<(Binding, f32, usize)> = newest.into_iter().map(|b| (b, 1.0, 1)).collect();
    let mut given = 0;
    while let Some((binding, sure, depth)) = waiting.pop() {
        let confidence = sure * binding.confidence;
        // Without a port an address that many share says nothing of this host; one of its own does, and of ICMP the peer tells.
        let own = binding.outside.port.is_some()
            || matches!(binding.kind, BindingKind::Static | BindingKind::Vpn)
            || matches!(binding.proto, Some(proto::ICMP | proto::ICMP6)) && binding.peer.is_some();
        if confidence < LEAST || !own || binding.method == Method::Claim || given >= OF_HOST {
            continue;
        }
        given += 1;
        let (start, end) = (binding.start.plus(-binding.uncertainty), binding.end.plus(binding.uncertainty));
        if depth < DEPTH && nat.bindings.has(binding.outside.ip, Side::Inside) {
            let window = Window::new(start, end.plus(1));
            let next = AskedEnd { end: binding.outside, proto: binding.proto, peer: binding.peer, window };
            let further = nat.bindings.of(&next, Side::Inside, AMONG);
            waiting.extend(further.into_iter().filter(|b| b.outside.ip != host).map(|b| (b, confidence, depth + 1)));
        }
        out.push(Elsewhere {
            host,
            proto: binding.proto,
            ip: binding.outside.ip,
            port: binding.outside.port,
            peer: binding.peer.map(|p| (p.ip, p.port)),
            start,
            end,
            confidence,
            method: binding.method,
            evidence: binding.evidence.first().copied().unwrap_or_default(),
        });
    }
    beyond
}

/// Ends of a record on the other side of a binding, with what led there.
struct There {
    pair: Pair,
    via: Via,
    method: Method,
    /// Hosts that fit alike.
    among: u32,
    evidence: Vec<RecordId>,
}

/// The records on the other sides of translations: of the same connection as it is seen there. At most `LINKS`.
pub fn links(nat: &Nat, snapshot: &Snapshot, record: &Record, cancel: &Cancel) -> Result<Vec<Link>> {
    let Some(pair) = Pair::of(record).filter(|_| !nat.is_empty()) else { return Ok(Vec::new()) };
    let mut out: Vec<Link> = Vec::new();
    let mut seen: HashSet<RecordId> = HashSet::from([record.id]);
    let mut known: Vec<(End, End)> = vec![ends(&pair)];
    let mut waiting = vec![(pair, 1.0f32, 1usize)];
    while let Some((pair, sure, depth)) = waiting.pop() {
        for there in others(nat, &pair, sure) {
            cancel.check()?;
            if out.len() >= LINKS || known.len() > LINKS {
                return Ok(out);
            }
            let quality = match there.method {
                _ if there.among > 1 => Match::Ambiguous(there.among),
                Method::Log => Match::Translated,
                Method::Proxy | Method::Infer | Method::Claim => Match::Inferred(there.via.confidence),
            };
            let mut add = |record: Record| {
                if seen.insert(record.id) {
                    out.push(Link { via: Some(there.via.clone()), ..Link::new(record, "nat", quality) });
                }
            };
            for id in &there.evidence {
                snapshot.record(*id)?.into_iter().for_each(&mut add);
            }
            if known.contains(&ends(&there.pair)) {
                continue;
            }
            known.push(ends(&there.pair));
            for found in of(snapshot, &there.pair, cancel)? {
                add(found);
            }
            if depth < DEPTH && there.among == 1 {
                waiting.push((there.pair, there.via.confidence, depth + 1));
            }
        }
    }
    out.sort_by_key(|l| (l.record.kind != crate::model::Kind::Flow, l.record.time(), l.record.id));
    Ok(out)
}

fn ends(pair: &Pair) -> (End, End) {
    (End::new(pair.src.0, pair.src.1), End::new(pair.dst.0, pair.dst.1))
}

/// The other sides of a pair of ends.
fn others(nat: &Nat, pair: &Pair, sure: f32) -> Vec<There> {
    let window = Window::new(pair.start, pair.end.plus(1));
    let (src, dst) = ends(pair);
    // Of ICMP what stands there is type and code.
    let bare = |end: End| if matches!(pair.proto, Some(proto::ICMP | proto::ICMP6)) { End { port: None, ..end } } else { end };
    let mut out = Vec::new();
    for (end, peer, first) in [(src, dst, true), (dst, src, false)] {
        for side in [Side::Inside, Side::Outside] {
            let wanted = AskedEnd { end: bare(end), proto: pair.proto, peer: Some(bare(peer)), window };
            let found = nat.bindings.of(&wanted, side, 64);
            let other = |b: &Binding| match side {
                Side::Inside => (b.outside, b.peer),
                Side::Outside => (b.inside, b.peer_seen_inside()),
            };
            let hosts: BTreeSet<IpAddr> = found.iter().map(|b| other(b).0.ip).collect();
            let among = hosts.len().max(1) as u32;
            for binding in found.into_iter().take(AMONG) {
                let confidence = sure * binding.confidence / among as f32;
                if confidence < LEAST && among == 1 {
                    continue;
                }
                let (there, with) = other(&binding);
                // A port that a translation does not name was kept; a proxy or a VPN gateway opens a connection of its own, with a port of its own.
                let kept =
                    matches!(binding.kind, BindingKind::Snat | BindingKind::Static | BindingKind::Dnat | BindingKind::Nat64);
                let there = (there.ip, there.port.or(end.port.filter(|_| kept)));
                let with = with.map_or((peer.ip, peer.port), |w| (w.ip, w.port.or(peer.port)));
                let (src, dst) = if first { (there, with) } else { (with, there) };
                let via = Via {
                    binding: binding.to_string(),
                    kind: binding.kind.name().into(),
                    method: binding.method.name().into(),
                    confidence,
                    margin: binding.margin,
                    evidence: binding.evidence.clone(),
                };
                let slack = binding.uncertainty;
                let pair = Pair { src, dst, start: pair.start.plus(-slack), end: pair.end.plus(slack), ..*pair };
                out.push(There { pair, via, method: binding.method, among, evidence: binding.evidence });
            }
        }
    }
    out
}

/// The records of a pair of ends in its time.
fn of(snapshot: &Snapshot, pair: &Pair, cancel: &Cancel) -> Result<Vec<Record>> {
    let addr = |id, ip| Filter::Test(id, Test::Is(Value::Addr(ip)));
    let port = |id, port: Option<u16>| port.map(|p| Filter::is(id, u64::from(p)));
    let way = |src: (IpAddr, Option<u16>), dst: (IpAddr, Option<u16>)| {
        let mut all = vec![addr(field::SRC_IP, src.0), addr(field::DST_IP, dst.0)];
        all.extend(port(field::SRC_PORT, src.1));
        all.extend(port(field::DST_PORT, dst.1));
        Filter::And(all)
    };
    let mut filter = Filter::Or(vec![way(pair.src, pair.dst), way(pair.dst, pair.src)]);
    if let Some(proto) = pair.proto {
        filter = Filter::is(field::PROTO, u64::from(proto)).and(filter);
    }
    let mut out = Vec::new();
    let ask = Ask { window: Window::new(pair.start, pair.end.plus(1)), limit: LINKS, ..Ask::new(&filter) };
    snapshot.select(&ask, &|| cancel.is_cancelled(), &mut |r| {
        out.push(r);
        true
    })?;
    cancel.check()?;
    Ok(out)
}

/// What is known of an end in a window.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Bound {
    /// Bindings in which it is inside, by time.
    pub inside: Vec<Binding>,
    /// Bindings in which it is outside, by time.
    pub outside: Vec<Binding>,
    /// The hosts that were behind it; of several none is the answer unless the port is known.
    pub behind: Vec<Behind>,
    /// Hosts that were at least behind it by their user agents or stacks, and the systems that these name.
    pub at_least: usize,
    /// See there.
    pub systems: Vec<String>,
    /// There are more bindings than are given.
    pub more: bool,
    /// What was left out of the bindings of the case, in words.
    pub notices: Vec<String>,
}

/// What is known of an end in a window.
pub fn bound(nat: &Nat, snapshot: &Snapshot, wanted: &AskedEnd, cancel: &Cancel) -> Result<Bound> {
    let mut inside = nat.bindings.of(wanted, Side::Inside, SHOWN + 1);
    let mut outside = nat.bindings.of(wanted, Side::Outside, SHOWN + 1);
    let more = inside.len() > SHOWN || outside.len() > SHOWN;
    inside.truncate(SHOWN);
    outside.truncate(SHOWN);
    let behind = nat.bindings.behind(wanted);
    let AtLeast { hosts, systems } =
        if wanted.end.port.is_none() && inside.is_empty() { agents(snapshot, wanted, cancel)? } else { AtLeast::default() };
    let mut notices = nat.notices.clone();
    // Only a host of many translations can have more of them than a question for it takes.
    let beyond = if more { ends_of(nat, BTreeSet::from([wanted.end.ip]), &wanted.window).beyond() } else { 0 };
    if beyond > 0 {
        notices.push(format!(
            "{} has {beyond} more translations in this time than the newest {OF_HOST}, by which a question for it finds rows: ask for a shorter time",
            wanted.end.ip
        ));
    }
    Ok(Bound { inside, outside, behind, at_least: hosts, systems, more, notices })
}

/// What a card says of an address: what it was on the other side, or how many were behind it. At a time within a minute of it, else ever.
pub fn fact(nat: &Nat, addr: IpAddr, at: Option<Time>) -> Option<Fact> {
    let window = at.map_or(Window::ALL, |at| Window::around(at, 60 * SECOND));
    let asked = AskedEnd { end: End::new(addr, None), proto: None, peer: None, window };
    let fact = |text, evidence| Some(Fact { label: "links".into(), text, severity: None, evidence });
    let mut most: Vec<(IpAddr, usize)> = Vec::new();
    let inside = nat.bindings.of(&asked, Side::Inside, SHOWN);
    for binding in &inside {
        match most.iter_mut().find(|(ip, _)| *ip == binding.outside.ip) {
            Some((_, n)) => *n += 1,
            None => most.push((binding.outside.ip, 1)),
        }
    }
    most.sort_by_key(|(ip, n)| (std::cmp::Reverse(*n), *ip));
    if let Some(first) = inside.first() {
        let list: Vec<String> = most.iter().take(3).map(|(ip, _)| ip.to_string()).collect();
        let more = if inside.len() == SHOWN { "+" } else { "" };
        let text = format!("NAT {} ({}{more} translations, by {})", list.join(", "), inside.len(), first.method.name());
        return fact(text, first.evidence.first().copied());
    }
    let behind = nat.bindings.behind(&asked);
    match behind.as_slice() {
        [] => None,
        [one] => fact(format!("NAT of {}, {:.2}", one.host, one.confidence), None),
        many => fact(format!("NAT of {} hosts: a port is needed to decide", many.len()), None),
    }
}

/// How many hosts an address was at least, by the user agents of its requests or by whose stacks set up its connections.
fn agents(snapshot: &Snapshot, wanted: &AskedEnd, cancel: &Cancel) -> Result<AtLeast> {
    let says = Filter::Or([field::HTTP_AGENT, field::SRC_OS].map(|f| Filter::Test(f, Test::Exists)).to_vec());
    let filter = Filter::Test(field::SRC_IP, Test::Is(Value::Addr(wanted.end.ip))).and(says);
    let mut seen: Vec<(Time, bool, String)> = Vec::new();
    let fields = [field::HTTP_AGENT, field::SRC_OS];
    let ask = Ask { window: wanted.window, fields: Some(&fields), ..Ask::new(&filter) };
    snapshot.visit(&ask, &|| cancel.is_cancelled(), &mut |row| {
        let text = |id| row.values(id).find_map(|v| v.as_text().map(str::to_owned));
        seen.extend(text(field::HTTP_AGENT).map(|agent| (row.time(), true, agent)));
        seen.extend(text(field::SRC_OS).map(|os| (row.time(), false, os)));
        seen.len() < AGENTS
    })?;
    cancel.check()?;
    seen.sort();
    // Each by itself: an Android phone is one host, and Linux by its stack.
    let (mut agents, mut stacks) = (Counter::default(), Counter::default());
    for (at, is_agent, text) in seen {
        match is_agent {
            true => agents.agent(at, &text),
            false => stacks.system(at, text),
        }
    }
    let (agents, stacks) = (agents.at_least(), stacks.at_least());
    Ok(if stacks.hosts > agents.hosts { stacks } else { agents })
}

#[cfg(test)]
mod tests;
