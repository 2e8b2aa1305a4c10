//! Oracle TNS (as published in Oracle's Net Services guides): the service that a connection asks for, who asks from where with which
//! program, and whether it is let in. What follows passes unread.

use super::common::bytes::{Bytes, text};
use super::common::fields::Fields;
use super::common::framed::{Cut, Framed, Messages};
use super::{At, Ends, Out, Parser, Protocol, Side, Sniff};
use crate::model::field;
use crate::model::proto::TCP;
use crate::model::record::Kind;

/// The protocol.
pub static PROTOCOL: Oracle = Oracle;

const CONNECT: u8 = 1;
const ACCEPT: u8 = 2;
const REFUSE: u8 = 4;
const REDIRECT: u8 = 5;
const RESEND: u8 = 11;

/// See [`PROTOCOL`].
#[derive(Debug)]
pub struct Oracle;

impl Protocol for Oracle {
    fn name(&self) -> &'static str {
        "oracle"
    }
    fn doc(&self) -> &'static str {
        "Oracle TNS, connection phase."
    }
    fn over(&self) -> &'static [u8] {
        &[TCP]
    }
    fn probe(&self, side: Side, first: &[u8], _ends: &Ends) -> Sniff {
        let mut b = Bytes::new(first);
        let (Some(length), Some(sum), Some(kind)) = (b.u16(), b.u16(), b.u8()) else {
            return if first.len() < 5 && first.first().is_none_or(|b| *b < 0x20) { Sniff::More } else { Sniff::No };
        };
        let (Some(0), Some(head_sum)) = (b.u8(), b.u16()) else { return if first.len() < 8 { Sniff::More } else { Sniff::No } };
        if sum != 0 || head_sum != 0 || length < 8 {
            return Sniff::No;
        }
        let (Some(version), Some(compatible)) = (b.u16(), b.u16()) else {
            let short = (side, kind, length) == (Side::In, RESEND, 8);
            return if short {
                Sniff::Yes
            } else if first.len() < 12 {
                Sniff::More
            } else {
                Sniff::No
            };
        };
        let fits = match (side, kind) {
            (Side::Out, CONNECT) => (300..=330).contains(&version) && (300..=330).contains(&compatible) && length >= 34,
            (Side::In, ACCEPT) => (300..=330).contains(&version),
            (Side::In, REFUSE | REDIRECT) => memchr::memmem::find(first, b"(").is_some(),
            _ => false,
        };
        if fits { Sniff::Yes } else { Sniff::No }
    }
    fn parser(&self, _ends: &Ends) -> Box<dyn Parser> {
        Box::new(Framed::new(Conversation::default()))
    }
}

/// The value of a key in a description (`(KEY=VALUE)`), by its last occurrence.
fn value(description: &str, key: &str) -> Option<String> {
    let upper = description.to_ascii_uppercase();
    let at = upper.rfind(&format!("({key}="))?.checked_add(key.len().checked_add(2)?)?;
    let said = description.get(at..)?.split(['(', ')']).next()?.trim();
    (!said.is_empty()).then(|| said.to_owned())
}

#[derive(Default)]
struct Conversation {
    asked: Option<(Fields, At)>,
}

impl Conversation {
    fn connect(&mut self, message: &[u8], first: At, out: &mut Out) {
        let from = memchr::memchr(b'(', message).unwrap_or(message.len());
        let description = text(message.get(from..).unwrap_or_default(), 4096);
        let mut fields = Fields::default();
        fields.text(field::APP, "oracle");
        let user = value(&description, "USER").unwrap_or_default();
        fields.text(field::USER, &user);
        fields.text(field::PROCESS, &value(&description, "PROGRAM").unwrap_or_default());
        // The client's own host stands in CID, before or after the server's address.
        let client = description.to_ascii_uppercase().find("(CID=").and_then(|at| description.get(at..));
        let client = client.and_then(|c| value(c.split("))").next().unwrap_or(c), "HOST"));
        fields.text(field::HOSTNAME, &client.unwrap_or_default());
        let service = value(&description, "SERVICE_NAME").or(value(&description, "SID"));
        fields.text(field::MESSAGE, &service.map(|s| format!("service {s}")).unwrap_or_default());
        if !user.is_empty() {
            out.flow.push((field::USER, user.into()));
        }
        self.asked = Some((fields, first));
    }
}

impl Messages for Conversation {
    fn cut(&self, _side: Side, unread: &[u8]) -> Cut {
        match unread {
            [a, b, _, _, 1..=19, ..] => match u16::from_be_bytes([*a, *b]) {
                length @ 8.. => Cut::Frame(usize::from(length)),
                _ => Cut::Over,
            },
            _ if unread.len() < 5 => Cut::More,
            _ => Cut::Over,
        }
    }
    fn message(&mut self, side: Side, message: &[u8], first: At, last: At, out: &mut Out) -> bool {
        let outcome = match (side, message.get(4).copied().unwrap_or(0)) {
            (Side::Out, CONNECT) => {
                if self.asked.is_none() {
                    self.connect(message, first, out);
                }
                return true;
            }
            (Side::In, ACCEPT) => "allow",
            (Side::In, REFUSE) => "deny",
            (Side::In, REDIRECT) => "redirect",
            _ => return true,
        };
        if let Some((mut fields, asked)) = self.asked.take() {
            fields.text(field::ACTION, outcome);
            if outcome != "allow" {
                let from = memchr::memchr(b'(', message).unwrap_or(message.len());
                fields.text(field::REASON, &text(message.get(from..).unwrap_or_default(), 255));
            }
            out.events.push(fields.event(Kind::Log, asked, last));
        }
        outcome == "redirect"
    }
    fn end(&mut self, out: &mut Out) {
        if let Some((fields, first)) = self.asked.take() {
            out.events.push(fields.event(Kind::Log, first, first));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Time;

    #[test]
    fn a_connection_names_service_user_and_host() {
        let at = At { time: Time(1), offset: 1 };
        let said =
            b"(DESCRIPTION=(ADDRESS=(HOST=db))(CONNECT_DATA=(SERVICE_NAME=orcl)(CID=(PROGRAM=sqlplus)(HOST=pc)(USER=bob))))";
        let packet = |kind: u8, body: &[u8]| {
            let length = (body.len() + 12) as u16;
            [&length.to_be_bytes()[..], &[0, 0, kind, 0, 0, 0, 1, 0x3a, 1, 0x2c], body].concat()
        };
        let ip = std::net::IpAddr::from([10, 0, 0, 1]);
        let ends = Ends { src: ip, src_port: 1, dst: ip, dst_port: 9, proto: TCP };
        let (mut c, mut out) = (Framed::new(Conversation::default()), Out::default());
        let connect = packet(CONNECT, &[&[0; 22], &said[..]].concat());
        assert_eq!(PROTOCOL.probe(Side::Out, &connect, &ends), Sniff::Yes);
        connect.iter().for_each(|b| c.data(Side::Out, &[*b], at, &mut out));
        c.data(Side::In, &packet(ACCEPT, &[0; 20]), at, &mut out);
        let shown: String = out.events[0].fields.iter().map(|(f, v)| format!("{}={v} ", field::name(*f))).collect();
        assert_eq!(shown, "app=oracle action=allow user=bob hostname=pc process=sqlplus message=service orcl ");
    }
}
