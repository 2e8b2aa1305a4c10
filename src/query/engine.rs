//! What the workbench, the command line and detectors ask. Plain data in and out; implemented by the local store, later by a client of
//! the service. One suite of tests runs against every implementation.

use super::passive::Fold;
use super::question::Question;
use super::sorted::{Best, Order, Sorted};
use crate::context::by_hand::Sayings;
use crate::error::{Error, Result};
use crate::model::carry;
use crate::model::field::{self, FieldId};
use crate::model::origin::{EvidenceKey, Origin, RecordId};
use crate::model::packet::{LinkType, PacketRef};
use crate::model::record::Record;
use crate::model::site::{Home, Sites};
use crate::model::source::{SourceId, SourceInfo};
use crate::model::time::SECOND;
use crate::model::{Entity, Kind, Time, Value, Window};
use crate::store::{PassiveEntry, names};
use serde::{Deserialize, Serialize};

pub use crate::model::evidence::EvidenceInfo;

pub use crate::model::indicator::{How, Indicator, Over, Sighting, Sightings};

pub use crate::model::answer::{ByHand, Cancel, ClockUsed, Coverage, Fact, Link, Linked, Match, NameUsed, Via, Why};

pub use crate::links::nat::{AskedEnd, Binding, Bound, End};

/// A place in the order of rows: corrected start, then id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Cursor {
    /// Corrected start.
    pub time: Time,
    /// Id.
    pub id: RecordId,
}

/// Which rows of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// Oldest first, else newest first.
    pub ascending: bool,
    /// At most so many rows.
    pub limit: usize,
    /// Only rows strictly after this place (in the page's order).
    pub after: Option<Cursor>,
}

impl Default for Page {
    fn default() -> Page {
        Page { ascending: true, limit: usize::MAX, after: None }
    }
}

/// How a selection ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answered {
    /// Rows given.
    pub rows: u64,
    /// There are more rows than the limit.
    pub more: bool,
    /// Nanoseconds that it took.
    pub elapsed: u64,
}

/// A number of records, and whether it is exact or a lower bound (a count that stops at a limit).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// The number.
    pub n: u64,
    /// There are at least `n`.
    pub at_least: bool,
}

/// The answer of a question with stages: a table. Rows hold one value per column; `None`: the field is not there.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// Column names: fields' names, `count`, `sum`, `mean`, `p95`, `start` (of a timeline's bin).
    pub columns: Vec<String>,
    /// The field behind each column, if any.
    pub fields: Vec<Option<FieldId>>,
    /// Rows.
    pub rows: Vec<Vec<Option<Value>>>,
    /// Values that went in.
    pub records: u64,
    /// Source whose sighting was counted, where flows of several sources were merged.
    pub counted: Vec<SourceId>,
    /// What the table leaves out, in words (too many groups or rows).
    pub notices: Vec<String>,
}

/// Records or weights over time. `bins[i]` covers `start + i * bin ..`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Timeline {
    /// Start of the first bin.
    pub start: Time,
    /// Width of a bin, nanoseconds.
    pub bin: i64,
    /// Sums per bin.
    pub bins: Vec<f64>,
    /// Alerts per bin (asked along, for the marks).
    pub alerts: Vec<u32>,
}

impl Timeline {
    /// Empty bins over a window, at most so many of a round width.
    pub fn over(window: &Window, bins: usize) -> Timeline {
        if window.start >= window.end || bins == 0 {
            return Timeline::default();
        }
        let bin = round_bin(window.length(), bins);
        let start = Time(window.start.0.div_euclid(bin).saturating_mul(bin));
        let n =
            usize::try_from(window.end.plus(-1).since(start) / bin).unwrap_or(0).saturating_add(1).min(bins.saturating_add(1));
        Timeline { start, bin, bins: vec![0.0; n], alerts: vec![0; n] }
    }
    /// The bin of an instant: what lies before the first or after the last counts with that.
    pub fn place(&self, at: Time) -> usize {
        let last = self.bins.len().saturating_sub(1);
        usize::try_from(at.max(self.start).since(self.start) / self.bin.max(1)).unwrap_or(usize::MAX).min(last)
    }
    /// Adds to the bin of an instant.
    pub fn add(&mut self, at: Time, weight: f64) {
        let place = self.place(at);
        if let Some(bin) = self.bins.get_mut(place) {
            *bin += weight;
        }
    }
}

