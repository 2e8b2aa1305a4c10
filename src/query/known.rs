//! What the engine knows from `links` and `context`: sightings, exact joins, names used, facts. What is read over the whole case (DNS answers,
//! listed networks) is kept until the view changes.

use super::local::Knowledge;
use crate::context::{self, Networks};
use crate::error::Result;
use crate::links::{Names, exact, names, sightings};
use crate::model::answer::{Cancel, Fact, Link, NameUsed};
use crate::model::{Entity, Filter, Record, Time};
use crate::store::{Sightings, Snapshot};
use std::sync::{Arc, Mutex, PoisonError};

/// Joins links and context to the engine.
#[derive(Default)]
pub struct Known {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    names: Option<Arc<Names>>,
    networks: Option<Arc<Networks>>,
}

impl Known {
    fn names(&self, snapshot: &Snapshot) -> Result<Arc<Names>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(names) = &kept.names {
            return Ok(Arc::clone(names));
        }
        let names = Arc::new(Names::read(snapshot, &Cancel::default())?);
        kept.names = Some(Arc::clone(&names));
        Ok(names)
    }
    fn networks(&self, snapshot: &Snapshot, cancel: &Cancel) -> Result<Arc<Networks>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(networks) = &kept.networks {
            return Ok(Arc::clone(networks));
        }
        let networks = Arc::new(Networks::read(snapshot, cancel)?);
        kept.networks = Some(Arc::clone(&networks));
        Ok(networks)
    }
}

impl Knowledge for Known {
    fn sightings(&self, snapshot: &Snapshot) -> Result<Sightings> {
        // A new view: what was kept is of the old one.
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Kept::default();
        sightings::find(snapshot, &Cancel::default())
    }
    fn widen(&self, snapshot: &Snapshot, filter: Filter) -> Result<Filter> {
        if !names::asks_for_name(&filter) {
            return Ok(filter);
        }
        Ok(names::widen(&*self.names(snapshot)?, filter))
    }
    fn links(&self, snapshot: &Snapshot, record: &Record, cancel: &Cancel) -> Result<Vec<Link>> {
        exact::links(snapshot, record, cancel)
    }
    fn name_used(&self, snapshot: &Snapshot, flow: &Record) -> Result<Option<NameUsed>> {
        Ok(self.names(snapshot)?.name_used(flow))
    }
    fn facts(&self, snapshot: &Snapshot, entity: &Entity, at: Option<Time>, cancel: &Cancel) -> Result<Vec<Fact>> {
        let networks = self.networks(snapshot, cancel)?;
        context::facts(snapshot, &networks, entity, at, cancel)
    }
}
