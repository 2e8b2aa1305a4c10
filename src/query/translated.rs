//! What is known of translations in a case, kept until records come, go or are moved in time. What only came is read beside what was known.

use crate::error::Result;
use crate::links::Nat;
use crate::links::nat::read;
use crate::model::{Cancel, Kind, SourceId, Window};
use crate::store::Snapshot;
use crate::store::clocks::Shift;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// While a capture commits something every few seconds, what was read is good for so long.
const GOOD: Duration = Duration::from_secs(60);

type State = Vec<(u32, SourceId, Shift)>;

/// Keeps it.
#[derive(Default)]
pub struct Translated(Mutex<Option<Kept>>);

struct Kept {
    flows: State,
    others: Vec<State>,
    at: Instant,
    nat: Arc<Nat>,
}

impl Translated {
    /// Of a view with its sightings.
    pub fn of(&self, view: &Snapshot, cancel: &Cancel) -> Result<Arc<Nat>> {
        let flows = view.state_of(Kind::Flow);
        let others: Vec<State> = Kind::ALL.into_iter().filter(|k| *k != Kind::Flow).map(|k| view.state_of(k)).collect();
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = slot.as_ref()
            && (kept.flows == flows && kept.others == others || view.has_head() && kept.at.elapsed() < GOOD)
        {
            return Ok(Arc::clone(&kept.nat));
        }
        let nat = match slot.as_ref().filter(|kept| kept.flows.iter().all(|f| flows.contains(f))) {
            Some(kept) => read::more(view, &kept.nat, came(view, &kept.flows, &flows), cancel)?,
            None => read::find(view, cancel)?,
        };
        let nat = Arc::new(nat);
        *slot = Some(Kept { flows, others, at: Instant::now(), nat: Arc::clone(&nat) });
        Ok(nat)
    }
}

/// The time that flows take which were not there before.
fn came(view: &Snapshot, before: &State, now: &State) -> Option<Window> {
    let new = |import: u32| now.iter().any(|s| s.0 == import && !before.contains(s));
    view.span_of_imports(&new)
}
