//! Signature -> everything that it fired on.

use super::{Lead, Pivot, Selection, entity, lead};
use crate::model::entity::EntityKind;
use crate::query::condition;

/// Alerts of the same signature
///
/// Example: `signature=ET MALWARE Beacon` -> `signature = "ET MALWARE Beacon"`
/// Example: `signature.id=2028401` -> `signature.id = 2028401`
pub const PIVOT: Pivot = Pivot { name: "signature", doc: "Alerts of the same signature", lens: "alerts", run };

fn run(selection: &Selection) -> Option<Lead> {
    let found = entity(selection, &[EntityKind::Signature])?;
    lead(format!("records of {}", found.value), condition(found.field, &found.value))
}
