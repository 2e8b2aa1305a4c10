//! Name -> conversations under it.

use super::{Lead, Pivot, Selection, entity, lead};
use crate::model::entity::EntityKind;
use crate::query::quote;

/// Flows that used the name
///
/// Example: `evil.example` -> `kind = flow and name = evil.example`
pub const PIVOT: Pivot = Pivot { name: "name-flows", doc: "Flows that used the name", lens: "flows", run };

fn run(selection: &Selection) -> Option<Lead> {
    let name = entity(selection, &[EntityKind::Name])?.value.to_string();
    lead(format!("flows to {name}"), format!("kind = flow and name = {}", quote(&name)))
}
