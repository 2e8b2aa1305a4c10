//! A datagram of sFlow: its head, its samples, their sequence.

use super::structures::{Sample, give};
use crate::formats::netflow::bytes::{u16_at, u32_at};
use crate::formats::netflow::forms::addr;
use crate::formats::netflow::record::SAMPLED;
use crate::formats::{Context, Loss, Out, Status, Unit, clock, draft::Draft};
use crate::model::field;
use crate::model::oddity::Oddity;
use crate::model::record::Kind;
use crate::model::time::Time;
use hashbrown::HashMap;
use std::net::IpAddr;

/// Agents whose sequence is followed.
const AGENTS: usize = 65_536;
/// Samples of a datagram that are walked over to find its end.
const SAMPLES: u32 = 4_096;
/// Sequence numbers that may be missing before it is taken that the agent began anew.
const JUMP: u32 = 1 << 20;

/// The phrase for times in a file.
const TIME_ASSUMED: &str = "sFlow states no time of day: records stand at the file's date, sflow.uptime in extra orders them";

/// The head of a datagram.
struct Head {
    agent: IpAddr,
    sub_agent: u32,
    sequence: u32,
    uptime: u32,
    samples: u32,
    /// Where the samples begin.
    end: usize,
}

fn head(bytes: &[u8]) -> Option<Head> {
    let width = match (u32_at(bytes, 0)?, u32_at(bytes, 4)?) {
        (5, 1) => 4,
        (5, 2) => 16,
        _ => return None,
    };
    let word = |n: usize| u32_at(bytes, 8 + width + n * 4);
    Some(Head {
        agent: addr(bytes.get(8..8 + width)?)?,
        sub_agent: word(0)?,
        sequence: word(1)?,
        uptime: word(2)?,
        samples: word(3)?,
        end: 24 + width,
    })
}

/// The length of the datagram at the beginning of some bytes, which may end before it does. `None`: there is none.
pub(super) fn length(bytes: &[u8]) -> Option<usize> {
    let head = head(bytes).filter(|h| h.samples <= SAMPLES)?;
    let mut at = head.end;
    for n in 0..head.samples {
        let (Some(kind), Some(length)) = (u32_at(bytes, at), u32_at(bytes, at + 4)) else {
            return (n > 0 || at >= bytes.len()).then_some(at);
        };
        // InMon's own have no enterprise number; a sample is never longer than a datagram.
        if length > 65_000 || length % 4 != 0 || kind >> 12 == 0 && !(1..=16).contains(&kind) {
            return None;
        }
        at += 8 + length as usize;
    }
    (head.samples > 0).then_some(at)
}

/// Reads datagrams, and follows the sequence of each agent.
pub(in crate::formats) struct Agents {
    context: Context,
    next: HashMap<(IpAddr, u32), u32>,
}

impl Agents {
    /// Of a file, or of a stream.
    pub fn new(context: &Context) -> Agents {
        Agents { context: context.clone(), next: HashMap::new() }
    }
    /// Reads a datagram that stands at a place of the evidence. `received`: when it came; then all its records have the place of the datagram.
    /// `done` is given what became of each sample.
    pub fn datagram(&mut self, bytes: &[u8], received: Option<Time>, unit: Unit, done: &mut Vec<(Status, Out)>) {
        let mut first = Out { unit, ..Out::default() };
        let Some(head) = head(bytes) else {
            first.oddities.push(Oddity::at("sflow_head_malformed", format!("{} bytes", bytes.len())));
            done.push((Status::Failed, first));
            return;
        };
        self.missed(&head, received, &mut first);
        if received.is_none() {
            clock::assume(&mut first, TIME_ASSUMED);
        }
        let time = received.unwrap_or(self.context.modified);
        let sensor = match head.sub_agent {
            0 => head.agent.to_string(),
            n => format!("{}/{n}", head.agent),
        };
        let mut at = head.end;
        for n in 0..head.samples {
            let mut out = std::mem::take(&mut first);
            out.unit = Unit { offset: if received.is_some() { unit.offset } else { unit.offset + at as u64 }, line: 0 };
            let sample = u32_at(bytes, at).zip(u32_at(bytes, at + 4));
            let body = sample.and_then(|(_, length)| bytes.get(at + 8..(at + 8).checked_add(length as usize)?));
            let (Some((kind, _)), Some(body)) = (sample, body) else {
                out.oddities.push(Oddity::at("sflow_datagram_cut", format!("{n} of {} samples", head.samples)));
                done.push((Status::Failed, out));
                return;
            };
            let place = Place { context: &self.context, unit: out.unit, len: body.len() + 8, time, uptime: head.uptime };
            let status = place.sample(kind, body, &sensor, &mut out);
            done.push((status, out));
            at += 8 + body.len();
        }
        if head.samples == 0 {
            done.push((Status::Skipped, first));
        }
    }
    fn missed(&mut self, head: &Head, at: Option<Time>, out: &mut Out) {
        let key = (head.agent, head.sub_agent);
        let expected = self.next.get(&key).copied();
        let ahead = expected.map_or(0, |next| head.sequence.wrapping_sub(next));
        // Late, or given twice.
        if ahead != 0 && ahead.wrapping_neg() <= 1_000 {
            return;
        }
        if self.next.len() < AGENTS || expected.is_some() {
            self.next.insert(key, head.sequence.wrapping_add(1));
        }
        let lost = if ahead > JUMP { 0 } else { u64::from(ahead) };
        out.losses.push(Loss { what: "sFlow datagrams", lost, of: lost + 1, total: false, at });
    }
}

