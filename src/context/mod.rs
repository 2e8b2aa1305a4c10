//! What is known about an address or a name besides its traffic? Reputation, inventory, scans, what it serves and uses, whether it is
//! home, and the sets that people put it in.
//!
//! Asks the store with filters, never through a query, and gives facts: what, how bad, and the record that says so. Nothing is looked up on
//! the network.

pub mod reputation;

pub mod inventory;

pub mod services;

pub mod sets;

pub mod sites;

use crate::error::Result;
use crate::model::answer::Fact;
use crate::model::{Cancel, Entity, Time};
use crate::store::Snapshot;
pub use reputation::Networks;

/// Everything that is known about an entity at a time: inventory, scans, reputation, services. `networks`: see [`Networks::read`].
pub fn facts(snapshot: &Snapshot, networks: &Networks, entity: &Entity, at: Option<Time>, cancel: &Cancel) -> Result<Vec<Fact>> {
    let mut facts = inventory::facts(snapshot, entity, cancel)?;
    facts.extend(reputation::facts(snapshot, networks, entity, at, cancel)?);
    facts.extend(services::facts(snapshot, entity, cancel)?);
    Ok(facts)
}

fn fact(label: &str, text: impl Into<String>) -> Fact {
    Fact { label: label.to_owned(), text: text.into(), severity: None, evidence: None }
}
