//! The body of an HTTP/1 message (RFC 9112, 6 and 7): where it ends, how long it is, and the file that it carries.

use super::file::Passing;

/// Longest line of a chunk's size or of a trailer.
const MAX_LINE: usize = 8192;

/// How the end of a body is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Framing {
    /// So many bytes are left.
    Length(u64),
    /// In chunks.
    Chunked(Chunk),
    /// At the end of the connection.
    Close,
}

/// Where one is among chunks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chunk {
    /// In the line with a chunk's size.
    Size(Vec<u8>),
    /// In a chunk: bytes left.
    Data(u64),
    /// In the line end after a chunk.
    Between,
    /// After the last chunk: length of the trailer's line so far, and of the trailer.
    Trailer(usize, usize),
}

/// A body on its way.
pub struct Body {
    framing: Framing,
    /// Bytes so far, without the framing of chunks, with those that are missing.
    pub length: u64,
    /// The end was seen.
    pub over: bool,
    /// The framing made no sense; nothing more can be said of this side until it begins anew.
    pub broken: bool,
    /// The framing was not as it should be, and was read as browsers read it.
    pub odd: bool,
    /// How it ends if it is not in chunks though its head says so, and what came of it; until the first chunk is met.
    otherwise: Option<(Box<Framing>, Vec<u8>)>,
    /// The file.
    pub file: Passing,
}

impl Body {
    /// A body that begins.
    pub fn new(framing: Framing, mut file: Passing) -> Body {
        if let Framing::Length(length) = framing {
            file.state(length);
        }
        let over = framing == Framing::Length(0);
        Body { over, framing, length: 0, broken: false, odd: false, otherwise: None, file }
    }
    /// A body in chunks, if it is: else it ends as said.
    pub fn chunked(otherwise: Framing, file: Passing) -> Body {
        let otherwise = Some((Box::new(otherwise), Vec::new()));
        Body { otherwise, ..Body::new(Framing::Chunked(Chunk::Size(Vec::new())), file) }
    }
    /// The connection is over. Returns whether that is where the body ends, too.
    pub fn close(&mut self) -> bool {
        if let (Framing::Chunked(_), true) = (&self.framing, self.otherwise.as_ref().is_some_and(|o| !o.1.is_empty())) {
            self.unframed();
        }
        // Behind the last chunk nothing is missed.
        self.over || matches!(self.framing, Framing::Close | Framing::Chunked(Chunk::Trailer(..)))
    }
    /// It is not in chunks: what came is content.
    fn unframed(&mut self) {
        let Some((framing, came)) = self.otherwise.take() else { return };
        if let Framing::Length(length) = *framing {
            self.file.state(length);
        }
        self.over = *framing == Framing::Length(0);
        (self.framing, self.odd) = (*framing, true);
        // What is longer than was stated is let go, as the message that follows would be.
        let _ = self.push(&came);
    }
    fn take(&mut self, bytes: &[u8]) {
        self.length = self.length.saturating_add(bytes.len() as u64);
        self.file.push(bytes);
    }
    /// Takes what belongs to the body off the front of `bytes`; returns how much that was.
    pub fn push(&mut self, bytes: &[u8]) -> usize {
        let mut rest = bytes;
        while !(rest.is_empty() || self.over || self.broken) {
            let within = |left: u64| usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
            match &mut self.framing {
                Framing::Close => {
                    self.take(rest);
                    rest = &[];
                }
                Framing::Length(left) => {
                    let (now, after) = rest.split_at(within(*left));
                    *left = left.saturating_sub(now.len() as u64);
                    self.over = *left == 0;
                    self.take(now);
                    rest = after;
                }
                Framing::Chunked(Chunk::Data(left)) => {
                    let (now, after) = rest.split_at(within(*left));
                    *left = left.saturating_sub(now.len() as u64);
                    if *left == 0 {
                        self.framing = Framing::Chunked(Chunk::Between);
                    }
                    self.take(now);
                    rest = after;
                }
                Framing::Chunked(chunk) => {
                    let Some((byte, after)) = rest.split_first() else { break };
                    rest = after;
                    if let Some((_, came)) = &mut self.otherwise {
                        came.push(*byte);
                    }
                    match step(chunk, *byte, &mut self.odd) {
                        Step::Go(next) => {
                            *chunk = next;
                            self.otherwise = None;
                        }
                        Step::Stay if self.otherwise.as_ref().is_some_and(|o| o.1.len() > MAX_LINE) => self.unframed(),
                        Step::Stay => {}
                        Step::Over => self.over = true,
                        Step::Broken if self.otherwise.is_some() => self.unframed(),
                        Step::Broken => self.broken = true,
                    }
                }
            }
        }
        bytes.len().saturating_sub(rest.len())
    }
    /// Bytes are missing. `false`: the body's end may be among them.
    pub fn miss(&mut self, missing: u64) -> bool {
        let lost = match self.framing {
            Framing::Length(left) | Framing::Chunked(Chunk::Data(left)) => missing.min(left),
            Framing::Close => missing,
            Framing::Chunked(_) => 0,
        };
        self.file.miss(lost);
        let known = match &mut self.framing {
            Framing::Close => true,
            Framing::Length(left) if *left >= missing => {
                *left = left.saturating_sub(missing);
                self.over = *left == 0;
                true
            }
            Framing::Chunked(Chunk::Data(left)) if *left >= missing => {
                *left = left.saturating_sub(missing);
                if *left == 0 {
                    self.framing = Framing::Chunked(Chunk::Between);
                }
                true
            }
            Framing::Length(left) => {
                self.length = self.length.saturating_add(*left);
                return false;
            }
            Framing::Chunked(_) => return false,
        };
        self.length = self.length.saturating_add(missing);
        known
    }
}

