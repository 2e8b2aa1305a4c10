//! Hosts and services of one's own that were never there before the window.

use super::{ACCEPTED, Asking, Explained, LINES, VALUES, rows};
use crate::error::Result;
use crate::model::field::{self, FieldId};
use crate::model::site::Home;
use crate::model::{Time, Value, Window, proto};

/// Hosts and services that are looked up in the time before.
const LOOKED_UP: usize = 60;

/// A host or service that is new.
#[derive(Debug, Clone, PartialEq)]
pub struct New {
    /// `host` or `service`.
    pub what: &'static str,
    /// In words.
    pub value: String,
    /// What one can pivot on.
    pub of: (FieldId, Value),
    /// Flows in the window.
    pub flows: u64,
    /// The query of its records.
    pub query: String,
}

/// Finds them; without a day before the window nothing is new.
pub(super) fn find(asking: &Asking<'_>, home: &Home, out: &mut Explained) -> Result<()> {
    let Some(span) = asking.engine.span() else { return Ok(()) };
    let before = Window::new(span.start, asking.window.start);
    if before.length() < crate::model::time::DAY {
        out.notes.push("less than a day before the window: what is new in it cannot be told".into());
        return Ok(());
    }
    let mut beyond = 0usize;
    let ends = asking.table("kind = flow", &format!("count by src.ip | head {VALUES}"), &asking.window)?;
    let mut list: Vec<(Value, u64)> = Vec::new();
    for (row, n) in rows(&ends) {
        let Some(Some(value)) = row.first() else { continue };
        if value.as_addr().is_some_and(|a| home.has(a)) {
            list.push((value.clone(), n as u64));
        }
    }
    beyond += list.len().saturating_sub(LOOKED_UP);
    // Those with the fewest flows first: what is new is seldom busy, and who is busy was mostly there.
    list.sort_by_key(|l| l.1);
    for (value, flows) in list.into_iter().take(LOOKED_UP) {
        let conditions = format!("kind = flow and src.ip = {value}");
        if !was(asking, &conditions, &before)? {
            let query = asking.query(&conditions);
            out.new.push(New { what: "host", value: value.to_string(), of: (field::SRC_IP, value), flows, query });
        }
    }
    let services = format!("count by dst.ip, proto, dst.port | head {VALUES}");
    let table = asking.table(&format!("{ACCEPTED} and proto in {{tcp, udp}}"), &services, &asking.window)?;
    let mut list: Vec<(&Value, u64, u64, u64)> = rows(&table)
        .filter_map(|(row, n)| {
            let [Some(addr), Some(p), Some(port)] = row else { return None };
            Some((addr, p.as_uint()?, port.as_uint()?, n as u64))
        })
        .filter(|(addr, ..)| addr.as_addr().is_some_and(|a| home.has(a)))
        .collect();
    beyond += list.len().saturating_sub(LOOKED_UP);
    list.sort_by_key(|l| l.3);
    for (addr, p, port, flows) in list.into_iter().take(LOOKED_UP) {
        let p = proto::show(u8::try_from(p).unwrap_or(0));
        let conditions = format!("{ACCEPTED} and dst.ip = {addr} and proto = {p} and dst.port = {port}");
        if !was(asking, &conditions, &before)? {
            let query = asking.query(&conditions);
            let value = format!("{addr} {port}/{p}");
            out.new.push(New { what: "service", value, of: (field::DST_IP, addr.clone()), flows, query });
        }
    }
    if beyond > 0 {
        out.notes.push(format!("{beyond} busier hosts and services were not looked up in the time before"));
    }
    out.new.sort_by(|a, b| (a.what, std::cmp::Reverse(a.flows), &a.value).cmp(&(b.what, std::cmp::Reverse(b.flows), &b.value)));
    out.new.truncate(2 * LINES);
    Ok(())
}

/// Whether anything of it was there before.
fn was(asking: &Asking<'_>, conditions: &str, before: &Window) -> Result<bool> {
    asking.cancel.check()?;
    let question = asking.engine.compile(conditions)?.within(&Window::new(before.start, before.end.max(Time(before.start.0))));
    let counts = asking.engine.counts(&[question], 1, asking.cancel)?;
    Ok(counts.first().is_some_and(|c| c.n > 0))
}
