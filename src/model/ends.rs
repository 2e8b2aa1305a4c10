//! Ends that hosts had elsewhere, for a time: as which address and port a translation or a proxy showed them. A condition asks for the records of
//! those ends ([`Filter::Elsewhere`](super::Filter)).

use super::record::Record;
use super::time::{Time, Window};
use super::{RecordId, field};
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};

/// Most ends that one condition asks for.
pub const MOST: usize = 200_000;

/// For a time a host had this end elsewhere.
#[derive(Debug, Clone, PartialEq)]
pub struct Elsewhere {
    /// The host that is asked for.
    pub host: IpAddr,
    /// IANA protocol number; none: any.
    pub proto: Option<u8>,
    /// Address that it had there.
    pub ip: IpAddr,
    /// Port that it had there; none: any.
    pub port: Option<u16>,
    /// With whom; none: with anybody.
    pub peer: Option<(IpAddr, Option<u16>)>,
    /// From when, in corrected time and with its uncertainty.
    pub start: Time,
    /// Until when, inclusive.
    pub end: Time,
    /// 0 to 1.
    pub confidence: f32,
    /// How that is known.
    pub method: Method,
    /// What proves it.
    pub evidence: RecordId,
}

/// How it is known that a host had an end elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Method {
    /// A log states it.
    Log,
    /// A proxy's log states the request, and a flow of the proxy fits it.
    Proxy,
    /// Two vantage points saw connections that fit each other.
    Infer,
    /// The sender of a request states it: a claim, not evidence.
    Claim,
}

impl Method {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Method::Log => "log",
            Method::Proxy => "proxy",
            Method::Infer => "infer",
            Method::Claim => "claim",
        }
    }
}

/// Which end of a record has to be the one that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// Originator or responder.
    Either,
    /// Originator.
    Src,
    /// Responder.
    Dst,
}

/// What a record has of its ends.
#[derive(Debug, Clone, Copy)]
pub struct Pair {
    /// Protocol.
    pub proto: Option<u8>,
    /// Originator.
    pub src: (IpAddr, Option<u16>),
    /// Responder.
    pub dst: (IpAddr, Option<u16>),
    /// First instant, corrected.
    pub start: Time,
    /// Last instant, corrected.
    pub end: Time,
}

impl Pair {
    /// Of a record that names both addresses.
    pub fn of(record: &Record) -> Option<Pair> {
        let port = |f| record.uint(f).and_then(|p| u16::try_from(p).ok());
        Some(Pair {
            proto: record.uint(field::PROTO).and_then(|p| u8::try_from(p).ok()),
            src: (record.addr(field::SRC_IP)?, port(field::SRC_PORT)),
            dst: (record.addr(field::DST_IP)?, port(field::DST_PORT)),
            start: record.time(),
            end: record.until(),
        })
    }
}

/// Address and port of an end, and the address of its peer.
type Key = (IpAddr, Option<u16>, Option<IpAddr>);

/// Ports, a bit each.
#[derive(Debug, Clone)]
struct Ports(Box<[u64; 1024]>);

impl Ports {
    /// Of some ends; none: one of them has any port.
    fn of(list: &[Elsewhere]) -> Option<Ports> {
        let mut bits = Box::new([0u64; 1024]);
        for end in list {
            let port = usize::from(end.port?);
            bits[port >> 6] |= 1 << (port & 63);
        }
        Some(Ports(bits))
    }
    fn has(&self, port: u16) -> bool {
        self.0[usize::from(port >> 6)] >> (port & 63) & 1 == 1
    }
}

/// Ends, found by address, port and peer.
#[derive(Debug, Clone, Default)]
pub struct Ends {
    /// Another one for each list: what was found for one holds for no other.
    serial: u32,
    ports: Option<Ports>,
    list: Vec<Elsewhere>,
    /// The places of ends in `list`, by start, each with the latest end up to it.
    by: HashMap<Key, Vec<(u32, Time)>, foldhash::fast::RandomState>,
    addrs: BTreeSet<IpAddr>,
    peers: Option<BTreeSet<IpAddr>>,
    span: Option<Window>,
    beyond: usize,
}

