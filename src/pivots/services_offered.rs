//! Host -> what it answers on.

use super::{Lead, Pivot, Selection, host, lead};

/// Services that the host answered on
///
/// Example: `10.8.21.5` -> `kind = flow and dst.ip = 10.8.21.5 and packets.in > 0 | count by proto, dst.port, app`
pub const PIVOT: Pivot = Pivot { name: "services-offered", doc: "Services that the host answered on", lens: "flows", run };

fn run(selection: &Selection) -> Option<Lead> {
    let host = host(selection)?;
    lead(
        format!("services offered by {host}"),
        format!("kind = flow and dst.ip = {host} and packets.in > 0 | count by proto, dst.port, app"),
    )
}
