//! The structures of a flow sample: the packet itself, and what the switch or router knew of it (sflow.org, "sFlow Structure Numbers").

use super::datagram::{address, half, text};
use crate::formats::draft::Draft;
use crate::formats::netflow::bytes::{flags, u32_at};
use crate::formats::netflow::forms::addr;
use crate::model::field;
use crate::model::hex::{hex, mac};
use crate::model::packet::LinkType;
use crate::model::value::Value;
use crate::protocols::layers::{self, Transport};
use std::net::IpAddr;

/// What structures say of translation, which is one matter of two structures.
#[derive(Default)]
pub(super) struct Sample {
    translated: [Option<IpAddr>; 2],
    translated_ports: [Option<u64>; 2],
}

impl Sample {
    /// Gives what was translated, where it differs from what the packet says.
    pub fn finish(self, d: &mut Draft) {
        for (n, [ip, port, nat_ip, nat_port]) in [
            [field::SRC_IP, field::SRC_PORT, field::NAT_SRC_IP, field::NAT_SRC_PORT],
            [field::DST_IP, field::DST_PORT, field::NAT_DST_IP, field::NAT_DST_PORT],
        ]
        .into_iter()
        .enumerate()
        {
            let (own, own_port) = (d.record.addr(ip), d.record.uint(port));
            let (after, port_after) = (self.translated[n].filter(|a| !a.is_unspecified()), self.translated_ports[n]);
            if after.is_some_and(|a| Some(a) != own) || port_after.is_some_and(|p| p > 0 && Some(p) != own_port) {
                after.or(own).map(|a| d.give(nat_ip, Value::Addr(a)));
                port_after.filter(|p| *p > 0).map(|p| d.uint(nat_port, p));
            }
        }
    }
}

/// Gives a structure to a record. False: it is not as it should be.
pub(super) fn give(kind: u32, bytes: &[u8], sample: &mut Sample, d: &mut Draft) -> bool {
    let word = |n: usize| u32_at(bytes, n * 4);
    let mut at = 0;
    let read = match kind {
        1 => header(bytes, d),
        2 => ethernet(bytes, d),
        3 | 4 => sampled_ip(bytes, if kind == 3 { 4 } else { 16 }, d),
        1001 => word(0).map(|vlan| {
            if vlan > 0 && !d.has(field::VLAN) {
                d.uint(field::VLAN, u64::from(vlan));
            }
            for (n, name) in [(1, "src.priority"), (2, "dst.vlan"), (3, "dst.priority")] {
                number(d, name, word(n));
            }
        }),
        1002 => address(bytes, &mut at).map(|hop| {
            hop.filter(|h| !h.is_unspecified()).into_iter().for_each(|h| d.keep("next_hop", &h.to_string()));
            number(d, "src.mask", u32_at(bytes, at));
            number(d, "dst.mask", u32_at(bytes, at + 4));
        }),
        1003 => gateway(bytes, d),
        1004 => (|| {
            for (id, name) in [(field::USER, "src.user"), (field::USER, "dst.user")] {
                at += 4;
                let user = text(bytes, &mut at)?;
                if !user.is_empty() && !d.text(id, &user) {
                    d.keep(name, &user);
                }
            }
            Some(())
        })(),
        1005 => (|| {
            let direction = u32_at(bytes, 0)?;
            at = 4;
            d.text(field::URL, &text(bytes, &mut at)?);
            d.text(field::HTTP_HOST, &text(bytes, &mut at)?);
            number(d, "url.direction", Some(direction));
            Some(())
        })(),
        1007 => address(bytes, &mut at).and_then(|source| {
            sample.translated = [source, address(bytes, &mut at)?];
            Some(())
        }),
        1020 => word(0).zip(word(1)).map(|(s, t)| sample.translated_ports = [Some(u64::from(s)), Some(u64::from(t))]),
        1021 | 1022 => {
            word(0).map(|length| number(d, if kind == 1021 { "tunnel.out.bytes" } else { "tunnel.in.bytes" }, Some(length)))
        }
        1029 | 1030 => word(0).map(|vni| number(d, if kind == 1029 { "vni.out" } else { "vni.in" }, Some(vni))),
        // A socket as its host sees it.
        2100 | 2101 => socket(bytes, if kind == 2100 { 4 } else { 16 }, d),
        _ => {
            d.keep(&format!("sflow.{}.{}", kind >> 12, kind & 0xfff), &hex(bytes));
            Some(())
        }
    };
    read.is_some()
}

fn number(d: &mut Draft, name: &str, n: Option<u32>) {
    if let Some(n) = n.filter(|n| *n > 0) {
        d.keep_json(name, &n.to_string());
    }
}

