//! Dates that name their month in the middle or in another language, that count the days of the year, or have no separators at all.
//!
//! Knows no format; `clock` asks it for what its own forms are not: `20-Nov-2026 08:12:01.250`, `Fri, 20 Nov 2026 08:12:01 +0100` (RFC 5322),
//! `2026-Nov-20 08:12 AM`, `2026-324T08:12:01` (ISO 8601's ordinal date), `20261120T081201Z`, `20261120.081201`, and months like `août` or `mrt`.

use super::clock::{self, Stamp};

/// Months of languages in which system libraries write them, shortened or not, without the final dot.
const MONTHS: [&[&str]; 12] = [
    &["janv", "jan", "ene", "gen", "sty", "янв"],
    &["févr", "fév", "feb", "fev", "lut", "фев"],
    &["mars", "mär", "märz", "mrz", "mar", "mrt", "maa", "мар"],
    &["avril", "avr", "apr", "abr", "kwi", "апр"],
    &["mai", "may", "mag", "mei", "maj", "май"],
    &["juin", "jun", "juni", "giu", "cze", "июн"],
    &["juil", "jul", "juli", "lug", "lip", "июл"],
    &["août", "aug", "ago", "sie", "авг"],
    &["sept", "sep", "set", "wrz", "сен"],
    &["oct", "okt", "ott", "out", "paź", "окт"],
    &["nov", "lis", "ноя"],
    &["déc", "dec", "dez", "dic", "des", "gru", "дек"],
];

/// The month that a text begins with, and the bytes of its name with a final dot.
pub(super) fn month(text: &[u8]) -> Option<(u32, usize)> {
    text.first().filter(|b| b.is_ascii_alphabetic() || **b >= 0x80)?;
    let end = text.iter().take(9).position(|b| matches!(b, b' ' | b'-' | b'/' | b'.'))?;
    let name = std::str::from_utf8(&text[..end]).ok().filter(|n| !n.is_empty())?.to_lowercase();
    let month = MONTHS.iter().position(|names| names.contains(&name.as_str()))? as u32 + 1;
    Some((month, end + usize::from(text[end] == b'.')))
}

/// A time in one of the forms of this file.
pub(super) fn stamp(text: &[u8]) -> Option<Stamp> {
    if text.first()?.is_ascii_digit() {
        return ordinal(text).or_else(|| bare(text)).or_else(|| day_first(text)).or_else(|| year_first(text));
    }
    // `Fri, 20 Nov 2026`: the day of the week says nothing more.
    let weekday = text.iter().take(4).position(|b| *b == b',').filter(|n| text[..*n].iter().all(u8::is_ascii_alphabetic))?;
    let mut stamp = day_first(text.get(weekday + 2..).filter(|_| text.get(weekday + 1) == Some(&b' '))?)?;
    stamp.len += weekday + 2;
    Some(stamp)
}

/// A number of at most `most` digits, and where it ends.
fn number(text: &[u8], at: usize, most: usize) -> Option<(u32, usize)> {
    let width = text.get(at..)?.iter().take(most + 1).take_while(|b| b.is_ascii_digit()).count();
    let digits = std::str::from_utf8(text.get(at..at + width)?).ok().filter(|_| (1..=most).contains(&width))?;
    Some((digits.parse().ok()?, at + width))
}

/// `20-Nov-2026`, `20 Nov 2026`, `20/nov/26`, then a time.
fn day_first(text: &[u8]) -> Option<Stamp> {
    let (day, at) = number(text, 0, 2)?;
    let separator = *text.get(at).filter(|b| matches!(b, b'-' | b' ' | b'/'))?;
    let (month, long) = month(text.get(at + 1..)?)?;
    let at = at + 1 + long;
    let (year, end) = number(text, at + 1, 4).filter(|_| text.get(at) == Some(&separator))?;
    let year = match end - at - 1 {
        4 => year,
        2 => 2000 + year,
        _ => return None,
    };
    timed(text, end, year, month, day)
}

/// `2026-Nov-20`, `2026 Nov 20`, then a time.
fn year_first(text: &[u8]) -> Option<Stamp> {
    let (year, at) = number(text, 0, 4).filter(|(_, at)| *at == 4)?;
    let separator = *text.get(at).filter(|b| matches!(b, b'-' | b' ' | b'/'))?;
    let (month, long) = month(text.get(at + 1..)?)?;
    let at = at + 1 + long;
    let (day, end) = number(text, at + 1, 2).filter(|_| text.get(at) == Some(&separator))?;
    timed(text, end, year, month, day)
}

/// `2026-324T08:12:01`: the day of the year.
fn ordinal(text: &[u8]) -> Option<Stamp> {
    let (year, at) = number(text, 0, 4).filter(|(_, at)| *at == 4 && text.get(4) == Some(&b'-'))?;
    let (day, end) = number(text, at + 1, 3).filter(|(_, end)| *end == 8 && matches!(text.get(8), Some(b'T' | b' ')))?;
    let year = i32::try_from(year).ok()?;
    let first = clock::days(year, 1, 1);
    let (same, month, day) = clock::civil(first.checked_add(i32::try_from(day).ok()? - 1)?);
    timed(text, end, u32::try_from(year).ok().filter(|_| same == year)?, month, day)
}

