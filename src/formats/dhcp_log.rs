//! DHCP servers and clients in syslog: ISC dhcpd (dhcpd(8), "logging"), dnsmasq (`log-dhcp`), Kea (Kea Administrator Reference Manual, message
//! names `DHCP4_*`), dhclient; Kea also in a file of its own.
//!
//! What a message says of client, address and host name; an acknowledgement is a `lease`. How long it lasts is rarely stated: Kea says so, then
//! the record ends with the lease. Lease files are `dhcp-leases`.

use super::dhcp_text::{client, message};
use super::draft::Draft;
use super::envelope::Envelope;
use super::services::{self, Service};
use super::{Context, Out, clock, draft};
use crate::model::field;
use crate::model::time::SECOND;

/// The format.
pub static FORMAT: Service = Service {
    name: "dhcp-log",
    doc: "DHCP servers and clients in syslog: ISC dhcpd, dnsmasq, Kea, dhclient (their manuals).",
    is,
    own,
    stamp: services::no_stamp,
    read,
};

fn is(envelope: &Envelope<'_>) -> bool {
    matches!(envelope.process, "dhcpd" | "dhcpd6" | "dhclient" | "dnsmasq-dhcp" | "kea-dhcp4" | "kea-dhcp6" | "dhcpcd")
}

/// Kea's `2026-11-20 08:00:00.123 INFO  [kea-dhcp4.leases/7.140] DHCP4_LEASE_ALLOC [hwtype=1 aa:...], ...`.
fn own(line: &str) -> Option<Envelope<'_>> {
    let stamp = clock::iso(line.as_bytes())?;
    let rest = line.get(stamp.len..)?.trim_start();
    let (level, rest) = rest.split_once(' ')?;
    let (logger, message) = rest.trim_start().strip_prefix('[')?.split_once("] ")?;
    let known = matches!(level, "INFO" | "WARN" | "ERROR" | "DEBUG" | "FATAL") && logger.starts_with("kea-");
    let process = logger.split(['.', '/']).next().unwrap_or("");
    known.then_some(Envelope { stamp: Some(stamp), process, message, ..Envelope::default() })
}

fn read(envelope: &Envelope<'_>, d: &mut Draft, _: &Context, _: &mut Out) {
    let text = envelope.message.trim();
    if envelope.process.starts_with("kea") {
        kea(text, d);
    } else if envelope.process == "dnsmasq-dhcp" {
        dnsmasq(text, d);
    } else {
        dhcpd(text, d);
    }
}

/// `DHCPACK on 192.0.2.5 to aa:bb:cc:00:11:22 (ws5) via eth0`, `DHCPREQUEST for 192.0.2.5 (192.0.2.1) from aa:... via eth0: unknown lease`.
fn dhcpd(text: &str, d: &mut Draft) {
    let Some(rest) = text.strip_prefix("DHCP") else {
        // dhclient: `bound to 192.0.2.5 -- renewal in 1700 seconds.`
        if let Some(rest) = text.strip_prefix("bound to ") {
            message("ACK", d);
            d.addr(field::LEASE, rest.split(' ').next().unwrap_or(""));
        }
        return;
    };
    let (kind, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    if kind.is_empty() || !kind.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_') {
        return;
    }
    message(kind, d);
    // A complaint stands at the end.
    let (rest, complaint) = match rest.split_once(" via ") {
        Some((before, after)) => {
            let (interface, complaint) = after.split_once(": ").unwrap_or((after, ""));
            let (interface, more) = interface.split_once(' ').unwrap_or((interface, ""));
            let interface = interface.trim_end_matches(':');
            // A relay stands where the interface would.
            if draft::address(interface).is_some() {
                d.keep("relay", interface)
            } else {
                _ = d.text(field::IFACE_IN, interface)
            }
            (before, if complaint.is_empty() { more } else { complaint })
        }
        None => (rest, ""),
    };
    d.text(field::REASON, complaint.trim_matches(['(', ')']));
    let mut before = "";
    for word in rest.split_ascii_whitespace() {
        let bare = word.trim_matches(['(', ')', ',', ':']);
        let inside = word.starts_with('(');
        match (before, draft::address(bare)) {
            // `on 192.0.2.5 to 192.0.2.5`: dhclient asks the server, whose address follows `to` or `from`.
            ("on" | "for" | "of", Some(_)) => _ = d.addr(field::LEASE, bare),
            ("to" | "from", Some(ip)) if !inside => {
                // `DHCPACK to 192.0.2.5 (aa:bb:...)` answers an INFORM: the client has its address.
                // Of a client's own log, what it answers or asks `to` is the server.
                let answer = matches!(kind, "OFFER" | "ACK" | "NAK" | "LEASEACTIVE" | "LEASEUNASSIGNED" | "LEASEUNKNOWN");
                let server = (before == "from") == answer;
                d.give(if server { field::DST_IP } else { field::SRC_IP }, ip.into());
            }
            (_, Some(ip)) if inside => _ = d.give(field::DST_IP, ip.into()),
            ("to" | "from", None) => client(bare, d),
            (_, None) if inside && super::lift::is_mac(bare) => client(bare, d),
            (_, None) if inside && !matches!(bare, "found" | "not") => _ = d.text(field::HOSTNAME, bare),
            _ => {}
        }
        before = word;
    }
}

