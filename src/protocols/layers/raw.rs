//! Links without a link layer worth the name: raw IP, BSD null and loop.

use super::{Next, Walk};

/// IPv4 or IPv6 directly.
pub fn raw(_: &mut Walk<'_>, at: usize) -> Next {
    Next::Ip(at)
}

/// Four bytes of address family in the byte order of the capturing host (null) or of the network (loop), then IP.
pub fn null(w: &mut Walk<'_>, at: usize) -> Next {
    let Some(h) = w.bytes(at, 4) else {
        w.odd("null_truncated", at, String::new());
        return Next::Stop;
    };
    let family = if h[0] == 0 && h[1] == 0 { u16::from_be_bytes([h[2], h[3]]) } else { u16::from_le_bytes([h[0], h[1]]) };
    w.note("Loopback", at..at + 4, |f| {
        f.add("family", family, at, 4);
        format!("family {family}")
    });
    // 2 is IPv4 everywhere; IPv6 is 10, 23, 24, 28 or 30, by system. Some write an EtherType.
    match family {
        2 | 10 | 23 | 24 | 28 | 30 => Next::Ip(at + 4),
        n if n >= 0x600 => Next::EtherType(n, at + 4),
        _ => {
            w.other = Some(family);
            Next::Stop
        }
    }
}
