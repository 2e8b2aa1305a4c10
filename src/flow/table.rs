//! The table of live flows: found by key, ordered by when they were last seen, bounded.

use super::app::App;
use super::history::History;
use super::key::Key;
use super::reassembly::Stream;
use super::refs::Refs;
use super::stack::Stack;
use super::tcp::Tcp;
use crate::model::flow::Side;
use crate::model::origin::RecordId;
use crate::model::time::Time;
use crate::protocols::layers::LinkHead;
use foldhash::fast::FixedState;
use hashbrown::HashTable;
use std::hash::BuildHasher;

const NONE: u32 = u32::MAX;
/// Changes of what carries a flow beyond which its history says so; Zeek's number.
const MAX_CARRIER_CHANGES: u8 = 5;

/// A live flow.
#[derive(Debug)]
pub struct Entry {
    /// Key.
    pub key: Key,
    /// The originator is the smaller end of the key.
    pub out_is_low: bool,
    /// Identity.
    pub id: RecordId,
    /// Capture interface of its first packet.
    pub interface: u32,
    /// First packet.
    pub start: Time,
    /// Last packet that counts for its end.
    pub end: Time,
    /// Counters: originator, responder.
    pub sides: [Side; 2],
    /// History letters.
    pub history: History,
    /// TCP state and streams.
    pub tcp: Option<Box<(Tcp, [Stream; 2])>>,
    /// Application.
    pub app: Option<Box<App>>,
    /// Packet references.
    pub refs: Refs,
    /// Bytes acknowledged but not captured.
    pub missed: u64,
    /// What few flows have.
    pub rare: Option<Box<Rare>>,
    /// Link layer of its first packet, as its originator sent it.
    pub link: LinkHead,
    /// Payload was seen.
    pub has_data: bool,
    /// Whose stacks set it up: the originator's, the responder's.
    pub stacks: [Option<Stack>; 2],
    /// Deadline that is set in the queue.
    pub armed: Time,
    /// Which entry of the queue is valid.
    pub generation: u32,
}

/// What few flows have.
#[derive(Debug, Clone, Default)]
pub struct Rare {
    /// Tunnel that it carries.
    pub carries: Option<&'static str>,
    /// Flow that carries it, the first that did.
    pub tunnel: Option<RecordId>,
    /// Flow that carried its last packet.
    carrier: Option<RecordId>,
    /// How often the carrier changed.
    changes: u8,
    /// IP fragments among its packets.
    pub fragments: u32,
    /// Of those of the originator and of the responder: what is not the first of a whole datagram.
    pub joined: [u32; 2],
    /// IP bytes of the originator and of the responder that the header of their packet did not state.
    pub unstated: [u64; 2],
    /// What another flow announced it to be.
    pub expected: Option<&'static str>,
    /// Type and code of an ICMP error that answered it.
    pub icmp_error: Option<(u8, u8)>,
    /// Community ID of the flow that it is an error about.
    pub related: Option<Box<str>>,
}

impl Entry {
    /// What few flows have, to be filled.
    pub fn rare(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }
    /// Notes what carries a packet. `true`: the carrier changed more often than anybody who looks into one tunnel can follow.
    pub fn carried_by(&mut self, carrier: Option<RecordId>) -> bool {
        if carrier.is_none() && self.rare.as_ref().is_none_or(|r| r.carrier.is_none()) {
            return false;
        }
        let fresh = self.sides.iter().all(|s| s.packets == 0);
        let rare = self.rare();
        rare.tunnel = rare.tunnel.or(carrier);
        if rare.carrier != carrier {
            rare.carrier = carrier;
            rare.changes = rare.changes.saturating_add(u8::from(!fresh));
        }
        rare.changes > MAX_CARRIER_CHANGES
    }
    /// A new flow.
    pub fn new(key: Key, out_is_low: bool, id: RecordId, interface: u32, start: Time, link: LinkHead) -> Entry {
        Entry {
            key,
            out_is_low,
            id,
            interface,
            start,
            end: start,
            sides: [Side::default(); 2],
            history: History::default(),
            tcp: None,
            app: None,
            refs: Refs::default(),
            missed: 0,
            rare: None,
            link,
            has_data: false,
            stacks: [None; 2],
            armed: Time::MAX,
            generation: 0,
        }
    }
}

/// The neighbours of a flow in the order in which flows were last seen.
#[derive(Debug, Clone, Copy)]
struct Link {
    newer: u32,
    older: u32,
    /// During which round the flow was seen last.
    seen: u32,
}

/// Live flows.
#[derive(Debug)]
pub struct Table {
    index: HashTable<u32>,
    slots: Vec<Option<Entry>>,
    /// Per slot. Beside the flows, not in them: every packet changes those of three flows, of which only one is near at hand.
    links: Vec<Link>,
    free: Vec<u32>,
    newest: u32,
    oldest: u32,
    generation: u32,
    /// Number of the round: what was seen during one is known without a list of it.
    round: u32,
    hasher: FixedState,
}

impl Default for Table {
    fn default() -> Table {
        Table {
            index: HashTable::new(),
            slots: Vec::new(),
            links: Vec::new(),
            free: Vec::new(),
            newest: NONE,
            oldest: NONE,
            generation: 0,
            round: 0,
            // Fixed: the same input gives the same order of everything.
            hasher: FixedState::with_seed(0x6261_636b),
        }
    }
}

