//! Commit groups: pointers to frames that were appended wait here until some are there or some time has passed; then the segments are made
//! durable and the pointers go to the catalog in one batch with how far each segment is acknowledged.
//!
//! So neither memory nor a batch grows with the length of an import. Until the frame that ends the import is there nobody sees its rows; what
//! an import that never ended left in the catalog is dropped when the case is opened the next time.

use super::catalog::{self, About, Change};
use super::recover::watermark;
use super::segment::{Place, Segments};
use std::collections::BTreeSet;
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
