//! Lines of one side of a text protocol: bounded, tolerant of a bare LF.

use super::buffer::Buffer;
use crate::protocols::At;

/// Cuts a stream into lines. A line longer than the limit is dropped up to its end and reported once.
#[derive(Debug)]
pub struct Lines {
    buffer: Buffer,
    limit: usize,
    skipping: bool,
}

/// What [`Lines`] gives.
#[derive(Debug, PartialEq, Eq)]
pub enum Line {
    /// A line without its end, and the packet that it began in.
    Whole(Vec<u8>, At),
    /// A line longer than the limit was dropped.
    TooLong(At),
}

impl Lines {
    /// Lines of at most `limit` bytes.
    pub fn new(limit: usize) -> Lines {
        Lines { buffer: Buffer::default(), limit, skipping: false }
    }
    /// Calls `each` for every line that `bytes` completes. `each` returns `false` to stop after that line. Returns how many bytes were
    /// taken: all, unless `each` stopped it.
    pub fn push(&mut self, mut bytes: &[u8], at: At, each: &mut dyn FnMut(Line) -> bool) -> usize {
        let all = bytes.len();
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            let (line, rest) = bytes.split_at(end);
            bytes = rest.get(1..).unwrap_or_default();
            if std::mem::take(&mut self.skipping) {
                continue;
            }
            let more = if self.buffer.push(line, at, self.limit) {
                let first = self.buffer.first(at);
                let mut whole = self.buffer.unread().to_vec();
                if whole.last() == Some(&b'\r') {
                    whole.pop();
                }
                each(Line::Whole(whole, first))
            } else {
                each(Line::TooLong(at))
            };
            self.buffer.clear();
            if !more {
                return all.saturating_sub(bytes.len());
            }
        }
        if !self.skipping && !bytes.is_empty() && !self.buffer.push(bytes, at, self.limit) {
            self.buffer.clear();
            self.skipping = true;
            each(Line::TooLong(at));
        }
        all
    }
    /// Bytes are missing: the line that they stood in cannot be read.
    pub fn gap(&mut self) {
        self.buffer.clear();
        self.skipping = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Time;

    #[test]
    fn lines_are_joined_over_packets_and_long_ones_are_reported_once() {
        let at = At { time: Time(0), offset: 0 };
        let mut lines = Lines::new(4);
        let mut seen = Vec::new();
        for part in [&b"ab"[..], b"c\r\nd\n", b"12345678", b"9\nxy\n"] {
            lines.push(part, at, &mut |line| {
                seen.push(match line {
                    Line::Whole(l, _) => String::from_utf8_lossy(&l).into_owned(),
                    Line::TooLong(_) => "!".to_owned(),
                });
                true
            });
        }
        assert_eq!(seen, ["abc", "d", "!", "xy"]);
    }
}
