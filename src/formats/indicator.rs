//! What a text on a reputation list is, and the record that it becomes: shared by the plain and the CSV list.
//!
//! An address indicator is also `dst.ip`, a name also `name`, a URL `url`, a hash `md5`, `sha1` or `sha256`, so that pivots find it; a
//! network stays text in `indicator`.

use super::draft::Draft;
use super::table;
use crate::model::entity::{Entity, EntityKind};
use crate::model::field;
use crate::model::value::Value;
use std::borrow::Cow;

/// What stands in brackets instead of a sign, in lower case, and the sign. The longest first.
const SIGNS: [(&str, &str); 8] =
    [("://", "://"), ("dot", "."), ("at", "@"), (".", "."), (":", ":"), ("@", "@"), ("/", "/"), (":/", ":/")];

/// Undoes the usual defanging: `hxxp`, `[.]`, `(dot)`, `{.}`, `[:]`, `[://]`, `[at]`, `\.`, and brackets of which one half is missing.
pub(super) fn refang(text: &str) -> Cow<'_, str> {
    let broken = |t: &str| t.get(..4).is_some_and(|h| h.eq_ignore_ascii_case("hxxp"));
    if !text.contains(['[', '(', '{', '\\']) && !text.contains(".]") && !text.char_indices().any(|(i, _)| broken(&text[i..])) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let word = out.ends_with(char::is_alphanumeric);
        let next = |at: usize| rest.get(at..).is_some_and(|r| r.starts_with(char::is_alphanumeric));
        let (sign, len) = match c {
            '[' | '(' | '{' => match bracketed(rest, c) {
                Some(found) => found,
                None if word && rest[1..].starts_with('.') && next(2) => (".", 2),
                None => ("", 0),
            },
            '.' if word && rest[1..].starts_with(']') && next(2) => (".", 2),
            '\\' if rest[1..].starts_with('.') => (".", 2),
            'h' | 'H' if !word && broken(rest) => ("http", 4),
            _ => ("", 0),
        };
        if len > 0 {
            out.push_str(sign);
            rest = &rest[len..];
        } else {
            out.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    if out == text { Cow::Borrowed(text) } else { Cow::Owned(out) }
}

/// A sign in brackets at the beginning of a text, and how long it is there.
fn bracketed(text: &str, open: char) -> Option<(&'static str, usize)> {
    let close = match open {
        '[' => ']',
        '(' => ')',
        _ => '}',
    };
    let inner = &text[1..];
    let (written, sign) = SIGNS.iter().find(|(written, _)| {
        inner.get(..written.len()).is_some_and(|t| t.eq_ignore_ascii_case(written)) && inner[written.len()..].starts_with(close)
    })?;
    Some((sign, written.len() + 2))
}

/// The indicator that a text is, by its form. Names must look like names of hosts, not of files.
pub(super) fn recognise(text: &str) -> Option<Entity> {
    let text = text.trim().trim_matches('"');
    if text.is_empty() || text.len() > 2048 || text.contains(char::is_whitespace) {
        return None;
    }
    let text = refang(text);
    let bare = text.strip_prefix("*.").or_else(|| text.strip_prefix('.')).unwrap_or(&text);
    let entity = Entity::recognise(bare)?;
    match entity.kind {
        EntityKind::Address | EntityKind::Network | EntityKind::Hash | EntityKind::Fingerprint => Some(entity),
        EntityKind::Url => text.find("://").filter(|n| text[..*n].bytes().all(|b| b.is_ascii_alphanumeric())).map(|_| entity),
        EntityKind::Name => is_name(bare).then_some(entity),
        _ => None,
    }
}

/// Whether a text in lower case has the form of a name of a host and does not end as names of files do.
pub(super) fn is_name(text: &str) -> bool {
    const FILES: [&str; 26] = [
        "txt", "log", "rs", "py", "xml", "json", "pcap", "pcapng", "csv", "md", "html", "htm", "exe", "dll", "conf", "cfg", "gz",
        "zip", "png", "jpg", "js", "css", "toml", "yaml", "yml", "lock",
    ];
    let text = text.trim_end_matches('.');
    let labels = text.split('.').all(|l| {
        !l.is_empty() && l.len() <= 63 && l.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b) || b >= 0x80)
    });
    let top = text.rsplit('.').next().unwrap_or("");
    labels
        && text.len() <= 253
        && top.len() >= 2
        && !top.bytes().any(|b| b.is_ascii_digit() && !top.starts_with("xn--"))
        && !FILES.contains(&top)
}

