//! What of an import goes when days are dropped, and what stays.

use super::contents::{BlockInfo, ImportData};
use super::names::NamesInfo;
use super::postings::ChunkInfo;
use super::prune_plan::kept;
use super::pruned::Kept;
use crate::model::SourceId;
use std::collections::{BTreeMap, HashSet};

/// What is dropped, per day and kind.
pub(super) type Days = BTreeMap<i32, [bool; 4]>;

/// Whether what is of a day and kind is dropped.
pub(super) fn drops(days: &Days, day: i32, kept: Kept) -> bool {
    days.get(&day).is_some_and(|drop| drop[kept as usize])
}

/// What is dropped of one import: indexes go with the last rows that they are of.
pub(super) struct Fates<'a> {
    days: &'a Days,
    /// Sources and days that keep rows; and events.
    rows: HashSet<(i32, SourceId)>,
    events: HashSet<(i32, SourceId)>,
}

impl<'a> Fates<'a> {
    pub(super) fn of(data: &ImportData, days: &'a Days) -> Fates<'a> {
        let mut fates = Fates { days, rows: HashSet::new(), events: HashSet::new() };
        for info in data.blocks.iter().filter(|b| days.contains_key(&b.place.day)) {
            if !fates.block(info) {
                fates.rows.insert((info.place.day, info.zone.source));
                if kept(&info.zone.kinds) == Kept::Events {
                    fates.events.insert((info.place.day, info.zone.source));
                }
            }
        }
        fates
    }
    pub(super) fn block(&self, info: &BlockInfo) -> bool {
        drops(self.days, info.place.day, kept(&info.zone.kinds))
    }
    pub(super) fn chunk(&self, info: &ChunkInfo) -> bool {
        self.days.contains_key(&info.place.day) && !self.rows.contains(&(info.place.day, info.span.source))
    }
    pub(super) fn names(&self, info: &NamesInfo) -> bool {
        self.days.contains_key(&info.place.day) && !self.events.contains(&(info.place.day, info.span.source))
    }
}
