//! Bindings over time: what was an end elsewhere, at a time? Asked by its outside end (address, port) and by its inside one.
//!
//! Bindings are packed (addresses and evidence keys by number) and kept in two orders; within an order blocks of `BLOCK` rows know their
//! latest end, so that a question reads the rows that begin before its window ends and skips blocks that had ended before it begins.

use super::binding::{Binding, BindingKind, End, Method, fits};
use crate::model::{EvidenceKey, RecordId, Time, Window};
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

/// Most bindings that are kept (about 100 bytes each); further ones are counted.
pub const MOST: usize = 1_500_000;
/// Rows that share a latest end.
const BLOCK: usize = 64;
/// Bindings before one that it is compared with for conflicts, of the same outside end.
const BEFORE: usize = 16;
/// No address, no record.
const NONE: u32 = u32::MAX;
/// How far an expansion goes: load balancer, NAT, VPN.
const DEPTH: usize = 3;
/// What is less likely is not followed further.
const LEAST: f32 = 0.2;
/// Bindings followed from one end.
const FOLLOWED: usize = 4_096;

/// A binding, packed.
#[derive(Debug, Clone, Copy)]
struct Row {
    start: i64,
    end: i64,
    /// Offset and ordinal of the evidence, each with the number of its key.
    evidence: [(u64, u16, u16); 2],
    inside: u32,
    outside: u32,
    peer: u32,
    peer_inside: u32,
    /// Microseconds.
    uncertainty: u32,
    confidence: f32,
    /// Negative infinity: none.
    margin: f32,
    /// Of inside, outside, peer, peer inside; which are known says `known`.
    ports: [u16; 4],
    proto: u8,
    known: u8,
    kind: BindingKind,
    method: Method,
    assumed: bool,
    conflict: bool,
}

/// Protocol is known.
const PROTO: u8 = 1 << 4;

/// Numbers of values.
#[derive(Debug)]
struct Numbers<T> {
    list: Vec<T>,
    numbers: HashMap<T, u32>,
}

impl<T> Default for Numbers<T> {
    fn default() -> Numbers<T> {
        Numbers { list: Vec::new(), numbers: HashMap::new() }
    }
}

impl<T: Copy + Eq + std::hash::Hash> Numbers<T> {
    fn of(&mut self, value: T) -> u32 {
        *self.numbers.entry(value).or_insert_with(|| {
            self.list.push(value);
            (self.list.len() - 1) as u32
        })
    }
    fn get(&self, number: u32) -> Option<T> {
        self.list.get(number as usize).copied()
    }
}

/// Rows in an order, with the latest end of each block.
#[derive(Debug, Default)]
struct Order {
    rows: Vec<u32>,
    latest: Vec<i64>,
}

impl Order {
    fn new(all: &[Row], key: impl Fn(&Row) -> (u32, i64)) -> Order {
        let mut rows: Vec<u32> = (0..all.len() as u32).collect();
        rows.sort_unstable_by_key(|n| (key(&all[*n as usize]), *n));
        let late = |row: &Row| row.end.saturating_add(i64::from(row.uncertainty) * 1000);
        let latest = rows.chunks(BLOCK).map(|c| c.iter().map(|n| late(&all[*n as usize])).max().unwrap_or(i64::MIN)).collect();
        Order { rows, latest }
    }
    /// The rows of an address that hold within a window, in order of their start.
    fn each(
        &self,
        all: &[Row],
        addr: impl Fn(&Row) -> u32,
        wanted: u32,
        window: &Window,
        each: &mut dyn FnMut(u32, &Row) -> bool,
    ) {
        let at = |n: &u32| &all[*n as usize];
        let first = self.rows.partition_point(|n| addr(at(n)) < wanted);
        let last = self.rows.partition_point(|n| addr(at(n)) <= wanted);
        let mut i = first;
        while i < last {
            if self.latest[i / BLOCK] < window.start.0 {
                i = (i / BLOCK + 1) * BLOCK;
                continue;
            }
            let (n, row) = (self.rows[i], at(&self.rows[i]));
            let slack = i64::from(row.uncertainty) * 1000;
            // Uncertainties of one case are alike: a second past the window nothing begins in it.
            if row.start.saturating_sub(slack.max(1_000_000_000)) >= window.end.0 {
                break;
            }
            let holds = row.start.saturating_sub(slack) < window.end.0 && row.end.saturating_add(slack) >= window.start.0;
            if holds && !each(n, row) {
                break;
            }
            i += 1;
        }
    }
}

