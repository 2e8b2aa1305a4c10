//! TFTP (RFC 1350, RFC 2347, RFC 2348): the file that a request names, and the file itself with its hashes. The data usually comes from another
//! port, as a flow of its own that is announced here.

use super::common::bytes::text;
use super::common::fields::Fields;
use super::common::file::Passing;
use super::{At, Ends, Expect, Out, Parser, Protocol, Side, Sniff};
use crate::model::field;
use crate::model::proto::UDP;
use crate::model::record::Kind;
use std::net::IpAddr;

/// The protocol.
pub static PROTOCOL: Tftp = Tftp;

/// See [`PROTOCOL`].
#[derive(Debug)]
pub struct Tftp;

/// Whether a request writes, and the file that it names.
fn request(bytes: &[u8]) -> Option<(bool, String)> {
    let write = match bytes.get(..2)? {
        [0, 1] => false,
        [0, 2] => true,
        _ => return None,
    };
    let mut words = bytes.get(2..)?.split(|b| *b == 0);
    let (name, mode) = (words.next()?, words.next()?);
    let fine = !name.is_empty() && name.len() <= 512 && name.iter().all(|b| *b >= b' ' && *b != 0x7f);
    let known = [&b"octet"[..], b"netascii", b"mail"].iter().any(|m| mode.eq_ignore_ascii_case(m));
    (fine && known && words.next().is_some()).then(|| (write, text(name, 512)))
}

impl Protocol for Tftp {
    fn name(&self) -> &'static str {
        "tftp"
    }
    fn doc(&self) -> &'static str {
        "Trivial File Transfer Protocol (RFC 1350)."
    }
    fn over(&self) -> &'static [u8] {
        &[UDP]
    }
    fn probe(&self, _side: Side, first: &[u8], _ends: &Ends) -> Sniff {
        if request(first).is_some() { Sniff::Yes } else { Sniff::No }
    }
    fn parser(&self, ends: &Ends) -> Box<dyn Parser> {
        Box::new(Conversation { client: (ends.src, ends.src_port), newest: String::new(), transfer: None })
    }
}

/// Usual length of a block (RFC 1350); another is agreed by the option `blksize`.
const BLOCK: u64 = 512;
const DATA: u8 = 3;
const ERROR: u8 = 5;
const OPTIONS: u8 = 6;

struct Conversation {
    client: (IpAddr, u16),
    newest: String,
    /// Of a server that answers from the port that was asked.
    transfer: Option<Transfer>,
}

impl Parser for Conversation {
    fn data(&mut self, side: Side, bytes: &[u8], at: At, out: &mut Out) {
        let Some((write, name)) = request(bytes) else {
            if let Some(transfer) = &mut self.transfer {
                transfer.data(side, bytes, at, out);
            }
            return;
        };
        out.confirmed = true;
        let carries = || Transfer { name: name.clone(), write, block: BLOCK, next: 1, over: false, carried: None };
        let (address, port) = self.client;
        out.expect.push(Expect { address, port, proto: UDP, carries: "tftp", parser: Box::new(carries()) });
        // Asked again because nothing came.
        if self.newest == name {
            return;
        }
        if let Some(mut before) = self.transfer.replace(carries()) {
            before.end(out);
        }
        let mut fields = Fields::default();
        fields.text(field::APP, "tftp");
        fields.text(field::FILE_NAME, &name);
        fields.text(field::ACTION, if write { "upload" } else { "download" });
        self.newest = name;
        out.events.push(fields.event(Kind::File, at, at));
    }
    fn end(&mut self, out: &mut Out) {
        if let Some(mut transfer) = self.transfer.take() {
            transfer.end(out);
        }
    }
}

/// The blocks of one file. Each waits for its acknowledgement, so that one that is not the next was sent before, or some are missing.
struct Transfer {
    name: String,
    write: bool,
    block: u64,
    /// Number of the next block; it wraps.
    next: u16,
    /// A block shorter than the others was the last.
    over: bool,
    carried: Option<(Passing, At, At)>,
}

