//! What the logs of mail servers share: peers as `name[192.0.2.5]:25`, addresses in `<>`, results.
//!
//! Knows no server.

use super::draft::{self, Draft};
use crate::model::field::{self, FieldId};

/// A peer: name, address, port, each if it is stated: `mx.example[192.0.2.5]:25`, `mx.example. [192.0.2.5]`, `[192.0.2.5]:51000`,
/// `[IPv6:2001:db8::5]`, `mx.example`.
pub(super) fn peer(text: &str) -> (&str, &str, &str) {
    let text = text.trim();
    let Some((name, rest)) = text.split_once('[') else {
        return if draft::address(text).is_some() { ("", text, "") } else { (text, "", "") };
    };
    let Some((ip, rest)) = rest.split_once(']') else { return (text, "", "") };
    let ip = ip.strip_prefix("IPv6:").unwrap_or(ip);
    let port = rest.trim_start().strip_prefix(':').unwrap_or("");
    let port = &port[..port.bytes().take_while(u8::is_ascii_digit).count()];
    let name = name.trim_end_matches([' ', '.']);
    if draft::address(ip).is_some() { (name, ip, port) } else { (name, "", port) }
}

/// Gives a peer as one end of the record. What is none (`local`, `dovecot`, `none`) is left.
pub(super) fn give_peer(text: &str, ip: FieldId, port: FieldId, d: &mut Draft) {
    let (name, address, number) = peer(text);
    if d.addr(ip, address) && !number.is_empty() {
        d.put(port, number);
    }
    if name.contains('.') && !name.contains(['/', ' ', '@']) {
        d.text(field::NAME, name);
    }
}

/// An address without its brackets; the empty sender stays `<>`.
pub(super) fn bare(text: &str) -> &str {
    let text = text.trim().trim_end_matches(',');
    match text.strip_prefix('<').and_then(|t| t.split('>').next()) {
        Some("") => "<>",
        Some(inner) => inner,
        None => text,
    }
}

/// The pairs `key=value` of a text, separated by `, ` or spaces; a value in `<>`, quotes or brackets holds what stands in them, and one
/// before `, ` may hold spaces.
pub(super) fn pairs(text: &str) -> Vec<(&str, &str)> {
    let mut pairs = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() && pairs.len() < 64 {
        let Some(at) = rest.find('=') else { break };
        let key = rest[..at].rsplit([' ', ',', '\t', '(']).next().unwrap_or("");
        let value = &rest[at + 1..];
        let end = match value.as_bytes().first() {
            Some(b'<') => value.find('>').map(|e| e + 1),
            Some(b'"') => value[1..].find('"').map(|e| e + 2),
            Some(b'(') => value.find(')').map(|e| e + 1),
            _ => None,
        };
        let end = match end {
            // A quoted value is over where its quotes are.
            Some(end) if value.starts_with('"') => end,
            end => {
                let from = end.unwrap_or(0);
                let comma = value[from..].find(',').map_or(value.len(), |at| from + at);
                // Without commas the next key ends the value.
                next_key(&value[..comma]).unwrap_or(comma)
            }
        };
        if !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.')) {
            pairs.push((key, value[..end].trim()));
        }
        rest = value[end..].trim_start_matches([',', ' ']);
    }
    pairs
}

/// Where ` key=` begins in a value, outside of brackets and quotes.
fn next_key(value: &str) -> Option<usize> {
    let bytes = value.as_bytes();
    let (mut at, mut depth, mut quoted) = (0, 0usize, false);
    while let Some(b) = bytes.get(at) {
        match b {
            b'"' => quoted = !quoted,
            b'<' | b'(' | b'[' if !quoted => depth += 1,
            b'>' | b')' | b']' if !quoted => depth = depth.saturating_sub(1),
            b' ' if !quoted && depth == 0 => {
                let word = &bytes[at + 1..];
                let key = word.iter().take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-')).count();
                if key > 0 && word.get(key) == Some(&b'=') {
                    return Some(at);
                }
            }
            _ => {}
        }
        at += 1;
    }
    None
}

/// Gives what was negotiated: `TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)`.
pub(super) fn tls(text: &str, d: &mut Draft) {
    if let Some((version, rest)) = text.split_once(" with cipher ") {
        d.text(field::TLS_VERSION, version.rsplit(' ').next().unwrap_or(version));
        d.text(field::TLS_CIPHER, rest.split(' ').next().unwrap_or(rest));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_in_all_forms() {
        for (text, want) in [
            ("mx.example[192.0.2.5]:25", ("mx.example", "192.0.2.5", "25")),
            ("mx.example. [192.0.2.5]", ("mx.example", "192.0.2.5", "")),
            ("[192.0.2.5]:51000", ("", "192.0.2.5", "51000")),
            ("unknown[IPv6:2001:db8::5]", ("unknown", "2001:db8::5", "")),
            ("mail.example[private/dovecot-lmtp]", ("mail.example", "", "")),
            ("192.0.2.9", ("", "192.0.2.9", "")),
            ("none", ("none", "", "")),
        ] {
            assert_eq!(peer(text), want, "{text}");
        }
    }

    #[test]
    fn pairs_with_commas_and_without() {
        assert_eq!(
            pairs("from=<a@b.example>, size=12, relay=h.example [192.0.2.5], stat=Sent (ok id=7)"),
            [("from", "<a@b.example>"), ("size", "12"), ("relay", "h.example [192.0.2.5]"), ("stat", "Sent (ok id=7)")]
        );
        assert_eq!(
            pairs("from=<> to=<x y> proto=ESMTP helo=<h>"),
            [("from", "<>"), ("to", "<x y>"), ("proto", "ESMTP"), ("helo", "<h>")]
        );
        assert!(pairs("no pairs here").is_empty());
    }
}
