//! pcapng (IETF draft-ietf-opsawg-pcapng): sections, interfaces with their own resolution, comments, name resolution, statistics. Block
//! contents are parsed by pcap-parser.

use super::capture::{Buffer, End, Interface, Item, MAX_BLOCK, longer_than_wire, u32_at};
use super::missed::Missed;
use crate::model::packet::{LinkType, Packet};
use crate::model::time::{SECOND, Time};
use crate::model::{Oddity, guard};
use pcap_parser::pcapng::{Block, OptionCode};
use pcap_parser::{PcapNGOption, parse_block_be, parse_block_le};
use std::net::IpAddr;

/// Interfaces per file that are kept; a file with more is hostile.
const MAX_INTERFACES: usize = 1 << 16;
/// Bytes of an interface's name, of a comment and of a host's name that are kept.
const MAX_NAME: usize = 256;
const MAX_COMMENT: usize = 16 << 10;

pub(super) const SECTION: u32 = 0x0a0d_0d0a;
pub(super) const INTERFACE: u32 = 1;
const OLD_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;

/// Sections and interfaces met so far in a pcapng file.
#[derive(Default)]
pub(super) struct Sections {
    pub(super) big: bool,
    pub(super) interfaces: Vec<Interface>,
    first_of_section: usize,
    /// Offset of the block that is looked at.
    here: u64,
    section_at: u64,
}

impl Sections {
    /// Takes up a section header's byte order; `None`: no byte-order magic.
    pub(super) fn section(&mut self, data: &[u8]) -> Option<()> {
        self.big = match data.get(8..12)? {
            [0x1a, 0x2b, 0x3c, 0x4d] => true,
            [0x4d, 0x3c, 0x2b, 0x1a] => false,
            _ => return None,
        };
        self.first_of_section = self.interfaces.len();
        self.section_at = self.here;
        Some(())
    }
    pub(super) fn interface(&self, id: u32) -> Option<&Interface> {
        self.interfaces.get(self.first_of_section.checked_add(id as usize)?)
    }
    /// Takes up an interface description block.
    pub(super) fn describe(&mut self, block: &Block<'_>) {
        let Block::InterfaceDescription(idb) = block else { return };
        if self.interfaces.len() >= MAX_INTERFACES {
            return;
        }
        let (name, resolution) = guard::quietly(|| {
            let name = idb.if_name().or_else(|| idb.if_description()).and_then(Result::ok).unwrap_or_default();
            (shortened(name, MAX_NAME), idb.ts_resolution())
        })
        .unwrap_or_default();
        self.interfaces.push(Interface {
            index: self.interfaces.len() as u32,
            name,
            link: LinkType(idb.linktype.0 as u16),
            snaplen: idb.snaplen,
            resolution: resolution.filter(|r| *r > 0).unwrap_or(1_000_000),
            offset: idb.if_tsoffset,
            at: self.here,
            section: self.section_at,
        });
    }
    /// A packet block's packet. `Err`: why it is not one.
    pub(super) fn packet<'a>(&self, kind: u32, data: &'a [u8], offset: u64, number: u64) -> Result<Packet<'a>, Oddity> {
        let word = |at| u32_at(data, at, self.big);
        let (id, time, caplen, wire_len, head) = match kind {
            ENHANCED_PACKET => (word(8), Some((word(12), word(16))), word(20), word(24), 28),
            // The obsolete block: interface and drops are 16 bits each.
            OLD_PACKET => {
                let id = if self.big { word(8) >> 16 } else { word(8) & 0xffff };
                (id, Some((word(12), word(16))), word(20), word(24), 28)
            }
            _ => (0, None, word(8), word(8), 12),
        };
        let interface = self.interface(id).ok_or_else(|| Oddity::at("pcapng_interface_unknown", id.to_string()))?;
        let room = data.len().saturating_sub(head + 4);
        let caplen = match time {
            Some(_) => caplen as usize,
            // A simple packet has no captured length of its own: the block's, cut at the snaplen.
            None if interface.snaplen > 0 => (caplen.min(interface.snaplen) as usize).min(room),
            None => (caplen as usize).min(room),
        };
        let bytes = data
            .get(head..head.saturating_add(caplen))
            .filter(|_| caplen <= room)
            .ok_or_else(|| Oddity::at("pcapng_packet_longer_than_block", format!("{caplen} of {room} bytes")))?;
        let time = time.map_or(Time(0), |(high, low)| interface.time(high, low));
        Ok(Packet { time, link: interface.link, data: bytes, wire_len, offset, number, interface: interface.index })
    }
}

impl Interface {
    fn time(&self, high: u32, low: u32) -> Time {
        let units = u128::from(u64::from(high) << 32 | u64::from(low));
        let nanos = units * SECOND as u128 / u128::from(self.resolution);
        let nanos = i64::try_from(nanos).unwrap_or(i64::MAX);
        Time(nanos.saturating_add(self.offset.saturating_mul(SECOND)))
    }
}

