//! Name -> who asked for it or for names below it.

use super::{Lead, Pivot, Selection, entity, lead};
use crate::model::entity::EntityKind;
use crate::query::quote;

/// Clients that asked DNS for the name
///
/// Example: `evil.example` -> `kind = dns and name = evil.example | count by src.ip`
pub const PIVOT: Pivot = Pivot { name: "name-askers", doc: "Clients that asked DNS for the name", lens: "dns", run };

fn run(selection: &Selection) -> Option<Lead> {
    let name = entity(selection, &[EntityKind::Name])?.value.to_string();
    lead(format!("askers of {name}"), format!("kind = dns and name = {} | count by src.ip", quote(&name)))
}
