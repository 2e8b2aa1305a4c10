//! When a source has records, and what of it was not understood, on the sources screen.

use crate::case::sources::{Odd, Strips, columns, gap, height};
use crate::model::SourceId;
use crate::model::source::SourceInfo;
use crate::tui::text;
use crate::tui::times::{short_span, thousands};
use crate::tui::view::View;

/// Columns of a strip within the list: the same on every screen, since a part of one would show other times than it says.
pub(super) const COLUMN: usize = 8;
/// Columns of the strip below the list, where both ends of its time stand beside it: on a wide screen, on a narrow one.
const WIDE: (usize, usize) = (84, 52);

/// A strip of a source: a sign for each part of the time, high where there is much, a dot where there is nothing.
pub(super) fn cells(strips: &Strips, source: &SourceInfo, width: usize, view: &View) -> String {
    let cells = columns(strips.of(source.id).unwrap_or_default(), width);
    let most = cells.iter().copied().max().unwrap_or(0);
    let sign = |n: u64| match height(n, most) {
        0 => view.glyphs.dot,
        h => view.glyphs.spark.get(h).copied().unwrap_or(view.glyphs.dot),
    };
    cells.into_iter().map(sign).collect()
}

/// The strip below the list, with what it is over and its longest gap.
pub(super) fn of(strips: &Strips, source: &SourceInfo, view: &View) -> Vec<(String, &'static str)> {
    let (Some(window), Some(bins)) = (strips.window, strips.of(source.id)) else { return Vec::new() };
    let at = |t| view.zone.format(t, if view.narrow { "%d %b %H:%M" } else { "%Y-%m-%d %H:%M" });
    let width = if view.narrow { WIDE.1 } else { WIDE.0 };
    let strip = cells(strips, source, width, view);
    let mut out = vec![(format!("{} {strip} {}", at(window.start), at(window.last())), "spark.window")];
    if let Some((from, empty)) = gap(bins) {
        let begin = strips.start.plus(strips.bin.saturating_mul(i64::try_from(from).unwrap_or(0)));
        let long = short_span(strips.bin.saturating_mul(i64::try_from(empty).unwrap_or(0)));
        out.push((format!("nothing for about {long} from {}: the longest gap", at(begin)), "ui.warning"));
    }
    out
}

/// What was not understood, with the first lines of each kind.
pub(super) fn why(source: &SourceInfo, odd: Option<&(SourceId, Vec<Odd>)>, view: &View) -> Vec<(String, &'static str)> {
    let mut out = Vec::new();
    let partial = source.counts.partial;
    if partial > 0 {
        out.push((format!("{} understood in part: what has no field is in `extra`", thousands(partial)), "ui.dim"));
    }
    for kind in odd.into_iter().filter(|(id, _)| *id == source.id).flat_map(|(_, kinds)| kinds) {
        out.push((format!("{} {} {}", thousands(kind.count), text::clean(&kind.name), view.glyphs.right), "ui.warning"));
        out.extend(kind.first.iter().map(|(at, line)| (format!("  at {at}: {}", text::clean(line)), "ui.dim")));
    }
    out
}
