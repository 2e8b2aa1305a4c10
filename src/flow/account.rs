//! One packet, one conversation: finds or begins its flow and counts it.

use super::app::App;
use super::checksums::Verdict;
use super::fragments::Datagram;
use super::history::{Scaled, once};
use super::key::Key;
use super::reassembly::{Piece, Stream};
use super::stack::Stack;
use super::table::Entry;
use super::tcp::{State, Tcp};
use super::{Meter, Now, Sink, direction, ending, icmp};
use crate::model::oddity::Oddity;
use crate::model::origin::RecordId;
use crate::model::proto;
use crate::protocols::layers::{Conversation, TcpHeader, Transport};
use crate::protocols::{At, Ends, Out, Side};

/// What a packet left to do after its entry is let go.
#[derive(Default)]
struct After {
    out: Out,
    conflict: bool,
    given_up: bool,
}

impl Meter {
    /// Counts a conversation of a packet (or of a datagram put together from fragments). `None`: damaged, and what it carries is not
    /// believed.
    pub(super) fn account(
        &mut self,
        c: &Conversation<'_>,
        now: Now,
        datagram: Option<&Datagram>,
        sink: &mut dyn Sink,
    ) -> Option<RecordId> {
        let verdict = match datagram {
            Some(d) if !d.whole => Verdict::Take,
            _ => self.senders.judge(c, self.config.checksums),
        };
        let (key, src_is_low) = Key::of_conversation(c, self.config.vlan_in_key);
        let mut found = self.table.find(&key);
        if let Some(slot) = found
            && let Some(reason) = self.begins_anew(slot, c, now, verdict)
        {
            self.finish_flow(slot, reason, sink);
            found = None;
        }
        let slot = match found {
            Some(slot) => slot,
            None => self.begin(key, src_is_low, c, now, sink),
        };
        self.table.touch(slot);
        let quoted = icmp::quoted(c);
        if let Some(q) = &quoted {
            self.note_error(q, key.vlan);
        }
        let entry = self.table.at(slot)?;
        let id = entry.id;
        if let Some(q) = quoted {
            let related = &mut entry.rare().related;
            if related.is_none() {
                *related = Some(q.community_id().into());
            }
        }
        if entry.carried_by(now.parent) {
            entry.history.once(true, once::PARTIAL, 'X');
        }
        let mut out = src_is_low == entry.out_is_low;
        // --- references
        let before = entry.refs.len();
        match datagram {
            _ if !self.keeps_refs => {}
            None => entry.refs.push(now.place, !out),
            Some(d) => d.parts.iter().for_each(|p| entry.refs.push(p.place, !out)),
        }
        self.refs_bytes += entry.refs.len() - before;
        let length = entry.refs.len();
        if length >= self.config.refs_per_flow || (self.refs_bytes > self.config.refs_budget && length >= 64) {
            self.refs_bytes = self.refs_bytes.saturating_sub(length);
            let refs = entry.refs.take();
            self.stats.spilled += refs.len() as u64;
            sink.packets(id, &refs, entry.interface);
        }
        // --- damage
        match verdict {
            Verdict::Take => {}
            Verdict::TakeWrong => self.stats.checksum_ignored += 1,
            Verdict::Leave => {
                self.stats.checksum_bad += 1;
                entry.history.scaled(out, Scaled::Checksum);
                self.arm(slot);
                return None;
            }
        }
        // --- content
        let ends = ends_of(entry);
        let at = At { time: now.place.time, offset: now.place.offset };
        let asked = self.config.protocols;
        let streams_full = self.waiting_bytes > self.config.stream_budget;
        if c.payload_len > 0 {
            entry.has_data = true;
            if entry.app.is_none() && asked.iter().any(|p| p.over().contains(&key.proto)) {
                entry.app = Some(Box::new(App::default()));
            }
        }
        let held_before = held(entry);
        let mut after = After::default();
        after.out.keeping = self.config.keeping.clone();
        match (c.transport, &mut entry.tcp) {
            (Transport::Tcp(h), Some(_)) if datagram.is_none_or(|d| d.whole) => {
                out = tcp(entry, &h, c, out, at, &ends, asked, streams_full, &mut after, self.timeouts.tcp_close);
            }
            _ => {
                entry.end = entry.end.max(now.place.time);
                let side = &mut entry.sides[usize::from(!out)];
                // Of protocols that are not decoded, what their header leaves over is not known.
                if key.proto != proto::TCP && c.transport != Transport::None {
                    side.payload = side.payload.saturating_add(u64::from(c.payload_len));
                    side.captured = side.captured.saturating_add(c.payload.len() as u64);
                }
                if key.proto == proto::UDP {
                    entry.history.once(out, once::DATA, 'D');
                }
                if let Some(app) = &mut entry.app {
                    app.unread |= (c.payload.len() as u32) < c.payload_len;
                    app.data(asked, &ends, if out { Side::Out } else { Side::In }, c.payload, at, &mut after.out);
                }
            }
        }
        let side = &mut entry.sides[usize::from(!out)];
        let packets = datagram.map_or(1, |d| d.parts.len() as u64);
        side.packets = side.packets.saturating_add(packets);
        side.bytes = side.bytes.saturating_add(u64::from(c.ip_len));
        if c.unstated > 0 {
            let unstated = &mut entry.rare().unstated[usize::from(!out)];
            *unstated = unstated.saturating_add(u64::from(c.unstated));
        }
        if let Some(d) = datagram {
            let rare = entry.rare();
            rare.fragments = rare.fragments.saturating_add(packets as u32);
            if d.whole {
                let joined = &mut rare.joined[usize::from(!out)];
                *joined = joined.saturating_add(packets.saturating_sub(1) as u32);
            }
        }
        if std::mem::take(&mut after.out.partial) {
            entry.history.once(true, once::PARTIAL, 'X');
        }
        if c.carries.is_some() {
            entry.rare().carries = c.carries;
        }
        if streams_full && entry.app.as_mut().is_some_and(|app| app.relieve()) {
            after.given_up = true;
            entry.history.once(true, once::PARTIAL, 'X');
        }
        self.waiting_bytes = (self.waiting_bytes + held(entry)).saturating_sub(held_before);
        if after.conflict {
            let place = format!("{}:{} > {}:{}", ends.src, ends.src_port, ends.dst, ends.dst_port);
            self.odd(Oddity::at("tcp_overlap", place), at.time, at.offset, now.interface, sink);
        }
        self.stats.streams_given_up += u64::from(after.given_up);
        self.expected.note(&mut after.out.expect, at.time);
        self.give(slot, after.out, sink);
        self.arm(slot);
        Some(id)
    }

