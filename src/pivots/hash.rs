//! Hash of a file -> its records.

use super::{Lead, Pivot, Selection, entity, lead};
use crate::model::entity::EntityKind;
use crate::query::condition;

/// Records with the hash
///
/// Example: `md5=d41d8cd98f00b204e9800998ecf8427e` -> `hash = d41d8cd98f00b204e9800998ecf8427e`
pub const PIVOT: Pivot = Pivot { name: "hash", doc: "Records with the hash", lens: "all", run };

fn run(selection: &Selection) -> Option<Lead> {
    let found = entity(selection, &[EntityKind::Hash])?;
    lead(format!("records of {}", found.value), condition(crate::model::field::HASH, &found.value))
}
