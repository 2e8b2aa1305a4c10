//! DCE/RPC messages (C706, MS-RPCE), as TCP and the pipes of SMB carry them: interfaces that are bound and operations that are called, each once,
//! and who calls. Arguments pass unread.

use super::bytes::Bytes;
use super::fields::Fields;
use super::ntlm;
use super::rpc_names::{Interface, interface};
use super::told::Told;
use crate::model::field;
use crate::model::oddity::Oddity;
use crate::protocols::{At, Out, Side};
use std::collections::BTreeMap;

/// A call.
pub const REQUEST: u8 = 0;
/// A call failed.
pub const FAULT: u8 = 3;
/// Interfaces are asked for.
pub const BIND: u8 = 11;
/// They are refused.
pub const BIND_NAK: u8 = 13;
/// Further interfaces are asked for.
pub const ALTER: u8 = 14;
/// The third step of a login.
pub const AUTH3: u8 = 16;
/// Interfaces bound by one connection.
const MAX_CONTEXTS: usize = 64;

fn little(head: &[u8]) -> bool {
    head.get(4).is_some_and(|b| b & 0x10 != 0)
}

fn number(head: &[u8], at: usize) -> Option<u16> {
    let mut b = Bytes::new(head.get(at..)?);
    if little(head) { b.u16_le() } else { b.u16() }
}

/// Length of the fragment that begins here.
pub fn length(head: &[u8]) -> Option<usize> {
    number(head, 8).map(usize::from)
}

/// Whether bytes look like the beginning of a fragment whose kind is one of some; as far as they go.
pub fn looks(first: &[u8], kinds: &[u8]) -> bool {
    let fits = |at: usize, fine: &dyn Fn(u8) -> bool| first.get(at).is_none_or(|b| fine(*b));
    fits(0, &|b| b == 5)
        && fits(1, &|b| b <= 1)
        && fits(2, &|b| kinds.contains(&b))
        && fits(4, &|b| matches!(b, 0 | 0x10))
        && fits(5, &|b| b <= 3)
        && fits(6, &|b| b == 0)
        && fits(7, &|b| b == 0)
}

/// Kinds of fragments that a client sends.
pub const ASKED: &[u8] = &[REQUEST, BIND, ALTER, AUTH3, 17, 18, 19];
/// Kinds of fragments that a server sends.
pub const ANSWERED: &[u8] = &[2, FAULT, 12, BIND_NAK, 15, 17, 18];

/// What is known of the calls of a connection. Of pipes it carries several, told apart by a number.
#[derive(Default)]
pub struct Calls {
    contexts: BTreeMap<(u64, u16), (String, Option<&'static Interface>)>,
    told: Told,
}

fn shown(context: &(String, Option<&'static Interface>)) -> String {
    context.1.map_or_else(|| context.0.clone(), |row| row.1.to_owned())
}

impl Calls {
    fn bind(&mut self, pipe: u64, message: &[u8], first: At, last: At, out: &mut Out) -> Option<()> {
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
                self.contexts.insert((pipe, id), context);
            } else {
                out.partial = true;
            }
            at = at.checked_add(24)?.checked_add(syntaxes.checked_mul(20)?)?;
        }
        Some(())
    }
    fn call(&mut self, pipe: u64, message: &[u8], first: At, last: At, out: &mut Out) -> Option<()> {
        let (context, operation) = (number(message, 20)?, number(message, 22)?);
        let known = self.contexts.get(&(pipe, context));
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
    /// Takes a fragment of a pipe, or of the connection itself.
    pub fn fragment(&mut self, pipe: u64, side: Side, message: &[u8], first: At, last: At, out: &mut Out) {
        match (side, message.get(2).copied().unwrap_or_default()) {
            (Side::Out, BIND | ALTER) => {
                if self.bind(pipe, message, first, last, out).is_none() {
                    out.oddities.push((Oddity::new("dcerpc_bind_malformed"), first.time, first.offset));
                }
                self.login(message, first, last, out);
            }
            (Side::Out, AUTH3) => self.login(message, first, last, out),
            // Only the first fragment of a call begins it.
            (Side::Out, REQUEST) if message.get(3).is_some_and(|f| f & 1 != 0) => {
                self.call(pipe, message, first, last, out);
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
    }
}
