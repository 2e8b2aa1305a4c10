//! UTF-16 text, as Windows writes it: recognised by its byte order mark, or where none stands by zeros in every other byte; turned into UTF-8
//! as it is read. The mark is left out; what is no character becomes U+FFFD, one for one.

use std::io::{self, Read};

/// Bytes of a text without a mark that are looked at.
const GLANCE: usize = 512;
/// Bytes that are turned at once.
const PIECE: usize = 32 << 10;

/// Byte order of UTF-16.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wide {
    /// Least significant byte first.
    Little,
    /// Most significant byte first.
    Big,
}

impl Wide {
    /// By the beginning of a file: UTF-16 beyond doubt, or none.
    pub fn of(head: &[u8]) -> Option<Wide> {
        match head {
            // UTF-32 has this mark too.
            [0xff, 0xfe, 0, 0, ..] => None,
            [0xff, 0xfe, _, _, ..] => Some(Wide::Little),
            [0xfe, 0xff, _, _, ..] => Some(Wide::Big),
            _ => {
                let start = &head[..head.len().min(GLANCE)];
                let zeros = |odd: usize| start.iter().skip(odd).step_by(2).filter(|b| **b == 0).count();
                let half = start.len() / 2;
                let wide = match (zeros(0), zeros(1)) {
                    // Few characters of any script have a zero at the other end.
                    (few, n) if half > 4 && n * 10 > half * 8 && few * 20 <= half => Wide::Little,
                    (n, few) if half > 4 && n * 10 > half * 8 && few * 20 <= half => Wide::Big,
                    _ => return None,
                };
                let text = wide.text(start);
                let is_text = text.chars().all(|c| !c.is_control() || matches!(c, '\t' | '\r' | '\n' | '\x0c' | '\x1b'));
                is_text.then_some(wide)
            }
        }
    }
    fn unit(self, pair: [u8; 2]) -> u16 {
        match self {
            Wide::Little => u16::from_le_bytes(pair),
            Wide::Big => u16::from_be_bytes(pair),
        }
    }
    /// The beginning of a text as UTF-8: its whole characters.
    pub fn text(self, head: &[u8]) -> String {
        let units = head.chunks_exact(2).map(|c| self.unit([c[0], c[1]]));
        let text: String = char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
        text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text)
    }
}

/// A reader of the same text as UTF-8.
pub struct Narrow<R> {
    from: R,
    wide: Wide,
    raw: Vec<u8>,
    /// What was turned and not yet given.
    out: Vec<u8>,
    at: usize,
    /// The first half of a character that takes two units.
    high: Option<u16>,
    begun: bool,
    over: bool,
}

impl<R: Read> Narrow<R> {
    /// Of a text from its first byte.
    pub fn new(from: R, wide: Wide) -> Narrow<R> {
        Narrow { from, wide, raw: Vec::with_capacity(PIECE), out: Vec::new(), at: 0, high: None, begun: false, over: false }
    }

    fn refill(&mut self) -> io::Result<()> {
        (self.at, self.over) = (0, false);
        self.out.clear();
        let had = self.raw.len();
        self.raw.resize(PIECE, 0);
        let read = loop {
            match self.from.read(&mut self.raw[had..]) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        let n = *read.as_ref().unwrap_or(&0);
        self.raw.truncate(had + n);
        if read? == 0 {
            self.over = true;
            // Half a unit, or half a character, is left over.
            if !self.raw.is_empty() || self.high.take().is_some() {
                self.raw.clear();
                self.put(char::REPLACEMENT_CHARACTER);
            }
            return Ok(());
        }
        let raw = std::mem::take(&mut self.raw);
        for pair in raw.chunks_exact(2) {
            self.take(self.wide.unit([pair[0], pair[1]]));
        }
        self.raw.extend_from_slice(&raw[raw.len() & !1..]);
        Ok(())
    }

    fn take(&mut self, unit: u16) {
        let first = !std::mem::replace(&mut self.begun, true);
        if first && unit == 0xfeff {
            return;
        }
        if let Some(high) = self.high.take() {
            if let Some(Ok(c)) = char::decode_utf16([high, unit]).next() {
                return self.put(c);
            }
            self.put(char::REPLACEMENT_CHARACTER);
        }
        match unit {
            0xd800..=0xdbff => self.high = Some(unit),
            _ => self.put(char::from_u32(u32::from(unit)).unwrap_or(char::REPLACEMENT_CHARACTER)),
        }
    }

    fn put(&mut self, c: char) {
        self.out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    }
}

impl<R: Read> Read for Narrow<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.at >= self.out.len() {
            if self.over || buf.is_empty() {
                return Ok(0);
            }
            self.refill()?;
        }
        let n = buf.len().min(self.out.len() - self.at);
        buf[..n].copy_from_slice(&self.out[self.at..self.at + n]);
        self.at += n;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wide(text: &str, wide: Wide, mark: bool) -> Vec<u8> {
        let mark = mark.then_some('\u{feff}');
        let units: Vec<u16> = mark.into_iter().chain(text.chars()).collect::<String>().encode_utf16().collect();
        match wide {
            Wide::Little => units.iter().flat_map(|u| u.to_le_bytes()).collect(),
            Wide::Big => units.iter().flat_map(|u| u.to_be_bytes()).collect(),
        }
    }

    /// Gives a byte at a time.
    struct Slow<'a>(&'a [u8]);
    impl Read for Slow<'_> {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            let n = self.0.len().min(buf.len()).min(1);
            buf[..n].copy_from_slice(&self.0[..n]);
            self.0 = &self.0[n..];
            Ok(n)
        }
    }

    #[test]
    fn text_of_either_order_with_or_without_a_mark_is_the_same_text() {
        let text = "Nov 20 08:00:00 gw sshd[7]: Failed password for jürgen 😀 from 10.0.0.5\r\n".repeat(2000);
        for order in [Wide::Little, Wide::Big] {
            for mark in [true, false] {
                let bytes = wide(&text, order, mark);
                assert_eq!(Wide::of(&bytes), Some(order), "{mark}");
                let mut back = String::new();
                Narrow::new(&bytes[..], order).read_to_string(&mut back).unwrap();
                assert!(back == text);
                let mut slow = String::new();
                Narrow::new(Slow(&bytes[..400]), order).read_to_string(&mut slow).unwrap();
                assert!(text.starts_with(&slow) && slow.len() > 190, "{slow}");
            }
        }
    }

    #[test]
    fn halves_are_replaced_and_what_is_no_text_is_none() {
        let mut back = String::new();
        Narrow::new(&b"\xff\xfea\0\x3d\xd8b\0c"[..], Wide::Little).read_to_string(&mut back).unwrap();
        assert_eq!(back, "a\u{fffd}b\u{fffd}");
        for other in [&b"\xff\xfe\0\0a\0\0\0"[..], b"plain ascii text", b"\x01\0\x02\0\x03\0\x04\0\x05\0\x06\0", b"\xff\xfe", b""]
        {
            assert_eq!(Wide::of(other), None, "{other:?}");
        }
    }
}
