//! What detectors see: flows and events with only what several of them need, addresses and texts as numbers.

use super::curves::Curves;
use crate::formats::Zone;
use crate::model::record::Kind;
use crate::model::{EvidenceKey, RecordId, SourceId, Time, proto};
use ipnet::IpNet;
use std::collections::HashMap;
use std::net::IpAddr;

/// A host, by its number in [`Net`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Host(pub u32);

/// A text, by its number in [`Net`]; 0: none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
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
    /// Account.
    pub user: Word,
    /// User agent, JA4 of a handshake, type of a question.
    pub agent: Word,
    /// Status of HTTP, 0: none.
    pub status: u16,
    /// Reply code of DNS; state of a scanned port; version of a product.
    pub reply: Word,
    /// Application.
    pub app: Word,
    /// Bytes sent by the originator, as the event states them.
    pub bytes_out: u64,
    /// Bytes sent by the responder.
    pub bytes_in: u64,
    /// Where it came from.
    pub source: SourceId,
    /// Which record it is.
    pub id: Id,
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

/// A record's id in few bytes: the evidence by its number in [`Net`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Id {
    evidence: u32,
    ordinal: u16,
    offset: u64,
}

/// What the numbers in rows stand for, and whose addresses are one's own.
#[derive(Debug, Default)]
pub struct Net {
    hosts: Vec<(IpAddr, bool)>,
    by_addr: HashMap<IpAddr, Host, foldhash::fast::RandomState>,
    words: Vec<Box<str>>,
    by_word: HashMap<Box<str>, Word, foldhash::fast::RandomState>,
    evidence: Vec<EvidenceKey>,
    by_evidence: HashMap<EvidenceKey, u32>,
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

/// Most hosts and texts that are told apart.
const MOST: usize = 4_000_000;

impl Net {
    /// The number of a host; `home` says whether it is one's own, and is asked once. `None`: there are too many.
    pub fn host(&mut self, addr: IpAddr, home: &dyn Fn(IpAddr) -> bool) -> Option<Host> {
        let addr = addr.to_canonical();
        if let Some(host) = self.by_addr.get(&addr) {
            return Some(*host);
        }
        if self.hosts.len() >= MOST {
            self.beyond += 1;
            return None;
        }
        let host = Host(self.hosts.len() as u32);
        self.hosts.push((addr, home(addr)));
        self.by_addr.insert(addr, host);
        Some(host)
    }
    /// The number of a text.
    pub fn word(&mut self, text: &str) -> Word {
        if text.is_empty() {
            return Word::NONE;
        }
        if let Some(word) = self.by_word.get(text) {
            return *word;
        }
        if self.words.len() >= MOST {
            self.beyond += 1;
            return Word::NONE;
        }
        self.words.push(text.into());
        let word = Word(self.words.len() as u32);
        self.by_word.insert(text.into(), word);
        word
    }
    /// A record's id in few bytes.
    pub fn id(&mut self, id: RecordId) -> Id {
        let next = self.evidence.len() as u32;
        let n = *self.by_evidence.entry(id.evidence).or_insert(next);
        if n == next {
            self.evidence.push(id.evidence);
        }
        Id { evidence: n, ordinal: id.ordinal, offset: id.offset }
    }
    /// A record's id.
    pub fn record(&self, id: Id) -> RecordId {
        let evidence = self.evidence.get(id.evidence as usize).copied().unwrap_or_default();
        RecordId { evidence, offset: id.offset, ordinal: id.ordinal }
    }
    /// The number of a host that was seen.
    pub fn find(&self, addr: IpAddr) -> Option<Host> {
        self.by_addr.get(&addr.to_canonical()).copied()
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
    /// How many hosts are one's own.
    pub fn home_hosts(&self) -> usize {
        self.hosts.iter().filter(|h| h.1).count()
    }
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
