//! The readers of capture files. The first byte is the kind.
#![no_main]

use backtrail::sources::capture::{self, CaptureKind, Item};
use libfuzzer_sys::fuzz_target;

const KINDS: [CaptureKind; 3] = [CaptureKind::Pcap, CaptureKind::PcapNg, CaptureKind::Snoop];

fuzz_target!(init: backtrail_fuzz::strict(), |data: &[u8]| {
    let Some((kind, mut rest)) = data.split_first() else { return };
    let Some(kind) = KINDS.get(usize::from(*kind) % KINDS.len()) else { return };
    let mut packets = 0u64;
    let length = rest.len();
    capture::read(*kind, &mut rest, &mut |item| {
        if let Item::Packet(p) = item {
            packets += 1;
            assert!(p.number == packets && p.data.len() <= length);
        }
        true
    });
});
