//! Drawing home: how high each section is, its heading, its lines.

use super::{Home, SECTIONS};
use crate::case::home::{Cell, Line as HomeLine, Which};
use crate::model::time::DAY;
use crate::model::value::SEVERITIES;
use crate::tui::paint::{Line, fill, put, put_right};
use crate::tui::text;
use crate::tui::times::{short_size, thousands};
use crate::tui::view::View;
use crate::tui::widgets::table::{self, Column};
use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

const fn left(title: &'static str, least: u16, wanted: u16, drop: u8) -> Column {
    Column { title, least, wanted, right: false, drop }
}
const fn right(title: &'static str, least: u16, drop: u8) -> Column {
    Column { title, least, wanted: least, right: true, drop }
}

/// Columns of the lines, one per cell. Times of a line go first where there is no room, then what it is from.
fn columns(which: Which) -> Vec<Column> {
    const TIME: u16 = 12;
    match which {
        Which::Alerts => vec![
            left("sev", 4, 4, 6),
            left("signature", 16, 34, 0),
            left("target", 13, 15, 0),
            left("host", 11, 15, 4),
            right("done", 6, 0),
            left("first", TIME, TIME, 8),
            left("last", TIME, TIME, 7),
        ],
        Which::Findings => {
            vec![left("sev", 4, 4, 0), left("finding", 24, 80, 0), left("host", 11, 15, 4), left("first", TIME, TIME, 5)]
        }
        Which::Decide => vec![left("what", 18, 26, 0), left("because", 16, 60, 0)],
        Which::Names => vec![
            left("name", 18, 36, 0),
            left("why", 8, 20, 0),
            left("host", 13, 15, 4),
            left("first", TIME, TIME, 5),
            right("count", 6, 6),
        ],
        Which::Sources => vec![
            left("source", 10, 17, 0),
            left("format", 6, 13, 8),
            left("from", TIME, TIME, 5),
            left("to", TIME, TIME, 6),
            right("records", 7, 0),
            left("zone", 7, 14, 4),
            left("warnings", 8, 20, 9),
        ],
        Which::Watch => {
            vec![left("set", 10, 20, 0), right("hits", 8, 0), left("first", TIME, TIME, 5), left("last", TIME, TIME, 6)]
        }
        Which::Talkers => vec![left("host", 15, 39, 0), left("where", 7, 8, 0), right("sent", 7, 0), right("received", 8, 0)],
    }
}

/// How many lines each of some sections gets of a height, when each has so many: what some need less others get, and none gets none.
fn share(wanted: &[usize], height: usize) -> Vec<usize> {
    let mut given = vec![0; wanted.len()];
    let mut left = height;
    while left > 0 {
        let Some(next) = (0..wanted.len()).filter(|n| given[*n] < wanted[*n]).min_by_key(|n| given[*n]) else { break };
        given[next] += 1;
        left -= 1;
    }
    given
}

impl Home {
    pub(super) fn draw_sections(&mut self, frame: &mut Frame, area: Rect, view: &View) {
        let buf = frame.buffer_mut();
        fill(buf, area, view.theme.style("ui.background"));
        if area.height == 0 {
            return;
        }
        self.draw_foot(buf, Rect { y: area.bottom() - 1, height: 1, ..area }, view);
        let area = Rect { height: area.height - 1, ..area };
        if self.alone {
            return self.draw_column(buf, area, &[self.at], view);
        }
        if view.narrow {
            let all: Vec<usize> = (0..SECTIONS).collect();
            return self.draw_column(buf, area, &all, view);
        }
        let (even, odd): (Vec<usize>, Vec<usize>) = (0..SECTIONS).partition(|n| n % 2 == 0);
        // Signatures and names are long: the left column gets a little more.
        let half = area.width * 11 / 20;
        self.draw_column(buf, Rect { width: half - 1, ..area }, &even, view);
        for y in area.top()..area.bottom() {
            put(buf, area.x + half - 1, y, 1, view.glyphs.vertical, view.theme.style("ui.border"));
        }
        self.draw_column(buf, Rect { x: area.x + half, width: area.width - half, ..area }, &odd, view);
    }

