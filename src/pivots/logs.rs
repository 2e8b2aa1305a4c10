//! Host -> what firewalls, proxies, servers wrote about it.

use super::{Lead, Pivot, Selection, host, lead};

/// Firewall, proxy, login and other log records of the host
///
/// Example: `10.8.21.5` -> `kind in {fw, proxy, auth, dhcp, log} and host = 10.8.21.5`
pub const PIVOT: Pivot =
    Pivot { name: "logs", doc: "Firewall, proxy, login and other log records of the host", lens: "logs", run };

fn run(selection: &Selection) -> Option<Lead> {
    let host = host(selection)?;
    lead(format!("logs of {host}"), format!("kind in {{fw, proxy, auth, dhcp, log}} and host = {host}"))
}
