//! PROXY protocol 1 and 2 (haproxy.org, doc/proxy-protocol.txt): with its first bytes a load balancer or proxy says for whom it opened the
//! connection. What follows is probed afresh, if it stands in the same segment too.
//!
//! Whoever can reach a server that believes the header can say what he likes: what it states stands in fields of its own and is a claim;
//! `links/nat/forwarded.rs` weighs who sent it.

use super::common::bytes::{Bytes, text};
use super::common::fields::Fields;
use super::{At, Ends, Out, Parser, Protocol, Side, Sniff};
use crate::model::field;
use crate::model::oddity::Oddity;
use crate::model::proto::TCP;
use crate::model::record::Kind;
use serde_json::{Map, Value as Json, json};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The protocol.
pub static PROTOCOL: ProxyProtocol = ProxyProtocol;

/// What version 2 begins with.
const MARK: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// What version 1 begins with.
const WORD: &[u8] = b"PROXY ";
/// Longest header of version 1, with its end of line.
const MAX_LINE: usize = 107;
/// Bytes of a header of version 2 before its addresses.
const FIXED: usize = 16;
/// Bytes of a header of version 2 that are read; it may have 65,551, of which those behind are passed over.
const MAX_READ: usize = 4_096;
/// Longest text of an attribute that is kept.
const MAX_TEXT: usize = 255;

/// See [`PROTOCOL`].
#[derive(Debug)]
pub struct ProxyProtocol;

impl Protocol for ProxyProtocol {
    fn name(&self) -> &'static str {
        "proxy_protocol"
    }
    fn doc(&self) -> &'static str {
        "PROXY protocol 1 and 2: for whom a proxy or load balancer opened a connection (haproxy.org, proxy-protocol.txt)."
    }
    fn over(&self) -> &'static [u8] {
        &[TCP]
    }
    fn probe(&self, side: Side, first: &[u8], _ends: &Ends) -> Sniff {
        if side != Side::Out {
            return Sniff::No;
        }
        for mark in [MARK, WORD] {
            if first.len() < mark.len() && mark.starts_with(first) {
                return Sniff::More;
            }
        }
        if let Some(rest) = first.strip_prefix(MARK) {
            return match rest.first() {
                None => Sniff::More,
                Some(version) if version >> 4 == 2 => Sniff::Yes,
                Some(_) => Sniff::No,
            };
        }
        let Some(rest) = first.strip_prefix(WORD) else { return Sniff::No };
        let families: [&[u8]; 3] = [b"TCP4 ", b"TCP6 ", b"UNKNOWN"];
        if families.iter().any(|f| rest.starts_with(f)) {
            Sniff::Yes
        } else if families.iter().any(|f| rest.len() < f.len() && f.starts_with(rest)) {
            Sniff::More
        } else {
            Sniff::No
        }
    }
    fn parser(&self, _ends: &Ends) -> Box<dyn Parser> {
        Box::<Header>::default()
    }
}

/// What a header states.
#[derive(Debug, Default, PartialEq, Eq)]
struct Stated {
    version: u8,
    /// The connection is the proxy's own, such as a check of the server's health.
    own: bool,
    src: Option<(IpAddr, u16)>,
    dst: Option<(IpAddr, u16)>,
    name: String,
    alpn: String,
    tls: String,
    /// Name in the client's certificate.
    subject: String,
    more: Map<String, Json>,
    odd: Option<&'static str>,
}

/// Reads the header of one connection.
#[derive(Default)]
struct Header {
    bytes: Vec<u8>,
    first: Option<At>,
    /// Bytes of it that are passed over yet, and what was read before them.
    beyond: Option<(usize, Stated)>,
    over: bool,
}

