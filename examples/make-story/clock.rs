//! Times of the story: microseconds since the epoch, UTC, and how each log writes them.

use chrono::{DateTime, Utc};

/// One second, in the story's unit.
pub const SEC: i64 = 1_000_000;
/// One minute.
pub const MIN: i64 = 60 * SEC;
/// One hour.
pub const HOUR: i64 = 3600 * SEC;
/// One day.
pub const DAY: i64 = 24 * HOUR;
/// 2026-11-09T00:00:00Z, a Monday.
const MONDAY: i64 = 1_794_182_400;
/// The first moment of the story.
pub const BEGIN: i64 = MONDAY * SEC;
/// The first moment after it: Saturday 2026-11-21T00:00:00Z.
pub const END: i64 = BEGIN + 12 * DAY;
/// Monday of the second week, midnight at the site: the logs were rotated.
pub const ROTATED: i64 = nov(15, 23, 0, 0);
/// The site's zone in November (Europe/Berlin, UTC+1).
pub const LOCAL: i64 = HOUR;
/// How far the proxy's clock is behind true time: 7 h 37 s.
pub const PROXY_LAG: i64 = 7 * HOUR + 37 * SEC;
/// The windows of the captures, UTC.
pub const WINDOWS: [(i64, i64); 3] =
    [(nov(17, 7, 59, 0), nov(17, 8, 12, 0)), (nov(19, 8, 56, 0), nov(19, 9, 24, 0)), (nov(19, 9, 41, 0), nov(19, 9, 55, 0))];

/// A moment of November 2026, UTC.
pub const fn nov(day: i64, h: i64, m: i64, s: i64) -> i64 {
    (MONDAY + (day - 9) * 86_400 + h * 3600 + m * 60 + s) * SEC
}

/// Is a connection that starts at `t` in the captures?
pub fn captured(t: i64) -> bool {
    WINDOWS.iter().any(|&(a, b)| t >= a && t < b)
}

/// The moment as a date, for chrono's formats.
pub fn date(t: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(t).unwrap_or_default()
}

/// `2026-11-19T09:00:00.000000Z`.
pub fn rfc3339(t: i64) -> String {
    date(t).format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

/// Suricata's form: `2026-11-19T09:00:00.000000+0000`.
pub fn eve(t: i64) -> String {
    date(t).format("%Y-%m-%dT%H:%M:%S%.6f+0000").to_string()
}

/// Zeek's form: seconds and microseconds since the epoch.
pub fn epoch(t: i64) -> String {
    format!("{}.{:06}", t.div_euclid(SEC), t.rem_euclid(SEC))
}

/// The traditional syslog stamp, local zone, no year: `Nov 19 10:00:00`.
pub fn syslog_local(t: i64) -> String {
    date(t + LOCAL).format("%b %e %H:%M:%S").to_string()
}

/// Apache's stamp, local zone: `19/Nov/2026:10:00:00 +0100`.
pub fn apache(t: i64) -> String {
    date(t + LOCAL).format("%d/%b/%Y:%H:%M:%S +0100").to_string()
}

/// How busy people are at `t` (0 to 1): ramp at 08:30 local, lunch, end of day, quiet nights and weekends.
pub fn activity(t: i64) -> f64 {
    let local = t + LOCAL - BEGIN;
    let weekend = (local.div_euclid(DAY)).rem_euclid(7) >= 5;
    let hour = local.rem_euclid(DAY) as f64 / HOUR as f64;
    let curve = match hour {
        h if h < 7.0 => 0.015,
        h if h < 9.0 => 0.015 + 0.985 * (h - 7.0) / 2.0,
        h if h < 12.0 => 1.0,
        h if h < 13.0 => 0.6,
        h if h < 16.0 => 0.97,
        h if h < 18.5 => 0.97 - 0.92 * (h - 16.0) / 2.5,
        h if h < 21.0 => 0.05,
        _ => 0.02,
    };
    if weekend { 0.015 + curve * 0.02 } else { curve }
}
