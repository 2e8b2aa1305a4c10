//! What the engine knows from `links` and `context`: sightings, exact joins, names used, facts. What is read over the whole case (DNS answers,
//! listed networks) is kept until records of its kind come, go or are moved in time.

use super::local::Knowledge;
use crate::context::{self, Given, Networks, naming, reputation, sites};
use crate::error::Result;
use crate::links::by_hand::Judged;
use crate::links::nat::{self, AskedEnd, Bound};
use crate::links::{Names, Nat, exact, names, sightings, why};
use crate::model::answer::{Cancel, Fact, Link, Linked, NameUsed, Why};
use crate::model::site::Site;
use crate::model::{Entity, Filter, Kind, Record, RecordId, SourceId, Time, Value, Window};
use crate::store::clocks::Shift;
use crate::store::{Sightings, Snapshot};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// While a capture commits something every few seconds, a guess that reads the whole case is good for so long.
const GUESSED: Duration = Duration::from_secs(60);

/// Joins links and context to the engine.
#[derive(Default)]
pub struct Known {
    names: Mutex<Option<Kept<Names>>>,
    networks: Mutex<Option<Kept<Networks>>>,
    /// Guessed sites, the number of the newest import when they were guessed, and when that was.
    sites: Mutex<Option<Guessed>>,
    nat: super::translated::Translated,
}

type Guessed = (u64, Instant, Arc<Vec<Site>>);

/// Something read of all records of a kind, and of which state of the case.
struct Kept<T> {
    of: Vec<(u32, SourceId, Shift)>,
    value: Arc<T>,
}

/// What is kept of this state of the case, else what `read` gives.
fn keep<T>(slot: &Mutex<Option<Kept<T>>>, snapshot: &Snapshot, kind: Kind, read: impl FnOnce() -> Result<T>) -> Result<Arc<T>> {
    let of = snapshot.state_of(kind);
    let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(kept) = slot.as_ref().filter(|kept| kept.of == of) {
        return Ok(Arc::clone(&kept.value));
    }
    let value = Arc::new(read()?);
    *slot = Some(Kept { of, value: Arc::clone(&value) });
    Ok(value)
}

impl Known {
    fn names(&self, snapshot: &Snapshot) -> Result<Arc<Names>> {
        keep(&self.names, snapshot, Kind::Dns, || Names::read(snapshot, &Cancel::default()))
    }
    fn nat(&self, snapshot: &Snapshot, cancel: &Cancel) -> Result<Arc<Nat>> {
        self.nat.of(snapshot, cancel)
    }
    fn networks(&self, snapshot: &Snapshot, cancel: &Cancel) -> Result<Arc<Networks>> {
        keep(&self.networks, snapshot, Kind::Inventory, || Networks::read(snapshot, cancel))
    }
}

impl Knowledge for Known {
    fn sightings(&self, snapshot: &Snapshot, cancel: &Cancel) -> Result<Sightings> {
        sightings::find(snapshot, cancel)
    }
    fn more_sightings(
        &self,
        snapshot: &Snapshot,
        base: &Arc<Sightings>,
        is_new: &dyn Fn(u32) -> bool,
        cancel: &Cancel,
    ) -> Result<Arc<Sightings>> {
        Ok(sightings::more(snapshot, base, is_new, cancel)?.map_or_else(|| Arc::clone(base), Arc::new))
    }
    fn widen(&self, snapshot: &Snapshot, filter: Filter) -> Result<Filter> {
        if !names::asks_for_name(&filter) {
            return Ok(filter);
        }
        names::widen(&*self.names(snapshot)?, filter)
    }
    fn elsewhere(&self, snapshot: &Snapshot, filter: Filter, window: &Window, cancel: &Cancel) -> Result<Filter> {
        Ok(nat::widen(&*self.nat(snapshot, cancel)?, filter, window))
    }
    fn bindings(&self, snapshot: &Snapshot, wanted: &AskedEnd, cancel: &Cancel) -> Result<Bound> {
        nat::bound(&*self.nat(snapshot, cancel)?, snapshot, wanted, cancel)
    }
    fn links(&self, snapshot: &Snapshot, record: &Record, judged: &Judged, cancel: &Cancel) -> Result<Linked> {
        let mut links = exact::links(snapshot, record, judged, cancel)?;
        let known: HashSet<RecordId> = links.iter().map(|l| l.record.id).collect();
        let others = nat::links(&*self.nat(snapshot, cancel)?, snapshot, record, cancel)?;
        links.extend(others.into_iter().filter(|l| !known.contains(&l.record.id)));
        judged.apply(snapshot, record, links, cancel)
    }
    fn why(&self, snapshot: &Snapshot, record: &Record, link: &Link, cancel: &Cancel) -> Result<Why> {
        why::why(snapshot, record, link, cancel)
    }
    fn name_used(&self, snapshot: &Snapshot, flow: &Record) -> Result<Option<NameUsed>> {
        self.names(snapshot)?.name_used(flow)
    }
    fn guessed_sites(&self, snapshot: &Snapshot, cancel: &Cancel) -> Result<Arc<Vec<Site>>> {
        let of = snapshot.sequence();
        let mut slot = self.sites.lock().unwrap_or_else(PoisonError::into_inner);
        let holds = |(kept, at): (u64, Instant)| kept == of || snapshot.has_head() && at.elapsed() < GUESSED;
        if let Some((.., kept)) = slot.as_ref().filter(|(kept, at, _)| holds((*kept, *at))) {
            return Ok(Arc::clone(kept));
        }
        let guess = Arc::new(sites::guess(snapshot, cancel)?);
        *slot = Some((of, Instant::now(), Arc::clone(&guess)));
        Ok(guess)
    }
    fn facts(
        &self,
        snapshot: &Snapshot,
        given: &Given<'_>,
        entity: &Entity,
        at: Option<Time>,
        cancel: &Cancel,
    ) -> Result<Vec<Fact>> {
        let networks = self.networks(snapshot, cancel)?;
        let mut facts = context::facts(snapshot, &networks, given, entity, at, cancel)?;
        facts.extend(naming::facts(snapshot, &*self.names(snapshot)?, given, entity, cancel)?);
        if let Value::Addr(addr) = entity.value {
            facts.extend(nat::fact(&*self.nat(snapshot, cancel)?, addr, at));
        }
        Ok(facts)
    }
    fn listed(
        &self,
        snapshot: &Snapshot,
        given: &Given<'_>,
        entity: &Entity,
        at: Option<Time>,
        cancel: &Cancel,
    ) -> Result<Vec<Fact>> {
        reputation::facts(snapshot, &*self.networks(snapshot, cancel)?, given, entity, at, cancel)
    }
}
