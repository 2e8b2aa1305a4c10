//! Capture files: pcap (both byte orders, microseconds and nanoseconds, Kuznetzov's "modified" variant) and pcapng (IETF
//! draft-ietf-opsawg-pcapng: several sections and interfaces, per-interface resolution, comments, name resolution), snoop.
//!
//! Framing is done here and in `pcapng` and `snoop`, so that every item knows its offset and a block that cannot be parsed is skipped by its
//! length. Damage ends the reading: everything before it is given, and it says where and what.

use super::missed::Missed;
use super::{pcapng, snoop};
use crate::model::packet::{LinkType, Packet};
use crate::model::time::{SECOND, Time};
use crate::model::{Oddity, guard};
use pcap_parser::parse_pcap_header;
use std::io::{self, Read};
use std::net::IpAddr;

/// The largest block or record that is taken for true; a larger length is damage.
pub(super) const MAX_BLOCK: usize = 64 << 20;

/// Kind of capture file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CaptureKind {
    /// pcap.
    Pcap,
    /// pcapng.
    PcapNg,
    /// snoop.
    Snoop,
}

impl CaptureKind {
    /// By the first eight bytes.
    pub fn of(head: &[u8]) -> Option<CaptureKind> {
        if head.starts_with(snoop::MAGIC) {
            return Some(CaptureKind::Snoop);
        }
        match head.get(..4)? {
            [0xa1, 0xb2, 0xc3, 0xd4]
            | [0xd4, 0xc3, 0xb2, 0xa1]
            | [0xa1, 0xb2, 0x3c, 0x4d]
            | [0x4d, 0x3c, 0xb2, 0xa1]
            | [0xa1, 0xb2, 0xcd, 0x34]
            | [0x34, 0xcd, 0xb2, 0xa1] => Some(CaptureKind::Pcap),
            [0x0a, 0x0d, 0x0d, 0x0a] => Some(CaptureKind::PcapNg),
            _ => None,
        }
    }
    /// Its name, as a format.
    pub fn name(self) -> &'static str {
        match self {
            CaptureKind::Pcap => "pcap",
            CaptureKind::PcapNg => "pcapng",
            CaptureKind::Snoop => "snoop",
        }
    }
}

/// An interface of a capture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// Index over all sections of the file.
    pub index: u32,
    /// Its name, if the file gives one.
    pub name: String,
    /// Link type.
    pub link: LinkType,
    /// Snapshot length; 0: unlimited.
    pub snaplen: u32,
    /// Time units per second.
    pub resolution: u64,
    /// Seconds added to every time.
    pub offset: i64,
    /// Where it is described; 0 where the file's header does.
    pub at: u64,
    /// Where its section begins.
    pub section: u64,
}

/// One item of a capture file.
#[derive(Debug)]
pub enum Item<'a> {
    /// A packet.
    Packet(Packet<'a>),
    /// An interface; comes before its packets.
    Interface(&'a Interface),
    /// A comment: on the packet at the same offset, else on the section.
    Comment(String, u64),
    /// A name that the capturing host knew for an address.
    Name(IpAddr, String, u64),
    /// What the capturing host says that it missed on an interface.
    Missed(Missed),
    /// Something malformed, with its offset.
    Oddity(Oddity, u64),
}

/// How the reading of a capture ended.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct End {
    /// Packets given.
    pub packets: u64,
    /// Bytes of uncompressed data read and understood.
    pub bytes: u64,
    /// What ended it early, and at which offset.
    pub damage: Option<(String, u64)>,
    /// The reader was told to stop.
    pub stopped: bool,
}

/// A buffer over a stream that knows its offset.
pub(super) struct Buffer<'r> {
    input: &'r mut dyn Read,
    buf: Vec<u8>,
    start: usize,
    end: usize,
    pub(super) offset: u64,
    pub(super) failed: Option<io::Error>,
}