/// The length of a block that an answer to options agrees to.
fn agreed(options: &[u8]) -> Option<u64> {
    let words: Vec<&[u8]> = options.split(|b| *b == 0).take(32).collect();
    let at = words.iter().step_by(2).position(|w| w.eq_ignore_ascii_case(b"blksize"))?;
    let value = words.get(at.saturating_mul(2).saturating_add(1))?;
    std::str::from_utf8(value).ok()?.parse().ok().filter(|n| (8..=65464).contains(n))
}

impl Parser for Transfer {
    fn data(&mut self, _side: Side, bytes: &[u8], at: At, out: &mut Out) {
        match bytes {
            [0, OPTIONS, options @ ..] => self.block = agreed(options).unwrap_or(self.block),
            [0, ERROR, ..] => self.end(out),
            [0, DATA, a, b, data @ ..] if !self.over => {
                let number = u16::from_be_bytes([*a, *b]);
                let ahead = number.wrapping_sub(self.next);
                // Sent again.
                if ahead > u16::MAX / 2 {
                    return;
                }
                let (passing, _, last) = self.carried.get_or_insert_with(|| (Passing::plain(&out.keeping), at, at));
                if ahead > 0 {
                    passing.miss(u64::from(ahead).saturating_mul(self.block));
                }
                passing.push(data);
                *last = at;
                self.next = number.wrapping_add(1);
                self.over = (data.len() as u64) < self.block;
            }
            _ => {}
        }
    }
    fn end(&mut self, out: &mut Out) {
        let Some((passing, first, last)) = self.carried.take() else { return };
        let mut fields = Fields::default();
        fields.text(field::APP, "tftp");
        fields.text(field::FILE_NAME, &self.name);
        fields.text(field::ACTION, if self.write { "upload" } else { "download" });
        fields.text(field::DIRECTION_STATED, if self.write { "out" } else { "in" });
        if !self.over {
            fields.text(field::EXTRA, r#"{"partial":"not to its end"}"#);
        }
        passing.finish(self.over, &mut fields);
        out.events.push(fields.event(Kind::File, first, last));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_names_file_and_way() {
        assert_eq!(request(b"\0\x01boot.cfg\0OCTET\0"), Some((false, "boot.cfg".into())));
        assert_eq!(request(b"\0\x02x\0netascii\0blksize\x001428\0"), Some((true, "x".into())));
        assert_eq!(request(b"\0\x01boot.cfg\0octe"), None);
        assert_eq!(request(b"\0\x03\0\x01data"), None);
    }

    #[test]
    fn blocks_are_a_file_that_ends_with_a_short_one() {
        let at = At { time: crate::model::time::Time(1), offset: 1 };
        let ip = IpAddr::from([10, 0, 0, 1]);
        let ends = Ends { src: ip, src_port: 4000, dst: ip, dst_port: 69, proto: UDP };
        let block = |n: u8, length: usize| [&[0, 3, 0, n], &vec![b'a'; length][..]].concat();
        // Blocks that come, and whether the file has a hash.
        let cases: [(&[Vec<u8>], Option<&str>); 4] = [
            (&[block(1, 512), block(1, 512), block(2, 0), block(2, 0)], Some("file.size=512")),
            (&[b"\0\x06tsize\x009\0blksize\x0016\0".to_vec(), block(1, 16), block(2, 3)], Some("file.size=19")),
            (&[block(1, 512), block(3, 0)], None),
            (&[block(1, 512)], None),
        ];
        for (blocks, hashed) in cases {
            let (mut asking, mut out) = (PROTOCOL.parser(&ends), Out::default());
            asking.data(Side::Out, b"\0\x01boot.cfg\0octet\0", at, &mut out);
            let mut carried = out.expect.pop().unwrap();
            assert_eq!((carried.address, carried.port, carried.proto), (ip, 4000, UDP));
            out.events.clear();
            blocks.iter().for_each(|b| carried.parser.data(Side::Out, b, at, &mut out));
            carried.parser.end(&mut out);
            let shown: String = out.events[0].fields.iter().map(|(f, v)| format!("{}={v} ", field::name(*f))).collect();
            assert!(shown.contains("file.name=boot.cfg") && shown.contains(hashed.unwrap_or("boot")), "{shown}");
            assert_eq!(shown.contains("sha256="), hashed.is_some(), "{shown}");
        }
    }
}
