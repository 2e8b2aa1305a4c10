//! Layers of a packet: links, tunnels, IP, transport. One file per family of links or tunnels.
//!
//! A member is a function that reads one header at an offset and says what comes [`Next`]; the tables below name the members and what
//! leads to them (a link type, an EtherType, an IP protocol, a UDP port together with content that fits). It keeps no state, never
//! fails on content (what was understood stays, the rest is an oddity) and does not recurse: one loop walks the headers, bounded in
//! headers and in tunnels.
//!
//! Two outputs from the same code: [`decode`] for the meter (the IP conversations from outer to inner) and [`dissect`](dissect::dissect)
//! for the packet pane (every layer with its byte range and fields).
//!
//! To add one: write `src/protocols/layers/<family>.rs`, add its `pub mod` line and its row to the table that leads to it.

use crate::model::guard;
use crate::model::oddity::Oddity;
use crate::model::packet::LinkType;
use crate::model::proto;
use smallvec::SmallVec;
use std::net::IpAddr;
use std::ops::Range;

pub mod ayiya;
pub mod cooked;
pub mod dissect;
pub mod ethernet;
pub mod geneve;
pub mod gre;
pub mod gtp;
pub mod ip;
pub mod l2tp;
pub mod llc;
pub mod mpls;
pub mod nflog;
pub mod ppp;
pub mod raw;
pub mod tagged;
pub mod teredo;
pub mod transport;
pub mod vxlan;
pub mod wifi;

pub use dissect::{Layer, dissect};
pub use transport::{Checksum, TcpHeader, Transport, flags};

/// Tunnels inside tunnels that are followed; what lies deeper stays payload of its carrier.
pub const MAX_TUNNELS: u8 = 6;
/// Headers of one packet that are read.
const MAX_HEADERS: u8 = 48;

/// What follows a header, and where it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Nothing that is decoded.
    Stop,
    /// An Ethernet header.
    Ethernet(usize),
    /// What an EtherType says.
    EtherType(u16, usize),
    /// IPv4 or IPv6, by its first four bits.
    Ip(usize),
    /// A PPP protocol field.
    Ppp(usize),
    /// An LLC header.
    Llc(usize),
    /// An 802.11 header.
    Wifi(usize),
    /// A frame of an 802.11 aggregate (A-MSDU).
    Aggregated(usize),
    /// A link of another type.
    Link(LinkType, usize),
}

