//! Drawing the workbench: header, timeline, tabs, card, table, detail, the line of hints or messages, and what lies over them.

use super::app::{App, Message, Part};
use super::layout::{self, Layout, Shape, layout};
use super::paint::{Line, fill, put, put_right};
use super::panes::Pane;
use super::text;
use super::times::{short_size, thousands};
use super::view::View;
use super::walk::Node;
use crate::case::triage::{AWAY, Away};
use crate::model::value::SEVERITIES;
use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;

impl App {
    /// Whether there is room for the focus card and it is wanted.
    pub(super) fn shows_card(&self) -> bool {
        self.card_shown || layout::is_narrow(self.size)
    }
    /// What is shown, and how large.
    fn shape(&self) -> Shape {
        Shape {
            card: self.card_shown,
            detail: !self.looks.hides("detail"),
            timeline: !self.looks.hides("timeline"),
            card_wide: self.looks.card,
            detail_high: self.looks.detail,
        }
    }
    /// Columns that the card takes now, and lines that the detail does.
    pub(super) fn sizes(&self) -> (u16, u16) {
        let at = layout(self.size, Part::Rows, false, Shape { card: true, detail: true, ..self.shape() });
        (at.card_frame.width, at.detail.height)
    }
    /// Draws everything.
    pub fn draw(&mut self, frame: &mut Frame) {
        let area = frame.area();
        self.size = (area.width, area.height);
        let at = layout(self.size, self.part, self.zoomed, self.shape());
        let (node, window) = (self.walk.here().clone(), self.window());
        let covered = !self.opened.is_empty();
        let (theme, glyphs, keymap, marks) =
            (self.theme.clone(), self.glyphs, self.keymap.clone(), std::mem::take(&mut self.marks));
        let engine = self.engine.clone();
        let mut view = View {
            theme: &theme,
            glyphs: &glyphs,
            keymap: &keymap,
            engine: &*engine,
            live: self.live.status(),
            marks: &marks,
            zone: self.zone,
            window,
            node: node.sequence,
            focused: true,
            narrow: at.narrow,
        };
        fill(frame.buffer_mut(), area, theme.style("ui.background").patch(theme.style("ui.text")));
        if area.width < layout::LEAST.0 || area.height < layout::LEAST.1 {
            let say =
                format!("this window is {}x{}; {}x{} is the least", area.width, area.height, layout::LEAST.0, layout::LEAST.1);
            put(frame.buffer_mut(), 0, 0, area.width, &say, theme.style("ui.warning"));
            self.marks = marks;
            self.drawn();
            return;
        }
        // Read line by line, what lies over the rest stands alone.
        if !self.options.plain || self.overlay.is_none() {
            self.draw_header(frame.buffer_mut(), &at, &node, &view);
            if covered {
                let body = Rect { y: 1, height: area.height - 2, ..at.body };
                if let Some(pane) = self.opened.last_mut() {
                    pane.draw(frame, body, &view);
                }
            } else {
                self.draw_workbench(frame, &at, &node, &mut view);
            }
            self.draw_hints(frame.buffer_mut(), at.hints, &view);
        }
        if let Some(overlay) = &mut self.overlay
            && let Some((x, y)) = overlay.draw(frame, area, &view)
        {
            frame.set_cursor_position(Position { x, y });
        }
        self.marks = marks;
        self.drawn();
    }

    fn draw_workbench(&mut self, frame: &mut Frame, at: &Layout, node: &Node, view: &mut View) {
        let selected_at = self.rows.record().map(|r| r.time());
        if at.timeline.height > 0 {
            self.draw_timeline(frame.buffer_mut(), at.timeline, selected_at, node, view);
        }
        let here = |part: Part, app: &App| app.part == part && app.overlay.is_none();
        if at.card.height > 0 {
            view.focused = here(Part::Card, self);
            self.card.draw(frame, at.card, view);
        }
        if at.rows.height > 0 {
            view.focused = here(Part::Rows, self);
            match self.split.filter(|_| !self.zoomed) {
                Some(split) => self.draw_halves(frame, at.rows, view, split),
                None => self.rows.draw(frame, at.rows, view),
            }
        }
        // After the table: the rule names the cell under the cursor, and which cells there are follows from the width.
        self.draw_frames(frame.buffer_mut(), at, node, view);
        if at.detail.height > 0 {
            view.focused = here(Part::Detail, self);
            let cell = self.rows.cell(self.zone).filter(|(_, c)| !self.rows.on_row() && !c.text.is_empty());
            if at.narrow && at.detail.height <= 3 {
                self.detail.draw_brief(frame.buffer_mut(), at.detail, cell, view);
            } else {
                let mut area = at.detail;
                // A cell that the rule has no room for stands in full above the fields.
                if let Some((title, cell)) = cell.filter(|(title, cell)| self.part == Part::Rows && !in_rule(at, title, cell))
                    && area.height > 3
                {
                    let above = Rect { height: area.height / 2, ..area };
                    let used = super::panes::detail::draw_cell(frame.buffer_mut(), above, &title, &cell, view);
                    area = Rect { y: area.y + used, height: area.height - used, ..area };
                }
                self.detail.draw(frame, area, view);
            }
        }
        view.focused = true;
    }

