//! A capture: packets through the meter, flows, events and oddities to the writer.

use super::exports::{Carrier, Taker};
use super::sanity::{self, Directions, Times};
use super::sanity_missed::Missed;
use super::writer::Writer;
use crate::flow::{Checksums, Config, Meter, MeterStats, Profile, Sink};
use crate::model::flow::Flow;
use crate::model::packet::{LinkType, PacketRef};
use crate::model::record::{Kind, Record};
use crate::model::source::Counts;
use crate::model::{EvidenceKey, Oddity, RecordId, SourceId, Time, Value, field};
use crate::protocols::Carried;
use crate::protocols::layers::link_name;
use crate::sources::ahead;
use crate::sources::capture::{self, CaptureKind, Item};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::net::IpAddr;

/// Ordinal of the first oddity or comment at an offset: far above the meter's own.
pub(super) const FIRST_ORDINAL: u16 = 0x8000;
/// Interfaces of one file that are sources of their own.
const MAX_SOURCES: usize = 256;
/// Comments and names that wait for the first packet.
const MAX_HELD: usize = 1000;
/// Oddities of one kind that are kept one by one.
const MAX_ODDITIES: u64 = 1000;
/// Sections and interfaces whose places are kept.
const MAX_HEADS: usize = 4096;

/// What is known of a capture besides its bytes.
pub struct About {
    /// Evidence key.
    pub evidence: EvidenceKey,
    /// Stem of its file name: the sensor, where it has one interface.
    pub stem: String,
    /// Time for what has none.
    pub modified: Time,
    /// Timeouts of flows.
    pub timeouts: Profile,
    /// What a wrong checksum means.
    pub checksums: Checksums,
    /// Its packets are wanted as they come: it is read where they are taken, not ahead.
    pub stream: bool,
}

/// How a capture ended.
pub struct Ended {
    /// Damage, in words with its offset.
    pub damage: Option<String>,
    /// Uncompressed bytes understood.
    pub bytes: u64,
    /// What is worth saying.
    pub warnings: Vec<String>,
    /// Where its sections and interfaces begin, in order; none: there are too many.
    pub heads: Option<Vec<u64>>,
}

/// The meter's sink: names sources by interface, numbers what has no id of its own.
struct Stream<'a> {
    writer: &'a mut Writer,
    about: &'a About,
    interfaces: Vec<(String, Option<SourceId>)>,
    many: bool,
    /// Interfaces that have a source of their own.
    named: usize,
    /// Interface of the last packet.
    last: Option<u32>,
    /// What came before the first packet: only then is it known whose it is.
    held: Vec<(Record, u64)>,
    last_offset: u64,
    ordinal: u16,
    /// Oddities of the file itself, by name.
    oddities: BTreeMap<&'static str, u64>,
    /// When its packets were sent, and how its connections look.
    times: Times,
    directions: Directions,
    /// The longest snapshot length that an interface states.
    snaplen: u32,
    /// What exporters sent, once there is any.
    carrier: Option<Carrier>,
}

impl Stream<'_> {
    fn source(&mut self, interface: u32) -> SourceId {
        let at = interface as usize;
        if let Some((_, Some(id))) = self.interfaces.get(at) {
            return *id;
        }
        let name = self.interfaces.get(at).map(|(name, _)| name.as_str()).unwrap_or_default();
        let sensor = match (self.many && self.named < MAX_SOURCES, name) {
            (false, _) => self.about.stem.clone(),
            (true, "") => format!("{}/{at}", self.about.stem),
            (true, name) => format!("{}/{name}", self.about.stem),
        };
        let id = self.writer.source("pcap", &sensor);
        if let Some(slot) = self.interfaces.get_mut(at) {
            slot.1 = Some(id);
            self.named += 1;
        }
        id
    }
    fn next_id(&mut self, offset: u64) -> RecordId {
        self.ordinal = if offset == self.last_offset { self.ordinal.saturating_add(1) } else { FIRST_ORDINAL };
        self.last_offset = offset;
        RecordId { evidence: self.about.evidence, offset, ordinal: self.ordinal }
    }
    fn packet(&mut self, interface: u32, time: Time) {
        self.last = Some(interface);
        self.times.add(time);
        if !self.held.is_empty() {
            self.release_at(Some(time));
        }
        let source = self.source(interface);
        self.writer.count(source).ok += 1;
    }
    /// A record of the file itself: of the interface of the last packet, before the first one held back.
    fn own(&mut self, record: Record, at: u64) {
        if self.last.is_none() && self.held.len() < MAX_HELD {
            return self.held.push((record, at));
        }
        self.release();
        self.push(record, at);
    }
    fn push(&mut self, mut record: Record, at: u64) {
        record.source = self.source(self.last.unwrap_or(0));
        record.id = self.next_id(at);
        self.writer.push(record);
    }
    fn release(&mut self) {
        self.release_at(None);
    }
    /// What was held back has the time of the first packet, if there is one: before it the file states none.
    fn release_at(&mut self, first: Option<Time>) {
        for (mut record, at) in std::mem::take(&mut self.held) {
            if let Some(time) = first {
                (record.start, record.end) = (time, time);
            }
            self.push(record, at);
        }
    }
    /// Something malformed in the file itself; of one kind only the first thousand are kept one by one.
    fn damaged(&mut self, oddity: &Oddity, time: Time, at: u64) {
        let n = self.oddities.entry(oddity.what).or_default();
        *n += 1;
        if *n <= MAX_ODDITIES {
            self.own(Record::oddity(oddity, RecordId::default(), SourceId(0), time), at);
        }
    }
}

