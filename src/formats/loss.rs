//! What a sensor says of itself that it missed.

use crate::model::time::Time;

/// What a sensor says that it missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loss {
    /// What is counted: packets, acknowledged segments.
    pub what: &'static str,
    /// How many were missed.
    pub lost: u64,
    /// Of how many.
    pub of: u64,
    /// Both are counted since the sensor began, not since it last said so.
    pub total: bool,
    /// When it said so.
    pub at: Option<Time>,
}
