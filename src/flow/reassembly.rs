//! One direction of a TCP stream put in order: what can be delivered is delivered at once, what comes too early waits in spans, and a
//! gap is given up when the peer acknowledged it, when a bound is exceeded, or when the flow ends. Of bytes sent twice the first win.
//!
//! Numbers are relative: 1 is the first byte of the stream. Bytes are kept only while somebody wants them; the spans (and with them the
//! count of gaps and of bytes sent again) are kept always.

use crate::protocols::At;

/// Spans that wait in one direction.
const MAX_SPANS: usize = 256;
/// Bytes that wait in one direction.
pub const MAX_WAITING: usize = 1 << 20;
/// Delivered bytes kept to compare with what is sent again.
const TAIL: usize = 2048;

#[derive(Debug, Clone)]
struct Span {
    start: i64,
    end: i64,
    data: Vec<u8>,
    at: At,
}

/// What is delivered.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// In-order bytes.
    Data(&'a [u8]),
    /// Bytes missing for good.
    Gap(u64),
}

/// What a segment turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Seen {
    /// Bytes of it that were there before.
    pub again: u64,
    /// Bytes of it differ from those that were there before.
    pub conflict: bool,
}

/// What a direction keeps beyond the next number; most have nothing.
#[derive(Debug, Clone, Default)]
struct Kept {
    spans: Vec<Span>,
    tail: Vec<u8>,
    waiting: usize,
}

/// One direction of a stream.
#[derive(Debug, Clone)]
pub struct Stream {
    next: i64,
    kept: Option<Box<Kept>>,
}

impl Default for Stream {
    fn default() -> Stream {
        Stream { next: 1, kept: None }
    }
}

