//! What the logs of DHCP servers share: message types, actions, hardware addresses, leases with an end.
//!
//! Knows no server. Types are RFC 2132's without `DHCP`, as the packet parser writes them. The client is the originator; the server, where it
//! is stated, the responder; the address that was given is `dhcp.address`.

use super::draft::Draft;
use super::lift::is_mac;
use crate::model::field;
use crate::model::record::Kind;

/// Makes a record one of DHCP: `ACK` is a lease, `NAK` and `DECLINE` are refusals, what a client sends is a question.
pub(super) fn message(kind: &str, d: &mut Draft) {
    d.record.kind = Kind::Dhcp;
    d.text(field::APP, "dhcp");
    let kind = kind.to_ascii_uppercase();
    d.text(field::DHCP_TYPE, &kind);
    let action = match kind.as_str() {
        "DISCOVER" | "REQUEST" | "INFORM" | "SOLICIT" | "RENEW" | "REBIND" | "CONFIRM" => "asked",
        "ACK" | "REPLY" => "lease",
        "NAK" | "DECLINE" => "deny",
        "RELEASE" => "release",
        "OFFER" | "ADVERTISE" => "offer",
        "EXPIRE" => "timeout",
        _ => "",
    };
    d.text(field::ACTION, action);
}

/// A hardware address in any of its forms (`aabbccddeeff`, `AA-BB-CC-DD-EE-FF`, `1,aa:bb:...`) with colons.
pub(super) fn hardware(text: &str) -> Option<String> {
    let text = text.rsplit([',', ' ']).next()?.trim();
    if is_mac(text) {
        return Some(text.to_ascii_lowercase().replace('-', ":"));
    }
    let hex: String = text.chars().filter(|c| *c != '.').collect();
    if hex.len() != 12 || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let pairs: Vec<&str> = hex.as_bytes().chunks(2).filter_map(|p| std::str::from_utf8(p).ok()).collect();
    Some(pairs.join(":").to_ascii_lowercase())
}

/// Gives the client's hardware address, or keeps what is none.
pub(super) fn client(text: &str, d: &mut Draft) {
    match hardware(text) {
        Some(mac) => _ = d.text(field::SRC_MAC, &mac),
        None => d.keep("client", text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hardware_addresses_in_all_forms() {
        for text in ["AABBCC001122", "aa-bb-cc-00-11-22", "1,aa:bb:cc:00:11:22", "aabb.cc00.1122"] {
            assert_eq!(hardware(text).as_deref(), Some("aa:bb:cc:00:11:22"), "{text}");
        }
        assert_eq!(hardware("00:01:00:01"), None);
    }
}
