//! The meter on hand-made packets: connection states, histories, direction, timeouts, fragments, tunnels, applications.

use super::*;
use crate::model::field;
use crate::model::flow::AppConfidence;
use crate::model::packet::LinkType;
use crate::model::record::Kind;
use crate::model::time::SECOND;
use crate::protocols::{At, Ends, Out, Parser, Protocol, Side, Sniff, Understood};
use etherparse::PacketBuilder;

mod exact;

/// Everything that a meter gave.
#[derive(Default)]
struct Got {
    flows: Vec<(Flow, Vec<PacketRef>)>,
    pieces: Vec<(RecordId, Vec<PacketRef>)>,
    events: Vec<Record>,
    oddities: Vec<Oddity>,
}

impl Sink for Got {
    fn flow(&mut self, flow: Flow, packets: &[PacketRef], _: u32) {
        self.flows.push((flow, packets.to_vec()));
    }
    fn packets(&mut self, flow: RecordId, packets: &[PacketRef], _: u32) {
        self.pieces.push((flow, packets.to_vec()));
    }
    fn event(&mut self, record: Record, _: u32) {
        self.events.push(record);
    }
    fn oddity(&mut self, oddity: Oddity, _: Time, _: u64, _: u32) {
        self.oddities.push(oddity);
    }
}

impl Got {
    fn odd(&self, what: &str) -> usize {
        self.oddities.iter().filter(|o| o.what == what).count()
    }
}

struct Bench {
    meter: Meter,
    got: Got,
    offset: u64,
    number: u64,
}

const T0: i64 = 1_700_000_000 * SECOND;
const A: [u8; 4] = [10, 0, 0, 1];
const B: [u8; 4] = [192, 0, 2, 80];

impl Bench {
    fn new(config: Config) -> Bench {
        Bench { meter: Meter::new(config, EvidenceKey(7)), got: Got::default(), offset: 24, number: 0 }
    }
    /// A packet of raw IP at milliseconds after the start.
    fn raw(&mut self, ms: i64, link: LinkType, data: &[u8]) {
        self.number += 1;
        let packet = Packet {
            time: Time(T0 + ms * 1_000_000),
            link,
            data,
            wire_len: data.len() as u32,
            offset: self.offset,
            number: self.number,
            interface: 0,
        };
        self.meter.packet(&packet, &mut self.got);
        self.offset += 16 + data.len() as u64;
    }
    fn ip(&mut self, ms: i64, data: &[u8]) {
        self.raw(ms, LinkType::RAW, data);
    }
    fn end(mut self) -> (Got, MeterStats) {
        self.meter.finish(&mut self.got);
        (self.got, self.meter.stats().clone())
    }
}

/// A TCP segment; the flags are letters of SFRA.
#[derive(Clone, Copy)]
struct Seg {
    ms: i64,
    out: bool,
    flags: &'static str,
    seq: u32,
    ack: u32,
    len: usize,
}

fn seg(ms: i64, out: bool, flags: &'static str, seq: u32, ack: u32, len: usize) -> Seg {
    Seg { ms, out, flags, seq, ack, len }
}

fn tcp_bytes(s: &Seg, ports: (u16, u16), payload: &[u8]) -> Vec<u8> {
    let (src, dst, sp, dp) = if s.out { (A, B, ports.0, ports.1) } else { (B, A, ports.1, ports.0) };
    let mut b = PacketBuilder::ipv4(src, dst, 64).tcp(sp, dp, s.seq, 8192);
    for flag in s.flags.chars() {
        b = match flag {
            'S' => b.syn(),
            'F' => b.fin(),
            'R' => b.rst(),
            _ => b.ack(s.ack),
        };
    }
    let mut out = Vec::new();
    b.write(&mut out, payload).unwrap();
    out
}

fn run(segments: &[Seg]) -> (Got, MeterStats) {
    let mut bench = Bench::new(Config { protocols: &[], ..Config::default() });
    for s in segments {
        let bytes = tcp_bytes(s, (40000, 80), &vec![b'x'; s.len]);
        bench.ip(s.ms, &bytes);
    }
    bench.end()
}

/// State, history, duration in ms, payload out and in, packets out and in of the first flow.
fn row(segments: &[Seg]) -> (&'static str, String, i64, u64, u64, u64, u64) {
    let (got, _) = run(segments);
    let f = &got.flows[0].0;
    let ms = f.end.since(f.start) / 1_000_000;
    (f.state, f.history.to_string(), ms, f.out.payload, f.in_.payload, f.out.packets, f.in_.packets)
}

/// Originator's segment.
fn o(ms: i64, flags: &'static str, seq: u32, ack: u32, len: usize) -> Seg {
    seg(ms, true, flags, seq, ack, len)
}
/// Responder's segment.
fn r(ms: i64, flags: &'static str, seq: u32, ack: u32, len: usize) -> Seg {
    seg(ms, false, flags, seq, ack, len)
}

/// SYN, SYN+ACK, ACK with initial numbers 1000 and 5000.
fn handshake() -> Vec<Seg> {
    vec![o(0, "S", 1000, 0, 0), r(10, "SA", 5000, 1001, 0), o(20, "A", 1001, 5001, 0)]
}

