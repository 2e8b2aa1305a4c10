//! IPv4 (RFC 791) and IPv6 with its extension headers (RFC 8200), IP in IP.

use super::{Conversation, Fragment, Next, Transport, Walk, transport};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Extension headers of one packet that are read.
const MAX_EXTENSIONS: usize = 16;

/// What the IP header said, for the transport below it.
#[derive(Debug, Clone, Copy)]
pub struct Head {
    /// Sender.
    pub src: IpAddr,
    /// Receiver.
    pub dst: IpAddr,
    /// Protocol of the payload.
    pub proto: u8,
    /// Total length.
    pub ip_len: u32,
    /// What of it the header does not state.
    pub unstated: u32,
    /// Time to live or hop limit.
    pub ttl: u8,
    /// Identification of IPv4; 0: none.
    pub id: u16,
    /// The header's checksum is wrong.
    pub bad_checksum: bool,
    /// Length of the payload by the header.
    pub len: u32,
}

/// IPv4 or IPv6, by the first four bits.
pub fn ip(w: &mut Walk<'_>, at: usize) -> Next {
    match w.u8(at).map(|b| b >> 4) {
        Some(4) => v4(w, at),
        Some(6) => v6(w, at),
        Some(n) => {
            w.odd("ip_version", at, n.to_string());
            Next::Stop
        }
        None => {
            w.odd("ip_truncated", at, String::new());
            Next::Stop
        }
    }
}

/// IP inside IP.
pub fn inner(w: &mut Walk<'_>, at: usize) -> Next {
    let name = match w.u8(at).map(|b| b >> 4) {
        Some(4) => "ipip",
        Some(6) => "6in4",
        _ => return Next::Stop,
    };
    if !w.enter(name) {
        return Next::Stop;
    }
    Next::Ip(at)
}

/// Whether an IP packet that fits stands at an offset: what tunnels ask before they believe their port. A packet that the snaplen cut
/// still fits if its header does.
pub fn plausible(w: &Walk<'_>, at: usize) -> bool {
    let Some(first) = w.u8(at) else { return false };
    match first >> 4 {
        4 => {
            let header = 4 * usize::from(first & 15);
            header >= 20 && w.bytes(at, 20).is_some() && w.u16(at + 2).is_some_and(|len| usize::from(len) >= header)
        }
        6 => w.bytes(at, 40).is_some(),
        _ => false,
    }
}

/// The internet checksum (RFC 1071) over bytes, started with a sum.
pub fn checksum(bytes: &[u8], start: u32) -> u16 {
    // The sum does not depend on the order of bytes (RFC 1071, section 2): that of the machine is added up several words at a time. It
    // cannot overflow below 16 GiB, so additions wrap: checked ones are made one by one.
    let mut words = bytes.chunks_exact(4);
    let mut sum = 0u64;
    for w in &mut words {
        sum = sum.wrapping_add(u64::from(u32::from_ne_bytes([w[0], w[1], w[2], w[3]])));
    }
    let mut rest = [0u8; 4];
    rest[..words.remainder().len()].copy_from_slice(words.remainder());
    sum = sum.wrapping_add(u64::from(u32::from_ne_bytes(rest)));
    let sum = u64::from(u16::from_be(folded(sum))) + u64::from(start);
    !folded(sum)
}

/// A sum of 16-bit words with its carries added to it.
fn folded(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    sum as u16
}

