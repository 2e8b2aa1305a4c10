//! What is usual at an hour of a day, and what is not: pure functions over arrays of numbers.
//!
//! A series is a number per bin, laid out by local day and slot of the day (`Grid`). What is usual in a slot is the median of the other days of
//! its kind (`fit`), so that a day never explains itself; how far a bin is off is its `z`. Rules over `z` find spikes, interruptions, what is
//! done off hours (`rules`), shifts ([`shift`]) and outliers of the whole series (`outliers`); [`entropy`] makes series of how spread ends and
//! ports are. Where the history does not suffice nothing is said.

pub mod entropy;
mod grid;
mod model;
pub mod outliers;
pub mod rules;
mod running;
pub mod shift;
#[cfg(test)]
mod synthetic;
mod workday;

pub use grid::{Class, Grid, LocalDay, NONE, hours_ahead, spread};
pub use model::{Fit, Scale, Verdict, fit};
pub use running::{Model, fit_by};
pub use workday::{Workday, ramp, suggested_zone};

use crate::model::time::SECOND;

/// Width of a bin, nanoseconds: five minutes.
pub const BIN: i64 = 300 * SECOND;
/// Bins of a day.
pub const SLOTS: usize = 288;
