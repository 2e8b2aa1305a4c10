//! AYIYA (draft-massar-v6ops-ayiya-02): IPv6 in UDP with identity and signature.

use super::{Next, Walk, ip};

/// Lengths of identity and signature in the first two bytes; operation 1 forwards a packet.
pub fn ayiya(w: &mut Walk<'_>, at: usize) -> Next {
    let Some(h) = w.bytes(at, 8) else { return Next::Stop };
    let identity = 1usize << (h[0] >> 4);
    let signature = 4 * usize::from(h[1] >> 4);
    let pos = at + 8 + identity + signature;
    let (operation, next) = (h[2] & 0x0f, h[3]);
    if operation != 1 || !matches!(next, 4 | 41) || !ip::plausible(w, pos) || !w.enter("ayiya") {
        return Next::Stop;
    }
    w.note("AYIYA", at..pos, |f| {
        f.add("identity", identity, at, 1);
        f.add("signature", signature, at + 1, 1);
        f.add("next header", next, at + 3, 1);
        format!("identity of {identity} bytes")
    });
    Next::Ip(pos)
}
