//! A bounded buffer of one side of a stream that remembers which packet its first byte stood in.

use crate::protocols::At;

/// Unread bytes of a stream.
#[derive(Debug, Default)]
pub struct Buffer {
    bytes: Vec<u8>,
    read: usize,
    first: Option<At>,
    last: Option<At>,
}

impl Buffer {
    /// Appends bytes. Returns `false`, and keeps nothing new, if more than `limit` would then be unread.
    pub fn push(&mut self, bytes: &[u8], at: At, limit: usize) -> bool {
        if self.read > 0 {
            self.bytes.drain(..self.read.min(self.bytes.len()));
            self.read = 0;
        }
        if self.bytes.len().saturating_add(bytes.len()) > limit {
            return false;
        }
        if self.bytes.is_empty() {
            self.first = Some(at);
        }
        self.last = Some(at);
        self.bytes.extend_from_slice(bytes);
        true
    }
    /// The unread bytes.
    pub fn unread(&self) -> &[u8] {
        self.bytes.get(self.read..).unwrap_or_default()
    }
    /// Whether nothing is unread.
    pub fn is_empty(&self) -> bool {
        self.unread().is_empty()
    }
    /// Marks `n` bytes as read. What follows is taken to stand in the newest packet.
    pub fn skip(&mut self, n: usize) {
        self.read = self.read.saturating_add(n).min(self.bytes.len());
        if n > 0 {
            self.first = self.last;
        }
    }
    /// Forgets what is unread.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.read = 0;
    }
    /// The packet of the first unread byte.
    pub fn first(&self, otherwise: At) -> At {
        self.first.unwrap_or(otherwise)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Time;

    #[test]
    fn the_first_byte_remembers_its_packet_and_the_bound_holds() {
        let at = |n| At { time: Time(n), offset: n as u64 };
        let mut b = Buffer::default();
        assert!(b.push(b"abc", at(1), 5));
        assert!(b.push(b"de", at(2), 5));
        assert_eq!(b.first(at(9)), at(1));
        assert!(!b.push(b"f", at(3), 5));
        b.skip(3);
        assert_eq!(b.unread(), b"de");
        assert_eq!(b.first(at(9)), at(2));
        assert!(b.push(b"fgh", at(3), 5));
        assert_eq!(b.unread(), b"defgh");
    }
}
