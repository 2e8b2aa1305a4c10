//! MySQL's and MariaDB's connection phase (MySQL Internals, "Client/Server Protocol"): version of the server, and the login with its outcome.
//! Queries pass unread. Keeps no password.

use super::common::buffer::Buffer;
use super::common::bytes::{Bytes, text};
use super::common::fields::Fields;
use super::{At, Ends, Out, Parser, Protocol, Side, Sniff};
use crate::model::field;
use crate::model::oddity::Oddity;
use crate::model::proto::TCP;
use crate::model::record::Kind;

/// The protocol.
pub static PROTOCOL: Mysql = Mysql;

/// Unread bytes of one side.
const MAX_BUFFER: usize = 64 * 1024;
/// The client's capability to go on in TLS.
const SSL: u32 = 0x800;

/// See [`PROTOCOL`].
#[derive(Debug)]
pub struct Mysql;

impl Protocol for Mysql {
    fn name(&self) -> &'static str {
        "mysql"
    }
    fn doc(&self) -> &'static str {
        "MySQL and MariaDB, connection phase."
    }
    fn over(&self) -> &'static [u8] {
        &[TCP]
    }
    fn probe(&self, side: Side, first: &[u8], _ends: &Ends) -> Sniff {
        if side == Side::Out {
            return Sniff::No;
        }
        match first {
            [_, 0, 0, 0, 10, rest @ ..] => {
                let version = rest.split(|b| *b == 0).next().unwrap_or_default();
                let fine = version.first().is_some_and(u8::is_ascii_digit) && version.iter().all(u8::is_ascii_graphic);
                match (version.len() < rest.len(), fine) {
                    (true, true) => Sniff::Yes,
                    (false, _) if rest.len() < 64 => Sniff::More,
                    _ => Sniff::No,
                }
            }
            // Access is refused before any greeting.
            [_, 0, 0, 0, 0xff, code @ ..] if code.get(..2).is_some_and(|c| matches!(c, [0x10 | 0x69 | 0x6a, 4])) => Sniff::Yes,
            [] | [_] | [_, 0] | [_, 0, 0] | [_, 0, 0, 0] => Sniff::More,
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
    greeted: bool,
    login: Option<(String, String, At)>,
    over: bool,
}

impl Conversation {
    fn packet(&mut self, side: Side, body: &[u8], first: At, at: At, out: &mut Out) -> Option<()> {
        let mut b = Bytes::new(body);
        if side == Side::In && !self.greeted {
            self.greeted = true;
            let kind = b.u8()?;
            if kind == 0xff {
                // Refused before any greeting: the host may not connect.
                let mut fields = Fields::default();
                fields.text(field::APP, "mysql");
                fields.text(field::ACTION, "deny");
                fields.text(field::REASON, &format!("{} {}", b.u16_le()?, text(b.rest(), 255)));
                out.events.push(fields.event(Kind::Log, first, at));
            }
            if kind == 10 {
                let version = text(b.rest().split(|b| *b == 0).next()?, 128);
                out.flow.push((field::VERSION, version.into()));
            }
        } else if side == Side::Out && self.login.is_none() {
            let flags = b.u32_le()?;
            b.take(28)?;
            if b.left() == 0 && flags & SSL != 0 {
                (out.restart, out.done, self.over) = (true, true, true);
                return Some(());
            }
            let mut words = b.rest().split(|b| *b == 0);
            let user = text(words.next()?, 128);
            // After the user stand the answer to the challenge (with its length) and the database, if that capability is set.
            let mut rest = Bytes::new(b.rest().get(user.len().saturating_add(1)..).unwrap_or_default());
            let database = if flags & 8 != 0 && rest.list8().is_some() { rest.rest().split(|b| *b == 0).next() } else { None };
            self.login = Some((user, database.map(|d| text(d, 128)).unwrap_or_default(), first));
        } else if side == Side::In {
            let kind = b.u8()?;
            // 0xfe asks to switch, 0x01 says more: the login goes on.
            if let (0 | 0xff, Some((user, database, first))) = (kind, self.login.take_if(|_| matches!(kind, 0 | 0xff))) {
                out.confirmed = true;
                let mut fields = Fields::default();
                fields.text(field::APP, "mysql");
                fields.text(field::USER, &user);
                fields.text(field::ACTION, if kind == 0 { "login_ok" } else { "login_fail" });
                if kind == 0xff {
                    let code = b.u16_le()?;
                    let said = text(b.rest(), 255);
                    fields.text(field::REASON, &format!("{code} {said}"));
                } else {
                    out.flow.push((field::USER, user.into()));
                }
                if !database.is_empty() {
                    fields.text(field::EXTRA, &serde_json::json!({ "database": database }).to_string());
                }
                out.events.push(fields.event(Kind::Auth, first, at));
                (out.done, self.over) = (true, true);
            }
        }
        Some(())
    }
}

impl Parser for Conversation {
    fn data(&mut self, side: Side, bytes: &[u8], at: At, out: &mut Out) {
        let Some(mut buffer) = self.buffers.get_mut(usize::from(side == Side::In)).map(std::mem::take) else { return };
        if self.over || !buffer.push(bytes, at, MAX_BUFFER) {
            out.done = true;
            return;
        }
        while !self.over {
            let mut b = Bytes::new(buffer.unread());
            let Some(length) = b.array::<3>().map(|[a, b, c]| u32::from_le_bytes([a, b, c, 0]) as usize) else { break };
            let Some(body) = b.take(1).and_then(|_| b.take(length)) else { break };
            let first = buffer.first(at);
            if self.packet(side, body, first, at, out).is_none() {
                out.oddities.push((Oddity::new("mysql_malformed"), first.time, first.offset));
                (out.done, self.over) = (true, true);
            }
            buffer.skip(length.saturating_add(4));
        }
        if let Some(slot) = self.buffers.get_mut(usize::from(side == Side::In)) {
            *slot = buffer;
        }
    }
    fn end(&mut self, out: &mut Out) {
        if let Some((user, _, first)) = self.login.take() {
            let mut fields = Fields::default();
            fields.text(field::APP, "mysql");
            fields.text(field::USER, &user);
            fields.text(field::ACTION, "asked");
            out.events.push(fields.event(Kind::Auth, first, first));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Time;

    #[test]
    fn a_refused_login_names_user_and_database() {
        let at = At { time: Time(1), offset: 1 };
        let packet = |n: u8, body: &[u8]| [&[body.len() as u8, 0, 0, n], body].concat();
        let mut login = 8u32.to_le_bytes().to_vec();
        login.resize(32, 0);
        login.extend(b"bob\0\x02xxshop\0");
        let (mut c, mut out) = (Conversation::default(), Out::default());
        c.data(Side::In, &packet(0, b"\x0a8.0.1\0more"), at, &mut out);
        packet(1, &login).iter().for_each(|b| c.data(Side::Out, &[*b], at, &mut out));
        c.data(Side::In, &packet(2, b"\xff\x15\x04#28000no"), at, &mut out);
        let shown: String = out.events[0].fields.iter().map(|(f, v)| format!("{}={v} ", field::name(*f))).collect();
        assert_eq!(shown, "app=mysql action=login_fail reason=1045 #28000no user=bob extra={\"database\":\"shop\"} ");
        assert!(out.done);
    }
}
