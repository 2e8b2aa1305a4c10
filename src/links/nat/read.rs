//! What of a case tells of translations: records that logs write of them, and flows of peers that several vantage points saw at a time.
//!
//! Flows are read twice: first which peers were seen from where in which ten minutes (16 MiB, by hash), then those that may have a counterpart. So
//! memory follows what is compared, not the case.

use super::binding::{Binding, End, Method};
use super::index::Bindings;
use super::inferred::{self, Gateway, Seen, UNKNOWN, WINDOW};
use super::vantage::Relation;
use super::{binding, forwarded, logged};
use crate::error::Result;
use crate::model::ends::Ends;
use crate::model::filter::Test;
use crate::model::time::SECOND;
use crate::model::{Cancel, FieldId, Filter, Kind, RecordId, SourceId, Value, Window, field};
use crate::store::select::Row;
use crate::store::{Ask, Snapshot};
use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// Most flows that are compared (about 170 bytes each); of a larger case the first ones.
const MOST: usize = 1_500_000;
/// Flows of a case with a single source up to which its two sides are looked for in it.
const SINGLE: u64 = 300_000;
/// Flows of a case up to which vantage points are compared at all.
const CASE: u64 = 20_000_000;
/// Peers by time, by hash: which vantage points saw them.
const PEERS: usize = 1 << 22;
/// Hosts whose ends elsewhere are kept.
const KEPT: usize = 32;
/// Peers are compared within so long.
const SPAN: i64 = 600 * SECOND;

const ENDS: [FieldId; 5] = [field::SRC_IP, field::SRC_PORT, field::DST_IP, field::DST_PORT, field::PROTO];
const FEATURES: [FieldId; 16] = [
    field::SRC_IP,
    field::SRC_PORT,
    field::DST_IP,
    field::DST_PORT,
    field::PROTO,
    field::PACKETS_OUT,
    field::PACKETS_IN,
    field::BYTES_OUT,
    field::BYTES_IN,
    field::PAYLOAD_OUT,
    field::PAYLOAD_IN,
    field::SNI,
    field::HTTP_HOST,
    field::NAME,
    field::JA4,
    field::JA3,
];

/// What is known of translations in a case.
#[derive(Debug, Default)]
pub struct Nat {
    /// Bindings over time.
    pub bindings: Bindings,
    /// Where two vantage points see the same connections.
    pub gateways: Vec<Place>,
    /// What was left out, in words.
    pub notices: Vec<String>,
    inferred: Vec<Binding>,
    left_out: LeftOut,
    ends: Mutex<HashMap<Asked, Arc<Ends>>>,
}

/// Hosts, and when.
type Asked = (Vec<IpAddr>, Window);

/// Flows that were not compared.
#[derive(Debug, Default, Clone, Copy)]
struct LeftOut {
    /// All flows of a case that has too many.
    all: Option<u64>,
    /// Those beyond [`MOST`]; of several readings the most, since they share flows.
    beyond: u64,
}

/// A gateway, by the sources on its sides.
#[derive(Debug, Clone, PartialEq)]
pub struct Place {
    /// Source inside.
    pub inside: SourceId,
    /// Source outside.
    pub outside: SourceId,
    /// What was measured.
    pub gateway: Gateway,
}

/// The flow sources of a case, by number of vantage point.
struct Vantages {
    sources: Vec<SourceId>,
}

impl Vantages {
    fn of(snapshot: &Snapshot) -> (Vantages, u64) {
        let (mut sources, mut flows) = (Vec::new(), 0u64);
        for source in snapshot.sources() {
            let n = source.kinds.iter().find(|(k, _)| *k == Kind::Flow).map_or(0, |(_, n)| *n);
            if n > 0 {
                sources.push(source.id);
                flows = flows.saturating_add(n);
            }
        }
        // By number, so that each is found by halving.
        sources.sort_unstable();
        sources.truncate(usize::from(u16::MAX) / 2);
        (Vantages { sources }, flows)
    }
    /// A source that stands on a gateway sees both sides: flows with an end that is for use inside, and those without.
    fn number(&self, source: SourceId, ends: [IpAddr; 2]) -> Option<u16> {
        let at = self.sources.binary_search(&source).ok()?;
        u16::try_from(at * 2 + usize::from(ends.iter().any(|ip| binding::is_private(*ip)))).ok()
    }
    fn source(&self, vantage: u16) -> SourceId {
        self.sources.get(usize::from(vantage / 2)).copied().unwrap_or(SourceId(0))
    }
}

