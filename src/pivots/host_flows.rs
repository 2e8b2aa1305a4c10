//! Host -> its conversations.

use super::{Lead, Pivot, Selection, host, lead};

/// Flows of the host, in either direction
///
/// Example: `10.8.21.5` -> `kind = flow and host = 10.8.21.5`
/// Example: `10.8.0.0/16` -> `kind = flow and host = 10.8.0.0/16`
pub const PIVOT: Pivot = Pivot { name: "host-flows", doc: "Flows of the host, in either direction", lens: "flows", run };

fn run(selection: &Selection) -> Option<Lead> {
    let host = host(selection)?;
    lead(format!("flows of {host}"), format!("kind = flow and host = {host}"))
}
