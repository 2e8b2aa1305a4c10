//! A copy of uncompressed data in frames of 1 MiB, each compressed by itself, with a table at its end: any part is read by unpacking just the
//! frames that hold it. The file is zstd's seekable format, which every zstd tool unpacks as a whole.

use super::cut::At;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write};

/// Bytes of a frame before compression.
pub const FRAME: usize = 1 << 20;
/// Frames that are kept unpacked.
const KEPT: usize = 4;
/// Frames that a table is believed to have: 16 TiB.
const MAX_FRAMES: usize = 1 << 24;
const SKIPPABLE: u32 = 0x184d_2a5e;
const SEEKABLE: u32 = 0x8f92_eab1;
/// Of the table: number of frames, flags, magic.
const FOOTER: usize = 9;

/// Writes the copy.
pub struct Packer<W: Write> {
    out: W,
    buf: Vec<u8>,
    compressor: zstd::bulk::Compressor<'static>,
    table: Vec<(u32, u32)>,
    /// Bytes taken so far.
    pub len: u64,
}

impl<W: Write> Packer<W> {
    /// Nothing yet.
    pub fn new(out: W) -> io::Result<Packer<W>> {
        let compressor = zstd::bulk::Compressor::new(1)?;
        Ok(Packer { out, buf: Vec::with_capacity(FRAME), compressor, table: Vec::new(), len: 0 })
    }
    /// Takes more.
    pub fn push(&mut self, mut data: &[u8]) -> io::Result<()> {
        while !data.is_empty() {
            let (now, later) = data.split_at(data.len().min(FRAME - self.buf.len()));
            self.buf.extend_from_slice(now);
            self.len += now.len() as u64;
            data = later;
            if self.buf.len() == FRAME {
                self.frame()?;
            }
        }
        Ok(())
    }
    fn frame(&mut self) -> io::Result<()> {
        let packed = self.compressor.compress(&self.buf)?;
        self.out.write_all(&packed)?;
        self.table.push((packed.len() as u32, self.buf.len() as u32));
        self.buf.clear();
        Ok(())
    }
    /// Writes the table and gives the writer back.
    pub fn finish(mut self) -> io::Result<W> {
        if !self.buf.is_empty() {
            self.frame()?;
        }
        let mut tail = SKIPPABLE.to_le_bytes().to_vec();
        tail.extend(((self.table.len() * 8 + FOOTER) as u32).to_le_bytes());
        for (packed, len) in &self.table {
            tail.extend(packed.to_le_bytes());
            tail.extend(len.to_le_bytes());
        }
        tail.extend((self.table.len() as u32).to_le_bytes());
        tail.push(0);
        tail.extend(SEEKABLE.to_le_bytes());
        self.out.write_all(&tail)?;
        self.out.flush()?;
        Ok(self.out)
    }
}

/// A copy open for reading.
pub struct Frames {
    file: File,
    /// Where each frame begins: packed, unpacked; the last is the end.
    starts: Vec<(u64, u64)>,
    kept: VecDeque<(usize, Vec<u8>)>,
}

fn broken() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the copy in the case is damaged")
}

impl Frames {
    /// Reads its table.
    pub fn open(mut file: File) -> io::Result<Frames> {
        let size = file.metadata()?.len();
        let mut footer = [0; FOOTER];
        let at = size.checked_sub(FOOTER as u64).ok_or_else(broken)?;
        let word = |bytes: &[u8], at: usize| super::capture::u32_at(bytes, at, false);
        if file.at(at, &mut footer)? < FOOTER || word(&footer, 5) != SEEKABLE || footer[4] != 0 {
            return Err(broken());
        }
        let count = word(&footer, 0) as usize;
        let at = at.checked_sub(count as u64 * 8).filter(|_| count <= MAX_FRAMES).ok_or_else(broken)?;
        let mut table = vec![0; count * 8];
        file.at(at, &mut table)?;
        let mut starts = vec![(0u64, 0u64)];
        let mut end = (0u64, 0u64);
        for entry in table.chunks_exact(8) {
            let (packed, len) = (word(entry, 0), word(entry, 4));
            if len as usize > FRAME {
                return Err(broken());
            }
            end = (end.0 + u64::from(packed), end.1 + u64::from(len));
            starts.push(end);
        }
        if end.0 > at { Err(broken()) } else { Ok(Frames { file, starts, kept: VecDeque::new() }) }
    }
    fn frame(&mut self, n: usize) -> io::Result<&[u8]> {
        if let Some(at) = self.kept.iter().position(|(k, _)| *k == n) {
            return Ok(&self.kept[at].1);
        }
        let ((from, start), (to, end)) = (self.starts[n], self.starts[n + 1]);
        let mut packed = vec![0; usize::try_from(to - from).map_err(|_| broken())?];
        self.file.at(from, &mut packed)?;
        let data = zstd::bulk::decompress(&packed, (end - start) as usize).map_err(|_| broken())?;
        if data.len() as u64 != end - start {
            return Err(broken());
        }
        if self.kept.len() >= KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back((n, data));
        self.kept.back().map(|(_, data)| &data[..]).ok_or_else(broken)
    }
}

impl At for Frames {
    fn at(&mut self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let mut have = 0;
        while have < buf.len() {
            let want = offset.saturating_add(have as u64);
            let n = self.starts.partition_point(|(_, start)| *start <= want);
            if n == 0 || n >= self.starts.len() {
                break;
            }
            let skip = (want - self.starts[n - 1].1) as usize;
            let data = self.frame(n - 1)?;
            let part = &data[skip.min(data.len())..];
            let len = part.len().min(buf.len() - have);
            buf[have..have + len].copy_from_slice(&part[..len]);
            have += len;
        }
        Ok(have)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_part_reads_back_and_the_whole_is_zstd() {
        let data: Vec<u8> = (0..900_000u32).flat_map(|n| (n / 3).to_le_bytes()).collect();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("copy");
        let mut packer = Packer::new(File::create(&path).unwrap()).unwrap();
        data.chunks(70_001).for_each(|part| packer.push(part).unwrap());
        assert_eq!(packer.len, data.len() as u64);
        packer.finish().unwrap();
        assert_eq!(zstd::decode_all(File::open(&path).unwrap()).unwrap(), data);
        let mut frames = Frames::open(File::open(&path).unwrap()).unwrap();
        for (at, len) in [(0, 10), (FRAME - 5, 10), (FRAME * 2, 1), (100, FRAME * 2), (data.len() - 3, 10), (data.len() + 9, 4)] {
            let mut buf = vec![0; len];
            let got = frames.at(at as u64, &mut buf).unwrap();
            let want = &data[at.min(data.len())..(at + len).min(data.len())];
            assert_eq!(&buf[..got], want, "{at}");
        }
        let cut = &std::fs::read(&path).unwrap()[..1000];
        std::fs::write(&path, cut).unwrap();
        assert!(Frames::open(File::open(&path).unwrap()).is_err());
    }
}
