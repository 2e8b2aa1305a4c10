//! What is usual in a slot, and how far each bin is off.
//!
//! With at least 28 whole days the median of the same slot of the same day of the week; with 7 to 27 that of the same slot on workdays, or on
//! weekends; with 2 to 6 the same, but what falls is not judged; with less nothing is. Each day is compared with the others of its kind, never with
//! itself: the deviations of three days are then as honest as those of thirty. Medians are smoothed over five slots; the scale is 1.4826 MAD of what is
//! off in the slots around, never less than a floor and the lower quartile of all scales.

use super::grid::{Class, Grid, LocalDay};
use crate::detectors::maths::percentile;

/// What a history can carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Less than two whole days: nothing is said.
    None,
    /// Two to six: what is too much is said, what is too little is not.
    Weak,
    /// A week or more.
    Full,
}

/// How numbers are compared.
#[derive(Debug, Clone, Copy)]
pub struct Scale {
    /// They are counts or amounts: compared as `ln(1 + x)`.
    pub log: bool,
    /// Least scale, in what is compared.
    pub floor: f32,
    /// Slots of the running median, odd.
    pub smooth: usize,
    /// Slots either side whose deviations are pooled.
    pub pool: usize,
    /// Whole days from which on days of the week are told apart. Without smoothing and pooling four days are too few to compare one with three.
    pub weekly: usize,
}

impl Scale {
    /// Of counts and amounts in bins of five minutes.
    pub const AMOUNT: Scale = Scale { log: true, floor: 0.10, smooth: 5, pool: 6, weekly: 28 };
    /// Of counts and amounts in bins of an hour.
    pub const HOURLY: Scale = Scale { log: true, floor: 0.10, smooth: 1, pool: 1, weekly: 56 };
    /// Of numbers from 0 to 1 in bins of five minutes.
    pub const SHARE: Scale = Scale { log: false, floor: 0.02, smooth: 5, pool: 6, weekly: 28 };

    /// A number as it is compared.
    pub fn of(&self, x: f32) -> f32 {
        if self.log { x.max(0.0).ln_1p() } else { x }
    }
    /// The inverse of [`Scale::of`].
    pub fn back(&self, y: f32) -> f32 {
        if self.log { y.exp_m1().max(0.0) } else { y }
    }
}

/// What is usual for a series. Cells are those of its grid; NaN where nothing can be said.
#[derive(Debug, Clone)]
pub struct Fit {
    /// What the history can carry.
    pub verdict: Verdict,
    /// Whole days that it rests on.
    pub days: usize,
    /// How numbers are compared.
    pub scale: Scale,
    /// What is usual, as compared.
    pub middle: Vec<f32>,
    /// How far off each cell is, in scales.
    pub z: Vec<f32>,
    /// The scale of each slot, as compared, by kind of day: `kind * per_day + slot`.
    wide: Vec<f32>,
    /// The kind of each day.
    kinds: Vec<u16>,
    per_day: usize,
}

impl Fit {
    /// One whose scales are of each cell by itself.
    pub(super) fn by_cell(
        verdict: Verdict,
        days: usize,
        scale: Scale,
        per_day: usize,
        middle: Vec<f32>,
        z: Vec<f32>,
        wide: Vec<f32>,
    ) -> Fit {
        let kinds = (0..middle.len().div_ceil(per_day.max(1))).map(|d| d as u16).collect();
        Fit { verdict, days, scale, middle, z, wide, kinds, per_day: per_day.max(1) }
    }
    /// What is usual in a cell, in the series' own unit.
    pub fn expected(&self, cell: usize) -> Option<f32> {
        self.middle.get(cell).filter(|m| !m.is_nan()).map(|m| self.scale.back(*m))
    }
    /// How far off a cell is.
    pub fn z(&self, cell: usize) -> Option<f32> {
        self.z.get(cell).copied().filter(|z| !z.is_nan())
    }
    /// From where to where a cell would be usual, so many scales either side, in the series' own unit.
    pub fn band(&self, cell: usize, scales: f32) -> Option<(f32, f32)> {
        let kind = usize::from(*self.kinds.get(cell / self.per_day.max(1))?);
        let (m, s) = (*self.middle.get(cell)?, *self.wide.get(kind * self.per_day + cell % self.per_day.max(1))?);
        (!m.is_nan() && !s.is_nan()).then(|| (self.scale.back(m - scales * s), self.scale.back(m + scales * s)))
    }
}

