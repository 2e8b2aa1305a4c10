//! Kerberos 5 (RFC 4120) over UDP and TCP: one event per exchange with the KDC, with client, service, encryption types and error. Old
//! encryption types in a service ticket are what roasting asks for. Reads nothing that is encrypted.

use super::common::ber;
use super::common::buffer::Buffer;
use super::common::bytes::{Bytes, text};
use super::common::fields::Fields;
use super::{At, Ends, Out, Parser, Protocol, Side, Sniff};
use crate::model::field;
use crate::model::oddity::Oddity;
use crate::model::proto::{TCP, UDP};
use crate::model::record::Kind;
use std::collections::VecDeque;

/// The protocol.
pub static PROTOCOL: Kerberos = Kerberos;

/// Unread bytes of one side of a TCP conversation.
const MAX_BUFFER: usize = 128 * 1024;
/// Requests that wait for their reply.
const MAX_PENDING: usize = 256;

const AS_REQ: u8 = 0x6a;
const AS_REP: u8 = 0x6b;
const TGS_REQ: u8 = 0x6c;
const TGS_REP: u8 = 0x6d;
const ERROR: u8 = 0x7e;

/// See [`PROTOCOL`].
#[derive(Debug)]
pub struct Kerberos;

impl Protocol for Kerberos {
    fn name(&self) -> &'static str {
        "kerberos"
    }
    fn doc(&self) -> &'static str {
        "Kerberos 5 exchanges with the KDC (RFC 4120)."
    }
    fn over(&self) -> &'static [u8] {
        &[TCP, UDP]
    }
    fn probe(&self, side: Side, first: &[u8], ends: &Ends) -> Sniff {
        let message = if ends.proto == TCP { first.get(4..).unwrap_or_default() } else { first };
        let tags: &[u8] = if side == Side::Out { &[AS_REQ, TGS_REQ] } else { &[AS_REP, TGS_REP, ERROR] };
        match ber::head(message) {
            Some((tag, skip, length)) if tags.contains(&tag) => {
                let whole = skip.saturating_add(length);
                let framed = ends.proto != TCP || Bytes::new(first).u32().is_some_and(|n| n as usize == whole);
                let sequence = message.get(skip).is_none_or(|b| *b == 0x30);
                if framed && sequence { Sniff::Yes } else { Sniff::No }
            }
            None if ends.proto == TCP && first.len() < 10 && matches!(first, [] | [0, ..]) => Sniff::More,
            _ => Sniff::No,
        }
    }
    fn parser(&self, ends: &Ends) -> Box<dyn Parser> {
        Box::new(Conversation { stream: ends.proto == TCP, buffers: Default::default(), pending: VecDeque::new() })
    }
}

/// What a message names.
#[derive(Default)]
struct Names {
    client: String,
    realm: String,
    service: String,
    types: Vec<i64>,
    error: Option<i64>,
    ticket: bool,
}

struct Conversation {
    stream: bool,
    buffers: [Buffer; 2],
    pending: VecDeque<(Names, At)>,
}

/// The name of a principal: its parts joined by `/`.
fn principal(value: &[u8]) -> Option<String> {
    let names = ber::find(ber::find(ber::find(value, 0x30)?, 0xa1)?, 0x30)?;
    Some(ber::items(names).map(|i| text(i.value, 255)).collect::<Vec<_>>().join("/"))
}

fn string(value: &[u8]) -> Option<String> {
    ber::items(value).next().map(|i| text(i.value, 255))
}

fn number(value: &[u8]) -> Option<i64> {
    ber::integer(ber::find(value, 2)?)
}

/// Reads a message: tag and names. `None`: it is none, or broken.
fn read(message: &[u8]) -> Option<(u8, Names)> {
    let (outer, _) = ber::item(message)?;
    let body = ber::find(outer.value, 0x30)?;
    let mut names = Names { ticket: matches!(outer.tag, TGS_REQ | TGS_REP), ..Names::default() };
    let name = |body: &[u8], tag: u8| ber::find(body, tag).and_then(principal).unwrap_or_default();
    let realm = |body: &[u8], tag: u8| ber::find(body, tag).and_then(string).unwrap_or_default();
    match outer.tag {
        AS_REQ | TGS_REQ => {
            let body = ber::find(ber::find(body, 0xa4)?, 0x30)?;
            names.client = name(body, 0xa1);
            names.realm = realm(body, 0xa2);
            names.service = name(body, 0xa3);
            let types = ber::find(body, 0xa8).and_then(|t| ber::find(t, 0x30)).unwrap_or_default();
            names.types = ber::items(types).filter_map(|i| ber::integer(i.value)).take(32).collect();
        }
        AS_REP | TGS_REP => {
            names.realm = realm(body, 0xa3);
            names.client = name(body, 0xa4);
            let ticket =
                ber::find(body, 0xa5).and_then(|t| ber::find(t, 0x61)).and_then(|t| ber::find(t, 0x30)).unwrap_or_default();
            names.service = name(ticket, 0xa2);
            let part = ber::find(ticket, 0xa3).and_then(|p| ber::find(p, 0x30)).and_then(|p| ber::find(p, 0xa0));
            names.types = part.and_then(number).into_iter().collect();
        }
        ERROR => {
            names.error = ber::find(body, 0xa6).and_then(number);
            names.client = name(body, 0xa8);
            names.realm = realm(body, 0xa9);
            names.service = name(body, 0xaa);
        }
        _ => return None,
    }
    Some((outer.tag, names))
}

