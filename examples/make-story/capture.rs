//! Frames and capture files: `inside.pcapng` before the translation, `outside.pcap` after it.

use crate::clock::captured;
use crate::meter::ip_len;
use crate::nat::Outside;
use crate::rng::mix;
use crate::talk::{Conn, Dir, Pkt};
use crate::world::{GATEWAY_MAC, ISP_MAC, OUTSIDE, WAN_MAC, WWW, inside, mac};
use std::net::Ipv4Addr;

type End = (Ipv4Addr, u16);

fn sum16(mut acc: u32, bytes: &[u8]) -> u32 {
    for pair in bytes.chunks(2) {
        acc += u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0));
    }
    acc
}

fn fold(mut acc: u32) -> u16 {
    while acc > 0xffff {
        acc = (acc & 0xffff) + (acc >> 16);
    }
    !(acc as u16)
}

fn transport(proto: u8, p: &Pkt, src: End, dst: End, payload: &[u8]) -> Vec<u8> {
    let mut l4 = Vec::with_capacity(40 + payload.len());
    let check = match proto {
        6 => {
            l4.extend_from_slice(&src.1.to_be_bytes());
            l4.extend_from_slice(&dst.1.to_be_bytes());
            l4.extend_from_slice(&p.seq.to_be_bytes());
            l4.extend_from_slice(&p.ack.to_be_bytes());
            l4.push((((20 + p.opts.len()) / 4) << 4) as u8);
            l4.push(p.flags);
            l4.extend_from_slice(&p.win.to_be_bytes());
            l4.extend_from_slice(&[0; 4]);
            l4.extend_from_slice(&p.opts);
            16
        }
        17 => {
            l4.extend_from_slice(&src.1.to_be_bytes());
            l4.extend_from_slice(&dst.1.to_be_bytes());
            l4.extend_from_slice(&((8 + payload.len()) as u16).to_be_bytes());
            l4.extend_from_slice(&[0; 2]);
            6
        }
        _ => {
            l4.extend_from_slice(&[if p.dir == Dir::Orig { 8 } else { 0 }, 0, 0, 0, 0x21, 0x4c]);
            l4.extend_from_slice(&(p.seq as u16).to_be_bytes());
            2
        }
    };
    l4.extend_from_slice(payload);
    let mut acc = 0;
    if proto != 1 {
        acc = sum16(sum16(0, &src.0.octets()), &dst.0.octets()) + u32::from(proto) + l4.len() as u32;
    }
    let sum = match fold(sum16(acc, &l4)) {
        0 if proto == 17 => 0xffff,
        s => s,
    };
    l4[check..check + 2].copy_from_slice(&sum.to_be_bytes());
    l4
}

fn frame(proto: u8, p: &Pkt, src: End, dst: End, ttl: u8, macs: ([u8; 6], [u8; 6])) -> Vec<u8> {
    let payload = p.msg.as_ref().map_or_else(Vec::new, |(m, at)| m.slice(*at, p.len));
    let l4 = transport(proto, p, src, dst, &payload);
    let mut out = Vec::with_capacity(34 + l4.len());
    out.extend_from_slice(&macs.1);
    out.extend_from_slice(&macs.0);
    out.extend_from_slice(&[8, 0]);
    let mut ip = vec![0x45, 0];
    ip.extend_from_slice(&((20 + l4.len()) as u16).to_be_bytes());
    ip.extend_from_slice(&p.id.to_be_bytes());
    ip.extend_from_slice(if proto == 6 { &[0x40, 0] } else { &[0, 0] });
    ip.extend_from_slice(&[ttl, proto, 0, 0]);
    ip.extend_from_slice(&src.0.octets());
    ip.extend_from_slice(&dst.0.octets());
    let sum = fold(sum16(0, &ip));
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    out.extend_from_slice(&ip);
    out.extend_from_slice(&l4);
    out
}

fn ends(dir: Dir, orig: End, resp: End) -> (End, End) {
    if dir == Dir::Orig { (orig, resp) } else { (resp, orig) }
}

