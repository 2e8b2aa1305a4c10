//! Flow records as routers and firewalls export them: NetFlow v1, v5, v7 and v9 (Cisco, NetFlow Export Datagram Format; RFC 3954), IPFIX (RFC
//! 7011, RFC 5103, RFC 8158), NSEL (Cisco ASA NetFlow Implementation Guide). Here as a file of export packets one after another: IPFIX files (RFC 5655), datagrams that
//! were written to a file.
//!
//! A record of one direction has only the originator's counts. Records of translators and firewalls (`natEvent`, `firewallEvent`) are of kind
//! fw, others with an address are flows. Times are UTC, of first and last packet; those of NetFlow are as fine as the header's clock: v9 states
//! it in whole seconds. What an exporter says of itself (options) is a log where it is new, and is used: names of interfaces and applications,
//! sampling. An observation domain other than 0 is a source of its own.

pub(in crate::formats) mod bytes;
pub(in crate::formats) mod collector;
mod elements;
mod filled;
pub(in crate::formats) mod forms;
mod held;
mod nat;
pub(in crate::formats) mod record;
pub(in crate::formats) mod state;
pub(in crate::formats) mod templates;
#[cfg(test)]
mod tests;
pub(in crate::formats) mod times;

use super::{Context, Format, Framing, Out, Reader, Sniff, Status, Unit};
use crate::model::oddity::Oddity;
use bytes::{u16_at, u32_at};
use collector::Collector;
use std::io::{BufRead, Read};

/// The format.
pub static FORMAT: Netflow = Netflow;

/// NetFlow and IPFIX.
pub struct Netflow;

impl Format for Netflow {
    fn name(&self) -> &'static str {
        "netflow"
    }
    fn doc(&self) -> &'static str {
        "Export packets of NetFlow v1, v5, v7, v9 and IPFIX in a file, with NSEL and NAT events (Cisco; RFC 3954, RFC 7011, RFC 5655)."
    }
    fn framing(&self) -> Framing {
        Framing::Document
    }
    fn sniff(&self, head: &[u8]) -> Sniff {
        // A file that ends inside its only packet is one too.
        let whole = head.len() < 64 * 1024;
        let sure = match length(head, whole, SETS) {
            Length::Is(end) => {
                head.get(end..).is_none_or(|rest| rest.len() < 20 || !matches!(length(rest, whole, SETS), Length::No))
            }
            Length::Cut => true,
            Length::No => false,
        };
        if sure { Sniff::Yes } else { Sniff::No }
    }
    fn reader(&self, context: &Context) -> Box<dyn Reader> {
        Box::new(Packets { collector: Collector::new(context) })
    }
}

/// Longest packet: the length of IPFIX has 16 bits, and so has a datagram's.
const LONGEST: usize = 65_535;
/// 1990-01-01: before it nothing was exported.
const EARLIEST: u32 = 631_152_000;

/// Most sets of a packet, and most that are looked at where it is not known that a packet begins.
const SETS: usize = LONGEST / 4;
const SETS_LOST: usize = 64;

/// How long the packet at the beginning of some bytes is.
enum Length {
    /// It ends here.
    Is(usize),
    /// It goes on after the bytes.
    Cut,
    /// It is none.
    No,
}

/// Finds a packet's end: stated by IPFIX and the old versions; that of v9 is where its sets end. `over`: nothing follows the bytes.
/// Of more sets than `most` those of IPFIX are believed, those of v9 are not.
fn length(bytes: &[u8], over: bool, most: usize) -> Length {
    let (Some(version), Some(second)) = (u16_at(bytes, 0), u16_at(bytes, 2)) else { return Length::No };
    let late = |at| u32_at(bytes, at).is_some_and(|s| s >= EARLIEST);
    match version {
        1 | 5 | 7 => {
            let (header, record) = if version == 1 { (16, 52) } else { (24, if version == 5 { 48 } else { 52 }) };
            let nanos = u32_at(bytes, 12).is_some_and(|n| n < 1_000_000_000);
            if !(1..=30).contains(&second) || !late(8) || !nanos {
                return Length::No;
            }
            let end = header + usize::from(second) * record;
            if end <= bytes.len() { Length::Is(end) } else { Length::Cut }
        }
        9 if late(8) && second > 0 => walk(bytes, 20, bytes.len(), &[0, 1], over, most),
        10 if second >= 16 && late(4) => match walk(bytes, 16, usize::from(second), &[2, 3], over, most) {
            Length::Is(end) if end == usize::from(second) => Length::Is(end),
            Length::Cut if usize::from(second) > bytes.len() => Length::Cut,
            _ => Length::No,
        },
        _ => Length::No,
    }
}

