//! A source's clock on the sources screen: how it is read, what was measured of it, how far records are off it.

use crate::model::Time;
use crate::model::clock::ClockState;
use crate::model::source::{Basis, SourceInfo};
use crate::model::time::{SECOND, show_span};
use crate::tui::glyphs::Charset;
use crate::tui::text;
use crate::tui::view::View;
use crate::tui::widgets::scatter;

/// How a source's clock is read, in words.
pub(super) fn clock(source: &SourceInfo) -> String {
    let clock = &source.clock;
    let mut parts = Vec::new();
    match (&clock.zone, clock.zone_basis) {
        (Some(zone), Basis::Stated) => parts.push(format!("{zone} (stated)")),
        (Some(zone), Basis::Assumed) => parts.push(format!("{zone} (assumed)")),
        (Some(zone), Basis::Manual) => parts.push(format!("{zone} (by hand)")),
        (None, Basis::Stated) => parts.push("stated".to_owned()),
        (None, _) => {}
    }
    if let Some(year) = clock.year {
        parts.push(format!("year {year}{}", if clock.manual { "" } else { " (assumed)" }));
    }
    if let Some((order, basis)) = clock.dates {
        parts.push(format!("{}{}", order.name(), if basis == Basis::Assumed { " (assumed)" } else { " (by hand)" }));
    }
    if clock.shift != 0 {
        let how = if source.is_measured() { " (measured)" } else { "" };
        // First: it is what most want to know where there is little room.
        parts.insert(0, format!("{}{}{how}", if clock.shift > 0 { "+" } else { "" }, show_span(rounded(clock.shift))));
    }
    parts.join(", ")
}

/// What was measured of a clock, and how far records are off it.
pub(super) fn measured(source: &SourceInfo, sources: &[SourceInfo], view: &View) -> Vec<(String, &'static str)> {
    let Some(estimate) = &source.estimate else { return Vec::new() };
    let name = |id| sources.iter().find(|s| s.id == id).map_or_else(|| "?".to_owned(), |s| text::clean(&s.name).into_owned());
    let role = match estimate.state {
        ClockState::Ambiguous | ClockState::Tentative => "ui.warning",
        ClockState::Unknown => "ui.dim",
        _ => "ui.text",
    };
    let mut out = vec![(format!("clock: {}", estimate.in_words(&name)), role)];
    out.extend(estimate.remarks.iter().map(|r| (format!("  {}", text::clean(r)), "ui.warning")));
    let points: Vec<(i64, i64)> = estimate.residuals.iter().map(|(at, off)| (at.0, *off)).collect();
    let bounds = points.iter().map(|p| p.1).min().zip(points.iter().map(|p| p.1).max());
    let Some((least, most)) = bounds.filter(|(least, most)| most - least >= 1_000) else { return out };
    let picture = scatter::lines(&points, PICTURE.0, PICTURE.1, view.glyphs.charset == Charset::Unicode);
    let edge = |n: i64| if n < 0 { format!("-{}", show_span(rounded(-n))) } else { format!("+{}", show_span(rounded(n))) };
    let last = picture.len().saturating_sub(1);
    for (n, line) in picture.into_iter().enumerate() {
        let label = match n {
            0 => edge(most),
            n if n == last => edge(least),
            _ => String::new(),
        };
        out.push((format!("{label:>12} {line}"), "ui.dim"));
    }
    let from = |at: Option<&(Time, i64)>| at.map_or_else(String::new, |(t, _)| view.zone.format(*t, "%Y-%m-%d %H:%M"));
    let (first, until) = (from(estimate.residuals.first()), from(estimate.residuals.last()));
    out.push((format!("{:>12} records that it shares, off the line, from {first} to {until} by its own clock", ""), "ui.dim"));
    out
}

/// Cells of the picture of what is left of a clock.
const PICTURE: (usize, usize) = (60, 4);

/// To what fits a column.
fn rounded(nanos: i64) -> i64 {
    let step = match nanos.abs() {
        n if n >= SECOND => SECOND / 10,
        n if n >= SECOND / 100 => SECOND / 1_000,
        _ => SECOND / 1_000_000,
    };
    (nanos + nanos.signum() * step / 2) / step * step
}
