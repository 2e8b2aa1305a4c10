//! Content codings of HTTP (RFC 9110, 8.4.1) undone while they pass: gzip, deflate in both its forms, br (RFC 7932), zstd (RFC 8878), and
//! several of them one in the other. Which bytes come out, and how many, the writer at the end counts and bounds.

use super::inflate::{Form, Inflate};
use brotli_decompressor::{BrotliDecoderParameter, DecompressorWriter};
use std::io::{self, Write};

/// Codings that may lie one in the other.
const MAX_CODINGS: usize = 4;
/// The largest window of zstd over HTTP is 8 MiB (RFC 9659, 3).
const ZSTD_WINDOW_LOG: u32 = 23;
/// Decoded bytes that br gives on at a time.
const BROTLI_BUFFER: usize = 4096;
/// First bytes of a zstd frame that say how large its window is.
const ZSTD_HEAD: usize = 18;

/// What is left to undo, outermost first.
pub enum Coding<W: Write> {
    /// Nothing.
    Plain(W),
    /// Deflate in a form that is known.
    Inflate(Box<Inflate<Coding<W>>>),
    /// `deflate`, of which too little has come to say which form it is.
    Deflate(Option<Box<Coding<W>>>, Vec<u8>),
    /// br, and its first byte once it has come.
    Brotli(Box<DecompressorWriter<Coding<W>>>, Option<u8>),
    /// zstd, and its first bytes.
    Zstd(Box<zstd::stream::write::Decoder<'static, Coding<W>>>, Vec<u8>),
    /// A decoder could not be made.
    None,
}

impl<W: Write> Coding<W> {
    /// The codings that a header field names, in the order in which they were applied. What is not known, as `identity`, is passed over.
    /// `Err` gives the writer back: none is known, or there are too many.
    pub fn named(names: &str, to: W) -> Result<Coding<W>, W> {
        let split = names.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')));
        let known: Vec<&str> = split.filter(|name| KNOWN.iter().any(|k| k.eq_ignore_ascii_case(name))).collect();
        if known.is_empty() || known.len() > MAX_CODINGS {
            return Err(to);
        }
        Ok(known.iter().fold(Coding::Plain(to), |inner, name| inner.within(name)))
    }
    /// This one in another.
    fn within(self, name: &str) -> Coding<W> {
        match name.to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => Coding::Inflate(Box::new(Inflate::new(Form::Gzip, self))),
            "br" => {
                let mut decoder = DecompressorWriter::new(self, BROTLI_BUFFER);
                decoder.set_parameter(BrotliDecoderParameter::BROTLI_DECODER_PARAM_LARGE_WINDOW, 0);
                Coding::Brotli(Box::new(decoder), None)
            }
            "zstd" => {
                let made =
                    zstd::stream::write::Decoder::new(self).and_then(|mut d| d.window_log_max(ZSTD_WINDOW_LOG).map(|()| d));
                made.map_or(Coding::None, |decoder| Coding::Zstd(Box::new(decoder), Vec::new()))
            }
            _ => Coding::Deflate(Some(Box::new(self)), Vec::new()),
        }
    }
    /// Nothing is to be undone.
    pub fn is_plain(&self) -> bool {
        matches!(self, Coding::Plain(_))
    }
    /// The writer at the end.
    pub fn end(&mut self) -> Option<&mut W> {
        match self {
            Coding::Plain(to) => Some(to),
            Coding::Inflate(decoder) => decoder.get_mut().end(),
            Coding::Deflate(inner, _) => inner.as_mut()?.end(),
            Coding::Brotli(decoder, _) => decoder.get_mut().end(),
            Coding::Zstd(decoder, _) => decoder.get_mut().end(),
            Coding::None => None,
        }
    }
    /// Bytes of memory for what was decoded and may be referred to, as its head says. Deflate has little and is not counted.
    pub fn held(&self) -> usize {
        match self {
            Coding::Plain(_) | Coding::None => 0,
            Coding::Inflate(decoder) => decoder.get_ref().held(),
            Coding::Deflate(inner, _) => inner.as_ref().map_or(0, |i| i.held()),
            Coding::Brotli(decoder, first) => first.map_or(0, brotli_window).saturating_add(decoder.get_ref().held()),
            Coding::Zstd(decoder, first) => zstd_window(first).saturating_add(decoder.get_ref().held()),
        }
    }
    /// Whether every coding met its end.
    pub fn ends(&mut self) -> bool {
        match self {
            Coding::Plain(_) => true,
            Coding::Inflate(decoder) => decoder.ends() && decoder.get_mut().ends(),
            Coding::Brotli(decoder, _) => decoder.close().is_ok() && decoder.get_mut().ends(),
            Coding::Zstd(decoder, _) => decoder.do_finish().is_ok() && decoder.get_mut().ends(),
            Coding::Deflate(..) | Coding::None => false,
        }
    }
}

/// Every name that is known.
const KNOWN: [&str; 6] = ["gzip", "x-gzip", "deflate", "x-deflate", "br", "zstd"];

