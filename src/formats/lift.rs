//! What a free text tells: addresses, names, URLs, hashes, hardware addresses, accounts. For messages that no format understands.
//!
//! One pass over the words of at most `TEXT_MAX` bytes, no backtracking. Conservative: a name needs a scheme, a known top-level domain
//! and no file extension that looks like one; an account needs a word before it that says so. The first two addresses become originator and responder
//! only because they stand in that order: the message is beside them.

use super::draft::Draft;
use crate::model::field::{self, FieldId};
use crate::model::value::Value;
use std::net::IpAddr;

/// Most of a text that is looked at, and most names that are taken from it.
const TEXT_MAX: usize = 4096;
const NAMES_MAX: usize = 8;

/// Ends of names that are surely those of domains: generic ones in wide use, a few private ones, and countries that are no common
/// file extension (`.sh`, `.pl`, `.py`, `.rs`, `.so`, `.md`, `.zip` are).
pub(super) const TOPS: [&str; 76] = [
    "com", "net", "org", "info", "biz", "edu", "gov", "mil", "int", "io", "co", "example", "test", "local", "lan", "internal",
    "corp", "home", "arpa", "onion", "app", "dev", "cloud", "online", "site", "xyz", "top", "club", "shop", "live", "icu", "tk",
    "ml", "ga", "cf", "gq", "ru", "cn", "de", "fr", "uk", "nl", "it", "es", "se", "no", "fi", "dk", "at", "ch", "be", "cz", "hu",
    "ro", "bg", "gr", "tr", "ua", "kr", "jp", "tw", "hk", "sg", "in", "au", "nz", "br", "mx", "ar", "ca", "us", "eu", "za", "ir",
    "su", "tv",
];

/// Words after which an account stands, in lower case; a `=` or `:` may follow.
const ACCOUNTS: [&str; 8] = ["user", "username", "usr", "suser", "duser", "account", "login", "uid"];

/// Lifts what a text tells into fields that are still empty.
pub(super) fn lift(text: &str, d: &mut Draft) {
    let text = &text[..text.floor_char_boundary(TEXT_MAX)];
    let free = !d.has(field::SRC_IP) && !d.has(field::DST_IP) && !tuple(text, d);
    let (mut found, mut names) = (0, 0);
    // A protocol that stands as a word of its own.
    let mut spoken: Option<u64> = None;
    // The word before, without its `=` or `:`, and where it ended.
    let (mut before, mut ended) = ("", 0);
    let mut wants_account = false;
    // `192.0.2.1 port 22`, `192.0.2.1(22)`: where the last address ended, and the field for its port.
    let mut open: Option<(usize, FieldId)> = None;
    let is_end = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ',' | ';' | '(' | ')' | '<' | '>' | '|' | '{' | '}');
    for word in text.split(is_end).filter(|w| !w.is_empty()) {
        // `key=value`: the value is a word too. URLs hold `=` of their own.
        let (key, value) = match word.find(['=']) {
            Some(at) if !word[..at].contains(['/', ':', '.', '?']) => (&word[..at], &word[at + 1..]),
            _ => ("", word),
        };
        let value = value.trim_start_matches(['[', '=']).trim_end_matches(['.', ']', ':', '!', '?', '=', '-']);
        let named = |w: &str| ACCOUNTS.iter().any(|a| a.eq_ignore_ascii_case(w.trim_end_matches([':', '='])));
        let at = word.as_ptr() as usize - text.as_ptr() as usize;
        if value.is_empty() {
            wants_account = named(if key.is_empty() { word } else { key });
            (before, ended) = (word, at + word.len());
            continue;
        }
        let follows = || named(before) && for_user(before, value) && is_next(text, before, ended, at, word);
        let said = if key.is_empty() { wants_account || follows() } else { named(key) };
        wants_account = key.is_empty() && named(value) && word.ends_with([':', '=']);
        if matches!(value, "TCP" | "UDP" | "ICMP" | "tcp" | "udp" | "icmp") {
            spoken = spoken.or(crate::model::proto::parse(value).map(u64::from));
        }
        if let Some((end, number)) = open
            && let Ok(port) = value.split(':').next().unwrap_or(value).parse::<u16>()
            && (at == end + 1 && text.as_bytes().get(end) == Some(&b'(')
                || text.get(end..at).is_some_and(|between| between.trim_matches(is_end).eq_ignore_ascii_case("port")))
        {
            d.uint(number, u64::from(port));
            open = None;
        } else if free
            && found > 0
            && before.eq_ignore_ascii_case("port")
            && text[..ended].ends_with(&format!("on {before}"))
            && let Ok(port) = value.parse::<u16>()
        {
            // `from 192.0.2.1 to this gateway on port 443`.
            d.uint(field::DST_PORT, u64::from(port));
        } else if let Some((account, ip)) = key.is_empty().then(|| at_host(value)).flatten() {
            d.text(field::USER, account);
            if free && found == 0 {
                d.give(field::SRC_IP, Value::Addr(ip));
                found = 1;
            }
        } else if said && is_account(value) {
            d.text(field::USER, value);
        } else if let Some((ip, port)) =
            endpoint(value).or_else(|| interface(value)).or_else(|| bracketed(value)).or_else(|| titled(value))
        {
            // `DevIP=` is whoever writes this.
            let own = key
                .trim_start_matches('-')
                .get(..3)
                .is_some_and(|k| ["dev", "dvc", "nas"].iter().any(|w| k.eq_ignore_ascii_case(w)));
            if free && found < 2 && !own {
                let ids = [(field::SRC_IP, field::SRC_PORT), (field::DST_IP, field::DST_PORT)];
                let (address, number) = ids[found];
                if found == 0 || d.record.addr(field::SRC_IP) != Some(ip) {
                    d.give(address, Value::Addr(ip));
                    port.map(|p| d.uint(number, u64::from(p)));
                    open = port.is_none().then_some((at + word.len(), number));
                    found += 1;
                }
            }
        } else if value.contains("://") {
            url(value, d, &mut names);
        } else if let Some(id) = hash(value) {
            d.text(id, value);
        } else if is_mac(value) {
            let id = if d.has(field::SRC_MAC) { field::DST_MAC } else { field::SRC_MAC };
            d.text(id, value);
        } else if names < NAMES_MAX && is_name(value) {
            names += 1;
            d.text(field::NAME, value);
        }
        (before, ended) = (word, at + word.len());
    }
    // Of two ends that the text names a protocol it names is theirs.
    if let Some(number) = spoken.filter(|_| found == 2 && !d.has(field::PROTO)) {
        d.uint(field::PROTO, number);
    }
}

