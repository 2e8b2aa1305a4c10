//! Gathers curves: which scopes a flow belongs to, when one is busy enough to have a curve, what is forgotten when there are too many.

use super::{Cells, Curve, Curves, METRICS, Marked, Metric, Scope};
use crate::detectors::baseline::{BIN, Grid, SLOTS, entropy, spread};
use crate::detectors::rows::{Flow, Host, Net, Piece, Place, network};
use crate::formats::Zone;
use crate::model::{Kind, SourceId, Time, proto};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;
use std::sync::OnceLock;

type Fast = foldhash::fast::RandomState;

/// Days of a curve that are kept at once, of all curves: 11.5 KB each.
const CHUNKS: usize = 8_000;
/// Newest days of a curve.
const DAYS: usize = 400;
/// Scopes that wait until they are busy enough for a curve.
const WAITING: usize = 1_000_000;
/// Different ends and ports of a bin that are told apart.
const DISTINCT: usize = 400_000;
/// Cells for which what is usual is kept at once.
const FITTED: usize = 8_000_000;
/// Busiest hosts, networks and services that are looked at.
const HOSTS: usize = 200;
const SUBNETS: usize = 48;
const SERVICES: usize = 32;
/// Sources that are told apart.
const SOURCES: usize = 4_096;
/// A flow's bytes are spread over at most so many bins: a week.
const LONGEST: i64 = 7 * SLOTS as i64;
/// Flows of a bin from which on their spread is measured.
const SPREAD: u64 = 30;
/// Values of a feature that can be: of addresses and ports as many as one tells apart in a bin, of sizes the powers of two.
const MOST_VALUES: [u64; 4] = [4096, 4096, 4096, 40];

/// A curve as it is gathered.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Raw {
    id: u32,
    site: usize,
    flows: u64,
    /// Bins of which not all was counted: it was not busy enough yet. First and last.
    early: Option<(i64, i64)>,
    #[serde(with = "super::kept")]
    days: BTreeMap<i32, Cells>,
}

/// Gathers curves.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Gather {
    curves: HashMap<Scope, Raw, Fast>,
    waiting: HashMap<Scope, (u32, i64), Fast>,
    forgotten: HashSet<Scope, Fast>,
    chunks: usize,
    next: u32,
    seen: BTreeMap<i32, (i64, i64)>,
    bin: i64,
    distinct: HashSet<(u32, u8, u32), Fast>,
    spreads: BTreeMap<usize, [HashMap<u32, u64, Fast>; 4]>,
    entropy: BTreeMap<usize, BTreeMap<i64, [f32; 4]>>,
    sites: Vec<u16>,
    /// Bins in which each source has flows.
    sources: BTreeMap<SourceId, Marked>,
}

impl Gather {
    /// Takes the records of a piece.
    pub fn piece(&mut self, piece: &Piece<'_>) {
        for flow in piece.flows {
            self.flow(flow, piece.net);
        }
        for event in piece.events {
            let metric = match event.kind {
                Kind::Alert | Kind::Notice => Metric::Alerts,
                _ if event.is_denial(piece.net) => Metric::Denies,
                _ => continue,
            };
            self.count([event.src, event.dst], event.time, metric, piece.net);
        }
        for query in piece.queries {
            self.count([Some(query.client), None], query.time, Metric::Queries, piece.net);
        }
    }