/// One frame of a capture.
struct Frame {
    t: i64,
    interface: u32,
    conn: usize,
    pkt: usize,
    bytes: Vec<u8>,
}

/// The MAC addresses of a frame inside: from, to.
pub fn inside_frame_mac(src: Ipv4Addr, dst: Ipv4Addr) -> ([u8; 6], [u8; 6]) {
    let near = src.octets()[..3] == dst.octets()[..3];
    let to = match dst {
        d if d.is_multicast() => [1, 0, 0x5e, 0, 0, 0xfb],
        d if near => mac(d),
        d if !inside(src) => mac(d),
        _ => GATEWAY_MAC,
    };
    (if inside(src) { mac(src) } else { GATEWAY_MAC }, to)
}

fn dmz(c: &Conn) -> bool {
    let office = |a: Ipv4Addr| inside(a) && matches!(a.octets()[2], 21 | 22 | 60);
    (c.src == WWW || c.dst == WWW) && !office(c.src)
}

fn block(kind: u32, body: &[u8]) -> Vec<u8> {
    let len = (12 + body.len()) as u32;
    [&kind.to_le_bytes(), &len.to_le_bytes(), body, &len.to_le_bytes()].concat()
}

fn option(code: u16, text: &[u8]) -> Vec<u8> {
    let mut out = [code.to_le_bytes(), (text.len() as u16).to_le_bytes()].concat();
    out.extend_from_slice(text);
    out.resize(out.len().next_multiple_of(4), 0);
    out
}

/// What a capture has, for the truth and for the alerts.
#[derive(Default)]
pub struct Written {
    /// The file.
    pub bytes: Vec<u8>,
    /// How many packets.
    pub packets: usize,
    /// First and last moment.
    pub span: (i64, i64),
    /// Per connection the numbers of its packets, counted from 1.
    pub numbers: Vec<Vec<usize>>,
    /// How many connections.
    pub conns: usize,
}

fn finish(frames: &mut [Frame], n: usize) -> Written {
    frames.sort_by_key(|f| (f.t, f.conn, f.pkt));
    let mut out = Written { packets: frames.len(), numbers: vec![Vec::new(); n], ..Written::default() };
    for (i, f) in frames.iter().enumerate() {
        if let Some(list) = out.numbers.get_mut(f.conn) {
            list.push(i + 1);
        }
    }
    out.conns = out.numbers.iter().filter(|l| !l.is_empty()).count();
    out.span = (frames.first().map_or(0, |f| f.t), frames.last().map_or(0, |f| f.t));
    out
}

