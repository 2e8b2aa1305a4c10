//! What answers carry besides records: links, names used, facts, coverage, and the flag that gives a question up. Stands here because
//! `links`, `context` and `store` give them and `query` hands them on.

use super::field::{self, FieldId};
use super::origin::RecordId;
use super::record::{Kind, Record};
use super::source::SourceId;
use super::time::{Time, Window, show_about};
use super::value::Value;
use crate::error::Result;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A flag by which a question is given up: cheap to clone, checked at least every 10 ms of work.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Gives up.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
    /// Whether it was given up.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
    /// `Err(cancelled)` if it was given up.
    pub fn check(&self) -> Result<()> {
        if self.is_cancelled() { Err(crate::error::Error::cancelled()) } else { Ok(()) }
    }
}

/// How well two records are known to belong together.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Match {
    /// Community ID or 5-tuple, inside the flow's span.
    Exact,
    /// So many candidates fit alike.
    Ambiguous(u32),
    /// The tuple fits, and the time within what measured clocks leave open: so many nanoseconds.
    Within(i64),
    /// The tuple fits; the source's clock was never checked.
    ClockUnchecked,
    /// On the other side of a translation that a log states.
    Translated,
    /// On the other side of one that was inferred or claimed, with the confidence, 0 to 1.
    Inferred(f32),
    /// A person said so.
    ByHand,
    /// The tuple fits, and the time where a clock that is only tentative would put it, with the confidence, 0 to 1.
    Tentative(f32),
}

impl Match {
    /// Of a row that was found as what the host asked for was on the other side of a translation; none: it names the host itself.
    pub fn via(record: &Record) -> Option<Match> {
        let sure = record.value(field::VIA_CONFIDENCE)?.as_number()?;
        Some(if record.text(field::VIA_METHOD) == Some("log") { Match::Translated } else { Match::Inferred(sure as f32) })
    }
    /// Its place among others, the best first.
    pub fn rank(&self) -> u8 {
        match self {
            Match::Exact | Match::ByHand => 0,
            Match::Within(_) => 1,
            Match::ClockUnchecked => 2,
            Match::Ambiguous(_) => 3,
            Match::Translated => 4,
            Match::Inferred(_) | Match::Tentative(_) => 5,
        }
    }
}

impl std::fmt::Display for Match {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Match::Exact => f.pad("="),
            Match::Ambiguous(n) => f.pad(&format!("×{n}")),
            Match::Within(nanos) => f.pad(&format!("~{}", within(*nanos))),
            Match::ClockUnchecked => f.pad("clock unchecked"),
            Match::Translated => f.pad("⇄"),
            Match::Inferred(confidence) | Match::Tentative(confidence) => f.pad(&format!("?{confidence:.2}")),
            Match::ByHand => f.pad("by hand"),
        }
    }
}

/// A span as a column has room for: `1.8s`, `40ms`, `3us`.
fn within(nanos: i64) -> String {
    match nanos {
        n if n >= 100_000_000 => format!("{:.1}s", n as f64 / 1e9),
        n if n >= 1_000_000 => format!("{}ms", n / 1_000_000),
        n => format!("{}us", n / 1_000),
    }
}

/// A record that belongs to another one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Link {
    /// The other record.
    pub record: Record,
    /// How: `community_id`, `tuple`, `uid`, `flow`, `nat`, `tentative clock`; `pinned`: by nothing but a person's word; `rejected`: by a person's word they are two.
    pub method: Cow<'static, str>,
    /// How well.
    pub quality: Match,
    /// The translation between them, if there is one.
    pub via: Option<Via>,
    /// What a person said of it.
    pub hand: Option<ByHand>,
}

impl Link {
    /// A link that nobody judged.
    pub fn new(record: Record, method: impl Into<Cow<'static, str>>, quality: Match) -> Link {
        Link { record, method: method.into(), quality, via: None, hand: None }
    }
}

/// A person's word on a link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ByHand {
    /// Number of the decision in the journal, by which it is taken back.
    pub decision: u64,
    /// The two are one thing; else they are not.
    pub accepted: bool,
    /// Who said so.
    pub who: String,
    /// When.
    pub at: Time,
    /// Why.
    pub reason: String,
}

