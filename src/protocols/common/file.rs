//! A file that a protocol carries: hashed while it passes. Nothing of it is kept but its first bytes to tell its type, unless somebody asks
//! for the files themselves ([`super::keep`]): then the bytes that are hashed are given to them, decoded.

use super::fields::Fields;
use super::keep::{Keeping, Kept};
use crate::model::field;
use crate::model::hex::hex;
use flate2::write::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use sha1::Digest as _;
use std::io::{self, Write};

/// First bytes kept to tell the type.
const HEAD: usize = 64;
/// A compressed body may grow to this, or to [`MAX_RATIO`] times what came, whichever is more: beyond it the rest is not decoded.
const FREE_DECODED: u64 = 8 << 20;
/// See [`FREE_DECODED`].
const MAX_RATIO: u64 = 100;

/// Sums over the bytes of a file.
#[derive(Default)]
struct Sums {
    md5: md5::Md5,
    sha1: sha1::Sha1,
    sha256: sha2::Sha256,
    head: Vec<u8>,
    size: u64,
    /// Where the next byte stands in the file.
    at: u64,
    /// Bytes that came, where they are decoded: bounds the size.
    came: Option<u64>,
    kept: Option<Box<dyn Kept>>,
}

impl Write for Sums {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.head.len() < HEAD {
            self.head.extend(bytes.iter().take(HEAD.saturating_sub(self.head.len())));
        }
        self.md5.update(bytes);
        self.sha1.update(bytes);
        self.sha256.update(bytes);
        self.size = self.size.saturating_add(bytes.len() as u64);
        if let Some(kept) = &mut self.kept {
            kept.put(self.at, bytes);
        }
        self.at = self.at.saturating_add(bytes.len() as u64);
        let bound = self.came.map_or(u64::MAX, |came| came.saturating_mul(MAX_RATIO).max(FREE_DECODED));
        if self.size > bound { Err(io::Error::other("too long")) } else { Ok(bytes.len()) }
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

enum Coding {
    Plain(Box<Sums>),
    Gzip(Box<MultiGzDecoder<Sums>>),
    /// `deflate` of HTTP, of which too little has come to say which it is.
    Deflate(Box<Sums>, Vec<u8>),
    Zlib(Box<ZlibDecoder<Sums>>),
    Raw(Box<DeflateDecoder<Sums>>),
}

impl Coding {
    fn is_plain(&self) -> bool {
        matches!(self, Coding::Plain(_))
    }
    fn sums(&mut self) -> &mut Sums {
        match self {
            Coding::Plain(sums) | Coding::Deflate(sums, _) => sums,
            Coding::Gzip(decoder) => decoder.get_mut(),
            Coding::Zlib(decoder) => decoder.get_mut(),
            Coding::Raw(decoder) => decoder.get_mut(),
        }
    }
    /// Of what is called `deflate` most is zlib's form (RFC 1950), as RFC 9110 says, and some is bare (RFC 1951): the first two bytes tell.
    fn settle(&mut self) {
        let Coding::Deflate(sums, first) = self else { return };
        let [a, b, ..] = first.as_slice() else { return };
        let zlib = a & 15 == 8 && u16::from_be_bytes([*a, *b]) % 31 == 0;
        let sums = std::mem::take(&mut **sums);
        *self =
            if zlib { Coding::Zlib(Box::new(ZlibDecoder::new(sums))) } else { Coding::Raw(Box::new(DeflateDecoder::new(sums))) };
    }
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Coding::Plain(sums) => sums.write_all(bytes),
            Coding::Gzip(decoder) => decoder.write_all(bytes),
            Coding::Zlib(decoder) => decoder.write_all(bytes),
            Coding::Raw(decoder) => decoder.write_all(bytes),
            Coding::Deflate(_, first) => {
                first.extend_from_slice(bytes);
                let all = first.clone();
                self.settle();
                if matches!(self, Coding::Deflate(..)) { Ok(()) } else { self.write(&all) }
            }
        }
    }
    /// The end of the coding was met.
    fn ends(&mut self) -> bool {
        match self {
            Coding::Plain(_) => true,
            Coding::Gzip(decoder) => decoder.try_finish().is_ok(),
            Coding::Zlib(decoder) => decoder.try_finish().is_ok(),
            Coding::Raw(decoder) => decoder.try_finish().is_ok(),
            Coding::Deflate(..) => false,
        }
    }
}

/// A file on its way.
pub struct Passing {
    coding: Coding,
    gone: bool,
    broken: bool,
    /// Length that the protocol stated, as it is hashed.
    stated: Option<u64>,
}

