//! Which packets are one conversation? Key, table, TCP state, timeouts, reassembly, fragments.
//!
//! The [`Meter`] takes packets in file order and gives flows, the events that protocols understood in them, and oddities to a [`Sink`].
//! It does no I/O, reads no clock (timers run on the packets' own time) and knows no file but by the evidence key that ids begin with.
//! The same packets always give the same calls in the same order.
//!
//! Memory is bounded: live flows by [`Config::max_flows`] (the one seen least recently is evicted and counted), bytes that wait for
//! reassembly by [`Config::stream_budget`], packet references by spilling them in pieces through [`Sink::packets`].

use crate::model::flow::Flow;
use crate::model::oddity::Oddity;
use crate::model::origin::{EvidenceKey, RecordId};
use crate::model::packet::{Packet, PacketRef};
use crate::model::record::Record;
use crate::model::time::Time;
use crate::protocols;
use crate::protocols::Carried;
use crate::protocols::common::keep::Keeping;
use crate::protocols::layers::{self, Conversation};
use fragments::{Datagram, Fragments};
use refs::Place;
use smallvec::SmallVec;
use std::collections::BTreeMap;
use table::Table;
use timers::{Deadlines, Timeouts};

mod account;
pub mod app;
pub mod checksums;
pub mod direction;
mod ending;
mod expected;
pub mod fragments;
pub mod history;
pub mod icmp;
pub mod key;
pub mod open;
pub mod reassembly;
pub mod refs;
pub mod stack;
pub mod table;
pub mod tcp;
pub mod timers;

#[cfg(test)]
mod tests;

pub use app::Protocols;
pub use checksums::Checksums;
pub use timers::Profile;

/// Oddities of one kind that are given one by one; further ones are counted only.
const MAX_ODDITIES: u64 = 1000;
/// Ordinals of events begin here; below are those of flows (the tunnel layer).
const EVENT_ORDINALS: u16 = 256;
/// Ordinals of events of one tunnel layer.
const EVENTS_PER_LAYER: u32 = 8160;

/// Settings of a meter.
#[derive(Debug, Clone)]
pub struct Config {
    /// Timeouts.
    pub profile: Profile,
    /// Packets of different VLANs are different flows.
    pub vlan_in_key: bool,
    /// Live flows.
    pub max_flows: usize,
    /// Bytes that wait for reassembly (streams and fragments) or for a protocol to be recognised, over all flows.
    pub stream_budget: usize,
    /// Bytes of packet references of one flow before they are spilled (about 7 per packet).
    pub refs_per_flow: usize,
    /// Bytes of packet references over all flows before they are spilled early.
    pub refs_budget: usize,
    /// How checksums are treated.
    pub checksums: Checksums,
    /// Protocols that are asked.
    pub protocols: Protocols,
    /// Who wants the bytes of carried files: nobody, unless files are extracted.
    pub keeping: Keeping,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            profile: Profile::Zeek,
            vlan_in_key: false,
            max_flows: 4_000_000,
            stream_budget: 256 << 20,
            refs_per_flow: 4096,
            refs_budget: 256 << 20,
            checksums: Checksums::Auto,
            protocols: protocols::ALL,
            keeping: Keeping::default(),
        }
    }
}

impl std::fmt::Debug for dyn protocols::Protocol {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Takes what the meter gives. The interface is that of the flow's first packet.
pub trait Sink {
    /// A flow ended. `packets` are its references that were not spilled before, in capture order.
    fn flow(&mut self, flow: Flow, packets: &[PacketRef], interface: u32);
    /// A piece of the packet references of a flow that goes on; the rest follows with further pieces and with the flow itself.
    fn packets(&mut self, flow: RecordId, packets: &[PacketRef], interface: u32);
    /// An event, complete but for its source (0): times, addresses, ports, protocol, id and the id of its flow. It may come before its
    /// flow does.
    fn event(&mut self, record: Record, interface: u32);
    /// A datagram that holds records of a format of logs came from an address.
    fn carried(&mut self, carried: &Carried, from: std::net::IpAddr, interface: u32) {
        let _ = (carried, from, interface);
    }
    /// The file that an event tells of is kept under a number ([`Config::keeping`]); said before the event is given.
    fn kept(&mut self, event: RecordId, number: u64) {
        let _ = (event, number);
    }
    /// Something malformed, at a packet's time and offset.
    fn oddity(&mut self, oddity: Oddity, at: Time, offset: u64, interface: u32);
}

/// What the meter counted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MeterStats {
    /// Packets taken.
    pub packets: u64,
    /// Captured bytes taken.
    pub bytes: u64,
    /// Packets with at least one IP conversation.
    pub ip_packets: u64,
    /// Packets without, by EtherType (or the link's own protocol number).
    pub not_ip: BTreeMap<u16, u64>,
    /// Packets without an IP conversation and without a type: malformed, or of a link type that is not decoded.
    pub undecoded: u64,
    /// Packets of link types that are not decoded, by number.
    pub unknown_links: BTreeMap<u16, u64>,
    /// Packets that the snaplen cut.
    pub cut: u64,
    /// Packets whose time is before that of the packet before.
    pub backwards: u64,
    /// Flows begun.
    pub flows: u64,
    /// Most flows alive at once.
    pub most_flows: u64,
    /// Flows evicted because the table was full.
    pub evicted: u64,
    /// Flows inside tunnels.
    pub tunnelled: u64,
    /// IP fragments.
    pub fragments: u64,
    /// Datagrams of which fragments are missing.
    pub fragments_incomplete: u64,
    /// Packets left out for a wrong checksum.
    pub checksum_bad: u64,
    /// Packets taken though their checksum is wrong (offload, anonymised).
    pub checksum_ignored: u64,
    /// IPv4 headers with a wrong checksum.
    pub ip_checksum_bad: u64,
    /// Bytes acknowledged but not captured.
    pub missed: u64,
    /// Packet references spilled in pieces.
    pub spilled: u64,
    /// Streams whose waiting bytes were given up for the budget.
    pub streams_given_up: u64,
    /// Events given.
    pub events: u64,
    /// Oddities by name.
    pub oddities: BTreeMap<&'static str, u64>,
}

