//! Bindings inferred from two vantage points: connections seen inside and outside of a translation, found by what survives it.
//!
//! The peer is not translated, so candidates share the peer's end and protocol and begin within [`WINDOW`] of each other (in corrected time). Each
//! feature that both flows carry costs or saves; the assignment of least cost per component ([`super::assign`]) says which is which, and the
//! margin to the next best one how sure that is. Vantage points are only compared where start times show that they see the same connections
//! ([`super::vantage`]); offset and spread of their clocks are measured there.
//!
//! Flow records carry neither initial sequence numbers, TCP timestamps, IP ids nor hashes of payload; what the events of a flow say (DNS id and question,
//! URL, certificate, file) stands for the payload where packets were captured.

use super::assign::{self, Edge};
use super::binding::{Binding, BindingKind, End, Method, is_private};
use super::vantage::{LEAST_SPREAD, Relation, Votes};
use crate::error::Result;
use crate::model::{Cancel, RecordId, Time};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::BuildHasher;

/// How far the starts of one connection may be apart, nanoseconds.
pub const WINDOW: i64 = 250_000_000;
/// Candidates of one flow that are looked at: beyond it the peer is so busy that order says little.
const NEAR: usize = 256;
/// A pair that costs more is none.
pub const LIMIT: f32 = 100.0;
/// Confidence of 0.5: below it a pair is not reported.
const EVEN: f32 = 6.0;
/// Most that a difference of times costs.
const MOST: f64 = 400.0;
/// What it costs that a flow lost its first or its last packets on one side: only one of its instants fits.
const CUT: f64 = 20.0;
/// How far that instant may be off then, in spreads, squared.
const CUT_OFF: f64 = 9.0;
/// What a counter is where a source does not state it.
pub const UNKNOWN: u32 = u32::MAX;

/// A flow in short.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Seen {
    /// Its id.
    pub id: RecordId,
    /// Where it was seen: twice the number of the source, odd for flows with a private end.
    pub vantage: u16,
    /// Other sources that saw the same connection with the same ends: bits by number.
    pub also: u64,
    /// IANA protocol number.
    pub proto: u8,
    /// Originator.
    pub src: End,
    /// Responder.
    pub dst: End,
    /// First instant, corrected.
    pub start: Time,
    /// Last instant, corrected.
    pub end: Time,
    /// Packets out and in; [`UNKNOWN`].
    pub packets: [u32; 2],
    /// Application bytes, out and in; where one of the flows does not state them, IP bytes are compared.
    pub payload: [u32; 2],
    /// IP bytes, out and in.
    pub bytes: [u32; 2],
    /// Hash of the server name that it carries; 0: none.
    pub name: u64,
    /// Hash of the client's fingerprint (JA4, else JA3); 0: none.
    pub fingerprint: u64,
    /// Hash of the URLs and files that its events tell of; 0: none.
    pub requests: u64,
    /// Hash of what its events say that no other connection repeats (DNS ids with their questions); 0: nothing.
    pub content: u64,
}

/// Two flows that are one connection.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Same {
    /// Number of the flow inside, in the order given.
    pub inside: u32,
    /// Number of the flow outside.
    pub outside: u32,
    /// How much more the next best assignment costs.
    pub margin: f32,
    /// 0 to 1.
    pub confidence: f32,
    /// The peer is the originator: the destination was translated.
    pub inbound: bool,
}

/// What is known of a place where addresses are translated, between two vantage points.
#[derive(Debug, Clone, PartialEq)]
pub struct Gateway {
    /// Vantage point inside.
    pub inside: u16,
    /// Vantage point outside.
    pub outside: u16,
    /// Start outside less start inside, nanoseconds, and its spread.
    pub relation: Relation,
    /// Connections that were found on both sides.
    pub connections: u64,
    /// Addresses that those inside had outside.
    pub pool: BTreeSet<std::net::IpAddr>,
    /// Part of the connections outward whose port was kept, 0 to 1.
    pub ports_kept: f32,
}

/// What was inferred.
#[derive(Debug, Default)]
pub struct Inferred {
    /// Connections seen on both sides.
    pub same: Vec<Same>,
    /// The places between.
    pub gateways: Vec<Gateway>,
    /// Connections with a candidate that is not sure enough.
    pub undecided: u64,
}

