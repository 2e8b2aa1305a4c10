//! Messages of `key=value` pairs in the forms that devices write: values bare, in quotes of any kind or with spaces up to the next key; pairs
//! after spaces, tabs, commas, semicolons or bars; `key: value, key: value`; `"key"="value"`; RFC 5424's structured data.
//!
//! Knows no format: what names mean is asked of `vendor_values`. One pass, no backtracking; at most `PAIRS_MAX` pairs.

use super::draft::Draft;
use super::{lift, vendor_values};
use crate::model::field;
use crate::model::record::Kind;

/// Most pairs of a message.
const PAIRS_MAX: usize = 256;
/// Longest key.
const KEY_MAX: usize = 48;

/// A key with its value.
pub(super) type Pair<'a> = (&'a str, &'a str);

/// What keys are joined to their values by.
fn is_key(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'@' | b'/')
}

/// Where a key that ends before `at` begins, if one does: after the start, a separator or an opening bracket.
fn key_before(text: &str, at: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let quoted = bytes[..at].last() == Some(&b'"');
    let end = at - usize::from(quoted);
    let length = bytes[..end].iter().rev().take(KEY_MAX + 1).take_while(|b| is_key(**b)).count();
    let start = end - length;
    // Parts of addresses, ports and paths are no keys.
    let sound = (1..=KEY_MAX).contains(&length) && (bytes[start].is_ascii_alphabetic() || bytes[start] == b'_');
    let start = match (quoted, start.checked_sub(1).map(|n| bytes[n])) {
        (true, Some(b'"')) => start - 1,
        (true, _) => return None,
        (false, _) => start,
    };
    let before = start.checked_sub(1).map(|n| bytes[n]);
    (sound && before.is_none_or(|b| matches!(b, b' ' | b'\t' | b',' | b';' | b'|' | b'[' | b'(' | b'{' | b'<' | b'^' | b':')))
        .then_some(start)
}

/// The end of a value in quotes that opens at `at`: where its closing quote stands, before a separator or the end.
fn closing(text: &str, at: usize) -> usize {
    let bytes = text.as_bytes();
    let quote = bytes[at];
    let mut from = at + 1;
    let mut first = None;
    while let Some(n) = memchr::memchr2(quote, b'\\', bytes.get(from..).unwrap_or(&[])).map(|n| n + from) {
        if bytes[n] == b'\\' {
            from = n + 2;
            continue;
        }
        // A quote inside of a value is no end: `msg="a "b" c" x=`; only one that a separator follows is, best with a key after it.
        if first.is_some() && n > 0 && matches!(bytes[n - 1], b'=' | b':') {
            break;
        }
        let rest = bytes.get(n + 1..).unwrap_or(&[]);
        let separators = rest.iter().take_while(|b| b" ,;:|\t])}>.^\r\n".contains(b)).count();
        let next = &rest[separators..];
        let key = next.iter().take(KEY_MAX).take_while(|b| is_key(**b) || **b == b'"').count();
        if next.is_empty() || separators > 0 && matches!(next.get(key), Some(b'=' | b':')) {
            return n;
        }
        if separators > 0 && first.is_none() {
            first = Some(n);
        }
        from = n + 1;
    }
    first.unwrap_or(text.len())
}

/// The pairs of `key=value` (or `key:"value"`) in order; a bare value goes on to the next key.
pub(super) fn pairs(text: &str) -> Vec<Pair<'_>> {
    let bytes = text.as_bytes();
    let mut pairs: Vec<Pair<'_>> = Vec::new();
    // Key and where its bare value begins.
    let mut open: Option<(&str, usize)> = None;
    let mut at = 0;
    while pairs.len() < PAIRS_MAX {
        let Some(mark) = memchr::memchr2(b'=', b':', bytes.get(at..).unwrap_or(&[])).map(|n| n + at) else { break };
        at = mark + 1;
        // A typographic quote is three bytes, and stands for a plain one.
        let next = bytes.get(mark + 1).copied().unwrap_or(b' ');
        let value = mark + 1;
        if bytes[mark] == b':' && next != b'"' {
            continue;
        }
        let Some(start) = key_before(text, mark).filter(|s| open.is_none_or(|(_, from)| *s >= from)) else { continue };
        if let Some((key, from)) = open.take() {
            pairs.push((key, bare(&text[from..start])));
        }
        let key = text[start..mark].trim_matches('"');
        let curly = text[value..].strip_prefix(['\u{201c}', '\u{201d}']);
        if let Some(inside) = curly {
            let from = text.len() - inside.len();
            let end = inside.find(['\u{201c}', '\u{201d}']).map_or(text.len(), |n| n + from);
            pairs.push((key, &text[from..end]));
            at = end;
        } else if matches!(next, b'"' | b'\'') {
            let end = closing(text, value);
            // A quote that never closes is part of a bare value.
            if end == text.len() && next == b'\'' {
                open = Some((key, value));
                continue;
            }
            pairs.push((key, &text[value + 1..end]));
            at = (end + 1).min(text.len());
        } else {
            open = Some((key, value));
        }
    }
    if let Some((key, from)) = open {
        pairs.push((key, bare(&text[from..])));
    }
    pairs
}

