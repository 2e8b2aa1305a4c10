//! An inventory as JSON: an array of hosts, one a line, or the list in an answer of a system that keeps them (NetBox `results`, ServiceNow
//! `result`, Snipe-IT `rows`, Ansible and others `hosts`, `assets`, `devices`, `items`, `data`).
//!
//! What a member means is as for a column of the CSV (see `inventory_csv`); of an object under a member its `address`, `display_value`, `name`, `display`,
//! `label` or `value` counts. Each host is an inventory record, action `stated`, at the file's modification time, one for each of its addresses. Members that
//! are not known are in `extra`.
//!
//! `inventory_csv`: super::inventory_csv

use super::inventory_csv::{self, Column};
use super::{Context, Format, Framing, Out, Reader, Sniff, Status, Unit, draft, draft::Draft, json, json_lines, objects};
use crate::model::field;
use crate::model::record::Kind;
use serde_json::value::RawValue;
use std::io::BufRead;
use std::net::IpAddr;

/// The format.
pub static FORMAT: InventoryJson = InventoryJson;

/// Inventories in JSON.
pub struct InventoryJson;

/// Keys of the lists in which systems give their hosts.
const HOLDERS: [&[&str]; 8] =
    [&["results"], &["result"], &["rows"], &["hosts"], &["assets"], &["devices"], &["items"], &["data"]];

/// The holder of the list that a head has, if it is not an array or lines of objects itself.
fn holder(head: &[u8]) -> &'static [&'static str] {
    let text = super::head::plain(head).trim_ascii_start();
    let held = |key: &str| {
        let quoted = format!("\"{key}\"");
        let at = memchr::memmem::find(text, quoted.as_bytes())?;
        let rest = text[at + quoted.len()..].trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
        let inner = rest.strip_prefix(b"[")?.trim_ascii_start();
        (inner.starts_with(b"{") || inner.starts_with(b"]")).then_some(at)
    };
    if !text.starts_with(b"{") {
        return &[];
    }
    HOLDERS.into_iter().filter_map(|h| Some((held(h[0])?, h))).min_by_key(|(at, _)| *at).map_or(&[], |(_, h)| h)
}

impl Format for InventoryJson {
    fn name(&self) -> &'static str {
        "inventory-json"
    }
    fn doc(&self) -> &'static str {
        "Inventory as JSON: objects with an address or host name and owner, role, system, site, mission or criticality."
    }
    fn framing(&self) -> Framing {
        Framing::Document
    }
    fn sniff(&self, head: &[u8]) -> Sniff {
        let plain = super::head::plain(head);
        let mut text = plain.trim_ascii_start();
        if !text.starts_with(b"{") && !text.starts_with(b"[") {
            return Sniff::No;
        }
        let holder = holder(plain);
        let found = match objects::Objects::new(&mut text, holder).next() {
            objects::Found::Object(object, _) => json::object(&object).is_some_and(|o| is_host(&o)),
            _ => false,
        };
        if found { Sniff::Yes } else { Sniff::No }
    }
    fn reader(&self, context: &Context) -> Box<dyn Reader> {
        Box::new(Hosts { context: context.clone() })
    }
}

/// Whether an object is about a host, as the header of a table would be.
fn is_host(members: &json::Members<'_>) -> bool {
    let names: Vec<&str> = members.iter().map(|(k, _)| k.as_ref()).collect();
    // A list of what is no indicator has a name and a type too.
    if names.contains(&"list") || names.contains(&"matching_attributes") {
        return false;
    }
    // When a row was made says nothing against it; the time of an event does.
    let event = names.iter().any(|n| json_lines::TIMES.contains(n) && !matches!(*n, "created" | "created_at" | "date" | "t"));
    !event && inventory_csv::is_about_hosts(&names)
}

struct Hosts {
    context: Context,
}

impl Reader for Hosts {
    fn line(&mut self, _: &[u8], _: Unit, _: &mut Out) -> Status {
        Status::Skipped
    }
    fn document(&mut self, input: &mut dyn BufRead, each: &mut dyn FnMut(Status, Out) -> bool) {
        let holder = input.fill_buf().map_or(&[][..], holder);
        objects::read_each(input, holder, each, &mut |text, unit, out| self.host(text, unit, out));
    }
}