/// A flow by one of its ends.
#[derive(Debug, Clone, Copy)]
struct Entry {
    block: u64,
    start: i64,
    flow: u32,
    inbound: bool,
}

fn entries(flows: &[Seen]) -> Vec<Entry> {
    let hasher = foldhash::fast::FixedState::with_seed(11);
    let mut out = Vec::with_capacity(flows.len() * 2);
    for (n, flow) in flows.iter().enumerate() {
        for (inbound, peer) in [(false, flow.dst), (true, flow.src)] {
            let block = hasher.hash_one((inbound, flow.proto, peer));
            out.push(Entry { block, start: flow.start.0, flow: n as u32, inbound });
        }
    }
    out.sort_unstable_by_key(|e| (e.block, e.start, e.flow));
    out
}

/// Every two entries of a block that begin within the window of each other, the earlier first.
fn pairs(entries: &[Entry], window: i64, cancel: &Cancel, each: &mut dyn FnMut(&Entry, &Entry)) -> Result<()> {
    for (n, block) in entries.chunk_by(|a, b| a.block == b.block).enumerate() {
        if n % 4096 == 0 {
            cancel.check()?;
        }
        for (i, one) in block.iter().enumerate() {
            if i % 65_536 == 65_535 {
                cancel.check()?;
            }
            let near = block[i + 1..].iter().take(NEAR).take_while(|o| o.start.saturating_sub(one.start) <= window);
            near.for_each(|other| each(one, other));
        }
    }
    Ok(())
}

fn local(flow: &Seen, inbound: bool) -> End {
    if inbound { flow.dst } else { flow.src }
}

/// Finds the connections that were seen on both sides of a translation.
/// `known`: relations of vantage points (inside, outside) that stand where these flows are too few to show one.
pub fn infer(flows: &[Seen], known: &BTreeMap<(u16, u16), Relation>, cancel: &Cancel) -> Result<Inferred> {
    let entries = entries(flows);
    let mut relations = relations(flows, &entries, cancel)?;
    for (pair, relation) in known {
        if !relations.contains_key(&(pair.1, pair.0)) {
            relations.entry(*pair).or_insert(*relation);
        }
    }
    let mut out = Inferred::default();
    // One assignment for each vantage point outside: what is inside of it may be seen by several.
    let outsides: BTreeSet<u16> = relations.keys().map(|(_, outside)| *outside).collect();
    for outside in outsides {
        let of: BTreeMap<u16, Relation> =
            relations.iter().filter(|((_, o), _)| *o == outside).map(|((i, _), relation)| (*i, *relation)).collect();
        let mut edges: Vec<Edge> = Vec::new();
        let mut inbound: HashMap<(u32, u32), bool> = HashMap::new();
        // The whole window: one that lost its first packets begins late by a round trip.
        pairs(&entries, WINDOW, cancel, &mut |a, b| {
            let (one, other) = (&flows[a.flow as usize], &flows[b.flow as usize]);
            let (inner, outer) = match (one.vantage == outside, other.vantage == outside) {
                (false, true) => (a, b),
                (true, false) => (b, a),
                _ => return,
            };
            let (inside, seen) = (&flows[inner.flow as usize], &flows[outer.flow as usize]);
            let Some(relation) = of.get(&inside.vantage) else { return };
            if local(inside, a.inbound).ip == local(seen, a.inbound).ip || untranslated(inside, seen) {
                return;
            }
            let cost = cost(inside, seen, relation);
            if cost <= LIMIT {
                edges.push(Edge { inside: inner.flow, outside: outer.flow, cost });
                if a.inbound {
                    inbound.insert((inner.flow, outer.flow), true);
                }
            }
        })?;
        let mut gateways: BTreeMap<u16, (u64, u64, u64, Gateway)> = BTreeMap::new();
        for chosen in assign::assign(edges, LIMIT) {
            if chosen.margin < EVEN {
                out.undecided += 1;
                continue;
            }
            let pair = (chosen.edge.inside, chosen.edge.outside);
            let (inside, seen) = (&flows[pair.0 as usize], &flows[pair.1 as usize]);
            let Some(relation) = of.get(&inside.vantage) else { continue };
            let inbound = inbound.contains_key(&pair);
            let sure = if inside.content != 0 && inside.content == seen.content { 0.999 } else { 0.95 };
            let confidence = (1.0 / (1.0 + (-(chosen.margin - EVEN) / 2.0).exp())).min(sure);
            out.same.push(Same { inside: pair.0, outside: pair.1, margin: chosen.margin, confidence, inbound });
            let (all, outward, kept, gateway) = gateways.entry(inside.vantage).or_insert_with(|| {
                let pool = BTreeSet::new();
                let gateway =
                    Gateway { inside: inside.vantage, outside, relation: *relation, connections: 0, pool, ports_kept: 0.0 };
                (0, 0, 0, gateway)
            });
            *all += 1;
            if gateway.pool.len() < 4096 {
                gateway.pool.insert(local(seen, inbound).ip);
            }
            if !inbound {
                *outward += 1;
                *kept += u64::from(inside.src.port == seen.src.port);
            }
        }
        out.gateways.extend(gateways.into_values().map(|(all, outward, kept, mut gateway)| {
            gateway.connections = all;
            gateway.ports_kept = kept as f32 / outward.max(1) as f32;
            gateway
        }));
    }
    Ok(out)
}

