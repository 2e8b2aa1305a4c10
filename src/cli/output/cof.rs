//! Passive DNS in the Common Output Format (draft-dulaunoy-dnsop-passive-dns-cof): one JSON object per name, type and answer. Names end with a
//! dot; times are whole seconds since 1970. An address is given for the name that was asked; aliases on the way are rows of their own.

use super::{Rows, io};
use crate::error::Result;
use crate::model::time::SECOND;
use crate::model::{Kind, Record, Time};
use crate::query::Engine;
use crate::query::engine::Passive;
use crate::query::passive::Fold;
use crate::store::PassiveEntry;
use crate::store::names::Answer;
use serde_json::json;
use std::io::Write;

/// Collects DNS events and writes them when all are there.
pub struct CofRows<'w> {
    fold: Fold,
    out: &'w mut dyn Write,
}

impl<'w> CofRows<'w> {
    /// Nothing yet.
    pub fn new(out: &'w mut dyn Write) -> CofRows<'w> {
        CofRows { fold: Fold::default(), out }
    }
}

impl Rows for CofRows<'_> {
    fn record(&mut self, record: &Record, _: &dyn Engine) -> Result<()> {
        if record.kind == Kind::Dns {
            self.fold.event(record);
        }
        Ok(())
    }
    fn end(&mut self) -> Result<()> {
        write(&std::mem::take(&mut self.fold).finish(), usize::MAX, self.out)
    }
}

/// Writes at most so many rows.
pub fn write(passive: &Passive, limit: usize, out: &mut dyn Write) -> Result<()> {
    for row in passive.rows.iter().take(limit) {
        writeln!(out, "{}", line(row)).map_err(io)?;
    }
    if passive.beyond > 0 {
        let _ = writeln!(std::io::stderr(), "note: answers beyond the first {} are left out", passive.rows.len());
    }
    Ok(())
}

fn line(row: &PassiveEntry) -> serde_json::Value {
    let rdata = match &row.answer {
        Answer::Addr(addr) => addr.to_string(),
        Answer::Text(name) if is_name(&row.kind) => format!("{name}."),
        Answer::Text(text) => text.to_string(),
    };
    let seconds = |t: Time| t.0.div_euclid(SECOND);
    json!({
        "rrname": format!("{}.", row.name),
        "rrtype": row.kind,
        "rdata": rdata,
        "time_first": seconds(row.seen.first),
        "time_last": seconds(row.seen.last),
        "count": row.seen.count,
    })
}

/// Whether answers of a type are names.
fn is_name(kind: &str) -> bool {
    matches!(kind, "CNAME" | "PTR" | "NS" | "MX" | "SRV" | "DNAME")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::names::Seen;

    #[test]
    fn a_row_is_one_object_of_the_format() {
        let seen = Seen { count: 2, first: Time(1_277_353_744_900_000_000), last: Time(1_386_405_372 * SECOND) };
        let row = |kind: &str, answer| PassiveEntry { name: "www.evil.example".into(), kind: kind.into(), answer, seen };
        assert_eq!(
            line(&row("A", Answer::Addr([203, 0, 113, 9].into()))).to_string(),
            r#"{"rrname":"www.evil.example.","rrtype":"A","rdata":"203.0.113.9","time_first":1277353744,"time_last":1386405372,"count":2}"#
        );
        assert_eq!(line(&row("CNAME", Answer::Text("cdn.test".into())))["rdata"], "cdn.test.");
        assert_eq!(line(&row("TXT", Answer::Text("v=spf1 -all".into())))["rdata"], "v=spf1 -all");
    }
}
