//! Compression, recognised by magic bytes: gzip (RFC 1952, members concatenated), zstd (RFC 8878), xz, bzip2, lz4 frames. What is UTF-16 inside
//! is read as UTF-8: offsets count the bytes of that, as they count uncompressed ones.

use super::wide::{Narrow, Wide};
use std::io::{self, BufReader, Read};

/// How a file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip.
    Gzip,
    /// Zstandard.
    Zstd,
    /// xz.
    Xz,
    /// bzip2.
    Bzip2,
    /// LZ4 frame.
    Lz4,
    /// UTF-16 text, not compressed or compressed so.
    Wide(Wide, &'static Compression),
}

/// How each is written down.
const NAMES: [(Compression, &str); 18] = {
    use Compression::{Bzip2, Gzip, Lz4, None as Plain, Wide as Text, Xz, Zstd};
    use Wide::{Big, Little};
    [
        (Plain, ""),
        (Gzip, "gz"),
        (Zstd, "zst"),
        (Xz, "xz"),
        (Bzip2, "bz2"),
        (Lz4, "lz4"),
        (Text(Little, &Plain), "utf-16le"),
        (Text(Little, &Gzip), "gz utf-16le"),
        (Text(Little, &Zstd), "zst utf-16le"),
        (Text(Little, &Xz), "xz utf-16le"),
        (Text(Little, &Bzip2), "bz2 utf-16le"),
        (Text(Little, &Lz4), "lz4 utf-16le"),
        (Text(Big, &Plain), "utf-16be"),
        (Text(Big, &Gzip), "gz utf-16be"),
        (Text(Big, &Zstd), "zst utf-16be"),
        (Text(Big, &Xz), "xz utf-16be"),
        (Text(Big, &Bzip2), "bz2 utf-16be"),
        (Text(Big, &Lz4), "lz4 utf-16be"),
    ]
};

impl Compression {
    /// By the first bytes of a file.
    pub fn of(head: &[u8]) -> Compression {
        match head {
            [0x1f, 0x8b, 0x08, ..] => Compression::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Compression::Zstd,
            // A skippable frame may come first; its magic differs in the low four bits only.
            [n, 0x2a, 0x4d, 0x18, ..] if n & 0xf0 == 0x50 => Compression::Zstd,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Compression::Xz,
            [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, 0x59, 0x26, 0x53, 0x59, ..] => Compression::Bzip2,
            [0x04, 0x22, 0x4d, 0x18, ..] => Compression::Lz4,
            _ => Compression::None,
        }
    }
    /// Its usual suffix, and the encoding of UTF-16 text; empty for neither.
    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(c, _)| *c == self).map_or("", |(_, name)| name)
    }
    /// The inverse of [`Compression::name`].
    pub fn parse(name: &str) -> Option<Compression> {
        NAMES.iter().find(|(_, n)| *n == name).map(|(c, _)| *c)
    }
    /// The same, of UTF-16 text.
    pub fn of_text(self, wide: Wide) -> Compression {
        let text = |c: &Compression| matches!(c, Compression::Wide(w, inner) if *w == wide && **inner == self);
        NAMES.iter().map(|(c, _)| *c).find(text).unwrap_or(self)
    }
    /// The encoding, if it is UTF-16 text.
    pub fn wide(self) -> Option<Wide> {
        if let Compression::Wide(wide, _) = self { Some(wide) } else { None }
    }
    /// A reader of the uncompressed data. Memory is bounded: xz and zstd windows above 128 MiB are refused as an I/O error.
    pub fn reader<'a>(self, input: impl Read + Send + 'a) -> io::Result<Box<dyn Read + Send + 'a>> {
        self.boxed(Box::new(input))
    }
    fn boxed<'a>(self, input: Box<dyn Read + Send + 'a>) -> io::Result<Box<dyn Read + Send + 'a>> {
        if let Compression::Wide(wide, inner) = self {
            return Ok(Box::new(Narrow::new(inner.boxed(input)?, wide)));
        }
        let input = BufReader::with_capacity(1 << 18, input);
        Ok(match self {
            Compression::None | Compression::Wide(..) => Box::new(input),
            Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(input)),
            Compression::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(input)?;
                decoder.window_log_max(27)?;
                Box::new(decoder)
            }
            Compression::Xz => {
                let stream = liblzma::stream::Stream::new_stream_decoder(128 << 20, liblzma::stream::CONCATENATED)?;
                Box::new(liblzma::bufread::XzDecoder::new_stream(input, stream))
            }
            Compression::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(input)),
            Compression::Lz4 => Box::new(lz4_flex::frame::FrameDecoder::new(input)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn packed(c: Compression, data: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        match c {
            Compression::None | Compression::Wide(..) => out.extend(data),
            Compression::Gzip => {
                let mut w = flate2::write::GzEncoder::new(&mut out, flate2::Compression::fast());
                w.write_all(data).unwrap();
                w.finish().unwrap();
            }
            Compression::Zstd => out = zstd::encode_all(data, 1).unwrap(),
            Compression::Xz => {
                let mut w = liblzma::write::XzEncoder::new(&mut out, 1);
                w.write_all(data).unwrap();
                w.finish().unwrap();
            }
            Compression::Bzip2 => {
                let mut w = bzip2::write::BzEncoder::new(&mut out, bzip2::Compression::fast());
                w.write_all(data).unwrap();
                w.finish().unwrap();
            }
            Compression::Lz4 => {
                let mut w = lz4_flex::frame::FrameEncoder::new(&mut out);
                w.write_all(data).unwrap();
                w.finish().unwrap();
            }
        }
        out
    }

    #[test]
    fn every_compression_is_recognised_by_content_and_read_back() {
        let data: Vec<u8> = (0..100_000u32).flat_map(|n| (n % 977).to_le_bytes()).collect();
        for c in [Compression::None, Compression::Gzip, Compression::Zstd, Compression::Xz, Compression::Bzip2, Compression::Lz4]
        {
            let bytes = packed(c, &data);
            assert_eq!(Compression::of(&bytes), c);
            let mut back = Vec::new();
            c.reader(&bytes[..]).unwrap().read_to_end(&mut back).unwrap();
            assert_eq!(back, data, "{c:?}");
        }
    }

    #[test]
    fn names_are_read_back_and_text_is_read_through_its_compression() {
        assert!(NAMES.iter().all(|(c, name)| c.name() == *name && Compression::parse(name) == Some(*c)));
        let bytes = packed(Compression::Gzip, b"\xff\xfeh\0\xe9\0");
        let coding = Compression::Gzip.of_text(Wide::Little);
        assert_eq!((coding.name(), coding.wide()), ("gz utf-16le", Some(Wide::Little)));
        let mut back = String::new();
        coding.reader(&bytes[..]).unwrap().read_to_string(&mut back).unwrap();
        assert_eq!(back, "h\u{e9}");
    }

    #[test]
    fn a_cut_file_gives_what_is_before_the_cut() {
        let data: Vec<u8> = (0..100_000u32).flat_map(|n| (n % 977).to_le_bytes()).collect();
        let bytes = packed(Compression::Gzip, &data);
        let mut back = Vec::new();
        let result = Compression::Gzip.reader(&bytes[..bytes.len() / 2]).unwrap().read_to_end(&mut back);
        assert!(result.is_err());
        assert!(!back.is_empty() && data.starts_with(&back));
    }
}