/// `[3452 ]DHCPACK(eth0) 192.0.2.5 aa:bb:cc:00:11:22 ws5`.
fn dnsmasq(text: &str, d: &mut Draft) {
    let text = text.split_once(' ').filter(|(n, _)| n.bytes().all(|b| b.is_ascii_digit())).map_or(text, |(_, r)| r);
    let Some((kind, rest)) = text.strip_prefix("DHCP").and_then(|t| t.split_once('(')) else { return };
    let Some((interface, rest)) = rest.split_once(')') else { return };
    message(kind, d);
    d.text(field::IFACE_IN, interface);
    let mut words = rest.split_ascii_whitespace().peekable();
    if let Some(ip) = words.peek().filter(|w| draft::address(w).is_some()) {
        d.addr(field::LEASE, ip);
        words.next();
    }
    if let Some(mac) = words.next() {
        client(mac, d);
    }
    let rest: Vec<&str> = words.take(16).collect();
    // A refusal gives its reason where a name would stand.
    match rest[..] {
        [name] if kind != "NAK" => _ = d.text(field::HOSTNAME, name),
        _ => _ = d.text(field::REASON, &rest.join(" ")),
    }
}

/// `DHCP4_LEASE_ALLOC [hwtype=1 aa:bb:cc:00:11:22], cid=[01:aa:...], tid=0x1: lease 192.0.2.5 has been allocated for 3600 seconds`.
fn kea(text: &str, d: &mut Draft) {
    let (logger, text) = match text.strip_prefix('[').and_then(|t| t.split_once("] ")) {
        // In syslog the level and the logger stand first.
        Some((logger, rest)) => (logger, rest),
        None => match text.split_once(" [").filter(|(level, _)| matches!(level.trim(), "INFO" | "WARN" | "ERROR" | "DEBUG")) {
            Some((_, rest)) => rest.split_once("] ").unwrap_or(("", text)),
            None => ("", text),
        },
    };
    d.keep("logger", logger);
    let (name, rest) = text.split_once(' ').unwrap_or((text, ""));
    if !name.starts_with("DHCP") {
        return;
    }
    d.text(field::EVENT_CODE, name);
    let kind = match name.split_once('_').map_or("", |(_, n)| n) {
        "LEASE_ALLOC" | "LEASE_ADVERT_ALLOC" | "LEASE_REUSE" | "LEASE_RENEW" => "ACK",
        "LEASE_ADVERT" | "LEASE_OFFER" => "OFFER",
        "RELEASE" | "RELEASE_EXPIRED" => "RELEASE",
        "DECLINE_LEASE" => "DECLINE",
        _ => "",
    };
    if !kind.is_empty() {
        message(kind, d);
    }
    if let Some((_, mac)) = rest.split_once("hwtype=") {
        client(mac.split(']').next().unwrap_or("").trim(), d);
    }
    if let Some((_, after)) = rest.split_once("address ").or_else(|| rest.split_once("lease ")) {
        d.addr(field::LEASE, after.split([' ', ',']).next().unwrap_or(""));
    }
    if let Some((_, after)) = rest.split_once(" for ")
        && let Some((seconds, _)) = after.split_once(" seconds")
        && let Ok(seconds) = seconds.parse::<u64>()
        && kind == "ACK"
    {
        d.lasting(seconds.saturating_mul(SECOND as u64));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::{read_one, show};
    use crate::model::record::{Kind, Record};

    fn one(message: &str) -> Record {
        read_one(&FORMAT, &format!("Nov 20 08:00:00 gw {message}")).record
    }

    #[test]
    fn an_acknowledgement_is_a_lease() {
        assert_eq!(
            show(&FORMAT, "Nov 20 08:00:00 gw dhcpd[7]: DHCPACK on 192.0.2.5 to AA:bb:cc:00:11:22 (ws5) via eth0"),
            "dhcp 2026-11-20T08:00:00Z app=dhcp src.mac=aa:bb:cc:00:11:22 action=lease interface.in=eth0 hostname=ws5 process=dhcpd pid=7 \
             dhcp.address=192.0.2.5 dhcp.type=ACK sensor=gw"
        );
    }

    #[test]
    fn every_message_of_dhcpd_tells_client_and_address() {
        let asked = one(
            "dhcpd: DHCPREQUEST for 192.0.2.5 (192.0.2.1) from aa:bb:cc:00:11:22 (ws5) via 192.0.2.254: unknown lease 192.0.2.5.",
        );
        assert_eq!((asked.text(field::ACTION), asked.addr(field::DST_IP)), (Some("asked"), draft::address("192.0.2.1")));
        assert_eq!((asked.addr(field::LEASE), asked.text(field::HOSTNAME)), (draft::address("192.0.2.5"), Some("ws5")));
        assert!(asked.text(field::REASON).is_some_and(|r| r.starts_with("unknown lease")));
        let informed = one("dhcpd: DHCPACK to 192.0.2.5 (aa:bb:cc:00:11:22) via eth0");
        assert_eq!(
            (informed.addr(field::SRC_IP), informed.text(field::SRC_MAC)),
            (draft::address("192.0.2.5"), Some("aa:bb:cc:00:11:22"))
        );
        let released = one("dhcpd: DHCPRELEASE of 192.0.2.5 from aa:bb:cc:00:11:22 (ws5) via eth0 (found)");
        assert_eq!((released.text(field::ACTION), released.addr(field::LEASE)), (Some("release"), draft::address("192.0.2.5")));
        let offered = one("dhclient[9]: DHCPOFFER of 192.0.2.5 from 192.0.2.1");
        assert_eq!(
            (offered.addr(field::DST_IP), offered.addr(field::LEASE)),
            (draft::address("192.0.2.1"), draft::address("192.0.2.5"))
        );
        for (line, server) in [
            ("DHCPREQUEST of 192.0.2.5 on eth0 to 192.0.2.1 port 67", "192.0.2.1"),
            ("DHCPDISCOVER on eth0 to 255.255.255.255 port 67 interval 4", "255.255.255.255"),
            ("DHCPRELEASE of 192.0.2.5 on eth0 to 192.0.2.1 port 67", "192.0.2.1"),
        ] {
            let own = one(&format!("dhclient[9]: {line}"));
            assert_eq!((own.addr(field::SRC_IP), own.addr(field::DST_IP)), (None, draft::address(server)), "{line}");
        }
        assert_eq!(one("dhcpd: Wrote 5 leases to leases file.").kind, Kind::Log);
    }

    #[test]
    fn dnsmasq_and_kea() {
        let d = one("dnsmasq-dhcp[7]: 3452 DHCPACK(br0) 192.0.2.5 aa:bb:cc:00:11:22 ws5");
        assert_eq!(
            (d.text(field::HOSTNAME), d.addr(field::LEASE), d.text(field::IFACE_IN)),
            (Some("ws5"), draft::address("192.0.2.5"), Some("br0"))
        );
        let kea = read_one(
            &FORMAT,
            "2026-11-20 08:00:00.123 INFO  [kea-dhcp4.leases/7.140] DHCP4_LEASE_ALLOC [hwtype=1 aa:bb:cc:00:11:22], cid=[01:aa:bb:cc:00:11:22], tid=0x1a: lease 192.0.2.5 has been allocated for 3600 seconds",
        )
        .record;
        assert_eq!(
            (kea.kind, kea.text(field::SRC_MAC), kea.addr(field::LEASE)),
            (Kind::Dhcp, Some("aa:bb:cc:00:11:22"), draft::address("192.0.2.5"))
        );
        assert_eq!((kea.end.0 - kea.start.0) / SECOND, 3600);
        assert_eq!(kea.text(field::EVENT_CODE), Some("DHCP4_LEASE_ALLOC"));
    }
}
