//! ICMP as flows: pseudo-ports from type and code, and the flow that an error is about (RFC 792, RFC 4443).

use crate::model::community_id::{self, icmp_counterpart};
use crate::model::packet::LinkType;
use crate::model::proto;
use crate::protocols::layers::{self, Conversation, Transport};
use std::net::IpAddr;

/// Pseudo-ports of an ICMP message, and whether it is one-way: the type and its counterpart, or the type and the code.
pub fn ports(protocol: u8, kind: u8, code: u8) -> (u16, u16, bool) {
    match icmp_counterpart(protocol, kind) {
        Some(counterpart) => (u16::from(kind), u16::from(counterpart), false),
        None => (u16::from(kind), u16::from(code), true),
    }
}

/// The conversation that an error message quotes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quoted {
    /// Its protocol.
    pub proto: u8,
    /// Sender of the quoted packet.
    pub src: (IpAddr, u16),
    /// Receiver of the quoted packet.
    pub dst: (IpAddr, u16),
    /// One-way ICMP.
    pub one_way: bool,
    /// Type and code of the error.
    pub error: (u8, u8),
}

impl Quoted {
    /// Community ID of the quoted conversation.
    pub fn community_id(&self) -> String {
        community_id::compute(self.proto, self.src.0, self.src.1, self.dst.0, self.dst.1)
    }
}

/// What an error message is about; `None` for other messages, or if too little is quoted.
pub fn quoted(c: &Conversation<'_>) -> Option<Quoted> {
    let Transport::Icmp(kind, code) = c.transport else { return None };
    let error = match c.proto {
        proto::ICMP => matches!(kind, 3 | 4 | 5 | 11 | 12),
        _ => matches!(kind, 1..=4),
    };
    if !error {
        return None;
    }
    let walk = layers::decode(LinkType::RAW, c.payload);
    let inner = walk.found.first()?;
    let (src, dst, one_way) = match inner.transport {
        Transport::Tcp(t) => (t.src_port, t.dst_port, false),
        Transport::Ports(src, dst) => (src, dst, false),
        Transport::Icmp(kind, code) => ports(inner.proto, kind, code),
        Transport::None if inner.fragment.is_some() => return None,
        Transport::None => (0, 0, false),
    };
    Some(Quoted { proto: inner.proto, src: (inner.src, src), dst: (inner.dst, dst), one_way, error: (kind, code) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn echo_is_two_way_and_unreachable_is_one_way() {
        assert_eq!(ports(proto::ICMP, 8, 0), (8, 0, false));
        assert_eq!(ports(proto::ICMP, 0, 0), (0, 8, false));
        assert_eq!(ports(proto::ICMP, 3, 1), (3, 1, true));
        assert_eq!(ports(proto::ICMP6, 135, 0), (135, 136, false));
    }
}
