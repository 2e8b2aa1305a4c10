//! PPP (RFC 1661), PPPoE sessions (RFC 2516), Cisco HDLC.

use super::{Next, Walk};

/// A PPP frame, with or without address and control bytes.
pub fn ppp(w: &mut Walk<'_>, at: usize) -> Next {
    let start = at;
    let mut at = at;
    if w.u16(at) == Some(0xff03) {
        at += 2;
    }
    // An odd first byte is a protocol number compressed to one byte.
    let (number, len) = match (w.u8(at), w.u16(at)) {
        (Some(first), _) if first & 1 == 1 => (u16::from(first), 1),
        (_, Some(number)) => (number, 2),
        _ => {
            w.odd("ppp_truncated", at, String::new());
            return Next::Stop;
        }
    };
    w.note("PPP", start..at + len, |f| {
        f.add("protocol", format!("0x{number:04x}"), at, len);
        format!("protocol 0x{number:04x}")
    });
    let next = at + len;
    match number {
        0x0021 | 0x0057 => Next::Ip(next),
        0x0281 | 0x0283 => Next::EtherType(0x8847, next),
        _ => {
            w.other = Some(number);
            Next::Stop
        }
    }
}

/// A PPPoE session header; discovery (code other than 0) carries no data.
pub fn pppoe(w: &mut Walk<'_>, at: usize) -> Next {
    let Some(h) = w.bytes(at, 6) else {
        w.odd("pppoe_truncated", at, String::new());
        return Next::Stop;
    };
    let (session, len) = (u16::from_be_bytes([h[2], h[3]]), u16::from_be_bytes([h[4], h[5]]));
    w.note("PPPoE", at..at + 6, |f| {
        f.add("code", h[1], at + 1, 1);
        f.add("session", session, at + 2, 2);
        f.add("length", len, at + 4, 2);
        format!("session {session}")
    });
    if h[0] != 0x11 {
        w.odd("pppoe_version", at, format!("0x{:02x}", h[0]));
        return Next::Stop;
    }
    if h[1] != 0 {
        w.other = Some(0x8863);
        return Next::Stop;
    }
    w.limit(at + 6 + usize::from(len));
    Next::Ppp(at + 6)
}

/// Cisco HDLC: address, control, EtherType.
pub fn hdlc(w: &mut Walk<'_>, at: usize) -> Next {
    let Some(kind) = w.u16(at + 2) else {
        w.odd("hdlc_truncated", at, String::new());
        return Next::Stop;
    };
    w.note("Cisco HDLC", at..at + 4, |f| {
        f.add("type", format!("0x{kind:04x}"), at + 2, 2);
        format!("type 0x{kind:04x}")
    });
    Next::EtherType(kind, at + 4)
}
