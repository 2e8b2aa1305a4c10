//! Flows as IPFIX (RFC 7011) in a file of messages (RFC 5655), bidirectional as RFC 5103 has it: what came back stands under the same
//! elements with the reverse enterprise number. A template precedes the first record that it describes; one source is one observation domain.
//!
//! Only what is known is written: a count, a port or a flag that a source does not give has no element in its record's template.

use super::io;
use crate::error::Result;
use crate::model::community_id::icmp_counterpart;
use crate::model::{Kind, Record, field, proto};
use std::collections::{BTreeMap, HashSet};
use std::io::Write;
use std::net::IpAddr;

/// Enterprise number of reverse elements (RFC 5103, 6.1).
const REVERSE: u32 = 29305;
/// Bytes of a message after which it ends: fits a datagram, so that the file can be replayed.
const MESSAGE: usize = 1000;
/// Seconds from 1900 to 1970.
const NTP: i64 = 2_208_988_800;
const HEADER: usize = 16;

/// What a record has besides addresses, protocol and times; together the number of its template, from 256.
mod has {
    pub const V6: u16 = 1;
    pub const PORTS: u16 = 2;
    pub const ICMP: u16 = 4;
    pub const BYTES: u16 = 8;
    pub const PACKETS: u16 = 16;
    pub const BACK: u16 = 32;
    pub const BACK_BYTES: u16 = 64;
    pub const BACK_PACKETS: u16 = 128;
    pub const FLAGS: u16 = 256;
    pub const REASON: u16 = 512;
    pub const VLAN: u16 = 1024;
    pub const BACK_ICMP: u16 = 2048;
}

/// TCP flags of both sides, as far as Zeek's history tells them: SYN, ACK, FIN, RST. PSH, URG, ECE and CWR leave no letter.
pub fn flags(history: &str) -> [u8; 2] {
    let mut out = [0; 2];
    for letter in history.chars() {
        out[usize::from(letter.is_ascii_lowercase())] |= match letter.to_ascii_uppercase() {
            'F' => 1,
            'S' => 2,
            'R' => 4,
            'A' => 16,
            'H' => 18,
            _ => 0,
        };
    }
    out
}

/// ICMP type and code of both directions in one number each. An answered query's codes are 0 (RFC 792, RFC 4443).
pub fn icmp(record: &Record) -> Option<(u16, Option<u16>)> {
    let protocol = record.uint(field::PROTO).and_then(|n| u8::try_from(n).ok())?;
    if !matches!(protocol, proto::ICMP | proto::ICMP6) {
        return None;
    }
    let [kind, other] = [field::SRC_PORT, field::DST_PORT].map(|f| record.uint(f).and_then(|n| u8::try_from(n).ok()));
    let (kind, other) = (kind?, other?);
    Some(match icmp_counterpart(protocol, kind) {
        Some(counterpart) if counterpart == other => (u16::from(kind) << 8, Some(u16::from(other) << 8)),
        _ => (u16::from(kind) << 8 | u16::from(other), None),
    })
}

/// One direction of a flow, or both.
#[derive(Debug, Clone)]
struct Told {
    has: u16,
    addresses: [IpAddr; 2],
    ports: [u16; 2],
    icmp: [u16; 2],
    proto: u8,
    times: [i64; 2],
    bytes: [u64; 2],
    packets: [u64; 2],
    flags: [u8; 2],
    reason: u8,
    vlan: u16,
}

