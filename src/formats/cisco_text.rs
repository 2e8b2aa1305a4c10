//! Parts of Cisco firewall messages: end points, protocols, durations, accounts, Firepower's `Key: value` pairs.
//!
//! Knows no message numbers but those of Firepower's connection events. Scans once, left to right.

use super::{draft, draft::Draft};
use crate::model::field::{self, FieldId};
use crate::model::record::Kind;
use crate::model::value::Value;
use std::net::IpAddr;

/// One end of a connection as a message writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct End<'a> {
    pub interface: &'a str,
    pub ip: IpAddr,
    pub port: Option<u16>,
    /// Address and port after translation.
    pub mapped: Option<(IpAddr, Option<u16>)>,
    pub user: &'a str,
}

impl<'a> End<'a> {
    /// `outside:192.0.2.1/80`, `net/192.0.2.1(80)`, `192.0.2.1/80`, `(192.0.2.1)`, `outside:2001:db8::1/80(LOCAL\user)`.
    pub fn parse(token: &'a str) -> Option<End<'a>> {
        let token = token.trim_end_matches([',', ';', '.']);
        let token = token.strip_prefix('(').map_or(token, |t| t.trim_end_matches(')'));
        let (body, inside) = match token.split_once('(') {
            Some((body, inside)) => (body, inside.trim_end_matches(')')),
            None => (token, ""),
        };
        let port_inside: Option<u16> = inside.parse().ok();
        let user = if port_inside.is_none() && !inside.is_empty() { inside } else { "" };
        let user = user.rsplit_once('\\').map_or(user, |(_, u)| u);
        let made = |interface, ip, port: Option<u16>| End { interface, ip, port: port.or(port_inside), mapped: None, user };
        if let Some((ip, port)) = address(body) {
            return Some(made("", ip, port));
        }
        // Interface names hold neither `:` nor `/` as a rule; addresses of IPv6 do.
        let at = body.find([':', '/'])?;
        let (ip, port) = address(&body[at + 1..])?;
        Some(made(&body[..at], ip, port))
    }
}

/// `address` or `address/port`.
fn address(text: &str) -> Option<(IpAddr, Option<u16>)> {
    let (ip, port) = match text.rsplit_once('/') {
        Some((ip, port)) => (ip, port.parse().ok()),
        None => (text, None),
    };
    ip.bytes().next().filter(|b| b.is_ascii_hexdigit() || matches!(b, b':' | b'['))?;
    draft::address(ip).map(|ip| (ip, port))
}

/// What follows a phrase.
pub(super) fn after<'a>(text: &'a str, phrase: &str) -> Option<&'a str> {
    memchr::memmem::find(text.as_bytes(), phrase.as_bytes()).map(|at| &text[at + phrase.len()..])
}

/// Originator and responder: after `src`, `from`, `for`, and after `dst`, `to`, `->`; without such words the first two.
pub(super) fn ends(text: &str) -> (Option<End<'_>>, Option<End<'_>>) {
    let (mut from, mut to): (Option<End<'_>>, Option<End<'_>>) = (None, None);
    let mut word = "";
    // Which end a bracket after it belongs to: 1 from, 2 to.
    let mut last = 0;
    for token in text.split_ascii_whitespace().take(60) {
        if token.starts_with('(')
            && token.ends_with(')')
            && last != 0
            && let Some(end) = if last == 1 { from.as_mut() } else { to.as_mut() }
        {
            let inside = token.trim_start_matches('(');
            let (first, user) = inside.split_once(")(").unwrap_or((inside, ""));
            match address(first.trim_end_matches(')')) {
                Some(mapped) => end.mapped = end.mapped.or(Some(mapped)),
                None if end.user.is_empty() => end.user = bare(first),
                None => {}
            }
            if !user.is_empty() && end.user.is_empty() {
                end.user = bare(user);
            }
            continue;
        }
        last = 0;
        if let Some(end) = End::parse(token) {
            match word {
                "dst" | "to" | "->" | "dest" if to.is_none() => (to, last) = (Some(end), 2),
                "src" | "from" | "for" if from.is_none() => (from, last) = (Some(end), 1),
                _ if from.is_none() && !matches!(word, "=" | "server" | "dst" | "to") => (from, last) = (Some(end), 1),
                _ => {}
            }
        }
        word = token;
    }
    (from, to)
}

fn bare(user: &str) -> &str {
    let user = user.trim_end_matches(')');
    user.rsplit_once('\\').map_or(user, |(_, u)| u)
}

