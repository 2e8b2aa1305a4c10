//! sFlow version 5 (InMon, "sFlow Version 5", and its structures on sflow.org): datagrams one after another in a file. Each names its agent, which is the source.
//!
//! A flow sample is one packet of so many (`sampling.interval`): its record has that packet's IP and link-layer bytes and counts it once. Addresses and ports are those of the
//! innermost IP header that the sample holds, or of its own structures. sFlow states no time of day: in a file its records stand at the file's date, with
//! `sflow.uptime` beside them; where datagrams are received or captured, at when they came. Counters of interfaces are skipped. Discarded packets
//! (`drop_monitor`) are flows with the action drop.

mod datagram;
mod structures;
#[cfg(test)]
mod tests;

use super::{Context, Format, Framing, Out, Reader, Sniff, Status, Unit};
use crate::model::oddity::Oddity;
pub(in crate::formats) use datagram::Agents;
use std::io::{BufRead, Read};

/// The format.
pub static FORMAT: Sflow = Sflow;

/// sFlow.
pub struct Sflow;

impl Format for Sflow {
    fn name(&self) -> &'static str {
        "sflow"
    }
    fn doc(&self) -> &'static str {
        "sFlow version 5 datagrams in a file: packets sampled, with what switches and routers add (InMon, sFlow Version 5)."
    }
    fn framing(&self) -> Framing {
        Framing::Document
    }
    fn sniff(&self, head: &[u8]) -> Sniff {
        if datagram::length(head).is_some() { Sniff::Yes } else { Sniff::No }
    }
    fn reader(&self, context: &Context) -> Box<dyn Reader> {
        Box::new(Datagrams { agents: Agents::new(context) })
    }
}

/// Longest datagram.
const LONGEST: usize = 65_535;

struct Datagrams {
    agents: Agents,
}

impl Reader for Datagrams {
    fn line(&mut self, _: &[u8], _: Unit, _: &mut Out) -> Status {
        Status::Skipped
    }
    fn document(&mut self, input: &mut dyn BufRead, each: &mut dyn FnMut(Status, Out) -> bool) {
        let (mut bytes, mut from, mut offset, mut over) = (Vec::new(), 0usize, 0u64, false);
        let mut lost: Option<u64> = None;
        let mut done = Vec::new();
        loop {
            if bytes.len() - from < LONGEST && !over {
                bytes.drain(..from);
                from = 0;
                let wanted = 4 * LONGEST as u64;
                let read = (&mut *input).take(wanted).read_to_end(&mut bytes);
                over = read.map_or(true, |n| (n as u64) < wanted);
            }
            let rest = bytes.get(from..).unwrap_or_default();
            let whole = datagram::length(rest).filter(|n| *n <= LONGEST);
            // The file may end inside of its last one.
            let length = whole.map_or(0, |n| n.min(rest.len()));
            if (length > 0 || rest.is_empty())
                && let Some(at) = lost.take()
            {
                let oddities = vec![Oddity::at("export_bytes_skipped", format!("{} bytes at byte {at}", offset - at))];
                done.push((Status::Failed, Out { oddities, unit: Unit { offset: at, line: 0 }, ..Out::default() }));
            }
            if length > 0 {
                self.agents.datagram(&rest[..length], None, Unit { offset, line: 0 }, &mut done);
            } else if !rest.is_empty() {
                lost.get_or_insert(offset);
            }
            let (step, last) = (length.max(1).min(rest.len()), rest.is_empty());
            from += step;
            offset += step as u64;
            for (status, out) in done.drain(..) {
                if !each(status, out) {
                    return;
                }
            }
            if last {
                return;
            }
        }
    }
}
