//! How many hosts are at least behind an address, by the headers of what it sent: asked for by name, since packets are read from the evidence.

use crate::error::Result;
use crate::links::nat::count::{Sent, identifications, timestamps};
use crate::model::packet::PacketRef;
use crate::model::{Cancel, EvidenceKey, RecordId, Window};
use crate::protocols::layers::{Transport, decode};
use crate::query::Engine;
use crate::query::engine::Page;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Flows of an address whose packets are read, the first of the window.
const FLOWS: usize = 20_000;
/// Packets that are read of one capture.
const PACKETS: usize = 200_000;
/// Packets that are held with their bytes.
const AT_ONCE: usize = 4_096;

/// What the headers of packets say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ByPackets {
    /// Hosts at once by IPv4 identifications; 0: they say nothing.
    pub identifications: usize,
    /// Hosts at once by TCP timestamps; 0: they say nothing.
    pub timestamps: usize,
    /// Packets of the address that were looked at.
    pub packets: u64,
    /// There are more than were looked at.
    pub more: bool,
}

/// Counts the hosts behind an address by what it sent within a window. Each capture is counted by itself: two of them may have the same packets.
///
/// # Errors
/// A capture that moved or changed since its import, or an engine that fails.
pub fn by_packets(engine: &dyn Engine, addr: IpAddr, window: &Window, cancel: &Cancel) -> Result<ByPackets> {
    let mut out = ByPackets::default();
    let question = engine.compile(&format!("kind = flow and host {addr} and not exists via"))?.within(window);
    let mut flows: BTreeMap<EvidenceKey, Vec<RecordId>> = BTreeMap::new();
    let mut rows = 0;
    engine.select(&question, &Page::default(), cancel, &mut |flow| {
        rows += 1;
        flows.entry(flow.id.evidence).or_default().push(flow.id);
        rows < FLOWS
    })?;
    out.more = rows >= FLOWS;
    for (evidence, flows) in flows {
        let mut refs: Vec<PacketRef> = engine.packets_of(&flows, cancel)?.into_iter().flatten().collect();
        refs.sort_unstable_by_key(|r| r.offset);
        refs.dedup_by_key(|r| r.offset);
        out.more |= refs.len() > PACKETS;
        refs.truncate(PACKETS);
        let mut sent = Vec::new();
        for part in refs.chunks(AT_ONCE) {
            for packet in engine.packet_bytes(evidence, part, cancel)? {
                let walk = decode(packet.link, &packet.data);
                // Of a tunnel the innermost that is its own.
                let Some(c) = walk.found.iter().rev().find(|c| c.src.to_canonical() == addr.to_canonical()) else { continue };
                let ports = match c.transport {
                    Transport::Tcp(t) => (t.src_port, t.dst_port),
                    Transport::Ports(src, dst) => (src, dst),
                    Transport::Icmp(..) | Transport::None => (0, 0),
                };
                sent.push(Sent { time: packet.at.time, peer: c.dst, ports, ip_id: c.ip_id, tsval: c.tsval() });
            }
        }
        sent.sort_by_key(|s| s.time);
        out.packets += sent.len() as u64;
        out.identifications = out.identifications.max(identifications::hosts(&sent));
        out.timestamps = out.timestamps.max(timestamps::hosts(&sent));
    }
    Ok(out)
}
