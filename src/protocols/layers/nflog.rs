//! Packets of the Linux netfilter log target (tcpdump.org, LINKTYPE_NFLOG).

use super::{Next, Walk};

/// Family, version, resource, then attributes (length and type in host order); attribute 9 holds the packet.
pub fn nflog(w: &mut Walk<'_>, at: usize) -> Next {
    let (Some(family), Some(version)) = (w.u8(at), w.u8(at + 1)) else {
        w.odd("nflog_truncated", at, String::new());
        return Next::Stop;
    };
    if version != 0 || !matches!(family, 2 | 10) {
        w.odd("nflog_unknown", at, format!("version {version} family {family}"));
        return Next::Stop;
    }
    let mut pos = at + 4;
    while let Some(h) = w.bytes(pos, 4) {
        // Captures of the host orders seen in practice are little-endian.
        let (len, kind) = (usize::from(u16::from_le_bytes([h[0], h[1]])), u16::from_le_bytes([h[2], h[3]]));
        if len < 4 {
            w.odd("nflog_bad_length", pos, len.to_string());
            return Next::Stop;
        }
        if kind == 9 {
            w.note("NFLOG", at..pos + 4, |_| format!("family {family}"));
            w.limit(pos + len);
            return Next::Ip(pos + 4);
        }
        pos += len.next_multiple_of(4);
    }
    w.odd("nflog_truncated", pos, String::new());
    Next::Stop
}