/// Everything of a case.
pub fn find(snapshot: &Snapshot, cancel: &Cancel) -> Result<Nat> {
    let mut nat = Nat::default();
    let (flows, vantages) = nat.flows(snapshot, Window::ALL, cancel)?;
    nat.infer(&flows, &vantages, &BTreeMap::new(), cancel)?;
    drop(flows);
    nat.index(snapshot, cancel)
}

/// The same of a case to which flows came in a window, given what was known before: what was inferred outside of it stays.
pub fn more(snapshot: &Snapshot, before: &Nat, window: Option<Window>, cancel: &Cancel) -> Result<Nat> {
    let mut nat = Nat { left_out: before.left_out, ..Nat::default() };
    let Some(window) = window else {
        nat.inferred.clone_from(&before.inferred);
        nat.gateways.clone_from(&before.gateways);
        return nat.index(snapshot, cancel);
    };
    let window = Window::new(window.start.plus(-2 * WINDOW), window.end.plus(2 * WINDOW));
    let (flows, vantages) = nat.flows(snapshot, window, cancel)?;
    let number = |place: &Place| {
        let of = |source: SourceId, vantage: u16| {
            let at = vantages.sources.binary_search(&source).ok()?;
            u16::try_from(at * 2 + usize::from(vantage % 2)).ok()
        };
        Some((of(place.inside, place.gateway.inside)?, of(place.outside, place.gateway.outside)?))
    };
    let known = before.gateways.iter().filter_map(|p| Some((number(p)?, p.gateway.relation))).collect();
    nat.infer(&flows, &vantages, &known, cancel)?;
    // A gateway that was quiet in the window is there all the same.
    for place in &before.gateways {
        match nat
            .gateways
            .iter_mut()
            .find(|p| (p.inside, p.outside, p.gateway.inside % 2) == (place.inside, place.outside, place.gateway.inside % 2))
        {
            Some(now) => {
                now.gateway.connections = now.gateway.connections.max(place.gateway.connections);
                now.gateway.pool.extend(&place.gateway.pool);
            }
            None => nat.gateways.push(place.clone()),
        }
    }
    let outside = |b: &&Binding| b.start < window.start.plus(WINDOW) || b.start >= window.end.plus(-WINDOW);
    nat.inferred.retain(|b| !outside(&b));
    nat.inferred.extend(before.inferred.iter().filter(outside).cloned());
    nat.index(snapshot, cancel)
}