impl Taker for Stream<'_> {
    fn record(&mut self, format: &'static str, sensor: &str, mut record: Record) {
        record.source = self.writer.source(format, sensor);
        self.writer.push(record);
    }
    fn odd(&mut self, oddity: &Oddity, at: Time, offset: u64) {
        self.oddity(oddity.clone(), at, offset, self.last.unwrap_or(0));
    }
    fn count(&mut self, format: &'static str, sensor: &str, counts: Counts) {
        let source = self.writer.source(format, sensor);
        self.writer.count(source).add(&counts);
    }
}

impl Sink for Stream<'_> {
    fn carried(&mut self, carried: &Carried, from: IpAddr, _: u32) {
        let mut carrier = self.carrier.take().unwrap_or_else(|| Carrier::new(self.about.evidence, &self.about.stem));
        carrier.take(carried, from, self);
        self.carrier = Some(carrier);
    }
    fn flow(&mut self, flow: Flow, packets: &[PacketRef], interface: u32) {
        self.directions.flow(&flow);
        let source = self.source(interface);
        self.writer.packets(flow.id, source, packets);
        self.writer.flow(flow, source);
    }
    fn packets(&mut self, flow: RecordId, packets: &[PacketRef], interface: u32) {
        let source = self.source(interface);
        self.writer.packets(flow, source, packets);
    }
    fn event(&mut self, mut record: Record, interface: u32) {
        record.source = self.source(interface);
        self.writer.push(record);
    }
    fn oddity(&mut self, oddity: Oddity, at: Time, offset: u64, interface: u32) {
        let source = self.source(interface);
        let id = self.next_id(offset);
        self.writer.push(Record::oddity(&oddity, id, source, at));
    }
}

/// A scan or flood that begins a flow with every packet stays below 1 GB: about 650 bytes a live flow were measured.
pub(super) fn config(timeouts: Profile, checksums: Checksums) -> Config {
    Config {
        profile: timeouts,
        checksums,
        max_flows: 1_000_000,
        stream_budget: 128 << 20,
        refs_budget: 128 << 20,
        ..Config::default()
    }
}

/// What is kept of how a capture's flows were made, as in [`EvidenceInfo::metered`](crate::model::evidence::EvidenceInfo::metered).
pub(super) fn metered(timeouts: Profile, checksums: Checksums) -> [String; 2] {
    [timeouts.name().to_owned(), checksums.name().to_owned()]
}

