//! Finds a member again by the text that its evidence is called by: `ARCHIVE!MEMBER`, nested `ARCHIVE!INNER!MEMBER`. Names may hold the
//! mark themselves and may occur twice: what is found is told by its key.

use super::{ArchiveKind, Budget, Bytes, Keys, MARK, Member, Nature, Unpack, walk};
use crate::error::{Error, Result};
use crate::model::EvidenceKey;
use crate::sources::compression::Compression;
use crate::sources::input::key_of;
use std::io::Read;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

/// Bytes that are unpacked to find a member again; what would cost more was copied into the case when it was imported.
pub const MOST: u64 = 512 << 20;
/// Bytes of a member, or of an archive inside, that are held in memory.
const IN_MEMORY: u64 = 128 << 20;

/// The archive's path, and what follows; none: the text names no member of a file that is there.
pub fn split(text: &str) -> Option<(&Path, &str)> {
    let mut marks = text.match_indices(MARK).map(|(at, _)| (Path::new(&text[..at]), &text[at + MARK.len_utf8()..]));
    marks.find(|(path, rest)| !rest.is_empty() && path.is_file())
}

/// The member's bytes.
pub fn unpack(text: &str, key: EvidenceKey) -> Result<Vec<u8>> {
    let gone = |why: &str| Error::input(format!("cannot unpack the evidence again: {why}")).at(text);
    let Some((path, rest)) = split(text) else {
        return Err(gone("the archive is not there").hint("put it back to where it was imported from"));
    };
    let budget = Budget::with(MOST, super::limits::MEMBERS, Rc::new(|| false));
    search(&Bytes::File(path.to_owned()), rest, key, &budget, super::limits::DEPTH)
        .ok_or_else(|| gone("the archive holds it no longer").hint("put the archive back as it was when it was imported"))
}

fn search(bytes: &Bytes, rest: &str, key: EvidenceKey, budget: &Budget, depth: usize) -> Option<Vec<u8>> {
    let (compression, kind) = bytes.kind().ok()?;
    let kind = kind.filter(|_| depth > 0)?;
    let plain;
    let (bytes, compression) = match (kind, compression) {
        (ArchiveKind::Tar, _) | (_, Compression::None) => (bytes, compression),
        (ArchiveKind::Zip, _) => {
            let mut all = Vec::new();
            compression.reader(bytes.open().ok()?).ok()?.take(IN_MEMORY).read_to_end(&mut all).ok()?;
            plain = Bytes::Memory(all.into());
            (&plain, Compression::None)
        }
    };
    let mut found = None;
    let mut look = |member: &Member, unpack: &mut Unpack<'_>| {
        let after = rest.strip_prefix(member.name.as_str());
        let inner = after.and_then(|after| after.strip_prefix(MARK));
        if member.nature != Nature::File || !(after == Some("") || inner.is_some()) {
            return true;
        }
        let mut held = Held(Vec::new());
        if unpack(&mut held).is_err() {
            return true;
        }
        found = match inner {
            None => Some(held.0).filter(|data| key_of(data) == key),
            Some(inner) => search(&Bytes::Memory(Arc::from(held.0)), inner, key, budget, depth - 1),
        };
        found.is_none()
    };
    let _: std::result::Result<(), String> = walk(kind, bytes, compression, budget, &Keys::new(&[], None), &mut look);
    found
}

/// A member in memory, up to a bound.
struct Held(Vec<u8>);

impl std::io::Write for Held {
    fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
        if self.0.len() as u64 + buf.len() as u64 > IN_MEMORY {
            return Err(std::io::Error::other("too large to be held in memory"));
        }
        self.0.write(buf)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl super::Sink for Held {
    fn restart(&mut self) -> std::io::Result<()> {
        self.0.clear();
        Ok(())
    }
}
