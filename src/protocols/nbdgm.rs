//! NetBIOS datagrams (RFC 1002, UDP port 138): which Windows host announces itself to which group, each once.

use super::common::bytes::Bytes;
use super::common::fields::Fields;
use super::common::told::Told;
use super::nbns;
use super::{At, Ends, Out, Parser, Protocol, Side, Sniff};
use crate::model::field;
use crate::model::proto::UDP;

/// The protocol.
pub static PROTOCOL: Nbdgm = Nbdgm;

/// See [`PROTOCOL`].
#[derive(Debug)]
pub struct Nbdgm;

/// Sender's and receiver's names of a datagram whose head fits.
fn read(bytes: &[u8]) -> Option<(String, String)> {
    let mut b = Bytes::new(bytes);
    let (kind, flags) = (b.u8()?, b.u8()?);
    (matches!(kind, 0x10..=0x12) && flags & 0xf0 == 0).then_some(())?;
    b.take(8)?;
    let length = usize::from(b.u16()?);
    b.u16()?;
    (length >= 68 && length <= b.left()).then_some(())?;
    let mut next = || {
        (b.u8()? == 32).then_some(())?;
        let found = nbns::name(b.take(32)?)?;
        loop {
            let label = b.u8()?;
            if label == 0 {
                return Some(found);
            }
            b.take(usize::from(label))?;
        }
    };
    Some((next()?, next()?))
}

impl Protocol for Nbdgm {
    fn name(&self) -> &'static str {
        "nbdgm"
    }
    fn doc(&self) -> &'static str {
        "NetBIOS datagram service (RFC 1002)."
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
    told: Told,
}

impl Parser for Conversation {
    fn data(&mut self, _side: Side, bytes: &[u8], at: At, out: &mut Out) {
        let Some((from, to)) = read(bytes) else { return };
        out.confirmed = true;
        let mut fields = Fields::default();
        fields.text(field::HOSTNAME, from.split('<').next().unwrap_or_default());
        self.told.say("nbdgm", &format!("{from} to {to}"), fields, at, at, out);
    }
}
