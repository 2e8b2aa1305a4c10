//! Packets as exporters send them, built byte by byte.

use super::*;
use crate::formats::tests::line;
use crate::formats::{Dates, Zone};
use crate::model::origin::EvidenceKey;
use crate::model::time::Time;

/// 2026-11-20T08:00:00Z.
const NOW: u32 = 1_795_161_600;

/// Bytes of numbers of one to eight bytes.
macro_rules! bytes {
    ($( $n:expr ),* $(,)?) => { [$( &$n.to_be_bytes()[..] ),*].concat() };
}

fn set(id: u16, body: &[u8]) -> Vec<u8> {
    [&id.to_be_bytes(), &(body.len() as u16 + 4).to_be_bytes(), body].concat()
}

fn template(id: u16, fields: &[(u16, u16)]) -> Vec<u8> {
    let all: Vec<u8> = fields.iter().flat_map(|(f, l)| [f.to_be_bytes(), l.to_be_bytes()].concat()).collect();
    [bytes![id, fields.len() as u16], all].concat()
}

fn ipfix(sequence: u32, domain: u32, sets: &[Vec<u8>]) -> Vec<u8> {
    let body = sets.concat();
    [bytes![10u16, body.len() as u16 + 16, NOW, sequence, domain], body].concat()
}

fn nine(uptime: u32, sequence: u32, domain: u32, count: u16, sets: &[Vec<u8>]) -> Vec<u8> {
    [bytes![9u16, count, uptime, NOW, sequence, domain], sets.concat()].concat()
}

struct Told {
    lines: Vec<String>,
    oddities: Vec<String>,
    counts: [usize; 4],
    losses: Vec<(u64, u64)>,
}

fn context() -> Context {
    Context {
        evidence: EvidenceKey(1),
        stem: "sample".into(),
        zone: Zone::Fixed(0),
        year: None,
        dates: Dates::default(),
        modified: Time(0),
    }
}

fn read(data: &[u8]) -> Told {
    let context = context();
    let mut told = Told { lines: Vec::new(), oddities: Vec::new(), counts: [0; 4], losses: Vec::new() };
    let start = Unit { offset: 0, line: 1 };
    super::super::read(&mut &data[..], &FORMAT, &context, start, data, &mut |status, out| {
        told.counts[status as usize] += 1;
        told.lines.extend(out.records.iter().map(line));
        told.oddities.extend(out.oddities.iter().map(|o| format!("{} {}", o.what, o.place)));
        told.losses.extend(out.losses.iter().map(|l| (l.lost, l.of)));
        true
    })
    .unwrap();
    told
}

const V4: [u8; 8] = [192, 0, 2, 10, 198, 51, 100, 7];

#[test]
fn version_5_has_times_by_uptime_flags_and_sampling() {
    let record = [
        &V4[..],
        &bytes![0xc000_02feu32, 3u16, 4u16, 5u32, 420u32, 9_000u32, 9_500u32, 50_000u16, 443u16],
        &[0, 0x1b, 6, 0],
        &bytes![64_500u16, 0u16],
        &[24, 0, 0, 0],
    ]
    .concat();
    let ping =
        [&V4[..], &bytes![0u32, 0u16, 0u16, 1u32, 84u32, 9_900u32, 9_900u32, 0u16, 0x0800u16], &[0, 0, 1, 0], &[0; 8]].concat();
    let data = [bytes![5u16, 2u16, 10_000u32, NOW, 250_000_000u32, 77u32, 0u16, 0x4064u16], record, ping].concat();
    let told = read(&data);
    assert_eq!(FORMAT.sniff(&data), Sniff::Yes);
    assert_eq!(
        told.lines,
        [
            "flow 2026-11-20T07:59:59.250Z..2026-11-20T07:59:59.750Z src.ip=192.0.2.10 src.port=50000 dst.ip=198.51.100.7 dst.port=443 \
             proto=tcp packets.out=5 bytes.out=420 interface.in=3 interface.out=4 tcp.flags=FSPA \
             extra={\"ipNextHopIPv4Address\":\"192.0.2.254\",\"bgpSourceAsNumber\":64500,\"sourceIPv4PrefixLength\":24,\
             \"sampling.interval\":100,\"sampling.algorithm\":\"deterministic\"}",
            "flow 2026-11-20T08:00:00.150Z src.ip=192.0.2.10 src.port=8 dst.ip=198.51.100.7 dst.port=0 proto=icmp packets.out=1 bytes.out=84 \
             interface.in=0 interface.out=0 extra={\"sampling.interval\":100,\"sampling.algorithm\":\"deterministic\"}",
        ]
    );
    assert_eq!(told.counts, [1, 0, 0, 0]);
    // A packet that ends early is read as far as it goes.
    let cut = read(&data[..100]);
    assert_eq!((cut.lines.len(), cut.counts, &cut.oddities[0][..]), (1, [0, 1, 0, 0], "export_packet_cut 1 of 2 records"));
}

