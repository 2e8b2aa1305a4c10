//! For every protocol: a sample exists and is recognised, what is understood of it stays the same, and damage to it never panics.
//!
//! The splitter here is a toy: in-order bytes of each side of TCP, whole datagrams of UDP, no fragments, no timeouts. The real one is `flow`.

use backtrail::model::field;
use backtrail::model::time::Time;
use backtrail::protocols::{ALL, At, Ends, Out, Protocol, Side, Sniff};
use etherparse::{LaxSlicedPacket, TransportSlice};
use pcap_parser::{PcapBlockOwned, PcapError};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

type Chunk = (Side, Vec<u8>, At);

struct Conversation {
    ends: Ends,
    chunks: Vec<Chunk>,
    next: [Option<u32>; 2],
    waiting: [BTreeMap<u32, (Vec<u8>, At)>; 2],
}

fn samples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("sample-data/protocols")
}

/// Every packet of a capture: link type, time, bytes.
fn packets(path: &Path) -> Vec<(i32, i64, Vec<u8>)> {
    let file = std::fs::File::open(path).unwrap();
    let mut reader = pcap_parser::create_reader(1 << 20, file).unwrap();
    let (mut packets, mut link, mut unit) = (Vec::new(), 1, 1_000);
    loop {
        match reader.next() {
            Ok((used, block)) => {
                match block {
                    PcapBlockOwned::LegacyHeader(h) => {
                        link = h.network.0;
                        unit = if h.is_nanosecond_precision() { 1 } else { 1_000 };
                    }
                    PcapBlockOwned::Legacy(p) => {
                        packets.push((link, i64::from(p.ts_sec) * 1_000_000_000 + i64::from(p.ts_usec) * unit, p.data.to_vec()));
                    }
                    PcapBlockOwned::NG(pcap_parser::Block::InterfaceDescription(i)) => link = i.linktype.0,
                    PcapBlockOwned::NG(pcap_parser::Block::EnhancedPacket(p)) => {
                        let micros = i64::from(p.ts_high) << 32 | i64::from(p.ts_low);
                        packets.push((link, micros.wrapping_mul(1_000), p.data.get(..p.caplen as usize).unwrap().to_vec()));
                    }
                    PcapBlockOwned::NG(_) => {}
                }
                reader.consume(used);
            }
            Err(PcapError::Incomplete(_)) => {
                if reader.reader_exhausted() {
                    return packets;
                }
                reader.refill().unwrap();
            }
            Err(_) => return packets,
        }
    }
}

impl Conversation {
    /// Hands on what is in order. `all`: what is not, too.
    fn settle(&mut self, index: usize, all: bool) {
        while let Some((sequence, (bytes, at))) = self.waiting[index].pop_first() {
            let next = *self.next[index].get_or_insert(sequence);
            let ahead = sequence.wrapping_sub(next);
            let known = next.wrapping_sub(sequence) as usize;
            if ahead > 0 && ahead < 1 << 31 && !all {
                self.waiting[index].insert(sequence, (bytes, at));
                return;
            }
            let bytes = if ahead < 1 << 31 { &bytes[..] } else { bytes.get(known..).unwrap_or_default() };
            if !bytes.is_empty() {
                let from = if ahead < 1 << 31 { sequence } else { next };
                self.next[index] = Some(from.wrapping_add(bytes.len() as u32));
                self.chunks.push((if index == 0 { Side::Out } else { Side::In }, bytes.to_vec(), at));
            }
        }
    }
}

