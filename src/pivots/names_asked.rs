//! Host -> the names that it asked DNS for.

use super::{Lead, Pivot, Selection, host, lead};

/// DNS questions of the host
///
/// Example: `10.8.21.5` -> `kind = dns and src.ip = 10.8.21.5`
pub const PIVOT: Pivot = Pivot { name: "names-asked", doc: "DNS questions of the host", lens: "dns", run };

fn run(selection: &Selection) -> Option<Lead> {
    let host = host(selection)?;
    lead(format!("names asked by {host}"), format!("kind = dns and src.ip = {host}"))
}
