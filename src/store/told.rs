//! What an import is told: of the evidence before it is read, and of what was read at its end.

use crate::model::hex::hex;
use crate::model::source::{Basis, Counts, DateOrder};
use crate::model::{EvidenceKey, SourceId, Time};
use sha2::{Digest, Sha256};

/// A file that is about to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvidence {
    /// Its key.
    pub key: EvidenceKey,
    /// Path (absolute), or `-`.
    pub path: String,
    /// Size in bytes, compressed as it lies there.
    pub size: u64,
    /// Modification time.
    pub modified: Time,
    /// SHA-256 of the first 64 KiB as they lie there.
    pub head_hash: [u8; 32],
}

/// How the times of one source were read, and what was read of it.
#[derive(Debug, Clone)]
pub struct SourceRead {
    /// The source.
    pub source: SourceId,
    /// Zone that times without one were read in; none: every time states its own.
    pub zone: Option<String>,
    /// How the zone came about.
    pub basis: Basis,
    /// Year that was assumed for times without one.
    pub year: Option<i32>,
    /// Order that dates were read in that may be read either way, and how it came about.
    pub dates: Option<(DateOrder, Basis)>,
    /// What was read of it; all zero: as the evidence's, if it has one source.
    pub counts: Counts,
    /// Warnings about it, in words.
    pub warnings: Vec<String>,
}

/// The uncompressed data of a compressed file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Content {
    /// Bytes.
    pub size: u64,
    /// SHA-256 of the first 64 KiB.
    pub head_hash: [u8; 32],
    /// SHA-256.
    pub sha256: [u8; 32],
}

/// What is known at the end of an import.
#[derive(Debug, Clone, Default)]
pub struct Done {
    /// SHA-256 of the file as it lies there.
    pub sha256: [u8; 32],
    /// Format, or `unknown`.
    pub format: String,
    /// Compression, empty if none.
    pub compression: String,
    /// What was read.
    pub counts: Counts,
    /// What went wrong or was assumed, in words.
    pub warnings: Vec<String>,
    /// Custody: from whom, how, ticket.
    pub custody: [String; 3],
    /// Uncompressed length that was read, up to the end of the last whole unit.
    pub text_end: u64,
    /// What is inside, if it is compressed and was read to its end.
    pub content: Option<Content>,
    /// Of a capture: where its sections and interfaces begin, in order; none: not known.
    pub heads: Option<Vec<u64>>,
    /// Of a capture: names of timeouts and of the treatment of checksums, as in [`EvidenceInfo::metered`](crate::model::evidence::EvidenceInfo::metered).
    pub metered: [String; 2],
    /// Hashes of its first bytes, see [`starts`].
    pub starts: Vec<String>,
    /// Per source how its times were read; a source without one states its times.
    pub clocks: Vec<SourceRead>,
}

/// Hashes of the first 16, 64, 256, 1,024, 4,096 and 16,384 bytes of uncompressed data, as far as they are there: what the beginning of a file is
/// compared with when a shorter one comes after it.
pub fn starts(head: &[u8]) -> Vec<String> {
    let lengths = (0..6).map(|n| 16usize << (2 * n));
    lengths.map_while(|n| head.get(..n)).map(|start| hex(&Sha256::digest(start)[..8])).collect()
}
