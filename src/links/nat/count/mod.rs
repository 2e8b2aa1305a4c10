//! How many hosts are at least behind an address? A lower bound with its reasons, never an estimate.
//!
//! Records alone have what user agents say, and whose stacks set up connections ([`agents`]). Two more ways look at headers of packets, where those were captured: IP identifications
//! ([`identifications`]) and TCP timestamps ([`timestamps`]). Each counts only what goes on at once and reaches several peers: stacks that begin
//! anew for each connection or peer, as most of today's do, would else look like many hosts.

pub mod agents;
pub mod identifications;
pub mod timestamps;

pub use agents::Counter;

use crate::model::Time;
use std::net::IpAddr;

/// At least so many hosts, and why.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AtLeast {
    /// Hosts.
    pub hosts: usize,
    /// The systems that were there at once.
    pub systems: Vec<String>,
}

/// What a packet's headers say of who sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// When it was captured.
    pub time: Time,
    /// To whom.
    pub peer: IpAddr,
    /// To and from which port; 0: none.
    pub ports: (u16, u16),
    /// IPv4 identification (RFC 6864); 0: none.
    pub ip_id: u16,
    /// TSval of TCP's timestamps (RFC 7323).
    pub tsval: Option<u32>,
}

/// Peers that what is one host's must have reached.
const PEERS: usize = 3;

#[cfg(test)]
mod tests;
