//! Linux cooked captures, versions 1 and 2 (tcpdump.org, LINKTYPE_LINUX_SLL and _SLL2).

use super::{Next, Walk};
use crate::model::hex::mac;

fn payload(w: &mut Walk<'_>, kind: u16, hardware: u16, at: usize) -> Next {
    match hardware {
        // Netlink, CAN and the like number their protocols otherwise; 778 is GRE, whose protocol is an EtherType.
        824 | 280 => Next::Stop,
        801 => Next::Wifi(at),
        803 => Next::Link(crate::model::packet::LinkType::RADIOTAP, at),
        _ => match kind {
            0x0001 | 0x0003 | 0x0004 => Next::Llc(at),
            n => {
                if n < 0x600 {
                    w.other = Some(n);
                    return Next::Stop;
                }
                Next::EtherType(n, at)
            }
        },
    }
}

/// Version 1: 16 bytes.
pub fn sll(w: &mut Walk<'_>, at: usize) -> Next {
    let Some(h) = w.bytes(at, 16) else {
        w.odd("sll_truncated", at, String::new());
        return Next::Stop;
    };
    let hardware = u16::from_be_bytes([h[2], h[3]]);
    if h[5] == 6 {
        w.link.src_mac = h[6..12].try_into().ok();
    }
    let kind = u16::from_be_bytes([h[14], h[15]]);
    w.note("Linux cooked", at..at + 16, |f| {
        f.add("packet type", u16::from_be_bytes([h[0], h[1]]), at, 2);
        f.add("hardware", hardware, at + 2, 2);
        f.add("source", mac(&h[6..6 + usize::from(h[5]).min(8)]), at + 6, 8);
        f.add("type", format!("0x{kind:04x}"), at + 14, 2);
        format!("type 0x{kind:04x}")
    });
    payload(w, kind, hardware, at + 16)
}

/// Version 2: 20 bytes.
pub fn sll2(w: &mut Walk<'_>, at: usize) -> Next {
    let Some(h) = w.bytes(at, 20) else {
        w.odd("sll2_truncated", at, String::new());
        return Next::Stop;
    };
    let kind = u16::from_be_bytes([h[0], h[1]]);
    let hardware = u16::from_be_bytes([h[8], h[9]]);
    if h[11] == 6 {
        w.link.src_mac = h[12..18].try_into().ok();
    }
    w.note("Linux cooked 2", at..at + 20, |f| {
        f.add("type", format!("0x{kind:04x}"), at, 2);
        f.add("interface", u32::from_be_bytes([h[4], h[5], h[6], h[7]]), at + 4, 4);
        f.add("hardware", hardware, at + 8, 2);
        f.add("packet type", h[10], at + 10, 1);
        f.add("source", mac(&h[12..12 + usize::from(h[11]).min(8)]), at + 12, 8);
        format!("type 0x{kind:04x}")
    });
    payload(w, kind, hardware, at + 20)
}
