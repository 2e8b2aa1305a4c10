//! Certificate -> its records.

use super::{Lead, Pivot, Selection, entity, lead};
use crate::model::entity::EntityKind;
use crate::query::condition;

/// Records with the same certificate
///
/// Example: `cert.subject=CN=evil.example` -> `cert.subject = "CN=evil.example"`
pub const PIVOT: Pivot = Pivot { name: "certificate", doc: "Records with the same certificate", lens: "all", run };

fn run(selection: &Selection) -> Option<Lead> {
    let found = entity(selection, &[EntityKind::Certificate])?;
    lead(format!("records of {}", found.value), condition(found.field, &found.value))
}
