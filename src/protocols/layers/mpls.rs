//! MPLS label stacks (RFC 3032) and pseudowires (RFC 4385, RFC 4448).

use super::{Next, Walk};

/// Labels until the bottom of the stack; what follows is told from its first four bits.
pub fn mpls(w: &mut Walk<'_>, at: usize) -> Next {
    let mut pos = at;
    loop {
        let Some(label) = w.u32(pos) else {
            w.odd("mpls_truncated", pos, String::new());
            return Next::Stop;
        };
        w.note("MPLS", pos..pos + 4, |f| {
            f.add("label", label >> 12, pos, 3);
            f.add("class", (label >> 9) & 7, pos + 2, 1);
            f.add("ttl", label & 0xff, pos + 3, 1);
            format!("label {}", label >> 12)
        });
        pos += 4;
        if label & 0x100 != 0 {
            break;
        }
        if pos - at > 64 {
            w.odd("mpls_stack_too_deep", pos, String::new());
            return Next::Stop;
        }
    }
    match w.u8(pos).map(|b| b >> 4) {
        Some(4 | 6) => Next::Ip(pos),
        // A control word, then the frame.
        Some(0) => Next::Ethernet(pos + 4),
        Some(_) => Next::Ethernet(pos),
        None => Next::Stop,
    }
}
