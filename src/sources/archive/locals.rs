//! A zip whose list of members, at its end, is cut off: each member has a header of its own before it, and from those a list is made anew, so
//! that what is whole is read as ever (PKWARE's APPNOTE, 4.3.7 to 4.3.16). What the list alone knows (kinds of files) is lost.

use super::{Anywhere, Bytes, shown};
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

const LOCAL: &[u8] = b"PK\x03\x04";
const DESCRIPTOR: &[u8] = b"PK\x07\x08";
const LISTED: &[u8] = b"PK\x01\x02";
const LIST_END: &[u8] = b"PK\x05\x06";
const HEADER: u64 = 30;
/// Most members, and bytes of the list that is made of them.
const MEMBERS: usize = 65_534;
const LIST: usize = 32 << 20;
/// Marks of descriptors that are looked at.
const LOOKS: usize = 1 << 18;
/// Extra field with sizes of 64 bits.
const LARGE: u16 = 1;

/// What could be made of it.
pub struct Mended {
    /// The archive with a list.
    pub bytes: Bytes,
    /// Members in the list.
    pub members: usize,
    /// What is lost, in words; empty: no member that had begun.
    pub lost: String,
}

/// Makes the list. None: not one member is whole.
pub fn mend(bytes: &Bytes) -> Option<Mended> {
    let mut from = bytes.open().ok()?;
    let length = from.seek(SeekFrom::End(0)).ok()?;
    let mut walk = Walk { from, length, list: Vec::new(), members: 0, lost: String::new(), looks: LOOKS };
    let end = walk.run();
    if walk.members == 0 {
        return None;
    }
    let (members, size) = ((walk.members as u16).to_le_bytes(), (walk.list.len() as u32).to_le_bytes());
    let start = u32::try_from(end).ok()?.to_le_bytes();
    let tail = [&walk.list[..], LIST_END, &[0; 4], &members, &members, &size, &start, &[0; 2]].concat();
    let bytes = Bytes::Mended(Box::new(bytes.clone()), end, tail.into());
    Some(Mended { bytes, members: walk.members, lost: walk.lost })
}

struct Walk {
    from: Box<dyn Anywhere>,
    length: u64,
    list: Vec<u8>,
    members: usize,
    lost: String,
    /// Marks that may still be looked at, of all that look like a descriptor's.
    looks: usize,
}

/// Sizes and checksum of a member, and where the next header is.
struct Extent {
    crc: [u8; 4],
    packed: u64,
    plain: u64,
    next: u64,
}

impl Walk {
    /// Goes from header to header; gives where the whole members end.
    fn run(&mut self) -> u64 {
        let mut at = 0;
        if self.read(0, 4).is_some_and(|mark| mark == DESCRIPTOR || mark == b"PK00") {
            at = 4;
        }
        loop {
            let Some(header) = self.read(at, HEADER) else {
                if at < self.length && self.read(at, 4).is_none_or(|mark| mark == LOCAL) {
                    self.lost = "the member that was to follow is cut in its header".into();
                }
                return at;
            };
            if !header.starts_with(LOCAL) {
                if !header.starts_with(LISTED) && !header.starts_with(LIST_END) {
                    self.lost = format!("there is no member at offset {at}, where one should be");
                }
                return at;
            }
            match self.member(at, &header) {
                Ok(next) => at = next,
                Err(lost) => {
                    self.lost = lost;
                    return at;
                }
            }
        }
    }

    fn read(&mut self, at: u64, n: u64) -> Option<Vec<u8>> {
        if at.checked_add(n)? > self.length {
            return None;
        }
        let mut out = Vec::new();
        self.from.seek(SeekFrom::Start(at)).ok()?;
        self.from.by_ref().take(n).read_to_end(&mut out).ok()?;
        (out.len() as u64 == n).then_some(out)
    }

    /// Takes a member up into the list; gives where it ends. `Err`: why it cannot be, in words.
    fn member(&mut self, at: u64, header: &[u8]) -> Result<u64, String> {
        let half = |at: usize| u16::from_le_bytes([header[at], header[at + 1]]);
        let (name, extra) = (u64::from(half(26)), u64::from(half(28)));
        let start = at + HEADER + name + extra;
        let rest = self.read(at + HEADER, name + extra).ok_or("the member that was to follow is cut in its name")?;
        let (name, extra) = rest.split_at(name as usize);
        let cut = || format!("{} is cut", shown(&String::from_utf8_lossy(name)));
        let extent = self.extent(header, extra, start).ok_or_else(cut)?;
        let small = |n: u64| {
            u32::try_from(n).map(u32::to_le_bytes).map_err(|_| "what follows is beyond 4 GiB: mend it with zip -FF".to_owned())
        };
        let kept = without_large(extra);
        if self.members >= MEMBERS || self.list.len() + 46 + name.len() + kept.len() > LIST {
            return Err(format!("more than {} members: those after them are not read", self.members));
        }
        let (packed, plain, offset) = (small(extent.packed)?, small(extent.plain)?, small(at)?);
        // The list is to stand behind it.
        small(extent.next)?;
        // Version made by, and version needed to flags, method, time, date; then what is stated here.
        self.list.extend([LISTED, &[20, 0], &header[4..14], &extent.crc, &packed, &plain].concat());
        self.list.extend([(name.len() as u16).to_le_bytes(), (kept.len() as u16).to_le_bytes()].concat());
        self.list.extend([&[0; 10][..], &offset, name, &kept].concat());
        self.members += 1;
        Ok(extent.next)
    }