/// Turns packets into flows.
#[derive(Debug)]
pub struct Meter {
    config: Config,
    timeouts: Timeouts,
    evidence: EvidenceKey,
    table: Table,
    deadlines: Deadlines,
    fragments: Fragments,
    senders: checksums::Senders,
    expected: expected::Expected,
    /// Bytes of packet references in memory.
    refs_bytes: usize,
    /// Bytes kept in streams and probes.
    waiting_bytes: usize,
    last: Time,
    interface: u32,
    keeps_refs: bool,
    stats: MeterStats,
}

/// The packet that is being taken.
#[derive(Debug, Clone, Copy)]
struct Now {
    place: Place,
    interface: u32,
    layer: u8,
    parent: Option<RecordId>,
}

impl Meter {
    /// A meter for one piece of evidence.
    pub fn new(config: Config, evidence: EvidenceKey) -> Meter {
        Meter {
            timeouts: config.profile.timeouts(),
            config,
            evidence,
            table: Table::default(),
            deadlines: Deadlines::default(),
            fragments: Fragments::default(),
            senders: checksums::Senders::default(),
            expected: expected::Expected::default(),
            refs_bytes: 0,
            waiting_bytes: 0,
            last: Time::MIN,
            interface: 0,
            keeps_refs: true,
            stats: MeterStats::default(),
        }
    }
    /// Senders with wrong checksums: address, wrong, all.
    pub fn senders(&self) -> Vec<(std::net::IpAddr, u64, u64)> {
        self.senders.wrong()
    }

    /// What was counted so far.
    pub fn stats(&self) -> &MeterStats {
        &self.stats
    }

    /// Live flows.
    pub fn live(&self) -> usize {
        self.table.len()
    }

    /// Takes a packet. Flows whose time is over by its time end before it is counted.
    pub fn packet(&mut self, packet: &Packet<'_>, sink: &mut dyn Sink) {
        let s = &mut self.stats;
        s.packets += 1;
        s.bytes = s.bytes.saturating_add(packet.data.len() as u64);
        s.cut += u64::from((packet.data.len() as u64) < u64::from(packet.wire_len));
        s.backwards += u64::from(packet.time < self.last);
        self.last = packet.time;
        self.interface = packet.interface;
        self.expire(packet.time, sink);
        let place = Place { time: packet.time, offset: packet.offset, number: packet.number };
        let mut walk = layers::decode(packet.link, packet.data);
        for oddity in std::mem::take(&mut walk.oddities) {
            if oddity.what == "link_type_unknown" {
                let n = self.stats.unknown_links.entry(packet.link.0).or_default();
                *n += 1;
                if *n > 1 {
                    *self.stats.oddities.entry(oddity.what).or_default() += 1;
                    continue;
                }
            }
            self.odd(oddity, packet.time, packet.offset, packet.interface, sink);
        }
        if walk.found.is_empty() {
            match walk.other {
                Some(number) => *self.stats.not_ip.entry(number).or_default() += 1,
                None => self.stats.undecoded += 1,
            }
            return;
        }
        self.stats.ip_packets += 1;
        let now = Now { place, interface: packet.interface, layer: 0, parent: None };
        self.conversations(&walk.found, now, None, sink);
    }

