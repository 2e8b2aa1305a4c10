//! A binding: for a time, one end of conversations was another one elsewhere. The translation of an address (RFC 3022, RFC 4787's words:
//! internal and external endpoint), or a proxy's leg.

pub use crate::model::ends::Method;
use crate::model::{RecordId, Time, Window, proto};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;

/// An end of conversations: an address, and the port where one is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct End {
    /// Address.
    pub ip: IpAddr,
    /// Port; none: any, or not known.
    pub port: Option<u16>,
}

impl End {
    /// An address with a port.
    pub fn new(ip: IpAddr, port: impl Into<Option<u16>>) -> End {
        End { ip: ip.to_canonical(), port: port.into() }
    }
    /// Whether both can be the same end: a port that is not known is any.
    pub fn fits(&self, other: &End) -> bool {
        self.ip == other.ip && fits(self.port, other.port)
    }
}

/// Whether two can be the same, where none is any.
pub fn fits<T: PartialEq>(a: Option<T>, b: Option<T>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => a == b,
        _ => true,
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.ip, self.port) {
            (ip, None) => write!(f, "{ip}"),
            (IpAddr::V4(ip), Some(port)) => write!(f, "{ip}:{port}"),
            (IpAddr::V6(ip), Some(port)) => write!(f, "[{ip}]:{port}"),
        }
    }
}

/// What kind of translation it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum BindingKind {
    /// Source address translated, port kept.
    Snat,
    /// Source address and port translated.
    Napt,
    /// Destination translated: a forwarded port, a server behind a public address.
    Dnat,
    /// Address for address, whatever the port.
    Static,
    /// Between IPv6 and IPv4 (RFC 6146).
    Nat64,
    /// A proxy's connection on behalf of a client.
    Proxy,
    /// What a forwarding header claims.
    Forwarded,
    /// An address that a VPN gateway gave to a client.
    Vpn,
}

impl BindingKind {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            BindingKind::Snat => "snat",
            BindingKind::Napt => "napt",
            BindingKind::Dnat => "dnat",
            BindingKind::Static => "static",
            BindingKind::Nat64 => "nat64",
            BindingKind::Proxy => "proxy",
            BindingKind::Forwarded => "xff",
            BindingKind::Vpn => "vpn",
        }
    }
}

/// For a time, `inside` was `outside` to a peer. Times are corrected.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Binding {
    /// What kind.
    pub kind: BindingKind,
    /// IANA protocol number; none: any.
    pub proto: Option<u8>,
    /// The end as it is inside.
    pub inside: End,
    /// The same end as it is seen outside.
    pub outside: End,
    /// With whom, as seen outside; none: with anybody.
    pub peer: Option<End>,
    /// The peer as it is seen inside, where that differs.
    pub peer_inside: Option<End>,
    /// From when.
    pub start: Time,
    /// Until when, inclusive.
    pub end: Time,
    /// How far the times may be off, nanoseconds.
    pub uncertainty: i64,
    /// How it is known.
    pub method: Method,
    /// 0 to 1.
    pub confidence: f32,
    /// Of an inferred one: how much more the next best assignment would cost (domain of [`super::inferred`]).
    pub margin: Option<f32>,
    /// No record states its begin or its end: one was assumed.
    pub assumed: bool,
    /// Another binding of the same outside end says otherwise at the same time.
    pub conflict: bool,
    /// The records that prove it: of a log the line that opens and that closes it; of two vantage points the flow inside and the one outside.
    pub evidence: Vec<RecordId>,
}

impl Binding {
    /// Whether it holds at some time of a window, give or take its uncertainty.
    pub fn overlaps(&self, window: &Window) -> bool {
        self.start.plus(-self.uncertainty) < window.end && self.end.plus(self.uncertainty) >= window.start
    }
    /// The peer as the inside sees it.
    pub fn peer_seen_inside(&self) -> Option<End> {
        self.peer_inside.or(self.peer)
    }
}

impl fmt::Display for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protocol = self.proto.map_or(String::new(), |p| format!("{} ", proto::show(p)));
        write!(f, "{protocol}{} is {} outside", self.inside, self.outside)?;
        self.peer.map_or(Ok(()), |peer| write!(f, ", with {peer}"))
    }
}

/// Whether an address is for use inside (RFC 1918, RFC 6598, RFC 4193, link-local, loopback).
pub fn is_private(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            v4.is_private() || v4.is_loopback() || v4.is_link_local() || a == 100 && b & 0xc0 == 64
        }
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_fit_where_a_port_is_not_known_and_mapped_addresses_are_the_same() {
        let end = |ip: &str, port: Option<u16>| End::new(ip.parse().unwrap(), port);
        assert!(
            end("192.0.2.1", Some(80)).fits(&end("192.0.2.1", None)) && end("192.0.2.1", None).fits(&end("192.0.2.1", Some(80)))
        );
        assert!(
            !end("192.0.2.1", Some(80)).fits(&end("192.0.2.1", Some(81)))
                && !end("192.0.2.1", Some(80)).fits(&end("192.0.2.2", Some(80)))
        );
        assert_eq!(end("::ffff:192.0.2.1", Some(80)), end("192.0.2.1", Some(80)));
        assert_eq!(end("2001:db8::1", Some(443)).to_string(), "[2001:db8::1]:443");
        let private = ["10.1.2.3", "192.168.0.1", "100.64.0.1", "fd00::1", "169.254.0.9"];
        assert!(private.iter().all(|ip| is_private(ip.parse().unwrap())));
        assert!(["100.128.0.1", "192.0.2.1", "2001:db8::1"].iter().all(|ip| !is_private(ip.parse().unwrap())));
    }
}