pub(super) fn read(buffer: &mut Buffer<'_>, each: &mut dyn FnMut(Item<'_>) -> bool, end: &mut End) {
    let mut sections = Sections::default();
    loop {
        let have = buffer.fill(12);
        if have == 0 {
            return;
        }
        let offset = buffer.offset;
        sections.here = offset;
        if have < 12 {
            end.damage = Some((format!("block header cut short ({have} of 12 bytes)"), offset));
            return;
        }
        let kind = u32_at(buffer.data(), 0, sections.big);
        if kind == SECTION && sections.section(buffer.data()).is_none() {
            end.damage = Some(("section without byte-order magic".into(), offset));
            return;
        }
        let len = u32_at(buffer.data(), 4, sections.big) as usize;
        if !(12..=MAX_BLOCK).contains(&len) || !len.is_multiple_of(4) {
            end.damage = Some((format!("block of type {kind:#x} with length {len}"), offset));
            return;
        }
        let have = buffer.fill(len);
        if have < len {
            end.damage = Some((format!("block of type {kind:#x} cut short ({have} of {len} bytes)"), offset));
            return;
        }
        let go_on = one_block(kind, &buffer.data()[..len], offset, &mut sections, each, end);
        if !go_on {
            end.stopped = true;
            return;
        }
        buffer.consume(len);
    }
}

fn one_block(
    kind: u32,
    data: &[u8],
    offset: u64,
    sections: &mut Sections,
    each: &mut dyn FnMut(Item<'_>) -> bool,
    end: &mut End,
) -> bool {
    if matches!(kind, ENHANCED_PACKET | OLD_PACKET | SIMPLE_PACKET) {
        let packet = match sections.packet(kind, data, offset, end.packets + 1) {
            Ok(packet) => packet,
            Err(oddity) => return each(Item::Oddity(oddity, offset)),
        };
        end.packets += 1;
        let padded = packet.data.len().next_multiple_of(4);
        // Only a block with room for an option is parsed for its comment.
        let options = kind == ENHANCED_PACKET && data.len() >= 28 + padded + 4 + 8;
        let parsed = options.then(|| parsed(data, sections.big));
        let (comment, missed, what) = match parsed {
            Some(Ok(Block::EnhancedPacket(b))) => {
                let missed = Missed::before(packet.interface, &b.options, sections.big);
                (comment_of(&b.options), missed, overruns(data, 28 + padded, sections.big))
            }
            // The packet is whole: only what follows it cannot be read.
            Some(Err(what)) => (None, None, Some(what)),
            _ => (None, None, None),
        };
        let before = longer_than_wire(&packet).into_iter().chain(what.map(|what| Oddity::at(what, "options of a packet")));
        return before.into_iter().all(|oddity| each(Item::Oddity(oddity, offset)))
            && each(Item::Packet(packet))
            && missed.is_none_or(|missed| each(Item::Missed(missed)))
            && comment.is_none_or(|text| each(Item::Comment(text, offset)));
    }
    let block = match parsed(data, sections.big) {
        Ok(block) => block,
        Err(what) => return each(Item::Oddity(Oddity::at(what, format!("type {kind:#x}")), offset)),
    };
    let options = match kind {
        SECTION => overruns(data, 24, sections.big),
        INTERFACE => overruns(data, 16, sections.big),
        _ => None,
    };
    if !options.is_none_or(|what| each(Item::Oddity(Oddity::at(what, format!("type {kind:#x}")), offset))) {
        return false;
    }
    match &block {
        Block::SectionHeader(section) => comment_of(&section.options).is_none_or(|text| each(Item::Comment(text, offset))),
        Block::InterfaceDescription(_) => {
            let before = sections.interfaces.len();
            sections.describe(&block);
            match sections.interfaces.get(before) {
                Some(interface) => each(Item::Interface(interface)),
                None => each(Item::Oddity(Oddity::at("pcapng_too_many_interfaces", MAX_INTERFACES.to_string()), offset)),
            }
        }
        Block::InterfaceStatistics(said) => {
            let interface = sections.interface(said.if_id);
            let missed = interface.and_then(|interface| {
                let at = interface.time(said.ts_high, said.ts_low);
                Missed::stated(interface.index, at, &said.options, sections.big)
            });
            missed.is_none_or(|missed| each(Item::Missed(missed)))
        }
        Block::NameResolution(names) => names.nr.iter().all(|record| {
            name(record.record_type.0, record.record_value).is_none_or(|(addr, text)| each(Item::Name(addr, text, offset)))
        }),
        _ => true,
    }
}

/// A block's content. `Err`: name of the oddity that it is.
pub(super) fn parsed(data: &[u8], big: bool) -> Result<Block<'_>, &'static str> {
    match guard::quietly(|| if big { parse_block_be(data) } else { parse_block_le(data) }) {
        Some(Ok((_, block))) => Ok(block),
        Some(Err(_)) => Err("pcapng_block_malformed"),
        None => Err(guard::PANICKED),
    }
}

/// Name of the oddity if an option from `at` on is longer than what is left of its block.
fn overruns(data: &[u8], mut at: usize, big: bool) -> Option<&'static str> {
    let end = data.len().saturating_sub(4);
    while at + 4 <= end {
        let half = |at: usize| {
            let two = [data[at], data[at + 1]];
            if big { u16::from_be_bytes(two) } else { u16::from_le_bytes(two) }
        };
        let (code, len) = (half(at), usize::from(half(at + 2)));
        if code == 0 {
            return None;
        }
        at += 4 + len.next_multiple_of(4);
        if at > end {
            return Some("pcapng_option_overruns");
        }
    }
    None
}

