//! Repair: indexes that cannot be read, or do not fit, are made anew of the rows; files with bytes that cannot be read are written anew without them.
//! Rows that are lost with them are counted in a statement ([`Statement`](super::pruned::Statement)), so that nothing misses them twice: every
//! answer is then that of the rows that are left, and their evidence says how many are not.

use super::contents::{BlockInfo, ImportData};
use super::prune::{Pruned, stays};
use super::prune_fates::Days;
use super::segment::{CASE, Place};
use super::verify::Look;
use super::{Store, hold};
use crate::error::Result;
use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

/// What is mended of the days of a step.
#[derive(Debug, Default)]
pub(super) struct Mend {
    /// Imports whose postings and sums are made anew, and of which nothing more is missed.
    pub(super) imports: HashSet<u32>,
    /// Segments that are written anew.
    pub(super) files: HashSet<(i32, u32)>,
    /// Frames that cannot be read.
    pub(super) unreadable: HashSet<Place>,
    /// The last step: from then on nothing is missed of these imports. Before, an interruption leaves them in doubt.
    pub(super) is_last: bool,
}

impl Store {
    /// The body of a block whose frame is damaged where nothing needs it: what the catalog says of it holds, and so do the checksums of its directory
    /// and of every column.
    pub(super) fn salvaged(&self, data: &ImportData, info: &BlockInfo) -> Option<Vec<u8>> {
        info.zone.directory?;
        let before = 4 + u64::from(info.meta);
        let len = u64::from(info.place.len).checked_sub(before).and_then(|n| usize::try_from(n).ok())?;
        self.decoded(data, info).ok()?;
        self.segments().read(&info.place, before, len).ok()
    }
    /// Mends what was found, day by day; what stays as it is, in words. The caller lets nothing else write.
    pub(super) fn mend(&self, found: &Look) -> Result<Vec<String>> {
        if found.bad.iter().any(|(day, _)| *day == CASE) || !found.nameless.is_empty() {
            self.mend_case(found.orphans, &found.nameless)?;
        }
        let mut mend = Mend {
            imports: found.doubtful.union(&found.touched).copied().collect(),
            files: found.bad.iter().copied().chain(found.unreadable.iter().map(|p| (p.day, p.segment))).collect(),
            unreadable: found.unreadable.clone(),
            is_last: false,
        };
        let whole: Vec<Arc<ImportData>> = {
            let state = hold(&self.0.state);
            found.doubtful.iter().filter_map(|id| state.contents.imports.get(id).cloned()).collect()
        };
        let mut days: BTreeSet<i32> = mend.files.iter().map(|(day, _)| *day).collect();
        days.extend(whole.iter().flat_map(|i| i.places()).map(|p| p.day));
        days.remove(&CASE);
        // Views that hold them would keep files that are written anew.
        drop(whole);
        let mut steps: Vec<Days> = days.into_iter().map(|day| Days::from([(day, [false; 4])])).collect();
        if steps.is_empty() && !mend.imports.is_empty() {
            // Nothing is left of them that has a day.
            steps.push(Days::new());
        }
        let mut out = Pruned::default();
        let last = steps.len().saturating_sub(1);
        for (n, step) in steps.into_iter().enumerate() {
            // Where a day could not be mended something is missing still.
            mend.is_last = n == last && out.kept.is_empty();
            match self.drop_days((&step, &step), &mend, "indexes and files were written anew after damage", &mut out) {
                Err(e) if super::encode::is_damage(&e) => out.kept.extend(step.keys().map(|day| (*day, e.to_string()))),
                done => done?,
            }
            self.remove_retired();
        }
        self.derive_missing();
        Ok(out.kept.iter().map(stays).collect())
    }
}
