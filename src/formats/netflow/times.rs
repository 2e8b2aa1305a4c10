//! When a flow began and ended: every form that exporters state it in, brought to nanoseconds since 1970.
//!
//! NetFlow v5 and v9 count milliseconds since the exporter was started, in 32 bits that wrap after 49.7 days; the packet's header says what
//! they stand at and what time it is. IPFIX has absolute times of four resolutions, distances from the time of export, and the same counters
//! with `systemInitTimeMilliseconds` beside them (RFC 7011, 6.1.7 to 6.1.10; RFC 5102).

use crate::model::time::{SECOND, Time};

/// Seconds from 1900 to 1970.
const NTP: i64 = 2_208_988_800;
/// How far a counter may be ahead of the header's before it is one of the round before.
const AHEAD: i64 = 3_600_000;
const MILLI: i64 = 1_000_000;

/// The time of an export packet.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::formats) struct Exported {
    /// When it was sent, by the exporter's clock.
    pub at: Time,
    /// Milliseconds since the exporter began, where the header has them.
    pub uptime: Option<u32>,
    /// When the exporter began, where it said so.
    pub began: Option<Time>,
}

impl Exported {
    /// The instant of a counter of milliseconds since the exporter began.
    pub fn of_uptime(&self, counter: u32) -> Option<Time> {
        if let Some(now) = self.uptime {
            let ahead = i64::from(counter.wrapping_sub(now) as i32);
            let ahead = if ahead > AHEAD { ahead - (1 << 32) } else { ahead };
            return Some(self.at.plus(ahead.saturating_mul(MILLI)));
        }
        self.began.map(|began| began.plus(i64::from(counter).saturating_mul(MILLI)))
    }
    /// The instant that lies microseconds before the export.
    pub fn before(&self, micros: u64) -> Time {
        self.at.plus(i64::try_from(micros).unwrap_or(i64::MAX / 1000).saturating_mul(-1000))
    }
}

/// NTP's 64 bits: seconds since 1900, or since 2036 where the first bit is not set (RFC 4330, 3), and a binary fraction.
pub(in crate::formats) fn ntp(bits: u64) -> Time {
    let mut seconds = (bits >> 32) as i64;
    if seconds < 1 << 31 {
        seconds += 1 << 32;
    }
    // To the nearest nanosecond: what was cut off when a decimal fraction was made binary comes back.
    let nanos = ((bits & 0xffff_ffff).saturating_mul(1_000_000_000) + (1 << 31)) >> 32;
    Time::from_parts(seconds - NTP, 0).plus(nanos as i64)
}

/// What a record says of its times.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::formats) struct Stated {
    /// Start and end, with how fine each is stated: the finer wins.
    pub span: [Option<(Time, u8)>; 2],
    /// Counters since the exporter began, of start and end.
    pub uptime: [Option<u32>; 2],
    /// Nanoseconds from start to end.
    pub lasting: Option<i64>,
    /// When an event was observed.
    pub observed: Option<Time>,
    /// When it was collected by a mediator.
    pub collected: Option<Time>,
}

/// What [`Stated::span`] comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::formats) struct Span {
    /// First instant.
    pub start: Time,
    /// Last instant.
    pub end: Time,
    /// Neither was stated: it is the time of export.
    pub assumed: bool,
    /// The record ends before it begins.
    pub backwards: bool,
}