/// `20261120T081201Z`, `20261120.081201,250`, `20261120-081201`, `20261120 08:12:01`.
fn bare(text: &[u8]) -> Option<Stamp> {
    let eight = |at: usize, n: usize| number(text, at, n).filter(|(_, end)| *end == at + n).map(|(value, _)| value);
    let date = eight(0, 8)?;
    let (year, month, day) = (date / 10_000, date / 100 % 100, date % 100);
    if !(1990..2100).contains(&year) || !matches!(text.get(8), Some(b'T' | b'.' | b'-' | b'_' | b' ')) {
        return None;
    }
    let Some(time) = eight(9, 6) else { return timed(text, 8, year, month, day) };
    // With its colons it is read as every other time of day.
    let (hour, minute, second) = (time / 10_000, time / 100 % 100, time % 100);
    let mut clocked = format!("2000-01-01T{hour:02}:{minute:02}:{second:02}").into_bytes();
    let front = clocked.len();
    clocked.extend_from_slice(text.get(15..text.len().min(39))?);
    let stamp = clock::iso(&clocked)?;
    valid(Stamp { year: Some(year as i32), month, day, len: 15 + stamp.len - front, ..stamp })
}

/// The time of day after a date that ends at `end`, maybe with half of the day and zone.
fn timed(text: &[u8], end: usize, year: u32, month: u32, day: u32) -> Option<Stamp> {
    let at = match text.get(end)? {
        b' ' | b'T' | b':' => end + 1,
        _ => return None,
    };
    let (hour, minute_at) = number(text, at, 2).filter(|(_, e)| text.get(*e) == Some(&b':'))?;
    let (minute, mut len) = number(text, minute_at + 1, 2)?;
    let mut seconds = 0;
    if text.get(len) == Some(&b':')
        && let Some((value, e)) = number(text, len + 1, 2)
    {
        (seconds, len) = (value, e);
    }
    let half =
        text.get(len..len + 3).filter(|h| h[0] == b' ' && h[2].eq_ignore_ascii_case(&b'm')).map(|h| h[1].to_ascii_lowercase());
    let (hour, after) = match half {
        Some(b'a' | b'p') if (1..=12).contains(&hour) => (hour % 12 + if half == Some(b'p') { 12 } else { 0 }, 3),
        _ => (hour, 0),
    };
    // Fraction and zone are read as those of every other time of day.
    let mut clocked = format!("2000-01-01T{hour:02}:{minute:02}:{seconds:02}").into_bytes();
    let front = clocked.len();
    let rest = text.get(len + after..)?;
    clocked.extend_from_slice(&rest[..rest.len().min(24)]);
    let stamp = clock::iso(&clocked)?;
    valid(Stamp { year: Some(year as i32), month, day, len: len + after + stamp.len - front, ..stamp })
}

fn valid(stamp: Stamp) -> Option<Stamp> {
    let year = stamp.year.is_some_and(|y| (1900..2262).contains(&y));
    (year && (1..=12).contains(&stamp.month) && (1..=31).contains(&stamp.day)).then_some(stamp)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let Some(s) = stamp(text.as_bytes()) else { return String::new() };
        let (h, m, sec) = (s.second / 3600, s.second / 60 % 60, s.second % 60);
        let zone = s.east.map(|e| format!(" {e}")).unwrap_or_default();
        format!("{}-{}-{} {h}:{m}:{sec} {}{zone} of {}", s.year.unwrap_or(0), s.month, s.day, s.nanos, s.len)
    }

    #[test]
    fn dates_of_many_forms_are_read() {
        for (text, want) in [
            ("20-Nov-2026 08:12:01.250 x", "2026-11-20 8:12:1 250000000 of 24"),
            ("Fri, 20 Nov 2026 08:12:01 +0100", "2026-11-20 8:12:1 0 3600 of 31"),
            ("2026-Apr-09 11:54 PM (UTC)", "2026-4-9 23:54:0 0 of 20"),
            ("2026-324T08:12:01,672:DEBUG", "2026-11-20 8:12:1 672000000 of 21"),
            ("20261120T081201Z", "2026-11-20 8:12:1 0 0 of 16"),
            ("20261120.081201,672:DEBUG", "2026-11-20 8:12:1 672000000 of 19"),
            ("19 août 2026 11:08:37 x", "2026-8-19 11:8:37 0 of 22"),
            ("2026-400T08:12:01", ""),
            ("20269920T081201Z", ""),
            ("20-Foo-2026 08:12:01", ""),
            ("12345678", ""),
            ("20-Nov", ""),
            ("Fri,", ""),
        ] {
            assert_eq!(shown(text), want, "{text}");
        }
        assert_eq!(
            (month("août 19".as_bytes()), month("juil. 3".as_bytes()), month(b"word 19")),
            (Some((8, 5)), Some((7, 5)), None)
        );
    }
}
