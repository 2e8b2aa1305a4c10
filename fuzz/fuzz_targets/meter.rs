//! A capture through the flow meter with every protocol. The first byte is the kind of capture. A parser that panics is found though the
//! meter survives it.
#![no_main]

use backtrail::flow::{Config, Meter, Sink};
use backtrail::model::flow::Flow;
use backtrail::model::packet::PacketRef;
use backtrail::model::{EvidenceKey, Oddity, Record, RecordId, Time, guard};
use backtrail::sources::capture::{self, CaptureKind, Item};
use libfuzzer_sys::fuzz_target;

#[derive(Default)]
struct Counts {
    flows: u64,
    packets: u64,
}

impl Sink for Counts {
    fn flow(&mut self, flow: Flow, packets: &[PacketRef], _: u32) {
        self.flows += 1;
        self.packets += packets.len() as u64;
        assert!(flow.start <= flow.end || flow.out.packets + flow.in_.packets > 0);
    }
    fn packets(&mut self, _: RecordId, packets: &[PacketRef], _: u32) {
        self.packets += packets.len() as u64;
    }
    fn event(&mut self, _: Record, _: u32) {}
    fn oddity(&mut self, oddity: Oddity, _: Time, _: u64, _: u32) {
        assert!(oddity.what != guard::PANICKED, "a parser panicked");
    }
}

fuzz_target!(init: backtrail_fuzz::strict(), |data: &[u8]| {
    let Some((kind, mut rest)) = data.split_first() else { return };
    let kinds = [CaptureKind::Pcap, CaptureKind::PcapNg, CaptureKind::Pcap, CaptureKind::Snoop];
    let kind = kinds[usize::from(*kind) % kinds.len()];
    let config = Config { max_flows: 64, stream_budget: 1 << 20, refs_per_flow: 64, refs_budget: 4096, ..Config::default() };
    let mut meter = Meter::new(config, EvidenceKey(1));
    let mut counts = Counts::default();
    capture::read(kind, &mut rest, &mut |item| {
        if let Item::Packet(packet) = item {
            meter.packet(&packet, &mut counts);
            assert!(meter.live() <= 64);
        }
        true
    });
    meter.finish(&mut counts);
    assert_eq!((meter.live(), meter.stats().flows), (0, counts.flows));
});
