//! The other records of a record's connection: by its own reference to a flow, by its source's connection id, by protocol and both ends
//! (what a Community ID says) within the flow's span; where a clock is only tentative also where it would be by that ([`tentative`]).
//!
//! Log times of whole seconds are off by up to a second, so spans are widened by one, and by what measured clocks leave open; a flow that
//! contains the record without that is preferred.

use super::by_hand::Judged;
use super::tentative;
use crate::error::{Error, Result};
use crate::model::answer::{Link, Match};
use crate::model::filter::Test;
use crate::model::source::SourceInfo;
use crate::model::time::SECOND;
use crate::model::{Cancel, FieldId, Filter, Kind, Record, RecordId, SourceId, Window, field, proto};
use crate::store::{Ask, Snapshot};
use std::collections::{BTreeMap, HashSet};

/// Most records that one record is linked to.
pub const MAX_LINKS: usize = 1_000;
/// Why a link holds when it is by protocol and ends.
const COMMUNITY_ID: &str = "community_id";

/// The records that belong to a record: flows first, then in order of time. At most [`MAX_LINKS`].
/// What a person rejected is no candidate.
pub fn links(snapshot: &Snapshot, record: &Record, judged: &Judged, cancel: &Cancel) -> Result<Vec<Link>> {
    let sources = snapshot.sources();
    let mut found = Found { snapshot, cancel, record, judged, sources, seen: HashSet::from([record.id]), links: Vec::new() };
    found.by_reference()?;
    found.by_uid()?;
    found.by_ends()?;
    let linked = found.links.iter().any(|l| l.record.kind == Kind::Flow);
    for link in tentative::links(snapshot, record, &found.sources, linked, judged, cancel)? {
        if found.seen.insert(link.record.id) {
            found.links.push(link);
        }
    }
    let mut links = found.links;
    links.sort_by_key(|l| (l.record.kind != Kind::Flow, l.record.time(), l.record.id));
    Ok(links)
}

struct Found<'a> {
    snapshot: &'a Snapshot,
    cancel: &'a Cancel,
    record: &'a Record,
    judged: &'a Judged,
    sources: Vec<SourceInfo>,
    seen: HashSet<RecordId>,
    links: Vec<Link>,
}

