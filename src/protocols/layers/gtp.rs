//! GTP-U version 1 (3GPP TS 29.281): user data only.

use super::{Next, Walk, ip};

/// A G-PDU: version 1, message 255, a length that fits, an IP packet inside.
pub fn gtp(w: &mut Walk<'_>, at: usize) -> Next {
    let Some(h) = w.bytes(at, 8) else { return Next::Stop };
    if h[0] >> 5 != 1 || h[0] & 0x10 == 0 || h[1] != 0xff {
        return Next::Stop;
    }
    let stated = usize::from(u16::from_be_bytes([h[2], h[3]]));
    let endpoint = u32::from_be_bytes([h[4], h[5], h[6], h[7]]);
    let mut pos = at + 8;
    if h[0] & 7 != 0 {
        let Some(mut next) = w.u8(at + 11) else { return Next::Stop };
        pos += 4;
        if h[0] & 4 == 0 {
            next = 0;
        }
        // Extension headers: length in words of 4 bytes, content, type of the next.
        while next != 0 {
            let Some(words) = w.u8(pos).map(usize::from).filter(|n| *n > 0) else { return Next::Stop };
            pos += 4 * words;
            let Some(kind) = w.u8(pos - 1) else { return Next::Stop };
            next = kind;
        }
    }
    if stated + 8 < pos - at || !ip::plausible(w, pos) || !w.enter("gtpv1") {
        return Next::Stop;
    }
    w.note("GTP-U", at..pos, |f| {
        f.add("length", stated, at + 2, 2);
        f.add("endpoint", format!("0x{endpoint:08x}"), at + 4, 4);
        format!("endpoint 0x{endpoint:08x}")
    });
    Next::Ip(pos)
}
