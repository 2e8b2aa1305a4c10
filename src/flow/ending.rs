//! How a flow ends: its deadline, and what is given when it is over.

use super::account::{ends_of, held};
use super::history::once;
use super::reassembly::Piece;
use super::table::{Entry, Rare};
use super::tcp::State;
use super::timers::Timeouts;
use super::{EVENT_ORDINALS, EVENTS_PER_LAYER, Meter, Sink, app};
use crate::model::field;
use crate::model::flow::{AppConfidence, Flow};
use crate::model::hex;
use crate::model::origin::RecordId;
use crate::model::record::Record;
use crate::model::source::SourceId;
use crate::model::time::{SECOND, Time};
use crate::model::value::Value;
use crate::model::{field::FieldId, proto};
use crate::protocols::{At, Out, Side};
use compact_str::CompactString;

/// Every so many seconds Zeek looks whether a half-closed connection is over.
const SESSION_TICK: i64 = 6 * SECOND;
/// The first such look, after the first packet.
const FIRST_TICK: i64 = 5 * SECOND;

/// When a flow ends if nothing more is seen of it, and why.
pub(super) fn deadline(entry: &Entry, timeouts: &Timeouts) -> (Time, &'static str) {
    let Some(tcp) = &entry.tcp else {
        let both = entry.sides.iter().all(|s| s.packets > 0);
        return (entry.end.plus(timeouts.idle(entry.key.proto, both)), "timeout");
    };
    let state = &tcp.0;
    if state.delete_at != Time::MAX {
        return (state.delete_at, concluded(entry).unwrap_or("close"));
    }
    let idle = if !state.established {
        timeouts.tcp_new
    } else if matches!(entry.key.end(!entry.out_is_low).1, 21 | 22 | 23 | 513)
        || entry.app.as_ref().is_some_and(|a| a.is("ssh") || a.is("ftp"))
    {
        timeouts.tcp_patient
    } else {
        timeouts.tcp_established
    };
    let mut due = (entry.end.plus(idle), "timeout");
    let mut sooner = |at: Time, reason| {
        if at < due.0 {
            due = (at, reason);
        }
    };
    if timeouts.tcp_attempt > 0 && state.active && state.unanswered() {
        sooner(state.attempt.plus(timeouts.tcp_attempt), "attempt");
    }
    // One side closed, and the other is silent or was reset: over at the first look after the linger.
    if state.active
        && state.ends.iter().any(|e| e.did_close)
        && state.ends.iter().any(|e| matches!(e.state, State::Reset | State::Inactive))
    {
        let quiet = entry.end.plus(timeouts.tcp_linger);
        let tick = |from: Time| {
            let passed = quiet.since(from).max(-1);
            from.plus((passed / SESSION_TICK + i64::from(passed >= 0)).saturating_mul(SESSION_TICK))
        };
        sooner(tick(entry.start.plus(FIRST_TICK)), "timeout");
        if state.half_closed_at != Time::MAX {
            sooner(tick(state.half_closed_at.plus(SESSION_TICK)), "timeout");
        }
    }
    due
}

/// How TCP itself ended, if it did.
fn concluded(entry: &Entry) -> Option<&'static str> {
    let ends = &entry.tcp.as_ref()?.0.ends;
    if ends.iter().any(|e| e.state == State::Reset) {
        Some("reset")
    } else if ends.iter().all(|e| e.state == State::Closed) {
        Some("close")
    } else {
        None
    }
}

/// Zeek's state of a flow.
fn state(entry: &Entry) -> &'static str {
    match (&entry.tcp, entry.key.proto) {
        (Some(tcp), _) => tcp.0.conn_state(entry.history.letters()),
        (None, proto::UDP) => match (entry.sides[0].packets > 0, entry.sides[1].packets > 0) {
            (true, true) => "SF",
            (true, false) => "S0",
            (false, true) => "SHR",
            (false, false) => "OTH",
        },
        _ => "OTH",
    }
}

