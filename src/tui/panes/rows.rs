//! The lens table: the rows of a lens, oldest first, loaded in pages; or the groups that a question with stages makes.
//!
//! It knows no key and no trail: the app gives it a question and a place, and reads selection and place from it.

use super::{Change, Handled, Pane};
use crate::error::Result;
use crate::model::field::{self, FieldId};
use crate::model::site::Home;
use crate::model::{Entity, Record, RecordId, Value, Window};
use crate::pivots::Selection;
use crate::query::Engine;
use crate::query::engine::{Cursor, Match, Table};
use crate::tui::cells::{self, Cell, Shown};
use crate::tui::columns::Chosen;
use crate::tui::effect::{Cx, Effect};
use crate::tui::focus::{self, Focus};
use crate::tui::jobs::{Answer, Body};
use crate::tui::joins::Joined;
use crate::tui::lenses::{self, Column, Lens};
use crate::tui::live;
use crate::tui::load::{self, Ask, Found, FoundAmong, Part, Piece, Why};
use crate::tui::times::{short_span, thousands};
use crate::tui::view::View;
use crate::tui::walk::RowPlace;
use ratatui::Frame;
use ratatui::layout::Rect;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

mod draw;

mod joined;

mod again;

mod arranged;

pub mod footer;

/// The slot of its jobs.
pub const SLOT: &str = "rows";
/// At most so many rows are kept; then those far from the cursor go.
const KEPT: usize = 20_000;

/// The table scrolls by so many rows when the cursor leaves it: by one, each step along its edge would cost a slow line more than steps within.
const JUMP: usize = 3;

