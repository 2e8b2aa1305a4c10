//! Name -> every record that carries it.

use super::{Lead, Pivot, Selection, entity, lead};
use crate::model::entity::EntityKind;
use crate::query::quote;

/// Every record with the name
///
/// Example: `evil.example` -> `name = evil.example or hostname = evil.example or sni = evil.example or http.host = evil.example or cert.san = evil.example`
pub const PIVOT: Pivot = Pivot { name: "name-records", doc: "Every record with the name", lens: "all", run };

fn run(selection: &Selection) -> Option<Lead> {
    let name = quote(&entity(selection, &[EntityKind::Name])?.value.to_string());
    lead(
        format!("records of {name}"),
        format!("name = {name} or hostname = {name} or sni = {name} or http.host = {name} or cert.san = {name}"),
    )
}
