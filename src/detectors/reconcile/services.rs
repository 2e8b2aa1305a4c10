//! Authorised services as inventories write them: `tcp/443;udp/53`, `445/tcp 873/tcp`, `https, ssh`, `8000-8010/tcp`, `tcp 80,443`, `none`, `any`.

use crate::model::proto;

/// A range of ports that is authorised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Allowed {
    /// IANA number; none: TCP and UDP.
    pub proto: Option<u8>,
    /// First and last port.
    pub from: u16,
    /// The last.
    pub to: u16,
}

/// Names of services with their ports.
const NAMES: &[(&str, u16)] = &[
    ("ftp", 21),
    ("ssh", 22),
    ("sftp", 22),
    ("telnet", 23),
    ("smtp", 25),
    ("dns", 53),
    ("domain", 53),
    ("dhcp", 67),
    ("tftp", 69),
    ("http", 80),
    ("www", 80),
    ("kerberos", 88),
    ("pop3", 110),
    ("ntp", 123),
    ("imap", 143),
    ("snmp", 161),
    ("ldap", 389),
    ("https", 443),
    ("smb", 445),
    ("cifs", 445),
    ("smtps", 465),
    ("syslog", 514),
    ("lpd", 515),
    ("rtsp", 554),
    ("submission", 587),
    ("ipp", 631),
    ("ldaps", 636),
    ("rsync", 873),
    ("imaps", 993),
    ("pop3s", 995),
    ("mssql", 1433),
    ("oracle", 1521),
    ("nfs", 2049),
    ("squid", 3128),
    ("mysql", 3306),
    ("rdp", 3389),
    ("postgres", 5432),
    ("postgresql", 5432),
    ("sip", 5060),
    ("vnc", 5900),
    ("winrm", 5985),
    ("redis", 6379),
    ("jetdirect", 9100),
    ("mongodb", 27017),
];

/// Ports whose service goes over both transports: who may offer one may offer the other.
const BOTH: [u16; 7] = [53, 80, 88, 389, 443, 464, 5060];

/// Most entries of one host.
const MOST: usize = 512;

/// Reads what an inventory authorises. `None`: the text names no service, nor that there is none.
pub fn parse(text: &str) -> Option<Vec<Allowed>> {
    let mut out = Vec::new();
    let (mut said, mut before) = (false, None);
    for token in text.split(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | '|')).filter(|t| !t.is_empty()) {
        let lower = token.trim_matches(|c| matches!(c, '"' | '\'' | '[' | ']' | '{' | '}' | '(' | ')')).to_ascii_lowercase();
        match lower.as_str() {
            "none" | "-" | "n/a" | "no" => said = true,
            "any" | "all" | "*" => out.push(Allowed { proto: None, from: 0, to: u16::MAX }),
            // `tcp 80,443`: what follows is of it.
            word if number_of(word).is_some() => before = number_of(word),
            word => out.extend(entry(word, before)),
        }
        if out.len() >= MOST {
            break;
        }
    }
    out.sort_unstable();
    out.dedup();
    (said || !out.is_empty()).then_some(out)
}

fn number_of(word: &str) -> Option<u8> {
    match word {
        "tcp" => Some(proto::TCP),
        "udp" => Some(proto::UDP),
        "sctp" => Some(proto::SCTP),
        _ => None,
    }
}

fn entry(word: &str, before: Option<u8>) -> Option<Allowed> {
    let (a, b) = word.split_once(['/', ':']).unwrap_or((word, ""));
    let (number, ports) = match (number_of(a), number_of(b)) {
        (Some(n), _) => (Some(n), b),
        (_, Some(n)) => (Some(n), a),
        _ if b.is_empty() => (before, a),
        _ => return None,
    };
    if let Some((_, port)) = NAMES.iter().find(|(name, _)| *name == ports) {
        return Some(Allowed { proto: number, from: *port, to: *port });
    }
    let (from, to) = ports.split_once('-').unwrap_or((ports, ports));
    let (from, to): (u16, u16) = (from.parse().ok()?, to.parse().ok()?);
    (from <= to).then_some(Allowed { proto: number, from, to })
}

/// Whether a service is authorised.
pub fn covers(list: &[Allowed], number: u8, port: u16) -> bool {
    list.iter().any(|a| {
        let transport = a.proto.is_none_or(|p| p == number) || BOTH.contains(&port);
        (a.from..=a.to).contains(&port) && transport
    })
}

/// What the words of a role authorise besides: a domain controller that is listed with four ports gives the time and names too.
pub fn implied(role: &str, port: u16) -> bool {
    let role = role.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|w| role.contains(w));
    match port {
        53 => has(&["dns", "name server", "domain controller", "resolver"]),
        67 | 68 | 547 => has(&["dhcp"]),
        123 => has(&["ntp", "time server", "domain controller"]),
        88 | 135 | 137..=139 | 389 | 445 | 464 | 593 | 636 | 3268 | 3269 | 9389 | 49152..=65535 => {
            has(&["domain controller", "active directory"])
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_read_in_every_form() {
        let one = |p: Option<u8>, port: u16| Allowed { proto: p, from: port, to: port };
        let (tcp, udp) = (Some(proto::TCP), Some(proto::UDP));
        assert_eq!(parse("tcp/443;udp/53"), Some(vec![one(tcp, 443), one(udp, 53)]));
        assert_eq!(parse("445/tcp 873/tcp"), Some(vec![one(tcp, 445), one(tcp, 873)]));
        assert_eq!(parse("https, ssh"), Some(vec![one(None, 22), one(None, 443)]));
        assert_eq!(parse("tcp 80,443"), Some(vec![one(tcp, 80), one(tcp, 443)]));
        assert_eq!(parse("8000-8010/tcp"), Some(vec![Allowed { proto: tcp, from: 8000, to: 8010 }]));
        assert_eq!(parse("none"), Some(vec![]));
        assert_eq!((parse(""), parse("see the wiki"), parse("99999/tcp"), parse("9-3")), (None, None, None, None));
        let list = parse("53/tcp 9100/tcp").unwrap();
        assert!(covers(&list, proto::UDP, 53) && covers(&list, proto::TCP, 9100) && !covers(&list, proto::UDP, 9100));
        assert!(covers(&parse("any").unwrap(), proto::UDP, 9));
        assert!(implied("domain controller, DNS, DHCP", 67) && !implied("web server", 80));
    }
}
