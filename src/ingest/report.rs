//! What became of each file of an import.

use crate::error::Error;
use crate::model::source::Counts;
use crate::model::{EvidenceKey, Window};
use serde::{Deserialize, Serialize};

/// What became of one file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Outcome {
    /// Read to its end.
    Read,
    /// In the case already; nothing was changed.
    Known,
    /// It grew since it was imported; what is new was taken up.
    Grown,
    /// Read up to damage: what and where.
    Damaged(String),
    /// Nothing in it was recognised: why, and what to do.
    NotRecognised(String),
    /// Not read by rule: why.
    Skipped(String),
    /// An archive whose members have rows of their own: what became of them.
    Opened(String),
    /// A member that cannot be read without its password.
    Locked,
    /// Could not be read.
    Failed(Error),
}

/// One row of the table that an import ends with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FileReport {
    /// Path as found.
    pub path: String,
    /// Format, `pcap` or `pcapng`; empty if none was recognised.
    pub format: String,
    /// What became of it.
    pub outcome: Outcome,
    /// Units and records.
    pub counts: Counts,
    /// Span of its records.
    pub span: Option<Window>,
    /// What was assumed or odd, in words.
    pub warnings: Vec<String>,
    /// Bytes of the file.
    pub size: u64,
    /// Evidence key, if it was read.
    pub key: Option<EvidenceKey>,
}

impl FileReport {
    /// A row for a file of which nothing is known but its outcome.
    pub fn new(path: String, outcome: Outcome) -> FileReport {
        FileReport {
            path,
            format: String::new(),
            outcome,
            counts: Counts::default(),
            span: None,
            warnings: Vec::new(),
            size: 0,
            key: None,
        }
    }
    /// Whether something in it could not be read: then the exit status is 2.
    pub fn is_incomplete(&self) -> bool {
        matches!(self.outcome, Outcome::Damaged(_) | Outcome::NotRecognised(_) | Outcome::Locked | Outcome::Failed(_))
    }
    /// Whether it is an archive: what was read is in the rows of its members.
    pub fn is_archive(&self) -> bool {
        ["zip", "tar"].contains(&self.format.as_str())
    }
    /// The outcome in words.
    pub fn note(&self) -> String {
        match &self.outcome {
            Outcome::Read => String::new(),
            Outcome::Known => "already in the case".into(),
            Outcome::Grown => "grew: continued where it had ended".into(),
            Outcome::Damaged(what) => format!("damaged: {what}"),
            Outcome::NotRecognised(why) => format!("not recognised: {why}"),
            Outcome::Skipped(why) => format!("skipped: {why}"),
            Outcome::Opened(account) => account.clone(),
            Outcome::Locked => "needs a password, and no password given opens it: --password PASSWORD".into(),
            Outcome::Failed(error) if error.hint.is_empty() => error.what.clone(),
            Outcome::Failed(error) => format!("{} ({})", error.what, error.hint),
        }
    }
    /// One word for the outcome, for JSON Lines.
    pub fn word(&self) -> &'static str {
        match self.outcome {
            Outcome::Read => "read",
            Outcome::Known => "known",
            Outcome::Grown => "grown",
            Outcome::Damaged(_) => "damaged",
            Outcome::NotRecognised(_) => "not recognised",
            Outcome::Skipped(_) => "skipped",
            Outcome::Opened(_) => "opened",
            Outcome::Locked => "locked",
            Outcome::Failed(_) => "failed",
        }
    }
}

/// What became of all files.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// One row per file, in order.
    pub files: Vec<FileReport>,
    /// It was stopped before the last file.
    pub stopped: bool,
    /// Clocks of which more or something else is known than before, a line each.
    pub clocks: Vec<String>,
}

impl Report {
    /// Sums over all files.
    pub fn counts(&self) -> Counts {
        let mut sum = Counts::default();
        self.files.iter().for_each(|f| sum.add(&f.counts));
        sum
    }
    /// Whether something could not be read.
    pub fn is_incomplete(&self) -> bool {
        self.stopped || self.files.iter().any(FileReport::is_incomplete)
    }
}
