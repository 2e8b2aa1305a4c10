//! What SMB messages say of the content of files: reads, writes, sizes that are set, closes (MS-SMB2 2.2.15 to 2.2.22, 2.2.39; MS-CIFS
//! 2.2.4.5, 2.2.4.42, 2.2.4.43). Knows no stream and no state; content itself is named by where it stands in its frame.

use super::bytes::Bytes;

/// A file that a server opened: two numbers of SMB 2 (persistent, volatile), or the one of SMB 1 and zero.
pub type FileId = (u64, u64);

/// The information class of a file's end (MS-FSCC, FileEndOfFileInformation).
const END_OF_FILE: u8 = 20;

/// Where content stands: offset in the frame, length. It may reach beyond what is kept of the frame.
pub type Span = (usize, u64);

/// A message about content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// Asks for bytes.
    Read {
        /// Number of the request.
        id: u64,
        /// File.
        file: FileId,
        /// Offset in the file.
        offset: u64,
        /// Most bytes wanted.
        length: u64,
    },
    /// Answers a read.
    Answer {
        /// Number of the request.
        id: u64,
        /// NT status.
        status: u32,
        /// The bytes.
        data: Span,
    },
    /// Writes bytes.
    Write {
        /// Number of the request.
        id: u64,
        /// File.
        file: FileId,
        /// Offset in the file.
        offset: u64,
        /// The bytes.
        data: Span,
    },
    /// Answers a write.
    Written {
        /// Number of the request.
        id: u64,
        /// NT status.
        status: u32,
    },
    /// Sets where a file ends.
    Size {
        /// File.
        file: FileId,
        /// Bytes.
        size: u64,
    },
    /// Closes a file.
    Close {
        /// Number of the request.
        id: u64,
        /// File.
        file: FileId,
    },
    /// Answers a close.
    Closed {
        /// Number of the request.
        id: u64,
    },
}

impl Content {
    /// Where the content stands that it carries.
    pub fn data(&self) -> Span {
        match self {
            Content::Answer { data, .. } | Content::Write { data, .. } => *data,
            _ => (0, 0),
        }
    }
    /// The file that it names.
    pub fn file(&self) -> Option<FileId> {
        match self {
            Content::Read { file, .. }
            | Content::Write { file, .. }
            | Content::Size { file, .. }
            | Content::Close { file, .. } => Some(*file),
            Content::Answer { .. } | Content::Written { .. } | Content::Closed { .. } => None,
        }
    }
}

/// What goes before the body of a message.
#[derive(Debug, Clone, Copy)]
pub struct Head {
    /// Where the message begins in its frame.
    pub base: usize,
    /// Command.
    pub command: u16,
    /// It answers.
    pub reply: bool,
    /// NT status.
    pub status: u32,
    /// Number of the request.
    pub id: u64,
    /// The file that a chained request means by all ones: that of the request before.
    pub related: Option<FileId>,
}

/// Of a message of SMB 2 that begins with `m`.
pub fn of2(m: &[u8], head: Head) -> Option<Content> {
    let at = |offset: usize| m.get(offset.saturating_add(64)..).map(Bytes::new);
    let id = head.id;
    let file = |offset: usize| {
        let mut b = at(offset)?;
        let named = (b.u64_le()?, b.u64_le()?);
        if named == (u64::MAX, u64::MAX) { head.related } else { Some(named) }
    };
    let span = |offset: usize, length: u32| Some((head.base.checked_add(offset)?, u64::from(length)));
    Some(match (head.command, head.reply) {
        (6, false) => Content::Close { id, file: file(8)? },
        (6, true) => Content::Closed { id },
        (8, false) => Content::Read { id, file: file(16)?, offset: at(8)?.u64_le()?, length: u64::from(at(4)?.u32_le()?) },
        (8, true) if head.status & 0xc000_0000 == 0xc000_0000 => Content::Answer { id, status: head.status, data: (0, 0) },
        (8, true) => Content::Answer { id, status: head.status, data: span(usize::from(at(2)?.u8()?), at(4)?.u32_le()?)? },
        (9, false) => {
            let data = span(usize::from(at(2)?.u16_le()?), at(4)?.u32_le()?)?;
            Content::Write { id, file: file(16)?, offset: at(8)?.u64_le()?, data }
        }
        (9, true) => Content::Written { id, status: head.status },
        (17, false) if at(2)?.array::<2>()? == [1, END_OF_FILE] => {
            let start = usize::from(at(8)?.u16_le()?);
            Content::Size { file: file(16)?, size: Bytes::new(m.get(start..)?).u64_le()? }
        }
        _ => return None,
    })
}

/// Of a message of SMB 1 with these parameter words.
pub fn of1(words: &[u8], head: Head) -> Option<Content> {
    let word = |at: usize| Some(u64::from(Bytes::new(words.get(at..)?).u16_le()?));
    let long = |at: usize| Some(u64::from(Bytes::new(words.get(at..)?).u32_le()?));
    let id = head.id;
    let file = |at: usize| Some((word(at)?, 0));
    // The upper half of an offset stands only in the longer form.
    let offset = |high: usize| Some(long(6)? | long(high).unwrap_or(0) << 32);
    let span = |start: u64, length: u64| Some((head.base.checked_add(usize::try_from(start).ok()?)?, length));
    Some(match (head.command, head.reply) {
        (0x04, false) => Content::Close { id, file: file(0)? },
        (0x04, true) => Content::Closed { id },
        (0x2e, false) => Content::Read { id, file: file(4)?, offset: offset(20)?, length: word(10)? | (word(14)? & 0xff) << 16 },
        (0x2e, true) if words.len() < 24 => Content::Answer { id, status: head.status.max(1), data: (0, 0) },
        (0x2e, true) => Content::Answer { id, status: head.status, data: span(word(12)?, word(10)? | word(14)? << 16)? },
        (0x2f, false) => {
            Content::Write { id, file: file(4)?, offset: offset(24)?, data: span(word(22)?, word(20)? | word(18)? << 16)? }
        }
        (0x2f, true) => Content::Written { id, status: head.status },
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(command: u16, reply: bool) -> Head {
        Head { base: 100, command, reply, status: 0, id: 7, related: Some((u64::MAX, 3)) }
    }

    #[test]
    fn reads_and_writes_of_smb_2_say_where_content_stands() {
        let mut m = vec![0; 64];
        m.extend([49, 0, 112, 0, 5, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0]);
        m.extend([0xff; 16]);
        let written = Content::Write { id: 7, file: (u64::MAX, 3), offset: 9, data: (212, 5) };
        assert_eq!(of2(&m, head(9, false)), Some(written));
        let mut m = vec![0; 64];
        m.extend([17, 0, 80, 0, 0, 0, 1, 0]);
        assert_eq!(of2(&m, head(8, true)), Some(Content::Answer { id: 7, status: 0, data: (180, 65_536) }));
        assert_eq!(of2(&m[..70], head(8, true)), None);
    }

    #[test]
    fn offsets_of_smb_1_have_two_halves() {
        let mut words = vec![0xff, 0, 0, 0, 5, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2, 0, 64, 0];
        let short = Content::Write { id: 7, file: (5, 0), offset: 1, data: (164, 65_538) };
        assert_eq!(of1(&words, head(0x2f, false)), Some(short));
        words.extend([1, 0, 0, 0]);
        let long = Content::Write { id: 7, file: (5, 0), offset: 1 | 1 << 32, data: (164, 65_538) };
        assert_eq!(of1(&words, head(0x2f, false)), Some(long));
    }
}
