//! Evidence that is read as it comes into being (a live capture): it has no end yet, so its rows are committed in parts. Each part is an import of its
//! own under the one evidence key; what is said of the whole by the newest one holds.

use super::contents::ImportData;
use super::import::{Begin, Import};
use super::told::NewEvidence;
use super::{Store, hold};
use crate::error::{Error, Result};
use crate::model::evidence::EvidenceInfo;
use crate::model::{EvidenceKey, Window};
use std::collections::BTreeMap;
use std::sync::Arc;

impl Store {
    /// Begins the next part of evidence, or its first. Ids of its records have to be new: they are never looked for among those of other parts.
    pub fn go_on(&self, evidence: &NewEvidence) -> Result<Import> {
        self.room()?;
        let id = {
            let mut state = hold(&self.0.state);
            let id = state.contents.next_import;
            state.contents.next_import += 1;
            id
        };
        let mut import = Import::new(self.clone(), id, evidence.clone(), Vec::new())?;
        import.part = true;
        self.segments().begin_own(id);
        Ok(import)
    }
    /// Every import that counts, those as well that later ones hide.
    pub(crate) fn imports(&self) -> Vec<Arc<ImportData>> {
        hold(&self.0.state).contents.imports.values().cloned().collect()
    }
    /// Whether all of a file is here: it was read itself, and damage took nothing of it.
    pub fn is_read(&self, key: EvidenceKey) -> bool {
        self.imports().iter().any(|i| i.done.key == key.0 && i.is_whole())
    }
    /// Ids of the records that are seen of evidence, in order: offset, ordinal.
    pub fn ids_of(&self, key: EvidenceKey) -> Result<Vec<(u64, u16)>> {
        let snapshot = self.snapshot();
        let mut out = Vec::new();
        for (import, data) in snapshot.imports().iter().enumerate().filter(|(_, i)| i.done.key == key.0) {
            for block in 0..data.blocks.len() {
                let (offsets, ordinals) = snapshot.reader(import, block)?.ids()?;
                out.extend(offsets.times().iter().zip(ordinals.uints()).map(|(at, n)| (*at as u64, *n as u16)));
            }
        }
        out.sort_unstable();
        out.dedup();
        Ok(out)
    }
    /// Begins to add to evidence that came from another export what a further one has. Ids of its records have to be new.
    pub fn add_to_export(&self, evidence: &NewEvidence) -> Result<Begin> {
        self.room()?;
        if self.is_read(evidence.key) {
            return self.begin(evidence);
        }
        let id = {
            let mut state = self.wait_for_pruning();
            if !state.active.insert(evidence.key) {
                return Err(Error::user("this file is being imported already").at(evidence.path.clone()));
            }
            state.contents.next_import += 1;
            state.contents.next_import - 1
        };
        Import::new(self.clone(), id, evidence.clone(), Vec::new()).map(|import| Begin::Fresh(Box::new(import)))
    }
    /// Whether the disk has room for so much beyond what stays free.
    pub fn room_for(&self, bytes: u64) -> Result<()> {
        self.0.case.room_for(bytes)
    }
}

/// Evidence of which several parts are there as one, at the place of the first.
pub(super) fn joined(parts: impl Iterator<Item = EvidenceInfo>) -> Vec<EvidenceInfo> {
    let mut out: Vec<EvidenceInfo> = Vec::new();
    let mut at: BTreeMap<EvidenceKey, usize> = BTreeMap::new();
    for part in parts {
        match at.get(&part.key).and_then(|at| out.get_mut(*at)) {
            Some(whole) => add(whole, part),
            None => {
                at.insert(part.key, out.len());
                out.push(part);
            }
        }
    }
    out
}

/// Adds what the live head has of evidence that is there, else the evidence.
pub(super) fn add_head(all: &mut Vec<EvidenceInfo>, head: EvidenceInfo) {
    match all.iter_mut().find(|whole| whole.key == head.key) {
        Some(whole) => {
            let said = whole.warnings.clone();
            add(whole, head);
            whole.warnings.splice(0..0, said);
        }
        None => all.push(head),
    }
}

fn add(whole: &mut EvidenceInfo, part: EvidenceInfo) {
    whole.counts.add(&part.counts);
    whole.size = whole.size.max(part.size);
    whole.span = match (whole.span, part.span) {
        (Some(a), Some(b)) => Some(Window::new(a.start.min(b.start), a.end.max(b.end))),
        (a, b) => a.or(b),
    };
    for source in part.sources {
        if !whole.sources.contains(&source) {
            whole.sources.push(source);
        }
    }
    whole.warnings = part.warnings;
}
