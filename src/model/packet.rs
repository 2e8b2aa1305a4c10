//! A packet as a capture gives it, and a reference to where its bytes stand.

use super::time::Time;
use serde::{Deserialize, Serialize};

/// Link types by their number in the registry of tcpdump.org ("LINKTYPE_"); only those that the product decodes have a name here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LinkType(pub u16);

impl LinkType {
    /// BSD loopback: 4 bytes of address family in the byte order of the capturing host.
    pub const NULL: LinkType = LinkType(0);
    /// Ethernet.
    pub const ETHERNET: LinkType = LinkType(1);
    /// PPP.
    pub const PPP: LinkType = LinkType(9);
    /// Raw IP as some systems number it.
    pub const RAW_BSD: LinkType = LinkType(12);
    /// Raw IP as OpenBSD numbers it.
    pub const RAW_OPENBSD: LinkType = LinkType(14);
    /// Raw IPv4 or IPv6.
    pub const RAW: LinkType = LinkType(101);
    /// IEEE 802.11.
    pub const IEEE802_11: LinkType = LinkType(105);
    /// OpenBSD loopback: as NULL, family in network byte order.
    pub const LOOP: LinkType = LinkType(108);
    /// Linux cooked capture v1.
    pub const LINUX_SLL: LinkType = LinkType(113);
    /// 802.11 with radiotap header.
    pub const RADIOTAP: LinkType = LinkType(127);
    /// Raw IPv4.
    pub const IPV4: LinkType = LinkType(228);
    /// Raw IPv6.
    pub const IPV6: LinkType = LinkType(229);
    /// Linux cooked capture v2.
    pub const LINUX_SLL2: LinkType = LinkType(276);
}

/// One captured packet, borrowed from the reader's buffer.
#[derive(Debug, Clone, Copy)]
pub struct Packet<'a> {
    /// When it was captured.
    pub time: Time,
    /// How its first bytes are to be read.
    pub link: LinkType,
    /// The captured bytes.
    pub data: &'a [u8],
    /// Length on the wire; larger than `data` where the snaplen cut it.
    pub wire_len: u32,
    /// Offset of the packet's record (pcap record header, pcapng block) in the uncompressed capture.
    pub offset: u64,
    /// Number of the packet in its file, from 1.
    pub number: u64,
    /// Index of the capture interface within the file (0 in pcap), counted over all sections.
    pub interface: u32,
}

/// Where one packet of a flow stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PacketRef {
    /// Offset of its record in the uncompressed capture.
    pub offset: u64,
    /// Number in its file, from 1.
    pub number: u64,
    /// When it was captured.
    pub time: Time,
    /// Sent by the responder.
    pub inbound: bool,
}
