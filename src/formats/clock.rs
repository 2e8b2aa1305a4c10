//! How the formats read times: ISO 8601 and RFC 3339, the BSD syslog date (RFC 3164, 4.1.2), Apache's `%t`.
//!
//! Parsed by hand because they stand in every line. Knows no file: zone and year, where the text states none, come from the
//! `Context`, and using them is noted as an assumption.

use super::{Context, Out, named_dates};
use crate::model::source::DateOrder;
use crate::model::time::{SECOND, Time};

/// A wall-clock time as written, with what the text states of zone and year.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    /// Year, if the text states it.
    pub year: Option<i32>,
    pub month: u32,
    pub day: u32,
    /// Seconds since midnight.
    pub second: u32,
    pub nanos: u32,
    /// Seconds east of UTC, if the text states it.
    pub east: Option<i32>,
    /// Day and month may be meant the other way round.
    pub either: bool,
    /// Bytes of text that it took.
    pub len: usize,
}

/// The phrase for a zone that was assumed.
pub(super) const ZONE_ASSUMED: &str = "zone assumed";
/// The phrase for an order of day and month that was assumed.
pub(super) const DATES_ASSUMED: &str = "order of dates assumed";
/// The phrase for a year that was assumed.
pub(super) const YEAR_ASSUMED: &str = "year assumed";

impl Stamp {
    /// The instant. A year that is not stated is the one of the context, else the latest that puts the time at most a day after the
    /// file was modified.
    pub fn time(&self, context: &Context, out: &mut Out) -> Option<Time> {
        let year = match (self.year, context.year) {
            (Some(year), _) => year,
            (None, Some(year)) => year,
            (None, None) => {
                assume(out, YEAR_ASSUMED);
                let latest = context.modified.plus(86_400 * SECOND);
                let (this_year, _, _) = civil(context.modified.day());
                // A 29th of February may need up to eight years back.
                return (0..9).filter_map(|back| self.instant(this_year - back + 1, context, out)).find(|t| *t <= latest);
            }
        };
        self.instant(year, context, out)
    }

    /// Day and month the other way round.
    pub fn exchanged(self) -> Stamp {
        Stamp { month: self.day, day: self.month, ..self }
    }

    fn instant(&self, year: i32, context: &Context, out: &mut Out) -> Option<Time> {
        if self.either {
            if !context.dates.sure {
                assume(out, DATES_ASSUMED);
            }
            if context.dates.order == DateOrder::DayFirst {
                return Stamp { either: false, ..self.exchanged() }.instant(year, context, out);
            }
        }
        if !(1678..=2261).contains(&year) || self.day > month_length(year, self.month) {
            return None;
        }
        let local = i64::from(days(year, self.month, self.day)) * 86_400 + i64::from(self.second);
        let east = match (self.east, context.zone) {
            (Some(east), _) => east,
            (None, super::Zone::Fixed(east)) => {
                assume(out, ZONE_ASSUMED);
                east
            }
            (None, zone) => {
                assume(out, ZONE_ASSUMED);
                let local = chrono::DateTime::from_timestamp(local, self.nanos)?.naive_utc();
                return Some(zone.instant(local));
            }
        };
        Some(Time::from_parts(local - i64::from(east), self.nanos))
    }
}

/// Notes an assumption once per unit.
pub(super) fn assume(out: &mut Out, phrase: &'static str) {
    if !out.assumed.contains(&phrase) {
        out.assumed.push(phrase);
    }
}

/// Days since 1970-01-01 of a date of the proleptic Gregorian calendar (years counted from March, in eras of 400).
pub(super) fn days(year: i32, month: u32, day: u32) -> i32 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month as i32 + 9) % 12) + 2) / 5 + day as i32 - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Year, month and day of a number of days since 1970-01-01.
pub(super) fn civil(days: i32) -> (i32, u32, u32) {
    let days = days.saturating_add(719_468);
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year_of_era + era * 400 + i32::from(month <= 2), month as u32, day as u32)
}

