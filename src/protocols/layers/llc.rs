//! IEEE 802.2 LLC and SNAP (RFC 1042).

use super::{Next, Walk};

/// An LLC header; with SNAP an EtherType follows.
pub fn llc(w: &mut Walk<'_>, at: usize) -> Next {
    let Some(h) = w.bytes(at, 3) else {
        w.odd("llc_truncated", at, String::new());
        return Next::Stop;
    };
    if h[0] == 0xaa && h[1] == 0xaa {
        let Some(s) = w.bytes(at, 8) else {
            w.odd("snap_truncated", at, String::new());
            return Next::Stop;
        };
        let kind = u16::from_be_bytes([s[6], s[7]]);
        w.note("LLC SNAP", at..at + 8, |f| {
            f.add("organisation", format!("{:02x}{:02x}{:02x}", s[3], s[4], s[5]), at + 3, 3);
            f.add("type", format!("0x{kind:04x}"), at + 6, 2);
            format!("type 0x{kind:04x}")
        });
        // Of the organisations only Ethernet (000000) and bridged Ethernet (0000f8) number by EtherType.
        return match (s[3], s[4], s[5]) {
            (0, 0, 0 | 0xf8) => Next::EtherType(kind, at + 8),
            _ => {
                w.other = Some(kind);
                Next::Stop
            }
        };
    }
    w.note("LLC", at..at + 3, |f| {
        f.add("destination", format!("0x{:02x}", h[0]), at, 1);
        f.add("source", format!("0x{:02x}", h[1]), at + 1, 1);
        f.add("control", format!("0x{:02x}", h[2]), at + 2, 1);
        match h[0] {
            0x42 => "spanning tree".to_owned(),
            0xfe => "OSI".to_owned(),
            0xe0 => "IPX".to_owned(),
            0xf0 => "NetBIOS".to_owned(),
            n => format!("service 0x{n:02x}"),
        }
    });
    if h[0] == 0x06 && h[1] == 0x06 {
        return Next::Ip(at + 3);
    }
    w.other = Some(u16::from(h[0]));
    Next::Stop
}
