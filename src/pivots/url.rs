//! URL -> its records.

use super::{Lead, Pivot, Selection, entity, lead};
use crate::model::entity::EntityKind;
use crate::query::condition;

/// Records with the URL
///
/// Example: `http://evil.example/a.exe` -> `url = "http://evil.example/a.exe"`
pub const PIVOT: Pivot = Pivot { name: "url", doc: "Records with the URL", lens: "all", run };

fn run(selection: &Selection) -> Option<Lead> {
    let found = entity(selection, &[EntityKind::Url])?;
    lead(format!("records of {}", found.value), condition(found.field, &found.value))
}
