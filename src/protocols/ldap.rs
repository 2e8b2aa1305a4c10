//! LDAP version 3 (RFC 4511) over TCP, and over UDP as domain controllers are looked for: binds with their outcome, and the start of TLS. Searches pass unread. Keeps no password.

use super::common::ber;
use super::common::buffer::Buffer;
use super::common::bytes::text;
use super::common::fields::Fields;
use super::common::ntlm;
use super::{At, Ends, Out, Parser, Protocol, Side, Sniff};
use crate::model::field;
use crate::model::oddity::Oddity;
use crate::model::proto::{TCP, UDP};
use crate::model::record::Kind;
use std::collections::VecDeque;

/// The protocol.
pub static PROTOCOL: Ldap = Ldap;

/// Longest message that is read; longer ones (entries with photos) are passed over.
const MAX_MESSAGE: usize = 64 * 1024;
/// Binds that wait for their answer.
const MAX_PENDING: usize = 64;

/// See [`PROTOCOL`].
#[derive(Debug)]
pub struct Ldap;

impl Protocol for Ldap {
    fn name(&self) -> &'static str {
        "ldap"
    }
    fn doc(&self) -> &'static str {
        "Lightweight Directory Access Protocol 3: binds (RFC 4511)."
    }
    fn over(&self) -> &'static [u8] {
        &[TCP, UDP]
    }
    fn probe(&self, side: Side, first: &[u8], _ends: &Ends) -> Sniff {
        let tags: &[u8] = if side == Side::Out { &[0x60, 0x63, 0x77] } else { &[0x61, 0x64, 0x65, 0x78] };
        if !matches!(first, [] | [0x30, ..]) {
            return Sniff::No;
        }
        let Some((_, skip, length)) = ber::head(first) else {
            return if first.len() < 6 { Sniff::More } else { Sniff::No };
        };
        // A message number of one to four bytes, then the operation.
        match first.get(skip..).unwrap_or_default() {
            [2, n @ 1..=4, rest @ ..] if length > usize::from(*n).saturating_add(2) => match rest.get(usize::from(*n)) {
                Some(tag) if tags.contains(tag) => Sniff::Yes,
                Some(_) => Sniff::No,
                None => Sniff::More,
            },
            [] | [2] => Sniff::More,
            _ => Sniff::No,
        }
    }
    fn parser(&self, _ends: &Ends) -> Box<dyn Parser> {
        Box::<Conversation>::default()
    }
}

/// A bind or a wish for TLS that waits.
struct Waiting {
    id: i64,
    tls: bool,
    user: String,
    method: String,
    ntlm: Option<ntlm::Ntlm>,
    at: At,
}

#[derive(Default)]
struct Half {
    buffer: Buffer,
    /// Bytes of a long message that are passed over.
    skip: usize,
}

#[derive(Default)]
struct Conversation {
    halves: [Half; 2],
    pending: VecDeque<Waiting>,
    over: bool,
}

impl Conversation {
    fn message(&mut self, message: &[u8], first: At, last: At, out: &mut Out) -> Option<()> {
        let mut parts = ber::items(message);
        let id = parts.next().filter(|i| i.tag == 2).and_then(|i| ber::integer(i.value))?;
        let operation = parts.next()?;
        match operation.tag {
            0x60 => {
                let mut parts = ber::items(operation.value);
                let (_, name, how) = (parts.next()?, parts.next()?, parts.next()?);
                let (method, blob) = match how.tag {
                    0x80 => ("simple".to_owned(), &[][..]),
                    0xa3 => {
                        let mut sasl = ber::items(how.value);
                        (text(sasl.next()?.value, 64).to_ascii_lowercase(), sasl.next().map_or(&[][..], |i| i.value))
                    }
                    // Microsoft's own steps carry NTLM bare.
                    _ => ("ntlm".to_owned(), how.value),
                };
                let method = match method.as_str() {
                    "gss-spnego" | "gssapi" if ntlm::find(blob).is_some() => "ntlm".to_owned(),
                    "gss-spnego" | "gssapi" if kerberos(blob) => "kerberos".to_owned(),
                    _ => method,
                };
                if matches!(method.as_str(), "ntlm" | "kerberos") {
                    out.flow.push((field::METHOD_AUTH, method.as_str().into()));
                }
                let waiting = Waiting { id, tls: false, user: text(name.value, 255), method, ntlm: ntlm::find(blob), at: first };
                self.wait(waiting);
            }
            0x77 if ber::find(operation.value, 0x80) == Some(b"1.3.6.1.4.1.1466.20037") => {
                self.wait(Waiting { id, tls: true, user: String::new(), method: String::new(), ntlm: None, at: first });
            }
            0x61 | 0x78 => {
                let code = ber::items(operation.value).next().filter(|i| i.tag == 10).and_then(|i| ber::integer(i.value))?;
                let reason = ber::items(operation.value).nth(2).map(|i| text(i.value, 255)).unwrap_or_default();
                let asked = self.pending.iter().position(|p| p.id == id).and_then(|i| self.pending.remove(i));
                let Some(asked) = asked else { return Some(()) };
                out.confirmed = true;
                if asked.tls {
                    self.over = code == 0;
                    (out.restart, out.done) = (self.over, self.over);
                } else if code != 14 {
                    bound(asked, code, &reason, last, out);
                }
            }
            _ => {}
        }
        Some(())
    }
    fn wait(&mut self, waiting: Waiting) {
        if self.pending.len() >= MAX_PENDING {
            self.pending.pop_front();
        }
        self.pending.push_back(waiting);
    }
}

