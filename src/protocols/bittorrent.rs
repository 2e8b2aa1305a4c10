//! BitTorrent (BEP 3) and its distributed table (BEP 5): what is shared, by info hash, each once.

use super::common::fields::Fields;
use super::common::told::Told;
use super::{At, Ends, Out, Parser, Protocol, Side, Sniff};
use crate::model::proto::{TCP, UDP};

/// The protocol.
pub static PROTOCOL: Bittorrent = Bittorrent;

const GREETING: &[u8] = b"\x13BitTorrent protocol";
/// Bytes of a handshake: greeting, reserved bits, info hash, peer.
const HANDSHAKE: usize = 68;

/// See [`PROTOCOL`].
#[derive(Debug)]
pub struct Bittorrent;

impl Protocol for Bittorrent {
    fn name(&self) -> &'static str {
        "bittorrent"
    }
    fn doc(&self) -> &'static str {
        "BitTorrent handshakes and its distributed table (BEP 3, BEP 5)."
    }
    fn over(&self) -> &'static [u8] {
        &[TCP, UDP]
    }
    fn probe(&self, _side: Side, first: &[u8], ends: &Ends) -> Sniff {
        if ends.proto == TCP {
            return match (first.starts_with(GREETING), GREETING.starts_with(first)) {
                (true, _) => Sniff::Yes,
                (_, true) => Sniff::More,
                _ => Sniff::No,
            };
        }
        // A question, an answer, an error of the table: a dictionary with its kind in `y`.
        let head: [&[u8]; 4] = [b"d1:ad2:id20:", b"d1:rd2:id20:", b"d2:ip", b"d1:eli"];
        let kind = [&b"1:y1:q"[..], b"1:y1:r", b"1:y1:e"].iter().any(|k| memchr::memmem::find(first, k).is_some());
        if head.iter().any(|h| first.starts_with(h)) && kind && first.ends_with(b"e") { Sniff::Yes } else { Sniff::No }
    }
    fn parser(&self, ends: &Ends) -> Box<dyn Parser> {
        Box::new(Conversation { stream: ends.proto == TCP, heads: Default::default(), seen: [false; 2], told: Told::default() })
    }
}

struct Conversation {
    stream: bool,
    heads: [Vec<u8>; 2],
    seen: [bool; 2],
    told: Told,
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

impl Parser for Conversation {
    fn data(&mut self, side: Side, bytes: &[u8], at: At, out: &mut Out) {
        let index = usize::from(side == Side::In);
        let hash = if self.stream {
            let Some(head) = self.heads.get_mut(index) else { return };
            let room = HANDSHAKE.saturating_sub(head.len());
            head.extend(bytes.iter().take(room));
            if head.len() < HANDSHAKE {
                return;
            }
            head.get(28..48).map(hex)
        } else {
            let at = memchr::memmem::find(bytes, b"9:info_hash20:").map(|at| at.saturating_add(14));
            at.and_then(|at| bytes.get(at..at.saturating_add(20))).map(hex)
        };
        if let Some(seen) = self.seen.get_mut(index) {
            *seen = true;
        }
        if let Some(hash) = hash {
            self.told.say("bittorrent", &format!("info hash {hash}"), Fields::default(), at, at, out);
        }
        out.confirmed |= self.seen == [true, true];
        out.done |= self.stream && self.seen == [true, true];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Time;

    #[test]
    fn a_handshake_over_several_segments_names_what_is_shared() {
        let ip = std::net::IpAddr::from([10, 0, 0, 1]);
        let ends = Ends { src: ip, src_port: 1, dst: ip, dst_port: 2, proto: TCP };
        let (mut parser, mut out) = (PROTOCOL.parser(&ends), Out::default());
        let handshake = [GREETING, &[0; 8], &[0xab; 20], b"-XX0001-abcdefghijkl"].concat();
        for side in [Side::Out, Side::In] {
            handshake.iter().for_each(|b| parser.data(side, &[*b], At { time: Time(1), offset: 1 }, &mut out));
        }
        assert_eq!(out.events.len(), 1);
        assert!(out.confirmed && out.done);
        assert!(out.events[0].fields.iter().any(|(_, v)| v.to_string() == format!("info hash {}", "ab".repeat(20))));
    }
}
