//! A ring of pcapng files: the packets that live captures keep, bounded by size and age, the oldest files dropped first.
//!
//! `FOLDER/KEY/START.pcapng`: KEY is the evidence key of a capture of one interface, START the offset (16 hexadecimal digits) that the file's
//! first packet has in the stream of that capture. Every packet has its offset in the stream as its `epb_packetid`, so that references made of
//! the stream find it. START.idx has such pairs of places, in the stream and in the file (u64 LE each), every 256 KiB: a packet is found without
//! reading what is before it; it may be missing.

use super::capture::{self, MAX_BLOCK};
use super::pcapng::{self, Sections};
use super::reread::Found;
use super::write::{Described, PcapNg};
use crate::model::packet::{Packet, PacketRef};
use crate::model::{EvidenceKey, Time};
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// Bytes of a file between two marks of its index.
const MARK: u64 = 256 << 10;
/// Bytes of the options that hold a packet's number, with the block's length behind them.
const TAIL: usize = 20;
/// Files are never smaller than this, nor larger than that, whatever the ring's size.
const SMALLEST: u64 = 256 << 10;
const LARGEST: u64 = 64 << 20;

/// What a ring may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Bytes of all files.
    pub size: u64,
    /// Age of the last packet of a file beyond which it goes.
    pub age: Option<Duration>,
}

impl Limits {
    /// Bytes after which a file is full: at least eight of them make the ring.
    fn file(&self) -> u64 {
        (self.size / 8).clamp(SMALLEST, LARGEST)
    }
    /// Time after which a file is full: else one would hold all that is young enough for a long time.
    fn time(&self) -> Option<Duration> {
        self.age.map(|age| (age / 8).max(Duration::from_secs(1)))
    }
}

/// The files of a ring on disk, whoever wrote them.
#[derive(Debug)]
struct Kept {
    path: PathBuf,
    size: u64,
    last: SystemTime,
}

/// A ring that several captures write to.
#[derive(Debug)]
pub struct Ring {
    folder: PathBuf,
    limits: Limits,
    /// Of each interface what its files say of it, and the file that is written.
    captures: Vec<(EvidenceKey, Described, Option<Open>)>,
    /// Full files, the oldest first.
    kept: Vec<Kept>,
    dropped: u64,
}

#[derive(Debug)]
struct Open {
    path: PathBuf,
    file: PcapNg<BufWriter<File>>,
    index: File,
    marks: Vec<u8>,
    len: u64,
    next_mark: u64,
    begun: Instant,
}

