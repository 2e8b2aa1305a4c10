//! Attacks that were seen twice, as packets and as events of the hosts: which events are linked to which flows, and what is said of the clocks.

use crate::story::Case;
use backtrail::model::field::{DST_IP, DST_PORT, SRC_IP, SRC_PORT};
use backtrail::model::{FieldId, Kind, Record};
use backtrail::query::Engine;
use backtrail::query::engine::Cancel;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;

/// The ends of a connection, the lesser first.
fn ends(r: &Record) -> Option<[(IpAddr, u64); 2]> {
    let end = |ip: FieldId, port: FieldId| Some((r.addr(ip)?, r.uint(port)?));
    let mut ends = [end(SRC_IP, SRC_PORT)?, end(DST_IP, DST_PORT)?];
    ends.sort_unstable();
    Some(ends)
}

/// Events whose both ends a flow of the capture has, and how many of them are linked to such a flow.
fn linked(name: &str) -> (usize, usize) {
    let case = Case::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("sample-data/attacks").join(name);
    let report = case.ingest(&[folder]);
    // One of the captures was cut off while it was written.
    assert!(report.files.iter().all(|f| f.is_archive() || f.counts.records > 0), "{:?}", report.files);
    let captured: BTreeSet<_> = case.rows("kind = flow").iter().filter_map(ends).collect();
    assert!(captured.len() >= 3, "{name}: {} connections", captured.len());
    let (mut shared, mut joined) = (0, 0);
    for event in case.rows("kind != flow and exists src.port and exists dst.port") {
        let Some(both) = ends(&event).filter(|e| captured.contains(e)) else { continue };
        // What the packets said themselves needs no link.
        if case.engine.evidence_path(event.id.evidence).contains("network.zip") {
            continue;
        }
        shared += 1;
        let links = case.engine.links(&event, &Cancel::default()).unwrap();
        let flows: Vec<_> = links.iter().filter(|l| l.record.kind == Kind::Flow).collect();
        assert!(flows.iter().all(|l| ends(&l.record) == Some(both)), "{name}: {event:?} is linked to {flows:?}");
        joined += usize::from(!flows.is_empty());
    }
    // The clocks share too few connections to be measured: whatever is said of one has to be what the links show.
    for source in case.engine.sources() {
        let claimed = source.estimate.as_ref().filter(|e| e.applies());
        assert!(claimed.is_none(), "{name}: {} is corrected by {claimed:?}", source.name);
    }
    (shared, joined)
}

#[test]
fn events_of_the_hosts_are_linked_to_the_flows_of_the_capture_and_to_no_others() {
    for (name, least) in [("copy_smb", 8), ("ldap_search", 13), ("stop_service", 10)] {
        let (shared, joined) = linked(name);
        println!("{name}: {joined} of {shared}");
        assert!(joined >= least && joined * 10 >= shared * 8, "{name}: {joined} of {shared}");
    }
}
