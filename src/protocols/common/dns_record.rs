//! The data of DNS records as addresses, names and text, and the names of record types (IANA "Domain Name System Parameters").

use super::bytes::Bytes;
use super::dns_message::{Message, name_at};
use crate::model::hex::hex;
use crate::model::oddity::Oddity;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What a record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Data {
    /// Addresses; of HTTPS and SVCB their hints, with the whole record as text.
    Ip(Vec<IpAddr>, Option<String>),
    /// A name (CNAME, PTR, NS, MX, SRV, DNAME).
    Name(String),
    /// Anything else.
    Text(String),
}

const TYPES: &[(u16, &str)] = &[
    (1, "A"),
    (2, "NS"),
    (5, "CNAME"),
    (6, "SOA"),
    (10, "NULL"),
    (11, "WKS"),
    (12, "PTR"),
    (13, "HINFO"),
    (15, "MX"),
    (16, "TXT"),
    (17, "RP"),
    (24, "SIG"),
    (25, "KEY"),
    (28, "AAAA"),
    (29, "LOC"),
    (33, "SRV"),
    (35, "NAPTR"),
    (37, "CERT"),
    (39, "DNAME"),
    (41, "OPT"),
    (43, "DS"),
    (44, "SSHFP"),
    (46, "RRSIG"),
    (47, "NSEC"),
    (48, "DNSKEY"),
    (50, "NSEC3"),
    (51, "NSEC3PARAM"),
    (52, "TLSA"),
    (53, "SMIMEA"),
    (59, "CDS"),
    (60, "CDNSKEY"),
    (61, "OPENPGPKEY"),
    (64, "SVCB"),
    (65, "HTTPS"),
    (99, "SPF"),
    (249, "TKEY"),
    (250, "TSIG"),
    (251, "IXFR"),
    (252, "AXFR"),
    (255, "ANY"),
    (256, "URI"),
    (257, "CAA"),
    (65_281, "WINS"),
    (65_282, "WINS-R"),
    (65_521, "INTEGRITY"),
];

/// The name of a type; unknown ones as RFC 3597 writes them.
pub fn type_name(kind: u16) -> String {
    TYPES.iter().find(|(n, _)| *n == kind).map_or_else(|| format!("TYPE{kind}"), |(_, name)| (*name).to_owned())
}

/// Reads the data of a record that stands at `start` of the whole message. What does not fit its type is kept as hexadecimal text and odd.
pub fn read(message: &mut Message, whole: &[u8], start: usize, data: &[u8], kind: u16) -> Data {
    let mut odd = None;
    let mut name = |skip: usize| {
        let (name, used, what) = name_at(whole, start.checked_add(skip)?)?;
        odd = odd.or(what);
        (skip.checked_add(used)? <= data.len()).then_some((name, skip.saturating_add(used)))
    };
    let read = match kind {
        1 => <[u8; 4]>::try_from(data).ok().map(|a| Data::Ip(vec![Ipv4Addr::from(a).into()], None)),
        28 => <[u8; 16]>::try_from(data).ok().map(|a| Data::Ip(vec![Ipv6Addr::from(a).into()], None)),
        2 | 5 | 12 | 39 => name(0).map(|(n, _)| Data::Name(n)),
        15 => name(2).map(|(n, _)| Data::Name(n)),
        33 => name(6).map(|(n, _)| Data::Name(n)),
        6 => name(0).and_then(|(primary, used)| {
            let (mail, used) = name(used)?;
            let mut b = Bytes::new(data.get(used..)?);
            let (serial, refresh, retry) = (b.u32()?, b.u32()?, b.u32()?);
            Some(Data::Text(format!("SOA {primary} {mail} {serial} {refresh} {retry} {} {}", b.u32()?, b.u32()?)))
        }),
        16 | 99 => strings(data).map(Data::Text),
        64 | 65 => name(2).and_then(|(target, used)| service(kind, &target, data, used)),
        257 => caa(data).map(Data::Text),
        _ => Some(Data::Text(format!("{} {}", type_name(kind), hex(data.get(..128).unwrap_or(data))))),
    };
    if let Some(what) = odd {
        message.oddities.push(Oddity::at(what, type_name(kind)));
    }
    read.unwrap_or_else(|| {
        message.oddities.push(Oddity::at("dns_rdata_malformed", type_name(kind)));
        Data::Text(format!("{} {}", type_name(kind), hex(data.get(..128).unwrap_or(data))))
    })
}