/// Says what is usual. `x` has a number per cell of the grid; NaN: not watched.
pub fn fit(grid: &Grid, x: &[f32], scale: Scale) -> Fit {
    let per_day = grid.per_day.max(1);
    let days = grid.complete_days();
    let verdict = match days {
        0 | 1 => Verdict::None,
        2..=6 => Verdict::Weak,
        _ => Verdict::Full,
    };
    let cells = grid.len();
    let mut out = Fit {
        verdict,
        days,
        scale,
        middle: vec![f32::NAN; cells],
        z: vec![f32::NAN; cells],
        wide: Vec::new(),
        kinds: Vec::new(),
        per_day,
    };
    if verdict == Verdict::None || x.len() != cells {
        return out;
    }
    let y: Vec<f32> = x.iter().map(|v| if v.is_nan() { *v } else { scale.of(*v) }).collect();
    let kind =
        |day: &LocalDay| if days >= scale.weekly { u16::from(day.weekday) } else { u16::from(day.class == Class::Weekend) };
    out.kinds = grid.days.iter().map(kind).collect();
    let kinds = if days >= scale.weekly { 7 } else { 2 };
    for kind in 0..kinds {
        let members: Vec<usize> = (0..grid.days.len()).filter(|d| out.kinds[*d] == kind).collect();
        let whole: Vec<usize> = members.iter().copied().filter(|d| grid.days[*d].complete).collect();
        let at = |d: usize, s: usize| y.get(d * per_day + s).copied().unwrap_or(f32::NAN);
        middles(&members, &whole, &at, grid, &mut out.middle);
        smooth(&members, per_day, scale.smooth, &mut out.middle);
        out.wide.append(&mut pooled(&whole, &at, per_day, scale.pool, &out.middle));
    }
    let mut all: Vec<f64> = out.wide.iter().filter(|s| !s.is_nan()).map(|s| f64::from(*s)).collect();
    all.sort_by(f64::total_cmp);
    let floor = percentile(&all, 0.25).map_or(scale.floor, |p| (p as f32).max(scale.floor));
    // Where nothing could be pooled (one day of its kind) nothing is judged: `max` would hide that.
    out.wide.iter_mut().filter(|w| !w.is_nan()).for_each(|w| *w = w.max(floor));
    for (cell, (z, own)) in out.z.iter_mut().zip(&y).enumerate() {
        let kind = usize::from(out.kinds.get(cell / per_day).copied().unwrap_or(0));
        let wide = out.wide.get(kind * per_day + cell % per_day).copied().unwrap_or(f32::NAN);
        *z = (own - out.middle.get(cell).copied().unwrap_or(f32::NAN)) / wide;
    }
    out
}

/// Medians of each slot over the other whole days of the kind.
fn middles(members: &[usize], whole: &[usize], at: &dyn Fn(usize, usize) -> f32, grid: &Grid, middle: &mut [f32]) {
    let per_day = grid.per_day.max(1);
    let mut sorted: Vec<f32> = Vec::with_capacity(whole.len());
    for slot in 0..per_day {
        sorted.clear();
        sorted.extend(whole.iter().map(|d| at(*d, slot)).filter(|v| !v.is_nan()));
        sorted.sort_by(f32::total_cmp);
        for d in members {
            let own = at(*d, slot);
            let without = (grid.days[*d].complete && !own.is_nan()).then(|| sorted.partition_point(|v| *v < own));
            if let Some(cell) = middle.get_mut(d * per_day + slot) {
                *cell = median_without(&sorted, without);
            }
        }
    }
}

/// The median of sorted numbers, without the one at a place.
fn median_without(sorted: &[f32], without: Option<usize>) -> f32 {
    let n = sorted.len() - usize::from(without.is_some()).min(sorted.len());
    let get = |k: usize| {
        let k = if without.is_some_and(|w| k >= w) { k + 1 } else { k };
        sorted.get(k).copied().unwrap_or(f32::NAN)
    };
    match n {
        0 => f32::NAN,
        n if n % 2 == 1 => get(n / 2),
        n => (get(n / 2 - 1) + get(n / 2)) / 2.0,
    }
}

