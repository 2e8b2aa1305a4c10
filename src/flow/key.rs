//! The flow key (domain: addresses, ports, protocol; VLAN stack if asked for). The side with the smaller address and port comes first, so
//! that both directions have one key; one-way ICMP keeps its direction, so that it never meets its reverse.

use super::icmp;
use crate::model::proto;
use crate::protocols::layers::{Conversation, Transport};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An address in 16 bytes; [`Key::four`] says which kind.
pub type Octets = [u8; 16];

/// What makes packets one flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key {
    /// The smaller end.
    pub low: Octets,
    /// The greater end.
    pub high: Octets,
    /// Port of the smaller end.
    pub low_port: u16,
    /// Port of the greater end.
    pub high_port: u16,
    /// VLAN ids plus one, 0 for none; both 0 unless VLANs are part of the key.
    pub vlan: [u16; 2],
    /// IANA protocol number.
    pub proto: u8,
    /// The addresses are IPv4.
    pub four: bool,
    /// One-way ICMP: `low` is the sender.
    pub one_way: bool,
}

/// The octets of an address.
pub fn octets(address: IpAddr) -> Octets {
    match address {
        IpAddr::V4(a) => {
            let mut out = [0; 16];
            out[..4].copy_from_slice(&a.octets());
            out
        }
        IpAddr::V6(a) => a.octets(),
    }
}

/// The address of octets.
pub fn address(octets: &Octets, four: bool) -> IpAddr {
    if four { IpAddr::V4(Ipv4Addr::new(octets[0], octets[1], octets[2], octets[3])) } else { IpAddr::V6(Ipv6Addr::from(*octets)) }
}

impl Key {
    /// The key of two ends, and whether `src` is its smaller end.
    pub fn of(protocol: u8, src: IpAddr, src_port: u16, dst: IpAddr, dst_port: u16, one_way: bool) -> (Key, bool) {
        let (a, b) = (octets(src), octets(dst));
        let src_is_low = one_way || (a, src_port) <= (b, dst_port);
        let four = src.is_ipv4();
        let (low, high, low_port, high_port) = if src_is_low { (a, b, src_port, dst_port) } else { (b, a, dst_port, src_port) };
        (Key { low, high, low_port, high_port, vlan: [0; 2], proto: protocol, four, one_way }, src_is_low)
    }

    /// The key of a packet's conversation, and whether its sender is the smaller end.
    pub fn of_conversation(c: &Conversation<'_>, vlan_in_key: bool) -> (Key, bool) {
        let (src_port, dst_port, one_way) = match c.transport {
            Transport::Tcp(t) => (t.src_port, t.dst_port, false),
            Transport::Ports(src, dst) => (src, dst, false),
            Transport::Icmp(kind, code) => icmp::ports(c.proto, kind, code),
            Transport::None => (0, 0, false),
        };
        let (mut key, src_is_low) = Key::of(c.proto, c.src, src_port, c.dst, dst_port, one_way);
        if vlan_in_key {
            key.vlan = c.link.vlan.map(|id| id.map_or(0, |id| id + 1));
        }
        (key, src_is_low)
    }

    /// Address and port of an end.
    pub fn end(&self, low: bool) -> (IpAddr, u16) {
        if low { (address(&self.low, self.four), self.low_port) } else { (address(&self.high, self.four), self.high_port) }
    }

    /// Whether it is TCP.
    pub fn is_tcp(&self) -> bool {
        self.proto == proto::TCP
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_directions_have_one_key_but_one_way_icmp_has_two() {
        let (a, b) = ("10.0.0.9".parse().unwrap(), "10.0.0.1".parse().unwrap());
        assert_eq!(Key::of(6, a, 1, b, 2, false).0, Key::of(6, b, 2, a, 1, false).0);
        assert_ne!(Key::of(1, a, 3, b, 1, true).0, Key::of(1, b, 3, a, 1, true).0);
        let (key, src_is_low) = Key::of(6, a, 1, b, 2, false);
        assert_eq!(key.end(src_is_low), (a, 1));
    }

    #[test]
    fn an_ipv4_address_and_the_same_octets_as_ipv6_are_different() {
        let (a, b): (IpAddr, IpAddr) = ("10.0.0.9".parse().unwrap(), "a00:9::".parse().unwrap());
        assert_eq!(octets(a), octets(b));
        assert_ne!(Key::of(17, a, 1, a, 2, false).0, Key::of(17, b, 1, b, 2, false).0);
    }
}
