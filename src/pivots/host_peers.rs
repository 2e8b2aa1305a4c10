//! Host -> with whom it talked. The host itself comes first: its row is the total.

use super::{Lead, Pivot, Selection, host, lead};

/// Peers of the host by bytes
///
/// Example: `10.8.21.5` -> `kind = flow and host = 10.8.21.5 | top 100 host by bytes`
pub const PIVOT: Pivot = Pivot { name: "host-peers", doc: "Peers of the host by bytes", lens: "flows", run };

fn run(selection: &Selection) -> Option<Lead> {
    let host = host(selection)?;
    lead(format!("peers of {host}"), format!("kind = flow and host = {host} | top 100 host by bytes"))
}