/// The conversations of a capture, in order of their first packet.
fn conversations(path: &Path) -> Vec<Conversation> {
    let mut found: Vec<Conversation> = Vec::new();
    let mut known = BTreeMap::new();
    for (number, (link, time, bytes)) in packets(path).into_iter().enumerate() {
        let sliced = match link {
            1 => LaxSlicedPacket::from_ethernet(&bytes).ok(),
            101 | 12 => LaxSlicedPacket::from_ip(&bytes).ok(),
            0 | 108 => bytes.get(4..).and_then(|b| LaxSlicedPacket::from_ip(b).ok()),
            113 => bytes.get(16..).and_then(|b| LaxSlicedPacket::from_ip(b).ok()),
            _ => None,
        };
        let Some(sliced) = sliced else { continue };
        let (src, dst) = match &sliced.net {
            Some(etherparse::LaxNetSlice::Ipv4(ip)) => {
                (IpAddr::from(ip.header().source()), IpAddr::from(ip.header().destination()))
            }
            Some(etherparse::LaxNetSlice::Ipv6(ip)) => {
                (IpAddr::from(ip.header().source()), IpAddr::from(ip.header().destination()))
            }
            _ => continue,
        };
        let (proto, src_port, dst_port, payload) = match &sliced.transport {
            Some(TransportSlice::Tcp(t)) => (6u8, t.source_port(), t.destination_port(), t.payload()),
            Some(TransportSlice::Udp(u)) => (17u8, u.source_port(), u.destination_port(), u.payload()),
            _ => continue,
        };
        let (a, b) = ((src, src_port), (dst, dst_port));
        let syn = matches!(&sliced.transport, Some(TransportSlice::Tcp(t)) if t.syn() && !t.ack());
        let slot = known.entry((proto, a.min(b), a.max(b))).or_insert(usize::MAX);
        if *slot == usize::MAX || (syn && found.get(*slot).is_some_and(|c| !c.chunks.is_empty())) {
            *slot = found.len();
            let ends = Ends { src, src_port, dst, dst_port, proto };
            found.push(Conversation { ends, chunks: Vec::new(), next: [None; 2], waiting: Default::default() });
        }
        let c = &mut found[*slot];
        let index = usize::from((c.ends.src, c.ends.src_port) != a);
        let at = At { time: Time(time), offset: number as u64 + 1 };
        match &sliced.transport {
            Some(TransportSlice::Tcp(t)) => {
                if t.syn() {
                    c.next[index] = Some(t.sequence_number().wrapping_add(1));
                } else if !payload.is_empty() {
                    let slot = c.waiting[index].entry(t.sequence_number()).or_insert((Vec::new(), at));
                    if slot.0.len() < payload.len() {
                        *slot = (payload.to_vec(), at);
                    }
                }
                c.settle(index, false);
            }
            _ => c.chunks.push((if index == 0 { Side::Out } else { Side::In }, payload.to_vec(), at)),
        }
    }
    for c in &mut found {
        c.settle(0, true);
        c.settle(1, true);
    }
    found
}

/// Recognises and reads a conversation from its first chunk on, again wherever a parser asks for it.
fn read(ends: &Ends, chunks: &[Chunk]) -> (Vec<&'static str>, Out) {
    let (mut apps, mut all) = (Vec::new(), Out::default());
    let mut chunks = chunks.to_vec();
    let (mut from, mut agreed) = (0, None);
    while from < chunks.len() {
        let by_name = agreed.take().and_then(backtrail::protocols::find).map(|p| (p, 0));
        let Some((protocol, begin)) = by_name.or_else(|| recognise(ends, &chunks[from..])) else { break };
        apps.push(protocol.name());
        let mut parser = protocol.parser(ends);
        let mut out = Out::default();
        let mut at = from + begin;
        while at < chunks.len() && !out.done {
            let (side, bytes, when) = &chunks[at];
            parser.data(*side, bytes, *when, &mut out);
            at += 1;
        }
        parser.end(&mut out);
        all.events.append(&mut out.events);
        all.flow.append(&mut out.flow);
        all.oddities.append(&mut out.oddities);
        all.confirmed |= out.confirmed;
        all.violated |= out.violated;
        from = if out.restart { at } else { chunks.len() };
        if out.restart && out.unused > 0 {
            // What the parser left of its last piece is of what follows.
            from = at - 1;
            let left = chunks[from].1.len() - out.unused;
            chunks[from].1.drain(..left);
        }
        agreed = out.follows;
    }
    (apps, all)
}

fn recognise(ends: &Ends, chunks: &[Chunk]) -> Option<(&'static dyn Protocol, usize)> {
    let mut heads = [Vec::new(), Vec::new()];
    for (side, bytes, _) in chunks {
        let head: &mut Vec<u8> = &mut heads[usize::from(*side == Side::In)];
        if ends.proto == 17 {
            head.clone_from(bytes);
        } else if head.len() < 512 {
            head.extend_from_slice(bytes);
            head.truncate(512);
        }
        for protocol in ALL.iter().filter(|p| p.over().contains(&ends.proto)) {
            if protocol.probe(*side, head, ends) == Sniff::Yes {
                return Some((*protocol, 0));
            }
        }
    }
    None
}

