//! Host -> what sensors said about it.

use super::{Lead, Pivot, Selection, host, lead};

/// Alerts and notices that name the host
///
/// Example: `10.8.21.5` -> `kind in {alert, notice} and host = 10.8.21.5`
pub const PIVOT: Pivot = Pivot { name: "host-alerts", doc: "Alerts and notices that name the host", lens: "alerts", run };

fn run(selection: &Selection) -> Option<Lead> {
    let host = host(selection)?;
    lead(format!("alerts of {host}"), format!("kind in {{alert, notice}} and host = {host}"))
}
