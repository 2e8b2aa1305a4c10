//! Evidence files of a case, as imported.

use super::origin::EvidenceKey;
use super::source::{Counts, SourceId};
use super::time::{Time, Window};
use serde::{Deserialize, Serialize};

/// The format of what was handed over and not read: a name for none.
pub const UNREAD: &str = "unknown";

/// The format of what was captured live: its stream is kept nowhere, its packets at most in the ring.
pub const LIVE: &str = "live";

/// An evidence file of the case.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EvidenceInfo {
    /// Its key.
    pub key: EvidenceKey,
    /// Path at import (absolute), or `-`; of a live capture `live:INTERFACE@TIME`.
    pub path: String,
    /// Size in bytes, compressed as it lies there.
    pub size: u64,
    /// SHA-256, hexadecimal; empty if it could not be read, or is large and was not.
    pub sha256: String,
    /// Format or `pcap`, `pcapng`; of nothing recognised `unknown`, of a live capture `live`.
    pub format: String,
    /// Compression, e.g. `gz`; of UTF-16 text its encoding, e.g. `utf-16le`: offsets of records count uncompressed bytes, of text as UTF-8.
    /// Empty if neither.
    pub compression: String,
    /// When it was imported.
    pub imported: Time,
    /// Sources inside it.
    pub sources: Vec<SourceId>,
    /// What was read.
    pub counts: Counts,
    /// Span of its records.
    pub span: Option<Window>,
    /// What went wrong or was assumed, in words.
    pub warnings: Vec<String>,
    /// Custody: from whom, how, ticket.
    pub custody: [String; 3],
    /// Of a capture: names of the timeouts with which its flows were made, and of what a wrong checksum meant; empty: not known, by default.
    pub metered: [String; 2],
}

impl EvidenceInfo {
    /// Whether nothing of it was read: the first warning says why.
    pub fn is_unread(&self) -> bool {
        self.format == UNREAD
    }
    /// Whether it was captured live.
    pub fn is_live(&self) -> bool {
        self.format == LIVE
    }
    /// Its path without the folders of this machine: the name of its file, of a member of an archive with where it is inside.
    pub fn bare(&self) -> String {
        let (file, member) = match self.path.split_once('!') {
            Some((file, member)) => (file, Some(member)),
            None => (self.path.as_str(), None),
        };
        let name = file.rsplit('/').next().unwrap_or(file);
        member.map_or_else(|| name.to_owned(), |member| format!("{name}!{member}"))
    }
    /// Its name without folders, of a member of an archive with those inside of it.
    pub fn name(&self) -> &str {
        match self.path.rsplit_once('!') {
            Some((_, member)) if !member.is_empty() => member,
            _ => self.path.rsplit('/').next().unwrap_or(&self.path),
        }
    }
}
