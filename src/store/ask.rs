//! What is asked of a snapshot: condition, window, order, limit; and whether a block's bounds are inside a window.

use super::block::Zone;
use super::clocks::Shift;
use super::snapshot::BlockId;
use crate::model::{FieldId, Filter, RecordId, SourceId, Time, Window};
use std::collections::HashSet;

/// Which rows are asked for.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// Condition.
    pub filter: &'a Filter,
    /// Window in corrected time.
    pub window: Window,
    /// Oldest first, else newest first.
    pub ascending: bool,
    /// At most so many rows.
    pub limit: usize,
    /// Only rows strictly after this place, in the order asked for.
    pub after: Option<(Time, RecordId)>,
    /// Stored fields that the answer needs; none: all. Parts of `Any` and `Sum` fields are included.
    pub fields: Option<&'a [FieldId]>,
    /// Only these sources.
    pub sources: Option<&'a [SourceId]>,
    /// Rows of every sighting of a connection.
    pub every_sighting: bool,
    /// Only rows of imports after this one; 0: all.
    pub newer_than: u64,
    /// Without the rows of these blocks: their answer is known from sums.
    pub without: Option<&'a HashSet<BlockId>>,
}

impl<'a> Ask<'a> {
    /// Every row that satisfies a filter, oldest first.
    pub fn new(filter: &'a Filter) -> Ask<'a> {
        Ask {
            filter,
            window: Window::ALL,
            ascending: true,
            limit: usize::MAX,
            after: None,
            fields: None,
            sources: None,
            every_sighting: false,
            newer_than: 0,
            without: None,
        }
    }
}

/// How a selection ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Selected {
    /// Rows given.
    pub rows: u64,
    /// There are more.
    pub more: bool,
}

/// Bounds of the corrected starts and ends of a block's rows.
pub(super) fn bounds(zone: &Zone, shift: &Shift) -> ((Time, Time), (Time, Time)) {
    let (low, high) = shift.bounds(zone.start.0, zone.start.1);
    ((zone.start.0.plus(low), zone.start.1.plus(high)), (zone.end.0.plus(low), zone.end.1.plus(high)))
}

/// Whether every row with these bounds overlaps a window.
pub(super) fn is_inside(window: &Window, start: (Time, Time), end: (Time, Time)) -> bool {
    start.1 < window.end && end.0 >= window.start
}