impl Passing {
    fn of(keeping: &Keeping, coding: impl FnOnce(Sums) -> Coding) -> Passing {
        let sums = Sums { kept: keeping.begin(), ..Sums::default() };
        Passing { coding: coding(sums), gone: false, broken: false, stated: None }
    }
    /// A file whose bytes come as they are.
    pub fn plain(keeping: &Keeping) -> Passing {
        Passing::of(keeping, |sums| Coding::Plain(Box::new(sums)))
    }
    /// A file that comes as gzip and is hashed as decoded.
    pub fn gzip(keeping: &Keeping) -> Passing {
        Passing::of(keeping, |sums| Coding::Gzip(Box::new(MultiGzDecoder::new(sums))))
    }
    /// A file in a content coding of HTTP (RFC 9110, 8.4.1); `None`: it is one that is not undone, and hashed as it comes.
    pub fn coded(keeping: &Keeping, coding: &str) -> Option<Passing> {
        match coding.trim().to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => Some(Passing::gzip(keeping)),
            "deflate" => Some(Passing::of(keeping, |sums| Coding::Deflate(Box::new(sums), Vec::new()))),
            _ => None,
        }
    }
    /// The protocol states how long the file is; of one that comes coded that says nothing.
    pub fn state(&mut self, length: u64) {
        if self.coding.is_plain() {
            self.stated = Some(length);
        }
    }
    /// Takes more bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.broken {
            return;
        }
        // Only a decoder can make more of it than was captured: plain bytes have no bound.
        if !self.coding.is_plain() {
            let came = &mut self.coding.sums().came;
            *came = Some(came.unwrap_or(0).saturating_add(bytes.len() as u64));
        }
        self.broken = self.coding.write(bytes).is_err();
    }
    /// So many bytes are missing: there will be no hashes.
    pub fn miss(&mut self, missing: u64) {
        self.gone = true;
        match &mut self.coding {
            Coding::Plain(sums) => sums.at = sums.at.saturating_add(missing),
            _ => self.broken = true,
        }
    }
    /// Bytes that stand elsewhere in the file than where it has come to: kept if somebody keeps it, never hashed.
    pub fn put(&mut self, offset: u64, bytes: &[u8]) {
        self.gone = true;
        if let Coding::Plain(sums) = &mut self.coding {
            sums.size = sums.size.saturating_add(bytes.len() as u64);
            if let Some(kept) = &mut sums.kept {
                kept.put(offset, bytes);
            }
        }
    }
    /// Whether a compressed body could not be decoded to its end (asked after the last byte).
    pub fn is_broken(&self) -> bool {
        self.broken
    }
    /// Adds size, type and, if no byte was missing, hashes. `whole`: the protocol said that the body ended here.
    pub fn finish(mut self, whole: bool, out: &mut Fields) -> bool {
        self.broken |= whole && !self.coding.ends();
        let mut sums = std::mem::take(self.coding.sums());
        let sound = whole && !self.gone && !self.broken;
        if let Some(mut kept) = sums.kept.take() {
            out.keep(kept.number());
            kept.end(self.stated.unwrap_or(sums.at), sound);
        }
        out.add(field::FILE_SIZE, sums.size);
        out.text(field::FILE_TYPE, magic(&sums.head).unwrap_or_default());
        if sound {
            out.text(field::MD5, &hex(&sums.md5.finalize()));
            out.text(field::SHA1, &hex(&sums.sha1.finalize()));
            out.text(field::SHA256, &hex(&sums.sha256.finalize()));
        }
        !self.broken
    }
}

