//! Passive DNS: what the DNS events of one import, source and raw UTC day say about addresses and about names. Derived from blocks of events,
//! as they are imported or later from the blocks; never the truth: whatever is missing or of an older derivation is made again.
//!
//! A frame's body: a directory of chunks, then the chunks, each compressed and checked by itself. Chunks by address hold every use (who got
//! the address for which name, when, for how long, in which event); chunks by name hold what was answered, how often, first and last.

use super::Store;
use super::block::Packer;
use super::catalog::About;
use super::commit::Pending;
use super::encode::{Take, damaged, decompress, put_bytes, put_varint};
use super::frame::FrameKind;
use super::keys;
use super::names_chunk::{ByAddress, ByName, Named, Server};
use super::segment::Place;
use crate::error::Result;
use crate::model::field::{self, FieldId};
use crate::model::filter::canonical;
use crate::model::{Kind, Record, SourceId, Time, Value};
use compact_str::CompactString;
use hashbrown::HashMap;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

/// Number of this derivation. What others derived is made again.
pub const VERSION: u32 = 1;
/// Fields of DNS events that it is made of.
pub const FIELDS: [FieldId; 7] =
    [field::SRC_IP, field::NAME, field::DNS_TYPE, field::ANSWER_IP, field::ANSWER_NAME, field::ANSWER_TEXT, field::DNS_TTL];
/// Bytes in memory after which it is written.
pub const MEMORY: usize = 16 << 20;
/// Addresses of one event whose use is kept.
const MOST: usize = 64;
/// Keys of a chunk.
const CHUNK: usize = 512;
/// Uses or answers of a chunk.
pub(super) const CHUNK_VALUES: usize = 8192;

/// One answer: this client got an address for a name. Times and offsets are those of the event, as they are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Use {
    /// Who asked.
    pub client: IpAddr,
    /// End of the event: when the answer was there.
    pub end: Time,
    /// Seconds that the answer may be kept.
    pub ttl: u64,
    /// Offset of the event's id.
    pub offset: u64,
    /// Ordinal of the event's id.
    pub ordinal: u16,
    /// The name is what a reverse lookup of the address gave.
    pub pointer: bool,
}

/// What was answered.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Answer {
    /// An address.
    Addr(IpAddr),
    /// A name, or anything else as text.
    Text(CompactString),
}

/// How often something was answered, and the end of the first and last event in which it was, as stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Events.
    pub count: u64,
    /// First.
    pub first: Time,
    /// Last.
    pub last: Time,
}

impl Seen {
    /// Adds others.
    pub fn add(&mut self, other: &Seen) {
        self.count = self.count.saturating_add(other.count);
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
    }
}

/// A name as it is compared: small letters, no dot at the end.
pub fn plain(name: &str) -> CompactString {
    CompactString::from(name.trim_end_matches('.').to_lowercase())
}

/// The address that a name of in-addr.arpa or ip6.arpa stands for (RFC 1035 3.5, RFC 3596 2.5).
pub fn pointed(name: &str) -> Option<IpAddr> {
    if let Some(octets) = name.strip_suffix(".in-addr.arpa") {
        let parts: Vec<u8> = octets.split('.').rev().map(|o| o.parse().ok()).collect::<Option<_>>()?;
        return <[u8; 4]>::try_from(parts).ok().map(IpAddr::from);
    }
    let nibbles: Vec<u8> = name
        .strip_suffix(".ip6.arpa")?
        .split('.')
        .rev()
        .map(|n| if n.len() == 1 { u8::from_str_radix(n, 16).ok() } else { None })
        .collect::<Option<_>>()?;
    let octets: Vec<u8> = nibbles.chunks_exact(2).map(|p| p[0] << 4 | p[1]).collect();
    <[u8; 16]>::try_from(octets).ok().map(IpAddr::from)
}

/// What an event says about addresses: each with the name that was asked for it (of a reverse lookup the one that it gave).
pub fn uses(event: &Record, each: &mut dyn FnMut(IpAddr, &str, Use)) {
    let (Some(client), Some(asked)) = (event.addr(field::SRC_IP), event.text(field::NAME)) else { return };
    let asked = plain(asked);
    let ttl = event.uint(field::DNS_TTL).unwrap_or(0);
    let (offset, ordinal) = (event.id.offset, event.id.ordinal);
    let one = Use { client: client.to_canonical(), end: event.end, ttl, offset, ordinal, pointer: false };
    if let Some(server) = pointed(&asked) {
        if let Some(name) = event.text(field::ANSWER_NAME) {
            each(server, &plain(name), Use { pointer: true, ..one });
        }
        return;
    }
    for server in event.all(field::ANSWER_IP).filter_map(Value::as_addr).take(MOST) {
        each(server.to_canonical(), &asked, one);
    }
}

