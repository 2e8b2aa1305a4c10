//! What detectors see: flows and events with only what several of them need, addresses and texts as numbers.

use super::curves::Curves;
use super::resume;
use crate::error::Result;
use crate::flow::stack::Stack;
use crate::formats::Zone;
use crate::model::record::Kind;
use crate::model::{EvidenceKey, RecordId, SourceId, Time, proto};
use hashbrown::HashTable;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::hash::BuildHasher;
use std::net::IpAddr;

/// A host, by its number in [`Net`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct Host(pub u32);

/// A text, by its number in [`Net`]; 0: none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct Word(pub u32);

impl Word {
    /// No text.
    pub const NONE: Word = Word(0);
    /// Whether there is one.
    pub fn is_some(self) -> bool {
        self != Word::NONE
    }
}

/// How a connection went, by Zeek's words; of other sources by their packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum State {
    /// Not told.
    #[default]
    Unknown,
    /// Asked, never answered.
    S0,
    /// Set up, not ended.
    S1,
    /// Set up and ended.
    SF,
    /// Refused.
    Rej,
    /// Set up, the originator wanted to end it, no answer.
    S2,
    /// Set up, the responder wanted to end it, no answer.
    S3,
    /// Set up, the originator broke it off.
    Rsto,
    /// Set up, the responder broke it off.
    Rstr,
    /// Asked, then broken off by the originator, never answered.
    Rstos0,
    /// The responder broke off, the request was not seen.
    Rstrh,
    /// Asked and ended by the originator, never answered.
    Sh,
    /// Answered and ended by the responder, the request was not seen.
    Shr,
    /// Begun before it was seen.
    Oth,
}

impl State {
    /// The state that a word means.
    pub fn parse(word: &str) -> State {
        match word {
            "S0" => State::S0,
            "S1" => State::S1,
            "SF" => State::SF,
            "REJ" => State::Rej,
            "S2" => State::S2,
            "S3" => State::S3,
            "RSTO" => State::Rsto,
            "RSTR" => State::Rstr,
            "RSTOS0" => State::Rstos0,
            "RSTRH" => State::Rstrh,
            "SH" => State::Sh,
            "SHR" => State::Shr,
            "OTH" => State::Oth,
            _ => State::Unknown,
        }
    }
}

/// A flow.
#[derive(Debug, Clone, Copy, Default)]
pub struct Flow {
    /// First and last instant, corrected.
    pub start: Time,
    /// Last instant.
    pub end: Time,
    /// Originator.
    pub src: Host,
    /// Responder.
    pub dst: Host,
    /// Port of the originator; of ICMP the type.
    pub src_port: u16,
    /// Port of the responder; of ICMP the code.
    pub dst_port: u16,
    /// IANA number.
    pub proto: u8,
    /// How it went.
    pub state: State,
    /// Application that was recognised; none: not told.
    pub app: Word,
    /// The application was recognised by what both sides said, not by the port.
    pub app_parsed: bool,
    /// Name that the flow itself carries (SNI, Host, QUIC).
    pub name: Word,
    /// IP bytes of the originator.
    pub bytes_out: u64,
    /// IP bytes of the responder.
    pub bytes_in: u64,
    /// Application bytes of the originator.
    pub payload_out: u64,
    /// Application bytes of the responder.
    pub payload_in: u64,
    /// Packets of the originator.
    pub packets_out: u32,
    /// Packets of the responder.
    pub packets_in: u32,
    /// Whose stacks set it up: the originator's, the responder's.
    pub stacks: [Option<Stack>; 2],
    /// It had not ended when it was last seen.
    pub open: bool,
    /// Where it came from.
    pub source: SourceId,
    /// Which record it is.
    pub id: Id,
}

impl Flow {
    /// Nanoseconds that it took.
    pub fn duration(&self) -> i64 {
        self.end.since(self.start).max(0)
    }
    /// Whether the responder said anything.
    pub fn is_answered(&self) -> bool {
        self.packets_in > 0 || self.bytes_in > 0
    }
    /// Whether a service took it: TCP that was set up, else an answer that is no refusal.
    pub fn is_accepted(&self) -> bool {
        match self.state {
            State::S1 | State::SF | State::S2 | State::S3 | State::Rsto | State::Rstr => self.is_answered(),
            State::Unknown if self.proto == proto::TCP => self.payload_in > 0 || self.bytes_in > 120 && self.packets_in > 2,
            State::Unknown | State::Oth => self.is_answered() && self.proto != proto::ICMP && self.proto != proto::ICMP6,
            _ => false,
        }
    }
    /// Whether somebody tried and nothing came of it: S0, REJ, RSTOS0, SH, or no answer.
    pub fn is_failed(&self) -> bool {
        match self.state {
            State::S0 | State::Rej | State::Rstos0 | State::Sh => true,
            State::Unknown => !self.is_answered(),
            _ => false,
        }
    }
    /// IP bytes both ways.
    pub fn bytes(&self) -> u64 {
        self.bytes_out.saturating_add(self.bytes_in)
    }
}

