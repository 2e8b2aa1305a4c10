//! Clock corrections, applied when a question is asked: what people set for a source (offset, zone, year, order of dates), else what was
//! measured of its clock, as a shift of its raw times. A zone's shift depends on the instant (summer time), a year's on leap days, that of
//! exchanged days and months on the day, a measured one on the skew: a [`Shift`] is a list of stretches.

use crate::formats::Zone;
use crate::model::clock::{ClockEstimate, ClockPiece, ClockState};
use crate::model::decision::{Decision, What};
use crate::model::source::{Basis, Clock, DateOrder};
use crate::model::time::{DAY, SECOND};
use crate::model::{Time, Window};
use chrono::{Datelike, Offset, TimeZone};
use std::collections::{BTreeMap, HashMap};

/// `corrected = raw + shift`, where the shift changes evenly, if at all, but for some instants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shift {
    /// In order of `from`; the first holds from the beginning of time.
    steps: Vec<Step>,
}

/// A stretch of raw time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Step {
    /// First raw instant.
    from: Time,
    /// The raw instant at which `shift` holds.
    middle: Time,
    /// Nanoseconds to add there.
    shift: i64,
    /// Nanoseconds more in each second.
    skew: i64,
}

impl Step {
    fn even(from: Time, shift: i64) -> Step {
        Step { from, middle: Time(0), shift, skew: 0 }
    }
    fn at(&self, raw: Time) -> i64 {
        if self.skew == 0 {
            return self.shift;
        }
        let drift = i128::from(raw.since(self.middle)) * i128::from(self.skew) / i128::from(SECOND);
        self.shift.saturating_add(i64::try_from(drift).unwrap_or(0))
    }
}

impl Default for Shift {
    fn default() -> Shift {
        Shift::by(0)
    }
}

impl Shift {
    /// The same everywhere.
    fn by(shift: i64) -> Shift {
        Shift { steps: vec![Step::even(Time::MIN, shift)] }
    }
    /// What undoes an offset that was measured; `anchor` is added to all.
    fn undoing(estimate: &ClockEstimate, anchor: i64) -> Shift {
        let step = |p: &ClockPiece| Step {
            from: p.from,
            middle: p.middle,
            shift: p.offset.saturating_neg().saturating_add(anchor),
            skew: p.skew.saturating_neg(),
        };
        Shift { steps: estimate.pieces.iter().map(step).collect() }
    }
    /// The shift of a raw instant.
    #[inline]
    pub fn at(&self, raw: Time) -> i64 {
        if self.steps.len() == 1 {
            return self.steps[0].at(raw);
        }
        let after = self.steps.partition_point(|step| step.from <= raw);
        self.steps[after.saturating_sub(1)].at(raw)
    }
    /// Least and greatest shift of the raw instants from `first` to `last`.
    pub fn bounds(&self, first: Time, last: Time) -> (i64, i64) {
        let until = |time: Time| self.steps.partition_point(|step| step.from <= time);
        let (begin, end) = (until(first), until(last));
        // Within a stretch the shift is greatest or least at one of its ends.
        let mut ends = vec![self.at(first), self.at(last)];
        for (n, step) in self.steps.iter().enumerate().take(end).skip(begin) {
            ends.push(step.at(step.from));
            ends.extend(n.checked_sub(1).map(|before| self.steps[before].at(step.from)));
        }
        ends.iter().fold((i64::MAX, i64::MIN), |(least, most), shift| (least.min(*shift), most.max(*shift)))
    }
    /// The steps of a function over the raw instants of a span; within `step` it changes at most once.
    fn of(function: &dyn Fn(Time) -> i64, span: Window, step: i64) -> Shift {
        let mut steps = vec![Step::even(Time::MIN, function(span.start))];
        let mut at = span.start;
        while at < span.end {
            let next = at.plus(step).min(span.end);
            let (before, after) = (function(at), function(next));
            if before != after {
                let (mut low, mut high) = (at, next);
                while high.since(low) > SECOND {
                    let middle = low.plus(high.since(low) / 2);
                    if function(middle) == before { low = middle } else { high = middle }
                }
                steps.push(Step::even(high, after));
            }
            if next <= at {
                break;
            }
            at = next;
        }
        Shift { steps }
    }
}

