//! Writes pcapng: one section, nanosecond interfaces by link type or as described, comments on the section and on packets, statistics.

use super::missed::LATE;
use crate::model::Time;
use crate::model::packet::LinkType;
use std::io::{self, Write};

/// A pcapng file being written.
#[derive(Debug)]
pub struct PcapNg<W: Write> {
    out: W,
    links: Vec<LinkType>,
}

/// Codes of options (draft-ietf-opsawg-pcapng): of any block, of sections, of interfaces, of packets.
const COMMENT: u16 = 1;
const NAME: u16 = 2;
const APPLICATION: u16 = 4;
const RESOLUTION: u16 = 9;
const FILTER: u16 = 11;
const PACKET_ID: u16 = 5;
/// Of statistics: received, dropped by the interface, dropped by the system, delivered.
const RECEIVED: u16 = 4;
const BY_INTERFACE: u16 = 5;
const BY_SYSTEM: u16 = 7;
const DELIVERED: u16 = 8;

/// What is said of an interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// Its name; may be empty.
    pub name: String,
    /// The filter its packets passed, in the language of libpcap; may be empty.
    pub filter: String,
    /// Link type.
    pub link: LinkType,
    /// Snapshot length; 0: unlimited.
    pub snaplen: u32,
}

/// What an interface counted since its capture began (draft-ietf-opsawg-pcapng, "Interface Statistics Block").
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Packets that passed the filter, those dropped later among them (`isb_ifrecv`).
    pub received: u64,
    /// Packets that the interface dropped (`isb_ifdrop`).
    pub by_interface: u64,
    /// Packets that the system dropped before the capturing program could take them (`isb_osdrop`).
    pub by_system: u64,
    /// Of those the ones that were dropped while the capturing program waited for who reads its output (a comment).
    pub late: u64,
    /// Packets that were written (`isb_usrdeliv`).
    pub delivered: u64,
}

impl<W: Write> PcapNg<W> {
    /// Begins a file with a comment on its section.
    pub fn begin(mut out: W, comment: &str) -> io::Result<PcapNg<W>> {
        let mut body = Vec::new();
        body.extend(0x1a2b_3c4du32.to_le_bytes());
        body.extend([1, 0, 0, 0]);
        body.extend((-1i64).to_le_bytes());
        option(&mut body, COMMENT, comment.as_bytes());
        option(&mut body, APPLICATION, concat!("backtrail ", env!("CARGO_PKG_VERSION")).as_bytes());
        option(&mut body, 0, b"");
        block(&mut out, 0x0a0d_0d0a, &body)?;
        Ok(PcapNg { out, links: Vec::new() })
    }

    /// Writes a packet; `comment` may be empty.
    pub fn packet(&mut self, time: Time, link: LinkType, data: &[u8], wire_len: u32, comment: &str) -> io::Result<()> {
        let interface = match self.links.iter().position(|l| *l == link) {
            Some(at) => at,
            None => {
                let name = format!("link-{}", link.0);
                self.describe(&Described { name, filter: String::new(), link, snaplen: 0 })? as usize
            }
        };
        // Times before 1970 cannot be written; they become 1970.
        let stamp = time.0.max(0) as u64;
        let words = [interface as u32, (stamp >> 32) as u32, stamp as u32, data.len() as u32, wire_len];
        let mut body = Vec::with_capacity(data.len() + 64);
        words.iter().for_each(|w| body.extend(w.to_le_bytes()));
        body.extend(data);
        body.resize(body.len().next_multiple_of(4), 0);
        if !comment.is_empty() {
            option(&mut body, COMMENT, comment.as_bytes());
            option(&mut body, 0, b"");
        }
        block(&mut self.out, 6, &body)
    }

    /// Describes an interface; gives the number that its packets name it by.
    pub fn describe(&mut self, about: &Described) -> io::Result<u32> {
        let mut body = Vec::new();
        body.extend(about.link.0.to_le_bytes());
        body.extend([0; 2]);
        body.extend(about.snaplen.to_le_bytes());
        if !about.name.is_empty() {
            option(&mut body, NAME, about.name.as_bytes());
        }
        option(&mut body, RESOLUTION, &[9]);
        if !about.filter.is_empty() {
            // The first byte says which language it is: that of libpcap.
            option(&mut body, FILTER, &[&[0], about.filter.as_bytes()].concat());
        }
        option(&mut body, 0, b"");
        block(&mut self.out, 1, &body)?;
        self.links.push(about.link);
        Ok((self.links.len() - 1) as u32)
    }

    /// Writes a packet of a described interface, with a number that identifies it if there is one. Gives the bytes written.
    pub fn packet_of(&mut self, interface: u32, time: Time, data: &[u8], wire_len: u32, id: Option<u64>) -> io::Result<usize> {
        let padding = data.len().next_multiple_of(4) - data.len();
        let len = 32 + data.len() + padding + if id.is_some() { 16 } else { 0 };
        let stamp = time.0.max(0) as u64;
        let words = [6, len as u32, interface, (stamp >> 32) as u32, stamp as u32, data.len() as u32, wire_len];
        let mut head = [0; 28];
        head.chunks_exact_mut(4).zip(words).for_each(|(to, word)| to.copy_from_slice(&word.to_le_bytes()));
        self.out.write_all(&head)?;
        self.out.write_all(data)?;
        self.out.write_all(&[0; 3][..padding])?;
        if let Some(id) = id {
            let mut options = [0; 16];
            options[..2].copy_from_slice(&PACKET_ID.to_le_bytes());
            options[2..4].copy_from_slice(&8u16.to_le_bytes());
            options[4..12].copy_from_slice(&id.to_le_bytes());
            self.out.write_all(&options)?;
        }
        self.out.write_all(&(len as u32).to_le_bytes())?;
        Ok(len)
    }

