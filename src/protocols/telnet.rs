//! Telnet (RFC 854): recognised by the options that both sides negotiate. What is typed passes unread: it may be a password.

use super::{At, Ends, Out, Parser, Protocol, Side, Sniff};
use crate::model::proto::TCP;

/// The protocol.
pub static PROTOCOL: Telnet = Telnet;

/// See [`PROTOCOL`].
#[derive(Debug)]
pub struct Telnet;

impl Protocol for Telnet {
    fn name(&self) -> &'static str {
        "telnet"
    }
    fn doc(&self) -> &'static str {
        "Telnet, by its option negotiation (RFC 854)."
    }
    fn over(&self) -> &'static [u8] {
        &[TCP]
    }
    fn probe(&self, _side: Side, first: &[u8], _ends: &Ends) -> Sniff {
        match first {
            // WILL, WON'T, DO, DON'T with an option that is assigned.
            [0xff, 0xfb..=0xfe, 0..=49 | 0xff, ..] => Sniff::Yes,
            [] | [0xff] | [0xff, 0xfb..=0xfe] => Sniff::More,
            _ => Sniff::No,
        }
    }
    fn parser(&self, _ends: &Ends) -> Box<dyn Parser> {
        Box::<Conversation>::default()
    }
}

#[derive(Default)]
struct Conversation {
    seen: [bool; 2],
}

impl Parser for Conversation {
    fn data(&mut self, side: Side, _bytes: &[u8], _at: At, out: &mut Out) {
        if let Some(seen) = self.seen.get_mut(usize::from(side == Side::In)) {
            *seen = true;
        }
        if self.seen == [true, true] {
            (out.confirmed, out.done) = (true, true);
        }
    }
}
