//! Alerts grouped by signature and target, with what is not reviewed yet first.

use super::{Asking, Cell, Go, Line, Section, Which};
use crate::case::triage::{Group, groups};
use crate::error::Result;
use crate::model::field;
use crate::model::{Kind, Value};
use crate::store::now;

pub(super) fn section(asking: &Asking) -> Result<Section> {
    let groups = groups(asking.engine, asking.decisions, now(), Some(&asking.window), asking.cancel)?;
    let lines = groups.list.iter().map(line).collect();
    let note = match groups.alerts {
        0 => String::new(),
        n => format!("{} of {n} not reviewed", groups.left()),
    };
    let why = if asking.has(&[Kind::Alert, Kind::Notice]) {
        "none in this window: W shows the whole case"
    } else {
        "no source here gives alerts; names and talkers are where to begin"
    };
    Ok(Section::new(Which::Alerts, lines, note, why))
}

fn line(group: &Group) -> Line {
    let host = match (group.hosts, group.host) {
        (0, _) => Cell::Empty,
        (_, Some(addr)) => Cell::Of(field::SRC_IP, Value::Addr(addr)),
        (n, None) => Cell::Text(format!("{n} hosts")),
    };
    let severity = u64::from(group.severity.unwrap_or(0));
    Line {
        cells: vec![
            Cell::Severity(severity),
            Cell::Of(field::SIGNATURE, Value::text(&group.signature)),
            group.target.map_or(Cell::Empty, |a| Cell::Of(field::DST_IP, Value::Addr(a))),
            host,
            Cell::Text(format!("{}/{}", group.reviewed(), group.count)),
            Cell::At(group.span.0),
            Cell::At(group.span.1),
        ],
        go: Go::Query { label: group.signature.clone(), text: group.query(), lens: "alerts" },
        loud: severity >= 3 && group.left() > 0,
    }
}
