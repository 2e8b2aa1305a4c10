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
use std::collections::{BTreeMap, VecDeque};

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
/// Interfaces bound by one pipe.
const MAX_CONTEXTS: usize = 64;
/// Pipes of one connection whose interfaces are known: of more, those used last.
const MAX_PIPES: usize = 64;

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

/// An interface: its number as text, and what is known of it.
type Context = (String, Option<&'static Interface>);

/// What is known of the calls of a connection. Of pipes it carries several, told apart by a number.
#[derive(Default)]
pub struct Calls {
    /// Interfaces of each pipe by their number in it; the pipe that was used last is the last.
    pipes: VecDeque<(u64, BTreeMap<u16, Context>)>,
    /// A pipe was forgotten for another.
    forgot: bool,
    told: Told,
}

fn shown(context: &Context) -> String {
    context.1.map_or_else(|| context.0.clone(), |row| row.1.to_owned())
}

impl Calls {
    /// Takes what is known of a pipe out of the list.
    fn take(&mut self, pipe: u64) -> BTreeMap<u16, Context> {
        let found = self.pipes.iter().rposition(|p| p.0 == pipe);
        found.and_then(|i| self.pipes.remove(i)).map(|p| p.1).unwrap_or_default()
    }
    fn put(&mut self, pipe: u64, contexts: BTreeMap<u16, Context>) {
        if self.pipes.len() >= MAX_PIPES {
            self.pipes.pop_front();
            self.forgot = true;
        }
        self.pipes.push_back((pipe, contexts));
    }
    /// The number of a pipe is given again when it was closed: a bind begins anew, an alteration adds.
    fn bind(&mut self, pipe: u64, message: &[u8], first: At, last: At, out: &mut Out) -> Option<()> {
        let mut contexts = self.take(pipe);
        if message.get(2) == Some(&BIND) {
            contexts.clear();
        }
        let read = self.contexts(&mut contexts, message, first, last, out);
        self.put(pipe, contexts);
        read
    }
    fn contexts(
        &mut self,
        contexts: &mut BTreeMap<u16, Context>,
        message: &[u8],
        first: At,
        last: At,
        out: &mut Out,
    ) -> Option<()> {
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
            if contexts.len() < MAX_CONTEXTS || contexts.contains_key(&id) {
                let mut fields = Fields::default();
                fields.text(field::EXTRA, &serde_json::json!({ "interface": context.0 }).to_string());
                self.told.say("dcerpc", &format!("bind {}", shown(&context)), fields, first, last, out);
                contexts.insert(id, context);
            } else {
                out.partial = true;
            }
            at = at.checked_add(24)?.checked_add(syntaxes.checked_mul(20)?)?;
        }
        Some(())
    }
    fn call(&mut self, pipe: u64, message: &[u8], first: At, last: At, out: &mut Out) -> Option<()> {
        let (context, operation) = (number(message, 20)?, number(message, 22)?);
        let contexts = self.take(pipe);
        let known = contexts.get(&context);
        out.partial |= known.is_none() && self.forgot;
        let name = known.and_then(|c| c.1).and_then(|row| row.2.iter().find(|o| o.0 == operation)).map(|o| o.1);
        let on = known.map_or_else(|| format!("context {context}"), shown);
        let what = name.map_or_else(|| format!("operation {operation}"), str::to_owned);
        if !contexts.is_empty() {
            self.put(pipe, contexts);
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Time;

    const SVCCTL: &str = "367abb81-9844-35f1-ad32-98f038001003";
    const SAMR: &str = "12345778-1234-abcd-ef00-0123456789ac";
    const LSARPC: &str = "12345778-1234-abcd-ef00-0123456789ab";

    fn number(text: &str) -> Vec<u8> {
        let hex: String = text.chars().filter(|c| *c != '-').collect();
        let mut bytes: Vec<u8> = (0..16).map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap()).collect();
        bytes[0..4].reverse();
        bytes[4..6].reverse();
        bytes[6..8].reverse();
        bytes
    }

    fn pdu(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = (16 + body.len()) as u16;
        [&[5, 0, kind, 3, 0x10, 0, 0, 0], &length.to_le_bytes()[..], &[0, 0, 1, 0, 0, 0], body].concat()
    }

    fn asks(kind: u8, contexts: &[(u16, &str)]) -> Vec<u8> {
        let each = contexts
            .iter()
            .flat_map(|(id, text)| [&id.to_le_bytes()[..], &[1, 0], &number(text), &[2, 0, 0, 0], &[0; 20]].concat());
        pdu(kind, &[&[0; 8][..], &[contexts.len() as u8, 0, 0, 0], &each.collect::<Vec<u8>>()].concat())
    }

    fn call(context: u8, operation: u8) -> Vec<u8> {
        pdu(REQUEST, &[0, 0, 0, 0, context, 0, operation, 0])
    }

    fn said(fragments: &[(u64, Vec<u8>)]) -> (Vec<String>, bool) {
        let (mut calls, mut out, at) = (Calls::default(), Out::default(), At { time: Time(1), offset: 1 });
        fragments.iter().for_each(|(pipe, bytes)| calls.fragment(*pipe, Side::Out, bytes, at, at, &mut out));
        assert!(out.oddities.is_empty() && calls.pipes.len() <= MAX_PIPES);
        let message = |e: &crate::protocols::Understood| e.fields.iter().find(|f| f.0 == field::MESSAGE).unwrap().1.to_string();
        (out.events.iter().map(message).collect(), out.partial)
    }

    #[test]
    fn a_number_given_again_has_the_interfaces_of_its_new_bind() {
        let binds = [(7, asks(BIND, &[(0, SVCCTL), (1, LSARPC)])), (7, asks(BIND, &[(0, SAMR)]))];
        let calls = [(7, call(0, 13)), (7, call(1, 0))];
        let expected = ["bind svcctl", "bind lsarpc", "bind samr", "samr SamrEnumerateUsers", "context 1 operation 0"];
        assert_eq!(said(&[binds, calls].concat()), (expected.map(str::to_owned).to_vec(), false));
        // An alteration adds, and changes what it names again.
        let binds = [(7, asks(BIND, &[(0, SVCCTL)])), (7, asks(ALTER, &[(1, LSARPC)])), (7, asks(ALTER, &[(1, SAMR)]))];
        let calls = [(7, call(0, 12)), (7, call(1, 13))];
        let expected = ["bind svcctl", "bind lsarpc", "bind samr", "svcctl CreateServiceW", "samr SamrEnumerateUsers"];
        assert_eq!(said(&[&binds[..], &calls].concat()), (expected.map(str::to_owned).to_vec(), false));
    }

    #[test]
    fn pipe_after_pipe_is_named_and_the_one_unused_longest_forgotten() {
        let mut all = Vec::new();
        for pipe in 0..200 {
            all.push((pipe, asks(BIND, &[(0, SAMR), (1, SAMR), (2, SAMR)])));
            all.push((0, call(0, 13)));
        }
        all.push((200, asks(BIND, &[(0, SVCCTL)])));
        all.push((200, call(0, 12)));
        all.push((137, call(0, 5)));
        let named = ["bind samr", "samr SamrEnumerateUsers", "bind svcctl", "svcctl CreateServiceW"].map(str::to_owned);
        let mut expected = named.to_vec();
        // 200, 0 and the 62 before: 138 to 199.
        expected.push("context 0 operation 5".to_owned());
        assert_eq!(said(&all), (expected.clone(), true));
        all.pop();
        all.push((138, call(0, 5)));
        expected.pop();
        expected.push("samr SamrLookupDomain".to_owned());
        assert_eq!(said(&all), (expected, false));
    }
}
