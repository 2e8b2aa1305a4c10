//! A file that a protocol carries: hashed while it passes. Nothing of it is kept but its first bytes to tell its type, unless somebody asks
//! for the files themselves ([`super::keep`]): then the bytes that are hashed are given to them, decoded.

use super::coding::Coding;
use super::fields::Fields;
use super::keep::{Keeping, Kept};
use crate::model::field;
use crate::model::hex::hex;
use sha1::Digest as _;
use std::io::{self, Write};

/// First bytes kept to tell the type.
const HEAD: usize = 64;
/// A compressed body may grow to this, or to [`MAX_RATIO`] times what came, whichever is more: beyond it the rest is not decoded.
const FREE_DECODED: u64 = 8 << 20;
/// See [`FREE_DECODED`].
const MAX_RATIO: u64 = 100;
/// Bytes of a coded body that are kept until something is decoded.
const MAX_RAW: usize = 4096;

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

/// A file on its way.
pub struct Passing {
    coding: Coding<Sums>,
    gone: bool,
    /// The coding could not be undone.
    broken: bool,
    /// Its memory was let go: what comes now is passed over.
    let_go: bool,
    /// What came coded, while nothing of it is decoded: it may not be coded at all.
    raw: Option<Vec<u8>>,
    /// Length that the protocol stated, as it comes.
    stated: Option<u64>,
}

