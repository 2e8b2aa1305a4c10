//! Packets of a capture by their places: reads the records that are wanted and what describes them, and nothing else. Of pcapng the places of its
//! sections and interfaces are known from the import; of an older import the headers of its blocks are walked, once.

use super::capture::{self, CaptureKind, Item, MAX_BLOCK};
use super::pcapng;
use super::reread::Found;
use super::snoop;
use crate::model::packet::{LinkType, PacketRef};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

/// Bytes that are read at once while headers are walked.
const WALK: usize = 64 << 10;
/// Blocks after which a walk asks whether to stop.
const LOOK: u64 = 4096;

/// Bytes that can be read anywhere.
pub trait At {
    /// Fills `buf` with what is at an offset; fewer bytes only where the data ends.
    fn at(&mut self, offset: u64, buf: &mut [u8]) -> io::Result<usize>;
}

impl At for File {
    fn at(&mut self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let mut have = 0;
        while have < buf.len() {
            match self.read_at(&mut buf[have..], offset + have as u64) {
                Ok(0) => break,
                Ok(n) => have += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(have)
    }
}

impl At for Vec<u8> {
    fn at(&mut self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|at| self.get(at..)).unwrap_or(&[]);
        let n = rest.len().min(buf.len());
        buf[..n].copy_from_slice(&rest[..n]);
        Ok(n)
    }
}

/// The packets at these references, in order of offset; none: it is no capture. A record that is no longer there is left out.
pub fn packets(
    from: &mut dyn At,
    heads: Option<&[u64]>,
    wanted: &[PacketRef],
    stop: &dyn Fn() -> bool,
) -> io::Result<Option<Vec<Found>>> {
    let mut head = [0; 24];
    let got = from.at(0, &mut head)?;
    let mut out = Vec::new();
    match CaptureKind::of(&head[..got]) {
        Some(CaptureKind::Pcap) if got == 24 => {
            let pcap = Pcap::of(&head);
            for at in wanted {
                if stop() {
                    break;
                }
                out.extend(pcap.packet(from, at)?);
            }
        }
        Some(CaptureKind::Snoop) if got >= snoop::HEAD => {
            for at in wanted {
                if stop() {
                    break;
                }
                out.extend(snoop_packet(from, &head[..snoop::HEAD], at)?);
            }
        }
        Some(CaptureKind::PcapNg) => match heads {
            Some(heads) => out = known(from, heads, wanted, stop)?,
            None => out = walked(from, wanted, stop)?,
        },
        _ => return Ok(None),
    }
    Ok(Some(out))
}

/// What a pcap file's header says of its records.
struct Pcap {
    big: bool,
    /// Length of a record's header: the "modified" form has eight bytes more.
    head: usize,
    link: LinkType,
}

impl Pcap {
    fn of(head: &[u8; 24]) -> Pcap {
        let big = head[0] == 0xa1;
        let modified = matches!(head[..4], [0xa1, 0xb2, 0xcd, 0x34] | [0x34, 0xcd, 0xb2, 0xa1]);
        let link = LinkType(capture::u32_at(head, 20, big) as u16);
        Pcap { big, head: if modified { 24 } else { 16 }, link }
    }
    fn packet(&self, from: &mut dyn At, at: &PacketRef) -> io::Result<Option<Found>> {
        let mut head = [0; 24];
        if from.at(at.offset, &mut head[..self.head])? < self.head {
            return Ok(None);
        }
        let (caplen, wire_len) = (capture::u32_at(&head, 8, self.big) as usize, capture::u32_at(&head, 12, self.big));
        if caplen > MAX_BLOCK {
            return Ok(None);
        }
        let data = exactly(from, at.offset + self.head as u64, caplen)?;
        Ok(data.map(|data| Found { at: *at, link: self.link, wire_len, data }))
    }
}

/// So many bytes; none: the data ends before.
fn exactly(from: &mut dyn At, offset: u64, len: usize) -> io::Result<Option<Vec<u8>>> {
    let mut data = vec![0; len];
    let got = from.at(offset, &mut data)?;
    Ok((got == len).then_some(data))
}

fn snoop_packet(from: &mut dyn At, file: &[u8], at: &PacketRef) -> io::Result<Option<Found>> {
    let mut head = [0; snoop::RECORD];
    if from.at(at.offset, &mut head)? < head.len() {
        return Ok(None);
    }
    let length = capture::u32_at(&head, 8, true) as usize;
    if !(snoop::RECORD..=MAX_BLOCK).contains(&length) {
        return Ok(None);
    }
    // The last record may lack its padding.
    let mut record = vec![0; length];
    let got = from.at(at.offset, &mut record)?;
    // One record with the file's header in front of it is a capture of its own.
    let mut whole = file.chain(&record[..got]);
    let mut out = None;
    capture::read(CaptureKind::Snoop, &mut whole, &mut |item| match item {
        Item::Packet(p) => {
            out = Some(Found { at: *at, link: p.link, wire_len: p.wire_len, data: p.data.to_vec() });
            false
        }
        _ => true,
    });
    Ok(out)
}

/// The whole block at an offset, of which the first bytes were read.
fn block(from: &mut dyn At, offset: u64, head: &[u8; 12], big: bool) -> io::Result<Option<Vec<u8>>> {
    let len = capture::u32_at(head, 4, big) as usize;
    if !(12..=MAX_BLOCK).contains(&len) {
        return Ok(None);
    }
    Ok(exactly(from, offset + 12, len - 12)?.map(|rest| [&head[..], &rest].concat()))
}

/// Of pcapng, where its sections and interfaces begin being known.
fn known(from: &mut dyn At, heads: &[u64], wanted: &[PacketRef], stop: &dyn Fn() -> bool) -> io::Result<Vec<Found>> {
    let mut sections = pcapng::Sections::default();
    let mut heads = heads.iter().copied().peekable();
    let mut out = Vec::new();
    let mut head = [0; 12];
    for at in wanted {
        if stop() {
            break;
        }
        while let Some(offset) = heads.next_if(|offset| *offset < at.offset) {
            if from.at(offset, &mut head)? < head.len() {
                continue;
            }
            if capture::u32_at(&head, 0, sections.big) == pcapng::SECTION {
                sections.section(&head);
            } else if let Some(data) = block(from, offset, &head, sections.big)?
                && let Ok(block) = pcapng::parsed(&data, sections.big)
            {
                sections.describe(&block);
            }
        }
        if from.at(at.offset, &mut head)? < head.len() {
            continue;
        }
        let kind = capture::u32_at(&head, 0, sections.big);
        if let Some(data) = block(from, at.offset, &head, sections.big)?
            && let Ok(p) = sections.packet(kind, &data, at.offset, at.number)
        {
            out.push(Found { at: *at, link: p.link, wire_len: p.wire_len, data: p.data.to_vec() });
        }
    }
    Ok(out)
}

/// Of pcapng, walking the headers of its blocks.
fn walked(from: &mut dyn At, wanted: &[PacketRef], stop: &dyn Fn() -> bool) -> io::Result<Vec<Found>> {
    let mut from = Ahead { from, start: 0, buf: Vec::new() };
    let mut sections = pcapng::Sections::default();
    let (mut offset, mut next, mut out, mut seen) = (0u64, 0, Vec::new(), 0u64);
    let mut head = [0; 12];
    while next < wanted.len() && from.at(offset, &mut head)? == 12 {
        seen += 1;
        if seen.is_multiple_of(LOOK) && stop() {
            break;
        }
        let kind = capture::u32_at(&head, 0, sections.big);
        if kind == pcapng::SECTION && sections.section(&head).is_none() {
            break;
        }
        let len = capture::u32_at(&head, 4, sections.big) as usize;
        if !(12..=MAX_BLOCK).contains(&len) {
            break;
        }
        let hit = wanted[next].offset == offset;
        if (hit || kind == pcapng::INTERFACE)
            && let Some(data) = block(&mut from, offset, &head, sections.big)?
        {
            if let Ok(block) = pcapng::parsed(&data, sections.big) {
                sections.describe(&block);
            }
            if hit && let Ok(p) = sections.packet(kind, &data, offset, wanted[next].number) {
                out.push(Found { at: wanted[next], link: p.link, wire_len: p.wire_len, data: p.data.to_vec() });
            }
        }
        offset += len as u64;
        while wanted.get(next).is_some_and(|r| r.offset < offset) {
            next += 1;
        }
    }
    Ok(out)
}

/// Reads ahead: for small pieces in order.
struct Ahead<'a> {
    from: &'a mut dyn At,
    start: u64,
    buf: Vec<u8>,
}