    /// How far a member whose data begin at `start` goes. None: not to its end.
    fn extent(&mut self, header: &[u8], extra: &[u8], start: u64) -> Option<Extent> {
        let four = |at: usize| [header[at], header[at + 1], header[at + 2], header[at + 3]];
        let (mut packed, mut plain) = (u64::from(u32::from_le_bytes(four(18))), u64::from(u32::from_le_bytes(four(22))));
        let large = field(extra, LARGE);
        if let Some(sizes) = large.filter(|_| packed == 0xffff_ffff || plain == 0xffff_ffff) {
            let mut eight = sizes.chunks_exact(8).filter_map(|c| c.try_into().ok()).map(u64::from_le_bytes);
            if plain == 0xffff_ffff {
                plain = eight.next()?;
            }
            if packed == 0xffff_ffff {
                packed = eight.next()?;
            }
        }
        let follows = header[6] & 8 != 0;
        if follows && packed == 0 {
            return self.descriptor(start, start);
        }
        let end = start.checked_add(packed).filter(|end| *end <= self.length)?;
        if follows {
            // Its checksum stands behind it, with a mark or without.
            let whole = self.read(end, 28.min(self.length - end))?;
            let told = whole.strip_prefix(DESCRIPTOR).and_then(|after| stated(after, packed)).map(|t| (t, 4));
            if let Some(((crc, plain, size), mark)) = told.or_else(|| stated(&whole, packed).map(|t| (t, 0))) {
                return Some(Extent { crc, packed, plain, next: end + mark + size });
            }
        }
        Some(Extent { crc: four(14), packed, plain, next: end })
    }

    /// The descriptor behind data that begin at `start`, looked for from an offset on: it states how long they are.
    fn descriptor(&mut self, start: u64, from: u64) -> Option<Extent> {
        const PIECE: u64 = 1 << 16;
        let mut at = from;
        while at + 16 <= self.length {
            let piece = self.read(at, PIECE.min(self.length - at))?;
            for found in memchr::memmem::find_iter(&piece, DESCRIPTOR) {
                self.looks = self.looks.checked_sub(1)?;
                let place = at + found as u64;
                let whole = self.read(place, 24.min(self.length - place))?;
                if let Some((crc, plain, size)) = whole.get(4..).and_then(|after| stated(after, place - start)) {
                    return Some(Extent { crc, packed: place - start, plain, next: place + 4 + size });
                }
            }
            at += (piece.len() as u64).saturating_sub(3).max(1);
        }
        None
    }
}

/// What a descriptor behind its mark states of data of so many bytes: checksum, unpacked size, its own length. None: of other data.
fn stated(descriptor: &[u8], packed: u64) -> Option<([u8; 4], u64, u64)> {
    let number =
        |at: usize, n: usize| descriptor.get(at..at + n).map(|b| b.iter().rev().fold(0u64, |sum, b| sum << 8 | u64::from(*b)));
    // Sizes have 4 bytes or 8. Eight can be taken for four that unpack to nothing, which only the shortest data do.
    let sizes = if packed > 2 { [8, 4] } else { [4, 8] };
    let size = sizes.into_iter().find(|size| number(4, *size) == Some(packed))?;
    Some((descriptor.get(..4)?.try_into().ok()?, number(4 + size, size)?, 4 + 2 * size as u64))
}

/// The value of an extra field.
fn field(extra: &[u8], wanted: u16) -> Option<&[u8]> {
    fields(extra).find(|(id, _)| *id == wanted).map(|(_, whole)| &whole[4..])
}

/// Extra fields: id, and all of each.
fn fields(mut extra: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let (id, length) =
            (u16::from_le_bytes([*extra.first()?, *extra.get(1)?]), u16::from_le_bytes([*extra.get(2)?, *extra.get(3)?]));
        let (whole, rest) = extra.split_at_checked(4 + usize::from(length))?;
        extra = rest;
        Some((id, whole))
    })
}

fn without_large(extra: &[u8]) -> Vec<u8> {
    fields(extra).filter(|(id, _)| *id != LARGE).flat_map(|(_, whole)| whole).copied().collect()
}

/// A file up to an offset, and bytes after it.
pub struct Joined {
    /// The file.
    pub from: Box<dyn Anywhere>,
    /// The offset.
    pub end: u64,
    /// The bytes.
    pub tail: Arc<[u8]>,
    /// Where it is read next.
    pub at: u64,
}

impl Read for Joined {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.at < self.end {
            let most = usize::try_from(self.end - self.at).unwrap_or(usize::MAX).min(buf.len());
            self.from.seek(SeekFrom::Start(self.at))?;
            let n = self.from.read(&mut buf[..most])?;
            self.at += n as u64;
            return Ok(n);
        }
        let from = usize::try_from(self.at - self.end).unwrap_or(usize::MAX).min(self.tail.len());
        let n = buf.len().min(self.tail.len() - from);
        buf[..n].copy_from_slice(&self.tail[from..from + n]);
        self.at += n as u64;
        Ok(n)
    }
}

impl Seek for Joined {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => (self.end + self.tail.len() as u64).checked_add_signed(by),
        };
        self.at = at.ok_or_else(|| io::Error::other("before the beginning"))?;
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_descriptor_is_believed_of_its_own_data_only() {
        let short = [&[1, 2, 3, 4][..], &7u32.to_le_bytes(), &30u32.to_le_bytes()].concat();
        let long = [&[1, 2, 3, 4][..], &7u64.to_le_bytes(), &30u64.to_le_bytes()].concat();
        assert_eq!(stated(&short, 7), Some(([1, 2, 3, 4], 30, 12)));
        assert_eq!(stated(&long, 7), Some(([1, 2, 3, 4], 30, 20)));
        assert_eq!(stated(&short, 8), None);
        assert_eq!(stated(&short[..9], 7), None);
        assert_eq!(stated(&[], 0), None);
    }
}