fn with(more: &[Seg]) -> Vec<Seg> {
    let mut all = handshake();
    all.extend_from_slice(more);
    all
}

#[test]
fn attempts_have_the_states_and_histories_of_zeek() {
    assert_eq!(row(&[o(0, "S", 1, 0, 0)]), ("S0", "S".into(), 0, 0, 0, 1, 0));
    assert_eq!(row(&[o(0, "S", 1, 0, 0), o(1000, "S", 1, 0, 0), o(3000, "S", 1, 0, 0)]), ("S0", "S".into(), 3000, 0, 0, 3, 0));
    assert_eq!(row(&[o(0, "S", 1, 0, 0), r(10, "RA", 0, 2, 0)]), ("REJ", "Sr".into(), 10, 0, 0, 1, 1));
    assert_eq!(row(&[o(0, "S", 1, 0, 0), r(10, "SA", 9, 2, 0)]), ("S1", "Sh".into(), 10, 0, 0, 1, 1));
    let half_open = [o(0, "S", 1, 0, 0), r(10, "SA", 9, 2, 0), o(20, "R", 2, 0, 0)];
    assert_eq!(row(&half_open), ("RSTO", "ShR".into(), 20, 0, 0, 2, 1));
    assert_eq!(row(&[o(0, "S", 1, 0, 0), o(20, "R", 2, 0, 0)]), ("RSTOS0", "SR".into(), 20, 0, 0, 2, 0));
    assert_eq!(row(&[o(0, "S", 1, 0, 0), o(20, "F", 2, 0, 0)]), ("SH", "SF".into(), 20, 0, 0, 2, 0));
    assert_eq!(row(&[o(0, "F", 1, 0, 0)]), ("SH", "F".into(), 0, 0, 0, 1, 0));
    assert_eq!(row(&[o(0, "SF", 1, 0, 0)]), ("SH", "Q".into(), 0, 0, 0, 1, 0));
    assert_eq!(row(&[o(0, "A", 1, 9, 0), r(10, "R", 9, 0, 0)]), ("RSTRH", "Ar".into(), 10, 0, 0, 1, 1));
}

#[test]
fn connections_have_the_states_and_histories_of_zeek() {
    let data = [o(30, "A", 1001, 5001, 100), r(40, "A", 5001, 1101, 500)];
    let whole = [
        data[0],
        data[1],
        o(50, "A", 1101, 5501, 0),
        o(60, "FA", 1101, 5501, 0),
        r(70, "FA", 5501, 1102, 0),
        o(80, "A", 1102, 5502, 0),
    ];
    assert_eq!(row(&with(&whole)), ("SF", "ShADdFf".into(), 70, 100, 500, 6, 3));
    assert_eq!(row(&with(&data)), ("S1", "ShADd".into(), 40, 100, 500, 3, 2));
    let s2 = [data[0], o(60, "FA", 1101, 5001, 0), r(70, "A", 5001, 1102, 0)];
    let got = row(&with(&s2));
    assert_eq!((got.0, got.1.as_str(), got.2, got.3, got.4), ("S2", "ShADFa", 70, 100, 0));
    let s3 = [data[0], data[1], r(60, "FA", 5501, 1101, 0)];
    assert_eq!(row(&with(&s3)), ("S3", "ShADdf".into(), 60, 100, 500, 3, 3));
    let rsto = [data[0], data[1], o(60, "R", 1101, 0, 0)];
    assert_eq!(row(&with(&rsto)), ("RSTO", "ShADdR".into(), 60, 100, 500, 4, 2));
    let rstr = [data[0], r(60, "R", 5001, 0, 0)];
    assert_eq!(row(&with(&rstr)), ("RSTR", "ShADr".into(), 60, 100, 0, 3, 2));
    let fin_rst = [data[0], o(60, "FA", 1101, 5001, 0), o(70, "R", 1102, 0, 0)];
    assert_eq!(row(&with(&fin_rst)), ("RSTO", "ShADFR".into(), 70, 100, 0, 5, 1));
    let closed_rst = [o(50, "FA", 1001, 5001, 0), r(60, "FA", 5001, 1002, 0), r(70, "R", 5002, 0, 0)];
    let got = row(&with(&closed_rst));
    assert_eq!((got.0, got.1.as_str(), got.3, got.4, got.5, got.6), ("SF", "ShAFfr", 0, 0, 3, 3));
    let again = [o(30, "A", 1001, 5001, 100), o(300, "A", 1001, 5001, 100), r(600, "A", 5001, 1101, 500)];
    assert_eq!(row(&with(&again)), ("S1", "ShADTd".into(), 600, 100, 500, 4, 2));
}