impl Found<'_> {
    fn add(&mut self, record: Record, method: &'static str, quality: Match) {
        if self.links.len() < MAX_LINKS && self.seen.insert(record.id) {
            self.links.push(Link::new(record, method, quality));
        }
    }

    fn ask(&self, filter: &Filter, window: Window, sources: Option<&[SourceId]>) -> Result<Vec<Record>> {
        let mut out = Vec::new();
        let ask = Ask { window, sources, limit: MAX_LINKS + 1, every_sighting: true, ..Ask::new(filter) };
        self.snapshot.select(&ask, &|| self.cancel.is_cancelled(), &mut |r| {
            if !self.judged.rejects(self.record.id, r.id) {
                out.push(r);
            }
            true
        })?;
        if self.cancel.is_cancelled() { Err(Error::cancelled()) } else { Ok(out) }
    }

    /// The field `flow` of an event, or the events that name this flow.
    fn by_reference(&mut self) -> Result<()> {
        if self.record.kind == Kind::Flow {
            let window = around(self.record, SECOND);
            for event in self.ask(&Filter::is(field::FLOW, self.record.id.to_string()), window, None)? {
                self.add(event, "flow", Match::Exact);
            }
        } else if let Some(id) = self.record.text(field::FLOW).and_then(|t| t.parse().ok())
            && !self.judged.rejects(self.record.id, id)
            && let Some(flow) = self.snapshot.record(id)?
        {
            self.add(flow, "flow", Match::Exact);
        }
        Ok(())
    }

    /// The same connection id, within one family of sources: Zeek's uid means nothing to Suricata.
    fn by_uid(&mut self) -> Result<()> {
        let Some(uid) = self.record.text(field::UID).map(str::to_owned) else { return Ok(()) };
        let family = self.family(self.record.source);
        let ids: Vec<SourceId> = self.sources.iter().filter(|s| family_of(&s.key.format) == family).map(|s| s.id).collect();
        for other in self.ask(&Filter::is(field::UID, uid), Window::ALL, Some(&ids))? {
            self.add(other, "uid", Match::Exact);
        }
        Ok(())
    }

    fn family(&self, id: SourceId) -> String {
        self.sources.iter().find(|s| s.id == id).map_or(String::new(), |s| family_of(&s.key.format).to_owned())
    }

    /// Protocol and both ends in either direction.
    fn by_ends(&mut self) -> Result<()> {
        let Some(same) = same_ends(self.record) else { return Ok(()) };
        let method = if with_ports(self.record.uint(field::PROTO)) { COMMUNITY_ID } else { "tuple" };
        let only_flows = Filter::is(field::KIND, Kind::Flow.name()).and(same.clone());
        let widest = self.sources.iter().map(|s| self.slack(s.id)).max().unwrap_or(SECOND);
        let mut flows = self.ask(&only_flows, around(self.record, widest), None)?;
        let mut window = around(self.record, widest);
        let mut candidates = 1;
        if self.record.kind == Kind::Flow {
            flows.retain(|f| touches(self.record, f, self.slack(f.source)));
        } else {
            flows = self.nearest(self.record, flows);
            candidates = most_of_a_source(&flows);
            for flow in &flows {
                let span = around(flow, widest);
                window = Window::new(window.start.min(span.start), window.end.max(span.end));
            }
        }
        // The record's own flow has its own reference; flows of other sources are its sightings.
        let mut others = self.ask(&Filter::Not(Box::new(Filter::is(field::KIND, Kind::Flow.name()))).and(same), window, None)?;
        others.retain(|o| {
            let slack = self.slack(o.source);
            touches(o, self.record, slack) || flows.iter().any(|f| touches(o, f, slack))
        });
        let counted: Vec<Record> = if self.record.kind == Kind::Flow { flows.clone() } else { Vec::new() };
        for flow in flows {
            if self.record.kind == Kind::Flow && flow.source == self.record.source {
                continue;
            }
            let quality = self.quality(&flow, if self.record.kind == Kind::Flow { 1 } else { candidates });
            self.add(flow, method, quality);
        }
        for other in others {
            // Of several flows of this source that the event fits alike, this is one.
            let n = if self.record.kind == Kind::Flow {
                let mine = |f: &&Record| f.source == self.record.source && !self.judged.rejects(other.id, f.id);
                let fitting = self.nearest(&other, counted.iter().filter(mine).cloned().collect());
                let mine = fitting.iter().any(|f| f.id == self.record.id);
                if !mine && !fitting.is_empty() {
                    continue;
                }
                fitting.len().max(1) as u32
            } else {
                candidates
            };
            let quality = self.quality(&other, n);
            self.add(other, method, quality);
        }
        Ok(())
    }

    fn quality(&self, other: &Record, candidates: u32) -> Match {
        let unchecked = |id: SourceId| self.sources.iter().find(|s| s.id == id).is_some_and(|s| !s.is_checked());
        if candidates > 1 {
            Match::Ambiguous(candidates)
        } else if other.source != self.record.source && (unchecked(other.source) || unchecked(self.record.source)) {
            Match::ClockUnchecked
        } else {
            match self.uncertainty(other.source) {
                0 => Match::Exact,
                within => Match::Within(within),
            }
        }
    }

    /// How far a record of another source may be off this one's time for the clocks of both, as measured: nothing if neither was moved.
    fn uncertainty(&self, other: SourceId) -> i64 {
        uncertainty(&self.sources, self.record.source, other)
    }
    /// How far apart records of both may be and be one: what clocks leave open, and a second of rounding.
    fn slack(&self, other: SourceId) -> i64 {
        self.uncertainty(other).saturating_add(SECOND)
    }
    /// The flows that contain a record; if none does, those that do within the slack.
    fn nearest(&self, record: &Record, flows: Vec<Record>) -> Vec<Record> {
        let (inside, near): (Vec<Record>, Vec<Record>) = flows.into_iter().partition(|f| touches(record, f, 0));
        let other = |f: &Record| if f.source == self.record.source { record.source } else { f.source };
        if inside.is_empty() { near.into_iter().filter(|f| touches(record, f, self.slack(other(f)))).collect() } else { inside }
    }
}

/// How far records of two sources may be off each other's time, as far as their clocks were measured.
pub(super) fn uncertainty(sources: &[SourceInfo], a: SourceId, b: SourceId) -> i64 {
    let of = |id: SourceId| sources.iter().find(|s| s.id == id && s.is_measured()).and_then(|s| s.estimate.as_ref());
    let of = |id: SourceId| of(id).map_or(0, |e| e.uncertainty) as f64;
    if a == b { 0 } else { (2.0 * of(a).hypot(of(b))) as i64 }
}