impl<W: Write> Write for Coding<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Coding::Plain(to) => return to.write(bytes),
            Coding::Inflate(decoder) => decoder.write_all(bytes)?,
            Coding::Brotli(decoder, first) => {
                *first = first.or(bytes.first().copied());
                decoder.write_all(bytes)?;
            }
            Coding::Zstd(decoder, first) => {
                first.extend(bytes.iter().take(ZSTD_HEAD.saturating_sub(first.len())));
                decoder.write_all(bytes)?;
            }
            Coding::Deflate(inner, first) => {
                first.extend_from_slice(bytes);
                // Most is zlib's form, as RFC 9110 says, and some is bare: the first two bytes tell.
                if let [a, b, ..] = first.as_slice()
                    && let Some(inner) = inner.take()
                {
                    let zlib = a & 15 == 8 && u16::from_be_bytes([*a, *b]) % 31 == 0;
                    let mut decoder = Inflate::new(if zlib { Form::Zlib } else { Form::Raw }, *inner);
                    let done = decoder.write_all(first);
                    *self = Coding::Inflate(Box::new(decoder));
                    done?;
                }
            }
            Coding::None => return Err(io::Error::other("no decoder")),
        }
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The window of a br stream by its first byte (RFC 7932, 9.1).
fn brotli_window(first: u8) -> usize {
    let bits = match (first & 1, first >> 1 & 7, first >> 4 & 7) {
        (0, ..) => 16,
        (_, 0, 0) => 17,
        (_, 0, n) => 8 + n,
        (_, n, _) => 17 + n,
    };
    1 << bits
}

/// The window of a zstd frame by its first bytes (RFC 8878, 3.1.1.1), as far as it is accepted.
fn zstd_window(first: &[u8]) -> usize {
    let Some((flags, rest)) = first.get(4..).and_then(<[u8]>::split_first) else { return 0 };
    let most = 1u64 << ZSTD_WINDOW_LOG;
    let window = if flags & 0x20 == 0 {
        let Some(size) = rest.first() else { return 0 };
        let base = 1u64 << (10 + (size >> 3));
        base + base / 8 * u64::from(size & 7)
    } else {
        // A single segment: the window is the content.
        let (skip, length) = ([0, 1, 2, 4][usize::from(flags & 3)], [1, 2, 4, 8][usize::from(flags >> 6)]);
        let size = rest.iter().skip(skip).take(length).rev().fold(0u64, |n, b| n << 8 | u64::from(*b));
        size + if length == 2 { 256 } else { 0 }
    };
    usize::try_from(window.min(most)).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `hello\n`, 4,000 times, by the reference encoder of br.
    const BR: &[u8] = b"\x1b\xbf\x5d\xf8\x8d\x94\x6e\xde\x44\x55\x86\x96\x6c\x0a\x6f\x71\x5b\x1c\x80\xae\x0a\x20\x0e";

    fn decoded(names: &str, bytes: &[u8], size: usize) -> Option<Vec<u8>> {
        let mut coding = Coding::named(names, Vec::new()).ok()?;
        bytes.chunks(size).try_for_each(|b| coding.write_all(b)).ok()?;
        coding.ends().then(|| coding.end().cloned())?
    }

    #[test]
    fn each_coding_and_one_in_the_other_is_undone_however_it_is_cut() {
        let text = b"hello\n".repeat(4000);
        let zstd = zstd::bulk::compress(&text, 3).unwrap();
        let gzip = |bytes: &[u8]| {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        };
        let zlib = |bytes: &[u8]| {
            let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        };
        for size in [1, 5, 100_000] {
            assert_eq!(decoded("BR", BR, size).as_ref(), Some(&text), "{size}");
            assert_eq!(decoded("zstd", &zstd, size).as_ref(), Some(&text), "{size}");
            assert_eq!(decoded("x-gzip", &gzip(&text), size).as_ref(), Some(&text), "{size}");
            assert_eq!(decoded("identity, deflate\0", &zlib(&text), size).as_ref(), Some(&text), "{size}");
            assert_eq!(decoded("zstd, gzip,deflate", &zlib(&gzip(&zstd)), size).as_ref(), Some(&text), "{size}");
        }
        for (name, bytes) in [("br", BR), ("zstd", &zstd[..])] {
            assert_eq!(decoded(name, &bytes[..bytes.len() - 1], 3), None, "{name}: cut");
            assert_eq!(decoded(name, &text, 3), None, "{name}: another");
        }
        assert!(Coding::named("identity", Vec::new()).is_err() && Coding::named("gzip,".repeat(9).as_str(), Vec::new()).is_err());
    }

    #[test]
    fn windows_are_those_that_heads_state() {
        assert_eq!([0x0c, 0x01, 0x21, 0x0f, 0x71].map(brotli_window), [1 << 16, 1 << 17, 1 << 10, 1 << 24, 1 << 15]);
        assert_eq!(zstd_window(&[0x28, 0xb5, 0x2f, 0xfd, 0, 0x58]), 2 << 20);
        assert_eq!(zstd_window(&[0x28, 0xb5, 0x2f, 0xfd, 0x60, 1, 1]), 513);
        assert_eq!(zstd_window(&[0x28, 0xb5, 0x2f, 0xfd, 0, 0xff]), 8 << 20);
        assert_eq!(zstd_window(b"\x28\xb5"), 0);
        // A window beyond what is accepted is refused before its memory is taken.
        let mut coding = Coding::named("zstd", Vec::new()).ok().unwrap();
        assert!(coding.write_all(&[0x28, 0xb5, 0x2f, 0xfd, 0, 0xff, 1, 0, 0]).is_err());
        let mut coding = Coding::named("br", Vec::new()).ok().unwrap();
        assert!(coding.write_all(&[0x11, 0x1e, 0, 0, 0, 0, 0]).is_err());
    }
}
