//! Reads again what records were read from: bytes of evidence by offset, packets by reference.

use super::archive::find;
use super::capture::{self, CaptureKind, Item};
use super::compression::Compression;
use super::input::{hash_prefix, key_at};
use crate::error::{Error, Result};
use crate::model::EvidenceKey;
use crate::model::evidence::EvidenceInfo;
use crate::model::hex::hex;
use crate::model::packet::{LinkType, PacketRef};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, BufReader, Cursor, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// What an error of this module says first.
const AGAIN: &str = "cannot read the evidence again";
/// Files that are looked at to find one that was renamed.
const MAX_BESIDE: usize = 1000;
/// Bytes of one record that are given at most.
const MAX_RAW: u32 = 16 << 20;

/// The copy of a member that is kept in a case's folder for evidence.
pub fn copy_of(folder: &Path, key: EvidenceKey) -> PathBuf {
    folder.join(format!("member-{key}"))
}

/// The same, packed with zstd.
pub fn packed_copy_of(folder: &Path, key: EvidenceKey) -> PathBuf {
    folder.join(format!("member-{key}.zst"))
}

/// Where evidence can be read now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In a file, compressed so: the file that was imported, or what was kept of it in the case.
    File(PathBuf, Compression),
    /// In an archive, by the text that the case calls it by; its bytes are compressed so.
    Member(String, EvidenceKey, Compression),
}

impl Place {
    /// Of evidence of a case whose folder for evidence this is. `Err`: why it cannot be read, in words.
    pub fn of(folder: &Path, info: &EvidenceInfo) -> std::result::Result<Place, String> {
        let compression = Compression::parse(&info.compression).unwrap_or(Compression::None);
        // What the case keeps is found where the case is now: it may have been moved.
        let stream = folder.join(format!("stream-{}", info.key));
        if info.path.ends_with(&format!("/evidence/stream-{}", info.key)) && stream.exists() {
            return Ok(Place::File(stream, compression));
        }
        let (copy, packed) = (copy_of(folder, info.key), packed_copy_of(folder, info.key));
        if copy.exists() {
            return Ok(Place::File(copy, compression));
        }
        if packed.exists() {
            return Ok(Place::File(packed, Compression::Zstd));
        }
        let path = Path::new(&info.path);
        let gone = |e: &io::Error| format!("the evidence was at {}: {e}; put it back there to see its bytes", info.path);
        match std::fs::metadata(path) {
            _ if info.path == "-" => Err("it came through standard input and was not kept".to_owned()),
            Err(_) if find::split(&info.path).is_some() => Ok(Place::Member(info.path.clone(), info.key, compression)),
            Err(e) => rotated(path, info).map(|path| Place::File(path, compression)).ok_or_else(|| gone(&e)),
            Ok(_) if is_still(path, info) => Ok(Place::File(path.to_owned(), compression)),
            Ok(m) => rotated(path, info).map(|path| Place::File(path, compression)).ok_or_else(|| match m.len() < info.size {
                true => format!("{} is shorter now than when it was imported", info.path),
                false => {
                    format!("{} holds something else now than when it was imported; put that back to see its bytes", info.path)
                }
            }),
        }
    }
}

impl Place {
    fn path(&self) -> &Path {
        match self {
            Place::File(path, _) => path,
            Place::Member(text, ..) => Path::new(text),
        }
    }
}

/// Whether a file begins with what was imported, by its key.
fn is_still(path: &Path, info: &EvidenceInfo) -> bool {
    // The key of a stream is not of its bytes.
    info.path.contains("/evidence/stream-") || key_at(path, info.size).is_ok_and(|key| key == info.key)
}

/// A log that was rotated since: beside its old name, with more behind it.
fn rotated(path: &Path, info: &EvidenceInfo) -> Option<PathBuf> {
    let name = path.file_name()?.to_string_lossy().into_owned();
    let base = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.').to_owned();
    let entries = std::fs::read_dir(path.parent()?).ok()?.take(MAX_BESIDE).flatten();
    let mut beside: Vec<PathBuf> = entries
        .filter(|e| {
            e.file_name().to_string_lossy().starts_with(&base) && e.metadata().is_ok_and(|m| m.is_file() && m.len() >= info.size)
        })
        .map(|e| e.path())
        .collect();
    beside.sort();
    beside.into_iter().find(|path| is_still(path, info))
}

/// The uncompressed data of evidence, at a place in memory or in a file.
enum Data {
    File(File, Compression),
    Memory(Vec<u8>, Compression),
}