#[test]
fn captures_that_began_midway_have_the_direction_of_zeek() {
    assert_eq!(row(&[r(0, "SA", 9, 2, 0)]), ("OTH", "^h".into(), 0, 0, 0, 0, 1));
    assert_eq!(row(&[r(0, "SA", 9, 2, 0), r(10, "R", 10, 0, 0)]), ("RSTRH", "^hr".into(), 10, 0, 0, 0, 2));
    assert_eq!(row(&[r(0, "SA", 9, 2, 0), r(10, "F", 10, 0, 0)]), ("SHR", "^hf".into(), 10, 0, 0, 0, 2));
    let both = [o(0, "A", 1, 9, 100), r(10, "A", 9, 101, 500)];
    assert_eq!(row(&both), ("OTH", "Dd".into(), 10, 100, 500, 1, 1));
    assert_eq!(row(&[r(0, "A", 9, 1, 500), o(10, "A", 1, 509, 100)]), ("OTH", "^dD".into(), 10, 100, 500, 1, 1));
    let ends = [both[0], both[1], o(30, "FA", 101, 509, 0), r(40, "FA", 509, 102, 0)];
    assert_eq!(row(&ends), ("SF", "DdFf".into(), 40, 100, 500, 2, 2));
}

#[test]
fn a_syn_captured_after_its_answer_turns_the_flow_round() {
    let mut bench = Bench::new(Config::default());
    for s in [r(0, "SA", 5000, 1001, 0), o(1, "S", 1000, 0, 0), o(2, "A", 1001, 5001, 0)] {
        bench.ip(s.ms, &tcp_bytes(&s, (40000, 40001), b""));
    }
    let (got, _) = bench.end();
    let f = &got.flows[0].0;
    assert_eq!((f.state, f.src_port, f.dst_port), ("S1", 40000, 40001));
    assert_eq!((f.out.packets, f.in_.packets), (2, 1));
    assert_eq!(got.flows[0].1.iter().map(|p| p.inbound).collect::<Vec<_>>().len(), 3);
}

#[test]
fn a_syn_that_nobody_answers_gives_a_row_per_attempt() {
    let syns: Vec<Seg> = [0, 1, 3, 7, 15].into_iter().map(|s| o(s * 1000, "S", 1000, 0, 0)).collect();
    let (got, _) = run(&syns);
    let rows: Vec<_> = got.flows.iter().map(|(f, p)| (f.out.packets, p.len(), f.end_reason)).collect();
    assert_eq!(rows, [(3, 3, "attempt"), (1, 1, "attempt"), (1, 1, "end")]);
}

#[test]
fn a_syn_with_another_number_begins_a_new_flow() {
    let mut all = with(&[o(50, "R", 1001, 0, 0)]);
    all.push(o(60, "S", 777_000, 0, 0));
    let (got, _) = run(&all);
    assert_eq!(got.flows.len(), 2);
    assert_eq!((got.flows[0].0.state, got.flows[0].0.end_reason), ("RSTO", "reset"));
    assert_eq!(got.flows[1].0.state, "S0");
    assert_ne!(got.flows[0].0.id, got.flows[1].0.id);
}

#[test]
fn bytes_acknowledged_but_not_captured_are_missed() {
    let all = with(&[o(30, "A", 1001, 5001, 100), o(40, "A", 1301, 5001, 100), r(50, "A", 5001, 1401, 0)]);
    let (got, stats) = run(&all);
    let f = &got.flows[0].0;
    assert_eq!((f.missed, f.out.payload, f.out.captured), (200, 400, 200));
    assert_eq!(f.history, "ShADaG");
    assert_eq!(stats.missed, 200);
}

#[test]
fn sequence_numbers_count_on_beyond_four_gigabytes() {
    let mut all = handshake();
    let mut seq = 1001u32;
    for i in 0..5i64 {
        seq = seq.wrapping_add(1 << 30);
        all.push(r(100 + i, "A", 5001, seq, 0));
        all.push(o(101 + i, "A", seq, 5001, 10));
        seq = seq.wrapping_add(10);
    }
    let (got, _) = run(&all);
    assert_eq!(got.flows[0].0.out.payload, 5 * ((1 << 30) + 10));
}

#[test]
fn an_idle_connection_ends_by_its_timeout_and_a_closed_one_after_its_close() {
    let mut all = with(&[o(30, "FA", 1001, 5001, 0), r(40, "FA", 5001, 1002, 0)]);
    all.push(o(6_000, "A", 1002, 5002, 0));
    let (got, _) = run(&all);
    assert_eq!(got.flows.len(), 2);
    assert_eq!((got.flows[0].0.state, got.flows[0].0.end_reason), ("SF", "close"));
    let mut all = handshake();
    all.push(o(299_000, "A", 1001, 5001, 1));
    all.push(o(599_001, "A", 1002, 5001, 1));
    let (got, _) = run(&all);
    assert_eq!(got.flows.len(), 2);
    assert_eq!(got.flows[0].0.end_reason, "timeout");
}

#[test]
fn time_that_goes_backwards_ends_nothing() {
    let mut bench = Bench::new(Config { protocols: &[], ..Config::default() });
    for ms in [0, 86_400_000 * 365, 10, 20] {
        bench.ip(ms, &udp(A, 1000, B, 2000, b"x"));
    }
    let (got, stats) = bench.end();
    assert_eq!((got.flows.len(), stats.backwards), (2, 1));
}