/// An event that is no flow: what several detectors ask of it.
#[derive(Debug, Clone, Copy)]
pub struct Event {
    /// What it is.
    pub kind: Kind,
    /// First instant, corrected.
    pub time: Time,
    /// Last instant.
    pub end: Time,
    /// Originator, if it has one.
    pub src: Option<Host>,
    /// Responder, if it has one.
    pub dst: Option<Host>,
    /// Responder on the other side of a translation, if the event states it.
    pub nat_dst: Option<Host>,
    /// Port of the originator, 0: none.
    pub src_port: u16,
    /// Port of the responder, 0: none.
    pub dst_port: u16,
    /// IANA number, 0: not told.
    pub proto: u8,
    /// Severity, 0 info to 4 critical; `None`: not told.
    pub severity: Option<u8>,
    /// What was done: `deny`, `login_fail`.
    pub action: Word,
    /// Signature of an alert or notice, rule of a firewall; of other events none.
    pub rule: Word,
    /// Name that was asked for, called or scanned.
    pub name: Word,
    /// User agent of a request, JA4 of a handshake.
    pub agent: Word,
    /// State of a scanned port.
    pub reply: Word,
    /// Where it came from.
    pub source: SourceId,
    /// Which record it is.
    pub id: Id,
}

impl Event {
    /// Whether a firewall says that it let nothing through: what [`DENIES`](super::curves::DENIES) selects.
    pub fn is_denial(&self, net: &Net) -> bool {
        self.kind == Kind::Fw && matches!(net.text(self.action), "deny" | "drop" | "reset" | "reject" | "block")
    }
}

/// A question of DNS with its answers.
#[derive(Debug, Clone)]
pub struct Query {
    /// When, corrected.
    pub time: Time,
    /// Who asked.
    pub client: Host,
    /// Who was asked.
    pub server: Option<Host>,
    /// For what.
    pub name: Word,
    /// Type of the question: `A`, `TXT`.
    pub kind: Word,
    /// Reply code: `NOERROR`, `NXDOMAIN`; none: not answered.
    pub reply: Word,
    /// Addresses of the answer.
    pub answers: Box<[Host]>,
    /// Where it came from.
    pub source: SourceId,
    /// Which record it is.
    pub id: Id,
}

/// A record's id in few bytes: the evidence, with the high part of the offset, by its number in [`Net`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Id {
    pub(super) evidence: u32,
    low: u32,
    ordinal: u16,
}

/// What the numbers in rows stand for, and whose addresses are one's own.
#[derive(Debug, Default)]
pub struct Net {
    hosts: Vec<(IpAddr, bool)>,
    by_addr: HashTable<u32>,
    words: Vec<Box<str>>,
    by_word: HashTable<u32>,
    /// Bytes of the words.
    bytes: usize,
    hasher: foldhash::fast::RandomState,
    /// Evidence with the high half of offsets in it.
    evidence: Vec<(EvidenceKey, u32)>,
    by_evidence: HashMap<(EvidenceKey, u32), u32, foldhash::fast::RandomState>,
    /// Hosts and texts beyond the bound.
    pub beyond: u64,
    /// Sites of one's own, in order of name; empty: everything that is home is one.
    pub sites: Vec<Place>,
    /// Names of sources.
    pub sources: Vec<(SourceId, String)>,
    /// Curves of all that was given, once it was, if a detector reads them.
    pub curves: Option<Curves>,
}

/// A site of one's own.
#[derive(Debug, Clone)]
pub struct Place {
    /// Name.
    pub name: String,
    /// Its networks.
    pub networks: Vec<IpNet>,
    /// Its zone, if somebody has said it; a guess is none.
    pub zone: Option<Zone>,
}

/// Most hosts and texts that are told apart, bytes of all texts, and pieces of evidence of 4 GiB.
const MOST: usize = 4_000_000;
const BYTES: usize = 256 << 20;
const EVIDENCE: usize = 1_000_000;