#[test]
fn a_hole_in_the_sequence_is_a_loss_and_a_new_beginning_is_none() {
    let record =
        [&V4[..], &bytes![0u32, 0u16, 0u16, 1u32, 84u32, 9_900u32, 9_900u32, 1u16, 2u16], &[0, 0, 17, 0], &[0; 8]].concat();
    let packet = |sequence: u32| [bytes![5u16, 1u16, 10_000u32, NOW, 0u32, sequence, 0u16, 0u16], record.clone()].concat();
    let all = [10u32, 11, 15, 14, 16, 0xffff_0000, 0xffff_0001].map(packet).concat();
    assert_eq!(read(&all).losses, [(0, 1), (0, 1), (3, 4), (0, 1), (0, 1), (0, 1)]);
}

#[test]
fn data_before_its_template_waits_for_it() {
    let fields = [(8, 4), (12, 4), (7, 2), (11, 2), (4, 1), (1, 8), (2, 4), (22, 4), (21, 4), (10, 4)];
    let record = [&V4[..], &bytes![40_000u16, 53u16, 17u8, 60u64, 1u32, 1_000u32, 2_000u32, 7u32]].concat();
    let data = nine(5_000, 1, 3, 1, &[set(256, &record)]);
    let names = nine(
        5_000,
        2,
        3,
        2,
        &[
            set(1, &bytes![257u16, 4u16, 8u16, 2u16, 4u16, 82u16, 8u16, 34u16, 4u16]),
            set(257, &[&bytes![7u32][..], b"ge-0/0/7", &bytes![512u32]].concat()),
        ],
    );
    let template = nine(5_000, 3, 3, 1, &[set(0, &template(256, &fields))]);
    let told = read(&[&data[..], &names, &template].concat());
    assert_eq!(
        told.lines,
        [
            "log 2026-11-20T08:00:00Z category=exporter options extra={\"scope.interface\":7,\"interfaceName\":\"ge-0/0/7\",\"samplingInterval\":512} \
             sensor=sample/3",
            "flow 2026-11-20T07:59:56Z..2026-11-20T07:59:57Z src.ip=192.0.2.10 src.port=40000 dst.ip=198.51.100.7 dst.port=53 proto=udp \
             packets.out=1 bytes.out=60 interface.in=ge-0/0/7 extra={\"ingressInterface\":7,\"sampling.interval\":512} sensor=sample/3",
        ]
    );
    assert_eq!((told.counts, told.oddities), ([2, 0, 1, 0], vec![]));
    let never = read(&data);
    assert_eq!(never.oddities, ["template_missing template 256 of observation domain 3: 37 bytes"]);
    assert_eq!(never.counts, [0, 0, 0, 1]);
}

