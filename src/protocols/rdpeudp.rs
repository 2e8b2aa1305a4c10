//! RDP's UDP transport (MS-RDPEUDP, MS-RDPEUDP2): the handshake, padded to a full packet. What follows is DTLS or TLS in pieces and passes unread.

use super::common::bytes::Bytes;
use super::{At, Ends, Out, Parser, Protocol, Side, Sniff};
use crate::model::proto::UDP;

/// The protocol.
pub static PROTOCOL: RdpEudp = RdpEudp;

const SYN: u16 = 1;
const ACK: u16 = 4;
/// Both sides pad their first datagram with zeros to the size that they propose.
const MIN_PADDED: usize = 1132;
/// Where nothing but padding stands.
const PADDING: usize = 256;

/// See [`PROTOCOL`].
#[derive(Debug)]
pub struct RdpEudp;

impl Protocol for RdpEudp {
    fn name(&self) -> &'static str {
        "rdpeudp"
    }
    fn doc(&self) -> &'static str {
        "Remote Desktop Protocol over UDP, its handshake (MS-RDPEUDP)."
    }
    fn over(&self) -> &'static [u8] {
        &[UDP]
    }
    fn probe(&self, side: Side, first: &[u8], _ends: &Ends) -> Sniff {
        let mut b = Bytes::new(first);
        let (Some(acknowledged), Some(_window), Some(flags)) = (b.u32(), b.u16(), b.u16()) else { return Sniff::No };
        let fine = match side {
            Side::Out => acknowledged == u32::MAX && flags & (SYN | ACK) == SYN,
            Side::In => acknowledged != u32::MAX && flags & (SYN | ACK) == SYN | ACK,
        };
        let padded = first.get(PADDING..).is_some_and(|rest| rest.iter().all(|b| *b == 0));
        if fine && padded && (MIN_PADDED..=1500).contains(&first.len()) { Sniff::Yes } else { Sniff::No }
    }
    fn parser(&self, _ends: &Ends) -> Box<dyn Parser> {
        Box::<Conversation>::default()
    }
}

#[derive(Default)]
struct Conversation {
    asked: bool,
}

impl Parser for Conversation {
    fn data(&mut self, side: Side, _bytes: &[u8], _at: At, out: &mut Out) {
        self.asked |= side == Side::Out;
        if side == Side::In && self.asked {
            (out.confirmed, out.done) = (true, true);
        }
    }
}