/// The texts of a member: itself, those of its elements, or what names an object.
fn texts(raw: &RawValue) -> Vec<String> {
    const NAMING: [&str; 6] = ["address", "display_value", "name", "display", "label", "value"];
    let one = |raw: &RawValue| match json::is_nested(raw) {
        false => Some(json::scalar(raw).into_owned()),
        true => {
            let object = json::object(raw.get())?;
            NAMING
                .iter()
                .find_map(|k| json::member(&object, k).filter(|v| !json::is_nested(v)))
                .map(|v| json::scalar(v).into_owned())
        }
    };
    json::elements(raw).into_iter().take(64).filter_map(one).filter(|t| !t.is_empty()).collect()
}

impl Hosts {
    fn host(&self, text: &str, unit: Unit, out: &mut Out) -> Status {
        let Some(members) = json::object(text) else { return objects::malformed(unit, out) };
        let columns: Vec<(&str, Column, &RawValue)> =
            members.iter().map(|(k, raw)| (k.as_ref(), inventory_csv::column(k), *raw)).collect();
        // NetBox gives addresses with the length of their network.
        let bare = |t: String| draft::address(t.split('/').next().unwrap_or(&t));
        let mut addresses: Vec<IpAddr> = Vec::new();
        for (_, _, raw) in columns.iter().filter(|(_, c, _)| *c == Column::Address) {
            for address in texts(raw).into_iter().flat_map(|t| t.split([',', ';', ' ']).map(str::to_owned).collect::<Vec<_>>()) {
                addresses.extend(bare(address).filter(|a| !addresses.contains(a)));
            }
        }
        let hosts = if addresses.is_empty() { vec![None] } else { addresses.into_iter().take(64).map(Some).collect() };
        let mut status = Status::Ok;
        for host in hosts {
            let mut d = Draft::new(Kind::Inventory, &self.context, unit, text.len(), self.context.modified);
            d.text(field::ACTION, "stated");
            if let Some(host) = host {
                d.give(field::DST_IP, host.into());
            }
            for (name, column, raw) in &columns {
                let said = texts(raw);
                match column {
                    Column::Address if host.is_some() => {}
                    Column::Field(id) if !said.is_empty() => said.iter().for_each(|t| d.put_or_keep(*id, name, t)),
                    _ if json::is_nested(raw) => d.keep_json(name, raw.get()),
                    _ => d.keep(name, draft::cut(&json::scalar(raw))),
                }
            }
            d.partial |= !d.has(field::DST_IP) && !d.has(field::HOSTNAME);
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
    use crate::formats::tests::read_all;

    #[test]
    fn lists_and_answers_are_read() {
        let want = "inventory 2026-11-20T12:00:00Z dst.ip=192.0.2.5 action=stated hostname=pc1 role=workstation owner=jdoe site=HQ extra={\"asset_tag\":7}\n";
        let flat = r#"{"name":"pc1","ip":"192.0.2.5","owner":"jdoe","role":"workstation","site":"HQ","asset_tag":7}"#;
        let netbox = r#"{"count":1,"next":null,"results":[{"name":"pc1","primary_ip":{"id":3,"address":"192.0.2.5/24"},"owner":{"name":"jdoe"},"role":{"id":1,"name":"workstation"},"site":{"display":"HQ"},"asset_tag":7}]}"#;
        for text in [flat.to_owned(), format!("[{flat}]"), format!("{{\"result\":[\n{flat}\n]}}"), netbox.to_owned()] {
            assert_eq!(FORMAT.sniff(text.as_bytes()), Sniff::Yes, "{text}");
            let shown = read_all(&FORMAT, &text).shown();
            assert_eq!(shown.replace(r#""asset_tag":"7""#, r#""asset_tag":7"#), want, "{text}");
        }
    }

    #[test]
    fn a_log_is_no_inventory() {
        for text in
            [r#"{"ts":1,"host":"a","owner":"b"}"#, r#"{"timestamp":"2026-01-01T00:00:00Z","hostname":"a","user":"b"}"#, "[1]"]
        {
            assert_eq!(FORMAT.sniff(text.as_bytes()), Sniff::No, "{text}");
        }
    }
}
