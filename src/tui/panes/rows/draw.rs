//! Drawing the lens table: heading, the rows in sight, the gutter; and, where there are none, why.

use super::Rows;
use crate::case::triage::AWAY;
use crate::model::decision::Judgement;
use crate::model::field::FieldId;
use crate::model::{Value, Window};
use crate::query::engine::Table;
use crate::tui::cells::{self, Cell};
use crate::tui::lenses;
use crate::tui::marks::Mark;
use crate::tui::paint::{fill, put, put_right};
use crate::tui::text;
use crate::tui::times::thousands;
use crate::tui::view::View;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

/// Columns of the gutter: cursor or mark, then what was said of the row.
const GUTTER: u16 = 2;
/// From this width on the quality of joins is told in words.
const WIDE: u16 = 150;

/// The cell of a value in a table of groups.
pub fn group_cell(field: Option<FieldId>, value: Value) -> Cell {
    match field {
        Some(id) => cells::of_value(id, value),
        None => Cell { text: text::clean(&value.to_string()).into_owned(), value: None, style: "ui.text".into() },
    }
}

impl Rows {
    pub(super) fn paint(&mut self, buf: &mut Buffer, area: Rect, view: &View) {
        if area.height == 0 || area.width < 8 {
            return;
        }
        let foot = u16::from(self.footer().is_some() && area.height > 4);
        let last = Rect { y: area.bottom() - 1, height: foot, ..area };
        let area = Rect { height: area.height - foot, ..area };
        self.height = usize::from(area.height.saturating_sub(1)).max(1);
        self.keep_in_sight();
        let body = Rect { y: area.y + 1, height: area.height - 1, ..area };
        if self.table.is_some() {
            let widths = self.paint_groups(buf, area, body, view);
            if foot > 0 {
                self.paint_group_footer(buf, last, GUTTER, &widths, view);
            }
        } else {
            self.paint_records(buf, area, body, view);
            if foot > 0 {
                self.paint_footer(buf, last, GUTTER, view);
            }
        }
        if self.is_empty() && !self.loading {
            self.paint_why(buf, body, view);
        }
    }

    /// Whether an IPv6 address is in sight: then addresses may take more room.
    fn has_long_addresses(&self) -> bool {
        let sides = [crate::model::field::SRC_IP, crate::model::field::DST_IP];
        let seen = self.records.iter().skip(self.top).take(self.height);
        seen.into_iter().any(|r| sides.iter().any(|id| r.addr(*id).is_some_and(|a| a.is_ipv6())))
    }

    fn paint_records(&mut self, buf: &mut Buffer, area: Rect, body: Rect, view: &View) {
        let day = view.zone.crosses_midnight(&view.window) || self.lens.name == "reputation";
        let mut columns = self.wanted_columns(self.has_long_addresses());
        if area.width < WIDE {
            columns.iter_mut().filter(|c| c.show == lenses::Show::Match && !c.fixed).for_each(|c| c.max = 4);
        }
        self.columns = cells::fit(&columns, day, area.width.saturating_sub(GUTTER + 1));
        self.dropped = if self.chosen.is_empty() { 0 } else { columns.len() - self.columns.len() };
        if let Some(at) = self.stand_in.take().and_then(|title| self.columns.iter().position(|(c, _)| c.title == title)) {
            self.cell = at;
        }
        self.cell = self.cell.min(self.columns.len().saturating_sub(1));
        self.paint_heading(buf, area, GUTTER, day, view);
        let arrows = (view.glyphs.right, view.glyphs.left);
        for (line, record) in self.records.iter().skip(self.top).take(self.height).enumerate() {
            let row = self.top + line;
            let y = body.y + line as u16;
            let chosen = row == self.selected;
            let mut shown = self.shown(view.zone, day, arrows);
            shown.quality = self.quality.get(row).map(|(q, _)| q);
            shown.joined = self.joined_of(record.id);
            let mark = view.marks.of(record);
            let base = row_style(view, chosen, mark.marked);
            fill(buf, Rect { y, height: 1, ..body }, base);
            gutter(buf, body.x, y, chosen, mark, base, view);
            let mut x = body.x + GUTTER;
            for (n, (column, width)) in self.columns.iter().enumerate() {
                let cell = cells::cell(record, column, &shown);
                let style = cell_style(view, base, &cell, chosen, chosen && n == self.cell && n > 0);
                let fitted = match column.show {
                    lenses::Show::Match => cells::match_in(&cell.text, *width),
                    // Dim alone says it where the word does not fit.
                    lenses::Show::Field(_) if text::width(&cell.text) > usize::from(*width) => {
                        cell.text.strip_suffix(cells::FROM_DNS).unwrap_or(&cell.text)
                    }
                    _ => &cell.text,
                };
                let what = view.glyphs.put(fitted);
                if column.right {
                    put_right(buf, x, y, *width, &what, style);
                } else {
                    put(buf, x, y, *width, &what, style);
                }
                x += width + 1;
            }
        }
    }