fn v4(w: &mut Walk<'_>, at: usize) -> Next {
    let Some(h) = w.bytes(at, 20) else {
        w.odd("ip_truncated", at, format!("{} of 20 bytes", w.end.saturating_sub(at)));
        return Next::Stop;
    };
    let header = 4 * usize::from(h[0] & 15);
    if header < 20 {
        w.odd("ip_bad_header_length", at, header.to_string());
        return Next::Stop;
    }
    let captured = w.end - at;
    let stated = usize::from(u16::from_be_bytes([h[2], h[3]]));
    // Segmentation offload leaves the total length 0.
    let total = if stated == 0 { captured } else { stated };
    if total < header {
        w.odd("ip_bad_length", at, format!("total {total} header {header}"));
        return Next::Stop;
    }
    w.limit(at.saturating_add(total));
    let flags_offset = u16::from_be_bytes([h[6], h[7]]);
    let (src, dst) = (Ipv4Addr::new(h[12], h[13], h[14], h[15]), Ipv4Addr::new(h[16], h[17], h[18], h[19]));
    let stated_sum = u16::from_be_bytes([h[10], h[11]]);
    let bad_checksum = stated_sum != 0 && w.bytes(at, header).is_some_and(|all| checksum(all, 0) != 0);
    w.note("IPv4", at..(at + header).min(w.end), |f| {
        f.add("header length", header, at, 1);
        f.add("service", format!("0x{:02x}", h[1]), at + 1, 1);
        f.add("total length", stated, at + 2, 2);
        f.add("identification", format!("0x{:04x}", u16::from_be_bytes([h[4], h[5]])), at + 4, 2);
        let flags = match flags_offset >> 13 {
            0 => "none",
            1 => "more fragments",
            2 => "do not fragment",
            _ => "reserved",
        };
        f.add("flags", flags, at + 6, 1);
        f.add("fragment offset", 8 * u32::from(flags_offset & 0x1fff), at + 6, 2);
        f.add("ttl", h[8], at + 8, 1);
        f.add("protocol", crate::model::proto::show(h[9]), at + 9, 1);
        let verdict = if bad_checksum { "wrong" } else { "good" };
        f.add("checksum", format!("0x{stated_sum:04x} {verdict}"), at + 10, 2);
        f.add("source", src, at + 12, 4);
        f.add("destination", dst, at + 16, 4);
        if header > 20 {
            f.add("options", format!("{} bytes", header - 20), at + 20, header - 20);
        }
        format!("{src} > {dst} {}", crate::model::proto::show(h[9]))
    });
    let body = at + header;
    if body > w.end {
        w.odd("ip_truncated", at, format!("header of {header} bytes"));
    }
    let mut head = Head {
        src: IpAddr::V4(src),
        dst: IpAddr::V4(dst),
        proto: h[9],
        ip_len: total as u32,
        unstated: if stated == 0 { total as u32 } else { 0 },
        ttl: h[8],
        id: u16::from_be_bytes([h[4], h[5]]),
        bad_checksum,
        len: (total - header) as u32,
    };
    if flags_offset & 0x3fff != 0 {
        let fragment = Fragment {
            id: u32::from(u16::from_be_bytes([h[4], h[5]])),
            offset: 8 * u32::from(flags_offset & 0x1fff),
            more: flags_offset & 0x2000 != 0,
        };
        return piece(w, body, &head, fragment);
    }
    // An authentication header is transparent.
    if head.proto == 51
        && let (Some(next), Some(words)) = (w.u8(body), w.u8(body + 1))
    {
        let len = 4 * (usize::from(words) + 2);
        w.note("AH", body..(body + len).min(w.end), |_| format!("{len} bytes"));
        head.proto = next;
        head.len = head.len.saturating_sub(len as u32);
        return transport::transport(w, body + len, &head);
    }
    transport::transport(w, body, &head)
}

fn piece(w: &mut Walk<'_>, at: usize, head: &Head, fragment: Fragment) -> Next {
    let payload = w.rest(at);
    let end = w.end;
    w.note("Fragment", at.min(end)..end, |_| {
        let last = if fragment.more { "" } else { ", the last" };
        format!("{} bytes at {} of {:x}{last}", payload.len(), fragment.offset, fragment.id)
    });
    w.found.push(Conversation {
        src: head.src,
        dst: head.dst,
        proto: head.proto,
        ip_len: head.ip_len,
        unstated: head.unstated,
        ttl: head.ttl,
        ip_id: head.id,
        bad_ip_checksum: head.bad_checksum,
        fragment: Some(fragment),
        transport: Transport::None,
        segment: payload,
        segment_len: head.len,
        payload,
        payload_len: head.len,
        link: w.link,
        carries: None,
        level: w.tunnels,
    });
    Next::Stop
}

