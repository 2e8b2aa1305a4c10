//! Evidence files of a case, as imported.

use super::origin::EvidenceKey;
use super::source::{Counts, SourceId};
use super::time::{Time, Window};

/// An evidence file of the case.
#[derive(Debug, Clone)]
pub struct EvidenceInfo {
    /// Its key.
    pub key: EvidenceKey,
    /// Path at import (absolute), or `-`.
    pub path: String,
    /// Size in bytes, compressed as it lies there.
    pub size: u64,
    /// SHA-256, hexadecimal.
    pub sha256: String,
    /// Format or `pcap`, `pcapng`; of nothing recognised `unknown`.
    pub format: String,
    /// Compression, e.g. `gz`; empty if none.
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
}
