//! Archives: zip and tar, recognised by content. A visitor is shown member after member, and may have each unpacked into a sink, within
//! limits that hold for everything that one archive holds, however deep. Names of members are text and nothing else: no path is made of them.

pub mod find;

pub mod keys;

pub mod limits;

pub mod locals;

pub mod tar;

pub mod zip;

pub use keys::Keys;
pub use limits::Budget;

use super::compression::Compression;
use crate::model::Time;
use std::fs::File;
use std::io::{self, BufReader, Cursor, Read, Seek, Write};
use std::path::PathBuf;
use std::sync::Arc;

/// What stands between an archive's path and a member's name.
pub const MARK: char = '!';
/// Characters of a member's name that are shown; names may be 64 KiB long.
const MAX_NAME: usize = 1024;
/// Bytes of the uncompressed data that tell an archive.
const HEAD: u64 = 512;

/// Kind of archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArchiveKind {
    /// zip (PKWARE's APPNOTE).
    Zip,
    /// tar: ustar, GNU, pax and the old form.
    Tar,
}

impl ArchiveKind {
    /// By the first 512 bytes of the uncompressed data.
    pub fn of(head: &[u8]) -> Option<ArchiveKind> {
        match head {
            [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => Some(ArchiveKind::Zip),
            // A zip that was made to be split begins with a mark of its own.
            [b'P', b'K', 7, 8, b'P', b'K', ..] | [b'P', b'K', b'0', b'0', b'P', b'K', ..] => Some(ArchiveKind::Zip),
            _ => tar::begins(head).then_some(ArchiveKind::Tar),
        }
    }
    /// Its name, as a format.
    pub fn name(self) -> &'static str {
        match self {
            ArchiveKind::Zip => "zip",
            ArchiveKind::Tar => "tar",
        }
    }
}

/// Where the bytes of an archive are.
#[derive(Debug, Clone)]
pub enum Bytes {
    /// In a file.
    File(PathBuf),
    /// In memory.
    Memory(Arc<[u8]>),
    /// Others up to an offset, and after that a list of members that was made for them.
    Mended(Box<Bytes>, u64, Arc<[u8]>),
}

/// A reader that can go anywhere.
pub trait Anywhere: Read + Seek + Send {}
impl<T: Read + Seek + Send> Anywhere for T {}

impl Bytes {
    /// A reader of its own, at the start.
    pub fn open(&self) -> io::Result<Box<dyn Anywhere>> {
        Ok(match self {
            Bytes::File(path) => Box::new(BufReader::with_capacity(1 << 16, File::open(path)?)),
            Bytes::Memory(bytes) => Box::new(Cursor::new(Arc::clone(bytes))),
            Bytes::Mended(bytes, end, tail) => {
                let whole = locals::Joined { from: bytes.open()?, end: *end, tail: Arc::clone(tail), at: 0 };
                Box::new(BufReader::with_capacity(1 << 16, whole))
            }
        })
    }
    /// How they are compressed, and which archive is inside, if any.
    pub fn kind(&self) -> io::Result<(Compression, Option<ArchiveKind>)> {
        let mut first = Vec::new();
        self.open()?.take(16).read_to_end(&mut first)?;
        let compression = Compression::of(&first);
        let mut head = Vec::new();
        // Damage inside the head is met again where the archive is read.
        let _ = compression.reader(self.open()?)?.take(HEAD).read_to_end(&mut head);
        Ok((compression, ArchiveKind::of(&head)))
    }
}

/// What a member is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Nature {
    /// A file.
    File,
    /// A folder: nothing to read.
    Folder,
    /// Something that is not unpacked, in words.
    Other(String),
}

/// A member of an archive.
#[derive(Debug, Clone)]
pub struct Member {
    /// Its name as it is shown and found again: control characters escaped, cut where it is very long.
    pub name: String,
    /// When it was changed, if the archive says.
    pub modified: Option<Time>,
    /// What it is.
    pub nature: Nature,
    /// It can be read with a password only.
    pub encrypted: bool,
    /// Bytes that have to be unpacked to read it whole, by what the archive says.
    pub cost: u64,
}

/// Why a member was not unpacked.
#[derive(Debug)]
pub enum Refusal {
    /// It is encrypted, and no password that is known opens it.
    Password,
    /// A limit; which, in words.
    Limit(String),
    /// Its bytes are damaged, or packed in a way that is not read; in words.
    Damaged(String),
    /// Where it was unpacked to took no more.
    Sink(io::Error),
    /// The reading was told to stop.
    Stopped,
}

/// Where a member is unpacked to.
pub trait Sink: Write {
    /// Forgets what was written: it was garbage.
    fn restart(&mut self) -> io::Result<()>;
}

impl Sink for Vec<u8> {
    fn restart(&mut self) -> io::Result<()> {
        self.clear();
        Ok(())
    }
}

/// Unpacks the member that is shown.
pub type Unpack<'a> = dyn FnMut(&mut dyn Sink) -> Result<(), Refusal> + 'a;
/// Is shown each member; false ends the walk.
pub type Each<'a> = dyn FnMut(&Member, &mut Unpack<'_>) -> bool + 'a;

/// Shows every member of an archive, in its order. `Err`: what ended it early, in words; what was shown before it counts. A compressed zip
/// has to be unpacked before: its list of members is at its end.
pub fn walk(
    kind: ArchiveKind,
    bytes: &Bytes,
    compression: Compression,
    budget: &Budget,
    keys: &Keys<'_>,
    each: &mut Each<'_>,
) -> Result<(), String> {
    match kind {
        ArchiveKind::Zip => zip::walk(bytes, budget, keys, each),
        ArchiveKind::Tar => {
            let from = bytes.open().and_then(|from| compression.reader(from)).map_err(|e| format!("cannot be read: {e}"))?;
            tar::walk(from, budget, each)
        }
    }
}

/// A member's name as text.
fn shown(name: &str) -> String {
    let mut out = String::new();
    for (n, c) in name.chars().enumerate() {
        if n >= MAX_NAME {
            out.push('…');
            break;
        }
        // Marks that turn the direction of text would show another name than there is.
        let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if c.is_control() || turns { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out
}

/// Copies within the budget; `limit`: bytes that are believed of this member.
fn copy(from: &mut dyn Read, to: &mut dyn Sink, budget: &Budget, limit: u64) -> Result<u64, Refusal> {
    let mut piece = vec![0; 1 << 16];
    let mut copied = 0u64;
    loop {
        let n = match from.read(&mut piece) {
            Ok(0) => return Ok(copied),
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(Refusal::Damaged(e.to_string())),
        };
        copied += n as u64;
        if copied > limit {
            return Err(Refusal::Limit(limits::bomb()));
        }
        budget.spend(n as u64)?;
        to.write_all(&piece[..n]).map_err(Refusal::Sink)?;
    }
}
