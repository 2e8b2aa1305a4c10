//! The classes of assets of TR-006, each with the report's selection and cut and with ours.
//!
//! The report selects one-way flows that leave the monitored space. A flow of ours has both directions, so each of its halves that comes from a
//! host of one's own and goes out is looked at: its own port is the report's source port. "Legitimate TCP" is protocol 6, at least 4 packets and
//! an acknowledgement in that direction; whether one was sent follows from the state. The cut keeps assets with at least 1 % of the class.

use super::ledger::{Map, Service, is_ours};
use crate::detectors::rows::{Flow, Host, Net, State};
use crate::model::proto;

/// Packets from which on TCP is legitimate.
pub const PACKETS: u32 = 4;
/// Share of a class from which on an asset is kept.
pub const CUT: f64 = 0.01;
/// Hosts of one class that are counted.
const HOSTS: usize = 100_000;

/// One direction of a flow, from a host of one's own to the outside.
#[derive(Debug, Clone, Copy)]
pub struct Half {
    /// Who sends.
    pub from: Host,
    /// IANA number.
    pub proto: u8,
    /// Port of the sender.
    pub sport: u16,
    /// Port of the receiver.
    pub dport: u16,
    /// Packets.
    pub packets: u32,
    /// IP bytes.
    pub bytes: u64,
    /// IP bytes that came back.
    pub back: u64,
    /// An acknowledgement was sent (TCP).
    pub ack: bool,
}

impl Half {
    /// The report's "legitimate TCP".
    pub fn is_legitimate(&self) -> bool {
        self.proto == proto::TCP && self.packets >= PACKETS && self.ack
    }
}

/// The halves of a flow that leave the monitored space.
pub fn halves(flow: &Flow, net: &Net) -> impl Iterator<Item = Half> + use<> {
    let (src, dst) = (net.is_home(flow.src), net.is_home(flow.dst));
    let ports = !matches!(flow.proto, proto::ICMP | proto::ICMP6);
    let port = |p: u16| if ports { p } else { 0 };
    let (forth, back) = acknowledged(flow);
    // Some sources count bytes only.
    let sent = |packets: u32, bytes: u64| packets > 0 || bytes > 0;
    let out = (src && !dst && sent(flow.packets_out, flow.bytes_out) && is_ours(flow.src, net)).then_some(Half {
        from: flow.src,
        proto: flow.proto,
        sport: port(flow.src_port),
        dport: port(flow.dst_port),
        packets: flow.packets_out,
        bytes: flow.bytes_out,
        back: flow.bytes_in,
        ack: forth,
    });
    let answer = (dst && !src && sent(flow.packets_in, flow.bytes_in) && is_ours(flow.dst, net)).then_some(Half {
        from: flow.dst,
        proto: flow.proto,
        sport: port(flow.dst_port),
        dport: port(flow.src_port),
        packets: flow.packets_in,
        bytes: flow.bytes_in,
        back: flow.bytes_out,
        ack: back,
    });
    out.into_iter().chain(answer)
}

/// Whether originator and responder sent a segment with ACK: whoever goes on after SYN does, and so does a refusal (RFC 9293, 3.5.2).
fn acknowledged(flow: &Flow) -> (bool, bool) {
    match flow.state {
        State::S1 | State::SF | State::S2 | State::S3 | State::Rsto | State::Rstr | State::Oth => (true, true),
        State::S0 | State::Rstos0 | State::Sh => (false, false),
        State::Rej | State::Rstrh | State::Shr => (false, true),
        // Of sources without states: a SYN alone has no payload, and is not repeated so often with so many bytes.
        State::Unknown => {
            let goes_on = |packets: u32, bytes: u64| packets > 0 && bytes / u64::from(packets.max(1)) > 44 || packets >= 8;
            let both = flow.packets_out > 0 && flow.packets_in > 0;
            (both || goes_on(flow.packets_out, flow.bytes_out), both || goes_on(flow.packets_in, flow.bytes_in))
        }
    }
}

/// Whether a class is of those who offer or of those who use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Offers: its own port counts.
    Server,
    /// Uses: the other end's port counts.
    Client,
    /// Either end (protocols without ports).
    Either,
}

/// By what the cut is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// None: every asset is kept.
    None,
    /// IP bytes that leave.
    Bytes,
    /// IP bytes that come back; of what was seen one way only, records.
    Inbound,
    /// Packets that leave.
    Packets,
    /// Records.
    Records,
}

