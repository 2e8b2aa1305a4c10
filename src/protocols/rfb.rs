//! RFB, the protocol of VNC (RFC 6143): version and kind of login. The password's challenge and the screen pass unread.

use super::common::bytes::text;
use super::common::fields::Fields;
use super::common::framed::{Cut, Framed, Messages};
use super::{At, Ends, Out, Parser, Protocol, Side, Sniff};
use crate::model::field;
use crate::model::proto::TCP;
use crate::model::record::Kind;

/// The protocol.
pub static PROTOCOL: Rfb = Rfb;

/// See [`PROTOCOL`].
#[derive(Debug)]
pub struct Rfb;

impl Protocol for Rfb {
    fn name(&self) -> &'static str {
        "rfb"
    }
    fn doc(&self) -> &'static str {
        "Remote framebuffer of VNC: version and kind of login (RFC 6143)."
    }
    fn over(&self) -> &'static [u8] {
        &[TCP]
    }
    fn probe(&self, _side: Side, first: &[u8], _ends: &Ends) -> Sniff {
        let head = first.get(..first.len().min(12)).unwrap_or_default();
        let fits = head.iter().zip(b"RFB ddd.ddd\n").all(|(b, form)| if *form == b'd' { b.is_ascii_digit() } else { b == form });
        match (fits, head.len()) {
            (true, 12) => Sniff::Yes,
            (true, _) => Sniff::More,
            _ => Sniff::No,
        }
    }
    fn parser(&self, _ends: &Ends) -> Box<dyn Parser> {
        Box::new(Framed::new(Conversation::default()))
    }
}

/// How one logs in, by number.
fn method(number: u8) -> String {
    match number {
        1 => "none".into(),
        2 => "vnc".into(),
        5 | 6 | 129 | 130 => "rsa-aes".into(),
        16 => "tight".into(),
        18 => "tls".into(),
        19 => "vencrypt".into(),
        30 | 33 | 35 => "apple".into(),
        other => format!("type {other}"),
    }
}

#[derive(Default)]
struct Conversation {
    versions: [Option<String>; 2],
    begun: Option<At>,
    offered: bool,
}

impl Messages for Conversation {
    fn cut(&self, side: Side, unread: &[u8]) -> Cut {
        if self.versions.get(usize::from(side == Side::In)).is_some_and(Option::is_none) {
            return if unread.len() < 12 { Cut::More } else { Cut::Frame(12) };
        }
        let old = self.versions.iter().flatten().any(|v| v == "003.003");
        match (side, unread) {
            // Before 3.7 the server chooses.
            (Side::In, _) if old => {
                if unread.len() < 4 {
                    Cut::More
                } else {
                    Cut::Frame(4)
                }
            }
            (Side::In, [count, ..]) => Cut::Frame(usize::from(*count).saturating_add(1)),
            _ => Cut::Frame(1),
        }
    }
    fn message(&mut self, side: Side, message: &[u8], first: At, last: At, out: &mut Out) -> bool {
        let begun = *self.begun.get_or_insert(first);
        let Some(version) = self.versions.get_mut(usize::from(side == Side::In)) else { return false };
        if version.is_none() {
            let said = text(message.get(4..11).unwrap_or_default(), 7);
            if side == Side::In {
                out.flow.push((field::VERSION, said.as_str().into()));
            }
            *version = Some(said);
            return true;
        }
        let old = self.versions.iter().flatten().any(|v| v == "003.003");
        let chosen = match side {
            Side::In if old => message.last(),
            Side::In => {
                self.offered = true;
                return true;
            }
            Side::Out if self.offered => message.first(),
            Side::Out => return false,
        };
        let mut fields = Fields::default();
        fields.text(field::APP, "rfb");
        fields.text(field::METHOD_AUTH, &method(chosen.copied().unwrap_or_default()));
        fields.text(field::ACTION, "asked");
        fields.text(field::VERSION, self.versions.iter().flatten().next_back().map(String::as_str).unwrap_or_default());
        out.events.push(fields.event(Kind::Auth, begun, last));
        out.confirmed = true;
        false
    }
}