/// `user jdoe` names an account only in the forms that programs use: `for user jdoe`, `user jdoe` at the start would take `user interface` too.
fn for_user(before: &str, value: &str) -> bool {
    before.ends_with([':', '='])
        || value.len() > 1 && before.eq_ignore_ascii_case("user") && !STOPS.iter().any(|s| s.eq_ignore_ascii_case(value))
}

/// Whether a word stands right after the one that announces it: not in other quotes (`"User" "Type"`), not under a title (`[Class] user [Name]`),
/// and not with a value of its own (`user group = admins`).
fn is_next(text: &str, before: &str, ended: usize, at: usize, word: &str) -> bool {
    let between = text.get(ended..at).unwrap_or("");
    let titled = || text[..ended - before.len()].trim_end().ends_with(']') && word.starts_with('[');
    let owns = || text[at + word.len()..].trim_start().starts_with(['=', ':']) && !word.ends_with(':');
    !between.starts_with(['"', '\'', '>', ')']) && !titled() && !owns()
}

/// Words after `user` that are no accounts.
const STOPS: [&str; 62] = [
    "attempting",
    "attempted",
    "attempts",
    "trying",
    "tried",
    "accessing",
    "using",
    "executed",
    "executing",
    "connected",
    "disconnected",
    "connecting",
    "changed",
    "created",
    "deleted",
    "added",
    "removed",
    "modified",
    "locked",
    "unlocked",
    "signed",
    "group",
    "groups",
    "role",
    "roles",
    "by",
    "for",
    "cannot",
    "could",
    "can",
    "failed",
    "database",
    "input",
    "exec",
    "is",
    "has",
    "was",
    "not",
    "and",
    "or",
    "id",
    "name",
    "login",
    "logged",
    "agent",
    "interface",
    "account",
    "authentication",
    "session",
    "sessions",
    "data",
    "profile",
    "mode",
    "space",
    "from",
    "with",
    "in",
    "on",
    "to",
    "at",
    "does",
    "unknown",
];

