//! TCP (RFC 9293), UDP (RFC 768), ICMP (RFC 792, 4443), SCTP (RFC 9260) headers, and the tunnels that stand on them.

use super::ip::{self, Head};
use super::{Conversation, Next, Walk, tunnel_over_ip, tunnel_over_udp};
use crate::model::proto;
use std::net::IpAddr;

/// Bits of the TCP flags byte.
pub mod flags {
    /// No more data from the sender.
    pub const FIN: u8 = 1;
    /// Synchronise sequence numbers.
    pub const SYN: u8 = 2;
    /// Reset.
    pub const RST: u8 = 4;
    /// Push.
    pub const PSH: u8 = 8;
    /// The acknowledgement number counts.
    pub const ACK: u8 = 16;
    /// The urgent pointer counts.
    pub const URG: u8 = 32;
}

/// Fields of a TCP header that the meter needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TcpHeader {
    /// Sender's port.
    pub src_port: u16,
    /// Receiver's port.
    pub dst_port: u16,
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgement number.
    pub ack: u32,
    /// Flags, see [`flags`].
    pub flags: u8,
    /// Window, not scaled.
    pub window: u16,
}

/// What the transport header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// TCP.
    Tcp(TcpHeader),
    /// Ports only: UDP, UDP-Lite, DCCP, SCTP, or a TCP header that is cut after its ports.
    Ports(u16, u16),
    /// ICMP type and code.
    Icmp(u8, u8),
    /// Another protocol, a fragment, or a header of which not even ports were captured.
    None,
}

/// The verdict on a transport checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checksum {
    /// Right.
    Good,
    /// Not computed by the sender (UDP over IPv4), cut off, or of a protocol without one.
    Unknown,
    /// What a host's stack leaves for its network card to fill in: the sum of the pseudo-header, or 0.
    Offloaded,
    /// Wrong.
    Bad,
}

impl Conversation<'_> {
    /// Checks the transport checksum; reads the whole segment.
    pub fn checksum(&self) -> Checksum {
        if self.fragment.is_some() || (self.segment.len() as u32) < self.segment_len {
            return Checksum::Unknown;
        }
        let field = match (self.proto, self.transport) {
            (proto::TCP, Transport::Tcp(_)) => 16,
            (proto::UDP, Transport::Ports(..)) => 6,
            (proto::ICMP | proto::ICMP6, Transport::Icmp(..)) => 2,
            _ => return Checksum::Unknown,
        };
        // A UDP datagram may end before its IP packet does.
        let len = if self.proto == proto::UDP { 8 + self.payload_len as usize } else { self.segment_len as usize };
        let (Some(bytes), Some(stated)) = (self.segment.get(..len), self.segment.get(field..field + 2)) else {
            return Checksum::Unknown;
        };
        let stated = u16::from_be_bytes([stated[0], stated[1]]);
        if self.proto == proto::UDP && stated == 0 && self.src.is_ipv4() {
            return Checksum::Unknown;
        }
        let addresses = if self.proto == proto::ICMP { 0 } else { pseudo(self.src, self.dst, self.proto) };
        let pseudo = if self.proto == proto::ICMP { 0 } else { addresses + len as u32 };
        if ip::checksum(bytes, pseudo) == 0 {
            return Checksum::Good;
        }
        let folded = |sum: u32| !ip::checksum(&[], sum);
        if stated == 0 || (self.proto != proto::ICMP && (stated == folded(pseudo) || stated == folded(addresses))) {
            return Checksum::Offloaded;
        }
        Checksum::Bad
    }
}

impl Conversation<'_> {
    /// TSval of a TCP segment's timestamps option (RFC 7323).
    pub fn tsval(&self) -> Option<u32> {
        let Transport::Tcp(_) = self.transport else { return None };
        let header = 4 * usize::from(self.segment.get(12)? >> 4);
        let mut options = self.segment.get(20..header)?;
        loop {
            match options {
                [0, ..] | [] => return None,
                [1, rest @ ..] => options = rest,
                [8, 10, a, b, c, d, ..] => return Some(u32::from_be_bytes([*a, *b, *c, *d])),
                [_, len, ..] => options = options.get(usize::from(*len).max(2)..)?,
                [_] => return None,
            }
        }
    }
}

fn pseudo(src: IpAddr, dst: IpAddr, protocol: u8) -> u32 {
    let sum = |bytes: &[u8]| bytes.chunks_exact(2).map(|w| u32::from(u16::from_be_bytes([w[0], w[1]]))).sum::<u32>();
    let of = |a: IpAddr| match a {
        IpAddr::V4(a) => sum(&a.octets()),
        IpAddr::V6(a) => sum(&a.octets()),
    };
    of(src) + of(dst) + u32::from(protocol)
}

