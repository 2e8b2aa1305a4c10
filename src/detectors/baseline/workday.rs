//! When a day of work begins and ends, by its curve; and which zone that suggests.

use super::grid::{Class, Grid};
use crate::detectors::maths::{median, median_of, percentile};

/// The slots of a day in which people work, by the curve of workdays.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Workday {
    /// First slot, the crossing upwards, with its fraction.
    pub start: f64,
    /// The crossing downwards.
    pub end: f64,
    /// Slots of a day.
    pub per_day: usize,
}

impl Workday {
    /// Hour of the day at which it begins.
    pub fn start_hour(&self) -> f64 {
        self.start * 24.0 / self.per_day.max(1) as f64
    }
    /// Hour at which it ends.
    pub fn end_hour(&self) -> f64 {
        self.end * 24.0 / self.per_day.max(1) as f64
    }
    /// Whether a slot lies outside: more than an hour before, more than two after. Works over midnight, as of a night shift or of another zone.
    pub fn is_off(&self, slot: usize) -> bool {
        let n = self.per_day.max(1) as f64;
        let hour = n / 24.0;
        let length = (self.end - self.start).rem_euclid(n) + 3.0 * hour;
        length < n && (slot as f64 - (self.start - hour)).rem_euclid(n) >= length
    }
}

/// When work begins and ends: where the smoothed median of workdays crosses the middle between its 10th and 90th percentile. None: the curve has no
/// such shape, or there is no workday.
pub fn ramp(grid: &Grid, x: &[f32]) -> Option<Workday> {
    let per_day = grid.per_day.max(1);
    let days: Vec<usize> =
        (0..grid.days.len()).filter(|d| grid.days[*d].complete && grid.days[*d].class == Class::Workday).collect();
    if days.is_empty() || x.len() != grid.len() {
        return None;
    }
    let raw: Vec<f64> = (0..per_day)
        .map(|s| {
            let mut of: Vec<f64> =
                days.iter().filter_map(|d| x.get(d * per_day + s)).filter(|v| !v.is_nan()).map(|v| f64::from(*v)).collect();
            median_of(&mut of).unwrap_or(0.0)
        })
        .collect();
    // An hour either way, over midnight.
    let half = (per_day / 24).max(1);
    let curve: Vec<f64> = (0..per_day)
        .map(|s| {
            let sum: f64 = (0..=2 * half).map(|k| raw[(s + per_day + k - half) % per_day]).sum();
            sum / (2 * half + 1) as f64
        })
        .collect();
    let mut sorted = curve.clone();
    sorted.sort_by(f64::total_cmp);
    let (low, high) = (percentile(&sorted, 0.1)?, percentile(&sorted, 0.9)?);
    if high < 1.5 * low.max(1e-9) || median(&sorted)? <= 0.0 && high <= 0.0 {
        return None;
    }
    let middle = (low + high) / 2.0;
    let quiet = (0..per_day).min_by(|a, b| curve[*a].total_cmp(&curve[*b]))?;
    let value = |k: usize| curve[(quiet + k) % per_day];
    let crossing = |k: usize| {
        let (a, b) = (value(k - 1), value(k));
        let part = if (b - a).abs() > 1e-12 { (middle - a) / (b - a) } else { 0.0 };
        ((quiet + k - 1) as f64 + part).rem_euclid(per_day as f64)
    };
    let up = (1..=per_day).find(|k| value(*k) >= middle)?;
    let down = (up + 1..=per_day).rev().find(|k| value(*k) < middle && value(*k - 1) >= middle)?;
    Some(Workday { start: crossing(up), end: crossing(down), per_day })
}

/// The zone that a curve by UTC suggests: that which puts the beginning of work nearest 08:30. Minutes ahead of UTC, a multiple of 30, from -11 to +13 h;
/// with the beginning as hour of the day by UTC. It is only ever suggested.
pub fn suggested_zone(grid: &Grid, x: &[f32]) -> Option<(i32, f64)> {
    let begin = ramp(grid, x)?.start_hour();
    let halves = ((8.5 - begin) * 2.0).round() as i32;
    let minutes = (halves * 30 + 11 * 60).rem_euclid(24 * 60) - 11 * 60;
    Some((minutes, begin))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detectors::baseline::{BIN, SLOTS};

    fn office(first: f64, last: f64) -> (Grid, Vec<f32>) {
        let grid = Grid::new(BIN, None, &[(4 * SLOTS as i64, 18 * SLOTS as i64)]);
        let x = (0..grid.len())
            .map(|c| {
                let hour = (grid.slot(c) as f64 / 12.0 - first).rem_euclid(24.0);
                let busy = hour < (last - first).rem_euclid(24.0) && grid.day(c).unwrap().class == Class::Workday;
                if busy { 400.0 } else { 20.0 + (c % 5) as f32 }
            })
            .collect();
        (grid, x)
    }

    #[test]
    fn work_begins_where_the_curve_rises_and_suggests_a_zone() {
        let (grid, x) = office(7.5, 16.5);
        let work = ramp(&grid, &x).unwrap();
        assert!((work.start_hour() - 7.5).abs() < 0.2 && (work.end_hour() - 16.5).abs() < 0.2, "{work:?}");
        assert_eq!(suggested_zone(&grid, &x).unwrap().0, 60);
        let off = |hour: f64| work.is_off((hour * 12.0) as usize);
        assert_eq!([3.0, 6.0, 7.0, 12.0, 18.0, 19.0].map(off), [true, true, false, false, false, true]);
        // Of a place far to the west the day of work reaches over midnight.
        let (grid, x) = office(16.5, 1.5);
        let work = ramp(&grid, &x).unwrap();
        assert_eq!(suggested_zone(&grid, &x).unwrap().0, -8 * 60);
        assert!(!work.is_off(0) && !work.is_off(20 * 12) && work.is_off(8 * 12));
        // A server that works evenly has no such hours.
        assert_eq!(ramp(&grid, &vec![50.0; grid.len()]), None);
    }
}
