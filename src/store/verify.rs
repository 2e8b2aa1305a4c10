//! Reads every frame and every journal entry again and says what does not hold. Changes nothing but what is derived.

use super::frame::FrameKind;
use super::recover::scan;
use super::{Store, hold};
use crate::error::Result;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// What a check found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// Segments read.
    pub segments: usize,
    /// Frames whose checksum holds.
    pub frames: usize,
    /// Entries of the journal.
    pub decisions: usize,
    /// Evidence of which passive DNS was damaged or missing, and was derived anew.
    pub derived: Vec<String>,
    /// What does not hold, in words with its place.
    pub damage: Vec<String>,
}

impl Store {
    /// Checks segments against their checksums, imports against their frames, the journal against its chain.
    pub fn verify(&self) -> Result<Check> {
        // No file goes while they are read.
        let _turn = hold(&self.0.compacting);
        let mut out = Check::default();
        let mut parts: HashMap<u32, u32> = HashMap::new();
        for (day, segment, len) in self.segments().list()? {
            out.segments += 1;
            let frames = &mut out.frames;
            let found = scan(self.segments(), day, segment, len, &mut |_, header, _| {
                *frames += 1;
                if !matches!(header.kind, FrameKind::Done | FrameKind::Source | FrameKind::Names) {
                    *parts.entry(header.id).or_default() += 1;
                }
                Ok(())
            })?;
            let path = self.segments().path(day, segment);
            let place = |at: u64| format!("{} at {at}", path.display());
            out.damage.extend(found.damaged.iter().map(|(at, n)| format!("{}: {n} bytes cannot be read", place(*at))));
            out.damage.extend(found.torn.map(|at| format!("{}: a frame without its end", place(at))));
        }
        for (import, wanted, path) in self.parts_wanted() {
            let have = parts.get(&import).copied().unwrap_or(0);
            if have < wanted {
                out.damage.push(format!("{path}: {} of its {wanted} parts are lost; ingest it again", wanted - have));
            }
        }
        out.derived = self.check_names(&mut out.damage);
        let (decisions, damaged) = self.journal().check()?;
        out.decisions = decisions;
        out.damage.extend(damaged.iter().map(|n| format!("journal.log line {n}: damaged, or not what was written")));
        Ok(out)
    }
}
