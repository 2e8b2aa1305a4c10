//! Sources: streams of one kind from one sensor, each with its own clock.

use super::clock::{ClockEstimate, ClockState};
use super::time::Window;
use serde::{Deserialize, Serialize};

/// The number of a source within one case, as stored; never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct SourceId(pub u32);

/// What identifies a source over all files that carry it: rotated files of one sensor are one source.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SourceKey {
    /// Name of the format or `pcap`, e.g. `suricata-eve`.
    pub format: String,
    /// The sensor that the content names (syslog host, EVE `host`, pcapng interface), else the file's stem without rotation number,
    /// date and compression.
    pub sensor: String,
}

/// How the year, zone or offset that a source's times are read with came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Basis {
    /// The text states it (an offset, an epoch).
    Stated,
    /// Assumed by a rule that is shown.
    Assumed,
    /// Entered by hand, journalled.
    Manual,
}

/// Which number comes first in a date like 03/04/2026.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum DateOrder {
    /// The month: 4 March.
    #[default]
    MonthFirst,
    /// The day: 3 April.
    DayFirst,
}

impl DateOrder {
    /// `month-first` or `day-first`.
    pub fn name(self) -> &'static str {
        match self {
            DateOrder::MonthFirst => "month-first",
            DateOrder::DayFirst => "day-first",
        }
    }
    /// The inverse of [`DateOrder::name`]; also `mdy` and `dmy`.
    pub fn parse(text: &str) -> Option<DateOrder> {
        match text.trim().to_ascii_lowercase().replace([' ', '_'], "-").as_str() {
            "month-first" | "month" | "mdy" | "m/d/y" | "mm/dd/yyyy" => Some(DateOrder::MonthFirst),
            "day-first" | "day" | "dmy" | "d/m/y" | "dd/mm/yyyy" => Some(DateOrder::DayFirst),
            _ => None,
        }
    }
}

/// What order of preference sightings of one connection have: the lower, the more its counters are trusted.
pub fn sighting_rank(format: &str) -> u8 {
    match format {
        "pcap" => 0,
        "zeek-conn" | "zeek" => 1,
        "suricata-eve" => 2,
        _ => 3,
    }
}

/// The clock of a source as it is applied: `corrected = raw + shift`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clock {
    /// Nanoseconds added to the stored time when a question is asked. Stored times never change.
    pub shift: i64,
    /// IANA zone or offset that times without zone were read in at import.
    pub zone: Option<String>,
    /// How the zone came about.
    pub zone_basis: Basis,
    /// The year that was assumed for lines without one.
    pub year: Option<i32>,
    /// The order that dates like 03/04/2026 are read in, where the file left it open.
    pub dates: Option<(DateOrder, Basis)>,
    /// Whether anything (offset, zone, year, order of dates) was set by hand: then a join may call its clock checked.
    pub manual: bool,
}

impl Default for Clock {
    fn default() -> Clock {
        Clock { shift: 0, zone: None, zone_basis: Basis::Stated, year: None, dates: None, manual: false }
    }
}

/// Counts of one evidence file or source: `units = ok + partial + skipped + failed`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Lines, objects or packets understood in full.
    pub ok: u64,
    /// Understood in part (the rest is kept in `extra` or as an oddity).
    pub partial: u64,
    /// Not records by design: comments, headers, blank lines.
    pub skipped: u64,
    /// Not understood; kept searchable as `log` records where they have a time.
    pub failed: u64,
    /// Records stored (one unit may give several or none).
    pub records: u64,
    /// Oddities stored.
    pub oddities: u64,
}

impl Counts {
    /// Units read: ok + partial + skipped + failed.
    pub fn units(&self) -> u64 {
        self.ok + self.partial + self.skipped + self.failed
    }
    /// Adds other counts to these.
    pub fn add(&mut self, other: &Counts) {
        self.ok += other.ok;
        self.partial += other.partial;
        self.skipped += other.skipped;
        self.failed += other.failed;
        self.records += other.records;
        self.oddities += other.oddities;
    }
}

/// A source as a question sees it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SourceInfo {
    /// Its number.
    pub id: SourceId,
    /// Its identity.
    pub key: SourceKey,
    /// Its name on screen: unique within the case, e.g. `eve`, `pcap:dmz`.
    pub name: String,
    /// Span of its records (raw times), if it has any.
    pub span: Option<Window>,
    /// What was read.
    pub counts: Counts,
    /// Records per kind, in order of [`Kind`](super::record::Kind).
    pub kinds: Vec<(super::record::Kind, u64)>,
    /// Its clock.
    pub clock: Clock,
    /// What was measured of its clock, applied or not.
    pub estimate: Option<ClockEstimate>,
    /// Site that it belongs to, if set.
    pub site: Option<String>,
    /// Warnings of import, in words.
    pub warnings: Vec<String>,
}

impl SourceInfo {
    /// Whether its times can be relied on besides others': they state their zone, somebody set them, or they were compared and fit once
    /// corrected.
    pub fn is_checked(&self) -> bool {
        let measured = self.estimate.as_ref().is_some_and(|e| e.state >= ClockState::Confident);
        measured || self.clock.manual || self.clock.zone_basis == Basis::Stated
    }
    /// Whether its times are moved by what was measured.
    pub fn is_measured(&self) -> bool {
        !self.clock.manual && self.clock.shift != 0
    }
}
