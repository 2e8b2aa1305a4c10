//! sFlow version 5 in transit over UDP (InMon, sFlow Version 5): recognised here, and handed on. What the samples mean is read by whoever imports them.

use super::{At, Carried, Ends, Out, Parser, Protocol, Side, Sniff};
use crate::model::proto::UDP;

/// The protocol.
pub static PROTOCOL: Sflow = Sflow;

/// See [`PROTOCOL`].
#[derive(Debug)]
pub struct Sflow;

impl Protocol for Sflow {
    fn name(&self) -> &'static str {
        "sflow"
    }
    fn doc(&self) -> &'static str {
        "sFlow version 5; its samples are flows of the agent (InMon, sFlow Version 5)."
    }
    fn over(&self) -> &'static [u8] {
        &[UDP]
    }
    fn probe(&self, side: Side, first: &[u8], _: &Ends) -> Sniff {
        if side == Side::Out && is_datagram(first) { Sniff::Yes } else { Sniff::No }
    }
    fn parser(&self, _: &Ends) -> Box<dyn Parser> {
        Box::new(Samples)
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at.checked_add(4)?)?.try_into().ok().map(u32::from_be_bytes)
}

/// Whether samples fill the rest of a datagram after a head of version 5.
fn is_datagram(bytes: &[u8]) -> bool {
    let begin: usize = match (word(bytes, 0), word(bytes, 4)) {
        (Some(5), Some(1)) => 28,
        (Some(5), Some(2)) => 40,
        _ => return false,
    };
    let Some(samples) = word(bytes, begin.saturating_sub(4)).filter(|n| (1..=4_096).contains(n)) else { return false };
    let mut at = begin;
    for _ in 0..samples {
        let Some(length) = word(bytes, at.saturating_add(4)) else { return false };
        at = at.saturating_add(8).saturating_add(length as usize);
    }
    at == bytes.len()
}

struct Samples;

impl Parser for Samples {
    fn data(&mut self, side: Side, bytes: &[u8], at: At, out: &mut Out) {
        if side == Side::Out {
            out.confirmed = true;
            out.carried.push(Carried { format: "sflow", side, at, bytes: bytes.to_vec() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_fill_a_datagram() {
        let words: Vec<u8> = [5u32, 1, 0xc000_02fa, 0, 1, 77, 1, 2, 4, 9].iter().flat_map(|n| n.to_be_bytes()).collect();
        assert!(is_datagram(&words));
        assert!(!is_datagram(&words[..36]));
        assert!(!is_datagram(&[words, vec![0]].concat()));
    }
}
