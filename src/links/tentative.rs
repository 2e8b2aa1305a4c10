//! Connections of sources whose clock is only tentative. Times are not moved by such a clock, but an event whose ends a flow has just where the clock would
//! put it, and not where its time stands, is shown beside that flow, with how sure the clock is.

use super::by_hand::Judged;
use super::exact::{around, same_ends};
use crate::error::Result;
use crate::model::answer::{Link, Match};
use crate::model::clock::{ClockEstimate, ClockState, KeyKind};
use crate::model::source::SourceInfo;
use crate::model::time::SECOND;
use crate::model::{Cancel, Filter, Kind, Record, SourceId, Time, Window, field};
use crate::store::{Ask, Snapshot};

/// Why such a link holds.
pub const METHOD: &str = "tentative clock";
/// Most records of one source that are looked at.
const MOST: usize = 64;
/// How far the way of packets and the writing of logs may take both apart besides.
const SLACK: i64 = SECOND / 10;
/// Keys that a tentative clock has at least, and from which on it is no longer tentative for their number.
const KEYS: [f32; 2] = [8.0, 24.0];

/// The clock of a source, where it is tentative by what tells connections apart.
fn clock(sources: &[SourceInfo], id: SourceId) -> Option<&ClockEstimate> {
    let estimate = sources.iter().find(|s| s.id == id)?.estimate.as_ref()?;
    let usable = estimate.state == ClockState::Tentative && !estimate.pieces.is_empty();
    Some(estimate).filter(|e| usable && matches!(e.key, KeyKind::Connection | KeyKind::ClientPort))
}

/// How sure a link by such a clock is: 0.6 for the fewest keys, 0.9 for the most.
fn sure(clock: &ClockEstimate) -> f32 {
    let [few, many] = KEYS;
    0.6 + 0.3 * ((clock.keys as f32 - few) / (many - few)).clamp(0.0, 1.0)
}

fn reach(clock: &ClockEstimate) -> i64 {
    clock.uncertainty.saturating_mul(2).saturating_add(SLACK)
}

fn to(time: Time, ahead: i64) -> Time {
    time.plus(ahead.saturating_neg())
}

/// Whether a flow is where the clock would put an event.
fn fits(event: &Record, clock: &ClockEstimate, flow: &Record) -> bool {
    let ahead = clock.ahead(event.time());
    around(flow, reach(clock)).overlaps(to(event.time(), ahead), to(event.until(), ahead))
}

/// Of an event the flows, of a flow the events, that a tentative clock joins. `linked`: an event is already joined to a flow by its time as it stands.
pub fn links(
    snapshot: &Snapshot,
    record: &Record,
    sources: &[SourceInfo],
    linked: bool,
    judged: &Judged,
    cancel: &Cancel,
) -> Result<Vec<Link>> {
    let Some(same) = same_ends(record).filter(|_| record.uint(field::SRC_PORT).is_some()) else { return Ok(Vec::new()) };
    let is_flow = record.kind == Kind::Flow;
    let clocks: Vec<(SourceId, &ClockEstimate)> = match is_flow {
        true => sources.iter().filter(|s| s.id != record.source).filter_map(|s| Some((s.id, clock(sources, s.id)?))).collect(),
        false if linked => Vec::new(),
        false => clock(sources, record.source).map(|c| (record.source, c)).into_iter().collect(),
    };
    let only = Filter::is(field::KIND, Kind::Flow.name());
    let filter = if is_flow { Filter::Not(Box::new(only)) } else { only }.and(same);
    let mut out = Vec::new();
    for (source, clock) in clocks {
        let near = around(record, reach(clock));
        // Its times are where a flow would be, or the flow's where they would be.
        let ahead = clock.ahead(record.time());
        let shift = |t: Time| if is_flow { t.plus(ahead) } else { to(t, ahead) };
        let window = Window::new(shift(near.start), shift(near.end));
        let of = [source];
        let ask = Ask { window, sources: is_flow.then_some(&of), limit: MOST, every_sighting: true, ..Ask::new(&filter) };
        let mut found: Vec<Record> = Vec::new();
        snapshot.select(&ask, &|| cancel.is_cancelled(), &mut |other| {
            let (event, flow) = if is_flow { (&other, record) } else { (record, &other) };
            if fits(event, clock, flow) && !judged.rejects(record.id, other.id) {
                found.push(other);
            }
            true
        })?;
        cancel.check()?;
        let quality = |n: usize| if n > 1 && !is_flow { Match::Ambiguous(n as u32) } else { Match::Tentative(sure(clock)) };
        let most = found.iter().map(|f| found.iter().filter(|o| o.source == f.source).count()).max().unwrap_or(1);
        out.extend(found.into_iter().map(|other| Link::new(other, METHOD, quality(most))));
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::links::exact;
    use crate::links::world::World;
    use crate::model::RecordId;
    use crate::model::clock::ClockPiece;
    use crate::store::estimates::{Estimated, Estimates};

    #[test]
    fn an_event_that_a_tentative_clock_puts_into_a_flow_is_shown_beside_it_and_no_other_is() {
        let mut world = World::new();
        let (pcap, log) = (world.source("pcap", "a"), world.source("windows-event", "h"));
        let ends = World::ends("10.0.0.5:4000", "192.0.2.1:443");
        let flow = world.flow(pcap, 10_000, 10_200, "10.0.0.5:4000", "192.0.2.1:443");
        let event = world.record(log, Kind::Log, 13_262, 13_262, &ends);
        let other = world.record(log, Kind::Log, 19_000, 19_000, &ends);
        let elsewhere = world.record(log, Kind::Log, 13_262, 13_262, &World::ends("10.0.0.6:4000", "192.0.2.1:443"));
        let shown = |world: &World, id: RecordId| {
            let snapshot = world.store().snapshot();
            let record = snapshot.record(id).unwrap().unwrap();
            let links = exact::links(&snapshot, &record, &Judged::default(), &Cancel::default()).unwrap();
            links.into_iter().map(|l| (l.record.id, l.method.to_string(), l.quality.to_string())).collect::<Vec<_>>()
        };
        world.snapshot();
        assert_eq!(shown(&world, event), []);
        let piece = ClockPiece { from: Time::MIN, middle: Time(0), offset: 3_260_000_000, skew: 0, keys: 12 };
        let state = ClockState::Tentative;
        let estimate = ClockEstimate { state, keys: 12, pieces: vec![piece], uncertainty: 4_000_000, ..ClockEstimate::unknown() };
        let of = [(log.0, Estimated { rows: 3, of: 4, estimate })].into();
        world.store().keep_estimates(Estimates { reference: Some(pcap), of }).unwrap();
        let joined = |id| vec![(id, METHOD.to_owned(), "?0.68".to_owned())];
        assert_eq!(shown(&world, event), joined(flow));
        assert_eq!(shown(&world, flow), joined(event));
        assert_eq!((shown(&world, other), shown(&world, elsewhere)), (vec![], vec![]));
    }
}
