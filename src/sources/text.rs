//! A text that a person hands over as a whole: a report, a list. Compressed or not, UTF-8 or UTF-16, bounded.

use super::Compression;
use crate::error::{Error, Result};
use std::io::Read;
use std::path::Path;

/// Most bytes of a text, uncompressed.
pub const MOST: u64 = 64 << 20;

/// A text as it was read.
#[derive(Debug, Clone, Default)]
pub struct Text {
    /// The text; bytes that are no characters are replaced.
    pub text: String,
    /// It was longer than [`MOST`]; the rest was not read.
    pub cut: bool,
}

/// Reads a file, or standard input for `-`.
pub fn read(path: &Path) -> Result<Text> {
    let io = |e: std::io::Error| Error::io("cannot read", path, &e);
    if path == Path::new("-") {
        return decode(&mut std::io::stdin().lock(), MOST).map_err(io);
    }
    let mut file = std::fs::File::open(path).map_err(io)?;
    let mut head = [0; 8];
    let mut n = 0;
    while n < head.len() {
        match file.read(&mut head[n..]).map_err(io)? {
            0 => break,
            more => n += more,
        }
    }
    let whole = std::io::Cursor::new(head[..n].to_vec()).chain(file);
    decode(&mut Compression::of(&head[..n]).reader(whole).map_err(io)?, MOST).map_err(io)
}

fn decode(input: &mut dyn Read, most: u64) -> std::io::Result<Text> {
    let mut bytes = Vec::new();
    input.take(most + 1).read_to_end(&mut bytes)?;
    let cut = bytes.len() as u64 > most;
    bytes.truncate(most as usize);
    let wide = |pair: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = bytes[2..].chunks_exact(2).map(|c| pair([c[0], c[1]])).collect();
        String::from_utf16_lossy(&units)
    };
    let text = match bytes.first_chunk::<2>() {
        Some([0xff, 0xfe]) => wide(u16::from_le_bytes),
        Some([0xfe, 0xff]) => wide(u16::from_be_bytes),
        _ => match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(e) => String::from_utf8_lossy(e.as_bytes()).into_owned(),
        },
    };
    Ok(Text { text, cut })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_in_either_width_and_no_further_than_the_most() {
        let wide: Vec<u8> = [0xff, 0xfe].into_iter().chain("hé".encode_utf16().flat_map(u16::to_le_bytes)).collect();
        assert_eq!(decode(&mut &wide[..], 100).unwrap().text, "hé");
        let broken = decode(&mut &b"a\xffb"[..], 100).unwrap();
        assert_eq!((broken.text.as_str(), broken.cut), ("a\u{fffd}b", false));
        let cut = decode(&mut &b"abcdef"[..], 3).unwrap();
        assert_eq!((cut.text.as_str(), cut.cut), ("abc", true));
    }
}
