//! Passive DNS of a question: name, type, answer, how often, first and last. Where nothing but kind, source, evidence and a window is asked, from
//! what is derived, else from the DNS events that it selects; the answer is the same.

use super::engine::{Cancel, Passive};
use super::question::Question;
use crate::error::Result;
use crate::model::Record;
use crate::store::names::{Answer, Seen, answers};
use crate::store::{Ask, PassiveEntry, Snapshot, names};
use std::collections::BTreeMap;

/// Most rows; further ones are counted.
const MOST: usize = 1_000_000;

/// Rows being collected.
#[derive(Default)]
pub struct Fold {
    rows: BTreeMap<(String, String, Answer), Seen>,
    beyond: u64,
}

impl Fold {
    /// Adds what a DNS event says; each row once.
    pub fn event(&mut self, event: &Record) {
        let end = event.until();
        let seen = Seen { count: 1, first: end, last: end };
        let mut found = Vec::new();
        answers(event, &mut |name, kind, answer| found.push((name.to_owned(), kind.to_owned(), answer)));
        found.sort_unstable();
        found.dedup();
        for (name, kind, answer) in found {
            self.entry(PassiveEntry { name, kind, answer, seen });
        }
    }
    /// Adds a row.
    pub fn entry(&mut self, entry: PassiveEntry) {
        let key = (entry.name, entry.kind, entry.answer);
        let full = self.rows.len() >= MOST;
        match self.rows.get_mut(&key) {
            Some(have) => have.add(&entry.seen),
            None if full => self.beyond += entry.seen.count,
            None => drop(self.rows.insert(key, entry.seen)),
        }
    }
    /// The rows by name, type, answer; how many sightings of further rows there were.
    pub fn finish(self) -> Passive {
        let row = |((name, kind, answer), seen)| PassiveEntry { name, kind, answer, seen };
        Passive { rows: self.rows.into_iter().map(row).collect(), beyond: self.beyond }
    }
}

/// Of a question over a view; whatever else than DNS events it selects is left out.
pub fn of(view: &Snapshot, question: &Question, cancel: &Cancel) -> Result<Passive> {
    let ask = Ask { window: question.window, fields: Some(&names::FIELDS), ..Ask::new(&question.filter) };
    let mut fold = Fold::default();
    let known = view.passive(&ask, &|| cancel.is_cancelled(), &mut |entry| fold.entry(entry))?;
    view.visit(&Ask { without: Some(&known), ..ask }, &|| cancel.is_cancelled(), &mut |row| {
        if row.kind() == crate::model::Kind::Dns {
            fold.event(&row.record());
        }
        true
    })?;
    cancel.check()?;
    Ok(fold.finish())
}
