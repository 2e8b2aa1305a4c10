//! The profile of the network, step by step: which step and table on the left, its lines beside it, what a line says in full below. Enter on a
//! line opens its records; coming back finds the same step and line.

use super::{Change, Handled, Pane};
use crate::case::home::{Cell, Go, Line};
use crate::case::profile::{self, Step, Table};
use crate::error::{Error, Result};
use crate::model::{Entity, Window};
use crate::pivots::Selection;
use crate::tui::effect::{Cx, Effect};
use crate::tui::focus::Focus;
use crate::tui::jobs::{Answer, Body};
use crate::tui::paint::{fill, put};
use crate::tui::text;
use crate::tui::times::{short_size, thousands};
use crate::tui::view::View;
use crate::tui::walk;
use crate::tui::widgets::scroll::Scroll;
use crate::tui::widgets::table::{self, Column};
use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// Width of the list of steps where it stands beside the lines.
const STEPS: u16 = 34;
/// Lines of the part below.
const BELOW: u16 = 5;

/// The profile screen.
#[derive(Default)]
pub struct Profile {
    steps: Vec<Step>,
    /// Share of the records that was read, of a hundred.
    read: Option<u64>,
    failed: Option<Error>,
    /// The table that is shown, counted over all steps.
    at: usize,
    /// The step to begin with.
    wanted: u8,
    /// The list of steps and tables.
    list: Scroll,
    scroll: Scroll,
    /// The cursor is on the list of tables.
    choosing: bool,
    window: Option<Window>,
    /// The case has grown since.
    old: bool,
}

struct Read(u64);

impl Profile {
    /// The profile, at a step of it: 1 to 7.
    pub fn new(step: u8) -> Profile {
        Profile { wanted: step, choosing: true, ..Profile::default() }
    }
    fn load(&mut self, cx: &mut Cx) {
        let window = cx.selection.window.or(self.window);
        self.window = window;
        (self.read, self.failed, self.old) = (Some(0), None, false);
        cx.ask("load", move |work| {
            let mut told = 0;
            let made = profile::gather(&*work.engine, window.unwrap_or(Window::ALL), &work.cancel, &mut |p| {
                let share = p.rows.saturating_mul(100) / p.of.max(1);
                if share != told {
                    told = share;
                    work.give(Read(share.min(100)));
                }
            })?;
            work.give(profile::steps(&*work.engine, &made, &work.cancel)?);
            Ok(())
        });
    }
    fn tables(&self) -> impl Iterator<Item = (&Step, &Table)> {
        self.steps.iter().flat_map(|s| s.tables.iter().map(move |t| (s, t)))
    }
    fn shown(&self) -> Option<(&Step, &Table)> {
        self.tables().nth(self.at)
    }
    fn line_at(&self) -> Option<&Line> {
        self.shown()?.1.lines.get(self.scroll.selected)
    }
    fn turn(&mut self, table: usize) {
        let table = table.min(self.tables().count().saturating_sub(1));
        if self.at != table {
            (self.at, self.scroll) = (table, Scroll::default());
        }
    }
    /// Moves among the tables. False: it is another command.
    fn choose(&mut self, command: &str) -> bool {
        let last = self.tables().count().saturating_sub(1);
        let next_step = |by: isize| {
            let here = self.shown().map_or(1, |t| isize::from(t.0.number as i8));
            self.tables().position(|t| isize::from(t.0.number as i8) == here + by).unwrap_or(self.at)
        };
        let to = match command {
            "move_up" => self.at.saturating_sub(1),
            "move_down" => (self.at + 1).min(last),
            "page_up" => next_step(-1),
            "page_down" => next_step(1),
            "go_first" => 0,
            "go_last" => last,
            _ => return false,
        };
        self.turn(to);
        true
    }
    fn enter(&self, cx: &mut Cx) {
        let Some(line) = self.line_at() else { return };
        match &line.go {
            Go::Query { label, text, lens } => {
                let mut step = walk::Step::to(Focus::Case, crate::tui::lenses::find(lens).name, None);
                (step.label, step.query) = (label.clone(), text.clone());
                // Statements are of all times; flows are those of the window.
                step.window = self.window.filter(|_| text.contains("kind = flow"));
                cx.push(Effect::Go(Box::new(step)));
            }
            Go::Entity(id, value) => {
                if let Some(entity) = Entity::of(*id, value) {
                    let lens = crate::tui::go::first_lens(&entity);
                    cx.push(Effect::Go(Box::new(walk::Step::to(Focus::Entity(entity), lens, self.window))));
                }
            }
            Go::Source(name) => cx.push(Effect::Run(format!("open_sources {name}"))),
            Go::Sites => cx.push(Effect::Run("site".into())),
            Go::Leads => cx.push(Effect::Run("open_case leads".into())),
        }
    }
}

