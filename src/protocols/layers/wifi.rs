//! IEEE 802.11 data frames, and the headers that capture systems put before them: radiotap, Prism, AVS, PPI.

use super::{Later, Next, Walk};
use crate::model::hex;
use crate::model::packet::LinkType;

/// An 802.11 header. Only data frames that are not encrypted go on; of an aggregate (A-MSDU) every frame does.
pub fn wifi(w: &mut Walk<'_>, at: usize) -> Next {
    let Some(h) = w.bytes(at, 24) else {
        if w.bytes(at, 10).is_none() {
            w.odd("wifi_truncated", at, String::new());
        }
        return Next::Stop;
    };
    let (kind, subtype) = ((h[0] >> 2) & 3, h[0] >> 4);
    let (to_ds, from_ds) = (h[1] & 1 != 0, h[1] & 2 != 0);
    let mut len = 24;
    if to_ds && from_ds {
        len += 6;
    }
    let quality = kind == 2 && subtype & 8 != 0;
    let mut aggregate = false;
    if quality {
        aggregate = w.u8(at + len).is_some_and(|q| q & 0x80 != 0);
        len += 2;
        if h[1] & 0x80 != 0 {
            len += 4;
        }
    }
    let (dst, src) = match (to_ds, from_ds) {
        (false, false) => (4, 10),
        (false, true) => (4, 16),
        (true, false) => (16, 10),
        (true, true) => (16, 24),
    };
    if let (Some(d), Some(s)) = (w.bytes(at + dst, 6), w.bytes(at + src, 6)) {
        w.link.dst_mac = d.try_into().ok();
        w.link.src_mac = s.try_into().ok();
    }
    let link = w.link;
    let shown = len.min(w.end.saturating_sub(at));
    w.note("802.11", at..at + shown, |f| {
        let mac = |m: Option<[u8; 6]>| m.map_or_else(String::new, |m| hex::mac(&m));
        f.add("type", kind, at, 1);
        f.add("subtype", subtype, at, 1);
        f.add("destination", mac(link.dst_mac), at + dst, 6);
        f.add("source", mac(link.src_mac), at + src, 6);
        format!("{} > {}", mac(link.src_mac), mac(link.dst_mac))
    });
    // Not data, data without a body, or encrypted.
    if kind != 2 || subtype & 4 != 0 || h[1] & 0x40 != 0 {
        w.other = Some(u16::from(h[0]));
        return Next::Stop;
    }
    if aggregate { Next::Aggregated(at + len) } else { Next::Llc(at + len) }
}

/// One frame of an aggregate: destination, source, length, then LLC. The next begins at a multiple of four bytes after its own begin.
pub fn aggregated(w: &mut Walk<'_>, at: usize) -> Next {
    let (Some(macs), Some(stated)) = (w.bytes(at, 12), w.u16(at + 12)) else {
        w.odd("wifi_aggregate_truncated", at, String::new());
        return Next::Stop;
    };
    let len = 14 + usize::from(stated);
    let next = at + len.next_multiple_of(4);
    if w.bytes(next, 14).is_some() {
        w.later = Some(Later { next: Next::Aggregated(next), end: w.end, link: w.link, tunnels: w.tunnels });
    }
    w.link.dst_mac = macs[..6].try_into().ok();
    w.link.src_mac = macs[6..].try_into().ok();
    w.note("802.11 aggregated frame", at..at + 14, |f| {
        f.add("length", stated, at + 12, 2);
        format!("{stated} bytes")
    });
    w.limit(at + len);
    Next::Llc(at + 14)
}

/// A radiotap header: its own length, then 802.11.
pub fn radiotap(w: &mut Walk<'_>, at: usize) -> Next {
    let Some(h) = w.bytes(at, 4) else {
        w.odd("radiotap_truncated", at, String::new());
        return Next::Stop;
    };
    let len = usize::from(u16::from_le_bytes([h[2], h[3]]));
    if len < 8 || w.bytes(at, len).is_none() {
        w.odd("radiotap_bad_length", at, len.to_string());
        return Next::Stop;
    }
    w.note("Radiotap", at..at + len, |_| format!("{len} bytes"));
    Next::Wifi(at + len)
}

/// A Prism header: 144 bytes (length in its second word), unless it is an AVS header.
pub fn prism(w: &mut Walk<'_>, at: usize) -> Next {
    if w.u32(at).is_some_and(|magic| magic & 0xffff_f000 == 0x8021_1000) {
        return avs(w, at);
    }
    let Some(h) = w.bytes(at, 8) else {
        w.odd("prism_truncated", at, String::new());
        return Next::Stop;
    };
    let len = match u32::from_le_bytes([h[4], h[5], h[6], h[7]]) {
        n @ 8..=512 => n as usize,
        _ => 144,
    };
    w.note("Prism", at..(at + len).min(w.end), |_| format!("{len} bytes"));
    Next::Wifi(at + len)
}

/// An AVS header: version, its own length, in network order.
pub fn avs(w: &mut Walk<'_>, at: usize) -> Next {
    let Some(len) = w.u32(at + 4).map(|n| n as usize).filter(|n| (8..=512).contains(n)) else {
        w.odd("avs_bad_length", at, String::new());
        return Next::Stop;
    };
    w.note("AVS", at..(at + len).min(w.end), |_| format!("{len} bytes"));
    Next::Wifi(at + len)
}

/// A PPI header: its own length and the link type of what follows.
pub fn ppi(w: &mut Walk<'_>, at: usize) -> Next {
    let Some(h) = w.bytes(at, 8) else {
        w.odd("ppi_truncated", at, String::new());
        return Next::Stop;
    };
    let len = usize::from(u16::from_le_bytes([h[2], h[3]]));
    let link = u32::from_le_bytes([h[4], h[5], h[6], h[7]]);
    if len < 8 || w.bytes(at, len).is_none() {
        w.odd("ppi_bad_length", at, len.to_string());
        return Next::Stop;
    }
    w.note("PPI", at..at + len, |_| format!("link type {link}"));
    // PPI within PPI would let a packet choose its own depth.
    match u16::try_from(link) {
        Ok(link) if link != 192 => Next::Link(LinkType(link), at + len),
        _ => Next::Stop,
    }
}