impl Ring {
    /// A ring in a folder, which is made if it is not there. What it holds already counts.
    pub fn open(folder: &Path, limits: Limits) -> io::Result<Ring> {
        let mut kept = Vec::new();
        for folder in folders(folder) {
            for entry in std::fs::read_dir(folder)?.flatten() {
                let path = entry.path();
                if path.extension().is_some_and(|e| e == "pcapng")
                    && let Ok(meta) = entry.metadata()
                {
                    let last = meta.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                    kept.push(Kept { path, size: meta.len(), last });
                }
            }
        }
        kept.sort_by(|a, b| (a.last, &a.path).cmp(&(b.last, &b.path)));
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        Ok(Ring { folder: folder.to_owned(), limits, captures: Vec::new(), kept, dropped: 0 })
    }
    /// Adds a capture; gives the number by which its packets are written.
    pub fn add(&mut self, key: EvidenceKey, about: Described) -> usize {
        self.captures.push((key, about, None));
        self.captures.len() - 1
    }
    /// Keeps a packet; its offset is that in the stream of its capture.
    pub fn packet(&mut self, capture: usize, packet: &Packet<'_>) -> io::Result<()> {
        let limits = self.limits;
        let Some((key, about, slot)) = self.captures.get_mut(capture) else { return Ok(()) };
        let full = |open: &mut Open| open.len >= limits.file() || limits.time().is_some_and(|time| open.begun.elapsed() >= time);
        if let Some(open) = slot.take_if(full) {
            self.kept.push(open.close()?);
        }
        let open = match slot {
            Some(open) => open,
            none => {
                let folder = self.folder.join(key.to_string());
                none.insert(Open::create(&folder, about, packet.offset)?)
            }
        };
        if open.len >= open.next_mark {
            open.marks.extend(packet.offset.to_le_bytes());
            open.marks.extend(open.len.to_le_bytes());
            open.next_mark = open.len + MARK;
        }
        open.len += open.file.packet_of(0, packet.time, packet.data, packet.wire_len, Some(packet.offset))? as u64;
        Ok(())
    }
    /// Gives everything to the system, so that it can be read.
    pub fn flush(&mut self) -> io::Result<()> {
        self.captures.iter_mut().filter_map(|(_, _, open)| open.as_mut()).try_for_each(Open::flush)
    }
    /// Drops the oldest files until what is there is within its limits; the files being written stay.
    pub fn bound(&mut self) -> io::Result<()> {
        let mut size = self.size();
        let old = |k: &Kept, age: Duration| SystemTime::now().duration_since(k.last).is_ok_and(|a| a > age);
        while let Some(oldest) = self.kept.first()
            && (size > self.limits.size || self.limits.age.is_some_and(|age| old(oldest, age)))
        {
            size -= oldest.size;
            self.drop_oldest()?;
        }
        Ok(())
    }
    /// Drops the oldest file; false: there is none but those being written.
    pub fn drop_oldest(&mut self) -> io::Result<bool> {
        if self.kept.is_empty() {
            return Ok(false);
        }
        let oldest = self.kept.remove(0);
        remove(&oldest.path)?;
        let _ = remove(&oldest.path.with_extension("idx"));
        // Only an empty folder goes.
        let _ = oldest.path.parent().map(std::fs::remove_dir);
        self.dropped += 1;
        Ok(true)
    }
    /// Bytes of all files.
    pub fn size(&self) -> u64 {
        let open = self.captures.iter().filter_map(|(_, _, open)| open.as_ref()).map(|o| o.len);
        self.kept.iter().map(|k| k.size).chain(open).sum()
    }
    /// Files that were dropped.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }
    /// Ends the files being written.
    pub fn close(&mut self) -> io::Result<()> {
        for (_, _, slot) in &mut self.captures {
            if let Some(open) = slot.take() {
                self.kept.push(open.close()?);
            }
        }
        Ok(())
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

/// Folders of captures in a ring's folder.
fn folders(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|e| e.path()).filter(|p| p.is_dir()).collect()
}

impl Open {
    fn create(folder: &Path, about: &Described, start: u64) -> io::Result<Open> {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let path = folder.join(format!("{start:016x}.pcapng"));
        let create = |path: &Path| OpenOptions::new().create_new(true).write(true).mode(0o600).open(path);
        let own = create(&path)?;
        // For as long as it is open: whoever drops old files sees that this one is written, however long nothing came.
        own.try_lock()?;
        let mut file = PcapNg::begin(BufWriter::with_capacity(1 << 20, own), "")?;
        file.describe(about)?;
        file.out().flush()?;
        let len = file.out().get_ref().metadata()?.len();
        let index = create(&path.with_extension("idx"))?;
        Ok(Open { path, file, index, marks: Vec::new(), len, next_mark: 0, begun: Instant::now() })
    }
    fn flush(&mut self) -> io::Result<()> {
        self.file.out().flush()?;
        // Marks never point beyond what is there.
        self.index.write_all(&std::mem::take(&mut self.marks))
    }
    fn close(mut self) -> io::Result<Kept> {
        self.flush()?;
        Ok(Kept { path: self.path, size: self.len, last: SystemTime::now() })
    }
}

/// What was found of packets that were asked for.
#[derive(Debug, Default)]
pub struct Cut {
    /// The packets that are there, in order of offset.
    pub found: Vec<Found>,
    /// How many are not: they were dropped from the ring.
    pub gone: usize,
}

/// The packets at these references of a capture. `stop` is asked now and then.
pub fn packets(folder: &Path, key: EvidenceKey, wanted: &[PacketRef], stop: &dyn Fn() -> bool) -> io::Result<Cut> {
    let mut wanted: Vec<PacketRef> = wanted.to_vec();
    wanted.sort_by_key(|r| r.offset);
    let files = files(&folder.join(key.to_string()));
    let mut cut = Cut::default();
    let mut rest = wanted.as_slice();
    for (n, (start, path)) in files.iter().enumerate() {
        let before = rest.partition_point(|r| r.offset < *start);
        cut.gone += before;
        rest = &rest[before..];
        let inside = files.get(n + 1).map_or(rest.len(), |(next, _)| rest.partition_point(|r| r.offset < *next));
        let (here, after) = rest.split_at(inside);
        rest = after;
        if here.is_empty() {
            continue;
        }
        let have = cut.found.len();
        match File::open(path) {
            Ok(file) => of_file(file, &marks(path), here, &mut cut.found, stop)?,
            // It was dropped just now.
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(e),
        }
        cut.gone += here.len() - (cut.found.len() - have).min(here.len());
        if stop() {
            return Ok(cut);
        }
    }
    cut.gone += rest.len();
    Ok(cut)
}

/// Whether anything of a capture is in the ring.
pub fn holds(folder: &Path, key: EvidenceKey) -> bool {
    !files(&folder.join(key.to_string())).is_empty()
}

/// The files of a capture, with where they begin in its stream.
fn files(folder: &Path) -> Vec<(u64, PathBuf)> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let start = |path: &Path| {
        let stem = path.file_stem()?.to_str()?;
        path.extension().filter(|e| *e == "pcapng").and_then(|_| u64::from_str_radix(stem, 16).ok())
    };
    let mut out: Vec<(u64, PathBuf)> = entries.map(|e| e.path()).filter_map(|p| Some((start(&p)?, p))).collect();
    out.sort();
    out
}

