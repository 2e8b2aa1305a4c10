//! Reads again what records were read from: bytes of evidence by offset, packets by reference.

use super::archive::find;
use super::capture::{self, CaptureKind, Item};
use super::compression::Compression;
use super::cut;
use super::frames::Frames;
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
        if info.is_live() {
            return Err("it was captured live: of its stream at most the packets are kept, in the ring of the case".to_owned());
        }
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
/// Uncompressed captures are read by seeking, see [`cut`]; `heads`: where sections and interfaces of pcapng begin, if that is known. Compressed ones
/// are read from their start.
pub fn packets(place: &Place, heads: Option<&[u64]>, refs: &[PacketRef], stop: &dyn Fn() -> bool) -> Result<Vec<Found>> {
    let wanted = in_order(refs);
    let io = |e: io::Error| Error::io(AGAIN, place.path(), &e);
    let data = Data::open(place)?;
    if data.compression() != Compression::None {
        return Ok(scan(&mut data.stream().map_err(io)?, &wanted, stop));
    }
    match data {
        Data::File(mut file, _) => cut::packets(&mut file, heads, &wanted, stop),
        Data::Memory(mut bytes, _) => cut::packets(&mut bytes, heads, &wanted, stop),
    }
    .map_err(io)?
    .ok_or_else(|| Error::input("the evidence is no longer the capture that was imported").at_path(place.path()))
}

fn in_order(refs: &[PacketRef]) -> Vec<PacketRef> {
    let mut wanted: Vec<PacketRef> = refs.to_vec();
    wanted.sort_by_key(|r| r.offset);
    wanted
}

/// The copy in frames of a compressed capture that is kept in a case's folder for evidence.
pub fn spool_of(folder: &Path, key: EvidenceKey) -> PathBuf {
    folder.join(format!("spool-{key}.zst"))
}

/// The same as [`packets`] of such a copy; none: there is none.
pub fn spooled(
    folder: &Path,
    key: EvidenceKey,
    heads: Option<&[u64]>,
    refs: &[PacketRef],
    stop: &dyn Fn() -> bool,
) -> Result<Option<Vec<Found>>> {
    let path = spool_of(folder, key);
    let io = |e: io::Error| {
        Error::io("cannot read the copy of the evidence", &path, &e).hint("remove it: the evidence is read instead")
    };
    let file = match File::open(&path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file.map_err(io)?,
    };
    match Frames::open(file).and_then(|mut frames| cut::packets(&mut frames, heads, &in_order(refs), stop)) {
        // A damaged copy is none: the evidence itself is read.
        Err(e) if matches!(e.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) => Ok(None),
        found => found.map_err(io),
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
