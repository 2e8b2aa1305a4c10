//! Sites of one's own, the addresses that count as home, and from these the direction of a record.
//!
//! A record goes `in`, `out`, `internal` or `external` by which of its two ends is home. Addresses that never leave a link (loopback, link
//! local, multicast, broadcast, unspecified) count as home for the direction, so that a host's broadcast is not traffic that went out; they
//! are no members of `@home`. A record without both addresses has no direction.

use super::carry;
use super::field::{self, Type};
use super::filter::{Filter, Members, Test};
use super::record::Record;
use super::value::Value;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::sync::Arc;

/// Networks whose addresses never leave a link.
const LINK: [&str; 8] =
    ["0.0.0.0/32", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "255.255.255.255/32", "::/127", "fe80::/10", "ff00::/8"];

/// A site of one's own: confirmed by somebody, or guessed from the evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Site {
    /// Name.
    pub name: String,
    /// Its networks.
    #[serde(with = "carry::nets")]
    pub networks: Vec<IpNet>,
    /// Zone that its people and its zone-less logs live in, if known.
    pub zone: Option<String>,
    /// Who confirmed it; none: it is a guess.
    pub by: Option<String>,
    /// Of a guess what it rests on, one line per network.
    pub why: Vec<String>,
}

/// The sites of a case: what was confirmed, and what the evidence suggests.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sites {
    /// Confirmed, in order of name.
    pub confirmed: Vec<Site>,
    /// Guessed; applied only while nothing is confirmed.
    pub guessed: Vec<Site>,
}

impl Sites {
    /// The sites that are applied.
    pub fn applied(&self) -> &[Site] {
        if self.confirmed.is_empty() { &self.guessed } else { &self.confirmed }
    }
}

/// Which way a record goes, seen from home.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From outside to home.
    In,
    /// From home to the outside.
    Out,
    /// Both ends are home.
    Internal,
    /// Neither end is home.
    External,
}

impl Direction {
    /// Every direction.
    pub const ALL: [Direction; 4] = [Direction::In, Direction::Out, Direction::Internal, Direction::External];
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Direction::In => "in",
            Direction::Out => "out",
            Direction::Internal => "internal",
            Direction::External => "external",
        }
    }
    /// Whether source and destination are home.
    fn ends(self) -> (bool, bool) {
        match self {
            Direction::In => (false, true),
            Direction::Out => (true, false),
            Direction::Internal => (true, true),
            Direction::External => (false, false),
        }
    }
}

/// The addresses that count as one's own.
#[derive(Debug, Clone, Default)]
pub struct Home {
    /// What `@home` holds.
    members: Arc<Members>,
    /// The same with what never leaves a link.
    near: Arc<Members>,
    /// Nobody has confirmed it.
    pub guessed: bool,
}

impl Home {
    /// Home is these networks.
    pub fn new(networks: impl IntoIterator<Item = IpNet>, guessed: bool) -> Home {
        let nets: Vec<IpNet> = networks.into_iter().map(|n| n.trunc()).collect();
        let near: Vec<IpNet> = nets.iter().copied().chain(LINK.iter().filter_map(|n| n.parse().ok())).collect();
        Home { members: Arc::new(members(&nets)), near: Arc::new(members(&near)), guessed }
    }
    /// What `@home` holds.
    pub fn members(&self) -> &Arc<Members> {
        &self.members
    }
    /// Whether an address is one's own.
    pub fn has(&self, addr: IpAddr) -> bool {
        self.members.has(addr)
    }
    /// Whether an address is one's own or never leaves a link: then it is nobody else's.
    pub fn is_near(&self, addr: IpAddr) -> bool {
        self.near.has(addr)
    }
    /// Which way a record goes; none if it has not both addresses.
    pub fn direction(&self, record: &Record) -> Option<Direction> {
        let ends = (self.near.has(record.addr(field::SRC_IP)?), self.near.has(record.addr(field::DST_IP)?));
        Direction::ALL.into_iter().find(|d| d.ends() == ends)
    }
    /// The same filter with tests of `direction` as tests of addresses, which postings can answer.
    pub fn expand(&self, filter: Filter) -> Filter {
        match filter {
            Filter::And(list) => Filter::And(list.into_iter().map(|f| self.expand(f)).collect()),
            Filter::Or(list) => Filter::Or(list.into_iter().map(|f| self.expand(f)).collect()),
            Filter::Not(inner) => Filter::Not(Box::new(self.expand(*inner))),
            Filter::Test(field::DIRECTION, test) => {
                let holds = |d: &Direction| test.holds(&Value::text(d.name()), Type::Text);
                let mut any: Vec<Filter> = Direction::ALL.into_iter().filter(holds).map(|d| self.ends(d)).collect();
                match any.len() {
                    1 => any.remove(0),
                    4 => Filter::And([field::SRC_IP, field::DST_IP].map(|f| Filter::Test(f, Test::Exists)).to_vec()),
                    _ => Filter::Or(any),
                }
            }
            other => other,
        }
    }
    fn ends(&self, direction: Direction) -> Filter {
        let (from, to) = direction.ends();
        let mut all = Vec::new();
        for (id, home) in [(field::SRC_IP, from), (field::DST_IP, to)] {
            let near = Filter::Test(id, Test::Set(Arc::clone(&self.near)));
            if home {
                all.push(near);
            } else {
                all.extend([Filter::Test(id, Test::Exists), Filter::Not(Box::new(near))]);
            }
        }
        Filter::And(all)
    }
}