impl<'r> Buffer<'r> {
    pub(super) fn new(input: &'r mut dyn Read) -> Buffer<'r> {
        Buffer { input, buf: vec![0; 1 << 20], start: 0, end: 0, offset: 0, failed: None }
    }
    /// Tries to have `want` bytes; gives how many there are (fewer only at the end or on an error).
    pub(super) fn fill(&mut self, want: usize) -> usize {
        while self.end - self.start < want && self.failed.is_none() {
            if self.start > 0 && (self.start == self.end || self.buf.len() - self.start < want) {
                self.buf.copy_within(self.start..self.end, 0);
                self.end -= self.start;
                self.start = 0;
            }
            if self.buf.len() - self.start < want || self.end == self.buf.len() {
                // Grows only by what really arrives: a false length does not allocate its claim.
                let grown = (self.buf.len() * 2).min(MAX_BLOCK + (1 << 20));
                self.buf.resize(grown.max(self.buf.len() + 1), 0);
            }
            match self.input.read(&mut self.buf[self.end..]) {
                Ok(0) => break,
                Ok(n) => self.end += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => self.failed = Some(e),
            }
        }
        self.end - self.start
    }
    pub(super) fn data(&self) -> &[u8] {
        &self.buf[self.start..self.end]
    }
    pub(super) fn consume(&mut self, n: usize) {
        let n = n.min(self.end - self.start);
        self.start += n;
        self.offset += n as u64;
    }
}

/// Reads a capture to its end; `each` returns false to stop.
pub fn read(kind: CaptureKind, input: &mut dyn Read, each: &mut dyn FnMut(Item<'_>) -> bool) -> End {
    let mut buffer = Buffer::new(input);
    let mut end = End::default();
    match kind {
        CaptureKind::Pcap => read_pcap(&mut buffer, each, &mut end),
        CaptureKind::PcapNg => pcapng::read(&mut buffer, each, &mut end),
        CaptureKind::Snoop => snoop::read(&mut buffer, each, &mut end),
    }
    end.bytes = buffer.offset;
    if let (Some(e), None, false) = (&buffer.failed, &end.damage, end.stopped) {
        end.damage = Some((format!("cannot be read on: {e}"), buffer.offset));
    } else if let (Some(e), Some((what, _))) = (&buffer.failed, &mut end.damage) {
        *what = format!("{what} ({e})");
    }
    end
}

fn read_pcap(buffer: &mut Buffer<'_>, each: &mut dyn FnMut(Item<'_>) -> bool, end: &mut End) {
    if buffer.fill(24) < 24 {
        end.damage = Some(("file header cut short".into(), 0));
        return;
    }
    let Some(Ok((_, header))) = guard::quietly(|| parse_pcap_header(buffer.data())) else {
        end.damage = Some(("file header not understood".into(), 0));
        return;
    };
    let big = header.is_bigendian();
    // The swapped form of the modified magic is not known to pcap-parser.
    let modified = header.is_modified_format() || header.magic_number == 0x34cd_b2a1;
    let scale = if header.is_nanosecond_precision() { 1 } else { 1_000 };
    let interface = Interface {
        index: 0,
        name: String::new(),
        link: LinkType(header.network.0 as u16),
        snaplen: header.snaplen,
        resolution: SECOND as u64 / scale as u64,
        offset: 0,
        at: 0,
        section: 0,
    };
    buffer.consume(24);
    if !each(Item::Interface(&interface)) {
        end.stopped = true;
        return;
    }
    let head = if modified { 24 } else { 16 };
    loop {
        match buffer.fill(head) {
            0 => return,
            n if n < head => {
                end.damage = Some((format!("record header cut short ({n} of {head} bytes)"), buffer.offset));
                return;
            }
            _ => {}
        }
        let field = |i: usize| u32_at(buffer.data(), i * 4, big);
        let (seconds, fraction, caplen, wire_len) = (field(0), field(1), field(2) as usize, field(3));
        if caplen > MAX_BLOCK {
            end.damage = Some((format!("record of {caplen} bytes: not a pcap record"), buffer.offset));
            return;
        }
        let have = buffer.fill(head + caplen) - head;
        let offset = buffer.offset;
        let cut = have < caplen;
        let nanos = i64::from(fraction) * scale;
        let packet = Packet {
            time: Time(i64::from(seconds).saturating_mul(SECOND).saturating_add(nanos)),
            link: interface.link,
            data: &buffer.data()[head..head + have.min(caplen)],
            wire_len,
            offset,
            number: end.packets + 1,
            interface: 0,
        };
        if cut {
            end.damage = Some((format!("packet {} cut short ({have} of {caplen} bytes)", packet.number), offset));
            return;
        }
        end.packets += 1;
        let mut go_on = true;
        if nanos >= SECOND {
            go_on = each(Item::Oddity(Oddity::at("pcap_fraction_above_second", fraction.to_string()), offset));
        }
        go_on = go_on && longer_than_wire(&packet).is_none_or(|oddity| each(Item::Oddity(oddity, offset)));
        if !go_on || !each(Item::Packet(packet)) {
            end.stopped = true;
            return;
        }
        buffer.consume(head + caplen);
    }
}

/// More was captured than there was: one of both lengths is false. A length of 0 is what some writers put for not known.
pub(super) fn longer_than_wire(packet: &Packet<'_>) -> Option<Oddity> {
    let (captured, wire) = (packet.data.len(), packet.wire_len);
    (wire > 0 && captured as u64 > u64::from(wire))
        .then(|| Oddity::at("packet_longer_than_wire", format!("{captured} captured of {wire} bytes")))
}

pub(super) fn u32_at(data: &[u8], at: usize, big: bool) -> u32 {
    let mut bytes = [0; 4];
    if let Some(four) = data.get(at..at + 4) {
        bytes.copy_from_slice(four);
    }
    if big { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pcap(nanos: bool, big: bool) -> Vec<u8> {
        let w = |n: u32| if big { n.to_be_bytes() } else { n.to_le_bytes() };
        let h = |n: u16| if big { n.to_be_bytes() } else { n.to_le_bytes() };
        let magic = if nanos { 0xa1b2_3c4d } else { 0xa1b2_c3d4 };
        let mut out = Vec::new();
        out.extend(w(magic));
        out.extend(h(2));
        out.extend(h(4));
        for n in [0, 0, 65535, 1, 10, 7, 4, 60] {
            out.extend(w(n));
        }
        out.extend(*b"abcd");
        out
    }

    fn packets(data: &[u8]) -> (Vec<(i64, Vec<u8>, u64)>, End) {
        let mut got = Vec::new();
        let kind = CaptureKind::of(data).unwrap();
        let end = read(kind, &mut &data[..], &mut |item| {
            if let Item::Packet(p) = item {
                got.push((p.time.0, p.data.to_vec(), p.offset));
            }
            true
        });
        (got, end)
    }

    #[test]
    fn pcap_is_read_in_both_byte_orders_and_resolutions() {
        for (nanos, big) in [(false, false), (false, true), (true, false), (true, true)] {
            let (got, end) = packets(&pcap(nanos, big));
            let fraction = if nanos { 7 } else { 7_000 };
            assert_eq!(got, [(10 * SECOND + fraction, b"abcd".to_vec(), 24)]);
            assert_eq!(end, End { packets: 1, bytes: 44, damage: None, stopped: false });
        }
    }

    #[test]
    fn a_cut_capture_gives_what_is_before_the_cut_and_says_where() {
        let whole = pcap(false, false);
        for cut in 4..whole.len() {
            let (got, end) = packets(&whole[..cut]);
            assert!(got.is_empty());
            assert_eq!(end.damage.is_some(), cut != 24, "{cut}");
        }
    }
}
