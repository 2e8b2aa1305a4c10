//! Why are two records one thing? What both state, how far apart their times are once corrected and what their clocks leave open, what they agree
//! in beside that, and which record would take the other's place.

use super::exact::{around, same_ends, uncertainty};
use super::tentative;
use crate::error::Result;
use crate::model::answer::{ClockUsed, Link, Match, Via, Why};
use crate::model::filter::Test;
use crate::model::source::{Basis, SourceInfo};
use crate::model::time::{DAY, SECOND, show_about};
use crate::model::{Cancel, FieldId, Filter, Kind, Record, SourceId, Value, Window, community_id, field, proto};
use crate::store::{Ask, Snapshot};
use std::cmp::Reverse;

/// How far before and after a record another that would take its place is looked for.
const AROUND: i64 = DAY;
/// The same where two vantage points are compared: they are of one moment.
const AROUND_TRANSLATED: i64 = 10 * SECOND;
/// Records that are looked at for the one that would take its place.
const LOOKED_AT: usize = 20_000;
/// What records of one connection should agree in, as far as both state it.
const STATED: [FieldId; 16] = [
    field::NAME,
    field::SNI,
    field::HTTP_HOST,
    field::URL,
    field::USER,
    field::HTTP_AGENT,
    field::JA4,
    field::JA3,
    field::APP,
    field::PAYLOAD_OUT,
    field::PAYLOAD_IN,
    field::BYTES_OUT,
    field::BYTES_IN,
    field::PACKETS_OUT,
    field::PACKETS_IN,
    field::SHA256,
];

/// Why a record and that of its link are one thing.
pub fn why(snapshot: &Snapshot, record: &Record, link: &Link, cancel: &Cancel) -> Result<Why> {
    let sources = snapshot.sources();
    let other = &link.record;
    let apart = gap(record, other);
    let by_time = link.via.is_none() && !matches!(&*link.method, "flow" | "uid" | "pinned" | "rejected" | tentative::METHOD);
    let left_open = uncertainty(&sources, record.source, other.source);
    let allowed = by_time.then(|| left_open.saturating_add(SECOND));
    let mut reasons = Vec::new();
    if let Some(word) = &link.hand {
        let said = if word.accepted { "one thing" } else { "not one thing" };
        let reason = if word.reason.is_empty() { "without a reason" } else { word.reason.as_str() };
        reasons.push(format!("{} said on {} that they are {said}: {reason}", word.who, word.at.utc().format("%Y-%m-%d %H:%MZ")));
    }
    match (&*link.method, &link.via) {
        (_, Some(via)) => translated(via, link, &mut reasons),
        ("flow", _) => reasons.push("the event was read from the packets of the flow: it names the flow by its id".into()),
        ("uid", _) => {
            let uid = record.text(field::UID).unwrap_or_default();
            reasons.push(format!("both state the connection id {uid}, and sources of this family share theirs"));
            reasons.push(ends(record, other));
        }
        ("pinned", _) => reasons.push("nothing in the records themselves links them".into()),
        ("rejected", _) => {}
        _ => reasons.push(ends(record, other)),
    }
    if &*link.method == tentative::METHOD {
        reasons.push(
            "by the times as they stand they are apart; by what is shared otherwise the clock of one is ahead by about that, which is too few \
             connections to move its times"
                .into(),
        );
    }
    if by_time {
        reasons.push(time(record, other, apart, left_open));
    }
    match link.quality {
        Match::Ambiguous(n) if link.via.is_none() => {
            reasons.push(format!("{n} records fit alike: nothing that both state tells them apart, this is one of them"));
        }
        Match::ClockUnchecked => reasons
            .push("one of the two clocks was only assumed and never compared: the ends prove the link, the time does not".into()),
        _ => {}
    }
    let both = if record.source == other.source && record.shift == other.shift { vec![record] } else { vec![record, other] };
    let (runner_up, runner_words) = runner_up(snapshot, record, link, cancel)?;
    Ok(Why {
        reasons,
        clocks: both.into_iter().map(|r| clock(&sources, r)).collect(),
        apart,
        allowed,
        stated: stated(record, other),
        runner_up,
        runner_words,
    })
}

