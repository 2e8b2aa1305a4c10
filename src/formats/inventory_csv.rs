//! An inventory as CSV: a header with an address or host name column and at least one that inventories have (owner, role, operating
//! system, site, mission, criticality, hardware address ...).
//!
//! Each row is an inventory record, action `stated`, at the file's modification time. The host it is about is `dst.ip`, as for every record
//! about a host. A cell with several addresses gives one record each. Columns that are not known are in `extra`. A row whose quotes stay
//! open is joined with the lines after it.

use super::{Context, Format, Framing, Out, Reader, Sniff, Status, Unit, draft, draft::Draft, head, table};
use crate::model::field::{self, FieldId};
use crate::model::oddity::Oddity;
use crate::model::record::Kind;
use std::net::IpAddr;

/// The format.
pub static FORMAT: InventoryCsv = InventoryCsv;

/// Inventories.
pub struct InventoryCsv;

impl Format for InventoryCsv {
    fn name(&self) -> &'static str {
        "inventory-csv"
    }
    fn doc(&self) -> &'static str {
        "Inventory as CSV: a header with an address or host name and owner, role, system, site, mission or criticality."
    }
    fn framing(&self) -> Framing {
        Framing::Lines { max: 256 << 10 }
    }
    fn sniff(&self, head: &[u8]) -> Sniff {
        let first = head::lines(head).into_iter().find(|l| !l.starts_with(b"#"));
        if first.is_some_and(|l| is_header(&String::from_utf8_lossy(l))) { Sniff::Yes } else { Sniff::No }
    }
    fn reader(&self, context: &Context) -> Box<dyn Reader> {
        Box::new(Rows { context: context.clone(), header: None, open: None })
    }
}

/// What a column is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    /// Addresses of the host.
    Address,
    /// A field of it.
    Field(FieldId),
    /// Nothing that is known.
    Other,
}

/// What a column of a name is.
pub(super) fn column(name: &str) -> Column {
    Column::Field(match table::plain_name(name).as_str() {
        "ip" | "ips" | "ip_address" | "ip_addresses" | "ipaddress" | "address" | "ipv4" | "ipv6" | "ipv4_address" | "host_ip"
        | "primary_ip" => {
            return Column::Address;
        }
        "host" | "hostname" | "host_name" | "name" | "computer" | "computer_name" | "device" | "device_name" | "asset"
        | "asset_name" | "fqdn" | "dns_name" | "system_name" | "machine" => field::HOSTNAME,
        "mac" | "mac_address" | "macaddress" | "hwaddr" | "ethernet" | "physical_address" => field::DST_MAC,
        "owner" | "asset_owner" | "responsible" | "contact" | "custodian" => field::OWNER,
        "user" | "username" | "assigned_to" | "primary_user" | "last_user" => field::USER,
        "role" | "type" | "device_type" | "asset_type" | "function" | "purpose" | "class" => field::ROLE,
        "os" | "operating_system" | "os_name" | "platform" => field::OS,
        "location" | "site" | "building" | "room" | "office" | "datacenter" => field::SITE,
        "mission" | "business_function" | "business_service" | "application" => field::MISSION,
        "criticality" | "criticity" | "importance" | "business_impact" | "tier" => field::CRITICALITY,
        "department" | "dept" | "team" | "group" | "business_unit" => field::CATEGORY,
        "vendor" | "manufacturer" | "model" | "product" => field::PRODUCT,
        "vlan" | "vlan_id" => field::VLAN,
        _ => return Column::Other,
    })
}

/// Whether a line is the header of an inventory.
pub(super) fn is_header(line: &str) -> bool {
    parse_header(line).is_some()
}

fn parse_header(line: &str) -> Option<(u8, Vec<(String, Column)>)> {
    let separator = table::separator(line)?;
    let cells = table::cells(line, separator)?;
    let names: Vec<&str> = cells.iter().map(AsRef::as_ref).collect();
    is_about_hosts(&names).then(|| (separator, names.iter().map(|n| (table::plain_name(n), column(n))).collect()))
}

/// Whether names of columns are those of an inventory.
pub(super) fn is_about_hosts(names: &[&str]) -> bool {
    const TELLING: [FieldId; 9] = [
        field::OWNER,
        field::USER,
        field::ROLE,
        field::OS,
        field::SITE,
        field::MISSION,
        field::CRITICALITY,
        field::CATEGORY,
        field::DST_MAC,
    ];
    // What vulnerability scans, reputation lists and leases have, and inventories do not.
    const FOREIGN: [&str; 24] = [
        "ts",
        "uid",
        "id_orig_h",
        "uri",
        "method",
        "status_code",
        "success",
        "cve",
        "cvss",
        "severity",
        "plugin_id",
        "vulnerability",
        "solution",
        "confidence",
        "threat",
        "malware",
        "first_seen",
        "port",
        "protocol",
        "timestamp",
        "time",
        "qid",
        "nvt_name",
        "valid_lifetime",
    ];
    let columns: Vec<Column> = names.iter().map(|n| column(n)).collect();
    let identified = columns.iter().any(|c| matches!(c, Column::Address | Column::Field(field::HOSTNAME)));
    let telling = columns.iter().any(|c| matches!(c, Column::Field(id) if TELLING.contains(id)));
    let foreign = names.iter().any(|n| FOREIGN.contains(&table::plain_name(n).as_str()));
    identified && telling && !foreign
}