/// A header of version 1, and its length. `Err`: whether more bytes may help.
fn line(bytes: &[u8]) -> Result<(Stated, usize), bool> {
    let seen = bytes.get(..MAX_LINE).unwrap_or(bytes);
    let Some(end) = memchr::memmem::find(seen, b"\r\n") else { return Err(bytes.len() < MAX_LINE) };
    let words = seen.get(..end).and_then(|l| std::str::from_utf8(l).ok()).ok_or(false)?;
    let mut words = words.split(' ');
    let (word, family) = (words.next(), words.next());
    let mut stated = Stated { version: 1, ..Stated::default() };
    match (word, family) {
        // What stands behind it is to be passed over.
        (Some("PROXY"), Some("UNKNOWN")) => {}
        (Some("PROXY"), Some(family @ ("TCP4" | "TCP6"))) => {
            let ips = [words.next(), words.next()].map(|w| w.and_then(|w| w.parse::<IpAddr>().ok()));
            let ports = [words.next(), words.next()].map(|w| w.and_then(|w| w.parse::<u16>().ok()));
            let ([Some(src), Some(dst)], [Some(from), Some(to)], None) = (ips, ports, words.next()) else { return Err(false) };
            if src.is_ipv4() != (family == "TCP4") || dst.is_ipv4() != (family == "TCP4") {
                return Err(false);
            }
            (stated.src, stated.dst) = (Some((src, from)), Some((dst, to)));
        }
        _ => return Err(false),
    }
    Ok((stated, end.saturating_add(2)))
}

/// A header of version 2 as far as it is here, and its whole length. `Err`: whether more bytes may help.
fn binary(bytes: &[u8]) -> Result<(Stated, usize), bool> {
    let mut b = Bytes::new(bytes);
    let (Some(_), Some(command), Some(family), Some(length)) = (b.take(MARK.len()), b.u8(), b.u8(), b.u16()) else {
        return Err(true);
    };
    let (length, mut stated) = (usize::from(length), Stated { version: 2, ..Stated::default() });
    let whole = FIXED.saturating_add(length);
    if bytes.len() < whole.min(MAX_READ) {
        return Err(true);
    }
    let here = bytes.get(FIXED..whole.min(MAX_READ)).unwrap_or_default();
    let mut body = Bytes::new(here);
    stated.own = match command & 0x0f {
        0 => true,
        1 => false,
        _ => return Err(false),
    };
    let addresses = match family >> 4 {
        1 => four(&mut body),
        2 => six(&mut body),
        // Paths of sockets: both ends are on the proxy's own host.
        3 => body.take(216).map(|_| None),
        0 => Some(None),
        // Of a kind that is not known: where its addresses end is not known either.
        _ => body.take(body.left()).map(|_| None),
    };
    match addresses {
        // Of its own connections the addresses are to be passed over.
        Some(both) if !stated.own => {
            stated.src = both.map(|(src, _)| src);
            stated.dst = both.map(|(_, dst)| dst);
        }
        Some(_) => {}
        None => return Err(false),
    }
    if family & 0x0f == 2 {
        stated.more.insert("datagrams".into(), Json::Bool(true));
    }
    attributes(&mut body, whole <= MAX_READ, &mut stated);
    if let Some(sum) = stated.more.get("crc32c").and_then(Json::as_u64)
        && whole <= MAX_READ
        && crc(bytes.get(..whole).unwrap_or_default()).is_some_and(|own| u64::from(own) != sum)
    {
        stated.odd = Some("proxy_protocol_checksum");
    }
    Ok((stated, whole))
}

type Both = ((IpAddr, u16), (IpAddr, u16));

fn four(b: &mut Bytes<'_>) -> Option<Option<Both>> {
    let (src, dst) = (Ipv4Addr::from(b.array::<4>()?), Ipv4Addr::from(b.array::<4>()?));
    let (from, to) = (b.u16()?, b.u16()?);
    Some(Some(((src.into(), from), (dst.into(), to))))
}

