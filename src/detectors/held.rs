//! How detectors hold much: tables whose values lie apart from their index, so that growing neither copies them nor leaves room for half as many
//! again; long lists that grow likewise; when a full table may be swept; lists that mostly have one member; sets of sources by number.

use crate::model::SourceId;
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::HashMap;
use std::hash::Hash;
use std::marker::PhantomData;

type Fast = foldhash::fast::RandomState;

/// Values of one piece of memory.
const CHUNK: usize = 1024;

/// Values by key. Its order never reaches a result.
#[derive(Debug)]
pub struct Table<K, V> {
    index: HashMap<K, u32, Fast>,
    chunks: Vec<Vec<Option<V>>>,
    /// Places whose values were removed.
    free: Vec<u32>,
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Table<K, V> {
        Table { index: HashMap::default(), chunks: Vec::new(), free: Vec::new() }
    }
}

impl<K: Hash + Eq + Copy, V> Table<K, V> {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.index.len()
    }
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }
    /// Whether there is one of a key.
    pub fn contains_key(&self, key: &K) -> bool {
        self.index.contains_key(key)
    }
    fn at(&self, place: u32) -> Option<&V> {
        self.chunks.get(place as usize / CHUNK)?.get(place as usize % CHUNK)?.as_ref()
    }
    /// The value of a key.
    pub fn get(&self, key: &K) -> Option<&V> {
        self.at(*self.index.get(key)?)
    }
    /// The same, to be changed.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let place = *self.index.get(key)? as usize;
        self.chunks.get_mut(place / CHUNK)?.get_mut(place % CHUNK)?.as_mut()
    }
    /// The value of a key; if there is none yet, a new one.
    pub fn entry(&mut self, key: K, new: impl FnOnce() -> V) -> &mut V {
        let next = self.chunks.len().saturating_sub(1) * CHUNK + self.chunks.last().map_or(0, Vec::len);
        let free = &mut self.free;
        let place = *self.index.entry(key).or_insert_with(|| free.pop().unwrap_or(next as u32)) as usize;
        if place / CHUNK >= self.chunks.len() {
            self.chunks.push(Vec::with_capacity(CHUNK));
        }
        let chunk = &mut self.chunks[place / CHUNK];
        if chunk.len() <= place % CHUNK {
            chunk.push(None);
        }
        chunk[place % CHUNK].get_or_insert_with(new)
    }
    /// Removes what does not fulfil a condition.
    pub fn retain(&mut self, mut stays: impl FnMut(&K, &V) -> bool) {
        let (chunks, free) = (&mut self.chunks, &mut self.free);
        self.index.retain(|key, place| {
            let slot = chunks.get_mut(*place as usize / CHUNK).and_then(|c| c.get_mut(*place as usize % CHUNK));
            let keep = slot.as_deref().and_then(Option::as_ref).is_some_and(|value| stays(key, value));
            if !keep {
                slot.into_iter().for_each(|s| *s = None);
                free.push(*place);
            }
            keep
        });
    }
    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.index.iter().filter_map(|(key, place)| Some((key, self.at(*place)?)))
    }
    /// Their keys.
    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.index.keys()
    }
    /// Takes all of them out.
    pub fn drain(&mut self) -> Vec<(K, V)> {
        let mut chunks = std::mem::take(&mut self.chunks);
        self.free.clear();
        let take = |(key, place): (K, u32)| {
            Some((key, chunks.get_mut(place as usize / CHUNK)?.get_mut(place as usize % CHUNK)?.take()?))
        };
        self.index.drain().filter_map(take).collect()
    }
}

impl<K: Serialize + Hash + Eq + Copy, V: Serialize> Serialize for Table<K, V> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(Some(self.len()))?;
        for (key, value) in self.iter() {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

impl<'de, K: Deserialize<'de> + Hash + Eq + Copy, V: Deserialize<'de>> Deserialize<'de> for Table<K, V> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Table<K, V>, D::Error> {
        from.deserialize_map(Entries(PhantomData))
    }
}

