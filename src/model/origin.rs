//! Where a record came from, and the identity that follows from it.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// First 8 bytes (big-endian) of SHA-256(size as u64 LE, first 64 KiB, last 64 KiB) of a file: known before the first row.
/// Of a stream: made from when and by which process it was read, and stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct EvidenceKey(pub u64);

impl fmt::Display for EvidenceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for EvidenceKey {
    type Err = ();
    fn from_str(text: &str) -> Result<EvidenceKey, ()> {
        if text.len() != 16 {
            return Err(());
        }
        u64::from_str_radix(text, 16).map(EvidenceKey).map_err(|_| ())
    }
}

/// The bytes that a record was read from: evidence, offset and length in the uncompressed data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Origin {
    /// The evidence file.
    pub evidence: EvidenceKey,
    /// Offset of the first byte in the uncompressed data (of a flow: of its first packet's record).
    pub offset: u64,
    /// Length in bytes; 0 for a flow (its packets have their own references).
    pub len: u32,
}

/// A record's identity: stable over restart, rebuild, compaction and move of the case. Order is evidence, offset, ordinal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct RecordId {
    /// The evidence file.
    pub evidence: EvidenceKey,
    /// Offset of its first byte in the uncompressed data; below 2^48.
    pub offset: u64,
    /// Which record of those that begin there: layer of a tunnel, or sub-record.
    pub ordinal: u16,
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:x}-{:x}", self.evidence, self.offset, self.ordinal)
    }
}

impl FromStr for RecordId {
    type Err = ();
    fn from_str(text: &str) -> Result<RecordId, ()> {
        let mut parts = text.splitn(3, '-');
        let (Some(evidence), Some(offset), Some(ordinal)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(());
        };
        Ok(RecordId {
            evidence: evidence.parse()?,
            offset: u64::from_str_radix(offset, 16).map_err(|_| ())?,
            ordinal: u16::from_str_radix(ordinal, 16).map_err(|_| ())?,
        })
    }
}
