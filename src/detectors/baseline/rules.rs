//! Rules over a fitted series: spikes, interruptions and silence, what is done off hours.

use super::grid::{Class, Grid};
use super::model::{Fit, Verdict};
use super::workday::Workday;

/// A stretch of a series that a rule found.
#[derive(Debug, Clone, PartialEq)]
pub struct Stretch {
    /// First cell.
    pub first: usize,
    /// Last cell.
    pub last: usize,
    /// The greatest deviation.
    pub z: f32,
    /// What there was from the first to the last cell.
    pub actual: f64,
    /// What is usual.
    pub expected: f64,
    /// It is an alert, else a notice.
    pub alert: bool,
    /// There was nothing at all.
    pub silent: bool,
}

impl Stretch {
    /// How many times what is usual; of almost nothing, of one.
    pub fn times(&self) -> f64 {
        self.actual / self.expected.max(1.0)
    }
}

/// Thresholds of [`spikes`].
#[derive(Debug, Clone, Copy)]
pub struct Spike {
    /// Notice from this deviation on; an alert if two bins in a row have it.
    pub notice: f32,
    /// Alert from this deviation in one bin on.
    pub alert: f32,
    /// Least so many times what is usual.
    pub times: f32,
    /// Least excess of a bin, in the series' unit.
    pub excess: f32,
}

/// Cells that fit a rule, grouped: those with at most `gap` cells between them are one stretch.
fn group(grid: &Grid, hits: &[usize], gap: usize) -> Vec<Vec<usize>> {
    let mut out: Vec<Vec<usize>> = Vec::new();
    for cell in hits {
        let near = |last: usize| {
            let between = grid.at(*cell).zip(grid.at(last)).map_or(i64::MAX, |(a, b)| a.since(b));
            between <= (gap as i64 + 1).saturating_mul(grid.bin)
        };
        match out.last_mut() {
            Some(run) if run.last().is_some_and(|l| near(*l)) => run.push(*cell),
            _ => out.push(vec![*cell]),
        }
    }
    out
}

/// Whether two of the cells follow each other.
fn has_pair(grid: &Grid, cells: &[usize]) -> bool {
    cells.windows(2).any(|w| grid.at(w[1]).zip(grid.at(w[0])).is_some_and(|(b, a)| b.since(a) == grid.bin))
}

fn stretch(grid: &Grid, x: &[f32], fit: &Fit, cells: &[usize]) -> Option<Stretch> {
    let (first, last) = (*cells.first()?, *cells.last()?);
    let (mut actual, mut expected) = (0.0, 0.0);
    for cell in (first..=last).filter(|c| grid.at(*c).is_some()) {
        actual += f64::from(x.get(cell).copied().filter(|v| !v.is_nan()).unwrap_or(0.0));
        expected += f64::from(fit.expected(cell).unwrap_or(0.0));
    }
    let z = cells.iter().filter_map(|c| fit.z(*c)).fold(0.0f32, |a, z| if z.abs() > a.abs() { z } else { a });
    Some(Stretch { first, last, z, actual, expected, alert: false, silent: false })
}

/// Three bins without it do not end it.
const GAP: usize = 3;

/// How far from the same time of day something that recurs may be, in bins; and of how many other days it must be known.
const NEAR: usize = 6;
const RECURS: usize = 2;

fn over(grid: &Grid, x: &[f32], fit: &Fit, z: f32, times: f32, excess: f32, fits: &dyn Fn(usize) -> bool) -> Vec<usize> {
    (0..grid.len())
        .filter(|c| {
            let (Some(own), Some(e), Some(v)) = (fit.z(*c), fit.expected(*c), x.get(*c)) else { return false };
            own >= z && *v >= times * e && v - e >= excess && fits(*c) && !recurs(grid, x, *c, *v / times.max(1.0))
        })
        .collect()
}

/// Whether most other days have as much within half an hour of the same time. A nightly job that takes a bin or two is smoothed out of what is usual
/// at its slot, and yet it is usual.
fn recurs(grid: &Grid, x: &[f32], cell: usize, least: f32) -> bool {
    let per_day = grid.per_day.max(1);
    let (day, slot) = (cell / per_day, cell % per_day);
    let (mut days, mut with) = (0, 0);
    for other in (0..grid.len() / per_day).filter(|d| *d != day) {
        let from = other * per_day + slot.saturating_sub(NEAR);
        let until = (other * per_day + (slot + NEAR + 1).min(per_day)).min(grid.len());
        let known: Vec<f32> =
            (from..until).filter(|c| grid.at(*c).is_some()).filter_map(|c| x.get(c).copied()).filter(|v| !v.is_nan()).collect();
        if known.is_empty() {
            continue;
        }
        days += 1;
        with += usize::from(known.iter().any(|v| *v >= least));
    }
    with >= RECURS && with * 2 > days
}

