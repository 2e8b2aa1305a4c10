//! ArcSight's Common Event Format, versions 0 and 1 (OpenText, "Implementing ArcSight Common Event Format"), in any envelope or none:
//! `CEF:0|vendor|product|version|class|name|severity|key=value ...`.
//!
//! In the header `|` and `\` are escaped, in the extension `=`, `\` and line ends; a value goes on to the next key. A key with a label
//! (`cs1Label`) has the label's name. `in` and `out` are bytes that went from source to destination and back, as the standard has it; Fortinet
//! writes them the other way round. The time is `start`, else `end`, else `rt`; severity 9 and 10 are critical, 7 and 8 high, 4 to 6 medium. What
//! is medium or more, and no login, is an alert by its name.

use super::envelope::Envelope;
use super::message::{Layout, Said};
use super::{Context, Out, draft::Draft, json_lines, lift, moments, vendor_names, vendor_values, verdict_words};
use crate::model::field;
use crate::model::record::Kind;
use std::borrow::Cow;

/// The format.
pub static FORMAT: Layout = Layout {
    name: "cef",
    doc: "ArcSight Common Event Format (CEF 0 and 1) of any product, with or without syslog envelope.",
    is,
    read,
};

/// Most pairs of an extension.
const PAIRS_MAX: usize = 300;

/// Where it begins: `CEF:0|`, as some write it `CEF: 0|`.
fn start(message: &str) -> Option<usize> {
    let at = memchr::memmem::find(&message.as_bytes()[..message.len().min(512)], b"CEF:")?;
    let rest = message[at + 4..].trim_start();
    let version = rest.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
    (version > 0 && rest.as_bytes().get(version) == Some(&b'|') && memchr::memchr_iter(b'|', rest.as_bytes()).nth(5).is_some())
        .then_some(at)
}

fn is(envelope: &Envelope<'_>) -> bool {
    start(envelope.message).is_some()
}