/// What is asked about an end.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct AskedEnd {
    /// The end.
    pub end: End,
    /// Protocol; none: any.
    pub proto: Option<u8>,
    /// With whom, as it is seen on the side of `end`; none: with anybody.
    pub peer: Option<End>,
    /// When, in corrected time.
    pub window: Window,
}

/// Which side of a binding an end is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Inside.
    Inside,
    /// Outside.
    Outside,
}

/// An end that another one was elsewhere.
#[derive(Debug, Clone, PartialEq)]
pub struct Reached {
    /// The end there.
    pub end: End,
    /// Product of the confidences on the way, each by the part of the window that its binding covers.
    pub confidence: f32,
    /// The bindings on the way.
    pub path: Vec<Binding>,
}

/// A host that was behind an address.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Behind {
    /// The host.
    pub host: IpAddr,
    /// Its bindings in the window.
    pub bindings: u64,
    /// Its part of all bindings in the window, 0 to 1; of a single host the best confidence.
    pub confidence: f32,
}

/// Bindings of a case.
#[derive(Debug, Default)]
pub struct Bindings {
    addrs: Numbers<IpAddr>,
    keys: Numbers<EvidenceKey>,
    rows: Vec<Row>,
    by_inside: Order,
    by_outside: Order,
    /// Bindings that contradict another one.
    pub conflicts: u64,
    /// Bindings beyond [`MOST`].
    pub beyond: u64,
}