    /// Conversations of a packet (or of a datagram put together from fragments) from outer to inner; a damaged one hides what it carries.
    fn conversations(&mut self, found: &[Conversation<'_>], mut now: Now, datagram: Option<&Datagram>, sink: &mut dyn Sink) {
        let outermost = now.parent;
        let mut carriers: SmallVec<[(u8, RecordId); 4]> = SmallVec::new();
        let mut hidden = None;
        for (i, c) in found.iter().enumerate() {
            if hidden.is_some_and(|level| c.level > level) {
                continue;
            }
            carriers.retain(|(level, _)| *level < c.level);
            now.parent = carriers.last().map(|(_, id)| *id).or(outermost);
            hidden = match self.conversation(c, now, datagram.filter(|_| i == 0), sink) {
                Some(id) => {
                    carriers.push((c.level, id));
                    None
                }
                None => Some(c.level),
            };
            now.layer = now.layer.saturating_add(1);
        }
    }

    fn conversation(
        &mut self,
        c: &Conversation<'_>,
        now: Now,
        datagram: Option<&Datagram>,
        sink: &mut dyn Sink,
    ) -> Option<RecordId> {
        if c.bad_ip_checksum {
            self.stats.ip_checksum_bad += 1;
            let place = format!("{} > {}", c.src, c.dst);
            self.odd(Oddity::at("ip_checksum", place), now.place.time, now.place.offset, now.interface, sink);
            if self.config.checksums == Checksums::Check {
                return None;
            }
        }
        if c.fragment.is_some() {
            self.fragment(c, now, sink);
            return None;
        }
        self.account(c, now, datagram, sink)
    }

    fn fragment(&mut self, c: &Conversation<'_>, now: Now, sink: &mut dyn Sink) {
        self.stats.fragments += 1;
        let added = self.fragments.add(c, now.layer, now.place);
        if added.overlap {
            let place = format!("{} > {}", c.src, c.dst);
            self.odd(Oddity::at("frag_overlap", place), now.place.time, now.place.offset, now.interface, sink);
        }
        if let Some(datagram) = added.whole {
            self.datagram(&datagram, now, sink);
        }
        self.give_up_fragments(now.place.time, sink);
    }

    /// Accounts a datagram that is whole or given up. One that is given up counts for the flow of its ports if its first fragment is
    /// there, else for a flow with ports 0.
    fn datagram(&mut self, d: &Datagram, mut now: Now, sink: &mut dyn Sink) {
        let Some(first) = d.parts.first() else { return };
        let head = Conversation {
            src: d.src,
            dst: d.dst,
            proto: d.proto,
            ip_len: d.parts.iter().fold(0, |sum, p| sum.saturating_add(p.ip_len)),
            unstated: 0,
            ttl: d.ttl,
            ip_id: 0,
            bad_ip_checksum: false,
            fragment: None,
            transport: layers::Transport::None,
            segment: &d.payload,
            segment_len: d.payload.len() as u32,
            payload: &d.payload,
            payload_len: d.payload.len() as u32,
            link: d.link,
            carries: None,
            level: d.level,
        };
        now.layer = d.layer;
        now.place = Place { time: now.place.time, ..first.place };
        let mut walk = layers::decode_datagram(&head, &d.payload, d.level);
        if !d.whole {
            // What its headers promise is not there: only the first conversation is believed.
            walk.found.truncate(1);
            walk.oddities.clear();
        }
        for oddity in std::mem::take(&mut walk.oddities) {
            self.odd(oddity, now.place.time, now.place.offset, now.interface, sink);
        }
        self.conversations(&walk.found, now, Some(d), sink);
    }

    fn give_up_fragments(&mut self, now: Time, sink: &mut dyn Sink) {
        if self.fragments.is_empty() {
            return;
        }
        for d in self.fragments.expire(now, self.timeouts.fragments, self.config.stream_budget / 4) {
            self.stats.fragments_incomplete += 1;
            let place = d.parts.first().map_or(Place { time: now, offset: 0, number: 0 }, |p| p.place);
            let oddity = Oddity::at("fragments_incomplete", format!("{} > {}", d.src, d.dst));
            self.odd(oddity, place.time, place.offset, self.interface, sink);
            let now = Now { place, interface: self.interface, layer: d.layer, parent: None };
            self.datagram(&d, now, sink);
        }
    }

    /// Ends the flows whose deadline has come.
    fn expire(&mut self, now: Time, sink: &mut dyn Sink) {
        self.give_up_fragments(now, sink);
        while let Some((at, slot, generation)) = self.deadlines.pop(now) {
            let timeouts = self.timeouts;
            let Some(entry) = self.table.at(slot).filter(|e| e.generation == generation) else { continue };
            let (due, reason) = ending::deadline(entry, &timeouts);
            if due <= at || due <= now {
                self.finish_flow(slot, reason, sink);
            } else {
                entry.armed = due;
                self.deadlines.set(due, slot, generation);
            }
        }
    }

    /// The capture is over: ends all flows, in the order in which they began.
    pub fn finish(&mut self, sink: &mut dyn Sink) {
        self.give_up_fragments(Time::MAX, sink);
        for slot in self.table.in_order() {
            self.finish_flow(slot, "end", sink);
        }
    }

    /// Counts an oddity, and gives it unless there were many of its kind.
    fn odd(&mut self, oddity: Oddity, at: Time, offset: u64, interface: u32, sink: &mut dyn Sink) {
        let n = self.stats.oddities.entry(oddity.what).or_default();
        *n += 1;
        if *n <= MAX_ODDITIES {
            sink.oddity(oddity, at, offset, interface);
        }
    }
}