/// Nanoseconds between the spans of two records.
fn gap(a: &Record, b: &Record) -> i64 {
    let after = |first: &Record, second: &Record| second.time().since(first.until());
    after(a, b).max(after(b, a)).max(0)
}

fn translated(via: &Via, link: &Link, out: &mut Vec<String>) {
    let (kind, sure) = (&via.kind, via.confidence);
    out.push(match &*via.method {
        "log" => format!("a log states the translation {} ({kind}), confidence {sure:.2}", via.binding),
        "infer" => {
            format!("two vantage points saw one connection with other ends: {} ({kind}), confidence {sure:.2}", via.binding)
        }
        "proxy" => format!("a proxy stands between: {} ({kind}), confidence {sure:.2}", via.binding),
        _ => format!("a header claims it, and whoever sends one can write what he likes: {}, confidence {sure:.2}", via.binding),
    });
    if let Some(margin) = via.margin {
        out.push(format!(
            "margin {margin:.1}: by so much the next best assignment of connections costs more; below 6 none is reported"
        ));
    }
    if let Match::Ambiguous(n) = link.quality {
        out.push(format!("{n} hosts fit alike: a port, the peer or the time would be needed to decide"));
    }
    if via.evidence.contains(&link.record.id) {
        out.push("this record is itself what proves the translation".into());
    }
}

/// What both state of their ends; of other ends where they differ.
fn ends(a: &Record, b: &Record) -> String {
    let end = |r: &Record, ip, port| {
        let ip = r.addr(ip).map_or_else(|| "?".to_owned(), |ip| ip.to_string());
        r.uint(port).map_or_else(|| ip.clone(), |p| if ip.contains(':') { format!("[{ip}]:{p}") } else { format!("{ip}:{p}") })
    };
    let protocol = a.uint(field::PROTO).and_then(|p| u8::try_from(p).ok()).map_or_else(|| "?".to_owned(), proto::show);
    let (src, dst) = (end(a, field::SRC_IP, field::SRC_PORT), end(a, field::DST_IP, field::DST_PORT));
    let (here, there) = ([&src, &dst], [end(b, field::SRC_IP, field::SRC_PORT), end(b, field::DST_IP, field::DST_PORT)]);
    if !there.iter().all(|end| here.contains(&end)) {
        return format!("one states {protocol} {src} and {dst}, the other {} and {}", there[0], there[1]);
    }
    let turned = a.addr(field::SRC_IP) != b.addr(field::SRC_IP) || a.uint(field::SRC_PORT) != b.uint(field::SRC_PORT);
    let way = if turned { ", each from its own side" } else { "" };
    let id = community_id::of_record(a).map_or_else(String::new, |id| format!(" (Community ID {id})"));
    format!("both state {protocol} {src} and {dst}{way}{id}")
}

fn time(a: &Record, b: &Record, apart: i64, left_open: i64) -> String {
    let flow = match (a.kind, b.kind) {
        (_, Kind::Flow) => Some(b),
        (Kind::Flow, _) => Some(a),
        _ => None,
    };
    match (apart, flow) {
        (0, Some(_)) => "in corrected time one lies inside the span of the other".to_owned(),
        (0, None) => "their corrected times overlap".to_owned(),
        _ if left_open == 0 => format!("{} apart: within the second by which times of whole seconds are off", show_about(apart)),
        _ => {
            let open = show_about(left_open);
            format!("{} apart: within the {open} that their clocks leave open and a second of rounding", show_about(apart))
        }
    }
}

/// How the clock of a record's source was read for it.
fn clock(sources: &[SourceInfo], record: &Record) -> ClockUsed {
    let name_of = |id: SourceId| sources.iter().find(|s| s.id == id).map_or_else(|| "?".to_owned(), |s| s.name.clone());
    let source = sources.iter().find(|s| s.id == record.source);
    let estimate = source.and_then(|s| s.estimate.as_ref());
    let basis = match source {
        None => "unknown".to_owned(),
        Some(s) if s.clock.manual => "set by hand".to_owned(),
        Some(s) => {
            let zone = s.clock.zone.as_deref().unwrap_or("its zone");
            let zone = match s.clock.zone_basis {
                Basis::Stated => "its times state their zone".to_owned(),
                Basis::Assumed => format!("{zone} was assumed"),
                Basis::Manual => format!("{zone} was set by hand"),
            };
            estimate.map_or_else(|| zone.clone(), |e| format!("{zone}; measured: {}", e.in_words(&name_of)))
        }
    };
    let uncertainty = estimate.filter(|_| source.is_some_and(SourceInfo::is_measured)).map_or(0, |e| e.uncertainty);
    ClockUsed { source: record.source, name: name_of(record.source), shift: record.shift, uncertainty, basis }
}

