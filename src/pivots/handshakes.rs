//! Host -> TLS handshakes by and to it.

use super::{Lead, Pivot, Selection, host, lead};

/// TLS handshakes by and to the host
///
/// Example: `10.8.21.5` -> `kind = tls and host = 10.8.21.5`
pub const PIVOT: Pivot = Pivot { name: "handshakes", doc: "TLS handshakes by and to the host", lens: "logs", run };

fn run(selection: &Selection) -> Option<Lead> {
    let host = host(selection)?;
    lead(format!("handshakes of {host}"), format!("kind = tls and host = {host}"))
}
