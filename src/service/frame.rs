//! Frames on the socket: length, kind, number of the request, body. The length is of what follows it, so that a reader that does not know a kind
//! can still say so. A body is taken in as it comes: a length alone makes nobody set memory aside.

use crate::error::{Error, Result};
use postcard::ser_flavors::Flavor;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::{IoSlice, IoSliceMut, Write};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

/// Bytes before the body: length u32, kind u8, request u64, little endian.
pub const HEAD: usize = 13;
/// Longest body of a request: a list of some hundred thousand indicators.
pub const MAX_ASK: usize = 64 << 20;
/// Longest body of an answer; what is longer goes in pieces.
pub const MAX_ANSWER: usize = 1 << 20;
/// Bytes taken from the socket at once.
const CHUNK: usize = 64 << 10;

/// What a frame is. Numbers are never used again.
pub mod kind {
    /// Client: who it is. Always the first.
    pub const HELLO: u8 = 0;
    /// Client: a request.
    pub const ASK: u8 = 1;
    /// Client: so many bytes of an answer were used, so many more may come.
    pub const CREDIT: u8 = 2;
    /// Client: the answer is no longer wanted.
    pub const CANCEL: u8 = 3;
    /// Client: the answer to something that was asked back (a password).
    pub const BACK: u8 = 4;
    /// Server: it is taken in.
    pub const WELCOME: u8 = 16;
    /// Server: it is not, and why; then the connection ends.
    pub const REFUSED: u8 = 17;
    /// Server: records, one after another.
    pub const ROWS: u8 = 18;
    /// Server: part of an answer that is longer than a frame.
    pub const PIECE: u8 = 19;
    /// Server: how far it is; may be left out where nobody reads.
    pub const NOTE: u8 = 20;
    /// Server: the answer, or its last part.
    pub const DONE: u8 = 21;
    /// Server: the request failed, and why.
    pub const FAILED: u8 = 22;
}

/// A frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// See [`kind`].
    pub kind: u8,
    /// The request that it belongs to.
    pub id: u64,
    /// Plain data.
    pub body: Vec<u8>,
}

/// Makes frames of bytes as they come.
#[derive(Debug)]
pub struct Decoder {
    limit: usize,
    bytes: Vec<u8>,
    used: usize,
}

impl Decoder {
    /// Of frames whose body has at most so many bytes.
    pub fn new(limit: usize) -> Decoder {
        Decoder { limit, bytes: Vec::new(), used: 0 }
    }
    /// Takes bytes.
    pub fn feed(&mut self, bytes: &[u8]) {
        if self.used > 0 {
            self.bytes.drain(..self.used);
            self.used = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }
    /// The next whole frame; none: more bytes are needed. After an error nothing can be understood any more.
    pub fn whole(&mut self) -> Result<Option<Frame>> {
        let rest = &self.bytes[self.used..];
        let Some((len, _)) = rest.split_first_chunk::<4>() else { return Ok(None) };
        let len = usize::try_from(u32::from_le_bytes(*len)).unwrap_or(usize::MAX);
        let Some(body) = len.checked_sub(HEAD - 4).filter(|body| *body <= self.limit) else {
            return Err(Error::input(format!("a frame of {len} bytes: it has between {} and {}", HEAD - 4, self.limit)));
        };
        if rest.len() < HEAD + body {
            return Ok(None);
        }
        let (head, rest) = rest.split_at(HEAD);
        let id = head[5..].try_into().map_or(0, u64::from_le_bytes);
        let frame = Frame { kind: head[4], id, body: rest[..body].to_vec() };
        self.used += HEAD + body;
        // A long frame is not kept for the sake of the short ones after it.
        if self.used == self.bytes.len() && self.bytes.capacity() > 4 * CHUNK {
            (self.bytes, self.used) = (Vec::new(), 0);
        }
        Ok(Some(frame))
    }
    /// Whether bytes of a frame that is not whole are there.
    pub fn is_within(&self) -> bool {
        self.used < self.bytes.len()
    }
}

/// Reads frames, and files that are handed over with them.
pub struct Reader {
    socket: UnixStream,
    decoder: Decoder,
    chunk: Vec<u8>,
    file: Option<OwnedFd>,
}

impl Reader {
    /// Of frames whose body has at most so many bytes.
    pub fn new(socket: UnixStream, limit: usize) -> Reader {
        Reader { socket, decoder: Decoder::new(limit), chunk: vec![0; CHUNK], file: None }
    }
    /// The next frame; none: the other side has ended. A time-out of the socket is an error.
    pub fn read(&mut self) -> Result<Option<Frame>> {
        loop {
            if let Some(frame) = self.decoder.whole()? {
                return Ok(Some(frame));
            }
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
            let mut files = RecvAncillaryBuffer::new(&mut space);
            let got = recvmsg(&self.socket, &mut [IoSliceMut::new(&mut self.chunk)], &mut files, RecvFlags::CMSG_CLOEXEC);
            for message in files.drain() {
                // One file belongs to one request: others that come before it is made are closed.
                if let RecvAncillaryMessage::ScmRights(mut received) = message {
                    self.file = received.next();
                }
            }
            match got.map(|got| got.bytes) {
                Ok(0) if self.decoder.is_within() => return Err(Error::input("it ended in the middle of a frame")),
                Ok(0) => return Ok(None),
                Ok(n) => self.decoder.feed(&self.chunk[..n.min(CHUNK)]),
                Err(rustix::io::Errno::INTR) => {}
                Err(e) => return Err(Error::input(format!("the socket cannot be read: {e}"))),
            }
        }
    }
    /// The file that came last, once.
    pub fn file(&mut self) -> Option<OwnedFd> {
        self.file.take()
    }
}

/// Begins a frame; its body is appended, then it is sealed.
pub fn begin(kind: u8, id: u64) -> Vec<u8> {
    let mut out = vec![0; HEAD];
    out[4] = kind;
    out[5..].copy_from_slice(&id.to_le_bytes());
    out
}

/// Sets the length of a frame that is written.
pub fn seal(frame: &mut [u8]) {
    let len = u32::try_from(frame.len().saturating_sub(4)).unwrap_or(u32::MAX);
    if let Some(head) = frame.first_chunk_mut::<4>() {
        *head = len.to_le_bytes();
    }
}

/// A whole frame around plain data.
pub fn frame<T: Serialize + ?Sized>(kind: u8, id: u64, value: &T) -> Result<Vec<u8>> {
    let mut out = begin(kind, id);
    put(value, &mut out)?;
    seal(&mut out);
    Ok(out)
}

struct Append<'a>(&'a mut Vec<u8>);

