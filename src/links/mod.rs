//! Which records of two sources are the same thing? Clocks, sightings of one connection, exact joins, names used.
//!
//! Everything here reads a [`Snapshot`](crate::store::Snapshot) in corrected time, changes no stored time, and says how it joined and how
//! sure that is. Joins are exact: by reference, by connection id, or by the 5-tuple inside the flow's span; across a translation of addresses they are
//! by a binding, with its method and confidence. What a person says of a link goes before all that.

pub mod clocks;

pub mod sightings;

pub mod tentative;

pub mod exact;

pub mod by_hand;

pub mod why;

pub mod names;

pub mod nat;

#[cfg(test)]
pub(crate) mod world;

pub use names::Names;
pub use nat::Nat;
