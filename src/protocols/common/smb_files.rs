//! The files whose content passes in one SMB conversation. A file that is read or written from its beginning to its end is hashed while it
//! passes; content may come a little out of order. Of what was left out, not read to its end, or written over there is no hash, but the size
//! that was seen, and why.

use super::fields::Fields;
use super::file::Passing;
use super::keep::Keeping;
use super::rpc_calls;
use super::smb_content::{Content, FileId};
use super::smb_message::Opened;
use crate::model::field;
use crate::model::record::Kind;
use crate::protocols::{At, Out};
use std::collections::BTreeMap;

/// Files that are open at a time.
const MAX_OPEN: usize = 512;
/// Requests that wait for their answer.
const MAX_ASKED: usize = 1024;
/// Bytes of a conversation that wait for those before them.
const MAX_WAITING: usize = 1 << 20;
/// Pieces of a file that wait.
const MAX_PIECES: usize = 4096;

const END_OF_FILE: u32 = 0xc000_0011;
/// A server opened what was there, and did not cut it.
const OPENED: u32 = 1;

/// Which way content goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Read,
    Written,
}

/// Content that is coming.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    file: FileId,
    way: Way,
    offset: u64,
    /// Bytes that are still to come.
    pub left: u64,
}

impl Target {
    /// Bytes of it are missing.
    pub fn skip(&mut self, missing: u64) {
        self.offset = self.offset.saturating_add(missing.min(self.left));
        self.left = self.left.saturating_sub(missing);
    }
}

/// What passes of a file in one direction.
struct Passage {
    passing: Passing,
    first: At,
    last: At,
    /// Where the part ends that was hashed.
    next: u64,
    /// Where the farthest byte seen ends.
    far: u64,
    waiting: BTreeMap<u64, Vec<u8>>,
    /// The server said that the file ends here.
    end: Option<u64>,
    /// Why there will be no hash.
    why: Option<&'static str>,
}

#[derive(Default)]
struct File {
    /// A pipe or directory: what passes is no file's content.
    none: bool,
    share: String,
    name: String,
    /// Length when it was opened, unless it was cut then.
    size: Option<u64>,
    /// Length that a client set.
    set: Option<u64>,
    read: Option<Passage>,
    written: Option<Passage>,
}

#[derive(Debug, Clone, Copy)]
enum Asked {
    Read { file: FileId, offset: u64, length: u64 },
    Write(FileId),
    Close(FileId),
}

/// See the module.
#[derive(Default)]
pub struct Files {
    open: BTreeMap<FileId, File>,
    asked: BTreeMap<u64, Asked>,
    waiting: usize,
}

/// A file whose opening was asked in the same frame, until the server gives it a number.
pub fn unnamed(create: u64) -> FileId {
    (u64::MAX, create)
}

impl Files {
    /// A server opened a file. `create`: number of the request. `none`: it is a pipe or a directory.
    pub fn opened(&mut self, create: u64, opened: Opened, share: &str, name: &str, none: bool, out: &mut Out) {
        let known = self.open.remove(&unnamed(create)).unwrap_or_default();
        for asked in self.asked.values_mut() {
            match asked {
                Asked::Read { file, .. } | Asked::Write(file) | Asked::Close(file) if *file == unnamed(create) => {
                    *file = opened.file
                }
                _ => {}
            }
        }
        // The number is used again: what had it is over.
        if let Some(before) = self.open.remove(&opened.file) {
            self.give(before, false, out);
        }
        self.room(out);
        let size = (opened.action == OPENED).then_some(opened.size);
        let file = File { none, share: share.to_owned(), name: name.to_owned(), size, ..known };
        self.open.insert(opened.file, file);
    }
    /// A server did not open it: what was written to it in the same frame went nowhere.
    pub fn refused(&mut self, create: u64) {
        if let Some(file) = self.open.remove(&unnamed(create)) {
            self.forget_waiting(&file);
        }
    }
    fn forget_waiting(&mut self, file: &File) {
        let all = [&file.read, &file.written];
        let waiting: usize = all.into_iter().flatten().flat_map(|p| p.waiting.values()).map(Vec::len).sum();
        self.waiting = self.waiting.saturating_sub(waiting);
    }
    fn room(&mut self, out: &mut Out) {
        while self.open.len() >= MAX_OPEN {
            let Some((_, file)) = self.open.pop_first() else { return };
            out.partial = true;
            self.give(file, false, out);
        }
    }
    fn ask(&mut self, id: u64, asked: Asked, out: &mut Out) {
        if self.asked.len() >= MAX_ASKED {
            out.partial = true;
            self.asked.pop_first();
        }
        self.asked.insert(id, asked);
    }
    /// The file of a number; one whose opening was not seen is begun.
    fn file(&mut self, id: FileId, share: Option<&str>, out: &mut Out) -> &mut File {
        if !self.open.contains_key(&id) {
            self.room(out);
        }
        let share = share.unwrap_or_default();
        let begun = || File { share: share.to_owned(), none: is_pipes(share), ..File::default() };
        self.open.entry(id).or_insert_with(begun)
    }