    fn draw_header(&self, buf: &mut Buffer, at: &Layout, node: &Node, view: &View) {
        let style = view.theme.style("ui.header");
        fill(buf, at.header, style);
        let zone = view.zone.label(view.window.start);
        let away = view.glyphs.put(&self.away(node, at.narrow));
        let busy = if self.jobs.awaited(&[super::joins::NAME, super::live::SLOT]) {
            format!("{} ", view.glyphs.running)
        } else {
            String::new()
        };
        if at.narrow && self.opened.is_empty() {
            let arrow = "-";
            let right = format!("{} ", view.zone.window(&view.window, arrow));
            let away = if away.is_empty() { away } else { format!("{away} ") };
            let spark = 10u16;
            let wide = text::width(&right) as u16 + spark + text::width(&zone) as u16 + 3;
            let x = at.header.right().saturating_sub(wide);
            let away_wide = text::width(&away) as u16;
            let left = Rect { x: 1, width: x.saturating_sub(2 + away_wide), ..at.header };
            self.draw_brief_card(buf, left, node, view);
            put(buf, x.saturating_sub(away_wide), 0, away_wide, &away, view.theme.style("ui.chip"));
            put(buf, x, 0, wide, &right, style);
            let strip = Rect { x: x + text::width(&right) as u16, y: 0, width: spark, height: 1 };
            self.timeline.draw(buf, strip, None, view);
            put_right(buf, strip.right(), 0, at.header.right() - strip.right() - 1, &zone, view.theme.style("ui.title"));
            return;
        }
        let right = format!("{busy}{zone}");
        put_right(buf, 0, 0, at.header.width - 1, &right, view.theme.style("ui.title"));
        let mut taken = text::width(&right) as u16 + 4;
        if !away.is_empty() {
            let wide = text::width(&away) as u16;
            let x = at.header.width.saturating_sub(taken + wide);
            put(buf, x, 0, wide, &away, view.theme.style("ui.chip"));
            taken += wide + 3;
        }
        let room = Rect { x: 1, width: at.header.width.saturating_sub(taken), ..at.header };
        self.draw_path(buf, room, view);
    }

    /// What is put away, with how much: `-1,204 allowed · -38,112 benign`; empty: nothing is.
    fn away(&self, node: &Node, narrow: bool) -> String {
        if node.lens().timeless {
            return String::new();
        }
        let number = |n: u64| if narrow { short_size(n) } else { thousands(n) };
        let chip = |(n, away): (usize, &Away)| match self.hidden.map(|hidden| hidden[n]) {
            Some(n) => format!("-{}{} {}", number(n), if n >= super::go::COUNT_LIMIT { "+" } else { "" }, away.name),
            None => format!("-… {}", away.name),
        };
        let chips: Vec<String> = AWAY.iter().enumerate().filter(|(n, _)| node.away[*n]).map(chip).collect();
        chips.join(if narrow { " " } else { " · " })
    }

    /// The way here; where it is too long its beginning goes.
    fn draw_path(&self, buf: &mut Buffer, area: Rect, view: &View) {
        let mut path: Vec<String> = self.walk.path().into_iter().map(|l| text::fit(&text::clean(l), 40)).collect();
        match self.opened.last() {
            Some(pane) if !self.rooted || self.opened.len() > 1 => path.push(pane.title()),
            _ => {}
        }
        let name = text::clean(&self.keeper.name()).into_owned();
        if let Some(first) = path.first_mut() {
            *first = if name.is_empty() { first.clone() } else { name };
        }
        let step = format!(" {} ", view.glyphs.step);
        let between = text::width(&step);
        // With what stands for its beginning: where one is now, the last, is never cut for the way there.
        let total = |path: &[String], cut: bool| {
            let labels: usize = path.iter().map(|label| text::width(label)).sum();
            let begins = if cut { text::width(view.glyphs.ellipsis) + between } else { 0 };
            begins + labels + between * path.len().saturating_sub(1)
        };
        let mut cut = false;
        while total(&path, cut) > usize::from(area.width) && path.len() > 1 {
            path.remove(0);
            cut = true;
        }
        let mut line = Line::new(buf, area, 0);
        if cut {
            line.add(view.glyphs.ellipsis, view.theme.style("ui.dim"));
            line.add(&step, view.theme.style("ui.dim"));
        }
        let last = path.len().saturating_sub(1);
        for (n, label) in path.iter().enumerate() {
            line.add(label, if n == last { view.theme.style("ui.title") } else { view.theme.style("ui.header") });
            if n < last {
                line.add(&step, view.theme.style("ui.dim"));
            }
        }
    }

