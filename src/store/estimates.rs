//! What was measured of the clocks of a case, kept beside its evidence: derived, so that a file that is missing or cannot be read costs a
//! measurement and nothing else.

use super::{Store, case_dir, hold};
use crate::error::{Error, Result};
use crate::model::SourceId;
use crate::model::clock::ClockEstimate;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// Name of the file in the case.
pub const FILE: &str = "clocks.json";
/// Bytes from which on such a file is not ours.
const MOST: u64 = 64 << 20;

/// What was measured of a source, and of how much.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Estimated {
    /// Records of the source then.
    pub rows: u64,
    /// Records of the case then.
    pub of: u64,
    /// Its clock.
    pub estimate: ClockEstimate,
}

/// The clocks of a case as measured.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Estimates {
    /// The source that the others are compared with.
    pub reference: Option<SourceId>,
    /// By number of the source.
    pub of: BTreeMap<u32, Estimated>,
}

/// Those that a case keeps; of one that keeps none, or what cannot be read, none.
pub(super) fn load(dir: &Path) -> Estimates {
    let path = dir.join(FILE);
    let fits = path.metadata().is_ok_and(|m| m.len() <= MOST);
    let bytes = if fits { std::fs::read(path).unwrap_or_default() } else { Vec::new() };
    serde_json::from_slice(&bytes).unwrap_or_default()
}

impl Store {
    /// The clocks as measured.
    pub fn estimates(&self) -> Arc<Estimates> {
        Arc::clone(&hold(&self.0.state).estimates)
    }
    /// Keeps what was measured, on the disk too; times are corrected by it from the next view on.
    pub fn keep_estimates(&self, estimates: Estimates) -> Result<()> {
        let bytes = serde_json::to_vec(&estimates).map_err(|e| Error::internal(format!("clocks: {e}")))?;
        case_dir::replace(&self.dir().join(FILE), &bytes)?;
        let mut state = hold(&self.0.state);
        state.estimates = Arc::new(estimates);
        state.snapshot = None;
        Ok(())
    }
}
