//! One packet: links, tunnels, IP, transport, as the meter reads it and as the packet pane shows it. The first two bytes are the link type.
#![no_main]

use backtrail::model::packet::LinkType;
use backtrail::protocols::layers;
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: backtrail_fuzz::strict(), |data: &[u8]| {
    let [a, b, rest @ ..] = data else { return };
    let link = LinkType(u16::from_be_bytes([*a, *b]));
    let walk = layers::decode(link, rest);
    for found in &walk.found {
        assert!(found.payload.len() <= rest.len() && found.payload.len() <= found.segment.len());
    }
    for layer in layers::dissect(link, rest) {
        assert!(layer.range.end <= rest.len() && layer.fields.iter().all(|(_, _, bytes)| bytes.end <= rest.len()), "{layer:?}");
    }
});