impl Ends {
    /// Of a list; what is beyond [`MOST`] is left out, the oldest first, and counted.
    pub fn new(mut list: Vec<Elsewhere>) -> Ends {
        let beyond = list.len().saturating_sub(MOST);
        if beyond > 0 {
            list.sort_by_key(|e| Reverse(e.start));
            list.truncate(MOST);
        }
        for end in &mut list {
            end.ip = end.ip.to_canonical();
            end.peer = end.peer.map(|(ip, port)| (ip.to_canonical(), port));
        }
        list.sort_by(|a, b| {
            (a.ip, a.port, a.start, a.end, a.host, a.peer, a.evidence)
                .cmp(&(b.ip, b.port, b.start, b.end, b.host, b.peer, b.evidence))
        });
        let mut by: HashMap<Key, Vec<(u32, Time)>, _> = HashMap::default();
        let mut span: Option<Window> = None;
        for (n, end) in list.iter().enumerate() {
            let line = by.entry((end.ip, end.port, end.peer.map(|p| p.0))).or_default();
            let latest = line.last().map_or(end.end, |(_, latest)| end.end.max(*latest));
            line.push((n as u32, latest));
            let here = Window::new(end.start, end.end.plus(1));
            span = Some(span.map_or(here, |s| Window::new(s.start.min(here.start), s.end.max(here.end))));
        }
        let addrs = list.iter().map(|e| e.ip).collect();
        let peers = list.iter().map(|e| e.peer.map(|p| p.0)).collect();
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let (serial, ports) = (NEXT.fetch_add(1, Ordering::Relaxed), Ports::of(&list));
        Ends { serial, ports, list, by, addrs, peers, span, beyond }
    }
    /// The number of this list among all that were made: readers keep under it what they found.
    pub fn serial(&self) -> u32 {
        self.serial
    }
    /// Whether an end may have a port: of most rows of an address that many share none has.
    #[inline]
    pub fn may_have(&self, port: Option<u16>) -> bool {
        self.ports.as_ref().is_none_or(|ports| port.is_some_and(|port| ports.has(port)))
    }
    /// Every end, in order of address, port and time.
    pub fn list(&self) -> &[Elsewhere] {
        &self.list
    }
    /// The addresses of the ends.
    pub fn addrs(&self) -> &BTreeSet<IpAddr> {
        &self.addrs
    }
    /// The addresses of the peers; none: some end is one with anybody.
    pub fn peers(&self) -> Option<&BTreeSet<IpAddr>> {
        self.peers.as_ref()
    }
    /// The time that they take together; none: there is none.
    pub fn span(&self) -> Option<Window> {
        self.span
    }
    /// Ends that were left out because there are too many.
    pub fn beyond(&self) -> usize {
        self.beyond
    }
    /// The same, of which some were left out before.
    pub fn with_beyond(mut self, more: usize) -> Ends {
        self.beyond = self.beyond.saturating_add(more);
        self
    }
    /// The end that a record has; of several the surest, of those the first.
    pub fn find(&self, pair: &Pair, which: Which) -> Option<&Elsewhere> {
        let mut best: Option<(u32, &Elsewhere)> = None;
        let sides = [(Which::Src, pair.src, pair.dst), (Which::Dst, pair.dst, pair.src)];
        for (_, own, peer) in sides.into_iter().filter(|(side, ..)| which == Which::Either || which == *side) {
            let (ip, with) = (own.0.to_canonical(), peer.0.to_canonical());
            // Of most rows neither end is one of these.
            if !self.addrs.contains(&ip) {
                continue;
            }
            let ports = [Some(own.1), own.1.map(|_| None)];
            for key in ports.into_iter().flatten().flat_map(|port| [(ip, port, Some(with)), (ip, port, None)]) {
                let Some(line) = self.by.get(&key) else { continue };
                let begun = line.partition_point(|(n, _)| self.list.get(*n as usize).is_some_and(|e| e.start <= pair.end));
                // Back from the last that had begun, to where all had ended.
                let there = line.iter().take(begun).rev().take_while(|(_, latest)| *latest >= pair.start);
                for (n, end) in there.filter_map(|(n, _)| Some((*n, self.list.get(*n as usize)?))) {
                    let fits = end.end >= pair.start
                        && end.proto.zip(pair.proto).is_none_or(|(a, b)| a == b)
                        && end.peer.is_none_or(|(_, port)| port.zip(peer.1).is_none_or(|(a, b)| a == b));
                    let surer = |b: &(u32, &Elsewhere)| end.confidence.total_cmp(&b.1.confidence).then(b.0.cmp(&n)).is_gt();
                    if fits && best.as_ref().is_none_or(surer) {
                        best = Some((n, end));
                    }
                }
            }
        }
        best.map(|(_, end)| end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_has_an_end_where_protocol_peer_and_time_fit() {
        let end = |port, peer: Option<u16>, start: i64, confidence| Elsewhere {
            host: IpAddr::from([10, 0, 0, 5]),
            proto: Some(6),
            ip: IpAddr::from([198, 51, 100, 2]),
            port,
            peer: peer.map(|p| (IpAddr::from([192, 0, 2, 1]), Some(p))),
            start: Time(start),
            end: Time(start + 10),
            confidence,
            method: Method::Log,
            evidence: RecordId::default(),
        };
        let ends = Ends::new(vec![
            end(Some(9000), Some(443), 100, 0.9),
            end(Some(9000), Some(443), 105, 0.99),
            end(None, None, 500, 0.8),
        ]);
        let pair = |proto, sport, dport, at: i64| Pair {
            proto: Some(proto),
            src: ("::ffff:198.51.100.2".parse().unwrap(), Some(sport)),
            dst: (IpAddr::from([192, 0, 2, 1]), Some(dport)),
            start: Time(at),
            end: Time(at),
        };
        let found = |pair: Pair, which| ends.find(&pair, which).map(|e| e.confidence);
        assert_eq!(found(pair(6, 9000, 443, 107), Which::Either), Some(0.99));
        assert_eq!(found(pair(6, 9000, 443, 100), Which::Src), Some(0.9));
        assert_eq!(found(pair(6, 9000, 443, 107), Which::Dst), None);
        for other in [
            pair(17, 9000, 443, 107),
            pair(6, 9001, 443, 107),
            pair(6, 9000, 80, 107),
            pair(6, 9000, 443, 116),
            pair(6, 9000, 443, 99),
        ] {
            assert_eq!(found(other, Which::Either), None);
        }
        let mut answer = pair(6, 1234, 5, 505);
        (answer.src, answer.dst) = (answer.dst, answer.src);
        assert_eq!(found(answer, Which::Either), Some(0.8));
        assert_eq!(ends.span(), Some(Window::new(Time(100), Time(511))));
    }
    #[test]
    fn a_busy_end_is_found_by_its_peer_and_time_and_what_is_beyond_the_bound_is_counted() {
        let end = |n: u32, peer: Option<[u8; 4]>, long: i64| Elsewhere {
            host: IpAddr::from([10, 0, 0, 5]),
            proto: None,
            ip: IpAddr::from([198, 51, 100, 2]),
            port: None,
            peer: peer.map(|p| (IpAddr::from(p), None)),
            start: Time(i64::from(n) * 10),
            end: Time(i64::from(n) * 10 + long),
            confidence: 0.5,
            method: Method::Log,
            evidence: RecordId { offset: u64::from(n), ..RecordId::default() },
        };
        let peer = |n: u32| Some([192, 0, 2, (n % 7) as u8]);
        // One that lasts does not hide what has ended after it.
        let mut list: Vec<Elsewhere> = (0..1_000).map(|n| end(n, peer(n), if n == 3 { 9_000 } else { 5 })).collect();
        let ends = Ends::new(list.clone());
        for at in (0..10_500).step_by(3) {
            for with in 0..8u32 {
                let to = IpAddr::from(peer(with).unwrap());
                let pair = Pair {
                    proto: Some(6),
                    src: (IpAddr::from([198, 51, 100, 2]), Some(1)),
                    dst: (to, Some(443)),
                    start: Time(at),
                    end: Time(at + 20),
                };
                let scan = list.iter().find(|e| e.peer.is_some_and(|p| p.0 == to) && e.start <= pair.end && e.end >= pair.start);
                assert_eq!(ends.find(&pair, Which::Src), scan, "{at} {with}");
                assert_eq!(ends.find(&pair, Which::Dst), None);
            }
        }
        assert_eq!((ends.peers().map(BTreeSet::len), ends.addrs().len(), ends.beyond()), (Some(7), 1, 0));
        list.push(end(2_000, None, 5));
        assert_eq!(Ends::new(list).peers(), None);
        let many = Ends::new((0..MOST as u32 + 3).map(|n| end(n, None, 5)).collect()).with_beyond(1);
        assert_eq!((many.list().len(), many.beyond(), many.list().first().map(|e| e.start)), (MOST, 4, Some(Time(30))));
    }
}
