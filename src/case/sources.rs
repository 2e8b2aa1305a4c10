//! What is said of a source besides its counts: when it has records, and what of it was not understood. The sources screen and `sources`
//! show the same.

use super::home::first_window;
use crate::error::Result;
use crate::model::source::SourceInfo;
use crate::model::time::SECOND;
use crate::model::{Cancel, Origin, Record, SourceId, Time, Value, Window, field};
use crate::query::engine::{Page, Raw, Timeline};
use crate::query::{Engine, quote};

/// Bins of a strip.
pub const BINS: usize = 96;
/// Most records of all sources that are read for strips of less than [`LONG`] hours; of more the sums by hour are taken.
const READ: u64 = 2_000_000;
/// From so many hours on a strip has bins of whole hours, whose sums are kept.
const LONG: i64 = 24;
/// Kinds of what was not understood, and lines of each, that are shown.
const KINDS: usize = 12;
const LINES: usize = 3;
/// Longest part of a line that is shown.
const LINE: usize = 160;

/// When sources have records: the same bins for all.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Strips {
    /// What they are over; none: there is nothing with a time.
    pub window: Option<Window>,
    /// Where the first bin begins.
    pub start: Time,
    /// Width of a bin, nanoseconds.
    pub bin: i64,
    /// Of each source its records by bin.
    pub of: Vec<(SourceId, Vec<u64>)>,
}

impl Strips {
    /// The strip of a source.
    pub fn of(&self, source: SourceId) -> Option<&[u64]> {
        self.of.iter().find(|(id, _)| *id == source).map(|(_, bins)| bins.as_slice())
    }
}

/// The strips of sources, over what the traffic and logs of the case span.
pub fn strips(engine: &dyn Engine, sources: &[SourceInfo], cancel: &Cancel) -> Result<Strips> {
    let Some(window) = first_window(engine).or_else(|| engine.span()) else { return Ok(Strips::default()) };
    let hours = window.length() / (3600 * SECOND);
    let records = sources.iter().fold(0u64, |sum, s| sum.saturating_add(s.counts.records));
    let bins = if hours >= LONG || records > READ { usize::try_from(hours).unwrap_or(BINS).clamp(1, BINS) } else { BINS };
    let Timeline { start, bin, .. } = Timeline::over(&window, bins);
    let mut out = Strips { window: Some(window), start, bin, of: Vec::new() };
    for source in sources.iter().filter(|s| s.counts.records > 0) {
        cancel.check()?;
        let mut question = engine.compile(&format!("source = {}", quote(&source.name)))?;
        question.window = question.window.intersect(&window);
        let line = engine.timeline(&question, bins, None, cancel)?;
        out.of.push((source.id, line.bins.into_iter().map(|n| n.max(0.0) as u64).collect()));
    }
    Ok(out)
}

/// A strip in so many columns: what each holds.
pub fn columns(bins: &[u64], columns: usize) -> Vec<u64> {
    if bins.is_empty() || columns == 0 {
        return Vec::new();
    }
    // Every bin is in the columns that it overlaps: no gap is hidden, no record lost from sight.
    let edge = |n: usize| n.saturating_mul(bins.len()) / columns;
    let cell = |n: usize| {
        let (from, until) = (edge(n), edge(n + 1).max(edge(n) + 1));
        bins.iter().skip(from).take(until - from).fold(0u64, |sum, b| sum.saturating_add(*b))
    };
    (0..columns).map(cell).collect()
}

/// How high a column stands, 0 to 8: by the order of magnitude, so that a quiet hour beside a flood is seen; 0 is no record.
pub fn height(n: u64, most: u64) -> usize {
    if n == 0 || most == 0 {
        return 0;
    }
    let part = (n as f64).ln_1p() / (most as f64).ln_1p();
    ((part * 8.0).ceil() as usize).clamp(1, 8)
}

/// The longest stretch without a record between the first and the last bin that has some: where it begins, how many bins; none: no gap.
pub fn gap(bins: &[u64]) -> Option<(usize, usize)> {
    let first = bins.iter().position(|n| *n > 0)?;
    let last = bins.iter().rposition(|n| *n > 0)?;
    let mut best: Option<(usize, usize)> = None;
    let mut from = first;
    for at in first..=last {
        if bins.get(at).is_some_and(|n| *n > 0) {
            let empty = at.saturating_sub(from);
            if empty > best.map_or(0, |(_, n)| n) {
                best = Some((from, empty));
            }
            from = at.saturating_add(1);
        }
    }
    best
}

