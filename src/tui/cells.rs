//! Cells: what a column shows of a record, and the value behind it that one can pivot on. Text is cleaned: nothing hostile reaches the terminal.

use super::joins::Joined;
use super::lenses::{Column, Show};
use super::summary::summary;
use super::text;
use super::times::{Zone, short_size, short_span};
use crate::model::entity::EntityKind;
use crate::model::field::{self, FieldId, Place, Type};
use crate::model::site::Home;
use crate::model::value::SEVERITIES;
use crate::model::{Record, Value};
use crate::query::Engine;
use crate::query::engine::Match;
use std::net::IpAddr;

/// One cell.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Cell {
    /// Text, clean.
    pub text: String,
    /// The value behind it.
    pub value: Option<(FieldId, Value)>,
    /// Name of its style.
    pub style: String,
}

/// What cells are made with.
pub struct Shown<'a> {
    /// For names of sources.
    pub engine: &'a dyn Engine,
    /// Zone of times.
    pub zone: Zone,
    /// Times show their day.
    pub day: bool,
    /// The host that is looked at: peers are seen from it.
    pub host: Option<IpAddr>,
    /// What counts as home.
    pub home: &'a Home,
    /// Arrows: towards the peer, from the peer.
    pub arrows: (&'a str, &'a str),
    /// Quality of the join of each row, in views of links.
    pub quality: Option<&'a Match>,
    /// What is known of the row beyond itself.
    pub joined: Option<&'a Joined>,
}

/// The cell of a record in a column.
pub fn cell(record: &Record, column: &Column, shown: &Shown) -> Cell {
    match column.show {
        Show::Time => {
            let at = if shown.zone == Zone::Source { record.start } else { record.time() };
            let text = if shown.day { shown.zone.day_clock(at) } else { shown.zone.clock(at) };
            Cell { text, value: Some((field::START, Value::Time(record.time()))), style: "ui.time".into() }
        }
        Show::Peer => peer(record, shown),
        Show::Field(fields) if fields.contains(&field::SNI) && fields.iter().all(|id| record.get(*id).is_none()) => {
            from_dns(shown).unwrap_or_default()
        }
        Show::Field(fields) => {
            fields.iter().find_map(|id| record.value(*id).map(|v| (*id, v))).map_or_else(Cell::default, |(id, value)| {
                let mut cell = of_value(id, value);
                if id == field::STATE && record.is_open() {
                    cell.text.push('…');
                }
                if id == field::SEVERITY {
                    cell.text = cell.text.replace("critical", "crit").replace("medium", "med");
                }
                cell
            })
        }
        Show::All(id) => every_value(record, id, shown),
        Show::Size(id) => match record.value(id).and_then(|v| v.as_uint()) {
            Some(n) => Cell { text: short_size(n), value: Some((id, Value::Uint(n))), style: "ui.text".into() },
            None => Cell::default(),
        },
        Show::Duration => {
            let span = record.end.since(record.start).max(0);
            Cell { text: short_span(span), value: Some((field::DURATION, Value::Uint(span as u64))), style: "ui.text".into() }
        }
        Show::Kind => {
            let kind = record.kind.name();
            Cell { text: kind.into(), value: Some((field::KIND, Value::text(kind))), style: format!("kind.{kind}") }
        }
        Show::Source => {
            let name = shown.engine.source_name(record.source);
            Cell {
                text: text::clean(&name).into_owned(),
                value: Some((field::SOURCE, Value::text(&name))),
                style: "ui.dim".into(),
            }
        }
        Show::Summary => {
            let mut text = text::clean(&summary(record, shown.arrows.0)).into_owned();
            if let Some(name) = from_dns(shown) {
                text = format!("{text} {}", name.text);
            }
            let entity = super::focus::of_row(record, &super::focus::Focus::Case, shown.home);
            Cell { text, value: entity.map(|e| (e.field, e.value)), style: severity_style(record).unwrap_or("ui.text".into()) }
        }
        Show::Match => {
            let quality = shown.quality.copied().or(shown.joined.and_then(|j| j.quality));
            if let (Some(via), None) = (Match::via(record), shown.quality) {
                return Cell { text: via.to_string(), value: None, style: "match.unsure".into() };
            }
            let (text, style) = match (record.seen_by.len(), quality) {
                (n, _) if n > 0 && shown.quality.is_none() => (format!("×{}", n + 1), "ui.dim"),
                (_, Some(quality @ Match::Exact)) => (quality.to_string(), "match.exact"),
                (_, Some(quality)) => (quality.to_string(), "match.unsure"),
                (_, None) => (String::new(), "ui.dim"),
            };
            Cell { text, value: None, style: style.into() }
        }
    }
}

