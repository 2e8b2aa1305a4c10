//! Teredo (RFC 4380): IPv6 in UDP, with authentication and origin indication before it.

use super::{Next, Walk, ip};

/// Optional authentication (00 01) and origin (00 00), then IPv6.
pub fn teredo(w: &mut Walk<'_>, at: usize) -> Next {
    let mut pos = at;
    if w.u16(pos) == Some(1) {
        let (Some(id), Some(auth)) = (w.u8(pos + 2), w.u8(pos + 3)) else { return Next::Stop };
        pos += 13 + usize::from(id) + usize::from(auth);
    }
    if w.u16(pos) == Some(0) {
        pos += 8;
    }
    if w.u8(pos).map(|b| b >> 4) != Some(6) || !ip::plausible(w, pos) || !w.enter("teredo") {
        return Next::Stop;
    }
    w.note("Teredo", at..pos, |_| format!("{} bytes", pos - at));
    Next::Ip(pos)
}