/// Places in the stream and in the file, in order.
fn marks(path: &Path) -> Vec<(u64, u64)> {
    let bytes = std::fs::read(path.with_extension("idx")).unwrap_or_default();
    let number = |b: &[u8]| b.try_into().map_or(0, u64::from_le_bytes);
    let mut out: Vec<(u64, u64)> = bytes.chunks_exact(16).map(|pair| (number(&pair[..8]), number(&pair[8..]))).collect();
    // Marks out of order are damage; without them the file is read from its start.
    if !out.is_sorted() {
        out.clear();
    }
    out
}

fn of_file(
    file: File,
    marks: &[(u64, u64)],
    wanted: &[PacketRef],
    found: &mut Vec<Found>,
    stop: &dyn Fn() -> bool,
) -> io::Result<()> {
    let mut from = BufReader::with_capacity(64 << 10, file);
    let mut sections = Sections::default();
    let (mut at, mut next, mut seen) = (0u64, 0, 0u64);
    let mut block = Vec::new();
    while let Some(want) = wanted.get(next) {
        // What is far ahead is gone to, once the file has said what it holds.
        let mark = marks[..marks.partition_point(|(stream, _)| *stream <= want.offset)].last();
        if let Some((_, place)) = mark.filter(|(_, place)| *place > at && !sections.interfaces.is_empty()) {
            at = from.seek(SeekFrom::Start(*place))?;
        }
        if !read_block(&mut from, &mut block, &mut sections)? {
            break;
        }
        at += block.len() as u64;
        seen += 1;
        if seen.is_multiple_of(4096) && stop() {
            break;
        }
        let kind = capture::u32_at(&block, 0, sections.big);
        if kind == pcapng::INTERFACE && sections.interfaces.is_empty() {
            if let Ok(block) = pcapng::parsed(&block, sections.big) {
                sections.describe(&block);
            }
            continue;
        }
        let Some(id) = id_of(&block) else { continue };
        while wanted.get(next).is_some_and(|r| r.offset < id) {
            next += 1;
        }
        while let Some(want) = wanted.get(next).filter(|r| r.offset == id) {
            if let Ok(p) = sections.packet(kind, &block, id, want.number) {
                found.push(Found { at: *want, link: p.link, wire_len: p.wire_len, data: p.data.to_vec() });
            }
            next += 1;
        }
    }
    Ok(())
}

