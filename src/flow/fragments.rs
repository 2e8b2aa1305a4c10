//! IP fragments put together before packets are keyed (RFC 791, RFC 8200; overlap: the first bytes win, and it is an oddity).
//!
//! Bounded in datagrams and bytes: beyond that the oldest datagram is given up, as it is after its timeout.

use super::refs::Place;
use crate::model::time::Time;
use crate::protocols::layers::{Conversation, LinkHead};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Datagrams that wait.
const MAX_DATAGRAMS: usize = 4096;
/// Fragments of one datagram.
const MAX_PIECES: usize = 512;

type Key = (IpAddr, IpAddr, u8, u32);

/// One fragment as a packet: where it stands and its IP length.
#[derive(Debug, Clone, Copy)]
pub struct Part {
    /// The packet.
    pub place: Place,
    /// IP bytes.
    pub ip_len: u32,
}

/// A datagram, whole or given up.
#[derive(Debug, Clone)]
pub struct Datagram {
    /// Addresses, protocol, ttl of its first fragment.
    pub src: IpAddr,
    /// Receiver.
    pub dst: IpAddr,
    /// Protocol.
    pub proto: u8,
    /// Time to live.
    pub ttl: u8,
    /// Link layer of the first fragment seen.
    pub link: LinkHead,
    /// Which conversation of its packet it is.
    pub layer: u8,
    /// Tunnels that it stands in.
    pub level: u8,
    /// The payload, or what is there of it from its start.
    pub payload: Vec<u8>,
    /// The fragments as packets, in the order of the capture.
    pub parts: Vec<Part>,
    /// All of it is there.
    pub whole: bool,
}

#[derive(Debug)]
struct Waiting {
    datagram: Datagram,
    pieces: BTreeMap<u32, Vec<u8>>,
    total: Option<u32>,
    bytes: usize,
    since: Time,
    serial: u64,
}

/// What a fragment led to.
#[derive(Debug)]
pub struct Added {
    /// The datagram that it completed.
    pub whole: Option<Box<Datagram>>,
    /// It overlaps another one.
    pub overlap: bool,
}

/// Datagrams in pieces.
#[derive(Debug, Default)]
pub struct Fragments {
    waiting: BTreeMap<Key, Waiting>,
    /// By age: serial to key.
    ages: BTreeMap<u64, Key>,
    bytes: usize,
    serial: u64,
}

impl Fragments {
    /// Takes a fragment.
    pub fn add(&mut self, c: &Conversation<'_>, layer: u8, place: Place) -> Added {
        let mut added = Added { whole: None, overlap: false };
        let Some(f) = c.fragment else { return added };
        let key = (c.src, c.dst, c.proto, f.id);
        let serial = &mut self.serial;
        let ages = &mut self.ages;
        let w = self.waiting.entry(key).or_insert_with(|| {
            *serial += 1;
            ages.insert(*serial, key);
            Waiting {
                datagram: Datagram {
                    src: c.src,
                    dst: c.dst,
                    proto: c.proto,
                    ttl: c.ttl,
                    link: c.link,
                    layer,
                    level: c.level,
                    payload: Vec::new(),
                    parts: Vec::new(),
                    whole: false,
                },
                pieces: BTreeMap::new(),
                total: None,
                bytes: 0,
                since: place.time,
                serial: *serial,
            }
        });
        w.datagram.parts.push(Part { place, ip_len: c.ip_len });
        // A fragment sent again and again is kept as a packet each time: that counts too.
        w.bytes += size_of::<Part>();
        self.bytes += size_of::<Part>();
        let end = f.offset.saturating_add(c.payload.len() as u32);
        let cut = (c.payload.len() as u32) < c.payload_len;
        if !f.more && !cut && w.total.is_none() {
            w.total = Some(end);
        }
        if w.pieces.len() < MAX_PIECES && end <= 65_535 + 40 {
            added.overlap = w.pieces.iter().any(|(start, piece)| *start < end && start + piece.len() as u32 > f.offset);
            // The same fragment twice is a retransmission, not an attack.
            if added.overlap && w.pieces.get(&f.offset).is_some_and(|p| p.as_slice() == c.payload) {
                added.overlap = false;
            }
            if let std::collections::btree_map::Entry::Vacant(v) = w.pieces.entry(f.offset) {
                v.insert(c.payload.to_vec());
                w.bytes += c.payload.len();
                self.bytes += c.payload.len();
            }
        }
        // Most fragments do not complete a datagram: look before copying.
        if complete(&w.pieces, w.total)
            && let Some(mut w) = self.take(&key)
        {
            w.datagram.payload = join(&w.pieces, w.total);
            w.datagram.whole = true;
            added.whole = Some(Box::new(w.datagram));
        }
        added
    }

    /// Datagrams given up: older than `timeout` nanoseconds at `now`, or beyond the bounds.
    pub fn expire(&mut self, now: Time, timeout: i64, max_bytes: usize) -> Vec<Datagram> {
        let mut out = Vec::new();
        while let Some((_, key)) = self.ages.first_key_value() {
            let key = *key;
            let old = self.waiting.get(&key).is_none_or(|w| now.since(w.since) >= timeout);
            if !old && self.waiting.len() <= MAX_DATAGRAMS && self.bytes <= max_bytes {
                break;
            }
            let Some(mut w) = self.take(&key) else {
                self.ages.pop_first();
                continue;
            };
            w.datagram.payload = join(&w.pieces, w.total);
            out.push(w.datagram);
        }
        out
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    fn take(&mut self, key: &Key) -> Option<Waiting> {
        let w = self.waiting.remove(key)?;
        self.ages.remove(&w.serial);
        self.bytes = self.bytes.saturating_sub(w.bytes);
        Some(w)
    }
}

/// Whether the pieces reach from the start to the end.
fn complete(pieces: &BTreeMap<u32, Vec<u8>>, total: Option<u32>) -> bool {
    let Some(total) = total else { return false };
    let mut reach = 0usize;
    for (start, piece) in pieces {
        if *start as usize > reach {
            break;
        }
        reach = reach.max(*start as usize + piece.len());
    }
    reach >= total as usize
}

/// The bytes from the start without a hole. Of bytes sent twice the first in the datagram win.
fn join(pieces: &BTreeMap<u32, Vec<u8>>, total: Option<u32>) -> Vec<u8> {
    let mut payload = Vec::new();
    for (start, piece) in pieces {
        let have = payload.len();
        if *start as usize > have {
            break;
        }
        if let Some(new) = piece.get(have - *start as usize..) {
            payload.extend_from_slice(new);
        }
    }
    if let Some(total) = total {
        payload.truncate(total as usize);
    }
    payload
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_join_without_a_hole_and_first_bytes_win() {
        let pieces = BTreeMap::from([(0, b"abcd".to_vec()), (2, b"XYef".to_vec()), (8, b"i".to_vec())]);
        assert_eq!(join(&pieces, Some(9)), b"abcdef");
        assert!(!complete(&pieces, Some(9)) && complete(&pieces, Some(6)));
    }
}
