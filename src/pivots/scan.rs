//! Host -> what scanners found on it.

use super::{Lead, Pivot, Selection, host, lead};

/// Open ports and vulnerabilities that scanners found
///
/// Example: `10.8.21.5` -> `host = 10.8.21.5 and (kind = vuln or exists port.state)`
pub const PIVOT: Pivot = Pivot { name: "scan", doc: "Open ports and vulnerabilities that scanners found", lens: "host", run };

fn run(selection: &Selection) -> Option<Lead> {
    let host = host(selection)?;
    lead(format!("scan of {host}"), format!("host = {host} and (kind = vuln or exists port.state)"))
}
