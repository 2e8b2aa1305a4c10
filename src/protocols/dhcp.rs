//! DHCP for IPv4 (RFC 2131, RFC 2132) over UDP: one event per message. A lease is what the server's ACK says.

use super::common::bytes::{Bytes, text};
use super::common::fields::Fields;
use super::{At, Ends, Out, Parser, Protocol, Side, Sniff};
use crate::model::field;
use crate::model::hex::{hex, mac};
use crate::model::oddity::Oddity;
use crate::model::proto::UDP;
use crate::model::record::Kind;
use std::net::{IpAddr, Ipv4Addr};

/// The protocol.
pub static PROTOCOL: Dhcp = Dhcp;

/// What stands before the options: the cookie of RFC 2131.
const COOKIE: [u8; 4] = [0x63, 0x82, 0x53, 0x63];
/// Where the cookie stands.
const COOKIE_AT: usize = 236;

/// See [`PROTOCOL`].
#[derive(Debug)]
pub struct Dhcp;

impl Protocol for Dhcp {
    fn name(&self) -> &'static str {
        "dhcp"
    }
    fn doc(&self) -> &'static str {
        "Dynamic Host Configuration Protocol for IPv4 (RFC 2131)."
    }
    fn over(&self) -> &'static [u8] {
        &[UDP]
    }
    fn probe(&self, _side: Side, first: &[u8], _ends: &Ends) -> Sniff {
        let cookie = first.get(COOKIE_AT..).is_some_and(|c| c.starts_with(&COOKIE));
        if cookie && matches!(first.first(), Some(1 | 2)) { Sniff::Yes } else { Sniff::No }
    }
    fn parser(&self, _ends: &Ends) -> Box<dyn Parser> {
        Box::<Conversation>::default()
    }
}

#[derive(Default)]
struct Conversation {
    seen: [bool; 2],
}

/// What a message says.
#[derive(Default)]
struct Message {
    kind: u8,
    client: String,
    current: Option<Ipv4Addr>,
    yours: Option<Ipv4Addr>,
    relay: Option<Ipv4Addr>,
    requested: Option<Ipv4Addr>,
    server: Option<Ipv4Addr>,
    lease: Option<u32>,
    hostname: Option<String>,
    domain: Option<String>,
    vendor: Option<String>,
    client_id: Option<String>,
    asked: Option<String>,
    reason: Option<String>,
    odd: Option<&'static str>,
}

fn address(bytes: &[u8]) -> Option<Ipv4Addr> {
    let address = Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?);
    (!address.is_unspecified()).then_some(address)
}

impl Message {
    fn parse(bytes: &[u8]) -> Option<Message> {
        let mut b = Bytes::new(bytes);
        let mut m = Message::default();
        b.take(2)?;
        let length = usize::from(b.u8()?.min(16));
        b.take(9)?;
        m.current = address(b.take(4)?);
        m.yours = address(b.take(4)?);
        b.take(4)?;
        m.relay = address(b.take(4)?);
        m.client = mac(b.take(16)?.get(..length)?);
        b.take(192 + 4)?;
        while let Some(code) = b.u8() {
            match code {
                0 => continue,
                255 => return Some(m),
                _ => {}
            }
            let Some(value) = b.list8() else {
                m.odd = Some("dhcp_truncated");
                return Some(m);
            };
            m.option(code, value);
        }
        m.odd = Some("dhcp_no_end");
        Some(m)
    }
    fn option(&mut self, code: u8, value: &[u8]) {
        let words = || Some(text(value, 255).trim_end_matches('\0').to_owned()).filter(|t| !t.is_empty());
        match code {
            12 => self.hostname = words(),
            15 => self.domain = words(),
            50 => self.requested = address(value),
            51 => self.lease = value.try_into().ok().map(u32::from_be_bytes),
            53 => self.kind = value.first().copied().unwrap_or(0),
            54 => self.server = address(value),
            55 => self.asked = Some(value.iter().map(u8::to_string).collect::<Vec<_>>().join(",")),
            56 => self.reason = words(),
            60 => self.vendor = words(),
            61 => self.client_id = Some(hex(value)),
            81 if self.hostname.is_none() => {
                // RFC 4702: flags and two codes, then the name, as labels if bit E is set.
                let name = value.get(3..).unwrap_or_default();
                let labels = value.first().is_some_and(|f| f & 4 != 0);
                let name =
                    if labels { super::common::dns_message::name_at(name, 0).map(|(n, _, _)| n) } else { Some(text(name, 255)) };
                self.hostname = name.filter(|n| !n.is_empty() && n != ".");
            }
            _ => {}
        }
    }
    fn fields(self) -> Fields {
        let kind = match self.kind {
            0 => "BOOTP",
            1 => "DISCOVER",
            2 => "OFFER",
            3 => "REQUEST",
            4 => "DECLINE",
            5 => "ACK",
            6 => "NAK",
            7 => "RELEASE",
            8 => "INFORM",
            _ => "OTHER",
        };
        let mut fields = Fields::default();
        fields.text(field::DHCP_TYPE, kind);
        fields.text(field::SRC_MAC, &self.client);
        fields.text(field::HOSTNAME, self.hostname.as_deref().unwrap_or_default());
        fields.text(field::REASON, self.reason.as_deref().unwrap_or_default());
        let action = match self.kind {
            1 | 3 | 8 => "asked",
            5 if self.yours.is_some() => "lease",
            6 => "deny",
            _ => "",
        };
        fields.text(field::ACTION, action);
        let leased = self.yours.filter(|_| matches!(self.kind, 0 | 2 | 5));
        fields.maybe(field::LEASE, leased.map(IpAddr::from));
        let shown = |a: Option<Ipv4Addr>| a.map(|a| a.to_string());
        let extra: serde_json::Map<String, serde_json::Value> = [
            ("current", shown(self.current)),
            ("requested", shown(self.requested)),
            ("server", shown(self.server)),
            ("relay", shown(self.relay)),
            ("lease_seconds", self.lease.map(|l| l.to_string())),
            ("domain", self.domain),
            ("vendor", self.vendor),
            ("client_id", self.client_id),
            ("options_asked", self.asked),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), serde_json::Value::String(value?))))
        .collect();
        if !extra.is_empty() {
            fields.text(field::EXTRA, &serde_json::Value::Object(extra).to_string());
        }
        fields
    }
}

