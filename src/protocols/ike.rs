//! IKE versions 1 and 2 (RFC 2408, RFC 7296) over UDP, also behind address translation: version and exchange, once. Proposals pass unread.

use super::common::bytes::Bytes;
use super::common::fields::Fields;
use super::common::told::Told;
use super::{At, Ends, Out, Parser, Protocol, Side, Sniff};
use crate::model::field;
use crate::model::proto::UDP;

/// The protocol.
pub static PROTOCOL: Ike = Ike;

/// See [`PROTOCOL`].
#[derive(Debug)]
pub struct Ike;

/// Version and exchange of a message whose length fits. Behind translation four zero bytes stand before it.
fn read(datagram: &[u8]) -> Option<(&'static str, String)> {
    let message = datagram.strip_prefix(&[0; 4]).unwrap_or(datagram);
    let mut b = Bytes::new(message);
    let initiator = b.take(8)?;
    b.take(8)?;
    let (next, version, exchange, _flags) = (b.u8()?, b.u8()?, b.u8()?, b.u8()?);
    b.u32()?;
    let length = b.u32()? as usize;
    if initiator == [0; 8] || length != message.len() {
        return None;
    }
    let (version, name) = match (version, exchange, next) {
        (0x10, 1, _) => ("1", "base"),
        (0x10, 2, _) => ("1", "identity protection"),
        (0x10, 3, _) => ("1", "authentication only"),
        (0x10, 4, _) => ("1", "aggressive"),
        (0x10, 5, _) => ("1", "informational"),
        (0x10, 32, _) => ("1", "quick"),
        (0x20, 34, 33..=54 | 0) => ("2", "IKE_SA_INIT"),
        (0x20, 35, 33..=54 | 0) => ("2", "IKE_AUTH"),
        (0x20, 36, 33..=54 | 0) => ("2", "CREATE_CHILD_SA"),
        (0x20, 37, 33..=54 | 0) => ("2", "INFORMATIONAL"),
        _ => return None,
    };
    Some((version, name.to_owned()))
}

impl Protocol for Ike {
    fn name(&self) -> &'static str {
        "ike"
    }
    fn doc(&self) -> &'static str {
        "Internet Key Exchange 1 and 2."
    }
    fn over(&self) -> &'static [u8] {
        &[UDP]
    }
    fn probe(&self, _side: Side, first: &[u8], _ends: &Ends) -> Sniff {
        if read(first).is_some() { Sniff::Yes } else { Sniff::No }
    }
    fn parser(&self, _ends: &Ends) -> Box<dyn Parser> {
        Box::<Conversation>::default()
    }
}

#[derive(Default)]
struct Conversation {
    seen: [bool; 2],
    told: Told,
}

impl Parser for Conversation {
    fn data(&mut self, side: Side, bytes: &[u8], at: At, out: &mut Out) {
        // ESP behind translation stands on the same ports: not a message, and nothing wrong.
        let Some((version, exchange)) = read(bytes) else { return };
        if let Some(seen) = self.seen.get_mut(usize::from(side == Side::In)) {
            *seen = true;
        }
        out.confirmed |= self.seen == [true, true];
        let mut fields = Fields::default();
        fields.text(field::VERSION, version);
        self.told.say("ike", &exchange, fields, at, at, out);
    }
}
