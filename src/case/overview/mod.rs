//! The overview: curves of the case over a window with what is usual, and who and what is new in it. The screen and `backtrail overview` show the same.
//!
//! Curves of whole hours come from sums that are kept, so that a month is soon there; what is usual is worked out from the hours of the whole case, in
//! the zone of the site if somebody has said it.

mod band;
mod kept;
mod lists;

pub use band::{History, history};
pub use kept::{FILE, Kept, kept};
pub use lists::{List, What, list};

use crate::case::home::outside;

use crate::detectors::contributions::FAILED;
use crate::detectors::curves::DENIES;
use crate::error::Result;
use crate::formats::Zone;
use crate::model::field::{self, FieldId};
use crate::model::time::SECOND;
use crate::model::{Cancel, Kind, Time, Window};
use crate::query::engine::Timeline;
use crate::query::{Engine, Question};

/// Nanoseconds of an hour.
const HOUR: i64 = 3600 * SECOND;
/// Records that may be read for a curve, or for what is usual, where no sums are kept.
const READ: u64 = 2_000_000;
/// Scales either side of what is usual that are still usual.
pub const BAND: f32 = 3.0;
/// Scales from which on a bin deviates.
pub const DEVIATES: f32 = 4.5;

/// A curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// IP bytes of flows.
    Bytes,
    /// Their packets.
    Packets,
    /// Flows.
    Flows,
    /// Flows of which nothing came.
    Failed,
    /// DNS transactions.
    Dns,
    /// Alerts and notices.
    Alerts,
    /// What firewalls denied.
    Denies,
}

impl Which {
    /// Every curve, in the order in which they stand below each other.
    pub const ALL: [Which; 7] =
        [Which::Bytes, Which::Packets, Which::Flows, Which::Failed, Which::Dns, Which::Alerts, Which::Denies];
    /// Its word.
    pub fn name(self) -> &'static str {
        match self {
            Which::Bytes => "bytes",
            Which::Packets => "packets",
            Which::Flows => "flows",
            Which::Failed => "failed flows",
            Which::Dns => "dns",
            Which::Alerts => "alerts",
            Which::Denies => "denies",
        }
    }
    /// Conditions that select its records.
    pub fn conditions(self) -> &'static str {
        match self {
            Which::Bytes | Which::Packets | Which::Flows => "kind = flow",
            Which::Failed => FAILED,
            Which::Dns => "kind = dns",
            Which::Alerts => "kind in {alert, notice}",
            Which::Denies => DENIES,
        }
    }
    fn weight(self) -> Option<FieldId> {
        match self {
            Which::Bytes => Some(field::BYTES),
            Which::Packets => Some(field::PACKETS),
            _ => None,
        }
    }
    fn kinds(self) -> &'static [Kind] {
        match self {
            Which::Bytes | Which::Packets | Which::Flows | Which::Failed => &[Kind::Flow],
            Which::Dns => &[Kind::Dns],
            Which::Alerts => &[Kind::Alert, Kind::Notice],
            Which::Denies => &[Kind::Fw],
        }
    }
    /// Whether the store has the sums of its hours, so that no record need be read.
    pub fn is_summed(self) -> bool {
        !matches!(self, Which::Failed | Which::Denies)
    }
}

/// What is asked.
pub struct Asking<'a> {
    /// The case.
    pub engine: &'a dyn Engine,
    /// From when to when.
    pub window: Window,
    /// Conditions on the records; empty: all.
    pub scope: &'a str,
    /// What is kept of the case besides its sums ([`kept`](fn@kept)); none: the records are read.
    pub kept: Option<&'a Kept>,
    /// Gives it up.
    pub cancel: &'a Cancel,
}

impl Asking<'_> {
    /// What is kept, if it answers: it is of all records.
    fn kept(&self) -> Option<&Kept> {
        self.kept.filter(|_| self.scope.trim().is_empty())
    }
    /// Conditions together with those of what was asked.
    pub(in crate::case) fn text(&self, conditions: &str) -> String {
        if self.scope.trim().is_empty() { conditions.to_owned() } else { format!("{conditions} and ({})", self.scope) }
    }
    fn question(&self, conditions: &str, stages: &str, window: &Window) -> Result<Question> {
        self.cancel.check()?;
        let pipe = if stages.is_empty() { "" } else { " | " };
        Ok(self.engine.compile(&format!("{}{pipe}{stages}", self.text(conditions)))?.within(window))
    }
    fn has(&self, kinds: &[Kind]) -> bool {
        self.engine.sources().iter().any(|s| s.kinds.iter().any(|(k, n)| *n > 0 && kinds.contains(k)))
    }
    /// Records of kinds that the case has.
    fn records(&self, kinds: &[Kind]) -> u64 {
        self.engine.sources().iter().flat_map(|s| &s.kinds).filter(|(k, _)| kinds.contains(k)).map(|(_, n)| *n).sum()
    }
}