/// One kind of what was not understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Odd {
    /// Its short name.
    pub name: String,
    /// How often.
    pub count: u64,
    /// The first lines of it, with the offset at which each stands.
    pub first: Vec<(u64, String)>,
}

/// What of a source was not understood, the most frequent first, with the first lines of each kind.
pub fn odd(engine: &dyn Engine, source: &SourceInfo, cancel: &Cancel) -> Result<Vec<Odd>> {
    if source.counts.oddities == 0 {
        return Ok(Vec::new());
    }
    let which = format!("source = {} and kind = oddity", quote(&source.name));
    let table = engine.table(&engine.compile(&format!("{which} | count by oddity | sort -count | head {KINDS}"))?, cancel)?;
    let mut out = Vec::new();
    for row in table.rows {
        let mut cells = row.into_iter();
        let (name, count) = (cells.next().flatten(), cells.next().flatten());
        let (Some(Value::Text(name)), Some(count)) = (name, count.and_then(|v| v.as_number())) else { continue };
        let question = engine.compile(&format!("{which} and oddity = {}", quote(&name)))?;
        let mut rows: Vec<Record> = Vec::new();
        engine.select(&question, &Page { limit: LINES, ..Page::default() }, cancel, &mut |r| {
            rows.push(r);
            true
        })?;
        let first = rows.iter().map(|r| Ok((r.id.offset, line(engine, r)?))).collect::<Result<_>>()?;
        out.push(Odd { name: name.to_string(), count: count as u64, first });
    }
    Ok(out)
}

/// The beginning of what a record was read from; of what has no text, what the record says.
fn line(engine: &dyn Engine, record: &Record) -> Result<String> {
    // An oddity has a place but no length of its own: as much is read from there as the evidence holds.
    let origin = record.origin();
    let read = |len: u32| match engine.raw(Origin { len, ..origin }) {
        Ok(Raw::Bytes(bytes)) if !bytes.is_empty() => Some(bytes),
        _ => None,
    };
    let bytes = [origin.len, 640, 160, 40, 8].into_iter().filter(|len| *len > 0).find_map(read).unwrap_or_default();
    let head: Vec<u8> = bytes.iter().copied().take(4 * LINE).take_while(|b| *b != b'\n').collect();
    let binary = head.iter().filter(|b| **b < 0x20 && **b != b'\t' && **b != b'\r').count() * 10 > head.len();
    if head.is_empty() || binary {
        return Ok(record.text(field::MESSAGE).unwrap_or_default().chars().take(LINE).collect());
    }
    Ok(String::from_utf8_lossy(&head).trim_end().chars().take(LINE).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_holds_all_of_its_bins_and_a_narrow_strip_still_shows_the_gap() {
        assert_eq!(columns(&[1, 2, 3, 4], 2), [3, 7]);
        assert_eq!(columns(&[1, 0, 0, 4], 4), [1, 0, 0, 4]);
        assert_eq!(columns(&[5, 0], 4), [5, 5, 0, 0]);
        assert_eq!(columns(&[1, 1, 1], 2).iter().sum::<u64>(), 3);
        assert!(columns(&[], 4).is_empty() && columns(&[1], 0).is_empty());
    }

    #[test]
    fn the_least_is_seen_beside_a_flood_and_nothing_is_nothing() {
        assert_eq!((height(0, 9), height(1, 1_000_000_000), height(9, 9)), (0, 1, 8));
        assert!(height(1_000, 1_000_000) > height(10, 1_000_000));
    }

    #[test]
    fn the_longest_gap_is_between_records_not_before_or_after_them() {
        assert_eq!(gap(&[0, 0, 0, 1, 0, 1, 0, 0, 1, 0, 0, 0]), Some((6, 2)));
        assert_eq!((gap(&[0, 1, 1, 0]), gap(&[0, 0]), gap(&[])), (None, None, None));
    }
}
