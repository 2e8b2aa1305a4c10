//! What was found out about a source's clock by comparing it with another's: offset, skew, steps, and how sure that is.
//!
//! Offset and skew are RFC 2330's: what the source's clock is ahead of the reference, and how fast that changes. Stored times never change.

use super::source::SourceId;
use super::time::{DAY, SECOND, Time};
use serde::{Deserialize, Serialize};

/// How sure a clock is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClockState {
    /// Nothing, or not enough, is shared with any clock that is known.
    Unknown,
    /// More than one offset fits: periodic traffic, or two clocks in one file.
    Ambiguous,
    /// A few keys agree, or they scatter by more than a second.
    Tentative,
    /// Many keys agree.
    Confident,
    /// Set by hand.
    Manual,
    /// What the others are compared with.
    Reference,
}

impl ClockState {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            ClockState::Unknown => "unknown",
            ClockState::Ambiguous => "ambiguous",
            ClockState::Tentative => "tentative",
            ClockState::Confident => "confident",
            ClockState::Manual => "manual",
            ClockState::Reference => "reference",
        }
    }
}

/// What two sources must both state so that their times are compared, the strongest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyKind {
    /// Protocol and both ends with ports.
    Connection,
    /// Address and port of the client alone.
    ClientPort,
    /// Client, server and the server's port.
    Service,
    /// Client and name.
    Name,
    /// Server and its port, whoever the client is: a proxy or a NAT changes that.
    Server,
    /// Client and a size that few have.
    Size,
    /// The client alone: when it was active.
    Client,
}

impl KeyKind {
    /// Every kind, the strongest first.
    pub const ALL: [KeyKind; 7] = [
        KeyKind::Connection,
        KeyKind::ClientPort,
        KeyKind::Service,
        KeyKind::Name,
        KeyKind::Server,
        KeyKind::Size,
        KeyKind::Client,
    ];
    /// What it is, in words.
    pub fn name(self) -> &'static str {
        match self {
            KeyKind::Connection => "connection",
            KeyKind::ClientPort => "client and port",
            KeyKind::Service => "client and service",
            KeyKind::Name => "client and name",
            KeyKind::Server => "server and port",
            KeyKind::Size => "client and size",
            KeyKind::Client => "client",
        }
    }
}

/// Which instant of a connection a source's time is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Meaning {
    /// Its beginning.
    Start,
    /// Its end.
    End,
    /// Both fit alike: what was compared is short.
    Undetermined,
}

impl Meaning {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Meaning::Start => "start",
            Meaning::End => "end",
            Meaning::Undetermined => "start or end",
        }
    }
}

/// A stretch of a source's time in which its clock runs evenly.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClockPiece {
    /// First instant of the stretch by the source's clock; the first piece holds from the beginning of time.
    pub from: Time,
    /// The instant at which `offset` holds.
    pub middle: Time,
    /// Source minus reference there, nanoseconds, as the times stand (those of whole seconds are half a second early).
    pub offset: i64,
    /// Nanoseconds that it gains in a second (1000: one part per million).
    pub skew: i64,
    /// Distinct keys that agree.
    pub keys: u32,
}

impl ClockPiece {
    /// Source minus reference at an instant of the source, nanoseconds.
    pub fn ahead(&self, raw: Time) -> i64 {
        let drift = i128::from(raw.since(self.middle)) * i128::from(self.skew) / i128::from(SECOND);
        self.offset.saturating_add(i64::try_from(drift).unwrap_or(0))
    }
}