impl Table {
    /// Number of live flows.
    pub fn len(&self) -> usize {
        self.index.len()
    }
    /// Whether no flow is alive.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }
    /// The flow with a key.
    pub fn find(&self, key: &Key) -> Option<u32> {
        let slots = &self.slots;
        let same = |slot: &u32| slots.get(*slot as usize).and_then(Option::as_ref).is_some_and(|e| e.key == *key);
        self.index.find(self.hasher.hash_one(key), same).copied()
    }
    /// A flow by its slot.
    pub fn at(&mut self, slot: u32) -> Option<&mut Entry> {
        self.slots.get_mut(slot as usize).and_then(Option::as_mut)
    }
    /// The flow that was seen least recently.
    pub fn oldest(&self) -> Option<u32> {
        (self.oldest != NONE).then_some(self.oldest)
    }
    /// Adds a flow whose key is not in the table.
    pub fn insert(&mut self, mut entry: Entry) -> u32 {
        self.generation = self.generation.wrapping_add(1);
        entry.generation = self.generation;
        let hash = self.hasher.hash_one(entry.key);
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => {
                self.slots.push(None);
                self.links.push(Link { newer: NONE, older: NONE, seen: 0 });
                (self.slots.len() - 1) as u32
            }
        };
        self.slots[slot as usize] = Some(entry);
        let (slots, hasher) = (&self.slots, &self.hasher);
        self.index
            .insert_unique(hash, slot, |s| slots.get(*s as usize).and_then(Option::as_ref).map_or(0, |e| hasher.hash_one(e.key)));
        self.link_newest(slot);
        slot
    }
    /// Takes a flow out.
    pub fn remove(&mut self, slot: u32) -> Option<Entry> {
        let entry = self.slots.get_mut(slot as usize)?.take()?;
        self.unlink(slot);
        if let Ok(found) = self.index.find_entry(self.hasher.hash_one(entry.key), |s| *s == slot) {
            found.remove();
        }
        self.free.push(slot);
        Some(entry)
    }
    /// A flow was seen.
    pub fn touch(&mut self, slot: u32) {
        if self.newest != slot {
            self.unlink(slot);
            self.link_newest(slot);
        }
        let round = self.round;
        if let Some(own) = self.link(slot) {
            own.seen = round;
        }
    }
    /// Slots of the flows that were seen since the last call, the one seen last first, at most so many. Begins the next round.
    pub fn seen(&mut self, most: usize) -> Vec<u32> {
        let round = self.round;
        self.round = self.round.wrapping_add(1);
        let (mut out, mut slot) = (Vec::new(), self.newest);
        while out.len() < most
            && let Some(link) = self.link(slot).filter(|l| l.seen == round)
        {
            let older = link.older;
            out.push(slot);
            slot = older;
        }
        out
    }
    /// Sets a new generation: deadlines set before are void.
    pub fn renew(&mut self, slot: u32) -> u32 {
        self.generation = self.generation.wrapping_add(1);
        let generation = self.generation;
        if let Some(e) = self.at(slot) {
            e.generation = generation;
        }
        generation
    }
    /// Slots of all live flows, in the order of their ids.
    pub fn in_order(&self) -> Vec<u32> {
        let mut all: Vec<(RecordId, u32)> =
            self.slots.iter().enumerate().filter_map(|(slot, e)| e.as_ref().map(|e| (e.id, slot as u32))).collect();
        all.sort_unstable();
        all.into_iter().map(|(_, slot)| slot).collect()
    }

    fn link(&mut self, slot: u32) -> Option<&mut Link> {
        self.links.get_mut(slot as usize)
    }
    fn link_newest(&mut self, slot: u32) {
        let before = self.newest;
        if let Some(own) = self.link(slot) {
            (own.newer, own.older) = (NONE, before);
        }
        match self.link(before) {
            Some(link) => link.newer = slot,
            None => self.oldest = slot,
        }
        self.newest = slot;
    }
    fn unlink(&mut self, slot: u32) {
        let Some(Link { newer, older, .. }) = self.link(slot).copied() else { return };
        match self.link(newer) {
            Some(link) => link.older = older,
            None => self.newest = older,
        }
        match self.link(older) {
            Some(link) => link.newer = newer,
            None => self.oldest = newer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::origin::EvidenceKey;

    fn key(port: u16) -> Key {
        Key::of(17, "10.0.0.1".parse().unwrap(), port, "10.0.0.2".parse().unwrap(), 53, false).0
    }

    fn entry(port: u16) -> Entry {
        let id = RecordId { evidence: EvidenceKey(0), offset: u64::from(port), ordinal: 0 };
        Entry::new(key(port), true, id, 0, Time(0), LinkHead::default())
    }

    #[test]
    fn the_oldest_is_the_one_not_touched() {
        let mut t = Table::default();
        let slots: Vec<u32> = (1..4).map(|p| t.insert(entry(p))).collect();
        assert_eq!(t.oldest(), Some(slots[0]));
        t.touch(slots[0]);
        assert_eq!(t.oldest(), Some(slots[1]));
        t.remove(slots[1]);
        assert_eq!(t.oldest(), Some(slots[2]));
        assert_eq!((t.len(), t.find(&key(2)), t.find(&key(3))), (2, None, Some(slots[2])));
        assert_eq!(t.insert(entry(9)), slots[1]);
    }

    #[test]
    fn a_live_flow_without_streams_costs_at_most_600_bytes() {
        let size = std::mem::size_of::<Option<Entry>>() + std::mem::size_of::<(Tcp, [Stream; 2])>();
        // Index (5), deadline (24) and a few packet references (32) come on top.
        assert!(size + 61 <= 600, "{size}");
    }
}
