//! Tags between Ethernet and its payload: 802.1Q and 802.1ad stacks, 802.1ah (provider backbone), VN-Tag (802.1BR), Cisco FabricPath and metadata.

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

/// A FabricPath tag, then the frame that it carries. The addresses before it are numbers of switches.
pub fn fabricpath(w: &mut Walk<'_>, at: usize) -> Next {
    let Some(tag) = w.u16(at) else {
        w.odd("fabricpath_truncated", at, String::new());
        return Next::Stop;
    };
    (w.link.src_mac, w.link.dst_mac) = (None, None);
    w.note("FabricPath", at..at + 2, |f| {
        f.add("forwarding tree", tag >> 6, at, 2);
        f.add("ttl", tag & 0x3f, at + 1, 1);
        format!("tree {}", tag >> 6)
    });
    Next::Ethernet(at + 2)
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

#[cfg(test)]
mod tests {
    use crate::model::packet::LinkType;
    use crate::protocols::layers::{decode, dissect};
    use etherparse::PacketBuilder;

    #[test]
    fn a_frame_in_fabricpath_is_read_and_has_its_own_addresses() {
        let mut inner = Vec::new();
        let builder = PacketBuilder::ethernet2([1; 6], [2; 6]).ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64).udp(1000, 2000);
        builder.write(&mut inner, b"hello").unwrap();
        let frame = [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x89, 0x03, 0x04, 0x60][..], &inner].concat();
        let walk = decode(LinkType::ETHERNET, &frame);
        assert_eq!((walk.found.len(), walk.found[0].link.src_mac, walk.found[0].payload), (1, Some([1; 6]), &b"hello"[..]));
        let names: Vec<_> = dissect(LinkType::ETHERNET, &frame).iter().map(|l| l.name).collect();
        assert_eq!(names, ["Ethernet", "FabricPath", "Ethernet", "IPv4", "UDP", "Payload"]);
        assert_eq!(decode(LinkType::ETHERNET, &frame[..15]).oddities[0].what, "fabricpath_truncated");
    }
}
