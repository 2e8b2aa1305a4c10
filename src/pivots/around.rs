//! Any record -> what happened around it, in every source, for its host.

use super::{Lead, Pivot, Selection, host, lead, main_host};

/// Everything of its host, 10 minutes either side
///
/// Example: `alert src.ip=10.8.21.5 src.port=49321 dst.ip=203.0.113.9 dst.port=443 proto=tcp` -> `host = 10.8.21.5 and around 2026-11-20T08:12:03Z 10m`
pub const PIVOT: Pivot = Pivot { name: "around", doc: "Everything of its host, 10 minutes either side", lens: "all", run };

fn run(selection: &Selection) -> Option<Lead> {
    let record = selection.record.as_ref()?;
    let host = host(selection).or_else(|| main_host(record).map(|a| a.to_string()));
    let of = host.as_ref().map_or_else(String::new, |h| format!("host = {h} and "));
    let label = host.map_or_else(|| "around this".into(), |h| format!("around this for {h}"));
    lead(label, format!("{of}around {} 10m", record.time()))
}
