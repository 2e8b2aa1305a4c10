//! IBM QRadar's Log Event Extended Format 1.0 and 2.0 (IBM, "LEEF event components"), in any envelope or none:
//! `LEEF:2.0|vendor|product|version|event|delimiter|key=value...`.
//!
//! Version 1 separates pairs by tabs, version 2 by the delimiter that its header states (a character, or its number as `x5E`), else by tabs;
//! where relays made spaces of the tabs, or a product used bars, pairs are found by their keys. The time is `devTime`, read by `devTimeFormat` if
//! there is one; severity `sev` 9 and 10 are critical, 7 and 8 high, 4 to 6 medium. An event with a signature, a threat's category or medium
//! severity without a decision is an alert.

use super::envelope::Envelope;
use super::message::{Layout, Said};
use super::{Context, Out, draft::Draft, key_value, moments, vendor_values, verdict_words};
use crate::model::field;
use crate::model::record::Kind;

/// The format.
pub static FORMAT: Layout = Layout {
    name: "leef",
    doc: "IBM QRadar Log Event Extended Format (LEEF 1.0 and 2.0) of any product, with or without syslog envelope.",
    is,
    read,
};

const PAIRS_MAX: usize = 300;

fn start(message: &str) -> Option<usize> {
    let at = memchr::memmem::find(&message.as_bytes()[..message.len().min(512)], b"LEEF:")?;
    let rest = message[at + 5..].trim_start();
    let version = rest.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
    (version > 0 && rest.as_bytes().get(version) == Some(&b'|') && memchr::memchr_iter(b'|', rest.as_bytes()).nth(3).is_some())
        .then_some(at)
}

fn is(envelope: &Envelope<'_>) -> bool {
    start(envelope.message).is_some()
}

/// The delimiter that a header states: a character, or its number in hexadecimal.
fn delimiter(text: &str) -> Option<char> {
    let text = text.trim_matches(' ');
    let hex = text.strip_prefix("0x").or_else(|| text.strip_prefix('x')).filter(|h| !h.is_empty() && h.len() <= 4);
    if let Some(code) = hex.and_then(|h| u32::from_str_radix(h, 16).ok()) {
        return char::from_u32(code);
    }
    let mut letters = text.chars();
    match (letters.next(), letters.next()) {
        (None, _) => Some('\t'),
        (Some(c), None) => Some(c),
        (Some('\\'), Some('t')) => Some('\t'),
        _ => None,
    }
}

/// The pairs of the attributes.
fn attributes(text: &str, stated: Option<char>) -> Vec<(&str, &str)> {
    let delimiter = stated.filter(|c| text.contains(*c)).or_else(|| ['\t', '^', '|'].into_iter().find(|c| text.contains(*c)));
    let Some(delimiter) = delimiter.filter(|c| *c != ' ') else { return key_value::pairs(text) };
    let pair = |part: &'_ str| part.split_once('=').map(|(key, value)| (key.len(), value.len()));
    let pairs = text.split(delimiter).take(PAIRS_MAX).filter_map(|part| {
        let part = part.trim();
        pair(part).map(|(key, value)| (part[..key].trim(), part[part.len() - value..].trim()))
    });
    pairs.collect()
}

fn read<'a>(envelope: &Envelope<'a>, d: &mut Draft, context: &Context, out: &mut Out) -> Said<'a> {
    let at = start(envelope.message).unwrap_or(0);
    let mut parts = envelope.message[at + 5..].trim_start().splitn(6, '|');
    let mut next = || parts.next().unwrap_or("");
    let (leef, vendor, product, version, event, mut rest) = (next(), next(), next(), next(), next(), next());
    let mut stated = None;
    if leef.starts_with('2')
        && let Some((first, after)) = rest.split_once('|')
        && !first.contains('=')
        && let Some(delimiter) = delimiter(first)
    {
        (stated, rest) = (Some(delimiter), after);
    }
    let attributes = attributes(rest, stated);
    let one = |key: &str| attributes.iter().find(|(k, _)| k.eq_ignore_ascii_case(key)).map_or("", |(_, v)| *v);
    d.text(field::EVENT_CODE, event);
    d.text(field::PRODUCT, product);
    d.text(field::VERSION, version);
    d.keep("vendor", vendor);
    if let Some(rank) = one("sev").parse::<u8>().ok().and_then(rank) {
        d.uint(field::SEVERITY, rank);
    }
    let own = |key: &str| ["devtime", "devtimeformat", "sev"].iter().any(|k| k.eq_ignore_ascii_case(key));
    let pairs: Vec<(&str, &str)> = attributes.iter().filter(|(key, _)| !own(key)).copied().collect();
    vendor_values::fill(&pairs, true, d);
    told(event, one("cat"), d);
    let (text, pattern) = (one("devTime"), one("devTimeFormat"));
    let moment = moments::patterned(text, pattern).filter(|_| !pattern.is_empty()).or_else(|| moments::moment(text));
    let time = moment.and_then(|m| moments::instant(m, envelope, context, out));
    if time.is_none() {
        d.keep("devTime", text);
    }
    let before = envelope.message[..at].trim_matches([' ', ':', '-']).split(' ').next().unwrap_or("");
    let host = if envelope.host.is_empty() { before } else { envelope.host };
    Said { time, host, ..Said::default() }
}

