//! What is selected -> the next question. One file, one relation.
//!
//! A pivot is a pure function from a selection to the text of a query: no I/O, no store, no screen. `None` means "not from here".
//!
//! To add one: write `src/pivots/<name>.rs` with a `pub const PIVOT`, whose doc comment holds an example of a selection and the query it
//! gives (`Example: `10.0.0.5` -> `host = 10.0.0.5``; of a record its kind and `field=value`); add its `pub mod` line and its name to [`ALL`] (the order of the menu); run `cargo test`.

use crate::model::entity::EntityKind;
use crate::model::time::SECOND;
use crate::model::{Entity, FieldId, Record, Value, Window, community_id, field, proto};
use crate::query::quote;
use std::net::IpAddr;

/// What is under the cursor.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// The record, if a row is selected.
    pub record: Option<Record>,
    /// The value, if a cell or the focus is selected.
    pub entity: Option<Entity>,
    /// The window that one looks at.
    pub window: Option<Window>,
}

/// Where a pivot leads: a label for the menu and the query that it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lead {
    /// Label, e.g. `flows of 10.8.21.5`.
    pub label: String,
    /// Query text.
    pub query: String,
}

/// A pivot.
pub struct Pivot {
    /// Name of the relation, as `pivot VALUE --to NAME` takes it; equal to the file's stem with `-` for `_`.
    pub name: &'static str,
    /// What it answers, in one sentence.
    pub doc: &'static str,
    /// The lens it opens in.
    pub lens: &'static str,
    /// The function.
    pub run: fn(&Selection) -> Option<Lead>,
}

pub mod agent;
pub mod alert_flow;
pub mod around;
pub mod certificate;
pub mod connection;
pub mod cve;
pub mod fingerprint;
pub mod flow_alerts;
pub mod flow_logs;
pub mod flow_names;
pub mod flow_records;
pub mod handshakes;
pub mod hash;
pub mod host_alerts;
pub mod host_flows;
pub mod host_peers;
pub mod inventory;
pub mod logs;
pub mod mac;
pub mod more_like_this;
pub mod name_addresses;
pub mod name_askers;
pub mod name_flows;
pub mod name_records;
pub mod names_asked;
pub mod names_pointing_to;
pub mod packets;
pub mod reputation;
pub mod requests;
pub mod scan;
pub mod service_hosts;
pub mod services_offered;
pub mod services_used;
pub mod signature;
pub mod url;
pub mod user;

/// Every pivot, in the order of the menu.
pub const ALL: &[&Pivot] = &[
    &host_alerts::PIVOT,
    &host_flows::PIVOT,
    &host_peers::PIVOT,
    &services_offered::PIVOT,
    &services_used::PIVOT,
    &names_asked::PIVOT,
    &names_pointing_to::PIVOT,
    &requests::PIVOT,
    &handshakes::PIVOT,
    &logs::PIVOT,
    &reputation::PIVOT,
    &inventory::PIVOT,
    &scan::PIVOT,
    &around::PIVOT,
    &alert_flow::PIVOT,
    &packets::PIVOT,
    &flow_alerts::PIVOT,
    &flow_logs::PIVOT,
    &flow_names::PIVOT,
    &flow_records::PIVOT,
    &more_like_this::PIVOT,
    &name_addresses::PIVOT,
    &name_askers::PIVOT,
    &name_flows::PIVOT,
    &name_records::PIVOT,
    &service_hosts::PIVOT,
    &signature::PIVOT,
    &fingerprint::PIVOT,
    &certificate::PIVOT,
    &url::PIVOT,
    &agent::PIVOT,
    &user::PIVOT,
    &mac::PIVOT,
    &hash::PIVOT,
    &cve::PIVOT,
    &connection::PIVOT,
];

/// The pivot with a name.
pub fn find(name: &str) -> Option<&'static Pivot> {
    ALL.iter().copied().find(|p| p.name == name)
}

fn lead(label: impl Into<String>, query: impl Into<String>) -> Option<Lead> {
    Some(Lead { label: label.into(), query: query.into() })
}

/// The selected entity if it is of one of these kinds; without one the record's first value of such a kind, own fields before the rest.
fn entity(selection: &Selection, kinds: &[EntityKind]) -> Option<Entity> {
    if let Some(entity) = &selection.entity {
        return kinds.contains(&entity.kind).then(|| entity.clone());
    }
    let record = selection.record.as_ref()?;
    let of = |(id, value): &(FieldId, Value)| Entity::of(*id, value).filter(|e| kinds.contains(&e.kind));
    if kinds.contains(&EntityKind::Address) {
        let (field, addr) = main_address(record)?;
        return Some(Entity { kind: EntityKind::Address, field, value: Value::Addr(addr) });
    }
    record.fields.iter().find_map(of)
}

/// The selected address or network as text; without a selected value the record's main host.
fn host(selection: &Selection) -> Option<String> {
    match &selection.entity {
        Some(e) => matches!(e.kind, EntityKind::Address | EntityKind::Network).then(|| e.value.to_string()),
        None => main_host(selection.record.as_ref()?).map(|a| a.to_string()),
    }
}

/// The address that a record is about: the originator, unless only the responder is of a private network.
fn main_host(record: &Record) -> Option<IpAddr> {
    main_address(record).map(|(_, addr)| addr)
}

fn main_address(record: &Record) -> Option<(FieldId, IpAddr)> {
    let src = record.addr(field::SRC_IP).map(|a| (field::SRC_IP, a));
    let dst = record.addr(field::DST_IP).map(|a| (field::DST_IP, a));
    match (src, dst) {
        (Some(s), Some(d)) => Some(if is_private(d.1) && !is_private(s.1) { d } else { s }),
        (s, d) => s.or(d),
    }
}

fn is_private(addr: IpAddr) -> bool {
    match addr.to_canonical() {
        IpAddr::V4(a) => a.is_private() || a.is_link_local(),
        IpAddr::V6(a) => a.is_unique_local() || a.is_unicast_link_local(),
    }
}

/// `community_id = "1:..."` of a record that names both ends in full.
fn conversation(record: &Record) -> Option<String> {
    let protocol = record.uint(field::PROTO)? as u8;
    let ports = record.uint(field::SRC_PORT).is_some() && record.uint(field::DST_PORT).is_some();
    if matches!(protocol, proto::TCP | proto::UDP | proto::SCTP) && !ports {
        return None;
    }
    Some(format!("community_id = {}", quote(&community_id::of_record(record)?)))
}

/// From a second before a record to a second after it: sources with whole seconds are off by as much.
fn during(record: &Record) -> String {
    format!("between {} and {}", record.time().plus(-SECOND), record.until().plus(SECOND))
}
