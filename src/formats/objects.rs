//! The JSON objects of a stream, one by one: whole lines, objects over several lines, the elements of an array, and those of the arrays in
//! which exports hold their records (`{"hits":{"hits":[...]}}`).
//!
//! Knows no format. One pass over the bytes without recursion. An object that is too long, nests too deep or breaks off is said, and the
//! scan goes on at the next one: a string never spans lines, and no object begins where a value has just ended.

use super::{Out, Status, Unit};
use crate::model::oddity::Oddity;
use std::io::BufRead;

/// Longest object.
const OBJECT_MAX: usize = 8 << 20;
/// Deepest nesting that is followed.
const DEPTH_MAX: usize = 512;
/// Longest key that is remembered.
const KEY_MAX: usize = 64;

/// What a stream holds next.
#[derive(Debug, PartialEq)]
pub(super) enum Found {
    /// An object with its offset.
    Object(String, u64),
    /// Something that is no object: what is wrong with it and where it began.
    Bad(&'static str, u64),
    /// The stream is over.
    Over,
}

/// The objects of a stream.
pub(super) struct Objects<'a> {
    input: &'a mut dyn BufRead,
    scan: Scan,
    /// Offset of the next byte.
    at: u64,
}

impl<'a> Objects<'a> {
    /// Of a stream from its first byte. `holders` are the keys, outermost first, of the arrays whose elements are wanted.
    pub fn new(input: &'a mut dyn BufRead, holders: &'static [&'static str]) -> Objects<'a> {
        Objects { input, scan: Scan { holders, ..Scan::default() }, at: 0 }
    }
    /// The next one.
    pub fn next(&mut self) -> Found {
        loop {
            let chunk = match self.input.fill_buf() {
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
                Ok(chunk) => chunk,
                Err(_) => &[],
            };
            if chunk.is_empty() {
                return match std::mem::take(&mut self.scan.stack).is_empty() {
                    true => Found::Over,
                    false => Found::Bad("json_cut", self.scan.start),
                };
            }
            let mut used = 0;
            let mut found = None;
            for b in chunk {
                found = self.scan.byte(*b, self.at + used as u64);
                used += 1;
                if found.is_some() {
                    break;
                }
            }
            self.input.consume(used);
            self.at += used as u64;
            if let Some(found) = found {
                return found;
            }
        }
    }
}

/// Reads every object of a stream as a unit; what is no object is a failed one.
pub(super) fn read_each(
    input: &mut dyn BufRead,
    holders: &'static [&'static str],
    each: &mut dyn FnMut(Status, Out) -> bool,
    read: &mut dyn FnMut(&str, Unit, &mut Out) -> Status,
) {
    let mut objects = Objects::new(input, holders);
    loop {
        let (found, offset) = match objects.next() {
            Found::Object(text, offset) => (Ok(text), offset),
            Found::Bad(what, offset) => (Err(what), offset),
            Found::Over => return,
        };
        let unit = Unit { offset, line: 0 };
        let mut out = Out { unit, ..Out::default() };
        let status = match found {
            Ok(text) => read(&text, unit, &mut out),
            Err(what) => {
                out.oddities.push(Oddity::at(what, format!("byte {offset}")));
                Status::Failed
            }
        };
        if !each(status, out) {
            return;
        }
    }
}

/// An object that is none: said and failed.
pub(super) fn malformed(unit: Unit, out: &mut Out) -> Status {
    out.oddities.push(Oddity::at("json_malformed", format!("byte {}", unit.offset)));
    Status::Failed
}

/// An open array or object.
struct Level {
    array: bool,
    /// Of an object: its last key.
    key: Vec<u8>,
}

#[derive(Default)]
struct Scan {
    holders: &'static [&'static str],
    /// What is open, outermost first.
    stack: Vec<Level>,
    /// How many of it are outside of the objects that are wanted.
    outside: usize,
    /// The array that is wanted is over: the rest of its wrapper is not.
    after: bool,
    /// The object that is put together, if one is open, and where it began.
    text: Option<Vec<u8>>,
    start: u64,
    quoted: bool,
    escaped: bool,
    /// The last string, as long as it may be a key.
    word: Vec<u8>,
    /// The last byte outside of strings that is no white space.
    last: u8,
    /// Something that is no JSON was met in this line.
    junk: bool,
}

impl Scan {
    fn byte(&mut self, b: u8, at: u64) -> Option<Found> {
        let bad = match b {
            b'\n' if self.quoted => self.broken(),
            b'{' | b'[' | b'"' if !self.quoted && self.text.is_some() && !matches!(self.last, b':' | b',' | b'[' | b'{') => {
                self.broken()
            }
            _ => None,
        };
        if let Some(text) = &mut self.text {
            text.push(b);
            if text.len() > OBJECT_MAX {
                return self.give_up("json_too_long");
            }
        }
        if self.quoted {
            match b {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.quoted = false,
                _ if self.word.len() < KEY_MAX => self.word.push(b),
                _ => {}
            }
            return bad;
        }
        let found = match b {
            b'"' => {
                self.quoted = true;
                self.word.clear();
                None
            }
            b':' => {
                if let Some(level) = self.stack.last_mut() {
                    level.key.clone_from(&self.word);
                }
                None
            }
            b'{' | b'[' => self.open(b, at),
            b'}' | b']' => self.close(),
            b'\n' => {
                self.junk = false;
                None
            }
            _ if self.stack.is_empty() && !b.is_ascii_whitespace() && b != b',' && !self.junk => {
                self.junk = true;
                // A byte order mark is none.
                (b.is_ascii()).then_some(Found::Bad("json_malformed", at))
            }
            _ => None,
        };
        if !b.is_ascii_whitespace() {
            self.last = b;
        }
        bad.or(found)
    }

