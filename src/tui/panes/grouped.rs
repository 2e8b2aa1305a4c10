//! The rows of a lens in groups: by one field or several, with how many rows and how many bytes each has, and its share. Enter opens the rows of a
//! group. The numbers are those of `| sum bytes by FIELD`: a connection that several sources saw counts once.

use super::{Change, Handled, Pane};
use crate::error::{Error, Result};
use crate::model::field::{self, FieldId, Type};
use crate::model::{Entity, Value, Window};
use crate::pivots::Selection;
use crate::query::Stage;
use crate::query::engine::Table;
use crate::tui::cells;
use crate::tui::effect::{Cx, Effect};
use crate::tui::focus::{self, Focus};
use crate::tui::jobs::{Answer, Body};
use crate::tui::lenses::Lens;
use crate::tui::load::compiled;
use crate::tui::paint::{Line, fill, put};
use crate::tui::text;
use crate::tui::times::{short_size, thousands};
use crate::tui::view::View;
use crate::tui::walk::Step;
use crate::tui::widgets::scroll::Scroll;
use crate::tui::widgets::table::{self, Column};
use ratatui::Frame;
use ratatui::layout::Rect;

/// Most fields that are grouped by.
const MOST: usize = 4;
/// Most columns of the screen that a value takes.
const WIDE: u16 = 60;

/// The groups of the rows of a lens.
pub struct Grouped {
    focus: Focus,
    lens: &'static Lens,
    text: String,
    window: Option<Window>,
    by: Vec<FieldId>,
    table: Table,
    /// By which column the groups stand in order, and whether the largest is first.
    order: (usize, bool),
    loading: bool,
    scroll: Scroll,
}

impl Grouped {
    /// The rows that `text` selects, by fields.
    pub fn new(focus: Focus, lens: &'static Lens, text: String, window: Option<Window>, by: Vec<FieldId>) -> Result<Grouped> {
        if by.len() > MOST {
            return Err(Error::user(format!("{} fields are too many to group by", by.len())).hint(format!("at most {MOST}")));
        }
        if !focus::split_stages(&text).1.is_empty() {
            return Err(Error::user("these are groups already").hint("query ... | count by FIELD"));
        }
        let order = (by.len(), true);
        Ok(Grouped { focus, lens, text, window, by, table: Table::default(), order, loading: true, scroll: Scroll::default() })
    }
    fn ask(&mut self, cx: &mut Cx) {
        self.loading = true;
        let (text, window, by) = (self.text.clone(), self.window, self.by.clone());
        cx.ask("grouped", move |work| {
            let mut question = compiled(&*work.engine, &text, window)?;
            question.stages.push(Stage::Sum { field: field::BYTES, by });
            work.give(work.engine.table(&question, &work.cancel)?);
            Ok(())
        });
    }
    /// Columns behind the fields: `sum`, `count`.
    fn numbers(&self, row: &[Option<Value>]) -> (u64, u64) {
        let n = |at: usize| row.get(at).and_then(|v| v.as_ref()?.as_uint()).unwrap_or(0);
        (n(self.by.len() + 1), n(self.by.len()))
    }
    /// Puts the groups in order: by how many rows they have, then by the values.
    fn put_in_order(&mut self) {
        let (at, down) = self.order;
        let keys = self.by.len();
        // The table has the sum before the number; the number is shown first.
        let column = if at < keys { at } else { keys + 1 - (at - keys) };
        self.table.rows.sort_by(|a, b| {
            let values = match (a.get(column).and_then(Option::as_ref), b.get(column).and_then(Option::as_ref)) {
                (Some(a), Some(b)) => {
                    let up = crate::query::sorted::total(a, b);
                    if down { up.reverse() } else { up }
                }
                (a, b) => b.is_some().cmp(&a.is_some()),
            };
            values.then_with(|| self_key(a, keys).cmp(&self_key(b, keys)))
        });
    }
    fn row(&self) -> Option<&Vec<Option<Value>>> {
        self.table.rows.get(self.scroll.selected)
    }
    /// The condition that holds for the rows of a group.
    fn query(&self, row: &[Option<Value>]) -> String {
        let one = |(id, value): (&FieldId, &Option<Value>)| match value {
            Some(value) => crate::query::condition(*id, value),
            None => format!("not exists {}", field::name(*id)),
        };
        self.by.iter().zip(row).map(one).collect::<Vec<_>>().join(" and ")
    }
    fn go(&self, cx: &mut Cx) {
        let Some(row) = self.row() else { return };
        let condition = self.query(row);
        let mut step = Step::to(self.focus.clone(), self.lens.name, self.window);
        step.query = focus::both(&self.text, &condition);
        step.label = condition;
        cx.push(Effect::Go(Box::new(step)));
    }
    fn columns(&self, width: u16) -> Vec<Column> {
        let field = |id: &FieldId| {
            let title = field::get(*id).map_or("", |f| f.name);
            let least = (title.len() as u16).max(8);
            Column { title, least, wanted: WIDE.min(width / 3).max(least), right: false, drop: 0 }
        };
        let number = |title, drop| Column { title, least: 8, wanted: 10, right: true, drop };
        let numbers =
            [number("rows", 0), number("bytes", 2), Column { title: "share", least: 10, wanted: 20, right: false, drop: 5 }];
        // The last column takes what is over: the share of a group is drawn in it.
        self.by.iter().map(field).chain(numbers).collect()
    }
}