/// Whether a GSSAPI token offers Kerberos (RFC 4121, and Microsoft's older number for it) first.
fn kerberos(token: &[u8]) -> bool {
    let standard = b"\x2a\x86\x48\x86\xf7\x12\x01\x02\x02";
    let microsoft = b"\x2a\x86\x48\x82\xf7\x12\x01\x02\x02";
    let head = token.get(..token.len().min(96)).unwrap_or_default();
    memchr::memmem::find(head, standard).is_some() || memchr::memmem::find(head, microsoft).is_some()
}

fn bound(asked: Waiting, code: i64, reason: &str, last: At, out: &mut Out) {
    let mut fields = Fields::default();
    fields.text(field::APP, "ldap");
    let ntlm = asked.ntlm.unwrap_or_default();
    let user = if ntlm.user.is_empty() { asked.user } else { ntlm.user };
    fields.text(field::USER, &user);
    fields.text(field::HOSTNAME, &ntlm.host);
    fields.text(field::METHOD_AUTH, &asked.method);
    fields.text(field::ACTION, if code == 0 { "login_ok" } else { "login_fail" });
    let anonymous = code == 0 && user.is_empty() && asked.method == "simple";
    let said = match (anonymous, code) {
        (true, _) => "anonymous".to_owned(),
        (_, 0) => String::new(),
        (_, 49) => format!("invalidCredentials {reason}"),
        (_, code) => format!("result {code} {reason}"),
    };
    fields.text(field::REASON, said.trim_end_matches(['\0', ' ']));
    if !ntlm.domain.is_empty() {
        fields.text(field::EXTRA, &serde_json::json!({ "domain": ntlm.domain }).to_string());
    }
    out.events.push(fields.event(Kind::Auth, asked.at, last));
}

impl Parser for Conversation {
    fn data(&mut self, side: Side, mut bytes: &[u8], at: At, out: &mut Out) {
        let index = usize::from(side == Side::In);
        while !bytes.is_empty() && !self.over {
            let Some(mut half) = self.halves.get_mut(index).map(std::mem::take) else { return };
            let passed = half.skip.min(bytes.len());
            half.skip = half.skip.saturating_sub(passed);
            let (now, rest) =
                bytes.get(passed..).unwrap_or_default().split_at(bytes.len().saturating_sub(passed).min(MAX_MESSAGE));
            bytes = rest;
            let _ = half.buffer.push(now, at, MAX_MESSAGE.saturating_mul(2));
            loop {
                let unread = half.buffer.unread();
                let Some((tag, skip, length)) = ber::head(unread) else {
                    self.over = unread.len() >= 6;
                    break;
                };
                // Signed or sealed from here on: a length stands before each piece.
                if tag != 0x30 {
                    self.over = true;
                    break;
                }
                let whole = skip.saturating_add(length);
                if whole > MAX_MESSAGE {
                    half.skip = whole.saturating_sub(unread.len());
                    half.buffer.skip(whole);
                    continue;
                }
                let Some(message) = unread.get(skip..whole).map(<[u8]>::to_vec) else { break };
                let first = half.buffer.first(at);
                half.buffer.skip(whole);
                if self.message(&message, first, at, out).is_none() {
                    out.oddities.push((Oddity::new("ldap_malformed"), first.time, first.offset));
                }
                if self.over {
                    break;
                }
            }
            if let Some(slot) = self.halves.get_mut(index) {
                *slot = half;
            }
        }
        out.done |= self.over;
    }
    fn end(&mut self, out: &mut Out) {
        self.pending.clear();
        out.done = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Time;

    #[test]
    fn a_bind_has_its_outcome_and_no_password() {
        let at = At { time: Time(1), offset: 1 };
        let bind = b"\x30\x13\x02\x01\x01\x60\x0e\x02\x01\x03\x04\x04cn=a\x80\x03pwd";
        let answer = b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x31\x04\0\x04\0";
        let (mut c, mut out) = (Conversation::default(), Out::default());
        bind.iter().for_each(|b| c.data(Side::Out, &[*b], at, &mut out));
        c.data(Side::In, answer, at, &mut out);
        let shown: String = out.events[0].fields.iter().map(|(f, v)| format!("{}={v} ", field::name(*f))).collect();
        assert_eq!(shown, "app=ldap action=login_fail reason=invalidCredentials user=cn=a auth.method=simple ");
    }

    #[test]
    fn a_long_message_is_passed_over() {
        let at = At { time: Time(1), offset: 1 };
        let mut long = vec![0x30, 0x83, 0x03, 0, 0];
        long.resize(5 + 0x03_0000, 0);
        long.extend(b"\x30\x13\x02\x01\x01\x60\x0e\x02\x01\x03\x04\x04cn=a\x80\x03pwd");
        let (mut c, mut out) = (Conversation::default(), Out::default());
        c.data(Side::Out, &long, at, &mut out);
        assert_eq!(c.pending.len(), 1);
    }
}