impl Bindings {
    /// Of bindings in any order. The same one from several methods becomes one; contradictions halve the confidence of both.
    pub fn new(bindings: impl IntoIterator<Item = Binding>) -> Bindings {
        let mut out = Bindings::default();
        for binding in bindings {
            if out.rows.len() >= MOST {
                out.beyond += 1;
                continue;
            }
            let row = out.pack(&binding);
            out.rows.push(row);
        }
        out.rows
            .sort_unstable_by_key(|r| (r.outside, r.proto, r.ports[1], r.inside, r.ports[0], r.peer, r.ports[2], r.start, r.end));
        out.rows.dedup_by(|later, kept| merge(kept, later));
        out.rows.sort_unstable_by_key(|r| (r.outside, r.proto, r.ports[1], r.start, r.end, r.inside));
        out.contradict();
        out.by_inside = Order::new(&out.rows, |r| (r.inside, r.start));
        out.by_outside = Order::new(&out.rows, |r| (r.outside, r.start));
        out.addrs.numbers.shrink_to_fit();
        out
    }
    /// How many there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
    fn pack(&mut self, b: &Binding) -> Row {
        let mut known = b.proto.map_or(0, |_| PROTO);
        let mut ports = [0; 4];
        let mut number = |place: usize, end: Option<End>| {
            let Some(end) = end else { return NONE };
            if let Some(port) = end.port {
                ports[place] = port;
                known |= 1 << place;
            }
            self.addrs.of(end.ip.to_canonical())
        };
        let inside = number(0, Some(b.inside));
        let outside = number(1, Some(b.outside));
        let peer = number(2, b.peer);
        let peer_inside = number(3, b.peer_inside);
        let mut evidence = [(0, 0, u16::MAX); 2];
        for (slot, id) in evidence.iter_mut().zip(&b.evidence) {
            *slot = (id.offset, id.ordinal, u16::try_from(self.keys.of(id.evidence)).unwrap_or(u16::MAX));
        }
        Row {
            start: b.start.0,
            end: b.end.0.max(b.start.0),
            evidence,
            inside,
            outside,
            peer,
            peer_inside,
            uncertainty: u32::try_from(b.uncertainty / 1000).unwrap_or(u32::MAX),
            confidence: b.confidence,
            margin: b.margin.unwrap_or(f32::NEG_INFINITY),
            ports,
            proto: b.proto.unwrap_or(0),
            known,
            kind: b.kind,
            method: b.method,
            assumed: b.assumed,
            conflict: b.conflict,
        }
    }
    fn unpack(&self, row: &Row) -> Binding {
        let end = |place: usize, addr: u32| {
            let port = (row.known & 1 << place != 0).then_some(row.ports[place]);
            self.addrs.get(addr).map(|ip| End { ip, port })
        };
        let unknown = End { ip: IpAddr::from([0, 0, 0, 0]), port: None };
        let of = |(offset, ordinal, key): &(u64, u16, u16)| {
            let evidence = self.keys.get(u32::from(*key))?;
            Some(RecordId { evidence, offset: *offset, ordinal: *ordinal })
        };
        Binding {
            kind: row.kind,
            proto: (row.known & PROTO != 0).then_some(row.proto),
            inside: end(0, row.inside).unwrap_or(unknown),
            outside: end(1, row.outside).unwrap_or(unknown),
            peer: end(2, row.peer),
            peer_inside: end(3, row.peer_inside),
            start: Time(row.start),
            end: Time(row.end),
            uncertainty: i64::from(row.uncertainty) * 1000,
            method: row.method,
            confidence: row.confidence,
            margin: row.margin.is_finite().then_some(row.margin),
            assumed: row.assumed,
            conflict: row.conflict,
            evidence: row.evidence.iter().filter_map(of).collect(),
        }
    }
    /// Halves the confidence of bindings of the same outside end and peer that hold at the same time for different ends inside.
    fn contradict(&mut self) {
        let rows = &mut self.rows;
        let mut marked = vec![false; rows.len()];
        for i in 0..rows.len() {
            let one = rows[i];
            if one.known & 2 == 0 {
                continue;
            }
            for j in (i.saturating_sub(BEFORE)..i).rev() {
                let other = rows[j];
                if (other.outside, other.proto, other.ports[1], other.known & (2 | PROTO))
                    != (one.outside, one.proto, one.ports[1], one.known & (2 | PROTO))
                {
                    break;
                }
                let port = |r: &Row, place: usize| (r.known & 1 << place != 0).then_some(r.ports[place]);
                let peer = |r: &Row| (r.peer != NONE).then_some(r.peer);
                let differs = one.inside != other.inside || !fits(port(&one, 0), port(&other, 0));
                let same_peer =
                    fits(peer(&one), peer(&other)) && (peer(&one) != peer(&other) || fits(port(&one, 2), port(&other, 2)));
                let slack = i64::from(one.uncertainty.max(other.uncertainty)) * 1000;
                if differs && same_peer && other.end.saturating_sub(slack) > one.start && !one.assumed && !other.assumed {
                    marked[i] = true;
                    marked[j] = true;
                }
            }
        }
        for (row, _) in rows.iter_mut().zip(&marked).filter(|(_, marked)| **marked) {
            row.conflict = true;
            row.confidence /= 2.0;
        }
        self.conflicts = marked.iter().filter(|m| **m).count() as u64;
    }
    fn number(&self, ip: IpAddr) -> Option<u32> {
        self.addrs.numbers.get(&ip.to_canonical()).copied()
    }
    /// The bindings that an end is on a side of, in order of their start; at most so many.
    pub fn of(&self, wanted: &AskedEnd, side: Side, most: usize) -> Vec<Binding> {
        let mut out = Vec::new();
        self.each(wanted, side, &mut |_, row| {
            out.push(self.unpack(row));
            out.len() < most
        });
        out
    }
    /// As [`Bindings::of`], but of more the newest ones, and only what is more than a claim; how many others there are.
    pub fn newest(&self, wanted: &AskedEnd, side: Side, most: usize) -> (Vec<Binding>, usize) {
        let mut rows = Vec::new();
        self.each(wanted, side, &mut |_, row| {
            if row.method != Method::Claim {
                rows.push(*row);
            }
            true
        });
        let beyond = rows.len().saturating_sub(most);
        (rows.iter().skip(beyond).map(|row| self.unpack(row)).collect(), beyond)
    }
    fn each(&self, wanted: &AskedEnd, side: Side, each: &mut dyn FnMut(u32, &Row) -> bool) {
        let Some(number) = self.number(wanted.end.ip) else { return };
        let mut fitting = |n: u32, row: &Row| {
            let port = |place: usize| (row.known & 1 << place != 0).then_some(row.ports[place]);
            let (place, peer) = match side {
                Side::Inside if row.peer_inside != NONE => (0, (row.peer_inside, 3)),
                Side::Inside => (0, (row.peer, 2)),
                Side::Outside => (1, (row.peer, 2)),
            };
            let fitting = fits(port(place), wanted.end.port)
                && fits((row.known & PROTO != 0).then_some(row.proto), wanted.proto)
                && wanted.peer.is_none_or(|p| {
                    peer.0 == NONE || self.addrs.get(peer.0) == Some(p.ip.to_canonical()) && fits(port(peer.1), p.port)
                });
            !fitting || each(n, row)
        };
        match side {
            Side::Inside => self.by_inside.each(&self.rows, |r| r.inside, number, &wanted.window, &mut fitting),
            Side::Outside => self.by_outside.each(&self.rows, |r| r.outside, number, &wanted.window, &mut fitting),
        }
    }
    /// What an end was on the other side, and that on the other side of a further translation; the surest first.
    pub fn expand(&self, wanted: &AskedEnd, side: Side) -> Vec<Reached> {
        let mut out = Vec::new();
        self.follow(wanted, side, &mut Vec::new(), 1.0, &mut out);
        out.sort_by(|a, b| b.confidence.total_cmp(&a.confidence).then(a.path.len().cmp(&b.path.len())).then(a.end.cmp(&b.end)));
        out
    }
    fn follow(&self, wanted: &AskedEnd, side: Side, path: &mut Vec<Binding>, sure: f32, out: &mut Vec<Reached>) {
        for binding in self.of(wanted, side, FOLLOWED) {
            let confidence = sure * binding.confidence * part(&binding, &wanted.window);
            let known = |end: End| path.iter().any(|b| b.inside == end || b.outside == end);
            let (end, peer) = match side {
                Side::Inside => (binding.outside, binding.peer),
                Side::Outside => (binding.inside, binding.peer_seen_inside()),
            };
            if confidence < LEAST || out.len() >= FOLLOWED || !path.is_empty() && known(end) {
                continue;
            }
            let window = wanted
                .window
                .intersect(&Window::new(binding.start.plus(-binding.uncertainty), binding.end.plus(binding.uncertainty).plus(1)));
            let next = AskedEnd { end, proto: binding.proto.or(wanted.proto), peer, window };
            path.push(binding);
            out.push(Reached { end, confidence, path: path.clone() });
            if path.len() < DEPTH {
                self.follow(&next, side, path, confidence, out);
            }
            path.pop();
        }
    }
    /// The hosts that were behind an outside end, those with the most bindings first. Without a port of a shared address there are several: then
    /// none of them is the answer, and the port is needed to decide.
    pub fn behind(&self, wanted: &AskedEnd) -> Vec<Behind> {
        let mut hosts: BTreeMap<u32, (u64, f32)> = BTreeMap::new();
        let mut all = 0u64;
        self.each(wanted, Side::Outside, &mut |_, row| {
            let host = hosts.entry(row.inside).or_default();
            *host = (host.0 + 1, host.1.max(row.confidence));
            all += 1;
            true
        });
        let single = hosts.len() == 1;
        let one = |(host, (n, best)): (u32, (u64, f32))| {
            let share = n as f32 / all.max(1) as f32;
            self.addrs.get(host).map(|host| Behind { host, bindings: n, confidence: if single { best } else { share } })
        };
        let mut out: Vec<Behind> = hosts.into_iter().filter_map(one).collect();
        out.sort_by(|a, b| b.bindings.cmp(&a.bindings).then(a.host.cmp(&b.host)));
        out
    }
    /// Whether an address is inside, or outside, of any binding.
    pub fn has(&self, ip: IpAddr, side: Side) -> bool {
        self.number(ip).is_some_and(|n| match side {
            Side::Inside => self.by_inside.rows.binary_search_by(|r| self.rows[*r as usize].inside.cmp(&n)).is_ok(),
            Side::Outside => self.by_outside.rows.binary_search_by(|r| self.rows[*r as usize].outside.cmp(&n)).is_ok(),
        })
    }
    /// The addresses that are inside of a binding.
    pub fn inside(&self) -> impl Iterator<Item = IpAddr> + '_ {
        let mut last = NONE;
        self.by_inside.rows.iter().filter_map(move |r| {
            let inside = self.rows[*r as usize].inside;
            (inside != std::mem::replace(&mut last, inside)).then(|| self.addrs.get(inside)).flatten()
        })
    }
    /// Every binding.
    pub fn iter(&self) -> impl Iterator<Item = Binding> + '_ {
        self.rows.iter().map(|row| self.unpack(row))
    }
}