    fn open(&mut self, b: u8, at: u64) -> Option<Found> {
        let array = b == b'[';
        if array && self.is_wanted() {
            // What was put together is only the wrapper.
            self.text = None;
            self.outside = self.stack.len() + 1;
        } else if !array && self.stack.len() == self.outside && !self.after {
            (self.text, self.start) = (Some(vec![b]), at);
        }
        self.stack.push(Level { array, key: Vec::new() });
        (self.stack.len() > DEPTH_MAX).then(|| self.give_up("json_too_deep")).flatten()
    }

    /// Whether an array that opens now holds the objects that are wanted: one at the top, or under the keys of the holders.
    fn is_wanted(&self) -> bool {
        let levels = self.stack.iter().filter(|l| !l.array);
        let under = !self.holders.is_empty()
            && levels.clone().count() >= self.holders.len()
            && levels.rev().zip(self.holders.iter().rev()).all(|(level, holder)| level.key == holder.as_bytes());
        !self.after && (self.stack.is_empty() || under && self.outside == 0)
    }

    fn close(&mut self) -> Option<Found> {
        self.stack.pop()?;
        let depth = self.stack.len();
        if depth == 0 {
            (self.outside, self.after) = (0, false);
        } else if depth < self.outside {
            (self.outside, self.after) = (0, true);
        }
        if depth > self.outside {
            return None;
        }
        let text = self.text.take()?;
        Some(Found::Object(String::from_utf8_lossy(&text).into_owned(), self.start))
    }

    /// The object that is open can not go on like this: what comes next is looked at anew.
    fn broken(&mut self) -> Option<Found> {
        self.give_up("json_malformed")
    }

    fn give_up(&mut self, what: &'static str) -> Option<Found> {
        self.stack.truncate(self.outside);
        self.text = None;
        (self.quoted, self.escaped) = (false, false);
        Some(Found::Bad(what, self.start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, buffer: usize) -> Vec<String> {
        let mut input = std::io::BufReader::with_capacity(buffer, text.as_bytes());
        let mut objects = Objects::new(&mut input, &["hits", "hits"]);
        let mut all = Vec::new();
        loop {
            match objects.next() {
                Found::Object(text, at) => all.push(format!("{at} {text}")),
                Found::Bad(what, at) => all.push(format!("{at} {what}")),
                Found::Over => return all,
            }
        }
    }

    #[test]
    fn objects_are_found_wherever_exports_put_them() {
        for (text, want) in [
            ("{\"a\":1}\n{\"b\":{\"c\":[1,{}]}}\n", &["0 {\"a\":1}", "8 {\"b\":{\"c\":[1,{}]}}"][..]),
            ("[{\"a\":\"}\"},\n {\"b\":[]}]", &["1 {\"a\":\"}\"}", "13 {\"b\":[]}"]),
            (
                "{\"took\":1,\"hits\":{\"n\":[{}],\"hits\":[{\"x\":1},{\"y\":[2]}],\"z\":{}},\"q\":[{}]} {\"r\":1}",
                &["35 {\"x\":1}", "43 {\"y\":[2]}", "72 {\"r\":1}"],
            ),
            ("{\n \"a\":\n 1}", &["0 {\n \"a\":\n 1}"]),
            ("", &[]),
        ] {
            for buffer in [1, 3, 4096] {
                assert_eq!(shown(text, buffer), want, "{text}");
            }
        }
    }

    #[test]
    fn what_is_broken_is_said_and_the_next_object_is_found() {
        assert_eq!(
            shown("{\"a\":1\n{\"b\":2}\n{\"c\":\"open\n{\"d\":4}\n", 64),
            ["0 json_malformed", "7 {\"b\":2}", "15 json_malformed", "26 {\"d\":4}",]
        );
        assert_eq!(shown("word {\"a\":1} {\"b\":", 64), ["0 json_malformed", "5 {\"a\":1}", "13 json_cut"]);
        assert_eq!(shown(&format!("{}{{\"a\":1}}", "[".repeat(600)), 64)[0], "0 json_too_deep");
    }

    #[test]
    fn an_object_without_end_is_given_up() {
        let text = format!("{{\"a\":\"{}\"}}\n{{\"b\":1}}", "x".repeat(OBJECT_MAX));
        assert!(shown(&text, 4096).contains(&"0 json_too_long".to_owned()));
    }
}
