//! Name -> the addresses that DNS gave for it.

use super::{Lead, Pivot, Selection, entity, lead};
use crate::model::entity::EntityKind;
use crate::query::quote;

/// DNS answers for the name that hold addresses
///
/// Example: `evil.example` -> `kind = dns and name = evil.example and exists dns.answer.ip`
pub const PIVOT: Pivot = Pivot { name: "name-addresses", doc: "DNS answers for the name that hold addresses", lens: "dns", run };

fn run(selection: &Selection) -> Option<Lead> {
    let name = entity(selection, &[EntityKind::Name])?.value.to_string();
    lead(format!("addresses of {name}"), format!("kind = dns and name = {} and exists dns.answer.ip", quote(&name)))
}