/// The part of a window that a binding covers, 0 to 1; of an instant all.
fn part(binding: &Binding, window: &Window) -> f32 {
    if window.start == Time::MIN || window.end == Time::MAX {
        return 1.0;
    }
    let slack = binding.uncertainty;
    let whole = window.length().max(1);
    let shared = binding.end.plus(slack).plus(1).min(window.end).since(binding.start.plus(-slack).max(window.start));
    (shared.max(1) as f64 / whole as f64).min(1.0) as f32
}

/// Takes a later row of the same ends and peer that overlaps into an earlier one: what a log states counts more than what was inferred.
fn merge(kept: &mut Row, later: &mut Row) -> bool {
    let ends = |r: &Row| (r.outside, r.inside, r.peer, r.proto, r.known & !8, r.ports[0], r.ports[1], r.ports[2]);
    let slack = i64::from(kept.uncertainty.max(later.uncertainty)) * 1000;
    if ends(kept) != ends(later) || later.start > kept.end.saturating_add(slack) {
        return false;
    }
    let margin = kept.margin.max(later.margin);
    let (first, second) = (*kept, *later);
    if later.method < kept.method || later.method == kept.method && later.confidence > kept.confidence {
        std::mem::swap(kept, later);
    }
    if kept.method == Method::Log && later.method != Method::Log {
        // What others know widens no time that a log states; an end that was assumed is theirs.
        if kept.assumed && later.end > kept.start {
            kept.end = later.end;
            kept.assumed = false;
        }
    } else {
        kept.start = first.start.min(second.start);
        kept.end = if first.assumed && !second.assumed { second.end } else { first.end.max(second.end) };
        kept.assumed = first.assumed && second.assumed;
    }
    // A log's binding with the flows of both vantage points behind it as well is as sure as it gets.
    if kept.method == Method::Log && later.method == Method::Infer {
        kept.confidence = kept.confidence.max(later.confidence);
    }
    if kept.evidence[1].2 == u16::MAX {
        kept.evidence[1] = later.evidence[0];
    }
    kept.margin = margin;
    true
}

#[cfg(test)]
mod tests;
