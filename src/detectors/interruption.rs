//! Interruptions: much less than is usual at the hour, or nothing where there always was something.

use super::baseline::rules::{Interruption as Rule, interruptions};
use super::curves::{Metric, Scope};
use super::deviation::{amount, finding, settle, sweep};
use super::rows::{Net, Piece};
use super::{Detector, Limits, Setting, Watch};
use crate::model::Finding;

/// The detector.
pub static DETECTOR: Interruption = Interruption;

/// See the module.
pub struct Interruption;

const NAME: &str = "interruption";
const SETTINGS: &[Setting] = &[
    Setting {
        name: "deviation",
        default: 5.0,
        unit: "",
        doc: "Two bins in a row so many scales below what is usual are an interruption.",
    },
    Setting {
        name: "usual",
        default: 10.0,
        unit: "",
        doc: "Only where at least so many flows or questions are usual in five minutes.",
    },
];

impl Detector for Interruption {
    fn name(&self) -> &'static str {
        NAME
    }
    fn doc(&self) -> &'static str {
        "Flows or DNS questions that fall five scales below what is usual at the hour for ten minutes, or cease where there always were some."
    }
    fn techniques(&self) -> &'static [&'static str] {
        &["T1489", "T1499"]
    }
    fn settings(&self) -> &'static [Setting] {
        SETTINGS
    }
    fn reads_curves(&self) -> bool {
        true
    }
    fn watch(&self, limits: &Limits) -> Box<dyn Watch> {
        let of = |name| limits.of(NAME, SETTINGS, name) as f32;
        Box::new(Interruptions(Rule { z: -of("deviation").abs(), expected: of("usual") }))
    }
}

struct Interruptions(Rule);

fn metrics(scope: Scope) -> &'static [Metric] {
    match scope {
        Scope::Site(_) => &[Metric::Flows, Metric::Queries],
        _ => &[Metric::Flows],
    }
}

impl Watch for Interruptions {
    super::resume::keeps_nothing!();
    fn piece(&mut self, _: &Piece<'_>) {}
    fn end(self: Box<Self>, net: &Net) -> Vec<Finding> {
        let Some(curves) = &net.curves else { return Vec::new() };
        let found = sweep(curves, &metrics, &|_, _, grid, x, fit| interruptions(grid, x, fit, &self.0));
        let mut out = Vec::new();
        for group in settle(curves, net, found) {
            let (metric, s) = (group.first.metric, &group.first.stretch);
            let what = metric.name();
            let title = if s.silent {
                format!("silent: no {what} where {} are usual", amount(metric, s.expected))
            } else {
                format!(
                    "interrupted: {} {what} where {} are usual (z {:.1})",
                    amount(metric, s.actual),
                    amount(metric, s.expected),
                    s.z
                )
            };
            let mut f = finding(NAME, curves, net, &group, &title, self.0.z);
            let broad = !matches!(group.first.curve.scope, Scope::Host(_));
            f.severity = if s.silent && broad { 3 } else { 2 };
            f.benign = vec![
                "maintenance, a restart, a host that was switched off".into(),
                "a holiday: the calendar is not known here".into(),
            ];
            if matches!(group.first.curve.scope, Scope::Site(_)) {
                f.caveats.push("a sensor that did not see looks the same: compare with another source of this time".into());
            }
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
    fn a_site_that_falls_silent_is_said_with_what_a_sensor_could_explain() {
        let mut trial = weeks(14);
        assert!(trial.found(&DETECTOR).is_empty(), "{:?}", trial.found(&DETECTOR).iter().map(|f| &f.title).collect::<Vec<_>>());
        let begin = (FRIDAY - 86_400 + 3 * 3600) * 1_000_000_000;
        trial.flows.retain(|f| f.start.0 < begin || f.start.0 >= begin + 1200 * 1_000_000_000);
        let found = trial.found(&DETECTOR);
        assert!(!found.is_empty());
        let site = found.iter().find(|f| f.title.contains("silent")).unwrap();
        assert!(site.window.length() == 1_200_000_000_000 && site.severity >= 2, "{}", site.title);
    }
}