/// What an event says about names: name, type, answer. Names before an address are a chain of aliases; the address itself is given for the name
/// that was asked, which is what a client knows it by.
pub fn answers(event: &Record, each: &mut dyn FnMut(&str, &str, Answer)) {
    let Some(asked) = event.text(field::NAME).map(plain) else { return };
    let mut kind = event.text(field::DNS_TYPE).unwrap_or("");
    if kind.is_empty() && pointed(&asked).is_some() {
        kind = "PTR";
    }
    let mut owner = asked.clone();
    for name in event.all(field::ANSWER_NAME).filter_map(Value::as_text).map(plain) {
        if matches!(kind, "PTR" | "NS" | "MX" | "SRV" | "DNAME") {
            each(&asked, kind, Answer::Text(name));
        } else {
            each(&owner, "CNAME", Answer::Text(name.clone()));
            owner = name;
        }
    }
    for addr in event.all(field::ANSWER_IP).filter_map(Value::as_addr).map(canonical) {
        each(&asked, if addr.is_ipv4() { "A" } else { "AAAA" }, Answer::Addr(addr));
    }
    for text in event.all(field::ANSWER_TEXT) {
        let kind = if matches!(kind, "" | "A" | "AAAA") { "TXT" } else { kind };
        each(&asked, kind, Answer::Text(CompactString::from(text.to_string())));
    }
}

/// What is known of a frame without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// Import that it is of.
    pub import: u32,
    /// Number within the import.
    pub index: u32,
    /// Source of the events.
    pub source: SourceId,
    /// Number of the derivation.
    pub version: u32,
    /// Whether its numbers of events are those that questions would count.
    pub exact: bool,
    /// Of the last frame of a derivation: how many frames it has; else 0.
    pub of: u32,
    /// Length and checksum of the directory.
    pub directory: (u32, u32),
}

impl Span {
    /// Appends it as bytes.
    pub fn put(&self, out: &mut Vec<u8>) {
        for n in [self.import, self.index, self.source.0, self.version, u32::from(self.exact), self.of] {
            put_varint(out, u64::from(n));
        }
        put_varint(out, u64::from(self.directory.0));
        put_varint(out, u64::from(self.directory.1));
    }
    /// Reads what [`Span::put`] wrote.
    pub fn take(take: &mut Take<'_>) -> Result<Span> {
        let mut n = [0u32; 8];
        for n in &mut n {
            *n = take.size(1 << 32)? as u32;
        }
        let [import, index, source, version, exact, of, len, crc] = n;
        Ok(Span { import, index, source: SourceId(source), version, exact: exact != 0, of, directory: (len, crc) })
    }
}

/// A frame and where it stands.
#[derive(Debug)]
pub struct NamesInfo {
    /// Where.
    pub place: Place,
    /// What.
    pub span: Span,
    /// Length of the description before the directory.
    pub meta: u32,
    /// Its directory, once read.
    pub directory: OnceLock<Arc<Vec<ChunkEntry>>>,
}

/// What a chunk is sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// Addresses that were answered.
    Address = 0,
    /// Names, read backwards: what is below a name is a range.
    Name = 1,
}

/// A chunk in the directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkEntry {
    /// What it is sorted by.
    pub by: By,
    /// First key.
    pub first: Box<[u8]>,
    /// Last key.
    pub last: Box<[u8]>,
    /// Where it begins, after the directory.
    pub offset: u64,
    /// Length as stored.
    pub stored: u32,
    raw: u32,
    packed: bool,
    crc: u32,
}

impl ChunkEntry {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(self.by as u8 | u8::from(self.packed) << 1);
        put_bytes(out, &self.first);
        put_bytes(out, &self.last);
        for n in [self.stored, self.raw, self.crc] {
            put_varint(out, u64::from(n));
        }
    }
    /// Its bytes as they were before compression, checked.
    pub fn unpack(&self, stored: &[u8]) -> Result<Vec<u8>> {
        if crc32c::crc32c(stored) != self.crc || self.raw > 1 << 30 {
            return Err(damaged("passive DNS"));
        }
        if !self.packed {
            return Ok(stored.to_vec());
        }
        decompress(stored, self.raw as usize).ok_or_else(|| damaged("passive DNS"))
    }
}

