//! Indicators by the form of a word, defanged or not. One pass over a line, nothing is tried twice, no word is longer than 2,048 bytes.
//!
//! What only looks like one is left: numbers of versions (`version 1.2.3.4`), names of files and of code (`foo.py`, `System.Net`,
//! `com.example.app`), commits, loopback and unspecified addresses, networks that hold half the world. A word that was defanged was meant.

use super::indicator::{is_name, refang};
use super::lift::{self, TOPS};
use crate::model::entity::{Entity, EntityKind};
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr};

/// Longest word that is looked at.
const LONGEST: usize = 2048;

/// Ends of names in wide use by attackers and others, beside [`TOPS`].
const MORE_TOPS: [&str; 44] = [
    "pw",
    "cc",
    "ws",
    "link",
    "click",
    "buzz",
    "monster",
    "rest",
    "bar",
    "fun",
    "space",
    "website",
    "store",
    "tech",
    "host",
    "press",
    "pro",
    "mobi",
    "asia",
    "wiki",
    "work",
    "world",
    "today",
    "life",
    "agency",
    "email",
    "network",
    "group",
    "digital",
    "systems",
    "solutions",
    "services",
    "support",
    "center",
    "company",
    "download",
    "stream",
    "date",
    "racing",
    "win",
    "bid",
    "loan",
    "cyou",
    "invalid",
];

/// Ends of two letters that are words of the language: in a sentence two labels with such an end are a full stop without a blank.
const WORDS: [&str; 16] = ["in", "it", "at", "be", "no", "us", "so", "is", "as", "am", "me", "my", "to", "do", "id", "or"];

/// Ends of two letters that are names of files.
const FILES: [&str; 18] =
    ["py", "sh", "rs", "md", "pl", "js", "ts", "cs", "vb", "ps", "gz", "xz", "go", "hs", "db", "pm", "rb", "kt"];

/// What names of packages of code begin with, the end of a name first.
const PACKAGES: [&str; 9] = ["com", "org", "net", "edu", "gov", "io", "java", "javax", "android"];

/// Words after which four numbers are a version.
const VERSIONS: [&str; 15] = [
    "version", "versions", "ver", "v", "release", "build", "firmware", "update", "patch", "rev", "revision", "section",
    "chapter", "kernel", "driver",
];

/// Schemes of URLs that are searched.
const SCHEMES: [&str; 11] = ["http", "https", "ftp", "ftps", "sftp", "ws", "wss", "tcp", "smb", "ldap", "ldaps"];

/// What a word was found to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    /// An indicator; the last says whether it was defanged.
    Is(EntityKind, String, bool),
    /// A hash of a kind that no record has.
    Unsearched,
}

/// What stands around a word.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Around<'a> {
    /// The text is meant to be an indicator (a cell, a line of a list): names need no known end.
    pub(super) cell: bool,
    /// A fingerprint (JA3, HASSH) was spoken of.
    pub(super) print: bool,
    /// The word before.
    before: &'a str,
    defanged: bool,
}

impl Around<'_> {
    /// Of a text that is meant to be an indicator.
    pub(super) fn cell(print: bool) -> Around<'static> {
        Around { cell: true, print, ..Around::default() }
    }
}