impl Told {
    fn of(record: &Record) -> Option<Told> {
        let addresses = [record.addr(field::SRC_IP)?, record.addr(field::DST_IP)?];
        let times = [record.time().0, record.until().0.max(record.time().0)];
        if record.kind != Kind::Flow || addresses[0].is_ipv4() != addresses[1].is_ipv4() || times[0] < 0 {
            return None;
        }
        let proto = record.uint(field::PROTO).and_then(|n| u8::try_from(n).ok())?;
        let mut has = if addresses[0].is_ipv6() { has::V6 } else { 0 };
        let mut own = |id, bit| record.uint(id).inspect(|_| has |= bit).unwrap_or(0);
        let bytes = [own(field::BYTES_OUT, has::BYTES), own(field::BYTES_IN, has::BACK_BYTES)];
        let packets = [own(field::PACKETS_OUT, has::PACKETS), own(field::PACKETS_IN, has::BACK_PACKETS)];
        let vlan = own(field::VLAN, has::VLAN) as u16;
        // Without anything that came back it is a record of one direction.
        match bytes[1] > 0 || packets[1] > 0 {
            true => has |= has::BACK,
            false => has &= !(has::BACK_BYTES | has::BACK_PACKETS),
        }
        let ports = [field::SRC_PORT, field::DST_PORT].map(|f| record.uint(f).and_then(|n| u16::try_from(n).ok()));
        let mut codes = [0; 2];
        if let Some((out, back)) = icmp(record) {
            has |= has::ICMP;
            codes = [out, back.unwrap_or(0)];
            has |= if back.is_some() && has & has::BACK != 0 { has::BACK_ICMP } else { 0 };
        } else if ports.iter().all(Option::is_some) && !matches!(proto, proto::ICMP | proto::ICMP6) {
            has |= has::PORTS;
        }
        let mut bits = [0; 2];
        if let Some(history) = record.text(field::HISTORY).filter(|_| proto == proto::TCP) {
            has |= has::FLAGS;
            bits = flags(history);
        }
        let reason = match record.text(field::END_REASON) {
            Some("timeout" | "attempt") => 1,
            Some("close" | "reset" | "shutdown") => 3,
            Some("end" | "forced") => 4,
            Some("eviction") => 5,
            _ => 0,
        };
        has |= if reason > 0 { has::REASON } else { 0 };
        let ports = ports.map(|p| p.unwrap_or(0));
        Some(Told { has, addresses, ports, icmp: codes, proto, times, bytes, packets, flags: bits, reason, vlan })
    }
    /// The two directions as records of their own.
    fn apart(&self) -> Vec<Told> {
        let back = has::BACK | has::BACK_BYTES | has::BACK_PACKETS | has::BACK_ICMP;
        let mut out = vec![Told { has: self.has & !back, ..self.clone() }];
        if self.has & has::BACK != 0 {
            let mut other = self.clone();
            for pair in [&mut other.ports, &mut other.icmp] {
                pair.swap(0, 1);
            }
            other.addresses.swap(0, 1);
            other.bytes.swap(0, 1);
            other.packets.swap(0, 1);
            other.flags.swap(0, 1);
            let moved = [(has::BACK_BYTES, has::BYTES), (has::BACK_PACKETS, has::PACKETS), (has::BACK_ICMP, has::ICMP)];
            other.has = moved.iter().fold(self.has & !back & !(has::BYTES | has::PACKETS | has::ICMP), |bits, (from, to)| {
                if self.has & from != 0 { bits | to } else { bits }
            });
            out.push(other);
        }
        out
    }
    /// Walks over its elements: number, whether reverse, value.
    fn elements(&self, each: &mut dyn FnMut(u16, bool, &[u8])) {
        let on = |bit| self.has & bit != 0;
        for (number, time) in [(152, self.times[0]), (153, self.times[1])] {
            each(number, false, &(time / 1_000_000).to_be_bytes());
        }
        for (number, time) in [(156, self.times[0]), (157, self.times[1])] {
            let seconds = (time / 1_000_000_000 + NTP) as u32;
            let part = (((time % 1_000_000_000) as u64) << 32) / 1_000_000_000;
            each(number, false, &(u64::from(seconds) << 32 | part).to_be_bytes());
        }
        for (at, numbers) in [(0, [8, 27]), (1, [12, 28])] {
            match self.addresses[at] {
                IpAddr::V4(a) => each(numbers[0], false, &a.octets()),
                IpAddr::V6(a) => each(numbers[1], false, &a.octets()),
            }
        }
        each(4, false, &[self.proto]);
        if on(has::PORTS) {
            each(7, false, &self.ports[0].to_be_bytes());
            each(11, false, &self.ports[1].to_be_bytes());
        }
        let codes = if on(has::V6) { 139 } else { 32 };
        for (side, bits) in
            [[has::ICMP, has::BYTES, has::PACKETS], [has::BACK_ICMP, has::BACK_BYTES, has::BACK_PACKETS]].iter().enumerate()
        {
            let back = side == 1;
            if on(bits[0]) {
                each(codes, back, &self.icmp[side].to_be_bytes());
            }
            if on(bits[1]) {
                each(1, back, &self.bytes[side].to_be_bytes());
            }
            if on(bits[2]) {
                each(2, back, &self.packets[side].to_be_bytes());
            }
            if on(has::FLAGS) && (!back || on(has::BACK)) {
                each(6, back, &[self.flags[side]]);
            }
        }
        if on(has::REASON) {
            each(136, false, &[self.reason]);
        }
        if on(has::VLAN) {
            each(58, false, &self.vlan.to_be_bytes());
        }
        if on(has::BACK) {
            // Forward is the initiator's.
            each(239, false, &[1]);
        }
    }
}