/// Fills the record of an indicator.
pub(super) fn fill(d: &mut Draft, listed: &str, feed: &str) {
    d.text(field::INDICATOR, listed);
    d.text(field::FEED, feed);
    d.text(field::ACTION, "listed");
    let Some(entity) = recognise(listed) else { return };
    match (entity.kind, &entity.value) {
        (EntityKind::Address, Value::Addr(address)) => _ = d.give(field::DST_IP, Value::Addr(*address)),
        (EntityKind::Name, Value::Text(name)) => _ = d.text(field::NAME, name),
        (EntityKind::Url, Value::Text(url)) => {
            d.text(field::URL, url);
            if let Some((host, port)) = super::web::authority(url) {
                if !d.addr(field::DST_IP, host) {
                    d.text(field::NAME, host);
                }
                if let Some(port) = port {
                    d.uint(field::DST_PORT, port);
                }
            }
        }
        (EntityKind::Hash, Value::Text(hash)) => {
            let id = match hash.len() {
                32 => field::MD5,
                40 => field::SHA1,
                _ => field::SHA256,
            };
            d.text(id, hash);
        }
        (EntityKind::Fingerprint, Value::Text(print)) => _ = d.text(field::JA4, print),
        _ => {}
    }
}

/// What a column of a list is, by its comparable name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    Indicator,
    Port,
    Category,
    Confidence,
    First,
    Last,
    Feed,
    Severity,
    Reason,
    Other,
}

/// Names of columns (see [`table::plain_name`]).
pub(super) fn column(name: &str) -> Column {
    match table::plain_name(name).as_str() {
        "indicator" | "ioc" | "ioc_value" | "observable" | "value" | "ip" | "ip_address" | "ipaddress" | "address" | "dst_ip"
        | "src_ip" | "cidr" | "network" | "prefix" | "domain" | "domain_name" | "host" | "hostname" | "fqdn" | "url" | "hash"
        | "md5" | "md5_hash" | "sha1" | "sha1_hash" | "sha256" | "sha256_hash" | "ja4" | "destinationip" | "dstip" => {
            Column::Indicator
        }
        "port" | "dst_port" | "dest_port" | "dstport" => Column::Port,
        "category" | "threat" | "threat_type" | "type_of_threat" | "malware" | "malware_printable" | "malware_family"
        | "classification" | "tag" | "tags" | "signature" | "listing_reason" | "listingreason" => Column::Category,
        "confidence" | "confidence_level" | "score" | "abuse_confidence_score" | "reputation" | "risk" | "fraud_score" => {
            Column::Confidence
        }
        "first_seen" | "firstseen" | "first_seen_utc" | "time_first" | "dateadded" | "date_added" | "listing_date"
        | "listingdate" | "added" | "valid_from" | "created" => Column::First,
        "last_seen" | "lastseen" | "last_seen_utc" | "time_last" | "last_online" | "last_reported" | "lastreportedat"
        | "valid_until" | "updated" => Column::Last,
        "feed" | "source" | "provider" | "reporter" | "list" => Column::Feed,
        "severity" | "threat_level" => Column::Severity,
        "reason" | "description" | "comment" | "comments" | "note" | "notes" | "reference" => Column::Reason,
        _ => Column::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indicators_are_known_by_their_form() {
        let kind = |t: &str| recognise(t).map(|e| e.kind);
        assert_eq!(kind("203.0.113.9"), Some(EntityKind::Address));
        assert_eq!(kind("203.0.113[.]9"), Some(EntityKind::Address));
        assert_eq!(kind("198.51.100.0/24"), Some(EntityKind::Network));
        assert_eq!(kind("*.evil.example"), Some(EntityKind::Name));
        assert_eq!(kind("hxxp://evil[.]example/a"), Some(EntityKind::Url));
        assert_eq!(kind("d41d8cd98f00b204e9800998ecf8427e"), Some(EntityKind::Hash));
        for text in ["main.rs", "notes.txt", "hello", "1.2.3", "a b.example", "3.14", "e.g."] {
            assert_eq!(kind(text), None, "{text}");
        }
    }
}
