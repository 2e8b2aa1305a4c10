//! Transport protocol numbers (IANA "Assigned Internet Protocol Numbers") and their names.

/// IANA number of ICMP for IPv4.
pub const ICMP: u8 = 1;
/// IANA number of TCP.
pub const TCP: u8 = 6;
/// IANA number of UDP.
pub const UDP: u8 = 17;
/// IANA number of ICMP for IPv6.
pub const ICMP6: u8 = 58;
/// IANA number of SCTP.
pub const SCTP: u8 = 132;

const NAMES: &[(u8, &str)] = &[
    (0, "hopopt"),
    (ICMP, "icmp"),
    (2, "igmp"),
    (4, "ipip"),
    (TCP, "tcp"),
    (8, "egp"),
    (9, "igp"),
    (UDP, "udp"),
    (33, "dccp"),
    (41, "ipv6"),
    (46, "rsvp"),
    (47, "gre"),
    (50, "esp"),
    (51, "ah"),
    (ICMP6, "icmp6"),
    (88, "eigrp"),
    (89, "ospf"),
    (94, "ipip94"),
    (97, "etherip"),
    (103, "pim"),
    (108, "ipcomp"),
    (112, "vrrp"),
    (115, "l2tp"),
    (SCTP, "sctp"),
    (136, "udplite"),
];

/// The name of a protocol number, if it has one here.
pub fn name(number: u8) -> Option<&'static str> {
    NAMES.iter().find(|(n, _)| *n == number).map(|(_, name)| *name)
}

/// The name, else the number as text.
pub fn show(number: u8) -> String {
    name(number).map_or_else(|| number.to_string(), str::to_owned)
}

/// The number of a name (also `icmpv6`, `ipv6-icmp`), or of a decimal number.
pub fn parse(text: &str) -> Option<u8> {
    let text = text.trim().to_ascii_lowercase();
    match text.as_str() {
        "icmpv6" | "ipv6-icmp" => return Some(ICMP6),
        _ => {}
    }
    NAMES.iter().find(|(_, name)| *name == text).map(|(n, _)| *n).or_else(|| text.parse().ok())
}

/// All known names.
pub fn names() -> impl Iterator<Item = &'static str> {
    NAMES.iter().map(|(_, name)| *name)
}