fn is_account(word: &str) -> bool {
    word.len() <= 64
        && word.bytes().any(|b| b.is_ascii_alphabetic())
        && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-@\\$+".contains(&b) || b >= 0x80)
        && !matches!(word, "-" | "N/A" | "null" | "none" | "true" | "false")
}

/// Ends of a packet in a row of values: `192.0.2.1,50123,198.51.100.7,443,tcp` or `192.0.2.1,198.51.100.7,50123,443,tcp`.
fn tuple(text: &str, d: &mut Draft) -> bool {
    if memchr::memchr_iter(b',', text.as_bytes()).nth(4).is_none() {
        return false;
    }
    let cells: Vec<&str> = text.split(',').map(str::trim).collect();
    let ip = |t: &str| t.parse::<IpAddr>().ok().filter(|ip| plain(*ip));
    for cell in cells.windows(5) {
        let Some(number) = crate::model::proto::parse(cell[4]).filter(|n| matches!(n, 1 | 6 | 17 | 58 | 132)) else { continue };
        let first = cell[0].rsplit(' ').next().unwrap_or("");
        for [a, b, c] in [[2, 1, 3], [1, 2, 3]] {
            let ports = (cell[b].parse::<u16>(), cell[c].parse::<u16>());
            if let (Some(from), Some(to), (Ok(sport), Ok(dport))) = (ip(first), ip(cell[a]), ports) {
                d.give(field::SRC_IP, Value::Addr(from));
                d.give(field::DST_IP, Value::Addr(to));
                d.uint(field::SRC_PORT, u64::from(sport));
                d.uint(field::DST_PORT, u64::from(dport));
                d.uint(field::PROTO, u64::from(number));
                return true;
            }
        }
    }
    false
}

/// An address after the name of an interface or of what it is: `outside:192.0.2.1/8023`.
fn interface(word: &str) -> Option<(IpAddr, Option<u16>)> {
    let (name, rest) = word.split_once(':')?;
    let sound = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        && name.bytes().any(|b| b.is_ascii_alphabetic());
    endpoint(rest).filter(|(ip, _)| sound && ip.is_ipv4())
}

/// An address with its port in brackets, `192.0.2.1[500]`, or after an account, `joe/192.0.2.1:1194`.
fn bracketed(word: &str) -> Option<(IpAddr, Option<u16>)> {
    if let Some((ip, port)) = word.split_once('[') {
        let ip = ip.parse::<IpAddr>().ok().filter(|ip| plain(*ip))?;
        return Some((ip, Some(port.trim_end_matches(']').parse().ok()?)));
    }
    let (account, rest) = word.split_once('/')?;
    endpoint(rest).filter(|(ip, port)| is_account(account) && ip.is_ipv4() && port.is_some() && rest.contains(':'))
}

/// An account with the host that it comes from or goes to: `CORP\joe@192.0.2.1`.
fn at_host(word: &str) -> Option<(&str, IpAddr)> {
    let (account, host) = word.rsplit_once('@')?;
    let bare = account.rsplit_once('\\').map_or(account, |(_, u)| u);
    let ip = host.parse::<std::net::Ipv4Addr>().ok().map(IpAddr::from).filter(|ip| plain(*ip))?;
    (is_account(bare) && account.len() <= 64 && !account.contains(['@', ':', '/'])).then_some((bare, ip))
}

/// An address under its title among other parts, with the port after the protocol: `local:joe/HTTPS/IPv4:192.0.2.1:tcp:50010`.
fn titled(word: &str) -> Option<(IpAddr, Option<u16>)> {
    let at = word.find("IPv").filter(|at| word.as_bytes().get(at + 4) == Some(&b':'))?;
    let mut parts = word[at + 5..].split(':');
    let ip = parts.next()?.parse::<std::net::Ipv4Addr>().ok().map(IpAddr::from).filter(|ip| plain(*ip))?;
    let number = parts.find(|p| !matches!(*p, "tcp" | "udp" | "port"));
    Some((ip, number.and_then(|p| p.parse().ok())))
}

