//! Streams that are a row of messages with their length in front: joins segments, hands on whole messages, passes over the rest of those
//! that are longer than is kept. Bounded in bytes; knows no protocol.

use super::buffer::Buffer;
use crate::protocols::{At, Out, Parser, Side};

/// Bytes of a message that are kept where a protocol does not say otherwise.
pub const MAX_MESSAGE: usize = 16 * 1024;

/// Where the next message ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Too few bytes to say.
    More,
    /// After so many bytes, its head included; at least one.
    Frame(usize),
    /// These are no messages (any more).
    Over,
}

/// A protocol made of messages.
pub trait Messages: Send {
    /// How long the message is that the unread bytes of a side begin with.
    fn cut(&self, side: Side, unread: &[u8]) -> Cut;
    /// Bytes of a message that are kept, its head included; what is longer is passed over. At least [`MAX_MESSAGE`].
    fn most(&self) -> usize {
        MAX_MESSAGE
    }
    /// Takes a message (its first [`Self::most`] bytes). `false`: nothing more is wanted.
    fn message(&mut self, side: Side, message: &[u8], first: At, last: At, out: &mut Out) -> bool;
    /// The conversation is over.
    fn end(&mut self, out: &mut Out) {
        let _ = out;
    }
    /// As [`Parser::held`], besides unread messages.
    fn held(&self) -> usize {
        0
    }
    /// As [`Parser::relieve`].
    fn relieve(&mut self) {}
}

#[derive(Default)]
struct Half {
    buffer: Buffer,
    skip: usize,
}

/// The parser of a protocol made of messages. It is confirmed when a message of either side was taken.
pub struct Framed<M> {
    messages: M,
    halves: [Half; 2],
    seen: [bool; 2],
    over: bool,
}

impl<M: Messages> Framed<M> {
    /// A parser.
    pub fn new(messages: M) -> Framed<M> {
        Framed { messages, halves: Default::default(), seen: [false; 2], over: false }
    }

    fn take(&mut self, half: &mut Half, side: Side, at: At, out: &mut Out) {
        let most = self.messages.most();
        while !self.over && !half.buffer.is_empty() {
            let unread = half.buffer.unread();
            let whole = match self.messages.cut(side, unread) {
                Cut::Frame(n) if n > 0 => n,
                Cut::More if unread.len() < most => return,
                other => {
                    // Too long to find its end: what follows passes unread.
                    out.partial |= other == Cut::More;
                    self.over = true;
                    return;
                }
            };
            let kept = whole.min(most);
            let Some(message) = unread.get(..kept).map(<[u8]>::to_vec) else { return };
            half.skip = whole.saturating_sub(unread.len());
            let first = half.buffer.first(at);
            half.buffer.skip(whole);
            self.over = !self.messages.message(side, &message, first, at, out);
            if let Some(seen) = self.seen.get_mut(usize::from(side == Side::In)) {
                *seen = true;
            }
            out.confirmed |= self.seen == [true, true];
        }
    }
}

impl<M: Messages> Parser for Framed<M> {
    fn data(&mut self, side: Side, mut bytes: &[u8], at: At, out: &mut Out) {
        let index = usize::from(side == Side::In);
        let Some(mut half) = self.halves.get_mut(index).map(std::mem::take) else { return };
        while !bytes.is_empty() && !self.over {
            let passed = half.skip.min(bytes.len());
            half.skip = half.skip.saturating_sub(passed);
            bytes = bytes.get(passed..).unwrap_or_default();
            let (now, rest) = bytes.split_at(bytes.len().min(MAX_MESSAGE));
            bytes = rest;
            let _ = half.buffer.push(now, at, self.messages.most().saturating_add(MAX_MESSAGE));
            self.take(&mut half, side, at, out);
        }
        if let Some(slot) = self.halves.get_mut(index) {
            *slot = half;
        }
        out.done |= self.over;
    }
    fn end(&mut self, out: &mut Out) {
        self.messages.end(out);
    }
    fn held(&self) -> usize {
        self.messages.held()
    }
    fn relieve(&mut self) {
        self.messages.relieve();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Time;

    #[derive(Default)]
    struct Lengths(Vec<usize>);

    impl Messages for Lengths {
        fn cut(&self, _: Side, unread: &[u8]) -> Cut {
            match unread {
                [0xff, ..] => Cut::Over,
                [a, b, ..] => Cut::Frame(2 + usize::from(u16::from_be_bytes([*a, *b]))),
                _ => Cut::More,
            }
        }
        fn message(&mut self, _: Side, message: &[u8], _: At, _: At, _: &mut Out) -> bool {
            self.0.push(message.len());
            true
        }
    }

    #[test]
    fn messages_are_joined_long_ones_cut_and_what_follows_is_found() {
        let at = At { time: Time(0), offset: 0 };
        let mut stream = vec![0, 3, 1, 2, 3, 0xf0, 0];
        stream.resize(stream.len() + 0xf000, 7);
        stream.extend([0, 0, 0xff, 0xff]);
        for step in [1, 7, 5000, stream.len()] {
            let (mut framed, mut out) = (Framed::new(Lengths::default()), Out::default());
            for piece in stream.chunks(step) {
                framed.data(Side::Out, piece, at, &mut out);
            }
            assert_eq!((framed.messages.0, out.done), (vec![5, MAX_MESSAGE, 2], true), "{step}");
        }
    }
}