/// Fills a table as its entries come.
struct Entries<K, V>(PhantomData<(K, V)>);

impl<'de, K: Deserialize<'de> + Hash + Eq + Copy, V: Deserialize<'de>> Visitor<'de> for Entries<K, V> {
    type Value = Table<K, V>;
    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a table")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Table<K, V>, A::Error> {
        let mut out = Table::default();
        while let Some((key, value)) = map.next_entry()? {
            out.entry(key, || value);
        }
        Ok(out)
    }
}

/// Members of one piece of a long list.
const PIECE: usize = 1 << 14;

/// A list of very many: growing neither copies them nor leaves room for as many again.
#[derive(Debug)]
pub struct Long<T> {
    pieces: Vec<Vec<T>>,
}

impl<T> Default for Long<T> {
    fn default() -> Long<T> {
        Long { pieces: Vec::new() }
    }
}

impl<T> Long<T> {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.pieces.len().saturating_sub(1) * PIECE + self.pieces.last().map_or(0, Vec::len)
    }
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }
    /// Adds one at the end.
    pub fn push(&mut self, one: T) {
        match self.pieces.last_mut().filter(|last| last.len() < PIECE) {
            Some(last) => last.push(one),
            None => {
                // Few need no room for many.
                let mut piece = if self.pieces.is_empty() { Vec::new() } else { Vec::with_capacity(PIECE) };
                piece.push(one);
                self.pieces.push(piece);
            }
        }
    }
    /// Takes all of them out, in order; each piece is gone before the next is looked at.
    pub fn take(&mut self) -> Vec<T> {
        let mut out = Vec::with_capacity(self.len());
        std::mem::take(&mut self.pieces).into_iter().for_each(|piece| out.extend(piece));
        out
    }
}

impl<T> Extend<T> for Long<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, of: I) {
        of.into_iter().for_each(|one| self.push(one));
    }
}

impl<T> FromIterator<T> for Long<T> {
    fn from_iter<I: IntoIterator<Item = T>>(of: I) -> Long<T> {
        let mut out = Long::default();
        out.extend(of);
        out
    }
}

impl<T: Serialize> Serialize for Long<T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut seq = to.serialize_seq(Some(self.len()))?;
        self.pieces.iter().flatten().try_for_each(|one| seq.serialize_element(one))?;
        seq.end()
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Long<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Long<T>, D::Error> {
        from.deserialize_seq(Members(PhantomData))
    }
}

/// Fills a long list as its members come.
struct Members<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
    type Value = Long<T>;
    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a list")
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Long<T>, A::Error> {
        let mut out = Long::default();
        while let Some(one) = seq.next_element()? {
            out.push(one);
        }
        Ok(out)
    }
}

/// When a full table may be swept: each sweep looks at all of it, so that where little went the next is made only when as many as an eighth of it
/// found no room.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Sweep {
    wait: usize,
}

impl Sweep {
    /// Somebody finds no room in a table that holds so many at most: whether it is to be swept now.
    pub fn is_due(&mut self, most: usize) -> bool {
        if self.wait > 0 {
            self.wait -= 1;
            return false;
        }
        self.wait = most / 8;
        true
    }
}

/// Adds to a list that mostly has one member: room for four would be three too many.
pub fn push<T>(list: &mut Vec<T>, one: T) {
    if list.capacity() == 0 {
        list.reserve_exact(1);
    }
    list.push(one);
}

/// A set of sources, by its number in [`Sources`]; 0: the empty one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct SourceSet(u16);

/// Sets of sources: few different ones, of many subjects.
#[derive(Debug, Serialize, Deserialize)]
pub struct Sources {
    sets: Vec<Vec<SourceId>>,
    with: HashMap<(SourceSet, SourceId), SourceSet, Fast>,
}

impl Default for Sources {
    fn default() -> Sources {
        Sources { sets: vec![Vec::new()], with: HashMap::default() }
    }
}

/// Most sources of a set.
const MEMBERS: usize = 64;

