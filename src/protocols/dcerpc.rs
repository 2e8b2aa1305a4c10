//! DCE/RPC over TCP (C706, MS-RPCE): interfaces that are bound and operations that are called, each once, and who calls. Arguments pass unread.

use super::common::framed::{Cut, Framed, Messages};
use super::common::rpc_calls::{self, Calls};
use super::{At, Ends, Out, Parser, Protocol, Side, Sniff};
use crate::model::proto::TCP;

/// The protocol.
pub static PROTOCOL: Dcerpc = Dcerpc;

/// See [`PROTOCOL`].
#[derive(Debug)]
pub struct Dcerpc;

impl Protocol for Dcerpc {
    fn name(&self) -> &'static str {
        "dcerpc"
    }
    fn doc(&self) -> &'static str {
        "DCE/RPC: interfaces and operations (MS-RPCE)."
    }
    fn over(&self) -> &'static [u8] {
        &[TCP]
    }
    fn probe(&self, side: Side, first: &[u8], _ends: &Ends) -> Sniff {
        let fine = rpc_calls::looks(first, if side == Side::Out { rpc_calls::ASKED } else { rpc_calls::ANSWERED });
        match (fine, first.len() >= 16) {
            (true, true) if rpc_calls::length(first).is_some_and(|n| n >= 16) => Sniff::Yes,
            (true, false) => Sniff::More,
            _ => Sniff::No,
        }
    }
    fn parser(&self, _ends: &Ends) -> Box<dyn Parser> {
        Box::new(Framed::new(Conversation::default()))
    }
}

#[derive(Default)]
struct Conversation(Calls);

impl Messages for Conversation {
    fn cut(&self, _side: Side, unread: &[u8]) -> Cut {
        match unread {
            [5, 0 | 1, ..] => match rpc_calls::length(unread) {
                Some(n) if n >= 16 => Cut::Frame(n),
                Some(_) => Cut::Over,
                None => Cut::More,
            },
            [] | [5] => Cut::More,
            _ => Cut::Over,
        }
    }
    fn message(&mut self, side: Side, message: &[u8], first: At, last: At, out: &mut Out) -> bool {
        self.0.fragment(0, side, message, first, last, out);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::field;
    use crate::model::time::Time;
    use rpc_calls::{BIND, REQUEST};

    #[test]
    fn a_service_created_from_afar_is_named() {
        let at = At { time: Time(1), offset: 1 };
        let pdu = |kind: u8, body: &[u8]| {
            let length = (16 + body.len()) as u8;
            [&[5, 0, kind, 3, 0x10, 0, 0, 0, length, 0, 0, 0, 1, 0, 0, 0], body].concat()
        };
        let number = [0x81, 0xbb, 0x7a, 0x36, 0x44, 0x98, 0xf1, 0x35, 0xad, 0x32, 0x98, 0xf0, 0x38, 0, 0x10, 3];
        let bind = pdu(BIND, &[&[0; 8][..], &[1, 0, 0, 0], &[7, 0, 1, 0], &number, &[2, 0, 0, 0], &[0; 20]].concat());
        let call = pdu(REQUEST, &[0, 0, 0, 0, 7, 0, 12, 0]);
        let (mut c, mut out) = (Framed::new(Conversation::default()), Out::default());
        bind.iter().chain(&call).for_each(|b| c.data(Side::Out, &[*b], at, &mut out));
        let said: Vec<String> =
            out.events.iter().filter_map(|e| e.fields.iter().find(|f| f.0 == field::MESSAGE).map(|f| f.1.to_string())).collect();
        assert_eq!(said, ["bind svcctl", "svcctl CreateServiceW"]);
    }
}
