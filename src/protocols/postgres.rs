//! PostgreSQL's start-up (PostgreSQL documentation, "Message Formats"): user, database, how a login is attempted and its outcome. Queries pass
//! unread. Keeps no password.

use super::common::buffer::Buffer;
use super::common::bytes::{Bytes, text};
use super::common::fields::Fields;
use super::{At, Ends, Out, Parser, Protocol, Side, Sniff};
use crate::model::field;
use crate::model::oddity::Oddity;
use crate::model::proto::TCP;
use crate::model::record::Kind;

/// The protocol.
pub static PROTOCOL: Postgres = Postgres;

/// Unread bytes of one side.
const MAX_BUFFER: usize = 64 * 1024;
/// Version 3.0 of the protocol, as a start-up states it.
const VERSION_3: u32 = 0x0003_0000;
/// The wish for TLS.
const SSL: u32 = 80_877_103;

/// See [`PROTOCOL`].
#[derive(Debug)]
pub struct Postgres;

impl Protocol for Postgres {
    fn name(&self) -> &'static str {
        "postgres"
    }
    fn doc(&self) -> &'static str {
        "PostgreSQL, start-up (frontend/backend protocol 3.0)."
    }
    fn over(&self) -> &'static [u8] {
        &[TCP]
    }
    fn probe(&self, side: Side, first: &[u8], _ends: &Ends) -> Sniff {
        if side == Side::In || !matches!(first, [] | [0] | [0, 0, ..]) {
            return Sniff::No;
        }
        let mut b = Bytes::new(first);
        match (b.u32(), b.u32()) {
            (Some(8), Some(SSL)) => Sniff::Yes,
            (Some(9..=10_000), Some(VERSION_3)) => Sniff::Yes,
            (_, None) => Sniff::More,
            _ => Sniff::No,
        }
    }
    fn parser(&self, _ends: &Ends) -> Box<dyn Parser> {
        Box::<Conversation>::default()
    }
}

#[derive(Default)]
struct Conversation {
    buffers: [Buffer; 2],
    /// The client asked for TLS: one byte answers.
    wants_tls: bool,
    started: Option<At>,
    user: String,
    database: String,
    method: &'static str,
    over: bool,
}

impl Conversation {
    fn start(&mut self, body: &[u8], at: At) {
        let mut words = body.split(|b| *b == 0);
        while let (Some(name), Some(value)) = (words.next().filter(|n| !n.is_empty()), words.next()) {
            match name {
                b"user" => self.user = text(value, 128),
                b"database" => self.database = text(value, 128),
                _ => {}
            }
        }
        self.started = Some(at);
    }
    fn give(&mut self, action: &str, reason: &str, at: At, out: &mut Out) {
        let Some(first) = self.started.take() else { return };
        let mut fields = Fields::default();
        fields.text(field::APP, "postgres");
        fields.text(field::USER, &self.user);
        fields.text(field::METHOD_AUTH, self.method);
        fields.text(field::ACTION, action);
        fields.text(field::REASON, reason);
        if !self.database.is_empty() {
            fields.text(field::EXTRA, &serde_json::json!({ "database": self.database }).to_string());
        }
        if action == "login_ok" {
            out.flow.push((field::USER, self.user.as_str().into()));
        }
        out.events.push(fields.event(Kind::Auth, first, at));
        (out.done, self.over) = (true, true);
    }
    fn answer(&mut self, kind: u8, body: &[u8], at: At, out: &mut Out) {
        match kind {
            b'R' => {
                out.confirmed = true;
                match Bytes::new(body).u32() {
                    Some(0) => self.give("login_ok", "", at, out),
                    Some(3) => self.method = "password",
                    Some(5) => self.method = "md5",
                    Some(7) => self.method = "gss",
                    Some(9) => self.method = "sspi",
                    Some(10) => self.method = "sasl",
                    _ => {}
                }
            }
            b'E' => {
                out.confirmed = true;
                let said = body.split(|b| *b == 0).find_map(|f| f.strip_prefix(b"M")).unwrap_or_default();
                self.give("login_fail", &text(said, 255), at, out);
            }
            _ => {}
        }
    }
}

impl Parser for Conversation {
    fn data(&mut self, side: Side, bytes: &[u8], at: At, out: &mut Out) {
        let Some(mut buffer) = self.buffers.get_mut(usize::from(side == Side::In)).map(std::mem::take) else { return };
        // What a client sends after its start-up is not needed, and may be long.
        if side == Side::Out && self.started.is_some() {
            return;
        }
        if self.over || !buffer.push(bytes, at, MAX_BUFFER) {
            out.done = true;
            return;
        }
        while !self.over {
            let mut b = Bytes::new(buffer.unread());
            let first = buffer.first(at);
            if side == Side::In && std::mem::take(&mut self.wants_tls) {
                match b.u8() {
                    Some(b'S') => (out.restart, out.done, self.over) = (true, true, true),
                    Some(_) => {}
                    None => self.wants_tls = true,
                }
                let used = b.at();
                buffer.skip(used);
                if used == 0 {
                    break;
                }
                continue;
            }
            let kind = if side == Side::In { b.u8() } else { Some(0) };
            let (Some(kind), Some(length)) = (kind, b.u32()) else { break };
            let Some(length) = (length as usize).checked_sub(4).filter(|l| *l <= MAX_BUFFER) else {
                out.oddities.push((Oddity::new("postgres_malformed"), first.time, first.offset));
                (out.done, self.over) = (true, true);
                break;
            };
            let Some(body) = b.take(length) else { break };
            let used = b.at();
            if side == Side::In {
                self.answer(kind, body, at, out);
            } else {
                let mut code = Bytes::new(body);
                match code.u32() {
                    Some(SSL) => self.wants_tls = true,
                    Some(VERSION_3) => self.start(code.rest(), first),
                    _ => {}
                }
            }
            buffer.skip(used);
            if self.started.is_some() && side == Side::Out {
                buffer.clear();
                break;
            }
        }
        if let Some(slot) = self.buffers.get_mut(usize::from(side == Side::In)) {
            *slot = buffer;
        }
    }
    fn end(&mut self, out: &mut Out) {
        if let Some(first) = self.started {
            self.give("asked", "", first, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Time;

    #[test]
    fn a_refused_login_names_user_database_and_reason() {
        let at = At { time: Time(1), offset: 1 };
        let mut start = b"\0\0\0\0\0\x03\0\0user\0bob\0database\0shop\0\0".to_vec();
        start[3] = start.len() as u8;
        let (mut c, mut out) = (Conversation::default(), Out::default());
        c.data(Side::Out, &[0, 0, 0, 8, 4, 210, 22, 47], at, &mut out);
        c.data(Side::In, b"N", at, &mut out);
        start.iter().for_each(|b| c.data(Side::Out, &[*b], at, &mut out));
        c.data(Side::In, b"R\0\0\0\x0c\0\0\0\x05saltE\0\0\0\x0fSFATAL\0Mno\0", at, &mut out);
        let shown: String = out.events[0].fields.iter().map(|(f, v)| format!("{}={v} ", field::name(*f))).collect();
        assert_eq!(shown, "app=postgres action=login_fail reason=no user=bob auth.method=md5 extra={\"database\":\"shop\"} ");
    }

    #[test]
    fn tls_is_handed_over() {
        let at = At { time: Time(1), offset: 1 };
        let (mut c, mut out) = (Conversation::default(), Out::default());
        c.data(Side::Out, &[0, 0, 0, 8, 4, 210, 22, 47], at, &mut out);
        c.data(Side::In, b"S", at, &mut out);
        assert!(out.restart && out.done);
    }
}
