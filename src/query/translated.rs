//! What is known of translations in a case, kept until records come, go or are moved in time. Where flows only came, or were written anew with others,
//! what was inferred at other times stays.

use crate::error::Result;
use crate::links::Nat;
use crate::links::nat::read;
use crate::model::{Cancel, Kind, SourceId, Window};
use crate::store::Snapshot;
use crate::store::clocks::Shift;
use crate::store::segment::MEMORY;
use crate::store::snapshot::Identity;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, TryLockError};
use std::time::{Duration, Instant};

/// While a capture commits something every few seconds, what was read is good for so long.
const GOOD: Duration = Duration::from_secs(60);
/// How often a question that waits for another one's reading looks whether it was given up.
const LOOK: Duration = Duration::from_millis(5);

/// Imports with records of a kind, and how their clocks are corrected.
type State = Vec<(u32, SourceId, Shift)>;

/// Keeps it.
#[derive(Default)]
pub struct Translated(Mutex<Option<Kept>>);

struct Kept {
    view: Identity,
    flows: State,
    others: Vec<State>,
    at: Instant,
    nat: Arc<Nat>,
}

impl Translated {
    /// Of a view with its sightings.
    pub fn of(&self, view: &Snapshot, cancel: &Cancel) -> Result<Arc<Nat>> {
        let mut slot = self.hold(cancel)?;
        if let Some(kept) = slot.as_ref()
            && (view.is(&kept.view) || view.has_head() && kept.at.elapsed() < GOOD)
        {
            return Ok(Arc::clone(&kept.nat));
        }
        let flows = view.state_of(Kind::Flow);
        let others: Vec<State> = Kind::ALL.into_iter().filter(|k| *k != Kind::Flow).map(|k| view.state_of(k)).collect();
        let nat = match slot.as_ref() {
            Some(kept) if kept.flows == flows && kept.others == others => Arc::clone(&kept.nat),
            Some(kept) if only_came(view, &kept.flows, &flows) => {
                Arc::new(read::more(view, &kept.nat, came(view, &kept.flows, &flows), cancel)?)
            }
            _ => Arc::new(read::find(view, cancel)?),
        };
        *slot = Some(Kept { view: view.identity(), flows, others, at: Instant::now(), nat: Arc::clone(&nat) });
        Ok(nat)
    }
    fn hold(&self, cancel: &Cancel) -> Result<MutexGuard<'_, Option<Kept>>> {
        loop {
            match self.0.try_lock() {
                Ok(slot) => return Ok(slot),
                Err(TryLockError::Poisoned(slot)) => return Ok(slot.into_inner()),
                Err(TryLockError::WouldBlock) => std::thread::sleep(LOOK),
            }
            cancel.check()?;
        }
    }
}

/// Whether what was there is there as it was, if need be in the import that has its rows now (of the live head any).
fn only_came(view: &Snapshot, before: &State, now: &State) -> bool {
    let replaced = view.replaced();
    let shifts = |source: SourceId, shift: &Shift| now.iter().any(|s| s.1 == source && s.2 == *shift);
    before.iter().all(|old| {
        let gone = old.0 >= MEMORY || replaced.contains_key(&old.0);
        now.contains(old) || gone && shifts(old.1, &old.2)
    })
}

/// The time that flows take which were not there before, or are in another import now.
fn came(view: &Snapshot, before: &State, now: &State) -> Option<Window> {
    let new: HashSet<u32> = now.iter().filter(|s| !before.contains(s)).map(|s| s.0).collect();
    view.span_of_imports(&|import| new.contains(&import))
}