struct Rows {
    context: Context,
    header: Option<(u8, Vec<(String, Column)>)>,
    /// A row whose quotes are open: where it began, and its text.
    open: Option<(Unit, String)>,
}

/// Longest row over several lines.
const ROW_MAX: usize = 16 << 10;

impl Reader for Rows {
    fn line(&mut self, line: &[u8], unit: Unit, out: &mut Out) -> Status {
        let text = String::from_utf8_lossy(line);
        let Some((separator, columns)) = &self.header else {
            self.header = parse_header(&text);
            let blank = text.trim().is_empty() || text.starts_with('#');
            return if self.header.is_some() || blank { Status::Skipped } else { failed(unit, out) };
        };
        let (unit, row) = match self.open.take() {
            Some((from, open)) => (from, format!("{open}\n{text}")),
            None if text.trim().is_empty() || text.starts_with('#') => return Status::Skipped,
            None => (unit, text.into_owned()),
        };
        match table::cells(&row, *separator) {
            Some(cells) => self.row(columns, &cells, unit, row.len(), out),
            None if row.len() < ROW_MAX => {
                self.open = Some((unit, row));
                Status::Skipped
            }
            None => failed(unit, out),
        }
    }
    fn end(&mut self, out: &mut Out) {
        if let Some((unit, _)) = self.open.take() {
            failed(unit, out);
        }
    }
}

fn failed(unit: Unit, out: &mut Out) -> Status {
    out.oddities.push(Oddity::at("csv_row_malformed", format!("line {}", unit.line)));
    Status::Failed
}

impl Rows {
    fn row(
        &self,
        columns: &[(String, Column)],
        cells: &[std::borrow::Cow<'_, str>],
        unit: Unit,
        len: usize,
        out: &mut Out,
    ) -> Status {
        if cells.iter().all(|c| c.is_empty()) {
            return Status::Skipped;
        }
        let filled = || columns.iter().zip(cells).filter(|(_, cell)| !cell.is_empty());
        let mut addresses: Vec<IpAddr> = Vec::new();
        for (_, cell) in filled().filter(|((_, c), _)| *c == Column::Address) {
            addresses.extend(cell.split([',', ';', ' ', '\n', '/']).filter_map(draft::address).take(64));
        }
        let hosts = if addresses.is_empty() { vec![None] } else { addresses.into_iter().map(Some).collect() };
        let mut status = Status::Ok;
        for host in hosts {
            let mut d = Draft::new(Kind::Inventory, &self.context, unit, len, self.context.modified);
            d.text(field::ACTION, "stated");
            if let Some(host) = host {
                d.give(field::DST_IP, host.into());
            }
            for ((name, column), cell) in filled() {
                match column {
                    Column::Field(id) => d.put_or_keep(*id, name, cell),
                    Column::Address if host.is_some() => {}
                    Column::Address => {
                        d.partial = true;
                        d.keep(name, cell);
                    }
                    Column::Other => d.keep(name, cell),
                }
            }
            d.partial |= cells.len() != columns.len();
            if d.finish(None, out) == Status::Partial {
                status = Status::Partial;
            }
        }
        status
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::{read_all, show};

    #[test]
    fn a_row_states_what_a_host_is() {
        assert_eq!(
            show(
                &FORMAT,
                "Hostname;IP Address;MAC;Owner;Role;OS;Site;Mission;Criticality;Asset Tag\nWS-21.corp.example;10.8.21.5;AA-BB-CC-00-11-22;jdoe;workstation;Windows 10;HQ;sales;low;A-17"
            ),
            "inventory 2026-11-20T12:00:00Z dst.ip=10.8.21.5 dst.mac=aa:bb:cc:00:11:22 action=stated hostname=ws-21.corp.example os=Windows 10 \
             role=workstation owner=jdoe mission=sales criticality=low site=HQ extra={\"asset_tag\":\"A-17\"}"
        );
    }

    #[test]
    fn quoted_line_ends_join_lines_and_several_addresses_give_several_records() {
        let read = read_all(&FORMAT, "host,ip,owner,note\na,\"10.0.0.1, 10.0.0.2\",x,\"two\nlines\"\n\n");
        assert_eq!(read.counts, [1, 0, 3, 0]);
        let ids: Vec<_> = read.records.iter().map(|r| (r.record.id.offset, r.record.id.ordinal)).collect();
        assert_eq!(ids, [(19, 0), (19, 1)]);
        assert_eq!(read.records[0].record.text(field::EXTRA), Some(r#"{"note":"two\nlines"}"#));
    }
}