impl Metric {
    /// Its word.
    pub fn name(self) -> &'static str {
        match self {
            Metric::None => "all kept",
            Metric::Bytes => "bytes",
            Metric::Inbound => "bytes received",
            Metric::Packets => "packets",
            Metric::Records => "records",
        }
    }
}

/// A class of assets.
pub struct Class {
    /// Its word: `web_server`.
    pub name: &'static str,
    /// Its heading.
    pub title: &'static str,
    /// Offers or uses.
    pub side: Side,
    /// The cut.
    pub metric: Metric,
    /// The report's selection, in words.
    pub rule: &'static str,
    /// How to make sure, in words.
    pub check: &'static str,
    takes: fn(&Half) -> bool,
    /// Protocols and ports of it, for ours.
    pub ports: &'static [(u8, u16)],
    /// Applications of it, on whatever port.
    pub apps: &'static [&'static str],
}

const T: u8 = proto::TCP;
const U: u8 = proto::UDP;

fn server(h: &Half, ports: &[u16]) -> bool {
    h.is_legitimate() && ports.contains(&h.sport)
}
fn client(h: &Half, ports: &[u16]) -> bool {
    h.is_legitimate() && ports.contains(&h.dport)
}
/// Ports of "other services": well-known ones that no class before has.
fn is_other(port: u16) -> bool {
    matches!(port, 1..=19 | 24 | 26..=52 | 54..=499 | 501..=1023)
}
fn other(h: &Half, port: u16) -> bool {
    is_other(port) && (h.is_legitimate() && !is_web(h) || h.proto == U)
}
/// What SiLK's types `inweb` and `outweb` take from `in` and `out`, which the report selects "other services" from.
fn is_web(h: &Half) -> bool {
    [h.sport, h.dport].iter().any(|p| matches!(p, 80 | 443 | 8080))
}
fn other_protocol(h: &Half) -> bool {
    matches!(h.proto, 1..=5 | 7..=16 | 18..=46 | 48..=49 | 52..=255)
}

const WEB_CLIENT: &[(u8, u16)] = &[(T, 80), (T, 8000), (T, 8080), (T, 443), (T, 1935), (T, 1755), (T, 554), (U, 1755), (U, 554)];
const VPN: &[(u8, u16)] =
    &[(U, 500), (U, 4500), (U, 1701), (T, 1723), (U, 10000), (T, 10000), (T, 500), (T, 4500), (T, 1701), (U, 1723)];