/// The lens table.
pub struct Rows {
    engine: Arc<dyn Engine>,
    /// The question that is shown.
    pub ask: Ask,
    /// What it is about.
    pub focus: Focus,
    /// The lens that it is seen through.
    pub lens: &'static Lens,
    /// What counts as home: of a row's two ends the one that is home is what it is about.
    pub home: Home,
    /// The window of the node, for selections.
    pub window: Option<Window>,
    /// How many there are in all, once counted.
    pub total: Option<u64>,
    records: Vec<Record>,
    quality: Vec<(Match, std::borrow::Cow<'static, str>)>,
    table: Option<Table>,
    before: bool,
    after: bool,
    loading: bool,
    elapsed: u64,
    why: Option<Why>,
    selected: usize,
    top: usize,
    cell: usize,
    height: usize,
    columns: Vec<(Column, u16)>,
    /// Columns that were chosen for the lens; none: its own.
    pub chosen: Vec<Chosen>,
    /// Chosen columns for which there is no room.
    dropped: usize,
    /// The heading in whose column the cursor is to stand.
    stand_in: Option<&'static str>,
    /// Of rows in another order than that of time: how many there are in all.
    of: Option<u64>,
    foot: footer::Foot,
    wanted: Option<RowPlace>,
    joins: HashMap<RecordId, Joined>,
    looking: HashSet<RecordId>,
    /// Text that was looked for last, and whether nothing was found.
    pub finding: Option<String>,
    /// Whether it was looked for ahead.
    ahead: bool,
}

impl Rows {
    /// An empty table.
    pub fn new(engine: Arc<dyn Engine>) -> Rows {
        Rows {
            engine,
            ask: Ask::default(),
            focus: Focus::Case,
            lens: lenses::find("alerts"),
            home: crate::context::sites::unasked(),
            window: None,
            total: None,
            records: Vec::new(),
            quality: Vec::new(),
            table: None,
            before: false,
            after: false,
            loading: false,
            elapsed: 0,
            why: None,
            selected: 0,
            top: 0,
            cell: 0,
            height: 20,
            columns: Vec::new(),
            chosen: Vec::new(),
            dropped: 0,
            stand_in: None,
            of: None,
            foot: footer::Foot::default(),
            wanted: None,
            joins: HashMap::new(),
            looking: HashSet::new(),
            finding: None,
            ahead: true,
        }
    }
    /// Asks another question and stands on a place of it.
    pub fn show(&mut self, ask: Ask, focus: Focus, lens: &'static Lens, place: RowPlace, cx: &mut Cx) {
        if lens.name != self.lens.name || focus != self.focus {
            self.columns.clear();
        }
        self.window = ask.window;
        self.forget_joins();
        cx.push(Effect::Cancel { pane: cx.pane, slot: live::SLOT });
        (self.ask, self.focus, self.lens) = (ask, focus, lens);
        self.cell = place.cell;
        self.total = None;
        (self.of, self.stand_in) = (None, None);
        self.wanted = Some(place);
        let part = place.cursor().map_or(Part::Start, Part::Around);
        self.load(part, cx);
        self.ask_footer(cx);
    }
    /// Asks for a part of the answer.
    pub fn load(&mut self, part: Part, cx: &mut Cx) {
        self.loading = true;
        let part = self.part(part);
        let ask = self.ask.clone();
        cx.ask(SLOT, move |work| load::load(work, &ask, part));
    }
    /// Looks for the next row that satisfies a condition as well, without hiding the others.
    pub fn find(&mut self, condition: String, ahead: bool, cx: &mut Cx) {
        let from = self.record().map(|r| Cursor { time: r.time(), id: r.id });
        self.finding = Some(condition.clone());
        self.ahead = ahead;
        self.load(Part::Found(from, ahead, condition), cx);
    }
    /// The question was given up: what came so far stays.
    pub fn give_up(&mut self) {
        self.loading = false;
        self.wanted = None;
        self.after = !self.is_empty();
    }
    /// The selected record.
    pub fn record(&self) -> Option<&Record> {
        if self.table.is_some() { None } else { self.records.get(self.selected) }
    }
    /// Everything that is loaded.
    pub fn records(&self) -> &[Record] {
        &self.records
    }
    /// The groups, if the question makes groups.
    pub fn table(&self) -> Option<&Table> {
        self.table.as_ref()
    }
    /// Whether rows are still coming.
    pub fn is_loading(&self) -> bool {
        self.loading
    }
    /// Rows that are there.
    pub fn len(&self) -> usize {
        self.table.as_ref().map_or(self.records.len(), |t| t.rows.len())
    }
    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Number of rows of the answer, as far as it is known.
    pub fn known_total(&self) -> Option<u64> {
        let all = self.table.is_some() || !self.before && !self.after;
        if self.is_sorted() {
            return self.of.or(self.total);
        }
        if all && !self.loading { Some(self.len() as u64) } else { self.total }
    }
    /// Where the cursor stands, to come back to.
    pub fn place(&self) -> RowPlace {
        if let Some(wanted) = self.wanted.filter(|_| self.loading) {
            return wanted;
        }
        let above = u16::try_from(self.selected.saturating_sub(self.top)).unwrap_or(0);
        let (time, id) = self.record().map_or((0, None), |r| (r.time().0, Some(r.id)));
        RowPlace { time, id, index: self.selected, above, cell: self.cell }
    }
    /// The cell under the cursor: its heading and what it shows. None on the first cell, which stands for the row.
    pub fn cell(&self, zone: crate::tui::times::Zone) -> Option<(String, Cell)> {
        if let Some(table) = &self.table {
            let column = self.cell.min(table.columns.len().saturating_sub(1));
            let value = table.rows.get(self.selected)?.get(column)?.clone();
            let shown = value.map_or_else(Cell::default, |v| draw::group_cell(table.fields.get(column).copied().flatten(), v));
            return Some((table.columns.get(column)?.clone(), shown));
        }
        let (column, _) = self.columns.get(self.cell)?;
        let record = self.record()?;
        let mut shown = self.shown(zone, true, ("→", "←"));
        shown.quality = self.quality.get(self.selected).map(|(q, _)| q);
        shown.joined = self.joined_of(record.id);
        Some((column.title.to_owned(), Rows::in_full(cells::cell(record, column, &shown), column)))
    }
    /// The value under the cursor and the field it is of.
    pub fn value(&self) -> Option<(FieldId, Value)> {
        self.cell(crate::tui::times::Zone::Utc).and_then(|(_, cell)| cell.value)
    }
    /// Whether the cursor stands on the row as a whole rather than on one value.
    pub fn on_row(&self) -> bool {
        self.cell == 0 && self.table.is_none()
    }
    /// What Enter would go to: the entity under the cursor, on the row as a whole what the row is about.
    pub fn entity(&self) -> Option<Entity> {
        if self.on_row() && self.lens.name != "reputation" {
            return self.record().and_then(|r| focus::of_row(r, &self.focus, &self.home));
        }
        let (id, value) = self.value()?;
        if id == field::INDICATOR {
            return Entity::recognise(&value.to_string());
        }
        Entity::of(id, &value)
    }
    /// Of another record what [`Rows::entity`] would be if the cursor stood on it in the column where it is now.
    pub fn entity_of(&self, record: &Record) -> Option<Entity> {
        if self.on_row() {
            return focus::of_row(record, &self.focus, &self.home);
        }
        let (column, _) = self.columns.get(self.cell)?;
        let (id, value) = cells::cell(record, column, &self.shown(crate::tui::times::Zone::Utc, true, ("→", "←"))).value?;
        Entity::of(id, &value)
    }
    fn shown<'a>(&'a self, zone: crate::tui::times::Zone, day: bool, arrows: (&'a str, &'a str)) -> Shown<'a> {
        Shown { engine: &*self.engine, zone, day, host: self.focus.host(), home: &self.home, arrows, quality: None, joined: None }
    }
    fn select(&mut self, row: usize, cx: &mut Cx) {
        let last = self.len().saturating_sub(1);
        self.selected = row.min(last);
        self.keep_in_sight();
        if self.table.is_some() || self.loading {
            return;
        }
        // The next page is asked for before the end is reached, so that the cursor does not stop there.
        let near = self.height.max(10);
        if self.is_sorted() {
            if self.selected + near >= last {
                self.more_sorted(cx);
            }
        } else if self.after && self.selected + near >= last {
            if let Some(end) = self.records.last().map(cursor) {
                self.load(Part::After(end), cx);
            }
        } else if self.before
            && self.selected < near
            && let Some(begin) = self.records.first().map(cursor)
        {
            self.load(Part::Before(begin), cx);
        }
    }
    fn keep_in_sight(&mut self) {
        let height = self.height.max(1);
        if self.selected < self.top {
            self.top = self.selected.saturating_sub(JUMP.min(height) - 1);
        } else if self.selected >= self.top + height {
            self.top = self.selected + JUMP.min(height) - height;
        }
        self.top = self.top.min(self.len().saturating_sub(height));
    }
    fn restore(&mut self) {
        let Some(place) = self.wanted else { return };
        let row = match place.id {
            Some(id) => match self.records.iter().position(|r| r.id == id) {
                Some(row) => Some(row),
                None if self.is_sorted() => (!self.loading).then(|| self.row_of(id, &place)),
                // It is not among them (a filter hides it, or another lens shows other records): the nearest in time.
                None if !self.loading => Some(self.nearest(place.time)),
                None => None,
            },
            None => Some(place.index),
        };
        if let Some(row) = row {
            self.selected = row.min(self.len().saturating_sub(1));
            self.top = self.selected.saturating_sub(usize::from(place.above));
            self.keep_in_sight();
        }
    }
    fn nearest(&self, time: i64) -> usize {
        let after = self.records.partition_point(|r| r.time().0 < time);
        let distance = |row: usize| self.records.get(row).map(|r| r.time().0.abs_diff(time));
        match after.checked_sub(1) {
            Some(before) if distance(before) < distance(after).or(Some(u64::MAX)) => before,
            _ => after,
        }
    }
    fn trim(&mut self) {
        if self.records.len() <= KEPT {
            return;
        }
        let over = self.records.len() - KEPT;
        if self.selected > self.records.len() / 2 {
            self.records.drain(..over);
            self.selected = self.selected.saturating_sub(over);
            self.top = self.top.saturating_sub(over);
            self.before = true;
        } else {
            self.records.truncate(KEPT);
            self.after = true;
        }
    }
    fn columns_count(&self) -> usize {
        self.table.as_ref().map_or(self.columns.len(), |t| t.columns.len())
    }
    fn take(&mut self, piece: Piece) {
        match piece {
            Piece::Home(home) => self.home = home,
            Piece::Of(rows) => self.of = Some(rows),
            Piece::Fresh => {
                self.records.clear();
                self.quality.clear();
                self.table = None;
                self.why = None;
                (self.selected, self.top) = (0, 0);
                (self.before, self.after) = (false, false);
            }
            Piece::Rows(rows) => {
                self.records.extend(rows);
                self.trim();
                self.restore();
            }
            Piece::Earlier(rows) => {
                let more = rows.len();
                self.records.splice(0..0, rows);
                self.selected += more;
                self.top += more;
                self.trim();
            }
            Piece::Table(table, elapsed) => {
                self.elapsed = elapsed;
                self.table = Some(table);
                self.restore();
            }
            Piece::Links(links, elapsed) => {
                self.elapsed = elapsed;
                for link in links {
                    self.quality.push((link.quality, link.method));
                    self.records.push(link.record);
                }
                self.restore();
            }
            Piece::End { before, after, elapsed } => {
                self.before = before.unwrap_or(self.before);
                self.after = after.unwrap_or(self.after);
                self.elapsed = elapsed;
            }
            Piece::Why(why) => self.why = Some(why),
        }
    }
}

