//! Host -> the names that DNS answered with its address.

use super::{Lead, Pivot, Selection, host, lead};

/// DNS answers that hold the address
///
/// Example: `203.0.113.9` -> `kind = dns and dns.answer.ip = 203.0.113.9`
pub const PIVOT: Pivot = Pivot { name: "names-pointing-to", doc: "DNS answers that hold the address", lens: "dns", run };

fn run(selection: &Selection) -> Option<Lead> {
    let host = host(selection)?;
    lead(format!("names pointing to {host}"), format!("kind = dns and dns.answer.ip = {host}"))
}
