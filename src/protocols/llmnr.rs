//! Link-Local Multicast Name Resolution (RFC 4795, UDP port 5355): DNS messages on the local link, where answers may come unasked and from
//! another host than the one that was asked. The messages are read by [`dns`](super::dns).

use super::dns::{Conversation, looks_like};
use super::{Ends, Parser, Protocol, Side, Sniff};
use crate::model::proto::UDP;

/// The protocol.
pub static PROTOCOL: Llmnr = Llmnr;

/// See [`PROTOCOL`].
#[derive(Debug)]
pub struct Llmnr;

/// Its port. The content is that of DNS: only the port tells them apart.
const PORT: u16 = 5355;

impl Protocol for Llmnr {
    fn name(&self) -> &'static str {
        "llmnr"
    }
    fn doc(&self) -> &'static str {
        "Link-Local Multicast Name Resolution (RFC 4795)."
    }
    fn over(&self) -> &'static [u8] {
        &[UDP]
    }
    fn probe(&self, _side: Side, first: &[u8], ends: &Ends) -> Sniff {
        if ends.src_port == PORT || ends.dst_port == PORT { looks_like(first, true, true) } else { Sniff::No }
    }
    fn parser(&self, ends: &Ends) -> Box<dyn Parser> {
        Box::new(Conversation::new(ends, true))
    }
}
