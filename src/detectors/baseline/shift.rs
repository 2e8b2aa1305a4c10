//! Lasting shifts: two cumulative sums (Page 1954; Montgomery, Introduction to Statistical Quality Control) of means of `z` over half an hour.

use super::grid::Grid;

/// Thresholds.
#[derive(Debug, Clone, Copy)]
pub struct Cusum {
    /// What is taken off each mean.
    pub slack: f64,
    /// Sum from which on there is a shift.
    pub height: f64,
    /// Means are cut at this, either way.
    pub cut: f64,
}

/// A shift.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shift {
    /// First cell of it: after the sum was last zero.
    pub onset: usize,
    /// Last cell: where the sum was greatest.
    pub last: usize,
    /// Cell at which the height was passed.
    pub passed: usize,
    /// The greatest sum.
    pub height: f64,
    /// It went up, else down.
    pub up: bool,
}

/// Finds shifts of deviations, one per cell of the grid; NaN counts nothing.
pub fn shifts(grid: &Grid, z: &[f32], rule: &Cusum) -> Vec<Shift> {
    let step = (grid.per_day / 48).max(1);
    let mut out = Vec::new();
    for up in [true, false] {
        let (mut sum, mut onset) = (0.0f64, 0usize);
        let mut now: Option<Shift> = None;
        for (n, cells) in z.chunks(step).enumerate() {
            let known: Vec<f64> =
                cells.iter().filter(|v| !v.is_nan()).map(|v| f64::from(*v).clamp(-rule.cut, rule.cut)).collect();
            if known.is_empty() {
                continue;
            }
            let mean = known.iter().sum::<f64>() / known.len() as f64;
            sum += if up { mean } else { -mean } - rule.slack;
            let end = (n * step + cells.len()).saturating_sub(1);
            if sum <= 0.0 {
                sum = 0.0;
                onset = end + 1;
                out.extend(now.take());
                continue;
            }
            match &mut now {
                Some(shift) if sum > shift.height => (shift.height, shift.last) = (sum, end),
                None if sum >= rule.height => now = Some(Shift { onset, last: end, passed: end, height: sum, up }),
                _ => {}
            }
        }
        out.extend(now);
    }
    out.sort_by_key(|s| (s.onset, s.up));
    out
}
