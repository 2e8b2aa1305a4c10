//! Drawing the overview: the chosen curve large with the band of what is usual, all curves as lines, and the lists.

use super::{LISTS, Overview, Part};
use crate::case::home::{Cell, Line as HomeLine};
use crate::case::overview::{Bin, Curve, What, Which};
use crate::model::time::DAY;
use crate::tui::paint::{Line, fill, put, put_right};
use crate::tui::text;
use crate::tui::times::{short_size, short_span, thousands};
use crate::tui::view::View;
use crate::tui::widgets::table::{self, Column};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

const fn left(title: &'static str, least: u16, wanted: u16) -> Column {
    Column { title, least, wanted, right: false, drop: 0 }
}
const fn right(title: &'static str, least: u16, drop: u8) -> Column {
    Column { title, least, wanted: least, right: true, drop }
}

const MADE: [Column; 5] =
    [left("by", 7, 11), left("value", 20, 60), right("actual", 8, 0), right("usual", 8, 0), right("share", 6, 4)];

fn columns(what: What) -> Vec<Column> {
    let time = |drop| Column { title: "first", least: 12, wanted: 12, right: false, drop };
    match what {
        What::Talkers => vec![left("host", 15, 39), left("where", 7, 8), right("sent", 7, 0), right("received", 8, 0)],
        What::Hosts => vec![left("host", 15, 39), time(4), right("flows", 7, 0)],
        What::Services => vec![left("host", 15, 24), left("service", 9, 12), time(4), right("flows", 7, 3)],
        What::Names => vec![left("name", 18, 40), time(4), right("count", 6, 0)],
    }
}

/// Bins that one column of the screen stands for, added up.
fn merged(bins: &[Bin], per: usize) -> Vec<Bin> {
    bins.chunks(per.max(1))
        .map(|c| Bin {
            value: c.iter().map(|b| b.value).sum(),
            usual: c.iter().try_fold((0.0, 0.0, 0.0), |s, b| b.usual.map(|u| (s.0 + u.0, s.1 + u.1, s.2 + u.2))),
            deviates: c.iter().map(|b| b.deviates).find(|d| *d != 0).unwrap_or(0),
        })
        .collect()
}

fn amount(which: Which, n: f64) -> String {
    let n = n.round().max(0.0) as u64;
    if which == Which::Bytes || n >= 1_000_000 { short_size(n) } else { thousands(n) }
}

/// Bins that one column stands for: of hours a part of a day or whole days, so that columns begin where days do.
fn per(bins: usize, bin: i64, width: u16) -> usize {
    let least = bins.div_ceil(usize::from(width.max(1))).max(1);
    let day = usize::try_from(DAY / bin.max(1)).unwrap_or(0);
    let parts = [1, 2, 3, 4, 6, 8, 12, 24].into_iter().filter(|p| day == 24 && *p >= least);
    parts.min().unwrap_or(least)
}

impl Overview {
    pub(super) fn draw_all(&mut self, buf: &mut Buffer, area: Rect, view: &View) {
        fill(buf, area, view.theme.style("ui.background"));
        if area.height < 4 || area.width < 20 {
            return;
        }
        let curves = Which::ALL.len() as u16;
        let plot = if area.height >= 30 {
            10
        } else if area.height >= 18 {
            5
        } else {
            3
        };
        self.draw_head(buf, Rect { height: 1, ..area }, view);
        let mut y = area.y + 1;
        self.draw_plot(buf, Rect { y, height: plot, ..area }, view);
        y += plot;
        self.draw_curves(buf, Rect { y, height: curves.min(area.bottom().saturating_sub(y)), ..area }, view);
        y += curves;
        let below = Rect { y: y.min(area.bottom()), height: area.bottom().saturating_sub(y), ..area };
        if self.made.is_some() {
            self.draw_made(buf, below, view);
        } else if view.narrow || below.height < 8 {
            let n = if let Part::List(n) = self.part { n } else { 0 };
            self.draw_list(buf, below, n, true, view);
        } else {
            // Two by two.
            let (wide, high) = (below.width / 2, below.height / 2);
            for n in 0..LISTS {
                let (column, row) = ((n % 2) as u16, (n / 2) as u16);
                let part = Rect {
                    x: below.x + column * wide,
                    y: below.y + row * high,
                    width: if column == 0 { wide.saturating_sub(1) } else { below.width - wide },
                    height: if row == 0 { high } else { below.height - high },
                };
                self.draw_list(buf, part, n, false, view);
            }
        }
    }

