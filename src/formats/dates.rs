//! Dates in numbers, like 03/04/2026: the month or the day may come first. A file is consistent, so one number above twelve anywhere in it
//! decides for all of it; a file without one leaves it open, and what is taken then is a guess that says so. Only a file whose beginning has
//! such dates is looked at as a whole.
//!
//! Shared by the formats that read such dates. Opens nothing.

use super::clock;
use crate::model::source::DateOrder;
use crate::model::time::{SECOND, Time};
use std::io::Read;

/// How dates that may be read either way are read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Dates {
    /// Which number comes first.
    pub order: DateOrder,
    /// It is known: from other dates of the file, or by hand.
    pub sure: bool,
}

/// Longest date with its time, and what is looked at before its first separator.
const LONGEST: usize = 48;
const BEFORE: usize = 4;
/// Bytes that are looked at in one piece.
const PIECE: usize = 256 << 10;

/// What the dates of a file tell of their order.
#[derive(Debug, Default)]
pub struct Tally {
    /// Dates that only one order can read.
    month_first: u64,
    day_first: u64,
    /// Days of the earliest and the latest date that both can read, read in each.
    open: Option<[(i32, i32); 2]>,
    /// There are dates in numbers at all, if only such that are the same in both orders.
    met: bool,
}

impl Tally {
    /// Looks at all of a text, until it is told to stop; what cannot be read on is left out.
    pub fn read(&mut self, from: &mut dyn Read, stop: &dyn Fn() -> bool) {
        let mut piece = vec![0; PIECE];
        let (mut have, mut from_byte) = (0, 0);
        loop {
            match from.read(&mut piece[have..]) {
                Ok(0) => break,
                Ok(n) => have += n,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(_) => break,
            }
            if have == piece.len() {
                if stop() {
                    break;
                }
                let looked = have - LONGEST;
                self.look(&piece[..have], from_byte..looked);
                piece.copy_within(looked - BEFORE.., 0);
                (have, from_byte) = (have + BEFORE - looked, BEFORE);
            }
        }
        self.look(&piece[..have], from_byte..have);
    }

    /// Looks at the dates whose first separator stands in a part.
    fn look(&mut self, text: &[u8], part: std::ops::Range<usize>) {
        let count = |from: &[u8]| from.iter().take(5).take_while(|b| b.is_ascii_digit()).count();
        for separator in memchr::memchr2_iter(b'/', b'-', text).skip_while(|at| *at < part.start).take_while(|at| *at < part.end)
        {
            let digits = text[..separator].iter().rev().take(3).take_while(|b| b.is_ascii_digit()).count();
            let start = separator - digits;
            let before = start.checked_sub(1).and_then(|n| text.get(n)).copied().unwrap_or(b' ');
            if !matches!(digits, 1 | 2) || before.is_ascii_alphanumeric() || matches!(before, b'/' | b'-' | b'.') {
                continue;
            }
            // A year of two digits has an order of its own.
            let second = &text[separator + 1..];
            let third = second.get(count(second) + 1..).unwrap_or_default();
            if count(third) != 4 {
                continue;
            }
            if let Some(stamp) = clock::numeric(&text[start..text.len().min(start + LONGEST)]) {
                self.add(&stamp, &text[start..separator]);
            }
        }
    }

    fn add(&mut self, stamp: &clock::Stamp, first: &[u8]) {
        let first = std::str::from_utf8(first).ok().and_then(|t| t.parse::<u32>().ok()).unwrap_or(0);
        let day = |s: &clock::Stamp| clock::days(s.year.unwrap_or(1970), s.month, s.day);
        self.met = true;
        if stamp.either {
            let days = [day(stamp), day(&stamp.exchanged())];
            match &mut self.open {
                None => self.open = Some(days.map(|d| (d, d))),
                Some(open) => {
                    for (span, d) in open.iter_mut().zip(days) {
                        *span = (span.0.min(d), span.1.max(d));
                    }
                }
            }
        } else if stamp.month == stamp.day {
        } else if first == stamp.month {
            self.month_first += 1;
        } else if first == stamp.day {
            self.day_first += 1;
        }
    }

    /// Whether there are dates in numbers and none of them tells the order: more of the text may.
    pub fn is_open(&self) -> bool {
        self.met && self.month_first + self.day_first == 0
    }

    /// How they are read. Left open, it is the order that puts no date after the file was changed, else the one that puts them nearer together,
    /// else the month first.
    pub fn decide(&self, modified: Time) -> Dates {
        let order = |day_first: bool| if day_first { DateOrder::DayFirst } else { DateOrder::MonthFirst };
        if self.month_first + self.day_first > 0 {
            let sure = self.month_first == 0 || self.day_first == 0;
            return Dates { order: order(self.day_first > self.month_first), sure };
        }
        let Some([month, day]) = self.open else { return Dates::default() };
        let last = modified.plus(86_400 * SECOND).day();
        let day_first = match (month.1 > last, day.1 > last) {
            (true, false) => true,
            (false, true) => false,
            _ => day.1 - day.0 < month.1 - month.0,
        };
        Dates { order: order(day_first), sure: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decided(text: &str) -> (DateOrder, bool) {
        let mut seen = Tally::default();
        seen.read(&mut text.as_bytes(), &|| false);
        let dates = seen.decide(Time::parse("2026-11-20T12:00:00Z").unwrap());
        (dates.order, dates.sure)
    }

    #[test]
    fn one_number_above_twelve_decides_for_the_file() {
        use DateOrder::{DayFirst, MonthFirst};
        let many = "x 03/04/2026 08:00:00 y\n".repeat(40_000);
        assert_eq!(decided(&format!("{many}13/04/2026 08:00:00 z\n")), (DayFirst, true));
        assert_eq!(decided(&format!("{many}04/13/2026 08:00:00 z\n")), (MonthFirst, true));
        assert_eq!(decided(&many), (MonthFirst, false));
        assert_eq!(
            decided(&format!("{many}13/04/2026 08:00:00\n04/13/2026 08:00:00\n04/13/2026 08:00:00\n")),
            (MonthFirst, false)
        );
        // The first days of a year are the same in both orders: what tells them apart comes later.
        let mut head = Tally::default();
        head.read(&mut "x 01/01/2026 08:00:00 y\n".repeat(1000).as_bytes(), &|| false);
        assert!(head.is_open());
        head.read(&mut &b"x 13/01/2026 08:00:00 y\n"[..], &|| false);
        assert!(!head.is_open() && !Tally::default().is_open());
        // What has another form says nothing.
        for other in [
            "2026/13/04 08:00:00",
            "26/11/20 08:00:00",
            "20.11.2026 08:00:00",
            "/13/04/2026 08:00:00",
            "13/04/2026",
            "04/04/2026 08:00:00",
        ] {
            assert_eq!(decided(&format!("{many}{other}\n")), (MonthFirst, false), "{other}");
        }
    }

    #[test]
    fn the_guess_is_not_in_the_future_and_is_near_together() {
        use DateOrder::{DayFirst, MonthFirst};
        assert_eq!(decided("12/11/2026 08:00:00\n"), (DayFirst, false));
        assert_eq!(decided("11/12/2026 08:00:00\n"), (MonthFirst, false));
        assert_eq!(decided("03/04/2026 08:00:00\n05/04/2026 08:00:00\n"), (DayFirst, false));
        assert_eq!(decided("04/03/2026 08:00:00\n04/05/2026 08:00:00\n"), (MonthFirst, false));
        assert_eq!(decided("nothing"), (MonthFirst, false));
    }
}