/// A member: reads the header at an offset.
pub type Decode = fn(&mut Walk<'_>, usize) -> Next;

/// A link type: number, name, decoder.
pub const LINKS: &[(LinkType, &str, Decode)] = &[
    (LinkType::NULL, "NULL", raw::null),
    (LinkType::ETHERNET, "ETHERNET", ethernet::ethernet),
    (LinkType::PPP, "PPP", ppp::ppp),
    (LinkType::RAW_BSD, "RAW", raw::raw),
    (LinkType::RAW_OPENBSD, "RAW", raw::raw),
    (LinkType(50), "PPP_HDLC", ppp::ppp),
    (LinkType(51), "PPP_ETHER", ppp::pppoe),
    (LinkType::RAW, "RAW", raw::raw),
    (LinkType(104), "C_HDLC", ppp::hdlc),
    (LinkType::IEEE802_11, "IEEE802_11", wifi::wifi),
    (LinkType::LOOP, "LOOP", raw::null),
    (LinkType::LINUX_SLL, "LINUX_SLL", cooked::sll),
    (LinkType(119), "IEEE802_11_PRISM", wifi::prism),
    (LinkType::RADIOTAP, "IEEE802_11_RADIOTAP", wifi::radiotap),
    (LinkType(163), "IEEE802_11_AVS", wifi::avs),
    (LinkType(192), "PPI", wifi::ppi),
    (LinkType(219), "MPLS", mpls::mpls),
    (LinkType::IPV4, "IPV4", raw::raw),
    (LinkType::IPV6, "IPV6", raw::raw),
    (LinkType(239), "NFLOG", nflog::nflog),
    (LinkType::LINUX_SLL2, "LINUX_SLL2", cooked::sll2),
];

/// An EtherType: number, name, decoder.
pub const ETHERTYPES: &[(u16, &str, Decode)] = &[
    (0x0800, "IPv4", ip::ip),
    (0x86dd, "IPv6", ip::ip),
    (0x8100, "802.1Q", tagged::vlan),
    (0x88a8, "802.1ad", tagged::vlan),
    (0x9100, "QinQ", tagged::vlan),
    (0x9200, "QinQ", tagged::vlan),
    (0x0806, "ARP", ethernet::arp),
    (0x6558, "Ethernet", ethernet::ethernet),
    (0x8847, "MPLS", mpls::mpls),
    (0x8848, "MPLS", mpls::mpls),
    (0x8864, "PPPoE", ppp::pppoe),
    (0x880b, "PPP", ppp::ppp),
    (0x88e7, "802.1ah", tagged::pbb),
    (0x8903, "FabricPath", tagged::fabricpath),
    (0x8926, "VN-Tag", tagged::vntag),
    (0x8909, "CMD", tagged::cisco_metadata),
    (0x88be, "ERSPAN", gre::erspan2),
    (0x22eb, "ERSPAN III", gre::erspan3),
];

/// Tunnels directly over IP: protocol number, name, decoder.
pub const OVER_IP: &[(u8, &str, Decode)] = &[
    (4, "ipip", ip::inner),
    (41, "6in4", ip::inner),
    (47, "gre", gre::gre),
    (97, "etherip", ethernet::etherip),
    (137, "mpls", mpls::mpls),
];

/// Tunnels over UDP: port of either side, name, decoder. A port alone decides nothing: each decoder checks that the content fits and
/// answers [`Next::Stop`] otherwise.
pub const OVER_UDP: &[(u16, &str, Decode)] = &[
    (4789, "vxlan", vxlan::vxlan),
    (4790, "vxlan", vxlan::gpe),
    (8472, "vxlan", vxlan::vxlan),
    (6081, "geneve", geneve::geneve),
    (2152, "gtpv1", gtp::gtp),
    (3544, "teredo", teredo::teredo),
    (5072, "ayiya", ayiya::ayiya),
    (1701, "l2tp", l2tp::l2tp),
];

/// The name of a link type in tcpdump.org's registry, as far as it is decoded here or often met.
pub fn link_name(link: LinkType) -> &'static str {
    LINKS.iter().find(|l| l.0 == link).map_or_else(
        || match link.0 {
            6 => "IEEE802_5",
            8 => "SLIP",
            10 => "FDDI",
            107 => "FRELAY",
            117 => "PFLOG",
            122 => "IP_OVER_FC",
            123 => "SUNATM",
            140 => "MTP2",
            143 => "DOCSIS",
            144 => "LINUX_IRDA",
            147..=162 => "USER",
            187 => "BLUETOOTH_HCI_H4",
            189 => "USB_LINUX",
            195 => "IEEE802_15_4_WITHFCS",
            201 => "BLUETOOTH_HCI_H4_WITH_PHDR",
            220 => "USB_LINUX_MMAPPED",
            249 => "USBPCAP",
            251 => "BLUETOOTH_LE_LL",
            252 => "WIRESHARK_UPPER_PDU",
            253 => "NETLINK",
            _ => "unknown",
        },
        |l| l.1,
    )
}

/// The link layer around a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LinkHead {
    /// The first two VLAN ids, outer first.
    pub vlan: [Option<u16>; 2],
    /// Hardware address of the sender.
    pub src_mac: Option<[u8; 6]>,
    /// Hardware address of the receiver.
    pub dst_mac: Option<[u8; 6]>,
}

/// A piece of a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fragment {
    /// Identification.
    pub id: u32,
    /// Where the piece begins in the datagram's payload, bytes.
    pub offset: u32,
    /// More pieces follow.
    pub more: bool,
}

