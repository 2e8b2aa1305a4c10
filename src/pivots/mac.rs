//! Hardware address -> its records.

use super::{Lead, Pivot, Selection, entity, lead};
use crate::model::entity::EntityKind;
use crate::query::condition;

/// Records with the hardware address
///
/// Example: `aa:bb:cc:00:11:22` -> `mac = aa:bb:cc:00:11:22`
pub const PIVOT: Pivot = Pivot { name: "mac", doc: "Records with the hardware address", lens: "all", run };

fn run(selection: &Selection) -> Option<Lead> {
    let found = entity(selection, &[EntityKind::Mac])?;
    lead(format!("records of {}", found.value), condition(crate::model::field::MAC, &found.value))
}
