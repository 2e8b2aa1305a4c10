//! Ethernet II and 802.3, ARP, EtherIP (RFC 3378).

use super::{Next, Walk};
use crate::model::hex::mac;

/// An Ethernet header. A type below 0x0600 is the length of an 802.3 frame, whose payload is LLC.
pub fn ethernet(w: &mut Walk<'_>, at: usize) -> Next {
    let Some(h) = w.bytes(at, 14) else {
        w.odd("ethernet_truncated", at, String::new());
        return Next::Stop;
    };
    let kind = u16::from_be_bytes([h[12], h[13]]);
    if w.link.src_mac.is_none() {
        w.link.dst_mac = h[..6].try_into().ok();
        w.link.src_mac = h[6..12].try_into().ok();
    }
    w.note("Ethernet", at..at + 14, |f| {
        f.add("destination", mac(&h[..6]), at, 6);
        f.add("source", mac(&h[6..12]), at + 6, 6);
        f.add(if kind < 0x600 { "length" } else { "type" }, format!("0x{kind:04x}"), at + 12, 2);
        format!("{} > {}", mac(&h[6..12]), mac(&h[..6]))
    });
    if kind >= 0x600 {
        return Next::EtherType(kind, at + 14);
    }
    // Cisco ISL, and IPX directly in 802.3, do not go on as LLC.
    if w.u16(at + 14) == Some(0xffff) {
        w.other = Some(kind);
        return Next::Stop;
    }
    w.limit(at + 14 + usize::from(kind));
    Next::Llc(at + 14)
}

/// ARP for IPv4 over Ethernet (RFC 826): shown, not metered.
pub fn arp(w: &mut Walk<'_>, at: usize) -> Next {
    w.other = Some(0x0806);
    let Some(h) = w.bytes(at, 8) else {
        w.odd("arp_truncated", at, String::new());
        return Next::Stop;
    };
    let operation = u16::from_be_bytes([h[6], h[7]]);
    let (hard, soft) = (usize::from(h[4]), usize::from(h[5]));
    let len = 8 + 2 * (hard + soft);
    let Some(all) = w.bytes(at, len) else {
        w.odd("arp_truncated", at, String::new());
        return Next::Stop;
    };
    if hard != 6 || soft != 4 {
        w.note("ARP", at..at + len, |_| format!("hardware length {hard}, protocol length {soft}"));
        return Next::Stop;
    }
    let ip = |from: usize| format!("{}.{}.{}.{}", all[from], all[from + 1], all[from + 2], all[from + 3]);
    w.note("ARP", at..at + len, |f| {
        f.add("operation", operation, at + 6, 2);
        f.add("sender hardware", mac(&all[8..14]), at + 8, 6);
        f.add("sender", ip(14), at + 14, 4);
        f.add("target hardware", mac(&all[18..24]), at + 18, 6);
        f.add("target", ip(24), at + 24, 4);
        match operation {
            1 => format!("who has {}? tell {}", ip(24), ip(14)),
            2 => format!("{} is at {}", ip(14), mac(&all[8..14])),
            n => format!("operation {n}"),
        }
    });
    Next::Stop
}

/// EtherIP: two bytes, version 3, then Ethernet.
pub fn etherip(w: &mut Walk<'_>, at: usize) -> Next {
    if w.u16(at) != Some(0x3000) || w.bytes(at + 2, 14).is_none() || !w.enter("etherip") {
        return Next::Stop;
    }
    w.note("EtherIP", at..at + 2, |_| "version 3".to_owned());
    Next::Ethernet(at + 2)
}
