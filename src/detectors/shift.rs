//! Lasting shifts: more, or less, than is usual for hours, though no bin alone stands out.

use super::baseline::Verdict;
use super::baseline::rules::Stretch;
use super::baseline::shift::{Cusum, shifts};
use super::curves::{Metric, Scope};
use super::deviation::{amount, finding, settle, sweep};
use super::maths::sat;
use super::rows::{Net, Piece};
use super::{Detector, Limits, Setting, Watch};
use crate::model::Finding;

/// The detector.
pub static DETECTOR: Shift = Shift;

/// See the module.
pub struct Shift;

const NAME: &str = "shift";
const SETTINGS: &[Setting] = &[
    Setting { name: "slack", default: 0.75, unit: "", doc: "What is taken off the mean deviation of each half hour." },
    Setting { name: "notice", default: 4.0, unit: "", doc: "Cumulative sum from which on it is a notice, of sites and links." },
    Setting { name: "alert", default: 8.0, unit: "", doc: "Cumulative sum from which on it is an alert." },
    Setting { name: "least", default: 1.3, unit: "×", doc: "Least so many times what is usual, or its inverse." },
];

impl Detector for Shift {
    fn name(&self) -> &'static str {
        NAME
    }
    fn doc(&self) -> &'static str {
        "Flows or bytes that are above or below what is usual for hours: cumulative sums of half-hour means of the deviation (Page 1954), slack 0.75, notice 4, alert 8."
    }
    fn techniques(&self) -> &'static [&'static str] {
        &["T1030", "T1048"]
    }
    fn settings(&self) -> &'static [Setting] {
        SETTINGS
    }
    fn reads_curves(&self) -> bool {
        true
    }
    fn watch(&self, limits: &Limits) -> Box<dyn Watch> {
        let of = |name| limits.of(NAME, SETTINGS, name);
        Box::new(Shifts {
            slack: of("slack"),
            notice: of("notice").max(0.1),
            alert: of("alert").max(0.1),
            least: of("least").max(1.0),
        })
    }
}

struct Shifts {
    slack: f64,
    notice: f64,
    alert: f64,
    least: f64,
}

fn metrics(scope: Scope) -> &'static [Metric] {
    match scope {
        Scope::Service(..) => &[Metric::Flows],
        _ => &[Metric::Sent, Metric::Flows],
    }
}

impl Watch for Shifts {
    super::resume::keeps_nothing!();
    fn piece(&mut self, _: &Piece<'_>) {}
    fn end(self: Box<Self>, net: &Net) -> Vec<Finding> {
        let Some(curves) = &net.curves else { return Vec::new() };
        let found = sweep(curves, &metrics, &|curve, metric, grid, x, fit| {
            let broad = matches!(curve.scope, Scope::Site(_));
            let rule = Cusum { slack: self.slack, height: if broad { self.notice } else { self.alert }, cut: 3.0 };
            let mut out = Vec::new();
            for shift in shifts(grid, &fit.z, &rule) {
                // A short history says nothing of what falls.
                if !shift.up && fit.verdict < Verdict::Full {
                    continue;
                }
                let cells = shift.onset..=shift.last.min(grid.len().saturating_sub(1));
                let sum = |f: &dyn Fn(usize) -> Option<f32>| -> f64 {
                    cells.clone().filter_map(f).filter(|v| !v.is_nan()).map(f64::from).sum()
                };
                let (actual, expected) = (sum(&|c| x.get(c).copied()), sum(&|c| fit.expected(c)));
                let bins = (shift.last + 1).saturating_sub(shift.onset) as f64;
                // Of quiet curves a handful of flows is no shift.
                let least = if metric.is_bytes() { 1e6 } else { 10.0 } * bins / 2.0;
                let times = actual.max(1.0) / expected.max(1.0);
                if (actual - expected).abs() >= least && times.max(1.0 / times) >= self.least {
                    let z = if shift.up { shift.height } else { -shift.height } as f32;
                    let alert = shift.height >= self.alert;
                    out.push(Stretch { first: shift.onset, last: shift.last, z, actual, expected, alert, silent: false });
                }
            }
            out
        });
        let mut out = Vec::new();
        for group in settle(curves, net, found) {
            let (metric, s) = (group.first.metric, &group.first.stretch);
            let way = if s.z > 0.0 { "more" } else { "less" };
            let title = format!(
                "{way} than usual for long: {} {} where {} are usual ({:.2} ×, sum {:.1})",
                amount(metric, s.actual),
                metric.name(),
                amount(metric, s.expected),
                s.times(),
                s.z.abs()
            );
            let mut f = finding(NAME, curves, net, &group, &title, self.alert as f32);
            // What is called z elsewhere is the cumulative sum here.
            f.numbers
                .iter_mut()
                .filter(|n| n.name.ends_with(", z"))
                .for_each(|n| n.name = n.name.replace(", z", ", cumulative sum"));
            f.severity = if s.alert { 2 } else { 1 };
            f.score = sat(f64::from(s.z.abs()) / (4.0 * self.alert)) as f32;
            f.benign = vec![
                "a change of what is offered or used: a move, a new program, more people".into(),
                "a holiday or a season".into(),
            ];
            out.push(f);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detectors::trial::{FRIDAY, weeks};

    #[test]
    fn twice_as_much_for_hours_is_a_shift_from_its_onset_on() {
        let mut trial = weeks(14);
        assert!(trial.found(&DETECTOR).is_empty(), "{:?}", trial.found(&DETECTOR).iter().map(|f| &f.title).collect::<Vec<_>>());
        // Thursday from 09:00 to 14:00 one host more than doubles what it does, evenly.
        let begin = (FRIDAY - 86_400 + 3600) as f64;
        for n in 0..1_500 {
            trial.flow(begin + f64::from(n) * 12.0, "10.0.0.5", "198.51.100.10", 443);
        }
        let found = trial.found(&DETECTOR);
        let f = found.iter().find(|f| f.host.to_string() == "10.0.0.5").unwrap();
        assert!(f.title.contains("more than usual for long") && f.severity == 2, "{}", f.title);
        let off = f.window.start.since(crate::model::Time((begin * 1e9) as i64)) / 60_000_000_000;
        assert!((-30..=30).contains(&off) && f.window.length() > 3 * 3_600_000_000_000, "{off} {}", f.title);
    }
}