/// Where there is much more than usual.
pub fn spikes(grid: &Grid, x: &[f32], fit: &Fit, rule: &Spike) -> Vec<Stretch> {
    let hits = over(grid, x, fit, rule.notice, rule.times, rule.excess, &|_| true);
    let mut out = Vec::new();
    for cells in group(grid, &hits, GAP) {
        let Some(mut found) = stretch(grid, x, fit, &cells) else { continue };
        found.alert = found.z >= rule.alert || has_pair(grid, &cells);
        out.push(found);
    }
    out
}

/// Thresholds of [`interruptions`].
#[derive(Debug, Clone, Copy)]
pub struct Interruption {
    /// Alert if two bins in a row are at or below this deviation.
    pub z: f32,
    /// Only where at least so many are usual in a bin.
    pub expected: f32,
}

/// Where there is much less than usual, or nothing where there always was something.
pub fn interruptions(grid: &Grid, x: &[f32], fit: &Fit, rule: &Interruption) -> Vec<Stretch> {
    if fit.verdict < Verdict::Full {
        return Vec::new();
    }
    let usual = |c: usize| fit.expected(c).is_some_and(|e| e >= rule.expected);
    let low: Vec<usize> = (0..grid.len()).filter(|c| usual(*c) && fit.z(*c).is_some_and(|z| z <= rule.z)).collect();
    let mut out = Vec::new();
    for cells in group(grid, &low, GAP) {
        let Some(mut found) = stretch(grid, x, fit, &cells) else { continue };
        let silent = cells.iter().any(|c| x.get(*c) == Some(&0.0) && was_never_zero(grid, x, *c));
        if silent || has_pair(grid, &cells) {
            (found.alert, found.silent) = (true, silent && found.actual <= 0.0);
            out.push(found);
        }
    }
    out
}

/// Whether the slot of a cell had something on every other day of its kind.
fn was_never_zero(grid: &Grid, x: &[f32], cell: usize) -> bool {
    let (slot, class) = (grid.slot(cell), grid.day(cell).map(|d| d.class));
    grid.days.iter().enumerate().all(|(d, day)| {
        let other = d * grid.per_day + slot;
        other == cell || Some(day.class) != class || x.get(other).is_none_or(|v| v.is_nan() || *v > 0.0)
    })
}

/// Whether a cell lies off hours: not on a workday, or outside its hours.
pub fn is_off_hours(grid: &Grid, work: Option<&Workday>, cell: usize) -> bool {
    grid.day(cell).is_some_and(|d| d.class == Class::Weekend) || work.is_some_and(|w| w.is_off(grid.slot(cell)))
}

/// Where there is much more than usual off hours. Thresholds of a spike, of which `times` is the greater here.
pub fn off_hours(grid: &Grid, x: &[f32], fit: &Fit, work: Option<&Workday>, rule: &Spike) -> Vec<Stretch> {
    let hits = over(grid, x, fit, rule.notice, rule.times, rule.excess, &|c| is_off_hours(grid, work, c));
    let mut out = Vec::new();
    for cells in group(grid, &hits, GAP) {
        let Some(mut found) = stretch(grid, x, fit, &cells) else { continue };
        found.alert = found.z >= rule.alert || has_pair(grid, &cells);
        out.push(found);
    }
    out
}

/// Where something was active for the first time at hours of a kind: nights of workdays, or weekends. There must be at least `least` whole days before,
/// of which the last 28 count, and in the stretch at least `amount`.
pub fn first_off_hours(grid: &Grid, x: &[f32], work: Option<&Workday>, least: usize, amount: f64) -> Vec<Stretch> {
    let mut out = Vec::new();
    for class in [Class::Workday, Class::Weekend] {
        let hits: Vec<usize> = (0..grid.len())
            .filter(|c| x.get(*c).is_some_and(|v| *v > 0.0) && grid.day(*c).is_some_and(|d| d.class == class))
            .filter(|c| is_off_hours(grid, work, *c))
            .collect();
        // An hour without activity does not end it.
        for cells in group(grid, &hits, grid.per_day / 24) {
            let (Some(first), Some(last)) = (cells.first().copied(), cells.last().copied()) else { continue };
            let day = first / grid.per_day.max(1);
            let from = day.saturating_sub(28);
            let before = grid.days.get(from..day).unwrap_or_default().iter().filter(|d| d.complete).count();
            let kind = grid.days.get(from..day).unwrap_or_default().iter().filter(|d| d.complete && d.class == class).count();
            let quiet = !hits.iter().any(|h| *h < first && *h / grid.per_day.max(1) >= from);
            let actual: f64 = cells.iter().filter_map(|c| x.get(*c)).map(|v| f64::from(*v)).sum();
            if before >= least && kind >= 2 && quiet && actual >= amount {
                out.push(Stretch { first, last, z: 0.0, actual, expected: 0.0, alert: true, silent: false });
            }
        }
    }
    out
}
