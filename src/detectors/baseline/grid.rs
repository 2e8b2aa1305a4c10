//! Bins of time laid out by local day and slot.

use crate::formats::Zone;
use crate::model::Time;
use crate::model::time::{DAY, SECOND};
use chrono::{Datelike, NaiveDate, Weekday};

/// The number of a cell without a bin.
pub const NONE: i64 = i64::MIN;
/// Most local days of a grid; of more the newest are taken.
const MOST_DAYS: usize = 800;

/// Which kind of day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// Monday to Friday.
    Workday,
    /// Saturday or Sunday.
    Weekend,
}

/// A day of a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalDay {
    /// Days since 1970-01-01, local.
    pub day: i32,
    /// Kind of day.
    pub class: Class,
    /// Day of the week, 0 Monday.
    pub weekday: u8,
    /// It was watched from its first to its last hour.
    pub complete: bool,
}

impl LocalDay {
    fn new(day: i32) -> LocalDay {
        let date = NaiveDate::from_num_days_from_ce_opt(day.saturating_add(719_163)).unwrap_or_default();
        let class = if matches!(date.weekday(), Weekday::Sat | Weekday::Sun) { Class::Weekend } else { Class::Workday };
        LocalDay { day, class, weekday: date.weekday().num_days_from_monday() as u8, complete: false }
    }
}

/// Seconds that a zone is ahead of UTC at an instant.
fn ahead(zone: Option<Zone>, at: Time) -> i64 {
    use chrono::{Offset as _, TimeZone as _};
    match zone {
        None => 0,
        Some(Zone::Fixed(east)) => i64::from(east),
        Some(Zone::Named(tz)) => i64::from(tz.offset_from_utc_datetime(&at.utc().naive_utc()).fix().local_minus_utc()),
    }
}

/// How far a place is ahead of UTC at an instant, in hours.
pub fn hours_ahead(zone: Option<Zone>, at: Time) -> f64 {
    ahead(zone, at) as f64 / 3600.0
}

/// The bins that were watched, by local day and slot. A cell is `day * per_day + slot`; cells are in order of time.
#[derive(Debug, Clone, Default)]
pub struct Grid {
    /// Width of a bin, nanoseconds.
    pub bin: i64,
    /// Slots of a day.
    pub per_day: usize,
    /// The days in order; days without a watched bin are left out.
    pub days: Vec<LocalDay>,
    /// Number of the bin (start / width) of each cell.
    bins: Vec<i64>,
}

impl Grid {
    /// Lays out runs of bins that were watched: numbers of bins, half open, in order. An hour that a clock turned back repeats is taken once.
    pub fn new(bin: i64, zone: Option<Zone>, seen: &[(i64, i64)]) -> Grid {
        let bin = bin.clamp(SECOND, DAY);
        let per_day = usize::try_from(DAY / bin).unwrap_or(1).max(1);
        let mut grid = Grid { bin, per_day, days: Vec::new(), bins: Vec::new() };
        let most = (MOST_DAYS * per_day) as i64;
        let oldest = seen.last().map_or(0, |r| r.1).saturating_sub(most);
        for (from, until) in seen {
            for number in (*from).max(oldest)..*until {
                grid.put(number, zone);
            }
        }
        // A day on which a clock is turned has an hour less.
        let least = per_day - per_day.div_ceil(24).min(per_day - 1);
        for (day, cells) in grid.days.iter_mut().zip(grid.bins.chunks(per_day)) {
            day.complete = cells.iter().filter(|b| **b != NONE).count() >= least;
        }
        grid
    }
    fn put(&mut self, number: i64, zone: Option<Zone>) {
        let at = Time(number.saturating_mul(self.bin));
        let local = (at.0.div_euclid(SECOND)).saturating_add(ahead(zone, at));
        let day = local.div_euclid(86_400) as i32;
        let slot = (local.rem_euclid(86_400).saturating_mul(SECOND) / self.bin) as usize;
        if self.days.last().is_none_or(|d| d.day < day) {
            self.days.push(LocalDay::new(day));
            self.bins.resize(self.bins.len() + self.per_day, NONE);
        }
        let Some(row) = self.days.iter().rposition(|d| d.day == day) else { return };
        if let Some(cell) = self.bins.get_mut(row * self.per_day + slot.min(self.per_day - 1))
            && *cell == NONE
        {
            *cell = number;
        }
    }
    /// Number of cells.
    pub fn len(&self) -> usize {
        self.bins.len()
    }
    /// Whether nothing was watched.
    pub fn is_empty(&self) -> bool {
        self.bins.is_empty()
    }
    /// Start of a cell's bin; none: it was not watched.
    pub fn at(&self, cell: usize) -> Option<Time> {
        let number = self.bins.get(cell).copied().filter(|b| *b != NONE)?;
        Some(Time(number.saturating_mul(self.bin)))
    }
    /// A cell that is not after an instant, and near it.
    pub fn near(&self, at: Time) -> usize {
        let number = at.0.div_euclid(self.bin.max(1));
        let row = self.bins.chunks(self.per_day.max(1)).rposition(|day| day.iter().any(|b| *b != NONE && *b <= number));
        row.unwrap_or(0) * self.per_day
    }
    /// The day of a cell.
    pub fn day(&self, cell: usize) -> Option<&LocalDay> {
        self.days.get(cell / self.per_day.max(1))
    }
    /// The slot of a cell.
    pub fn slot(&self, cell: usize) -> usize {
        cell % self.per_day.max(1)
    }
    /// Days that were watched throughout.
    pub fn complete_days(&self) -> usize {
        self.days.iter().filter(|d| d.complete).count()
    }
    /// Hours that were watched.
    pub fn hours(&self) -> f64 {
        self.bins.iter().filter(|b| **b != NONE).count() as f64 * self.bin as f64 / (3600.0 * SECOND as f64)
    }
    /// A series: what `value` says of each bin by its number; NaN where nothing was watched.
    pub fn lay(&self, mut value: impl FnMut(i64) -> f32) -> Vec<f32> {
        self.bins.iter().map(|b| if *b == NONE { f32::NAN } else { value(*b) }).collect()
    }
}