/// A message that is being filled, of one observation domain.
#[derive(Default)]
struct Domain {
    body: Vec<u8>,
    /// Where the last set begins, and its number.
    set: Option<(usize, u16)>,
    templates: HashSet<u16>,
    newest: u32,
    records: u32,
    sequence: u32,
}

impl Domain {
    fn open(&mut self, id: u16) {
        if self.set.is_none_or(|(_, open)| open != id) {
            self.close();
            self.set = Some((self.body.len(), id));
            self.body.extend_from_slice(&id.to_be_bytes());
            self.body.extend_from_slice(&[0, 0]);
        }
    }
    fn close(&mut self) {
        if let Some((at, _)) = self.set.take() {
            let length = (self.body.len() - at) as u16;
            self.body[at + 2..at + 4].copy_from_slice(&length.to_be_bytes());
        }
    }
    fn add(&mut self, told: &Told) {
        let id = 256 + told.has;
        if self.templates.insert(id) {
            let (mut fields, mut number) = (Vec::new(), 0u16);
            told.elements(&mut |element, back, value| {
                number += 1;
                fields.extend_from_slice(&(element | if back { 0x8000 } else { 0 }).to_be_bytes());
                fields.extend_from_slice(&(value.len() as u16).to_be_bytes());
                if back {
                    fields.extend_from_slice(&REVERSE.to_be_bytes());
                }
            });
            self.open(2);
            self.body.extend_from_slice(&id.to_be_bytes());
            self.body.extend_from_slice(&number.to_be_bytes());
            self.body.extend_from_slice(&fields);
        }
        self.open(id);
        told.elements(&mut |_, _, value| self.body.extend_from_slice(value));
        self.records += 1;
        self.newest = self.newest.max(u32::try_from(told.times[1] / 1_000_000_000).unwrap_or(u32::MAX));
    }
    fn message(&mut self, domain: u32, out: &mut dyn Write) -> Result<()> {
        self.close();
        if self.body.is_empty() {
            return Ok(());
        }
        let mut head = Vec::with_capacity(HEADER);
        head.extend_from_slice(&10u16.to_be_bytes());
        head.extend_from_slice(&((self.body.len() + HEADER) as u16).to_be_bytes());
        for n in [self.newest, self.sequence, domain] {
            head.extend_from_slice(&n.to_be_bytes());
        }
        out.write_all(&head).and_then(|()| out.write_all(&self.body)).map_err(io)?;
        self.sequence = self.sequence.wrapping_add(self.records);
        self.records = 0;
        self.body.clear();
        Ok(())
    }
}

/// Writes flows; what has no place in IPFIX (other records, flows without addresses of one family or before 1970) is counted.
pub struct Ipfix<'w> {
    out: &'w mut dyn Write,
    domains: BTreeMap<u32, Domain>,
    apart: bool,
    /// Data records written.
    pub written: u64,
    /// Flows that were left out.
    pub left_out: u64,
}

impl<'w> Ipfix<'w> {
    /// A writer; `apart`: the directions of a flow as records of their own.
    pub fn new(out: &'w mut dyn Write, apart: bool) -> Ipfix<'w> {
        Ipfix { out, domains: BTreeMap::new(), apart, written: 0, left_out: 0 }
    }
    /// Writes a flow.
    pub fn record(&mut self, record: &Record) -> Result<()> {
        let Some(told) = Told::of(record) else {
            self.left_out += 1;
            return Ok(());
        };
        let domain = self.domains.entry(record.source.0).or_default();
        for told in if self.apart { told.apart() } else { vec![told] } {
            domain.add(&told);
            self.written += 1;
        }
        if domain.body.len() >= MESSAGE { domain.message(record.source.0, self.out) } else { Ok(()) }
    }
    /// Writes what is held back.
    pub fn end(&mut self) -> Result<()> {
        for (number, domain) in &mut self.domains {
            domain.message(*number, self.out)?;
        }
        self.out.flush().map_err(io)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_those_that_history_tells_and_no_others() {
        assert_eq!(flags("ShADadFf"), [0x13, 0x13]);
        assert_eq!(flags("S"), [2, 0]);
        assert_eq!(flags("Sr"), [2, 4]);
        assert_eq!(flags("Dd^CTWG"), [0, 0]);
    }
}
