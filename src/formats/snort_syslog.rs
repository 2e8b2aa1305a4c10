//! Alerts of Snort, Suricata and Firepower's sensors in syslog (Snort manual, "alert_syslog"; Suricata, "syslog alerting"; Cisco, "eStreamer to
//! syslog"): `[1:2012811:2] message [Classification: c] [Priority: n] {UDP} 192.0.2.1:1029 -> 198.51.100.3:53`.
//!
//! Ends are those of the packet that fired: it is turned round if only the sender's port is that of a service. Priority 1 is high, 2 medium, 3
//! low, others info. What the sensor dropped says so before or after the numbers.

use super::envelope::Envelope;
use super::message::{Layout, Said};
use super::{Context, Out, draft::Draft, snort_fast, snort_text};
use crate::model::field;
use crate::model::record::Kind;

/// The format.
pub static FORMAT: Layout =
    Layout { name: "snort-syslog", doc: "Alerts of Snort, Suricata and Firepower sensors as lines in syslog.", is, read };

/// Where `[gid:sid:rev]` stands: before it, the numbers, after it.
fn parse(message: &str) -> Option<(&str, &str, &str)> {
    memchr::memchr_iter(b'[', message.as_bytes()).take(8).find_map(|at| {
        let (rule, after) = message[at + 1..].split_once(']')?;
        let number = |n: &str| !n.is_empty() && n.len() <= 10 && n.bytes().all(|b| b.is_ascii_digit());
        let sound = rule.split(':').count() == 3 && rule.split(':').all(number);
        sound.then_some((&message[..at], rule, after))
    })
}

/// `{TCP} a -> b`: protocol and ends.
fn packet(after: &str) -> Option<(&str, &str, &str)> {
    let (_, rest) = after.rsplit_once('{')?;
    let (protocol, ends) = rest.split_once('}')?;
    let (from, to) = ends.split_once("->")?;
    // Firepower names the country after the address.
    let end = |text: &'_ str| text.trim().find([' ', '(']).unwrap_or(text.trim().len());
    Some((protocol, &from.trim()[..end(from)], &to.trim()[..end(to)]))
}

fn is(envelope: &Envelope<'_>) -> bool {
    envelope.found && parse(envelope.message).is_some_and(|(_, _, after)| packet(after).is_some())
}

fn read<'a>(envelope: &Envelope<'a>, d: &mut Draft, _: &Context, _: &mut Out) -> Said<'a> {
    let Some((before, rule, after)) = parse(envelope.message) else { return Said::default() };
    d.record.kind = Kind::Alert;
    snort_text::rule(rule, d);
    // Suricata puts stars around, Snort 3 and Firepower quotes.
    let text = after.rsplit_once('{').map_or(after, |(text, _)| text);
    snort_fast::message(text.trim_start_matches([' ', '*', '[', ']', '"', ':']), d);
    let lower = envelope.message.to_ascii_lowercase();
    let action = match () {
        () if lower.contains("[drop]") => "drop",
        () if lower.contains("[wdrop]") => "wdrop",
        () if lower.contains("[block]") || lower.contains("[blocked]") => "block",
        () => "alert",
    };
    snort_text::action(action, d);
    d.keep("before", before.trim_matches([' ', '[', ']', '*', ':']));
    if let Some((protocol, from, to)) = packet(after) {
        d.put(field::PROTO, protocol.trim());
        snort_text::ends(from, to, d);
        d.orient();
    }
    Said::default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::show;

    #[test]
    fn alerts_of_every_sensor_are_read() {
        for (tail, want) in [
            (
                "snort[321]: [1:2012811:2] ET DNS Query to a .tk domain [Classification: Potentially Bad Traffic] [Priority: 2] {UDP} 192.0.2.10:1029 -> 198.51.100.3:53",
                "alert 2026-11-20T08:12:01Z src.ip=192.0.2.10 src.port=1029 dst.ip=198.51.100.3 dst.port=53 proto=udp signature=ET DNS Query to a .tk domain signature.id=2012811 signature.gid=1 signature.rev=2 severity=medium category=Potentially Bad Traffic action=alert",
            ),
            (
                "suricata[7]: [Drop] [1:2100498:7] GPL ATTACK_RESPONSE id check [Classification: Bad] [Priority: 1] {TCP} 203.0.113.9:80 -> 192.0.2.10:40000",
                "alert 2026-11-20T08:12:01Z src.ip=192.0.2.10 src.port=40000 dst.ip=203.0.113.9 dst.port=80 proto=tcp signature=GPL ATTACK_RESPONSE id check signature.id=2100498 signature.gid=1 signature.rev=7 severity=high category=Bad action=drop",
            ),
            (
                "suricata[7]: [wDrop] [1:1:1] x [Priority: 2] {TCP} 192.0.2.1:4000 -> 192.0.2.2:80",
                "alert 2026-11-20T08:12:01Z src.ip=192.0.2.1 src.port=4000 dst.ip=192.0.2.2 dst.port=80 proto=tcp signature=x signature.id=1 signature.gid=1 signature.rev=1 severity=medium action=allow",
            ),
            (
                "SFIMS: [Primary Detection Engine (x)][Policy][1:2003:8] \"ET worm\" [Impact: Vulnerable] From \"fp1\" at Fri Nov 20 08:12:00 2026 UTC [Classification: Misc] [Priority: 3] {tcp} 192.0.2.10:4000 (unknown)->198.51.100.3:1434 (unknown)",
                "alert 2026-11-20T08:12:01Z src.ip=192.0.2.10 src.port=4000 dst.ip=198.51.100.3 dst.port=1434 proto=tcp signature=ET worm signature.id=2003 signature.gid=1 signature.rev=8 severity=low category=Misc action=alert",
            ),
            (
                "snort: [1:477:3] ICMP Packet [Priority: 0] {IPV6-ICMP} 2001:db8::1 -> 2001:db8::2",
                "alert 2026-11-20T08:12:01Z src.ip=2001:db8::1 dst.ip=2001:db8::2 proto=icmp6 signature=ICMP Packet signature.id=477 signature.gid=1 signature.rev=3 severity=info",
            ),
            (
                "snort: [1:1:1] six [Priority: 2] {TCP} 2001:db8::1:1500 -> 2001:db8::2:443",
                "alert 2026-11-20T08:12:01Z src.ip=2001:db8::1 src.port=1500 dst.ip=2001:db8::2 dst.port=443 proto=tcp",
            ),
        ] {
            let shown = show(&FORMAT, &format!("<33>Nov 20 08:12:01 ids1 {tail}"));
            assert!(shown.starts_with(want), "{shown}");
        }
        assert!(!is(&Envelope { message: "[1:2:3] no packet", found: true, ..Envelope::default() }));
    }
}