/// Walks over sets from `at` to `end`, or to what is no set.
fn walk(bytes: &[u8], mut at: usize, end: usize, own: &[u16], over: bool, most: usize) -> Length {
    let (begin, mut sets) = (at, 0);
    while at < end {
        sets += 1;
        if sets > most {
            return if own == [2, 3] && end <= bytes.len() { Length::Is(end) } else { Length::No };
        }
        let (Some(id), Some(length)) = (u16_at(bytes, at), u16_at(bytes, at + 2)) else {
            return if at == begin && over { Length::No } else { Length::Cut };
        };
        let is_set = (id >= 256 || own.contains(&id)) && length >= 4;
        if !is_set {
            return if at > begin { Length::Is(at) } else { Length::No };
        }
        at += usize::from(length);
        if at > LONGEST {
            return Length::No;
        }
    }
    match at.cmp(&bytes.len()) {
        std::cmp::Ordering::Greater => Length::Cut,
        // What follows may be more of it.
        std::cmp::Ordering::Equal if !over && own == [0, 1] => Length::Cut,
        _ => Length::Is(at),
    }
}

struct Packets {
    collector: Collector,
}

impl Reader for Packets {
    fn line(&mut self, _: &[u8], _: Unit, _: &mut Out) -> Status {
        Status::Skipped
    }
    fn document(&mut self, input: &mut dyn BufRead, each: &mut dyn FnMut(Status, Out) -> bool) {
        let (mut bytes, mut from, mut offset) = (Vec::new(), 0usize, 0u64);
        let mut over = false;
        // Where bytes begin that are of no packet.
        let mut lost: Option<u64> = None;
        let mut done = Vec::new();
        loop {
            if bytes.len() - from < 2 * LONGEST && !over {
                bytes.drain(..from);
                from = 0;
                let wanted = 4 * LONGEST as u64;
                match (&mut *input).take(wanted).read_to_end(&mut bytes) {
                    Ok(n) => over = (n as u64) < wanted,
                    Err(e) => {
                        over = true;
                        done.push(bad("export_file_unreadable", e.to_string(), offset));
                    }
                }
            }
            let rest = bytes.get(from..).unwrap_or_default();
            let most = if lost.is_some() { SETS_LOST } else { SETS };
            let packet = match length(rest, over, most) {
                Length::Is(end) => end,
                // A packet that the file ends in.
                Length::Cut if over && lost.is_none() => rest.len(),
                _ => 0,
            };
            if (packet > 0 || rest.is_empty())
                && let Some(at) = lost.take()
            {
                done.push(bad("export_bytes_skipped", format!("{} bytes at byte {at}", offset - at), at));
            }
            if rest.is_empty() {
                self.collector.end(&mut done);
            } else if packet > 0 {
                let unit = Unit { offset, line: 0 };
                self.collector.packet(&rest[..packet.min(rest.len())], None, unit, &mut done);
            } else {
                lost.get_or_insert(offset);
            }
            let step = packet.max(1).min(rest.len());
            let last = rest.is_empty();
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

fn bad(what: &'static str, place: String, offset: u64) -> (Status, Out) {
    (Status::Failed, Out { oddities: vec![Oddity::at(what, place)], unit: Unit { offset, line: 0 }, ..Out::default() })
}