/// What is known of a source's clock.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClockEstimate {
    /// How sure that is.
    pub state: ClockState,
    /// The source that it was compared with.
    pub against: Option<SourceId>,
    /// Sources on the way to the reference, the nearest first, where it is not compared with that itself.
    pub through: Vec<SourceId>,
    /// Its pieces, in order of time; none if nothing is known.
    pub pieces: Vec<ClockPiece>,
    /// What the keys were.
    pub key: KeyKind,
    /// Which instant its times are.
    pub meaning: Meaning,
    /// What its times are multiples of, nanoseconds.
    pub resolution: i64,
    /// How far a single event may be off once corrected, nanoseconds: twice the spread, or the resolution.
    pub uncertainty: i64,
    /// Half the width of the 95 % interval of the offset, nanoseconds.
    pub interval: i64,
    /// Distinct keys that agree, of all pieces.
    pub keys: u32,
    /// Natural logarithm of the probability that chance does this.
    pub log_p: f64,
    /// The best other offset for the same records, and how many keys agree with that.
    pub rival: Option<(i64, u32)>,
    /// What is left of it, for a picture: (instant by the source, nanoseconds off the line), at most 400.
    pub residuals: Vec<(Time, i64)>,
    /// What else is to be said: steps, tampering, wrong date.
    pub remarks: Vec<String>,
}

/// What sensors in different places are apart though their clocks agree: the way of a packet.
const ON_THE_WAY: i64 = SECOND / 100;

impl ClockEstimate {
    /// Of a source of which nothing is known.
    pub fn unknown() -> ClockEstimate {
        ClockEstimate {
            state: ClockState::Unknown,
            against: None,
            through: Vec::new(),
            pieces: Vec::new(),
            key: KeyKind::Connection,
            meaning: Meaning::Undetermined,
            resolution: 1,
            uncertainty: 0,
            interval: 0,
            keys: 0,
            log_p: 0.0,
            rival: None,
            residuals: Vec::new(),
            remarks: Vec::new(),
        }
    }
    /// Of the source that the others are compared with.
    pub fn reference() -> ClockEstimate {
        ClockEstimate { state: ClockState::Reference, ..ClockEstimate::unknown() }
    }
    /// Source minus reference at an instant of the source, nanoseconds, as the times stand.
    pub fn ahead(&self, raw: Time) -> i64 {
        let after = self.pieces.partition_point(|p| p.from <= raw);
        self.pieces.get(after.saturating_sub(1)).map_or(0, |p| p.ahead(raw))
    }
    /// How far the clock itself is ahead: times of whole seconds are cut off, half a second on average.
    pub fn offset(&self, piece: &ClockPiece) -> i64 {
        piece.offset.saturating_add(self.cut())
    }
    /// What is known, in a line: offset, how sure, why, what is done about it. `name` gives a source's name.
    pub fn in_words(&self, name: &dyn Fn(SourceId) -> String) -> String {
        let Some(first) = self.pieces.first() else {
            return match self.state {
                ClockState::Reference => "the reference of the others".to_owned(),
                _ => "unknown: shares too little with a clock that is known".to_owned(),
            };
        };
        let offsets: Vec<String> = self.pieces.iter().map(|p| offset_in_words(self.offset(p))).collect();
        let mut out = offsets.join(", then ");
        if self.state == ClockState::Confident && offsets.len() == 1 && !self.applies() {
            out = "agrees".to_owned();
        }
        if self.applies() {
            out += ", corrected,";
        }
        out += &format!(" ±{}", super::time::show_span(roughly(self.interval.max(1_000))));
        if first.skew.abs() >= 1_000 {
            out += &format!(", {:+} ppm", first.skew / 1_000);
        }
        let against = self.against.map_or_else(|| "the reference".to_owned(), name);
        out += &format!(", {}: {} keys ({}) shared with {against}", self.state.name(), self.keys, self.key.name());
        if self.meaning != Meaning::Undetermined {
            out += &format!(", logged at the {}", self.meaning.name());
        }
        if let (ClockState::Ambiguous, Some((rival, keys))) = (self.state, self.rival) {
            out += &format!(", {} fits {keys} as well", offset_in_words(rival));
        }
        out
    }
    fn cut(&self) -> i64 {
        if self.resolution >= SECOND { self.resolution / 2 } else { 0 }
    }
    /// Whether times are moved by it: it is sure, and off by more than a single event is uncertain.
    pub fn applies(&self) -> bool {
        let least = self.uncertainty.max(self.resolution).max(self.interval.saturating_mul(3)).max(ON_THE_WAY);
        self.state == ClockState::Confident && self.pieces.iter().any(|p| self.offset(p).saturating_abs() > least)
    }
}

