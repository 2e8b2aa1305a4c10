//! The last line of the table: what its columns of numbers come to, over the whole answer and not only the rows that are loaded. Asked through the
//! stages of the query language, so that it is the same number that a query gives; a connection that several sources saw counts once.

use super::Rows;
use super::draw::group_cell;
use crate::error::Result;
use crate::model::field::{self, FieldId, Type};
use crate::model::{SourceId, Value};
use crate::query::spread::{self, Spread};
use crate::query::{Measure, Stage};
use crate::tui::columns;
use crate::tui::effect::{Cx, Effect};
use crate::tui::jobs::{Answer, Body};
use crate::tui::load::Ask;
use crate::tui::looks::Footer;
use crate::tui::paint::{fill, put, put_right};
use crate::tui::text;
use crate::tui::times::{exact_span, short_size, short_span, thousands};
use crate::tui::view::View;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// The slot of its job.
pub const SLOT: &str = "footer";

/// What takes longer is not asked again each second while a capture runs.
const CHEAP: Duration = Duration::from_millis(100);

/// What one column comes to.
#[derive(Debug, Clone)]
struct Known {
    value: Option<Value>,
    /// Rows that have it.
    rows: u64,
}

/// A number that was asked for.
pub struct Number {
    field: FieldId,
    value: Option<Value>,
    /// Rows that have the field, of a sum all rows; and rows in all.
    rows: (u64, u64),
    counted: Vec<SourceId>,
}

/// The end of a table.
#[derive(Default)]
pub struct Foot {
    what: Option<Footer>,
    /// What the numbers are of.
    asked: Option<(Footer, Ask, Vec<FieldId>)>,
    known: HashMap<FieldId, Known>,
    rows: Option<u64>,
    /// Some connections were seen by several sources.
    merged: bool,
    failed: bool,
    /// When it was asked for, and how long the last answer took.
    begun: Option<Instant>,
    took: Option<Duration>,
}

impl Rows {
    /// What is said at the end of the table.
    pub fn footer(&self) -> Option<Footer> {
        self.foot.what
    }
    /// Says something else there, or nothing.
    pub fn set_footer(&mut self, what: Option<Footer>) {
        self.foot.what = what;
    }
    /// Columns of numbers that add up.
    fn numbers(&self) -> Vec<FieldId> {
        let all = self.wanted_columns(false);
        all.iter().filter_map(|c| columns::fields(c).first().copied().filter(|id| columns::adds_up(*id))).collect()
    }
    /// Asks for the numbers, unless they are known or being asked for.
    pub fn ask_footer(&mut self, cx: &mut Cx) {
        let Some(what) = self.foot.what.filter(|_| self.ask.links.is_none()) else {
            if self.foot.asked.take().is_some() {
                cx.push(Effect::Cancel { pane: cx.pane, slot: SLOT });
            }
            return;
        };
        let fields = self.numbers();
        // The order of the rows changes no number.
        let ask = Ask { sort: None, unfiltered: String::new(), ..self.ask.clone() };
        let asked = (what, ask, fields);
        if self.foot.asked.as_ref() == Some(&asked) {
            return;
        }
        let (_, ask, fields) = asked.clone();
        self.foot = Foot { what: Some(what), asked: Some(asked), begun: Some(Instant::now()), ..Foot::default() };
        cx.ask(SLOT, move |work| {
            let question = ask.question(&*work.engine)?;
            if !question.stages.is_empty() {
                return Ok(());
            }
            for field in fields {
                let mut question = question.clone();
                question.stages.push(stage(what, field));
                let table = work.engine.table(&question, &work.cancel)?;
                let row = table.rows.first();
                let value = row.and_then(|r| r.first().cloned().flatten());
                let rows = row.and_then(|r| r.last()?.as_ref()?.as_uint()).unwrap_or(0);
                work.give(Number { field, value, rows: (rows, table.records), counted: table.counted });
            }
            Ok(())
        });
    }
    /// Asks for the numbers again: records came. Where that takes long they stay; of how many rows they are stands beside them.
    pub fn footer_again(&mut self, cx: &mut Cx) {
        if self.foot.took.is_none_or(|took| took > CHEAP) {
            return;
        }
        if self.foot.asked.take().is_some() {
            let (known, rows) = (std::mem::take(&mut self.foot.known), self.foot.rows);
            self.ask_footer(cx);
            // Those that are shown stay until the new ones are there.
            (self.foot.known, self.foot.rows) = (known, rows);
        }
    }
    pub(super) fn take_number(&mut self, number: Number) {
        self.foot.known.insert(number.field, Known { value: number.value, rows: number.rows.0 });
        self.foot.rows = Some(number.rows.1);
        self.foot.merged |= !number.counted.is_empty();
    }

