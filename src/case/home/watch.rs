//! What the watch sets find: records with a member of a set named `watch` or `watch-...`.

use super::{Asking, Cell, Go, Line, Section, Which};
use crate::error::Result;
use crate::model::decision::What;
use crate::query::engine::Page;
use std::collections::BTreeSet;

/// Hits are counted up to here.
const MOST: u64 = 1_000_000;

pub(super) fn section(asking: &Asking) -> Result<Section> {
    let is_watch = |set: &&str| *set == "watch" || set.starts_with("watch-");
    let named =
        asking.decisions.iter().filter_map(|d| if let What::SetAdd { set, .. } = &d.what { Some(set.as_str()) } else { None });
    let sets: BTreeSet<&str> = named.filter(is_watch).collect();
    let mut lines = Vec::new();
    for set in sets {
        let text = format!("host in @{set} or any in @{set} or url in @{set} or hash in @{set}");
        // A set that was removed is no set any more.
        let Ok(question) = asking.question(&text) else { continue };
        let hits = asking.engine.counts(std::slice::from_ref(&question), MOST, asking.cancel)?.first().map_or(0, |c| c.n);
        let edge = |ascending: bool| -> Result<Cell> {
            let mut at = Cell::Empty;
            asking.engine.select(&question, &Page { ascending, limit: 1, after: None }, asking.cancel, &mut |r| {
                at = Cell::At(r.time());
                true
            })?;
            Ok(at)
        };
        let cells = vec![Cell::Text(format!("@{set}")), Cell::Count(hits), edge(true)?, edge(false)?];
        lines.push(Line { cells, go: Go::Query { label: format!("@{set}"), text, lens: "all" }, loud: hits > 0 });
    }
    let why = "no watch set yet: records with members of a set named watch, or watch-..., are counted here";
    Ok(Section::new(Which::Watch, lines, "", why))
}
