//! SOCKS 4, 4a and 5 (RFC 1928, RFC 1929): where a proxy was asked to go, as whom, and whether it went. What it carries from there is probed
//! afresh. Passwords are never kept.

use super::common::buffer::Buffer;
use super::common::bytes::{Bytes, text};
use super::common::fields::Fields;
use super::{At, Ends, Out, Parser, Protocol, Side, Sniff};
use crate::model::field;
use crate::model::oddity::Oddity;
use crate::model::proto::TCP;
use crate::model::record::Kind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The protocol.
pub static PROTOCOL: Socks = Socks;

/// Bytes of a side that are read. The longest handshake has 257 bytes of methods, 513 of a login and 262 of a request: what is behind these is
/// carried, or means nothing.
const MAX_READ: usize = 2048;
/// Longest user or name of SOCKS 4.
const MAX_TEXT: usize = 255;

/// See [`PROTOCOL`].
#[derive(Debug)]
pub struct Socks;

impl Protocol for Socks {
    fn name(&self) -> &'static str {
        "socks"
    }
    fn doc(&self) -> &'static str {
        "SOCKS 4, 4a and 5: what a proxy is asked to reach (RFC 1928)."
    }
    fn over(&self) -> &'static [u8] {
        &[TCP]
    }
    fn probe(&self, side: Side, first: &[u8], _ends: &Ends) -> Sniff {
        // Each side waits for the other: a first message has nothing behind it.
        match (side, first) {
            (_, []) => Sniff::More,
            (Side::Out, [5]) | (Side::Out, [4]) => Sniff::More,
            (Side::Out, [5, count @ 1..=9, methods @ ..]) if methods.iter().all(|m| *m <= 9 || *m >= 0x80) => {
                match methods.len().cmp(&usize::from(*count)) {
                    std::cmp::Ordering::Less => Sniff::More,
                    std::cmp::Ordering::Equal => Sniff::Yes,
                    std::cmp::Ordering::Greater => Sniff::No,
                }
            }
            (Side::Out, [4, 1 | 2, ..]) => match four(first) {
                Ok(asked) if asked.length == first.len() && asked.port != 0 => Sniff::Yes,
                Err(true) => Sniff::More,
                _ => Sniff::No,
            },
            (Side::In, [5, 0 | 1 | 2 | 0xff]) | (Side::In, [0, 0x5a..=0x5d, _, _, _, _, _, _]) => Sniff::Yes,
            (Side::In, [5] | [0]) => Sniff::More,
            (Side::In, [0, 0x5a..=0x5d, rest @ ..]) if rest.len() < 6 => Sniff::More,
            _ => Sniff::No,
        }
    }
    fn parser(&self, _ends: &Ends) -> Box<dyn Parser> {
        Box::<Conversation>::default()
    }
}

/// Where a proxy is asked to go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Asked {
    version: u8,
    command: u8,
    name: String,
    address: Option<IpAddr>,
    port: u16,
    user: String,
    /// Bytes of the message.
    length: usize,
}

/// A text that ends at its zero; bytes with it.
fn ended(bytes: &[u8]) -> Result<(String, usize), bool> {
    match memchr::memchr(0, bytes) {
        Some(end) if end <= MAX_TEXT => Ok((text(bytes.get(..end).unwrap_or_default(), MAX_TEXT), end.saturating_add(1))),
        Some(_) => Err(false),
        None => Err(bytes.len() <= MAX_TEXT),
    }
}

/// A request of SOCKS 4 or 4a. `Err`: whether more bytes may help.
fn four(bytes: &[u8]) -> Result<Asked, bool> {
    let mut b = Bytes::new(bytes);
    let (Some(version), Some(command), Some(port), Some(octets)) = (b.u8(), b.u8(), b.u16(), b.array::<4>()) else {
        return Err(true);
    };
    let (user, used) = ended(b.rest())?;
    let mut asked = Asked { version, command, port, user, length: b.at().saturating_add(used), ..Asked::default() };
    match octets {
        // An address that cannot be: the name follows (4a).
        [0, 0, 0, 1..=255] => {
            let (name, used) = ended(bytes.get(asked.length..).unwrap_or_default())?;
            if name.is_empty() {
                return Err(false);
            }
            (asked.name, asked.length) = (name, asked.length.saturating_add(used));
        }
        octets => asked.address = Some(Ipv4Addr::from(octets).into()),
    }
    Ok(asked)
}