impl Net {
    /// The number of a host; `home` says whether it is one's own, and is asked once. `None`: there are too many.
    pub fn host(&mut self, addr: IpAddr, home: &dyn Fn(IpAddr) -> bool) -> Option<Host> {
        let addr = addr.to_canonical();
        let hash = self.hasher.hash_one(addr);
        let (hosts, hasher) = (&self.hosts, &self.hasher);
        let at = |n: u32| hosts.get(n as usize).map(|h| h.0);
        if let Some(known) = self.by_addr.find(hash, |n| at(*n) == Some(addr)) {
            return Some(Host(*known));
        }
        if self.hosts.len() >= MOST {
            self.beyond += 1;
            return None;
        }
        let number = self.hosts.len() as u32;
        self.by_addr.insert_unique(hash, number, |n| hasher.hash_one(at(*n).unwrap_or(addr)));
        self.hosts.push((addr, home(addr)));
        Some(Host(number))
    }
    /// The number of a text.
    pub fn word(&mut self, text: &str) -> Word {
        if text.is_empty() {
            return Word::NONE;
        }
        let hash = self.hasher.hash_one(text);
        let (words, hasher) = (&self.words, &self.hasher);
        let at = |n: u32| words.get(n as usize).map_or("", |w| w);
        if let Some(known) = self.by_word.find(hash, |n| at(*n) == text) {
            return Word(*known + 1);
        }
        if self.words.len() >= MOST || self.bytes >= BYTES {
            self.beyond += 1;
            return Word::NONE;
        }
        let number = self.words.len() as u32;
        self.by_word.insert_unique(hash, number, |n| hasher.hash_one(at(*n)));
        self.words.push(text.into());
        self.bytes += text.len();
        Word(number + 1)
    }
    /// A record's id in few bytes.
    pub fn id(&mut self, id: RecordId) -> Id {
        let (high, low) = ((id.offset >> 32) as u32, id.offset as u32);
        let next = self.evidence.len();
        let key = (id.evidence, high);
        let evidence = match self.by_evidence.get(&key) {
            Some(known) => *known,
            None if next < EVIDENCE => {
                self.evidence.push(key);
                self.by_evidence.insert(key, next as u32);
                next as u32
            }
            // Offsets that no file has: the record is not named.
            None => u32::MAX,
        };
        Id { evidence, low, ordinal: id.ordinal }
    }
    /// A record's id.
    pub fn record(&self, id: Id) -> RecordId {
        let (evidence, high) = self.evidence.get(id.evidence as usize).copied().unwrap_or_default();
        RecordId { evidence, offset: u64::from(high) << 32 | u64::from(id.low), ordinal: id.ordinal }
    }
    /// The number of a host that was seen.
    pub fn find(&self, addr: IpAddr) -> Option<Host> {
        let addr = addr.to_canonical();
        let is = |n: &u32| self.hosts.get(*n as usize).is_some_and(|h| h.0 == addr);
        self.by_addr.find(self.hasher.hash_one(addr), is).copied().map(Host)
    }
    /// The address of a host.
    pub fn addr(&self, host: Host) -> IpAddr {
        self.hosts.get(host.0 as usize).map_or(IpAddr::from([0, 0, 0, 0]), |h| h.0)
    }
    /// Whether a host is one's own, or an address that never leaves a link.
    pub fn is_home(&self, host: Host) -> bool {
        self.hosts.get(host.0 as usize).is_some_and(|h| h.1)
    }
    /// Whether an address is of one host: no multicast, no broadcast, not unspecified.
    pub fn is_unicast(&self, host: Host) -> bool {
        match self.addr(host) {
            IpAddr::V4(a) => !a.is_multicast() && !a.is_broadcast() && !a.is_unspecified() && !a.is_loopback(),
            IpAddr::V6(a) => !a.is_multicast() && !a.is_unspecified() && !a.is_loopback(),
        }
    }
    /// A text.
    pub fn text(&self, word: Word) -> &str {
        (word.0 as usize).checked_sub(1).and_then(|n| self.words.get(n)).map_or("", |w| w)
    }
    /// What the numbers stand for, as bytes.
    pub(super) fn keep(&self) -> Result<Vec<u8>> {
        resume::bytes(&(&self.hosts, &self.words, &self.evidence, self.beyond))
    }
    /// The same again.
    pub(super) fn resume(bytes: &[u8]) -> Result<Net> {
        let mut net = Net::default();
        (net.hosts, net.words, net.evidence, net.beyond) = resume::of(bytes)?;
        let Net { hosts, by_addr, words, by_word, hasher, .. } = &mut net;
        let of_host = |n: &u32| hosts.get(*n as usize).map_or(0, |h| hasher.hash_one(h.0));
        by_addr.reserve(hosts.len(), of_host);
        (0u32..).zip(hosts.iter()).for_each(|(n, h)| _ = by_addr.insert_unique(hasher.hash_one(h.0), n, of_host));
        let of_word = |n: &u32| words.get(*n as usize).map_or(0, |w| hasher.hash_one(&**w));
        by_word.reserve(words.len(), of_word);
        (0u32..).zip(words.iter()).for_each(|(n, w)| _ = by_word.insert_unique(hasher.hash_one(&**w), n, of_word));
        net.bytes = net.words.iter().map(|w| w.len()).sum();
        net.by_evidence = (0u32..).zip(&net.evidence).map(|(n, key)| (*key, n)).collect();
        Ok(net)
    }
    /// How many hosts are one's own.
    pub fn home_hosts(&self) -> usize {
        self.hosts.iter().filter(|h| h.1).count()
    }
}