type Deliver<'d> = &'d mut dyn FnMut(Piece<'_>, At);

impl Stream {
    /// Relative number of the next byte to deliver.
    pub fn next(&self) -> i64 {
        self.next
    }
    /// Whether bytes beyond a gap wait.
    pub fn has_waiting(&self) -> bool {
        self.kept.as_ref().is_some_and(|k| !k.spans.is_empty())
    }
    /// Bytes of memory that wait.
    pub fn waiting(&self) -> usize {
        self.kept.as_ref().map_or(0, |k| k.waiting)
    }
    /// Bytes of memory in all: what waits, and what was delivered and is kept to compare with.
    pub fn held(&self) -> usize {
        self.kept.as_ref().map_or(0, |k| k.waiting + k.tail.len())
    }
    /// Where the first span begins.
    fn first_span(&self) -> Option<i64> {
        self.kept.as_ref().and_then(|k| k.spans.first()).map(|s| s.start)
    }

    /// Takes a segment. `keep`: somebody wants the bytes.
    pub fn segment(&mut self, start: i64, bytes: &[u8], at: At, keep: bool, deliver: Deliver<'_>) -> Seen {
        let end = start.saturating_add(bytes.len() as i64);
        let mut seen = self.compare(start, end, bytes);
        seen.again = seen.again.min(bytes.len() as u64);
        if end <= self.next {
            return seen;
        }
        if start > self.next {
            self.kept.get_or_insert_default().keep(start, end, bytes, at, keep);
            while self.kept.as_ref().is_some_and(|k| k.spans.len() > MAX_SPANS || k.waiting > MAX_WAITING) {
                let Some(first) = self.first_span() else { break };
                self.give_up(first, at, deliver);
            }
            return seen;
        }
        while self.next < end {
            let to = self.first_span().map_or(end, |s| s.min(end));
            if to > self.next {
                self.hand(&bytes[(self.next - start) as usize..(to - start) as usize], keep, at, deliver);
                self.next = to;
            }
            self.drain(deliver);
        }
        self.drain(deliver);
        seen
    }

    /// Gives up what is missing below a number; delivers what waits there. Returns the bytes that were missing and the number of gaps.
    pub fn give_up(&mut self, up_to: i64, at: At, deliver: Deliver<'_>) -> (u64, u32) {
        let (mut missing, mut gaps) = (0u64, 0);
        while self.next < up_to {
            let span = self.kept.as_ref().and_then(|k| k.spans.first());
            let (to, when) = span.map_or((up_to, at), |s| (s.start.min(up_to), s.at));
            if to > self.next {
                let gap = (to - self.next) as u64;
                missing += gap;
                gaps += 1;
                if let Some(kept) = &mut self.kept {
                    kept.tail.clear();
                }
                deliver(Piece::Gap(gap), when);
                self.next = to;
            }
            self.drain(deliver);
        }
        self.drain(deliver);
        (missing, gaps)
    }

    /// The flow is over, or memory is needed: delivers what waits, with the gaps between.
    pub fn flush(&mut self, at: At, deliver: Deliver<'_>) {
        if let Some(last) = self.kept.as_ref().and_then(|k| k.spans.last()).map(|s| s.start) {
            self.give_up(last, at, deliver);
        }
    }

    /// Nobody wants bytes any more.
    pub fn forget_bytes(&mut self) {
        let Some(kept) = &mut self.kept else { return };
        if kept.spans.is_empty() {
            self.kept = None;
            return;
        }
        for span in &mut kept.spans {
            span.data = Vec::new();
        }
        kept.tail = Vec::new();
        kept.waiting = 0;
    }

    fn drain(&mut self, deliver: Deliver<'_>) {
        while self.first_span().is_some_and(|start| start <= self.next) {
            let Some(kept) = &mut self.kept else { return };
            let span = kept.spans.remove(0);
            kept.waiting = kept.waiting.saturating_sub(span.data.len());
            if span.end > self.next {
                let skip = (self.next - span.start) as usize;
                match span.data.get(skip..) {
                    Some(data) if !span.data.is_empty() => self.hand(data, true, span.at, deliver),
                    // Its bytes were not kept.
                    _ => deliver(Piece::Gap((span.end - self.next) as u64), span.at),
                }
                self.next = span.end;
            }
        }
    }

    fn hand(&mut self, data: &[u8], keep: bool, at: At, deliver: Deliver<'_>) {
        deliver(Piece::Data(data), at);
        if !keep {
            if let Some(kept) = &mut self.kept {
                kept.tail = Vec::new();
            }
            return;
        }
        let tail = &mut self.kept.get_or_insert_default().tail;
        if data.len() >= TAIL {
            tail.clear();
            tail.extend_from_slice(&data[data.len() - TAIL..]);
        } else {
            let over = (tail.len() + data.len()).saturating_sub(TAIL);
            tail.drain(..over);
            tail.extend_from_slice(data);
        }
    }

    /// How much of a segment was there before, and whether it said something else.
    fn compare(&self, start: i64, end: i64, bytes: &[u8]) -> Seen {
        let mut seen = Seen::default();
        if start < self.next {
            seen.again += (end.min(self.next) - start).max(0) as u64;
        }
        let Some(kept) = &self.kept else { return seen };
        if start < self.next {
            let tail_start = self.next - kept.tail.len() as i64;
            seen.conflict |= differ(start, bytes, tail_start, &kept.tail);
        }
        for span in &kept.spans {
            let (from, to) = (span.start.max(start), span.end.min(end));
            if from < to {
                seen.again += (to - from) as u64;
                seen.conflict |= differ(start, bytes, span.start, &span.data);
            }
        }
        seen
    }
}

impl Kept {
    /// Keeps what no span holds of a segment: the first bytes win.
    fn keep(&mut self, start: i64, end: i64, bytes: &[u8], at: At, keep: bool) {
        let mut from = start;
        let mut added = Vec::new();
        for span in &self.spans {
            if span.end <= from {
                continue;
            }
            if span.start >= end {
                break;
            }
            if span.start > from {
                added.push((from, span.start));
            }
            from = span.end;
        }
        if from < end {
            added.push((from, end));
        }
        for (from, to) in added {
            let data = if keep { bytes[(from - start) as usize..(to - start) as usize].to_vec() } else { Vec::new() };
            self.waiting += data.len();
            let place = self.spans.partition_point(|s| s.start < from);
            match place.checked_sub(1).and_then(|i| self.spans.get_mut(i)) {
                // Without bytes, neighbours are one.
                Some(before) if !keep && before.end == from && before.data.is_empty() => before.end = to,
                _ => self.spans.insert(place, Span { start: from, end: to, data, at }),
            }
        }
    }
}

fn differ(a_start: i64, a: &[u8], b_start: i64, b: &[u8]) -> bool {
    let from = a_start.max(b_start);
    let to = (a_start + a.len() as i64).min(b_start + b.len() as i64);
    if from >= to {
        return false;
    }
    a[(from - a_start) as usize..(to - a_start) as usize] != b[(from - b_start) as usize..(to - b_start) as usize]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Time;
    use proptest::prelude::*;

    const AT: At = At { time: Time(0), offset: 0 };

    fn run(segments: &[(i64, &[u8])]) -> (Vec<u8>, Vec<Seen>, Stream) {
        let (mut stream, mut got, mut seen) = (Stream::default(), Vec::new(), Vec::new());
        for (start, bytes) in segments {
            let s = stream.segment(*start, bytes, AT, true, &mut |piece, _| {
                if let Piece::Data(d) = piece {
                    got.extend_from_slice(d);
                }
            });
            seen.push(s);
        }
        (got, seen, stream)
    }

    #[test]
    fn segments_out_of_order_are_delivered_in_order() {
        let (got, _, stream) = run(&[(4, b"def"), (7, b"gh"), (1, b"abc")]);
        assert_eq!(got, b"abcdefgh");
        assert_eq!(stream.next(), 9);
        assert_eq!(stream.waiting(), 0);
    }

    #[test]
    fn of_bytes_sent_twice_the_first_win_and_a_difference_is_noticed() {
        let (got, seen, _) = run(&[(4, b"DE"), (1, b"abcdefg")]);
        assert_eq!(got, b"abcDEfg");
        assert_eq!(seen[1], Seen { again: 2, conflict: true });
        let (got, seen, _) = run(&[(1, b"abc"), (2, b"XYd")]);
        assert_eq!(got, b"abcd");
        assert_eq!(seen[1], Seen { again: 2, conflict: true });
        assert!(!run(&[(1, b"abc"), (1, b"abcd")]).1[1].conflict);
    }

    #[test]
    fn a_gap_is_given_up_when_it_is_acknowledged() {
        let mut stream = Stream::default();
        let mut pieces = Vec::new();
        let mut note = |p: Piece<'_>, _: At| {
            pieces.push(match p {
                Piece::Data(d) => String::from_utf8_lossy(d).into_owned(),
                Piece::Gap(n) => format!("gap {n}"),
            })
        };
        stream.segment(1, b"ab", AT, true, &mut note);
        stream.segment(6, b"fg", AT, true, &mut note);
        assert_eq!(stream.give_up(10, AT, &mut note), (5, 2));
        assert_eq!(pieces, ["ab", "gap 3", "fg", "gap 2"]);
        assert_eq!(stream.next(), 10);
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut stream = Stream::default();
        for i in 0..2_000i64 {
            stream.segment(10 + 2_000 * i, &[0; 1_000], AT, true, &mut |_, _| {});
            assert!(stream.waiting() <= MAX_WAITING && stream.kept.as_ref().unwrap().spans.len() <= MAX_SPANS);
        }
    }

    proptest! {
        #[test]
        fn any_order_of_any_cut_gives_the_stream(cuts in prop::collection::vec((0usize..200, 1usize..60), 1..40)) {
            let whole: Vec<u8> = (0..=255u8).collect();
            let mut stream = Stream::default();
            let mut got = Vec::new();
            let mut deliver = |p: Piece<'_>, _: At| if let Piece::Data(d) = p { got.extend_from_slice(d) };
            for (start, len) in cuts {
                let seen = stream.segment(1 + start as i64, &whole[start..(start + len).min(256)], AT, true, &mut deliver);
                prop_assert!(!seen.conflict);
            }
            stream.segment(1, &whole, AT, true, &mut deliver);
            prop_assert_eq!(got, whole);
            prop_assert_eq!(stream.waiting(), 0);
        }
    }
}
