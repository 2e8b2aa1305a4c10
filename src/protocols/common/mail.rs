//! What is read of a mail (RFC 5322, RFC 2047): the subject, and its parts that are files. The rest passes.

use super::bytes::text;
use super::lines::{Line, Lines};
use super::mime::Mime;
use crate::protocols::{At, Out};
use base64::Engine as _;

/// Longest line of a header that is kept.
const MAX_LINE: usize = 4096;
/// Longest subject.
const MAX_SUBJECT: usize = 1024;

/// Reads a mail while it passes.
pub struct Mail {
    lines: Lines,
    over: bool,
    in_subject: bool,
    subject: Option<String>,
    size: u64,
    parts: Mime,
}

impl Default for Mail {
    fn default() -> Mail {
        Mail { lines: Lines::new(MAX_LINE), over: false, in_subject: false, subject: None, size: 0, parts: Mime::default() }
    }
}

impl Mail {
    /// Takes raw bytes of the mail.
    pub fn push(&mut self, bytes: &[u8], at: At, out: &mut Out) {
        let mut lines = std::mem::replace(&mut self.lines, Lines::new(MAX_LINE));
        lines.push(bytes, at, &mut |line| {
            match line {
                Line::Whole(line, first) => self.line(&line, first, out),
                Line::TooLong(_) => self.parts.miss(0),
            }
            true
        });
        self.lines = lines;
        self.size = self.size.saturating_add(bytes.len() as u64);
    }
    /// Takes a line without its end.
    pub fn line(&mut self, line: &[u8], at: At, out: &mut Out) {
        self.parts.line(line, at, out);
        if self.over {
            return;
        }
        if line.is_empty() {
            self.over = true;
        } else if matches!(line.first(), Some(b' ' | b'\t')) {
            if let Some(subject) = self.subject.as_mut().filter(|s| self.in_subject && s.len() < MAX_SUBJECT) {
                subject.push_str(&text(line, MAX_LINE));
            }
        } else {
            self.in_subject = line.get(..8).is_some_and(|h| h.eq_ignore_ascii_case(b"subject:")) && self.subject.is_none();
            if self.in_subject {
                self.subject = Some(text(line.get(8..).unwrap_or_default().trim_ascii(), MAX_SUBJECT));
            }
        }
    }
    /// So many bytes are missing, or a line too long to be read.
    pub fn miss(&mut self, missing: u64) {
        self.lines.gap();
        self.parts.miss(missing);
    }
    /// The mail is over. `whole`: its end was seen.
    pub fn end(&mut self, whole: bool, at: At, out: &mut Out) {
        if self.lines.has_begun() {
            self.push(b"\n", at, out);
        }
        self.parts.end(whole, at, out);
    }
    /// The subject, decoded.
    pub fn subject(&self) -> Option<String> {
        self.subject.as_deref().map(decoded)
    }
    /// Bytes that [`Mail::push`] took.
    pub fn size(&self) -> u64 {
        self.size
    }
}

/// Encoded words (`=?UTF-8?B?...?=`) as text; words of other character sets than UTF-8, ASCII and Latin-1 stay as they are.
pub fn decoded(header: &str) -> String {
    let mut out = String::new();
    let mut rest = header;
    let mut after_word = false;
    while let Some(start) = rest.find("=?") {
        let (before, from) = rest.split_at(start);
        let mut parts = from.get(2..).unwrap_or_default().splitn(3, '?');
        let word = match (parts.next(), parts.next(), parts.next()) {
            (Some(charset), Some(coding), Some(tail)) => {
                tail.split_once("?=").and_then(|(body, rest)| Some((word(charset, coding, body)?, rest)))
            }
            _ => None,
        };
        if !(after_word && word.is_some() && before.trim().is_empty()) {
            out.push_str(before);
        }
        after_word = word.is_some();
        match word {
            Some((text, tail)) => {
                out.push_str(&text);
                rest = tail;
            }
            None => {
                out.push_str("=?");
                rest = from.get(2..).unwrap_or_default();
            }
        }
    }
    out.push_str(rest);
    out
}

fn word(charset: &str, coding: &str, body: &str) -> Option<String> {
    let bytes = match coding {
        "B" | "b" => base64::engine::general_purpose::STANDARD.decode(body).ok()?,
        "Q" | "q" => quoted(body.as_bytes()),
        _ => return None,
    };
    match charset.to_ascii_lowercase().as_str() {
        "utf-8" | "us-ascii" => Some(text(&bytes, usize::MAX)),
        "iso-8859-1" | "windows-1252" => Some(bytes.iter().map(|b| char::from(*b)).collect()),
        _ => None,
    }
}

fn quoted(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len());
    let mut rest = body;
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        let code = tail.get(..2).and_then(|c| std::str::from_utf8(c).ok()).and_then(|c| u8::from_str_radix(c, 16).ok());
        match (first, code) {
            (b'=', Some(byte)) => {
                out.push(byte);
                rest = tail.get(2..).unwrap_or_default();
            }
            (b'_', _) => out.push(b' '),
            _ => out.push(*first),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Time;

    #[test]
    fn encoded_words_are_decoded_and_broken_ones_stay() {
        assert_eq!(decoded("=?UTF-8?B?w6TDtg==?= =?utf-8?q?=C3=BC_x?= y"), "äöü x y");
        assert_eq!(decoded("a =?x?B?!?= b"), "a =?x?B?!?= b");
        assert_eq!(decoded("=?=?=?"), "=?=?=?");
    }

    #[test]
    fn a_folded_subject_is_one_and_the_body_is_not_read() {
        let mut mail = Mail::default();
        let at = At { time: Time(0), offset: 0 };
        mail.push(b"From: a\r\nSUBJECT: one\r\n two\r\n\r\nSubject: no\r\n", at, &mut Out::default());
        assert_eq!(mail.subject().as_deref(), Some("one two"));
    }
}
