//! From stretches of curves to findings: what belongs together is one finding, and what a host explains is not said again of its network and site.

use super::baseline::outliers::outliers;
use super::baseline::rules::Stretch;
use super::baseline::{Fit, Grid, Model, Scale, Verdict, fit_by, hours_ahead};
use super::curves::{Curve, Curves, Metric, Scope};
use super::maths::sat;
use super::rows::Net;
use super::shown::bytes;
use crate::model::finding::Finding;
use crate::model::time::SECOND;
use crate::model::{Time, Window, proto};
use std::net::IpAddr;

/// A stretch with where it was found.
pub struct Found<'a> {
    /// The curve.
    pub curve: &'a Curve,
    /// What of it.
    pub metric: Metric,
    /// From where to where, and how much.
    pub stretch: Stretch,
}

/// Stretches of one scope that overlap: the strongest, and what else deviates at the same time.
pub struct Group<'a> {
    /// The strongest.
    pub first: Found<'a>,
    /// The others.
    pub others: Vec<Found<'a>>,
    /// Which part of its site's deviation it is, if that deviates too.
    pub of_site: Option<f64>,
}

/// Level at which a bin is an outlier of the whole series.
const SIGNIFICANCE: f64 = 0.01;
/// Days on which something must have been there before it can deviate.
const SEEN: usize = 4;

/// A rule over a series: curve, metric, its grid, numbers and what is usual.
pub type Rule<'r> = dyn Fn(&Curve, Metric, &Grid, &[f32], &Fit) -> Vec<Stretch> + 'r;

/// Runs a rule over all curves, with what is usual by the medians of slots.
pub fn sweep<'a>(curves: &'a Curves, metrics: &dyn Fn(Scope) -> &'static [Metric], rule: &Rule<'_>) -> Vec<Found<'a>> {
    sweep_by(Model::Slots, curves, metrics, rule)
}

/// The same with what is usual by a model.
pub fn sweep_by<'a>(
    model: Model,
    curves: &'a Curves,
    metrics: &dyn Fn(Scope) -> &'static [Metric],
    rule: &Rule<'_>,
) -> Vec<Found<'a>> {
    let mut out = Vec::new();
    for curve in &curves.list {
        let grid = curves.grid(curve.site);
        // Whoever was there on a few days only is new, which others say: what is usual for it is not known.
        if model == Model::Slots && !matches!(curve.scope, Scope::Site(_)) && curve.active_days() < SEEN {
            continue;
        }
        for metric in metrics(curve.scope) {
            if model == Model::Slots && curve.fit(grid, *metric).verdict == Verdict::None {
                continue;
            }
            let x = curve.series(grid, *metric);
            let other = (model != Model::Slots).then(|| fit_by(model, grid, &x, Scale::AMOUNT));
            let fit = other.as_ref().unwrap_or_else(|| curve.fit(grid, *metric));
            out.extend(rule(curve, *metric, grid, &x, fit).into_iter().map(|stretch| Found { curve, metric: *metric, stretch }));
        }
    }
    out
}

impl Found<'_> {
    /// Its window.
    pub fn window(&self, curves: &Curves) -> Window {
        let grid = curves.grid(self.curve.site);
        let start = grid.at(self.stretch.first).unwrap_or_default();
        Window::new(start, grid.at(self.stretch.last).unwrap_or(start).plus(grid.bin))
    }
    fn excess(&self) -> f64 {
        self.stretch.actual - self.stretch.expected
    }
}

/// How narrow a scope is: the narrower explains the broader.
fn breadth(scope: Scope) -> u8 {
    match scope {
        Scope::Host(_) => 0,
        Scope::Subnet(_) => 1,
        Scope::Service(..) => 2,
        Scope::Site(_) => 3,
    }
}