impl Sources {
    /// A set with one source more. What there is no room for is left out.
    pub fn with(&mut self, set: SourceSet, source: SourceId) -> SourceSet {
        if let Some(known) = self.with.get(&(set, source)) {
            return *known;
        }
        let mut list = self.list(set).to_vec();
        let new = match list.binary_search(&source) {
            Ok(_) => set,
            Err(at) if list.len() < MEMBERS => {
                list.insert(at, source);
                match self.sets.iter().position(|s| *s == list) {
                    Some(known) => SourceSet(u16::try_from(known).unwrap_or(0)),
                    None if self.sets.len() <= usize::from(u16::MAX) => {
                        self.sets.push(list);
                        SourceSet((self.sets.len() - 1) as u16)
                    }
                    None => set,
                }
            }
            Err(_) => set,
        };
        if self.with.len() <= usize::from(u16::MAX) * 4 {
            self.with.insert((set, source), new);
        }
        new
    }
    /// The sources of a set, in order.
    pub fn list(&self, set: SourceSet) -> &[SourceId] {
        self.sets.get(usize::from(set.0)).map_or(&[], Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_list_comes_out_as_it_went_in() {
        for n in [0usize, 1, PIECE, PIECE + 1, 3 * PIECE - 1] {
            let mut list: Long<usize> = (0..n).collect();
            let mut back: Long<usize> = postcard::from_bytes(&postcard::to_stdvec(&list).unwrap()).unwrap();
            assert_eq!((list.len(), list.is_empty(), back.len()), (n, n == 0, n));
            let all = list.take();
            assert!(all.len() == n && all.iter().enumerate().all(|(a, b)| a == *b) && back.take() == all);
            assert_eq!((list.len(), list.take().len()), (0, 0));
        }
    }

    #[test]
    fn a_table_has_what_was_put_in_and_uses_places_again() {
        let mut table: Table<u32, u64> = Table::default();
        for n in 0..5_000 {
            *table.entry(n, || 1) += u64::from(n);
        }
        assert_eq!((table.len(), table.get(&4_999).copied(), *table.entry(7, || 99)), (5_000, Some(5_000), 8));
        table.retain(|key, value| key % 2 == 0 && *value > 100);
        assert_eq!((table.len(), table.get(&7), table.contains_key(&200)), (2_450, None, true));
        let chunks = table.chunks.len();
        for n in 10_000..12_550 {
            table.entry(n, || u64::from(n));
        }
        assert_eq!((table.len(), table.chunks.len(), table.get(&12_549)), (5_000, chunks, Some(&12_549)));
        *table.get_mut(&200).unwrap() = 0;
        let sum: u64 = table.iter().map(|(_, v)| v).sum();
        let mut all = table.drain();
        all.sort_unstable();
        assert_eq!((all.len(), all.iter().map(|a| a.1).sum::<u64>(), table.is_empty()), (5_000, sum, true));
        let new = *table.entry(3, || 4);
        assert_eq!((new, table.keys().count()), (4, 1));
    }

    #[test]
    fn a_table_that_stays_full_is_swept_seldom() {
        let mut sweep = Sweep::default();
        let swept = (0..10_000).filter(|_| sweep.is_due(800)).count();
        assert_eq!(swept, 100);
    }

    #[test]
    fn sets_of_sources_are_equal_in_whatever_order_they_grew() {
        let mut sources = Sources::default();
        let of = |sources: &mut Sources, list: &[u32]| {
            list.iter().fold(SourceSet::default(), |set, n| sources.with(set, SourceId(*n)))
        };
        let (a, b) = (of(&mut sources, &[3, 1, 2, 1]), of(&mut sources, &[2, 3, 3, 1]));
        assert_eq!((a, sources.list(a)), (b, &[SourceId(1), SourceId(2), SourceId(3)][..]));
        assert!(sources.list(SourceSet::default()).is_empty());
        let many = of(&mut sources, &(0..100).collect::<Vec<_>>());
        assert_eq!(sources.list(many).len(), MEMBERS);
    }
}