    fn paint_groups(&mut self, buf: &mut Buffer, area: Rect, body: Rect, view: &View) -> Vec<u16> {
        let Some(table) = &self.table else { return Vec::new() };
        let widths = group_widths(table, self.top, self.height, area.width.saturating_sub(GUTTER + 1));
        self.cell = self.cell.min(table.columns.len().saturating_sub(1));
        let head = view.theme.style("ui.table.header");
        fill(buf, Rect { height: 1, ..area }, head);
        let mut x = area.x + GUTTER;
        for (title, width) in table.columns.iter().zip(&widths) {
            put(buf, x, area.y, *width, &self.signed_group(title, view), head);
            x += width + 2;
        }
        for (line, row) in table.rows.iter().skip(self.top).take(self.height).enumerate() {
            let y = body.y + line as u16;
            let chosen = self.top + line == self.selected;
            let base = row_style(view, chosen, false);
            fill(buf, Rect { y, height: 1, ..body }, base);
            gutter(buf, body.x, y, chosen, Mark::default(), base, view);
            let mut x = body.x + GUTTER;
            for (n, width) in widths.iter().enumerate() {
                if let Some(value) = row.get(n).and_then(Clone::clone) {
                    let field = table.fields.get(n).copied().flatten();
                    let number = field.is_none() && value.as_number().is_some();
                    let cell = group_cell(field, value);
                    let style = cell_style(view, base, &cell, chosen, chosen && n == self.cell);
                    if number {
                        put_right(buf, x, y, *width, &cell.text, style);
                    } else {
                        put(buf, x, y, *width, &cell.text, style);
                    }
                }
                x += width + 2;
            }
        }
        widths
    }

    /// An empty table says why: no source covers this, filtered out, outside the window, or truly none.
    fn paint_why(&self, buf: &mut Buffer, body: Rect, view: &View) {
        let dim = view.theme.style("ui.dim");
        let strong = view.theme.style("ui.text");
        let mut y = body.y;
        let mut say = |what: &str, style: Style| {
            if y < body.bottom() {
                put(buf, body.x + 2, y, body.width.saturating_sub(3), &view.glyphs.put(what), style);
                y += 1;
            }
        };
        for (n, line) in
            self.why_lines(&view.window, &|w| view.zone.window(w, " → "), &|c| view.keymap.keys_of(c)).iter().enumerate()
        {
            say(line, if n == 0 { strong } else { dim });
        }
    }

