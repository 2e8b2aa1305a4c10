//! Export packets of NetFlow v1, v5, v7, v9 and IPFIX to records, whoever carries them: a file, a datagram.
//!
//! Templates are kept per exporter, version and observation domain (source id). Data whose template has not come yet is held, up to a bound,
//! and read when it comes; what is given up is an oddity of the packet that it stood in. A packet's own status is told when all of it is read.

use super::bytes::{u16_at, u32_at};
use super::elements;
use super::forms::json_of;
use super::held::{Held, Key, Set, Tally};
use super::record::Reading;
use super::state::{Room, State};
use super::templates::{self, Said, Spec, Template};
use super::times::{Exported, seconds};
use crate::formats::{Context, Loss, Out, Status, Unit, draft::Draft};
use crate::model::field;
use crate::model::oddity::Oddity;
use crate::model::record::Kind;
use hashbrown::{HashMap, HashSet};
use std::collections::VecDeque;
use std::hash::{Hash, Hasher};
use std::net::IpAddr;

/// Observation domains of all exporters.
const DOMAINS: usize = 4_096;
/// Bytes that what they say of themselves may take.
const ROOM: usize = 64 << 20;
/// Bytes of data that wait for a template, and packets.
const HELD_BYTES: usize = 8 << 20;
const HELD: usize = 4_096;
/// Descriptions by options that are known, so that those which are repeated are told once.
const TOLD: usize = 65_536;
/// Records out of order, or a sequence that begins anew: beyond so many it began anew.
const REORDERED: u32 = 1_000;
/// Sequence numbers that may be missing before it is taken that the exporter began anew.
const JUMP: u32 = 1 << 24;

#[derive(Default)]
struct Domain {
    state: State,
    /// The sequence number that the next packet should have.
    next: Option<u32>,
}

/// Reads export packets.
pub(in crate::formats) struct Collector {
    context: Context,
    domains: HashMap<Key, Domain>,
    room: Room,
    held: VecDeque<Held>,
    held_bytes: usize,
    told: HashSet<u64>,
}

/// A packet as it is read.
struct Packet<'a> {
    key: Key,
    bytes: &'a [u8],
    unit: Unit,
    /// All its records have the place of the packet: it lies in a capture.
    whole: bool,
    exported: Exported,
}

impl Collector {
    /// Of a file, or of a stream.
    pub fn new(context: &Context) -> Collector {
        Collector {
            context: context.clone(),
            domains: HashMap::new(),
            room: Room(ROOM),
            held: VecDeque::new(),
            held_bytes: 0,
            told: HashSet::new(),
        }
    }

    /// Reads a packet that stands at a place of the evidence; `peer` is who sent it, where that is known. `done` is given the packets whose status
    /// is final.
    pub fn packet(&mut self, bytes: &[u8], peer: Option<IpAddr>, unit: Unit, done: &mut Vec<(Status, Out)>) {
        let mut out = Out { unit, ..Out::default() };
        let mut tally = Tally::default();
        let version = u16_at(bytes, 0).unwrap_or(0);
        let sets = match version {
            1 | 5 | 7 => {
                self.fixed(bytes, version, peer, unit, &mut tally, &mut out);
                Vec::new()
            }
            9 | 10 => self.sets(bytes, version, peer, unit, &mut tally, &mut out, done),
            _ => {
                out.oddities.push(Oddity::at("export_version_unknown", format!("version {version}")));
                tally.add(Status::Failed);
                Vec::new()
            }
        };
        let Some((key, sets)) =
            sets.split_first().map(|_| self.key(bytes, version, peer)).zip(Some(sets).filter(|s| !s.is_empty()))
        else {
            done.push((tally.status(), out));
            return;
        };
        self.held_bytes += sets.iter().map(Set::cost).sum::<usize>();
        let mut held = Held { key, status: tally, out, sets, given: 0 };
        done.extend(held.part());
        self.held.push_back(held);
        while self.held_bytes > HELD_BYTES || self.held.len() > HELD {
            let Some(held) = self.held.pop_front() else { return };
            self.give_up(held, done);
        }
    }

    /// Nothing more comes.
    pub fn end(&mut self, done: &mut Vec<(Status, Out)>) {
        while let Some(held) = self.held.pop_front() {
            self.give_up(held, done);
        }
    }

    fn give_up(&mut self, mut held: Held, done: &mut Vec<(Status, Out)>) {
        for set in &held.sets {
            self.held_bytes = self.held_bytes.saturating_sub(set.cost());
            let place = format!("template {} of observation domain {}: {} bytes", set.id, held.key.domain, set.bytes.len());
            held.out.oddities.push(Oddity::at("template_missing", place));
            held.status.add(Status::Failed);
        }
        done.push(held.rest());
    }