/// Reads a directory.
pub fn directory(span: &Span, bytes: &[u8]) -> Result<Vec<ChunkEntry>> {
    if crc32c::crc32c(bytes) != span.directory.1 {
        return Err(damaged("passive DNS"));
    }
    let mut take = Take::new(bytes);
    let (mut out, mut offset) = (Vec::new(), 0u64);
    while !take.rest.is_empty() {
        let head = take.u8()?;
        let by = if head & 1 == 0 { By::Address } else { By::Name };
        let (first, last) = (take.sized()?.into(), take.sized()?.into());
        let mut n = [0u32; 3];
        for n in &mut n {
            *n = take.size(1 << 32)? as u32;
        }
        let [stored, raw, crc] = n;
        out.push(ChunkEntry { by, first, last, offset, stored, raw, packed: head & 2 != 0, crc });
        offset += u64::from(stored);
    }
    Ok(out)
}

/// The key of an address.
pub fn addr_key(addr: IpAddr) -> Vec<u8> {
    let mut out = Vec::with_capacity(17);
    keys::put_addr(&mut out, addr);
    out
}

/// The key of a name: its bytes backwards.
pub fn name_key(name: &str) -> Vec<u8> {
    name.bytes().rev().collect()
}

/// What was collected of one source and day.
#[derive(Default)]
pub(super) struct Group {
    pub(super) texts: Vec<CompactString>,
    numbers: HashMap<CompactString, u32>,
    servers: HashMap<IpAddr, Server>,
    names: HashMap<u32, Named>,
    inexact: bool,
}

/// Passive DNS of one import being collected.
#[derive(Default)]
pub struct Collector {
    groups: BTreeMap<(i32, SourceId), Group>,
    weight: usize,
}

/// A frame's parts: whether it is exact, the directory, the chunks.
pub struct Body {
    /// As [`Span::exact`].
    pub exact: bool,
    /// The directory.
    pub directory: Vec<u8>,
    /// The chunks.
    pub chunks: Vec<u8>,
}

impl Group {
    fn text(&mut self, text: &str) -> u32 {
        if let Some(n) = self.numbers.get(text) {
            return *n;
        }
        let n = self.texts.len() as u32;
        self.texts.push(CompactString::from(text));
        self.numbers.insert(CompactString::from(text), n);
        n
    }
    /// Adds an event; about how many bytes more that takes.
    fn add(&mut self, event: &Record) -> usize {
        let before = self.texts.len();
        let mut more = 0;
        let mut found = Vec::new();
        uses(event, &mut |server, name, one| found.push((server, self.text(name), one)));
        for (server, name, one) in found {
            more += 64;
            self.servers.entry(server).or_default().uses.push((one, name));
        }
        let mut addrs: Vec<IpAddr> = event.all(field::ANSWER_IP).filter_map(Value::as_addr).map(canonical).collect();
        addrs.sort_unstable();
        addrs.dedup();
        for addr in &addrs {
            let server = self.servers.entry(*addr).or_default();
            more += if server.events == 0 { 96 } else { 0 };
            server.events += 1;
        }
        // A count by name is that of a question only where every event has one name, written as it is compared.
        let mut names = event.all(field::NAME);
        let asked = names.next().and_then(Value::as_text);
        self.inexact |= names.next().is_some() || event.get(field::NAME).is_some() != asked.is_some();
        self.inexact |= event.all(field::ANSWER_IP).any(|v| v.as_addr().is_none());
        if let Some(asked) = asked {
            self.inexact |= asked.ends_with('.');
            let n = self.text(&plain(asked));
            let named = self.names.entry(n).or_default();
            named.events += 1;
            named.answered += u64::from(event.get(field::ANSWER_IP).is_some());
        }
        let seen = Seen { count: 1, first: event.end, last: event.end };
        let mut found = Vec::new();
        answers(event, &mut |name, kind, answer| found.push((self.text(name), self.text(kind), answer)));
        found.sort_unstable();
        found.dedup();
        for (name, kind, answer) in found {
            let answers = &mut self.names.entry(name).or_default().answers;
            match answers.get_mut(&(kind, answer.clone())) {
                Some(have) => have.add(&seen),
                None => {
                    more += 128 + if let Answer::Text(text) = &answer { text.len() } else { 0 };
                    answers.insert((kind, answer), seen);
                }
            }
        }
        more + self.texts[before..].iter().map(|t| 160 + t.len() * 2).sum::<usize>()
    }
    fn pack(self, packer: &mut Packer) -> Body {
        let mut body = Body { exact: !self.inexact, directory: Vec::new(), chunks: Vec::new() };
        let mut servers: Vec<(IpAddr, Server)> = self.servers.into_iter().collect();
        servers.sort_unstable_by_key(|(addr, _)| *addr);
        let mut chunk = ByAddress::default();
        for (addr, mut server) in servers {
            server.uses.sort_unstable_by_key(|(u, _)| (u.end, u.offset, u.ordinal));
            let mut events = server.events;
            let mut rest = &server.uses[..];
            loop {
                if chunk.keys() >= CHUNK || chunk.values() >= CHUNK_VALUES {
                    put(&mut body, By::Address, std::mem::take(&mut chunk).encode(&self.texts), packer);
                }
                let (now, later) = rest.split_at(rest.len().min(CHUNK_VALUES - chunk.values()));
                chunk.push(addr, std::mem::take(&mut events), now);
                rest = later;
                if rest.is_empty() {
                    break;
                }
            }
        }
        put(&mut body, By::Address, chunk.encode(&self.texts), packer);
        let mut names: Vec<(Vec<u8>, Named)> =
            self.names.into_iter().filter_map(|(n, named)| Some((name_key(self.texts.get(n as usize)?), named))).collect();
        names.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        let mut chunk = ByName::default();
        for (key, named) in names {
            let mut numbers = (named.events, named.answered);
            let mut answers: Vec<_> = named.answers.into_iter().collect();
            answers.sort_unstable_by(|a, b| a.0.cmp(&b.0));
            let mut rest = &answers[..];
            loop {
                if chunk.keys() >= CHUNK || chunk.values() >= CHUNK_VALUES {
                    put(&mut body, By::Name, std::mem::take(&mut chunk).encode(&self.texts), packer);
                }
                let (now, later) = rest.split_at(rest.len().min(CHUNK_VALUES - chunk.values()));
                chunk.push(&key, std::mem::take(&mut numbers), now);
                rest = later;
                if rest.is_empty() {
                    break;
                }
            }
        }
        put(&mut body, By::Name, chunk.encode(&self.texts), packer);
        body
    }
}

