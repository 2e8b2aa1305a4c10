//! One packet: links, tunnels, IP, transport. The first two bytes are the link type.
#![no_main]

use backtrail::model::packet::LinkType;
use backtrail::protocols::layers;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let [a, b, rest @ ..] = data else { return };
    let walk = layers::decode(LinkType(u16::from_be_bytes([*a, *b])), rest);
    for found in &walk.found {
        assert!(found.payload.len() <= rest.len() && found.payload.len() <= found.segment.len());
    }
});