/// What both state beside ends and time.
fn stated(a: &Record, b: &Record) -> Vec<(FieldId, Value, Value)> {
    let both = |id: FieldId| {
        let (mine, theirs) = (a.get(id)?.clone(), b.get(id)?.clone());
        // Of a field with several values one that both have.
        let common = a.all(id).find(|v| b.all(id).any(|w| w == *v)).cloned();
        Some((id, common.clone().unwrap_or(mine), common.unwrap_or(theirs)))
    };
    STATED.into_iter().filter_map(both).collect()
}

/// Which record of the same source and kind would be in the place of the linked one if that were not there.
fn runner_up(snapshot: &Snapshot, record: &Record, link: &Link, cancel: &Cancel) -> Result<(Option<Record>, String)> {
    let other = &link.record;
    let (filter, reach) = match (&*link.method, &link.via) {
        ("flow" | "uid", _) => return Ok((None, "a reference names its connection: there is no other candidate".into())),
        ("pinned" | "rejected", _) => return Ok((None, "a person's word is about these two alone".into())),
        (_, Some(_)) => match peer(record, other) {
            Some(filter) => (filter, AROUND_TRANSLATED),
            None => return Ok((None, "they have no end in common by which another could be looked for".into())),
        },
        _ => match same_ends(record) {
            Some(filter) => (filter, AROUND),
            None => return Ok((None, "the record does not name its ends in full".into())),
        },
    };
    let filter = Filter::is(field::KIND, other.kind.name()).and(filter);
    let near = around(other, reach);
    let window = Window::new(near.start.min(around(record, reach).start), near.end.max(around(record, reach).end));
    let only = [other.source];
    let ask = Ask { window, sources: Some(&only), limit: LOOKED_AT, every_sighting: true, ..Ask::new(&filter) };
    let start = |r: &Record| r.time().since(record.time()).unsigned_abs();
    let mut best: Option<Record> = None;
    snapshot.select(&ask, &|| cancel.is_cancelled(), &mut |r| {
        let rank = |r: &Record| (gap(record, r), start(r), Reverse(r.id));
        if r.id != other.id && r.id != record.id && best.as_ref().is_none_or(|b| rank(&r) < rank(b)) {
            best = Some(r);
        }
        true
    })?;
    cancel.check()?;
    let what = if link.via.is_some() { "with this peer" } else { "with these ends" };
    let words = match &best {
        None => format!("none: within {} that source has no other {} {what}", show_about(reach), other.kind),
        Some(next) if link.via.is_some() => {
            let (this, that) = (other.time().since(record.time()), next.time().since(record.time()));
            let (this, that) = (signed(this), signed(that));
            format!("the nearest other {} {what} begins {that} from this record, the linked one {this}", next.kind)
        }
        Some(next) => match (gap(record, next), gap(record, other)) {
            (0, 0) => format!("another {} {what} is there at the same time", next.kind),
            (next_gap, 0) => format!("the nearest other {} {what} is {} away, this one is not", next.kind, show_about(next_gap)),
            (next_gap, gap) => {
                format!("the nearest other {} {what} is {} away, this one {}", next.kind, show_about(next_gap), show_about(gap))
            }
        },
    };
    Ok((best, words))
}

fn signed(nanos: i64) -> String {
    if nanos < 0 { show_about(nanos) } else { format!("+{}", show_about(nanos)) }
}

