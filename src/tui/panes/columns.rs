//! The columns of a lens as a list: those that it has, in their order, then everything else that can be one. Enter takes them, Esc leaves all as
//! it was.

use super::{Handled, Pane};
use crate::error::Result;
use crate::tui::columns::{self, Chosen, MAX, WIDTHS};
use crate::tui::effect::{Cx, Effect};
use crate::tui::lenses::Lens;
use crate::tui::paint::{Line, fill};
use crate::tui::text;
use crate::tui::view::View;
use crate::tui::widgets::scroll::Scroll;
use crate::tui::widgets::table::{self, Column};
use ratatui::Frame;
use ratatui::layout::Rect;

const COLUMNS: [Column; 4] = [
    Column { title: "", least: 1, wanted: 1, right: false, drop: 0 },
    Column { title: "column", least: 16, wanted: 24, right: false, drop: 0 },
    Column { title: "width", least: 5, wanted: 5, right: true, drop: 0 },
    Column { title: "what it is", least: 20, wanted: 60, right: false, drop: 0 },
];

/// The list of columns.
pub struct Columns {
    lens: &'static Lens,
    /// Those that are shown stand first, in their order.
    all: Vec<Chosen>,
    shown: usize,
    changed: bool,
    scroll: Scroll,
}

impl Columns {
    /// Of a lens that has these columns.
    pub fn new(lens: &'static Lens, chosen: Vec<Chosen>) -> Columns {
        let shown = chosen.len();
        let others = columns::known(lens).into_iter().filter(|c| !chosen.iter().any(|o| o.choice.name == c.name));
        let others: Vec<Chosen> = others.map(|choice| Chosen { choice, width: None }).collect();
        Columns { lens, all: chosen.into_iter().chain(others).collect(), shown, changed: false, scroll: Scroll::default() }
    }
    fn toggle(&mut self, cx: &mut Cx) {
        let at = self.scroll.selected;
        if at < self.shown {
            if self.shown == 1 {
                return cx.say("a lens has at least one column");
            }
            let gone = self.all.remove(at);
            self.shown -= 1;
            self.all.insert(self.shown, gone);
            self.scroll.select(at.min(self.shown), self.all.len());
        } else if self.shown >= MAX {
            return cx.say(format!("at most {MAX} columns"));
        } else if at < self.all.len() {
            // It becomes the last one that is shown; the cursor goes on down the list, to choose further ones.
            let new = self.all.remove(at);
            self.all.insert(self.shown, new);
            self.shown += 1;
            self.scroll.select(at + 1, self.all.len());
        }
        self.changed = true;
    }
    fn shift(&mut self, by: isize) {
        let at = self.scroll.selected;
        let to = at.saturating_add_signed(by);
        if at < self.shown && to < self.shown && to != at {
            self.all.swap(at, to);
            self.scroll.select(to, self.all.len());
            self.changed = true;
        }
    }
    fn widen(&mut self, by: isize) {
        let at = self.scroll.selected;
        if let Some(chosen) = self.all.get_mut(at).filter(|_| at < self.shown) {
            let now = chosen.width.unwrap_or(chosen.choice.column.min);
            let wanted = usize::from(now).saturating_add_signed(by);
            chosen.width = Some(u16::try_from(wanted).unwrap_or(u16::MAX).clamp(*WIDTHS.start(), *WIDTHS.end()));
            self.changed = true;
        }
    }
}

impl Pane for Columns {
    fn name(&self) -> &'static str {
        "columns"
    }
    fn title(&self) -> String {
        format!("columns of {}", self.lens.title)
    }
    fn commands(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("drill", "take"),
            ("mark_row", "on/off"),
            ("window_earlier", "left"),
            ("window_later", "right"),
            ("zoom_in", "wider"),
            ("zoom_out", "narrower"),
            ("columns_auto", "width by the screen"),
            ("columns_own", "as by itself"),
        ]
    }
    fn run(&mut self, command: &str, cx: &mut Cx) -> Result<Handled> {
        match command {
            "drill" => {
                let line = format!("columns {}", columns::text(&self.all[..self.shown]));
                cx.push(Effect::Close);
                cx.push(Effect::Run(line));
            }
            "mark_row" => self.toggle(cx),
            "window_earlier" => self.shift(-1),
            "window_later" => self.shift(1),
            "zoom_in" => self.widen(1),
            "zoom_out" => self.widen(-1),
            "columns_auto" => {
                let at = self.scroll.selected;
                self.changed |= self.all.get_mut(at).is_some_and(|c| c.width.take().is_some());
            }
            "columns_own" => {
                let scroll = self.scroll;
                *self = Columns { scroll, changed: true, ..Columns::new(self.lens, columns::usual(self.lens)) };
            }
            _ if self.scroll.run(command, self.all.len()) => {}
            _ => return Ok(Handled::No),
        }
        Ok(Handled::Yes)
    }
    fn lines(&self) -> Vec<String> {
        self.all.iter().map(|c| format!("{} {}", c.choice.name, c.choice.doc)).collect()
    }
    fn line(&self) -> usize {
        self.scroll.selected
    }
    fn stand(&mut self, line: usize) {
        self.scroll.select(line, self.all.len());
    }
    fn status(&self) -> String {
        let not_yet = if self.changed { " · not taken yet" } else { "" };
        format!("{} of {}{not_yet}", self.shown, self.all.len())
    }
    fn draw(&mut self, frame: &mut Frame, area: Rect, view: &View) {
        let buf = frame.buffer_mut();
        fill(buf, area, view.theme.style("ui.background"));
        if area.height < 3 {
            return;
        }
        let list = Rect { height: area.height - 1, ..area };
        let mut scroll = self.scroll;
        let (all, shown) = (&self.all, self.shown);
        let mut row = |n: usize| {
            let chosen = &all[n];
            let (sign, role) = if n < shown { (view.glyphs.mark, "ui.text") } else { (" ", "ui.dim") };
            let width = chosen.width.map_or_else(|| "auto".to_owned(), |w| w.to_string());
            let doc = chosen.choice.doc.to_owned();
            let width = if n < shown { width } else { String::new() };
            vec![(sign.to_owned(), "ui.title"), (chosen.choice.name.to_owned(), role), (width, role), (doc, "ui.dim")]
        };
        table::draw(buf, list, &COLUMNS, &mut scroll, all.len(), view, view.focused, &mut row);
        self.scroll = scroll;
        let mut foot = Line::new(buf, area, area.height - 1);
        foot.add(" ", view.theme.style("ui.dim"));
        let names = columns::text(&self.all[..self.shown]);
        foot.add(&text::fit(&names, usize::from(area.width.saturating_sub(2))), view.theme.style("ui.title"));
    }
}