impl Meter {
    /// Ends a flow: its parser gives what is pending, then the flow itself is given.
    pub(super) fn finish_flow(&mut self, slot: u32, reason: &'static str, sink: &mut dyn Sink) {
        let asked = self.config.protocols;
        let Some(entry) = self.table.at(slot) else { return };
        let before = held(entry);
        let mut out = Out { keeping: self.config.keeping.clone(), ..Out::default() };
        let ends = ends_of(entry);
        let at = At { time: entry.end, offset: entry.id.offset };
        let Entry { tcp, app, .. } = entry;
        if let Some(app) = app.as_deref_mut() {
            if let Some(boxed) = tcp.as_deref_mut() {
                for (i, side) in [Side::Out, Side::In].into_iter().enumerate() {
                    boxed.1[i].flush(at, &mut |piece, at| match piece {
                        Piece::Data(bytes) => app.data(asked, &ends, side, bytes, at, &mut out),
                        Piece::Gap(missing) => app.gap(&ends, side, missing, at, &mut out),
                    });
                }
            }
            app.end(&ends, at, &mut out);
        }
        self.waiting_bytes = self.waiting_bytes.saturating_sub(before);
        if std::mem::take(&mut out.partial) {
            entry.history.once(true, once::PARTIAL, 'X');
        }
        self.give(slot, out, sink);
        let Some(mut entry) = self.table.remove(slot) else { return };
        self.refs_bytes = self.refs_bytes.saturating_sub(entry.refs.len());
        self.stats.missed = self.stats.missed.saturating_add(entry.missed);
        let refs = entry.refs.take();
        let reason = match reason {
            "end" | "reuse" | "timeout" => concluded(&entry).unwrap_or(reason),
            other => other,
        };
        let (interface, more) =
            (entry.interface, entry.app.as_deref_mut().map_or_else(Vec::new, |a| std::mem::take(&mut a.fields)));
        sink.flow(flow_of(&entry, more, reason), &refs, interface);
    }

    /// Gives the events and oddities that a parser left.
    pub(super) fn give(&mut self, slot: u32, out: Out, sink: &mut dyn Sink) {
        if out.events.is_empty() && out.oddities.is_empty() && out.carried.is_empty() {
            return;
        }
        let Some(entry) = self.table.at(slot) else { return };
        let (ends, id, interface) = (ends_of(entry), entry.id, entry.interface);
        for carried in &out.carried {
            sink.carried(carried, if carried.side == Side::Out { ends.src } else { ends.dst }, interface);
        }
        let Some(app) = entry.app.as_deref_mut() else { return };
        let first = app.events;
        app.events = app.events.wrapping_add(out.events.len() as u32);
        for (n, event) in out.events.into_iter().enumerate() {
            // Unique for the packet: layer, then the count of the flow's events.
            let count = first.wrapping_add(n as u32) % EVENTS_PER_LAYER;
            let layer = u32::from(id.ordinal.min(7));
            let ordinal = u32::from(EVENT_ORDINALS) + layer * EVENTS_PER_LAYER + count;
            let event_id = RecordId { offset: event.offset, ordinal: ordinal as u16, ..id };
            let mut record = Record::new(event.kind, event_id, SourceId(0), event.start);
            record.end = event.end.max(event.start);
            if let Some(number) = event.kept {
                sink.kept(event_id, number);
            }
            record.fields = event.fields;
            let given = |f: FieldId| record.fields.iter().any(|(g, _)| *g == f);
            let ours = [
                (field::SRC_IP, Value::Addr(ends.src)),
                (field::SRC_PORT, Value::Uint(u64::from(ends.src_port))),
                (field::DST_IP, Value::Addr(ends.dst)),
                (field::DST_PORT, Value::Uint(u64::from(ends.dst_port))),
                (field::PROTO, Value::Uint(u64::from(ends.proto))),
                (field::FLOW, Value::text(id.to_string())),
            ];
            let ours: Vec<(FieldId, Value)> = ours.into_iter().filter(|(f, _)| !given(*f)).collect();
            record.fields.extend(ours);
            record.fields.sort_by_key(|(f, _)| *f);
            self.stats.events += 1;
            sink.event(record, interface);
        }
        for (oddity, at, offset) in out.oddities {
            self.odd(oddity, at, offset, interface, sink);
        }
    }
}

