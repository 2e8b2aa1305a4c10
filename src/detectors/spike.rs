//! Spikes: much more in five minutes than is usual at the hour, of a site, a network, a host, a service or a link.

use super::baseline::Model;
use super::baseline::rules::{Spike as Rule, spikes};
use super::curves::{Metric, Scope};
use super::deviation::{amount, compared, finding, settle, sweep_by};
use super::rows::{Net, Piece};
use super::{Detector, Limits, Setting, Watch};
use crate::model::Finding;

/// The detector.
pub static DETECTOR: Spike = Spike;

/// See the module.
pub struct Spike;

const NAME: &str = "spike";
const SETTINGS: &[Setting] = &[
    Setting {
        name: "notice",
        default: 4.5,
        unit: "",
        doc: "Deviation z from which on it is a notice, and two bins in a row an alert.",
    },
    Setting { name: "alert", default: 6.0, unit: "", doc: "Deviation z from which on one bin is an alert." },
    Setting { name: "times", default: 3.0, unit: "×", doc: "Least so many times what is usual." },
    Setting { name: "count", default: 50.0, unit: "", doc: "Least excess of a bin, where records or peers are counted." },
    Setting { name: "bytes", default: 5e6, unit: "B", doc: "Least excess of a bin, of bytes." },
    Setting {
        name: "model",
        default: 0.0,
        unit: "",
        doc: "What is usual: 0 by the medians of slots, 1 by an average that forgets (of use below two days), 2 by Holt-Winters.",
    },
];

impl Detector for Spike {
    fn name(&self) -> &'static str {
        NAME
    }
    fn doc(&self) -> &'static str {
        "Much more in five minutes than the median of the same hour on other days of the kind: at least 4.5 scales (1.4826 MAD), three times, and 50 flows or 5 MB more."
    }
    fn techniques(&self) -> &'static [&'static str] {
        &["T1048", "T1498"]
    }
    fn settings(&self) -> &'static [Setting] {
        SETTINGS
    }
    fn reads_curves(&self) -> bool {
        true
    }
    fn watch(&self, limits: &Limits) -> Box<dyn Watch> {
        let of = |name| limits.of(NAME, SETTINGS, name) as f32;
        let rule = |excess| Rule { notice: of("notice"), alert: of("alert"), times: of("times"), excess };
        Box::new(Spikes { bytes: rule(of("bytes")), counts: rule(of("count")), model: Model::by_number(f64::from(of("model"))) })
    }
}

struct Spikes {
    bytes: Rule,
    counts: Rule,
    model: Model,
}

fn metrics(scope: Scope) -> &'static [Metric] {
    use Metric::*;
    match scope {
        Scope::Site(_) => &Metric::ALL,
        Scope::Host(_) => &[Sent, Flows, Failed, Peers],
        Scope::Subnet(_) => &[Sent, Received, Flows, Failed],
        Scope::Service(..) => &[Sent, Received, Flows],
    }
}

impl Watch for Spikes {
    super::resume::keeps_nothing!();
    fn piece(&mut self, _: &Piece<'_>) {}
    fn end(self: Box<Self>, net: &Net) -> Vec<Finding> {
        let Some(curves) = &net.curves else { return Vec::new() };
        let found = sweep_by(self.model, curves, &metrics, &|_, metric, grid, x, fit| {
            spikes(grid, x, fit, if metric.is_bytes() { &self.bytes } else { &self.counts })
        });
        let mut out = Vec::new();
        for group in settle(curves, net, found) {
            let (metric, s) = (group.first.metric, &group.first.stretch);
            let title = format!(
                "{} {} where {} are usual ({})",
                amount(metric, s.actual),
                metric.name(),
                amount(metric, s.expected),
                compared(s)
            );
            let mut f = finding(NAME, curves, net, &group, &title, self.counts.notice);
            let alert = s.alert || group.others.iter().any(|o| o.stretch.alert);
            f.severity = if alert { 2 } else { 1 };
            f.benign = vec![
                "a backup, an update or a large download that is not made every day".into(),
                "a day unlike others of its kind: a holiday before or after, a release, an event".into(),
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
    fn a_burst_of_one_host_is_one_finding_about_the_host_and_a_usual_fortnight_is_none() {
        let mut trial = weeks(14);
        assert!(trial.found(&DETECTOR).is_empty(), "{:?}", trial.found(&DETECTOR).iter().map(|f| &f.title).collect::<Vec<_>>());
        let begin = (FRIDAY - 86_400) as f64;
        for n in 0..200 {
            trial.flow(begin + 3600.0 + f64::from(n) * 2.5, "10.0.0.7", "198.51.100.9", 443).bytes_out = 400_000;
        }
        let found = trial.found(&DETECTOR);
        assert_eq!(found.len(), 1, "{:?}", found.iter().map(|f| &f.title).collect::<Vec<_>>());
        let f = &found[0];
        assert_eq!((f.host.to_string().as_str(), f.severity), ("10.0.0.7", 2));
        assert!(f.title.contains("bytes sent where") && f.title.contains("Thu 19 Nov 09:00 UTC"), "{}", f.title);
        assert!(f.query.contains("host = 10.0.0.7 and between 2026-11-19T09:00:00Z"), "{}", f.query);
        assert!(
            f.numbers.iter().any(|n| n.name == "part of the site's deviation" && n.value == "100 %" || n.value == "99 %"),
            "{:?}",
            f.numbers
        );
        assert!(f.caveats.iter().any(|c| c.contains("no zone is set")));
        assert!(trial.found_by(&DETECTOR, &Limits::new().with(NAME, "bytes", 1e9).with(NAME, "count", 1e6)).is_empty());
    }

    #[test]
    fn without_two_days_nothing_is_said() {
        let mut trial = weeks(1);
        for n in 0..500 {
            trial.flow(FRIDAY as f64 + f64::from(n), "10.0.0.7", "198.51.100.9", 443);
        }
        assert!(trial.found(&DETECTOR).is_empty());
        let short = trial.net.curves.as_ref().and_then(|c| c.short()).unwrap();
        assert!(!trial.found_by(&DETECTOR, &Limits::new().with(NAME, "model", 1.0)).is_empty(), "an average needs no other day");
        assert!(short.starts_with("insufficient history for a diurnal verdict (have "), "{short}");
    }
}
