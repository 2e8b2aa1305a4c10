//! The window in which a case begins.

use crate::model::source::SourceInfo;
use crate::model::time::{SECOND, usual_bins};
use crate::model::{Cancel, Kind, Window};
use crate::query::{Engine, Question};

/// Bins by which times that are far off are told.
const BINS: usize = 480;

/// The window in which a case begins: what its traffic and logs span. Lists, inventories and scans are dated by when they were made,
/// which may be months away; they do not stretch it.
pub fn first_window(engine: &dyn Engine) -> Option<Window> {
    let whole = engine.span()?;
    let said = |s: &SourceInfo| s.kinds.iter().any(|(k, n)| *n > 0 && !matches!(k, Kind::Inventory | Kind::Vuln));
    let spans = engine.sources().into_iter().filter(said).filter_map(|s| s.span.map(|w| w.shifted(s.clock.shift)));
    let spanned = spans.reduce(|a, b| Window::new(a.start.min(b.start), a.end.max(b.end)))?.intersect(&whole);
    let usual = usual_span(engine, spanned).unwrap_or(spanned);
    (usual.start < usual.end && usual != whole).then_some(usual)
}

/// The window without the outermost 0.05 % of records at either end, if those stretch it to more than twice its length: a record with a
/// wrong year stays in the case, but does not make a line of the timeline a month.
fn usual_span(engine: &dyn Engine, window: Window) -> Option<Window> {
    // From two days on bins of whole hours, whose sums are kept: no record need be read.
    let hours = usize::try_from(window.length() / (3600 * SECOND)).unwrap_or(BINS);
    let bins = if hours < 48 { BINS } else { BINS.min(hours) };
    let line = engine.timeline(&Question::all(window), bins, None, &Cancel::default()).ok()?;
    let (first, last) = usual_bins(&line.bins).map(|(first, last)| (first as i64, last as i64))?;
    let at = |n: i64| line.start.plus(line.bin.saturating_mul(n));
    let usual = Window::new(at(first), at(last + 1)).intersect(&window);
    (usual.length() < window.length() / 2).then_some(usual)
}