    fn flow(&mut self, flow: &Flow, net: &Net) {
        let bin = flow.start.0.div_euclid(BIN);
        self.saw(bin);
        if bin != self.bin {
            self.close();
            self.bin = bin;
        }
        let (from, to) = (self.site(flow.src, net), self.site(flow.dst, net));
        let peers = [(flow.src, flow.dst, from), (flow.dst, flow.src, to)];
        for (host, other, site) in peers {
            let active = host == flow.src || flow.is_answered();
            if let (Some(site), true) = (site, active && net.is_unicast(host)) {
                let out = host == flow.src;
                let id = self.add(Scope::Host(host), site, flow, Some(out));
                self.tell_apart(id, Scope::Host(host), other, out.then_some(flow.dst_port), bin);
            }
        }
        let subnet =
            |host: Host, site: Option<usize>| site.filter(|_| net.is_unicast(host)).map(|s| (network(net.addr(host)), s));
        match (subnet(flow.src, from), subnet(flow.dst, to)) {
            (Some(a), Some(b)) if a.0 == b.0 => _ = self.add(Scope::Subnet(a.0), a.1, flow, None),
            (a, b) => {
                a.map(|(n, s)| self.add(Scope::Subnet(n), s, flow, Some(true)));
                b.map(|(n, s)| self.add(Scope::Subnet(n), s, flow, Some(false)));
            }
        }
        match (from, to) {
            (Some(a), Some(b)) if a == b => {
                let id = self.add(Scope::Site(a), a, flow, None);
                self.tell_apart(id, Scope::Site(a), flow.dst, Some(flow.dst_port), bin);
            }
            (a, b) => {
                for (site, other, out) in [(a, flow.dst, true), (b, flow.src, false)] {
                    if let Some(site) = site {
                        let id = self.add(Scope::Site(site), site, flow, Some(out));
                        self.tell_apart(id, Scope::Site(site), other, Some(flow.dst_port), bin);
                    }
                }
            }
        }
        let home = from.or(to).unwrap_or(0);
        if matches!(flow.proto, proto::TCP | proto::UDP) && flow.dst_port != 0 {
            self.add(Scope::Service(flow.proto, flow.dst_port), home, flow, Some(true));
        }
        self.mark(flow.source, bin);
        let counts = self.spreads.entry(home).or_default();
        let values = [flow.src.0, flow.dst.0, u32::from(flow.dst_port), u32::from(entropy::class(flow.bytes()))];
        for (of, value) in counts.iter_mut().zip(values) {
            if of.len() < DISTINCT || of.contains_key(&value) {
                *of.entry(value).or_default() += 1;
            }
        }
    }

    /// A source has a flow in a bin.
    fn mark(&mut self, source: SourceId, bin: i64) {
        if self.sources.len() >= SOURCES && !self.sources.contains_key(&source) {
            return;
        }
        let Ok(day) = i32::try_from(bin.div_euclid(SLOTS as i64)) else { return };
        let slot = bin.rem_euclid(SLOTS as i64) as usize;
        let days = self.sources.entry(source).or_default();
        if let Some(bits) = days.entry(day).or_default().get_mut(slot / 64) {
            *bits |= 1 << (slot % 64);
        }
        if days.len() > DAYS {
            days.pop_first();
        }
    }

    /// Records of any kind were seen in a bin.
    fn saw(&mut self, bin: i64) {
        let seen = self.seen.entry(bin.div_euclid(SLOTS as i64) as i32).or_insert((bin, bin));
        *seen = (seen.0.min(bin), seen.1.max(bin));
    }

    /// The site of a host, by its networks; without any everything that is home is one.
    fn site(&mut self, host: Host, net: &Net) -> Option<usize> {
        const UNKNOWN: u16 = u16::MAX;
        const NOWHERE: u16 = u16::MAX - 1;
        let n = host.0 as usize;
        if self.sites.len() <= n {
            self.sites.resize(n + 1, UNKNOWN);
        }
        if self.sites[n] == UNKNOWN {
            let addr = net.addr(host);
            let within = |s: &Place| s.networks.iter().any(|w| w.contains(&addr));
            let place = match net.is_home(host) {
                false => None,
                true if net.sites.is_empty() => Some(0),
                true => net.sites.iter().position(within),
            };
            self.sites[n] = place.and_then(|p| u16::try_from(p).ok()).unwrap_or(NOWHERE).min(NOWHERE);
        }
        Some(self.sites[n]).filter(|s| *s != NOWHERE).map(usize::from)
    }