fn udp(src: [u8; 4], sp: u16, dst: [u8; 4], dp: u16, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    PacketBuilder::ipv4(src, dst, 64).udp(sp, dp).write(&mut out, payload).unwrap();
    out
}

#[test]
fn udp_states_follow_who_sent() {
    let mut bench = Bench::new(Config { protocols: &[], ..Config::default() });
    bench.ip(0, &udp(A, 1000, B, 2000, b"abc"));
    bench.ip(5, &udp(B, 2000, A, 1000, b"de"));
    bench.ip(9, &udp(B, 53, A, 9999, b"answer"));
    let (got, _) = bench.end();
    let f = &got.flows[0].0;
    assert_eq!((f.state, f.history.as_str(), f.out.payload, f.in_.payload, f.out.bytes), ("SF", "Dd", 3, 2, 31));
    let f = &got.flows[1].0;
    assert_eq!((f.state, f.history.as_str(), f.dst_port, f.in_.packets), ("SHR", "^d", 53, 1));
}

#[test]
fn icmp_pairs_meet_and_errors_point_at_their_flow() {
    let mut bench = Bench::new(Config { protocols: &[], ..Config::default() });
    let mut echo = Vec::new();
    PacketBuilder::ipv4(A, B, 64).icmpv4_echo_request(1, 1).write(&mut echo, b"ping").unwrap();
    let mut reply = Vec::new();
    PacketBuilder::ipv4(B, A, 64).icmpv4_echo_reply(1, 1).write(&mut reply, b"ping").unwrap();
    bench.ip(0, &echo);
    bench.ip(1, &reply);
    let question = udp(A, 1000, B, 161, b"hello");
    bench.ip(2, &question);
    let mut error = Vec::new();
    PacketBuilder::ipv4(B, A, 64).icmpv4_raw(3, 3, [0; 4]).write(&mut error, &question).unwrap();
    bench.ip(3, &error);
    let (got, _) = bench.end();
    assert_eq!(got.flows.len(), 3);
    let f = &got.flows[0].0;
    assert_eq!((f.src_port, f.dst_port, f.out.packets, f.in_.packets, f.out.payload), (8, 0, 1, 1, 4));
    let asked = got.flows[1].0.clone().into_record(crate::model::SourceId(0));
    assert_eq!(asked.text(field::ICMP_ERROR), Some("3/3"));
    let error = got.flows[2].0.clone().into_record(crate::model::SourceId(0));
    assert_eq!(error.text(field::RELATED), crate::model::community_id::of_record(&asked).as_deref());
}

