//! Changed spreads: who talks with whom, to which ports, in which sizes is more or less spread than is usual at the hour.

use super::baseline::entropy::{FEATURES, meaning};
use super::baseline::rules::Stretch;
use super::baseline::{Scale, Verdict, fit};
use super::curves::{Metric, Scope};
use super::deviation::{Found, Group, finding};
use super::rows::{Net, Piece};
use super::{Detector, Limits, Setting, Watch};
use crate::model::Finding;

/// The detector.
pub static DETECTOR: Entropy = Entropy;

/// See the module.
pub struct Entropy;

const NAME: &str = "entropy";
const SETTINGS: &[Setting] = &[
    Setting { name: "deviation", default: 4.5, unit: "", doc: "Deviation z from which on a spread has changed." },
    Setting { name: "bins", default: 2.0, unit: "", doc: "Bins of five minutes in a row that must say the same." },
];

impl Detector for Entropy {
    fn name(&self) -> &'static str {
        NAME
    }
    fn doc(&self) -> &'static str {
        "The spread (entropy with the correction of Miller and Madow) of sources, destinations, ports and sizes of a site's flows changes in a way that means a flood, a scan or a transfer (Lakhina, Crovella, Diot 2005)."
    }
    fn techniques(&self) -> &'static [&'static str] {
        &["T1046", "T1498"]
    }
    fn settings(&self) -> &'static [Setting] {
        SETTINGS
    }
    fn reads_curves(&self) -> bool {
        true
    }
    fn watch(&self, limits: &Limits) -> Box<dyn Watch> {
        let of = |name| limits.of(NAME, SETTINGS, name);
        Box::new(Spreads { least: of("deviation") as f32, bins: of("bins").max(1.0) as usize })
    }
}

struct Spreads {
    least: f32,
    bins: usize,
}

impl Watch for Spreads {
    super::resume::keeps_nothing!();
    fn piece(&mut self, _: &Piece<'_>) {}
    fn end(self: Box<Self>, net: &Net) -> Vec<Finding> {
        let Some(curves) = &net.curves else { return Vec::new() };
        let mut out = Vec::new();
        for site in 0..curves.sites() {
            let (Some(spread), Some(curve)) = (curves.spread(site), curves.of(Scope::Site(site))) else { continue };
            let grid = curves.grid(site);
            let fits = spread.each_ref().map(|x| fit(grid, x, Scale::SHARE));
            if fits[0].verdict < Verdict::Full {
                continue;
            }
            let z = |cell: usize| fits.each_ref().map(|f| f.z(cell).unwrap_or(0.0));
            let mut run: Option<(usize, usize, &'static str)> = None;
            let mut runs = Vec::new();
            for cell in (0..grid.len()).filter(|c| grid.at(*c).is_some()) {
                match (meaning(z(cell), self.least), &mut run) {
                    (Some(m), Some(r)) if r.2 == m => r.1 = cell,
                    (m, r) => {
                        runs.extend(r.take());
                        *r = m.map(|m| (cell, cell, m));
                    }
                }
            }
            runs.extend(run);
            let x = curve.series(grid, Metric::Flows);
            let flows = curve.fit(grid, Metric::Flows);
            for (first, last, means) in runs.into_iter().filter(|r| r.1 + 1 - r.0 >= self.bins) {
                let sum = |f: &dyn Fn(usize) -> Option<f32>| -> f64 {
                    (first..=last).filter_map(f).filter(|v| !v.is_nan()).map(f64::from).sum()
                };
                let (actual, expected) = (sum(&|c| x.get(c).copied()), sum(&|c| flows.expected(c)));
                let at = flows.z(first).unwrap_or(0.0);
                let stretch = Stretch { first, last, z: at, actual, expected, alert: true, silent: false };
                let group = Group { first: Found { curve, metric: Metric::Flows, stretch }, others: Vec::new(), of_site: None };
                let mut f = finding(NAME, curves, net, &group, &format!("{means}: the spread of its flows changed"), self.least);
                let peak = (first..=last).map(z).max_by(|a, b| norm(a).total_cmp(&norm(b))).unwrap_or_default();
                for (feature, z) in FEATURES.iter().zip(peak) {
                    f.number(&format!("spread of {feature}, z"), format!("{z:+.1}"), format!("±{}", self.least));
                }
                f.score = super::maths::sat(f64::from(norm(&peak)) / 40.0) as f32;
                f.benign = vec!["an inventory scan or a load test of one's own".into(), "a popular download or stream".into()];
                out.push(f);
            }
        }
        out
    }
}

fn norm(z: &[f32; 4]) -> f32 {
    z.iter().map(|v| v.abs()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detectors::trial::{FRIDAY, weeks};

    #[test]
    fn a_scan_of_one_port_of_many_hosts_is_read_from_the_spreads() {
        let mut trial = weeks(14);
        assert!(trial.found(&DETECTOR).is_empty(), "{:?}", trial.found(&DETECTOR).iter().map(|f| &f.title).collect::<Vec<_>>());
        let begin = (FRIDAY - 86_400 + 7200) as f64;
        for n in 0..1_800u32 {
            let (b, c) = (n / 250, n % 250 + 1);
            trial.unanswered(begin + f64::from(n) * 0.5, "10.0.0.7", &format!("198.18.{b}.{c}"), 445);
        }
        let found = trial.found(&DETECTOR);
        assert!(
            found.iter().any(|f| f.title.contains("network scan or a worm") && f.host.to_string() == "10.0.0.7"),
            "{:?}",
            found.iter().map(|f| &f.title).collect::<Vec<_>>()
        );
    }
}