/// A cell that shows every value of a field, the first of them to pivot on.
fn every_value(record: &Record, id: FieldId, shown: &Shown) -> Cell {
    let known = field::get(id);
    let all: Vec<Value> = match known.map(|f| f.place) {
        Some(Place::Any(parts)) => parts.iter().flat_map(|part| record.all(*part)).cloned().collect(),
        Some(Place::Many) => record.all(id).cloned().collect(),
        _ if id == field::EVIDENCE => vec![Value::from(shown.engine.evidence_path(record.id.evidence))],
        _ => record.value(id).into_iter().collect(),
    };
    let one = |value: &Value| match (value, known.map(|f| f.ty)) {
        (Value::Time(t), _) if shown.day => shown.zone.day_clock(*t),
        (Value::Time(t), _) => shown.zone.clock(*t),
        (Value::Uint(n), Some(Type::Span)) => short_span(i64::try_from(*n).unwrap_or(i64::MAX)),
        _ => of_value(id, value.clone()).text,
    };
    let mut texts: Vec<String> = Vec::new();
    for text in all.iter().map(one) {
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    let Some(first) = all.into_iter().next() else { return Cell::default() };
    Cell { text: texts.join(", "), ..of_value(id, first) }
}

/// A cell that shows a value of a field.
pub fn of_value(id: FieldId, value: Value) -> Cell {
    let known = field::get(id);
    let ty = known.map_or(Type::Text, |f| f.ty);
    let shown = value.show(ty);
    let style = match (ty, known.and_then(|f| f.entity)) {
        (Type::Severity, _) => format!("severity.{shown}"),
        (_, Some(kind)) => format!("entity.{}", style_of(kind)),
        _ => "ui.text".into(),
    };
    Cell { text: text::clean(&shown).into_owned(), value: Some((id, value)), style }
}

fn style_of(kind: EntityKind) -> &'static str {
    match kind {
        EntityKind::CommunityId => "community",
        EntityKind::Agent => "agent",
        other => other.name(),
    }
}

fn severity_style(record: &Record) -> Option<String> {
    let rank = record.uint(field::SEVERITY)?;
    SEVERITIES.get(rank as usize).map(|name| format!("severity.{name}"))
}

/// What marks a name that DNS answers gave.
pub const FROM_DNS: &str = " (dns)";

/// A flow's name from DNS answers, marked as such.
fn from_dns(shown: &Shown) -> Option<Cell> {
    let used = shown.joined?.name.as_ref()?;
    let text = format!("{}{FROM_DNS}", text::clean(&used.name));
    Some(Cell { text, value: Some((field::NAME, Value::text(&used.name))), style: "ui.dim".into() })
}

/// The quality of a join in so many columns: `clock unchecked` has a short form.
pub fn match_in(text: &str, width: u16) -> &str {
    match (text, width) {
        ("clock unchecked", 0..4) => "c?",
        ("clock unchecked", 4..15) => "clk?",
        _ => text,
    }
}

fn peer(record: &Record, shown: &Shown) -> Cell {
    let (src, dst) = (record.addr(field::SRC_IP), record.addr(field::DST_IP));
    let (arrow, id, addr) = match (src, dst) {
        (Some(src), Some(dst)) if shown.host.is_some_and(|h| h.to_canonical() == dst.to_canonical()) => {
            (shown.arrows.1, field::SRC_IP, src)
        }
        (_, Some(dst)) => (shown.arrows.0, field::DST_IP, dst),
        (Some(src), None) => (shown.arrows.1, field::SRC_IP, src),
        (None, None) => return Cell::default(),
    };
    Cell { text: format!("{arrow} {addr}"), value: Some((id, Value::Addr(addr))), style: "entity.address".into() }
}

/// The least of a text that is shown where there is no room.
const LEAST_TEXT: u16 = 8;

/// Which columns fit a width, and how wide each is: by dropping the highest `drop` first, then by sharing what is left.
pub fn fit(columns: &[Column], day: bool, width: u16) -> Vec<(Column, u16)> {
    let least = |c: &Column| if c.show == Show::Time && day && !c.fixed { 19 } else { c.min };
    let mut kept: Vec<Column> = columns.to_vec();
    let needed = |kept: &[Column]| kept.iter().map(|c| least(c) + 1).sum::<u16>().saturating_sub(1);
    while needed(&kept) > width {
        let Some(worst) = kept.iter().enumerate().filter(|(_, c)| c.drop > 0).max_by_key(|(_, c)| c.drop).map(|(i, _)| i) else {
            break;
        };
        kept.remove(worst);
    }
    let mut left = width.saturating_sub(needed(&kept));
    let mut widths: Vec<u16> = kept.iter().map(least).collect();
    // Where not even those that never go have room, text gives way first, then the widest.
    let mut over = needed(&kept).saturating_sub(width);
    while over > 0 {
        let text = (0..kept.len()).rev().find(|n| kept[*n].max > 40 && widths[*n] > LEAST_TEXT);
        let widest = (0..kept.len()).rev().max_by_key(|n| widths[*n]).filter(|n| widths[*n] > 1);
        let Some(n) = text.or(widest) else { break };
        widths[n] -= 1;
        over -= 1;
    }
    // Room goes to those that can grow, the last growing column (the name, the message) twice.
    let mut growing = true;
    while left > 0 && growing {
        growing = false;
        for (i, column) in kept.iter().enumerate() {
            let share = if column.max > 60 { 2 } else { 1 };
            let gain = share.min(column.max.saturating_sub(widths[i])).min(left);
            widths[i] += gain;
            left -= gain;
            growing |= gain > 0;
        }
    }
    kept.into_iter().zip(widths).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::lenses;

    #[test]
    fn columns_drop_in_their_stated_order_and_never_time_peer_or_name() {
        let flows = lenses::columns(lenses::find("flows").columns, true, true);
        let titles = |width| fit(&flows, true, width).iter().map(|(c, _)| c.title).collect::<Vec<_>>();
        assert_eq!(titles(200).len(), flows.len());
        let narrow = titles(74);
        assert!(!narrow.contains(&"state"), "{narrow:?}");
        let narrowest = titles(40);
        assert_eq!(narrowest, ["start", "peer", "port", "name"]);
        for width in 10..60 {
            let fitted = fit(&flows, true, width);
            let used: u16 = fitted.iter().map(|(_, w)| w + 1).sum();
            assert!(used <= width + 1, "{width}: {used}");
        }
        let used: u16 = fit(&flows, false, 93).iter().map(|(_, w)| w + 1).sum();
        assert!(used <= 94);
    }
}