/// The capture inside the gateway, two interfaces, nanoseconds.
pub fn inside_capture(conns: &[Conn]) -> Written {
    let mut frames = Vec::new();
    for (i, c) in conns.iter().enumerate().filter(|(_, c)| captured(c.start())) {
        for (k, p) in c.pkts.iter().enumerate() {
            let (src, dst) = ends(p.dir, (c.src, c.sport), (c.dst, c.dport));
            let ttl = if dst.0.is_multicast() { 255 } else { p.ttl };
            let bytes = frame(c.proto, p, src, dst, ttl, inside_frame_mac(src.0, dst.0));
            frames.push(Frame { t: p.t, interface: u32::from(dmz(c)), conn: i, pkt: k, bytes });
        }
    }
    let mut out = finish(&mut frames, conns.len());
    let mut section = [0x1a2b_3c4du32.to_le_bytes(), [1, 0, 0, 0], [0xff; 4], [0xff; 4]].concat();
    section.extend(option(1, b"three windows of the sensor at gw1, merged"));
    section.extend(option(2, b"sensor1"));
    section.extend(option(3, b"Linux 6.1"));
    section.extend(option(4, b"make-story (made-up data)"));
    section.extend(option(0, b""));
    out.bytes.extend(block(0x0a0d_0d0a, &section));
    let interfaces: [(&[u8], &[u8]); 2] = [
        (b"eth1", b"inside: office and server networks (mirror port of the core switch)"),
        (b"eth2", b"DMZ: the web server's side of gw1"),
    ];
    for (name, what) in interfaces {
        let mut body = [1u32.to_le_bytes(), 262_144u32.to_le_bytes()].concat();
        body.extend(option(2, name));
        body.extend(option(3, what));
        body.extend(option(9, &[9]));
        body.extend(option(0, b""));
        out.bytes.extend(block(1, &body));
    }
    for f in &frames {
        let nanos = f.t as u64 * 1000;
        let len = (f.bytes.len() as u32).to_le_bytes();
        let mut body =
            [f.interface.to_le_bytes(), ((nanos >> 32) as u32).to_le_bytes(), (nanos as u32).to_le_bytes(), len, len].concat();
        body.extend_from_slice(&f.bytes);
        body.resize(body.len().next_multiple_of(4), 0);
        out.bytes.extend(block(6, &body));
    }
    for interface in 0..2u32 {
        let nanos = (out.span.1 as u64 + 1_000_000) * 1000;
        let mut body = [interface.to_le_bytes(), ((nanos >> 32) as u32).to_le_bytes(), (nanos as u32).to_le_bytes()].concat();
        let got = frames.iter().filter(|f| f.interface == interface).count() as u64;
        body.extend(option(4, &got.to_le_bytes()));
        body.extend(option(5, &0u64.to_le_bytes()));
        body.extend(option(0, b""));
        out.bytes.extend(block(5, &body));
    }
    out
}

/// The capture outside the gateway, microseconds: the same connections after translation, and what was dropped.
pub fn outside_capture(conns: &[Conn], outside: &[Option<Outside>], blocked: &[(Conn, &'static str)]) -> Written {
    let mut frames = Vec::new();
    for (i, (c, o)) in conns.iter().zip(outside).enumerate() {
        let Some(o) = o else { continue };
        if !captured(c.start()) || c.tag == "outage" {
            continue;
        }
        for (k, p) in c.pkts.iter().enumerate() {
            let (src, dst) = ends(p.dir, o.src, o.dst);
            let leaves = src.0 == OUTSIDE;
            let lag = 90 + (mix(c.start() as u64) % 120 + mix(p.t as u64) % 10) as i64;
            let (t, ttl) = if leaves { (p.t + lag, p.ttl - 1) } else { (p.t - lag, p.ttl + 1) };
            let macs = if leaves { (WAN_MAC, ISP_MAC) } else { (ISP_MAC, WAN_MAC) };
            frames.push(Frame { t, interface: 0, conn: i, pkt: k, bytes: frame(c.proto, p, src, dst, ttl, macs) });
        }
    }
    for (i, (c, _)) in blocked.iter().enumerate() {
        for (k, p) in c.pkts.iter().enumerate().filter(|(_, p)| captured(p.t)) {
            let dst = (OUTSIDE, c.dnat.unwrap_or(c.dport));
            let bytes = frame(c.proto, p, (c.src, c.sport), dst, p.ttl + 1, (ISP_MAC, WAN_MAC));
            frames.push(Frame { t: p.t - 100, interface: 0, conn: conns.len() + i, pkt: k, bytes });
        }
    }
    let mut out = finish(&mut frames, conns.len() + blocked.len());
    for n in [0xa1b2_c3d4u32, 4 << 16 | 2, 0, 0, 262_144, 1] {
        out.bytes.extend_from_slice(&n.to_le_bytes());
    }
    for f in &frames {
        let len = f.bytes.len() as u32;
        for n in [(f.t / 1_000_000) as u32, (f.t % 1_000_000) as u32, len, len] {
            out.bytes.extend_from_slice(&n.to_le_bytes());
        }
        out.bytes.extend_from_slice(&f.bytes);
    }
    out
}

/// The length of the frame on the wire, for the detector's counters.
pub fn wire_len(c: &Conn, p: &Pkt) -> u64 {
    ip_len(c.proto, p) as u64 + 14
}