/// Ports of a connection, and who says what in it.
type Spoken<'a> = ((u16, u16), &'a [(bool, &'a str)]);

/// Segments with text as payload through the real protocols, each connection with its own ports.
fn spoken(connections: &[Spoken<'_>]) -> Got {
    let mut bench = Bench::new(Config::default());
    let mut ms = 0;
    for (ports, talk) in connections {
        let mut seq = [100u32, 500];
        let mut send = |out: bool, flags: &'static str, text: &str| {
            ms += 1;
            let (me, peer) = if out { (0, 1) } else { (1, 0) };
            let bytes = tcp_bytes(&seg(ms, out, flags, seq[me], seq[peer], text.len()), *ports, text.as_bytes());
            bench.ip(ms, &bytes);
            seq[me] += text.len() as u32 + u32::from(flags.contains('S'));
        };
        send(true, "S", "");
        send(false, "SA", "");
        talk.iter().for_each(|(out, text)| send(*out, "A", text));
    }
    bench.end().0
}

#[test]
fn a_data_connection_of_ftp_is_known_by_its_announcement() {
    let control: &[(bool, &str)] = &[
        (false, "220 ftp\r\n"),
        (true, "EPSV\r\n"),
        (false, "229 ok (|||1025|)\r\n"),
        (true, "PASV\r\n"),
        (false, "227 ok (192,0,2,80,4,2)\r\n"),
    ];
    let file: &[(bool, &str)] = &[(false, "GET / HTTP/1.1\r\n\r\n")];
    let got = spoken(&[((40_000, 21), control), ((40_001, 1025), file), ((40_002, 1026), file), ((40_003, 1027), file)]);
    let apps: Vec<_> = got.flows.iter().map(|(f, _)| (f.app.as_str(), f.app_confidence)).collect();
    assert_eq!(
        apps[..3],
        [("ftp", AppConfidence::Parsed), ("ftp-data", AppConfidence::Parsed), ("ftp-data", AppConfidence::Parsed)]
    );
    assert_eq!(apps[3].0, "http", "not announced");
}

#[test]
fn what_passes_unread_for_a_bound_is_an_x_in_the_history() {
    let long = format!("{} x\r\n", "A".repeat(100));
    let got = spoken(&[((40_000, 21), &[(false, "220 ftp\r\n"), (true, &long), (true, &long)])]);
    assert_eq!(got.flows[0].0.history, "ShdDX");
    assert_eq!(got.odd("ftp_command_too_long"), 2);
}

#[test]
fn every_frame_of_an_aggregate_is_carried_by_the_same_tunnel() {
    let inner = |port| {
        let ip = udp(A, port, B, 9000, b"hello");
        let mut frame = [&[2u8; 12][..], &[0, 8 + ip.len() as u8, 0xaa, 0xaa, 3, 0, 0, 0, 8, 0], &ip].concat();
        frame.resize(frame.len().next_multiple_of(4), 0);
        frame
    };
    let mut wifi = vec![0x88, 0, 0, 0];
    wifi.resize(24, 1);
    wifi.extend([0x80, 0]);
    wifi.extend([inner(1001), inner(1002), inner(1003)].concat());
    let gre = [&[0, 0, 0x82, 0][..], &wifi].concat();
    let mut outer = Vec::new();
    PacketBuilder::ipv4(A, B, 64).write(&mut outer, etherparse::IpNumber::GRE, &gre).unwrap();
    let mut bench = Bench::new(Config::default());
    bench.ip(0, &outer);
    let (got, _) = bench.end();
    let tunnel = got.flows[0].0.id.to_string();
    let ports: Vec<u16> = got.flows[1..].iter().map(|(f, _)| f.src_port).collect();
    assert_eq!(ports, [1001, 1002, 1003]);
    let carried = |f: &Flow| f.more.iter().any(|(n, v)| *n == field::TUNNEL && v.to_string() == tunnel);
    assert!(got.flows[1..].iter().all(|(f, _)| carried(f)), "{:?}", got.flows);
}

/// A UDP datagram cut into IP fragments of `size` bytes.
fn fragments(id: u16, payload: &[u8], size: usize) -> Vec<Vec<u8>> {
    let whole = udp(A, 1000, B, 2000, payload);
    let body = &whole[20..];
    let mut out = Vec::new();
    for (i, piece) in body.chunks(size).enumerate() {
        let mut header = etherparse::Ipv4Header::new(piece.len() as u16, 64, etherparse::IpNumber::UDP, A, B).unwrap();
        header.identification = id;
        header.more_fragments = (i + 1) * size < body.len();
        header.dont_fragment = false;
        header.fragment_offset = etherparse::IpFragOffset::try_new((i * size / 8) as u16).unwrap();
        header.header_checksum = header.calc_header_checksum();
        let mut bytes = header.to_bytes().to_vec();
        bytes.extend_from_slice(piece);
        out.push(bytes);
    }
    out
}

#[test]
fn fragments_are_one_datagram_in_any_order_and_each_is_a_packet() {
    let mut pieces = fragments(9, &[7; 100], 40);
    pieces.reverse();
    let mut bench = Bench::new(Config { protocols: &[], ..Config::default() });
    for piece in &pieces {
        bench.ip(0, piece);
    }
    let (got, stats) = bench.end();
    assert_eq!(got.flows.len(), 1);
    let (f, refs) = &got.flows[0];
    assert_eq!((f.src_port, f.dst_port, f.out.packets, f.out.payload, f.out.bytes), (1000, 2000, 3, 100, 108 + 60));
    assert_eq!((refs.len(), stats.fragments, f.id.offset), (3, 3, 24));
    let joined = f.more.iter().find(|(n, _)| *n == field::FRAGMENTS_JOINED_OUT).map(|(_, v)| v.to_string());
    assert_eq!(joined.as_deref(), Some("2"), "what Zeek counts is one packet");
}

#[test]
fn fragments_without_their_first_become_a_flow_without_ports() {
    let pieces = fragments(9, &[7; 100], 40);
    let mut bench = Bench::new(Config { protocols: &[], ..Config::default() });
    bench.ip(0, &pieces[1]);
    bench.ip(31_000, &udp(B, 5, A, 6, b"later"));
    assert_eq!(bench.got.odd("fragments_incomplete"), 1);
    let (got, _) = bench.end();
    let f = got.flows.iter().map(|(f, _)| f).find(|f| f.src_port == 0).unwrap();
    assert_eq!((f.proto, f.out.packets), (17, 1));
}

#[test]
fn fragments_that_overlap_with_other_bytes_are_odd() {
    let pieces = fragments(9, &[7; 100], 40);
    let mut other = fragments(9, &[8; 100], 40)[1].clone();
    other[60 - 1] = 9;
    let mut bench = Bench::new(Config { protocols: &[], ..Config::default() });
    bench.ip(0, &pieces[1]);
    bench.ip(1, &pieces[1]);
    assert_eq!(bench.got.odd("frag_overlap"), 0);
    bench.ip(2, &other);
    assert_eq!(bench.got.odd("frag_overlap"), 1);
}

#[test]
fn a_tunnel_is_a_flow_and_so_is_what_it_carries() {
    let mut inner = Vec::new();
    PacketBuilder::ethernet2([1; 6], [2; 6])
        .ipv4([172, 16, 0, 1], [172, 16, 0, 2], 64)
        .udp(5000, 6000)
        .write(&mut inner, b"in")
        .unwrap();
    let mut payload = vec![8, 0, 0, 0, 0, 0, 42, 0];
    payload.extend_from_slice(&inner);
    let mut bench = Bench::new(Config { protocols: &[], ..Config::default() });
    bench.ip(0, &udp(A, 44444, B, 4789, &payload));
    let (got, stats) = bench.end();
    let (outer, inner) = (&got.flows[0].0, &got.flows[1].0);
    assert_eq!((outer.app.as_str(), outer.id.ordinal, inner.id.ordinal), ("vxlan", 0, 1));
    assert_eq!((inner.src_port, inner.out.payload, stats.tunnelled), (5000, 2, 1));
    let record = inner.clone().into_record(crate::model::SourceId(0));
    assert_eq!(record.text(field::TUNNEL), Some(outer.id.to_string().as_str()));
}

#[test]
fn damage_is_left_out_of_a_flow_only_where_the_sender_is_otherwise_right() {
    let mut bench = Bench::new(Config { protocols: &[], ..Config::default() });
    let mut wrong = udp(A, 1000, B, 2000, b"abc");
    wrong[26] ^= 0x55;
    bench.ip(0, &wrong);
    for i in 1..20 {
        bench.ip(i, &udp(A, 1000, B, 2000, b"abc"));
    }
    bench.ip(30, &wrong);
    let (got, stats) = bench.end();
    assert_eq!((stats.checksum_ignored, stats.checksum_bad), (1, 1));
    assert_eq!((got.flows[0].0.out.packets, got.flows[0].1.len(), got.flows[0].0.history.as_str()), (20, 21, "DC"));
}

#[test]
fn a_full_table_evicts_the_flow_seen_least_recently() {
    let mut bench = Bench::new(Config { max_flows: 2, protocols: &[], ..Config::default() });
    for (ms, port) in [(0, 1), (1, 2), (2, 1), (3, 3)] {
        bench.ip(ms, &udp(A, port, B, 9, b"x"));
    }
    assert_eq!(bench.got.flows.len(), 1);
    assert_eq!((bench.got.flows[0].0.src_port, bench.got.flows[0].0.end_reason), (2, "eviction"));
    assert_eq!(bench.end().1.evicted, 1);
}

#[test]
fn references_of_a_long_flow_come_in_pieces_and_none_is_lost() {
    let mut bench = Bench::new(Config { protocols: &[], refs_per_flow: 512, ..Config::default() });
    for i in 0..1000 {
        bench.ip(i, &udp(A, 1, B, 9, b"x"));
    }
    let (got, _) = bench.end();
    let mut numbers: Vec<u64> = got.pieces.iter().flat_map(|p| &p.1).map(|p| p.number).collect();
    numbers.extend(got.flows[0].1.iter().map(|p| p.number));
    assert_eq!(numbers, (1..=1000).collect::<Vec<_>>());
    assert!(got.pieces.iter().all(|p| p.0 == got.flows[0].0.id));
}

/// A toy: lines of `ask NAME` answered by `got NAME`; `boom` makes its parser panic.
struct Toy;
struct ToyParser {
    lines: [Vec<u8>; 2],
    held: usize,
}

impl Protocol for Toy {
    fn name(&self) -> &'static str {
        "toy"
    }
    fn doc(&self) -> &'static str {
        "A toy."
    }
    fn over(&self) -> &'static [u8] {
        &[6, 17]
    }
    fn probe(&self, side: Side, first: &[u8], _: &Ends) -> Sniff {
        let want: &[u8] = if side == Side::Out { b"ask " } else { b"got " };
        match first.len() {
            n if n < 4 && want.starts_with(first) => Sniff::More,
            _ if first.starts_with(want) => Sniff::Yes,
            _ => Sniff::No,
        }
    }
    fn parser(&self, _: &Ends) -> Box<dyn Parser> {
        Box::new(ToyParser { lines: [Vec::new(), Vec::new()], held: 0 })
    }
}

