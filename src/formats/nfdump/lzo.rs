//! LZO1X, as nfcapd compresses blocks by default (the stream's format: Linux kernel documentation, "LZO stream format as understood by
//! Linux's LZO decompressor").
//!
//! A stream is instructions that copy literals, or bytes from what was written before. Every copy is checked against both ends.

/// What a block unpacks to; `None`: it is damaged, or becomes longer than `most`.
pub(super) fn unpack(packed: &[u8], most: usize) -> Option<Vec<u8>> {
    let mut s = Stream { packed, at: 0, out: Vec::with_capacity(most.min(packed.len().saturating_mul(4))), most };
    let first = usize::from(*packed.first()?);
    // How many literals the instruction before copied: 0 to 3, 4 for more.
    let mut state = 0;
    if first > 17 {
        s.at = 1;
        s.literals(first - 17)?;
        state = (first - 17).min(4);
    }
    loop {
        let code = usize::from(s.byte()?);
        let (length, distance, next) = match code {
            0..=15 if state == 0 => {
                let length = if code == 0 { s.more(15)? } else { code };
                s.literals(length + 3)?;
                state = 4;
                continue;
            }
            0..=15 => {
                let near = (usize::from(s.byte()?) << 2) + (code >> 2);
                if state == 4 { (3, near + 2049, code & 3) } else { (2, near + 1, code & 3) }
            }
            16..=31 => {
                let length = if code & 7 == 0 { s.more(7)? } else { code & 7 };
                let word = s.word()?;
                let distance = 16_384 + ((code & 8) << 11) + (word >> 2);
                if distance == 16_384 {
                    return Some(s.out);
                }
                (length + 2, distance, word & 3)
            }
            32..=63 => {
                let length = if code & 31 == 0 { s.more(31)? } else { code & 31 };
                let word = s.word()?;
                (length + 2, (word >> 2) + 1, word & 3)
            }
            64..=127 => (3 + (code >> 5 & 1), (usize::from(s.byte()?) << 3) + (code >> 2 & 7) + 1, code & 3),
            _ => (5 + (code >> 5 & 3), (usize::from(s.byte()?) << 3) + (code >> 2 & 7) + 1, code & 3),
        };
        s.copy(distance, length)?;
        s.literals(next)?;
        state = next;
    }
}

struct Stream<'a> {
    packed: &'a [u8],
    at: usize,
    out: Vec<u8>,
    most: usize,
}

impl Stream<'_> {
    fn byte(&mut self) -> Option<u8> {
        let byte = self.packed.get(self.at).copied();
        self.at += 1;
        byte
    }
    fn word(&mut self) -> Option<usize> {
        Some(usize::from(self.byte()?) | usize::from(self.byte()?) << 8)
    }
    /// A length that goes on: 255 for every zero byte, and the first byte that is none.
    fn more(&mut self, base: usize) -> Option<usize> {
        let mut length = base;
        loop {
            match self.byte()? {
                0 => length += 255,
                n => return Some(length + usize::from(n)),
            }
            if length > self.most {
                return None;
            }
        }
    }
    fn literals(&mut self, length: usize) -> Option<()> {
        let bytes = self.packed.get(self.at..self.at.checked_add(length)?)?;
        self.room(length)?;
        self.out.extend_from_slice(bytes);
        self.at += length;
        Some(())
    }
    fn copy(&mut self, distance: usize, length: usize) -> Option<()> {
        let from = self.out.len().checked_sub(distance)?;
        self.room(length)?;
        // What is copied may overlap what is written.
        for n in from..from + length {
            let byte = *self.out.get(n)?;
            self.out.push(byte);
        }
        Some(())
    }
    fn room(&self, length: usize) -> Option<()> {
        (self.out.len().checked_add(length)? <= self.most).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_and_copies_are_unpacked_and_bounds_hold() {
        // 4 literals, a copy of 2 + 31 + 4 bytes from 4 back, the end.
        let packed = [21, b'a', b'b', b'c', b'd', 32, 4, 3 << 2, 0, 17, 0, 0];
        let text = unpack(&packed, 1000).unwrap();
        assert_eq!(text.len(), 4 + 37);
        assert!(text.chunks(4).all(|c| b"abcd".starts_with(c)));
        assert_eq!(unpack(&packed, 40), None);
        assert_eq!(unpack(&packed[..9], 1000), None);
        // Farther back than there is anything.
        assert_eq!(unpack(&[21, b'a', b'b', b'c', b'd', 32, 4, 9 << 2, 0, 17, 0, 0], 1000), None);
        // A long run of literals: 3 + 15 + 2.
        let long = [&[0, 2][..], &[b'x'; 20], &[17, 0, 0]].concat();
        assert_eq!(unpack(&long, 1000), Some(vec![b'x'; 20]));
        assert_eq!(unpack(&[], 10), None);
        assert_eq!(unpack(&[0; 100_000], 1000), None);
    }
}