/// A chunk before compression: first and last key, bytes; none: it is empty.
pub(super) type Encoded = Option<(Vec<u8>, Vec<u8>, Vec<u8>)>;

fn put(body: &mut Body, by: By, encoded: Encoded, packer: &mut Packer) {
    let Some((first, last, raw)) = encoded else { return };
    let start = body.chunks.len();
    let packed = packer.pack(&raw, &mut body.chunks);
    let stored = &body.chunks[start..];
    let (first, last) = (first.into(), last.into());
    let crc = crc32c::crc32c(stored);
    let entry = ChunkEntry { by, first, last, offset: 0, stored: stored.len() as u32, raw: raw.len() as u32, packed, crc };
    entry.put(&mut body.directory);
}

impl Collector {
    /// Bytes in memory, about.
    pub fn weight(&self) -> usize {
        self.weight
    }
    /// Takes in a record, if it is a DNS event.
    pub fn add(&mut self, day: i32, event: &Record) {
        if event.kind == Kind::Dns {
            self.weight += self.groups.entry((day, event.source)).or_default().add(event);
        }
    }
    /// Gives every group and is empty then.
    pub fn flush(&mut self, packer: &mut Packer, each: &mut dyn FnMut(i32, SourceId, Body) -> Result<()>) -> Result<()> {
        self.weight = 0;
        for ((day, source), group) in std::mem::take(&mut self.groups) {
            each(day, source, group.pack(packer))?;
        }
        Ok(())
    }
}

/// Where frames of passive DNS go.
pub(super) struct Frames<'a> {
    pub(super) store: &'a Store,
    pub(super) import: u32,
    /// Number of the first.
    pub(super) base: u32,
    pub(super) written: &'a mut Vec<NamesInfo>,
    pub(super) pending: &'a mut Pending,
}

impl Frames<'_> {
    /// Writes what was collected; `last`: nothing follows, which one more frame says.
    pub(super) fn write(&mut self, from: &mut Collector, packer: &mut Packer, last: bool) -> Result<()> {
        from.flush(packer, &mut |day, source, body| self.append(day, source, &body, 0))?;
        let Some((day, source)) = self.written.last().filter(|_| last).map(|f| (f.place.day, f.span.source)) else {
            return Ok(());
        };
        let nothing = Body { exact: true, directory: Vec::new(), chunks: Vec::new() };
        self.append(day, source, &nothing, self.written.len() as u32 + 1)
    }
    fn append(&mut self, day: i32, source: SourceId, body: &Body, of: u32) -> Result<()> {
        let directory = (body.directory.len() as u32, crc32c::crc32c(&body.directory));
        let index = self.base + self.written.len() as u32;
        let span = Span { import: self.import, index, source, version: VERSION, exact: body.exact, of, directory };
        let mut meta = Vec::new();
        span.put(&mut meta);
        let bytes = [&body.directory[..], &body.chunks].concat();
        let segments = self.store.segments();
        let place = segments.append(day, FrameKind::Names, self.import, &meta, &bytes).map_err(|e| self.store.full(e))?;
        self.pending.add(About::Names, self.import, index, &place, &meta);
        self.written.push(NamesInfo { place, span, meta: meta.len() as u32, directory: OnceLock::new() });
        Ok(())
    }
}