fn six(b: &mut Bytes<'_>) -> Option<Option<Both>> {
    let (src, dst) = (Ipv6Addr::from(b.array::<16>()?), Ipv6Addr::from(b.array::<16>()?));
    let (from, to) = (b.u16()?, b.u16()?);
    let plain = |ip: Ipv6Addr| IpAddr::from(ip).to_canonical();
    Some(Some(((plain(src), from), (plain(dst), to))))
}

/// The attributes behind the addresses. `whole`: all of them are here.
fn attributes(b: &mut Bytes<'_>, whole: bool, stated: &mut Stated) {
    while b.left() > 0 {
        let (Some(kind), Some(value)) = (b.u8(), b.list16()) else {
            if whole {
                stated.odd = Some("proxy_protocol_attributes");
            }
            return;
        };
        let said = || text(value, MAX_TEXT);
        let hex = || value.iter().take(128).map(|b| format!("{b:02x}")).collect::<String>();
        let mut add = |name: &str, value: Json| drop(stated.more.insert(name.to_owned(), value));
        match kind {
            0x01 => stated.alpn = said(),
            0x02 => stated.name = said(),
            0x03 => {
                let sum = <[u8; 4]>::try_from(value).map(u32::from_be_bytes);
                sum.into_iter().for_each(|sum| add("crc32c", Json::from(sum)));
            }
            0x05 => add("unique_id", hex().into()),
            0x20 => ssl(value, stated),
            0x30 => add("namespace", said().into()),
            // Amazon: the endpoint of a private link; its first byte says which.
            0xea if value.first() == Some(&1) => add("vpce", text(value.get(1..).unwrap_or_default(), MAX_TEXT).into()),
            _ => {}
        }
    }
}

/// What the proxy says of the client's TLS.
fn ssl(value: &[u8], stated: &mut Stated) {
    let mut b = Bytes::new(value);
    let (Some(client), Some(verify)) = (b.u8(), b.u32()) else { return };
    stated.more.insert("tls_client".into(), json!({ "flags": client, "verified": client & 6 != 0 && verify == 0 }));
    while b.left() > 0 {
        let (Some(kind), Some(value)) = (b.u8(), b.list16()) else { return };
        match kind {
            0x21 => stated.tls = text(value, MAX_TEXT),
            0x22 => stated.subject = text(value, MAX_TEXT),
            0x23 => drop(stated.more.insert("tls_cipher".into(), text(value, MAX_TEXT).into())),
            _ => {}
        }
    }
}

/// The CRC32c of a header with its own sum taken as zero; none: it has none.
fn crc(header: &[u8]) -> Option<u32> {
    let family = header.get(13)? >> 4;
    let mut at = FIXED
        + match family {
            1 => 12,
            2 => 36,
            3 => 216,
            _ => 0,
        };
    let mut copy = header.to_vec();
    loop {
        let [kind, high, low] = *header.get(at..at.checked_add(3)?)?.first_chunk::<3>()?;
        let value = at.checked_add(3)?;
        let end = value.checked_add(usize::from(u16::from_be_bytes([high, low])))?;
        if kind == 3 {
            copy.get_mut(value..end)?.fill(0);
            return Some(crc32c::crc32c(&copy));
        }
        at = end;
    }
}