    fn draw_brief_card(&self, buf: &mut Buffer, area: Rect, node: &Node, view: &View) {
        let mut line = Line::new(buf, area, 0);
        let label = match node.step.focus {
            super::focus::Focus::Case => self.keeper.name(),
            _ => node.step.focus.label(),
        };
        line.add(&text::clean(&label), view.theme.style("ui.title"));
        for (fact, severity) in self.card.line() {
            let style = severity
                .and_then(|s| SEVERITIES.get(usize::from(s)))
                .map_or(view.theme.style("ui.dim"), |s| view.theme.style(&format!("severity.{s}")));
            let fact = text::fit(&fact, 24);
            if line.left() < text::width(&fact) as u16 + 1 {
                continue;
            }
            line.add(" ", style);
            line.add(&view.glyphs.put(&fact), style);
        }
    }

    fn draw_timeline(&self, buf: &mut Buffer, area: Rect, at: Option<crate::model::Time>, node: &Node, view: &View) {
        let window = view.zone.window(&view.window, " → ");
        let whole = if node.step.window.is_none() { "whole case " } else { "" };
        let unit = self.timeline.unit(area.width);
        let marks = if area.width > 150 { "▲ alerts · " } else { "" };
        let legend = view.glyphs.put(&format!("{unit} · {marks}{whole}{window}"));
        let wide = (text::width(&legend) as u16 + 2).min(area.width / 2);
        let bars = Rect { width: area.width - wide, ..area };
        self.timeline.draw(buf, bars, at, view);
        put_right(buf, bars.right(), area.y, wide, &legend, view.theme.style("ui.dim"));
        let off = node.filters_off;
        let mut chips = self.chips(node);
        if !chips.is_empty() {
            if off {
                chips = format!("filters off ({chips})");
            }
            let chips = text::fit(&view.glyphs.put(&chips), usize::from(area.width / 2));
            put_right(buf, area.x, area.y + 1, area.width, &chips, view.theme.style("ui.chip"));
        }
    }

    fn draw_frames(&self, buf: &mut Buffer, at: &Layout, node: &Node, view: &View) {
        if at.narrow {
            self.draw_tabs(buf, at.tabs, node, view);
            let style = view.theme.style("ui.border");
            for x in at.rule.left()..at.rule.right() {
                put(buf, x, at.rule.y, 1, view.glyphs.horizontal, style);
            }
            return;
        }
        let style = |part: Part| {
            let focused = self.part == part;
            view.theme.style(if focused { "ui.border.focused" } else { "ui.border" })
        };
        if at.card_frame.height > 0 {
            frame(buf, at.card_frame, style(Part::Card), view);
            let title = format!(
                " {} ",
                text::fit(&text::clean(&node.step.focus.label()), usize::from(at.card_frame.width.saturating_sub(4)))
            );
            put(buf, at.card_frame.x + 1, at.card_frame.y, at.card_frame.width - 2, &title, view.theme.style("ui.title"));
        }
        if at.frame.height > 0 {
            frame(buf, at.frame, style(Part::Rows), view);
            self.draw_tabs(buf, at.tabs, node, view);
        }
        if at.rule.height > 0 {
            let (left, right) = (at.frame.x, at.frame.right() - 1);
            let rule = style(Part::Detail);
            for x in left..=right {
                put(buf, x, at.rule.y, 1, view.glyphs.horizontal, rule);
            }
            put(buf, left, at.rule.y, 1, view.glyphs.tee_right, rule);
            put(buf, right, at.rule.y, 1, view.glyphs.tee_left, rule);
            let mut line = Line::new(buf, Rect { x: left + 1, width: at.rule.width, ..at.rule }, 0);
            line.add(" detail ", view.theme.style("ui.title"));
            if let Some((title, cell)) = self.rows.cell(self.zone).filter(|(_, c)| !c.text.is_empty() && !self.rows.on_row()) {
                line.add(&format!("{} ", view.glyphs.dot), rule);
                line.add(&format!("{title} "), view.theme.style("ui.dim"));
                line.add(&view.glyphs.put(&cell.text), view.theme.style(&cell.style));
                line.add(" ", rule);
            }
        }
    }