    /// A message about content, of a tree whose share may be known. Gives what is to be done with the content that it carries.
    pub fn content(&mut self, content: Content, share: Option<&str>, at: At, out: &mut Out) -> Option<Target> {
        match content {
            Content::Read { id, file, offset, length } => {
                self.file(file, share, out);
                self.ask(id, Asked::Read { file, offset, length }, out);
                None
            }
            Content::Write { id, file, offset, data } => {
                self.file(file, share, out);
                self.ask(id, Asked::Write(file), out);
                Some(Target { file, way: Way::Written, offset, left: data.1 })
            }
            Content::Size { file, size } => {
                self.file(file, share, out).set = Some(size);
                None
            }
            Content::Close { id, file } => {
                self.ask(id, Asked::Close(file), out);
                None
            }
            Content::Answer { id, status, data } => {
                let Some(Asked::Read { file, offset, length }) = self.asked.remove(&id) else { return None };
                // SMB 1 answers with nothing.
                if status == END_OF_FILE || (status == 0 && data.1 == 0) {
                    self.ends(file, offset);
                } else if data.1 > 0 {
                    if data.1 < length {
                        // Less than was asked: the file ends there.
                        self.passage(file, Way::Read, at, &out.keeping)?.end = Some(offset.saturating_add(data.1));
                    }
                    return Some(Target { file, way: Way::Read, offset, left: data.1 });
                }
                None
            }
            Content::Written { id, status } => {
                if let Some(Asked::Write(file)) = self.asked.remove(&id)
                    && status & 0xc000_0000 == 0xc000_0000
                    && let Some(passage) = self.open.get_mut(&file).and_then(|f| f.written.as_mut())
                {
                    passage.why.get_or_insert("a write was refused");
                }
                None
            }
            Content::Closed { id } => {
                if let Some(Asked::Close(file)) = self.asked.remove(&id)
                    && let Some(file) = self.open.remove(&file)
                {
                    self.give(file, true, out);
                }
                None
            }
        }
    }
    /// A read met the end of a file, at or before an offset.
    fn ends(&mut self, file: FileId, offset: u64) {
        if let Some(passage) = self.open.get_mut(&file).and_then(|f| f.read.as_mut())
            && passage.next == offset
        {
            passage.end = Some(offset);
        }
    }
    fn passage(&mut self, file: FileId, way: Way, at: At, keeping: &Keeping) -> Option<&mut Passage> {
        let file = self.open.get_mut(&file).filter(|f| !f.none)?;
        let slot = if way == Way::Read { &mut file.read } else { &mut file.written };
        Some(slot.get_or_insert_with(|| Passage {
            passing: Passing::plain(keeping),
            first: at,
            last: at,
            next: 0,
            far: 0,
            waiting: BTreeMap::new(),
            end: None,
            why: None,
        }))
    }

