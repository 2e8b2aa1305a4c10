//! Every layer of a packet with its byte range and fields, for the packet pane.

use super::{Next, Walk};
use crate::model::guard;
use crate::model::packet::LinkType;
use std::ops::Range;

/// A layer of a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// Its protocol; `Malformed` for what is wrong, `Payload` or `Data` for what is not decoded.
    pub name: &'static str,
    /// Its bytes in the captured packet.
    pub range: Range<usize>,
    /// One line.
    pub summary: String,
    /// Name, value and bytes of its fields, in the order of the header.
    pub fields: Vec<(String, String, Range<usize>)>,
}

/// The layers of a captured packet, outer first. Malformed packets give what was understood, and a layer `Malformed` that says what is
/// wrong. Ranges lie within the packet.
pub fn dissect(link: LinkType, data: &[u8]) -> Vec<Layer> {
    let walked = guard::quietly(|| {
        let mut walk = Walk::new(data, Some(Vec::new()));
        walk.run(Next::Link(link, 0));
        walk.notes.unwrap_or_default()
    });
    let mut layers = walked.unwrap_or_else(|| {
        let summary = guard::PANICKED.to_owned();
        vec![Layer { name: "Malformed", range: 0..data.len(), summary, fields: Vec::new() }]
    });
    for layer in &mut layers {
        clamp(&mut layer.range, data.len());
        for field in &mut layer.fields {
            clamp(&mut field.2, data.len());
        }
    }
    layers
}

fn clamp(range: &mut Range<usize>, len: usize) {
    range.end = range.end.min(len);
    range.start = range.start.min(range.end);
}

#[cfg(test)]
mod tests {
    use super::*;
    use etherparse::PacketBuilder;

    fn frame() -> Vec<u8> {
        let builder = PacketBuilder::ethernet2([1, 2, 3, 4, 5, 6], [7, 8, 9, 10, 11, 12])
            .single_vlan(etherparse::VlanId::try_new(7).unwrap())
            .ipv4([10, 0, 0, 1], [192, 0, 2, 80], 64)
            .tcp(40000, 80, 5, 1000)
            .syn()
            .options(&[etherparse::TcpOptionElement::MaximumSegmentSize(1460)])
            .unwrap();
        let mut out = Vec::new();
        builder.write(&mut out, b"hello").unwrap();
        out
    }

    #[test]
    fn the_layers_of_a_frame_cover_it_without_a_hole() {
        let frame = frame();
        let layers = dissect(LinkType::ETHERNET, &frame);
        let names: Vec<_> = layers.iter().map(|l| l.name).collect();
        assert_eq!(names, ["Ethernet", "VLAN", "IPv4", "TCP", "Payload"]);
        for pair in layers.windows(2) {
            assert_eq!(pair[0].range.end, pair[1].range.start);
        }
        assert_eq!(layers.last().map(|l| l.range.end), Some(frame.len()));
        let tcp = &layers[3];
        assert!(tcp.fields.iter().any(|f| f.0 == "option" && f.1 == "maximum segment 1460"));
        assert!(tcp.fields.iter().any(|f| f.0 == "checksum" && f.1.ends_with("good")));
    }

    #[test]
    fn a_frame_cut_at_any_byte_says_so_and_keeps_its_ranges_inside() {
        let frame = frame();
        for n in 0..frame.len() {
            let layers = dissect(LinkType::ETHERNET, &frame[..n]);
            assert!(layers.iter().all(|l| l.range.end <= n && l.fields.iter().all(|f| f.2.end <= n)), "cut at {n}");
            if n < 58 {
                assert!(layers.iter().any(|l| l.name == "Malformed"), "cut at {n}");
            }
        }
    }

    #[test]
    fn an_unknown_link_type_is_named() {
        let layers = dissect(LinkType(201), &[0; 8]);
        assert_eq!(layers.len(), 1);
        assert_eq!(layers[0].summary, "link_type_unknown: 201 BLUETOOTH_HCI_H4_WITH_PHDR");
    }
}
