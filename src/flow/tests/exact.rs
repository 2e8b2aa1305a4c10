//! What other meters do with packets that are not as they should be: checksums of tunnels, carriers that change, lengths left out.

use super::*;

const INNER: ([u8; 4], [u8; 4]) = ([172, 16, 0, 1], [172, 16, 0, 2]);

/// A datagram of VXLAN that carries another; `sum` is put in the place of its checksum.
fn vxlan(src: [u8; 4], sum: Option<[u8; 2]>) -> Vec<u8> {
    let mut inner = Vec::new();
    let builder = PacketBuilder::ethernet2([1; 6], [2; 6]).ipv4(INNER.0, INNER.1, 64).udp(5000, 6000);
    builder.write(&mut inner, b"in").unwrap();
    let mut out = udp(src, 44_444, B, 4789, &[&[8, 0, 0, 0, 0, 0, 42, 0][..], &inner].concat());
    if let Some(sum) = sum {
        out[26..28].copy_from_slice(&sum);
    }
    out
}

/// The sum of the pseudo-header, as a stack leaves it for the card.
fn left_to_the_card(packet: &[u8]) -> [u8; 2] {
    let words: u32 = packet[12..20].chunks(2).map(|w| u32::from(u16::from_be_bytes([w[0], w[1]]))).sum();
    let mut sum = words + 17 + (packet.len() as u32 - 20);
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    (sum as u16).to_be_bytes()
}

#[test]
fn a_tunnel_is_believed_without_a_checksum_or_with_the_right_one() {
    let wrong = left_to_the_card(&vxlan(A, None));
    let cases = [(None, ("S0", "D", 1), 2), (Some([0, 0]), ("S0", "D", 1), 2), (Some(wrong), ("OTH", "C", 0), 1)];
    for (sum, expected, flows) in cases {
        let mut bench = Bench::new(Config { protocols: &[], ..Config::default() });
        bench.ip(0, &vxlan(A, sum));
        let (got, stats) = bench.end();
        let f = &got.flows[0].0;
        assert_eq!((f.state, f.history.as_str(), f.out.packets), expected, "{sum:?}");
        assert_eq!((got.flows.len(), stats.checksum_bad), (flows, u64::from(flows == 1)));
        assert_eq!(got.flows[0].1.len(), 1, "its packet can be found all the same");
    }
}

#[test]
fn a_sender_of_which_no_tunnel_has_the_right_checksum_leaves_it_to_its_card() {
    let mut bench = Bench::new(Config { protocols: &[], ..Config::default() });
    let wrong = vxlan(A, Some(left_to_the_card(&vxlan(A, None))));
    for ms in 0..30 {
        bench.ip(ms, &wrong);
    }
    let (got, stats) = bench.end();
    assert_eq!((got.flows.len(), stats.checksum_bad, stats.checksum_ignored), (2, 10, 20));
    assert_eq!(got.flows[1].0.out.packets, 20);
    // A datagram without a tunnel is taken at once: what it says is not believed of anybody else.
    let mut bench = Bench::new(Config { protocols: &[], ..Config::default() });
    let mut plain = udp(A, 1000, B, 2000, b"abc");
    let sum = left_to_the_card(&plain);
    plain[26..28].copy_from_slice(&sum);
    bench.ip(0, &plain);
    assert_eq!(bench.end().0.flows[0].0.out.packets, 1);
}

/// The same datagram, carried by GRE or on its own.
fn carried(by: Option<([u8; 4], [u8; 4])>) -> Vec<u8> {
    let inner = udp(INNER.0, 5000, INNER.1, 6000, b"in");
    let Some((src, dst)) = by else { return inner };
    let mut out = Vec::new();
    let gre = [&[0, 0, 8, 0][..], &inner].concat();
    PacketBuilder::ipv4(src, dst, 64).write(&mut out, etherparse::IpNumber::GRE, &gre).unwrap();
    out
}

#[test]
fn a_flow_whose_carrier_keeps_changing_says_so_and_one_that_changed_once_does_not() {
    let (one, other) = (Some((A, B)), Some((A, [192, 0, 2, 81])));
    for (carriers, expected) in [
        ([one; 8], "D"),
        ([one, one, other, other, other, other, other, other], "D"),
        ([one, other, one, other, one, other, one, other], "DX"),
        ([None, one, None, one, None, one, None, one], "DX"),
        ([None, one, None, one, None, one, one, one], "D"),
    ] {
        let mut bench = Bench::new(Config { protocols: &[], ..Config::default() });
        for (ms, by) in carriers.into_iter().enumerate() {
            bench.ip(ms as i64, &carried(by));
        }
        let (got, _) = bench.end();
        let f = got.flows.iter().map(|(f, _)| f).find(|f| f.proto == 17).unwrap();
        assert_eq!((f.history.as_str(), f.out.packets), (expected, 8), "{carriers:?}");
        // It has a parent even where its first packet had none.
        assert!(f.more.iter().any(|(n, _)| *n == field::TUNNEL));
    }
    let mut bench = Bench::new(Config { protocols: &[], ..Config::default() });
    bench.ip(0, &carried(None));
    assert!(bench.end().0.flows[0].0.more.iter().all(|(n, _)| *n != field::TUNNEL));
}

#[test]
fn a_packet_that_leaves_out_its_length_counts_as_captured_and_what_it_left_out_is_told() {
    let six = |len: Option<[u8; 2]>| {
        let mut out = Vec::new();
        PacketBuilder::ipv6([1; 16], [2; 16], 64).udp(1000, 2000).write(&mut out, &[b'x'; 100]).unwrap();
        if let Some(len) = len {
            out[4..6].copy_from_slice(&len);
        }
        out
    };
    let mut four = tcp_bytes(&o(5, "A", 1001, 5001, 3000), (40_000, 80), &[b'x'; 3000]);
    let whole = tcp_bytes(&o(0, "A", 1, 5001, 1000), (40_000, 80), &[b'x'; 1000]);
    four[2..4].copy_from_slice(&[0, 0]);
    for (packets, bytes, unstated, payload) in [
        (vec![whole, four], 1040 + 3040, Some("3040"), 4000),
        (vec![six(None), six(Some([0, 0]))], 2 * 148, Some("108"), 200),
        (vec![six(None)], 148, None, 100),
    ] {
        let mut bench = Bench::new(Config { protocols: &[], checksums: Checksums::Ignore, ..Config::default() });
        packets.iter().for_each(|p| bench.ip(0, p));
        let (got, _) = bench.end();
        let f = &got.flows[0].0;
        assert_eq!((f.out.bytes, f.out.payload), (bytes, payload));
        let told = f.more.iter().find(|(n, _)| *n == field::UNSTATED_OUT).map(|(_, v)| v.to_string());
        assert_eq!(told.as_deref(), unstated);
    }
}