    /// Draws it under the columns.
    pub(super) fn paint_footer(&self, buf: &mut Buffer, area: Rect, gutter: u16, view: &View) {
        let Some(what) = self.foot.what else { return };
        let style = view.theme.style("ui.table.header");
        fill(buf, area, style);
        let mut x = area.x + gutter;
        let mut first = area.right();
        for (column, width) in &self.columns {
            let id = columns::fields(column).first().copied().filter(|id| columns::adds_up(*id));
            if let Some(id) = id {
                let shown = match self.foot.known.get(&id) {
                    Some(known) => known.value.as_ref().map_or_else(|| "-".to_owned(), |v| short(id, v)),
                    None if self.foot.failed => "?".to_owned(),
                    None => view.glyphs.ellipsis.to_owned(),
                };
                first = first.min(x);
                put_right(buf, x, area.y, *width, &shown, style);
            }
            x += width + 1;
        }
        if first == area.right() {
            let none = format!("{}: no column of numbers is in sight", what.name());
            put(buf, area.x + gutter, area.y, area.width.saturating_sub(gutter), &none, view.theme.style("ui.dim").patch(style));
            return;
        }
        let room = first.saturating_sub(area.x + gutter + 1);
        let label = text::fit(&view.glyphs.put(&self.label(what, usize::from(room))), usize::from(room));
        put(buf, area.x + gutter, area.y, room, &label, view.theme.style("ui.title").patch(style));
    }
    /// What the numbers are and of what; the one under the cursor in full.
    fn label(&self, what: Footer, room: usize) -> String {
        let here = self.column().and_then(|c| Some((c.title, columns::fields(&c).first().copied()?)));
        let known = here.and_then(|(title, id)| Some((title, id, self.foot.known.get(&id)?)));
        let rows = self.foot.rows.map_or_else(String::new, |n| format!(" of {} rows", thousands(n)));
        let once = if self.foot.merged { ", connections once" } else { "" };
        let exact = known.and_then(|(title, id, known)| {
            let value = exact(id, known.value.as_ref()?);
            let fewer = self.foot.rows.filter(|n| what != Footer::Sum && *n != known.rows);
            let fewer = fewer.map_or_else(String::new, |n| format!(" of {} of {} rows", thousands(known.rows), thousands(n)));
            Some(format!("{title} {value}{fewer}"))
        });
        let (name, short) = (what.name(), format!("{}{rows}", what.name()));
        let with = |what: String| exact.as_ref().map(|exact| format!("{what} · {exact}"));
        let wishes = [
            with(format!("{short}{once}")),
            with(short.clone()),
            with(name.clone()),
            Some(format!("{short}{once}")),
            Some(short),
        ];
        wishes.into_iter().flatten().find(|l| text::width(l) <= room).unwrap_or(name)
    }
    /// Draws it under the groups of a question: over all of them.
    pub(super) fn paint_group_footer(&self, buf: &mut Buffer, area: Rect, gutter: u16, widths: &[u16], view: &View) {
        let (Some(what), Some(table)) = (self.foot.what, &self.table) else { return };
        let style = view.theme.style("ui.table.header");
        fill(buf, area, style);
        let mut x = area.x + gutter;
        let mut first = area.right();
        for (n, width) in widths.iter().enumerate() {
            let id = table.fields.get(n).copied().flatten();
            let measured =
                !matches!(table.columns.get(n).map(String::as_str), Some(name) if id.map(field::name).as_deref() == Some(name));
            if measured
                && table.rows.iter().any(|r| r.get(n).is_some_and(|v| v.as_ref().is_some_and(|v| v.as_number().is_some())))
            {
                let values = table.rows.iter().filter_map(|r| r.get(n)?.as_ref());
                let shown = of_values(what, id, values).map_or_else(|| "-".to_owned(), |v| group_cell(id, v).text);
                first = first.min(x);
                put_right(buf, x, area.y, *width, &shown, style);
            }
            x += width + 2;
        }
        let room = first.saturating_sub(area.x + gutter + 1);
        let label = format!("{} of {} groups", what.name(), thousands(table.rows.len() as u64));
        put(buf, area.x + gutter, area.y, room, &label, view.theme.style("ui.title").patch(style));
    }
}

fn stage(what: Footer, field: FieldId) -> Stage {
    let by = Vec::new();
    match what {
        Footer::Sum => Stage::Sum { field, by },
        Footer::Mean => Stage::Measure { measure: Measure::Mean, field, by },
        Footer::Percentile(n) => Stage::Measure { measure: Measure::Percentile(n), field, by },
    }
}

/// The same of values that are there.
fn of_values<'a>(what: Footer, id: Option<FieldId>, values: impl Iterator<Item = &'a Value>) -> Option<Value> {
    let ty = id.and_then(field::get).map_or(Type::Uint, |f| f.ty);
    let (mut n, mut whole, mut sum, mut floats, mut all) = (0u64, 0u64, 0.0, false, Spread::default());
    for value in values {
        n += 1;
        sum += value.as_number().unwrap_or(0.0);
        whole = whole.saturating_add(value.as_uint().unwrap_or(0));
        floats |= matches!(value, Value::Float(_));
        all.add(value);
    }
    match what {
        Footer::Sum if floats => Some(Value::Float(sum)),
        Footer::Sum => Some(Value::Uint(whole)),
        Footer::Mean => spread::mean(sum, n, ty),
        Footer::Percentile(part) => all.at(part, floats),
    }
}

fn short(id: FieldId, value: &Value) -> String {
    match (value, field::get(id).map(|f| f.ty)) {
        (Value::Uint(n), Some(Type::Span)) => short_span(i64::try_from(*n).unwrap_or(i64::MAX)),
        (Value::Uint(n), _) => short_size(*n),
        (Value::Float(x), _) if *x >= 1000.0 => short_size(*x as u64),
        _ => value.to_string(),
    }
}

fn exact(id: FieldId, value: &Value) -> String {
    match (value, field::get(id).map(|f| f.ty)) {
        (Value::Uint(n), Some(Type::Span)) => exact_span(*n),
        (Value::Uint(n), _) => thousands(*n),
        _ => value.to_string(),
    }
}

/// Takes what came for the footer.
pub(super) fn answer(rows: &mut Rows, answer: Answer) -> Result<()> {
    match answer.body {
        Body::Failed(_) => rows.foot.failed = true,
        Body::Done => rows.foot.took = rows.foot.begun.map(|at| at.elapsed()),
        Body::Piece(_) => {
            if let Some(number) = answer.take::<Number>() {
                rows.take_number(number);
            }
        }
    }
    Ok(())
}