    /// Whether a packet on an existing key begins a new flow, and why the old one ends.
    fn begins_anew(&mut self, slot: u32, c: &Conversation<'_>, now: Now, verdict: Verdict) -> Option<&'static str> {
        let active = self.timeouts.active;
        let entry = self.table.at(slot)?;
        if active > 0 && now.place.time.since(entry.start) >= active {
            return Some("timeout");
        }
        let (Transport::Tcp(h), Some(state)) = (c.transport, &entry.tcp) else { return None };
        if verdict == Verdict::Leave || !state.0.is_reuse(&h) {
            return None;
        }
        Some("reuse")
    }

    fn begin(&mut self, key: Key, src_is_low: bool, c: &Conversation<'_>, now: Now, sink: &mut dyn Sink) -> u32 {
        while self.table.len() >= self.config.max_flows.max(1) {
            let Some(oldest) = self.table.oldest() else { break };
            self.stats.evicted += 1;
            self.finish_flow(oldest, "eviction", sink);
        }
        let flipped = direction::flipped(c);
        let id = RecordId { evidence: self.evidence, offset: now.place.offset, ordinal: u16::from(now.layer) };
        let mut link = c.link;
        if flipped {
            std::mem::swap(&mut link.src_mac, &mut link.dst_mac);
        }
        let mut entry = Entry::new(key, src_is_low != flipped, id, now.interface, now.place.time, link);
        if flipped {
            entry.history.add(true, '^');
        }
        let (address, port) = entry.key.end(!entry.out_is_low);
        if let Some((name, parser)) = self.expected.take((address, port, key.proto), now.place.time) {
            entry.rare().expected = Some(name);
            entry.app = Some(Box::new(App::announced(parser)));
        }
        if key.is_tcp() {
            entry.tcp = Some(Box::new((Tcp::default(), [Stream::default(), Stream::default()])));
        }
        self.stats.flows += 1;
        self.stats.tunnelled += u64::from(now.parent.is_some());
        let slot = self.table.insert(entry);
        self.stats.most_flows = self.stats.most_flows.max(self.table.len() as u64);
        slot
    }

    /// Notes on the flow that an ICMP error is about that it was answered so.
    fn note_error(&mut self, q: &icmp::Quoted, vlan: [u16; 2]) {
        let (mut key, _) = Key::of(q.proto, q.src.0, q.src.1, q.dst.0, q.dst.1, q.one_way);
        key.vlan = vlan;
        if let Some(slot) = self.table.find(&key)
            && let Some(entry) = self.table.at(slot)
        {
            entry.rare().icmp_error.get_or_insert(q.error);
        }
    }

    /// Sets the deadline of a flow if it has become earlier.
    fn arm(&mut self, slot: u32) {
        let timeouts = self.timeouts;
        let Some(entry) = self.table.at(slot) else { return };
        let (due, _) = ending::deadline(entry, &timeouts);
        if due < entry.armed {
            entry.armed = due;
            let generation = self.table.renew(slot);
            self.deadlines.set(due, slot, generation);
        }
    }
}

/// Originator and responder as protocols see them.
pub(super) fn ends_of(entry: &Entry) -> Ends {
    let (src, src_port) = entry.key.end(entry.out_is_low);
    let (dst, dst_port) = entry.key.end(!entry.out_is_low);
    Ends { src, src_port, dst, dst_port, proto: entry.key.proto }
}

/// Bytes of content that are kept for a flow.
pub(super) fn held(entry: &Entry) -> usize {
    let streams = entry.tcp.as_ref().map_or(0, |t| t.1[0].held() + t.1[1].held());
    streams + entry.app.as_ref().map_or(0, |a| a.held())
}

/// Counts a TCP segment. Returns whether it came from the originator, which a late SYN may change.
#[allow(clippy::too_many_arguments)] // one call site; a struct would only name them again
fn tcp(
    entry: &mut Entry,
    h: &TcpHeader,
    c: &Conversation<'_>,
    mut out: bool,
    at: At,
    ends: &Ends,
    asked: super::Protocols,
    streams_full: bool,
    after: &mut After,
    close_delay: i64,
) -> bool {
    let Entry { tcp, app, sides, history, missed, end, out_is_low, link, rare, stacks, .. } = entry;
    let Some(boxed) = tcp else { return out };
    let (state, streams) = &mut **boxed;
    if state.open() {
        *end = (*end).max(at.time);
    }
    let step = state.packet(h, c.payload_len, out, at.time, history);
    if step.flipped {
        out = !out;
        *out_is_low = !*out_is_low;
        sides.swap(0, 1);
        streams.swap(0, 1);
        stacks.swap(0, 1);
        std::mem::swap(&mut link.src_mac, &mut link.dst_mac);
        if let Some(rare) = rare {
            rare.joined.swap(0, 1);
            rare.unstated.swap(0, 1);
        }
        if let Some(app) = app.as_deref_mut() {
            app.flip();
        }
    }
    let (e, p) = if out { (0, 1) } else { (1, 0) };
    // The first of them: what is sent again may have left options out.
    stacks[e] = stacks[e].or_else(|| Stack::of(c, h));
    let wanted = app.as_ref().is_some_and(|a| a.wants());
    let results = &mut after.out;
    let mut deliver = |side: usize, piece: Piece<'_>, at: At| {
        let side = if side == 0 { Side::Out } else { Side::In };
        match (piece, app.as_deref_mut()) {
            (Piece::Data(bytes), Some(app)) => app.data(asked, ends, side, bytes, at, results),
            (Piece::Gap(missing), Some(app)) => app.gap(ends, side, missing, at, results),
            (_, None) => {}
        }
    };
    // --- what the peer's stream still misses, now that it is acknowledged
    if let Some(acked) = step.acked {
        let upto = state.ends[p].data_end().map_or(acked, |end| acked.min(end));
        if upto > streams[p].next() && !(upto <= 2 && state.partial) {
            let (missing, gaps) = streams[p].give_up(upto, at, &mut |piece, at| deliver(p, piece, at));
            if state.gaps_count() {
                *missed = missed.saturating_add(missing);
                for _ in 0..gaps {
                    history.scaled(!out, Scaled::Gap);
                }
            }
        }
    }
    // --- its own data
    if c.payload_len > 0 && step.in_stream {
        let keep = wanted && !streams_full;
        let seen = streams[e].segment(step.data_at, c.payload, at, keep, &mut |piece, at| deliver(e, piece, at));
        sides[e].retransmitted = sides[e].retransmitted.saturating_add(seen.again);
        sides[e].captured = sides[e].captured.saturating_add((c.payload.len() as u64).saturating_sub(seen.again));
        after.conflict = seen.conflict;
    }
    if let Some(app) = app.as_deref_mut() {
        app.unread |= (c.payload.len() as u32) < c.payload_len;
    }
    if wanted && (streams_full || app.as_ref().is_none_or(|a| !a.wants())) {
        after.given_up = streams_full && streams.iter().any(|s| s.waiting() > 0);
        streams.iter_mut().for_each(Stream::forget_bytes);
    }
    let mut pending = [false; 2];
    for side in 0..2 {
        let (me, sent) = (&state.ends[side], state.ends[side].last - state.ends[side].start);
        let next = streams[side].next();
        let incomplete = next != sent && next != sent - 1;
        let peer_waits = me.state != State::Reset && streams[1 - side].has_waiting();
        pending[side] = sent >= next && (incomplete || peer_waits);
    }
    state.settle(*end, pending, close_delay);
    out
}