/// What is set by hand for one source; the newest decision wins, part by part.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Setting {
    /// Nanoseconds to add.
    pub offset: Option<i64>,
    /// Zone of zone-less times.
    pub zone: Option<String>,
    /// Year of year-less times.
    pub year: Option<i32>,
    /// Order of dates that may be read either way.
    pub dates: Option<DateOrder>,
    /// Site.
    pub site: Option<String>,
}

/// What is set by hand, per name of a source.
pub fn settings(decisions: &[Decision]) -> HashMap<String, Setting> {
    let mut in_force: BTreeMap<u64, &What> = BTreeMap::new();
    for decision in decisions {
        match &decision.what {
            What::Remove { id } => {
                in_force.remove(id);
            }
            what @ What::SourceSet { .. } => {
                in_force.insert(decision.sequence, what);
            }
            _ => {}
        }
    }
    let mut out: HashMap<String, Setting> = HashMap::new();
    for what in in_force.into_values() {
        if let What::SourceSet { source, offset, zone, year, dates, site } = what {
            let set = out.entry(source.clone()).or_default();
            set.offset = offset.or(set.offset);
            set.year = year.or(set.year);
            set.dates = dates.as_deref().and_then(DateOrder::parse).or(set.dates);
            set.zone = zone.clone().or(set.zone.take());
            set.site = site.clone().or(set.site.take());
        }
    }
    out
}

impl Setting {
    /// Whether a clock is set, not a site alone.
    fn is_clock(&self) -> bool {
        self.offset.is_some() || self.zone.is_some() || self.year.is_some() || self.dates.is_some()
    }
}

/// What is known of a clock besides what was read: what people set goes before what was measured. `anchor`: nanoseconds that are to be added
/// to the reference of what was measured.
#[derive(Debug, Clone, Copy, Default)]
pub struct Known<'a> {
    /// What is set by hand.
    pub set: Option<&'a Setting>,
    /// What was measured.
    pub estimate: Option<&'a ClockEstimate>,
    /// Nanoseconds that are to be added to the times of the reference.
    pub anchor: i64,
}

/// The clock as applied and its shift, from what was read with which assumptions, what is set by hand, and what was measured.
pub fn apply(read: &Clock, known: Known<'_>, span: Window) -> (Clock, Shift) {
    let Some(set) = known.set.filter(|set| set.is_clock()) else {
        let measured = known.estimate.filter(|e| e.applies() || (known.anchor != 0 && e.state == ClockState::Confident));
        let Some(estimate) = measured else { return (read.clone(), Shift::default()) };
        let shift = Shift::undoing(estimate, known.anchor);
        return (Clock { shift: shift.at(span.start), ..read.clone() }, shift);
    };
    let offset = set.offset.unwrap_or(0);
    let from = read.zone.as_deref().filter(|_| read.zone_basis != Basis::Stated).and_then(Zone::parse);
    let to = set.zone.as_deref().and_then(Zone::parse);
    let years = match (read.year, set.year) {
        (Some(read), Some(set)) => set.saturating_sub(read),
        _ => 0,
    };
    let zones = from.zip(to).filter(|(from, to)| from != to);
    let dates = read.dates.zip(set.dates);
    let exchanged = dates.is_some_and(|((read, _), set)| read != set);
    let shift = if zones.is_none() && years == 0 && !exchanged {
        Shift::by(offset)
    } else {
        let zone = zones.unwrap_or((from.unwrap_or(Zone::Fixed(0)), from.unwrap_or(Zone::Fixed(0))));
        // Day and month exchanged move every day by another span; a zone changes twice a year.
        let step = if exchanged { DAY } else { DAY.max(span.length() / 4096) };
        Shift::of(&|raw| moved(raw, zone, years, exchanged).plus(offset).since(raw), span, step)
    };
    let manual = set.offset.is_some()
        || dates.is_some()
        || (to.is_some() && from.is_some())
        || (set.year.is_some() && read.year.is_some());
    let clock = Clock {
        shift: shift.at(span.start),
        zone: if from.is_some() && to.is_some() { set.zone.clone() } else { read.zone.clone() },
        zone_basis: if from.is_some() && to.is_some() { Basis::Manual } else { read.zone_basis },
        year: if read.year.is_some() { set.year.or(read.year) } else { None },
        dates: dates.map(|(_, set)| (set, Basis::Manual)).or(read.dates),
        manual,
    };
    (clock, shift)
}