/// The first word that is a protocol, or `protocol N`.
pub(super) fn protocol(text: &str, d: &mut Draft) {
    let mut words = text.split_ascii_whitespace().take(12);
    while let Some(word) = words.next() {
        let number = match word.trim_end_matches(',').to_ascii_lowercase().as_str() {
            "tcp" => Some(6),
            "udp" => Some(17),
            "icmp" => Some(1),
            "icmpv6" | "icmp6" | "ipv6-icmp" => Some(58),
            "gre" => Some(47),
            "sctp" => Some(132),
            "esp" => Some(50),
            "protocol" => words.next().and_then(|n| n.parse::<u8>().ok()).map(u64::from),
            _ => None,
        };
        if let Some(number) = number {
            d.uint(field::PROTO, number);
            return;
        }
    }
}

/// `type 8, code 0`, `type=8, code=0`.
pub(super) fn icmp_type(text: &str) -> Option<(u64, u64)> {
    let number = |name: &str| {
        let rest = after(text, name)?.trim_start_matches([' ', '=']);
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        rest[..end].parse::<u8>().ok().map(u64::from)
    };
    let kind = number("type")?;
    Some((kind, number("code").unwrap_or(0)))
}

/// `0:01:07`, `92:24:20`, `1d2h`, `0h:15m:40s`: nanoseconds.
pub(super) fn duration(text: &str) -> Option<u64> {
    let word = text.split([' ', ',']).next()?;
    let mut seconds = 0u64;
    let parts: Vec<&str> = word.split(':').collect();
    if parts.len() == 3 {
        for part in parts {
            let digits = part.trim_end_matches(|c: char| c.is_ascii_alphabetic());
            seconds = seconds.checked_mul(60)?.checked_add(digits.parse().ok()?)?;
        }
        return seconds.checked_mul(1_000_000_000).filter(|n| i64::try_from(*n).is_ok());
    }
    let nanos = crate::model::time::parse_span(word)?;
    u64::try_from(nanos).ok()
}

/// Accounts and the addresses that they come from, as login messages write them.
pub(super) fn accounts(text: &str, d: &mut Draft) {
    let word = |phrases: &[&str]| {
        let rest = phrases.iter().find_map(|p| after(text, p))?.trim_start();
        let rest = rest.strip_prefix(['<', '"', '\'']).unwrap_or(rest);
        let end = rest.find(['>', '"', '\'', ',', ' ', ':']).unwrap_or(rest.len());
        Some(&rest[..end]).filter(|w| !w.is_empty() && !w.starts_with('*'))
    };
    if let Some(user) = word(&["Username = ", "user = ", "User <", "Uname: ", "for user ", "User '", "user ="]) {
        d.text(field::USER, bare(user));
    }
    // An address of IPv6 holds colons.
    let ip = |phrases: &[&str]| {
        let rest = phrases.iter().find_map(|p| after(text, p))?.trim_start();
        draft::address(rest[..rest.find(['>', ',', ' ']).unwrap_or(rest.len())].trim_start_matches('<'))
    };
    if let Some(ip) = ip(&["user IP = ", " IP = ", " IP <", "IP address: "]) {
        d.give(field::SRC_IP, Value::Addr(ip));
    }
    if let Some(ip) = ip(&["IPv4 Address <", "Address <"]).filter(|ip| !ip.is_unspecified()) {
        d.give(field::LEASE, Value::Addr(ip));
    }
}