fn push<'a>(w: &mut Walk<'a>, at: usize, head: &Head, transport: Transport, header: usize, payload_len: u32) {
    let segment = w.rest(at);
    let payload = segment.get(header.min(segment.len())..).unwrap_or_default();
    let payload = &payload[..payload.len().min(payload_len as usize)];
    w.found.push(Conversation {
        src: head.src,
        dst: head.dst,
        proto: head.proto,
        ip_len: head.ip_len,
        unstated: head.unstated,
        ttl: head.ttl,
        ip_id: head.id,
        bad_ip_checksum: head.bad_checksum,
        fragment: None,
        transport,
        segment,
        segment_len: head.len,
        payload,
        payload_len,
        link: w.link,
        carries: None,
        level: w.tunnels,
    });
}

/// A payload of which nothing more is known.
pub fn opaque(w: &mut Walk<'_>, at: usize, head: &Head) -> Next {
    push(w, at, head, Transport::None, 0, head.len);
    let (at, end) = (at.min(w.end), w.end);
    if end > at {
        w.note("Data", at..end, |_| format!("{} bytes", end - at));
    }
    Next::Stop
}

/// The transport header at an offset, and a tunnel if it carries one.
pub fn transport(w: &mut Walk<'_>, at: usize, head: &Head) -> Next {
    match head.proto {
        proto::TCP => tcp(w, at, head),
        proto::UDP => udp(w, at, head),
        proto::ICMP | proto::ICMP6 => icmp(w, at, head),
        33 | 132 | 136 => ports(w, at, head),
        _ => {
            push(w, at, head, Transport::None, 0, head.len);
            let Some(tunnel) = tunnel_over_ip(head.proto) else {
                let (at, end) = (at.min(w.end), w.end);
                w.note("Data", at..end, |_| format!("{} bytes", end - at));
                return Next::Stop;
            };
            tunnel(w, at)
        }
    }
}

/// The ports, for headers that are cut after them.
fn cut(w: &mut Walk<'_>, at: usize, head: &Head, what: &'static str) -> Next {
    w.odd(what, at, format!("{} bytes", w.end.saturating_sub(at)));
    let transport = match (w.u16(at), w.u16(at + 2)) {
        (Some(src), Some(dst)) => Transport::Ports(src, dst),
        _ => Transport::None,
    };
    push(w, at, head, transport, head.len as usize, 0);
    Next::Stop
}

fn payload(w: &mut Walk<'_>, at: usize) -> Next {
    let (at, end) = (at.min(w.end), w.end);
    if end > at {
        w.note("Payload", at..end, |_| format!("{} bytes", end - at));
    }
    Next::Stop
}

fn ports(w: &mut Walk<'_>, at: usize, head: &Head) -> Next {
    let (Some(src), Some(dst)) = (w.u16(at), w.u16(at + 2)) else { return cut(w, at, head, "transport_truncated") };
    let header = if head.proto == 136 { 8 } else { 12 };
    push(w, at, head, Transport::Ports(src, dst), header, head.len.saturating_sub(header as u32));
    w.note(if head.proto == 132 { "SCTP" } else { "Ports" }, at..(at + header).min(w.end), |f| {
        f.add("source port", src, at, 2);
        f.add("destination port", dst, at + 2, 2);
        format!("{src} > {dst}")
    });
    payload(w, at + header)
}

fn udp(w: &mut Walk<'_>, at: usize, head: &Head) -> Next {
    let Some(h) = w.bytes(at, 8) else { return cut(w, at, head, "udp_truncated") };
    let (src, dst) = (u16::from_be_bytes([h[0], h[1]]), u16::from_be_bytes([h[2], h[3]]));
    let stated = u32::from(u16::from_be_bytes([h[4], h[5]]));
    // 0 is a jumbogram or offload; a length beyond the packet is not believed.
    let len = if stated < 8 || stated > head.len { head.len.max(8) } else { stated };
    if stated != len && stated != 0 {
        w.odd("udp_bad_length", at, format!("{stated} of {}", head.len));
    }
    push(w, at, head, Transport::Ports(src, dst), 8, len - 8);
    w.limit(at.saturating_add(len as usize));
    let sum = u16::from_be_bytes([h[6], h[7]]);
    let verdict = w.notes.is_some().then(|| w.found.last().map(Conversation::checksum)).flatten();
    w.note("UDP", at..at + 8, |f| {
        f.add("source port", src, at, 2);
        f.add("destination port", dst, at + 2, 2);
        f.add("length", stated, at + 4, 2);
        f.add("checksum", format!("0x{sum:04x} {}", show(verdict)), at + 6, 2);
        format!("{src} > {dst} {} bytes", len - 8)
    });
    if let Some(tunnel) = tunnel_over_udp(src, dst) {
        let before = w.tunnels;
        let next = tunnel(w, at + 8);
        if next != Next::Stop || w.tunnels != before {
            return next;
        }
    }
    payload(w, at + 8)
}

fn show(checksum: Option<Checksum>) -> &'static str {
    match checksum {
        Some(Checksum::Good) => "good",
        Some(Checksum::Bad) => "wrong",
        Some(Checksum::Offloaded) => "left to the network card",
        Some(Checksum::Unknown) | None => "not checked",
    }
}