impl Pane for Profile {
    fn name(&self) -> &'static str {
        "profile"
    }
    fn title(&self) -> String {
        self.shown().map_or_else(|| "profile".into(), |(step, table)| format!("profile {} {}", step.number, table.title))
    }
    fn commands(&self) -> &'static [(&'static str, &'static str)] {
        &[("drill", "the records of the line, or into the table"), ("next_pane", "steps and lines")]
    }
    fn opened(&mut self, cx: &mut Cx) -> Result<()> {
        if self.steps.is_empty() {
            self.load(cx);
        }
        Ok(())
    }
    fn run(&mut self, command: &str, cx: &mut Cx) -> Result<Handled> {
        match command {
            "drill" if self.choosing => self.choosing = self.shown().is_none_or(|t| t.1.lines.is_empty()),
            "drill" => self.enter(cx),
            "cancel" if self.read.is_some() => {
                cx.push(Effect::Cancel { pane: "profile", slot: "load" });
                return Ok(Handled::No);
            }
            "next_pane" | "previous_pane" => self.choosing = !self.choosing,
            "move_right" if self.choosing => self.choosing = false,
            "move_left" if !self.choosing => self.choosing = true,
            _ if self.choosing => return Ok(if self.choose(command) { Handled::Yes } else { Handled::No }),
            _ => {
                let len = self.shown().map_or(0, |t| t.1.lines.len());
                return Ok(if self.scroll.run(command, len) { Handled::Yes } else { Handled::No });
            }
        }
        Ok(Handled::Yes)
    }
    fn answer(&mut self, answer: Answer, _: &mut Cx) -> Result<()> {
        match &answer.body {
            Body::Failed(error) => (self.failed, self.read) = (Some(error.clone()), None),
            Body::Done => self.read = None,
            Body::Piece(_) if answer.is::<Read>() => self.read = answer.take::<Read>().map(|r| r.0),
            Body::Piece(_) => {
                let Some(steps) = answer.take::<Vec<Step>>() else { return Ok(()) };
                self.steps = steps;
                let wanted = std::mem::take(&mut self.wanted);
                let at = self.tables().position(|(s, _)| s.number == wanted);
                if let Some(at) = at {
                    self.turn(at);
                }
                let lines = self.shown().map_or(0, |t| t.1.lines.len());
                self.scroll.select(self.scroll.selected, lines);
            }
        }
        Ok(())
    }
    fn changed(&mut self, change: Change, _: &mut Cx) -> Result<()> {
        // All flows are read for it: that is done again when somebody opens it, not each second.
        self.old |= change == Change::Records;
        Ok(())
    }
    fn selected(&self) -> Selection {
        let entity = self.line_at().filter(|_| !self.choosing).and_then(|l| l.cells.iter().find_map(Cell::entity));
        Selection { entity, ..Selection::default() }
    }
    fn copied(&self) -> Option<(String, String)> {
        let show = |t: crate::model::Time| t.rfc3339();
        let cells: Vec<String> = self.line_at()?.cells.iter().map(|c| c.show(&show)).filter(|t| !t.is_empty()).collect();
        Some(("line".into(), cells.join(" ")))
    }
    fn lines(&self) -> Vec<String> {
        let show = |t: crate::model::Time| t.rfc3339();
        let of = |l: &Line| l.cells.iter().map(|c| c.show(&show)).collect::<Vec<_>>().join(" ");
        self.shown().map(|t| t.1.lines.iter().map(of).collect()).unwrap_or_default()
    }
    fn line(&self) -> usize {
        self.scroll.selected
    }
    fn stand(&mut self, line: usize) {
        let len = self.shown().map_or(0, |t| t.1.lines.len());
        self.scroll.select(line, len);
        self.choosing = false;
    }
    fn stays(&self) -> bool {
        true
    }
    fn status(&self) -> String {
        let grown = if self.old { ", the case has changed since: open it again" } else { "" };
        match (self.read, self.shown()) {
            (Some(share), _) => format!("reading, {share} %"),
            (_, Some((_, table))) => format!("{} lines{grown}", thousands(table.total as u64)),
            _ => String::new(),
        }
    }
    fn draw(&mut self, frame: &mut Frame, area: Rect, view: &View) {
        let buf = frame.buffer_mut();
        fill(buf, area, view.theme.style("ui.background"));
        if self.steps.is_empty() {
            let why = match (&self.failed, self.read) {
                (Some(error), _) => text::clean(&error.what).into_owned(),
                (_, Some(share)) => format!("reading flows, {share} %{} Esc gives up", view.glyphs.ellipsis),
                _ => "nothing was read".into(),
            };
            put(buf, area.x + 1, area.y, area.width.saturating_sub(1), &why, view.theme.style("ui.dim"));
            return;
        }
        // Where there is little room the list is shown while one chooses, the lines after.
        let (list, right) = if view.narrow {
            if self.choosing { (area, Rect { width: 0, ..area }) } else { (Rect { width: 0, ..area }, area) }
        } else {
            let wide = STEPS.min(area.width / 3);
            (Rect { width: wide, ..area }, Rect { x: area.x + wide + 1, width: area.width - wide - 1, ..area })
        };
        if list.width > 0 {
            self.draw_steps(buf, list, view);
        }
        if right.width > 0 {
            if list.width > 0 {
                for y in area.top()..area.bottom() {
                    put(buf, right.x - 1, y, 1, view.glyphs.vertical, view.theme.style("ui.border"));
                }
            }
            self.draw_table(buf, right, view);
        }
    }
}

