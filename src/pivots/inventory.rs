//! Host -> what is said to be there.

use super::{Lead, Pivot, Selection, host, lead};

/// Inventory rows of the host
///
/// Example: `10.8.21.5` -> `kind = inventory and host = 10.8.21.5 and not exists indicator`
pub const PIVOT: Pivot = Pivot { name: "inventory", doc: "Inventory rows of the host", lens: "host", run };

fn run(selection: &Selection) -> Option<Lead> {
    let host = host(selection)?;
    lead(format!("inventory of {host}"), format!("kind = inventory and host = {host} and not exists indicator"))
}