/// Character strings, joined as SPF and DKIM readers join them.
fn strings(data: &[u8]) -> Option<String> {
    let mut b = Bytes::new(data);
    let mut out = Vec::new();
    while b.left() > 0 {
        out.extend_from_slice(b.list8()?);
    }
    Some(String::from_utf8_lossy(&out).into_owned())
}

fn caa(data: &[u8]) -> Option<String> {
    let mut b = Bytes::new(data);
    let (flags, tag) = (b.u8()?, b.list8()?);
    Some(format!("CAA {flags} {} {}", String::from_utf8_lossy(tag), String::from_utf8_lossy(b.rest())))
}

/// SVCB and HTTPS (RFC 9460).
fn service(kind: u16, target: &str, data: &[u8], used: usize) -> Option<Data> {
    let mut text = format!("{} {} {target}", type_name(kind), Bytes::new(data).u16()?);
    let mut hints: Vec<IpAddr> = Vec::new();
    let mut b = Bytes::new(data.get(used..)?);
    while b.left() > 0 {
        let (key, value) = (b.u16()?, b.list16()?);
        let shown = match key {
            1 => {
                let mut names = Bytes::new(value);
                let mut list = Vec::new();
                while names.left() > 0 {
                    list.push(String::from_utf8_lossy(names.list8()?).into_owned());
                }
                format!("alpn={}", list.join(","))
            }
            2 => "no-default-alpn".to_owned(),
            3 => format!("port={}", Bytes::new(value).u16()?),
            4 => {
                let found = value.chunks_exact(4).filter_map(|c| <[u8; 4]>::try_from(c).ok()).map(IpAddr::from);
                hints.extend(found);
                continue;
            }
            6 => {
                let found = value.chunks_exact(16).filter_map(|c| <[u8; 16]>::try_from(c).ok()).map(IpAddr::from);
                hints.extend(found);
                continue;
            }
            5 => "ech".to_owned(),
            7 => format!("dohpath={}", String::from_utf8_lossy(value)),
            key => format!("key{key}={}", hex(value)),
        };
        let _ = write!(text, " {shown}");
    }
    Some(if hints.is_empty() { Data::Text(text) } else { Data::Ip(hints, Some(text)) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rdata(data: &[u8], kind: u16) -> (Data, usize) {
        let mut message = Message::default();
        let read = read(&mut message, data, 0, data, kind);
        (read, message.oddities.len())
    }

    #[test]
    fn hints_of_https_records_are_addresses() {
        let (data, odd) = rdata(b"\0\x01\0\0\x01\0\x03\x02h2\0\x04\0\x04\x0a\x01\x02\x03", 65);
        assert_eq!(odd, 0);
        assert_eq!(data, Data::Ip(vec!["10.1.2.3".parse().unwrap()], Some("HTTPS 1 . alpn=h2".to_owned())));
    }

    #[test]
    fn data_that_does_not_fit_its_type_is_kept_as_text() {
        assert_eq!(rdata(b"\x0a\0\0", 1), (Data::Text("A 0a0000".to_owned()), 1));
        assert_eq!(rdata(b"\x05abc", 16), (Data::Text("TXT 05616263".to_owned()), 1));
        assert_eq!(rdata(b"\x02ab\x01c", 16), (Data::Text("abc".to_owned()), 0));
    }
}