impl Profile {
    fn draw_steps(&mut self, buf: &mut Buffer, area: Rect, view: &View) {
        let mut rows: Vec<(String, &'static str, Option<usize>)> = Vec::new();
        let mut n = 0;
        for step in &self.steps {
            rows.push((format!("{} {}", step.number, step.title), "ui.title", None));
            for table in &step.tables {
                rows.push((
                    format!("  {} {}", table.title, thousands(table.total as u64)),
                    if table.total == 0 { "ui.dim" } else { "ui.text" },
                    Some(n),
                ));
                n += 1;
            }
        }
        let at = rows.iter().position(|r| r.2 == Some(self.at)).unwrap_or(0);
        // What one does in the step stands below the list where the lines do not say it.
        let room = if view.narrow { area.height.saturating_sub(3) } else { area.height };
        self.list.select(at, rows.len());
        let sight = self.list.sight(usize::from(room), rows.len());
        for (y, (words, role, table)) in (area.y..).zip(rows.get(sight).into_iter().flatten()) {
            let here = *table == Some(self.at);
            let style = match (here, self.choosing && view.focused) {
                (true, true) => view.theme.style("ui.row.selected"),
                (true, false) => view.theme.style("ui.row.selected.inactive"),
                _ => view.theme.style(role),
            };
            let words = if here { text::pad(words, usize::from(area.width.saturating_sub(1)), false) } else { words.clone() };
            put(buf, area.x + 1, y, area.width.saturating_sub(1), &view.glyphs.put(&words), style);
        }
        if view.narrow
            && let Some((step, table)) = self.shown()
        {
            let says = [step.guide.to_owned(), table.note.clone()];
            wrapped(buf, Rect { y: area.bottom().saturating_sub(3), height: 3, ..area }, &says, view);
        }
    }
    fn draw_table(&mut self, buf: &mut Buffer, area: Rect, view: &View) {
        let Some((step, table)) = self.tables().nth(self.at) else { return };
        let below = BELOW.min(area.height / 3);
        let head = if view.narrow { 1 } else { 3.min(area.height / 4) };
        let mut says = vec![format!("{} {}: {}", step.number, table.title, table.note)];
        if !view.narrow {
            says.insert(0, step.guide.to_owned());
        }
        wrapped(buf, Rect { height: head, ..area }, &says, view);
        let body = Rect { y: area.y + head, height: area.height.saturating_sub(head + below), ..area };
        if table.lines.is_empty() {
            put(buf, body.x + 1, body.y, body.width.saturating_sub(1), &text::clean(&table.why), view.theme.style("ui.dim"));
            return;
        }
        let columns: Vec<Column> = table.columns.iter().enumerate().map(|(n, c)| column(n, c)).collect();
        let form = if view.narrow { "%d %b %H:%M" } else { "%m-%d %H:%M" };
        let show = |cell: &Cell| match cell {
            Cell::At(at) => view.zone.format(*at, form),
            Cell::Bytes(n) => short_size(*n),
            Cell::Count(n) => thousands(*n),
            other => text::clean(&other.show(&|t| t.rfc3339())).into_owned(),
        };
        let mut scroll = self.scroll;
        let mut row = |n: usize| {
            let line = &table.lines[n];
            let role = |cell: &Cell| match cell {
                Cell::Of(..) => "entity.address",
                Cell::At(_) => "ui.time",
                _ if line.loud => "ui.warning",
                _ => "ui.text",
            };
            line.cells.iter().map(|c| (show(c), role(c))).collect()
        };
        let focused = view.focused && !self.choosing;
        table::draw(buf, body, &columns, &mut scroll, table.lines.len(), view, focused, &mut row);
        // The line in full: cells are cut, and columns may have had to go.
        let full: Vec<String> = self.line_at().map_or_else(Vec::new, |line| {
            let time = |t| view.zone.format(t, "%Y-%m-%d %H:%M:%S");
            let cells = table.columns.iter().zip(&line.cells).filter(|(_, c)| **c != Cell::Empty);
            vec![cells.map(|(name, c)| format!("{name} {}", c.show(&time))).collect::<Vec<_>>().join("  ")]
        });
        let foot = Rect { y: body.bottom(), height: below, ..area };
        if foot.height > 1 {
            let rule = view.glyphs.horizontal.repeat(usize::from(foot.width));
            put(buf, foot.x, foot.y, foot.width, &rule, view.theme.style("ui.border"));
            wrapped(buf, Rect { y: foot.y + 1, height: foot.height - 1, ..foot }, &full, view);
        }
        self.scroll = scroll;
    }
}

/// How wide a column of a name is, and when it goes: hosts, what they offer and what the rule says stay.
fn column(n: usize, title: &'static str) -> Column {
    let (least, wanted, right, drop) = match title {
        "host" => (15, 15, false, 0),
        "network" | "source" => (15, 18, false, 0),
        "protocol" | "service" | "what" => (8, 16, false, 0),
        "value" => (12, 30, false, 0),
        "name" => (6, 12, false, 3),
        "ports" | "port" => (9, 14, false, 0),
        "first" => (11, 12, false, 9),
        "last" => (11, 12, false, 8),
        "names" => (8, 20, false, 7),
        "outside" | "inside" => (7, 7, true, 2),
        "received" | "sent" => (8, 8, true, 5),
        "flows" | "bytes" | "of flows" | "of bytes" | "share" | "talkers" | "connections" | "peers" | "inventoried" => {
            (8, 11, true, 0)
        }
        "rule" => (10, 12, false, 0),
        "ours" => (4, 4, false, 1),
        "sure by" | "sure" => (6, 7, false, 4),
        "role" => (11, 24, false, 0),
        "says" => (8, 10, false, 4),
        "hour" => (12, 12, false, 0),
        "remarks" => (8, 60, false, 6),
        _ => (10, 40, false, if n == 0 { 0 } else { 1 }),
    };
    Column { title, least, wanted, right, drop }
}

/// Texts one below the other, broken at blanks.
fn wrapped(buf: &mut Buffer, area: Rect, texts: &[String], view: &View) {
    let width = usize::from(area.width.saturating_sub(2)).max(1);
    let most = usize::from(area.height);
    let lines = texts.iter().flat_map(|said| text::wrap(&text::clean(said), width, most));
    for (y, line) in (area.top()..area.bottom()).zip(lines) {
        put(buf, area.x + 1, y, area.width.saturating_sub(1), &view.glyphs.put(&line), view.theme.style("ui.dim"));
    }
}