    fn key(&self, bytes: &[u8], version: u16, peer: Option<IpAddr>) -> Key {
        let at = match version {
            9 => 16,
            10 => 12,
            _ => usize::MAX - 8,
        };
        // Of v5 type and number of the engine; the earlier versions have none.
        let domain = if version == 5 { u16_at(bytes, 20).map(u32::from) } else { u32_at(bytes, at) };
        Key { peer, version, domain: domain.unwrap_or(0) }
    }

    fn sensor(&self, key: &Key) -> Option<String> {
        match (key.peer, key.domain) {
            (None, 0) => None,
            (None, domain) => Some(format!("{}/{domain}", self.context.stem)),
            (Some(peer), 0) => Some(peer.to_string()),
            (Some(peer), domain) => Some(format!("{peer}/{domain}")),
        }
    }

    /// The state of a domain, taken out while it is used. `None`: there are too many.
    fn open(&mut self, key: &Key, out: &mut Out) -> Option<Domain> {
        if !self.domains.contains_key(key) && self.domains.len() >= DOMAINS {
            out.oddities.push(Oddity::at("too_many_observation_domains", format!("{:?} {}", key.peer, key.domain)));
            return None;
        }
        Some(self.domains.remove(key).unwrap_or_default())
    }

    /// NetFlow v1, v5, v7: records of one layout.
    fn fixed(&mut self, bytes: &[u8], version: u16, peer: Option<IpAddr>, unit: Unit, tally: &mut Tally, out: &mut Out) {
        let (header, fields) = fixed(version);
        let template = Template { fields, scope: 0, least: 1 };
        let (Some(count), Some(uptime), Some(secs), Some(nanos)) =
            (u16_at(bytes, 2), u32_at(bytes, 4), u32_at(bytes, 8), u32_at(bytes, 12))
        else {
            return cut(bytes, tally, out);
        };
        let key = self.key(bytes, version, peer);
        let Some(mut domain) = self.open(&key, out) else { return tally.add(Status::Failed) };
        let sensor = self.sensor(&key);
        let exported = Exported { at: seconds(u64::from(secs)).plus(i64::from(nanos)), uptime: Some(uptime), began: None };
        let mut at = header;
        for n in 0..count {
            let Some((values, length)) = bytes.get(at..).and_then(|b| template.cut(b)) else {
                out.oddities.push(Oddity::at("export_packet_cut", format!("{n} of {count} records")));
                tally.add(Status::Failed);
                break;
            };
            let place = Unit { offset: if peer.is_some() { unit.offset } else { unit.offset + at as u64 }, line: 0 };
            let mut reading = Reading::new(&domain.state, exported, &self.context, place, length);
            values.iter().for_each(|(spec, value)| reading.element(spec, value));
            if let Some(sampling) = u16_at(bytes, 22).filter(|s| version == 5 && *s & 0x3fff > 1) {
                reading.number(34, u64::from(sampling & 0x3fff));
                reading.number(35, u64::from(sampling >> 14));
            }
            tally.add(reading.finish(sensor.as_deref(), out));
            at += length;
        }
        if let Some(sequence) = u32_at(bytes, 16).filter(|_| version != 1) {
            missed(&mut domain, sequence, u32::from(count), "flows that the exporter sent", exported, out);
        }
        self.domains.insert(key, domain);
    }

