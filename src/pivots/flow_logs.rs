//! Flow or alert -> what logs and protocols say about the same conversation.

use super::{Lead, Pivot, Selection, conversation, during, lead};
use crate::model::Kind;

/// Log records and protocol events of the same conversation
///
/// Example: `flow src.ip=10.8.21.5 src.port=49321 dst.ip=203.0.113.9 dst.port=443 proto=tcp` -> `kind in {dns, http, tls, file, fw, proxy, auth, dhcp, log} and (community_id = "(its community id)" or flow = 00112233445566aa-40-0) and between 2026-11-20T08:12:02Z and 2026-11-20T08:12:04Z`
pub const PIVOT: Pivot =
    Pivot { name: "flow-logs", doc: "Log records and protocol events of the same conversation", lens: "logs", run };

fn run(selection: &Selection) -> Option<Lead> {
    let record = selection.record.as_ref()?;
    let kinds = "kind in {dns, http, tls, file, fw, proxy, auth, dhcp, log}";
    let same = conversation(record)?;
    let same = if record.kind == Kind::Flow { format!("({same} or flow = {})", record.id) } else { same };
    lead("logs of this conversation", format!("{kinds} and {same} and {}", during(record)))
}
