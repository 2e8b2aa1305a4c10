//! Reads again what records were read from: bytes of evidence by offset, packets by reference.

use super::capture::{self, CaptureKind, Item};
use super::compression::Compression;
use crate::error::{Error, Result};
use crate::model::packet::{LinkType, PacketRef};
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

/// Bytes of one record that are given at most.
const MAX_RAW: u32 = 16 << 20;

fn open(path: &Path) -> Result<File> {
    File::open(path).map_err(|e| Error::io("cannot read the evidence again", path, &e))
}

/// `len` bytes at `offset` of the uncompressed data. Compressed files are read from their start.
pub fn bytes(path: &Path, compression: Compression, offset: u64, len: u32) -> Result<Vec<u8>> {
    let io = |e: io::Error| Error::io("cannot read the evidence again", path, &e);
    let mut file = open(path)?;
    let mut out = Vec::new();
    if compression == Compression::None {
        file.seek(SeekFrom::Start(offset)).map_err(io)?;
        file.take(u64::from(len.min(MAX_RAW))).read_to_end(&mut out).map_err(io)?;
        return Ok(out);
    }
    let mut reader = compression.reader(file).map_err(io)?;
    io::copy(&mut reader.by_ref().take(offset), &mut io::sink()).map_err(io)?;
    reader.take(u64::from(len.min(MAX_RAW))).read_to_end(&mut out).map_err(io)?;
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
pub fn packets(path: &Path, compression: Compression, refs: &[PacketRef], stop: &dyn Fn() -> bool) -> Result<Vec<Found>> {
    let mut wanted: Vec<PacketRef> = refs.to_vec();
    wanted.sort_by_key(|r| r.offset);
    let mut file = open(path)?;
    if compression != Compression::None {
        let mut reader = compression.reader(file).map_err(|e| Error::io("cannot read the evidence again", path, &e))?;
        return Ok(scan(&mut reader, &wanted, stop));
    }
    let mut head = [0; 24];
    let got = read_up_to(&mut file, &mut head).map_err(|e| Error::io("cannot read the evidence again", path, &e))?;
    match CaptureKind::of(&head[..got]) {
        Some(CaptureKind::Pcap) if got == 24 => Ok(seek_pcap(&mut file, &head, &wanted, stop)),
        Some(CaptureKind::PcapNg) => {
            seek_pcapng(&mut file, &wanted, stop).map_err(|e| Error::io("cannot read the evidence again", path, &e))
        }
        _ => Err(Error::input("the evidence is no longer the capture that was imported").at_path(path)),
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
    let mut head = [0; 4];
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

fn seek_pcap(file: &mut File, head: &[u8; 24], wanted: &[PacketRef], stop: &dyn Fn() -> bool) -> Vec<Found> {
    let mut out = Vec::new();
    for at in wanted {
        if stop() {
            break;
        }
        if file.seek(SeekFrom::Start(at.offset)).is_err() {
            continue;
        }
        // One record with the file's header in front of it is a capture of its own.
        let mut whole = (&head[..]).chain(BufReader::with_capacity(4096, &mut *file));
        capture::read(CaptureKind::Pcap, &mut whole, &mut |item| match item {
            Item::Packet(p) => {
                out.push(Found { at: *at, link: p.link, wire_len: p.wire_len, data: p.data.to_vec() });
                false
            }
            _ => true,
        });
    }
    out
}

fn seek_pcapng(file: &mut File, wanted: &[PacketRef], stop: &dyn Fn() -> bool) -> io::Result<Vec<Found>> {
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
