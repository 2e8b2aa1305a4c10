//! Flow or event -> the alerts about the same conversation.

use super::{Lead, Pivot, Selection, conversation, during, lead};
use crate::model::Kind;

/// Alerts about the same conversation
///
/// Example: `flow src.ip=10.8.21.5 src.port=49321 dst.ip=203.0.113.9 dst.port=443 proto=tcp` -> `kind in {alert, notice} and community_id = "(its community id)" and between 2026-11-20T08:12:02Z and 2026-11-20T08:12:04Z`
pub const PIVOT: Pivot = Pivot { name: "flow-alerts", doc: "Alerts about the same conversation", lens: "alerts", run };

fn run(selection: &Selection) -> Option<Lead> {
    let record = selection.record.as_ref().filter(|r| !matches!(r.kind, Kind::Alert | Kind::Notice))?;
    lead("alerts of this conversation", format!("kind in {{alert, notice}} and {} and {}", conversation(record)?, during(record)))
}