/// The name and confidence of a flow's application.
fn application(entry: &Entry) -> (CompactString, AppConfidence) {
    let (name, confidence) = entry.app.as_ref().map_or_else(Default::default, |a| a.name());
    if let Some(announced) = entry.rare.as_ref().and_then(|r| r.expected).filter(|_| entry.has_data) {
        // What both sides were seen to speak is said too: an announcement hides nothing.
        let both = confidence == AppConfidence::Parsed;
        let name = if both { format!("{announced},{name}").into() } else { CompactString::from(announced) };
        return (name, AppConfidence::Parsed);
    }
    if let Some(tunnel) = entry.rare.as_ref().and_then(|r| r.carries) {
        let name = if name.is_empty() { CompactString::from(tunnel) } else { name };
        return (name, AppConfidence::Parsed);
    }
    // By port only where the content could not say otherwise: cut, missing, or of a protocol that is not parsed.
    if name.is_empty()
        && entry.has_data
        && let Some(usual) = app::by_port(entry.key.proto, entry.key.end(!entry.out_is_low).1)
        && (entry.app.as_ref().is_none_or(|a| a.unread) || crate::protocols::find(usual).is_none())
    {
        return (CompactString::from(usual), AppConfidence::Port);
    }
    (name, confidence)
}

/// The flow as it stands; `more`: the fields that its parsers found.
pub(super) fn flow_of(entry: &Entry, mut more: Vec<(FieldId, Value)>, reason: &'static str) -> Flow {
    let (src, src_port) = entry.key.end(entry.out_is_low);
    let (dst, dst_port) = entry.key.end(!entry.out_is_low);
    let (app, app_confidence) = application(entry);
    let none = Rare::default();
    let rare = entry.rare.as_deref().unwrap_or(&none);
    let state = state(entry);
    let mut sides = entry.sides;
    if let Some(tcp) = &entry.tcp {
        let [o, r] = &tcp.0.ends;
        sides[0].payload = o.size(r);
        sides[1].payload = r.size(o);
    }
    let mut add = |f: FieldId, value: Value| {
        if !more.iter().any(|(g, _)| *g == f) {
            more.push((f, value));
        }
    };
    for (f, id) in [(field::VLAN, entry.link.vlan[0]), (field::VLAN_INNER, entry.link.vlan[1])] {
        if let Some(id) = id {
            add(f, Value::Uint(u64::from(id)));
        }
    }
    for (f, mac) in [(field::SRC_MAC, entry.link.src_mac), (field::DST_MAC, entry.link.dst_mac)] {
        if let Some(mac) = mac.filter(|m| *m != [0; 6]) {
            add(f, Value::from(hex::mac(&mac)));
        }
    }
    for (f, stack) in [field::SRC_OS, field::DST_OS].into_iter().zip(entry.stacks) {
        if let Some(stack) = stack {
            add(f, Value::text(stack.name()));
        }
    }
    if let Some(tunnel) = rare.tunnel {
        add(field::TUNNEL, Value::from(tunnel.to_string()));
    }
    if rare.fragments > 0 {
        add(field::FRAGMENTS, Value::Uint(u64::from(rare.fragments)));
    }
    for (f, joined) in [field::FRAGMENTS_JOINED_OUT, field::FRAGMENTS_JOINED_IN].into_iter().zip(rare.joined) {
        if joined > 0 {
            add(f, Value::Uint(u64::from(joined)));
        }
    }
    for (f, bytes) in [field::UNSTATED_OUT, field::UNSTATED_IN].into_iter().zip(rare.unstated) {
        if bytes > 0 {
            add(f, Value::Uint(bytes));
        }
    }
    if let Some((kind, code)) = rare.icmp_error {
        add(field::ICMP_ERROR, Value::from(format!("{kind}/{code}")));
    }
    if let Some(related) = &rare.related {
        add(field::RELATED, Value::text(related));
    }
    more.sort_by_key(|(f, _)| *f);
    Flow {
        id: entry.id,
        start: entry.start,
        end: entry.end,
        src,
        src_port,
        dst,
        dst_port,
        proto: entry.key.proto,
        state,
        history: entry.history.letters().clone(),
        app,
        app_confidence,
        out: sides[0],
        in_: sides[1],
        missed: entry.missed,
        end_reason: reason,
        open: false,
        more,
    }
}
