//! Datagrams of exporters as they come out of a capture: NetFlow, IPFIX and sFlow by who sent them.
//!
//! The same readers as for files. The records of a datagram have its place in the evidence, numbered above what the meter gives.

use super::netflow::collector::Collector;
use super::sflow::Agents;
use super::{Context, Out, Status, Unit};
use crate::model::time::Time;
use std::net::IpAddr;

/// Number of a datagram's first record: far above those of flows, events and oddities.
const FIRST_ORDINAL: u16 = 0xc000;

/// What became of a datagram, or of a part of one.
pub struct Told {
    /// The format: `netflow`, `sflow`.
    pub format: &'static str,
    /// What became of it.
    pub status: Status,
    /// Its records, oddities, losses.
    pub out: Out,
}

/// Reads datagrams of any number of exporters.
pub struct Exports {
    netflow: Collector,
    sflow: Agents,
    /// Where the last datagram of sFlow lies, and how many records it had.
    last: (u64, u16),
}

impl Exports {
    /// Of a capture.
    pub fn new(context: &Context) -> Exports {
        Exports { netflow: Collector::new(context), sflow: Agents::new(context), last: (u64::MAX, 0) }
    }
    /// Reads a datagram of a format, whose packet came from an address at a time and begins at an offset of the evidence.
    pub fn datagram(&mut self, format: &str, bytes: &[u8], from: IpAddr, time: Time, offset: u64) -> Vec<Told> {
        let (mut done, unit) = (Vec::new(), Unit { offset, line: 0 });
        if format == "sflow" {
            self.sflow.datagram(bytes, Some(time), unit, &mut done);
            if self.last.0 != offset {
                self.last = (offset, 0);
            }
            for (_, out) in &mut done {
                number(out, self.last.1);
                self.last.1 = self.last.1.saturating_add(out.records.len() as u16);
            }
            return told("sflow", done);
        }
        self.netflow.packet(bytes, Some(from), unit, &mut done);
        done.iter_mut().for_each(|(_, out)| renumber(out));
        told("netflow", done)
    }
    /// Nothing more comes: gives what waited in vain.
    pub fn end(&mut self) -> Vec<Told> {
        let mut done = Vec::new();
        self.netflow.end(&mut done);
        done.iter_mut().for_each(|(_, out)| renumber(out));
        told("netflow", done)
    }
}

fn told(format: &'static str, done: Vec<(Status, Out)>) -> Vec<Told> {
    done.into_iter().map(|(status, out)| Told { format, status, out }).collect()
}

/// Of NetFlow: a packet may be given in parts, whose records are numbered through.
fn renumber(out: &mut Out) {
    for read in &mut out.records {
        read.record.id.ordinal = FIRST_ORDINAL.saturating_add(read.record.id.ordinal);
        read.record.len = 0;
    }
}

fn number(out: &mut Out, before: u16) {
    for (n, read) in out.records.iter_mut().enumerate() {
        let n = u16::try_from(n).unwrap_or(u16::MAX).saturating_add(before);
        read.record.id.ordinal = FIRST_ORDINAL.saturating_add(n);
        read.record.len = 0;
    }
}
