//! What is wrong with a query: what, where in the text, and what to type instead. The text that was typed is never lost.

use crate::error::{Error, nearest};
use std::fmt;
use unicode_width::UnicodeWidthChar;

/// Widest excerpt of a query that an error shows, in columns.
const WIDTH: usize = 72;

/// A query that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryError {
    /// What is wrong, lower case, without final full stop.
    pub message: String,
    /// Where: bytes of `text`, on character boundaries; empty at the end of the text.
    pub span: std::ops::Range<usize>,
    /// What to type instead; empty if nothing is known to help.
    pub hint: String,
    /// The query as it was typed.
    pub text: String,
}

impl QueryError {
    /// An error about a part of the text.
    pub fn new(message: impl Into<String>, span: impl Into<std::ops::Range<usize>>) -> QueryError {
        QueryError { message: message.into(), span: span.into(), hint: String::new(), text: String::new() }
    }
    /// The same error with what to type instead.
    pub fn hint(mut self, hint: impl Into<String>) -> QueryError {
        self.hint = hint.into();
        self
    }
    /// The same error with the nearest of several names as its hint, or the hint that it has.
    pub fn nearest<'a>(self, typed: &str, names: impl IntoIterator<Item = &'a str>) -> QueryError {
        match nearest(typed, names) {
            Some(name) => self.hint(format!("did you mean {name}?")),
            None => self,
        }
    }
    /// The same error about this text.
    pub fn of(mut self, text: &str) -> QueryError {
        let clip = |n: usize| {
            let mut n = n.min(text.len());
            while !text.is_char_boundary(n) {
                n -= 1;
            }
            n
        };
        self.span = clip(self.span.start)..clip(self.span.end.max(self.span.start));
        text.clone_into(&mut self.text);
        self
    }
    /// Two lines of equal indent: the text (a part of it, if it is long) and carets under the place.
    pub fn marked(&self) -> (String, String) {
        let before = &self.text[..self.span.start];
        let inside = &self.text[self.span.clone()];
        let columns = |t: &str| t.chars().map(|c| c.width().unwrap_or(1)).sum::<usize>();
        let mut line: Vec<char> = self.text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let mut at = before.chars().count();
        let mut lead = columns(before);
        let mut head = "";
        if lead + columns(inside) > WIDTH && lead > WIDTH / 2 {
            let mut cut = 0;
            let mut dropped = 0;
            while lead - dropped > WIDTH / 2 && cut < at {
                dropped += line[cut].width().unwrap_or(1);
                cut += 1;
            }
            line.drain(..cut);
            at -= cut;
            lead = lead - dropped + 1;
            head = "…";
        }
        let _ = at;
        let mut shown = String::from(head);
        let mut width = head.chars().count();
        for (n, c) in line.iter().enumerate() {
            if width >= WIDTH && n + 1 < line.len() {
                shown.push('…');
                break;
            }
            shown.push(*c);
            width += c.width().unwrap_or(1);
        }
        let carets = columns(inside).clamp(1, (WIDTH + 1).saturating_sub(lead).max(1));
        (shown, format!("{}{}", " ".repeat(lead), "^".repeat(carets)))
    }
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, carets) = self.marked();
        write!(f, "{}\n  {line}\n  {carets}", self.message)?;
        if !self.hint.is_empty() {
            write!(f, "\n  {}", self.hint)?;
        }
        Ok(())
    }
}

impl std::error::Error for QueryError {}

impl From<QueryError> for Error {
    fn from(e: QueryError) -> Error {
        let (line, carets) = e.marked();
        // `Error` shows its place behind "  at ": the carets are indented by as much.
        Error::user(e.message).at(format!("{line}\n     {carets}")).hint(e.hint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn carets_stand_under_the_place_also_behind_wide_characters_and_tabs() {
        let text = "user = 林\tand dst.prt = 1";
        let at = text.find("dst.prt").unwrap();
        let (line, carets) = QueryError::new("unknown field", at..at + 7).of(text).marked();
        assert_eq!(line, "user = 林 and dst.prt = 1");
        assert_eq!(carets, "              ^^^^^^^");
    }

    #[test]
    fn a_long_text_is_shown_around_its_fault() {
        let text = format!("{} dst.prt = 1 and {}", "port 1 or ".repeat(50), "port 2 or ".repeat(50));
        let at = text.find("dst.prt").unwrap();
        let (line, carets) = QueryError::new("unknown field", at..at + 7).of(&text).marked();
        assert!(line.chars().count() <= WIDTH + 2, "{line}");
        let from = carets.find('^').unwrap();
        assert_eq!(line.chars().skip(from).take(7).collect::<String>(), "dst.prt");
    }

    #[test]
    fn spans_outside_the_text_are_clipped() {
        let e = QueryError::new("x", 90..99).of("é");
        assert_eq!(e.marked(), ("é".into(), " ^".into()));
    }
}
