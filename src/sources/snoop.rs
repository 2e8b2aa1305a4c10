//! snoop captures (RFC 1761): big-endian, a header of 16 bytes, then records with a header of 24 that state their own length.

use super::capture::{Buffer, End, Interface, Item, MAX_BLOCK, longer_than_wire, u32_at};
use crate::model::Oddity;
use crate::model::packet::{LinkType, Packet};
use crate::model::time::{SECOND, Time};

/// The first bytes.
pub const MAGIC: &[u8; 8] = b"snoop\0\0\0";
/// Length of the file's header and of a record's.
pub(super) const HEAD: usize = 16;
pub(super) const RECORD: usize = 24;

/// The link type that pcap has for a data link type of snoop; one that is of no use to pcap keeps its number from [`UNKNOWN`] on.
fn link(kind: u32) -> LinkType {
    LinkType(match kind {
        // IEEE 802.3 and Ethernet are told apart by the frame itself.
        0 | 4 => 1,
        2 => 6,
        8 => 10,
        9 => 107,
        18 => 122,
        _ => return LinkType(UNKNOWN.saturating_add(u16::try_from(kind).unwrap_or(u16::MAX - UNKNOWN))),
    })
}

/// Numbers that pcap gives to no link type.
const UNKNOWN: u16 = 0xf000;

/// Reads a capture to its end.
pub(super) fn read(buffer: &mut Buffer<'_>, each: &mut dyn FnMut(Item<'_>) -> bool, end: &mut End) {
    if buffer.fill(HEAD) < HEAD {
        end.damage = Some(("file header cut short".into(), 0));
        return;
    }
    let (version, kind) = (u32_at(buffer.data(), 8, true), u32_at(buffer.data(), 12, true));
    if !(1..=2).contains(&version) {
        end.damage = Some((format!("snoop of version {version}: versions 1 and 2 are known"), 8));
        return;
    }
    let interface = Interface {
        index: 0,
        name: String::new(),
        link: link(kind),
        snaplen: 0,
        resolution: 1_000_000,
        offset: 0,
        at: 0,
        section: 0,
    };
    buffer.consume(HEAD);
    if !each(Item::Interface(&interface)) {
        end.stopped = true;
        return;
    }
    loop {
        match buffer.fill(RECORD) {
            0 => return,
            n if n < RECORD => {
                end.damage = Some((format!("record header cut short ({n} of {RECORD} bytes)"), buffer.offset));
                return;
            }
            _ => {}
        }
        let field = |i: usize| u32_at(buffer.data(), i * 4, true);
        let (wire_len, caplen, length, seconds, micros) = (field(0), field(1) as usize, field(2) as usize, field(4), field(5));
        if !(RECORD..=MAX_BLOCK).contains(&length) || caplen > length - RECORD {
            end.damage = Some((format!("record of {length} bytes with {caplen} captured: not a snoop record"), buffer.offset));
            return;
        }
        let have = buffer.fill(length);
        let offset = buffer.offset;
        if have < RECORD + caplen {
            let number = end.packets + 1;
            end.damage = Some((format!("packet {number} cut short ({} of {caplen} bytes)", have - RECORD), offset));
            return;
        }
        end.packets += 1;
        let nanos = i64::from(micros) * 1_000;
        let packet = Packet {
            time: Time(i64::from(seconds).saturating_mul(SECOND).saturating_add(nanos)),
            link: interface.link,
            data: &buffer.data()[RECORD..RECORD + caplen],
            wire_len,
            offset,
            number: end.packets,
            interface: 0,
        };
        let late = (nanos >= SECOND).then(|| Oddity::at("snoop_fraction_above_second", micros.to_string()));
        let odd = late.into_iter().chain(longer_than_wire(&packet));
        if !odd.into_iter().all(|oddity| each(Item::Oddity(oddity, offset))) || !each(Item::Packet(packet)) {
            end.stopped = true;
            return;
        }
        buffer.consume(length);
    }
}

#[cfg(test)]
mod tests {
    use super::super::capture::{CaptureKind, read};
    use super::*;

    fn snoop(kind: u32) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        for n in [2, kind] {
            out.extend(n.to_be_bytes());
        }
        // Two packets of five bytes, padded to eight; of the second there were sixty on the wire.
        for (wire, drops) in [(5u32, 0u32), (60, 3)] {
            for n in [wire, 5, 32, drops, 1_000_000_000, 250_000] {
                out.extend(n.to_be_bytes());
            }
            out.extend(*b"hello\0\0\0");
        }
        out
    }

    /// Time, link type, length on the wire, bytes, offset.
    type Seen = (i64, u16, u32, Vec<u8>, u64);

    fn packets(data: &[u8]) -> (Vec<Seen>, End) {
        let mut got = Vec::new();
        let kind = CaptureKind::of(data).unwrap();
        let end = read(kind, &mut &data[..], &mut |item| {
            if let Item::Packet(p) = item {
                got.push((p.time.0, p.link.0, p.wire_len, p.data.to_vec(), p.offset));
            }
            true
        });
        (got, end)
    }

    #[test]
    fn records_are_read_without_their_padding() {
        let (got, end) = packets(&snoop(4));
        let time = 1_000_000_000 * SECOND + 250_000_000;
        assert_eq!(got, [(time, 1, 5, b"hello".to_vec(), 16), (time, 1, 60, b"hello".to_vec(), 48)]);
        assert_eq!(end, End { packets: 2, bytes: 80, damage: None, stopped: false });
    }

    #[test]
    fn link_types_that_are_not_decoded_keep_a_name_or_a_number() {
        for (kind, want) in [(0, 1), (2, 6), (8, 10), (5, UNKNOWN + 5), (u32::MAX, u16::MAX)] {
            assert_eq!(packets(&snoop(kind)).0[0].1, want, "{kind}");
        }
    }

    #[test]
    fn a_cut_or_changed_capture_ends_with_what_is_before_it() {
        let whole = snoop(4);
        for cut in 8..whole.len() {
            let (got, end) = packets(&whole[..cut]);
            assert!(got.len() <= 2);
            // Padding that is missing at the very end loses nothing.
            assert_eq!(end.damage.is_some(), ![16, 48].contains(&cut) && (cut < 45 || (48..77).contains(&cut)), "{cut}");
        }
        for at in 8..whole.len() {
            let mut bad = whole.clone();
            bad[at] ^= 0xff;
            packets(&bad);
        }
    }
}