    /// Adds a flow to a curve; `out`: its originator is in the scope, not: its responder is; none: both, and no byte crossed. The number of the curve.
    fn add(&mut self, scope: Scope, site: usize, flow: &Flow, out: Option<bool>) -> Option<u32> {
        let counts = !matches!(scope, Scope::Service(..)) || flow.is_accepted();
        let early = self.admit(scope, counts, flow.start.0.div_euclid(BIN))?;
        let (sent, received) = match out {
            Some(true) => (flow.bytes_out, flow.bytes_in),
            Some(false) => (flow.bytes_in, flow.bytes_out),
            None => (0, 0),
        };
        let packets = f64::from(flow.packets_out) + f64::from(flow.packets_in);
        let next = &mut self.next;
        let curve = self.curves.entry(scope).or_insert_with(|| {
            *next = next.saturating_add(1);
            Raw { id: *next, site, early, ..Raw::default() }
        });
        curve.flows = curve.flows.saturating_add(1);
        let mut new = 0;
        spread(flow.start, flow.end, 1.0, BIN, LONGEST, &mut |bin, part| {
            if let Some(cell) = cell(curve, bin, &mut new) {
                cell[Metric::Sent as usize] += (sent as f64 * part) as f32;
                cell[Metric::Received as usize] += (received as f64 * part) as f32;
                cell[Metric::Packets as usize] += (packets * part) as f32;
            }
        });
        if let Some(cell) = cell(curve, flow.start.0.div_euclid(BIN), &mut new) {
            cell[Metric::Flows as usize] += 1.0;
            cell[Metric::Failed as usize] += f32::from(u8::from(flow.is_failed()));
        }
        let id = curve.id;
        self.grew(new);
        Some(id)
    }

    fn count(&mut self, hosts: [Option<Host>; 2], at: Time, metric: Metric, net: &Net) {
        let bin = at.0.div_euclid(BIN);
        self.saw(bin);
        let mut scopes: Vec<(Scope, usize)> = Vec::with_capacity(4);
        for host in hosts.into_iter().flatten() {
            if let Some(site) = self.site(host, net) {
                for scope in [Scope::Host(host), Scope::Site(site)] {
                    if !scopes.iter().any(|s| s.0 == scope) {
                        scopes.push((scope, site));
                    }
                }
            }
        }
        for (scope, site) in scopes {
            let Some(early) = self.admit(scope, true, bin) else { continue };
            let next = &mut self.next;
            let curve = self.curves.entry(scope).or_insert_with(|| {
                *next = next.saturating_add(1);
                Raw { id: *next, site, early, ..Raw::default() }
            });
            let mut new = 0;
            if let Some(cell) = cell(curve, bin, &mut new) {
                cell[metric as usize] += 1.0;
            }
            self.grew(new);
        }
    }

    /// Whether a scope is busy enough for a curve; then the bins in which it was not yet.
    fn admit(&mut self, scope: Scope, counts: bool, bin: i64) -> Option<Option<(i64, i64)>> {
        let least = match scope {
            Scope::Site(_) => return Some(None),
            Scope::Host(_) | Scope::Subnet(_) => 8,
            Scope::Service(..) => 40,
        };
        if self.curves.contains_key(&scope) {
            return Some(None);
        }
        if !counts || self.forgotten.contains(&scope) || self.waiting.len() >= WAITING && !self.waiting.contains_key(&scope) {
            return None;
        }
        let (n, first) = self.waiting.entry(scope).or_insert((0, bin));
        *n += 1;
        let early = (*first, bin);
        if *n < least {
            return None;
        }
        self.waiting.remove(&scope);
        Some(Some(early))
    }

    /// Forgets the least busy quarter of hosts, networks and services when there is too much.
    fn grew(&mut self, new: usize) {
        self.chunks += new;
        if self.chunks <= CHUNKS {
            return;
        }
        let mut all: Vec<(u64, Scope)> = self.curves.iter().filter(|c| !always(c.0)).map(|(s, c)| (c.flows, *s)).collect();
        all.sort_unstable();
        all.truncate((all.len() / 4).max(1));
        for (_, scope) in all {
            self.curves.remove(&scope);
            self.forgotten.insert(scope);
        }
        self.chunks = self.curves.values().map(|c| c.days.len()).sum();
        // Sites alone are too much: the oldest days go.
        while self.chunks > CHUNKS {
            let Some(oldest) = self.curves.values().filter_map(|c| c.days.keys().next().copied()).min() else { break };
            self.curves.values_mut().for_each(|c| _ = c.days.remove(&oldest));
            self.chunks = self.curves.values().map(|c| c.days.len()).sum();
        }
    }