/// Firepower's keys.
const KEYS: &[(&str, FieldId)] = &[
    ("SrcIP", field::SRC_IP),
    ("DstIP", field::DST_IP),
    ("SrcPort", field::SRC_PORT),
    ("DstPort", field::DST_PORT),
    ("ICMPType", field::SRC_PORT),
    ("Protocol", field::PROTO),
    ("IngressInterface", field::IFACE_IN),
    ("EgressInterface", field::IFACE_OUT),
    ("IngressZone", field::ZONE_IN),
    ("EgressZone", field::ZONE_OUT),
    ("AccessControlRuleName", field::RULE),
    ("AccessControlRuleReason", field::REASON),
    ("InitiatorPackets", field::PACKETS_OUT),
    ("ResponderPackets", field::PACKETS_IN),
    ("InitiatorBytes", field::BYTES_OUT),
    ("ResponderBytes", field::BYTES_IN),
    ("NAT_InitiatorIP", field::NAT_SRC_IP),
    ("NAT_InitiatorPort", field::NAT_SRC_PORT),
    ("NAT_ResponderIP", field::NAT_DST_IP),
    ("NAT_ResponderPort", field::NAT_DST_PORT),
    ("DNSQuery", field::NAME),
    ("DNSRecordType", field::DNS_TYPE),
    ("SSLServerName", field::SNI),
    ("ReferencedHost", field::HTTP_HOST),
    ("URL", field::URL),
    ("UserAgent", field::HTTP_AGENT),
    ("HTTPReferer", field::HTTP_REFERER),
    ("ApplicationProtocol", field::APP),
    ("Message", field::SIGNATURE),
    ("GID", field::SIGNATURE_GID),
    ("SID", field::SIGNATURE_ID),
    ("Revision", field::SIGNATURE_REV),
    ("Classification", field::CATEGORY),
    ("FileName", field::FILE_NAME),
    ("FileType", field::FILE_TYPE),
    ("FileSize", field::FILE_SIZE),
    ("FileSHA256", field::SHA256),
    ("ConnectionID", field::UID),
];

/// `Key: value, Key: value` of Firepower's connection, intrusion and file events.
pub(super) fn pairs(code: &str, text: &str, d: &mut Draft) {
    d.record.kind = match code {
        "430001" => Kind::Alert,
        "430004" | "430005" => Kind::File,
        _ => Kind::Fw,
    };
    let mut rest = text;
    for _ in 0..200 {
        let Some((key, after)) = rest.split_once(": ") else { break };
        let end = next_key(after);
        let value = after[..end].trim_end_matches([',', ' ']);
        rest = after[end..].trim_start_matches([',', ' ']);
        match (key, KEYS.iter().find(|(k, _)| *k == key)) {
            ("Protocol", _) => d.put_or_keep(field::PROTO, "Protocol", &value.to_ascii_lowercase()),
            (_, Some((_, id))) if value != "Unknown" => d.put_or_keep(*id, key, value),
            ("User", _) if !matches!(value, "No Authentication Required" | "Unknown") => _ = d.text(field::USER, bare(value)),
            ("AccessControlRuleAction" | "InlineResult" | "FileAction", _) => {
                let word = value.to_ascii_lowercase();
                let action = match word.as_str() {
                    "allow" | "trust" | "fastpath" => "allow",
                    "dropped" => "drop",
                    w if w.contains("reset") => "reset",
                    w if w.starts_with("block") => "deny",
                    _ => &word,
                };
                if !d.text(field::ACTION, action) {
                    d.keep(key, value);
                }
            }
            ("ConnectionDuration", _) => {
                if let Some(nanos) = draft::seconds(value) {
                    d.uint(field::ELAPSED, nanos);
                    d.record.start = d.record.end.plus(-i64::try_from(nanos).unwrap_or(0));
                }
            }
            _ => d.keep(key, value),
        }
    }
}

/// Where the next `, Key: ` begins: values may hold commas.
fn next_key(text: &str) -> usize {
    let mut from = 0;
    while let Some(at) = memchr::memmem::find(&text.as_bytes()[from..], b", ").map(|n| n + from) {
        let key = text[at + 2..].split(": ").next().unwrap_or("");
        let plain = !key.is_empty() && key.len() <= 40 && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"_ ".contains(&b));
        if plain && text[at + 2..].len() > key.len() {
            return at;
        }
        from = at + 2;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn end_points_of_every_form_are_read() {
        for (token, want) in [
            ("outside:192.0.2.1/80", "outside 192.0.2.1 Some(80) "),
            ("net/192.0.2.1(49033)", "net 192.0.2.1 Some(49033) "),
            ("in:2001:db8::1/443(LOCAL\\joe)", "in 2001:db8::1 Some(443) joe"),
            ("(192.0.2.9)", " 192.0.2.9 None "),
            ("2001:db8::2", " 2001:db8::2 None "),
        ] {
            let end = End::parse(token).unwrap();
            assert_eq!(format!("{} {} {:?} {}", end.interface, end.ip, end.port, end.user), want);
        }
        assert!(End::parse("connection").is_none() && End::parse("0:01:07").is_none());
    }

    #[test]
    fn durations_have_three_parts() {
        assert_eq!(duration("92:24:20 bytes"), Some(332_660_000_000_000));
        assert_eq!(duration("0h:15m:40s, x"), Some(940_000_000_000));
        assert_eq!(duration("999999999999999999:0:0"), None);
    }
}