    /// NetFlow v9 and IPFIX. Gives the sets that wait for a template.
    #[allow(clippy::too_many_arguments)]
    fn sets(
        &mut self,
        bytes: &[u8],
        version: u16,
        peer: Option<IpAddr>,
        unit: Unit,
        tally: &mut Tally,
        out: &mut Out,
        done: &mut Vec<(Status, Out)>,
    ) -> Vec<Set> {
        let mut waiting = Vec::new();
        let key = self.key(bytes, version, peer);
        let header = if version == 9 { 20 } else { 16 };
        let word = |at| u32_at(bytes, at).unwrap_or(0);
        if bytes.len() < header {
            cut(bytes, tally, out);
            return waiting;
        }
        let (exported, sequence) = match version {
            9 => (Exported { at: seconds(u64::from(word(8))), uptime: Some(word(4)), began: None }, word(12)),
            _ => (Exported { at: seconds(u64::from(word(4))), uptime: None, began: None }, word(8)),
        };
        let Some(mut domain) = self.open(&key, out) else {
            tally.add(Status::Failed);
            return waiting;
        };
        let packet = Packet { key, bytes, unit, whole: peer.is_some(), exported };
        let mut records = Some(0u32);
        let mut at = header;
        while let (Some(id), Some(length)) = (u16_at(bytes, at), u16_at(bytes, at + 2)) {
            let end = at + usize::from(length);
            if length < 4 || end > bytes.len() {
                out.oddities
                    .push(Oddity::at("export_packet_cut", format!("set {id} of {length} bytes at byte {at} of {}", bytes.len())));
                tally.add(Status::Failed);
                if length < 4 {
                    break;
                }
            }
            let body = at + 4..end.min(bytes.len());
            match (version, id) {
                (9, 0 | 1) | (10, 2 | 3) => {
                    let options = matches!(id, 1 | 3);
                    let inside = bytes.get(body).unwrap_or_default();
                    let mut new = self.templates(&mut domain, inside, version, options, tally, out);
                    // The same set may have withdrawn one again.
                    new.retain(|id| domain.state.template(*id).is_some());
                    new.sort_unstable();
                    self.release(&key, &mut domain, &new, done);
                }
                (_, 256..) => match domain.state.template(id).cloned() {
                    Some(template) => {
                        let n = self.data(&packet, &mut domain, &template, body, tally, out);
                        records = records.map(|r| r + n);
                    }
                    None => {
                        records = None;
                        let place = if packet.whole { unit.offset } else { unit.offset + body.start as u64 };
                        waiting.push(Set { id, at: place, bytes: bytes.get(body).unwrap_or_default().to_vec(), exported });
                    }
                },
                _ => {
                    out.oddities.push(Oddity::at("flow_set_unknown", format!("set {id} of {length} bytes at byte {at}")));
                    tally.add(Status::Failed);
                }
            }
            at = end;
        }
        match (version, records) {
            (9, _) => missed(&mut domain, sequence, 1, "export packets of NetFlow v9", exported, out),
            (_, Some(n)) => missed(&mut domain, sequence, n, "data records of IPFIX", exported, out),
            // How many records wait is not known.
            (_, None) => domain.next = None,
        }
        self.domains.insert(key, domain);
        waiting
    }

    /// Learns templates; gives the numbers of those that are there now.
    fn templates(
        &mut self,
        domain: &mut Domain,
        set: &[u8],
        version: u16,
        options: bool,
        tally: &mut Tally,
        out: &mut Out,
    ) -> Vec<u16> {
        let (mut new, room) = (Vec::new(), &mut self.room);
        templates::read(set, version, options, &mut |said| match said {
            Said::New(id, template) => {
                if domain.state.learn(id, template, room) {
                    new.push(id);
                } else {
                    out.oddities.push(Oddity::at("template_left_out", format!("template {id}: there is no room for more")));
                    tally.add(Status::Failed);
                }
            }
            Said::Withdrawn(id) => domain.state.forget(id, room),
            Said::AllWithdrawn => domain.state.forget_all(options, room),
            Said::Bad(why) => {
                out.oddities.push(Oddity::at("template_malformed", why));
                tally.add(Status::Failed);
            }
        });
        new
    }

    /// Reads what waited for templates, whose numbers are in order: in one pass, as a set may bring thousands of them.
    fn release(&mut self, key: &Key, domain: &mut Domain, ids: &[u16], done: &mut Vec<(Status, Out)>) {
        let known = |id: u16| ids.binary_search(&id).is_ok();
        if ids.is_empty() || !self.held.iter().any(|h| h.key == *key && h.sets.iter().any(|s| known(s.id))) {
            return;
        }
        for mut held in std::mem::take(&mut self.held) {
            let mine = held.key == *key;
            for set in held.sets.extract_if(.., |s| mine && known(s.id)) {
                self.held_bytes = self.held_bytes.saturating_sub(set.cost());
                let Some(template) = domain.state.template(set.id).cloned() else { continue };
                let unit = Unit { offset: set.at, line: 0 };
                let packet = Packet { key: *key, bytes: &set.bytes, unit, whole: key.peer.is_some(), exported: set.exported };
                self.data(&packet, domain, &template, 0..set.bytes.len(), &mut held.status, &mut held.out);
            }
            if held.sets.is_empty() {
                done.push(held.rest());
            } else {
                done.extend(held.part());
                self.held.push_back(held);
            }
        }
    }

