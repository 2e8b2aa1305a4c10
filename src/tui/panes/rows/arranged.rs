//! How the table is arranged: which columns it has, which one the cursor is in, in which order the rows are.

use super::{KEPT, Rows};
use crate::model::field::{self, FieldId};
use crate::model::{RecordId, Value};
use crate::tui::cells::Cell;
use crate::tui::columns::{self, Chosen};
use crate::tui::effect::{Cx, Effect};
use crate::tui::export::{Shape, Taken};
use crate::tui::lenses::{self, Column, Show};
use crate::tui::load::{FoundAmong, MOST_SORTED, PAGE, Part};
use crate::tui::paint::{fill, put, put_right};
use crate::tui::text;
use crate::tui::times::thousands;
use crate::tui::view::View;
use crate::tui::walk::RowPlace;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

impl Rows {
    /// Takes the columns that were chosen for the lens (empty: its own); the cursor stays in its column.
    pub fn arrange(&mut self, chosen: Vec<Chosen>) {
        self.stand_in = self.column().map(|c| c.title);
        self.chosen = chosen;
    }
    /// The columns as they are wanted, before any has to give way.
    pub(super) fn wanted_columns(&self, long: bool) -> Vec<Column> {
        let list = if self.chosen.is_empty() { self.lens.columns.to_vec() } else { columns::columns(&self.chosen) };
        lenses::columns(&list, self.focus.host().is_some(), long)
    }
    /// How the rows stand, for a file.
    pub fn shape(&self) -> Shape {
        let list = if self.chosen.is_empty() { self.lens.columns.to_vec() } else { columns::columns(&self.chosen) };
        let mut taken: Vec<Taken> = Vec::new();
        for column in list.iter().flat_map(Taken::of) {
            if !taken.contains(&column) {
                taken.push(column);
            }
        }
        Shape { order: self.ask.order(), columns: taken }
    }
    /// The question for the rows where they are the links of a record, which no other question gives.
    pub fn linked(&self) -> Option<String> {
        self.ask.links?;
        let ids: Vec<String> = self.records.iter().map(|r| crate::query::quote(&r.id.to_string())).collect();
        (!ids.is_empty()).then(|| format!("id in {{{}}}", ids.join(", ")))
    }
    /// The column under the cursor.
    pub fn column(&self) -> Option<Column> {
        self.columns.get(self.cell).map(|(column, _)| *column)
    }
    /// What the column under the cursor is called where columns are chosen, sorted, grouped; of groups the heading.
    pub fn column_name(&self) -> Option<String> {
        if let Some(table) = &self.table {
            return table.columns.get(self.cell).cloned();
        }
        let column = self.column()?;
        Some(match column.show {
            Show::Source => "source".to_owned(),
            Show::Field([field::SRC_IP]) if column.title == "source" => "src.ip".to_owned(),
            Show::Field([field::DST_IP]) if column.title == "destination" => "dst.ip".to_owned(),
            _ => column.title.to_owned(),
        })
    }
    /// The chosen column that the one under the cursor is of: source and destination are of `peer`.
    pub fn chosen_name(&self) -> Option<&'static str> {
        let column = self.column()?;
        let own = if self.chosen.is_empty() { columns::usual(self.lens) } else { self.chosen.clone() };
        let of = |c: &Chosen| c.choice.column.show == column.show;
        let peer = |c: &Chosen| c.choice.column.show == Show::Peer && matches!(column.title, "source" | "destination");
        own.iter().find(|c| of(c)).or(own.iter().find(|c| peer(c))).map(|c| c.choice.name)
    }
    /// Whether the rows are in another order than that of time.
    pub(super) fn is_sorted(&self) -> bool {
        self.table.is_none() && self.ask.order().is_some()
    }
    /// What is asked for instead of a part of the answer in the order of time.
    pub(super) fn part(&self, part: Part) -> Part {
        match part {
            Part::Found(..) | Part::First(_) => part,
            _ if self.ask.order().is_none() => part,
            // So many that the place that is gone back to is among them.
            _ => Part::First(self.wanted.map_or(0, |place| place.index.min(MOST_SORTED) * 2)),
        }
    }
    /// More of the first rows, when the cursor comes near the last of those that are there.
    pub(super) fn more_sorted(&mut self, cx: &mut Cx) {
        let there = self.records.len();
        if self.of.is_some_and(|of| of > there as u64) && there < MOST_SORTED.min(KEPT) {
            self.wanted = Some(self.place());
            self.load(Part::First(there.max(PAGE) * 5), cx);
        }
    }
    /// What is said of the order in the status: of how many rows the first are there.
    pub(super) fn said_of_order(&self) -> String {
        let (Some(sort), false) = (&self.ask.sort, self.loading) else { return String::new() };
        let there = self.records.len() as u64;
        let name = text::clean(&sort.name);
        match self.of.filter(|_| self.is_sorted()) {
            Some(of) if of > there => format!(" · first {} by {name}", thousands(there)),
            Some(_) => format!(" · by {name}"),
            None => String::new(),
        }
    }
    /// Goes to the next of the rows that were found, in the order in which they stand.
    pub(super) fn take_found(&mut self, FoundAmong(found): FoundAmong, cx: &mut Cx) {
        let n = self.records.len();
        let is = |row: &usize| self.records.get(*row).is_some_and(|r| found.contains(&r.id));
        let at = if self.ahead { (self.selected + 1..n).find(is) } else { (0..self.selected.min(n)).rev().find(is) };
        match at {
            Some(row) => self.select(row, cx),
            None => {
                let what = self.finding.clone().unwrap_or_default();
                let beyond = if self.of.is_some_and(|of| of > n as u64) {
                    format!(" among the first {}", thousands(n as u64))
                } else {
                    String::new()
                };
                cx.push(Effect::Say(format!("no more rows with {what}{beyond}")));
            }
        }
    }
    /// Of rows in another order than that of time the one that stood at a place.
    pub(super) fn row_of(&self, id: RecordId, place: &RowPlace) -> usize {
        self.records.iter().position(|r| r.id == id).unwrap_or(place.index)
    }

    /// Draws the headings, with a sign at the column that the rows are ordered by.
    pub(super) fn paint_heading(&self, buf: &mut Buffer, area: Rect, gutter: u16, day: bool, view: &View) {
        let head = view.theme.style("ui.table.header");
        fill(buf, Rect { height: 1, ..area }, head);
        let mut x = area.x + gutter;
        for (column, width) in &self.columns {
            let title = if column.show == Show::Time && day && !column.fixed { "start (day, time)" } else { column.title };
            let title = self.signed(title, &columns::fields(column), *width, view);
            if column.right {
                put_right(buf, x, area.y, *width, &title, head);
            } else {
                put(buf, x, area.y, *width, &title, head);
            }
            x += width + 1;
        }
        if self.dropped > 0 {
            let more = format!("+{}", self.dropped);
            put_right(buf, area.x, area.y, area.width, &more, view.theme.style("ui.warning"));
        }
    }
    /// A heading with the sign of the order, if the rows are ordered by it.
    fn signed(&self, title: &str, fields: &[FieldId], width: u16, view: &View) -> String {
        match &self.ask.sort {
            Some(sort) if !fields.is_empty() && sort.fields == fields => {
                let sign = if sort.descending { view.glyphs.down } else { view.glyphs.up };
                format!("{}{sign}", text::fit(title, usize::from(width).saturating_sub(1)))
            }
            _ => title.to_owned(),
        }
    }
    /// A heading of groups, with the sign of the order.
    pub(super) fn signed_group(&self, title: &str, view: &View) -> String {
        match &self.ask.sort {
            Some(sort) if sort.name == title => {
                format!("{title}{}", if sort.descending { view.glyphs.down } else { view.glyphs.up })
            }
            _ => title.to_owned(),
        }
    }
    /// The cell under the cursor as it is told in full: sizes to the byte, spans to the nanosecond.
    pub(super) fn in_full(cell: Cell, column: &Column) -> Cell {
        let text = match (&cell.value, column.show) {
            (Some((_, Value::Uint(n))), Show::Size(_)) => thousands(*n),
            (Some((_, Value::Uint(n))), Show::Duration) => crate::tui::times::exact_span(*n),
            _ => return cell,
        };
        Cell { text, ..cell }
    }
}