/// The instant that a raw one is, read in another zone and year, with day and month exchanged.
fn moved(raw: Time, (from, to): (Zone, Zone), years: i32, exchanged: bool) -> Time {
    let utc = raw.utc().naive_utc();
    let east = match from {
        Zone::Fixed(east) => i64::from(east),
        Zone::Named(tz) => i64::from(tz.offset_from_utc_datetime(&utc).fix().local_minus_utc()),
    };
    let Some(local) = utc.checked_add_signed(chrono::TimeDelta::seconds(east)) else { return raw };
    let local = match exchanged.then(|| local.with_day(1)?.with_month(local.day())?.with_day(local.month())) {
        // Beyond the twelfth a date has one reading.
        Some(other) => other.unwrap_or(local),
        None => local,
    };
    let year = local.year().saturating_add(years);
    let Some(dated) = local.with_year(year).or_else(|| local.with_day(28).and_then(|d| d.with_year(year))) else { return raw };
    if !(1678..=2261).contains(&year) {
        return raw;
    }
    to.instant(dated)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Time {
        Time::parse(text).unwrap()
    }
    fn corrected(read: Clock, set: Setting, raw: &str) -> String {
        let span = Window::new(at("2026-01-01"), at("2026-12-31"));
        let (_, shift) = apply(&read, Known { set: Some(&set), ..Known::default() }, span);
        at(raw).plus(shift.at(at(raw))).rfc3339()
    }

    #[test]
    fn a_zone_set_by_hand_follows_summer_time() {
        let read = Clock { zone: Some("UTC".into()), zone_basis: Basis::Assumed, ..Clock::default() };
        let set = Setting { zone: Some("Europe/Berlin".into()), ..Setting::default() };
        assert_eq!(corrected(read.clone(), set.clone(), "2026-01-15T12:00:00Z"), "2026-01-15T11:00:00Z");
        assert_eq!(corrected(read.clone(), set.clone(), "2026-07-15T12:00:00Z"), "2026-07-15T10:00:00Z");
        assert_eq!(corrected(read.clone(), set.clone(), "2026-03-29T01:59:00Z"), "2026-03-29T00:59:00Z");
        assert_eq!(corrected(read, set, "2026-03-29T03:01:00Z"), "2026-03-29T01:01:00Z");
    }

    #[test]
    fn a_zone_changes_nothing_where_the_text_states_one() {
        let set = Setting { zone: Some("Europe/Berlin".into()), offset: Some(5), ..Setting::default() };
        assert_eq!(corrected(Clock::default(), set, "2026-07-15T12:00:00Z"), "2026-07-15T12:00:00.000000005Z");
    }

    #[test]
    fn an_order_of_dates_set_by_hand_exchanges_day_and_month() {
        let dates = Some((DateOrder::MonthFirst, Basis::Assumed));
        let read = Clock { zone: Some("UTC".into()), zone_basis: Basis::Assumed, dates, ..Clock::default() };
        let set = Setting { dates: Some(DateOrder::DayFirst), ..Setting::default() };
        for (raw, want) in [
            ("2026-03-04T23:59:59Z", "2026-04-03T23:59:59Z"),
            ("2026-03-05T00:00:01Z", "2026-05-03T00:00:01Z"),
            ("2026-07-07T12:00:00Z", "2026-07-07T12:00:00Z"),
            ("2026-11-12T12:00:00Z", "2026-12-11T12:00:00Z"),
            ("2026-11-13T12:00:00Z", "2026-11-13T12:00:00Z"),
        ] {
            assert_eq!(corrected(read.clone(), set.clone(), raw), want);
            assert_eq!(corrected(Clock { dates: None, ..read.clone() }, set.clone(), raw), raw);
        }
        // Each day by its own span, however long the file's is.
        let (_, shift) =
            apply(&read, Known { set: Some(&set), ..Known::default() }, Window::new(at("1970-01-01"), at("2026-12-31")));
        let raw = at("2026-03-06T12:00:00Z");
        assert_eq!(raw.plus(shift.at(raw)).rfc3339(), "2026-06-03T12:00:00Z");
        assert_eq!(shift.bounds(raw, raw), (shift.at(raw), shift.at(raw)));
        let berlin = Setting { zone: Some("Europe/Berlin".into()), ..set };
        assert_eq!(corrected(read, berlin, "2026-03-04T23:59:59Z"), "2026-04-03T21:59:59Z");
    }

    #[test]
    fn a_year_set_by_hand_keeps_the_date() {
        let read = Clock { zone: Some("UTC".into()), zone_basis: Basis::Assumed, year: Some(2026), ..Clock::default() };
        let set = Setting { year: Some(2024), ..Setting::default() };
        assert_eq!(corrected(read.clone(), set.clone(), "2026-02-10T12:00:00Z"), "2024-02-10T12:00:00Z");
        assert_eq!(corrected(read, set, "2026-11-10T12:00:00Z"), "2024-11-10T12:00:00Z");
    }
}

