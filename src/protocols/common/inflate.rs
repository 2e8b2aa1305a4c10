//! The three forms of deflate (RFC 1951) that HTTP carries, undone as browsers do: bare, as zlib (RFC 1950), as gzip (RFC 1952).
//!
//! More lenient than the libraries: of a head only what must be known is read (its own sum and reserved flags are passed over), the sums
//! behind the content are not checked and may be missing, what stands behind the last member is not of it. A client that shows such a file
//! has got it, so that it is a file here too.

use flate2::{Decompress, FlushDecompress, Status};
use std::io::{self, Write};

/// Longest head of a gzip member.
const MAX_HEAD: usize = 64 * 1024;

/// What stands around the content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Nothing.
    Raw,
    /// Two bytes before, four behind.
    Zlib,
    /// A head before, eight bytes behind; members may follow each other.
    Gzip,
}

enum Place {
    /// Before the content: what has come of the head.
    Head(Vec<u8>),
    Content,
    /// Behind it: bytes that are left.
    Behind(usize),
}

/// See the module.
pub struct Inflate<W> {
    form: Form,
    place: Place,
    state: Decompress,
    /// Members that ended.
    members: u64,
    to: W,
}

impl<W: Write> Inflate<W> {
    /// Gives what is decoded to a writer.
    pub fn new(form: Form, to: W) -> Inflate<W> {
        Inflate { form, place: Place::Head(Vec::new()), state: Decompress::new(false), members: 0, to }
    }
    /// The writer.
    pub fn get_ref(&self) -> &W {
        &self.to
    }
    /// The writer.
    pub fn get_mut(&mut self) -> &mut W {
        &mut self.to
    }
    /// Whether the content may end here.
    pub fn ends(&self) -> bool {
        match &self.place {
            Place::Head(head) => self.members > 0 && head.is_empty(),
            Place::Content => false,
            Place::Behind(_) => true,
        }
    }
    fn content(&mut self, mut bytes: &[u8]) -> io::Result<usize> {
        let (length, mut room) = (bytes.len(), [0; 8192]);
        loop {
            let (read, made) = (self.state.total_in(), self.state.total_out());
            let status = self.state.decompress(bytes, &mut room, FlushDecompress::None).map_err(io::Error::other)?;
            let read = usize::try_from(self.state.total_in().saturating_sub(read)).unwrap_or(usize::MAX);
            let made = usize::try_from(self.state.total_out().saturating_sub(made)).unwrap_or(usize::MAX);
            bytes = bytes.get(read..).unwrap_or_default();
            self.to.write_all(room.get(..made).unwrap_or_default())?;
            if status == Status::StreamEnd {
                let behind = match self.form {
                    Form::Raw => 0,
                    Form::Zlib => 4,
                    Form::Gzip => 8,
                };
                self.place = Place::Behind(behind);
                self.members = self.members.saturating_add(1);
                return Ok(length.saturating_sub(bytes.len()));
            }
            if made < room.len() && (bytes.is_empty() || read == 0) {
                return if bytes.is_empty() { Ok(length) } else { Err(io::Error::other("no progress")) };
            }
        }
    }
}

