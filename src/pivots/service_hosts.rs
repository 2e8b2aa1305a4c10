//! Service -> the hosts that offer it.

use super::{Lead, Pivot, Selection, entity, lead};
use crate::model::entity::EntityKind;
use crate::model::field;
use crate::model::proto;

/// Hosts that answered on the port
///
/// Example: `445/tcp` -> `kind = flow and dst.port = 445 and packets.in > 0 | count by dst.ip`
/// Example: `flow src.ip=10.8.21.5 src.port=49321 dst.ip=203.0.113.9 dst.port=443 proto=tcp` -> `kind = flow and proto = tcp and dst.port = 443 and packets.in > 0 | count by dst.ip`
pub const PIVOT: Pivot = Pivot { name: "service-hosts", doc: "Hosts that answered on the port", lens: "flows", run };

fn run(selection: &Selection) -> Option<Lead> {
    let port = entity(selection, &[EntityKind::Service])?.value.as_uint()?;
    let transport = selection.record.as_ref().and_then(|r| r.uint(field::PROTO)).map(|n| proto::show(n as u8));
    let only = transport.map_or_else(String::new, |name| format!("proto = {name} and "));
    lead(
        format!("hosts that offer {port}"),
        format!("kind = flow and {only}dst.port = {port} and packets.in > 0 | count by dst.ip"),
    )
}