    fn draw_column(&mut self, buf: &mut Buffer, area: Rect, which: &[usize], view: &View) {
        // Where there is room the names of the columns stand over the lines.
        let named = usize::from(area.height) >= which.len() * 6;
        let wanted: Vec<usize> = which.iter().map(|n| self.wants(*n, named, area.height)).collect();
        let heights = share(&wanted, usize::from(area.height).saturating_sub(which.len()));
        let mut y = area.y;
        for (n, height) in which.iter().zip(heights) {
            if y >= area.bottom() {
                break;
            }
            let height = (height as u16).min(area.bottom() - y - 1);
            self.draw_heading(buf, Rect { y, height: 1, ..area }, *n, usize::from(height.saturating_sub(u16::from(named))), view);
            self.draw_lines(buf, Rect { y: y + 1, height, ..area }, *n, named, view);
            y += 1 + height;
        }
    }

    /// The line under the cursor in full: its cells may have been cut.
    fn draw_foot(&self, buf: &mut Buffer, area: Rect, view: &View) {
        let Some(line) = self.line() else { return };
        let time = |t| view.zone.format(t, "%Y-%m-%d %H:%M:%S");
        let columns = Which::ALL[self.at].columns();
        let mut foot = Line::new(buf, Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area }, 0);
        for (name, cell) in columns.iter().zip(&line.cells).filter(|(_, c)| **c != Cell::Empty) {
            foot.add(&format!("{name} "), view.theme.style("ui.dim"));
            foot.add(&view.glyphs.put(&text::clean(&cell.show(&time))), view.theme.style("ui.text"));
            foot.add("  ", view.theme.style("ui.dim"));
        }
    }

    /// Lines that a section would fill; one that is not there yet keeps room, so that little moves when it comes.
    fn wants(&self, n: usize, named: bool, height: u16) -> usize {
        match &self.sections[n] {
            None => usize::from(height),
            // Why there is nothing may take two lines.
            Some(s) if s.lines.is_empty() => 1 + usize::from(named),
            Some(s) => s.lines.len() + usize::from(named),
        }
    }

    fn draw_heading(&self, buf: &mut Buffer, area: Rect, n: usize, lines: usize, view: &View) {
        let here = n == self.at;
        let rule = view.theme.style(if here { "ui.border.focused" } else { "ui.border" });
        for x in area.left()..area.right() {
            put(buf, x, area.y, 1, view.glyphs.horizontal, rule);
        }
        let title = view.theme.style(if here { "ui.tab.active" } else { "ui.title" });
        let section = self.sections[n].as_ref();
        let mut line = Line::new(buf, Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area }, 0);
        line.add(" ", title);
        line.add(Which::ALL[n].title(), title);
        match section {
            Some(s) => {
                line.add(&format!(" {} ", thousands(s.total as u64)), title);
                if !s.note.is_empty() {
                    line.add_whole(&format!("{} {} ", view.glyphs.dot, s.note), view.theme.style("ui.dim"));
                }
                let hidden = s.total.saturating_sub(lines);
                if hidden > 0 && lines < s.lines.len().max(1) {
                    let more = format!(" {} more ", thousands(hidden as u64));
                    if line.left() as usize > text::width(&more) {
                        let end = line.x() + line.left();
                        put_right(buf, area.x, area.y, end - area.x, &more, view.theme.style("ui.warning"));
                    }
                }
            }
            None => _ = line.add(&format!(" {} ", view.glyphs.running), view.theme.style("ui.running")),
        }
    }

    fn draw_lines(&mut self, buf: &mut Buffer, area: Rect, n: usize, named: bool, view: &View) {
        let dim = view.theme.style("ui.dim");
        let Some(section) = self.sections[n].as_ref() else {
            let why = match &self.failed[n] {
                Some(err) => format!("{}: {}", err.what, err.hint),
                None => format!("reading{}", view.glyphs.ellipsis),
            };
            put(buf, area.x + 1, area.y, area.width.saturating_sub(1), &text::clean(&why), dim);
            return;
        };
        if section.lines.is_empty() {
            let room = usize::from(area.width.saturating_sub(2));
            for (y, part) in text::wrap(&section.why, room, usize::from(area.height.max(1))).iter().enumerate() {
                put(buf, area.x + 1, area.y + y as u16, room as u16, &view.glyphs.put(part), dim);
            }
            return;
        }
        let columns = &columns(section.which)[..];
        let inner = Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area };
        let places = table::layout(columns, inner.width);
        let mut top = area.y;
        if named && area.height > 1 {
            let mut x = inner.x;
            for (c, wide) in &places {
                let (title, style) = (columns[*c].title, view.theme.style("ui.table.header"));
                if columns[*c].right {
                    put_right(buf, x, top, *wide, title, style);
                } else {
                    put(buf, x, top, *wide, title, style);
                }
                x += wide + 1;
            }
            top += 1;
        }
        let height = usize::from((area.y + area.height).saturating_sub(top));
        let under = if n == self.at { self.under().map(|(cell, _)| cell) } else { None };
        let mut scroll = self.scrolls[n];
        for (row, line) in scroll.sight(height, section.lines.len()).enumerate().map(|(y, l)| (l, (y, &section.lines[l]))) {
            let (y, line) = line;
            let y = top + y as u16;
            let selected = n == self.at && row == scroll.selected;
            if selected {
                fill(buf, Rect { y, height: 1, ..area }, view.theme.style("ui.row.selected"));
                put(buf, area.x, y, 1, view.glyphs.cursor, view.theme.style("ui.key"));
            }
            draw_line(buf, Rect { y, height: 1, ..inner }, line, columns, &places, under.filter(|_| selected), view);
        }
        self.scrolls[n] = scroll;
    }
}