#[test]
fn what_is_read_of_a_packet_does_not_wait_and_many_small_sets_are_bounded() {
    let fields = [(8, 4), (12, 4), (150, 4)];
    let data = |id| set(id, &[&V4[..], &NOW.to_be_bytes()].concat());
    let first = ipfix(0, 0, &[set(2, &template(256, &fields)), data(256), data(257)]);
    let second = ipfix(2, 0, &[set(2, &template(257, &fields))]);
    let mut collector = Collector::new(&context());
    let peer = Some(std::net::IpAddr::from([192, 0, 2, 1]));
    let mut given = |packet: &[u8], offset| {
        let mut done = Vec::new();
        collector.packet(packet, peer, Unit { offset, line: 0 }, &mut done);
        let ids = done.iter().flat_map(|(_, out)| &out.records).map(|r| (r.record.id.offset, r.record.id.ordinal));
        (ids.collect::<Vec<_>>(), done.len())
    };
    // In a capture both have the place of their packet, and are numbered through.
    assert_eq!(given(&first, 9).0, [(9, 0)]);
    assert_eq!(given(&second, 99).0, [(9, 1)]);
    let many: Vec<Vec<u8>> = (0..16_000).map(|_| set(300, &[])).collect();
    let packet = ipfix(2, 0, &many);
    let given_up: usize = (0..16).map(|n| given(&packet, 200 + n).1).sum();
    assert!(given_up > 0);
}

#[test]
fn templates_are_redefined_and_withdrawn() {
    let first = set(2, &template(300, &[(8, 4), (12, 4), (150, 4), (2, 4)]));
    let second = set(2, &template(300, &[(12, 4), (8, 4), (150, 4), (2, 1)]));
    let data = |n: &[u8]| set(300, &[&V4[..], &NOW.to_be_bytes(), n].concat());
    let all = [
        ipfix(0, 0, &[first, data(&[0, 0, 0, 9])]),
        ipfix(1, 0, &[second, data(&[3])]),
        ipfix(2, 0, &[set(2, &bytes![300u16, 0u16]), data(&[3])]),
    ]
    .concat();
    let told = read(&all);
    assert_eq!(
        told.lines,
        [
            "flow 2026-11-20T08:00:00Z src.ip=192.0.2.10 dst.ip=198.51.100.7 packets.out=9",
            "flow 2026-11-20T08:00:00Z src.ip=198.51.100.7 dst.ip=192.0.2.10 packets.out=3",
        ]
    );
    assert_eq!(told.oddities, ["template_missing template 300 of observation domain 0: 13 bytes"]);
}

/// A template with enterprise numbers: element, enterprise, length.
fn template_with(id: u16, fields: &[(u16, u32, u16)]) -> Vec<u8> {
    let mut all = bytes![id, fields.len() as u16];
    for (element, enterprise, length) in fields {
        let bit = if *enterprise == 0 { 0 } else { 0x8000 };
        all.extend(bytes![*element | bit, *length]);
        if *enterprise > 0 {
            all.extend(enterprise.to_be_bytes());
        }
    }
    all
}

#[test]
fn biflows_have_both_directions_and_the_initiator_is_the_source() {
    let fields = [
        (156, 0, 8),
        (157, 0, 8),
        (27, 0, 16),
        (28, 0, 16),
        (7, 0, 2),
        (11, 0, 2),
        (4, 0, 1),
        (1, 0, 8),
        (2, 0, 8),
        (6, 0, 1),
        (1, 29305, 4),
        (2, 29305, 2),
        (6, 29305, 1),
        (136, 0, 1),
        (239, 0, 1),
    ];
    let record = |initiator: u8| {
        let addresses = ["2001:db8::1", "2001:db8::2"].map(|a| a.parse::<std::net::Ipv6Addr>().unwrap().octets()).concat();
        let at = u64::from(NOW) + 2_208_988_800;
        [
            bytes![at << 32 | 0x8000_0000, (at + 2) << 32],
            addresses,
            bytes![50_000u16, 443u16, 6u8, 900u64, 9u64, 0x1bu8, 700u32, 7u16, 0x12u8, 3u8, initiator],
        ]
        .concat()
    };
    let all = ipfix(0, 5, &[set(2, &template_with(256, &fields)), set(256, &[record(1), record(2)].concat())]);
    assert_eq!(
        read(&all).lines,
        [
            "flow 2026-11-20T08:00:00.500Z..2026-11-20T08:00:02Z src.ip=2001:db8::1 src.port=50000 dst.ip=2001:db8::2 dst.port=443 proto=tcp \
             packets.out=9 packets.in=7 bytes.out=900 bytes.in=700 end.reason=close tcp.flags=FSPA extra={\"tcp.flags.in\":\"SA\"} sensor=sample/5",
            "flow 2026-11-20T08:00:00.500Z..2026-11-20T08:00:02Z src.ip=2001:db8::2 src.port=443 dst.ip=2001:db8::1 dst.port=50000 proto=tcp \
             packets.out=7 packets.in=9 bytes.out=700 bytes.in=900 end.reason=close tcp.flags=SA extra={\"tcp.flags.in\":\"FSPA\"} sensor=sample/5",
        ]
    );
}