/// Where a sample stands.
struct Place<'a> {
    context: &'a Context,
    unit: Unit,
    len: usize,
    time: Time,
    uptime: u32,
}

/// An interface as sFlow numbers it: two bits of form, then its index, why a packet was dropped, or how many it left by.
fn interface(d: &mut Draft, id: crate::model::field::FieldId, name: &str, form: u32, value: u32) {
    match form {
        0 if value == 0 || value == 0x3fff_ffff => {}
        0 => _ = d.text(id, &value.to_string()),
        1 => {
            d.text(field::ACTION, "drop");
            d.keep_json("sflow.drop", &value.to_string());
        }
        _ => d.keep_json(name, &value.to_string()),
    }
}

impl Place<'_> {
    fn sample(&self, kind: u32, body: &[u8], sensor: &str, out: &mut Out) -> Status {
        let word = |n: usize| u32_at(body, n * 4).unwrap_or(0);
        let narrow = |n: usize| (word(n) >> 30, word(n) & 0x3fff_ffff);
        // Where its records begin; one packet of how many; the two interfaces.
        let (records, rate, ends) = match kind {
            1 => (7, word(2), [narrow(5), narrow(6)]),
            3 => (10, word(3), [(word(6), word(7)), (word(8), word(9))]),
            5 => (7, 1, [(0, word(4)), (0, word(5))]),
            // Counters, of interfaces and of what else an agent counts.
            2 | 4 => return Status::Skipped,
            _ if kind >> 12 != 0 => return Status::Skipped,
            _ => {
                out.oddities.push(Oddity::at("sflow_sample_unknown", format!("format {kind}, {} bytes", body.len())));
                return Status::Failed;
            }
        };
        let Some(count) = u32_at(body, records * 4) else {
            out.oddities.push(Oddity::at("sflow_sample_cut", format!("{} bytes", body.len())));
            return Status::Failed;
        };
        let mut d = Draft::new(Kind::Flow, self.context, self.unit, self.len, self.time);
        let mut sample = Sample::default();
        let mut at = (records + 1) * 4;
        for n in 0..count {
            let record = u32_at(body, at).zip(u32_at(body, at + 4));
            let inside = record.and_then(|(_, length)| body.get(at + 8..(at + 8).checked_add(length as usize)?));
            let (Some((kind, _)), Some(inside)) = (record, inside) else {
                out.oddities.push(Oddity::at("sflow_sample_cut", format!("{n} of {count} structures")));
                d.partial = true;
                break;
            };
            if !give(kind, inside, &mut sample, &mut d) {
                d.partial = true;
                out.oddities.push(Oddity::at("sflow_structure_malformed", format!("format {kind}, {} bytes", inside.len())));
            }
            // Structures are padded to four bytes.
            at += 8 + inside.len().next_multiple_of(4);
        }
        sample.finish(&mut d);
        for ((id, name), (form, value)) in
            [(field::IFACE_IN, "sflow.input"), (field::IFACE_OUT, "sflow.output")].into_iter().zip(ends)
        {
            interface(&mut d, id, name, form, value);
        }
        if kind == 5 {
            d.text(field::ACTION, "drop");
            d.keep_json("sflow.drop", &word(6).to_string());
        }
        if rate > 1 {
            clock::assume(out, SAMPLED);
            d.keep_json("sampling.interval", &rate.to_string());
        }
        d.uint(field::PACKETS_OUT, 1);
        d.keep_json("sflow.uptime", &self.uptime.to_string());
        if !d.has(field::SRC_IP) {
            // A frame without IP: ARP, LLDP, spanning tree.
            d.record.kind = Kind::Log;
        }
        d.finish(Some(sensor), out)
    }
}

/// A text: its length, then its bytes, padded to four.
pub(super) fn text(bytes: &[u8], at: &mut usize) -> Option<String> {
    let length = u32_at(bytes, *at)? as usize;
    let text = bytes.get(*at + 4..(*at + 4).checked_add(length)?)?;
    *at += 4 + length.next_multiple_of(4);
    Some(String::from_utf8_lossy(text).trim_end_matches('\0').to_owned())
}

/// An address with its type before it.
pub(super) fn address(bytes: &[u8], at: &mut usize) -> Option<Option<IpAddr>> {
    let width = match u32_at(bytes, *at)? {
        0 => 0,
        1 => 4,
        2 => 16,
        _ => return None,
    };
    let from = *at + 4;
    *at = from + width;
    if width == 0 { Some(None) } else { addr(bytes.get(from..from + width)?).map(Some) }
}

/// Two bytes at the end of a word.
pub(super) fn half(bytes: &[u8], word: usize) -> Option<u16> {
    u16_at(bytes, word * 4 + 2)
}