    /// Why something is not there yet.
    fn waits(&self, view: &View) -> String {
        if self.given_up { "not read: given up".into() } else { format!("reading{}", view.glyphs.ellipsis) }
    }

    /// The window, and what is under the cursor in words.
    fn draw_head(&self, buf: &mut Buffer, area: Rect, view: &View) {
        let dim = view.theme.style("ui.dim");
        let mut line = Line::new(buf, Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area }, 0);
        let Some(curve) = self.curve() else {
            let text = match &self.failed {
                Some(err) => format!("{}: {}", err.what, err.hint),
                None => self.waits(view),
            };
            line.add(&text::clean(&text), dim);
            return;
        };
        let (first, last) = self.brushed();
        line.add(curve.which.name(), view.theme.style("ui.title"));
        if curve.bins.is_empty() {
            line.add(&format!("  {}", curve.why), dim);
            return;
        }
        let span = crate::model::Window::new(curve.window(first).start, curve.window(last).end);
        line.add(&format!("  {}", view.zone.window(&span, view.glyphs.right)), view.theme.style("ui.time"));
        let under = curve.bins.get(first..=last).unwrap_or_default();
        let value: f64 = under.iter().map(|b| b.value).sum();
        line.add(&format!("  {}", amount(curve.which, value)), view.theme.style("ui.text"));
        let usual: Option<f64> = under.iter().map(|b| b.usual.map(|u| u.0)).sum();
        match usual {
            Some(usual) => _ = line.add(&format!(", usual {}", amount(curve.which, usual)), dim),
            // What is usual is known of the curve, but not of this part.
            None if curve.note.starts_with("usual") => _ = line.add_whole(", usual not known here", dim),
            None => _ = line.add(&format!(", {}", curve.note), view.theme.style("ui.warning")),
        }
        match under.iter().map(|b| b.deviates).find(|d| *d != 0) {
            Some(1) => _ = line.add(&format!(" {} more than usual", view.glyphs.up), view.theme.style("spark.alert")),
            Some(_) => _ = line.add(&format!(" {} less than usual", view.glyphs.down), view.theme.style("spark.alert")),
            None => {}
        }
        if self.brush.is_some() {
            line.add_whole("  brush", view.theme.style("ui.key"));
        }
        if usual.is_some() {
            line.add_whole(&format!("  {} {}", view.glyphs.dot, curve.note), dim);
        }
        line.add_whole(&format!("  {} {}", view.glyphs.dot, self.zone), dim);
    }

    /// The chosen curve.
    fn draw_plot(&mut self, buf: &mut Buffer, area: Rect, view: &View) {
        let gutter = 8.min(area.width / 4);
        let plot = Rect { x: area.x + gutter, width: area.width.saturating_sub(gutter + 1), ..area };
        let n = self.bins();
        let bin = self.curves.iter().flatten().map(|c| c.bin).find(|b| *b > 0).unwrap_or(0);
        self.per = per(n, bin, plot.width);
        let Some(curve) = self.curve().filter(|c| !c.bins.is_empty()) else { return };
        let bins = merged(&curve.bins, self.per);
        let wide = (usize::from(plot.width) / bins.len().max(1)).clamp(1, 8) as u16;
        let most = bins.iter().map(|b| b.value.max(b.usual.map_or(0.0, |u| u.0 * 1.2))).fold(0.0, f64::max);
        // The lowest row is for marks of what deviates, so that no colour is needed to see it.
        let rows = area.height.saturating_sub(1).max(1);
        let dim = view.theme.style("ui.dim");
        put_right(buf, area.x, area.y, gutter.saturating_sub(1), &amount(curve.which, most), dim);
        put_right(buf, area.x, area.y + rows - 1, gutter.saturating_sub(1), "0", dim);
        let (first, last) = self.brushed();
        let (bar, hot) = (view.theme.style("spark.window"), view.theme.style("spark.alert"));
        let (band, here) = (view.theme.style("spark"), view.theme.style("ui.cell.selected"));
        let level = |v: f64| if most > 0.0 { (v / most * f64::from(rows) * 8.0).ceil().max(0.0) } else { 0.0 };
        let mut x = plot.x;
        for (n, bin) in bins.iter().enumerate() {
            let (from, until) = (n * self.per, (n + 1) * self.per - 1);
            let chosen = from <= last && until >= first;
            for row in 0..rows {
                let y = area.y + rows - 1 - row;
                let floor = f64::from(row) * 8.0;
                let height = level(bin.value);
                let eighths = (height - floor).clamp(0.0, 8.0) as usize;
                let within = bin.usual.is_some_and(|(_, low, high)| level(high) > floor && level(low) < floor + 8.0);
                let (sign, style) = match (eighths, within) {
                    (0, true) => (view.glyphs.dot, band),
                    (0, false) => (" ", band),
                    (e, _) => (view.glyphs.spark[e.min(8)], if bin.deviates != 0 { hot } else { bar }),
                };
                for column in 0..wide {
                    put(buf, x + column, y, 1, sign, style);
                }
            }
            let y = area.y + rows;
            let mark = match bin.deviates {
                0 => " ",
                d if d > 0 => view.glyphs.up,
                _ => view.glyphs.down,
            };
            for column in 0..wide {
                let sign = if column == 0 { mark } else { " " };
                let (sign, style) = match (chosen, sign) {
                    (true, " ") => (view.glyphs.horizontal, here),
                    (true, sign) => (sign, here),
                    (false, sign) => (sign, hot),
                };
                put(buf, x + column, y, 1, sign, style);
            }
            x += wide;
            if x >= plot.right() {
                break;
            }
        }
    }

    /// Every curve as a line.
    fn draw_curves(&self, buf: &mut Buffer, area: Rect, view: &View) {
        let name = 14u16;
        let numbers = 20u16.min(area.width / 3);
        let room = area.width.saturating_sub(name + numbers + 3);
        for (n, which) in Which::ALL.into_iter().enumerate().take(usize::from(area.height)) {
            let y = area.y + n as u16;
            let chosen = n == self.which;
            if chosen {
                let role = if self.part == Part::Curves { "ui.row.selected" } else { "ui.row.selected.inactive" };
                fill(buf, Rect { y, height: 1, ..area }, view.theme.style(role));
                put(buf, area.x, y, 1, view.glyphs.cursor, view.theme.style("ui.key"));
            }
            put(buf, area.x + 1, y, name - 1, which.name(), view.theme.style(if chosen { "ui.title" } else { "ui.text" }));
            let x = area.x + name;
            let dim = view.theme.style("ui.dim");
            let Some(curve) = &self.curves[n] else {
                put(buf, x, y, room, view.glyphs.ellipsis, dim);
                continue;
            };
            if !curve.why.is_empty() {
                put(buf, x, y, room + numbers, &curve.why, dim);
                continue;
            }
            draw_line(buf, Rect { x, y, width: room, height: 1 }, curve, view);
            let total = amount(which, curve.total());
            let usual = curve.usual().map_or_else(|| "?".to_owned(), |u| amount(which, u));
            put_right(buf, x + room + 1, y, numbers / 2, &total, view.theme.style("ui.text"));
            put_right(buf, x + room + 1 + numbers / 2, y, numbers - numbers / 2, &format!("/ {usual}"), dim);
        }
    }

    fn draw_heading(&self, buf: &mut Buffer, area: Rect, here: bool, title: &str, note: &str, view: &View) {
        let rule = view.theme.style(if here { "ui.border.focused" } else { "ui.border" });
        for x in area.left()..area.right() {
            put(buf, x, area.y, 1, view.glyphs.horizontal, rule);
        }
        let style = view.theme.style(if here { "ui.tab.active" } else { "ui.title" });
        let mut line = Line::new(buf, Rect { x: area.x + 1, width: area.width.saturating_sub(2), height: 1, ..area }, 0);
        line.add(&format!(" {title} "), style);
        if !note.is_empty() {
            line.add_whole(&format!("{} {note} ", view.glyphs.dot), view.theme.style("ui.dim"));
        }
    }

    fn draw_list(&mut self, buf: &mut Buffer, area: Rect, n: usize, tabs: bool, view: &View) {
        if area.height == 0 {
            return;
        }
        let (what, here) = (What::ALL[n], self.part == Part::List(n));
        let dim = view.theme.style("ui.dim");
        let inner = Rect { x: area.x + 1, y: area.y + 1, width: area.width.saturating_sub(2), height: area.height - 1 };
        let more = if tabs { format!("Tab: {} of {LISTS}", n + 1) } else { String::new() };
        let Some(list) = &self.lists[n] else {
            self.draw_heading(buf, area, here, what.title(), &more, view);
            put(buf, inner.x, inner.y, inner.width, &self.waits(view), dim);
            return;
        };
        let note = if tabs { format!("{}  {more}", list.note) } else { list.note.clone() };
        self.draw_heading(buf, area, here, &format!("{} {}", what.title(), thousands(list.total as u64)), &note, view);
        if list.lines.is_empty() {
            for (y, part) in text::wrap(&list.why, usize::from(inner.width), usize::from(inner.height)).iter().enumerate() {
                put(buf, inner.x, inner.y + y as u16, inner.width, part, dim);
            }
            return;
        }
        let columns = columns(what);
        let mut scroll = self.scrolls[n];
        let cell = |line: &HomeLine, c: usize| -> table::Cell {
            match line.cells.get(c).unwrap_or(&Cell::Empty) {
                Cell::Bytes(n) => (short_size(*n), "ui.text"),
                Cell::Count(n) => (thousands(*n), "ui.text"),
                Cell::At(at) => (view.zone.format(*at, "%d %b %H:%M"), "ui.time"),
                Cell::Of(..) => (text::clean(&line.cells[c].show(&|t| t.rfc3339())).into_owned(), "entity"),
                other => (text::clean(&other.show(&|t| t.rfc3339())).into_owned(), "ui.dim"),
            }
        };
        let body = Rect { x: area.x, y: area.y + 1, width: area.width, height: area.height - 1 };
        table::draw(buf, body, &columns, &mut scroll, list.lines.len(), view, here, &mut |row| {
            list.lines.get(row).map(|l| (0..columns.len()).map(|c| cell(l, c)).collect()).unwrap_or_default()
        });
        self.scrolls[n] = scroll;
    }

    fn draw_made(&mut self, buf: &mut Buffer, area: Rect, view: &View) {
        if area.height == 0 {
            return;
        }
        let Some((window, explained)) = &self.made else { return };
        let here = self.part == Part::Made;
        let title = format!("made of: {}", view.zone.window(window, view.glyphs.right));
        let note = match explained {
            None => format!("reading{}", view.glyphs.ellipsis),
            Some(e) if e.compared.is_empty() => e.notes.first().cloned().unwrap_or_default(),
            Some(e) => format!("compared with the same {} of {} days", short_span(window.length()), e.compared.len()),
        };
        self.draw_heading(buf, area, here, &title, &note, view);
        let body = Rect { y: area.y + 1, height: area.height - 1, ..area };
        if explained.is_some() && self.lines.is_empty() {
            put(buf, body.x + 1, body.y, body.width, "nothing stands out in it", view.theme.style("ui.dim"));
            return;
        }
        let mut scroll = self.made_scroll;
        let lines = &self.lines;
        table::draw(buf, body, &MADE, &mut scroll, lines.len(), view, here, &mut |row| {
            let Some(line) = lines.get(row) else { return Vec::new() };
            let role = |c: usize| match c {
                1 if line.loud => "ui.warning",
                1 => "entity",
                2 => "ui.text",
                _ => "ui.dim",
            };
            line.cells.iter().enumerate().map(|(c, text)| (text::clean(text).into_owned(), role(c))).collect()
        });
        self.made_scroll = scroll;
    }
}

fn draw_line(buf: &mut Buffer, area: Rect, curve: &Curve, view: &View) {
    let per = per(curve.bins.len(), curve.bin, area.width);
    let bins = merged(&curve.bins, per);
    let most = bins.iter().map(|b| b.value).fold(0.0, f64::max);
    let wide = (usize::from(area.width) / bins.len().max(1)).clamp(1, 8) as u16;
    let (bar, hot) = (view.theme.style("spark.window"), view.theme.style("spark.alert"));
    let mut x = area.x;
    for bin in &bins {
        let style = if bin.deviates != 0 { hot } else { bar };
        for column in 0..wide {
            put(buf, x + column, area.y, 1, view.glyphs.height(bin.value, most), style);
        }
        x += wide;
        if x >= area.right() {
            break;
        }
    }
}
