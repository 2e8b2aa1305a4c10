//! Looks over the pages of a column before they are unpacked: what a page says of its size decides how much memory its reader takes, so it
//! has to be believable first. Only what [`super::write`] makes is let through.

use ::parquet::file::metadata::ColumnChunkMetaData;
use std::fs::File;
use std::os::unix::fs::FileExt;

/// Bytes of one page, unpacked.
const PAGE: u64 = 128 << 20;
/// Values of one column in one row group.
const VALUES: u64 = 1 << 24;
/// Bytes of a page's header.
const HEADER: usize = 64 << 10;
/// How deep its structures may be.
const DEEP: u32 = 8;

/// Plain values, run lengths, and a dictionary with indexes into it: the encodings that are written here.
const ENCODINGS: [i64; 4] = [0, 2, 3, 8];

/// Checks the pages of a column of one row group. `Err`: what is wrong, in words.
pub fn check(file: &File, column: &ColumnChunkMetaData) -> Result<(), String> {
    let start = column.dictionary_page_offset().unwrap_or_else(|| column.data_page_offset());
    let (Ok(mut at), Ok(length)) = (u64::try_from(start), u64::try_from(column.compressed_size())) else {
        return Err("a column has no place".to_owned());
    };
    let end = at.checked_add(length).ok_or("a column has no place")?;
    let mut values = 0u64;
    while at < end {
        let mut bytes = vec![0; HEADER.min(usize::try_from(end - at).unwrap_or(HEADER))];
        file.read_exact_at(&mut bytes, at).map_err(|e| format!("a page cannot be read: {e}"))?;
        let (page, header) = Page::read(&bytes).ok_or("a page has no header that can be understood")?;
        let dictionary = page.kind == 2;
        if page.kind != 0 && !dictionary || page.number.is_none() {
            return Err(format!("a page is of kind {}, which is not written here", page.kind));
        }
        if !ENCODINGS.contains(&page.encoding) {
            return Err(format!("a page has encoding {}, which is not written here", page.encoding));
        }
        let number = page.number.unwrap_or(0);
        if page.unpacked > PAGE || page.packed > end - at || dictionary && number > page.unpacked {
            return Err(format!("a page claims {} values in {} bytes", number, page.unpacked));
        }
        values = values.saturating_add(if dictionary { 0 } else { number });
        if values > VALUES {
            return Err("a column has more values than a row group is written with".to_owned());
        }
        at = at.saturating_add(header as u64).saturating_add(page.packed);
    }
    Ok(())
}

/// What is needed of a page's header.
#[derive(Debug, Default, PartialEq, Eq)]
struct Page {
    kind: i64,
    unpacked: u64,
    packed: u64,
    number: Option<u64>,
    encoding: i64,
}

impl Page {
    /// Reads a header (Thrift's compact protocol); gives its length too.
    fn read(bytes: &[u8]) -> Option<(Page, usize)> {
        let mut page = Page { kind: -1, ..Page::default() };
        let mut take = Compact { bytes, at: 0 };
        let mut id = 0;
        while let Some(kind) = take.field(&mut id)? {
            match (id, kind) {
                (1, 5) => page.kind = take.signed()?,
                (2, 5) => page.unpacked = u64::try_from(take.signed()?).ok()?,
                (3, 5) => page.packed = u64::try_from(take.signed()?).ok()?,
                // A data page's own header, or a dictionary's: both begin with the number of values and their encoding.
                (5 | 7, 12) => {
                    let mut inner = 0;
                    while let Some(kind) = take.field(&mut inner)? {
                        match (inner, kind) {
                            (1, 5) => page.number = Some(u64::try_from(take.signed()?).ok()?),
                            (2, 5) => page.encoding = take.signed()?,
                            _ => take.skip(kind, DEEP)?,
                        }
                    }
                }
                _ => take.skip(kind, DEEP)?,
            }
        }
        Some((page, take.at))
    }
}

/// Reads Thrift's compact protocol.
struct Compact<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Compact<'_> {
    fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }
    fn varint(&mut self) -> Option<u64> {
        let mut n = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            n |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(n);
            }
        }
        None
    }
    fn signed(&mut self) -> Option<i64> {
        let n = self.varint()?;
        Some((n >> 1).cast_signed() ^ -((n & 1).cast_signed()))
    }
    /// The next field's type, `None` inside: the structure has ended.
    fn field(&mut self, id: &mut i64) -> Option<Option<u8>> {
        let head = self.byte()?;
        if head == 0 {
            return Some(None);
        }
        *id = match head >> 4 {
            0 => self.signed()?,
            delta => id.checked_add(i64::from(delta))?,
        };
        Some(Some(head & 15))
    }
    fn jump(&mut self, n: u64) -> Option<()> {
        let to = self.at.checked_add(usize::try_from(n).ok()?)?;
        (to <= self.bytes.len()).then(|| self.at = to)
    }
    fn skip(&mut self, kind: u8, deep: u32) -> Option<()> {
        match kind {
            1 | 2 => Some(()),
            3 => self.jump(1),
            4..=6 => self.varint().map(|_| ()),
            7 => self.jump(8),
            8 => {
                let n = self.varint()?;
                self.jump(n)
            }
            9 | 10 if deep > 0 => {
                let head = self.byte()?;
                let n = if head >> 4 == 15 { self.varint()? } else { u64::from(head >> 4) };
                // In a list a boolean takes a byte.
                for _ in 0..n.min(self.bytes.len() as u64 + 1) {
                    if matches!(head & 15, 1 | 2) { self.jump(1)? } else { self.skip(head & 15, deep - 1)? }
                }
                Some(())
            }
            12 if deep > 0 => {
                let mut id = 0;
                while let Some(kind) = self.field(&mut id)? {
                    self.skip(kind, deep - 1)?;
                }
                Some(())
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_and_a_cut_one_is_not() {
        // Kind 0; 300 bytes unpacked, 20 packed; data page: 7 values, encoding 8, levels 3 and 3, statistics with a text.
        let bytes = [
            0x15, 0x00, 0x15, 0xd8, 0x04, 0x15, 0x28, 0x2c, 0x15, 0x0e, 0x15, 0x10, 0x15, 0x06, 0x15, 0x06, 0x1c, 0x18, 0x01,
            b'a', 0, 0, 0,
        ];
        let page = Page { kind: 0, unpacked: 300, packed: 20, number: Some(7), encoding: 8 };
        assert_eq!(Page::read(&bytes), Some((page, bytes.len())));
        (0..bytes.len()).for_each(|n| assert_eq!(Page::read(&bytes[..n]), None, "{n}"));
    }
}
