//! RADIUS (RFC 2865, RFC 2866): who asked to be let in, from where, through which access server, and whether that was granted; and which address
//! a user had. Passwords are never kept.

use super::common::bytes::{Bytes, text};
use super::common::fields::Fields;
use super::{At, Ends, Out, Parser, Protocol, Side, Sniff};
use crate::model::field;
use crate::model::oddity::Oddity;
use crate::model::proto::UDP;
use crate::model::record::Kind;
use std::collections::VecDeque;
use std::net::Ipv4Addr;

/// The protocol.
pub static PROTOCOL: Radius = Radius;

const ACCESS_REQUEST: u8 = 1;
const ACCESS_ACCEPT: u8 = 2;
const ACCESS_REJECT: u8 = 3;
const ACCOUNTING_REQUEST: u8 = 4;
const ACCESS_CHALLENGE: u8 = 11;
/// Codes that ask; RFC 5176 adds two by which a server asks an access server.
const ASKS: [u8; 5] = [ACCESS_REQUEST, ACCOUNTING_REQUEST, 12, 40, 43];
/// Codes that answer.
const ANSWERS: [u8; 8] = [ACCESS_ACCEPT, ACCESS_REJECT, 5, ACCESS_CHALLENGE, 41, 42, 44, 45];
/// Requests that wait for their answer.
const MAX_PENDING: usize = 256;
/// Accounting requests that are remembered, to know one that is sent again: as many as there are identifiers.
const MAX_ACCOUNTED: usize = 256;

/// See [`PROTOCOL`].
#[derive(Debug)]
pub struct Radius;

impl Protocol for Radius {
    fn name(&self) -> &'static str {
        "radius"
    }
    fn doc(&self) -> &'static str {
        "RADIUS: logins at access servers and the addresses of users (RFC 2865, RFC 2866)."
    }
    fn over(&self) -> &'static [u8] {
        &[UDP]
    }
    fn probe(&self, side: Side, first: &[u8], _ends: &Ends) -> Sniff {
        let codes: &[u8] = if side == Side::Out { &ASKS } else { &ANSWERS };
        match Message::parse(first) {
            Some(m) if codes.contains(&m.code) && m.whole => Sniff::Yes,
            _ => Sniff::No,
        }
    }
    fn parser(&self, _ends: &Ends) -> Box<dyn Parser> {
        Box::<Conversation>::default()
    }
}

/// One message.
struct Message<'a> {
    code: u8,
    id: u8,
    /// New with every request, the same when it is sent again.
    authenticator: [u8; 16],
    attributes: Vec<(u8, &'a [u8])>,
    /// The attributes fill it exactly.
    whole: bool,
}

impl<'a> Message<'a> {
    fn parse(datagram: &'a [u8]) -> Option<Message<'a>> {
        let mut b = Bytes::new(datagram);
        let (code, id, length) = (b.u8()?, b.u8()?, usize::from(b.u16()?));
        let authenticator = b.array::<16>()?;
        let mut rest = b.sub(length.checked_sub(20).filter(|_| length <= 4096)?.min(b.left()))?;
        // Padding may stand behind the length.
        let mut m = Message { code, id, authenticator, attributes: Vec::new(), whole: datagram.len() >= length };
        while rest.left() > 0 {
            let (kind, size) = (rest.u8()?, rest.u8().and_then(|n| usize::from(n).checked_sub(2)));
            match size.and_then(|n| rest.take(n)).filter(|_| kind != 0) {
                Some(value) => m.attributes.push((kind, value)),
                None => {
                    m.whole = false;
                    break;
                }
            }
        }
        Some(m)
    }
    fn get(&self, kind: u8) -> Option<&'a [u8]> {
        self.attributes.iter().find(|a| a.0 == kind).map(|a| a.1)
    }
    fn text(&self, kind: u8) -> String {
        self.get(kind).map(|v| text(v, 253).trim_end_matches('\0').to_owned()).unwrap_or_default()
    }
    fn number(&self, kind: u8) -> Option<u32> {
        Bytes::new(self.get(kind)?).u32()
    }
    fn address(&self, kind: u8) -> Option<Ipv4Addr> {
        // All ones and all ones but the last ask for an address.
        self.number(kind).filter(|n| *n < 0xffff_fffe).map(Ipv4Addr::from)
    }
    /// How it proves who it is.
    fn method(&self) -> &'static str {
        let has = |kind| self.get(kind).is_some();
        if has(79) {
            "eap"
        } else if has(3) {
            "chap"
        } else if has(2) {
            "password"
        } else {
            ""
        }
    }
}

