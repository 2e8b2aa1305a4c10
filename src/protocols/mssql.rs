//! TDS, the protocol of Microsoft SQL Server (MS-TDS): version of the server, and logins in clear with their outcome. A login inside TLS
//! cannot be read. Queries pass unread; keeps no password.

use super::common::bytes::{Bytes, utf16};
use super::common::fields::Fields;
use super::common::framed::{Cut, Framed, Messages};
use super::common::ntlm;
use super::{At, Ends, Out, Parser, Protocol, Side, Sniff};
use crate::model::field;
use crate::model::oddity::Oddity;
use crate::model::proto::TCP;
use crate::model::record::Kind;

/// The protocol.
pub static PROTOCOL: Mssql = Mssql;

const RESPONSE: u8 = 4;
const LOGIN: u8 = 0x10;
const PRELOGIN: u8 = 0x12;

/// See [`PROTOCOL`].
#[derive(Debug)]
pub struct Mssql;

impl Protocol for Mssql {
    fn name(&self) -> &'static str {
        "mssql"
    }
    fn doc(&self) -> &'static str {
        "Microsoft SQL Server, connection phase (MS-TDS)."
    }
    fn over(&self) -> &'static [u8] {
        &[TCP]
    }
    fn probe(&self, side: Side, first: &[u8], _ends: &Ends) -> Sniff {
        let kind = if side == Side::Out { PRELOGIN } else { RESPONSE };
        match first {
            // Type, last packet, length, process, number, window; then the first option (version) of a list that ends with 0xff.
            [k, 0 | 1, a, b, _, _, _, 0, 0, 0, offset, ..] if *k == kind => {
                let length = u16::from_be_bytes([*a, *b]);
                let fits = (16..=4096).contains(&length) && (6..=128).contains(offset);
                if fits && first.get(11..13) == Some(&[0, 6]) {
                    Sniff::Yes
                } else if fits && first.len() < 13 {
                    Sniff::More
                } else {
                    Sniff::No
                }
            }
            [k, 0 | 1, ..] if *k == kind && first.len() < 11 => Sniff::More,
            [] => Sniff::More,
            [k] if *k == kind => Sniff::More,
            // A login without anything before it.
            [LOGIN, 1, ..] if side == Side::Out && first.len() >= 16 => {
                let inner = first.get(8..12).map(Bytes::new).and_then(|mut b| b.u32_le());
                let length = first.get(2..4).map(Bytes::new).and_then(|mut b| b.u16());
                if inner.is_some() && inner == length.map(|l| u32::from(l).saturating_sub(8)) { Sniff::Yes } else { Sniff::No }
            }
            [LOGIN, 1, ..] | [LOGIN] if side == Side::Out && first.len() < 16 => Sniff::More,
            _ => Sniff::No,
        }
    }
    fn parser(&self, _ends: &Ends) -> Box<dyn Parser> {
        Box::new(Framed::new(Conversation::default()))
    }
}

#[derive(Default)]
struct Conversation {
    login: Option<(Fields, At)>,
    greeted: bool,
}

/// A text of a login: offset and length in characters stand at a place.
fn word(login: &[u8], at: usize) -> Option<String> {
    let mut b = Bytes::new(login.get(at..)?);
    let (offset, length) = (usize::from(b.u16_le()?), usize::from(b.u16_le()?));
    Some(utf16(login.get(offset..offset.checked_add(length.checked_mul(2)?)?)?, 128))
}