/// Which vantage point is outside of which, and how their times differ: inside, outside.
fn relations(flows: &[Seen], entries: &[Entry], cancel: &Cancel) -> Result<BTreeMap<(u16, u16), Relation>> {
    let mut votes: BTreeMap<(u16, u16), Votes> = BTreeMap::new();
    let mut numbers: HashMap<std::net::IpAddr, u32> = HashMap::new();
    pairs(entries, WINDOW, cancel, &mut |a, b| {
        let (one, other) = (&flows[a.flow as usize], &flows[b.flow as usize]);
        if one.vantage == other.vantage || !alike(one, other) || untranslated(one, other) {
            return;
        }
        let (first, second) = if one.vantage < other.vantage { (one, other) } else { (other, one) };
        let ends = [local(first, a.inbound).ip, local(second, a.inbound).ip];
        if ends[0] == ends[1] {
            return;
        }
        let addrs = ends.map(|ip| {
            let next = numbers.len() as u32;
            *numbers.entry(ip).or_insert(next)
        });
        let difference = second.start.since(first.start);
        votes.entry((first.vantage, second.vantage)).or_default().add(difference, addrs, ends.map(is_private));
    })?;
    let mut out = BTreeMap::new();
    for ((first, second), mut votes) in votes {
        if let Some(mut relation) = votes.relation(WINDOW) {
            let key = if relation.second_is_outside { (first, second) } else { (second, first) };
            if !relation.second_is_outside {
                relation.offset = -relation.offset;
                relation.second_is_outside = true;
            }
            out.insert(key, relation);
        }
    }
    Ok(out)
}

/// Whether one of two flows was seen where the other was with its own ends: then it was not translated in between.
fn untranslated(a: &Seen, b: &Seen) -> bool {
    let bit = |vantage: u16| 1u64 << (vantage / 2 % 64);
    a.vantage / 2 != b.vantage / 2 && (a.also & bit(b.vantage) != 0 || b.also & bit(a.vantage) != 0)
}

/// Whether two flows are of exactly the same size, as far as both state it.
fn alike(a: &Seen, b: &Seen) -> bool {
    let sizes = sizes(a, b);
    sizes.iter().all(|(x, y)| x == y) && sizes.iter().any(|(x, _)| *x > 0)
}

/// The sizes that both state, out and in.
fn sizes(a: &Seen, b: &Seen) -> Vec<(u32, u32)> {
    let stated = |a: [u32; 2], b: [u32; 2]| (0..2).all(|i| a[i] != UNKNOWN && b[i] != UNKNOWN);
    let two = |a: [u32; 2], b: [u32; 2]| vec![(a[0], b[0]), (a[1], b[1])];
    if stated(a.payload, b.payload) {
        two(a.payload, b.payload)
    } else if stated(a.bytes, b.bytes) {
        two(a.bytes, b.bytes)
    } else {
        Vec::new()
    }
}