    fn tell_apart(&mut self, id: Option<u32>, scope: Scope, other: Host, port: Option<u16>, bin: i64) {
        let Some(id) = id else { return };
        if self.distinct.len() >= DISTINCT {
            return;
        }
        let peer = self.distinct.insert((id, 0, other.0));
        let port = port.is_some_and(|p| self.distinct.insert((id, 1, u32::from(p))));
        if let (true, Some(curve)) = (peer || port, self.curves.get_mut(&scope))
            && let Some(cell) = cell(curve, bin, &mut 0)
        {
            cell[Metric::Peers as usize] += f32::from(u8::from(peer));
            cell[Metric::Ports as usize] += f32::from(u8::from(port));
        }
    }

    /// A bin is over.
    fn close(&mut self) {
        self.distinct.clear();
        for (site, counts) in &mut self.spreads {
            let n: u64 = counts[0].values().sum();
            if n >= SPREAD {
                let mut of = [f32::NAN; 4];
                for ((out, counts), most) in of.iter_mut().zip(counts.iter()).zip(MOST_VALUES) {
                    // Sums of floating point depend on their order.
                    let mut sorted: Vec<u64> = counts.values().copied().collect();
                    sorted.sort_unstable();
                    *out = entropy::normalised(sorted.iter().copied(), most).map_or(f32::NAN, |h| h as f32);
                }
                let bins = self.entropy.entry(*site).or_default();
                bins.insert(self.bin, of);
                if bins.len() > DAYS * SLOTS {
                    bins.pop_first();
                }
            }
            counts.iter_mut().for_each(HashMap::clear);
        }
    }

    /// The curves, the busiest of each kind.
    pub fn finish(mut self, net: &Net) -> Curves {
        self.close();
        let mut runs: Vec<(i64, i64)> = Vec::new();
        let mut before: Option<i32> = None;
        for (day, (first, last)) in &self.seen {
            match runs.last_mut() {
                Some(run) if before == day.checked_sub(1) => run.1 = last + 1,
                _ => runs.push((*first, last + 1)),
            }
            before = Some(*day);
        }
        let zones: Vec<Option<Zone>> = if net.sites.is_empty() { vec![None] } else { net.sites.iter().map(|s| s.zone).collect() };
        let grids: Vec<Grid> = zones.iter().map(|z| Grid::new(BIN, *z, &runs)).collect();
        let cells = grids.iter().map(Grid::len).max().unwrap_or(0).max(1);
        let hosts = (FITTED / cells / 4).clamp(10, HOSTS);
        let mut all: Vec<(Scope, Raw)> = self.curves.into_iter().collect();
        all.sort_by(|a, b| b.1.flows.cmp(&a.1.flows).then(net_order(net, a.0).cmp(&net_order(net, b.0))));
        let mut left = [hosts, SUBNETS, SERVICES, usize::MAX];
        let mut list = Vec::new();
        for (scope, raw) in all {
            let of = match scope {
                Scope::Host(_) => 0,
                Scope::Subnet(_) => 1,
                Scope::Service(..) => 2,
                Scope::Site(_) => 3,
            };
            if left[of] > 0 {
                left[of] -= 1;
                let site = raw.site.min(grids.len() - 1);
                list.push(Curve { scope, site, flows: raw.flows, early: raw.early, days: raw.days, fits: Default::default() });
            }
        }
        let works = vec![OnceLock::new(); grids.len()];
        Curves { list, grids, zones, works, entropy: self.entropy, sources: self.sources }
    }
}

/// An order that does not depend on when a host was first seen.
fn net_order(net: &Net, scope: Scope) -> (Option<IpAddr>, Scope) {
    match scope {
        Scope::Host(h) => (Some(net.addr(h)), Scope::Host(Host(0))),
        other => (None, other),
    }
}

fn always(scope: &Scope) -> bool {
    matches!(scope, Scope::Site(_))
}

fn cell<'c>(curve: &'c mut Raw, bin: i64, new: &mut usize) -> Option<&'c mut [f32; METRICS]> {
    let day = i32::try_from(bin.div_euclid(SLOTS as i64)).ok()?;
    if !curve.days.contains_key(&day) {
        if curve.days.len() >= DAYS {
            if curve.days.first_key_value().is_some_and(|(first, _)| *first > day) {
                return None;
            }
            curve.days.pop_first();
        } else {
            *new += 1;
        }
        curve.days.insert(day, Box::new([[0.0; METRICS]; SLOTS]));
    }
    curve.days.get_mut(&day)?.get_mut(bin.rem_euclid(SLOTS as i64) as usize)
}

#[cfg(test)]
mod tests;