impl At for Ahead<'_> {
    fn at(&mut self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let inside = |start: u64, len: usize| offset >= start && offset + buf.len() as u64 <= start + len as u64;
        if buf.len() > WALK {
            return self.from.at(offset, buf);
        }
        if !inside(self.start, self.buf.len()) {
            self.buf.resize(WALK, 0);
            let got = self.from.at(offset, &mut self.buf)?;
            self.buf.truncate(got);
            self.start = offset;
        }
        let rest = self.buf.get((offset - self.start) as usize..).unwrap_or(&[]);
        let n = rest.len().min(buf.len());
        buf[..n].copy_from_slice(&rest[..n]);
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Time;
    use crate::sources::write::PcapNg;

    /// Counts what is asked.
    struct Counted(Vec<u8>, u64);

    impl At for Counted {
        fn at(&mut self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
            self.1 += buf.len() as u64;
            self.0.at(offset, buf)
        }
    }

    const PACKETS: u64 = 20_000;

    fn pcapng() -> (Vec<u8>, u64) {
        let mut file = PcapNg::begin(Vec::new(), "").unwrap();
        for n in 0..PACKETS {
            // A second interface begins in the middle.
            let link = if n > PACKETS / 2 && n % 2 == 0 { LinkType::RAW } else { LinkType::ETHERNET };
            file.packet(Time(n as i64), link, &[n as u8; 600], 600, "").unwrap();
        }
        (file.finish().unwrap(), PACKETS)
    }

    fn pcap() -> Vec<u8> {
        let mut out = Vec::new();
        for n in [0xa1b2_c3d4u32, 2 | 4 << 16, 0, 0, 65_535, 1] {
            out.extend(n.to_le_bytes());
        }
        for n in 0..PACKETS as u32 {
            [n, 0, 600, 600].iter().for_each(|w| out.extend(w.to_le_bytes()));
            out.extend([n as u8; 600]);
        }
        out
    }

    /// Places of the packets, and of sections and interfaces.
    fn places(kind: CaptureKind, bytes: &[u8]) -> (Vec<PacketRef>, Vec<u64>) {
        let (mut refs, mut heads) = (Vec::new(), std::collections::BTreeSet::new());
        capture::read(kind, &mut &bytes[..], &mut |item| {
            match item {
                Item::Packet(p) => {
                    refs.push(PacketRef { offset: p.offset, number: p.number, time: p.time, inbound: false });
                }
                Item::Interface(i) => heads.extend([i.section, i.at]),
                _ => {}
            }
            true
        });
        (refs, heads.into_iter().collect())
    }

    #[test]
    fn what_is_asked_of_a_file_is_little_more_than_what_is_wanted() {
        for (kind, bytes) in [(CaptureKind::Pcap, pcap()), (CaptureKind::PcapNg, pcapng().0)] {
            let (refs, heads) = places(kind, &bytes);
            assert_eq!(refs.len() as u64, PACKETS);
            // One flow: a packet here and there.
            let wanted: Vec<PacketRef> = refs.iter().skip(7).step_by(401).copied().collect();
            let mut file = Counted(bytes, 0);
            let found = packets(&mut file, Some(&heads), &wanted, &|| false).unwrap().unwrap();
            assert_eq!(found.len(), wanted.len());
            assert!(found.iter().all(|f| f.data == [(f.at.number - 1) as u8; 600] && f.wire_len == 600));
            let extracted: usize = found.iter().map(|f| f.data.len()).sum();
            assert!(file.1 as f64 <= 1.5 * extracted as f64, "{}: {} bytes for {extracted}", kind.name(), file.1);
            // Of an import that does not know them, the same.
            let walked = packets(&mut file, None, &wanted, &|| false).unwrap().unwrap();
            let plain = |all: &[Found]| all.iter().map(|f| (f.at.offset, f.link, f.data.clone())).collect::<Vec<_>>();
            assert_eq!(plain(&found), plain(&walked));
            assert_eq!(found.iter().any(|f| f.link == LinkType::RAW), kind == CaptureKind::PcapNg);
        }
    }

    #[test]
    fn a_record_that_is_not_there_is_left_out() {
        let bytes = pcap();
        let (mut refs, _) = places(CaptureKind::Pcap, &bytes);
        refs.truncate(2);
        refs.push(PacketRef { offset: bytes.len() as u64 + 5, ..refs[1] });
        refs.push(PacketRef { offset: u64::MAX - 3, ..refs[1] });
        let mut bytes = bytes;
        assert_eq!(packets(&mut bytes, None, &refs, &|| false).unwrap().unwrap().len(), 2);
    }
}
