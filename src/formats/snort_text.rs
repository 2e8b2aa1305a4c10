//! What Snort's ways of writing alerts share: its times, rules, priorities, ends of a packet (Snort 2 and 3 manuals, "Output modules").
//!
//! The source and destination of an alert are those of its packet: where only the sender's port is a service's, the record is turned round.
//! Severity: priority 1 is high, 2 medium, 3 low, others info.

use super::clock::Stamp;
use super::draft::{self, Draft};
use crate::model::field;

/// `05/30-19:09:28.472094`, `05/30/26-19:09:28.472094` (`-y`), `2026/05/30-19:09:28.472094` (Snort 3 `-y`), `05/30/2026-19:09:28.472094`
/// (Suricata): local unless `-U`.
pub(super) fn stamp(text: &str) -> Option<Stamp> {
    let bytes = text.as_bytes();
    let dash = bytes.iter().take(11).position(|b| *b == b'-')?;
    let mut parts = text[..dash].split('/').map(|p| p.parse::<u32>().ok().filter(|_| matches!(p.len(), 2 | 4)));
    let (first, second, third) = (parts.next()??, parts.next()??, parts.next());
    let (year, month, day) = match third {
        None => (None, first, second),
        Some(third) if first > 31 => (Some(first), second, third?),
        // Two digits or four.
        Some(third) => (Some(third.map(|y| if y < 100 { 2000 + y } else { y })?), first, second),
    };
    // The time of day as any other: behind a date of its own.
    let rest = text.get(dash + 1..)?;
    let end = rest.bytes().position(|b| !b.is_ascii_digit() && !matches!(b, b':' | b'.')).unwrap_or(rest.len());
    let of_day = super::clock::iso(format!("1970-01-01 {}", &rest[..end]).as_bytes())?;
    let in_year = (1..=12).contains(&month) && (1..=31).contains(&day);
    let year = year.and_then(|y| i32::try_from(y).ok());
    in_year.then_some(Stamp { year, month, day, len: dash + 1 + end, ..of_day })
}

/// Gives a rule, `gid:sid:rev`. False: it is none.
pub(super) fn rule(text: &str, d: &mut Draft) -> bool {
    let parts: Vec<Option<u64>> = text.splitn(4, ':').map(|p| p.trim().parse().ok()).collect();
    let [Some(gid), Some(sid), Some(rev)] = parts[..] else { return false };
    d.uint(field::SIGNATURE_GID, gid);
    d.uint(field::SIGNATURE_ID, sid);
    d.uint(field::SIGNATURE_REV, rev);
    true
}

/// Gives a priority.
pub(super) fn priority(text: &str, d: &mut Draft) {
    let rank = match text.trim() {
        "1" => 3,
        "2" => 2,
        "3" => 1,
        _ => 0,
    };
    d.uint(field::SEVERITY, rank);
}

/// Address and port of an end; IPv6 stands without brackets, so the last colon is the port's where the protocol has ports.
pub(super) fn end(text: &str, ported: bool) -> Option<(std::net::IpAddr, Option<u16>)> {
    let text = text.trim();
    let split = || {
        let (ip, port) = text.rsplit_once(':')?;
        Some((draft::address(ip)?, Some(port.parse().ok()?)))
    };
    let whole = || draft::address(text).map(|ip| (ip, None));
    // `::1:80` is an address too: with ports the split wins.
    if ported { split().or_else(whole) } else { whole().or_else(split) }
}

/// Gives both ends of a packet.
pub(super) fn ends(source: &str, destination: &str, d: &mut Draft) {
    let ported = matches!(d.record.uint(field::PROTO), Some(6 | 17 | 132));
    for (text, ip, port, key) in
        [(source, field::SRC_IP, field::SRC_PORT, "source"), (destination, field::DST_IP, field::DST_PORT, "destination")]
    {
        match end(text, ported) {
            Some((address, number)) => {
                d.give(ip, address.into());
                // Snort 3 writes port 0 where there are none.
                if let Some(number) = number.filter(|_| ported) {
                    d.uint(port, u64::from(number));
                }
            }
            None => {
                d.partial = true;
                d.keep(key, text);
            }
        }
    }
}

/// Gives an action in our words.
pub(super) fn action(text: &str, d: &mut Draft) {
    let word = match text.trim().to_ascii_lowercase().as_str() {
        "" | "alert" | "log" => "alert",
        // What would have been dropped, or could not be, went through.
        "allow" | "pass" | "would_drop" | "would_block" | "would_reject" | "wdrop" | "cant_drop" | "trust" => "allow",
        "drop" | "sdrop" => "drop",
        "block" => "deny",
        "reject" | "reset" => "reset",
        _ => text.trim(),
    };
    d.text(field::ACTION, word);
}

/// `0:1A:2:...` with two digits a byte.
pub(super) fn padded(mac: &str) -> String {
    let bytes: Vec<String> = mac.trim().split(':').map(|b| format!("{b:0>2}").to_ascii_lowercase()).collect();
    bytes.join(":")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_with_and_without_a_year() {
        let told = |text: &str| stamp(text).map(|s| (s.year, s.month, s.day, s.second, s.nanos, s.len));
        assert_eq!(told("05/30-19:09:28.472094 x"), Some((None, 5, 30, 68_968, 472_094_000, 21)));
        assert_eq!(told("05/30/26-19:09:28.472094"), Some((Some(2026), 5, 30, 68_968, 472_094_000, 24)));
        assert_eq!(told("2026/05/30-19:09:28.472094"), Some((Some(2026), 5, 30, 68_968, 472_094_000, 26)));
        assert_eq!(told("10/05/2011-14:43:19.5"), Some((Some(2011), 10, 5, 52_999, 500_000_000, 21)));
        assert_eq!(told("13/30-19:09:28"), None);
        assert_eq!(told("05-30"), None);
    }

    #[test]
    fn the_last_colon_is_a_port_only_where_there_are_ports() {
        let told = |text, ported| end(text, ported).map(|(ip, port)| (ip.to_string(), port));
        assert_eq!(told("192.0.2.1:80", true), Some(("192.0.2.1".into(), Some(80))));
        assert_eq!(told("2001:db8::5:80", true), Some(("2001:db8::5".into(), Some(80))));
        assert_eq!(told("2001:db8::5:80", false), Some(("2001:db8::5:80".into(), None)));
        assert_eq!(told("fe80::1", false), Some(("fe80::1".into(), None)));
    }
}
