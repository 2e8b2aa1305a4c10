//! What is done when nobody works: much more than is usual by night or at weekends, or a host that was never active at such hours.

use super::baseline::rules::{Spike as Rule, first_off_hours, off_hours};
use super::baseline::{Verdict, Workday};
use super::curves::{Curves, Metric, Scope};
use super::deviation::{Found, amount, compared, finding, settle, sweep, total};
use super::rows::{Net, Piece};
use super::{Detector, Limits, Setting, Watch};
use crate::model::Finding;

/// The detector.
pub static DETECTOR: OffHours = OffHours;

/// See the module.
pub struct OffHours;

const NAME: &str = "off_hours";
const SETTINGS: &[Setting] = &[
    Setting { name: "deviation", default: 4.5, unit: "", doc: "Least deviation z." },
    Setting { name: "times", default: 5.0, unit: "×", doc: "Least so many times what is usual." },
    Setting { name: "flows", default: 50.0, unit: "", doc: "Least excess of a bin, of flows." },
    Setting {
        name: "bytes",
        default: 5e6,
        unit: "B",
        doc: "Least excess of a bin, of bytes; of first activity the least that was sent.",
    },
    Setting { name: "first_flows", default: 20.0, unit: "", doc: "Flows from which on first activity at such hours counts." },
    Setting {
        name: "history",
        default: 7.0,
        unit: "d",
        doc: "Whole days that a host must have been watched before its first activity means anything.",
    },
];

impl Detector for OffHours {
    fn name(&self) -> &'static str {
        NAME
    }
    fn doc(&self) -> &'static str {
        "Outside the hours of work (an hour before they begin to two after they end, by the site's own curve) or on a weekend: five times what is usual, or the first activity of a host at such hours in 28 days."
    }
    fn techniques(&self) -> &'static [&'static str] {
        &["T1029", "T1078"]
    }
    fn settings(&self) -> &'static [Setting] {
        SETTINGS
    }
    fn reads_curves(&self) -> bool {
        true
    }
    fn watch(&self, limits: &Limits) -> Box<dyn Watch> {
        let of = |name| limits.of(NAME, SETTINGS, name) as f32;
        let rule = |excess| Rule { notice: of("deviation"), alert: 6.0, times: of("times"), excess };
        Box::new(Nights {
            bytes: rule(of("bytes")),
            flows: rule(of("flows")),
            first_flows: f64::from(of("first_flows")),
            history: of("history").max(1.0) as usize,
        })
    }
}

struct Nights {
    bytes: Rule,
    flows: Rule,
    first_flows: f64,
    history: usize,
}

fn metrics(scope: Scope) -> &'static [Metric] {
    match scope {
        Scope::Service(..) => &[],
        _ => &[Metric::Sent, Metric::Flows],
    }
}

impl Watch for Nights {
    super::resume::keeps_nothing!();
    fn piece(&mut self, _: &Piece<'_>) {}
    fn end(self: Box<Self>, net: &Net) -> Vec<Finding> {
        let Some(curves) = &net.curves else { return Vec::new() };
        let works: Vec<Option<Workday>> = (0..curves.sites()).map(|s| curves.workday(s)).collect();
        let of = |site: usize| works.get(site).and_then(Option::as_ref);
        let found = sweep(curves, &metrics, &|curve, metric, grid, x, fit| {
            off_hours(grid, x, fit, of(curve.site), if metric.is_bytes() { &self.bytes } else { &self.flows })
        });
        let mut out = Vec::new();
        for group in settle(curves, net, found) {
            let (metric, s) = (group.first.metric, &group.first.stretch);
            let title = format!(
                "{} {} off hours, where {} are usual ({})",
                amount(metric, s.actual),
                metric.name(),
                amount(metric, s.expected),
                compared(s)
            );
            let mut f = finding(NAME, curves, net, &group, &title, self.bytes.notice);
            f.severity = if s.alert { 2 } else { 1 };
            hours(&mut f, of(group.first.curve.site));
            out.push(f);
        }
        for group in settle(curves, net, self.first(curves, &works)) {
            // What was five times the usual was said above.
            let window = group.first.window(curves);
            let host = super::deviation::host(curves, net, &group.first);
            if out.iter().any(|f: &Finding| f.host == host && f.window.start < window.end && f.window.end > window.start) {
                continue;
            }
            let sent = total(curves, group.first.curve, &window, Metric::Sent);
            let title = format!(
                "is active off hours for the first time: {:.0} flows, {} sent",
                group.first.stretch.actual,
                amount(Metric::Sent, sent)
            );
            let mut f = finding(NAME, curves, net, &group, &title, self.bytes.notice);
            f.severity = if sent >= f64::from(self.bytes.excess) { 2 } else { 1 };
            f.score = super::maths::sat(sent / (8.0 * f64::from(self.bytes.excess)) + 0.25) as f32;
            hours(&mut f, of(group.first.curve.site));
            out.push(f);
        }
        out
    }
}

impl Nights {
    /// Hosts that were never active at hours of a kind, and then are: with many flows, or with much that they sent.
    fn first<'a>(&self, curves: &'a Curves, works: &[Option<Workday>]) -> Vec<Found<'a>> {
        let mut out = Vec::new();
        for curve in curves.list.iter().filter(|c| matches!(c.scope, Scope::Host(_))) {
            let grid = curves.grid(curve.site);
            // Without a curve of work only weekends are off hours: days of UTC may not be those of the site.
            let work = works.get(curve.site).and_then(Option::as_ref);
            if curve.fit(grid, Metric::Flows).verdict < Verdict::Full {
                continue;
            }
            let x = curve.series(grid, Metric::Flows);
            for stretch in first_off_hours(grid, &x, work, self.history, 1.0) {
                let found = Found { curve, metric: Metric::Flows, stretch };
                let sent = total(curves, curve, &found.window(curves), Metric::Sent);
                if found.stretch.actual >= self.first_flows || sent >= f64::from(self.bytes.excess) {
                    out.push(found);
                }
            }
        }
        out
    }
}

/// Says which hours count as work, and what is harmless.
fn hours(f: &mut Finding, work: Option<&Workday>) {
    if let Some(work) = work {
        let clock = |h: f64| format!("{:02}:{:02}", h as i64 % 24, (h.fract() * 60.0) as i64);
        f.number("hours of work by the site's curve", format!("{} to {}", clock(work.start_hour()), clock(work.end_hour())), "");
    }
    f.benign = vec![
        "backups, updates and scans that are run by night".into(),
        "somebody who works late, travels, or in another zone".into(),
    ];
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detectors::trial::{FRIDAY, weeks};

    #[test]
    fn a_host_that_sends_by_night_is_found() {
        let mut trial = weeks(14);
        assert!(trial.found(&DETECTOR).is_empty(), "{:?}", trial.found(&DETECTOR).iter().map(|f| &f.title).collect::<Vec<_>>());
        // Thursday, 02:00: the workstation is never on by then.
        let night = (FRIDAY - 86_400 - 6 * 3600) as f64;
        for n in 0..40 {
            trial.flow(night + f64::from(n) * 30.0, "10.0.0.3", "198.51.100.9", 443).bytes_out = 900_000;
        }
        let found = trial.found(&DETECTOR);
        assert_eq!(
            found.iter().map(|f| f.host.to_string()).collect::<Vec<_>>(),
            ["10.0.0.3"],
            "{:?}",
            found.iter().map(|f| &f.title).collect::<Vec<_>>()
        );
        assert!(found[0].title.contains("off hours") && found[0].title.contains("Thu 19 Nov 02:00"), "{}", found[0].title);
        assert_eq!(found[0].severity, 2);
    }
}