fn address(bytes: &[u8]) -> Ipv6Addr {
    let mut octets = [0u8; 16];
    octets.copy_from_slice(&bytes[..16]);
    Ipv6Addr::from(octets)
}

fn v6(w: &mut Walk<'_>, at: usize) -> Next {
    let Some(h) = w.bytes(at, 40) else {
        w.odd("ip_truncated", at, format!("{} of 40 bytes", w.end.saturating_sub(at)));
        return Next::Stop;
    };
    let captured = w.end - at;
    let stated = usize::from(u16::from_be_bytes([h[4], h[5]]));
    // 0 is a jumbogram or segmentation offload, unless nothing follows.
    let total = if stated == 0 { captured } else { 40 + stated };
    w.limit(at.saturating_add(total));
    let (src, dst) = (address(&h[8..24]), address(&h[24..40]));
    let mut next = h[6];
    w.note("IPv6", at..at + 40, |f| {
        f.add("traffic class", format!("0x{:02x}", (h[0] << 4) | (h[1] >> 4)), at, 2);
        f.add("flow label", format!("0x{:05x}", u32::from_be_bytes([0, h[1] & 15, h[2], h[3]])), at + 1, 3);
        f.add("payload length", stated, at + 4, 2);
        f.add("next header", crate::model::proto::show(next), at + 6, 1);
        f.add("hop limit", h[7], at + 7, 1);
        f.add("source", src, at + 8, 16);
        f.add("destination", dst, at + 24, 16);
        format!("{src} > {dst} {}", crate::model::proto::show(next))
    });
    let mut pos = at + 40;
    let mut head = Head {
        src: IpAddr::V6(src),
        dst: IpAddr::V6(dst),
        proto: next,
        ip_len: total as u32,
        unstated: if stated == 0 { total.saturating_sub(40) as u32 } else { 0 },
        ttl: h[7],
        id: 0,
        bad_checksum: false,
        len: 0,
    };
    for _ in 0..MAX_EXTENSIONS {
        // Hop-by-hop, routing, destination, mobility, host identity, shim6; AH counts in words of 4 bytes; a fragment header is 8.
        let len = match next {
            0 | 43 | 60 | 135 | 139 | 140 => w.u8(pos + 1).map(|n| 8 * (usize::from(n) + 1)),
            51 => w.u8(pos + 1).map(|n| 4 * (usize::from(n) + 2)),
            44 => Some(8),
            _ => {
                head.proto = next;
                head.len = (at + total).saturating_sub(pos) as u32;
                return transport::transport(w, pos, &head);
            }
        };
        let (Some(len), Some(after)) = (len, w.u8(pos)) else {
            w.odd("ip_extension_truncated", pos, next.to_string());
            break;
        };
        let kind = next;
        w.note("IPv6 extension", pos..(pos + len).min(w.end), |f| {
            f.add("type", kind, pos, 0);
            f.add("next header", crate::model::proto::show(after), pos, 1);
            format!("type {kind}")
        });
        if kind == 44 {
            let (Some(field), Some(id)) = (w.u16(pos + 2), w.u32(pos + 4)) else {
                w.odd("ip_extension_truncated", pos, next.to_string());
                break;
            };
            let fragment = Fragment { id, offset: u32::from(field & 0xfff8), more: field & 1 != 0 };
            if fragment.more || fragment.offset != 0 {
                head.proto = after;
                head.len = (at + total).saturating_sub(pos + 8) as u32;
                return piece(w, pos + 8, &head, fragment);
            }
        }
        next = after;
        pos += len;
    }
    head.proto = next;
    head.len = (at + total).saturating_sub(pos) as u32;
    transport::opaque(w, pos, &head)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_of_a_header_with_its_checksum_is_zero() {
        let header = [0x45, 0, 0, 0x73, 0, 0, 0x40, 0, 0x40, 0x11, 0xb8, 0x61, 0xc0, 0xa8, 0, 1, 0xc0, 0xa8, 0, 0xc7];
        assert_eq!(checksum(&header, 0), 0);
        assert_ne!(checksum(&header[..18], 0), 0);
    }
}
