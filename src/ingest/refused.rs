//! What was handed over and not read is evidence too, without records: so the case says later what is missing, and why. Kept together, since an
//! archive may hold thousands of such files.

use super::Run;
use super::report::{FileReport, Outcome};
use crate::error::Result;
use crate::model::{EvidenceKey, Time};
use crate::sources::input::{Input, Probe, key_of};
use crate::store::{Done, NewEvidence};
use std::path::Path;

/// Bytes of the largest file that is read for its hash alone.
const HASHED: u64 = 256 << 20;
/// Refused files that wait to be kept.
const WAITING: usize = 1024;

impl Run<'_> {
    /// Notes that a file was not read. `bytes`: where it lies and what is known of it, if it could be opened at all. What is no trouble, or says
    /// nothing of the file (it is not there), is not noted.
    pub(super) fn refuse(&mut self, row: &FileReport, kept: &str, bytes: Option<(&Path, &Probe)>) -> Result<()> {
        if !matches!(row.outcome, Outcome::NotRecognised(_) | Outcome::Locked | Outcome::Failed(_)) {
            return Ok(());
        }
        let why = row.note();
        let why = why.strip_prefix("not recognised: ").unwrap_or(&why).to_owned();
        let (key, size, modified, head_hash) = match bytes {
            Some((_, probe)) => (probe.key, probe.size, probe.modified, probe.head_hash),
            None => (unread_key(kept), row.size, Time(0), [0; 32]),
        };
        let new = NewEvidence { key, path: kept.to_owned(), size, modified, head_hash };
        let why = vec![why];
        if self.store.has_refused(&new, &why) {
            return Ok(());
        }
        let summary = bytes.filter(|_| size <= HASHED).and_then(|(path, _)| Input::open(path).ok()?.finish().ok());
        let done = Done {
            sha256: summary.map_or([0; 32], |s| s.sha256),
            warnings: why,
            custody: self.request.custody.clone(),
            ..Done::default()
        };
        self.refused.push((new, done));
        if self.refused.len() >= WAITING { self.keep_refused() } else { Ok(()) }
    }

    /// Keeps what was noted.
    pub(super) fn keep_refused(&mut self) -> Result<()> {
        let refused = std::mem::take(&mut self.refused);
        if refused.is_empty() { Ok(()) } else { self.store.refuse(refused) }
    }
}

/// The key of what has no bytes that can be read.
fn unread_key(kept: &str) -> EvidenceKey {
    key_of(format!("unread\0{kept}").as_bytes())
}