fn touches(record: &Record, flow: &Record, slack: i64) -> bool {
    around(flow, slack).overlaps(record.time(), record.until())
}

/// `zeek-conn` and `zeek-dns` are of one family.
fn family_of(format: &str) -> &str {
    format.split('-').next().unwrap_or(format)
}

pub(super) fn around(record: &Record, slack: i64) -> Window {
    Window::new(record.time().plus(-slack), record.until().plus(slack).plus(1))
}

/// Several sources may see one connection; several flows of one source are several connections.
fn most_of_a_source(flows: &[Record]) -> u32 {
    let mut per: BTreeMap<SourceId, u32> = BTreeMap::new();
    for flow in flows {
        *per.entry(flow.source).or_default() += 1;
    }
    per.values().copied().max().unwrap_or(1)
}

fn with_ports(protocol: Option<u64>) -> bool {
    protocol.is_some_and(|p| [proto::TCP, proto::UDP, proto::SCTP, proto::ICMP, proto::ICMP6].map(u64::from).contains(&p))
}

/// The condition that protocol and both ends are those of a record, in either direction; none if the record does not name them in full.
pub(super) fn same_ends(record: &Record) -> Option<Filter> {
    let protocol = record.uint(field::PROTO)?;
    let (src, dst) = (record.addr(field::SRC_IP)?, record.addr(field::DST_IP)?);
    let ports = match (record.uint(field::SRC_PORT), record.uint(field::DST_PORT)) {
        (Some(s), Some(d)) => Some((s, d)),
        _ if with_ports(Some(protocol)) => return None,
        _ => None,
    };
    let addr = |id: FieldId, a: std::net::IpAddr| Filter::Test(id, Test::Is(crate::model::Value::Addr(a)));
    let way = |s, d, ports: Option<(u64, u64)>| {
        let mut all = vec![addr(field::SRC_IP, s), addr(field::DST_IP, d)];
        if let Some((sp, dp)) = ports {
            all.extend([Filter::is(field::SRC_PORT, sp), Filter::is(field::DST_PORT, dp)]);
        }
        Filter::And(all)
    };
    let either = Filter::Or(vec![way(src, dst, ports), way(dst, src, ports.map(|(s, d)| (d, s)))]);
    Some(Filter::And(vec![Filter::is(field::PROTO, protocol), either]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::links::world::World;
    use crate::model::Value;
    use crate::model::source::Basis;

    const SRC: &str = "10.0.0.5:4000";
    const DST: &str = "192.0.2.1:443";

    fn shown(snapshot: &Snapshot, id: RecordId) -> Vec<(RecordId, &'static str, String)> {
        let record = snapshot.record(id).unwrap().unwrap();
        let links = links(snapshot, &record, &Judged::default(), &Cancel::default()).unwrap();
        links
            .into_iter()
            .map(|l| {
                (l.record.id, if let std::borrow::Cow::Borrowed(word) = l.method { word } else { "" }, l.quality.to_string())
            })
            .collect()
    }

    #[test]
    fn an_alert_and_its_flow_find_each_other_in_either_direction() {
        let mut world = World::new();
        let (pcap, eve) = (world.source("pcap", "a"), world.source("suricata-eve", "a"));
        let flow = world.flow(pcap, 1_000, 9_000, SRC, DST);
        let alert = world.record(eve, Kind::Alert, 9_800, 9_800, &World::ends(DST, SRC));
        let late = world.record(eve, Kind::Alert, 12_000, 12_000, &World::ends(SRC, DST));
        let other = world.flow(pcap, 1_000, 9_000, "10.0.0.6:4000", DST);
        let snapshot = world.snapshot();
        assert_eq!(shown(&snapshot, alert), [(flow, "community_id", "=".into())]);
        assert_eq!(shown(&snapshot, flow), [(alert, "community_id", "=".into())]);
        assert_eq!(shown(&snapshot, late), []);
        assert_eq!(shown(&snapshot, other), []);
    }

    #[test]
    fn several_flows_that_fit_alike_are_said_and_the_one_that_contains_is_preferred() {
        let mut world = World::new();
        let (pcap, eve) = (world.source("pcap", "a"), world.source("suricata-eve", "a"));
        let first = world.flow(pcap, 1_000, 2_000, SRC, DST);
        let second = world.flow(pcap, 2_600, 4_000, SRC, DST);
        let between = world.record(eve, Kind::Alert, 2_300, 2_300, &World::ends(SRC, DST));
        let inside = world.record(eve, Kind::Alert, 2_700, 2_700, &World::ends(SRC, DST));
        let snapshot = world.snapshot();
        let of = |id| shown(&snapshot, id);
        assert!(of(between).contains(&(first, "community_id", "×2".into())), "{:?}", of(between));
        assert!(of(between).contains(&(second, "community_id", "×2".into())));
        assert!(of(inside).contains(&(second, "community_id", "=".into())));
        assert!(!of(inside).iter().any(|l| l.0 == first));
        assert!(of(second).contains(&(between, "community_id", "×2".into())));
        assert!(!of(first).iter().any(|l| l.0 == inside));
    }

    #[test]
    fn a_clock_that_was_only_assumed_is_said() {
        let mut world = World::new();
        let pcap = world.source("pcap", "a");
        let fw = world.source_with("netfilter", "a", Basis::Assumed);
        let flow = world.flow(pcap, 1_000, 9_000, SRC, DST);
        let line = world.record(fw, Kind::Fw, 1_000, 1_000, &World::ends(SRC, DST));
        let snapshot = world.snapshot();
        assert_eq!(shown(&snapshot, line), [(flow, "community_id", "clock unchecked".into())]);
    }

    #[test]
    fn a_measured_clock_joins_within_what_it_leaves_open_and_says_so() {
        use crate::model::Time;
        use crate::model::clock::{ClockEstimate, ClockPiece, ClockState};
        use crate::store::estimates::{Estimated, Estimates};
        let mut world = World::new();
        let pcap = world.source("pcap", "a");
        let fw = world.source_with("netfilter", "a", Basis::Assumed);
        let flow = world.flow(pcap, 1_000, 2_000, SRC, DST);
        // An hour ahead; this line 2.5 s after its flow began, a second one five.
        let near = world.record(fw, Kind::Fw, 3_604_500, 3_604_500, &World::ends(SRC, DST));
        let far = world.record(fw, Kind::Fw, 3_607_000, 3_607_000, &World::ends(SRC, DST));
        world.snapshot();
        let piece = ClockPiece { from: Time::MIN, middle: Time(0), offset: 3_600 * SECOND, skew: 0, keys: 40 };
        let estimate =
            ClockEstimate { state: ClockState::Confident, pieces: vec![piece], uncertainty: SECOND, ..ClockEstimate::unknown() };
        let of = [(fw.0, Estimated { rows: 2, of: 3, estimate })].into();
        world.store().keep_estimates(Estimates { reference: Some(pcap), of }).unwrap();
        let snapshot = world.store().snapshot();
        assert_eq!(shown(&snapshot, near), [(flow, "community_id", "~2.0s".into())]);
        assert_eq!(shown(&snapshot, flow), [(near, "community_id", "~2.0s".into())]);
        assert_eq!(shown(&snapshot, far), []);
    }

    #[test]
    fn references_and_connection_ids_link_within_their_own_family() {
        let mut world = World::new();
        let (conn, ssl) = (world.source("zeek-conn", "a"), world.source("zeek-ssl", "a"));
        let (eve, pcap) = (world.source("suricata-eve", "a"), world.source("pcap", "a"));
        let uid = |u: &str| vec![(field::UID, Value::from(u))];
        let flow = world.record(conn, Kind::Flow, 1_000, 2_000, &uid("C1"));
        let tls = world.record(ssl, Kind::Tls, 1_100, 1_100, &uid("C1"));
        world.record(eve, Kind::Tls, 1_100, 1_100, &uid("C1"));
        let own = world.flow(pcap, 1_000, 9_000, SRC, DST);
        let dns = world.record(pcap, Kind::Dns, 1_000, 1_000, &[(field::FLOW, Value::from(own.to_string()))]);
        let snapshot = world.snapshot();
        assert_eq!(shown(&snapshot, tls), [(flow, "uid", "=".into())]);
        assert_eq!(shown(&snapshot, dns), [(own, "flow", "=".into())]);
        assert_eq!(shown(&snapshot, own), [(dns, "flow", "=".into())]);
    }
}