fn draw_line(
    buf: &mut Buffer,
    area: Rect,
    line: &HomeLine,
    columns: &[Column],
    places: &[(usize, u16)],
    under: Option<usize>,
    view: &View,
) {
    let mut x = area.x;
    for (c, wide) in places {
        let cell = line.cells.get(*c).unwrap_or(&Cell::Empty);
        let (shown, role) = show(cell, *c, line.loud, usize::from(*wide), view);
        let style = view.theme.style(if under == Some(*c) { "ui.cell.selected" } else { &role });
        if columns[*c].right {
            put_right(buf, x, area.y, *wide, &shown, style);
        } else {
            put(buf, x, area.y, *wide, &shown, style);
        }
        x += wide + 1;
    }
}

/// A cell in words and the role of its style.
fn show(cell: &Cell, column: usize, loud: bool, wide: usize, view: &View) -> (String, String) {
    let role = |name: &str| name.to_owned();
    match cell {
        Cell::Bytes(n) => (short_size(*n), role("ui.text")),
        Cell::Count(n) => (thousands(*n), role("ui.text")),
        // Over more than most of a year the year matters, and the minute does not.
        Cell::At(at) if view.window.length() > 300 * DAY => (view.zone.format(*at, "%Y-%m-%d"), role("ui.time")),
        Cell::At(at) => (view.zone.format(*at, "%d %b %H:%M"), role("ui.time")),
        Cell::Severity(rank) => {
            let word = SEVERITIES.get(*rank as usize).copied().unwrap_or_default();
            (
                if wide < word.len() { word.replace("critical", "crit").replace("medium", "med") } else { role(word) },
                format!("severity.{word}"),
            )
        }
        other => {
            // What was assumed of a clock is marked; the foot has it in words.
            let text = other.show(&|t| t.rfc3339()).replace(" assumed", "?");
            let text = view.glyphs.put(&text::clean(&text));
            let style = match (other, loud && column <= 1) {
                (_, true) => "ui.warning",
                (Cell::Of(..), _) => "entity",
                (_, _) if column == 0 => "ui.text",
                _ => "ui.dim",
            };
            (text, role(style))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_shared_so_that_every_section_shows_a_line_and_none_is_wasted() {
        assert_eq!(share(&[50, 1, 50], 21), [10, 1, 10]);
        assert_eq!(share(&[2, 1, 3], 21), [2, 1, 3]);
        assert_eq!(share(&[9; 6], 16).iter().sum::<usize>(), 16);
        assert!(share(&[9; 6], 6).iter().all(|n| *n == 1));
    }
}
