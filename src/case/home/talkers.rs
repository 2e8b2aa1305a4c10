//! Hosts by bytes, with what each sent and received, and whether it is home. Of flows seen by several sources one sighting counts.

use super::{Asking, Cell, Go, Line, Section, Which, numbers};
use crate::error::Result;
use crate::model::{Kind, Value, field};
use std::collections::HashMap;
use std::net::IpAddr;

/// Hosts that are shown.
const SHOWN: usize = 30;

pub(super) fn section(asking: &Asking) -> Result<Section> {
    let scope = if asking.scope.trim().is_empty() { String::new() } else { format!(" and ({})", asking.scope) };
    let busiest = asking.question(&format!("kind = flow{scope} | top {SHOWN} host by bytes"))?;
    let busiest = asking.engine.table(&busiest, asking.cancel)?;
    let top: Vec<(IpAddr, u64)> =
        numbers(busiest).filter_map(|(value, n)| Some((value.first()?.as_addr()?, n))).filter(|(_, n)| *n > 0).collect();
    let sent = if scope.is_empty() { by_sums(asking, &top)? } else { by_records(asking, &top, &scope)? };
    let home = asking.engine.home(asking.cancel)?;
    let line = |(addr, bytes): &(IpAddr, u64)| {
        let out = sent.get(addr).copied().unwrap_or(0).min(*bytes);
        let place = if home.has(*addr) {
            "home"
        } else if home.is_near(*addr) {
            "link"
        } else {
            "outside"
        };
        let value = Value::Addr(*addr);
        Line {
            cells: vec![
                Cell::Of(field::HOST, value.clone()),
                Cell::Text(place.into()),
                Cell::Bytes(out),
                Cell::Bytes(bytes - out),
            ],
            go: Go::Entity(field::HOST, value),
            loud: false,
        }
    };
    let why = if asking.has(&[Kind::Flow]) { "no flow in this window carried bytes" } else { "no source here gives flows" };
    Ok(Section::new(Which::Talkers, top.iter().map(line).collect(), "IP bytes of flows", why))
}

/// Bytes that hosts sent, by the sums of hours that are kept of each host: no record need be read.
fn by_sums(asking: &Asking, top: &[(IpAddr, u64)]) -> Result<HashMap<IpAddr, u64>> {
    let mut sent: HashMap<IpAddr, u64> = HashMap::new();
    for (addr, _) in top {
        for (side, bytes) in [("src.ip", "bytes.out"), ("dst.ip", "bytes.in")] {
            let mut question = asking.question(&format!("kind = flow and {side} = {addr} | timeline 1d {bytes}"))?;
            // What it was on the other side of a translation is another host's line.
            question.elsewhere = false;
            let table = asking.engine.table(&question, asking.cancel)?;
            *sent.entry(*addr).or_default() += numbers(table).map(|(_, n)| n).fold(0, u64::saturating_add);
        }
    }
    Ok(sent)
}

/// The same of records that fulfil conditions besides.
fn by_records(asking: &Asking, top: &[(IpAddr, u64)], scope: &str) -> Result<HashMap<IpAddr, u64>> {
    let mut sent: HashMap<IpAddr, u64> = HashMap::new();
    if top.is_empty() {
        return Ok(sent);
    }
    let hosts: Vec<String> = top.iter().map(|(a, _)| a.to_string()).collect();
    let hosts = hosts.join(", ");
    for (side, bytes) in [("src.ip", "bytes.out"), ("dst.ip", "bytes.in")] {
        let text = format!("kind = flow and {side} in {{{hosts}}}{scope} | sum {bytes} by {side}");
        for (value, n) in numbers(asking.engine.table(&asking.question(&text)?, asking.cancel)?) {
            if let Some(addr) = value.first().and_then(Value::as_addr) {
                let sum = sent.entry(addr).or_default();
                *sum = sum.saturating_add(n);
            }
        }
    }
    Ok(sent)
}
