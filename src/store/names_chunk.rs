//! Chunks of passive DNS: encoded column by column, like with like, and decoded whole. Knows nothing of frames or compression.

use super::encode::{Take, damaged, put_bytes, put_varint};
use super::names::{Answer, CHUNK_VALUES, Encoded, Seen, Use, addr_key};
use super::numbers::{decode_addrs, decode_deltas, decode_uints, encode_addrs, encode_deltas, encode_uints};
use crate::error::Result;
use crate::model::Time;
use compact_str::CompactString;
use hashbrown::HashMap;
use std::net::IpAddr;
use std::ops::Range;

/// Most keys that a chunk is believed to have.
const MAX_KEYS: usize = 1 << 16;

/// What was collected of an address: events that answer it, uses with the numbers of their names.
#[derive(Debug, Default)]
pub(super) struct Server {
    pub(super) events: u64,
    pub(super) uses: Vec<(Use, u32)>,
}

/// What was collected of a name: events that ask it, those with an address, answers by type.
#[derive(Debug, Default)]
pub(super) struct Named {
    pub(super) events: u64,
    pub(super) answered: u64,
    pub(super) answers: HashMap<(u32, Answer), Seen>,
}

/// A chunk by address being filled.
#[derive(Default)]
pub(super) struct ByAddress {
    keys: Vec<IpAddr>,
    events: Vec<u64>,
    counts: Vec<u64>,
    uses: Vec<(Use, u32)>,
}

/// A chunk by name being filled.
#[derive(Default)]
pub(super) struct ByName {
    keys: Vec<Vec<u8>>,
    events: Vec<u64>,
    answered: Vec<u64>,
    counts: Vec<u64>,
    answers: Vec<((u32, Answer), Seen)>,
}

/// Texts of a chunk: those of the group that it uses, in order, each once; and where each number of the group is among them.
fn dictionary(numbers: impl Iterator<Item = u32>, texts: &[CompactString]) -> (Vec<&str>, HashMap<u32, u64>) {
    let mut used: Vec<u32> = numbers.collect();
    used.sort_unstable();
    used.dedup();
    let mut used: Vec<(&str, u32)> = used.into_iter().map(|n| (texts.get(n as usize).map_or("", |t| t.as_str()), n)).collect();
    used.sort_unstable();
    let places = used.iter().enumerate().map(|(at, (_, n))| (*n, at as u64)).collect();
    (used.into_iter().map(|(t, _)| t).collect(), places)
}

/// Sorted texts, or keys, each as how much it shares with the one before and the rest.
fn put_sorted<T: AsRef<[u8]>>(texts: &[T], out: &mut Vec<u8>) {
    put_varint(out, texts.len() as u64);
    let mut before: &[u8] = &[];
    for text in texts {
        let text = text.as_ref();
        let shared = text.iter().zip(before).take_while(|(a, b)| a == b).count();
        put_varint(out, shared as u64);
        put_bytes(out, &text[shared..]);
        before = text;
    }
}

fn take_sorted(take: &mut Take<'_>) -> Result<Vec<Vec<u8>>> {
    let n = take.size(MAX_KEYS * 4)?;
    let mut out: Vec<Vec<u8>> = Vec::new();
    for _ in 0..n {
        let before = out.last().map_or(&[][..], Vec::as_slice);
        let shared = take.size(before.len() + 1)?;
        let mut text = before[..shared].to_vec();
        text.extend_from_slice(take.sized()?);
        out.push(text);
    }
    Ok(out)
}

fn take_texts(take: &mut Take<'_>) -> Result<Vec<CompactString>> {
    let text = |bytes: Vec<u8>| CompactString::from_utf8(bytes).map_err(|_| damaged("passive DNS"));
    take_sorted(take)?.into_iter().map(text).collect()
}

fn put_addrs(addrs: &[IpAddr], out: &mut Vec<u8>) {
    let mut bytes = Vec::new();
    encode_addrs(addrs, &mut bytes);
    put_bytes(out, &bytes);
}