/// One IP conversation that a packet belongs to.
#[derive(Debug, Clone, Copy)]
pub struct Conversation<'a> {
    /// Sender.
    pub src: IpAddr,
    /// Receiver.
    pub dst: IpAddr,
    /// IANA protocol number of the transport.
    pub proto: u8,
    /// IPv4 total length or 40 + IPv6 payload length; what was captured where the header says 0 (segmentation offload).
    pub ip_len: u32,
    /// What of `ip_len` the IP header does not state: its length is 0 where segmentation is left to the network card.
    pub unstated: u32,
    /// Time to live or hop limit.
    pub ttl: u8,
    /// Identification of IPv4 (RFC 6864); 0: none.
    pub ip_id: u16,
    /// The IPv4 header's checksum is wrong (and not 0, as offload leaves it).
    pub bad_ip_checksum: bool,
    /// The piece that it is, if it is a fragment; then `payload` is the piece and there is no transport.
    pub fragment: Option<Fragment>,
    /// Transport header.
    pub transport: Transport,
    /// The captured transport segment, header included.
    pub segment: &'a [u8],
    /// Length of the segment by the IP header.
    pub segment_len: u32,
    /// Captured application bytes (of ICMP: after its 8-byte header).
    pub payload: &'a [u8],
    /// Length of the application bytes by the headers.
    pub payload_len: u32,
    /// Link layer.
    pub link: LinkHead,
    /// The tunnel by which it carries the next conversation.
    pub carries: Option<&'static str>,
    /// Tunnels that it stands in: it is carried by the nearest conversation before it with fewer.
    pub level: u8,
}

/// A further frame of an aggregate, with what was known where it begins.
#[derive(Debug)]
struct Later {
    next: Next,
    end: usize,
    link: LinkHead,
    tunnels: u8,
}

/// What one packet's headers say, from outer to inner.
#[derive(Debug)]
pub struct Walk<'a> {
    data: &'a [u8],
    end: usize,
    link: LinkHead,
    tunnels: u8,
    headers: u8,
    later: Option<Later>,
    /// IP conversations, outer first.
    pub found: SmallVec<[Conversation<'a>; 2]>,
    /// What is malformed.
    pub oddities: SmallVec<[Oddity; 1]>,
    /// EtherType at which decoding ended, where no IP was found.
    pub other: Option<u16>,
    notes: Option<Vec<Layer>>,
}

impl<'a> Walk<'a> {
    fn new(data: &'a [u8], notes: Option<Vec<Layer>>) -> Walk<'a> {
        Walk {
            data,
            end: data.len(),
            link: LinkHead::default(),
            tunnels: 0,
            headers: 0,
            later: None,
            found: SmallVec::new(),
            oddities: SmallVec::new(),
            other: None,
            notes,
        }
    }
    /// `n` bytes at an offset, if they are there and belong to the current layer.
    fn bytes(&self, at: usize, n: usize) -> Option<&'a [u8]> {
        let to = at.checked_add(n)?;
        if to > self.end { None } else { self.data.get(at..to) }
    }
    /// A byte.
    fn u8(&self, at: usize) -> Option<u8> {
        self.bytes(at, 1).map(|b| b[0])
    }
    /// Two bytes, network order.
    fn u16(&self, at: usize) -> Option<u16> {
        self.bytes(at, 2).map(|b| u16::from_be_bytes([b[0], b[1]]))
    }
    /// Four bytes, network order.
    fn u32(&self, at: usize) -> Option<u32> {
        self.bytes(at, 4).map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]))
    }
    /// All bytes from an offset to the end of the current layer.
    fn rest(&self, at: usize) -> &'a [u8] {
        self.data.get(at.min(self.end)..self.end).unwrap_or_default()
    }
    /// What lies after `end` is padding.
    fn limit(&mut self, end: usize) {
        self.end = self.end.min(end);
    }
    /// Something is malformed: noted, and in the packet pane a field of its own.
    fn odd(&mut self, what: &'static str, at: usize, place: String) {
        let range = at.min(self.end)..self.end;
        if let Some(notes) = &mut self.notes {
            notes.push(Layer {
                name: "Malformed",
                range: range.clone(),
                summary: if place.is_empty() { what.to_owned() } else { format!("{what}: {place}") },
                fields: vec![("oddity".to_owned(), what.to_owned(), range)],
            });
        }
        self.oddities.push(Oddity::at(what, place));
    }
    /// Adds a layer for the packet pane; costs nothing for the meter.
    fn note(&mut self, name: &'static str, range: Range<usize>, fill: impl FnOnce(&mut Fields) -> String) {
        if let Some(notes) = &mut self.notes {
            let mut fields = Fields(Vec::new());
            let summary = fill(&mut fields);
            notes.push(Layer { name, range, summary, fields: fields.0 });
        }
    }
    /// Enters a tunnel that the newest conversation carries. `false`: too deep.
    fn enter(&mut self, name: &'static str) -> bool {
        if self.tunnels >= MAX_TUNNELS {
            self.odd("tunnel_too_deep", self.end, name.to_owned());
            return false;
        }
        self.tunnels += 1;
        self.link = LinkHead::default();
        if let Some(carrier) = self.found.last_mut() {
            carrier.carries = Some(name);
        }
        true
    }
    fn run(&mut self, mut next: Next) {
        loop {
            self.headers += 1;
            if self.headers > MAX_HEADERS {
                self.odd("headers_too_many", self.end, String::new());
                return;
            }
            next = match next {
                Next::Stop => match self.later.take() {
                    Some(later) => {
                        (self.end, self.link, self.tunnels) = (later.end, later.link, later.tunnels);
                        later.next
                    }
                    None => return,
                },
                Next::Ethernet(at) => ethernet::ethernet(self, at),
                Next::Ip(at) => ip::ip(self, at),
                Next::Ppp(at) => ppp::ppp(self, at),
                Next::Llc(at) => llc::llc(self, at),
                Next::Wifi(at) => wifi::wifi(self, at),
                Next::Aggregated(at) => wifi::aggregated(self, at),
                Next::EtherType(0x0800 | 0x86dd, at) => ip::ip(self, at),
                Next::EtherType(number, at) => match ETHERTYPES.iter().find(|e| e.0 == number) {
                    Some(entry) => entry.2(self, at),
                    None => {
                        self.other = Some(number);
                        let end = self.end;
                        self.note("Data", at.min(end)..end, |_| format!("EtherType 0x{number:04x}"));
                        Next::Stop
                    }
                },
                Next::Link(link, at) => match LINKS.iter().find(|l| l.0 == link) {
                    Some(entry) => entry.2(self, at),
                    None => {
                        let place = format!("{} {}", link.0, link_name(link));
                        self.odd("link_type_unknown", at, place);
                        Next::Stop
                    }
                },
            };
        }
    }
}