#[test]
fn variable_lengths_lists_and_foreign_elements_are_kept() {
    // An inner template, used by a list of YAF's kind, and a list of one element.
    let fields = [(8, 0, 4), (12, 0, 4), (371, 0, 65_535), (100, 9, 3), (293, 0, 65_535), (291, 0, 65_535)];
    let inner = template_with(400, &[(14, 6871, 1), (15, 6871, 1), (184, 0, 4)]);
    let long = "u".repeat(300);
    let multi = [&[3][..], &bytes![400u16, 10u16], &[2, 0x18], &7u32.to_be_bytes()].concat();
    let basic = [&[255][..], &bytes![16u16, 4u16, 64_500u32, 64_501u32]].concat();
    let record = [
        &V4[..],
        &[255],
        &bytes![300u16],
        long.as_bytes(),
        &[1, 2, 3],
        &[multi.len() as u8],
        &multi,
        &[basic.len() as u8],
        &basic,
    ]
    .concat();
    let all = ipfix(0, 0, &[set(2, &[inner, template_with(256, &fields)].concat()), set(256, &record)]);
    let told = read(&all);
    assert_eq!(told.oddities, Vec::<String>::new());
    assert_eq!(
        told.lines,
        [format!(
            "flow 2026-11-20T08:00:00Z src.ip=192.0.2.10 dst.ip=198.51.100.7 user={long} tcp.flags=SPA \
             extra={{\"ie9.100\":66051,\"tcpSequenceNumber\":7,\"bgpSourceAsNumber\":[64500,64501],\"initialTCPFlags\":\"S\"}}"
        )]
    );
}