impl Header {
    /// Tells what a header states, and hands the stream over.
    fn tell(&mut self, mut stated: Stated, at: At, out: &mut Out) {
        let first = self.first.unwrap_or(at);
        let mut fields = Fields::default();
        fields.text(field::APP, "proxy_protocol");
        fields.add(field::VERSION, stated.version.to_string());
        fields.text(field::ACTION, if stated.own { "own" } else { "forward" });
        for (end, ip, port) in [
            (stated.src, field::FORWARDED_SRC_IP, field::FORWARDED_SRC_PORT),
            (stated.dst, field::FORWARDED_DST_IP, field::FORWARDED_DST_PORT),
        ] {
            fields.maybe(ip, end.map(|e| e.0));
            fields.maybe(port, end.map(|e| u64::from(e.1)));
        }
        fields.text(field::NAME, &stated.name);
        fields.text(field::ALPN, &stated.alpn);
        fields.text(field::TLS_VERSION, &stated.tls);
        fields.text(field::USER, &stated.subject);
        let shown = |end: Option<(IpAddr, u16)>| end.map(|(ip, port)| std::net::SocketAddr::new(ip, port).to_string());
        let message = match (shown(stated.src), shown(stated.dst)) {
            (Some(src), Some(dst)) => format!("for {src}, who called {dst}"),
            _ if stated.own => "the proxy's own connection".to_owned(),
            _ => "for a client that is not named".to_owned(),
        };
        fields.text(field::MESSAGE, &message);
        stated.more.remove("crc32c");
        if !stated.more.is_empty() {
            fields.text(field::EXTRA, &Json::Object(stated.more).to_string());
        }
        out.events.push(fields.event(Kind::Log, first, at));
        if let Some(what) = stated.odd {
            out.oddities.push((Oddity::new(what), first.time, first.offset));
        }
        self.bytes = Vec::new();
        (self.over, out.confirmed, out.done, out.restart) = (true, true, true, true);
    }
    fn odd(&mut self, at: At, out: &mut Out) {
        out.oddities.push((Oddity::new("proxy_protocol_malformed"), at.time, at.offset));
        self.bytes = Vec::new();
        (self.over, out.violated) = (true, true);
    }
}