/// A bare value without the separators after it.
fn bare(value: &str) -> &str {
    value.trim_matches([' ', ',', ';', '|', '\t', '^']).trim_end_matches(['[', '(', '{'])
}

/// The pairs of `Key: value, Other key: value`; parts without a key of their own belong to the value before.
pub(super) fn colon_pairs(text: &str) -> Vec<Pair<'_>> {
    // Key, and where its value begins.
    let mut keys: Vec<(&str, usize, usize)> = Vec::new();
    let mut from = 0;
    while from < text.len() && keys.len() < PAIRS_MAX {
        let end = memchr::memchr3(b',', b';', b'|', &text.as_bytes()[from..]).map_or(text.len(), |n| n + from);
        let titled = text[from..end].split_once(':').filter(|(key, value)| is_title(key) && !value.starts_with(['/', '\\', ':']));
        if let Some((key, _)) = titled {
            keys.push((key.trim(), from, from + key.len() + 1));
        }
        from = end + 1;
    }
    let ends = keys.iter().skip(1).map(|(_, start, _)| *start).chain([text.len()]);
    keys.iter().zip(ends).map(|((key, _, value), end)| (*key, bare(&text[*value..end]))).collect()
}

/// A key of up to five words.
fn is_title(key: &str) -> bool {
    let key = key.trim();
    let plain = key.bytes().all(|b| is_key(b) || b == b' ');
    plain && key.len() <= KEY_MAX && key.split(' ').count() <= 5 && key.bytes().next().is_some_and(|b| b.is_ascii_alphabetic())
}

/// The pairs of `[Key] value [Other] value`.
fn bracket_pairs(text: &str) -> Vec<Pair<'_>> {
    let mut pairs: Vec<Pair<'_>> = Vec::new();
    let mut open: Option<(&str, usize)> = None;
    for (at, _) in text.match_indices('[') {
        let after = &text[at + 1..];
        let Some(end) = after.bytes().take(KEY_MAX + 1).position(|b| b == b']') else { continue };
        let key = &after[..end];
        let titled = key.bytes().all(|b| b.is_ascii_alphanumeric()) && key.bytes().next().is_some_and(|b| b.is_ascii_uppercase());
        let spaced = at == 0 || text.as_bytes()[at - 1] == b' ';
        if !titled || !spaced || !matches!(after.as_bytes().get(end + 1), None | Some(b' ')) || pairs.len() == PAIRS_MAX {
            continue;
        }
        if let Some((key, from)) = open.replace((key, at + 1 + end + 1)) {
            pairs.push((key, bare(&text[from..at])));
        }
    }
    if let Some((key, from)) = open {
        pairs.push((key, bare(&text[from..])));
    }
    pairs
}

/// The leaves of XML inside of a message: `<Name>value</Name>`.
fn element_pairs(text: &str) -> Vec<Pair<'_>> {
    let mut pairs = Vec::new();
    let mut from = 0;
    while let Some(at) = memchr::memchr(b'<', &text.as_bytes()[from..]).map(|n| n + from) {
        from = at + 1;
        let name = text[from..].bytes().take(KEY_MAX).take_while(|b| is_key(*b)).count();
        let Some(value) = text[from + name..].strip_prefix('>').filter(|_| name > 0) else { continue };
        let end = memchr::memchr(b'<', value.as_bytes()).unwrap_or(value.len());
        let closed = value[end..].strip_prefix("</").is_some_and(|rest| rest.starts_with(&text[from..from + name]));
        if closed && pairs.len() < PAIRS_MAX {
            pairs.push((&text[from..from + name], &value[..end]));
        }
    }
    pairs
}