/// The classes, in the order of the report.
pub const CLASSES: &[Class] = &[
    Class {
        name: "web_server",
        title: "web servers",
        side: Side::Server,
        metric: Metric::Bytes,
        rule: "TCP from port 80, 443, 8080",
        check: "names that lead here, the certificate's name and end, many outside peers; few: locked down, or a VPN in TLS",
        takes: |h| server(h, &[80, 443, 8080]),
        ports: &[(T, 80), (T, 443), (T, 8080)],
        apps: &["http", "http2", "quic"],
    },
    Class {
        name: "web_client",
        title: "web clients, proxies, NAT gateways",
        side: Side::Client,
        metric: Metric::Inbound,
        rule: "TCP to port 80, 8000, 8080, 443, 1935, 1755, 554 and UDP to 1755, 554",
        check: "much and of many services: a gateway; few ports: a proxy; the hours of a working day: a workstation",
        takes: |h| WEB_CLIENT.contains(&(h.proto, h.dport)),
        ports: WEB_CLIENT,
        apps: &["http", "http2", "quic", "rtsp", "rtmp"],
    },
    Class {
        name: "mail_server",
        title: "mail servers",
        side: Side::Server,
        metric: Metric::None,
        rule: "TCP from port 25, 465, 110, 995, 143, 993",
        check: "it also sends to port 25 or 465: almost certainly; MX records; web mail on 80 or 443 of it",
        takes: |h| server(h, &[25, 465, 110, 995, 143, 993]),
        ports: &[(T, 25), (T, 465), (T, 110), (T, 995), (T, 143), (T, 993)],
        apps: &["smtp", "pop3", "imap"],
    },
    Class {
        name: "mail_client",
        title: "mail clients",
        side: Side::Client,
        metric: Metric::None,
        rule: "TCP to port 110, 143, 587, 993, 995",
        check: "straight to the internet: does the policy allow that?",
        takes: |h| client(h, &[110, 143, 587, 993, 995]),
        ports: &[(T, 110), (T, 143), (T, 587), (T, 993), (T, 995)],
        apps: &["pop3", "imap"],
    },
    Class {
        name: "dns_server",
        title: "DNS servers",
        side: Side::Server,
        metric: Metric::Packets,
        rule: "UDP from port 53",
        check: "also a client: recursive; not: perhaps authoritative (NS records)",
        takes: |h| h.proto == U && h.sport == 53,
        ports: &[(U, 53), (T, 53)],
        apps: &["dns"],
    },
    Class {
        name: "dns_client",
        title: "DNS clients",
        side: Side::Client,
        metric: Metric::Packets,
        rule: "UDP to port 53",
        check: "only resolvers should ask the outside; from port 53 to port 53 is an anomaly",
        takes: |h| h.proto == U && h.dport == 53,
        ports: &[(U, 53), (T, 53)],
        apps: &["dns"],
    },
    Class {
        name: "vpn",
        title: "VPN gateways",
        side: Side::Either,
        metric: Metric::None,
        rule: "protocols 47, 50, 51; UDP or TCP from port 500, 4500, 1701, 1723, 10000",
        check: "the same peer all day: two sites; many peers, some hours: people at home; long and large on 443: a VPN in TLS",
        takes: |h| {
            matches!(h.proto, 47 | 50 | 51) || matches!(h.proto, T | U) && matches!(h.sport, 500 | 4500 | 1701 | 1723 | 10000)
        },
        ports: VPN,
        apps: &["ipsec", "ike", "openvpn", "wireguard", "l2tp", "pptp"],
    },
    Class {
        name: "ftp_server",
        title: "FTP servers",
        side: Side::Server,
        metric: Metric::Bytes,
        rule: "TCP from port 21",
        check: "active: it opens connections from port 20; passive: high to high ports after port 21",
        takes: |h| server(h, &[21]),
        ports: &[(T, 21)],
        apps: &["ftp"],
    },
    Class {
        name: "ftp_client",
        title: "FTP clients",
        side: Side::Client,
        metric: Metric::Bytes,
        rule: "TCP to port 21",
        check: "passwords in clear",
        takes: |h| client(h, &[21]),
        ports: &[(T, 21)],
        apps: &["ftp"],
    },
    Class {
        name: "ssh_server",
        title: "SSH servers",
        side: Side::Server,
        metric: Metric::Bytes,
        rule: "TCP from port 22",
        check: "from outside: who may?",
        takes: |h| server(h, &[22]),
        ports: &[(T, 22)],
        apps: &["ssh"],
    },
    Class {
        name: "ssh_client",
        title: "SSH clients",
        side: Side::Client,
        metric: Metric::Bytes,
        rule: "TCP to port 22",
        check: "administrators and programs; others: ask them",
        takes: |h| client(h, &[22]),
        ports: &[(T, 22)],
        apps: &["ssh"],
    },
    Class {
        name: "telnet_server",
        title: "Telnet servers",
        side: Side::Server,
        metric: Metric::Bytes,
        rule: "TCP from port 23",
        check: "passwords in clear; devices that know nothing else",
        takes: |h| server(h, &[23]),
        ports: &[(T, 23)],
        apps: &["telnet"],
    },
    Class {
        name: "telnet_client",
        title: "Telnet clients",
        side: Side::Client,
        metric: Metric::Bytes,
        rule: "TCP to port 23",
        check: "passwords in clear",
        takes: |h| client(h, &[23]),
        ports: &[(T, 23)],
        apps: &["telnet"],
    },
    Class {
        name: "other_server",
        title: "other services: servers",
        side: Side::Server,
        metric: Metric::Records,
        rule: "TCP or UDP from port 1-19, 24, 26-52, 54-499, 501-1023, not TCP of the web",
        check: "NetBIOS, LDAP and SMB must not cross the perimeter; time is port 123",
        takes: |h| other(h, h.sport),
        ports: &[],
        apps: &[],
    },
    Class {
        name: "other_client",
        title: "other services: clients",
        side: Side::Client,
        metric: Metric::Records,
        rule: "TCP or UDP to port 1-19, 24, 26-52, 54-499, 501-1023, not TCP of the web",
        check: "NetBIOS, LDAP and SMB must not cross the perimeter; time is port 123",
        takes: |h| other(h, h.dport),
        ports: &[],
        apps: &[],
    },
    Class {
        name: "other_protocol",
        title: "other protocols",
        side: Side::Either,
        metric: Metric::Records,
        rule: "protocols 1-5, 7-16, 18-46, 48-49, 52-255",
        check: "ICMP is usual; tunnels and routing are not",
        takes: other_protocol,
        ports: &[],
        apps: &[],
    },
];