/// An offset in words: `-7h37.4s`; of one that a zone explains also which: `UTC-7h −37.4s`.
pub fn offset_in_words(offset: i64) -> String {
    // What was kept in a file may be anything.
    let offset = offset.clamp(-(1 << 62), 1 << 62);
    let shown = |n: i64| {
        let sign = if n < 0 { "-" } else { "+" };
        format!("{sign}{}", super::time::show_span(rounded(n).abs()))
    };
    let quarter = 900 * SECOND;
    let zone = (offset + offset.signum() * quarter / 2) / quarter * quarter;
    let rest = offset - zone;
    if zone == 0 || rest.abs() >= 300 * SECOND || offset.abs() > 26 * 3600 * SECOND {
        return if offset.abs() > 26 * 3600 * SECOND { format!("{} (wrong date)", shown(offset)) } else { shown(offset) };
    }
    match rounded(rest) {
        0 => format!("{} (a zone)", shown(zone)),
        _ => format!("{} (a zone of {} and {})", shown(offset), shown(zone), shown(rest)),
    }
}

/// To two digits.
fn roughly(n: i64) -> i64 {
    let n = n.clamp(-(1 << 62), 1 << 62);
    let step = 10_i64.pow(n.unsigned_abs().max(1).ilog10().saturating_sub(1));
    (n + step / 2) / step * step
}

/// To what is worth saying: milliseconds, of days seconds.
fn rounded(n: i64) -> i64 {
    let step = if n.abs() >= DAY {
        SECOND
    } else if n.abs() >= SECOND {
        10_000_000
    } else if n.abs() >= SECOND / 100 {
        1_000_000
    } else {
        1_000
    };
    (n + n.signum() * step / 2) / step * step
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_said_with_the_zone_that_they_nearly_are() {
        let said = |seconds: f64| offset_in_words((seconds * 1e9) as i64);
        assert_eq!(said(-25_237.004), "-7h37s (a zone of -7h and -37s)");
        assert_eq!(said(3_600.0), "+1h (a zone)");
        assert_eq!(said(37.4), "+37s400ms");
        assert_eq!(said(-0.0031), "-3ms100us");
        assert_eq!(said(-268.0 * 86_400.0), "-268d (wrong date)");
        assert_eq!(said(20_700.0), "+5h45m (a zone)");
    }

    #[test]
    fn only_what_is_sure_and_larger_than_its_uncertainty_moves_times() {
        let piece = ClockPiece { from: Time::MIN, middle: Time(0), offset: 3_599_500_000_000, skew: 2_000, keys: 40 };
        let sure = ClockEstimate {
            state: ClockState::Confident,
            pieces: vec![piece],
            resolution: SECOND,
            uncertainty: SECOND,
            interval: SECOND / 20,
            keys: 40,
            ..ClockEstimate::unknown()
        };
        assert!(sure.applies());
        let name = |id: SourceId| format!("s{}", id.0);
        assert_eq!(
            sure.in_words(&name),
            "+1h (a zone), corrected, ±50ms, +2 ppm, confident: 40 keys (connection) shared with the reference"
        );
        // Times cut to whole seconds are half a second early on average: that is no offset.
        let mut even = sure.clone();
        even.pieces[0].offset = -500_000_000;
        assert!(!even.applies());
        assert!(even.in_words(&name).starts_with("agrees ±50ms"), "{}", even.in_words(&name));
        assert!(!ClockEstimate { state: ClockState::Tentative, ..sure }.applies());
        assert_eq!(ClockEstimate::reference().in_words(&name), "the reference of the others");
    }
}