fn is_gap(c: char) -> bool {
    c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>' | '|' | '`' | '“' | '”' | '‘' | '’' | '«' | '»' | '\u{feff}' | '\0')
}

fn is_break(c: char) -> bool {
    matches!(c, ',' | ';' | '(' | ')' | '[' | ']' | '{' | '}' | '=')
}

/// Gives what the words of a line are.
pub(super) fn line(text: &str, around: Around<'_>, each: &mut dyn FnMut(Found)) {
    let mut print = around.print;
    let mut before = "";
    for chunk in text.split(is_gap).filter(|c| !c.is_empty()) {
        let clean = refang(chunk);
        let defanged = clean.len() != chunk.len() || *clean != *chunk;
        let spoken = speaks_of(chunk, "ja3") || speaks_of(chunk, "hassh");
        print |= spoken;
        let cx = Around { print, before, defanged, ..around };
        let whole = clean.trim_matches(['.', ',', ';', '(', ')', '[', ']']);
        if whole.len() == 30 && is_community_id(whole) {
            each(Found::Is(EntityKind::CommunityId, whole.to_owned(), defanged));
        } else if let Some(at) = clean.find("://") {
            let start = clean[..at].rfind(|c: char| !c.is_ascii_alphanumeric()).map_or(0, |n| n + 1);
            pieces(&clean[..start], cx, each);
            let rest = &clean[start..];
            let end = rest.find(",http").or_else(|| rest.find("](")).unwrap_or(rest.len());
            if let Some(found) = url(&rest[..end], defanged) {
                each(found);
            }
            if end < rest.len() {
                // The rest is shorter each time: a chain of URLs ends.
                line(&rest[end + 1..], Around { defanged, ..around }, each);
            }
        } else {
            pieces(&clean, cx, each);
        }
        before = chunk.trim_matches(|c: char| !c.is_alphanumeric());
    }
}

fn speaks_of(text: &str, word: &str) -> bool {
    text.len() >= word.len() && text.as_bytes().windows(word.len()).any(|w| w.eq_ignore_ascii_case(word.as_bytes()))
}

fn pieces(text: &str, cx: Around<'_>, each: &mut dyn FnMut(Found)) {
    let mut before = cx.before;
    for piece in text.split(is_break).filter(|p| !p.is_empty()) {
        if let Some(found) = word(piece, Around { before, ..cx }) {
            each(found);
        }
        before = piece;
    }
}

/// What one word is.
pub(super) fn word(text: &str, cx: Around<'_>) -> Option<Found> {
    if text.len() > LONGEST {
        return None;
    }
    let text =
        text.trim_matches(|c: char| matches!(c, '.' | ',' | ':' | '!' | '?' | '*' | '_' | '-' | '•' | '·' | '/' | '\\' | '…'));
    let is = |kind, text: String| Some(Found::Is(kind, text, cx.defanged));
    let said = |list: &[&str]| list.iter().any(|w| w.eq_ignore_ascii_case(cx.before));
    if text.len() < 4 {
        return None;
    }
    if text.bytes().all(|b| b.is_ascii_hexdigit()) {
        let mixed = text.bytes().any(|b| b.is_ascii_digit()) && text.bytes().any(|b| b.is_ascii_alphabetic());
        return match text.len() {
            32 if mixed && cx.print => is(EntityKind::Fingerprint, text.to_ascii_lowercase()),
            32 | 40 | 64 if mixed && !said(&["commit", "revision"]) => is(EntityKind::Hash, text.to_ascii_lowercase()),
            96 | 128 if mixed => Some(Found::Unsearched),
            _ => None,
        };
    }
    if let Some(entity) = Entity::recognise(text).filter(|e| e.kind == EntityKind::Fingerprint) {
        let hex = text.bytes().skip(11).all(|b| b == b'_' || b.is_ascii_hexdigit());
        return hex.then(|| Found::Is(entity.kind, text.to_ascii_lowercase(), cx.defanged));
    }
    if lift::is_mac(text) {
        return is(EntityKind::Mac, text.to_ascii_lowercase().replace('-', ":"));
    }
    if text.get(..4).is_some_and(|t| t.eq_ignore_ascii_case("CVE-")) {
        return cve(text).and_then(|cve| is(EntityKind::Cve, cve));
    }
    let version = !cx.cell && !cx.defanged && said(&VERSIONS);
    if let Some(found) = address(text) {
        return found.filter(|_| !version).and_then(|(kind, text)| is(kind, text));
    }
    if let Some((user, domain)) = text.split_once('@') {
        let account = user.bytes().all(|b| b.is_ascii_alphanumeric() || b"._%+-".contains(&b));
        let mail = !user.is_empty() && user.len() <= 64 && account && is_host(domain, Around { cell: true, ..cx });
        return mail.then(|| text.to_lowercase()).and_then(|mail| is(EntityKind::User, mail));
    }
    if let Some((host, path)) = text.split_once('/') {
        let bare = host.split(':').next().unwrap_or(host);
        let v4 = bare.parse::<Ipv4Addr>().is_ok_and(|a| worth(a.into())) && !version;
        return (!path.is_empty() && (v4 || is_host(bare, cx)))
            .then(|| Found::Is(EntityKind::Url, format!("{}/{path}", host.to_lowercase()), cx.defanged));
    }
    let host = text.split_once(':').filter(|(_, port)| port.parse::<u16>().is_ok()).map_or(text, |(host, _)| host);
    is_host(host, cx).then(|| host.trim_end_matches('.').to_lowercase()).and_then(|name| is(EntityKind::Name, name))
}

/// A URL with a scheme that is searched: scheme and host in lower case, what punctuation of the sentence follows left.
fn url(text: &str, defanged: bool) -> Option<Found> {
    let mut text = text.trim_end_matches(['.', ',', ';', ':', '!', '?', ']', '}', '*', '\\']);
    if text.ends_with(')') && !text.contains('(') {
        text = text.trim_end_matches([')', '.', ',']);
    }
    let (scheme, rest) = text.split_once("://")?;
    if text.len() > LONGEST || !SCHEMES.iter().any(|s| s.eq_ignore_ascii_case(scheme)) {
        return None;
    }
    let at = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(at);
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let bare = match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next()?,
        None => host.split(':').next()?,
    };
    let good = bare.parse::<IpAddr>().map_or_else(|_| is_label(bare), worth);
    good.then(|| Found::Is(EntityKind::Url, format!("{}://{}{path}", scheme.to_lowercase(), authority.to_lowercase()), defanged))
}

fn is_label(host: &str) -> bool {
    !host.is_empty()
        && host.len() <= 253
        && host.split('.').all(|l| {
            !l.is_empty() && l.len() <= 63 && l.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b) || b >= 0x80)
        })
}

/// Addresses and networks: `None` if the word is none, `Some(None)` if it is one that says nothing.
fn address(text: &str) -> Option<Option<(EntityKind, String)>> {
    let first = text.bytes().next()?;
    if !(first.is_ascii_hexdigit() || first == b':') {
        return None;
    }
    let one = |addr: IpAddr| worth(addr).then(|| (EntityKind::Address, addr.to_canonical().to_string()));
    if let Ok(addr) = text.parse::<IpAddr>() {
        return Some(one(addr));
    }
    if let Ok(net) = text.parse::<IpNet>() {
        let (least, whole) = if net.addr().is_ipv4() { (8, 32) } else { (16, 128) };
        return Some(match net.prefix_len() {
            len if len == whole => one(net.addr()),
            len if len < least || !worth(net.addr()) => None,
            _ => Some((EntityKind::Network, net.trunc().to_string())),
        });
    }
    let (host, port) = text.rsplit_once(':')?;
    let host = host.parse::<Ipv4Addr>().ok().filter(|_| port.parse::<u16>().is_ok())?;
    Some(one(host.into()))
}

/// Whether an address can tell anything. Of IPv6 only what can be routed or is of one's own: `dead::beef` may be code.
fn worth(addr: IpAddr) -> bool {
    match addr.to_canonical() {
        IpAddr::V4(a) => !a.is_unspecified() && !a.is_loopback() && !a.is_broadcast(),
        IpAddr::V6(a) => {
            let first = a.segments()[0];
            first & 0xe000 == 0x2000 || a.is_unique_local() || a.is_unicast_link_local() || a.segments()[..2] == [0x64, 0xff9b]
        }
    }
}

fn cve(text: &str) -> Option<String> {
    let mut parts = text.get(4..)?.splitn(2, '-');
    let digits = |t: Option<&str>, n: std::ops::RangeInclusive<usize>| {
        t.is_some_and(|t| n.contains(&t.len()) && t.bytes().all(|b| b.is_ascii_digit()))
    };
    (digits(parts.next(), 4..=4) && digits(parts.next(), 4..=8)).then(|| text.to_ascii_uppercase())
}

fn is_community_id(text: &str) -> bool {
    let rest = text.strip_prefix("1:").unwrap_or("");
    rest.len() == 28 && rest.ends_with('=') && rest[..27].bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+' || b == b'/')
}

/// Whether a word is the name of a host: of what was defanged any, in a cell what is no file, in a sentence what ends as names do.
fn is_host(name: &str, cx: Around<'_>) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let Some((rest, top)) = name.rsplit_once('.') else { return false };
    let letters = top.len() >= 2 && (top.bytes().all(|b| b.is_ascii_alphabetic() || b >= 0x80) || top.starts_with("xn--"));
    if !letters || !is_label(name) {
        return false;
    }
    if cx.defanged {
        return true;
    }
    if cx.cell {
        return is_name(&name.to_lowercase());
    }
    // `System.Net`, `ASP.NET`, and a full stop without a blank after it.
    if !top.bytes().all(|b| b.is_ascii_lowercase() || b == b'-' || b.is_ascii_digit())
        || !rest.bytes().any(|b| b.is_ascii_alphabetic())
    {
        return false;
    }
    let labels = rest.split('.').count() + 1;
    let package = rest.split('.').next().is_some_and(|first| PACKAGES.contains(&first));
    if package && labels > 2 {
        return false;
    }
    let known = TOPS.contains(&top) || MORE_TOPS.contains(&top) || top.starts_with("xn--") || top.len() == 2;
    known && !FILES.contains(&top) && (labels > 2 || !WORDS.contains(&top))
}