impl Parser for Conversation {
    fn data(&mut self, side: Side, bytes: &[u8], at: At, out: &mut Out) {
        let Some(message) = Message::parse(bytes) else {
            out.oddities.push((Oddity::new("dhcp_truncated"), at.time, at.offset));
            return;
        };
        if let Some(what) = message.odd {
            out.oddities.push((Oddity::new(what), at.time, at.offset));
        }
        if let Some(seen) = self.seen.get_mut(usize::from(side == Side::In)) {
            *seen = true;
        }
        out.confirmed |= self.seen == [true, true];
        out.events.push(message.fields().event(Kind::Dhcp, at, at));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Time;

    fn message(op: u8, yours: [u8; 4], options: &[u8]) -> Vec<u8> {
        let mut m = vec![op, 1, 6, 0, 1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 0];
        m.extend(yours);
        m.extend([0; 8]);
        m.extend([2, 0, 0, 0, 0, 1]);
        m.resize(COOKIE_AT, 0);
        m.extend(COOKIE);
        m.extend(options);
        m
    }
    fn shown(bytes: &[u8]) -> (String, usize) {
        let (mut c, mut out) = (Conversation::default(), Out::default());
        c.data(Side::Out, bytes, At { time: Time(1), offset: 0 }, &mut out);
        (out.events[0].fields.iter().map(|(f, v)| format!("{}={v} ", field::name(*f))).collect(), out.oddities.len())
    }

    #[test]
    fn an_ack_is_a_lease() {
        let (text, odd) = shown(&message(2, [10, 0, 0, 7], b"\x35\x01\x05\x33\x04\0\0\x0e\x10\x0c\x02pc\xff"));
        assert_eq!(odd, 0);
        let expected = "src.mac=02:00:00:00:00:01 action=lease hostname=pc dhcp.address=10.0.0.7 dhcp.type=ACK extra={\"lease_seconds\":\"3600\"} ";
        assert_eq!(text, expected);
    }

    #[test]
    fn an_option_beyond_the_end_is_odd_and_the_rest_is_kept() {
        let (text, odd) = shown(&message(1, [0; 4], b"\x35\x01\x03\x0c\xffpc"));
        assert_eq!(odd, 1);
        assert!(text.contains("dhcp.type=REQUEST"), "{text}");
    }

    #[test]
    fn the_cookie_decides() {
        let ip = IpAddr::from([10, 0, 0, 1]);
        let ends = Ends { src: ip, src_port: 1, dst: ip, dst_port: 9, proto: UDP };
        assert_eq!(PROTOCOL.probe(Side::Out, &message(1, [0; 4], &[255]), &ends), Sniff::Yes);
        assert_eq!(PROTOCOL.probe(Side::Out, &[1; 300], &Ends { dst_port: 67, ..ends }), Sniff::No);
    }
}
