//! NTP versions 1 to 4 (RFC 5905) over UDP: one event per conversation that says which time a host is given, and from where. Also names the
//! control and private modes that amplification attacks use. Decides nothing about clocks.

use super::common::bytes::{Bytes, text};
use super::common::fields::Fields;
use super::{At, Ends, Out, Parser, Protocol, Side, Sniff};
use crate::model::field;
use crate::model::oddity::Oddity;
use crate::model::proto::UDP;
use crate::model::record::Kind;
use std::net::Ipv4Addr;

/// The protocol.
pub static PROTOCOL: Ntp = Ntp;

/// Port of the protocol; elsewhere only a server's answer has enough form to be told.
const PORT: u16 = 123;

/// See [`PROTOCOL`].
#[derive(Debug)]
pub struct Ntp;

impl Protocol for Ntp {
    fn name(&self) -> &'static str {
        "ntp"
    }
    fn doc(&self) -> &'static str {
        "Network Time Protocol (RFC 5905)."
    }
    fn over(&self) -> &'static [u8] {
        &[UDP]
    }
    fn probe(&self, _side: Side, first: &[u8], ends: &Ends) -> Sniff {
        let Some(head) = first.first() else { return Sniff::No };
        let (version, mode) = (head >> 3 & 7, head & 7);
        let usual = ends.src_port == PORT || ends.dst_port == PORT;
        let fine = match mode {
            1..=5 if usual => (1..=4).contains(&version) && first.len() >= 48,
            6 if usual => (1..=4).contains(&version) && first.len() >= 12,
            7 if usual => (2..=3).contains(&version) && first.len() >= 8 && first.get(2).is_some_and(|i| matches!(i, 0 | 2 | 3)),
            4 => {
                // Stratum of a server, a precision below a second, a transmit time after 1968.
                let form = |at: usize, range: std::ops::RangeInclusive<u8>| first.get(at).is_some_and(|b| range.contains(b));
                (3..=4).contains(&version)
                    && matches!(first.len(), 48 | 68 | 72)
                    && form(1, 1..=15)
                    && form(2, 3..=17)
                    && form(3, 0xe0..=0xff)
                    && form(40, 0x80..=0xff)
            }
            _ => false,
        };
        if fine { Sniff::Yes } else { Sniff::No }
    }
    fn parser(&self, _ends: &Ends) -> Box<dyn Parser> {
        Box::<Conversation>::default()
    }
}

#[derive(Default)]
struct Conversation {
    asked: Option<At>,
    given: bool,
}

/// Reads what a message says. `None`: it is too short for its mode.
fn describe(bytes: &[u8]) -> Option<(u8, Fields)> {
    let mut b = Bytes::new(bytes);
    let head = b.u8()?;
    let mut fields = Fields::default();
    fields.text(field::APP, "ntp");
    fields.text(field::VERSION, &(head >> 3 & 7).to_string());
    let mode = head & 7;
    let message = match mode {
        6 => format!("control operation {}", b.u8()? & 31),
        7 => {
            b.take(2)?;
            match b.u8()? {
                20 | 42 => "private request monlist".to_owned(),
                other => format!("private request {other}"),
            }
        }
        _ => {
            let stratum = b.u8()?;
            b.take(10)?;
            let reference = b.array::<4>()?;
            b.take(32)?;
            match stratum {
                0 => format!("stratum 0 kiss {}", ascii(&reference)),
                1 => format!("stratum 1 reference {}", ascii(&reference)),
                _ => format!("stratum {stratum} reference {}", Ipv4Addr::from(reference)),
            }
        }
    };
    fields.text(field::MESSAGE, &message);
    Some((mode, fields))
}

fn ascii(bytes: &[u8]) -> String {
    text(bytes, 4).chars().filter(char::is_ascii_graphic).collect()
}

impl Parser for Conversation {
    fn data(&mut self, side: Side, bytes: &[u8], at: At, out: &mut Out) {
        let Some((mode, fields)) = describe(bytes) else {
            out.oddities.push((Oddity::new("ntp_truncated"), at.time, at.offset));
            return;
        };
        out.confirmed |= self.asked.is_some() && side == Side::In;
        if mode == 3 {
            self.asked.get_or_insert(at);
        } else if !std::mem::replace(&mut self.given, true) {
            out.events.push(fields.event(Kind::Log, self.asked.unwrap_or(at), at));
        }
        if side == Side::Out {
            self.asked.get_or_insert(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Time;

    fn message(head: u8, stratum: u8, reference: [u8; 4]) -> Vec<u8> {
        let mut m = vec![head, stratum, 6, 0xe9, 0, 0, 0, 0, 0, 0, 0, 0];
        m.extend(reference);
        m.extend([0xe0; 32]);
        m
    }

    #[test]
    fn a_conversation_says_once_where_the_time_comes_from() {
        let (mut c, mut out) = (Conversation::default(), Out::default());
        for t in [0, 10] {
            c.data(Side::Out, &message(0x23, 0, [0; 4]), At { time: Time(t), offset: 1 }, &mut out);
            c.data(Side::In, &message(0x24, 2, [192, 0, 2, 9]), At { time: Time(t + 3), offset: 2 }, &mut out);
        }
        assert!(out.confirmed);
        assert_eq!((out.events.len(), out.events[0].start, out.events[0].end), (1, Time(0), Time(3)));
        assert!(out.events[0].fields.iter().any(|(_, v)| v.to_string() == "stratum 2 reference 192.0.2.9"));
    }

    #[test]
    fn elsewhere_only_an_answer_is_told() {
        let ip = std::net::IpAddr::from([10, 0, 0, 1]);
        let ends = Ends { src: ip, src_port: 1, dst: ip, dst_port: 9, proto: UDP };
        assert_eq!(PROTOCOL.probe(Side::In, &message(0x24, 2, [1; 4]), &ends), Sniff::Yes);
        assert_eq!(PROTOCOL.probe(Side::Out, &message(0x23, 0, [0; 4]), &ends), Sniff::No);
        assert_eq!(PROTOCOL.probe(Side::Out, &message(0x23, 0, [0; 4]), &Ends { dst_port: 123, ..ends }), Sniff::Yes);
        assert_eq!(PROTOCOL.probe(Side::Out, b"#", &Ends { dst_port: 123, ..ends }), Sniff::No);
    }
}