/// Spreads an amount evenly over a span of time: number of the bin and its part of the amount. What lasts no time is in the bin of its start; of what
/// lasts longer than `most` bins, the bins up to there take all.
pub fn spread(start: Time, end: Time, amount: f64, bin: i64, most: i64, each: &mut dyn FnMut(i64, f64)) {
    let bin = bin.max(1);
    let first = start.0.div_euclid(bin);
    let last = end.0.div_euclid(bin).min(first.saturating_add(most.max(1) - 1));
    if last <= first || amount <= 0.0 {
        return each(first, amount);
    }
    let end = end.0.min(last.saturating_add(1).saturating_mul(bin));
    let length = end.saturating_sub(start.0) as f64;
    for number in first..=last {
        let from = number.saturating_mul(bin).max(start.0);
        let until = number.saturating_add(1).saturating_mul(bin).min(end);
        let part = until.saturating_sub(from) as f64 / length;
        if part > 0.0 {
            each(number, amount * part);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detectors::baseline::{BIN, SLOTS};

    fn bin(text: &str) -> i64 {
        Time::parse(text).unwrap().0 / BIN
    }

    #[test]
    fn days_are_those_of_the_place_and_a_turned_clock_leaves_no_hole() {
        let berlin = Zone::parse("Europe/Berlin");
        let grid = Grid::new(BIN, berlin, &[(bin("2026-10-23T22:00:00Z"), bin("2026-10-27T23:00:00Z"))]);
        let days: Vec<(u8, bool)> = grid.days.iter().map(|d| (d.weekday, d.complete)).collect();
        // From Saturday, 24 October, the clock turned back on Sunday, to Tuesday.
        assert_eq!(days, [(5, true), (6, true), (0, true), (1, true)]);
        assert_eq!(grid.days[0].class, Class::Weekend);
        assert_eq!(grid.at(0).unwrap().rfc3339(), "2026-10-23T22:00:00Z");
        // Monday, midnight: an hour later by UTC than before.
        assert_eq!(grid.at(2 * SLOTS).unwrap().rfc3339(), "2026-10-25T23:00:00Z");
        assert_eq!(hours_ahead(berlin, grid.at(0).unwrap()), 2.0);
        // In spring an hour is missing, and the day is complete.
        let spring = Grid::new(BIN, berlin, &[(bin("2026-03-28T23:00:00Z"), bin("2026-03-29T22:00:00Z"))]);
        assert_eq!((spring.days.len(), spring.days[0].complete, spring.at(2 * 12), spring.hours()), (1, true, None, 23.0));
        let part = Grid::new(BIN, None, &[(10, 200)]);
        assert_eq!((part.complete_days(), part.len()), (0, SLOTS));
        assert!(part.lay(|b| b as f32)[9].is_nan() && part.lay(|b| b as f32)[10] == 10.0);
        assert!(Grid::new(BIN, None, &[]).is_empty());
    }

    #[test]
    fn amounts_are_spread_over_their_time() {
        let mut got = Vec::new();
        let mut take = |b, v| got.push((b, v));
        spread(Time(150 * SECOND), Time(750 * SECOND), 600.0, BIN, 99, &mut take);
        spread(Time(10), Time(10), 7.0, BIN, 99, &mut take);
        spread(Time(0), Time(i64::MAX), 9.0, BIN, 3, &mut take);
        assert_eq!(got, [(0, 150.0), (1, 300.0), (2, 150.0), (0, 7.0), (0, 3.0), (1, 3.0), (2, 3.0)]);
    }
}
