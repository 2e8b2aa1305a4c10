//! The model: one connection as the inside sensor sees it, from which packets and log rows are made.

use crate::rng::mix;
use crate::world::inside;
use std::net::Ipv4Addr;
use std::rc::Rc;

/// TCP flag bits.
pub const FIN: u8 = 1;
/// SYN.
pub const SYN: u8 = 2;
/// RST.
pub const RST: u8 = 4;
/// PSH.
pub const PSH: u8 = 8;
/// ACK.
pub const ACK: u8 = 16;

/// Who sends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dir {
    /// The one who opened the connection.
    Orig,
    /// The one who answers.
    Resp,
}

impl Dir {
    /// The other side.
    pub fn other(self) -> Dir {
        if self == Dir::Orig { Dir::Resp } else { Dir::Orig }
    }
    /// 0 or 1.
    pub fn ix(self) -> usize {
        usize::from(self == Dir::Resp)
    }
}

/// What one side says: real bytes, then opaque ones made only when a capture needs them.
pub struct Msg {
    head: Vec<u8>,
    fill: usize,
    seed: u64,
}

impl Msg {
    /// Real bytes.
    pub fn real(head: Vec<u8>) -> Msg {
        Msg { head, fill: 0, seed: 0 }
    }
    /// Real bytes, then `fill` opaque ones.
    pub fn opaque(head: Vec<u8>, fill: usize, seed: u64) -> Msg {
        Msg { head, fill, seed }
    }
    /// Its length.
    pub fn len(&self) -> usize {
        self.head.len() + self.fill
    }
    /// The bytes `from..from+n`.
    pub fn slice(&self, from: usize, n: usize) -> Vec<u8> {
        (from..from + n)
            .map(|i| {
                self.head.get(i).copied().unwrap_or_else(|| {
                    let k = i - self.head.len();
                    mix(self.seed.wrapping_add(k as u64 / 8)).to_le_bytes()[k % 8]
                })
            })
            .collect()
    }
}

/// One packet.
#[derive(Clone)]
pub struct Pkt {
    /// When the inside sensor saw it.
    pub t: i64,
    /// From whom.
    pub dir: Dir,
    /// TCP flags.
    pub flags: u8,
    /// TCP sequence number; ICMP echo: the sequence.
    pub seq: u32,
    /// TCP acknowledgement.
    pub ack: u32,
    /// TCP window.
    pub win: u16,
    /// TCP options, padded.
    pub opts: Vec<u8>,
    /// The message that it carries, and where its part begins.
    pub msg: Option<(Rc<Msg>, usize)>,
    /// Payload bytes.
    pub len: usize,
    /// IPv4 identification.
    pub id: u16,
    /// TTL at the inside sensor.
    pub ttl: u8,
}

/// What the connection was about, for the logs that look inside.
#[derive(Clone, Default)]
pub enum App {
    /// Nothing to tell.
    #[default]
    None,
    /// A DNS transaction.
    Dns(crate::dns::Tx),
    /// HTTP transactions.
    Http(Vec<crate::http::Tx>),
    /// A TLS handshake.
    Tls(crate::tls::Seen),
    /// A mail.
    Smtp,
}

/// One connection.
#[derive(Clone)]
pub struct Conn {
    /// 1, 6, 17.
    pub proto: u8,
    /// Who opened it.
    pub src: Ipv4Addr,
    /// Its port.
    pub sport: u16,
    /// To whom, by the inside address.
    pub dst: Ipv4Addr,
    /// Its port.
    pub dport: u16,
    /// The packets.
    pub pkts: Vec<Pkt>,
    /// Zeek's name of the service.
    pub service: &'static str,
    /// The outside port, when it came in through the gateway.
    pub dnat: Option<u16>,
    /// What it was about.
    pub app: App,
    /// Its part in the story; empty for the background.
    pub tag: &'static str,
    /// Alerts: the packet that raised it, and which signature.
    pub alerts: Vec<(usize, u32)>,
    /// Rows as Zeek writes them, made by the meter.
    pub rows: Vec<crate::meter::Row>,
}

impl Conn {
    /// Its first moment.
    pub fn start(&self) -> i64 {
        self.rows.first().map_or_else(|| self.pkts.first().map_or(0, |p| p.t), |r| r.start)
    }
    /// Its last moment by the log.
    pub fn end(&self) -> i64 {
        self.rows.last().map_or(0, |r| r.start + r.duration)
    }
    /// Does it cross the gateway's translation?
    pub fn translated(&self) -> bool {
        let multicast = self.dst.is_multicast() || self.dst.is_broadcast();
        !multicast && inside(self.src) != inside(self.dst)
    }
}
