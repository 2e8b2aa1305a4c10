//! Tests of what is inferred, against traffic made up with the truth known: an hour of connections of many hosts behind one address, with losses, wrong
//! counters and periodic traffic of one size.

use super::*;
use crate::model::EvidenceKey;
use crate::model::time::SECOND;
use std::net::Ipv4Addr;

pub(super) struct Draw(u64);

impl Draw {
    pub(super) fn new(seed: u64) -> Draw {
        Draw(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }
    /// xorshift64*.
    fn bits(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
    fn below(&mut self, n: u64) -> u64 {
        (self.bits() >> 11) % n
    }
    fn real(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }
    /// Normally distributed (Box and Muller).
    fn normal(&mut self, sigma: f64) -> f64 {
        let (u, v) = (self.real().max(1e-12), self.real());
        sigma * (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
    }
}

struct Made {
    flows: Vec<Seen>,
    /// Which connection each is.
    truth: Vec<u32>,
    /// Connections seen on both sides.
    both: usize,
}

/// So many connections in an hour to so many servers; `jitter` in milliseconds.
fn made(seed: u64, connections: u32, servers: u64, jitter: f64, content: bool) -> Made {
    let mut draw = Draw::new(seed);
    let (mut flows, mut truth, mut both) = (Vec::new(), Vec::new(), 0);
    for n in 0..connections {
        let server = draw.below(servers);
        let peer = End::new(Ipv4Addr::new(192, 0, 2, server as u8).into(), 443 + (server >> 8) as u16);
        let host =
            End::new(Ipv4Addr::new(10, 0, draw.below(4) as u8, draw.below(250) as u8).into(), 1024 + draw.below(60_000) as u16);
        let out = End::new(Ipv4Addr::new(198, 51, 100, 2).into(), 1024 + draw.below(60_000) as u16);
        let start = (draw.real() * 3600e9) as i64;
        let long = (draw.normal(1.5).exp() * 1e9) as i64;
        // A quarter is periodic traffic, all of one size.
        let beacon = draw.below(4) == 0;
        let payload = if beacon {
            [256, 512]
        } else {
            [(draw.normal(1.0).exp() * 900.0) as u32, (draw.normal(1.6).exp() * 5_000.0) as u32]
        };
        let long = if beacon { 12_000_000_000 } else { long };
        let said = if content { u64::from(n) + 1 } else { 0 };
        let mut seen = [false; 2];
        for side in 0..2u16 {
            // Each side loses one in twenty, and miscounts three in a hundred.
            if draw.below(20) == 0 {
                continue;
            }
            seen[usize::from(side)] = true;
            let wrong = draw.below(100) < 3;
            let mut off = || (draw.normal(jitter) * 1e6) as i64;
            let (first, last) = (start + off(), start + long + off());
            let payload = if wrong { [payload[0] + 40, payload[1]] } else { payload };
            let packets = payload.map(|p| p / 1400 + 3);
            flows.push(Seen {
                id: RecordId { evidence: EvidenceKey(u64::from(side) + 1), offset: u64::from(n), ordinal: 0 },
                vantage: side * 2,
                proto: 6,
                src: if side == 0 { host } else { out },
                dst: peer,
                start: Time(first),
                end: Time(last.max(first)),
                packets,
                payload,
                bytes: [UNKNOWN; 2],
                name: 0,
                fingerprint: 0,
                also: 0,
                requests: 0,
                content: said,
            });
            truth.push(n);
        }
        both += usize::from(seen[0] && seen[1]);
    }
    Made { flows, truth, both }
}

/// Precision and recall.
fn measured(made: &Made) -> (f64, f64) {
    let got = infer(&made.flows, &BTreeMap::new(), &Cancel::default()).unwrap();
    let right = got.same.iter().filter(|s| made.truth[s.inside as usize] == made.truth[s.outside as usize]).count();
    (right as f64 / got.same.len().max(1) as f64, right as f64 / made.both.max(1) as f64)
}

#[test]
fn twenty_small_networks_are_understood_from_records_alone() {
    for seed in 0..20 {
        let made = made(seed, 3_000, 40, 5.0, false);
        let (precision, recall) = measured(&made);
        assert!(precision >= 0.999 && recall >= 0.98, "seed {seed}: precision {precision:.5}, recall {recall:.5}");
    }
}

#[test]
fn what_was_transmitted_settles_it() {
    let made = made(1, 5_000, 3, 20.0, true);
    let (precision, recall) = measured(&made);
    assert!(precision >= 0.9999 && recall >= 0.98, "precision {precision:.5}, recall {recall:.5}");
}

#[test]
fn a_busy_hour_is_understood_from_records_alone() {
    for seed in 0..3 {
        let made = made(seed, 100_000, 100, 5.0, false);
        let (precision, recall) = measured(&made);
        assert!(precision >= 0.999 && recall >= 0.98, "seed {seed}: precision {precision:.5}, recall {recall:.5}");
    }
}

#[test]
fn networks_that_have_nothing_to_do_with_each_other_give_nothing() {
    for seed in 0..20 {
        let mut one = made(seed, 3_000, 20, 5.0, false);
        let mut other = made(seed + 100, 3_000, 20, 5.0, false);
        one.flows.retain(|f| f.vantage == 0);
        other.flows.retain(|f| f.vantage == 2);
        one.flows.extend(other.flows);
        let got = infer(&one.flows, &BTreeMap::new(), &Cancel::default()).unwrap();
        assert_eq!((got.same.len(), got.gateways.len()), (0, 0), "seed {seed}");
    }
}

#[test]
fn a_gateway_is_described_and_a_forwarded_port_is_found() {
    let mut made = made(7, 500, 10, 1.0, false);
    for n in 0..20u16 {
        let client = End::new(Ipv4Addr::new(203, 0, 113, n as u8).into(), 40_000 + n);
        let size = [300 + u32::from(n), 9_000];
        for (vantage, server) in [(0, "10.8.50.10:80"), (2, "198.51.100.2:8631")] {
            let server: std::net::SocketAddr = server.parse().unwrap();
            made.flows.push(Seen {
                id: RecordId { evidence: EvidenceKey(9), offset: u64::from(n), ordinal: vantage },
                vantage,
                src: client,
                dst: End::new(server.ip(), server.port()),
                payload: size,
                start: Time(i64::from(n) * 100 * SECOND),
                end: Time((i64::from(n) * 100 + 1) * SECOND),
                ..made.flows[0]
            });
        }
    }
    let got = infer(&made.flows, &BTreeMap::new(), &Cancel::default()).unwrap();
    let gateway = &got.gateways[0];
    assert_eq!((got.gateways.len(), gateway.inside, gateway.outside), (1, 0, 2));
    assert_eq!(gateway.pool.iter().map(ToString::to_string).collect::<Vec<_>>(), ["198.51.100.2"]);
    assert!(gateway.ports_kept < 0.01 && gateway.relation.offset.abs() < 1_000_000);
    let inbound: Vec<Binding> = got.bindings(&made.flows).filter(|b| b.kind == BindingKind::Dnat).collect();
    assert_eq!(inbound.len(), 20);
    assert!(inbound.iter().all(|b| b.inside.to_string() == "10.8.50.10:80" && b.outside.to_string() == "198.51.100.2:8631"));
}

#[test]
fn few_connections_and_odd_times_are_no_panic() {
    let made = made(3, 3, 1, 1.0, false);
    let mut flows = made.flows;
    flows[0].start = Time(i64::MIN);
    flows[0].end = Time(i64::MAX);
    if let Some(last) = flows.last_mut() {
        last.start = Time(i64::MAX);
        last.end = Time(i64::MIN);
    }
    infer(&flows, &BTreeMap::new(), &Cancel::default()).unwrap();
    assert!(infer(&[], &BTreeMap::new(), &Cancel::default()).unwrap().same.is_empty());
}
