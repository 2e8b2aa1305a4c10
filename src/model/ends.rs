//! Ends that hosts had elsewhere, for a time: as which address and port a translation or a proxy showed them. A condition asks for the records of
//! those ends ([`Filter::Elsewhere`](super::Filter)).

use super::record::Record;
use super::time::{Time, Window};
use super::{RecordId, field};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::net::IpAddr;

/// Most ends that one condition asks for.
pub const MOST: usize = 200_000;

/// For a time a host had this end elsewhere.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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

/// Ends, found by address and port.
#[derive(Debug, Clone, Default)]
pub struct Ends {
    list: Vec<Elsewhere>,
    by: HashMap<(IpAddr, Option<u16>), Vec<u32>>,
    span: Option<Window>,
}

impl Ends {
    /// Of a list; what is beyond [`MOST`] is left out, the oldest first.
    pub fn new(mut list: Vec<Elsewhere>) -> Ends {
        if list.len() > MOST {
            list.sort_by_key(|e| std::cmp::Reverse(e.start));
            list.truncate(MOST);
        }
        list.sort_by(|a, b| {
            (a.ip, a.port, a.start, a.end, a.host, a.peer, a.evidence)
                .cmp(&(b.ip, b.port, b.start, b.end, b.host, b.peer, b.evidence))
        });
        let mut by: HashMap<_, Vec<u32>> = HashMap::new();
        let mut span: Option<Window> = None;
        for (n, end) in list.iter_mut().enumerate() {
            end.ip = end.ip.to_canonical();
            end.peer = end.peer.map(|(ip, port)| (ip.to_canonical(), port));
            by.entry((end.ip, end.port)).or_default().push(n as u32);
            let here = Window::new(end.start, end.end.plus(1));
            span = Some(span.map_or(here, |s| Window::new(s.start.min(here.start), s.end.max(here.end))));
        }
        Ends { list, by, span }
    }
    /// Every end, in order of address, port and time.
    pub fn list(&self) -> &[Elsewhere] {
        &self.list
    }
    /// The time that they take together; none: there is none.
    pub fn span(&self) -> Option<Window> {
        self.span
    }
    /// The end that a record has; of several the surest.
    pub fn find(&self, pair: &Pair, which: Which) -> Option<&Elsewhere> {
        let mut best: Option<&Elsewhere> = None;
        let sides = [(Which::Src, pair.src, pair.dst), (Which::Dst, pair.dst, pair.src)];
        for (_, own, peer) in sides.into_iter().filter(|(side, ..)| which == Which::Either || which == *side) {
            let own = (own.0.to_canonical(), own.1);
            let peer = (peer.0.to_canonical(), peer.1);
            let keys = if own.1.is_some() { [Some((own.0, own.1)), Some((own.0, None))] } else { [Some((own.0, None)), None] };
            for number in keys.into_iter().flatten().filter_map(|key| self.by.get(&key)).flatten() {
                let end = &self.list[*number as usize];
                if end.start > pair.end {
                    break;
                }
                let fits = end.end >= pair.start
                    && end.proto.zip(pair.proto).is_none_or(|(a, b)| a == b)
                    && end.peer.is_none_or(|(ip, port)| ip == peer.0 && port.zip(peer.1).is_none_or(|(a, b)| a == b));
                if fits && best.is_none_or(|b| b.confidence < end.confidence) {
                    best = Some(end);
                }
            }
        }
        best
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
}
