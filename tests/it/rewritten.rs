//! A real capture beside a copy of it as a gateway would have sent it on: other addresses and ports, a hop less, another clock, packets lost. What
//! is found to be one connection is compared with what was rewritten.

use crate::story::{Case, story};
use backtrail::model::clock::ClockState;
use backtrail::model::packet::LinkType;
use backtrail::model::time::SECOND;
use backtrail::model::{Kind, Window};
use backtrail::query::Engine;
use backtrail::query::engine::{AskedEnd, Cancel, End};
use backtrail::sources::capture::{self, CaptureKind, Item};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

const GATEWAY: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 250);
const AHEAD: i64 = 5 * 3_600 * SECOND;
/// Nanoseconds in a second.
const SKEW: i64 = 40_000;
/// Of a thousand packets.
const LOST: u64 = 30;

/// SplitMix64: the same numbers on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (x ^ (x >> 31)) % n
    }
}

/// Protocol, end inside, peer.
type Inside = (u8, End, End);

fn checksum(parts: &[&[u8]]) -> u16 {
    let all = parts.concat();
    let mut sum: u32 = all.chunks(2).map(|c| u32::from(u16::from_be_bytes([c[0], c.get(1).copied().unwrap_or(0)]))).sum();
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// A TCP or UDP packet over IPv4 between a private address and one that is not: where its IP header begins, how long that is.
fn outward(frame: &[u8]) -> Option<(usize, usize)> {
    let at = match u16::from_be_bytes(frame.get(12..14)?.try_into().ok()?) {
        0x0800 => 14,
        0x8100 => 18,
        _ => return None,
    };
    let ip = frame.get(at..)?;
    let long = usize::from(ip.first()? & 0x0f) * 4;
    let addr = |at: usize| <[u8; 4]>::try_from(ip.get(at..at + 4)?).ok().map(Ipv4Addr::from);
    let (src, dst) = (addr(12)?, addr(16)?);
    let global = |a: Ipv4Addr| !a.is_private() && !a.is_multicast() && !a.is_broadcast() && !a.is_link_local();
    let whole = u16::from_be_bytes([ip[6], ip[7]]) & 0x3fff == 0;
    let ours = src.is_private() && global(dst) || dst.is_private() && global(src);
    (ip[0] >> 4 == 4 && whole && ours && matches!(ip[9], 6 | 17) && ip.len() >= long + 8).then_some((at, long))
}

/// Writes the copy; gives what each connection became, and those of which any packet was kept.
fn rewrite(path: &Path, to: &Path, seed: u64) -> (BTreeMap<Inside, End>, BTreeSet<Inside>) {
    let bytes = std::fs::read(path).unwrap();
    let mut random = Random(seed);
    let mut out = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 1, 0, 0, 0];
    let (mut became, mut kept) = (BTreeMap::new(), BTreeSet::new());
    let (mut used, mut first) = (BTreeSet::new(), None);
    capture::read(CaptureKind::of(&bytes).unwrap(), &mut &bytes[..], &mut |item| {
        let Item::Packet(p) = item else { return true };
        let Some((at, long)) = outward(p.data).filter(|_| p.link == LinkType::ETHERNET) else { return true };
        let mut frame = p.data.to_vec();
        let ip = &mut frame[at..];
        let addr = |ip: &[u8], at: usize| Ipv4Addr::new(ip[at], ip[at + 1], ip[at + 2], ip[at + 3]);
        let port = |ip: &[u8], at: usize| u16::from_be_bytes([ip[long + at], ip[long + at + 1]]);
        let from_inside = addr(ip, 12).is_private();
        let ends = [(addr(ip, 12), port(ip, 0)), (addr(ip, 16), port(ip, 2))].map(|(a, p)| End::new(IpAddr::V4(a), p));
        let (inside, peer) = if from_inside { (ends[0], ends[1]) } else { (ends[1], ends[0]) };
        let outside = *became.entry((ip[9], inside, peer)).or_insert_with(|| {
            loop {
                let port = 1_024 + random.below(64_000) as u16;
                if used.insert((ip[9], port, peer)) {
                    return End::new(IpAddr::V4(GATEWAY), port);
                }
            }
        });
        let (address, port) = if from_inside { (12, long) } else { (16, long + 2) };
        ip[address..address + 4].copy_from_slice(&GATEWAY.octets());
        ip[port..port + 2].copy_from_slice(&outside.port.unwrap().to_be_bytes());
        ip[8] = ip[8].saturating_sub(1);
        ip[10..12].fill(0);
        let sum = checksum(&[&ip[..long]]);
        ip[10..12].copy_from_slice(&sum.to_be_bytes());
        let end = usize::from(u16::from_be_bytes([ip[2], ip[3]])).min(ip.len());
        let field = long + if ip[9] == 6 { 16 } else { 6 };
        ip[field..field + 2].fill(0);
        let pseudo = [&ip[12..20], &[0, ip[9]], &((end - long) as u16).to_be_bytes()].concat();
        let sum = checksum(&[&pseudo, &ip[long..end]]);
        // Zero means none to UDP.
        let sum = if ip[9] == 17 && sum == 0 { 0xffff } else { sum };
        ip[field..field + 2].copy_from_slice(&sum.to_be_bytes());
        // Some jitter on the way.
        let time = p.time.0 + 200_000 + random.below(2_000_000) as i64;
        let since = time - *first.get_or_insert(time);
        let time = time + AHEAD + since / SECOND * SKEW + since % SECOND * SKEW / SECOND;
        if random.below(1_000) >= LOST {
            kept.insert((p.data[at + 9], inside, peer));
            let head = [(time / SECOND) as u32, (time % SECOND / 1_000) as u32, frame.len() as u32, p.wire_len];
            head.iter().for_each(|n| out.extend_from_slice(&n.to_le_bytes()));
            out.extend_from_slice(&frame);
        }
        true
    });
    std::fs::write(to, out).unwrap();
    (became, kept)
}

