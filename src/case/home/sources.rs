//! What there is: each source with its span, records, and how its clock is read.

use super::{Asking, Cell, Go, Line, Section, Which};
use crate::error::Result;
use crate::model::source::{Basis, SourceInfo};
use crate::query::quote;

pub(super) fn section(asking: &Asking) -> Result<Section> {
    let mut sources = asking.engine.sources();
    sources.sort_by(|a, b| b.counts.records.cmp(&a.counts.records).then_with(|| a.name.cmp(&b.name)));
    let records: u64 = sources.iter().map(|s| s.counts.records).sum();
    let evidence = asking.engine.evidence();
    // What was not read needs a decision, and stands there.
    let read = evidence.iter().filter(|e| !e.is_unread()).count();
    let note = format!("{records} records of {read} files");
    let why = "no source yet: backtrail ingest PATH... brings evidence in";
    Ok(Section::new(Which::Sources, sources.iter().map(line).collect(), note, why))
}

/// How the zone of a source came about, in words.
pub(super) fn zone(source: &SourceInfo) -> String {
    let zone = source.clock.zone.as_deref().unwrap_or("UTC");
    let zone = match source.clock.zone_basis {
        Basis::Stated => "stated".into(),
        Basis::Assumed => format!("{zone} assumed"),
        Basis::Manual => format!("{zone} by hand"),
    };
    match source.clock.dates {
        Some((order, Basis::Assumed)) => format!("{zone}, {} assumed", order.name()),
        Some((order, _)) => format!("{zone}, {} by hand", order.name()),
        None => zone,
    }
}

fn line(source: &SourceInfo) -> Line {
    let span = source.span.map(|w| w.shifted(source.clock.shift));
    let warned = source.warnings.len() as u64;
    Line {
        cells: vec![
            Cell::Text(source.name.clone()),
            Cell::Text(source.key.format.clone()),
            span.map_or(Cell::Empty, |w| Cell::At(w.start)),
            span.map_or(Cell::Empty, |w| Cell::At(w.last())),
            Cell::Count(source.counts.records),
            Cell::Text(zone(source)),
            if warned == 0 { Cell::Empty } else { Cell::Text(source.warnings.join("; ")) },
        ],
        go: Go::Query { label: source.name.clone(), text: format!("source = {}", quote(&source.name)), lens: "all" },
        loud: warned > 0,
    }
}