#[cfg(test)]
mod measured_tests {
    use super::*;
    use crate::model::clock::ClockEstimate;

    fn estimate(pieces: &[(i64, i64, i64, i64)]) -> ClockEstimate {
        let piece = |(from, middle, offset, skew): &(i64, i64, i64, i64)| ClockPiece {
            from: if *from == i64::MIN { Time::MIN } else { Time(from * SECOND) },
            middle: Time(middle * SECOND),
            offset: offset * SECOND,
            skew: *skew,
            keys: 50,
        };
        let pieces = pieces.iter().map(piece).collect();
        ClockEstimate { state: ClockState::Confident, pieces, uncertainty: SECOND, ..ClockEstimate::unknown() }
    }
    fn shift_of(estimate: &ClockEstimate, set: Option<&Setting>, anchor: i64) -> Shift {
        let known = Known { set, estimate: Some(estimate), anchor };
        apply(&Clock::default(), known, Window::new(Time(0), Time(1))).1
    }

    #[test]
    fn a_measured_clock_is_corrected_with_its_skew_and_steps() {
        let e = estimate(&[(i64::MIN, 1_000, -25_237, 0), (50_000, 60_000, 10, 100_000)]);
        let shift = shift_of(&e, None, 0);
        let at = |t: i64| shift.at(Time(t * SECOND)) / SECOND;
        assert_eq!((at(0), at(49_999), at(60_000), at(70_000)), (25_237, 25_237, -10, -11));
        let bounds = |a: i64, b: i64| shift.bounds(Time(a * SECOND), Time(b * SECOND));
        assert_eq!(bounds(0, 10), (25_237 * SECOND, 25_237 * SECOND));
        assert_eq!(bounds(0, 70_000), (-11 * SECOND, 25_237 * SECOND));
        assert_eq!(bounds(60_000, 70_000), (-11 * SECOND, -10 * SECOND));
        for t in (0..80_000).step_by(777) {
            let (low, high) = bounds(0, 80_000);
            assert!((low..=high).contains(&shift.at(Time(t * SECOND))));
        }
        assert_eq!(shift_of(&e, None, 5 * SECOND).at(Time(0)), 25_242 * SECOND);
    }

    #[test]
    fn what_is_set_by_hand_goes_before_what_was_measured_and_a_site_sets_no_clock() {
        let e = estimate(&[(i64::MIN, 0, 3_600, 0)]);
        let hand = Setting { offset: Some(7), ..Setting::default() };
        assert_eq!(shift_of(&e, Some(&hand), 0).at(Time(0)), 7);
        let site = Setting { site: Some("dmz".into()), ..Setting::default() };
        assert_eq!(shift_of(&e, Some(&site), 0).at(Time(0)), -3_600 * SECOND);
        let unsure = ClockEstimate { state: ClockState::Tentative, ..e.clone() };
        assert_eq!(shift_of(&unsure, None, 0), Shift::default());
        // Less than a single event is uncertain is left as it is.
        let slight = ClockEstimate { uncertainty: 3_600 * SECOND, ..e };
        assert_eq!(shift_of(&slight, None, 0), Shift::default());
    }
}
