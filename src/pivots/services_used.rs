//! Host -> what it uses of others.

use super::{Lead, Pivot, Selection, host, lead};

/// Services that the host asked for
///
/// Example: `10.8.21.5` -> `kind = flow and src.ip = 10.8.21.5 | count by proto, dst.port, app`
pub const PIVOT: Pivot = Pivot { name: "services-used", doc: "Services that the host asked for", lens: "flows", run };

fn run(selection: &Selection) -> Option<Lead> {
    let host = host(selection)?;
    lead(format!("services used by {host}"), format!("kind = flow and src.ip = {host} | count by proto, dst.port, app"))
}
