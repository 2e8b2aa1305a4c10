//! Cisco Meraki MX, MR and MS (Cisco Meraki, "Syslog Event Types and Log Samples"): `<PRI>1 epoch device type key=value ...`.
//!
//! Flows and firewall lines say in their pattern what was done (`allow all`, `deny all`; in the older form `1` denied and `0` allowed), URLs have the request
//! after `request:`, what the IDS and the file scanner found are alerts. Other events are logs.

use super::cisco_text::after;
use super::envelope::Envelope;
use super::message::{Layout, Said};
use super::{Context, Out, draft, draft::Draft, key_value, vendor_values, verdict_words};
use crate::model::field;
use crate::model::record::Kind;
use crate::model::value::Value;

/// The format.
pub static FORMAT: Layout = Layout {
    name: "meraki",
    doc: "Cisco Meraki flows, firewall rules, URLs, IDS alerts, file scans and events in syslog.",
    is,
    read,
};

const TYPES: [&str; 16] = [
    "flows",
    "firewall",
    "vpn_firewall",
    "cellular_firewall",
    "bridge_anyconnect_client_vpn_firewall",
    "l7_firewall",
    "ip_flow_start",
    "ip_flow_end",
    "urls",
    "ids-alerts",
    "security_event",
    "security_filtering_file_scanned",
    "security_filtering_disposition_change",
    "airmarshal_events",
    "events",
    "bridge_security_event",
];

fn is(envelope: &Envelope<'_>) -> bool {
    let (word, rest) = envelope.message.split_once(' ').unwrap_or(("", ""));
    let pair = |key: &str| memchr::memmem::find(rest.as_bytes(), key.as_bytes()).is_some();
    TYPES.contains(&word)
        && match word {
            "events" => {
                pair("type=") || pair("client_mac=") || rest.starts_with("dhcp ") || rest.contains("content_filtering_block")
            }
            "airmarshal_events" => pair("type="),
            _ => pair("src=") || pair("signature="),
        }
}

fn read<'a>(envelope: &Envelope<'a>, d: &mut Draft, _: &Context, _: &mut Out) -> Said<'a> {
    let (word, rest) = envelope.message.split_once(' ').unwrap_or(("", ""));
    d.text(field::EVENT_CODE, word);
    let colon = |key: &str| after(rest, key).map(str::trim);
    let text = [" message: ", " request: ", " pattern: "].iter().filter_map(|key| rest.find(key)).min().unwrap_or(rest.len());
    let mut left = Vec::new();
    for (key, value) in key_value::pairs(&rest[..text]) {
        match key {
            "signature" => signature(value, d),
            // 1 is high, 3 low.
            "priority" => {
                if let Some(rank) = value.parse::<u64>().ok().filter(|n| (1..=4).contains(n)) {
                    d.uint(field::SEVERITY, 4 - rank);
                }
            }
            "dhost" | "shost" if super::lift::is_mac(value) => {
                d.text(if key == "dhost" { field::DST_MAC } else { field::SRC_MAC }, value);
            }
            "timestamp" => d.keep(key, value),
            "translated_src_ip" => _ = d.addr(field::NAT_SRC_IP, value),
            "translated_dst_ip" => _ = d.addr(field::NAT_DST_IP, value),
            "translated_port" => _ = d.put(field::NAT_SRC_PORT, value),
            "client_ip" | "ip" => left.push(("clientip", value)),
            "agent" => _ = d.text(field::HTTP_AGENT, value),
            "name" => left.push(("filename", value)),
            "decision" | "disposition" if matches!(value, "blocked" | "allowed") => left.push(("action", value)),
            "decision" | "disposition" => d.keep(key, value),
            "type" => d.put_or_keep(field::CATEGORY, key, value),
            _ => left.push((key, value)),
        }
    }
    vendor_values::fill(&left, true, d);
    if let Some(pattern) = colon(" pattern: ") {
        let action = match pattern.split(' ').next().unwrap_or("") {
            "1" => "deny",
            "0" => "allow",
            word => verdict_words::known(word).unwrap_or(""),
        };
        d.text(field::ACTION, action);
        d.text(field::RULE, pattern);
    }
    // `flows allow src=...`
    let first = rest.split(' ').next().unwrap_or("");
    if !first.contains('=') && matches!(first, "allow" | "deny") {
        d.text(field::ACTION, first);
    }
    if let Some(request) = colon(" request: ") {
        let (method, url) = request.split_once(' ').unwrap_or(("", request));
        if method != "UNKNOWN" {
            d.text(field::HTTP_METHOD, method);
        }
        let url = url.split(' ').next().unwrap_or("").trim_end_matches("...");
        d.text(field::URL, url);
        if let Some((host, _)) = super::web::authority(url).filter(|(h, _)| draft::address(h).is_none()) {
            d.text(field::NAME, host);
        }
    }
    if let Some(message) = colon(" message: ") {
        d.text(field::SIGNATURE, message);
    }
    told(word, rest, d);
    Said::default()
}

/// `1:28423:1`: generator, rule, revision.
fn signature(text: &str, d: &mut Draft) {
    let mut parts = text.split(':');
    for id in [field::SIGNATURE_GID, field::SIGNATURE_ID, field::SIGNATURE_REV] {
        d.put(id, parts.next().unwrap_or(""));
    }
}

