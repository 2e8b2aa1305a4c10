//! Numbers and texts as bytes: varints, zigzag, and a reader that never reads past the end. Knows nothing of rows or frames.

use crate::error::{Error, Result};
use std::cell::RefCell;

/// Appends an unsigned number, 7 bits a byte, low bits first (LEB128).
pub fn put_varint(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

/// Appends a signed number: zigzag, then varint.
pub fn put_signed(out: &mut Vec<u8>, n: i64) {
    put_varint(out, zigzag(n));
}

/// A signed number as an unsigned one that is small where it is near 0.
pub fn zigzag(n: i64) -> u64 {
    ((n as u64) << 1) ^ ((n >> 63) as u64)
}

/// The inverse of [`zigzag`].
pub fn unzigzag(n: u64) -> i64 {
    ((n >> 1) as i64) ^ -((n & 1) as i64)
}

/// Appends bytes with their length before them.
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// What is read does not have the form that was written.
pub fn damaged(what: &str) -> Error {
    Error::store(format!("damaged {what}")).hint("run `backtrail verify`; what was lost can be imported again from the evidence")
}

/// Whether an error says that something stored is damaged.
pub fn is_damage(error: &Error) -> bool {
    error.what.starts_with("damaged ")
}

/// Undoes zstd; none: it is damaged, or longer than `len`. A thread keeps what it decompresses with: to make it takes longer than a column.
pub fn decompress(bytes: &[u8], len: usize) -> Option<Vec<u8>> {
    thread_local! {
        static WITH: RefCell<Option<zstd::bulk::Decompressor<'static>>> = RefCell::new(zstd::bulk::Decompressor::new().ok());
    }
    WITH.with(|with| with.borrow_mut().as_mut()?.decompress(bytes, len).ok())
}

/// Reads from the front of a slice of bytes; fails at its end, never beyond.
#[derive(Debug, Clone, Copy)]
pub struct Take<'a> {
    /// What is left.
    pub rest: &'a [u8],
}

impl<'a> Take<'a> {
    /// A reader of these bytes.
    pub fn new(bytes: &'a [u8]) -> Take<'a> {
        Take { rest: bytes }
    }
    /// The next `n` bytes.
    pub fn bytes(&mut self, n: usize) -> Result<&'a [u8]> {
        if n > self.rest.len() {
            return Err(damaged("data: it ends too early"));
        }
        let (head, rest) = self.rest.split_at(n);
        self.rest = rest;
        Ok(head)
    }
    /// One byte.
    pub fn u8(&mut self) -> Result<u8> {
        Ok(self.bytes(1)?[0])
    }
    /// Two bytes, little-endian.
    pub fn u16(&mut self) -> Result<u16> {
        let b = self.bytes(2)?;
        Ok(u16::from_le_bytes([b[0], b[1]]))
    }
    /// Four bytes, little-endian.
    pub fn u32(&mut self) -> Result<u32> {
        let b = self.bytes(4)?;
        Ok(u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
    }
    /// Eight bytes, little-endian.
    pub fn u64(&mut self) -> Result<u64> {
        let mut b = [0; 8];
        b.copy_from_slice(self.bytes(8)?);
        Ok(u64::from_le_bytes(b))
    }
    /// A varint.
    #[inline]
    pub fn varint(&mut self) -> Result<u64> {
        let mut n = 0u64;
        for (i, b) in self.rest.iter().enumerate().take(10) {
            n |= u64::from(b & 0x7f) << (7 * i);
            if b & 0x80 == 0 {
                self.rest = &self.rest[i + 1..];
                return Ok(n);
            }
        }
        Err(damaged("number"))
    }
    /// So many varints, one after the other.
    #[inline]
    pub fn varints(&mut self, n: usize, each: &mut impl FnMut(u64)) -> Result<()> {
        let mut rest = self.rest;
        for _ in 0..n {
            match rest {
                [low, after @ ..] if *low < 0x80 => {
                    each(u64::from(*low));
                    rest = after;
                }
                [low, high, after @ ..] if *high < 0x80 => {
                    each(u64::from(*low & 0x7f) | u64::from(*high) << 7);
                    rest = after;
                }
                _ => {
                    let mut long = Take::new(rest);
                    each(long.varint()?);
                    rest = long.rest;
                }
            }
        }
        self.rest = rest;
        Ok(())
    }
    /// A zigzag varint.
    #[inline]
    pub fn signed(&mut self) -> Result<i64> {
        self.varint().map(unzigzag)
    }
    /// A varint that must be below a bound, as a size.
    pub fn size(&mut self, below: usize) -> Result<usize> {
        let n = self.varint()?;
        if n >= below as u64 { Err(damaged("size")) } else { Ok(n as usize) }
    }
    /// Bytes with their length before them.
    pub fn sized(&mut self) -> Result<&'a [u8]> {
        let n = self.size(self.rest.len().saturating_add(1))?;
        self.bytes(n)
    }
    /// UTF-8 text with its length before it.
    pub fn text(&mut self) -> Result<&'a str> {
        std::str::from_utf8(self.sized()?).map_err(|_| damaged("text"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_back_and_a_cut_one_is_an_error() {
        for n in [0, 1, 127, 128, 1 << 40, u64::MAX] {
            let mut out = Vec::new();
            put_varint(&mut out, n);
            assert_eq!(Take::new(&out).varint(), Ok(n));
            assert!(Take::new(&out[..out.len() - 1]).varint().is_err());
        }
        for n in [0, -1, 1, i64::MIN, i64::MAX] {
            let mut out = Vec::new();
            put_signed(&mut out, n);
            assert_eq!(Take::new(&out).signed(), Ok(n));
        }
    }
}