fn sorted(addrs: impl Iterator<Item = IpAddr>) -> Vec<IpAddr> {
    let mut out: Vec<IpAddr> = addrs.collect();
    out.sort_unstable();
    out.dedup();
    out
}

/// Number of an address in a sorted list that has it.
fn place(addrs: &[IpAddr], addr: &IpAddr) -> u64 {
    addrs.binary_search(addr).unwrap_or(0) as u64
}

impl ByAddress {
    pub(super) fn keys(&self) -> usize {
        self.keys.len()
    }
    pub(super) fn values(&self) -> usize {
        self.uses.len()
    }
    pub(super) fn push(&mut self, addr: IpAddr, events: u64, uses: &[(Use, u32)]) {
        self.keys.push(addr);
        self.events.push(events);
        self.counts.push(uses.len() as u64);
        self.uses.extend_from_slice(uses);
    }
    pub(super) fn encode(self, texts: &[CompactString]) -> Encoded {
        let (first, last) = (addr_key(*self.keys.first()?), addr_key(*self.keys.last()?));
        let mut out = Vec::new();
        put_addrs(&self.keys, &mut out);
        encode_uints(&self.events, &mut out);
        encode_uints(&self.counts, &mut out);
        let clients = sorted(self.uses.iter().map(|(u, _)| u.client));
        put_addrs(&clients, &mut out);
        let (words, places) = dictionary(self.uses.iter().map(|(_, name)| *name), texts);
        put_sorted(&words, &mut out);
        let column = |of: &dyn Fn(&(Use, u32)) -> u64| self.uses.iter().map(of).collect::<Vec<u64>>();
        encode_uints(&column(&|(u, _)| place(&clients, &u.client)), &mut out);
        encode_uints(&column(&|(u, n)| places.get(n).copied().unwrap_or(0) << 1 | u64::from(u.pointer)), &mut out);
        encode_uints(&column(&|(u, _)| u.ttl), &mut out);
        encode_uints(&column(&|(u, _)| u64::from(u.ordinal)), &mut out);
        encode_deltas(&self.uses.iter().map(|(u, _)| u.end.0).collect::<Vec<_>>(), &mut out);
        encode_deltas(&self.uses.iter().map(|(u, _)| u.offset as i64).collect::<Vec<_>>(), &mut out);
        Some((first, last, out))
    }
}

impl ByName {
    pub(super) fn keys(&self) -> usize {
        self.keys.len()
    }
    pub(super) fn values(&self) -> usize {
        self.answers.len()
    }
    pub(super) fn push(&mut self, key: &[u8], (events, answered): (u64, u64), answers: &[((u32, Answer), Seen)]) {
        self.keys.push(key.to_vec());
        self.events.push(events);
        self.answered.push(answered);
        self.counts.push(answers.len() as u64);
        self.answers.extend_from_slice(answers);
    }
    pub(super) fn encode(self, texts: &[CompactString]) -> Encoded {
        let (first, last) = (self.keys.first()?.clone(), self.keys.last()?.clone());
        let mut out = Vec::new();
        put_sorted(&self.keys, &mut out);
        for column in [&self.events, &self.answered, &self.counts] {
            encode_uints(column, &mut out);
        }
        let (kinds, places) = dictionary(self.answers.iter().map(|((kind, _), _)| *kind), texts);
        put_sorted(&kinds, &mut out);
        let addr = |a: &Answer| if let Answer::Addr(addr) = a { Some(*addr) } else { None };
        let addrs = sorted(self.answers.iter().filter_map(|((_, a), _)| addr(a)));
        put_addrs(&addrs, &mut out);
        let mut words: Vec<&str> =
            self.answers.iter().filter_map(|((_, a), _)| if let Answer::Text(t) = a { Some(t.as_str()) } else { None }).collect();
        words.sort_unstable();
        words.dedup();
        put_sorted(&words, &mut out);
        let column = |of: &dyn Fn(&((u32, Answer), Seen)) -> u64| self.answers.iter().map(of).collect::<Vec<u64>>();
        encode_uints(&column(&|((kind, _), _)| places.get(kind).copied().unwrap_or(0)), &mut out);
        let number = |((_, a), _): &((u32, Answer), Seen)| match a {
            Answer::Addr(a) => place(&addrs, a) << 1,
            Answer::Text(t) => (words.binary_search(&t.as_str()).unwrap_or(0) as u64) << 1 | 1,
        };
        encode_uints(&column(&number), &mut out);
        encode_uints(&column(&|(_, seen)| seen.count), &mut out);
        encode_deltas(&self.answers.iter().map(|(_, s)| s.first.0).collect::<Vec<_>>(), &mut out);
        encode_deltas(&self.answers.iter().map(|(_, s)| s.last.0.wrapping_sub(s.first.0)).collect::<Vec<_>>(), &mut out);
        Some((first, last, out))
    }
}