/// The smallest round width that makes at most `bins` bins of a length.
fn round_bin(length: i64, bins: usize) -> i64 {
    let least = length / i64::try_from(bins).unwrap_or(i64::MAX).max(1);
    let millis = [1, 2, 5, 10, 20, 50, 100, 200, 500].map(|n| n * 1_000_000);
    let seconds = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200].map(|n| n * SECOND);
    let days = [1, 2, 7, 14, 28, 91, 182, 365, 1825, 3650, 36_500].map(|n| n * 86_400 * SECOND);
    millis.into_iter().chain(seconds).chain(days).find(|w| *w > least).unwrap_or(least.saturating_add(1))
}

/// The bytes that a record was read from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Raw {
    /// The bytes.
    #[serde(with = "carry::bytes")]
    Bytes(Vec<u8>),
    /// They cannot be had, and why: where they were, what to do.
    Gone(String),
}

/// A packet with its bytes, read again from the evidence.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PacketBytes {
    /// Where it stands.
    pub at: PacketRef,
    /// Link type of its interface.
    pub link: LinkType,
    /// Length on the wire.
    pub wire_len: u32,
    /// Captured bytes.
    #[serde(with = "carry::bytes")]
    pub data: Vec<u8>,
}

/// Passive DNS of a question.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passive {
    /// Rows by name, type, answer.
    pub rows: Vec<PassiveEntry>,
    /// Sightings of rows beyond the bound.
    pub beyond: u64,
}

