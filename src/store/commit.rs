//! Commit groups: pointers to frames that were appended wait here until some are there or some time has passed; then the segments are made
//! durable and the pointers go to the catalog in one batch with how far each segment is acknowledged.
//!
//! So neither memory nor a batch grows with the length of an import. Until the frame that ends the import is there nobody sees its rows; what
//! an import that never ended left in the catalog is dropped when the case is opened the next time.

use super::catalog::{self, About, Catalog, Change};
use super::contents::{DoneFrame, ImportData};
use super::frame::FrameKind;
use super::import::{self, Import};
use super::recover::watermark;
use super::segment::{Place, Segments};
use super::told::Done;
use super::{Store, hold};
use crate::error::Result;
use crate::model::Record;
use crate::model::evidence::EvidenceInfo;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Frames after which a group is committed.
const FRAMES: usize = 32;
/// Age of the oldest frame after which it is.
const AGE: Duration = Duration::from_secs(1);

/// Pointers of one import that are not in the catalog yet.
#[derive(Debug, Default)]
pub struct Pending {
    changes: Vec<Change>,
    touched: BTreeSet<(i32, u32)>,
    oldest: Option<Instant>,
}

impl Pending {
    /// A frame was appended.
    pub fn add(&mut self, about: About, import: u32, index: u32, place: &Place, meta: &[u8]) {
        self.oldest.get_or_insert_with(Instant::now);
        self.touched.insert((place.day, place.segment));
        self.changes.push(catalog::entry(about, import, index, place, meta));
    }
    /// What the catalog says of a frame goes.
    pub fn remove(&mut self, about: About, import: u32, index: u32) {
        self.oldest.get_or_insert_with(Instant::now);
        self.changes.push((catalog::key(about, import, index), None));
    }
    /// Takes over what waits elsewhere of the same import.
    pub fn join(&mut self, other: &mut Pending) {
        self.changes.append(&mut other.changes);
        self.touched.append(&mut other.touched);
        self.oldest = self.oldest.or(other.oldest.take());
    }
    /// Whether they are to be committed now.
    pub fn is_due(&self) -> bool {
        self.changes.len() >= FRAMES || self.oldest.is_some_and(|t| t.elapsed() >= AGE)
    }
    /// The batch, with how far the segments that it touches are durable; call it after they were synced. It is empty then.
    pub fn take(&mut self, segments: &Segments) -> Vec<Change> {
        let mut changes = std::mem::take(&mut self.changes);
        for (day, segment) in std::mem::take(&mut self.touched) {
            changes.extend(segments.durable(day, segment).map(|len| watermark(day, segment, len)));
        }
        self.oldest = None;
        changes
    }
}

impl Store {
    /// A commit while an import runs: segments durable, then the catalog.
    pub(crate) fn commit_group(&self, pending: &mut Pending) -> Result<()> {
        self.segments().sync().map_err(|e| self.full(e))?;
        let mut catalog = hold(&self.0.catalog);
        catalog.commit(pending.take(self.segments())).map_err(|e| self.full(e))
    }
    /// The last commit of an import. What the live head has of its rows goes at the same moment; `rows`: what the head of this evidence is from
    /// then on, if that is known.
    pub(crate) fn commit(&self, mut import: Import, done: Done, rows: Option<Vec<Record>>) -> Result<EvidenceInfo> {
        let _turn = hold(&self.0.publishing);
        let mut catalog = hold(&self.0.catalog);
        self.segments().sync()?;
        let (sequence, next) = {
            let state = hold(&self.0.state);
            (state.contents.sequence() + 1, state.contents.next_import)
        };
        let done = import.describe(done, sequence, next);
        let data = self.seal(catalog.as_mut(), &mut import, done, Vec::new())?;
        let info = data.done.info(&data);
        let swap = self.head_without(&data, &import, rows);
        let mut state = hold(&self.0.state);
        state.contents.imports.insert(data.id, Arc::new(data));
        state.contents.ended += 1;
        state.snapshot = None;
        swap.into_iter().for_each(|swap| self.swap_in(&mut state, swap));
        drop(state);
        drop(import);
        Ok(info)
    }
    /// Makes an import whose frames are durable count: the frame that ends it, durable, then the catalog, with other changes in the same batch.
    pub(super) fn seal(
        &self,
        catalog: &mut dyn Catalog,
        import: &mut Import,
        done: DoneFrame,
        others: Vec<Change>,
    ) -> Result<ImportData> {
        let bytes = done.bytes()?;
        // An end that is durable counts at the next open; given again after a commit that failed, rows would count twice.
        catalog.check()?;
        let place = self.segments().append(import::NO_DAY, FrameKind::Done, import.id(), &bytes, &[]);
        let place = place.map_err(|e| self.full(e))?;
        self.segments().sync()?;
        let mut changes = import.last_batch(&place);
        changes.extend(others);
        catalog.commit(changes).map_err(|e| self.full(e))?;
        Ok(import.take_data(done))
    }
}