/// The end that two records of both sides of a translation have in common, and the protocol.
fn peer(a: &Record, b: &Record) -> Option<Filter> {
    let of = |r: &Record, ip, port| r.addr(ip).map(|addr| (addr.to_canonical(), r.uint(port)));
    let sides = [(field::SRC_IP, field::SRC_PORT), (field::DST_IP, field::DST_PORT)];
    let mine: Vec<_> = sides.iter().filter_map(|(ip, port)| of(a, *ip, *port)).collect();
    let (ip, port, end) = sides.iter().find_map(|(ip, port)| {
        let end = of(b, *ip, *port)?;
        mine.contains(&end).then_some((*ip, *port, end))
    })?;
    let mut all = vec![Filter::Test(ip, Test::Is(Value::Addr(end.0)))];
    all.extend(end.1.map(|p| Filter::is(port, p)));
    all.extend(a.uint(field::PROTO).map(|p| Filter::is(field::PROTO, p)));
    Some(Filter::And(all))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::links::by_hand::Judged;
    use crate::links::exact;
    use crate::links::world::World;
    use crate::model::RecordId;

    fn ask(snapshot: &Snapshot, a: RecordId, b: RecordId) -> Why {
        let cancel = Cancel::default();
        let record = snapshot.record(a).unwrap().unwrap();
        let links = exact::links(snapshot, &record, &Judged::default(), &cancel).unwrap();
        let link = links.iter().find(|l| l.record.id == b).unwrap();
        why(snapshot, &record, link, &cancel).unwrap()
    }

    #[test]
    fn ends_time_clocks_what_both_state_and_the_next_best_are_said() {
        let mut world = World::new();
        let pcap = world.source("pcap", "a");
        let fw = world.source_with("netfilter", "a", Basis::Assumed);
        let (src, dst) = ("10.0.0.5:4000", "192.0.2.1:443");
        let mut fields = World::ends(src, dst);
        fields.extend([(field::SNI, Value::from("evil.example")), (field::PAYLOAD_OUT, Value::Uint(900))]);
        let flow = world.record(pcap, Kind::Flow, 1_000, 2_000, &fields);
        let next = world.flow(pcap, 63_000, 64_000, src, dst);
        let mut fields = World::ends(dst, src);
        fields.extend([(field::SNI, Value::from("evil.example")), (field::PAYLOAD_OUT, Value::Uint(901))]);
        let line = world.record(fw, Kind::Fw, 2_400, 2_400, &fields);
        let inside = world.record(fw, Kind::Fw, 1_500, 1_500, &World::ends(src, dst));
        let snapshot = world.snapshot();

        let why = ask(&snapshot, line, flow);
        let said = why.reasons.join("\n");
        assert!(
            said.contains("both state tcp 192.0.2.1:443 and 10.0.0.5:4000, each from its own side (Community ID 1:"),
            "{said}"
        );
        assert!(said.contains("400ms apart: within the second"), "{said}");
        assert!(said.contains("only assumed"), "{said}");
        assert_eq!((why.apart, why.allowed), (400_000_000, Some(SECOND)));
        assert_eq!(why.stated[0], (field::SNI, "evil.example".into(), "evil.example".into()));
        assert_eq!(why.stated[1], (field::PAYLOAD_OUT, Value::Uint(901), Value::Uint(900)));
        assert_eq!(why.runner_up.as_ref().map(|r| r.id), Some(next));
        assert_eq!(why.runner_words, "the nearest other flow with these ends is 1m1s away, this one 400ms");
        assert_eq!(why.clocks[0].basis, "its zone was assumed");
        assert_eq!(why.clocks[1].basis, "its times state their zone");

        let why = ask(&snapshot, inside, flow);
        assert!(why.reasons[1].contains("inside the span"), "{:?}", why.reasons);
        assert!(why.runner_words.ends_with("is 1m2s away, this one is not"), "{}", why.runner_words);
    }

    #[test]
    fn a_reference_has_no_runner_up() {
        let mut world = World::new();
        let pcap = world.source("pcap", "a");
        let (src, dst) = ("10.0.0.5:4000", "192.0.2.1:443");
        let flow = world.flow(pcap, 1_000, 2_000, src, dst);
        world.flow(pcap, 3_000, 4_000, src, dst);
        let mut fields = World::ends(src, dst);
        fields.push((field::FLOW, Value::from(flow.to_string())));
        let tls = world.record(pcap, Kind::Tls, 1_100, 1_100, &fields);
        let why = ask(&world.snapshot(), tls, flow);
        assert!(why.reasons[0].contains("names the flow by its id"));
        assert_eq!((why.runner_up, why.allowed), (None, None));
        assert!(why.runner_words.contains("no other candidate"));
    }
}