impl<W: Write> Write for Inflate<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut rest = bytes;
        while !rest.is_empty() {
            match &mut self.place {
                Place::Head(head) => match self.form {
                    Form::Raw => self.place = Place::Content,
                    Form::Zlib if head.len() < 2 => {
                        head.extend(rest.iter().take(1));
                        rest = rest.get(1..).unwrap_or_default();
                    }
                    Form::Zlib => self.place = Place::Content,
                    Form::Gzip => {
                        let before = head.len();
                        head.extend(rest.iter().take(MAX_HEAD.saturating_sub(before)));
                        match gzip_head(head) {
                            Ok(Some(length)) => {
                                rest = rest.get(length.saturating_sub(before)..).unwrap_or_default();
                                self.place = Place::Content;
                            }
                            Ok(None) if head.len() < MAX_HEAD => rest = &[],
                            // Behind a member stands something else.
                            Err(()) if self.members > 0 => {
                                (self.place, rest) = (Place::Behind(usize::MAX), &[]);
                            }
                            Ok(None) | Err(()) => return Err(io::Error::other("no gzip")),
                        }
                    }
                },
                Place::Content => {
                    let used = self.content(rest)?;
                    rest = rest.get(used..).unwrap_or_default();
                }
                Place::Behind(0) if self.form == Form::Gzip => {
                    self.state.reset(false);
                    self.place = Place::Head(Vec::new());
                }
                Place::Behind(0) => rest = &[],
                Place::Behind(left) => {
                    let now = rest.len().min(*left);
                    *left = left.saturating_sub(now);
                    rest = rest.get(now..).unwrap_or_default();
                }
            }
        }
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// The length of a gzip member's head (RFC 1952, 2.3); `None`: more of it must come. An error: it is none.
fn gzip_head(bytes: &[u8]) -> Result<Option<usize>, ()> {
    const MAGIC: [u8; 3] = [0x1f, 0x8b, 8];
    if MAGIC.iter().zip(bytes).any(|(a, b)| a != b) {
        return Err(());
    }
    let known = |flag: u8| bytes.get(3).is_some_and(|flags| flags & flag != 0);
    let mut at = 10usize;
    if known(4) {
        let Some(length) = bytes.get(at..at + 2) else { return Ok(None) };
        at += 2 + length.iter().rev().fold(0, |n, b| n << 8 | usize::from(*b));
    }
    for name in [8, 16] {
        if known(name) {
            let Some(end) = bytes.get(at..).and_then(|b| memchr::memchr(0, b)) else { return Ok(None) };
            at += end + 1;
        }
    }
    at += 2 * usize::from(known(2));
    Ok((bytes.len() >= at).then_some(at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;

    fn deflated(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }
    fn gzipped(flags: u8, head: &[u8], text: &[u8]) -> Vec<u8> {
        [&[0x1f, 0x8b, 8, flags, 0, 0, 0, 0, 0, 3], head, &deflated(text), &[0; 8]].concat()
    }
    fn inflated(form: Form, bytes: &[u8], size: usize) -> (io::Result<()>, Vec<u8>, bool) {
        let mut decoder = Inflate::new(form, Vec::new());
        let done = bytes.chunks(size).try_for_each(|b| decoder.write_all(b));
        (done, decoder.get_mut().clone(), decoder.ends())
    }

    #[test]
    fn heads_of_every_kind_are_passed_over_however_they_are_cut() {
        let text = b"hello, hello, hello".repeat(9000);
        let heads: [(u8, &[u8]); 6] =
            [(0, b""), (2, b"\0\0"), (4, b"\x03\0abc"), (8, b"name\0"), (0xf0, b"comment\0"), (0x1f, b"\x01\0an\0c\0\0\0")];
        for (flags, head) in heads {
            let bytes = [gzipped(flags, head, &text), gzipped(0, b"", b"more"), b"junk".to_vec()].concat();
            for size in [1, 7, bytes.len()] {
                let (done, out, ends) = inflated(Form::Gzip, &bytes, size);
                assert!(done.is_ok() && ends && out == [&text[..], b"more"].concat(), "{flags} {size}");
            }
        }
        for size in [1, 64] {
            let (done, out, ends) = inflated(Form::Raw, &deflated(b"abc"), size);
            assert!(done.is_ok() && ends && out == b"abc");
            let (done, out, ends) = inflated(Form::Zlib, &[&[0x78, 0x9c], &deflated(b"abc")[..]].concat(), size);
            assert!(done.is_ok() && ends && out == b"abc");
        }
    }

    #[test]
    fn what_is_none_is_refused_and_what_is_cut_does_not_end() {
        for bytes in [&b"X5O!"[..], b"\x1f\x8c", b"\x1f\x8b\x08\0\0\0\0\0\0\x03\x07\xff\xff"] {
            assert!(inflated(Form::Gzip, bytes, 1).0.is_err());
        }
        let bytes = gzipped(0, b"", b"abc");
        for cut in 1..bytes.len() - 8 {
            let (done, _, ends) = inflated(Form::Gzip, &bytes[..cut], 3);
            assert!(done.is_ok() && !ends, "{cut}");
        }
        // Without its sums it is whole to a browser.
        assert!(inflated(Form::Gzip, &bytes[..bytes.len() - 8], 3).2);
        let long = [&[0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 3][..], &[b'a'; MAX_HEAD]].concat();
        assert!(inflated(Form::Gzip, &long, 1000).0.is_err());
    }
}
