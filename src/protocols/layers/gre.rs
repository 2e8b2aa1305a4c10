//! GRE (RFC 2784, 2890), its PPTP variant (RFC 2637) and ERSPAN types I to III.

use super::{ETHERTYPES, Next, Walk};

const CHECKSUM: u16 = 0x8000;
const ROUTING: u16 = 0x4000;
const KEY: u16 = 0x2000;
const SEQUENCE: u16 = 0x1000;
const ACKNOWLEDGE: u16 = 0x0080;

/// A GRE header and what its protocol type says.
pub fn gre(w: &mut Walk<'_>, at: usize) -> Next {
    let (Some(flags), Some(kind)) = (w.u16(at), w.u16(at + 2)) else {
        w.odd("gre_truncated", at, String::new());
        return Next::Stop;
    };
    let version = flags & 7;
    let mut len = 4;
    if flags & CHECKSUM != 0 || flags & ROUTING != 0 {
        len += 4;
    }
    if flags & KEY != 0 {
        len += 4;
    }
    if flags & SEQUENCE != 0 {
        len += 4;
    }
    if version == 1 && flags & ACKNOWLEDGE != 0 {
        len += 4;
    }
    if version > 1 || (version == 1 && kind != 0x880b) {
        w.odd("gre_version", at, format!("version {version} type 0x{kind:04x}"));
        return Next::Stop;
    }
    if flags & ROUTING != 0 && version == 0 {
        // Source route entries: family, offset, length, until family and length are 0.
        loop {
            let Some(e) = w.bytes(at + len, 4) else {
                w.odd("gre_truncated", at, String::new());
                return Next::Stop;
            };
            len += 4 + usize::from(e[3]);
            if e[0] == 0 && e[1] == 0 && e[3] == 0 {
                break;
            }
        }
    }
    if w.bytes(at, len).is_none() {
        w.odd("gre_truncated", at, String::new());
        return Next::Stop;
    }
    w.note("GRE", at..at + len, |f| {
        f.add("flags", format!("0x{flags:04x}"), at, 2);
        f.add("type", format!("0x{kind:04x}"), at + 2, 2);
        format!("type 0x{kind:04x}")
    });
    let next = at + len;
    // A PPTP acknowledgement carries nothing.
    if w.rest(next).is_empty() {
        return Next::Stop;
    }
    let known = ETHERTYPES.iter().any(|e| e.0 == kind);
    let wireless = matches!(kind, 0x8200..=0x82ff | 0x9000..=0x90ff);
    if !known && !wireless {
        w.other = Some(kind);
        return Next::Stop;
    }
    if !w.enter(if matches!(kind, 0x88be | 0x22eb) { "erspan" } else { "gre" }) {
        return Next::Stop;
    }
    match kind {
        // Without a sequence number ERSPAN is of type I: no header of its own.
        0x88be if flags & SEQUENCE == 0 => Next::Ethernet(next),
        _ if wireless => Next::Wifi(next),
        _ => Next::EtherType(kind, next),
    }
}

/// ERSPAN type II: 8 bytes, then the mirrored frame.
pub fn erspan2(w: &mut Walk<'_>, at: usize) -> Next {
    let Some(head) = w.u32(at).filter(|_| w.bytes(at, 8).is_some()) else {
        w.odd("erspan_truncated", at, String::new());
        return Next::Stop;
    };
    w.note("ERSPAN", at..at + 8, |f| {
        f.add("vlan", (head >> 16) & 0xfff, at, 2);
        f.add("session", head & 0x3ff, at + 2, 2);
        format!("session {}", head & 0x3ff)
    });
    Next::Ethernet(at + 8)
}

/// ERSPAN type III: 12 bytes and, by a flag, 8 more; then the mirrored frame.
pub fn erspan3(w: &mut Walk<'_>, at: usize) -> Next {
    let (Some(head), Some(last)) = (w.u32(at), w.u32(at + 8)) else {
        w.odd("erspan_truncated", at, String::new());
        return Next::Stop;
    };
    let len = if last & 1 != 0 { 20 } else { 12 };
    w.note("ERSPAN III", at..(at + len).min(w.end), |f| {
        f.add("session", head & 0x3ff, at + 2, 2);
        format!("session {}", head & 0x3ff)
    });
    // The frame type: 0 Ethernet, 2 IP.
    match (last >> 11) & 0x1f {
        2 => Next::Ip(at + len),
        _ => Next::Ethernet(at + len),
    }
}
