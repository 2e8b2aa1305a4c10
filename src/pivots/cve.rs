//! CVE -> the hosts and alerts that it is about.

use super::{Lead, Pivot, Selection, entity, lead};
use crate::model::entity::EntityKind;
use crate::query::condition;

/// Records with the CVE
///
/// Example: `CVE-2021-44228` -> `cve = CVE-2021-44228`
pub const PIVOT: Pivot = Pivot { name: "cve", doc: "Records with the CVE", lens: "all", run };

fn run(selection: &Selection) -> Option<Lead> {
    let found = entity(selection, &[EntityKind::Cve])?;
    lead(format!("records of {}", found.value), condition(crate::model::field::CVE, &found.value))
}