/// A chunk by address, decoded.
#[derive(Debug)]
pub struct Addresses {
    keys: Vec<IpAddr>,
    starts: Vec<usize>,
    events: Vec<u64>,
    clients: Vec<IpAddr>,
    names: Vec<CompactString>,
    columns: [Vec<u64>; 4],
    ends: Vec<i64>,
    offsets: Vec<i64>,
}

/// Where the values of each key begin, and how many there are.
fn starts(counts: &[u64]) -> Result<Vec<usize>> {
    let mut out = vec![0];
    let mut at = 0usize;
    for n in counts {
        at = at.saturating_add(*n as usize);
        if at > CHUNK_VALUES * 2 {
            return Err(damaged("passive DNS"));
        }
        out.push(at);
    }
    Ok(out)
}

fn values(starts: &[usize]) -> usize {
    starts.last().copied().unwrap_or(0)
}

impl Addresses {
    /// Reads a chunk.
    pub fn decode(raw: &[u8]) -> Result<Addresses> {
        let mut take = Take::new(raw);
        let keys = decode_addrs(take.sized()?)?;
        let events = decode_uints(&mut take, keys.len())?;
        let starts = starts(&decode_uints(&mut take, keys.len())?)?;
        let clients = decode_addrs(take.sized()?)?;
        let names = take_texts(&mut take)?;
        let n = values(&starts);
        let columns =
            [decode_uints(&mut take, n)?, decode_uints(&mut take, n)?, decode_uints(&mut take, n)?, decode_uints(&mut take, n)?];
        let (ends, offsets) = (decode_deltas(&mut take, n)?, decode_deltas(&mut take, n)?);
        Ok(Addresses { keys, starts, events, clients, names, columns, ends, offsets })
    }
    fn range(&self, addr: IpAddr) -> Option<(usize, Range<usize>)> {
        let at = self.keys.binary_search(&addr).ok()?;
        Some((at, *self.starts.get(at)?..*self.starts.get(at + 1)?))
    }
    /// Events that answer an address.
    pub fn events(&self, addr: IpAddr) -> u64 {
        self.range(addr).and_then(|(at, _)| self.events.get(at).copied()).unwrap_or(0)
    }
    /// The uses of an address, each with its name.
    pub fn uses(&self, addr: IpAddr, each: &mut dyn FnMut(&str, Use)) -> Result<()> {
        let Some((_, range)) = self.range(addr) else { return Ok(()) };
        let [client, name, ttl, ordinal] = &self.columns;
        for i in range {
            let broken = || damaged("passive DNS");
            let client = *self.clients.get(client[i] as usize).ok_or_else(broken)?;
            let text = self.names.get((name[i] >> 1) as usize).ok_or_else(broken)?;
            let (end, offset) = (Time(self.ends[i]), self.offsets[i] as u64);
            let ordinal = ordinal[i] as u16;
            each(text, Use { client, end, ttl: ttl[i], offset, ordinal, pointer: name[i] & 1 == 1 });
        }
        Ok(())
    }
    /// Bytes that it takes in memory, about.
    pub fn weight(&self) -> usize {
        let texts: usize = self.names.iter().map(|t| 24 + if t.len() > 24 { t.len() } else { 0 }).sum();
        self.keys.len() * 48 + self.clients.len() * 17 + texts + self.ends.len() * 48 + 256
    }
}

