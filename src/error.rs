//! The one error type: what failed, where, and what to do next.
//!
//! Malformed content is never an error (it is an [`Oddity`](crate::model::oddity::Oddity)); an `Error` is an environment that
//! refuses (a file that cannot be read, a full disk), a question that cannot be understood, or a bug.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::Path;

/// The crate's result.
pub type Result<T> = std::result::Result<T, Error>;

/// Whose doing it is: decides the exit status and the tone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ErrorKind {
    /// What was typed: a query, an option, a name.
    User,
    /// A file of settings: keymap, theme, case.toml.
    Config,
    /// A file or stream that could not be read.
    Input,
    /// The case: locked, full, damaged, of a newer version.
    Store,
    /// The question was cancelled; not shown.
    Cancelled,
    /// A bug of ours.
    Internal,
}

/// What failed, where, and what to do next. Texts are lower case without a final full stop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Error {
    /// Whose doing it is.
    pub kind: ErrorKind,
    /// What failed.
    pub what: String,
    /// Where: a path, a path with offset, a part of a query. Empty if it has no place.
    pub place: String,
    /// What to do next. Empty if nothing is known to help.
    pub hint: String,
}

impl Error {
    /// An error of a kind that says what failed.
    pub fn new(kind: ErrorKind, what: impl Into<String>) -> Error {
        Error { kind, what: what.into(), place: String::new(), hint: String::new() }
    }
    /// Something typed is wrong.
    pub fn user(what: impl Into<String>) -> Error {
        Error::new(ErrorKind::User, what)
    }
    /// A settings file is wrong.
    pub fn config(what: impl Into<String>) -> Error {
        Error::new(ErrorKind::Config, what)
    }
    /// A file or stream cannot be read.
    pub fn input(what: impl Into<String>) -> Error {
        Error::new(ErrorKind::Input, what)
    }
    /// The case refuses.
    pub fn store(what: impl Into<String>) -> Error {
        Error::new(ErrorKind::Store, what)
    }
    /// A bug of ours.
    pub fn internal(what: impl Into<String>) -> Error {
        Error::new(ErrorKind::Internal, what)
    }
    /// The question was cancelled.
    pub fn cancelled() -> Error {
        Error::new(ErrorKind::Cancelled, "cancelled")
    }
    /// The same error with a place.
    pub fn at(mut self, place: impl Into<String>) -> Error {
        self.place = place.into();
        self
    }
    /// The same error with a path as its place.
    pub fn at_path(self, path: &Path) -> Error {
        self.at(path.display().to_string())
    }
    /// The same error with what to do next.
    pub fn hint(mut self, hint: impl Into<String>) -> Error {
        self.hint = hint.into();
        self
    }
    /// An I/O error while doing `doing` at `path`.
    pub fn io(doing: &str, path: &Path, err: &std::io::Error) -> Error {
        Error::new(ErrorKind::Input, format!("{doing}: {err}")).at_path(path)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        if !self.place.is_empty() {
            write!(f, "\n  at {}", self.place)?;
        }
        if !self.hint.is_empty() {
            write!(f, "\n  try: {}", self.hint)?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

/// The candidate nearest to what was typed (Damerau-free edit distance, at most a third of its length), for "did you mean".
pub fn nearest<'a>(typed: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let typed = typed.to_lowercase();
    let limit = typed.chars().count().max(3) / 3 + 1;
    candidates
        .into_iter()
        .map(|c| (distance(&typed, &c.to_lowercase()), c))
        .filter(|(d, c)| *d <= limit || c.to_lowercase().starts_with(&typed) && typed.len() > 1)
        .min_by_key(|(d, c)| (*d, c.len()))
        .map(|(_, c)| c)
}

fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let cost = if ca == *cb { diagonal } else { 1 + diagonal.min(row[j]).min(row[j + 1]) };
            diagonal = row[j + 1];
            row[j + 1] = cost;
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found_and_a_far_one_is_not() {
        let names = ["dst.port", "src.port", "bytes", "severity"];
        assert_eq!(nearest("dst.prt", names), Some("dst.port"));
        assert_eq!(nearest("sevrity", names), Some("severity"));
        assert_eq!(nearest("quux", names), None);
    }
}
