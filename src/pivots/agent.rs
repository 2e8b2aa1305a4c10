//! User agent -> its records.

use super::{Lead, Pivot, Selection, entity, lead};
use crate::model::entity::EntityKind;
use crate::query::condition;

/// Records with the user agent
///
/// Example: `http.agent=curl/8.5 (x)` -> `http.agent = "curl/8.5 (x)"`
pub const PIVOT: Pivot = Pivot { name: "agent", doc: "Records with the user agent", lens: "all", run };

fn run(selection: &Selection) -> Option<Lead> {
    let found = entity(selection, &[EntityKind::Agent])?;
    lead(format!("records of {}", found.value), condition(found.field, &found.value))
}
