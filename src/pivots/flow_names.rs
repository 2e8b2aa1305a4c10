//! Flow, alert or log line -> the DNS answers by which this client may have known the other side.

use super::{Lead, Pivot, Selection, lead};
use crate::model::field;

/// DNS answers that gave this client the address
///
/// Example: `flow src.ip=10.8.21.5 src.port=49321 dst.ip=203.0.113.9 dst.port=443 proto=tcp` -> `kind = dns and src.ip = 10.8.21.5 and dns.answer.ip = 203.0.113.9`
pub const PIVOT: Pivot = Pivot { name: "flow-names", doc: "DNS answers that gave this client the address", lens: "dns", run };

fn run(selection: &Selection) -> Option<Lead> {
    let record = selection.record.as_ref()?;
    let (client, server) = (record.addr(field::SRC_IP)?, record.addr(field::DST_IP)?);
    lead(
        format!("names that {client} knew {server} by"),
        format!("kind = dns and src.ip = {client} and dns.answer.ip = {server}"),
    )
}