/// What is said of a user in requests, and again in answers.
#[derive(Clone, Default)]
struct Said {
    user: String,
    method: &'static str,
    access: Option<Ipv4Addr>,
    access_name: String,
    station: String,
    called: String,
    framed: Option<Ipv4Addr>,
    status: Option<u32>,
}

impl Said {
    fn of(m: &Message<'_>) -> Said {
        Said {
            user: m.text(1),
            method: m.method(),
            access: m.address(4),
            access_name: m.text(32),
            station: m.text(31),
            called: m.text(30),
            framed: m.address(8),
            status: m.number(40),
        }
    }
    fn fields(&self) -> Fields {
        let mut fields = Fields::default();
        fields.text(field::APP, "radius");
        fields.text(field::USER, &self.user);
        fields.maybe(field::LEASE, self.framed.map(std::net::IpAddr::from));
        let access = self.access.map(|a| a.to_string());
        let more: serde_json::Map<String, serde_json::Value> = [
            ("access.server", access),
            ("access.server.name", Some(self.access_name.clone())),
            ("calling.station", Some(self.station.clone())),
            ("called.station", Some(self.called.clone())),
        ]
        .into_iter()
        .filter_map(|(n, v)| Some((n.to_owned(), v.filter(|v| !v.is_empty())?.into())))
        .collect();
        if !more.is_empty() {
            fields.text(field::EXTRA, &serde_json::Value::Object(more).to_string());
        }
        fields
    }
}

struct Pending {
    id: u8,
    side: Side,
    at: At,
    said: Said,
}

#[derive(Default)]
struct Conversation {
    pending: VecDeque<Pending>,
    /// Accounting requests that were told, newest last.
    accounted: VecDeque<(Side, u8, [u8; 16])>,
}

impl Conversation {
    fn asked(&mut self, m: &Message<'_>, side: Side, at: At, out: &mut Out) {
        let said = Said::of(m);
        if m.code == ACCOUNTING_REQUEST {
            let this = (side, m.id, m.authenticator);
            if self.accounted.contains(&this) {
                return;
            }
            if self.accounted.len() >= MAX_ACCOUNTED {
                self.accounted.pop_front();
            }
            self.accounted.push_back(this);
            let mut fields = said.fields();
            let action = match said.status {
                Some(1) => "start",
                Some(2) => "close",
                Some(3) => "interim",
                Some(7) => "accounting on",
                Some(8) => "accounting off",
                _ => "",
            };
            fields.text(field::ACTION, action);
            fields.text(field::MESSAGE, &format!("accounting {action}"));
            out.events.push(fields.event(Kind::Log, at, at));
            return;
        }
        // The same request sent again is one.
        self.pending.retain(|p| !(p.id == m.id && p.side == side && p.said.user == said.user));
        if self.pending.len() >= MAX_PENDING {
            out.partial = true;
            self.pending.pop_front();
        }
        self.pending.push_back(Pending { id: m.id, side, at, said });
    }
    fn answered(&mut self, m: &Message<'_>, side: Side, at: At, out: &mut Out) {
        let asked = self.pending.iter().rposition(|p| p.id == m.id && p.side != side);
        let Some(pending) = asked.and_then(|i| self.pending.remove(i)) else { return };
        out.confirmed = true;
        let action = match m.code {
            ACCESS_ACCEPT => "login_ok",
            ACCESS_REJECT => "login_fail",
            // A step of a login; the next request goes on.
            _ => return,
        };
        let mut said = pending.said;
        said.framed = Said::of(m).framed.or(said.framed);
        let mut fields = said.fields();
        fields.text(field::METHOD_AUTH, said.method);
        fields.text(field::ACTION, action);
        fields.text(field::REASON, &m.text(18));
        out.events.push(fields.event(Kind::Auth, pending.at, at));
    }
}