    /// Content comes.
    pub fn data(&mut self, target: &mut Target, bytes: &[u8], at: At, out: &mut Out) {
        let offset = target.offset;
        target.skip(bytes.len() as u64);
        // Where the share was not seen, a pipe is told by what it carries.
        if let Some(file) = self.open.get_mut(&target.file)
            && file.share.is_empty()
            && file.read.is_none()
            && file.written.is_none()
            && bytes.len() >= 8
        {
            file.none |= rpc_calls::looks(bytes, rpc_calls::ASKED) || rpc_calls::looks(bytes, rpc_calls::ANSWERED);
        }
        let mut waiting = self.waiting;
        let Some(passage) = self.passage(target.file, target.way, at, &out.keeping) else { return };
        passage.take(offset, bytes, target.way, at, &mut waiting);
        self.waiting = waiting;
    }

    /// Bytes that wait for those before them.
    pub fn held(&self) -> usize {
        self.waiting
    }
    /// Lets go the bytes that wait: of their files there will be no hash.
    pub fn relieve(&mut self) {
        for passage in self.open.values_mut().flat_map(|f| [&mut f.read, &mut f.written]).flatten() {
            for (offset, bytes) in std::mem::take(&mut passage.waiting) {
                passage.why.get_or_insert("out of order");
                passage.passing.put(offset, &bytes);
            }
        }
        self.waiting = 0;
    }

    /// The conversation is over.
    pub fn end(&mut self, out: &mut Out) {
        for (_, file) in std::mem::take(&mut self.open) {
            self.give(file, false, out);
        }
    }

    /// Tells what passed of a file. `closed`: it was closed, so that what was written is all that was written.
    fn give(&mut self, file: File, closed: bool, out: &mut Out) {
        self.forget_waiting(&file);
        let File { none, share, name, size, set, read, written } = file;
        if none {
            return;
        }
        for (way, passage) in [(Way::Read, read), (Way::Written, written)] {
            let Some(passage) = passage else { continue };
            let whole = match way {
                Way::Read => size,
                Way::Written => set.max(size),
            };
            let ended = match way {
                Way::Read => whole.or(passage.end).is_some_and(|end| passage.next >= end),
                Way::Written => whole.is_none_or(|end| passage.next >= end) && (closed || set == Some(passage.next)),
            };
            let mut fields = Fields::default();
            fields.text(field::APP, "smb");
            fields.text(field::SHARE, &share);
            fields.text(field::FILE_NAME, &name);
            let (action, direction) = if way == Way::Read { ("read", "in") } else { ("written", "out") };
            fields.text(field::ACTION, action);
            fields.text(field::DIRECTION_STATED, direction);
            passage.finish(ended, whole, fields, out);
        }
    }
}

/// Whether a share is that of the named pipes.
pub fn is_pipes(share: &str) -> bool {
    share.to_ascii_uppercase().ends_with("IPC$")
}