/// The parts of a header between bars, and what follows it.
fn header(text: &str) -> ([Cow<'_, str>; 7], &str) {
    let mut parts: [Cow<'_, str>; 7] = Default::default();
    let (mut from, mut at, mut n) = (0, 0, 0);
    while let Some(mark) = memchr::memchr2(b'|', b'\\', text.as_bytes().get(at..).unwrap_or(&[])).map(|m| m + at) {
        if text.as_bytes()[mark] == b'\\' {
            at = mark + 2;
            continue;
        }
        parts[n] = unescaped(text[from..mark].trim());
        (from, at, n) = (mark + 1, mark + 1, n + 1);
        if n == 7 {
            return (parts, &text[from..]);
        }
    }
    // Only six bars: no extension.
    parts[n] = unescaped(text[from..].trim());
    (parts, "")
}

/// A text without its escapes.
fn unescaped(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(c) = letters.next() {
        match (c, letters.as_str().chars().next()) {
            ('\\', Some(next @ ('|' | '\\' | '='))) => {
                plain.push(next);
                letters.next();
            }
            ('\\', Some(next @ ('n' | 'r'))) => {
                plain.push(if next == 'n' { '\n' } else { '\r' });
                letters.next();
            }
            _ => plain.push(c),
        }
    }
    Cow::Owned(plain)
}

/// The pairs of an extension: a key stands at the start or after a space, before an `=` that is not escaped.
fn extension(text: &str) -> Vec<(&str, Cow<'_, str>)> {
    let bytes = text.as_bytes();
    let mut keys: Vec<(usize, usize)> = Vec::new();
    for equals in memchr::memchr_iter(b'=', bytes) {
        let length =
            bytes[..equals].iter().rev().take(64).take_while(|b| b.is_ascii_alphanumeric() || b"_.-[]".contains(b)).count();
        let start = equals - length;
        let apart = start == 0 || matches!(bytes[start - 1], b' ' | b'\t' | b'|');
        if length > 0 && apart && bytes[start].is_ascii_alphabetic() && keys.len() < PAIRS_MAX {
            keys.push((start, equals));
        }
    }
    let ends = keys.iter().skip(1).map(|(start, _)| *start).chain([text.len()]);
    let value = |(start, equals): &(usize, usize), end: usize| {
        let value = text[*equals + 1..end].trim();
        let value = value.strip_prefix('"').and_then(|v| v.strip_suffix('"')).unwrap_or(value);
        (&text[*start..*equals], unescaped(value))
    };
    keys.iter().zip(ends).map(|(key, end)| value(key, end)).collect()
}

fn read<'a>(envelope: &Envelope<'a>, d: &mut Draft, context: &Context, out: &mut Out) -> Said<'a> {
    let at = start(envelope.message).unwrap_or(0);
    let (parts, rest) = header(&envelope.message[at + 4..]);
    let [_, vendor, product, version, class, name, severity] = &parts;
    let extension = extension(rest);
    let one = |key: &str| extension.iter().find(|(k, _)| *k == key).map_or("", |(_, v)| v.as_ref());
    let rank = rank(severity);
    d.text(field::EVENT_CODE, class);
    d.text(field::PRODUCT, product);
    d.text(field::VERSION, version);
    if let Some(rank) = rank {
        d.uint(field::SEVERITY, rank);
    }
    d.keep("vendor", vendor);
    // Labels name the values of numbered keys; empty ones name nothing.
    let labelled = |key: &'_ str| {
        let label = extension.iter().find(|(k, _)| k.strip_suffix("Label") == Some(key)).map(|(_, v)| v.as_ref());
        label.filter(|l| !l.is_empty())
    };
    let fortinet = vendor.eq_ignore_ascii_case("fortinet");
    let mut pairs: Vec<(&str, &str)> = Vec::with_capacity(extension.len());
    for (key, value) in &extension {
        let numbered = key.len() <= 24 && key.bytes().any(|b| b.is_ascii_digit());
        match *key {
            "rt" | "start" | "end" | "deviceReceiptTime" | "startTime" | "endTime" => {}
            key if key.ends_with("Label") && extension.iter().any(|(k, _)| Some(*k) == key.strip_suffix("Label")) => {}
            "in" if fortinet => pairs.push(("bytesIn", value)),
            "out" if fortinet => pairs.push(("bytesOut", value)),
            "in" => pairs.push(("bytesOut", value)),
            "out" => pairs.push(("bytesIn", value)),
            "dvc" | "dvchost" | "deviceExternalId" | "deviceAddress" => d.keep(key, value),
            key if numbered => {
                let label = labelled(key).unwrap_or(key);
                // `flexNumber1Label=threat` is a score, no signature's number.
                let score = label != key && (key.starts_with("flexNumber") || key.starts_with("cn"));
                if score && vendor_names::meaning(label) == Some(vendor_names::Means::Signature) {
                    d.keep(label, value);
                } else {
                    pairs.push((label, value));
                }
            }
            key => pairs.push((key, value)),
        }
    }
    vendor_values::fill(&pairs, true, d);
    told(name, class, one("outcome"), one("msg"), rank.unwrap_or(0), d);
    lift::lift(one("msg"), d);
    let before = envelope.message[..at].trim_matches([' ', ':', '-']);
    let device = [one("dvchost"), one("dvc")].into_iter().find(|h| !h.is_empty() && !h.contains(' ')).unwrap_or("");
    let host = [envelope.host, before.split(' ').next().unwrap_or("")].into_iter().find(|h| !h.is_empty()).unwrap_or("");
    if host.is_empty() {
        d.text(field::HOSTNAME, device);
    } else if !before.is_empty() && !envelope.host.is_empty() {
        d.text(field::PROCESS, before.split([' ', '[']).next().unwrap_or(""));
    }
    let mut when = |keys: &[&str]| keys.iter().find_map(|key| moments::time(one(key), envelope, context, out));
    let (start, end) = (when(&["start", "startTime"]), when(&["end", "endTime"]));
    let time = start.or(end).or_else(|| when(&["rt", "deviceReceiptTime"]));
    Said { time, end, host, ..Said::default() }
}