/// The next block; false: there is none that is whole.
fn read_block(from: &mut impl Read, block: &mut Vec<u8>, sections: &mut Sections) -> io::Result<bool> {
    block.resize(12, 0);
    let whole = |done: io::Result<()>| match done {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(e) => Err(e),
    };
    if !whole(from.read_exact(block))? {
        return Ok(false);
    }
    if capture::u32_at(block, 0, false) == pcapng::SECTION && sections.section(block).is_none() {
        return Ok(false);
    }
    let len = capture::u32_at(block, 4, sections.big) as usize;
    if !(12..=MAX_BLOCK).contains(&len) || !len.is_multiple_of(4) {
        return Ok(false);
    }
    block.resize(len, 0);
    whole(from.read_exact(&mut block[12..]))
}

/// The offset in the stream that a packet's block has as its number, where this module wrote it.
fn id_of(block: &[u8]) -> Option<u64> {
    let tail = block.get(block.len().checked_sub(TAIL)?..)?;
    if block.len() < 28 + TAIL || tail[..4] != [5, 0, 8, 0] {
        return None;
    }
    tail[4..12].try_into().ok().map(u64::from_le_bytes)
}

/// When the last packet of a ring's files was written, for what is said of a ring; none: it is empty.
pub fn newest(folder: &Path, key: EvidenceKey) -> Option<Time> {
    let last = files(&folder.join(key.to_string())).into_iter().filter_map(|(_, p)| p.metadata().ok()?.modified().ok()).max()?;
    let since = last.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Some(Time(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::packet::LinkType;

    const KEY: EvidenceKey = EvidenceKey(0x0123_4567_89ab_cdef);

    fn about() -> Described {
        Described { name: "eth0".into(), filter: String::new(), link: LinkType::ETHERNET, snaplen: 0 }
    }

    /// Packets of 1000 bytes, every second one of a stream in which each takes 1032 bytes.
    fn fill(ring: &mut Ring, of: std::ops::Range<u64>) -> Vec<PacketRef> {
        let mut refs = Vec::new();
        for n in of {
            let (time, offset) = (Time(n as i64), 100 + 2 * n * 1032);
            let data = vec![n as u8; 1000];
            let packet =
                Packet { time, link: LinkType::ETHERNET, data: &data, wire_len: 1000, offset, number: 2 * n + 1, interface: 0 };
            ring.packet(0, &packet).unwrap();
            refs.push(PacketRef { offset, number: 2 * n + 1, time, inbound: false });
        }
        ring.flush().unwrap();
        refs
    }

    fn of(n: u64, found: &Found) -> bool {
        found.data == vec![n as u8; 1000] && found.at.time == Time(n as i64) && found.wire_len == 1000
    }

    #[test]
    fn packets_are_found_by_their_place_in_the_stream_until_they_are_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let limits = Limits { size: 4 << 20, age: None };
        let mut ring = Ring::open(dir.path(), limits).unwrap();
        ring.add(KEY, about());
        let refs = fill(&mut ring, 0..3000);
        // Every 97th, the last one asked first.
        let wanted: Vec<PacketRef> = refs.iter().rev().step_by(97).copied().collect();
        let cut = packets(dir.path(), KEY, &wanted, &|| false).unwrap();
        assert_eq!((cut.found.len(), cut.gone), (wanted.len(), 0));
        assert!(cut.found.iter().all(|f| of(f.at.time.0 as u64, f)) && cut.found.is_sorted_by_key(|f| f.at.offset));
        // What was not kept is not there.
        let other = PacketRef { offset: refs[5].offset + 1032, ..refs[5] };
        assert_eq!(packets(dir.path(), KEY, &[other], &|| false).unwrap().gone, 1);
        // The bound drops from the oldest on; what is left is whole.
        let refs = [refs, fill(&mut ring, 3000..12_000)].concat();
        ring.bound().unwrap();
        assert!(ring.size() <= limits.size && ring.dropped() > 3, "{} bytes, {} dropped", ring.size(), ring.dropped());
        let cut = packets(dir.path(), KEY, &refs, &|| false).unwrap();
        assert_eq!(cut.found.len() + cut.gone, refs.len());
        assert!(cut.found.len() > 3000 && cut.found.last().unwrap().at.time == Time(11_999), "{}", cut.found.len());
        assert!(cut.found.iter().all(|f| of(f.at.time.0 as u64, f)));
        // Another ring in the same folder goes on from there, and drops what the first one left.
        ring.close().unwrap();
        let mut next = Ring::open(dir.path(), Limits { size: 1 << 20, age: None }).unwrap();
        assert!(next.size() > 1 << 20 && holds(dir.path(), KEY) && newest(dir.path(), KEY).is_some());
        next.bound().unwrap();
        assert!(next.size() <= 1 << 20);
    }

    #[test]
    fn without_an_index_and_cut_off_it_still_gives_what_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let mut ring = Ring::open(dir.path(), Limits { size: 1 << 30, age: None }).unwrap();
        ring.add(KEY, about());
        let refs = fill(&mut ring, 0..2000);
        let (_, path) = files(&dir.path().join(KEY.to_string())).remove(0);
        assert!(!marks(&path).is_empty());
        std::fs::remove_file(path.with_extension("idx")).unwrap();
        assert_eq!(packets(dir.path(), KEY, &refs[1990..], &|| false).unwrap().found.len(), 10);
        let len = path.metadata().unwrap().len();
        OpenOptions::new().write(true).open(&path).unwrap().set_len(len - 500).unwrap();
        let cut = packets(dir.path(), KEY, &refs[1990..], &|| false).unwrap();
        assert_eq!((cut.found.len(), cut.gone), (9, 1));
        // Damage anywhere never panics; what is found is what was asked for.
        let whole = std::fs::read(&path).unwrap();
        for at in (0..4000).chain(len as usize - 1500..len as usize - 500) {
            let mut bad = whole[..6000].to_vec();
            bad.extend_from_slice(&whole[whole.len() - 2000..]);
            let at = at % bad.len();
            bad[at] ^= 0xff;
            std::fs::write(&path, bad).unwrap();
            let cut = packets(dir.path(), KEY, &refs, &|| false).unwrap();
            assert!(cut.found.iter().all(|f| refs.contains(&f.at)) && cut.found.len() <= refs.len());
        }
    }

    #[test]
    fn the_files_are_captures_that_others_read() {
        let dir = tempfile::tempdir().unwrap();
        let mut ring = Ring::open(dir.path(), Limits { size: 1 << 30, age: Some(Duration::ZERO) }).unwrap();
        ring.add(KEY, about());
        fill(&mut ring, 0..10);
        let (_, path) = files(&dir.path().join(KEY.to_string())).remove(0);
        let mut seen = 0;
        let end = capture::read(capture::CaptureKind::PcapNg, &mut File::open(&path).unwrap(), &mut |item| {
            seen += usize::from(matches!(item, capture::Item::Packet(_)));
            true
        });
        assert_eq!((seen, end.damage), (10, None));
        // Too old is what was closed before now.
        ring.close().unwrap();
        std::thread::sleep(Duration::from_millis(20));
        ring.bound().unwrap();
        assert_eq!((ring.size(), holds(dir.path(), KEY), dir.path().join(KEY.to_string()).exists()), (0, false, false));
    }
}