/// Which question about the case: everything that the screens and commands need.
pub trait Engine: Send + Sync {
    /// Parses and checks a text against this case (its sources, its newest record for `ago`).
    fn compile(&self, text: &str) -> Result<Question>;
    /// The rows of a question without stages, in order; `each` returns false to stop. Streamed: first rows come before the last is found.
    fn select(&self, question: &Question, page: &Page, cancel: &Cancel, each: &mut dyn FnMut(Record) -> bool)
    -> Result<Answered>;
    /// The rows of a question without stages, in no order, with at least these fields (and what is in the head of every record): for what
    /// looks at many rows and shows none.
    fn visit(
        &self,
        question: &Question,
        fields: &[FieldId],
        cancel: &Cancel,
        each: &mut dyn FnMut(Record) -> bool,
    ) -> Result<()> {
        let _ = fields;
        self.select(question, &Page::default(), cancel, each).map(|_| ())
    }
    /// How many records each question selects, in one call; counting may stop at `limit` (then `at_least`).
    fn counts(&self, questions: &[Question], limit: u64, cancel: &Cancel) -> Result<Vec<Count>>;
    /// The first `limit` rows of a question without stages in another order than that of time. All of its rows are compared.
    fn sorted(&self, question: &Question, order: &Order, limit: usize, cancel: &Cancel) -> Result<Sorted> {
        let mut best = Best::new(order.descending, limit);
        self.select(question, &Page::default(), cancel, &mut |record| {
            let value = order.value(&record, &|id| match id {
                field::SOURCE => Some(Value::text(self.source_name(record.source))),
                field::EVIDENCE => Some(Value::from(self.evidence_path(record.id.evidence))),
                _ => None,
            });
            best.add(value, Cursor { time: record.time(), id: record.id }, record);
            true
        })?;
        cancel.check()?;
        let (rows, of) = best.finish();
        Ok(Sorted { rows, of })
    }
    /// The table that a question with stages makes (without stages: its number).
    fn table(&self, question: &Question, cancel: &Cancel) -> Result<Table>;
    /// Records (or a summed field) over time, at most `bins` bins of a round width, with alerts.
    fn timeline(&self, question: &Question, bins: usize, weight: Option<FieldId>, cancel: &Cancel) -> Result<Timeline>;
    /// Values of a field that the case has, by prefix (text compared without case), most frequent first.
    fn values(&self, field: FieldId, prefix: &str, limit: usize, cancel: &Cancel) -> Result<Vec<(Value, u64)>>;
    /// What the DNS events of a question without stages say of names, in corrected time.
    fn passive(&self, question: &Question, cancel: &Cancel) -> Result<Passive> {
        let mut fold = Fold::default();
        self.visit(question, &names::FIELDS, cancel, &mut |record| {
            if record.kind == Kind::Dns {
                fold.event(&record);
            }
            true
        })?;
        Ok(fold.finish())
    }
    /// One record.
    fn record(&self, id: RecordId) -> Result<Option<Record>>;
    /// The packets of a flow, in capture order.
    fn packets(&self, flow: RecordId) -> Result<Vec<PacketRef>> {
        Ok(self.packets_of(&[flow], &Cancel::default())?.pop().unwrap_or_default())
    }
    /// The packets of many flows, each named once, of each in capture order.
    fn packets_of(&self, flows: &[RecordId], cancel: &Cancel) -> Result<Vec<Vec<PacketRef>>>;
    /// Packets with their bytes, read from the evidence where it lies.
    fn packet_bytes(&self, evidence: EvidenceKey, refs: &[PacketRef], cancel: &Cancel) -> Result<Vec<PacketBytes>>;
    /// The bytes that a record was read from.
    fn raw(&self, origin: Origin) -> Result<Raw>;
    /// Every source, with its clock as applied.
    fn sources(&self) -> Vec<SourceInfo>;
    /// Compares the clock of a source, or of all, with the others' once more; gives those sources as they are now.
    fn measure_clocks(&self, source: Option<SourceId>, cancel: &Cancel) -> Result<Vec<SourceInfo>> {
        let _ = (source, cancel);
        Err(Error::user("the clocks of this case cannot be compared"))
    }
    /// Every evidence file.
    fn evidence(&self) -> Vec<EvidenceInfo>;
    /// Name of a source.
    fn source_name(&self, id: SourceId) -> String;
    /// Path of an evidence file.
    fn evidence_path(&self, key: EvidenceKey) -> String;
    /// Span of all records in corrected time; none: the case is empty.
    fn span(&self) -> Option<Window>;
    /// Which sources could have seen something in a window.
    fn coverage(&self, window: &Window) -> Vec<Coverage>;
    /// The other records of a record's connection, or of an alert or log line its flow; on the other side of a translation too, with its binding.
    fn links(&self, record: &Record, cancel: &Cancel) -> Result<Vec<Link>> {
        self.linked(record, cancel).map(|linked| linked.links)
    }
    /// The same, with those that a person rejected beside them.
    fn linked(&self, record: &Record, cancel: &Cancel) -> Result<Linked>;
    /// Why a record and another one are linked; none: they are not.
    fn why(&self, record: &Record, other: RecordId, cancel: &Cancel) -> Result<Option<Why>> {
        let _ = (record, other, cancel);
        Ok(None)
    }
    /// The translations that an end is on a side of, and who is behind it.
    fn bindings(&self, wanted: &AskedEnd, cancel: &Cancel) -> Result<Bound> {
        let _ = (wanted, cancel);
        Ok(Bound::default())
    }
    /// The name that the client used for a flow.
    fn name_used(&self, flow: &Record) -> Result<Option<NameUsed>>;
    /// What is known about an entity at a time besides its traffic.
    fn facts(&self, entity: &Entity, at: Option<Time>, cancel: &Cancel) -> Result<Vec<Fact>>;
    /// What feeds say of an entity at a time: of its facts those of its reputation. For what asks about many, and needs nothing of their traffic.
    fn listed(&self, entity: &Entity, at: Option<Time>, cancel: &Cancel) -> Result<Vec<Fact>> {
        let mut facts = self.facts(entity, at, cancel)?;
        facts.retain(|f| f.label == Fact::REPUTATION);
        Ok(facts)
    }
    /// Which records have which of these indicators, and what each source could have shown.
    fn sweep(&self, indicators: &[Indicator], over: &Over<'_>, cancel: &Cancel) -> Result<Sightings>;
    /// Sites of one's own: what people confirmed, and what the evidence suggests.
    fn sites(&self, cancel: &Cancel) -> Result<Sites>;
    /// The addresses that count as home now: `@home`, and what `direction` goes by.
    fn home(&self, cancel: &Cancel) -> Result<Home>;
    /// What people said of hosts and services by hand.
    fn by_hand(&self, cancel: &Cancel) -> Result<Sayings>;
    /// Number of the newest import: grows with each.
    fn sequence(&self) -> u64;
    /// How often what is not committed (the open flows and newest records of a running capture) was shown anew: grows with each.
    fn head_sequence(&self) -> u64 {
        0
    }
    /// How many records a question selects that came with imports after `sequence`.
    fn changes_since(&self, question: &Question, sequence: u64, cancel: &Cancel) -> Result<u64>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_are_round_and_never_more_than_asked_for() {
        for (length, bins) in [(1, 10), (3600 * SECOND, 60), (10 * 86_400 * SECOND, 120), (i64::MAX, 7)] {
            let bin = round_bin(length, bins);
            assert!(length / bin <= bins as i64, "{length} {bins} {bin}");
        }
    }
}
