//! What people decided and stands now (home, sets, verdicts), kept until something is entered, imported, or ends by itself.

use super::question::Question;
use super::verdicts::{Verdicts, applied};
use crate::context::by_hand::Sayings;
use crate::context::sets::{self, Set};
use crate::context::sites;
use crate::error::Result;
use crate::model::Time;
use crate::model::decision::{Decision, What};
use crate::model::filter::Members;
use crate::model::site::{Home, Site};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// What stands at a time.
#[derive(Debug, Default)]
pub struct Current {
    /// The verdicts.
    pub verdicts: Verdicts,
    /// The addresses that count as one's own.
    pub home: Home,
    /// What was said of hosts by hand.
    pub by_hand: Sayings,
    sets: Vec<Set>,
    names: Vec<String>,
    at: Time,
    made: Mutex<HashMap<String, Arc<Members>>>,
}

impl Current {
    /// The members of `@name`; none: there is no such set.
    pub fn set(&self, name: &str) -> Option<Arc<Members>> {
        if name == "home" {
            return Some(Arc::clone(self.home.members()));
        }
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(members) = made.get(name) {
            return Some(Arc::clone(members));
        }
        let members = Arc::new(sets::members(&self.sets, name, self.at)?);
        made.insert(name.to_owned(), Arc::clone(&members));
        Some(members)
    }
    /// The sets, with what has left them.
    pub fn sets(&self) -> &[Set] {
        &self.sets
    }
    /// Names that may stand behind `@`.
    pub fn names(&self) -> &[String] {
        &self.names
    }
}

/// Names that may stand behind `@` in a query of a case: its sets and the purposes.
pub fn names(sets: &[Set]) -> Vec<String> {
    let mut names: Vec<String> = sets.iter().map(|s| s.name.clone()).collect();
    names.extend(sets::PURPOSES.iter().map(|(name, _)| (*name).to_owned()).filter(|n| !sets.iter().any(|s| s.name == *n)));
    names
}

struct Kept {
    decisions: usize,
    sequence: u64,
    until: Time,
    current: Arc<Current>,
}

/// Keeps what stands.
#[derive(Default)]
pub struct Standing(Mutex<Option<Kept>>);

impl Standing {
    /// What stands now. `guess` are the sites that the evidence suggests; `sequence` is that of the newest import; `compile` makes a question of a text with sets but without verdicts.
    pub fn of(
        &self,
        decisions: &[Decision],
        sequence: u64,
        now: Time,
        guess: &[Site],
        compile: &dyn Fn(&str, &Current) -> Result<Question>,
    ) -> Arc<Current> {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |k: &&Kept| k.decisions == decisions.len() && k.sequence == sequence && now < k.until && k.current.at <= now;
        if let Some(kept) = slot.as_ref().filter(same) {
            return Arc::clone(&kept.current);
        }
        let sets = sets::sets(decisions);
        let ends = applied(decisions, now).into_iter().filter_map(|d| match &d.what {
            What::Verdict { expires, .. } => expires.map(Time),
            _ => None,
        });
        let until = ends.chain(sets::next_expiry(&sets, now)).min().unwrap_or(Time::MAX);
        let home = sites::home(&sets, guess, now);
        let mut current =
            Current { names: names(&sets), sets, home, by_hand: Sayings::of(decisions), at: now, ..Current::default() };
        current.verdicts = Verdicts::of(decisions, now, &|text| compile(text, &current));
        let current = Arc::new(current);
        *slot = Some(Kept { decisions: decisions.len(), sequence, until, current: Arc::clone(&current) });
        current
    }
}
