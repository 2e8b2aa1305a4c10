//! What the logs of name servers share: questions, answers and response codes.
//!
//! Knows no server.

use super::draft::{self, Draft};
use crate::model::field;

/// Gives a question; the root is `.`.
pub(super) fn question(name: &str, kind: &str, d: &mut Draft) {
    d.text(field::APP, "dns");
    d.text(field::NAME, name);
    d.text(field::DNS_TYPE, kind);
}

/// Gives an answer: an address, or a text of a type.
pub(super) fn answer(text: &str, kind: &str, d: &mut Draft) {
    if let Some(address) = draft::address(text) {
        d.give(field::ANSWER_IP, address.into());
    } else if matches!(kind, "CNAME" | "PTR" | "NS" | "MX" | "SRV" | "DNAME") {
        d.text(field::ANSWER_NAME, text.rsplit(' ').next().unwrap_or(text));
    } else {
        d.text(field::ANSWER_TEXT, text.trim_matches('"'));
    }
}

/// Whether a word is a type of record: `A`, `AAAA`, `TYPE65`.
pub(super) fn is_type(word: &str) -> bool {
    (1..=10).contains(&word.len())
        && word.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'-')
        && word.as_bytes()[0].is_ascii_uppercase()
}

/// The response code's usual word (RFC 6895, 2.3) for what servers write.
pub(super) fn rcode(word: &str) -> String {
    match word.to_ascii_uppercase().as_str() {
        "NXRRSET" | "NODATA" => "NOERROR".to_owned(),
        "NAMEERROR" | "NAMEERR" => "NXDOMAIN".to_owned(),
        "SERVERFAILURE" | "FAILURE" => "SERVFAIL".to_owned(),
        other => other.to_owned(),
    }
}

/// The name of a chain of labels with their lengths before them, `(3)www(7)example(3)com(0)` (Windows), as `www.example.com`.
pub(super) fn counted(text: &str) -> Option<String> {
    let mut name = String::new();
    let mut rest = text;
    while let Some(inner) = rest.strip_prefix('(') {
        let (length, after) = inner.split_once(')')?;
        let length: usize = length.parse().ok().filter(|n| *n < 64)?;
        if length == 0 {
            return Some(if name.is_empty() { ".".to_owned() } else { name });
        }
        let label = after.get(..length)?;
        if !name.is_empty() {
            name.push('.');
        }
        name.push_str(label);
        rest = &after[length..];
        if name.len() > 1024 {
            return None;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_with_lengths_are_a_name() {
        assert_eq!(counted("(3)www(7)example(3)com(0)").as_deref(), Some("www.example.com"));
        assert_eq!(counted("(0)").as_deref(), Some("."));
        assert_eq!(counted("(9)www(0)"), None);
        assert_eq!(counted("(3)www"), None);
    }
}