fn shortened(text: &str, max: usize) -> String {
    text[..text.floor_char_boundary(max)].to_owned()
}

fn comment_of(options: &[PcapNGOption<'_>]) -> Option<String> {
    let option = options.iter().find(|o| o.code == OptionCode::Comment)?;
    let text = guard::quietly(|| option.as_bytes().ok().map(String::from_utf8_lossy)).flatten()?;
    Some(shortened(text.trim_end_matches('\0'), MAX_COMMENT))
}

fn name(kind: u16, value: &[u8]) -> Option<(IpAddr, String)> {
    let (addr, rest): (IpAddr, &[u8]) = match kind {
        1 => (IpAddr::from(<[u8; 4]>::try_from(value.get(..4)?).ok()?), value.get(4..)?),
        2 => (IpAddr::from(<[u8; 16]>::try_from(value.get(..16)?).ok()?), value.get(16..)?),
        _ => return None,
    };
    let text = rest.split(|b| *b == 0).next().unwrap_or_default();
    Some((addr, shortened(&String::from_utf8_lossy(text).to_lowercase(), MAX_NAME)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::capture::{self, CaptureKind};

    fn packets(data: &[u8]) -> (Vec<(i64, Vec<u8>, u64)>, End) {
        let mut got = Vec::new();
        let kind = CaptureKind::of(data).unwrap();
        let end = capture::read(kind, &mut &data[..], &mut |item| {
            if let Item::Packet(p) = item {
                got.push((p.time.0, p.data.to_vec(), p.offset));
            }
            true
        });
        (got, end)
    }

    fn block(kind: u32, body: &[u8]) -> Vec<u8> {
        let len = (12 + body.len().next_multiple_of(4)) as u32;
        let mut out = [kind.to_le_bytes(), len.to_le_bytes()].concat();
        out.extend(body);
        out.resize(len as usize - 4, 0);
        out.extend(len.to_le_bytes());
        out
    }

    fn pcapng() -> Vec<u8> {
        let shb = [&0x1a2b_3c4du32.to_le_bytes()[..], &[1, 0, 0, 0], &[0xff; 8]].concat();
        // Interface with nanosecond resolution, then one with the default.
        let nano = [&1u16.to_le_bytes()[..], &[0; 6], &[9, 0, 1, 0, 9, 0, 0, 0], &[0; 4]].concat();
        let micro = [&101u16.to_le_bytes()[..], &[0; 6]].concat();
        let packet = |interface: u32, stamp: u64, data: &[u8]| {
            let words = [interface, (stamp >> 32) as u32, stamp as u32, data.len() as u32, data.len() as u32];
            let mut out: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
            out.extend(data);
            out
        };
        [
            block(SECTION, &shb),
            block(INTERFACE, &nano),
            block(INTERFACE, &micro),
            block(ENHANCED_PACKET, &packet(0, 5_000_000_001, b"abc")),
            block(ENHANCED_PACKET, &packet(1, 5_000_001, b"defg")),
            block(ENHANCED_PACKET, &packet(7, 5_000_001, b"lost")),
            block(0x0bad_0bad, b"whatever"),
        ]
        .concat()
    }

    #[test]
    fn pcapng_interfaces_have_their_own_resolution_and_unknown_ones_are_oddities() {
        let data = pcapng();
        let (got, end) = packets(&data);
        let times: Vec<_> = got.iter().map(|(t, d, _)| (*t, d.len())).collect();
        assert_eq!(times, [(5_000_000_001, 3), (5_000_001_000, 4)]);
        assert_eq!(end.bytes, data.len() as u64);
        assert_eq!(end.damage, None);
    }

    #[test]
    fn pcapng_cut_anywhere_never_panics_and_ends() {
        let data = pcapng();
        for cut in 4..data.len() {
            let (got, _) = packets(&data[..cut]);
            assert!(got.len() <= 2);
        }
        for at in 0..data.len() {
            let mut bad = data.clone();
            bad[at] ^= 0xff;
            if CaptureKind::of(&bad).is_some() {
                packets(&bad);
            }
        }
    }
}