impl Data {
    fn open(place: &Place) -> Result<Data> {
        Ok(match place {
            Place::File(path, compression) => Data::File(File::open(path).map_err(|e| Error::io(AGAIN, path, &e))?, *compression),
            Place::Member(text, key, compression) => Data::Memory(find::unpack(text, *key)?, *compression),
        })
    }
    /// Its bytes in order, from the first.
    fn stream(self) -> io::Result<Box<dyn Read + Send>> {
        match self {
            Data::File(file, compression) => compression.reader(file),
            Data::Memory(bytes, compression) => compression.reader(Cursor::new(bytes)),
        }
    }
    fn compression(&self) -> Compression {
        match self {
            Data::File(_, compression) | Data::Memory(_, compression) => *compression,
        }
    }
}

/// SHA-256 (hexadecimal) of the evidence as it was imported, where it can still be read whole: its first `size` bytes.
pub fn sha256(place: &Place, info: &EvidenceInfo) -> Result<String> {
    match place {
        Place::File(path, Compression::Zstd) if info.compression != Compression::Zstd.name() => {
            let io = |e: io::Error| Error::io(AGAIN, path, &e);
            let mut from = Compression::Zstd.reader(File::open(path).map_err(io)?).map_err(io)?;
            let mut hash = Sha256::new();
            let mut piece = vec![0; 1 << 16];
            loop {
                match from.read(&mut piece).map_err(io)? {
                    0 => return Ok(hex(&hash.finalize())),
                    n => hash.update(&piece[..n]),
                }
            }
        }
        Place::File(path, _) => hash_prefix(path, info.size),
        Place::Member(text, key, _) => Ok(hex(&Sha256::digest(find::unpack(text, *key)?))),
    }
}

/// The uncompressed data from its first byte on.
pub fn stream(place: &Place) -> Result<Box<dyn Read + Send>> {
    Data::open(place)?.stream().map_err(|e| Error::io(AGAIN, place.path(), &e))
}

/// `len` bytes at `offset` of the uncompressed data. Compressed files and members of archives are read from their start.
pub fn bytes(place: &Place, offset: u64, len: u32) -> Result<Vec<u8>> {
    let io = |e: io::Error| Error::io(AGAIN, place.path(), &e);
    let data = Data::open(place)?;
    let mut out = Vec::new();
    let len = u64::from(len.min(MAX_RAW));
    if let Data::File(mut file, Compression::None) = data {
        file.seek(SeekFrom::Start(offset)).map_err(io)?;
        file.take(len).read_to_end(&mut out).map_err(io)?;
        return Ok(out);
    }
    let mut reader = data.stream().map_err(io)?;
    io::copy(&mut reader.by_ref().take(offset), &mut io::sink()).map_err(io)?;
    reader.take(len).read_to_end(&mut out).map_err(io)?;
    Ok(out)
}

/// A packet read again.
#[derive(Debug, Clone)]
pub struct Found {
    /// Its reference.
    pub at: PacketRef,
    /// Link type.
    pub link: LinkType,
    /// Length on the wire.
    pub wire_len: u32,
    /// Captured bytes.
    pub data: Vec<u8>,
}

/// The packets at these references (in order of offset) of one capture; `stop` is asked now and then.
/// Uncompressed pcap is read by seeking; pcapng by walking block headers, which seeks over the packets in between.
pub fn packets(place: &Place, refs: &[PacketRef], stop: &dyn Fn() -> bool) -> Result<Vec<Found>> {
    let mut wanted: Vec<PacketRef> = refs.to_vec();
    wanted.sort_by_key(|r| r.offset);
    let io = |e: io::Error| Error::io(AGAIN, place.path(), &e);
    let data = Data::open(place)?;
    if data.compression() != Compression::None {
        return Ok(scan(&mut data.stream().map_err(io)?, &wanted, stop));
    }
    match data {
        Data::File(file, _) => seek(file, &wanted, stop),
        Data::Memory(bytes, _) => seek(Cursor::new(bytes), &wanted, stop),
    }
    .map_err(io)?
    .ok_or_else(|| Error::input("the evidence is no longer the capture that was imported").at_path(place.path()))
}