/// What a record is linked with.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Linked {
    /// The other records: flows first, then in order of time.
    pub links: Vec<Link>,
    /// Those that a person said it is not one thing with: they are left out of the others.
    pub rejected: Vec<Link>,
}

impl Linked {
    /// The link to a record, one that was rejected too.
    pub fn with(&self, id: RecordId) -> Option<&Link> {
        self.links.iter().chain(&self.rejected).find(|l| l.record.id == id)
    }
}

/// Why two records are one thing.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Why {
    /// What makes them one, in sentences.
    pub reasons: Vec<String>,
    /// How the clocks of both were read, the record's own first; one where both are of one clock.
    pub clocks: Vec<ClockUsed>,
    /// Nanoseconds from one's span to the other's; 0: they overlap.
    pub apart: i64,
    /// Nanoseconds that they may be apart; none: time is not what joins them.
    pub allowed: Option<i64>,
    /// What they agree in and differ in beside that: field, here, there.
    pub stated: Vec<(FieldId, Value, Value)>,
    /// The record that would take the other's place.
    pub runner_up: Option<Record>,
    /// Why it does not, or why there is none.
    pub runner_words: String,
}

/// How the clock of a source was read for one record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClockUsed {
    /// The source.
    pub source: SourceId,
    /// Its name.
    pub name: String,
    /// Nanoseconds added to the record's time.
    pub shift: i64,
    /// How far it may be off, nanoseconds.
    pub uncertainty: i64,
    /// Where that comes from, in words.
    pub basis: String,
}

impl ClockUsed {
    /// In a line.
    pub fn in_words(&self) -> String {
        let moved = if self.shift == 0 { "as written".to_owned() } else { format!("corrected by {}", show_about(self.shift)) };
        let open = if self.uncertainty == 0 { String::new() } else { format!(" ±{}", show_about(self.uncertainty)) };
        format!("{}: {moved}{open}; {}", self.name, self.basis)
    }
}

/// A translation by which two records belong together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Via {
    /// Which end is which, in words.
    pub binding: String,
    /// `snat`, `napt`, `dnat`, `static`, `nat64`, `proxy`, `xff`, `vpn`.
    pub kind: Cow<'static, str>,
    /// How it is known: `log`, `proxy`, `infer`, `claim`.
    pub method: Cow<'static, str>,
    /// 0 to 1.
    pub confidence: f32,
    /// Of an inferred one: how much more the next best assignment would cost.
    pub margin: Option<f32>,
    /// The records that prove it.
    pub evidence: Vec<RecordId>,
}

/// The name that a client used for a flow (domain.md 2.4).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NameUsed {
    /// The name.
    pub name: String,
    /// `self` (the flow carries it), `dns` (asked before by this client), `other` (asked by another client), `stale`, `pdns`.
    pub how: Cow<'static, str>,
    /// 0 to 1.
    pub confidence: f32,
    /// The record that proves it.
    pub evidence: Option<RecordId>,
    /// Other names that fit alike.
    pub others: Vec<String>,
}

/// One line of what is known about an entity besides its traffic.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fact {
    /// What it says, e.g. `inventory`, `reputation`, `serves`, `uses`, `os`.
    pub label: String,
    /// The fact.
    pub text: String,
    /// Severity rank 0..4 for colour; none: neutral.
    pub severity: Option<u8>,
    /// The record behind it.
    pub evidence: Option<RecordId>,
}

impl Fact {
    /// Label of what feeds say.
    pub const REPUTATION: &'static str = "reputation";
}

/// Whether sources could have seen what a question asks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Coverage {
    /// The source.
    pub source: SourceId,
    /// Its name.
    pub name: String,
    /// Which kinds it gives.
    pub kinds: Vec<Kind>,
    /// The part of the window that it covers (corrected), none: nothing of it.
    pub covers: Option<Window>,
    /// Its clock was checked: stated by its text, or set by hand.
    pub clock_checked: bool,
    /// What was pruned of it, in words.
    pub pruned: Option<String>,
}