fn cursor(record: &Record) -> Cursor {
    Cursor { time: record.time(), id: record.id }
}

impl Pane for Rows {
    fn name(&self) -> &'static str {
        "rows"
    }
    fn title(&self) -> String {
        self.lens.title.to_owned()
    }
    fn run(&mut self, command: &str, cx: &mut Cx) -> Result<Handled> {
        let page = self.height.saturating_sub(1).max(1);
        match command {
            "move_down" => self.select(self.selected.saturating_add(1), cx),
            "move_up" => self.select(self.selected.saturating_sub(1), cx),
            "page_down" => self.select(self.selected.saturating_add(page), cx),
            "page_up" => self.select(self.selected.saturating_sub(page), cx),
            "move_left" => self.cell = self.cell.min(self.columns_count()).saturating_sub(1),
            "move_right" => self.cell = (self.cell + 1).min(self.columns_count().saturating_sub(1)),
            "go_first" if self.before => {
                self.wanted = Some(RowPlace { cell: self.cell, ..RowPlace::default() });
                self.load(Part::Start, cx);
            }
            "go_first" => self.select(0, cx),
            "go_last" if self.after => {
                let above = u16::try_from(self.height).unwrap_or(0);
                self.wanted = Some(RowPlace { index: usize::MAX, above, cell: self.cell, ..RowPlace::default() });
                self.load(Part::End, cx);
            }
            "go_last" => self.select(usize::MAX, cx),
            _ => return Ok(Handled::No),
        }
        Ok(Handled::Yes)
    }
    fn answer(&mut self, answer: Answer, cx: &mut Cx) -> Result<()> {
        if answer.slot == live::SLOT {
            self.take_again(answer);
            return Ok(());
        }
        if answer.slot == crate::tui::joins::NAME {
            self.joined(answer);
            return Ok(());
        }
        if answer.slot == footer::SLOT {
            return footer::answer(self, answer);
        }
        match answer.body {
            Body::Done => {
                self.loading = false;
                self.restore();
                self.wanted = None;
            }
            Body::Failed(_) => {
                self.loading = false;
                self.wanted = None;
            }
            Body::Piece(_) if answer.is::<FoundAmong>() => {
                self.loading = false;
                if let Some(found) = answer.take::<FoundAmong>() {
                    self.take_found(found, cx);
                }
            }
            Body::Piece(_) if answer.is::<Found>() => match answer.take::<Found>() {
                Some(Found(Some(at))) => {
                    let above = u16::try_from(self.height / 2).unwrap_or(0);
                    self.wanted = Some(RowPlace { time: at.time.0, id: Some(at.id), index: 0, above, cell: self.cell });
                    self.restore();
                }
                _ => cx.push(Effect::Say(format!("no more rows with {}", self.finding.clone().unwrap_or_default()))),
            },
            Body::Piece(_) => {
                if let Some(piece) = answer.take::<Piece>() {
                    self.take(piece);
                }
            }
        }
        Ok(())
    }
    fn changed(&mut self, _: Change, _: &mut Cx) -> Result<()> {
        Ok(())
    }
    fn selected(&self) -> Selection {
        Selection { record: self.record().cloned(), entity: self.entity(), window: self.window }
    }
    fn copied(&self) -> Option<(String, String)> {
        if self.on_row() {
            return None;
        }
        let (title, cell) = self.cell(crate::tui::times::Zone::Utc)?;
        let (id, value) = cell.value?;
        let ty = field::get(id).map_or(crate::model::field::Type::Text, |f| f.ty);
        Some((title, value.show(ty)))
    }
    fn status(&self) -> String {
        if self.loading && self.is_empty() {
            return "asking… Esc gives up".into();
        }
        let place =
            if self.is_empty() || self.before { String::new() } else { format!("{} of ", thousands(self.selected as u64 + 1)) };
        let rows = match self.known_total() {
            Some(n) => thousands(n),
            None => format!("{}+", thousands(self.len() as u64)),
        };
        let what = if self.table.is_some() { "groups" } else { "rows" };
        let more = if self.loading { "…" } else { "" };
        let millis = self.elapsed as i64 / 1_000_000 * 1_000_000;
        let took = if millis == 0 { "<1ms".to_owned() } else { short_span(millis) };
        let order = self.said_of_order();
        format!("{place}{rows}{more} {what}{order} · {took}")
    }
    fn draw(&mut self, frame: &mut Frame, area: Rect, view: &View) {
        self.paint(frame.buffer_mut(), area, view);
    }
}