/// A running median within each day.
fn smooth(members: &[usize], per_day: usize, width: usize, middle: &mut [f32]) {
    let half = width / 2;
    if half == 0 {
        return;
    }
    let mut near: Vec<f32> = Vec::with_capacity(width);
    for d in members {
        let Some(day) = middle.get_mut(d * per_day..(d + 1) * per_day) else { continue };
        let before = day.to_vec();
        for (slot, out) in day.iter_mut().enumerate() {
            near.clear();
            let around = &before[slot.saturating_sub(half)..(slot + half + 1).min(before.len())];
            near.extend(around.iter().copied().filter(|v| !v.is_nan()));
            near.sort_by(f32::total_cmp);
            if !out.is_nan() {
                *out = median_without(&near, None);
            }
        }
    }
}

/// The scale of each slot: 1.4826 MAD of what is off in it and in the slots around, over whole days.
fn pooled(whole: &[usize], at: &dyn Fn(usize, usize) -> f32, per_day: usize, pool: usize, middle: &[f32]) -> Vec<f32> {
    let mut off: Vec<f32> = Vec::with_capacity(whole.len() * (2 * pool + 1));
    let mut out = Vec::with_capacity(per_day);
    for slot in 0..per_day {
        off.clear();
        for d in whole {
            for s in slot.saturating_sub(pool)..(slot + pool + 1).min(per_day) {
                let r = at(*d, s) - middle.get(d * per_day + s).copied().unwrap_or(f32::NAN);
                if !r.is_nan() {
                    off.push(r.abs());
                }
            }
        }
        out.push(if off.is_empty() {
            f32::NAN
        } else {
            let at = off.len() / 2;
            1.4826 * *off.select_nth_unstable_by(at, f32::total_cmp).1
        });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detectors::baseline::{BIN, SLOTS};

    fn days(n: i64) -> Grid {
        // From Monday, 5 January 1970.
        Grid::new(BIN, None, &[(4 * SLOTS as i64, (4 + n) * SLOTS as i64)])
    }

    #[test]
    fn a_day_is_compared_with_the_others_of_its_kind() {
        assert_eq!(median_without(&[1.0, 2.0, 9.0], Some(2)), 1.5);
        assert_eq!(median_without(&[1.0, 2.0, 9.0, 11.0], Some(0)), 9.0);
        assert!(median_without(&[1.0], Some(0)).is_nan());
        let grid = days(14);
        // Workdays carry 100 to 102 a bin, weekends 10; the second Tuesday is ten times itself for an hour.
        let mut x: Vec<f32> = (0..grid.len())
            .map(|c| if grid.day(c).unwrap().class == Class::Weekend { 10.0 } else { 100.0 + ((c * 7) % 3) as f32 })
            .collect();
        let odd = 8 * SLOTS + 100;
        (odd..odd + 12).for_each(|c| x[c] = 1000.0);
        let fit = fit(&grid, &x, Scale::AMOUNT);
        assert_eq!((fit.verdict, fit.days), (Verdict::Full, 14));
        assert!((fit.expected(odd).unwrap() - 101.0).abs() < 1.5, "{:?}", fit.expected(odd));
        // ln(1001 / 102) over the floor of 0.1
        assert!((fit.z(odd).unwrap() - 22.8).abs() < 0.5, "{:?}", fit.z(odd));
        assert!(fit.z(5 * SLOTS + 3).unwrap().abs() < 0.01 && (fit.expected(5 * SLOTS).unwrap() - 10.0).abs() < 0.01);
        let (low, high) = fit.band(odd, 3.0).unwrap();
        assert!(low < 80.0 && high > 130.0, "{low} {high}");
    }

    #[test]
    fn a_short_history_says_less_and_a_shorter_one_nothing() {
        let of = |n: i64| {
            let grid = days(n);
            fit(&grid, &vec![50.0; grid.len()], Scale::AMOUNT)
        };
        assert_eq!((of(1).verdict, of(1).z(5)), (Verdict::None, None));
        assert_eq!((of(3).verdict, of(3).z(5)), (Verdict::Weak, Some(0.0)));
        // Six days: one Saturday, which has nothing to be compared with.
        assert_eq!((of(6).verdict, of(6).z(5 * SLOTS + 5), of(6).z(5)), (Verdict::Weak, None, Some(0.0)));
        assert_eq!(of(28).verdict, Verdict::Full);
        assert_eq!(fit(&Grid::default(), &[], Scale::AMOUNT).verdict, Verdict::None);
    }
}