fn told(word: &str, rest: &str, d: &mut Draft) {
    d.record.kind = match word {
        "urls" => Kind::Http,
        "ids-alerts" | "security_event" | "bridge_security_event" => Kind::Alert,
        _ if word.starts_with("security_filtering") => Kind::Alert,
        "events" if rest.starts_with("dhcp ") => Kind::Dhcp,
        "events" | "airmarshal_events" => Kind::Log,
        _ => Kind::Fw,
    };
    match word {
        "ip_flow_start" => _ = d.text(field::ACTION, "start"),
        "ip_flow_end" => _ = d.text(field::ACTION, "close"),
        "ids-alerts" | "security_event" => _ = d.text(field::ACTION, "alert"),
        _ => {}
    }
    if word.starts_with("security_filtering") || rest.starts_with("security_filtering") {
        d.text(field::SIGNATURE, "file scanned");
    }
    // `dhcp lease of ip 192.0.2.68 from server mac 02:00:00:00:00:01 for client mac 02:00:00:00:00:02 from router ...`
    if d.record.kind == Kind::Dhcp {
        let next = |phrase: &str| after(rest, phrase).and_then(|t| t.split(' ').next()).unwrap_or("");
        d.addr(field::LEASE, next(" ip "));
        for (id, phrase) in [(field::SRC_MAC, "client mac "), (field::DST_MAC, "server mac ")] {
            if super::lift::is_mac(next(phrase)) {
                d.text(id, next(phrase));
            }
        }
        d.text(field::ACTION, if rest.starts_with("dhcp lease") { "lease" } else { "" });
    }
    if matches!(d.record.kind, Kind::Log | Kind::Dhcp) {
        d.text(field::MESSAGE, rest);
    }
    // The scanner names the file's server as destination port `80`, a URL as its target.
    if let (false, Some(ip)) = (d.has(field::SRC_IP), d.record.addr(field::LEASE)) {
        d.give(field::SRC_IP, Value::Addr(ip));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::show;

    #[test]
    fn flows_requests_alerts_and_leases_are_told_apart() {
        for (tail, want) in [
            (
                "flows src=192.0.2.1 dst=198.51.100.7 mac=02:00:00:00:00:01 protocol=udp sport=13943 dport=16329 pattern: allow all",
                "fw 2013-07-22T22:00:13.342705Z src.ip=192.0.2.1 src.port=13943 dst.ip=198.51.100.7 dst.port=16329 proto=udp src.mac=02:00:00:00:00:01 severity=info action=allow rule=allow all hostname=mx84",
            ),
            (
                "firewall src=192.0.2.1 dst=198.51.100.7 protocol=tcp sport=1 dport=22 pattern: 1 all",
                "fw 2013-07-22T22:00:13.342705Z src.ip=192.0.2.1 src.port=1 dst.ip=198.51.100.7 dst.port=22 proto=tcp severity=info action=deny rule=1 all",
            ),
            (
                "urls src=192.0.2.1:63735 dst=198.51.100.7:80 mac=02:00:00:00:00:01 agent='Mozilla/5.0 (X11)' request: GET http://www.example.com/a",
                "http 2013-07-22T22:00:13.342705Z src.ip=192.0.2.1 src.port=63735 dst.ip=198.51.100.7 dst.port=80 src.mac=02:00:00:00:00:01 name=www.example.com url=http://www.example.com/a http.method=GET http.agent=Mozilla/5.0 (X11)",
            ),
            (
                "security_event ids_alerted signature=1:28423:1 priority=1 timestamp=1374543213.238064 dhost=02:00:00:00:00:02 direction=ingress protocol=tcp/ip src=203.0.113.9:80 dst=192.0.2.2:53023 message: EXPLOIT-KIT x",
                "alert 2013-07-22T22:00:13.342705Z src.ip=203.0.113.9 src.port=80 dst.ip=192.0.2.2 dst.port=53023 proto=tcp dst.mac=02:00:00:00:00:02 direction.stated=ingress signature=EXPLOIT-KIT x signature.id=28423 signature.gid=1 signature.rev=1 severity=high action=alert",
            ),
            (
                "ip_flow_start src=192.0.2.1 dst=198.51.100.7 protocol=tcp sport=33225 dport=80 translated_src_ip=203.0.113.1 translated_port=4001",
                "fw 2013-07-22T22:00:13.342705Z src.ip=192.0.2.1 src.port=33225 dst.ip=198.51.100.7 dst.port=80 proto=tcp severity=info action=start nat.src.ip=203.0.113.1 nat.src.port=4001",
            ),
            (
                "events dhcp lease of ip 192.0.2.68 from server mac 02:00:00:00:00:01 for client mac 02:00:00:00:00:02 from router 192.0.2.254",
                "dhcp 2013-07-22T22:00:13.342705Z src.ip=192.0.2.68 src.mac=02:00:00:00:00:02 dst.mac=02:00:00:00:00:01 severity=info action=lease",
            ),
        ] {
            let shown = show(&FORMAT, &format!("<134>1 1374530413.342705 MX84 {tail}"));
            assert!(shown.starts_with(want), "{shown}");
        }
        assert!(!is(&Envelope { message: "events were read from src", ..Envelope::default() }));
    }
}
