//! What is known about an address or a name besides its traffic? Reputation, inventory, scans, what it serves and uses, whether it is
//! home, and the sets that people put it in.
//!
//! Asks the store with filters, never through a query, and gives facts: what, how bad, and the record that says so. Nothing is looked up on
//! the network; what people looked up is read from the journal.

pub mod reputation;

pub mod seen;

pub mod feeds;

pub mod registrations;

pub mod tables;

pub mod inventory;

pub mod services;

pub mod naming;

pub mod lookups;

pub mod by_hand;

pub mod sets;

pub mod sites;

use crate::error::Result;
use crate::model::answer::Fact;
use crate::model::decision::Decision;
use crate::model::site::Home;
use crate::model::{Cancel, Entity, Time};
use crate::store::Snapshot;
pub use reputation::Networks;

/// What the case knows besides its records: feeds, what people entered, whose addresses are one's own.
pub struct Given<'a> {
    /// The feeds that stand.
    pub feeds: &'a feeds::Feeds,
    /// What people entered.
    pub decisions: &'a [Decision],
    /// The sets that stand by it.
    pub sets: &'a [sets::Set],
    /// One's own addresses.
    pub home: &'a Home,
    /// Now, by which entries of sets expire.
    pub now: Time,
}

/// Everything that is known about an entity at a time: inventory, scans, reputation, services. `networks`: see [`Networks::read`].
pub fn facts(
    snapshot: &Snapshot,
    networks: &Networks,
    given: &Given<'_>,
    entity: &Entity,
    at: Option<Time>,
    cancel: &Cancel,
) -> Result<Vec<Fact>> {
    let mut facts = inventory::facts(snapshot, given, entity, at, cancel)?;
    facts.extend(by_hand::facts(given.decisions, entity));
    facts.extend(reputation::facts(snapshot, networks, given, entity, at, cancel)?);
    facts.extend(services::facts(snapshot, entity, cancel)?);
    facts.extend(lookups::facts(given.decisions, entity));
    Ok(facts)
}

fn fact(label: &str, text: impl Into<String>) -> Fact {
    Fact { label: label.to_owned(), text: text.into(), severity: None, evidence: None }
}