    /// Writes what an interface counted until a time.
    pub fn statistics(&mut self, interface: u32, at: Time, counted: &Statistics) -> io::Result<()> {
        let stamp = at.0.max(0) as u64;
        let mut body = Vec::with_capacity(80);
        [interface, (stamp >> 32) as u32, stamp as u32].iter().for_each(|w| body.extend(w.to_le_bytes()));
        let said = [
            (RECEIVED, counted.received),
            (BY_INTERFACE, counted.by_interface),
            (BY_SYSTEM, counted.by_system),
            (DELIVERED, counted.delivered),
        ];
        said.iter().for_each(|(code, n)| option(&mut body, *code, &n.to_le_bytes()));
        if counted.late > 0 {
            option(&mut body, COMMENT, format!("{LATE}{}", counted.late).as_bytes());
        }
        option(&mut body, 0, b"");
        block(&mut self.out, 5, &body)
    }

    /// What is written to.
    pub fn out(&mut self) -> &mut W {
        &mut self.out
    }

    /// Ends the file and gives the writer back.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.flush()?;
        Ok(self.out)
    }
}

fn option(body: &mut Vec<u8>, code: u16, value: &[u8]) {
    let value = &value[..value.len().min(u16::MAX as usize)];
    body.extend(code.to_le_bytes());
    body.extend((value.len() as u16).to_le_bytes());
    body.extend(value);
    body.resize(body.len().next_multiple_of(4), 0);
}

fn block(out: &mut impl Write, kind: u32, body: &[u8]) -> io::Result<()> {
    let len = body.len() as u32 + 12;
    out.write_all(&kind.to_le_bytes())?;
    out.write_all(&len.to_le_bytes())?;
    out.write_all(body)?;
    out.write_all(&len.to_le_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::capture::{CaptureKind, Item, read};
    use crate::sources::missed::Missed;

    #[test]
    fn what_is_written_reads_back() {
        let mut file = PcapNg::begin(Vec::new(), "why: host = 10.0.0.5").unwrap();
        file.packet(Time(1_700_000_000_123_456_789), LinkType::ETHERNET, b"abcde", 60, "first").unwrap();
        file.packet(Time(5), LinkType::RAW, b"x", 1, "").unwrap();
        let bytes = file.finish().unwrap();
        let mut got = Vec::new();
        let end = read(CaptureKind::PcapNg, &mut &bytes[..], &mut |item| {
            match item {
                Item::Packet(p) => got.push(format!("{} {} {:?} {}", p.time.0, p.link.0, p.data, p.wire_len)),
                Item::Comment(text, _) => got.push(text),
                _ => {}
            }
            true
        });
        assert_eq!(end.damage, None);
        assert_eq!(got, ["why: host = 10.0.0.5", "1700000000123456789 1 [97, 98, 99, 100, 101] 60", "first", "5 101 [120] 1"]);
    }

    #[test]
    fn interfaces_and_what_they_counted_read_back() {
        let mut file = PcapNg::begin(Vec::new(), "").unwrap();
        let about = Described { name: "eth7".into(), filter: "tcp port 80".into(), link: LinkType::ETHERNET, snaplen: 96 };
        assert_eq!(file.describe(&about).unwrap(), 0);
        for (n, data) in [&b"abc"[..], b"defg", b""].into_iter().enumerate() {
            let before = file.out().len();
            let id = (n > 0).then_some(1 << 40 | n as u64);
            assert_eq!(file.packet_of(0, Time(n as i64), data, 60, id).unwrap(), file.out().len() - before);
        }
        file.statistics(0, Time(9), &Statistics { received: 7, by_interface: 2, by_system: 3, late: 1, delivered: 2 }).unwrap();
        let bytes = file.finish().unwrap();
        let (mut got, mut said) = (Vec::new(), None);
        let end = read(CaptureKind::PcapNg, &mut &bytes[..], &mut |item| {
            match item {
                Item::Packet(p) => got.push((p.time.0, p.data.to_vec(), p.wire_len)),
                Item::Interface(i) => assert_eq!((i.name.as_str(), i.snaplen, i.resolution), ("eth7", 96, 1_000_000_000)),
                Item::Missed(missed) => said = Some(missed),
                other => panic!("{other:?}"),
            }
            true
        });
        assert_eq!((end.damage, end.bytes), (None, bytes.len() as u64));
        assert_eq!(got, [(0, b"abc".to_vec(), 60), (1, b"defg".to_vec(), 60), (2, Vec::new(), 60)]);
        let missed =
            Missed { interface: 0, received: Some(7), dropped: 5, by_interface: 2, late: 1, total: true, at: Some(Time(9)) };
        assert_eq!(said, Some(missed));
    }
}
