//! What do these bytes on the wire say? One file, one protocol.
//!
//! A member recognises its protocol by content on either side of a conversation, on any port, and turns it into fields of the flow and
//! into events. It does no I/O, never fails on content (it returns what it understood and oddities), never decides by port alone, and
//! keeps its state bounded in bytes.
//!
//! To add one: write `src/protocols/<name>.rs` with a `pub static PROTOCOL`; add its `pub mod` line and its name to [`ALL`]; put a small
//! capture into `sample-data/protocols/<name>.pcap` and run `cargo test`.

use crate::model::field::FieldId;
use crate::model::oddity::Oddity;
use crate::model::record::Kind;
use crate::model::time::Time;
use crate::model::value::Value;
use common::keep::Keeping;

/// Which side of a conversation sent the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// The originator.
    Out,
    /// The responder.
    In,
}

/// How sure a probe is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sniff {
    /// These bytes are not of the protocol.
    No,
    /// Too few bytes to say; ask again with more (at most 512).
    More,
    /// They look like it: as `banner`.
    Yes,
}

/// An event that a protocol understood, before the meter adds addresses, ids and origin.
#[derive(Debug, Clone, PartialEq)]
pub struct Understood {
    /// Kind of record.
    pub kind: Kind,
    /// When it began; of a request its first byte.
    pub start: Time,
    /// When it ended; of a transaction its answer's last byte.
    pub end: Time,
    /// Offset in the evidence of the first packet that it stands in.
    pub offset: u64,
    /// Its fields (addresses, ports, proto, flow id are added by the meter).
    pub fields: Vec<(FieldId, Value)>,
    /// Number of the file that it tells of, where files are kept ([`common::keep`]).
    pub kept: Option<u64>,
}

/// What a parser gives back.
#[derive(Debug, Default)]
pub struct Out {
    /// Events.
    pub events: Vec<Understood>,
    /// Fields of the flow itself (name, sni, ja4 ...); of one field the first value is kept.
    pub flow: Vec<(FieldId, Value)>,
    /// Oddities with the time and evidence offset of their packet.
    pub oddities: Vec<(Oddity, Time, u64)>,
    /// The parser has seen enough on both sides to call the protocol `parsed`.
    pub confirmed: bool,
    /// The bytes turned out not to be of the protocol after all.
    pub violated: bool,
    /// The parser needs no more data; the flow may stop reassembling for it.
    pub done: bool,
    /// A bound was reached and content passed unread: the flow's history says `X`.
    pub partial: bool,
    /// Connections that this one announces (FTP's data connections, TFTP's transfers).
    pub expect: Vec<Expect>,
    /// The stream goes on as another protocol from here (STARTTLS, CONNECT, WebSocket): the meter probes afresh.
    pub restart: bool,
    /// With `restart`: the protocol that follows, where it was agreed by name and has no mark of its own.
    pub follows: Option<&'static str>,
    /// With `restart`: so many of the bytes that were given last are already of what follows.
    pub unused: usize,
    /// A protocol that this one carries, recognised by it.
    pub also: Option<&'static str>,
    /// Datagrams that hold records of a format of logs, which whoever imports reads.
    pub carried: Vec<Carried>,
    /// Given to the parser: who wants the bytes of carried files.
    pub keeping: Keeping,
}

/// A datagram that holds records of a format of logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Carried {
    /// The format: `netflow`, `sflow`.
    pub format: &'static str,
    /// Who sent it.
    pub side: Side,
    /// Where its packet stands.
    pub at: At,
    /// All of it.
    pub bytes: Vec<u8>,
}

/// A connection that another one announces.
pub struct Expect {
    /// The end that will be called.
    pub address: std::net::IpAddr,
    /// Its port.
    pub port: u16,
    /// IANA protocol number.
    pub proto: u8,
    /// What it will carry, as in `app`.
    pub carries: &'static str,
    /// What reads it, besides whatever its content is recognised as. Only events and oddities are taken from it.
    pub parser: Box<dyn Parser>,
}

impl std::fmt::Debug for Expect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{} {}", self.address, self.port, self.carries)
    }
}

/// Where a piece of data stands in time and evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct At {
    /// Time of the packet.
    pub time: Time,
    /// Offset of the packet's record in the evidence.
    pub offset: u64,
}

/// The endpoints of the conversation, for parsers that want ports (never to decide by them alone).
#[derive(Debug, Clone, Copy)]
pub struct Ends {
    /// Originator's address.
    pub src: std::net::IpAddr,
    /// Originator's port.
    pub src_port: u16,
    /// Responder's address.
    pub dst: std::net::IpAddr,
    /// Responder's port.
    pub dst_port: u16,
    /// IANA protocol number.
    pub proto: u8,
}