impl Parser for Header {
    fn data(&mut self, side: Side, bytes: &[u8], at: At, out: &mut Out) {
        if self.over || side != Side::Out {
            return;
        }
        self.first.get_or_insert(at);
        if let Some((left, _)) = &mut self.beyond {
            let now = bytes.len().min(*left);
            *left -= now;
            if *left == 0
                && let Some((_, stated)) = self.beyond.take()
            {
                out.unused = bytes.len() - now;
                self.tell(stated, at, out);
            }
            return;
        }
        let room = MAX_READ.saturating_sub(self.bytes.len());
        let kept = bytes.len().min(room);
        self.bytes.extend_from_slice(bytes.get(..kept).unwrap_or_default());
        let read = if self.bytes.first() == Some(&b'P') { line(&self.bytes) } else { binary(&self.bytes) };
        match read {
            Ok((stated, length)) if length <= self.bytes.len() => {
                // What was not kept stands behind what was.
                out.unused = self.bytes.len() - length + (bytes.len() - kept);
                self.tell(stated, at, out);
            }
            Ok((stated, length)) => {
                out.partial = true;
                let left = length - self.bytes.len();
                self.bytes = Vec::new();
                self.beyond = Some((left, stated));
                let rest = bytes.get(kept..).unwrap_or_default();
                if !rest.is_empty() {
                    self.data(side, rest, at, out);
                }
            }
            Err(true) => {}
            Err(false) => self.odd(at, out),
        }
    }
    fn held(&self) -> usize {
        self.bytes.len()
    }
    fn relieve(&mut self) {
        (self.bytes, self.over) = (Vec::new(), true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Time;

    const ENDS: Ends = Ends {
        src: IpAddr::V4(Ipv4Addr::new(10, 0, 0, 8)),
        src_port: 5000,
        dst: IpAddr::V4(Ipv4Addr::new(10, 0, 0, 9)),
        dst_port: 8080,
        proto: TCP,
    };

    fn v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        [MARK, &[0x20 | command, family], &(body.len() as u16).to_be_bytes(), body].concat()
    }
    fn v4(attributes: &[u8]) -> Vec<u8> {
        [&[203, 0, 113, 7, 198, 51, 100, 80][..], &56_324u16.to_be_bytes(), &443u16.to_be_bytes(), attributes].concat()
    }
    fn attribute(kind: u8, value: &[u8]) -> Vec<u8> {
        [&[kind][..], &(value.len() as u16).to_be_bytes(), value].concat()
    }
    /// What is said of the bytes however they are cut, and how many of the last piece are what follows.
    fn read(bytes: &[u8]) -> (Vec<String>, Out, Vec<u8>) {
        let at = At { time: Time(1), offset: 1 };
        let mut all = Vec::new();
        for size in [1, 7, 100_000] {
            let (mut header, mut out) = (Header::default(), Out::default());
            let mut rest = Vec::new();
            for piece in bytes.chunks(size) {
                if out.done || out.violated {
                    rest.extend_from_slice(piece);
                    continue;
                }
                header.data(Side::Out, piece, at, &mut out);
                assert!(header.held() <= MAX_READ);
                rest.extend_from_slice(&piece[piece.len() - out.unused..]);
            }
            header.end(&mut out);
            if !out.done {
                rest.clear();
            }
            let wanted = [field::MESSAGE, field::NAME, field::ALPN, field::TLS_VERSION, field::USER, field::EXTRA];
            let said: Vec<String> = out
                .events
                .iter()
                .map(|e| e.fields.iter().filter(|f| wanted.contains(&f.0)).map(|f| format!("{} ", f.1)).collect())
                .collect();
            all.push((said, out, rest));
        }
        for other in &all[1..] {
            assert_eq!((&other.0, &other.2), (&all[0].0, &all[0].2));
        }
        all.pop().unwrap()
    }
    fn probe(bytes: &[u8]) -> Sniff {
        PROTOCOL.probe(Side::Out, bytes, &ENDS)
    }

    #[test]
    fn version_1_says_for_whom_and_what_follows_is_handed_on_in_full() {
        let (said, out, rest) = read(b"PROXY TCP4 203.0.113.7 198.51.100.80 56324 443\r\nGET / HTTP/1.1\r\n");
        assert_eq!(said, ["for 203.0.113.7:56324, who called 198.51.100.80:443 "]);
        assert!(out.done && out.restart && out.confirmed && out.oddities.is_empty());
        assert_eq!(rest, b"GET / HTTP/1.1\r\n");
        let (said, ..) = read(b"PROXY TCP6 2001:db8::7 2001:db8::80 1 443\r\n");
        assert_eq!(said, ["for [2001:db8::7]:1, who called [2001:db8::80]:443 "]);
        let (said, ..) = read(b"PROXY UNKNOWN ffff:f...f ff 65535 65535\r\n");
        assert_eq!(said, ["for a client that is not named "]);
    }

    #[test]
    fn version_2_has_addresses_and_attributes() {
        let tls = [&[7][..], &[0; 4], &attribute(0x21, b"TLSv1.3"), &attribute(0x22, b"ana"), &attribute(0x23, b"AES")].concat();
        let all = [
            attribute(1, b"h2"),
            attribute(2, b"shop.example"),
            attribute(0x20, &tls),
            attribute(5, &[0xab, 1]),
            attribute(0xea, b"\x01vpce-08d2"),
            attribute(4, &[0; 9]),
        ]
        .concat();
        let (said, out, rest) = read(&[v2(1, 0x11, &v4(&all)), b"\x16\x03".to_vec()].concat());
        let want = "shop.example TLSv1.3 h2 ana for 203.0.113.7:56324, who called 198.51.100.80:443 ";
        assert_eq!(said[0].split('{').next(), Some(want), "{said:?}");
        for extra in ["\"unique_id\":\"ab01\"", "\"vpce\":\"vpce-08d2\"", "\"tls_cipher\":\"AES\"", "\"verified\":true"] {
            assert!(said[0].contains(extra), "{said:?}");
        }
        assert!(out.oddities.is_empty());
        assert_eq!(rest, b"\x16\x03");
        let six = [&[0u8; 10][..], &[0xff, 0xff, 203, 0, 113, 7], &Ipv6Addr::LOCALHOST.octets(), &[0, 1, 0, 2]].concat();
        let (said, ..) = read(&v2(1, 0x21, &six));
        assert_eq!(said, ["for 203.0.113.7:1, who called [::1]:2 "]);
        // A check of health, with addresses that mean nothing; sockets of the proxy's own host; no addresses at all.
        assert_eq!(read(&v2(0, 0x11, &v4(&[]))).0, ["the proxy's own connection "]);
        assert_eq!(read(&v2(0, 0, &[])).0, ["the proxy's own connection "]);
        assert_eq!(read(&v2(1, 0x31, &[b'/'; 216])).0, ["for a client that is not named "]);
    }

    #[test]
    fn the_sum_of_a_header_is_checked() {
        let mut header = v2(1, 0x11, &v4(&[attribute(2, b"a"), attribute(3, &[0; 4])].concat()));
        let sum = crc32c::crc32c(&header);
        let at = header.len() - 4;
        header[at..].copy_from_slice(&sum.to_be_bytes());
        assert!(read(&header).1.oddities.is_empty());
        header[at] ^= 1;
        assert_eq!(read(&header).1.oddities[0].0.what, "proxy_protocol_checksum");
    }

    #[test]
    fn a_header_longer_than_is_read_is_passed_over_and_nothing_behind_it_is_lost() {
        let header = v2(1, 0x11, &v4(&attribute(4, &[7; 60_000])));
        let (said, out, rest) = read(&[header, b"SSH-2.0-x\r\n".to_vec()].concat());
        assert_eq!(said, ["for 203.0.113.7:56324, who called 198.51.100.80:443 "]);
        assert!(out.partial && out.restart && out.oddities.is_empty());
        assert_eq!(rest, b"SSH-2.0-x\r\n");
    }

    #[test]
    fn what_is_malformed_is_an_oddity_and_no_header() {
        let long = [b"PROXY UNKNOWN ".to_vec(), vec![b'x'; 200]].concat();
        let bad: [&[u8]; 7] = [
            b"PROXY TCP4 203.0.113.7 198.51.100.80 56324\r\n",
            b"PROXY TCP4 2001:db8::7 198.51.100.80 1 2\r\n",
            b"PROXY TCP4 203.0.113.7 198.51.100.80 1 2 3\r\n",
            b"PROXY TCP4 203.0.113.7 198.51.100.80 1 65536\r\n",
            &v2(1, 0x11, &[1, 2, 3]),
            &v2(2, 0x11, &v4(&[])),
            &long,
        ];
        for bytes in bad {
            let (said, out, _) = read(bytes);
            assert!(said.is_empty() && out.violated && !out.restart, "{:?}", String::from_utf8_lossy(bytes));
            assert_eq!(out.oddities[0].0.what, "proxy_protocol_malformed");
        }
        let (said, out, _) = read(&v2(1, 0x11, &v4(&[1, 0, 9, b'h'])));
        assert_eq!((said.len(), out.oddities[0].0.what), (1, "proxy_protocol_attributes"));
    }

    #[test]
    fn only_whole_marks_of_the_originator_are_recognised() {
        assert_eq!(probe(b"PROXY TCP4 1"), Sniff::Yes);
        assert_eq!(probe(&v2(1, 0x11, &[])), Sniff::Yes);
        for part in [&b""[..], b"P", b"PROXY ", b"PROXY TC", b"PROXY UNKNOW", b"\r\n\r\n", MARK] {
            assert_eq!(probe(part), Sniff::More, "{part:?}");
        }
        for other in [&b"POST / HTTP"[..], b"PROXY TCP5 ", b"PROXY http", b"\r\n\r\n\0\r\nQUIT\n\x11", b"\r\nGET"] {
            assert_eq!(probe(other), Sniff::No, "{other:?}");
        }
        assert_eq!(PROTOCOL.probe(Side::In, b"PROXY TCP4 ", &ENDS), Sniff::No);
    }
}
