//! Instants, spans and windows: i64 nanoseconds UTC, shown as RFC 3339 with `Z`.

use chrono::{DateTime, NaiveDate, NaiveDateTime, TimeZone, Utc};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Nanoseconds of one second.
pub const SECOND: i64 = 1_000_000_000;
/// Nanoseconds of one day.
pub const DAY: i64 = 86_400 * SECOND;

/// An instant: nanoseconds since 1970-01-01T00:00:00Z. Covers 1677 to 2262; what lies outside is clamped where it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Time(pub i64);

impl Time {
    /// The earliest instant.
    pub const MIN: Time = Time(i64::MIN);
    /// The latest instant.
    pub const MAX: Time = Time(i64::MAX);

    /// From whole seconds and nanoseconds, saturating.
    pub fn from_parts(seconds: i64, nanos: u32) -> Time {
        Time(seconds.saturating_mul(SECOND).saturating_add(i64::from(nanos)))
    }
    /// This instant moved by nanoseconds, saturating.
    pub fn plus(self, nanos: i64) -> Time {
        Time(self.0.saturating_add(nanos))
    }
    /// Nanoseconds from `earlier` to this, saturating.
    pub fn since(self, earlier: Time) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
    /// The UTC day: days since 1970-01-01.
    pub fn day(self) -> i32 {
        self.0.div_euclid(DAY) as i32
    }
    /// As a chrono instant in UTC.
    pub fn utc(self) -> DateTime<Utc> {
        Utc.timestamp_nanos(self.0)
    }
    /// RFC 3339 with `Z` and as many of 0, 3, 6, 9 digits as it needs.
    pub fn rfc3339(self) -> String {
        self.utc().to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)
    }
    /// RFC 3339 with or without zone (UTC assumed), a date, or an epoch with optional fraction.
    pub fn parse(text: &str) -> Option<Time> {
        let text = text.trim();
        if let Ok(t) = DateTime::parse_from_rfc3339(text) {
            return t.timestamp_nanos_opt().map(Time);
        }
        let bare = text.strip_suffix('Z').unwrap_or(text);
        for form in ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"] {
            if let Ok(t) = NaiveDateTime::parse_from_str(bare, form) {
                return t.and_utc().timestamp_nanos_opt().map(Time);
            }
        }
        if let Ok(d) = NaiveDate::parse_from_str(bare, "%Y-%m-%d") {
            return d.and_hms_opt(0, 0, 0).and_then(|t| t.and_utc().timestamp_nanos_opt()).map(Time);
        }
        Time::parse_epoch(text)
    }
    /// Epoch seconds with an optional decimal fraction (`1521911721.255387`), exact to the nanosecond.
    pub fn parse_epoch(text: &str) -> Option<Time> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        if whole.is_empty() || fraction.len() > 18 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let seconds: i64 = whole.parse().ok()?;
        let mut nanos = 0i64;
        for i in 0..9 {
            nanos = nanos * 10 + i64::from(fraction.as_bytes().get(i).map_or(0, |b| b - b'0'));
        }
        if whole.starts_with('-') {
            nanos = -nanos;
        }
        Some(Time(seconds.checked_mul(SECOND)?.checked_add(nanos)?))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rfc3339())
    }
}

/// A half-open span of time, `start <= t < end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Window {
    /// First instant inside.
    pub start: Time,
    /// First instant after.
    pub end: Time,
}

impl Window {
    /// All of time.
    pub const ALL: Window = Window { start: Time::MIN, end: Time::MAX };

    /// A window from start to end.
    pub fn new(start: Time, end: Time) -> Window {
        Window { start, end }
    }
    /// The window `half` nanoseconds either side of an instant.
    pub fn around(at: Time, half: i64) -> Window {
        Window { start: at.plus(-half), end: at.plus(half.saturating_add(1)) }
    }
    /// Whether a record that lasts from `start` to `end` (both inside it) overlaps this window.
    pub fn overlaps(&self, start: Time, end: Time) -> bool {
        start < self.end && end >= self.start
    }
    /// The last instant inside it.
    pub fn last(&self) -> Time {
        self.end.plus(-1)
    }
    /// Length in nanoseconds.
    pub fn length(&self) -> i64 {
        self.end.since(self.start)
    }
    /// The part that both share (empty: start >= end).
    pub fn intersect(&self, other: &Window) -> Window {
        Window { start: self.start.max(other.start), end: self.end.min(other.end) }
    }
    /// The same window moved by nanoseconds; all of time stays all of time.
    pub fn shifted(&self, nanos: i64) -> Window {
        let start = if self.start == Time::MIN { Time::MIN } else { self.start.plus(nanos) };
        let end = if self.end == Time::MAX { Time::MAX } else { self.end.plus(nanos) };
        Window { start, end }
    }
}

