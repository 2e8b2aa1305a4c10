//! Snort's `alert_fast` lines, of Snort 2 and 3 (Snort Users Manual, 2.6), and Suricata's `fast.log`; in syslog they are `snort-syslog`.
//!
//! Lines have no year unless `-y` is given, and local times unless `-U` is. A classification may be missing.

use super::draft::Draft;
use super::envelope::Envelope;
use super::services::Service;
use super::{Context, Out, clock, snort_text};
use crate::model::field;
use crate::model::record::Kind;

/// The format.
pub static FORMAT: Service = Service {
    name: "snort-fast",
    doc: "Snort alert_fast lines, Suricata fast.log (Snort Users Manual, Output Modules).",
    // In syslog they are `snort-syslog`.
    is: |_| false,
    own,
    stamp,
    read,
};

fn own(line: &str) -> Option<Envelope<'_>> {
    stamp(line).map(|s| Envelope { stamp: Some(s), message: line, ..Envelope::default() })
}

fn stamp(line: &str) -> Option<clock::Stamp> {
    let stamp = snort_text::stamp(line)?;
    line.get(stamp.len..).and_then(body).map(|_| stamp)
}

/// What stands between the rule's brackets, its text with what follows, the protocol and the ends.
fn body(text: &str) -> Option<(&str, &str, &str, &str)> {
    // `[Drop] [**] [1:2:3] msg [**] [Classification: c] [Priority: 2] {UDP} a -> b`; syslog has no stars in front.
    let text = text.trim_start_matches([' ', '[', '*', ']']);
    let text = text
        .strip_prefix("Drop] ")
        .or_else(|| text.strip_prefix("wDrop] "))
        .unwrap_or(text)
        .trim_start_matches([' ', '[', '*', ']']);
    let (rule, rest) = text.split_once("] ")?;
    let numbers = rule.split(':').count() == 3 && rule.bytes().all(|b| b.is_ascii_digit() || b == b':');
    let at = rest.rfind('{').filter(|_| numbers)?;
    let (proto, ends) = rest[at + 1..].split_once("} ")?;
    ends.contains(" -> ").then_some((rule, &rest[..at], proto, ends))
}

fn read(envelope: &Envelope<'_>, d: &mut Draft, _: &Context, _: &mut Out) {
    let begin = snort_text::stamp(envelope.message).map_or(0, |s| s.len);
    let line = envelope.message.get(begin..).unwrap_or("");
    let Some((rule, rest, proto, ends)) = body(line) else { return };
    d.record.kind = Kind::Alert;
    snort_text::rule(rule, d);
    snort_text::action(
        if line.contains("[Drop]") {
            "drop"
        } else if line.contains("[wDrop]") {
            "allow"
        } else {
            "alert"
        },
        d,
    );
    d.put_or_keep(field::PROTO, "protocol", &proto.to_ascii_lowercase());
    message(rest, d);
    let (source, destination) = ends.split_once(" -> ").unwrap_or((ends, ""));
    snort_text::ends(source, destination, d);
    d.orient();
}

/// `ET DNS Query [**] [Classification: Bad] [Priority: 2] `.
pub(super) fn message(text: &str, d: &mut Draft) {
    // A message may hold brackets: the marks end it, or in syslog the first of what follows.
    let marks = [" [**]", " [Classification:", " [Priority:", " [AppID:", " [Impact:"];
    let end = marks.iter().filter_map(|m| text.find(m)).min().unwrap_or(text.len());
    d.text(field::SIGNATURE, text[..end].trim().trim_matches('"'));
    for part in text[end..].split('[').filter_map(|p| p.split_once(']')).map(|(p, _)| p) {
        let told = |name: &str| part.strip_prefix(name).map(str::trim);
        if let Some(class) = told("Classification:") {
            d.text(field::CATEGORY, class);
        } else if let Some(number) = told("Priority:") {
            snort_text::priority(number, d);
        } else if let Some(app) = told("AppID:") {
            d.text(field::APP, &app.to_ascii_lowercase());
        } else if let Some((key, value)) = part.split_once(": ") {
            d.keep(key, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::draft;
    use crate::formats::tests::{read_one, show};

    #[test]
    fn an_alert_of_snort_2() {
        assert_eq!(
            show(
                &FORMAT,
                "05/30-19:09:28.472094  [**] [1:2012811:2] ET DNS DNS Query to a .tk domain - Likely Hostile [**] [Classification: Potentially Bad Traffic] [Priority: 2] {UDP} 192.168.88.10:1029 -> 4.2.2.3:53"
            ),
            "alert 2026-05-30T19:09:28.472094Z src.ip=192.168.88.10 src.port=1029 dst.ip=4.2.2.3 dst.port=53 proto=udp \
             signature=ET DNS DNS Query to a .tk domain - Likely Hostile signature.id=2012811 signature.gid=1 signature.rev=2 severity=medium \
             category=Potentially Bad Traffic action=alert"
        );
    }

    #[test]
    fn without_class_in_syslog_with_ipv6_and_of_an_answer() {
        let icmp = read_one(
            &FORMAT,
            "05/30-19:09:28.472094  [**] [1:477:3] ICMP Packet [**] [Priority: 0] {ICMP} 172.25.212.245 -> 172.25.212.153",
        )
        .record;
        assert_eq!((icmp.text(field::SIGNATURE), icmp.text(field::CATEGORY)), (Some("ICMP Packet"), None));
        let six = read_one(&FORMAT, "05/30-19:09:28.472094 [**] [1:1:0] \"x [y]\" [**] [Priority: 1] [AppID: HTTP] {TCP} 2001:db8::5:51000 -> 2001:db8::6:80").record;
        assert_eq!(
            (six.addr(field::DST_IP), six.uint(field::DST_PORT), six.text(field::APP)),
            (draft::address("2001:db8::6"), Some(80), Some("http"))
        );
        let sys = read_one(&FORMAT, "May 30 19:09:28 ids snort[7]: [1:2:3] back [Classification: Misc] [Priority: 3]: {TCP} 198.51.100.7:80 -> 192.0.2.5:51000").record;
        assert_eq!(
            (sys.kind, sys.addr(field::SRC_IP), sys.uint(field::DST_PORT)),
            (Kind::Alert, draft::address("192.0.2.5"), Some(80))
        );
        assert_eq!(sys.text(field::HOSTNAME), Some("ids"));
        let dropped = read_one(
            &FORMAT,
            "05/30/26-19:09:28.472094 [Drop] [**] [1:2:3] x [**] [Priority: 3] {TCP} 192.0.2.5:51000 -> 198.51.100.7:80",
        )
        .record;
        assert_eq!(dropped.text(field::ACTION), Some("drop"));
    }
}