fn self_key(row: &[Option<Value>], keys: usize) -> Vec<String> {
    row.iter().take(keys).map(|v| v.as_ref().map(Value::to_string).unwrap_or_default()).collect()
}

fn shown(id: FieldId, value: Option<&Value>) -> (String, &'static str) {
    let Some(value) = value else { return ("(none)".into(), "ui.dim") };
    let cell = cells::of_value(id, value.clone());
    let role = match field::get(id).map(|f| f.ty) {
        Some(Type::Addr) => "entity.address",
        _ => "ui.text",
    };
    (cell.text, role)
}

impl Pane for Grouped {
    fn name(&self) -> &'static str {
        "grouped"
    }
    fn title(&self) -> String {
        let names: Vec<String> = self.by.iter().map(|id| field::name(*id).to_string()).collect();
        format!("{} by {}", self.lens.title, names.join(", "))
    }
    fn commands(&self) -> &'static [(&'static str, &'static str)] {
        &[("drill", "its rows"), ("sort", "order by the next column"), ("copy", "copy its query")]
    }
    fn opened(&mut self, cx: &mut Cx) -> Result<()> {
        self.ask(cx);
        Ok(())
    }
    fn run(&mut self, command: &str, cx: &mut Cx) -> Result<Handled> {
        match command {
            "drill" => self.go(cx),
            "sort" => {
                let (at, _) = self.order;
                let bytes = self.table.rows.iter().any(|row| self.numbers(row).1 > 0);
                let next = (at + 1) % (self.by.len() + 1 + usize::from(bytes));
                self.order = (next, next >= self.by.len());
                self.put_in_order();
                self.scroll.select(0, self.table.rows.len());
            }
            _ if self.scroll.run(command, self.table.rows.len()) => {}
            _ => return Ok(Handled::No),
        }
        Ok(Handled::Yes)
    }
    fn answer(&mut self, answer: Answer, _: &mut Cx) -> Result<()> {
        if matches!(answer.body, Body::Failed(_)) {
            self.loading = false;
        }
        if let Some(table) = answer.take::<Table>() {
            self.table = table;
            self.loading = false;
            self.put_in_order();
            self.scroll.select(self.scroll.selected, self.table.rows.len());
        }
        Ok(())
    }
    fn changed(&mut self, change: Change, cx: &mut Cx) -> Result<()> {
        if change == Change::Decisions && self.text.contains('@') {
            self.ask(cx);
        }
        Ok(())
    }
    fn selected(&self) -> Selection {
        let first = self.row().and_then(|row| self.by.iter().zip(row).find_map(|(id, v)| Entity::of(*id, v.as_ref()?)));
        Selection { entity: first, window: self.window, ..Selection::default() }
    }
    fn copied(&self) -> Option<(String, String)> {
        self.row().map(|row| ("query".to_owned(), focus::both(&self.text, &self.query(row))))
    }
    fn lines(&self) -> Vec<String> {
        let values =
            |row: &Vec<Option<Value>>| self.by.iter().zip(row).map(|(id, v)| shown(*id, v.as_ref()).0).collect::<Vec<_>>();
        self.table.rows.iter().map(|row| values(row).join(" ")).collect()
    }
    fn line(&self) -> usize {
        self.scroll.selected
    }
    fn stand(&mut self, line: usize) {
        self.scroll.select(line, self.table.rows.len());
    }
    fn status(&self) -> String {
        if self.loading && self.table.rows.is_empty() {
            return "asking… Esc gives up".into();
        }
        let place = if self.table.rows.is_empty() { 0 } else { self.scroll.selected + 1 };
        let (groups, rows) = (thousands(self.table.rows.len() as u64), thousands(self.table.records));
        format!("{} of {groups} groups of {rows} rows", thousands(place as u64))
    }
    fn stays(&self) -> bool {
        true
    }
    fn draw(&mut self, frame: &mut Frame, area: Rect, view: &View) {
        let buf = frame.buffer_mut();
        let theme = view.theme;
        fill(buf, area, theme.style("ui.background"));
        if area.height < 3 {
            return;
        }
        if self.table.rows.is_empty() {
            let why =
                if self.loading { "asking" } else { "there are no rows to group: Esc goes back to the table, which says why" };
            put(buf, area.x + 1, area.y + 1, area.width.saturating_sub(2), why, theme.style("ui.dim"));
            return;
        }
        let list = Rect { height: area.height - 1, ..area };
        let mut columns = self.columns(area.width);
        let bytes = self.table.rows.iter().any(|row| self.numbers(row).1 > 0);
        let titles = ["rows", "bytes", "share"].map(str::to_owned);
        if !bytes {
            columns.remove(self.by.len() + 1);
        }
        // Of a field with several values a row counts in several groups: shares are of what the groups add up to.
        let whole = self.table.rows.iter().map(|row| self.numbers(row).0).sum::<u64>().max(1);
        let mut scroll = self.scroll;
        let mut row = |n: usize| {
            let row = &self.table.rows[n];
            let (count, sum) = self.numbers(row);
            let mut out: Vec<table::Cell> = self.by.iter().zip(row).map(|(id, v)| shown(*id, v.as_ref())).collect();
            out.push((thousands(count), "ui.text"));
            if bytes {
                out.push((short_size(sum), "ui.text"));
            }
            let share = count as f64 * 100.0 / whole as f64;
            let bar = "#".repeat((share / 10.0).round() as usize);
            out.push((format!("{share:5.1} % {bar}"), "ui.dim"));
            out
        };
        table::draw(buf, list, &columns, &mut scroll, self.table.rows.len(), view, view.focused, &mut row);
        self.scroll = scroll;
        let mut foot = Line::new(buf, area, area.height - 1);
        let (at, down) = self.order;
        let by = match at.checked_sub(self.by.len()) {
            None => field::name(self.by[at]).to_string(),
            Some(n) => titles[n.min(2)].clone(),
        };
        let sign = if down { view.glyphs.down } else { view.glyphs.up };
        foot.add(&format!(" by {by} {sign}"), theme.style("ui.title"));
        if let Some(row) = self.row() {
            let (count, sum) = self.numbers(row);
            let values: Vec<String> = self.by.iter().zip(row).map(|(id, v)| shown(*id, v.as_ref()).0).collect();
            let dot = view.glyphs.dot;
            let bytes = if bytes { format!(" {dot} {} bytes", thousands(sum)) } else { String::new() };
            foot.add(
                &format!(" {dot} {} rows{bytes} {dot} {}", thousands(count), text::clean(&values.join(" "))),
                theme.style("ui.dim"),
            );
        }
        if let Some(notice) = self.table.notices.first() {
            foot.add(&format!(" {} {notice}", view.glyphs.dot), theme.style("ui.warning"));
        }
    }
}