/// Reads a capture into the writer; `stop` is asked every few thousand packets.
pub fn read(
    kind: CaptureKind,
    input: &mut (dyn Read + Send),
    about: &About,
    writer: &mut Writer,
    stop: &mut dyn FnMut(u64) -> bool,
) -> Ended {
    let mut meter = Meter::new(config(about.timeouts, about.checksums), about.evidence);
    let mut stream = Stream {
        writer,
        about,
        interfaces: Vec::new(),
        many: false,
        named: 0,
        last: None,
        held: Vec::new(),
        last_offset: u64::MAX,
        ordinal: 0,
        oddities: BTreeMap::new(),
        times: Times::default(),
        directions: Directions::default(),
        snaplen: 0,
        carrier: None,
    };
    let (mut last, mut packets) = (None, 0u64);
    let mut heads = BTreeSet::new();
    let mut missed = Missed::default();
    let mut take = |item: Item<'_>| {
        let time = last.unwrap_or(about.modified);
        let new = |kind| Record::new(kind, RecordId::default(), SourceId(0), time);
        match item {
            Item::Packet(packet) => {
                last = Some(packet.time);
                packets += 1;
                stream.packet(packet.interface, packet.time);
                meter.packet(&packet, &mut stream);
                return !packets.is_multiple_of(4096) || !(stream.writer.has_failed() || stop(packets));
            }
            Item::Interface(interface) => {
                if heads.len() <= MAX_HEADS {
                    heads.extend([interface.section, interface.at]);
                }
                stream.snaplen = stream.snaplen.max(interface.snaplen);
                stream.interfaces.push((interface.name.clone(), None));
                // A second interface splits the file into sources, but only for what comes after the first packet of it.
                stream.many |= stream.interfaces.len() > 1 && stream.interfaces[0].1.is_none();
            }
            Item::Comment(text, at) => {
                let mut record = new(Kind::Log);
                record.set_text(field::MESSAGE, &text);
                record.set(field::ACTION, "comment");
                stream.own(record, at);
            }
            Item::Name(addr, name, at) => {
                let mut record = new(Kind::Inventory);
                record.set(field::DST_IP, Value::Addr(addr));
                record.set_text(field::HOSTNAME, &name);
                record.set(field::ACTION, "stated");
                stream.own(record, at);
            }
            Item::Missed(said) => missed.packets(said),
            Item::Oddity(oddity, at) => stream.damaged(&oddity, time, at),
        }
        true
    };
    let end = match about.stream {
        true => capture::read(kind, input, &mut take),
        false => ahead::read(kind, input, &mut take),
    };
    meter.finish(&mut stream);
    let mut carrier = stream.carrier.take();
    if let Some(carrier) = &mut carrier {
        carrier.end(&mut stream);
    }
    let time = last.unwrap_or(about.modified);
    let damage = end.damage.map(|(what, at)| {
        stream.damaged(&Oddity::at("capture_damaged", &what), time, at);
        format!("{what} at offset {at}; {packets} packets before it were read")
    });
    stream.release();
    let mut warnings = warnings(meter.stats());
    warnings.extend(sanity::cut(meter.stats().cut, meter.stats().packets, stream.snaplen));
    warnings.extend(missed.say());
    warnings.extend(carrier.iter().flat_map(Carrier::warnings));
    warnings.extend(sanity::offload(&meter.senders()));
    warnings.extend(sanity::one_way(&stream.directions));
    // What the snapshot length cut is missing too.
    warnings.extend(sanity::sampled(&stream.directions).filter(|_| meter.stats().cut == 0));
    warnings.extend(sanity::outliers(&mut stream.times, "packets"));
    warnings.extend(sanity::gaps(&mut stream.times, "packets"));
    warnings.extend(
        stream
            .oddities
            .iter()
            .filter(|(_, n)| **n > MAX_ODDITIES)
            .map(|(what, n)| format!("{n} times {what}; the first {MAX_ODDITIES} are kept one by one")),
    );
    if stream.named > MAX_SOURCES {
        warnings.push(format!("more than {MAX_SOURCES} interfaces: the others are one source"));
    }
    let heads = (heads.len() <= MAX_HEADS).then(|| heads.into_iter().collect());
    Ended { damage, bytes: end.bytes, warnings, heads }
}

/// What of the meter's counters is worth saying.
pub(super) fn warnings(stats: &MeterStats) -> Vec<String> {
    let mut out = Vec::new();
    let mut say = |n: u64, what: &str| {
        if n > 0 {
            out.push(format!("{n} of {} packets {what}", stats.packets));
        }
    };
    say(stats.checksum_bad, "left out for a wrong checksum");
    say(stats.backwards, "are older than the one before");
    let unknown: u64 = stats.unknown_links.values().sum();
    say(stats.undecoded.saturating_sub(unknown), "could not be decoded");
    for (link, n) in &stats.unknown_links {
        let name = link_name(LinkType(*link));
        say(*n, &format!("have link type {link} ({name}), which is not decoded"));
    }
    if stats.evicted > 0 {
        out.push(format!("{} flows were ended early because the table was full", stats.evicted));
    }
    out
}
