//! A compressed capture, copied into the case while it is read: in frames, so that its packets can be read again without unpacking all that is
//! before them. What costs little to unpack is not copied.

use super::file::CAPTURE_COST;
use super::unpacked::{Unpacked, folder};
use crate::model::EvidenceKey;
use crate::sources::frames::Packer;
use crate::sources::reread::spool_of;
use crate::store::Store;
use std::io::{self, Read};

/// The copy being made; none: there is none to make, or it failed.
pub struct Spool {
    packer: Option<Packer<Unpacked>>,
    /// Why none is kept, in words.
    pub warning: Option<String>,
}

impl Spool {
    /// A copy to be made.
    pub fn new(store: &Store) -> Spool {
        let packer = Unpacked::new(store)
            .and_then(|file| Packer::new(file).map_err(|e| crate::error::Error::internal(format!("cannot set up zstd: {e}"))));
        match packer {
            Ok(packer) => Spool { packer: Some(packer), warning: None },
            Err(e) => Spool::none(Some(without(&e.what))),
        }
    }
    /// No copy.
    pub fn none(warning: Option<String>) -> Spool {
        Spool { packer: None, warning }
    }
    fn take(&mut self, data: &[u8]) {
        let Some(packer) = &mut self.packer else { return };
        if let Err(e) = packer.push(data) {
            self.packer = None;
            self.warning = Some(without(&e.to_string()));
        }
    }
    /// Keeps the copy for this evidence, if unpacking that once more would cost much.
    /// What went wrong with that, in words: the capture itself is imported all the same.
    pub fn keep(self, store: &Store, key: EvidenceKey) -> Option<String> {
        let packer = self.packer.filter(|p| p.len > CAPTURE_COST)?;
        let to = match folder(store) {
            Ok(folder) => spool_of(&folder, key),
            Err(e) => return Some(without(&e.what)),
        };
        let kept = packer.finish().and_then(|file| file.name(&to));
        kept.err().map(|e| {
            // Half a copy would be taken for one.
            let _ = std::fs::remove_file(&to);
            without(&e.to_string())
        })
    }
}

fn without(why: &str) -> String {
    format!("its packets are read again from its start: no copy was kept ({why})")
}

/// Reads through, and gives what is read to the copy.
pub struct Through<'a, R> {
    /// What is read.
    pub from: &'a mut R,
    /// The copy.
    pub spool: &'a mut Spool,
}

impl<R: Read> Read for Through<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.from.read(buf)?;
        self.spool.take(&buf[..n]);
        Ok(n)
    }
}