/// Address and port of a request or answer of SOCKS 5 that begins with version, command or answer, and a zero.
fn five(bytes: &[u8]) -> Result<Asked, bool> {
    let mut b = Bytes::new(bytes);
    let (Some(version), Some(command), Some(_), Some(kind)) = (b.u8(), b.u8(), b.u8(), b.u8()) else { return Err(true) };
    let mut asked = Asked { version, command, ..Asked::default() };
    match kind {
        1 => asked.address = Some(b.array::<4>().map(|o| Ipv4Addr::from(o).into()).ok_or(true)?),
        3 => asked.name = text(b.list8().ok_or(true)?, MAX_TEXT),
        4 => asked.address = Some(b.array::<16>().map(|o| Ipv6Addr::from(o).into()).ok_or(true)?),
        _ => return Err(false),
    }
    asked.port = b.u16().ok_or(true)?;
    asked.length = b.at();
    Ok(asked)
}

/// What the server is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Stage {
    #[default]
    Begin,
    /// The server chooses a method.
    Method,
    /// The client may log in, the server has chosen this.
    Login,
    /// The server judges the login.
    Judged,
    /// The client asks.
    Ask,
    /// The server answers.
    Answer,
    Over,
}

#[derive(Default)]
struct Conversation {
    buffers: [Buffer; 2],
    /// Bytes of each side that were put into its buffer.
    taken: [usize; 2],
    stage: Stage,
    asked: Option<(Asked, At)>,
    user: String,
}

