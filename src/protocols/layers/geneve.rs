//! Geneve (RFC 8926).

use super::{ETHERTYPES, Next, Walk};

/// Eight bytes, options in words of 4 bytes, then what the protocol type says.
pub fn geneve(w: &mut Walk<'_>, at: usize) -> Next {
    let Some(h) = w.bytes(at, 8) else { return Next::Stop };
    let kind = u16::from_be_bytes([h[2], h[3]]);
    let len = 8 + 4 * usize::from(h[0] & 0x3f);
    if h[0] >> 6 != 0 || !ETHERTYPES.iter().any(|e| e.0 == kind) || w.bytes(at, len).is_none() || !w.enter("geneve") {
        return Next::Stop;
    }
    let network = u32::from_be_bytes([0, h[4], h[5], h[6]]);
    w.note("Geneve", at..at + len, |f| {
        f.add("type", format!("0x{kind:04x}"), at + 2, 2);
        f.add("network", network, at + 4, 3);
        format!("network {network}")
    });
    Next::EtherType(kind, at + len)
}