/// Puts together what belongs together. What is explained to four fifths by narrower scopes at the same time is left out.
pub fn settle<'a>(curves: &Curves, net: &Net, mut found: Vec<Found<'a>>) -> Vec<Group<'a>> {
    found.sort_by(|a, b| {
        let key = |f: &Found| (breadth(f.curve.scope), f.window(curves).start, f.metric);
        key(a).cmp(&key(b)).then(b.stretch.z.abs().total_cmp(&a.stretch.z.abs()))
    });
    let mut groups: Vec<Group<'a>> = Vec::new();
    for one in found {
        let window = one.window(curves);
        let near = |w: Window| w.start < window.end && w.end > window.start;
        let same = |g: &&mut Group| g.first.curve.scope == one.curve.scope && near(g.first.window(curves));
        if let Some(group) = groups.iter_mut().find(same) {
            group.others.push(one);
            continue;
        }
        if is_explained(curves, net, &mut groups, &one) {
            continue;
        }
        groups.push(Group { first: one, others: Vec::new(), of_site: None });
    }
    groups
}

/// What a curve had beyond its own usual in the metric and the bins of a deviation.
fn excess(curves: &Curves, curve: &Curve, of: &Found<'_>) -> f64 {
    let grid = curves.grid(curve.site);
    let fit = curve.fit(grid, of.metric);
    let window = of.window(curves);
    let from = grid.near(window.start);
    let cells = (from..grid.len()).take_while(|c| grid.at(*c).is_none_or(|t| t < window.end));
    cells
        .filter_map(|c| {
            let bin = grid.at(c).filter(|t| *t >= window.start)?.0.div_euclid(grid.bin);
            Some(f64::from(curve.bin(bin, of.metric)) - f64::from(fit.expected(c).unwrap_or(0.0)))
        })
        .sum()
}