    fn why_lines(&self, window: &Window, show: &dyn Fn(&Window) -> String, keys: &dyn Fn(&str) -> Vec<String>) -> Vec<String> {
        let what = self.lens.empty;
        let Some(why) = &self.why else { return Vec::new() };
        let key = |command: &str| keys(command).first().cloned().unwrap_or_else(|| format!(":{command}"));
        if why.nothing_in_case {
            return vec!["this case has no records yet".into(), "import captures and logs with: backtrail ingest PATH...".into()];
        }
        let mut lines = Vec::new();
        if let Some(hidden) = why.unfiltered.filter(|n| *n > 0) {
            if AWAY.iter().any(|a| crate::query::without(&self.ask.text, a.condition).is_some()) {
                lines.push(format!("out of sight: filters or what is put away hide {} {what}", thousands(hidden)));
                lines.push(format!("{} shows what is put away, {} switches filters off", key("put_away"), key("toggle_filters")));
                return lines;
            }
            lines.push(format!("filtered out: the filters hide {} {what}", thousands(hidden)));
            lines.push(format!("{} shows them; :clear_filters removes the filters", key("toggle_filters")));
            return lines;
        }
        if let Some(outside) = why.outside.filter(|n| *n > 0) {
            lines.push(format!("no {what} in this window; {} outside it", thousands(outside)));
            lines.push(format!(
                "{} looks at the whole case, {} and {} shift the window",
                key("whole_case"),
                key("window_earlier"),
                key("window_later")
            ));
        }
        let able: Vec<_> = why
            .coverage
            .iter()
            .filter(|c| self.lens.kinds.is_empty() || c.kinds.iter().any(|k| self.lens.kinds.contains(k)))
            .collect();
        let covering: Vec<_> = able.iter().filter(|c| c.covers.is_some()).collect();
        if able.is_empty() {
            lines.push(format!("no source of this case gives {what}: this says nothing about whether there were any"));
            return lines;
        }
        if covering.is_empty() {
            lines.push(format!("no source that gives {what} covers this window: this says nothing about whether there were any"));
        } else if lines.is_empty() {
            let unchecked = covering.iter().any(|c| !c.clock_checked);
            let partly = covering.iter().all(|c| c.covers.is_some_and(|w| w.start > window.start || w.end < window.end));
            lines.push(match (unchecked, partly) {
                (false, false) => format!("none: these sources cover the window and have no such {what}"),
                (true, _) => format!("no {what} found, but a covering source's clock was never checked"),
                (false, true) => format!("no {what} found in the part of the window that is covered"),
            });
        }
        for source in able {
            let clock = if source.clock_checked { "" } else { " · clock unchecked" };
            let pruned = source.pruned.as_ref().map_or(String::new(), |said| format!(" · {said}"));
            lines.push(match &source.covers {
                Some(w) => format!("  {} covers {}{clock}{pruned}", source.name, show(w)),
                None => format!("  {} covers nothing of it{pruned}", source.name),
            });
        }
        lines
    }
}

fn row_style(view: &View, chosen: bool, marked: bool) -> Style {
    match (chosen, marked) {
        (true, _) if view.focused => view.theme.style("ui.row.selected"),
        (true, _) => view.theme.style("ui.row.selected.inactive"),
        (false, true) => view.theme.style("ui.row.marked"),
        (false, false) => view.theme.style("ui.text"),
    }
}

fn cell_style(view: &View, base: Style, cell: &Cell, chosen: bool, under_cursor: bool) -> Style {
    if under_cursor {
        return base.patch(view.theme.style("ui.cell.selected"));
    }
    // A selected row is of one colour: every change of colour costs up to 40 bytes on the wire, at each step of the cursor.
    if chosen {
        return base;
    }
    let own = view.theme.style(&cell.style);
    let mut style = base;
    if let Some(fg) = own.fg {
        style = style.fg(fg);
    }
    style.add_modifier(own.add_modifier)
}

fn gutter(buf: &mut Buffer, x: u16, y: u16, chosen: bool, mark: Mark, base: Style, view: &View) {
    let g = view.glyphs;
    let first = match (chosen, mark.marked) {
        (true, false) => g.cursor,
        (_, true) => g.mark,
        _ => " ",
    };
    put(buf, x, y, 1, first, base);
    let (sign, style) = match (mark.verdict, mark.note, mark.tag) {
        (Some(Judgement::Malicious), ..) => (g.malicious, "verdict.malicious"),
        (Some(Judgement::Suspicious), ..) => (g.suspicious, "verdict.suspicious"),
        (Some(Judgement::Benign), ..) => (g.benign, "verdict.benign"),
        (None, true, _) => (g.note, "ui.chip"),
        (None, false, true) => ("#", "ui.chip"),
        (None, false, false) => return,
    };
    let own = view.theme.style(style);
    put(buf, x + 1, y, 1, sign, own.fg.map_or(base, |fg| base.fg(fg)));
}

fn group_widths(table: &Table, top: usize, height: usize, width: u16) -> Vec<u16> {
    let mut widths: Vec<u16> = table.columns.iter().map(|c| text::width(c) as u16).collect();
    for row in table.rows.iter().skip(top).take(height) {
        for (n, value) in row.iter().enumerate().take(widths.len()) {
            if let Some(value) = value {
                let cell = group_cell(table.fields.get(n).copied().flatten(), value.clone());
                widths[n] = widths[n].max(text::width(&cell.text).min(60) as u16);
            }
        }
    }
    // The widest gives way until all fit.
    while widths.iter().map(|w| w + 2).sum::<u16>() > width + 2 {
        match widths.iter_mut().max() {
            Some(widest) if *widest > 4 => *widest -= 1,
            _ => break,
        }
    }
    widths
}
