//! Alert, log line or protocol event -> the flow that it is about: by its own reference, else by Community ID at its time.

use super::{Lead, Pivot, Selection, conversation, during, lead};
use crate::model::Kind;
use crate::model::field;
use crate::query::quote;

/// The flow that the record is about
///
/// Example: `alert src.ip=10.8.21.5 src.port=49321 dst.ip=203.0.113.9 dst.port=443 proto=tcp` -> `kind = flow and community_id = "(its community id)" and between 2026-11-20T08:12:02Z and 2026-11-20T08:12:04Z`
/// Example: `dns flow=00112233445566aa-1f-0` -> `kind = flow and id = 00112233445566aa-1f-0`
pub const PIVOT: Pivot = Pivot { name: "alert-flow", doc: "The flow that the record is about", lens: "flows", run };

fn run(selection: &Selection) -> Option<Lead> {
    let record = selection.record.as_ref().filter(|r| r.kind != Kind::Flow)?;
    if let Some(flow) = record.text(field::FLOW) {
        return lead("the flow of this record", format!("kind = flow and id = {}", quote(flow)));
    }
    lead("the flow of this record", format!("kind = flow and {} and {}", conversation(record)?, during(record)))
}
