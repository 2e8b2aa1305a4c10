//! L2TP version 2 data messages (RFC 2661).

use super::{Next, Walk};

/// Flags say which fields follow; then PPP. Control messages carry no packet.
pub fn l2tp(w: &mut Walk<'_>, at: usize) -> Next {
    let Some(flags) = w.u16(at) else { return Next::Stop };
    if flags & 0x000f != 2 || flags & 0x8000 != 0 || flags & 0x34f0 != 0 {
        return Next::Stop;
    }
    let mut pos = at + 2;
    if flags & 0x4000 != 0 {
        pos += 2;
    }
    let (Some(tunnel), Some(session)) = (w.u16(pos), w.u16(pos + 2)) else { return Next::Stop };
    pos += 4;
    if flags & 0x0800 != 0 {
        pos += 4;
    }
    if flags & 0x0200 != 0 {
        let Some(offset) = w.u16(pos) else { return Next::Stop };
        pos += 2 + usize::from(offset);
    }
    let ppp = if w.u16(pos) == Some(0xff03) { pos + 2 } else { pos };
    let ip = matches!(w.u16(ppp), Some(0x0021 | 0x0057)) || matches!(w.u8(ppp), Some(0x21 | 0x57));
    if !ip || !w.enter("l2tp") {
        return Next::Stop;
    }
    w.note("L2TP", at..pos, |f| {
        f.add("tunnel", tunnel, pos - 4, 2);
        f.add("session", session, pos - 2, 2);
        format!("tunnel {tunnel} session {session}")
    });
    Next::Ppp(pos)
}