const MAGIC: &[(usize, &[u8], &str)] = &[
    (0, b"MZ", "application/x-dosexec"),
    (0, b"\x7fELF", "application/x-executable"),
    (0, b"\xcf\xfa\xed\xfe", "application/x-mach-o-executable"),
    (0, b"\xca\xfe\xba\xbe", "application/java-vm"),
    (0, b"PK\x03\x04", "application/zip"),
    (0, b"Rar!\x1a\x07", "application/x-rar"),
    (0, b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (0, b"\x1f\x8b", "application/gzip"),
    (0, b"BZh", "application/x-bzip2"),
    (0, b"\xfd7zXZ\0", "application/x-xz"),
    (0, b"\x28\xb5\x2f\xfd", "application/zstd"),
    (0, b"MSCF", "application/vnd.ms-cab-compressed"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage"),
    (0, b"%PDF-", "application/pdf"),
    (0, b"{\\rtf", "text/rtf"),
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF8", "image/gif"),
    (0, b"BM", "image/bmp"),
    (0, b"\0\0\x01\0", "image/x-icon"),
    (8, b"WEBP", "image/webp"),
    (8, b"WAVE", "audio/x-wav"),
    (0, b"OggS", "application/ogg"),
    (0, b"ID3", "audio/mpeg"),
    (4, b"ftyp", "video/mp4"),
    (0, b"CWS", "application/x-shockwave-flash"),
    (0, b"FWS", "application/x-shockwave-flash"),
    (0, b"wOFF", "font/woff"),
    (0, b"wOF2", "font/woff2"),
    (0, b"L\0\0\0\x01\x14\x02\0", "application/x-ms-shortcut"),
    (0, b"\x30\x82", "application/pkix-cert"),
    (0, b"#!", "text/x-shellscript"),
    (0, b"<?xml", "application/xml"),
    (0, b"<?php", "text/x-php"),
    (0, b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR", "application/x-eicar"),
];

/// The type of a file by its first bytes; `text/html`, `application/json` and `text/plain` by guess.
pub fn magic(head: &[u8]) -> Option<&'static str> {
    let found = MAGIC.iter().find(|(at, bytes, _)| head.get(*at..).is_some_and(|h| h.starts_with(bytes)));
    if let Some((_, _, name)) = found {
        return Some(name);
    }
    if head.is_empty() {
        return None;
    }
    let trimmed = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    let starts = |with: &str| trimmed.get(..with.len()).is_some_and(|t| t.eq_ignore_ascii_case(with.as_bytes()));
    if ["<!doctype html", "<html", "<head", "<body", "<script"].iter().any(|t| starts(t)) {
        return Some("text/html");
    }
    let texty = head.iter().all(|b| matches!(b, 9..=13 | 27 | 32..=126 | 128..));
    if texty && matches!(trimmed.first(), Some(b'{' | b'[')) {
        return Some("application/json");
    }
    (texty && std::str::from_utf8(head).map_or_else(|e| e.error_len().is_none(), |_| true)).then_some("text/plain")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(passing: Passing, whole: bool) -> Vec<String> {
        let mut out = Fields::default();
        passing.finish(whole, &mut out);
        out.sorted().into_iter().map(|(f, v)| format!("{}={v}", field::name(f))).collect()
    }

    #[test]
    fn a_whole_file_has_its_three_hashes() {
        let mut p = Passing::plain(&Keeping::default());
        p.push(b"a");
        p.push(b"bc");
        let got = fields(p, true).join(" ");
        assert!(got.contains("file.size=3 file.type=text/plain md5=900150983cd24fb0d6963f7d28e17f72"), "{got}");
        assert!(got.contains("sha1=a9993e364706816aba3e25717850c26c9cd0d89d"), "{got}");
        assert!(got.contains("sha256=ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"), "{got}");
    }

    #[test]
    fn a_file_with_a_hole_has_no_hash() {
        let mut p = Passing::plain(&Keeping::default());
        p.push(b"a");
        p.miss(1);
        p.push(b"c");
        assert_eq!(fields(p, true), ["file.size=2", "file.type=text/plain"]);
    }

    #[test]
    fn gzip_is_hashed_as_decoded_and_a_broken_one_says_so() {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(b"abc").unwrap();
        let bytes = encoder.finish().unwrap();
        let mut p = Passing::gzip(&Keeping::default());
        bytes.iter().for_each(|b| p.push(&[*b]));
        assert!(fields(p, true).contains(&"md5=900150983cd24fb0d6963f7d28e17f72".to_owned()));
        let mut p = Passing::gzip(&Keeping::default());
        p.push(b"not gzip");
        assert!(!p.finish(true, &mut Fields::default()));
    }

    #[test]
    fn deflate_is_decoded_in_either_of_its_forms() {
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        zlib.write_all(b"abc").unwrap();
        let mut raw = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
        raw.write_all(b"abc").unwrap();
        for bytes in [zlib.finish().unwrap(), raw.finish().unwrap()] {
            let mut p = Passing::coded(&Keeping::default(), " Deflate").unwrap();
            bytes.iter().for_each(|b| p.push(&[*b]));
            assert!(fields(p, true).contains(&"md5=900150983cd24fb0d6963f7d28e17f72".to_owned()));
        }
        let mut p = Passing::coded(&Keeping::default(), "deflate").unwrap();
        p.push(b"x");
        assert!(!p.finish(true, &mut Fields::default()));
        assert!(Passing::coded(&Keeping::default(), "br").is_none());
    }

    #[test]
    fn a_bomb_is_not_decoded_to_its_end() {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        (0..64).for_each(|_| encoder.write_all(&[0; 1 << 20]).unwrap());
        let bytes = encoder.finish().unwrap();
        let mut p = Passing::gzip(&Keeping::default());
        p.push(&bytes);
        assert!(p.is_broken());
    }

    #[test]
    fn types_are_told_by_content() {
        assert_eq!(magic(b"MZ\x90\0"), Some("application/x-dosexec"));
        assert_eq!(magic(b"  <HTML><head>"), Some("text/html"));
        assert_eq!(magic(b"{\"a\":1}"), Some("application/json"));
        assert_eq!(magic(b"\0\x01\x02"), None);
    }
}
