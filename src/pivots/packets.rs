//! Flow or record -> the packets. The lens reads them from the capture; the query names their flow.

use super::{Lead, Pivot, Selection, conversation, during, lead};
use crate::model::Kind;
use crate::model::field;
use crate::query::quote;

/// The packets of the flow, from the capture
///
/// Example: `flow src.ip=10.8.21.5 src.port=49321 dst.ip=203.0.113.9 dst.port=443 proto=tcp` -> `kind = flow and id = 00112233445566aa-40-0`
/// Example: `alert src.ip=10.8.21.5 src.port=49321 dst.ip=203.0.113.9 dst.port=443 proto=tcp` -> `kind = flow and community_id = "(its community id)" and between 2026-11-20T08:12:02Z and 2026-11-20T08:12:04Z`
pub const PIVOT: Pivot = Pivot { name: "packets", doc: "The packets of the flow, from the capture", lens: "packets", run };

fn run(selection: &Selection) -> Option<Lead> {
    let record = selection.record.as_ref()?;
    let flow = if record.kind == Kind::Flow { Some(record.id.to_string()) } else { record.text(field::FLOW).map(str::to_owned) };
    let query = match flow {
        Some(id) => format!("kind = flow and id = {}", quote(&id)),
        None => format!("kind = flow and {} and {}", conversation(record)?, during(record)),
    };
    lead("packets", query)
}
