//! Writes pcapng: one section, nanosecond interfaces by link type, comments on the section and on packets.

use crate::model::Time;
use crate::model::packet::LinkType;
use std::io::{self, Write};

/// A pcapng file being written.
pub struct PcapNg<W: Write> {
    out: W,
    links: Vec<LinkType>,
}

const COMMENT: u16 = 1;
const NAME: u16 = 2;
const APPLICATION: u16 = 4;
const RESOLUTION: u16 = 9;

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
                self.interface(link)?;
                self.links.len() - 1
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

    fn interface(&mut self, link: LinkType) -> io::Result<()> {
        let mut body = Vec::new();
        body.extend(link.0.to_le_bytes());
        body.extend([0; 6]);
        option(&mut body, NAME, format!("link-{}", link.0).as_bytes());
        option(&mut body, RESOLUTION, &[9]);
        option(&mut body, 0, b"");
        block(&mut self.out, 1, &body)?;
        self.links.push(link);
        Ok(())
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
}