fn month_length(year: i32, month: u32) -> u32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// A number of exactly `n` digits at `at`.
fn digits(text: &[u8], at: usize, n: usize) -> Option<u32> {
    let mut value = 0u32;
    for b in text.get(at..at + n)? {
        if !b.is_ascii_digit() {
            return None;
        }
        value = value * 10 + u32::from(b - b'0');
    }
    Some(value)
}

/// `hh:mm:ss` at `at`, as seconds since midnight. A leap second counts as the second before it.
fn clock(text: &[u8], at: usize) -> Option<u32> {
    let (h, m, s) = (digits(text, at, 2)?, digits(text, at + 3, 2)?, digits(text, at + 6, 2)?);
    let colons = text.get(at + 2) == Some(&b':') && text.get(at + 5) == Some(&b':');
    (colons && h < 24 && m < 60 && s < 61).then(|| h * 3600 + m * 60 + s.min(59))
}

/// A fraction of a second after `.` or `,` at `at`: nanoseconds and where it ends.
fn fraction(text: &[u8], at: usize) -> (u32, usize) {
    if !matches!(text.get(at), Some(b'.' | b',')) || !text.get(at + 1).is_some_and(u8::is_ascii_digit) {
        return (0, at);
    }
    let mut nanos = 0u32;
    let mut scale = 100_000_000u32;
    let mut end = at + 1;
    while let Some(b) = text.get(end).filter(|b| b.is_ascii_digit()) {
        nanos += u32::from(b - b'0') * scale;
        scale /= 10;
        end += 1;
    }
    (nanos, end)
}