impl Parser for ToyParser {
    fn data(&mut self, side: Side, bytes: &[u8], at: At, out: &mut Out) {
        let line = &mut self.lines[usize::from(side == Side::In)];
        line.extend_from_slice(bytes);
        while let Some(n) = line.iter().position(|b| *b == b'\n') {
            let text = String::from_utf8_lossy(&line[..n]).into_owned();
            line.drain(..=n);
            assert!(text != "boom", "the toy breaks");
            if let Some(held) = text.strip_prefix("hold ") {
                self.held = held.parse().unwrap();
            }
            out.flow.push((field::BANNER, text.as_str().into()));
            out.events.push(Understood {
                kind: Kind::Log,
                start: at.time,
                end: at.time,
                offset: at.offset,
                fields: vec![(field::MESSAGE, text.into())],
                kept: None,
            });
        }
    }
    fn gap(&mut self, _: Side, missing: u64, _: At, out: &mut Out) {
        out.oddities.push((Oddity::at("toy_gap", missing.to_string()), Time(0), 0));
    }
    fn held(&self) -> usize {
        self.held
    }
    fn relieve(&mut self) {
        self.held = 0;
    }
}

static TOY: Toy = Toy;
const TOYS: Protocols = &[&TOY];

fn talk(segments: &[(Seg, &[u8])]) -> (Got, MeterStats) {
    let mut bench = Bench::new(Config { protocols: TOYS, ..Config::default() });
    for (s, bytes) in segments {
        bench.ip(s.ms, &tcp_bytes(s, (40000, 12345), bytes));
    }
    bench.end()
}

