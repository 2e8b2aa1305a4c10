//! Datagrams as agents send them, built byte by byte.

use super::*;
use crate::formats::tests::line;
use crate::formats::{Dates, Zone};
use crate::model::origin::EvidenceKey;
use crate::model::time::Time;

fn words(all: &[u32]) -> Vec<u8> {
    all.iter().flat_map(|n| n.to_be_bytes()).collect()
}

fn context() -> Context {
    let modified = Time::parse("2026-11-20T12:00:00Z").unwrap();
    Context { evidence: EvidenceKey(1), stem: "s".into(), zone: Zone::Fixed(0), year: None, dates: Dates::default(), modified }
}

/// A datagram with one flow sample of IPv4 as structure 3.
fn datagram(sequence: u32) -> Vec<u8> {
    let structure = words(&[3, 32, 60, 17, 0xc000_0201, 0xc000_0235, 40_000, 53, 0, 0]);
    let sample = [words(&[1, 32 + structure.len() as u32, 1, 3, 256, 256, 0, 4, 5, 1]), structure].concat();
    [words(&[5, 1, 0xc000_02fa, 0, sequence, 77, 1]), sample].concat()
}

#[test]
fn a_sample_is_one_packet_at_the_time_that_it_came() {
    let mut agents = Agents::new(&context());
    let mut done = Vec::new();
    let came = Time::parse("2026-11-20T08:00:00Z");
    agents.datagram(&datagram(1), came, Unit { offset: 9, line: 0 }, &mut done);
    agents.datagram(&datagram(4), came, Unit { offset: 99, line: 0 }, &mut done);
    assert_eq!(
        line(&done[0].1.records[0]),
        "flow 2026-11-20T08:00:00Z src.ip=192.0.2.1 src.port=40000 dst.ip=192.0.2.53 dst.port=53 proto=udp packets.out=1 bytes.out=60 \
         interface.in=4 interface.out=5 extra={\"sampling.interval\":256,\"sflow.uptime\":77} sensor=192.0.2.250"
    );
    let losses: Vec<_> = done.iter().flat_map(|(_, out)| &out.losses).map(|l| (l.lost, l.of)).collect();
    assert_eq!(losses, [(0, 1), (2, 3)]);
}

#[test]
fn a_file_is_cut_into_its_datagrams_and_goes_on_after_what_is_none() {
    let data = [datagram(1), vec![9; 13], datagram(2), datagram(3)[..60].to_vec()].concat();
    assert_eq!(FORMAT.sniff(&data), Sniff::Yes);
    let (mut counts, mut oddities, mut records) = ([0; 4], Vec::new(), 0);
    crate::formats::read(&mut &data[..], &FORMAT, &context(), Unit { offset: 0, line: 1 }, &data, &mut |status, out| {
        counts[status as usize] += 1;
        records += out.records.len();
        oddities.extend(out.oddities.iter().map(|o| format!("{} {}", o.what, o.place)));
        true
    })
    .unwrap();
    assert_eq!((counts, records), ([2, 0, 0, 2], 2), "{oddities:?}");
    assert_eq!(oddities, ["export_bytes_skipped 13 bytes at byte 108", "sflow_datagram_cut 0 of 1 samples"]);
}
