//! How records are divided: days, and pieces of days that are held at once. Pieces are of whole hours; an hour with too many records, as of a flood, is
//! divided into parts of five minutes, these into minutes, and so on down to a second.

use crate::error::Result;
use crate::model::time::SECOND;
use crate::model::{Cancel, Time, Value, Window};
use crate::query::Engine;

/// Records that are held at once.
const HELD: u64 = 250_000;
/// Into what a stretch with too many is divided, coarse first: seconds, and the word of it.
const STEPS: [(i64, &str); 4] = [(300, "5m"), (60, "1m"), (10, "10s"), (1, "1s")];
pub(super) const HOUR: i64 = 3600 * SECOND;

/// Starts of bins with how many records begin in each.
pub(super) type Counts = Vec<(Time, u64)>;

/// How many records of a question begin in each bin of a window. What began before it counts before it.
fn counts(engine: &dyn Engine, text: &str, window: &Window, bin: &str, cancel: &Cancel) -> Result<Counts> {
    let question = engine.compile(&format!("{text} | timeline {bin}"))?.within(window);
    let table = engine.table(&question, cancel)?;
    let mut out = Counts::new();
    for row in table.rows {
        let time = row.iter().flatten().find_map(|v| if let Value::Time(t) = v { Some(*t) } else { None });
        let count = row.iter().flatten().find_map(|v| if let Value::Uint(n) = v { Some(*n) } else { None });
        out.extend(time.zip(count.filter(|n| *n > 0)));
    }
    out.sort_unstable();
    out.dedup_by(|later, kept| {
        let same = later.0 == kept.0;
        if same {
            kept.1 = kept.1.saturating_add(later.1);
        }
        same
    });
    Ok(out)
}

/// The days that have records of a question, with their hours that have any.
pub(super) fn days(engine: &dyn Engine, text: &str, window: &Window, cancel: &Cancel) -> Result<Vec<(i32, Counts)>> {
    let mut out: Vec<(i32, Counts)> = Vec::new();
    for (hour, count) in counts(engine, text, window, "1h", cancel)? {
        match out.last_mut() {
            Some(day) if day.0 == hour.day() => day.1.push((hour, count)),
            _ => out.push((hour.day(), vec![(hour, count)])),
        }
    }
    Ok(out)
}

/// The pieces of a day, within a window.
pub(super) fn of_day(
    engine: &dyn Engine,
    text: &str,
    window: &Window,
    hours: &[(Time, u64)],
    cancel: &Cancel,
) -> Result<Vec<Window>> {
    let mut out = Vec::new();
    for (part, count) in together(hours, HOUR) {
        divide(engine, text, part.intersect(window), count, &STEPS, cancel, &mut out)?;
    }
    out.retain(|p| p.start < p.end);
    Ok(out)
}

/// Bins that follow each other and have no more than are held at once, or a single one.
fn together(bins: &[(Time, u64)], width: i64) -> Vec<(Window, u64)> {
    let mut out: Vec<(Window, u64)> = Vec::new();
    for (start, count) in bins {
        let end = start.plus(width);
        match out.last_mut() {
            Some(last) if last.1.saturating_add(*count) <= HELD => *last = (Window::new(last.0.start, end), last.1 + count),
            _ => out.push((Window::new(*start, end), *count)),
        }
    }
    out
}

fn divide(
    engine: &dyn Engine,
    text: &str,
    part: Window,
    count: u64,
    steps: &[(i64, &str)],
    cancel: &Cancel,
    out: &mut Vec<Window>,
) -> Result<()> {
    let Some(((seconds, word), finer)) = steps.split_first().filter(|_| count > HELD) else {
        out.push(part);
        return Ok(());
    };
    let mut bins = counts(engine, text, &part, word, cancel)?;
    let width = seconds.saturating_mul(SECOND);
    // What began before the part belongs to those before.
    bins.retain(|(start, _)| start.plus(width) > part.start);
    for (inner, count) in together(&bins, width) {
        divide(engine, text, inner.intersect(&part), count, finer, cancel, out)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_are_taken_together_up_to_what_is_held_and_in_order() {
        let at = |n: i64| Time(n * HOUR);
        let bins = [(at(0), 100_000), (at(1), 150_000), (at(4), 1), (at(9), 2_000_000), (at(10), 249_999), (at(23), 1)];
        let parts: Vec<(i64, i64, u64)> =
            together(&bins, HOUR).into_iter().map(|(w, n)| (w.start.0 / HOUR, w.end.0 / HOUR, n)).collect();
        assert_eq!(parts, [(0, 2, 250_000), (4, 5, 1), (9, 10, 2_000_000), (10, 24, 250_000)]);
    }
}
