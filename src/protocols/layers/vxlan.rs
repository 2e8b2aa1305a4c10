//! VXLAN (RFC 7348) and its generic protocol extension (draft-ietf-nvo3-vxlan-gpe).

use super::{Next, Walk};

/// Eight bytes, of which the flag of a valid network id must be set and the reserved ones 0, then Ethernet.
pub fn vxlan(w: &mut Walk<'_>, at: usize) -> Next {
    let Some(h) = w.bytes(at, 8) else { return Next::Stop };
    // Some senders of the generic extension use the port of the plain form.
    if h[0] & 0xfc == 0x0c && h[3] != 0 {
        return gpe(w, at);
    }
    // The group policy extension uses the byte after the flags, so that only the last byte and the flags decide.
    if h[0] & 0x08 == 0 || h[0] & 0x77 != 0 || h[7] != 0 || w.bytes(at + 8, 14).is_none() {
        return Next::Stop;
    }
    let network = u32::from_be_bytes([0, h[4], h[5], h[6]]);
    if !w.enter("vxlan") {
        return Next::Stop;
    }
    w.note("VXLAN", at..at + 8, |f| {
        f.add("network", network, at + 4, 3);
        format!("network {network}")
    });
    Next::Ethernet(at + 8)
}

/// The generic extension: the flags say that the last byte names the next protocol.
pub fn gpe(w: &mut Walk<'_>, at: usize) -> Next {
    let Some(h) = w.bytes(at, 8) else { return Next::Stop };
    if h[0] & 0xfc != 0x0c || !matches!(h[3], 1..=3) || w.bytes(at + 8, 14).is_none() || !w.enter("vxlan") {
        return Next::Stop;
    }
    let (network, next) = (u32::from_be_bytes([0, h[4], h[5], h[6]]), h[3]);
    w.note("VXLAN GPE", at..at + 8, |f| {
        f.add("next protocol", next, at + 3, 1);
        f.add("network", network, at + 4, 3);
        format!("network {network}")
    });
    if next == 3 { Next::Ethernet(at + 8) } else { Next::Ip(at + 8) }
}

#[cfg(test)]
mod tests {
    use crate::model::packet::LinkType;
    use crate::protocols::layers::decode;
    use etherparse::PacketBuilder;

    #[test]
    fn both_forms_are_read_on_the_usual_port_and_what_is_neither_is_payload() {
        let mut inner = Vec::new();
        let builder = PacketBuilder::ethernet2([1; 6], [2; 6]).ipv4([172, 16, 0, 1], [172, 16, 0, 2], 64).udp(5000, 6000);
        builder.write(&mut inner, b"in").unwrap();
        for (head, found) in [
            ([8, 0, 0, 0, 0, 0, 42, 0], 2),
            ([0x88, 0, 0, 7, 0, 0, 42, 0], 2),
            ([0x0c, 0, 0, 3, 0, 0, 42, 0], 2),
            ([0x0c, 0, 0, 9, 0, 0, 42, 0], 1),
            ([0, 0, 0, 0, 0, 0, 42, 0], 1),
            ([8, 0, 0, 0, 0, 0, 42, 1], 1),
        ] {
            let mut packet = Vec::new();
            let payload = [&head[..], &inner].concat();
            PacketBuilder::ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64).udp(40_000, 4789).write(&mut packet, &payload).unwrap();
            assert_eq!(decode(LinkType::RAW, &packet).found.len(), found, "{head:?}");
        }
    }
}
