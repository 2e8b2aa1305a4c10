//! What the detectors find, what ranks first on top. A large case, or one that a capture grows, shows what was found last.

use super::{Asking, Cell, Go, Line, Section, Which};
use crate::case::findings;
use crate::detectors::settings;
use crate::error::Result;
use crate::model::{Value, field};

/// Records up to which home looks for itself.
const OWN: u64 = 3_000_000;

pub(super) fn section(asking: &Asking) -> Result<Section> {
    let engine = asking.engine;
    let records: u64 = engine.sources().iter().map(|s| s.counts.records).sum();
    let waits = records > OWN || engine.head_sequence() > 0;
    let rests = findings::rests_on(engine, asking.decisions, settings::installed(), asking.cancel)?;
    let kept = if waits { findings::kept(asking.dir) } else { None };
    let (mut found, note) = match kept {
        Some(kept) if kept.sequence == engine.sequence() && kept.parameters == rests => (kept, ""),
        Some(kept) => (kept, "as of an earlier import or other thresholds; the findings screen looks again"),
        None if waits => {
            let why = "not looked for yet: the case is large; the findings screen looks";
            return Ok(Section::new(Which::Findings, Vec::new(), "", why));
        }
        None => (findings::all(engine, asking.dir, asking.decisions, settings::installed(), asking.cancel, &mut |_| {})?, ""),
    };
    let benign = findings::judge(&mut found, engine, asking.decisions, asking.cancel)?;
    found.list.truncate(found.list.len().saturating_sub(benign));
    let lines = found
        .list
        .iter()
        .filter(|f| f.window.start < asking.window.end && f.window.end > asking.window.start)
        .map(|f| Line {
            cells: vec![
                Cell::Severity(u64::from(f.severity)),
                Cell::Text(f.title.clone()),
                Cell::Of(field::SRC_IP, Value::Addr(f.host)),
                Cell::At(f.window.start),
            ],
            go: Go::Query { label: format!("{} {}", f.detector, f.host), text: f.query.clone(), lens: "all" },
            loud: f.severity >= 3,
        })
        .collect();
    Ok(Section::new(Which::Findings, lines, note, "nothing deviates in this window, by any detector"))
}
