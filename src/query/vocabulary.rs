//! Words that values may be, known without a case: applications, names of ports, states, actions. For bare words, port names and completion.

use crate::protocols;

/// Applications that sensors name, besides the protocols understood here.
const APPS: &[&str] = &[
    "bittorrent",
    "dce_rpc",
    "dhcp",
    "dnp3",
    "dns",
    "dtls",
    "ftp",
    "ftp-data",
    "gssapi",
    "http",
    "http2",
    "ike",
    "imap",
    "ipp",
    "irc",
    "kerberos",
    "krb5",
    "ldap",
    "mdns",
    "modbus",
    "mqtt",
    "mysql",
    "netbios",
    "nfs",
    "ntlm",
    "ntp",
    "openvpn",
    "pop3",
    "postgresql",
    "quic",
    "radius",
    "rdp",
    "redis",
    "rfb",
    "rtp",
    "rtsp",
    "sip",
    "smb",
    "smtp",
    "snmp",
    "socks",
    "ssdp",
    "ssh",
    "ssl",
    "stun",
    "syslog",
    "telnet",
    "teredo",
    "tftp",
    "tls",
    "websocket",
    "wireguard",
    "xmpp",
];

/// Names of ports as tcpdump's users write them (IANA service names).
const PORTS: &[(&str, u16)] = &[
    ("ftp-data", 20),
    ("ftp", 21),
    ("ssh", 22),
    ("telnet", 23),
    ("smtp", 25),
    ("domain", 53),
    ("dns", 53),
    ("bootps", 67),
    ("bootpc", 68),
    ("tftp", 69),
    ("http", 80),
    ("kerberos", 88),
    ("pop3", 110),
    ("sunrpc", 111),
    ("ntp", 123),
    ("epmap", 135),
    ("netbios-ns", 137),
    ("netbios-dgm", 138),
    ("netbios-ssn", 139),
    ("imap", 143),
    ("snmp", 161),
    ("snmptrap", 162),
    ("bgp", 179),
    ("ldap", 389),
    ("https", 443),
    ("microsoft-ds", 445),
    ("smb", 445),
    ("submissions", 465),
    ("syslog", 514),
    ("ipp", 631),
    ("submission", 587),
    ("ldaps", 636),
    ("imaps", 993),
    ("pop3s", 995),
    ("ms-sql-s", 1433),
    ("mysql", 3306),
    ("ms-wbt-server", 3389),
    ("rdp", 3389),
    ("postgresql", 5432),
    ("mdns", 5353),
    ("winrm", 5985),
    ("http-alt", 8080),
];

/// Zeek's connection states.
pub const STATES: &[&str] = &["S0", "S1", "SF", "REJ", "S2", "S3", "RSTO", "RSTR", "RSTOS0", "RSTRH", "SH", "SHR", "OTH"];

/// Actions as formats map them.
pub const ACTIONS: &[&str] = &[
    "allow",
    "deny",
    "drop",
    "reset",
    "alert",
    "start",
    "close",
    "timeout",
    "login_ok",
    "login_fail",
    "logout",
    "lease",
    "asked",
    "found",
];

/// Every known application, sorted.
pub fn apps() -> Vec<&'static str> {
    let mut all: Vec<_> = APPS.iter().copied().chain(protocols::ALL.iter().map(|p| p.name())).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// Whether a word is the name of an application.
pub fn is_app(word: &str) -> bool {
    APPS.iter().any(|a| a.eq_ignore_ascii_case(word)) || protocols::ALL.iter().any(|p| p.name().eq_ignore_ascii_case(word))
}

/// The number of a port by its service name.
pub fn port(name: &str) -> Option<u16> {
    PORTS.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, port)| *port)
}

/// Every name of a port.
pub fn port_names() -> impl Iterator<Item = &'static str> {
    PORTS.iter().map(|(name, _)| *name)
}