#[test]
fn translations_are_read_in_either_numbering() {
    let fields = [(323, 8), (230, 1), (8, 4), (225, 4), (7, 2), (227, 2), (12, 4), (11, 2), (4, 1)];
    let record = |event: u8| {
        let millis = u64::from(NOW) * 1000 + 5;
        let inside = [10u8, 0, 0, 5, 203, 0, 113, 9];
        [bytes![millis, event], inside.to_vec(), bytes![40_000u16, 1024u16], vec![198, 51, 100, 7], bytes![443u16, 6u8]].concat()
    };
    let packet = |domain, events: &[u8]| {
        let data: Vec<u8> = events.iter().flat_map(|e| record(*e)).collect();
        ipfix(0, domain, &[set(2, &template(256, &fields)), set(256, &data)])
    };
    let said = |events: &[u8]| {
        let lines = read(&packet(0, events)).lines;
        lines
            .iter()
            .map(|l| l.split("action=").nth(1).unwrap().split(" interface").next().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let after = "nat.src.ip=203.0.113.9 nat.src.port=1024";
    assert_eq!(
        said(&[4, 5]),
        [
            format!("start reason=NAT44 session create {after} event.code=4"),
            format!("close reason=NAT44 session delete {after} event.code=5")
        ]
    );
    assert_eq!(
        said(&[1, 2]),
        [
            format!("start reason=NAT44 session create {after} event.code=1"),
            format!("close reason=NAT44 session delete {after} event.code=2")
        ]
    );
    assert!(
        read(&packet(0, &[4])).lines[0]
            .starts_with("fw 2026-11-20T08:00:00.005Z src.ip=10.0.0.5 src.port=40000 dst.ip=198.51.100.7")
    );
}

#[test]
fn nsel_is_a_firewalls_record() {
    let fields = [
        (148, 4),
        (8, 4),
        (7, 2),
        (10, 2),
        (12, 4),
        (11, 2),
        (14, 2),
        (4, 1),
        (40_001, 4),
        (40_002, 4),
        (40_003, 2),
        (40_004, 2),
        (40_005, 1),
        (33_002, 2),
        (323, 8),
        (152, 8),
        (231, 4),
        (232, 4),
        (33_000, 12),
        (40_000, 20),
    ];
    let start = u64::from(NOW - 60) * 1000;
    let record = |event: u8, ext: u16, mapped: [u8; 4], user: &[u8]| {
        let mut name = user.to_vec();
        name.resize(20, 0);
        [
            &bytes![11_749u32][..],
            &[10, 0, 0, 5],
            &bytes![50_000u16, 2u16],
            &[198, 51, 100, 7],
            &bytes![443u16, 3u16, 6u8],
            &mapped,
            &[198, 51, 100, 7],
            &bytes![50_001u16, 443u16, event, ext, u64::from(NOW) * 1000, start, 1_500u32, 9_000u32],
            &bytes![0x0f8e_7ff3u32, 0xfc1a_030fu32, 0u32],
            &name,
        ]
        .concat()
    };
    let data = [record(2, 0, [203, 0, 113, 9], b"jdoe"), record(3, 1001, [10, 0, 0, 5], b"")].concat();
    let told = read(&nine(1_000, 1, 0, 3, &[set(0, &template(263, &fields)), set(263, &data)]));
    assert_eq!(
        told.lines,
        [
            "fw 2026-11-20T07:59:00Z..2026-11-20T08:00:00Z src.ip=10.0.0.5 src.port=50000 dst.ip=198.51.100.7 dst.port=443 proto=tcp uid=11749 \
             payload.out=1500 payload.in=9000 action=close interface.in=2 interface.out=3 nat.src.ip=203.0.113.9 nat.src.port=50001 user=jdoe \
             extra={\"ingressAcl\":\"0xf8e7ff3/0xfc1a030f/0x0\"}",
            "fw 2026-11-20T07:59:00Z..2026-11-20T08:00:00Z src.ip=10.0.0.5 src.port=50000 dst.ip=198.51.100.7 dst.port=443 proto=tcp uid=11749 \
             payload.out=1500 payload.in=9000 action=deny reason=denied by an ingress ACL interface.in=2 interface.out=3 nat.src.ip=10.0.0.5 \
             nat.src.port=50001 extra={\"firewallExtendedEvent\":1001,\"ingressAcl\":\"0xf8e7ff3/0xfc1a030f/0x0\"}",
        ]
    );
}

#[test]
fn reading_goes_on_after_bytes_that_are_no_packet() {
    let packet = |n| {
        ipfix(n, 0, &[set(2, &template(256, &[(8, 4), (12, 4), (150, 4)])), set(256, &[&V4[..], &NOW.to_be_bytes()].concat())])
    };
    let all = [packet(0), vec![7; 1001], packet(1), vec![0, 10]].concat();
    let told = read(&all);
    assert_eq!(told.lines.len(), 2);
    assert_eq!(told.oddities, ["export_bytes_skipped 1001 bytes at byte 52", "export_bytes_skipped 2 bytes at byte 1105"]);
    assert_eq!(told.counts, [2, 0, 0, 2]);
}

#[test]
fn what_looks_like_endless_packets_takes_no_endless_time() {
    // Headers every 16 bytes, each of a packet of 64 KB whose sets are short and whose last is too long.
    let header = bytes![10u16, 65_534u16, NOW, 0x0100_0004u32, 0x0100_0004u32];
    let all: Vec<u8> = header.iter().copied().cycle().take(1 << 20).collect();
    let began = std::time::Instant::now();
    let told = read(&all);
    assert!(told.counts.iter().sum::<usize>() > 0);
    assert!(began.elapsed().as_secs() < 20, "{:?}", began.elapsed());
}
