//! Lines of one side of a text protocol: bounded, tolerant of a bare LF.

use super::buffer::Buffer;
use super::bytes::text;
use crate::model::oddity::Oddity;
use crate::protocols::{At, Out, Parser, Side};

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
    /// Whether a line has begun that has no end yet.
    pub fn has_begun(&self) -> bool {
        !self.skipping && !self.buffer.is_empty()
    }
    /// Bytes are missing: the line that they stood in cannot be read.
    pub fn gap(&mut self) {
        self.buffer.clear();
        self.skipping = true;
    }
}

/// A conversation in lines of text.
pub trait Talk: Send {
    /// The oddity of a line that is longer than the limit.
    const TOO_LONG: &'static str;
    /// A line of a side, and the packet that it began in. Once `out` says that it is done no further one is given.
    fn line(&mut self, side: Side, line: &str, at: At, out: &mut Out);
    /// Bytes of one side are missing.
    fn gap(&mut self) {}
}

/// The parser of a conversation in lines: both sides are cut, each into lines of at most so many bytes.
pub struct Talking<T> {
    sides: [Lines; 2],
    talk: T,
}

impl<T: Talk> Talking<T> {
    /// Lines of at most `limit` bytes for a conversation.
    pub fn new(limit: usize, talk: T) -> Talking<T> {
        Talking { sides: [Lines::new(limit), Lines::new(limit)], talk }
    }
    fn lines(&mut self, side: Side) -> (&mut Lines, &mut T) {
        let [outgoing, incoming] = &mut self.sides;
        (if side == Side::Out { outgoing } else { incoming }, &mut self.talk)
    }
}

impl<T: Talk> Parser for Talking<T> {
    fn data(&mut self, side: Side, bytes: &[u8], at: At, out: &mut Out) {
        let (lines, talk) = self.lines(side);
        let limit = lines.limit;
        lines.push(bytes, at, &mut |line| {
            match line {
                Line::Whole(line, first) => talk.line(side, &text(&line, limit), first, out),
                Line::TooLong(first) => {
                    out.oddities.push((Oddity::new(T::TOO_LONG), first.time, first.offset));
                    out.partial = true;
                }
            }
            !out.done
        });
    }
    fn gap(&mut self, side: Side, _missing: u64, _at: At, _out: &mut Out) {
        let (lines, talk) = self.lines(side);
        lines.gap();
        talk.gap();
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