/// The zone of the site, if somebody has said it.
pub fn zone(engine: &dyn Engine, cancel: &Cancel) -> Result<Option<Zone>> {
    let sites = engine.sites(cancel)?;
    Ok(sites.confirmed.iter().filter_map(|s| s.zone.as_deref()).find_map(Zone::parse))
}

/// A bin of a curve.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bin {
    /// What there was.
    pub value: f64,
    /// What is usual, and from where to where that reaches.
    pub usual: Option<(f64, f64, f64)>,
    /// It lies so far outside that it deviates: 1 above, -1 below.
    pub deviates: i8,
}

/// A curve over the window.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// Which.
    pub which: Which,
    /// Start of the first bin.
    pub start: Time,
    /// Width of a bin, nanoseconds.
    pub bin: i64,
    /// Its bins.
    pub bins: Vec<Bin>,
    /// What to know of it: why nothing is called usual, how long the history is.
    pub note: String,
    /// Why there is nothing at all; empty: there is something.
    pub why: String,
}

impl Curve {
    /// Sum of its bins.
    pub fn total(&self) -> f64 {
        self.bins.iter().map(|b| b.value).sum()
    }
    /// What is usual for all bins, if it is known for nearly all: the first and last hour may not have been watched.
    pub fn usual(&self) -> Option<f64> {
        let known: Vec<f64> = self.bins.iter().filter_map(|b| b.usual.map(|u| u.0)).collect();
        (!known.is_empty() && known.len() * 20 >= self.bins.len() * 19).then(|| known.iter().sum())
    }
    /// The window of a bin.
    pub fn window(&self, bin: usize) -> Window {
        let start = self.start.plus(self.bin.saturating_mul(bin as i64));
        Window::new(start, start.plus(self.bin))
    }
    /// Stretches of bins that deviate the same way: first, last, way.
    pub fn deviations(&self) -> Vec<(usize, usize, i8)> {
        let mut out: Vec<(usize, usize, i8)> = Vec::new();
        for (n, bin) in self.bins.iter().enumerate().filter(|(_, b)| b.deviates != 0) {
            match out.last_mut() {
                Some(run) if run.1 + 1 == n && run.2 == bin.deviates => run.1 = n,
                _ => out.push((n, n, bin.deviates)),
            }
        }
        out
    }
}

/// How many bins a window has at most: of long windows whole hours, which need no reading.
fn bins(window: &Window, most: usize) -> usize {
    let hours = usize::try_from(window.length() / HOUR).unwrap_or(usize::MAX).max(1);
    // A bin is wider than the window over the number: from two days on it is an hour at least, from three hours on five minutes.
    match hours {
        0..3 => most,
        3..48 => most.min(hours * 12 + 1),
        _ => most.min(hours + 1),
    }
    .max(1)
}

/// Makes a curve of at most so many bins.
pub fn curve(which: Which, asking: &Asking<'_>, history: &History, most: usize) -> Result<Curve> {
    let why = if asking.has(which.kinds()) { "none in this window" } else { "no source here gives them" };
    let Some(span) = asking.engine.span() else {
        return Ok(Curve {
            which,
            start: Time(0),
            bin: 0,
            bins: Vec::new(),
            note: String::new(),
            why: "the case is empty".into(),
        });
    };
    let window = asking.window.intersect(&span);
    // As many as the case has on average over so long.
    let part = window.length() as f64 / span.length().max(1) as f64;
    let read = (asking.records(which.kinds()) as f64 * part) as u64;
    let known = asking.kept().map(|k| k.timeline(which, asking, &window, bins(&window, most))).transpose()?.flatten();
    if read > READ && !which.is_summed() && known.is_none() {
        let why = format!("not counted over so long: {read} records would have to be read, narrow the window");
        return Ok(Curve { which, start: window.start, bin: 0, bins: Vec::new(), note: String::new(), why });
    }
    let line = match known {
        Some(line) => line,
        None => {
            let question = asking.question(which.conditions(), "", &window)?;
            asking.engine.timeline(&question, bins(&window, most), which.weight(), asking.cancel)?
        }
    };
    let Timeline { start, bin, bins: values, .. } = line;
    let empty = values.iter().all(|v| *v <= 0.0);
    let mut out = Curve {
        which,
        start,
        bin,
        bins: values.into_iter().map(|value| Bin { value, usual: None, deviates: 0 }).collect(),
        note: String::new(),
        why: if empty { why.into() } else { String::new() },
    };
    if !empty || asking.has(which.kinds()) {
        band::lay(which, asking, history, &window, &mut out)?;
    }
    Ok(out)
}

#[cfg(test)]
mod tests;