/// Whether one of two flows may be the other without some of its packets: it has fewer, and lies within the other's time.
fn is_cut(inside: &Seen, outside: &Seen, relation: &Relation) -> bool {
    let known = |flow: &Seen| flow.packets.iter().all(|n| *n != UNKNOWN);
    let fewer = |a: &Seen, b: &Seen| a.packets != b.packets && a.packets[0] <= b.packets[0] && a.packets[1] <= b.packets[1];
    let slack = (relation.spread.max(LEAST_SPREAD) * CUT_OFF.sqrt()) as i64;
    let begins = outside.start.since(inside.start).saturating_sub(relation.offset);
    let ends = outside.end.since(inside.end).saturating_sub(relation.offset);
    known(inside)
        && known(outside)
        && (fewer(outside, inside) && begins >= -slack && ends <= slack
            || fewer(inside, outside) && begins <= slack && ends >= -slack)
}

/// What it costs to take two flows for one connection.
fn cost(inside: &Seen, outside: &Seen, relation: &Relation) -> f32 {
    let spread = relation.spread.max(LEAST_SPREAD);
    let squared = |nanos: i64| (nanos as f64 / spread).powi(2).min(MOST);
    let starts = squared(outside.start.since(inside.start).saturating_sub(relation.offset));
    let lengths = squared(outside.end.since(outside.start).saturating_sub(inside.end.since(inside.start)));
    let sizes = sizes(inside, outside);
    let mut cost = starts + lengths;
    // What was lost may be counted too: then what they say has to be the same.
    let same = |a: u64, b: u64| a != 0 && a == b;
    let alike = !sizes.is_empty() && sizes.iter().all(|(a, b)| a == b)
        || same(inside.content, outside.content)
        || same(inside.name, outside.name) && same(inside.fingerprint, outside.fingerprint);
    if cost > CUT && alike && is_cut(inside, outside, relation) {
        let ends = squared(outside.end.since(inside.end).saturating_sub(relation.offset));
        if starts.min(ends) <= CUT_OFF {
            cost = cost.min(CUT + starts.min(ends));
        }
    }
    if cost > f64::from(LIMIT) {
        return f32::INFINITY;
    }
    for (a, b) in sizes {
        cost += if a == b { 0.0 } else { 25.0 };
    }
    for side in 0..2 {
        let (a, b) = (inside.packets[side], outside.packets[side]);
        cost += if a == b || a == UNKNOWN || b == UNKNOWN { 0.0 } else { 5.0 };
    }
    let told = |a: u64, b: u64, equal: f64, differs: f64| match (a, b) {
        (0, _) | (_, 0) => 0.0,
        _ if a == b => equal,
        _ => differs,
    };
    cost += told(inside.name, outside.name, -4.0, 25.0);
    cost += told(inside.fingerprint, outside.fingerprint, -4.0, 25.0);
    cost += told(inside.requests, outside.requests, -6.0, 25.0);
    cost += told(inside.content, outside.content, -25.0, 25.0);
    cost as f32
}

impl Inferred {
    /// The bindings of what was found.
    pub fn bindings<'a>(&'a self, flows: &'a [Seen]) -> impl Iterator<Item = Binding> + 'a {
        self.same.iter().map(|same| {
            let (inside, seen) = (&flows[same.inside as usize], &flows[same.outside as usize]);
            let (here, there, peer) = match same.inbound {
                true => (inside.dst, seen.dst, seen.src),
                false => (inside.src, seen.src, seen.dst),
            };
            let kind = match () {
                () if here.ip.is_ipv4() != there.ip.is_ipv4() => BindingKind::Nat64,
                () if same.inbound => BindingKind::Dnat,
                () if here.port != there.port => BindingKind::Napt,
                () => BindingKind::Snat,
            };
            Binding {
                kind,
                proto: Some(inside.proto),
                inside: here,
                outside: there,
                peer: Some(peer),
                peer_inside: None,
                start: inside.start.min(seen.start),
                end: inside.end.max(seen.end),
                uncertainty: WINDOW,
                method: Method::Infer,
                confidence: same.confidence,
                margin: Some(same.margin),
                assumed: false,
                conflict: false,
                evidence: vec![inside.id, seen.id],
            }
        })
    }
}

#[cfg(test)]
mod tests;