/// Fields of a layer while it is filled.
#[derive(Debug)]
pub struct Fields(Vec<(String, String, Range<usize>)>);

impl Fields {
    /// Adds a field of `len` bytes at an offset.
    pub fn add(&mut self, name: &str, value: impl ToString, at: usize, len: usize) {
        self.0.push((name.to_owned(), value.to_string(), at..at + len));
    }
}

/// Decodes a captured packet.
pub fn decode(link: LinkType, data: &[u8]) -> Walk<'_> {
    let first = if link == LinkType::ETHERNET { Next::Ethernet(0) } else { Next::Link(link, 0) };
    guarded(data, || {
        let mut walk = Walk::new(data, None);
        walk.run(first);
        walk
    })
}

/// A decoder that panics is an oddity.
fn guarded<'a>(data: &'a [u8], decode: impl FnOnce() -> Walk<'a>) -> Walk<'a> {
    guard::quietly(decode).unwrap_or_else(|| {
        let mut walk = Walk::new(data, None);
        walk.oddities.push(Oddity::new(guard::PANICKED));
        walk
    })
}

/// Decodes the payload of a datagram that was put together from fragments; `head` is the conversation of its first fragment, `tunnels`
/// the number of tunnels that it stands in.
pub fn decode_datagram<'a>(head: &Conversation<'_>, payload: &'a [u8], tunnels: u8) -> Walk<'a> {
    let mut walk = Walk::new(payload, None);
    walk.link = head.link;
    walk.tunnels = tunnels;
    let head = ip::Head {
        src: head.src,
        dst: head.dst,
        proto: head.proto,
        ip_len: head.ip_len,
        unstated: head.unstated,
        ttl: head.ttl,
        id: head.ip_id,
        bad_checksum: head.bad_ip_checksum,
        len: payload.len() as u32,
    };
    guarded(payload, || {
        let next = transport::transport(&mut walk, 0, &head);
        walk.run(next);
        walk
    })
}

/// The tunnel that a transport segment may carry, by what leads to it.
fn tunnel_over_ip(protocol: u8) -> Option<Decode> {
    if protocol == proto::TCP || protocol == proto::UDP {
        return None;
    }
    OVER_IP.iter().find(|t| t.0 == protocol).map(|t| t.2)
}

fn tunnel_over_udp(src: u16, dst: u16) -> Option<Decode> {
    OVER_UDP.iter().find(|t| t.0 == dst).or_else(|| OVER_UDP.iter().find(|t| t.0 == src)).map(|t| t.2)
}