impl Conversation {
    /// Reads what waits, of whichever side is due. `Some(true)`: something was read.
    fn step(&mut self, at: At, out: &mut Out) -> Option<bool> {
        let side = if matches!(self.stage, Stage::Begin | Stage::Login | Stage::Ask) { Side::Out } else { Side::In };
        let buffer = self.buffers.get(usize::from(side == Side::In))?;
        let bytes = &buffer.unread().to_vec()[..];
        if bytes.is_empty() || self.stage == Stage::Over {
            return Some(false);
        }
        let first = buffer.first(at);
        let need = |n: usize| if bytes.len() >= n { Some(n) } else { None };
        let used = match self.stage {
            Stage::Begin if bytes.first() == Some(&4) => match four(bytes) {
                Ok(asked) => {
                    let used = asked.length;
                    self.user.clone_from(&asked.user);
                    self.asked = Some((asked, first));
                    self.stage = Stage::Answer;
                    Some(used)
                }
                Err(more) => more.then_some(0),
            },
            Stage::Begin if bytes.first() == Some(&5) => {
                let used = bytes.get(1).and_then(|n| need(usize::from(*n).saturating_add(2)));
                if used.is_some() {
                    self.stage = Stage::Method;
                }
                Some(used.unwrap_or(0))
            }
            Stage::Method => match bytes {
                [5, 0, ..] => {
                    (self.stage, out.confirmed) = (Stage::Ask, true);
                    Some(2)
                }
                [5, 2, ..] => {
                    (self.stage, out.confirmed) = (Stage::Login, true);
                    Some(2)
                }
                // Refused, or a method that hides what follows.
                [5, other, ..] => {
                    let mut fields = Fields::default();
                    fields.text(field::APP, "socks");
                    fields.text(field::MESSAGE, if *other == 0xff { "no method accepted" } else { "a login that is not read" });
                    fields.text(field::ACTION, if *other == 0xff { "deny" } else { "" });
                    out.events.push(fields.event(Kind::Log, first, at));
                    (self.stage, out.confirmed, out.done) = (Stage::Over, true, true);
                    Some(2)
                }
                [5] => Some(0),
                _ => None,
            },
            Stage::Login => {
                let mut b = Bytes::new(bytes);
                match (b.u8(), b.list8(), b.list8()) {
                    (Some(1), Some(user), Some(_)) => {
                        self.user = text(user, MAX_TEXT);
                        self.stage = Stage::Judged;
                        Some(b.at())
                    }
                    (Some(1), ..) => Some(0),
                    _ => None,
                }
            }
            Stage::Judged => match bytes {
                [_, status, ..] => {
                    let mut fields = Fields::default();
                    fields.text(field::APP, "socks");
                    fields.text(field::USER, &self.user);
                    fields.text(field::METHOD_AUTH, "password");
                    fields.text(field::ACTION, if *status == 0 { "login_ok" } else { "login_fail" });
                    out.events.push(fields.event(Kind::Auth, first, at));
                    self.stage = if *status == 0 { Stage::Ask } else { Stage::Over };
                    out.done |= self.stage == Stage::Over;
                    Some(2)
                }
                _ => Some(0),
            },
            Stage::Ask => match five(bytes) {
                Ok(asked) if asked.version == 5 && (1..=3).contains(&asked.command) => {
                    let used = asked.length;
                    self.asked = Some((asked, first));
                    self.stage = Stage::Answer;
                    Some(used)
                }
                Ok(_) => None,
                Err(more) => more.then_some(0),
            },
            Stage::Answer => {
                let version = self.asked.as_ref().map(|a| a.0.version);
                let answer = match (version, bytes) {
                    (Some(5), [5, ..]) => five(bytes).map(|a| (a.command, a.length)),
                    // 4 answers with 0, some servers with the 4 of the request, and by numbers of its own.
                    (Some(4), [0 | 4, rest @ ..]) => {
                        rest.first().and_then(|code| need(8).map(|n| (code.wrapping_sub(0x5a), n))).ok_or(true)
                    }
                    _ => Err(false),
                };
                match answer {
                    Ok((code, used)) => {
                        self.answered(code, at, out);
                        Some(used)
                    }
                    Err(more) => more.then_some(0),
                }
            }
            Stage::Begin | Stage::Over => None,
        };
        let used = used?;
        if let Some(buffer) = self.buffers.get_mut(usize::from(side == Side::In)) {
            buffer.skip(used);
        }
        Some(used > 0)
    }

    /// Gives the event of a request. Answer: none, or its code.
    fn tell(&self, asked: &Asked, code: Option<u8>, first: At, last: At, out: &mut Out) {
        let mut fields = Fields::default();
        fields.text(field::APP, "socks");
        fields.text(field::NAME, &asked.name);
        fields.maybe(field::NAT_DST_IP, asked.address);
        fields.add(field::NAT_DST_PORT, u64::from(asked.port));
        fields.text(field::USER, &self.user);
        let command = match asked.command {
            1 => "connect",
            2 => "bind",
            _ => "udp",
        };
        let place = asked.address.map_or_else(|| asked.name.clone(), |a| a.to_string());
        fields.text(field::MESSAGE, &format!("socks{} {command} {place} port {}", asked.version, asked.port));
        let action = match code {
            None => "asked",
            Some(0) => "allow",
            Some(_) => "deny",
        };
        fields.text(field::ACTION, action);
        fields.text(field::REASON, &reason(asked.version, code.unwrap_or_default()));
        out.events.push(fields.event(Kind::Log, first, last));
    }

    fn answered(&mut self, code: u8, last: At, out: &mut Out) {
        let Some((asked, first)) = self.asked.take() else { return };
        self.tell(&asked, Some(code), first, last, out);
        if !asked.name.is_empty() {
            out.flow.push((field::NAME, asked.name.as_str().into()));
        }
        out.confirmed = true;
        out.done = true;
        out.restart = code == 0 && asked.command == 1;
        self.stage = Stage::Over;
    }
}