fn rank(sev: u8) -> Option<u64> {
    match sev {
        0..=3 => Some(1),
        4..=6 => Some(2),
        7..=8 => Some(3),
        9..=10 => Some(4),
        _ => None,
    }
}

fn told(event: &str, category: &str, d: &mut Draft) {
    if !d.has(field::ACTION) {
        let outcome = verdict_words::login_action(event, event).or_else(|| verdict_words::login_action(category, event));
        d.text(field::ACTION, outcome.or_else(|| verdict_words::known(event)).unwrap_or(""));
    }
    d.record.kind = vendor_values::kind(d);
    let grave = d.record.uint(field::SEVERITY).is_some_and(|rank| rank >= 2);
    let category = category.to_ascii_lowercase();
    let threat = ["threat", "malware", "attack", "anomaly", "intrusion", "virus", "exploit"].iter().any(|w| category.contains(w));
    if threat || grave && d.record.kind == Kind::Log {
        d.record.kind = Kind::Alert;
    }
    if d.record.kind == Kind::Alert {
        d.text(field::SIGNATURE, event);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::show;

    #[test]
    fn pairs_are_apart_by_what_the_header_states() {
        let want = "alert 2026-11-20T08:12:01Z src.ip=192.0.2.1 src.port=81 dst.ip=198.51.100.7 dst.port=21 signature=E severity=medium category=anomaly user=joe \
                    hostname=h event.code=E product=P version=1 extra={\"vendor\":\"V\"} sensor=h";
        for (head, tail) in [
            ("LEEF:1.0|V|P|1|E|", '\t'),
            ("LEEF:2.0|V|P|1|E|^|", '^'),
            ("LEEF:2.0|V|P|1|E|x5E|", '^'),
            ("LEEF:2.0|V|P|1|E|0x5e|", '^'),
            ("LEEF:2.0|V|P|1|E||", '\t'),
            ("LEEF:2.0|V|P|1|E|", '\t'),
            ("LEEF:1.0|V|P|1|E|", ' '),
            ("LEEF:1.0|V|P|1|E|", '|'),
        ] {
            let pairs = ["src=192.0.2.1", "dst=198.51.100.7", "sev=5", "cat=anomaly", "srcPort=81", "dstPort=21", "usrName=joe"];
            let line = format!("Nov 20 08:12:01 h {head}{}", pairs.join(&tail.to_string()));
            assert_eq!(show(&FORMAT, &line), want, "{line}");
        }
    }

    #[test]
    fn the_devices_time_is_read_by_its_format() {
        for (time, want) in [
            ("devTime=1763625600", "2025-11-20T08:00:00Z"),
            ("devTime=Nov 20 2026 08:00:00.500 EST\tdevTimeFormat=MMM dd yyyy HH:mm:ss.SSS z", "2026-11-20T13:00:00.500Z"),
            ("devTime=03/04/2026 08:00:00 UTC\tdevTimeFormat=dd/MM/yyyy HH:mm:ss z", "2026-04-03T08:00:00Z"),
            ("devTime=2026-11-20 07:00:00", "2026-11-20T07:12:01Z"),
        ] {
            let line = format!("<13>1 2026-11-20T08:12:01+01:00 h LEEF:1.0|V|P|1|allow|src=192.0.2.1\tdst=198.51.100.7\t{time}");
            assert!(show(&FORMAT, &line).starts_with(&format!("fw {want} src.ip=192.0.2.1")), "{}", show(&FORMAT, &line));
        }
    }
}
