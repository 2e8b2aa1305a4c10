//! A capture: packets through the meter, flows, events and oddities to the writer.

use super::writer::Writer;
use crate::flow::{Config, Meter, MeterStats, Sink};
use crate::model::flow::Flow;
use crate::model::packet::PacketRef;
use crate::model::record::{Kind, Record};
use crate::model::{EvidenceKey, Oddity, RecordId, SourceId, Time, Value, field};
use crate::sources::capture::{self, CaptureKind, Item};
use std::io::Read;
use std::net::IpAddr;

/// Ordinal of the first oddity or comment at an offset: far above the meter's own.
const FIRST_ORDINAL: u16 = 0x8000;
/// Comments and names that are held back until the first packet.
const MAX_EARLY: usize = 4096;

/// What is known of a capture besides its bytes.
pub struct About {
    /// Evidence key.
    pub evidence: EvidenceKey,
    /// Stem of its file name: the sensor, where it has one interface.
    pub stem: String,
    /// Time for what has none.
    pub modified: Time,
}

/// How a capture ended.
pub struct Ended {
    /// Damage, in words with its offset.
    pub damage: Option<String>,
    /// Uncompressed bytes understood.
    pub bytes: u64,
    /// What is worth saying.
    pub warnings: Vec<String>,
}

/// What a capture says besides packets, with its offset.
enum Stated {
    Comment(String, u64),
    Name(IpAddr, String, u64),
    Oddity(Oddity, u64),
}

/// The meter's sink: names sources by interface, numbers what has no id of its own.
struct Stream<'a> {
    writer: &'a mut Writer,
    about: &'a About,
    interfaces: Vec<(String, Option<SourceId>)>,
    many: bool,
    last_offset: u64,
    ordinal: u16,
}

impl Stream<'_> {
    fn source(&mut self, interface: u32) -> SourceId {
        let at = interface as usize;
        if let Some((_, Some(id))) = self.interfaces.get(at) {
            return *id;
        }
        let name = self.interfaces.get(at).map(|(name, _)| name.as_str()).unwrap_or_default();
        let sensor = match (self.many, name) {
            (false, _) => self.about.stem.clone(),
            (true, "") => format!("{}/{at}", self.about.stem),
            (true, name) => format!("{}/{name}", self.about.stem),
        };
        let id = self.writer.source("pcap", &sensor);
        if let Some(slot) = self.interfaces.get_mut(at) {
            slot.1 = Some(id);
        }
        id
    }
    fn next_id(&mut self, offset: u64) -> RecordId {
        self.ordinal = if offset == self.last_offset { self.ordinal.saturating_add(1) } else { FIRST_ORDINAL };
        self.last_offset = offset;
        RecordId { evidence: self.about.evidence, offset, ordinal: self.ordinal }
    }
}

impl Sink for Stream<'_> {
    fn flow(&mut self, flow: Flow, packets: &[PacketRef], interface: u32) {
        let source = self.source(interface);
        self.writer.packets(flow.id, source, packets);
        self.writer.push(flow.into_record(source));
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

/// Reads a capture into the writer; `stop` is asked every few thousand packets.
pub fn read(
    kind: CaptureKind,
    input: &mut dyn Read,
    about: &About,
    writer: &mut Writer,
    stop: &mut dyn FnMut(u64) -> bool,
) -> Ended {
    let mut meter = Meter::new(Config::default(), about.evidence);
    let mut stream = Stream { writer, about, interfaces: Vec::new(), many: false, last_offset: u64::MAX, ordinal: 0 };
    let (mut last, mut packets, mut offset) = (None, 0u64, 0u64);
    let mut early = Vec::new();
    let end = capture::read(kind, input, &mut |item| {
        match item {
            Item::Packet(packet) => {
                stream.state(&mut early, packet.time);
                last = Some(packet.time);
                offset = packet.offset;
                packets += 1;
                stream.writer_count(packet.interface);
                meter.packet(&packet, &mut stream);
                return !packets.is_multiple_of(4096) || !(stream.writer.has_failed() || stop(packets));
            }
            Item::Interface(interface) => {
                stream.interfaces.push((interface.name.clone(), None));
                // A second interface splits the file into sources, but only for what comes after the first packet of it.
                stream.many |= stream.interfaces.len() > 1 && stream.interfaces[0].1.is_none();
            }
            Item::Comment(text, at) => early.push(Stated::Comment(text, at)),
            Item::Name(addr, name, at) => early.push(Stated::Name(addr, name, at)),
            Item::Oddity(oddity, at) => early.push(Stated::Oddity(oddity, at)),
        }
        // What stands before the first packet has that packet's time and source, unless it is very much.
        if last.is_some() || early.len() >= MAX_EARLY {
            stream.state(&mut early, last.unwrap_or(about.modified));
        }
        true
    });
    stream.state(&mut early, last.unwrap_or(about.modified));
    meter.finish(&mut stream);
    let damage = end.damage.map(|(what, at)| {
        let oddity = Oddity::at("capture_damaged", &what);
        stream.oddity(oddity, last.unwrap_or(about.modified), at, 0);
        format!("{what} at offset {at}; {packets} packets before it were read")
    });
    Ended { damage, bytes: end.bytes, warnings: warnings(meter.stats()) }
}

impl Stream<'_> {
    /// Stores what the capture states besides packets, each with its offset, at a time.
    fn state(&mut self, stated: &mut Vec<Stated>, time: Time) {
        for item in stated.drain(..) {
            match item {
                Stated::Comment(text, at) => {
                    let source = self.source(0);
                    let mut record = Record::new(Kind::Log, self.next_id(at), source, time);
                    record.set_text(field::MESSAGE, &text);
                    record.set(field::ACTION, "comment");
                    self.writer.push(record);
                }
                Stated::Name(addr, name, at) => {
                    let source = self.source(0);
                    let mut record = Record::new(Kind::Inventory, self.next_id(at), source, time);
                    record.set(field::DST_IP, Value::Addr(addr));
                    record.set_text(field::HOSTNAME, &name);
                    record.set(field::ACTION, "stated");
                    self.writer.push(record);
                }
                Stated::Oddity(oddity, at) => self.oddity(oddity, time, at, 0),
            }
        }
    }
    fn writer_count(&mut self, interface: u32) {
        let source = self.source(interface);
        self.writer.count(source).ok += 1;
    }
}

/// What of the meter's counters is worth saying.
fn warnings(stats: &MeterStats) -> Vec<String> {
    let mut out = Vec::new();
    let mut say = |n: u64, what: &str| {
        if n > 0 {
            out.push(format!("{n} of {} packets {what}", stats.packets));
        }
    };
    say(stats.cut, "were cut by the snapshot length");
    say(stats.checksum_bad, "left out for a wrong checksum");
    say(stats.backwards, "are older than the one before");
    say(stats.undecoded, "could not be decoded");
    for (link, n) in &stats.unknown_links {
        say(*n, &format!("have link type {link}, which is not decoded"));
    }
    if stats.evicted > 0 {
        out.push(format!("{} flows were ended early because the table was full", stats.evicted));
    }
    out
}