impl Passage {
    fn take(&mut self, offset: u64, bytes: &[u8], way: Way, at: At, waiting: &mut usize) {
        self.last = at;
        let end = offset.saturating_add(bytes.len() as u64);
        self.far = self.far.max(end);
        if offset > self.next {
            if waiting.saturating_add(bytes.len()) > MAX_WAITING || self.waiting.len() >= MAX_PIECES {
                self.why.get_or_insert("out of order");
                self.passing.put(offset, bytes);
                return;
            }
            let before = self.waiting.insert(offset, bytes.to_vec()).map_or(0, |b| b.len());
            *waiting = waiting.saturating_add(bytes.len()).saturating_sub(before);
            return;
        }
        self.append(offset, bytes, way);
        while let Some(entry) = self.waiting.first_entry().filter(|e| *e.key() <= self.next) {
            let (offset, bytes) = entry.remove_entry();
            *waiting = waiting.saturating_sub(bytes.len());
            self.append(offset, &bytes, way);
        }
    }
    /// Content that begins at or before what comes next. Read again it is the same; written again it may be another.
    fn append(&mut self, offset: u64, bytes: &[u8], way: Way) {
        let known = usize::try_from(self.next.saturating_sub(offset)).unwrap_or(usize::MAX).min(bytes.len());
        let (again, fresh) = bytes.split_at(known);
        if !again.is_empty() && way == Way::Written {
            self.why.get_or_insert("written over");
            self.passing.put(offset, again);
        }
        if !fresh.is_empty() {
            self.passing.push(fresh);
            self.next = self.next.saturating_add(fresh.len() as u64);
        }
    }
    fn finish(mut self, ended: bool, whole: Option<u64>, mut fields: Fields, out: &mut Out) {
        if !self.waiting.is_empty() {
            self.why.get_or_insert("bytes are missing");
        }
        for (offset, bytes) in &self.waiting {
            self.passing.put(*offset, bytes);
        }
        if !ended {
            self.why.get_or_insert("not to its end");
        }
        let length = whole.unwrap_or(0).max(self.far).max(self.end.unwrap_or(0));
        self.passing.state(length);
        if let Some(why) = self.why {
            fields.text(field::EXTRA, &serde_json::json!({"partial": why, "of": length}).to_string());
        }
        self.passing.finish(self.why.is_none(), &mut fields);
        out.events.push(fields.event(Kind::File, self.first, self.last));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Time;

    const AT: At = At { time: Time(1), offset: 1 };
    const FILE: FileId = (1, 2);
    const ABC: &str = "sha256=ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn opened(action: u32, size: u64) -> Opened {
        Opened { action, size, directory: false, file: FILE }
    }
    fn write(files: &mut Files, out: &mut Out, offset: u64, text: &str) {
        let content = Content::Write { id: offset, file: FILE, offset, data: (0, text.len() as u64) };
        let mut target = files.content(content, Some("\\\\a\\b"), AT, out).unwrap();
        text.as_bytes().chunks(2).for_each(|b| files.data(&mut target, b, AT, out));
    }
    fn close(files: &mut Files, out: &mut Out) -> String {
        files.content(Content::Close { id: 999, file: FILE }, None, AT, out);
        files.content(Content::Closed { id: 999 }, None, AT, out);
        files.end(out);
        assert_eq!(files.waiting, 0);
        let shown = |e: &crate::protocols::Understood| {
            e.fields.iter().map(|(f, v)| format!("{}={v} ", field::name(*f))).collect::<String>()
        };
        out.events.drain(..).map(|e| shown(&e)).collect()
    }