impl Parser for Conversation {
    fn data(&mut self, side: Side, bytes: &[u8], at: At, out: &mut Out) {
        let Some(m) = Message::parse(bytes) else {
            out.oddities.push((Oddity::new("radius_malformed"), at.time, at.offset));
            return;
        };
        if !m.whole {
            out.oddities.push((Oddity::new("radius_malformed"), at.time, at.offset));
        }
        if ASKS.contains(&m.code) {
            self.asked(&m, side, at, out);
        } else if ANSWERS.contains(&m.code) {
            self.answered(&m, side, at, out);
        }
    }
    fn end(&mut self, out: &mut Out) {
        for Pending { at, said, .. } in std::mem::take(&mut self.pending) {
            if said.user.is_empty() {
                continue;
            }
            let mut fields = said.fields();
            fields.text(field::METHOD_AUTH, said.method);
            fields.text(field::ACTION, "asked");
            out.events.push(fields.event(Kind::Auth, at, at));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Time;

    fn message(code: u8, attributes: &[(u8, &[u8])]) -> Vec<u8> {
        let body: Vec<u8> = attributes.iter().flat_map(|(k, v)| [&[*k, v.len() as u8 + 2][..], v].concat()).collect();
        [&[code, 7, 0, 20 + body.len() as u8][..], &[9; 16], &body].concat()
    }

    fn said(parts: &[(Side, Vec<u8>)]) -> Vec<String> {
        let (mut c, mut out) = (Conversation::default(), Out::default());
        parts.iter().for_each(|(side, bytes)| c.data(*side, bytes, At { time: Time(1), offset: 1 }, &mut out));
        c.end(&mut out);
        let wanted = [field::ACTION, field::USER, field::METHOD_AUTH, field::LEASE, field::REASON];
        let show = |e: &super::super::Understood| {
            e.fields.iter().filter(|f| wanted.contains(&f.0)).map(|f| format!("{}={} ", field::name(f.0), f.1)).collect()
        };
        assert!(!format!("{out:?}").contains("secret"));
        out.events.iter().map(show).collect()
    }

    #[test]
    fn a_login_has_its_outcome_and_the_address_that_was_given() {
        let ask = message(ACCESS_REQUEST, &[(1, b"bob"), (2, b"secret"), (4, &[10, 0, 0, 9]), (31, b"00-11-22-33-44-55")]);
        let expected = ["action=login_ok user=bob auth.method=password dhcp.address=10.1.2.3 "];
        assert_eq!(said(&[(Side::Out, ask.clone()), (Side::In, message(ACCESS_ACCEPT, &[(8, &[10, 1, 2, 3])]))]), expected);
        let refused = said(&[(Side::Out, ask.clone()), (Side::In, message(ACCESS_REJECT, &[(18, b"no such user")]))]);
        assert_eq!(refused, ["action=login_fail reason=no such user user=bob auth.method=password "]);
        assert_eq!(said(&[(Side::Out, ask.clone()), (Side::Out, ask)]), ["action=asked user=bob auth.method=password "]);
        let account = message(ACCOUNTING_REQUEST, &[(1, b"bob"), (8, &[10, 1, 2, 3]), (40, &[0, 0, 0, 1])]);
        assert_eq!(said(&[(Side::Out, account)]), ["action=start user=bob dhcp.address=10.1.2.3 "]);
    }

    #[test]
    fn an_accounting_request_sent_again_is_one() {
        let account = message(ACCOUNTING_REQUEST, &[(1, b"bob"), (40, &[0, 0, 0, 1])]);
        let (mut other, mut next) = (account.clone(), account.clone());
        (other[1], next[19]) = (8, 10);
        let all = [&account, &account, &other, &next, &account, &next].map(|m| (Side::Out, m.clone()));
        assert_eq!(said(&all), ["action=start user=bob "; 3]);
        // Memory is bounded: after as many others it is new.
        let others = (0..MAX_ACCOUNTED).map(|i| {
            let mut m = account.clone();
            m[4..6].copy_from_slice(&(i as u16).to_be_bytes());
            (Side::Out, m)
        });
        let all: Vec<_> =
            [(Side::Out, account.clone())].into_iter().chain(others).chain([(Side::Out, account.clone())]).collect();
        assert_eq!(said(&all).len(), MAX_ACCOUNTED + 2);
    }

    #[test]
    fn only_messages_whose_attributes_fill_them_are_recognised() {
        let ip = std::net::IpAddr::from([10, 0, 0, 1]);
        let ends = Ends { src: ip, src_port: 1, dst: ip, dst_port: 1812, proto: UDP };
        let ask = message(ACCESS_REQUEST, &[(1, b"bob")]);
        assert_eq!(Radius.probe(Side::Out, &ask, &ends), Sniff::Yes);
        assert_eq!(Radius.probe(Side::In, &ask, &ends), Sniff::No);
        let mut broken = ask.clone();
        broken[21] = 4;
        for bytes in [&broken[..], &ask[..24], &ask[..10], &[0; 40]] {
            assert_eq!(Radius.probe(Side::Out, bytes, &ends), Sniff::No, "{bytes:?}");
        }
    }
}