/// An address with or without a port (`192.0.2.1:80`, `192.0.2.1#80`, `[2001:db8::1]:443`; `192.0.2.1/24` may be a network, `/443` is none).
fn endpoint(word: &str) -> Option<(IpAddr, Option<u16>)> {
    let first = word.bytes().next()?;
    if word.len() > 60 || !(first.is_ascii_hexdigit() || first == b':') || !word.contains(['.', ':']) {
        return None;
    }
    if let Ok(ip) = word.parse::<IpAddr>() {
        // Times of day are not short forms of addresses of IPv6.
        return Some((ip, None)).filter(|_| plain(ip));
    }
    if let Some((v6, port)) = word.split_once("]:") {
        return v6.parse::<IpAddr>().ok().map(|ip| (ip, port.parse().ok())).filter(|(ip, _)| plain(*ip));
    }
    if let Some((ip, port)) = word.split_once('#') {
        return Some((ip.parse().ok()?, Some(port.parse().ok()?))).filter(|(ip, _)| plain(*ip));
    }
    let (ip, port) = word.split_once([':', '/'])?;
    let port = port.parse::<u16>().ok().filter(|p| *p > 32 || word.contains(':'))?;
    Some((ip.parse::<std::net::Ipv4Addr>().ok()?.into(), Some(port))).filter(|(ip, _)| plain(*ip))
}

fn plain(ip: IpAddr) -> bool {
    !ip.is_unspecified()
}