/// `Z`, `+hh`, `+hhmm` or `+hh:mm` at `at`: seconds east and where it ends.
fn offset(text: &[u8], at: usize) -> Option<(i32, usize)> {
    let sign = match text.get(at)? {
        b'Z' | b'z' => return Some((0, at + 1)),
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let hours = digits(text, at + 1, 2)?;
    let colon = usize::from(text.get(at + 3) == Some(&b':'));
    let (minutes, end) = match digits(text, at + 3 + colon, 2) {
        Some(m) => (m, at + 5 + colon),
        None => (0, at + 3),
    };
    (hours < 24 && minutes < 60).then(|| (sign * (hours as i32 * 3600 + minutes as i32 * 60), end))
}

/// `2018-07-05T15:07:20.910626-0400` and its kin: `T` or a space, `.` or `,` before the fraction, `/` in the date, zone optional.
pub(super) fn iso(text: &[u8]) -> Option<Stamp> {
    let (year, month, day) = (digits(text, 0, 4)?, digits(text, 5, 2)?, digits(text, 8, 2)?);
    let separator = *text.get(4)?;
    if !matches!(separator, b'-' | b'/') || text.get(7) != Some(&separator) || !matches!(text.get(10), Some(b'T' | b't' | b' ')) {
        return None;
    }
    let second = clock(text, 11)?;
    let (nanos, mut len) = fraction(text, 19);
    let mut east = None;
    if let Some((seconds, end)) = offset(text, len) {
        (east, len) = (Some(seconds), end);
    } else if text.get(len) == Some(&b' ') && matches!(text.get(len + 1), Some(b'+' | b'-')) {
        if let Some((seconds, end)) = offset(text, len + 1) {
            (east, len) = (Some(seconds), end);
        }
    } else if text.get(len..).is_some_and(|t| t.starts_with(b" UTC")) {
        (east, len) = (Some(0), len + 4);
    }
    valid(Stamp { year: Some(year as i32), month, day, second, nanos, east, either: false, len })
}

/// `Jan  8 03:37:09`, also with a fraction, with the year after the day (`Oct 10 2018 12:34:56`, as Cisco writes it) or after the time.
pub(super) fn bsd(text: &[u8]) -> Option<Stamp> {
    let (month, long) = match month(text).filter(|_| text.get(3) == Some(&b' ')) {
        Some(month) => (month, 3),
        None => named_dates::month(text).filter(|(_, long)| text.get(*long) == Some(&b' '))?,
    };
    let mut at = long + 1;
    while text.get(at) == Some(&b' ') && at < long + 3 {
        at += 1;
    }
    let width = text.get(at..)?.iter().take_while(|b| b.is_ascii_digit()).count();
    let day = digits(text, at, if matches!(width, 1 | 2) { width } else { return None })?;
    at += width;
    if text.get(at) != Some(&b' ') {
        return None;
    }
    at += 1;
    let mut year = None;
    if let Some(y) = digits(text, at, 4).filter(|_| text.get(at + 4) == Some(&b' ')) {
        year = Some(y as i32);
        at += 5;
    }
    let second = clock(text, at)?;
    let (nanos, mut len) = fraction(text, at + 8);
    if year.is_none()
        && text.get(len) == Some(&b' ')
        && matches!(text.get(len + 5), None | Some(b' ' | b':' | b']'))
        && let Some(y) = digits(text, len + 1, 4).filter(|y| (1990..2100).contains(y))
    {
        year = Some(y as i32);
        len += 5;
    }
    valid(Stamp { year, month, day, second, nanos, east: None, either: false, len })
}

/// Apache's `%t` without brackets: `10/Oct/2000:13:55:36 -0700`.
pub(super) fn apache(text: &[u8]) -> Option<Stamp> {
    let day = digits(text, 0, 2)?;
    let month = month(text.get(3..)?)?;
    let year = digits(text, 7, 4)?;
    if text.get(2) != Some(&b'/') || text.get(6) != Some(&b'/') || text.get(11) != Some(&b':') {
        return None;
    }
    let second = clock(text, 12)?;
    let (nanos, mut len) = fraction(text, 20);
    let mut east = None;
    if let Some((seconds, end)) = offset(text, len + 1).filter(|_| text.get(len) == Some(&b' ')) {
        (east, len) = (Some(seconds), end);
    }
    valid(Stamp { year: Some(year as i32), month, day, second, nanos, east, either: false, len })
}

/// `Thu Feb  6 19:58:24 2020` (C's `asctime`), also with a zone name before the year, which is then ignored unless it is UTC.
pub(super) fn asctime(text: &[u8]) -> Option<Stamp> {
    let weekday = text.get(..4)?;
    if !weekday[..3].iter().all(u8::is_ascii_alphabetic) || weekday[3] != b' ' {
        return None;
    }
    let mut stamp = bsd(&text[4..])?;
    stamp.len += 4;
    if stamp.year.is_none() {
        let rest = text.get(stamp.len..)?;
        let zone = rest.iter().skip(1).take_while(|b| b.is_ascii_uppercase()).count();
        if rest.first() == Some(&b' ') && (2..=5).contains(&zone) {
            stamp.year = Some(digits(rest, zone + 2, 4)? as i32);
            stamp.east = matches!(&rest[1..=zone], b"UTC" | b"GMT").then_some(0);
            stamp.len += zone + 6;
        }
    }
    Some(stamp)
}

/// Kibana's `Nov 20, 2026 @ 08:00:00.000`, glog's `I1120 08:00:00.123` (no year), Spark's `26/11/20 08:00:00`, and dates in numbers:
/// `20.11.2026 08:00:00`, `11/20/2026 8:00:00 AM`, `20/11/2026 08:00:00`. `11/10/2026` may be either: the context says which.
pub(super) fn other(text: &[u8]) -> Option<Stamp> {
    kibana(text).or_else(|| glog(text)).or_else(|| numeric(text)).or_else(|| named_dates::stamp(text))
}

fn kibana(text: &[u8]) -> Option<Stamp> {
    let month = month(text)?;
    let width = text.get(4..)?.iter().take_while(|b| b.is_ascii_digit()).count();
    let day = digits(text, 4, if matches!(width, 1 | 2) && text[3] == b' ' { width } else { return None })?;
    let at = 4 + width;
    let year = digits(text, at + 2, 4)?;
    if text.get(at..at + 2) != Some(b", ") || text.get(at + 6..at + 9) != Some(b" @ ") {
        return None;
    }
    let second = clock(text, at + 9)?;
    let (nanos, len) = fraction(text, at + 17);
    valid(Stamp { year: Some(year as i32), month, day, second, nanos, east: None, either: false, len })
}

fn glog(text: &[u8]) -> Option<Stamp> {
    let (month, day) = (digits(text, 1, 2)?, digits(text, 3, 2)?);
    if !matches!(text.first(), Some(b'I' | b'W' | b'E' | b'F')) || text.get(5) != Some(&b' ') {
        return None;
    }
    let second = clock(text, 6)?;
    let (nanos, len) = fraction(text, 14);
    (len > 14).then_some(())?;
    valid(Stamp { year: None, month, day, second, nanos, east: None, either: false, len })
}

/// A date in numbers with a time.
pub(super) fn numeric(text: &[u8]) -> Option<Stamp> {
    let number = |at: usize| {
        let width = text.get(at..)?.iter().take_while(|b| b.is_ascii_digit()).count();
        Some((digits(text, at, if matches!(width, 1 | 2 | 4) { width } else { return None })?, at + width, width))
    };
    let (first, at, wide) = number(0)?;
    let separator = *text.get(at).filter(|b| matches!(b, b'/' | b'.' | b'-'))?;
    let (second, at, _) = number(at + 1)?;
    let (third, at, width) = number(at + 1).filter(|_| text.get(at) == Some(&separator))?;
    let at = at + text.get(at..)?.iter().take_while(|b| matches!(b, b' ' | b',')).count();
    let (hour, minute, _) = number(at)?;
    let at = minute;
    let seconds = digits(text, at + 4, 2).filter(|s| *s < 61 && text.get(at + 3) == Some(&b':'));
    let minute = digits(text, at + 1, 2).filter(|m| *m < 60 && text.get(at) == Some(&b':'))?;
    let (nanos, mut len) = fraction(text, if seconds.is_some() { at + 6 } else { at + 3 });
    let half = text.get(len..len + 3).filter(|h| h[0] == b' ' && h[2].eq_ignore_ascii_case(&b'm'));
    let half = half.map(|h| h[1].to_ascii_lowercase()).filter(|h| matches!(h, b'a' | b'p'));
    let hour = match half {
        Some(half) if (1..=12).contains(&hour) => hour % 12 + if half == b'p' { 12 } else { 0 },
        None if hour < 24 => hour,
        _ => return None,
    };
    len += if half.is_some() { 3 } else { 0 };
    let (year, month, day) = match (separator, wide, width) {
        (b'/', 2, 2) if seconds.is_some() => (2000 + first, second, third),
        (b'.', 1 | 2, 4) => (third, second, first),
        (b'/' | b'-', 1 | 2, 4) if first > 12 => (third, second, first),
        (b'/' | b'-', 1 | 2, 4) => (third, first, second),
        _ => return None,
    };
    let either = separator != b'.' && width == 4 && first <= 12 && second <= 12 && first != second;
    let second = hour * 3600 + minute * 60 + seconds.unwrap_or(0).min(59);
    valid(Stamp { year: Some(year as i32), month, day, second, nanos, east: None, either, len })
}

/// A date alone, `2026-11-20`: its first second.
pub(super) fn date(text: &[u8]) -> Option<Stamp> {
    let (year, month, day) = (digits(text, 0, 4)?, digits(text, 5, 2)?, digits(text, 8, 2)?);
    let separator = *text.get(4)?;
    if !matches!(separator, b'-' | b'/') || text.get(7) != Some(&separator) || text.len() != 10 {
        return None;
    }
    valid(Stamp { year: Some(year as i32), month, day, second: 0, nanos: 0, east: None, either: false, len: 10 })
}

/// Any of the forms of this file, or an epoch in seconds, milliseconds, microseconds or nanoseconds, as a whole cell of a table or
/// a value of JSON. A date without time is taken in the context's zone.
pub(super) fn any(text: &str, context: &Context, out: &mut Out) -> Option<Time> {
    let text = text.trim();
    let bytes = text.as_bytes();
    if bytes.first().is_some_and(u8::is_ascii_digit) && bytes.iter().all(|b| b.is_ascii_digit() || *b == b'.') {
        return epoch(text);
    }
    let stamp = iso(bytes)
        .or_else(|| date(bytes))
        .or_else(|| apache(bytes))
        .or_else(|| bsd(bytes))
        .or_else(|| asctime(bytes))
        .or_else(|| other(bytes))?;
    text.get(stamp.len..).filter(|rest| rest.trim().is_empty())?;
    stamp.time(context, out)
}

/// An epoch whose unit follows from its size: seconds up to the year 5138, then milli-, micro-, nanoseconds.
pub(super) fn epoch(text: &str) -> Option<Time> {
    let whole: u64 = text.split('.').next()?.parse().ok()?;
    let scale = match whole {
        0..100_000_000_000 => return Time::parse_epoch(text),
        100_000_000_000..100_000_000_000_000 => 1_000_000,
        100_000_000_000_000..100_000_000_000_000_000 => 1_000,
        _ => 1,
    };
    i64::try_from(whole).ok()?.checked_mul(scale).map(Time)
}

/// The wall-clock time of an instant in UTC.
pub(super) fn utc(time: Time) -> Option<Stamp> {
    let seconds = time.0.div_euclid(SECOND);
    let (year, month, day) = civil(i32::try_from(seconds.div_euclid(86_400)).ok()?);
    let second = u32::try_from(seconds.rem_euclid(86_400)).ok()?;
    let nanos = u32::try_from(time.0.rem_euclid(SECOND)).ok()?;
    Some(Stamp { year: Some(year), month, day, second, nanos, east: Some(0), either: false, len: 0 })
}

fn month(text: &[u8]) -> Option<u32> {
    const NAMES: &[u8; 36] = b"JanFebMarAprMayJunJulAugSepOctNovDec";
    let name = text.get(..3)?;
    NAMES.chunks(3).position(|n| n.eq_ignore_ascii_case(name)).map(|n| n as u32 + 1)
}

fn valid(stamp: Stamp) -> Option<Stamp> {
    ((1..=12).contains(&stamp.month) && (1..=31).contains(&stamp.day)).then_some(stamp)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::Zone;
    use crate::model::origin::EvidenceKey;

    fn context(modified: &str) -> Context {
        Context {
            dates: super::super::Dates::default(),
            evidence: EvidenceKey(1),
            stem: "x".into(),
            zone: Zone::Fixed(3600),
            year: None,
            modified: Time::parse(modified).unwrap(),
        }
    }

    fn read(stamp: Option<Stamp>, modified: &str) -> (String, Vec<&'static str>) {
        let mut out = Out::default();
        let time = stamp.and_then(|s| s.time(&context(modified), &mut out));
        (time.map(|t| t.to_string()).unwrap_or_default(), out.assumed)
    }

    #[test]
    fn a_stated_zone_is_used_and_a_missing_one_is_assumed() {
        let (time, assumed) = read(iso(b"2018-07-05T15:07:20.910626-0400 rest"), "2020-01-01");
        assert_eq!((time.as_str(), assumed.len()), ("2018-07-05T19:07:20.910626Z", 0));
        let (time, assumed) = read(iso(b"2018-07-05 15:07:20"), "2020-01-01");
        assert_eq!((time.as_str(), assumed), ("2018-07-05T14:07:20Z", vec![ZONE_ASSUMED]));
        let (time, _) = read(apache(b"10/Oct/2000:13:55:36 -0700"), "2020-01-01");
        assert_eq!(time, "2000-10-10T20:55:36Z");
    }

    #[test]
    fn a_missing_year_is_the_latest_before_the_file_was_modified() {
        assert_eq!(read(bsd(b"Dec 31 23:59:59"), "2026-01-01T00:10:00Z").0, "2025-12-31T22:59:59Z");
        assert_eq!(read(bsd(b"Jan  1 00:59:59"), "2026-01-01T00:10:00Z").0, "2025-12-31T23:59:59Z");
        assert_eq!(read(bsd(b"Jan  3 12:00:00"), "2026-01-01T00:10:00Z").0, "2025-01-03T11:00:00Z");
        assert_eq!(read(bsd(b"Feb 29 12:00:00"), "2026-01-01T00:10:00Z").0, "2024-02-29T11:00:00Z");
        assert_eq!(read(bsd(b"Oct 10 2018 12:34:56 host"), "2026-01-01").0, "2018-10-10T11:34:56Z");
    }

    #[test]
    fn impossible_dates_and_cut_ones_are_no_times() {
        for text in
            ["2018-13-05T15:07:20Z", "2018-02-30T15:07:20Z", "2018-07-05T25:07:20Z", "2018-07-05T15:0", "9999-01-01T00:00:00Z"]
        {
            assert_eq!(read(iso(text.as_bytes()), "2020-01-01").0, "", "{text}");
        }
    }

    #[test]
    fn dates_of_other_makes_are_read_where_their_order_is_sure() {
        for (text, want) in [
            ("Nov 2, 2026 @ 08:00:00.120", "2026-11-02T07:00:00.120Z"),
            ("I0517 15:04:22.619642  952452992 x.cc:259]", "2026-05-17T14:04:22.619642Z"),
            ("26/11/20 08:00:00 INFO x", "2026-11-20T07:00:00Z"),
            ("20.11.2026 08:00", "2026-11-20T07:00:00Z"),
            ("11/2/2026 1:00:05 PM", "2026-11-02T12:00:05Z"),
            ("11/2/2026, 12:00:05 AM", "2026-11-01T23:00:05Z"),
            ("20/11/2026 08:00:00", "2026-11-20T07:00:00Z"),
            ("11/10/2026 08:00:00", "2026-11-10T07:00:00Z"),
            ("1.2.3 4", ""),
            ("10.0.0.5 8:00", ""),
            ("26/13/20 08:00:00", ""),
        ] {
            assert_eq!(read(other(text.as_bytes()), "2026-11-24").0, want, "{text}");
        }
    }

    #[test]
    fn a_date_that_may_be_either_is_read_as_the_file_has_it_and_said_where_it_does_not() {
        let day_first = |sure| super::super::Dates { order: DateOrder::DayFirst, sure };
        for (dates, text, want, said) in [
            (day_first(true), "03/04/2026 08:00:00", "2026-04-03T07:00:00Z", false),
            (day_first(false), "3-4-2026 8:00 PM", "2026-04-03T19:00:00Z", true),
            (Default::default(), "03/04/2026 08:00:00", "2026-03-04T07:00:00Z", true),
            (day_first(true), "03/14/2026 08:00:00", "2026-03-14T07:00:00Z", false),
            (day_first(false), "04/04/2026 08:00:00", "2026-04-04T07:00:00Z", false),
        ] {
            let mut out = Out::default();
            let context = Context { dates, ..context("2026-11-24") };
            let time = numeric(text.as_bytes()).and_then(|s| s.time(&context, &mut out)).map(|t| t.to_string());
            assert_eq!((time.as_deref(), out.assumed.contains(&DATES_ASSUMED)), (Some(want), said), "{text}");
        }
    }

    #[test]
    fn days_and_dates_are_inverse() {
        for n in (-80_000..120_000).step_by(37) {
            let (y, m, d) = civil(n);
            assert_eq!(days(y, m, d), n);
        }
    }

    #[test]
    fn epochs_are_read_in_the_unit_that_their_size_says() {
        for text in ["1587229911", "1587229911000", "1587229911000000", "1587229911000000000"] {
            assert_eq!(epoch(text), Some(Time(1_587_229_911_000_000_000)), "{text}");
        }
        assert_eq!(epoch("99999999999999999999"), None);
    }
}