fn messages(got: &Got) -> Vec<&str> {
    got.events.iter().filter_map(|e| e.text(field::MESSAGE)).collect()
}

#[test]
fn a_protocol_is_recognised_on_any_port_and_its_events_are_complete() {
    let [a, b, c] = handshake()[..] else { return };
    let (got, _) = talk(&[
        (a, b""),
        (b, b""),
        (c, b""),
        (o(30, "A", 1004, 5001, 9), b" example\n"),
        (o(31, "A", 1001, 5001, 3), b"ask"),
        (r(40, "A", 5001, 1013, 12), b"got example\n"),
    ]);
    let f = &got.flows[0].0;
    assert_eq!((f.app.as_str(), f.app_confidence), ("toy", crate::model::flow::AppConfidence::Parsed));
    assert_eq!(f.more.iter().find(|m| m.0 == field::BANNER).map(|m| m.1.clone()), Some("ask example".into()));
    assert_eq!(messages(&got), ["ask example", "got example"]);
    let event = &got.events[1];
    assert_eq!(event.addr(field::SRC_IP), Some(A.into()));
    assert_eq!(event.uint(field::DST_PORT), Some(12345));
    assert_eq!(event.text(field::FLOW), Some(f.id.to_string().as_str()));
    assert!(event.id.ordinal >= 256 && event.id != got.events[0].id);
}

#[test]
fn a_gap_and_a_conflict_in_a_stream_are_told() {
    let [a, b, c] = handshake()[..] else { return };
    let (got, _) = talk(&[
        (a, b""),
        (b, b""),
        (c, b""),
        (o(30, "A", 1001, 5001, 6), b"ask a\n"),
        (o(31, "A", 1001, 5001, 6), b"ask b\n"),
        (o(32, "A", 1011, 5001, 6), b"ask c\n"),
        (r(40, "A", 5001, 1017, 0), b""),
    ]);
    assert_eq!(messages(&got), ["ask a", "ask c"]);
    assert_eq!((got.odd("tcp_overlap"), got.odd("toy_gap")), (1, 1));
}

#[test]
fn a_parser_that_panics_is_an_oddity_and_the_flow_lives_on() {
    let [a, b, c] = handshake()[..] else { return };
    let (got, _) = talk(&[
        (a, b""),
        (b, b""),
        (c, b""),
        (o(30, "A", 1001, 5001, 6), b"ask a\n"),
        (o(31, "A", 1007, 5001, 5), b"boom\n"),
        (o(32, "A", 1012, 5001, 6), b"ask c\n"),
    ]);
    assert_eq!(messages(&got), ["ask a"]);
    assert_eq!(got.odd("parser_panicked"), 1);
    assert_eq!(got.flows[0].0.out.payload, 17);
}

#[test]
fn what_parsers_hold_is_counted_with_the_streams_and_let_go_when_that_is_too_much() {
    let mut bench = Bench::new(Config { protocols: TOYS, stream_budget: 10_000, ..Config::default() });
    let [a, b, c] = handshake()[..] else { return };
    let say = |bench: &mut Bench, port: u16, seq: u32, text: &str| {
        bench.ip(30, &tcp_bytes(&o(30, "A", seq, 5001, text.len()), (port, 12345), text.as_bytes()));
    };
    for port in [1000, 2000] {
        [a, b, c].iter().for_each(|s| bench.ip(s.ms, &tcp_bytes(s, (port, 12345), b"")));
        say(&mut bench, port, 1001, "ask a\nhold 9000\n");
    }
    // The budget is passed with the second; whose packet comes then lets go.
    assert!(bench.meter.waiting_bytes >= 18_000);
    say(&mut bench, 1000, 1017, "ask b\n");
    assert!((9000..10_000).contains(&bench.meter.waiting_bytes), "{}", bench.meter.waiting_bytes);
    say(&mut bench, 2000, 1017, "ask b\n");
    let (got, stats) = bench.end();
    assert_eq!(messages(&got).iter().filter(|m| **m == "ask b").count(), 2);
    assert_eq!(stats.streams_given_up, 1);
    let histories: Vec<bool> = got.flows.iter().map(|f| f.0.history.contains('X')).collect();
    assert_eq!(histories.iter().filter(|x| **x).count(), 1, "{histories:?}");
}

#[test]
fn datagrams_of_one_flow_go_to_one_parser() {
    let mut bench = Bench::new(Config { protocols: TOYS, ..Config::default() });
    bench.ip(0, &udp(A, 1000, B, 2000, b"noise"));
    bench.ip(1, &udp(A, 1000, B, 2000, b"ask x\n"));
    bench.ip(2, &udp(B, 2000, A, 1000, b"got x\n"));
    let (got, _) = bench.end();
    assert_eq!(messages(&got), ["ask x", "got x"]);
    assert_eq!(got.flows[0].0.app, "toy");
}

