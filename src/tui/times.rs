//! Times on screen: always with their zone, in UTC unless the responder switched. One precision in every pane.

use crate::model::time::{DAY, SECOND};
use crate::model::{Time, Window};
use chrono::{Local, TimeZone};

/// The zone in which times are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Zone {
    /// UTC.
    #[default]
    Utc,
    /// The zone of this machine's user.
    Local,
    /// As each source wrote them, before any correction.
    Source,
}

impl Zone {
    /// The next one round.
    pub fn next(self) -> Zone {
        match self {
            Zone::Utc => Zone::Local,
            Zone::Local => Zone::Source,
            Zone::Source => Zone::Utc,
        }
    }
    /// The word that the header shows, e.g. `UTC`, `+01:00`, `as written`.
    pub fn label(self, at: Time) -> String {
        match self {
            Zone::Utc => "UTC".into(),
            Zone::Local => Local.timestamp_nanos(at.0).format("local %:z").to_string(),
            Zone::Source => "as written".into(),
        }
    }
    /// The word by which it is saved and typed.
    pub fn name(self) -> &'static str {
        match self {
            Zone::Utc => "utc",
            Zone::Local => "local",
            Zone::Source => "source",
        }
    }
    /// The zone that a word means.
    pub fn parse(word: &str) -> Option<Zone> {
        [Zone::Utc, Zone::Local, Zone::Source].into_iter().find(|z| z.name().eq_ignore_ascii_case(word))
    }
    /// A time by a chrono format.
    pub fn format(self, at: Time, form: &str) -> String {
        match self {
            Zone::Local => Local.timestamp_nanos(at.0).format(form).to_string(),
            Zone::Utc | Zone::Source => at.utc().format(form).to_string(),
        }
    }
    /// Clock time with milliseconds: `08:12:03.114`.
    pub fn clock(self, at: Time) -> String {
        self.format(at, "%H:%M:%S%.3f")
    }
    /// Day and clock time: `20 Nov 08:12:03.114`.
    pub fn day_clock(self, at: Time) -> String {
        self.format(at, "%d %b %H:%M:%S%.3f")
    }
    /// The day alone: `20 Nov 2026`.
    pub fn day(self, at: Time) -> String {
        self.format(at, "%d %b %Y")
    }
    /// Everything: RFC 3339 with nanoseconds as far as there are any, and the zone.
    pub fn full(self, at: Time) -> String {
        match self {
            Zone::Local => Local.timestamp_nanos(at.0).to_rfc3339_opts(chrono::SecondsFormat::AutoSi, false),
            Zone::Utc => at.rfc3339(),
            Zone::Source => at.rfc3339().trim_end_matches('Z').to_owned(),
        }
    }
    /// Whether a window crosses midnight in this zone: then rows show the day too.
    pub fn crosses_midnight(self, window: &Window) -> bool {
        if window.start == Time::MIN || window.end == Time::MAX || window.length() >= DAY {
            return true;
        }
        self.day(window.start) != self.day(window.end.plus(-1).max(window.start))
    }
    /// A window: `20 Nov 08:00 → 16:00 (8h)`; seconds where it has any. `arrow` stands between.
    pub fn window(self, window: &Window, arrow: &str) -> String {
        if window.start == Time::MIN || window.end == Time::MAX {
            return "whole case".into();
        }
        let seconds = window.length() < 10 * 60 * SECOND;
        let clock = if seconds { "%H:%M:%S" } else { "%H:%M" };
        let start = self.format(window.start, &format!("%d %b {clock}"));
        let form = if self.crosses_midnight(window) { format!("%d %b {clock}") } else { clock.to_owned() };
        format!("{start}{arrow}{} ({})", self.format(window.end, &form), short_span(window.length()))
    }
}