/// Reads a message that no format claims, and its structured data: gives what its pairs mean, if enough of them are known. The message stays as
/// it is.
pub(super) fn read(message: &str, data: &str, d: &mut Draft) {
    let mut found = if data.is_empty() { Vec::new() } else { pairs(data) };
    if memchr::memchr(b'=', message.as_bytes()).is_some() || message.contains(":\"") {
        found.extend(pairs(message));
    }
    let leaves = if message.contains("</") { element_pairs(message) } else { Vec::new() };
    // A document says what its leaves are called for.
    let document = leaves.len() >= 5;
    found.extend(leaves);
    // Titles in brackets are so rare elsewhere that many of them are enough.
    let titled = if message.matches("] ").take(6).count() == 6 { bracket_pairs(message) } else { Vec::new() };
    let titles = titled.len() >= 6;
    if titles {
        found = titled;
    }
    if !titles && !document && !tells(&found) {
        // Titles are worth a look where there are three of them.
        found = if message.matches(": ").take(3).count() == 3 { colon_pairs(message) } else { return };
        if !tells(&found) {
            return;
        }
    }
    d.text(field::MESSAGE, message);
    vendor_values::fill(&found, false, d);
    if d.record.kind == Kind::Log {
        d.record.kind = vendor_values::kind(d);
    }
    // A plain log's message is lifted with what surrounds it: see `syslog::fill`.
    if d.record.kind != Kind::Log {
        lift::lift(message, d);
    }
}

/// What the pairs of a line tell whose message is not over yet.
pub(super) fn pairs_of(line: &str, d: &mut Draft) {
    let found = if memchr::memchr(b'=', line.as_bytes()).is_some() { pairs(line) } else { return };
    if tells(&found) {
        let found: Vec<Pair<'_>> = found.into_iter().filter(|(key, _)| !vendor_values::is_message(key)).collect();
        vendor_values::fill(&found, false, d);
        d.record.kind = vendor_values::kind(d);
    }
}

/// Whether enough of the pairs are known: two, or an address among several.
fn tells(pairs: &[Pair<'_>]) -> bool {
    let known = pairs.iter().filter(|(key, value)| vendor_values::is_known(key, value)).take(2).count();
    known == 2 || known == 1 && pairs.len() >= 3 && pairs.iter().any(|(key, value)| vendor_values::is_end(key, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(pairs: Vec<Pair<'_>>) -> String {
        pairs.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join("|")
    }

    #[test]
    fn pairs_of_every_form_are_found() {
        for (text, want) in [
            ("a=1 b=\"two words\" c='3 4' d=five six", "a=1|b=two words|c=3 4|d=five six"),
            ("msg=hello there src=192.0.2.1, dst=192.0.2.2;x=y", "msg=hello there|src=192.0.2.1|dst=192.0.2.2|x=y"),
            ("r=Allowed\tu=Procurement, Generics\tv=1", "r=Allowed|u=Procurement, Generics|v=1"),
            ("action:\"Accept\"; src:\"192.0.2.1\"; rule:\"a; b\"", "action=Accept|src=192.0.2.1|rule=a; b"),
            ("@@306,x,\"apMac\"=\"54:EC\",\"y\"=\"\"", "apMac=54:EC|y="),
            ("m=\"say \"hi\" now\" n=1", "m=say \"hi\" now|n=1"),
            ("l=\"INFO\":  a=\"Received\" p=\"1\"", "l=INFO|a=Received|p=1"),
            ("m=\"esc \\\" q\" n=1", "m=esc \\\" q|n=1"),
            ("[id@1 a=\"x\\] y\" b=\u{201c}z\u{201d} c=\u{201d}w\u{201d}]", "a=x\\] y|b=z|c=w"),
            ("GET /x?a=b&c=d e=1", "e=1"),
            ("u=http://h/x?a=b f=2", "u=http://h/x?a=b|f=2"),
            ("v=\"open", "v=open"),
            ("=x y= z=", "y=|z="),
            ("", ""),
        ] {
            assert_eq!(shown(pairs(text)), want, "{text}");
        }
    }

    #[test]
    fn titles_in_brackets_are_keys() {
        let text = "Dsp [x@1] [ForestId] 7 [Name] CN=a,DC=b [ClassName] user [Kind] Modify [Empty]  [Users] joe";
        assert_eq!(shown(bracket_pairs(text)), "ForestId=7|Name=CN=a,DC=b|ClassName=user|Kind=Modify|Empty=|Users=joe");
    }

    #[test]
    fn leaves_of_elements_are_pairs() {
        let text = "?<?xml version=\"1.0\"?><E><M><IPAddress>192.0.2.1</IPAddress><User/><Empty></Empty></M><Cut>x";
        assert_eq!(shown(element_pairs(text)), "IPAddress=192.0.2.1|Empty=");
    }

    #[test]
    fn titles_before_colons_are_keys() {
        for (text, want) in [
            (
                "Protocol: TCP, SrcIP: 1.1.1.1, Original Client: ::, Policy: a, b, URL: http://x/",
                "Protocol=TCP|SrcIP=1.1.1.1|Original Client=::|Policy=a, b|URL=http://x/",
            ),
            (
                "Site: Site A,Server Name: b,Event Description: x: y,10:15:42",
                "Site=Site A|Server Name=b|Event Description=x: y,10:15:42",
            ),
        ] {
            assert_eq!(shown(colon_pairs(text)), want, "{text}");
        }
    }
}