#[test]
fn connections_behind_a_simulated_gateway_are_found_and_hardly_any_is_made_up() {
    let case = Case::new();
    let copy = case.path("beyond.pcap");
    let (became, kept) = rewrite(&story("inside.pcapng"), &copy, 7);
    case.ingest(&[story("inside.pcapng"), copy]);
    let beyond = case.engine.sources().into_iter().find(|s| s.name.contains("beyond")).unwrap();
    let estimate = beyond.estimate.clone().unwrap();
    assert_eq!(estimate.state, ClockState::Confident, "{estimate:?}");
    assert!((beyond.clock.shift + AHEAD).abs() < 30 * SECOND && (estimate.pieces[0].skew - SKEW).abs() < 2_000, "{estimate:?}");

    let flows = case.rows(&format!("kind = flow and source = \"{}\"", beyond.name));
    let of: BTreeMap<(u8, End), Vec<(&Inside, &End)>> = became.iter().fold(BTreeMap::new(), |mut all, (inside, outside)| {
        all.entry((inside.0, *outside)).or_insert_with(Vec::new).push((inside, outside));
        all
    });
    let (mut right, mut wrong, mut missed, mut one_way) = (0u32, Vec::new(), 0u32, 0u32);
    for flow in &flows {
        use backtrail::model::field as f;
        let end = |ip, port| End::new(flow.addr(ip).unwrap(), flow.uint(port).map(|p| p as u16));
        let (src, dst) = (end(f::SRC_IP, f::SRC_PORT), end(f::DST_IP, f::DST_PORT));
        let proto = flow.uint(f::PROTO).unwrap() as u8;
        let (outside, peer) = if src.ip == IpAddr::V4(GATEWAY) { (src, dst) } else { (dst, src) };
        let truth = of[&(proto, outside)].iter().find(|(inside, _)| inside.2 == peer).unwrap().0;
        assert!(kept.contains(truth));
        let window = Window::new(flow.time(), flow.until().plus(1));
        let asked = AskedEnd { end: outside, proto: Some(proto), peer: Some(peer), window };
        let found = case.engine.bindings(&asked, &Cancel::default()).unwrap().outside;
        match found.iter().map(|b| b.inside).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().as_slice() {
            [] => {
                missed += 1;
                eprintln!("missed {truth:?} as {outside} at {} for {}", flow.time(), flow.until().since(flow.time()));
                one_way += u32::from(flow.uint(f::PACKETS_IN) == Some(0) || flow.uint(f::PACKETS_OUT) == Some(0));
            }
            [one] if *one == truth.1 => right += 1,
            other => wrong.push(format!("{truth:?}: {other:?}")),
        }
    }
    let said = right + wrong.len() as u32;
    let (precision, recall) =
        (f64::from(right) / f64::from(said), f64::from(right) / f64::from(right + missed + wrong.len() as u32));
    let summary = format!(
        "{} flows, {right} right, {missed} missed ({one_way} of one way), wrong {wrong:?}: precision {precision:.4}, recall {recall:.4}",
        flows.len()
    );
    eprintln!("{summary}");
    assert!(flows.len() > 400 && flows.iter().all(|f| f.kind == Kind::Flow));
    assert!(precision >= 0.999 && recall >= 0.98, "{summary}");
}
