//! A reader of BER and DER (X.690) as LDAP, Kerberos and SNMP use it: tag, definite length, value. Bounded by the bytes it is given.

use super::bytes::Bytes;

/// A value with its tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item<'a> {
    /// Identifier octet.
    pub tag: u8,
    /// Contents.
    pub value: &'a [u8],
}

/// Tag and length of the item that bytes begin with: tag, length of tag and length, length of the value.
pub fn head(bytes: &[u8]) -> Option<(u8, usize, usize)> {
    let mut b = Bytes::new(bytes);
    let tag = b.u8()?;
    let first = b.u8()?;
    let length = match first {
        0..=0x7f => usize::from(first),
        0x81..=0x84 => b.take(usize::from(first & 7))?.iter().fold(0usize, |n, b| n << 8 | usize::from(*b)),
        _ => return None,
    };
    Some((tag, b.at(), length))
}

/// The item that bytes begin with, and what follows it.
pub fn item(bytes: &[u8]) -> Option<(Item<'_>, &[u8])> {
    let (tag, skip, length) = head(bytes)?;
    let end = skip.checked_add(length)?;
    Some((Item { tag, value: bytes.get(skip..end)? }, bytes.get(end..)?))
}

/// The items of a sequence, up to the first that is broken.
pub fn items(mut bytes: &[u8]) -> impl Iterator<Item = Item<'_>> {
    std::iter::from_fn(move || {
        let (found, rest) = item(bytes)?;
        bytes = rest;
        Some(found)
    })
}

/// The value of the first item with a tag.
pub fn find(bytes: &[u8], tag: u8) -> Option<&[u8]> {
    items(bytes).find(|i| i.tag == tag).map(|i| i.value)
}

/// An integer of at most eight bytes, sign kept.
pub fn integer(value: &[u8]) -> Option<i64> {
    let negative = value.first()? & 0x80 != 0;
    (value.len() <= 8).then(|| value.iter().fold(if negative { -1i64 } else { 0 }, |n, b| n << 8 | i64::from(*b)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_end_at_the_first_broken_one() {
        let bytes = [0x02, 1, 5, 0x04, 0x81, 2, 7, 8, 0x30, 0x84, 0xff, 0xff, 0xff, 0xff];
        let found: Vec<Item<'_>> = items(&bytes).collect();
        assert_eq!(found.len(), 2);
        assert_eq!(integer(found[0].value), Some(5));
        assert_eq!(integer(&[0xff, 0xfe]), Some(-2));
        assert_eq!(find(&bytes, 4), Some(&[7u8, 8][..]));
        assert_eq!(head(&[0x30, 0x80]), None);
    }
}
