//! What the engine knows from `links` and `context`.

use super::local::Knowledge;

/// Joins links and context to the engine.
#[derive(Default)]
pub struct Known;

impl Knowledge for Known {}