#[test]
fn the_same_packets_give_the_same_answers() {
    let once = || {
        let mut bench = Bench::new(Config { protocols: TOYS, max_flows: 5, ..Config::default() });
        for i in 0..200u16 {
            bench.ip(i64::from(i) * 700, &udp(A, i * 7 % 23, B, 2000, b"ask x\n"));
        }
        let (got, stats) = bench.end();
        (got.flows, got.events, stats)
    };
    assert_eq!(once(), once());
}

#[test]
fn no_cut_or_flipped_byte_of_a_packet_breaks_the_meter() {
    let [a, b, c] = handshake()[..] else { return };
    let packets: Vec<Vec<u8>> =
        [a, b, c, o(30, "A", 1001, 5001, 6)].iter().map(|s| tcp_bytes(s, (40000, 12345), b"ask a\n")).collect();
    let mut bench = Bench::new(Config { protocols: TOYS, ..Config::default() });
    for packet in &packets {
        for n in 0..packet.len() {
            bench.ip(n as i64, &packet[..n]);
            for bit in [1u8, 0x80, 0xff] {
                let mut odd = packet.clone();
                odd[n] ^= bit;
                for link in layers::LINKS {
                    bench.raw(n as i64, link.0, &odd);
                }
            }
        }
    }
    let (got, stats) = bench.end();
    let packets: u64 = got.flows.iter().map(|(_, p)| p.len() as u64).sum();
    assert!(stats.packets > 1000 && packets > 100);
}

#[test]
fn open_flows_are_those_seen_since_the_last_time_and_keep_their_id() {
    let mut bench = Bench::new(Config { protocols: &[], ..Config::default() });
    let hello = [o(0, "S", 1000, 0, 0), r(1, "SA", 5000, 1001, 0), o(2, "A", 1001, 5001, 0), o(3, "A", 1001, 5001, 100)];
    for s in hello {
        bench.ip(s.ms, &tcp_bytes(&s, (40_000, 80), &vec![b'x'; s.len]));
    }
    for port in [40_001, 40_002] {
        bench.ip(4, &tcp_bytes(&o(4, "S", 1, 0, 0), (port, 80), &[]));
    }
    let open = |bench: &mut Bench, most: usize| {
        let mut out = Vec::new();
        let more = bench.meter.open_flows(most, &mut |flow, _| out.push(flow));
        (out, more)
    };
    let (flows, more) = open(&mut bench, 10);
    let ports: Vec<u16> = flows.iter().map(|f| f.src_port).collect();
    assert_eq!((ports, more), (vec![40_002, 40_001, 40_000], 0));
    let first = flows[2].clone();
    assert!(first.open && first.end_reason.is_empty());
    assert_eq!((first.state, first.history.as_str(), first.out.payload, first.out.packets), ("S1", "ShAD", 100, 3));
    let record = first.clone().into_record(crate::model::SourceId(1));
    assert!(record.get(field::OPEN).is_some() && record.get(field::END_REASON).is_none());
    // Nothing changed, then one did; asking changes nothing.
    assert!(open(&mut bench, 10).0.is_empty());
    let s = r(5, "A", 5001, 1101, 7);
    bench.ip(s.ms, &tcp_bytes(&s, (40_000, 80), b"1234567"));
    assert_eq!(open(&mut bench, 0), (Vec::new(), 1));
    let (got, _) = bench.end();
    let ended = got.flows.iter().find(|(f, _)| f.id == first.id).map(|(f, _)| f.clone()).unwrap();
    assert_eq!((ended.in_.payload, ended.end_reason, ended.open), (7, "end", false));
}

#[test]
fn time_that_goes_on_without_packets_ends_flows_as_the_next_packet_would() {
    let ended = |advance: bool| {
        let mut bench = Bench::new(Config { protocols: &[], ..Config::default() });
        bench.ip(0, &tcp_bytes(&o(0, "S", 1, 0, 0), (40_001, 80), &[]));
        if advance {
            bench.meter.advance(Time(T0 - 1), &mut bench.got);
            assert_eq!(bench.got.flows.len(), 0);
            bench.meter.advance(Time(T0 + 10 * SECOND), &mut bench.got);
            assert_eq!(bench.got.flows.len(), 1);
        }
        bench.ip(10_000, &tcp_bytes(&o(10_000, "S", 1, 0, 0), (40_002, 80), &[]));
        bench.end().0.flows
    };
    assert_eq!(ended(true), ended(false));
}

#[test]
fn packets_that_nobody_keeps_are_not_referred_to() {
    let mut bench = Bench::new(Config { protocols: &[], ..Config::default() });
    for (ms, keep) in [(0, true), (1, false), (2, true)] {
        bench.meter.keep_refs(keep);
        bench.ip(ms, &tcp_bytes(&o(ms, "A", 1, 1, 0), (40_001, 80), &[]));
    }
    let (got, _) = bench.end();
    let (flow, refs) = &got.flows[0];
    assert_eq!((flow.out.packets, refs.iter().map(|r| r.number).collect::<Vec<_>>()), (3, vec![1, 3]));
}