/// Whether a filter tests the direction.
pub fn asks_for_direction(filter: &Filter) -> bool {
    match filter {
        Filter::And(list) | Filter::Or(list) => list.iter().any(asks_for_direction),
        Filter::Not(inner) => asks_for_direction(inner),
        Filter::Test(id, _) => *id == field::DIRECTION,
        Filter::All | Filter::Elsewhere(..) => false,
    }
}

fn members(networks: &[IpNet]) -> Members {
    let mut nets = IpNet::aggregate(&networks.to_vec());
    nets.sort_unstable();
    Members { name: "home".into(), nets, ..Members::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Kind, RecordId, SourceId, Time};

    fn between(src: &str, dst: &str) -> Record {
        let mut record = Record::new(Kind::Flow, RecordId::default(), SourceId(1), Time(0));
        for (id, text) in [(field::SRC_IP, src), (field::DST_IP, dst)] {
            if let Ok(addr) = text.parse() {
                record.set(id, Value::Addr(addr));
            }
        }
        record
    }

    #[test]
    fn the_direction_is_by_which_ends_are_home_and_the_filter_says_the_same() {
        let home = Home::new(["10.8.0.0/16", "198.51.100.2/32", "fd00:8::/48"].map(|n| n.parse().unwrap()), false);
        let cases = [
            ("10.8.21.5", "203.0.113.9", Some("out")),
            ("203.0.113.9", "198.51.100.2", Some("in")),
            ("10.8.21.5", "10.8.20.1", Some("internal")),
            ("fd00:8::1", "10.8.20.1", Some("internal")),
            ("10.9.0.1", "203.0.113.9", Some("external")),
            ("10.8.21.5", "224.0.0.251", Some("internal")),
            ("0.0.0.0", "255.255.255.255", Some("internal")),
            ("fe80::1", "ff02::1", Some("internal")),
            ("::ffff:10.8.21.5", "203.0.113.9", Some("out")),
            ("10.8.21.5", "", None),
        ];
        for (src, dst, wanted) in cases {
            let record = between(src, dst);
            assert_eq!(home.direction(&record).map(Direction::name), wanted, "{src} {dst}");
            for d in Direction::ALL {
                let filter = home.expand(Filter::is(field::DIRECTION, d.name()));
                assert_eq!(filter.matches(&record, &|_| None), wanted == Some(d.name()), "{src} {dst} {d:?}");
                assert!(!asks_for_direction(&filter));
            }
            let known = home.expand(Filter::Test(field::DIRECTION, Test::Exists));
            assert_eq!(known.matches(&record, &|_| None), wanted.is_some());
            let not_out = home.expand(Filter::Not(Box::new(Filter::is(field::DIRECTION, "out"))));
            assert_eq!(not_out.matches(&record, &|_| None), wanted != Some("out"));
        }
        assert!(home.has([10, 8, 0, 1].into()) && !home.has([127, 0, 0, 1].into()) && home.is_near([127, 0, 0, 1].into()));
    }
}