impl Conversation {
    fn asked(&mut self, login: &[u8], first: At, out: &mut Out) -> Option<()> {
        let (host, user, program, server) = (word(login, 36)?, word(login, 40)?, word(login, 48)?, word(login, 52)?);
        let database = word(login, 68)?;
        let mut fields = Fields::default();
        fields.text(field::APP, "mssql");
        let integrated = login.get(25).is_some_and(|f| f & 0x80 != 0);
        let ntlm = ntlm::find(login).unwrap_or_default();
        fields.text(field::USER, if user.is_empty() { &ntlm.user } else { &user });
        fields.text(field::HOSTNAME, &host);
        fields.text(field::PROCESS, &program);
        fields.text(field::METHOD_AUTH, if integrated { "integrated" } else { "password" });
        let extra: serde_json::Map<String, serde_json::Value> = [("server", server), ("database", database)]
            .into_iter()
            .filter(|(_, v)| !v.is_empty())
            .map(|(n, v)| (n.to_owned(), v.into()))
            .collect();
        if !extra.is_empty() {
            fields.text(field::EXTRA, &serde_json::Value::Object(extra).to_string());
        }
        if !user.is_empty() {
            out.flow.push((field::USER, user.into()));
        }
        self.login = Some((fields, first));
        Some(())
    }
    /// The first token of an answer to a login: an error says why it failed.
    fn answered(&mut self, body: &[u8], last: At, out: &mut Out) {
        let Some(token) = body.first().filter(|t| matches!(t, 0xaa | 0xad | 0xe3 | 0xab)) else { return };
        let Some((mut fields, first)) = self.login.take() else { return };
        let refused = *token == 0xaa;
        fields.text(field::ACTION, if refused { "login_fail" } else { "login_ok" });
        if refused {
            let mut b = Bytes::new(body);
            let _ = b.take(3);
            let number = b.u32_le().unwrap_or(0);
            let _ = b.take(2);
            let length = usize::from(b.u16_le().unwrap_or(0)).saturating_mul(2);
            fields.text(field::REASON, &format!("{number} {}", utf16(b.take(length).unwrap_or_default(), 255)));
        }
        out.events.push(fields.event(Kind::Auth, first, last));
    }
}

impl Messages for Conversation {
    fn cut(&self, _side: Side, unread: &[u8]) -> Cut {
        match unread {
            [0x01..=0x12, flags, a, b, ..] if *flags < 0x20 => match u16::from_be_bytes([*a, *b]) {
                length @ 8.. => Cut::Frame(usize::from(length)),
                _ => Cut::Over,
            },
            // Encrypted from here on.
            [0x01..=0x12, ..] | [] if unread.len() < 4 => Cut::More,
            _ => Cut::Over,
        }
    }
    fn message(&mut self, side: Side, message: &[u8], first: At, last: At, out: &mut Out) -> bool {
        let (kind, body) = (message.first().copied().unwrap_or(0), message.get(8..).unwrap_or_default());
        match (side, kind) {
            (Side::Out, LOGIN) if self.asked(body, first, out).is_none() => {
                out.oddities.push((Oddity::new("mssql_malformed"), first.time, first.offset));
            }
            (Side::In, RESPONSE) if !self.greeted && self.login.is_none() => {
                self.greeted = true;
                let at = body.get(1..3).map(Bytes::new).and_then(|mut b| b.u16()).map(usize::from);
                if let Some([major, minor, a, b, ..]) = at.and_then(|at| body.get(at..)) {
                    out.flow.push((field::VERSION, format!("{major}.{minor}.{}", u16::from_be_bytes([*a, *b])).into()));
                }
            }
            (Side::In, RESPONSE) => {
                self.answered(body, last, out);
                return self.login.is_some() || !matches!(body.first(), Some(0xaa | 0xad | 0xe3 | 0xab));
            }
            _ => {}
        }
        true
    }
    fn end(&mut self, out: &mut Out) {
        if let Some((mut fields, first)) = self.login.take() {
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
    fn a_refused_login_names_user_and_host() {
        let at = At { time: Time(1), offset: 1 };
        let mut login = vec![0; 94];
        for (place, offset, length) in [(36, 94, 1u8), (40, 96, 2), (48, 100, 0), (52, 100, 0), (68, 100, 1)] {
            login[place] = offset;
            login[place + 2] = length;
        }
        login.extend(b"H\0s\0a\0d\0");
        let packet = |kind: u8, body: &[u8]| [&[kind, 1, 0, body.len() as u8 + 8, 0, 0, 1, 0], body].concat();
        let (mut c, mut out) = (Framed::new(Conversation::default()), Out::default());
        packet(LOGIN, &login).iter().for_each(|b| c.data(Side::Out, &[*b], at, &mut out));
        c.data(Side::In, &packet(RESPONSE, b"\xaa\x14\0\x18\x48\0\0\x01\x0e\x02\0n\0o\0"), at, &mut out);
        let shown: String = out.events[0].fields.iter().map(|(f, v)| format!("{}={v} ", field::name(*f))).collect();
        assert_eq!(
            shown,
            "app=mssql action=login_fail reason=18456 no user=sa hostname=H auth.method=password extra={\"database\":\"d\"} "
        );
    }
}
