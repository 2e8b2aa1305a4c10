//! JA3, JA4 or HASSH -> its records.

use super::{Lead, Pivot, Selection, entity, lead};
use crate::model::entity::EntityKind;
use crate::query::condition;

/// Records with the same fingerprint
///
/// Example: `ja4=t13d1516h2_8daaf6152771_b186095e22b6` -> `ja4 = t13d1516h2_8daaf6152771_b186095e22b6`
pub const PIVOT: Pivot = Pivot { name: "fingerprint", doc: "Records with the same fingerprint", lens: "all", run };

fn run(selection: &Selection) -> Option<Lead> {
    let found = entity(selection, &[EntityKind::Fingerprint])?;
    lead(format!("records of {}", found.value), condition(found.field, &found.value))
}
