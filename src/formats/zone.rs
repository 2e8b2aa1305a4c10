//! The time zone of times that state none.

use crate::model::time::Time;

/// A time zone for times that state none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Zone {
    /// Seconds east of UTC.
    Fixed(i32),
    /// A zone of the IANA database.
    Named(chrono_tz::Tz),
}

impl Zone {
    /// `UTC`, `+05:30`, `-0700`, `Europe/Berlin`.
    pub fn parse(text: &str) -> Option<Zone> {
        let text = text.trim();
        if let Some(digits) = text.strip_prefix(['+', '-']) {
            let digits: String = digits.chars().filter(|c| *c != ':').collect();
            if !matches!(digits.len(), 2 | 4) || !digits.bytes().all(|b| b.is_ascii_digit()) {
                return None;
            }
            let hours: i32 = digits[..2].parse().ok()?;
            let minutes: i32 = digits.get(2..).filter(|m| !m.is_empty()).map_or(Some(0), |m| m.parse().ok())?;
            let east = hours * 3600 + minutes * 60;
            return (hours <= 15 && minutes < 60).then_some(Zone::Fixed(if text.starts_with('-') { -east } else { east }));
        }
        if text.eq_ignore_ascii_case("utc") || text == "Z" {
            return Some(Zone::Fixed(0));
        }
        text.parse().ok().map(Zone::Named)
    }
    /// The instant of a local wall-clock time; in a fold the earlier, in a gap the time after it.
    pub fn instant(&self, local: chrono::NaiveDateTime) -> Time {
        use chrono::TimeZone as _;
        let east = match self {
            Zone::Fixed(east) => i64::from(*east),
            Zone::Named(tz) => {
                let offset = match tz.offset_from_local_datetime(&local) {
                    chrono::LocalResult::Single(o) | chrono::LocalResult::Ambiguous(o, _) => o,
                    chrono::LocalResult::None => tz.offset_from_utc_datetime(&local),
                };
                use chrono::Offset as _;
                i64::from(offset.fix().local_minus_utc())
            }
        };
        let utc = local.and_utc().timestamp() - east;
        Time::from_parts(utc, local.and_utc().timestamp_subsec_nanos())
    }
}

impl std::fmt::Display for Zone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Zone::Fixed(0) => f.write_str("UTC"),
            Zone::Fixed(east) => {
                let sign = if *east < 0 { '-' } else { '+' };
                write!(f, "{sign}{:02}:{:02}", east.abs() / 3600, east.abs() % 3600 / 60)
            }
            Zone::Named(tz) => f.write_str(tz.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_read_as_they_are_shown() {
        for text in ["UTC", "+05:30", "-07:00", "Europe/Berlin"] {
            assert_eq!(Zone::parse(text).map(|z| z.to_string()).as_deref(), Some(text));
        }
        assert_eq!(Zone::parse("Nowhere/Else"), None);
    }
}
