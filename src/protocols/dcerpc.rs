//! DCE/RPC over TCP (C706, MS-RPCE): interfaces that are bound and operations that are called, each once, and who calls. Arguments pass unread.

use super::common::bytes::Bytes;
use super::common::fields::Fields;
use super::common::framed::{Cut, Framed, Messages};
use super::common::ntlm;
use super::common::rpc_names::{Interface, interface};
use super::common::told::Told;
use super::{At, Ends, Out, Parser, Protocol, Side, Sniff};
use crate::model::field;
use crate::model::oddity::Oddity;
use crate::model::proto::TCP;
use std::collections::BTreeMap;

/// The protocol.
pub static PROTOCOL: Dcerpc = Dcerpc;

const REQUEST: u8 = 0;
const FAULT: u8 = 3;
const BIND: u8 = 11;
const BIND_NAK: u8 = 13;
const ALTER: u8 = 14;
const AUTH3: u8 = 16;
/// Interfaces bound by one connection.
const MAX_CONTEXTS: usize = 64;

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
        let fits = |at: usize, fine: &dyn Fn(u8) -> bool| first.get(at).is_none_or(|b| fine(*b));
        let kinds: &[u8] =
            if side == Side::Out { &[REQUEST, BIND, ALTER, AUTH3, 17, 18, 19] } else { &[2, FAULT, 12, BIND_NAK, 15, 17, 18] };
        let fine = fits(0, &|b| b == 5)
            && fits(1, &|b| b <= 1)
            && fits(2, &|b| kinds.contains(&b))
            && fits(4, &|b| matches!(b, 0 | 0x10))
            && fits(5, &|b| b <= 3)
            && fits(6, &|b| b == 0)
            && fits(7, &|b| b == 0);
        match (fine, first.len() >= 16) {
            (true, true) if length(first).is_some_and(|n| n >= 16) => Sniff::Yes,
            (true, false) => Sniff::More,
            _ => Sniff::No,
        }
    }
    fn parser(&self, _ends: &Ends) -> Box<dyn Parser> {
        Box::new(Framed::new(Conversation::default()))
    }
}

fn little(head: &[u8]) -> bool {
    head.get(4).is_some_and(|b| b & 0x10 != 0)
}

fn number(head: &[u8], at: usize) -> Option<u16> {
    let mut b = Bytes::new(head.get(at..)?);
    if little(head) { b.u16_le() } else { b.u16() }
}

/// Length of the fragment that begins here.
fn length(head: &[u8]) -> Option<usize> {
    number(head, 8).map(usize::from)
}

#[derive(Default)]
struct Conversation {
    contexts: BTreeMap<u16, (String, Option<&'static Interface>)>,
    told: Told,
}

fn shown(context: &(String, Option<&'static Interface>)) -> String {
    context.1.map_or_else(|| context.0.clone(), |row| row.1.to_owned())
}

impl Conversation {
    fn bind(&mut self, message: &[u8], first: At, last: At, out: &mut Out) -> Option<()> {
        let count = *message.get(24)?;
        let mut at = 28usize;
        for _ in 0..count {
            let (id, syntaxes) = (number(message, at)?, usize::from(*message.get(at.checked_add(2)?)?));
            let mut number: [u8; 16] = message.get(at.checked_add(4)?..at.checked_add(20)?)?.try_into().ok()?;
            if !little(message) {
                number[0..4].reverse();
                number[4..6].reverse();
                number[6..8].reverse();
            }
            let context = interface(&number);
            // Ways of encoding are offered as further contexts of the same interface.
            if self.contexts.len() < MAX_CONTEXTS {
                let mut fields = Fields::default();
                fields.text(field::EXTRA, &serde_json::json!({ "interface": context.0 }).to_string());
                self.told.say("dcerpc", &format!("bind {}", shown(&context)), fields, first, last, out);
                self.contexts.insert(id, context);
            } else {
                out.partial = true;
            }
            at = at.checked_add(24)?.checked_add(syntaxes.checked_mul(20)?)?;
        }
        Some(())
    }
    fn call(&mut self, message: &[u8], first: At, last: At, out: &mut Out) -> Option<()> {
        let (context, operation) = (number(message, 20)?, number(message, 22)?);
        let known = self.contexts.get(&context);
        let name = known.and_then(|c| c.1).and_then(|row| row.2.iter().find(|o| o.0 == operation)).map(|o| o.1);
        let on = known.map_or_else(|| format!("context {context}"), shown);
        let what = name.map_or_else(|| format!("operation {operation}"), str::to_owned);
        self.told.say("dcerpc", &format!("{on} {what}"), Fields::default(), first, last, out);
        Some(())
    }
    fn login(&mut self, message: &[u8], first: At, last: At, out: &mut Out) {
        let Some(ntlm) = ntlm::find(message).filter(|n| n.kind == 3 && !n.user.is_empty()) else { return };
        out.flow.push((field::METHOD_AUTH, "ntlm".into()));
        out.flow.push((field::USER, ntlm.user.as_str().into()));
        let mut fields = Fields::default();
        fields.text(field::USER, &ntlm.user);
        fields.text(field::HOSTNAME, &ntlm.host);
        fields.text(field::METHOD_AUTH, "ntlm");
        fields.text(field::ACTION, "asked");
        self.told.say("dcerpc", &format!("login of {}", ntlm.user), fields, first, last, out);
    }
}

impl Messages for Conversation {
    fn cut(&self, _side: Side, unread: &[u8]) -> Cut {
        match unread {
            [5, 0 | 1, ..] => match length(unread) {
                Some(n) if n >= 16 => Cut::Frame(n),
                Some(_) => Cut::Over,
                None => Cut::More,
            },
            [] | [5] => Cut::More,
            _ => Cut::Over,
        }
    }
    fn message(&mut self, side: Side, message: &[u8], first: At, last: At, out: &mut Out) -> bool {
        match (side, message.get(2).copied().unwrap_or_default()) {
            (Side::Out, BIND | ALTER) => {
                if self.bind(message, first, last, out).is_none() {
                    out.oddities.push((Oddity::new("dcerpc_bind_malformed"), first.time, first.offset));
                }
                self.login(message, first, last, out);
            }
            (Side::Out, AUTH3) => self.login(message, first, last, out),
            // Only the first fragment of a call begins it.
            (Side::Out, REQUEST) if message.get(3).is_some_and(|f| f & 1 != 0) => {
                self.call(message, first, last, out);
            }
            (Side::In, BIND_NAK) => {
                let mut fields = Fields::default();
                fields.text(field::ACTION, "deny");
                self.told.say("dcerpc", "bind refused", fields, first, last, out);
            }
            (Side::In, FAULT) => {
                let mut b = Bytes::new(message.get(24..).unwrap_or_default());
                let status = if little(message) { b.u32_le() } else { b.u32() };
                let mut fields = Fields::default();
                fields.text(field::REASON, &format!("status 0x{:08x}", status.unwrap_or_default()));
                self.told.say("dcerpc", "fault", fields, first, last, out);
            }
            _ => {}
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Time;

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