/// The name of an encryption type (RFC 3961, RFC 4757).
fn type_name(kind: i64) -> String {
    match kind {
        1 => "des-cbc-crc".to_owned(),
        3 => "des-cbc-md5".to_owned(),
        16 => "des3-cbc-sha1".to_owned(),
        17 => "aes128-sha1".to_owned(),
        18 => "aes256-sha1".to_owned(),
        19 => "aes128-sha256".to_owned(),
        20 => "aes256-sha384".to_owned(),
        23 => "rc4-hmac".to_owned(),
        24 => "rc4-hmac-exp".to_owned(),
        other => other.to_string(),
    }
}

/// The name of an error (RFC 4120, 7.5.9).
fn error_name(code: i64) -> String {
    let name = match code {
        6 => "C_PRINCIPAL_UNKNOWN",
        7 => "S_PRINCIPAL_UNKNOWN",
        12 => "POLICY",
        14 => "ETYPE_NOSUPP",
        18 => "CLIENT_REVOKED",
        23 => "KEY_EXPIRED",
        24 => "PREAUTH_FAILED",
        25 => "PREAUTH_REQUIRED",
        32 => "TKT_EXPIRED",
        37 => "CLOCK_SKEW",
        41 => "MODIFIED",
        52 => "RESPONSE_TOO_BIG",
        68 => "WRONG_REALM",
        other => return format!("error {other}"),
    };
    name.to_owned()
}

impl Conversation {
    fn message(&mut self, bytes: &[u8], at: At, out: &mut Out) {
        let Some((tag, names)) = read(bytes) else {
            out.oddities.push((Oddity::new("kerberos_malformed"), at.time, at.offset));
            return;
        };
        if matches!(tag, AS_REQ | TGS_REQ) {
            if self.pending.len() >= MAX_PENDING {
                self.pending.pop_front();
            }
            self.pending.push_back((names, at));
            return;
        }
        let asked = self.pending.pop_front();
        out.confirmed |= asked.is_some();
        let first = asked.as_ref().map_or(at, |a| a.1);
        give(asked.map(|a| a.0), Some(names), first, at, out);
    }
}

fn give(asked: Option<Names>, reply: Option<Names>, first: At, last: At, out: &mut Out) {
    let any = |f: fn(&Names) -> &String| {
        let found = asked.iter().chain(&reply).map(f).find(|s| !s.is_empty());
        found.cloned().unwrap_or_default()
    };
    let ticket = asked.iter().chain(&reply).any(|n| n.ticket);
    let mut fields = Fields::default();
    fields.text(field::APP, "kerberos");
    fields.text(field::USER, &any(|n| &n.client));
    fields.text(field::METHOD_AUTH, if ticket { "kerberos ticket" } else { "kerberos" });
    let action = match reply.as_ref().map(|r| r.error) {
        None | Some(Some(25 | 52)) => "asked",
        Some(Some(_)) => "login_fail",
        Some(None) => "login_ok",
    };
    fields.text(field::ACTION, action);
    fields.text(field::REASON, &reply.as_ref().and_then(|r| r.error).map(error_name).unwrap_or_default());
    let list = |names: Option<&Names>| names.map(|n| n.types.iter().map(|t| type_name(*t)).collect::<Vec<_>>().join(","));
    let extra: serde_json::Map<String, serde_json::Value> = [
        ("service", Some(any(|n| &n.service))),
        ("realm", Some(any(|n| &n.realm))),
        ("offered", list(asked.as_ref())),
        ("ticket", list(reply.as_ref())),
    ]
    .into_iter()
    .filter_map(|(n, v)| Some((n.to_owned(), v.filter(|v| !v.is_empty())?.into())))
    .collect();
    if !extra.is_empty() {
        fields.text(field::EXTRA, &serde_json::Value::Object(extra).to_string());
    }
    out.events.push(fields.event(Kind::Auth, first, last));
}

impl Parser for Conversation {
    fn data(&mut self, side: Side, bytes: &[u8], at: At, out: &mut Out) {
        if !self.stream {
            return self.message(bytes, at, out);
        }
        let Some(mut buffer) = self.buffers.get_mut(usize::from(side == Side::In)).map(std::mem::take) else { return };
        if !buffer.push(bytes, at, MAX_BUFFER) {
            out.oddities.push((Oddity::new("kerberos_stream_too_long"), at.time, at.offset));
            out.done = true;
            return;
        }
        loop {
            let mut b = Bytes::new(buffer.unread());
            let Some(length) = b.u32() else { break };
            if length as usize > MAX_BUFFER {
                out.oddities.push((Oddity::at("kerberos_length_malformed", length.to_string()), at.time, at.offset));
                out.done = true;
                return;
            }
            let Some(message) = b.take(length as usize) else { break };
            self.message(message, buffer.first(at), out);
            buffer.skip((length as usize).saturating_add(4));
        }
        if let Some(slot) = self.buffers.get_mut(usize::from(side == Side::In)) {
            *slot = buffer;
        }
    }
    fn end(&mut self, out: &mut Out) {
        for (names, at) in self.pending.drain(..) {
            give(Some(names), None, at, at, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_that_are_cut_are_none() {
        assert!(read(&[AS_REQ, 2, 0x30, 0]).is_none());
        assert!(read(&[ERROR, 0x84, 0xff, 0xff, 0xff, 0xff]).is_none());
        // A bare error of code 6.
        let error = [ERROR, 9, 0x30, 7, 0xa6, 5, 2, 1, 6, 0, 0];
        assert_eq!(read(&error).and_then(|(_, n)| n.error), Some(6));
    }
}
