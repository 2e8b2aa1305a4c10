//! What is usual for the bins of a curve: from the hours of the whole case.

use super::{Asking, BAND, Curve, DEVIATES, HOUR, READ, Which};
use crate::detectors::baseline::{Grid, Scale, Verdict, fit};
use crate::error::Result;
use crate::model::{Kind, Time, Value, Window};
use std::collections::BTreeMap;

/// The hours in which the case was watched, by local day.
#[derive(Debug, Clone, Default)]
pub struct History {
    grid: Grid,
    /// The zone whose days they are, in words; none: nobody has said it, they are those of UTC.
    pub zone: Option<String>,
    /// The zone that the curve suggests if none is set: minutes ahead of UTC, and the hour by UTC at which work begins.
    pub suggested: Option<(i32, f64)>,
}

impl History {
    /// Whole days.
    pub fn days(&self) -> usize {
        self.grid.complete_days()
    }
    /// The suggestion in words.
    pub fn suggestion(&self) -> Option<String> {
        let (minutes, begin) = self.suggested?;
        let (hours, rest) = (minutes / 60, minutes.abs() % 60);
        let rest = if rest == 0 { String::new() } else { format!(":{rest:02}") };
        let (h, m) = (begin as i64, (begin.fract() * 60.0) as i64);
        Some(format!("suggested UTC{hours:+}{rest} (ramp seen {h:02}:{m:02}Z)"))
    }
}

/// The sums of every hour of the case, by number of the hour.
fn hours(asking: &Asking<'_>, which: Which) -> Result<BTreeMap<i64, f64>> {
    if let Some(hours) = asking.kept().and_then(|k| k.hours(which)) {
        return Ok(hours.iter().map(|(hour, n)| (*hour, *n as f64)).collect());
    }
    let stage = match which {
        Which::Bytes => "timeline 1h bytes",
        Which::Packets => "timeline 1h packets",
        _ => "timeline 1h",
    };
    let question = asking.question(which.conditions(), stage, &Window::ALL)?;
    let table = asking.engine.table(&question, asking.cancel)?;
    let hour = |row: &Vec<Option<Value>>| match (row.first(), row.get(1)) {
        (Some(Some(Value::Time(t))), Some(Some(n))) => Some((t.0.div_euclid(HOUR), n.as_number().unwrap_or(0.0))),
        _ => None,
    };
    Ok(table.rows.iter().filter_map(hour).filter(|(_, n)| *n > 0.0).collect())
}

/// Which hours were watched: from the first to the last record of each run of days that have any; of flows, else of whatever there is.
pub fn history(asking: &Asking<'_>) -> Result<History> {
    let all = Asking { scope: "", ..*asking };
    let mut seen = if all.has(&[Kind::Flow]) { hours(&all, Which::Flows)? } else { BTreeMap::new() };
    if seen.is_empty() {
        seen = hours(&all, Which::Dns)?;
        seen.append(&mut hours(&all, Which::Alerts)?);
    }
    let mut runs: Vec<(i64, i64)> = Vec::new();
    for hour in seen.keys() {
        match runs.last_mut() {
            // A day without anything ends a run.
            Some(run) if hour - run.1 < 24 => run.1 = hour + 1,
            _ => runs.push((*hour, hour + 1)),
        }
    }
    let zone = super::zone(asking.engine, asking.cancel)?;
    let grid = Grid::new(HOUR, zone, &runs);
    let x = grid.lay(|hour| seen.get(&hour).copied().unwrap_or(0.0) as f32);
    let suggested = if zone.is_none() { crate::detectors::baseline::suggested_zone(&grid, &x) } else { None };
    Ok(History { grid, zone: zone.map(|z| z.to_string()), suggested })
}

/// Lays what is usual over a curve, or says why it cannot be known.
pub(super) fn lay(which: Which, asking: &Asking<'_>, history: &History, window: &Window, curve: &mut Curve) -> Result<()> {
    let grid = &history.grid;
    if grid.complete_days() < 2 {
        curve.note = format!("insufficient history for a diurnal verdict (have {:.0} h)", grid.hours());
        return Ok(());
    }
    let read = asking.records(which.kinds());
    let known = which.is_summed() && asking.scope.trim().is_empty() || asking.kept().is_some_and(|k| k.hours(which).is_some());
    if read > READ && !known {
        curve.note = format!("what is usual is not worked out: {read} records would have to be read");
        return Ok(());
    }
    let sums = hours(asking, which)?;
    let x = grid.lay(|hour| sums.get(&hour).copied().unwrap_or(0.0) as f32);
    let fit = fit(grid, &x, Scale::HOURLY);
    let cells: BTreeMap<i64, usize> = (0..grid.len()).filter_map(|c| Some((grid.at(c)?.0.div_euclid(HOUR), c))).collect();
    // What a bin would usually have, and between which bounds: of the hours that it has part in.
    let bounds = |from: Time, until: Time, scales: f32| -> Option<(f64, f64, f64)> {
        let mut out = (0.0, 0.0, 0.0);
        for hour in from.0.div_euclid(HOUR)..=until.plus(-1).0.div_euclid(HOUR) {
            let start = hour.saturating_mul(HOUR);
            let part = (until.0.min(start.saturating_add(HOUR)) - from.0.max(start)) as f64 / HOUR as f64;
            let cell = *cells.get(&hour)?;
            let (low, high) = fit.band(cell, scales)?;
            out.0 += f64::from(fit.expected(cell)?) * part;
            out.1 += f64::from(low) * part;
            out.2 += f64::from(high) * part;
        }
        Some(out)
    };
    // Parts of an hour vary more than the hour does.
    let finer = (HOUR as f64 / curve.bin.max(1) as f64).max(1.0).sqrt().min(2.0) as f32;
    // That bytes or failures fall means little: they are of a few flows.
    let falls = fit.verdict == Verdict::Full && matches!(which, Which::Flows | Which::Dns);
    let least = if which == Which::Bytes { 5e6 } else { 50.0 };
    for n in 0..curve.bins.len() {
        let of = curve.window(n);
        // The first and last bin may reach beyond what is looked at.
        let (from, until) = (of.start.max(window.start), of.end.min(window.end));
        if from >= until {
            continue;
        }
        let (usual, outer) = (bounds(from, until, BAND * finer), bounds(from, until, DEVIATES * finer));
        let bin = &mut curve.bins[n];
        bin.usual = usual;
        if let Some((middle, low, high)) = outer {
            let off = bin.value - middle;
            bin.deviates = if bin.value > high && off >= least {
                1
            } else if falls && bin.value < low && middle >= 10.0 {
                -1
            } else {
                0
            };
        }
    }
    curve.note = match fit.verdict {
        Verdict::Weak => format!("{} whole days of history: only what rises is judged", fit.days),
        _ => format!("usual: median of {} whole days", fit.days),
    };
    Ok(())
}
