//! User -> its records, also as owner of a host.

use super::{Lead, Pivot, Selection, entity, lead};
use crate::model::entity::EntityKind;
use crate::model::field;
use crate::query::condition;

/// Records of the user
///
/// Example: `user=jdoe` -> `user = jdoe or owner = jdoe`
/// Example: `mail.from=a@evil.example` -> `mail.from = a@evil.example`
pub const PIVOT: Pivot = Pivot { name: "user", doc: "Records of the user", lens: "all", run };

fn run(selection: &Selection) -> Option<Lead> {
    let found = entity(selection, &[EntityKind::User])?;
    let query = if matches!(found.field, field::USER | field::OWNER) {
        format!("{} or {}", condition(field::USER, &found.value), condition(field::OWNER, &found.value))
    } else {
        condition(found.field, &found.value)
    };
    lead(format!("records of {}", found.value), query)
}
