//! Host -> web requests by and to it.

use super::{Lead, Pivot, Selection, host, lead};

/// HTTP requests by and to the host
///
/// Example: `10.8.21.5` -> `kind in {http, proxy} and host = 10.8.21.5`
pub const PIVOT: Pivot = Pivot { name: "requests", doc: "HTTP requests by and to the host", lens: "logs", run };

fn run(selection: &Selection) -> Option<Lead> {
    let host = host(selection)?;
    lead(format!("requests of {host}"), format!("kind in {{http, proxy}} and host = {host}"))
}
