//! Community ID -> what every source saw of the connection.

use super::{Lead, Pivot, Selection, entity, lead};
use crate::model::entity::EntityKind;
use crate::query::condition;

/// Records of the same Community ID
///
/// Example: `1:LQU9qZlK+B5F3KDmev6m5PMibrg=` -> `community_id = "1:LQU9qZlK+B5F3KDmev6m5PMibrg="`
pub const PIVOT: Pivot = Pivot { name: "connection", doc: "Records of the same Community ID", lens: "all", run };

fn run(selection: &Selection) -> Option<Lead> {
    let found = entity(selection, &[EntityKind::CommunityId])?;
    lead(format!("records of {}", found.value), condition(crate::model::field::COMMUNITY_ID, &found.value))
}
