//! The newest view of a case with its sightings, kept until something comes, goes or is moved in time. What only came (with a commit or a
//! publication of a running capture, each second) is compared with what it meets; all is compared anew where anything else changed.

use super::Cancel;
use super::local::Knowledge;
use crate::error::Result;
use crate::model::{Kind, SourceId};
use crate::store::clocks::Shift;
use crate::store::segment::MEMORY;
use crate::store::{Sightings, Snapshot};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, TryLockError};
use std::time::Duration;

/// How often a question that waits for another one's view looks whether it was given up.
const LOOK: Duration = Duration::from_millis(5);

/// Imports that have flows, and how their clocks are corrected.
type Flows = Vec<(u32, SourceId, Shift)>;

/// Keeps the newest view.
#[derive(Default)]
pub struct Views(Mutex<Option<View>>);

/// The newest view without and with sightings; the sightings of what is committed, and what they were found in.
struct View {
    plain: Arc<Snapshot>,
    with: Arc<Snapshot>,
    committed: Arc<Sightings>,
    flows: Flows,
}

/// Whether all of it is there as it was, if need be in the import that has its rows now.
fn is_within(before: &Flows, now: &Flows, replaced: &HashMap<u32, u32>) -> bool {
    let now: HashMap<(u32, SourceId), &Shift> = now.iter().map(|(import, source, shift)| ((*import, *source), shift)).collect();
    let has = |import: u32, source: SourceId, shift: &Shift| now.get(&(import, source)) == Some(&shift);
    before.iter().all(|(import, source, shift)| {
        has(*import, *source, shift) || replaced.get(import).is_some_and(|new| has(*new, *source, shift))
    })
}

/// Sightings without what they say of blocks that are there no more.
fn without(sightings: &Arc<Sightings>, gone: &HashSet<u32>) -> Arc<Sightings> {
    if gone.is_empty() || !sightings.masked.keys().any(|block| gone.contains(&block.import)) {
        return Arc::clone(sightings);
    }
    let mut out = Sightings::clone(sightings);
    out.masked.retain(|block, _| !gone.contains(&block.import));
    Arc::new(out)
}

impl Views {
    /// A view with its sightings.
    pub fn of(&self, plain: Arc<Snapshot>, knowledge: &dyn Knowledge, cancel: &Cancel) -> Result<Arc<Snapshot>> {
        let mut view = self.hold(cancel)?;
        if let Some(newest) = view.as_ref().filter(|v| Arc::ptr_eq(&v.plain, &plain)) {
            return Ok(Arc::clone(&newest.with));
        }
        let (head, flows): (Flows, Flows) = plain.state_of(Kind::Flow).into_iter().partition(|(import, ..)| *import >= MEMORY);
        let committed = match view.as_ref() {
            Some(before) if before.flows == flows => Arc::clone(&before.committed),
            Some(before) if is_within(&before.flows, &flows, &plain.replaced()) => {
                let old: HashSet<u32> = before.flows.iter().map(|(import, ..)| *import).collect();
                let now: HashSet<u32> = flows.iter().map(|(import, ..)| *import).collect();
                let base = without(&before.committed, &old.difference(&now).copied().collect());
                knowledge.more_sightings(&plain.committed(), &base, &|import| !old.contains(&import), cancel)?
            }
            _ => Arc::new(knowledge.sightings(&plain.committed(), cancel)?),
        };
        let sightings = match head.is_empty() {
            true => Arc::clone(&committed),
            false => knowledge.more_sightings(&plain, &committed, &|import| import >= MEMORY, cancel)?,
        };
        let with = Arc::new(plain.with_sightings(sightings));
        *view = Some(View { plain, with: Arc::clone(&with), committed, flows });
        Ok(with)
    }
    fn hold(&self, cancel: &Cancel) -> Result<MutexGuard<'_, Option<View>>> {
        loop {
            match self.0.try_lock() {
                Ok(view) => return Ok(view),
                Err(TryLockError::Poisoned(view)) => return Ok(view.into_inner()),
                Err(TryLockError::WouldBlock) => std::thread::sleep(LOOK),
            }
            cancel.check()?;
        }
    }
}
