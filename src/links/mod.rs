//! Which records of two sources are the same thing? Clocks, sightings of one connection, exact joins, names used.
//!
//! Everything here reads a [`Snapshot`](crate::store::Snapshot) in corrected time, changes no stored time, and says how it joined and how
//! sure that is. Joins are exact only: by reference, by connection id, or by the 5-tuple inside the flow's span.

pub mod clocks;

pub mod sightings;

pub mod exact;

pub mod names;

#[cfg(test)]
pub(crate) mod world;

pub use names::Names;
