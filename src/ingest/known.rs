//! Whether a file's content is in the case already under another name or compression, goes on where known evidence ended, or is the beginning
//! of known evidence that is longer.

use crate::model::evidence::EvidenceInfo;
use crate::model::hex::hex;
use crate::sources::compression::Compression;
use crate::sources::reread::{self, Place};
use crate::store::Grown;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Longer evidence that a file is compared with.
const LONGER: usize = 8;

/// Known evidence that a file begins with.
pub struct Prefix {
    /// The longest such evidence.
    pub known: Grown,
    /// The file holds nothing more.
    pub is_all: bool,
    /// The last byte of what was read of the known evidence, if it ended before its end.
    pub last: Option<u8>,
}

/// The longest of the candidates whose content a file begins with. `head` is the beginning of its uncompressed data, at most `head_max` bytes:
/// shorter, it is all. Only candidates longer than that make the file be read.
pub fn prefix(path: &Path, compression: Compression, head: &[u8], head_max: usize, candidates: Vec<Grown>) -> Option<Prefix> {
    let mut candidates = candidates;
    candidates.sort_by_key(|c| c.size);
    let (short, long): (Vec<Grown>, Vec<Grown>) = candidates.into_iter().partition(|c| c.size <= head.len() as u64);
    let found = if long.is_empty() || head.len() < head_max { None } else { read(path, compression, &long).ok().flatten() };
    if let Some((at, is_all)) = found {
        let known = long.into_iter().nth(at)?;
        let last = byte(path, compression, known.text_end);
        return Some(Prefix { known, is_all, last });
    }
    let mut hash = Sha256::new();
    let mut hashed = 0;
    let mut found = None;
    for candidate in short {
        let size = candidate.size as usize;
        hash.update(&head[hashed..size]);
        hashed = size;
        if hex(&hash.clone().finalize()) == candidate.sha256 {
            found = Some(candidate);
        }
    }
    let known = found?;
    let is_all = known.size == head.len() as u64 && head.len() < head_max;
    let last = usize::try_from(known.text_end).ok().and_then(|end| head.get(end.checked_sub(1)?).copied());
    Some(Prefix { known, is_all, last })
}

/// The last of the candidates (in order of size) that matches, and whether the content ends there.
fn read(path: &Path, compression: Compression, candidates: &[Grown]) -> io::Result<Option<(usize, bool)>> {
    let mut from = compression.reader(File::open(path)?)?;
    let mut hash = Sha256::new();
    let mut piece = vec![0; 1 << 18];
    let (mut at, mut found) = (0u64, None);
    for (n, candidate) in candidates.iter().enumerate() {
        while at < candidate.size {
            let want = piece.len().min(usize::try_from(candidate.size - at).unwrap_or(usize::MAX));
            match from.read(&mut piece[..want])? {
                0 => return Ok(found.map(|n: usize| (n, candidates[n].size == at))),
                read => {
                    hash.update(&piece[..read]);
                    at += read as u64;
                }
            }
        }
        if hex(&hash.clone().finalize()) == candidate.sha256 {
            found = Some(n);
        }
    }
    let Some(n) = found else { return Ok(None) };
    let is_all = candidates[n].size == at && from.read(&mut piece[..1])? == 0;
    Ok(Some((n, is_all)))
}

/// The evidence that begins with all of a file, if one of the candidates does: both are read side by side, no further than the file goes.
pub fn beginning(path: &Path, compression: Compression, folder: &Path, candidates: Vec<EvidenceInfo>) -> Option<EvidenceInfo> {
    candidates.into_iter().take(LONGER).find(|longer| {
        let place = Place::of(folder, longer).ok();
        let all = place.and_then(|place| reread::stream(&place).ok());
        let own = File::open(path).and_then(|f| compression.reader(f)).ok();
        all.zip(own).is_some_and(|(mut all, mut own)| begins(all.as_mut(), own.as_mut()).unwrap_or(false))
    })
}

fn begins(all: &mut dyn Read, own: &mut dyn Read) -> io::Result<bool> {
    let (mut piece, mut same) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        let n = own.read(&mut piece)?;
        if n == 0 {
            return Ok(true);
        }
        all.read_exact(&mut same[..n])?;
        if piece[..n] != same[..n] {
            return Ok(false);
        }
    }
}

/// The byte before an offset of the uncompressed data.
fn byte(path: &Path, compression: Compression, end: u64) -> Option<u8> {
    let mut from = compression.reader(File::open(path).ok()?).ok()?;
    io::copy(&mut from.by_ref().take(end.checked_sub(1)?), &mut io::sink()).ok()?;
    let mut last = [0];
    from.read_exact(&mut last).ok()?;
    Some(last[0])
}

/// A reader that hashes what passes, to its end.
pub struct Hashed<R> {
    from: R,
    hash: Sha256,
    size: u64,
    ended: bool,
}

impl<R: Read> Hashed<R> {
    /// Over a reader.
    pub fn new(from: R) -> Hashed<R> {
        Hashed { from, hash: Sha256::new(), size: 0, ended: false }
    }
    /// Size and SHA-256, if all of it passed.
    pub fn done(self) -> Option<(u64, [u8; 32])> {
        self.ended.then(|| (self.size, self.hash.finalize().into()))
    }
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.from.read(buf)?;
        self.hash.update(&buf[..n]);
        self.size += n as u64;
        self.ended |= n == 0 && !buf.is_empty();
        Ok(n)
    }
}