/// A protocol: how it is recognised, and a parser for one conversation.
pub trait Protocol: Sync {
    /// Its name, as in `app` (`http`, `tls`, `dns`).
    fn name(&self) -> &'static str;
    /// One sentence for help, with its RFC or manual.
    fn doc(&self) -> &'static str;
    /// Whether it runs over TCP (a stream) or UDP (datagrams), by IANA number.
    fn over(&self) -> &'static [u8];
    /// Whether the first bytes of a side (a stream's prefix, or one whole datagram) are of the protocol.
    fn probe(&self, side: Side, first: &[u8], ends: &Ends) -> Sniff;
    /// A parser for one conversation.
    fn parser(&self, ends: &Ends) -> Box<dyn Parser>;
}

/// The state of one conversation. Bounded in bytes: what exceeds the bound becomes an oddity and is skipped.
pub trait Parser: Send {
    /// In-order bytes of a stream, or one whole datagram, of one side.
    fn data(&mut self, side: Side, bytes: &[u8], at: At, out: &mut Out);
    /// Bytes of a stream that are missing for good (not captured, or beyond the snaplen).
    fn gap(&mut self, side: Side, missing: u64, at: At, out: &mut Out) {
        let _ = (side, missing, at);
        out.done = true;
    }
    /// The conversation is over: give back what is pending.
    fn end(&mut self, out: &mut Out) {
        let _ = out;
    }
    /// Bytes that it holds until others come, of which there may be many: counted with those of all streams
    /// ([`Config::stream_budget`](crate::flow::Config::stream_budget)). Not its fixed, small state.
    fn held(&self) -> usize {
        0
    }
    /// That budget is spent: let go what [`Parser::held`] counts. What is lost by it is said where its file is.
    fn relieve(&mut self) {}
}

pub mod layers;

pub mod common;

pub mod bittorrent;
pub mod dcerpc;
pub mod dhcp;
pub mod dnp3;
pub mod dns;
pub mod ftp;
pub mod http;
pub mod http2;
pub mod ike;
pub mod imap;
pub mod irc;
pub mod kerberos;
pub mod ldap;
pub mod llmnr;
pub mod mdns;
pub mod modbus;
pub mod mongodb;
pub mod mqtt;
pub mod mssql;
pub mod mysql;
pub mod nbdgm;
pub mod nbns;
pub mod netflow;
pub mod ntp;
pub mod oracle;
pub mod pop3;
pub mod postgres;
pub mod proxy_protocol;
pub mod quic;
pub mod radius;
pub mod rdp;
pub mod rdpeudp;
pub mod redis;
pub mod rfb;
pub mod sflow;
pub mod sip;
pub mod smb;
pub mod smtp;
pub mod snmp;
pub mod socks;
pub mod ssh;
pub mod stun;
pub mod syslog;
pub mod telnet;
pub mod tftp;
pub mod tls;
pub mod websocket;
pub mod xmpp;

/// Every protocol, in the order in which probes are asked: those with the surest marks first.
pub const ALL: &[&dyn Protocol] = &[
    &proxy_protocol::PROTOCOL,
    &tls::PROTOCOL,
    &http::PROTOCOL,
    &http2::PROTOCOL,
    &ssh::PROTOCOL,
    &smb::PROTOCOL,
    &smtp::PROTOCOL,
    &ftp::PROTOCOL,
    &pop3::PROTOCOL,
    &imap::PROTOCOL,
    &rdp::PROTOCOL,
    &kerberos::PROTOCOL,
    &ldap::PROTOCOL,
    &dcerpc::PROTOCOL,
    &mysql::PROTOCOL,
    &postgres::PROTOCOL,
    &mssql::PROTOCOL,
    &oracle::PROTOCOL,
    &mongodb::PROTOCOL,
    &redis::PROTOCOL,
    &mqtt::PROTOCOL,
    &rfb::PROTOCOL,
    &xmpp::PROTOCOL,
    &sip::PROTOCOL,
    &bittorrent::PROTOCOL,
    &dnp3::PROTOCOL,
    &modbus::PROTOCOL,
    &irc::PROTOCOL,
    &telnet::PROTOCOL,
    &socks::PROTOCOL,
    &websocket::PROTOCOL,
    &quic::PROTOCOL,
    &dhcp::PROTOCOL,
    &mdns::PROTOCOL,
    &llmnr::PROTOCOL,
    &nbns::PROTOCOL,
    &nbdgm::PROTOCOL,
    &dns::PROTOCOL,
    &snmp::PROTOCOL,
    &stun::PROTOCOL,
    &ike::PROTOCOL,
    &radius::PROTOCOL,
    &rdpeudp::PROTOCOL,
    &netflow::PROTOCOL,
    &sflow::PROTOCOL,
    &tftp::PROTOCOL,
    &ntp::PROTOCOL,
    &syslog::PROTOCOL,
];

/// The protocol with a name.
pub fn find(name: &str) -> Option<&'static dyn Protocol> {
    ALL.iter().copied().find(|p| p.name() == name)
}
