//! Times in the messages of devices: what `clock` reads, with a zone's abbreviation after it, and by a pattern that the message states
//! (Java's `SimpleDateFormat`, as LEEF's `devTimeFormat`).
//!
//! Knows no format. A time without a zone yields to the envelope's if that states its zone: then the difference is the device's zone, which
//! nobody has said.

use super::envelope::Envelope;
use super::{Context, Out, clock, clock::Stamp};
use crate::model::time::Time;

/// A time as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    /// An epoch.
    Epoch(Time),
    /// A wall-clock time.
    Wall(Stamp),
}

/// Abbreviations that mean one offset wherever they are written (hours east of UTC, times two).
const ZONES: [(&str, i32); 28] = [
    ("UTC", 0),
    ("GMT", 0),
    ("Z", 0),
    ("WET", 0),
    ("WEST", 2),
    ("CET", 2),
    ("MEZ", 2),
    ("CEST", 4),
    ("MESZ", 4),
    ("EET", 4),
    ("EEST", 6),
    ("MSK", 6),
    ("EST", -10),
    ("EDT", -8),
    ("CST", -12),
    ("CDT", -10),
    ("MST", -14),
    ("MDT", -12),
    ("PST", -16),
    ("PDT", -14),
    ("AKST", -18),
    ("AKDT", -16),
    ("HST", -20),
    ("JST", 18),
    ("KST", 18),
    ("SGT", 16),
    ("HKT", 16),
    ("AEST", 20),
];

/// Seconds east of UTC that an abbreviation or an offset means: `EST`, `+0200`, `UTC+02:00`, `(GMT-5:00)`.
pub(super) fn east(zone: &str) -> Option<i32> {
    let zone = zone.trim().trim_start_matches('(').trim_end_matches(')');
    if let Some((_, halves)) = ZONES.iter().find(|(name, _)| name.eq_ignore_ascii_case(zone)) {
        return Some(halves * 1800);
    }
    let digits = zone.strip_prefix("UTC").or_else(|| zone.strip_prefix("GMT")).unwrap_or(zone);
    let sign = match digits.bytes().next()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let digits = &digits[1..];
    let (hours, minutes) = match digits.split_once(':') {
        Some((h, m)) => (h.parse::<i32>().ok()?, m.parse::<i32>().ok()?),
        None if digits.len() == 4 => (digits.get(..2)?.parse().ok()?, digits.get(2..)?.parse().ok()?),
        None => (digits.parse().ok()?, 0),
    };
    ((0..=14).contains(&hours) && (0..60).contains(&minutes)).then_some(sign * (hours * 3600 + minutes * 60))
}

/// The time that a whole text is.
pub(super) fn moment(text: &str) -> Option<Moment> {
    let text = text.trim().trim_start_matches(['[', '(', '"']).trim_end_matches([']', '"']);
    let bytes = text.as_bytes();
    if bytes.first().is_some_and(u8::is_ascii_digit) && bytes.iter().all(|b| b.is_ascii_digit() || *b == b'.') {
        let sure = |t: &Time| (946_684_800..4_102_444_800).contains(&(t.0 / 1_000_000_000));
        return clock::epoch(text).filter(sure).map(Moment::Epoch);
    }
    let forms = [clock::iso, clock::date, clock::apache, clock::bsd, clock::asctime, clock::other];
    let mut stamp = forms.iter().find_map(|form| form(bytes))?;
    let rest = text.get(stamp.len..)?.trim_end();
    match rest.trim_start_matches([' ', ',']) {
        "" => {}
        // A `Z` after an offset says nothing more.
        zone => stamp.east = Some(stamp.east.filter(|_| zone == "Z").or_else(|| east(zone))?),
    }
    Some(Moment::Wall(stamp))
}

/// The instant of a text beside an envelope; see the head of this file.
pub(super) fn time(text: &str, envelope: &Envelope<'_>, context: &Context, out: &mut Out) -> Option<Time> {
    instant(moment(text)?, envelope, context, out)
}

/// The instant of a moment beside an envelope.
pub(super) fn instant(moment: Moment, envelope: &Envelope<'_>, context: &Context, out: &mut Out) -> Option<Time> {
    match moment {
        Moment::Epoch(time) => Some(time),
        Moment::Wall(stamp) => {
            let zoned = |s: Option<Stamp>| s.is_some_and(|s| s.east.is_some());
            // A time without its year is no better than an envelope that has one.
            let poorer = stamp.year.is_none() && envelope.stamp.is_some_and(|s| s.year.is_some());
            if poorer || stamp.east.is_none() && zoned(envelope.stamp) {
                return None;
            }
            stamp.time(context, out)
        }
    }
}

