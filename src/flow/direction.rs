//! Who began? The sender of the first packet, unless that packet is plainly an answer (domain rules 1 to 3).

use crate::model::proto;
use crate::protocols::layers::{Conversation, Transport, flags};
use std::net::IpAddr;

/// Ports on which servers are expected, sorted: the well-known ports of the protocols that Zeek analyses.
const SERVER_PORTS_TCP: &[u16] = &[
    21, 22, 23, 25, 53, 79, 80, 81, 88, 102, 110, 111, 113, 135, 137, 139, 143, 179, 389, 443, 445, 465, 502, 513, 514, 515, 524,
    548, 554, 563, 585, 587, 614, 631, 636, 853, 873, 989, 990, 992, 993, 994, 995, 1080, 1344, 1433, 1434, 1521, 1723, 1883,
    2049, 2152, 2404, 2811, 3128, 3268, 3269, 3306, 3389, 4786, 5038, 5060, 5061, 5222, 5223, 5269, 5353, 5355, 5432, 5433, 5671,
    5672, 5900, 5901, 5985, 5986, 6346, 6379, 6443, 6660, 6661, 6662, 6663, 6664, 6665, 6666, 6667, 6668, 6669, 6697, 8000, 8080,
    8081, 8088, 8443, 8883, 8888, 9000, 9100, 9200, 9418, 11211, 20000, 27017, 44818, 47808,
];

const SERVER_PORTS_UDP: &[u16] = &[
    53, 67, 68, 69, 88, 111, 123, 137, 138, 161, 162, 389, 443, 464, 500, 514, 520, 547, 623, 853, 1194, 1645, 1646, 1701, 1812,
    1813, 1900, 2049, 2123, 2152, 3389, 3478, 3544, 3702, 4011, 4500, 4789, 5004, 5060, 5072, 5349, 5353, 5355, 6081, 8472,
    11211, 20000, 34964, 47808, 51820,
];

/// Whether a server is expected on a port.
pub fn likely_server(protocol: u8, port: u16) -> bool {
    match protocol {
        proto::TCP => SERVER_PORTS_TCP.binary_search(&port).is_ok(),
        proto::UDP => SERVER_PORTS_UDP.binary_search(&port).is_ok(),
        _ => false,
    }
}

fn broadcast(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(a) => a.is_broadcast() || a.is_multicast(),
        IpAddr::V6(a) => a.is_multicast(),
    }
}

/// Whether the first packet of a flow was sent by the responder.
pub fn flipped(c: &Conversation<'_>) -> bool {
    if broadcast(c.dst) {
        return false;
    }
    match c.transport {
        Transport::Tcp(t) => {
            if t.flags & flags::SYN != 0 && t.flags & flags::ACK == 0 {
                return false;
            }
            if !likely_server(proto::TCP, t.src_port) {
                return false;
            }
            !likely_server(proto::TCP, t.dst_port) || (t.flags & flags::SYN == 0 && t.src_port < t.dst_port)
        }
        Transport::Ports(src, dst) => c.proto == proto::UDP && likely_server(proto::UDP, src) && !likely_server(proto::UDP, dst),
        Transport::Icmp(..) | Transport::None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_sorted() {
        assert!(SERVER_PORTS_TCP.is_sorted() && SERVER_PORTS_UDP.is_sorted());
        assert!(likely_server(proto::TCP, 443) && !likely_server(proto::TCP, 40000));
    }
}
