//! References to the packets of a flow, compact while the flow lives: each is the difference to the one before, in variable-length
//! integers (about 7 bytes a packet instead of 32).

use crate::model::packet::PacketRef;
use crate::model::time::Time;

/// Where a packet stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// When it was captured.
    pub time: Time,
    /// Offset of its record.
    pub offset: u64,
    /// Its number in the file.
    pub number: u64,
}

/// Packet references of one flow.
#[derive(Debug, Clone)]
pub struct Refs {
    bytes: Vec<u8>,
    last: Place,
}

const START: Place = Place { time: Time(0), offset: 0, number: 0 };

impl Default for Refs {
    fn default() -> Refs {
        Refs { bytes: Vec::new(), last: START }
    }
}

impl Refs {
    /// Adds a packet.
    pub fn push(&mut self, place: Place, inbound: bool) {
        let last = self.last;
        put(&mut self.bytes, zigzag(place.offset.wrapping_sub(last.offset) as i64));
        let number = place.number.wrapping_sub(last.number) as i64;
        put(&mut self.bytes, zigzag(number) << 1 | u64::from(inbound));
        put(&mut self.bytes, zigzag(place.time.0.wrapping_sub(last.time.0)));
        self.last = place;
    }
    /// Bytes of memory used.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
    /// Takes all references out, in the order in which they came.
    pub fn take(&mut self) -> Vec<PacketRef> {
        let mut out = Vec::with_capacity(self.bytes.len() / 6 + 1);
        let mut rest = self.bytes.as_slice();
        let mut last = START;
        while !rest.is_empty() {
            let (Some(offset), Some(number), Some(time)) = (take(&mut rest), take(&mut rest), take(&mut rest)) else { break };
            last = Place {
                offset: last.offset.wrapping_add(unzigzag(offset) as u64),
                number: last.number.wrapping_add(unzigzag(number >> 1) as u64),
                time: Time(last.time.0.wrapping_add(unzigzag(time))),
            };
            out.push(PacketRef { offset: last.offset, number: last.number, time: last.time, inbound: number & 1 == 1 });
        }
        self.bytes = Vec::new();
        self.last = START;
        out
    }
}

fn zigzag(n: i64) -> u64 {
    ((n << 1) ^ (n >> 63)) as u64
}

fn unzigzag(n: u64) -> i64 {
    (n >> 1) as i64 ^ -((n & 1) as i64)
}

fn put(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

fn take(from: &mut &[u8]) -> Option<u64> {
    let mut n = 0u64;
    for shift in (0..64).step_by(7) {
        let (first, rest) = from.split_first()?;
        *from = rest;
        n |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(n);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn references_come_out_as_they_went_in(all in prop::collection::vec((any::<i64>(), 0u64..1 << 48, 0u64..1 << 48, any::<bool>()), 0..50)) {
            let want: Vec<PacketRef> =
                all.iter().map(|(t, o, n, i)| PacketRef { time: Time(*t), offset: *o, number: *n, inbound: *i }).collect();
            let mut refs = Refs::default();
            for r in &want {
                refs.push(Place { time: r.time, offset: r.offset, number: r.number }, r.inbound);
            }
            prop_assert_eq!(refs.take(), want);
            prop_assert!(refs.is_empty());
        }
    }

    #[test]
    fn a_packet_costs_few_bytes() {
        let mut refs = Refs::default();
        for i in 0..1000u64 {
            refs.push(
                Place { time: Time(1_700_000_000_000_000_000 + i as i64 * 250_000), offset: 24 + i * 1516, number: i + 1 },
                i % 2 == 0,
            );
        }
        assert!(refs.len() < 7 * 1000 + 16, "{}", refs.len());
    }
}