/// The beginning of the packet, as it passed.
fn header(bytes: &[u8], d: &mut Draft) -> Option<()> {
    let (protocol, frame, length) = (u32_at(bytes, 0)?, u32_at(bytes, 4)?, u32_at(bytes, 12)? as usize);
    let packet = bytes.get(16..(16usize).checked_add(length)?)?;
    let link = match protocol {
        1 => LinkType::ETHERNET,
        7 => LinkType::PPP,
        8 => LinkType(107),
        11 => LinkType::IPV4,
        12 => LinkType::IPV6,
        13 => LinkType(219),
        14 => LinkType::IEEE802_11,
        _ => {
            d.keep_json("sflow.header_protocol", &protocol.to_string());
            d.keep("sflow.header", &hex(packet));
            return Some(());
        }
    };
    d.uint(field::L2_BYTES_OUT, u64::from(frame));
    let walk = layers::decode(link, packet);
    let Some(c) = walk.found.last() else {
        d.keep("sflow.header", &hex(packet));
        return Some(());
    };
    d.give(field::SRC_IP, Value::Addr(c.src));
    d.give(field::DST_IP, Value::Addr(c.dst));
    d.uint(field::PROTO, u64::from(c.proto));
    d.uint(field::BYTES_OUT, u64::from(c.ip_len));
    match c.transport {
        Transport::Tcp(tcp) => {
            d.uint(field::SRC_PORT, u64::from(tcp.src_port));
            d.uint(field::DST_PORT, u64::from(tcp.dst_port));
            d.text(field::TCP_FLAGS, &flags(u64::from(tcp.flags)));
        }
        Transport::Ports(source, destination) => {
            d.uint(field::SRC_PORT, u64::from(source));
            d.uint(field::DST_PORT, u64::from(destination));
        }
        Transport::Icmp(kind, code) => d.icmp(u64::from(kind), u64::from(code)),
        Transport::None => {}
    }
    for (id, address) in [(field::SRC_MAC, c.link.src_mac), (field::DST_MAC, c.link.dst_mac)] {
        address.iter().for_each(|a| _ = d.text(id, &mac(a)));
    }
    for (id, vlan) in [field::VLAN, field::VLAN_INNER].into_iter().zip(c.link.vlan) {
        vlan.iter().for_each(|v| _ = d.uint(id, u64::from(*v)));
    }
    if walk.found.len() > 1
        && let Some(outer) = walk.found.first()
    {
        d.keep("tunnel.src.ip", &outer.src.to_string());
        d.keep("tunnel.dst.ip", &outer.dst.to_string());
    }
    number(d, "ttl", Some(u32::from(c.ttl)));
    Some(())
}

fn ethernet(bytes: &[u8], d: &mut Draft) -> Option<()> {
    d.uint(field::L2_BYTES_OUT, u64::from(u32_at(bytes, 0)?));
    // Six bytes each, padded to eight.
    d.text(field::SRC_MAC, &mac(bytes.get(4..10)?));
    d.text(field::DST_MAC, &mac(bytes.get(12..18)?));
    d.keep("ethernetType", &format!("0x{:04x}", half(bytes, 5)?));
    Some(())
}

fn sampled_ip(bytes: &[u8], width: usize, d: &mut Draft) -> Option<()> {
    let word = |n: usize| u32_at(bytes, n);
    d.uint(field::BYTES_OUT, u64::from(word(0)?));
    d.uint(field::PROTO, u64::from(word(4)? & 0xff));
    d.give(field::SRC_IP, Value::Addr(addr(bytes.get(8..8 + width)?)?));
    d.give(field::DST_IP, Value::Addr(addr(bytes.get(8 + width..8 + 2 * width)?)?));
    let at = 8 + 2 * width;
    ports(word(at)?, word(at + 4)?, d);
    d.text(field::TCP_FLAGS, &flags(u64::from(word(at + 8)?)));
    number(d, "ipClassOfService", word(at + 12));
    Some(())
}

fn ports(source: u32, destination: u32, d: &mut Draft) {
    if !d.has(field::SRC_PORT) {
        d.uint(field::SRC_PORT, u64::from(source));
        d.uint(field::DST_PORT, u64::from(destination));
    }
}

fn socket(bytes: &[u8], width: usize, d: &mut Draft) -> Option<()> {
    let protocol = u32_at(bytes, 0)?;
    let (local, remote) = (addr(bytes.get(4..4 + width)?)?, addr(bytes.get(4 + width..4 + 2 * width)?)?);
    let at = 4 + 2 * width;
    let (local_port, remote_port) = (u32_at(bytes, at)?, u32_at(bytes, at + 4)?);
    if d.has(field::SRC_IP) {
        d.keep("socket.local", &format!("{local} {local_port}"));
        d.keep("socket.remote", &format!("{remote} {remote_port}"));
        return Some(());
    }
    d.uint(field::PROTO, u64::from(protocol & 0xff));
    d.give(field::SRC_IP, Value::Addr(local));
    d.give(field::DST_IP, Value::Addr(remote));
    ports(local_port, remote_port, d);
    Some(())
}

/// What BGP knows: next hop, autonomous systems, the path.
fn gateway(bytes: &[u8], d: &mut Draft) -> Option<()> {
    let mut at = 0;
    if let Some(hop) = address(bytes, &mut at)?.filter(|h| !h.is_unspecified()) {
        d.keep("bgp.next_hop", &hop.to_string());
    }
    for name in ["as", "src.as", "src.peer_as"] {
        number(d, name, Some(u32_at(bytes, at)?));
        at += 4;
    }
    let segments = u32_at(bytes, at)?;
    at += 4;
    let mut path = Vec::new();
    for _ in 0..segments.min(256) {
        let count = u32_at(bytes, at + 4)?;
        at += 8;
        for _ in 0..count.min(1_024) {
            path.push(u32_at(bytes, at)?.to_string());
            at += 4;
        }
    }
    if !path.is_empty() {
        d.keep("as_path", &path.join(" "));
    }
    Some(())
}