    fn draw_hints(&self, buf: &mut Buffer, area: Rect, view: &View) {
        fill(buf, area, view.theme.style("ui.hint"));
        let room = Rect { x: 1, width: area.width.saturating_sub(2), ..area };
        if let Some(message) = &self.message {
            let (what, style) = match message {
                Message::Said(text) => (text.clone(), view.theme.style("ui.message")),
                Message::Failed(err) => (one_line(err), view.theme.style("ui.error")),
            };
            put(buf, room.x, room.y, room.width, &view.glyphs.put(&text::clean(&what)), style);
            return;
        }
        let status = match self.opened.last() {
            Some(pane) => pane.status(),
            None => self.rows.status(),
        };
        let live = self.live.line(view.narrow);
        let status = [live, status].into_iter().filter(|s| !s.is_empty()).collect::<Vec<_>>().join(" · ");
        let status = view.glyphs.put(&status);
        let wide = text::width(&status) as u16;
        put_right(buf, room.x, room.y, room.width, &status, view.theme.style("ui.hint"));
        let mut line = Line::new(buf, Rect { width: room.width.saturating_sub(wide + 2), ..room }, 0);
        let (key_style, hint) = (view.theme.style("ui.key"), view.theme.style("ui.hint"));
        let mut first = true;
        for (keys, what) in if self.options.plain { Vec::new() } else { self.hints() } {
            let dot = format!(" {} ", view.glyphs.dot);
            let long = text::width(&keys) + 1 + text::width(&what) + if first { 0 } else { text::width(&dot) };
            if long > usize::from(line.left()) {
                break;
            }
            if !first {
                line.add(&dot, hint);
            }
            first = false;
            line.add(&keys, key_style);
            line.add(" ", hint);
            line.add(&view.glyphs.put(&what), hint);
        }
    }

    /// What the keys do here: the keymap's keys of the commands that matter most, `drill` by where it goes.
    fn hints(&self) -> Vec<(String, String)> {
        let scope = self.scope();
        let mut out = Vec::new();
        let mut add = |command: &str, what: String| {
            let keys = self.keymap.key_in(scope, command);
            if !keys.is_empty() {
                out.push((keys, what));
            }
        };
        // Where Enter goes changes with the row: it stands last, so that a step of the cursor draws nothing else anew.
        let mut changing = None;
        if let Some(pane) = self.opened.last() {
            for (command, doc) in pane.commands() {
                add(command, (*doc).to_owned());
            }
            if pane.name() == "home" {
                add("drill", "go there".into());
                add("next_pane", "next section".into());
                add("zoom_pane", "alone".into());
                add("lens_alerts", "alerts".into());
            }
        } else {
            let goes = self.selection().entity.filter(|e| self.walk.here().step.focus.entity() != Some(e));
            let drill = match goes {
                Some(entity) => text::fit(&text::clean(&super::focus::show(&entity)), 28),
                None => "detail".into(),
            };
            add("drill", "go".to_owned());
            changing = Some(drill);
        }
        for (command, what) in [
            ("pivot", "pivot"),
            ("back", "back"),
            ("filter", "filter"),
            ("bookmark", "bookmark"),
            ("note", "note"),
            ("finder", "find"),
            ("next_pane", "pane"),
            ("help", "keys"),
        ] {
            add(command, what.to_owned());
        }
        if let Some(drill) = changing {
            out.push((self.glyphs.right.to_owned(), drill));
        }
        // Help is never crowded out: it stands third.
        if let Some(at) = out.iter().position(|(_, what)| what == "keys").filter(|at| *at > 3) {
            let help = out.remove(at);
            out.insert(3, help);
        }
        out
    }
}

/// Whether the rule above the detail has room for the cell under the cursor.
fn in_rule(at: &Layout, title: &str, cell: &super::cells::Cell) -> bool {
    !at.narrow && at.rule.height > 0 && text::width(title) + text::width(&cell.text) + 12 <= usize::from(at.rule.width)
}

/// An error in one line: what, where, what next.
pub fn one_line(err: &crate::error::Error) -> String {
    let mut out = err.what.replace('\n', " ");
    if !err.place.is_empty() {
        out.push_str(&format!(" at {}", err.place.replace('\n', " ")));
    }
    if !err.hint.is_empty() {
        out.push_str(&format!(" · try: {}", err.hint.replace('\n', " ")));
    }
    out
}

fn frame(buf: &mut Buffer, area: Rect, style: Style, view: &View) {
    let set = view.glyphs.border();
    let (left, right, top, bottom) = (area.x, area.right() - 1, area.y, area.bottom() - 1);
    for x in left..=right {
        put(buf, x, top, 1, set.horizontal_top, style);
        put(buf, x, bottom, 1, set.horizontal_bottom, style);
    }
    for y in top..=bottom {
        put(buf, left, y, 1, set.vertical_left, style);
        put(buf, right, y, 1, set.vertical_right, style);
    }
    for (x, y, sign) in [
        (left, top, set.top_left),
        (right, top, set.top_right),
        (left, bottom, set.bottom_left),
        (right, bottom, set.bottom_right),
    ] {
        put(buf, x, y, 1, sign, style);
    }
}