/// A chunk by name, decoded.
#[derive(Debug)]
pub struct Names {
    keys: Vec<Vec<u8>>,
    starts: Vec<usize>,
    events: Vec<u64>,
    answered: Vec<u64>,
    kinds: Vec<CompactString>,
    kind: Vec<u64>,
    answers: Vec<Answer>,
    seen: Vec<Seen>,
}

/// What a chunk knows of one name.
pub struct NameEntry<'a> {
    /// Its key.
    pub key: &'a [u8],
    /// Events that ask it.
    pub events: u64,
    /// Those of them that answer an address.
    pub answered: u64,
    chunk: &'a Names,
    range: Range<usize>,
}

impl NameEntry<'_> {
    /// The name.
    pub fn name(&self) -> Result<String> {
        String::from_utf8(self.key.iter().rev().copied().collect()).map_err(|_| damaged("passive DNS"))
    }
    /// Types, answers and how they were seen.
    pub fn answers(&self) -> impl Iterator<Item = (&str, &Answer, &Seen)> {
        let kind = |i: usize| self.chunk.kinds.get(self.chunk.kind[i] as usize).map_or("", |k| k.as_str());
        self.range.clone().map(move |i| (kind(i), &self.chunk.answers[i], &self.chunk.seen[i]))
    }
}

impl Names {
    /// Reads a chunk.
    pub fn decode(raw: &[u8]) -> Result<Names> {
        let mut take = Take::new(raw);
        let keys = take_sorted(&mut take)?;
        let events = decode_uints(&mut take, keys.len())?;
        let answered = decode_uints(&mut take, keys.len())?;
        let starts = starts(&decode_uints(&mut take, keys.len())?)?;
        let kinds = take_texts(&mut take)?;
        let addrs = decode_addrs(take.sized()?)?;
        let words = take_texts(&mut take)?;
        let n = values(&starts);
        let kind = decode_uints(&mut take, n)?;
        let answer = |n: u64| match n & 1 {
            0 => addrs.get((n >> 1) as usize).map(|a| Answer::Addr(*a)),
            _ => words.get((n >> 1) as usize).map(|t| Answer::Text(t.clone())),
        };
        let answers = decode_uints(&mut take, n)?.into_iter().map(answer);
        let answers = answers.collect::<Option<Vec<_>>>().ok_or_else(|| damaged("passive DNS"))?;
        let counts = decode_uints(&mut take, n)?;
        let (first, length) = (decode_deltas(&mut take, n)?, decode_deltas(&mut take, n)?);
        let seen = |i: usize| Seen { count: counts[i], first: Time(first[i]), last: Time(first[i].wrapping_add(length[i])) };
        Ok(Names { keys, starts, events, answered, kinds, kind, answers, seen: (0..n).map(seen).collect() })
    }
    /// What it knows of a name, and of all names below it if `below`; of every name if the key is empty and `below`.
    pub fn under(&self, key: &[u8], below: bool, each: &mut dyn FnMut(NameEntry<'_>) -> Result<()>) -> Result<()> {
        let first = self.keys.partition_point(|k| &k[..] < key);
        for at in first..self.keys.len() {
            let found = &self.keys[at][..];
            if !found.starts_with(key) {
                break;
            }
            if found.len() == key.len() || below && (key.is_empty() || found[key.len()] == b'.') {
                let range = self.starts[at]..self.starts[at + 1];
                each(NameEntry { key: found, events: self.events[at], answered: self.answered[at], chunk: self, range })?;
            }
        }
        Ok(())
    }
    /// Bytes that it takes in memory, about.
    pub fn weight(&self) -> usize {
        let keys: usize = self.keys.iter().map(|k| k.len() + 64).sum();
        keys + self.answers.len() * 72 + 256
    }
}
