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
    /// The file.
    pub file: Passing,
}

impl Body {
    /// A body that begins.
    pub fn new(framing: Framing, mut file: Passing) -> Body {
        if let Framing::Length(length) = framing {
            file.state(length);
        }
        Body { over: framing == Framing::Length(0), framing, length: 0, broken: false, file }
    }
    /// Whether it lasts as long as the connection.
    pub fn until_close(&self) -> bool {
        self.framing == Framing::Close
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
                    match step(chunk, *byte) {
                        Step::Go(next) => *chunk = next,
                        Step::Stay => {}
                        Step::Over => self.over = true,
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

fn step(chunk: &mut Chunk, byte: u8) -> Step {
    match chunk {
        Chunk::Size(line) if byte == b'\n' => {
            let digits = line.split(|b| *b == b';').next().unwrap_or_default().trim_ascii();
            let size = std::str::from_utf8(digits).ok().and_then(|d| u64::from_str_radix(d, 16).ok());
            match size {
                Some(0) => Step::Go(Chunk::Trailer(0, 0)),
                Some(size) => Step::Go(Chunk::Data(size)),
                None => Step::Broken,
            }
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
    fn missing_bytes_are_counted_where_the_end_is_known() {
        let mut body = Body::new(Framing::Length(10), Passing::plain(&Keeping::default()));
        body.push(b"ab");
        assert!(body.miss(6));
        assert_eq!(body.push(b"cdNEXT"), 2);
        assert_eq!((body.length, body.over), (10, true));
        assert!(!Body::new(Framing::Length(3), Passing::plain(&Keeping::default())).miss(4));
    }
}