/// A length of time in two units at most: `8h`, `3d 4h`, `12.1s`, `340ms`.
pub fn short_span(nanos: i64) -> String {
    const MINUTE: i64 = 60 * SECOND;
    const HOUR: i64 = 60 * MINUTE;
    let two = |big: i64, big_unit: &str, small: i64, small_unit: &str| {
        if small == 0 { format!("{big}{big_unit}") } else { format!("{big}{big_unit}{small}{small_unit}") }
    };
    match nanos {
        i64::MIN..0 => format!("-{}", short_span(nanos.saturating_neg())),
        0 => "0s".into(),
        n if n < 1_000 => format!("{n}ns"),
        n if n < 1_000_000 => format!("{}us", n / 1_000),
        n if n < SECOND => format!("{}ms", n / 1_000_000),
        n if n < MINUTE => {
            let tenths = n / (SECOND / 10);
            if tenths % 10 == 0 { format!("{}s", tenths / 10) } else { format!("{}.{}s", tenths / 10, tenths % 10) }
        }
        n if n < HOUR => two(n / MINUTE, "m", n % MINUTE / SECOND, "s"),
        n if n < DAY => two(n / HOUR, "h", n % HOUR / MINUTE, "m"),
        n => two(n / DAY, "d", n % DAY / HOUR, "h"),
    }
}

/// A length of time to the nanosecond: `1h2m3.456789s`.
pub fn exact_span(nanos: u64) -> String {
    let (seconds, rest) = (nanos / SECOND as u64, nanos % SECOND as u64);
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let mut out = if hours > 0 { format!("{hours}h{minutes}m") } else { String::new() };
    if hours == 0 && minutes > 0 {
        out = format!("{minutes}m");
    }
    let fraction = format!("{rest:09}");
    let fraction = fraction.trim_end_matches('0');
    out.push_str(&if fraction.is_empty() { format!("{seconds}s") } else { format!("{seconds}.{fraction}s") });
    out
}

/// A number with thousands separated: `4,182`.
pub fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A size in at most five characters, powers of ten: `512`, `4.1k`, `88k`, `3.4M`.
pub fn short_size(n: u64) -> String {
    if n < 1000 {
        return n.to_string();
    }
    let mut value = n as f64;
    let mut unit = "";
    for next in ["k", "M", "G", "T", "P", "E"] {
        if value < 999.5 {
            break;
        }
        value /= 1000.0;
        unit = next;
    }
    if value < 9.95 { format!("{value:.1}{unit}") } else { format!("{value:.0}{unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_numbers_are_short() {
        assert_eq!(thousands(4182), "4,182");
        assert_eq!(thousands(12), "12");
        assert_eq!(short_size(4_112), "4.1k");
        assert_eq!(
            [0, 12_100_000_000, 3_723_000_000_001, 60_000_000_000].map(exact_span),
            ["0s", "12.1s", "1h2m3.000000001s", "1m0s"]
        );
        assert_eq!(short_size(999), "999");
        assert_eq!(short_size(999_600), "1.0M");
        assert_eq!(short_size(88_200), "88k");
    }

    #[test]
    fn spans_have_two_units_at_most() {
        assert_eq!(short_span(8 * 3600 * SECOND), "8h");
        assert_eq!(short_span(12_100_000_000), "12.1s");
        assert_eq!(short_span(90 * SECOND), "1m30s");
        assert_eq!(short_span(2 * DAY + 3 * 3600 * SECOND), "2d3h");
    }

    #[test]
    fn a_window_names_the_second_day_only_if_it_is_another() {
        let at = |text: &str| Time::parse(text).unwrap_or_default();
        let one = Window::new(at("2026-11-20T08:00:00Z"), at("2026-11-20T16:00:00Z"));
        assert_eq!(Zone::Utc.window(&one, " → "), "20 Nov 08:00 → 16:00 (8h)");
        let two = Window::new(at("2026-11-20T22:00:00Z"), at("2026-11-21T02:00:00Z"));
        assert_eq!(Zone::Utc.window(&two, "-"), "20 Nov 22:00-21 Nov 02:00 (4h)");
    }
}