impl Flavor for Append<'_> {
    type Output = ();
    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }
    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

/// Appends plain data.
pub fn put<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<()> {
    postcard::serialize_with_flavor(value, Append(out)).map_err(|e| Error::internal(format!("this cannot be sent: {e}")))
}

/// Reads plain data that fills the bytes.
pub fn take<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        Ok((_, rest)) => Err(Error::input(format!("{} bytes too many", rest.len()))),
        Err(e) => Err(Error::input(format!("not understood: {e}"))),
    }
}

/// Writes a whole frame.
pub fn write(mut socket: &UnixStream, frame: &[u8]) -> std::io::Result<()> {
    socket.write_all(frame)
}

/// Writes a whole frame and hands a file over with it.
pub fn write_with(socket: &UnixStream, frame: &[u8], file: BorrowedFd<'_>) -> std::io::Result<()> {
    let files = [file];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(&files)) {
        return Err(std::io::ErrorKind::InvalidInput.into());
    }
    let sent = sendmsg(socket, &[IoSlice::new(frame)], &mut control, SendFlags::NOSIGNAL)?;
    write(socket, frame.get(sent..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_whole_however_they_are_cut() {
        let long = "x".repeat(300);
        let all: Vec<u8> = [frame(kind::ASK, 7, "one").unwrap(), frame(kind::DONE, u64::MAX, long.as_str()).unwrap()].concat();
        for step in [1, 2, 5, 13, all.len()] {
            let mut decoder = Decoder::new(MAX_ANSWER);
            let mut got = Vec::new();
            for piece in all.chunks(step) {
                decoder.feed(piece);
                while let Some(frame) = decoder.whole().unwrap() {
                    got.push((frame.kind, frame.id, take::<String>(&frame.body).unwrap()));
                }
            }
            assert_eq!(got, [(kind::ASK, 7, "one".to_owned()), (kind::DONE, u64::MAX, long.clone())], "{step}");
            assert!(!decoder.is_within());
        }
    }

    #[test]
    fn a_length_that_is_too_long_or_too_short_is_refused_before_memory_is_set_aside() {
        for len in [0u32, 8, 1 << 20, u32::MAX] {
            let mut decoder = Decoder::new(1000);
            decoder.feed(&len.to_le_bytes());
            assert!(decoder.whole().is_err(), "{len}");
            assert!(decoder.bytes.capacity() < 100);
        }
        let mut decoder = Decoder::new(1000);
        decoder.feed(&1009u32.to_le_bytes());
        assert_eq!(decoder.whole().unwrap(), None);
    }

    #[test]
    fn a_file_goes_with_a_frame() {
        let (one, other) = UnixStream::pair().unwrap();
        let (mut reader, mut writer) = std::io::pipe().unwrap();
        writer.write_all(b"seen").unwrap();
        drop(writer);
        write_with(&one, &frame(kind::ASK, 1, "here").unwrap(), std::os::fd::AsFd::as_fd(&reader)).unwrap();
        let mut frames = Reader::new(other, MAX_ASK);
        assert_eq!(frames.read().unwrap().unwrap().id, 1);
        let mut file = std::fs::File::from(frames.file().unwrap());
        let mut text = String::new();
        std::io::Read::read_to_string(&mut file, &mut text).unwrap();
        assert_eq!((text.as_str(), frames.file().is_none()), ("seen", true));
        assert_eq!(std::io::Read::read(&mut reader, &mut [0; 8]).unwrap(), 0);
        drop(one);
        assert_eq!(frames.read().unwrap(), None);
    }
}