    #[test]
    fn what_is_written_in_order_or_nearly_so_is_hashed() {
        for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2], [0, 2, 1]] {
            let (mut files, mut out) = (Files::default(), Out::default());
            files.opened(1, opened(2, 0), "\\\\a\\b", "x", false, &mut out);
            for n in order {
                write(&mut files, &mut out, n, &"abc"[n as usize..=n as usize]);
            }
            let said = close(&mut files, &mut out);
            assert!(said.contains(ABC) && said.contains("file.size=3") && !said.contains("partial"), "{said}");
        }
    }

    #[test]
    fn what_is_not_all_of_a_file_has_no_hash_and_says_why() {
        // Size when opened, size set, what is written, and why there is no hash.
        type Written = [(u64, &'static str)];
        let cases: [(u64, Option<u64>, &Written, &str); 5] = [
            (0, Some(4), &[(0, "abc")], "not to its end"),
            (9, None, &[(0, "abc")], "not to its end"),
            (0, None, &[(1, "bc")], "bytes are missing"),
            (0, None, &[(0, "abc"), (1, "b")], "written over"),
            (0, None, &[(0, "ab"), (5, "c")], "bytes are missing"),
        ];
        for (size, set, parts, why) in cases {
            let (mut files, mut out) = (Files::default(), Out::default());
            files.opened(1, opened(1, size), "\\\\a\\b", "x", false, &mut out);
            if let Some(size) = set {
                files.content(Content::Size { file: FILE, size }, None, AT, &mut out);
            }
            parts.iter().for_each(|(at, text)| write(&mut files, &mut out, *at, text));
            let said = close(&mut files, &mut out);
            assert!(said.contains(why) && !said.contains("sha256"), "{why}: {said}");
        }
        // The connection broke before the file was closed.
        let (mut files, mut out) = (Files::default(), Out::default());
        files.opened(1, opened(2, 0), "\\\\a\\b", "x", false, &mut out);
        write(&mut files, &mut out, 0, "abc");
        files.end(&mut out);
        assert!(!out.events[0].fields.iter().any(|(f, _)| *f == field::SHA256));
    }

    #[test]
    fn reads_that_overlap_are_one_file_and_its_end_is_known_in_three_ways() {
        let read = |files: &mut Files, out: &mut Out, id, offset: u64, length, text: &str| {
            files.content(Content::Read { id, file: FILE, offset, length }, Some("\\\\a\\b"), AT, out);
            let (status, data) = if text.is_empty() { (END_OF_FILE, (0, 0)) } else { (0, (0, text.len() as u64)) };
            if let Some(mut target) = files.content(Content::Answer { id, status, data }, None, AT, out) {
                files.data(&mut target, text.as_bytes(), AT, out);
            }
        };
        for way in 0..3 {
            let (mut files, mut out) = (Files::default(), Out::default());
            if way == 0 {
                files.opened(1, opened(1, 3), "\\\\a\\b", "x", false, &mut out);
            }
            read(&mut files, &mut out, 1, 0, 2, "ab");
            read(&mut files, &mut out, 2, 1, if way == 1 { 9 } else { 2 }, "bc");
            if way == 2 {
                read(&mut files, &mut out, 3, 3, 9, "");
            }
            let said = close(&mut files, &mut out);
            assert!(said.contains(ABC), "{way}: {said}");
        }
        // Nobody said where it ends.
        let (mut files, mut out) = (Files::default(), Out::default());
        read(&mut files, &mut out, 1, 0, 3, "abc");
        assert!(!close(&mut files, &mut out).contains("sha256"));
    }

    #[test]
    fn what_waits_is_bounded() {
        let (mut files, mut out) = (Files::default(), Out::default());
        files.opened(1, opened(2, 0), "\\\\a\\b", "x", false, &mut out);
        let long = "x".repeat(MAX_WAITING / 2 + 1);
        for n in 1..4 {
            let content = Content::Write { id: n, file: FILE, offset: n << 32, data: (0, long.len() as u64) };
            let mut target = files.content(content, None, AT, &mut out).unwrap();
            files.data(&mut target, long.as_bytes(), AT, &mut out);
        }
        assert!(files.waiting <= MAX_WAITING);
        let said = close(&mut files, &mut out);
        assert!(said.contains("out of order") && said.contains(&format!("file.size={}", 3 * long.len())), "{said}");
        for n in 0..2 * MAX_OPEN as u64 {
            files.content(Content::Read { id: n, file: (n, n), offset: 0, length: 1 }, None, AT, &mut out);
        }
        assert!(files.open.len() <= MAX_OPEN && files.asked.len() <= MAX_ASKED);
    }

    #[test]
    fn what_waits_is_let_go_when_asked_and_counted_until_then() {
        let (mut files, mut out) = (Files::default(), Out::default());
        files.opened(1, opened(2, 0), "\\\\a\\b", "x", false, &mut out);
        write(&mut files, &mut out, 1, "bc");
        assert_eq!(files.held(), 2);
        files.relieve();
        assert_eq!(files.held(), 0);
        write(&mut files, &mut out, 0, "abc");
        let said = close(&mut files, &mut out);
        assert!(said.contains("out of order") && !said.contains("sha256"), "{said}");
    }

    #[test]
    fn a_pipe_is_no_file() {
        let (mut files, mut out) = (Files::default(), Out::default());
        let rpc = "\u{5}\0\u{b}\u{3}\u{10}\0\0\0\u{48}\0\0\0\u{1}\0\0\0";
        let content = Content::Write { id: 1, file: FILE, offset: 0, data: (0, 16) };
        let mut target = files.content(content, None, AT, &mut out).unwrap();
        files.data(&mut target, rpc.as_bytes(), AT, &mut out);
        assert_eq!(close(&mut files, &mut out), "");
        write(&mut files, &mut out, 0, "abc");
        let said = close(&mut files, &mut out);
        assert!(said.contains("share=\\\\a\\b") && said.contains(ABC), "{said}");
    }
}
