//! Tags between Ethernet and its payload: 802.1Q and 802.1ad stacks, 802.1ah (provider backbone), VN-Tag (802.1BR), Cisco metadata.

use super::{Next, Walk};

/// A VLAN tag. The first two ids of a stack are kept.
pub fn vlan(w: &mut Walk<'_>, at: usize) -> Next {
    let Some(h) = w.bytes(at, 4) else {
        w.odd("vlan_truncated", at, String::new());
        return Next::Stop;
    };
    let tci = u16::from_be_bytes([h[0], h[1]]);
    let kind = u16::from_be_bytes([h[2], h[3]]);
    let id = tci & 0x0fff;
    if w.link.vlan[0].is_none() {
        w.link.vlan[0] = Some(id);
    } else if w.link.vlan[1].is_none() {
        w.link.vlan[1] = Some(id);
    }
    w.note("VLAN", at..at + 4, |f| {
        f.add("priority", tci >> 13, at, 1);
        f.add("id", id, at, 2);
        f.add("type", format!("0x{kind:04x}"), at + 2, 2);
        format!("id {id}")
    });
    if kind >= 0x600 {
        return Next::EtherType(kind, at + 4);
    }
    w.limit(at + 4 + usize::from(kind));
    Next::Llc(at + 4)
}

/// A backbone service instance tag, then the customer's Ethernet frame.
pub fn pbb(w: &mut Walk<'_>, at: usize) -> Next {
    let Some(tag) = w.u32(at) else {
        w.odd("pbb_truncated", at, String::new());
        return Next::Stop;
    };
    w.note("802.1ah", at..at + 4, |f| {
        f.add("service", tag & 0x00ff_ffff, at + 1, 3);
        format!("service {}", tag & 0x00ff_ffff)
    });
    Next::Ethernet(at + 4)
}

/// A virtual network tag.
pub fn vntag(w: &mut Walk<'_>, at: usize) -> Next {
    let (Some(tag), Some(kind)) = (w.u32(at), w.u16(at + 4)) else {
        w.odd("vntag_truncated", at, String::new());
        return Next::Stop;
    };
    w.note("VN-Tag", at..at + 6, |f| {
        f.add("destination interface", (tag >> 16) & 0x3fff, at, 2);
        f.add("source interface", tag & 0x0fff, at + 2, 2);
        f.add("type", format!("0x{kind:04x}"), at + 4, 2);
        format!("interface {} > {}", tag & 0x0fff, (tag >> 16) & 0x3fff)
    });
    Next::EtherType(kind, at + 6)
}

/// Cisco metadata: version, length in words of 4 bytes, options, then an EtherType.
pub fn cisco_metadata(w: &mut Walk<'_>, at: usize) -> Next {
    let Some(words) = w.u8(at + 1) else {
        w.odd("cmd_truncated", at, String::new());
        return Next::Stop;
    };
    let after = at + 4 * usize::from(words.max(1)) + 2;
    let Some(kind) = w.u16(after - 2) else {
        w.odd("cmd_truncated", at, String::new());
        return Next::Stop;
    };
    w.note("CMD", at..after, |_| "Cisco metadata".to_owned());
    Next::EtherType(kind, after)
}