impl Nat {
    /// The flows that may have a counterpart elsewhere.
    fn flows(&mut self, snapshot: &Snapshot, window: Window, cancel: &Cancel) -> Result<(Vec<Seen>, Vantages)> {
        let (vantages, all) = Vantages::of(snapshot);
        let mut flows = Vec::new();
        if all > CASE || vantages.sources.len() < 2 && all > SINGLE || all == 0 {
            self.left_out.all = (all > CASE).then_some(all);
            return Ok((flows, vantages));
        }
        let filter = Filter::is(field::KIND, Kind::Flow.name());
        let stop = || cancel.is_cancelled();
        let hasher = foldhash::fast::FixedState::with_seed(23);
        let mut peers = vec![0u32; PEERS];
        let places = |row: &Row<'_>, ends: &FlowEnds| {
            let at = row.time().0;
            let of = |inbound: bool, peer: (IpAddr, u16), near: i64| {
                let slot = at.saturating_add(near).div_euclid(SPAN);
                (hasher.hash_one((inbound, ends.proto, peer, slot)) as usize) & (PEERS - 1)
            };
            [of(false, ends.dst, -WINDOW), of(false, ends.dst, WINDOW), of(true, ends.src, -WINDOW), of(true, ends.src, WINDOW)]
        };
        let ask = Ask { window, fields: Some(&ENDS), ..Ask::new(&filter) };
        snapshot.visit(&ask, &stop, &mut |row| {
            if let Some(ends) = FlowEnds::of(row)
                && let Some(vantage) = vantages.number(row.source(), [ends.src.0, ends.dst.0])
            {
                places(row, &ends).into_iter().for_each(|p| peers[p] |= 1 << (vantage % 32));
            }
            true
        })?;
        cancel.check()?;
        let mut beyond = 0u64;
        let seen_by = &snapshot.sightings().seen_by;
        let ask = Ask { fields: Some(&FEATURES), ..ask };
        snapshot.visit(&ask, &stop, &mut |row| {
            let Some(ends) = FlowEnds::of(row) else { return true };
            let Some(vantage) = vantages.number(row.source(), [ends.src.0, ends.dst.0]) else { return true };
            if places(row, &ends).iter().all(|p| peers[*p].count_ones() < 2) {
                return true;
            }
            if flows.len() >= MOST {
                beyond += 1;
                return true;
            }
            let bit = |source: SourceId| vantages.sources.binary_search(&source).map_or(0, |at| 1u64 << (at % 64));
            let also = seen_by.get(&row.id()).map_or(0, |by| by.iter().fold(0, |all, s| all | bit(*s)));
            flows.push(seen(row, &ends, vantage, also, &hasher));
            true
        })?;
        cancel.check()?;
        self.left_out.all = None;
        self.left_out.beyond = self.left_out.beyond.max(beyond);
        contents(snapshot, window, &mut flows, cancel)?;
        Ok((flows, vantages))
    }
    fn infer(
        &mut self,
        flows: &[Seen],
        vantages: &Vantages,
        known: &BTreeMap<(u16, u16), Relation>,
        cancel: &Cancel,
    ) -> Result<()> {
        let found = inferred::infer(flows, known, cancel)?;
        self.inferred.extend(found.bindings(flows));
        self.gateways = found
            .gateways
            .into_iter()
            .map(|gateway| {
                let (inside, outside) = (vantages.source(gateway.inside), vantages.source(gateway.outside));
                Place { inside, outside, gateway }
            })
            .collect();
        Ok(())
    }
    /// Adds what logs and proxies state, and puts all in order.
    fn index(mut self, snapshot: &Snapshot, cancel: &Cancel) -> Result<Nat> {
        if let Some(all) = self.left_out.all {
            self.notices.push(format!("vantage points are not compared: {all} flows are more than {CASE}"));
        }
        if self.left_out.beyond > 0 {
            let beyond = self.left_out.beyond;
            self.notices.push(format!("{beyond} flows beyond the first {MOST} that may have a counterpart were not compared"));
        }
        let mut all = stated(snapshot, &mut self.notices, cancel)?;
        let clients = forwarded::read(snapshot, &mut self.notices, cancel)?;
        all.extend(clients);
        all.extend(self.inferred.iter().cloned());
        self.bindings = Bindings::new(all);
        if self.bindings.beyond > 0 {
            self.notices.push(format!("{} bindings beyond the first {} were left out", self.bindings.beyond, super::index::MOST));
        }
        if self.bindings.conflicts > 0 {
            let n = self.bindings.conflicts;
            self.notices.push(format!(
                "{n} bindings contradict another one of the same outside end at the same time: their confidence is halved"
            ));
        }
        Ok(self)
    }
    /// What hosts were elsewhere at a time, made once while this stands: a screen asks for one host many times.
    pub(super) fn ends(&self, asked: Asked, make: impl FnOnce(&Asked) -> Ends) -> Arc<Ends> {
        let mut kept = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT && !kept.contains_key(&asked) {
            kept.clear();
        }
        if let Some(ends) = kept.get(&asked) {
            return Arc::clone(ends);
        }
        let ends = Arc::new(make(&asked));
        kept.insert(asked, Arc::clone(&ends));
        ends
    }
    /// Whether anything is known.
    pub fn is_empty(&self) -> bool {
        self.bindings.is_empty()
    }
    /// How many bindings are known by a method.
    pub fn count(&self, method: Method) -> usize {
        self.bindings.iter().filter(|b| b.method == method).count()
    }
}

/// The ends of a flow.
struct FlowEnds {
    proto: u8,
    src: (IpAddr, u16),
    dst: (IpAddr, u16),
}

impl FlowEnds {
    fn of(row: &Row<'_>) -> Option<FlowEnds> {
        let addr = |f| row.values(f).next().and_then(|v| v.as_addr()).map(|a| a.to_canonical());
        let number = |f| row.uint(f).unwrap_or(0);
        Some(FlowEnds {
            proto: number(field::PROTO) as u8,
            src: (addr(field::SRC_IP)?, number(field::SRC_PORT) as u16),
            dst: (addr(field::DST_IP)?, number(field::DST_PORT) as u16),
        })
    }
}

