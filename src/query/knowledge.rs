//! What an engine over a store asks of the layers beside it: what belongs together, and what is known besides traffic.

use super::Cancel;
use crate::context::Given;
use crate::error::Result;
use crate::links::by_hand::Judged;
use crate::links::nat::{AskedEnd, Bound};
use crate::model::answer::{Fact, Link, Linked, NameUsed, Why};
use crate::model::site::Site;
use crate::model::{Entity, Filter, Record, Time, Window};
use crate::store::{Sightings, Snapshot};
use std::sync::Arc;

/// What belongs together and what is known of an entity: `links` and `context`, seen from here. Every method may be left as it is: then
/// nothing is known.
pub trait Knowledge: Send + Sync {
    /// Which flows are sightings of one connection.
    fn sightings(&self, snapshot: &Snapshot, cancel: &Cancel) -> Result<Sightings> {
        let _ = (snapshot, cancel);
        Ok(Sightings::default())
    }
    /// The same of a case to which imports came (`is_new`, by their number), given the sightings without them.
    fn more_sightings(
        &self,
        snapshot: &Snapshot,
        base: &Arc<Sightings>,
        is_new: &dyn Fn(u32) -> bool,
        cancel: &Cancel,
    ) -> Result<Arc<Sightings>> {
        let _ = (base, is_new);
        self.sightings(snapshot, cancel).map(Arc::new)
    }
    /// A filter with what is known of names added: flows found by the name that their client used.
    fn widen(&self, snapshot: &Snapshot, filter: Filter) -> Result<Filter> {
        let _ = snapshot;
        Ok(filter)
    }
    /// A filter in which the condition on a host also holds for what it was on the other side of a translation in a window. Of a view with
    /// sightings.
    fn elsewhere(&self, snapshot: &Snapshot, filter: Filter, window: &Window, cancel: &Cancel) -> Result<Filter> {
        let _ = (snapshot, window, cancel);
        Ok(filter)
    }
    /// The translations that an end is on a side of.
    fn bindings(&self, snapshot: &Snapshot, wanted: &AskedEnd, cancel: &Cancel) -> Result<Bound> {
        let _ = (snapshot, wanted, cancel);
        Ok(Bound::default())
    }
    /// The other records of a record's connection, given what people said of links.
    fn links(&self, snapshot: &Snapshot, record: &Record, judged: &Judged, cancel: &Cancel) -> Result<Linked> {
        let _ = (snapshot, record, judged, cancel);
        Ok(Linked::default())
    }
    /// Why a record and that of its link are one thing.
    fn why(&self, snapshot: &Snapshot, record: &Record, link: &Link, cancel: &Cancel) -> Result<Why> {
        let _ = (snapshot, record, link, cancel);
        Ok(Why::default())
    }
    /// The name that the client used for a flow.
    fn name_used(&self, snapshot: &Snapshot, flow: &Record) -> Result<Option<NameUsed>> {
        let _ = (snapshot, flow);
        Ok(None)
    }
    /// Sites of one's own that the evidence suggests.
    fn guessed_sites(&self, snapshot: &Snapshot, cancel: &Cancel) -> Result<Arc<Vec<Site>>> {
        let _ = (snapshot, cancel);
        Ok(Arc::default())
    }
    /// What is known of an entity at a time besides its traffic.
    fn facts(
        &self,
        snapshot: &Snapshot,
        given: &Given<'_>,
        entity: &Entity,
        at: Option<Time>,
        cancel: &Cancel,
    ) -> Result<Vec<Fact>> {
        let _ = (snapshot, given, entity, at, cancel);
        Ok(Vec::new())
    }
    /// Of that only what feeds say.
    fn listed(
        &self,
        snapshot: &Snapshot,
        given: &Given<'_>,
        entity: &Entity,
        at: Option<Time>,
        cancel: &Cancel,
    ) -> Result<Vec<Fact>> {
        let _ = (snapshot, given, entity, at, cancel);
        Ok(Vec::new())
    }
}

/// Knows nothing.
pub struct Nothing;

impl Knowledge for Nothing {}
