//! A cursor over untrusted bytes: every read may fail, none panics.

/// Reads from the front; `None` means that too few bytes are left, and then nothing is consumed.
#[derive(Debug, Clone, Copy)]
pub struct Bytes<'a> {
    data: &'a [u8],
    at: usize,
}

impl<'a> Bytes<'a> {
    /// A cursor at the first byte.
    pub fn new(data: &'a [u8]) -> Bytes<'a> {
        Bytes { data, at: 0 }
    }
    /// Bytes consumed so far.
    pub fn at(&self) -> usize {
        self.at
    }
    /// What is left.
    pub fn rest(&self) -> &'a [u8] {
        self.data.get(self.at..).unwrap_or_default()
    }
    /// How many bytes are left.
    pub fn left(&self) -> usize {
        self.data.len().saturating_sub(self.at)
    }
    /// The next `n` bytes.
    pub fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(n)?;
        let taken = self.data.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }
    /// A cursor over the next `n` bytes.
    pub fn sub(&mut self, n: usize) -> Option<Bytes<'a>> {
        self.take(n).map(Bytes::new)
    }
    /// The next `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }
    /// One byte.
    pub fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[b]| b)
    }
    /// Two bytes, network order.
    pub fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }
    /// Three bytes, network order.
    pub fn u24(&mut self) -> Option<u32> {
        self.array::<3>().map(|[a, b, c]| u32::from_be_bytes([0, a, b, c]))
    }
    /// Four bytes, network order.
    pub fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }
    /// Two bytes, little-endian.
    pub fn u16_le(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }
    /// Four bytes, little-endian.
    pub fn u32_le(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }
    /// Eight bytes, little-endian.
    pub fn u64_le(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }
    /// The bytes of a list that is preceded by its length in one byte.
    pub fn list8(&mut self) -> Option<&'a [u8]> {
        let mut ahead = *self;
        let n = ahead.u8()?;
        let list = ahead.take(usize::from(n))?;
        *self = ahead;
        Some(list)
    }
    /// The bytes of a list that is preceded by its length in two bytes, network order.
    pub fn list16(&mut self) -> Option<&'a [u8]> {
        let mut ahead = *self;
        let n = ahead.u16()?;
        let list = ahead.take(usize::from(n))?;
        *self = ahead;
        Some(list)
    }
}

/// Pairs of bytes as numbers in network order; an odd last byte is left out.
pub fn words(list: &[u8]) -> impl Iterator<Item = u16> + '_ {
    list.chunks_exact(2).map(|pair| pair.iter().fold(0u16, |n, b| n << 8 | u16::from(*b)))
}

/// Bytes as text: what is not UTF-8 becomes U+FFFD, and after `max` bytes it is cut.
pub fn text(bytes: &[u8], max: usize) -> String {
    String::from_utf8_lossy(bytes.get(..max).unwrap_or(bytes)).into_owned()
}

/// UTF-16 little-endian as text: lone surrogates become U+FFFD, cut after `max` units.
pub fn utf16(bytes: &[u8], max: usize) -> String {
    let units = bytes.chunks_exact(2).take(max).map(|pair| pair.iter().rev().fold(0u16, |n, b| n << 8 | u16::from(*b)));
    char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_beyond_the_end_gives_none_and_consumes_nothing() {
        let mut b = Bytes::new(&[0, 5, 1, 2]);
        assert_eq!(b.list16(), None);
        assert_eq!(b.at(), 0);
        assert_eq!(b.u24(), Some(0x000501));
        assert_eq!(b.take(usize::MAX), None);
        assert_eq!(b.u8(), Some(2));
        assert_eq!(b.left(), 0);
    }

    #[test]
    fn broken_text_is_replaced_not_refused() {
        assert_eq!(text(b"a\xffb", 10), "a\u{fffd}b");
        assert_eq!(utf16(b"a\0\x00\xd8", 10), "a\u{fffd}");
        assert_eq!(words(&[1, 2, 3]).collect::<Vec<_>>(), [0x0102]);
    }
}