impl Class {
    /// Whether the report's selection takes a half.
    pub fn takes(&self, half: &Half) -> bool {
        (self.takes)(half)
    }
    /// Whether ours takes a service or use: by its port, else by what it speaks. Of "other services" the port decides, as in the report.
    pub fn is_of(&self, number: u8, port: u16, service: &Service, net: &Net) -> bool {
        match self.name {
            "other_server" | "other_client" => is_other(port) && CLASSES.iter().all(|c| !c.ports.contains(&(number, port))),
            "other_protocol" => false,
            _ => self.ports.contains(&(number, port)) || service.apps.any(net, self.apps),
        }
    }
}

/// What a host has of a class.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tally {
    /// Records.
    pub records: u64,
    /// Packets that left.
    pub packets: u64,
    /// IP bytes that left.
    pub bytes: u64,
    /// IP bytes that came back.
    pub back: u64,
}

impl Tally {
    fn add(&mut self, half: &Half) {
        self.records += 1;
        self.packets = self.packets.saturating_add(u64::from(half.packets));
        self.bytes = self.bytes.saturating_add(half.bytes);
        self.back = self.back.saturating_add(half.back);
    }
    /// By a metric.
    pub fn of(&self, metric: Metric, one_way: bool) -> u64 {
        match metric {
            Metric::Bytes => self.bytes,
            Metric::Packets => self.packets,
            Metric::Inbound if !one_way => self.back,
            Metric::Inbound | Metric::Records | Metric::None => self.records,
        }
    }
}

/// The report's selections, by class and host.
pub struct Tallies {
    by_class: Vec<Map<Host, Tally>>,
    all: Vec<Tally>,
    /// From port 53 to port 53, by host.
    pub both_53: Map<Host, u64>,
    /// It also sends mail to the outside: legitimate TCP to port 25, 465.
    pub sends_mail: Map<Host, u64>,
    /// Opened connections from port 20: FTP in active mode.
    pub from_20: Map<Host, u64>,
}

impl Default for Tallies {
    fn default() -> Tallies {
        Tallies {
            by_class: CLASSES.iter().map(|_| Map::default()).collect(),
            all: vec![Tally::default(); CLASSES.len()],
            both_53: Map::default(),
            sends_mail: Map::default(),
            from_20: Map::default(),
        }
    }
}

impl Tallies {
    /// Takes a flow.
    pub fn flow(&mut self, flow: &Flow, net: &Net) {
        for half in halves(flow, net) {
            for ((class, hosts), all) in CLASSES.iter().zip(&mut self.by_class).zip(&mut self.all) {
                if class.takes(&half) && (hosts.len() < HOSTS || hosts.contains_key(&half.from)) {
                    hosts.entry(half.from).or_default().add(&half);
                    all.add(&half);
                }
            }
            let mut count = |is: bool, map: fn(&mut Tallies) -> &mut Map<Host, u64>| {
                let map = map(self);
                if is && (map.len() < HOSTS || map.contains_key(&half.from)) {
                    *map.entry(half.from).or_default() += 1;
                }
            };
            count(half.proto == U && half.sport == 53 && half.dport == 53, |t| &mut t.both_53);
            count(client(&half, &[25, 465]), |t| &mut t.sends_mail);
            let opens = half.from == flow.src && half.proto == T && half.sport == 20;
            count(opens, |t| &mut t.from_20);
        }
    }
    /// The hosts of a class with what they have of it, in order of number.
    pub fn hosts(&self, class: usize) -> Vec<(Host, Tally)> {
        let mut list: Vec<(Host, Tally)> = self.by_class.get(class).into_iter().flatten().map(|(h, t)| (*h, *t)).collect();
        list.sort_unstable_by_key(|l| l.0);
        list
    }
    /// What all have of a class.
    pub fn all(&self, class: usize) -> Tally {
        self.all.get(class).copied().unwrap_or_default()
    }
}