    /// Reads the records of a set; gives how many there were.
    fn data(
        &mut self,
        packet: &Packet<'_>,
        domain: &mut Domain,
        template: &Template,
        body: std::ops::Range<usize>,
        tally: &mut Tally,
        out: &mut Out,
    ) -> u32 {
        let sensor = self.sensor(&packet.key);
        let (mut at, mut records) = (body.start, 0);
        while let Some(rest) = packet.bytes.get(at..body.end).filter(|r| !r.is_empty() && r.len() >= template.least) {
            let Some((values, length)) = template.cut(rest) else {
                out.oddities.push(Oddity::at("flow_record_cut", format!("{} bytes at byte {at}", rest.len())));
                tally.add(Status::Failed);
                return records;
            };
            let place = if packet.whole { packet.unit.offset } else { packet.unit.offset + at as u64 };
            let unit = Unit { offset: place, line: 0 };
            let status = if template.scope > 0 {
                domain.state.options(&values, &mut self.room);
                self.options(packet, &values, unit, length, sensor.as_deref(), out)
            } else {
                let mut reading = Reading::new(&domain.state, packet.exported, &self.context, unit, length);
                values.iter().for_each(|(spec, value)| reading.element(spec, value));
                if let Some((event, shown)) = reading.translation() {
                    domain.state.numbering.set(domain.state.numbering.get().learn(event, shown));
                }
                reading.finish(sensor.as_deref(), out)
            };
            tally.add(status);
            records += 1;
            at += length;
        }
        // Sets are padded to 4 or 8 bytes.
        if body.end.saturating_sub(at) > 7 {
            let place = format!("{} bytes at byte {at}, a record has {}", body.end - at, template.least);
            out.oddities.push(Oddity::at("flow_set_rest", place));
            tally.add(Status::Failed);
        }
        records
    }

    /// What an exporter says of itself, as a record where it is new.
    fn options(
        &mut self,
        packet: &Packet<'_>,
        values: &[(Spec, &[u8])],
        unit: Unit,
        length: usize,
        sensor: Option<&str>,
        out: &mut Out,
    ) -> Status {
        let mut hasher = std::hash::DefaultHasher::new();
        (packet.key, values).hash(&mut hasher);
        if self.told.len() >= TOLD {
            self.told.clear();
        }
        if !self.told.insert(hasher.finish()) {
            return Status::Skipped;
        }
        let mut d = Draft::new(Kind::Log, &self.context, unit, length, packet.exported.at);
        d.text(field::CATEGORY, "exporter options");
        for (spec, bytes) in values {
            let (name, form) = elements::describe(spec);
            if let Some(shown) = json_of(form, bytes).filter(|_| !bytes.is_empty()) {
                d.keep_json(&name, &shown);
            }
        }
        d.finish(sensor, out)
    }
}

fn cut(bytes: &[u8], tally: &mut Tally, out: &mut Out) {
    out.oddities.push(Oddity::at("export_packet_cut", format!("{} bytes, shorter than its header", bytes.len())));
    tally.add(Status::Failed);
}

/// Counts what is missing before a packet that has a sequence number and brings `brought`.
fn missed(domain: &mut Domain, sequence: u32, brought: u32, what: &'static str, exported: Exported, out: &mut Out) {
    let lost = match domain.next {
        None => 0,
        Some(next) => {
            let ahead = sequence.wrapping_sub(next);
            // Late: what it brings was counted as lost; it is let be, and the sequence goes on where it stood.
            if ahead != 0 && ahead.wrapping_neg() <= REORDERED {
                return;
            }
            if ahead > JUMP { 0 } else { ahead }
        }
    };
    domain.next = Some(sequence.wrapping_add(brought));
    let (lost, brought) = (u64::from(lost), u64::from(brought));
    if lost > 0 || brought > 0 {
        out.losses.push(Loss { what, lost, of: lost + brought, total: false, at: Some(exported.at) });
    }
}

/// Length of the header and layout of the records of the versions without templates (Cisco, NetFlow Export Datagram Format).
fn fixed(version: u16) -> (usize, Vec<Spec>) {
    const BEGIN: [(u16, u16); 11] =
        [(8, 4), (12, 4), (15, 4), (10, 2), (14, 2), (2, 4), (1, 4), (22, 4), (21, 4), (7, 2), (11, 2)];
    const ONE: &[(u16, u16)] = &[(210, 2), (4, 1), (5, 1), (6, 1), (210, 11)];
    const FIVE: &[(u16, u16)] = &[(210, 1), (6, 1), (4, 1), (5, 1), (16, 2), (17, 2), (9, 1), (13, 1), (210, 2)];
    const SEVEN: &[(u16, u16)] = &[(210, 1), (6, 1), (4, 1), (5, 1), (16, 2), (17, 2), (9, 1), (13, 1), (210, 2), (43, 4)];
    let (header, rest) = match version {
        1 => (16, ONE),
        7 => (24, SEVEN),
        _ => (24, FIVE),
    };
    let spec = |(id, length): &(u16, u16)| Spec { id: *id, enterprise: 0, length: *length, is_scope9: false };
    (header, BEGIN.iter().chain(rest).map(spec).collect())
}