/// The network of 256 addresses that an address is in, of IPv6 that of 64 bits: as far as anybody can guess what its neighbours are.
pub fn network(addr: IpAddr) -> IpNet {
    let bits = if addr.is_ipv4() { 24 } else { 64 };
    IpNet::new(addr, bits).unwrap_or_else(|_| IpNet::from(addr)).trunc()
}

/// Records that follow each other.
pub struct Piece<'a> {
    /// What the numbers stand for.
    pub net: &'a Net,
    /// Flows by start.
    pub flows: &'a [Flow],
    /// Events other than flows and DNS, by time.
    pub events: &'a [Event],
    /// Questions of DNS by time.
    pub queries: &'a [Query],
}

/// A day that is over.
pub struct Day<'a> {
    /// What the numbers stand for.
    pub net: &'a Net,
    /// Days since 1970-01-01 UTC.
    pub day: i32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_texts_and_records_have_numbers_and_lead_back() {
        let mut net = Net::default();
        let texts: Vec<String> = (0..5_000).map(|n| format!("n{n}.example")).collect();
        let addrs: Vec<IpAddr> = (0..5_000u32).map(|n| IpAddr::from((0x0a00_0000 + n).to_be_bytes())).collect();
        for _ in 0..2 {
            for (n, (text, addr)) in texts.iter().zip(&addrs).enumerate() {
                assert_eq!((net.word(text), net.host(*addr, &|_| n % 2 == 0)), (Word(n as u32 + 1), Some(Host(n as u32))));
            }
        }
        assert!(texts.iter().zip(1..).all(|(t, n)| net.text(Word(n)) == t) && net.word("") == Word::NONE);
        assert!(addrs.iter().zip(0..).all(|(a, n)| net.find(*a) == Some(Host(n)) && net.addr(Host(n)) == *a));
        assert_eq!((net.home_hosts(), net.find("::1".parse().unwrap()), net.text(Word(9_999))), (2_500, None, ""));
        let mapped = "::ffff:10.0.0.7".parse().unwrap();
        assert_eq!((net.find(mapped), net.host(mapped, &|_| true)), (Some(Host(7)), Some(Host(7))));
        for (key, offset) in [(1, 0), (1, 7 << 32 | 5), (2, u64::MAX), (1, u64::from(u32::MAX)), (1, 1 << 32)] {
            let id = RecordId { evidence: EvidenceKey(key), offset, ordinal: 9 };
            let short = net.id(id);
            assert_eq!(net.record(short), id);
        }
        assert_eq!(size_of::<Id>(), 12);
    }

    #[test]
    fn numbers_come_back_and_go_on() {
        let mut net = Net::default();
        for n in 0..300u32 {
            net.word(&format!("n{n}"));
            net.host(IpAddr::from((0x0a00_0000 + n).to_be_bytes()), &|_| n % 3 == 0);
        }
        let id = net.id(RecordId { evidence: EvidenceKey(7), offset: 5 << 32 | 3, ordinal: 1 });
        let mut back = Net::resume(&net.keep().unwrap()).unwrap();
        assert_eq!(
            (back.word("n77"), back.word("new"), back.home_hosts(), back.bytes),
            (Word(78), Word(301), 100, net.bytes + 3)
        );
        assert_eq!(back.find("10.0.0.9".parse().unwrap()), Some(Host(9)));
        assert_eq!(back.host("192.0.2.1".parse().unwrap(), &|_| false), Some(Host(300)));
        assert_eq!((back.record(id), back.id(net.record(id))), (net.record(id), id));
        assert!(Net::resume(&net.keep().unwrap()[1..]).is_err());
    }

    #[test]
    fn texts_have_a_bound_in_bytes_and_what_is_beyond_is_counted() {
        let mut net = Net { bytes: BYTES - 5, ..Net::default() };
        let (first, second) = (net.word("a long text"), net.word("another"));
        assert_eq!((first.is_some(), second, net.word("a long text"), net.beyond), (true, Word::NONE, first, 1));
    }
}