/// Kind, action and name of the event.
fn told(name: &str, class: &str, outcome: &str, message: &str, rank: u64, d: &mut Draft) {
    let action = d.record.text(field::ACTION).unwrap_or("");
    if action.is_empty() {
        let action = verdict_words::login_action(name, outcome)
            .or_else(|| verdict_words::known(name))
            .or_else(|| verdict_words::known(class))
            .or_else(|| verdict_words::phrase(message))
            .or_else(|| verdict_words::known(message));
        d.text(field::ACTION, action.unwrap_or(""));
    }
    d.record.kind = vendor_values::kind(d);
    if rank >= 2 && d.record.kind != Kind::Auth {
        d.record.kind = Kind::Alert;
    }
    if d.record.kind == Kind::Alert {
        if !d.text(field::SIGNATURE, name) {
            d.keep("name", name);
        }
        d.put(field::SIGNATURE_ID, class);
    } else if !d.text(field::MESSAGE, name) {
        d.keep("name", name);
    }
}

/// The rank of a severity, a number to 10 or a word.
fn rank(severity: &str) -> Option<u64> {
    match severity.parse::<u8>() {
        Ok(0..=3) => Some(1),
        Ok(4..=6) => Some(2),
        Ok(7..=8) => Some(3),
        Ok(9..=10) => Some(4),
        Ok(_) => None,
        Err(_) if severity.eq_ignore_ascii_case("very-high") => Some(4),
        Err(_) => json_lines::level(severity),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::{read_one, show};

    #[test]
    fn header_and_extension_have_escapes_of_their_own() {
        assert_eq!(
            show(
                &FORMAT,
                r"Nov 20 08:12:01 fw1 CEF:0|secu\|rity|threat\\mgr|1.0|100|detected a \| in message|10|src=192.0.2.1 act=blocked a | dst=198.51.100.7 msg=one\ntwo x\=y request=https://c2.example/a?b=c start=1763625600000"
            ),
            "alert 2025-11-20T08:00:00Z src.ip=192.0.2.1 dst.ip=198.51.100.7 name=c2.example url=https://c2.example/a?b=c signature=detected a | in message \
             signature.id=100 severity=critical action=deny hostname=fw1 message=one\ntwo x=y event.code=100 product=threat\\mgr version=1.0 \
             extra={\"vendor\":\"secu|rity\",\"act\":\"blocked a |\"} sensor=fw1"
        );
    }

    #[test]
    fn a_session_has_its_translation_bytes_and_span() {
        assert_eq!(
            show(
                &FORMAT,
                "<134>CEF:1|Palo Alto Networks|PAN-OS|10|end|TRAFFIC|1|start=Nov 20 2026 08:00:00 UTC end=Nov 20 2026 08:00:05 UTC src=192.0.2.1 dst=198.51.100.7 \
                 sourceTranslatedAddress=203.0.113.1 sourceTranslatedPort=4001 spt=4000 dpt=443 proto=tcp act=allow in=100 out=2000 cs1=out cs1Label=Rule app=ssl \
                 suser=corp\\\\joe dvchost=pa1"
            ),
            "fw 2026-11-20T08:00:00Z..2026-11-20T08:00:05Z src.ip=192.0.2.1 src.port=4000 dst.ip=198.51.100.7 dst.port=443 proto=tcp app=ssl bytes.out=100 \
             bytes.in=2000 severity=low action=allow rule=out nat.src.ip=203.0.113.1 nat.src.port=4001 user=joe hostname=pa1 message=TRAFFIC event.code=end \
             product=PAN-OS version=10 extra={\"vendor\":\"Palo Alto Networks\",\"dvchost\":\"pa1\",\"suser\":\"corp\\\\joe\",\"syslog.facility\":16}"
        );
    }

    #[test]
    fn without_an_envelope_and_without_an_extension_it_is_read_too() {
        let read = read_one(&FORMAT, "CEF:0|V|P|1|login|User login failed|3|suser=joe rt=1763625600000");
        assert_eq!((read.record.kind, read.record.text(field::ACTION)), (Kind::Auth, Some("login_fail")));
        let read = read_one(&FORMAT, "<13>Nov 20 08:12:01 h CEF: 0|V|P|1|2|Started|2");
        assert_eq!((read.record.text(field::MESSAGE), read.record.text(field::VERSION)), (Some("Started"), Some("1")));
        assert!(!is(&Envelope { message: "CEF:0|a|b|", ..Envelope::default() }));
    }
}