fn url(word: &str, d: &mut Draft, names: &mut usize) {
    let Some(at) = word.find("://") else { return };
    let scheme = word[..at].rsplit(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or("");
    if !["http", "https", "ftp", "ftps", "ws", "wss", "tcp", "smb", "ldap", "ldaps", "hxxp", "hxxps"]
        .iter()
        .any(|s| s.eq_ignore_ascii_case(scheme))
    {
        return;
    }
    let url = &word[at - scheme.len()..];
    d.text(field::URL, url);
    if let Some((host, _)) = super::web::authority(url) {
        if let Ok(ip) = host.parse::<IpAddr>() {
            if !d.has(field::DST_IP) {
                d.give(field::DST_IP, Value::Addr(ip));
            }
        } else if *names < NAMES_MAX && host.contains('.') {
            *names += 1;
            d.text(field::NAME, host);
        }
    }
}

fn hash(word: &str) -> Option<FieldId> {
    let id = match word.len() {
        32 => field::MD5,
        40 => field::SHA1,
        64 => field::SHA256,
        _ => return None,
    };
    let hex = word.bytes().all(|b| b.is_ascii_hexdigit());
    (hex && word.bytes().any(|b| b.is_ascii_digit()) && word.bytes().any(|b| b.is_ascii_alphabetic())).then_some(id)
}

pub(super) fn is_mac(word: &str) -> bool {
    let bytes = word.as_bytes();
    bytes.len() == 17
        && matches!(bytes[2], b':' | b'-')
        && bytes.iter().enumerate().all(|(n, b)| if n % 3 == 2 { *b == bytes[2] } else { b.is_ascii_hexdigit() })
}

fn is_name(word: &str) -> bool {
    let name = word.strip_suffix('.').unwrap_or(word);
    let Some((rest, top)) = name.rsplit_once('.') else { return false };
    name.len() <= 253
        && rest.bytes().any(|b| b.is_ascii_alphabetic())
        && TOPS.iter().any(|t| t.eq_ignore_ascii_case(top))
        && rest.split('.').all(|label| {
            !label.is_empty()
                && label.len() <= 63
                && !label.starts_with('-')
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::{Context, Out, Unit, Zone, tests::line};
    use crate::model::origin::EvidenceKey;
    use crate::model::record::Kind;
    use crate::model::time::Time;

    fn lifted(text: &str) -> String {
        let context = Context {
            evidence: EvidenceKey(1),
            stem: "x".into(),
            zone: Zone::Fixed(0),
            year: None,
            dates: crate::formats::Dates::default(),
            modified: Time(0),
        };
        let mut d = Draft::new(Kind::Log, &context, Unit::default(), 0, Time(0));
        lift(text, &mut d);
        let mut out = Out::default();
        d.finish(None, &mut out);
        line(&out.records[0]).replace("log 1970-01-01T00:00:00Z", "").trim().to_owned()
    }

    #[test]
    fn what_a_text_tells_is_lifted() {
        for (text, want) in [
            (
                "received packet: from 203.0.113.82[500] to 192.0.2.94[500] (336 bytes)",
                "src.ip=203.0.113.82 src.port=500 dst.ip=192.0.2.94 dst.port=500",
            ),
            ("heidi/203.0.113.83:1194 MULTI", "src.ip=203.0.113.83 src.port=1194"),
            (
                "INET PASS 60 TCP 192.0.2.20/51234->198.51.100.20/443 S",
                "src.ip=192.0.2.20 src.port=51234 dst.ip=198.51.100.20 dst.port=443 proto=tcp",
            ),
            ("SSH terminated from src IP 10.1.1.1 from USER EXEC mode", "src.ip=10.1.1.1"),
            (
                "connect from 192.0.2.1:4312 to [2001:db8::1]:443, ok",
                "src.ip=192.0.2.1 src.port=4312 dst.ip=2001:db8::1 dst.port=443",
            ),
            (
                "denied src=192.0.2.1 dst=\"198.51.100.7\" user=\"corp\\joe\" x",
                "src.ip=192.0.2.1 dst.ip=198.51.100.7 user=corp\\joe",
            ),
            ("session opened for user root by uid=0", "user=root"),
            ("local:joe/HTTPS/IPv4:192.0.2.1:tcp:50010 - done", "src.ip=192.0.2.1 src.port=50010"),
            ("connection from 192.0.2.1 to this gateway on port 443 was closed", "src.ip=192.0.2.1 dst.port=443"),
            ("User CORP\\joe@192.0.2.1 logged in as x", "src.ip=192.0.2.1 user=joe"),
            (
                "-DevIP=192.0.2.254; failed for user admin from 203.0.113.9 port 40000",
                "src.ip=203.0.113.9 src.port=40000 user=admin",
            ),
            ("Received disconnect from 192.0.2.1 port 51711:14: bye", "src.ip=192.0.2.1 src.port=51711"),
            ("GET https://c2.example/a?b=c from (10.0.0.5)", "src.ip=10.0.0.5 name=c2.example url=https://c2.example/a?b=c"),
            (
                "sum d41d8cd98f00b204e9800998ecf8427e of host 00:11:22:AA:bb:cc",
                "src.mac=00:11:22:aa:bb:cc md5=d41d8cd98f00b204e9800998ecf8427e",
            ),
            ("lookup evil.example.com. failed", "name=evil.example.com"),
            (
                "client 192.0.2.1#5300: from inside:198.51.100.7/443",
                "src.ip=192.0.2.1 src.port=5300 dst.ip=198.51.100.7 dst.port=443",
            ),
            (
                "tcp 192.0.2.1(55244) -> 198.51.100.7(443), 1 packet",
                "src.ip=192.0.2.1 src.port=55244 dst.ip=198.51.100.7 dst.port=443 proto=tcp",
            ),
            ("failed for x from 192.0.2.1 port 4711 ssh2", "src.ip=192.0.2.1 src.port=4711"),
            (
                "a, 192.0.2.1,4711,198.51.100.7,443,tcp,1",
                "src.ip=192.0.2.1 src.port=4711 dst.ip=198.51.100.7 dst.port=443 proto=tcp",
            ),
            ("192.0.2.1:4711->198.51.100.7:443", "src.ip=192.0.2.1 src.port=4711 dst.ip=198.51.100.7 dst.port=443"),
            ("peer 192.0.2.1 is gone, back to port 22", "src.ip=192.0.2.1"),
            ("route 192.0.2.0/24 metric 5", ""),
        ] {
            assert_eq!(lifted(text), want, "{text}");
        }
    }

    #[test]
    fn what_only_looks_so_is_left() {
        for text in [
            "at 10:15:42 version 1.2.3.4.5 of libssl.so in main.py",
            "the user interface is down; user id 12",
            "std::io::Error foo::bar ::",
            "build 0123456789012345678901234567890123456789",
            "java.lang.NullPointerException at a.b.C.java",
            "0.0.0.0 and :: and user=-",
            "\"ObjectType\"=\"User\" \"ObjectTypeId\"=\"513\"",
            "[ClassName] user [AttributeName] x",
            "User group = admins",
            "an unauthorized user attempting to access it",
        ] {
            assert_eq!(lifted(text), "", "{text}");
        }
    }
}