enum Step {
    Go(Chunk),
    Stay,
    Over,
    Broken,
}

/// The size of a chunk: hexadecimal digits up to the first byte that is none. Blanks before it, `0x`, and what follows it that is no
/// extension are odd, and read so by browsers.
fn size(line: &[u8], odd: &mut bool) -> Option<u64> {
    let text = line.trim_ascii_start();
    let bare = text.strip_prefix(b"0x").or_else(|| text.strip_prefix(b"0X")).unwrap_or(text);
    let (digits, rest) = bare.split_at(bare.iter().take_while(|b| b.is_ascii_hexdigit()).count());
    *odd |= bare.len() < line.len() || !matches!(rest.trim_ascii_start().first(), None | Some(b';'));
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

fn step(chunk: &mut Chunk, byte: u8, odd: &mut bool) -> Step {
    match chunk {
        // An empty line before a size is passed over.
        Chunk::Size(line) if byte == b'\n' && line.trim_ascii().is_empty() => {
            *odd = true;
            line.clear();
            Step::Stay
        }
        Chunk::Size(line) if byte == b'\n' => match size(line, odd) {
            Some(0) => Step::Go(Chunk::Trailer(0, 0)),
            Some(size) => Step::Go(Chunk::Data(size)),
            None => Step::Broken,
        },
        // What cannot become a size need not be waited for.
        Chunk::Size(line) if !byte.is_ascii_whitespace() && !byte.is_ascii_hexdigit() && line.trim_ascii().is_empty() => {
            Step::Broken
        }
        Chunk::Size(line) if line.len() < MAX_LINE => {
            line.push(byte);
            Step::Stay
        }
        Chunk::Between if byte == b'\r' => Step::Stay,
        Chunk::Between if byte == b'\n' => Step::Go(Chunk::Size(Vec::new())),
        Chunk::Trailer(0, _) if byte == b'\n' => Step::Over,
        Chunk::Trailer(_, all) if byte == b'\n' => Step::Go(Chunk::Trailer(0, all.saturating_add(1))),
        Chunk::Trailer(..) if byte == b'\r' => Step::Stay,
        Chunk::Trailer(line, all) if *all < MAX_LINE => Step::Go(Chunk::Trailer(line.saturating_add(1), all.saturating_add(1))),
        Chunk::Size(_) | Chunk::Between | Chunk::Trailer(..) | Chunk::Data(_) => Step::Broken,
    }
}

#[cfg(test)]
mod tests {
    use super::super::keep::Keeping;
    use super::*;

    fn chunked() -> Body {
        Body::new(Framing::Chunked(Chunk::Size(Vec::new())), Passing::plain(&Keeping::default()))
    }

    #[test]
    fn chunks_end_where_they_say_whatever_the_segments() {
        let stream = b"3;x=y\r\nabc\r\n1\r\nd\r\n0\r\nTrailer: 1\r\n\r\nNEXT";
        for size in 1..stream.len() {
            let mut body = chunked();
            let mut used = 0;
            for part in stream.chunks(size) {
                used += body.push(part);
            }
            assert!(body.over);
            assert_eq!((body.length, used), (4, stream.len() - 4));
        }
    }

    #[test]
    fn a_size_that_is_none_breaks_the_framing() {
        let mut body = chunked();
        body.push(b"zz\r\n");
        assert!(body.broken);
        let mut body = chunked();
        body.push(b"ffffffffffffffff\r\nabc");
        assert!(!body.broken && body.length == 3);
    }

    #[test]
    fn chunks_are_read_as_browsers_read_them() {
        let sizes: [&[u8]; 7] = [b"3 x\r\n", b"\n3\r\n", b"\r\n \r\n3\r\n", b" 3\r\n", b"0x3\n", b"003;a=b\r\n", b"3 ;a\r\n"];
        for (n, line) in sizes.iter().enumerate() {
            let mut body = Body::chunked(Framing::Close, Passing::plain(&Keeping::default()));
            let stream = [line, &b"abc\r\n0\r\n\r\n"[..]].concat();
            stream.iter().for_each(|b| {
                body.push(&[*b]);
            });
            assert!(body.over && body.length == 3 && body.odd == (n < 5), "{line:?}");
        }
        // Empty lines alone do not go on for ever.
        let mut body = chunked();
        body.push(b"5\r\nab");
        assert!(!body.close());
        let mut body = chunked();
        body.push(b"1\r\na\r\n0\r\n");
        assert!(!body.over && body.close());
    }

    #[test]
    fn what_is_not_in_chunks_ends_otherwise() {
        for (otherwise, over) in [(Framing::Length(6), true), (Framing::Close, false)] {
            for text in [b"X5O!P%", b"abcdef", b"\nabcde", b"12 34\n"] {
                let mut body = Body::chunked(otherwise.clone(), Passing::plain(&Keeping::default()));
                let used: usize = text.iter().map(|b| body.push(&[*b])).sum();
                if text == b"12 34\n" {
                    // That is a size: nobody can tell.
                    assert!(!body.close() && body.length == 0);
                    continue;
                }
                assert_eq!(used, 6);
                assert!(body.close() && body.odd && body.length == 6 && !body.broken, "{text:?}");
                assert!(body.over == over, "{text:?}");
            }
        }
    }

    #[test]
    fn missing_bytes_are_counted_where_the_end_is_known() {
        let mut body = Body::new(Framing::Length(10), Passing::plain(&Keeping::default()));
        body.push(b"ab");
        assert!(body.miss(6));
        assert_eq!(body.push(b"cdNEXT"), 2);
        assert_eq!((body.length, body.over), (10, true));
        assert!(!Body::new(Framing::Length(3), Passing::plain(&Keeping::default())).miss(4));
    }
}