/// The first and last bin of a histogram without the outermost 0.05 % of its counts at either end: a record with a wrong year is in the case
/// all the same, but does not make a line of the timeline a month. `None`: nothing was counted.
pub fn usual_bins(bins: &[f64]) -> Option<(usize, usize)> {
    let few = bins.iter().sum::<f64>() * 0.0005;
    let beyond = || {
        let mut sum = 0.0;
        move |n: &f64| {
            sum += *n;
            sum > few
        }
    };
    Some((bins.iter().position(beyond())?, bins.iter().rposition(beyond())?))
}

/// A span like `90s`, `5m`, `2h`, `1d`, `250ms`, `1w`, or several after one another (`1h30m`), in nanoseconds.
pub fn parse_span(text: &str) -> Option<i64> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return None;
    }
    let mut total = 0i64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').filter(|n| *n > 0)?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit_len = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let nanos = match &rest[..unit_len] {
            "ns" => 1.0,
            "us" => 1e3,
            "ms" => 1e6,
            "s" | "sec" => 1e9,
            "m" | "min" => 60e9,
            "h" => 3600e9,
            "d" => 86_400e9,
            "w" => 7.0 * 86_400e9,
            _ => return None,
        };
        total = total.checked_add((number * nanos) as i64)?;
        rest = &rest[unit_len..];
    }
    Some(total)
}

/// A span in its largest exact units, as [`parse_span`] reads it: `90s`, `5m`, `1h30m`, `250ms`.
pub fn show_span(nanos: i64) -> String {
    if nanos < 0 {
        return format!("-{}", show_span(nanos.saturating_neg()));
    }
    let mut rest = nanos;
    let mut out = String::new();
    for (unit, size) in
        [("d", DAY), ("h", 3600 * SECOND), ("m", 60 * SECOND), ("s", SECOND), ("ms", 1_000_000), ("us", 1_000), ("ns", 1)]
    {
        if rest >= size {
            out.push_str(&format!("{}{unit}", rest / size));
            rest %= size;
        }
    }
    if out.is_empty() { "0s".into() } else { out }
}

/// A span to what is worth saying of it: of minutes seconds, of seconds hundredths, of less milliseconds, then microseconds.
pub fn show_about(nanos: i64) -> String {
    let step = match nanos.unsigned_abs() {
        n if n >= 60 * SECOND.unsigned_abs() => SECOND,
        n if n >= SECOND.unsigned_abs() => SECOND / 100,
        n if n >= SECOND.unsigned_abs() / 100 => SECOND / 1_000,
        _ => SECOND / 1_000_000,
    };
    show_span(nanos.saturating_add(nanos.signum() * step / 2) / step * step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_said_to_what_is_worth_saying() {
        let said = [0, 812_345, 12_600_000, 1_004_900_000, 61_499_999_999, -1_500_000_000, i64::MIN].map(show_about);
        assert_eq!(said[..6], ["0s", "812us", "13ms", "1s", "1m1s", "-1s500ms"]);
    }

    #[test]
    fn epochs_are_exact_to_the_nanosecond() {
        assert_eq!(Time::parse_epoch("1521911721.255387"), Some(Time(1_521_911_721_255_387_000)));
        assert_eq!(Time::parse_epoch("0.000000001"), Some(Time(1)));
        assert_eq!(Time::parse_epoch("12.3x"), None);
    }

    #[test]
    fn times_read_back_what_they_show() {
        for n in [0, 1, 1_000, 1_000_000, 1_521_911_721_255_387_000] {
            assert_eq!(Time::parse(&Time(n).rfc3339()), Some(Time(n)));
        }
    }

    #[test]
    fn spans_read_back_what_they_show() {
        for text in ["90s", "5m", "1h30m", "250ms", "2d", "1ns"] {
            let n = parse_span(text).unwrap_or(-1);
            assert_eq!(parse_span(&show_span(n)), Some(n), "{text}");
        }
        assert_eq!(parse_span("5"), None);
        assert_eq!(parse_span("x"), None);
    }
}