impl Passing {
    /// A file whose bytes come as they are.
    pub fn plain(keeping: &Keeping) -> Passing {
        let sums = Sums { kept: keeping.begin(), ..Sums::default() };
        Passing { coding: Coding::Plain(sums), gone: false, broken: false, let_go: false, raw: None, stated: None }
    }
    /// A file in content codings of HTTP (RFC 9110, 8.4.1), hashed as decoded; `None`: they are none that are undone, and it is hashed as it
    /// comes. What turns out not to be in that coding is hashed as it came.
    pub fn coded(keeping: &Keeping, codings: &str) -> Option<Passing> {
        let sums = Sums { came: Some(0), ..Sums::default() };
        let mut coding = Coding::named(codings, sums).ok()?;
        coding.end()?.kept = keeping.begin();
        Some(Passing { coding, gone: false, broken: false, let_go: false, raw: Some(Vec::new()), stated: None })
    }
    /// The protocol states how long the file is; of one that comes coded that says nothing.
    pub fn state(&mut self, length: u64) {
        self.stated = Some(length);
    }
    /// Takes more bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.let_go || (self.broken && !self.coding.is_plain()) {
            return;
        }
        // Only a decoder can make more of it than was captured: plain bytes have no bound.
        if let Some(came) = self.coding.end().and_then(|sums| sums.came.as_mut()) {
            *came = came.saturating_add(bytes.len() as u64);
        }
        let failed = self.coding.write_all(bytes).is_err();
        if let Some(raw) = &mut self.raw {
            let decoded = self.coding.end().is_none_or(|sums| sums.size > 0);
            if decoded || raw.len().saturating_add(bytes.len()) > MAX_RAW {
                self.raw = None;
            } else {
                raw.extend_from_slice(bytes);
            }
        }
        if failed {
            self.broken = true;
            self.as_it_came();
        }
    }
    /// Of what is in no coding though it was said to be: takes it as it came, if that is still known.
    fn as_it_came(&mut self) {
        let Some(raw) = self.raw.take().filter(|raw| !raw.is_empty()) else { return };
        let Some(sums) = self.coding.end().map(std::mem::take) else { return };
        self.coding = Coding::Plain(Sums { came: None, ..sums });
        let _ = self.coding.write_all(&raw);
    }
    /// So many bytes are missing: there will be no hashes.
    pub fn miss(&mut self, missing: u64) {
        self.gone = true;
        match &mut self.coding {
            Coding::Plain(sums) => sums.at = sums.at.saturating_add(missing),
            _ => self.broken = true,
        }
        self.raw = None;
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
    /// Bytes of memory that undoing its coding takes, where they are many.
    pub fn held(&self) -> usize {
        self.coding.held()
    }
    /// Lets go that memory: the rest is not decoded, and there will be no hash.
    pub fn relieve(&mut self) {
        if self.held() > 0 {
            let sums = self.coding.end().map(std::mem::take).unwrap_or_default();
            (self.coding, self.raw) = (Coding::Plain(sums), None);
            (self.broken, self.gone, self.let_go) = (true, true, true);
        }
    }
    /// Adds size, type and, if no byte was missing, hashes. `whole`: the protocol said that the body ended here. Returns whether its coding
    /// was undone, if it had one.
    pub fn finish(mut self, whole: bool, out: &mut Fields) -> bool {
        if whole && !self.broken && !self.coding.ends() {
            self.broken = true;
            self.as_it_came();
        }
        let plain = self.coding.is_plain();
        let mut sums = self.coding.end().map(std::mem::take).unwrap_or_default();
        let sound = whole && !self.gone && (plain || !self.broken);
        if let Some(mut kept) = sums.kept.take() {
            out.keep(kept.number());
            kept.end(self.stated.filter(|_| plain).unwrap_or(sums.at), sound);
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
        let mut p = Passing::coded(&Keeping::default(), "gzip").unwrap();
        bytes.iter().for_each(|b| p.push(&[*b]));
        assert!(fields(p, true).contains(&"md5=900150983cd24fb0d6963f7d28e17f72".to_owned()));
        let mut p = Passing::coded(&Keeping::default(), "gzip").unwrap();
        p.push(&bytes[..bytes.len() - 9]);
        let mut out = Fields::default();
        assert!(!p.finish(true, &mut out) && !out.has(field::MD5));
    }

    #[test]
    fn what_is_not_in_the_coding_it_is_said_to_be_in_is_hashed_as_it_came() {
        for coding in ["gzip", "deflate", "br", "zstd", "gzip, deflate"] {
            for size in [1, 4] {
                let mut p = Passing::coded(&Keeping::default(), coding).unwrap();
                p.state(18);
                b"X5O! P%@AP[4 [PZX5".chunks(size).for_each(|b| p.push(b));
                let mut out = Fields::default();
                assert!(!p.finish(true, &mut out), "{coding}");
                let sorted = out.sorted();
                let has = |f, text: &str| sorted.iter().any(|(g, v)| *g == f && v.to_string() == text);
                assert!(has(field::FILE_SIZE, "18") && has(field::MD5, "d5ae1de1f441a5ee672d24ad9e1af4bc"), "{coding} {size}");
            }
        }
    }

    #[test]
    fn a_window_is_counted_until_it_is_let_go() {
        for (coding, bytes) in [("zstd", zstd::bulk::compress(&[7; 100_000], 3).unwrap()), ("br", vec![0x0f, 0, 0])] {
            let mut p = Passing::coded(&Keeping::default(), coding).unwrap();
            assert_eq!(p.held(), 0);
            p.push(&bytes[..2]);
            p.push(&bytes[2..bytes.len() - 1]);
            assert!(p.held() >= 100_000, "{coding}: {}", p.held());
            p.relieve();
            assert_eq!(p.held(), 0);
            p.push(&bytes[bytes.len() - 1..]);
            let mut out = Fields::default();
            assert!(!p.finish(true, &mut out) && !out.has(field::MD5));
        }
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
        assert!(Passing::coded(&Keeping::default(), "identity").is_none());
    }

    #[test]
    fn a_bomb_is_not_decoded_to_its_end() {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        (0..64).for_each(|_| encoder.write_all(&[0; 1 << 20]).unwrap());
        let gzip = encoder.finish().unwrap();
        let zstd = zstd::bulk::compress(&vec![0; 64 << 20], 1).unwrap();
        for (coding, bytes) in [("gzip", gzip), ("zstd", zstd)] {
            let mut p = Passing::coded(&Keeping::default(), coding).unwrap();
            p.push(&bytes);
            assert!(p.broken && p.coding.end().unwrap().size < 9 << 20, "{coding}");
        }
    }

    #[test]
    fn types_are_told_by_content() {
        assert_eq!(magic(b"MZ\x90\0"), Some("application/x-dosexec"));
        assert_eq!(magic(b"  <HTML><head>"), Some("text/html"));
        assert_eq!(magic(b"{\"a\":1}"), Some("application/json"));
        assert_eq!(magic(b"\0\x01\x02"), None);
    }
}
