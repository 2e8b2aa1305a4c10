//! Sweeps: one row an indicator, with where it was seen, or why not.

use super::table::Grid;
use super::{Form, io};
use crate::error::{Error, Result};
use crate::model::Time;
use crate::query::Engine;
use crate::query::sweep::{self, Answer, Swept};
use serde_json::json;
use std::io::Write;

/// Hosts that a row of a table names.
const HOSTS: usize = 3;

/// Whether a form can hold a sweep.
pub fn takes(form: Form) -> Result<()> {
    match form {
        Form::Zeek => Err(Error::user("Zeek's form holds flows, not indicators").hint("-o table, jsonl or csv")),
        Form::Cof => Err(Error::user("COF holds passive DNS, not indicators").hint("-o table, jsonl or csv")),
        _ => Ok(()),
    }
}

/// Writes rows of an answer, in this order.
pub fn write(form: Form, answer: &Answer, rows: &[&Swept], engine: &dyn Engine, out: &mut dyn Write) -> Result<()> {
    takes(form)?;
    let names = ["kind", "indicator", "line", "hits", "first", "last", "hosts", "also", "where, or why not"];
    let names: Vec<String> = names.map(str::to_owned).to_vec();
    match form {
        Form::Jsonl => rows.iter().try_for_each(|row| writeln!(out, "{}", object(row, answer, engine)).map_err(io)),
        Form::Csv => {
            let mut writer = csv::Writer::from_writer(out);
            writer.write_record(&names).map_err(|e| Error::internal(e.to_string()))?;
            for row in rows {
                writer.write_record(cells(row, answer, engine)).map_err(|e| Error::internal(e.to_string()))?;
            }
            writer.flush().map_err(io)
        }
        _ => {
            let mut grid = Grid::new(names, vec![false, false, true, true], false, out);
            for row in rows {
                grid.row(cells(row, answer, engine))?;
            }
            grid.end()
        }
    }
}

fn time(t: Time) -> String {
    t.utc().format("%Y-%m-%d %H:%M:%SZ").to_string()
}

fn cells(row: &Swept, answer: &Answer, engine: &dyn Engine) -> Vec<String> {
    let best = row.best();
    vec![
        row.indicator.word().to_owned(),
        row.indicator.text.clone(),
        row.indicator.line.to_string(),
        row.hits().to_string(),
        best.map(|s| time(s.first)).unwrap_or_default(),
        best.map(|s| time(s.last)).unwrap_or_default(),
        best.map(|s| sweep::hosts_of(s, HOSTS)).unwrap_or_default(),
        row.also(),
        told(row, answer, engine),
    ]
}

/// Where an indicator was seen, else why not.
fn told(row: &Swept, answer: &Answer, engine: &dyn Engine) -> String {
    if row.is_seen() {
        return row.best().map(|s| sweep::sources_of(s, engine)).unwrap_or_default();
    }
    let kind = row.indicator.kind;
    answer.covers.get(&kind).map(|cover| cover.says(kind)).unwrap_or_default()
}

fn object(row: &Swept, answer: &Answer, engine: &dyn Engine) -> serde_json::Value {
    let best = row.best();
    let sources: serde_json::Map<String, serde_json::Value> =
        best.iter().flat_map(|s| &s.sources).map(|(id, n)| (engine.source_name(*id), json!(n))).collect();
    let cover = answer.covers.get(&row.indicator.kind);
    json!({
        "schema": "backtrail.sweep/1", "kind": row.indicator.word(), "indicator": row.indicator.text, "line": row.indicator.line,
        "hits": row.hits(), "below": row.below(), "reached_by_dns": row.reached, "host_of_url": row.site(), "in_texts": row.mentioned(), "listed": row.listed(),
        "start": best.map(|s| s.first.rfc3339()), "end": best.map(|s| s.last.rfc3339()), "sources": sources,
        "hosts": best.map(|s| s.hosts.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap_or_default(),
        "host_count": best.map_or(0, |s| s.host_count), "seen": row.is_seen(), "note": told(row, answer, engine),
        "could_have_seen": cover.map(|c| c.sources.clone()).unwrap_or_default(), "query": row.query(),
    })
}