fn seen(row: &Row<'_>, ends: &FlowEnds, vantage: u16, also: u64, hasher: &foldhash::fast::FixedState) -> Seen {
    let number = |f| row.uint(f).map_or(UNKNOWN, |n| u32::try_from(n).unwrap_or(UNKNOWN - 1).min(UNKNOWN - 1));
    let told = |fields: &[FieldId]| {
        let first = fields.iter().find_map(|f| row.values(*f).find_map(|v| v.as_text().map(str::to_lowercase)));
        first.map_or(0, |text| hasher.hash_one(text) | 1)
    };
    Seen {
        id: row.id(),
        vantage,
        also,
        proto: ends.proto,
        src: End { ip: ends.src.0, port: Some(ends.src.1) },
        dst: End { ip: ends.dst.0, port: Some(ends.dst.1) },
        start: row.time(),
        end: row.until(),
        packets: [number(field::PACKETS_OUT), number(field::PACKETS_IN)],
        payload: [number(field::PAYLOAD_OUT), number(field::PAYLOAD_IN)],
        bytes: [number(field::BYTES_OUT), number(field::BYTES_IN)],
        name: told(&[field::SNI, field::HTTP_HOST, field::NAME]),
        fingerprint: told(&[field::JA4, field::JA3]),
        requests: 0,
        content: 0,
    }
}

/// What events say of what was transmitted in flows: DNS ids with their questions, URLs, hashes of files.
fn contents(snapshot: &Snapshot, window: Window, flows: &mut [Seen], cancel: &Cancel) -> Result<()> {
    if flows.is_empty() {
        return Ok(());
    }
    let mut order: Vec<u32> = (0..flows.len() as u32).collect();
    order.sort_unstable_by_key(|n| flows[*n as usize].id);
    let hasher = foldhash::fast::FixedState::with_seed(29);
    let kinds = [Kind::Dns, Kind::Http, Kind::File].map(|k| Test::Is(Value::text(k.name())));
    let filter = Filter::Test(field::KIND, Test::In(kinds.to_vec())).and(Filter::Test(field::FLOW, Test::Exists));
    let fields = [field::FLOW, field::DNS_ID, field::NAME, field::URL, field::SHA256, field::HTTP_METHOD];
    let ask = Ask { window, fields: Some(&fields), ..Ask::new(&filter) };
    snapshot.visit(&ask, &|| cancel.is_cancelled(), &mut |row| {
        let text = |f| row.values(f).next().and_then(|v| v.as_text().map(str::to_lowercase));
        let Some(id) = text(field::FLOW).and_then(|t| t.parse::<RecordId>().ok()) else { return true };
        let Ok(at) = order.binary_search_by_key(&id, |n| flows[*n as usize].id) else { return true };
        let flow = &mut flows[order[at] as usize];
        // The order of events does not matter; each counts once per time that it was said.
        match (row.kind(), row.uint(field::DNS_ID)) {
            (Kind::Dns, Some(number)) => {
                flow.content = flow.content.wrapping_add(hasher.hash_one((number, text(field::NAME)))) | 1;
            }
            (Kind::Dns, None) => {}
            _ => {
                let said = (text(field::HTTP_METHOD), text(field::URL), text(field::SHA256));
                flow.requests = flow.requests.wrapping_add(hasher.hash_one(said)) | 1;
            }
        }
        true
    })?;
    cancel.check()
}

/// What logs state.
fn stated(snapshot: &Snapshot, notices: &mut Vec<String>, cancel: &Cancel) -> Result<Vec<Binding>> {
    let stop = || cancel.is_cancelled();
    let exists = |f| Filter::Test(f, Test::Exists);
    let vpn = Filter::is(field::KIND, Kind::Auth.name()).and(exists(field::LEASE));
    let filter = Filter::Or(vec![exists(field::NAT_SRC_IP), exists(field::NAT_DST_IP), vpn]);
    let mut logged = logged::Logged::default();
    let ask = Ask { fields: Some(&logged::FIELDS), every_sighting: true, ..Ask::new(&filter) };
    snapshot.visit(&ask, &stop, &mut |row| {
        logged.add(&row.record());
        true
    })?;
    cancel.check()?;
    let sources = logged.waiting_of();
    if !sources.is_empty() {
        let not = |f| Filter::Not(Box::new(exists(f)));
        let filter = Filter::And(vec![exists(field::UID), not(field::NAT_SRC_IP), not(field::NAT_DST_IP)]);
        let fields = [field::UID, field::ACTION];
        let ask = Ask { fields: Some(&fields), sources: Some(&sources), every_sighting: true, ..Ask::new(&filter) };
        snapshot.visit(&ask, &stop, &mut |row| {
            logged.close(&row.record());
            true
        })?;
        cancel.check()?;
    }
    if logged.beyond > 0 {
        notices.push(format!("{} lines about translations beyond the first million were not read", logged.beyond));
    }
    Ok(logged.finish())
}
