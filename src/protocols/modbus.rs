//! Modbus over TCP (Modbus Messaging on TCP/IP Implementation Guide 1.0b): which functions are asked of which unit, each once, and what is
//! refused. Values pass unread.

use super::common::bytes::Bytes;
use super::common::fields::Fields;
use super::common::framed::{Cut, Framed, Messages};
use super::common::told::Told;
use super::{At, Ends, Out, Parser, Protocol, Side, Sniff};
use crate::model::field;
use crate::model::proto::TCP;

/// The protocol.
pub static PROTOCOL: Modbus = Modbus;

const FUNCTIONS: &[(u8, &str)] = &[
    (1, "read coils"),
    (2, "read discrete inputs"),
    (3, "read holding registers"),
    (4, "read input registers"),
    (5, "write single coil"),
    (6, "write single register"),
    (7, "read exception status"),
    (8, "diagnostics"),
    (11, "get event counter"),
    (12, "get event log"),
    (15, "write multiple coils"),
    (16, "write multiple registers"),
    (17, "report server id"),
    (20, "read file record"),
    (21, "write file record"),
    (22, "mask write register"),
    (23, "read and write registers"),
    (24, "read queue"),
    (43, "encapsulated interface"),
    (90, "unity (Schneider)"),
];

/// See [`PROTOCOL`].
#[derive(Debug)]
pub struct Modbus;

impl Protocol for Modbus {
    fn name(&self) -> &'static str {
        "modbus"
    }
    fn doc(&self) -> &'static str {
        "Modbus over TCP: functions asked and refused."
    }
    fn over(&self) -> &'static [u8] {
        &[TCP]
    }
    fn probe(&self, _side: Side, first: &[u8], ends: &Ends) -> Sniff {
        let usual = ends.dst_port == 502 || ends.src_port == 502;
        match first {
            [_, _, 0, 0, 0, length @ 2..=254, _unit, function, ..] => {
                let known = FUNCTIONS.iter().any(|f| f.0 == function & 0x7f);
                // Off its port only a message that ends where it says.
                let exact = first.len() == usize::from(*length).saturating_add(6);
                if known && (usual || exact) { Sniff::Yes } else { Sniff::No }
            }
            [_, _, 0, 0, 0, 2..=254, ..] | [_, _, 0, 0, 0] | [_, _, 0, 0] | [_, _, 0] | [_, _] | [_] | [] if usual => Sniff::More,
            _ => Sniff::No,
        }
    }
    fn parser(&self, _ends: &Ends) -> Box<dyn Parser> {
        Box::new(Framed::new(Conversation::default()))
    }
}

#[derive(Default)]
struct Conversation {
    told: Told,
}

impl Messages for Conversation {
    fn cut(&self, _side: Side, unread: &[u8]) -> Cut {
        match unread {
            [_, _, 0, 0, a, b, ..] => match u16::from_be_bytes([*a, *b]) {
                length @ 2..=260 => Cut::Frame(usize::from(length).saturating_add(6)),
                _ => Cut::Over,
            },
            _ if unread.len() < 6 => Cut::More,
            _ => Cut::Over,
        }
    }
    fn message(&mut self, side: Side, message: &[u8], first: At, last: At, out: &mut Out) -> bool {
        let mut b = Bytes::new(message);
        let (Some(_), Some(unit), Some(function)) = (b.take(6), b.u8(), b.u8()) else { return false };
        let code = function & 0x7f;
        let name = FUNCTIONS.iter().find(|f| f.0 == code).map_or_else(|| format!("function {code}"), |f| f.1.to_owned());
        let mut fields = Fields::default();
        match (side, function & 0x80 != 0) {
            (Side::Out, false) => {
                self.told.say("modbus", &format!("{name}, unit {unit}"), fields, first, last, out);
            }
            (Side::In, true) => {
                fields.text(field::ACTION, "deny");
                fields.text(field::REASON, &format!("exception {}", b.u8().unwrap_or(0)));
                self.told.say("modbus", &format!("{name}, unit {unit}: refused"), fields, first, last, out);
            }
            _ => {}
        }
        true
    }
}