/// The time that a text is by a pattern of `SimpleDateFormat` (`MMM dd yyyy HH:mm:ss.SSS z`). Letters are read by their meaning, anything
/// else must stand there; `None`: it does not.
pub(super) fn patterned(text: &str, pattern: &str) -> Option<Moment> {
    let mut stamp = Stamp { year: None, month: 1, day: 1, second: 0, nanos: 0, east: None, either: false, len: text.len() };
    let (mut hour, mut minute, mut second, mut afternoon) = (0u32, 0u32, 0u32, None);
    let (mut rest, mut letters) = (text.trim(), pattern.trim().chars().peekable());
    for _ in 0..64 {
        let Some(letter) = letters.next() else { break };
        if letter == '\'' {
            for c in letters.by_ref().take_while(|c| *c != '\'') {
                rest = rest.strip_prefix(c)?;
            }
            continue;
        }
        if !letter.is_ascii_alphabetic() {
            rest = if letter == ' ' { rest.trim_start() } else { rest.strip_prefix(letter)? };
            continue;
        }
        let mut width = 1;
        while letters.next_if_eq(&letter).is_some() {
            width += 1;
        }
        let tight = letters.peek().is_some_and(char::is_ascii_alphabetic);
        match letter {
            'y' | 'u' => {
                let year = number(&mut rest, if tight { width } else { 4 })?;
                stamp.year = Some(i32::try_from(if year < 100 { 2000 + year } else { year }).ok()?);
            }
            'M' | 'L' if width > 2 => {
                let name = word(&mut rest);
                stamp.month = 1 + MONTHS.iter().position(|m| name.get(..3).is_some_and(|n| n.eq_ignore_ascii_case(m)))? as u32;
            }
            'M' | 'L' => stamp.month = number(&mut rest, 2)?,
            'd' => stamp.day = number(&mut rest, 2)?,
            'H' | 'h' | 'k' | 'K' => hour = number(&mut rest, 2)? % 24,
            'm' => minute = number(&mut rest, 2)?,
            's' => second = number(&mut rest, 2)?,
            'S' => {
                let digits = rest.bytes().take_while(u8::is_ascii_digit).count().min(9);
                let value: u32 = rest.get(..digits)?.parse().ok()?;
                stamp.nanos = value.checked_mul(10u32.pow(9 - digits as u32))?;
                rest = &rest[digits..];
            }
            'a' => afternoon = Some(word(&mut rest).eq_ignore_ascii_case("pm")),
            'E' => _ = word(&mut rest),
            'z' | 'Z' | 'X' => {
                let end = rest.find(' ').unwrap_or(rest.len());
                stamp.east = Some(east(&rest[..end])?);
                rest = &rest[end..];
            }
            _ => return None,
        }
    }
    if let Some(afternoon) = afternoon {
        hour = hour % 12 + if afternoon { 12 } else { 0 };
    }
    let sound = rest.trim().is_empty() && hour < 24 && minute < 60 && second < 61;
    let dated = (1..=12).contains(&stamp.month) && (1..=31).contains(&stamp.day);
    stamp.second = hour * 3600 + minute * 60 + second.min(59);
    (sound && dated).then_some(Moment::Wall(stamp))
}

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Digits at the start of a text, at most so many.
fn number(rest: &mut &str, most: usize) -> Option<u32> {
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count().min(most);
    let value = rest.get(..digits)?.parse().ok()?;
    *rest = &rest[digits..];
    Some(value)
}

/// Letters at the start of a text.
fn word<'a>(rest: &mut &'a str) -> &'a str {
    let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
    let (word, after) = rest.split_at(letters);
    *rest = after.trim_start_matches('.');
    word
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::Zone;
    use crate::model::origin::EvidenceKey;

    fn context() -> Context {
        Context {
            dates: super::super::Dates::default(),
            evidence: EvidenceKey(1),
            stem: "x".into(),
            zone: Zone::Fixed(0),
            year: None,
            modified: Time::parse("2026-11-20T12:00:00Z").unwrap(),
        }
    }

    fn shown(moment: Option<Moment>) -> String {
        let bare = Envelope::default();
        moment.and_then(|m| instant(m, &bare, &context(), &mut Out::default())).map(|t| t.to_string()).unwrap_or_default()
    }

    #[test]
    fn zones_after_times_are_read() {
        for (text, want) in [
            ("Sep 03 2020 14:54:59 GMT", "2020-09-03T14:54:59Z"),
            ("Aug 21 2026 10:15:42.250 EST", "2026-08-21T15:15:42.250Z"),
            ("2022-07-05 23:50:04 UTC", "2022-07-05T23:50:04Z"),
            ("2026-08-21T10:15:42.5+00:00Z", "2026-08-21T10:15:42.500Z"),
            ("1570653042000", "2019-10-09T20:30:42Z"),
            ("3/30/2022 3:16:40 PM", "2022-03-30T15:16:40Z"),
            ("12", ""),
            ("Sep 03 2020 14:54:59 and more", ""),
        ] {
            assert_eq!(shown(moment(text)), want, "{text}");
        }
        assert_eq!((east("UTC+05:30"), east("(GMT-5:00)"), east("XYZ")), (Some(19_800), Some(-18_000), None));
    }

    #[test]
    fn a_stated_pattern_says_how_a_time_is_read() {
        for (text, pattern, want) in [
            ("Aug 21 2026 10:15:42.7 EST", "MMM dd yyyy HH:mm:ss.SSS z", "2026-08-21T15:15:42.700Z"),
            ("04/03/2026 08:00:00", "dd/MM/yyyy HH:mm:ss", "2026-03-04T08:00:00Z"),
            ("2026-08-21T10:15:42Z", "yyyy-MM-dd'T'HH:mm:ssX", "2026-08-21T10:15:42Z"),
            ("20260821101542", "yyyyMMddHHmmss", "2026-08-21T10:15:42Z"),
            ("Fri, 21 Aug 2026 01:15:42 PM", "EEE, dd MMM yyyy hh:mm:ss a", "2026-08-21T13:15:42Z"),
            ("21 Aug 2026", "MMM dd yyyy", ""),
            ("Aug 41 2026", "MMM dd yyyy", ""),
        ] {
            assert_eq!(shown(patterned(text, pattern)), want, "{text} by {pattern}");
        }
    }

    #[test]
    fn a_time_without_zone_yields_to_an_envelope_that_states_it() {
        let envelope = Envelope { stamp: clock::iso(b"2026-08-21T10:15:42+02:00"), ..Envelope::default() };
        assert_eq!(time("2026-08-21 10:15:41", &envelope, &context(), &mut Out::default()), None);
        assert!(time("2026-08-21 10:15:41 UTC", &envelope, &context(), &mut Out::default()).is_some());
    }
}