impl Stated {
    /// Takes a time of start (0) or end (1).
    pub fn take(&mut self, side: usize, time: Time, fineness: u8) {
        if let Some(slot) = self.span.get_mut(side)
            && slot.is_none_or(|(_, f)| fineness > f)
        {
            *slot = Some((time, fineness));
        }
    }
    /// First and last instant.
    pub fn span(&self, exported: &Exported) -> Span {
        let side = |n: usize| {
            let absolute = self.span[n].map(|(t, _)| t);
            absolute.or_else(|| self.uptime[n].and_then(|c| exported.of_uptime(c)))
        };
        let (mut start, mut end) = (side(0), side(1));
        // Counters of which nothing says when they began give a length all the same.
        let between = match self.uptime {
            [Some(first), Some(last)] => Some(i64::from(last.wrapping_sub(first)).saturating_mul(MILLI)),
            _ => None,
        };
        let lasting = self.lasting.or(between.filter(|_| start.is_none() && end.is_none()));
        let assumed = start.is_none() && end.is_none() && self.observed.is_none();
        match (start, end, lasting) {
            (Some(s), None, Some(l)) => end = Some(s.plus(l)),
            (None, Some(e), Some(l)) => start = Some(e.plus(-l)),
            (None, None, Some(l)) => {
                end = self.observed.or(self.collected).or(Some(exported.at));
                start = end.map(|e| e.plus(-l));
            }
            _ => {}
        }
        let fallback = self.observed.or(self.collected).unwrap_or(exported.at);
        let start_at = start.or(end).unwrap_or(fallback);
        let end_at = end.or(self.observed.filter(|o| *o >= start_at)).unwrap_or(start_at);
        Span { start: start_at, end: end_at.max(start_at), assumed, backwards: end_at < start_at }
    }
}

/// Seconds since 1970.
pub(in crate::formats) fn seconds(n: u64) -> Time {
    Time::from_parts(i64::try_from(n).unwrap_or(i64::MAX / SECOND), 0)
}

/// Milliseconds since 1970.
pub(in crate::formats) fn millis(n: u64) -> Time {
    Time(i64::try_from(n).unwrap_or(i64::MAX / MILLI).saturating_mul(MILLI))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_wrap_and_may_be_a_little_ahead() {
        let at = seconds(1_795_000_000);
        let exported = Exported { at, uptime: Some(5_000), began: None };
        assert_eq!(exported.of_uptime(4_000), Some(at.plus(-SECOND)));
        assert_eq!(exported.of_uptime(u32::MAX - 999), Some(at.plus(-6 * SECOND)));
        assert_eq!(exported.of_uptime(6_000), Some(at.plus(SECOND)));
        // 40 days before, which as a signed distance would be ahead.
        assert_eq!(exported.of_uptime(5_000u32.wrapping_sub(3_456_000_000)), Some(at.plus(-3_456_000 * SECOND)));
        let without = Exported { at, uptime: None, began: Some(seconds(1_000)) };
        assert_eq!(without.of_uptime(2_500), Some(seconds(1_002).plus(SECOND / 2)));
    }

    #[test]
    fn fractions_of_ntp_come_back_to_the_nanosecond() {
        for nanos in [0u64, 1, 123_456_789, 500_000_000, 999_999_999] {
            let bits = ((1_763_625_600u64 + NTP as u64) << 32) | ((nanos << 32) / 1_000_000_000);
            assert_eq!(ntp(bits), seconds(1_763_625_600).plus(nanos as i64));
        }
        // 2036-02-07T06:28:17Z, in the next era.
        assert_eq!(ntp(1 << 32).rfc3339(), "2036-02-07T06:28:17Z");
    }

    #[test]
    fn the_finest_time_counts_and_what_is_missing_follows() {
        let exported = Exported { at: seconds(100), uptime: None, began: None };
        let mut stated = Stated::default();
        stated.take(0, seconds(10), 0);
        stated.take(0, millis(10_250), 1);
        stated.lasting = Some(2 * SECOND);
        let span = stated.span(&exported);
        assert_eq!((span.start, span.end, span.assumed), (millis(10_250), millis(12_250), false));
        let counters = Stated { uptime: [Some(1_000), Some(4_000)], ..Stated::default() };
        assert_eq!(counters.span(&exported).start, seconds(97));
        assert!(counters.span(&exported).assumed);
        let event = Stated { observed: Some(seconds(50)), ..Stated::default() };
        assert_eq!((event.span(&exported).start, event.span(&exported).assumed), (seconds(50), false));
        let mut back = Stated::default();
        back.take(0, seconds(9), 0);
        back.take(1, seconds(8), 0);
        assert!(back.span(&exported).backwards);
        let ended = Stated { observed: Some(seconds(50)), span: [Some((seconds(40), 1)), None], ..Stated::default() };
        assert_eq!(ended.span(&exported).end, seconds(50));
        assert_eq!(exported.before(1_500_000), millis(98_500));
    }
}