fn reason(version: u8, code: u8) -> String {
    match (version, code) {
        (_, 0) => "",
        (5, 1) => "general failure",
        (5, 2) => "not allowed by rules",
        (5, 3) => "network unreachable",
        (5, 4) => "host unreachable",
        (5, 5) => "connection refused",
        (5, 6) => "ttl expired",
        (5, 7) => "command not supported",
        (5, 8) => "address type not supported",
        (4, 1) => "rejected or failed",
        (4, 2) => "no identd on the client",
        (4, 3) => "identd says another user",
        (_, other) => return format!("code {other}"),
    }
    .to_owned()
}

impl Parser for Conversation {
    fn data(&mut self, side: Side, bytes: &[u8], at: At, out: &mut Out) {
        let index = usize::from(side == Side::In);
        if let (Some(buffer), Some(taken)) = (self.buffers.get_mut(index), self.taken.get_mut(index)) {
            let kept = bytes.get(..MAX_READ.saturating_sub(*taken)).unwrap_or(bytes);
            *taken = taken.saturating_add(kept.len());
            let _ = buffer.push(kept, at, MAX_READ);
        }
        loop {
            match self.step(at, out) {
                Some(true) => {}
                Some(false) => return,
                None => {
                    out.oddities.push((Oddity::new("socks_malformed"), at.time, at.offset));
                    (out.violated, self.stage) = (true, Stage::Over);
                    // Only by 5 was the server heard before: it is a proxy, whatever it answers.
                    if self.asked.as_ref().is_some_and(|a| a.0.version == 5) {
                        self.end(out);
                    }
                    return;
                }
            }
        }
    }
    fn end(&mut self, out: &mut Out) {
        if let Some((asked, at)) = self.asked.take() {
            self.tell(&asked, None, at, at, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Time;

    fn talk(parts: &[(Side, &[u8])]) -> (Vec<String>, Out) {
        let at = At { time: Time(1), offset: 1 };
        let mut said = Vec::new();
        let mut last = Out::default();
        for size in [1, 999, 9999] {
            let (mut c, mut out) = (Conversation::default(), Out::default());
            for (side, bytes) in parts {
                bytes.chunks(size).for_each(|b| c.data(*side, b, at, &mut out));
            }
            c.end(&mut out);
            let wanted = [field::MESSAGE, field::ACTION, field::REASON, field::USER];
            said = out
                .events
                .iter()
                .map(|e| e.fields.iter().filter(|f| wanted.contains(&f.0)).map(|f| format!("{} ", f.1)).collect())
                .collect();
            last = out;
        }
        (said, last)
    }

    #[test]
    fn a_proxy_that_went_says_where_as_whom_and_hands_the_stream_over() {
        let (said, out) = talk(&[
            (Side::Out, &[5, 2, 0, 2]),
            (Side::In, &[5, 2]),
            (Side::Out, b"\x01\x03bob\x06secret"),
            (Side::In, &[1, 0]),
            (Side::Out, b"\x05\x01\x00\x03\x0bexample.com\x01\xbb"),
            (Side::In, &[5, 0, 0, 1, 10, 0, 0, 1, 0x10, 0]),
        ]);
        assert_eq!(said, ["login_ok bob ", "allow bob socks5 connect example.com port 443 "]);
        assert!(out.restart && out.done && out.confirmed && !format!("{out:?}").contains("secret"));
    }

    #[test]
    fn version_4_has_names_too_and_a_refusal_has_its_reason() {
        let (said, out) =
            talk(&[(Side::Out, b"\x04\x01\x00\x50\0\0\0\x01me\0evil.example\0"), (Side::In, &[0, 0x5b, 0, 0, 0, 0, 0, 0])]);
        assert_eq!(said, ["deny rejected or failed me socks4 connect evil.example port 80 "]);
        assert!(!out.restart && out.done);
        let (said, _) = talk(&[(Side::Out, b"\x04\x01\x00\x50\x0a\0\0\x01\0"), (Side::In, &[0, 0x5a, 0, 0, 0, 0, 0, 0])]);
        assert_eq!(said, ["allow socks4 connect 10.0.0.1 port 80 "]);
    }

    #[test]
    fn what_a_proxy_carries_may_stand_in_the_segment_of_the_request_or_the_answer() {
        let hello = [0x16; 1500];
        let ask = [&b"\x05\x01\x00\x03\x0bexample.com\x01\xbb"[..], &hello].concat();
        let answer = [&[5, 0, 0, 1, 10, 0, 0, 1, 0x10, 0][..], &[0x17; 5000]].concat();
        let (said, out) = talk(&[(Side::Out, &[5, 1, 0]), (Side::In, &[5, 0]), (Side::Out, &ask), (Side::In, &answer)]);
        assert_eq!(said, ["allow socks5 connect example.com port 443 "]);
        assert!(out.restart && out.done && out.oddities.is_empty());
        // A client that waits for nothing: all in front of what it carries is read.
        let all = [&[5, 1, 2][..], b"\x01\xff", &[b'u'; 255], b"\xff", &[b'p'; 255], &ask, &hello].concat();
        let (said, out) = talk(&[(Side::Out, &all), (Side::In, &[5, 2, 1, 0, 5, 0, 0, 1, 10, 0, 0, 1, 0x10, 0])]);
        assert_eq!(said.len(), 2);
        assert!(said[1].contains("connect example.com port 443") && out.restart && out.oddities.is_empty());
    }

    #[test]
    fn a_request_without_an_answer_was_asked() {
        let (said, out) = talk(&[(Side::Out, b"\x04\x01\x00\x50\x0a\0\0\x01bob\0")]);
        assert_eq!(said, ["asked bob socks4 connect 10.0.0.1 port 80 "]);
        assert!(!out.restart && out.oddities.is_empty());
    }

    #[test]
    fn the_answer_has_the_version_of_the_request() {
        let ask = b"\x05\x01\x00\x01\x0a\0\0\x01\0\x50";
        let (said, out) =
            talk(&[(Side::Out, &[5, 1, 0]), (Side::In, &[5, 0]), (Side::Out, ask), (Side::In, &[0, 0x5a, 0, 0, 0, 0, 0, 0])]);
        assert_eq!(said, ["asked socks5 connect 10.0.0.1 port 80 "]);
        assert!(out.violated && out.oddities.iter().all(|o| o.0.what == "socks_malformed") && !out.oddities.is_empty());
        let four = (Side::Out, &b"\x04\x01\x00\x50\x0a\0\0\x01\0"[..]);
        let (_, out) = talk(&[four, (Side::In, &[5, 0, 0, 1, 10, 0, 0, 1, 0x10, 0])]);
        assert!(out.violated && !out.restart);
        let (said, out) = talk(&[four, (Side::In, &[4, 0x5a, 0, 0, 0, 0, 0, 0])]);
        assert_eq!(said, ["allow socks4 connect 10.0.0.1 port 80 "]);
        assert!(out.restart && !out.violated);
    }

    #[test]
    fn only_whole_first_messages_are_believed() {
        let ip = IpAddr::from([10, 0, 0, 1]);
        let ends = Ends { src: ip, src_port: 1, dst: ip, dst_port: 1080, proto: TCP };
        let probe = |side, bytes: &[u8]| Socks.probe(side, bytes, &ends);
        assert_eq!(probe(Side::Out, &[5, 1, 0]), Sniff::Yes);
        assert_eq!(probe(Side::Out, &[5, 2, 0]), Sniff::More);
        for bytes in [&[5, 1, 0, 0][..], &[5, 0, 11, 3], &[4, 3, 0, 80, 1, 2, 3, 4, 0], &[4, 1, 0, 0, 1, 2, 3, 4, 0]] {
            assert_eq!(probe(Side::Out, bytes), Sniff::No, "{bytes:?}");
        }
        assert_eq!(probe(Side::In, &[5, 0, 0]), Sniff::No);
    }
}