/// `None`: it is no capture.
fn seek(mut file: impl Read + Seek + Send, wanted: &[PacketRef], stop: &dyn Fn() -> bool) -> io::Result<Option<Vec<Found>>> {
    let mut head = [0; 24];
    let got = read_up_to(&mut file, &mut head)?;
    match CaptureKind::of(&head[..got]) {
        Some(CaptureKind::Pcap) if got == 24 => Ok(Some(seek_records(CaptureKind::Pcap, &mut file, &head, wanted, stop))),
        Some(CaptureKind::Snoop) if got >= 16 => Ok(Some(seek_records(CaptureKind::Snoop, &mut file, &head[..16], wanted, stop))),
        Some(CaptureKind::PcapNg) => seek_pcapng(&mut file, wanted, stop).map(Some),
        _ => Ok(None),
    }
}

fn read_up_to(input: &mut impl Read, buf: &mut [u8]) -> io::Result<usize> {
    let mut at = 0;
    while at < buf.len() {
        match input.read(&mut buf[at..]) {
            Ok(0) => break,
            Ok(n) => at += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(at)
}

fn scan(reader: &mut dyn Read, wanted: &[PacketRef], stop: &dyn Fn() -> bool) -> Vec<Found> {
    let mut reader = BufReader::new(reader);
    let mut head = [0; 8];
    let got = read_up_to(&mut reader, &mut head).unwrap_or(0);
    let Some(kind) = CaptureKind::of(&head[..got]) else { return Vec::new() };
    let mut whole = (&head[..]).chain(reader);
    let mut out = Vec::new();
    let mut next = 0;
    let mut seen = 0u64;
    capture::read(kind, &mut whole, &mut |item| {
        if let Item::Packet(p) = item {
            while wanted.get(next).is_some_and(|r| r.offset < p.offset) {
                next += 1;
            }
            while let Some(at) = wanted.get(next).filter(|r| r.offset == p.offset) {
                out.push(Found { at: *at, link: p.link, wire_len: p.wire_len, data: p.data.to_vec() });
                next += 1;
            }
        }
        seen += 1;
        next < wanted.len() && (!seen.is_multiple_of(1024) || !stop())
    });
    out
}

/// Of a file of records that stand by themselves after its header.
fn seek_records(
    kind: CaptureKind,
    file: &mut (impl Read + Seek + Send),
    head: &[u8],
    wanted: &[PacketRef],
    stop: &dyn Fn() -> bool,
) -> Vec<Found> {
    let mut out = Vec::new();
    for at in wanted {
        if stop() {
            break;
        }
        if file.seek(SeekFrom::Start(at.offset)).is_err() {
            continue;
        }
        // One record with the file's header in front of it is a capture of its own.
        let mut whole = head.chain(BufReader::with_capacity(4096, &mut *file));
        capture::read(kind, &mut whole, &mut |item| match item {
            Item::Packet(p) => {
                out.push(Found { at: *at, link: p.link, wire_len: p.wire_len, data: p.data.to_vec() });
                false
            }
            _ => true,
        });
    }
    out
}

fn seek_pcapng(file: &mut (impl Read + Seek), wanted: &[PacketRef], stop: &dyn Fn() -> bool) -> io::Result<Vec<Found>> {
    let mut reader = BufReader::with_capacity(1 << 16, file);
    reader.seek(SeekFrom::Start(0))?;
    let mut sections = capture::Sections::default();
    let (mut offset, mut next, mut out) = (0u64, 0, Vec::new());
    let mut head = [0; 12];
    let mut walked = 0u64;
    while next < wanted.len() && read_up_to(&mut reader, &mut head)? == 12 {
        walked += 1;
        if walked.is_multiple_of(4096) && stop() {
            break;
        }
        let kind = capture::u32_at(&head, 0, sections.big);
        if kind == capture::SECTION && sections.section(&head).is_none() {
            break;
        }
        let len = u64::from(capture::u32_at(&head, 4, sections.big));
        if !(12..=64 << 20).contains(&len) {
            break;
        }
        let hit = wanted[next].offset == offset;
        if hit || kind == capture::INTERFACE {
            let mut data = head.to_vec();
            reader.by_ref().take(len - 12).read_to_end(&mut data)?;
            if let Ok(block) = capture::parsed(&data, sections.big) {
                sections.describe(&block);
            }
            if hit && let Ok(p) = sections.packet(kind, &data, offset, wanted[next].number) {
                out.push(Found { at: wanted[next], link: p.link, wire_len: p.wire_len, data: p.data.to_vec() });
            }
        } else {
            reader.seek_relative(len as i64 - 12)?;
        }
        offset += len;
        while wanted.get(next).is_some_and(|r| r.offset < offset) {
            next += 1;
        }
    }
    Ok(out)
}