fn icmp(w: &mut Walk<'_>, at: usize, head: &Head) -> Next {
    let (Some(kind), Some(code)) = (w.u8(at), w.u8(at + 1)) else { return cut(w, at, head, "icmp_truncated") };
    push(w, at, head, Transport::Icmp(kind, code), 8, head.len.saturating_sub(8));
    let verdict = w.notes.is_some().then(|| w.found.last().map(Conversation::checksum)).flatten();
    let name = if head.proto == proto::ICMP { "ICMP" } else { "ICMPv6" };
    let sum = w.u16(at + 2);
    w.note(name, at..(at + 8).min(w.end), |f| {
        f.add("type", kind, at, 1);
        f.add("code", code, at + 1, 1);
        if let Some(sum) = sum {
            f.add("checksum", format!("0x{sum:04x} {}", show(verdict)), at + 2, 2);
        }
        format!("type {kind} code {code}")
    });
    payload(w, at + 8)
}

fn tcp(w: &mut Walk<'_>, at: usize, head: &Head) -> Next {
    let Some(h) = w.bytes(at, 20) else { return cut(w, at, head, "tcp_truncated") };
    let header = 4 * usize::from(h[12] >> 4);
    if header < 20 || header as u32 > head.len {
        w.odd("tcp_bad_header_length", at, header.to_string());
        return cut(w, at, head, "tcp_truncated");
    }
    let t = TcpHeader {
        src_port: u16::from_be_bytes([h[0], h[1]]),
        dst_port: u16::from_be_bytes([h[2], h[3]]),
        seq: u32::from_be_bytes([h[4], h[5], h[6], h[7]]),
        ack: u32::from_be_bytes([h[8], h[9], h[10], h[11]]),
        flags: h[13],
        window: u16::from_be_bytes([h[14], h[15]]),
    };
    let len = head.len - header as u32;
    push(w, at, head, Transport::Tcp(t), header, len);
    if w.notes.is_some() {
        let verdict = w.found.last().map(Conversation::checksum);
        let options = w.rest(at + 20);
        let options = options[..options.len().min(header - 20)].to_vec();
        w.note("TCP", at..(at + header).min(w.end), |f| {
            f.add("source port", t.src_port, at, 2);
            f.add("destination port", t.dst_port, at + 2, 2);
            f.add("sequence", t.seq, at + 4, 4);
            f.add("acknowledgement", t.ack, at + 8, 4);
            f.add("header length", header, at + 12, 1);
            f.add("flags", show_flags(t.flags), at + 13, 1);
            f.add("window", t.window, at + 14, 2);
            let sum = u16::from_be_bytes([h[16], h[17]]);
            f.add("checksum", format!("0x{sum:04x} {}", show(verdict)), at + 16, 2);
            f.add("urgent", u16::from_be_bytes([h[18], h[19]]), at + 18, 2);
            show_options(&options, at + 20, f);
            format!("{} > {} [{}] seq {} ack {} {len} bytes", t.src_port, t.dst_port, show_flags(t.flags), t.seq, t.ack)
        });
    }
    payload(w, at + header)
}

/// TCP flags as letters, in the order of tcpdump's names.
pub fn show_flags(bits: u8) -> String {
    let names = ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"];
    let set: Vec<&str> = names.iter().enumerate().filter(|(i, _)| bits & (1 << i) != 0).map(|(_, n)| *n).collect();
    if set.is_empty() { "none".to_owned() } else { set.join(" ") }
}

fn show_options(options: &[u8], at: usize, f: &mut super::Fields) {
    let mut i = 0;
    while let Some(kind) = options.get(i).copied() {
        let len = match kind {
            0 | 1 => 1,
            _ => usize::from(options.get(i + 1).copied().unwrap_or(0)),
        };
        let Some(all) = options.get(i..i + len).filter(|_| len > 0) else {
            f.add("option", format!("type {kind}: bad length {len}"), at + i, options.len() - i);
            return;
        };
        let number = |from: usize, n: usize| {
            all.get(from..from + n).map_or(0, |b| b.iter().fold(0u64, |sum, b| (sum << 8) | u64::from(*b)))
        };
        let text = match (kind, len) {
            (0, _) => "end".to_owned(),
            (1, _) => "no operation".to_owned(),
            (2, 4) => format!("maximum segment {}", number(2, 2)),
            (3, 3) => format!("window scale {}", number(2, 1)),
            (4, 2) => "selective acknowledgement permitted".to_owned(),
            (5, _) => {
                let edges: Vec<String> = (0..len.saturating_sub(2) / 8)
                    .map(|n| format!("{}-{}", number(2 + 8 * n, 4), number(6 + 8 * n, 4)))
                    .collect();
                format!("selective acknowledgement {}", edges.join(" "))
            }
            (8, 10) => format!("timestamp {} echo {}", number(2, 4), number(6, 4)),
            (34, _) => "fast open".to_owned(),
            _ => format!("type {kind}, {len} bytes"),
        };
        f.add("option", text, at + i, len);
        i += len;
        if kind == 0 {
            return;
        }
    }
}