/// Whether narrower scopes explain four fifths of a deviation; those of a site are told which part of it they are.
fn is_explained(curves: &Curves, net: &Net, groups: &mut [Group<'_>], one: &Found<'_>) -> bool {
    let (window, whole) = (one.window(curves), one.excess());
    if whole == 0.0 {
        return false;
    }
    let mut parts: Vec<(usize, u8, f64)> = Vec::new();
    for (n, group) in groups.iter().enumerate() {
        let other = group.first.window(curves);
        if other.start >= window.end || other.end <= window.start || !is_in(net, group.first.curve, one.curve) {
            continue;
        }
        let excess = excess(curves, group.first.curve, one);
        if excess.signum() == whole.signum() {
            parts.push((n, breadth(group.first.curve.scope), excess));
        }
    }
    // A host and its network are one part of the site.
    let narrowest = parts.iter().map(|p| p.1).min();
    let explained: f64 = parts.iter().filter(|p| Some(p.1) == narrowest).map(|p| p.2).sum();
    if matches!(one.curve.scope, Scope::Site(_)) {
        parts.iter().for_each(|(n, _, e)| groups[*n].of_site = Some((e / whole).clamp(0.0, 1.0)));
    }
    explained / whole >= 0.8
}

/// Whether a curve is part of another.
fn is_in(net: &Net, part: &Curve, whole: &Curve) -> bool {
    match (part.scope, whole.scope) {
        (a, b) if breadth(a) >= breadth(b) => false,
        (Scope::Host(h), Scope::Subnet(n)) => n.contains(&net.addr(h)),
        (_, Scope::Site(s)) => part.site == s,
        // Of a service it is not known who it is made of: what deviates at the same time in the same metric is taken for it.
        (_, Scope::Service(..)) => part.site == whole.site,
        _ => false,
    }
}

/// A scope in words.
pub fn name(net: &Net, scope: Scope) -> String {
    match scope {
        Scope::Host(h) => net.addr(h).to_string(),
        Scope::Subnet(n) => n.to_string(),
        Scope::Service(p, port) => format!("{port}/{}", proto::show(p)),
        Scope::Site(n) => net.sites.get(n).map_or_else(|| "home".to_owned(), |s| s.name.clone()),
    }
}

/// The condition that selects records of a scope; none: all.
pub fn condition(net: &Net, scope: Scope) -> Option<String> {
    match scope {
        Scope::Host(h) => Some(format!("host = {}", net.addr(h))),
        Scope::Subnet(n) => Some(format!("net {n}")),
        Scope::Service(p, port) => Some(format!("proto = {} and dst.port = {port}", proto::show(p))),
        Scope::Site(n) if net.sites.len() > 1 => {
            let nets: Vec<String> = net.sites.get(n)?.networks.iter().map(|n| format!("net {n}")).collect();
            (!nets.is_empty()).then(|| format!("({})", nets.join(" or ")))
        }
        Scope::Site(_) => None,
    }
}

/// The host that a scope's deviation is most of: the host itself; of others the busiest hosts are looked at; else an address of the scope.
pub fn host(curves: &Curves, net: &Net, found: &Found<'_>) -> IpAddr {
    if let Scope::Host(h) = found.curve.scope {
        return net.addr(h);
    }
    let mut best: Option<(f64, IpAddr)> = None;
    for curve in &curves.list {
        let Scope::Host(h) = curve.scope else { continue };
        if curve.site != found.curve.site || !is_in(net, curve, found.curve) {
            continue;
        }
        let grid = curves.grid(curve.site);
        // Numbers of the bins alone: that of a host is soon known, what is usual for it is not.
        let (mut inside, mut before) = (0.0, 0.0);
        for cell in found.stretch.first..=found.stretch.last {
            let Some(at) = grid.at(cell) else { continue };
            let bin = at.0.div_euclid(grid.bin);
            inside += f64::from(curve.bin(bin, found.metric));
            before += f64::from(curve.bin(bin - super::baseline::SLOTS as i64, found.metric));
        }
        let delta = (inside - before) * found.excess().signum();
        let addr = net.addr(h);
        if delta > 0.0 && best.is_none_or(|b| (delta, b.1) > (b.0, addr)) {
            best = Some((delta, addr));
        }
    }
    let own = match found.curve.scope {
        Scope::Subnet(n) => n.network(),
        Scope::Site(n) => {
            net.sites.get(n).and_then(|s| s.networks.first()).map_or(IpAddr::from([0, 0, 0, 0]), ipnet::IpNet::network)
        }
        _ => IpAddr::from([0, 0, 0, 0]),
    };
    best.map_or(own, |b| b.1)
}

/// An amount of a metric in words.
pub fn amount(metric: Metric, n: f64) -> String {
    if !metric.is_bytes() {
        return format!("{n:.0}");
    }
    bytes(n.max(0.0) as u64)
}

/// How far a stretch is from what is usual; how many times that is only where something is usual.
pub fn compared(s: &Stretch) -> String {
    let z = format!("z {:.1}", s.z);
    if s.expected >= 1.0 { format!("{:.1} ×, {z}", s.times()) } else { z }
}

/// The time of a site, as `Fri 20 Nov 04:10`.
fn local(curves: &Curves, site: usize, at: Time) -> String {
    let ahead = hours_ahead(curves.zone(site), at);
    at.plus((ahead * 3600.0) as i64 * SECOND).utc().format("%a %d %b %H:%M").to_string()
}

/// The finding of a group, without severity, benign explanations and what a detector adds; `title` ends the sentence that begins with the scope.
pub fn finding(detector: &str, curves: &Curves, net: &Net, group: &Group<'_>, title: &str, least: f32) -> Finding {
    let found = &group.first;
    let scope = found.curve.scope;
    let window = std::iter::once(found)
        .chain(&group.others)
        .map(|f| f.window(curves))
        .fold(found.window(curves), |a, w| Window::new(a.start.min(w.start), a.end.max(w.end)));
    let grid = curves.grid(found.curve.site);
    let zone = curves.zone(found.curve.site);
    let at = local(curves, found.curve.site, window.start);
    let clock = zone.map_or_else(|| "UTC".to_owned(), |z| z.to_string());
    let minutes = window.length() / (60 * SECOND);
    let text = format!("{} {title}, {at} {clock}, {minutes} min", name(net, scope));
    let mut f = Finding::new(detector, host(curves, net, found), window, text);
    if let Scope::Service(p, port) = scope {
        f.service = Some((p, port));
    }
    if !matches!(scope, Scope::Host(_)) {
        // Two scopes that the same host leads are two findings.
        f.name = Some(name(net, scope));
    }
    f.score = sat(f64::from(found.stretch.z.abs()) / (4.0 * f64::from(least.abs().max(1e-3)))) as f32;
    for one in std::iter::once(found).chain(&group.others) {
        let what = one.metric.name();
        f.number(what, amount(one.metric, one.stretch.actual), "");
        f.number(&format!("{what}, usual"), amount(one.metric, one.stretch.expected), "");
        f.number(&format!("{what}, z"), format!("{:.1}", one.stretch.z), format!("{least}"));
    }
    let fit = found.curve.fit(grid, found.metric);
    f.number("whole days of history", fit.days, "");
    // Looked at afterwards: of all bins of the curve, are these among those that do not belong to the others?
    let odd = outliers(&fit.z, SIGNIFICANCE);
    let within = odd.iter().filter(|cell| (found.stretch.first..=found.stretch.last).contains(*cell)).count();
    f.number("outliers of the whole series in it (ESD)", format!("{within} of {}", odd.len()), format!("{SIGNIFICANCE}"));
    if let Some(part) = group.of_site {
        f.number("part of the site's deviation", format!("{:.0} %", part * 100.0), "");
    }
    let scope_condition = condition(net, scope);
    let what = found.metric.conditions();
    f.asks(&scope_condition.map_or_else(|| what.to_owned(), |c| format!("{what} and {c}")));
    // As the query counts them.
    let counted = match found.metric {
        own @ (Metric::Failed | Metric::Queries | Metric::Alerts | Metric::Denies) => own,
        _ => Metric::Flows,
    };
    f.rows = total(curves, found.curve, &window, counted) as u64;
    f.sources = curves.sources(&window);
    caveats(&mut f, curves, found.curve.site, fit);
    f
}

/// Leaves out spikes of which it is also said that they were off hours: that says more.
pub fn distinct(list: &mut Vec<Finding>) {
    let nights: Vec<(IpAddr, Option<String>, Window)> =
        list.iter().filter(|f| f.detector == "off_hours").map(|f| (f.host, f.name.clone(), f.window)).collect();
    list.retain(|f| {
        let said = |(host, name, w): &(IpAddr, Option<String>, Window)| {
            *host == f.host && *name == f.name && w.start < f.window.end && w.end > f.window.start
        };
        f.detector != "spike" || !nights.iter().any(said)
    });
}

/// What a curve adds up to in a window.
pub fn total(curves: &Curves, curve: &Curve, window: &Window, metric: Metric) -> f64 {
    let bin = curves.grid(curve.site).bin.max(1);
    let (first, last) = (window.start.0.div_euclid(bin), window.last().0.div_euclid(bin));
    (first..=last.min(first.saturating_add(100_000))).map(|b| f64::from(curve.bin(b, metric))).sum()
}

fn caveats(f: &mut Finding, curves: &Curves, site: usize, fit: &Fit) {
    if fit.verdict == Verdict::Weak {
        f.caveats.push(format!("{} whole days of history: what falls is not judged, what rises only roughly", fit.days));
    } else if fit.days < 28 {
        f.caveats
            .push(format!("{} whole days of history: days of the week are not told apart, workdays and weekends are", fit.days));
    }
    if curves.zone(site).is_none() {
        let text = match curves.suggested(site) {
            Some((minutes, begin)) => {
                let (h, m) = (minutes / 60, (minutes % 60).abs());
                let (at, part) = (begin as i64, (begin.fract() * 60.0) as i64);
                format!(
                    "days are those of UTC: no zone is set for the site; suggested UTC{h:+}:{m:02} (work begins {at:02}:{part:02}Z)"
                )
            }
            None => "days are those of UTC: no zone is set for the site".to_owned(),
        };
        f.caveats.push(text);
    }
}
