//! Two other ways to say what is usual, behind the same interface: an average that forgets, for histories of less than two days, and additive Holt-Winters
//! smoothing with a season of a day. Both only look back; what is far off is taken for no more than its threshold, so that it does not become usual.

use super::grid::Grid;
use super::model::{Fit, Scale, Verdict, fit};

/// How it is worked out what is usual.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Model {
    /// Medians of slots, see [`fit`].
    #[default]
    Slots,
    /// An exponentially weighted average, 0.2; days do not matter.
    Average,
    /// Holt-Winters, additive, 0.2, 0.01, 0.1, with a season of a day.
    Season,
}

impl Model {
    /// By the number of a setting.
    pub fn by_number(n: f64) -> Model {
        match n {
            n if n >= 1.5 => Model::Season,
            n if n >= 0.5 => Model::Average,
            _ => Model::Slots,
        }
    }
}

/// Bins before an average means anything.
const WARM: usize = 24;
/// What is farther off counts as so many scales when the scale and the level are brought forward.
const FAR: f32 = 4.5;
const LEVEL: f32 = 0.2;
const TREND: f32 = 0.01;
const SEASON: f32 = 0.1;

/// Says what is usual by a model.
pub fn fit_by(model: Model, grid: &Grid, x: &[f32], scale: Scale) -> Fit {
    if model == Model::Slots || x.len() != grid.len() {
        return fit(grid, x, scale);
    }
    let per_day = grid.per_day.max(1);
    let days = grid.complete_days();
    let y: Vec<f32> = x.iter().map(|v| if v.is_nan() { *v } else { scale.of(*v) }).collect();
    let seasonal = model == Model::Season;
    let mut season = if seasonal { first_day(grid, &y, per_day) } else { Some(vec![0.0; per_day]) };
    let verdict = match (seasonal, days) {
        (true, 0..=1) => Verdict::None,
        (true, 7..) => Verdict::Full,
        _ => Verdict::Weak,
    };
    let mut middle = vec![f32::NAN; y.len()];
    let mut wide = vec![f32::NAN; y.len()];
    let mut z = vec![f32::NAN; y.len()];
    let (mut level, mut trend, mut spread, mut seen) = (f32::NAN, 0.0f32, 0.0f32, 0usize);
    if let (Some(season), true) = (&mut season, verdict > Verdict::None) {
        for (cell, own) in y.iter().copied().enumerate().filter(|(_, v)| !v.is_nan()) {
            let Some(slot) = season.get_mut(cell % per_day) else { continue };
            if level.is_nan() {
                level = own - *slot;
            }
            let usual = level + trend + *slot;
            let scale_now = (1.25 * spread).max(scale.floor);
            let off = own - usual;
            if seen >= WARM {
                (middle[cell], wide[cell], z[cell]) = (usual, scale_now, off / scale_now);
            }
            let taken = if seen >= WARM { off.clamp(-FAR * scale_now, FAR * scale_now) } else { off };
            let before = level;
            level += if seasonal { trend } else { 0.0 } + LEVEL * taken;
            if seasonal {
                trend = (1.0 - TREND) * trend + TREND * (level - before);
                *slot += SEASON * (1.0 - LEVEL) * taken;
            }
            // The mean of what is off is brought forward slowly: 1.25 of it is a deviation of one.
            let weight = if seen < WARM { 1.0 / (seen + 1) as f32 } else { 0.02 };
            spread += weight * (taken.abs() - spread);
            seen += 1;
        }
    }
    Fit::by_cell(verdict, days, scale, per_day, middle, z, wide)
}

/// The shape of the first whole day, as what it differs from its mean.
fn first_day(grid: &Grid, y: &[f32], per_day: usize) -> Option<Vec<f32>> {
    let first = grid.days.iter().position(|d| d.complete)?;
    let day = y.get(first * per_day..(first + 1) * per_day)?;
    let known: Vec<f32> = day.iter().copied().filter(|v| !v.is_nan()).collect();
    let mean = known.iter().sum::<f32>() / known.len().max(1) as f32;
    Some(day.iter().map(|v| if v.is_nan() { 0.0 } else { v - mean }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detectors::baseline::{BIN, SLOTS};

    fn even(days: f64) -> (Grid, Vec<f32>) {
        let first = 4 * SLOTS as i64;
        let grid = Grid::new(BIN, None, &[(first, first + (days * SLOTS as f64) as i64)]);
        let x = grid.lay(|bin| 200.0 + ((bin * 7_919) % 41) as f32);
        (grid, x)
    }

    #[test]
    fn an_average_speaks_of_a_day_that_has_no_other() {
        let (grid, mut x) = even(0.8);
        x[150] = 2_000.0;
        let slots = fit_by(Model::Slots, &grid, &x, Scale::AMOUNT);
        let average = fit_by(Model::by_number(1.0), &grid, &x, Scale::AMOUNT);
        assert_eq!((slots.z(150), average.verdict), (None, Verdict::Weak));
        assert!(average.z(150).unwrap() > 10.0 && average.z(10).is_none() && average.z(151).unwrap().abs() < 4.5);
        assert!((average.expected(150).unwrap() - 220.0).abs() < 40.0);
    }

    #[test]
    fn a_season_knows_the_hours_and_does_not_learn_an_outlier_at_once() {
        let (grid, mut x) = even(10.0);
        (0..x.len()).filter(|c| (96..216).contains(&(c % SLOTS))).for_each(|c| x[c] *= 6.0);
        let odd = 8 * SLOTS + 30;
        x[odd] = 1_400.0;
        let season = fit_by(Model::by_number(2.0), &grid, &x, Scale::AMOUNT);
        assert_eq!(season.verdict, Verdict::Full);
        // As much as at noon, at half past two in the night.
        assert!(season.z(odd).unwrap() > 6.0, "{:?}", season.z(odd));
        assert!(season.z(8 * SLOTS + 100).unwrap().abs() < 4.5 && season.z(9 * SLOTS + 30).unwrap().abs() < 4.5);
        let (low, high) = season.band(9 * SLOTS + 30, 3.0).unwrap();
        assert!(low < 220.0 && high > 220.0);
        assert_eq!(fit_by(Model::Season, &even(1.0).0, &even(1.0).1, Scale::AMOUNT).verdict, Verdict::None);
    }
}