/// What is understood of a capture, as text.
fn understood(path: &Path) -> String {
    let mut text = String::new();
    for c in conversations(path) {
        let (apps, out) = read(&c.ends, &c.chunks);
        let certain = if out.confirmed { "parsed" } else { "banner" };
        let (Ends { src, src_port, dst, dst_port, .. }, apps) = (c.ends, apps.join(","));
        let _ = write!(text, "flow {src}:{src_port} > {dst}:{dst_port} {apps} {certain}");
        let mut given = Vec::new();
        for (f, v) in out.flow {
            let ty = field::get(f).unwrap().ty;
            if !given.contains(&f) {
                given.push(f);
                let _ = write!(text, " {}={}", field::name(f), v.show(ty));
            }
        }
        text.push('\n');
        for e in out.events {
            let _ = write!(text, "  {} {} +{}ns @{}", e.kind, e.start, e.end.since(e.start), e.offset);
            for (f, v) in e.fields {
                let _ = write!(text, " {}={}", field::name(f), v.show(field::get(f).unwrap().ty));
            }
            text.push('\n');
        }
        for (oddity, _, at) in out.oddities {
            let _ = writeln!(text, "  odd {} {} @{at}", oddity.what, oddity.place);
        }
    }
    text
}

#[test]
fn every_protocol_has_a_small_sample_that_it_recognises() {
    for protocol in ALL {
        let path = samples().join(format!("{}.pcap", protocol.name()));
        let size = std::fs::metadata(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display())).len();
        assert!(size < 64 * 1024, "{} has {size} bytes", path.display());
        let apps: Vec<&str> = conversations(&path).iter().flat_map(|c| read(&c.ends, &c.chunks).0).collect();
        assert!(apps.contains(&protocol.name()), "{}: {apps:?}", protocol.name());
    }
}

#[test]
fn what_is_understood_of_the_samples_stays_the_same() {
    for protocol in ALL {
        let text = understood(&samples().join(format!("{}.pcap", protocol.name())));
        insta::assert_snapshot!(format!("protocol_{}", protocol.name()), text);
    }
}

#[test]
fn names_and_docs_of_protocols_are_usable() {
    let mut names = std::collections::BTreeSet::new();
    for protocol in ALL {
        assert!(names.insert(protocol.name()), "{} twice", protocol.name());
        assert!(protocol.doc().ends_with('.') && !protocol.over().is_empty(), "{}", protocol.name());
    }
}

/// Feeds bytes to one parser, whatever it says of being done.
fn drive(protocol: &dyn Protocol, ends: &Ends, chunks: &[Chunk]) -> usize {
    let mut parser = protocol.parser(ends);
    let mut out = Out::default();
    for (side, bytes, at) in chunks {
        let _ = protocol.probe(*side, &bytes[..bytes.len().min(512)], ends);
        parser.data(*side, bytes, *at, &mut out);
    }
    parser.end(&mut out);
    out.events.len()
}

#[test]
fn samples_cut_at_every_byte_never_panic() {
    for protocol in ALL {
        for c in conversations(&samples().join(format!("{}.pcap", protocol.name()))) {
            let total: usize = c.chunks.iter().map(|(_, b, _)| b.len()).sum();
            let every = (0..total.min(1_500)).chain((1_500..total).step_by(211));
            for cut in every {
                let (mut left, mut chunks) = (cut, Vec::new());
                for (side, bytes, at) in &c.chunks {
                    let now = left.min(bytes.len());
                    chunks.push((*side, bytes[..now].to_vec(), *at));
                    left -= now;
                    if left == 0 {
                        break;
                    }
                }
                drive(*protocol, &c.ends, &chunks);
            }
        }
    }
}

#[test]
fn samples_with_flipped_bytes_and_holes_never_panic_in_any_parser() {
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = move |below: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random % below.max(1) as u64) as usize
    };
    for sample in ALL {
        for c in conversations(&samples().join(format!("{}.pcap", sample.name()))) {
            if c.chunks.is_empty() {
                continue;
            }
            for round in 0..60 {
                let mut chunks = c.chunks.clone();
                for _ in 0..=round % 4 {
                    let chunk = next(chunks.len());
                    let bytes = &mut chunks[chunk].1;
                    if !bytes.is_empty() {
                        let at = if round % 2 == 0 { next(bytes.len().min(64)) } else { next(bytes.len()) };
                        bytes[at] = [0, 0xff, 0x7f, 0x80, next(256) as u8][next(5)];
                    }
                }
                drive(*sample, &c.ends, &chunks);
                // Bytes of another protocol, both ways round, with a hole.
                let other = ALL[round % ALL.len()];
                let mut parser = other.parser(&c.ends);
                let mut out = Out::default();
                for (i, (side, bytes, at)) in chunks.iter().enumerate() {
                    let side = if round % 3 == 0 && *side == Side::Out { Side::In } else { *side };
                    if i == round % 5 {
                        parser.gap(side, [1, 100, 1 << 40][round % 3], *at, &mut out);
                    }
                    parser.data(side, bytes, *at, &mut out);
                }
                parser.end(&mut out);
            }
        }
    }
}
